"""Stored calls: looked for, and each in detail, as whoever keeps them hands them to whoever shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from callcore.domain.facts import Fact
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, OfferId, PhoneId, QueueId, VisitId
from callcore.domain.measures import Record
from callcore.domain.personal import Personal
from callcore.domain.recording import RecordingKind, RecordingMark
from callcore.domain.stages import Outcome, ResultKind
from callcore.runtime.ports import Seq


@dataclass(frozen=True, slots=True)
class VisitDetail:
    """`reasons`: why the caller came to this queue and with this priority; `outcome` None while it lasts."""

    visit: VisitId
    queue: QueueId
    entered_at: Instant
    priority: int
    position: int | None
    estimate_s: float | None
    reasons: tuple[str, ...]
    ended_at: Instant | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class NoteDetail:
    """Something that was decided about the call beside offers: `what` is the kind of fact, `reasons` are words."""

    at: Instant
    what: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferDetail:
    """`result` is a word of `OfferStage`; `reasons` say why this agent was chosen, `ended_because` why it ended."""

    offer: OfferId
    visit: VisitId
    agent: AgentId
    phone: PhoneId
    made_at: Instant
    ended_at: Instant | None
    result: str
    reasons: tuple[str, ...]
    ended_because: str | None


@dataclass(frozen=True, slots=True)
class RecordingDetail:
    """`size` in bytes, `seconds` of sound; `problem`: what is wrong with it, None: nothing."""

    size: int
    seconds: float
    sha256: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class SegmentDetail:
    """One file of what was said in a call. `call`: whose recording it is; a consult's is not the call's own. `began_at`
    None: not known. `ended_at` None: it goes on, or is not known. Else as in `RecordingDetail`."""

    kind: RecordingKind
    call: CallId
    file: str
    began_at: Instant | None
    ended_at: Instant | None
    size: int
    seconds: float
    sha256: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class MarkDetail:
    """A mark that was set, or (`on` False) taken away. `keyed`: by key or result, about the call in hand; else
    afterwards, on its recordings. `by`: the person, or the agent; None: nobody knows."""

    at: Instant
    mark: RecordingMark
    on: bool
    keyed: bool
    by: str | None


@dataclass(frozen=True, slots=True)
class CallDetail:
    record: Record
    caller: Personal | None
    visits: tuple[VisitDetail, ...]
    offers: tuple[OfferDetail, ...]
    notes: tuple[NoteDetail, ...]
    recording: RecordingDetail | None
    recordings: tuple[SegmentDetail, ...] = ()
    """All of the call, in the order in which they began."""
    marks: tuple[MarkDetail, ...] = ()
    """In the order in which they were told."""

    @property
    def marked(self) -> tuple[RecordingMark, ...]:
        """Those that hold now: what was done afterwards stands before what was keyed."""
        held = {
            RecordingMark.COMPLAINT: self.record.result_kind is ResultKind.COMPLAINT,
            RecordingMark.ABUSE: self.record.abuse,
            RecordingMark.RELAY: self.record.relay,
        } | {each.mark: each.on for each in self.marks if not each.keyed}
        return tuple(mark for mark, on in held.items() if on)


CallCursor = tuple[Instant, CallId]
"""Where a page of a search ended: the last one's arrival and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSearch:
    """What to look for; None: whatever. `centres`: of these alone. Instants UTC: arrived in [first, before)."""

    centres: Collection[CentreId] | None = None
    first: Instant | None = None
    before: Instant | None = None
    number: str | None = None
    """The caller's; digits."""
    agent: AgentId | None = None
    """Anybody who talked with the caller."""
    outcomes: Collection[Outcome] | None = None
    open: bool | None = None
    """True: those that have not ended; False: those that have."""


@dataclass(frozen=True, slots=True)
class CallFound:
    """One of a search. `caller` None: withheld, or erased."""

    record: Record
    caller: Personal | None


class NumbersClosed(Exception):
    """Nothing is looked for by a number until somebody sees to a key. The text is bilingual and says to which."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """The newest first. `after`: where the next page begins; None: this was the last."""

    calls: tuple[CallFound, ...]
    after: CallCursor | None


VisitCursor = tuple[Instant, VisitId]
"""Where a page of a search ended: the last one's entry and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSearch:
    """What to look for; None: whatever. `centres`: of their calls alone. Instants UTC: entered in [first, before)."""

    centres: Collection[CentreId] | None = None
    queue: QueueId | None = None
    first: Instant | None = None
    before: Instant | None = None
    call: CallId | None = None
    outcome: str | None = None
    """As in `VisitDetail`."""


@dataclass(frozen=True, slots=True)
class VisitFound:
    """One of a search; `centre`: the call's."""

    call: CallId
    centre: CentreId
    visit: VisitDetail


@dataclass(frozen=True, slots=True)
class VisitPage:
    """The newest first. `after`: where the next page begins; None: this was the last."""

    visits: tuple[VisitFound, ...]
    after: VisitCursor | None


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of the journal and its frame."""

    seq: Seq
    fact: Fact


class CallReader(Protocol):
    async def find(self, wanted: CallSearch, after: CallCursor | None, limit: int) -> CallPage:
        """Raises `OSError` when the store cannot be asked, `NumbersClosed`."""
        ...

    async def visits(self, wanted: VisitSearch, after: VisitCursor | None, limit: int) -> VisitPage:
        """Stays in queues. Raises `OSError` when the store cannot be asked."""
        ...

    async def call(self, call: CallId) -> CallDetail | None:
        """The call as it is stored; None: no such call. Raises `OSError` when the store cannot be asked."""
        ...

    async def day(self, centre: CentreId, first: Instant, before: Instant) -> tuple[Seq, list[Record]]:
        """The records of one centre's calls that arrived in [first, before), oldest first, and up to where of the
        journal they are told. Raises `OSError`."""
        ...

    async def callers(self, calls: Collection[CallId]) -> Mapping[CallId, Personal]:
        """Of those calls whose caller is known. Raises `OSError`."""
        ...

    async def journal(self, record: Record) -> tuple[Told, ...]:
        """Every fact that names this call, from its arrival to an hour after its end, in order. Raises `OSError` when
        the journal cannot be read, or is being read for others for long."""
        ...
