"""A centre that closes out of its turn: an emergency, and a closing that leaves nobody waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Number, Queue
from callcore.domain.emergency import LONGEST_S, Emergency, decide, default_until, pushed
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, Instant, QueueId
from callcore.domain.stages import OfferStage, Outcome, Treatment
from tests.support.floors import MONDAY_NOON, NODE, Desk, centre, configuration, failed

DEMO = CentreId("demo")
HOUR = 3600
NINE_TO_ONE = ((Window(9 * HOUR, 13 * HOUR),),) * 7
"""Closes an hour after `MONDAY_NOON`."""


def desk(agents: int = 2, *, close_at_once: bool = False) -> Desk:
    calendar = Calendar("Asia/Tokyo", NINE_TO_ONE, close_at_once=close_at_once)
    return Desk().begin(configuration(replace(centre(agents), calendar=calendar)))


def begin(d: Desk, s: float, until: float | None = 1800, reason: str = "地震") -> None:
    end = None if until is None else d.at(until)
    d.tell(i.EmergencyAsked(at=d.at(s), centre=DEMO, reason=reason, by="係長", until=end))


def timer(d: Desk, kind: i.TimerKind, s: float) -> None:
    d.tell(i.TimerFired(at=d.at(s), timer=i.Timer(kind, DEMO)))


def leave(d: Desk, s: float, call: str, outcome: Outcome = Outcome.OVERFLOW_NO_AGENT) -> None:
    """The announcement that the caller was sent to begins, and at its end the dialplan hangs up."""
    d.tell(i.CallerOverflowed(at=d.at(s), call=CallId(call), outcome=outcome))
    d.tell(i.ChannelGone(at=d.at(s + 5), channel=ChannelId(call), cause=16))


def sent_away(d: Desk) -> list[tuple[str, str, str]]:
    return [
        (effect.call, effect.outcome.value, effect.announcement)
        for effect in d.effects
        if isinstance(effect, e.EndWait)
    ]


def armed(d: Desk, kind: i.TimerKind) -> list[Instant]:
    return [x.at for x in d.effects if isinstance(x, e.SetTimer) and x.timer == i.Timer(kind, DEMO)]


# -- an emergency closure ------------------------------------------------------------------------------------


def test_who_waits_when_an_emergency_begins_hears_of_it_and_ends_as_overflow_no_agent_with_the_reason() -> (
    None
):
    d = desk()
    d.wait(0, "c1")
    d.wait(1, "c2")
    begin(d, 10)
    assert sent_away(d) == [
        ("c1", "overflow_no_agent", "emergency"),
        ("c2", "overflow_no_agent", "emergency"),
    ]
    began = d.told(f.OverflowBegan)
    assert all(isinstance(x, f.OverflowBegan) and "臨時休止: 地震" in x.reasons[0] for x in began)
    assert all(isinstance(x, f.OverflowBegan) and x.treatment is Treatment.ANNOUNCE for x in began)
    leave(d, 11, "c1")
    d.hang_up(11, "c2")  # puts down before the announcement
    assert d.outcomes() == {"c1": "overflow_no_agent", "c2": "abandoned"}


def test_an_agent_whose_phone_rings_when_an_emergency_begins_is_left_alone_and_the_caller_is_told() -> None:
    d = desk()
    d.sign_in(0, 1)
    d.wait(1)
    leg = d.ring(1)
    begin(d, 3)
    assert [x.channel for x in d.effects if isinstance(x, e.WithdrawOffer)] == [leg]
    assert sent_away(d) == [], "the caller is still inside Dial"
    failed(OfferStage.CALLER_GONE, d, 3.1)
    assert sent_away(d) == [("c1", "overflow_no_agent", "emergency")]
    assert len(d.told(f.OfferMade)) == 1, "nobody is asked to take another call"
    leave(d, 4, "c1")
    assert d.outcomes() == {"c1": "overflow_no_agent"}


def test_a_talk_goes_on_through_an_emergency() -> None:
    d = desk()
    d.sign_in(0, 1)
    d.wait(1)
    leg = d.pick_up(2)
    begin(d, 3)
    assert sent_away(d) == []
    d.hang_up(20, by=leg)
    assert d.outcomes() == {"c1": "completed"}


def test_a_caller_in_the_greeting_when_an_emergency_begins_hears_of_it_on_reaching_the_line() -> None:
    d = desk()
    d.arrive(0)
    begin(d, 2)
    d.tell(i.CallerHeld(at=d.at(5), call=CallId("c1")))
    assert sent_away(d) == [("c1", "overflow_no_agent", "emergency")]


@pytest.mark.parametrize(
    ("s", "told", "outcome", "differs"),
    [
        (600, "emergency", "emergency_closed", False),
        (10.5, "open", "abandoned_short", False),  # the push is on its way
        (600, "open", "abandoned_short", True),
        (2 * HOUR, "closed", "closed", False),  # after 13:00: outside the calendar's hours goes first
        (5, "emergency", "emergency_closed", False),  # pushed in the second in which it began
        (2000, "emergency", "emergency_closed", True),  # it is over
    ],
)
def test_a_caller_in_an_emergency_is_counted_by_what_the_dialplan_decided(
    s: float, told: str, outcome: str, differs: bool
) -> None:
    d = desk()
    begin(d, 6, until=1800 if s < HOUR else 4 * HOUR)
    if s == 2000:
        timer(d, i.TimerKind.EMERGENCY, 1800)
    d.tell(
        i.ChannelArrived(
            at=d.at(s), node=NODE, channel=ChannelId("c1"), name="x", number="0975105151", caller=None
        )
    )
    d.tell(
        i.AdmissionDecided(
            at=d.at(s), call=CallId("c1"), open=told == "open", source="pushed", emergency=told == "emergency"
        )
    )
    d.hang_up(s + 1)
    assert d.outcomes() == {"c1": outcome}
    assert bool(d.told(f.AdmissionDiffered)) is differs
    figures = d.figures(d.at(s + 2))
    assert (figures.emergency_closed, figures.closed, figures.offered) == (
        outcome == "emergency_closed",
        outcome == "closed",
        outcome == "abandoned_short",
    )


def test_a_caller_who_puts_down_before_the_decision_is_counted_as_closed_by_the_emergency() -> None:
    d = desk()
    begin(d, 0)
    d.tell(
        i.ChannelArrived(
            at=d.at(60), node=NODE, channel=ChannelId("c1"), name="x", number="0975105151", caller=None
        )
    )
    d.hang_up(60.1)
    assert d.outcomes() == {"c1": "emergency_closed"}


def test_an_emergency_ends_by_itself_and_callers_are_served_again() -> None:
    d = desk()
    begin(d, 0, until=1800)
    assert armed(d, i.TimerKind.EMERGENCY) == [d.at(1800)]
    timer(d, i.TimerKind.EMERGENCY, 1799)
    assert d.last is not None and d.last.disregarded is not None, "too early"
    timer(d, i.TimerKind.EMERGENCY, 1800)
    (ended,) = d.told(f.EmergencyEnded)
    assert isinstance(ended, f.EmergencyEnded) and ended.by is None
    assert sum(isinstance(x, e.PushEmergencies) for x in d.effects) == 2
    d.sign_in(1801, 1)
    d.wait(1802)
    assert len(d.told(f.OfferMade)) == 1 and sent_away(d) == []
    timer(d, i.TimerKind.EMERGENCY, 1900)
    assert len(d.told(f.EmergencyEnded)) == 1


def test_an_emergency_whose_timer_was_lost_is_ended_by_the_next_look() -> None:
    d = desk()
    begin(d, 0, until=600)
    d.snapshot(607, first=False)
    assert len(d.told(f.EmergencyEnded)) == 1 and len(d.told(f.Healed)) == 1


def test_an_emergency_is_ended_early_by_a_person_whose_name_stands_in_the_journal() -> None:
    d = desk()
    begin(d, 0)
    d.tell(i.EmergencyEndAsked(at=d.at(60), centre=DEMO, by="課長"))
    (ended,) = d.told(f.EmergencyEnded)
    assert isinstance(ended, f.EmergencyEnded) and ended.by == "課長"
    d.sign_in(61, 1)
    d.wait(62)
    assert sent_away(d) == []
    d.tell(i.EmergencyEndAsked(at=d.at(70), centre=DEMO, by="課長"))
    assert d.last is not None and "臨時休止はしていない" in (d.last.disregarded or "")


def test_beginning_again_gives_the_emergency_another_end_and_reason_and_keeps_its_beginning() -> None:
    d = desk()
    begin(d, 0, until=600)
    begin(d, 300, until=1200, reason="停電")
    known = d.floor.emergencies[DEMO]
    assert (known.since, known.until, known.reason) == (d.at(0), d.at(1200), "停電")
    timer(d, i.TimerKind.EMERGENCY, 600)
    assert d.told(f.EmergencyEnded) == []
    timer(d, i.TimerKind.EMERGENCY, 1200)
    assert len(d.told(f.EmergencyEnded)) == 1
    begin(d, 1300, until=1400)
    assert d.floor.emergencies[DEMO].since == d.at(1300)


@pytest.mark.parametrize("until", [-1, 0, LONGEST_S + 1])
def test_an_emergency_without_a_sensible_end_is_refused(until: float) -> None:
    d = desk()
    begin(d, 0, until=until)
    assert d.last is not None and "31 日以内" in (d.last.disregarded or "")
    assert d.told(f.EmergencyBegan) == [] and not d.floor.emergencies


def test_an_emergency_of_a_centre_that_is_not_there_is_refused() -> None:
    d = desk()
    d.tell(i.EmergencyAsked(at=d.at(0), centre=CentreId("nowhere"), reason="地震", by="係長"))
    assert d.last is not None and "nowhere" in (d.last.disregarded or "")


def test_an_emergency_without_an_end_ends_at_the_centres_midnight() -> None:
    d = desk()
    begin(d, 0, until=None)
    until = datetime.fromtimestamp(d.floor.emergencies[DEMO].until / SECOND, ZoneInfo("Asia/Tokyo"))
    assert until.isoformat() == "2026-11-24T00:00:00+09:00"
    berlin = Calendar("Europe/Berlin", NINE_TO_ONE)
    last_hour = Instant(round(datetime.fromisoformat("2026-03-28T23:30:00+01:00").timestamp()) * SECOND)
    assert default_until(berlin, last_hour) == last_hour + 1800 * SECOND


def test_an_engine_that_starts_again_in_an_emergency_goes_on_with_it_and_ends_it() -> None:
    d = desk()
    d.wait(0)
    begin(d, 10, until=600)
    folded = Floor()
    for fact in d.facts:
        folded = evolve(folded, fact)
    again = Desk(floor=folded, books=d.books)
    again.tell(i.RunBegins(at=d.at(700), run=2, software="test", configuration=folded.configuration))  # type: ignore[arg-type]
    assert armed(again, i.TimerKind.EMERGENCY) == [d.at(600)], "due at once"
    timer(again, i.TimerKind.EMERGENCY, 700)
    assert len(again.told(f.EmergencyEnded)) == 1


def test_an_engine_that_starts_again_in_an_emergency_sends_away_whom_the_net_gave_back() -> None:
    d = desk()
    d.sign_in(0, 1)
    begin(d, 10, until=600)
    d.tell(i.LinkDropped(at=d.at(20), node=NODE))
    d.wait(21)
    assert sent_away(d) == [], "nothing is decided without a link"
    seen = i.ChannelSeen(
        ChannelId("c1"),
        "PJSIP/trunk-c1",
        "callcore-hold",
        "WaitForCondition",
        None,
        CallId("c1"),
        None,
        None,
        "0975105151",
        None,
        d.at(21),
        d.at(21),
    )
    d.snapshot(30, seen)
    assert sent_away(d) == [("c1", "overflow_no_agent", "emergency")]


def test_a_caller_who_could_not_be_sent_away_is_sent_a_second_later() -> None:
    d = desk()
    d.wait(0)
    begin(d, 10)
    d.tell(i.WaitNotEnded(at=d.at(10.1), call=CallId("c1"), reason="心拍なし"))
    assert len(sent_away(d)) == 1
    assert d.at(11.1) in [x.at for x in d.effects if isinstance(x, e.SetTimer) and x.timer.subject == "c1"]
    d.tell(i.TimerFired(at=d.at(11.1), timer=i.Timer(i.TimerKind.WAIT, "c1")))
    assert len(sent_away(d)) == 2


def test_other_centres_are_not_touched_by_an_emergency() -> None:
    queue = QueueId("other-general")
    neighbour = replace(
        centre(0),
        id=CentreId("other"),
        numbers=(Number("0970000000", queue),),
        queues=(Queue(queue, "隣"),),
    )
    d = Desk().begin(configuration(centre(1), neighbour))
    d.wait(0)
    d.tell(i.EmergencyAsked(at=d.at(1), centre=neighbour.id, reason="地震", by="係長"))
    assert len(d.told(f.EmergencyBegan)) == 1 and sent_away(d) == []
    d.tell(i.EmergencyAsked(at=d.at(2), centre=DEMO, reason="地震", by="係長"))
    assert [call for call, _, _ in sent_away(d)] == ["c1"]


def test_a_centre_that_is_taken_out_of_the_files_takes_its_emergency_along() -> None:
    d = desk()
    begin(d, 0)
    d.tell(
        i.ConfigurationChanged(at=d.at(1), configuration=replace(configuration(), version="v", centres=()))
    )
    assert not d.floor.emergencies
    assert d.floor.problems() == []


def test_a_clock_that_is_set_ahead_leaves_the_end_of_an_emergency_on_the_wall() -> None:
    d = desk()
    begin(d, 0, until=1800)
    d.tell(i.ClockJumped(at=d.at(660), by=600 * SECOND))  # type: ignore[arg-type]
    known = d.floor.emergencies[DEMO]
    assert (known.since, known.until) == (d.at(600), d.at(1800))
    assert armed(d, i.TimerKind.EMERGENCY)[-1] == d.at(1800)


# -- what is told and pushed ---------------------------------------------------------------------------------


def test_the_answer_for_an_instant_names_the_emergency_and_when_it_opens_again() -> None:
    calendar = Calendar("Asia/Tokyo", NINE_TO_ONE)
    at, d = MONDAY_NOON, Desk()
    inside = Emergency(d.at(0), d.at(1800), "地震", "係長")
    verdict = decide(calendar, inside, at)
    assert (verdict.open, verdict.reason, verdict.changes_at) == (False, "臨時休止: 地震", d.at(1800))
    assert verdict.reason_en == "emergency closure: 地震"
    overnight = replace(inside, until=d.at(2 * HOUR))
    assert decide(calendar, overnight, at).changes_at == d.at(21 * HOUR), "tomorrow at nine"
    assert decide(calendar, replace(inside, ended=d.at(0)), at).open
    assert decide(calendar, None, at).open
    assert decide(calendar, inside, d.at(1800)).open


def test_what_is_pushed_is_whole_seconds_that_hold_the_whole_emergency() -> None:
    d = Desk()
    known = Emergency(d.at(0.7), d.at(10.2), "地震", "係長")
    first = MONDAY_NOON // SECOND
    assert pushed({DEMO: known}, DEMO) == f"{first}-{first + 11}"
    assert pushed({DEMO: replace(known, ended=d.at(5))}, DEMO) == "none"
    assert pushed({}, DEMO) == "none"


# -- a closing that leaves nobody waiting --------------------------------------------------------------------


def test_who_waits_when_a_centre_closes_at_once_hears_the_hours_and_ends_as_overflow_no_agent() -> None:
    d = desk(close_at_once=True)
    assert set(armed(d, i.TimerKind.CLOSING)) == {d.at(HOUR)}
    d.wait(HOUR - 60)
    assert sent_away(d) == []
    timer(d, i.TimerKind.CLOSING, HOUR)
    assert sent_away(d) == [("c1", "overflow_no_agent", "closed")]
    (began,) = d.told(f.OverflowBegan)
    assert isinstance(began, f.OverflowBegan) and "受付の終了" in began.reasons[0]
    assert armed(d, i.TimerKind.CLOSING)[-1] == d.at(21 * HOUR), "armed for tomorrow's opening"
    leave(d, HOUR + 1, "c1")
    assert d.outcomes() == {"c1": "overflow_no_agent"}
    assert d.figures(d.at(2 * HOUR)).offered == 1


def test_who_waits_when_a_centre_closes_as_usual_is_served_to_the_end() -> None:
    d = desk()
    assert armed(d, i.TimerKind.CLOSING) == []
    d.wait(HOUR - 60)
    d.sign_in(HOUR + 60, 1)
    assert sent_away(d) == [] and len(d.told(f.OfferMade)) == 1


def test_a_phone_that_rings_over_a_closing_at_once_may_still_be_answered() -> None:
    d = desk(close_at_once=True)
    d.sign_in(0, 1)
    d.sign_in(0, 2)
    d.wait(HOUR - 5)
    leg = d.ring(HOUR - 5)
    timer(d, i.TimerKind.CLOSING, HOUR)
    assert sent_away(d) == []
    d.join(HOUR + 2, "c1", leg)
    d.hang_up(HOUR + 30, by=leg)
    assert d.outcomes() == {"c1": "completed"}


def test_a_caller_whom_nobody_answered_over_a_closing_at_once_is_not_offered_to_another() -> None:
    d = desk(close_at_once=True)
    d.sign_in(0, 1)
    d.sign_in(0, 2)
    d.wait(HOUR - 5)
    d.ring(HOUR - 5)
    timer(d, i.TimerKind.CLOSING, HOUR)
    failed(OfferStage.NO_ANSWER, d, HOUR + 10)
    assert len(d.told(f.OfferMade)) == 1
    assert sent_away(d) == [("c1", "overflow_no_agent", "closed")]


def test_a_caller_admitted_in_the_last_second_is_not_left_on_the_line_after_a_closing_at_once() -> None:
    d = desk(close_at_once=True)
    d.arrive(HOUR - 0.5)
    timer(d, i.TimerKind.CLOSING, HOUR)
    d.tell(i.CallerHeld(at=d.at(HOUR + 6), call=CallId("c1")))
    assert sent_away(d) == [("c1", "overflow_no_agent", "closed")]


def test_other_hours_that_are_applied_live_move_the_closing() -> None:
    d = desk(close_at_once=True)
    longer = Calendar("Asia/Tokyo", ((Window(9 * HOUR, 14 * HOUR),),) * 7, close_at_once=True)
    new = configuration(replace(centre(2), calendar=longer))
    d.tell(i.ConfigurationChanged(at=d.at(60), configuration=replace(new, version="longer")))
    assert armed(d, i.TimerKind.CLOSING)[-1] == d.at(2 * HOUR)
    d.wait(HOUR + 60)
    timer(d, i.TimerKind.CLOSING, HOUR)
    assert sent_away(d) == []
    again = Desk(floor=d.floor, books=d.books)
    again.tell(i.RunBegins(at=d.at(HOUR + 90), run=2, software="test", configuration=d.floor.configuration))  # type: ignore[arg-type]
    assert armed(again, i.TimerKind.CLOSING) == [d.at(2 * HOUR)]


def test_the_timer_of_a_centre_that_does_not_close_at_once_means_nothing() -> None:
    d = desk()
    timer(d, i.TimerKind.CLOSING, HOUR)
    assert d.last is not None and d.last.disregarded is not None
