"""Emergency closure (臨時休止, 緊急案内): begun, ended and looked at, as a page and by machines.

The announcement and what becomes of callers is the engine's; here is the switch, for who has the right to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import RedirectResponse, Response

from callcore.access.rights import Right, needs
from callcore.domain.centre import Centre
from callcore.domain.emergency import Emergency
from callcore.domain.ids import SECOND, CentreId
from callcore.runtime.emergencydesk import REASON_LONGEST
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems
from callcore.web.acts import PROBLEMS, Acts, CentrePath, Done
from callcore.web.gate import form_of, person_of
from callcore.web.paper import Paper, language_of

PAGE = "/emergency"
SHOWN_S = 2.0
"""A switch that was done is in the journal, and a tenth of a second later on the floor; not, if nothing was changed."""


class ClosureIn(BaseModel):
    reason: str = Field(min_length=1, max_length=REASON_LONGEST, examples=["台風のため"])
    until: Annotated[
        AwareDatetime | None,
        Field(description="with its offset; null: the centre's next midnight. At most 31 days ahead"),
    ] = None


class ClosureOut(BaseModel):
    """`on` false: there is none, and the other fields are null."""

    on: bool
    since: m.Moment | None = None
    until: m.Moment | None = None
    reason: str | None = None
    by: str | None = Field(default=None, examples=["user:sato", "agent:1001"])


class Closures:
    def __init__(self, app: FastAPI, live: LiveSource, acts: Acts, paper: Paper) -> None:
        self._live = live
        self._acts = acts
        self._paper = paper
        path = "/api/v1/centres/{centre}/emergency"
        for method, endpoint, summary, model in (
            ("GET", self.look, "臨時休止 / The emergency closure", ClosureOut),
            ("PUT", self.begin, "臨時休止を始める / Begin an emergency closure", Done),
            ("DELETE", self.end, "臨時休止を終える / End an emergency closure", Done),
        ):
            app.add_api_route(
                path,
                endpoint,
                methods=[method],
                summary=summary,
                response_model=model,
                tags=["centres"],
                responses=PROBLEMS,
            )
        for methods, shown in ((["GET", "HEAD"], self.page), (["POST"], self.switch)):
            app.add_api_route(PAGE, shown, methods=methods, include_in_schema=False, response_class=Response)

    def _now(self, centre: Centre) -> Emergency | None:
        found = self._live.view().floor.emergencies.get(centre.id)
        return found if found is not None and found.on(self._live.now()) else None

    def _known(self, request: Request, right: Right, centre: str) -> Centre | Response:
        """The centre, or why not."""
        if not person_of(request).may(right, CentreId(centre)):
            return self._acts.gate.denied(request, person_of(request), on=centre)
        found = self._live.view().floor.centres.get(CentreId(centre))
        return problems.respond(problems.NOT_FOUND, request.url.path) if found is None else found

    # -- machines -----------------------------------------------------------------------------------------------

    @needs(Right.READ_LIVE)
    async def look(self, request: Request, centre: CentrePath) -> Response:
        """Whether the centre is shut by one now, why, until when, and by whom."""
        found = self._known(request, Right.READ_LIVE, centre)
        if isinstance(found, Response):
            return found
        now = self._now(found)
        out = (
            ClosureOut(on=False)
            if now is None
            else ClosureOut(
                on=True, since=m.moment(now.since), until=m.moment(now.until), reason=now.reason, by=now.by
            )
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @needs(Right.EMERGENCY)
    async def begin(self, request: Request, centre: CentrePath, body: ClosureIn) -> Response:
        """Callers hear its announcement at once. Beginning again gives it another end and reason."""
        found = self._known(request, Right.EMERGENCY, centre)
        if isinstance(found, Response):
            return found
        return await self._acts.ordered(request, "emergency_begin", **_wish(found, body.reason, body.until))

    @needs(Right.EMERGENCY)
    async def end(self, request: Request, centre: CentrePath) -> Response:
        """The centre goes by its calendar again."""
        found = self._known(request, Right.EMERGENCY, centre)
        if isinstance(found, Response):
            return found
        return await self._acts.ordered(request, "emergency_end", **_meant(found))

    # -- the page -----------------------------------------------------------------------------------------------

    @needs(Right.EMERGENCY)
    async def page(self, request: Request) -> Response:
        return self._show(request)

    def _show(
        self, request: Request, status: int = 200, error: str | None = None, wrong: str | None = None
    ) -> Response:
        floor, person = self._live.view().floor, person_of(request)
        ja = language_of(request) == "ja"
        rows = []
        for centre in sorted(floor.centres.values(), key=lambda c: c.id):
            if not person.may(Right.EMERGENCY, centre.id):
                continue
            now, zone = self._now(centre), ZoneInfo(centre.calendar.zone)
            rows.append(
                {
                    "id": centre.id,
                    "name": centre.name if ja else centre.name_en,
                    "zone": centre.calendar.zone,
                    "now": now,
                    "since": None if now is None else _local(now.since, zone),
                    "until": None if now is None else _local(now.until, zone),
                }
            )
        return self._paper.show(
            request, "emergency.html", status, rows=rows, error=error, wrong=wrong, longest=REASON_LONGEST
        )

    async def _shown(self, centre: CentreId, before: Emergency | None) -> None:
        """Until the floor that the page is made of has what was done: else it would show the switch as it was."""
        view = self._live.view()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHOWN_S):
                while view.floor.emergencies.get(centre) == before:
                    view = await self._live.changed(view.seq)

    @needs(Right.EMERGENCY)
    async def switch(self, request: Request) -> Response:
        """One form of the page: `centre`, and `act` begin (`reason`, `until` in the centre's own time) or end."""
        form = await form_of(request)
        found = self._known(request, Right.EMERGENCY, form.get("centre", ""))
        if isinstance(found, Response):
            return self._paper.problem(request, problems.BY_STATUS[found.status_code])
        ja = language_of(request) == "ja"
        before = self._live.view().floor.emergencies.get(found.id)
        if form.get("act") == "end":
            told = await self._acts.order(request, "emergency_end", **_meant(found))
        else:
            reason, until = form.get("reason", "").strip(), None
            if form.get("until"):
                try:
                    until = datetime.fromisoformat(form["until"]).replace(
                        tzinfo=ZoneInfo(found.calendar.zone)
                    )
                except ValueError:
                    why = "終わりの日時が正しくありません" if ja else "the end is no date and time"
                    return self._show(request, 422, why, found.id)
            told = await self._acts.order(request, "emergency_begin", **_wish(found, reason, until))
        if told.kind is problems.CONFLICT:
            words = (told.detail or "").split(" / ")
            return self._show(request, 409, words[0 if ja else -1], found.id)
        if told.kind is not None:
            return self._paper.problem(request, told.kind)
        await self._shown(found.id, before)
        done = "emergency_ended" if form.get("act") == "end" else "emergency_begun"
        return RedirectResponse(f"{PAGE}?done={done}", 303)


def _meant(centre: Centre) -> dict[str, Any]:
    return {"on": centre.id, "of": centre.id, "centre": centre.id}


def _wish(centre: Centre, reason: str, until: datetime | None) -> dict[str, Any]:
    end = None if until is None else until.timestamp()
    return {**_meant(centre), "why": reason, "reason": reason, "until": end}


def _local(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / SECOND, zone).strftime("%Y-%m-%d %H:%M")
