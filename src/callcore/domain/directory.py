"""The city's departments (所管課) that a centre's agents call: what is shown of each, and how one is found.

Rules
- A department goes by its own calendar. While it is closed its substitute is called, and while that one is closed
  the substitute's own; the centre file lets no circle stand. Nobody open: the call is refused, and the phone says so.
- The dialplan decides that by itself, from the same hours (`dialplans/departments.conf`); here it is only shown.
- Busy: a call of the centre rings there or is connected, from a desk phone or of a caller who was put through or sent
  there; list and lamp are of the same rule (`busy`). What others call there nobody tells us.
- A lamp is off when the department is open and free, steady while a call of the centre is with it, flashing while it is
  closed; closed goes before busy, for it is what the next one who tries will hear.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from callcore.domain.centre import Centre, Department
from callcore.domain.floor import Floor
from callcore.domain.hours import Verdict
from callcore.domain.ids import AgentId, CallId, DepartmentId, Instant, PhoneId
from callcore.domain.lamps import Lamp
from callcore.domain.stages import Stage

CODE = "*5"
"""What a desk phone dials before the short number; likewise the name of the lamp."""

_KATAKANA = {code: code - 0x60 for code in range(ord("ァ"), ord("ヶ") + 1)}
"""To hiragana: the two stand 0x60 apart (The Unicode Standard, blocks Hiragana and Katakana)."""


def code(department: Department) -> str:
    return f"{CODE}{department.short}"


@dataclass(frozen=True, slots=True)
class With:
    """A call that is with a department."""

    call: CallId
    since: Instant
    connected: bool
    """False: it rings there."""
    caller: bool = False
    """Of a citizen with whom no agent is any more."""
    phone: PhoneId | None = None
    """Whence it is called; None: no desk phone is in it."""
    agent: AgentId | None = None
    """Who calls, if that was what the agent did at that moment."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One department at an instant."""

    department: Department
    verdict: Verdict
    call: With | None
    """Of the centre, that is with it; the oldest of several."""
    instead: Department | None
    """Who is called when it is dialled, while it is closed; None: it is open, or nobody can be called."""


def listings(floor: Floor, centre: Centre, at: Instant) -> Iterator[Listing]:
    """Every department in the order of the centre file. What is busy is so now, whatever `at` is."""
    known = {each.id: each for each in centre.departments}
    calls = busy(floor)
    for each in centre.departments:
        verdict = each.calendar.decide(at)
        yield Listing(each, verdict, calls.get(each.id), None if verdict.open else _instead(known, each, at))


def _instead(known: Mapping[DepartmentId, Department], closed: Department, at: Instant) -> Department | None:
    for _ in known:  # no more steps than there are departments, whatever the substitutes say
        found = known.get(closed.substitute) if closed.substitute is not None else None
        if found is None or found.calendar.judge(at)[0]:
            return found
        closed = found
    return None


def busy(floor: Floor) -> dict[DepartmentId, With]:
    """The calls that are with departments; of several with one, the oldest. An agent who asks, and a caller who was put
    through or is sent there, alike."""
    found: dict[DepartmentId, With] = {}
    for department, each in sorted(_with(floor), key=lambda one: (one[1].since, one[1].call)):
        found.setdefault(department, each)
    return found


def _with(floor: Floor) -> Iterator[tuple[DepartmentId, With]]:
    for side in floor.sides.values():
        if side.department is not None:
            connected = side.connected_at is not None
            yield (
                side.department,
                With(side.id, side.began_at, connected, phone=side.phone, agent=side.agent),
            )
    for call in floor.calls.values():
        transfer = call.transfer if call.stage is Stage.TRANSFERRED else None
        if transfer is not None and transfer.department is not None:
            yield transfer.department, With(call.id, transfer.since, connected=True, caller=True)
        elif call.moving_to is not None:
            since = call.parted_at or call.arrived_at
            yield call.moving_to, With(call.id, since, connected=False, caller=True)


def lamps(
    centres: Mapping[DepartmentId, bool], with_calls: Container[DepartmentId]
) -> Iterator[tuple[DepartmentId, Lamp]]:
    """Department and lamp. `centres`: which departments there are, and whether each is open."""
    for name, is_open in centres.items():
        yield name, Lamp.FLASHING if not is_open else Lamp.STEADY if name in with_calls else Lamp.OFF


def opened(floor: Floor, at: Instant) -> tuple[dict[DepartmentId, bool], Instant | None]:
    """Whether each department of every centre is open, and the next instant at which one of these differs."""
    is_open: dict[DepartmentId, bool] = {}
    changes = []
    for centre in floor.centres.values():
        for each in centre.departments:
            verdict = each.calendar.decide(at)
            is_open[each.id] = verdict.open
            changes += [verdict.changes_at] if verdict.changes_at is not None else []
    return is_open, min(changes, default=None)


def fits(department: Department, asked: str | None, language: str | None) -> bool:
    """Whether it speaks the language, and every word of `asked` stands somewhere in what it is called, where it is, its
    numbers and what it is for. Width, case and kind of kana do not matter."""
    if language is not None and language not in department.languages:
        return False
    parts = (
        department.name,
        department.kana or "",
        department.roman or "",
        department.office,
        department.about,
        department.short,
        department.number,
    )
    text = _plain(" ".join(parts))
    return all(word in text for word in _plain(asked or "").split())


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_KATAKANA)
