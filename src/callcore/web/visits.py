"""Stays of calls in queues: looked for by centre, queue, time, call and outcome."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.ids import CallId, Instant, QueueId, VisitId
from callcore.domain.stages import Outcome
from callcore.runtime.detail import CallReader, VisitCursor, VisitSearch
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.calls import PAGE_MOST
from callcore.web.gate import person_of
from callcore.web.recordings import centres_among

PATH: Final = "/api/v1/visits"


class VisitSearchIn(BaseModel):
    """All that is given must hold. Times with their offset."""

    model_config = ConfigDict(extra="forbid")

    centre: str | None = Field(None, max_length=40, pattern=r"^[0-9a-z_-]+$")
    queue: str | None = Field(None, max_length=60, pattern=r"^[0-9a-z_-]+$", examples=["oita-general"])
    first: AwareDatetime | None = Field(None, description="entered then or later")
    before: AwareDatetime | None = Field(None, description="entered before then")
    call: str | None = Field(None, max_length=150, pattern=r"^[A-Za-z0-9._:-]+$")
    outcome: Literal["answered", "requeued"] | Outcome | None = Field(
        None, description="answered; requeued: on to another queue; else the call's, which ended in the queue"
    )
    after: str | None = Field(
        None, max_length=200, pattern=r"^[0-9]{1,17}~[A-Za-z0-9._:/-]+$", description="as a page gave it"
    )
    limit: int = Field(50, ge=1, le=PAGE_MOST)


class VisitLineOut(m.VisitOut):
    call: str = Field(examples=["node1-1795136400.9"])
    centre: str = Field(description="the call's")


class VisitsOut(BaseModel):
    """The newest first."""

    visits: list[VisitLineOut]
    after: str | None = Field(description="give this as `after` for the older ones; null: there are none")


def add_visits(app: FastAPI, reader: CallReader) -> None:
    responses: dict[int | str, dict[str, Any]] = {
        422: problems.documented("a search that does not fit"),
        503: problems.documented("the database cannot be read; calls go on"),
    }

    @app.get(
        PATH,
        tags=["calls"],
        summary="待ち行列での待ちを探す / Find stays in queues",
        response_model=VisitsOut,
        responses=responses,
    )
    @needs(Right.READ_CALLS)
    async def find(request: Request, asked: Annotated[VisitSearchIn, Query()]) -> Response:
        """Stored stays in queues of the calls of the centres that one may see; those that last, too."""
        person = person_of(request)
        outcome = asked.outcome
        wanted = VisitSearch(
            centres=centres_among(person, asked.centre, Right.READ_CALLS),
            queue=None if asked.queue is None else QueueId(asked.queue),
            first=m.instant_or_none(asked.first),
            before=m.instant_or_none(asked.before),
            call=None if asked.call is None else CallId(asked.call),
            outcome=outcome.value if isinstance(outcome, Outcome) else outcome,
        )
        try:
            page = await reader.visits(wanted, _cursor(asked.after), asked.limit)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        out = VisitsOut(
            visits=[
                VisitLineOut(call=each.call, centre=each.centre, **dict(show.visit_out(each.visit)))
                for each in page.visits
            ],
            after=None if page.after is None else f"{page.after[0]}~{page.after[1]}",
        )
        return Response(out.model_dump_json(), media_type="application/json")


def _cursor(text: str | None) -> VisitCursor | None:
    if text is None:
        return None
    at, _, visit = text.partition("~")
    return Instant(min(int(at), m.LATEST)), VisitId(visit)
