"""How values of the core stand in a column: instants as times that people can read, enums by their own words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import JSON, DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from callcore.domain.ids import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class At(TypeDecorator[Instant]):
    """An `Instant` (µs UTC) as `timestamptz` in PostgreSQL and as ISO text of fixed width in SQLite.

    Exact to the microsecond both ways, in the years 2 to 9998. The text is of fixed width so that its order is that
    of time. Only whole numbers are taken: a datetime, with a zone or without, raises TypeError, so that no zone can
    be guessed.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Instant | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if type(value) is not int:
            raise TypeError(f"an instant is whole microseconds since 1970 UTC, not {value!r}")
        moment = _EPOCH + value * _MICROSECOND
        if dialect.name != "sqlite":
            return moment
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: Dialect) -> Instant | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if dialect.name == "sqlite" else value
        if moment.tzinfo is None:
            raise ValueError(f"the database gave a time without a zone: {value!r}")
        return Instant((moment - _EPOCH) // _MICROSECOND)


class Word(TypeDecorator[Enum]):
    """A member of an `Enum` by its value, which is the word of the definitions."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Enum | None, dialect: Dialect) -> str | None:
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Enum | None:
        return None if value is None else self.kind(value)


Document = JSON().with_variant(JSONB(), "postgresql")
"""JSON that can be looked into on both; the engines write it without ASCII escapes (`database`)."""
