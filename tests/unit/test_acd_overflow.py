"""オペレーター数を上回る入電: who overflows, when, how, and what the call ends as."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import OUTCOMES, Cause, Queue, Rung
from callcore.domain.ids import CallId, ChannelId, QueueId
from callcore.domain.stages import OfferStage, Outcome, Party, Stage, Treatment
from tests.support.acd import Acd, crew, opened, person, queue, rule, site
from tests.support.floors import NODE


def line(*rules: object, agents: int = 2, lines: int | None = None, **more: Any) -> Acd:
    """A queue with these rules, another one called `b`, and agents of both who are not there yet."""
    staff = (*crew(agents), person(50, "b"))
    return opened(site(queue(overflow=rules, **more), queue("b"), staff=staff, lines=lines))


def talking(d: Acd, *agents: int) -> None:
    """These agents are on duty and talk with callers who are not of the tale."""
    for n in agents:
        d.comes(0, n)
        d.calls(0, f"t{n}")
        d.answers(0, n, f"t{n}")


# -- every cause with every treatment ------------------------------------------------------------------------

LIMITS = {
    Cause.WAITING: 2,
    Cause.PER_AGENT: 2,
    Cause.LINES: 0,
    Cause.LONGEST_WAIT: 30,
    Cause.ESTIMATED_WAIT: 500,
    Cause.NO_AGENT: 0,
}


def brought_about(cause: Cause, then: Treatment) -> Acd:
    """A caller, c3, who overflows by this cause."""
    target = "b" if then in (Treatment.QUEUE, Treatment.AGENTS) else None
    named = rule(cause.value, then.value, LIMITS[cause], target)
    d = line(named, lines=3 if cause is Cause.LINES else None)
    if cause is not Cause.NO_AGENT:
        talking(d, 1)
    for n in (1, 2, 3):
        if n < 3 and cause in (Cause.NO_AGENT, Cause.LONGEST_WAIT):
            continue
        d.calls(10 + n, f"c{n}")
    d.until(10 + 3 + LIMITS[Cause.LONGEST_WAIT])
    return d


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("then", [Treatment.ANNOUNCE, Treatment.BUSY])
def test_a_caller_who_is_sent_away_ends_with_the_outcome_of_the_cause(cause: Cause, then: Treatment) -> None:
    d = brought_about(cause, then)
    assert d.sent_away() == {"c3": OUTCOMES[cause]}
    [wanted] = d.wanted(e.EndWait)
    assert wanted == e.EndWait(CallId("c3"), "PJSIP/trunk-c3", OUTCOMES[cause], then)
    d.tell(i.CallerOverflowed(at=d.at(60), call=CallId("c3"), outcome=OUTCOMES[cause]))
    d.ended_by_us(66, "c3")
    assert d.outcomes() == {"c3": OUTCOMES[cause].value}
    began = d.told(f.OverflowBegan)[0]
    assert isinstance(began, f.OverflowBegan)
    assert began.reasons and all(" / " in reason for reason in began.reasons)


@pytest.mark.parametrize("cause", list(Cause))
def test_a_caller_who_is_moved_to_another_queue_is_one_call_with_two_visits(cause: Cause) -> None:
    d = brought_about(cause, Treatment.QUEUE)
    call = d.call_now("c3")
    assert (call.queue, call.visits, call.been) == ("demo-b", 2, ("demo-q", "demo-b"))
    assert d.wanted(e.MoveCaller) == [e.MoveCaller(call.id, call.channel_name, QueueId("demo-b"))]
    entered = call.entered_at
    d.comes(70, 50)
    assert d.rung("c3") == [50]
    d.answers(71, 50, "c3")
    d.goes(90, "c3")
    assert d.outcomes() == {"c3": "completed"}
    record = d.books.records[CallId("c3")]
    assert (record.visits, record.entered_at) == (2, entered)


@pytest.mark.parametrize("cause", list(Cause))
def test_a_caller_for_whom_others_are_asked_stays_in_the_queue_and_the_place(cause: Cause) -> None:
    d = brought_about(cause, Treatment.AGENTS)
    call = d.call_now("c3")
    assert call.visit is not None
    assert (call.queue, call.visits, call.visit.also) == ("demo-q", 1, ("demo-b",))
    d.comes(70, 50)
    assert d.rung("c3") == [50]


# -- the rules -----------------------------------------------------------------------------------------------


def test_of_two_rules_that_hold_the_first_in_the_file_counts() -> None:
    d = line(rule("waiting", "announce", 1), rule("waiting", "busy", 1))
    talking(d, 1)
    d.calls(1, "c1")
    d.calls(2, "c2")
    [wanted] = d.wanted(e.EndWait)
    assert isinstance(wanted, e.EndWait) and wanted.treatment is Treatment.ANNOUNCE


def test_nobody_overflows_for_whom_an_agent_is_free() -> None:
    d = line(rule("waiting", "busy", 0), rule("lines", "busy"), lines=1)
    d.comes(0, 1, 2)
    d.calls(1, "c1")
    d.calls(2, "c2")
    assert d.sent_away() == {}
    d.calls(3, "c3")
    assert d.sent_away() == {"c3": Outcome.OVERFLOW_FULL}


def test_nobody_is_sent_away_in_the_instant_in_which_the_ladder_brings_a_free_agent() -> None:
    d = opened(
        site(
            queue(
                needs=(("en", 1),),
                ladder=(Rung(30, level=9),),
                overflow=(rule("longest_wait", "announce", 30),),
            ),
            staff=crew(1, en=5),
        )
    )
    d.comes(0, 1)
    d.calls(1)
    d.until(31)
    assert d.rung() == [1]
    assert d.sent_away() == {}


def test_who_came_last_overflows_and_who_was_there_stays() -> None:
    d = line(rule("waiting", "busy", 3), rule("no_agent", "announce"))
    talking(d, 1, 2)
    for n in range(5):
        d.calls(1 + n, f"c{n}")
    assert list(d.sent_away()) == ["c3", "c4"]
    assert all(d.call_now(f"c{n}").may_be_offered for n in range(3))


def test_an_agent_who_leaves_makes_the_last_callers_overflow() -> None:
    d = line(rule("per_agent", "busy", 2))
    talking(d, 1, 2)
    for n in range(4):
        d.calls(1 + n, f"c{n}")
    assert d.sent_away() == {}
    d.pauses(10, 1)
    assert list(d.sent_away()) == ["c3", "c2"]


def test_a_caller_who_comes_in_before_the_others_pushes_the_last_one_over_the_limit() -> None:
    d = opened(
        site(
            queue(overflow=(rule("waiting", "busy", 2),)),
            staff=crew(1),
            callers=(),
            numbers=(),
        )
    )
    plain = site(queue(overflow=(rule("waiting", "busy", 2),)), staff=crew(1))
    d.configured(
        0, replace(plain, numbers=(*plain.numbers, replace(plain.numbers[0], digits="hot", priority=1)))
    )
    talking(d, 1)
    d.calls(1, "c1")
    d.calls(2, "c2")
    d.calls(3, "hot", number="hot")
    assert list(d.sent_away()) == ["c2"]


def test_the_last_agent_who_pauses_sends_everybody_away_and_a_talk_goes_on() -> None:
    d = line(rule("no_agent", "announce"))
    talking(d, 1)
    d.calls(1, "c1")
    d.calls(2, "c2")
    d.pauses(5, 1)
    assert d.sent_away() == dict.fromkeys(("c2", "c1"), Outcome.OVERFLOW_NO_AGENT)
    assert d.call_now("t1").stage is Stage.TALKING


def test_a_caller_in_a_queue_without_agents_overflows_at_the_door() -> None:
    d = line(rule("no_agent", "announce"))
    d.calls(1)
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_NO_AGENT}
    assert d.call_now().visits == 1


def test_an_agent_who_comes_before_the_redirect_does_not_call_back_who_is_on_the_way_out() -> None:
    d = line(rule("no_agent", "announce"))
    d.calls(1, "c1")
    d.comes(1.1, 1)
    assert d.offered() == []
    d.calls(2, "c2")
    assert d.offered() == [("c2", 1)]


def test_a_limit_of_time_passes_while_a_phone_rings_and_counts_when_it_rang_out() -> None:
    d = line(rule("longest_wait", "announce", 20), agents=1)
    d.comes(0, 1)
    d.calls(12)
    d.rings(12, 1)
    d.until(22)
    d.ends(22, 1, None)
    d.tell(i.ChannelGone(at=d.at(22.1), channel=d.leg(1), cause=20))
    d.until(25)
    assert d.sent_away() == {}
    d.calls(26, "c2")
    d.until(32)
    assert list(d.sent_away()) == ["c1"]


def test_two_queues_that_overflow_into_each_other_send_nobody_round() -> None:
    d = opened(
        site(
            queue("a", overflow=(rule("no_agent", "queue", target="b"),)),
            queue("b", overflow=(rule("no_agent", "queue", target="a"),)),
            staff=crew(1, "a b"),
        )
    )
    d.calls(1)
    call = d.call_now()
    assert (call.been, call.stage) == (("demo-a", "demo-b"), Stage.WAITING)
    d.until(600)
    assert d.call_now().visits == 2
    d.comes(601, 1)
    assert d.rung() == [1]


def test_who_was_moved_stands_by_the_first_entry_among_the_others_there() -> None:
    d = line(rule("waiting", "queue", 1, "b"), agents=1)
    talking(d, 1)
    d.calls(1, "c1")
    d.calls(2, "b0", number="demo-1")
    d.calls(3, "c2")
    d.calls(4, "b1", number="demo-1")
    assert d.call_now("c2").queue == "demo-b"
    order = []
    d.comes(10, 50)
    for s in (11, 12, 13):
        order.append(d.offered()[-1][0])
        d.answers(s, 50, order[-1])
        d.goes(s + 0.5, order[-1])
    assert order == ["b0", "c2", "b1"]


def test_who_cannot_be_moved_again_hides_nobody_before_him_who_can() -> None:
    d = opened(
        site(
            queue("a", overflow=(rule("no_agent", "queue", target="b"),)),
            queue("b", overflow=(rule("waiting", "queue", 1, "a"),)),
            staff=(person(1, "b"), person(2, "a")),
        )
    )
    d.comes(0, 1)
    d.calls(1, "b1", number="demo-1")
    d.calls(2, "b2", number="demo-1")
    d.calls(3, "from-a")
    assert [d.call_now(c).queue for c in ("b1", "b2", "from-a")] == ["demo-b"] * 3
    d.rings(4, 1, call="b1")
    d.ends(5, 1, OfferStage.BUSY, "b1")
    assert d.call_now("from-a").queue == "demo-b", "he came from there"
    assert d.call_now("b2").queue == "demo-a", "one is before him now"


def test_a_limit_of_time_of_the_second_queue_counts_from_the_entry_there() -> None:
    d = opened(
        site(
            queue("a", overflow=(rule("longest_wait", "queue", 20, "b"),)),
            queue("b", overflow=(rule("longest_wait", "announce", 20),)),
            staff=crew(1, "a b"),
        )
    )
    d.calls(1)
    d.until(40.9)
    assert d.call_now().queue == "demo-b"
    assert d.sent_away() == {}
    d.until(41)
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_WAIT}


def test_two_rules_of_time_are_applied_one_after_the_other_and_never_in_a_loop() -> None:
    d = line(
        rule("longest_wait", "agents", 30, "b"),
        rule("longest_wait", "queue", 45, "b"),
        rule("estimated_wait", "busy", 9e9),
    )
    talking(d, 1)
    d.calls(0.5, "c1")
    d.until(31)
    assert d.call_now().visit is not None and d.call_now().visit.also == ("demo-b",)  # type: ignore[union-attr]
    d.until(300)
    assert (d.call_now().queue, d.call_now().visits) == ("demo-q", 1), "b's agents are asked already"
    assert d.told_n < 100


def test_an_estimate_is_looked_at_again_as_time_goes_by_and_agents_leave() -> None:
    d = line(rule("estimated_wait", "announce", 300), handling_s=400, patience_s=100_000)
    talking(d, 1, 2)
    d.calls(1, "c1")
    d.until(20)
    assert d.sent_away() == {}
    d.pauses(21, 2)
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_WAIT}


def test_a_line_that_is_given_back_lets_the_next_caller_wait() -> None:
    d = line(rule("lines", "busy"), lines=2)
    talking(d, 1)
    d.calls(1, "c1")
    d.calls(2, "c2")
    assert list(d.sent_away()) == ["c2"]
    d.goes(3, "c1")
    d.calls(4, "c3")
    assert list(d.sent_away()) == ["c2"]


# -- the end of a call in each moment of being sent away -----------------------------------------------------


def leaving() -> Acd:
    d = line(rule("no_agent", "announce"))
    d.calls(1)
    return d


def test_who_hangs_up_before_the_announcement_began_has_abandoned() -> None:
    d = leaving()
    d.goes(9)
    assert d.outcomes() == {"c1": "abandoned"}


def test_who_hangs_up_in_the_announcement_keeps_the_overflow_outcome_and_is_the_one_who_hung_up() -> None:
    d = leaving()
    d.tell(i.CallerOverflowed(at=d.at(1.2), call=CallId("c1"), outcome=Outcome.OVERFLOW_NO_AGENT))
    d.goes(9)
    assert d.outcomes() == {"c1": "overflow_no_agent"}
    assert d.hung_up_by() == {"c1": Party.CALLER}
    assert d.figures(d.at(10)).hangups_before_answer == 1


def test_an_announcement_whose_beginning_was_not_told_is_still_the_end_of_the_call() -> None:
    d = leaving()
    d.ended_by_us(9)
    assert d.outcomes() == {"c1": "overflow_no_agent"}


def test_who_could_not_be_redirected_waits_on_in_the_same_place_and_is_asked_a_second_later() -> None:
    d = leaving()
    before = d.call_now().entered_at
    d.tell(i.WaitNotEnded(at=d.at(1.5), call=CallId("c1"), reason="not in the wait"))
    assert d.call_now().leaving_as is None
    assert len(d.wanted(e.EndWait)) == 1
    d.until(2.499)
    assert len(d.wanted(e.EndWait)) == 1
    d.until(2.5)
    assert len(d.wanted(e.EndWait)) == 2
    assert d.call_now().entered_at == before


def test_who_could_not_be_redirected_is_answered_if_an_agent_comes_first() -> None:
    d = leaving()
    d.tell(i.WaitNotEnded(at=d.at(1.5), call=CallId("c1"), reason="not in the wait"))
    d.comes(2, 1)
    d.answers(3, 1)
    d.goes(9)
    assert d.outcomes() == {"c1": "completed"}


def test_a_redirect_that_finds_nobody_waits_for_the_hangup() -> None:
    d = leaving()
    d.tell(i.WaitNotEnded(at=d.at(1.5), call=CallId("c1"), reason="gone", caller_gone=True))
    assert len(d.wanted(e.EndWait)) == 1
    d.goes(1.6)
    assert d.outcomes() == {"c1": "abandoned_short"}


def here(d: Acd, context: str, application: str = "Playback") -> i.ChannelSeen:
    return i.ChannelSeen(
        ChannelId("c1"), "PJSIP/trunk-c1", context, application, None, CallId("c1"), None, None, "demo-0", None,
        d.at(1), d.at(1),
    )  # fmt: skip


def test_the_link_is_lost_and_the_caller_hears_the_announcement_when_it_is_back() -> None:
    d = leaving()
    d.tell(i.LinkDropped(at=d.at(1.1), node=NODE))
    d.snapshot(6, here(d, "callcore-overflow"))
    d.goes(9)
    assert d.outcomes() == {"c1": "overflow_no_agent"}


def test_the_link_is_lost_and_the_caller_is_still_in_the_wait_when_it_is_back() -> None:
    d = leaving()
    d.tell(i.LinkDropped(at=d.at(1.1), node=NODE))
    d.snapshot(6, here(d, "callcore-hold", "WaitForCondition"))
    assert d.call_now().leaving_as is None
    d.until(7)
    assert len(d.wanted(e.EndWait)) == 2


def test_the_engine_dies_before_the_redirect_and_an_agent_is_there_afterwards() -> None:
    d = leaving()
    d.restored()
    d.clock.clear()
    config = d.floor.configuration
    assert config is not None
    d.tell(i.RunBegins(at=d.at(3), run=2, software="test", configuration=config))
    d.comes(3.5, 1)
    assert d.offered() == []
    d.snapshot(4, here(d, "callcore-hold", "WaitForCondition"))
    assert d.rung() == [1]


def test_the_whole_end_is_told_by_cel_after_the_engine_was_dead() -> None:
    d = leaving()
    d.tell(i.LinkDropped(at=d.at(1.1), node=NODE))
    trace = i.CallTraced(
        call=CallId("c1"), number="demo-0", caller=None, name="PJSIP/trunk-c1", arrived=d.at(1), open=True,
        entered=d.at(1), net=None, answered=None, phone=None, talk_ended=None, ended=d.at(8), hung_up_by=Party.SYSTEM,
        overflow=(d.at(1.2), Outcome.OVERFLOW_NO_AGENT), last=d.at(8),
    )  # fmt: skip
    d.snapshot(20, traces=(trace,))
    assert d.outcomes() == {"c1": "overflow_no_agent"}


# -- beside the safety net -----------------------------------------------------------------------------------


def test_who_is_in_the_safety_net_overflows_by_no_rule_and_does_so_when_taken_back() -> None:
    d = line(rule("longest_wait", "announce", 20))
    talking(d, 1)
    d.calls(1)
    d.tell(i.CallerInNet(at=d.at(10), call=CallId("c1")))
    d.until(40)
    assert d.sent_away() == {}
    d.held(41)
    d.until(41)
    assert d.sent_away() == {"c1": Outcome.OVERFLOW_WAIT}


def test_who_fell_into_the_safety_net_while_being_sent_away_may_be_answered_there() -> None:
    d = leaving()
    d.tell(i.CallerInNet(at=d.at(1.3), call=CallId("c1")))
    d.tell(i.WaitNotEnded(at=d.at(1.6), call=CallId("c1"), reason="in the net"))
    d.until(60)
    assert len(d.wanted(e.EndWait)) == 1
    d.comes(61, 1)
    leg = ChannelId("net-leg")
    d.tell(i.DialBegan(at=d.at(62), call=CallId("c1"), channel=leg, phone=d.phone(1), offer=None))
    d.join(63, "c1", leg)
    d.goes(70)
    assert d.outcomes() == {"c1": "completed"}


def test_a_restart_tells_the_channel_again_in_which_queue_a_moved_caller_waits() -> None:
    """The engine may have died before the variable was set; the safety net goes by it."""
    d = line(rule("no_agent", "queue", target="b"))
    d.calls(1)
    assert d.call_now().queue == "demo-b"
    d.restored()
    d.clock.clear()
    d.effects.clear()
    config = d.floor.configuration
    assert config is not None
    d.tell(i.RunBegins(at=d.at(3), run=2, software="test", configuration=config))
    d.snapshot(4, here(d, "callcore-hold", "WaitForCondition"))
    assert d.wanted(e.MoveCaller) == [e.MoveCaller(CallId("c1"), "PJSIP/trunk-c1", QueueId("demo-b"))]


def test_who_waits_in_its_first_queue_is_not_told_to_the_channel_again() -> None:
    d = line()
    d.calls(1)
    d.tell(i.LinkDropped(at=d.at(1.1), node=NODE))
    d.snapshot(4, here(d, "callcore-hold", "WaitForCondition"))
    assert d.wanted(e.MoveCaller) == []


def test_words_of_a_rule_name_both_numbers() -> None:
    q: Queue = queue(overflow=(rule("waiting", "busy", 1),))
    d = opened(site(q, staff=crew(1)))
    talking(d, 1)
    d.calls(1, "c1")
    d.calls(2, "c2")
    began = d.told(f.OverflowBegan)[0]
    assert isinstance(began, f.OverflowBegan)
    assert began.reasons == ("前に 1 人 (上限 1) / 1 callers ahead, the limit is 1",)
