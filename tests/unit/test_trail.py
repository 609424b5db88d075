"""The audit trail: whoever changes, removes or adds a line is found; a crash is not mistaken for that."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callcore.access.trail import Line, Result, Trail, TrailUnwritable, Wanted
from tests.support.people import trail_in

OCTOBER, NOVEMBER = 1_793_000_000.0, 1_795_800_000.0


class Clock:
    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def add(trail: Trail, n: int, centre: str | None = "demo") -> Line:
    return trail.add(
        "user:sato",
        "agent_pause",
        on=f"10{n:02}",
        centre=centre,
        origin="127.0.0.1",
        result=Result.DONE,
        why="研修",
    )


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Twelve lines in two months."""
    clock = Clock(OCTOBER)
    made = trail_in(tmp_path, clock)
    for n in range(12):
        clock.at = OCTOBER if n < 5 else NOVEMBER
        add(made, n)
    assert made.verify().faults == ()
    return made


def rows(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_lines_are_found_again_by_who_what_where_when_and_words(trail: Trail) -> None:
    trail.add(
        "user:mori", "sign_in", on="mori", origin="192.0.2.9", result=Result.FAILED, why="wrong password"
    )
    assert [line.n for line in trail.newest(Wanted(), 3)] == [13, 12, 11]
    assert [line.n for line in trail.newest(Wanted(), 3, before=11)] == [10, 9, 8]
    assert [line.who for line in trail.newest(Wanted(result=Result.FAILED), 9)] == ["user:mori"]
    assert [line.n for line in trail.newest(Wanted(text="192.0.2"), 9)] == [13]
    assert len(trail.newest(Wanted(centre="demo"), 99)) == 12
    assert len(trail.newest(Wanted(who="user:sato", last="2026-10-31"), 99)) == 5
    assert trail.newest(Wanted(text="研修", first="2026-12-01"), 9) == []


def test_a_clock_that_is_set_back_over_the_end_of_a_month_breaks_no_chain(tmp_path: Path) -> None:
    first_of_december = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    clock = Clock(first_of_december - 1)
    trail = Trail(tmp_path / "trail", tmp_path / "keys", clock)
    for n, step in enumerate((3, -3, 10, 0)):
        add(trail, n)
        clock.at += step
    assert trail.verify().faults == ()
    assert [line.n for line in trail.newest(Wanted(), 9)] == [4, 3, 2, 1]
    assert [line.n for line in trail.newest(Wanted(last="2026-11-30"), 9)] == [3, 1]
    assert [line.n for line in trail.newest(Wanted(first="2026-12-01"), 9)] == [4, 2]
    assert [line.n for line in trail.newest(Wanted(on="1002", last="2026-11"), 9)] == [3]
    assert trail.newest(Wanted(on="100"), 9) == []


def in_month(tmp_path: Path, month: str) -> Path:
    return tmp_path / "trail" / f"2026-{month}.jsonl"


CHANGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a word changed": (lambda r: [r[0].replace(b"1000", b"1999"), *r[1:]], "changed"),
    "a result changed": (lambda r: [*r[:2], r[2].replace(b'"done"', b'"failed"'), *r[3:]], "changed"),
    "a line removed": (lambda r: r[:2] + r[3:], "1 lines before this one are missing"),
    "a line added again": (lambda r: [*r[:3], r[2], *r[3:]], "was added"),
    "a line made up": (
        lambda r: [*r[:2], r[2].replace(b'"n":3', b'"n":3,"who":"user:x"'), *r[2:]],
        "",
    ),
    "two lines changed over": (lambda r: [r[1], r[0], *r[2:]], ""),
    "a line that is none": (lambda r: [*r[:2], b"hello\n", *r[2:]], "cannot be read"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_meddles_is_found(trail: Trail, tmp_path: Path, change: str) -> None:
    path = in_month(tmp_path, "10")
    meddle, why = CHANGES[change]
    path.write_bytes(b"".join(meddle(rows(path))))
    faults = trail.verify().faults
    assert faults
    assert faults[0].file == path.name
    assert why in faults[0].en


def test_lines_cut_off_at_the_end_and_whole_months_that_are_gone_are_found(
    trail: Trail, tmp_path: Path
) -> None:
    path = in_month(tmp_path, "11")
    whole = path.read_bytes()
    path.write_bytes(b"".join(rows(path)[:-2]))
    [fault] = trail.verify().faults
    assert "2 lines after this one are missing" in fault.en
    path.write_bytes(whole)
    in_month(tmp_path, "10").unlink()
    assert "5 lines before this one are missing" in trail.verify().faults[0].en


def test_whoever_has_no_key_cannot_make_a_chain_that_fits(trail: Trail, tmp_path: Path) -> None:
    forged = trail_in(tmp_path / "elsewhere", Clock(NOVEMBER))
    for n in range(12):
        add(forged, n)
    in_month(tmp_path, "10").unlink()
    in_month(tmp_path, "11").write_bytes(in_month(tmp_path / "elsewhere", "11").read_bytes())
    assert len(trail.verify().faults) >= 12


def test_a_key_that_is_gone_is_told_and_none_is_made_in_its_place(trail: Trail, tmp_path: Path) -> None:
    (tmp_path / "keys" / "trail.key").unlink()
    with pytest.raises(OSError, match="back-up"):
        trail.verify()
    with pytest.raises(TrailUnwritable):
        add(trail, 13)


def test_a_line_torn_by_a_crash_was_never_confirmed_and_is_cut_off(trail: Trail, tmp_path: Path) -> None:
    path = in_month(tmp_path, "11")
    with path.open("ab") as file:
        file.write(b'{"n":13,"at":"2026-11-2')
    assert add(trail, 13).n == 13
    assert trail.verify().faults == ()


def test_a_crash_between_the_line_and_the_head_loses_nothing(trail: Trail, tmp_path: Path) -> None:
    head = tmp_path / "keys" / "trail.head"
    before = head.read_bytes()
    add(trail, 13)
    head.write_bytes(before)
    assert trail.verify().faults == ()
    assert add(trail, 14).n == 14
    assert trail.verify() == trail.verify()
    assert trail.verify().faults == ()


def _many(folder: Path, count: int) -> None:
    trail = trail_in(folder)
    for n in range(count):
        add(trail, n)


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_many, args=(tmp_path, 25)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    found = trail_in(tmp_path).verify()
    assert (found.lines, found.faults) == (75, ())


def test_where_nothing_can_be_written_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = trail_in(tmp_path)
    add(trail, 1)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(TrailUnwritable, match=r"ディスク.* / .*disk is full"):
            add(trail, 2)
    assert add(trail, 3).n == 2
    assert trail.verify().faults == ()
    (tmp_path / "trail" / "lock").unlink()
    (tmp_path / "trail" / "lock").mkdir()
    with pytest.raises(TrailUnwritable):
        trail.check()


def test_what_somebody_types_cannot_become_a_line_of_its_own(tmp_path: Path) -> None:
    trail = trail_in(tmp_path)
    trail.add("user:x", "a", on='x"}\n{"n":9}', origin="cli", result=Result.DONE, why="\u2028\r\n" * 400)
    [line] = trail.newest(Wanted(), 9)
    assert line.on == 'x"}\n{"n":9}'
    assert trail.verify().lines == 1
