"""Kept recordings held against their signed chain: needs the files and the public key, no database, no other key.

Of a store: is the chain itself whole, and is each file there as it was kept, and no other one? What was handed over is
looked at by `exported`.

Where the newest lines or days were cut off together with their roots, no file tells: `known` roots do, as they stand in
the daily figures.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from callcore.recordings import chain as c
from callcore.recordings.errors import RecordingError
from callcore.recordings.signing import PublicKeys
from callcore.recordings.vault import ENDS, Digest, being_sealed

READ = 1 << 20
AGAIN_S = 2.0
"""A recording that is being kept at this moment is in place that long before its line."""
SEALING_S = 60.0
"""So long after its last byte a file that is being sealed is read back and in its place, at the latest."""


class Fault(Enum):
    ALTERED = "altered"
    TRUNCATED = "truncated"
    ADDED = "added"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    ERASED_THERE = "erased_there"
    LINE_ALTERED = "line_altered"
    LINE_MISSING = "line_missing"
    LINE_ADDED = "line_added"
    ROOT_MISSING = "root_missing"
    ROOT_ALTERED = "root_altered"
    DAY_MISSING = "day_missing"
    ROOT_UNKNOWN = "root_unknown"
    LIST_MISSING = "list_missing"
    LIST_ALTERED = "list_altered"


FAULTS: dict[Fault, tuple[str, str]] = {
    Fault.ALTERED: ("書き換えられている", "was altered"),
    Fault.TRUNCATED: ("途中で切れている", "is cut off"),
    Fault.ADDED: ("記録のないファイル", "was added: no line tells of it"),
    Fault.MISSING: ("消去の記録がないのに、ない", "is missing, and was not erased"),
    Fault.UNREADABLE: ("読めない", "cannot be read"),
    Fault.ERASED_THERE: ("消去の記録があるのに、残っている", "is there, though it was erased"),
    Fault.LINE_ALTERED: ("署名が合わない行", "a line whose signature does not fit"),
    Fault.LINE_MISSING: ("行が抜けている", "lines are missing"),
    Fault.LINE_ADDED: ("順序の合わない行", "a line that is not in its place"),
    Fault.ROOT_MISSING: ("署名つきの根がない", "there is no signed root"),
    Fault.ROOT_ALTERED: ("根の署名か値が合わない", "the root's signature or value does not fit"),
    Fault.DAY_MISSING: ("日が抜けている", "days are missing"),
    Fault.ROOT_UNKNOWN: ("日次報告の根が鎖にない", "a root of the daily figures is not in the chain"),
    Fault.LIST_MISSING: ("署名つきのファイル一覧がない", "the signed list of files is not there"),
    Fault.LIST_ALTERED: ("ファイル一覧の署名が合わない", "the signature of the list of files does not fit"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """One fault. `name`: the file's, or the line's number; `detail`: what was expected, in figures. Names are shown as
    one line of text, whatever they are."""

    fault: Fault
    centre: str
    day: str
    name: str
    detail: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", _shown(self.centre))
        object.__setattr__(self, "name", _shown(self.name))

    def __str__(self) -> str:
        ja, en = FAULTS[self.fault]
        place = "/".join(part for part in (self.centre, self.day, self.name) if part)
        return f"{place}: {ja} / {en}" + (f" ({self.detail})" if self.detail else "")


def _shown(name: str) -> str:
    """What is no text, or would not be seen, by its bytes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(x if x.isprintable() else x.encode("unicode_escape").decode() for x in text)


@dataclass(frozen=True, slots=True)
class Told:
    """A day whose chain was read: its root and counts, to hold against the daily figures."""

    centre: str
    day: str
    lines: int
    kept: int
    erased: int
    root: str


@dataclass(slots=True)
class Verdict:
    days: list[Told] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    files: int = 0
    """Files whose bytes were looked at."""


class NothingToVerify(RecordingError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} に録音の鎖がありません。--store で録音の保管先を指定してください / "
            f"there is no chain of recordings in {folder}; name the recordings' store by --store"
        )


@dataclass(slots=True)
class _Chain:
    """One centre's chain as it was read."""

    kept: dict[tuple[str, str], c.Kept] = field(default_factory=dict)
    """By day and name; of one that was erased and kept anew on that day, the newest."""
    lines: list[c.Kept] = field(default_factory=list)
    """All that was ever kept."""
    erased: dict[tuple[str, str], int] = field(default_factory=dict)
    """By day and name of what was kept: the number of the line that tells of it."""
    days: dict[str, list[str]] = field(default_factory=dict)
    """The names that each day tells of."""
    marks: set[str] = field(default_factory=set)

    def has_erased(self, day: str, line: c.Kept) -> bool:
        return self.erased.get((day, line.name), 0) > line.n


def verify(
    store: Path, keys: PublicKeys, *, since: str | None = None, known: Collection[str] = ()
) -> Verdict:
    """Each stored file by the hash of the file. `since` (ISO day): there is nothing from before it, and need not be.
    `known`: roots that must be in a chain. What cannot be read is named, and the rest is looked at all the same. Raises
    NothingToVerify; OSError: the store itself cannot be read."""
    verdict = Verdict()
    marks: set[str] = set()
    everything: list[Found] = []
    for centre in centres_in(store):
        chain = read_chain(store, centre, keys, since, verdict)
        marks |= chain.marks
        found, verdict.found = verdict.found, []
        found += _beside(store / centre, {c.ROOT, *c.days_of(store, centre)}, centre)
        wrong = []
        for day in chain.days:
            faults = _files(store, centre, day, chain, verdict)
            found += faults
            wrong += [day] if faults else []
        if found:
            time.sleep(AGAIN_S)
            again = Verdict()
            chain = read_chain(store, centre, keys, since, again)
            again.found += _beside(store / centre, {c.ROOT, *c.days_of(store, centre)}, centre)
            for day in wrong:
                again.found += _files(store, centre, day, chain, again)
            before = {_place(each) for each in found}  # what differs may differ otherwise by now
            found = [each for each in again.found if _place(each) in before]
        everything += found
    verdict.found = everything + _beside(store, set(centres_in(store)), "")
    check_known(known, marks, verdict)
    return verdict


def _place(of: Found) -> tuple[str, str, str]:
    return of.centre, of.day, of.name


def digest(path: Path) -> Digest:
    """What a file is. Raises OSError."""
    with opened(path) as file:
        return digest_of(file)


def opened(path: Path) -> BinaryIO:
    """To be read. Raises OSError: also of what is neither file nor folder, where reading might wait for ever."""
    if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
    return path.open("rb")


def digest_of(file: BinaryIO) -> Digest:
    hashed, size = hashlib.sha256(), 0
    while part := file.read(READ):
        hashed.update(part)
        size += len(part)
    return Digest(size, hashed.hexdigest())


def differs(centre: str, day: str, name: str, got: Digest, told: Digest) -> Found:
    if got.size < told.size:
        return Found(Fault.TRUNCATED, centre, day, name, f"{got.size} < {told.size} bytes")
    return Found(Fault.ALTERED, centre, day, name, f"sha256 {got.sha256[:12]}… ≠ {told.sha256[:12]}…")


def unreadable(centre: str, day: str, name: str, error: OSError) -> Found:
    return Found(Fault.UNREADABLE, centre, day, name, error.strerror or str(error))


def centres_in(store: Path) -> list[str]:
    """Those that have a chain. Raises NothingToVerify."""
    found = sorted(p.name for p in store.iterdir() if _has_chain(p))
    if not found:
        raise NothingToVerify(store)
    return found


def _has_chain(folder: Path) -> bool:
    """A folder that cannot be read has none: it is named by what lies beside the centres. Nor has a day's: who names
    one centre's folder as the store has a root in each of them."""
    try:
        if c.DAY.fullmatch(folder.name):
            return False
        return folder.is_dir() and (bool(c.days_of(folder.parent, folder.name)) or (folder / c.ROOT).exists())
    except OSError:
        return False


def check_known(known: Collection[str], marks: set[str], verdict: Verdict) -> None:
    """Whether the roots that somebody knows are among the marks of the chains."""
    verdict.found += [Found(Fault.ROOT_UNKNOWN, "", "", root) for root in known if root not in marks]


def read_chain(store: Path, centre: str, keys: PublicKeys, since: str | None, verdict: Verdict) -> _Chain:
    """The chain of a centre, line by line; what is wrong with it goes into the verdict."""
    chain, found = _Chain(), verdict.found
    newest = _root(store, centre, "", keys, found)
    last: tuple[int, str, str] | None = None
    days = [day for day in c.days_of(store, centre) if since is None or day >= since]
    unseen = None if since is None else since or min(days, default="")
    """Of what is before the next line nothing is known but that no day from this one on may lack."""
    for day in days:
        root = _root(store, centre, day, keys, found)
        try:
            lines = _lines(store / centre / day)
        except OSError as error:
            found.append(unreadable(centre, day, c.CHAIN, error))
            if root is not None:  # which is signed, and tells where the next day goes on
                last, unseen = (root.n, root.root, day), None
                chain.marks.add(root.root)
            else:
                unseen = f"{day}~"  # from the one after it
            continue
        names = chain.days.setdefault(day, [])
        count, kept, erased = 0, 0, 0
        unread = 0
        for row, raw in enumerate(lines, 1):
            where = f"{c.CHAIN}:{row}"
            line = c.checked_line(raw, keys)
            if line is None or line.centre != centre or line.day != day:
                strange = "" if line is None else f"{line.centre} {line.day} #{line.n}"
                kind = Fault.LINE_ALTERED if line is None else Fault.LINE_ADDED
                found.append(Found(kind, centre, day, where, strange))
                unread += line is None
                continue
            if isinstance(line, c.Kept):
                chain.lines.append(line)
                before = chain.kept.get((day, line.name))
                if before is None:
                    names.append(line.name)
                if before is None or (chain.has_erased(day, before) and not chain.has_erased(day, line)):
                    chain.kept[day, line.name] = line
            elif isinstance(line, c.Erased):
                known = chain.erased.get((line.kept, line.name), 0)
                chain.erased[line.kept, line.name] = max(known, line.n)
            if last is not None and line.n <= last[0]:
                found.append(Found(Fault.LINE_ADDED, centre, day, where, f"#{line.n}"))
                continue
            if unseen is not None:
                found += _begin(line, root, unseen, unread, Found(Fault.LINE_MISSING, centre, day, where))
            elif last is None:
                if line.n != 1 + unread:
                    found.append(Found(Fault.DAY_MISSING, centre, day, "", f"#1–#{line.n - 1}"))
            elif line.prev != last[1] and not (unread and line.n == last[0] + 1 + unread):
                whole = isinstance(line, c.Began) and line.after != last[2]
                kind = Fault.DAY_MISSING if whole else Fault.LINE_MISSING
                gap = f"#{last[0] + 1}–#{line.n - 1}" if line.n > last[0] + 1 else f"#{last[0]}"
                found.append(Found(kind, centre, day, where, gap))
            last, unread, unseen = (line.n, c.mark_of(raw), day), 0, None
            chain.marks.add(last[1])
            count += 1
            kept += isinstance(line, c.Kept)
            erased += isinstance(line, c.Erased)
        if root is not None and root.root not in chain.marks:
            told = f"#{root.n}, {root.root[:12]}…"
            missing = last is None or last[0] < root.n or last[2] != day
            found.append(
                Found(Fault.LINE_MISSING if missing else Fault.ROOT_ALTERED, centre, day, c.CHAIN, told)
            )
        verdict.days.append(Told(_shown(centre), day, count, kept, erased, last[1] if count and last else ""))
    if newest is not None and newest.root not in chain.marks and newest.day >= (since or ""):
        found.append(Found(Fault.DAY_MISSING, centre, newest.day, "", f"#{newest.n}, {newest.root[:12]}…"))
    return chain


def _begin(line: c.Line, root: c.Root | None, unseen: str, unread: int, missing: Found) -> list[Found]:
    """What lacks before a day's first line that could be read, behind `unread` others, where nothing tells what stands
    before that day."""
    if isinstance(line, c.Began):
        gone = line.after is not None and line.after >= unseen
        return [replace(missing, fault=Fault.DAY_MISSING, detail=f"–#{line.n - 1}")] if gone else []
    if not unread or (root is not None and line.n > root.first + unread):
        first = "" if root is None else f"#{root.first + unread}"
        return [replace(missing, detail=f"{first}–#{line.n - 1}")]
    return []


def _lines(folder: Path) -> list[bytes]:
    """As `chain.raw_lines`. Raises OSError: also of one that is there and leads nowhere."""
    path = folder / c.CHAIN
    if os.path.lexists(path):
        opened(path).close()
    return c.raw_lines(folder)


def _beside(folder: Path, known: Collection[str], centre: str) -> list[Found]:
    """What lies where no recording belongs. `centre` "": the folder is the store, in which nothing is sealed."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name in known:
            continue
        try:
            passed = _empty(path) or (centre and _is_sealed_in(path))
            if not centre and path.is_dir():
                c.days_of(folder, path.name)  # whether it could be seen that it is a centre's
            found += [] if passed else [Found(Fault.ADDED, centre, "", path.name)]
        except OSError as error:
            if centre or path.name != c.LOST_FOUND:
                found.append(unreadable(centre, "", path.name, error))
    return found


def _is_sealed_in(path: Path) -> bool:
    """Raises OSError."""
    if not fnmatchcase(path.name, being_sealed("*")):
        return False
    with suppress(FileNotFoundError):  # it is in its place by now
        return abs(time.time() - path.lstat().st_mtime) < SEALING_S
    return True


def _empty(path: Path) -> bool:
    return path.is_dir() and all(map(_is_sealed_in, path.iterdir()))


def _root(store: Path, centre: str, day: str, keys: PublicKeys, found: list[Found]) -> c.Root | None:
    """The signed root of a day; with "" the newest one."""
    try:
        with opened(store / centre / day / c.ROOT) as file:
            raw = file.read()
    except FileNotFoundError:
        found.append(Found(Fault.ROOT_MISSING, centre, day, c.ROOT))
        return None
    except OSError as error:
        found.append(unreadable(centre, day, c.ROOT, error))
        return None
    root = c.checked_root(raw, keys)
    if root is None or root.centre != centre or (day and root.day != day):
        found.append(Found(Fault.ROOT_ALTERED, centre, day, c.ROOT))
        return None
    return root


def _files(store: Path, centre: str, day: str, chain: _Chain, verdict: Verdict) -> list[Found]:
    folder = store / centre / day
    try:
        there = {p.name for p in folder.iterdir()}
    except OSError as error:
        return [unreadable(centre, day, "", error)]
    found = []
    for name in chain.days.get(day, ()):
        line, file = chain.kept[day, name], name + ENDS
        erased = chain.has_erased(day, line)
        if file not in there:
            if not erased:
                found.append(Found(Fault.MISSING, centre, day, file))
            continue
        there.discard(file)
        if erased:
            found.append(Found(Fault.ERASED_THERE, centre, day, file))
            continue
        verdict.files += 1
        try:
            got = digest(folder / file)
        except FileNotFoundError:
            found.append(Found(Fault.MISSING, centre, day, file))
            continue
        except OSError as error:
            found.append(unreadable(centre, day, file, error))
            continue
        if got != line.stored:
            found.append(differs(centre, day, file, got, line.stored))
    found += [Found(Fault.ADDED, centre, day, file) for file in sorted(there - {c.CHAIN, c.ROOT})]
    return found
