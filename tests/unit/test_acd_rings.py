"""Phones that ring: alone and together, answered, missed, taken back, and all at the same instant."""

from __future__ import annotations

from typing import Any

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import NO_ANSWER_PAUSE
from callcore.domain.ids import CallId, ChannelId, PhoneId
from callcore.domain.stages import Device, OfferStage, Presence, Stage, Work
from tests.support.acd import Acd, crew, opened, queue, site
from tests.support.floors import NODE


def desk(agents: int = 3, at_once: int = 1, misses: int = 0, **more: Any) -> Acd:
    d = opened(site(queue(ring_at_once=at_once, **more), staff=crew(agents), pause_after_misses=misses))
    d.comes(0, *range(1, agents + 1))
    return d


def together(agents: int = 3, at_once: int = 3, **more: Any) -> Acd:
    """A caller for whom several phones ring."""
    d = desk(agents, at_once, **more)
    d.calls(1)
    d.rings(1.2, *d.rung())
    return d


# -- several at once -----------------------------------------------------------------------------------------


def test_three_phones_ring_in_one_round_and_the_channel_bears_one_id() -> None:
    d = desk(4, 3)
    d.calls(1)
    assert d.rung() == [1, 2, 3]
    [placed] = d.wanted(e.OfferCall)
    assert isinstance(placed, e.OfferCall)
    assert placed.phones == ("demo-p1", "demo-p2", "demo-p3")
    assert placed.offer == d.call_now().offer


def test_the_first_to_answer_wins_and_the_others_have_missed_nothing() -> None:
    d = together()
    d.answers(4, 2)
    assert d.call_now().talking_with == "1002"
    assert d.failed() == [(1, "withdrawn"), (3, "withdrawn")]
    for n in (1, 3):
        assert (d.agent(n).rest_until, d.agent(n).misses, d.agent(n).work) == (None, 0, Work.IDLE)
        assert d.agent(n).idle_since == d.at(0), "the place in the order is kept"
    d.goes(20)
    assert d.outcomes() == {"c1": "completed"}


@pytest.mark.parametrize("told", [OfferStage.CALLER_GONE, OfferStage.NO_ANSWER, None])
def test_the_losers_dials_may_end_before_the_winner_comes_into_the_bridge(told: OfferStage | None) -> None:
    d = together()
    d.ends(4, 2, None)
    if told is not None and told is not OfferStage.NO_ANSWER:
        for n in (1, 3):
            d.ends(4, n, told)
    d.answers(4.02, 2, told=False)
    assert [result for _, result in d.failed()] == ["withdrawn", "withdrawn"]
    assert all(d.agent(n).rest_until is None for n in (1, 3))
    d.goes(9)
    assert d.outcomes() == {"c1": "completed"}


def test_two_agents_pick_up_in_the_same_instant_and_exactly_one_has_the_caller() -> None:
    d = together()
    for n in (1, 3):
        d.ends(4, n, None)
    leg, late = d.leg(3), d.leg(1)
    d.join(4.001, "c1", leg)
    d.tell(i.BridgeEntered(at=d.at(4.002), bridge="elsewhere", channel=late))
    d.tell(i.ChannelGone(at=d.at(4.003), channel=late, cause=26))
    assert d.call_now().talking_with == "1003"
    assert [x.agent for x in d.told(f.CallAnswered) if isinstance(x, f.CallAnswered)] == ["1003"]
    assert d.agent(1).rest_until is None
    d.goes(60)
    assert d.outcomes() == {"c1": "completed"}


def test_one_of_three_rejects_and_the_other_two_ring_on() -> None:
    d = together()
    d.ends(3, 2, OfferStage.BUSY)
    assert d.call_now().stage is Stage.OFFERED
    assert d.rung() == [1, 3]
    assert d.agent(2).rest_until == d.at(8)
    d.answers(5, 3)
    assert d.call_now().talking_with == "1003"
    assert len(d.wanted(e.OfferCall)) == 1, "no other phone is rung into a round that is on"


def test_one_of_three_loses_the_network_while_it_rings_and_the_others_ring_on() -> None:
    d = together()
    d.tell(i.ChannelGone(at=d.at(3), channel=d.leg(1), cause=20))
    assert d.failed() == [(1, "unreachable")]
    assert d.rung() == [2, 3]
    d.answers(5, 2)
    d.goes(9)
    assert d.outcomes() == {"c1": "completed"}


def test_all_ring_out_and_each_of_them_has_missed_it() -> None:
    d = together()
    for n in (1, 2, 3):
        d.ends(11.2, n, OfferStage.NO_ANSWER)
    assert d.failed() == [(n, "no_answer") for n in (1, 2, 3)]
    assert [d.agent(n).misses for n in (1, 2, 3)] == [1, 1, 1]
    assert d.call_now().stage is Stage.WAITING
    d.until(31.2)
    assert d.rung() == [1], "whose rest is over first is not kept waiting for the others"


def test_a_phone_that_was_never_called_in_the_round_has_missed_nothing() -> None:
    """It was in use when the dialplan looked; the others rang out before."""
    d = desk(2, 2)
    d.calls(1)
    d.rings(1.2, 1)
    offer = d.open_offer()
    d.ends(11.2, 1, OfferStage.NO_ANSWER)
    d.tell(
        i.OfferReturned(at=d.at(11.3), call=CallId("c1"), offer=offer, result=OfferStage.NO_ANSWER)
    )  # fmt: skip
    assert d.failed() == [(1, "no_answer"), (2, "busy")]
    assert d.agent(2).misses == 0


def test_nobody_of_the_round_could_be_called_and_the_caller_is_back_in_the_same_place() -> None:
    d = desk(2, 2)
    d.calls(1)
    before = d.call_now().visit
    offer = d.open_offer()
    d.tell(i.OfferReturned(at=d.at(1.3), call=CallId("c1"), offer=offer, result=OfferStage.UNREACHABLE))
    assert d.call_now().visit == before
    assert all(d.agent(n).misses == 0 and d.agent(n).rest_until is not None for n in (1, 2))


def test_a_caller_hangs_up_while_three_phones_ring_and_nobody_is_blamed() -> None:
    d = together()
    d.tell(i.HangupRequested(at=d.at(8), channel=ChannelId("c1")))
    for n in (1, 2, 3):
        d.ends(8.01, n, OfferStage.NO_ANSWER)
    d.tell(i.ChannelGone(at=d.at(8.02), channel=ChannelId("c1"), cause=16))
    assert {result for _, result in d.failed()} == {"caller_gone"}
    assert all((d.agent(n).misses, d.agent(n).rest_until) == (0, None) for n in (1, 2, 3))
    assert d.outcomes() == {"c1": "abandoned"}


def test_the_others_agents_are_free_for_the_next_caller_in_the_instant_of_the_answer() -> None:
    d = together()
    d.calls(2, "c2")
    assert d.call_now("c2").ringing == ()
    d.answers(4, 1)
    assert d.rung("c2") == [2, 3]


def test_losers_whose_ends_are_never_told_are_free_at_once_and_late_news_of_them_change_nothing() -> None:
    d = together()
    legs, offer = [d.leg(n) for n in (1, 3)], d.open_offer()
    d.answers(4, 2, told=False)
    for leg in legs:
        d.tell(
            i.DialEnded(
                at=d.at(4.5), call=CallId("c1"), channel=leg, offer=offer, result=OfferStage.CALLER_GONE
            )
        )
        d.tell(i.ChannelGone(at=d.at(4.5), channel=leg, cause=16))
    assert d.call_now().stage is Stage.TALKING
    assert len(d.call_now().legs) == 2


@pytest.mark.parametrize("lost", ["begin", "begin of the winner", "all ends"])
def test_an_answer_is_found_by_the_bridge_although_news_of_the_dials_were_lost(lost: str) -> None:
    d = desk(3, 3)
    d.calls(1)
    told = {"begin": [2], "begin of the winner": [1, 3], "all ends": [1, 2, 3]}[lost]
    d.rings(1.2, *told)
    d.answers(4, 2, told=False)
    assert d.call_now().talking_with == "1002"
    d.goes(9)
    assert d.outcomes() == {"c1": "completed"}


def test_a_round_of_which_no_end_is_told_is_given_up_by_the_watchdog_and_counted() -> None:
    d = together()
    d.until(16)
    assert {result for _, result in d.failed()} == {"withdrawn"}
    assert len(d.told(f.Healed)) == 3
    assert all(d.agent(n).misses == 0 for n in (1, 2, 3))


# -- rest by kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "gone", "rest"),
    [
        (OfferStage.NO_ANSWER, 16, 21),
        (OfferStage.REJECTED, 16, 22),
        (OfferStage.BUSY, 17, 3),
        (OfferStage.UNREACHABLE, 20, 7),
        (OfferStage.WITHDRAWN, 16, 0),
    ],
)
def test_each_way_of_not_answering_has_its_own_rest(result: OfferStage, gone: int, rest: int) -> None:
    d = desk(1, rest_no_answer_s=21, rest_reject_s=22, rest_busy_s=3, rest_unreachable_s=7)
    d.calls(1)
    d.rings(1.5, 1)
    end = 11.5
    d.ends(end, 1, result, gone=gone)
    assert d.failed() == [(1, result.value)]
    if rest == 0:
        assert len(d.offered()) == 2
        return
    assert d.agent(1).rest_until == d.at(end + rest)
    d.until(end + rest - 0.001)
    assert len(d.offered()) == 1
    d.until(end + rest)
    assert len(d.offered()) == 2


def test_no_answer_long_before_the_ring_time_is_a_rejection() -> None:
    d = desk(1)
    d.calls(1)
    d.rings(1.5, 1)
    d.ends(3, 1, OfferStage.NO_ANSWER)
    assert d.failed() == [(1, "rejected")]


def test_an_agent_who_presses_ready_ends_the_rest() -> None:
    d = desk(1)
    d.calls(1)
    d.rings(1.5, 1)
    d.ends(3, 1, OfferStage.REJECTED)
    d.ready(5, 1)
    assert len(d.offered()) == 2


# -- misses in a row -----------------------------------------------------------------------------------------


def miss(d: Acd, s: float, result: OfferStage = OfferStage.NO_ANSWER) -> float:
    """Agent 1's phone rings from `s` on and is not answered; the end of the rest."""
    d.until(s)
    d.rings(s, 1)
    over = s + 11 if result is OfferStage.NO_ANSWER else s + 2
    d.ends(over, 1, result)
    return over + 20


def test_after_three_misses_in_a_row_the_agent_is_on_pause_and_the_board_sees_why() -> None:
    d = desk(1, misses=3)
    d.calls(1)
    s = miss(d, 1)
    s = miss(d, s, OfferStage.REJECTED)
    assert d.agent(1).presence is Presence.READY
    miss(d, s)
    assert (d.agent(1).presence, d.agent(1).pause) == (Presence.PAUSED, NO_ANSWER_PAUSE)
    assert e.PauseMember(d.agent(1).queues[0], PhoneId("demo-p1"), True) in d.effects
    d.until(600)
    assert len(d.offered()) == 3


def test_the_pause_for_not_answering_ends_when_the_agent_says_so_and_the_misses_are_forgotten() -> None:
    d = desk(1, misses=2)
    d.calls(1)
    s = miss(d, 1)
    miss(d, s)
    assert d.agent(1).presence is Presence.PAUSED
    d.ready(100, 1)
    assert (d.agent(1).presence, d.agent(1).misses) == (Presence.READY, 0)
    assert d.rung() == [1]
    miss(d, 101)
    assert d.agent(1).presence is Presence.READY, "two in a row are needed again"


def test_an_answer_forgets_the_misses_and_a_busy_phone_is_none() -> None:
    d = desk(1, misses=2)
    d.calls(1)
    s = miss(d, 1)
    d.until(s)
    d.rings(s, 1)
    d.ends(s + 1, 1, OfferStage.BUSY)
    assert d.agent(1).misses == 1
    d.until(s + 6)
    d.answers(s + 7, 1)
    assert d.agent(1).misses == 0


def test_with_no_bound_nobody_is_ever_paused_for_misses() -> None:
    d = desk(1, misses=0)
    d.calls(1)
    s = 1.0
    for _ in range(6):
        s = miss(d, s)
    assert d.agent(1).presence is Presence.READY


def test_an_agent_on_a_pause_of_his_own_is_not_paused_again_by_a_miss() -> None:
    d = desk(1, misses=1)
    d.calls(1)
    d.rings(1.5, 1)
    d.pauses(3, 1, "昼休み")
    d.ends(3.1, 1, OfferStage.NO_ANSWER)
    assert d.agent(1).pause == "昼休み"
    assert d.failed() == [(1, "withdrawn")]


# -- taking back, and answers that cross ---------------------------------------------------------------------


def test_who_pauses_while_the_phone_rings_is_not_rung_on_and_the_caller_keeps_the_place() -> None:
    d = desk(1)
    d.calls(1)
    before = d.call_now().visit
    d.rings(2, 1)
    leg = d.leg(1)
    d.pauses(3, 1)
    assert e.WithdrawOffer(d.open_offer(), leg) in d.effects
    d.ends(3.05, 1, OfferStage.NO_ANSWER)
    assert d.failed() == [(1, "withdrawn")]
    assert d.call_now().visit == before
    assert d.agent(1).rest_until is None


def test_who_pauses_before_the_phone_rings_is_taken_back_as_soon_as_it_does() -> None:
    d = desk(2)
    d.calls(1)
    d.pauses(1.1, 1)
    assert d.wanted(e.WithdrawOffer) == []
    d.rings(1.3, 1)
    [taken] = d.wanted(e.WithdrawOffer)
    assert taken == e.WithdrawOffer(d.open_offer(), d.leg(1))
    d.ends(1.4, 1, OfferStage.CALLER_GONE)
    assert d.failed() == [(1, "withdrawn")]
    assert d.rung() == [2]


def test_an_answer_that_is_quicker_than_the_withdrawal_counts_and_the_pause_begins_after_the_talk() -> None:
    d = desk(1)
    d.calls(1)
    d.rings(2, 1)
    d.pauses(3, 1)
    d.answers(3.01, 1)
    assert d.call_now().stage is Stage.TALKING
    assert (d.agent(1).presence, d.agent(1).work) == (Presence.PAUSED, Work.TALKING)
    d.goes(30)
    d.calls(31, "c2")
    assert d.outcomes() == {"c1": "completed"}
    assert d.call_now("c2").ringing == ()


def test_a_withdrawal_that_is_quicker_than_the_answer_costs_the_answer_and_not_the_callers_place() -> None:
    d = desk(2)
    d.calls(1)
    d.pauses(1.2, 2)
    d.calls(1.5, "c2")
    before = d.call_now().visit
    d.rings(2, 1)
    leg = d.leg(1)
    d.pauses(3, 1)
    d.ends(3.01, 1, None)
    d.tell(i.ChannelGone(at=d.at(3.02), channel=leg, cause=16))
    assert d.failed() == [(1, "withdrawn")]
    assert d.call_now().stage is Stage.WAITING
    assert d.call_now().visit == before
    d.ready(4, 2)
    assert d.offered()[-1] == ("c1", 2)


def test_the_phone_joins_the_bridge_and_is_hung_up_by_the_withdrawal_a_moment_later() -> None:
    """At worst the answer is lost; the caller is back in hold in the same place."""
    d = desk(2)
    d.calls(1)
    since = d.call_now().entered_at
    d.rings(2, 1)
    d.pauses(3, 1)
    leg = d.answers(3.01, 1)
    d.tell(i.BridgeLeft(at=d.at(3.02), bridge=f"b-{leg}", channel=leg))
    d.tell(i.ChannelGone(at=d.at(3.02), channel=leg, cause=16))
    d.held(3.1)
    visit = d.call_now().visit
    assert visit is not None and visit.since == since
    assert d.rung() == [2]
    d.answers(4, 2)
    d.goes(20)
    assert d.outcomes() == {"c1": "completed"}


def test_one_of_several_pauses_and_only_that_phone_is_taken_back() -> None:
    d = together()
    d.pauses(3, 2)
    assert [x.channel for x in d.wanted(e.WithdrawOffer) if isinstance(x, e.WithdrawOffer)] == [d.leg(2)]
    d.ends(3.1, 2, OfferStage.CALLER_GONE)
    assert d.rung() == [1, 3]
    d.answers(4, 1)
    assert d.agent(2).rest_until is None


def test_a_caller_hangs_up_in_the_instant_the_agent_answers() -> None:
    d = desk(1)
    d.calls(1)
    d.rings(8, 1)
    d.tell(i.HangupRequested(at=d.at(9), channel=ChannelId("c1")))
    d.answers(9, 1)
    d.tell(i.ChannelGone(at=d.at(9.01), channel=ChannelId("c1"), cause=16))
    assert d.outcomes() == {"c1": "completed"}
    assert d.agent(1).work is Work.IDLE


def test_a_phone_that_drops_off_the_network_while_it_rings_rests_and_the_caller_is_offered_to_another() -> (
    None
):
    d = desk(2)
    d.calls(1)
    d.rings(2, 1)
    d.tell(i.ChannelGone(at=d.at(3), channel=d.leg(1), cause=20))
    d.tell(i.DeviceReported(at=d.at(3), phone=PhoneId("demo-p1"), device=Device.UNREACHABLE))
    assert d.failed() == [(1, "unreachable")]
    assert d.rung() == [2]


def test_a_phone_that_drops_off_the_network_in_a_talk_brings_its_caller_to_the_front_and_to_another() -> None:
    d = desk(2, acw_s=20)
    d.calls(1)
    leg = d.answers(2, 1)
    d.drops_off(30, leg, 1)
    assert d.agent(1).work is Work.WRAPPING_UP
    assert d.rung() == [2]
    d.answers(31, 2)
    d.goes(50)
    assert d.outcomes() == {"c1": "completed"}
    assert d.books.records[CallId("c1")].visits == 2


def test_a_caller_joins_leaves_and_joins_again_and_is_two_calls_with_an_outcome_each() -> None:
    d = desk(0)
    d.calls(1, "c1", caller="0311112222")
    d.goes(31, "c1")
    d.calls(40, "c2", caller="0311112222")
    d.calls(41, "c3")
    assert d.floor.ahead(d.call_now("c2").queue, (5, d.at(40), "c2")) == 0
    d.goes(42, "c2")
    d.goes(43, "c3")
    assert d.outcomes() == {"c1": "abandoned", "c2": "abandoned_short", "c3": "abandoned_short"}


def test_a_caller_who_is_told_to_be_on_the_line_twice_has_one_visit() -> None:
    d = desk(0)
    d.calls(1)
    d.held(1.5)
    assert d.call_now().visits == 1


# -- nobody watched ------------------------------------------------------------------------------------------


def seen(d: Acd, call: str, context: str, **more: Any) -> i.ChannelSeen:
    fields = {
        "id": ChannelId(call),
        "name": f"PJSIP/trunk-{call}",
        "context": context,
        "application": "WaitForCondition" if context == "callcore-hold" else "Dial",
        "bridge": None,
        "call": CallId(call),
        "offer": None,
        "phone": None,
        "number": "demo-0",
        "caller": None,
        "created": d.at(1),
        "entered": d.at(1),
    }
    return i.ChannelSeen(**{**fields, **more})


def leg_seen(d: Acd, agent: int, bridge: str | None = None) -> i.ChannelSeen:
    return seen(d, "c1", "callcore-phones", id=d.leg(agent), phone=d.phone(agent), bridge=bridge)  # fmt: skip


def test_after_a_gap_three_phones_still_ring_and_the_answer_is_found() -> None:
    d = together()
    d.tell(i.LinkDropped(at=d.at(2), node=NODE))
    legs = [leg_seen(d, n) for n in (1, 2, 3)]
    d.snapshot(6, seen(d, "c1", "callcore-offer"), *legs)
    assert d.rung() == [1, 2, 3]
    d.answers(7, 2)
    d.goes(20)
    assert d.outcomes() == {"c1": "completed"}


def test_after_a_gap_one_of_three_talks_and_the_other_two_are_free() -> None:
    d = together()
    d.tell(i.LinkDropped(at=d.at(2), node=NODE))
    d.snapshot(9, seen(d, "c1", "callcore-offer", bridge="b"), leg_seen(d, 3, "b"))
    assert d.call_now().talking_with == "1003"
    assert d.failed() == [(1, "withdrawn"), (2, "withdrawn")]
    assert all((d.agent(n).work, d.agent(n).misses) == (Work.IDLE, 0) for n in (1, 2))


def test_after_a_gap_the_round_is_over_and_the_caller_waits_and_is_offered_anew() -> None:
    d = together()
    first = d.open_offer()
    d.tell(i.LinkDropped(at=d.at(2), node=NODE))
    d.snapshot(20, seen(d, "c1", "callcore-hold"))
    assert {result for _, result in d.failed()} == {"withdrawn"}
    assert d.rung() == [1, 2, 3]
    assert d.open_offer() != first


def test_after_a_gap_the_caller_of_a_round_has_gone() -> None:
    d = together()
    d.tell(i.LinkDropped(at=d.at(2), node=NODE))
    d.snapshot(20)
    assert list(d.outcomes()) == ["c1"]
    assert all(d.agent(n).work is Work.IDLE for n in (1, 2, 3))


def test_a_look_finds_that_one_phone_of_the_round_does_not_ring_any_more() -> None:
    d = together()
    d.snapshot(5, seen(d, "c1", "callcore-offer"), leg_seen(d, 1), leg_seen(d, 3), first=False)
    assert d.rung() == [1, 3]
    assert len(d.told(f.Healed)) == 1


def test_a_look_that_was_taken_before_the_round_began_changes_nothing() -> None:
    d = together()
    d.snapshot(2, seen(d, "c1", "callcore-hold"), first=False)
    assert d.rung() == [1, 2, 3]


def test_the_engine_dies_while_three_phones_ring_and_one_answers_meanwhile() -> None:
    d = together()
    legs = [d.leg(n) for n in (1, 2, 3)]
    d.restored()
    d.clock.clear()
    d.until(5)
    config = d.floor.configuration
    assert config is not None
    d.tell(i.RunBegins(at=d.at(5), run=d.floor.run + 1, software="test", configuration=config))
    one = seen(d, "c1", "callcore-phones", id=legs[1], phone=PhoneId("demo-p2"), bridge="b")
    d.snapshot(5.2, seen(d, "c1", "callcore-offer", bridge="b"), one)
    assert d.call_now().talking_with == "1002"
    d.goes(30)
    assert d.outcomes() == {"c1": "completed"}
