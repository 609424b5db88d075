"""The tables of calls, offers and agents: what is not in them is refused and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import pytest

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import WORK
from callcore.domain.call import CALL, Aside
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor, put_call
from callcore.domain.ids import (
    AgentId,
    CallId,
    ChannelId,
    DepartmentId,
    Instant,
    OfferId,
    PhoneId,
    QueueId,
    VisitId,
)
from callcore.domain.message import MESSAGE, MessageState
from callcore.domain.offer import OFFER
from callcore.domain.personal import Personal
from callcore.domain.stages import OPEN_OFFER, Choice, OfferStage, Outcome, Party, Stage, Treatment, Work
from callcore.domain.transitions import IllegalTransition, Table, advance, mermaid
from callcore.domain.values import changed
from tests.support.floors import NODE, Desk, centre, configuration

TABLES: dict[str, tuple[Table[Enum], set[Enum | None]]] = {
    "call": (CALL, {None, *Stage}),  # type: ignore[dict-item]
    "offer": (OFFER, {None, *OfferStage}),  # type: ignore[dict-item]
    "agent": (WORK, set(Work)),  # type: ignore[dict-item]
    "message": (MESSAGE, {None, *MessageState}),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("entity", TABLES)
def test_every_step_that_a_table_does_not_name_is_refused(entity: str) -> None:
    table, stages = TABLES[entity]
    for stage in stages:
        for kind in f.KINDS:
            if kind in table.get(stage, {}):
                assert advance(table, entity, "x", stage, kind) is table[stage][kind]
            else:
                with pytest.raises(IllegalTransition, match=kind):
                    advance(table, entity, "x", stage, kind)


@pytest.mark.parametrize("entity", TABLES)
def test_every_kind_of_a_table_is_a_kind_of_fact(entity: str) -> None:
    assert {kind for steps in TABLES[entity][0].values() for kind in steps} <= set(f.KINDS)


@pytest.mark.parametrize(
    ("entity", "start", "reached"),
    [
        ("call", None, set(Stage)),
        ("offer", None, {*OPEN_OFFER, OfferStage.ANSWERED}),  # the other ends are named by OfferFailed itself
        ("agent", Work.IDLE, set(Work)),
        ("message", None, set(MessageState)),
    ],
)
def test_every_stage_can_be_reached(entity: str, start: Enum | None, reached: set[Enum]) -> None:
    table, found, ahead = TABLES[entity][0], set(), [start]
    while ahead:
        for target in table.get(ahead.pop(), {}).values():
            if target not in found:
                found.add(target)
                ahead.append(target)
    assert found == reached


def test_nothing_follows_the_end() -> None:
    assert Stage.ENDED not in CALL
    assert not {*OfferStage} - OPEN_OFFER & set(OFFER)


def test_the_diagram_of_an_agents_work_is_the_one_in_the_documents() -> None:
    assert mermaid(WORK).splitlines() == [
        "stateDiagram-v2",
        "    idle --> reserved: OfferMade",
        "    idle --> talking: CallAnswered",
        "    idle --> calling_out: SideCallBegan",
        "    reserved --> ringing: OfferRang",
        "    reserved --> idle: OfferFailed",
        "    reserved --> talking: CallAnswered",
        "    ringing --> idle: OfferFailed",
        "    ringing --> talking: CallAnswered",
        "    talking --> wrapping_up: TalkEnded",
        "    calling_out --> wrapping_up: SideCallEnded",
        "    wrapping_up --> idle: WrapUpEnded",
        "    wrapping_up --> talking: CallAnswered",
        "    wrapping_up --> calling_out: SideCallBegan",
    ]


@pytest.mark.parametrize("entity", TABLES)
def test_a_diagram_shows_each_step_that_leads_elsewhere_once(entity: str) -> None:
    table = TABLES[entity][0]
    lines = mermaid(table).splitlines()
    assert len(set(lines)) == len(lines)
    shown = {
        (source, target, kind)
        for line in lines[1:]
        for source, rest in [line.strip().split(" --> ")]
        for target, kinds in [rest.split(": ")]
        for kind in kinds.split(", ")
    }
    assert shown == {
        ("[*]" if stage is None else stage.value, target.value, kind)
        for stage, steps in table.items()
        for kind, target in steps.items()
        if target is not stage
    }


# -- the same at the floor ---------------------------------------------------------------------------------------


def _arrived(d: Desk) -> None:
    told = i.ChannelArrived(
        at=d.at(1), node=NODE, channel=ChannelId("c1"), name="x", number="0975105151", caller=None
    )
    d.tell(told)


def _announced(d: Desk) -> None:
    """Refused as blocked: the one of whom every fact of the stage can be told, being let in by the key 9 too."""
    d.arrive(1, blocked="listed")


def _waiting(d: Desk) -> None:
    d.wait(1)


def _offered(d: Desk) -> None:
    d.sign_in(0, 1)
    d.wait(1)


def _talking(d: Desk) -> None:
    d.sign_in(0, 1)
    d.wait(1)
    d.pick_up(2)


def _parted(d: Desk) -> None:
    _talking(d)
    call = d.floor.calls[CallId("c1")]
    assert call.bridge is not None and call.talking_leg is not None
    d.tell(i.BridgeLeft(at=d.at(3), bridge=call.bridge, channel=call.talking_leg))


def _transferred(d: Desk) -> None:
    _parted(d)
    for told in (
        i.TransferTold(at=d.at(4), call=CallId("c1"), department=DepartmentId("demo-shimin")),
        i.DialBegan(at=d.at(4), call=CallId("c1"), channel=ChannelId("d"), phone=None, offer=None),
        i.BridgeEntered(at=d.at(4), bridge="city", channel=ChannelId("d")),
        i.BridgeEntered(at=d.at(4), bridge="city", channel=ChannelId("c1")),
    ):
        d.tell(told)


def _ended(d: Desk) -> None:
    d.wait(1)
    d.hang_up(2)


WAYS: dict[Stage, Callable[[Desk], None]] = {
    Stage.ARRIVED: _arrived,
    Stage.ANNOUNCED: _announced,
    Stage.WAITING: _waiting,
    Stage.OFFERED: _offered,
    Stage.TALKING: _talking,
    Stage.PARTED: _parted,
    Stage.TRANSFERRED: _transferred,
    Stage.ENDED: _ended,
}


def _facts(d: Desk, at: Instant) -> list[f.Fact]:
    """One of each kind that moves a call, as right as it can be for the call's present state."""
    call = CallId("c1")
    state = d.floor.calls.get(call)
    offer = (state.offer if state is not None else None) or OfferId("1.99")
    agent = AgentId("1001")
    talking = state.talking_with if state is not None else None
    visit, queue = VisitId("v"), QueueId("demo-general")
    return [
        f.CallArrived(
            at=at,
            call=call,
            node=NODE,
            channel_name="x",
            centre=d.floor.numbers["0975105151"],
            number="0975105151",
            queue=QueueId("demo-general"),
            caller=Personal(call, d.floor.numbers["0975105151"], at, None),
        ),
        f.CallAdmitted(at=at, call=call, reason="r"),
        f.CallRefused(at=at, call=call, outcome=Outcome.CLOSED, reason="r"),
        f.MenuAnswered(
            at=at,
            call=call,
            menu="demo-language",
            key="2",
            choice=Choice.LANGUAGE,
            to="",
            queue=None,
            language="en",
            reason="r",
        ),
        f.CallForwarded(at=at, call=call, channel=ChannelId("out"), recorded=True),
        f.CallbackAsked(
            at=at,
            call=call,
            centre=d.floor.numbers["0975105151"],
            queue=QueueId("demo-general"),
            priority=5,
            since=at,
            language=None,
        ),
        f.MessageBegan(at=at, call=call),
        f.MessageEmpty(at=at, call=call),
        f.MessageLeft(
            at=at,
            call=call,
            centre=d.floor.numbers["0975105151"],
            queue=QueueId("demo-general"),
            language=None,
            due_at=at,
        ),
        f.CallGivenUp(at=at, call=call, outcome=Outcome.FAILED, reason="r"),
        f.VisitBegan(
            at=at, call=call, visit=VisitId("v"), queue=QueueId("demo-general"), priority=5, since=at
        ),
        f.NetEntered(at=at, call=call),
        f.NetLeft(at=at, call=call),
        f.OfferMade(
            at=at,
            offer=OfferId("1.98"),
            call=call,
            visit=VisitId("v"),
            agent=AgentId("1002"),
            phone=PhoneId("demo-p2"),
            ring_s=15,
            reasons=(),
            round=state.offer if state is not None else None,
        ),
        f.CallerMovedUp(at=at, call=call, visit=visit, priority=4, by="x"),
        f.NeedsRelaxed(at=at, call=call, visit=visit, rung=1, reason="r"),
        f.AgentsAdded(at=at, call=call, visit=visit, agents_of=queue, reasons=()),
        f.OverflowBegan(
            at=at, call=call, outcome=Outcome.OVERFLOW_FULL, treatment=Treatment.BUSY, reasons=()
        ),
        f.OverflowUndone(at=at, call=call, reason="r", not_before=at),
        f.ComfortBegan(at=at, call=call, visit=visit, number=8, said="place-1", last=True, until=at),
        f.OverflowMenuBegan(
            at=at,
            call=call,
            visit=visit,
            number=8,
            menu="demo-m",
            outcome=Outcome.OVERFLOW_FULL,
            said=(),
            reasons=(),
        ),
        f.LineRejoined(at=at, call=call, number=7, reason="r"),
        f.WithdrawalAsked(at=at, offer=offer, call=call, reason="r"),
        f.OfferRang(at=at, offer=offer, call=call, channel=ChannelId("l")),
        f.OfferFailed(
            at=at,
            offer=offer,
            call=call,
            agent=agent,
            result=OfferStage.NO_ANSWER,
            rest_until=None,
            reason="r",
        ),
        f.CallAnswered(at=at, call=call, agent=None, phone=None, offer=state.offer if state else None),
        f.CallHeld(at=at, call=call, agent=talking),
        f.HoldOverran(at=at, call=call, agent=talking),
        f.CallResumed(at=at, call=call, agent=talking),
        f.TalkEnded(at=at, call=call, agent=talking, wrap_up_until=None),
        f.TransferBegan(at=at, call=call, agent=None, department=DepartmentId("demo-shimin")),
        f.CallTransferred(at=at, call=call, agent=None, department=None, channel=ChannelId("d"), blind=True),
        f.RecordingStopped(at=at, call=call, since=at),
        f.TransferEnded(at=at, call=call),
        f.CallEnded(at=at, call=call, outcome=Outcome.FAILED, hung_up_by=Party.UNKNOWN, reason="r"),
    ]


def _led_aside(floor: Floor) -> Floor:
    """As it is, but that the call is in a menu: only from there does anybody come back, or key something."""
    call = floor.calls.get(CallId("c1"))
    if call is None or call.stage not in (Stage.WAITING, Stage.OFFERED):
        return floor
    menu = "demo-m" if call.stage is Stage.WAITING else None
    return put_call(floor, changed(call, aside=Aside(7, call.arrived_at, menu=menu), asides=7))


def test_the_facts_tried_here_are_all_that_move_a_call() -> None:
    d = Desk().begin(configuration(centre(2)))
    d.wait(1)
    tried = {type(fact).__name__ for fact in _facts(d, d.at(5))}
    assert tried == {kind for steps in CALL.values() for kind in steps}


@pytest.mark.parametrize("stage", WAYS, ids=lambda s: s.value)
def test_a_fact_that_does_not_fit_a_call_is_refused_and_the_floor_is_as_before(stage: Stage) -> None:
    d = Desk().begin(configuration(centre(2)))
    WAYS[stage](d)
    known = d.floor.calls.get(CallId("c1"))
    assert (Stage.ENDED if known is None else known.stage) is stage
    there = d.floor
    for fact in _facts(d, d.at(5)):
        before = (
            _led_aside(there)
            if isinstance(fact, f.LineRejoined | f.MenuAnswered | f.CallForwarded)
            else there
        )
        if type(fact).__name__ in CALL.get(stage, {}):
            after = evolve(before, fact)
            reached = after.calls.get(CallId("c1"))
            wanted = CALL[stage][type(fact).__name__]
            assert (Stage.ENDED if reached is None else reached.stage) is wanted
        else:
            with pytest.raises(IllegalTransition):
                evolve(before, fact)
        assert d.floor == there
