"""The sound of one recording, from any place in it, for whoever plays it or takes it away.

What browsers do not play (µ-law, G.722) reads like a 16 bit WAV file, decoded where it is read. So each byte of it is
the same whatever range it is asked for in: G.722 is decoded in blocks that begin at fixed places, each with the sound
before it, by which a decoder finds its way (it forgets with 2**-8 a sample at the slowest; ITU-T G.722, 3.6).

A WAV file that Asterisk had no time to close is played behind a header that tells its length, and taken away as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import BinaryIO

from callcore.domain.recording import SoundFormat
from callcore.g711 import from_ulaw
from callcore.recordings.errors import RecordingError
from callcore.recordings.formats import FFMPEG, QUIET, ending
from callcore.recordings.wavs import G722, Form, coded_form, plain_form, plain_head

OPUS_TYPE, WAV_TYPE = "audio/ogg", "audio/wav"
BLOCK_S, BEFORE_S, LIMIT_S = 60, 2, 20.0
"""Seconds of G.722 that are decoded at once, of what stands before them, and how long ffmpeg may take."""
A_BYTE = 2
"""Samples in a byte of G.722."""
SAMPLE = 2


class NotPlayed(RecordingError):
    """`why`: in one language, or in both."""

    def __init__(self, why: str) -> None:
        ja, _, en = why.partition(" / ")
        super().__init__(
            f"録音を再生できません: {ja}。ファイルとしては保存できます / "
            f"a recording cannot be played: {en or ja}; it can still be downloaded"
        )


class OpenedAudio:
    """The sound as it is kept, but for its first bytes where `head` stands in their place. For one reader at a
    time."""

    def __init__(self, file: BinaryIO, form: str, head: bytes = b"") -> None:
        self._file, self._head = file, head
        self.size = file.seek(0, os.SEEK_END)
        self.media_type = OPUS_TYPE if form == SoundFormat.OPUS.value else WAV_TYPE
        self.ending = ending(form)

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; none at the end. Raises OSError."""
        found = self._head[offset : offset + count]
        self._file.seek(offset + len(found))
        return found + self._file.read(count - len(found))

    def close(self) -> None:
        self._file.close()


class DecodedAudio:
    """The same as a 16 bit WAV file. Making one raises NotPlayed: it is no sound, or nothing decodes it."""

    media_type = WAV_TYPE
    ending = "wav"

    def __init__(self, file: BinaryIO) -> None:
        form = coded_form(file)
        if form is None:
            raise NotPlayed("欠けた WAV / no whole WAV file")
        self._file, self._form = file, form
        self._wide = _Wide(file, form) if form.tag == G722 else None
        samples = form.promised * (A_BYTE if self._wide is not None else 1)
        self._head = plain_head(form.channels, form.rate, samples * SAMPLE)
        self.size = len(self._head) + samples * SAMPLE

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; none at the end. Raises OSError."""
        end = min(offset + count, self.size)
        found = self._head[offset:end]
        at, end = max(0, offset - len(self._head)), end - len(self._head)
        if at >= end:
            return found
        first, last = at // SAMPLE, -(-end // SAMPLE)
        samples = self._ulaw(first, last) if self._wide is None else self._wide.samples(first, last)
        begin = at - first * SAMPLE
        return found + samples[begin : begin + end - at]

    def close(self) -> None:
        self._file.close()

    def _ulaw(self, first: int, last: int) -> bytes:
        self._file.seek(self._form.begins + first)
        return from_ulaw(self._file.read(last - first))


class _Wide:
    """G.722, decoded by blocks."""

    def __init__(self, file: BinaryIO, form: Form) -> None:
        program = shutil.which(FFMPEG)
        if program is None:
            raise NotPlayed("ffmpeg がない / ffmpeg is not installed")
        self._program, self._file, self._form = program, file, form
        self._length = BLOCK_S * form.rate
        self._held: tuple[int, bytes] = (-1, b"")

    def samples(self, first: int, last: int) -> bytes:
        """Those in [first, last)."""
        parts = []
        while first < last:
            number, at = divmod(first, self._length)
            part = self._block(number)[at * SAMPLE : (at + last - first) * SAMPLE]
            if not part:
                break
            parts.append(part)
            first += len(part) // SAMPLE
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if self._held[0] != number:
            begin = number * self._length // A_BYTE
            before = min(begin, BEFORE_S * self._form.rate // A_BYTE)
            length = min(self._length // A_BYTE, self._form.promised - begin)
            self._file.seek(self._form.begins + begin - before)
            samples = self._decoded(self._file.read(before + length))
            self._held = (number, samples[before * A_BYTE * SAMPLE :])
        return self._held[1]

    def _decoded(self, coded: bytes) -> bytes:
        decode = ("-f", "g722", "-i", "pipe:0", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1")
        try:
            done = subprocess.run(
                [self._program, *QUIET, *decode],
                input=coded,
                capture_output=True,
                timeout=LIMIT_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise OSError(f"ffmpeg: {error}") from error
        if len(done.stdout) != len(coded) * A_BYTE * SAMPLE:
            raise OSError(f"ffmpeg: {len(coded)} bytes of G.722 gave {len(done.stdout)}")
        return done.stdout


def _told_head(file: BinaryIO) -> bytes:
    """For a WAV file that nobody closed, a header that tells how long it is; nothing for any other."""
    form, size = plain_form(file), file.seek(0, os.SEEK_END)
    if form is None or form.frame != SAMPLE * form.channels or form.held(size) <= form.promised:
        return b""
    return plain_head(form.channels, form.rate, form.held(size))


def played(file: BinaryIO, form: str) -> OpenedAudio | DecodedAudio:
    """What a browser plays of a sound that is kept in that format. Raises OSError, RecordingError (NotPlayed); then
    the file is still open."""
    if form == SoundFormat.WAV.value:
        return OpenedAudio(file, form, _told_head(file))
    return OpenedAudio(file, form) if form == SoundFormat.OPUS.value else DecodedAudio(file)
