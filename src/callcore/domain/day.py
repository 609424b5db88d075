"""What a board shows of today beside the figures: the half-hour curve, each agent's share, and what the month bears.

Pure sums over records; every count is `measures.figures`' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from callcore.domain.board import Window, half_hours
from callcore.domain.ids import AgentId, CentreId, Instant
from callcore.domain.measures import Ratio, Record, figures


@dataclass(frozen=True, slots=True)
class Curve:
    """Of each half hour of the day, from its first on: 着信件数 and 応答件数 of the calls that arrived in it."""

    arrivals: tuple[int, ...]
    answers: tuple[int, ...]


class Curves:
    """The curve of each centre's day. A half hour whose calls are the same as last time is not counted again."""

    def __init__(self) -> None:
        self._known: dict[tuple[CentreId, Instant], tuple[list[Record], int, int]] = {}

    def of(self, centre: CentreId, window: Window, records: Iterable[Record]) -> Curve:
        """`records`: of the window."""
        halves = half_hours(window)
        first = halves[0][0]
        groups: list[list[Record]] = [[] for _ in halves]
        length = halves[0][1] - first
        end = len(groups) - 1
        for record in records:
            place = (record.arrived_at - first) // length
            groups[place if place < end else end].append(record)
        known: dict[tuple[CentreId, Instant], tuple[list[Record], int, int]] = {}
        for (begins, _), group in zip(halves, groups, strict=True):
            key = (centre, begins)
            before = self._known.get(key)
            if before is not None and before[0] == group:
                known[key] = before
                continue
            told = figures(group, at=window.before, service_level_s=0)
            known[key] = (group, told.arrivals, told.answered)
        self._known = {k: v for k, v in self._known.items() if k[0] != centre} | known
        counts = [known[centre, begins] for begins, _ in halves]
        return Curve(tuple(c[1] for c in counts), tuple(c[2] for c in counts))


@dataclass(frozen=True, slots=True)
class Share:
    """What one agent did today: calls answered (the last who talked with the caller), and their talk, in
    microseconds, of those whose talk is over."""

    answered: int
    over: int
    talk: int


def shares(records: Iterable[Record]) -> Mapping[AgentId, Share]:
    """Of each agent who talked with somebody, test calls left out."""
    found: dict[AgentId, list[int]] = {}
    for record in records:
        agent = record.agent
        if agent is None or record.answered_at is None or record.test:
            continue
        had = found.get(agent)
        if had is None:
            had = found[agent] = [0, 0, 0]
        had[0] += 1
        if record.talk_since is None:
            had[1] += 1
            had[2] += record.talk
    return {agent: Share(*had) for agent, had in found.items()}


def may_lose(ratio: Ratio, target: float) -> int:
    """How many calls more may be lost one after the other so that the ratio still is the target; below 0: so many
    offered calls too few, and the target is missed already. With no call: 0."""
    if ratio.whole == 0 or target <= 0:
        return 0
    return int(Fraction(ratio.part) / _exact(target) // 1) - ratio.whole


def must_answer(ratio: Ratio, target: float) -> int | None:
    """How many calls must be answered one after the other to reach the target; 0: it is reached; None: it cannot be."""
    wanted = _exact(target)
    missing = wanted * ratio.whole - ratio.part
    if missing <= 0:
        return 0
    return None if wanted >= 1 else int(-(-missing // (1 - wanted)))


def _exact(target: float) -> Fraction:
    """0.9 is nine tenths, as the contract means it."""
    return Fraction(str(target))
