"""An agent's own page beside the phone, in a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from callcore.access.rights import Role
from callcore.access.trail import Wanted
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Department
from callcore.domain.ids import AgentId, CallId, DepartmentId
from tests.support import axe
from tests.support.browser import CONTRAST, SCHEMES, Scheme, seat
from tests.support.floors import Desk, centre, configuration
from tests.support.people import user
from tests.support.web import DeskSource, served

pytestmark = pytest.mark.timeout(240)


def a_source() -> DeskSource:
    """1001 talks with c1."""
    small = centre(2)
    departments = (
        Department(
            DepartmentId("demo-shimin"), "11", "市民課", "0975341111", small.calendar, about="住所の変更"
        ),
        Department(DepartmentId("demo-zei"), "12", "税務課", "0975342222", small.calendar, about="納税"),
    )
    desk = Desk().begin(configuration(replace(small, departments=departments)))
    desk.sign_in(1, 1)
    desk.wait(10, "c1")
    desk.pick_up(15, "c1")
    return DeskSource(desk)


async def test_an_agent_sees_the_own_state_and_call_keys_a_result_keeps_a_note_and_finds_a_department(
    browser: Browser,
) -> None:
    source = a_source()
    async with served(source) as server:
        user(server.accounts, "ope", Role.OPERATOR, agent="1001")
        taken = await seat(browser, server, who="ope")
        page = taken.page
        await page.goto(server.url)
        await expect(page.get_by_role("heading", name="今の状態 通話中")).to_be_visible()
        await page.goto(f"{server.url}/desk?lang=en")
        await expect(page.get_by_role("heading", name="Now Talking")).to_be_visible()
        call = page.get_by_role("region", name="The call in hand, or wrapped up")
        await expect(call).to_contain_text("*******678")
        await page.get_by_role("button", name="1 ").first.press("Enter")
        await expect(page.get_by_role("status")).to_have_text("The result is written down.")
        await page.get_by_role("textbox", name="Note", exact=True).fill("代理人からの電話")
        await page.get_by_role("button", name="Keep the note").press("Enter")
        await expect(page.get_by_role("status")).to_have_text("The note is kept.")
        asked = [(command, fields["agent"]) for command, _, fields in server.orders.orders]
        assert asked == [("agent_result", "1001"), ("agent_note", "1001")]
        lines = server.trail.newest(Wanted(text="agent_note"), 9)
        assert [(line.action, line.why) for line in lines] == [("agent_note", None)], "not its words"

        rows = page.get_by_role("group", name="Departments").locator("tbody tr")
        await expect(rows).to_have_count(2)
        await page.get_by_label("Name, kana").fill("住所")
        await page.get_by_label("Name, kana").press("Enter")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("*511")

        await page.get_by_role("textbox", name="Note", exact=True).fill("typed so far")
        source.desk.hang_up(60, "c1")
        source.turn()
        await expect(page.get_by_role("heading", name="Now After-call work")).to_be_visible()
        await expect(page.get_by_role("textbox", name="Note", exact=True)).to_have_value("typed so far")
        taken.told_nothing_wrong(server)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_an_agents_page_can_be_read_heard_and_reached(browser: Browser, scheme: Scheme) -> None:
    """As `test_every_page_can_be_read_heard_and_reached`."""
    async with served(a_source()) as server:
        user(server.accounts, "ope", Role.OPERATOR, agent="1001")
        taken = await seat(browser, server, who="ope", scheme=scheme, width=320)
        page = taken.page
        for path in ("/desk?lang=ja", "/desk?lang=en&q=none"):
            await page.goto(f"{server.url}{path}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert await page.evaluate(CONTRAST) == [], path
            found = await axe.violations(page)
            assert found == [], path + "\n".join(map(str, found))
        taken.told_nothing_wrong(server)


def test_a_note_is_kept_of_the_call_in_hand_sealed_under_its_key_and_of_no_other() -> None:
    desk = a_source().desk
    desk.tell(i.NoteAsked(at=desk.at(20), agent=AgentId("1001"), text=" 代理人 ", by="user:ope"))
    desk.tell(i.NoteAsked(at=desk.at(21), agent=AgentId("1001"), text="あ" * 201, by="user:ope"))
    desk.tell(i.NoteAsked(at=desk.at(22), agent=AgentId("1002"), text="x", by="user:ope"))
    (noted,) = (fact for fact in desk.facts if isinstance(fact, f.CallNoted))
    assert (noted.call, noted.agent, noted.by) == (CallId("c1"), "1001", "user:ope")
    assert (noted.text.text, noted.text.call, noted.text.at) == ("代理人", "c1", desk.at(10))
