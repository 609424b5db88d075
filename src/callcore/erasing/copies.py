"""Back-ups in folders that this machine reaches (`CALLCORE_BACKUPS`): what is erased goes from them, too.

A back-up of the store alone opens nothing once the keys are destroyed; what opens it is an old copy of the keys, and
what tells of callers in clear is a copy of Asterisk's files. Both are mended here wherever they lie in plain folders.
Archives are not opened: the report names them. A key file that is damaged, as a back-up that broke off leaves it, holds
up nothing either: the report names it, and is not complete by it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from callcore.domain.ids import CallId, CentreId
from callcore.erasing.books import Erased, overwrite
from callcore.erasing.markers import Markers
from callcore.erasing.search import recording_in
from callcore.files import shred
from callcore.journal.errors import JournalError
from callcore.journal.keys import CALL_KEYS, KeyStore
from callcore.recordings.errors import RecordingError
from callcore.recordings.keys import KeyRing

LOG = "cel-custom"
"""A folder that Asterisk's log folder has, by which a copy of it is known."""


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the back-ups: call keys and recordings' keys destroyed, files removed, values overwritten."""

    folders: list[str]
    call_keys: int = 0
    recording_keys: int = 0
    files: int = 0
    overwritten: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens something in the back-ups still. `keys`: in which file, and of which call or recording; `closed`: key
    files that cannot be looked into."""

    keys: list[tuple[Path, str]]
    closed: list[Path]


def clear(folders: Collection[Path], calls: Collection[str], markers: Markers, *, rows: Markers) -> Erased:
    """Overwrite clear text in the copies of Asterisk's logs. Raises OSError."""
    done = Erased()
    for folder in folders:
        for found in sorted(folder.rglob(LOG)):
            done += overwrite(found.parent, calls, markers, rows=rows)
    return done


def destroy(
    folders: Collection[Path],
    centres: Collection[str],
    calls: Collection[str],
    recordings: Collection[str],
    at: str,
    step: Callable[[str], None] = lambda what: None,
) -> Copies:
    """Destroy keys and remove files in the copies, but in damaged key files: `opening` names those. `centres`: under
    whose keys the recordings may be. Raises OSError."""
    call_keys = recording_keys = files = 0
    names = {*recordings}
    for folder in folders:
        step("copies")
        for store, of, period in _call_tables(folder, write=True):
            with suppress(JournalError):
                call_keys += sum(store.destroy_in(of, period, CallId(call)) for call in calls)
        for ring, centre, day in _ring_tables(folder, centres):
            with suppress(RecordingError):
                recording_keys += sum(ring.destroy(centre, day, name, at) for name in names)
        for path in sorted(p for p in folder.rglob("*") if recording_in(p.name) in names):
            shred(path)
            files += 1
    return Copies(
        folders=[str(folder) for folder in folders],
        call_keys=call_keys,
        recording_keys=recording_keys,
        files=files,
    )


def opening(
    folders: Collection[Path], centres: Collection[str], calls: Collection[str], recordings: Collection[str]
) -> Opening:
    """The keys of these that the copies still have. Raises OSError."""
    found = Opening([], [])
    wanted, names = [CallId(call) for call in calls], {*recordings}
    for folder in folders:
        for store, of, period in _call_tables(folder, write=False):
            path = store.table_path(of, period)
            try:
                found.keys.extend((path, call) for call in store.kept_in(of, period, wanted))
            except JournalError:
                found.closed.append(path)
        for ring, centre, day in _ring_tables(folder, centres):
            path = ring.table(centre, day)
            try:
                found.keys.extend((path, name) for name in sorted(ring.names_on(centre, day) & names))
            except RecordingError:
                found.closed.append(path)
    return found


def _call_tables(folder: Path, *, write: bool) -> Iterator[tuple[KeyStore, CentreId, str]]:
    """The copies of calls' keys below a folder, by centre and month."""
    for kept in sorted(folder.rglob(CALL_KEYS)):
        with KeyStore(kept.parent, kept.parent / "none", write=write) as store:
            for centre, period in store.tables():
                yield store, centre, period


def _ring_tables(folder: Path, centres: Collection[str]) -> Iterator[tuple[KeyRing, str, str]]:
    """The copies of recordings' keys below a folder, by centre and day."""
    for centre in centres:
        for found in sorted(folder.rglob(f"files/{centre}")):
            ring = KeyRing(found.parent.parent)
            for day in ring.days(centre):
                yield ring, centre, day
