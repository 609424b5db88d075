"""One call through the core, in every way this stage of callcore knows."""

from __future__ import annotations

from dataclasses import replace

from callcore.ami.translate import translate
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.ids import AgentId, CallId, ChannelId, PhoneId, QueueId
from callcore.domain.stages import Device, OfferStage, Outcome, Party, Presence, Work
from tests.support.floors import NODE, Desk, centre, configuration, failed
from tests.unit.test_unwelcome_list import event


def desk(agents: int = 3, **more: int) -> Desk:
    return Desk().begin(configuration(centre(agents, **more)))


def offers(of: Desk) -> list[str]:
    return [fact.agent for fact in of.facts if isinstance(fact, f.OfferMade)]


def test_a_caller_who_waits_rings_the_agent_who_has_been_idle_longest_and_nobody_else() -> None:
    d = desk()
    for n, s in ((2, 1), (1, 2), (3, 3)):
        d.sign_in(s, n)
    d.wait(10)
    assert offers(d) == ["1002"]
    assert [x.phones for x in d.effects if isinstance(x, e.OfferCall)] == [("demo-p2",)]


def test_it_is_known_that_the_recording_notice_was_said_before_the_first_wait_and_in_which_language() -> None:
    for said in ("en", None):
        told = {"UserEvent": "CallcoreHeld", "Call": "c1"} | ({} if said is None else {"Notice": said})
        d = desk()
        d.arrive(1)
        held = translate(event(**told), NODE)
        assert isinstance(held, i.CallerHeld)
        d.tell(replace(held, at=d.at(3)))
        [visit] = d.told(f.VisitBegan)
        assert isinstance(visit, f.VisitBegan) and visit.notice == said


def test_a_caller_without_a_free_agent_is_offered_as_soon_as_one_signs_in() -> None:
    d = desk()
    d.wait(1)
    assert offers(d) == []
    d.sign_in(5, 1)
    assert offers(d) == ["1001"]


def test_a_phone_that_is_still_off_hook_after_signing_in_is_not_rung() -> None:
    d = desk()
    d.wait(1)
    d.tell(
        i.SignInAsked(at=d.at(2), agent=AgentId("1001"), phone=PhoneId("demo-p1"), channel="x", verified=True)
    )
    assert offers(d) == []
    d.device(3, 1, Device.FREE)
    assert offers(d) == ["1001"]


def test_an_answered_call_ends_completed_and_the_agent_wraps_up_before_the_next_one() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    leg = d.pick_up(14)
    d.wait(15, "c2")
    d.hang_up(100, by=leg)
    assert d.outcomes() == {"c1": "completed"}
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded) and ended.hung_up_by is Party.AGENT
    assert d.floor.agents[AgentId("1001")].work is Work.WRAPPING_UP
    assert offers(d) == ["1001"]
    d.tell(i.TimerFired(at=d.at(129), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    assert offers(d) == ["1001"], "the after-call work is not over yet"
    d.tell(i.TimerFired(at=d.at(130), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    assert offers(d) == ["1001", "1001"]


def test_an_answered_wait_is_measured_from_the_queue_to_the_bridge() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    d.pick_up(14)
    assert d.figures(d.at(14)).wait_mean_s == 4.0
    assert d.figures(d.at(14)).answer_ratio.value == 1.0


def test_an_agent_who_does_not_answer_is_passed_over_and_the_caller_keeps_the_place() -> None:
    d = desk(2)
    d.sign_in(1, 1)
    d.sign_in(2, 2)
    d.wait(10)
    d.wait(11, "c2")
    d.wait(12, "c3")
    d.ring(10)
    failed(OfferStage.NO_ANSWER, d, 25)
    assert offers(d) == ["1001", "1002"], "1001 rests, 1002 rings for c2: nobody is left"
    d.ring(26, "c2")
    failed(OfferStage.REJECTED, d, 27, "c2")
    d.tell(i.TimerFired(at=d.at(45), timer=i.Timer(i.TimerKind.REST, "1001")))
    made = [fact for fact in d.facts if isinstance(fact, f.OfferMade)]
    assert [(m.call, m.agent) for m in made][-1] == ("c1", "1001"), "first in, first served, after a miss too"


def test_a_phone_that_declines_has_refused_although_asterisk_says_no_answer() -> None:
    d = desk(2, ring_s=15)
    d.sign_in(1, 1)
    d.sign_in(2, 2)
    d.wait(10)
    d.ring(10)
    failed(OfferStage.NO_ANSWER, d, 12)
    d.ring(12.1)
    failed(OfferStage.NO_ANSWER, d, 27.1)
    results = [x.result for x in d.facts if isinstance(x, f.OfferFailed)]
    assert results == [OfferStage.REJECTED, OfferStage.NO_ANSWER]


def test_a_caller_who_gives_up_waiting_is_abandoned_and_within_five_seconds_short() -> None:
    d = desk()
    d.wait(10)
    d.hang_up(40)
    d.arrive(50, "c2")
    d.hang_up(54, "c2")
    assert d.outcomes() == {"c1": "abandoned", "c2": "abandoned_short"}
    assert d.figures(d.at(60)).hangups_before_answer == 2


def test_a_caller_who_hangs_up_while_a_phone_rings_frees_the_agent_at_once() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    d.ring(10)
    d.hang_up(20)
    assert d.outcomes() == {"c1": "abandoned"}
    failed_offers = [fact for fact in d.facts if isinstance(fact, f.OfferFailed)]
    assert [x.result for x in failed_offers] == [OfferStage.CALLER_GONE]
    assert d.floor.agents[AgentId("1001")].work is Work.IDLE
    assert d.floor.agents[AgentId("1001")].rest_until is None


def test_an_agent_who_picks_up_as_the_caller_hangs_up_has_not_let_it_ring_out() -> None:
    """As a real Asterisk told it, all within 2 ms: the caller's BYE, "no answer", both in one bridge, the end."""
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    offer, leg = d.open_offer(), d.ring(10.01)
    d.tell(i.HangupRequested(at=d.at(10.5), channel=ChannelId("c1")))
    d.tell(
        i.DialEnded(at=d.at(10.5), call=CallId("c1"), channel=leg, offer=offer, result=OfferStage.NO_ANSWER)
    )
    d.join(10.5, "c1", leg)
    for channel in (ChannelId("c1"), leg):
        d.tell(i.BridgeLeft(at=d.at(10.501), bridge=f"b-{leg}", channel=channel))
    for channel in (leg, ChannelId("c1")):
        d.tell(i.ChannelGone(at=d.at(10.501), channel=channel, cause=16))
    answered = d.told(f.CallAnswered)[0]
    assert isinstance(answered, f.CallAnswered)
    assert (answered.offer, answered.by_net) == (offer, False)
    assert d.told(f.OfferFailed) == []
    assert d.floor.agents[AgentId("1001")].rest_until is None
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded)
    assert (ended.outcome, ended.hung_up_by) == (Outcome.COMPLETED, Party.CALLER)


def test_a_caller_who_hangs_up_as_the_redirect_is_sent_is_gone_and_was_not_refused() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    d.tell(i.HangupRequested(at=d.at(10.001), channel=ChannelId("c1")))
    d.tell(
        i.OfferNotPlaced(at=d.at(10.002), call=CallId("c1"), offer=d.open_offer(), reason="channel not up")
    )
    d.hang_up(10.003)
    over = d.told(f.OfferFailed)[0]
    assert isinstance(over, f.OfferFailed)
    assert over.result is OfferStage.CALLER_GONE
    assert d.outcomes() == {"c1": "abandoned_short"}


def test_a_caller_outside_hours_ends_closed_and_rings_nobody() -> None:
    d = Desk().begin(configuration(centre(2, open_all_day=False)))
    d.sign_in(0, 1)
    d.arrive(8 * 3600, open=False)
    d.tell(i.CallerHeld(at=d.at(8 * 3600 + 1), call=CallId("c1")))
    d.hang_up(8 * 3600 + 2)
    assert d.outcomes() == {"c1": "closed"}
    assert offers(d) == []
    assert d.told(f.AdmissionDiffered) == []


def test_a_dialplan_that_decides_otherwise_than_the_calendar_is_noted() -> None:
    d = Desk().begin(configuration(centre(2, open_all_day=False)))
    d.arrive(0, open=False)
    assert len(d.told(f.AdmissionDiffered)) == 1


def test_the_kernels_tick_between_asterisks_two_clocks_is_no_difference_between_dialplan_and_calendar() -> (
    None
):
    closing = 6 * 3600.0  # 18:00
    d = Desk().begin(configuration(centre(2, open_all_day=False)))
    d.arrive(closing + 0.006, "c1", open=True)
    assert d.told(f.AdmissionDiffered) == []
    d.arrive(closing + 0.03, "c2", open=True)
    d.arrive(closing + 0.03, "c3", open=False)
    differed = d.told(f.AdmissionDiffered)
    assert [x.call for x in differed if isinstance(x, f.AdmissionDiffered)] == ["c2"]


def test_a_busy_or_unreachable_phone_costs_the_agent_a_rest_but_not_the_place() -> None:
    d = desk(2)
    d.sign_in(1, 1)
    d.sign_in(2, 2)
    d.wait(10)
    d.tell(
        i.OfferReturned(at=d.at(10.1), call=CallId("c1"), offer=d.open_offer(), result=OfferStage.UNREACHABLE)
    )
    assert offers(d) == ["1001", "1002"]
    assert d.floor.agents[AgentId("1001")].idle_since == d.at(1)


def test_a_redirect_that_was_not_done_gives_the_caller_another_offer_a_second_later() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    first = d.open_offer()
    d.tell(i.OfferNotPlaced(at=d.at(10.5), call=CallId("c1"), offer=first, reason="not in hold"))
    assert d.floor.calls[CallId("c1")].offer is None
    d.tell(i.TimerFired(at=d.at(11.5), timer=i.Timer(i.TimerKind.REST, "1001")))
    assert d.open_offer() != first
    d.tell(
        i.DialEnded(
            at=d.at(12), call=CallId("c1"), channel=ChannelId("y"), offer=first, result=OfferStage.BUSY
        )
    )
    assert d.last is not None and d.last.disregarded is not None


def test_a_redirect_that_came_too_late_for_the_caller_makes_no_offer_to_nobody() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(4)
    d.tell(
        i.OfferNotPlaced(
            at=d.at(4.5), call=CallId("c1"), offer=d.open_offer(), reason="gone", caller_gone=True
        )
    )
    assert len(offers(d)) == 1
    d.hang_up(10.6)
    assert d.outcomes() == {"c1": "abandoned"}
    assert d.floor.agents[AgentId("1001")].rest_until is None


def test_a_caller_lost_on_hold_is_told_from_a_completed_call() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    leg = d.pick_up(12)
    d.tell(i.HoldChanged(at=d.at(20), channel=leg, held=True))
    d.hang_up(50)
    assert d.outcomes() == {"c1": "lost_on_hold"}
    assert next(iter(d.books.records.values())).hold == 30_000_000


def test_a_talk_lost_by_the_phones_failure_brings_the_caller_back_to_the_front_of_the_line() -> None:
    d = desk(2)
    d.sign_in(0, 1)
    d.wait(10)
    leg = d.pick_up(12)
    d.wait(20, "c2")
    d.tell(i.BridgeLeft(at=d.at(30), bridge=f"b-{leg}", channel=leg))
    d.tell(i.ChannelGone(at=d.at(30), channel=leg, cause=44))
    d.tell(i.CallerHeld(at=d.at(30.1), call=CallId("c1")))
    d.sign_in(31, 2)
    assert [(m.call, m.agent) for m in d.facts if isinstance(m, f.OfferMade)][-1] == ("c1", "1002")
    d.hang_up(40)
    assert d.outcomes() == {"c1": "cut_off"}


def test_a_caller_in_the_safety_net_is_reclaimed_first_in_first_out_but_not_while_a_member_rings() -> None:
    d = desk(1)
    names = ["c1", "c2", "c3"]
    for n, name in enumerate(names):
        d.wait(10 + n, name)
    d.tell(i.LinkDropped(at=d.at(20), node=NODE))
    seen = [_in_net(d, n) for n in names]
    ringing = i.ChannelSeen(
        ChannelId("leg"),
        "PJSIP/demo-p1-1",
        "callcore-net",
        None,
        None,
        CallId("c1"),
        None,
        PhoneId("demo-p1"),
        None,
        None,
        d.at(29),
        None,
    )
    d.snapshot(30, *seen, ringing)
    assert [x.call for x in d.effects if isinstance(x, e.ReclaimCaller)] == ["c2", "c3"]


def test_a_caller_whose_longest_wait_is_over_is_left_in_the_net_and_comes_to_its_end() -> None:
    """Taken back, this caller would be let go at once, and go round until putting down."""
    d = desk(1)
    longest = d.floor.queues[QueueId("demo-general")].longest_wait_s
    d.wait(10, "c1")
    d.wait(400, "c2")
    d.tell(i.CallerInNet(at=d.at(10 + longest + 30), call=CallId("c1")))
    d.tell(i.CallerInNet(at=d.at(10 + longest + 31), call=CallId("c2")))
    d.snapshot(10 + longest + 38, _in_net(d, "c1"), _in_net(d, "c2"), first=False)
    assert [x.call for x in d.effects if isinstance(x, e.ReclaimCaller)] == ["c2"]


def _in_net(d: Desk, name: str) -> i.ChannelSeen:
    return i.ChannelSeen(
        ChannelId(name),
        f"PJSIP/trunk-{name}",
        "callcore-net",
        "Queue",
        None,
        CallId(name),
        None,
        None,
        None,
        None,
        d.at(10),
        d.at(10),
    )


def test_a_caller_whom_the_safety_net_gave_up_is_failed_whoever_puts_down() -> None:
    d = desk(1)
    for n, name in enumerate(("c1", "c2")):
        d.wait(10 + n, name)
        d.tell(i.CallerInNet(at=d.at(20), call=CallId(name)))
        d.tell(i.CallerApologised(at=d.at(90), call=CallId(name)))
    d.sign_in(91, 1)
    assert offers(d) == [], "who hears the apology is not called back into the line"
    d.hang_up(92, "c1")
    d.tell(i.ChannelGone(at=d.at(95), channel=ChannelId("c2"), cause=16))
    assert d.outcomes() == {"c1": "failed", "c2": "failed"}
    assert d.figures(d.at(99)).failed == 2


def test_an_agent_who_signs_in_elsewhere_is_signed_out_of_the_first_phone() -> None:
    d = desk(2)
    d.sign_in(0, 1)
    d.sign_in(5, 1, phone=2)
    assert d.floor.agents[AgentId("1001")].phone == "demo-p2"
    assert dict(d.floor.seated) == {"demo-p2": "1001"}
    assert e.RemoveMember(d.floor.agents[AgentId("1001")].queues[0], PhoneId("demo-p1")) in d.effects


def test_a_wrong_pin_signs_nobody_in_and_says_so() -> None:
    d = desk(1)
    d.tell(
        i.SignInAsked(
            at=d.at(1), agent=AgentId("1001"), phone=PhoneId("demo-p1"), channel="x", verified=False
        )
    )
    assert d.floor.agents[AgentId("1001")].presence is Presence.SIGNED_OUT
    assert e.Reply("x", "refused") in d.effects


def test_a_call_that_came_and_went_while_callcore_was_dead_is_in_the_books_as_reconstructed() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.tell(i.LinkDropped(at=d.at(20), node=NODE))
    trace = i.CallTraced(
        call=CallId("c9"),
        number="0975105151",
        caller="0311112222",
        name="PJSIP/trunk-c9",
        arrived=d.at(30),
        open=True,
        entered=d.at(40),
        net=d.at(45),
        answered=d.at(50),
        phone=PhoneId("demo-p1"),
        talk_ended=d.at(90),
        ended=d.at(90.1),
        hung_up_by=Party.CALLER,
        last=d.at(90.1),
    )
    d.snapshot(120, traces=(trace,))
    record = d.books.records[CallId("c9")]
    assert (record.outcome, record.by_net, record.agent, record.reconstructed) == (
        next(o for o in type(record.outcome) if o.value == "completed"),  # type: ignore[union-attr,misc]
        True,
        "1001",
        True,
    )
    assert d.figures(d.at(130)).reconstructed == 1


def test_a_talk_that_went_on_while_callcore_was_dead_is_adopted() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    d.wait(10)
    d.tell(i.LinkDropped(at=d.at(11), node=NODE))
    caller = i.ChannelSeen(
        ChannelId("c1"),
        "PJSIP/trunk-c1",
        "callcore-offer",
        "Dial",
        "b1",
        CallId("c1"),
        None,
        None,
        None,
        None,
        d.at(10),
        d.at(10),
    )
    phone = i.ChannelSeen(
        ChannelId("l1"),
        "PJSIP/demo-p1-1",
        "callcore-phones",
        None,
        "b1",
        CallId("c1"),
        None,
        PhoneId("demo-p1"),
        None,
        None,
        d.at(11),
        None,
    )
    d.snapshot(60, caller, phone)
    assert d.floor.agents[AgentId("1001")].work is Work.TALKING
    d.hang_up(100)
    assert d.outcomes() == {"c1": "completed"}


def test_a_forgotten_caller_is_found_by_the_next_look_at_asterisk() -> None:
    d = desk(1)
    d.sign_in(0, 1)
    lost = i.ChannelSeen(
        ChannelId("c7"),
        "PJSIP/trunk-c7",
        "callcore-hold",
        "WaitForCondition",
        None,
        CallId("c7"),
        None,
        None,
        "0975105151",
        None,
        d.at(10),
        d.at(11),
    )
    d.snapshot(20, lost, first=False)
    assert d.floor.calls[CallId("c7")].offer is not None
    assert len(d.told(f.Healed)) == 1


def test_an_agent_who_was_taken_out_of_the_centre_file_keeps_the_call_in_hand_and_gets_no_other() -> None:
    d = desk(2)
    d.sign_in(0, 1)
    d.sign_in(0, 2)
    d.wait(10)
    assert offers(d) == ["1001"]
    leg = d.pick_up(12)
    fewer = centre(2)
    without = Configuration("other", (replace(fewer, agents=fewer.agents[1:]),))
    d.tell(i.RunBegins(at=d.at(20), run=d.floor.run + 1, software="test", configuration=without))
    caller = i.ChannelSeen(
        ChannelId("c1"), "PJSIP/trunk-c1", "callcore-offer", "Dial", f"b-{leg}", CallId("c1"), None, None, None, None,
        d.at(10), d.at(10),
    )  # fmt: skip
    phone = i.ChannelSeen(
        leg, "PJSIP/demo-p1-1", "callcore-phones", None, f"b-{leg}", CallId("c1"), None, PhoneId("demo-p1"), None, None,
        d.at(11), None,
    )  # fmt: skip
    d.snapshot(21, caller, phone)
    d.hang_up(30, by=leg)
    assert d.outcomes() == {"c1": "completed"}
    d.tell(i.TimerFired(at=d.at(61), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    d.wait(70, "c2")
    d.wait(71, "c3")
    assert offers(d) == ["1001", "1002"], "only who is still in the file"
