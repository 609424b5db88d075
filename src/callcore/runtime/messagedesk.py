"""Messages that callers left, and escalations, over the command socket: kept, listed, taken, dealt with, and called
back about.

`messages` {centre?} · `message_take` {call, agent} · `message_done` {call, done, result} · `message_dial` {call} ·
`task_keep` {call?, centre?, number?, subject, note?, department?, agent?, due?} ·
`message` (the sidecar's: it was measured). Whoever sees all agents of a centre sees all its messages; an agent sees
those that wait, and the own ones, of the centre.

A task is kept about a call of the last day, which names its centre; or about one of the archive, of which whoever asks
says centre and number; or about no call, for a centre.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.findings import WORDS
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant
from callcore.domain.message import NOTE_MOST, NUMBER, RESULT_MOST, SUBJECT_MOST, Message
from callcore.domain.messages import of_last_day
from callcore.domain.numbering import national
from callcore.runtime.commands import About, Command, Refused
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked


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
            "task_keep": Command(Right.ACT_AGENTS, self._keep, self._about_keeping),
            "message_dial": Command(Right.ACT_AGENTS, self._dial, self._about),
            "message": Command(Right.SERVICE, self._measured),
        }

    def _about(self, told: Mapping[str, Any]) -> About:
        """The message's centre, and the agent who has taken it. One that nobody knows is of a centre of nobody's."""
        message = self._loop.floor.messages.get(_call(told))
        return (CentreId(""), None) if message is None else (message.centre, message.agent)

    def _about_taking(self, told: Mapping[str, Any]) -> About:
        return self._about(told)[0], _agent(told)

    def _about_keeping(self, told: Mapping[str, Any]) -> About:
        """The call's centre, and who talks with the caller or is to deal with it. A call that the floor knows is of the
        centre that the floor knows."""
        floor = self._loop.floor
        call, caller = floor.calls.get(_call(told)), of_last_day(floor, _call(told), self._now())
        whose = _agent(told) if told.get("agent") else None if call is None else call.talking_with
        return (CentreId(str(told.get("centre") or "")) if caller is None else caller.centre), whose

    async def _keep(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`due` in seconds since the epoch. The answer names the task."""
        subject, note = _text(told, "subject"), _text(told, "note")
        if not 0 < len(subject) <= SUBJECT_MOST or "\n" in subject:
            raise Refused(
                f"件名は 1〜{SUBJECT_MOST} 文字で書いてください / write a subject of 1 to {SUBJECT_MOST} characters"
            )
        if len(note) > NOTE_MOST:
            raise Refused(f"メモは {NOTE_MOST} 文字までです / write a note of at most {NOTE_MOST} characters")
        call, now, due = _call(told) or None, self._now(), told.get("due")
        due_at = None if due is None else Instant(round(float(due) * SECOND))
        department = str(told.get("department") or "") or None
        agent = _agent(told) or None
        centre, floor = CentreId(str(told.get("centre") or "")), self._loop.floor
        if call is not None and (not centre or of_last_day(floor, call, now) is not None):
            wish: i.TaskAsked | i.TaskOpenAsked = i.TaskAsked(
                at=now,
                call=call,
                subject=subject,
                note=note or None,
                department=department,
                agent=agent,
                due_at=due_at,
                by=person.id,
            )
            return {**await asked(self._loop, wish), "task": call}
        task = CallId(f"task-{secrets.token_hex(6)}")
        wish = i.TaskOpenAsked(
            at=now,
            task=task,
            about=call,
            centre=centre,
            number=str(told.get("number") or "").replace("-", "").replace(" ", "") or None,
            subject=subject,
            note=note or None,
            department=department,
            agent=agent,
            due_at=due_at,
            by=person.id,
        )
        return {**await asked(self._loop, wish), "task": task}

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
                clipped_s=float(told.get("clipped_s", 0.0)),
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
    if not NUMBER.fullmatch(number):
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
        "task": message.subject is not None,
        "subject": message.subject.text if message.subject is not None and personal else None,
        "department": message.department,
        "note": message.note.text if message.note is not None and personal else None,
        "about": message.about,
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
    length = "エスカレーション escalation" if of["task"] else length
    parts = [of["call"], of["queue"], left, f"→ {due}", state, of["agent"] or "", of["number"] or "–", length]
    about = f"入電 call {of['about']}" if of["about"] not in (None, of["call"]) else None
    wrong = next((words for each, words in WORDS.items() if each.value == of["problem"]), None)
    parts += [of["file"], wrong, about, of["department"], of["subject"], of["note"], of["result"]]
    return "  ".join(part for part in parts if part)


def _text(told: Mapping[str, Any], name: str) -> str:
    """What people wrote, perhaps in lines. Raises Refused."""
    text = str(told.get(name) or "").strip()
    if not all(c.isprintable() or c == "\n" for c in text):
        raise Refused(f"{name}: 使えない文字があります / a sign that cannot be written")
    return text


def _call(told: Mapping[str, Any]) -> CallId:
    return CallId(str(told.get("call") or ""))


def _agent(told: Mapping[str, Any]) -> AgentId:
    return AgentId(str(told.get("agent") or ""))
