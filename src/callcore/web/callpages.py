"""The pages of calls: the search, and the whole way of one.

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

from callcore.access.rights import Right, needs
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.measures import Record
from callcore.domain.recording import RecordingMark
from callcore.domain.stages import Outcome
from callcore.runtime.detail import CallFound, NumbersClosed, Told
from callcore.web import problems, way
from callcore.web.acts import CallPath
from callcore.web.calls import Calls, NumberCallSearchIn, cursor_text
from callcore.web.gate import form_of, person_of
from callcore.web.paper import Paper, language_of
from callcore.web.recordings import Archive, NotAllowed, filled, has_number, typed_number

PAGE: Final = "/calls"
ROWS: Final = 50
_FIELDS: Final = ("centre", "first", "before", "number", "agent", "outcome", "state", "after")
MARKS: Final = ("by_net", "reconstructed", "imprecise", "test", "helped", "abuse", "relay", "second", "task")
_MARKED: Final = frozenset(mark.value for mark in RecordingMark)


class CallPages:
    """`archive`: says until when recordings are kept; None: nobody can."""

    def __init__(self, app: FastAPI, calls: Calls, archive: Archive | None, paper: Paper) -> None:
        self._calls = calls
        self._archive = archive
        self._paper = paper
        for path, methods, shown in (
            (PAGE, ["GET", "HEAD"], self.first),
            (PAGE, ["POST"], self.search),
            (PAGE + "/{call}", ["GET", "HEAD"], self.one),
        ):
            app.add_api_route(path, shown, methods=methods, include_in_schema=False, response_class=Response)

    @needs(Right.READ_CALLS)
    async def first(self, request: Request) -> Response:
        """The newest ones; with fields of the search in the address, those that fit; with `call`, that one."""
        if call := request.query_params.get("call", "").strip():
            return RedirectResponse(f"{PAGE}/{call}" if call.isascii() and "/" not in call else PAGE, 303)
        return await self._found(request, dict(request.query_params))

    @needs(Right.READ_CALLS)
    async def search(self, request: Request) -> Response:
        """As that of recordings."""
        asked = filled(await form_of(request), _FIELDS)
        if has_number(asked):
            return await self._found(request, asked)
        return RedirectResponse(f"{PAGE}?{urlencode(asked)}", 303)

    async def _found(self, request: Request, given: Mapping[str, str]) -> Response:
        centres, person = self._centres(request), person_of(request)
        asked = {name: given.get(name, "").strip() for name in _FIELDS}
        zone = zone_of(centres, asked["centre"])
        wrong, status, rows, after = None, 200, tuple[CallFound, ...](), None
        try:
            page = await self._calls.find(person, _search(asked, zone))
            rows, after = page.calls, cursor_text(page.after)
        except ValidationError as error:
            wrong, status = str(error.errors()[0]["loc"][0]), 422
        except NotAllowed as what:
            return self._calls.gate.denied(request, person, on=str(what))
        except NumbersClosed as shut:
            return self._paper.problem(request, problems.NUMBERS_SHUT, str(shut))
        except OSError:
            return self._paper.problem(request, problems.NO_STORE)
        return self._paper.show(
            request,
            "calls.html",
            status,
            centres=self._named(request, centres),
            asked=asked,
            wrong=wrong,
            outcomes=[each.value for each in Outcome],
            personal=person.may(Right.READ_PERSONAL),
            rows=[self._shown(request, each) for each in rows],
            zone=zone.key,
            after=after,
        )

    def _centres(self, request: Request) -> list[Centre]:
        person = person_of(request)
        known = self._calls.live.view().floor.centres.values()
        return sorted((c for c in known if person.may(Right.READ_CALLS, c.id)), key=lambda c: c.id)

    def _named(self, request: Request, centres: list[Centre]) -> dict[str, str]:
        ja = language_of(request) == "ja"
        return {c.id: c.name if ja else c.name_en for c in centres}

    def _shown(self, request: Request, of: CallFound) -> dict[str, Any]:
        """By the clock of its centre, its number if it may be seen."""
        zone = zone_of(self._centres(request), of.record.centre)
        personal = person_of(request).may(Right.READ_PERSONAL, of.record.centre)
        return shown_call(of if personal else CallFound(of.record, None), zone, self._calls.live.now())

    @needs(Right.READ_CALLS)
    async def one(self, request: Request, call: CallPath) -> Response:
        """The whole way of one call."""
        person = person_of(request)
        try:
            detail = await self._calls.one(person, CallId(call))
            names = [] if detail is None else [_name(each.file) for each in detail.recordings]
            recordings = await self._archive.one(person, names[0]) if self._archive and names else ()
        except OSError:
            return self._paper.problem(request, problems.NO_STORE)
        if detail is None:
            return self._paper.problem(request, problems.NOT_FOUND)
        told: tuple[Told, ...] | None
        try:
            told = await self._calls.reader.journal(detail.record)
        except OSError:
            told = None
        record = detail.record
        zone = zone_of(self._centres(request), record.centre)
        shown = self._shown(request, CallFound(record, detail.caller))
        kept = [each for each in shown["marks"] if each not in _MARKED]
        shown["marks"] = [*kept, *(mark.value for mark in detail.marked)]
        lines = way.lines(told or (), personal=person.may(Right.READ_PERSONAL, record.centre))
        return self._paper.show(
            request,
            "call.html",
            centres=self._named(request, self._centres(request)),
            one=shown,
            detail=detail,
            marked=[local(each.at, zone) for each in detail.marks],
            began=[local(each.began_at, zone) for each in detail.recordings],
            names=names,
            kept={each.name: {"is": each, "keep_until": local(each.keep_until, zone)} for each in recordings},
            unread=told is None,
            lines=[_line(each, record, zone) for each in lines],
            picture=_picture(told, record, self._calls.live.now()) if told else None,
        )


def shown_call(of: CallFound, zone: ZoneInfo, at: Instant) -> dict[str, Any]:
    """One call for the templates."""
    record = of.record
    waited = record.waited(at)
    return {
        "is": record,
        "zone": zone.key,
        "arrived": local(record.arrived_at, zone),
        "entered": local(record.entered_at, zone),
        "answered": local(record.answered_at, zone),
        "ended": local(record.ended_at, zone),
        "number": None if of.caller is None else of.caller.masked(),
        "waited": None if waited is None else length(waited),
        "talk": length(record.talk),
        "hold": None if record.held is None else length(record.held),
        "marks": [each for each in MARKS if getattr(record, each)] + ["unrecorded"] * bool(record.unrecorded),
    }


def _name(file: str) -> str:
    """A recording's, by which its page is found."""
    return file.rpartition(".")[0]


def _line(line: way.Line, record: Record, zone: ZoneInfo) -> dict[str, Any]:
    at = local(line.at, zone)
    assert at is not None
    since = way.seconds(record.arrived_at, line.at)
    return {
        "is": line,
        "at": at,
        "clock": f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
        "since": f"{'-' if since < 0 else '+'}{length(round(abs(since) * SECOND))}",
        "plain": {name: value for name, value in line.plain.items() if value not in (None, [], "")},
    }


WIDTH, LABEL, ROW = 1000, 190, 34
"""Of the picture, in its own units: all of it, the names of the lanes, and one lane."""


def _picture(told: tuple[Told, ...], record: Record, now: Instant) -> dict[str, Any]:
    """Lanes for an SVG: places and lengths in its own units."""
    last = record.ended_at or max(now, *(each.fact.at for each in told))
    whole = max(1, last - record.arrived_at)

    def x(at: Instant) -> float:
        share = min(1.0, max(0.0, (at - record.arrived_at) / whole))
        return round(LABEL + share * (WIDTH - LABEL - 10), 1)

    lanes = [
        {
            "kind": lane.kind,
            "name": lane.name,
            "y": n * ROW,
            "bars": [
                {
                    "kind": bar.kind,
                    "x": x(bar.first),
                    "width": max(2.0, round(x(bar.before) - x(bar.first), 1)),
                    "first": length(bar.first - record.arrived_at),
                    "length": length(bar.before - bar.first),
                }
                for bar in lane.bars
            ],
        }
        for n, lane in enumerate(way.lanes(told, last))
    ]
    marks = [
        {"x": x(Instant(record.arrived_at + whole * n // 4)), "text": length(whole * n // 4)}
        for n in range(5)
    ]
    kinds = [k for k in KINDS if any(bar["kind"] == k for lane in lanes for bar in lane["bars"])]  # type: ignore[attr-defined]
    return {"lanes": lanes, "marks": marks, "height": len(lanes) * ROW + 24, "width": WIDTH, "kinds": kinds}


KINDS: Final = ("announced", "waiting", "ringing", "talking", "held", "away", "joined")


def zone_of(centres: list[Centre], centre: str) -> ZoneInfo:
    """Of a centre, or of the first."""
    return ZoneInfo(next((c.time_zone for c in centres if centre in ("", c.id)), "UTC"))


def local(at: Instant | None, zone: ZoneInfo) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at / SECOND, zone)


def length(micros: int) -> str:
    """m:ss, or h:mm:ss."""
    minutes, s = divmod(micros // SECOND, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def _search(asked: Mapping[str, str], zone: ZoneInfo) -> NumberCallSearchIn:
    """Raises ValidationError, which names the field."""
    fields: dict[str, Any] = {name: asked[name] for name in ("centre", "outcome", "after") if asked[name]}
    for name in ("number", "agent"):
        if asked[name]:
            fields[name] = typed_number(asked[name])
    for name, later in (("first", timedelta()), ("before", timedelta(minutes=1))):
        if asked[name]:
            fields[name] = _moment(asked[name], later, zone)
    if asked["state"]:
        fields["open"] = asked["state"] == "open"
    return NumberCallSearchIn.model_validate(fields | {"limit": ROWS})


def _moment(text: str, later: timedelta, zone: ZoneInfo) -> datetime | str:
    """A minute of that zone's wall clock, or a bit later. What is none is given back, to be refused."""
    try:
        return (datetime.fromisoformat(text).replace(tzinfo=zone) + later).astimezone(UTC)
    except (ValueError, OverflowError):
        return "no time"
