"""What people and reports ask of the tables.

Records go to `measures.figures`; nothing is counted or divided here. Times are UTC; a window is [first, before).
Of no centre at all (an empty set) nothing is found, and nothing asked: SQLite would go along the whole table.
Whatever is asked raises `DatabaseAway` when the database cannot be used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, false, func, or_, select, union_all

from callcore.db import tables as t
from callcore.db.database import LONGEST_S, Database
from callcore.db.numbers import among, bearing
from callcore.db.projections import read_position
from callcore.db.rows import RECORD_COLUMNS, record_of
from callcore.domain import facts as f
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, NodeId, OfferId, PhoneId, QueueId, VisitId
from callcore.domain.measures import Record
from callcore.domain.recording import RecordingKind, RecordingMark
from callcore.domain.stages import OfferStage, ResultKind
from callcore.runtime.detail import CallCursor, CallSearch, MarkDetail, VisitCursor, VisitSearch
from callcore.runtime.ports import Health, Seq

LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call of a list."""

    record: Record
    node: NodeId
    admission: str | None
    """Why it was let in or refused."""


@dataclass(frozen=True, slots=True)
class Page:
    """Calls with their sealed callers (None: withheld, or erased), newest first. `after`: where the next page begins;
    None: this was the last."""

    calls: tuple[tuple[CallRow, CallerRow | None], ...]
    after: CallCursor | None


@dataclass(frozen=True, slots=True)
class VisitRow:
    """`outcome`: `answered`, `requeued`, or the call's; None while it lasts."""

    id: VisitId
    queue: QueueId
    priority: int
    entered_at: Instant
    since: Instant
    in_net: bool
    ended_at: Instant | None
    outcome: str | None
    reconstructed: bool
    position: int | None
    estimate_s: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A fact about the call that has no row of its own. `reasons` are its words."""

    at: Instant
    kind: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferRow:
    id: OfferId
    visit: VisitId
    agent: AgentId
    phone: PhoneId
    ring_s: int
    reasons: tuple[str, ...]
    made_at: Instant
    rang_at: Instant | None
    ended_at: Instant | None
    result: OfferStage
    rest_until: Instant | None
    reason: str | None
    reconstructed: bool


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """`size` in bytes, `seconds` of sound; `problem` None: nothing is wrong with it."""

    file: str
    size: int
    seconds: float
    sha256: str | None
    problem: str | None
    filed_at: Instant


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One file of what was said in the call; a consult's bears its own call's id. Else as in `RecordingRow`."""

    kind: RecordingKind
    call: CallId
    file: str
    began_at: Instant | None
    ended_at: Instant | None
    size: int
    seconds: float
    sha256: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, repr=False)
class CallerRow:
    """The sealed caller; whoever holds the keys can open it, by call, centre and `at`."""

    centre: CentreId
    at: Instant
    period: str
    fingerprint: str | None
    sealed: bytes


@dataclass(frozen=True, slots=True)
class CallDetail:
    call: CallRow
    visits: tuple[VisitRow, ...]
    offers: tuple[OfferRow, ...]
    notes: tuple[NoteRow, ...]
    recording: RecordingRow | None
    segments: tuple[SegmentRow, ...]
    """Its recordings, that of its consults and its message, in the order in which they began."""
    caller: CallerRow | None
    """None: withheld by the caller, or erased."""
    marks: tuple[MarkDetail, ...]


class Queries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def health(self) -> Health:
        """Whether the tables can be read now. Answers within a second, never raises."""
        return await self._database.health()

    async def position(self) -> Seq | None:
        """The last frame of the journal that the tables tell of; None: of nothing yet. Raises `DatabaseAway`."""
        async with self._database.reading() as connection:
            return await read_position(connection)

    async def records(self, centre: CentreId, first: Instant, before: Instant) -> list[Record]:
        """The records of one centre's calls that arrived in [first, before), oldest first."""
        return (await self.records_at(centre, first, before))[1]

    async def records_at(
        self, centre: CentreId, first: Instant, before: Instant
    ) -> tuple[Seq | None, list[Record]]:
        """The records, with the place in the journal up to which they are told."""
        asked = (
            select(*RECORD_COLUMNS)
            .where(t.calls.c.centre == centre, t.calls.c.arrived_at >= first, t.calls.c.arrived_at < before)
            .order_by(t.calls.c.arrived_at, t.calls.c.id)
        )
        async with self._database.reading(LONGEST_S) as connection:
            seq = await read_position(connection)
            rows = (await connection.execute(asked)).mappings()
            return seq, [record_of(row) for row in rows]

    async def calls(
        self,
        wanted: CallSearch,
        prints: Collection[str] = (),
        after: CallCursor | None = None,
        limit: int = 50,
    ) -> Page:
        """Calls, newest first, `limit` at a time (1 to `LARGEST_PAGE`). `prints`: the fingerprints of
        `wanted.number`."""
        if wanted.centres is not None and not wanted.centres:
            return Page((), None)
        limit = max(1, min(limit, LARGEST_PAGE))
        asked = calls_asked(wanted, prints, after, limit + 1, sqlite=self._database.is_sqlite)
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).mappings().all()
            callers = await _callers(connection, [row["id"] for row in rows])
        shown = tuple((_call_row(row), callers.get(row["id"])) for row in rows[:limit])
        end = shown[-1][0].record if len(rows) > limit else None
        return Page(shown, None if end is None else (end.arrived_at, end.call))

    async def visits(
        self, wanted: VisitSearch, after: VisitCursor | None = None, limit: int = 50
    ) -> tuple[list[tuple[CallId, CentreId, VisitRow]], VisitCursor | None]:
        """Stays in queues with their call and its centre, newest first, `limit` at a time (1 to `LARGEST_PAGE`); and
        where the next page begins, None: this was the last."""
        if wanted.centres is not None and not wanted.centres:
            return [], None
        limit = max(1, min(limit, LARGEST_PAGE))
        async with self._database.reading() as connection:
            rows = (await connection.execute(visits_asked(wanted, after, limit + 1))).all()
        found = [(CallId(row.call), CentreId(row.centre), _visit_row(row)) for row in rows[:limit]]
        last = found[-1][2] if len(rows) > limit else None
        return found, None if last is None else (last.entered_at, last.id)

    async def callers(self, calls: Collection[CallId]) -> dict[CallId, CallerRow]:
        """The sealed callers of those calls that have one."""
        async with self._database.reading() as connection:
            return await _callers(connection, calls)

    async def centre_of(self, call: CallId) -> CentreId | None:
        """Whose a call is, an arrival or not; None: not in the tables."""
        async with self._database.reading() as connection:
            for table in (t.calls, t.side_calls):
                centre = await connection.scalar(select(table.c.centre).where(table.c.id == call))
                if centre is not None:
                    return CentreId(centre)
        return None

    async def call(self, call: CallId) -> CallDetail | None:
        """All that is kept of one call; None: not in the tables."""
        async with self._database.reading() as connection:

            async def of(table: Any, *order: Any) -> list[Row[Any]]:
                asked = select(table).where(table.c.call == call).order_by(*order)
                return list((await connection.execute(asked)).all())

            found = (await connection.execute(select(t.calls).where(t.calls.c.id == call))).mappings().first()
            if found is None:
                return None
            visits = await of(t.visits, t.visits.c.entered_at, t.visits.c.id)
            offers = await of(t.offers, t.offers.c.made_at, t.offers.c.id)
            noted = await of(t.facts_noted, t.facts_noted.c.run, t.facts_noted.c.n, t.facts_noted.c.k)
            callers = await of(t.callers)
            files = await of(t.recordings, t.recordings.c.began_at, t.recordings.c.name)
        own = next((row for row in files if row.kind is RecordingKind.CALL), None)
        return CallDetail(
            call=_call_row(found),
            visits=tuple(map(_visit_row, visits)),
            offers=tuple(OfferRow(**_without_call(row) | {"reasons": tuple(row.reasons)}) for row in offers),
            notes=tuple(NoteRow(row.at, row.kind, _words(row.detail)) for row in noted),
            recording=None
            if own is None
            else RecordingRow(own.file, own.size, own.seconds, own.sha256, own.problem, own.filed_at),
            segments=tuple(map(_segment, files)),
            caller=CallerRow(**_without_call(callers[0])) if callers else None,
            marks=tuple(_marks(noted)),
        )


async def _callers(connection: Any, calls: Collection[CallId]) -> dict[CallId, CallerRow]:
    asked = select(t.callers).where(t.callers.c.call.in_([*calls]))
    return {row.call: CallerRow(**_without_call(row)) for row in await connection.execute(asked)}


def calls_asked(
    wanted: CallSearch, prints: Collection[str], after: CallCursor | None, limit: int, *, sqlite: bool
) -> Select[Any]:
    """The newest `limit`. `prints`: the fingerprints of `wanted.number`."""
    c = t.calls.c
    asked = select(t.calls).where(*_conditions(wanted, prints, sqlite=sqlite))
    if after is not None:
        at, last = after
        asked = asked.where(c.arrived_at <= at, or_(c.arrived_at < at, c.id < last))
    return asked.order_by(c.arrived_at.desc(), c.id.desc()).limit(limit)


def _conditions(
    wanted: CallSearch, prints: Collection[str], *, sqlite: bool
) -> Iterable[ColumnElement[bool]]:
    c, a = t.calls.c, t.recording_agents.c
    if wanted.centres is not None:
        [*centres] = wanted.centres
        yield c.centre == centres[0] if len(centres) == 1 else c.centre.in_(centres)
    if wanted.first is not None:
        yield c.arrived_at >= wanted.first
    if wanted.before is not None:
        yield c.arrived_at < wanted.before
    if wanted.number is not None:
        k = t.callers.c
        yield among(c.id, bearing(k.call, k.fingerprint, prints), sqlite=sqlite) if prints else false()
    if wanted.agent is not None:
        # Told of each talk as it begins; a recording bears its call's id.
        yield c.id.in_(select(a.recording).where(a.agent == wanted.agent))
    if wanted.outcomes is not None:
        yield c.outcome.in_([*wanted.outcomes])
    if wanted.open is not None:
        yield c.ended_at.is_(None) if wanted.open else c.ended_at.is_not(None)


def visits_asked(wanted: VisitSearch, after: VisitCursor | None, limit: int) -> Select[Any]:
    """The newest `limit`, of several centres the newest of each: so an index gives them in order, whatever the centre,
    and no stay of another one is passed over. `wanted.centres` is not empty."""
    v = t.visits.c
    asked = select(t.visits)
    for column, value in ((v.queue, wanted.queue), (v.call, wanted.call), (v.outcome, wanted.outcome)):
        if value is not None:
            asked = asked.where(column == value)
    if wanted.first is not None:
        asked = asked.where(v.entered_at >= wanted.first)
    if wanted.before is not None:
        asked = asked.where(v.entered_at < wanted.before)
    if after is not None:
        at, last = after
        asked = asked.where(v.entered_at <= at, or_(v.entered_at < at, v.id < last))
    asked = asked.order_by(v.entered_at.desc(), v.id.desc()).limit(limit)
    if wanted.centres is None:
        return asked
    centres = sorted(set(wanted.centres))
    if wanted.call is not None:  # the few of one call need no other index
        return asked.where(func.coalesce(v.centre, v.centre).in_(centres))
    if len(centres) == 1:
        return asked.where(v.centre == centres[0])
    each = union_all(*(asked.where(v.centre == centre).subquery().select() for centre in centres)).subquery()
    return select(each).order_by(each.c.entered_at.desc(), each.c.id.desc()).limit(limit)


def _visit_row(row: Row[Any]) -> VisitRow:
    told = _without_call(row) | {"reasons": tuple(row.reasons or ())}
    del told["centre"]
    return VisitRow(**told)


def _segment(row: Row[Any]) -> SegmentRow:
    return SegmentRow(
        row.kind,
        CallId(row.side or row.call),
        row.file,
        row.began_at,
        row.ended_at,
        row.size,
        row.seconds,
        row.sha256,
        row.problem,
    )


def _call_row(row: Mapping[Any, Any]) -> CallRow:
    return CallRow(record_of(row), NodeId(row["node"]), row["admission"])


def _marks(noted: Iterable[Row[Any]]) -> Iterator[MarkDetail]:
    """A result marks a complaint as long as no other one is keyed in its place."""
    complaint = False
    for row in noted:
        told = row.detail
        if row.kind == f.RecordingMarked.__name__:
            yield MarkDetail(row.at, RecordingMark(told["mark"]), told["on"], False, told["by"])
        elif row.kind == f.CallMarked.__name__:
            by = told.get("by") or told["agent"]
            yield MarkDetail(row.at, RecordingMark(told["mark"]), told["on"], True, by)
        elif row.kind == f.ResultKeyed.__name__ and (told["kind"] == ResultKind.COMPLAINT.value) != complaint:
            complaint = not complaint
            by = told.get("by") or told["agent"]
            yield MarkDetail(row.at, RecordingMark.COMPLAINT, complaint, True, by)


def _words(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """The reasons of a fact that was noted, whichever way it holds them."""
    several = detail.get("reasons")
    if several:
        return tuple(several)
    one = detail.get("reason") or detail.get("calendar") or detail.get("what")
    return (str(one),) if one else ()


def _without_call(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "call"}
