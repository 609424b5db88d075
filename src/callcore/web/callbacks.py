"""Routes about call-backs that callers asked for: the list, and taking one off it."""

from __future__ import annotations

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.ids import CallId, CentreId
from callcore.runtime.callbackdesk import in_line
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.acts import PROBLEMS, Acts, CallPath, CentrePath, Done, WhyIn
from callcore.web.gate import person_of


class CallbackListOut(BaseModel):
    callbacks: list[m.CallbackOut]


def add_callbacks(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    @app.get(
        "/api/v1/centres/{centre}/callbacks",
        tags=["callbacks"],
        summary="折り返し待ちの一覧 / Who is to be called back",
        response_model=CallbackListOut,
        responses={404: PROBLEMS[404], 422: PROBLEMS[422]},
    )
    @needs(Right.READ_LIVE)
    async def callbacks(request: Request, centre: CentrePath) -> Response:
        """As they stand in the line, each at the place of the call that asked for it."""
        person, floor, name = person_of(request), live.view().floor, CentreId(centre)
        if name not in floor.centres or not person.may(Right.READ_LIVE, name):
            return problems.respond(problems.NOT_FOUND, request.url.path)
        personal = person.may(Right.READ_PERSONAL, name)
        out = CallbackListOut(callbacks=[show.callback_out(back, personal) for back in in_line(floor, name)])
        return Response(out.model_dump_json(), media_type="application/json")

    @app.post(
        "/api/v1/callbacks/{call}/drop",
        tags=["callbacks"],
        summary="折り返しを取り消す / Take a call-back off the list",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def drop(request: Request, call: CallPath, body: WhyIn | None = None) -> Response:
        """Nobody is called back any more; a talk that goes on is left alone."""
        person = person_of(request)
        back = live.view().floor.callbacks.get(CallId(call))
        centre = CentreId("") if back is None else back.centre
        if not person.may(Right.ACT_AGENTS, centre):
            return acts.gate.denied(request, person, on=call)
        if back is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        why = None if body is None else body.why
        return await acts.ordered(request, "callback_drop", on=call, of=centre, why=why, call=call)
