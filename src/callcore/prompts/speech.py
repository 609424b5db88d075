"""From a Japanese text to telephone audio.

Runs only on the machine that makes prompts (extra `prompts`: pyopenjtalk-plus with its dictionary and the
voice Mei, and numpy, which it needs itself); what it makes is shipped. The same text gives the same bytes.

The voice speaks at 48 kHz. Telephones want 8 kHz, a sixth: everything above 4 kHz must be gone before five of
six samples are dropped, or it folds back as noise (pydub's own resampling leaves it in). A linear-phase
low-pass (windowed sinc, Kaiser) does that in ten lines of numpy, so that making prompts needs neither ffmpeg
nor scipy. Level and silence are pydub's.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
import wave
from pathlib import Path
from typing import Any

from callcore.prompts.shelf import RATE

VOICE_RATE = 48_000
"""What pyopenjtalk-plus gives (its documentation: `tts` returns 48 kHz)."""
SPEED = 0.95
"""A little slower than the voice's own pace: many callers of a city line are old."""
SPEECH_DBFS = -20.0
"""RMS of the spoken parts against full scale; about the level of a person on a telephone line."""
PEAK_DBFS = -1.0
"""No sample comes nearer to full scale than this; the level gives way."""
MARGIN_MS = 150
"""Silence before and after the speech."""

_SILENT_DB = 35.0
"""What is this much below the loudest frame is no speech."""
_FRAME_MS = 20
_PASS_HZ = 3_400
_STOP_HZ = 4_000
_STOP_DB = 80.0


class PromptsUnavailable(RuntimeError):
    """A prompt can't be made on this machine or in this language. Says in both languages what to do."""


def say(text: str) -> bytes:
    """A Japanese text as 8 kHz mono 16 bit samples, levelled and trimmed. Raises `PromptsUnavailable`."""
    voice = _voice()
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dictionaries' deprecations
        # Without guessing 何 by a model that is not always installed: the same text, the same bytes.
        samples, rate = voice.tts(text, speed=SPEED, predict_nani=False)
    if rate != VOICE_RATE:
        raise PromptsUnavailable(
            f"音声が {rate} Hz です。pyopenjtalk-plus を入れてください(pyopenjtalk ではなく)。\n"
            f"The voice speaks at {rate} Hz: install pyopenjtalk-plus, not pyopenjtalk"
        )
    low = decimate(samples, VOICE_RATE // RATE)
    loudest = float(np.max(np.abs(low)))
    whole = np.rint(low * (0.5 * 32767 / loudest)).astype("<i2")
    return _level_and_trim(whole.tobytes())


def reading(text: str) -> str:
    """How the voice will read a Japanese text, in katakana, to be checked. Raises `PromptsUnavailable`."""
    voice = _voice()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(voice.g2p(text, kana=True, predict_nani=False))


def _voice() -> Any:
    try:
        # At import it prints that a model for 何 is not installed; that model is not used here.
        with contextlib.redirect_stdout(io.StringIO()):
            import pyopenjtalk
    except ImportError as error:
        raise PromptsUnavailable(
            "音声を作る部品がありません。pip install -e '.[prompts]' を実行してください。\n"
            "What makes prompts is not installed: run pip install -e '.[prompts]'"
        ) from error
    return pyopenjtalk


def decimate(samples: Any, factor: int) -> Any:
    """One of `factor` samples of 48 kHz audio (numpy), after taking out all that 8 kHz can't carry."""
    import numpy as np

    width = 2 * np.pi * (_STOP_HZ - _PASS_HZ) / VOICE_RATE
    half = int(np.ceil((_STOP_DB - 8) / (2.285 * width) / 2))  # Kaiser's formula for the length
    beta = 0.1102 * (_STOP_DB - 8.7)
    cut = (_PASS_HZ + _STOP_HZ) / VOICE_RATE
    taps = cut * np.sinc(cut * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, beta)
    return np.convolve(np.asarray(samples, dtype=np.float64), taps / taps.sum(), mode="same")[::factor]


def _level_and_trim(samples: bytes) -> bytes:
    with warnings.catch_warnings():
        # pydub looks for ffmpeg when it is imported, and warns; nothing here needs it.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
        from pydub.silence import detect_leading_silence

    speech = AudioSegment(samples, frame_rate=RATE, sample_width=2, channels=1)
    frames = [speech[n : n + _FRAME_MS] for n in range(0, len(speech), _FRAME_MS)]
    floor = max(frame.dBFS for frame in frames) - _SILENT_DB
    start = detect_leading_silence(speech, floor, _FRAME_MS // 4)
    end = len(speech) - detect_leading_silence(speech.reverse(), floor, _FRAME_MS // 4)
    quiet = AudioSegment.silent(MARGIN_MS, frame_rate=RATE)
    around = quiet + speech + quiet  # so that there is always enough before and after
    speech = around[start : end + 2 * MARGIN_MS].fade_in(10).fade_out(10)

    spoken = sum((frame for frame in frames if frame.dBFS >= floor), AudioSegment.empty())
    gain = min(SPEECH_DBFS - spoken.dBFS, PEAK_DBFS - speech.max_dBFS)
    return bytes(speech.apply_gain(gain).raw_data)


def write_wav(path: Path, samples: bytes) -> None:
    """Puts a wav in its place whole or not at all: written aside, then renamed."""
    _put(path, ".wav", lambda aside: _wav(aside, samples))


def write_text(path: Path, text: str) -> None:
    """Likewise for a text."""
    _put(path, ".txt", lambda aside: aside.write_text(text + "\n", encoding="utf-8"))


def _wav(path: Path, samples: bytes) -> None:
    with wave.open(str(path), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(RATE)
        audio.writeframes(samples)


def _put(path: Path, ending: str, write: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=ending, dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        write(aside)
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
