"""Asterisk's CEL lines from before a step of the clock, put onto the clock of now."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from callcore.ami import cel
from callcore.ami.cel import Line, on_the_clock
from callcore.ami.watch import Watch
from callcore.domain.floor import UNNOTICED_S, Floor
from callcore.domain.ids import SECOND, Instant, NodeId

HOUR = 3600


def lines(*at_s: float) -> list[Line]:
    return [Line("X", "", Instant(round(s * SECOND)), "c1", "c1", "", "", "", "", "") for s in at_s]


def by(now_s: float, stepped_s: float, by_s: float, *at_s: float) -> list[float]:
    moved = on_the_clock(lines(*at_s), Instant(now_s * SECOND), Instant(stepped_s * SECOND), by_s * SECOND)
    return [line.at / SECOND for line in moved]


def test_what_was_written_before_the_clock_was_set_back_is_moved_and_what_came_after_is_not() -> None:
    assert by(6420, 6400, -HOUR, 9990, 10000, 6405, 6410) == [6390, 6400, 6405, 6410]


def test_a_line_of_long_before_is_told_by_the_order_of_the_file() -> None:
    # The one of 6000 would pass for a new one by its time alone.
    assert by(6500, 6400, -HOUR, 6000, 10000, 6405) == [2400, 6400, 6405]
    assert by(11000, 6400, -HOUR, 9990, 10000, 6405, 10900) == [6390, 6400, 6405, 10900]


def test_lines_that_stand_a_little_out_of_order_are_no_step() -> None:
    assert by(9000, 6400, -HOUR, 8000.4, 8000, 8001) == [8000.4, 8000, 8001]


def test_what_went_on_before_a_step_that_nobody_watched_is_over_now_at_the_latest() -> None:
    # The engine had died at 10000, and the clock was set back at 10030: by 3600, but it knows of 3570 only.
    assert by(6430, 6430, -3570, 9990, 10000, 10020, 6425) == [6420, 6430, 6430, 6425]


def test_lines_from_before_a_step_ahead_are_moved_with_the_calls() -> None:
    assert by(13700, 13600, HOUR, 9990, 10000, 13605) == [13590, 13600, 13605]


def test_without_any_line_nothing_is_moved() -> None:
    assert by(6420, 6400, -HOUR) == []


@pytest.mark.parametrize(
    ("stepped_s", "by_s", "from_s"),
    [
        (None, 0, 100_000 - UNNOTICED_S),
        (
            99_990,
            HOUR,
            100_000 - UNNOTICED_S - HOUR,
        ),  # the lines of who is known by the new clock bear the old one
        (50_000, HOUR, 100_000 - UNNOTICED_S),  # long ago: all that is asked for was written since
        (50_000, -HOUR, 100_000 - UNNOTICED_S),
    ],
)
def test_the_file_is_read_from_where_it_may_tell_something_new(
    monkeypatch: pytest.MonkeyPatch, stepped_s: float | None, by_s: int, from_s: float
) -> None:
    asked: list[Instant] = []

    def read_since(path: Path, since: Instant) -> list[Line]:
        asked.append(since)
        return lines(90_000, 99_000)

    monkeypatch.setattr(cel, "read_since", read_since)
    stepped = None if stepped_s is None else Instant(round(stepped_s * SECOND))
    floor = Floor(at=Instant(100_000 * SECOND), stepped_at=stepped, stepped_by=by_s * SECOND)
    parts: Any = dict.fromkeys(("tell", "aside", "contacts", "overtaken", "alone"))
    watch = Watch(
        cast("Any", None),
        NodeId("n"),
        Path("cel"),
        floor=lambda: floor,
        now=lambda: floor.at,
        tests=lambda *_: False,
        **parts,
    )
    assert watch._traces(floor) == ((), ())
    assert asked == [round(from_s * SECOND)]
