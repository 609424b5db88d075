"""What is wrong with keys and store of recordings, as far as it shows without opening any of them. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from callcore.recordings.chain import begun
from callcore.recordings.errors import KeyLost, RecordingError, StoreAway
from callcore.recordings.keys import KeyRing
from callcore.recordings.lost import Keyless, keyless, strangers
from callcore.recordings.signing import signer


def unsound(store: Path, keys: Path) -> Iterator[str]:
    """Each fault as its own text, with what to do."""
    ring = KeyRing(keys)
    if begun(store, keys):
        try:
            signer(keys)
            yield from map(str, strangers(store, keys))
        except RecordingError as error:
            yield str(error)
        except OSError as error:
            yield _not_read(error)
    lost: list[Keyless] = []
    unread: list[OSError] = []
    try:
        lost += keyless(store, ring, unread.append, thorough=True)
    except OSError as error:
        unread.append(error)
    yield from dict.fromkeys(map(_not_read, unread))
    yield from map(str, lost)
    told = {file for each in lost for file in each.files}
    yield from (str(each) for each in ring.faults() if not (isinstance(each, KeyLost) and each.file in told))
    for head in sorted((keys / "heads").glob("*.json")):
        if not (store / head.stem).is_dir():
            yield str(StoreAway(store / head.stem))


def _not_read(error: OSError) -> str:
    return f"読めません。ディスクと権限を確かめてください / cannot be read; look at the disk and the rights: {error}"
