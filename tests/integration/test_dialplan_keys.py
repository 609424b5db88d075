"""What an agent keys inside a talk, on a real Asterisk: what callcore is told, and that the citizen hears none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_phones import heard
from tests.support.asterisk import Event
from tests.support.centre import COMMON_HZ, small_centre
from tests.support.floor import AGENT_HZ, CALLER_HZ, Floor, running_floor
from tests.support.sip import RATE, Call, loudness

SPOKEN = (COMMON_HZ["key-refused"], COMMON_HZ["help-asked"])
DTMF_HZ = (697, 770, 852, 941, 1209, 1336, 1477)


def keyed(floor: Floor) -> list[Event]:
    return [event for event in floor.ami.events if event.get("UserEvent") == "CallcoreKey"]


def hears_nothing_of_it(citizen: Call, since: int) -> None:
    """No tone of a key, none of the words to the agent and no music: only the agent's own voice, or silence."""
    sound = bytes(citizen.heard[since:])
    for place in range(0, len(sound) - RATE // 10, RATE // 10):
        part = sound[place : place + RATE // 10]
        for hertz in (*SPOKEN, *DTMF_HZ, 1300):
            assert loudness(part, hertz) < 0.3, (place / RATE, hertz)


async def test_a_code_inside_a_talk_is_told_and_answered_to_the_agent_alone(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        citizen, _, leg = await floor.talk()
        await until_hears(citizen, AGENT_HZ)
        since = len(citizen.heard)
        leg.press("*31")
        told = await floor.ami.event("CallcoreKey")
        assert (told["Key"], told["Phone"]) == ("help", "oita-p1")
        await floor.ami.action(
            "Setvar", Channel=told["Channel"], Variable="CALLCORE_REPLY", Value="help-asked"
        )
        await until_hears(leg, COMMON_HZ["help-asked"], 0.2)
        await until_hears(leg, CALLER_HZ, 0.3)
        await until_hears(citizen, AGENT_HZ, 0.3)

        # Wrong keys and half a code go nowhere; a code that does not exist is refused.
        leg.press("5#0")
        leg.press("*3")
        leg.press("*39")
        await until_hears(leg, COMMON_HZ["key-refused"], 0.2)
        await until_hears(leg, CALLER_HZ, 0.3)
        assert len(keyed(floor)) == 1
        leg.press("*34")
        told = await floor.ami.event("CallcoreKey", Key="recording")
        await floor.ami.action(
            "Setvar", Channel=told["Channel"], Variable="CALLCORE_REPLY", Value="key-refused"
        )
        await until_hears(leg, COMMON_HZ["key-refused"], 0.2)
        await until_hears(citizen, AGENT_HZ, 0.3)
        assert citizen.events == []
        hears_nothing_of_it(citizen, since)
        assert (citizen.state, leg.state) == ("up", "up")

        citizen.press("7")
        await leg.hears(0.5)
        assert leg.events == ["7"], "what a citizen keys reaches the agent as before"
        leg.hang_up()
        await citizen.until("bye")


async def test_while_callcore_is_dead_or_hangs_a_code_inside_a_talk_is_refused_and_the_talk_goes_on(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        async with floor.ami.beating():
            citizen, _, leg = await floor.talk()
            await until_hears(citizen, AGENT_HZ)
            since = len(citizen.heard)
            leg.press("*31")
            await floor.ami.event("CallcoreKey")  # and nobody answers
            await until_hears(leg, COMMON_HZ["key-refused"], 0.2)
        await floor.ami.action("Setvar", Variable="CALLCORE_HEARTBEAT", Value="1")
        await until_hears(leg, CALLER_HZ, 0.3)
        leg.press("*32")
        await until_hears(leg, COMMON_HZ["key-refused"], 0.2)
        assert len(keyed(floor)) == 1
        await until_hears(citizen, AGENT_HZ, 0.3)
        assert citizen.events == []
        hears_nothing_of_it(citizen, since)


@pytest.mark.parametrize(
    ("code", "feature", "digit"),
    [("*152", "pause", "2"), ("*204", "result", "4"), ("*31", "help", ""), ("*34", "recording", "")],
)
async def test_a_code_with_a_digit_and_a_talks_code_that_is_dialled_are_told(
    tmp_path: Path, code: str, feature: str, digit: str
) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        call = await floor.desks[0].call(code)
        await heard(call, "not-possible")
        assert not [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreFeature"]
        async with floor.ami.beating():
            call = await floor.desks[0].call(code)
            told = await floor.ami.event("CallcoreFeature")
            assert (told["Feature"], told["Digit"], told["Phone"]) == (feature, digit, "oita-p1")
            await floor.ami.action(
                "Setvar", Channel=told["Channel"], Variable="CALLCORE_REPLY", Value="paused"
            )
            await heard(call, "paused")


async def test_a_phone_watches_its_own_lamps_and_its_centres_and_no_others(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        first, second = floor.desks
        mine, other = await first.watch("*15"), await second.watch("*15")
        queue = await first.watch("oita-general")
        for state, shown in (("INUSE", "steady"), ("RINGING", "flashing"), ("NOT_INUSE", "off")):
            for name in ("15-oita-p1", "queue-oita-general"):
                await floor.ami.action(
                    "Setvar", Variable=f"DEVICE_STATE(Custom:callcore-{name})", Value=state
                )
            await asyncio.gather(mine.shows(shown, 0.5), queue.shows(shown, 0.5))
        assert other.shown == "off"
        for strange in ("beppu-p1", "beppu-general", "*99"):
            with pytest.raises(AssertionError, match="404"):
                await first.watch(strange)
