"""The audit trail: who did what, on what, from where, with what result, and why. Written once, chained, never changed.

    trail/2026-11.jsonl    one line each, by the month (UTC) it was written in, or the newest that was begun
    keys/trail.key         the key of the chain, kept apart
    keys/trail.head        the last line's number and mark

Each line bears the HMAC-SHA-256 of itself and of the mark of the line before, over all months. Without the key nobody
can make a line that fits, so a changed, missing or added one is found; the head, kept apart, tells of lines missing
at the end. A clock that was set back begins no file before the newest: the order of the files is that of the lines.
Lines are added under a lock, by any process of the installation, and are on the disk before the answer
is given. A last line that was torn off by a crash was never confirmed, and is cut off.

Who may read every file of the machine, keys included, can rewrite all of it: copy head and lines to where that
account cannot write (docs/operations).
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import islice
from pathlib import Path

import msgspec

from callcore.access.rights import Person
from callcore.files import make_folder, sync_folder, write_all, write_whole

START = "0" * 64
"""The mark before the first line."""
SPARE_BYTES = 1 << 20
"""Below that much free space nothing is begun that would have to be written here."""
_FILE = re.compile(r"\d{4}-\d{2}\.jsonl")
TEXT_LONGEST = 500
TAIL_BYTES = 1 << 16
"""Of a file's end that is looked at before a line is added: many times the longest line."""


class Result(Enum):
    DONE = "done"
    REFUSED = "refused"
    """The right was not there."""
    FAILED = "failed"


class TrailUnwritable(OSError):
    """The trail cannot be written, so what it would tell must not be done."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: RFC 3339, UTC, milliseconds. `who`: a person's id; `on`: what it was done to; `origin`: an address, or
    `cli`."""

    n: int
    at: str
    who: str
    action: str
    on: str | None
    centre: str | None
    origin: str
    result: Result
    why: str | None = None
    mark: str = ""


class Head(msgspec.Struct, frozen=True):
    n: int
    mark: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit, and where."""

    file: str
    row: int
    ja: str
    en: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.ja} / {self.en}"


@dataclass(frozen=True, slots=True)
class Verified:
    lines: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; None: whatever. `who` with or without its kind, `on` as it is written, `text` in any of the
    words. `first`, `last`: ISO dates or seconds of UTC, both included. `meant`: whole words that people are told in
    words that hold `text`.
    """

    who: str | None = None
    on: str | None = None
    action: str | None = None
    centre: str | None = None
    result: Result | None = None
    text: str | None = None
    first: str | None = None
    last: str | None = None
    meant: frozenset[str] = frozenset()

    def fits(self, line: Line) -> bool:
        words = (line.who, line.action, line.on or "", line.origin, line.why or "")
        return (
            (self.who is None or self.who in (line.who, line.who.partition(":")[2]))
            and (self.on is None or line.on == self.on)
            and (self.action is None or line.action == self.action)
            and (self.centre is None or line.centre == self.centre)
            and (self.result is None or line.result is self.result)
            and (
                self.text is None
                or any(self.text.lower() in word.lower() for word in words)
                or not self.meant.isdisjoint(words)
            )
            and (self.first is None or line.at >= self.first)
            and (self.last is None or line.at[: len(self.last)] <= self.last)
        )


class Trail:
    def __init__(self, folder: Path, keys: Path, now: Callable[[], float]) -> None:
        self._folder = folder
        self._key_file = keys / "trail.key"
        self._head_file = keys / "trail.head"
        self._now = now

    # -- writing ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Whether a line could be added now. Asked before something is done. Raises TrailUnwritable."""
        try:
            with self._alone():
                self._key()
                free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise _unwritable(error) from error
        if free < SPARE_BYTES:
            raise _unwritable(f"{free:,} bytes free")

    def add(
        self,
        who: Person | str,
        action: str,
        *,
        on: str | None = None,
        centre: str | None = None,
        origin: str,
        result: Result,
        why: str | None = None,
    ) -> Line:
        """Add a line; it is on the disk when this returns. Raises TrailUnwritable; then it is not there."""
        moment = datetime.fromtimestamp(self._now(), UTC)
        try:
            with self._alone():
                key = self._key()
                head = self._mended(key)
                line = Line(
                    n=head.n + 1,
                    at=moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z",
                    who=who if isinstance(who, str) else who.id,
                    action=action,
                    on=_cut(on),
                    centre=centre,
                    origin=origin,
                    result=result,
                    why=_cut(why),
                )
                line = msgspec.structs.replace(line, mark=_mark(key, head.mark, line))
                newest = max([f"{moment:%Y-%m}.jsonl", *(path.name for path in self._files()[-1:])])
                self._append(self._folder / newest, msgspec.json.encode(line) + b"\n")
                self._set_head(Head(line.n, line.mark))
        except OSError as error:
            raise _unwritable(error) from error
        return line

    @contextmanager
    def _alone(self) -> Iterator[None]:
        make_folder(self._folder)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _key(self) -> bytes:
        try:
            return self._key_file.read_bytes()
        except FileNotFoundError:
            if self._files():
                raise OSError(
                    f"{self._key_file} がありません。バックアップから戻してください / "
                    f"{self._key_file} is missing; put it back from the back-up"
                ) from None
        make_folder(self._key_file.parent)
        write_whole(self._key_file, secrets.token_bytes(32))
        return self._key_file.read_bytes()

    def _head(self) -> Head | None:
        try:
            return msgspec.json.decode(self._head_file.read_bytes(), type=Head)
        except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def _mended(self, key: bytes) -> Head:
        """Where the chain ends. A torn last line is cut off; one that a crash kept from the head is taken in."""
        head = self._head()
        files = self._files()
        if not files:
            return head or Head(0, START)
        with files[-1].open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - TAIL_BYTES))
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole != len(data):
                file.truncate(start + whole)
                os.fsync(file.fileno())
        for row in data[:whole].splitlines():
            line = _parsed(row)
            known = head or Head(0, START)
            if line is not None and line.n == known.n + 1 and _fits(key, known.mark, line):
                head = Head(line.n, line.mark)
        return head or Head(0, START)

    def _append(self, path: Path, data: bytes) -> None:
        fresh = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(handle).st_size
            try:
                write_all(handle, data)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)
        if fresh:
            sync_folder(path.parent)

    def _set_head(self, head: Head) -> None:
        write_whole(self._head_file, msgspec.json.encode(head))

    # -- reading ----------------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _FILE.fullmatch(path.name))

    def newest(
        self,
        wanted: Wanted,
        most: int,
        before: int | None = None,
        visible: Callable[[Line], bool] = lambda _: True,
    ) -> list[Line]:
        """Lines that fit and may be seen, the newest first, at most `most`, with numbers below `before`."""
        return [*islice(self.lines(wanted, before, visible), most)]

    def lines(
        self, wanted: Wanted, before: int | None = None, visible: Callable[[Line], bool] = lambda _: True
    ) -> Iterator[Line]:
        """All that fit and may be seen, the newest first, with numbers below `before`."""
        words = [msgspec.json.encode(each)[1:-1] for each in (wanted.who, wanted.on) if each is not None]
        for path in reversed(self._files()):
            if wanted.first is not None and path.stem < wanted.first[:7]:
                break  # a file has nothing later than its month; by a clock that was set back it has what is earlier
            for row in reversed(path.read_bytes().splitlines()):
                if not all(word in row for word in words):  # quicker than reading it
                    continue
                line = _parsed(row)
                if line is None or (before is not None and line.n >= before):
                    continue
                if wanted.fits(line) and visible(line):
                    yield line

    def verify(self) -> Verified:
        """Every line against the one before it, and the end against the head. Raises OSError without the key."""
        with self._alone():
            key = self._key()
            faults: list[Fault] = []
            n, mark, lines = 0, START, 0
            last = ("-", 0)
            for path in self._files():
                for row, data in enumerate(path.read_bytes().splitlines(), 1):
                    last = (path.name, row)
                    line = _parsed(data)
                    if line is None:
                        faults.append(Fault(*last, "読めない行です", "this line cannot be read"))
                        continue
                    lines += 1
                    if not _fits(key, mark, line):
                        faults.append(_misfit(last, n, line))
                    n, mark = line.n, line.mark
            head = self._head()
            if head is None and lines:
                faults.append(
                    Fault(*last, "末尾の控えがありません", "the head that is kept apart is missing")
                )
            elif head is not None and head.n > n:
                missing = head.n - n
                faults.append(
                    Fault(
                        *last,
                        f"この後の {missing} 行がありません",
                        f"{missing} lines after this one are missing",
                    )
                )
            elif head is not None and head.n == n and head.mark != mark:
                faults.append(
                    Fault(*last, "末尾が控えと違います", "the end is not the one that the head tells")
                )
        return Verified(lines, tuple(faults))


def _misfit(at: tuple[str, int], before: int, line: Line) -> Fault:
    if line.n > before + 1:
        gone = line.n - before - 1
        return Fault(*at, f"この前の {gone} 行がありません", f"{gone} lines before this one are missing")
    if line.n <= before:
        return Fault(*at, f"番号 {line.n} の行が加えられています", f"a line numbered {line.n} was added")
    return Fault(*at, "この行か前の行が書き換えられています", "this line or the one before was changed")


def _mark(key: bytes, before: str, line: Line) -> str:
    body = msgspec.json.encode(msgspec.structs.replace(line, mark=""))
    return hmac.new(key, before.encode() + body, "sha256").hexdigest()


def _fits(key: bytes, before: str, line: Line) -> bool:
    return hmac.compare_digest(_mark(key, before, line), line.mark)


def _parsed(row: bytes) -> Line | None:
    try:
        return msgspec.json.decode(row, type=Line)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:TEXT_LONGEST]


def _unwritable(why: object) -> TrailUnwritable:
    return TrailUnwritable(
        f"監査記録に書けないため、何も実行していません。ディスクの空きを確かめてください ({why}) / "
        f"the audit trail cannot be written, so nothing was done; see whether the disk is full ({why})"
    )
