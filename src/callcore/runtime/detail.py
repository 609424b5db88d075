"""One call's stored detail, as whoever keeps it hands it to whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from callcore.domain.ids import AgentId, CallId, Instant, OfferId, PhoneId, QueueId, VisitId
from callcore.domain.measures import Record
from callcore.domain.personal import Personal


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
class CallDetail:
    record: Record
    caller: Personal | None
    visits: tuple[VisitDetail, ...]
    offers: tuple[OfferDetail, ...]
    notes: tuple[NoteDetail, ...]
    recording: RecordingDetail | None


class CallReader(Protocol):
    async def call(self, call: CallId) -> CallDetail | None:
        """The call as it is stored; None: no such call. Raises `OSError` when the store cannot be asked."""
        ...
