"""The header of a WAV file (Multimedia Programming Interface 1.0), read and written."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

PCM, ULAW, G722 = 1, 7, 0x028F
"""Format tags."""
MOST_RATE = 192_000
"""Asterisk records up to that many samples a second; a header with more is a damaged one."""
_PLAIN = struct.Struct("<4sI4s4sIHHIIHH4sI")
_CODED = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")
"""With the extension's length and the number of samples, as all but plain samples need it."""
HEADER = _PLAIN.size


@dataclass(frozen=True, slots=True)
class Form:
    """`begins`: the byte at which the sound begins; `promised`: bytes of it by the header, none where Asterisk had no
    time to close the file. `frame`: bytes of one sample of all channels; 1 of coded sound."""

    tag: int
    channels: int
    rate: int
    frame: int
    begins: int
    promised: int

    def held(self, size: int) -> int:
        """Bytes of sound, of plain samples, in a file of `size` bytes: by these where the header promises fewer, for
        nobody closed it."""
        return max(self.promised, size - self.begins) // self.frame * self.frame


def plain_form(file: BinaryIO) -> Form | None:
    """Of a file as Asterisk and `wave` write it; None: it is no such file."""
    file.seek(0)
    head = file.read(_PLAIN.size)
    if len(head) < _PLAIN.size:
        return None
    riff, _, kind, fmt, _, tag, channels, rate, _, frame, _, data, promised = _PLAIN.unpack(head)
    if (riff, kind, fmt, tag, data) != (b"RIFF", b"WAVE", b"fmt ", PCM, b"data"):
        return None
    whole = 0 < rate <= MOST_RATE and channels in (1, 2) and frame in (channels, 2 * channels)
    return Form(tag, channels, rate, frame, _PLAIN.size, promised) if whole else None


def coded_form(file: BinaryIO) -> Form | None:
    """Of a file as `coded_head` begins it; None: it is no such file."""
    file.seek(0)
    head = file.read(_CODED.size)
    if len(head) < _CODED.size:
        return None
    riff, _, kind, fmt, _, tag, channels, rate, _, frame, _, _, fact, _, _, data, promised = _CODED.unpack(
        head
    )
    if (riff, kind, fmt, fact, data) != (b"RIFF", b"WAVE", b"fmt ", b"fact", b"data"):
        return None
    known = tag in (ULAW, G722) and channels and rate
    return Form(tag, channels, rate, frame, _CODED.size, promised) if known else None


def plain_head(channels: int, rate: int, size: int) -> bytes:
    """Before `size` bytes of 16 bit samples."""
    frame = 2 * channels
    parts = (b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, PCM, channels, rate, rate * frame, frame, 16)
    return _PLAIN.pack(*parts, b"data", size)


def coded_head(tag: int, channels: int, rate: int, size: int) -> bytes:
    """Before `size` bytes of µ-law (a byte for each sample) or G.722 (a byte for two); an odd number has a byte of
    padding behind it."""
    bits, samples = (8, size // channels) if tag == ULAW else (4, 2 * size)
    a_second = rate * channels * bits // 8
    whole = _CODED.size - 8 + size + size % 2
    parts = (b"RIFF", whole, b"WAVE", b"fmt ", 18, tag, channels, rate, a_second, channels, bits, 0)
    return _CODED.pack(*parts, b"fact", 4, samples, b"data", size)
