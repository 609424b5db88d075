"""callcore is dead, or has forgotten somebody: the safety net on a real Asterisk."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from callcore.pbx.process import AsteriskProcess
from tests.integration.test_dialplan_call import until_hears
from tests.support.asterisk import Event, manager, toolchain
from tests.support.centre import APOLOGY_HZ, MUSIC_HZ, small_centre
from tests.support.floor import AGENT_HZ, Floor, running_floor
from tests.support.sip import RATE, comes_true, loudness, tone

QUEUE = "oita-general"


async def add_member(floor: Floor, phone: str, agent: str, *, paused: bool = False) -> None:
    """Mirror one agent's presence, as callcore does."""
    answer = await floor.ami.action(
        "QueueAdd",
        Queue=QUEUE,
        Interface=f"PJSIP/{phone}",
        MemberName=agent,
        StateInterface=f"PJSIP/{phone}",
        Paused="true" if paused else "false",
    )
    assert answer[0]["Response"] == "Success", answer


async def queued(floor: Floor) -> list[Event]:
    """The callers in the net, first one first."""
    rows = await floor.ami.action("QueueStatus", Queue=QUEUE)
    return sorted((r for r in rows if r.get("Event") == "QueueEntry"), key=lambda r: int(r["Position"]))


def _is_later_than(second: int) -> bool:
    return int(time.time()) > second


async def to_net(floor: Floor, channel: str) -> None:
    await floor.ami.redirect(channel, "callcore-net")
    await floor.ami.waiting(channel, "Queue")


async def test_when_callcore_dies_a_waiting_caller_is_answered_all_the_same(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        await add_member(floor, "oita-p1", "101")
        await add_member(floor, "oita-p2", "102", paused=True)
        async with floor.ami.beating():
            call, channel = await floor.waiting_caller()
        died = time.monotonic()
        await floor.ami.event("CallcoreNet", Channel=channel)
        assert 4 < time.monotonic() - died < 7.5
        leg = await floor.desks[0].rings()
        await until_hears(call, MUSIC_HZ)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        assert not floor.desks[1].calls
        marks = [row["userdeftype"] for row in floor.pbx.cel() if row["eventenum"] == "USER_DEFINED"]
        assert marks == ["callcore-open", "callcore-held", "callcore-net"]
        leg.hang_up()
        await call.until("bye")


async def test_callcore_dying_in_a_talk_or_a_ringing_is_noticed_by_nobody(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        async with floor.ami.beating():
            talking, _, leg = await floor.talk()
            ringing, channel = await floor.waiting_caller()
            await floor.offer(channel, "1.2", "oita-p2")
            other = await floor.desks[1].rings()
        await talking.hears(7)
        other.sound = tone(AGENT_HZ)
        other.answer()
        for call in (talking, ringing):
            await floor.ami.event("BridgeEnter")
            assert call.state == "up"
        await until_hears(ringing, AGENT_HZ)
        assert leg.state == "up"


async def test_who_waited_longest_is_first_in_the_net_whoever_falls_into_it_first(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        callers = []
        for _ in range(3):
            callers.append(await floor.waiting_caller())
            entered = int(await floor.variable(callers[-1][1], "CALLCORE_ENTERED"))
            await comes_true(partial(_is_later_than, entered), "the next second")
        for _, channel in reversed(callers):
            await to_net(floor, channel)
        order = [row["Channel"] for row in await queued(floor)]
        assert order == [channel for _, channel in callers]
        await add_member(floor, "oita-p1", "101")
        leg = await floor.desks[0].rings()
        leg.answer()
        entered_bridge = await floor.ami.event("BridgeEnter", Context="callcore-net")
        assert entered_bridge["Channel"] == callers[0][1]


async def test_callcore_coming_back_takes_a_caller_out_of_the_net(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        entered = await floor.variable(channel, "CALLCORE_ENTERED")
        await to_net(floor, channel)
        seen = len(floor.ami.events)
        answer = await floor.ami.redirect(channel, "callcore-hold")
        assert answer["Response"] == "Success"
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await floor.ami.waiting(channel)
        assert await floor.variable(channel, "CALLCORE_ENTERED") == entered
        assert await queued(floor) == []
        await until_hears(call, MUSIC_HZ)
        await floor.offer(channel, "2.1", "oita-p1")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)


async def test_while_the_heart_does_not_beat_a_new_caller_goes_straight_to_the_net(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        await add_member(floor, "oita-p1", "101")
        call, channel = await floor.caller()
        held = await floor.ami.event("CallcoreHeld", Channel=channel)
        net = await floor.ami.event("CallcoreNet", Channel=channel)
        assert float(net["Timestamp"]) - float(held["Timestamp"]) < 0.7
        leg = await floor.desks[0].rings()
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        call.hang_up()
        await leg.until("bye")


async def test_a_forgotten_caller_leaves_the_line_for_the_net_by_the_lines_own_limit(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        # The limit is the longest wait and 30 s; a test cannot wait so long, so it shortens the rendered figure.
        await floor.ami.action("Setvar", Variable=f"CALLCORE_LIMIT_{QUEUE}", Value="2")
        call, channel = await floor.waiting_caller()
        held = await floor.ami.event("CallcoreHeld", Channel=channel)
        net = await floor.ami.event("CallcoreNet", Channel=channel)
        assert 0.9 < float(net["Timestamp"]) - float(held["Timestamp"]) < 3.2
        await floor.ami.waiting(channel, "Queue")
        assert call.state == "up"


async def test_nobody_in_the_net_ends_with_an_apology(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        # A queue that is not there returns at once, as one whose limit has run out does.
        await floor.ami.action("Setvar", Channel=channel, Variable="__CALLCORE_QUEUE", Value="gone")
        await floor.ami.redirect(channel, "callcore-net")
        await call.until("bye")
        assert loudness(bytes(call.heard[-RATE * 8 // 10 :]), APOLOGY_HZ) > 0.9


async def test_a_caller_who_hangs_up_in_the_net_stops_the_ringing(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        await add_member(floor, "oita-p1", "101")
        call, channel = await floor.waiting_caller()
        await floor.ami.redirect(channel, "callcore-net")
        leg = await floor.desks[0].rings()
        call.hang_up()
        await leg.until("cancelled")


async def test_a_leg_lost_in_the_net_gives_the_caller_back(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(), phone_rtp_timeout_s=1) as floor, floor.ami.beating():
        await add_member(floor, "oita-p1", "101")
        call, channel = await floor.waiting_caller()
        await floor.ami.redirect(channel, "callcore-net")
        leg = await floor.desks[0].rings()
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        seen = len(floor.ami.events)
        leg.vanish()
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await until_hears(call, MUSIC_HZ)


async def test_members_and_pushed_hours_outlive_a_restart_of_asterisk(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(), phones=1) as floor:
        await add_member(floor, "oita-p1", "101", paused=True)
        await floor.ami.action("DBPut", Family="callcore-hours", Key="oita/20260101", Val="closed")
        settings = floor.pbx.settings
        assert list(await floor.pbx.process.stop()) == []
        again = AsteriskProcess(toolchain(), settings.etc_dir, settings.run_dir, settings.log_dir)
        try:
            await again.start()
            async with manager(floor.pbx) as ami:
                rows = await ami.action("QueueStatus", Queue=QUEUE)
                [member] = [row for row in rows if row.get("Event") == "QueueMember"]
                assert (member["Name"], member["StateInterface"], member["Paused"]) == (
                    "101",
                    "PJSIP/oita-p1",
                    "1",
                )
                kept = await ami.action("DBGet", Family="callcore-hours", Key="oita/20260101")
                assert kept[1]["Val"] == "closed"
        finally:
            await again.stop()
