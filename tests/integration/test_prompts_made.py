"""Prompts as they are made: by voices, from recordings, with ffmpeg and espeak-ng as a person has them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcore.domain.centre import Announcement
from callcore.prompts import build, desk, shelf, sound, voices
from callcore.prompts.build import Wanted
from tests.support.prompts import SHIPPED, SILENCE, put_prompt


def dbfs(wave_form: Any) -> float:
    return float(20 * np.log10(max(np.sqrt(np.mean(np.square(wave_form))), 1e-6)))


@pytest.mark.parametrize("name", ["ja/overflow", "en/greeting"])
def test_a_shipped_prompt_is_the_speech_of_its_text(name: str) -> None:
    [made] = sound.of_voices([voices.speak(name[:2], shelf.text(SHIPPED, name) or "")])
    again, shipped = (sound.samples(each) for each in (made.ulaw, shelf.ulaw_of(SHIPPED, name).read_bytes()))
    assert len(again) == len(shipped)
    assert float(np.corrcoef(again, shipped)[0, 1]) > 0.99


@pytest.mark.parametrize(
    ("hertz", "through"), [(400, True), (1000, True), (3300, True), (4500, False), (6000, False)]
)
def test_what_a_telephone_can_not_carry_does_not_fold_back_as_noise(hertz: int, through: bool) -> None:
    tone = (0.5 * np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000) * 32767).astype("<i2")
    low = np.frombuffer(sound.resampled(tone.tobytes(), 48_000, 8000), "<i2")[400:-400] / 32768
    level = dbfs(low) - dbfs(tone / 32768)
    assert level == pytest.approx(0, abs=0.1) if through else level < -70


FILTER = "aresample=48000,ebur128"
"""At 8 kHz ffmpeg's own filters are off by up to 0.4 LU; at the rate that they were laid out for they are exact."""


@pytest.mark.parametrize(("level", "hertz"), [(0.1, 997), (0.3, 300), (0.05, 3000)])
def test_loudness_is_measured_as_ffmpeg_does(tmp_path: Path, level: float, hertz: int) -> None:
    beat = np.arange(5 * 8000) / 8000
    audio = level * np.sin(2 * np.pi * hertz * beat) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.9 * beat))
    raw = (audio * 32767).astype("<i2").tobytes()
    form = ["-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-af", FILTER, "-f", "null", "-"]
    said = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", *form], input=raw, capture_output=True, check=True
    )
    [theirs] = re.findall(rb"I:\s+(-?[\d.]+) LUFS\s+Threshold", said.stderr)
    assert sound.loudness(audio, 8000) == pytest.approx(float(theirs), abs=0.2)


def test_what_is_made_does_not_depend_on_what_is_made_with_it() -> None:
    first, second = (voices.speak("en", text) for text in ("one", "We are closed."))
    [alone] = sound.of_voices([second])
    assert sound.of_voices([first, second])[1] == alone
    assert voices.speak("ja", "はい。") == voices.speak("ja", "はい。")


COMMON = ("ready", "paused")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prompts folder with two prompts of the desk phones and nothing made."""
    monkeypatch.setattr(shelf, "COMMON_KINDS", COMMON)
    for kind in COMMON:
        shelf.put(tmp_path / f"common/ja/{kind}.txt", "はい。\n".encode())
    shutil.copytree(SHIPPED / "music", tmp_path / "music")
    return tmp_path


CLOSED = Announcement("closed", "ja", "本日は終了しました。", "mori/ja/closed")


def test_build_makes_only_what_is_missing_or_changed_and_says_how_it_is_read(small: Path) -> None:
    told: dict[str, str | None] = {}
    built = build.build(small, [CLOSED], progress=told.__setitem__)
    assert built == build.Built(("mori/ja/closed", "common/ja/ready", "common/ja/paused"), ())
    assert told == {
        "mori/ja/closed": "ホンジツワシューリョーシマシタ。",
        "common/ja/ready": "ハイ。",
        "common/ja/paused": "ハイ。",
    }
    assert [shelf.g722_of(small, name).is_file() for name in built.made] == [False, True, True]
    assert not [path for path in small.rglob("*") if path.name.startswith(".")]
    assert build.build(small, [CLOSED]).made == ()
    shelf.ulaw_of(small, "common/ja/ready").unlink()
    changed = Announcement("closed", "ja", "本日の受付は終了しました。", "mori/ja/closed")
    assert build.build(small, [changed]).made == ("mori/ja/closed", "common/ja/ready")
    assert shelf.fault(small, "mori/ja/closed", changed.text) is None
    assert shelf.fault(small, "mori/ja/closed", CLOSED.text) == "text_differs"


def recording(path: Path, hertz: int = 700) -> Path:
    """Two seconds of a quiet tone at 44.1 kHz in stereo, with a second of silence before and after."""
    tone = f"sine=frequency={hertz}:duration=2:sample_rate=44100"
    chain = "volume=0.05,adelay=1000:all=1,apad=pad_dur=1"
    form = ["-f", "lavfi", "-i", tone, "-af", chain, "-ac", "2", "-y", str(path)]
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", *form], check=True)
    return path


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_recording_takes_the_placeholders_place_in_one_step_and_is_never_overwritten(
    small: Path, ending: str
) -> None:
    build.build(small, [CLOSED])
    file = recording(small.parent / f"spoken.{ending}")
    want = desk.found(small, [CLOSED], "mori/ja/closed")
    made = build.use(small, want, file)
    played = shelf.ulaw_of(small, want.name).read_bytes()
    audio = sound.samples(played)
    assert made.source == "recorded"
    assert len(audio) / 8000 == pytest.approx(2 + 2 * sound.MARGIN_MS / 1000, abs=0.05)
    assert sound.loudness(audio, 8000) == pytest.approx(sound.TARGET_LUFS, abs=1)
    assert (small / f"mori/ja/closed.recorded.{ending}").read_bytes() == file.read_bytes()
    assert desk.items(small, [CLOSED])[0].state is desk.State.RECORDED

    assert build.build(small, [CLOSED], again=True).left == ()
    changed = Announcement("closed", "ja", "本日の受付は終了しました。", "mori/ja/closed")
    assert build.build(small, [changed], again=True).left == (
        ("mori/ja/closed", "recorded_for_another_text"),
    )
    (small / f"mori/ja/closed.recorded.{ending}").unlink()  # an installation without the originals
    assert build.build(small, [changed], again=True).left == (
        ("mori/ja/closed", "recorded_for_another_text"),
    )
    assert shelf.ulaw_of(small, want.name).read_bytes() == played
    assert build.use(small, Wanted(want.name, "ja", changed.text), recording(file, 900)) != made
    assert shelf.fault(small, want.name, changed.text) is None


def test_a_recording_that_was_only_put_beside_is_taken_by_the_next_build(small: Path) -> None:
    build.build(small, [])
    recording(small / "common/ja/ready.recorded.wav")
    assert build.build(small, []).made == ("common/ja/ready",)
    made = shelf.made_of(small, "common/ja/ready")
    assert made is not None and made.source == "recorded"
    assert shelf.g722_of(small, "common/ja/ready").stat().st_size == pytest.approx(2.3 * 8000, rel=0.05)


def test_what_can_not_be_read_or_is_silent_changes_nothing(small: Path, tmp_path: Path) -> None:
    build.build(small, [])
    before = shelf.made_of(small, "common/ja/ready")
    want = desk.found(small, [], "common/ja/ready")
    broken, silent = small / "broken.wav", small / "silent.wav"
    broken.write_bytes(b"no sound at all")
    silent.write_bytes(sound.wav_of(bytes(16000)))
    for file in (broken, silent, small / "nowhere.wav"):
        with pytest.raises(voices.PromptsUnavailable):
            build.use(small, want, file)
    assert shelf.made_of(small, "common/ja/ready") == before
    assert shelf.recording_of(small, "common/ja/ready") is None


def test_audio_that_somebody_put_there_is_left_and_named(small: Path) -> None:
    build.build(small, [])
    shelf.ulaw_of(small, "common/ja/ready").write_bytes(SILENCE)
    assert build.build(small, [], again=True).left == (("common/ja/ready", "put_there_by_hand"),)
    assert shelf.ulaw_of(small, "common/ja/ready").read_bytes() == SILENCE


def test_a_language_without_a_voice_and_a_prompt_without_a_text_are_left(small: Path) -> None:
    shelf.text_of(small, "common/ja/paused").unlink()
    built = build.build(small, [Announcement("closed", "tl", "Sarado po kami.", "mori/tl/closed")])
    assert built.left == (("mori/tl/closed", "no_voice"), ("common/ja/paused", "text_missing"))
    assert built.made == ("common/ja/ready",)
    with pytest.raises(voices.PromptsUnavailable, match="callcore prompts use"):
        voices.speak("tl", "Sarado po kami.")


def test_a_machine_without_the_tools_is_told_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyopenjtalk", None)
    monkeypatch.setenv("PATH", "")
    for language in ("ja", "en"):
        with pytest.raises(voices.PromptsUnavailable, match="scripts/prompts"):
            voices.speak(language, "1")


def test_what_is_missing_of_another_text_silent_or_clipped_is_not_approved(
    small: Path, tmp_path: Path
) -> None:
    want = build.Wanted(CLOSED.sound, "ja", CLOSED.text)

    def refused(each: build.Wanted = want) -> str:
        with pytest.raises(voices.PromptsUnavailable) as raised:
            build.approve(small, each, "市 担当", "2026-11-28")
        made = shelf.made_of(small, each.name)
        assert made is None or made.approved_by is None
        return str(raised.value)

    assert "がありません" in refused() and "is missing" in refused()
    build.build(small, [CLOSED])
    assert "made from another text" in refused(build.Wanted(want.name, "ja", "本日は休業です。"))
    spoken = shelf.ulaw_of(small, want.name).read_bytes()
    shelf.ulaw_of(small, want.name).write_bytes(SILENCE)
    assert "was not made by callcore" in refused()
    put_prompt(small, want.name, CLOSED.text, SILENCE * 12)
    assert "it is silent" in refused()
    for loud, clipped in ((0.9, False), (3.0, True)):
        heard = sound.samples(spoken)
        again = np.clip(heard / np.abs(heard).max() * loud, -1, 1) * 32767
        file = tmp_path / "spoken.wav"
        file.write_bytes(sound.wav_of(again.astype("<i2").tobytes()))
        build.use(small, want, file)
        if clipped:
            assert "音が割れています" in refused() and "it is clipped" in refused()
        else:
            assert build.approve(small, want, "市 担当", "2026-11-28").approved_by == "市 担当"


def test_the_list_shows_length_loudness_and_state_and_an_approval_lasts_until_the_audio_changes(
    small: Path,
) -> None:
    replaced = Announcement("closed", "tl", "We are closed.", "mori/en/closed")
    put_prompt(small, "mori/ja/closed", CLOSED.text, SILENCE * 12)
    put_prompt(small, "mori/en/closed", "We are closed.")
    told = [CLOSED, replaced, Announcement("greeting", "tl", "Salamat po.", "mori/tl/greeting")]
    lines = list(desk.listed(desk.items(small, told), phrases=False))
    assert lines[0] == "mori/ja/closed  仮の音声 / placeholder  1.2 s  -70.0 LUFS  本日は終了しました。"
    assert lines[2] == "mori/tl/greeting  代用 / substitute  –  Salamat po."
    assert lines[3] == "common/ja/ready  なし / missing  –  はい。"
    build.build(small, [CLOSED], again=True)
    build.approve(small, desk.found(small, told, "mori/ja/closed"), "市 担当", "2026-11-28")
    assert "  市 担当 2026-11-28" in desk.items(small, told)[0].line()
    assert build.build(small, [CLOSED]).made == ()
    assert desk.items(small, told)[0].state is desk.State.APPROVED
    build.build(small, [CLOSED], again=True)
    assert desk.items(small, told)[0].state is desk.State.PLACEHOLDER
