"""An agent's own page, beside the phone: state and today's figures, the call in hand, its result and a note, and the
directory. Nobody needs it: the phone's keys and display do the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from callcore.access.rights import Right, needs
from callcore.domain import directory
from callcore.domain.agent import AgentState
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, AgentId, Instant
from callcore.domain.keyed import NOTE_MOST
from callcore.runtime.ports import LiveSource
from callcore.web import problems, show
from callcore.web.acts import Acts
from callcore.web.callpages import length, local
from callcore.web.gate import form_of, person_of
from callcore.web.paper import DESK, Paper, language_of

ASKED_LONGEST: Final = 100


class OwnDesk:
    def __init__(self, app: FastAPI, live: LiveSource, acts: Acts, paper: Paper) -> None:
        self._live = live
        self._acts = acts
        self._paper = paper
        app.add_api_route(
            DESK, self.look, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
        )
        app.add_api_route(DESK, self.act, methods=["POST"], include_in_schema=False, response_class=Response)

    def _own(self, request: Request) -> tuple[AgentState, Centre] | None:
        """The agent that this person is, and the agent's centre."""
        name, floor = person_of(request).agent, self._live.view().floor
        agent = None if name is None else floor.agents.get(AgentId(name))
        centre = None if agent is None else floor.centres.get(agent.centre)
        return None if agent is None or centre is None else (agent, centre)

    @needs(Right.READ_AGENTS)
    async def look(self, request: Request) -> Response:
        return self._show(request, 200, None)

    def _show(self, request: Request, status: int, error: str | None) -> Response:
        own = self._own(request)
        if own is None:
            return self._paper.problem(request, problems.NOT_FOUND)
        agent, centre = own
        view, at = self._live.view(), self._live.now()
        working = view.floor.centres.get(agent.at_work_for or centre.id, centre)
        zone, ja = ZoneInfo(centre.time_zone), language_of(request) == "ja"
        asked = request.query_params.get("q", "").strip()[:ASKED_LONGEST]
        out = show.agent_now(view, centre, agent.id, at)
        found = [
            {
                "code": directory.code(each.department),
                "name": each.department.name,
                "office": each.department.office,
                "about": each.department.about,
                "open": each.verdict.open,
                "why": each.verdict.reason if ja else each.verdict.reason_en,
                "busy": each.call is not None,
            }
            for each in directory.listings(view.floor, working, at)
            if directory.fits(each.department, asked or None, None)
        ]
        return self._paper.show(
            request,
            "desk.html",
            status,
            error=error,
            me=out,
            zone=zone.key,
            at=local(at, zone),
            since=None if out.since is None else out.since.astimezone(zone),
            until=None if out.until is None else out.until.astimezone(zone),
            mean=None if out.today.talk_mean_s is None else length(round(out.today.talk_mean_s * SECOND)),
            call=self._call(agent, at, zone),
            results=[(each.key, each.name) for each in working.staff.results],
            note_most=NOTE_MOST,
            asked=asked,
            departments=found,
        )

    def _call(self, agent: AgentState, at: Instant, zone: ZoneInfo) -> dict[str, Any] | None:
        """The call in hand, or wrapped up, as far as it is an arrival."""
        view = self._live.view()
        name = agent.last_call
        record = None if name is None else view.books.records.get(name)
        if name is None or record is None:
            return None
        call, waited = view.floor.calls.get(name), record.waited(at)
        caller = view.floor.caller_of(name)
        queue = view.floor.queues.get(record.queue)
        answer = None if call is None or call.answer is None else view.floor.answers.get(call.answer)
        arrived: datetime | None = local(record.arrived_at, zone)
        return {
            "call": name,
            "arrived": arrived,
            "number": None if caller is None else caller.masked(),
            "queue": record.queue if queue is None else queue.name,
            "waited": None if waited is None else length(waited),
            "language": None if call is None else call.language,
            "again": call is not None and call.again,
            "answer": None if answer is None else answer.text.text,
            "result": agent.result,
        }

    @needs(Right.ACT_AGENTS)
    async def act(self, request: Request) -> Response:
        """One form: `act` result with `key`, or note with `text`."""
        form, own = await form_of(request), self._own(request)
        if own is None:
            return self._paper.problem(request, problems.NOT_FOUND)
        agent, centre = own
        about: dict[str, Any] = {"on": agent.id, "of": centre.id, "agent": agent.id}
        if form.get("act") == "note":
            text = " ".join(form.get("text", "").split())
            told = await self._acts.order(request, "agent_note", text=text, **about)
            done = "desk_note"
        else:
            key = form.get("key", "")
            if not (key.isascii() and key.isdigit() and len(key) == 1):
                return self._paper.problem(request, problems.INVALID)
            told = await self._acts.order(request, "agent_result", key=int(key), **about)
            done = "desk_result"
        if told.kind is not None:
            place = 0 if language_of(request) == "ja" else -1
            return self._show(
                request, told.kind.status, (told.detail or told.kind.detail).split(" / ")[place]
            )
        return RedirectResponse(f"{DESK}?done={done}", 303)
