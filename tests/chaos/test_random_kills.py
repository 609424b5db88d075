"""The engine is killed at random instants under several calls, again and again; every call is accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import time

import pytest

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import PhoneError, SimPhone
from callcore.domain import facts as f
from callcore.domain.stages import ANSWERED, Outcome
from tests.chaos import rig
from tests.support.evidence import evidence
from tests.support.station import Station, station

CALLERS, AGENTS = 4, 2


class Citizens:
    """Each calls again and again, with a patience and a wish to talk of its own, until told to stop."""

    def __init__(self, s: Station, dice: random.Random) -> None:
        self.s = s
        self.dice = dice
        self.calls: list[str] = []
        self.over = asyncio.Event()

    async def live(self, phone: SimPhone) -> None:
        while not self.over.is_set():
            patience_s, pause_s = self.dice.uniform(7, 20), self.dice.uniform(0.3, 2)
            line = await self.s.dial_in(phone)
            with contextlib.suppress(PhoneError):
                await line.wait_closed(patience_s)
            await line.hang_up()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), pause_s)


async def killed_at_random(s: Station, kills: int, seed: int) -> dict[str, object]:
    dice = random.Random(seed)
    desks = await rig.staff(s, *range(1, AGENTS + 1))
    for desk in desks:
        desk.auto_answer_s = dice.uniform(0.1, 2)
    citizens = Citizens(s, dice)
    phones = [await s.caller(n, hz=rig.CALLER_HZ) for n in range(1, CALLERS + 1)]
    living = [asyncio.create_task(citizens.live(phone)) for phone in phones]
    starts: list[float] = []
    try:
        for _ in range(kills):
            await asyncio.sleep(dice.uniform(0.5, 9))
            s.kill("engine")
            await asyncio.sleep(dice.choice((0.0, 1.0, dice.uniform(2, 12))))
            began = time.monotonic()
            await s.start_engine()
            starts.append(time.monotonic() - began)
            assert s.floor().problems() == []
    finally:
        citizens.over.set()
        await asyncio.gather(*living)
    calls = rig.cel_calls(s)
    await rig.settled(s, calls)
    for n in range(1, AGENTS + 1):
        await rig.available(s, n)
    ends = {x.call: x.outcome for x in s.told(f.CallEnded)}
    rig.accounts(s, {c: ends[c] for c in ends}, idle=range(1, AGENTS + 1))
    assert set(ends) == set(calls)
    bridged = {row[3] for row in rig.cel(s) if row[0] == "BRIDGE_ENTER"} & set(calls)
    answered = {c for c, outcome in ends.items() if outcome in ANSWERED}
    assert answered == bridged, "answered is who was in a bridge, no more and no less"
    assert Outcome.FAILED not in ends.values(), "no caller was lost by us"
    records = s.books().records.values()
    return {
        "seed": seed,
        "kills": kills,
        "calls": len(calls),
        "answered": len(answered),
        "answered by the safety net": sum(r.by_net for r in records),
        "reconstructed": sum(r.reconstructed for r in records),
        "failed or cut off": sum(o in (Outcome.FAILED, Outcome.CUT_OFF) for o in ends.values()),
        "engine start median s": round(statistics.median(starts), 2),
        "engine start max s": round(max(starts), 2),
    }


async def test_three_kills_at_random_instants_lose_no_call() -> None:
    async with station(DemoCentre(agents=AGENTS, acw_s=1)) as s:
        await killed_at_random(s, 3, seed=int(os.environ.get("CALLCORE_SEED", "271828")))


@pytest.mark.soak
async def test_many_kills_at_random_instants_lose_no_call() -> None:
    kills = int(os.environ.get("CALLCORE_SOAK_N", "20"))
    seed = int(os.environ.get("CALLCORE_SEED", "314159"))
    async with station(DemoCentre(agents=AGENTS, acw_s=1)) as s:
        evidence("engine killed at random instants", await killed_at_random(s, kills, seed))
