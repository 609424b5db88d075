"""A real browser before the real server, as somebody who has signed in or as nobody."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from callcore.access.rights import ALL_CENTRES, Role
from callcore.web.gate import COOKIE
from tests.support.people import PASSWORD, user
from tests.support.web import Served

expect.set_options(timeout=20_000)
"""A browser beside many others on a small machine takes its time; what does not come is late at any bound."""

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What the browser itself writes down of a page that says no."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "apt install chromium fonts-noto-cjk"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        await running.close()


@dataclass
class Seat:
    """One person's browser. `complaints`: what it says of errors and of the content policy; `asked`: every address."""

    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def told_nothing_wrong(self, server: Served) -> None:
        wrong = [text for text in self.complaints if not text.startswith(REFUSED)]
        assert wrong == [], wrong
        elsewhere = [url for url in self.asked if not url.startswith((f"{server.url}/", "data:"))]
        assert elsewhere == [], elsewhere


def cookie_of(server: Served, who: str) -> str:
    """Sign a user in; "sup" is made where there is none: a supervisor of every centre."""
    if server.accounts.user(who) is None:
        assert who == "sup"
        user(server.accounts, who, Role.SUPERVISOR, (ALL_CENTRES,))
    return server.accounts.sign_in(who, PASSWORD, "127.0.0.1", "Chrome").cookie


async def seat(
    browser: Browser,
    server: Served,
    *,
    who: str | None = None,
    width: int = 1280,
    scheme: Scheme = "light",
    scripts: bool = True,
) -> Seat:
    """`who`: signed in as this user; None: as nobody."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800},
        locale="ja-JP",
        timezone_id="Asia/Tokyo",
        color_scheme=scheme,
        java_script_enabled=scripts,
    )
    if who is not None:
        await context.add_cookies([{"name": COOKIE, "value": cookie_of(server, who), "url": server.url}])
    page = await context.new_page()
    taken = Seat(page, context)
    page.on("pageerror", lambda error: taken.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: taken.complaints.append(message.text) if message.type != "log" else None,
    )
    page.on("request", lambda request: taken.asked.append(request.url))
    return taken


async def board(
    browser: Browser,
    server: Served,
    query: str = "",
    *,
    who: str = "sup",
    width: int = 1280,
    scheme: Scheme = "light",
) -> Seat:
    """The board, live."""
    taken = await seat(browser, server, who=who, width=width, scheme=scheme)
    await taken.page.goto(f"{server.url}/{query}")
    await expect(taken.page.locator("body")).to_have_attribute("data-state", "live")
    return taken


CONTRAST = """
() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${walk.currentNode.data.trim()} ${ratio.toFixed(2)}`);
  }
  return low;
}
"""
"""The words whose contrast to their ground is below 4.5 (WCAG 2.2, 1.4.3)."""
