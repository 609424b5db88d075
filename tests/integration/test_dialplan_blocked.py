"""A listed caller, decided by a real Asterisk from what was pushed ahead, without callcore."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from callcore.domain.blocked import hashed, plain
from callcore.domain.centre import Announcement, Unwelcome
from callcore.domain.ids import CentreId
from tests.integration.test_dialplan_hours import ALWAYS
from tests.support.centre import small_centre
from tests.support.floor import running_floor


async def test_a_listed_caller_is_refused_until_the_entry_ends(tmp_path: Path) -> None:
    made = small_centre(ALWAYS)
    centre, *others = made.centres
    words = Announcement(
        "blocked", "ja", "…", next(a.sound for a in centre.announcements if a.kind == "closed")
    )
    centre = replace(centre, blocked=Unwelcome.ANNOUNCE, announcements=(*centre.announcements, words))
    async with running_floor(tmp_path, replace(made, centres=(centre, *others)), phones=0) as floor:
        _, channel = await floor.caller()
        first = await floor.ami.event("CallcoreAdmitted", Channel=channel)
        assert first["Decision"] == "open"
        number = plain(first["CallerIDNum"])
        assert number is not None, first
        key = f"oita/{hashed('0' * 16, CentreId('oita'), number)}"
        for until, decision in ((int(time.time()) + 600, "blocked"), (int(time.time()) - 1, "open")):
            answer = await floor.ami.action("DBPut", Family="callcore-blocked", Key=key, Val=str(until))
            assert answer[0]["Response"] == "Success", answer
            call, channel = await floor.caller()
            told = await floor.ami.event("CallcoreAdmitted", Channel=channel)
            assert told["Decision"] == decision
            if decision == "blocked":
                await call.until("up")
                call.press("9")
                insisted = await floor.ami.event("CallcoreInsisted", Channel=channel)
                assert insisted["Call"] == told["Call"]
                await floor.ami.event("CallcoreHeld", Channel=channel)
