"""What the board says beside the tables, and the wall that is read from 4 m, in a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from callcore.domain import inputs as i
from callcore.domain.ids import AgentId, CallId, CentreId
from callcore.domain.measures import Ratio
from callcore.domain.stages import TalkKey
from callcore.runtime.ports import Beside, Health
from tests.support import axe
from tests.support.browser import CONTRAST, Scheme, board, seat
from tests.support.floors import Desk, centre, configuration
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, served
from tests.unit import test_callbacks as callbacks
from tests.unit import test_messages as messages

pytestmark = pytest.mark.timeout(240)

ILL = Beside(
    {CentreId("demo"): Ratio(1860, 2000)}, (Health("engine", True, ""), Health("database", False, ""))
)


def a_morning(*more: str) -> DeskSource:
    """One talks and is on hold, one was answered, one gave up, one waits; `more` are centres without calls."""
    others = [
        replace(centre(0), id=CentreId(name), name=name, name_en=name, numbers=(), queues=(), phones=())
        for name in more
    ]
    desk = Desk().begin(configuration(centre(3), *others))
    for n in (1, 2):
        desk.sign_in(n, n)
    desk.wait(10, "c1")
    desk.pick_up(15, "c1")
    desk.hang_up(75, "c1")
    desk.wait(80, "c2")
    desk.pick_up(84, "c2")
    leg = desk.floor.calls[CallId("c2")].talking_leg
    assert leg is not None
    desk.tell(i.HoldChanged(at=desk.at(90), channel=leg, held=True))
    desk.wait(95, "c3")
    desk.hang_up(115, "c3")
    desk.wait(120, "c4")
    return DeskSource(desk)


async def test_a_supervisor_sees_month_staff_curve_and_health_and_comes_from_a_number_to_its_calls(
    browser: Browser,
) -> None:
    source = a_morning()
    async with served(source, calls=Shelf.of(source.desk), beside=lambda: ILL) as server:
        taken = await board(browser, server, "?lang=en")
        page = taken.page
        told = {
            "month": "93.0%",
            "month-margin": "66 more may be lost",
            "staffed": "2",
            "health": "System: look at the database",
            "answered": "2",
            "overflow": "0",
        }
        for name, text in told.items():
            await expect(page.locator(f'[data-f="{name}"]')).to_have_text(text)
        await expect(page.get_by_role("img", name="4 arrivals and 2 answers")).to_be_visible()
        first = page.locator('[data-f="agent-rows"] tr').first
        await expect(first).to_contain_text("on hold since")
        await expect(first.locator('[data-f="today"]')).to_have_text("1")
        await page.get_by_role("link", name="2", exact=True).first.focus()
        await page.locator('a[data-figure="answered"]').press("Enter")
        await expect(page.get_by_role("heading", name="Answered 2")).to_be_visible()
        await expect(page.get_by_text("agent and caller were in one bridge")).to_be_visible()
        rows = page.get_by_role("group", name="The calls behind it, the newest first").locator("tbody tr")
        await expect(rows).to_have_count(2)
        async with page.expect_download() as coming:
            await page.get_by_role("link", name="Save as CSV").click()
        assert (await coming.value).suggested_filename == "demo-2026-11-23-answered.csv"
        await page.goto(f"{server.url}/figures/demo/staffed?lang=en")
        agents = page.get_by_role("group", name="The agents behind it").locator("tbody tr")
        await expect(agents).to_have_count(2)
        taken.told_nothing_wrong(server)


WITHOUT = """
() => [...document.querySelectorAll(".tile dd")].filter((e) => !e.querySelector("a[href]")).map((e) => e.textContent)
"""


async def test_every_number_of_board_and_wall_leads_to_its_formula_filter_and_seq(browser: Browser) -> None:
    source = a_morning()
    async with served(source, calls=Shelf.of(source.desk), beside=lambda: ILL) as server:
        taken = await board(browser, server, "?lang=en")
        page, leads = taken.page, set[str]()
        for path in ("/", "/wall/demo"):
            await page.goto(f"{server.url}{path}?lang=en")
            await expect(page.locator("body")).to_have_attribute("data-state", "live")
            assert await page.evaluate(WITHOUT) == [], path
            hrefs = "links => links.map((a) => a.getAttribute('href'))"
            leads |= set(await page.locator("a[data-figure]").evaluate_all(hrefs))
        assert {"/figures/demo/month_answer_ratio", "/figures/demo/help_now", "/figures/demo/due_now"} < leads
        for lead in sorted(leads - {"/figures/demo"}):
            answer = await page.goto(f"{server.url}{lead}?lang=en")
            assert answer is not None and answer.status == 200, lead
            for term in ("Formula", "Filter", "True at (seq)"):
                value = (
                    page.locator("dl.facts div").filter(has=page.get_by_text(term, exact=True)).locator("dd")
                )
                assert await value.inner_text(), (lead, term)
        taken.told_nothing_wrong(server)


async def test_help_what_is_due_and_the_month_lead_on_to_their_calls(browser: Browser) -> None:
    source = a_morning()
    desk = source.desk
    desk.tell(i.TalkKeyed(at=desk.at(125), key=TalkKey.HELP, agent=AgentId("1002")))
    messages.left(desk, 130, "m1")
    callbacks.asks(desk, 200, "b1")
    source.turn()
    async with served(source, calls=Shelf.of(desk), beside=lambda: ILL) as server:
        taken = await board(browser, server, "?lang=en")
        page = taken.page
        for figure, heading, count, call in (
            ("help_now", "Help asked for now 1", 1, "c2"),
            ("due_now", "To call back now 2", 2, "m1"),
        ):
            await page.goto(f"{server.url}/?lang=en")
            await expect(page.locator("body")).to_have_attribute("data-state", "live")
            await page.locator(f'dd a[data-figure="{figure}"]').press("Enter")
            await expect(page.get_by_role("heading", name=heading)).to_be_visible()
            await expect(page.locator("tbody tr")).to_have_count(count)
            await expect(page.locator("tbody a").first).to_have_attribute("href", f"/calls/{call}")
        await page.goto(f"{server.url}/wall/demo?lang=en")
        await page.locator('a[data-figure="month_answer_ratio"]').press("Enter")
        await expect(page.get_by_role("heading", name="Answer ratio of the month")).to_contain_text("(2 / ")
        await expect(page.locator("tbody tr")).to_have_count(23)
        await page.get_by_role("link", name="2026-11-23").press("Enter")
        await expect(
            page.get_by_role("group", name="Calls in the numerator").locator("tbody tr")
        ).to_have_count(2)
        taken.told_nothing_wrong(server)


SMALLEST = """
() => Math.min(...[...document.querySelectorAll("body *")]
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.checkVisibility()
    && !e.closest(".skip, noscript, template, script, title"))
  .map((e) => parseFloat(getComputedStyle(e).fontSize) / innerWidth))
"""
"""The smallest letter, as a share of the picture's width."""


@pytest.mark.parametrize(
    ("path", "more", "width", "scheme"),
    [
        ("/wall/demo", (), 1920, "dark"),
        ("/wall", ("a", "b", "c"), 1920, "light"),
        ("/wall", ("a", "b", "c", "d", "e"), 3840, "dark"),
    ],
)
async def test_the_wall_fits_its_screen_and_no_letter_is_too_small_for_4_m(
    browser: Browser, path: str, more: tuple[str, ...], width: int, scheme: Scheme
) -> None:
    """On a picture 1.5 m wide 1.65 % is 25 mm: 21 minutes of arc at 4 m."""
    async with served(a_morning(*more), beside=lambda: ILL) as server:
        taken = await seat(browser, server, who="sup", width=width, scheme=scheme)
        page = taken.page
        await page.set_viewport_size({"width": width, "height": width * 9 // 16})
        await page.goto(f"{server.url}{path}")
        await expect(page.locator("body")).to_have_attribute("data-state", "live")
        await expect(page.locator(".centre")).to_have_count(1 + len(more))
        await expect(page.locator('[data-key="demo"] [data-f="month"]')).to_have_text("93.0%")
        root = "document.documentElement"
        assert await page.evaluate(f"{root}.scrollWidth <= innerWidth && {root}.scrollHeight <= innerHeight")
        wide = "[...document.querySelectorAll('.tile')].filter(e => e.scrollWidth > e.clientWidth).length"
        assert await page.evaluate(wide) == 0, "no figure is cut off"
        assert await page.evaluate(SMALLEST) >= 0.0165
        taken.told_nothing_wrong(server)


@pytest.mark.parametrize("language", ["ja", "en"])
async def test_a_bad_month_and_an_alarm_fit_the_wall_too(browser: Browser, language: str) -> None:
    source, below = a_morning(), Ratio(1760, 2000)
    source.tell(i.TalkKeyed(at=source.desk.at(125), key=TalkKey.HELP, agent=AgentId("1002")))
    async with served(source, beside=lambda: Beside({CentreId("demo"): below})) as server:
        page = (await seat(browser, server, who="sup")).page
        await page.set_viewport_size({"width": 1280, "height": 720})
        await page.goto(f"{server.url}/wall/demo?lang={language}")
        await expect(page.locator('[data-f="margin"]')).to_contain_text("400")
        await expect(page.locator('[data-f="alarm"]')).to_contain_text("A-2")
        root = "document.documentElement"
        assert await page.evaluate(f"{root}.scrollWidth <= innerWidth && {root}.scrollHeight <= innerHeight")
        cut = "(one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight"
        assert (
            await page.locator(".tile").evaluate_all(f"e => e.filter({cut}).map((one) => one.innerText)")
            == []
        )
        assert await page.evaluate(SMALLEST) >= 0.0165


@pytest.mark.parametrize(("scheme", "language"), [("light", "ja"), ("dark", "en")])
async def test_wall_and_figures_can_be_read_heard_and_reached(
    browser: Browser, scheme: Scheme, language: str
) -> None:
    """As `test_every_page_can_be_read_heard_and_reached`."""
    source = a_morning("a")
    async with served(source, calls=Shelf.of(source.desk), beside=lambda: ILL) as server:
        taken = await seat(browser, server, who="sup", scheme=scheme, width=320)
        page = taken.page
        for path in (
            "/",
            "/wall",
            "/wall/demo",
            "/figures/demo",
            "/figures/demo/answer_ratio",
            "/figures/demo/free",
            "/figures/demo/outgoing",
            "/figures/demo/month_answer_ratio",
            "/figures/demo/help_now",
            "/figures/demo/due_now",
        ):
            await page.goto(f"{server.url}{path}?lang={language}")
            await expect(page.locator("html")).to_have_attribute("lang", language)
            if "figures" not in path:
                await expect(page.locator("body")).to_have_attribute("data-state", "live")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert await page.evaluate(CONTRAST) == [], path
            found = await axe.violations(page)
            assert found == [], path + "\n".join(map(str, found))
        taken.told_nothing_wrong(server)
