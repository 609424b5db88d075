"""The two sides of a recording, which Asterisk writes beside the mixed one where the centre wants two channels.

    <name>.left.sln     the citizen; of a consult, who was asked
    <name>.right.sln    whom they hear: agent, colleague, department, music on hold; of a consult, the agent

Samples of 16 bits (little-endian) without a header. The mixed one is the recording: it is measured, watched, cut, and
proven as captured. The sides are of use as long as they have its frames and, added, its samples; where Asterisk was
killed and closed none of the three, the frames that the mixed one has.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from callcore.files import Stamp, stamp, write_all
from callcore.pcm import SAMPLE, interleaved, mixes
from callcore.recordings.errors import RecordingError
from callcore.recordings.vault import Digest
from callcore.recordings.wavs import HEADER, plain_form, plain_head

SIDE_ENDS = (".left.sln", ".right.sln")
CHUNK = 1 << 17


class NotJoined(RecordingError):
    def __init__(self, why: str) -> None:
        super().__init__(
            f"録音を2チャンネルにできません: {why}。1チャンネルのまま保存します / "
            f"a recording cannot be made two channels: {why}; it is kept as one"
        )


def sides_of(recording: Path) -> tuple[Path, Path]:
    """Where the left and the right one of a plain recording are, if it has any."""
    left, right = (recording.with_suffix(ends) for ends in SIDE_ENDS)
    return left, right


def plain_of(side: Path) -> Path:
    """The recording that it is a side of."""
    return side.with_suffix("").with_suffix(".wav")


def discard(recording: Path) -> None:
    """Remove the sides. Raises OSError."""
    for side in sides_of(recording):
        side.unlink(missing_ok=True)


class Joined(io.RawIOBase):
    """Two sides as a WAV file of two channels, to be read from any place: joined while it is read, written nowhere.
    `captured`: what the mixed one is."""

    def __init__(
        self, sides: list[BinaryIO], before: list[Stamp], rate: int, size: int, captured: Digest
    ) -> None:
        """`before`: the sides when they were opened; `size` of either in bytes."""
        super().__init__()
        self._sides, self._before, self.captured = sides, before, captured
        self.size = HEADER + 2 * size
        self._head = plain_head(2, rate, 2 * size)
        self._at = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """No more than is there, and less only at the end, or if a side became shorter."""
        rest = max(0, self.size - self._at)
        count = rest if size is None or size < 0 else min(size, rest)
        part = self._head[self._at : self._at + count]
        first, skipped = divmod(max(0, self._at - HEADER), 2 * SAMPLE)
        if count > len(part):
            length = -(-(skipped + count - len(part)) // (2 * SAMPLE)) * SAMPLE
            left, right = (os.pread(side.fileno(), length, first * SAMPLE) for side in self._sides)
            if len(left) == len(right) == length:
                part += interleaved(left, right)[skipped : skipped + count - len(part)]
        self._at += len(part)
        return part

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence] + offset
        return self._at

    def close(self) -> None:
        for side in self._sides:
            side.close()
        super().close()

    def changed(self) -> bool:
        """Whether a side was written to since it was held against the mixed one."""
        return [stamp(side) for side in self._sides] != self._before

    def written(self, folder: Path) -> BinaryIO:
        """As a file, for a program that reads one. It has no name, and is gone whatever dies. Raises OSError."""
        made = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        with ExitStack() as unless_made:
            unless_made.enter_context(made)
            self.seek(0)
            while part := self.read(CHUNK):
                write_all(made.fileno(), part)
            made.seek(0)
            unless_made.pop_all()
        return made


def joined(recording: Path) -> Joined:
    """Both sides of a plain recording, at their begin, held against it. Raises NotJoined, OSError."""
    with recording.open("rb") as mixed, ExitStack() as opened:
        form = plain_form(mixed)
        size = os.fstat(mixed.fileno()).st_size
        if form is None or form.frame != SAMPLE or form.begins + form.promised > size or size % SAMPLE:
            raise NotJoined("欠けた WAV / no whole WAV file")
        held = size - form.begins
        closed = form.promised == held
        sides = [opened.enter_context(_whole(side, held, closed=closed)) for side in sides_of(recording)]
        before = [stamp(side) for side in sides]
        mixed.seek(0)
        hashed = hashlib.sha256(mixed.read(form.begins))
        while both := mixed.read(CHUNK):
            left, right = (side.read(len(both)) for side in sides)
            if not mixes(left, right, both):
                raise NotJoined("左右を足しても録音にならない / the sides together are not the recording")
            hashed.update(both)
        opened.pop_all()
    return Joined(sides, before, form.rate, held, Digest(size, hashed.hexdigest()))


def _whole(side: Path, size: int, *, closed: bool) -> BinaryIO:
    """`closed`: Asterisk closed the mixed one. Else a side may be longer: Asterisk writes 32 KiB at once, to one file
    after the other (one killed amid a talk left 131072 bytes of sound in each of the three)."""
    try:
        file = side.open("rb")
    except FileNotFoundError:
        raise NotJoined(f"{side.name} がない / {side.name} is not there") from None
    there = os.fstat(file.fileno()).st_size
    if there < size or (closed and there > size):
        file.close()
        raise NotJoined(f"{side.name} の長さが違う / {side.name} has another length: {there} ≠ {size}")
    return file
