"""Departments by their short numbers, on a real Asterisk with the carrier at the other end and no callcore."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from callcore.ami import cel
from callcore.domain.centre import Configuration, Department, Outgoing
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import DepartmentId, Instant
from callcore.domain.stages import SideKind, SideOutcome
from callcore.pbx.render import CEL_FILE
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_outgoing import nothing_of_the_inside, ours, side
from tests.integration.test_dialplan_phones import heard
from tests.support.asterisk import Event
from tests.support.centre import COMMON_HZ, NUMBER, small_centre
from tests.support.floor import AGENT_HZ, CALLER_HZ, Floor, running_floor
from tests.support.sip import Call, comes_true, tone

TOKYO = ZoneInfo("Asia/Tokyo")
ALWAYS = Calendar("Asia/Tokyo", ((Window(0, 86_400),),) * 7)
NEVER = Calendar("Asia/Tokyo", ((),) * 7)
CITIZENS = Department(DepartmentId("oita-shimin"), "11", "市民課", "0970000111", ALWAYS)
HALL = Department(DepartmentId("oita-naisen"), "12", "情報課", "2340", ALWAYS)
SHUT = Department(DepartmentId("oita-kita"), "21", "北支所", "0970000121", NEVER)
BRANCH = replace(SHUT, id=DepartmentId("oita-minami"), short="22", substitute=SHUT.id)
FURTHER = replace(SHUT, id=DepartmentId("oita-oku"), short="2345", substitute=BRANCH.id)
ALL = (CITIZENS, HALL, SHUT, BRANCH, FURTHER)


def files(outgoing: Outgoing | None = None) -> Configuration:
    found = small_centre(outgoing=outgoing or Outgoing(NUMBER), departments=ALL)
    oita, beppu = found.centres
    own = replace(CITIZENS, id=DepartmentId("beppu-shimin"), short="99", number="0977000111")
    return replace(found, centres=(oita, replace(beppu, departments=(own,))))


async def push(floor: Floor, department: str, value: str) -> None:
    """Today's hours of a department, as callcore pushes them."""
    key = datetime.now(TOKYO).strftime(f"dept~{department}/%Y%m%d")
    answer = await floor.ami.action("DBPut", Family="callcore-hours", Key=key, Val=value)
    assert answer[0]["Response"] == "Success", answer


async def reached(floor: Floor, code: str, number: str, n: int) -> tuple[Call, Call, Event]:
    """The phone's call, the department's, and what was told of its beginning."""
    seen = len(floor.ami.events)
    call = await floor.desks[0].call(code, tone(AGENT_HZ))
    leg = await floor.trunk.rings(n)
    assert leg.invite is not None
    assert leg.invite.start.split()[1].startswith(f"sip:{number}@")
    assert re.search(rf"sip:{NUMBER}@", leg.invite.get("from")), leg.invite.get("from")
    return call, leg, await side(floor, "CallcoreSide", seen)


async def test_an_agent_reaches_a_department_which_sees_the_centres_number_and_nobodys_name(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, files()) as floor:  # no heart beats here
        call, leg, begun = await reached(floor, "*511", "0970000111", 1)
        assert (begun["Kind"], begun["Why"], begun["Other"]) == ("department", "oita-shimin", "0970000111")
        assert (begun["Phone"], begun["Centre"], begun["Shown"]) == ("oita-p1", "oita", NUMBER)
        leg.sound = tone(CALLER_HZ)
        leg.answer()
        await until_hears(call, CALLER_HZ)
        await until_hears(leg, AGENT_HZ)
        leg.hang_up()
        await call.until("bye")
        assert (await side(floor, "CallcoreSideEnded"))["Result"] == "ANSWER"
        # An extension of the city hall, behind the trunk; and its number keyed by hand, which is on no list.
        call, leg, begun = await reached(floor, "*512", "2340", 2)
        assert begun["Why"] == "oita-naisen"
        call.hang_up()
        await leg.until("cancelled")
        for n, number in enumerate(("2340", "0970000111"), 3):
            call, leg, begun = await reached(floor, number, number, n)
            assert (begun["Kind"], begun["Why"]) == ("outgoing", "listed")
            call.hang_up()
            await leg.until("cancelled")
        nothing_of_the_inside(ours(floor.trunk.messages))


async def test_busy_no_answer_and_no_line_are_said_after(tmp_path: Path) -> None:
    async with running_floor(tmp_path, files(Outgoing(NUMBER, ring_s=2))) as floor:
        for n, (code, reason, prompt) in enumerate(
            (
                (486, "Busy Here", "department-busy"),
                (600, "Busy Everywhere", "department-busy"),
                (603, "Decline", "call-failed"),
                (404, "Not Found", "call-failed"),
                (480, "Temporarily Unavailable", "department-no-answer"),
            ),
            1,
        ):
            call, leg, _ = await reached(floor, "*511", "0970000111", n)
            assert leg.invite is not None
            floor.trunk.respond(leg.invite, code, reason, leg.local)
            leg.end(str(code))
            await heard(call, prompt)
        call, _, _ = await reached(floor, "*511", "0970000111", 6)
        await heard(call, "department-no-answer")
        for nobody in ("*519", "*599", "*51a2b"):  # 99 is another centre's
            await heard(await floor.desks[0].call(nobody), "no-such-department")
        assert len(floor.trunk.calls) == 6


async def test_a_closed_department_is_said_to_be_closed_and_is_never_called(tmp_path: Path) -> None:
    async with running_floor(tmp_path, files()) as floor:
        for code, name in (("*521", "oita-kita"), ("*522", "oita-minami"), ("*52345", "oita-oku")):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(code)
            begun = await side(floor, "CallcoreSide", seen)
            assert (begun["Kind"], begun["Why"], begun["Refused"]) == ("department", name, "yes")
            assert begun["Other"] == "0970000121"
            await heard(call, "department-closed")
        # Open by the plain week, closed for today: by what was pushed.
        await push(floor, "oita-shimin", "closed")
        await heard(await floor.desks[0].call("*511"), "department-closed")
        assert not floor.trunk.calls

        def told() -> list[str]:
            found = cel.sides(cel.read_since(floor.pbx.settings.log_dir / CEL_FILE, Instant(0)))
            assert all(x.kind is SideKind.DEPARTMENT for x in found)
            assert all(x.outcome in (SideOutcome.REFUSED, None) for x in found)
            return [x.why for x in found if x.refused and x.ended and (x.other or "").startswith("0970")]

        await comes_true(
            lambda: told() == ["oita-kita", "oita-minami", "oita-oku", "oita-shimin"], "CEL of the four"
        )


async def test_the_substitute_is_called_after_saying_so_and_the_substitutes_own_one(tmp_path: Path) -> None:
    async with running_floor(tmp_path, files()) as floor:
        now = int(time.time())
        await push(floor, "oita-kita", f"{now - 7200}-{now - 3600},{now - 60}-{now + 3600}")
        for n, code in enumerate(("*522", "*52345"), 1):
            call, leg, begun = await reached(floor, code, "0970000121", n)
            assert (begun["Kind"], begun["Why"]) == ("department", "oita-kita")
            assert "Refused" not in begun
            await until_hears(call, COMMON_HZ["department-substitute"], 0.3)
            leg.sound = tone(CALLER_HZ)
            leg.answer()
            await until_hears(call, CALLER_HZ)
            call.hang_up()
            await leg.until("bye")
        # Busy there: said after, on a line that was answered already.
        call, leg, _ = await reached(floor, "*522", "0970000121", 3)
        assert leg.invite is not None
        floor.trunk.respond(leg.invite, 486, "Busy Here", leg.local)
        leg.end("486")
        await heard(call, "department-busy")
        # A lunch break: between two windows it is closed.
        await push(floor, "oita-kita", f"{now - 7200}-{now - 60},{now + 3600}-{now + 7200}")
        await heard(await floor.desks[0].call("*522"), "department-closed")


async def test_a_citizen_who_is_moved_to_where_departments_are_called_goes_back_to_the_waiting_line(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, files()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        for context, exten in (
            ("callcore-departments", "11"),
            ("callcore-departments", "unreached"),
            ("callcore-departments", "s"),
            ("callcore-departments", "nonsense"),
            ("callcore-department-closed", "0970000121"),
            ("callcore-department-closed", "s"),
            ("callcore-phones", "*511"),
        ):
            seen = len(floor.ami.events)
            answer = await floor.ami.redirect(channel, context, exten)
            assert answer["Response"] == "Success"
            await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
            await floor.ami.waiting(channel)
        assert call.state == "up"
        assert not [c for c in floor.trunk.calls if c.incoming]


async def test_a_phone_watches_its_own_centres_departments_only(tmp_path: Path) -> None:
    async with running_floor(tmp_path, files()) as floor:
        for state in ("NOT_INUSE", "INUSE", "RINGING"):
            name = "DEVICE_STATE(Custom:callcore-dept-oita-shimin)"
            await floor.ami.action("Setvar", Variable=name, Value=state)
            rows = await floor.ami.action("ExtensionState", Exten="*511", Context="callcore-hints-oita")
            assert (
                rows[0]["StatusText"] == {"NOT_INUSE": "Idle", "INUSE": "InUse", "RINGING": "Ringing"}[state]
            )
        rows = await floor.ami.action("ExtensionState", Exten="*599", Context="callcore-lamps-oita-p1")
        assert rows[0]["Status"] == "-1"
        rows = await floor.ami.action("ExtensionState", Exten="*521", Context="callcore-lamps-oita-p1")
        assert rows[0]["Status"] != "-1"
