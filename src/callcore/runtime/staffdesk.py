"""What people ask of the engine about agents, over the command socket: what the keys of a desk phone do.

Each answer says what became of it, after it was decided and written down.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import AgentId, CentreId, Instant, PhoneId
from callcore.domain.keyed import NOTE_MOST
from callcore.domain.stages import Presence, TalkKey, Work
from callcore.runtime.commands import About, Command, Refused
from callcore.runtime.loop import Loop

REASON_LONGEST = 20
"""Characters of a pause's reason."""
WHY_LONGEST = 200
"""Characters of why an agent was signed out."""
_NUMBER = re.compile(r"\d{2,20}")
_SHORT = re.compile(r"[0-9]{2,4}", re.ASCII)
DECIDED_WITHIN_S = 2.0
"""Seconds. A decision takes a millisecond; it waits while the journal cannot be written."""


class StaffDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "agents": Command(Right.READ_AGENTS, self._list),
            "agent_pause": Command(Right.ACT_AGENTS, self._pause, self._about),
            "agent_ready": Command(Right.ACT_AGENTS, self._ready, self._about),
            "agent_sign_out": Command(Right.ACT_AGENTS, self._sign_out, self._about),
            "agent_sign_in": Command(Right.ACT_AGENTS, self._sign_in, self._about),
            "agent_dial": Command(Right.ACT_AGENTS, self._dial, self._about),
            "agent_extend": Command(Right.ACT_AGENTS, self._extend, self._about),
            "agent_unlock": Command(Right.ACT_AGENTS, self._unlock, self._about),
            "agent_result": Command(Right.ACT_AGENTS, self._result, self._about),
            "agent_note": Command(Right.ACT_AGENTS, self._note, self._about),
            "agent_talk_key": Command(Right.ACT_AGENTS, self._talk_key, self._about),
            "agent_transfer": Command(Right.ACT_AGENTS, self._transfer, self._about),
        }

    def _about(self, told: Mapping[str, Any]) -> About:
        """The agent, and the centre the agent belongs to. One who does not exist belongs to a centre of nobody's."""
        name = AgentId(str(told.get("agent") or ""))
        known = self._loop.floor.agents.get(name)
        return (CentreId("") if known is None else known.centre), name

    async def _list(self, _: Mapping[str, Any], person: Person) -> list[dict[str, Any]]:
        """Every agent of the centre files whom the person may see, in their order."""
        return [
            row
            for row in rows(self._loop.floor)
            if person.may(Right.READ_AGENTS, CentreId(row["centre"]), AgentId(row["agent"]))
        ]

    async def _pause(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        reason = " ".join(str(told.get("reason") or "").split())
        if not reason or len(reason) > REASON_LONGEST or not reason.isprintable():
            raise Refused(
                f"理由は1〜{REASON_LONGEST}文字で指定してください / give a reason of 1 to {REASON_LONGEST} characters"
            )
        agent = self._agent(told)
        return await self._ask(i.PauseAsked(at=self._now(), agent=agent, reason=reason, by=person.id))

    async def _ready(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(i.ReadyAsked(at=self._now(), agent=self._agent(told), by=person.id))

    async def _sign_out(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`reason`: in words, or none."""
        reason = " ".join(str(told.get("reason") or "").split())[:WHY_LONGEST] or None
        return await self._ask(
            i.AgentOutAsked(at=self._now(), agent=self._agent(told), by=person.id, reason=reason)
        )

    async def _sign_in(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`phone`: where. The person's right stands for the PIN; a lock-out holds all the same."""
        phone = PhoneId(str(told.get("phone") or ""))
        if phone not in self._loop.floor.phones:
            raise Refused("電話機がありません / no such phone")
        return await self._ask(
            i.SignInAsked(
                at=self._now(),
                agent=self._agent(told),
                phone=phone,
                channel=None,
                verified=True,
                by=person.id,
            )
        )

    async def _dial(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`number`: as it would be dialled. Done: the phone is being rung."""
        number = str(told.get("number") or "")
        if not _NUMBER.fullmatch(number):
            raise Refused("番号は 2〜20 桁の数字です / a number is 2 to 20 digits")
        return await self._ask(
            i.DialAsked(at=self._now(), agent=self._agent(told), number=number, by=person.id)
        )

    async def _extend(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(i.WrapUpExtendAsked(at=self._now(), agent=self._agent(told), by=person.id))

    async def _unlock(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(i.UnlockAsked(at=self._now(), agent=self._agent(told), by=person.id))

    async def _result(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`key`: the digit of the result in the centre's list."""
        key = told.get("key")
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key <= 9:
            raise Refused("結果は 0〜9 の数字で指定してください / give the result as a digit, 0 to 9")
        return await self._ask(i.ResultAsked(at=self._now(), key=key, agent=self._agent(told), by=person.id))

    async def _note(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`text`: about the call in hand, or wrapped up."""
        text = " ".join(str(told.get("text") or "").split())
        if not 0 < len(text) <= NOTE_MOST or not text.isprintable():
            raise Refused(
                f"メモは 1〜{NOTE_MOST} 文字で書いてください / write a note of 1 to {NOTE_MOST} characters"
            )
        agent = self._agent(told)
        return await self._ask(i.NoteAsked(at=self._now(), agent=agent, text=text, by=person.id))

    async def _talk_key(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`key`: help, abuse, relay or recording, with the effect of that key on the agent's phone. What Asterisk
        makes of `recording` is not waited for: it is a fact then."""
        try:
            key = TalkKey(told.get("key"))
        except ValueError:
            known = ", ".join(each.value for each in TalkKey)
            raise Refused(f"key は {known} のいずれかです / key is one of {known}") from None
        return await self._ask(i.TalkKeyed(at=self._now(), key=key, agent=self._agent(told), by=person.id))

    async def _transfer(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`department`: its short number; none: who is being consulted. Done: Asterisk is asked; the board shows what
        came of it."""
        short = told.get("department") or None
        if short is not None and not (isinstance(short, str) and _SHORT.fullmatch(short)):
            raise Refused("部署は短縮番号で指定してください / give the department as its short number")
        return await self._ask(
            i.TransferAsked(at=self._now(), agent=self._agent(told), short=short, by=person.id)
        )

    def _agent(self, told: Mapping[str, Any]) -> AgentId:
        name = str(told.get("agent") or "")
        if name not in self._loop.floor.agents:
            raise Refused(
                f"オペレーター {name} はいません。callcore agent list で確かめてください / "
                f"there is no agent {name}; see callcore agent list"
            )
        return AgentId(name)

    async def _ask(self, told: i.Input) -> dict[str, Any]:
        return await asked(self._loop, told)


async def asked(loop: Loop, told: i.Input) -> dict[str, Any]:
    """What became of an input, once that is written down. Raises Refused when it is not decided in time."""
    try:
        async with asyncio.timeout(DECIDED_WITHIN_S):
            done = await loop.ask(told)
    except TimeoutError:
        raise Refused(
            "受け付けましたが、まだ実行されていません。ジャーナルに書けるか (ディスクの空き) を確かめてください / "
            "asked, but not decided yet; see whether the journal can be written (disk full?)"
        ) from None
    return {"done": done.disregarded is None, "why": done.disregarded}


def rows(floor: Floor) -> list[dict[str, Any]]:
    """The agents as they are, with the words of `domain/stages.py`; `misses`: offers in a row without an answer;
    `locked_until`: in microseconds since the epoch, perhaps past."""
    return [
        {
            "agent": agent.id,
            "name": known.name,
            "centre": centre.id,
            "phone": agent.phone,
            "presence": agent.presence.value,
            "pause": agent.pause,
            "pause_overran": agent.pause_overran,
            "locked_until": agent.locked_until,
            "work": agent.work.value,
            "misses": agent.misses,
        }
        for centre in floor.centres.values()
        for known in centre.agents
        if (agent := floor.agents.get(known.id)) is not None
    ]


PRESENCES = {
    Presence.SIGNED_OUT: "受付終了 / signed out",
    Presence.READY: "受付中 / ready",
    Presence.PAUSED: "離席 / paused",
}
WORKS = {
    Work.IDLE: "",
    Work.RESERVED: "呼出準備 / reserved",
    Work.RINGING: "呼出中 / ringing",
    Work.TALKING: "通話中 / talking",
    Work.CALLING_OUT: "発信中 / calling out",
    Work.WRAPPING_UP: "後処理 / after-call work",
}


def line(row: Mapping[str, Any]) -> str:
    """One row of the list, for people."""
    parts = [
        row["agent"],
        row["name"],
        row["centre"],
        row["phone"] or "-",
        PRESENCES[Presence(row["presence"])],
    ]
    if row["pause"]:
        parts.append(f"({row['pause']}{', 時間超過 / too long' if row['pause_overran'] else ''})")
    return "  ".join(part for part in (*parts, WORKS[Work(row["work"])]) if part)
