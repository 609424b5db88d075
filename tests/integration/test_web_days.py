"""A day's figures over the API: formula, window, `seq`, half hours, and the calls behind each, as CSV too."""

from __future__ import annotations

import csv
import io

import httpx

from tests.integration.test_browser_calls import a_morning
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, Served, served

DAY = "/api/v1/centres/demo/figures/day"


async def get(server: Served, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(server.url + path, headers=server.machine)


async def test_an_auditor_sees_how_each_figure_was_made_and_the_calls_that_make_it() -> None:
    source = DeskSource(a_morning())
    source.turn()
    async with served(source, calls=Shelf.of(source.desk)) as server:
        day = (await get(server, DAY)).json()
        ratio = (await get(server, f"{DAY}/answer_ratio")).json()
        text = (await get(server, f"{DAY}/answer_ratio/csv")).content
        live = (await get(server, "/api/v1/live")).json()
        earlier = (await get(server, f"{DAY}?day=2026-11-22")).json()
        missing = await get(server, "/api/v1/centres/nowhere/figures/day")
        wrong = [await get(server, path) for path in (f"{DAY}/nonsense", f"{DAY}?day=x")]
    told = {one["figure"]: one for one in day["figures"]}
    assert told["answer_ratio"]["ratio"] == live["centres"][0]["figures"]["answer_ratio"]
    assert (day["seq"], day["window"]["date"]) == (live["seq"], "2026-11-23")
    assert told["answered"]["formula"]["ja"].startswith("オペレーター")
    assert [(h["first"], h["figures"]["arrivals"]) for h in day["half_hours"]] == [
        ("2026-11-23T03:00:00.000Z", 3)
    ]
    assert ([c["call"] for c in ratio["part"]], [c["call"] for c in ratio["rest"]]) == (["c1"], ["c3", "c2"])
    assert ratio["part"][0]["number"] == "*******678"
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert [(row["part"], row["call"], row["outcome"], row["seq"]) for row in rows] == [
        ("1", "c1", "completed", day["seq"]),
        ("0", "c3", "", day["seq"]),
        ("0", "c2", "abandoned", day["seq"]),
    ]
    assert earlier["window"]["date"] == "2026-11-22"
    assert missing.status_code == 404
    assert [answer.status_code for answer in wrong] == [422, 422]


async def test_calls_are_found_page_by_page_and_a_journal_is_told_masked() -> None:
    source = DeskSource(a_morning())
    shelf = Shelf.of(source.desk)
    async with served(source, calls=shelf) as server:
        first = (await get(server, "/api/v1/calls?limit=2")).json()
        second = (await get(server, f"/api/v1/calls?limit=2&after={first['after']}")).json()
        held = (await get(server, "/api/v1/calls?agent=1002&outcome=completed&open=false")).json()
        journal = (await get(server, "/api/v1/calls/c1/journal")).json()
        by_number = await get(server, "/api/v1/calls?number=0312345678")
        shelf.unread = True
        unread = await get(server, "/api/v1/calls/c1/journal")
    assert [c["call"] for c in first["calls"] + second["calls"]] == ["c3", "c2", "c1"]
    assert second["after"] is None
    assert [c["call"] for c in held["calls"]] == ["c1"]
    kinds = [fact["kind"] for fact in journal["facts"]]
    assert kinds[0] == "CallArrived"
    assert kinds[-1] == "CallEnded"
    assert journal["facts"][0]["fields"]["caller"] == "*******678"
    assert by_number.status_code == 422, "a number does not stand in an address"
    assert unread.status_code == 503


async def test_who_asks_a_sidecar_that_has_just_been_started_is_told_to_ask_again() -> None:
    source = DeskSource(a_morning())
    source.n = 0
    async with served(source, calls=Shelf.of(source.desk)) as server, httpx.AsyncClient() as client:
        page = f"{server.url}/api/v1/centres/demo/figures/day"
        early = await client.get(page, headers=server.machine)
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        assert early.json()["type"] == "urn:callcore:problem:journal-not-read"
        assert (await client.get(page)).status_code == 401, "nobody learns more than before"
        source.turn()
        assert (await client.get(page, headers=server.machine)).status_code == 200
        unknown = await client.get(page.replace("demo", "elsewhere"), headers=server.machine)
        assert unknown.status_code == 404
