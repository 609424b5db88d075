"""Looking for recordings by whatever is known of them.

Rules
- One statement: equal values first, then the newest, so that an index of the rarest asked-for thing gives the page
  without sorting all that fits. Pages go by (begin, name), never by counting.
- A number is looked for first, by its fingerprints, which whoever holds the keys makes. All of its recordings are gone
  through once, and whatever else is asked for is asked of each.
- Of no centre at all nothing is found, and nothing asked: SQLite would go along the whole table.
- Until when the rule keeps a recording stands in no row: a day that is asked for becomes, for each centre and kind, an
  instant at which its call was over (`retention.over_from`). Where nothing rarer is asked for, each centre and kind is
  looked through for itself, by an index of what is there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    and_,
    bindparam,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from callcore.db import tables as t
from callcore.db.database import Database
from callcore.db.numbers import bearing, each_of
from callcore.domain.ids import SECOND, AgentId, CentreId
from callcore.domain.recording import PausedBy, Place, RecordingKind, RecordingMark
from callcore.domain.retention import Rule, Rules, months_of, over_from
from callcore.runtime.recordings import RecordingCursor, RecordingSearch

LASTS_MOST = 86_400 * SECOND
"""Where the end is asked for: so that the index by the begin bounds what is looked through."""
ANYTHING = "*"
_RARER = {each.name for each in fields(RecordingSearch)} - {
    *("centres", "first", "before", "ended_from", "ended_before", "kind", "direction", "format", "channels"),
    *("seconds_least", "seconds_most", "size_least", "size_most", "place", "key_period"),
    *("kept_before", "kept_from"),
}
ARMS_AT_ONCE = 100
"""Parts of one compound statement; SQLite takes 500."""


class Search:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self,
        wanted: RecordingSearch,
        prints: Collection[str],
        after: RecordingCursor | None,
        limit: int,
        rules: Rules,
    ) -> list[dict[str, Any]]:
        """Up to `limit` rows with their agents and sealed numbers, the newest first. `prints`: the fingerprints of
        `wanted.number`. `rules`: by which they are kept. Raises `DatabaseAway`."""
        if (wanted.centres is not None and not wanted.centres) or (wanted.number is not None and not prints):
            return []
        sqlite = self._database.is_sqlite
        kept = _kept(wanted, rules) if _asked_until(wanted) else None
        parts: Iterable[CompoundSelect[Any]] | None = None
        if wanted.number is not None:
            parts = [of_number(wanted, prints, after, kept, limit, sqlite=sqlite)]
        elif _by_until(wanted):
            parts = by_until(wanted, after, limit, rules, sqlite=sqlite)
        async with self._database.reading() as connection:
            if parts is None:
                asked = statement(wanted, None, after, kept, sqlite=sqlite).limit(limit)
                return await self._whole(connection, asked)
            found: set[RecordingCursor] = set()
            for part in parts:
                found |= {(row.began_at, row.name) for row in await connection.execute(part)}
            named = [name for _, name in sorted(found, reverse=True)[:limit]]
            asked = statement(RecordingSearch(), named, None, None, sqlite=sqlite)
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


def of_number(
    wanted: RecordingSearch,
    prints: Collection[str],
    after: RecordingCursor | None,
    kept: ColumnElement[bool] | None,
    limit: int,
    *,
    sqlite: bool,
) -> CompoundSelect[Any]:
    """Name and begin of up to `limit` recordings of calls that bear this number (at least one fingerprint), with
    consults about them, and of as many that were made to it; some may be both."""
    r, c, s = t.recordings.c, t.callers.c, t.side_calls.c
    parts = []
    for name, call, print_ in ((r.call, c.call, c.fingerprint), (r.side, s.id, s.other_fingerprint)):
        asked = statement(wanted, None, after, kept, sqlite=sqlite).with_only_columns(r.name, r.began_at)
        asked = each_of(asked, name, bearing(call, print_, prints), sqlite=sqlite)
        parts.append(asked.limit(limit).subquery())
    return union_all(*(select(part.c.name, part.c.began_at) for part in parts))


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
    kept: ColumnElement[bool] | None,
    *,
    sqlite: bool,
) -> Select[Any]:
    """`named`: these alone, of the number that is looked for. `kept`: until when they are."""
    r, a = t.recordings.c, t.recording_agents.c
    began: ColumnElement[Any] = r.began_at
    name: ColumnElement[str] = r.name
    asked = select(t.recordings)
    if wanted.agent is not None and wanted.number is None:
        began, name = a.began_at, a.recording
        asked = asked.join(t.recording_agents, r.name == name).where(a.agent == wanted.agent)
    conditions = [*_conditions(wanted, sqlite=sqlite)]
    if kept is not None:
        conditions.append(kept)
    if named is not None:
        conditions.append(_among(named, sqlite=sqlite))
    if named is not None or wanted.number is not None:
        began, name = _unindexed(began), _unindexed(name)
    if wanted.first is not None:
        conditions.append(began >= wanted.first)
    if wanted.before is not None:
        conditions.append(began < wanted.before)
    if wanted.ended_from is not None:
        conditions += (r.ended_at >= wanted.ended_from, began >= wanted.ended_from - LASTS_MOST)
    if wanted.ended_before is not None:
        conditions += (r.ended_at < wanted.ended_before, began < wanted.ended_before)
    if after is not None:
        at, last = after
        conditions += (began <= at, or_(began < at, name < last))
    if conditions and wanted.number is not None:
        conditions = [func.coalesce(and_(*conditions), false())]  # of which no index can be used
    return asked.where(*conditions).order_by(began.desc(), name.desc())


def _conditions(wanted: RecordingSearch, *, sqlite: bool) -> Iterable[ColumnElement[bool]]:
    r = t.recordings.c
    rare = _by_until(wanted)
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
    if wanted.agent is not None and wanted.number is not None:
        a = t.recording_agents.c
        speaks = exists().where(a.recording == r.name, a.agent == wanted.agent)
        yield speaks.correlate(t.recordings)
    if wanted.names is not None:
        rare = True
        yield _among(wanted.names, sqlite=sqlite)
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
            yield (_unindexed(column) if rare or wanted.agent else column) == value
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
    if wanted.centres is not None and not _by_until(wanted):  # there each part has its centre
        alone = len(wanted.centres) == 1 and not (rare or wanted.agent)
        [*centres] = wanted.centres
        yield r.centre == centres[0] if alone else _unindexed(r.centre).in_(centres)


def _among(names: Collection[str], *, sqlite: bool) -> ColumnElement[bool]:
    """One parameter, however many: a hundred thousand are more than either database takes."""
    name = t.recordings.c.name
    if not sqlite:
        return name == func.any(bindparam(None, sorted(names), ARRAY(Text)))
    each = func.json_each(json.dumps(sorted(names))).table_valued("value")
    return name.in_(select(each.c.value))


def _asked_until(wanted: RecordingSearch) -> bool:
    return wanted.kept_before is not None or wanted.kept_from is not None


def _by_until(wanted: RecordingSearch) -> bool:
    """Whether nothing that is asked for is rarer than until when they are kept."""
    return _asked_until(wanted) and not any(getattr(wanted, name) for name in _RARER)


def by_until(
    wanted: RecordingSearch, after: RecordingCursor | None, limit: int, rules: Rules, *, sqlite: bool
) -> Iterable[CompoundSelect[Any]]:
    """Name and begin of up to `limit` recordings of each part that may be asked for, all of them together in one
    statement or a few."""
    r = t.recordings.c
    arms: list[ColumnElement[bool]] = []
    if wanted.centres is not None:
        rules = {name: rule for name, rule in rules.items() if name in wanted.centres}
    if wanted.kept_from is not None:
        arms.append(and_(r.keep_until.is_not(None), _kept(wanted, rules)))
    if any(_by_months(rule, reported=True) for rule in rules.values()):
        arms.append(and_(r.abuse == true(), _kept(wanted, rules)))
    for centre, rule in rules.items():
        for kind in RecordingKind if wanted.kind is None else (wanted.kind,):
            months = months_of(rule.retention, kind, reported=False)
            if months:
                these = and_(r.centre == centre, r.kind == kind, r.abuse == false())
                arms.append(and_(_there(), these, _until(wanted, months, rule.zone, by_rule_alone=True)))
    for n in range(0, len(arms), ARMS_AT_ONCE):
        parts = []
        for arm in arms[n : n + ARMS_AT_ONCE]:
            asked = statement(wanted, None, after, arm, sqlite=sqlite).with_only_columns(r.name, r.began_at)
            parts.append(asked.limit(limit).subquery())
        yield union_all(*(select(part.c.name, part.c.began_at) for part in parts))


def _there() -> ColumnElement[bool]:
    """There, and without a legal hold: word for word as `ix_recordings_kept` has it."""
    r = t.recordings.c
    return and_(r.place != literal_column(f"'{Place.GONE.value}'"), r.legal_hold == false())


def _kept(wanted: RecordingSearch, rules: Rules) -> ColumnElement[bool]:
    """What is there and is kept to an instant that is asked for: by the rule, or by an order if that is longer."""
    r = t.recordings.c
    parts: list[ColumnElement[bool]] = []
    for rule, centres in _alike(rules).items():
        of_rule = [
            and_(r.abuse == marked, r.kind.in_(kinds), _until(wanted, months, rule.zone))
            for marked, reported in ((false(), False), (true(), True))
            for months, kinds in _by_months(rule, reported=reported).items()
        ]
        parts.append(and_(_unindexed(r.centre).in_(centres), or_(false(), *of_rule)))
    return and_(_there(), or_(false(), *parts))


def _alike(rules: Rules) -> Mapping[Rule, list[CentreId]]:
    """The centres of each rule."""
    found: dict[Rule, list[CentreId]] = {}
    for centre, rule in rules.items():
        found.setdefault(rule, []).append(centre)
    return found


def _by_months(rule: Rule, *, reported: bool) -> Mapping[int, Sequence[RecordingKind]]:
    """The kinds that are kept for so many months; those that are kept until told are not among them."""
    found: dict[int, list[RecordingKind]] = {}
    for kind in RecordingKind:
        months = months_of(rule.retention, kind, reported=reported)
        if months:
            found.setdefault(months, []).append(kind)
    return found


def _until(
    wanted: RecordingSearch, months: int, zone: str, *, by_rule_alone: bool = False
) -> ColumnElement[bool]:
    """What rule and orders keep for long enough, and nothing for too long. `by_rule_alone`: for long enough without an
    order, and with the begin, for the index by it."""
    r = t.recordings.c
    parts: list[ColumnElement[bool]] = []
    if wanted.kept_from is not None:
        by_rule = r.over_at >= over_from(wanted.kept_from, months, zone)
        parts.append(by_rule if by_rule_alone else or_(by_rule, r.keep_until >= wanted.kept_from))
    if wanted.kept_before is not None:
        before = over_from(wanted.kept_before, months, zone)
        parts += (r.over_at < before, *([r.began_at < before] if by_rule_alone else []))
        parts.append(or_(r.keep_until.is_(None), r.keep_until < wanted.kept_before))
    return and_(*parts)


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
