"""What an agent keys at the desk phone, and calls between desk phones, on a real Asterisk."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.domain.ids import PhoneId
from tests.integration.test_dialplan_call import until_hears
from tests.support.asterisk import Event
from tests.support.centre import COMMON_HZ, small_centre
from tests.support.floor import Floor, running_floor
from tests.support.sip import RATE, Call, loudness, sip_agent


async def heard(call: Call, prompt: str) -> None:
    """Wait for that common prompt and the end of the call after it."""
    await call.until("bye")
    # On a busy machine the last packets may be late: a fifth of a second of it, within the last second.
    step = RATE // 5
    parts = [
        bytes(call.heard[at : at + step]) for at in range(len(call.heard) - 5 * step, len(call.heard), step)
    ]
    assert max(loudness(part, COMMON_HZ[prompt]) for part in parts) > 0.8, prompt


async def digits(floor: Floor, count: int) -> str:
    """The digits that reached the AMI."""

    def found() -> list[Event]:
        return [e for e in floor.ami.events if e["Event"] == "DTMFEnd"]

    await floor.ami.until(lambda: found() if len(found()) >= count else [], f"{count} digits")
    return "".join(e["Digit"] for e in found())


async def test_an_agent_signs_in_with_number_and_pin(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call = await floor.desks[0].call("*11")
        await until_hears(call, COMMON_HZ["ask-agent-number"], 0.3)
        call.press("101#")
        feature = await floor.ami.event("CallcoreFeature")
        assert (feature["Feature"], feature["Agent"], feature["Phone"]) == ("sign_in_number", "", "oita-p1")
        assert await digits(floor, 4) == "101#"
        await floor.ami.action("Setvar", Channel=feature["Channel"], Variable="CALLCORE_STEP", Value="pin")
        await until_hears(call, COMMON_HZ["ask-pin"], 0.3)
        call.press("2468#")
        assert await digits(floor, 9) == "101#2468#"
        assert {e["Channel"] for e in floor.ami.events if e["Event"] == "DTMFEnd"} == {feature["Channel"]}
        await floor.ami.action(
            "Setvar", Channel=feature["Channel"], Variable="CALLCORE_REPLY", Value="signed-in"
        )
        await heard(call, "signed-in")
        everywhere = floor.pbx.log() + str(floor.pbx.cel()) + str(floor.pbx.cdr())
        everywhere += str([e for e in floor.ami.events if e["Event"] == "UserEvent"])
        assert "2468" not in everywhere and "101#" not in everywhere


async def test_an_agent_may_dial_the_own_number_behind_the_code_and_key_during_the_prompt(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call = await floor.desks[0].call("*11101")
        feature = await floor.ami.event("CallcoreFeature")
        assert feature["Agent"] == "101"
        call.press("13#")
        assert await digits(floor, 3) == "13#"
        await floor.ami.action(
            "Setvar", Channel=feature["Channel"], Variable="CALLCORE_REPLY", Value="refused"
        )
        await heard(call, "refused")


async def test_an_agent_signs_out(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call = await floor.desks[0].call("*12")
        feature = await floor.ami.event("CallcoreFeature")
        assert (feature["Feature"], feature["Agent"], feature["Phone"]) == ("sign_out", "", "oita-p1")
        await floor.ami.action(
            "Setvar", Channel=feature["Channel"], Variable="CALLCORE_REPLY", Value="signed-out"
        )
        await heard(call, "signed-out")


@pytest.mark.parametrize(
    ("code", "feature", "reply"),
    [("*13", "ready", "ready"), ("*14", "extend", "extended"), ("*15", "pause", "paused")],
)
async def test_a_code_that_asks_nothing_is_told_to_callcore_and_its_answer_is_spoken(
    tmp_path: Path, code: str, feature: str, reply: str
) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call = await floor.desks[0].call(code)
        told = await floor.ami.event("CallcoreFeature")
        assert (told["Feature"], told["Agent"], told["Phone"]) == (feature, "", "oita-p1")
        await floor.ami.action("Setvar", Channel=told["Channel"], Variable="CALLCORE_REPLY", Value=reply)
        await heard(call, reply)


async def test_a_reply_that_never_comes_is_a_refusal(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call = await floor.desks[0].call("*12")
        feature = await floor.ami.event("CallcoreFeature")
        hangup = await floor.ami.event("Hangup", deadline_s=30, Channel=feature["Channel"])
        assert 5 < float(hangup["Timestamp"]) - float(feature["Timestamp"]) < 8
        await heard(call, "refused")


async def test_while_callcore_is_dead_the_codes_say_so(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        for code in ("*11", "*11101", "*12", "*13", "*14", "*15"):
            call = await floor.desks[0].call(code)
            await heard(call, "not-possible")
        assert not [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreFeature"]


async def test_colleagues_talk_and_a_third_one_finds_them_busy(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(), phones=3) as floor, floor.ami.beating():
        call = await floor.desks[0].call("oita-p2")
        leg = await floor.desks[1].rings()
        leg.answer()
        await call.until("up")
        for number in ("oita-p1", "oita-p2"):
            third = await floor.desks[2].call(number)
            await third.until("486")
        assert len(floor.desks[0].calls) == len(floor.desks[1].calls) == 1
        _, channel = await floor.waiting_caller()
        await floor.offer(channel, "1.1", "oita-p1")
        ended = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert ended["Result"] == "BUSY"
        leg.hang_up()
        await call.until("bye")


async def test_an_agent_in_a_talk_with_a_citizen_is_busy_to_colleagues(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        citizen, _, leg = await floor.talk()
        call = await floor.desks[1].call("oita-p1")
        await call.until("486")
        assert (citizen.state, leg.state) == ("up", "up")
        assert len(floor.desks[0].calls) == 1


async def test_an_absent_colleague_is_unavailable(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call = await floor.desks[0].call("oita-p3")
        await call.until("480")


async def test_another_centres_phone_and_the_outside_cannot_be_called(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        secret = floor.pbx.settings.phone_secrets
        async with sip_agent(
            floor.pbx.address(40), "beppu-p1", floor.pbx.sip, secret[PhoneId("beppu-p1")]
        ) as other:
            await other.register()
            for number, said in (
                ("beppu-p1", "no-such-code"),
                ("0312345678", "call-refused"),
                ("0975105151", "call-refused"),
                ("110", "emergency-elsewhere"),
            ):
                call = await floor.desks[0].call(number)
                await heard(call, said)
            assert not other.calls
            assert not floor.trunk.calls


async def test_a_phone_with_a_wrong_password_gets_nowhere(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        async with sip_agent(floor.pbx.address(41), "oita-p2", floor.pbx.sip, "not-the-password") as thief:
            call = await thief.call("*11")
            await call.until("401")
        assert not [e for e in floor.ami.events if e["Event"] == "Newchannel"]
