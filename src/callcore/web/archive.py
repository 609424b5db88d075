"""The pages of recordings: the search, and one recording with its player, its pauses and who heard it.

A search is sent as a form, so that no number stands in an address; one without a number is led on to its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from callcore.access.rights import Person, Right, needs
from callcore.domain.centre import Centre
from callcore.domain.findings import Finding
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.domain.recording import Direction, PausedBy, Place, RecordingKind, RecordingMark, Through
from callcore.domain.stages import PauseEnd, ResultKind
from callcore.runtime.detail import NumbersClosed
from callcore.runtime.recordings import Recording
from callcore.web import problems
from callcore.web.callpages import local
from callcore.web.gate import form_of, person_of
from callcore.web.paper import Paper, language_of
from callcore.web.recordings import (
    ACCESSES_MOST,
    Archive,
    NotAllowed,
    NumberSearchIn,
    PurposeIn,
    RecordingPath,
    centres_of,
    cursor_text,
    filled,
    has_number,
    mark_choices,
    typed_number,
)

PAGE: Final = "/recordings"
ROWS: Final = 50
_DAYS: Final = ("first", "last", "kept_before", "kept_from")
"""Asked for as days of the centre."""
_TIMES: Final = ("ended_from", "ended_before")
"""As its days with the time. Those two of the begin are times of `first` and `last`."""
_OF_DAYS: Final = ("first_time", "last_time")
_FIELDS: Final = (*NumberSearchIn.model_fields, "last", *_OF_DAYS)
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": tuple(each.value for each in RecordingKind),
    "direction": tuple(each.value for each in Direction),
    "mark": tuple(each.value for each in RecordingMark),
    "result_kind": tuple(each.value for each in ResultKind),
    "through": tuple(each.value for each in Through),
    "problem": tuple(each.value for each in Finding),
    "place": tuple(each.value for each in Place),
    "paused": ("true", "false"),
    "paused_by": tuple(each.value for each in PausedBy),
    "pause_ended": tuple(each.value for each in PauseEnd),
    "channels": ("1", "2"),
    "legal_hold": ("true", "false"),
}
"""Fields with a list of words; all others are written."""


class ArchivePages:
    def __init__(self, app: FastAPI, archive: Archive, paper: Paper) -> None:
        self._archive = archive
        self.paper = paper
        for path, methods, shown in (
            (PAGE, ["GET", "HEAD"], self.first),
            (PAGE, ["POST"], self.search),
            (PAGE + "/{recording}", ["GET", "HEAD"], self.one),
            (PAGE + "/{recording}", ["POST"], self.hear),
        ):
            app.add_api_route(path, shown, methods=methods, include_in_schema=False, response_class=Response)

    async def _centres(self, person: Person) -> list[Centre]:
        return await centres_of(self._archive.reader, person, Right.READ_CALLS)

    @needs(Right.READ_CALLS)
    async def first(self, request: Request) -> Response:
        """The newest ones; with fields of the search in the address, those that fit."""
        return await self._found(request, dict(request.query_params))

    @needs(Right.READ_CALLS)
    async def search(self, request: Request) -> Response:
        """With a number, in whichever field, the answer itself: it is better not in an address. Else the address of the
        list, to which a browser goes back."""
        asked = filled(await form_of(request), _FIELDS)
        if has_number(asked):
            return await self._found(request, asked)
        return RedirectResponse(f"{PAGE}?{urlencode(asked)}", 303)

    async def _found(self, request: Request, given: Mapping[str, str]) -> Response:
        person = person_of(request)
        centres = await self._centres(person)
        asked = {name: given.get(name, "").strip() for name in _FIELDS}
        zone = _zone(centres, asked["centre"])
        error, status, rows, after = None, 200, list[Recording](), None
        try:
            page = await self._archive.find(person, _search(asked, zone))
            rows, after = list(page.recordings), cursor_text(page.after)
        except ValidationError as wrong:
            error, status = str(wrong.errors()[0]["loc"][0]), 422
        except NotAllowed as what:
            return self._archive.gate.denied(request, person, on=str(what))
        except NumbersClosed as shut:
            return self.paper.problem(request, problems.NUMBERS_SHUT, str(shut))
        except OSError:
            return self.paper.problem(request, problems.NO_STORE)
        ja = language_of(request) == "ja"
        stray = () if any(asked.values()) else await self._archive.unassigned(person)
        return self.paper.show(
            request,
            "recordings.html",
            status,
            centres=[(c.id, c.name if ja else c.name_en) for c in centres],
            asked=asked,
            wrong=error,
            more=any(asked[name] for name in _MORE),
            choices=CHOICES,
            personal=person.may(Right.READ_PERSONAL),
            trail=person.may(Right.READ_TRAIL),
            download=person.may(Right.DOWNLOAD),
            period=urlencode({name: asked[name] for name in ("centre", "first", "last") if asked[name]}),
            rows=[self._shown(request, centres, each) for each in rows],
            zone=zone.key,
            after=after,
            stray=None if stray is None else len(stray),
            strays=[
                (each, local(each.kept_at, zone), _length(each.seconds)) for each in (stray or ())[:ROWS]
            ],
        )

    def _shown(self, request: Request, centres: list[Centre], of: Recording) -> dict[str, Any]:
        """One recording for the templates: times by the clock of its centre."""
        zone = _zone(centres, of.centre)
        personal = person_of(request).may(Right.READ_PERSONAL, of.centre)

        def at(instant: Instant | None) -> datetime | None:
            return None if instant is None else datetime.fromtimestamp(instant / SECOND, zone)

        return {
            "is": of,
            "zone": zone.key,
            "began": at(of.began_at),
            "ended": at(of.ended_at),
            "keep_until": at(of.keep_until),
            "erased": at(of.erased_at),
            "number": of.other.masked() if of.other is not None and personal else None,
            "marks": [mark.value for mark in of.marks],
            "pauses": [(at(each.first), at(each.before), each) for each in of.pauses],
            "length": _length(of.seconds),
        }

    @needs(Right.READ_CALLS)
    async def one(self, request: Request, recording: RecordingPath) -> Response:
        return await self.show(request, recording, 200, None)

    async def show(self, request: Request, name: str, status: int, error: str | None) -> Response:
        """The page of one recording. `error`: a text of ours, or words in one language or both."""
        person = person_of(request)
        try:
            all_of = await self._archive.one(person, name)
            if not all_of or all_of[0].name != name:
                return self.paper.problem(request, problems.NOT_FOUND)
            this = all_of[0]
            orders = await self._archive.reader.orders(this)
        except OSError:
            return self.paper.problem(request, problems.NO_STORE)
        centres = await self._centres(person)
        zone = _zone(centres, this.centre)
        grant = request.query_params.get("grant", "")
        held = self._archive.grant(person, grant, name)
        shut = None if held is None else await self._archive.shut(name, kept=False)
        may_listen = person.may(Right.LISTEN, this.centre)
        if grant and held is None and may_listen and this.place is not Place.GONE:
            shut = "rec.over"
        lines = await self._archive.accesses(person, this)
        ja = language_of(request) == "ja"
        words = (error or shut or "").split(" / ")
        return self.paper.show(
            request,
            "recording.html",
            status,
            centres={c.id: c.name if ja else c.name_en for c in centres},
            one=self._shown(request, centres, this),
            others=[self._shown(request, centres, each) for each in all_of[1:]],
            sound=f"/api/v1/recordings/{name}/audio?grant={grant}"
            if held is not None and shut is None
            else None,
            may_listen=may_listen,
            may_download=person.may(Right.DOWNLOAD, this.centre),
            gone=this.place is Place.GONE,
            may_mark=mark_choices(person, this),
            orders=[(local(each.until, zone), local(each.at, zone), each) for each in orders],
            lines=lines,
            most=ACCESSES_MOST,
            printing=request.query_params.get("print") == "1",
            error=words[0 if ja else -1] or None,
        )

    @needs(Right.LISTEN)
    async def hear(self, request: Request, recording: RecordingPath) -> Response:
        """One form: `purpose`, and `act` listen or download."""
        form, person = await form_of(request), person_of(request)
        right = Right.DOWNLOAD if form.get("act") == "download" else Right.LISTEN
        try:
            all_of = await self._archive.one(person, recording)
        except OSError:
            return self.paper.problem(request, problems.NO_STORE)
        here = bool(all_of) and all_of[0].name == recording
        if not person.may(right, all_of[0].centre if here else CentreId("")):
            return self._archive.gate.denied(request, person, on=recording)
        if not here:
            return self.paper.problem(request, problems.NOT_FOUND)
        try:
            purpose = PurposeIn(purpose=form.get("purpose", "").strip()).purpose
        except ValidationError:
            return await self.show(request, recording, 422, "rec.purpose.missing")
        given = await self._archive.give(request, all_of[0], right, purpose)
        if given.kind is not None:
            return self.paper.problem(request, given.kind)
        if right is Right.DOWNLOAD:
            shut = await self._archive.shut(recording, kept=True)
            if shut is not None:
                return await self.show(request, recording, problems.SOUND_SHUT.status, shut)
            return RedirectResponse(given.url, 303)
        return RedirectResponse(f"{PAGE}/{recording}?{given.url.partition('?')[2]}", 303)


_MORE = (
    *("call", "queue", "language", "direction", "result", "department", "through", "paused", "paused_by"),
    *("pause_ended", "pauses_least", "segments_least", "kept_from", "seconds_least", *_OF_DAYS, *_TIMES),
    *(
        "seconds_most",
        "size_least",
        "size_most",
        "format",
        "channels",
        "sha256",
        "place",
        "key_period",
        "kept_before",
    ),
    *("legal_hold", "listener", "recording"),
)
"""Fields that are folded away while nothing stands in them."""


def _length(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02}"


def _zone(centres: list[Centre], centre: str) -> ZoneInfo:
    return ZoneInfo(next((c.time_zone for c in centres if centre in ("", c.id)), "UTC"))


def _search(asked: Mapping[str, str], zone: ZoneInfo) -> NumberSearchIn:
    """Raises ValidationError, which names the field."""
    apart = (*_DAYS, *_TIMES, *_OF_DAYS)
    fields: dict[str, Any] = {name: text for name, text in asked.items() if text and name not in apart}
    for name in ("number", "agent"):
        if name in fields:
            fields[name] = typed_number(fields[name])
    for name, days, field in (
        ("first", 0, "first"),
        ("last", 1, "before"),
        ("kept_before", 0, "kept_before"),
        ("kept_from", 0, "kept_from"),
    ):
        if asked[name]:
            fields[field] = _midnight(asked[name], days, zone)
    for name in _TIMES:
        if asked[name]:
            fields[name] = _moment(asked[name], zone)
    for name, of, field in (("first_time", "first", "first"), ("last_time", "last", "before")):
        if asked[name]:
            fields[field] = _moment(f"{asked[of][:10]}T{asked[name]}", zone)
    return NumberSearchIn.model_validate(fields | {"limit": ROWS})


def _moment(text: str, zone: ZoneInfo) -> datetime | str:
    """A day and a time of the centre. What is none is given back, to be refused."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return "no time"


def _midnight(text: str, days: int, zone: ZoneInfo) -> datetime | str:
    """The begin of that day or, some days on, of another. What is no day is given back, to be refused."""
    try:
        return (datetime.fromisoformat(text[:10]) + timedelta(days=days)).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return "no day"
