"""What a simulated party says into its phone.

A source is written once as a WAV file (8 kHz, mono, 16 bit: what G.711 carries, so that nothing is resampled)
and lasts as long as the longest call, because a phone whose sound ends hangs up.
"""

from __future__ import annotations

import array
import math
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

RATE = 8000
"""Samples per second of every file here."""

FULL_SCALE = 32767


@dataclass(frozen=True, slots=True)
class Tone:
    """A steady sine. `hz` is a whole number, so that a second of it joins the next without a click."""

    hz: int
    level_db: float = -9.0
    """Peak below full scale; -9 leaves room for two parties in one recording."""


@dataclass(frozen=True, slots=True)
class Silence:
    """An open line with nobody speaking: RTP flows, every sample is zero."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A WAV file (8 kHz, mono, 16 bit), then silence, or the file again and again."""

    path: Path
    repeat: bool = False


Source = Tone | Silence | Sound


def samples(source: Source, seconds: float) -> bytes:
    """The source's first `seconds` as little-endian 16 bit samples. Raises `ValueError` on an unfit file."""
    length = round(seconds * RATE) * 2
    match source:
        case Tone():
            once = _second_of(source)
            data = once * (length // len(once) + 1)
        case Silence():
            data = b""
        case Sound(path, repeat):
            once = _read(path)
            data = once * (length // len(once) + 1) if repeat else once
    return data[:length].ljust(length, b"\0")


def write(path: Path, source: Source, seconds: float) -> None:
    """Write the source's first `seconds` to `path`."""
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        out.writeframes(samples(source, seconds))


def _second_of(tone: Tone) -> bytes:
    peak = FULL_SCALE * 10 ** (tone.level_db / 20)
    turn = 2 * math.pi * tone.hz / RATE
    data = array.array("h", (round(peak * math.sin(turn * n)) for n in range(RATE)))
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def _read(path: Path) -> bytes:
    with wave.open(str(path), "rb") as wav:
        if (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) != (1, 2, RATE):
            raise ValueError(f"{path}: a phone's sound must be 8 kHz, mono, 16 bit")
        data = wav.readframes(wav.getnframes())
    if not data:
        raise ValueError(f"{path}: holds no sound")
    return data
