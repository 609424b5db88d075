"""Call-backs that callers asked for, over the command socket: `callbacks` {centre?} lists, `callback_drop` {call} takes
one off the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.callback import Callback
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.runtime.commands import About, Command
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked


class CallbackDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "callbacks": Command(Right.READ_LIVE, self._list),
            "callback_drop": Command(Right.ACT_AGENTS, self._drop, self._about),
        }

    def _about(self, told: Mapping[str, Any]) -> About:
        """The centre of the call-back. One that nobody knows is of a centre of nobody's."""
        back = self._loop.floor.callbacks.get(_call(told))
        return (CentreId("") if back is None else back.centre), None

    async def _list(self, told: Mapping[str, Any], person: Person) -> list[dict[str, Any]]:
        wanted, floor = str(told.get("centre") or ""), self._loop.floor
        return [
            row(floor, back, person)
            for back in in_line(floor)
            if wanted in ("", back.centre) and person.may(Right.READ_LIVE, back.centre)
        ]

    async def _drop(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await asked(self._loop, i.CallbackDropAsked(at=self._now(), call=_call(told), by=person.id))


def in_line(floor: Floor, centre: CentreId | None = None) -> list[Callback]:
    """Those who are to be called back, as they stand in their lines."""
    found = (back for back in floor.callbacks.values() if centre in (None, back.centre))
    return sorted(found, key=lambda back: (back.queue, back.place))


def row(floor: Floor, back: Callback, person: Person) -> dict[str, Any]:
    """One call-back as the commands show it; the number but for three digits hidden, for who may see what is
    personal."""
    return {
        "call": back.id,
        "centre": back.centre,
        "queue": back.queue,
        "since": back.since,
        "state": back.state.value,
        "attempts": back.attempts,
        "not_before": back.not_before,
        "number": back.caller.masked() if person.may(Right.READ_PERSONAL, back.centre) else None,
    }


_WORDS = {"waiting": "待ち waiting", "ringing": "呼出中 ringing", "dialling": "発信中 dialling"}


def line(of: Mapping[str, Any]) -> str:
    """One call-back, for people; times by this machine's clock, with their offset."""

    def wall(at: int) -> str:
        return datetime.fromtimestamp(at / SECOND, UTC).astimezone().isoformat(timespec="minutes")

    tried = f"{of['attempts']} 回発信済 / tried {of['attempts']}"
    again = f"次は {wall(of['not_before'])} 以降 / not before" if of["not_before"] is not None else ""
    parts = [
        of["call"],
        of["queue"],
        wall(of["since"]),
        _WORDS[of["state"]],
        tried,
        again,
        of["number"] or "–",
    ]
    return "  ".join(part for part in parts if part)


def _call(told: Mapping[str, Any]) -> CallId:
    return CallId(str(told.get("call") or ""))
