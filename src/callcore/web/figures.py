"""Today's figures of hold and transfer by half hour and by department, for machines."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.asks import AskEnd
from callcore.domain.board import half_hours, today
from callcore.domain.by_department import DepartmentFigures, by_department
from callcore.domain.centre import Centre
from callcore.domain.ids import CentreId, DepartmentId, Instant
from callcore.domain.measures import Record, endings, figures
from callcore.domain.stages import Outcome
from callcore.runtime.ports import LiveSource, View
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.acts import PROBLEMS, Acts, CentrePath
from callcore.web.gate import person_of

PATH = "/api/v1/centres/{centre}/figures/departments"


class DepartmentFiguresOut(BaseModel):
    """What one department was called for. asked + unasked = the sum of `ends` + open."""

    department: str | None = Field(
        description="null: not known of which, and callers who hung up on hold while none was asked",
        examples=["oita-shimin"],
    )
    name: str | None
    transferred_attended: int
    transferred_blind: int
    lost_on_hold: int = Field(description="callers who hung up while it was asked, or rung, for them")
    asked: int = Field(description="相談: called beside a talk")
    unasked: int = Field(description="rung for a caller whom the agent had sent there")
    ends: dict[AskEnd, int] = Field(
        description="put_through: caller and department were in one bridge; came_back: answered, and no transfer"
    )
    open: int
    answered: int
    answer_median_s: float | None = Field(description="from the call to the answer, of those answered")
    answer_p90_s: float | None
    answer_max_s: float | None


class HoldAndTransferOut(BaseModel):
    """Of the calls that arrived in [first, before), whenever something of it was."""

    first: m.Moment
    before: m.Moment
    answered: int
    transferred_attended: int
    transferred_blind: int
    transfer_ratio: m.RatioOut = Field(description="転送率: both ÷ answered")
    lost_on_hold: int
    held: int = Field(description="of the answered calls that ended, those that were on hold")
    hold_median_s: float | None = Field(description="how long these were on hold, each in sum")
    hold_p90_s: float | None
    hold_max_s: float | None
    departments: list[DepartmentFiguresOut] = Field(description="of which something is told")


class DepartmentsFiguresOut(BaseModel):
    seq: str = Field(description="run.number of the journal's frame", examples=["3.1207"])
    at: m.Moment
    window: m.WindowOut
    day: HoldAndTransferOut
    half_hours: list[HoldAndTransferOut] = Field(description="those in which somebody called")


def add_figures(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    @app.get(
        PATH,
        tags=["centres"],
        summary="本日の保留と取り次ぎ、部署ごと・30分ごと / Today's hold and transfer, by department and half hour",
        response_model=DepartmentsFiguresOut,
        responses=PROBLEMS,
    )
    @needs(Right.READ_LIVE)
    async def look(request: Request, centre: CentrePath) -> Response:
        """Of calls that arrived today, by the centre's clock; the same figures as in the day's report."""
        if not person_of(request).may(Right.READ_LIVE, CentreId(centre)):
            return acts.gate.denied(request, person_of(request), on=centre)
        view = live.view()
        known = view.floor.centres.get(CentreId(centre))
        if known is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        out = _told(view, known, live.now())
        return Response(out.model_dump_json(), media_type="application/json")


def _told(view: View, centre: Centre, at: Instant) -> DepartmentsFiguresOut:
    window = today(centre, at)
    records = view.books.of(centre.id, window.first, window.before)
    halves = [
        (first, before, [r for r in records if first <= r.arrived_at < before])
        for first, before in half_hours(window)
    ]
    return DepartmentsFiguresOut(
        seq=str(view.seq),
        at=m.moment(at),
        window=show.window_out(window, centre),
        day=_of(view, centre, at, window.first, window.before, records),
        half_hours=[_of(view, centre, at, *half) for half in halves if half[2]],
    )


def _of(
    view: View, centre: Centre, at: Instant, first: Instant, before: Instant, records: Sequence[Record]
) -> HoldAndTransferOut:
    told = figures(records, at=at, service_level_s=centre.service_level_s)
    ended = endings(records, told)
    names = {each.id: each.name for each in centre.departments}
    return HoldAndTransferOut(
        first=m.moment(first),
        before=m.moment(before),
        answered=told.answered,
        transferred_attended=ended.by_outcome[Outcome.TRANSFERRED_ATTENDED],
        transferred_blind=ended.by_outcome[Outcome.TRANSFERRED_BLIND],
        transfer_ratio=show.ratio_out(ended.transfer_ratio),
        lost_on_hold=ended.by_outcome[Outcome.LOST_ON_HOLD],
        held=told.held,
        hold_median_s=told.hold_median_s,
        hold_p90_s=told.hold_p90_s,
        hold_max_s=told.hold_max_s,
        departments=[
            _department(name, None if name is None else names.get(name), of)
            for name, of in by_department(records, view.books.asks).items()
        ],
    )


def _department(
    department: DepartmentId | None, name: str | None, of: DepartmentFigures
) -> DepartmentFiguresOut:
    return DepartmentFiguresOut(
        department=department,
        name=name,
        transferred_attended=of.transferred_attended,
        transferred_blind=of.transferred_blind,
        lost_on_hold=of.lost_on_hold,
        asked=of.asked,
        unasked=of.unasked,
        ends=dict(of.ends),
        open=of.open,
        answered=of.answered,
        answer_median_s=of.answer_median_s,
        answer_p90_s=of.answer_p90_s,
        answer_max_s=of.answer_max_s,
    )
