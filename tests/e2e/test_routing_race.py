"""Nobody is cut off and nobody is thrown back, however callers, agents and redirects run into each other."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.evidence import evidence
from tests.support.race import (
    Callers,
    Race,
    ahead_of_others,
    load_centre,
    register_for_long,
    run_race,
    short_prompts,
    slow_to_the_line,
)
from tests.support.station import Station, station


@asynccontextmanager
async def load_station(
    agents: int, prepare: Callable[[Station], None] = register_for_long
) -> AsyncIterator[Station]:
    async with station(
        load_centre(agents), engine=False, prompts=short_prompts, pins=False, prepare=prepare
    ) as s:
        yield s


def _none_lost(race: Race, calls: int) -> None:
    assert list(race.cut[:5]) == []
    assert list(race.bounced[:5]) == []
    assert list(race.unequal[:5]) == [], race.complaints
    assert race.imbalance is None
    assert race.healed == []
    assert race.engine_faults == 0
    assert race.never_came <= calls // 100, "a stalled load generator proves nothing"
    assert race.calls == calls - race.never_came
    assert race.answered + race.abandoned == race.calls
    assert race.answered > calls * 0.6, "the race was not run: most callers are due an agent"


@pytest.mark.alone
async def test_no_caller_is_cut_off_or_thrown_back_when_all_move_at_once() -> None:
    seed = int(os.environ.get("CALLCORE_SEED", "20261120"))
    async with load_station(80) as s:
        race = await run_race(s, calls=400, rate=20, seed=seed)
    _none_lost(race, 400)


@pytest.mark.alone
async def test_a_caller_on_the_way_to_the_waiting_line_is_not_moved_before_standing_there() -> None:
    """Without the look before each redirect, 4 callers of 200 were cut off here."""
    async with load_station(80, slow_to_the_line) as s:
        # Ten a second: each goes through all those steps, which takes Asterisk a tenth of a second of processor.
        race = await run_race(s, calls=200, rate=10, seed=1, kinds=[Callers(1.0, None)])
    _none_lost(race, 200)


@pytest.mark.soak
async def test_of_100_000_callers_none_is_cut_off_or_thrown_back() -> None:
    """Fifty minutes; `progress.log` beside the figures tells how far it is."""
    calls = int(os.environ.get("CALLCORE_RACE_CALLS", "100000"))
    rate = float(os.environ.get("CALLCORE_RACE_RATE", "33"))
    seed = int(os.environ.get("CALLCORE_SEED", "20261120"))
    async with load_station(100) as s:
        ahead_of_others(s)
        race = await run_race(s, calls=calls, rate=rate, seed=seed)
    evidence("Routing race: callers, agents and redirects at once", race.evidence())
    _none_lost(race, calls)
