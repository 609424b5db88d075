"""What an agent dials to the outside, on a real Asterisk with the carrier at the other end. Every header is read."""

from __future__ import annotations

import asyncio
import re
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np

from callcore.domain import numbering
from callcore.domain.centre import Contact, Destination, Listed, Outgoing, Recordings
from callcore.domain.ids import PhoneId
from callcore.domain.recording import Channels
from callcore.runtime import dialplan
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_keys import hears_nothing_of_it
from tests.integration.test_dialplan_phones import heard
from tests.support.asterisk import Event
from tests.support.centre import COMMON_HZ, NUMBER, small_centre
from tests.support.floor import AGENT_HZ, CALLER_HZ, Floor, running_floor
from tests.support.sip import Call, Message, comes_true, encoded, loudness, sip_agent, tone

ALL = Outgoing(
    NUMBER,
    emergency=("110", "118", "119"),
    kinds=(Destination.LANDLINE, Destination.MOBILE, Destination.IP_PHONE, Destination.FREE),
    listed=(Listed("市役所 内線案内", "1234"), Listed("支所", "09755", begins=True)),
)
OFFICE = "0975346111"


def ours(sent: list[Message]) -> str:
    """All that Asterisk has told the carrier, but for the sound."""
    return "\n".join(message.text for message in sent)


def nothing_of_the_inside(text: str) -> None:
    """No extension, no name of ours in any header or body that went to the carrier."""
    text = re.sub(r"\b127(\.\d+){3}\b", "", text)  # an address may hold any of the digits
    for inside in ("oita-p", "p1", "担当", "101", "anonymous", "Remote-Party-ID", "P-Asserted-Identity"):
        found = [line for line in text.splitlines() if inside in line and "Call-ID" not in line]
        # Random tags and branches hold any digits.
        assert not [line for line in found if not re.search(r"branch=|tag=|^CSeq|^o=|port|^m=|^a=", line)], (
            found
        )


async def value(floor: Floor, variable: str) -> str:
    return (await floor.ami.action("Getvar", Variable=variable))[0].get("Value", "")


async def side(floor: Floor, name: str, after: int = 0) -> Event:
    return await floor.ami.event(name, after=after)


async def test_emergency_numbers_go_out_at_once_while_callcore_is_dead(tmp_path: Path) -> None:
    async with running_floor(
        tmp_path, small_centre(outgoing=ALL), qualify_s=1
    ) as floor:  # no heart beats here
        # A carrier that answers no OPTIONS, and is held for unreachable, is called all the same.
        floor.trunk.deaf_to.add("OPTIONS")
        contact = await value(floor, f"PJSIP_AOR({dialplan.TRUNK},contact)")
        async with asyncio.timeout(10):
            while await value(floor, f"PJSIP_CONTACT({contact},status)") != "Unreachable":
                await asyncio.sleep(0.1)
        for n, digits in enumerate(("110", "118", "119"), 1):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(digits, tone(AGENT_HZ))
            leg = await floor.trunk.rings(n)
            invite = leg.invite
            assert invite is not None
            assert invite.start.split()[1].startswith(f"sip:{digits}@{floor.pbx.trunk_host}:")
            assert re.search(rf"sip:{NUMBER}@", invite.get("from")), invite.get("from")
            leg.sound = tone(CALLER_HZ)
            leg.answer()
            await until_hears(call, CALLER_HZ)
            await until_hears(leg, AGENT_HZ)
            begun = await side(floor, "CallcoreSide", seen)
            assert (begun["Kind"], begun["Centre"], begun["Phone"]) == ("emergency", "oita", "oita-p1")
            assert (begun["Shown"], begun["Other"]) == (NUMBER, digits)
            leg.hang_up()
            await call.until("bye")
            ended = await side(floor, "CallcoreSideEnded", seen)
            assert (ended["Call"], ended["Result"]) == (begun["Call"], "ANSWER")
        nothing_of_the_inside(ours(floor.trunk.messages))
        assert "name must be provided" not in floor.pbx.log(), "no channel is asked for that has no name"


async def test_a_phone_that_matches_nothing_gets_110_118_and_119_and_nothing_else(tmp_path: Path) -> None:
    """A life goes before the inventory (docs/adr/0029-only-desk-phones.md); it is told all the same."""
    out = replace(ALL, prefix="9")
    async with running_floor(tmp_path, small_centre(outgoing=out)) as floor, floor.ami.beating():
        answer = await floor.ami.action("DBDel", Family=dialplan.POLICY, Key="oita-p1")
        assert answer[0]["Response"] == "Success"
        for n, dialled in enumerate(("110", "118", "119", "9119"), 1):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(dialled)
            leg = await floor.trunk.rings(n)
            assert leg.invite is not None
            assert leg.invite.start.split()[1].startswith(f"sip:{dialled[-3:]}@")
            told = await side(floor, "CallcorePhoneRefused", seen)
            assert (told["Phone"], told["Emergency"]) == ("oita-p1", "yes")
            begun = await side(floor, "CallcoreSide", seen)
            assert (begun["Kind"], begun["Phone"]) == ("emergency", "oita-p1")
            leg.answer()
            await call.until("up")
            call.hang_up()
            await leg.until("bye")
        for dialled in (
            f"9{OFFICE}",
            "9090",
            "oita-p2",
            "*11",
            "*119",
            "119*",
            "1190",
            "91199",
            "0119",
            "a119",
        ):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(dialled)
            await call.until("403")
            assert "Emergency" not in await side(floor, "CallcorePhoneRefused", seen)
        assert len(floor.trunk.calls) == 4
        # The password it takes all the same.
        host, port = floor.pbx.sip
        async with sip_agent(floor.pbx.address(98), "oita-p1", (host, port), "wrong") as nobody:
            call = await nobody.call("119")
            await call.until("401")
        assert len(floor.trunk.calls) == 4


async def test_an_emergency_call_that_does_not_go_through_is_told_where_to_call(tmp_path: Path) -> None:
    """The trunk takes no 110, and refuses 119."""
    async with running_floor(tmp_path, small_centre(outgoing=replace(ALL, emergency=("119",)))) as floor:
        call = await floor.desks[0].call("110")
        await heard(call, "emergency-elsewhere")
        ended = await side(floor, "CallcoreSideEnded")
        assert ended["Result"] == "NOLINE"
        assert not floor.trunk.calls
        seen = len(floor.ami.events)
        call = await floor.desks[0].call("119")
        leg = await floor.trunk.rings()
        assert leg.invite is not None
        floor.trunk.respond(leg.invite, 503, "Service Unavailable", leg.local)
        leg.end("503")
        await heard(call, "emergency-elsewhere")
        ended = await side(floor, "CallcoreSideEnded", seen)
        assert ended["Result"] in ("CHANUNAVAIL", "CONGESTION", "NOANSWER")


async def test_a_number_with_the_prefix_and_an_emergency_number_with_or_without_it(tmp_path: Path) -> None:
    wide = Listed("すべて", "0", begins=True)  # opens neither premium nor international numbers
    out = replace(ALL, prefix="9", listed=(wide, Listed("窓口", "0570012345")))
    async with running_floor(tmp_path, small_centre(outgoing=out)) as floor:
        for n, (dialled, goes_out) in enumerate(((f"9{OFFICE}", OFFICE), ("9110", "110"), ("110", "110")), 1):
            call = await floor.desks[0].call(dialled)
            leg = await floor.trunk.rings(n)
            assert leg.invite is not None
            assert leg.invite.start.split()[1].startswith(f"sip:{goes_out}@")
            leg.answer()
            await call.until("up")
            call.hang_up()
            await leg.until("bye")
        for refused in (OFFICE, "90570999999", "90990123456", "901044123456"):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(refused)
            assert (await side(floor, "CallcoreSide", seen))["Refused"] == "yes"
            await call.until("up", "bye")
            call.hang_up()
        call = await floor.desks[0].call("90570012345")  # allowed by its very number
        await floor.trunk.rings(4)
        call.hang_up()


async def test_a_call_to_an_office_shows_the_centres_number_and_is_recorded_under_its_own_name(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre(outgoing=ALL)) as floor:
        call = await floor.desks[0].call(OFFICE, tone(AGENT_HZ))
        leg = await floor.trunk.rings()
        assert leg.invite is not None
        assert f"sip:{NUMBER}@" in leg.invite.get("from")
        leg.sound = tone(CALLER_HZ)
        leg.answer()
        await until_hears(call, CALLER_HZ)
        await call.hears(1.5)
        begun = await side(floor, "CallcoreSide")
        assert (begun["Kind"], begun["Other"], begun["Why"]) == ("outgoing", OFFICE, "landline")
        call.hang_up()
        await leg.until("bye")
        nothing_of_the_inside(ours(floor.trunk.messages))
        file = floor.pbx.settings.recordings_dir / f"{begun['Call']}.wav"

        def written() -> bool:
            # The length stands in the header at the end only, and while it is written there may be no whole header.
            try:
                with wave.open(str(file), "rb") as sound:
                    return sound.getnframes() > 8000
            except (FileNotFoundError, EOFError, wave.Error):
                return False

        await comes_true(written, "the recording")
        rows = [row for row in floor.pbx.cel() if row["uniqueid"] == begun["Call"]]
        assert next(row["userdeftype"] for row in rows if row["userdeftype"]) == "callcore-side"
        # It is no arrival: it bears no call's variable, neither on the phone's channel nor on the carrier's.
        hangups = [e for e in floor.ami.events if e["Event"] == "Hangup"]
        await comes_true(
            lambda: len([e for e in floor.ami.events if e["Event"] == "Hangup"]) >= 2, "hang-ups"
        )
        assert not [e for e in hangups if "CALLCORE_CALL=t" in e.get("ChanVariable", "")]


def received(hangup: Event) -> tuple[int | None, int]:
    """Packets that a channel received until it was together with the other side, and in all."""
    told = hangup["ChanVariable"]
    before, found = (re.search(rf"\b{name}=(\d+)", told) for name in ("CALLCORE_BEFORE", "rxcount"))
    return None if before is None else int(before[1]), 0 if found is None else int(found[1])


async def test_how_much_each_side_has_sent_before_the_talk_and_in_all_is_told_at_its_end(
    tmp_path: Path,
) -> None:
    """The carrier plays something while it rings, and the phone sends by then. No emergency call waits for anything."""
    person = Contact("0975105160", "市役所連絡用", phones=(PhoneId("oita-p1"), PhoneId("oita-p2")))
    async with running_floor(tmp_path, small_centre(outgoing=ALL, contacts=(person,))) as floor:

        async def spoken(seen: int, count: int = 2) -> dict[str, tuple[int | None, int]]:
            """By whose channel it is."""

            def gone() -> list[Event]:
                found = [e for e in floor.ami.events[seen:] if e["Event"] == "Hangup"]
                return found if len(found) == count else []

            ends = await floor.ami.until(gone, "the ends")
            return {end["Channel"].partition("-0")[0].removeprefix("PJSIP/"): received(end) for end in ends}

        for n, number in enumerate((OFFICE, "119"), 1):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(number, tone(AGENT_HZ))
            leg = await floor.trunk.rings(n)
            leg.speaks_early()
            await comes_true(lambda: call.remote_media is not None, "what is played reaches the phone")  # noqa: B023
            call.speaks_early()
            await asyncio.sleep(1)
            leg.answer()
            await call.hears(1)
            leg.hang_up()
            for before, packets in (await spoken(seen)).values():
                if number == OFFICE:
                    assert before is not None and before >= 40 and 40 <= packets - before <= 75
                else:
                    assert before is None and packets >= 80
        # Who rings a 連絡用番号 hears the ringing tone of the own network: nothing is sent before the answer.
        call = await floor.trunk.call("0975105160", tone(CALLER_HZ))
        seen = len(floor.ami.events)
        leg = await floor.desks[1].rings()
        leg.answer()
        await leg.hears(1)
        call.hang_up()
        told = await spoken(seen, 3)
        assert told.pop("oita-p1") == (None, 0), "it only rang"
        # Who answers may send a packet or two before Asterisk comes to look.
        assert all(before is not None and before <= 2 for before, _ in told.values()), told
        assert all(40 <= packets <= 75 for _, packets in told.values())
        log = floor.pbx.log()
        assert "has no audio media" not in log and "unavailable item requested" not in log


async def hears_keys(leg: Call, keys: str) -> None:
    """All of these, and no other."""
    await comes_true(lambda: "".join(leg.events) == keys, f"{keys} are heard")


async def test_the_key_that_pauses_the_recording_is_kept_from_the_other_side_and_no_other_is(
    tmp_path: Path,
) -> None:
    """A menu of the other side hears what is keyed, also what begins as that code does. An emergency call: all."""
    async with running_floor(tmp_path, small_centre(outgoing=ALL)) as floor, floor.ami.beating():
        call = await floor.desks[0].call(OFFICE, tone(AGENT_HZ))
        leg = await floor.trunk.rings()
        leg.sound = tone(CALLER_HZ)
        leg.answer()
        await until_hears(call, CALLER_HZ)
        begun = await side(floor, "CallcoreSide")
        pressed = ""
        for keys in ("12", "*3", "*31", "#5*"):
            call.press(keys)
            pressed += keys
            await hears_keys(leg, pressed)
            await call.hears(1.2)  # no digit of one code goes with those of the next
        since = len(leg.heard)
        for paused, reply in (("1", "help-asked"), ("0", "key-refused")):
            seen = len(floor.ami.events)
            call.press("*34")
            told = await floor.ami.event("CallcoreKey", after=seen)
            assert (told["Key"], told["Phone"], told["Uniqueid"]) == ("recording", "oita-p1", begun["Call"])
            # Asterisk takes the channel's unique id for its name. The recording lies on the other side's.
            lies_at = await floor.variable(begun["Call"], "CALLCORE_MIXED")
            assert lies_at and lies_at != begun["Call"]
            answer = await floor.ami.action("MixMonitorMute", Channel=lies_at, Direction="both", State=paused)
            assert answer[0]["Response"] == "Success"
            for variable, value in (("CALLCORE_PAUSED", paused), ("CALLCORE_REPLY", reply)):
                answer = await floor.ami.action(
                    "Setvar", Channel=begun["Call"], Variable=variable, Value=value
                )
                assert answer[0]["Response"] == "Success"
            await until_hears(call, COMMON_HZ[reply], 0.2)
            await until_hears(call, CALLER_HZ, 0.3)
            await until_hears(leg, AGENT_HZ, 0.3)
        await hears_keys(leg, pressed)
        hears_nothing_of_it(leg, since)
        leg.press("7")
        await hears_keys(call, "7")
        call.hang_up()
        await leg.until("bye")

        call = await floor.desks[0].call("119", tone(AGENT_HZ))
        leg = await floor.trunk.rings(2)
        leg.answer()
        await until_hears(leg, AGENT_HZ)
        call.press("*34")
        await hears_keys(leg, "*34")
        call.hang_up()
        await leg.until("bye")


async def outcome(floor: Floor, code: int, reason: str, n: int) -> tuple[Call, Event]:
    seen = len(floor.ami.events)
    call = await floor.desks[0].call(OFFICE)
    leg = await floor.trunk.rings(n)
    assert leg.invite is not None
    floor.trunk.respond(leg.invite, code, reason, leg.local)
    leg.end(str(code))
    return call, await side(floor, "CallcoreSideEnded", after=seen)


async def test_busy_refused_and_not_reached_are_told_apart(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(outgoing=replace(ALL, ring_s=2))) as floor:
        call, ended = await outcome(floor, 486, "Busy Here", 1)
        assert (ended["Result"], ended["Cause"]) == ("BUSY", "17")
        await call.until("486")
        call, ended = await outcome(floor, 603, "Decline", 2)
        assert ended["Cause"] == "21"
        await call.until("603", "403")
        call, ended = await outcome(floor, 404, "Not Found", 3)
        assert ended["Cause"] == "1"
        call, ended = await outcome(floor, 503, "Service Unavailable", 4)
        assert ended["Cause"] not in ("16", "17", "18", "19", "21")
        seen = len(floor.ami.events)
        call = await floor.desks[0].call(OFFICE)
        await floor.trunk.rings(5)
        ended = await side(floor, "CallcoreSideEnded", after=seen)
        assert ended["Result"] == "NOANSWER"


async def test_a_number_that_the_list_does_not_allow_is_refused_in_words(tmp_path: Path) -> None:
    """Every kind of number that Japan has, against the table that the dialplan was made from."""
    kinds = {
        "0312345678": "landline",
        "0975346111": "landline",
        "09012345678": "mobile",
        "06012345678": "mobile",
        "05012345678": "ip_phone",
        "0120444444": "free",
        "08001234567": "free",
        "1234": "listed",
        "0975512345": "listed",
    }
    denied = {
        "0570012345": "premium",
        "0990123456": "premium",
        "0180123456": "premium",
        "010441234567890": "international",
        "0033010441234": "international",
        "00": "unlisted",
        "02012345678": "unlisted",
        "1840312345678": "unlisted",
        "117": "unlisted",
        "097534": "unlisted",
        "12345": "unlisted",
    }
    async with running_floor(tmp_path, small_centre(outgoing=ALL)) as floor:
        for n, (number, why) in enumerate(kinds.items(), 1):
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(number)
            await floor.trunk.rings(n)
            begun = await side(floor, "CallcoreSide", after=seen)
            assert (begun["Other"], begun["Why"]) == (number, why)
            call.hang_up()
            await call.until("cancelled")
        reached = len(floor.trunk.calls)
        for number, why in denied.items():
            seen = len(floor.ami.events)
            call = await floor.desks[0].call(number)
            begun = await side(floor, "CallcoreSide", after=seen)
            assert (begun["Other"], begun["Why"]) == (number, why)
            assert begun["Refused"] == "yes"
            await call.until("up", "bye")
            if number == "0570012345":
                await heard(call, "call-refused")
            else:
                call.hang_up()
        assert len(floor.trunk.calls) == reached
        other = await floor.desks[0].call("+81312345678")
        await heard(other, "no-such-code")


def test_an_entry_that_begins_generally_does_not_open_premium_or_international_numbers() -> None:
    wide = Outgoing(NUMBER, listed=(Listed("すべて", "0", begins=True),))
    allowed = {line.pattern: line.allowed for line in numbering.lines(wide)}
    assert allowed["0."]
    assert not allowed["0990XXXXXX"]
    assert not allowed["010."]
    opened = replace(wide, kinds=(Destination.PREMIUM,))
    allowed = {line.pattern: line.allowed for line in numbering.lines(opened)}
    assert allowed["0990XXXXXX"]
    assert not allowed["00[0-9]."]


async def test_a_citizen_who_is_moved_to_where_phones_dial_out_goes_back_to_the_waiting_line(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre(outgoing=ALL)) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        for context, exten in (
            ("callcore-phones", OFFICE),
            ("callcore-out", "110"),
            ("callcore-out", "s"),
            ("callcore-out-oita", "0990123456"),
            ("callcore-out-oita", "nonsense"),
            ("callcore-dial", OFFICE),
            ("callcore-dial", "110"),
            ("callcore-denied", OFFICE),
            ("callcore-denied", "h3"),
            ("callcore-contact", "s"),
            ("callcore-contact", "anything"),
        ):
            seen = len(floor.ami.events)
            answer = await floor.ami.redirect(channel, context, exten)
            assert answer["Response"] == "Success"
            await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
            await floor.ami.waiting(channel)
        assert call.state == "up"
        assert not [c for c in floor.trunk.calls if c.incoming]
        assert not [e for e in floor.ami.events if e.get("UserEvent", "").startswith("CallcoreSide")]


async def test_a_contact_number_rings_the_persons_phone_or_goes_on_to_a_fax_and_is_no_arrival(
    tmp_path: Path,
) -> None:
    person = Contact("0975105160", "市役所連絡用", phones=(PhoneId("oita-p1"), PhoneId("oita-p2")))
    fax = Contact("0975105161", "FAX", forward="0975105999")
    async with running_floor(tmp_path, small_centre(outgoing=ALL, contacts=(person, fax))) as floor:
        call = await floor.trunk.call("0975105161", tone(CALLER_HZ))
        leg = await floor.trunk.rings()
        assert leg.invite is not None
        assert leg.invite.start.split()[1].startswith("sip:0975105999@")
        leg.answer()
        await call.until("up")
        call.hang_up()
        await leg.until("bye")
        assert list(floor.pbx.settings.recordings_dir.iterdir()) == []

        seen = len(floor.ami.events)
        call = await floor.trunk.call("0975105160", tone(CALLER_HZ))
        leg = await floor.desks[1].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        begun = await side(floor, "CallcoreSide", seen)
        assert (begun["Kind"], begun["Shown"], begun["Other"]) == ("contact", "0975105160", "09012345678")
        call.hang_up()
        await leg.until("bye")
        assert (floor.pbx.settings.recordings_dir / f"{begun['Call']}.wav").exists()
        assert not [e for e in floor.ami.events if e.get("UserEvent") in ("CallcoreAdmitted", "CallcoreHeld")]
        # Both phones in a talk of their own: busy.
        first = await floor.desks[0].call("oita-p2")
        second = await floor.desks[1].rings(2)
        second.answer()
        await first.until("up")
        late = await floor.trunk.call("0975105160")
        await late.until("486")
        first.hang_up()
        await second.until("bye")
        # What is no phone of the inventory does not ring here either.
        for phone in ("oita-p1", "oita-p2"):
            await floor.ami.action("DBDel", Family=dialplan.POLICY, Key=phone)
            await floor.ami.event("DeviceStateChange", Device=f"PJSIP/{phone}", State="NOT_INUSE")
        rung = [len([c for c in desk.calls if c.incoming]) for desk in floor.desks]
        seen = len(floor.ami.events)
        await floor.trunk.call("0975105160")
        ended = await side(floor, "CallcoreSideEnded", seen)
        assert ended["Result"] != "ANSWER"
        assert [len([c for c in desk.calls if c.incoming]) for desk in floor.desks] == rung


async def test_a_contact_number_that_is_passed_on_to_a_person_is_recorded_where_the_centre_says_so(
    tmp_path: Path,
) -> None:
    """While callcore is dead. The carrier's busy tone reaches the caller as before."""
    voice = Contact("0975105162", "本部", forward="0975105998", record=True)
    made = small_centre(outgoing=ALL, contacts=(voice,))
    rule = Recordings(channels=Channels.STEREO)
    made = replace(made, centres=tuple(replace(each, recordings=rule) for each in made.centres))
    async with running_floor(tmp_path, made) as floor:
        call = await floor.trunk.call("0975105162", tone(CALLER_HZ))
        leg = await floor.trunk.rings()
        assert leg.invite is not None and leg.invite.start.split()[1].startswith("sip:0975105998@")
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        begun = await side(floor, "CallcoreSide")
        assert (begun["Kind"], begun["Why"], begun["Phone"]) == ("contact", "forward", "")
        await until_hears(leg, CALLER_HZ, 1)
        call.hang_up()
        await leg.until("bye")
        await floor.ami.event("Hangup", Uniqueid=begun["Call"])
        folder = floor.pbx.settings.recordings_dir
        names = [begun["Call"] + end for end in (".left.sln", ".right.sln", ".wav")]
        await comes_true(lambda: sorted(each.name for each in folder.iterdir()) == names, "three files")
        for name, mine, other in ((names[0], CALLER_HZ, AGENT_HZ), (names[1], AGENT_HZ, CALLER_HZ)):
            samples = np.frombuffer((folder / name).read_bytes(), np.int16) / 32768.0
            heard = encoded(samples[-4000:])
            assert loudness(heard, mine) > 0.8 > 0.1 > loudness(heard, other)
        seen = len(floor.ami.events)
        late = await floor.trunk.call("0975105162")
        (await floor.trunk.rings(2)).hang_up()
        await late.until("486")
        assert (await side(floor, "CallcoreSideEnded", seen))["Result"] == "BUSY"
