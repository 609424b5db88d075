"""Back-ups in folders that this machine reaches (`CALLCORE_BACKUPS`): what is erased goes from them, too.

A back-up of the store alone opens nothing once the keys are destroyed; what opens it is an old copy of the keys, and
what tells of callers in clear is a copy of Asterisk's files. Both are mended here wherever they lie in plain folders.
Archives are not opened: the report names them. A key file that is damaged, as a back-up that broke off leaves it, holds
up nothing either: the report names it, and is not complete by it. Nor does a disk that gives or takes nothing: what
could not be changed is named likewise, and is not made up for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from callcore.domain.ids import CallId, CentreId
from callcore.erasing.books import Erased, overwrite
from callcore.erasing.markers import Markers
from callcore.erasing.search import Failed, below, recording_in
from callcore.files import shred
from callcore.journal.errors import JournalError
from callcore.journal.keys import CALL_KEYS, KeyStore
from callcore.recordings.errors import RecordingError
from callcore.recordings.keys import KeyRing

LOG = "cel-custom"
"""A folder that Asterisk's log folder has, by which a copy of it is known."""


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the back-ups: call keys and recordings' keys destroyed, files removed, values overwritten.
    `unchanged`: what the disk did not give or take, each with what to do."""

    folders: list[str]
    call_keys: int = 0
    recording_keys: int = 0
    files: int = 0
    overwritten: int = 0
    unchanged: list[str] = []


UNCHANGED = (
    "読み書きできないため、ここからは消去できていないことがあります。新しいバックアップを取り、このコピーを削除してください"
    " / not to be read or written, so something may not be erased in it; take a new back-up and delete this copy"
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens something in the back-ups still. `keys`: in which file, and of which call or recording; `closed`: key
    files that cannot be looked into."""

    keys: list[tuple[Path, str]]
    closed: list[Path]


def unchanged(path: Path, error: OSError) -> str:
    """In words, with what to do."""
    return f"{path}: {UNCHANGED} ({error.strerror or error})"


def clear(
    folders: Collection[Path], calls: Collection[str], markers: Markers, *, rows: Markers, failed: Failed
) -> Erased:
    """Overwrite clear text in the copies of Asterisk's logs."""
    done = Erased()
    for folder in folders:
        for found in below(folder, failed):
            if found.name == LOG:
                done += overwrite(found.parent, calls, markers, rows=rows, failed=failed)
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
    whose keys the recordings may be."""
    call_keys = recording_keys = files = 0
    names, left = {*recordings}, dict[str, None]()

    def failed(path: Path, error: OSError) -> None:
        left[unchanged(path, error)] = None

    for folder in folders:
        step("copies")
        there = below(folder, failed)
        for store, of, period in _call_tables(there, failed, write=True):
            with _passed(store.table_path(of, period), failed):
                for call in calls:
                    call_keys += store.destroy_in(of, period, CallId(call))
        for ring, centre, day in _ring_tables(there, centres, failed):
            with _passed(ring.table(centre, day), failed):
                for name in sorted(ring.names_on(centre, day) & names):
                    recording_keys += ring.destroy(centre, day, name, at)
        for path in there:
            if recording_in(path.name) in names:
                with _passed(path, failed):
                    shred(path)
                    files += 1
    return Copies(
        folders=[str(folder) for folder in folders],
        call_keys=call_keys,
        recording_keys=recording_keys,
        files=files,
        unchanged=[*left],
    )


def opening(
    folders: Collection[Path], centres: Collection[str], calls: Collection[str], recordings: Collection[str]
) -> Opening:
    """The keys of these that the copies still have."""
    found = Opening([], [])
    wanted, names = [CallId(call) for call in calls], {*recordings}

    def failed(path: Path, _: OSError) -> None:
        found.closed.append(path)

    for folder in folders:
        there = below(folder, failed)
        for store, of, period in _call_tables(there, failed, write=False):
            path = store.table_path(of, period)
            try:
                found.keys.extend((path, call) for call in store.kept_in(of, period, wanted))
            except (JournalError, OSError):
                found.closed.append(path)
        for ring, centre, day in _ring_tables(there, centres, failed):
            path = ring.table(centre, day)
            try:
                found.keys.extend((path, name) for name in sorted(ring.names_on(centre, day) & names))
            except (RecordingError, OSError):
                found.closed.append(path)
    return found


@contextmanager
def _passed(path: Path, failed: Failed) -> Iterator[None]:
    """What cannot be done there holds up nothing."""
    try:
        yield
    except (JournalError, RecordingError):
        pass
    except OSError as error:
        failed(path, error)


def _call_tables(
    there: Collection[Path], failed: Failed, *, write: bool
) -> Iterator[tuple[KeyStore, CentreId, str]]:
    """The copies of calls' keys among these, by centre and month."""
    for kept in there:
        if kept.name == CALL_KEYS:
            with KeyStore(kept.parent, kept.parent / "none", write=write) as store:
                try:
                    tables = store.tables()
                except OSError as error:
                    failed(kept, error)
                    continue
                for centre, period in tables:
                    yield store, centre, period


def _ring_tables(
    there: Collection[Path], centres: Collection[str], failed: Failed
) -> Iterator[tuple[KeyRing, str, str]]:
    """The copies of recordings' keys among these, by centre and day."""
    for found in there:
        if found.name in centres and found.parent.name == "files":
            ring = KeyRing(found.parent.parent)
            try:
                days = ring.days(found.name)
            except OSError as error:
                failed(found, error)
                continue
            for day in days:
                yield ring, found.name, day
