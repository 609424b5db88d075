"""A program that asks what the API's own document allows, and what it does not: never a 5xx, never a surprise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI, Response

from callcore.web import Pace, listen, serve
from callcore.web.gate import COOKIE, CSRF_HEADER, Limits
from callcore.web.stream import Streams
from tests.support.floors import Desk
from tests.support.fuzz import beside, fuzz
from tests.support.people import PASSWORD, cheap_hashes, first_administrator
from tests.support.recorded import Empty
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, Served, served

ENDLESS = "/api/v1/live/stream"
"""Has no end; `test_web_stream.py` asks it."""

SECONDS = 60.0
"""At most: a count ends it before, unless the machine has too much to do."""
EXAMPLES = 4
"""Of each operation that fit the document, and as many that do not."""


@contextlib.asynccontextmanager
async def whole() -> AsyncIterator[Served]:
    """The application with every route that it can have, and nobody counting how often it is asked."""
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    limits = Limits(requests=1_000_000)
    async with served(DeskSource(desk), calls=Shelf.of(desk), recordings=Empty(), limits=limits) as server:
        yield server


def a_machine(server: Served) -> dict[str, str]:
    return server.machine


def an_administrator(server: Served) -> dict[str, str]:
    """As a page of ours would send it."""
    first_administrator(server.accounts)
    opened = server.accounts.sign_in("chief", PASSWORD, "127.0.0.1", "a test")
    return {
        "cookie": f"{COOKIE}={opened.cookie}",
        CSRF_HEADER: opened.session.csrf,
        "sec-fetch-site": "same-origin",
    }


def nobody(server: Served) -> dict[str, str]:
    return {}


@pytest.mark.parametrize(
    ("who", "answers"),
    [(a_machine, {200, 404, 422}), (an_administrator, {200, 404, 422}), (nobody, {200, 401})],
)
@pytest.mark.timeout(150)
def test_no_request_meets_a_fault_or_an_answer_that_the_document_does_not_tell_of(
    who: Callable[[Served], dict[str, str]], answers: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    with beside(whole()) as server:
        document = httpx.get(f"{server.url}/api/v1/openapi.json", headers=server.machine, timeout=30).json()
        seen = fuzz(
            document,
            server.url,
            headers=who(server),
            skip={ENDLESS},
            examples=EXAMPLES,
            seconds=SECONDS,
        )
    assert all(counts.total() > 0 for counts in seen.values()), seen
    assert answers <= set().union(*seen.values()), "who is let in is let in"


class Planted(FastAPI):
    """An application with a fault that is planted; the real server takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.state.streams = Streams(DeskSource(Desk().begin()), Pace())


@contextlib.asynccontextmanager
async def standing(app: FastAPI) -> AsyncIterator[str]:
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, listener, stop=stop, started=up.set_result))
    yield (await asyncio.wait_for(up, 10)).rstrip("/")
    stop.set()
    await task


def falls_over(app: FastAPI) -> None:
    @app.get("/half/{n}", responses={422: {}})
    async def half(n: int) -> int:
        return 100 // (n % 5)


def answers_in_secret(app: FastAPI) -> None:
    @app.get("/half/{n}")
    async def half(n: int, answer: Response) -> int:
        answer.status_code = 200 if n % 2 else 418
        return n


def answers_something_else(app: FastAPI) -> None:
    @app.get("/half/{n}", response_model=int)
    async def half(n: int) -> Response:
        return Response(b'"half"', media_type="application/json")


@pytest.mark.parametrize(
    ("plant", "said"),
    [(falls_over, "Server error"), (answers_in_secret, "Undocumented"), (answers_something_else, "schema")],
)
@pytest.mark.timeout(90)
def test_a_planted_fault_is_found(plant: Callable[[FastAPI], None], said: str) -> None:
    app = Planted()
    plant(app)
    with beside(standing(app)) as url:
        document = httpx.get(f"{url}/openapi.json", timeout=30).json()
        with pytest.raises(BaseExceptionGroup, match=said):
            fuzz(document, url, seconds=SECONDS)
