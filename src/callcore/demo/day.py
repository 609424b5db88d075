"""A working day, drawn by chance from a seed: who calls when, for how long they talk, how long they wait.

The shape is the specification's: about 150 calls a day, 6 minutes each with after-call work, a peak from 8:30 to
14:00, opening hours of nine and a half hours. `speed` divides the gaps between arrivals, talk, patience and
after-call work, and nothing else: announcements, ringing and the heartbeat take the time that they take.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

DAY_S = 9.5 * 3600
"""8:30 to 18:00."""
HALF_HOURS = (9, 11, 12, 11, 10, 9, 8, 8, 9, 10, 8, 6, 6, 6, 5, 5, 5, 4, 3)
"""Relative arrivals of the nineteen half hours from 8:30 on; the morning is the peak."""
TALK_S = 330.0
TALK_SPREAD = 0.5
"""Sigma of the lognormal talk time; its mean is `TALK_S`."""
ACW_S = 30.0
PATIENCE_S = 240.0
"""Mean of the exponential patience, counted from the end of the greeting."""
HASTY = 0.05
"""Share of callers who hang up during the announcements, whatever the speed."""
LATE = 0.04
"""Share of callers, beside the others, who come after the closing."""
LATE_WITHIN_S = 1800.0
CALLER_HANGS_UP = 0.7
"""Share of talks that the caller ends; the agent ends the others."""
RING_S = (1.0, 4.0)
"""Seconds after which an agent picks up: the fastest and the slowest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the day is played. `agents` on duty; `calls` before the closing."""

    speed: float = 1.0
    calls: int = 150
    agents: int = 3
    seed: int = 1

    @property
    def open_s(self) -> float:
        """Length of the opening hours as played, in seconds."""
        return DAY_S / self.speed

    @property
    def acw_s(self) -> int:
        """After-call work as played, whole seconds, at least one."""
        return max(1, round(ACW_S / self.speed))


@dataclass(frozen=True, slots=True)
class Visitor:
    """One caller. Seconds of the playing clock: `at` from the opening; `patience_s` after the greeting."""

    number: str
    at: float
    talk_s: float
    patience_s: float
    hasty_s: float | None
    """Hangs up so long after dialling, in the announcements; None: hears them out."""
    ends_talk: bool


def visitors(plan: Plan) -> Sequence[Visitor]:
    """The day's callers in the order of arrival. The same plan gives the same day."""
    chance = random.Random(plan.seed)  # noqa: S311  no secret: a day that can be played again
    slots = range(len(HALF_HOURS))
    times = [
        (slot + chance.random()) * 1800.0 / plan.speed
        for slot in chance.choices(slots, weights=HALF_HOURS, k=plan.calls)
    ]
    late = max(1, round(plan.calls * LATE))
    times += [plan.open_s + 2.0 + chance.random() * LATE_WITHIN_S / plan.speed for _ in range(late)]
    return [_visitor(chance, at, n, plan.speed) for n, at in enumerate(sorted(times))]


def _visitor(chance: random.Random, at: float, n: int, speed: float) -> Visitor:
    mu_shift = TALK_SPREAD**2 / 2
    talk = TALK_S * math.exp(chance.gauss(0.0, TALK_SPREAD) - mu_shift)
    hasty = 1.0 + 4.0 * chance.random() if chance.random() < HASTY else None
    return Visitor(
        number=f"097{5000000 + n:07}",
        at=at,
        talk_s=max(1.0, talk / speed),
        patience_s=chance.expovariate(1.0 / PATIENCE_S) / speed,
        hasty_s=hasty,
        ends_talk=chance.random() < CALLER_HANGS_UP,
    )
