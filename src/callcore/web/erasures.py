"""Routes and page of the reports of what was erased, for who may read a centre's calls. Nothing is erased here."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.centre import Centre
from callcore.domain.ids import CentreId
from callcore.runtime.erasures import ErasureReader, ErasureRow
from callcore.runtime.ports import LiveSource
from callcore.web import problems
from callcore.web.acts import PROBLEMS
from callcore.web.callpages import zone_of
from callcore.web.gate import person_of
from callcore.web.paper import Paper, language_of
from callcore.web.texts import Language

PAGE = "/erasures"
PATH = "/api/v1/erasures"
ReportPath = Annotated[
    str, Path(max_length=40, pattern=r"^erase-[0-9a-f-]+$", examples=["erase-20261120020000-1a2b3c"])
]


LACKING: Final[dict[int | str, dict[str, Any]]] = {503: problems.documented("the reports cannot be read")}
SIGNED = ["id", "centre", "scope", "what", "reason", "by", "ordered_at", "done_at", "calls", "key", "sig"]
"""What each report has in any case."""


class ErasureOut(BaseModel):
    """One erasure. The report itself, signed, has everything."""

    report: str = Field(description="its id")
    centre: str
    scope: str = Field(
        description="call, number, period, centre, or retention: its months were over; "
        "damaged: nothing but its id can be read"
    )
    what: str
    reason: str
    by: str
    ordered_at: str
    done_at: str
    calls: int
    recordings: int
    tasks: int = Field(description="tasks with a name of their own (`task-…`)")
    left: int = Field(description="calls and tasks that were not erased, e.g. by a legal hold")
    complete: bool = Field(
        description="nothing of what was to be erased was found afterwards, and all but archives could be looked into"
    )
    signed: bool = Field(description="it is as it was signed by a key of this installation")


class ErasuresOut(BaseModel):
    erasures: list[ErasureOut]


class Erasures:
    def __init__(self, app: FastAPI, live: LiveSource, paper: Paper, reader: ErasureReader) -> None:
        self._live = live
        self._paper = paper
        self._reader = reader
        app.add_api_route(
            PATH,
            self.listed,
            methods=["GET"],
            tags=["recordings"],
            summary="消去の一覧 / What was erased",
            response_model=ErasuresOut,
            responses=LACKING,
        )
        app.add_api_route(
            PATH + "/{report}",
            self.report,
            methods=["GET"],
            tags=["recordings"],
            summary="作業完了報告書 (署名つき) / The report of an erasure, signed",
            responses={
                200: {
                    "description": "the signed report",
                    "content": {"application/json": {"schema": {"type": "object", "required": SIGNED}}},
                },
                404: PROBLEMS[404],
                422: PROBLEMS[422],
                **LACKING,
            },
            response_class=Response,
        )
        for path, shown in ((PAGE, self.page), (PAGE + "/{report}", self.sheet)):
            app.add_api_route(
                path, shown, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
            )

    async def _rows(self, request: Request) -> list[ErasureRow]:
        person = person_of(request)
        rows = await asyncio.to_thread(self._reader.listed)
        return [row for row in rows if person.may(Right.READ_CALLS, row.centre)]

    @needs(Right.READ_CALLS)
    async def listed(self, request: Request) -> Response:
        """The newest first."""
        try:
            rows = await self._rows(request)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        out = ErasuresOut(
            erasures=[
                ErasureOut(
                    report=row.id,
                    centre=row.centre,
                    scope=row.scope,
                    what=row.what,
                    reason=row.reason,
                    by=row.by,
                    ordered_at=row.ordered_at,
                    done_at=row.done_at,
                    calls=row.calls,
                    recordings=row.recordings,
                    tasks=row.tasks,
                    left=row.left,
                    complete=row.complete,
                    signed=row.signed,
                )
                for row in rows
            ]
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @needs(Right.READ_CALLS)
    async def report(self, request: Request, report: ReportPath) -> Response:
        """As it was signed, byte by byte: which calls and recordings, how, by whom, and what was found afterwards."""
        try:
            found = await asyncio.to_thread(self._reader.report, report)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        if found is None or not person_of(request).may(Right.READ_CALLS, found[0]):
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return Response(found[1], media_type="application/json")

    @needs(Right.READ_CALLS)
    async def page(self, request: Request) -> Response:
        try:
            rows = await self._rows(request)
        except OSError:
            return self._paper.problem(request, problems.NO_STORE)
        centres = self._live.view().floor.centres
        zone = zone_of(sorted(centres.values(), key=lambda c: c.id), "")
        language = language_of(request)
        shown = [_shown(row, centres, zone, language) for row in rows]
        return self._paper.show(request, "erasures.html", rows=shown, zone=zone.key)

    @needs(Right.READ_CALLS)
    async def sheet(self, request: Request, report: ReportPath) -> Response:
        """To be printed: the page as it was kept, under a policy that lets in its own style and nothing else."""
        try:
            found = await asyncio.to_thread(self._reader.report, report)
        except OSError:
            return self._paper.problem(request, problems.NO_STORE)
        if found is None or not person_of(request).may(Right.READ_CALLS, found[0]):
            return self._paper.problem(request, problems.NOT_FOUND)
        style = b64encode(hashlib.sha256(self._reader.style().encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'"
        return Response(found[2], media_type="text/html", headers={"content-security-policy": policy})


def _shown(
    row: ErasureRow, centres: Mapping[CentreId, Centre], zone: ZoneInfo, language: Language
) -> dict[str, Any]:
    """One line of the page: names, and of bilingual words the reader's."""
    centre, place = centres.get(row.centre), 0 if language == "ja" else -1
    return {
        "is": row,
        "centre": row.centre if centre is None else (centre.name, centre.name_en)[place],
        "what": row.what.split(" / ")[place],
        "done": _moment(row.done_at, zone),
    }


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    """None: it is no time, as of a report that is damaged or was edited."""
    try:
        return datetime.fromisoformat(text).astimezone(zone)
    except (ValueError, OverflowError):
        return None
