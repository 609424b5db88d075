"""Asterisk's own files, in which numbers stand in clear: CEL, CDR, logs, and those moved away beside them.

Rules
- What is erased is overwritten in its place by as many `*`. No byte is moved: Asterisk goes on adding to the file
  meanwhile, and whoever reads it by offsets is not led astray.
- A number that no call bears any more goes wherever it stands. One that another call bears, which has to be kept, goes
  from the rows of the erased calls in CEL and CDR alone; so do the columns that hold a caller.
- A packed file is unpacked, overwritten and packed again; it takes the other's place as a whole. A damaged one is left
  as it is: the search names it, and the report is not complete by it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from callcore.erasing.markers import OVERLAP, Markers
from callcore.erasing.search import DAMAGED, Failed, below
from callcore.files import write_whole
from callcore.pbx.render import CDR_FIELDS, CDR_FILE, CEL_FIELDS, CEL_FILE

BLOCK = 1 << 22
FEW = 8
"""Calls up to which a line is looked at for each before it is taken apart."""
PACKED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    ".gz": (gzip.decompress, gzip.compress),
    ".bz2": (bz2.decompress, bz2.compress),
    ".xz": (lzma.decompress, lzma.compress),
}
"""By a name's end: how it is unpacked, and packed again."""
_FIELD = re.compile(rb'"((?:[^"]|"")*)"|([^,\n]*)')


@dataclass(frozen=True, slots=True)
class Erased:
    """What was overwritten: in how many files, how many values."""

    files: int = 0
    values: int = 0

    def __add__(self, other: Erased) -> Erased:
        return Erased(self.files + other.files, self.values + other.values)


@dataclass(frozen=True, slots=True)
class _Book:
    """Columns by their places: which name the call, and which hold a caller."""

    calls: tuple[int, int]
    callers: tuple[int, ...]


_CEL = _Book((CEL_FIELDS.index("uniqueid"), CEL_FIELDS.index("linkedid")), (CEL_FIELDS.index("caller"),))
_CDR = _Book((CDR_FIELDS.index("uniqueid"), CDR_FIELDS.index("linkedid")), (CDR_FIELDS.index("src"),))


def overwrite(
    log: Path, calls: Collection[str], markers: Markers, *, rows: Markers, failed: Failed | None = None
) -> Erased:
    """All of Asterisk's files below its log folder. `markers`: numbers that nobody's call bears any more; `rows`:
    those that go from the rows of these calls, also where other calls still bear them. What the disk does not give or
    take is told to `failed`; without it, a file raises OSError, and a folder is left to the search to name."""
    done = Erased()
    named = {call.encode() for call in calls}
    for path in below(log, failed or (lambda *_: None)):
        book = _book(path, log)

        def ours(data: bytes, book: _Book | None = book) -> Iterator[tuple[int, int]]:
            return markers.in_text(data) if book is None else _of_rows(data, book, named, rows, markers)

        try:
            if path.is_file() and not path.is_symlink():
                done += _changed(path, ours)
        except OSError as error:
            if failed is None:
                raise
            failed(path, error)
    return done


def _book(path: Path, log: Path) -> _Book | None:
    inside = path.relative_to(log).as_posix()
    if inside.startswith(CEL_FILE.as_posix()):
        return _CEL
    return _CDR if inside.startswith(CDR_FILE.as_posix()) else None


def _of_rows(
    data: bytes, book: _Book, named: Collection[bytes], rows: Markers, everywhere: Markers
) -> Iterator[tuple[int, int]]:
    """Where what is to go stands in whole lines."""
    start = 0
    for line in data.split(b"\n"):
        whole: list[tuple[int, int]] = []
        columns = _columns(line) if len(named) >= FEW or any(call in line for call in named) else []
        ours = any(n < len(columns) and _value(line, columns[n]) in named for n in book.calls)
        if ours:
            whole = [columns[n] for n in book.callers if n < len(columns) and columns[n][1] > columns[n][0]]
        hits = (rows if ours else everywhere).in_text(line)
        inside = [(b, n) for b, n in hits if not any(first <= b < last for first, last in whole)]
        for begin, length in (*((first, last - first) for first, last in whole), *inside):
            yield start + begin, length
        start += len(line) + 1


def _columns(line: bytes) -> list[tuple[int, int]]:
    """Begin and end of each column's value, without its quotes."""
    found, at = [], 0
    while at <= len(line):
        match = _FIELD.match(line, at)
        assert match is not None  # the second branch fits everywhere
        found.append(match.span(1) if match[1] is not None else match.span(2))
        at = match.end() + 1
        if match.end() >= len(line):
            break
    return found


def _value(line: bytes, span: tuple[int, int]) -> bytes:
    return line[span[0] : span[1]]


def _changed(path: Path, places: Callable[[bytes], Iterator[tuple[int, int]]]) -> Erased:
    if path.suffix in PACKED:
        unpack, pack = PACKED[path.suffix]
        packed = path.read_bytes()
        try:
            whole = bytearray(unpack(packed))
        except (*DAMAGED, ValueError):  # ValueError: bz2 misses the end
            return Erased()
        values = _starred(whole, places(bytes(whole)))
        if values:
            kept = path.stat()
            write_whole(path, pack(bytes(whole)))
            os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        return Erased(1 if values else 0, values)
    values = 0
    before = path.stat()
    with ExitStack() as opened:
        fd = -1
        for offset, data in whole_lines(path):
            for begin, length in places(data):
                if data[begin : begin + length].strip(b"*"):
                    if not values:
                        fd = opened.enter_context(path.open("r+b")).fileno()
                    os.pwrite(fd, b"*" * length, offset + begin)
                    values += 1
        if values:
            os.fsync(fd)
    if values:
        now = path.stat()
        if now.st_size == before.st_size:  # else Asterisk wrote meanwhile, and the time is its own
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return Erased(1 if values else 0, values)


def _starred(data: bytearray, places: Iterator[tuple[int, int]]) -> int:
    values = 0
    for begin, length in places:
        if data[begin : begin + length].strip(b"*"):
            data[begin : begin + length] = b"*" * length
            values += 1
    return values


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """A file in blocks that end with a line's end, with the offset of each; a line longer than a block is cut."""
    offset, kept = 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            data = kept + block
            end = data.rfind(b"\n") + 1
            if not end:
                end = max(0, len(data) - OVERLAP) if len(data) > BLOCK else 0
            if end:
                yield offset, data[:end]
            offset, kept = offset + end, data[end:]
    if kept:
        yield offset, kept
