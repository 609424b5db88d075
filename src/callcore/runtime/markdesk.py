"""Marks of recordings, over the command socket.

`recording_mark` {call, centre, mark, set} · `recording_unreport` {call, centre}: takes 悪質・脅迫 away, after which the
recording is kept no longer than others. So it wants the right to erase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.recording import RecordingMark
from callcore.runtime.commands import Command, Refused, of_centre
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked


class MarkDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "recording_mark": Command(Right.SUPERVISE, self._mark, of_centre),
            "recording_unreport": Command(Right.ERASE, self._unreport, of_centre),
        }

    async def _mark(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        try:
            mark = RecordingMark(told.get("mark"))
        except ValueError:
            raise Refused(
                "目印は complaint、abuse、relay です / a mark is complaint, abuse or relay"
            ) from None
        on = told.get("set") is not False
        if mark is RecordingMark.ABUSE and not on:
            raise Refused(
                "悪質・脅迫は recording_unreport で外します / abuse is taken away by recording_unreport"
            )
        return await self._asked(told, mark, on, person)

    async def _unreport(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._asked(told, RecordingMark.ABUSE, False, person)

    async def _asked(
        self, told: Mapping[str, Any], mark: RecordingMark, on: bool, person: Person
    ) -> dict[str, Any]:
        call = CallId(str(told.get("call") or ""))
        return await asked(
            self._loop,
            i.MarkAsked(
                at=self._now(),
                call=call,
                centre=of_centre(told)[0] or CentreId(""),
                mark=mark,
                on=on,
                by=person.id,
            ),
        )
