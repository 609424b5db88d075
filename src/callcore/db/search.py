"""Looking for recordings by whatever is known of them.

Rules
- One statement: equal values first, then the newest, so that an index of the rarest asked-for thing gives the page
  without sorting all that fits. Pages go by (begin, name), never by counting.
- A number is looked for first, by its fingerprints, which whoever holds the keys makes.
- Of no centre at all nothing is found, and nothing asked: SQLite would go along the whole table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from callcore.db import tables as t
from callcore.db.database import Database
from callcore.db.numbers import among, bearing
from callcore.domain.ids import SECOND, AgentId
from callcore.domain.recording import PausedBy, RecordingMark
from callcore.runtime.recordings import RecordingCursor, RecordingSearch

OF_NUMBER_MOST = 1000
"""Recordings of one number, the newest, among which a search by number looks."""
LASTS_MOST = 86_400 * SECOND
"""Where the end is asked for: so that the index by the begin bounds what is looked through."""
ANYTHING = "*"


class Search:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self,
        wanted: RecordingSearch,
        prints: Collection[str],
        after: RecordingCursor | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Up to `limit` rows with their agents and sealed numbers, the newest first. `prints`: the fingerprints of
        `wanted.number`. Raises `DatabaseAway`."""
        if wanted.centres is not None and not wanted.centres:
            return []
        async with self._database.reading() as connection:
            named = None
            if wanted.number is not None:
                if not prints:
                    return []
                of_it = of_number(prints, sqlite=self._database.is_sqlite)
                named = (await connection.execute(of_it)).scalars().all()
                if not named:
                    return []
            asked = statement(wanted, named, after, sqlite=self._database.is_sqlite).limit(limit)
            return await self._whole(connection, asked)

    async def of_call(self, name: str) -> list[dict[str, Any]]:
        """The row of this name, and those of the same call. Raises `DatabaseAway`."""
        r = t.recordings.c
        call = select(r.call).where(r.name == name).scalar_subquery()
        asked = select(t.recordings).where(r.call == call).order_by(r.began_at, r.name)
        async with self._database.reading() as connection:
            return await self._whole(connection, asked)

    async def _whole(self, connection: Any, asked: Select[Any]) -> list[dict[str, Any]]:
        rows = [{**row} for row in (await connection.execute(asked)).mappings()]
        names = [row["name"] for row in rows]
        a, c, s = t.recording_agents.c, t.callers.c, t.side_calls.c
        agents: dict[str, list[AgentId]] = {}
        told = select(a.recording, a.agent).where(a.recording.in_(names)).order_by(a.agent)
        for row in await connection.execute(told):
            agents.setdefault(row.recording, []).append(row.agent)
        callers = select(c.call, c.centre, c.at, c.sealed, c.fingerprint).where(
            c.call.in_([row["call"] for row in rows if row["side"] is None])
        )
        others = select(
            s.id.label("call"),
            s.centre,
            s.began_at.label("at"),
            s.other_sealed.label("sealed"),
            s.other_fingerprint.label("fingerprint"),
        ).where(
            s.id.in_([row["side"] for row in rows if row["side"] is not None]), s.other_sealed.is_not(None)
        )
        numbers = {row.call: row for each in (callers, others) for row in await connection.execute(each)}
        for row in rows:
            row["agents"] = tuple(agents.get(row["name"], ()))
            row["other"] = numbers.get(row["side"] or row["call"])
        return rows


def of_number(prints: Collection[str], *, sqlite: bool) -> Select[Any]:
    """The names of the recordings of calls that bear this number, with consults about them, the newest first."""
    r, c, s = t.recordings.c, t.callers.c, t.side_calls.c
    both = union_all(
        *(
            select(r.name, r.began_at).where(among(name, bearing(call, print_, prints), sqlite=sqlite))
            for name, call, print_ in (
                (r.call, c.call, c.fingerprint),
                (r.side, s.id, s.other_fingerprint),
            )
        )
    ).subquery()
    return select(both.c.name).order_by(both.c.began_at.desc()).limit(OF_NUMBER_MOST)


def _of_digest(sha256: str) -> CompoundSelect[Any]:
    """Of the sound as it is kept or was captured, or of the sealed file: whichever of them somebody has."""
    r = t.recordings.c
    return union_all(
        *(select(r.name).where(each == sha256) for each in (r.sha256, r.captured_sha256, r.stored_sha256))
    )


def statement(
    wanted: RecordingSearch,
    named: Collection[str] | None,
    after: RecordingCursor | None,
    *,
    sqlite: bool,
) -> Select[Any]:
    """`named`: the recordings of the number that is looked for."""
    r, a = t.recordings.c, t.recording_agents.c
    began, name = r.began_at, r.name
    asked = select(t.recordings)
    if wanted.agent is not None:
        began, name = a.began_at, a.recording
        asked = asked.join(t.recording_agents, r.name == name).where(a.agent == wanted.agent)
    asked = asked.where(*_conditions(wanted, sqlite=sqlite))
    if named is not None:
        asked = asked.where(r.name.in_(named))
    if wanted.first is not None:
        asked = asked.where(began >= wanted.first)
    if wanted.before is not None:
        asked = asked.where(began < wanted.before)
    if wanted.ended_from is not None:
        asked = asked.where(r.ended_at >= wanted.ended_from, began >= wanted.ended_from - LASTS_MOST)
    if wanted.ended_before is not None:
        asked = asked.where(r.ended_at < wanted.ended_before, began < wanted.ended_before)
    if after is not None:
        at, last = after
        asked = asked.where(began <= at, or_(began < at, name < last))
    return asked.order_by(began.desc(), name.desc())


def _conditions(wanted: RecordingSearch, *, sqlite: bool) -> Iterable[ColumnElement[bool]]:
    r = t.recordings.c
    rare = False
    alike: tuple[tuple[ColumnElement[Any], object], ...] = (
        (r.name, wanted.name),
        (r.call, wanted.call),
        (r.result, wanted.result),
        (r.result_kind, wanted.result_kind),
        (r.department, wanted.department),
        (r.through, wanted.through),
        (r.queue, wanted.queue),
        (r.language, wanted.language),
    )
    for column, value in alike:
        if value is not None:
            rare = True
            yield column == value
    if wanted.sha256 is not None:
        rare = True
        yield r.name.in_(_of_digest(wanted.sha256))
    if wanted.names is not None:
        rare = True
        yield r.name.in_(wanted.names)
    if wanted.mark is not None:
        rare = True
        yield _MARKED[wanted.mark]
    if wanted.problem is not None:
        rare = True
        yield r.problem.is_not(None)
        yield _found(wanted.problem, sqlite=sqlite)
    if wanted.segments_least is not None and wanted.segments_least > 1:
        rare = True
        yield r.segments > literal_column("1")
        yield r.segments >= wanted.segments_least
    of_pauses = [*_of_pauses(wanted, sqlite=sqlite)]
    if of_pauses:
        rare = True
        yield r.paused == true()
        yield from of_pauses
    for column, truth in ((r.paused, wanted.paused), (r.legal_hold, wanted.legal_hold)):
        if truth is not None:
            rare = rare or truth
            yield column == (true() if truth else false())
    common: tuple[tuple[ColumnElement[Any], object], ...] = (
        (r.place, wanted.place),
        (r.key_period, wanted.key_period),
        (r.format, wanted.format),
        (r.channels, wanted.channels),
    )
    for column, value in common:
        if value is not None:
            yield (_unindexed(column) if rare or wanted.agent or wanted.number else column) == value
            rare = True
    for column, value in ((r.kind, wanted.kind), (r.direction, wanted.direction)):
        if value is not None:
            yield column == value
    for column, least, most in (
        (r.seconds, wanted.seconds_least, wanted.seconds_most),
        (r.size, wanted.size_least, wanted.size_most),
    ):
        if least is not None:
            yield column >= least
        if most is not None:
            yield column <= most
    if wanted.kept_before is not None:
        yield r.keep_until < wanted.kept_before
    if wanted.kept_from is not None:
        yield r.keep_until >= wanted.kept_from
    if wanted.centres is not None:
        alone = len(wanted.centres) == 1 and not (rare or wanted.agent or wanted.number)
        [*centres] = wanted.centres
        yield r.centre == centres[0] if alone else _unindexed(r.centre).in_(centres)


def _of_pauses(wanted: RecordingSearch, *, sqlite: bool) -> Iterable[ColumnElement[bool]]:
    """To be asked of recordings that were paused, which an index finds: their pauses are read one by one."""
    count = func.json_array_length if sqlite else func.jsonb_array_length
    if wanted.pauses_least is not None:
        yield count(t.recordings.c.pauses) >= wanted.pauses_least
    if wanted.pause_ended is not None:
        yield _some_pause("ended", wanted.pause_ended.value, sqlite=sqlite)
    if wanted.paused_by is not None:
        yield _some_pause("by", None if wanted.paused_by is PausedBy.KEY else ANYTHING, sqlite=sqlite)


def _found(problem: str, *, sqlite: bool) -> ColumnElement[bool]:
    """One of the findings: to be asked of recordings with any, which an index finds."""
    findings = t.recordings.c.findings
    if not sqlite:
        return cast(findings, JSONB).contains([problem])
    each = func.json_each(findings).table_valued("value")
    says = each.c.value == problem
    return exists(select(literal(1)).select_from(each).where(says)).correlate(t.recordings)


def _some_pause(key: str, value: str | None, *, sqlite: bool) -> ColumnElement[bool]:
    """One of the pauses says this of itself; `ANYTHING`: whatever it says. What does not stand there is not null."""
    pauses = t.recordings.c.pauses
    if not sqlite:
        if value == ANYTHING:
            path: ColumnElement[str] = literal_column(f"""'$[*] ? (@.{key}.type() == "string")'""")
            return func.jsonb_path_exists(pauses, path)
        return cast(pauses, JSONB).contains([{key: value}])
    each = func.json_each(pauses).table_valued("value")
    if value is None or value == ANYTHING:
        says = func.json_type(each.c.value, f"$.{key}") == ("null" if value is None else "text")
    else:
        says = func.json_extract(each.c.value, f"$.{key}") == value
    return exists(select(literal(1)).select_from(each).where(says)).correlate(t.recordings)


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Without an index where something rarer has one: neither database can be trusted to choose."""
    return func.coalesce(column, column)


_MARKED = {
    RecordingMark.COMPLAINT: t.recordings.c.complaint == true(),
    RecordingMark.ABUSE: t.recordings.c.abuse == true(),
    RecordingMark.RELAY: t.recordings.c.relay == true(),
}
