"""What a recording may hold of a caller who is put through to a department, by the rule of the centre."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from immutables import Map

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import RecordAfter, Transfers
from callcore.domain.ids import CallId, ChannelId, PhoneId
from callcore.domain.stages import Outcome, Party, SideKind, Stage
from callcore.domain.tape import Excess, Tape
from tests.property.test_core_transfers import SEED, Way
from tests.support.floors import NODE, NUMBER
from tests.unit.test_core_transfer import CALLER, CITY, Moves

UNTIL_THE_AGENT_LEAVES = Transfers(record_after=RecordAfter.AGENT)
C1 = CallId("c1")


def moves(rule: Transfers = UNTIL_THE_AGENT_LEAVES) -> Moves:
    """A caller whom agent 1 talks with from second 3 on."""
    m = Moves().begin()
    floor = m.d.floor
    m.d.floor = replace(
        floor, centres=Map({name: replace(each, transfers=rule) for name, each in floor.centres.items()})
    )
    return m


def asked(m: Moves, s: float = 30) -> ChannelId:
    """Put through at `s`, after the department was asked."""
    m.hold(10)
    far = m.ask(12)
    m.answers(20, far)
    m.passes_on(s)
    return far


def stops(m: Moves) -> list[tuple[bool, bool]]:
    return [(x.own, x.consult) for x in m.d.effects if isinstance(x, e.StopRecording)]


def stopped(m: Moves) -> list[tuple[float, float]]:
    """(since, until) of what is not kept, in seconds."""
    return [
        ((x.since - m.d.at(0)) / 1e6, (x.at - m.d.at(0)) / 1e6)
        for x in m.d.told(f.RecordingStopped)
        if isinstance(x, f.RecordingStopped)
    ]


def tape(
    m: Moves, kept: float, *excess: tuple[float, float], unheld: tuple[str, ...] = (), seen: bool = True
) -> Tape:
    """Each excess from when to when the stops tell."""
    pieces = tuple(
        Excess(round(after * 1e6), round(length * 1e6), m.d.at(since), m.d.at(until))
        for (after, length), (since, until) in zip(excess, stopped(m), strict=True)
    )
    return Tape(round(kept * 1e6), pieces, tuple(CallId(each) for each in unheld), seen=seen)


def measured(m: Moves, s: float, call: str = "c1") -> None:
    m.tell(
        i.RecordingMeasured(
            at=m.d.at(s),
            call=CallId(call),
            file=f"{call}.wav",
            size=9,
            seconds=1.0,
            sha256=None,
            problem=None,
        )
    )


def test_a_recording_that_goes_on_to_the_end_is_left_alone() -> None:
    m = moves(Transfers())
    far = asked(m)
    assert stops(m) == []
    m.city_puts_down(90, far)
    m.over(90)
    assert stopped(m) == []
    assert C1 in m.d.floor.unfiled and C1 not in m.d.floor.tapes


def test_a_recording_that_ends_with_the_agent_is_stopped_when_caller_and_department_are_together() -> None:
    m = moves()
    far = asked(m)
    assert stops(m) == [(True, False)]
    assert stopped(m) == [], "not before Asterisk has said so"
    m.tell(i.RecordingStopTold(at=m.d.at(30.1), call=C1))
    m.tell(i.RecordingStopTold(at=m.d.at(30.2), call=C1))
    assert stopped(m) == [(30, 30.1)]
    m.city_puts_down(90, far)
    m.over(90)
    assert stopped(m) == [(30, 30.1)]
    assert m.d.floor.tapes[C1] == tape(m, 27, (27, 0.1))
    measured(m, 95)
    assert C1 not in m.d.floor.tapes and C1 not in m.d.floor.unfiled


@pytest.mark.parametrize("end", ["department", "caller"])
def test_what_asterisk_did_not_stop_is_excess_to_the_end(end: str) -> None:
    m = moves()
    far = asked(m)
    if end == "caller":
        m.caller_puts_down(50)
    else:
        m.city_puts_down(50, far)
        m.over(50)
    assert stopped(m) == [(30, 50)]
    assert m.d.floor.tapes[C1] == tape(m, 27, (27, 20))


def test_a_caller_who_comes_back_is_recorded_again_and_the_excess_stands_between_two_talks() -> None:
    m = moves()
    far = asked(m)
    m.city_puts_down(34, far)
    m.back(34)
    assert stopped(m) == [(30, 34)]
    m.d.sign_in(35, 2)
    m.d.pick_up(40)
    m.d.hang_up(60)
    assert m.d.floor.tapes[C1] == tape(m, 47, (27, 4))


def test_a_consult_whose_place_the_caller_has_taken_was_none_and_its_recording_is_stopped_by_either_rule() -> (
    None
):
    for rule, own in ((Transfers(), False), (UNTIL_THE_AGENT_LEAVES, True)):
        m = moves(rule)
        m.hold(10)
        far = m.ask(12)
        m.lets_go(15)
        for channel in (far, CALLER):
            m.tell(i.BridgeEntered(at=m.d.at(20), bridge="city", channel=channel))
        assert stops(m) == [(own, True)]
        m.city_puts_down(80, far, "city")
        m.over(80)
        assert m.d.floor.tapes[C1].unheld == ("k1",)
        assert set(m.d.floor.unfiled) == {C1}, "nobody waits for the recording of that consult"


@pytest.mark.parametrize(
    ("kind", "rule", "recorded"),
    [
        (SideKind.DEPARTMENT, Transfers(), True),
        (SideKind.DEPARTMENT, Transfers(record_consult=False), False),
        (SideKind.COLLEAGUE, Transfers(), False),
    ],
)
def test_nobody_waits_for_the_recording_of_a_consult_that_is_not_recorded(
    kind: SideKind, rule: Transfers, recorded: bool
) -> None:
    m = moves(rule)
    m.d.sign_in(5, 2)
    m.answers(20, m.ask(12, kind=kind))
    m.tell(i.ChannelGone(at=m.d.at(25), channel=ChannelId("k1"), cause=16))
    assert (CallId("k1") in m.d.floor.unfiled) is recorded


def seen(m: Moves, channel: ChannelId, bridge: str | None) -> i.ChannelSeen:
    return i.ChannelSeen(
        id=channel,
        name=f"PJSIP/{channel}",
        context="callcore-offer" if channel == CALLER else "callcore-in",
        application="Dial",
        bridge=bridge,
        call=C1 if channel == CALLER else None,
        offer=None,
        phone=None,
        number=NUMBER,
        caller=None,
        created=m.d.at(1),
        entered=m.d.at(1),
    )


def trace(m: Moves, **more: object) -> i.CallTraced:
    first = i.CallTraced(
        call=C1,
        number=NUMBER,
        caller=None,
        name="x",
        arrived=m.d.at(1),
        open=True,
        entered=m.d.at(1),
        net=None,
        answered=m.d.at(3),
        phone=PhoneId("demo-p1"),
        talk_ended=m.d.at(30),
        ended=None,
        hung_up_by=Party.CALLER,
        talk_since=m.d.at(3),
    )
    return replace(first, **more)  # type: ignore[arg-type]


def test_callcore_that_was_dead_at_the_join_stops_the_recording_on_return_and_marks_the_excess() -> None:
    m = moves()
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    here = (seen(m, CALLER, "b9"), seen(m, ChannelId("far"), "b9"))
    m.d.snapshot(70, *here, traces=(trace(m, moved=m.d.at(30), moved_to=ChannelId("far")),))
    assert m.call.stage is Stage.TRANSFERRED
    assert stops(m)[0] == (True, False)
    assert stopped(m) == []
    m.d.snapshot(80, *here, first=False)
    assert len(stops(m)) > 1, "asked again, for the answer may have been lost"
    m.tell(i.RecordingStopTold(at=m.d.at(80), call=C1))
    assert stopped(m) == [(30, 80)]
    count = len(stops(m))
    m.d.snapshot(90, *here, first=False)
    assert len(stops(m)) == count
    m.caller_puts_down(100)
    assert m.d.floor.tapes[C1] == tape(m, 27, (27, 50), seen=False)


def test_a_transfer_that_was_over_before_callcore_came_back_is_excess() -> None:
    m = moves()
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    over = trace(m, moved=m.d.at(30), moved_to=ChannelId("far"), moved_ended=m.d.at(90), ended=m.d.at(90))
    m.d.snapshot(100, traces=(over,))
    assert stopped(m) == [(30, 90)]
    assert m.d.floor.tapes[C1] == tape(m, 27, (27, 60), seen=False)
    assert m.d.floor.problems() == []


@pytest.mark.parametrize("then", ["waits", "talks again", "ended"])
def test_so_is_one_out_of_which_the_caller_had_come_back(then: str) -> None:
    m = moves()
    m.d.sign_in(5, 2)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    away = i.MovedTraced(m.d.at(30), m.d.at(34), ChannelId("far"), CITY.id)
    again = then != "waits"
    here = replace(seen(m, CALLER, None), context="callcore-hold", application="WaitForCondition")
    if again:
        first = i.TalkTraced(PhoneId("demo-p1"), m.d.at(3), m.d.at(30), m.d.at(34), away)
        ended = m.d.at(60) if then == "ended" else None
        told = trace(
            m,
            earlier=(first,),
            talk_since=m.d.at(40),
            phone=PhoneId("demo-p2"),
            talk_ended=ended,
            held=m.d.at(34),
            ended=ended,
        )
    else:
        told = trace(m, back=m.d.at(34), held=m.d.at(34), returned=away)
    if then == "talks again":
        phone = replace(
            seen(m, ChannelId("other"), "b9"),
            phone=PhoneId("demo-p2"),
            call=C1,
            context="callcore-from-phone",
        )
        m.d.snapshot(70, seen(m, CALLER, "b9"), phone, traces=(told,))
    else:
        m.d.snapshot(70, *(() if then == "ended" else (here,)), traces=(told,))
    assert m.d.floor.problems() == []
    assert stops(m) == [], "it goes on, for the caller is back"
    assert stopped(m) == [(30, 34)]
    [moved] = m.d.told(f.CallTransferred)
    assert isinstance(moved, f.CallTransferred)
    assert (moved.department, moved.blind, moved.reconstructed) == (CITY.id, True, True)
    if then == "ended":
        assert m.d.floor.tapes[C1] == tape(m, 47, (27, 4), seen=False)
    else:
        assert m.call.tape == tape(m, 27, (27, 4), seen=False)
        assert m.call.stage in ((Stage.WAITING, Stage.OFFERED) if then == "waits" else (Stage.TALKING,))


def test_who_came_back_and_gave_up_before_callcore_returned_was_not_transferred_but_the_excess_is_known() -> (
    None
):
    m = moves()
    m.hold(10)
    m.ask(12)
    m.lets_go(30)
    assert m.call.stage is Stage.PARTED
    m.tell(i.LinkDropped(at=m.d.at(31), node=NODE))
    away = i.MovedTraced(m.d.at(32), m.d.at(36), ChannelId("k1-far"), None)
    m.d.snapshot(100, traces=(trace(m, returned=away, back=m.d.at(36), held=m.d.at(36), ended=m.d.at(50)),))
    assert stopped(m) == [(32, 36)]
    assert m.ended().outcome is Outcome.CUT_OFF, "as it would have been, watched"
    assert m.d.floor.tapes[C1] == tape(m, 27, (27, 4), unheld=("k1",), seen=False)
    assert m.d.floor.problems() == []


class Recorded(Way):
    """A way through hold, consult and transfer on which Asterisk stops the recording soon, late or never."""

    rule = Transfers()

    def begin(self) -> Moves:
        made = moves(self.rule)
        self.d, self.leg, self.bridge = made.d, made.leg, made.bridge
        return self

    def tell(self, *told: i.Input) -> None:
        super().tell(*told)
        if any(own for own, _ in stops(self)) and C1 in self.d.floor.calls and self.chance.random() < 0.3:
            super().tell(i.RecordingStopTold(at=told[-1].at, call=C1))


@pytest.mark.parametrize("rule", [Transfers(), UNTIL_THE_AGENT_LEAVES])
def test_whatever_is_done_what_is_kept_is_what_the_rule_lets(rule: Transfers) -> None:
    stopped_at_all = unheld = 0
    for n in range(200):
        way = Recorded()
        way.rule, way.chance = rule, random.Random(n)
        way.walk(random.Random(SEED + n))
        record, tape = way.d.books.records[C1], way.d.floor.tapes.get(C1)
        if tape is None:
            assert record.away == 0 or rule.record_after is RecordAfter.END, n
            continue
        stopped_at_all, unheld = stopped_at_all + bool(tape.excess), unheld + bool(tape.unheld)
        excess = sum(each.length for each in tape.excess)
        if rule.record_after is RecordAfter.END:
            assert (tape.kept, excess) == (record.talk + record.away, 0), n
        else:
            assert tape.kept == record.talk and excess <= record.away, n
            assert [each.after for each in tape.excess] == sorted(each.after for each in tape.excess), n
    assert unheld > 0 and (stopped_at_all > 20) is (rule.record_after is RecordAfter.AGENT)
