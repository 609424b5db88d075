"""The directory of the city's departments (所管課), for machines: searched, with what is open and busy now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain import directory
from callcore.domain.centre import Department
from callcore.domain.directory import Listing
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems
from callcore.web.acts import PROBLEMS, Acts, CentrePath
from callcore.web.gate import person_of

PATH = "/api/v1/centres/{centre}/departments"
ASKED_LONGEST = 100
YEARS = 1
"""How many calendar years ahead or back may be asked about."""

Asked = Annotated[
    str | None,
    Query(
        max_length=ASKED_LONGEST,
        description="words that all stand in name, kana, office, numbers or what it is for",
        examples=["しみん 住所"],
    ),
]
Language = Annotated[str | None, Query(pattern=r"^[a-z]{2,3}$", examples=["en"])]
At = Annotated[
    AwareDatetime | None,
    Query(
        description="with its offset, of last year to next: open or closed then; without: now",
        examples=["2026-11-30T12:30:00+09:00"],
    ),
]


class SubstituteOut(BaseModel):
    id: str
    name: str
    code: str


class DepartmentBusyOut(BaseModel):
    """A call of the centre that is with it."""

    call: str
    phone: str | None = Field(description="the desk phone that called; null: none is in it any more")
    agent: str | None
    since: m.Moment
    connected: bool = Field(description="false: it rings there")
    caller: bool = Field(
        description="a citizen who was put through or is sent there, and with whom no agent is; `call` is the arrival"
    )


class DepartmentOut(BaseModel):
    id: str = Field(examples=["oita-shimin"])
    code: str = Field(description="what a desk phone dials, and the name of its lamp", examples=["*521"])
    name: str
    name_kana: str | None
    name_roman: str | None
    office: str = Field(examples=["本庁"])
    number: str
    languages: list[str]
    about: str = Field(description="what it is for")
    open: bool
    why: str
    why_en: str
    changes_at: m.Moment | None = Field(description="when it opens or closes next, if within a year")
    substitute: str | None = Field(description="who stands in for it while it is closed")
    instead: SubstituteOut | None = Field(
        description="who is called when it is dialled, being closed; null: it is open, or nobody is"
    )
    busy: DepartmentBusyOut | None = Field(description="who is with it now, as its lamp shows; null: nobody")


class DepartmentsOut(BaseModel):
    at: m.Moment
    departments: list[DepartmentOut] = Field(description="in the order of the centre file")


def add_departments(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    @app.get(
        PATH,
        tags=["centres"],
        summary="部署の一覧 / The directory of departments",
        response_model=DepartmentsOut,
        responses=PROBLEMS,
    )
    @needs(Right.READ_LIVE)
    async def look(
        request: Request, centre: CentrePath, q: Asked = None, language: Language = None, at: At = None
    ) -> Response:
        """Those that fit, with whether each is open, who stands in, and whether somebody talks with it."""
        if not person_of(request).may(Right.READ_LIVE, CentreId(centre)):
            return acts.gate.denied(request, person_of(request), on=centre)
        floor = live.view().floor
        known = floor.centres.get(CentreId(centre))
        if known is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        now = live.now()
        # Holidays are known of so many years, and a date has an end where arithmetic with it fails.
        if at is not None and abs(at.year - datetime.fromtimestamp(now / SECOND, UTC).year) > YEARS:
            return problems.respond(problems.INVALID, request.url.path)
        when = now if at is None else Instant(round(at.timestamp() * SECOND))
        found = [
            _out(each)
            for each in directory.listings(floor, known, when)
            if directory.fits(each.department, q, language)
        ]
        out = DepartmentsOut(at=m.moment(when), departments=found)
        return Response(out.model_dump_json(), media_type="application/json")


def _out(listing: Listing) -> DepartmentOut:
    of, verdict = listing.department, listing.verdict
    return DepartmentOut(
        id=of.id,
        code=directory.code(of),
        name=of.name,
        name_kana=of.kana,
        name_roman=of.roman,
        office=of.office,
        number=of.number,
        languages=list(of.languages),
        about=of.about,
        open=verdict.open,
        why=verdict.reason,
        why_en=verdict.reason_en,
        changes_at=None if verdict.changes_at is None else m.moment(verdict.changes_at),
        substitute=of.substitute,
        instead=None if listing.instead is None else _substitute(listing.instead),
        busy=_busy(listing),
    )


def _substitute(of: Department) -> SubstituteOut:
    return SubstituteOut(id=of.id, name=of.name, code=directory.code(of))


def _busy(listing: Listing) -> DepartmentBusyOut | None:
    call = listing.call
    if call is None:
        return None
    return DepartmentBusyOut(
        call=call.call,
        phone=call.phone,
        agent=call.agent,
        since=m.moment(call.since),
        connected=call.connected,
        caller=call.caller,
    )
