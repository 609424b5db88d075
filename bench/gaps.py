"""What is missing in a recording of two who speak in numbered packets, and whose fault it is.

`wire.voice` gives each packet of a round a tone of its own, so each 20 ms of a recording tells which packet of either
side it holds: none (a gap), the next one, or one further on (those between were lost). Each fault is held against what
passed on the wire (`wire.Wire`):

- Asterisk's MixMonitor mixes as soon as both sides have 20 ms. Where one has nothing, it waits until that side's last
  packet is 80 ms old or the other side has 80 ms; then it takes silence for it (22.10.1, `audiohook.c`). So a gap is
  the sender's if the next packet came to Asterisk more than 80 ms after the one before, that is more than 60 ms late.
- When a side was away for more than 100 ms, MixMonitor throws away what it has of both, to have them in step again. So
  lost packets are the sender's if about then one of the two sides came more than 80 ms late.
- What did come in time is Asterisk's: late there if it sent the packet on to the other leg late, else by the mixing:
  the other side was ahead. A caller speaks before the agent does, so up to 60 ms of the caller lie ready from the
  talk's begin; then a packet that is read some ms late is enough. Each such gap makes it 20 ms less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from bench.wire import BLOCK, PACKET_S, STEP_HZ, TONES, Flow

LEAST = 0.25
"""Of the usual power: less is no tone."""
SILENCE_S = 4 * PACKET_S
FLUSH_S = 0.1
NEAR_S = 0.3
ROUND_S = TONES * PACKET_S
_FURTHEST = TONES // 2


class Kind(Enum):
    SILENCE = "silence in its place"
    LOST = "thrown away"
    TWICE = "not in its turn"


class Cause(Enum):
    SENDER = "came late to Asterisk"
    ASTERISK = "came in time, and Asterisk was late"
    MIXING = "came in time, and the other side was ahead"


@dataclass(frozen=True, slots=True)
class Fault:
    side: str
    at_s: float
    """In the recording."""
    clock: float
    """When the packet before came, in seconds since the epoch."""
    kind: Kind
    packets: int
    cause: Cause
    late_s: float
    """How much longer than 20 ms the sender's packets were apart there."""
    held_s: float
    """The same where Asterisk sent them on; NaN: it cannot be told."""


def tones(sound: NDArray[np.float64], low: int) -> NDArray[np.int64]:
    """Which tone of this side each 20 ms hold; -1: none."""
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    steps = (low + np.arange(TONES)) * STEP_HZ / 8000
    power = np.abs(blocks @ np.exp(-2j * np.pi * np.outer(np.arange(BLOCK), steps))) ** 2
    most = power.max(axis=1)
    return np.where(most >= LEAST * np.median(most), power.argmax(axis=1), -1)


def passed_on(came: Flow, sent: Flow) -> NDArray[np.float64]:
    """When Asterisk sent each packet on to the other leg; NaN: not within half a second."""
    done = np.full(len(came.at), np.nan)
    for tone in range(TONES):
        mine, times = np.flatnonzero(came.tone == tone), sent.at[sent.tone == tone]
        place = np.searchsorted(times, came.at[mine])
        there = place < len(times)
        found = times[place[there]]
        done[mine[there]] = np.where(found - came.at[mine[there]] < ROUND_S - PACKET_S, found, np.nan)
    return done


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    heard: NDArray[np.int64]
    came: Flow
    done: NDArray[np.float64]


def faults(sides: tuple[Side, Side], *, began: float, first: int, last: int) -> Iterator[Fault]:
    """Of the blocks from `first` to before `last`; the sound began about then (to a quarter of a second)."""
    for side in sides:
        begin = first
        while side.heard[begin] < 0:  # a gap lies there: it is counted from its begin
            begin -= 1
        at, final = _first(side, began, begin), len(side.came.at) - 1
        empty = 0
        for block in range(begin + 1, last):
            tone = side.heard[block]
            if tone < 0:
                empty += 1
                continue
            ahead = np.flatnonzero(side.came.tone[at + 1 : at + 2 + _FURTHEST] == tone)
            if empty:
                yield _fault(side, sides, Kind.SILENCE, empty, at, min(at + 1, final), block)
                empty = 0
            if not len(ahead):
                back = np.flatnonzero(side.came.tone[max(0, at - _FURTHEST) : at + 1] == tone)
                yield _fault(side, sides, Kind.TWICE, 1, at, min(at + 1, final), block)
                at = max(0, at - _FURTHEST) + int(back[-1]) if len(back) else min(at + 1, final)
            elif ahead[0]:
                yield _fault(side, sides, Kind.LOST, int(ahead[0]), at, at + 1 + int(ahead[0]), block)
                at += 1 + int(ahead[0])
            else:
                at += 1


def ahead_s(sides: tuple[Side, Side], *, began: float, first: int, last: int) -> float:
    """How much sooner the first side's packets came to Asterisk than those of the other with which they are mixed: the
    median of a few, for any one may have been late."""
    apart: list[float] = []
    for block in range(first, last, max(1, (last - first) // 20)):
        if all(side.heard[block] >= 0 for side in sides):
            came = [float(side.came.at[_first(side, began, block)]) for side in sides]
            apart.append(came[1] - came[0])
    return float(np.median(apart))


def _first(side: Side, began: float, first: int) -> int:
    """The packet in this block. Raises ValueError if none of that time bears its tone."""
    places = np.flatnonzero(side.came.tone == side.heard[first])
    away = np.abs(side.came.at[places] - (began + first * PACKET_S))
    if not len(places) or away.min() > ROUND_S:
        raise ValueError(f"the {side.name}'s sound begins with no packet that came then")
    return int(places[away.argmin()])


def _fault(
    side: Side, sides: tuple[Side, Side], kind: Kind, packets: int, before: int, after: int, block: int
) -> Fault:
    came = side.came.at
    clock = float(came[before])
    if kind is Kind.SILENCE:
        apart, held, most = came[after] - clock, side.done[after] - side.done[before], SILENCE_S
    else:
        near = [np.abs(each.came.at - clock) < NEAR_S for each in sides]
        apart = max(np.diff(each.came.at[at]).max(initial=0.0) for each, at in zip(sides, near, strict=True))
        held = max(
            np.nanmax(np.diff(each.done[at]), initial=0.0) for each, at in zip(sides, near, strict=True)
        )
        most = FLUSH_S
    cause = Cause.SENDER if apart > most else Cause.ASTERISK if held > most else Cause.MIXING
    return Fault(
        side.name,
        block * PACKET_S,
        clock,
        kind,
        packets,
        cause,
        float(apart) - PACKET_S,
        float(held) - PACKET_S,
    )
