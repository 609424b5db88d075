"""Phones fetch their files here: over HTTPS, each its own, against a token of one use (`callcore.phones.serving`).

- Whatever does not fit gets the same 404 without a body; why is for the log, the count and the audit trail.
- The token stands in the path, because phones' makers have no other place for it; so no path of these is ever logged.
- The CA's certificate is for anyone: it is no secret, and a phone needs it before it can be asked for anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from fastapi import FastAPI, Request
from starlette.responses import Response

from callcore.access.rights import NOBODY, Right, needs
from callcore.access.sparing import Sparing
from callcore.access.trail import Result, TrailUnwritable
from callcore.domain.ids import CentreId, Instant, PhoneId
from callcore.phones import serving
from callcore.phones.serving import CA_FILE
from callcore.runtime.ports import LiveSource
from callcore.web.gate import Gate, address_of

ROOT = "/phones"
"""`CALLCORE_PHONES_URL` ends so."""
CA_TYPE = "application/x-pem-file"

log = logging.getLogger("callcore.web.phones")


class PhoneFiles(Protocol):
    """What the installation has for phones. Both wait for the disk."""

    def ca(self) -> bytes:
        """The certificate of the CA that phones trust. Raises OSError where there is none."""

    def answer(self, request: serving.Request) -> serving.Response:
        """What a phone is told; its next token is kept before this returns. Raises OSError, then nothing is given."""


def add_phones(app: FastAPI, live: LiveSource, gate: Gate, files: PhoneFiles) -> None:
    """The one route below `/phones`."""

    def centre(phone: PhoneId) -> CentreId | None:
        return live.view().floor.phone_centre.get(phone)

    kept = _Kept(gate, centre)

    @app.get(ROOT + "/{path:path}", include_in_schema=False, response_class=Response)
    @needs(Right.ANYONE)
    async def phone_file(request: Request, path: str) -> Response:
        asked = _asked(request, path, live.now())
        try:
            return await asyncio.to_thread(_answer, files, asked, kept)
        except OSError as error:
            log.error("phones' files cannot be served: %s", error)
            return Response(status_code=404)


def _asked(request: Request, path: str, at: Instant) -> serving.Request:
    token, _, file = path.rpartition("/")
    return serving.Request(
        at=at,
        token=token,
        file=file,
        address=address_of(request),
        https=request.url.scheme == "https",
        user_agent=request.headers.get("user-agent", ""),
    )


def _answer(files: PhoneFiles, asked: serving.Request, kept: _Kept) -> Response:
    if asked.file == CA_FILE and asked.https:
        return Response(files.ca(), media_type=CA_TYPE)
    kept.check()
    told = files.answer(asked)
    kept.add(asked, told)
    return Response(told.body, told.status, media_type=told.content_type if told.body else None)


class _Kept:
    """Each answer's line of the audit trail. Of refusals that are alike only some have one (`Sparing`)."""

    def __init__(self, gate: Gate, centre: Callable[[PhoneId], CentreId | None]) -> None:
        self._gate = gate
        self._centre = centre
        self._sparing = Sparing(time.monotonic)

    def check(self) -> None:
        """Raises TrailUnwritable: then nothing may be given away."""
        self._gate.trail.check()

    def add(self, asked: serving.Request, told: serving.Response) -> None:
        centre = None if told.phone is None else self._centre(told.phone)
        if told.refusal is None:
            self._gate.trail.add(
                f"phone:{told.phone}",
                "phone_file",
                on=told.phone,
                centre=centre,
                origin=asked.address,
                result=Result.DONE,
                why=told.note.get("user_agent"),
            )
            return
        why = told.refusal
        log.warning("a phone's file refused: %s %s", why.value, dict(told.note))
        times = self._sparing.due(asked.address, why.value, told.phone or "")
        if not times:
            return
        ja, en = serving.WORDS[why]
        try:
            self._gate.trail.add(
                NOBODY,
                "phone_file",
                on=told.phone or told.note.get("file"),
                centre=centre,
                origin=asked.address,
                result=Result.REFUSED,
                why=f"{why.value} ×{times}: {ja} / {en}; User-Agent {told.note.get('user_agent', '')}",
            )
        except TrailUnwritable:
            log.exception("a refusal is not in the audit trail")
