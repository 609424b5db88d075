"""The routes of a supervisor, and that whatever is ordered under one key is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from callcore.domain.ids import AgentId
from callcore.runtime.commands import CommandDenied, EngineAway
from callcore.web.gate import COOKIE, CSRF_HEADER
from callcore.web.once import Begun, Entry, Once, OtherRequest, StillOpen
from tests.support.floors import Desk
from tests.support.people import PASSWORD, accounts_in, cheap_hashes, everybody, user
from tests.support.web import DeskSource, Served, served


def a_source() -> DeskSource:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    desk.pick_up(3, "c1")
    desk.wait(4, "c2")
    source = DeskSource(desk)
    source.turn()
    return source


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    cheap_hashes(monkeypatch)
    async with served(a_source(), folder=tmp_path) as running:
        everybody(running.accounts)
        user(running.accounts, "boss", Role.SUPERVISOR, ("demo",), "1002")
        user(running.accounts, "far", Role.SUPERVISOR, ("elsewhere",), "1003")
        yield running


def signed_in(server: Served, who: str) -> dict[str, str]:
    opened = server.accounts.sign_in(who, PASSWORD, "127.0.0.1", "a test")
    return {
        "cookie": f"{COOKIE}={opened.cookie}",
        CSRF_HEADER: opened.session.csrf,
        "sec-fetch-site": "same-origin",
    }


async def asks(
    server: Served, headers: dict[str, str], method: str, path: str, body: Any = None, **more: str
) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.request(
            method, f"{server.url}/api/v1/{path}", json=body, headers={**headers, **more}
        )


ACTS: list[tuple[str, str, Any, str, dict[str, Any]]] = [
    ("POST", "agents/1001/watch", {"how": "whisper"}, "watch", {"agent": "1001", "how": "whisper"}),
    ("DELETE", "me/watch", None, "watch_stop", {}),
    ("POST", "calls/c2/up", None, "caller_up", {"call": "c2"}),
    ("POST", "calls/c2/queue", {"queue": "demo-x"}, "caller_queue", {"call": "c2", "queue": "demo-x"}),
    (
        "PUT",
        "agents/1001/skills",
        {"skills": {"en": 2}},
        "agent_skills",
        {"agent": "1001", "skills": {"en": 2}},
    ),
    ("DELETE", "agents/1001/skills", None, "agent_skills", {"agent": "1001"}),
    ("POST", "agents/1001/help", None, "help_answer", {"agent": "1001"}),
    (
        "PUT",
        "centres/demo/thresholds",
        {"waiting": 5},
        "thresholds",
        {"centre": "demo", "waiting": 5, "wait_s": None},
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "command", "fields"), ACTS, ids=lambda x: str(x)[:30])
async def test_what_a_supervisor_asks_for_is_done_in_the_own_name_and_written_down(
    server: Served, method: str, path: str, body: Any, command: str, fields: dict[str, Any]
) -> None:
    boss = signed_in(server, "boss")
    assert (await asks(server, boss, method, path, body)).status_code == 200
    assert server.orders.orders == [(command, "user:boss", fields)]
    (line,) = server.trail.newest(Wanted(who="user:boss"), 5)
    assert (line.action, line.result) == (command, Result.DONE)
    for other, statuses in (("ope", {403}), ("city", {403}), ("far", {403})):
        if path == "me/watch" and other == "far":
            continue
        answer = await asks(server, signed_in(server, other), method, path, body)
        assert answer.status_code in statuses, other
    assert len(server.orders.orders) == 1
    server.orders.answer = {"done": False, "why": "できない / it cannot be"}
    refused = await asks(server, boss, method, path, body)
    assert (refused.status_code, refused.json()["detail"]) == (409, "できない / it cannot be")


async def test_a_machine_moves_callers_and_is_at_nobodys_talk(server: Served) -> None:
    assert (await asks(server, server.machine, "POST", "calls/c2/up")).status_code == 200
    watch = await asks(server, server.machine, "POST", "agents/1001/watch", {"how": "listen"})
    assert watch.status_code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("agents/1001/watch", {"how": "shout"}),
        ("agents/1001/watch", None),
        ("calls/c2/queue", {}),
    ],
)
async def test_what_does_not_fit_is_said(server: Served, path: str, body: Any) -> None:
    assert (await asks(server, signed_in(server, "boss"), "POST", path, body)).status_code == 422
    assert server.orders.orders == []


async def test_things_that_are_not_there_are_not_found(server: Served) -> None:
    chief = signed_in(server, "chief")
    for method, path, body in (
        ("POST", "agents/9999/watch", {"how": "listen"}),
        ("POST", "calls/none/up", None),
        ("PUT", "centres/none/thresholds", {}),
    ):
        assert (await asks(server, chief, method, path, body)).status_code == 404, path


async def test_the_board_tells_thresholds_queues_skills_and_who_is_at_a_talk(server: Served) -> None:
    live = (await asks(server, server.machine, "GET", "live")).json()["centres"][0]
    assert live["thresholds"]["by_hand"] is False and live["thresholds"]["wait_s"] == 20
    assert [queue["id"] for queue in live["queues"]] == ["demo-general"]
    agent = next(each for each in live["agents"] if each["agent"] == "1001")
    assert (agent["watching"], agent["skills_by_hand"]) == (None, False)
    assert (agent["caller"]["help_by"], agent["caller"]["watched_by"]) == (None, [])


# -- once ----------------------------------------------------------------------------------------------------

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


async def test_a_request_that_is_sent_again_acts_once_and_gets_the_same_answer(server: Served) -> None:
    boss, chief = signed_in(server, "boss"), signed_in(server, "chief")
    first = await asks(
        server, boss, "POST", "agents/1001/pause", {"reason": "研修"}, **{"Idempotency-Key": KEY}
    )
    server.orders.answer = {"done": False, "why": "すでに離席中 / paused already"}
    again = await asks(
        server, boss, "POST", "agents/1001/pause", {"reason": "研修"}, **{"Idempotency-Key": KEY}
    )
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert len(server.orders.orders) == 1
    other = await asks(
        server, boss, "POST", "agents/1001/pause", {"reason": "休憩"}, **{"Idempotency-Key": KEY}
    )
    assert (other.status_code, other.json()["type"]) == (422, "urn:callcore:problem:key-reused")
    mine = await asks(
        server, chief, "POST", "agents/1001/pause", {"reason": "研修"}, **{"Idempotency-Key": KEY}
    )
    assert mine.status_code == 409, "a key is one person's"
    kept = await asks(
        server, chief, "POST", "agents/1001/pause", {"reason": "研修"}, **{"Idempotency-Key": KEY}
    )
    assert (kept.status_code, kept.content) == (409, mine.content), "a refusal is answered alike, too"
    assert len(server.orders.orders) == 2
    assert len(server.trail.newest(Wanted(action="agent_pause"), 9)) == 2


async def test_a_key_that_is_none_is_said(server: Served) -> None:
    boss = signed_in(server, "boss")
    for key in ("a b", "x" * 201, ""):
        answer = await asks(server, boss, "POST", "calls/c2/up", **{"Idempotency-Key": key})
        assert answer.status_code == 422, key
    assert server.orders.orders == []


async def test_two_at_once_act_once(server: Served) -> None:
    boss = signed_in(server, "boss")
    going, go = asyncio.Event(), asyncio.Event()
    ask = server.orders.ask

    async def slow(command: str, **fields: Any) -> Any:
        going.set()
        await go.wait()
        return await ask(command, **fields)

    server.orders.ask = slow  # type: ignore[method-assign]
    first = asyncio.create_task(asks(server, boss, "POST", "calls/c2/up", **{"Idempotency-Key": KEY}))
    await asyncio.wait_for(going.wait(), 15)
    second = await asks(server, boss, "POST", "calls/c2/up", **{"Idempotency-Key": KEY})
    go.set()
    assert (second.status_code, second.json()["type"]) == (409, "urn:callcore:problem:key-open")
    assert ((await first).status_code, len(server.orders.orders)) == (200, 1)


async def test_an_engine_that_was_away_is_answered_alike_and_a_refused_right_too(server: Served) -> None:
    boss = signed_in(server, "boss")
    for n, (failure, status) in enumerate(((EngineAway("x"), 503), (CommandDenied("x"), 403))):
        server.orders.failure = failure
        first = await asks(server, boss, "POST", "calls/c2/up", **{"Idempotency-Key": f"k{n}"})
        server.orders.failure = None
        again = await asks(server, boss, "POST", "calls/c2/up", **{"Idempotency-Key": f"k{n}"})
        assert (first.status_code, again.status_code, again.content) == (status, status, first.content)


def test_keys_outlive_the_process_and_one_that_was_cut_off_is_not_done_again(tmp_path: Path) -> None:
    clock = [1_000_000.0]
    path = tmp_path / "once.jsonl"
    once = Once(path, lambda: clock[0])
    done, cut = once.begin("user:a", "k1", {"x": 1}), once.begin("user:a", "k2", {"x": 1})
    assert isinstance(done, Begun) and isinstance(cut, Begun)
    once.end(done, "conflict", "なぜ / why")
    with path.open("ab") as file:
        file.write(b'{"of":"torn')
    once = Once(path, lambda: clock[0])
    known = once.begin("user:a", "k1", {"x": 1})
    assert isinstance(known, Entry) and (known.kind, known.detail) == ("conflict", "なぜ / why")
    with pytest.raises(StillOpen):
        once.begin("user:a", "k2", {"x": 1})
    with pytest.raises(OtherRequest):
        once.begin("user:a", "k1", {"x": 2})
    assert b"user:a" not in path.read_bytes() and path.stat().st_mode & 0o077 == 0
    clock[0] += 86_401
    assert isinstance(once.begin("user:a", "k1", {"x": 2}), Begun), "a day later it is a new key"


def test_a_supervisor_may_have_an_agents_number_and_a_viewer_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    accounts = accounts_in(tmp_path)
    everybody(accounts)
    user(accounts, "boss", Role.SUPERVISOR, ("demo",), "1002")
    user(accounts, "plain", Role.SUPERVISOR, ("demo",), None)
    user(accounts, "mayor", Role.VIEWER, ("demo",), "1002")
    found = {name: accounts.user(name) for name in ("boss", "plain", "mayor")}
    assert {name: each and each.agent for name, each in found.items()} == {
        "boss": AgentId("1002"),
        "plain": None,
        "mayor": None,
    }
