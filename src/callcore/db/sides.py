"""Calls that are no arrivals into their table: a row is the domain's own record of the call, and its recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callcore.db import tables as t
from callcore.domain import facts as f
from callcore.domain.ids import CallId, Instant
from callcore.domain.sides import SideRecord, record

_FIELDS = [(each.name, "id" if each.name == "call" else each.name) for each in fields(SideRecord)]
COLUMNS = [t.side_calls.c[column] for _, column in _FIELDS]
"""What a record is read from. A field without a column fails here, at import."""

Sealed = tuple[bytes, str | None, str]


def side_of(row: Mapping[Any, Any]) -> SideRecord:
    return SideRecord(**{name: row[column] for name, column in _FIELDS})


def _row_of(one: SideRecord) -> dict[str, Any]:
    return {column: getattr(one, name) for name, column in _FIELDS}


async def fold_sides(
    connection: AsyncConnection, facts: Sequence[f.Fact], sealed: Mapping[CallId, Sealed]
) -> Set[CallId]:
    """Folds the facts into the table; gives the calls among them that are no arrivals. `sealed`: the other sides'
    numbers of those that begin here."""
    named = {call for fact in facts if (call := getattr(fact, "call", None)) is not None}
    named |= {fact.side for fact in facts if isinstance(fact, f.CallTransferred) and fact.side is not None}
    wanted: ColumnElement[bool] = t.side_calls.c.id.in_(named)
    if any(isinstance(fact, f.ClockStepped) for fact in facts):
        wanted = wanted | t.side_calls.c.outcome.is_(None)
    found = (await connection.execute(select(*COLUMNS).where(wanted))).mappings()
    before = {CallId(row["id"]): side_of(row) for row in found}
    after, recorded = _folded(before, facts)
    new = [call for call in after if call not in before]
    if new:
        rows = [
            _row_of(after[call]) | _seal(sealed.get(call)) | recorded.get(call, _NO_RECORDING) for call in new
        ]
        await connection.execute(insert(t.side_calls), rows)
    changes = [
        {"of": call} | {name: value for name, value in _row_of(one).items() if name != "id"}
        for call, one in after.items()
        if call in before and one != before[call]
    ]
    this = update(t.side_calls).where(t.side_calls.c.id == bindparam("of"))
    if changes:
        await connection.execute(this, changes)
    if filed := [{"of": call} | row for call, row in recorded.items() if call in before]:
        await connection.execute(this, filed)
    return after.keys()


def _folded(
    before: Mapping[CallId, SideRecord], facts: Iterable[f.Fact]
) -> tuple[dict[CallId, SideRecord], dict[CallId, dict[str, Any]]]:
    after, recorded = dict(before), dict[CallId, dict[str, Any]]()
    for fact in facts:
        call = CallId(getattr(fact, "call", ""))
        if isinstance(fact, f.ClockStepped):
            after |= {name: _moved(one, fact.by) for name, one in after.items() if one.outcome is None}
        elif isinstance(fact, f.CallTransferred) and fact.side in after:
            after[fact.side] = replace(after[fact.side], put_through=True)
        elif call in after or isinstance(fact, f.SideCallBegan):
            folded = record(after.get(call), fact)
            assert folded is not None
            after[call] = folded
            if isinstance(fact, f.RecordingFiled):
                recorded[call] = {
                    "recording": fact.file,
                    "recording_size": fact.size,
                    "recording_seconds": fact.seconds,
                    "recording_sha256": fact.sha256,
                    "recording_problem": fact.problem,
                }
    return after, recorded


_NO_RECORDING = dict.fromkeys(
    (
        "recording",
        "recording_size",
        "recording_seconds",
        "recording_sha256",
        "recording_problem",
    )
)


def _seal(sealed: Sealed | None) -> dict[str, Any]:
    data, fingerprint, period = sealed or (None, None, None)
    return {"other_sealed": data, "other_fingerprint": fingerprint, "other_period": period}


def _moved(one: SideRecord, by: int) -> SideRecord:
    connected = one.connected_at
    return replace(
        one,
        began_at=Instant(one.began_at + by),
        connected_at=None if connected is None else Instant(connected + by),
    )
