"""What a citizen lives through who is held, and put through to a department, on a real Asterisk whose callcore is dead
or, where the test beats its heart, alive: the phone's own transfer key sends REFER."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import Configuration, Outgoing, Transfers
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_departments import files as departments
from tests.integration.test_dialplan_net import add_member, to_net
from tests.integration.test_dialplan_outgoing import ALL, OFFICE, nothing_of_the_inside, ours
from tests.support.centre import CLOSED_HZ, GREETING_HZ, MUSIC_HZ, NUMBER
from tests.support.floor import AGENT_HZ, CALLER_HZ, Floor, running_floor
from tests.support.sip import Call, comes_true, loudness, silent, tone

CITY_HZ = 1000
RINGING_HZ = 400
BACK_S = 60
"""A talk of these tests is shorter than that also on a loaded machine."""
ASKED, BLIND = Transfers(back_s=BACK_S), Transfers(blind=True, back_s=BACK_S)


def files(transfers: Transfers = ASKED, *, ring_s: int = 60) -> Configuration:
    found = departments(Outgoing(NUMBER, ring_s=ring_s))
    return replace(found, centres=tuple(replace(each, transfers=transfers) for each in found.centres))


@asynccontextmanager
async def held(
    folder: Path, transfers: Transfers = ASKED, *, made: Configuration | None = None, **more: object
) -> AsyncIterator[_Held]:
    """A caller whom the first desk phone talks with, and holds."""
    async with running_floor(folder, made or files(transfers), **more) as floor, AsyncExitStack() as heart:  # type: ignore[arg-type]
        await heart.enter_async_context(floor.ami.beating())
        call, channel, leg = await floor.talk()
        await leg.hold()
        await floor.ami.event("Hold")
        yield _Held(floor, call, channel, leg, heart)


class _Held:
    def __init__(self, floor: Floor, call: Call, channel: str, leg: Call, heart: AsyncExitStack) -> None:
        self.floor, self.call, self.channel, self.leg, self.heart = floor, call, channel, leg, heart

    async def consult(self, code: str = "*511", *, answered: bool = True, ring: int = 1) -> tuple[Call, Call]:
        """The phone's second leg, and the department's; `ring` counts the department's calls from the first."""
        asked = await self.floor.desks[0].call(code, tone(AGENT_HZ))
        city = await self.floor.trunk.rings(ring)
        city.sound = tone(CITY_HZ)
        await asked.until("ringing")
        if answered:
            city.answer()
            await until_hears(asked, CITY_HZ)
        return asked, city

    async def asked_channel(self) -> str:
        """The name of the phone's second leg."""
        rows = await self.floor.ami.action("Status")
        legs = sorted(row["Channel"] for row in rows if row.get("Channel", "").startswith("PJSIP/oita-p1-"))
        return legs[-1]

    async def forgotten(self) -> None:
        """callcore's heart has stopped for more than the 5 s that the dialplan allows."""
        await self.heart.aclose()
        await self.floor.ami.action("Setvar", Variable="CALLCORE_HEARTBEAT", Value="1")

    async def back(self, after: int) -> None:
        """In the waiting line again."""
        await self.floor.ami.event("CallcoreHeld", after=after, Channel=self.channel)
        await self.floor.ami.waiting(self.channel)
        assert self.call.state == "up"

    @property
    def now(self) -> int:
        return len(self.floor.ami.events)

    async def again(self, offer: str = "2.1") -> None:
        """Who waits again is given to the first desk phone once more, and held."""
        await self.floor.ami.device("oita-p1", "NOT_INUSE")
        await self.floor.offer(self.channel, offer, "oita-p1")
        self.leg = await self.floor.desks[0].rings(2)
        self.leg.sound = tone(AGENT_HZ)
        self.leg.answer()
        await until_hears(self.leg, CALLER_HZ)
        seen = self.now
        await self.leg.hold()
        await self.floor.ami.event("Hold", after=seen)

    async def together(self, city: Call) -> None:
        await until_hears(self.call, CITY_HZ)
        await until_hears(city, CALLER_HZ)


def slow_to_the_end(file: Path) -> None:
    """Before each step that hangs a phone's leg up, a second passes: as where a machine has no time for it."""
    context, found, lines = "", 0, file.read_text("utf-8").splitlines()
    for n, line in enumerate(lines):
        context = line if line.startswith("[") else context
        if "Hangup(" in line and context in ("[callcore-say]", "[callcore-internal]", "[callcore-dial]"):
            step, _, does = line.partition(",")
            lines[n] = f"{step},Wait(1)\n same => n,{does}"
            found += 1
    assert found == 4, "callcore-dial has two of them"
    file.write_text("\n".join(lines) + "\n", "utf-8")


async def test_a_caller_is_put_through_after_the_department_was_asked_and_ends_when_it_puts_down(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as h:
        asked, city = await h.consult()
        begun = await h.floor.ami.event("CallcoreSide")
        assert begun["Beside"] == await h.floor.variable(h.channel, "CALLCORE_CALL")
        answer = await h.leg.refer("*511", asked)
        assert answer.status == 202
        await h.together(city)
        await comes_true(lambda: h.leg.referred == [100, 200], "NOTIFY 200")
        for leg in (h.leg, asked):  # the phone puts down what Asterisk left it
            if not leg.over:
                leg.hang_up()
        city.hang_up()
        await h.call.until("bye")


@pytest.mark.parametrize("ago", [1, 10 * BACK_S])
async def test_a_department_that_puts_down_at_once_was_no_help_and_the_caller_comes_back(
    tmp_path: Path, ago: int
) -> None:
    async with held(tmp_path) as h:
        asked, city = await h.consult()
        await h.leg.refer("*511", asked)
        await h.together(city)
        epoch = (await h.floor.ami.action("Getvar", Variable="EPOCH", Channel=h.channel))[0]["Value"]
        await h.floor.ami.action(  # as callcore does
            "Setvar", Channel=h.channel, Variable="CALLCORE_MOVED", Value=str(int(epoch) - ago)
        )
        seen = h.now
        city.hang_up()
        if ago == 1:
            await h.back(seen)
        else:
            await h.call.until("bye")


@pytest.mark.parametrize("end", ["answers", "busy", "rejects", "silent", "caller"])
async def test_a_caller_who_is_passed_on_while_the_department_still_rings(tmp_path: Path, end: str) -> None:
    async with held(tmp_path) as h:
        asked, city = await h.consult(answered=False)
        assert (await h.leg.refer("*511", asked)).status == 202
        await comes_true(lambda: h.leg.referred == [100, 200], "NOTIFY 200 while it rings")
        # Not silence: the ringing tone of Japan, 400 Hz modulated by 15 Hz, 1 s on, 2 s off. It begins a moment after
        # the phone was told of its success.
        await comes_true(lambda: loudness(bytes(h.call.heard[-1600:]), RINGING_HZ) > 0.8, "the ringing tone")
        heard = await h.call.hears(3)
        tones = [loudness(heard[at : at + 1600], RINGING_HZ) > 0.8 for at in range(0, len(heard), 1600)]
        assert 4 <= sum(tones) <= 8, tones
        seen = h.now
        if end == "caller":
            h.call.hang_up()
            await city.until("cancelled")
        elif end == "answers":
            city.answer()
            await h.together(city)
            city.hang_up()
            await h.back(seen)  # within back_s
        else:
            city.hang_up()
            await h.back(seen)


@pytest.mark.parametrize("end", ["answers", "busy", "silent", "closed", "nowhere", "not allowed", "caller"])
async def test_a_caller_who_is_passed_on_unasked_reaches_the_department_or_comes_back(
    tmp_path: Path, end: str
) -> None:
    transfers = ASKED if end == "not allowed" else BLIND
    async with held(tmp_path, made=files(transfers, ring_s=5 if end == "silent" else 60)) as h:
        seen = h.now
        code = {"closed": "*521", "nowhere": "*599"}.get(end, "*511")
        assert (await h.leg.refer(code)).status == 202
        if code != "*511" or end == "not allowed":
            await h.back(seen)
            said = [each for each in h.floor.ami.events[seen:] if each.get("UserEvent") == "CallcoreTransfer"]
            if end == "closed":
                [shut] = said
                assert (shut["Department"], shut["Closed"]) == ("oita-kita", "yes")
            else:
                assert said == [], "no department was meant"
            return
        told = await h.floor.ami.event("CallcoreTransfer", after=seen)
        assert told["Department"] == "oita-shimin"
        city = await h.floor.trunk.rings(1)
        assert city.invite is not None
        assert f"sip:{NUMBER}@" in city.invite.get("from"), city.invite.get("from")
        nothing_of_the_inside(ours(h.floor.trunk.messages))
        assert not silent(await h.call.hears(1)), "the music goes on"
        city.sound = tone(CITY_HZ)
        if end == "answers":
            city.answer()
            await h.together(city)
            assert h.leg.referred == [100, 183, 200]
            city.hang_up()
            await h.back(seen)  # within back_s
        elif end == "busy":
            city.hang_up()
            await h.back(seen)
            assert h.leg.referred == [100, 183, 200], "to the phone it looks like a success"
        elif end == "silent":
            await city.until("cancelled")
            await h.back(seen)
        else:
            h.call.hang_up()
            await city.until("cancelled")


async def test_a_department_hears_from_whom_and_about_what_before_an_unasked_caller(tmp_path: Path) -> None:
    made = files(BLIND)
    oita = made.centres[0]
    told = {each.kind: each for each in oita.announcements}
    said = (
        replace(told["closed"], kind="put_through"),
        replace(told["greeting"], kind="subject_card"),
    )
    queues = tuple(replace(queue, subject="subject_card") for queue in oita.queues)
    spoken = replace(oita, announcements=(*oita.announcements, *said), queues=queues)
    async with held(tmp_path, made=replace(made, centres=(spoken, *made.centres[1:]))) as h:
        await h.leg.refer("*511")
        city = await h.floor.trunk.rings(1)
        city.sound = tone(CITY_HZ)
        city.answer()
        await h.together(city)
        at = [
            next(
                n
                for n in range(0, len(city.heard), 800)
                if loudness(bytes(city.heard[n : n + 800]), hz) > 0.8
            )
            for hz in (CLOSED_HZ, GREETING_HZ, CALLER_HZ)
        ]
        assert at == sorted(at)


@pytest.mark.parametrize("end", ["department", "caller", "twice"])
async def test_a_code_in_the_consult_puts_the_caller_through(tmp_path: Path, end: str) -> None:
    async with held(tmp_path) as h:
        asked, city = await h.consult()
        asked.press("*35")
        await h.together(city)
        for leg in (h.leg, asked):
            await leg.until("bye")
        if end == "caller":
            h.call.hang_up()
            await city.until("bye")
            return
        seen = h.now
        city.hang_up()
        await h.back(seen)  # within back_s
        if (
            end == "twice"
        ):  # and the second time it was a help: that the first one put down is not asked any more
            await h.again()
            asked, city = await h.consult(ring=2)
            asked.press("*35")
            await h.together(city)
            await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_MOVED", Value="1")
            city.hang_up()
            await h.call.until("bye")


@pytest.mark.parametrize("callcore", ["dead", "unsure"])
async def test_a_phone_that_puts_the_held_caller_down_in_a_consult_sends_the_caller_to_the_head_of_the_line(
    tmp_path: Path, callcore: str
) -> None:
    async with held(tmp_path) as h:
        asked, city = await h.consult()
        seen = h.now
        if callcore == "dead":  # which would know that the caller is held
            await h.forgotten()
        else:
            await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_ONHOLD", Value="unsure")
        h.leg.hang_up()
        await h.floor.ami.event("CallcoreHeld", after=seen, Channel=h.channel)
        assert h.call.state == asked.state == city.state == "up", "the consult goes on"


@pytest.mark.parametrize("callcore", ["told", "not told", "dead"])
async def test_a_phone_that_puts_down_a_held_caller_with_no_consult_sends_the_caller_to_the_line(
    tmp_path: Path, callcore: str
) -> None:
    async with held(tmp_path) as h:
        if callcore == "told":
            await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_ONHOLD", Value="yes")
        elif callcore == "dead":
            await h.forgotten()
        seen = h.now
        h.leg.hang_up()
        await h.floor.ami.event("CallcoreHeld", after=seen, Channel=h.channel)
        assert h.call.state == "up"


async def test_a_talk_that_was_taken_off_hold_just_after_callcores_death_ends_with_the_agents_receiver(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as h:
        await h.floor.ami.action("Setvar", Channel=h.channel, Variable="CALLCORE_ONHOLD", Value="yes")
        await h.leg.resume()
        await until_hears(h.call, AGENT_HZ)
        h.leg.hang_up()
        await h.call.until("bye")


async def test_a_department_that_puts_down_in_the_consult_leaves_the_caller_held(tmp_path: Path) -> None:
    async with held(tmp_path) as h:
        asked, city = await h.consult()
        city.hang_up()
        await asked.until("bye")
        await h.leg.resume()
        await until_hears(h.call, AGENT_HZ)
        h.leg.hang_up()
        await h.call.until("bye")


async def test_a_caller_who_is_passed_on_while_the_phone_hears_that_a_department_is_closed_comes_back(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as h:
        asked = await h.floor.desks[0].call("*521", tone(AGENT_HZ))
        await asked.until("up")
        seen = h.now
        assert (await h.leg.refer("*521", asked)).status == 202
        await h.back(seen)


async def test_a_caller_who_is_passed_on_while_the_phone_hears_where_else_to_call_in_an_emergency_comes_back(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as h:
        asked = await h.floor.desks[0].call("119", tone(AGENT_HZ))
        await asked.until("up")
        seen = h.now
        assert (await h.leg.refer("119", asked)).status == 202
        await h.back(seen)


@pytest.mark.parametrize("whom", ["office", "colleague", "department"])
async def test_a_caller_whose_transfer_crosses_the_end_of_a_consult_that_nobody_answered_comes_back(
    tmp_path: Path, whom: str
) -> None:
    """The phone's leg is about to be hung up, and the caller takes its place."""
    made = departments(replace(ALL, ring_s=60))
    made = replace(made, centres=tuple(replace(each, transfers=ASKED) for each in made.centres))
    async with held(tmp_path, made=made) as h:
        slow_to_the_end(h.floor.pbx.settings.etc_dir / "callcore.conf")
        await h.floor.pbx.process.command("dialplan reload")
        seen = h.now
        code = {"office": OFFICE, "colleague": "oita-p2", "department": "*511"}[whom]
        asked = await h.floor.desks[0].call(code, tone(AGENT_HZ))
        rung = await (h.floor.desks[1] if whom == "colleague" else h.floor.trunk).rings()
        await asked.until("ringing")
        rung.hang_up()
        await h.floor.ami.event("CallcoreSideEnded", after=seen)
        if whom == "department":  # it hears that it is busy
            await asked.until("up")
            await h.floor.ami.waiting(await h.asked_channel(), "Wait")
        seen = h.now
        assert (await h.leg.refer(code, asked)).status == 202
        await h.back(seen)


async def test_a_transfer_to_a_consult_that_has_ended_is_refused_and_the_agent_still_has_the_caller(
    tmp_path: Path,
) -> None:
    """The phone has not heard yet that the busy department's call is over. It is told 603, and that is all: who has the
    caller is the phone."""
    async with held(tmp_path) as h:
        asked, city = await h.consult(answered=False)
        consult = await h.asked_channel()
        h.floor.desks[0].deaf_to.add("BYE")
        city.hang_up()
        await h.floor.ami.event("Hangup", Channel=consult)
        assert (await h.leg.refer("*511", asked)).status == 202
        await comes_true(lambda: h.leg.referred == [100, 603], "NOTIFY 603")
        h.floor.desks[0].deaf_to.clear()
        await h.leg.resume()
        await until_hears(h.call, AGENT_HZ)
        await until_hears(h.leg, CALLER_HZ)
        h.leg.hang_up()
        await h.call.until("bye")


async def test_a_phone_that_names_a_consult_which_asterisk_does_not_know_gives_the_caller_back(
    tmp_path: Path,
) -> None:
    """The transfer key before the far side has rung: its dialog has no tag yet that Replaces could name."""
    async with held(tmp_path) as h:
        asked, city = await h.consult(answered=False)
        asked.far = ""
        seen = h.now
        assert (await h.leg.refer("*511", asked)).status == 202
        await h.back(seen)
        await until_hears(h.call, MUSIC_HZ)
        city.answer()
        await until_hears(asked, CITY_HZ)


async def test_a_citizens_own_keys_put_nobody_through(tmp_path: Path) -> None:
    """The caller's channel has taken the phone's place in the consult, and its code *35 with it."""
    async with held(tmp_path) as h:
        other, _ = await h.floor.waiting_caller()
        asked, city = await h.consult(answered=False)
        await h.leg.refer("*511", asked)
        city.answer()
        await h.together(city)
        h.call.press("*35")
        await comes_true(lambda: h.call.keyed, "all keys are sent")
        await h.call.hears(2)
        await h.together(city)
        assert other.state == "up"
        heard = await other.hears(1)
        assert loudness(heard, CITY_HZ) < 0.5 and loudness(heard, CALLER_HZ) < 0.5


async def test_who_came_back_from_a_busy_department_ends_with_the_agent_of_the_safety_net(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as h:
        await add_member(h.floor, "oita-p2", "1002")
        asked, city = await h.consult(answered=False)
        await h.leg.refer("*511", asked)
        # Asterisk accepts (202) before it looks for the consult: without this the refusal may come before that.
        await comes_true(lambda: h.leg.referred == [100, 200], "NOTIFY 200 while it rings")
        seen = h.now
        city.hang_up()
        await h.back(seen)
        await h.forgotten()
        leg = await h.floor.desks[1].rings()
        leg.answer()
        await until_hears(leg, CALLER_HZ)
        leg.hang_up()
        await h.call.until("bye")


async def test_a_department_to_which_an_agent_of_the_safety_net_had_put_the_caller_was_no_help(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, files()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        await add_member(floor, "oita-p1", "1001")
        await to_net(floor, channel)
        leg = await floor.desks[0].rings()
        leg.answer()
        await until_hears(leg, CALLER_HZ)
        await leg.hold()
        h = _Held(floor, call, channel, leg, AsyncExitStack())
        asked, city = await h.consult()
        await leg.refer("*511", asked)
        await h.together(city)
        epoch = (await floor.ami.action("Getvar", Variable="EPOCH", Channel=channel))[0]["Value"]
        await floor.ami.action("Setvar", Channel=channel, Variable="CALLCORE_MOVED", Value=epoch)
        seen = h.now
        city.hang_up()
        await h.back(seen)
