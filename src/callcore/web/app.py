"""The application: every route, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from callcore import __version__
from callcore.domain.ids import CallId
from callcore.runtime.detail import CallReader
from callcore.runtime.ports import Health, HealthCheck, LiveSource
from callcore.web import models as m
from callcore.web import guard, problems, show, texts
from callcore.web.assets import Assets
from callcore.web.guard import LOOPBACK_NAMES, Guard
from callcore.web.stream import Pace, Streams, TooManyStreams

Metrics = Callable[[str], tuple[bytes, str]]
"""Given the Accept header, the exposition and its content type."""

HEALTH_DEADLINE_S = 2.0
"""A check answers within one second by its contract; twice that is a check that hangs."""

FOREVER = "public, max-age=31536000, immutable"

_PROBLEM: dict[str, Any] = {
    "model": m.Problem,
    "content": {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, **_PROBLEM}


def create_app(
    live: LiveSource,
    *,
    health: Sequence[HealthCheck],
    metrics: Metrics,
    calls: CallReader | None = None,
    hosts: frozenset[str] = LOOPBACK_NAMES,
    plain: bool = False,
    pace: Pace | None = None,
) -> FastAPI:
    """The web application over one live source. It starts no task; `serve` ends its streams.

    `hosts` are the names under which it may be opened; `plain`: by other machines without TLS too. `calls` adds
    `/api/v1/calls/{call}`.
    """
    app = FastAPI(
        title="callcore",
        version=__version__,
        description="公共コールセンターの電話の今。 / The telephones of public call centres, as they are now.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    streams = Streams(live, pace or Pace())
    app.state.streams = streams
    app.add_middleware(Guard, hosts=hosts, plain=plain)
    _add_errors(app)
    _add_operations(app, health, metrics)
    _add_live(app, streams)
    if calls is not None:
        _add_calls(app, live, calls)
    _add_pages(app)
    _add_examples(app)
    return app


def _add_examples(app: FastAPI) -> None:
    """Put the examples into the finished document: FastAPI itself would leave out every null in them."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        for path in document["paths"].values():
            for operation in path.values():
                guard.document(operation)
        schemas = document["components"]["schemas"]
        for name, example in (("Live", m.EXAMPLE), ("CallOut", m.CALL_EXAMPLE)):
            if name in schemas:
                schemas[name]["examples"] = [example]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


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
    async def readyz() -> Response:
        results = await asyncio.gather(*(_within(check) for check in health))
        ready = all(one.ok for one in results)
        body = m.Ready(
            ready=ready, checks=[m.HealthOut(name=h.name, ok=h.ok, detail=h.detail) for h in results]
        )
        return Response(body.model_dump_json(), 200 if ready else 503, media_type="application/json")

    async def exposition(request: Request) -> Response:
        body, content_type = metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    app.router.routes.append(Route("/metrics", exposition, methods=["GET"]))


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


def _add_live(app: FastAPI, streams: Streams) -> None:
    @app.get(
        "/api/v1/live",
        tags=["live"],
        summary="フロアの今 / The floor as it is",
        response_model=m.Live,
    )
    async def live_now() -> Response:
        """Waiting callers, agents, open calls and today's figures of every centre, at one `seq`."""
        return Response(streams.shot().body, media_type="application/json")

    @app.get(
        "/api/v1/live/stream",
        tags=["live"],
        summary="フロアの今(配信) / The floor as it changes",
        response_class=Response,
        responses={
            200: {
                "description": (
                    "Server-Sent Events. Each event `live` holds the whole floor as `/api/v1/live` gives it; its id is "
                    "the `seq`. One at once, then one when something changed (at most 5 a second) and at least one "
                    "every 5 s. After a break, come back with or without `Last-Event-ID`: the first event is complete."
                ),
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            503: _problem("too many streams, or shutting down"),
        },
    )
    async def live_stream(request: Request) -> Any:
        try:
            return streams.admit()
        except TooManyStreams:
            return problems.respond(problems.TOO_MANY, request.url.path, headers={"retry-after": "3"})


def _add_calls(app: FastAPI, live: LiveSource, calls: CallReader) -> None:
    @app.get(
        "/api/v1/calls/{call}",
        tags=["calls"],
        summary="入電の詳細 / One call in detail",
        response_model=m.CallOut,
        responses={
            404: _problem("no such call"),
            422: _problem("not a call's id"),
            503: _problem("the database cannot be asked; calls go on"),
        },
    )
    async def one_call(
        request: Request,
        call: Annotated[
            str, Path(max_length=150, pattern=r"^[A-Za-z0-9._:-]+$", examples=["node1-1795136400.9"])
        ],
    ) -> Response:
        """One stored call: its outcome, its visits, its offers with reasons, its recording."""
        try:
            detail = await calls.call(CallId(call))
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        if detail is None:
            raise HTTPException(404)
        return Response(show.call_out(detail, live.now()).model_dump_json(), media_type="application/json")


def _add_pages(app: FastAPI) -> None:
    assets = Assets()
    source = files("callcore.web").joinpath("pages", "board.html").read_text("utf-8")
    environment = Environment(
        loader=DictLoader({"board.html": source}), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("board.html")
    rendered = {
        language: page.render(
            lang=language, t=texts.texts(language), languages=texts.LANGUAGES, asset=assets.url
        )
        for language in texts.LANGUAGES
    }

    async def board(request: Request) -> Response:
        language = texts.choose(request.query_params.get("lang"), request.headers.get("accept-language"))
        return HTMLResponse(
            rendered[language], headers={"content-language": language, "vary": "accept-language"}
        )

    async def static(request: Request) -> Response:
        found = assets.get(request.path_params["version"], request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        content, content_type = found
        return Response(content, headers={"content-type": content_type, "cache-control": FOREVER})

    app.router.routes.append(Route("/", board, methods=["GET"]))
    app.router.routes.append(Route("/static/{version}/{name}", static, methods=["GET"]))
