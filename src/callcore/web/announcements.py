"""What a centre says to callers: in force, changed and not yet applied, and what it said before; to be read and heard.

Nothing is changed here: texts stand in the centre file, and `callcore apply` brings them in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from fastapi import FastAPI, HTTPException, Path, Request
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.centre import Announcement, Centre
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.runtime.ports import LiveSource
from callcore.web.gate import Gate, person_of
from callcore.web.paper import Paper, language_of

PAGE = "/announcements"
WITHIN_S = 60.0
"""How long the journal may take to be read for the history of one kind."""

log = logging.getLogger("callcore.web.announcements")


class Told(Protocol):
    """What the installation has of announcements. Each waits for the disk."""

    def written(self, centre: CentreId) -> Sequence[Announcement] | None:
        """What the files on disk say, with the audio that was made of it (empty: none). None: they can't be read."""

    def history(self, centre: CentreId, kind: str) -> list[tuple[Announcement, Instant, Instant | None]]:
        """Each version, from when to when (None: it is in force), the oldest first. Raises OSError."""

    def wav(self, audio: str) -> bytes | None:
        """A piece of audio by its id; None: there is none. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A text that differs on disk from what callers hear. None: it comes; it goes."""

    kind: str
    now: Announcement | None
    then: Announcement | None


def changes(now: Sequence[Announcement], then: Sequence[Announcement], language: str) -> list[Changed]:
    """What applying the files would change of one language. Where another language is heard for want of audio, that
    goes on until there is some."""
    present, coming = ({a.kind: a for a in told if a.language == language} for told in (now, then))
    found = []
    for kind in dict.fromkeys((*present, *coming)):
        one, other = present.get(kind), coming.get(kind)
        if one is not None and other is not None:
            substituted = one.sound.split("/")[-2] != language and not other.audio
            if substituted or (one.text, one.audio) == (other.text, other.audio):
                continue
        found.append(Changed(kind, one, other))
    return found


class Announcements:
    def __init__(self, app: FastAPI, live: LiveSource, gate: Gate, paper: Paper, told: Told) -> None:
        self._live = live
        self._gate = gate
        self._paper = paper
        self._told = told
        for path, shown in ((PAGE, self.page), (PAGE + "/{audio}.wav", self.sound)):
            app.add_api_route(
                path, shown, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
            )

    @needs(Right.READ_LIVE)
    async def page(self, request: Request) -> Response:
        """`centre`, `language` and, for the history, `kind`; without them the first centre in its first language."""
        asked, person = request.query_params, person_of(request)
        floor = self._live.view().floor
        seen = sorted(
            (c for c in floor.centres.values() if person.may(Right.READ_LIVE, c.id)), key=lambda c: c.id
        )
        centre = next((c for c in seen if asked.get("centre") in (None, c.id)), None)
        if centre is None and "centre" in asked:
            return self._gate.denied(request, person, on=asked["centre"][:40])
        if centre is None:
            return self._paper.show(request, "announcements.html", centre=None)
        language = asked.get("language", "")
        language = language if language in centre.languages else centre.languages[0]
        written = await asyncio.to_thread(self._told.written, centre.id)
        kind = asked.get("kind")
        before, late = await self._history(centre, kind, language) if kind else (None, False)
        ja = language_of(request) == "ja"
        return self._paper.show(
            request,
            "announcements.html",
            centre=centre,
            centres=[(c.id, c.name if ja else c.name_en) for c in seen],
            language=language,
            said=[a for a in centre.announcements if a.language == language],
            changed=None if written is None else changes(centre.announcements, written, language),
            kind=kind,
            before=before,
            late=late,
        )

    async def _history(
        self, centre: Centre, kind: str, language: str
    ) -> tuple[list[tuple[Announcement, datetime, datetime | None]] | None, bool]:
        """The versions in one language, the newest first; None: they can't be told, and whether that took too long."""
        zone = ZoneInfo(centre.time_zone)
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await asyncio.to_thread(self._told.history, centre.id, kind)
        except TimeoutError:
            return None, True
        except OSError as error:
            log.warning("the journal cannot be read for the history of announcements: %s", error)
            return None, False
        return [
            (told, _local(since, zone), None if until is None else _local(until, zone))
            for told, since, until in reversed(found)
            if told.language == language
        ], False

    @needs(Right.READ_LIVE)
    async def sound(self, audio: Annotated[str, Path(max_length=16)]) -> Response:
        """A piece of audio. Callers of any centre hear it, so it is no secret of one."""
        try:
            found = await asyncio.to_thread(self._told.wav, audio)
        except OSError as error:
            log.warning("a piece of audio cannot be read: %s", error)
            found = None
        if found is None:
            raise HTTPException(404)
        return Response(
            found, headers={"content-type": "audio/wav", "cache-control": "private, max-age=86400"}
        )


def _local(at: Instant, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at / SECOND, zone)
