"""What is different between two pictures of the floor, so that a board need not be sent all of it each time.

A change says one of three things (docs/api.md):
- `to`: it is this now.
- `in`: of an object, what changed by its keys; `gone`: keys that are not there any more.
- `rows`: of a list whose rows have a name in the field `by`, what changed by those names; `order`: the names in their
  new order, where that is another one or a row came or went.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMES = ("id", "call", "agent", "phone")
"""Fields that name a row; the first that every row of a list has, and no two alike."""


def change(old: Any, new: Any) -> dict[str, Any] | None:
    """What makes `old` into `new`, both as JSON has them; None: they are the same."""
    if old is new or old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        inside = {key: found for key, value in new.items() if (found := _at(old, key, value)) is not None}
        gone = [key for key in old if key not in new]
        return {"in": inside, "gone": gone} if gone else {"in": inside}
    if isinstance(old, list) and isinstance(new, list) and (by := _name(old, new)) is not None:
        before = {row[by]: row for row in old}
        rows = {row[by]: found for row in new if (found := _at(before, row[by], row)) is not None}
        order = [row[by] for row in new]
        told: dict[str, Any] = {"by": by, "rows": rows}
        return told if order == list(before) else told | {"order": order}
    return {"to": new}


def _at(old: dict[str, Any], key: str, value: Any) -> dict[str, Any] | None:
    return change(old[key], value) if key in old else {"to": value}


def _name(old: Sequence[Any], new: Sequence[Any]) -> str | None:
    for name in NAMES:
        if all(_named(rows, name) for rows in (old, new)):
            return name
    return None


def _named(rows: Sequence[Any], name: str) -> bool:
    names = [row.get(name) if isinstance(row, dict) else None for row in rows]
    return all(isinstance(each, str) for each in names) and len(set(names)) == len(names)
