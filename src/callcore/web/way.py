"""The way of one call, out of the facts of the journal that name it: a time line in words, and lanes for the eye.

Rules
- Every fact is a line, in the order of the journal, with its reasons as they were stored and its fields as they stand.
- A number is masked but for its last three digits; without the right to personal values neither it nor a text is shown.
- A lane is a party: the caller, each phone that rang, each department or colleague. Nothing is made up: what began and
  was not seen to end goes on to the last thing that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final

from callcore.domain import facts as f
from callcore.domain.ids import SECOND, ChannelId, Instant
from callcore.domain.personal import Personal
from callcore.runtime.detail import Told
from callcore.web import models as m

_NUMBERS: Final = frozenset({"caller", "number", "other"})
"""Fields whose personal value is a telephone number; any other is a text."""
_ALWAYS: Final = frozenset({"at", "call"})
_WHY: Final = ("reasons", "reason", "priority_reason", "calendar")


@dataclass(frozen=True, slots=True)
class Line:
    """One fact. `who`: fields that say with whom, each (name, value); `plain`: all of its fields."""

    at: Instant
    seq: str
    kind: str
    who: tuple[tuple[str, str], ...]
    why: tuple[str, ...]
    plain: dict[str, Any]


_WHO: Final = (
    *("queue", "agent", "phone", "department", "result", "outcome", "hung_up_by", "menu", "key", "said"),
    *("rung", "agents_of", "position", "priority", "treatment", "mark", "by", "notice"),
)


def lines(told: Iterable[Told], *, personal: bool) -> list[Line]:
    legs: dict[str, tuple[str, str]] = {}
    found = []
    for each in told:
        fact = each.fact
        if isinstance(fact, f.CallArrived):
            legs[fact.call] = ("leg", "caller")
        elif isinstance(fact, f.CallForwarded):
            legs[fact.channel] = ("leg", "outside")
        elif isinstance(fact, f.LegBegan):
            legs[fact.channel] = (
                ("phone", fact.phone) if fact.phone else ("department", fact.department or "–")
            )
        found.append(_line(each, personal, legs))
    return found


def _line(told: Told, personal: bool, legs: dict[str, tuple[str, str]]) -> Line:
    fact = told.fact
    names = (each.name for each in fields(fact) if each.name not in _ALWAYS)
    plain = {name: _plain(name, getattr(fact, name), personal) for name in names}
    why: list[str] = []
    for name in _WHY:
        given = plain.get(name)
        why += given if isinstance(given, list) else [given] if given else []
    who = tuple(
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name in _WHO
        if (value := plain.get(name)) not in (None, "", [])
    )
    if isinstance(fact, f.LegJoined | f.LegLeft | f.LegEnded | f.HangupAsked) and fact.channel in legs:
        who = (legs[fact.channel],)
    return Line(fact.at, str(told.seq), type(fact).__name__, who, tuple(why), plain)


_INSTANTS: Final = frozenset(
    {"until", "since", "due_at", "too_long_at", "rest_until", "not_before", "wrap_up_until", "remember_until"}
)
"""Fields of facts of calls that are instants."""


def _said(name: str, value: Any) -> Any:
    """An instant as RFC 3339."""
    return m.text(Instant(value)) if name in _INSTANTS and isinstance(value, int) else value


def _plain(name: str, value: Any, personal: bool) -> Any:
    if isinstance(value, Personal):
        if not personal:
            return None
        return value.masked() if name in _NUMBERS else value.text
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | frozenset):
        return [_plain(name, each, personal) for each in value]
    return _said(name, value)


# -- lanes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """`kind`: announced, waiting, ringing, talking, held, away or joined. [first, before)."""

    kind: str
    first: Instant
    before: Instant


@dataclass(frozen=True, slots=True)
class Lane:
    """`kind`: caller, agent, department or colleague; `name`: whose, "" the caller's."""

    kind: str
    name: str
    bars: tuple[Bar, ...]


class _Lanes:
    def __init__(self, last: Instant) -> None:
        self._last = last
        self._lanes: dict[tuple[str, str], list[Bar]] = {}
        self._open: dict[tuple[tuple[str, str], str], Instant] = {}

    def begin(self, lane: tuple[str, str], kind: str, at: Instant) -> None:
        self._lanes.setdefault(lane, [])
        self._open.setdefault((lane, kind), at)

    def end(self, lane: tuple[str, str], at: Instant, *kinds: str) -> None:
        """Whatever of these goes on there; of none: everything."""
        for key in [k for k in self._open if k[0] == lane and (not kinds or k[1] in kinds)]:
            first = self._open.pop(key)
            self._lanes[lane].append(Bar(key[1], first, max(first, at)))

    def all(self) -> list[Lane]:
        for lane, _ in list(self._open):
            self.end(lane, self._last)
        return [Lane(*lane, tuple(sorted(bars, key=lambda b: b.first))) for lane, bars in self._lanes.items()]


_CALLER: Final = ("caller", "")
_OF_OTHERS = f.LegBegan | f.LegJoined | f.LegLeft | f.LegEnded


def lanes(told: Sequence[Told], until: Instant) -> list[Lane]:
    """The caller's first, then the others in the order in which they came. `until`: of what still goes on."""
    made = _Lanes(until)
    offered: dict[str, tuple[str, str]] = {}
    others: dict[ChannelId, tuple[str, str]] = {}
    for fact in (each.fact for each in told):
        match fact:
            case f.CallArrived():
                made.begin(_CALLER, "announced", fact.at)
            case f.VisitBegan():
                made.end(_CALLER, fact.at)
                made.begin(_CALLER, "waiting", fact.at)
            case f.OfferMade():
                offered[fact.offer] = ("agent", f"{fact.agent} ({fact.phone})")
                made.begin(offered[fact.offer], "ringing", fact.at)
            case f.OfferFailed() if fact.offer in offered:
                made.end(offered[fact.offer], fact.at)
            case f.CallAnswered():
                made.end(_CALLER, fact.at)
                made.begin(_CALLER, "talking", fact.at)
                lane = _lane_of(fact, offered)
                for each in {*offered.values()}:
                    made.end(each, fact.at, "ringing")
                made.begin(lane, "talking", fact.at)
            case f.CallHeld():
                made.begin(_CALLER, "held", fact.at)
            case f.CallResumed():
                made.end(_CALLER, fact.at, "held")
            case f.TalkEnded():
                made.end(_CALLER, fact.at)
                for each in [lane for lane, kind in made._open if kind == "talking"]:
                    made.end(each, fact.at)
            case f.CallTransferred():
                made.end(_CALLER, fact.at)
                made.begin(_CALLER, "away", fact.at)
            case f.TransferEnded():
                made.end(_CALLER, fact.at, "away")
            case f.CallForwarded():
                others[fact.channel] = ("outside", "")
                made.end(_CALLER, fact.at, "announced", "waiting")
                made.begin(_CALLER, "away", fact.at)
                made.begin(others[fact.channel], "joined", fact.at)
            case f.LegBegan() | f.LegJoined() | f.LegLeft() | f.LegEnded():
                _of_another(made, others, fact)
            case f.CallEnded():
                for each in {lane for lane, _ in made._open}:
                    made.end(each, fact.at)
    return made.all()


def _lane_of(fact: f.CallAnswered, offered: dict[str, tuple[str, str]]) -> tuple[str, str]:
    if fact.offer is not None and fact.offer in offered:
        return offered[fact.offer]
    return ("agent", f"{fact.agent or '–'} ({fact.phone or '–'})")


def _of_another(made: _Lanes, others: dict[ChannelId, tuple[str, str]], fact: _OF_OTHERS) -> None:
    """A leg of a department, or of a colleague who is asked; those of offers have their lanes."""
    match fact:
        case f.LegBegan() if fact.department is not None or fact.side is not None:
            lane = (
                ("department", fact.department)
                if fact.department is not None
                else ("colleague", fact.phone or "–")
            )
            others[fact.channel] = lane
            made.begin(lane, "ringing", fact.at)
        case f.LegJoined() if fact.channel in others:
            made.end(others[fact.channel], fact.at)
            made.begin(others[fact.channel], "joined", fact.at)
        case f.LegLeft() | f.LegEnded() if fact.channel in others:
            made.end(others[fact.channel], fact.at)


def seconds(since: Instant, at: Instant) -> float:
    return (at - since) / SECOND
