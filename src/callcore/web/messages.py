"""Routes about messages that callers left: the list, and what an agent does about one.

The list is read from the present view, so it is there while the engine is not. Who sees which message is the engine's
rule (`runtime/messagedesk.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.ids import AgentId, CallId, CentreId
from callcore.domain.message import NOTE_MOST, RESULT_MOST, SUBJECT_MOST
from callcore.domain.messages import of_last_day
from callcore.runtime.detail import CallReader
from callcore.runtime.messagedesk import visible
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.acts import PROBLEMS, Acts, CallPath, CentrePath, Done
from callcore.web.gate import person_of


class TakeIn(BaseModel):
    agent: str = Field(
        max_length=20, pattern=r"^[0-9A-Za-z-]+$", examples=["1001"], description="who deals with it"
    )


class DoneIn(BaseModel):
    result: str = Field(min_length=1, max_length=RESULT_MOST, examples=["折り返し済み"])
    done: bool = Field(True, description="false: it could not be dealt with; the result says why")


class TaskIn(BaseModel):
    subject: str = Field(min_length=1, max_length=SUBJECT_MOST, examples=["カードの再発行について"])
    department: str | None = Field(
        None,
        pattern=r"^[0-9]{2,4}$",
        description="who calls back, or is to be asked: its short number",
        examples=["11"],
    )
    agent: str | None = Field(
        None, max_length=20, pattern=r"^[0-9A-Za-z-]+$", description="who deals with it; null: nobody yet"
    )
    due: datetime | None = Field(None, description="until when; null: as with a message")
    note: str | None = Field(None, max_length=NOTE_MOST, description="what else is to be known")


class OpenTaskIn(TaskIn):
    number: str | None = Field(
        None,
        pattern=r"^\+?[0-9][0-9 -]{1,24}$",
        examples=["097-534-6111"],
        description="whom it concerns: who deals with it can have that number dialled",
    )


class ListOut(BaseModel):
    messages: list[m.MessageOut]


def add_messages(app: FastAPI, live: LiveSource, acts: Acts, calls: CallReader | None) -> None:
    """`calls`: the archive, for tasks about calls that are long over."""

    async def act(request: Request, call: str, command: str, whose: str | None, **fields: object) -> Response:
        """`whose` it becomes; None: as it is."""
        person = person_of(request)
        message = live.view().floor.messages.get(CallId(call))
        centre = CentreId("") if message is None else message.centre
        of = AgentId(whose) if whose is not None else None if message is None else message.agent
        if not person.may(Right.ACT_AGENTS, centre, of):
            return acts.gate.denied(request, person, on=call)
        if message is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await acts.ordered(request, command, on=call, of=centre, call=call, **fields)

    @app.get(
        "/api/v1/centres/{centre}/messages",
        tags=["messages"],
        summary="伝言の一覧 / The messages that callers left",
        response_model=ListOut,
        responses={404: PROBLEMS[404], 422: PROBLEMS[422]},
    )
    @needs(Right.READ_AGENTS)
    async def messages(request: Request, centre: CentrePath) -> Response:
        """Those that wait first, by their deadline. An operator sees those that wait, and the own ones."""
        person, floor, name = person_of(request), live.view().floor, CentreId(centre)
        if name not in floor.centres or not (
            person.may(Right.READ_AGENTS, name) or (person.agent is not None and person.sees(name))
        ):
            return problems.respond(problems.NOT_FOUND, request.url.path)
        personal, now = person.may(Right.READ_PERSONAL, name), live.now()
        out = ListOut(
            messages=[
                show.message_out(one, now, personal or (one.agent is not None and one.agent == person.agent))
                for one in visible(floor, person, name)
            ]
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @app.post(
        "/api/v1/calls/{call}/task",
        tags=["messages"],
        summary="エスカレーションを残す / Keep an escalation about a call",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def keep(request: Request, call: CallPath, body: TaskIn) -> Response:
        """About an answered call of the last day, which counts as an escalation then; or about any call of the archive.
        On the list of messages from then on; the audit trail gets neither subject nor note."""
        person, floor, name = person_of(request), live.view().floor, CallId(call)
        known, caller = floor.calls.get(name), of_last_day(floor, name, live.now())
        whose = body.agent or (None if known is None else known.talking_with)
        of = None if whose is None else AgentId(whose)
        if caller is not None:
            centre, more = caller.centre, dict[str, str | None]()
        elif calls is None or not person.may(Right.ACT_AGENTS, None, of):
            centre, more = CentreId(""), {}
        else:
            try:
                stored = await calls.call(name)
            except OSError:
                return problems.respond(problems.NO_STORE, request.url.path)
            centre = CentreId("") if stored is None else stored.record.centre
            number = None if stored is None or stored.caller is None else stored.caller.text
            more = {"centre": centre, "number": number}
        if not person.may(Right.ACT_AGENTS, centre, of):
            return acts.gate.denied(request, person, on=call)
        if not centre:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await keep_of(request, body, on=call, of=centre, call=call, **more)

    @app.post(
        "/api/v1/centres/{centre}/tasks",
        tags=["messages"],
        summary="入電のない仕事を残す / Keep a task that no call belongs to",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def open_task(request: Request, centre: CentrePath, body: OpenTaskIn) -> Response:
        """On the list of messages from then on. The audit trail gets neither subject, note nor number."""
        person, name = person_of(request), CentreId(centre)
        if not person.may(Right.ACT_AGENTS, name, None if body.agent is None else AgentId(body.agent)):
            return acts.gate.denied(request, person, on=centre)
        if name not in live.view().floor.centres:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await keep_of(
            request, body, on=centre, of=name, made="task", centre=centre, number=body.number
        )

    async def keep_of(request: Request, body: TaskIn, **fields: Any) -> Response:
        return await acts.ordered(
            request,
            "task_keep",
            subject=body.subject,
            department=body.department,
            agent=body.agent,
            due=None if body.due is None else body.due.timestamp(),
            note=body.note,
            **fields,
        )

    @app.post(
        "/api/v1/messages/{call}/take",
        tags=["messages"],
        summary="伝言を受け持つ / Take a message",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def take(request: Request, call: CallPath, body: TakeIn) -> Response:
        """The agent deals with it from now on; also with one that was dealt with."""
        return await act(request, call, "message_take", body.agent, agent=body.agent)

    @app.post(
        "/api/v1/messages/{call}/done",
        tags=["messages"],
        summary="伝言の対応を終える / Say what became of a message",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def done(request: Request, call: CallPath, body: DoneIn) -> Response:
        """Its result, which the audit trail does not get."""
        return await act(request, call, "message_done", None, done=body.done, result=body.result)

    @app.post(
        "/api/v1/messages/{call}/dial",
        tags=["messages"],
        summary="伝言の相手に発信させる / Call back about a message",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def dial(request: Request, call: CallPath) -> Response:
        """The phone of whoever has taken it rings, and then calls the citizen by the centre's list of destinations."""
        return await act(request, call, "message_dial", None)
