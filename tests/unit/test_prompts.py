"""What callers and agents hear from the machine: loud enough, never distorted, of the right text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcore.demo.centre import ANNOUNCEMENTS
from callcore.domain.centre import Announcement
from callcore.prompts import build, desk, music, shelf, sound, voices
from callcore.prompts.build import Wanted
from tests.support.prompts import SILENCE, put_prompt

PROJECT = Path(__file__).parents[2]
SOUNDS = PROJECT / "ivr_prompts"
OITA = tomllib.loads((PROJECT / "centres" / "oita.toml").read_text(encoding="utf-8"))
KINDS = shelf.kinds(SOUNDS)
SHIPPED_MB = 25

OWN = [
    Announcement(kind, language, text, f"oita/{language}/{kind}")
    for kind, texts in OITA["announcements"].items()
    for language, text in texts.items()
]
EVERY = [each for each in build.wanted(SOUNDS, [*OWN, *ANNOUNCEMENTS]) if each.language != "tl"]
SENTENCES = {each.name: each for each in EVERY if not each.phrase}

READINGS = {
    "oita/ja/recording_notice": (
        "コノツーワワ、オトイアワセナイヨーノカクニント、オータイヒンシツノコージョーノタメ、ロクオンシテイマス。"
    ),
    "oita/ja/greeting": (
        "オデンワアリガトーゴザイマス。オーイタシマイナンバーカードコールセンターデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "oita/ja/closed": (
        "オデンワアリガトーゴザイマス。オーイタシマイナンバーカードコールセンターデス。タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンハチジサンジュップンカラゴゴロクジマデデス。"
        "ドヨービ、ニチヨービ、シュクジツ、オヨビジューニガツニジュークニチカライチガツミッカマデワ、オヤスミデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "oita/ja/apology": (
        "モーシワケゴザイマセン。タダイマデンワガタイヘンコミアッテオリ、オツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "oita/ja/overflow": (
        "モーシワケゴザイマセン。タダイマ、タクサンノオデンワヲイタダイテオリ、スグニオツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "demo/ja/recording_notice": "コノツーワワ、ロクオンシテイマス。",
    "demo/ja/greeting": "オデンワアリガトーゴザイマス。デモヨーコールセンターデス。",
    "demo/ja/closed": (
        "オデンワアリガトーゴザイマス。デモヨーコールセンターノホンジツノウケツケワ、シューリョーシマシタ。"
        "ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "demo/ja/apology": (
        "モーシワケゴザイマセン。タダイマオツナギスルコトガデキマセン。シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "common/ja/ask-agent-number": "オペレーターバンゴーヲニューリョクシ、シャープヲオシテクダサイ。",
    "common/ja/ask-pin": "アンショーバンゴーヲニューリョクシ、シャープヲオシテクダサイ。",
    "common/ja/signed-in": "ウケツケヲカイシシマシタ。",
    "common/ja/signed-out": "ウケツケヲシューリョーシマシタ。",
    "common/ja/ready": "ウケツケヲサイカイシマシタ。",
    "common/ja/paused": "リセキニシマシタ。",
    "common/ja/extended": "アトショリヲエンチョーシマシタ。",
    "common/ja/refused": "バンゴーマタワアンショーバンゴーガチガイマス。",
    "common/ja/not-possible": "タダイマコノソーサワデキマセン。",
    "common/ja/no-such-code": "コノバンゴーワツカワレテイマセン。",
    "ja/apology": (
        "モーシワケゴザイマセン。タダイマ、オツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "ja/callback_offer": (
        "コノママオマチイタダカズニ、ジュンバンガキマシタラ、コチラカラオデンワヲオカケスルコトモデキマス。"
        "ゴキボーノカタワ、イチヲオシテクダサイ。"
    ),
    "ja/callback_taken": (
        "ウケタマワリマシタ。ジュンバンガキマシタラ、コチラカラオデンワイタシマス。オデンワアリガトーゴザイマシタ。"
    ),
    "ja/closed": (
        "オデンワアリガトーゴザイマス。タダイマワ、ウケツケジカンガイデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "ja/emergency": (
        "オデンワアリガトーゴザイマス。タダイマ、ツゴーニヨリ、デンワノウケツケヲキューシシテオリマス。"
        "ゴメーワクヲオカケシ、モーシワケゴザイマセン。オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "ja/greeting": (
        "オデンワアリガトーゴザイマス。タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "ja/message_offer": "ゴヨーケンヲロクオンシテイタダクコトモデキマス。ゴキボーノカタワ、ニヲオシテクダサイ。",
    "ja/message_taken": (
        "ゴヨーケンヲウケタマワリマシタ。タントーシャカラゴレンラクイタシマス。オデンワアリガトーゴザイマシタ。"
    ),
    "ja/no_key": "バンゴーガカクニンデキマセンデシタ。モーイチドオネガイシマス。",
    "ja/overflow": (
        "モーシワケゴザイマセン。タダイマ、タクサンノオデンワヲイタダイテオリ、スグニオツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "ja/please_wait": (
        "オマタセシテオリマス。タントーシャニオツナギシマスノデ、モーシバラクオマチクダサイ。"
    ),
    "ja/recording_notice": (
        "コノツーワワ、オトイアワセナイヨーノカクニント、オータイヒンシツノコージョーノタメ、ロクオンシテイマス。"
    ),
    "ja/wrong_key": "モーシワケゴザイマセン。ソノバンゴーワ、ゴリヨーニナレマセン。",
}


def heard(name: str) -> Any:
    """A shipped prompt as a telephone hears it, full scale 1."""
    return sound.samples(shelf.ulaw_of(SOUNDS, name).read_bytes())


def dbfs(wave_form: Any) -> float:
    return float(20 * np.log10(max(np.sqrt(np.mean(np.square(wave_form))), 1e-6)))


# -- what is shipped -----------------------------------------------------------------------------------------


def test_every_prompt_is_shipped_in_order_and_no_other_file_beside_it() -> None:
    assert [each.name for each in EVERY if shelf.fault(SOUNDS, each.name, each.text) is not None] == []
    there = {
        path.relative_to(SOUNDS).with_suffix("").as_posix()
        for ending in (shelf.ULAW, shelf.G722)
        for path in SOUNDS.rglob(f"*{ending}")
    }
    assert there == {each.name for each in EVERY}
    noted = {
        f"{path.parent.relative_to(SOUNDS).as_posix()}/{name}"
        for path in SOUNDS.rglob(shelf.MANIFEST)
        for name in shelf.manifest(path.parent)
    }
    assert noted == there


def test_every_language_has_a_text_of_every_kind() -> None:
    for language in shelf.LANGUAGES:
        assert {path.stem for path in (SOUNDS / language).glob("*.txt")} == set(KINDS), language


def test_the_audio_of_all_languages_stays_small_enough_for_the_repository() -> None:
    size = sum(path.stat().st_size for path in SOUNDS.rglob("*") if path.is_file())
    assert size < SHIPPED_MB * 1_000_000


@pytest.mark.parametrize("language", [each for each in shelf.LANGUAGES if each != "tl"])
def test_a_language_is_of_one_loudness_never_distorted_and_without_dead_air(language: str) -> None:
    wrong = []
    for each in (each for each in EVERY if each.language == language):
        audio = heard(each.name)
        edge = round(0.9 * shelf.RATE * (sound.PHRASE_MARGIN_MS if each.phrase else sound.MARGIN_MS) / 1000)
        loud = sound.loudness(audio, shelf.RATE)
        fine = (
            abs(loud - sound.TARGET_LUFS) <= sound.TOLERANCE_LU
            and sound.peak(audio) <= sound.PEAK_DBFS + 0.3  # µ-law's own steps
            and np.mean(np.abs(audio) > 0.99) == 0
            and dbfs(audio[:edge]) < -40
            and dbfs(audio[-edge:]) < -40
            and dbfs(audio[edge : edge + 800]) > -60
        )
        made = shelf.made_of(SOUNDS, each.name)
        assert made is not None
        noted = (made.duration_s, made.loudness_lufs) == (
            pytest.approx(len(audio) / shelf.RATE, abs=0.001),
            pytest.approx(loud, abs=0.05),
        )
        if not fine or not noted:
            wrong.append((each.name, loud, sound.peak(audio), dbfs(audio[:edge]), dbfs(audio[-edge:])))
    assert wrong == []


def test_a_place_or_a_waiting_time_is_over_within_five_seconds() -> None:
    for language in shelf.LANGUAGES:
        for name, made in shelf.manifest(SOUNDS / language / shelf.SPOKEN).items():
            assert made.duration_s <= 5, (language, name)


def test_the_manifest_says_whose_voice_it_is_and_under_what_licence() -> None:
    for each in EVERY:
        made = shelf.made_of(SOUNDS, each.name)
        assert made is not None
        japanese = each.language == "ja"
        assert (japanese, "Mei" in made.voice, "CC BY 3.0" in made.licence) in (
            (True, True, True),
            (False, False, False),
        ), each.name
        assert made.licence


@pytest.mark.parametrize("name", sorted(name for name, each in SENTENCES.items() if each.language == "ja"))
def test_a_shipped_prompt_is_read_as_a_japanese_person_reads_it(name: str) -> None:
    assert voices.reading(SENTENCES[name].text or "") == READINGS[name]


@pytest.mark.parametrize(("name", "language"), [("oita/ja/overflow", "ja"), ("en/greeting", "en")])
def test_a_shipped_prompt_is_the_speech_of_its_text(name: str, language: str) -> None:
    [made] = sound.of_voices([voices.speak(language, SENTENCES[name].text or "")])
    again, shipped = sound.samples(made.ulaw), heard(name)
    assert len(again) == len(shipped)
    assert float(np.corrcoef(again, shipped)[0, 1]) > 0.99


def test_the_closed_announcement_tells_the_hours_of_the_calendar() -> None:
    texts = OITA["announcements"]["closed"]
    assert OITA["hours"]["weekly"]["monday"] == ["08:30-18:00"]
    assert all(part in texts["ja"] for part in ("午前8時30分", "午後6時", "祝日", "12月29日", "1月3日"))
    assert all(part in texts["en"] for part in ("8:30 a.m.", "6 p.m.", "public holidays", "December 29"))
    assert all(part in texts["zh"] for part in ("上午八点三十分", "下午六点", "节假日", "十二月二十九日"))
    assert all(part in texts["ko"] for part in ("오전 여덟 시 삼십 분", "오후 여섯 시", "공휴일", "십이월"))


def test_the_music_on_hold_is_quiet_within_the_telephone_band_and_loops_without_a_seam() -> None:
    path = build.music_of(SOUNDS)
    audio = np.frombuffer(path.read_bytes()[44:], "<i2") / 32768
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / 8000)
    steps = np.abs(np.diff(audio))
    around = np.roll(audio, 400)[:800]  # the seam in the middle
    assert 25 < len(audio) / 8000 < 40
    assert dbfs(audio) == pytest.approx(-24, abs=0.5)
    assert np.max(np.abs(audio)) < 10 ** (-6 / 20)
    assert power[(hertz < 300) | (hertz > 3400)].sum() < power.sum() * 1e-5
    assert abs(audio[0] - audio[-1]) <= np.max(steps)
    assert np.max(np.abs(np.diff(around, 2))) <= np.max(np.abs(np.diff(audio, 2)))
    assert min(dbfs(bar) for bar in np.array_split(audio, 32)) > -32
    assert float(np.corrcoef(np.frombuffer(music.loop(), "<i2"), audio)[0, 1]) > 0.999


# -- how it is made ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hertz", "through"), [(400, True), (1000, True), (3300, True), (4500, False), (6000, False)]
)
def test_what_a_telephone_can_not_carry_does_not_fold_back_as_noise(hertz: int, through: bool) -> None:
    tone = (0.5 * np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000) * 32767).astype("<i2")
    low = np.frombuffer(sound.resampled(tone.tobytes(), 48_000, 8000), "<i2")[400:-400] / 32768
    level = dbfs(low) - dbfs(tone / 32768)
    assert level == pytest.approx(0, abs=0.1) if through else level < -70


@pytest.mark.parametrize(("level", "hertz"), [(0.1, 997), (0.3, 300), (0.05, 3000)])
def test_loudness_is_measured_as_ffmpeg_does(tmp_path: Path, level: float, hertz: int) -> None:
    beat = np.arange(5 * 8000) / 8000
    audio = level * np.sin(2 * np.pi * hertz * beat) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.9 * beat))
    raw = (audio * 32767).astype("<i2").tobytes()
    form = ["-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-af", "ebur128", "-f", "null", "-"]
    said = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", *form], input=raw, capture_output=True, check=True
    )
    [theirs] = re.findall(rb"I:\s+(-?[\d.]+) LUFS\s+Threshold", said.stderr)
    assert sound.loudness(audio, 8000) == pytest.approx(float(theirs), abs=0.2)


def test_a_phrase_that_is_shorter_than_one_block_has_a_loudness_too() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 997 * np.arange(1600) / 8000)
    assert sound.loudness(tone, 8000) == pytest.approx(-23.0, abs=0.5)  # BS.1770: 0 dBFS sine is -3.01
    assert sound.loudness(np.zeros(1600), 8000) == -70.0


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
    shutil.copytree(SOUNDS / "music", tmp_path / "music")
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
    monkeypatch.setitem(__import__("sys").modules, "pyopenjtalk", None)
    monkeypatch.setenv("PATH", "")
    for language in ("ja", "en"):
        with pytest.raises(voices.PromptsUnavailable, match="scripts/prompts"):
            voices.speak(language, "1")


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
    assert build.approve(small, "mori/ja/nothing", "市 担当", "2026-11-28") is None
    assert build.approve(small, "mori/ja/closed", "市 担当", "2026-11-28") is not None
    assert "承認済み / approved  1.2 s  -70.0 LUFS  市 担当 2026-11-28" in desk.items(small, told)[0].line()
    assert build.build(small, [CLOSED]).made == ("common/ja/ready", "common/ja/paused")
    assert desk.items(small, told)[0].state is desk.State.APPROVED
    build.build(small, [CLOSED], again=True)
    assert desk.items(small, told)[0].state is desk.State.PLACEHOLDER


def test_a_prompt_or_a_piece_of_the_history_is_exported_as_a_wav(small: Path) -> None:
    put_prompt(small, "mori/ja/closed", CLOSED.text)
    made = shelf.made_of(small, "mori/ja/closed")
    assert made is not None
    kept = small / "kept"
    shelf.keep(small, kept, [("mori/ja/closed", shelf.audio_id(made))])
    put_prompt(small, "mori/ja/closed", CLOSED.text, SILENCE * 2)
    with pytest.raises(OSError, match="built anew"):
        shelf.keep(small, small / "another", [("mori/ja/closed", shelf.audio_id(made))])
    for name, size in (("mori/ja/closed", 3200), (shelf.audio_id(made), 1600)):
        desk.export(small, kept, name, small / "out.wav")
        assert (small / "out.wav").stat().st_size == 44 + size
    with pytest.raises(voices.PromptsUnavailable):
        desk.export(small, kept, "mori/ja/greeting", small / "out.wav")


def test_a_manifest_that_can_not_be_read_makes_prompts_suspect_and_nothing_worse(small: Path) -> None:
    put_prompt(small, "mori/ja/closed", CLOSED.text)
    told = json.loads((small / "mori/ja/manifest.json").read_text(encoding="utf-8"))
    told["closed"]["of_a_later_version"] = 1
    (small / "mori/ja/manifest.json").write_text(json.dumps(told), encoding="utf-8")
    assert shelf.fault(small, "mori/ja/closed", CLOSED.text) is None
    for broken in ("{", "[]", '{"closed": 3}', '{"closed": {}}'):
        (small / "mori/ja/manifest.json").write_text(broken, encoding="utf-8")
        assert shelf.fault(small, "mori/ja/closed", CLOSED.text) == "not_made_here"
