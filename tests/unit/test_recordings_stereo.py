"""Both sides of a recording, kept in two channels where they are whole; else the mixed one is kept, and it is told."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import subprocess
import wave
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from immutables import Map
from structlog.testing import capture_logs

from callcore.domain import facts as f
from callcore.domain.centre import Recordings as Rules
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.recording import Channels, RecordingKind, SoundFormat
from callcore.domain.tape import Excess, Gap, Tape
from callcore.domain.values import changed
from callcore.erasing.copies import destroy
from callcore.erasing.search import named
from callcore.erasing.sounds import Sounds, told
from callcore.pcm import interleaved, mixed
from callcore.reconciliation import _looked_at
from callcore.recordings import cut, filed, played, protect
from callcore.recordings import heard as listened
from callcore.recordings.chain import Chain, Kept, kept_line
from callcore.recordings.errors import StillWritten
from callcore.recordings.exported import verify_export
from callcore.recordings.keeper import Whose, _by_its_centre, whose
from callcore.recordings.sides import CHUNK, joined, sides_of
from callcore.recordings.signing import signer
from callcore.recordings.verify import digest
from callcore.runtime.ports import Seq, View
from tests.support import audio
from tests.support.floors import Desk, centre
from tests.support.store import NOON, House, Killed, unclosed
from tests.unit.test_recordings_export import exported, row

CALL = "node1-1795143501.7"
OF = Whose("oita", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True, stereo=True)
BLOCK = 1 << 15
FORMATS = [SoundFormat.WAV, SoundFormat.ULAW, SoundFormat.OPUS]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def written(folder: Path, left: audio.Samples, right: audio.Samples, name: str = CALL) -> Path:
    """What Asterisk leaves: both mixed, saturated as it does, and either side apart."""
    sides = [(np.clip(each, -1, 1) * 32767).astype("<i2") for each in (left, right)]
    both = np.clip(sides[0].astype(int) + sides[1], -32767, 32767).astype("<i2")
    path = folder / f"{name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, audio.RATE, 0, "NONE", ""))
        file.writeframes(both.tobytes())
    for side, samples in zip(sides_of(path), sides, strict=True):
        side.write_bytes(samples.tobytes())
        side.chmod(0o600)
    return path


def talk(house: House, seconds: float = 4, name: str = CALL) -> Path:
    """The citizen first, then the agent, then both, so loud that what is mixed is cut off."""
    left, right = audio.speech_like(7, seconds, level=0.9), audio.speech_like(8, seconds, level=0.9)
    third = len(left) // 3
    right[:third] = left[third : 2 * third] = 0
    return written(house.spool, left, right, name)


def keep(house: House, plain: Path, form: SoundFormat = SoundFormat.WAV) -> Kept:
    house.keeper().keep(plain, replace(OF, call=plain.stem, form=form))
    return line_of(house, plain.stem)


def line_of(house: House, name: str = CALL) -> Kept:
    path = house.recordings.find(name)
    assert path is not None
    line = kept_line(house.store, "oita", path.parent.name, name)
    assert line is not None
    return line


def heard(house: House, name: str = CALL) -> np.ndarray:
    """Left and right, as any player of files hears the kept one."""
    with house.recordings.open(name) as file:
        decode = ("-i", "pipe:0", "-f", "s16le", "-ar", str(audio.RATE), "pipe:1")
        data = subprocess.run(
            ["ffmpeg", "-loglevel", "error", *decode], input=file.read(), capture_output=True, check=True
        ).stdout
    return np.frombuffer(data, "<i2").reshape(-1, 2).T / 32768


def in_clear(house: House) -> list[str]:
    return sorted(each.name for each in house.spool.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_the_citizen_is_kept_on_the_left_and_the_agent_on_the_right(house: House, form: SoundFormat) -> None:
    plain = talk(house)
    captured = digest(plain)
    sides = [np.frombuffer(each.read_bytes(), "<i2") / 32768 for each in sides_of(plain)]
    line = keep(house, plain, form)
    assert (line.channels, line.form, line.captured, line.seconds) == (2, form.value, captured, 4.0)
    path = house.recordings.find(CALL)
    assert path is not None and house.recordings.unsealed(path).head.channels == 2
    both = heard(house)
    assert abs(both.shape[1] - len(sides[0])) <= 80
    third = len(sides[0]) // 3
    assert (
        np.abs(both[1, : third - 800]).max() < 0.01
        and np.abs(both[0, third + 800 : 2 * third - 800]).max() < 0.01
    )
    for kept, side in zip(both, sides, strict=True):
        count = min(len(kept), len(side))
        assert np.corrcoef(kept[:count], side[:count])[0, 1] > (0.9 if form is SoundFormat.OPUS else 0.99)
    assert in_clear(house) == [] and house.named() == set()
    sound = _looked_at(house.recordings, path)
    assert (sound.readable, sound.whole, sound.size) == (True, True, captured.size)
    assert sound.seconds == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("step", ["join", "seal", "read back", "place", "line", "protect", "remove"])
def test_killed_at_any_step_it_is_kept_once_and_in_two_channels(
    house: House, form: SoundFormat, step: str
) -> None:
    plain = talk(house, 1)
    assert protect(house.recordings, CALL, house.protected)
    house.stop_at = step
    with pytest.raises(Killed):
        keep(house, plain, form)
    house.stop_at = None
    house.keeper().tidy()
    if plain.exists():
        keep(house, plain, form)
    assert line_of(house).channels == 2
    assert in_clear(house) == [] and house.named() == set()
    assert [each.name for each in house.protected.iterdir()] == [f"{CALL}.ccr"]
    (day,) = house.verify().days
    assert (day.kept, day.lines) == (1, 2)


def test_on_the_page_ulaw_is_played_in_two_channels_from_any_place(house: House) -> None:
    plain = talk(house)
    with joined(plain) as file:
        expected = file.read()
    keep(house, plain, SoundFormat.ULAW)
    sound = played(*house.recordings.sound(CALL))
    whole = sound.read_at(0, sound.size)
    assert (sound.size, sound.media_type, whole[:44]) == (len(expected), "audio/wav", expected[:44])
    for first, last in ((0, 50), (1001, 9000), (sound.size - 3, sound.size + 10)):
        assert sound.read_at(first, last - first) == whole[first:last]
    with wave.open(io.BytesIO(whole)) as heard:
        assert (heard.getnchannels(), heard.getnframes()) == (2, 4 * audio.RATE)


def kept_of(plain: Path) -> bytes:
    """What is to be kept of it, made here: a header for two channels, and the samples by turns."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((2, 2, audio.RATE, 0, "NONE", ""))
        file.writeframes(np.stack([np.fromfile(side, "<i2") for side in sides_of(plain)], 1).tobytes())
    return out.getvalue()


def test_both_sides_are_read_as_one_sound_from_any_place(house: House) -> None:
    plain = talk(house)
    expected, size = kept_of(plain), 44 + 4 * 4 * audio.RATE
    with joined(plain) as both:
        assert both.read() == expected and len(expected) == size
        assert (both.read(), both.read(4), both.tell(), both.captured) == (b"", b"", size, digest(plain))
        for first in (0, 1, 43, 44, 45, 46, 47, 48, 5001, size - 5, size, size + 3):
            for count in (0, 1, 3, 44, 47, 4096, 2 * CHUNK + 1, size):
                assert both.seek(first) == first
                assert both.read(count) == expected[first : first + count], (first, count)
        assert (both.seek(-4, os.SEEK_END), both.read(9)) == (size - 4, expected[-4:])
        with io.BufferedReader(both) as buffered:
            assert (buffered.seek(101), buffered.read(1000)) == (101, expected[101:1101])
    with pytest.raises(ValueError, match="size"):
        interleaved(b"1234", b"12")


def in_clear_without_a_name(house: House) -> list[str]:
    """What lies in the spool and has no name: open in this process."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(fd))
    return [each for each in found if each.startswith(str(house.spool)) and each.endswith("(deleted)")]


@pytest.mark.parametrize(
    "of",
    [
        OF,
        replace(OF, measured=False, form=SoundFormat.OPUS),
        replace(OF, ended_at=None, form=SoundFormat.OPUS),
    ],
)
def test_two_channels_are_sealed_as_they_are_joined_and_lie_in_clear_nowhere_else(
    house: House, of: Whose
) -> None:
    plain = talk(house)
    expected, captured = kept_of(plain), digest(plain)
    keeper, seen = house.keeper(), []

    def step(what: str) -> None:
        seen.append(what)
        assert in_clear_without_a_name(house) == [], what

    keeper.step = step
    keeper.keep(plain, of)
    assert {"join", "seal", "read back", "remove"} <= set(seen)
    with house.recordings.open(CALL) as kept:
        assert kept.read() == expected
    line = line_of(house)
    assert (line.channels, line.captured, line.sound.size) == (2, captured, len(expected))
    assert line.sound.sha256 == hashlib.sha256(expected).hexdigest()
    with house.recordings.opened(house.recordings.find(CALL)) as kept:  # type: ignore[arg-type]
        assert (
            mixed(kept.read()[44:])
            == np.clip(sum(np.frombuffer(expected[44:], "<i2").reshape(-1, 2).T.astype(int)), -32768, 32767)
            .astype("<i2")
            .tobytes()
        )


def touched(side: Path) -> None:
    side.write_bytes(side.read_bytes())


@pytest.mark.parametrize("change", [touched, lambda side: os.truncate(side, 1000)])
@pytest.mark.parametrize("step", ["key", "seal", "read back"])
@pytest.mark.parametrize("form", [SoundFormat.WAV, SoundFormat.ULAW])
def test_a_side_that_changes_while_it_is_sealed_costs_a_try_and_nothing_else(
    house: House, form: SoundFormat, step: str, change: Callable[[Path], None]
) -> None:
    plain = talk(house, 1)
    side = sides_of(plain)[1]
    sound, expected = side.read_bytes(), kept_of(plain)
    keeper = house.keeper()

    def meanwhile(what: str) -> None:
        if what == step:
            change(side)

    keeper.step = meanwhile
    with pytest.raises(StillWritten):
        keeper.keep(plain, replace(OF, form=form))
    assert house.recordings.find(CALL) is None and plain.exists() and side.exists()
    assert not list(house.store.glob("*/.*")), "nothing half-made stays"
    side.write_bytes(sound)
    line = keep(house, plain)
    with house.recordings.open(CALL) as kept:
        assert (line.channels, kept.read()) == (2, expected)
    assert in_clear(house) == [] and house.named() == set()


def test_on_a_disk_without_room_for_what_ffmpeg_reads_both_channels_are_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = talk(house, 1)
    expected = kept_of(plain)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("callcore.recordings.sides.write_all", full)
    keeper = house.keeper()
    keeper.keep(plain, replace(OF, form=SoundFormat.OPUS))
    line = line_of(house)
    assert (line.channels, line.form, keeper.unconverted) == (2, "wav", 1)
    with house.recordings.open(CALL) as kept:
        assert kept.read() == expected
    assert in_clear(house) == []


# -- where there are no two whole sides ------------------------------------------------------------------------------


def gone(plain: Path) -> None:
    sides_of(plain)[1].unlink()


def short(plain: Path) -> None:
    os.truncate(sides_of(plain)[0], 1000)


def shifted(plain: Path) -> None:
    side = sides_of(plain)[0]
    side.write_bytes(side.read_bytes()[-640:] + side.read_bytes()[:-640])


def lying(plain: Path) -> None:
    with plain.open("r+b") as file:
        file.seek(40)
        file.write((1 << 20).to_bytes(4, "little"))


def killed(plain: Path) -> None:
    """As an Asterisk that was killed leaves the three: whole blocks of 32 KiB, one more of the left one that it wrote
    last, and no header that tells a length."""
    unclosed(plain)
    left, right = sides_of(plain)
    whole = right.stat().st_size // BLOCK * BLOCK
    os.truncate(left, whole)
    os.truncate(right, whole - BLOCK)
    os.truncate(plain, 44 + whole - BLOCK)


def killed_before_a_side(plain: Path) -> None:
    unclosed(plain)
    os.truncate(plain, 44 + BLOCK)
    os.truncate(sides_of(plain)[1], 1000)


def half(plain: Path) -> None:
    for each, begins in ((plain, 44), *((side, 0) for side in sides_of(plain))):
        each.write_bytes(each.read_bytes() + b"1")
        size = each.stat().st_size - begins
        if begins:
            with each.open("r+b") as file:
                file.seek(4), file.write((size + 36).to_bytes(4, "little"))
                file.seek(40), file.write(size.to_bytes(4, "little"))


FAULTS = {
    half: "no whole WAV file",
    gone: f"{CALL}.right.sln がない / {CALL}.right.sln is not there",
    short: "has another length: 1000 ≠ 64000",
    shifted: "the sides together are not the recording",
    lying: "no whole WAV file",
    killed_before_a_side: f"has another length: 1000 ≠ {BLOCK}",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sides_that_do_not_fit_cost_no_recording_and_are_told(house: House, fault: object) -> None:
    plain = talk(house)
    fault(plain)  # type: ignore[operator]
    before = plain.read_bytes()
    keeper = house.keeper()
    with capture_logs() as logs:
        keeper.keep(plain, OF)
    [said] = [each for each in logs if each["log_level"] == "error"]
    assert FAULTS[fault] in said["why"] and "it is kept as one" in said["why"]  # type: ignore[index]
    assert said["file"] == plain.name
    with house.recordings.open(CALL) as file:
        assert file.read() == before
    line = line_of(house)
    assert (line.channels, line.sound, line.form) == (1, line.captured, "wav")
    assert keeper.gauges()["sidecar_recordings_unconverted"] == 1
    assert in_clear(house) == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("measured", [False, True])
def test_one_that_asterisk_was_killed_over_is_kept_in_two_channels_and_its_format(
    house: House, form: SoundFormat, measured: bool
) -> None:
    plain = talk(house, 8)
    killed(plain)
    captured, before = digest(plain), listened(house.recordings, CALL)
    frames = (plain.stat().st_size - 44) // 2
    assert [side.stat().st_size // 2 - frames for side in sides_of(plain)] == [BLOCK // 2, 0]
    sides = [np.frombuffer(side.read_bytes(), "<i2")[:frames] / 32768 for side in sides_of(plain)]
    house.keeper().keep(plain, replace(OF, form=form, measured=measured))
    line = line_of(house)
    assert (line.channels, line.form) == (2, form.value if measured else "wav")
    assert line.captured == captured and line.seconds == pytest.approx(frames / 8000, abs=0.001)
    assert in_clear(house) == [] and house.named() == set()
    for kept, wanted in zip(heard(house), sides, strict=True):
        if line.form == "wav":
            assert np.array_equal(kept, wanted)
        else:
            assert len(kept) == pytest.approx(frames, abs=800)
    if not measured:
        assert listened(house.recordings, CALL) == before


def test_one_that_asterisk_was_killed_over_is_cut_in_both_channels(house: House) -> None:
    plain = talk(house, 8)
    killed(plain)
    left = [side.read_bytes() for side in sides_of(plain)]
    seconds = (plain.stat().st_size - 44) / 16000
    rule = Tape(3 * SECOND, (Excess(3 * SECOND, round((seconds - 3) * SECOND)),))
    assert cut(plain, rule, house.protected / plain.name)
    assert [side.read_bytes() for side in sides_of(plain)] == [each[: 3 * 16000] for each in left]
    assert keep(house, plain).channels == 2


def test_what_was_not_measured_keeps_its_channels_and_what_is_to_be_mixed_is_kept_mixed(house: House) -> None:
    plain = talk(house, 1)
    house.keeper().keep(plain, replace(OF, measured=False))
    assert line_of(house).channels == 2 and in_clear(house) == []
    plain = talk(house, 1, other := "node1-1795143501.8")
    keeper = house.keeper()
    keeper.keep(plain, replace(OF, call=other, stereo=False))
    assert line_of(house, other).channels == 1 and in_clear(house) == []
    assert keeper.gauges()["sidecar_recordings_unconverted"] == 0


@pytest.mark.parametrize("form", SoundFormat)
def test_a_recording_of_nothing_is_kept_as_it_is_and_nobody_is_alarmed(
    house: House, form: SoundFormat
) -> None:
    plain = audio.write(house.spool / f"{CALL}.wav", audio.silence(0))
    keeper = house.keeper()
    keeper.keep(plain, replace(OF, form=form, stereo=form is not SoundFormat.G722))
    line = line_of(house)
    assert (line.form, line.channels, line.sound) == ("wav", 1, line.captured)
    assert keeper.gauges()["sidecar_recordings_unconverted"] == 0


def test_a_converted_one_is_neither_lost_nor_mixed_where_ffmpeg_is_missing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = talk(house)
    captured = digest(plain)
    with monkeypatch.context() as without, joined(plain) as file:
        expected = file.read()
        without.setenv("PATH", "/nowhere")
        line = keep(house, plain, SoundFormat.OPUS)
    assert (line.form, line.channels, line.captured) == ("wav", 2, captured)
    with house.recordings.open(CALL) as kept:
        assert kept.read() == expected


def test_all_but_messages_follow_the_centre(house: House) -> None:
    demo = replace(centre(), recordings=Rules(channels=Channels.STEREO))
    house.world.floor = changed(Floor(), centres=Map({demo.id: demo}))
    house.world.centres = {CALL: demo.id}
    found = whose(CALL, house.world.view())
    assert found is not None and not found.stereo, "nobody knows its centre yet"
    for of, two in (
        (RecordingKind.CALL, True),
        (RecordingKind.CONSULT, True),
        (RecordingKind.MESSAGE, False),
    ):
        assert _by_its_centre(replace(OF, of=of, stereo=False), demo).stereo is two


def test_a_call_that_was_there_before_its_centre_wanted_two_channels_is_no_alarm(house: House) -> None:
    desk = Desk().begin()
    demo = desk.floor.configuration.centres[0]  # type: ignore[union-attr]
    desk.arrive(1, CALL)
    stereo = replace(demo, recordings=replace(demo.recordings, channels=Channels.STEREO))
    at = Instant(desk.floor.at + SECOND)
    asked = replace(desk.floor.configuration, centres=(stereo,))  # type: ignore[type-var]
    floor = evolve(desk.floor, f.Configured(at=at, configuration=asked))
    assert floor.channels_changed == Map({demo.id: at})
    floor = evolve(floor, f.Configured(at=Instant(at + SECOND), configuration=asked))
    assert floor.channels_changed == Map({demo.id: at}), "the same again is no change"
    gone = changed(floor, calls=Map())
    for arrived, before in ((desk.floor.at, True), (at + 9 * SECOND, True), (at + 11 * SECOND, False)):
        record = replace(desk.books.records[CallId(CALL)], arrived_at=Instant(arrived))
        found = whose(CALL, View(Seq(1, 1), gone, changed(desk.books, records=Map({CallId(CALL): record}))))
        assert found is not None and (found.stereo, found.before) == (True, before)

    for name, sides, alarms in (("node1-1.1", 0, 0), ("node1-1.2", 1, 1)):
        plain = talk(house, 1, name)
        for side in sides_of(plain)[sides:]:
            side.unlink()
        keeper = house.keeper()
        keeper.keep(plain, replace(OF, call=name, before=True))
        assert line_of(house, name).channels == 1
        assert keeper.gauges()["sidecar_recordings_unconverted"] == alarms


# -- what is cut out --------------------------------------------------------------------------------------------------

TAPE = Tape(5 * SECOND, (Excess(3 * SECOND, 4 * SECOND),))


def long_talk(house: House) -> Path:
    """9 s: of the citizen 400 Hz, of the agent 600, of the city 1000 from 3 s to 7, and a pause of the last 2 s."""
    left = audio.tone(400, 11)
    right = np.concatenate([audio.tone(600, 3), audio.tone(1000, 4), audio.tone(600, 4)])
    left[9 * audio.RATE :] = right[9 * audio.RATE :] = 0
    return written(house.spool, left, right)


def test_sides_are_cut_at_the_same_frames_as_the_recording(house: House) -> None:
    plain = long_talk(house)
    assert protect(house.recordings, CALL, house.protected)
    rule = replace(TAPE, kept=7 * SECOND, gaps=(Gap(9 * SECOND, 2 * SECOND),))
    assert cut(plain, rule, house.protected / plain.name)
    filed(plain)
    with wave.open(str(plain)) as sound:
        assert sound.getnframes() == 5 * audio.RATE
    assert in_clear(house) == [f"{CALL}.left.sln", f"{CALL}.right.sln", f"{CALL}.wav"]
    for each in (plain, *sides_of(plain)):
        assert each.samefile(house.protected / each.name) and each.stat().st_mode & 0o077 == 0
    line = keep(house, plain)
    assert (line.channels, line.seconds) == (2, 5.0)
    left, right = heard(house)
    spectrum = np.abs(np.fft.rfft(right))
    assert spectrum[1000 * 5] < 0.01 * spectrum[600 * 5], "nothing of the city"
    assert np.abs(np.fft.rfft(left))[600 * 5] < 0.01 * np.abs(np.fft.rfft(left))[400 * 5]


@pytest.mark.parametrize("dies", [1, 2, 3])
def test_who_dies_while_cutting_the_sides_goes_on_with_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch, dies: int
) -> None:
    plain = long_talk(house)
    count = 0

    def fsync(_file: int) -> None:
        nonlocal count
        count += 1
        if count == dies:
            raise OSError("no room")

    with monkeypatch.context() as dying:
        dying.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="no room"):
            cut(plain, TAPE, house.home / "none")
    assert cut(plain, TAPE, house.home / "none") and cut(plain, TAPE, house.home / "none")
    filed(plain)
    assert in_clear(house) == [f"{CALL}.left.sln", f"{CALL}.right.sln", f"{CALL}.wav"]
    assert keep(house, plain).channels == 2


def test_a_side_of_another_length_is_not_cut_but_removed(house: House) -> None:
    plain = long_talk(house)
    assert protect(house.recordings, CALL, house.protected)
    os.truncate(sides_of(plain)[0], 1000)
    assert cut(plain, TAPE, house.protected / plain.name)
    assert not sides_of(plain)[0].exists() and not sides_of(house.protected / plain.name)[0].exists()
    assert keep(house, plain).channels == 1


# -- everywhere else that the plain file is ---------------------------------------------------------------------------


def test_a_reported_call_s_sides_are_protected_with_it_and_brought_back(house: House) -> None:
    plain = talk(house)
    assert protect(house.recordings, CALL, house.protected)
    names = in_clear(house)
    assert sorted(each.name for each in house.protected.iterdir()) == names
    for each in house.spool.iterdir():
        each.unlink()  # among the others
    house.keeper().tidy()
    assert in_clear(house) == names
    assert keep(house, plain).channels == 2
    assert [each.name for each in house.protected.iterdir()] == [f"{CALL}.ccr"]
    (house.protected / f"{CALL}.left.sln").write_bytes(b"of one that somebody deleted here")
    house.keeper().tidy()
    assert [each.name for each in house.protected.iterdir()] == [f"{CALL}.ccr"]


def test_sides_whose_recording_was_taken_away_do_not_stay(house: House) -> None:
    gone, there = talk(house, 1), talk(house, 1, "node1-1795143501.8")
    gone.unlink()
    at = NOON / SECOND
    for age, left in ((59, True), (60, False)):
        for each in house.spool.iterdir():
            os.utime(each, (at - age, at - age))
        house.keeper().looked()
        assert all(side.exists() is left for side in sides_of(gone))
    assert all(side.exists() for side in sides_of(there))


def test_erasing_reaches_sides_here_and_in_back_ups(house: House) -> None:
    keep(house, talk(house))
    copy = house.home / "copy"
    copy.mkdir()
    for folder in (house.spool, house.protected, copy):
        folder.mkdir(exist_ok=True)
        for side in sides_of(folder / f"{CALL}.wav"):
            side.write_bytes(b"left by somebody")
    places = [("spool", house.spool), ("protected", house.protected), ("copy", copy)]
    assert len(named(places, [CALL])) == 6
    chain = Chain(house.store, house.keys, signer(house.keys))
    sounds = Sounds(
        house.recordings, house.protected, chain, lambda: ("2026-11-20T12:00:00+09:00", "2026-11-20")
    )
    sounds.erase(["oita"], CALL, CALL, "why", "who", {"oita": told(house.store, "oita")})
    assert destroy([copy], "oita", [CALL], [CALL], "2026-11-20").files == 2
    assert named(places, [CALL]) == []


def test_an_export_tells_the_channels_and_is_proven(house: House, tmp_path: Path) -> None:
    keep(house, talk(house))
    mixed = "node1-1795143501.8"
    keeper = house.keeper()
    keeper.keep(talk(house, 1, mixed), replace(OF, call=mixed, stereo=False))
    archive = tmp_path / "out.zip"
    exported(house, archive, [row(CALL, NOON), row(mixed, NOON)])
    assert verify_export(archive, house.public()).found == []
    with zipfile.ZipFile(archive) as opened:
        listed = csv.DictReader(io.StringIO(opened.read("index.csv").decode("utf-8-sig")))
        told = {each["録音 recording"]: each["チャンネル channels"] for each in listed}
    assert told == {CALL: "2", mixed: "1"}
