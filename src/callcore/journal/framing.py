"""Records on disk: length u32, CRC-32 u32, payload, all big endian. Shared by the spool and the key files.

The CRC covers the length too, so that a run of zeros, as a crashed host may leave it, is never a record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAD = struct.Struct(">II")
LIMIT = 16 * 1024 * 1024
"""No payload is longer (bytes). The largest thing we write, a whole configuration, is far below it."""


def pack(payload: bytes) -> bytes:
    """The record of a payload of 1 to `LIMIT` bytes."""
    length = len(payload)
    if not 0 < length <= LIMIT:
        raise ValueError(f"a record holds 1 to {LIMIT} bytes, not {length}")
    crc = zlib.crc32(payload, zlib.crc32(length.to_bytes(4, "big")))
    return HEAD.pack(length, crc) + payload


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why no further record can be read at `offset`. `short`: the bytes just end too early."""

    offset: int
    short: bool

    @property
    def what(self) -> str:
        return "record cut short" if self.short else "CRC mismatch"


def unpack(data: bytes, offset: int, base: int = 0) -> tuple[bytes, int] | Flaw | None:
    """The payload at `offset` and the offset behind it; None at the very end.

    `base` is added to a flaw's offset.
    """
    left = len(data) - offset
    if left == 0:
        return None
    if left < HEAD.size:
        return Flaw(base + offset, short=True)
    length, crc = HEAD.unpack_from(data, offset)
    if not 0 < length <= LIMIT:
        return Flaw(base + offset, short=False)
    start = offset + HEAD.size
    end = start + length
    if end > len(data):
        return Flaw(base + offset, short=True)
    payload = data[start:end]
    if zlib.crc32(payload, zlib.crc32(data[offset : offset + 4])) != crc:
        return Flaw(base + offset, short=False)
    return payload, end


def good_record_behind(data: bytes, offset: int) -> bool:
    """Whether a whole record stands anywhere behind a bad one: then it is damage, not a torn end."""
    view = memoryview(data)
    for at in range(offset + 1, len(data) - HEAD.size):
        length, crc = HEAD.unpack_from(data, at)
        end = at + HEAD.size + length
        if 0 < length <= LIMIT and end <= len(data):
            found = zlib.crc32(view[at + HEAD.size : end], zlib.crc32(view[at : at + 4]))
            if found == crc:
                return True
    return False


def records(data: bytes, offset: int, base: int = 0) -> Iterator[tuple[int, bytes] | Flaw]:
    """(end offset, payload) of each record from `offset`, and a last `Flaw` if one can't be read."""
    while (got := unpack(data, offset, base)) is not None:
        if isinstance(got, Flaw):
            yield got
            return
        payload, offset = got
        yield offset, payload


def pid_in(lock: Path) -> int | None:
    """The PID that the writer left in its lock file; None: none that can be read."""
    try:
        said = lock.read_bytes()[:20].strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None
