"""Calls by the fingerprints of their number.

Rules
- PostgreSQL knows nothing of how fingerprints are spread (ADR 76), and takes each for one row in two hundred. Several
  at once, or what is joined to them, it would look for in the whole of a table.
- So each is asked for alone, by its index; and what was found is handed on as a list, of whose length it assumes
  little. So are very many fingerprints at once: of a list that it can count, it takes them for all of the table.
- Recordings of very many calls are looked for call by call (`each_of`). Of all at once it may note no more than the
  pages, where its memory holds no more, and compare each row there with the whole list (15 s for 20,000 calls).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, CompoundSelect, Select, Text, any_, cast, func, select, union_all


def bearing(
    call: ColumnElement[str], print_: ColumnElement[Any], prints: Collection[str]
) -> CompoundSelect[Any]:
    """The calls of a table whose number has one of these fingerprints (at least one)."""
    return union_all(*(select(call).where(print_ == each) for each in sorted(prints)))


def one_of(print_: ColumnElement[Any], prints: Collection[str], *, sqlite: bool) -> ColumnElement[bool]:
    """The fingerprint is one of these."""
    if sqlite:
        return print_.in_(prints)
    return print_ == any_(func.array(select(func.unnest(cast([*prints], ARRAY(Text)))).scalar_subquery()))


def among(name: ColumnElement[Any], calls: CompoundSelect[Any], *, sqlite: bool) -> ColumnElement[bool]:
    """The name is one of those calls."""
    return name.in_(calls) if sqlite else name == any_(func.array(calls.scalar_subquery()))


def each_of(
    asked: Select[Any], name: ColumnElement[Any], calls: CompoundSelect[Any], *, sqlite: bool
) -> Select[Any]:
    """Of what is asked for, that whose name is one of those calls, of which none is there twice."""
    if sqlite:
        return asked.where(name.in_(calls))
    each = func.unnest(func.array(calls.scalar_subquery())).table_valued("call").render_derived()
    return asked.join(each, name == each.c.call)
