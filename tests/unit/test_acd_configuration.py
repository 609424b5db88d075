"""New centre files on a floor at work: callers in every stage, agents in every work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Centre, Number, Rung
from callcore.domain.ids import CallId, PhoneId, QueueId
from callcore.domain.stages import OfferStage, Presence, Stage, Work
from tests.support.acd import crew, opened, person, queue, rule, site


def before(**more: Any) -> Centre:
    return site(queue("a"), queue("b"), staff=(person(1, "a b"), person(2, "a b")), **more)


def after_() -> Centre:
    """Queue `a` is no more; its number leads to `b`."""
    staff = (person(1, "b"), person(2, "b"))
    return replace(
        site(queue("b"), staff=staff),
        numbers=(Number("demo-0", QueueId("demo-b")), Number("demo-1", QueueId("demo-b"))),
    )


def test_a_waiting_caller_whose_queue_is_taken_out_waits_in_the_numbers_queue_in_the_same_place() -> None:
    d = opened(before())
    d.calls(1, "c1")
    d.calls(2, "c2", number="demo-1")
    d.configured(5, after_())
    assert [d.call_now(c).queue for c in ("c1", "c2")] == ["demo-b", "demo-b"]
    d.comes(6, 1)
    assert d.offered() == [("c1", 1)]


def test_a_caller_in_the_greeting_whose_queue_is_taken_out_comes_into_the_numbers_queue() -> None:
    d = opened(before())
    d.comes(0, 1)
    d.calls(1, waits=False)
    d.configured(2, after_())
    d.held(5)
    assert d.call_now().queue == "demo-b"
    assert d.rung() == [1]
    assert e.MoveCaller(CallId("c1"), "PJSIP/trunk-c1", QueueId("demo-b")) in d.effects


def test_a_caller_for_whom_a_phone_rings_as_the_queue_is_taken_out_is_answered_by_it() -> None:
    d = opened(before())
    d.comes(0, 1)
    d.calls(1)
    d.rings(2, 1)
    d.configured(3, after_())
    d.answers(4, 1)
    d.goes(9)
    assert d.outcomes() == {"c1": "completed"}
    assert d.agent(1).work is Work.IDLE


def test_a_caller_for_whom_a_phone_rang_out_as_the_queue_was_taken_out_waits_in_the_numbers_queue() -> None:
    d = opened(before())
    d.comes(0, 1)
    d.calls(1)
    d.rings(2, 1)
    d.configured(3, after_())
    d.ends(12, 1, OfferStage.NO_ANSWER)
    assert d.call_now().queue == "demo-b"
    d.comes(13, 2)
    assert d.rung() == [2]


def test_a_caller_whose_talk_is_lost_after_the_queue_was_taken_out_comes_into_the_numbers_queue() -> None:
    d = opened(before())
    d.comes(0, 1)
    d.calls(1)
    leg = d.answers(2, 1)
    d.configured(3, after_())
    d.comes(4, 2)
    d.drops_off(10, leg, 1)
    assert d.rung() == [2]


def test_a_caller_in_the_safety_net_stays_there_when_the_queue_is_taken_out() -> None:
    d = opened(before())
    d.comes(0, 1)
    d.pauses(0, 1)
    d.calls(1)
    d.tell(i.CallerInNet(at=d.at(2), call=CallId("c1")))
    d.configured(3, after_())
    assert d.call_now().in_net
    d.ready(4, 1)
    assert d.offered() == []
    d.held(5)
    assert d.rung() == [1]


def test_nobody_is_moved_whose_queue_is_still_there_and_new_rules_hold_at_once() -> None:
    d = opened(before())
    d.calls(1, "c1")
    d.calls(2, "c2")
    d.configured(
        5, site(queue("a", overflow=(rule("waiting", "busy", 1),)), queue("b"), staff=before().agents)
    )
    assert list(d.sent_away()) == ["c2"]
    assert d.call_now().visits == 1


def test_a_limit_of_time_in_the_new_files_counts_from_the_entry() -> None:
    d = opened(before())
    d.calls(1)
    d.configured(
        5, site(queue("a", overflow=(rule("longest_wait", "busy", 20),)), queue("b"), staff=before().agents)
    )
    d.until(20.9)
    assert d.sent_away() == {}
    d.until(21)
    assert list(d.sent_away()) == ["c1"]


def test_a_skill_that_is_entered_in_the_files_puts_the_waiting_caller_through_at_once() -> None:
    needs = queue("a", needs=(("en", 2),))
    d = opened(site(needs, staff=(person(1, "a"),)))
    d.comes(0, 1)
    d.calls(1)
    assert d.offered() == []
    d.configured(5, site(needs, staff=(person(1, "a", en=2),)))
    assert d.rung() == [1]


def test_an_idle_agent_who_is_taken_out_of_the_files_is_signed_out() -> None:
    d = opened(before())
    d.comes(0, 1, 2)
    d.configured(5, replace(before(), agents=before().agents[:1]))
    assert [x.agent for x in d.told(f.AgentSignedOut) if isinstance(x, f.AgentSignedOut)] == ["1002"]


@pytest.mark.parametrize("how", ["ringing", "talking", "wrapping up"])
def test_an_agent_who_is_taken_out_while_at_work_keeps_the_work_and_is_signed_out_by_the_next_look(
    how: str,
) -> None:
    d = opened(site(queue("a", acw_s=20), staff=(person(1, "a"), person(2, "a")), keep=1))
    d.comes(0, 1, 2)
    d.calls(1)
    if how == "ringing":
        d.rings(2, 1)
    else:
        d.answers(2, 1)
    if how == "wrapping up":
        d.goes(4)
    left = site(queue("a", acw_s=20), staff=(person(2, "a"),), keep=1)
    d.configured(5, left)
    assert d.agent(1).presence is Presence.READY
    if how == "ringing":
        d.ends(11, 1, OfferStage.NO_ANSWER)
        assert d.rung() == [2]
    elif how == "talking":
        d.goes(20)
    d.until(41)
    d.snapshot(41, first=False)
    assert d.agent(1).presence is Presence.SIGNED_OUT
    assert dict(d.floor.own_duty) == {"demo": 1}
    d.comes(50, 1)
    assert d.agent(1).presence is Presence.SIGNED_OUT, "who is not in the files cannot sign in"


def test_an_idle_agent_whose_phone_is_taken_out_of_the_files_is_signed_out_and_nobody_waits_for_him() -> None:
    d = opened(site(queue("a", overflow=(rule("no_agent", "announce"),)), staff=crew(1, "a")))
    d.comes(0, 1)
    d.configured(5, site(queue("a", overflow=(rule("no_agent", "announce"),)), staff=crew(1, "a"), phones=()))
    assert d.agent(1).presence is Presence.SIGNED_OUT
    d.calls(6)
    assert list(d.sent_away()) == ["c1"]


def test_the_same_files_change_nothing_and_new_ones_ask_asterisk_for_the_nets_members() -> None:
    d = opened(before())
    d.configured(5, before(), version="first")
    assert d.last is not None and d.last.disregarded is not None
    d.configured(6, before(), version="second")
    assert e.Look() in d.effects


def test_a_talk_keeps_its_agent_and_its_after_call_work_follows_the_new_files() -> None:
    d = opened(site(queue("a", acw_s=10), staff=crew(1, "a")))
    d.comes(0, 1)
    d.calls(1)
    d.answers(2, 1)
    d.configured(5, site(queue("a", acw_s=40), staff=crew(1, "a")))
    d.goes(20)
    assert d.agent(1).wrap_up_until == d.at(60)


def test_a_whole_centre_is_taken_out_and_its_talk_ends_as_it_would_have() -> None:
    other = site(queue("other-q"), name="other")
    d = opened(before(), other)
    d.comes(0, 1)
    d.calls(1)
    leg = d.answers(2, 1)
    d.calls(3, "c2")
    d.configured(5, other)
    d.goes(20, by=leg)
    d.goes(21, "c2")
    assert d.outcomes() == {"c1": "completed", "c2": "abandoned"}
    assert not d.floor.calls


def test_a_ladder_that_is_shortened_while_a_caller_stands_on_its_last_rung() -> None:
    needs = (("en", 1),)
    long = queue("a", needs=needs, ladder=(Rung(5, level=2), Rung(10, level=9)))
    d = opened(site(long, staff=(person(1, "a", en=9), person(2, "a", en=1))))
    d.calls(1)
    d.until(20)
    d.configured(
        21,
        site(replace(long, ladder=(Rung(5, level=2),)), staff=(person(1, "a", en=9), person(2, "a", en=1))),
    )
    d.comes(22, 1)
    assert d.offered() == []
    d.comes(23, 2)
    assert d.rung() == [2]


def test_a_seat_that_is_fixed_anew_holds_from_the_next_sign_in() -> None:
    d = opened(before())
    d.comes(0, 1)
    fixed = replace(before().agents[0], phone=PhoneId("demo-p2"))
    d.configured(5, replace(before(), agents=(fixed, before().agents[1])))
    assert d.agent(1).phone == "demo-p1"
    d.calls(6)
    assert d.rung() == [1]
    assert d.call_now().stage is Stage.OFFERED
