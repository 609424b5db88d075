"""The agents as they are now, for machines: the rows of the live board without the rest of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.gate import person_of

PATH = "/api/v1/agents"


class AgentsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    centre: str | None = Field(
        None, max_length=40, pattern=r"^[0-9a-z_-]+$", description="of this one alone", examples=["oita"]
    )


class AgentListedOut(m.AgentOut):
    centre: str = Field(
        description="on whose board the row stands; a guest has one there and one at home", examples=["oita"]
    )


class AgentsOut(BaseModel):
    seq: str = Field(description="the place in the journal that this is told at", examples=["3.1415"])
    at: m.Moment
    agents: list[AgentListedOut] = Field(
        description="in the order of the centres' ids, and of the agents' numbers"
    )


def add_agent_list(app: FastAPI, live: LiveSource) -> None:
    @app.get(
        PATH,
        tags=["agents"],
        summary="オペレーターの一覧 / The agents as they are now",
        response_model=AgentsOut,
        responses={422: problems.documented("not a centre's id")},
    )
    @needs(Right.READ_LIVE)
    async def listed(request: Request, asked: Annotated[AgentsIn, Query()]) -> Response:
        """Of each centre that one may see: its own agents and its guests, as `/api/v1/live` has them."""
        view, now, person = live.view(), live.now(), person_of(request)
        known = sorted(view.floor.centres.values(), key=lambda centre: centre.id)
        out = AgentsOut(
            seq=str(view.seq),
            at=m.moment(now),
            agents=[
                AgentListedOut(centre=centre.id, **dict(row))
                for centre in known
                if asked.centre in (None, centre.id) and person.may(Right.READ_LIVE, centre.id)
                for row in show.agents_now(
                    view, centre, now, personal=person.may(Right.READ_PERSONAL, centre.id)
                )
            ],
        )
        return Response(out.model_dump_json(), media_type="application/json")
