"""The journal's side: what callcore wrote down of each call, in the terms that Asterisk's books can be asked in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from callcore.audit.span import Span
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, Instant, PhoneId
from callcore.domain.measures import Record, record
from callcore.domain.sides import FORWARDED, LEAVES_S
from callcore.domain.stages import Party, SideKind
from callcore.domain.tape import Pause, heard

T = TypeVar("T", "Account", "Side")


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
    spoken: f.MessageFiled | None = None
    """What the caller left after the tone, as it was filed."""
    unrecorded: int = 0
    """Microseconds of the time with departments that are not to be recorded, by the rule of the centre."""
    unrecorded_since: Instant | None = None
    pauses: tuple[Pause, ...] = ()
    """Of the recording, each at most to the end of its talk."""
    forward: Talk | None = None
    """Caller and the outside number that was chosen in a menu, where that is recorded. No talk of an agent's."""
    forwarded_to: ChannelId | None = None

    @property
    def to_be_recorded(self) -> bool:
        return bool(self.talks) or self.forward is not None

    @property
    def recorded(self) -> int:
        """Microseconds that the recording is to have."""
        forward = self.forward
        outside = 0 if forward is None or forward.until is None else max(0, forward.until - forward.since)
        talks = [(each.since, each.until) for each in self.talks if each.until is not None]
        away = self.record.away - self.unrecorded
        return self.record.talk + away + outside - heard(talks, self.pauses).gone


@dataclass(frozen=True, slots=True)
class Side:
    """One call that is no arrival (calls out, 連絡用番号, consults): of it the recording is compared. Instants UTC."""

    call: CallId
    centre: CentreId
    kind: SideKind
    began_at: Instant
    consult: bool
    phone: PhoneId | None
    forwarded: bool = False
    """A 連絡用番号 that is passed on to where people talk, and recorded."""
    connected_at: Instant | None = None
    ended_at: Instant | None = None
    reconstructed: bool = False
    """Nobody witnessed that it was connected, or its end."""
    lost: bool = False
    """Nobody knows how it ended: it went with Asterisk."""
    filed: f.RecordingFiled | None = None
    pauses: tuple[Pause, ...] = ()
    went_on_until: Instant | None = None
    """Who was called was with somebody else then, until here, and recorded."""

    @property
    def recorded(self) -> int:
        """Microseconds that the recording is to have."""
        if self.connected_at is None or self.ended_at is None:
            return 0
        return heard([(self.connected_at, self.went_on_until or self.ended_at)], self.pauses).length

    @property
    def to_be_recorded(self) -> bool:
        """Of a consult the journal alone does not tell whether the centre wanted it."""
        talked = self.connected_at is not None and (self.phone is not None or self.forwarded)
        return talked and self.kind is not SideKind.COLLEAGUE and (self.filed is not None or not self.consult)


@dataclass(frozen=True, slots=True)
class Journal:
    """`accounts` of the calls around the span, by call. `began` and `last`: instants of the oldest frame that is kept
    and of the newest one; None: there is none. `steps`: the steps of the wall clock, (when, by how many microseconds).
    """

    accounts: Mapping[CallId, Account] = field(default_factory=dict)
    began: Instant | None = None
    last: Instant | None = None
    steps: tuple[tuple[Instant, int], ...] = ()
    sides: Mapping[CallId, Side] = field(default_factory=dict)
    """Calls that are no arrivals."""
    unheld: frozenset[CallId] = frozenset()
    """Of these, consults that the caller was passed on out of while it rang: nothing of them may be recorded."""


def fold(frames: Iterable[Frame], span: Span, *, began: Instant | None = None) -> Journal:
    """The accounts of the calls that arrived in the span or within its margin."""
    accounts: dict[CallId, Account] = {}
    steps: list[tuple[Instant, int]] = []
    sides: dict[CallId, Side] = {}
    unheld: set[CallId] = set()
    last: Instant | None = None
    for frame in frames:
        last = frame.at if last is None else max(last, frame.at)
        for fact in frame.facts:
            if isinstance(fact, f.ClockStepped):
                steps.append((fact.at, fact.by))
            if isinstance(fact, f.CallTransferred) and fact.blind and fact.side is not None:
                unheld.add(fact.side)
            call = getattr(fact, "call", None)
            if not isinstance(fact, f.Fact) or call is None:
                continue
            known = accounts.get(call)
            if isinstance(fact, f.SideCallBegan):
                consult = fact.beside is not None
                forwarded = fact.kind is SideKind.CONTACT and fact.why == FORWARDED
                sides[call] = Side(call, fact.centre, fact.kind, fact.at, consult, fact.phone, forwarded)
            elif call in sides:
                sides[call] = _side_after(sides[call], fact)
            elif known is not None:
                accounts[call] = _after(known, fact)
            elif isinstance(fact, f.CallArrived) and span.near(fact.at):
                first = record(None, fact)
                assert first is not None
                accounts[call] = Account(first)
    return Journal(accounts, began, last, tuple(steps), sides, frozenset(unheld))


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
            return replace(_went_on(after, fact.at), talks=(*known.talks[:-1], over))
        case f.CallForwarded() if fact.recorded:
            outside = Talk(None, None, fact.at, reconstructed=fact.reconstructed)
            return replace(after, forward=outside, forwarded_to=fact.channel)
        case f.LegEnded() if known.forwarded_to == fact.channel:
            return _forward_over(after, fact.at, fact.reconstructed)
        case f.RecordingPaused():
            return replace(after, pauses=(*known.pauses, Pause(fact.at, None, fact.gap)))
        case f.RecordingResumed():
            return _went_on(after, fact.at)
        case f.RecordingStopped():
            return replace(after, unrecorded_since=fact.since)
        case f.TransferEnded():
            return _recorded_again(after, fact.at)
        case f.CallEnded():
            after = _forward_over(after, fact.at, fact.reconstructed)
            return replace(_recorded_again(after, fact.at), end_reconstructed=fact.reconstructed)
        case f.RecordingFiled():
            return replace(after, filed=fact)
        case f.MessageFiled():
            return replace(after, spoken=fact)
    return after


def _forward_over(account: Account, at: Instant, unseen: bool) -> Account:
    forward = account.forward
    if forward is None or forward.until is not None:
        return account
    over = replace(forward, until=at, reconstructed=forward.reconstructed or unseen)
    return replace(account, forward=over)


def _side_after(known: Side, fact: f.Fact) -> Side:
    match fact:
        case f.SideCallConnected():
            unseen = known.reconstructed or fact.reconstructed
            phone = fact.phone or known.phone
            return replace(known, connected_at=fact.at, phone=phone, reconstructed=unseen)
        case f.SideCallEnded():
            lost = fact.reconstructed and fact.hung_up_by is Party.UNKNOWN
            unseen = known.reconstructed or fact.reconstructed
            return replace(_went_on(known, fact.at), ended_at=fact.at, reconstructed=unseen, lost=lost)
        case f.SideLegEnded() if known.ended_at is not None and fact.at - known.ended_at > LEAVES_S * SECOND:
            return replace(known, went_on_until=fact.at)
        case f.RecordingPaused():
            return replace(known, pauses=(*known.pauses, Pause(fact.at, None, fact.gap)))
        case f.RecordingResumed():
            return _went_on(known, fact.at)
        case f.RecordingFiled():
            return replace(known, filed=fact)
    return known


def _went_on(known: T, at: Instant) -> T:
    if not known.pauses or known.pauses[-1].before is not None:
        return known
    return replace(known, pauses=(*known.pauses[:-1], replace(known.pauses[-1], before=at)))


def _recorded_again(account: Account, at: Instant) -> Account:
    since = account.unrecorded_since
    if since is None:
        return account
    return replace(account, unrecorded=account.unrecorded + max(0, at - since), unrecorded_since=None)
