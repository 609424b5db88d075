"""What callers and agents lived through while the engine was away, and what it must know of it afterwards.

Each of these was found by a simulated day or by random inputs.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from callcore.ami.cel import parse, traces
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.evolve import REMEMBER_ENDED_S
from callcore.domain.floor import UNNOTICED_S
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, OfferId, PhoneId
from callcore.domain.stages import Device, OfferStage, Outcome, Party, Work
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration


def desk(agents: int = 2) -> Desk:
    d = Desk().begin(configuration(centre(agents)))
    for n in range(1, agents + 1):
        d.sign_in(n / 10, n)
    return d


def caller(
    d: Desk, s: float, context: str, *, bridge: str | None = None, offer: str | None = None
) -> i.ChannelSeen:
    application = {"callcore-hold": "WaitForCondition", "callcore-net": "Queue"}.get(context, "Dial")
    return i.ChannelSeen(
        id=ChannelId("c1"),
        name="PJSIP/trunk-c1",
        context=context,
        application=application,
        bridge=bridge,
        call=CallId("c1"),
        offer=OfferId(offer) if offer else None,
        phone=None,
        number=NUMBER,
        caller=None,
        created=d.at(s),
        entered=d.at(s),
    )


def phone(of: i.ChannelSeen, name: str, leg: str = "l1", *, bridge: str | None = None) -> i.ChannelSeen:
    return replace(
        of,
        id=ChannelId(leg),
        name=f"PJSIP/{name}-1",
        context="callcore-phones",
        application="AppDial",
        bridge=bridge,
        phone=PhoneId(name),
    )


def traced(d: Desk, **told: object) -> i.CallTraced:
    known = i.CallTraced(
        call=CallId("c1"),
        number=NUMBER,
        caller=None,
        name="PJSIP/trunk-c1",
        arrived=d.at(10),
        open=True,
        entered=d.at(10),
        net=None,
        answered=None,
        phone=None,
        talk_ended=None,
        ended=None,
        hung_up_by=Party.UNKNOWN,
    )
    return replace(known, **told)  # type: ignore[arg-type]


def record(d: Desk, call: str = "c1") -> tuple[Outcome | None, str | None]:
    kept = d.books.records[CallId(call)]
    return kept.outcome, kept.agent


def test_an_agent_who_picks_up_just_after_the_offer_was_taken_back_can_hold_and_hang_up() -> None:
    d = desk(1)
    d.wait(10)
    offer = d.open_offer()
    leg = d.ring(10)
    d.device(10, 1, Device.BUSY)
    d.tell(i.TimerFired(at=d.at(31), timer=i.Timer(i.TimerKind.OFFER, offer)))
    d.join(31.1, "c1", leg)
    assert d.floor.calls[CallId("c1")].talking_leg == leg
    d.tell(i.HoldChanged(at=d.at(40), channel=leg, held=True))
    d.tell(i.HoldChanged(at=d.at(50), channel=leg, held=False))
    d.hang_up(60, by=leg)
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded) and ended.hung_up_by is Party.AGENT
    assert d.books.records[CallId("c1")].hold == 10 * SECOND


def test_after_a_kill_cel_is_read_from_the_last_that_was_seen_and_not_from_the_new_start() -> None:
    d = desk()
    d.sign_in(100, 1, phone=2)
    d.tell(i.RunBegins(at=d.at(400), run=2, software="test", configuration=configuration(centre(2))))
    d.device(400, 1, Device.BUSY)
    assert d.floor.unwitnessed_since() == d.at(100 - UNNOTICED_S)
    d.tell(i.RunBegins(at=d.at(500), run=3, software="test", configuration=configuration(centre(2))))
    assert d.floor.unwitnessed_since() == d.at(100 - UNNOTICED_S), "nobody has watched in between"
    d.snapshot(501)
    d.tell(i.LinkDropped(at=d.at(600), node=NODE))
    assert d.floor.unwitnessed_since() == d.at(600 - UNNOTICED_S), "the link itself was watched up to its end"


def test_a_phone_that_rings_when_the_link_comes_back_is_noticed_the_moment_it_answers() -> None:
    for context, by_net in (("callcore-offer", False), ("callcore-net", True)):
        d = desk(1)
        d.wait(10)
        offer = d.open_offer()
        d.tell(i.LinkDropped(at=d.at(10.1), node=NODE))
        there = caller(d, 10, context, offer=None if by_net else offer)
        d.snapshot(12, there, phone(there, "demo-p1"))
        for channel in ("l1", "c1"):
            d.tell(i.BridgeEntered(at=d.at(14), bridge="b1", channel=ChannelId(channel)))
        kept = d.books.records[CallId("c1")]
        assert (kept.answered_at, kept.agent, kept.by_net) == (d.at(14), "1001", by_net)


def test_a_talk_found_after_a_gap_has_its_phone_so_the_agents_hanging_up_is_believed() -> None:
    d = desk(1)
    d.wait(10)
    d.tell(i.LinkDropped(at=d.at(11), node=NODE))
    there = caller(d, 10, "callcore-offer", bridge="b1")
    trace = traced(d, answered=d.at(15), talk_since=d.at(15), phone=PhoneId("demo-p1"))
    d.snapshot(30, there, phone(there, "demo-p1", bridge="b1"), traces=(trace,))
    assert d.books.records[CallId("c1")].answered_at == d.at(15), "as CEL has it"
    d.tell(i.BridgeLeft(at=d.at(50), bridge="b1", channel=ChannelId("l1")))
    assert d.floor.agents[AgentId("1001")].work is Work.WRAPPING_UP
    assert d.books.records[CallId("c1")].talk == 35 * SECOND


def test_a_channel_that_a_list_names_twice_is_where_it_was_told_last() -> None:
    d = desk(1)
    d.wait(10)
    there = caller(d, 10, "callcore-offer", bridge="b1")
    beside, apart = phone(there, "demo-p1", bridge="b1"), replace(there, bridge=None)
    d.snapshot(30, there, beside, apart, first=False)
    assert d.books.records[CallId("c1")].answered_at is None
    d.snapshot(40, apart, beside, there, first=False)
    assert d.books.records[CallId("c1")].answered_at == d.at(40)


def test_a_second_talk_that_nobody_saw_is_found_in_cel() -> None:
    d = desk(2)
    d.wait(10)
    first = d.pick_up(12)
    d.tell(i.BridgeLeft(at=d.at(20), bridge=f"b-{first}", channel=first))
    d.tell(i.ChannelGone(at=d.at(20), channel=first, cause=38))
    d.tell(i.LinkDropped(at=d.at(20.5), node=NODE))
    d.tell(i.CallerHeld(at=d.at(20.6), call=CallId("c1")))
    trace = traced(
        d,
        answered=d.at(12),
        talk_since=d.at(30),
        phone=PhoneId("demo-p2"),
        talk_ended=d.at(40),
        ended=d.at(40),
        hung_up_by=Party.CALLER,
    )
    d.snapshot(60, traces=(trace,))
    assert record(d) == (Outcome.COMPLETED, "1002")
    assert d.books.records[CallId("c1")].talk == (8 + 10) * SECOND


@pytest.mark.parametrize("seen_first", [False, True])
def test_of_two_whole_talks_in_one_gap_neither_is_lost(seen_first: bool) -> None:
    d = desk(2)
    d.wait(10)
    if seen_first:
        d.pick_up(12)
    d.tell(i.LinkDropped(at=d.at(12.5 if seen_first else 11), node=NODE))
    trace = traced(
        d,
        answered=d.at(12),
        earlier=(i.TalkTraced(PhoneId("demo-p1"), d.at(12), d.at(20), d.at(20.1)),),
        talk_since=d.at(30),
        phone=PhoneId("demo-p2"),
        talk_ended=d.at(40),
        ended=d.at(40),
        hung_up_by=Party.CALLER,
    )
    d.snapshot(60, traces=(trace,))
    assert record(d) == (Outcome.COMPLETED, "1002")
    assert d.books.records[CallId("c1")].talk == (8 + 10) * SECOND
    assert d.books.records[CallId("c1")].visits == 2
    answered = [fact.agent for fact in d.facts if isinstance(fact, f.CallAnswered)]
    assert answered == ["1001", "1002"]


def test_a_caller_who_lost_the_talk_and_then_the_patience_unseen_is_cut_off() -> None:
    d = desk(1)
    d.wait(10)
    d.tell(i.LinkDropped(at=d.at(11), node=NODE))
    trace = traced(
        d,
        answered=d.at(12),
        talk_since=d.at(12),
        phone=PhoneId("demo-p1"),
        talk_ended=d.at(20),
        back=d.at(20),
        ended=d.at(50),
        hung_up_by=Party.CALLER,
    )
    d.snapshot(60, traces=(trace,))
    assert record(d) == (Outcome.CUT_OFF, "1001")


def test_a_call_found_on_the_line_after_a_gap_arrived_when_cel_says_to_the_microsecond() -> None:
    d = desk(1)
    d.tell(i.LinkDropped(at=d.at(9), node=NODE))
    d.snapshot(12, caller(d, 10, "callcore-hold"), traces=(traced(d, arrived=d.at(10.9)),))
    assert d.books.records[CallId("c1")].arrived_at == d.at(10.9)


def test_cel_tells_when_the_last_talk_began_and_when_the_caller_was_back_on_the_line() -> None:
    def line(kind: str, s: str, unique: str, *, user: str = "", context: str = "callcore-offer") -> str:
        channel = "PJSIP/trunk-1" if unique == "c1" else f"PJSIP/demo-p{unique[1:]}-0000000{unique[1:]}"
        extra = '{"bridge_id":"b' + unique[1:] + '"}' if unique != "c1" else '{"bridge_id":"%s"}' % user  # noqa: UP031
        fields = [kind, user, f"1795402{s}", unique, "c1", channel, context, NUMBER, "", "", "", extra]
        return ",".join('"' + field.replace('"', '""') + '"' for field in fields)

    lines = [
        line("CHAN_START", "800.0", "c1", context="callcore-in"),
        line("USER_DEFINED", "801.0", "c1", user="callcore-held"),
        line("BRIDGE_ENTER", "810.0", "l1"),
        line("BRIDGE_ENTER", "810.1", "c1", user="b1"),
        line("BRIDGE_EXIT", "820.0", "l1"),
        line("BRIDGE_EXIT", "820.0", "c1"),
        line("USER_DEFINED", "820.5", "c1", user="callcore-held"),
        line("BRIDGE_ENTER", "830.0", "l2"),
        line("BRIDGE_ENTER", "830.1", "c1", user="b2"),
        line("BRIDGE_EXIT", "840.0", "l2"),
        line("USER_DEFINED", "841.0", "c1", user="callcore-net"),
    ]
    (trace,) = traces(parse(lines))
    assert trace.answered is not None and trace.talk_since is not None and trace.back is not None
    assert trace.talk_since - trace.answered == 20 * SECOND
    [earlier] = trace.earlier
    assert (earlier.since, earlier.phone) == (trace.answered, "demo-p1")
    assert earlier.back is not None and earlier.ended <= earlier.back < trace.talk_since
    assert trace.phone == "demo-p2"
    assert trace.back - trace.answered == round(30.9 * SECOND)
    assert trace.entered is not None and trace.answered - trace.entered == round(9.1 * SECOND)


@pytest.mark.parametrize(("extra", "notice"), [('{"extra":"en"}', "en"), ('{"extra":""}', None), ("", None)])
def test_cel_tells_that_the_notice_was_said_before_the_wait_that_nobody_saw(
    extra: str, notice: str | None
) -> None:
    """An earlier version's line has none; coming back to the line, the caller hears none."""
    lines = [
        [
            "CHAN_START",
            "",
            "1795402800.0",
            "c1",
            "c1",
            "PJSIP/trunk-1",
            "callcore-in",
            NUMBER,
            "",
            "",
            "",
            "",
        ],
        *(
            [
                *("USER_DEFINED", "callcore-held", f"1795402{s}.0", "c1", "c1", "PJSIP/trunk-1"),
                *("callcore-hold", "s", "", "", "", told),
            ]
            for s, told in ((801, extra), (820, '{"extra":""}'))
        ),
    ]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(lines)
    (trace,) = traces(parse(text.getvalue().splitlines()))
    assert trace.notice == notice
    d = desk(1)
    d.tell(i.LinkDropped(at=d.at(9), node=NODE))
    unseen = traced(d, arrived=d.at(10), open=True, entered=d.at(15), ended=d.at(30), notice=trace.notice)
    d.snapshot(60, traces=(unseen,))
    assert [x.notice for x in d.told(f.VisitBegan) if isinstance(x, f.VisitBegan)] == [notice]


def test_a_call_that_ended_long_ago_is_not_counted_again_while_an_older_one_is_still_on() -> None:
    d = desk(1)
    d.wait(0, "long")
    d.wait(1, "c1")
    d.hang_up(2, "c1")
    later = REMEMBER_ENDED_S + 600
    for n in range(300):  # enough for the memory of ended calls to be gone through
        d.arrive(later + n, f"x{n}", open=False)
        d.hang_up(later + n, f"x{n}")
    assert CallId("c1") in d.floor.ended
    d.tell(i.LinkDropped(at=d.at(later + 400), node=NODE))
    d.snapshot(later + 401, traces=(traced(d, arrived=d.at(1), ended=d.at(2), hung_up_by=Party.CALLER),))
    assert len([x for x in d.told(f.CallArrived) if isinstance(x, f.CallArrived) and x.call == "c1"]) == 1


def test_a_centre_taken_out_of_the_files_lets_its_last_callers_and_agents_finish() -> None:
    d = desk(2)
    d.wait(10)
    leg = d.pick_up(12)
    d.wait(13, "c2")
    d.arrive(14, "c3")
    d.tell(i.RunBegins(at=d.at(20), run=2, software="test", configuration=Configuration("none", ())))
    d.tell(i.AdmissionDecided(at=d.at(20), call=CallId("c3"), open=True, source="pushed"))
    d.tell(i.CallerHeld(at=d.at(21), call=CallId("c3")))
    d.hang_up(30, by=leg)
    d.hang_up(31, "c2")
    d.hang_up(32, "c3")
    d.snapshot(33)
    assert set(d.outcomes().values()) == {"completed", "abandoned"}


def test_an_agent_who_signs_in_again_during_after_call_work_is_ready_at_once_and_stays_so() -> None:
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(12)
    d.tell(i.SignOutAsked(at=d.at(13), phone=PhoneId("demo-p1"), channel="x"))
    assert e.Reply("x", "not-possible") in d.effects, "not in the middle of a talk"
    d.hang_up(20, by=leg)
    d.tell(i.SignOutAsked(at=d.at(21), phone=PhoneId("demo-p1"), channel="x"))
    d.sign_in(22, 1)
    agent = d.floor.agents[AgentId("1001")]
    assert (agent.work, agent.wrap_up_until) == (Work.IDLE, None)
    assert d.floor.available(agent)


def test_an_engine_that_is_told_to_begin_an_older_run_goes_on_as_it_was() -> None:
    d = desk(1)
    before = d.floor
    d.tell(i.RunBegins(at=d.at(5), run=1, software="test", configuration=configuration(centre(1))))
    assert d.floor == before
    assert d.last is not None and d.last.disregarded is not None


def test_an_end_of_an_offer_that_is_no_end_changes_nothing() -> None:
    d = desk(1)
    d.wait(10)
    before = d.floor
    for result in (OfferStage.MADE, OfferStage.RINGING, OfferStage.ANSWERED, None):
        d.tell(i.OfferReturned(at=d.at(11), call=CallId("c1"), offer=d.open_offer(), result=result))
    assert d.floor == before


def test_a_caller_taken_back_while_a_look_is_under_way_is_not_put_into_the_net_again() -> None:
    d = Desk().begin()
    call = d.wait(1)
    d.tell(i.CallerInNet(at=d.at(20), call=call))
    in_net = i.ChannelSeen(
        id=ChannelId(call),
        name="x",
        context="callcore-net",
        application="Queue",
        bridge=None,
        call=call,
        offer=None,
        phone=None,
        number=None,
        caller=None,
        created=d.at(1),
        entered=d.at(1),
    )
    d.tell(i.CallerHeld(at=d.at(30.2), call=call))
    d.snapshot(31, in_net, first=False)  # taken at 30, judged a second later
    assert not d.floor.calls[call].in_net
    d.snapshot(40, in_net, first=False)
    assert d.floor.calls[call].in_net


# -- a look that is older than what was told since -----------------------------------------------------------


def test_an_agent_who_hangs_up_while_a_look_is_under_way_has_not_answered_a_second_time() -> None:
    """Seen in one of 7,200 calls: the look was taken during the talk and judged between the phone's hang-up and the
    caller's. The call was answered again by nobody's offer, and ended as cut off."""
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(12)
    there = caller(d, 10, "callcore-offer", bridge=f"b-{leg}")
    d.tell(i.HangupRequested(at=d.at(40), channel=leg))
    for channel in (leg, ChannelId("c1")):
        d.tell(i.BridgeLeft(at=d.at(40), bridge=f"b-{leg}", channel=channel))
    d.tell(i.ChannelGone(at=d.at(40), channel=leg, cause=16))
    d.snapshot(39.9, there, phone(there, "demo-p1", leg, bridge=f"b-{leg}"), first=False)
    d.tell(i.ChannelGone(at=d.at(40.1), channel=ChannelId("c1"), cause=16))
    assert len(d.told(f.CallAnswered)) == 1
    assert d.told(f.Healed) == []
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded)
    assert (ended.outcome, ended.hung_up_by) == (Outcome.COMPLETED, Party.AGENT)


def test_an_agent_whose_hang_up_asterisk_has_lost_is_hung_up_a_second_later_and_again_until_it_is_done() -> (
    None
):
    """Asterisk 22 forgets a BYE that comes while the silence of a talk's first 0.12 s is played to the phone."""
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(12)
    d.tell(i.HangupRequested(at=d.at(12.1), channel=leg))
    timer = i.Timer(i.TimerKind.PUT_DOWN, "c1")
    assert dict(d.floor.deadlines())[timer] == d.at(13.1), "a restored engine arms it"
    d.tell(i.TimerFired(at=d.at(13), timer=timer))
    assert e.HangUp(leg, put_down=True) not in d.effects, "not yet"
    d.tell(i.TimerFired(at=d.at(13.2), timer=timer))
    d.tell(i.LinkDropped(at=d.at(13.5), node=NODE))
    d.tell(i.TimerFired(at=d.at(14.2), timer=timer))
    assert d.effects.count(e.HangUp(leg, put_down=True)) == 1, "nobody would hear it"
    there = caller(d, 10, "callcore-offer", bridge=f"b-{leg}")
    d.snapshot(14.3, there, phone(there, "demo-p1", leg, bridge=f"b-{leg}"))
    d.tell(i.TimerFired(at=d.at(15.3), timer=timer))
    assert d.effects.count(e.HangUp(leg, put_down=True)) == 2
    for channel in (leg, ChannelId("c1")):
        d.tell(i.BridgeLeft(at=d.at(15.4), bridge=f"b-{leg}", channel=channel))
    assert timer not in dict(d.floor.deadlines())
    d.tell(i.TimerFired(at=d.at(16.4), timer=timer))
    assert d.effects.count(e.HangUp(leg, put_down=True)) == 2
    d.tell(i.ChannelGone(at=d.at(16.5), channel=ChannelId("c1"), cause=16))
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded)
    assert (ended.outcome, ended.hung_up_by) == (Outcome.COMPLETED, Party.AGENT)


def test_a_caller_who_puts_down_or_a_phone_that_has_left_is_not_hung_up() -> None:
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(12)
    d.tell(i.HangupRequested(at=d.at(20), channel=ChannelId("c1")))
    assert not any(timer.kind is i.TimerKind.PUT_DOWN for timer, _ in d.floor.deadlines())
    d.tell(i.TimerFired(at=d.at(22), timer=i.Timer(i.TimerKind.PUT_DOWN, "c1")))
    d.tell(i.TimerFired(at=d.at(22), timer=i.Timer(i.TimerKind.PUT_DOWN, "c2")))
    assert not any(isinstance(x, e.HangUp) for x in d.effects)
    assert leg == d.floor.calls[CallId("c1")].talking_leg


def test_a_talk_of_less_than_a_second_does_not_put_the_caller_back_by_a_look_from_before_it() -> None:
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(39.2)
    d.tell(i.HangupRequested(at=d.at(40), channel=leg))
    for channel in (leg, ChannelId("c1")):
        d.tell(i.BridgeLeft(at=d.at(40), bridge=f"b-{leg}", channel=channel))
    d.snapshot(39.1, caller(d, 10, "callcore-hold"), first=False)
    d.tell(i.ChannelGone(at=d.at(40.1), channel=ChannelId("c1"), cause=16))
    assert len(d.told(f.VisitBegan)) == 1
    assert d.told(f.Healed) == []
    assert record(d) == (Outcome.COMPLETED, "1001")


def test_a_phone_that_the_net_began_to_ring_after_a_look_was_taken_is_still_there() -> None:
    d = desk(1)
    d.wait(10)
    d.tell(i.CallerInNet(at=d.at(20), call=CallId("c1")))
    d.tell(
        i.DialBegan(
            at=d.at(30), call=CallId("c1"), channel=ChannelId("l1"), phone=PhoneId("demo-p1"), offer=None
        )
    )
    d.snapshot(29.9, caller(d, 10, "callcore-net"), first=False)
    assert d.told(f.LegEnded) == []
    d.join(32, "c1", ChannelId("l1"))
    assert d.books.records[CallId("c1")].answered_at == d.at(32)


def cel_line(kind: str, at: Instant, unique: str, context: str = "callcore-offer", *, extra: str = "") -> str:
    channel = "PJSIP/trunk-c1" if unique == "c1" else "PJSIP/demo-p1-1"
    fields = [kind, "", f"{at / SECOND:.6f}", unique, "c1", channel, context, NUMBER, "", "", "", extra]
    return ",".join('"' + field.replace('"', '""') + '"' for field in fields)


# -- who hung up, when that was asked for before anybody listened --------------------------------------------


def test_a_hang_up_asked_for_in_the_gap_is_told_by_cel_and_not_taken_for_a_fault() -> None:
    """The engine logs in between the agent's hang-up and the end of the caller's channel."""
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(12)
    d.tell(i.LinkDropped(at=d.at(39), node=NODE))
    d.tell(i.BridgeLeft(at=d.at(40), bridge=f"b-{leg}", channel=leg))
    d.tell(i.ChannelGone(at=d.at(40), channel=leg, cause=16))
    d.tell(i.ChannelGone(at=d.at(40.01), channel=ChannelId("c1"), cause=16))
    assert d.told(f.CallEnded) == [], "the look comes in a moment, and CEL with it"
    trace = traced(
        d,
        answered=d.at(12),
        talk_since=d.at(12),
        phone=PhoneId("demo-p1"),
        talk_ended=d.at(40),
        ended=d.at(40.01),
        hung_up_by=Party.AGENT,
    )
    d.snapshot(40.2, traces=(trace,))
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded)
    assert (ended.outcome, ended.hung_up_by, ended.at) == (Outcome.COMPLETED, Party.AGENT, d.at(40.01))


def test_a_waiting_caller_who_put_down_in_the_gap_has_abandoned_and_did_not_fail() -> None:
    d = desk(0)
    d.wait(10)
    d.tell(i.LinkDropped(at=d.at(39), node=NODE))
    d.tell(i.ChannelGone(at=d.at(40), channel=ChannelId("c1"), cause=16))
    d.snapshot(40.2, traces=(traced(d, ended=d.at(40), hung_up_by=Party.CALLER),))
    assert record(d) == (Outcome.ABANDONED, None)


def test_a_talk_in_the_gap_is_not_lost_when_the_caller_hangs_up_just_before_the_first_look() -> None:
    """Seen in one of 3,400 calls: answered in the safety net, and the caller's hang-up was told, but not the talk."""
    d = desk(1)
    d.wait(10)
    d.tell(i.LinkDropped(at=d.at(11), node=NODE))
    d.tell(i.HangupRequested(at=d.at(40), channel=ChannelId("c1")))
    d.tell(i.ChannelGone(at=d.at(40.01), channel=ChannelId("c1"), cause=16))
    trace = traced(
        d,
        net=d.at(17),
        answered=d.at(20),
        talk_since=d.at(20),
        phone=PhoneId("demo-p1"),
        talk_ended=d.at(39.9),
        ended=d.at(40.01),
        hung_up_by=Party.CALLER,
    )
    d.snapshot(40.2, traces=(trace,))
    assert record(d) == (Outcome.COMPLETED, "1001")


def test_an_agent_who_put_down_in_the_gap_while_the_caller_is_still_there_is_known_from_cel() -> None:
    d = desk(1)
    d.wait(10)
    leg = d.pick_up(12)
    d.tell(i.LinkDropped(at=d.at(39), node=NODE))
    lines = [
        cel_line("CHAN_START", d.at(10), "c1", "callcore-in"),
        cel_line("BRIDGE_ENTER", d.at(12), "c1", extra='{"bridge_id":"b"}'),
        cel_line("BRIDGE_ENTER", d.at(12), leg, "callcore-phones", extra='{"bridge_id":"b"}'),
        cel_line("BRIDGE_EXIT", d.at(40), leg, "callcore-phones", extra='{"bridge_id":"b"}'),
        cel_line("BRIDGE_EXIT", d.at(40), "c1", extra='{"bridge_id":"b"}'),
        cel_line(
            "HANGUP",
            d.at(40),
            leg,
            "callcore-phones",
            extra='{"hangupcause":16,"hangupsource":"PJSIP/demo-p1-1","dialstatus":""}',
        ),
    ]
    (trace,) = traces(parse(lines))
    assert trace.put_down == leg
    d.snapshot(40.1, caller(d, 10, "callcore-offer"), traces=(trace,))
    d.tell(i.ChannelGone(at=d.at(40.2), channel=ChannelId("c1"), cause=16))
    ended = d.told(f.CallEnded)[0]
    assert isinstance(ended, f.CallEnded)
    assert (ended.outcome, ended.hung_up_by) == (Outcome.COMPLETED, Party.AGENT)


def test_a_phone_that_was_taken_from_under_the_talk_put_nothing_down() -> None:
    d = desk(1)
    lines = [
        cel_line("CHAN_START", d.at(10), "c1", "callcore-in"),
        cel_line("BRIDGE_ENTER", d.at(12), "c1", extra='{"bridge_id":"b"}'),
        cel_line("BRIDGE_ENTER", d.at(12), "l1", "callcore-phones", extra='{"bridge_id":"b"}'),
        cel_line("BRIDGE_EXIT", d.at(40), "l1", "callcore-phones", extra='{"bridge_id":"b"}'),
        cel_line("HANGUP", d.at(40), "l1", "callcore-phones", extra='{"hangupcause":16,"hangupsource":""}'),
    ]
    (trace,) = traces(parse(lines))
    assert trace.put_down is None


def test_a_caller_whose_end_stands_in_cel_is_gone_though_the_list_made_a_moment_before_still_has_the_channel() -> (
    None
):
    d = desk(0)
    d.wait(10)
    d.tell(i.LinkDropped(at=d.at(39), node=NODE))
    there = caller(d, 10, "callcore-hold")
    d.snapshot(40.2, there, traces=(traced(d, ended=d.at(40.19), hung_up_by=Party.CALLER),))
    assert record(d) == (Outcome.ABANDONED, None)
    d.tell(i.ChannelGone(at=d.at(40.19), channel=ChannelId("c1"), cause=16))
    assert len(d.told(f.CallEnded)) == 1
