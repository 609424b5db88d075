"""Recordings handed over by page and API: what is wanted is said with a purpose, and the archive comes for a grant.

Rules
- For who may download recordings of the centre. What was asked for is a line of the audit trail before the address is
  given out, and each recording is one more before its sound is (as `recording_download`).
- The archive is made while it is sent, and lies nowhere. So many are sent at once, no more.
- The grant is one person's, for what was asked for, and begins no new archive once it is over (`DOWNLOAD_S`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import date
from typing import Annotated, Any, Final

import structlog
from fastapi import FastAPI, Query, Request
from pydantic import ConfigDict, Field, ValidationError, model_validator
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from callcore.access.rights import Person, Right, needs
from callcore.access.trail import Result, TrailUnwritable
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.runtime.recordings import (
    Archive,
    ExportAsked,
    Recording,
    RecordingReader,
    TooManyRecordings,
    Unsigned,
)
from callcore.web import models as m
from callcore.web import problems
from callcore.web.acts import PROBLEMS
from callcore.web.gate import Gate, address_of, form_of, person_of
from callcore.web.paper import Paper, language_of
from callcore.web.recordings import (
    DOWNLOAD_S,
    DOWNLOADED,
    Given,
    Grant,
    GrantOut,
    Grants,
    PurposeIn,
    centres_of,
)

log = structlog.get_logger(__name__)

PATH: Final = "/api/v1/exports"
PAGE: Final = "/exports"
EXPORTED: Final = "recording_export"
CALLS_MOST: Final = 100
AT_ONCE: Final = 2
TOLD: Final = 20
"""So many of what an archive lacks are said in the log."""
_CALL: Final = r"^[A-Za-z0-9._:-]{1,150}$"


class ExportIn(PurposeIn):
    """Days of the centre, both included, or calls, or the calls of those days."""

    model_config = ConfigDict(extra="forbid")

    centre: str = Field(max_length=40, pattern=r"^[0-9a-z_-]+$", examples=["oita"])
    first: date | None = Field(None, ge=date(1970, 1, 1), le=date(9000, 1, 1), examples=["2026-11-01"])
    last: date | None = Field(None, ge=date(1970, 1, 1), le=date(9000, 1, 1), examples=["2026-11-30"])
    calls: list[Annotated[str, Field(pattern=_CALL)]] = Field([], max_length=CALLS_MOST)

    @model_validator(mode="after")
    def _something(self) -> ExportIn:
        if (self.first is None) != (self.last is None) or not (self.first or self.calls):
            raise ValueError("first and last, or calls")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError("last is before first")
        return self


class Exports:
    """What page and API share."""

    def __init__(self, gate: Gate, reader: RecordingReader) -> None:
        self.gate = gate
        self._reader = reader
        self._grants = Grants()
        self._sent = 0

    async def centres(self, person: Person) -> list[Centre]:
        return await centres_of(self._reader, person, Right.DOWNLOAD)

    async def give(self, request: Request, wanted: ExportIn, centre: Centre) -> Given:
        """A grant for who asks, who has the right over that centre."""
        person = person_of(request)
        asked = ExportAsked(
            centre=centre.id,
            zone=centre.time_zone,
            first=wanted.first,
            last=wanted.last,
            calls=tuple(map(CallId, wanted.calls)),
            by=person.id,
            purpose=wanted.purpose.strip(),
            numbers=person.may(Right.READ_PERSONAL, centre.id),
        )
        try:
            archive = await self._reader.export(asked, lambda one: None)
            if not archive.count:
                return Given(kind=problems.NO_RECORDINGS)
            await asyncio.to_thread(self._note, request, EXPORTED, str(asked), asked)
        except TooManyRecordings:
            return Given(kind=problems.TOO_MANY_RECORDINGS)
        except TrailUnwritable:
            return Given(kind=problems.TRAIL_UNWRITABLE)
        except Unsigned as error:
            _not_signed(error)
            return Given(kind=problems.EXPORT_UNSIGNED, detail=str(error))
        except OSError:
            return Given(kind=problems.NO_STORE)
        grant = Grant(person.id, "", asked.centre, Right.DOWNLOAD, time.time() + DOWNLOAD_S, asked)
        return Given(f"{PATH}/file?grant={self._grants.give(grant)}", grant.over)

    async def send(self, request: Request, secret: str) -> Response:
        """The archive of a grant. Raises OSError, TooManyRecordings, Unsigned."""
        person, path = person_of(request), request.url.path
        held = self._grants.of(secret, person.id, "")
        if held is None or held.asked is None or not person.may(Right.DOWNLOAD, held.centre):
            return problems.respond(problems.GRANT_OVER, path)
        asked = held.asked
        if self._sent >= AT_ONCE:
            return problems.respond(problems.TOO_MANY_EXPORTS, path, headers={"retry-after": "60"})
        self._sent += 1

        def heard(one: Recording) -> None:
            self._note(request, DOWNLOADED, one.name, asked)

        try:
            archive = await self._reader.export(asked, heard)
        except BaseException:
            self._over()
            raise
        days = "" if asked.first is None else f"-{asked.first}-{asked.last}"
        headers = {"content-disposition": f'attachment; filename="recordings-{asked.centre}{days}.zip"'}
        return _Sent(self, archive, StreamingResponse(archive.pieces(), 200, headers, "application/zip"))

    def _note(self, request: Request, action: str, on: str, asked: ExportAsked) -> None:
        """Raises TrailUnwritable."""
        self.gate.trail.add(
            asked.by,
            action,
            on=on,
            centre=asked.centre,
            origin=address_of(request),
            result=Result.DONE,
            why=asked.purpose,
        )

    def _over(self) -> None:
        self._sent -= 1


def _not_signed(error: Unsigned) -> None:
    log.error("録音の書き出しに署名できません / an export cannot be signed", why=str(error))


class _Sent(Response):
    """One that makes room for the next, however it ends."""

    def __init__(self, of: Exports, archive: Archive, whole: StreamingResponse) -> None:
        super().__init__()
        self._of, self._archive, self._whole = of, archive, whole
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._whole(scope, receive, send)
        except OSError as error:
            log.error("録音の書き出しが途中で止まりました / an export ended early", why=str(error))
            raise
        finally:
            self._of._over()
        if lacks := self._archive.lacks:
            log.warning(
                "録音の書き出しに、あるはずのものがありません / an export lacks what should be in it",
                count=len(lacks),
                first=lacks[:TOLD],
            )


def add_exports(app: FastAPI, exports: Exports) -> None:
    @app.post(
        PATH,
        tags=["recordings"],
        summary="録音の引き渡し / Hand recordings over",
        response_model=GrantOut,
        responses={
            404: problems.documented("no such centre, or no recording fits"),
            422: PROBLEMS[422],
            500: problems.documented("it cannot be signed: detail says which key is to be seen to"),
            503: problems.documented("the database cannot be asked, or the audit trail cannot be written"),
        },
    )
    @needs(Right.DOWNLOAD)
    async def ask(request: Request, body: ExportIn) -> Response:
        """For a purpose, which the audit trail gets: the address of an archive of them, for a while."""
        person, path = person_of(request), request.url.path
        if not person.may(Right.DOWNLOAD, CentreId(body.centre)):
            return exports.gate.denied(request, person, on=body.centre)
        centre = next((each for each in await exports.centres(person) if each.id == body.centre), None)
        if centre is None:
            return problems.respond(problems.NOT_FOUND, path)
        given = await exports.give(request, body, centre)
        if given.kind is not None:
            return problems.respond(given.kind, path, detail=given.detail)
        out = GrantOut(url=given.url, expires_at=m.moment(Instant(round(given.over * SECOND))))
        return Response(out.model_dump_json(), media_type="application/json")

    @app.get(
        PATH + "/file",
        tags=["recordings"],
        summary="録音の書き出し / The archive",
        response_class=Response,
        responses={
            200: {
                "description": "ZIP, as docs/recordings.md says",
                "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            },
            410: problems.documented("the grant is over"),
            422: PROBLEMS[422],
            500: problems.documented("it cannot be signed: detail says which key is to be seen to"),
            503: problems.documented("it cannot be made now, or too many are sent"),
        },
    )
    @needs(Right.DOWNLOAD)
    async def file(
        request: Request,
        grant: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{43}$", description="as it was given")],
    ) -> Response:
        """What was cut off in between does not open: ask again."""
        try:
            return await exports.send(request, grant)
        except TooManyRecordings:
            return problems.respond(problems.TOO_MANY_RECORDINGS, request.url.path)
        except Unsigned as error:
            _not_signed(error)
            return problems.respond(problems.EXPORT_UNSIGNED, request.url.path, detail=str(error))
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)


class ExportPage:
    def __init__(self, app: FastAPI, exports: Exports, paper: Paper) -> None:
        self._exports = exports
        self._paper = paper
        for methods, shown in ((["GET", "HEAD"], self.first), (["POST"], self.ask)):
            app.add_api_route(PAGE, shown, methods=methods, include_in_schema=False, response_class=Response)

    @needs(Right.DOWNLOAD)
    async def first(self, request: Request) -> Response:
        centres = await self._exports.centres(person_of(request))
        return self._show(request, centres, dict(request.query_params), 200, None)

    @needs(Right.DOWNLOAD)
    async def ask(self, request: Request) -> Response:
        form, person = await form_of(request), person_of(request)
        given: dict[str, Any] = {name: form.get(name, "").strip() for name in ("centre", "purpose")}
        given |= {name: form.get(name, "").strip() or None for name in ("first", "last")}
        given["calls"] = form.get("calls", "").split()
        if not person.may(Right.DOWNLOAD, CentreId(given["centre"])):
            return self._exports.gate.denied(request, person, on=given["centre"])
        centres = await self._exports.centres(person)
        centre = next((c for c in centres if c.id == given["centre"]), None)
        try:
            wanted = ExportIn.model_validate(given)
        except ValidationError:
            return self._show(request, centres, form, 422, "export.wrong")
        if centre is None:
            return self._paper.problem(request, problems.NOT_FOUND)
        granted = await self._exports.give(request, wanted, centre)
        if granted.kind in (problems.NO_RECORDINGS, problems.TOO_MANY_RECORDINGS):
            return self._show(request, centres, form, granted.kind.status, f"export.{granted.kind.name}")
        if granted.detail is not None:
            return self._show(request, centres, form, 500, granted.detail)
        if granted.kind is not None:
            return self._paper.problem(request, granted.kind)
        return RedirectResponse(granted.url, 303)

    def _show(
        self, request: Request, centres: list[Centre], asked: dict[str, str], status: int, error: str | None
    ) -> Response:
        ja = language_of(request) == "ja"
        return self._paper.show(
            request,
            "exports.html",
            status,
            centres=[(c.id, c.name if ja else c.name_en) for c in centres],
            asked={name: asked.get(name, "") for name in ("centre", "first", "last", "calls", "purpose")},
            error=error,
        )
