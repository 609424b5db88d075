"""Ears for tests: what is in a recording, and when.

All recordings are 8 kHz, mono, 16 bit. Positions and lengths are seconds from the recording's first sample.
Levels are RMS in dB of full scale, so that a sine at full scale has -3 dB.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from callcore.prompts import sound

RATE = 8000
WINDOW_S = 0.1
TRIM_S = 0.05
FLOOR_DB = -90.0
"""The level given to perfect silence."""

Samples = npt.NDArray[np.float64]
"""Samples between -1 and 1."""


def read(path: Path) -> Samples:
    """A WAV file's samples; one that is still being written is read as far as it is. A `.ulaw` is decoded.
    Raises `ValueError`."""
    if path.suffix == ".ulaw":
        heard: Samples = sound.samples(path.read_bytes())
        return heard
    with wave.open(str(path), "rb") as wav:
        if (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) != (1, 2, RATE):
            raise ValueError(f"{path}: not 8 kHz, mono, 16 bit")
        data = wav.readframes(wav.getnframes())
    return np.frombuffer(data[: len(data) & ~1], dtype="<i2").astype(np.float64) / 32768


def write(path: Path, samples: Samples) -> Path:
    """Write samples as a WAV file; what is over full scale is cut off."""
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        wav.writeframes((np.clip(samples, -1, 32767 / 32768) * 32768).astype("<i2").tobytes())
    return path


def tone(hz: float, seconds: float, *, level: float = 0.35) -> Samples:
    """A sine with this peak."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE))


def speech_like(seed: int, seconds: float, *, level: float = 0.35) -> Samples:
    """Noise shaped as speech is (syllables of 120-300 ms, pauses, 300-3000 Hz), different for each seed."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE)
    band = np.fft.irfft(spectrum * ((hz > 300) & (hz < 3000)) / (1 + hz / 700), count)
    envelope = np.zeros(count)
    at = 0
    while at < count:
        syllable, pause = round(random.uniform(0.12, 0.3) * RATE), round(random.exponential(0.06) * RATE)
        shape = np.hanning(syllable) * random.uniform(0.4, 1.0)
        envelope[at : at + syllable] = shape[: count - at]
        at += syllable + pause
    voice: Samples = band * envelope
    shaped: Samples = level * voice / np.max(np.abs(voice))
    return shaped


@dataclass(frozen=True, slots=True)
class Match:
    """Where a prompt is in a recording: `score` is 1.000 for the same samples, about 0.1 for another prompt."""

    at: float
    score: float


def find(prompt: Samples, recording: Samples) -> Match:
    """The place where the recording is most like the whole prompt (normalised cross-correlation).

    Up to `TRIM_S` may be missing at either end: Asterisk leaves out a WAV file's last 22 samples.
    Raises `ValueError` if the recording is shorter than the prompt or the prompt is silent.
    """
    length, energy = len(prompt), float(np.sum(prompt**2))
    edge = silence(TRIM_S)
    recording = np.concatenate((edge, recording, edge))
    if len(recording) < length:
        raise ValueError(f"a recording of {len(recording) / RATE:.2f} s cannot hold {length / RATE:.2f} s")
    if energy == 0:
        raise ValueError("a silent prompt is everywhere")
    size = 1 << (len(recording) + length - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(recording, size) * np.conj(np.fft.rfft(prompt, size)), size)
    likeness = product[: len(recording) - length + 1]
    squares = np.concatenate(([0.0], np.cumsum(recording**2)))
    local = squares[length:] - squares[:-length]
    # Where almost nothing is heard, rounding would make a likeness out of nothing.
    scores = likeness / np.sqrt(energy * np.maximum(local, energy * 1e-6))
    best = int(np.argmax(scores))
    return Match(best / RATE - TRIM_S, float(scores[best]))


def share(words: Samples, recording: Samples, piece_s: float = 0.4) -> float:
    """How much of the words is in the recording, piece by piece: 1.0 if every piece that is loud enough is found.

    On a busy machine a frame is lost here and there, and all that comes after it is shifted: the whole is never like
    the whole then, and of pieces only the one is lost in which it fell.
    """
    size = round(piece_s * RATE)
    pieces = [words[at : at + size] for at in range(0, len(words) - size + 1, size)]
    pieces = [
        piece for piece in pieces if np.sqrt(np.mean(piece**2)) > 0.02
    ]  # no pause between two sentences
    if not pieces:
        raise ValueError("nothing that is loud enough to be known again")
    return sum(find(piece, recording).score > 0.8 for piece in pieces) / len(pieces)


def level_over_time(recording: Samples, window_s: float = WINDOW_S) -> Samples:
    """RMS level of each whole window in dB; `FLOOR_DB` for silence."""
    windows = _windows(recording, window_s)
    rms: Samples = np.sqrt(np.mean(windows**2, axis=1))
    levels: Samples = np.maximum(20 * np.log10(np.maximum(rms, 1e-12)), FLOOR_DB)
    return levels


def tone_over_time(recording: Samples, hz: float, window_s: float = WINDOW_S) -> Samples:
    """The share (0 to 1) of each whole window's energy that is in this tone (Goertzel); 0 where silent."""
    windows = _windows(recording, window_s)
    count = windows.shape[1]
    turn = np.exp(-2j * np.pi * hz * np.arange(count) / RATE)
    power = np.abs(windows @ turn) ** 2 * 2 / count
    energy = np.sum(windows**2, axis=1)
    audible = energy / count > 10 ** (-60 / 10)
    return np.where(audible, np.minimum(power / np.maximum(energy, 1e-12), 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` up to, not including, `end`."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start


def hears(recording: Samples, hz: float, *, share: float = 0.3, window_s: float = WINDOW_S) -> list[Stretch]:
    """The stretches in which this tone holds at least this share of the energy.

    0.3 finds each of two parties that speak at once with equal loudness.
    """
    return _stretches(tone_over_time(recording, hz, window_s) >= share, window_s)


def gaps(
    recording: Samples,
    at_least_s: float,
    *,
    start: float = 0.0,
    end: float | None = None,
    below_db: float = -50.0,
) -> list[Stretch]:
    """Stretches of silence of at least this length between two positions (resolution 10 ms)."""
    window_s = 0.01
    part = recording[round(start * RATE) : None if end is None else round(end * RATE)]
    found = _stretches(level_over_time(part, window_s) < below_db, window_s)
    return [Stretch(gap.start + start, gap.end + start) for gap in found if gap.length >= at_least_s - 1e-9]


def clicks(recording: Samples, *, factor: float = 2.0) -> list[float]:
    """Positions where a sample jumps out of a smooth sound: a cut, a lost or a doubled packet.

    A jump is a second difference that is `factor` times the largest of the 20 ms on either side of it and
    above -40 dB. Made for tones; speech has few such places of its own, noise many.
    """
    bend = np.abs(np.diff(recording, 2))
    around, guard = round(0.02 * RATE), 3
    found: list[float] = []
    for at in np.flatnonzero(bend > 10 ** (-40 / 20)):
        before, after = bend[max(at - around, 0) : max(at - guard, 0)], bend[at + guard : at + around]
        usual = max(before.max(initial=0.0), after.max(initial=0.0))
        if bend[at] > factor * usual and (not found or at / RATE - found[-1] > 0.002):
            found.append(float(at) / RATE)
    return found


def _windows(recording: Samples, window_s: float) -> Samples:
    size = round(window_s * RATE)
    count = len(recording) // size
    return recording[: count * size].reshape(count, size)


def _stretches(present: npt.NDArray[np.bool_], window_s: float) -> list[Stretch]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], present, [False])).astype(np.int8)))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [Stretch(float(a) * window_s, float(b) * window_s) for a, b in pairs]
