"""Answers that wait for a citizen's next call, over the command socket: put on a call, dropped, listed.

`answer` {call, text} · `answer_drop` {call} · `answers` {centre}. Each answer of ours says what became of it,
after it was decided and written down. The list has the texts, and wants the right to personal values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.sides import ANSWER_MOST
from callcore.runtime.commands import About, Command, Refused
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked

DROPPED = "伝えたか、不要になった / told, or no longer needed"


class AnswerDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "answer": Command(Right.ACT_AGENTS, self._put, self._about),
            "answer_drop": Command(Right.ACT_AGENTS, self._drop, self._about),
            "answers": Command(Right.READ_PERSONAL, self._list, _centre),
        }

    def _about(self, told: Mapping[str, Any]) -> About:
        """The centre of the call, and the agent who made it or talks in it. One that nobody knows belongs to a centre
        of nobody's."""
        floor, name = self._loop.floor, _call(told)
        side = floor.sides.get(name) or floor.unreached.get(name)
        answer = floor.answers.get(name)
        if side is not None:
            return side.centre, side.agent
        call, caller = floor.calls.get(name), floor.caller_of(name)
        if caller is not None:
            return caller.centre, None if call is None else call.talking_with
        return (CentreId("") if answer is None else answer.centre), None

    async def _put(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        text = str(told.get("text") or "").strip()
        if not 0 < len(text) <= ANSWER_MOST or not all(c.isprintable() or c == "\n" for c in text):
            raise Refused(
                f"回答は 1〜{ANSWER_MOST} 文字で書いてください / write an answer of 1 to {ANSWER_MOST} characters"
            )
        wish = i.AnswerAsked(at=self._now(), call=_call(told), text=text, by=person.id)
        return await asked(self._loop, wish)

    async def _drop(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        wish = i.AnswerDropAsked(at=self._now(), call=_call(told), reason=DROPPED, by=person.id)
        return await asked(self._loop, wish)

    async def _list(self, told: Mapping[str, Any], _: Person) -> list[dict[str, Any]]:
        """One centre's answers that wait, the newest first. `text` None: its key has been destroyed."""
        now, centre = self._now(), str(told.get("centre") or "")
        waiting = [a for a in self._loop.floor.answers.values() if a.centre == centre and a.until > now]
        return [
            {
                "call": answer.call,
                "at": answer.at,
                "until": answer.until,
                "number": answer.number.masked(),
                "text": answer.text.text,
            }
            for answer in sorted(waiting, key=lambda a: (-a.at, a.call))
        ]


def _call(told: Mapping[str, Any]) -> CallId:
    return CallId(str(told.get("call") or ""))


def _centre(told: Mapping[str, Any]) -> About:
    return CentreId(str(told.get("centre") or "")), None
