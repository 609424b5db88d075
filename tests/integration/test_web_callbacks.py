"""Call-backs by API, on the board and in the tables: as they stand in the line, taken off it by who may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.access.trail import Wanted
from callcore.db import Database, Projection, Queries
from callcore.domain.ids import CentreId, Instant
from callcore.domain.stages import CallbackEnd, SideOutcome
from tests.support.days import TestFrame, seal
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.web import DeskSource, Served, served
from tests.unit import test_callbacks as callbacks

LIST = "/api/v1/centres/demo/callbacks"


@pytest.fixture
async def waiting() -> AsyncIterator[Served]:
    """Two who are to be called back, the first of them after a first attempt."""
    made = callbacks.desk()
    callbacks.asks(made, 0, "first")
    callbacks.asks(made, 10, "second", "0322222222")
    made.sign_in(20, 1)
    callbacks.ends(made, 40, callbacks.picked_up(made, 30), SideOutcome.BUSY)
    async with served(DeskSource(made)) as server:
        first_administrator(server.accounts)
        user(server.accounts, "sup", Role.SUPERVISOR)
        user(server.accounts, "city", Role.VIEWER)
        user(server.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        yield server


async def ask(server: Served, name: str, method: str, path: str, **more: Any) -> httpx.Response:
    begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
    headers = {"cookie": f"callcore-session={begun.cookie}", "x-csrf-token": begun.session.csrf}
    async with httpx.AsyncClient() as client:
        return await client.request(method, server.url + path, headers=headers, **more)


async def test_the_list_is_the_line_and_the_board_has_it_too(waiting: Served) -> None:
    listed = (await ask(waiting, "sup", "GET", LIST)).json()["callbacks"]
    assert [(c["call"], c["state"], c["attempts"], c["number"]) for c in listed] == [
        ("first", "waiting", 1, "*******678"),
        ("second", "waiting", 0, "*******222"),
    ]
    assert listed[0]["not_before"] is not None
    board = (await ask(waiting, "city", "GET", "/api/v1/live")).json()["centres"][0]["callbacks"]
    assert [(c["call"], c["number"]) for c in board] == [("first", None), ("second", None)]
    assert (await ask(waiting, "far", "GET", LIST)).status_code == 404


async def test_one_is_taken_off_the_list_by_who_may(waiting: Served) -> None:
    path = "/api/v1/callbacks/first/drop"
    assert (await ask(waiting, "sup", "POST", path, json={"why": "来庁された"})).status_code == 200
    assert waiting.orders.orders == [("callback_drop", "user:sup", {"call": "first"})]
    assert [line.why for line in waiting.trail.newest(Wanted(who="user:sup"), 10)] == ["来庁された"]
    for name in ("city", "far"):
        assert (await ask(waiting, name, "POST", path)).status_code == 403
    assert (await ask(waiting, "chief", "POST", "/api/v1/callbacks/nothing/drop")).status_code == 404


@pytest.mark.parametrize("batch", [1, 1000])
async def test_the_asking_calls_row_says_what_became_of_it(database_url: str, batch: int) -> None:
    made = callbacks.desk()
    callbacks.asks(made, 0)
    made.sign_in(10, 1)
    callbacks.talk(made, 20, callbacks.picked_up(made, 15))
    callbacks.asks(made, 30, "n", "0322222222")
    callbacks.waits(made, 40, "o", "0322222222")
    callbacks.gone(made, 50, "o")
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    database = Database(database_url)
    try:
        sink = Projection(database, seal)
        for first in range(0, len(frames), batch):
            await sink.apply(frames[first : first + batch])
        records = await Queries(database).records(CentreId("demo"), Instant(0), Instant(made.at(1000)))
    finally:
        await database.close()
    assert {r.call: r for r in records} == dict(made.books.records)
    assert {r.call: r.callback for r in records} == {
        "m": CallbackEnd.REACHED,
        "n": CallbackEnd.CANCELLED,
        "o": None,
    }
