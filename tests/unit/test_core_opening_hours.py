"""The core's own word on opening hours, for the shipped Oita centre, at the tenth of a second of each change."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcore.centres import read
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.ids import SECOND, CallId, ChannelId, Instant
from tests.support.floors import NODE, Desk

TENTH = SECOND // 10
OITA = "0975105151"


@cache
def oita() -> Configuration:
    found = read(Path(__file__).parents[2] / "centres", today=date(2026, 6, 1))
    return Configuration(found.version, tuple(c for c in found.centres if c.id == "oita"))


def instant(wall: str) -> Instant:
    return Instant(
        round(datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo("Asia/Tokyo")).timestamp()) * SECOND
    )


def comes(at: Instant, *, told_open: bool) -> tuple[Desk, CallId]:
    """A caller arrives at that instant and the dialplan decides so; the decision itself comes a little later."""
    desk = Desk()
    desk.tell(i.RunBegins(at=Instant(at - 60 * SECOND), run=1, software="test", configuration=oita()))
    desk.tell(
        i.Snapshot(at=Instant(at - 59 * SECOND), node=NODE, first=True, channels=(), devices=(), members=())
    )
    call = CallId("c1")
    desk.tell(
        i.ChannelArrived(at=at, node=NODE, channel=ChannelId(call), name="PJSIP/t", number=OITA, caller=None)
    )
    desk.tell(i.AdmissionDecided(at=Instant(at + SECOND // 5), call=call, open=told_open, source="pushed"))
    return desk, call


BOUNDARIES = [
    ("2026-11-20T08:30:00", -TENTH, False),
    ("2026-11-20T08:30:00", 0, True),
    ("2026-11-20T08:30:00", +TENTH, True),
    ("2026-11-20T18:00:00", -TENTH, True),
    ("2026-11-20T18:00:00", 0, False),
    ("2026-11-20T18:00:00", +TENTH, False),
    # 2026-09-21 敬老の日, 09-22 国民の休日, 09-23 秋分の日
    ("2026-09-18T18:00:00", -TENTH, True),
    ("2026-09-22T08:30:00", 0, False),
    ("2026-09-22T12:00:00", 0, False),
    ("2026-09-24T08:30:00", -TENTH, False),
    ("2026-09-24T08:30:00", 0, True),
    # the end of the year
    ("2026-12-28T18:00:00", -TENTH, True),
    ("2026-12-28T18:00:00", 0, False),
    ("2026-12-29T08:30:00", 0, False),
    ("2026-12-29T12:00:00", 0, False),
    ("2027-01-03T12:00:00", 0, False),
    ("2027-01-04T08:30:00", -TENTH, False),
    ("2027-01-04T08:30:00", 0, True),
    ("2027-01-04T08:30:00", +TENTH, True),
]


@pytest.mark.parametrize(("wall", "shift", "is_open"), BOUNDARIES)
def test_a_caller_at_the_edge_of_opening_is_admitted_or_refused_by_the_instant_of_arrival(
    wall: str, shift: int, is_open: bool
) -> None:
    at = Instant(instant(wall) + shift)
    desk, call = comes(at, told_open=is_open)
    assert desk.told(f.AdmissionDiffered) == [], "dialplan and calendar agree"
    admitted, refused = desk.told(f.CallAdmitted), desk.told(f.CallRefused)
    assert (len(admitted), len(refused)) == ((1, 0) if is_open else (0, 1))
    desk.tell(i.HangupRequested(at=Instant(at + 20 * SECOND), channel=ChannelId(call)))
    desk.tell(i.ChannelGone(at=Instant(at + 20 * SECOND), channel=ChannelId(call), cause=16))
    assert desk.outcomes() == {"c1": "abandoned" if is_open else "closed"}


@pytest.mark.parametrize(("wall", "shift", "is_open"), BOUNDARIES)
def test_a_dialplan_that_says_otherwise_is_believed_and_written_down(
    wall: str, shift: int, is_open: bool
) -> None:
    beyond_the_tick = shift or SECOND // 50
    desk, _ = comes(Instant(instant(wall) + beyond_the_tick), told_open=not is_open)
    (differed,) = desk.told(f.AdmissionDiffered)
    assert isinstance(differed, f.AdmissionDiffered) and differed.told_open is not is_open
    assert len(desk.told(f.CallAdmitted if not is_open else f.CallRefused)) == 1


@pytest.mark.parametrize(
    ("wall", "reason"),
    [
        ("2026-09-22T12:00:00", "国民の休日"),
        ("2026-12-29T12:00:00", "年末年始"),
        ("2026-11-21T12:00:00", "定休日"),
        ("2026-11-20T19:00:00", "時間外"),
    ],
)
def test_the_reason_of_a_refusal_is_stored_in_words(wall: str, reason: str) -> None:
    desk, _ = comes(instant(wall), told_open=False)
    (refused,) = desk.told(f.CallRefused)
    assert isinstance(refused, f.CallRefused) and reason in refused.reason


def test_a_late_decision_does_not_move_the_instant_of_arrival() -> None:
    """Arrived a tenth before closing, decided after it: open."""
    desk, _ = comes(Instant(instant("2026-11-20T18:00:00") - TENTH), told_open=True)
    assert desk.told(f.AdmissionDiffered) == []


@pytest.mark.parametrize("wall", ["2026-11-20T08:30:00", "2026-11-20T18:00:00"])
@pytest.mark.parametrize("told_open", [True, False])
def test_at_the_very_second_of_a_change_either_answer_of_the_dialplan_is_right(
    wall: str, told_open: bool
) -> None:
    """Asterisk's two clocks differ by less than a tick."""
    desk, _ = comes(instant(wall), told_open=told_open)
    assert desk.told(f.AdmissionDiffered) == []
