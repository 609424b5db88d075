"""Messages by API and on the board: listed, taken, called back about and dealt with, each by who may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.web import DeskSource, Served, served
from tests.unit import test_messages as messages

LIST = "/api/v1/centres/demo/messages"


@pytest.fixture
async def served_messages() -> AsyncIterator[Served]:
    """Three messages: one that is open, one that 1002 has taken, one that was dealt with; and an hour later."""
    made = messages.desk()
    for n, name in enumerate(("open", "taken", "done")):
        messages.left(made, 40 * n, name)
    messages.taken(made, 200, "taken", "1002")
    messages.closed(made, 210, "done", result="窓口で承った")
    live = DeskSource(made)
    live.clock = made.at(3620)
    async with served(live) as server:
        first_administrator(server.accounts)
        user(server.accounts, "sup", Role.SUPERVISOR)
        user(server.accounts, "city", Role.VIEWER)
        user(server.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        user(server.accounts, "ope", Role.OPERATOR, agent="1001")
        yield server


async def ask(server: Served, name: str, method: str, path: str, **more: Any) -> httpx.Response:
    begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
    headers = {"cookie": f"callcore-session={begun.cookie}", "x-csrf-token": begun.session.csrf}
    async with httpx.AsyncClient() as client:
        return await client.request(method, server.url + path, headers=headers, **more)


async def test_the_list_shows_state_deadline_and_a_masked_number(served_messages: Served) -> None:
    listed = (await ask(served_messages, "sup", "GET", LIST)).json()["messages"]
    assert [(m["call"], m["state"], m["overdue"]) for m in listed] == [
        ("open", "open", True),
        ("taken", "taken", False),
        ("done", "done", False),
    ]
    assert {m["number"] for m in listed} == {"*******678"}
    assert listed[0]["file"] == "open.message.wav"
    assert listed[1]["agent"] == "1002"
    assert listed[2]["result"] == "窓口で承った"


async def test_an_operator_sees_what_waits_and_the_own_and_no_number_of_another(
    served_messages: Served,
) -> None:
    listed = (await ask(served_messages, "ope", "GET", LIST)).json()["messages"]
    assert [(m["call"], m["number"]) for m in listed] == [("open", None)]
    assert (await ask(served_messages, "city", "GET", LIST)).status_code == 403
    assert (await ask(served_messages, "far", "GET", LIST)).status_code == 404
    assert (await ask(served_messages, "chief", "GET", LIST.replace("demo", "nowhere"))).status_code == 404


async def test_it_is_taken_called_back_about_and_dealt_with_and_the_trail_has_no_word_of_it(
    served_messages: Served,
) -> None:
    server = served_messages
    for name, call, act, body in (
        ("ope", "open", "take", {"agent": "1001"}),
        ("sup", "taken", "dial", None),
        ("sup", "taken", "done", {"result": "住所を確認した"}),
    ):
        answer = await ask(server, name, "POST", f"/api/v1/messages/{call}/{act}", json=body)
        assert answer.status_code == 200, answer.text
    assert server.orders.orders == [
        ("message_take", "user:ope", {"call": "open", "agent": "1001"}),
        ("message_dial", "user:sup", {"call": "taken"}),
        ("message_done", "user:sup", {"call": "taken", "done": True, "result": "住所を確認した"}),
    ]
    told = server.trail.newest(Wanted(), 100)
    assert ("message_done", "taken", "demo") in [(line.action, line.on, line.centre) for line in told]
    assert all("住所" not in str(line) for line in told)


async def test_nobody_acts_on_what_is_not_theirs(served_messages: Served) -> None:
    server = served_messages
    for name, path, body in (
        ("ope", "open/take", {"agent": "1002"}),
        ("ope", "taken/done", {"result": "x"}),
        ("ope", "open/dial", None),
        ("far", "open/take", {"agent": "1001"}),
        ("far", "nothing/take", {"agent": "1001"}),
        ("city", "open/take", {"agent": "1001"}),
    ):
        assert (await ask(server, name, "POST", f"/api/v1/messages/{path}", json=body)).status_code == 403, (
            path
        )
    assert server.orders.orders == []
    assert {line.result for line in server.trail.newest(Wanted(who="user:far"), 10)} == {Result.REFUSED}
    assert (await ask(server, "chief", "POST", "/api/v1/messages/nothing/dial")).status_code == 404
    for wrong in ({"result": ""}, {"result": "あ" * 201}, {}):
        assert (await ask(server, "sup", "POST", "/api/v1/messages/open/done", json=wrong)).status_code == 422


async def test_the_board_counts_what_waits_and_what_is_overdue(served_messages: Served) -> None:
    def told(live: dict[str, Any]) -> tuple[int, int, list[str], set[str | None]]:
        of = live["centres"][0]["messages"]
        return of["open"], of["overdue"], [m["call"] for m in of["next"]], {m["number"] for m in of["next"]}

    for name, number in (("sup", "*******678"), ("city", None)):
        live = (await ask(served_messages, name, "GET", "/api/v1/live")).json()
        assert told(live) == (2, 1, ["open", "taken"], {number})
