"""Stored calls in memory; keeps the port of `runtime.detail`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.measures import Record
from callcore.domain.personal import Personal
from callcore.runtime.detail import (
    CallCursor,
    CallDetail,
    CallFound,
    CallPage,
    CallSearch,
    Told,
    VisitCursor,
    VisitFound,
    VisitPage,
    VisitSearch,
)
from callcore.runtime.ports import Seq
from tests.support.floors import Desk


class Shelf:
    """`away`: the database cannot be asked; `unread`: the journal cannot be read."""

    def __init__(self, *details: CallDetail) -> None:
        self.details = {d.record.call: d for d in details}
        self.told: tuple[Told, ...] = ()
        self.away = self.unread = False

    @classmethod
    def of(cls, desk: Desk) -> Shelf:
        """Every call that the desk has seen, and its facts."""
        shelf = cls(*(CallDetail(r, None, (), (), (), None) for r in desk.books.records.values()))
        shelf.told = tuple(Told(Seq(1, n), fact) for n, fact in enumerate(desk.facts, 1))
        numbers = {fact.caller.call: fact.caller for fact in desk.facts if hasattr(fact, "caller")}
        for name, detail in shelf.details.items():
            shelf.details[name] = CallDetail(detail.record, numbers.get(name), (), (), (), None)
        return shelf

    async def find(self, wanted: CallSearch, after: CallCursor | None, limit: int) -> CallPage:
        self._asked()
        fits = [d for d in self.details.values() if _fits(d.record, d.caller, wanted)]
        fits.sort(key=lambda d: (d.record.arrived_at, d.record.call), reverse=True)
        rest = [d for d in fits if after is None or (d.record.arrived_at, d.record.call) < after]
        shown = tuple(CallFound(d.record, d.caller) for d in rest[:limit])
        last = shown[-1].record if len(rest) > limit else None
        return CallPage(shown, None if last is None else (last.arrived_at, last.call))

    async def visits(self, wanted: VisitSearch, after: VisitCursor | None, limit: int) -> VisitPage:
        self._asked()
        found = [
            VisitFound(d.record.call, d.record.centre, v) for d in self.details.values() for v in d.visits
        ]
        fits = [one for one in found if _visit_fits(one, wanted)]
        fits.sort(key=_visit_place, reverse=True)
        rest = [one for one in fits if after is None or _visit_place(one) < after]
        last = rest[limit - 1] if len(rest) > limit else None
        return VisitPage(tuple(rest[:limit]), None if last is None else _visit_place(last))

    async def call(self, call: CallId) -> CallDetail | None:
        self._asked()
        return self.details.get(call)

    async def day(self, centre: CentreId, first: Instant, before: Instant) -> tuple[Seq, list[Record]]:
        self._asked()
        records = (d.record for d in self.details.values())
        return Seq(1, 1), [r for r in records if r.centre == centre and first <= r.arrived_at < before]

    async def callers(self, calls: Collection[CallId]) -> Mapping[CallId, Personal]:
        self._asked()
        known = {name: self.details[name].caller for name in calls if name in self.details}
        return {name: caller for name, caller in known.items() if caller is not None}

    async def journal(self, record: Record) -> tuple[Told, ...]:
        if self.unread:
            raise OSError("the journal cannot be read")
        return tuple(each for each in self.told if getattr(each.fact, "call", None) == record.call)

    def _asked(self) -> None:
        if self.away:
            raise OSError("the database is away")


def _fits(record: Record, caller: Personal | None, wanted: CallSearch) -> bool:
    at: Instant = record.arrived_at
    return (
        (wanted.centres is None or record.centre in wanted.centres)
        and (wanted.first is None or at >= wanted.first)
        and (wanted.before is None or at < wanted.before)
        and (wanted.number is None or (caller is not None and caller.text == wanted.number))
        and (wanted.agent is None or record.agent == wanted.agent)
        and (wanted.outcomes is None or record.outcome in wanted.outcomes)
        and (wanted.open is None or (record.ended_at is None) == wanted.open)
    )


def _visit_place(one: VisitFound) -> VisitCursor:
    return one.visit.entered_at, one.visit.visit


def _visit_fits(one: VisitFound, wanted: VisitSearch) -> bool:
    visit = one.visit
    return (
        (wanted.centres is None or one.centre in wanted.centres)
        and wanted.queue in (None, visit.queue)
        and (wanted.first is None or visit.entered_at >= wanted.first)
        and (wanted.before is None or visit.entered_at < wanted.before)
        and wanted.call in (None, one.call)
        and wanted.outcome in (None, visit.outcome)
    )
