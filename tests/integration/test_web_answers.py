"""Prepared answers by API: put on a call out that reached nobody, dropped, and listed for who may see numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from callcore.domain import inputs as i
from callcore.domain.ids import CallId, ChannelId
from callcore.domain.stages import SideOutcome
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.web import DeskSource, Served, served
from tests.unit import test_core_sides as sides

SECOND = 1_000_000


@pytest.fixture
async def missed() -> AsyncIterator[tuple[Served, CallId]]:
    """A centre in which a call out reached nobody."""
    made = sides.desk()
    call = sides.dial(made, 100)
    made.tell(i.SideReturned(at=made.at(110), call=call, outcome=SideOutcome.NO_ANSWER))
    made.tell(i.ChannelGone(at=made.at(110), channel=ChannelId(call), cause=16))
    async with served(DeskSource(made)) as server:
        first_administrator(server.accounts)
        user(server.accounts, "sup", Role.SUPERVISOR)
        user(server.accounts, "city", Role.VIEWER)
        user(server.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        yield server, call


async def ask(server: Served, name: str, method: str, path: str, **more: Any) -> httpx.Response:
    begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
    headers = {"cookie": f"callcore-session={begun.cookie}", "x-csrf-token": begun.session.csrf}
    async with httpx.AsyncClient() as client:
        return await client.request(method, server.url + path, headers=headers, **more)


async def test_an_answer_is_put_on_the_call_and_dropped_and_the_trail_has_no_word_of_it(
    missed: tuple[Served, CallId],
) -> None:
    server, call = missed
    path, text = f"/api/v1/calls/{call}/answer", {"text": "交付の準備ができました"}
    assert (await ask(server, "sup", "PUT", path, json=text)).status_code == 200
    assert (await ask(server, "sup", "DELETE", path)).status_code == 200
    assert server.orders.orders == [
        ("answer", "user:sup", {"call": call, **text}),
        ("answer_drop", "user:sup", {"call": call}),
    ]
    for name, status in (("far", 403), ("city", 403)):
        assert (await ask(server, name, "PUT", path, json=text)).status_code == status
    assert (await ask(server, "chief", "PUT", "/api/v1/calls/none.1/answer", json=text)).status_code == 404
    for wrong in ({"text": ""}, {"text": "あ" * 201}, {}):
        assert (await ask(server, "sup", "PUT", path, json=wrong)).status_code == 422
    told = server.trail.newest(Wanted(who="user:sup"), 10)
    assert [(line.action, line.on, line.centre) for line in reversed(told)] == [
        ("answer", call, "demo"),
        ("answer_drop", call, "demo"),
    ]
    assert all("交付" not in str(line) for line in server.trail.newest(Wanted(), 100))
    assert {line.result for line in server.trail.newest(Wanted(who="user:far"), 10)} == {Result.REFUSED}


async def test_the_answers_that_wait_are_listed_for_who_may_see_numbers(
    missed: tuple[Served, CallId],
) -> None:
    server, call = missed
    row = {"call": call, "at": SECOND, "until": 2 * SECOND, "number": "*******678", "text": None}
    server.orders.answer = [row]  # type: ignore[assignment]
    path = "/api/v1/centres/demo/answers"
    answer = await ask(server, "sup", "GET", path)
    assert answer.json() == {
        "answers": [{**row, "at": "1970-01-01T00:00:01.000Z", "until": "1970-01-01T00:00:02.000Z"}]
    }
    assert [(await ask(server, name, "GET", path)).status_code for name in ("city", "far")] == [403, 403]
    assert (await ask(server, "chief", "GET", "/api/v1/centres/nowhere/answers")).status_code == 404
