"""The journal on disk, and its only writer.

    lock                            flock of the writer, and its PID
    run                             the last run number that was given out; durable before it is used
    <run>-<part>.journal            segments: a header, then records (`framing`) of payloads (`codec`)
    synced                          the mark: up to where everything is on the disk

A segment's header names its run, the first frame in it, the last frame before it, and how many frames the
journal held before it; so a missing or shortened file is noticed by whoever reads on. A new run begins a new
segment.

Three strengths. `append` is one `write`: it survives a killed process. A thread syncs at the latest 50 ms
later: it survives the host; only then the mark moves, and followers read no further than the mark. `sync`
waits for that. What stands behind the mark was never told to anyone, so when it turns out torn at the next
start it is cut off (and kept aside). What stands before the mark and can't be read is damage, and nothing
starts on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import re
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from callcore import files
from callcore.domain.ids import Instant
from callcore.journal import framing
from callcore.journal.codec import PREFIX, Codec, Frame, Seq
from callcore.journal.errors import JournalDamaged, JournalLocked, JournalNewer, SpoolBroken, SpoolFull

log = logging.getLogger(__name__)

FORMAT = 1
SEGMENT_BYTES = 64 * 1024 * 1024
"""Small enough to copy and to check at a start (under a second), large enough that a year is a handful of
files.
"""
GATHER_S = 0.02
"""How long the syncing thread lets frames gather after the first; with the sync itself well below 50 ms."""
RETRY_S = 0.25
UNSYNCED_BYTES = 64 * 1024 * 1024
"""Bound of what may wait for a disk that does not answer: about 200,000 frames."""

MAGIC = b"CALLCORJ"
_HEADER = struct.Struct(">8sHHQQQQQQ")
HEADER_BYTES = _HEADER.size + 4
_MARK_MAGIC = b"CCMK"
_MARK = struct.Struct(">4sQQIQQq")
_MARK_BYTES = _MARK.size + 4
_SEGMENT_NAME = re.compile(r"(\d{10})-(\d{6})\.journal")
_RUN = re.compile(rb"\d{1,9}\n?")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself. Before it: `before` frames, the last of them `after`."""

    run: int
    part: int
    first: int
    after: Seq
    before: int

    def pack(self) -> bytes:
        data = _HEADER.pack(
            MAGIC, FORMAT, HEADER_BYTES, self.run, self.part, self.first, *self.after, self.before
        )
        return data + zlib.crc32(data).to_bytes(4, "big")


def read_header(path: Path) -> Header | None:
    """A segment's header; None when it is not whole. JournalNewer: written by a newer format."""
    with path.open("rb") as file:
        data = file.read(HEADER_BYTES)
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    _, version, _, run, part, first, after_run, after_n, before = _HEADER.unpack_from(data)
    if version > FORMAT:
        raise JournalNewer(path, version)
    if zlib.crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
        return None
    return Header(run, part, first, (after_run, after_n), before)


def first_instant(path: Path) -> Instant | None:
    """The instant of a segment's first frame; None: it has none yet."""
    with path.open("rb") as file:
        file.seek(HEADER_BYTES + framing.HEAD.size)
        data = file.read(PREFIX.size)
    return Instant(PREFIX.unpack(data)[2]) if len(data) == PREFIX.size else None


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything up to `offset` of the segment (run, part) is on the disk; `seq` is the last frame there
    ((run, 0): none of this run yet). `frames`: how many the journal has held up to here; `at`: the last
    frame's instant.
    """

    run: int
    n: int
    part: int
    offset: int
    frames: int
    at: Instant

    @property
    def seq(self) -> Seq:
        return (self.run, self.n)

    def pack(self) -> bytes:
        data = _MARK.pack(_MARK_MAGIC, self.run, self.n, self.part, self.offset, self.frames, self.at)
        return data + zlib.crc32(data).to_bytes(4, "big")


def read_mark(folder: Path) -> Mark | None:
    """Up to where followers may read. None: nothing was ever synced, or the host died while marking."""
    for _ in range(3):  # it is written in place; a reader may meet half of it
        try:
            fd = os.open(
                folder / "synced", os.O_RDONLY
            )  # followers look many times a second: no more than that
        except FileNotFoundError:
            return None
        try:
            data = os.read(fd, _MARK_BYTES + 1)
        finally:
            os.close(fd)
        if len(data) == _MARK_BYTES and zlib.crc32(data[:-4]).to_bytes(4, "big") == data[-4:]:
            _, run, n, part, offset, frames, at = _MARK.unpack_from(data)
            return Mark(run, n, part, offset, frames, Instant(at))
    return None


def segment_name(run: int, part: int) -> str:
    return f"{run:010d}-{part:06d}.journal"


def segments(folder: Path) -> list[tuple[int, int, Path]]:
    """(run, part, path) of every segment in the order of writing."""
    found = []
    for path in folder.iterdir():
        match = _SEGMENT_NAME.fullmatch(path.name)
        if match:
            found.append((int(match[1]), int(match[2]), path))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Cut:
    """A torn end that was taken off at the start. `aside` holds the bytes."""

    file: Path
    offset: int
    length: int
    aside: Path


@dataclass(frozen=True, slots=True)
class Opened:
    """What the writer found. `last` is the last frame of earlier runs, None in an empty journal."""

    run: int
    last: Seq | None
    frames: int
    at: Instant
    """The last frame's instant; 0 in an empty journal."""
    cuts: tuple[Cut, ...]


@dataclass(slots=True)
class _Segment:
    header: Header
    path: Path
    fd: int
    end: int
    synced: int
    """Bytes of it that are known to be on the disk."""


class Spool:
    """The writer. One process at a time (flock); `append` from one thread, the sync in its own."""

    def __init__(
        self,
        folder: Path,
        codec: Codec,
        lock: int,
        opened: Opened,
        *,
        before_sync: Callable[[], None] | None,
        segment_bytes: int,
        gather_s: float,
    ) -> None:
        self.folder = folder
        self.opened = opened
        self._codec = codec
        self._lock_fd = lock
        self._before_sync = before_sync
        self._segment_bytes = segment_bytes
        self._gather_s = gather_s
        self._mark_fd = os.open(folder / "synced", os.O_RDWR | os.O_CREAT, 0o600)
        self._n = 0
        self._at = opened.at
        self._frames = opened.frames
        self._files: list[_Segment] = []
        self._guard = threading.Lock()
        self._syncing = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._trouble: Exception | None = None
        self._untrimmed = False
        self._first_unsynced: float | None = None
        self._waiting: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._mark = Mark(opened.run, 0, 1, HEADER_BYTES, opened.frames, opened.at)
        self._thread = threading.Thread(target=self._keep_syncing, name="journal-sync", daemon=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        codec: Codec,
        *,
        before_sync: Callable[[], None] | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        gather_s: float = GATHER_S,
    ) -> Self:
        """Takes the journal, mends a torn end, gives out the next run number. `opened` says what was found.

        `before_sync` is called (in the syncing thread) before each sync: `KeyStore.sync`. JournalLocked:
        another process writes it. JournalDamaged: what was synced can't be read. OSError: the disk refuses.
        """
        files.make_folder(folder)
        lock = _take_lock(folder)
        try:
            found = _mend(folder)
            opened = replace(found, run=_next_run(folder, found.last))
            spool = cls(
                folder,
                codec,
                lock,
                opened,
                before_sync=before_sync,
                segment_bytes=segment_bytes,
                gather_s=gather_s,
            )
        except BaseException:
            os.close(lock)
            raise
        spool._start()
        return spool

    @property
    def run(self) -> int:
        return self.opened.run

    @property
    def written(self) -> Seq:
        """The last appended frame; (run, 0) before the first."""
        return (self.run, self._n)

    @property
    def synced(self) -> Seq:
        """The last frame that survives the host."""
        return self._mark.seq

    @property
    def frames(self) -> int:
        """How many frames the journal holds, all runs together."""
        return self._frames

    def unsynced_s(self) -> float:
        """How long (s) the oldest frame that is not on the disk has been waiting: a gauge. 0: none waits."""
        first = self._first_unsynced
        return 0.0 if first is None else max(0.0, time.monotonic() - first)

    # -- writing ---------------------------------------------------------------------------------------------

    def frame(self, at: Instant, facts: tuple[object, ...]) -> Frame:
        """The next frame, not yet written."""
        return Frame(self.run, self._n + 1, at, facts)

    def append(self, frame: Frame) -> Seq:
        """Writes the next frame; when it returns, the frame survives this process.

        SpoolFull, SpoolBroken: nothing of it is in the file, and the same frame may be appended again.
        CodecError: it can't be written, now or ever. ValueError: it is not the next one.
        """
        if frame.seq != (self.run, self._n + 1):
            raise ValueError(f"the next frame is {(self.run, self._n + 1)}, not {frame.seq}")
        if self._closing:
            raise RuntimeError("the spool is closed")
        if self._trouble is not None:
            raise SpoolBroken(self.folder, self._trouble)
        try:
            record = framing.pack(self._codec.encode(frame))
            with self._guard:
                self._write(record, frame)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise SpoolFull(self.folder, error) from error
            raise SpoolBroken(self.folder, error) from error
        if not self._wake.is_set():
            self._wake.set()
        return frame.seq

    def _write(self, record: bytes, frame: Frame) -> None:
        if sum(file.end - file.synced for file in self._files) > UNSYNCED_BYTES:
            raise SpoolBroken(self.folder, "the disk does not sync")
        file = self._files[-1]
        if file.end + len(record) > self._segment_bytes and file.end > HEADER_BYTES:
            file = self._new_segment(file.header.part + 1, self._n + 1, self.written, self._frames)
            self._files.append(file)
        if self._untrimmed:
            self._trim(file)
        written = 0
        try:
            written = os.write(file.fd, record)
            if written < len(record):
                files.write_all(file.fd, record[written:])
        except OSError:
            self._trim(file)
            raise
        file.end += len(record)
        self._n, self._at = frame.n, frame.at
        self._frames += 1
        if self._first_unsynced is None:
            self._first_unsynced = time.monotonic()

    def _trim(self, file: _Segment) -> None:
        """Takes off what a failed write left. When even that fails, the next append begins with it."""
        self._untrimmed = True
        os.ftruncate(file.fd, file.end)
        self._untrimmed = False

    def _new_segment(self, part: int, first: int, after: Seq, before: int) -> _Segment:
        header = Header(self.run, part, first, after, before)
        path = self.folder / segment_name(self.run, part)
        files.write_whole(path, header.pack())
        fd = os.open(path, os.O_RDWR | os.O_APPEND)
        return _Segment(header, path, fd, HEADER_BYTES, HEADER_BYTES)

    # -- syncing ---------------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Returns when everything appended so far survives the host. SpoolBroken: the disk refused."""
        if self._closing:
            raise RuntimeError("the spool is closed")
        target = self._n
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._guard:
            if self._mark.n >= target:
                return
            self._waiting.append((target, loop, done))
        self._hurry.set()
        self._wake.set()
        await done

    def flush(self) -> None:
        """`sync` for who has no event loop; blocks. OSError as the disk says."""
        with self._syncing:
            with self._guard:
                goal = Mark(
                    self.run,
                    self._n,
                    self._files[-1].header.part,
                    self._files[-1].end,
                    self._frames,
                    self._at,
                )
                todo = [(file, file.end) for file in self._files]
                began, self._first_unsynced = self._first_unsynced, None
            try:
                if self._before_sync is not None:
                    self._before_sync()
                for file, end in todo:
                    if self._trouble is not None:
                        _write_again(file.path, file.synced, end)
                    os.fdatasync(file.fd)
                    with self._guard:
                        file.synced = end
                os.pwrite(self._mark_fd, goal.pack(), 0)
            except Exception as error:
                with self._guard:
                    self._first_unsynced = began
                    self._trouble = error
                raise
            with self._guard:
                self._trouble = None
                self._mark = goal
                for file, _ in todo[:-1]:
                    os.close(file.fd)
                self._files = self._files[len(todo) - 1 :]
            self._answer(None)

    def _answer(self, error: Exception | None) -> None:
        with self._guard:
            ready = [each for each in self._waiting if error is not None or each[0] <= self._mark.n]
            self._waiting = [each for each in self._waiting if each not in ready]
        for _, loop, done in ready:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, done, error)

    def _keep_syncing(self) -> None:
        while True:
            self._wake.wait()
            self._hurry.wait(RETRY_S if self._trouble is not None else self._gather_s)
            self._hurry.clear()
            self._wake.clear()
            if self._closing:  # looked at only now: what is set from here on wakes the next turn
                return
            try:
                self.flush()
            except Exception as error:  # a thread that dies would leave frames unsynced in silence
                log.exception("journal sync failed, will be tried again")
                self._answer(SpoolBroken(self.folder, error))
                self._wake.set()

    # -- start and stop --------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._files.append(self._new_segment(1, 1, self.opened.last or (0, 0), self._frames))
        self.flush()
        self._thread.start()

    def close(self) -> None:
        """Syncs and lets go. Closing twice is no fault. OSError: the disk refused; the lock is free all the
        same.
        """
        if self._closing:
            return
        self._closing = True
        self._hurry.set()
        self._wake.set()
        self._thread.join()
        try:
            self.flush()
        finally:
            self._answer(SpoolBroken(self.folder, "closed"))
            for file in self._files:
                os.close(file.fd)
            os.close(self._mark_fd)
            os.close(self._lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _resolve(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _take_lock(folder: Path) -> int:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise JournalLocked(folder, framing.pid_in(folder / "lock")) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _next_run(folder: Path, last: Seq | None) -> int:
    """One more than any run that was ever given out: what the file says, or the segments if they say more. Where the
    file is damaged it is what they say, for each run begins one. JournalDamaged: there are none either."""
    path = folder / "run"
    seen = max((run for run, _, _ in segments(folder)), default=0)
    said = 0
    if path.exists():
        data = path.read_bytes()
        if _RUN.fullmatch(data):
            said = int(data)
        elif seen:
            log.error(
                "journal: %s is no run number (%r), and is made anew after run %d", path, data[:20], seen
            )
        else:
            raise JournalDamaged(path, 0, "run number")
    run = max(said, seen, last[0] if last else 0) + 1
    files.write_whole(path, f"{run}\n".encode())
    return run


def _write_again(path: Path, start: int, end: int) -> None:
    """Writes a file's bytes from `start` to `end` over themselves, and syncs.

    After a failed sync Linux may hold pages as clean that never reached the disk; a second sync would then
    say yes for nothing. JournalDamaged: what is read back is no longer what was written.
    """
    fd = os.open(path, os.O_RDWR)
    try:
        data = os.pread(fd, end - start, start)
        for got in framing.records(data, 0, start):
            if isinstance(got, framing.Flaw):
                raise JournalDamaged(path, got.offset, "lost by a failed sync")
        os.pwrite(fd, data, start)
        os.fsync(fd)
    finally:
        os.close(fd)


def _mend(folder: Path) -> Opened:
    """Checks everything from the mark's segment on, cuts a torn end off behind the mark, and makes the rest
    durable.

    Segments before the mark's are checked when they are read. The result's `run` is not set yet.
    """
    mark = read_mark(folder)
    todo = segments(folder)
    if mark is not None:
        todo = [each for each in todo if each[:2] >= (mark.run, mark.part)]
        if not todo or todo[0][:2] != (mark.run, mark.part):
            raise JournalDamaged(folder / segment_name(mark.run, mark.part), 0, "segment missing")
    cuts: list[Cut] = []
    last: Seq | None = None
    frames, at = 0, Instant(0)
    for run, part, path in todo:
        data = path.read_bytes()
        if cuts:
            cuts.append(_cut(path, 0, data))
            continue
        header = read_header(path)
        if header is None or (header.run, header.part) != (run, part):
            if mark is None or (run, part) == (mark.run, mark.part):
                raise JournalDamaged(path, 0, "header")
            cuts.append(_cut(path, 0, data))
            continue
        if last is not None and header.after != last:
            raise JournalDamaged(path, 0, f"frames missing before it: {last} to {header.after}")
        promised = HEADER_BYTES
        if mark is not None and (run, part) == (mark.run, mark.part):
            promised, at = mark.offset, mark.at
        walked = _walk(data, header)
        flaw = walked.flaw
        if flaw is None and walked.end < promised:
            flaw = framing.Flaw(walked.end, short=True)
        if flaw is not None:
            known = flaw.offset < promised
            if mark is None:
                known = path != todo[-1][2] or framing.good_record_behind(data, flaw.offset)
            if known:
                raise JournalDamaged(path, flaw.offset, flaw.what)
            cuts.append(_cut(path, flaw.offset, data[flaw.offset :]))
        _write_again(path, promised, walked.end)
        last = (run, walked.n) if walked.n else header.after
        frames = header.before + walked.n - header.first + 1
        at = walked.at or at
    return Opened(0, last if last != (0, 0) else None, frames, at, tuple(cuts))


@dataclass(frozen=True, slots=True)
class _Walked:
    """The last good record of a segment: its end, number and instant (None: there is no record)."""

    end: int
    n: int
    at: Instant | None
    flaw: framing.Flaw | None


def _walk(data: bytes, header: Header) -> _Walked:
    end, n, at = HEADER_BYTES, header.first - 1, None
    for got in framing.records(data, HEADER_BYTES):
        if isinstance(got, framing.Flaw):
            return _Walked(end, n, at, got)
        run, number, micros = PREFIX.unpack_from(got[1])
        if (run, number) != (header.run, n + 1):
            return _Walked(end, n, at, framing.Flaw(end, short=False))
        end, n, at = got[0], number, Instant(micros)
    return _Walked(end, n, at, None)


def _cut(path: Path, offset: int, tail: bytes) -> Cut:
    """Takes a torn end off (at 0: a whole file that stands behind a torn one), keeping the bytes aside."""
    folder = path.parent / "cut"
    files.make_folder(folder)
    aside = folder / f"{path.stem}-{offset}-{time.time_ns()}"
    files.write_whole(aside, tail)
    if offset == 0:
        path.unlink()
    else:
        fd = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(fd, offset)
            os.fsync(fd)
        finally:
            os.close(fd)
    files.sync_folder(path.parent)
    log.warning("journal: cut %d torn bytes off %s at %d, kept in %s", len(tail), path, offset, aside)
    return Cut(path, offset, len(tail), aside)
