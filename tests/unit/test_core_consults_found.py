"""Consults and take-overs that began while nobody watched, and are still there at the first look: what they do from
then on is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.ids import AgentId, CallId, CentreId, ChannelId, PhoneId
from callcore.domain.stages import Outcome, Party, SideKind, Stage
from tests.support.floors import NODE, NUMBER
from tests.unit.test_core_recording import C1, seen, trace
from tests.unit.test_core_transfer import CALLER, CITY, Moves

FAR = ChannelId("k1-far")


@pytest.fixture
def m() -> Moves:
    """Two agents; nobody watches from 8 on."""
    m = Moves().begin()
    m.d.sign_in(5, 2)
    return m


def of_phone(m: Moves, channel: ChannelId, phone: str, bridge: str | None) -> i.ChannelSeen:
    return replace(seen(m, channel, bridge), phone=PhoneId(phone))


def consult(m: Moves, kind: SideKind, *, ended: float | None = None) -> i.SideTraced:
    colleague = kind is SideKind.COLLEAGUE
    return i.SideTraced(
        call=CallId("k1"),
        centre=CentreId("demo"),
        kind=kind,
        phone=PhoneId("demo-p1"),
        number=NUMBER,
        other=None if colleague else CITY.number,
        why="demo-p2" if colleague else CITY.id,
        began=m.d.at(12),
        connected=m.d.at(20),
        with_phone=PhoneId("demo-p2") if colleague else None,
        outcome=None,
        ended=None if ended is None else m.d.at(ended),
        hung_up_by=Party.SYSTEM,
        beside=C1,
    )


@pytest.mark.parametrize("watched", [False, True], ids=["all unseen", "asked before"])
@pytest.mark.parametrize("end", ["in the talk", "on hold"])
def test_a_colleague_who_took_over_unseen_and_still_talks_does_what_every_colleague_does(
    m: Moves, watched: bool, end: str
) -> None:
    if watched:
        m.hold(6)
        m.ask(7, kind=SideKind.COLLEAGUE)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    here = seen(m, CALLER, "with-k1"), of_phone(m, FAR, "demo-p2", "with-k1")
    sides = (consult(m, SideKind.COLLEAGUE, ended=30),)
    m.d.snapshot(100, *here, traces=(trace(m, moved=m.d.at(30)),), sides=sides)
    assert (m.call.talking_with, m.call.talking_leg) == ("1002", FAR)
    m.d.snapshot(110, *here, first=False)
    assert m.call.stage is Stage.TALKING
    if end == "on hold":
        m.tell(i.HoldChanged(at=m.d.at(112), channel=FAR, held=True))
        assert [x.held for x in m.d.effects if isinstance(x, e.MarkHeld)][-1] is True
    m.city_puts_down(120, FAR)
    if end == "on hold":
        m.back(120)
        assert m.call.stage in (Stage.WAITING, Stage.OFFERED)
    else:
        m.over(120)
        assert m.outcome is Outcome.COMPLETED
        assert m.ended().hung_up_by is Party.AGENT
    assert m.d.floor.problems() == []


@pytest.mark.parametrize("kind", [SideKind.DEPARTMENT, SideKind.COLLEAGUE])
@pytest.mark.parametrize("asked", [None, 6, 7], ids=["all unseen", "rang before", "asked before"])
def test_a_consult_that_nobody_saw_begin_or_be_answered_is_where_the_caller_may_be_put_through(
    m: Moves, kind: SideKind, asked: float | None
) -> None:
    if asked is not None:
        m.ask(6, kind=kind)
    if asked == 7:
        m.answers(7, FAR)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    talk = seen(m, CALLER, m.bridge), of_phone(m, m.leg, "demo-p1", m.bridge)
    far = of_phone(m, FAR, "demo-p2", "with-k1")
    far = far if kind is SideKind.COLLEAGUE else seen(m, FAR, "with-k1")
    beside = of_phone(m, ChannelId("k1"), "demo-p1", "with-k1"), far
    m.d.snapshot(60, *talk, *beside, traces=(trace(m, talk_ended=None),), sides=(consult(m, kind),))
    asks = i.TransferAsked(at=m.d.at(61), agent=AgentId("1001"), short=None, by="user:sato")
    assert m.d.tell(asks).disregarded is None
    m.passes_on(70)
    if kind is SideKind.COLLEAGUE:
        assert (m.call.talking_with, m.call.talking_leg) == ("1002", FAR)
        assert m.d.books.records[C1].second
    else:
        [moved] = m.d.told(f.CallTransferred)
        assert isinstance(moved, f.CallTransferred)
        assert (moved.department, moved.blind, moved.side) == (CITY.id, False, "k1")
        assert m.asked() == {AskEnd.PUT_THROUGH: 1}
    assert m.d.floor.problems() == []


def test_a_look_finds_a_colleague_who_took_over_and_whose_coming_together_was_lost(m: Moves) -> None:
    m.hold(10)
    m.answers(20, m.ask(12, kind=SideKind.COLLEAGUE))
    at = m.d.at(30)
    for bridge, channel in ((m.bridge, CALLER), ("with-k1", "k1"), (m.bridge, m.leg)):
        m.tell(i.BridgeLeft(at=at, bridge=bridge, channel=ChannelId(channel)))
    for channel in (m.leg, ChannelId("k1")):
        m.tell(i.ChannelGone(at=at, channel=channel, cause=16))
    assert m.call.stage is Stage.PARTED
    m.d.snapshot(40, seen(m, CALLER, "with-k1"), of_phone(m, FAR, "demo-p2", "with-k1"), first=False)
    assert (m.call.talking_with, m.call.talking_leg) == ("1002", FAR)
    assert m.d.books.records[C1].second
    assert m.d.floor.problems() == []


def test_a_department_that_rings_at_the_first_look_may_be_let_go_to(m: Moves) -> None:
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    talk = seen(m, CALLER, m.bridge), of_phone(m, m.leg, "demo-p1", m.bridge)
    own = replace(of_phone(m, ChannelId("k1"), "demo-p1", None), linked=ChannelId("k1"))
    far = replace(seen(m, FAR, None), linked=ChannelId("k1"))
    side = replace(consult(m, SideKind.DEPARTMENT), connected=None)
    m.d.snapshot(14, *talk, own, far, traces=(trace(m, talk_ended=None),), sides=(side,))
    m.lets_go(16)
    m.city_takes(20, FAR)
    [moved] = m.d.told(f.CallTransferred)
    assert isinstance(moved, f.CallTransferred)
    assert (moved.department, moved.blind, moved.side) == (CITY.id, True, "k1")
    assert m.d.floor.problems() == []


def test_whether_a_colleague_who_took_over_unseen_holds_the_caller_is_not_known(m: Moves) -> None:
    m.hold(6)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    here = seen(m, CALLER, "with-k1"), of_phone(m, FAR, "demo-p2", "with-k1")
    sides = (consult(m, SideKind.COLLEAGUE, ended=30),)
    m.d.snapshot(100, *here, traces=(trace(m, moved=m.d.at(30)),), sides=sides)
    assert [x.held for x in m.d.effects if isinstance(x, e.MarkHeld)] == [True, None]


# -- rung for a caller whom the agent has left unseen --------------------------------------------------------


def rings_on(m: Moves, way: str) -> None:
    """A department, or a colleague, rings as callcore comes back; the agent has gone within the gap."""
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    linked = CALLER if way == "unasked" else ChannelId("k1")
    far = replace(seen(m, FAR, None), linked=linked)
    if way == "colleague":
        far = replace(of_phone(m, FAR, "demo-p2", None), linked=linked)
    kind = SideKind.COLLEAGUE if way == "colleague" else SideKind.DEPARTMENT
    side = replace(consult(m, kind, ended=30), connected=None, with_phone=None)
    ended = {"talk_ended": m.d.at(30), "put_down": m.leg}
    told = trace(m, sent_to=CITY.id, **ended) if way == "unasked" else trace(m, **ended)
    sides = () if way == "unasked" else (side,)
    here = replace(seen(m, CALLER, None), context="callcore-dial", application="Dial")
    m.d.snapshot(40, here, far, traces=(told,), sides=sides)
    assert m.call.stage is Stage.PARTED
    assert [leg.channel for leg in m.call.legs] == [CALLER, FAR]


@pytest.mark.parametrize("end", ["answers", "busy", "the caller hangs up"])
@pytest.mark.parametrize("way", ["asked", "unasked"])
def test_a_department_that_rings_for_a_caller_whom_the_agent_left_unseen_does_what_every_department_does(
    m: Moves, way: str, end: str
) -> None:
    rings_on(m, way)
    if end == "answers":
        m.city_takes(50, FAR)
        [moved] = m.d.told(f.CallTransferred)
        assert isinstance(moved, f.CallTransferred)
        assert (moved.department, moved.blind) == (CITY.id, True)
        m.city_puts_down(90, FAR, "city")
        m.over(90)
        assert m.outcome is Outcome.TRANSFERRED_BLIND
        assert m.asked() == {AskEnd.PUT_THROUGH: 1}
    elif end == "busy":
        m.tell(i.ChannelGone(at=m.d.at(50), channel=FAR, cause=17))
        m.back(50)
        assert m.call.stage in (Stage.WAITING, Stage.OFFERED), "never in silence"
        assert m.asked() == {AskEnd.BUSY: 1}
    else:
        m.caller_puts_down(50)
        assert m.outcome is Outcome.LOST_ON_HOLD
        assert m.asked() == {AskEnd.LOST_ON_HOLD: 1}
    assert m.d.floor.problems() == []


def test_a_colleague_who_rings_for_a_caller_whom_the_agent_left_unseen_takes_over(m: Moves) -> None:
    rings_on(m, "colleague")
    m.city_takes(50, FAR)
    assert (m.call.talking_with, m.call.talking_leg) == ("1002", FAR)
    assert m.d.books.records[C1].second
    assert m.d.floor.problems() == []


def test_a_leg_of_somebody_else_is_not_taken_for_one_that_rings_for_the_caller(m: Moves) -> None:
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    other = replace(seen(m, ChannelId("x-far"), None), linked=ChannelId("x"))
    here = replace(seen(m, CALLER, None), context="callcore-dial", application="Dial")
    m.d.snapshot(40, here, other, traces=(trace(m, talk_ended=m.d.at(30)),))
    assert [leg.channel for leg in m.call.legs] == [CALLER]


def test_a_supervisor_who_took_over_unseen_is_known_by_the_phone_that_answered(m: Moves) -> None:
    m.hold(6)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    side = replace(consult(m, SideKind.COLLEAGUE, ended=30), why="supervisors")
    told = trace(m, moved=m.d.at(30), moved_ended=m.d.at(60), ended=m.d.at(60))
    m.d.snapshot(100, traces=(told,), sides=(side,))
    [first, second] = [fact for fact in m.d.told(f.CallAnswered) if isinstance(fact, f.CallAnswered)]
    assert (first.agent, second.agent, second.phone, second.escalated) == ("1001", "1002", "demo-p2", True)
    assert m.d.floor.problems() == []
