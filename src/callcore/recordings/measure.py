"""A recording measured: size, length and digest, or what is wrong with it.

An Asterisk that was killed has closed no file: their headers promise nothing, and what lies there counts.
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Callable, Container
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from callcore.domain.findings import VOICE_LEAST_S, WORDS, Side
from callcore.pcm import SAMPLE, audioop, mixed, mixes
from callcore.recordings.errors import RecordingError
from callcore.recordings.library import PLAIN_ENDS, Recordings
from callcore.recordings.sides import sides_of
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
    """Seconds in which each channel is louder than silence, and in which the worst one is clipped. `sides`: left and
    right, where they are there apart."""

    voice_s: tuple[float, ...] = ()
    clipped_s: float = 0.0
    sides: tuple[Side, ...] = ()


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
    if found.problem is None:
        voice = replace(voice, sides=both_sides(recordings, name))
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


def both_sides(recordings: Recordings, name: str) -> tuple[Side, ...]:
    """Of a recording, beside the plain one or in two channels of what is sealed; () where they are not, or are not its
    own. Looked at until there is enough of both, which is soon where nothing is wrong."""
    plain = recordings.spool / (name + PLAIN_ENDS)
    try:
        try:
            with ExitStack() as opened:
                return _sides(*(opened.enter_context(each.open("rb")) for each in (plain, *sides_of(plain))))
        except FileNotFoundError:
            if plain.exists():
                return ()
            with recordings.open(name) as file:
                return _sides(file)
    except (OSError, ValueError, RecordingError):
        return ()


def _sides(file: BinaryIO, *sides: BinaryIO) -> tuple[Side, ...]:
    """Of a mixed one and its sides, or of a file with two channels. Raises OSError, RecordingError."""
    form = plain_form(file)
    if form is None or form.channels != (1 if sides else 2) or form.frame != SAMPLE * form.channels:
        return ()
    step, found = max(1, round(FRAME_S * form.rate)), [Side(0.0, 0.0)] * 2
    file.seek(form.begins)
    while data := file.read(step * FRAMES_AT_ONCE * form.frame):
        whole = data[: len(data) // form.frame * form.frame]
        if sides:
            left, right = (side.read(len(whole)) for side in sides)
            if not mixes(left, right, whole):
                return ()
        else:
            both = array("h", whole)
            left, right = both[::2].tobytes(), both[1::2].tobytes()
        found = [_more(side, samples, step) for side, samples in zip(found, (left, right), strict=True)]
        if min(found[0].sound_s, found[1].sound_s, found[1].voice_s) >= VOICE_LEAST_S:
            break
    return tuple(found)


def _more(side: Side, data: bytes, step: int) -> Side:
    samples = array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    frames = (samples[at : at + step] for at in range(0, len(samples) - step + 1, step))
    moving = sum(low != high for low, high in (audioop().minmax(frame, SAMPLE) for frame in frames))
    return Side(
        round(side.voice_s + FRAME_S * _frames(samples, step)[0], 3),
        round(side.sound_s + FRAME_S * moving, 3),
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
