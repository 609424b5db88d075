"""A recording measured: size, length and digest, or what is wrong with it."""

from __future__ import annotations

import hashlib
import sys
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """`size` in bytes, `seconds` of sound, `sha256` in hex. `problem` is a word of `PROBLEMS`, or None."""

    size: int
    seconds: float
    sha256: str | None
    problem: str | None


FRAME_S = 0.02
LOUD = 256
"""The mean of a frame's samples above which it is no silence: Asterisk's own bound (dsp.conf, silencethreshold)."""


def voice_s(path: Path) -> float:
    """Seconds of a WAV file of 16-bit samples that are louder than silence; 0 of one that cannot be read."""
    try:
        with wave.open(str(path), "rb") as sound:
            if sound.getsampwidth() != 2:
                return 0.0
            samples, rate = array("h", sound.readframes(sound.getnframes())), sound.getframerate()
    except (wave.Error, EOFError, OSError, ValueError):
        return 0.0
    if sys.byteorder == "big":
        samples.byteswap()
    step = max(1, round(FRAME_S * rate))
    frames = (samples[at : at + step] for at in range(0, len(samples) - step + 1, step))
    return round(sum(sum(map(abs, frame)) > LOUD * step for frame in frames) * FRAME_S, 3)


PROBLEMS = {
    "missing": "録音ファイルがない / there is no file",
    "empty": "音がない / it holds no sound",
    "unreadable": "読めない / it cannot be read",
}


def measure(path: Path) -> Measured:
    """Measure one WAV file. Raises nothing that the file itself could cause."""
    try:
        size = path.stat().st_size
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return Measured(0, 0.0, None, "missing")
    except OSError:
        return Measured(0, 0.0, None, "unreadable")
    try:
        with wave.open(str(path), "rb") as sound:
            seconds = sound.getnframes() / sound.getframerate()
    except (wave.Error, EOFError, OSError, ZeroDivisionError):
        return Measured(size, 0.0, digest.hexdigest(), "unreadable")
    return Measured(size, round(seconds, 3), digest.hexdigest(), None if seconds > 0 else "empty")
