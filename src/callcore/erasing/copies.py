"""Back-ups in folders that this machine reaches (`CALLCORE_BACKUPS`): what is erased goes from them, too.

A back-up of the store alone opens nothing once the keys are destroyed; what opens it is an old copy of the keys, and
what tells of callers in clear is a copy of Asterisk's files. Both are mended here wherever they lie in plain folders.
Archives are not opened: the report names them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec

from callcore.domain.ids import CallId
from callcore.erasing.books import Erased, overwrite
from callcore.erasing.markers import Markers
from callcore.erasing.search import recording_in
from callcore.files import shred
from callcore.journal.keys import CALL_KEYS, KeyStore
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
    """Destroy keys and remove files in the copies. `centres`: under whose keys the recordings may be. Raises OSError,
    JournalError, RecordingError."""
    call_keys = recording_keys = files = 0
    names = {*recordings}
    for folder in folders:
        step("copies")
        for kept in sorted(folder.rglob(CALL_KEYS)):
            store = KeyStore(kept.parent, kept.parent / "none", write=True)
            call_keys += sum(store.destroy_call(CallId(call)) for call in calls)
            store.close()
        for ring, centre in _rings(folder, centres):
            recording_keys += sum(
                ring.destroy(centre, day, name, at) for day in ring.days(centre) for name in names
            )
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
) -> list[tuple[Path, str]]:
    """The keys of these that the copies still have: where, and of which call or recording. Raises OSError,
    JournalError, RecordingError."""
    found: list[tuple[Path, str]] = []
    for folder in folders:
        for kept in sorted(folder.rglob(CALL_KEYS)):
            store = KeyStore(kept.parent, kept.parent / "none", write=False)
            found += [(kept, call) for call in store.kept([CallId(call) for call in calls])]
        for ring, centre in _rings(folder, centres):
            found += [(ring.folder, name) for name in sorted(ring.names(centre) & {*recordings})]
    return found


def _rings(folder: Path, centres: Collection[str]) -> Iterator[tuple[KeyRing, str]]:
    """The copies of recordings' keys below a folder, with the centre of whose keys they are one."""
    for centre in centres:
        for table in sorted(folder.rglob(f"files/{centre}")):
            yield KeyRing(table.parent.parent), centre
