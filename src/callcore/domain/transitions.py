"""Tables of what may follow what, and the one way to read them.

A table maps a stage and a kind of fact to the next stage. What is not in the table is refused: `IllegalTransition`
is our own fault, never the wire's, for `step` asks before it tells. The diagrams of the documents are drawn from
these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

S = TypeVar("S", bound=Enum)

Table = Mapping[S | None, Mapping[str, S]]


class IllegalTransition(Exception):
    """A fact does not fit the state it meets. The state is unchanged."""


def advance(table: Table[S], entity: str, name: str, stage: S | None, kind: str) -> S:
    """The stage after a fact of this kind. Raises `IllegalTransition` when the table has no such step."""
    try:
        return table[stage][kind]
    except KeyError:
        where = "nothing" if stage is None else stage.value
        raise IllegalTransition(f"{entity} {name}: {kind} cannot follow {where}") from None


def mermaid(table: Table[S]) -> str:
    """The table as a Mermaid state diagram; steps that lead back to the same stage are left out."""
    lines = ["stateDiagram-v2"]
    for stage, steps in table.items():
        grouped: dict[str, list[str]] = {}
        for kind, target in steps.items():
            if target is not stage:
                grouped.setdefault(target.value, []).append(kind)
        source = "[*]" if stage is None else stage.value
        lines.extend(f"    {source} --> {target}: {', '.join(kinds)}" for target, kinds in grouped.items())
    return "\n".join(lines)
