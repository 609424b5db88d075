"""Erasing is destroying a key; losing one is another thing and says so."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callcore.domain.ids import CallId, CentreId, Instant
from callcore.journal import CallKeyLost, JournalLocked, KeyDamaged, KeyLost, KeyStore, period_of
from callcore.journal.keys import Unread

OITA, BEPPU = CentreId("oita"), CentreId("beppu")
NOVEMBER = Instant(1_795_193_503_000_000)
DECEMBER = Instant(1_796_083_200_000_000)  # 2026-12-01 00:00 UTC
ONE, TWO = CallId("node1-1.1"), CallId("node1-1.2")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(home: Path) -> Iterator[KeyStore]:
    with opened(home, write=True) as keys:
        yield keys


def opened(home: Path, *, write: bool = False) -> KeyStore:
    return KeyStore.open(home / "journal", home / "keys", write=write)


def call_file(home: Path, name: str = "oita.2026-11") -> Path:
    return home / "journal" / "call-keys" / name


def sealed(keys: KeyStore, call: CallId = ONE, at: Instant = NOVEMBER, text: str = "0901") -> bytes:
    data = keys.seal(call, OITA, at, text)
    assert data is not None
    return data


def text_of(keys: KeyStore, data: bytes, call: CallId = ONE, at: Instant = NOVEMBER) -> str | None:
    got = keys.unseal(call, OITA, at, data)
    return got and got[0]


def test_the_month_of_a_key_is_the_utc_month() -> None:
    assert period_of(Instant(DECEMBER - 1)) == "2026-11"
    assert period_of(DECEMBER) == "2026-12"


def test_only_the_owner_can_read_keys(home: Path, store: KeyStore) -> None:
    sealed(store)
    for path in [
        home / "keys",
        home / "journal",
        *(home / "keys").rglob("*"),
        *(home / "journal").rglob("*"),
    ]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert list((home / "keys").iterdir()) == [home / "keys" / "oita.2026-11.key"]


def test_values_are_read_after_a_restart_and_by_other_processes(home: Path) -> None:
    with opened(home, write=True) as keys:
        data = sealed(keys)
    with opened(home, write=True) as keys:
        assert text_of(keys, data) == "0901"
        assert text_of(opened(home), data) == "0901"


def test_a_reader_sees_calls_that_came_later_and_calls_that_were_erased(home: Path, store: KeyStore) -> None:
    reader = opened(home)
    first = sealed(store)
    assert text_of(reader, first) == "0901"
    second = sealed(store, TWO)
    assert text_of(reader, second, TWO) == "0901"
    store.destroy_call(ONE)
    assert text_of(reader, first) is None
    assert text_of(reader, second, TWO) == "0901"
    store.destroy_period(OITA, "2026-11")
    assert text_of(reader, second, TWO) is None
    assert reader.fingerprint(OITA, NOVEMBER, "0901") is None


def test_the_key_of_an_erased_call_is_nowhere_on_the_disk(home: Path, store: KeyStore) -> None:
    sealed(store)
    before = call_file(home).read_bytes()
    wrapped = before[before.index(ONE.encode()) + len(ONE) + 2 :]
    store.destroy_call(ONE)
    assert wrapped[:16] not in call_file(home).read_bytes()
    assert store.seal(ONE, OITA, NOVEMBER, "again") is None
    assert not store.destroy_call(ONE)
    assert not store.destroy_call(TWO)


def test_erasing_a_month_leaves_the_others_and_never_begins_anew(home: Path) -> None:
    with opened(home, write=True) as keys:
        november, december = sealed(keys), sealed(keys, at=DECEMBER)
        keys.destroy_period(OITA, "2026-11")
        assert not (home / "keys" / "oita.2026-11.key").exists()
    with opened(home, write=True) as keys:
        assert text_of(keys, november) is None
        assert text_of(keys, december, at=DECEMBER) == "0901"
        assert keys.seal(TWO, OITA, NOVEMBER, "new") is None
        assert keys.seal(TWO, BEPPU, NOVEMBER, "new") is not None
        assert list(keys.fingerprints(OITA, "0901")) == ["2026-12"]


def test_a_crash_in_the_middle_of_erasing_a_month_is_made_good(home: Path) -> None:
    with opened(home, write=True) as keys:
        data = sealed(keys)
        centre_key = home / "keys" / "oita.2026-11.key"
        kept = centre_key.read_bytes()
        keys.destroy_period(OITA, "2026-11")
    centre_key.write_bytes(kept)  # as if it had never been removed
    with opened(home, write=True) as keys:
        assert not centre_key.exists()
        assert text_of(keys, data) is None


def test_fingerprints_differ_between_centres_and_months(store: KeyStore) -> None:
    prints = {
        store.fingerprint(OITA, NOVEMBER, "0901"),
        store.fingerprint(OITA, DECEMBER, "0901"),
        store.fingerprint(BEPPU, NOVEMBER, "0901"),
        store.fingerprint(OITA, NOVEMBER, "0902"),
    }
    assert len(prints) == 4
    assert set(store.fingerprints(OITA, "0901")) == {"2026-11", "2026-12"}


def test_a_sealed_value_does_not_open_as_another_calls(store: KeyStore) -> None:
    data = sealed(store)
    sealed(store, TWO)
    with pytest.raises(KeyDamaged):
        store.unseal(TWO, OITA, NOVEMBER, data)
    with pytest.raises(KeyDamaged, match="バックアップ"):
        store.unseal(ONE, OITA, NOVEMBER, data[:-1] + bytes([data[-1] ^ 1]))


def test_a_lost_key_is_not_taken_for_an_erased_one(home: Path) -> None:
    with opened(home, write=True) as keys:
        data = sealed(keys)
    shutil.move(home / "keys" / "oita.2026-11.key", home / "away")
    with opened(home, write=True) as keys:
        with pytest.raises(KeyLost, match=r"oita\.2026-11\.key"):
            text_of(keys, data)
        with pytest.raises(KeyLost):  # and none is made in its place
            keys.seal(ONE, OITA, NOVEMBER, "x")
    shutil.move(home / "away", home / "keys" / "oita.2026-11.key")
    with pytest.raises(CallKeyLost, match=TWO):
        text_of(opened(home), data, TWO)
    call_file(home).unlink()
    with pytest.raises(KeyLost, match=r"oita\.2026-11") as lost:
        text_of(opened(home), data)
    assert not isinstance(lost.value, CallKeyLost), "the whole table is"


def test_another_installations_key_is_named_as_wrong(home: Path) -> None:
    for name in ("a", "b"):
        with opened(home / name, write=True) as keys:
            data = sealed(keys)
    shutil.copy(home / "a" / "keys" / "oita.2026-11.key", home / "b" / "keys" / "oita.2026-11.key")
    with pytest.raises(KeyDamaged, match=r"oita\.2026-11\.key"):
        text_of(opened(home / "b"), data)


def test_a_second_engine_can_not_write_keys(home: Path, store: KeyStore) -> None:
    with pytest.raises(JournalLocked):
        opened(home, write=True)
    with pytest.raises(RuntimeError):
        opened(home).destroy_call(ONE)


def test_a_centres_name_can_not_lead_out_of_the_folder(store: KeyStore) -> None:
    with pytest.raises(ValueError, match="centre"):
        store.seal(ONE, CentreId("../etc"), NOVEMBER, "x")


def test_a_key_file_torn_at_any_byte_of_its_last_key_keeps_all_others(home: Path) -> None:
    with opened(home, write=True) as keys:
        first = sealed(keys)
        size = call_file(home).stat().st_size
        sealed(keys, TWO)
    whole = call_file(home).read_bytes()
    for cut in range(size, len(whole)):
        call_file(home).write_bytes(whole[:cut])
        with opened(home, write=True) as keys:
            assert text_of(keys, first) == "0901"
            again = sealed(keys, TWO, text="0902")
            assert text_of(opened(home), again, TWO) == "0902"


def test_a_changed_byte_in_the_middle_of_a_key_file_is_refused_not_cut_off(home: Path) -> None:
    with opened(home, write=True) as keys:
        first = sealed(keys)
        size = call_file(home).stat().st_size
        sealed(keys, TWO)
    whole = call_file(home).read_bytes()
    for place in range(16, size):
        call_file(home).write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with opened(home, write=True) as keys, pytest.raises(KeyDamaged):
            text_of(keys, first)
        assert call_file(home).stat().st_size == len(whole)


def test_a_full_disk_leaves_no_half_key_behind(home: Path, store: KeyStore) -> None:
    sealed(store)
    size = call_file(home).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            store.seal(TWO, OITA, NOVEMBER, "0902")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert call_file(home).stat().st_size == size
    data = sealed(store, TWO)
    assert text_of(opened(home), data, TWO) == "0901"


def test_keys_are_written_anew_after_a_failed_sync(
    home: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sealed(store)
    inode = call_file(home).stat().st_ino

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(OSError, match="broken"):
            store.sync()
    store.sync()
    assert call_file(home).stat().st_ino != inode
    assert text_of(opened(home), data) == "0901"


def test_a_damaged_table_of_calls_keys_is_named_each_time_and_the_others_are_gone_through(home: Path) -> None:
    with opened(home, write=True) as keys:
        sealed(keys)
        sealed(keys, TWO, DECEMBER)
        whole = call_file(home).read_bytes()
    reader = opened(home)
    assert reader.kept([ONE, TWO]) == [ONE, TWO] and reader.damaged() == {}
    call_file(home).write_bytes(b"no table" * 20)
    for _ in range(2):
        assert [*reader.damaged()] == [(OITA, "2026-11")]
        with pytest.raises(KeyDamaged, match=r"oita\.2026-11"):
            reader.kept([ONE, TWO])
        assert reader.kept([ONE, TWO], reader.damaged()) == [TWO]
    with opened(home, write=True) as keys, pytest.raises(KeyDamaged):
        keys.destroy_call(TWO)
    call_file(home).write_bytes(whole)
    assert reader.kept([ONE, TWO]) == [ONE]


def test_a_number_has_its_fingerprint_of_a_month_whose_calls_keys_cannot_be_read(home: Path) -> None:
    with opened(home, write=True) as keys:
        sealed(keys)
        sealed(keys, TWO, DECEMBER)
    whole = dict(opened(home).fingerprints(OITA, "0901"))
    assert [*whole] == ["2026-11", "2026-12"]
    call_file(home).write_bytes(b"no table" * 20)
    assert opened(home).fingerprints(OITA, "0901") == whole
    (home / "keys" / "oita.2026-12.key").write_bytes(b"no key")
    unread = list[Unread]()
    assert [*opened(home).fingerprints(OITA, "0901", unread)] == ["2026-11"]
    assert "oita.2026-12.key" in str(unread[0])
    with pytest.raises(KeyDamaged):
        opened(home).fingerprints(OITA, "0901")


@pytest.mark.parametrize("left", [b"", b"\0" * 40, b"CCKEYS\x00\x01"])
def test_a_small_damaged_table_keeps_no_engine_from_starting_and_is_named_where_it_is_needed(
    home: Path, left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """So small a file may be the mark of a month that was destroyed."""
    with opened(home, write=True) as keys:
        first, later = sealed(keys), sealed(keys, TWO, DECEMBER)
        keys.destroy_period(OITA, "2026-11")
    gone = call_file(home).read_bytes()
    call_file(home).write_bytes(left)
    key = home / "keys" / "oita.2026-11.key"
    key.write_bytes(b"as if it had never been removed")
    with opened(home, write=True) as keys:
        assert "oita.2026-11" in caplog.text and key.exists()
        assert text_of(keys, later, TWO, DECEMBER) == "0901"
        assert keys.seal(ONE, OITA, DECEMBER, "0903") is not None
        for use in (lambda: text_of(keys, first), lambda: sealed(keys)):
            with pytest.raises(KeyDamaged, match=r"oita\.2026-11"):
                use()
    assert call_file(home).read_bytes() == left, "nothing is written over it"
    call_file(home).write_bytes(gone)
    with opened(home, write=True) as keys:
        assert not key.exists() and text_of(keys, first) is None


def test_a_small_table_that_the_disk_does_not_give_keeps_no_engine_from_starting(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(home, write=True) as keys:
        sealed(keys)
        keys.destroy_period(OITA, "2026-11")
    (home / "keys" / "oita.2026-11.key").write_bytes(b"as if it had never been removed")
    opens = Path.open

    def broken(self: Path, *how: Any, **more: Any) -> Any:
        if self == call_file(home):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return opens(self, *how, **more)

    monkeypatch.setattr(Path, "open", broken)
    with opened(home, write=True) as keys:
        assert keys.seal(ONE, OITA, DECEMBER, "0903") is not None


def test_a_table_that_was_taken_away_under_who_has_read_it_comes_back_whole_and_without_what_was_destroyed(
    home: Path,
) -> None:
    with opened(home, write=True) as keys:
        first = sealed(keys)
        other = sealed(keys, TWO)
        keys.sync()
        call_file(home).unlink()
        assert keys.kept([ONE, TWO]) == [ONE, TWO]
        assert keys.destroy_call(ONE)
        assert keys.kept([ONE, TWO]) == [TWO]
    reader = opened(home)
    assert text_of(reader, first) is None and text_of(reader, other, TWO) == "0901"
