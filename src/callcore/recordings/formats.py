"""In what a recording is kept: made of the 16 bit WAV file that Asterisk wrote and that is whole.

- `ulaw`: G.711 µ-law in a WAV file. `g722`: G.722 (16 kHz) in a WAV file. `opus`: Opus in an Ogg file.
- G.722 and Opus are made by ffmpeg, the latter decoded once to see that all of it is there: what it was made of goes.
- The same sound gives the same bytes. They lie in a file without a name, which is gone whatever dies.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from callcore.domain.recording import SoundFormat
from callcore.g711 import to_ulaw
from callcore.recordings.errors import RecordingError
from callcore.recordings.wavs import G722, ULAW, Form, coded_form, coded_head, plain_form

FFMPEG = "ffmpeg"
QUIET = ("-hide_banner", "-loglevel", "error", "-nostdin")
BY_FFMPEG = frozenset({SoundFormat.G722, SoundFormat.OPUS})
WIDE_RATE = 16_000
"""Of G.722, whatever it was made of."""
OPUS_BITS = 24_000
"""A second and channel: speech of a telephone line is not told from the original by ear (RFC 7587, 3.1.1: 16-20 kbit/s
for wideband)."""
LIMIT_S, LIMIT_SHARE = 12.0, 1 / 60
"""So long ffmpeg may take, and so much of the sound's length beside, before it is held for hung: it needs a tenth of
that. Where less time is left until the recording must be sealed it is ended sooner (`keeper`)."""
NICE = ("nice", "-n", "10")
"""Calls that go on come first."""
OFF_S = 0.1
"""By so much Opus may be longer or shorter than what it was made of: less than one of its packets, in any case."""
CHUNK = 1 << 18
_OPUS_RATE = 48_000
"""In which Ogg counts Opus, whatever it was made of (RFC 7845, 4)."""
_PAGE = 1 << 16
"""A page of Ogg is no longer than that (RFC 3533, 6)."""
_TO_OPUS = ("-c:a", "libopus", "-application", "voip", "-map_metadata", "-1", "-flags:a", "+bitexact")


class NotConverted(RecordingError):
    """`hung`: ffmpeg did not come to an end, and the next time may be no better."""

    def __init__(self, to: SoundFormat, why: str, *, hung: bool = False) -> None:
        self.hung = hung
        super().__init__(
            f"録音を {to.value} にできません: {why}。16 bit の WAV のまま保存します / "
            f"a recording cannot be made {to.value}: {why}; it is kept as 16 bit WAV"
        )


class NoSound(Exception):
    """It is no sound of that form, and its length cannot be told."""


def ending(form: str) -> str:
    """Of the name of a file in that format."""
    return "wav" if form in (SoundFormat.ULAW.value, SoundFormat.G722.value) else form


def converted(source: BinaryIO, to: SoundFormat, folder: Path, within_s: float) -> BinaryIO:
    """The sound of a WAV file in a format other than `WAV`, to be read from its begin. For `BY_FFMPEG` it has a
    descriptor and no buffer. `folder`: on whose disk what is made lies. `within_s`: so long ffmpeg may take. Raises
    NotConverted, OSError."""
    until = time.monotonic() + within_s
    form = plain_form(source)
    size = source.seek(0, os.SEEK_END)
    if form is None or form.frame != 2 * form.channels or form.begins + form.promised != size:
        raise NotConverted(to, "欠けた WAV / no whole WAV file")
    source.seek(form.begins)
    made = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    with ExitStack() as unless_made:
        unless_made.enter_context(made)
        _MAKERS[to](source, form, made, until)
        made.seek(0)
        unless_made.pop_all()
    return made


def seconds_of(file: BinaryIO, form: SoundFormat) -> float:
    """How long the sound of a kept recording is. Raises NoSound, OSError."""
    if form is SoundFormat.OPUS:
        return _opus_s(file)
    if form is SoundFormat.WAV:
        plain = plain_form(file)
        if plain is None:
            raise NoSound
        return plain.promised / plain.frame / plain.rate
    head = coded_form(file)
    if head is None:
        raise NoSound
    samples = head.promised // head.channels * (2 if head.tag == G722 else 1)
    return samples / head.rate


def _ulaw(source: BinaryIO, form: Form, made: BinaryIO, until: float) -> None:
    made.write(coded_head(ULAW, form.channels, form.rate, form.promised // 2))
    while data := source.read(CHUNK):
        made.write(to_ulaw(data))
    _pad(made, form.promised // 2)


def _g722(source: BinaryIO, form: Form, made: BinaryIO, until: float) -> None:
    if form.channels != 1:
        raise NotConverted(SoundFormat.G722, "モノラルではない / it is not mono")
    wide = round(form.promised / form.frame * WIDE_RATE / form.rate)
    begins = len(coded_head(G722, 1, WIDE_RATE, 0))
    made.write(bytes(begins))
    made.flush()
    given = ("-f", "s16le", "-ar", str(form.rate), "-ac", "1", "-i", "pipe:0")
    encoded = ("-ar", str(WIDE_RATE), "-c:a", "g722", "-f", "g722", "pipe:1")
    _ffmpeg(SoundFormat.G722, (*given, *encoded), source, made, form, until)
    size = made.seek(0, os.SEEK_END) - begins
    if abs(size * 2 - wide) > OFF_S * WIDE_RATE:
        raise NotConverted(SoundFormat.G722, f"長さが違う / another length: {size * 2 / WIDE_RATE:.3f} s")
    _pad(made, size)
    made.seek(0)
    made.write(coded_head(G722, 1, WIDE_RATE, size))
    made.flush()


def _opus(source: BinaryIO, form: Form, made: BinaryIO, until: float) -> None:
    given = ("-f", "s16le", "-ar", str(form.rate), "-ac", str(form.channels), "-i", "pipe:0")
    encoded = ("-b:a", str(OPUS_BITS * form.channels), "-fflags", "+bitexact", "-f", "opus", "pipe:1")
    _ffmpeg(SoundFormat.OPUS, (*given, *_TO_OPUS, *encoded), source, made, form, until)
    made.seek(0)
    with open(os.devnull, "wb") as nowhere:
        _ffmpeg(SoundFormat.OPUS, ("-xerror", "-i", "pipe:0", "-f", "null", "-"), made, nowhere, form, until)
    try:
        seconds = _opus_s(made)
    except NoSound:
        raise NotConverted(SoundFormat.OPUS, "音にならない / no sound came of it") from None
    if abs(seconds - form.promised / form.frame / form.rate) > OFF_S:
        raise NotConverted(SoundFormat.OPUS, f"長さが違う / another length: {seconds:.3f} s")


_MAKERS: Mapping[SoundFormat, Callable[[BinaryIO, Form, BinaryIO, float], None]] = {
    SoundFormat.ULAW: _ulaw,
    SoundFormat.G722: _g722,
    SoundFormat.OPUS: _opus,
}


def _pad(made: BinaryIO, size: int) -> None:
    """The parts of a WAV file begin at even bytes."""
    made.write(bytes(size % 2))


def _opus_s(file: BinaryIO) -> float:
    """By the position that the last page tells, and what is to be skipped before the first sample (RFC 7845)."""
    file.seek(0)
    head = file.read(_PAGE)
    at = head.find(b"OpusHead")
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _PAGE))
    last = file.read(_PAGE)
    page = last.rfind(b"OggS")
    if at < 0 or len(head) < at + 12 or page < 0 or len(last) < page + 14:
        raise NoSound
    skipped = int.from_bytes(head[at + 10 : at + 12], "little")
    position = int.from_bytes(last[page + 6 : page + 14], "little", signed=True)
    return max(0, position - skipped) / _OPUS_RATE


def _ffmpeg(
    to: SoundFormat,
    arguments: Sequence[str],
    source: BinaryIO,
    made: BinaryIO,
    form: Form,
    until: float,
) -> None:
    """From where the source stands. `until` (monotonic) it must have ended. Raises NotConverted."""
    program = shutil.which(FFMPEG)
    if program is None:
        raise NotConverted(to, "ffmpeg がない / ffmpeg is not installed")
    hung_s, left_s = LIMIT_S + LIMIT_SHARE * form.promised / form.frame / form.rate, until - time.monotonic()
    limit_s = max(0.0, min(hung_s, left_s))
    os.lseek(source.fileno(), source.tell(), os.SEEK_SET)
    try:
        done = subprocess.run(
            [*NICE, program, *QUIET, *arguments],
            stdin=source,
            stdout=made,
            stderr=subprocess.PIPE,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"ffmpeg が {limit_s:.0f} 秒で終わらない / ffmpeg did not end within {limit_s:.0f} s"
        raise NotConverted(to, why, hung=hung_s <= left_s) from None
    except OSError as error:
        raise NotConverted(to, f"ffmpeg: {error}") from error
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotConverted(to, f"ffmpeg: {done.returncode} {told[-1] if told else ''}".strip())
