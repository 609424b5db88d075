"""The engine is killed again and again while the house is full; no call, no place in the line and no record is lost."""

from __future__ import annotations

import os

import pytest

from tests.support.evidence import evidence
from tests.support.full_house import Account, Phase, house, killed_under_load

SERVES_WITHIN_S = 5.0


def _nothing_lost(found: Account) -> None:
    assert list(found.lost[:5]) == []
    assert list(found.missing[:5]) == []
    assert list(found.passed[:5]) == []
    assert list(found.stuck[:5]) == []
    assert found.imbalance is None
    assert found.faults == 0
    assert found.never_came <= found.calls // 100, "a stalled load generator proves nothing"


@pytest.mark.alone
async def test_two_kills_in_a_full_house_lose_no_call_no_place_and_no_record() -> None:
    async with house(25) as s:
        phase = Phase(rate=6, seconds=34, open_calls=70)
        seed = int(os.environ.get("CALLCORE_SEED", "141421"))
        found = await killed_under_load(s, phase, 2, seed, gap_s=(7.0, 10.0))
    _nothing_lost(found)
    assert found.most_waiting >= 20, "the house was not full"


@pytest.mark.soak
async def test_twenty_kills_under_the_full_load() -> None:
    kills = int(os.environ.get("CALLCORE_SOAK_N", "20"))
    async with house(150) as s:
        # Each kill takes its gap, the time away and the start: 17 s on average.
        phase = Phase(rate=10, seconds=kills * 17.0, open_calls=380)
        found = await killed_under_load(s, phase, kills, int(os.environ.get("CALLCORE_SEED", "141421")))
    evidence("The engine killed in a full house", found.evidence())
    _nothing_lost(found)
    assert found.most_open >= 300
    assert max(kill.up_s for kill in found.kills) < SERVES_WITHIN_S
