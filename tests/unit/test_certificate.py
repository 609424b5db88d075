"""Whoever gives callcore a certificate: what is wrong with it is said with what to do, and renewals need no restart."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callcore.certificate import Certificate, CertificateFault, check, read_pair, until_usable
from tests.support.certificates import Made, make, put


def fault(made: Made) -> str:
    with pytest.raises(CertificateFault) as caught:
        check(made.certificate, made.key, datetime.now(UTC))
    text = str(caught.value)
    assert " / " in text, "in both languages"
    return text


def test_a_good_pair_is_taken_and_its_names_are_known(tmp_path: Path) -> None:
    made = make(tmp_path, "Callcore.city.example", "*.lines.example", "192.0.2.10", "2001:db8::1")
    assert check(made.certificate, made.key, datetime.now(UTC)) is None
    pair = read_pair(made.certificate, made.key)
    for name in ("callcore.city.example", "oita.lines.example", "192.0.2.10", "[2001:db8::1]"):
        assert pair.names_it(name), name
    for name in ("city.example", "a.b.lines.example", "lines.example", "192.0.2.11"):
        assert not pair.names_it(name), name
    served = Certificate(made.certificate, made.key)
    assert served.unnamed(["callcore.city.example", "other.example"]) == ("other.example",)


def test_a_key_never_shows_in_what_is_printed(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert "KEY" not in repr(read_pair(made.certificate, made.key))


def test_a_file_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.key.unlink()
    assert "key.pem" in fault(made)
    assert "CALLCORE_WEB_TLS_KEY" in fault(made)
    made.certificate.unlink()
    assert "CALLCORE_WEB_TLS_CERTIFICATE" in fault(made)


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.certificate.unlink()
    made.certificate.mkdir()
    assert "not a file" in fault(made)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.key.unlink()
    made.key.symlink_to(made.key)  # ELOOP: an error of reading that root has too
    assert "cannot read it" in fault(made)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    assert "chmod 600" in fault(make(tmp_path, mode=mode))


def test_a_key_that_its_group_may_read_is_taken(tmp_path: Path) -> None:
    made = make(tmp_path, mode=0o640)
    assert check(made.certificate, made.key, datetime.now(UTC)) is None


def test_a_key_of_another_certificate_is_told(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    assert "one and the same issue" in fault(Made(one.certificate, other.key, one.serial))


def test_a_key_with_a_passphrase_is_told(tmp_path: Path) -> None:
    assert "passphrase" in fault(make(tmp_path, passphrase="open sesame"))


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_and_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    made = make(tmp_path)
    put(made.key, content)
    assert "not a private key" in fault(made)
    put(made.certificate, content)
    assert "not a certificate" in fault(made)


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        (timedelta(days=-9), timedelta(days=-1), "ran out"),
        (timedelta(days=1), timedelta(days=9), "not valid before"),
    ],
)
def test_a_certificate_outside_its_period_is_told_but_the_telephones_start_all_the_same(
    tmp_path: Path, begins: timedelta, ends: timedelta, said: str
) -> None:
    made = make(tmp_path, begins=begins, ends=ends)
    warning = check(made.certificate, made.key, datetime.now(UTC))
    assert warning is not None and said in warning and " / " in warning
    served = Certificate(made.certificate, made.key)
    assert (served.gauges()["sidecar_certificate_seconds_left"] > 0) == (said == "not valid before")


def test_a_renewed_pair_is_taken_in_at_the_next_look(tmp_path: Path) -> None:
    made = make(tmp_path, "old.example")
    served = Certificate(made.certificate, made.key)
    assert not served.look()
    make(tmp_path, "new.example")
    assert served.look()
    assert served.pair.names == ("new.example",)
    assert not served.look()


def test_a_renewal_by_links_to_another_folder_is_seen(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1", "old.example"), make(tmp_path / "2", "new.example")
    live = Made(tmp_path / "certificate.pem", tmp_path / "key.pem", first.serial)
    live.certificate.symlink_to(first.certificate)
    live.key.symlink_to(first.key)
    served = Certificate(live.certificate, live.key)
    live.certificate.unlink()
    live.certificate.symlink_to(second.certificate)
    assert not served.look(), "half of a renewal"
    live.key.unlink()
    live.key.symlink_to(second.key)
    assert served.look()
    assert served.pair.names == ("new.example",)


def test_a_bad_renewal_keeps_the_old_one_and_says_so_until_it_is_mended(tmp_path: Path) -> None:
    made = make(tmp_path, "old.example")
    served = Certificate(made.certificate, made.key)
    assert served.gauges()["sidecar_certificate_renewal_refused"] == 0
    other = make(tmp_path / "other", "new.example")
    for spoil in (
        lambda: put(made.key, other.key.read_bytes()),
        lambda: put(made.certificate, b"nothing"),
        made.certificate.unlink,
        lambda: make(tmp_path, "late.example", begins=timedelta(days=-9), ends=timedelta(days=-1)),
    ):
        spoil()
        for _ in range(2):
            assert not served.look()
            assert served.pair.names == ("old.example",)
            assert served.gauges()["sidecar_certificate_renewal_refused"] == 1
    shutil.copy2(other.certificate, made.certificate)
    shutil.copy2(other.key, made.key)
    assert served.look()
    assert served.pair.names == ("new.example",)
    assert served.gauges()["sidecar_certificate_renewal_refused"] == 0


async def test_a_process_that_is_started_again_without_its_files_waits_for_them(tmp_path: Path) -> None:
    stop = asyncio.Event()
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    waiting = asyncio.create_task(until_usable(*files, stop, every_s=0.02))
    await asyncio.sleep(0)
    assert not waiting.done()
    make(tmp_path)
    async with asyncio.timeout(5):
        served = await waiting
    assert served is not None


async def test_who_waits_for_a_certificate_can_be_stopped(tmp_path: Path) -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(until_usable(tmp_path / "a", tmp_path / "b", stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(2):
        assert await waiting is None
