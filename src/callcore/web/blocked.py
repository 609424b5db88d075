"""The list of unwelcome callers (迷惑電話) of a centre: looked at, added to, taken from, as a page and by machines.

What becomes of listed callers is the centre file's; the list itself is the engine's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Path, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import RedirectResponse, Response

from callcore.access.rights import Right, needs
from callcore.domain.blocked import DIGITS_LEAST, DIGITS_MOST, LONGEST_DAYS, REASON_LONGEST, noted
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems
from callcore.web.acts import PROBLEMS, Acts, CentrePath, Done
from callcore.web.gate import form_of, person_of
from callcore.web.paper import Paper, language_of

PATH = "/api/v1/centres/{centre}/blocked"
PAGE = "/blocked"
USUAL_DAYS = 30
"""The end that the page proposes: a list is looked at each month."""
EntryPath = Annotated[str, Path(max_length=40, pattern=r"^[0-9a-z-]+$", examples=["blocked-3f9c01aa52d7"])]


class BlockedIn(BaseModel):
    number: str = Field(pattern=rf"^\+?[0-9]{{{DIGITS_LEAST},{DIGITS_MOST}}}$", examples=["09012345678"])
    reason: str = Field(min_length=1, max_length=REASON_LONGEST, examples=["威圧的な電話を繰り返す"])
    until: AwareDatetime = Field(description="with its offset; at most 365 days ahead")


class BlockedOut(BaseModel):
    entry: str
    number: str | None = Field(
        description="but for its last three digits hidden; null: not for you, or erased"
    )
    reason: str
    since: m.Moment
    until: m.Moment
    by: str = Field(examples=["user:sato"])


class BlockedListOut(BaseModel):
    blocked: list[BlockedOut]


def add_blocked(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    """Routes about the list."""

    def barred(request: Request, centre: str) -> Response | None:
        """Why not; None: this person may, and the centre is there."""
        if not person_of(request).may(Right.BLOCK_CALLERS, CentreId(centre)):
            return acts.gate.denied(request, person_of(request), on=centre)
        if CentreId(centre) not in live.view().floor.centres:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return None

    @app.get(
        PATH,
        tags=["centres"],
        summary="迷惑電話の一覧 / Unwelcome callers",
        response_model=BlockedListOut,
        responses=PROBLEMS,
    )
    @needs(Right.BLOCK_CALLERS)
    async def look(request: Request, centre: CentrePath) -> Response:
        """The newest first. Numbers are shown, masked, to who may read personal values."""
        if (why := barred(request, centre)) is not None:
            return why
        told = await acts.look(request, "blocked_list", centre=centre)
        if isinstance(told, Response):
            return told
        entries = [
            BlockedOut(
                entry=row["entry"],
                number=row["number"],
                reason=row["reason"],
                since=m.moment(Instant(round(row["since"] * SECOND))),
                until=m.moment(Instant(round(row["until"] * SECOND))),
                by=row["by"],
            )
            for row in told
        ]
        return Response(BlockedListOut(blocked=entries).model_dump_json(), media_type="application/json")

    @app.post(
        PATH,
        tags=["centres"],
        summary="迷惑電話の一覧に載せる / List a caller",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.BLOCK_CALLERS)
    async def add(request: Request, centre: CentrePath, body: BlockedIn) -> Response:
        """A number that stands there already gets another end and reason."""
        if (why := barred(request, centre)) is not None:
            return why
        return await acts.ordered(
            request,
            "blocked_add",
            on=centre,
            of=CentreId(centre),
            why=noted(body.reason, body.until),
            made="entry",
            centre=centre,
            number=body.number,
            reason=body.reason,
            until=body.until.timestamp(),
        )

    @app.delete(
        PATH + "/{entry}",
        tags=["centres"],
        summary="迷惑電話の一覧から外す / Take a caller off the list",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.BLOCK_CALLERS)
    async def remove(request: Request, centre: CentrePath, entry: EntryPath) -> Response:
        """Before the entry's end; it then counts no more at once."""
        if (why := barred(request, centre)) is not None:
            return why
        return await acts.ordered(
            request, "blocked_remove", on=entry, of=CentreId(centre), centre=centre, entry=entry
        )


class BlockedPage:
    """The same for people: one centre at a time."""

    def __init__(self, app: FastAPI, live: LiveSource, acts: Acts, paper: Paper) -> None:
        self._live = live
        self._acts = acts
        self._paper = paper
        for methods, shown in ((["GET", "HEAD"], self.page), (["POST"], self.change)):
            app.add_api_route(PAGE, shown, methods=methods, include_in_schema=False, response_class=Response)

    def _centres(self, request: Request) -> list[Centre]:
        centres = self._live.view().floor.centres.values()
        person = person_of(request)
        return sorted((c for c in centres if person.may(Right.BLOCK_CALLERS, c.id)), key=lambda c: c.id)

    def _meant(self, request: Request, name: str | None) -> Centre | None:
        """The centre of this name, without one the first; None: not for this person, or not there."""
        return next((c for c in self._centres(request) if name in (None, c.id)), None)

    @needs(Right.BLOCK_CALLERS)
    async def page(self, request: Request) -> Response:
        wanted = request.query_params.get("centre")
        centre = self._meant(request, wanted)
        if centre is None and wanted is not None:
            return self._acts.gate.denied(request, person_of(request), on=wanted)
        return await self._show(request, centre)

    async def _show(
        self, request: Request, centre: Centre | None, status: int = 200, error: str | None = None
    ) -> Response:
        rows: list[dict[str, Any]] = []
        if centre is not None:
            told = await self._acts.look(request, "blocked_list", centre=centre.id)
            if isinstance(told, Response):
                return self._paper.problem(request, problems.BY_STATUS[told.status_code])
            zone = ZoneInfo(centre.time_zone)
            rows = [
                {**row, **{key: datetime.fromtimestamp(row[key], zone) for key in ("since", "until")}}
                for row in told
            ]
        ja = language_of(request) == "ja"
        now = datetime.fromtimestamp(
            self._live.now() / SECOND, UTC if centre is None else ZoneInfo(centre.time_zone)
        )
        return self._paper.show(
            request,
            "blocked.html",
            status,
            centres=[(c.id, c.name if ja else c.name_en) for c in self._centres(request)],
            centre=centre,
            rows=rows,
            error=error,
            longest=REASON_LONGEST,
            usual=now + timedelta(days=USUAL_DAYS),
            last=now + timedelta(days=LONGEST_DAYS),
            trail=centre is not None and person_of(request).may(Right.READ_TRAIL, centre.id),
        )

    @needs(Right.BLOCK_CALLERS)
    async def change(self, request: Request) -> Response:
        """One form of the page: `centre`, and `act` add (`number`, `reason`, `until` in the centre's own time) or
        remove (`entry`)."""
        form = await form_of(request)
        name = form.get("centre", "")
        centre = self._meant(request, name)
        if centre is None:
            return self._acts.gate.denied(request, person_of(request), on=name)
        ja = language_of(request) == "ja"
        if form.get("act") == "remove":
            entry, done = form.get("entry", "")[:40], "blocked_removed"
            told = await self._acts.order(
                request, "blocked_remove", on=entry, of=centre.id, centre=centre.id, entry=entry
            )
        else:
            reason, done = form.get("reason", "").strip(), "blocked_added"
            try:
                until = datetime.fromisoformat(form.get("until", ""))
            except ValueError:
                why = "終わりの日時が正しくありません" if ja else "the end is no date and time"
                return await self._show(request, centre, 422, why)
            until = until.replace(tzinfo=ZoneInfo(centre.time_zone))
            told = await self._acts.order(
                request,
                "blocked_add",
                on=centre.id,
                of=centre.id,
                why=noted(reason, until),
                made="entry",
                centre=centre.id,
                number=form.get("number", "").strip(),
                reason=reason,
                until=until.timestamp(),
            )
        if told.kind is problems.CONFLICT:
            words = (told.detail or "").split(" / ")
            return await self._show(request, centre, 409, words[0 if ja else -1])
        if told.kind is not None:
            return self._paper.problem(request, told.kind)
        return RedirectResponse(f"{PAGE}?centre={centre.id}&done={done}", 303)
