"""What supervisors ask of the engine, over the command socket: being at an agent's talk, moving waiting callers,
skills, help, thresholds.

`watch` {agent, how}, `watch_stop`, `caller_up` {call}, `caller_queue` {call, queue}, `agent_skills` {agent, skills?},
`help_answer` {agent}, `thresholds` {centre, waiting?, wait_s?}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, QueueId
from callcore.domain.stages import WatchMode
from callcore.runtime.commands import About, Command, Refused
from callcore.runtime.loop import Loop
from callcore.runtime.staffdesk import asked

SKILLS_MOST = 50
"""Skills of one agent."""


class SupervisorDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "watch": Command(Right.WATCH, self._watch, self._about_talk),
            "watch_stop": Command(Right.WATCH, self._watch_stop),
            "caller_up": Command(Right.SUPERVISE, self._up, self._about_call),
            "caller_queue": Command(Right.SUPERVISE, self._queue, self._about_call),
            "agent_skills": Command(Right.SUPERVISE, self._skills, self._about_agent),
            "help_answer": Command(Right.SUPERVISE, self._help, self._about_talk),
            "thresholds": Command(Right.SUPERVISE, self._thresholds, self._about_centre),
        }

    # -- over what the right must reach -------------------------------------------------------------------------

    def _about_talk(self, told: Mapping[str, Any]) -> About:
        return centre_of_talk(self._loop.floor, AgentId(_text(told, "agent"))) or CentreId(""), None

    def _about_agent(self, told: Mapping[str, Any]) -> About:
        known = self._loop.floor.agents.get(AgentId(_text(told, "agent")))
        return (CentreId("") if known is None else known.centre), None

    def _about_call(self, told: Mapping[str, Any]) -> About:
        call = self._loop.floor.calls.get(CallId(_text(told, "call")))
        return (CentreId("") if call is None else call.centre), None

    def _about_centre(self, told: Mapping[str, Any]) -> About:
        return CentreId(_text(told, "centre")), None

    # -- what is done -------------------------------------------------------------------------------------------

    async def _watch(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        try:
            mode = WatchMode(told.get("how"))
        except ValueError:
            known = ", ".join(each.value for each in WatchMode)
            raise Refused(f"how は {known} のいずれかです / how is one of {known}") from None
        return await self._ask(
            i.WatchAsked(
                at=self._now(),
                agent=AgentId(_text(told, "agent")),
                watcher=person.agent,
                mode=mode,
                by=person.id,
            )
        )

    async def _watch_stop(self, _: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(i.WatchStopAsked(at=self._now(), watcher=person.agent, by=person.id))

    async def _up(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(
            i.CallerUpAsked(at=self._now(), call=CallId(_text(told, "call")), by=person.id)
        )

    async def _queue(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(
            i.CallerQueueAsked(
                at=self._now(),
                call=CallId(_text(told, "call")),
                queue=QueueId(_text(told, "queue")),
                by=person.id,
            )
        )

    async def _skills(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """`skills`: level by name; none: those of the files again."""
        skills = told.get("skills")
        if skills is not None:
            fits = isinstance(skills, dict) and len(skills) <= SKILLS_MOST
            if not fits or not all(_whole(level) for level in skills.values()):
                raise Refused("技能は名前とレベル (1〜9) の組です / skills are names with a level, 1 to 9")
            skills = tuple(sorted((str(name), int(level)) for name, level in skills.items()))
        return await self._ask(
            i.SkillsAsked(at=self._now(), agent=AgentId(_text(told, "agent")), skills=skills, by=person.id)
        )

    async def _help(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        return await self._ask(
            i.HelpAnswerAsked(at=self._now(), agent=AgentId(_text(told, "agent")), by=person.id)
        )

    async def _thresholds(self, told: Mapping[str, Any], person: Person) -> dict[str, Any]:
        waiting, wait_s = told.get("waiting"), told.get("wait_s")
        if not all(each is None or _whole(each) for each in (waiting, wait_s)):
            raise Refused("しきい値は整数です / thresholds are whole numbers")
        return await self._ask(
            i.ThresholdsAsked(
                at=self._now(),
                centre=CentreId(_text(told, "centre")),
                waiting=waiting,
                wait_s=wait_s,
                by=person.id,
            )
        )

    async def _ask(self, told: i.Input) -> dict[str, Any]:
        return await asked(self._loop, told)


def centre_of_talk(floor: Floor, name: AgentId) -> CentreId | None:
    """Whose caller the agent talks with, for a guest (兼務) works for another centre; without a talk, the agent's own;
    None: there is no such agent."""
    agent = floor.agents.get(name)
    call = floor.calls.get(agent.call) if agent is not None and agent.call is not None else None
    if call is not None:
        return call.centre
    return None if agent is None else agent.centre


def _text(told: Mapping[str, Any], name: str) -> str:
    return str(told.get(name) or "")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
