"""The stop of a recording, as it is carried out: which MixMonitor of the channel it hits."""

from __future__ import annotations

from typing import cast

import pytest

from callcore.ami.link import Link
from callcore.ami.perform import Performer
from callcore.ami.wire import ActionFailed, Event, parse
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.ids import CallId, ChannelId, Instant

NOW = Instant(1_795_100_400_000_000)
FAR = ChannelId("node1-1795100430.9")
STOP = e.StopRecording(CallId("node1-1795100400.3"), "PJSIP/trunk-00000001", far=FAR, own=True, consult=False)


class Asterisk:
    """A caller's channel with one MixMonitor, in a bridge with the department's. `back_at`: the action just after which
    the department has put down and the waiting line has begun the recording anew, as `callcore-anew` does."""

    def __init__(self, back_at: str | None = None) -> None:
        self.variables = {"CALLCORE_TAPE": "0x1"}
        self.running = {"0x1"}
        self.bridge = "b1"
        self.asked: list[str] = []
        self._back_at = back_at

    async def call(self, fields: dict[str, str], **_limit: float) -> dict[str, str]:
        action = f"{fields['Action']} {fields.get('Variable', fields.get('MixMonitorID'))}"
        self.asked.append(action)
        match fields["Action"]:
            case "Getvar":
                answer = {"Value": self.variables.get(fields["Variable"], "")}
            case "Setvar":
                self.variables[fields["Variable"]] = fields["Value"]
                answer = {}
            case _:
                if fields["MixMonitorID"] not in self.running:
                    raise ActionFailed("StopMixMonitor", "Could not stop monitoring channel")
                self.running.discard(fields["MixMonitorID"])
                answer = {}
        if action == self._back_at:
            self.waits_again()
        return answer

    async def call_list(self, fields: dict[str, str], **_limit: float) -> list[Event]:
        action = f"{fields['Action']} {'far' if fields['Channel'] == FAR else 'caller'}"
        self.asked.append(action)
        answer = parse(f"Event: Status\r\nBridgeID: {self.bridge}\r\n".encode())
        assert isinstance(answer, Event)
        if action == self._back_at:
            self.waits_again()
        return [answer]

    def waits_again(self) -> None:
        self.variables.pop("CALLCORE_STOPPED", "")
        self.running, self.bridge = {"0x2"}, ""
        self.variables["CALLCORE_TAPE"] = "0x2"

    async def perform(self, effect: e.Effect) -> i.Input | None:
        async def entitled() -> bool:
            return True

        async def sleep(_seconds: float) -> None:
            raise AssertionError("nothing is waited for")

        performer = Performer(cast(Link, self), entitled=entitled, now=lambda: NOW, sleep=sleep)
        return await performer.perform(effect)


async def test_the_recorder_to_be_stopped_is_known_before_the_waiting_line_is_told() -> None:
    asterisk = Asterisk()
    assert await asterisk.perform(STOP) == i.RecordingStopTold(at=NOW, call=STOP.call)
    assert asterisk.asked == [
        "Getvar CALLCORE_TAPE",
        "Getvar CALLCORE_STOPPED",
        "Status caller",
        "Status far",
        "Setvar CALLCORE_STOPPED",
        "StopMixMonitor 0x1",
    ]
    assert asterisk.running == set()
    assert asterisk.variables["CALLCORE_STOPPED"] == str(NOW)


@pytest.mark.parametrize(
    ("back_at", "stopped"),
    [
        ("Getvar CALLCORE_TAPE", False),
        ("Getvar CALLCORE_STOPPED", False),
        ("Status caller", False),
        ("Status far", False),
        ("Setvar CALLCORE_STOPPED", False),
        ("StopMixMonitor 0x1", True),
    ],
)
async def test_whenever_the_department_puts_down_the_next_talk_is_recorded(
    back_at: str, stopped: bool
) -> None:
    asterisk = Asterisk(back_at)
    told = await asterisk.perform(STOP)
    assert (told is not None) == stopped
    assert asterisk.running == {asterisk.variables["CALLCORE_TAPE"]} == {"0x2"}


async def test_a_stop_that_comes_when_the_caller_is_back_stops_nothing() -> None:
    asterisk = Asterisk()
    asterisk.waits_again()
    assert await asterisk.perform(STOP) is None
    assert asterisk.running == {"0x2"}
    assert "CALLCORE_STOPPED" not in asterisk.variables


async def test_asked_once_more_it_tells_the_first_time() -> None:
    asterisk = Asterisk()
    await asterisk.perform(STOP)
    asterisk.variables["CALLCORE_STOPPED"] = str(NOW - 5)
    assert await asterisk.perform(STOP) == i.RecordingStopTold(at=Instant(NOW - 5), call=STOP.call)
    assert asterisk.variables["CALLCORE_STOPPED"] == str(NOW - 5)
