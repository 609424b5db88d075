"""A recording held against its talk: what is missing, short, silent, clipped, and a talk that nobody sent sound for."""

from __future__ import annotations

import hashlib
import math
import wave
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.ami.translate import translate
from callcore.ami.wire import Event, parse
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.evolve import evolve
from callcore.domain.findings import Apart, Expected, Finding, Heard, Side, judge
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant
from callcore.domain.tape import Excess, Gap, Tape
from callcore.recordings import KeyRing, Recordings, cut, heard, measure, voices
from callcore.recordings.measure import Voices
from tests.contract.fake_ami import event as fake_event
from tests.support.floors import NODE, Desk
from tests.support.store import unclosed, wav

RATE = 8000


def expected(
    talk: float = 60,
    *,
    caller: float | None = None,
    far: float | None = None,
    before: float = 20,
    paused: float = 0,
) -> Expected:
    """A talk after `before` seconds of waiting; both sides sent sound all the time unless it says so."""
    lasted = talk + before
    sent = [lasted if caller is None else caller, talk if far is None else far]
    talked, lasted_us, pause, *both = (round(each * SECOND) for each in (talk, lasted, paused, *sent))
    return Expected(talked, pause, lasted_us, *both)


def of(seconds: float, *voice: float, clipped: float = 0, problem: str | None = None) -> Heard:
    return Heard(seconds, voice or (seconds / 2,), clipped, problem)


def named(heard: Heard, wanted: Expected) -> set[str]:
    return {each.value for each in judge(heard, wanted)}


@pytest.mark.parametrize(
    ("seconds", "found"),
    [(60.0, set()), (59.0, set()), (58.9, {"short"}), (58.0, {"short"}), (0.5, {"short"}), (60.9, set())],
)
def test_a_recording_that_lacks_more_than_a_second_of_the_talk_is_short(
    seconds: float, found: set[str]
) -> None:
    assert named(of(seconds), expected()) == found


def test_a_talk_of_an_hour_may_lack_no_more_than_that_either() -> None:
    assert named(of(3599.0), expected(3600)) == set()
    assert named(of(3598.5), expected(3600)) == {"short"}


def test_a_talk_that_was_seen_whole_may_not_be_longer_by_more_than_a_second() -> None:
    seen = replace(expected(60), whole=True)
    assert named(of(61.0), seen) == set()
    assert named(of(61.1), seen) == {"long"}
    assert named(of(61.1), expected(60)) == set(), "nobody knows to the second how long it is to be"
    hour = replace(expected(3600), whole=True)
    assert named(of(3604.5), hour) == set(), "the sender's clock is ahead"
    assert named(of(3604.7), hour) == {"long"}


@pytest.mark.parametrize(
    ("meanwhile", "whole"),
    [
        (None, True),
        (f.ClockStepped(at=Instant(0), by=-40_000_000), False),
        (f.CallMarkedImprecise(at=Instant(0), call=CallId("c1")), False),
        (f.CallHeld(at=Instant(0), call=CallId("c1"), agent=AgentId("1001")), True),
        (
            f.CallHeld(at=Instant(0), call=CallId("c1"), agent=AgentId("1001"), reconstructed=True),
            False,
        ),
    ],
    ids=["all seen", "clock set", "told late", "held", "told afterwards"],
)
def test_how_long_a_recording_may_be_is_known_of_a_talk_that_was_seen_whole(
    meanwhile: f.Fact | None, whole: bool
) -> None:
    made = Desk().begin()
    made.sign_in(0, 1)
    made.wait(1)
    leg = made.pick_up(3)
    if meanwhile is not None:
        made.floor = evolve(made.floor, replace(meanwhile, at=made.at(20)))
    made.tell(i.ChannelGone(at=made.at(33), channel=leg, cause=16, received=30 * SECOND))
    made.tell(i.ChannelGone(at=made.at(33), channel=ChannelId("c1"), cause=16, received=32 * SECOND))
    assert made.floor.expected[CallId("c1")].whole is whole


def test_time_without_sound_from_either_side_is_told_and_is_no_fault_of_the_recording() -> None:
    silent_line = expected(60, caller=20 + 50, far=45)
    assert named(of(50.0), silent_line) == {"no_media"}
    assert named(of(48.9), silent_line) == {"no_media", "short"}
    assert named(of(0, problem="empty"), expected(10, caller=20, far=0)) == {"no_media"}
    assert named(of(0, problem="missing"), expected(10, caller=20, far=0)) == {"no_media"}
    assert named(of(0, problem="missing"), expected(10)) == {"missing"}
    assert named(of(0, problem="unreadable"), expected(10, caller=20, far=0)) == {"no_media", "unreadable"}


def test_one_side_that_goes_on_sending_is_enough() -> None:
    held = expected(60, far=20)  # the agent's phone holds the caller for 40 s
    assert named(of(60.0), held) == set()
    assert named(of(60.0), expected(60, caller=25, far=60)) == set()


def test_a_side_that_sent_nothing_is_named() -> None:
    assert named(of(60.0), expected(60, caller=0, far=60)) == {"silent_caller"}
    assert named(of(60.0), expected(60, far=0)) == {"silent_agent"}
    assert named(of(4.0), expected(4, far=0)) == set(), "too short to tell"


def test_silence_in_the_sound_is_named_by_its_side_where_the_sides_are_apart() -> None:
    def apart(caller: Side, other: Side) -> Heard:
        return replace(of(60, 30.0), sides=(caller, other))

    assert named(of(60, 0.4), expected()) == {"silent"}
    assert named(of(60, 0.2, 0.3), expected()) == {"silent"}
    still, listening, speaking = Side(0, 0.4), Side(0.4, 60), Side(0.5, 0.5)
    assert named(apart(still, speaking), expected()) == {"silent_caller"}
    assert named(apart(listening, speaking), expected()) == set()
    assert named(apart(speaking, listening), expected()) == {"silent_agent"}
    assert named(apart(still, still), expected()) == {"silent_caller", "silent_agent"}
    assert named(apart(still, speaking), expected(paused=56)) == set(), "too short to tell"
    out = replace(expected(), apart=Apart(True, 0))
    assert named(apart(speaking, listening), out) == set()
    assert named(apart(speaking, still), out) == {"silent_agent"}
    assert named(of(4, 0.0), expected(4)) == set(), "somebody who picked up and put down"
    assert named(of(60, 0.4), expected(paused=56)) == set(), "a pause is silence that somebody asked for"
    assert named(Heard(60.0), expected()) == set(), "a form whose sound was not looked at"


def test_a_clipped_recording_is_named_and_a_loud_word_is_not() -> None:
    assert named(of(60, 30, clipped=2), expected()) == {"clipped"}
    assert named(of(60, 30, clipped=0.9), expected()) == set()
    assert named(of(600, 300, clipped=2), expected(600)) == set()


def test_where_nobody_knows_what_was_sent_it_may_drift_as_the_nightly_comparison_allows() -> None:
    unknown = Expected(60 * SECOND)
    assert named(of(57.0), unknown) == set()
    assert named(of(56.7), unknown) == {"short"}


def test_the_gravest_comes_first() -> None:
    assert judge(of(40, 0.0), expected(60, caller=20 + 50, far=50)) == (
        Finding.SHORT,
        Finding.SILENT,
        Finding.NO_MEDIA,
    )


# -- sound ----------------------------------------------------------------------------------------------------------


def sine(level: float, seconds: float, hz: float = 440) -> list[int]:
    step = 2 * math.pi * hz / RATE
    return [max(-32124, min(32124, round(level * math.sin(step * n)))) for n in range(round(seconds * RATE))]


def written(path: Path, *sides: list[int]) -> Callable[[], object]:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(sides))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(array("h", [each for frame in zip(*sides, strict=True) for each in frame]).tobytes())
    return lambda: path.open("rb")


def test_each_channel_is_measured_for_itself(tmp_path: Path) -> None:
    loud, still = sine(8000, 12), sine(100, 12)
    found = voices(written(tmp_path / "a.wav", loud, still))  # type: ignore[arg-type]
    assert found.voice_s == (12.0, 0.0) and found.clipped_s == 0
    found = voices(written(tmp_path / "b.wav", still, sine(90_000, 12)))  # type: ignore[arg-type]
    assert found.voice_s == (0.0, 12.0) and found.clipped_s == 12.0
    assert measure(written(tmp_path / "c.wav", loud, still)).seconds == 12.0  # type: ignore[arg-type]


def test_a_full_scale_tone_that_just_touches_the_end_is_not_clipped(tmp_path: Path) -> None:
    assert voices(written(tmp_path / "a.wav", sine(31_900, 2))).clipped_s == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("promised", [0, RATE])
@pytest.mark.parametrize("torn", [b"", b"\1"])
def test_one_that_asterisk_was_killed_over_is_judged_by_the_sound_that_lies_there(
    tmp_path: Path, promised: int, torn: bytes
) -> None:
    path = tmp_path / "c1.wav"
    written(path, sine(90_000, 3) + sine(8000, 6) + sine(0, 3))
    whole = measure(lambda: path.open("rb"))
    unclosed(path, promised)
    with path.open("ab") as file:
        file.write(torn)
    found = measure(lambda: path.open("rb"))
    assert (found.size, found.seconds, found.problem) == (whole.size + len(torn), 12.0, None)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest(), "of the file as it lies there"
    assert voices(lambda: path.open("rb")) == Voices((9.0,), 3.0)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(22, b"\3\0", id="three channels in a sample"),
        pytest.param(22, b"\0\x40", id="thousands of channels"),
        pytest.param(24, b"\x40\x1f\0\x20", id="half a billion samples a second"),
        pytest.param(24, b"\x40\x1f\0\x80", id="more than a header holds"),
        pytest.param(32, b"\2\x48", id="a sample of 18 kB"),
    ],
)
def test_a_damaged_header_makes_a_recording_unreadable_and_ends_nothing(
    tmp_path: Path, place: int, value: bytes
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    path = wav(spool / "demo-1.2.wav", 3)
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(data)
    tape = Tape(2 * SECOND, (Excess(2 * SECOND, SECOND),), gaps=(Gap(0, SECOND),))
    assert not cut(path, tape, tmp_path / "none")
    assert path.read_bytes() == data
    found, voices = heard(Recordings(spool, tmp_path / "store", KeyRing(tmp_path / "keys")), path.stem)
    assert (found.problem, found.size, voices.voice_s) == ("unreadable", len(data), ())


def test_one_that_asterisk_was_killed_over_before_any_sound_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "c1.wav"
    written(path, [])
    unclosed(path)
    found = measure(lambda: path.open("rb"))
    assert (found.size, found.seconds, found.problem) == (44, 0.0, "empty")


# -- from Asterisk's own count to the fact ---------------------------------------------------------------------------

SEEN = (
    "ssrc=296089738;themssrc=3090080049;lp=0;rxjitter=0.000750;rxcount=489;txjitter=0.001625;txcount=488;"
    "rlp=0;rtt=0.000000;rxmes=88.087887;txmes=88.087887"
)
"""At the Hangup of a caller of 9.8 s, Asterisk 22.10.1."""


@pytest.mark.parametrize(
    ("told", "received"),
    [(SEEN, 9_780_000), ("txcount=3;xrxcount=7", None), ("rxcount=x", None), (None, None)],
)
def test_the_hangup_tells_how_much_sound_was_received(told: str | None, received: int | None) -> None:
    more = () if told is None else (f"ChanVariable: RTPAUDIOQOS={told}",)
    event = parse(fake_event("Hangup", "Timestamp: 1795143600.000001", "Uniqueid: c1", "Cause: 16", *more))
    assert isinstance(event, Event)
    gone = translate(event, NODE)
    assert isinstance(gone, i.ChannelGone) and gone.received == received


def test_an_agent_who_left_unseen_is_not_held_to_have_been_silent() -> None:
    made = Desk().begin()
    made.sign_in(0, 1)
    made.wait(1)
    leg = made.pick_up(3)
    left = f.LegEnded(at=made.at(60), call=CallId("c1"), channel=leg, cause=16, reconstructed=True)
    made.floor = evolve(made.floor, left)
    made.tell(i.ChannelGone(at=made.at(63), channel=ChannelId("c1"), cause=16, received=20 * SECOND))
    expected = made.floor.expected[CallId("c1")]
    assert (expected.caller, expected.far) == (20 * SECOND, None)
    assert judge(Heard(60.0, (30.0,)), expected) == ()


def test_what_was_sent_in_the_talk_stands_beside_what_was_recorded() -> None:
    made = Desk().begin()
    made.sign_in(0, 1)
    made.wait(1)
    leg = made.pick_up(3)
    made.tell(i.ChannelGone(at=made.at(33), channel=leg, cause=16, received=20 * SECOND))
    made.tell(i.ChannelGone(at=made.at(33), channel=ChannelId("c1"), cause=16, received=27 * SECOND))
    made.tell(
        i.RecordingMeasured(
            at=made.at(36),
            call=CallId("c1"),
            file="c1.wav",
            size=9,
            seconds=20.0,
            sha256=None,
            problem=None,
            voice_s=(10.0,),
        )
    )
    [filed] = [fact for fact in made.facts if isinstance(fact, f.RecordingFiled)]
    assert (filed.talk, filed.sent) == (30.0, 25.0)
    assert filed.findings == (Finding.SHORT, Finding.NO_MEDIA)
    assert CallId("c1") not in made.floor.expected
