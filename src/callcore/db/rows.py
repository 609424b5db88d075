"""A call's row and its `measures.Record`: the same thing, field by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from callcore.db import tables as t
from callcore.domain.measures import Record

_NAMED = {
    "call": "id",
    "talk": "talk_us",
    "hold": "hold_us",
    "unrecorded": "unrecorded_us",
    "away": "away_us",
}
"""Where a column says more than the field."""
_FIELDS = [(each.name, _NAMED.get(each.name, each.name)) for each in fields(Record)]

RECORD_COLUMNS = [t.calls.c[column] for _, column in _FIELDS]
"""What a record is read from. A field of a record without a column fails here, at import."""


def row_of(record: Record) -> dict[str, Any]:
    return {column: getattr(record, name) for name, column in _FIELDS}


def record_of(row: Mapping[Any, Any]) -> Record:
    return Record(**{name: row[column] for name, column in _FIELDS})
