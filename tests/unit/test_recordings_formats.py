"""In what a recording is kept: converted after its call, proven as captured and as kept, played and handed over."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import subprocess
import wave
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from immutables import Map

from callcore.domain.centre import Recordings as Rules
from callcore.domain.floor import Floor
from callcore.domain.ids import CallId
from callcore.domain.recording import RecordingKind, SoundFormat
from callcore.reconciliation import _looked_at
from callcore.recordings import RecordingError, formats, played
from callcore.recordings.audio import BLOCK_S, DecodedAudio, OpenedAudio
from callcore.recordings.chain import Kept, kept_line
from callcore.recordings.exported import verify_export
from callcore.recordings.formats import NoSound, seconds_of
from callcore.recordings.keeper import Whose, whose
from callcore.recordings.vault import Digest
from callcore.recordings.verify import digest
from tests.support import audio
from tests.support.floors import centre
from tests.support.store import NOON, House, Killed, unclosed
from tests.unit.test_recordings_export import exported, row

CALL = "node1-1795143501.7"
OF = Whose("oita", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True)
CODED = [SoundFormat.ULAW, SoundFormat.G722, SoundFormat.OPUS]
BY_FFMPEG = [SoundFormat.G722, SoundFormat.OPUS]
RATES = {SoundFormat.ULAW: 8000, SoundFormat.G722: 16_000, SoundFormat.OPUS: 8000}
WORDS = {
    "missing": "ffmpeg がない / ffmpeg is not installed",
    "hanging": "ffmpeg did not end within",
    "failing": "ffmpeg: 3 no such encoder",
    "giving nothing": "",
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def speech(house: House, seconds: float, name: str = CALL) -> Path:
    """A recording as Asterisk leaves it."""
    return audio.write(house.spool / f"{name}.wav", audio.speech_like(7, seconds))


def keep(house: House, plain: Path, form: SoundFormat) -> tuple[Path, Kept]:
    """The sealed file, and its line in the chain."""
    name = plain.stem
    house.keeper().keep(plain, replace(OF, call=name, form=form))
    path = house.recordings.find(name)
    assert path is not None
    line = kept_line(house.store, "oita", path.parent.name, name)
    assert line is not None
    return path, line


def sound_of(house: House, name: str = CALL) -> bytes:
    with house.recordings.open(name) as file:
        return file.read()


def heard(data: bytes, rate: int = 8000) -> audio.Samples:
    """As any player of files hears it: by ffmpeg, from its begin."""
    decode = ("-i", "pipe:0", "-f", "s16le", "-ac", "1", "-ar", str(rate), "pipe:1")
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", *decode], input=data, capture_output=True, check=True
    )
    return np.frombuffer(done.stdout, "<i2").astype(np.float64) / 32768


def alike(one: audio.Samples, other: audio.Samples) -> float:
    """The highest correlation within 10 ms of one another."""
    count = min(len(one), len(other)) - 80
    return max(
        float(np.corrcoef(one[80:count], other[80 - shift : count - shift])[0, 1]) for shift in range(-80, 81)
    )


@pytest.mark.parametrize("form", CODED)
def test_a_recording_is_kept_in_its_centre_s_format_and_both_its_hashes_are_proven(
    house: House, form: SoundFormat
) -> None:
    plain = speech(house, 7.3)
    captured, before = digest(plain), audio.read(plain)
    path, line = keep(house, plain, form)
    sound = sound_of(house)
    assert (line.form, line.captured, line.seconds) == (form.value, captured, 7.3)
    assert (line.sound.size, line.sound) == (len(sound), house.recordings.unsealed(path).check())
    assert line.sound != captured and line.stored == digest(path)
    assert house.recordings.unsealed(path).head.captured == captured
    assert house.named() == set()
    assert not list(house.spool.iterdir()), "nothing is left in clear"
    assert line.sound.size < captured.size * (0.3 if form is SoundFormat.OPUS else 0.51)
    after = heard(sound)
    assert abs(len(after) - len(before)) <= 80
    assert alike(before, after) > (0.9 if form is SoundFormat.OPUS else 0.99)


@pytest.mark.parametrize("form", CODED)
def test_the_same_sound_is_kept_as_the_same_bytes(house: House, form: SoundFormat) -> None:
    _, one = keep(house, speech(house, 3, "node1-1795143501.1"), form)
    _, other = keep(house, speech(house, 3, "node1-1795143501.2"), form)
    assert one.sound == other.sound


@pytest.mark.parametrize("form", CODED)
@pytest.mark.parametrize("step", ["convert", "seal", "place", "line", "protect", "remove"])
def test_killed_at_any_step_a_converted_recording_is_neither_lost_nor_told_of_twice(
    house: House, form: SoundFormat, step: str
) -> None:
    plain = speech(house, 1)
    captured = digest(plain)
    house.stop_at = step
    with pytest.raises(Killed):
        keep(house, plain, form)
    house.stop_at = None
    house.keeper().tidy()
    _, line = keep(house, plain, form)
    assert (line.form, line.captured) == (form.value, captured)
    assert not list(house.spool.iterdir())
    assert house.named() == set()
    (day,) = house.verify().days
    assert (day.kept, day.lines) == (1, 2)


def test_another_recording_of_the_same_name_is_kept_beside_the_first_one(house: House) -> None:
    keep(house, speech(house, 1), SoundFormat.ULAW)
    house.keeper().keep(audio.write(house.spool / f"{CALL}.wav", audio.silence(1)), OF)
    assert house.recordings.find(f"{CALL}~2") is not None
    assert house.named() == set()


# -- where it cannot be made ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", BY_FFMPEG)
@pytest.mark.parametrize("how", WORDS)
def test_without_an_ffmpeg_that_works_the_recording_is_kept_as_asterisk_wrote_it(
    house: House,
    form: SoundFormat,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(house, how, monkeypatch)
    plain = speech(house, 2)
    sound, captured = plain.read_bytes(), digest(plain)
    keeper = house.keeper()
    keeper.keep(plain, replace(OF, form=form))
    path = house.recordings.find(CALL)
    assert path is not None
    line = kept_line(house.store, "oita", path.parent.name, CALL)
    assert line is not None
    assert (line.form, line.captured, line.sound) == ("wav", captured, captured)
    assert sound_of(house) == sound
    assert house.named() == set()
    assert keeper.gauges()["sidecar_recordings_unconverted"] == 1
    told = capsys.readouterr().out
    assert "a recording cannot be converted" in told and WORDS[how] in told


def broken(house: House, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ffmpeg that is not there, or does not work."""
    folder = house.home / "bin"
    folder.mkdir()
    if how == "missing":
        monkeypatch.setenv("PATH", str(folder))
        return
    does = {
        "hanging": "exec sleep 600",
        "failing": "echo no such encoder >&2; exit 3",
        "giving nothing": "exit 0",
    }
    (folder / "ffmpeg").write_text(f"#!/bin/sh\n{does[how]}\n")
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    if how == "hanging":
        monkeypatch.setattr(formats, "LIMIT_S", 0.5)


def test_on_a_disk_without_room_for_both_the_recording_is_kept_as_asterisk_wrote_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(samples: bytes) -> bytes:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(formats, "to_ulaw", full)
    _, line = keep(house, speech(house, 1), SoundFormat.ULAW)
    assert (line.form, line.captured) == ("wav", line.sound)
    assert not list(house.spool.iterdir())


def test_after_ffmpeg_hung_the_next_recordings_do_not_wait_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(house, "hanging", monkeypatch)
    keeper = house.keeper()
    for number in range(3):
        keeper.keep(speech(house, 1, f"node1-1795143501.{number}"), replace(OF, form=SoundFormat.OPUS))
    assert house.steps.count("convert") == 1
    assert keeper.gauges()["sidecar_recordings_unconverted"] == 3


@pytest.mark.parametrize("form", CODED)
@pytest.mark.parametrize("what", ["never closed", "no sound", "empty"])
def test_a_damaged_recording_is_kept_as_it_was_found(house: House, form: SoundFormat, what: str) -> None:
    plain = speech(house, 2)
    whole = plain.read_bytes()
    never_closed = whole[:40] + bytes(4) + whole[44:]
    found = {"never closed": never_closed, "no sound": os.urandom(3000), "empty": b""}[what]
    plain.write_bytes(found)
    _, line = keep(house, plain, form)
    assert (line.form, line.captured) == ("wav", line.sound)
    assert sound_of(house) == found


async def test_the_format_is_the_centre_s_unless_the_recording_was_not_measured_in_time(house: House) -> None:
    demo = replace(centre(), recordings=Rules(format=SoundFormat.OPUS))
    one, other = "node1-1795143501.1", "node1-1795143501.2"
    ended = Map({CallId(name): NOON for name in (one, other)})
    house.world.floor = Floor(centres=Map({demo.id: demo}), ended=ended, unfiled=ended.delete(CallId(one)))
    house.world.centres = {one: "demo", other: "demo"}
    keeper = house.keeper()
    for name, form, unconverted in ((one, SoundFormat.OPUS, 0), (other, SoundFormat.WAV, 1)):
        found = whose(name, house.world.view())
        assert found is not None and found.form is SoundFormat.WAV, "nobody knows its centre yet"
        known = await keeper._known(found)
        assert known is not None and known.centre == "demo"
        keeper.keep(speech(house, 1, name), known)
        path = house.recordings.find(name)
        assert path is not None
        line = kept_line(house.store, "demo", path.parent.name, name)
        assert line is not None and line.form == form.value
        assert keeper.gauges()["sidecar_recordings_unconverted"] == unconverted


# -- played -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [SoundFormat.ULAW, SoundFormat.G722])
def test_what_no_browser_plays_is_played_as_wav_and_any_part_of_it_is_the_same(
    house: House, form: SoundFormat
) -> None:
    seconds = 2 * BLOCK_S + 3
    before = audio.speech_like(3, seconds)
    plain = audio.write(house.spool / f"{CALL}.wav", before)
    keep(house, plain, form)
    with house.recordings.open(CALL) as file:
        made = played(file, form.value)
        assert isinstance(made, DecodedAudio)
        whole = made.read_at(0, made.size + 9)
        assert len(whole) == made.size
        edge = 44 + 2 * BLOCK_S * RATES[form]
        for begin in (0, 1, 43, 44, 45, 777, edge - 1, edge, edge + 1, made.size - 1, made.size):
            for count in (0, 1, 2, 7, 44, 70_001):
                fresh = played(file, form.value)
                assert fresh.read_at(begin, count) == whole[begin : begin + count], (begin, count)
    with wave.open(io.BytesIO(whole)) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (RATES[form], RATES[form] * seconds)
    straight = heard(sound_of(house), RATES[form])
    assert np.abs(heard(whole, RATES[form]) - straight[: RATES[form] * seconds]).max() < 2 / 32768
    assert alike(before, heard(whole)) > 0.99


def test_opus_is_played_as_it_is(house: House) -> None:
    keep(house, speech(house, 2), SoundFormat.OPUS)
    with house.recordings.open(CALL) as file:
        made = played(file, "opus")
        assert isinstance(made, OpenedAudio)
        assert (made.media_type, made.ending) == ("audio/ogg", "opus")
        assert made.read_at(0, made.size) == sound_of(house)


@pytest.mark.parametrize("sealed", [False, True])
def test_one_that_asterisk_was_killed_over_is_played_whole_and_taken_away_as_it_is(
    house: House, sealed: bool
) -> None:
    plain = speech(house, 5.25)
    closed = plain.read_bytes()
    lies = unclosed(plain).read_bytes()
    if sealed:
        _, line = keep(house, plain, SoundFormat.WAV)
        assert line.seconds == 5.25
        assert line.captured == line.sound == Digest(len(lies), hashlib.sha256(lies).hexdigest())
    with house.recordings.open(CALL) as file:
        made = played(file, "wav")
        assert (made.media_type, made.ending, made.size) == ("audio/wav", "wav", len(closed))
        assert made.read_at(0, made.size) == closed
        for begin in (0, 1, 43, 44, 45, len(closed) - 1, len(closed)):
            for count in (0, 1, 7, 44, 70_001):
                assert made.read_at(begin, count) == closed[begin : begin + count], (begin, count)
        kept = OpenedAudio(file, "wav")
        assert kept.read_at(0, kept.size) == lies


def test_one_that_asterisk_was_killed_over_is_proven_and_handed_over_as_it_was_kept(
    house: House, tmp_path: Path
) -> None:
    lies = unclosed(speech(house, 2)).read_bytes()
    keep(house, house.spool / f"{CALL}.wav", SoundFormat.WAV)
    to = tmp_path / "handed.zip"
    made = exported(house, to, [row(CALL, NOON)])
    assert (made.files, made.faults, house.named()) == (1, [], set())
    assert verify_export(to, house.public()).found == []
    with zipfile.ZipFile(to) as archive:
        (file,) = [each for each in archive.namelist() if each.startswith("audio/")]
        assert archive.read(file) == lies


def test_without_ffmpeg_g722_is_not_played_and_that_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(house, speech(house, 2), SoundFormat.G722)
    broken(house, "missing", monkeypatch)
    with house.recordings.open(CALL) as file:
        with pytest.raises(RecordingError, match="ffmpeg is not installed"):
            played(file, "g722")
        assert OpenedAudio(file, "g722").ending == "wav", "it can still be taken away"


def test_an_ffmpeg_that_fails_while_g722_is_played_is_an_error_of_the_sound(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(house, speech(house, 2), SoundFormat.G722)
    broken(house, "failing", monkeypatch)
    with house.recordings.open(CALL) as file, pytest.raises(OSError, match="ffmpeg"):
        played(file, "g722").read_at(100, 10)


def test_what_is_no_sound_of_its_format_has_no_length() -> None:
    for form in CODED:
        for data in (b"", b"RIFF", os.urandom(200)):
            with pytest.raises(NoSound):
                seconds_of(io.BytesIO(data), form)


# -- handed over and held against the journal -------------------------------------------------------------------------


def test_an_export_has_each_recording_as_it_was_kept_and_is_proven_by_the_public_key(
    house: House, tmp_path: Path
) -> None:
    names = {form: f"node1-17951435{number:02}.1" for number, form in enumerate(SoundFormat)}
    for form, name in names.items():
        keep(house, speech(house, 2, name), form)
    to = tmp_path / "handed.zip"
    made = exported(house, to, [row(name, NOON) for name in names.values()])
    assert (made.files, made.faults) == (4, [])
    assert verify_export(to, house.public()).found == []
    with zipfile.ZipFile(to) as archive:
        told = list(csv.DictReader(archive.read("index.csv").decode("utf-8-sig").splitlines()))
        for each in told:
            form = SoundFormat(each["形式 format"])
            assert each["録音 recording"] == names[form]
            ends = ".opus" if form is SoundFormat.OPUS else ".wav"
            assert each["ファイル file"].endswith(names[form] + ends)
            assert archive.read(each["ファイル file"]) == sound_of(house, names[form])
    assert {each["形式 format"] for each in told} == {form.value for form in SoundFormat}


@pytest.mark.parametrize("form", SoundFormat)
def test_reconciliation_finds_a_converted_recording_as_long_and_as_large_as_it_was_captured(
    house: House, form: SoundFormat
) -> None:
    plain = speech(house, 5.25)
    size = plain.stat().st_size
    path, _ = keep(house, plain, form)
    sound = _looked_at(house.recordings, path)
    assert (sound.readable, sound.whole, sound.file, sound.size) == (True, True, f"{CALL}.wav", size)
    assert sound.seconds == pytest.approx(5.25, abs=0.002)
    damaged = path.read_bytes()
    path.write_bytes(damaged[:-1])
    assert not _looked_at(house.recordings, path).readable
