"""The list of unwelcome callers by API: put on, taken off, looked at; by right and centre, each with its line in the
trail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role, Scope
from callcore.access.trail import Result, Wanted
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.web import DeskSource, Served, served
from tests.unit.test_unwelcome import desk

PATH = "/api/v1/centres/demo/blocked"
UNTIL = datetime(2026, 12, 31, 9, 0, tzinfo=UTC)
WANTED = {"number": "09012345678", "reason": "威圧的な電話を繰り返す", "until": UNTIL.isoformat()}


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served(DeskSource(desk())) as made:
        first_administrator(made.accounts)
        user(made.accounts, "sup", Role.SUPERVISOR)
        user(made.accounts, "city", Role.VIEWER)
        user(made.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        yield made


async def ask(server: Served, name: str, method: str, path: str = PATH, **more: Any) -> httpx.Response:
    begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
    headers = {"cookie": f"callcore-session={begun.cookie}", "x-csrf-token": begun.session.csrf}
    async with httpx.AsyncClient() as client:
        return await client.request(method, server.url + path, headers=headers, **more)


async def test_a_supervisor_lists_a_caller_and_takes_him_off_and_the_trail_has_reason_and_end_but_no_number(
    server: Served,
) -> None:
    server.orders.answer = {"done": True, "entry": "blocked-3f9c"}
    assert (await ask(server, "sup", "POST", json=WANTED)).status_code == 200
    assert (await ask(server, "sup", "DELETE", f"{PATH}/blocked-3f9c")).status_code == 200
    fields = {**WANTED, "centre": "demo", "until": UNTIL.timestamp()}
    assert server.orders.orders == [
        ("blocked_add", "user:sup", fields),
        ("blocked_remove", "user:sup", {"centre": "demo", "entry": "blocked-3f9c"}),
    ]
    removed, added = server.trail.newest(Wanted(who="user:sup"), 10)[:2]
    assert (added.action, added.on, added.centre, added.result) == (
        "blocked_add",
        "blocked-3f9c",
        "demo",
        Result.DONE,
    )
    assert added.why is not None
    assert "威圧的な電話を繰り返す" in added.why and "2026-12-31T09:00+00:00" in added.why
    assert (removed.action, removed.on) == ("blocked_remove", "blocked-3f9c")
    assert all("09012345678" not in str(line) for line in server.trail.newest(Wanted(), 100))


async def test_who_may_not_or_is_of_another_centre_changes_nothing(server: Served) -> None:
    for name in ("city", "far"):
        for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/blocked-1")):
            body = {"json": WANTED} if method == "POST" else {}
            assert (await ask(server, name, method, path, **body)).status_code == 403, (name, method)
    elsewhere = PATH.replace("demo", "nowhere")
    assert (await ask(server, "chief", "POST", elsewhere, json=WANTED)).status_code == 404
    assert server.orders.orders == []
    assert {line.result for line in server.trail.newest(Wanted(who="user:far"), 10)} == {Result.REFUSED}


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "anonymous"},
        {"number": "03-1234-5678"},
        {"number": "11"},
        {"reason": ""},
        {"reason": "あ" * 101},
        {"until": "2026-12-31T09:00:00"},
        {"until": "soon"},
    ],
)
async def test_what_cannot_be_listed_is_refused(server: Served, wrong: dict[str, str]) -> None:
    assert (await ask(server, "sup", "POST", json=WANTED | wrong)).status_code == 422
    assert server.orders.orders == []


async def test_what_the_engine_does_not_do_is_a_conflict_and_stands_in_the_trail_as_failed(
    server: Served,
) -> None:
    server.orders.answer = {"done": False, "why": "終わりは今より後 / the end must be later", "entry": None}
    answer = await ask(server, "sup", "POST", json=WANTED)
    assert (answer.status_code, answer.json()["detail"]) == (409, server.orders.answer["why"])
    line = server.trail.newest(Wanted(who="user:sup"), 1)[0]
    assert (line.action, line.result) == ("blocked_add", Result.FAILED)


async def test_the_list_is_shown_as_the_engine_has_it(server: Served) -> None:
    since = UNTIL - timedelta(days=30)
    row = {
        "entry": "blocked-3f9c",
        "number": "********678",
        "reason": "暴言",
        "since": since.timestamp(),
        "until": UNTIL.timestamp(),
        "by": "user:sup",
    }
    server.orders.answer = [row]  # type: ignore[assignment]
    answer = await ask(server, "sup", "GET")
    assert answer.json() == {
        "blocked": [{**row, "since": "2026-12-01T09:00:00.000Z", "until": "2026-12-31T09:00:00.000Z"}]
    }


async def test_a_machine_that_may_act_may_list_callers(server: Served) -> None:
    server.orders.answer = {"done": True, "entry": "blocked-1"}
    token = server.accounts.add_token("crm", [Scope.ACT], ["demo"], "x")
    reader = server.accounts.add_token("board", [Scope.LIVE], ["demo"], "x")
    async with httpx.AsyncClient() as client:
        for secret, status in ((token, 200), (reader, 403)):
            headers = {"authorization": f"Bearer {secret}"}
            answer = await client.post(server.url + PATH, json=WANTED, headers=headers)
            assert answer.status_code == status
