"""One kept recording as a file: encrypted in chunks, readable from any place, and no chunk of it can be changed, moved,
left out or added without being noticed.

    "CCVAULT1" · length of the head (4 bytes, big-endian) · head (JSON, not secret) · chunk 0 · chunk 1 · …

Each chunk is `chunk` bytes of sound (the last one what is left, of no sound one of 0 bytes) under AES-256-GCM, 16
bytes longer. Nonce: `nonce` of the head (7 bytes) · the chunk's number (4 bytes, big-endian) · 1 for the last one,
else 0: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015). Magic, length and head are each chunk's
associated data. The key is this file's alone (`keys`).
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callcore.recordings.errors import Altered, NotSealed, StillWritten, Truncated

MAGIC = b"CCVAULT1"
CHUNK = 1 << 16
AT_ONCE = 16
"""So many chunks are read, hashed and written at a time: between two of them another thread may take its turn."""
TAG = 16
HEAD_MOST = 1 << 14
PREFIX_BYTES = 7
ENDS = ".ccr"
SEALING = f"{ENDS}.new"
"""Of one that is being sealed, or copied."""


class Digest(msgspec.Struct, frozen=True):
    """What a file is: `size` in bytes, `sha256` in hex."""

    size: int
    sha256: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`name`: of the recording, without ending; `form`: a format of the domain's, e.g. `wav`. `size`: bytes of sound.
    `file` is the id of its key, which stands under `centre` and `day` (the local day on which it was sealed).
    `captured`: the sound as Asterisk wrote it; None: as it is kept. `channels` of the sound."""

    name: str
    form: str
    call: str | None
    centre: str
    day: str
    file: str
    nonce: str
    size: int
    chunk: int = CHUNK
    captured: Digest | None = None
    channels: int = 1


def being_sealed(name: str) -> str:
    """The file in which a recording is sealed, in its centre's folder; a crash leaves it until the next start."""
    return f".{name}{SEALING}"


def new_nonce() -> str:
    return os.urandom(PREFIX_BYTES).hex()


def seal(sound: BinaryIO, head: Head, key: bytes, out: BinaryIO) -> tuple[Digest, Digest]:
    """Encrypt `head.size` bytes of sound. Gives the digests of the sound and of what was written.

    StillWritten: the sound has another length by now. OSError: no room.
    """
    encoded = msgspec.json.encode(head)
    bound = MAGIC + len(encoded).to_bytes(4, "big") + encoded
    cipher, plain, stored = AESGCM(key), hashlib.sha256(), hashlib.sha256(bound)
    written = out.write(bound)
    last = _chunks(head) - 1
    for numbers in _together(head):
        wanted = sum(_length(head, number) for number in numbers)
        part = sound.read(wanted)
        if len(part) != wanted:
            raise StillWritten(head.name)
        plain.update(part)
        chunks = (memoryview(part)[at : at + head.chunk] for at in range(0, max(1, wanted), head.chunk))
        sealed = b"".join(
            cipher.encrypt(_nonce(head, number, number == last), chunk, bound)
            for number, chunk in zip(numbers, chunks, strict=True)
        )
        stored.update(sealed)
        written += out.write(sealed)
    if sound.read(1):
        raise StillWritten(head.name)
    return Digest(head.size, plain.hexdigest()), Digest(written, stored.hexdigest())


def read_head(file: BinaryIO, path: Path) -> tuple[Head, bytes]:
    """The head, and everything before the first chunk. Raises NotSealed."""
    start = file.read(len(MAGIC) + 4)
    length = int.from_bytes(start[len(MAGIC) :], "big")
    if not start.startswith(MAGIC) or len(start) != len(MAGIC) + 4 or length > HEAD_MOST:
        raise NotSealed(path)
    encoded = file.read(length)
    try:
        head = msgspec.json.decode(encoded, type=Head)
        if head.size < 0 or head.chunk < 1 or len(bytes.fromhex(head.nonce)) != PREFIX_BYTES:
            raise NotSealed(path)
    except (msgspec.MsgspecError, ValueError):
        raise NotSealed(path) from None
    return head, start + encoded


class Unsealed(io.RawIOBase):
    """The sound of a sealed file, from any place. Reading raises Altered; making one Truncated, Altered."""

    def __init__(self, path: Path, file: BinaryIO, head: Head, bound: bytes, key: bytes) -> None:
        super().__init__()
        self.head = head
        self._path, self._file, self._bound = path, file, bound
        self._cipher = AESGCM(key)
        self._at = 0
        self._held: tuple[int, bytes] | None = None
        wanted = len(bound) + head.size + TAG * _chunks(head)
        size = os.fstat(file.fileno()).st_size
        if size < wanted:
            raise Truncated(path, size, wanted)
        if size > wanted:
            raise Altered(path, head.size)

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; none at the end. Decrypts the chunks that hold them, no others."""
        end = min(offset + count, self.head.size)
        parts = []
        while offset < end:
            number, begin = divmod(offset, self.head.chunk)
            part = self._chunk(number)[begin : begin + end - offset]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def check(self) -> Digest:
        """Read all of it: what the sound is. Raises Altered."""
        digest = hashlib.sha256()
        step = self.head.chunk + TAG
        for numbers in _together(self.head):
            self._file.seek(len(self._bound) + numbers.start * step)
            sealed = memoryview(self._file.read(len(numbers) * step))
            chunks = (sealed[at : at + step] for at in range(0, len(numbers) * step, step))
            digest.update(b"".join(map(self._opened, numbers, chunks)))
        return Digest(self.head.size, digest.hexdigest())

    def _chunk(self, number: int) -> bytes:
        if self._held is not None and self._held[0] == number:
            return self._held[1]
        self._file.seek(len(self._bound) + number * (self.head.chunk + TAG))
        plain = self._opened(number, self._file.read(_length(self.head, number) + TAG))
        self._held = (number, plain)
        return plain

    def _opened(self, number: int, sealed: bytes | memoryview) -> bytes:
        nonce = _nonce(self.head, number, number == _chunks(self.head) - 1)
        try:
            return self._cipher.decrypt(nonce, sealed, self._bound)
        except InvalidTag:
            raise Altered(self._path, number * self.head.chunk) from None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.head.size}[whence]
        if base + offset < 0:
            raise ValueError("before the begin")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        part = self.read_at(self._at, len(buffer))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()


def _chunks(head: Head) -> int:
    return max(1, -(-head.size // head.chunk))


def _together(head: Head) -> Iterator[range]:
    """The numbers of all chunks, as many at a time as are read at once."""
    count = _chunks(head)
    return (range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE))


def _length(head: Head, number: int) -> int:
    return min(head.chunk, head.size - number * head.chunk)


def _nonce(head: Head, number: int, last: bool) -> bytes:
    return bytes.fromhex(head.nonce) + number.to_bytes(4, "big") + bytes([last])
