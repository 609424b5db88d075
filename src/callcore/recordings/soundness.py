"""What is wrong with keys and store of recordings, as far as it shows without reading any of them. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from callcore.recordings.errors import RecordingError, StoreAway
from callcore.recordings.keys import KeyRing
from callcore.recordings.signing import PRIVATE, PUBLIC, signer


def unsound(store: Path, keys: Path) -> Iterator[str]:
    """Each fault as its own text, with what to do."""
    if (keys / PRIVATE).exists() or (keys / PUBLIC).exists():
        try:
            signer(keys)
        except (RecordingError, OSError) as error:
            yield str(error)
    yield from map(str, KeyRing(keys).faults())
    for head in sorted((keys / "heads").glob("*.json")):
        if not (store / head.stem).is_dir():
            yield str(StoreAway(store / head.stem))
