"""What is missing in a recording of numbered packets is found, and whose fault it is."""

from __future__ import annotations

import numpy as np
import pytest
from bench import gaps, wire
from bench.gaps import Cause, Kind, Side
from bench.wire import BLOCK, PACKET_S, TONES, Flow

from tests.support.sip import decoded

N = 200
BEGAN = 1_795_143_501.0
PAUSE = -1


def sound(low: int, packets: list[int]) -> np.ndarray:
    voice = decoded(wire.voice(low)).reshape(TONES, BLOCK)
    return np.concatenate([np.zeros(BLOCK) if n == PAUSE else voice[n % TONES] for n in packets]) * 32768


def flow(late: dict[int, float] | None = None) -> Flow:
    """`late`: from which packet on, by how many seconds; the packets after it catch up at once."""
    at = BEGAN + PACKET_S * np.arange(N)
    for n, by in (late or {}).items():
        at = np.where((np.arange(N) >= n) & (at < at[n] + by), at[n] + by, at)
    return Flow(at, np.arange(N) % TONES, np.arange(N))


def found(
    caller: list[int], came: Flow | None = None, done: Flow | None = None, agent: list[int] | None = None
) -> list[tuple[str, Kind, int, Cause]]:
    heard = sound(wire.LOW, caller) + sound(wire.HIGH, agent or list(range(len(caller))))
    came = came or flow()
    sides = (
        Side("caller", gaps.tones(heard, wire.LOW), came, gaps.passed_on(came, done or came)),
        Side("agent", gaps.tones(heard, wire.HIGH), flow(), gaps.passed_on(flow(), flow())),
    )
    told = gaps.faults(sides, began=BEGAN, first=10, last=len(caller))
    return [(each.side, each.kind, each.packets, each.cause) for each in told]


def test_a_whole_recording_has_no_fault() -> None:
    assert found(list(range(150))) == []


@pytest.mark.parametrize(
    ("late_s", "held_s", "cause"),
    [(0.07, 0.0, Cause.SENDER), (0.05, 0.0, Cause.MIXING), (0.0, 0.07, Cause.ASTERISK)],
)
def test_a_gap_is_the_senders_or_asterisks_or_the_mixings(late_s: float, held_s: float, cause: Cause) -> None:
    packets = [*range(60), PAUSE, *range(60, 149)]
    came = flow({60: late_s})
    done = flow({60: held_s}) if held_s else came
    assert found(packets, came, done) == [("caller", Kind.SILENCE, 1, cause)]


def test_lost_packets_are_counted_and_the_rest_is_none_the_worse() -> None:
    packets = [*range(60), *range(65, 155)]
    assert found(packets) == [("caller", Kind.LOST, 5, Cause.MIXING)]
    assert found(packets, flow({60: 0.12})) == [("caller", Kind.LOST, 5, Cause.SENDER)]


def test_a_packet_that_is_there_twice_is_no_whole_recording() -> None:
    assert [kind for _, kind, _, _ in found([*range(60), 59, *range(60, 149)])] == [Kind.TWICE]


def test_either_side_is_looked_at() -> None:
    agent = [*range(30), PAUSE, PAUSE, *range(30, 148)]
    assert found(list(range(150)), agent=agent) == [("agent", Kind.SILENCE, 2, Cause.MIXING)]


def test_what_is_still_in_the_recording_after_the_last_packet_that_came_is_a_fault_too() -> None:
    agent = [*range(100), 99, PAUSE, 0]
    whole = flow()
    short = Flow(whole.at[:100], whole.tone[:100], whole.seq[:100])
    heard = sound(wire.LOW, list(range(len(agent)))) + sound(wire.HIGH, agent)
    sides = (
        Side("caller", gaps.tones(heard, wire.LOW), whole, gaps.passed_on(whole, whole)),
        Side("agent", gaps.tones(heard, wire.HIGH), short, gaps.passed_on(short, short)),
    )
    told = list(gaps.faults(sides, began=BEGAN, first=10, last=len(agent)))
    assert {each.kind for each in told} >= {Kind.TWICE, Kind.SILENCE}
