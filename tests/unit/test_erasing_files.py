"""Numbers found and overwritten wherever they stand in a file, and nothing else changed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from callcore.erasing import books
from callcore.erasing.books import overwrite
from callcore.erasing.markers import Markers, ways
from callcore.erasing.plan import Busy, Plan, Shelf, Unit
from callcore.erasing.search import named, recording_in, search
from callcore.pbx.render import CDR_FILE, CEL_FILE
from callcore.recordings import UNCUT
from callcore.recordings.sides import sides_of
from callcore.recordings.vault import ENDS, SEALING, being_sealed
from tests.support.erased import a_report

NUMBER, OTHER = "0312345678", "0355550000"
CALL, NEXT = "node1-1795143600.7", "node1-1795143600.70"
NOTHING = Markers.of(())


def test_a_database_that_is_open_here_keeps_its_log_when_it_was_looked_through(tmp_path: Path) -> None:
    """Seen: the sidecar had looked through its own file, the next command closed it, and the log was gone."""
    path = tmp_path / "callcore.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as ours:
        ours.execute("PRAGMA journal_mode=WAL")
        ours.execute("CREATE TABLE numbers (number TEXT)")
        ours.execute("INSERT INTO numbers VALUES (?)", (NUMBER,))
        (place,) = search([("here", tmp_path)], Markers.of([NUMBER]))
        assert sum(place.found.values()) >= 1 and place.closed == []
        other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM numbers'); c.close()"
        subprocess.run([sys.executable, "-c", other, str(path)], check=True)
        assert (tmp_path / "callcore.db-wal").exists()
        ours.execute("INSERT INTO numbers VALUES ('x')")
        with contextlib.closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (2,)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0312345678", {"0312345678", "81312345678"}),
        ("+81312345678", {"81312345678", "0312345678"}),
        ("81312345678", {"81312345678", "0312345678"}),
        ("+15550100200", {"15550100200"}),
        ("110", set()),
    ],
)
def test_a_number_is_looked_for_in_every_way_that_networks_write_it(number: str, written: set[str]) -> None:
    assert ways(number) == written


@given(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "hex"]),
)
def test_a_number_is_found_in_any_encoding_between_any_bytes(before: bytes, after: bytes, how: str) -> None:
    data = NUMBER.encode().hex().encode() if how == "hex" else NUMBER.encode(how)
    if how == "hex" and (before[-1:] in b"3" or after[:1].isdigit()):
        before, after = before + b" ", b" " + after
    assert Markers.of([NUMBER]).count(before + data + after) >= 1


def cel(call: str, number: str, exten: str = "0501234567") -> str:
    fields = (
        "CHAN_START",
        "",
        "1795143600.000001",
        call,
        call,
        "PJSIP/trunk-1",
        "x",
        exten,
        "",
        "",
        number,
        '{""a"":1}',
    )
    return ",".join(f'"{each}"' for each in fields) + "\n"


def cdr(call: str, number: str) -> str:
    return ",".join(f'"{each}"' for each in (call, call, "1", number, "s", *["x"] * 10)) + "\n"


def a_log(folder: Path) -> Path:
    for path, lines in (
        (folder / CEL_FILE, cel(CALL, NUMBER) + cel(NEXT, NUMBER) + cel(CALL, "", f"9{NUMBER}")),
        (folder / CDR_FILE, cdr(CALL, f"+81{NUMBER[1:]}") + cdr(NEXT, OTHER)),
        (folder / "messages", f"refused sip:{NUMBER}@x and sip:{OTHER}@x\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines)
    return folder


def test_only_the_rows_of_the_call_are_overwritten_in_place(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    path = log / CEL_FILE
    before, inode = path.read_text(), path.stat().st_ino
    rows = Markers.of([NUMBER])
    done = overwrite(log, [CALL], NOTHING, rows=rows)
    stars = "*" * len(NUMBER)
    assert path.read_text() == cel(CALL, stars) + cel(NEXT, NUMBER) + cel(CALL, "", f"9{stars}")
    assert (path.stat().st_ino, path.stat().st_size) == (inode, len(before))
    assert (log / CDR_FILE).read_text() == cdr(CALL, "*" * 12) + cdr(NEXT, OTHER)
    assert NUMBER in (log / "messages").read_text(), "the number is still another call's"
    assert (done.files, done.values) == (2, 3)
    assert overwrite(log, [CALL], NOTHING, rows=rows).values == 0, "once more: nothing"


def test_a_persons_number_goes_from_everywhere_and_nobody_elses_does(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    gone = Markers.of([NUMBER])
    overwrite(log, [CALL], gone, rows=gone)
    assert (log / CEL_FILE).read_text().count("*" * len(NUMBER)) == 3
    assert (log / "messages").read_text() == f"refused sip:{'*' * 10}@x and sip:{OTHER}@x\n"
    assert OTHER in (log / CDR_FILE).read_text()
    (place,) = search([("log", log)], gone)
    assert (place.found, place.files) == ({}, 3)


@pytest.mark.parametrize(
    ("ends", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_what_rotation_packed_is_overwritten_too(tmp_path: Path, ends: str, pack: object) -> None:
    log = a_log(tmp_path)
    packed = log / f"{CEL_FILE}.1{ends}"
    packed.write_bytes(pack(cel(CALL, NUMBER).encode()))  # type: ignore[operator]
    os.utime(packed, (5, 5))
    gone = Markers.of([NUMBER])
    assert search([("log", log)], gone)[0].found[f"{CEL_FILE}.1{ends}"] == 1
    overwrite(log, [CALL], gone, rows=gone)
    unpacked = books.PACKED[ends][0](packed.read_bytes()).decode()
    assert unpacked == cel(CALL, "*" * len(NUMBER))
    assert packed.stat().st_mtime == 5, "the order of rotated files is kept"


@pytest.mark.parametrize(
    ("ends", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
@pytest.mark.parametrize("how", ["cut off", "empty", "no archive", "turned"])
def test_a_packed_log_that_is_damaged_holds_up_nothing_and_the_report_is_not_complete_by_it(
    tmp_path: Path, ends: str, pack: Callable[[bytes], bytes], how: str
) -> None:
    log = a_log(tmp_path)
    whole = pack(cel(CALL, NUMBER).encode() * 50)
    middle = len(whole) // 2
    damaged = {
        "cut off": whole[:-9],
        "empty": b"" if ends != ".gz" else whole[:5],  # an empty one is a whole .gz of nothing
        "no archive": b"damaged",
        "turned": whole[:middle] + bytes(255 - each for each in whole[middle:]),
    }[how]
    (log / f"{CEL_FILE}.1{ends}").write_bytes(damaged)
    gone = Markers.of([NUMBER])
    assert overwrite(log, [CALL], gone, rows=gone).files == 3, "those before it and those behind it"
    assert (log / f"{CEL_FILE}.1{ends}").read_bytes() == damaged
    (place,) = search([("log", log)], gone)
    assert (place.found, place.closed) == ({}, [f"{CEL_FILE}.1{ends}"])
    told = a_report()
    assert told.complete, "an archive that was never opened is named, as before"
    assert not replace(told, searched=replace(told.searched, places=[place])).complete


def test_a_row_that_is_added_meanwhile_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = a_log(tmp_path)
    path = log / CEL_FILE
    pwrite = os.pwrite

    def slow(fd: int, data: bytes, offset: int) -> int:
        with path.open("a") as asterisk:
            asterisk.write(cel(NEXT, OTHER))
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    gone = Markers.of([NUMBER])
    overwrite(log, [CALL], gone, rows=gone)
    assert path.read_text().endswith(cel(NEXT, OTHER)) and path.read_text().count(NEXT) > 2


def test_the_search_reads_over_the_borders_of_blocks_and_names_what_it_cannot_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.erasing.search.BLOCK", 1000)
    for offset in (0, 990, 995, 999, 1000, 1994):
        (tmp_path / f"{offset}").write_bytes(b"x" * offset + NUMBER.encode() + b"x" * 700)
    (tmp_path / "old.tar").write_bytes(NUMBER.encode())
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b\x08broken")
    (tmp_path / "a.ccr").write_bytes(b"CCVAULT1")
    (place,) = search([("here", tmp_path)], Markers.of([NUMBER]))
    assert place.found == dict.fromkeys(("0", "1000", "1994", "990", "995", "999"), 1)
    assert place.closed == ["broken.gz", "old.tar"]
    assert named([("here", tmp_path)], ["a"]) == [str(tmp_path / "a.ccr")]


@pytest.mark.parametrize("name", ["node1-1.7", "node1-1.7.message", "node1-1.7~2"])
def test_a_file_of_a_recording_is_known_by_its_name_also_while_it_is_made(tmp_path: Path, name: str) -> None:
    """As they are named by who makes them; and nothing else is a recording's."""
    plain = tmp_path / f"{name}.wav"
    files = [
        plain,
        *sides_of(plain),
        tmp_path / f"{name}{ENDS}",
        tmp_path / being_sealed(name),
        plain.with_suffix(UNCUT),
    ]
    for each in files:
        each.touch()
    (tmp_path / f"{name}x.wav").touch()
    (tmp_path / "chain.jsonl").touch()
    found = named([("here", tmp_path)], [name])
    assert sorted(found) == sorted(map(str, files))
    assert recording_in(f"{name}{SEALING}") == name == recording_in(being_sealed(name))


def test_one_process_erases_at_a_time_and_an_unfinished_plan_is_found(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "erasures")
    plan = Plan(
        id="erase-20261120020000-1a2b3c",
        centre="demo",
        zone="Asia/Tokyo",
        scope="call",
        what=CALL,
        reason="r",
        by="user:sato",
        ordered_at="2026-11-20T02:00:00+09:00",
        units=[Unit(call=CALL, about=CALL, recordings=[CALL], personal=True)],
    )
    with shelf.alone():
        with pytest.raises(Busy), shelf.alone():
            pass
        shelf.put(plan)
    assert shelf.unfinished() == [plan]
    shelf.finish(plan.id, b"{}", "<p>")
    assert (shelf.unfinished(), shelf.reports(), shelf.file(plan.id, "html")) == ([], [plan.id], b"<p>")
    assert shelf.file("../../etc/passwd", "json") is None
