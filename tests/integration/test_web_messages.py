"""Messages by API and on the board: listed, taken, called back about and dealt with, each by who may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from callcore.domain.ids import CallId
from callcore.domain.personal import Personal
from callcore.runtime.detail import CallDetail
from tests.support.floors import Desk
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.web import DeskSource, Served, served
from tests.unit import test_messages as messages
from tests.unit import test_tasks as tasks

LIST = "/api/v1/centres/demo/messages"
OLD = CallId("node1-1700000000.1")


class Archive:
    """One call of long ago, from a number that is known; keeps the port's contract."""

    def __init__(self, made: Desk) -> None:
        self.away = False
        record = replace(made.books.records[CallId("done")], call=OLD)
        caller = Personal(OLD, record.centre, record.arrived_at, "0975346111")
        self.detail = CallDetail(record, caller, visits=(), offers=(), notes=(), recording=None)

    async def call(self, call: CallId) -> CallDetail | None:
        if self.away:
            raise OSError("the database is away")
        return self.detail if call == OLD else None


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
    kept = {"subject": "再発行", "department": "11", "agent": "1001", "due": "2026-11-30T09:00:00+09:00"}
    assert (await ask(server, "sup", "POST", "/api/v1/calls/done/task", json=kept)).status_code == 200
    due = kept | {"call": "done", "due": 1795996800.0, "note": None}
    assert server.orders.orders.pop() == ("task_keep", "user:sup", due)
    assert server.orders.orders == [
        ("message_take", "user:ope", {"call": "open", "agent": "1001"}),
        ("message_dial", "user:sup", {"call": "taken"}),
        ("message_done", "user:sup", {"call": "taken", "done": True, "result": "住所を確認した"}),
    ]
    told = server.trail.newest(Wanted(), 100)
    assert ("message_done", "taken", "demo") in [(line.action, line.on, line.centre) for line in told]
    assert all("住所" not in str(line) and "再発行" not in str(line) for line in told)


async def test_nobody_acts_on_what_is_not_theirs(served_messages: Served) -> None:
    server = served_messages
    for name, path, body in (
        ("ope", "open/take", {"agent": "1002"}),
        ("ope", "taken/done", {"result": "x"}),
        ("ope", "open/dial", None),
        ("far", "open/take", {"agent": "1001"}),
        ("far", "../calls/open/task", {"subject": "x"}),
        ("ope", "../calls/open/task", {"subject": "x", "agent": "1002"}),
        ("far", "../centres/demo/tasks", {"subject": "x"}),
        ("ope", "../centres/demo/tasks", {"subject": "x"}),
        ("ope", "../centres/demo/tasks", {"subject": "x", "agent": "1002"}),
        ("city", "../centres/demo/tasks", {"subject": "x"}),
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


async def test_a_task_is_kept_about_a_call_of_the_archive_and_about_none_and_the_trail_has_no_word_of_it() -> (
    None
):
    made = messages.desk()
    messages.left(made, 0, "done")
    archive = Archive(made)
    async with served(DeskSource(made), calls=archive) as server:
        first_administrator(server.accounts)
        user(server.accounts, "sup", Role.SUPERVISOR)
        user(server.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        user(server.accounts, "ope", Role.OPERATOR, agent="1001")
        path = f"/api/v1/calls/{OLD}/task"
        told = {"subject": "再発行", "note": "午前中に"}
        answer = await ask(server, "sup", "POST", path, json=told)
        assert (answer.status_code, answer.json()) == (200, {"done": True})
        own = told | {"agent": "1001", "number": "097-534-6111"}
        answer = await ask(server, "ope", "POST", "/api/v1/centres/demo/tasks", json=own)
        assert (answer.status_code, answer.json()) == (200, {"done": True})
        plain = told | {"department": None, "due": None}
        assert server.orders.orders == [
            (
                "task_keep",
                "user:sup",
                plain | {"call": OLD, "centre": "demo", "number": "0975346111", "agent": None},
            ),
            (
                "task_keep",
                "user:ope",
                plain | {"centre": "demo", "number": "097-534-6111", "agent": "1001"},
            ),
        ]
        lines = server.trail.newest(Wanted(action="task_keep"), 10)
        assert [(each.who, each.on, each.centre) for each in lines] == [
            ("user:ope", "task-1", "demo"),
            ("user:sup", OLD, "demo"),
        ]
        assert all(word not in str(lines) for word in ("再発行", "午前中", "0975346111", "097-534"))
        for name in ("far", "ope"):
            assert (await ask(server, name, "POST", path, json=told)).status_code == 403
        nothing = path.replace(OLD, "node1-1700000000.9")
        assert (await ask(server, "chief", "POST", nothing, json=told)).status_code == 404
        nowhere = "/api/v1/centres/nowhere/tasks"
        assert (await ask(server, "chief", "POST", nowhere, json=told)).status_code == 404
        for wrong in ({"number": "x"}, {"note": "あ" * 501}, {"subject": ""}):
            body = told | wrong
            answer = await ask(server, "sup", "POST", "/api/v1/centres/demo/tasks", json=body)
            assert answer.status_code == 422, wrong
        archive.away = True
        assert (await ask(server, "sup", "POST", path, json=told)).status_code == 503
        assert len(server.orders.orders) == 2


async def test_a_task_of_its_own_stands_in_the_list_and_on_the_board_and_is_taken_by_its_name() -> None:
    made = tasks.desk()
    tasks.opened(made, 10, about=OLD)
    tasks.opened(made, 20, "task-2")
    async with served(DeskSource(made)) as server:
        first_administrator(server.accounts)
        user(server.accounts, "sup", Role.SUPERVISOR)
        listed = (await ask(server, "sup", "GET", LIST)).json()["messages"]
        assert [(m["call"], m["about"], m["number"], m["note"], m["task"]) for m in listed] == [
            ("task-1", OLD, "*******111", "午前中に", True),
            ("task-2", None, "*******111", "午前中に", True),
        ]
        board = (await ask(server, "sup", "GET", "/api/v1/live")).json()["centres"][0]
        assert (board["messages"]["open"], board["figures"]["arrived"]) == (2, 0)
        for act, body in (("take", {"agent": "1001"}), ("dial", None), ("done", {"result": "済"})):
            path = f"/api/v1/messages/task-1/{act}"
            assert (await ask(server, "sup", "POST", path, json=body)).status_code == 200
        assert [order[2]["call"] for order in server.orders.orders] == ["task-1"] * 3
