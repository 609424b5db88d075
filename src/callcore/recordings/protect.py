"""Recordings of reported calls (悪質・脅迫), kept apart from what is moved away or deleted.

Each has a second link in a folder beside the recordings: the same file, also while it is still being written, and no
second copy on the disk. Who deletes the recording among the others leaves it here; who deletes it here does so knowing.
"""

from __future__ import annotations

import os
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def protect(recording: Path, folder: Path) -> bool:
    """Link the recording into the folder, unless it is there. False: it could not be done, and the log says why."""
    kept = folder / recording.name
    if kept.exists():
        return True
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        os.link(recording, kept)
    except FileNotFoundError:
        log.warning("no recording to protect yet", file=recording.name)
        return False
    except OSError as error:
        log.error(
            "recording of a reported call not protected: keep it by hand",
            file=str(recording),
            to=str(folder),
            why=error.strerror,
        )
        return False
    log.info("recording protected", file=recording.name)
    return True
