"""The voices that make prompts until people are recorded: Mei for Japanese, espeak-ng for the others.

Run only on the machine that makes prompts (`scripts/prompts`); what they make is shipped. The same text with the same
versions gives the same samples.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import warnings
import wave
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, Final

SPEED: Final = 0.95
"""Of Mei: a little slower than the voice's own pace, for many callers of a city line are old."""

ESPEAK_VOICES: Final = {
    "en": ("en-us", 145),
    "zh": ("cmn", 220),
    "ko": ("ko", 190),
    "es": ("es-419", 150),
    "pt": ("pt-br", 150),
    "vi": ("vi", 150),
    "th": ("th", 160),
    "id": ("id", 160),
    "ne": ("ne", 150),
}
"""Voice and pace. espeak-ng counts a pace in words a minute (175 unless told), a Chinese or Korean syllable as a word;
a machine's voice has to be slow to be understood. It has no voice for Filipino (tl): that is recorded, or
substituted by another language."""

_MEI_LICENCE: Final = (
    "CC BY 3.0, (c) 2009-2013 Nagoya Institute of Technology, Department of Computer Science"
)
_ESPEAK_LICENCE: Final = "none on the audio; the program is GPL-3.0-or-later"


class PromptsUnavailable(RuntimeError):
    """A prompt can't be made on this machine or in this language. Says in both languages what to do."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Mono samples, 16 bit little endian, and whose voice it is."""

    data: bytes
    rate: int
    voice: str
    licence: str


def speaks(language: str) -> bool:
    """Whether there is a voice for a language."""
    return language == "ja" or language in ESPEAK_VOICES


def speak(language: str, text: str) -> Spoken:
    """Raises `PromptsUnavailable`."""
    if language == "ja":
        return _mei(text)
    if language not in ESPEAK_VOICES:
        raise PromptsUnavailable(
            f"{language}: この言語の合成音声はありません。録音を callcore prompts use で入れるか、センターファイルの "
            f"substitutes に別の言語を書いてください。\n"
            f"{language}: there is no machine's voice for it: bring a recording in with callcore prompts use, or name "
            f"another language under substitutes in the centre file"
        )
    return _espeak(language, text)


def reading(text: str) -> str:
    """How Mei will read a Japanese text, in katakana, to be checked. Raises `PromptsUnavailable`."""
    voice = _openjtalk()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(voice.g2p(text, kana=True, predict_nani=False))


def _mei(text: str) -> Spoken:
    voice = _openjtalk()
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dictionaries' deprecations
        # Without guessing 何 by a model that is not always installed: the same text, the same bytes.
        samples, rate = voice.tts(text, speed=SPEED, predict_nani=False)
    loudest = float(np.max(np.abs(samples)))
    whole = np.rint(samples * (0.5 * 32767 / loudest)).astype("<i2")
    version = metadata.version("pyopenjtalk-plus")
    return Spoken(whole.tobytes(), int(rate), f"HTS Voice Mei, pyopenjtalk-plus {version}", _MEI_LICENCE)


def _openjtalk() -> Any:
    try:
        metadata.version("pyopenjtalk-plus")
        # At import it prints that a model for 何 is not installed; that model is not used here.
        with contextlib.redirect_stdout(io.StringIO()):
            import pyopenjtalk
    except ImportError as error:
        raise PromptsUnavailable(
            "日本語の音声を作る部品がありません。scripts/prompts で実行してください。\n"
            "What makes Japanese prompts is not installed: run scripts/prompts"
        ) from error
    return pyopenjtalk


def _espeak(language: str, text: str) -> Spoken:
    name, pace = ESPEAK_VOICES[language]
    command = [tool("espeak-ng"), "-v", name, "-s", str(pace), "--stdout", "--stdin"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60, check=False)
    if done.returncode != 0 or len(done.stdout) <= 44:
        raise PromptsUnavailable(f"espeak-ng {name}: {done.stderr.decode(errors='replace').strip()} ({text})")
    with wave.open(io.BytesIO(done.stdout), "rb") as audio:
        data, rate = audio.readframes(audio.getnframes()), audio.getframerate()
    return Spoken(data[: len(data) & ~1], rate, f"espeak-ng {_espeak_version()}, {name}", _ESPEAK_LICENCE)


@lru_cache(maxsize=1)
def _espeak_version() -> str:
    said = subprocess.run(
        [tool("espeak-ng"), "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    return next((word for word in said.stdout.split() if word[:1].isdigit()), "?")


def tool(name: str) -> str:
    """A program of the system. Raises `PromptsUnavailable` when it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise PromptsUnavailable(
            f"{name} がありません。scripts/prompts で実行してください(必要なものを入れます)。\n"
            f"{name} is not installed: run scripts/prompts, which installs what is needed"
        )
    return found
