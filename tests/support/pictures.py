"""The pictures of the documents' pages: a centre with real calls, as a supervisor and an agent see it.

    python -m tests.support.pictures [NAME…]        all, or only these, into docs/pictures/

Asterisk, engine, sidecar, phones and callers are real; no name or number is a person's. A minute of calls makes the
day, then the scene stands: callers wait, one agent asks for help, one holds, one is away, one wraps up.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, Page, async_playwright, expect

from callcore.access.rights import Role
from callcore.demo.centre import CENTRE, NUMBER
from callcore.domain import facts as f
from callcore.domain.ids import AgentId, CallId
from callcore.domain.stages import Stage
from callcore.installation import accounts_of
from callcore.runtime.commands import CommandClient
from callcore.web.gate import COOKIE
from tests.support.browser import Scheme
from tests.support.consults import CITY, House, briefly, number, put_down, sits_down
from tests.support.menus import Waits, languages, says
from tests.support.people import PASSWORD, first_administrator, read_page, user
from tests.support.sip import Call, sip_agent, tone
from tests.support.station import PROJECT, Station, station, until

FOLDER = PROJECT / "docs" / "pictures"
AGENTS = 8
ON_DUTY = 7
"""The last is the supervisor, who has not signed in."""
COLOURS = 128
AGAIN = "0975550123"
"""Calls twice."""
CENTRE_FILE = f"""{CITY}
{languages("language")}
{says("language_choice", "ja", "en")}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page, or a part of it. `path`: below the address, `{call}` is a call that two phones rang for."""

    name: str
    path: str
    width: int = 1280
    height: int = 800
    who: str = "sup"
    scheme: Scheme = "light"
    opens: str | None = None
    """What is clicked first, on a live page."""
    languages: Sequence[str] = ("ja", "en")
    live: bool = False


PICTURES = (
    Picture("board", "/", height=1100, live=True),
    Picture("board-dark", "/", height=1100, live=True, scheme="dark"),
    Picture("acts", "/", height=760, live=True, opens='[data-f="agent-rows"] tr[data-key="1003"] [data-act]'),
    Picture("figure", f"/figures/{CENTRE}/answer_ratio", height=760),
    Picture("call", "/calls/{call}", height=1180),
    Picture("wall", f"/wall/{CENTRE}", height=720, live=True),
    Picture("desk", "/desk", width=900, height=1000, who="ope"),
)


class Centre(Waits):
    """Open around now, so that the curve shows the hours about it."""

    def toml(self) -> str:
        now = datetime.now(ZoneInfo("Asia/Tokyo"))
        first = max(0, now.hour - 3)
        window = f"{first:02}:00-{min(24, first + 9):02}:00"
        return super().toml().replace("00:00-24:00", window)


@asynccontextmanager
async def centre() -> AsyncIterator[House]:
    made = Centre(agents=AGENTS, acw_s=20, rest_s=5, more=CENTRE_FILE, two=True, menu="language")
    async with station(made, prompts=briefly, sidecar=True) as s:
        pbx = (f"{s.net}.1", s.settings.sip_port)
        people = await s.stack.enter_async_context(sip_agent(f"{s.net}.131", "0975551234", pbx))
        h = House(s, [], await s.carrier(), people)
        h.desks += await asyncio.gather(
            *(sits_down(s, made.phone(n), made.agent(n), host=20 + n) for n in range(1, ON_DUTY + 1))
        )
        stays = asyncio.create_task(h.stay())
        yield h
        stays.cancel()


async def dials(h: House, key: str = "1", whose: str | None = None) -> Call:
    """A citizen who has chosen a language, and is in the line or rings."""
    before = len(h.s.told(f.VisitBegan))
    if whose is None:
        citizen = await h.dials()
    else:
        h.people.user = whose
        citizen = await h.people.call(NUMBER, tone(h.hz()))
    await citizen.until("up")
    for _ in range(5):
        citizen.press(key)
        with contextlib.suppress(AssertionError):
            await until(lambda: len(h.s.told(f.VisitBegan)) > before, 3)
            break
    return citizen


async def a_day(h: House) -> CallId:
    """More callers than agents: one gives up; of those who wait, the first is rung for at two phones, and held. That
    call is given back."""
    busy = [
        await h.taken(await dials(h, "2" if n == 2 else "1", AGAIN if n == 0 else None))
        for n in range(ON_DUTY)
    ]
    late = [await dials(h) for _ in range(3)]
    await asyncio.sleep(8)  # patience
    put_down(late.pop())
    for n, talk in enumerate(busy):
        put_down(talk.citizen)
        key = await talk.desk.call(f"*20{1 + n % 3}", tone(600))
        await key.until("bye", within_s=30)
    missed = await h.rung(*h.desks, of=number(late[0]))
    await asyncio.sleep(4)  # nobody picks up
    missed.decline()
    held = await h.taken(late[0])
    await held.hold()
    await asyncio.sleep(6)  # something is looked up
    await held.leg.resume()
    last = await h.taken(late[1])
    await asyncio.sleep(4)  # they talk
    put_down(held.citizen, last.citizen)
    await h.all_free()
    return held.id


async def the_scene(h: House) -> None:
    s = h.s
    engine = CommandClient(s.settings.engine_socket)
    for n, reason in ((6, "研修"), (7, "昼休み")):
        await engine.ask("agent_pause", agent=s.centre.agent(n), reason=reason)
    talks = [await h.taken(await dials(h)) for _ in range(5)]
    talks[0].leg.press("*31")
    await s.fact(f.HelpAsked, lambda x: x.call == talks[0].id)
    await talks[1].hold()
    for key, whose in (("2", None), ("1", AGAIN), ("1", None)):
        await dials(h, key, whose)
    await engine.ask("task_keep", centre=CENTRE, subject="折り返しの確認")
    await asyncio.sleep(15)  # they wait
    put_down(talks[4].citizen)
    await engine.ask("agent_ready", agent=s.centre.agent(6))
    await engine.close()
    await until(lambda: any(c.stage is Stage.OFFERED for c in s.floor().calls.values()), what="a phone rings")


def small(path: Path) -> None:
    """A palette instead of full colours: a third of the size, and nobody sees a difference on pages like these."""
    made = path.with_suffix(".small.png")
    palette = f"split[a][b];[a]palettegen=max_colors={COLOURS}:reserve_transparent=0[p];[b][p]paletteuse=dither=none"
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg, "apt install ffmpeg"
    subprocess.run(
        [
            ffmpeg,
            "-v",
            "error",
            "-y",
            "-i",
            path,
            "-vf",
            palette,
            "-compression_level",
            "100",
            "-pred",
            "mixed",
            made,
        ],
        check=True,
    )
    made.replace(path)


async def taken(browser: Browser, s: Station, what: Picture, language: str, call: CallId) -> None:
    url = f"http://127.0.0.1:{s.settings.web_port}"
    cookie = accounts_of(s.settings).sign_in(what.who, PASSWORD, "127.0.0.1", "Chrome").cookie
    context = await browser.new_context(
        viewport={"width": what.width, "height": what.height},
        locale={"ja": "ja-JP", "en": "en-GB"}[language],
        timezone_id="Asia/Tokyo",
        color_scheme=what.scheme,
    )
    await context.add_cookies([{"name": COOKIE, "value": cookie, "url": url}])
    page: Page = await context.new_page()
    await page.goto(f"{url}{what.path.format(call=call)}")
    if what.live:
        await expect(page.locator("body")).to_have_attribute("data-state", "live")
    if what.opens is not None:
        await page.locator(what.opens).click()
        await expect(page.locator("#acts")).to_be_visible()
    name = what.name if language == "ja" else f"{what.name}.{language}"
    path = FOLDER / f"{name}.png"
    await page.screenshot(path=path)
    small(path)
    print(f"{path.relative_to(PROJECT)}  {path.stat().st_size // 1024} KB")
    await context.close()


async def main(names: Sequence[str]) -> None:
    async with centre() as h, async_playwright() as playwright:
        accounts = accounts_of(h.s.settings)
        first_administrator(accounts)
        user(accounts, "sup", Role.SUPERVISOR, (CENTRE,), h.s.centre.agent(AGENTS))
        user(accounts, "ope", Role.OPERATOR, (CENTRE,), h.s.centre.agent(1))
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        call = await a_day(h)
        await until(lambda: h.s.told(f.RecordingFiled), what="a recording is measured")
        await the_scene(h)
        await until(lambda: str(AgentId("1001")) in read_page(h.s.settings, "/api/v1/live")[1])
        for what in PICTURES:
            for language in what.languages:
                if not names or what.name in names:
                    await taken(browser, h.s, what, language, call)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
