"""Recordings as a supervisor finds, hears and prints them, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from callcore.db import migrate
from callcore.domain.recording import SoundFormat
from callcore.erasure import Reports
from callcore.settings import Settings
from callcore.web import recordings
from tests.support import axe
from tests.support.browser import CONTRAST, Scheme, seat
from tests.support.erased import ID, a_report, kept
from tests.support.floors import Desk
from tests.support.people import first_administrator, user
from tests.support.recorded import CITIZEN, SECONDS, Stock, keep, stocked
from tests.support.web import DeskSource, Served, served

pytestmark = pytest.mark.timeout(240)

HEARD = "e => new Promise(done => e.addEventListener('timeupdate', () => e.currentTime > %s && done(e.currentTime)))"
SOUGHT = "e => !e.seeking || new Promise(done => e.addEventListener('seeked', done))"
"""Chromium that is sought again before it got there, now and then never gets anywhere; so it does with a plain file."""
PEAKS = """async e => {
    const data = await (await fetch(e.src)).arrayBuffer();
    const sound = await new OfflineAudioContext(2, 1, 48000).decodeAudioData(data);
    const second = n => sound.getChannelData(n).subarray(48000, 96000);
    return Array.from({length: sound.numberOfChannels}, (_, n) => Math.max(...second(n)));
}"""
"""How loud each channel is that the browser plays."""
PAPER = 1031
"""Pixels of A4 across, without its margins."""
OVER_ONE_ANOTHER = """() => {
    const seen = [...document.querySelectorAll("main :is(input, select, button, summary, audio)")]
        .filter(e => e.checkVisibility() && e.type !== "hidden")
        .map(e => [e.id || e.textContent.trim(), e.getBoundingClientRect()]);
    const both = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom + 2 && b.top < a.bottom + 2;
    return seen.flatMap(([a, of], n) => seen.slice(n + 1).filter(([, b]) => both(of, b)).map(([b]) => `${a} ${b}`));
}"""
"""The controls that stand over one another, or less than two pixels below one another."""


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[Stock, Served]]:
    """Two recordings, and pages on which an administrator, "chief", may sign in."""
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder}/callcore.db"
    await migrate.upgrade(url)
    async with (
        stocked(url, folder) as stock,
        served(DeskSource(Desk().begin()), recordings=stock.recorded) as server,
    ):
        first_administrator(server.accounts)
        yield stock, server


async def test_a_recording_is_found_by_number_and_played_and_sought_for_a_purpose(
    browser: Browser, tmp_path: Path
) -> None:
    async with house(tmp_path) as (stock, server):
        user(server.accounts, "sup", Role.SUPERVISOR)
        user(server.accounts, "city", Role.VIEWER)
        taken = await seat(browser, server, who="sup")
        page, ranges = taken.page, list[str]()
        page.on(
            "response",
            lambda r: ranges.append(r.headers.get("content-range", "")) if "/audio?" in r.url else None,
        )
        await page.goto(f"{server.url}/recordings?lang=en")
        rows = page.get_by_role("group", name="Recordings, the newest first").locator("tbody tr")
        await expect(rows).to_have_count(2)
        await page.get_by_label("Number", exact=True).fill(f"{CITIZEN[:3]}-{CITIZEN[3:7]}-{CITIZEN[7:]}")
        await page.get_by_label("Kind", exact=True).select_option(label="Caller")
        await page.get_by_role("button", name="Search").press("Enter")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("Abuse or threat")
        await expect(rows).to_contain_text("678")
        assert CITIZEN not in page.url, "no number in an address"
        await page.get_by_text("More").click()
        await page.get_by_label("SHA-256").fill("zz")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_role("alert")).to_contain_text("SHA-256")
        await page.get_by_label("SHA-256").fill("")
        await page.get_by_role("button", name="Search").click()
        await rows.get_by_role("link").click()

        await expect(
            page.get_by_role("group", name="Pauses of the recording").locator("tbody tr")
        ).to_have_count(2)
        await expect(page.locator("audio")).to_have_count(0)
        await page.get_by_label("Purpose").fill("Following up a complaint")
        await page.get_by_role("button", name="Listen").click()
        sound = page.get_by_label("Recording c1")
        await expect(sound).to_be_focused()
        await sound.evaluate("e => e.play()")
        assert await sound.evaluate(HEARD % "0.2") > 0.2
        assert await sound.evaluate("e => e.duration") == SECONDS
        await sound.evaluate("e => { e.currentTime = 15 }")
        assert await sound.evaluate(HEARD % "15.2") > 15.2
        assert await sound.evaluate("e => e.error === null")
        assert any(told.endswith(f"/{len(stock.sound)}") for told in ranges), ranges

        heard = page.get_by_role("group", name="Who listened, the newest first").locator("tbody tr")
        await expect(heard).to_have_count(1)
        await expect(heard).to_contain_text("Following up a complaint")
        await page.get_by_label("Purpose").fill("Request for disclosure")
        async with page.expect_download() as coming:
            await page.get_by_role("button", name="Download the file").click()
        saved = await coming.value
        assert saved.suggested_filename == "c1.wav"
        assert Path(await saved.path()).read_bytes() == stock.sound
        await page.get_by_role("link", name="For printing").click()
        await expect(page.get_by_role("button", name="Print")).to_be_visible()
        await expect(heard).to_have_count(2)
        taken.told_nothing_wrong(server)
        told = [
            (line.action, line.who, line.why) for line in server.trail.newest(Wanted(text="recording_"), 9)
        ]
        assert told == [
            ("recording_download", "user:sup", "Request for disclosure"),
            ("recording_listen", "user:sup", "Following up a complaint"),
        ]

        server.orders.ask = stock.marks  # type: ignore[method-assign]
        await page.goto(f"{server.url}/recordings/c1?lang=en")
        marks = page.locator("dl").get_by_text("Marks").locator("..")
        await expect(marks).to_contain_text("Complaint")
        await expect(page.get_by_role("button", name="Take away: Abuse")).to_have_count(0)
        await page.get_by_label("Reason").fill("A clerk's slip")
        await page.get_by_role("button", name="Take away: Complaint").click()
        await expect(marks).not_to_contain_text("Complaint")
        await page.get_by_role("button", name="Mark: Relay service").click()
        await expect(marks).to_contain_text("Relay service")
        chief = (await seat(browser, server, who="chief")).page
        await chief.goto(f"{server.url}/recordings/c1?lang=en")
        await chief.get_by_role("button", name="Take away: Abuse").click()
        await expect(chief.get_by_role("alert")).to_contain_text("Give a reason")
        await chief.get_by_label("Reason").fill("Keyed by mistake")
        await chief.get_by_role("button", name="Take away: Abuse").click()
        await expect(chief.get_by_role("button", name="Mark: Abuse")).to_be_visible()
        await chief.goto(f"{server.url}/recordings?lang=en&mark=relay")
        await expect(
            chief.get_by_role("group", name="Recordings, the newest first").locator("tbody tr")
        ).to_have_count(2)

        city = (await seat(browser, server, who="city")).page
        await city.goto(f"{server.url}/recordings/c1?lang=en")
        await expect(city.get_by_role("heading", name="Recording c1")).to_be_visible()
        await expect(city.get_by_role("button", name="Listen")).to_have_count(0)
        await expect(city.get_by_role("button", name="Mark:")).to_have_count(0)
        assert CITIZEN[-3:] not in await city.locator("main").inner_text()


async def test_who_goes_back_from_a_recording_has_the_list_that_was_searched_for(
    browser: Browser, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/callcore.db"
    await migrate.upgrade(url)
    async with (
        stocked(url, tmp_path) as stock,
        served(DeskSource(Desk().begin()), calls=stock.stored, recordings=stock.recorded) as server,
    ):
        first_administrator(server.accounts)
        taken = await seat(browser, server, who="chief")
        page = taken.page
        for path, field, found in (
            ("/recordings", "kind", "call"),
            ("/calls", "outcome", "transferred_blind"),
        ):
            await page.goto(f"{server.url}{path}?lang=en")
            await page.locator(f"#{field}").select_option(found)
            await page.get_by_role("button", name="Search").click()
            link = page.locator("tbody").get_by_role("link").first
            await link.click()
            await expect(page).to_have_url(f"{server.url}{path}/c1")
            await page.go_back()
            await expect(page.locator(f"#{field}")).to_have_value(found)
            await expect(page.locator("tbody").get_by_role("link")).to_have_count(1)
        taken.told_nothing_wrong(server)


async def test_a_player_that_gets_no_more_sound_says_so(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as (_, server):
        page = (await seat(browser, server, who="chief")).page
        await page.goto(f"{server.url}/recordings/c1?lang=en")
        await page.get_by_label("Purpose").fill("x")
        await page.get_by_role("button", name="Listen").click()
        sound = page.get_by_label("Recording c1")
        await expect(sound).to_be_focused()
        await expect(page.get_by_role("alert")).to_have_count(0)
        now = recordings.monotonic
        monkeypatch.setattr(recordings, "monotonic", lambda: now() + recordings.LISTEN_S + 200)
        await sound.evaluate("e => { e.src += '&' }")  # which it has not got yet
        await expect(page.get_by_role("alert")).to_contain_text("press Listen again")


async def test_who_has_no_mouse_states_a_purpose_plays_seeks_and_stops(
    browser: Browser, tmp_path: Path
) -> None:
    async with house(tmp_path) as (_, server):
        taken = await seat(browser, server, who="chief")
        page, keys = taken.page, taken.page.keyboard
        await page.goto(f"{server.url}/recordings/c1?lang=en")
        await page.get_by_label("Purpose").focus()
        await keys.type("Following up a complaint")
        await keys.press("Enter")
        sound = page.get_by_label("Recording c1")
        await expect(sound).to_be_focused()
        await sound.evaluate(
            "e => e.readyState || new Promise(done => e.addEventListener('loadedmetadata', done))"
        )
        places = [0.0]
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
            await keys.press(key)
            await sound.evaluate(SOUGHT)
            places.append(await sound.evaluate("e => e.currentTime"))
        assert places[0] < places[1] < places[2] > places[3] > 0, places
        await keys.press("Space")
        assert await sound.evaluate(HEARD % "0.2") > 0.2
        await keys.press("Space")
        assert await sound.evaluate("e => e.paused")
        taken.told_nothing_wrong(server)


async def test_a_recording_that_is_damaged_further_on_plays_to_there_and_says_whom_to_tell(
    browser: Browser, tmp_path: Path
) -> None:
    async with house(tmp_path) as (stock, server):
        path = keep(stock)
        data = bytearray(path.read_bytes())
        data[-1000] ^= 4
        path.write_bytes(data)
        page = (await seat(browser, server, who="chief")).page
        await page.goto(f"{server.url}/recordings/c1?lang=en")
        await page.get_by_label("Purpose").fill("x")
        await page.get_by_role("button", name="Listen").press("Enter")
        sound = page.get_by_label("Recording c1")
        await sound.evaluate("e => e.play()")
        assert await sound.evaluate(HEARD % "0.2") > 0.2
        await sound.evaluate("e => { e.currentTime = 18 }")
        await expect(page.get_by_role("alert")).to_contain_text("tell your administrator")


async def test_the_list_of_recordings_fits_its_page_and_the_list_of_who_heard_one_fits_paper(
    browser: Browser, tmp_path: Path
) -> None:
    async with house(tmp_path) as (stock, server):
        months = replace(stock.centres[0].retention, reported=12)
        stock.centres[0] = replace(stock.centres[0], retention=months)
        for n in range(3):
            server.trail.add(
                f"user:{'long' * 10}",
                recordings.LISTENED,
                on="c1",
                centre="demo",
                origin="2001:db8:1234:5678:9abc:def0:1234:5678",
                result=Result.DONE,
                why="個人情報の開示請求(受付番号 2026-11-0012)に基づく確認。" * n,
            )
        page = (await seat(browser, server, who="chief")).page
        for language in ("ja", "en"):
            await page.goto(f"{server.url}/recordings?lang={language}")
            panel = page.locator(".panel")
            await expect(panel.locator("tbody tr").first).to_contain_text("2027")
            assert await panel.evaluate("e => e.scrollWidth <= e.clientWidth"), language
        await page.set_viewport_size({"width": PAPER, "height": 700})
        await page.emulate_media(media="print")
        for language in ("ja", "en"):
            await page.goto(f"{server.url}/recordings/c1?print=1&lang={language}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), language
            rows = page.get_by_role("group").last.locator("tbody tr")
            line = await rows.first.locator("td").first.evaluate(
                "e => parseFloat(getComputedStyle(e).fontSize)"
            )
            last = await rows.last.bounding_box()
            assert last is not None and last["height"] < 4 * line, "what was done stands in one or two lines"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
async def test_no_control_of_the_pages_of_recordings_stands_over_another(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    async with house(tmp_path) as (_, server):
        page = (await seat(browser, server, who="chief", width=width)).page
        for language in ("ja", "en"):
            for path in ("/recordings?agent=1&key_period=2026-11&", "/recordings/c1?", "/exports?"):
                await page.goto(f"{server.url}{path}lang={language}")
                assert await page.evaluate(OVER_ONE_ANOTHER) == [], path
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


async def test_recordings_of_every_format_are_played_and_sought(browser: Browser, tmp_path: Path) -> None:
    mixed = [(form, False) for form in SoundFormat]
    for form, stereo in (*mixed, *((form, True) for form in SoundFormat if form is not SoundFormat.G722)):
        folder = tmp_path / f"{form.value}-{stereo}"
        async with house(folder) as (stock, server):
            keep(stock, form=form, stereo=stereo)
            taken = await seat(browser, server, who="chief")
            await taken.page.goto(f"{server.url}/recordings/c1?lang=en")
            await taken.page.get_by_label("Purpose").fill("x")
            await taken.page.get_by_role("button", name="Listen").click()
            sound = taken.page.get_by_label("Recording c1")
            await sound.evaluate("e => e.play()")
            assert await sound.evaluate(HEARD % "0.2") > 0.2
            assert await sound.evaluate("e => e.duration") == pytest.approx(SECONDS, abs=0.1)
            await sound.evaluate("e => { e.currentTime = 15 }")
            assert await sound.evaluate(HEARD % "15.2") > 15.2
            assert await sound.evaluate("e => e.error === null")
            peaks = await sound.evaluate(PEAKS)
            assert peaks[0] > 0.05 and (len(peaks) == 1 if not stereo else peaks[1] < 0.001), (form, peaks)
            taken.told_nothing_wrong(server)


@pytest.mark.parametrize(("scheme", "language"), [("light", "ja"), ("dark", "en")])
async def test_the_pages_of_recordings_can_be_read_heard_and_reached(
    browser: Browser, scheme: Scheme, language: str, tmp_path: Path
) -> None:
    """As `test_every_page_can_be_read_heard_and_reached`."""
    async with house(tmp_path) as (_, server):
        taken = await seat(browser, server, who="chief", scheme=scheme, width=320)
        page = taken.page
        await page.goto(f"{server.url}/recordings/c1?lang=en")
        await page.get_by_label("Purpose").fill("x")
        await page.get_by_role("button", name="Listen").click()
        await expect(page.locator("audio")).to_have_count(1)
        heard = page.url.removeprefix(server.url)
        for path in (
            heard,
            "/recordings/c1?print=1",
            "/recordings/s1",
            "/recordings?sha256=zz",
            "/recordings?agent=1",
            "/exports?centre=demo",
        ):
            await page.goto(f"{server.url}{path}{'&' if '?' in path else '?'}lang={language}")
            await expect(page.locator("html")).to_have_attribute("lang", language)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert await page.evaluate(CONTRAST) == [], path
            found = await axe.violations(page)
            assert found == [], path + "\n".join(map(str, found))
        taken.told_nothing_wrong(server)


@pytest.mark.parametrize(("scheme", "language"), [("light", "ja"), ("dark", "en")])
async def test_the_reports_of_erasures_can_be_read_heard_and_reached(
    browser: Browser, scheme: Scheme, language: str, tmp_path: Path
) -> None:
    kept(tmp_path, a_report())
    kept(tmp_path, a_report("erase-20261121020000-aaaaaa", found=1))
    reports = Reports(Settings(home=tmp_path))
    async with served(DeskSource(Desk().begin()), erasures=reports) as server:
        first_administrator(server.accounts)
        taken = await seat(browser, server, who="chief", scheme=scheme, width=320)
        page = taken.page
        await page.goto(f"{server.url}/erasures?lang={language}")
        await expect(page.locator("tbody tr")).to_have_count(2)
        left = "something left" if language == "en" else "残りあり"
        await expect(page.locator("tbody tr").first).to_contain_text(left)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.evaluate(CONTRAST) == []
        assert await axe.violations(page) == []
        verdict = await page.locator("tbody .mark").first.bounding_box()
        assert verdict is not None and verdict["x"] + verdict["width"] < 320, (
            "what matters needs no scrolling"
        )
        await page.set_viewport_size({"width": 1280, "height": 800})
        assert await page.locator(".panel").evaluate("e => e.scrollWidth <= e.clientWidth")
        await page.set_viewport_size({"width": 320, "height": 800})
        await page.get_by_role("link", name=ID).press("Enter")
        await expect(page).to_have_url(f"{server.url}/erasures/{ID}")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("作業完了報告書")
        assert await page.evaluate(CONTRAST) == []
        assert await axe.violations(page) == []
        taken.told_nothing_wrong(server)
