"""Who gets whom, and who overflows, against the plainest way to say it: every caller against every agent.

The references are written from what the modules promise, count everything from the calls and the agents themselves and
use none of the floor's indexes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain import facts as f
from callcore.domain import overflow, routing
from callcore.domain.agent import AgentState
from callcore.domain.call import Aside, Call, Leg, Visit
from callcore.domain.centre import (
    Agent,
    Cause,
    Centre,
    Configuration,
    Guest,
    Order,
    Overflow,
    Queue,
    Rung,
)
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor, put_agent, put_call, put_device
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    PhoneId,
    QueueId,
    VisitId,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Device, Presence, Stage, Treatment, Work
from callcore.domain.turn import Turn
from tests.support.acd import site
from tests.support.floors import MONDAY_NOON, NODE

CENTRES = ("a", "b")
QUEUES = tuple(QueueId(f"{c}-{n}") for c in CENTRES for n in (0, 1))
SKILLS = ("en", "zh")
MENUS = ("m-1", "m-2")
COUNTED = (Cause.WAITING, Cause.PER_AGENT, Cause.LINES, Cause.NO_AGENT)
"""What is asked again after every input; limits of time come by a timer."""

levels = st.integers(1, 4)
some_queues = st.lists(st.sampled_from(QUEUES), max_size=2, unique=True).map(tuple)


def _of(centre: str) -> list[QueueId]:
    return [q for q in QUEUES if q[0] == centre]


@st.composite
def rules(draw: st.DrawFn, own: QueueId) -> Overflow:
    treatment = draw(st.sampled_from(Treatment))
    others = [q for q in QUEUES if q != own and (treatment is Treatment.AGENTS or q[0] == own[0])]
    target = draw(st.sampled_from(others)) if treatment in (Treatment.QUEUE, Treatment.AGENTS) else None
    menu = draw(st.sampled_from(MENUS)) if treatment is Treatment.MENU else None
    again_s = draw(st.sampled_from((0, 1, 5))) if menu is not None else 0
    return Overflow(draw(st.sampled_from(COUNTED)), treatment, draw(st.integers(0, 3)), target, menu, again_s)


@st.composite
def queues(draw: st.DrawFn, name: QueueId, *, overflows: bool) -> Queue:
    needs = draw(st.dictionaries(st.sampled_from(SKILLS), levels, max_size=2))
    rungs = draw(st.lists(st.tuples(st.none() | levels, some_queues), max_size=2))
    return Queue(
        name,
        name,
        needs=tuple(needs.items()),
        ladder=tuple(Rung(10 * (n + 1), level, also) for n, (level, also) in enumerate(rungs)),
        order=draw(st.sampled_from(Order)),
        ring_at_once=draw(st.integers(1, 3)),
        seed=draw(st.integers(0, 3)),
        overflow=tuple(draw(st.lists(rules(name), max_size=3))) if overflows else (),
    )


@st.composite
def centres(draw: st.DrawFn, name: str, staff: tuple[Agent, ...], *, overflows: bool) -> Centre:
    own = [draw(queues(q, overflows=overflows)) for q in QUEUES if q.startswith(name)]
    return site(
        *own,
        staff=staff,
        name=name,
        keep=draw(st.integers(0, 2)),
        guests_most=draw(st.none() | st.integers(0, 2)),
        lines=draw(st.none() | st.integers(1, 4)),
    )


@st.composite
def floors(draw: st.DrawFn, *, overflows: bool = False) -> Floor:
    """Two centres at some moment, agents and callers in all kinds of states; as many free agents as it happens."""
    made: list[Centre] = []
    homes: dict[str, str] = {}
    for c, name in enumerate(CENTRES):
        staff = tuple(
            Agent(
                AgentId(str(1000 + 10 * c + n)),
                "x",
                draw(st.lists(st.sampled_from(_of(name)), min_size=1, unique=True).map(tuple)),
                skills=tuple(draw(st.dictionaries(st.sampled_from(SKILLS), levels)).items()),
            )
            for n in range(draw(st.integers(0, 4)))
        )  # fmt: skip
        homes.update({a.id: name for a in staff})
        made.append(draw(centres(name, staff, overflows=overflows)))
    visitors = [
        Guest(AgentId(a), (draw(st.sampled_from([q for q in QUEUES if q[0] != home])),))
        for a, home in homes.items()
        if draw(st.booleans())
    ]
    made = [
        replace(
            c, guests=tuple(g for g in visitors if g.queues[0].startswith(c.id) and homes[g.agent] != c.id)
        )
        for c in made
    ]
    floor = evolve(
        Floor(linked=True), f.Configured(at=MONDAY_NOON, configuration=Configuration("x", tuple(made)))
    )
    for agent in list(floor.agents.values()):
        floor = draw(_at_work(floor, agent))
    for n in range(draw(st.integers(0, 6))):
        floor = put_call(floor, draw(_calls(floor, n)))
    return floor


@st.composite
def _at_work(draw: st.DrawFn, floor: Floor, agent: AgentState) -> Floor:
    presence = draw(st.sampled_from([Presence.READY, Presence.READY, Presence.READY, *Presence]))
    if presence is Presence.SIGNED_OUT:
        return floor
    phone = PhoneId(f"{agent.centre}-p{agent.id}")
    work = draw(st.sampled_from([Work.IDLE, Work.IDLE, Work.TALKING]))
    now = replace(
        agent,
        presence=presence,
        phone=phone,
        work=work,
        idle_since=Instant(MONDAY_NOON - draw(st.integers(0, 3)) * SECOND),
        answered=draw(st.integers(0, 2)),
        rest_until=draw(st.sampled_from([None, None, None, MONDAY_NOON])),
        at_work_for=None if work is Work.IDLE else CentreId(draw(st.sampled_from(CENTRES))),
    )
    device = draw(st.sampled_from([Device.FREE, Device.FREE, Device.FREE, Device.BUSY]))
    floor = put_device(floor, phone, device, floor.at)
    return put_agent(floor, now, seated=floor.seated.set(phone, agent.id))


@st.composite
def _calls(draw: st.DrawFn, floor: Floor, n: int) -> Call:
    name = draw(st.sampled_from(QUEUES))
    at = Instant(MONDAY_NOON - draw(st.integers(0, 3)) * SECOND)
    been = tuple(
        draw(st.lists(st.sampled_from([q for q in QUEUES if q[0] == name[0] and q != name]), max_size=1))
    )
    led = draw(st.dictionaries(st.sampled_from(MENUS), st.integers(0, 6), max_size=2))
    visit = Visit(
        VisitId("v"), name, draw(st.integers(1, 2)), at, at, draw(st.integers(0, 2)), draw(some_queues),
        menus=tuple((menu, Instant(MONDAY_NOON - ago * SECOND)) for menu, ago in led.items()),
    )  # fmt: skip
    aside = draw(st.sampled_from([None, None, None, Aside(1, at), Aside(1, at, menu=MENUS[0])]))
    return Call(
        id=CallId(f"c{n}"),
        node=NODE,
        channel_name=f"x-{n}",
        centre=CentreId(name[0]),
        number=f"{name[0]}-0",
        queue=name,
        caller=Personal(CallId(f"c{n}"), CentreId(name[0]), at, None),
        arrived_at=Instant(MONDAY_NOON - draw(st.integers(0, 9)) * SECOND),
        stage=Stage.WAITING,
        legs=(Leg(ChannelId(f"c{n}"), None, None, None),),
        been=(*been, name),
        visit=visit,
        entered_at=at,
        in_net=aside is None and draw(st.sampled_from([False, False, False, True])),
        offers=draw(st.integers(0, 2)),
        aside=aside,
        asides=1,
    )


# -- who gets whom ---------------------------------------------------------------------------------------------


def _place(call: Call) -> tuple[int, int, str]:
    assert call.visit is not None
    return call.visit.priority, call.visit.since, call.id


def _waiting(floor: Floor) -> list[Call]:
    return sorted((c for c in floor.calls.values() if c.may_be_offered), key=_place)


def _may_go(floor: Floor, agent: AgentState, centre: CentreId, lent: dict[AgentId, CentreId]) -> bool:
    """Within the centres' shares, were this agent to work for this centre now; `lent`: chosen already."""
    if agent.centre == centre:
        return True
    works = {a.id: a.at_work_for for a in floor.agents.values()} | lent
    guests = [a for a in floor.agents.values() if works[a.id] == centre and a.centre != centre]
    most = floor.centres[centre].guests_most
    if most is not None and len(guests) >= most:
        return False
    own = [a for a in floor.agents.values() if a.centre == agent.centre and a.presence is Presence.READY]
    at_home = [a for a in own if works[a.id] in (None, agent.centre) and a.id != agent.id]
    keep = floor.centres[agent.centre].keep
    return keep == 0 or len(at_home) >= keep


def _serves(queue: Queue, visit: Visit, agent: AgentState) -> bool:
    asked = {queue.id, *visit.also}
    needs = dict(queue.needs)
    for step in queue.ladder[: visit.rung]:
        asked |= set(step.agents_of)
        for skill, worst in needs.items():
            needs[skill] = max(worst, step.level or 0)
    has = dict(agent.skills)
    return bool(asked & set(agent.queues)) and all(
        has.get(skill, 10) <= worst for skill, worst in needs.items()
    )


def _could(queue: Queue, visit: Visit, agent: AgentState) -> bool:
    """On duty, and with the skills that the whole ladder comes to accept."""
    highest = max((step.level or 0 for step in queue.ladder), default=0)
    asked = {queue.id, *visit.also, *(q for step in queue.ladder[: visit.rung] for q in step.agents_of)}
    has = dict(agent.skills)
    enough = all(has.get(skill, 10) <= max(worst, highest) for skill, worst in queue.needs)
    return agent.presence is Presence.READY and bool(asked & set(agent.queues)) and enough


def _sooner(queue: Queue, call: Call, agent: AgentState) -> tuple[Any, ...]:
    has = dict(agent.skills)
    turn = {
        Order.LONGEST_IDLE: agent.idle_since,
        Order.LINEAR: agent.rank,
        Order.FEWEST_CALLS: agent.answered,
        Order.RANDOM: routing._turn(queue, call, agent),
    }[queue.order]
    return (queue.id not in agent.queues, max((has[s] for s, _ in queue.needs), default=0), turn, agent.id)


def reference(floor: Floor) -> list[tuple[str, list[str]]]:
    lent: dict[AgentId, CentreId] = {}
    found: list[tuple[str, list[str]]] = []
    for call in _waiting(floor):
        assert call.visit is not None
        queue = floor.queues[call.visit.queue]
        fitting = [
            a
            for a in floor.agents.values()
            if a.id not in lent
            and a.presence is Presence.READY
            and a.work is Work.IDLE
            and a.rest_until is None
            and a.phone is not None
            and floor.phones[a.phone] is Device.FREE
            and _serves(queue, call.visit, a)
        ]
        chosen: list[str] = []
        for agent in sorted(fitting, key=lambda a: _sooner(queue, call, a)):
            if len(chosen) < queue.ring_at_once and _may_go(floor, agent, call.centre, lent):
                chosen.append(agent.id)
                lent[agent.id] = call.centre
        if chosen:
            found.append((call.id, chosen))
    return found


@settings(max_examples=300, deadline=None)
@given(floors())
def test_the_right_caller_gets_the_right_agents_whatever_the_skills_ladders_strategies_and_shares(
    floor: Floor,
) -> None:
    got = [(m.call.id, [a.id for a in m.agents]) for m in routing.matches(floor)]
    assert got == reference(floor)


# -- who overflows -----------------------------------------------------------------------------------------------


def _rule_for(floor: Floor, call: Call) -> Overflow | None:
    """The first rule that holds for this caller now."""
    assert call.visit is not None
    queue = floor.queues[call.visit.queue]
    before = [
        c for c in _waiting(floor) if c.visit and c.visit.queue == queue.id and _place(c) < _place(call)
    ]
    duty = [a for a in floor.agents.values() if a.presence is Presence.READY and queue.id in a.queues]
    centre = floor.centres[call.centre]
    came = (call.arrived_at, call.id)
    earlier = [
        c
        for c in floor.calls.values()
        if c.centre == call.centre and c.leaving_as is None and (c.arrived_at, c.id) < came
    ]
    for rule in queue.overflow:
        used = rule.target is not None and (rule.target in call.been or rule.target in call.visit.also)
        for menu, at in call.visit.menus:
            used |= menu == rule.menu and (not rule.again_s or MONDAY_NOON - at < rule.again_s * SECOND)
        holds = {
            Cause.WAITING: len(before) >= rule.limit,
            Cause.PER_AGENT: len(before) >= rule.limit * len(duty),
            Cause.LINES: centre.lines is not None and len(earlier) >= centre.lines,
            Cause.NO_AGENT: not any(_could(queue, call.visit, a) for a in floor.agents.values()),
        }[rule.cause]
        if holds and not used:
            return rule
    return None


def _treated(floor: Floor) -> tuple[Floor, list[tuple[str, Overflow]]]:
    """Until nobody overflows; each time the last of those who do."""
    applied: list[tuple[str, Overflow]] = []
    while True:
        asked = [call for call in _waiting(floor) if call.aside is None]
        hits = [(call, rule) for call in asked if (rule := _rule_for(floor, call)) is not None]
        if not hits:
            return floor, applied
        call, rule = hits[-1]
        turn = Turn(floor, MONDAY_NOON)
        turn.overflow(call, rule, "reference")
        applied.append((call.id, rule))
        floor = turn.floor


def _found(floor: Floor) -> tuple[Floor, list[tuple[str, Overflow]]]:
    applied: list[tuple[str, Overflow]] = []
    while (hit := overflow.found(floor, MONDAY_NOON)) is not None:
        turn = Turn(floor, MONDAY_NOON)
        turn.overflow(*hit)
        applied.append((hit[0].id, hit[1]))
        floor = turn.floor
    return floor, applied


@settings(max_examples=300, deadline=None)
@given(floors(overflows=True))
def test_exactly_those_overflow_whom_a_rule_names_the_last_to_have_come_first(floor: Floor) -> None:
    one, applied = _treated(floor)
    other, found = _found(floor)
    assert found == applied
    assert {n: (c.queue, c.leaving_as, c.aside) for n, c in one.calls.items()} == {
        n: (c.queue, c.leaving_as, c.aside) for n, c in other.calls.items()
    }
