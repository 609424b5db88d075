"""Figures of what departments were called for, and of callers who went on to them or hung up meanwhile.

Rules
- All of it is of calls, and belongs to the half hour of the call's arrival, also a consult half an hour later.
- Transferred: by the call's outcome, for the department that the caller was put through to last; so one call is one
  transfer at most, and the sum over departments is the contract's transfer ratio's part.
- asked + unasked = the sum of `ends` + open. A consult that came back is no transfer.
- The key None is of no department: what was found afterwards and is not known of which, and callers who hung up on
  hold while none was asked.
- Calls from listed test numbers are left out. Source: definitions, "consult", "transfer", "transfer ratio".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from callcore.domain.asks import Ask, AskEnd, Asks
from callcore.domain.ids import CallId, DepartmentId
from callcore.domain.measures import Record, nearest_rank_s
from callcore.domain.stages import Outcome


@dataclass(frozen=True, slots=True)
class DepartmentFigures:
    """Of one department, or of all together. Seconds from the call to the answer, of those that were answered."""

    transferred_attended: int
    transferred_blind: int
    lost_on_hold: int
    """Callers who hung up while it was asked, or rung, for them; of all together also while none was."""
    asked: int
    """相談: called beside a talk."""
    unasked: int
    """Rung for a caller whom the agent had sent there."""
    ends: Mapping[AskEnd, int]
    """Every end is there."""
    open: int
    answered: int
    """Of whose answer the seconds are known."""
    answer_median_s: float | None
    answer_p90_s: float | None
    answer_max_s: float | None


def together(records: Iterable[Record], asks: Mapping[CallId, Asks]) -> DepartmentFigures:
    """Of all departments."""
    return _tallied(records, asks, lambda _: None).get(None, _Tally()).told()


def by_department(
    records: Iterable[Record], asks: Mapping[CallId, Asks]
) -> dict[DepartmentId | None, DepartmentFigures]:
    """Of each department that something is told of, by its id; last, if there is any, of none."""
    tallies = _tallied(records, asks, lambda department: department)
    order = sorted(tallies, key=lambda name: (name is None, name or ""))
    return {name: tallies[name].told() for name in order}


_TOLD = (Outcome.TRANSFERRED_ATTENDED, Outcome.TRANSFERRED_BLIND, Outcome.LOST_ON_HOLD)


@dataclass(slots=True)
class _Tally:
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(_TOLD, 0))
    ends: dict[AskEnd, int] = field(default_factory=lambda: dict.fromkeys(AskEnd, 0))
    asked: int = 0
    unasked: int = 0
    open: int = 0
    answers: list[int] = field(default_factory=list)

    def take(self, one: Ask) -> None:
        self.asked += one.side is not None
        self.unasked += one.side is None
        if one.end is None:
            self.open += 1
        else:
            self.ends[one.end] += 1
        if one.answer is not None:
            self.answers.append(one.answer)

    def told(self) -> DepartmentFigures:
        answers = sorted(self.answers)
        return DepartmentFigures(
            transferred_attended=self.outcomes[Outcome.TRANSFERRED_ATTENDED],
            transferred_blind=self.outcomes[Outcome.TRANSFERRED_BLIND],
            lost_on_hold=self.outcomes[Outcome.LOST_ON_HOLD],
            asked=self.asked,
            unasked=self.unasked,
            ends=self.ends,
            open=self.open,
            answered=len(answers),
            answer_median_s=nearest_rank_s(answers, 0.5),
            answer_p90_s=nearest_rank_s(answers, 0.9),
            answer_max_s=nearest_rank_s(answers, 1.0),
        )


_Key = Callable[[DepartmentId | None], DepartmentId | None]


def _tallied(
    records: Iterable[Record], asks: Mapping[CallId, Asks], key: _Key
) -> dict[DepartmentId | None, _Tally]:
    found: dict[DepartmentId | None, _Tally] = {}

    def of(department: DepartmentId | None) -> _Tally:
        return found.setdefault(key(department), _Tally())

    for record in records:
        if record.test:
            continue
        mine = asks.get(record.call, ())
        for one in mine:
            of(one.department).take(one)
        if record.outcome is Outcome.LOST_ON_HOLD:
            with_whom = next((one.department for one in mine if one.end is AskEnd.LOST_ON_HOLD), None)
            of(with_whom).outcomes[Outcome.LOST_ON_HOLD] += 1
        elif record.outcome in _TOLD:
            of(record.department).outcomes[record.outcome] += 1
    return found
