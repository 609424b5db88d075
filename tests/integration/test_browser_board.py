"""The first page in a real browser: what a supervisor sees, and what nobody may make it do."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from callcore.domain import inputs as i
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, CentreId, ChannelId, Instant
from callcore.domain.measures import Ratio
from callcore.runtime.ports import Beside
from callcore.web import Pace
from tests.support import axe
from tests.support.browser import CONTRAST, SCHEMES, Scheme, board, seat
from tests.support.floors import NODE, Desk, centre, configuration
from tests.support.web import DeskSource, Stream, served
from tests.unit import test_callbacks as callbacks
from tests.unit import test_messages as messages

PACE = Pace(min_gap_s=0.05, keep_alive_s=1.0, freshness_s=0.1, reconnect_ms=200)

pytestmark = pytest.mark.timeout(120)


def a_source(of: Centre | None = None) -> DeskSource:
    return DeskSource(Desk().begin(configuration(of or centre())))


async def test_a_supervisor_sees_each_change_of_the_floor_as_it_happens(browser: Browser) -> None:
    source = a_source()
    desk = source.desk
    async with served(source, pace=PACE) as server:
        taken = await board(browser, server)
        page = taken.page
        await expect(page.locator('[data-f="answer_ratio"]')).to_have_text("–")
        await expect(page.locator('[data-f="waiting-empty"]')).to_be_visible()

        desk.wait(5, "c1")
        source.turn()
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(1)
        await expect(page.locator('[data-f="waiting-rows"] [data-f="number"]')).to_have_text("…678")
        await expect(page.locator('[data-f="waiting"]')).to_have_text("1")

        desk.sign_in(9, 1)
        desk.ring(9, "c1")
        source.turn()
        await expect(page.locator('[data-f="agent-rows"] [data-f="state"]')).to_have_text("呼出中")
        await expect(page.locator('[data-f="waiting-rows"] [data-f="to"]')).to_have_text(
            "→ オペレーター01 · 最長待機 0 秒"
        )

        desk.join(11, "c1", ChannelId(f"leg-{desk.open_offer('c1')}"))
        source.turn()
        await expect(page.locator('[data-f="agent-rows"] [data-f="state"]')).to_have_text("通話中")
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(0)
        await expect(page.locator('[data-f="answer_ratio"]')).to_have_text("100%")

        desk.hang_up(60, "c1")
        source.turn()
        await expect(page.locator('[data-f="agent-rows"] [data-f="state"]')).to_have_text("後処理")
        await expect(page.locator('[data-f="open"]')).to_have_text("全件終了")
        taken.told_nothing_wrong(server)


async def test_of_a_long_line_the_first_are_shown_and_a_button_shows_all(browser: Browser) -> None:
    source = a_source()
    for n in range(1, 61):
        source.desk.wait(n, f"c{n}")
    source.turn()
    async with served(source, pace=PACE) as server:
        taken = await board(browser, server)
        rows, button = (taken.page.locator(f'[data-f="waiting-{name}"]') for name in ("rows", "more"))
        await expect(rows.locator("tr")).to_have_count(50)
        await expect(taken.page.locator('[data-f="waiting-count"]')).to_have_text("60")
        await expect(button).to_have_text("あと 10 人も表示")
        await expect(rows.locator('[data-f="to"]:not(:empty)')).to_have_text(
            ["受け持てるオペレーターが受付していない"]  # once for all of them
        )
        await button.press("Enter")
        await expect(rows.locator("tr")).to_have_count(60)
        await expect(button).to_have_attribute("aria-expanded", "true")
        source.desk.tell(i.HangupRequested(at=source.desk.at(70), channel=ChannelId("c1")))
        source.desk.tell(i.ChannelGone(at=source.desk.at(70), channel=ChannelId("c1"), cause=16))
        source.turn()
        await expect(rows.locator("tr")).to_have_count(59)
        await expect(rows.locator('[data-f="position"]').first).to_have_text("1")
        await expect(rows.locator('[data-f="to"]').first).to_have_text(
            "受け持てるオペレーターが受付していない"
        )
        await button.click()
        await expect(rows.locator("tr")).to_have_count(50)
        taken.told_nothing_wrong(server)


async def test_a_wait_ticks_on_by_the_servers_clock_without_being_asked(browser: Browser) -> None:
    source = a_source()
    source.desk.wait(5, "c1")
    source.turn()
    source.clock = source.desk.at(5 + 59)
    async with served(source, pace=replace(PACE, keep_alive_s=5)) as server:
        page = (await board(browser, server)).page
        await expect(page.locator('[data-f="waiting-rows"] [data-f="wait"]')).to_have_text("1:01")
        await expect(page.locator('[data-f="waiting-rows"] [data-f="over"]')).to_have_text("超過")


async def test_a_lost_connection_is_said_and_what_is_old_never_looks_new(
    browser: Browser, tmp_path: Path
) -> None:
    source = a_source()
    source.desk.wait(5, "c1")
    source.turn()
    async with served(source, pace=PACE, folder=tmp_path) as server:
        port = server.port
        page = (await board(browser, server)).page
        await server.stop()
        await expect(page.locator("body")).to_have_attribute("data-state", "lost")
        await expect(page.locator("#notice")).to_contain_text("接続が切れています(12:00:0")
        frozen = await page.locator('[data-f="waiting-rows"] [data-f="wait"]').text_content()
        clock = await page.locator("#clock").text_content()
        await expect(page.locator("#clock")).not_to_have_text(clock or "")
        assert await page.locator('[data-f="waiting-rows"] [data-f="wait"]').text_content() == frozen
        assert "grayscale" in await page.locator("main").evaluate("e => getComputedStyle(e).filter")
    source.desk.wait(9, "c2")
    source.turn()
    async with served(source, pace=PACE, port=port, folder=tmp_path):
        await expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=15_000)
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(2)
        await expect(page.locator("#notice")).to_have_text("")


async def test_a_board_that_comes_back_to_a_server_that_still_reads_is_not_shown_the_past_as_new(
    browser: Browser, tmp_path: Path
) -> None:
    source = a_source()
    source.desk.wait(5, "c1")
    source.turn()
    source.turn()
    async with served(source, pace=PACE, folder=tmp_path) as server:
        port = server.port
        page = (await board(browser, server)).page
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(1)
        await server.stop()
        await expect(page.locator("body")).to_have_attribute("data-state", "lost")
    behind = a_source()  # started again, and before the first caller in its journal
    async with served(behind, pace=replace(PACE, keep_alive_s=600), port=port, folder=tmp_path) as server:
        async with asyncio.timeout(20):
            while server.streams.open == 0:
                await asyncio.sleep(0.05)
        newcomer = await Stream.open(server.port, server.machine)
        assert (await newcomer.next()).id == "1.1"
        behind.turn()
        assert (await newcomer.next()).id == "1.2"
        await newcomer.close()
        assert await page.locator("body").get_attribute("data-state") == "lost"
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(1)
        behind.desk.wait(5, "c1")
        behind.desk.wait(9, "c2")
        behind.turn()
        await expect(page.locator("body")).to_have_attribute("data-state", "live")
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(2)


async def test_a_line_that_is_open_and_says_nothing_is_taken_for_broken(browser: Browser) -> None:
    source = a_source()
    async with served(source, pace=replace(PACE, keep_alive_s=600)) as server:
        taken = await seat(browser, server, who="sup")
        page = taken.page
        await page.clock.install()
        await page.goto(server.url)
        await expect(page.locator("body")).to_have_attribute("data-state", "live")
        await page.clock.fast_forward(13_000)
        await expect(page.locator("body")).to_have_attribute("data-state", "lost")
        await expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=15_000)
        assert taken.asked[-1].endswith("/live/stream?changes=true&after=1.1"), (
            "it says what it has seen already"
        )


async def test_a_silent_engine_is_said_although_the_page_itself_is_connected(browser: Browser) -> None:
    source = a_source()
    async with served(source, pace=PACE) as server:
        page = (await board(browser, server)).page
        source.stale = 8.0
        await expect(page.locator("body")).to_have_attribute("data-state", "engine")
        await expect(page.locator("#notice")).to_contain_text("秒間応答がありません")
        source.stale = None
        await expect(page.locator("body")).to_have_attribute("data-state", "live")


async def test_a_lost_asterisk_is_said(browser: Browser) -> None:
    source = a_source()
    async with served(source, pace=PACE) as server:
        page = (await board(browser, server)).page
        source.tell(i.LinkDropped(at=source.desk.at(9), node=NODE))
        await expect(page.locator("body")).to_have_attribute("data-state", "unlinked")
        await expect(page.locator("#notice")).to_contain_text("Asterisk")


HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


async def test_names_and_numbers_from_outside_are_shown_as_text_and_never_run(browser: Browser) -> None:
    small = centre(1)
    hostile = replace(
        small,
        name=HOSTILE,
        queues=(replace(small.queues[0], name=HOSTILE),),
        agents=(replace(small.agents[0], name=HOSTILE),),
        phones=(replace(small.phones[0], seat=HOSTILE),),
    )
    source = a_source(hostile)
    source.desk.sign_in(1, 1)
    for n, number in enumerate((HOSTILE, "<b>", "{part}", None)):
        name = source.desk.arrive(2 + n, f"c{n}", caller=number)
        source.desk.tell(i.CallerHeld(at=source.desk.at(2 + n), call=name))
    source.turn()
    async with served(source, pace=PACE) as server:
        page = (await board(browser, server)).page
        await expect(page.locator('[data-f="name"]').first).to_have_text(HOSTILE)
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(4)
        assert await page.title() == "ライブ状況 – callcore"
        assert await page.locator("main img, main script, main b").count() == 0


async def test_nothing_is_asked_of_any_other_host_and_the_policy_is_not_hurt(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        taken = await board(browser, server, "?lang=en")
        await expect(taken.page.locator("h1")).to_contain_text("Live status")
        assert taken.asked
        taken.told_nothing_wrong(server)


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("width", [360, 1280, 1920])
async def test_the_page_fits_its_screen_with_a_full_hall(browser: Browser, width: int, language: str) -> None:
    source = a_source(centre(30))
    for n in range(1, 25):
        source.desk.sign_in(n, n)
    for n in range(40):
        source.desk.wait(100 + n, f"c{n}")
    source.desk.arrive(150, "greeted", caller=None)
    source.turn()
    async with served(source, pace=PACE) as server:
        page = (await board(browser, server, f"?lang={language}", width=width)).page
        await expect(page.locator('[data-f="agent-rows"] tr')).to_have_count(24)
        await expect(page.locator('[data-f="out-rows"] li')).to_have_count(6)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if width >= 1280:
            wide = (
                "[...document.querySelectorAll('.panel')].filter(p => p.scrollWidth > p.clientWidth).length"
            )
            assert await page.evaluate(wide) == 0, "no table is cut off"


WITH_LANGUAGE_AND_AGAIN = """
(language) => {
  document.querySelector(".centre").dataset.languages = "some";
  const panel = document.querySelector("table.waiting").parentElement;
  const words = language === "ja" ? ["再入電", "日本語"] : ["again", "Japanese"];
  for (const e of panel.querySelectorAll('tbody [data-f="again"]')) e.textContent = words[0];
  for (const e of panel.querySelectorAll('tbody [data-f="language"]')) e.textContent = words[1];
  return panel.scrollWidth - panel.clientWidth;
}
"""
"""By how much the waiting callers' table is too wide when all of them have both."""


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("width", [1241, 1265, 1920])  # 1280 with a bar to scroll by
async def test_no_word_and_no_button_is_cut_off_while_agents_talk_hold_and_wrap_up(
    browser: Browser, width: int, language: str
) -> None:
    source = a_source(replace(centre(8), languages=("ja", "en")))
    desk = source.desk
    for n in range(1, 8):
        desk.sign_in(n, n)
    for n in range(6):
        desk.wait(20 + n, f"c{n}")
        leg = desk.pick_up(30 + n, f"c{n}")
        if n % 2:
            desk.tell(i.HoldChanged(at=desk.at(41 + n), channel=leg, held=True))
    desk.hang_up(50, "c0")
    desk.wait(51, "again")
    desk.wait(52, "rings")
    source.turn()
    async with served(
        source, beside=lambda: Beside({CentreId("demo"): Ratio(1760, 2000)}), pace=PACE
    ) as server:
        page = (await board(browser, server, f"?lang={language}", width=width)).page
        await expect(page.locator('[data-f="agent-rows"] tr')).to_have_count(7)
        wide = "e => e.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText)"
        assert await page.locator("html, .group, .tile, .tile dt, .panel").evaluate_all(wide) == []
        assert await page.locator(".panel .do:visible").count() == 9
        source.clock = desk.at(52 + 754)
        source.turn()
        await expect(page.locator('[data-f="longest"]')).to_contain_text("12:3")
        assert await page.evaluate(WITH_LANGUAGE_AND_AGAIN, language) <= 0
        assert await page.locator("html, .group, .tile, .tile dt, .panel").evaluate_all(wide) == []


async def test_the_language_can_be_changed_with_the_keyboard_alone(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        page = (await board(browser, server)).page
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.get_by_role("link", name="English").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_every_word_can_be_read_in_daylight_and_at_night(browser: Browser, scheme: Scheme) -> None:
    source = a_source(centre(4))
    desk = source.desk
    for n in range(1, 4):
        desk.sign_in(n, n)
    desk.wait(10, "c1")
    desk.pick_up(12, "c1")
    desk.wait(20, "c2")
    desk.pick_up(22, "c2")
    desk.hang_up(40, "c2")
    for n in range(3, 6):
        desk.wait(50 + n, f"c{n}")
    messages.left(desk, 60, "m1")
    messages.left(desk, 90, "m2")
    messages.taken(desk, 130, "m2")
    callbacks.asks(desk, 140, "b1")
    source.turn()
    source.clock = desk.at(200)
    assert source.clock - desk.at(0) == 200 * SECOND
    async with served(source, pace=PACE) as server:
        page = (await board(browser, server, scheme=scheme)).page
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(3)
        await expect(page.locator('[data-f="longest-tile"] [data-over]')).to_have_count(1)
        assert await page.evaluate(CONTRAST) == []
        captions = await page.locator("table").evaluate_all("all => all.map(t => Boolean(t.caption))")
        assert captions == [True, True, True]
        await expect(page.locator('[data-f="message-rows"] tr')).to_have_count(2)
        await expect(page.locator('[data-f="callbacks"]')).to_have_text("折り返し待ち 1 人")


def a_busy_source() -> DeskSource:
    source = a_source(centre(4))
    desk = source.desk
    for n in range(1, 4):
        desk.sign_in(n, n)
    desk.wait(10, "c1")
    desk.pick_up(12, "c1")
    desk.wait(20, "c2")
    source.turn()
    return source


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_screen_reader_and_a_keyboard_find_nothing_in_their_way(
    browser: Browser, language: str, scheme: Scheme
) -> None:
    async with served(a_busy_source(), pace=PACE) as server:
        page = (await board(browser, server, f"?lang={language}", scheme=scheme)).page
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(1)
        found = await axe.violations(page)
        assert found == [], "\n".join(map(str, found))


PLANTED = """
() => {
  const place = document.body.appendChild(document.createElement("section"));  // the page fills its own main anew
  place.append(Object.assign(document.createElement("img"), {src: "/favicon"}));
  place.append(document.createElement("button"), document.createElement("input"));
  const pale = Object.assign(document.createElement("p"), {textContent: "待ち呼"});
  pale.style.color = "#ddd";
  pale.style.backgroundColor = "#fff";
  place.append(pale);
  document.documentElement.removeAttribute("lang");
}
"""


async def test_planted_obstacles_are_found(browser: Browser) -> None:
    async with served(a_busy_source(), pace=PACE) as server:
        page = (await board(browser, server)).page
        await page.evaluate(PLANTED)
        found = {one.rule: one for one in await axe.violations(page)}
        assert {"image-alt", "button-name", "label", "color-contrast", "html-has-lang"} <= set(found)
        assert found["image-alt"].places == ("img",)
        assert found["label"].impact == "critical"
        assert {one.rule for one in await axe.violations(page, only="header")} <= {"html-has-lang"}


SLOW = """
() => document.addEventListener("live", () => {
  const end = performance.now() + 400;
  while (performance.now() < end);
})
"""
"""A machine that takes 0.4 s for a picture."""


@pytest.mark.few
async def test_a_machine_too_slow_for_every_picture_shows_what_is_and_not_what_was(browser: Browser) -> None:
    desk = Desk().begin(configuration(centre(100)))
    for n in range(1, 101):
        desk.sign_in(n, n)
    for n in range(300):
        desk.wait(200 + n, f"c{n}")
    source = DeskSource(desk)
    rendered: dict[str, float] = {}

    async def goes_on() -> None:
        while True:
            source.turn()
            source.clock = Instant(round(time.time() * SECOND))
            rendered[str(source.view().seq)] = time.monotonic()
            await asyncio.sleep(0.05)

    async with served(source, pace=replace(PACE, min_gap_s=0.05)) as server:
        taken = await board(browser, server)
        await taken.page.evaluate(SLOW)
        going_on = asyncio.create_task(goes_on())
        await taken.page.evaluate(
            "document.addEventListener('live', (event) => { window.seq = event.detail.seq; })"
        )
        await asyncio.sleep(8)
        shown = rendered[await taken.page.evaluate("window.seq")]
        behind = time.monotonic() - shown
        going_on.cancel()
    assert behind < 4, f"{behind:.1f} s behind"
