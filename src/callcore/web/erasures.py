"""Routes and page of the reports of what was erased, for who may read a centre's calls. Nothing is erased here."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from typing import Annotated

from fastapi import FastAPI, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.runtime.erasures import ErasureReader, ErasureRow
from callcore.web import problems
from callcore.web.acts import PROBLEMS
from callcore.web.gate import person_of
from callcore.web.paper import Paper

PAGE = "/erasures"
PATH = "/api/v1/erasures"
ReportPath = Annotated[
    str, Path(max_length=40, pattern=r"^erase-[0-9a-f-]+$", examples=["erase-20261120020000-1a2b3c"])
]


SIGNED = ["id", "centre", "scope", "what", "reason", "by", "ordered_at", "done_at", "calls", "key", "sig"]
"""What each report has in any case."""


class ErasureOut(BaseModel):
    """One erasure. The report itself, signed, has everything."""

    report: str = Field(description="its id")
    centre: str
    scope: str = Field(description="call, number, period, centre, or retention: its months were over")
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


class ErasuresOut(BaseModel):
    erasures: list[ErasureOut]


class Erasures:
    def __init__(self, app: FastAPI, paper: Paper, reader: ErasureReader) -> None:
        self._paper = paper
        self._reader = reader
        app.add_api_route(
            PATH,
            self.listed,
            methods=["GET"],
            tags=["recordings"],
            summary="消去の一覧 / What was erased",
            response_model=ErasuresOut,
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
                )
                for row in await self._rows(request)
            ]
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @needs(Right.READ_CALLS)
    async def report(self, request: Request, report: ReportPath) -> Response:
        """As it was signed, byte by byte: which calls and recordings, how, by whom, and what was found afterwards."""
        found = await asyncio.to_thread(self._reader.report, report)
        if found is None or not person_of(request).may(Right.READ_CALLS, found[0]):
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return Response(found[1], media_type="application/json")

    @needs(Right.READ_CALLS)
    async def page(self, request: Request) -> Response:
        return self._paper.show(request, "erasures.html", rows=await self._rows(request))

    @needs(Right.READ_CALLS)
    async def sheet(self, request: Request, report: ReportPath) -> Response:
        """To be printed: the page as it was kept, under a policy that lets in its own style and nothing else."""
        found = await asyncio.to_thread(self._reader.report, report)
        if found is None or not person_of(request).may(Right.READ_CALLS, found[0]):
            return self._paper.problem(request, problems.NOT_FOUND)
        style = b64encode(hashlib.sha256(self._reader.style().encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'"
        return Response(found[2], media_type="text/html", headers={"content-security-policy": policy})
