"""A call when the centre is closed, and at the seconds of opening and closing."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from callcore.demo.centre import CENTRE, DemoCentre
from callcore.demo.phone import PhoneCall
from callcore.domain import facts as f
from callcore.domain.ids import Instant
from tests.support import audio
from tests.support.prompts import SHIPPED
from tests.support.station import Station, hears_for, rings, station, until, words

TOKYO = ZoneInfo("Asia/Tokyo")
POLICY_DAYS = 31


def open_between(opens: int, closes: int) -> DemoCentre:
    """A centre that is open from one epoch second to another and closed otherwise, midnight or not."""
    begins, ends = (datetime.fromtimestamp(second, TOKYO) for second in (opens, closes))
    if begins.date() == ends.date():
        windows = {begins.date(): (f"{begins:%H:%M:%S}-{ends:%H:%M:%S}",)}
    else:
        windows = {begins.date(): (f"{begins:%H:%M:%S}-24:00",), ends.date(): (f"00:00-{ends:%H:%M:%S}",)}
    return DemoCentre(agents=1, days=around(begins.date(), windows))


def around(today: date, windows: dict[date, tuple[str, ...]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The days from yesterday to tomorrow with these windows, and closed where there are none."""
    days = [today + timedelta(days=n) for n in (-1, 0, 1)]
    return tuple((day.isoformat(), windows.get(day, ())) for day in days)


async def past(instant: float, what: str) -> None:
    await until(lambda: time.time() > instant, max(0.0, instant - time.time()) + 5, what)


async def test_out_of_hours_the_whole_announcement_is_heard_then_the_end_and_nobodys_phone_rings() -> None:
    today = datetime.now(TOKYO).date()
    async with station(DemoCentre(agents=1, days=around(today, {}))) as s:
        (desk,) = await s.staff(1)
        caller = await s.caller(1)
        impatient = await s.caller(2)
        call = await s.dial_in(caller)
        other = await s.dial_in(impatient)
        await hears_for(other, 1)
        await other.hang_up()
        await call.wait_closed(30)
        ended = await s.ended(2)
        assert s.outcomes() == ["closed", "closed"]
        assert [x.hung_up_by.value for x in ended] == ["caller", "system"]
        heard_whole_announcement(s, call, because="closed_day")
        assert rings(desk) == 0
        assert s.told(f.OfferMade) == [] and s.told(f.VisitBegan) == []
        assert not any(s.settings.recordings.glob("*"))
        await s.available(1)
        figures = s.figures()
        assert (figures.arrived, figures.closed, figures.offered) == (2, 2, 0)


def heard_whole_announcement(s: Station, call: PhoneCall, because: str = "") -> None:
    """From its beginning to the end of the call; with the reason in front, on a day that is closed as a whole."""
    prompt, sound = s.prompt("closed"), words(call)
    found = audio.find(prompt, sound)
    assert found.score >= 0.99
    before_s = 0.0
    if because:
        reason = audio.read(SHIPPED / "ja" / f"{because}.ulaw")
        assert audio.find(reason, sound).at < 1
        before_s = len(reason) / audio.RATE
    assert before_s <= found.at < before_s + 1
    assert len(sound) / audio.RATE - found.at - len(prompt) / audio.RATE < 1, (
        "not ended after the announcement"
    )


async def test_the_second_of_opening_and_the_second_of_closing_decide_who_is_admitted() -> None:
    opens = int(time.time()) + 20
    closes = opens + 10
    async with station(open_between(opens, closes)) as s:
        early, first, last, late = [await s.caller(n) for n in (1, 2, 3, 4)]
        assert time.time() < opens - 2, "the installation took longer to start than this test allows for"
        await past(opens - 1.5, "just before opening")
        too_early = await s.dial_in(early)
        await past(opens + 0.05, "opening")
        in_time = await s.dial_in(first)
        await past(closes - 1.5, "just before closing")
        just_in_time = await s.dial_in(last)
        await past(closes + 0.05, "closing")
        too_late = await s.dial_in(late)
        await until(lambda: len(s.told(f.CallAdmitted)) + len(s.told(f.CallRefused)) == 4)

        arrivals = [x.at / 1e6 for x in s.told(f.CallArrived)]
        assert arrivals[0] < opens <= arrivals[1] < arrivals[2] < closes <= arrivals[3]
        ids = s.call_ids()
        assert [x.call for x in s.told(f.CallAdmitted)] == ids[1:3]
        assert [x.call for x in s.told(f.CallRefused)] == [ids[0], ids[3]]
        assert all("pushed" in x.reason for x in (*s.told(f.CallAdmitted), *s.told(f.CallRefused)))
        assert s.told(f.AdmissionDiffered) == []

        # Who heard the announcement begin hears it out, although the centre has opened meanwhile.
        await asyncio.gather(too_early.wait_closed(30), too_late.wait_closed(30))
        for call in (too_early, too_late):
            heard_whole_announcement(s, call, "closed_changed")  # hours of its own, of this day
        # Who was admitted waits on, although the centre has closed.
        for call in (in_time, just_in_time):
            assert call.closed is None
            assert audio.find(s.prompt("greeting"), words(call)).score >= 0.99
            await call.hang_up()
        await s.ended(4)
        assert s.outcomes().count("closed") == 2 and s.outcomes().count("abandoned") == 2


async def test_asterisk_has_a_month_of_opening_hours_ahead_that_agree_with_the_calendar() -> None:
    today = datetime.now(TOKYO).date()
    special = ((today + timedelta(days=2)).isoformat(), ("10:00-12:00", "13:00:05-17:59:59"))
    shut = ((today + timedelta(days=3)).isoformat(), ())
    centre = DemoCentre(agents=1, weekly=("08:30-18:00",), days=(special, shut))
    async with station(centre) as s:
        pushed: dict[date, str] = {}

        async def read() -> int:
            told = await s.asterisk.command("database show callcore-hours")
            for day, value in re.findall(
                rf"^/callcore-hours/{CENTRE}/(\d{{8}})\s*: (\S+)", told, re.MULTILINE
            ):
                pushed[datetime.strptime(day, "%Y%m%d").replace(tzinfo=TOKYO).date()] = value
            return len(pushed)

        async with asyncio.timeout(15):
            while await read() < POLICY_DAYS:
                await asyncio.sleep(0.1)
        days = [today + timedelta(days=n) for n in range(POLICY_DAYS)]
        assert set(days) <= set(pushed)
        calendar = s.configuration.centres[0].calendar
        assert pushed[today + timedelta(days=3)] == "closed~day"
        assert pushed[today + timedelta(days=2)].count("-") == 2
        assert pushed[today + timedelta(days=2)].endswith("~changed")
        boundaries = 0
        for day in days:
            value = pushed[day].partition("~")[0]
            spans = [] if value == "closed" else [w.split("-") for w in value.split(",")]
            windows = [(int(opens), int(closes)) for opens, closes in spans]
            for edge in {edge for window in windows for edge in window}:
                boundaries += 1
                for tenth in (-1, 0, 1):
                    at = edge * 10 + tenth
                    dialplan = any(opens <= at // 10 < closes for opens, closes in windows)
                    assert calendar.decide(Instant(at * 100_000)).open == dialplan, (day, edge, tenth)
        assert boundaries == 2 * (POLICY_DAYS - 2) + 4
