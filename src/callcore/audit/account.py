"""The journal's side: what callcore wrote down of each call, in the terms that Asterisk's books can be asked in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from callcore.audit.span import Span
from callcore.domain import facts as f
from callcore.domain.ids import AgentId, CallId, Instant, PhoneId
from callcore.domain.measures import Record, record


class Frame(Protocol):
    """The facts of one step, as the journal gives them. `at`: when it was written (UTC)."""

    @property
    def at(self) -> Instant: ...
    @property
    def facts(self) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class Talk:
    """Caller and agent together, once. `reconstructed`: nobody witnessed its beginning or its end."""

    phone: PhoneId | None
    agent: AgentId | None
    since: Instant
    until: Instant | None = None
    reconstructed: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """One call as the journal has it: the figures' own record, its talks, and its recording as it was filed."""

    record: Record
    talks: tuple[Talk, ...] = ()
    end_reconstructed: bool = False
    filed: f.RecordingFiled | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """`accounts` of the calls around the span, by call. `began` and `last`: instants of the oldest frame that is kept
    and of the newest one; None: there is none. `steps`: the steps of the wall clock, (when, by how many microseconds).
    """

    accounts: Mapping[CallId, Account] = field(default_factory=dict)
    began: Instant | None = None
    last: Instant | None = None
    steps: tuple[tuple[Instant, int], ...] = ()
    sides: frozenset[CallId] = frozenset()
    """Calls that are no arrivals, and not compared."""


def fold(frames: Iterable[Frame], span: Span, *, began: Instant | None = None) -> Journal:
    """The accounts of the calls that arrived in the span or within its margin."""
    accounts: dict[CallId, Account] = {}
    steps: list[tuple[Instant, int]] = []
    sides: set[CallId] = set()
    last: Instant | None = None
    for frame in frames:
        last = frame.at if last is None else max(last, frame.at)
        for fact in frame.facts:
            if isinstance(fact, f.ClockStepped):
                steps.append((fact.at, fact.by))
            if isinstance(fact, f.SideCallBegan):
                sides.add(fact.call)
            call = getattr(fact, "call", None)
            if not isinstance(fact, f.Fact) or call is None:
                continue
            known = accounts.get(call)
            if known is not None:
                accounts[call] = _after(known, fact)
            elif isinstance(fact, f.CallArrived) and span.near(fact.at):
                first = record(None, fact)
                assert first is not None
                accounts[call] = Account(first)
    return Journal(accounts, began, last, tuple(steps), frozenset(sides))


def _after(known: Account, fact: f.Fact) -> Account:
    """The account with one fact of its call folded in."""
    after = replace(known, record=record(known.record, fact) or known.record)
    match fact:
        case f.CallAnswered():
            talk = Talk(fact.phone, fact.agent, fact.at, reconstructed=fact.reconstructed)
            return replace(after, talks=(*known.talks, talk))
        case f.TalkEnded() if known.talks and known.talks[-1].until is None:
            talk = known.talks[-1]
            over = replace(talk, until=fact.at, reconstructed=talk.reconstructed or fact.reconstructed)
            return replace(after, talks=(*known.talks[:-1], over))
        case f.CallEnded():
            return replace(after, end_reconstructed=fact.reconstructed)
        case f.RecordingFiled():
            return replace(after, filed=fact)
    return after
