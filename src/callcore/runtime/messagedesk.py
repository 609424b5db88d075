"""Messages that callers left, over the command socket: listed, taken, dealt with, and called back about.

`messages` {centre?} · `message_take` {call, agent} · `message_done` {call, done, result} · `message_dial` {call} ·
`message` (the sidecar's: it was measured). Whoever sees all agents of a centre sees all its messages; an agent sees
those that wait, and the own ones, of the centre.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant
from callcore.domain.message import RESULT_MOST, Message
from callcore.domain.numbering import national
from callcore.runtime.commands import About, Command, Refused
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked

_DIGITS = re.compile(r"\d{2,18}")


class MessageDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "messages": Command(Right.READ_AGENTS, self._list),
            "message_take": Command(Right.ACT_AGENTS, self._take, self._about_taking),
            "message_done": Command(Right.ACT_AGENTS, self._done, self._about),
            "message_dial": Command(Right.ACT_AGENTS, self._dial, self._about),
            "message": Command(Right.SERVICE, self._measured),
        }

    def _about(self, told: Mapping[str, Any]) -> About:
        """The message's centre, and the agent who has taken it. One that nobody knows is of a centre of nobody's."""
        message = self._loop.floor.messages.get(_call(told))
        return (CentreId(""), None) if message is None else (message.centre, message.agent)

    def _about_taking(self, told: Mapping[str, Any]) -> About:
        return self._about(told)[0], _agent(told)

    async def _list(self, told: Mapping[str, Any], person: Person) -> list[dict[str, Any]]:
        """Those that wait first, by their deadline; then those that were dealt with, the latest first."""
        floor, now = self._loop.floor, self._now()
        wanted = str(told.get("centre") or "")
        found = visible(floor, person, CentreId(wanted) if wanted else None)
        return [row(floor, message, now, person) for message in found]

    async def _take(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        wish = i.MessageTakeAsked(at=self._now(), call=_call(told), agent=_agent(told), by=person.id)
        return await asked(self._loop, wish)

    async def _done(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        result = str(told.get("result") or "").strip()
        if not 0 < len(result) <= RESULT_MOST or not all(c.isprintable() or c == "\n" for c in result):
            raise Refused(
                f"結果は 1〜{RESULT_MOST} 文字で書いてください / write a result of 1 to {RESULT_MOST} characters"
            )
        done = told.get("done", True) is not False
        wish = i.MessageCloseAsked(at=self._now(), call=_call(told), done=done, result=result, by=person.id)
        return await asked(self._loop, wish)

    async def _dial(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """The phone of whoever has taken it rings, and then calls the citizen. The number is told to nobody."""
        floor = self._loop.floor
        message = floor.messages.get(_call(told))
        if message is None or message.agent is None:
            raise Refused("受け持ちのない伝言です / nobody has taken this message")
        number = dialled(floor, message)
        if number is None:
            raise Refused("番号が分からない伝言です(非通知など) / the number of this message is not known")
        wish = i.DialAsked(
            at=self._now(), agent=message.agent, number=number, by=person.id, centre=message.centre
        )
        return await asked(self._loop, wish)

    async def _measured(self, told: Mapping[str, Any], _: Person) -> bool:
        self._loop.put(
            i.MessageMeasured(
                at=self._now(),
                call=_call(told),
                file=str(told["file"]),
                size=int(told["size"]),
                seconds=float(told["seconds"]),
                voice_s=float(told["voice_s"]),
                sha256=told.get("sha256"),
                problem=told.get("problem"),
            )
        )
        return True


def visible(floor: Floor, person: Person, centre: CentreId | None = None) -> list[Message]:
    """The messages (of one centre) that a person may see, in the order of the list."""
    found = [m for m in floor.messages.values() if centre in (None, m.centre) and _sees(floor, person, m)]
    return in_order(found)


def in_order(messages: Iterable[Message]) -> list[Message]:
    """Those that wait first, by their deadline; then those that were dealt with, the latest first."""
    return sorted(messages, key=lambda m: (not m.open, m.due_at if m.open else -m.state_since, m.call))


def _sees(floor: Floor, person: Person, message: Message) -> bool:
    if person.may(Right.READ_AGENTS, message.centre):
        return True
    agent = floor.agents.get(person.agent) if person.agent is not None else None
    if agent is None or not person.may(Right.READ_AGENTS, message.centre, agent.id):
        return False
    serves = agent.centre == message.centre or message.queue in agent.queues
    return serves and (message.agent == agent.id or (message.agent is None and message.open))


def dialled(floor: Floor, message: Message) -> str | None:
    """The caller's number as an agent of that centre dials it; None: not known, or withheld."""
    number = national(message.caller.text or "")
    if not _DIGITS.fullmatch(number):
        return None
    centre = floor.centres.get(message.centre)
    prefix = centre.outgoing.prefix if centre is not None and centre.outgoing is not None else ""
    return prefix + number


def row(floor: Floor, message: Message, now: Instant, person: Person) -> dict[str, Any]:
    """One message as the commands show it. The number but for three digits hidden, and the result, are for whoever may
    see what is personal, and for the agent who has taken it."""
    own = message.agent is not None and message.agent == person.agent
    personal = own or person.may(Right.READ_PERSONAL, message.centre)
    agent = floor.agents.get(message.agent) if message.agent is not None else None
    return {
        "call": message.call,
        "centre": message.centre,
        "queue": message.queue,
        "language": message.language,
        "left_at": message.left_at,
        "due_at": message.due_at,
        "overdue": message.overdue(now),
        "state": message.state.value,
        "since": message.state_since,
        "agent": message.agent,
        "agent_name": agent.name if agent is not None and personal else None,
        "number": message.caller.masked() if personal else None,
        "result": message.result.text if message.result is not None and personal else None,
        "file": message.file,
        "seconds": message.seconds,
        "problem": message.problem,
        "callback": message.callback,
    }


_WORDS = {"open": "未着手 open", "taken": "対応中 taken", "done": "完了 done", "undone": "対応不可 undone"}


def line(of: Mapping[str, Any]) -> str:
    """One message, for people; times by this machine's clock, with their offset."""
    left, due = (
        datetime.fromtimestamp(of[key] / SECOND, UTC).astimezone().isoformat(timespec="minutes")
        for key in ("left_at", "due_at")
    )
    state = _WORDS[of["state"]] + (" 期限超過 overdue" if of["overdue"] else "")
    length = "–" if of["seconds"] is None else f"{of['seconds']:.0f} s"
    length = "折り返し不達 call-back given up" if of["callback"] else length
    parts = [of["call"], of["queue"], left, f"→ {due}", state, of["agent"] or "", of["number"] or "–", length]
    return "  ".join(part for part in [*parts, of["file"] or "", of["result"] or ""] if part)


def _call(told: Mapping[str, Any]) -> CallId:
    return CallId(str(told.get("call") or ""))


def _agent(told: Mapping[str, Any]) -> AgentId:
    return AgentId(str(told.get("agent") or ""))
