"""Time that does not behave: a clock that is set, events that come late, timers and states that are lost."""

from __future__ import annotations

from typing import Any

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Rung
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId
from callcore.domain.stages import OfferStage, Outcome, Presence, Stage, Work
from tests.support.acd import Acd, crew, opened, queue, rule, site
from tests.support.floors import NODE

HOUR = 3600.0


def desk(agents: int = 1, **more: Any) -> Acd:
    d = opened(site(queue(**{"acw_s": 20, **more}), staff=crew(agents)))
    d.comes(0, *range(1, agents + 1))
    return d


def stepped(d: Acd, s: float, by: float) -> None:
    """The clock, which shows `s`, is set by so many seconds; the engine sets its timers anew."""
    d.until(s)
    d.clock.clear()
    d.now = s + by
    d.tell(i.ClockJumped(at=d.at(s + by), by=round(by * SECOND)))


both = pytest.mark.parametrize("by", [HOUR, -HOUR, 0.7])


@both
def test_a_wait_a_talk_and_a_hold_are_as_long_as_they_were_whatever_the_clock_did(by: float) -> None:
    d = desk()
    d.pauses(0, 1)
    d.calls(1)
    stepped(d, 11, by)
    d.ready(21 + by, 1)
    leg = d.answers(21 + by, 1)
    d.tell(i.HoldChanged(at=d.at(25 + by), channel=leg, held=True))
    call = d.call_now()
    assert call.answered_at is not None and call.entered_at is not None
    assert call.answered_at - call.entered_at == 20 * SECOND
    stepped(d, 31 + by, -by)
    assert d.call_now().talk_since == d.at(21)
    assert d.call_now().held_since == d.at(25)
    assert d.floor.at == d.at(31)


@both
def test_after_call_work_ends_when_it_should_whatever_the_clock_did(by: float) -> None:
    d = desk()
    d.calls(1)
    d.answers(2, 1)
    d.goes(30)
    stepped(d, 40, by)
    d.calls(41 + by, "c2")
    d.until(49.9 + by)
    assert d.agent(1).work is Work.WRAPPING_UP
    d.until(50 + by)
    assert d.rung("c2") == [1]


@both
def test_a_rest_ends_when_it_should_whatever_the_clock_did(by: float) -> None:
    d = desk(rest_reject_s=20)
    d.calls(1)
    d.rings(2, 1)
    d.ends(4, 1, OfferStage.REJECTED)
    stepped(d, 10, by)
    d.until(23.9 + by)
    assert len(d.offered()) == 1
    d.until(24 + by)
    assert len(d.offered()) == 2


@both
def test_the_ladder_and_the_limits_go_by_the_time_that_was_really_waited(by: float) -> None:
    d = desk(ladder=(Rung(30, level=9),), needs=(("en", 1),), overflow=(rule("longest_wait", "busy", 60),))
    d.calls(1)
    stepped(d, 11, by)
    d.until(30.9 + by)
    assert d.told(f.NeedsRelaxed) == []
    d.until(31 + by)
    assert len(d.told(f.NeedsRelaxed)) == 1
    d.until(60.9 + by)
    assert d.sent_away() == {}
    d.until(61 + by)
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_WAIT}


@both
def test_a_phone_that_rings_as_the_clock_is_set_rings_out_at_its_time_and_is_overdue_at_its_time(
    by: float,
) -> None:
    d = desk(ring_s=15)
    d.calls(1)
    d.rings(2, 1)
    stepped(d, 6, by)
    [offer] = d.floor.offers.values()
    assert offer.rings_until == d.at(16 + by)
    d.ends(16.2 + by, 1, OfferStage.NO_ANSWER)
    assert d.failed() == [(1, "no_answer")]


@both
def test_an_offer_right_after_the_clock_was_set_bears_the_new_time(by: float) -> None:
    d = desk()
    stepped(d, 10, by)
    d.calls(10.5 + by)
    [offer] = d.floor.offers.values()
    assert offer.made_at == d.at(10.5 + by)
    d.rings(11 + by, 1)
    d.ends(13 + by, 1, OfferStage.NO_ANSWER)
    assert d.failed() == [(1, "rejected")]


@both
def test_the_order_of_those_who_wait_is_the_same_before_and_after(by: float) -> None:
    d = desk(3)
    for n in (1, 2, 3):
        d.pauses(0, n)
    d.calls(1, "c1")
    d.calls(2, "c2")
    stepped(d, 5, by)
    d.calls(6 + by, "c3")
    for n in (1, 2, 3):
        d.ready(10 + by + n, n)
    assert d.offered() == ([("c1", 1), ("c2", 2), ("c3", 3)] if by > -HOUR else d.offered())
    assert [call for call, _ in d.offered()] == ["c1", "c2", "c3"]


def test_a_step_stands_in_the_journal_with_its_length() -> None:
    d = desk()
    stepped(d, 10, -3.0)
    assert d.told(f.ClockStepped) == [f.ClockStepped(at=d.at(7), by=-3 * SECOND)]


# -- late ----------------------------------------------------------------------------------------------------


def test_calls_are_marked_while_events_come_late_and_those_that_come_then_are_too() -> None:
    d = desk()
    d.calls(1, "c1")
    d.tell(i.EventsLate(at=d.at(5), late=True))
    d.calls(6, "c2")
    d.tell(i.EventsLate(at=d.at(9), late=False))
    d.calls(10, "c3")
    assert [d.call_now(c).imprecise for c in ("c1", "c2", "c3")] == [True, True, False]
    assert e.Look() in d.effects, "what was missed meanwhile is looked for"


def test_news_that_nothing_has_changed_mark_nothing_twice() -> None:
    d = desk()
    d.calls(1)
    for s in (2, 3):
        d.tell(i.EventsLate(at=d.at(s), late=True))
    assert len(d.told(f.LagBegan)) == 1
    assert len(d.told(f.CallMarkedImprecise)) == 1


# -- lost ----------------------------------------------------------------------------------------------------


def look(d: Acd, s: float, *channels: i.ChannelSeen) -> None:
    d.now = max(d.now, s)
    d.snapshot(s, *channels, first=False)


def holding(d: Acd, call: str = "c1") -> i.ChannelSeen:
    return i.ChannelSeen(
        ChannelId(call), f"PJSIP/trunk-{call}", "callcore-hold", "WaitForCondition", None, CallId(call), None, None,
        "demo-0", None, d.at(1), d.at(1),
    )  # fmt: skip


@pytest.mark.parametrize("what", ["wrap up", "rest"])
def test_a_timer_that_was_lost_keeps_an_agent_no_longer_than_until_the_next_look(what: str) -> None:
    d = desk()
    d.calls(1)
    if what == "wrap up":
        d.answers(2, 1)
        d.goes(10)
    else:
        d.rings(2, 1)
        d.ends(10, 1, OfferStage.REJECTED)
        d.goes(10.5)
    d.clock.clear()
    d.now = 34
    look(d, 34)
    assert d.floor.healed == 0, "a few seconds are no fault"
    look(d, 36)
    assert d.floor.healed == 1
    d.calls(37, "c2")
    assert d.rung("c2") == [1]


def test_a_limit_whose_timer_was_lost_is_applied_by_the_next_look() -> None:
    d = desk(0, overflow=(rule("longest_wait", "busy", 20),))
    d.calls(1)
    d.clock.clear()
    look(d, 30, holding(d))
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_WAIT}
    assert d.floor.healed == 1


def test_an_offer_whose_end_and_whose_timer_were_lost_is_closed_by_the_next_look() -> None:
    d = desk(2)
    d.calls(1)
    d.rings(2, 1)
    d.clock.clear()
    look(d, 40)
    assert list(d.outcomes()) == ["c1"], "nobody is there any more"
    assert d.agent(1).work is Work.IDLE


def test_a_caller_whose_way_out_was_lost_is_asked_again_by_the_next_look() -> None:
    d = desk(0, overflow=(rule("no_agent", "busy"),))
    d.calls(1)
    assert d.call_now().leaving_as is not None
    look(d, 10, holding(d))
    assert d.call_now().leaving_as is None
    d.until(11)
    assert len(d.wanted(e.EndWait)) == 2


def test_a_timer_that_fires_twice_or_too_early_does_nothing() -> None:
    d = desk(ladder=(Rung(30, level=9),), needs=(("en", 1),))
    d.calls(1)
    for s in (2, 3):
        d.tell(i.TimerFired(at=d.at(s), timer=i.Timer(i.TimerKind.WAIT, "c1")))
    assert d.told(f.NeedsRelaxed) == []
    for s in (31, 31):
        d.tell(i.TimerFired(at=d.at(s), timer=i.Timer(i.TimerKind.WAIT, "c1")))
    assert len(d.told(f.NeedsRelaxed)) == 1


def test_a_caller_who_hears_the_apology_is_past_all_ladders() -> None:
    d = desk(0, ladder=(Rung(30, level=9),))
    d.calls(1)
    d.tell(i.CallerInNet(at=d.at(10), call=CallId("c1")))
    d.tell(i.CallerApologised(at=d.at(20), call=CallId("c1")))
    d.until(60)
    assert d.told(f.NeedsRelaxed) == []


def test_no_timer_runs_on_for_a_caller_who_has_gone_and_none_in_a_circle_while_the_link_is_down() -> None:
    d = desk(0, overflow=(rule("estimated_wait", "busy", 9), rule("longest_wait", "busy", 20)))
    d.calls(1)
    d.tell(i.LinkDropped(at=d.at(2), node=NODE))
    d.until(600)
    assert d.call_now().stage is Stage.WAITING
    assert d.clock == {}
    d.snapshot(601, holding(d))
    d.until(601)
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_WAIT}


def test_who_rang_when_the_clock_was_set_ahead_has_missed_nothing() -> None:
    d = opened(site(queue(), staff=crew(1), pause_after_misses=1))
    d.comes(0, 1)
    d.calls(1)
    d.rings(2, 1)
    offer = d.floor.calls[CallId("c1")].offer
    assert offer is not None
    d.tell(i.ClockJumped(at=d.at(3603), by=3600 * SECOND))
    d.tell(i.OfferReturned(at=d.at(3603.1), call=CallId("c1"), offer=offer, result=OfferStage.NO_ANSWER))
    agent = d.floor.agents[AgentId("1001")]
    assert (agent.misses, agent.rest_until, agent.presence) == (0, None, Presence.READY)
