"""Callers in a menu, with the engine at work, and with the engine killed while they choose."""

from __future__ import annotations

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.stages import Choice
from tests.support.station import hears_for, station, until

MENU = """
[[menus]]
id = "subject"
say = "please_wait"
timeout_s = 8
tries = 2

[[menus.keys]]
key = "1"
queue = "general"

[[menus.keys]]
key = "2"
say = "emergency"
"""
CENTRE = DemoCentre(agents=1, acw_s=1, menu="subject", more=MENU)


async def test_each_way_out_of_a_menu_is_one_outcome_and_no_channel_is_left() -> None:
    async with station(CENTRE) as s:
        caller = await s.caller(1)
        silent = await s.dial_in(caller)
        await hears_for(silent, 6)
        await silent.hang_up()
        await s.ended(1)
        served = await s.dial_in(caller)
        await hears_for(served, 1)
        await served.dtmf("2")
        await s.fact(f.MenuAnswered, lambda x: x.choice is Choice.SAY)
        await served.hang_up()
        await s.ended(2)
        waits = await s.dial_in(caller)
        await hears_for(waits, 1)
        await waits.dtmf("1")
        await s.fact(f.VisitBegan)
        await waits.hang_up()
        await s.ended(3)
        assert s.outcomes() == ["abandoned", "ivr_only", "abandoned"]
        assert [(x.choice, x.key) for x in s.told(f.MenuAnswered)] == [(Choice.SAY, "2"), (Choice.QUEUE, "1")]
        assert not s.floor().calls
        s.books_agree()


async def test_the_engine_is_killed_while_a_caller_chooses_and_an_agent_still_answers() -> None:
    async with station(CENTRE) as s:
        (desk,) = await s.staff(1)
        caller = await s.caller(1)
        call = await s.dial_in(caller)
        await hears_for(call, 1)
        s.kill("engine")
        await call.dtmf("1")
        ringing = await desk.incoming(40)
        await ringing.answer()
        await s.start_engine()
        await until(lambda: len(s.told(f.CallAnswered)) == 1)
        await call.hang_up()
        await s.ended(1)
        assert s.outcomes() == ["completed"]
        (told,) = s.told(f.MenuAnswered)
        assert (told.key, told.choice, told.reconstructed) == ("1", Choice.QUEUE, True)
        s.books_agree()
