"""A supervisor's day at the board, by keyboard alone, with a real Asterisk, real calls and the desk phones."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from callcore.access.rights import Role
from callcore.demo.centre import CENTRE
from callcore.domain import facts as f
from callcore.domain.ids import AgentId, QueueId
from callcore.domain.stages import Outcome
from callcore.installation import accounts_of
from tests.support.consults import CITY, House, Talk, briefly, hears, house, pitch, put_down, talking
from tests.support.people import PASSWORD, first_administrator, read_page, user
from tests.support.prompts import put_prompt
from tests.support.sip import loudness, tone
from tests.support.station import Station, until

CLOSURE = "ただいま、臨時に受付を休止しております。"
CLOSURE_HZ = 350
TWO_QUEUES = f"""{CITY}
[[queues]]
id = "second"
name = "証明書の窓口"

[[agents]]
id = "1009"
name = "窓口担当"
queues = ["second"]

[announcements.emergency]
ja = "{CLOSURE}"
"""
STEPS_MOST = 150
"""Presses of the tab key from one end of the board to the other, and some more."""


def spoken(home: Path) -> Path:
    """Short announcements; that of the closure has a pitch of its own."""
    folder = briefly(home)
    put_prompt(folder, f"{CENTRE}/ja/emergency", CLOSURE, tone(CLOSURE_HZ, 2))
    return folder


class Supervisor:
    """A person without a mouse."""

    talk: Talk

    def __init__(self, h: House, page: Page) -> None:
        self.h, self.page = h, page
        self.url = f"http://127.0.0.1:{h.s.settings.web_port}"
        self.dialog = page.locator("#acts")

    async def goes_to(self, wanted: Locator) -> None:
        """By the tab key, from wherever one is."""
        await expect(wanted).to_have_count(1)
        for _ in range(STEPS_MOST):
            if await wanted.evaluate("element => element === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"the tab key does not lead to {wanted}")

    async def presses(self, wanted: Locator) -> None:
        await self.goes_to(wanted)
        await self.page.keyboard.press("Enter")

    async def signs_in(self) -> None:
        await self.page.goto(f"{self.url}/")
        await expect(self.page.get_by_label("利用者名")).to_be_focused()
        await self.page.keyboard.type("sup")
        await self.page.keyboard.press("Tab")
        await self.page.keyboard.type(PASSWORD)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator("body")).to_have_attribute("data-state", "live")
        await self.page.evaluate("window.neverLoadedAgain = true")

    async def never_loaded_again(self) -> None:
        assert await self.page.evaluate("window.neverLoadedAgain === true")

    async def opens(self, row: Locator) -> None:
        await self.presses(row.locator("[data-act]"))
        await expect(self.dialog.locator("#acts-title")).to_be_focused()

    async def does(self, words: str, *, sure: bool = False) -> None:
        """A button of the open dialog, with its question where one is asked."""
        button = self.dialog.get_by_role("button", name=words, exact=True)
        await self.presses(button)
        if sure:
            await expect(self.dialog.get_by_role("button", name="やめる")).to_be_focused()
            await self.page.keyboard.press("Shift+Tab")
            await self.page.keyboard.press("Enter")
        await expect(self.dialog.locator("#acts-told")).to_contain_text(f"行いました: {words}")

    async def closes(self) -> None:
        await self.page.keyboard.press("Escape")
        await expect(self.dialog).to_be_hidden()

    def agent(self, number: str) -> Locator:
        return self.page.locator(f'[data-f="agent-rows"] tr[data-key="{number}"]')

    @property
    def waiting(self) -> Locator:
        return self.page.locator('[data-f="waiting-rows"] tr')

    def tile(self, name: str) -> Locator:
        return self.page.locator(f'.tile [data-f="{name}"]')


def the_people(s: Station) -> None:
    accounts = accounts_of(s.settings)
    first_administrator(accounts)
    user(accounts, "sup", Role.SUPERVISOR, (CENTRE,), "1002")


async def the_sidecar_is_up(s: Station) -> None:
    def shows() -> bool:
        try:
            return "オペレーター01" in read_page(s.settings, "/api/v1/live")[1]
        except OSError:
            return False

    await until(shows, 60, "the sidecar shows the agents")


async def away_and_back(sup: Supervisor) -> None:
    """The agent is paused from the page, so a caller waits, is moved to another queue and back, and is answered."""
    page, h = sup.page, sup.h
    for agent, reason in (("1002", "監督"), ("1001", "研修")):
        await sup.opens(sup.agent(agent))
        await sup.goes_to(sup.dialog.get_by_label("理由(20文字まで)"))
        await page.keyboard.type(reason)
        await sup.does("離席にする")
        await sup.closes()
        await expect(sup.agent(agent)).to_contain_text(reason)
    await expect(sup.tile("waiting")).to_have_text("0")

    citizen = await h.dials()
    await expect(sup.tile("waiting")).to_have_text("1")
    await expect(sup.tile("arrived")).to_have_text("1")
    await expect(sup.waiting).to_have_count(1)
    await expect(sup.waiting.locator('[data-f="stage"]')).to_have_text("待ち")
    queue = sup.waiting.locator('[data-f="queue"]')
    await expect(queue).to_have_text("総合案内")
    for name, to in (("証明書の窓口", "second"), ("総合案内", "general")):
        await sup.opens(sup.waiting)
        await sup.does("移す", sure=True)
        await sup.closes()
        await expect(queue).to_have_text(name)
        moved = h.s.told(f.VisitBegan)[-1]
        assert (moved.queue, moved.by) == (QueueId(f"{CENTRE}-{to}"), "user:sup")
    first = h.s.told(f.VisitBegan)[0]
    assert h.s.told(f.VisitBegan)[-1].since == first.since, "the time waited counts"
    assert len(h.s.call_ids()) == 1, "one arrival"

    await sup.opens(sup.agent("1001"))
    await sup.does("受付可にする")
    await sup.closes()
    leg = await h.rung(h.desks[0])
    state = sup.agent("1001").locator('[data-f="state"]')
    await expect(state).to_have_text("呼出中")
    await expect(sup.waiting.locator('[data-f="stage"]')).to_have_text("呼出中")
    leg.sound = tone(h.hz())
    leg.answer()
    await talking(citizen, leg)
    await expect(state).to_have_text("通話中")
    await expect(sup.agent("1001").locator('[data-f="with"]')).to_contain_text(citizen.agent.user[-3:])
    await expect(sup.waiting).to_have_count(0)
    await expect(sup.tile("waiting")).to_have_text("0")
    await expect(sup.tile("answered")).to_have_text("1")
    sup.talk = Talk(h, h.s.call_ids()[0], citizen, leg, 1)


async def listens(sup: Supervisor) -> None:
    """The supervisor's desk phone rings, and who picks it up hears both, unheard."""
    h, talk = sup.h, sup.talk
    await sup.opens(sup.agent("1001"))
    await sup.does("聴く")
    await sup.closes()
    own = await h.rung(h.desks[1])
    own.sound = tone(h.hz())
    own.answer()
    citizen, agent = talk.citizen, talk.leg

    def both(sound: bytes) -> bool:
        return all(loudness(sound, pitch(each)) > 0.1 for each in (citizen, agent))

    await hears(own, both, "both")
    await expect(sup.agent("1001")).to_contain_text("オペレーター02 が聴取中")
    for each in (citizen, agent):
        await hears(each, lambda sound: loudness(sound, pitch(own)) < 0.02, "no supervisor")
    put_down(own)
    await expect(sup.agent("1001")).not_to_contain_text("聴取中")
    await talking(citizen, agent)
    put_down(citizen)
    await expect(sup.agent("1001").locator('[data-f="state"]')).to_have_text("受付可")
    assert await talk.outcome() is Outcome.COMPLETED


async def shuts_and_opens(sup: Supervisor) -> None:
    """The emergency closure, from the board to its page; the next callers hear it, and after its end are served."""
    page, h = sup.page, sup.h
    await sup.presses(page.locator('main [data-act="centre"]'))
    await sup.presses(sup.dialog.get_by_role("link", name="臨時休止の画面を開く"))
    await expect(page).to_have_url(f"{sup.url}/emergency")
    await sup.goes_to(page.get_by_label("理由"))
    await page.keyboard.type("地震")
    await sup.presses(page.get_by_role("button", name="臨時休止を始める"))
    await expect(page.get_by_text("臨時休止中")).to_be_visible()

    shut_out = await h.dials()
    await hears(shut_out, lambda sound: loudness(sound, CLOSURE_HZ) > 0.8, "the closure")
    await shut_out.until("bye", within_s=60)
    await h.s.fact(f.CallEnded, lambda x: x.outcome is Outcome.EMERGENCY_CLOSED)
    [began] = h.s.told(f.EmergencyBegan)
    assert (began.by, began.reason) == ("user:sup", "地震")

    await sup.presses(page.locator("nav.places").get_by_role("link", name="ライブ状況"))
    await expect(page.locator("body")).to_have_attribute("data-state", "live")
    await expect(page.locator('[data-f="alarm"]')).to_contain_text("地震")
    await expect(sup.tile("closed")).to_have_text("1")
    await sup.presses(page.locator('main [data-act="centre"]'))
    await sup.presses(sup.dialog.get_by_role("link", name="臨時休止の画面を開く"))
    await sup.presses(page.get_by_role("button", name="臨時休止を終える"))
    await expect(page.get_by_text("通常")).to_be_visible()
    talk = await h.talk()
    assert talk.agent == AgentId("1001")
    put_down(talk.citizen)
    assert await talk.outcome() is Outcome.COMPLETED


@pytest.mark.timeout(300)
async def test_a_supervisor_without_a_mouse_moves_callers_listens_and_shuts_the_line(
    browser: Browser,
) -> None:
    async with house(more=TWO_QUEUES, prompts=spoken) as h:
        the_people(h.s)
        h.s.start("sidecar")
        await the_sidecar_is_up(h.s)
        context = await browser.new_context(locale="ja-JP", viewport={"width": 1600, "height": 900})
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        sup = Supervisor(h, page)
        await sup.signs_in()
        await away_and_back(sup)
        await listens(sup)
        await sup.never_loaded_again()
        await shuts_and_opens(sup)
        assert wrong == []
        await context.close()
        await until(lambda: not h.s.floor().calls, what="all calls are over")
        h.s.books_agree()
