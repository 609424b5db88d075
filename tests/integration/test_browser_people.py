"""Signing in, users, one's account and the audit trail, as people with a keyboard, a screen reader or a second browser
live through them. Fields are found by their label and controls by their role and name, as a screen reader says them."""

from __future__ import annotations

import ast
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from callcore.access.rights import ALL_CENTRES, Role
from callcore.access.trail import Result, Wanted
from callcore.domain import inputs as i
from callcore.domain.centre import Announcement
from callcore.domain.ids import SECOND, CentreId, Instant, QueueId
from callcore.erasure import Reports
from callcore.prompts.sound import wav
from callcore.settings import Settings
from callcore.web import Pace
from callcore.web.app import routes
from tests.support import axe
from tests.support.browser import CONTRAST, Scheme, board, seat
from tests.support.floors import Desk, centre, configuration
from tests.support.people import PASSWORD, first_administrator, trail_in, user
from tests.support.recorded import Empty
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, Served, served

PACE = Pace(min_gap_s=0.05, keep_alive_s=1.0, freshness_s=0.1, reconnect_ms=200)

pytestmark = pytest.mark.timeout(240)


@dataclass
class Spoken:
    """Keeps the port of the page of announcements: a changed greeting, one that comes, and a past of the closed."""

    def written(self, centre: CentreId) -> list[Announcement]:
        return [
            replace(SAID[0], text="お電話ありがとうございます。北センターです。", audio=""),
            SAID[1],
            Announcement(
                "lost_card", "ja", "カードの紛失は、1を押してください。", "north/ja/lost_card", "c" * 16
            ),
        ]

    def history(self, centre: CentreId, kind: str) -> list[tuple[Announcement, Instant, Instant | None]]:
        first, second = (
            Instant(round(datetime(2026, month, 1, tzinfo=UTC).timestamp()) * SECOND) for month in (4, 10)
        )
        old = replace(SAID[1], text="本日の受付は終了しました。", audio="d" * 16)
        return [(old, first, second), (SAID[1], second, None)]

    def wav(self, audio: str) -> bytes | None:
        return wav(bytes([255]) * 8000)


SAID = (
    Announcement("greeting", "ja", "お電話ありがとうございます。", "north/ja/greeting", "a" * 16),
    Announcement("closed", "ja", "ただいまは、受付時間外です。", "north/ja/closed", "b" * 16),
)
LISTED = {
    "entry": "blocked-1",
    "number": "*******678",
    "reason": "暴言を繰り返す",
    "since": datetime(2026, 11, 20, tzinfo=UTC).timestamp(),
    "until": datetime(2026, 12, 20, tzinfo=UTC).timestamp(),
    "by": "user:sato",
}
"""An entry of the list of unwelcome callers, as the engine tells it."""


def a_source() -> DeskSource:
    small = centre(2)
    second = replace(
        small,
        id=CentreId("north"),
        name="北センター",
        name_en="North centre",
        numbers=(),
        queues=(replace(small.queues[0], id=QueueId("north-general")),),
        agents=(),
        phones=(),
        announcements=SAID,
    )
    return DeskSource(Desk().begin(configuration(small, second)))


def closed_source() -> DeskSource:
    """The same with an emergency closure of the north."""
    source = a_source()
    asked = i.EmergencyAsked(
        at=source.desk.at(3), centre=CentreId("north"), reason="台風のため", by="user:mori"
    )
    source.desk.tell(asked)
    source.turn()
    return source


async def tab_to(page: Page, target: Locator) -> None:
    """By Tab alone, and whoever looks sees where one stands."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await target.evaluate("e => e === document.activeElement"):
            break
    else:
        pytest.fail(f"{target} is not reached by Tab")
    seen = "e => { const s = getComputedStyle(e); return [s.outlineStyle, parseFloat(s.outlineWidth)] }"
    style, width = await target.evaluate(seen)
    assert style != "none", target
    assert width >= 2, target


async def typed(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    await tab_to(page, field)
    await page.keyboard.type(text)


async def pressed(page: Page, name: str, key: str = "Enter") -> None:
    await tab_to(page, page.get_by_role("button", name=name, exact=True))
    await page.keyboard.press(key)


async def test_the_whole_way_from_the_printed_link_to_a_new_user_by_keyboard_alone(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        link = f"{server.url}/welcome/{server.accounts.first_link()}"
        taken = await seat(browser, server)
        page = taken.page
        await page.goto(link)
        await expect(page.get_by_label("利用者名", exact=True)).to_be_focused()
        await page.keyboard.type("chief")
        await typed(page, "表示名", "佐藤 花子")
        await typed(page, "新しいパスワード", PASSWORD)
        await typed(page, "新しいパスワード(もう一度)", "another " + PASSWORD)
        await pressed(page, "設定してサインインへ進む")
        await expect(page.get_by_role("alert")).to_contain_text("二つのパスワードが違います")
        await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page).to_have_title("エラー: パスワードの設定 – callcore")
        await expect(page.get_by_label("表示名", exact=True)).to_have_value("佐藤 花子")
        await typed(page, "新しいパスワード", PASSWORD)
        await typed(page, "新しいパスワード(もう一度)", PASSWORD)
        await pressed(page, "設定してサインインへ進む", "Space")

        await expect(page.get_by_role("status")).to_contain_text("パスワードを設定しました")
        await typed(page, "利用者名", "chief")
        await typed(page, "パスワード", "wrong " + PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("サインインできません")
        await expect(page.get_by_label("利用者名", exact=True)).to_have_value("chief")
        await typed(page, "パスワード", PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("body")).to_have_attribute("data-state", "live")
        await expect(page.locator("header")).to_contain_text("佐藤 花子")

        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="本文へ")).to_be_focused()
        await tab_to(page, page.get_by_role("link", name="利用者", exact=True))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="利用者とトークン")).to_be_visible()
        form = page.get_by_role("region", name="利用者を加える")
        await tab_to(page, form.get_by_label("利用者名", exact=True))
        await page.keyboard.type("tanaka")
        await typed(page, "表示名", "田中 太郎")
        await tab_to(page, form.get_by_label("役割", exact=True))
        for _ in ("オペレーター", "スーパーバイザー", "閲覧者(市)"):
            await page.keyboard.press("ArrowDown")
        await expect(form.get_by_label("オペレーター番号")).to_be_hidden()
        await tab_to(page, form.get_by_role("checkbox", name="北センター"))
        await page.keyboard.press("Space")
        await pressed(page, "利用者を加える")
        once = page.get_by_role("region", name="tanaka のリンク")
        await expect(once).to_be_focused()
        await expect(once.get_by_label("リンク", exact=True)).to_have_value(
            f"{server.url}/welcome/" + (await once.get_by_label("リンク", exact=True).input_value())[-43:]
        )
        added = server.accounts.user("tanaka")
        assert added is not None
        assert (added.name, added.role, added.centres) == ("田中 太郎", Role.VIEWER, ("north",))

        await pressed(page, "サインアウト")
        await expect(page.get_by_role("status")).to_contain_text("サインアウトしました")
        await page.goto(link)
        await expect(page.get_by_role("heading", name="このリンクは使えません")).to_be_visible()
        taken.told_nothing_wrong(server)
        told = [(line.action, line.result) for line in reversed(server.trail.newest(Wanted(), 99))]
        assert told == [
            ("link_used", Result.DONE),
            ("sign_in", Result.FAILED),
            ("sign_in", Result.DONE),
            ("user_added", Result.DONE),
            ("sign_out", Result.DONE),
        ]


async def test_what_was_wrong_in_a_form_is_said_and_the_rest_is_kept(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        first_administrator(server.accounts)
        page = (await seat(browser, server, who="chief", scripts=False)).page
        await page.goto(f"{server.url}/users?lang=en")
        form = page.get_by_role("region", name="Add a user")
        await form.get_by_label("User name").fill("chief")
        await form.get_by_label("Name to show").fill("Somebody")
        await form.get_by_label("Role", exact=True).select_option(label="Agent")
        await form.get_by_label("Agent's number").fill("1001")
        await form.get_by_role("checkbox", name="North centre").check()
        await form.get_by_role("button", name="Add a user").click()
        await expect(page.get_by_role("alert")).to_contain_text("chief is taken.")
        await expect(form.get_by_label("Name to show")).to_have_value("Somebody")
        await expect(form.get_by_label("Role", exact=True)).to_have_value("operator")
        await expect(form.get_by_label("Agent's number")).to_have_value("1001")
        await expect(form.get_by_role("checkbox", name="North centre")).to_be_checked()
        form = page.get_by_role("region", name="Make a token")
        await form.get_by_label("Token name").fill("prometheus")
        await form.get_by_role("checkbox", name="Read metrics").check()
        await form.get_by_role("checkbox", name="Every centre, those").check()
        await form.get_by_role("button", name="Make a token").click()
        once = page.get_by_role("region", name="The token prometheus")
        shown = await once.get_by_label("Token", exact=True).input_value()
        assert server.accounts.bearer(shown) is not None
        await page.get_by_role("button", name="Revoke prometheus").click()
        await expect(page.get_by_role("status").first).to_have_text("The token is revoked.")
        assert server.accounts.bearer(shown) is None


async def test_a_new_user_comes_in_elsewhere_and_each_change_is_in_force_at_once(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        first_administrator(server.accounts)
        chief = (await seat(browser, server, who="chief")).page
        other = await seat(browser, server)
        secret = server.accounts.add("mori", "森", Role.SUPERVISOR, ["demo"], None, "user:chief")
        await other.page.goto(f"{server.url}/welcome/{secret}")
        await other.page.get_by_label("新しいパスワード", exact=True).fill(PASSWORD)
        await other.page.get_by_label("新しいパスワード(もう一度)", exact=True).fill(PASSWORD)
        await other.page.keyboard.press("Enter")
        await other.page.get_by_label("利用者名", exact=True).fill("mori")
        await other.page.get_by_label("パスワード", exact=True).fill(PASSWORD)
        await other.page.keyboard.press("Enter")
        await expect(other.page.locator("body")).to_have_attribute("data-state", "live")
        await expect(other.page.get_by_role("heading", level=2)).to_have_text(["試験センター"])

        # Another role: the live board of the other browser ends by itself.
        await chief.goto(f"{server.url}/users/mori")
        await chief.get_by_label("役割", exact=True).select_option(label="オペレーター")
        await chief.get_by_label("オペレーター番号").fill("1001")
        await chief.get_by_role("button", name="保存する").click()
        await expect(chief.get_by_role("status")).to_have_text("保存しました。")
        await expect(other.page).to_have_url(f"{server.url}/desk", timeout=20_000)
        await expect(other.page.get_by_role("link", name="ライブ状況")).to_have_count(0)

        await chief.get_by_label("役割", exact=True).select_option(label="スーパーバイザー")
        await chief.get_by_role("button", name="保存する").click()
        await expect(chief.get_by_role("status")).to_have_text("保存しました。")
        await other.page.goto(server.url)
        await expect(other.page.locator("body")).to_have_attribute("data-state", "live")

        # Switched off: what is open ends, and nothing lets the person in again.
        region = chief.get_by_role("region", name="サインインの管理")
        await region.locator("form", has_text="記録は残ります").get_by_label("理由").fill("異動のため")
        await region.get_by_role("button", name="停止する").click()
        await expect(chief.get_by_role("status")).to_contain_text("停止し、サインアウトさせました")
        await expect(other.page).to_have_url(f"{server.url}/sign-in", timeout=20_000)
        await expect(other.page.get_by_role("heading", name="試験センター")).to_have_count(0)
        await other.page.get_by_label("利用者名", exact=True).fill("mori")
        await other.page.get_by_label("パスワード", exact=True).fill(PASSWORD)
        await other.page.keyboard.press("Enter")
        await expect(other.page.get_by_role("alert")).to_contain_text("サインインできません")
        [line] = server.trail.newest(Wanted(who="user:chief", text="異動"), 9)
        assert (line.action, line.on, line.result) == ("user_disabled", "mori", Result.DONE)
        other.told_nothing_wrong(server)


async def test_a_second_factor_is_set_up_asked_for_and_taken_away(browser: Browser) -> None:
    async with served(a_source(), pace=PACE, second_factor=(Role.SUPERVISOR,)) as server:
        taken = await seat(browser, server, who="sup", scheme="dark")
        page = taken.page
        await page.goto(f"{server.url}/")
        await expect(page).to_have_url(f"{server.url}/account")
        await expect(page.get_by_role("status")).to_contain_text("二段階認証の設定が必要です")
        picture = page.get_by_role("img", name="認証アプリで読み取る二次元コード")
        await expect(picture).to_be_visible()
        painted = "e => [...e.querySelectorAll('path')].map(p => getComputedStyle(p))"
        ground, dots = await picture.evaluate(f"e => ({painted})(e).map(s => [s.fill, s.stroke])")
        assert (ground[0], dots[1]) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")

        key = (await page.get_by_label("キー", exact=True).inner_text()).replace(" ", "")
        await page.get_by_label("アプリに表示された確認コード").fill("000000")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("確認コードが違います")
        assert (await page.get_by_label("キー", exact=True).inner_text()).replace(" ", "") == key
        await page.get_by_label("アプリに表示された確認コード").fill(pyotp.TOTP(key).now())
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("二段階認証を有効にしました")

        await page.get_by_role("button", name="サインアウト", exact=True).click()
        await page.get_by_label("利用者名", exact=True).fill("sup")
        await page.get_by_label("パスワード", exact=True).fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="二段階認証")).to_be_visible()
        assert await axe.violations(page) == []
        assert await page.evaluate(CONTRAST) == []
        await page.goto(f"{server.url}/audit")
        await expect(page).to_have_url(f"{server.url}/sign-in?next=/audit")
        await page.goto(f"{server.url}/sign-in/code?next=/audit")
        await page.get_by_label("確認コード").fill("000000")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("サインインできません")
        # A code counts once: the next one is taken already, as a phone's clock may be ahead.
        await page.get_by_label("確認コード").fill(pyotp.TOTP(key).at(int(time.time()) + 30))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="監査記録")).to_be_visible()

        await page.goto(f"{server.url}/account")
        await page.get_by_text("二段階認証をやめる").first.click()
        await page.get_by_label("パスワード", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="二段階認証をやめる").click()
        await expect(page.get_by_role("status").first).to_contain_text("二段階認証をやめました")
        taken.told_nothing_wrong(server)


def a_trail(server: Served) -> None:
    """Two centres' lines, and the same day in Japan from two days of UTC."""
    for who, on, origin, why in (
        ("user:sup", "1001", "192.0.2.10", "研修"),
        ("user:sup", "1002", "192.0.2.11", HOSTILE),
    ):
        server.trail.add(who, "agent_pause", on=on, centre="demo", origin=origin, result=Result.DONE, why=why)
    server.trail.add(
        "user:kita", "agent_ready", on="2001", centre="north", origin="192.0.2.12", result=Result.DONE
    )


HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"


async def test_the_trail_is_searched_in_the_words_of_the_page_and_printed(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        first_administrator(server.accounts)
        a_trail(server)
        user(server.accounts, "sup", Role.SUPERVISOR, ("demo",))
        taken = await seat(browser, server, who="chief")
        page = taken.page
        await page.goto(f"{server.url}/audit")
        rows = page.get_by_role("table").locator("tbody tr")
        await expect(rows).to_have_count(3)
        today = await rows.first.locator("time").get_attribute("datetime") or ""
        await expect(rows.first.locator("time")).not_to_have_text(today)
        search = page.get_by_role("search")
        await search.get_by_label("キーワード").fill("離席")
        await page.keyboard.press("Enter")
        await expect(rows).to_have_count(2)
        await search.get_by_label("だれが").fill("kita")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("条件に合う記録はありません")).to_be_visible()
        await page.get_by_role("link", name="条件を消す").click()
        await search.get_by_label("センター").select_option(label="北センター")
        await search.get_by_role("button", name="検索").click()
        await expect(rows).to_have_count(1)
        await page.get_by_role("link", name="English").click()
        await expect(rows).to_have_count(1)
        await expect(rows.first).to_contain_text("Made an agent ready")
        await page.get_by_role("link", name="日本語").click()
        await search.get_by_label("結果").select_option(label="拒否")
        await search.get_by_role("button", name="検索").click()
        await expect(rows).to_have_count(0)

        await page.goto(f"{server.url}/audit?text=192.0.2.1")
        await page.get_by_role("link", name="印刷用に表示").click()
        await expect(rows).to_have_count(3)
        await expect(page.get_by_role("button", name="印刷する")).to_be_visible()
        await page.evaluate("window.print = () => { document.body.dataset.printed = 'yes' }")
        await page.get_by_role("button", name="印刷する").click()
        await expect(page.locator("body")).to_have_attribute("data-printed", "yes")
        await page.emulate_media(media="print", color_scheme="dark")
        await expect(page.get_by_role("button")).to_have_count(0)
        await expect(page.locator("header")).to_be_hidden()
        await expect(page.get_by_text("管理者 (user:chief)")).to_be_visible()
        assert await page.evaluate(CONTRAST) == []
        assert (await page.pdf(prefer_css_page_size=True)).startswith(b"%PDF")

        # A supervisor sees lines of the own centre, and of others not even the name.
        other = (await seat(browser, server, who="sup")).page
        await other.goto(f"{server.url}/audit")
        await expect(other.get_by_role("table").locator("tbody tr")).to_have_count(2)
        assert "北センター" not in await other.content()
        taken.told_nothing_wrong(server)


async def test_days_of_a_search_are_those_of_the_centres(browser: Browser, tmp_path: Path) -> None:
    """The office opens at 8:30, which is the day before in UTC."""
    morning = datetime(2026, 11, 26, 23, 30, tzinfo=UTC).timestamp()
    trail_in(tmp_path, lambda: morning).add("user:sup", "agent_pause", origin="-", result=Result.DONE)
    async with served(a_source(), pace=PACE, folder=tmp_path) as server:
        first_administrator(server.accounts)
        page = (await seat(browser, server, who="chief")).page
        for day, lines in (("2026-11-26", 0), ("2026-11-27", 1), ("2026-11-28", 0)):
            await page.goto(f"{server.url}/audit?first={day}&last={day}")
            await expect(page.get_by_role("table").locator("tbody tr")).to_have_count(lines)
            if lines:
                await expect(page.get_by_role("table").locator("time")).to_have_text("2026/11/27 08:30:00")


async def test_what_people_wrote_is_shown_as_text_and_never_run(browser: Browser) -> None:
    async with served(a_source(), pace=PACE) as server:
        first_administrator(server.accounts)
        a_trail(server)
        name = HOSTILE[:60]
        server.accounts.change("chief", display=name, role=Role.ADMINISTRATOR, centres=(), agent=None)
        taken = await seat(browser, server, who="chief")
        page = taken.page
        taken.page.on("dialog", lambda dialog: taken.complaints.append(dialog.message))
        for path in (
            "/",
            "/account",
            "/users",
            "/users/chief",
            "/audit",
            "/audit?print=1",
            "/users/chief?lang=%22%3E",
        ):
            await page.goto(server.url + path)
            await expect(page.locator("header .name")).to_have_text(name)
            assert "owned" not in await page.title()
            assert await page.locator("img, main script, header script").count() == 0
        await page.goto(f"{server.url}/audit?text={HOSTILE.replace('#', '')}")
        await expect(page.get_by_label("キーワード")).to_have_value(HOSTILE)
        await expect(page.get_by_role("table").locator("tbody tr").first).to_contain_text(HOSTILE)
        await page.goto(f"{server.url}/users/chief")
        await page.get_by_label("理由").first.fill(HOSTILE)
        await page.get_by_role("button", name="パスワードと二段階認証をリセットする").click()
        await expect(page.get_by_role("region", name="chief のリンク")).to_be_visible()
        taken.told_nothing_wrong(server)


@pytest.mark.parametrize(("scheme", "language"), [("light", "ja"), ("dark", "en")])
async def test_every_page_can_be_read_heard_and_reached(
    browser: Browser, language: str, scheme: Scheme
) -> None:
    """Axe finds nothing, every word stands out from its ground, and 320 pixels are wide enough (400 % of 1280)."""
    async with served(closed_source(), pace=PACE, told=Spoken()) as server:
        first_administrator(server.accounts)
        a_trail(server)
        server.accounts.add("tanaka", "田中 太郎", Role.VIEWER, [ALL_CENTRES], None, "user:chief")
        user(server.accounts, "mori", Role.SUPERVISOR)
        server.accounts.disable("mori")
        secret = server.accounts.reset("tanaka", "user:chief")
        server.orders.answers["blocked_list"] = [LISTED]
        nobody = await seat(browser, server, scheme=scheme, width=320)
        chief = await seat(browser, server, who="chief", scheme=scheme, width=320)
        for taken, path in (
            (nobody, "/sign-in?done=sign_out"),
            (nobody, f"/welcome/{secret}"),
            (nobody, "/welcome/none"),
            (chief, "/account?done=password_changed"),
            (chief, "/emergency?done=emergency_begun"),
            (chief, "/blocked?done=blocked_added"),
            (chief, "/announcements?centre=north&kind=closed"),
            (chief, "/users"),
            (chief, "/users/mori"),
            (chief, "/users/nobody"),
            (chief, "/audit"),
            (chief, "/audit?print=1"),
        ):
            page = taken.page
            await page.goto(f"{server.url}{path}{'&' if '?' in path else '?'}lang={language}")
            await expect(page.locator("html")).to_have_attribute("lang", language)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert await page.evaluate(CONTRAST) == [], path
            found = await axe.violations(page)
            assert found == [], path + "\n".join(map(str, found))
        nobody.told_nothing_wrong(server)
        chief.told_nothing_wrong(server)


NO_PAGES = {"/figures", "/announcements/{audio}.wav", "/metrics"}
"""Leads to the first centre's page; sound; text for machines."""


def looked_at() -> set[str]:
    """Addresses in the tests of these files that run axe; `*` where something is filled in."""
    found = set()
    for file in Path(__file__).parent.glob("test_browser_*.py"):
        for test in ast.parse(file.read_text(encoding="utf-8")).body:
            if not isinstance(test, ast.AsyncFunctionDef) or "axe.violations" not in ast.unparse(test):
                continue
            for node in ast.walk(test):
                match node:
                    case ast.Constant(str(text)):
                        found.add(text)
                    case ast.JoinedStr(values):
                        texts = [v.value if isinstance(v, ast.Constant) else "*" for v in values]
                        found.add("".join(map(str, texts)).removeprefix("*"))
    return {text.partition("?")[0] for text in found if text.startswith("/")}


async def test_axe_looks_at_every_page_there_is(tmp_path: Path) -> None:
    source = a_source()
    parts = {
        "calls": Shelf.of(source.desk),
        "told": Spoken(),
        "erasures": Reports(Settings(home=tmp_path)),
        "recordings": Empty(),
    }
    async with served(source, **parts) as server:
        pages = {
            route.path
            for route in routes(server.app)
            if {"GET", "HEAD"} <= route.methods and not route.include_in_schema
        }
    assert len(pages) > 20 and pages > NO_PAGES
    shown = looked_at()
    patterns = {path: re.sub(r"\{\w+\}", "[^/]+", path) for path in pages - NO_PAGES}
    missing = {path for path, pattern in patterns.items() if not any(re.fullmatch(pattern, s) for s in shown)}
    assert missing == set()


async def test_the_emergency_closure_is_switched_by_keyboard_and_without_scripts(browser: Browser) -> None:
    async with served(closed_source(), pace=PACE) as server:
        first_administrator(server.accounts)
        user(server.accounts, "mori", Role.SUPERVISOR, ("demo",))
        page = (await seat(browser, server, who="chief", scripts=False)).page
        await page.goto(f"{server.url}/?lang=en")
        await page.get_by_role("link", name="Emergency").click()
        north = page.get_by_role("region", name="North centre")
        await expect(north).to_contain_text("台風のため")
        await expect(north.get_by_role("button", name="End the emergency closure")).to_be_visible()
        demo = page.get_by_role("region", name="Test centre")
        await expect(demo.get_by_role("button", name="End")).to_have_count(0)

        # The engine refuses: why is said there, and what was written is kept.
        server.orders.answer = {"done": False, "why": "終わりが過去 / the end is past"}
        await demo.get_by_label("Reason").fill("earthquake")
        await demo.get_by_label("Until").fill("2026-11-20T18:00")
        await demo.get_by_role("button", name="Begin the emergency closure").click()
        await expect(page.get_by_role("alert")).to_contain_text("the end is past")
        await expect(demo.get_by_label("Reason")).to_have_value("earthquake")
        await expect(demo.get_by_label("Until")).to_have_value("2026-11-20T18:00")
        command, by, fields = server.orders.orders[-1]
        assert (command, by, fields["centre"]) == ("emergency_begin", "user:chief", "demo")
        assert fields["until"] == datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp(), (
            "in the centre's own time"
        )

        server.orders.answer = {"done": True, "why": None}
        await demo.get_by_role("button", name="Begin the emergency closure").click()
        await expect(page.get_by_role("status").first).to_have_text("The emergency closure has begun.")
        await north.get_by_role("button", name="End the emergency closure").click()
        await expect(page.get_by_role("status").first).to_have_text("The emergency closure has ended.")
        assert server.orders.orders[-1][0] == "emergency_end"
        told = [(line.action, line.centre, line.result) for line in server.trail.newest(Wanted(), 3)]
        assert told == [
            ("emergency_end", "north", Result.DONE),
            ("emergency_begin", "demo", Result.DONE),
            ("emergency_begin", "demo", Result.FAILED),
        ]

        # A supervisor sees and switches the own centres only.
        own = (await seat(browser, server, who="mori")).page
        await own.goto(f"{server.url}/emergency?lang=en")
        await expect(own.get_by_role("region", name="North centre")).to_have_count(0)
        await expect(own.get_by_role("region", name="Test centre")).to_have_count(1)


async def test_a_caller_is_listed_and_taken_off_without_scripts_and_a_refusal_keeps_what_was_typed(
    browser: Browser,
) -> None:
    async with served(a_source(), pace=PACE) as server:
        first_administrator(server.accounts)
        user(server.accounts, "mori", Role.SUPERVISOR, ("demo",))
        server.orders.answers["blocked_list"] = [LISTED, {**LISTED, "entry": "blocked-2", "number": None}]
        page = (await seat(browser, server, who="chief", scripts=False)).page
        await page.goto(f"{server.url}/?lang=en")
        await page.get_by_role("link", name="Unwelcome", exact=True).click()
        await page.get_by_role("link", name="North centre").click()
        [row, erased] = await page.get_by_role("row").filter(has=page.get_by_role("rowheader")).all()
        for part in ("*******678", "暴言を繰り返す", "2026-11-20 09:00", "2026-12-20 09:00", "user:sato"):
            await expect(row).to_contain_text(part)
        await expect(erased).to_contain_text("hidden, or erased")

        form = page.get_by_role("region", name="List a caller")
        server.orders.answer = {
            "done": False,
            "why": "終わりは今より後 / the end must be later",
            "entry": None,
        }
        await form.get_by_label("Caller").fill("090-1234-5678")
        await form.get_by_label("Reason").fill("threats")
        await form.get_by_label("Until").fill("2026-12-24T18:00")
        await form.get_by_role("button", name="List a caller").click()
        await expect(page.get_by_role("alert")).to_contain_text("the end must be later")
        await expect(form.get_by_label("Caller")).to_have_value("090-1234-5678")
        await expect(form.get_by_label("Until")).to_have_value("2026-12-24T18:00")
        server.orders.answer = {"done": True, "entry": "blocked-3"}
        await form.get_by_role("button", name="List a caller").click()
        await expect(page.get_by_role("status").first).to_have_text("The caller is listed.")
        added = [fields for command, _, fields in server.orders.orders if command == "blocked_add"]
        assert added[-1] == {
            "centre": "north",
            "number": "090-1234-5678",
            "reason": "threats",
            "until": datetime(2026, 12, 24, 9, tzinfo=UTC).timestamp(),
        }
        await page.get_by_role("button", name="Take *******678 off").click()
        await expect(page.get_by_role("status").first).to_have_text("The caller is off the list.")
        assert (
            "blocked_remove",
            "user:chief",
            {"centre": "north", "entry": "blocked-1"},
        ) in server.orders.orders
        await page.get_by_role("link", name="The audit trail of this list").click()
        await expect(page.get_by_role("row")).to_have_count(1 + 3)
        assert "5678" not in await page.content()

        own = (await seat(browser, server, who="mori")).page
        await own.goto(f"{server.url}/blocked?centre=north")
        await expect(own.get_by_role("heading", level=1)).not_to_have_text("迷惑電話の一覧")
        await own.goto(f"{server.url}/blocked")
        await expect(own.get_by_role("main")).to_contain_text("試験センター")
        await expect(own.get_by_role("link", name="北センター")).to_have_count(0)


async def test_the_city_reads_and_hears_what_is_said_what_will_be_and_what_was(browser: Browser) -> None:
    async with served(a_source(), pace=PACE, told=Spoken()) as server:
        user(server.accounts, "city", Role.VIEWER, ("north",))
        taken = await seat(browser, server, who="city")
        page = taken.page
        await page.goto(f"{server.url}/?lang=en")
        await page.get_by_role("link", name="Announcements").click()
        now = page.get_by_role("group", name="In force now").get_by_role("row")
        await expect(now).to_have_count(1 + 2)
        await expect(now.nth(1)).to_contain_text("お電話ありがとうございます。")
        waits = page.get_by_role("group", name="Changed, not yet applied").get_by_role("row")
        await expect(waits).to_have_count(1 + 2)
        await expect(waits.nth(1)).to_contain_text("北センターです。")
        await expect(waits.nth(1)).to_contain_text("no audio")
        await expect(waits.nth(2)).to_contain_text("Lost card")
        await page.get_by_role("link", name="Out of hours: what was said, and when").click()
        before = page.get_by_role("region", name="Out of hours: what was said, and when").get_by_role("row")
        await expect(before.nth(1)).to_contain_text("now")
        await expect(before.nth(2)).to_contain_text("本日の受付は終了しました。")
        await expect(before.nth(2)).to_contain_text("01/04/2026, 09:00")
        sound = before.nth(2).get_by_label("Listen to 2026-04-01 09:00")
        await sound.evaluate("e => e.play()")
        await expect(sound).to_have_js_property("paused", True)
        assert await sound.evaluate("e => e.ended && e.error === null")
        taken.told_nothing_wrong(server)
        await page.goto(f"{server.url}/announcements?centre=demo")
        await expect(page.get_by_role("heading", name="Announcements")).to_have_count(0)


async def test_who_may_not_see_numbers_is_told_so_on_the_board(browser: Browser) -> None:
    source = a_source()
    source.desk.wait(5, "c1")
    source.turn()
    async with served(source, pace=PACE) as server:
        user(server.accounts, "city", Role.VIEWER)
        page = (await board(browser, server, who="city")).page
        await expect(page.locator('[data-f="waiting-rows"] [data-f="number"]')).to_have_text("非表示")
        assert "678" not in await page.content()
