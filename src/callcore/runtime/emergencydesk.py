"""What people ask of the engine about emergency closures, over the command socket: begin, end, the list.

Each answer says what became of it, after it was decided and written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.runtime.commands import Command, Refused, of_centre
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked

REASON_LONGEST = 100
"""Characters of a reason."""


class EmergencyDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "emergency_begin": Command(Right.EMERGENCY, self._begin, of_centre),
            "emergency_end": Command(Right.EMERGENCY, self._end, of_centre),
            "emergency_list": Command(Right.READ_LIVE, self._list),
        }

    async def _list(self, _: Mapping[str, Any], person: Person) -> list[dict[str, Any]]:
        """Every emergency closure that lasts and that the person may see. Instants in seconds since the epoch, UTC."""
        found = rows(self._loop.floor)
        return [row for row in found if person.may(Right.READ_LIVE, CentreId(row["centre"]))]

    async def _begin(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`centre`, `reason`; `until` in seconds since the epoch, else the next local midnight."""
        until = told.get("until")
        if until is not None and (isinstance(until, bool) or not isinstance(until, int | float)):
            raise Refused("until は 1970 年からの秒数です / until is a number of seconds since the epoch")
        answer = await asked(
            self._loop,
            i.EmergencyAsked(
                at=self._now(),
                centre=self._centre(told),
                reason=_text(told, "reason"),
                by=person.id,
                until=None if until is None else Instant(round(until * SECOND)),
            ),
        )
        found = [row for row in rows(self._loop.floor) if row["centre"] == told["centre"]]
        return {**answer, "emergency": found[0] if found else None}

    async def _end(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`centre`."""
        ending = i.EmergencyEndAsked(at=self._now(), centre=self._centre(told), by=person.id)
        return await asked(self._loop, ending)

    def _centre(self, told: Mapping[str, Any]) -> CentreId:
        name = str(told.get("centre") or "")
        if name not in self._loop.floor.centres:
            known = ", ".join(sorted(self._loop.floor.centres))
            raise Refused(
                f"センター {name} はありません。次のいずれかです / there is no centre {name}; one of: {known}"
            )
        return CentreId(name)


def _text(told: Mapping[str, Any], key: str) -> str:
    """One line of text. Raises Refused."""
    text = " ".join(str(told.get(key) or "").split())
    if not text or len(text) > REASON_LONGEST or not text.isprintable():
        raise Refused(
            f"{key} は1〜{REASON_LONGEST}文字で指定してください / give {key} in 1 to {REASON_LONGEST} characters"
        )
    return text


def rows(floor: Floor) -> list[dict[str, Any]]:
    return [
        {
            "centre": name,
            "since": emergency.since / SECOND,
            "until": emergency.until / SECOND,
            "reason": emergency.reason,
            "by": emergency.by,
        }
        for name, emergency in sorted(floor.emergencies.items())
        if emergency.ended is None
    ]
