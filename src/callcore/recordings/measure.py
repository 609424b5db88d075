"""A recording measured: size, length and digest, or what is wrong with it.

An Asterisk that was killed has closed no file: their headers promise nothing, and what lies there counts.
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from callcore.domain.findings import WORDS
from callcore.pcm import SAMPLE, audioop, mixed
from callcore.recordings.errors import RecordingError
from callcore.recordings.library import Recordings
from callcore.recordings.wavs import plain_form

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """`size` in bytes, `seconds` of sound, `sha256` in hex. `problem` is a word of `PROBLEMS`, or None."""

    size: int
    seconds: float
    sha256: str | None
    problem: str | None


class Unreadable(Exception):
    """It is no sound."""


FRAME_S = 0.02
LOUD = 256
"""The mean of a frame's samples above which it is no silence: Asterisk's own bound (dsp.conf, silencethreshold)."""


Opened = Callable[[], BinaryIO]
"""Opens the sound anew. May raise OSError, RecordingError."""


CLIPPED = 32_000
"""A sample from here on is cut off: G.711 ends at 32,124 (µ-law) and 32,256 (A-law)."""
CLIPPED_LEAST = 8
"""Such samples in a frame of which the sound is clipped; a loud voice touches the end now and then."""
FRAMES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Voices:
    """Seconds in which each channel is louder than silence, and in which the worst one is clipped."""

    voice_s: tuple[float, ...] = ()
    clipped_s: float = 0.0


def heard(recordings: Recordings, name: str) -> tuple[Measured, Voices]:
    """A recording as Asterisk wrote it, wherever it lies by now. One that was sealed before it was measured is measured
    there: of two channels both added are what was captured. Raises nothing that the recording itself could cause."""

    def opened() -> BinaryIO:
        return recordings.open(name)

    found, voice = measure(opened), voices(opened, added=True)
    try:
        captured = recordings.captured(name)
    except (OSError, RecordingError):
        captured = None
    if captured is not None and found.sha256 is not None:
        found = replace(found, size=captured.size, sha256=captured.sha256)
    return found, voice


class Ear:
    """`heard`, of each file once as it is: while nobody writes down what was found they are asked for each second."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._heard: dict[str, tuple[Path, _Stamp, tuple[Measured, Voices]]] = {}
        """By name: where it lay, as what, and what was found."""

    def has_heard(self, name: str) -> bool:
        """Whether it is what was heard before."""
        known = self._heard.get(name)
        return known is not None and _stamp(known[0]) == known[1]

    def heard(self, name: str) -> tuple[Measured, Voices]:
        if self.has_heard(name):
            return self._heard[name][2]
        try:
            path = self._recordings.path(name)
        except OSError:
            path = None
        stamp = None if path is None else _stamp(path)
        found = heard(self._recordings, name)
        if path is not None and stamp is not None and found[0].sha256 is not None:
            self._heard[name] = path, stamp, found
        return found

    def forget_but(self, names: Container[str]) -> None:
        for name in [each for each in self._heard if each not in names]:
            del self._heard[name]


_Stamp = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def voices(opened: Opened, *, added: bool = False) -> Voices:
    """Of a WAV file of 16-bit samples; nothing of one that cannot be read. `added`: of two channels together."""
    loud: list[int] = []
    clipped: list[int] = []
    try:
        with opened() as file:
            form = plain_form(file)
            if form is None or form.frame != SAMPLE * form.channels:
                return Voices()
            frame, step = form.frame, max(1, round(FRAME_S * form.rate))
            together = added and form.channels == 2
            channels = 1 if together else form.channels
            loud, clipped = [0] * channels, [0] * channels
            file.seek(form.begins)
            while data := file.read(step * FRAMES_AT_ONCE * frame):
                whole = data[: len(data) // frame * frame]
                samples = array("h", mixed(whole) if together else whole)
                if sys.byteorder == "big":
                    samples.byteswap()
                for side in range(channels):
                    voiced, cut = _frames(samples[side::channels], step)
                    loud[side] += voiced
                    clipped[side] += cut
    except (OSError, ValueError, RecordingError):
        return Voices()
    return Voices(
        tuple(round(each * FRAME_S, 3) for each in loud), round(max(clipped, default=0) * FRAME_S, 3)
    )


def _frames(samples: array[int], step: int) -> tuple[int, int]:
    """How many frames are louder than silence, and how many are clipped."""
    ops, loud, clipped = audioop(), 0, 0
    for at in range(0, len(samples) - step + 1, step):
        frame = samples[at : at + step]
        low, high = ops.minmax(frame, SAMPLE)
        peak = max(high, -low)
        if peak > LOUD:
            loud += _is_loud(frame, peak, ops.rms(frame, SAMPLE), step)
        if peak >= CLIPPED:
            clipped += sum(abs(each) >= CLIPPED for each in frame) >= CLIPPED_LEAST
    return loud, clipped


def _is_loud(frame: array[int], peak: int, rms: int, step: int) -> bool:
    """Whether the mean of its samples is above `LOUD`. It lies between the mean of their squares over the largest of
    them and the root of that mean (`rms`, rounded down), which settle most frames without a look at each sample."""
    if rms < LOUD:
        return False
    if rms * rms > LOUD * peak:
        return True
    return sum(map(abs, frame)) > LOUD * step


def length_s(file: BinaryIO) -> float:
    """Seconds of sound in a WAV file; raises Unreadable."""
    try:
        form, size = plain_form(file), file.seek(0, os.SEEK_END)
    except (OSError, RecordingError) as error:
        raise Unreadable from error
    if form is None:
        raise Unreadable
    return form.held(size) / form.frame / form.rate


PROBLEMS = {finding.value: words for finding, words in WORDS.items()}
"""What may be wrong with a recording: what keeps it from being measured, and what the engine finds (`watching`)."""


def measure(opened: Opened) -> Measured:
    """Measure one WAV file. Raises nothing that the file itself could cause."""
    try:
        size, digest = 0, hashlib.sha256()
        with opened() as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                digest.update(chunk)
    except FileNotFoundError:
        return Measured(0, 0.0, None, "missing")
    except (OSError, RecordingError):
        return Measured(0, 0.0, None, "unreadable")
    try:
        with opened() as file:
            seconds = length_s(file)
    except (OSError, RecordingError, Unreadable):
        return Measured(size, 0.0, digest.hexdigest(), "unreadable")
    return Measured(size, round(seconds, 3), digest.hexdigest(), None if seconds > 0 else "empty")
