"""Keys of kept recordings, so that erasing a recording means destroying its key.

    <keys>/<centre>.<month>.<version>.key    wraps the keys of that centre's recordings of that month
    <keys>/files/<centre>/<day>.jsonl        each recording's own key, wrapped (AES key wrap, RFC 3394)

The folder lies outside the recordings' store, and so do the wrapped keys: a copy of the store opens nothing, and once a
line of `files/` is destroyed, no copy of the store opens that recording again. Day and month are those of
the day on which it was sealed. Files are owner-only; every process of the installation may add, under a lock.

Destroyed is not lost: destroying leaves a line that says so. A key that is missing without one is an error that names
the file to put back, and no new key is made in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from callcore.files import append_line, locked, make_folder, shred, write_whole
from callcore.recordings.errors import KeyDestroyed, KeyLost, KeyOpen, RecordingError, WrongKey

KEY_BYTES = 32
ID_BYTES = 16
REPLACES = 100
"""The version of a key in place of a lost one is at least this: one that turns up after all still fits beside it."""
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""A centre's id, as the name of a folder."""
_KEY_FILE = re.compile(r"([A-Za-z0-9_-]+)\.(\d{4}-\d{2})\.(\d+)\.key")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
Stamp = tuple[int, int, int]
Unread = RecordingError | OSError
"""Why a table cannot be read."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recording's key. `file`: the id in the sealed file's head; `version` of the key that wraps it. `gone`: when
    it was destroyed (RFC 3339); it has no key then."""

    file: str
    name: str
    version: int = 0
    key: str | None = None
    gone: str | None = None


class _Wrapping(msgspec.Struct, frozen=True):
    centre: str
    month: str
    version: int
    key: str


@dataclass(frozen=True, slots=True)
class Row:
    """One wrapping key, for people: how many recordings' keys it wraps."""

    centre: str
    month: str
    version: int
    recordings: int
    destroyed: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did to one centre and month. `version`: of the new wrapping key, None: none was made;
    `recordings`: how many keys it wraps; `left`: why the month is not, or not wholly, rotated."""

    centre: str
    month: str
    version: int | None
    recordings: int
    left: tuple[RecordingError | OSError, ...] = ()


@dataclass(slots=True)
class KeyRing:
    """`folder` as above; it is made when the first key is."""

    folder: Path
    _tables: dict[Path, tuple[Stamp, dict[str, Entry]]] = field(default_factory=dict, repr=False)

    def new(self, centre: str, day: str, name: str) -> tuple[str, bytes]:
        """A new recording's id and key, on the disk before this returns. Raises KeyLost, KeyOpen, OSError."""
        table = self.table(centre, day)
        with self._locked():
            version, wrapping = self._newest(centre, day[:7])
            file, key = os.urandom(ID_BYTES).hex(), os.urandom(KEY_BYTES)
            make_folder(table.parent)
            append_line(table, _encode(Entry(file, name, version, aes_key_wrap(wrapping, key).hex())))
        return file, key

    def key(self, centre: str, day: str, file: str, name: str) -> bytes:
        """Raises KeyDestroyed, KeyLost, WrongKey, KeyOpen, OSError."""
        path = self.table(centre, day)
        entry = self._table(path).get(file)
        if entry is None:
            raise KeyLost(path)
        if entry.key is None:
            raise KeyDestroyed(name)
        wrapping_file = self._key_path(centre, day[:7], entry.version)
        try:
            return aes_key_unwrap(self._wrapping(wrapping_file), bytes.fromhex(entry.key))
        except InvalidUnwrap:
            raise WrongKey(wrapping_file) from None

    def destroy(self, centre: str, day: str, name: str, at: str) -> bool:
        """Destroy every key that a recording of this name has; False: there was none. `at`: RFC 3339."""
        path = self.table(centre, day)
        with self._locked():
            table = self._table(path)
            if not any(e.name == name and e.key is not None for e in table.values()):
                return False
            self._rewrite(
                path, [Entry(e.file, e.name, gone=at) if e.name == name else e for e in table.values()]
            )
        return True

    def centres(self) -> list[str]:
        """Those of which there is a folder of tables, also of keys that are all destroyed. Raises OSError."""
        try:
            return sorted(name for name in os.listdir(self.folder / "files") if PLAIN.fullmatch(name))
        except FileNotFoundError:
            return []

    def days(self, centre: str) -> list[str]:
        """The days of which there is a table, the oldest first; files of other names are none of ours."""
        found = (path.stem for path in (self.folder / "files" / centre).glob("*.jsonl"))
        return sorted(day for day in found if _DAY.fullmatch(day))

    def has(self, centre: str, name: str, but: Container[str] = ()) -> bool:
        """Whether any key of a recording of this name is there, but for these days."""
        return any(e.name == name and e.key is not None for e in self._entries(centre, but))

    def names(self, centre: str, but: Container[str] = ()) -> set[str]:
        """The recordings of which any key is there, but for these days."""
        return set[str]().union(*(self.names_on(centre, day) for day in self.days(centre) if day not in but))

    def names_on(self, centre: str, day: str) -> set[str]:
        """The same of one day alone. WrongKey: its table cannot be read."""
        return {e.name for e in self._table(self.table(centre, day)).values() if e.key is not None}

    def days_of(self, centre: str, day: str) -> list[str]:
        """The days in whose tables the keys of what was kept on that day may be: that of a recording kept at midnight
        may stand in the table before."""
        return [*[each for each in self.days(centre) if each < day][-1:], day]

    def damaged(self, centre: str) -> dict[str, Unread]:
        """The days whose table cannot be read, and why."""
        found = dict[str, Unread]()
        for day in self.days(centre):
            try:
                self._table(self.table(centre, day))
            except (RecordingError, OSError) as error:
                found[day] = error
        return found

    def _entries(self, centre: str, but: Container[str]) -> Iterator[Entry]:
        for day in self.days(centre):
            if day not in but:
                yield from self._table(self.table(centre, day)).values()

    def has_table(self, centre: str, day: str) -> bool:
        return self.table(centre, day).exists()

    def has_month(self, centre: str, month: str) -> bool:
        """Whether there is any key that wraps those of that centre and month."""
        return bool(self._versions(centre, month))

    def missing(self, centre: str, day: str, names: Iterable[str]) -> dict[str, Path]:
        """Of recordings kept on that day, those whose key is not there and was not destroyed, with the file to be put
        back. Raises WrongKey: a table cannot be read. Raises OSError."""
        wrapping: dict[str, list[Path | None]] = {}
        """By name, the keys that wrap its own; None: it was destroyed."""
        for each in self.days_of(centre, day):
            for e in self._table(self.table(centre, each)).values():
                path = None if e.key is None else self._key_path(centre, each[:7], e.version)
                wrapping.setdefault(e.name, []).append(path)
        there = {path: path.exists() for paths in wrapping.values() for path in paths if path is not None}
        found = {}
        for name in names:
            paths = wrapping.get(name, [self.table(centre, day)])
            if not any(path is None or there.get(path, False) for path in paths):
                found[name] = next(path for path in reversed(paths) if path is not None)
        return found

    def replaced(self, centre: str, day: str) -> list[Path]:
        """Make what a recording of that day needs and what is lost for good; the files. Raises OSError, WrongKey."""
        made, table = [], self.table(centre, day)
        with self._locked():
            if not self._versions(centre, day[:7]):
                version = max(self._used(centre, day[:7]), default=0) + REPLACES
                self._make(centre, day[:7], version)
                made.append(self._key_path(centre, day[:7], version))
            if not table.exists():
                make_folder(table.parent)
                write_whole(table, b"")
                made.append(table)
        return made

    def rotate(self, centre: str | None = None, month: str | None = None) -> list[Rotated]:
        """New wrapping keys in place of the present ones, each centre and month for itself; the recordings themselves
        are not touched. A recording whose wrapping key is lost keeps its line as it is. Killed in the middle it is
        begun again by the next call."""
        done = []
        with self._locked():
            for of, period in self._months():
                if centre in (None, of) and month in (None, period):
                    try:
                        done.append(self._rotate(of, period))
                    except (RecordingError, OSError) as error:
                        done.append(Rotated(of, period, None, 0, (error,)))
        return done

    def _months(self) -> list[tuple[str, str]]:
        """Every centre and month of which there is a wrapping key or a table."""
        keys = (_KEY_FILE.fullmatch(path.name) for path in self.folder.glob("*.key"))
        found = {(match[1], match[2]) for match in keys if match is not None}
        return sorted(found | {(of, day[:7]) for of in self.centres() for day in self.days(of)})

    def _rotate(self, centre: str, month: str) -> Rotated:
        """Nothing is made before all is opened that has its key. Raises WrongKey, KeyOpen, OSError."""
        old, used = self._versions(centre, month), self._used(centre, month)
        lost = tuple(KeyLost(self._key_path(centre, month, each)) for each in sorted(used - {*old}))
        if not old:
            return Rotated(centre, month, None, 0, lost)
        opened = {
            path: {
                e.file: self.key(centre, path.stem, e.file, e.name)
                for e in self._table(path).values()
                if e.key is not None and e.version in old
            }
            for path in self._month_tables(centre, month)
        }
        version, fresh = self._make(centre, month, max(used.union(old)) + 1)
        for path, keys in opened.items():
            if keys:
                self._rewrite(
                    path,
                    [
                        Entry(e.file, e.name, version, aes_key_wrap(fresh, keys[e.file]).hex())
                        if e.file in keys
                        else e
                        for e in self._table(path).values()
                    ],
                )
        for each in {*old} - self._used(centre, month):
            shred(self._key_path(centre, month, each))
        return Rotated(centre, month, version, sum(map(len, opened.values())), lost)

    def rows(self) -> list[Row]:
        """Every wrapping key there is, by centre, month and version; without the tables that cannot be read
        (`unread`)."""
        found, closed = [], {of: self.damaged(of) for of in self.centres()}
        for path in sorted(self.folder.glob("*.key")):
            match = _KEY_FILE.fullmatch(path.name)
            if match is None:
                continue
            centre, month, version = match[1], match[2], int(match[3])
            tables = (t for t in self._month_tables(centre, month) if t.stem not in closed.get(centre, {}))
            entries = [e for table in tables for e in self._table(table).values()]
            found.append(
                Row(
                    centre,
                    month,
                    version,
                    sum(e.version == version and e.key is not None for e in entries),
                    sum(e.gone is not None for e in entries),
                )
            )
        return sorted(found, key=lambda row: (row.centre, row.month, row.version))

    def unread(self) -> list[Unread]:
        """Why tables cannot be read, of all centres."""
        return [why for centre in self.centres() for why in self.damaged(centre).values()]

    def faults(self) -> Iterator[RecordingError | OSError]:
        """Wrapping keys that are lost, open to others, or do not fit what they should wrap, and tables that cannot be
        read; each once."""
        tried: set[tuple[str, str, int]] = set()
        try:
            centres = self.centres()
        except OSError as error:
            yield error
            return
        for centre, day in ((of, each) for of in centres for each in self.days(of)):
            try:
                entries = list(self._table(self.table(centre, day)).values())
            except (RecordingError, OSError) as error:
                yield error
                continue
            for entry in entries:
                version = (centre, day[:7], entry.version)
                if entry.key is None or version in tried:
                    continue
                tried.add(version)
                try:
                    self.key(centre, day, entry.file, entry.name)
                except (RecordingError, OSError) as error:
                    yield error

    def tidy(self) -> None:
        """Finish a destroying that a crash cut short."""
        if self.folder.is_dir():
            with self._locked():
                self._finish()

    # -- files ----------------------------------------------------------------------------------------------------

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.folder / ".lock")

    def _key_path(self, centre: str, month: str, version: int | str) -> Path:
        return self.folder / f"{centre}.{month}.{version}.key"

    def wrapping(self, centre: str, month: str) -> Path:
        """The newest key of centre and month that there should be, as far as it is known."""
        used = self._used(centre, month)
        return self._key_path(centre, month, max(used) if used else "*")

    def table(self, centre: str, day: str) -> Path:
        if not PLAIN.fullmatch(centre) or not _DAY.fullmatch(day):
            raise ValueError(f"not the name of a folder: {centre!r} {day!r}")
        return self.folder / "files" / centre / f"{day}.jsonl"

    def _month_tables(self, centre: str, month: str) -> list[Path]:
        return sorted((self.folder / "files" / centre).glob(f"{month}-??.jsonl"))

    def _versions(self, centre: str, month: str) -> list[int]:
        found = (_KEY_FILE.fullmatch(p.name) for p in self.folder.glob(f"{centre}.{month}.*.key"))
        return sorted(int(match[3]) for match in found if match is not None)

    def _newest(self, centre: str, month: str) -> tuple[int, bytes]:
        versions = self._versions(centre, month)
        if versions:
            path = self._key_path(centre, month, versions[-1])
            wrapping = self._wrapping(path)
            self._must_fit(path, wrapping, centre, month, versions[-1])
            return versions[-1], wrapping
        if self._used(centre, month):
            raise KeyLost(self.wrapping(centre, month))
        return self._make(centre, month, 1)

    def _used(self, centre: str, month: str) -> set[int]:
        tables = (self._table(path) for path in self._month_tables(centre, month))
        return {e.version for table in tables for e in table.values() if e.key}

    def _must_fit(self, path: Path, wrapping: bytes, centre: str, month: str, version: int) -> None:
        """Nothing new is wrapped by a key that opens nothing of what it should have wrapped. Raises WrongKey."""
        for table in reversed(self._month_tables(centre, month)):
            for entry in reversed(self._table(table).values()):
                if entry.key is not None and entry.version == version:
                    try:
                        aes_key_unwrap(wrapping, bytes.fromhex(entry.key))
                    except InvalidUnwrap:
                        raise WrongKey(path) from None
                    return

    def _make(self, centre: str, month: str, version: int) -> tuple[int, bytes]:
        key = os.urandom(KEY_BYTES)
        write_whole(
            self._key_path(centre, month, version),
            _encode(_Wrapping(centre, month, version, key.hex())),
        )
        return version, key

    def _wrapping(self, path: Path) -> bytes:
        try:
            if path.stat().st_mode & 0o077:
                raise KeyOpen(path)
            return bytes.fromhex(msgspec.json.decode(path.read_bytes(), type=_Wrapping).key)
        except FileNotFoundError:
            raise KeyLost(path) from None
        except (msgspec.MsgspecError, ValueError):
            raise WrongKey(path) from None

    def _table(self, path: Path) -> dict[str, Entry]:
        """By the file's id. A last line without its end was never used."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return {}
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._tables.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        table = {}
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise WrongKey(path) from None
            table[entry.file] = entry
        self._tables[path] = (stamp, table)
        return table

    def _rewrite(self, path: Path, entries: list[Entry]) -> None:
        """The table anew, and the bytes of the former one overwritten once nobody needs them."""
        self._finish()
        os.link(path, path.with_suffix(".old"))
        write_whole(path, b"".join(_encode(entry) + b"\n" for entry in entries))
        self._finish()

    def _finish(self) -> None:
        for old in (self.folder / "files").glob("*/*.old"):
            table = old.with_suffix(".jsonl")
            if table.exists() and table.samefile(old):
                old.unlink()
            else:
                shred(old)


def _encode(value: Entry | _Wrapping) -> bytes:
    return msgspec.json.encode(value)
