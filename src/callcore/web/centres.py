"""The centres and their queues, for machines: what there is, and how long the lines are now."""

from __future__ import annotations

from collections import Counter

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.board import waiting_callers
from callcore.domain.centre import Centre
from callcore.domain.emergency import decide
from callcore.domain.estimate import wait_s
from callcore.domain.floor import Floor
from callcore.domain.ids import Instant
from callcore.domain.turn import LAST_PRIORITY
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web.gate import person_of

PATH = "/api/v1/centres"


class QueueOut(BaseModel):
    id: str = Field(examples=["oita-general"])
    name: str
    waiting: int = Field(description="callers without an agent, announcement and ringing included")
    on_duty: int = Field(description="agents of the queue who are signed in and not paused")
    estimate_s: float | None = Field(
        description="estimated wait of a caller who joined its end now; null: nobody is on duty"
    )


class CentreListedOut(BaseModel):
    id: str = Field(examples=["oita"])
    name: str
    name_en: str
    time_zone: str
    open: bool = Field(description="inside opening hours, and not shut by an emergency")
    queues: list[QueueOut] = Field(description="in the order of the centre file")


class CentresOut(BaseModel):
    seq: str = Field(description="the place in the journal that this is told at", examples=["3.1415"])
    at: m.Moment
    centres: list[CentreListedOut]


def add_centres(app: FastAPI, live: LiveSource) -> None:
    @app.get(
        PATH, tags=["centres"], summary="センターと待ち行列 / Centres and queues", response_model=CentresOut
    )
    @needs(Right.READ_LIVE)
    async def listed(request: Request) -> Response:
        """Those that one may see, in the order of their ids. What happens in them: `/api/v1/live`."""
        view, now, person = live.view(), live.now(), person_of(request)
        known = sorted(view.floor.centres.values(), key=lambda centre: centre.id)
        out = CentresOut(
            seq=str(view.seq),
            at=m.moment(now),
            centres=[
                _centre(view.floor, each, now) for each in known if person.may(Right.READ_LIVE, each.id)
            ],
        )
        return Response(out.model_dump_json(), media_type="application/json")


def _centre(floor: Floor, of: Centre, now: Instant) -> CentreListedOut:
    waiting = Counter(one.queue for one in waiting_callers(floor, of.id))
    return CentreListedOut(
        id=of.id,
        name=of.name,
        name_en=of.name_en,
        time_zone=of.time_zone,
        open=decide(of.calendar, floor.emergencies.get(of.id), now).open,
        queues=[
            QueueOut(
                id=queue.id,
                name=queue.name,
                waiting=waiting[queue.id],
                on_duty=len(floor.on_duty.get(queue.id, ())),
                estimate_s=wait_s(floor, queue.id, (LAST_PRIORITY, now, "")),
            )
            for queue in of.queues
        ],
    )
