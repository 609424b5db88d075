from __future__ import annotations
import asyncio
from pathlib import Path

from tests.integration.test_dialplan_call import until_hears
from tests.support.centre import COMMON_HZ, small_centre
from tests.support.floor import AGENT_HZ, CALLER_HZ, running_floor
from tests.support.sip import RATE, loudness, comes_true


async def test_x(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        await floor.ami.beat()
        citizen, channel, leg = await floor.talk()
        async def alive(what):
            try:
                print("ALIVE", what, (await asyncio.wait_for(floor.pbx.process.command("core show channels concise"), 5))[:100])
            except Exception as e:
                print("DEAD", what, repr(e), floor.pbx.process.returncode)
        await until_hears(citizen, AGENT_HZ)
        await alive("talk")
        begin = len(citizen.heard)
        await floor.ami.beat()
        leg.press("*31")
        told = await floor.ami.event("CallcoreKey")
        print(told["Key"], told["Channel"])
        await floor.ami.action("Setvar", Channel=told["Channel"], Variable="CALLCORE_REPLY", Value="help-asked")
        await until_hears(leg, COMMON_HZ["help-asked"], 0.2)
        await until_hears(leg, CALLER_HZ, 0.3)
        await alive("after")
        leg.press("5")
        await leg.hears(1)
        await alive("5")
        leg.press("*")
        await leg.hears(4)
        await alive("*")
        leg.press("*3999#1")
        await leg.hears(3)
        print("EVENTS", citizen.events)
        heard = bytes(citizen.heard[begin:])
        print([max((h for h in (0, AGENT_HZ, 1300, 2400, 941, 1209)), key=lambda h: loudness(heard[p:p+800], h)) for p in range(0, len(heard)-800, 800)])
        citizen.press("7")
        await citizen.hears(1)
        print("LEG", leg.events)
        print(floor.pbx.log()[-1500:])
