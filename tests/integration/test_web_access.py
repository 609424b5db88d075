"""Who comes through which door: every route and every role, over the real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from callcore.access.rights import ROLES, SCOPES, Reach, Right, Role, Scope
from callcore.access.trail import Line, Result, Wanted
from callcore.domain.centre import Announcement
from callcore.domain.ids import CentreId, Instant
from callcore.erasure import Reports
from callcore.phones import serving
from callcore.runtime.commands import CommandDenied, CommandFailed, EngineAway
from callcore.settings import Settings
from callcore.web.app import routes
from callcore.web.gate import GuardedRoute, Limits
from tests.integration.test_web_api import a_source
from tests.support.erased import a_report, kept
from tests.support.people import PASSWORD, accounts_in, cheap_hashes, everybody, trail_in, user
from tests.support.people import ROLES as USERS
from tests.support.recorded import Empty
from tests.support.shelf import Shelf
from tests.support.station import DEADLINE_S
from tests.support.web import DeskSource, Served, served

MANY = Limits(requests=100_000, sign_ins=10_000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


class Silent:
    """Has no announcement; keeps the port's contract."""

    def written(self, centre: CentreId) -> Sequence[Announcement]:
        return ()

    def history(self, centre: CentreId, kind: str) -> list[tuple[Announcement, Instant, Instant | None]]:
        return []

    def wav(self, audio: str) -> bytes | None:
        return None


class Shut:
    """Gives no phone anything; keeps the port's contract."""

    def ca(self) -> bytes:
        raise OSError("none")

    def answer(self, request: serving.Request) -> serving.Response:
        return serving.Response(404, refusal=serving.Refusal.TOKEN)


@pytest.fixture
async def server(_quick: None, tmp_path: Path) -> AsyncIterator[Served]:
    kept(tmp_path, a_report())
    async with served(
        a_source(),
        calls=Shelf(),
        phones=Shut(),
        told=Silent(),
        recordings=Empty(),
        erasures=Reports(Settings(home=tmp_path)),
        limits=MANY,
    ) as running:
        await asyncio.to_thread(everybody, running.accounts)
        yield running


def cookie_of(server: Served, name: str) -> dict[str, str]:
    """A browser of a user who has signed in, with the session's token in the header."""
    begun = server.accounts.sign_in(name, PASSWORD, "127.0.0.1", "test")
    return {"cookie": f"callcore-session={begun.cookie}", "x-csrf-token": begun.session.csrf}


@pytest.fixture
async def browsers(server: Served) -> dict[str, dict[str, str]]:
    return {name: await asyncio.to_thread(cookie_of, server, name) for name in USERS}


async def ask(server: Served, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
        return await client.request(method, server.url + path, headers=headers, **more)


def lines(server: Served, **wanted: Any) -> list[Line]:
    return server.trail.newest(Wanted(**wanted), 1000)


FILLED = {
    "call": "c1",
    "recording": "c1",
    "report": "erase-20261120020000-1a2b3c",
    "centre": "demo",
    "agent": "1001",
    "entry": "blocked-1",
    "figure": "answered",
    "version": "0" * 12,
    "name": "board.js",
    "audio": "0" * 16,
    "secret": "x",
    "session": "x",
    "user": "ope",
    "act": "unlock",
    "token": "x",
    "path": "x/00005e005301.cfg",
}


def doors(app: FastAPI) -> list[tuple[str, str, Right]]:
    found = []
    for route in routes(app):
        for method in sorted((route.methods or set()) - {"HEAD"}):
            right: Right = route.endpoint.right  # type: ignore[attr-defined]
            found.append((method, re.sub(r"\{(\w+)\}", lambda part: FILLED[part[1]], route.path), right))
    return found


async def test_every_route_answers_every_role_as_the_table_says(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    tokens = {
        scope: {
            "authorization": "Bearer "
            + server.accounts.add_token(scope.value.replace("_", "-"), [scope], ["*"], "x")
        }
        for scope in Scope
    }
    found = doors(server.app)
    assert len(found) >= 30
    opened: dict[str, set[Right]] = {}
    # No connection is kept: the server ends one that is idle for 5 s, and this process may be kept waiting for as long.
    once = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=DEADLINE_S, limits=once) as client:
        for method, path, right in found:
            if path in ("/sign-out", "/api/v1/live/stream"):
                continue  # would end the session; never ends by itself
            for name, headers, may in (
                *((name, browsers[name], right in ROLES[role]) for name, role in USERS.items()),
                *((scope.value, tokens[scope], right in SCOPES[scope]) for scope in Scope),
                ("nobody", {}, False),
                ("a wrong token", {"authorization": "Bearer x.y"}, False),
                ("a wrong cookie", {"cookie": "callcore-session=x"}, False),
            ):
                answer = await client.request(method, server.url + path, headers={"accept": "*/*", **headers})
                case = (method, path, name, answer.status_code)
                if right is Right.ANYONE:
                    assert answer.status_code not in (401, 403) or path.startswith(
                        ("/sign-in", "/welcome")
                    ), case
                elif may:
                    assert answer.status_code != 401, case
                    opened.setdefault(name, set()).add(right)
                elif ("cookie" in headers and name in USERS) or name in [scope.value for scope in Scope]:
                    assert answer.status_code == 403, case
                    assert answer.json()["type"] == "urn:callcore:problem:forbidden"
                elif path.startswith("/api/") or path in ("/metrics", "/readyz"):
                    assert answer.status_code == 401, case
                    assert answer.headers["www-authenticate"] == "Bearer"
                else:
                    assert answer.status_code in (303, 401, 403), case
                    if answer.status_code == 303:
                        assert answer.headers["location"].startswith("/sign-in"), case
    assert set(opened) == {*USERS, *(scope.value for scope in Scope)}


async def test_an_administrator_and_a_city_viewer_open_what_is_theirs(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    for name, path in (
        ("chief", "/api/v1/live"),
        ("city", "/api/v1/agents"),
        ("city", "/api/v1/visits"),
        ("sup", "/api/v1/live"),
        ("city", "/api/v1/live"),
        ("chief", "/metrics"),
        ("chief", "/readyz"),
        ("ope", "/api/v1/agents/1001"),
        ("sup", "/api/v1/agents/1001"),
        ("sup", "/api/v1/audit"),
        ("city", "/api/v1/openapi.json"),
    ):
        assert (await ask(server, "GET", path, browsers[name])).status_code == 200, (name, path)


def test_a_route_without_a_right_keeps_the_application_from_being_made() -> None:
    app = FastAPI()
    app.router.route_class = GuardedRoute
    with pytest.raises(TypeError, match="names no right"):

        @app.get("/open")
        async def open_door() -> None: ...


async def test_a_route_past_the_gate_is_found(server: Served) -> None:
    app = FastAPI()
    with pytest.raises(TypeError, match="does not pass the gate"):
        routes(app)  # FastAPI's own documentation routes


async def test_nothing_of_another_centre_is_seen(server: Served) -> None:
    user(server.accounts, "stranger", Role.SUPERVISOR, ("elsewhere",))
    user(server.accounts, "watcher", Role.VIEWER, ("elsewhere",))
    for name in ("stranger", "watcher"):
        browser = cookie_of(server, name)
        live = (await ask(server, "GET", "/api/v1/live", browser)).json()
        assert live["centres"] == []
        assert (await ask(server, "GET", "/api/v1/agents", browser)).json()["agents"] == []
        assert (await ask(server, "GET", "/api/v1/visits", browser)).json()["visits"] == []
        assert (await ask(server, "GET", "/api/v1/calls/c1", browser)).status_code == 404
    stranger = cookie_of(server, "stranger")
    assert (await ask(server, "GET", "/api/v1/agents/1001", stranger)).status_code == 404
    paused = await ask(server, "POST", "/api/v1/agents/1001/pause", stranger, json={"reason": "x"})
    nobody = await ask(server, "POST", "/api/v1/agents/9999/pause", stranger, json={"reason": "x"})
    assert paused.status_code == nobody.status_code == 403
    assert paused.json()["detail"] == nobody.json()["detail"], "whether there is such an agent is not told"
    assert server.orders.orders == []
    shown = (await ask(server, "GET", "/api/v1/audit", stranger)).json()["lines"]
    assert shown == [], "not even the lines about another centre"


async def test_a_city_viewer_sees_neither_a_number_nor_a_name(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    def told(live: dict[str, Any]) -> tuple[Any, Any]:
        [centre] = live["centres"]
        return centre["waiting"][0]["number"], centre["agents"][0]["name"]

    seen = {n: told((await ask(server, "GET", "/api/v1/live", browsers[n])).json()) for n in ("sup", "city")}
    assert seen["sup"] == ("*******678", "オペレーター01")
    assert seen["city"] == (None, "1001")
    listed = [(await ask(server, "GET", "/api/v1/agents", browsers[n])).json() for n in ("sup", "city")]
    rows = [one["agents"][0] for one in listed]
    assert [(row["name"], row["caller"]["number"]) for row in rows] == [
        ("オペレーター01", "*******678"),
        ("1001", None),
    ]


async def test_an_operator_asks_for_their_own_pause_and_for_nobody_elses(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    own = await ask(server, "POST", "/api/v1/agents/1001/pause", browsers["ope"], json={"reason": "休憩"})
    other = await ask(server, "POST", "/api/v1/agents/1002/pause", browsers["ope"], json={"reason": "休憩"})
    assert (own.status_code, own.json()) == (200, {"done": True})
    assert other.status_code == 403
    assert server.orders.orders == [("agent_pause", "user:ope", {"agent": "1001", "reason": "休憩"})]
    done, refused = lines(server, who="user:ope")[::-1]
    assert (done.action, done.on, done.centre, done.result, done.why, done.origin) == (
        "agent_pause",
        "1001",
        "demo",
        Result.DONE,
        "休憩",
        "127.0.0.1",
    )
    assert (refused.on, refused.result) == ("1002", Result.REFUSED)


async def test_what_the_engine_says_no_to_is_told_and_written_down(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    async def sign_out() -> httpx.Response:
        return await ask(
            server, "POST", "/api/v1/agents/1001/sign-out", browsers["sup"], json={"why": "早退"}
        )

    server.orders.answer = {"done": False, "why": "通話中 / talking"}
    busy = await sign_out()
    assert (busy.status_code, busy.json()["detail"]) == (409, "通話中 / talking")
    expected = [(CommandDenied("x"), 403), (EngineAway("gone"), 503), (CommandFailed("いいえ / no"), 409)]
    for failure, status in expected:
        server.orders.failure = failure
        assert (await sign_out()).status_code == status
    results = [line.result for line in lines(server, action="agent_sign_out")]
    assert results == [Result.FAILED, Result.FAILED, Result.REFUSED, Result.FAILED]


async def test_where_the_trail_cannot_be_written_nothing_is_done(
    server: Served, browsers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.access.trail.SPARE_BYTES", 1 << 62)
    answer = await ask(server, "POST", "/api/v1/agents/1001/ready", browsers["sup"])
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:callcore:problem:audit-trail-unwritable")
    signing = await ask(server, "POST", "/sign-in", {}, data={"user": "sup", "password": PASSWORD})
    assert signing.status_code == 503
    assert server.orders.orders == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"x-csrf-token": ""}, 403),
        ({"x-csrf-token": "wrong"}, 403),
    ],
)
async def test_a_page_of_somebody_else_cannot_act_with_my_session(
    server: Served, browsers: dict[str, dict[str, str]], headers: dict[str, str], status: int
) -> None:
    answer = await ask(server, "POST", "/api/v1/agents/1001/ready", {**browsers["sup"], **headers})
    assert answer.status_code == status
    assert len(server.orders.orders) == (status == 200)


async def test_a_foreign_page_cannot_sign_somebody_in_as_another(server: Served) -> None:
    form = {"user": "sup", "password": PASSWORD}
    answer = await ask(server, "POST", "/sign-in", {"origin": "https://evil.example"}, data=form)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_wrong_token_is_nobody_whatever_cookie_comes_along(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    headers = {**browsers["sup"], "authorization": "Bearer x.y"}
    assert (await ask(server, "GET", "/api/v1/live", headers)).status_code == 401


async def test_who_asks_too_often_is_told_how_long_to_wait() -> None:
    async with served(a_source(), limits=Limits(requests=5, sign_ins=2)) as server:
        answers = [await ask(server, "GET", "/api/v1/live", {}) for _ in range(7)]
        machine = await ask(server, "GET", "/api/v1/live", server.machine)
    assert [a.status_code for a in answers] == [401] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert machine.status_code == 200, "who is known is counted apart"


async def test_a_stream_ends_when_its_session_does(server: Served) -> None:
    begun = await asyncio.to_thread(server.accounts.sign_in, "sup", PASSWORD, "127.0.0.1", "test")
    headers = {"cookie": f"callcore-session={begun.cookie}"}
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", server.url + "/api/v1/live/stream", headers=headers) as stream,
    ):
        chunks = stream.aiter_bytes()
        assert b"event: live" in await anext(chunks)
        server.accounts.disable("sup")
        async for _ in chunks:
            pass  # it ends by itself
    assert (await ask(server, "GET", "/api/v1/live", headers)).status_code == 401


async def test_where_one_goes_after_signing_in_is_always_here(server: Served) -> None:
    for wanted in (
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:x",
        "/a\r\nSet-Cookie: x",
    ):
        form = {"user": "sup", "password": PASSWORD, "next": wanted}
        answer = await ask(server, "POST", "/sign-in", {}, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), wanted
    form = {"user": "sup", "password": PASSWORD, "next": "/audit?who=user%3Ax"}
    assert (await ask(server, "POST", "/sign-in", {}, data=form)).headers["location"] == "/audit?who=user%3Ax"


async def test_the_cookie_is_for_this_server_alone(server: Served) -> None:
    answer = await ask(server, "POST", "/sign-in", {}, data={"user": "sup", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/"))
    assert "domain" not in cookie


async def test_a_role_that_must_have_a_second_factor_may_do_nothing_before() -> None:
    source: DeskSource = a_source()
    async with served(source, second_factor=[Role.SUPERVISOR], limits=MANY) as server:
        await asyncio.to_thread(everybody, server.accounts)
        supervisor, viewer = cookie_of(server, "sup"), cookie_of(server, "city")
        assert (await ask(server, "GET", "/api/v1/live", supervisor)).status_code == 403
        assert (await ask(server, "GET", "/api/v1/live", viewer)).status_code == 200


async def test_who_am_i(server: Served, browsers: dict[str, dict[str, str]]) -> None:
    me = (await ask(server, "GET", "/api/v1/me", browsers["ope"])).json()
    assert (me["id"], me["role"], me["agent"]) == ("user:ope", "operator", "1001")
    assert (
        me["rights"]["act_on_agents" if "act_on_agents" in me["rights"] else "act_agents"] == Reach.OWN.value
    )


async def test_the_document_names_every_right_and_refusal(
    server: Served, browsers: dict[str, dict[str, str]]
) -> None:
    document = (await ask(server, "GET", "/api/v1/openapi.json", browsers["sup"])).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            right = Right(operation["x-right"])
            assert ("401" in operation["responses"]) is (right is not Right.ANYONE), path
            assert ("security" in operation) is (right is not Right.ANYONE), path


def test_the_helpers_of_these_tests_make_what_they_say(tmp_path: Any) -> None:
    accounts, trail = accounts_in(tmp_path), trail_in(tmp_path)
    assert accounts.users() == []
    assert trail.verify().lines == 0
