"""What callers hear between the music, when an agent who becomes free meanwhile rings, and what an overflow menu comes
to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Cause, Centre, Comfort, Overflow
from callcore.domain.ids import CallId, CentreId, ChannelId
from callcore.domain.stages import Choice, OfferStage, Party, Presence, Treatment, Work
from tests.support.acd import Acd, crew, opened, queue, site
from tests.support.floors import NODE

EACH = Comfort(every_s=30, first_s=10)
MENU = "demo-full"


def place(**more: Any) -> Centre:
    comfort = more.pop("comfort", EACH)
    agents = more.pop("agents", 2)
    return site(queue(comfort=comfort, handling_s=120, **more), staff=crew(agents))


def said(d: Acd, call: str = "c1") -> list[str]:
    return [x.said for x in d.facts if isinstance(x, f.ComfortBegan) and x.call == call]


def back(d: Acd, s: float, call: str = "c1") -> None:
    """The phrase or the menu is over."""
    d.until(s)
    aside = d.call_now(call).aside
    assert aside is not None
    d.tell(i.CallerHeld(at=d.at(s), call=CallId(call), aside=aside.number))


def busy(comfort: Comfort = EACH, **more: Any) -> Acd:
    """One agent in a talk, and a caller who waits from second 10 on."""
    d = opened(place(comfort=comfort, agents=1, **more))
    d.comes(0, 1)
    d.calls(1, "talk")
    d.answers(2, 1, "talk")
    d.calls(10)
    return d


# -- what is said, and when ------------------------------------------------------------------------------------


def test_place_and_wait_are_told_one_behind_the_other_and_again_after_the_distance() -> None:
    d = busy()
    d.until(19.9)
    assert said(d) == []
    d.until(20)
    assert said(d) == ["place-1"]
    back(d, 23)
    assert said(d) == ["place-1"], "the next one is due now"
    d.until(23.1)
    assert said(d) == ["place-1", "wait-2"]
    back(d, 27)
    d.until(56.9)
    assert len(said(d)) == 2
    d.until(57)
    assert said(d)[2:] == ["place-1"]


def test_nothing_is_promised_while_the_estimate_is_not_known() -> None:
    d = opened(place(comfort=replace(EACH, place=False)))
    d.calls(0)
    d.until(10)
    assert said(d) == ["place-1"], "nobody is on duty"


def test_announcements_take_turns_and_the_place_is_that_of_the_moment() -> None:
    d = busy(replace(EACH, wait=False, say=("documents", "web")))
    d.calls(11, "c2")
    for end in (24, 28, 62, 66):
        d.until(end - 3)
        if d.call_now("c2").aside is not None:
            back(d, end - 1, "c2")
    d.until(110)
    assert said(d, "c2")[:4] == ["place-2", "documents", "place-2", "web"]


def test_a_queue_without_comfort_says_nothing() -> None:
    d = opened(site(queue(), staff=crew(1)))
    d.calls(0)
    d.until(600)
    assert d.facts and not [x for x in d.facts if isinstance(x, f.ComfortBegan)]


# -- an agent becomes free meanwhile ---------------------------------------------------------------------------


def test_an_agent_who_becomes_free_is_reserved_and_rings_at_the_phrases_end() -> None:
    d = busy()
    d.until(21)
    d.goes(21, "talk")
    assert d.rung() == [1] and d.agent(1).work is Work.RESERVED
    assert len(d.wanted(e.OfferCall)) == 1, "the talk's own"
    d.calls(22, "c2")
    assert d.call_now("c2").offer is None, "the agent is kept for the first"
    back(d, 24)
    placed = d.wanted(e.OfferCall)[-1]
    assert isinstance(placed, e.OfferCall)
    assert (placed.call, placed.phones, placed.ring_s, placed.cut) == ("c1", ("demo-p1",), 10, False)
    d.rings(24.1, 1)
    d.ends(33.9, 1, OfferStage.NO_ANSWER)
    assert d.failed() == [(1, "no_answer")], "the ring time counts from the phrase's end"


def test_an_answer_after_the_phrase_has_the_whole_wait() -> None:
    d = busy()
    d.until(21)
    d.goes(21, "talk")
    back(d, 24)
    d.answers(25, 1)
    assert d.books.records[CallId("c1")].answered_at == d.at(25)
    assert d.figures(d.at(25)).answered == 2


def test_with_cut_the_offer_does_not_wait() -> None:
    d = busy(replace(EACH, cut=True))
    d.until(21)
    d.goes(21, "talk")
    placed = d.wanted(e.OfferCall)[-1]
    assert isinstance(placed, e.OfferCall) and (placed.call, placed.cut) == ("c1", True)
    assert d.call_now().aside is None
    d.tell(i.CallerHeld(at=d.at(22), call=CallId("c1"), aside=1))
    assert d.rung() == [1], "the phrase's own end, told late, changes nothing"


def test_a_lost_end_of_a_phrase_keeps_nobody() -> None:
    d = busy()
    d.until(21)
    d.goes(21, "talk")
    d.until(27.9)
    assert len(d.wanted(e.OfferCall)) == 1
    d.until(28)
    assert len(d.wanted(e.OfferCall)) == 2
    assert d.told(f.Healed)


def test_an_agent_who_pauses_while_reserved_is_let_go_and_another_is_reserved() -> None:
    d = opened(place())
    d.comes(0, 1)
    d.calls(1, "talk")
    d.answers(2, 1, "talk")
    d.calls(10)
    d.until(21)
    d.goes(21, "talk")
    d.pauses(22, 1)
    assert d.agent(1).presence is Presence.PAUSED and d.call_now().offer is None
    assert d.agent(1).work is Work.IDLE
    assert [x for x in d.effects if isinstance(x, e.WithdrawOffer)] == []
    d.comes(23, 2)
    assert d.rung() == [2]
    back(d, 24)
    placed = d.wanted(e.OfferCall)[-1]
    assert isinstance(placed, e.OfferCall) and placed.phones == ("demo-p2",)


def test_a_caller_who_puts_down_in_a_phrase_frees_the_agent_and_is_abandoned() -> None:
    d = busy()
    d.until(21)
    d.goes(21, "talk")
    d.goes(22)
    assert d.outcomes()["c1"] == "abandoned"
    assert d.agent(1).work is Work.IDLE
    d.until(200)
    assert d.floor.problems() == []


def test_an_emergency_closure_cuts_the_phrase_and_sends_the_caller_away() -> None:
    d = busy()
    d.until(21)
    d.tell(i.EmergencyAsked(at=d.at(21), centre=CentreId("demo"), reason="地震", by="係長"))
    [end] = d.wanted(e.EndWait)
    assert isinstance(end, e.EndWait) and end.cut and end.announcement == "emergency"
    assert d.call_now().aside is None


def test_a_limit_that_comes_in_a_phrase_waits_for_its_end() -> None:
    rules = (Overflow(Cause.LONGEST_WAIT, Treatment.ANNOUNCE, 11),)
    d = busy(overflow=rules)
    d.until(22)
    assert d.wanted(e.EndWait) == []
    back(d, 23)
    d.until(23.1)
    assert len(d.wanted(e.EndWait)) == 1


def test_a_phrase_that_was_not_begun_is_tried_again_after_the_distance_only() -> None:
    d = busy()
    d.until(20)
    d.tell(i.AsideNotBegun(at=d.at(20.5), call=CallId("c1"), number=1, reason="x"))
    assert d.call_now().aside is None
    d.until(50.4)
    assert len(said(d)) == 1
    d.until(50.5)
    assert len(said(d)) == 2


def test_the_net_takes_the_phrase_away() -> None:
    d = busy()
    d.until(21)
    d.tell(i.CallerInNet(at=d.at(22), call=CallId("c1")))
    assert d.call_now().in_net and d.call_now().aside is None


# -- callcore dies ---------------------------------------------------------------------------------------------


def seen(d: Acd, s: float, context: str, application: str) -> i.ChannelSeen:
    return i.ChannelSeen(
        id=ChannelId("c1"),
        name="PJSIP/trunk-c1",
        context=context,
        application=application,
        bridge=None,
        call=CallId("c1"),
        offer=None,
        phone=None,
        number="demo-0",
        caller=None,
        created=d.at(10),
        entered=d.at(10),
    )


def killed(d: Acd, s: float) -> None:
    """The engine is gone, and comes back with what the journal has."""
    d.clock.clear()
    assert d.floor.configuration is not None
    d.tell(i.RunBegins(at=d.at(s), run=d.floor.run + 1, software="test", configuration=d.floor.configuration))


@pytest.mark.parametrize("reserved", [False, True])
def test_killed_in_a_phrase_the_caller_is_found_back_on_the_line(reserved: bool) -> None:
    d = busy()
    d.until(21)
    if reserved:
        d.goes(21, "talk")
    killed(d, 26)
    d.snapshot(27, seen(d, 27, "callcore-hold", "WaitForCondition"))
    assert d.call_now().aside is None
    if reserved:
        assert d.rung() == [1]
        assert d.failed() == [(1, "withdrawn")], "what was wanted before is offered anew"


def test_killed_and_back_while_the_phrase_goes_on_the_reserved_agent_rings_at_its_end() -> None:
    d = busy()
    d.until(21)
    d.goes(21, "talk")
    killed(d, 22)
    d.snapshot(22.5, seen(d, 22.5, "callcore-comfort", "Playback"))
    assert d.rung() == [1]
    back(d, 24)
    placed = d.wanted(e.OfferCall)[-1]
    assert isinstance(placed, e.OfferCall) and placed.call == "c1"


# -- the overflow menu -----------------------------------------------------------------------------------------


def full(again_s: int = 0, **more: Any) -> Acd:
    """One caller may wait; the second is led into the menu."""
    rule = Overflow(Cause.WAITING, Treatment.MENU, 1, menu=MENU, again_s=again_s)
    more.setdefault("comfort", None)
    d = busy(overflow=(rule,), **more)
    d.calls(11, "c2")
    return d


def keyed(d: Acd, s: float, choice: Choice, call: str = "c2", to: str = "") -> None:
    d.until(s)
    d.tell(i.MenuKeyed(at=d.at(s), call=CallId(call), menu=MENU, key="1", choice=choice, to=to))


def test_a_caller_beyond_is_told_place_and_wait_and_led_into_the_menu() -> None:
    d = full()
    [led] = d.wanted(e.LeadAside)
    assert led == e.LeadAside(CallId("c2"), "PJSIP/trunk-c2", 1, ("place-2", "wait-4"), MENU)
    [began] = d.told(f.OverflowMenuBegan)
    assert isinstance(began, f.OverflowMenuBegan)
    assert began.outcome.value == "overflow_full" and began.reasons


def test_who_keeps_waiting_has_the_same_place_and_is_not_asked_again() -> None:
    d = full()
    d.calls(12, "c3")
    keyed(d, 15, Choice.WAIT)
    back(d, 15.1, "c2")
    keyed(d, 16, Choice.WAIT, "c3")
    back(d, 16.1, "c3")
    d.until(600)
    assert len(d.told(f.OverflowMenuBegan)) == 2
    d.goes(601, "talk")
    assert d.rung("c1") == [1]
    d.answers(602, 1, "c1")
    d.goes(610, "c1")
    assert d.rung("c2") == [1], "c2 entered before c3"


def test_nobody_is_offered_to_who_is_in_the_menu_and_the_next_in_line_is_served() -> None:
    d = full()
    d.goes(13, "c1")
    d.goes(14, "talk")
    assert d.call_now("c2").offer is None and d.agent(1).work is Work.IDLE
    d.calls(15, "c3")
    assert d.rung("c3") == [1]
    back(d, 16, "c2")
    assert d.call_now("c2").offer is None
    d.answers(17, 1, "c3")
    d.goes(20, "c3")
    assert d.rung("c2") == [1]


def test_a_call_back_waits_for_who_came_before_and_is_in_the_menu() -> None:
    d = full()
    d.calls(12, "c3", caller="0312345678")
    keyed(d, 15, Choice.CALLBACK, "c3")
    d.tell(i.CallbackTold(at=d.at(16), call=CallId("c3")))
    d.goes(17, "c3")
    d.goes(18, "c1")
    d.goes(19, "talk")
    assert d.wanted(e.CallBack) == [] and d.agent(1).work is Work.IDLE
    keyed(d, 20, Choice.WAIT)
    back(d, 20.1, "c2")
    assert d.rung("c2") == [1] and d.wanted(e.CallBack) == []
    d.answers(22, 1, "c2")
    d.goes(30, "c2")
    [called] = d.wanted(e.CallBack)
    assert isinstance(called, e.CallBack) and called.number == "0312345678"


@pytest.mark.parametrize(
    ("choices", "by_caller", "outcome"),
    [
        ((), True, "overflow_full"),
        ((Choice.NONE, Choice.WRONG), True, "overflow_full"),
        ((Choice.SAY,), True, "overflow_full"),
        ((Choice.SAY, Choice.END), False, "overflow_key"),
        ((Choice.FORWARD,), True, "overflow_key"),
        ((Choice.FORWARD,), False, "overflow_key"),
        ((Choice.FORWARD, Choice.UNREACHED), True, "abandoned"),
        ((Choice.WAIT,), True, "abandoned"),
        ((), False, "failed"),
    ],
)
def test_each_way_out_of_the_overflow_menu_is_one_outcome(
    choices: tuple[Choice, ...], by_caller: bool, outcome: str
) -> None:
    d = full()
    for n, choice in enumerate(choices):
        keyed(d, 20 + n, choice)
    if by_caller:
        d.goes(30, "c2")
    else:
        d.ended_by_us(30, "c2")
    assert d.outcomes() == {"c2": outcome}


def test_a_caller_who_came_back_and_is_answered_is_answered() -> None:
    d = full()
    back(d, 20, "c2")
    d.goes(21, "c1")
    d.goes(22, "talk")
    d.answers(23, 1, "c2")
    d.goes(40, "c2")
    assert d.outcomes()["c2"] == "completed"


def test_with_a_distance_the_caller_is_led_there_again() -> None:
    d = full(again_s=60)
    back(d, 20, "c2")
    d.until(79.9)
    assert len(d.told(f.OverflowMenuBegan)) == 1
    d.until(80.1)
    assert len(d.told(f.OverflowMenuBegan)) == 2


def test_a_longest_wait_leads_into_the_menu_and_the_rule_behind_it_holds_later() -> None:
    rules = (
        Overflow(Cause.LONGEST_WAIT, Treatment.MENU, 20, menu=MENU),
        Overflow(Cause.LONGEST_WAIT, Treatment.ANNOUNCE, 100),
    )
    d = busy(None, overflow=rules)  # type: ignore[arg-type]
    d.until(30)
    assert d.call_now().in_menu
    back(d, 40)
    d.until(109)
    assert not d.wanted(e.EndWait)
    d.until(110)
    assert len(d.wanted(e.EndWait)) == 1


def test_a_menu_that_was_not_begun_is_tried_again_a_second_later() -> None:
    d = full()
    d.tell(i.AsideNotBegun(at=d.at(11.5), call=CallId("c2"), number=1, reason="x"))
    assert d.call_now("c2").aside is None
    d.until(12.6)
    assert len(d.told(f.OverflowMenuBegan)) == 2


def test_killed_in_the_menu_the_keys_that_nobody_saw_are_told_and_the_place_is_kept() -> None:
    d = full()
    killed(d, 20)
    traced = i.CallTraced(
        call=CallId("c2"),
        number="demo-0",
        caller=None,
        name="PJSIP/trunk-c2",
        arrived=d.at(11),
        open=True,
        entered=d.at(11),
        net=None,
        answered=None,
        phone=None,
        talk_ended=None,
        ended=d.at(22),
        hung_up_by=Party.CALLER,
        menus=(i.MenuKeyed(at=d.at(21), call=CallId("c2"), menu=MENU, key="3", choice=Choice.END),),
    )
    d.snapshot(25, seen(d, 25, "callcore-hold", "WaitForCondition"), traces=(traced,))
    assert d.outcomes()["c2"] == "overflow_key"


def test_while_nobody_watches_no_phrase_is_taken_to_be_over() -> None:
    d = busy()
    d.until(21)
    d.tell(i.LinkDropped(at=d.at(22), node=NODE))
    d.until(60)
    assert d.call_now().aside is not None and not d.told(f.Healed)
    d.snapshot(61, seen(d, 61, "callcore-hold", "WaitForCondition"))
    assert d.call_now().aside is None
