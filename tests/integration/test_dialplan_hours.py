"""Open or closed, decided by a real Asterisk from what was pushed ahead, without callcore."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcore.ami import cel
from callcore.domain.centre import Announcement, Configuration
from callcore.domain.hours import Window
from callcore.domain.ids import Instant
from callcore.pbx.render import CEL_FILE
from tests.support.centre import CLOSED_HZ, EMERGENCY_HZ, GREETING_HZ, NOTICE_HZ, NUMBER, small_centre
from tests.support.floor import Floor, running_floor
from tests.support.sip import RATE, comes_true, loudness

TOKYO = ZoneInfo("Asia/Tokyo")
ALWAYS = ((Window(0, 86_400),),) * 7
NEVER = ((),) * 7


async def push(floor: Floor, value: str, date: datetime | None = None) -> None:
    """Put one local date's policy into AstDB, as callcore does."""
    key = (date or datetime.now(TOKYO)).strftime("oita/%Y%m%d")
    answer = await floor.ami.action("DBPut", Family="callcore-hours", Key=key, Val=value)
    assert answer[0]["Response"] == "Success", answer


async def decision(floor: Floor) -> tuple[str, str]:
    """(decision, source) for a caller who calls now."""
    _, channel = await floor.caller()
    event = await floor.ami.event("CallcoreAdmitted", Channel=channel)
    return event["Decision"], event["Source"]


async def test_each_second_around_opening_and_closing_is_decided_by_the_arriving_channels_own_second(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre(NEVER), phones=0) as floor:
        opens = int(time.time()) + 2
        closes = opens + 2
        early = opens - 7200
        # A morning window first: the second one has to be looked at too.
        await push(floor, f"{early}-{early + 60},{opens}-{closes}")
        while time.time() < closes + 1:
            call, _ = await floor.caller()
            await asyncio.sleep(0.1)
            call.hang_up()
        admitted = [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreAdmitted"]
        assert len(admitted) > 20
        for event in admitted:
            second = int(event["Call"].split("-")[1].split(".")[0])
            assert event["Source"] == "pushed"
            assert event["Decision"] == ("open" if opens <= second < closes else "closed"), event["Call"]
        assert {event["Decision"] for event in admitted} == {"open", "closed"}
        # Asterisk's own stamp of the same arrival agrees but for a clock tick: who called 0.1 s before the opening
        # is too early, who called 0.1 s after it is in time.
        stamps = {
            e["Uniqueid"]: float(e["Timestamp"]) for e in floor.ami.events if e["Event"] == "Newchannel"
        }
        for event in admitted:
            at = stamps[event["Call"]]
            if min(abs(at - opens), abs(at - closes)) > 0.01:
                assert event["Decision"] == ("open" if opens <= at < closes else "closed"), at


async def test_a_pushed_closed_day_beats_a_weekly_open_day(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(ALWAYS), phones=0) as floor:
        await push(floor, "closed")
        assert await decision(floor) == ("closed", "pushed")


async def test_the_day_is_the_centres_local_one(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(ALWAYS), phones=0) as floor:
        today = datetime.now(TOKYO)
        for days in (-1, 1):
            await push(floor, "closed", today + timedelta(days=days))
        assert await decision(floor) == ("open", "weekly")
        await push(floor, f"{int(time.time()) - 60}-{int(time.time()) + 60}", today)
        assert await decision(floor) == ("open", "pushed")
        assert today.utcoffset() != datetime.now(UTC).utcoffset()


@pytest.mark.parametrize("pushed", [None, "", "rubbish", "08:30-18:00", "1-", "${EPOCH}", "1-2;3-4"])
async def test_without_a_readable_policy_the_plain_week_decides(tmp_path: Path, pushed: str | None) -> None:
    now = datetime.now(TOKYO)
    second = now.hour * 3600 + now.minute * 60 + now.second
    around = (Window(max(0, second - 60), min(86_400, second + 600)),)
    week = tuple(around if day == now.weekday() else () for day in range(7))
    async with running_floor(tmp_path, small_centre(week), phones=0) as floor:
        if pushed is not None:
            await push(floor, pushed)
        assert await decision(floor) == ("open", "weekly")


async def test_without_a_policy_a_weekly_closed_hour_is_closed(tmp_path: Path) -> None:
    now = datetime.now(TOKYO)
    second = now.hour * 3600 + now.minute * 60 + now.second
    other = (Window(0, second - 60),) if second > 43_200 else (Window(second + 600, 86_400),)
    async with running_floor(tmp_path, small_centre((other,) * 7), phones=0) as floor:
        assert await decision(floor) == ("closed", "weekly")


async def test_a_caller_out_of_hours_hears_the_announcement_to_its_end_and_is_hung_up(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(NEVER), phones=1) as floor:
        call, _ = await floor.caller()
        await call.until("bye")
        assert len(call.heard) >= 0.95 * RATE
        assert loudness(bytes(call.heard), CLOSED_HZ) > 0.99
        assert not floor.desks[0].calls
        assert list(floor.pbx.settings.recordings_dir.iterdir()) == []
        kinds = [row["userdeftype"] for row in floor.pbx.cel() if row["eventenum"] == "USER_DEFINED"]
        assert kinds == ["callcore-closed"]


async def test_a_caller_in_hours_hears_notice_and_greeting_before_the_music(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(ALWAYS), phones=0) as floor, floor.ami.beating():
        call, _ = await floor.waiting_caller()
        assert loudness(bytes(call.heard[: RATE // 2]), NOTICE_HZ) > 0.95
        assert loudness(bytes(call.heard[RATE // 2 : RATE * 9 // 10]), GREETING_HZ) > 0.95


def _told_held(floor: Floor) -> list[dict[str, str]]:
    return [row for row in floor.pbx.cel() if row["userdeftype"] == "callcore-held"]


@pytest.mark.parametrize("lacks", [None, "recording_notice", "greeting"])
async def test_that_the_notice_was_said_to_its_end_is_told_and_only_then(
    tmp_path: Path, lacks: str | None
) -> None:
    async with running_floor(tmp_path, small_centre(ALWAYS), phones=0) as floor, floor.ami.beating():
        if lacks is not None:
            (tmp_path / "prompts" / "oita" / "ja" / f"{lacks}.wav").unlink()
        await floor.waiting_caller()
        said = "" if lacks else "ja"
        assert (await floor.ami.event("CallcoreHeld"))["Notice"] == said
        await comes_true(lambda: bool(_told_held(floor)), "CEL has it")
        [held] = _told_held(floor)
        assert json.loads(held["extra"] or "{}").get("extra", "") == said


async def test_a_caller_without_sound_waits_half_a_second_for_the_notice_and_no_longer(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre(ALWAYS), phones=0) as floor, floor.ami.beating():
        await floor.waiting_caller()
        quick = _way_to_the_line(floor)
        floor.trunk.speaks = False
        await floor.waiting_caller()
        slow = _way_to_the_line(floor)
        assert 0.3 < slow - quick < 0.9, "Answer() goes on with the first sound, or after 0.5 s without one"


def _way_to_the_line(floor: Floor) -> float:
    """Seconds from the last call's admission to the waiting line: `Answer()`, and the same prompts each time."""
    admitted = [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreAdmitted"][-1]
    held = [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreHeld"][-1]
    return float(held["Timestamp"]) - float(admitted["Timestamp"])


# -- an emergency closure, pushed with its end ----------------------------------------------------------------


def prepared() -> Configuration:
    """Open round the clock; `oita` has an announcement for emergencies, `beppu` has none."""
    oita, beppu = small_centre(ALWAYS).centres
    told = Announcement("emergency", "ja", "臨時休止", "oita/ja/emergency")
    return Configuration("v", (replace(oita, announcements=(*oita.announcements, told)), beppu))


async def shut(floor: Floor, value: str, centre: str = "oita") -> None:
    """Put an emergency closure into AstDB, as callcore does."""
    answer = await floor.ami.action("DBPut", Family="callcore-emergency", Key=centre, Val=value)
    assert answer[0]["Response"] == "Success", answer


async def hears_to_the_end(floor: Floor, hertz: float, number: str = NUMBER) -> str:
    """The decision about a caller who hears this announcement whole, and then the end."""
    call, channel = await floor.caller(number)
    event = await floor.ami.event("CallcoreAdmitted", Channel=channel)
    await call.until("bye")
    assert len(call.heard) >= 0.95 * RATE
    assert loudness(bytes(call.heard), hertz) > 0.99
    return event["Decision"]


async def test_in_an_emergency_the_dialplan_alone_plays_its_announcement_in_hours_and_out_of_them(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, prepared(), phones=0) as floor:
        now = int(time.time())
        await shut(floor, f"{now - 60}-{now + 600}")
        assert await hears_to_the_end(floor, EMERGENCY_HZ) == "emergency"
        await push(floor, "closed")
        assert await hears_to_the_end(floor, EMERGENCY_HZ) == "closed", (
            "outside the calendar's hours goes first"
        )
        await push(floor, f"{now - 60}-{now + 600}")
        assert await hears_to_the_end(floor, EMERGENCY_HZ) == "emergency", "by pushed hours too"
        await shut(floor, f"{now - 60}-{now + 600}", "beppu")
        assert await hears_to_the_end(floor, CLOSED_HZ, "0977211111") == "emergency", (
            "for want of a text of its own"
        )
        kinds = [row["userdeftype"] for row in floor.pbx.cel() if row["eventenum"] == "USER_DEFINED"]
        assert kinds == ["callcore-emergency", "callcore-closed", "callcore-emergency", "callcore-emergency"]
        [*_, last] = cel.traces(cel.read_since(floor.pbx.settings.log_dir / CEL_FILE, Instant(0)))
        assert (last.open, last.emergency) == (False, True)
        # What is over, is to come, was taken back or cannot be read closes nobody.
        for value in (
            f"{now - 60}-{now - 1}",
            f"{now + 600}-{now + 900}",
            "none",
            "",
            "1-",
            "x-y",
            "${EPOCH}",
        ):
            await shut(floor, value)
            assert await decision(floor) == ("open", "pushed"), value


async def test_an_emergency_ends_by_itself_to_the_second_of_the_arriving_channel(tmp_path: Path) -> None:
    async with running_floor(tmp_path, prepared(), phones=0) as floor:
        begins = int(time.time()) + 2
        ends = begins + 2
        await shut(floor, f"{begins}-{ends}")
        while time.time() < ends + 1:
            call, _ = await floor.caller()
            await asyncio.sleep(0.1)
            call.hang_up()
        admitted = [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreAdmitted"]
        for event in admitted:
            second = int(event["Call"].split("-")[1].split(".")[0])
            assert event["Decision"] == ("emergency" if begins <= second < ends else "open"), event["Call"]
        assert [key for key, _ in groupby(e["Decision"] for e in admitted)] == ["open", "emergency", "open"]


async def test_a_number_that_no_centre_has_is_refused_with_404_and_is_no_arrival(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(ALWAYS), phones=0) as floor:
        for number in ("0975105152", "097510515", "s", "h", "i", "*11", "oita-p1"):
            call = await floor.trunk.call(number)
            await call.until("404")

        # What may be a number is counted; neither is a call in Asterisk's own books, nor an arrival in ours.
        def counted() -> int:
            return len([e for e in floor.ami.events if e.get("UserEvent") == "CallcoreNotOurs"])

        await comes_true(lambda: counted() == 4, "all four are told")
        assert not [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreAdmitted"]
        assert floor.pbx.cdr() == []
