"""Call-backs on a real Asterisk: what the agent sees and hears of who is called back, and when nobody is called. The
effect is carried out as the engine does it; else callcore is dead here."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from callcore.ami.link import Link, Settings
from callcore.ami.perform import Performer
from callcore.domain.centre import Announcement, Configuration, Destination, Outgoing
from callcore.domain.effects import CallBack, DialOut, Effect
from callcore.domain.ids import CallId, CentreId, Instant, PhoneId
from tests.integration.test_dialplan_menus import nobody_left
from tests.support import audio
from tests.support.centre import small_centre
from tests.support.floor import Floor, running_floor
from tests.support.sip import Call, comes_true, decoded

CITIZEN = "0312349187"
ENDS_IN = ("9", "1", "8", "7")
OURS = (
    "callback-call",
    "callback-attempt",
    "callback-caution",
    "callback-number",
    "callback-closed",
    "language-en",
)
SOUNDS = {
    f"{folder}/{name}": audio.speech_like(seed, 0.3)
    for seed, (folder, name) in enumerate(
        [
            *(("common/ja", each) for each in OURS),
            *(("ja/spoken", f"digit-{each}") for each in (*ENDS_IN, "2")),
            ("beppu/ja", "whisper"),
        ],
        301,
    )
}
NUMBER_SAID = ("common/ja/callback-number", *(f"ja/spoken/digit-{each}" for each in ENDS_IN))


def make_prompts(folder: Path) -> None:
    for name, samples in SOUNDS.items():
        path = folder / "prompts" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, samples)


def lent() -> Configuration:
    """The agents of oita serve beppu too, which has words for who answers its callers in Japanese."""
    files = small_centre()
    oita, beppu = files.centres
    words = (*beppu.announcements, Announcement("whisper", "ja", "whisper", "beppu/ja/whisper"))
    out = Outgoing("0977211111", kinds=(Destination.LANDLINE,))
    return replace(files, centres=(oita, replace(beppu, announcements=words, outgoing=out)))


def effect(n: int, **changes: object) -> CallBack:
    made = CallBack(
        side=CallId(f"test-{int(time.time())}.0{n}"),
        phone=PhoneId("oita-p1"),
        number=CITIZEN,
        ring_s=15,
        centre=CentreId("beppu"),
        language="ja",
        attempt=1,
        shown="折り返し 別府 日本語",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def linked(floor: Floor) -> AsyncIterator[Link]:
    pbx = floor.pbx.settings
    async with Link(
        Settings(pbx.ami_host, pbx.ami_port, "callcore", pbx.ami_secret, events=frozenset())
    ) as link:
        await link.wait_up(20)
        yield link


def performer(link: object) -> Performer:
    async def entitled() -> bool:
        return True

    return Performer(
        cast(Link, link), entitled=entitled, now=lambda: Instant(time.time_ns() // 1000), sleep=asyncio.sleep
    )


@asynccontextmanager
async def performing(floor: Floor) -> AsyncIterator[Callable[[Effect], Awaitable[object]]]:
    async with linked(floor) as link:
        yield performer(link).perform


def places(call: Call, names: Sequence[str]) -> list[float]:
    """Where each prompt is heard, in seconds; -1 for what is not."""
    recording, found = decoded(bytes(call.heard)), []
    for name in names:
        match = audio.find(SOUNDS[name], recording) if len(recording) > len(SOUNDS[name]) else None
        found.append(match.at if match is not None and match.score > 0.8 else -1.0)
    return found


async def hears_in_order(call: Call, *names: str) -> None:
    await comes_true(
        lambda: -1 not in places(call, names), f"{names} are heard, not {places(call, names)}", 20
    )
    assert places(call, names) == sorted(places(call, names)), places(call, names)


async def test_the_agent_sees_and_hears_who_it_is_and_the_citizen_sees_the_centre_that_was_called(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, lent(), phones=1) as floor, performing(floor) as perform:
        make_prompts(tmp_path)
        await perform(effect(1))
        desk = await floor.desks[0].rings()
        assert desk.invite is not None
        assert re.match(rf'"折り返し 別府 日本語" <sip:{CITIZEN}@', desk.invite.get("from"))
        desk.answer()
        await hears_in_order(desk, "common/ja/callback-call", "beppu/ja/whisper", *NUMBER_SAID)
        citizen = await floor.trunk.rings()
        assert citizen.invite is not None
        assert CITIZEN in citizen.invite.start
        assert "0977211111" in citizen.invite.get("from"), "of an agent of oita"
        assert "折り返し" not in citizen.invite.text
        told = await floor.ami.event("CallcoreSide")
        assert (told["Centre"], told["Shown"], told["Why"]) == ("beppu", "0977211111", "callback")
        desk.hang_up()
        await nobody_left(floor)

        second = effect(2, language="en", attempt=2, listed=True)
        await perform(second)
        desk = await floor.desks[0].rings(2)
        desk.answer()
        await hears_in_order(
            desk,
            "common/ja/callback-call",
            "ja/spoken/digit-2",
            "common/ja/callback-attempt",
            "common/ja/language-en",
            "common/ja/callback-caution",
            *NUMBER_SAID,
        )
        await floor.trunk.rings(2)
        desk.hang_up()
        await nobody_left(floor)

        await perform(DialOut(PhoneId("oita-p1"), CITIZEN, CentreId("beppu")))
        (await floor.desks[0].rings(3)).answer()
        citizen = await floor.trunk.rings(3)
        assert citizen.invite is not None
        assert "0977211111" in citizen.invite.get("from"), (
            "what the same agent is made to dial about a message, too"
        )


async def test_nobody_is_called_back_when_the_centre_has_closed_while_the_phone_rang(tmp_path: Path) -> None:
    async with running_floor(tmp_path, lent(), phones=1) as floor, performing(floor) as perform:
        make_prompts(tmp_path)
        now = int(time.time())
        today = time.strftime("%Y%m%d", time.gmtime(now + 9 * 3600))
        pushed = [
            ("callcore-hours/beppu", today, f"{now - 3600}-{now}"),
            ("callcore-emergency", "beppu", f"{now - 60}-{now + 3600}"),
        ]
        for n, (family, key, value) in enumerate(pushed, 1):
            await perform(effect(n))
            desk = await floor.desks[0].rings(n)
            await floor.ami.action("DBPut", Family=family, Key=key, Val=value)
            desk.answer()
            await hears_in_order(desk, "common/ja/callback-number", "common/ja/callback-closed")
            await desk.until("bye")
            await nobody_left(floor)
            await floor.ami.action("DBDel", Family=family, Key=key)
        assert not floor.trunk.calls
        assert not [event for event in floor.ami.events if event.get("UserEvent") == "CallcoreSide"]
