"""What people and reports ask of the tables.

Records go to `measures.figures`; nothing is counted or divided here. Times are UTC; a window is [first, before).
Whatever is asked raises `DatabaseAway` when the database cannot be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, or_, select

from callcore.db import tables as t
from callcore.db.database import LONGEST_S, Database
from callcore.db.projections import read_position
from callcore.db.rows import RECORD_COLUMNS, record_of
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, NodeId, OfferId, PhoneId, QueueId, VisitId
from callcore.domain.measures import Record
from callcore.domain.stages import OfferStage, Outcome
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
    """Calls, newest first. `after`: where the next page begins; None: this was the last."""

    calls: tuple[CallRow, ...]
    after: tuple[Instant, CallId] | None


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
    caller: CallerRow | None
    """None: withheld by the caller, or erased."""


class Queries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def health(self) -> Health:
        """Whether the tables can be read now. Answers within a second, never raises."""
        return await self._database.health()

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
        *,
        centre: CentreId | None = None,
        first: Instant | None = None,
        before: Instant | None = None,
        outcome: Outcome | None = None,
        after: tuple[Instant, CallId] | None = None,
        limit: int = 50,
    ) -> Page:
        """Calls that arrived in [first, before), newest first, `limit` at a time (1 to `LARGEST_PAGE`)."""
        limit = max(1, min(limit, LARGEST_PAGE))
        c = t.calls.c
        asked = select(t.calls).order_by(c.arrived_at.desc(), c.id.desc()).limit(limit + 1)
        if centre is not None:
            asked = asked.where(c.centre == centre)
        if first is not None:
            asked = asked.where(c.arrived_at >= first)
        if before is not None:
            asked = asked.where(c.arrived_at < before)
        if outcome is not None:
            asked = asked.where(c.outcome == outcome)
        if after is not None:
            at, last = after
            asked = asked.where(or_(c.arrived_at < at, and_(c.arrived_at == at, c.id < last)))
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).mappings().all()
        shown = tuple(_call_row(row) for row in rows[:limit])
        end = shown[-1].record if len(rows) > limit else None
        return Page(shown, None if end is None else (end.arrived_at, end.call))

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
            recordings, callers = await of(t.recordings), await of(t.callers)
        return CallDetail(
            call=_call_row(found),
            visits=tuple(
                VisitRow(**_without_call(row) | {"reasons": tuple(row.reasons or ())}) for row in visits
            ),
            offers=tuple(OfferRow(**_without_call(row) | {"reasons": tuple(row.reasons)}) for row in offers),
            notes=tuple(NoteRow(row.at, row.kind, _words(row.detail)) for row in noted),
            recording=RecordingRow(**_without_call(recordings[0])) if recordings else None,
            caller=CallerRow(**_without_call(callers[0])) if callers else None,
        )


def _call_row(row: Mapping[Any, Any]) -> CallRow:
    return CallRow(record_of(row), NodeId(row["node"]), row["admission"])


def _words(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """The reasons of a fact that was noted, whichever way it holds them."""
    several = detail.get("reasons")
    if several:
        return tuple(several)
    one = detail.get("reason") or detail.get("calendar") or detail.get("what")
    return (str(one),) if one else ()


def _without_call(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "call"}
