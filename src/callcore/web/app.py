"""The application: every route, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from callcore import __version__
from callcore.access.accounts import Accounts
from callcore.access.rights import Right, needs
from callcore.access.trail import Result, Trail
from callcore.runtime.detail import CallReader
from callcore.runtime.erasures import ErasureReader
from callcore.runtime.ports import Beside, Health, HealthCheck, LiveSource, Orders
from callcore.runtime.recordings import RecordingReader
from callcore.web import examples, guard, problems
from callcore.web import models as m
from callcore.web.acts import Acts, CentrePath, add_agents, add_answers
from callcore.web.agents import add_agent_list
from callcore.web.announcements import Announcements, Told
from callcore.web.archive import ArchivePages
from callcore.web.blocked import BlockedPage, add_blocked
from callcore.web.callbacks import add_callbacks
from callcore.web.callpages import CallPages
from callcore.web.calls import Calls, add_calls
from callcore.web.centres import add_centres
from callcore.web.closures import Closures
from callcore.web.days import Days, add_days
from callcore.web.departments import add_departments
from callcore.web.erasures import Erasures
from callcore.web.exports import ExportPage, Exports, add_exports
from callcore.web.figurepages import FigurePages
from callcore.web.figures import add_figures
from callcore.web.gate import Gate, GuardedRoute, Limits, person_of
from callcore.web.guard import LOOPBACK_NAMES, Guard
from callcore.web.marks import Marks
from callcore.web.messages import add_messages
from callcore.web.once import HEADER, PATTERN, Once
from callcore.web.owndesk import OwnDesk
from callcore.web.paper import DESK, Paper, language_of
from callcore.web.people import Desk, visible_lines, wanted_of
from callcore.web.phones import PhoneFiles, add_phones
from callcore.web.recordings import Archive, add_recordings
from callcore.web.show import Sight, sight_of
from callcore.web.stream import Pace, Streams, TooManyStreams, seen_last
from callcore.web.supervise import add_supervision
from callcore.web.visits import add_visits

Metrics = Callable[[str], tuple[bytes, str]]
"""Given the Accept header, the exposition and its content type."""

HEALTH_DEADLINE_S = 2.0
"""A check answers within one second by its contract; twice that is a check that hangs."""

ONCE: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Asked again with the same key within a day: done once, and answered alike.",
    "schema": {"type": "string", "pattern": PATTERN},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}

FOREVER = "public, max-age=31536000, immutable"


def create_app(
    live: LiveSource,
    *,
    health: Sequence[HealthCheck],
    metrics: Metrics,
    accounts: Accounts,
    trail: Trail,
    orders: Orders,
    once: Once,
    calls: CallReader | None = None,
    phones: PhoneFiles | None = None,
    told: Told | None = None,
    erasures: ErasureReader | None = None,
    recordings: RecordingReader | None = None,
    limits: Limits | None = None,
    hosts: frozenset[str] = LOOPBACK_NAMES,
    plain: bool = False,
    pace: Pace | None = None,
    beside: Callable[[], Beside] = Beside,
) -> FastAPI:
    """The web application over one live source. It starts no task; `serve` ends its streams.

    `hosts` are the names under which it may be opened, and `plain` lets other machines open it without TLS. `calls`
    adds the search of stored calls and each one's page, `phones` what desk phones fetch below `/phones`, `told` the
    page of announcements, `erasures` the reports of what was erased, `recordings` their search and sound,
    `beside` what no journal holds. Raises TypeError when a route names no right.
    """
    app = FastAPI(
        title="callcore",
        version=__version__,
        description="公共コールセンターの電話の今。 / The telephones of public call centres, as they are now.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    streams = Streams(live, pace or Pace(), beside)
    gate, paper = Gate(accounts, trail, limits or Limits()), Paper()
    app.router.route_class = GuardedRoute
    app.state.streams, app.state.gate, app.state.page_of_problem = streams, gate, paper.problem
    app.state.journal_read = lambda: live.view().seq.n > 0
    app.add_middleware(Guard, hosts=hosts, plain=plain)
    _add_errors(app)
    _add_operations(app, health, metrics)
    _add_me(app, live, gate)
    _add_live(app, streams, gate)
    archive = None if recordings is None else Archive(gate, recordings)
    if calls is not None:
        stored = Calls(gate, live, calls)
        add_calls(app, stored)
        add_visits(app, calls)
        CallPages(app, stored, archive, paper)
        days = Days(live, calls)
        add_days(app, days)
        FigurePages(app, days, paper)
    if phones is not None:
        add_phones(app, live, gate, phones)
    acts = Acts(gate, orders, once)
    add_agent_list(app, live)
    add_agents(app, live, acts)
    add_answers(app, live, acts)
    add_supervision(app, live, acts)
    add_messages(app, live, acts, calls)
    add_callbacks(app, live, acts)
    _add_pages(app, live, paper)
    Closures(app, live, acts, paper)
    add_blocked(app, live, acts)
    BlockedPage(app, live, acts, paper)
    if told is not None:
        Announcements(app, live, gate, paper, told)
    if erasures is not None:
        Erasures(app, live, paper, erasures)
    if recordings is not None and archive is not None:
        add_recordings(app, archive)
        pages = ArchivePages(app, archive, paper)
        Marks(app, archive, acts, pages)
        exports = Exports(gate, recordings)
        add_exports(app, exports)
        ExportPage(app, exports, paper)
    add_centres(app, live)
    add_departments(app, live, acts)
    OwnDesk(app, live, acts, paper)
    add_figures(app, live, acts)
    Desk(app, live, gate, paper)
    _finish_document(app)
    return app


def _finish_document(app: FastAPI) -> None:
    """What FastAPI does not know: who may, what the gate answers, and examples (it would leave out their nulls)."""
    make = app.openapi
    rights = {
        (route.path, method.lower()): _right_of(route)
        for route in routes(app)
        for method in route.methods or ()
    }

    def openapi() -> dict[str, Any]:
        document = make()
        components = document["components"]
        components["securitySchemes"] = {
            "session": {"type": "apiKey", "in": "cookie", "name": "callcore-session"},
            "token": {"type": "http", "scheme": "bearer"},
        }
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                right = rights[path, method]
                operation["x-right"] = right.value
                answers = operation["responses"]
                for answer in answers.values():
                    if problems.CONTENT_TYPE in answer.get("content", {}):
                        answer["content"].pop("application/json", None)  # FastAPI's own guess of the type
                answers.setdefault("429", problems.documented_whole("too often; see Retry-After"))
                if right is not Right.ANYONE:
                    operation["security"] = [{"token": []}, {"session": []}]
                    answers.setdefault("401", problems.documented_whole("nobody is signed in"))
                    answers.setdefault("403", problems.documented_whole("not allowed"))
                    answers.setdefault(
                        "503",
                        problems.documented_whole("a refusal could not be written into the audit trail"),
                    )
                    if "{" in path:
                        answers["503"]["description"] += "; the journal is not read yet, see Retry-After"
                if method != "get" and "409" in answers:  # what is ordered of the engine (`Acts.ordered`)
                    operation.setdefault("parameters", []).append(ONCE)
                guard.document(operation)
                examples.document(path, operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def routes(app: FastAPI) -> list[GuardedRoute]:
    """Every route. Raises TypeError when one was added past the gate."""
    found = []
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} does not pass the gate")
        found.append(route)
    return found


def _right_of(route: GuardedRoute) -> Right:
    right: Right = route.endpoint.right  # type: ignore[attr-defined]
    return right


def _add_errors(app: FastAPI) -> None:
    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        kind = problems.BY_STATUS.get(error.status_code, problems.REFUSED)
        headers = dict(error.headers) if error.headers else None
        return problems.respond(kind, request.url.path, headers=headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        detail = f"{where}: {first['msg']} — {problems.INVALID.detail}"
        return problems.respond(problems.INVALID, request.url.path, detail=detail)

    app.add_exception_handler(StarletteHTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)


def _add_operations(app: FastAPI, health: Sequence[HealthCheck], metrics: Metrics) -> None:
    @app.get("/healthz", tags=["operation"], summary="動いているか / Alive")
    @needs(Right.ANYONE)
    async def healthz() -> m.Alive:
        """The process answers. Says nothing of what it depends on."""
        return m.Alive(version=__version__)

    @app.get(
        "/readyz",
        tags=["operation"],
        summary="依存先の状態 / Each dependency by name",
        response_model=m.Ready,
        responses={503: {"model": m.Ready, "description": "少なくとも一つが異常 / at least one is not well"}},
    )
    @needs(Right.READ_OPERATION)
    async def readyz() -> Response:
        results = await asyncio.gather(*(_within(check) for check in health))
        ready = all(one.ok for one in results)
        body = m.Ready(
            ready=ready, checks=[m.HealthOut(name=h.name, ok=h.ok, detail=h.detail) for h in results]
        )
        return Response(body.model_dump_json(), 200 if ready else 503, media_type="application/json")

    @app.api_route("/metrics", methods=["GET", "HEAD"], include_in_schema=False, response_class=Response)
    @needs(Right.READ_OPERATION)
    async def exposition(request: Request) -> Response:
        body, content_type = metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    @app.get("/api/v1/openapi.json", include_in_schema=False, response_class=Response)
    @needs(Right.READ_DOCUMENT)
    async def document() -> Response:
        return JSONResponse(app.openapi())


async def _within(check: HealthCheck) -> Health:
    name = getattr(check, "__name__", type(check).__name__)
    try:
        async with asyncio.timeout(HEALTH_DEADLINE_S):
            return await check()
    except TimeoutError:
        return Health(
            name,
            False,
            f"{HEALTH_DEADLINE_S:g} 秒以内に答えがない。記録を確かめてください。 / "
            f"no answer within {HEALTH_DEADLINE_S:g} s; look at the log.",
        )


def _add_me(app: FastAPI, live: LiveSource, gate: Gate) -> None:
    @app.get("/api/v1/me", tags=["people"], summary="自分 / Who asks", response_model=m.MeOut)
    @needs(Right.READ_DOCUMENT)
    async def me(request: Request) -> m.MeOut:
        """Who the token or session belongs to, with every right and how far it reaches."""
        person = person_of(request)
        return m.MeOut(
            id=person.id,
            name=person.name,
            role=None if person.role is None else person.role.value,
            centres=sorted(person.centres),
            agent=person.agent,
            rights={right.value: reach.value for right, reach in person.rights.items()},
        )

    @app.get(
        "/api/v1/audit",
        tags=["people"],
        summary="監査記録 / The audit trail",
        response_model=m.TrailOut,
        responses={422: problems.documented("a search that does not fit")},
    )
    @needs(Right.READ_TRAIL)
    async def audit(
        request: Request,
        text: Annotated[str | None, Query(max_length=100)] = None,
        who: Annotated[str | None, Query(max_length=100, examples=["user:sato"])] = None,
        centre: Annotated[str | None, Query(max_length=40)] = None,
        result: Annotated[Result | None, Query()] = None,
        first: Annotated[date | None, Query(description="UTC, included")] = None,
        last: Annotated[date | None, Query(description="UTC, included")] = None,
        before: Annotated[int | None, Query(ge=1, description="numbers below this")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        """Lines of those centres over which the right reaches, the newest first."""
        wanted = wanted_of(request.query_params)
        lines = await asyncio.to_thread(visible_lines, gate, person_of(request), wanted, limit, before)
        return Response(m.trail_out(lines, limit), media_type="application/json")


def _add_live(app: FastAPI, streams: Streams, gate: Gate) -> None:
    def sight(request: Request) -> Sight:
        return sight_of(person_of(request), Right.READ_LIVE, streams.live.view().floor)

    @app.get(
        "/api/v1/live",
        tags=["live"],
        summary="フロアの今 / The floor as it is",
        response_model=m.Live,
    )
    @needs(Right.READ_LIVE)
    async def live_now(request: Request) -> Response:
        """Waiting callers, agents, open calls and today's figures of every centre that one may see, at one `seq`."""
        return Response(streams.shot(sight(request)).body, media_type="application/json")

    @app.get(
        "/api/v1/live/stream",
        tags=["live"],
        summary="フロアの今(配信) / The floor as it changes",
        response_class=Response,
        responses={
            200: {
                "description": (
                    "Server-Sent Events. Each event `live` holds the whole floor as `/api/v1/live` gives it; its id is "
                    "the `seq`. One at once, then one when something changed (at most 10 a second) and at least one "
                    "every 5 s. After a break, come back with the last id (`Last-Event-ID` or `after`): the first "
                    "event is complete, and not before that `seq`, unless it is not reached within 5 s. With "
                    "`changes`, events `change` follow it, each with what changed since the event before: docs/api."
                ),
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            422: problems.documented("a parameter that does not fit"),
            503: problems.documented("too many streams, or shutting down"),
        },
    )
    @needs(Right.READ_LIVE)
    async def live_stream(
        request: Request,
        after: Annotated[
            str | None, Query(description="as `Last-Event-ID`, which counts if there are both")
        ] = None,
        changes: Annotated[bool, Query(description="after the first, only what changed")] = False,
        last_event_id: Annotated[
            str | None,
            Header(description="`seq` of the last event that was seen; what is none is not looked at"),
        ] = None,
    ) -> Any:
        """Who may see it no longer is let go at the next event."""

        def still() -> Sight | None:
            return sight(request) if gate.still(request, Right.READ_LIVE) else None

        try:
            return streams.admit(still, seen_last(last_event_id or after), changes=changes)
        except TooManyStreams:
            return problems.respond(problems.TOO_MANY, request.url.path, headers={"retry-after": "3"})


def _add_pages(app: FastAPI, live: LiveSource, paper: Paper) -> None:
    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False, response_class=Response)
    @needs(Right.OWN_ACCOUNT)
    async def board(request: Request) -> Response:
        if not person_of(request).may(Right.READ_LIVE):
            own = person_of(request).agent is not None and person_of(request).may(Right.READ_AGENTS)
            return RedirectResponse(DESK if own else "/account", 303)
        return paper.show(request, "board.html")

    @app.api_route("/wall", methods=["GET", "HEAD"], include_in_schema=False, response_class=Response)
    @needs(Right.READ_LIVE)
    async def wall(request: Request) -> Response:
        return _wall(request, None)

    @app.api_route(
        "/wall/{centre}", methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
    )
    @needs(Right.READ_LIVE)
    async def wall_of(request: Request, centre: CentrePath) -> Response:
        return _wall(request, centre)

    def _wall(request: Request, only: str | None) -> Response:
        person, ja = person_of(request), language_of(request) == "ja"
        known = live.view().floor.centres.values()
        mine = sorted((c for c in known if person.may(Right.READ_LIVE, c.id)), key=lambda c: c.id)
        if only is not None and only not in {c.id for c in mine}:
            return paper.problem(request, problems.NOT_FOUND)
        named = [(c.id, c.name if ja else c.name_en) for c in mine]
        return paper.show(request, "wall.html", centre=only, centres=named)

    @app.get("/static/{version}/{name}", include_in_schema=False, response_class=Response)
    @needs(Right.ANYONE)
    async def static(version: str, name: str) -> Response:
        found = paper.assets.get(version, name)
        if found is None:
            raise HTTPException(404)
        content, content_type = found
        return Response(content, headers={"content-type": content_type, "cache-control": FOREVER})
