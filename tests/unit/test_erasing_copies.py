"""Back-ups of which a part is damaged or away: what can be erased is, and what cannot be looked into is named."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.erasing import copies, report
from callcore.erasing.markers import Markers
from callcore.erasing.search import search
from callcore.journal import KeyStore
from callcore.recordings import KeyRing
from callcore.recordings.vault import ENDS
from callcore.settings import Settings
from tests.support.erased import a_report

NOVEMBER = Instant(1_795_143_600 * SECOND)
MONTHS = {"2026-11": 0, "2026-12": 30, "2027-01": 60}
DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")
CALL, NAME, DEMO = CallId("c1"), "c1", CentreId("demo")
AT = "2027-01-30T12:00:00+09:00"
CENTRES = ("demo", "_unassigned")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A back-up with keys of one call in three months, and of its recording in three days."""
    with KeyStore.open(tmp_path / "journal", tmp_path / "keys", write=True) as keys:
        for days in MONTHS.values():
            at = Instant(NOVEMBER + days * 86_400 * SECOND)
            assert keys.seal(CALL, DEMO, at, "0312345678") is not None
    ring = KeyRing(tmp_path / "recordings")
    for day in DAYS:
        ring.new("demo", day, NAME)
    return tmp_path


def call_table(copy: Path, month: str) -> Path:
    return copy / "journal" / "call-keys" / f"demo.{month}"


def ring_table(copy: Path, day: str) -> Path:
    return copy / "recordings" / "files" / "demo" / f"{day}.jsonl"


def in_the_way(of: Path) -> None:
    """A folder where a file has to be written: it stops whoever may write anywhere, too."""
    of.unlink(missing_ok=True)
    of.mkdir()


def test_a_whole_copy_keeps_no_key(copy: Path) -> None:
    assert len(copies.opening([copy], CENTRES, [CALL], [NAME]).keys) == 6
    done = copies.destroy([copy], CENTRES, [CALL], [NAME], AT)
    assert (done.call_keys, done.recording_keys) == (3, 3)
    assert copies.opening([copy], CENTRES, [CALL], [NAME]) == copies.Opening([], [])


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("torn", [b"", b"CCKEYS", b"\0" * 4096])
def test_torn_call_keys_in_a_copy_hold_up_nothing_and_are_named(copy: Path, month: str, torn: bytes) -> None:
    """As a copy leaves it on whose disk there was no room."""
    call_table(copy, month).write_bytes(torn)
    done = copies.destroy([copy], CENTRES, [CALL], [NAME], AT)
    assert (done.call_keys, done.recording_keys) == (2, 3), "those before it and those behind it"
    left = copies.opening([copy], CENTRES, [CALL], [NAME])
    assert left == copies.Opening([], [call_table(copy, month)])
    assert call_table(copy, month).read_bytes() == torn


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("torn", [b"\0" * 4096 + b"\n", b'{"file":"00",\n', b"\xff\n"])
def test_a_torn_table_of_recordings_keys_in_a_copy_holds_up_nothing_and_is_named(
    copy: Path, day: str, torn: bytes
) -> None:
    ring_table(copy, day).write_bytes(torn)
    done = copies.destroy([copy], CENTRES, [CALL], [NAME], AT)
    assert (done.call_keys, done.recording_keys) == (3, 2)
    left = copies.opening([copy], CENTRES, [CALL], [NAME])
    assert left == copies.Opening([], [ring_table(copy, day)])


def test_a_damaged_copy_hides_no_key_of_another(copy: Path) -> None:
    call_table(copy, "2026-11").write_bytes(b"")
    ring_table(copy, DAYS[0]).write_bytes(b"\0\n")
    left = copies.opening([copy], CENTRES, [CALL], [NAME])
    assert left.closed == [call_table(copy, "2026-11"), ring_table(copy, DAYS[0])]
    assert left.keys == [
        (call_table(copy, "2026-12"), CALL),
        (call_table(copy, "2027-01"), CALL),
        (ring_table(copy, DAYS[1]), NAME),
        (ring_table(copy, DAYS[2]), NAME),
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "2026-11-20 (1).jsonl", "2026-11-2.jsonl"])
def test_a_file_of_another_name_among_a_copys_tables_holds_up_nothing(copy: Path, name: str) -> None:
    """As a file manager leaves it that copied twice."""
    beside = ring_table(copy, DAYS[0]).with_name(name)
    beside.write_bytes(b"anything")
    (call_table(copy, "2026-11").with_name("demo (1).2026-11")).write_bytes(b"anything")
    done = copies.destroy([copy], CENTRES, [CALL], [NAME], AT)
    assert (done.call_keys, done.recording_keys) == (3, 3)
    assert copies.opening([copy], CENTRES, [CALL], [NAME]) == copies.Opening([], [])
    assert beside.read_bytes() == b"anything"
    assert [*KeyRing(copy / "recordings").faults()] == []


def test_what_a_copy_does_not_let_itself_be_changed_in_holds_up_nothing_and_is_named(copy: Path) -> None:
    """Of each kind one, and the rest behind it."""
    december = call_table(copy, "2026-12")
    in_the_way(december.with_name(f"{december.name}.new"))
    other = KeyRing(copy / "other")
    other.new("demo", DAYS[0], NAME)
    in_the_way(copy / "other" / ".lock")
    (copy / "a" / f"{NAME}{ENDS}").mkdir(parents=True)
    (copy / "b").mkdir()
    (copy / "b" / f"{NAME}{ENDS}").write_bytes(b"sealed")
    done = copies.destroy([copy], CENTRES, [CALL], [NAME], AT)
    assert (done.call_keys, done.recording_keys, done.files) == (2, 3, 1)
    stuck = [december, other.table("demo", DAYS[0]), copy / "a" / f"{NAME}{ENDS}"]
    assert [line.split(": ")[0] for line in done.unchanged] == [str(path) for path in stuck]
    assert all("新しいバックアップ" in line and "take a new back-up" in line for line in done.unchanged)
    left = copies.opening([copy], CENTRES, [CALL], [NAME])
    assert left == copies.Opening([(december, CALL), (stuck[1], NAME)], [])


def test_a_copy_that_holds_nothing_of_it_need_not_be_written(copy: Path) -> None:
    in_the_way(copy / "recordings" / ".lock")
    log = copy / "log" / "cel-custom" / "Master.csv"
    log.parent.mkdir(parents=True)
    log.write_text("nothing of it\n")
    done = copies.destroy([copy], CENTRES, [CallId("c2")], ["c2"], AT)
    assert (done.call_keys, done.recording_keys, done.unchanged) == (0, 0, [])


def test_clear_text_in_a_copy_that_cannot_be_overwritten_is_named_and_the_rest_is_overwritten(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log" / "cel-custom"
    log.mkdir(parents=True)
    packed, plain = tmp_path / "log" / "full.1.gz", tmp_path / "log" / "full.2"
    packed.write_bytes(gzip.compress(b"0312345678 rang"))
    in_the_way(packed.with_name(f"{packed.name}.new"))
    plain.write_text("0312345678 rang")
    told: list[Path] = []
    markers = Markers.of(["0312345678"])
    done = copies.clear([tmp_path], [], markers, rows=markers, failed=lambda path, _: told.append(path))
    assert (done.values, told, plain.read_text()) == (1, [packed], "********** rang")


def test_a_folder_of_a_copy_that_the_disk_does_not_give_is_named_and_the_rest_gone_through(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, roots = call_table(copy, "2026-11").parent, copy / "lost+found"
    roots.mkdir()
    real = os.scandir

    def scandir(folder: os.PathLike[str] | str) -> Iterator[os.DirEntry[str]]:
        if Path(folder) in (gone, roots):
            raise OSError(errno.EIO, "Input/output error", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", lambda folder: [each.name for each in scandir(folder)])
    done = copies.destroy([copy], CENTRES, [CALL], [NAME], AT)
    assert (done.call_keys, done.recording_keys) == (0, 3)
    assert [line.split(": ")[0] for line in done.unchanged] == [str(gone)]
    assert {*copies.opening([copy], CENTRES, [CALL], [NAME]).closed} == {gone}
    told: list[Path] = []
    copies.clear([copy], [], Markers.of([]), rows=Markers.of([]), failed=lambda path, _: told.append(path))
    assert told == [gone]
    (place,) = search([("backup", copy)], Markers.of(["0312345678"]))
    assert place.closed == [gone.relative_to(copy).as_posix()] and place.there


@pytest.mark.parametrize(("name", "closed"), [("old.tar", ["old.tar"]), ("full.2", [])])
def test_a_file_given_in_place_of_a_folder_of_back_ups_is_looked_at_as_one_and_no_copy_that_fails(
    tmp_path: Path, name: str, closed: list[str]
) -> None:
    file = tmp_path / name
    file.write_text("nothing of it\n")
    told: list[Path] = []
    copies.clear([file], [], Markers.of([]), rows=Markers.of([]), failed=lambda path, _: told.append(path))
    assert told == []
    assert copies.destroy([file], CENTRES, [CALL], [NAME], AT).unchanged == []
    assert copies.opening([file], CENTRES, [CALL], [NAME]) == copies.Opening([], [])
    (place,) = search([("backup", file)], Markers.of(["0312345678"]), [file])
    assert (place.there, place.closed, place.unread) == (True, closed, [])


def test_a_folder_of_back_ups_that_is_not_mounted_is_no_place_where_nothing_was_found(tmp_path: Path) -> None:
    """It is there again when the rest is tried, and the numbers in it were never overwritten."""
    (tmp_path / "a").mkdir()
    settings = Settings(home=tmp_path, backups=f"{tmp_path / 'a'},{tmp_path / 'away'}")
    places = search(settings.places, Markers.of(["0312345678"]))
    there = {place.place: place.there for place in places}
    assert there == {"home": True, f"backup {tmp_path / 'a'}": True, f"backup {tmp_path / 'away'}": False}
    told = a_report()
    assert told.complete
    told = replace(told, searched=replace(told.searched, places=places))
    assert not told.complete
    page = report.page(told, "0" * 64)
    assert "取り付け" in page and "mount it" in page and "nothing left" not in page
    assert replace(told, searched=replace(told.searched, places=places[:2])).complete
