"""The waiting line, the ringing of one agent, and the talk, on a real Asterisk with real SIP at both ends."""

from __future__ import annotations

import re
import time
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callcore.domain.centre import Announcement, Display
from callcore.pbx.render import EVENTS
from callcore.runtime import dialplan
from tests.support.centre import MUSIC_HZ, NUMBER, OVERFLOW_HZ, small_centre
from tests.support.floor import AGENT_HZ, CALLER_HZ, running_floor
from tests.support.sip import FORWARDED, RATE, Call, Habit, comes_true, loudness, tone

DIALPLAN = Path(__file__).resolve().parents[2] / "dialplans/callcore.conf"


async def until_hears(call: Call, hertz: float, seconds: float = 0.5) -> None:
    """Wait until the newest `seconds` of what `call` hears are that tone."""
    await comes_true(
        lambda: (
            len(call.heard) >= seconds * RATE
            and loudness(bytes(call.heard[-int(seconds * RATE) :]), hertz) > 0.9
        ),
        f"{call.agent.user} hears {hertz} Hz",
    )


def pitches(sound: bytes) -> list[int]:
    """The loudest of our tones in each 20 ms, 0 for none."""
    found = []
    for place in range(0, len(sound) - 160, 160):
        part = sound[place : place + 160]
        best = max((CALLER_HZ, AGENT_HZ, MUSIC_HZ), key=lambda hertz: loudness(part, hertz))
        found.append(best if loudness(part, best) > 0.8 else 0)
    return found


async def test_a_caller_waits_with_music_talks_and_is_hung_up_when_the_agent_hangs_up(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        await until_hears(call, MUSIC_HZ)
        begin = len(call.heard)
        await floor.offer(channel, "3.1", "oita-p1")
        leg = await floor.desks[0].rings()
        await call.hears(1)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        await until_hears(leg, CALLER_HZ)
        heard = pitches(bytes(call.heard[begin:]))
        # Music from the waiting line through the ringing to the agent's voice, with at most 60 ms of neither.
        assert heard[0] == MUSIC_HZ
        assert heard[-1] == AGENT_HZ
        assert heard.count(0) <= 3, heard
        assert not floor.desks[1].calls

        leg.hang_up()
        await call.until("bye")
        ended = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert (ended["Offer"], ended["Result"], ended["Cause"]) == ("3.1", "ANSWER", "16")
        hangup = await floor.ami.event("Hangup", Channel=channel)
        assert f"CALLCORE_CALL={hangup['Uniqueid']}" in hangup["ChanVariable"]
        assert "CALLCORE_OFFER=3.1" in hangup["ChanVariable"]


async def test_a_caller_who_hangs_up_frees_the_agent(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel, leg = await floor.talk()
        call.hang_up()
        await leg.until("bye")
        await floor.ami.event("Hangup", Channel=channel)
        request = await floor.ami.event("HangupRequest")
        assert request["Channel"] == channel


async def test_a_silent_agent_costs_the_caller_nothing_but_the_ring_time(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        entered = await floor.variable(channel, "CALLCORE_ENTERED")
        begin = len(call.heard)
        await floor.offer(channel, "1.1", "oita-p1", ring_s=1)
        leg = await floor.desks[0].rings()
        await leg.until("cancelled")
        ended = await floor.ami.event("DialEnd", Channel=channel)
        assert ended["DialStatus"] == "NOANSWER"
        hint = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert (hint["Offer"], hint["Result"]) == ("1.1", "NOANSWER")
        await floor.ami.waiting(channel)
        await call.hears(0.5)
        assert pitches(bytes(call.heard[begin:])).count(0) <= 3
        assert await floor.variable(channel, "CALLCORE_ENTERED") == entered
        assert await floor.variable(channel, "CALLCORE_OFFER") == ""

        await floor.offer(channel, "1.2", "oita-p2")
        other = await floor.desks[1].rings()
        other.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)


async def test_an_absent_phone_is_not_dialled(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        _, channel = await floor.waiting_caller()
        for phone in ("oita-p3", "oita-p9"):
            seen = len(floor.ami.events)
            await floor.offer(channel, "1.1", phone)
            ended = await floor.ami.event("CallcoreOfferEnded", after=seen, Channel=channel)
            assert ended["Result"] == "UNREACHABLE"
            await floor.ami.waiting(channel)
        assert not [e for e in floor.ami.events if e["Event"] == "DialBegin"]


async def test_what_is_no_phone_of_the_inventory_is_not_rung_and_the_caller_waits_on(tmp_path: Path) -> None:
    """Should callcore offer it all the same: its seal has just gone."""
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        await floor.ami.action("DBDel", Family=dialplan.POLICY, Key="oita-p1")
        await floor.offer(channel, "1.1", "oita-p1")
        ended = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert (ended["Offer"], ended["Result"]) == ("1.1", "CHANUNAVAIL")
        await floor.ami.waiting(channel)
        assert not floor.desks[0].calls
        await floor.offer(channel, "1.2", "oita-p2")
        await floor.desks[1].rings()
        assert call.state == "up"


async def test_a_talking_agent_is_not_rung_a_second_time(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        first, _, leg = await floor.talk()
        second, channel = await floor.waiting_caller()
        await floor.offer(channel, "1.2", "oita-p1")
        ended = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert ended["Result"] == "BUSY"
        await until_hears(second, MUSIC_HZ)
        assert len(floor.desks[0].calls) == 1
        assert (first.state, leg.state) == ("up", "up")


@pytest.mark.parametrize(("habit", "result"), [(Habit.BUSY, "BUSY"), (Habit.FORWARD, "")])
async def test_a_phone_that_refuses_or_forwards_gives_the_caller_back(
    tmp_path: Path, habit: Habit, result: str
) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        floor.desks[0].habit = habit
        call, channel = await floor.waiting_caller()
        await floor.offer(channel, "1.1", "oita-p1", ring_s=2)
        ended = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert ended["Result"] == (result or ended["Result"])
        assert ended["Result"] != "ANSWER"
        await floor.ami.waiting(channel)
        await until_hears(call, MUSIC_HZ)
        assert not [
            text for text in floor.trunk.sent + floor.desks[0].sent if f"INVITE sip:{FORWARDED}" in text
        ]
        made = [e["Channel"] for e in floor.ami.events if e["Event"] == "Newchannel"]
        assert len(made) == 2, made


async def test_a_caller_who_gives_up_stops_the_ringing(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        await floor.offer(channel, "1.1", "oita-p1")
        leg = await floor.desks[0].rings()
        call.hang_up()
        await leg.until("cancelled")
        ended = await floor.ami.event("DialEnd", Channel=channel)
        assert ended["DialStatus"] == "CANCEL"
        await floor.ami.event("Hangup", Channel=channel)
        # No hint then: the dialplan behind Dial does not run for a caller who is gone.
        assert not [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreOfferEnded"]


async def test_a_phone_that_loses_its_power_in_a_talk_gives_the_caller_back_to_the_line(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, small_centre(), phone_rtp_timeout_s=1) as floor, floor.ami.beating():
        call, channel, leg = await floor.talk()
        await until_hears(call, AGENT_HZ)
        leg.vanish()
        ended = await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert ended["Result"] == "LOST"
        await floor.ami.waiting(channel)
        await until_hears(call, MUSIC_HZ)
        await floor.offer(channel, "1.2", "oita-p2")
        other = await floor.desks[1].rings()
        other.sound = tone(AGENT_HZ)
        other.answer()
        await until_hears(call, AGENT_HZ)


async def test_a_leg_lost_after_a_long_talk_gives_the_caller_a_whole_new_wait(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(), phone_rtp_timeout_s=1) as floor, floor.ami.beating():
        _, channel, leg = await floor.talk()
        long_ago = str(int(time.time()) - 5000)
        for name in ("__CALLCORE_ENTERED", "__CALLCORE_SINCE"):
            await floor.ami.action("Setvar", Channel=channel, Variable=name, Value=long_ago)
        seen = len(floor.ami.events)
        leg.vanish()
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await floor.ami.waiting(channel)
        assert int(await floor.variable(channel, "CALLCORE_LEFT")) > 1800
        # The place in the order of waiting is the old one all the same.
        assert await floor.variable(channel, "CALLCORE_ENTERED") == long_ago


@pytest.mark.parametrize(
    ("context", "exten"),
    [
        ("callcore-hold", "nowhere"),
        ("callcore-hold", "7"),
        ("callcore-offer", "nonsense"),
        ("callcore-offer", "1.1"),
        ("callcore-offer", "x"),
        ("callcore-offer", "1.1~oita-p1&PJSIP/oita-p2~5"),
        ("callcore-offer", "1.1~*~5"),
        ("callcore-overflow", "nowhere"),
        ("callcore-overflow", "s"),
        ("callcore-overflow", "7"),
        ("callcore-phones", "nowhere"),
        ("callcore-phones", "s"),
        ("callcore-phones", "oita-p3"),
        ("callcore-internal", "beppu~beppu-p1"),
        ("callcore-internal", "oita~oita-p3"),
        ("callcore-supervisors", "nowhere"),
    ],
)
async def test_a_caller_moved_to_a_wrong_place_comes_back_to_the_line(
    tmp_path: Path, context: str, exten: str
) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        seen = len(floor.ami.events)
        answer = await floor.ami.action(
            "Redirect", Channel=channel, Context=context, Exten=exten, Priority="1"
        )
        assert answer[0]["Response"] == "Success"
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await floor.ami.waiting(channel)
        assert call.state == "up"
        assert not floor.desks[0].calls
        assert not floor.desks[1].calls


async def test_the_recording_holds_the_talk_from_both_sides_and_not_the_music(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel, leg = await floor.talk()
        await call.hears(2)
        ident = (await floor.ami.event("CallcoreHeld", Channel=channel))["Call"]
        leg.hang_up()
        file = floor.pbx.settings.recordings_dir / f"{ident}.wav"
        await floor.ami.event("Hangup", Channel=channel)
        # Closed a moment after the Hangup; the length in the header is written last.
        await comes_true(lambda: frames_said(file) > 0, "a recording with a length")
        with wave.open(str(file)) as recording:
            assert (recording.getnchannels(), recording.getframerate(), recording.getsampwidth()) == (
                1,
                RATE,
                2,
            )
            assert 1.5 < recording.getnframes() / RATE < 4
            frames = recording.readframes(recording.getnframes())
        sides = [power(frames[RATE : 3 * RATE], hertz) for hertz in (CALLER_HZ, AGENT_HZ, MUSIC_HZ)]
        assert min(sides[:2]) > 0.3
        assert sides[2] < 0.01
        assert file.stat().st_mode & 0o077 == 0


def frames_said(file: Path) -> int:
    """The length that the file's own header claims."""
    with wave.open(str(file)) as recording:
        return int(recording.getnframes())


def power(frames: bytes, hertz: float) -> float:
    """Share of the power of 16-bit sound at `hertz` ± 20."""
    samples = np.frombuffer(frames, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    places = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[np.abs(places - hertz) < 20].sum() / spectrum.sum())


async def test_nothing_of_the_agent_reaches_the_carrier(tmp_path: Path) -> None:
    """Every SIP message to the trunk over ringing, refusal, answer, hold, resume and the agent's hang-up."""
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        floor.desks[1].habit = Habit.BUSY
        call, channel = await floor.waiting_caller()
        await floor.offer(channel, "1.1", "oita-p2")
        await floor.ami.event("CallcoreOfferEnded", Channel=channel)
        await floor.ami.waiting(channel)
        await floor.offer(channel, "1.2", "oita-p1")
        leg = await floor.desks[0].rings()
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        await leg.hold()
        await floor.ami.event("Hold")
        await leg.resume()
        await floor.ami.event("Unhold")
        leg.hang_up()
        await call.until("bye")
        texts = [message.text for message in floor.trunk.messages]
        assert len(texts) >= 3
        for text in texts:
            for word in (
                "oita",
                "p1",
                "p2",
                "席",
                "担当",
                "general",
                "sterisk",
                *(d.host for d in floor.desks),
            ):
                assert word not in text, text
            for header in ("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "History-Info", "Privacy"):
                assert not re.search(f"^{header}:", text, re.MULTILINE | re.IGNORECASE), text


async def test_the_phone_sees_the_callers_number(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        _, _, leg = await floor.talk()
        assert leg.invite is not None
        assert "09012345678" in leg.invite.get("from")


async def test_a_held_caller_hears_the_centres_music(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, _, leg = await floor.talk()
        await leg.hold()
        held = await floor.ami.event("Hold")
        assert held["Channel"].startswith("PJSIP/oita-p1-")
        await until_hears(call, MUSIC_HZ)
        await leg.resume()
        await until_hears(call, AGENT_HZ)


async def test_the_cel_file_tells_the_whole_call(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, channel, leg = await floor.talk()
        await until_hears(call, AGENT_HZ)
        leg.hang_up()
        ident = (await floor.ami.event("Hangup", Channel=channel))["Uniqueid"]
        await comes_true(
            lambda: any(r["eventenum"] == "LINKEDID_END" for r in floor.pbx.cel()), "the last CEL row"
        )
        rows = [row for row in floor.pbx.cel() if row["uniqueid"] == ident]
        kinds = [row["eventenum"] for row in rows]
        assert kinds == [
            "CHAN_START",
            "USER_DEFINED",
            "ANSWER",
            "USER_DEFINED",
            "BRIDGE_ENTER",
            "BRIDGE_EXIT",
            "HANGUP",
            "CHAN_END",
            "LINKEDID_END",
        ]
        assert rows[0]["context"] == "callcore-in"
        assert rows[0]["exten"] == NUMBER
        assert [row["userdeftype"] for row in rows if row["userdeftype"]] == [
            "callcore-open",
            "callcore-held",
        ]
        assert all(re.fullmatch(r"\d{10}\.\d{6}", row["eventtime"]) for row in rows)
        assert {row["linkedid"] for row in floor.pbx.cel()} == {ident}
        cdr = floor.pbx.cdr()
        assert {row["linkedid"] for row in cdr} == {ident}
        assert all(re.fullmatch(r"\d{10}\.\d{6}", row["start"]) for row in cdr)


async def test_what_is_keyed_in_a_talk_reaches_neither_ami_nor_cel(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        call, _, leg = await floor.talk()
        call.press("123")
        leg.press("456")
        await call.hears(1.5)
        assert not [e for e in floor.ami.events if e["Event"].startswith("DTMF")]
        assert not [row for row in floor.pbx.cel() if "DTMF" in row["eventenum"]]


async def test_the_manager_can_do_what_callcore_does_and_no_more(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        for name, fields in (
            ("Command", {"Command": "core show version"}),
            ("UpdateConfig", {"SrcFilename": "pjsip.conf", "DstFilename": "pjsip.conf"}),
            ("AGI", {"Channel": "none", "Command": "answer"}),
        ):
            answer = await floor.ami.action(name, **fields)
            assert answer[0]["Response"] == "Error", name
        for name, fields in (
            ("QueueAdd", {"Queue": "oita-general", "Interface": "PJSIP/oita-p1", "MemberName": "101"}),
            ("QueuePause", {"Queue": "oita-general", "Interface": "PJSIP/oita-p1", "Paused": "true"}),
            ("QueueRemove", {"Queue": "oita-general", "Interface": "PJSIP/oita-p1"}),
            ("UserEvent", {"UserEvent": "CallcoreCanary", "Run": "7"}),
            ("CoreStatus", {}),
            ("DBPut", {"Family": "callcore-hours", "Key": "oita/20260101", "Val": "1-2,3-4"}),
            ("DBGet", {"Family": "callcore-hours", "Key": "oita/20260101"}),
        ):
            answer = await floor.ami.action(name, **fields)
            assert answer[0]["Response"] == "Success", answer
        await floor.ami.event("CallcoreCanary", Run="7")
        devices = await floor.ami.action("DeviceStateList")
        assert {"PJSIP/oita-p1", "PJSIP/oita-p2"} <= {row.get("Device") for row in devices}
        queues = await floor.ami.action("QueueStatus")
        assert {row.get("Queue") for row in queues[1:-1]} >= {"oita-general", "beppu-general"}
        allowed = {"FullyBooted", "DeviceStateChange", "UserEvent", *dialplan.PHONE_EVENTS}
        assert {e["Event"] for e in floor.ami.events} <= allowed
        phone = {"Channel": "PJSIP/oita-p1", "Context": "callcore-phones", "Exten": "s", "Priority": "1"}
        answer = await floor.ami.action("Originate", **phone, Async="true")  # a phone is made to dial
        assert answer[0]["Response"] == "Success", answer


@pytest.mark.parametrize("version", ["22.10.1", "20.6.0"])
async def test_only_the_named_events_arrive_with_new_and_with_old_filters(
    tmp_path: Path, version: str
) -> None:
    async with (
        running_floor(tmp_path, small_centre(), asterisk_version=version) as floor,
        floor.ami.beating(),
    ):
        call, channel, leg = await floor.talk()
        call.press("1")
        await leg.hold()
        await floor.ami.event("Hold")
        await leg.resume()
        await floor.ami.event("Unhold")
        pin = await floor.desks[1].call("*11102")
        feature = await floor.ami.event("CallcoreFeature")
        pin.press("7")
        await floor.ami.event("DTMFEnd", Channel=feature["Channel"], Digit="7")
        call.hang_up()
        await floor.ami.event("Hangup", Channel=channel)
        names = {e["Event"] for e in floor.ami.events}
        assert names <= {*EVENTS, "DeviceStateChange", "DTMFEnd"}
        refused = set(dialplan.PHONE_EVENTS) - {"ContactStatus", "SuccessfulAuth"}
        assert names >= set(EVENTS) - {"Shutdown"} - refused
        assert {e["Device"] for e in floor.ami.events if e["Event"] == "DeviceStateChange"} == {
            "PJSIP/oita-p1",
            "PJSIP/oita-p2",
        }
        assert [e["Digit"] for e in floor.ami.events if e["Event"] == "DTMFEnd"] == ["7"]


async def test_loading_the_dialplan_again_does_not_stop_the_heart(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre(), phones=0) as floor:
        await floor.ami.beat()
        before = re.search(
            r"CALLCORE_HEARTBEAT=(\d+)", await floor.pbx.process.command("dialplan show globals")
        )
        await floor.pbx.process.command("dialplan reload")
        after = re.search(
            r"CALLCORE_HEARTBEAT=(\d+)", await floor.pbx.process.command("dialplan show globals")
        )
        assert before is not None
        assert after is not None
        assert before[1] == after[1]


async def test_every_application_and_function_of_the_dialplan_is_loaded(tmp_path: Path) -> None:
    lines = [
        line for line in DIALPLAN.read_text().splitlines() if line.lstrip().startswith(("exten", "same"))
    ]
    applications = {m for line in lines for m in re.findall(r"(?:,1,|n(?:\(\w+\))?,)(\w+)\(", line)}
    applications |= {m for line in lines for m in re.findall(r"\?([A-Z][a-z]\w*)\(", line)}
    functions = {m for line in lines for m in re.findall(r"[$#]\{([A-Z_]+)\(", line)}
    assert {"Dial", "ExecIf", "WaitForCondition"} <= applications
    async with running_floor(tmp_path, small_centre(), phones=0) as floor:
        for kind, names in (("application", applications), ("function", functions)):
            for name in sorted(names):
                shown = await floor.pbx.process.command(f"core show {kind} {name}")
                assert "Synopsis" in shown, f"{kind} {name}: {shown}"
        assert " ERROR[" not in floor.pbx.log(), floor.pbx.log()


def shown(call: Call) -> str:
    """The name that the phone shows before it is answered."""
    assert call.invite is not None
    found = re.match(r'"(.*)" <sip:', call.invite.get("from"))
    assert found is not None, call.invite.get("from")
    return found[1]


async def test_a_phone_shows_for_whom_it_rings_before_it_is_answered_and_is_never_told_to_answer_by_itself(
    tmp_path: Path,
) -> None:
    files = small_centre()
    oita, beppu = files.centres
    phones = (replace(oita.phones[0]), replace(oita.phones[1], display=Display.ROMAN), *oita.phones[2:])
    files = replace(files, centres=(replace(oita, display="大分市", phones=phones), beppu))
    async with running_floor(tmp_path, files) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        await floor.ami.action(
            "Setvar", Channel=channel, Variable="__CALLCORE_NOTE", Value="再入電~called today"
        )
        await floor.ami.action(
            "Setvar", Channel=channel, Variable="CALLCORE_PHONES", Value="4.1~oita-p1,oita-p2"
        )
        await floor.offer(channel, "4.1", "*")
        japanese, roman = await floor.desks[0].rings(), await floor.desks[1].rings()
        assert re.fullmatch(r"再入電 大分市 日本語 09012345678 待ち\d+秒", shown(japanese))
        assert re.fullmatch(r"called today oita ja 09012345678 \d+s", shown(roman))
        for leg in (japanese, roman):
            assert leg.invite is not None
            assert "<sip:09012345678@" in leg.invite.get("from")
            assert not leg.invite.all("alert-info")
            assert not leg.invite.all("call-info")
            assert "answer" not in leg.invite.text.lower()
        japanese.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        call.hang_up()
        await japanese.until("bye")
        # The carrier was told nothing of it, and neither CDR nor CEL has it.
        told = "\n".join(message.text for message in floor.trunk.messages)
        assert "大分市" not in told
        assert "oita" not in told
        assert "大分市" not in str(floor.pbx.cel()) + str(floor.pbx.cdr())


async def test_a_withheld_number_is_called_so_and_the_safety_net_shows_the_same(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        floor.trunk.user = "anonymous"
        async with floor.ami.beating():
            call, channel = await floor.waiting_caller()
            await floor.offer(channel, "4.1", "oita-p1")
            leg = await floor.desks[0].rings()
            assert " 非通知 " in shown(leg)
            assert leg.invite is not None
            assert "anonymous" not in leg.invite.get("from")
            await floor.ami.action("QueueAdd", Queue="oita-general", Interface="PJSIP/oita-p2")
        # callcore is dead from here on; the offer's caller is given up by its phone and falls into the net.
        leg.hang_up()
        in_net = await floor.desks[1].rings()
        assert re.search(r"センター 日本語 非通知 待ち\d+秒$", shown(in_net))
        call.hang_up()


async def test_where_the_centre_wishes_an_agent_hears_for_whom_before_the_caller_is_put_through(
    tmp_path: Path,
) -> None:
    files = small_centre()
    oita, beppu = files.centres
    words = (*oita.announcements, Announcement("whisper", "ja", "whisper", "oita/ja/overflow"))
    files = replace(files, centres=(replace(oita, announcements=words), beppu))
    async with running_floor(tmp_path, files) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        await floor.offer(channel, "4.1", "oita-p1")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(leg, OVERFLOW_HZ)
        await until_hears(leg, CALLER_HZ)
        await until_hears(call, AGENT_HZ)
        assert (
            max(
                loudness(bytes(call.heard[n : n + RATE // 2]), OVERFLOW_HZ)
                for n in range(0, len(call.heard) - RATE, RATE // 2)
            )
            < 0.5
        )
