"""What people and machines may have done: asked of the engine in the person's name, and written into the audit trail.

Before anything is done the trail must be writable; after it the line is on the disk before the answer goes out. The
engine judges the right once more, and the fact in the journal names the person.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.access.trail import Result, TrailUnwritable
from callcore.domain.ids import AgentId, CentreId
from callcore.runtime.commands import CommandDenied, CommandFailed, EngineAway
from callcore.runtime.ports import LiveSource, Orders
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.gate import Gate, address_of, person_of

AgentPath = Annotated[str, Path(max_length=20, pattern=r"^[0-9A-Za-z-]+$", examples=["1001"])]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: problems.documented("no such agent, or none of yours"),
    409: problems.documented("not possible in the agent's present state; nothing was changed"),
    422: problems.documented("not an agent's number, or a body that does not fit"),
    503: problems.documented("the engine does not answer, or the audit trail cannot be written"),
}


class PauseIn(BaseModel):
    reason: str = Field(min_length=1, max_length=20, examples=["研修"], description="shown on the board")


class WhyIn(BaseModel):
    why: str | None = Field(None, max_length=200, description="for the audit trail", examples=["早退"])


class Done(BaseModel):
    """It was decided and written into the journal."""

    done: bool = True


class Acts:
    """Orders to the engine, with their right and their line in the trail."""

    def __init__(self, gate: Gate, orders: Orders) -> None:
        self._gate = gate
        self._orders = orders

    async def order(
        self,
        request: Request,
        command: str,
        *,
        on: str,
        centre: CentreId | None,
        why: str | None = None,
        **fields: Any,
    ) -> Response:
        """Have it done. The answer is that of the route."""
        person, path = person_of(request), request.url.path
        trail = self._gate.trail

        def told(result: Result, reason: str | None) -> None:
            trail.add(
                person,
                command,
                on=on,
                centre=centre,
                origin=address_of(request),
                result=result,
                why=reason,
            )

        try:
            trail.check()
            try:
                answer = await self._orders.ask(command, by=person.id, **fields)
            except CommandDenied:
                told(Result.REFUSED, why)
                return problems.respond(problems.FORBIDDEN, path)
            except EngineAway as error:
                told(Result.FAILED, str(error))
                return problems.respond(problems.ENGINE_AWAY, path)
            except CommandFailed as error:
                told(Result.FAILED, str(error))
                return problems.respond(problems.CONFLICT, path, detail=str(error))
            if not answer["done"]:
                told(Result.FAILED, answer["why"])
                return problems.respond(problems.CONFLICT, path, detail=answer["why"])
            told(Result.DONE, why)
        except TrailUnwritable:
            return problems.respond(problems.TRAIL_UNWRITABLE, path)
        return Response(Done().model_dump_json(), media_type="application/json")


def add_agents(app: FastAPI, live: LiveSource, gate: Gate, orders: Orders) -> None:
    """Routes about single agents."""
    acts = Acts(gate, orders)

    def known(agent: str) -> CentreId | None:
        found = live.view().floor.agents.get(AgentId(agent))
        return None if found is None else found.centre

    async def on_agent(
        request: Request, agent: str, command: str, why: str | None = None, **fields: Any
    ) -> Response:
        centre = known(agent)
        if not person_of(request).may(Right.ACT_AGENTS, centre or CentreId(""), AgentId(agent)):
            return gate.denied(request, person_of(request), on=agent)
        if centre is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await acts.order(request, command, on=agent, centre=centre, why=why, agent=agent, **fields)

    @app.get(
        "/api/v1/agents/{agent}",
        tags=["agents"],
        summary="オペレーターの今 / One agent as things are",
        response_model=m.AgentOut,
        responses={404: PROBLEMS[404], 422: PROBLEMS[422]},
    )
    @needs(Right.READ_AGENTS)
    async def one_agent(request: Request, agent: AgentPath) -> Response:
        """State, phone and present caller of one agent."""
        person, centre = person_of(request), known(agent)
        if centre is None or not person.may(Right.READ_AGENTS, centre, AgentId(agent)):
            return problems.respond(problems.NOT_FOUND, request.url.path)
        view = live.view()
        out = show.agent_out(view.floor, view.floor.centres[centre], AgentId(agent))
        return Response(out.model_dump_json(), media_type="application/json")

    @app.post(
        "/api/v1/agents/{agent}/pause",
        tags=["agents"],
        summary="離席にする / Pause an agent",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def pause(request: Request, agent: AgentPath, body: PauseIn) -> Response:
        """A ringing offer is taken back; a talk goes on."""
        return await on_agent(request, agent, "agent_pause", body.reason, reason=body.reason)

    @app.post(
        "/api/v1/agents/{agent}/ready",
        tags=["agents"],
        summary="受付再開 / End a pause and after-call work",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def ready(request: Request, agent: AgentPath, body: WhyIn | None = None) -> Response:
        """The agent is ready again."""
        return await on_agent(request, agent, "agent_ready", None if body is None else body.why)

    @app.post(
        "/api/v1/agents/{agent}/sign-out",
        tags=["agents"],
        summary="受付を終了させる / Sign an agent out",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def sign_out(request: Request, agent: AgentPath, body: WhyIn | None = None) -> Response:
        """Not while a call rings or is talked."""
        return await on_agent(request, agent, "agent_sign_out", None if body is None else body.why)
