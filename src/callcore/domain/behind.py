"""What stands behind a figure: which calls count in it, and in which part of a ratio.

Rules
- No formula is here: each call is given to `measures.figures` by itself, and what comes out says whether it counts. The
  counts of all calls together, and both parts of every ratio, are the sums of that.
- Behind a length (a wait, a hold) stand the calls that have one; behind the longest wait now, those who wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from callcore.domain.ids import Instant
from callcore.domain.measures import Endings, Figures, Ratio, Record, endings, figures
from callcore.domain.stages import Outcome

Value = int | float | Ratio | None

_OF_CALLS: Final = tuple(each.name for each in fields(Figures) if each.name not in ("at", "service_level_s"))
_OF_ENDS: Final = (
    *("completion_ratio", "transfer_ratio", "answer_ratio_without_short", "answer_ratio_of_arrivals"),
    *("answer_ratio_with_callbacks", "abandon_ratio_without_short", "by_net", "complaints", "bookings"),
    *("without_result", "helped", "abuse", "relay", "messages"),
)
_OUTCOMES: Final = {each.value: each for each in Outcome if each.value not in _OF_CALLS}
SUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "lost": ("abandoned", "abandoned_short"),
    "refused": ("closed", "emergency_closed"),
    "otherwise": ("other_unanswered", "failed"),
}
"""What a board shows as one number."""
NAMES: Final = (*_OF_CALLS, *_OF_ENDS, *_OUTCOMES, *SUMS)


@dataclass(frozen=True, slots=True)
class Behind:
    """A call that counts. `part`: also in the part of the ratio; of anything else always."""

    record: Record
    part: bool


def value_of(name: str, told: Figures, ended: Endings) -> Value:
    """A figure by its name. KeyError: there is none."""
    if name in SUMS:
        counts: list[int] = [getattr(told, each) for each in SUMS[name]]
        return sum(counts)
    if name in _OUTCOMES:
        return ended.by_outcome[_OUTCOMES[name]]
    if name in _OF_ENDS:
        value: Value = getattr(ended, name)
        return value
    if name not in _OF_CALLS:
        raise KeyError(name)
    of_calls: Value = getattr(told, name)
    return of_calls


def behind(records: Iterable[Record], name: str, *, at: Instant, service_level_s: int) -> list[Behind]:
    """The calls that count in this figure as known at `at`, in the order given. KeyError: no such figure."""
    found = []
    for record in records:
        told = figures((record,), at=at, service_level_s=service_level_s)
        value = value_of(name, told, endings((record,), told))
        match value:
            case Ratio(part=part, whole=whole):
                if whole:
                    found.append(Behind(record, bool(part)))
            case None | 0:
                if value is not None and name in _LENGTHS:
                    found.append(Behind(record, True))
            case _:
                found.append(Behind(record, True))
    return found


_LENGTHS: Final = frozenset(name for name in _OF_CALLS if name.endswith("_s"))
"""Of which 0 seconds is one."""
