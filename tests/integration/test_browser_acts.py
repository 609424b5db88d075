"""What a supervisor presses on the board, in a real browser: by mouse and by keyboard, in both languages and themes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from callcore.access.rights import ALL_CENTRES, Role
from callcore.access.trail import Result, Wanted
from callcore.domain import inputs as i
from callcore.domain.centre import Queue
from callcore.domain.ids import AgentId, QueueId
from callcore.domain.stages import TalkKey, WatchMode
from callcore.runtime.commands import EngineAway
from callcore.web import Pace
from tests.support import axe
from tests.support.browser import CONTRAST, SCHEMES, Scheme, Seat, board
from tests.support.floors import Desk, centre, configuration
from tests.support.people import everybody, user
from tests.support.web import DeskSource, Served, served

PACE = Pace(min_gap_s=0.05, keep_alive_s=1.0, freshness_s=0.1, reconnect_ms=200)

pytestmark = pytest.mark.timeout(180)


def a_floor(waiting: Sequence[str] = ("c2", "c3")) -> DeskSource:
    """The first agent talks and asks for help; two callers wait; the supervisor's own phone is the second."""
    small = centre(3)
    other = Queue(QueueId("demo-other"), "別の窓口", ring_s=15, acw_s=0)
    skilled = replace(small.agents[0], skills=(("en", 2),))
    small = replace(small, queues=(*small.queues, other), agents=(skilled, *small.agents[1:]))
    desk = Desk().begin(configuration(small))
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    desk.pick_up(3, "c1")
    desk.tell(i.TalkKeyed(at=desk.at(4), key=TalkKey.HELP, agent=AgentId("1001")))
    for n, name in enumerate(waiting, 5):
        desk.wait(n, name)
    source = DeskSource(desk)
    source.turn()
    return source


async def as_supervisor(
    browser: Browser, server: Served, query: str = "", *, waiting: int = 2, **options: Any
) -> Seat:
    if server.accounts.user("sup") is None:
        user(server.accounts, "sup", Role.SUPERVISOR, (ALL_CENTRES,), "1002")
    taken = await board(browser, server, query, **options)
    await expect(taken.page.locator('[data-f="waiting-rows"] tr')).to_have_count(waiting)
    return taken


async def opens(page: Page, act: str, n: int = 0) -> None:
    await page.locator(f'main [data-act="{act}"]').nth(n).click()
    await expect(page.locator("#acts")).to_be_visible()


async def done(page: Page) -> None:
    await expect(page.locator("#acts-told")).to_contain_text("行いました")


async def press(page: Page, name: str, *, sure: bool = False) -> None:
    await page.locator("#acts").get_by_role("button", name=name, exact=True).click()
    if sure:
        await expect(page.locator("#acts .question")).to_be_visible()
        await page.locator("#acts").get_by_role("button", name=name, exact=True).click()


async def test_each_button_asks_for_what_it_says_and_what_touches_a_caller_is_asked_about_first(
    browser: Browser,
) -> None:
    async with served(a_floor(), pace=PACE) as server:
        taken = await as_supervisor(browser, server)
        page, orders = taken.page, server.orders.orders
        await opens(page, "agent")
        for name, sure in (
            ("対応する", False),
            ("聴く", False),
            ("ささやく", False),
            ("割り込む", True),
            ("引き継ぐ", True),
        ):
            await press(page, name, sure=sure)
            await done(page)
        await page.locator("#acts").get_by_label("理由(20文字まで)").fill("研修")
        await press(page, "離席にする")
        await done(page)
        await page.locator("#acts").get_by_label("理由(任意)").fill("早退")
        await press(page, "受付を終了させる")
        await done(page)
        await page.locator("#acts").get_by_label("ja", exact=True).fill("3")
        await press(page, "技能を変える")
        await done(page)
        await press(page, "閉じる")
        await opens(page, "caller", 1)
        await press(page, "先頭に進める", sure=True)
        await done(page)
        await press(page, "移す", sure=True)
        await done(page)
        await press(page, "閉じる")
        await opens(page, "centre")
        await page.locator("#acts").get_by_label("待ち人数").fill("2")
        await page.locator("#acts").get_by_label("待ち時間(秒)").fill("45")
        await press(page, "しきい値を変える")
        await done(page)
        assert {by for _, by, _ in orders} == {"user:sup"}
        assert [(command, fields) for command, _, fields in orders] == [
            ("help_answer", {"agent": "1001"}),
            *(("watch", {"agent": "1001", "how": how.value}) for how in WatchMode),
            ("agent_pause", {"agent": "1001", "reason": "研修"}),
            ("agent_sign_out", {"agent": "1001", "reason": "早退"}),
            ("agent_skills", {"agent": "1001", "skills": {"en": 2, "ja": 3}}),
            ("caller_up", {"call": "c3"}),
            ("caller_queue", {"call": "c3", "queue": "demo-other"}),
            ("thresholds", {"centre": "demo", "waiting": 2, "wait_s": 45}),
        ]
        trail = server.trail.newest(Wanted(who="user:sup"), len(orders))
        assert [(line.action, line.result) for line in reversed(trail)] == [
            (command, Result.DONE) for command, _, _ in orders
        ]
        taken.told_nothing_wrong(server)


async def test_a_refusal_is_shown_in_the_readers_language_and_nothing_looks_done(browser: Browser) -> None:
    async with served(a_floor(), pace=PACE) as server:
        page = (await as_supervisor(browser, server, "?lang=en")).page
        server.orders.answer = {"done": False, "why": "自分の電話機が使用中 / your desk phone is in use"}
        await opens(page, "agent")
        await press(page, "Listen")
        await expect(page.locator("#acts-told")).to_have_text("Not done: Listen — your desk phone is in use")
        server.orders.failure = EngineAway("x")
        await press(page, "Whisper")
        await expect(page.locator("#acts-told")).to_contain_text("Calls go on")


async def test_everything_can_be_done_by_keyboard_and_the_way_back_is_where_one_came_from(
    browser: Browser,
) -> None:
    async with served(a_floor(), pace=PACE) as server:
        page = (await as_supervisor(browser, server)).page
        button = page.locator('[data-f="waiting-rows"] [data-act="caller"]').nth(1)
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#acts-title")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="先頭に進める")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="やめる")).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        await done(page)
        await page.keyboard.press("Escape")
        await expect(page.locator("#acts")).to_be_hidden()
        await expect(button).to_be_focused()
        assert [command for command, _, _ in server.orders.orders] == ["caller_up"]


async def test_who_may_not_act_has_no_buttons(browser: Browser) -> None:
    async with served(a_floor(), pace=PACE) as server:
        everybody(server.accounts)
        page = (await board(browser, server, who="city")).page
        await expect(page.locator('[data-f="waiting-rows"] tr')).to_have_count(2)
        assert await page.locator("main [data-act]:visible").count() == 0


async def test_who_is_at_a_talk_and_who_sees_to_whom_is_on_the_board(browser: Browser) -> None:
    source = a_floor(waiting=())
    desk = source.desk
    desk.sign_in(10, 2)
    desk.tell(
        i.WatchAsked(
            at=desk.at(11),
            agent=AgentId("1001"),
            watcher=AgentId("1002"),
            mode=WatchMode.LISTEN,
            by="user:sup",
        )
    )
    desk.tell(i.HelpAnswerAsked(at=desk.at(12), agent=AgentId("1001"), by="user:sup"))
    source.turn()
    async with served(source, pace=PACE) as server:
        page = (await as_supervisor(browser, server, waiting=0)).page
        await expect(page.locator('[data-f="alarm"]')).to_contain_text("user:sup が対応")
        rows = page.locator('[data-f="agent-rows"] tr')
        await expect(rows.nth(0)).to_contain_text("オペレーター02 が聴取中")
        await expect(rows.nth(1)).to_contain_text("1001 を聴取中")
        await opens(page, "agent")
        await press(page, "聴くのを終える")
        await done(page)
        assert server.orders.orders == [("watch_stop", "user:sup", {})]
        source.tell(i.ChannelGone(at=desk.at(13), channel=next(iter(desk.floor.watches)), cause=16))
        await expect(page.get_by_role("button", name="聴くのを終える")).to_have_count(0)


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_dialogs_hide_nothing_from_a_screen_reader_or_weak_eyes(
    browser: Browser, language: str, scheme: Scheme
) -> None:
    async with served(a_floor(), pace=PACE) as server:
        page = (await as_supervisor(browser, server, f"?lang={language}", scheme=scheme)).page
        for act in ("agent", "caller", "centre"):
            await opens(page, act)
            found = await axe.violations(page)
            assert found == [], "\n".join(map(str, found))
            assert await page.evaluate(CONTRAST) == []
            await page.keyboard.press("Escape")
            await expect(page.locator("#acts")).to_be_hidden()
        server.orders.answer = {"done": False, "why": "できない / cannot"}
        await opens(page, "agent")
        await page.locator("#acts section button").first.click()
        await expect(page.locator("#acts-told[data-refused]")).not_to_be_empty()
        assert await axe.violations(page) == []


@pytest.mark.parametrize("width", [360, 1280])
async def test_the_dialog_fits_a_small_screen(browser: Browser, width: int) -> None:
    async with served(a_floor(), pace=PACE) as server:
        page = (await as_supervisor(browser, server, width=width)).page
        await opens(page, "agent")
        assert await page.locator("#acts").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
