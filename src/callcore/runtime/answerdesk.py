"""Answers that wait for a citizen's next call, over the command socket: put on an outgoing call, dropped, listed.

`answer` {call, text, by?} · `answer_drop` {call, by?} · `answers` {centre}. Each answer of ours says what became of it,
after it was decided and written down. The list has the texts: whoever passes it on asks for the right to read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from callcore.domain import inputs as i
from callcore.domain.ids import CallId, Instant
from callcore.domain.sides import ANSWER_MOST
from callcore.runtime.commands import Handler, Refused
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import DECIDED_WITHIN_S

BY_LONGEST = 60
"""Characters of who asks."""


class AnswerDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"answer": self._put, "answer_drop": self._drop, "answers": self._list}

    async def _put(self, told: Mapping[str, Any]) -> dict[str, Any]:
        text = str(told.get("text") or "").strip()
        if not 0 < len(text) <= ANSWER_MOST or not all(c.isprintable() or c == "\n" for c in text):
            raise Refused(
                f"回答は 1〜{ANSWER_MOST} 文字で書いてください / write an answer of 1 to {ANSWER_MOST} characters"
            )
        asked = i.AnswerAsked(at=self._now(), call=_call(told), text=text, by=_by(told))
        return await self._ask(asked)

    async def _drop(self, told: Mapping[str, Any]) -> dict[str, Any]:
        by = _by(told) or "本人の操作 / by hand"
        return await self._ask(i.AnswerDropAsked(at=self._now(), call=_call(told), reason=by))

    async def _list(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
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

    async def _ask(self, told: i.Input) -> dict[str, Any]:
        try:
            async with asyncio.timeout(DECIDED_WITHIN_S):
                done = await self._loop.ask(told)
        except TimeoutError:
            raise Refused(
                "受け付けましたが、まだ書かれていません。ディスクの空きを確かめてください / "
                "asked, but not written down yet; see whether the disk is full"
            ) from None
        return {"done": done.disregarded is None, "why": done.disregarded}


def _call(told: Mapping[str, Any]) -> CallId:
    return CallId(str(told.get("call") or ""))


def _by(told: Mapping[str, Any]) -> str | None:
    by = " ".join(str(told.get("by") or "").split())[:BY_LONGEST]
    return by if by and by.isprintable() else None
