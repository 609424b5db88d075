"""A centre is closed in an emergency: who waits, who calls, and who calls while callcore is dead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import PhoneCall
from callcore.domain import facts as f
from callcore.runtime.commands import CommandClient, this_account
from callcore.settings import PROJECT
from tests.support import audio
from tests.support.prompts import put_prompt, shipped_prompts
from tests.support.station import Station, hears_now, music, station, until, words

SAID = PROJECT / "ivr_prompts" / "oita" / "ja" / "emergency.ulaw"
TEXT = "ただいま、臨時に受付を休止しております。"
"""What the manifest says; the audio is Oita's."""


@dataclass(frozen=True, slots=True)
class Prepared(DemoCentre):
    """With an announcement for emergencies."""

    def toml(self) -> str:
        return f'{DemoCentre.toml(self)}\n[announcements.emergency]\nja = "{TEXT}"\n'


def with_emergency(home: Path) -> Path:
    """The shipped prompts, and one for emergencies."""
    folder = shipped_prompts(home, "demo")
    put_prompt(folder, "demo/ja/emergency", TEXT, SAID.read_bytes())
    return folder


async def asked(s: Station, command: str, **fields: Any) -> Any:
    client = CommandClient(s.settings.engine_socket)
    try:
        return await client.ask(command, **fields)
    finally:
        await client.close()


async def pushed(s: Station, value: str) -> None:
    """Await that Asterisk's own memory of the emergency is this, or begins so."""
    found = ""

    async def look() -> str:
        told = await s.asterisk.command("database show callcore-emergency")
        return told.rpartition(": ")[2].strip()

    end = time.monotonic() + 15
    while not (found := await look()).startswith(value):
        assert time.monotonic() < end, found


async def hears_the_emergency(s: Station, call: PhoneCall) -> None:
    """The whole announcement, and then the end."""
    await call.wait_closed(30)
    assert audio.find(s.prompt("emergency"), words(call)).score >= 0.99


async def test_an_emergency_reaches_who_waits_and_who_calls_and_holds_and_ends_with_callcore_dead() -> None:
    async with station(Prepared(agents=1), prompts=with_emergency) as s:
        waiting = await s.dial_in(await s.caller(1))
        await hears_now(waiting, music)
        answer = await asked(s, "emergency_begin", centre="demo", reason="地震", until=time.time() + 600)
        assert answer["done"] and answer["emergency"]["reason"] == "地震"
        await hears_the_emergency(s, waiting)
        await pushed(s, f"{int(answer['emergency']['since'])}-")
        calling = await s.dial_in(await s.caller(2))
        await hears_the_emergency(s, calling)
        await s.ended(2)
        assert s.outcomes() == ["overflow_no_agent", "emergency_closed"]
        (began,) = s.told(f.EmergencyBegan)
        assert (began.by, began.reason) == (this_account(), "地震")

        s.kill("engine")
        alone = await s.dial_in(await s.caller(3))
        await hears_the_emergency(s, alone)
        await s.start_engine()
        ended = await s.ended(3)
        assert ended[-1].outcome.value == "emergency_closed" and ended[-1].reconstructed
        (row,) = await asked(s, "emergency_list")
        assert (row["centre"], row["by"]) == ("demo", this_account())

        # Another end, which comes while nobody decides: the dialplan opens by itself.
        until_at = int(time.time()) + 8
        assert (await asked(s, "emergency_begin", centre="demo", reason="停電", until=until_at))["done"]
        await pushed(s, f"{int(answer['emergency']['since'])}-{until_at}")
        s.kill("engine")
        await until(lambda: time.time() > until_at + 0.2, 15, "the end of the emergency")
        served = await s.dial_in(await s.caller(4))
        await hears_now(served, music)
        assert audio.find(s.prompt("greeting"), words(served)).score >= 0.99
        await s.start_engine()
        over = await s.fact(f.EmergencyEnded)
        assert over.by is None
        await pushed(s, "none")
        await served.hang_up()
        await s.ended(4)
        figures = s.figures()
        assert (figures.arrived, figures.emergency_closed, figures.offered) == (4, 2, 2)
        assert s.told(f.AdmissionDiffered) == []
