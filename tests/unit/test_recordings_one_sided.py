"""One side of a recording is not heard: told by its sound where both sides are there apart; who listens is no fault."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from callcore.access.rights import Person
from callcore.domain import inputs as i
from callcore.domain.findings import Apart, Expected, Heard, Side, judge
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.recording import SoundFormat
from callcore.recordings import heard
from callcore.recordings.measure import both_sides
from callcore.recordings.sides import discard, sides_of
from callcore.runtime.recordingdesk import RecordingDesk
from tests.support import audio
from tests.support.store import House
from tests.unit.test_recordings_in_time import sidecar
from tests.unit.test_recordings_stereo import CALL, OF, killed, written

SECONDS = 20
SPEECH = audio.speech_like(7, SECONDS, level=0.4)
NOTHING = np.zeros(len(SPEECH))
ALAW_SILENCE = np.full(len(SPEECH), 8.5 / 32767)
"""0xD5, the least that A-law has."""
NOISE = np.where(np.random.default_rng(9).random(len(SPEECH)) < 0.5, -8.5, 8.5) / 32767
"""As little as µ-law has."""
HUM = 0.004 * np.sin(2 * np.pi * 50 * np.arange(len(SPEECH)) / audio.RATE)
"""Of a room: louder than a line, and no voice."""

ARRIVAL = Expected(SECONDS * SECOND, 0, (SECONDS + 20) * SECOND, (SECONDS + 20) * SECOND, SECONDS * SECOND)
OUT = replace(ARRIVAL, lasted=SECONDS * SECOND, caller=SECONDS * SECOND, apart=Apart(True, 5 * SECOND))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def found(house: House, expected: Expected = ARRIVAL, name: str = CALL) -> set[str]:
    """In a recording that lies there."""
    measured, voices = heard(house.recordings, name)
    return {
        each.value
        for each in judge(
            Heard(measured.seconds, voices.voice_s, voices.clipped_s, measured.problem, voices.sides),
            expected,
        )
    }


def test_a_caller_of_whom_nothing_comes_from_the_answer_on_is_named(house: House) -> None:
    """While he or she waited packets came: of the whole call there are as many as a talk's."""
    written(house.spool, NOTHING, SPEECH)
    expected = replace(ARRIVAL, caller=20 * SECOND)
    assert found(house, expected) == {"silent_caller"}
    discard(house.spool / f"{CALL}.wav")
    assert found(house, expected) == set(), "of the mixed one alone nobody can tell"


@pytest.mark.parametrize("sent", [NOTHING, ALAW_SILENCE, NOISE, HUM], ids=["µ-law", "A-law", "noise", "hum"])
def test_an_agent_whose_headset_is_dead_and_whose_phone_sends_silence_is_named(
    house: House, sent: audio.Samples
) -> None:
    written(house.spool, SPEECH, sent)
    assert found(house) == {"silent_agent"}


@pytest.mark.parametrize("sent", [NOTHING, ALAW_SILENCE], ids=["µ-law", "A-law"])
def test_a_caller_whose_packets_hold_no_sound_is_named(house: House, sent: audio.Samples) -> None:
    written(house.spool, sent, SPEECH)
    assert found(house) == {"silent_caller"}


@pytest.mark.parametrize("line", [NOISE, HUM], ids=["noise", "hum"])
def test_a_caller_who_listens_is_no_fault_whatever_little_the_line_has(
    house: House, line: audio.Samples
) -> None:
    written(house.spool, line, SPEECH)
    assert found(house) == set()


def test_who_says_little_has_a_voice(house: House) -> None:
    """A caller who is heard for a second in a line without noise; an agent who greets and then listens."""
    caller, agent = NOTHING.copy(), NOTHING.copy()
    agent[: audio.RATE] = 3 * SPEECH[: audio.RATE]
    caller[-audio.RATE :] = 3 * SPEECH[-audio.RATE :]
    written(house.spool, caller, agent)
    assert found(house) == set()


def test_of_a_call_out_whoever_listens_is_no_fault_and_whoever_is_still_is(house: House) -> None:
    """Left is who was called: an answering machine, which the agent hears out."""
    for left, right, wanted in (
        (SPEECH, NOISE, set()),
        (NOISE, SPEECH, set()),
        (SPEECH, NOTHING, {"silent_agent"}),
        (NOTHING, SPEECH, {"silent_caller"}),
    ):
        written(house.spool, left, right)
        for apart in (Apart(True, 5 * SECOND), Apart(False, 5 * SECOND), Apart(True, 5 * SECOND, stays=True)):
            assert found(house, replace(OUT, apart=apart)) == wanted


def test_music_for_who_is_held_is_sound_of_the_other_side(house: House) -> None:
    """A caller who is held, and listens; the agent's phone sends nothing meanwhile."""
    music = NOTHING.copy()
    music[5 * audio.RATE :] = SPEECH[5 * audio.RATE :]
    written(house.spool, NOISE, music)
    assert found(house, replace(ARRIVAL, far=5 * SECOND)) == set()


def test_a_pause_is_silence_of_nobody(house: House) -> None:
    """Both are still in it, and what is left is too short to tell."""
    left, right = SPEECH.copy(), NOTHING.copy()
    left[4 * audio.RATE :] = 0
    written(house.spool, left, right)
    assert found(house, replace(ARRIVAL, paused=16 * SECOND)) == set()
    assert found(house, replace(ARRIVAL, paused=14 * SECOND)) == {"silent_agent"}


def test_where_neither_is_heard_that_is_what_is_told(house: House) -> None:
    written(house.spool, NOTHING, NOTHING)
    assert found(house) == {"silent"}


def test_a_message_has_one_side(house: House) -> None:
    written(house.spool, SPEECH, NOTHING, f"{CALL}.message")
    discard(house.spool / f"{CALL}.message.wav")
    assert heard(house.recordings, f"{CALL}.message")[1].sides == ()


def test_one_that_asterisk_was_killed_over_is_judged_by_what_lies_there(house: House) -> None:
    for left, right, wanted in ((SPEECH, 2 * SPEECH, set()), (SPEECH, NOTHING, {"silent_agent"})):
        plain = written(house.spool, left, right)
        killed(plain)
        with plain.open("ab") as file:
            file.write(b"\1")
        assert found(house, replace(ARRIVAL, talk=17 * SECOND, far=17 * SECOND)) == wanted


@pytest.mark.parametrize("side", [0, 1])
def test_sides_that_are_not_the_recordings_own_tell_nothing(house: House, side: int) -> None:
    """Taken away, cut off, or full of nothing after a power cut."""
    plain = written(house.spool, NOISE, SPEECH)
    of = sides_of(plain)[side]
    size = of.stat().st_size
    whole = of.read_bytes()
    for left in (whole[: size // 4], bytes(size), b""):
        of.write_bytes(left)
        assert heard(house.recordings, CALL)[1].sides == () and found(house) == set()
    of.unlink()
    assert heard(house.recordings, CALL)[1].sides == () and found(house) == set()


@pytest.mark.parametrize("stereo", [True, False])
def test_what_was_sealed_before_it_was_measured_is_judged_by_its_channels(house: House, stereo: bool) -> None:
    plain = written(house.spool, NOTHING, SPEECH)
    before = heard(house.recordings, CALL)
    assert before[1].sides == (Side(0.0, 0.0), Side(before[1].voice_s[0], before[1].sides[1].sound_s))
    house.keeper().keep(plain, replace(OF, form=SoundFormat.OPUS, measured=False, stereo=stereo))
    assert not plain.exists() and not any(each.exists() for each in sides_of(plain))
    assert heard(house.recordings, CALL)[1].sides == (before[1].sides if stereo else ())
    assert found(house) == ({"silent_caller"} if stereo else set())


def test_of_a_talk_in_which_both_are_heard_no_more_than_its_beginning_is_looked_at(house: House) -> None:
    plain = written(house.spool, SPEECH, SPEECH[::-1])
    looked = both_sides(house.recordings, CALL)
    for each in (plain, *sides_of(plain)):
        os.truncate(each, 44 + 15 * audio.RATE * 2)
    assert looked == both_sides(house.recordings, CALL) and min(each.sound_s for each in looked) > 1


async def test_the_sidecar_tells_the_engine_of_both_sides(tmp_path: Path) -> None:
    written(House(tmp_path).spool, NOTHING, SPEECH)
    one, put = sidecar(tmp_path), []
    desk = RecordingDesk(SimpleNamespace(put=put.append), lambda: Instant(1))  # type: ignore[arg-type]

    async def ask(command: str, **said: Any) -> dict[str, Any]:
        await desk.commands[command].handler(
            json.loads(json.dumps(said)), Person("service", "", {}, frozenset())
        )
        return {}

    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    await one._file(CallId(CALL), 10 * SECOND)
    (told,) = put
    assert isinstance(told, i.RecordingMeasured)
    assert told.sides == heard(House(tmp_path).recordings, CALL)[1].sides != ()
