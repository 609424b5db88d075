"""二次対応 on a real Asterisk: a colleague or the first free supervisor is asked about a held caller, takes over, and
does with the caller what every agent does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from callcore.domain.centre import Transfers
from callcore.domain.ids import PhoneId
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_phones import heard
from tests.integration.test_dialplan_transfer import CITY_HZ, _Held, held
from tests.support.floor import AGENT_HZ, CALLER_HZ
from tests.support.sip import Call, comes_true, tone

pytestmark = pytest.mark.few

COLLEAGUE_HZ = 800
SUPERVISORS = Transfers(supervisors=(PhoneId("oita-p2"), PhoneId("oita-p3")))


async def takes_over(h: _Held, *, answered: bool = True, code: bool = False) -> Call:
    """The second phone is asked about the caller, and has the caller then."""
    asked = await h.floor.desks[0].call("oita-p2", tone(AGENT_HZ))
    leg = await h.floor.desks[1].rings()
    leg.sound = tone(COLLEAGUE_HZ)
    begun = await h.floor.ami.event("CallcoreSide", Kind="colleague")
    assert begun["Beside"] == await h.floor.variable(h.channel, "CALLCORE_CALL")
    if answered:
        leg.answer()
        await until_hears(asked, COLLEAGUE_HZ)
    if code:
        asked.press("*35")
    else:
        assert (await h.leg.refer("oita-p2", asked)).status == 202
    if not answered:
        await comes_true(lambda: h.leg.referred == [100, 200], "NOTIFY 200 while it rings")
        await h.call.hears(0.5)
        leg.answer()
    await until_hears(h.call, COLLEAGUE_HZ)
    await until_hears(leg, CALLER_HZ)
    for each in (h.leg, asked):
        if not each.over:
            each.hang_up()
    return leg


async def asks_the_city(h: _Held, leg: Call) -> tuple[Call, Call]:
    """The colleague holds the caller and calls a department about him or her."""
    await leg.hold()
    seen = h.now
    asked = await h.floor.desks[1].call("*511", tone(COLLEAGUE_HZ))
    city = await h.floor.trunk.rings(1)
    begun = await h.floor.ami.event("CallcoreSide", after=seen)
    assert (begun["Phone"], begun["Beside"]) == (
        "oita-p2",
        await h.floor.variable(h.channel, "CALLCORE_CALL"),
    )
    city.sound = tone(CITY_HZ)
    city.answer()
    await until_hears(asked, CITY_HZ)
    return asked, city


@pytest.mark.parametrize("answered", [True, False])
async def test_a_colleague_takes_over_and_puts_the_caller_through(tmp_path: Path, answered: bool) -> None:
    async with held(tmp_path) as h:
        leg = await takes_over(h, answered=answered)
        asked, city = await asks_the_city(h, leg)
        if answered:
            assert (await leg.refer("*511", asked)).status == 202
        else:
            asked.press("*35")
        await h.together(city)
        for each in (leg, asked):
            if not each.over:
                each.hang_up()
        await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_MOVED", Value="1")
        city.hang_up()
        await h.call.until("bye")


@pytest.mark.parametrize(("alive", "answered"), [(True, False), (False, True), (False, False)])
async def test_a_colleague_who_puts_the_held_caller_down_in_a_consult_gives_the_caller_back(
    tmp_path: Path, alive: bool, answered: bool
) -> None:
    async with held(tmp_path) as h:
        leg = await takes_over(h, answered=answered)
        _, city = await asks_the_city(h, leg)
        if alive:
            await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_ONHOLD", Value="yes")
        else:
            await h.forgotten()
        seen = h.now
        leg.hang_up()
        await h.floor.ami.event("CallcoreHeld", after=seen, Channel=h.channel)
        assert h.call.state == city.state == "up", "the consult goes on"


async def test_a_colleague_who_puts_down_in_the_talk_ends_it(tmp_path: Path) -> None:
    async with held(tmp_path) as h:
        leg = await takes_over(h, answered=False)
        seen = h.now
        leg.hang_up()
        await h.call.until("bye")
        assert not [e for e in h.floor.ami.events[seen:] if e.get("UserEvent") == "CallcoreHeld"]


@pytest.mark.parametrize("end", ["in the talk", "on hold", "lost"])
async def test_a_colleague_who_was_joined_by_the_code_ends_the_talk_as_every_colleague_does(
    tmp_path: Path, end: str
) -> None:
    async with held(tmp_path) as h:
        mark = partial(h.floor.ami.action, "Setvar", Channel=h.channel)
        await mark(Variable="CALLCORE_ONHOLD", Value="yes")
        leg = await takes_over(h, code=True)
        seen = h.now
        if end == "in the talk":
            leg.hang_up()
            await h.call.until("bye")
            assert not [e for e in h.floor.ami.events[seen:] if e.get("UserEvent") == "CallcoreHeld"]
            return
        await mark(Variable="CALLCORE_MOVED", Value="1")
        if end == "on hold":
            await leg.hold()
            await mark(Variable="CALLCORE_ONHOLD", Value="yes")
            leg.hang_up()
        else:
            own = await h.floor.variable(h.channel, "BRIDGEPEER")
            await h.floor.ami.action("Hangup", Channel=own)
        await h.back(seen)


async def came_back(h: _Held) -> None:
    """Put down by the first agent while held; the same agent has the caller again, and holds."""
    await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_ONHOLD", Value="yes")
    seen = h.now
    h.leg.hang_up()
    await h.back(seen)
    await h.again()


@pytest.mark.parametrize(
    ("code", "end"),
    [(True, "in the talk"), (True, "held"), (False, "in the talk"), (False, "held"), (False, "lost")],
)
async def test_who_came_back_from_one_agent_ends_with_the_colleague_as_this_one_ends_it_while_callcore_is_dead(
    tmp_path: Path, code: bool, end: str
) -> None:
    """Asterisk still says of a joined caller's channel that the first agent's leg has put down. The first agent is in
    another call meanwhile, or in none: neither tells anything of the colleague."""
    async with held(tmp_path) as h:
        await came_back(h)
        leg = await takes_over(h, answered=code, code=code)
        own = await h.floor.variable(h.channel, "BRIDGEPEER")
        await h.forgotten()
        seen = h.now
        if end == "in the talk":
            await h.floor.ami.device("oita-p1", "NOT_INUSE")
            await h.floor.desks[0].call("*511", tone(AGENT_HZ))
            await h.floor.trunk.rings(1)
            leg.hang_up()
            await h.call.until("bye")
            assert not [e for e in h.floor.ami.events[seen:] if e.get("UserEvent") == "CallcoreHeld"]
            return
        if end == "held":
            await asks_the_city(h, leg)
            leg.hang_up()
        else:
            await h.floor.ami.action("Hangup", Channel=own, Cause="44")
        await h.floor.ami.event("CallcoreHeld", after=seen, Channel=h.channel)
        assert h.call.state == "up"


async def test_the_first_supervisor_who_is_free_is_rung_and_the_next_and_it_is_said_when_nobody_is(
    tmp_path: Path,
) -> None:
    async with held(tmp_path, SUPERVISORS, phones=3) as h:
        desk, second, third = h.floor.desks

        async def lamp(phone: str, state: str) -> None:
            """As callcore sets that of *13: whether somebody takes calls there."""
            await h.floor.ami.action(
                "Setvar", Variable=f"DEVICE_STATE(Custom:callcore-13-{phone})", Value=state
            )

        # Away; then a refusal; then nobody is left.
        await lamp("oita-p2", "NOT_INUSE")
        await lamp("oita-p3", "INUSE")
        asked = await desk.call("*36", tone(AGENT_HZ))
        leg = await third.rings()
        leg.hang_up()
        await heard(asked, "no-supervisor")
        ended = await h.floor.ami.event("CallcoreSideEnded")
        assert ended["Result"] == "BUSY"
        assert not second.calls

        # The first refuses, the next one takes over.
        await lamp("oita-p2", "INUSE")
        asked = await desk.call("*36", tone(AGENT_HZ))
        (await second.rings()).hang_up()
        leg = await third.rings(2)
        leg.sound = tone(COLLEAGUE_HZ)
        leg.answer()
        await until_hears(asked, COLLEAGUE_HZ)
        leg.hang_up()
        await asked.until("bye")

        # callcore is dead: whose phone is idle.
        await h.forgotten()
        await lamp("oita-p2", "NOT_INUSE")
        asked = await desk.call("*36", tone(AGENT_HZ))
        leg = await second.rings(2)
        leg.sound = tone(COLLEAGUE_HZ)
        leg.answer()
        await until_hears(asked, COLLEAGUE_HZ)
        assert (await h.leg.refer("*36", asked)).status == 202
        await until_hears(h.call, COLLEAGUE_HZ)
        leg.hang_up()
        await h.call.until("bye")
