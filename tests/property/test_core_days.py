"""Days at a simulated Asterisk: what the core believes is held against what callers and agents really lived through."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain import inputs as i
from callcore.domain.ids import Instant
from callcore.domain.stages import Device, Presence
from tests.support.evidence import evidence
from tests.support.floors import NODE
from tests.support.sim import Sim, Wire

SEEDS = st.integers(0, 10**9)
LINKS = st.lists(
    st.tuples(st.sampled_from(["lost", "killed"]), st.integers(1, 40), st.integers(5, 60)), max_size=3
)
"""What happens to the engine's link: how, how long it lasts, and seconds until the next time."""

GOOD = Wire()


def a_day(
    seed: int,
    callers: int,
    links: list[tuple[str, int, int]],
    wire: Wire = GOOD,
    *,
    hasty: bool = False,
    rich: bool = False,
) -> Sim:
    """Everybody signs in; then callers come, agents come and go, and the link is lost as told."""
    sim = Sim(seed, agents=4 if rich else 3, wire=wire, hasty=hasty, rich=rich)
    sim.engine_starts()
    sim.run(1)
    for n in range(1, sim.agents + 1):
        sim.keys_in(n)
    for _ in range(callers):
        sim.later(
            sim.between(3, 90),
            lambda: sim.comes(sim.between(0.5, 120), open=sim.chance.random() > 0.1) and None,
        )
    for _ in range(6):
        habits = (sim.keys_in, sim.keys_out, sim.dials_out, sim.keys_in)
        if rich:
            habits += (sim.pauses, sim.is_ready, sim.takes_longer, sim.is_set_to_pause)
        habit = sim.chance.choice(habits)
        sim.later(sim.between(5, 120), lambda habit=habit: habit(sim.chance.randint(1, sim.agents)))  # type: ignore[misc]
    s = 3.0
    for how, lasts, then in links:
        s += then
        if how == "killed":
            sim.later(s, sim.engine_killed)
            sim.later(s + lasts, sim.engine_starts)
        else:
            sim.later(s, sim.link_lost)
            sim.later(s + lasts, sim.link_up)
        s += lasts + 0.5
    return sim


def goes_home(sim: Sim) -> None:
    """Everybody goes; nobody may be left on the floor, and whoever is ready is available."""
    sim.run(400)
    core = sim.core
    sim.wire = Wire()
    for phone in sim.phones.values():
        core.tell(i.DeviceReported(at=sim.now, phone=phone.id, device=Device.FREE))
    core.tell(i.Snapshot(at=sim.now, node=NODE, first=True, channels=(), devices=(), members=()))
    for timer, due in sorted(core.armed.items(), key=lambda t: (t[1], t[0].kind.value, t[0].subject)):
        core.tell(i.TimerFired(at=Instant(max(due, sim.now)), timer=timer))
    assert dict(core.floor.calls) == {}
    assert dict(core.floor.offers) == {}
    ready = [a for a in core.floor.agents.values() if a.presence is Presence.READY]
    assert all(core.floor.available(a) for a in ready)
    assert set(core.outcomes_of) == set(core.books.records)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), rich=st.booleans())
def test_on_a_good_link_the_books_say_what_every_caller_lived_through(
    seed: int, callers: int, rich: bool
) -> None:
    sim = a_day(seed, callers, [], rich=rich)
    for _ in range(10):
        sim.run(13.37)
        settle(sim)
        assert sim.differences() == []
    goes_home(sim)
    assert sim.ended_otherwise(watched=True) == []


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), links=LINKS, rich=st.booleans())
def test_a_lost_link_or_a_killed_engine_costs_no_call_and_no_figure(
    seed: int, callers: int, links: list[tuple[str, int, int]], rich: bool
) -> None:
    sim = a_day(seed, callers, links, rich=rich)
    sim.run(3 + sum(lasts + then + 0.5 for _, lasts, then in links) + 2)
    settle(sim)
    assert sim.differences() == []
    goes_home(sim)
    assert sim.ended_otherwise(watched=False) == []


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    callers=st.integers(1, 14),
    links=LINKS,
    rich=st.booleans(),
    double=st.sampled_from([0.0, 0.1, 0.5]),
    late=st.sampled_from([0.0, 0.1, 0.5]),
    drop=st.sampled_from([0.0, 0.05, 0.3]),
)
def test_what_a_bad_wire_doubled_delayed_or_lost_is_mended_within_two_looks(
    seed: int,
    callers: int,
    links: list[tuple[str, int, int]],
    rich: bool,
    double: float,
    late: float,
    drop: float,
) -> None:
    sim = a_day(seed, callers, links, Wire(double, late, drop), rich=rich)
    sim.run(3 + sum(lasts + then + 0.5 for _, lasts, then in links) + 60)
    sim.wire = Wire()
    sim.run(30)
    settle(sim)
    assert sim.differences() == []
    goes_home(sim)


SEED = 20_261_121
SOAK_DAYS = 1_500


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_over_many_days_with_lost_links_and_killed_engines_no_call_and_no_figure_is_lost() -> None:
    chance = random.Random(SEED)
    totals: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for _ in range(SOAK_DAYS):
        links = [
            (chance.choice(["lost", "killed"]), chance.randint(1, 40), chance.randint(5, 60))
            for _ in range(chance.randint(0, 3))
        ]
        sim = a_day(
            chance.randrange(10**9),
            chance.randint(1, 20),
            links,
            hasty=chance.random() < 0.3,
            rich=chance.random() < 0.5,
        )
        sim.run(3 + sum(lasts + then + 0.5 for _, lasts, then in links) + 2)
        settle(sim)
        assert sim.differences() == []
        goes_home(sim)
        assert sim.ended_otherwise(watched=not links) == []
        told = sim.core.figures(sim.now)
        totals.update(calls=told.arrived, answered=told.answered, reconstructed=told.reconstructed)
        totals.update(
            inputs=sim.inputs, links_lost=len(links), killed=sum(how == "killed" for how, *_ in links)
        )
        outcomes.update(r.outcome.value for r in sim.core.books.records.values() if r.outcome is not None)
    evidence(
        "core_simulated_days",
        {"days": SOAK_DAYS, "seed": SEED, **totals, "wrong": 0, "outcomes": dict(sorted(outcomes.items()))},
    )


def settle(sim: Sim) -> None:
    """Until nothing is under way between Asterisk and the engine; some ten milliseconds."""
    for _ in range(2000):
        if sim.under_way == 0:
            return
        sim.run(0.01)
    raise AssertionError("something is always under way")
