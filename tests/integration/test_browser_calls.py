"""Calls as a supervisor looks for them and follows one, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from callcore.access.rights import ALL_CENTRES, Role
from callcore.db import migrate
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.ids import CallId
from callcore.domain.recording import RecordingMark
from callcore.domain.stages import OfferStage
from callcore.runtime.detail import MarkDetail
from tests.support import axe
from tests.support.browser import CONTRAST, Scheme, seat
from tests.support.days import TestFrame
from tests.support.floors import Desk, centre, configuration, failed
from tests.support.people import user
from tests.support.recorded import CALL, DEMO, SIDE, stocked
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, Served, served

pytestmark = pytest.mark.timeout(240)


def a_morning() -> Desk:
    """c1: missed by one agent, answered by another, held, ended; c2: gave up; c3: waits still."""
    desk = Desk().begin(configuration(centre(3)))
    desk.sign_in(1, 1)
    desk.sign_in(2, 2)
    desk.wait(10, "c1")
    desk.ring(11, "c1")
    failed(OfferStage.NO_ANSWER, desk, 26, "c1")
    desk.pick_up(31, "c1")
    leg = desk.floor.calls[CallId("c1")].talking_leg
    assert leg is not None
    for s, held in ((60, True), (90, False)):
        desk.tell(i.HoldChanged(at=desk.at(s), channel=leg, held=held))
    desk.hang_up(200, "c1")
    desk.wait(300, "c2")
    desk.hang_up(340, "c2")
    desk.wait(400, "c3")
    return desk


async def test_a_call_is_found_by_number_and_outcome_and_its_whole_way_is_read(browser: Browser) -> None:
    source = DeskSource(a_morning())
    shelf = Shelf.of(source.desk)
    at, c1 = source.desk.at, CallId("c1")
    marks_told = (
        MarkDetail(at(150), RecordingMark.ABUSE, True, True, "1002"),
        MarkDetail(at(90_000), RecordingMark.COMPLAINT, True, False, "user:sato"),
    )
    shelf.details[c1] = replace(shelf.details[c1], marks=marks_told)
    async with served(source, calls=shelf) as server:
        taken = await seat(browser, server, who="sup")
        page = taken.page
        await page.goto(f"{server.url}/calls?lang=en")
        rows = page.get_by_role("group", name="Calls, the newest first").locator("tbody tr")
        await expect(rows).to_have_count(3)
        await expect(rows.first).to_contain_text("not ended")
        await page.get_by_label("Outcome").select_option(label="Completed")
        await page.get_by_label("Number", exact=True).fill("03-1234-5678")
        await page.get_by_label("From").fill("2026-11-23T12:00")
        await page.get_by_label("Until").fill("2026-11-23T12:00")
        await page.get_by_role("button", name="Search").press("Enter")
        await expect(rows).to_have_count(1)
        assert "0312345678" not in page.url, "no number in an address"
        await rows.get_by_role("link").click()

        await expect(page.get_by_role("heading", name="Call c1 Completed")).to_be_visible()
        lanes = page.locator(".lanes text.lane")
        await expect(lanes).to_have_text(["Caller", "Phone 1001 (demo-p1)", "Phone 1002 (demo-p2)"])
        way = page.get_by_role("group", name="The way of this call, and its journal").locator("tbody tr")
        told = await way.locator("th strong").all_text_contents()
        wanted = [
            "Arrived",
            "Admitted",
            "Entered a queue",
            "Offered to an agent",
            "The offer ended",
            "Answered",
        ]
        places = [told.index(each) for each in wanted]
        assert places == sorted(places)
        assert {"Put on hold", "Taken off hold", "The talk ended", "Ended"} <= set(told)
        offer = way.filter(has_text="Offered to an agent").first
        await expect(offer).to_contain_text("longest idle")
        await offer.locator("summary").press("Enter")
        await expect(offer.locator(".raw")).to_contain_text("ring_s")
        await expect(way.filter(has_text="Arrived")).to_contain_text("+0:00")
        assert "0312345678" not in await page.content(), "a number is masked everywhere"
        marks = page.get_by_role("group", name="Marks that were set or taken away").locator("tbody tr")
        await expect(marks).to_have_count(2)
        await expect(marks.first).to_contain_text("Abuse or threat")
        for word in ("set", "by key or result", "1002"):
            await expect(marks.first).to_contain_text(word)
        for word in ("Complaint", "set", "afterwards", "user:sato"):
            await expect(marks.last).to_contain_text(word)
        await expect(page.locator("dl.facts .mark")).to_have_text(["complaint"])

        shelf.unread = True
        await page.reload()
        await expect(page.get_by_role("status")).to_contain_text("The journal cannot be read")
        await expect(page.get_by_role("heading", name="Call c1 Completed")).to_be_visible()
        await page.goto(f"{server.url}/calls?first=nonsense")
        await expect(page.get_by_role("alert")).to_contain_text("From")
        taken.told_nothing_wrong(server)


async def test_beside_a_calls_recordings_stands_until_when_they_are_kept_by_rule_or_order(
    browser: Browser, tmp_path: Path
) -> None:
    """Both are of a reported call that was over on 23 November 2026 in Japan."""
    url = f"sqlite:///{tmp_path}/callcore.db"
    await migrate.upgrade(url)
    async with (
        stocked(url, tmp_path) as stock,
        served(DeskSource(Desk().begin()), calls=stock.stored, recordings=stock.recorded) as server,
    ):

        async def told(n: int, fact: f.Fact) -> None:
            await stock.sink.apply([TestFrame(1, n, fact.at, (fact,))])

        kept = stock.centres[0].retention
        stock.centres[0] = replace(stock.centres[0], retention=replace(kept, reported=12))
        at, by = Desk().at, {"centre": DEMO, "reason": "訴訟", "by": "user:sato"}
        order: dict[str, Any] = by | {"order": "keep-1", "calls": (SIDE,), "until": None}
        erased: dict[str, Any] = by | {"recordings": ("c1",), "personal": False, "erasure": "erase-1"}
        taken = await seat(browser, server, who="sup")
        page = taken.page

        async def shown(language: str, of: Served = server) -> list[str]:
            """What stands in that column for the consult, and for the call."""
            await page.goto(f"{of.url}/calls/c1?lang={language}")
            table = page.get_by_role("group", name={"ja": "録音", "en": "Recordings"}[language], exact=True)
            column = table.get_by_role("columnheader", name={"ja": "保存期限", "en": "Kept until"}[language])
            await expect(column).to_be_visible()
            n = await column.evaluate("e => e.cellIndex")
            found = [
                table.locator("tbody tr", has_text=each).locator("th, td").nth(n) for each in ("s1", "c1")
            ]
            return [await each.inner_text() for each in found]

        assert await shown("ja") == ["2027/11/24 00:00:00 保存期間中"] * 2
        assert await shown("en") == ["24/11/2027, 00:00:00 within its months"] * 2
        await told(5000, f.KeepOrdered(at=at(300), **order))
        assert await shown("ja") == ["保全の指示", "2027/11/24 00:00:00 保存期間中"]
        assert await shown("en") == ["legal hold", "24/11/2027, 00:00:00 within its months"]
        await page.set_viewport_size({"width": 320, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await axe.violations(page) == []
        await told(5001, f.CallErased(at=at(400), call=CALL, **erased))
        assert await shown("en") == ["legal hold", "–"]
        taken.told_nothing_wrong(server)
        async with served(DeskSource(Desk().begin()), calls=stock.stored) as alone:
            page = (await seat(browser, alone, who="sup")).page
            assert await shown("en", alone) == ["–", "–"], "nobody can tell"


async def test_an_agents_count_of_today_leads_to_these_calls_and_the_states_to_the_agents(
    browser: Browser,
) -> None:
    source = DeskSource(a_morning())
    source.turn()
    async with served(source, calls=Shelf.of(source.desk)) as server:
        taken = await seat(browser, server, who="sup")
        page = taken.page
        await page.goto(f"{server.url}/?lang=en")
        rows = page.locator('[data-f="agent-rows"] tr')
        await expect(rows).to_have_count(2)
        shown = await rows.locator('[data-f="today"]').all_text_contents()
        assert sorted(shown) == ["0", "1"], shown
        await rows.filter(has_text="1002").get_by_role("link", name="1", exact=True).press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Answered (1002) 1")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.go_back()
        await page.locator(".states a").first.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Ready / signed in")
        await expect(page.locator("tbody tr")).to_have_count(2)
        taken.told_nothing_wrong(server)


async def test_the_city_reads_the_way_of_a_call_without_numbers_and_another_centre_finds_none(
    browser: Browser,
) -> None:
    source = DeskSource(a_morning())
    async with served(source, calls=Shelf.of(source.desk)) as server:
        user(server.accounts, "city", Role.VIEWER, (ALL_CENTRES,))
        user(server.accounts, "other", Role.SUPERVISOR, ("elsewhere",))
        city = (await seat(browser, server, who="city")).page
        await city.goto(f"{server.url}/calls/c1?lang=en")
        await expect(city.get_by_role("heading", name="Call c1")).to_be_visible()
        assert "678" not in await city.locator("main").inner_text()
        await city.goto(f"{server.url}/calls?lang=en")
        await expect(city.get_by_label("Number", exact=True)).to_have_count(0)
        other = (await seat(browser, server, who="other")).page
        await other.goto(f"{server.url}/calls/c1?lang=en")
        await expect(other.get_by_role("heading", name="Not found")).to_be_visible()
        await other.goto(f"{server.url}/calls?lang=en")
        await expect(other.get_by_text("No call fits")).to_be_visible()


@pytest.mark.parametrize(("scheme", "language"), [("light", "ja"), ("dark", "en")])
async def test_the_pages_of_calls_can_be_read_heard_and_reached(
    browser: Browser, scheme: Scheme, language: str
) -> None:
    """As `test_every_page_can_be_read_heard_and_reached`."""
    source = DeskSource(a_morning())
    async with served(source, calls=Shelf.of(source.desk)) as server:
        taken = await seat(browser, server, who="sup", scheme=scheme, width=320)
        page = taken.page
        for path in ("/calls", "/calls?first=x", "/calls/c1", "/calls/c3", "/calls/none"):
            await page.goto(f"{server.url}{path}{'&' if '?' in path else '?'}lang={language}")
            await expect(page.locator("html")).to_have_attribute("lang", language)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert await page.evaluate(CONTRAST) == [], path
            found = await axe.violations(page)
            assert found == [], path + "\n".join(map(str, found))
        taken.told_nothing_wrong(server)
