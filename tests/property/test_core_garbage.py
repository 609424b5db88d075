"""Whatever the core is told, in any order: it does not fall, nobody is in two places, nobody stays stuck."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain import inputs as i
from callcore.domain.ids import SECOND, Instant, NodeId
from callcore.domain.phones import Policy
from callcore.domain.stages import Device, Presence, Work
from tests.property.garbage import CONFIGURATIONS, Draw, Source
from tests.support.evidence import evidence
from tests.support.floors import Desk
from tests.support.watched import Watched

NUMBERS = st.integers(0, 250)
DRAWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=120)


def at_work(which: int = 0, desk: Watched | None = None) -> Watched:
    """Three agents ready, two callers on the line. `which` of the configurations."""
    desk = desk or Watched()
    desk.begin(CONFIGURATIONS[which])
    for n in (1, 2, 3):
        desk.sign_in(n / 10, n)
    for n in (1, 2, 3, 4):
        desk.wait(1 + n / 10, f"c0000{n}")
    return desk


def all_go_home(desk: Watched, at: Instant) -> None:
    """After a snapshot of each node that shows nothing, and the timers: no call, and who is ready is available."""
    at = Instant(max(at, desk.floor.at) + 3600 * SECOND)
    run = desk.floor.run + 1
    desk.tell(i.RunBegins(at=at, run=run, software="test", configuration=CONFIGURATIONS[0]))
    for name in sorted(desk.floor.callbacks):  # else the agents would go on calling citizens
        desk.tell(i.CallbackDropAsked(at=at, call=name, by="係長"))
    for phone in sorted(desk.floor.phones):
        desk.tell(i.DeviceReported(at=at, phone=phone, device=Device.FREE))
        desk.tell(i.PhoneJudged(at=at, phone=phone, policy=Policy.MATCHED, contact="seal"))
    for node in ("node1", "node2"):
        desk.tell(i.Snapshot(at=at, node=NodeId(node), first=True, channels=(), devices=(), members=()))
    for timer, due in sorted(desk.armed.items(), key=lambda t: (t[1], t[0].kind.value, t[0].subject)):
        desk.tell(i.TimerFired(at=max(at, due), timer=timer))
    assert dict(desk.floor.calls) == {}
    assert dict(desk.floor.offers) == {}
    assert dict(desk.floor.channels) == {}
    for agent in desk.floor.agents.values():
        assert agent.work is Work.IDLE, agent
        known = agent.phone in desk.floor.phones
        if agent.presence is Presence.READY and known:
            assert desk.floor.available(agent), agent


def tell(desk: Desk, draws: list[Draw], counts: Counter[str] | None = None) -> Instant:
    source = Source(desk.floor.at)
    for draw in draws:
        told = source.input(desk.floor, draw)
        desk.tell(told)
        if counts is not None:
            counts[type(told).__name__] += 1
    return source.at


@settings(max_examples=120, deadline=None)
@given(DRAWS, st.integers(0, 2))
def test_whatever_is_told_in_whatever_order_nobody_is_lost_doubled_or_stuck(
    draws: list[Draw], which: int
) -> None:
    desk = at_work(which)
    all_go_home(desk, tell(desk, draws))


SEED = 20_261_120
SOAK_INPUTS = 1_000_000
ONE_TRIAL = 400


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_inputs_of_every_kind_leave_no_call_lost_and_no_agent_stuck() -> None:
    chance = random.Random(SEED)
    counts: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    trials = disregarded = 0
    began = time.monotonic()
    while counts.total() < SOAK_INPUTS:
        desk = at_work(trials % 3)
        draws = [tuple(chance.randrange(100_000) for _ in range(5)) for _ in range(ONE_TRIAL)]
        source = Source(desk.floor.at)
        for draw in draws:
            told = source.input(desk.floor, draw)  # type: ignore[arg-type]
            disregarded += desk.tell(told).disregarded is not None
            counts[type(told).__name__] += 1
        all_go_home(desk, source.at)
        facts.update(type(fact).__name__ for fact in desk.facts)
        trials += 1
    evidence(
        "core_random_inputs",
        {
            "inputs": counts.total(),
            "trials": trials,
            "seed": SEED,
            "disregarded": disregarded,
            "facts": facts.total(),
            "seconds": round(time.monotonic() - began, 1),
            "inputs_by_kind": dict(sorted(counts.items())),
            "facts_by_kind": dict(sorted(facts.items())),
        },
    )
