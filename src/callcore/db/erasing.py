"""What is kept of calls, for whoever judges what is due; and what becomes of the rows when it is erased.

Rules
- Erasing leaves the rows of call and recording, with when and why; what belongs to a person leaves them.
- So does a task that has a name of its own (or whose call's row is gone): it is kept and erased like a call, along with
  the call that it is about, by its own number, and by when it was opened.
- Sound that the chain tells of and no row does (`Unlisted`) is judged and erased with its call: it was over with that
  one, and is reported where the call is. Whoever asks brings it along.
- An order shows in the rows of the recordings of its calls (`legal_hold`, `keep_until`), also of those filed later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callcore.db import tables as t
from callcore.db.database import LONGEST_S, Database
from callcore.db.numbers import one_of
from callcore.db.recordings import reported_among
from callcore.domain import facts as f
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.domain.recording import Place
from callcore.domain.retention import Item, KeepOrder, Sound, Steps, Unlisted

AT_ONCE = 500
"""Values in one list of a statement."""
BEGIN = Instant(0)


async def fold_erasing(connection: AsyncConnection, facts: Sequence[f.Fact]) -> None:
    """To be called when everything else of the batch is in the tables."""
    touched: set[str] = {fact.call for fact in facts if isinstance(fact, f.RecordingFiled | f.MessageFiled)}
    for fact in facts:
        match fact:
            case f.KeepOrdered():
                rows = [
                    {
                        "order": fact.order,
                        "call": call,
                        "centre": fact.centre,
                        "until": fact.until,
                        "reason": fact.reason,
                        "by": fact.by,
                        "at": fact.at,
                    }
                    for call in fact.calls
                ]
                await connection.execute(insert(t.keep_orders), rows)
                touched.update(fact.calls)
            case f.KeepReleased():
                these = t.keep_orders.c.order == fact.order
                touched.update(
                    (await connection.execute(select(t.keep_orders.c.call).where(these))).scalars()
                )
                await connection.execute(delete(t.keep_orders).where(these))
            case f.CallErased():
                await _erase(connection, fact)
            case _:
                pass
    for part in _parts(sorted(touched)):
        await _show_orders(connection, part)


async def _erase(connection: AsyncConnection, fact: f.CallErased) -> None:
    r = t.recordings.c
    for part in _parts(fact.recordings):
        await connection.execute(
            update(t.recordings)
            .where(r.name.in_(part), r.erased_at.is_(None))
            .values(place=Place.GONE, erased_at=fact.at, erased_why=fact.reason)
        )
    if fact.personal:
        await connection.execute(delete(t.callers).where(t.callers.c.call == fact.call))
        await connection.execute(
            update(t.side_calls)
            .where(t.side_calls.c.id == fact.call)
            .values(dict.fromkeys(t.PERSONAL["side_calls"]))
        )
        await connection.execute(
            update(t.messages)
            .where(t.messages.c.call == fact.call)
            .values(dict.fromkeys(t.PERSONAL["messages"]))
        )


async def _show_orders(connection: AsyncConnection, calls: Sequence[str]) -> None:
    """The columns of the recordings of these calls, by the orders that count."""
    k, r = t.keep_orders.c, t.recordings.c
    orders = (await connection.execute(select(k.call, k.until).where(k.call.in_(calls)))).all()
    held = {row.call for row in orders if row.until is None}
    until: dict[str, Instant] = {}
    for call, end in orders:
        if end is not None:
            until[call] = max(end, until.get(call, end))
    rows = (
        await connection.execute(
            select(r.name, r.call, r.side).where(or_(r.call.in_(calls), r.side.in_(calls)))
        )
    ).all()
    for row in rows:
        named = [each for each in (row.call, row.side) if each is not None]
        ends = [until[each] for each in named if each in until]
        await connection.execute(
            update(t.recordings)
            .where(r.name == row.name)
            .values(legal_hold=any(each in held for each in named), keep_until=max(ends) if ends else None)
        )


class Kept:
    """What is kept, as the tables have it. All raise `DatabaseAway`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def over_before(
        self, centre: CentreId, before: Instant, limit: int, unlisted: Unlisted, first: Instant = BEGIN
    ) -> tuple[list[Item], Instant | None]:
        """The calls of which something is kept and that were over before then: those with something that began at
        `first` or later, the oldest first, about `limit` of them or some times as many; and the `first` of the others,
        None: there are none. One of which several things are kept may be among the others once more."""
        while True:
            items, then = await self._over_before(centre, before, limit, unlisted, first)
            if then is None or then > first:
                return items, then
            limit *= 4  # so many began at one instant

    async def _over_before(
        self, centre: CentreId, before: Instant, limit: int, unlisted: Unlisted, first: Instant
    ) -> tuple[list[Item], Instant | None]:
        r, c, s, m = t.recordings.c, t.calls.c, t.side_calls.c, t.messages.c
        # The index by time is gone through: a recording begins before it is over.
        sounds = (
            select(func.coalesce(r.side, r.call).label("id"), r.began_at.label("at"))
            .where(
                r.began_at < before,
                r.began_at >= first,
                r.centre == centre,
                r.place != Place.GONE,
                r.over_at < before,
            )
            .order_by(r.began_at)
            .limit(limit)
        )
        numbers = (
            select(c.id, c.arrived_at.label("at"))
            .join(t.callers, t.callers.c.call == c.id)
            .where(c.centre == centre, c.arrived_at < before, c.arrived_at >= first, c.ended_at < before)
            .order_by(c.arrived_at)
            .limit(limit)
        )
        others = (
            select(s.id, s.began_at.label("at"))
            .where(
                s.centre == centre,
                s.began_at < before,
                s.began_at >= first,
                s.ended_at < before,
                s.other_sealed.is_not(None),
            )
            .order_by(s.began_at)
            .limit(limit)
        )
        tasks = (
            select(m.call, m.left_at.label("at"))
            .where(m.centre == centre, m.left_at < before, m.left_at >= first, m.closed_at < before, _TOLD)
            .order_by(m.left_at)
            .limit(limit)
        )
        found: dict[CallId, Instant] = {
            call: at
            for call, each in unlisted.items()
            if (at := min((x.over for x in each if x.over is not None), default=before)) < before
        }
        async with self._database.reading(LONGEST_S) as connection:
            asks: tuple[Select[Any], ...] = (sounds, numbers, others, tasks)
            told = [[*await connection.execute(asked)] for asked in asks]
            # A list that was cut may have more of its last instant.
            then = min((rows[-1].at for rows in told if len(rows) == limit), default=None)
            those = [pair for pair in found.items() if pair[1] >= first]
            those += [(row[0], row[1]) for rows in told for row in rows]
            page = {call for call, at in those if then is None or at < then}
            return await _items(connection, page, unlisted), then

    async def of_calls(self, calls: Collection[CallId], unlisted: Unlisted) -> list[Item]:
        """These calls (or tasks), the consults beside them and the tasks about them."""
        async with self._database.reading(LONGEST_S) as connection:
            return await _items(connection, await _with_beside(connection, calls), unlisted)

    async def of_number(self, centre: CentreId, prints: Collection[str], unlisted: Unlisted) -> list[Item]:
        """All calls from and to a number, and tasks of it, given by its fingerprints."""
        calls: set[CallId] = set()
        async with self._database.reading(LONGEST_S) as connection:
            for part in _parts(sorted(prints)):
                for asked in bearers(part, sqlite=self._database.is_sqlite, centre=centre):
                    calls.update((await connection.execute(asked)).scalars())
            return await _items(connection, await _with_beside(connection, calls), unlisted)

    async def between(
        self, centre: CentreId, first: Instant | None, before: Instant | None, unlisted: Unlisted
    ) -> list[Item]:
        """The calls of a centre that began then, the tasks about them, and those opened then; with neither: all. Of
        unlisted sound whose call is none of that centre's: what was kept then; of which nobody can tell when: with
        neither alone."""
        c, s, m = t.calls.c, t.side_calls.c, t.messages.c
        calls: set[CallId] = set()
        async with self._database.reading(LONGEST_S) as connection:
            for of, at, name in (
                (c.centre, c.arrived_at, c.id),
                (s.centre, s.began_at, s.id),
                (m.centre, m.left_at, m.call),
            ):
                asked = select(name).where(of == centre)
                if first is not None:
                    asked = asked.where(at >= first)
                if before is not None:
                    asked = asked.where(at < before)
                calls.update((await connection.execute(asked)).scalars())
            known = await _centres_of(connection, unlisted.keys())
            for call, sounds in unlisted.items():
                if known.get(call) != centre and any(_within(sound.over, first, before) for sound in sounds):
                    calls.add(call)
            return await _items(connection, calls | await _tasks_about(connection, calls), unlisted)

    async def listed(self, recordings: Collection[str]) -> set[str]:
        """Those of these names whose sound a row tells of, by a call that is over. The others are unlisted."""
        r, c, s, found = t.recordings.c, t.calls.c, t.side_calls.c, set[str]()
        unit = func.coalesce(r.side, r.call)
        over = or_(c.ended_at.is_not(None), s.ended_at.is_not(None))
        rows = t.recordings.outerjoin(t.calls, c.id == unit).outerjoin(t.side_calls, s.id == unit)
        async with self._database.reading(LONGEST_S) as connection:
            for part in _parts(sorted(recordings)):
                asked = select(r.name).select_from(rows).where(r.name.in_(part), r.place != Place.GONE, over)
                found.update((await connection.execute(asked)).scalars())
        return found

    async def orders(self, centre: CentreId) -> list[KeepOrder]:
        return await self._orders(t.keep_orders.c.centre == centre)

    async def orders_of(self, *names: CallId | None) -> list[KeepOrder]:
        """Those that name one of these calls, each with these alone."""
        return await self._orders(t.keep_orders.c.call.in_([name for name in names if name is not None]))

    async def _orders(self, which: ColumnElement[bool]) -> list[KeepOrder]:
        k = t.keep_orders.c
        async with self._database.reading() as connection:
            asked = select(t.keep_orders).where(which).order_by(k.at, k.order, k.call)
            rows = (await connection.execute(asked)).mappings()
            found: dict[str, list[Any]] = {}
            for row in rows:
                found.setdefault(row["order"], []).append(row)
        return [
            KeepOrder(
                name,
                CentreId(rows[0]["centre"]),
                tuple(CallId(row["call"]) for row in rows),
                rows[0]["until"],
                rows[0]["reason"],
                rows[0]["by"],
                rows[0]["at"],
            )
            for name, rows in found.items()
        ]

    async def centres_of(self, calls: Collection[CallId]) -> dict[CallId, CentreId]:
        """Of calls, or of tasks by their own names; those that have a row."""
        async with self._database.reading(LONGEST_S) as connection:
            return await _centres_of(connection, calls)

    async def sealed_of(self, calls: Collection[CallId]) -> list[tuple[Personal, bytes]]:
        """The sealed numbers of these calls and tasks, each with what it was sealed for (its text is not here)."""
        k, s, m = t.callers.c, t.side_calls.c, t.messages.c
        found: list[tuple[Personal, bytes]] = []
        async with self._database.reading(LONGEST_S) as connection:
            for part in _parts(sorted(calls)):
                callers = await connection.execute(select(t.callers).where(k.call.in_(part)))
                found.extend(
                    (Personal(r.call, r.centre, r.at, None, r.fingerprint), r.sealed) for r in callers
                )
                for asked in (
                    select(s.id, s.centre, s.began_at, s.other_fingerprint, s.other_sealed).where(
                        s.id.in_(part), s.other_sealed.is_not(None)
                    ),
                    select(m.call, m.centre, m.left_at, m.number_fingerprint, m.number_sealed).where(
                        m.call.in_(part), m.number_sealed.is_not(None)
                    ),
                ):
                    others = await connection.execute(asked)
                    found.extend((Personal(r[0], r[1], r[2], None, r[3]), r[4]) for r in others)
        return found

    async def prints_beside(self, prints: Collection[str], calls: Collection[CallId]) -> set[str]:
        """Those of the fingerprints that stand in other calls or tasks, too."""
        leaving, found = set(calls), set[str]()
        async with self._database.reading(LONGEST_S) as connection:
            for part in _parts(sorted(prints)):
                for asked in bearers(part, sqlite=self._database.is_sqlite):
                    found.update(p for call, p in await connection.execute(asked) if call not in leaving)
        return found

    async def rows_left(self, calls: Collection[CallId], recordings: Collection[str]) -> int:
        """Rows that still tell of a person, or of a recording that is there; 0: the erasure is in the tables."""
        k, s, m, r = t.callers.c, t.side_calls.c, t.messages.c, t.recordings.c
        left = 0
        async with self._database.reading(LONGEST_S) as connection:

            async def count(where: ColumnElement[bool], table: Any) -> int:
                asked = select(func.count()).select_from(table).where(where)
                return int((await connection.execute(asked)).scalar_one())

            for part in _parts(sorted(calls)):
                left += await count(k.call.in_(part), t.callers)
                left += await count(
                    and_(s.id.in_(part), or_(s.other_sealed.is_not(None), s.other_fingerprint.is_not(None))),
                    t.side_calls,
                )
                left += await count(and_(m.call.in_(part), _TOLD), t.messages)
            for part in _parts(sorted(recordings)):
                left += await count(and_(r.name.in_(part), r.erased_at.is_(None)), t.recordings)
        return left

    async def steps(self, before: Instant) -> Steps:
        """When the clock was set before then, as the engine saw it."""
        n = t.facts_noted.c
        asked = select(n.at, n.detail).where(n.kind == f.ClockStepped.__name__, n.at < before)
        async with self._database.reading() as connection:
            return tuple((row.at, int(row.detail["by"])) for row in await connection.execute(asked))

    async def settle(self) -> None:
        """SQLite: what stood in the write-ahead log goes into the file, and the log is emptied. Freed pages are zeroed
        as they are freed (`secure_delete`). PostgreSQL: what was sealed stays unreadable until it is overwritten."""
        if self._database.is_sqlite:
            async with self._database.engine.connect() as connection:
                raw = await connection.get_raw_connection()
                await raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]


def bearers(
    prints: Collection[str], *, sqlite: bool, centre: CentreId | None = None
) -> Iterator[Select[Any]]:
    """Calls and tasks whose number has one of these fingerprints, each with it; of one centre, or of all."""
    k, s, m = t.callers.c, t.side_calls.c, t.messages.c
    for call, print_, of in (
        (k.call, k.fingerprint, k.centre),
        (s.id, s.other_fingerprint, s.centre),
        (m.call, m.number_fingerprint, m.centre),
    ):
        asked = select(call, print_).where(one_of(print_, prints, sqlite=sqlite))
        yield asked if centre is None else asked.where(of == centre)


_TOLD = or_(*(t.messages.c[name].is_not(None) for name in t.PERSONAL["messages"]))
"""A message or task that tells of a person."""


async def _centres_of(connection: AsyncConnection, calls: Collection[CallId]) -> dict[CallId, CentreId]:
    found: dict[CallId, CentreId] = {}
    for part in _parts(sorted(calls)):
        for name, centre in (
            (t.messages.c.call, t.messages.c.centre),
            (t.side_calls.c.id, t.side_calls.c.centre),
            (t.calls.c.id, t.calls.c.centre),
        ):
            rows = await connection.execute(select(name, centre).where(name.in_(part)))
            found |= {CallId(call): CentreId(of) for call, of in rows}
    return found


async def _with_beside(connection: AsyncConnection, calls: Collection[CallId]) -> set[CallId]:
    r, s = t.recordings.c, t.side_calls.c
    found = set(calls)
    for part in _parts(sorted(calls)):
        found.update((await connection.execute(select(s.id).where(s.beside.in_(part)))).scalars())
        sides = select(r.side).where(r.call.in_(part), r.side.is_not(None))
        found.update((await connection.execute(sides)).scalars())
    return found | await _tasks_about(connection, found)


async def _tasks_about(connection: AsyncConnection, calls: Collection[CallId]) -> set[CallId]:
    m = t.messages.c
    found = set[CallId]()
    for part in _parts(sorted(calls)):
        found.update((await connection.execute(select(m.call).where(m.about.in_(part)))).scalars())
    return found


async def _items(connection: AsyncConnection, calls: Collection[CallId], unlisted: Unlisted) -> list[Item]:
    """What is kept of these calls and tasks, in the order of their ends; last those of which nobody can tell it. A
    call that is not over is left out, but for one of which there is unlisted sound; so is not an open task: whoever is
    told to erase it says that it is open."""
    r, c, s, k, m = t.recordings.c, t.calls.c, t.side_calls.c, t.callers.c, t.messages.c
    over: dict[CallId, Instant] = {}
    ended: dict[CallId, Instant] = {}
    about: dict[CallId, CallId] = {}
    sounds: dict[CallId, list[Sound]] = {}
    personal: set[CallId] = set()
    known, tasks, untimed = set[CallId](), set[CallId](), list[CallId]()

    async def rows(asked: Select[Any]) -> Sequence[Any]:
        return [*await connection.execute(asked)]

    for part in _parts(sorted(calls)):
        for row in await rows(select(c.id, c.ended_at).where(c.id.in_(part))):
            known.add(row.id)
            if row.ended_at is not None:
                over[row.id] = ended[row.id] = row.ended_at
        for row in await rows(
            select(s.id, s.ended_at, s.beside, s.other_sealed.is_not(None).label("other")).where(
                s.id.in_(part)
            )
        ):
            known.add(row.id)
            if row.ended_at is None:
                continue
            over[row.id] = ended[row.id] = row.ended_at
            about[row.id] = row.beside or row.id
            personal |= {row.id} if row.other else set()
        personal.update(x.call for x in await rows(select(k.call).where(k.call.in_(part))))
        for row in await rows(
            select(m.call, m.about, m.left_at, m.closed_at, _TOLD.label("told")).where(m.call.in_(part))
        ):
            personal |= {row.call} if row.told else set()
            if row.call not in known:
                tasks.add(row.call)
                over[row.call] = row.closed_at or row.left_at
                about[row.call] = row.about or row.call
            elif row.closed_at is not None and row.call in over:
                over[row.call] = max(over[row.call], row.closed_at)
        unit = func.coalesce(r.side, r.call)
        for row in await rows(
            select(r.name, r.kind, r.abuse, r.over_at, unit.label("unit"), r.call.label("of")).where(
                or_(and_(r.call.in_(part), r.side.is_(None)), r.side.in_(part)), r.place != Place.GONE
            )
        ):
            sounds.setdefault(row.unit, []).append(Sound(row.name, row.kind, row.abuse, row.over_at))
            about.setdefault(row.unit, row.of)
        beside = [call for call in part if call in unlisted]
        reported = await reported_among(connection, {about.get(call, call) for call in beside})
        for call in beside:
            has = {sound.name for sound in sounds.get(call, ())}
            sounds.setdefault(call, []).extend(
                replace(
                    sound,
                    over=ended.get(call, sound.over),
                    reported=sound.reported or about.get(call, call) in reported,
                )
                for sound in unlisted[call]
                if sound.name not in has
            )
            kept = [sound.over for sound in unlisted[call] if sound.over is not None]
            if kept:
                over.setdefault(call, max(kept))
            elif call not in over:
                untimed.append(call)
    return [
        Item(call, about.get(call, call), at, tuple(sounds.get(call, ())), call in personal, call in tasks)
        for call, at in [
            *sorted(over.items(), key=lambda pair: (pair[1], pair[0])),
            *((call, None) for call in untimed),
        ]
        if call in sounds or call in personal
    ]


def _within(at: Instant | None, first: Instant | None, before: Instant | None) -> bool:
    if at is None:
        return first is None and before is None
    return (first is None or at >= first) and (before is None or at < before)


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for n in range(0, len(values), AT_ONCE):
        yield values[n : n + AT_ONCE]
