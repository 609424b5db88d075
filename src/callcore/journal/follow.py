"""Reading the journal, beside its writer or without one, never further than what is on the disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from callcore.domain.ids import Instant
from callcore.journal import framing
from callcore.journal.codec import Codec, Frame, Seq
from callcore.journal.errors import JournalDamaged, JournalGap
from callcore.journal.spool import (
    HEADER_BYTES,
    Header,
    Mark,
    first_instant,
    read_header,
    read_mark,
    segments,
)

POLL_S = 0.02
"""How often a follower that has read everything looks at the mark."""
CHUNK_BYTES = 1024 * 1024
GATHER_STEPS = 5
"""Who gathers frames for a while looks so often in that time."""
BATCH = 200
"""Frames decoded at one go before the event loop gets its turn (about 2 ms)."""


class _Reader:
    """Walks the segments behind a position. Holds one file open at most."""

    def __init__(self, folder: Path, codec: Codec, after: Seq | None) -> None:
        self._folder = folder
        self._codec = codec
        self.seq = after
        self.frames = 0
        """Ordinal of the last frame read (or skipped), over all runs."""
        self._fd: int | None = None
        self._path = folder
        self._header: Header | None = None
        self._offset = 0
        self._n = 0
        self._data = b""
        self._base = 0

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self, mark: Mark | None, limit: int, *, torn_end: bool = False) -> list[Frame]:
        """Up to `limit` frames, none behind the mark. `torn_end`: no mark, up to the real end."""
        frames: list[Frame] = []
        while len(frames) < limit:
            if self._fd is None and not self._enter(mark):
                break
            payload = self._next(mark, torn_end)
            if payload is None:
                if not self._enter(mark):
                    break
                continue
            run, n = self._here(payload)
            self.frames += 1
            if self.seq is None or (run, n) > self.seq:
                frames.append(self._codec.decode(payload, f"{self._path}:{self._offset}"))
                self.seq = (run, n)
        return frames

    def _here(self, payload: bytes) -> Seq:
        assert self._header is not None
        run, n = int.from_bytes(payload[:8], "big"), int.from_bytes(payload[8:16], "big")
        if (run, n) != (self._header.run, self._n + 1):
            raise JournalDamaged(self._path, self._offset, f"frame ({run}, {n}) where {self._n + 1} was due")
        self._n = n
        return run, n

    def _next(self, mark: Mark | None, torn_end: bool) -> bytes | None:
        """The next payload of the open segment; None at its end, or where the mark stands."""
        assert self._fd is not None and self._header is not None
        end = os.fstat(self._fd).st_size
        if mark is not None:
            place = (self._header.run, self._header.part)
            if place > (mark.run, mark.part):
                return None
            if place == (mark.run, mark.part):
                if end < mark.offset:
                    raise JournalDamaged(self._path, end, "shorter than what was synced")
                end = mark.offset
        if self._offset >= end:
            return None
        got = self._unpack(end)
        if isinstance(got, framing.Flaw):
            if torn_end and self._is_last():
                return None
            raise JournalDamaged(self._path, got.offset, got.what)
        payload, length = got
        self._offset += length
        return payload

    def _unpack(self, end: int) -> tuple[bytes, int] | framing.Flaw:
        """The payload at the offset and its record's length, out of a window on the file."""
        assert self._fd is not None
        for size in (CHUNK_BYTES, framing.LIMIT + framing.HEAD.size):
            got = framing.unpack(self._data, self._offset - self._base, self._base)
            if isinstance(got, tuple):
                return got[0], self._base + got[1] - self._offset
            self._base = self._offset
            self._data = os.pread(self._fd, min(size, end - self._base), self._base)
        got = framing.unpack(self._data, 0, self._base)
        if isinstance(got, tuple):
            return got
        return got or framing.Flaw(self._offset, short=True)

    def _is_last(self) -> bool:
        return segments(self._folder)[-1][2] == self._path

    def _enter(self, mark: Mark | None) -> bool:
        """Opens the next segment; False when there is none that may be read yet."""
        here = self._header
        if here is not None and mark is not None and (here.run, here.part) >= (mark.run, mark.part):
            return False
        found = segments(self._folder) if self._folder.is_dir() else []
        if here is not None:
            found = [each for each in found if each[:2] > (here.run, here.part)]
        elif self.seq is not None:
            found = self._from_position(found, self.seq)
        if mark is not None:
            found = [each for each in found if each[:2] <= (mark.run, mark.part)]
        if not found:
            return False
        _, _, path = found[0]
        header = read_header(path)
        if header is None:
            raise JournalDamaged(path, 0, "header")
        reached = self._reached()
        if reached is not None and header.after > reached:
            raise JournalGap(self._folder, reached, header.after)
        self.close()
        self._fd = os.open(path, os.O_RDONLY)
        self._path, self._header = path, header
        self._offset = self._base = HEADER_BYTES
        self._data = b""
        self._n = header.first - 1
        self.frames = header.before
        return True

    def _reached(self) -> Seq | None:
        """The last frame that was passed, read or skipped."""
        if self._header is None:
            return self.seq
        return (self._header.run, self._n) if self._n else self._header.after

    def _from_position(self, found: list[tuple[int, int, Path]], seq: Seq) -> list[tuple[int, int, Path]]:
        """From the last segment on that begins at or before the position."""
        start = 0
        for place, (run, _, path) in enumerate(found):
            if run > seq[0]:
                break
            header = read_header(path)
            if header is not None and (header.run, header.first - 1) <= seq:
                start = place
        return found[start:]


def read_all(
    folder: Path, codec: Codec, after: Seq | None = None, *, to_end: bool = False
) -> Iterator[Frame]:
    """Every synced frame behind `after`, oldest first. Right after `Spool.open` that is all there is.

    `to_end`: for a copied folder without its mark, up to the last whole frame. JournalDamaged, JournalGap,
    CodecError, KeyLost, KeyDamaged as they say.
    """
    reader = _Reader(folder, codec, after)
    try:
        while True:
            mark = None if to_end else read_mark(folder)
            if mark is None and not to_end:
                return
            frames = reader.read(mark, BATCH, torn_end=to_end)
            yield from frames
            if not frames:
                return
    finally:
        reader.close()


def read_since(folder: Path, codec: Codec, at: Instant) -> Iterator[Frame]:
    """Every synced frame from the last segment on that begins at or before `at`: some are older, none is left out.

    Errors as of `read_all`; FileNotFoundError: there is no such folder.
    """
    after: Seq | None = None
    for _, _, path in segments(folder):
        header, first = read_header(path), first_instant(path)
        if header is None or first is None or first > at:
            break
        after = header.after if header.before else None
    return read_all(folder, codec, after)


def began(folder: Path) -> Instant | None:
    """The instant of the oldest frame that is kept; None: none yet. FileNotFoundError: there is no such folder."""
    return next((first_instant(path) for _, _, path in segments(folder)), None)


class Follower:
    """Gives the frames as they get synced, in order, across segments and runs of the writer.

    Iterate it, or ask `batch` again and again; one task only. The writer may die and start again meanwhile.
    Errors as of `read_all`.
    """

    def __init__(
        self, folder: Path, codec: Codec, after: Seq | None = None, *, poll_s: float = POLL_S
    ) -> None:
        self._folder = folder
        self._reader = _Reader(folder, codec, after)
        self._poll_s = poll_s
        self._mark: Mark | None = None
        self._at: int | None = None

    @property
    def seq(self) -> Seq | None:
        """The last frame that was given out, or the position the follower began behind."""
        return self._reader.seq

    def behind(self) -> tuple[int, float]:
        """(frames, seconds) synced but not given out yet; the seconds lie between frames' own instants."""
        self._mark = read_mark(self._folder) or self._mark
        if self._mark is None:
            return 0, 0.0
        frames = max(0, self._mark.frames - self._reader.frames)
        if frames == 0 or self._at is None:
            return frames, 0.0
        return frames, max(0.0, (self._mark.at - self._at) / 1_000_000)

    def ready(self, limit: int = BATCH) -> list[Frame]:
        """What can be had without waiting."""
        self._mark = read_mark(self._folder) or self._mark
        if self._mark is None:
            return []
        frames = self._reader.read(self._mark, limit)
        if frames:
            self._at = frames[-1].at
        return frames

    async def batch(self, limit: int = BATCH, within_s: float = 0.0) -> list[Frame]:
        """Waits for at least one frame, then gathers up to `limit` of them for at most `within_s` seconds."""
        loop = asyncio.get_running_loop()
        frames = self.ready(limit)
        while not frames:
            await asyncio.sleep(self._poll_s)
            frames = self.ready(limit)
        until, step_s = loop.time() + within_s, max(self._poll_s, within_s / GATHER_STEPS)
        while len(frames) < limit and loop.time() < until:
            await asyncio.sleep(min(step_s, max(0.0, until - loop.time())))
            frames += self.ready(limit - len(frames))
        return frames

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            for frame in await self.batch():
                yield frame
            await asyncio.sleep(0)

    def close(self) -> None:
        self._reader.close()
