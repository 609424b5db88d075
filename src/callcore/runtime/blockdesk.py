"""What people ask of the engine about unwelcome callers, over the command socket: list, take off, show.

`blocked_add` {centre, number, reason, until} · `blocked_remove` {centre, entry} · `blocked_list` {centre}. Each answer
says what became of it, after it was decided and written down.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.blocked import REASON_LONGEST, found, plain
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.runtime.commands import Command, Refused, of_centre
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked


class BlockDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "blocked_add": Command(Right.BLOCK_CALLERS, self._add, of_centre),
            "blocked_remove": Command(Right.BLOCK_CALLERS, self._remove, of_centre),
            "blocked_list": Command(Right.BLOCK_CALLERS, self._list, of_centre),
        }

    async def _list(self, told: Mapping[str, Any], person: Person) -> list[dict[str, Any]]:
        """One centre's entries that last, the newest first. Instants in seconds since the epoch, UTC. The number is
        masked; None for who may not read personal values, or when its key has been destroyed."""
        centre, now = _centre(told), self._now()
        personal = person.may(Right.READ_PERSONAL, centre)
        lasting = [
            entry
            for entry in self._loop.floor.blocked.values()
            if entry.centre == centre and now < entry.until
        ]
        return [
            {
                "entry": entry.id,
                "number": entry.number.masked() if personal else None,
                "reason": entry.reason,
                "since": entry.since / SECOND,
                "until": entry.until / SECOND,
                "by": entry.by,
            }
            for entry in sorted(lasting, key=lambda entry: (-entry.since, entry.id))
        ]

    async def _add(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`until` in seconds since the epoch. The answer names the entry."""
        until, number, centre = told.get("until"), str(told.get("number") or ""), _centre(told)
        if isinstance(until, bool) or not isinstance(until, int | float) or not 0 <= until < 1 << 40:
            raise Refused("until は 1970 年からの秒数です / until is a number of seconds since the epoch")
        if plain(number) is None:
            raise Refused("番号は数字 3〜20 桁で指定してください / give the number in 3 to 20 digits")
        answer = await asked(
            self._loop,
            i.BlockAsked(
                at=self._now(),
                entry=CallId(f"blocked-{secrets.token_hex(6)}"),
                centre=centre,
                number=number,
                reason=_reason(told),
                until=Instant(round(until * SECOND)),
                by=person.id,
            ),
        )
        entry = found(self._loop.floor.blocked.values(), centre, number)
        return {**answer, "entry": None if entry is None else entry.id}

    async def _remove(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        entry = CallId(str(told.get("entry") or ""))
        return await asked(
            self._loop, i.UnblockAsked(at=self._now(), entry=entry, centre=_centre(told), by=person.id)
        )


def _centre(told: Mapping[str, Any]) -> CentreId:
    return CentreId(str(told.get("centre") or ""))


def _reason(told: Mapping[str, Any]) -> str:
    """One line of text. Raises Refused."""
    text = " ".join(str(told.get("reason") or "").split())
    if not text or len(text) > REASON_LONGEST or not text.isprintable():
        raise Refused(
            f"理由は1〜{REASON_LONGEST}文字で指定してください / give the reason in 1 to {REASON_LONGEST} characters"
        )
    return text
