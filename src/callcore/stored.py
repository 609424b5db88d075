"""What the web asks about calls: found in the database, the numbers opened, and their facts read from the journal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields

import structlog

from callcore.db import CallDetail as StoredDetail
from callcore.db import CallerRow, DatabaseAway, Queries, VisitRow
from callcore.domain import facts as f
from callcore.domain.blocked import spellings
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.measures import Record
from callcore.domain.personal import Personal
from callcore.journal import Codec, JournalError, KeyStore, read_since
from callcore.runtime.detail import (
    CallCursor,
    CallDetail,
    CallFound,
    CallPage,
    CallSearch,
    NoteDetail,
    NumbersClosed,
    OfferDetail,
    RecordingDetail,
    SegmentDetail,
    Told,
    VisitCursor,
    VisitDetail,
    VisitFound,
    VisitPage,
    VisitSearch,
)
from callcore.runtime.ports import Seq
from callcore.settings import Settings

log = structlog.get_logger(__name__)

TURN_S = 10.0
"""How long one reading of the journal waits for another."""
AFTERWARDS_S = 3600
"""Seconds after a call's end within which its result is keyed, and its recording filed."""


def prints_of(keys: KeyStore, centres: Iterable[CentreId], number: str) -> set[str]:
    """By which what bears a number is found, however a carrier showed it. Raises NumbersClosed: without one of the
    months' keys some of it would be missed."""
    try:
        ways = [(centre, way) for centre in centres for way in spellings(number)]
        return {each for centre, way in ways for each in keys.fingerprints(centre, way).values()}
    except JournalError as error:
        why = str(error)
    except OSError as error:
        why = (
            f"鍵を読めません: {error}。ディスクと権限を確かめてください / "
            f"a key cannot be read: {error}; look at the disk and the rights"
        )
    log.error("numbers cannot be looked for", why=why)
    raise NumbersClosed(why)


class Stored:
    """Keeps the port of `runtime.detail`. `centres`: those whose keys a number may be under; `now`: the present instant
    by the journal's clock."""

    def __init__(
        self,
        settings: Settings,
        queries: Queries,
        keys: KeyStore,
        centres: Callable[[], Collection[CentreId]],
        now: Callable[[], Instant],
    ) -> None:
        self._settings = settings
        self._queries = queries
        self._keys = keys
        self._centres = centres
        self._now = now
        self._reading = threading.Lock()

    async def find(self, wanted: CallSearch, after: CallCursor | None, limit: int) -> CallPage:
        prints = set[str]()
        if wanted.number is not None:
            centres = self._centres() if wanted.centres is None else wanted.centres
            prints = prints_of(self._keys, centres, wanted.number)
        try:
            page = await self._queries.calls(wanted, prints, after, limit)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        calls = (
            CallFound(row.record, None if of is None else self._opened(row.record.call, of))
            for row, of in page.calls
        )
        return CallPage(tuple(calls), page.after)

    async def visits(self, wanted: VisitSearch, after: VisitCursor | None, limit: int) -> VisitPage:
        try:
            found, rest = await self._queries.visits(wanted, after, limit)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return VisitPage(tuple(VisitFound(call, centre, _visit(of)) for call, centre, of in found), rest)

    async def call(self, call: CallId) -> CallDetail | None:
        try:
            stored = await self._queries.call(call)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return None if stored is None else self._detail(stored)

    async def day(self, centre: CentreId, first: Instant, before: Instant) -> tuple[Seq, list[Record]]:
        try:
            seq, records = await self._queries.records_at(centre, first, before)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return seq or Seq(0, 0), records

    async def callers(self, calls: Collection[CallId]) -> Mapping[CallId, Personal]:
        try:
            found = await self._queries.callers(calls)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return {call: self._opened(call, sealed) for call, sealed in found.items()}

    async def journal(self, record: Record) -> tuple[Told, ...]:
        return await asyncio.to_thread(self._told, record)

    def _told(self, record: Record) -> tuple[Told, ...]:
        """Only frames that hold the call's id are taken apart; the journal is read once at a time."""
        until = (self._now() if record.ended_at is None else record.ended_at) + AFTERWARDS_S * SECOND
        if not self._reading.acquire(timeout=TURN_S):
            raise OSError("the journal is being read for somebody else")
        try:
            with KeyStore.open(self._settings.journal, self._settings.keys) as keys:
                codec = Codec(f.KINDS, {}, keys, naming=record.call)
                told = list[Told]()
                for frame in read_since(self._settings.journal, codec, record.arrived_at):
                    if frame.at > until:
                        break
                    for fact in frame.facts:
                        assert isinstance(fact, f.Fact)
                        if _names(fact, record.call):
                            told.append(Told(Seq(frame.run, frame.n), fact))
                return tuple(told)
        except JournalError as error:
            raise OSError(str(error)) from error
        finally:
            self._reading.release()

    def _opened(self, call: CallId, of: CallerRow) -> Personal:
        try:
            opened = self._keys.unseal(call, of.centre, of.at, of.sealed)
        except JournalError as error:
            log.warning("a number cannot be opened", call=call, why=str(error))
            opened = None
        return Personal(call, of.centre, of.at, None if opened is None else opened[0], of.fingerprint)

    def _detail(self, of: StoredDetail) -> CallDetail:
        record = of.call.record
        recording = of.recording
        return CallDetail(
            record=record,
            caller=None if of.caller is None else self._opened(record.call, of.caller),
            visits=tuple(_visit(each) for each in of.visits),
            notes=tuple(NoteDetail(n.at, n.kind, n.reasons) for n in of.notes),
            marks=of.marks,
            offers=tuple(
                OfferDetail(
                    o.id,
                    o.visit,
                    o.agent,
                    o.phone,
                    o.made_at,
                    o.ended_at,
                    o.result.value,
                    o.reasons,
                    o.reason,
                )
                for o in of.offers
            ),
            recording=None
            if recording is None
            else RecordingDetail(recording.size, recording.seconds, recording.sha256, recording.problem),
            recordings=tuple(
                SegmentDetail(
                    one.kind,
                    one.call,
                    one.file,
                    one.began_at,
                    one.ended_at,
                    one.size,
                    one.seconds,
                    one.sha256,
                    one.problem,
                )
                for one in of.segments
            ),
        )


def _visit(of: VisitRow) -> VisitDetail:
    return VisitDetail(
        of.id,
        of.queue,
        of.entered_at,
        of.priority,
        of.position,
        of.estimate_s,
        of.reasons,
        of.ended_at,
        of.outcome,
    )


def _names(fact: f.Fact, call: CallId) -> bool:
    """Whether this very call stands in one of the fact's fields."""
    return any(getattr(fact, each.name) == call for each in fields(fact))
