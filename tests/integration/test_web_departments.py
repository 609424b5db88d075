"""The directory by API: what a program, and through it a person, is shown before trying to call a department."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.web import DeskSource, Served, served
from tests.unit.test_departments import at, call, desk

PATH = "/api/v1/centres/demo/departments"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    made = desk()
    call(made, 10, "demo-shimin")
    source = DeskSource(made)
    source.clock = at("2026-11-24T12:30")
    async with served(source) as running:
        first_administrator(running.accounts)
        user(running.accounts, "city", Role.VIEWER)
        user(running.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        yield running


async def ask(server: Served, **params: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(server.url + PATH, params=params, headers=server.machine)


def shorts(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["code"] for each in answer.json()["departments"]]


async def test_what_is_closed_or_busy_is_shown_with_why_until_when_and_who_stands_in(server: Served) -> None:
    body = (await ask(server)).json()
    assert body["at"] == "2026-11-24T03:30:00.000Z"
    citizens, branch, further = body["departments"]
    assert (citizens["open"], citizens["changes_at"], citizens["instead"]) == (
        True,
        "2026-11-24T08:15:00.000Z",
        None,
    )
    assert (citizens["busy"]["phone"], citizens["busy"]["agent"], citizens["busy"]["connected"]) == (
        "demo-p1",
        "1001",
        False,
    )
    assert (branch["open"], branch["why"], branch["why_en"]) == (
        False,
        "休憩時間",
        "in the break between two openings",
    )
    assert (branch["changes_at"], branch["busy"]) == ("2026-11-24T04:00:00.000Z", None)
    assert branch["substitute"] == "demo-shimin"
    assert branch["instead"] == {"id": "demo-shimin", "name": "市民課", "code": "*511"}
    assert (further["substitute"], further["instead"]["code"]) == ("demo-kita", "*511")
    assert (citizens["number"], citizens["office"], citizens["languages"]) == (
        "0970000020",
        "本庁",
        ["ja", "en"],
    )


async def test_it_is_searched_by_words_language_and_instant(server: Served) -> None:
    assert shorts(await ask(server, q="シミン 住所")) == ["*511"]
    assert shorts(await ask(server, q="北支所", language="ja")) == ["*521", "*522"]
    assert shorts(await ask(server, language="en")) == ["*511"]
    assert shorts(await ask(server, q="ない言葉")) == []
    later = (await ask(server, q="21", at="2026-11-24T14:00:00+09:00")).json()["departments"]
    assert [each["open"] for each in later] == [True, False], "2101 is the number of both"
    for wrong in (
        {"at": "2026-11-24T14:00:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-12:00"},
        {"language": "EN"},
        {"q": "x" * 101},
    ):
        assert (await ask(server, **wrong)).status_code == 422, wrong


async def test_only_who_may_see_the_centre_sees_its_directory(server: Served) -> None:
    async def status(name: str, path: str = PATH) -> int:
        begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
        headers: dict[str, Any] = {"cookie": f"callcore-session={begun.cookie}"}
        async with httpx.AsyncClient() as client:
            return (await client.get(server.url + path, headers=headers)).status_code

    assert await status("city") == 200
    assert await status("far") == 403
    assert await status("chief", PATH.replace("demo", "nowhere")) == 404
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.url + PATH)).status_code == 401
