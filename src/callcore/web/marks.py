"""Marks of recordings (苦情, 悪質・脅迫, 電話リレー), set and taken away after the call: a route, and a form of a
recording's page.

A mark is of the call: all its recordings bear it. Who has got an answer finds them by it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field, ValidationError, model_validator
from starlette.responses import RedirectResponse, Response

from callcore.access.rights import Right, needs
from callcore.domain.ids import CentreId
from callcore.domain.recording import RecordingMark
from callcore.runtime.recordings import Recording
from callcore.web import problems
from callcore.web.acts import PROBLEMS, Acts, Done
from callcore.web.archive import PAGE, ArchivePages
from callcore.web.gate import form_of, person_of
from callcore.web.recordings import PATH, Archive, RecordingPath, right_to_mark

SHOWN_WITHIN_S: Final = 3
"""For so many seconds at most an answer waits for the database to have the mark; usually a tenth of one."""


class MarkIn(BaseModel):
    mark: RecordingMark = Field(description="苦情, 悪質・脅迫, 電話リレー", examples=["complaint"])
    on: bool = Field(True, description="false: take it away")
    why: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f]*[^\s\x00-\x1f][^\x00-\x1f]*$",
        description="for the audit trail; must be there to take `abuse` away",
        examples=["聞き取りの結果"],
    )

    @model_validator(mode="after")
    def reasoned(self) -> MarkIn:
        if self.mark is RecordingMark.ABUSE and not self.on and self.why is None:
            raise ValueError("say why / 理由を書いてください")
        return self


class Marks:
    def __init__(self, app: FastAPI, archive: Archive, acts: Acts, pages: ArchivePages) -> None:
        self._archive, self._acts, self._pages = archive, acts, pages
        app.add_api_route(
            PATH + "/{recording}/marks",
            self.mark,
            methods=["POST"],
            tags=["recordings"],
            summary="録音の目印を付ける・外す / Mark a recording, or take a mark away",
            response_model=Done,
            responses=PROBLEMS,
        )
        app.add_api_route(
            PAGE + "/{recording}/marks",
            self.marked,
            methods=["POST"],
            include_in_schema=False,
            response_class=Response,
        )

    @needs(Right.SUPERVISE)
    async def mark(self, request: Request, recording: RecordingPath, body: MarkIn) -> Response:
        """All recordings of its call, whatever was keyed; found by it at once. No figure changes. To take `abuse` away
        wants the right to erase, for the recording is kept no longer than others then."""
        found = await self._found(request, recording, body)
        if not isinstance(found, Recording):
            if found is problems.FORBIDDEN:
                return self._acts.gate.denied(request, person_of(request), on=recording)
            return problems.respond(found, request.url.path)
        answer = await self._acts.ordered(request, **_order(found, body))
        if answer.status_code == 200:
            await self._is_shown(found, body)
        return answer

    @needs(Right.SUPERVISE)
    async def marked(self, request: Request, recording: RecordingPath) -> Response:
        """One form: `act` (the mark, behind + or -) and `why`."""
        form = await form_of(request)
        act, why = form.get("act", ""), form.get("why", "").strip()
        try:
            body = MarkIn.model_validate({"mark": act[1:], "on": act[:1] != "-", "why": why or None})
        except ValidationError:
            return await self._pages.show(request, recording, 422, "rec.mark.why.missing")
        found = await self._found(request, recording, body)
        if not isinstance(found, Recording):
            if found is problems.FORBIDDEN:
                return self._acts.gate.denied(request, person_of(request), on=recording)
            return self._pages.paper.problem(request, found)
        told = await self._acts.order(request, **_order(found, body))
        if told.kind is problems.CONFLICT:
            return await self._pages.show(request, recording, 409, told.detail)
        if told.kind is not None:
            return self._pages.paper.problem(request, told.kind)
        await self._is_shown(found, body)
        return RedirectResponse(f"{PAGE}/{recording}", 303)

    async def _found(self, request: Request, name: str, body: MarkIn) -> Recording | problems.Kind:
        """The recording, which this person may mark so; else why not."""
        person = person_of(request)
        try:
            all_of = await self._archive.one(person, name)
        except OSError:
            return problems.NO_STORE
        here = bool(all_of) and all_of[0].name == name
        if not person.may(right_to_mark(body.mark, body.on), all_of[0].centre if here else CentreId("")):
            return problems.FORBIDDEN
        return all_of[0] if here else problems.NOT_FOUND

    async def _is_shown(self, recording: Recording, body: MarkIn) -> None:
        end = time.monotonic() + SHOWN_WITHIN_S
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                now = await self._archive.reader.one(recording.name)
                if not now or (body.mark in now[0].marks) is body.on:
                    return
                await asyncio.sleep(0.05)


def _order(of: Recording, body: MarkIn) -> dict[str, Any]:
    """What is asked of the engine, and what the trail has of it."""
    sign = "+" if body.on else "-"
    fields: dict[str, Any] = {"call": of.call, "centre": of.centre}
    command = "recording_unreport"
    if right_to_mark(body.mark, body.on) is Right.SUPERVISE:
        command, fields = "recording_mark", fields | {"mark": body.mark.value, "set": body.on}
    why = f"{sign}{body.mark.value}" + (f": {body.why.strip()}" if body.why else "")
    return {"command": command, "on": of.name, "of": of.centre, "why": why, **fields}
