"""Routes of a supervisor: being at an agent's talk, moving waiting callers, skills, help, thresholds.

Whoever is at a talk is there by the own desk phone: that of the agent's number which the user bears.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.ids import AgentId, CallId, CentreId
from callcore.domain.supervising import WAIT_MOST_S, WAITING_MOST
from callcore.runtime.ports import LiveSource
from callcore.runtime.supervisordesk import SKILLS_MOST, centre_of_talk
from callcore.web import problems
from callcore.web.acts import PROBLEMS, Acts, AgentPath, CallPath, CentrePath, Done
from callcore.web.gate import person_of

_Route = TypeVar("_Route", bound=Callable[..., Any])


class WatchIn(BaseModel):
    how: Literal["listen", "whisper", "barge", "take"] = Field(
        description="hear both; be heard by the agent alone; by the citizen, too; take the agent's place",
        examples=["listen"],
    )


class QueueIn(BaseModel):
    queue: str = Field(min_length=1, max_length=80, examples=["oita-english"])


class SkillsIn(BaseModel):
    skills: dict[Annotated[str, Field(min_length=1, max_length=40)], Annotated[int, Field(ge=1, le=9)]] = (
        Field(
            max_length=SKILLS_MOST,
            description="level by name, 1 (best) to 9; instead of those of the files, until the agent signs out",
            examples=[{"en": 2}],
        )
    )


class ThresholdsIn(BaseModel):
    """From where on board and lamps warn; null: as the centre file says."""

    waiting: int | None = Field(None, ge=1, le=WAITING_MOST, description="waiting callers", examples=[5])
    wait_s: int | None = Field(None, ge=1, le=WAIT_MOST_S, description="seconds of a wait", examples=[60])


def add_supervision(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    def act(method: str, path: str, tag: str, summary: str) -> Callable[[_Route], _Route]:
        """The decorator of a route that does something."""
        return app.api_route(
            f"/api/v1/{path}",
            methods=[method],
            tags=[tag],
            summary=summary,
            response_model=Done,
            responses=PROBLEMS,
        )

    async def on(
        request: Request, right: Right, of: CentreId | None, command: str, thing: str, **fields: Any
    ) -> Response:
        """`of`: the centre of the thing; None: there is none."""
        if not person_of(request).may(right, of or CentreId("")):
            return acts.gate.denied(request, person_of(request), on=thing)
        if of is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await acts.ordered(request, command, on=thing, of=of, **fields)

    def of_call(call: str) -> CentreId | None:
        found = live.view().floor.calls.get(CallId(call))
        return None if found is None else found.centre

    def of_agent(agent: str) -> CentreId | None:
        found = live.view().floor.agents.get(AgentId(agent))
        return None if found is None else found.centre

    @act("POST", "agents/{agent}/watch", "agents", "通話を聴く・割り込む・引き継ぐ / Be at an agent's talk")
    @needs(Right.WATCH)
    async def watch(request: Request, agent: AgentPath, body: WatchIn) -> Response:
        """Your own desk phone rings; who picks it up is there. Asked again while there, it goes on otherwise. Neither a
        call nor a talk in any figure, but for taking over: that is a talk of yours, and the agent wraps up."""
        centre = centre_of_talk(live.view().floor, AgentId(agent))
        return await on(request, Right.WATCH, centre, "watch", agent, why=body.how, agent=agent, how=body.how)

    @act("DELETE", "me/watch", "agents", "通話を聴くのを終える / Be at nobody's talk any more")
    @needs(Right.WATCH)
    async def stop(request: Request) -> Response:
        """As putting down does."""
        agent = person_of(request).agent
        of = None if agent is None else of_agent(agent)
        return await acts.ordered(request, "watch_stop", on=agent or "", of=of)

    @act("POST", "calls/{call}/up", "calls", "待っている入電者を先頭に / Let a waiting caller go first")
    @needs(Right.SUPERVISE)
    async def up(request: Request, call: CallPath) -> Response:
        """Before all others of the queue. The wait goes on as it was."""
        return await on(request, Right.SUPERVISE, of_call(call), "caller_up", call, call=call)

    @act("POST", "calls/{call}/queue", "calls", "待っている入電者をほかの待ち行列へ / To another queue")
    @needs(Right.SUPERVISE)
    async def queue(request: Request, call: CallPath, body: QueueIn) -> Response:
        """Of the same centre. One arrival, another visit; the time waited counts there too."""
        return await on(
            request,
            Right.SUPERVISE,
            of_call(call),
            "caller_queue",
            call,
            why=body.queue,
            call=call,
            queue=body.queue,
        )

    @act("PUT", "agents/{agent}/skills", "agents", "技能を変える / Set an agent's skills")
    @needs(Right.SUPERVISE)
    async def skills(request: Request, agent: AgentPath, body: SkillsIn) -> Response:
        """Until the agent signs out. What is not named is not had."""
        words = ", ".join(f"{name} {level}" for name, level in sorted(body.skills.items()))
        return await on(
            request,
            Right.SUPERVISE,
            of_agent(agent),
            "agent_skills",
            agent,
            why=words[:200],
            agent=agent,
            skills=body.skills,
        )

    @act("DELETE", "agents/{agent}/skills", "agents", "技能を設定どおりに戻す / Skills as in the files")
    @needs(Right.SUPERVISE)
    async def filed(request: Request, agent: AgentPath) -> Response:
        """Those of the centre file hold again."""
        return await on(request, Right.SUPERVISE, of_agent(agent), "agent_skills", agent, agent=agent)

    @act("POST", "agents/{agent}/help", "agents", "手上げに対応する / See to an agent who asks for help")
    @needs(Right.SUPERVISE)
    async def help_answer(request: Request, agent: AgentPath) -> Response:
        """The board names you, and the lamp of the agent's key flashes: somebody is coming."""
        centre = centre_of_talk(live.view().floor, AgentId(agent))
        return await on(request, Right.SUPERVISE, centre, "help_answer", agent, agent=agent)

    @act("PUT", "centres/{centre}/thresholds", "centres", "警告のしきい値を変える / Set the thresholds")
    @needs(Right.SUPERVISE)
    async def thresholds(request: Request, centre: CentrePath, body: ThresholdsIn) -> Response:
        """From where on the board and the lamps of queues warn. No figure changes."""
        known = CentreId(centre) if CentreId(centre) in live.view().floor.centres else None
        return await on(
            request,
            Right.SUPERVISE,
            known,
            "thresholds",
            centre,
            why=f"waiting {body.waiting}, wait_s {body.wait_s}",
            centre=centre,
            waiting=body.waiting,
            wait_s=body.wait_s,
        )
