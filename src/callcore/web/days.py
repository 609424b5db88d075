"""Routes about a day's figures: each with its formula, its window and `seq`, by half hour, and the calls behind it.

Rules
- Today's come from the live books, at the view's `seq`; an earlier day's from the database, at what is drained.
- A list of calls is that of `domain/behind.py`, so it adds up to the figure.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Person, Right, needs
from callcore.domain.behind import NAMES, Behind, Value, behind, value_of
from callcore.domain.board import Window, day_of, half_hours, today
from callcore.domain.centre import Centre
from callcore.domain.ids import CentreId, Instant
from callcore.domain.measures import Endings, Figures, Ratio, Record, endings, figures
from callcore.runtime.detail import CallReader
from callcore.runtime.ports import LiveSource, Seq
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.acts import CentrePath
from callcore.web.calls import CallLineOut, record_out
from callcore.web.formulas import FORMULAS
from callcore.web.gate import person_of

PATH: Final = "/api/v1/centres/{centre}/figures/day"
FigureName = Enum("FigureName", {name: name for name in NAMES})  # type: ignore[misc]
YEARS_BACK: Final = 10

Day = Annotated[date | None, Query(description="by the centre's clock; null: today", examples=["2026-11-20"])]


class FormulaOut(BaseModel):
    """A figure: its words, how it is made, and what it is."""

    figure: str = Field(examples=["answer_ratio"])
    name: m.Words
    formula: m.Words
    value: float | None = Field(
        description="a count, seconds, or a ratio of 0 to 1; null: nothing to divide by"
    )
    ratio: m.RatioOut | None = Field(description="the two parts; null: it is no ratio")


class HalfHourOut(BaseModel):
    """Of the calls that arrived in [first, before)."""

    first: m.Moment
    before: m.Moment
    figures: m.FiguresOut


class DayOut(BaseModel):
    seq: str = Field(
        description="run.number of the journal's frame up to which it is told", examples=["3.1207"]
    )
    at: m.Moment = Field(description="open calls are judged at this instant")
    window: m.WindowOut
    figures: list[FormulaOut]
    half_hours: list[HalfHourOut] = Field(description="those in which somebody called")


class BehindOut(BaseModel):
    """The calls behind one figure. `part`: those of the numerator; of what is no ratio, all of them."""

    seq: str
    at: m.Moment
    window: m.WindowOut
    figure: FormulaOut
    part: list[CallLineOut]
    rest: list[CallLineOut] = Field(description="in the denominator alone")


@dataclass(frozen=True, slots=True)
class Told:
    """One centre's day as it is known at `seq`."""

    centre: Centre
    window: Window
    seq: Seq
    at: Instant
    records: list[Record]
    figures: Figures
    endings: Endings


class Days:
    """What page and API share."""

    def __init__(self, live: LiveSource, reader: CallReader) -> None:
        self.live = live
        self.reader = reader

    def centre(self, person: Person, centre: str) -> Centre | None:
        """None: there is none, or it is none of this person's."""
        known = self.live.view().floor.centres.get(CentreId(centre))
        return known if known is not None and person.may(Right.READ_CALLS, known.id) else None

    async def day(self, centre: Centre, of: date | None) -> Told:
        """Raises OSError: an earlier day cannot be asked for now."""
        view, at = self.live.view(), self.live.now()
        at = Instant(at - at % 1000)
        window = now = today(centre, at)
        if of is not None and of.isoformat() != now.date:
            window = day_of(centre, within(of, date.fromisoformat(now.date)))
        if window == now:
            seq, records = view.seq, view.books.of(centre.id, window.first, window.before)
        else:
            seq, records = await self.reader.day(centre.id, window.first, window.before)
        told = figures(records, at=at, service_level_s=centre.service_level_s)
        return Told(centre, window, seq, at, records, told, endings(records, told))

    async def numbers(self, person: Person, told: Told, of: list[Record]) -> dict[str, str | None]:
        """Masked, of those calls whose number is known and may be seen. Raises OSError."""
        if not person.may(Right.READ_PERSONAL, told.centre.id):
            return {}
        floor = self.live.view().floor
        open_now = {r.call: floor.calls[r.call].caller for r in of if r.call in floor.calls}
        kept = await self.reader.callers([r.call for r in of if r.call not in open_now])
        return {call: caller.masked() for call, caller in {**kept, **open_now}.items()}


def within(of: date, now: date) -> date:
    """Beyond some years nothing was kept, and of tomorrow nothing is known."""
    return max(min(of, now + timedelta(days=1)), now - timedelta(days=366 * YEARS_BACK))


def add_days(app: FastAPI, days: Days) -> None:
    answers: dict[int | str, dict[str, Any]] = {
        404: problems.documented("no such centre, or none of yours"),
        422: problems.documented("not a day, or no such figure"),
        503: problems.documented("the database cannot be asked for an earlier day; calls go on"),
    }

    async def told(request: Request, centre: str, day: date | None) -> Told:
        known = days.centre(person_of(request), centre)
        if known is None:
            raise HTTPException(404)
        return await days.day(known, day)

    @app.get(
        PATH,
        tags=["figures"],
        summary="一日の数値 / A day's figures",
        response_model=DayOut,
        responses=answers,
    )
    @needs(Right.READ_CALLS)
    async def day_of_centre(request: Request, centre: CentrePath, day: Day = None) -> Response:
        """Every figure with its formula, and the counts by half hour."""
        try:
            of = await told(request, centre, day)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        out = DayOut(
            seq=str(of.seq),
            at=m.moment(of.at),
            window=show.window_out(of.window, of.centre),
            figures=[formula_out(name, of) for name in NAMES],
            half_hours=[
                HalfHourOut(first=m.moment(a), before=m.moment(b), figures=show.figures_out(each))
                for a, b, each in halves(of)
            ],
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @app.get(
        PATH + "/{figure}",
        tags=["figures"],
        summary="数値の入電 / The calls behind a figure",
        response_model=BehindOut,
        responses=answers,
    )
    @needs(Right.READ_CALLS)
    async def one_figure(
        request: Request, centre: CentrePath, figure: FigureName, day: Day = None
    ) -> Response:
        """Formula, window, `seq`, and every call that counts."""
        try:
            of = await told(request, centre, day)
            part, rest = parts(of, figure.value)
            numbers = await days.numbers(person_of(request), of, part + rest)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        out = BehindOut(
            seq=str(of.seq),
            at=m.moment(of.at),
            window=show.window_out(of.window, of.centre),
            figure=formula_out(figure.value, of),
            part=[record_out(r, of.at, numbers.get(r.call)) for r in part],
            rest=[record_out(r, of.at, numbers.get(r.call)) for r in rest],
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @app.get(
        PATH + "/{figure}/csv",
        tags=["figures"],
        summary="同じものを CSV で / The same as CSV",
        response_class=Response,
        responses={**answers, 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    @needs(Right.READ_CALLS)
    async def as_csv(request: Request, centre: CentrePath, figure: FigureName, day: Day = None) -> Response:
        """One line for each call; times by the centre's clock."""
        try:
            of = await told(request, centre, day)
            part, rest = parts(of, figure.value)
            numbers = await days.numbers(person_of(request), of, part + rest)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        name = f"{of.centre.id}-{of.window.date}-{figure.value}.csv"
        return Response(
            csv_of(of, figure.value, part, rest, numbers),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )


def parts(of: Told, figure: str) -> tuple[list[Record], list[Record]]:
    """The calls behind it, the newest first: in the numerator, and in the denominator alone."""
    found: list[Behind] = behind(of.records, figure, at=of.at, service_level_s=of.centre.service_level_s)
    found.sort(key=lambda each: (each.record.arrived_at, each.record.call), reverse=True)
    return [b.record for b in found if b.part], [b.record for b in found if not b.part]


def halves(of: Told) -> list[tuple[Instant, Instant, Figures]]:
    """The half hours in which somebody called."""
    found = []
    for first, before in half_hours(of.window):
        records = [r for r in of.records if first <= r.arrived_at < before]
        if records:
            told = figures(records, at=of.at, service_level_s=of.centre.service_level_s)
            found.append((first, before, told))
    return found


def formula_out(name: str, of: Told) -> FormulaOut:
    value: Value = value_of(name, of.figures, of.endings)
    formula = FORMULAS[name]
    return FormulaOut(
        figure=name,
        name=m.Words(ja=formula.ja, en=formula.en),
        formula=m.Words(ja=formula.formula_ja, en=formula.formula_en),
        value=value.value if isinstance(value, Ratio) else value,
        ratio=show.ratio_out(value) if isinstance(value, Ratio) else None,
    )


_COLUMNS: Final = (
    *("figure", "part", "seq", "call", "arrived_at", "answered_at", "ended_at", "queue", "dialled", "number"),
    *("outcome", "hung_up_by", "agent", "waited_s", "talk_s", "hold_s", "result"),
)


def csv_of(
    of: Told, figure: str, part: list[Record], rest: list[Record], numbers: dict[str, str | None]
) -> bytes:
    """UTF-8 with a mark, as spreadsheets want it. `part`: 1 in the numerator, 0 in the denominator alone."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for inside, records in ((1, part), (0, rest)):
        for record in records:
            out = record_out(record, of.at, numbers.get(record.call)).model_dump(mode="json")
            table.writerow([figure, inside, str(of.seq), *(_cell(out[name]) for name in _COLUMNS[3:])])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _cell(value: Any) -> Any:
    """What a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return "" if value is None else value
