"""What is asked of the engine about keeping and erasing, over the command socket.

`keep_order` {centre, calls, until, reason} · `keep_release` {centre, order, reason} · `keep_list` {centre} ·
`erase_from` {centre} (the place in the journal that the tables must have reached) ·
`erase_rule` {centre} (the rule in force) · `erase_ask` {call, about, centre, recordings, personal, at} (whether
they may be) · `erase_entries` {centre, number} (of the list of unwelcome callers) · `erase` {…, erasure, reason,
by_order_of}.
The engine is asked because it knows what goes on, and because it alone writes the journal and its keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.blocked import found
from callcore.domain.erasing import may_erase
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.retention import REASON_LONGEST
from callcore.runtime.commands import Command, Refused, of_centre
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked


class EraseDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "keep_order": Command(Right.ERASE, self._keep, of_centre),
            "keep_release": Command(Right.ERASE, self._release, of_centre),
            "keep_list": Command(Right.READ_CALLS, self._list, of_centre),
            "erase_from": Command(Right.ERASE, self._from, of_centre),
            "erase_rule": Command(Right.ERASE, self._rule, of_centre),
            "erase_ask": Command(Right.ERASE, self._may, of_centre),
            "erase_entries": Command(Right.ERASE, self._entries, of_centre),
            "erase": Command(Right.ERASE, self._erase, of_centre),
        }

    async def _keep(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`until` in seconds since the epoch; none: a legal hold. The answer names the order."""
        until = told.get("until")
        if until is not None and (
            isinstance(until, bool) or not isinstance(until, int | float) or not 0 <= until < 1 << 40
        ):
            raise Refused("until は 1970 年からの秒数です / until is a number of seconds since the epoch")
        order = f"keep-{secrets.token_hex(4)}"
        answer = await asked(
            self._loop,
            i.KeepAsked(
                at=self._now(),
                order=order,
                centre=_centre(told),
                calls=tuple(dict.fromkeys(CallId(str(each)) for each in told.get("calls") or ())),
                until=None if until is None else Instant(round(until * SECOND)),
                reason=_reason(told),
                by=person.id,
            ),
        )
        return {**answer, "order": order}

    async def _release(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await asked(
            self._loop,
            i.KeepReleaseAsked(
                at=self._now(),
                order=str(told.get("order") or ""),
                centre=_centre(told),
                reason=_reason(told),
                by=person.id,
            ),
        )

    async def _list(self, told: Mapping[str, Any], _: Person) -> list[dict[str, Any]]:
        """A centre's orders, the newest first. Instants in seconds since the epoch."""
        orders = [o for o in self._loop.floor.keeping.values() if o.centre == _centre(told)]
        return [
            {
                "order": order.id,
                "calls": list(order.calls),
                "until": None if order.until is None else order.until / SECOND,
                "reason": order.reason,
                "by": order.by,
                "at": order.at / SECOND,
            }
            for order in sorted(orders, key=lambda order: (-order.at, order.id))
        ]

    async def _from(self, _: Mapping[str, Any], __: Person) -> dict[str, Any]:
        """Up to where the journal is written: before the tables have all that, what is to be erased cannot be told."""
        return {"seq": [*self._loop.seq]}

    async def _may(self, told: Mapping[str, Any], _: Person) -> dict[str, Any]:
        """Why nothing may be erased now, or by the orders as of `at` (seconds since the epoch); None: it may."""
        personal, at = bool(told.get("personal")), told.get("at")
        when = self._now() if at is None else Instant(round(float(at) * SECOND))
        these = _recordings(told)
        return {
            "why": may_erase(self._loop.floor, *_call(told), recordings=these, personal=personal, at=when)
        }

    async def _rule(self, told: Mapping[str, Any], _: Person) -> dict[str, Any]:
        """By which a centre's recordings are kept, as it runs now; None: there is no such centre. Raises Refused."""
        if self._loop.floor.configuration is None:
            raise Refused("エンジンが起動中です / the engine is starting")
        centre = self._loop.floor.centres.get(_centre(told))
        if centre is None:
            return {"rule": None}
        return {"rule": {"zone": centre.time_zone, "retention": msgspec.to_builtins(centre.retention)}}

    async def _entries(self, told: Mapping[str, Any], _: Person) -> list[str]:
        entry = found(self._loop.floor.blocked.values(), _centre(told), str(told.get("number") or ""))
        return [] if entry is None else [entry.id]

    async def _erase(self, told: Mapping[str, Any], _: Person) -> dict[str, Any]:
        call, about = _call(told)
        return await asked(
            self._loop,
            i.EraseAsked(
                at=self._now(),
                call=call,
                about=about,
                centre=_centre(told),
                recordings=_recordings(told),
                personal=bool(told.get("personal")),
                erasure=str(told.get("erasure") or ""),
                reason=_reason(told),
                by=str(told.get("by_order_of") or ""),
            ),
        )


def _call(told: Mapping[str, Any]) -> tuple[CallId, CallId]:
    call = CallId(str(told.get("call") or ""))
    return call, CallId(str(told.get("about") or call))


def _recordings(told: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each) for each in told.get("recordings") or ())


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
