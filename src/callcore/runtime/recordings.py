"""Recordings and what is known of them, as whoever keeps them hands them to whoever shows them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from callcore.domain.centre import Centre
from callcore.domain.ids import AgentId, CallId, CentreId, DepartmentId, Instant, QueueId
from callcore.domain.personal import Personal
from callcore.domain.recording import (
    Direction,
    KeptBy,
    PausedBy,
    Place,
    RecordingKind,
    RecordingMark,
    Through,
)
from callcore.domain.retention import KeepOrder
from callcore.domain.stages import PauseEnd, ResultKind

RecordingCursor = tuple[Instant, str]
"""Where a page of a search ended: the last one's begin and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSearch:
    """What to look for; None: whatever. `centres`: of these alone. Instants UTC: began in [first, before)."""

    centres: Collection[CentreId] | None = None
    first: Instant | None = None
    before: Instant | None = None
    ended_from: Instant | None = None
    """Ended then or later, and began no more than a day before."""
    ended_before: Instant | None = None
    number: str | None = None
    """Of the citizen, or of whom an agent called; digits."""
    call: CallId | None = None
    name: str | None = None
    names: Collection[str] | None = None
    kind: RecordingKind | None = None
    queue: QueueId | None = None
    agent: AgentId | None = None
    language: str | None = None
    direction: Direction | None = None
    result: str | None = None
    result_kind: ResultKind | None = None
    department: DepartmentId | None = None
    through: Through | None = None
    mark: RecordingMark | None = None
    problem: str | None = None
    """Among its findings."""
    segments_least: int | None = None
    """Of a call with so many recordings."""
    paused: bool | None = None
    paused_by: PausedBy | None = None
    """With a pause that was asked for so."""
    pause_ended: PauseEnd | None = None
    """With a pause that ended for this."""
    pauses_least: int | None = None
    format: str | None = None
    channels: int | None = None
    seconds_least: float | None = None
    seconds_most: float | None = None
    size_least: int | None = None
    size_most: int | None = None
    sha256: str | None = None
    place: Place | None = None
    key_period: str | None = None
    kept_before: Instant | None = None
    """To be kept until an instant before this one, by rule or order; what is kept without an end is not among these."""
    kept_from: Instant | None = None
    """To be kept until this instant or a later one; likewise."""
    legal_hold: bool | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """The sound is silence from `first` to `before`, or (`gap`) that time is not in it. `reason`: a word of the
    domain's. `agent`: whose talk it was; `by`: who did it in the agent's stead. `ended` None: with the
    call, or not known."""

    first: Instant
    before: Instant | None
    reason: str
    agent: AgentId | None = None
    by: str | None = None
    gap: bool = False
    ended: PauseEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file of sound. `seconds` of it, `size` in bytes. `key_period` to `erased_why` None: not (yet)."""

    name: str
    kind: RecordingKind
    call: CallId
    """Whose talk it is; of a consult, the call that it was about."""
    side: CallId | None
    """The call that is no arrival, if it is one's."""
    segments: int
    """Recordings of `call`: of the talk, consults and a message, this one among them."""
    centre: CentreId
    queue: QueueId | None
    language: str | None
    direction: Direction
    agents: tuple[AgentId, ...]
    began_at: Instant
    ended_at: Instant | None
    format: str
    channels: int
    """Of two the left one is the citizen's, or of who was asked in a consult."""
    size: int
    seconds: float
    sha256: str | None
    problem: str | None
    findings: tuple[str, ...]
    """All that is wrong with it; the first, the gravest, is the `problem`."""
    result: str | None
    result_kind: ResultKind | None
    department: DepartmentId | None
    through: Through | None
    complaint: bool
    abuse: bool
    relay: bool
    pauses: tuple[Pause, ...]
    place: Place
    key_period: str | None
    kept_by: KeptBy | None
    """None: it is not there (any more)."""
    keep_until: Instant | None
    """By the rule and the orders that hold now; None: there is no end, or it is not there."""
    legal_hold: bool
    erased_at: Instant | None
    erased_why: str | None
    filed_at: Instant
    other: Personal | None
    """The number of the citizen, or of whom the agent called; None: withheld, or erased."""

    @property
    def marks(self) -> list[RecordingMark]:
        told = {
            RecordingMark.COMPLAINT: self.complaint,
            RecordingMark.ABUSE: self.abuse,
            RecordingMark.RELAY: self.relay,
        }
        return [mark for mark, holds in told.items() if holds]


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A recording of which nobody knows the centre, as the chain of the store tells. `kind` None: nobody knows that
    either. `seconds` 0: it cannot be told; `kept_at` None: nor can that."""

    name: str
    kind: RecordingKind | None
    seconds: float
    kept_at: Instant | None


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """The newest first. `after`: where the next page begins; None: this was the last."""

    recordings: tuple[Recording, ...]
    after: RecordingCursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAsked:
    """What is handed over, by whom and what for. `first` and `last`: local days of the centre, both included, on which
    it began; None: of the calls alone. `numbers`: whether their last three digits may stand in the index."""

    centre: CentreId
    zone: str
    first: date | None
    last: date | None
    calls: tuple[CallId, ...] = ()
    by: str
    purpose: str
    numbers: bool

    def __str__(self) -> str:
        days = "" if self.first is None else f"{self.first}–{self.last}"
        return " ".join(filter(None, (days, *self.calls)))


EXPORT_MOST = 100_000
"""Recordings of one export."""


class TooManyRecordings(Exception):
    """More than `EXPORT_MOST`."""


class Archive(Protocol):
    """One archive of recordings, to be taken once, from the front."""

    @property
    def count(self) -> int:
        """Of how many recordings, those without sound included."""
        ...

    @property
    def lacks(self) -> list[str]:
        """In words, what should be in it and is not: known with its last piece."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Reading blocks, and raises OSError: then what was taken is no whole archive, and says so."""
        ...


class Unopened(Exception):
    """A sound that cannot be opened until somebody sees to it. The text is bilingual and says to what."""


class Unsigned(Exception):
    """An archive that cannot be signed until somebody sees to the key. The text is bilingual and says to what."""


class Audio(Protocol):
    """The sound of one recording. Reading blocks, and raises OSError, Unopened."""

    @property
    def size(self) -> int: ...
    @property
    def media_type(self) -> str: ...
    @property
    def ending(self) -> str:
        """Of the name of a file with it."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; none at the end."""
        ...

    def close(self) -> None: ...


class RecordingReader(Protocol):
    async def centres(self) -> Collection[Centre]:
        """Those of the files, and what stands for those that are in none any more and of which something is or was
        kept."""
        ...

    async def find(self, wanted: RecordingSearch, after: RecordingCursor | None, limit: int) -> RecordingPage:
        """Raises OSError when the store cannot be asked, NumbersClosed."""
        ...

    async def one(self, name: str) -> tuple[Recording, ...]:
        """The recording of this name, and then the other ones of the same call, in order; (): there is none. Raises
        OSError."""
        ...

    async def orders(self, of: Recording) -> tuple[KeepOrder, ...]:
        """Those by which it is kept longer now, the oldest first. Raises OSError."""
        ...

    async def unassigned(self) -> tuple[Unassigned, ...]:
        """Those of which nobody knows the centre, the newest first. Raises OSError."""
        ...

    async def audio(self, name: str, *, kept: bool) -> Audio:
        """As it is `kept`, or as a browser plays it. Raises FileNotFoundError: there is none, or it was erased;
        OSError: it cannot be read; Unopened."""
        ...

    async def export(self, asked: ExportAsked, heard: Callable[[Recording], None]) -> Archive:
        """What is kept of that. `heard` is told of each recording before its sound is given out, and may refuse it by
        an OSError. Raises OSError, TooManyRecordings, Unsigned."""
        ...
