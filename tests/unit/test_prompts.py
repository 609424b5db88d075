"""What callers and agents hear from the machine: loud enough, never distorted, of the right text."""

from __future__ import annotations

import sys
import tomllib
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcore import prompts
from callcore.domain.centre import Announcement
from callcore.prompts import music, shelf, speech

PROJECT = Path(__file__).parents[2]
SOUNDS = PROJECT / "ivr_prompts"
CENTRES = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in (PROJECT / "centres").glob("*.toml")
}
SPOKEN = sorted(path.relative_to(SOUNDS).with_suffix("").as_posix() for path in SOUNDS.glob("*/ja/*.wav"))

SAME = {
    "recording_notice": (
        "コノツーワワ、オトイアワセナイヨーノカクニント、オータイヒンシツノコージョーノタメ、ロクオンシテイマス。"
    ),
    "apology": (
        "モーシワケゴザイマセン。"
        "タダイマデンワガタイヘンコミアッテオリ、オツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "overflow": (
        "モーシワケゴザイマセン。"
        "タダイマ、タクサンノオデンワヲイタダイテオリ、スグニオツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
}
"""How what every centre says is read."""

READINGS = {
    "oita/ja/recording_notice": SAME["recording_notice"],
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
    "oita/ja/apology": SAME["apology"],
    "oita/ja/overflow": SAME["overflow"],
    "ageo/ja/apology": SAME["apology"],
    "ageo/ja/closed": (
        "オデンワアリガトーゴザイマス。"
        "アゲオシマイナンバーカードコールセンターデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、マイニチ、ゴゼンハチジサンジュップンカラゴゴハチジマデデス。"
        "ドヨービ、ニチヨービ、シュクジツ、ネンマツネンシモ、ウケツケテオリマス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "ageo/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "アゲオシマイナンバーカードコールセンターデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "ageo/ja/greeting": (
        "オデンワアリガトーゴザイマス。"
        "アゲオシマイナンバーカードコールセンターデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "ageo/ja/recording_notice": SAME["recording_notice"],
    "izunokuni/ja/apology": SAME["apology"],
    "izunokuni/ja/closed": (
        "オデンワアリガトーゴザイマス。"
        "イズノクニシマイナンバーカードコールセンターデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンハチジサンジュップンカラゴゴゴジジューゴフンマデ、シュクジツヲノゾクモクヨービワ、ゴゴシチジマデデス。"
        "ドヨービ、ニチヨービ、シュクジツ、オヨビジューニガツニジュークニチカライチガツミッカマデワ、オヤスミデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "izunokuni/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "イズノクニシマイナンバーカードコールセンターデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "izunokuni/ja/greeting": (
        "オデンワアリガトーゴザイマス。"
        "イズノクニシマイナンバーカードコールセンターデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "izunokuni/ja/overflow": SAME["overflow"],
    "izunokuni/ja/recording_notice": SAME["recording_notice"],
    "oita/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "オーイタシマイナンバーカードコールセンターデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "portal/ja/apology": SAME["apology"],
    "portal/ja/closed": (
        "マイナポータルヘルプデスクデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンクジサンジュップンカラゴゴロクジサンジュップンマデ、イチガツカラサンガツマデノヘージツワ、ゴゼンクジカラゴゴハチジマデデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "portal/ja/emergency": (
        "マイナポータルヘルプデスクデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "portal/ja/greeting": (
        "マイナポータルヘルプデスクデス。タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "portal/ja/recording_notice": SAME["recording_notice"],
    "sogo/ja/apology": SAME["apology"],
    "sogo/ja/closed": (
        "オデンワアリガトーゴザイマス。"
        "マイナンバーソーゴーフリーダイヤルデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンクジサンジュップンカラゴゴハチジマデ、ドヨービ、ニチヨービ、シュクジツワ、ゴゼンクジサンジュップンカラゴゴゴジサンジュップンマデデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "sogo/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "マイナンバーソーゴーフリーダイヤルデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "sogo/ja/greeting": (
        "オデンワアリガトーゴザイマス。"
        "マイナンバーソーゴーフリーダイヤルデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "sogo/ja/overflow": SAME["overflow"],
    "sogo/ja/recording_notice": SAME["recording_notice"],
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
    "common/ja/call-refused": (
        "コノバンゴーニワハッシンデキマセン。キョカサレテイルバンゴーカ、カンリシャニカクニンシテクダサイ。"
    ),
    "common/ja/call-failed": (
        "オツナギデキマセンデシタ。カイセンノツゴーカ、バンゴーノアヤマリデス。バンゴーヲタシカメテ、モーイチドオカケクダサイ。"
    ),
    "common/ja/emergency-elsewhere": (
        "コノデンワキデワ、キンキューノツーホーガデキマセン。ケータイデンワナド、ホカノデンワカラ、スグニオカケクダサイ。"
    ),
    "common/ja/abuse-marked": "ツーホーシマシタ。",
    "common/ja/ask-emergency": "キンキューアンナイニキリカエマス。ヨロシケレバ、イチヲオシテクダサイ。",
    "common/ja/emergency-off": "キンキューアンナイヲシューリョーシマシタ。",
    "common/ja/emergency-on": "キンキューアンナイニキリカエマシタ。",
    "common/ja/help-asked": "ヨビマシタ。",
    "common/ja/key-refused": "デキマセン。",
    "common/ja/locked": "アンショーバンゴーノアヤマリガツズイタタメ、シバラクウケツケヲカイシデキマセン。",
    "common/ja/other-seat": "コノデンワキデワ、ウケツケヲカイシデキマセン。",
    "common/ja/pause-full": "コノリユーデリセキデキルニンズーニ、タッシテイマス。",
    "common/ja/recording-paused": "ロクオンヲトメマシタ。",
    "common/ja/recording-resumed": "ロクオンヲサイカイシマシタ。",
    "common/ja/relay-marked": "デンワリレー。",
    "common/ja/result-keyed": "ケッカヲキロクシマシタ。",
    "common/ja/signed-in-elsewhere": "ベツノデンワキデウケツケチューデス。",
    "common/ja/undone": "トリケシマシタ。",
}


def samples(path: Path) -> Any:
    """The samples of a telephone wav, full scale 1."""
    with wave.open(str(path), "rb") as audio:
        assert (audio.getframerate(), audio.getnchannels(), audio.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(audio.readframes(audio.getnframes()), "<i2") / 32768


def dbfs(wave_form: Any) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(wave_form)))))


def test_every_prompt_that_is_needed_is_shipped_and_no_other() -> None:
    assert set(SPOKEN) == set(READINGS)
    assert {f"common/ja/{kind}" for kind in shelf.COMMON_KINDS} < set(READINGS)


@pytest.mark.parametrize("sound", SPOKEN)
def test_a_shipped_prompt_is_loud_enough_and_not_distorted(sound: str) -> None:
    heard = samples(shelf.wav_of(SOUNDS, sound))
    frames = [frame for frame in np.array_split(heard, len(heard) // 160) if np.any(frame)]
    spoken = [frame for frame in frames if dbfs(frame) > max(map(dbfs, frames)) - 35]
    assert len(heard) > 6000  # three quarters of a second: an agent hears some inside a talk
    assert np.max(np.abs(heard)) < 10 ** (-0.9 / 20)
    assert dbfs(np.concatenate(spoken)) == pytest.approx(-20, abs=1)
    assert dbfs(heard[:800]) < -45
    assert dbfs(heard[-800:]) < -45


@pytest.mark.parametrize("sound", SPOKEN)
def test_a_shipped_prompt_is_read_as_a_japanese_person_reads_it(sound: str) -> None:
    text = shelf.made_from(SOUNDS, sound)
    assert text is not None
    assert prompts.reading(text) == READINGS[sound]


@pytest.mark.parametrize("sound", SPOKEN)
def test_a_shipped_prompt_is_the_speech_of_its_text(sound: str) -> None:
    text = shelf.made_from(SOUNDS, sound)
    assert text is not None
    made = np.frombuffer(speech.say(text), "<i2") / 32768
    heard = samples(shelf.wav_of(SOUNDS, sound))
    assert len(made) == len(heard)
    assert float(np.corrcoef(made, heard)[0, 1]) > 0.99


@pytest.mark.parametrize("centre", sorted(CENTRES))
def test_the_text_beside_a_prompt_is_the_one_in_the_centre_file(centre: str) -> None:
    for kind, told in CENTRES[centre]["announcements"].items():
        assert shelf.made_from(SOUNDS, f"{centre}/ja/{kind}") == told["ja"]


SPOKEN_HOURS = {
    "oita": (["08:30-18:00"], ("午前8時30分", "午後6時まで", "土曜日、日曜日、祝日", "12月29日", "1月3日")),
    "ageo": (["08:30-20:00"], ("毎日、午前8時30分から午後8時まで", "年末年始も")),
    "izunokuni": (["08:30-17:15"], ("午後5時15分", "祝日を除く木曜日は、午後7時", "12月29日", "1月3日")),
    "sogo": (["09:30-20:00"], ("午前9時30分から午後8時", "祝日は、午前9時30分から午後5時30分")),
    "portal": (["09:30-18:30"], ("午前9時30分から午後6時30分", "1月から3月までの平日は、午前9時から午後8時")),
}


@pytest.mark.parametrize("centre", sorted(CENTRES))
def test_the_closed_announcement_tells_the_hours_of_the_calendar(centre: str) -> None:
    monday, parts = SPOKEN_HOURS[centre]
    assert CENTRES[centre]["hours"]["weekly"]["monday"] == monday
    text = CENTRES[centre]["announcements"]["closed"]["ja"]
    assert [part for part in parts if part not in text] == []


def test_the_music_on_hold_is_quiet_within_the_telephone_band_and_loops_without_a_seam() -> None:
    heard = samples(prompts.music_of(SOUNDS))
    power = np.abs(np.fft.rfft(heard)) ** 2
    hertz = np.fft.rfftfreq(len(heard), 1 / 8000)
    steps = np.abs(np.diff(heard))
    around = np.roll(heard, 400)[:800]  # the seam in the middle
    assert 25 < len(heard) / 8000 < 40
    assert dbfs(heard) == pytest.approx(-24, abs=0.5)
    assert np.max(np.abs(heard)) < 10 ** (-6 / 20)
    assert power[(hertz < 300) | (hertz > 3400)].sum() < power.sum() * 1e-5
    assert abs(heard[0] - heard[-1]) <= np.max(steps)
    assert np.max(np.abs(np.diff(around, 2))) <= np.max(np.abs(np.diff(heard, 2)))
    assert min(dbfs(bar) for bar in np.array_split(heard, 32)) > -32
    assert float(np.corrcoef(np.frombuffer(music.loop(), "<i2"), heard)[0, 1]) > 0.999


def test_the_same_text_gives_the_same_bytes() -> None:
    assert speech.say("受付を開始しました。") == speech.say("受付を開始しました。")


@pytest.mark.parametrize(
    ("hertz", "heard"), [(400, True), (1000, True), (3300, True), (4500, False), (6000, False)]
)
def test_what_a_telephone_can_not_carry_does_not_fold_back_as_noise(hertz: int, heard: bool) -> None:
    tone = np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000)
    low = speech.decimate(tone, 6)[400:-400]
    level = dbfs(low) - dbfs(tone)
    assert level == pytest.approx(0, abs=0.1) if heard else level < -75


def test_make_makes_only_what_is_missing_or_changed_and_spares_recordings(tmp_path: Path) -> None:
    for kind in shelf.COMMON_KINDS:
        path = shelf.text_of(tmp_path, f"common/ja/{kind}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("はい。\n", encoding="utf-8")
    closed = Announcement("closed", "ja", "本日は終了しました。", "mori/ja/closed")
    seen: dict[Path, str | None] = {}
    made = prompts.make(tmp_path, [closed], progress=seen.__setitem__)
    assert made[0] == tmp_path / "mori/ja/closed.wav"
    assert list(seen) == made
    assert seen[made[0]] == "ホンジツワシューリョーシマシタ。"
    assert len(made) == 1 + len(shelf.COMMON_KINDS) + 1
    assert shelf.made_from(tmp_path, "mori/ja/closed") == closed.text
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]

    shelf.wav_of(tmp_path, "common/ja/signed-in").unlink()
    speech.write_wav(tmp_path / "common/ja/refused.wav", bytes(16000))
    changed = Announcement("closed", "ja", "本日の受付は終了しました。", "mori/ja/closed")
    assert prompts.make(tmp_path, [changed]) == [
        tmp_path / "mori/ja/closed.wav",
        tmp_path / "common/ja/signed-in.wav",
    ]
    assert not np.any(samples(tmp_path / "common/ja/refused.wav"))


def test_a_failed_making_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "common/ja").mkdir(parents=True)
    with pytest.raises(prompts.PromptsUnavailable, match=r"ask-agent-number\.txt がありません"):
        prompts.make(tmp_path, [])
    assert not list(tmp_path.rglob("*.wav"))


def test_a_language_without_a_voice_is_said_so_with_what_to_do(tmp_path: Path) -> None:
    for language in ("en", "ja"):
        for kind in shelf.COMMON_KINDS:
            path = shelf.text_of(tmp_path, f"common/{language}/{kind}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("yes\n", encoding="utf-8")
    with pytest.raises(prompts.PromptsUnavailable, match="only Japanese can be made yet"):
        prompts.make(tmp_path, [Announcement("closed", "en", "We are closed.", "mori/en/closed")])


def test_a_machine_without_the_voice_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyopenjtalk", None)
    with pytest.raises(prompts.PromptsUnavailable, match=r"pip install -e '\.\[prompts\]'"):
        prompts.reading("はい。")
