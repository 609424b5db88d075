"""What an agent lives through: pauses, after-call work, signing in and out."""

from __future__ import annotations

from typing import Any

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.ids import AgentId, CallId, ChannelId, PhoneId
from callcore.domain.stages import Device, Presence, Work
from tests.support.acd import Acd, crew, opened, person, queue, rule, site


def desk(agents: int = 1, **more: Any) -> Acd:
    d = opened(site(queue(**{"acw_s": 20, "acw_extend_s": 30, "acw_most_s": 60, **more}), staff=crew(agents)))
    d.comes(0, *range(1, agents + 1))
    return d


def talked(d: Acd, s: float, until: float, call: str = "c1") -> Acd:
    d.calls(s, call)
    d.answers(s, 1, call)
    d.goes(until, call)
    return d


def extend(d: Acd, s: float) -> None:
    d.until(s)
    d.tell(i.WrapUpExtendAsked(at=d.at(s), agent=AgentId("1001"), channel="x"))


# -- after-call work -----------------------------------------------------------------------------------------


def test_nobody_is_offered_anything_before_the_after_call_work_is_over() -> None:
    d = talked(desk(), 1, 30)
    d.calls(31, "c2")
    d.until(49.999)
    assert len(d.offered()) == 1
    d.until(50)
    assert len(d.offered()) == 2


def test_an_agent_who_is_ready_early_ends_the_after_call_work() -> None:
    d = talked(desk(), 1, 30)
    d.calls(31, "c2")
    d.ready(35, 1)
    assert d.rung("c2") == [1]
    d.until(60)
    assert len(d.told(f.WrapUpEnded)) == 1, "the timer of the long work is void"


def test_an_agent_lengthens_the_after_call_work_as_far_as_the_queue_lets_him() -> None:
    d = talked(desk(), 1, 30)
    d.calls(31, "c2")
    extend(d, 40)
    assert d.agent(1).wrap_up_until == d.at(80)
    extend(d, 45)
    assert d.agent(1).wrap_up_until == d.at(90), "a minute from the end of the talk is the most"
    extend(d, 46)
    assert d.effects[-1] == e.Reply("x", "not-possible")
    d.until(89.999)
    assert len(d.offered()) == 1
    d.until(90)
    assert d.rung("c2") == [1]


def test_there_is_nothing_to_lengthen_in_a_talk_or_while_idle() -> None:
    d = desk()
    extend(d, 1)
    d.calls(2)
    d.answers(3, 1)
    extend(d, 4)
    assert d.told(f.WrapUpExtended) == []


def test_each_queue_has_its_own_after_call_work() -> None:
    d = opened(site(queue("a", acw_s=10), queue("b", acw_s=45), staff=crew(1, "a b")))
    d.comes(0, 1)
    talked(d, 1, 30)
    assert d.agent(1).wrap_up_until == d.at(40)
    d.until(40)
    d.calls(41, "c2", number="demo-1")
    d.answers(41, 1, "c2")
    d.goes(50, "c2")
    assert d.agent(1).wrap_up_until == d.at(95)


def test_a_caller_who_was_moved_is_wrapped_up_by_the_rules_of_the_queue_he_was_answered_in() -> None:
    d = opened(
        site(
            queue("a", acw_s=10, overflow=(rule("no_agent", "queue", target="b"),)),
            queue("b", acw_s=45),
            staff=(person(1, "b"),),
        )
    )
    d.comes(0, 1)
    talked(d, 1, 30)
    assert d.agent(1).wrap_up_until == d.at(75)


# -- pause ---------------------------------------------------------------------------------------------------


def test_an_agent_on_pause_is_not_rung_and_is_again_after_it() -> None:
    d = desk()
    d.pauses(1, 1, "昼休み")
    d.calls(2)
    assert d.offered() == []
    assert d.agent(1).pause == "昼休み"
    d.ready(60, 1)
    assert d.rung() == [1]
    assert d.agent(1).idle_since == d.at(60), "a pause is no waiting for calls"


def test_who_pauses_in_a_talk_goes_on_talking_wraps_up_and_is_away_then() -> None:
    d = desk()
    d.calls(1)
    d.answers(2, 1)
    d.pauses(5, 1)
    assert d.agent(1).work is Work.TALKING
    d.goes(30)
    assert d.agent(1).work is Work.WRAPPING_UP
    d.calls(31, "c2")
    d.until(100)
    assert (d.agent(1).work, d.agent(1).presence) == (Work.IDLE, Presence.PAUSED)
    assert len(d.offered()) == 1


def test_who_pauses_in_the_after_call_work_and_is_ready_before_its_end_is_free_at_once() -> None:
    d = talked(desk(), 1, 30)
    d.pauses(32, 1)
    d.calls(33, "c2")
    d.ready(40, 1)
    assert d.rung("c2") == [1]


def test_a_pause_may_change_its_reason_and_the_same_one_twice_is_one() -> None:
    d = desk()
    d.pauses(1, 1, "事務")
    d.pauses(2, 1, "事務")
    assert len(d.told(f.AgentPaused)) == 1
    d.pauses(3, 1, "研修")
    assert (d.agent(1).pause, d.agent(1).paused_at) == ("研修", d.at(3))


def test_a_supervisor_pauses_an_agent_and_his_name_stands_in_the_fact() -> None:
    d = desk()
    d.tell(i.PauseAsked(at=d.at(1), agent=AgentId("1001"), reason="研修", by="監督者 1"))
    [paused] = d.told(f.AgentPaused)
    assert isinstance(paused, f.AgentPaused) and paused.by == "監督者 1"


def test_a_pause_stands_in_the_safety_net_too_and_is_set_right_by_a_look() -> None:
    d = desk()
    d.pauses(1, 1)
    phone, name = PhoneId("demo-p1"), d.agent(1).queues[0]
    assert e.PauseMember(name, phone, True) in d.effects
    d.effects.clear()
    d.snapshot(10, first=False, members=(i.Member(name, phone, False),))
    assert e.PauseMember(name, phone, True) in d.effects


def test_signing_in_again_on_the_same_phone_ends_a_pause_and_signing_out_forgets_it() -> None:
    d = desk()
    d.pauses(1, 1)
    d.comes(5, 1)
    assert d.agent(1).presence is Presence.READY
    d.pauses(6, 1)
    d.leaves(7, 1)
    d.comes(8, 1)
    assert (d.agent(1).presence, d.agent(1).pause) == (Presence.READY, None)


def test_who_is_signed_out_cannot_pause_and_is_told_so() -> None:
    d = opened(site(queue(), staff=crew(1)))
    d.tell(i.PauseAsked(at=d.at(1), phone=PhoneId("demo-p1"), reason="休憩", channel="x"))
    assert d.effects[-1] == e.Reply("x", "refused")


def test_nobody_signs_out_while_a_phone_rings_or_in_a_talk() -> None:
    d = desk()
    d.calls(1)
    d.leaves(2, 1)
    d.answers(3, 1)
    d.leaves(4, 1)
    assert d.told(f.AgentSignedOut) == []
    assert d.effects[-1] == e.Reply("x", "not-possible")


def test_an_agent_on_a_call_of_his_own_is_not_rung_and_keeps_the_place_in_the_order() -> None:
    d = desk(2)
    d.device(1, 1, Device.BUSY)
    d.calls(2, "c1")
    assert d.rung("c1") == [2]
    d.calls(3, "c2")
    assert d.call_now("c2").ringing == ()
    d.device(4, 1, Device.FREE)
    assert d.rung("c2") == [1]


def test_an_agent_whom_the_safety_net_rings_in_the_after_call_work_talks_and_has_one_thing_to_do() -> None:
    d = talked(desk(), 1, 30)
    d.calls(31, "c2")
    d.tell(i.CallerInNet(at=d.at(32), call=CallId("c2")))
    d.tell(
        i.DialBegan(
            at=d.at(33), call=CallId("c2"), channel=ChannelId("n"), phone=PhoneId("demo-p1"), offer=None
        )
    )
    d.join(34, "c2", ChannelId("n"))
    assert (d.agent(1).work, d.agent(1).wrap_up_until) == (Work.TALKING, None)
    d.goes(60, "c2")
    assert d.agent(1).wrap_up_until == d.at(80)
