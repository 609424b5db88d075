"""Recordings of reported calls (悪質・脅迫), kept apart from what is moved away or deleted.

Each has a second link in a folder beside the recordings: the same file, also while it is still being written, and no
second copy on the disk. Who deletes the recording among the others leaves it here; who deletes it here does so knowing.
Once the recording is sealed, the link is one to the sealed file, or a copy where the store is on another disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

import structlog

from callcore.files import make_folder, sync_folder
from callcore.recordings.library import PLAIN_ENDS, Recordings
from callcore.recordings.sides import sides_of
from callcore.recordings.vault import ENDS, being_sealed

log = structlog.get_logger(__name__)


def protect(recordings: Recordings, name: str, folder: Path) -> bool:
    """Link a recording into the folder, unless it is there. False: it could not be done, and the log says why."""
    plain = recordings.spool / (name + PLAIN_ENDS)
    if any((folder / (name + ends)).exists() for ends in (PLAIN_ENDS, ENDS)):
        return True
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            link_plain(plain, folder)
        except FileNotFoundError:
            sealed = recordings.find(name)
            if sealed is None:
                log.warning("no recording to protect yet", file=plain.name)
                return False
            link_sealed(sealed, folder)
    except OSError as error:
        log.error(
            "recording of a reported call not protected: keep it by hand",
            file=str(plain),
            to=str(folder),
            why=error.strerror,
        )
        return False
    log.info("recording protected", file=plain.name)
    return True


def link_plain(plain: Path, folder: Path) -> None:
    """With its sides, as far as there are any. Raises FileNotFoundError, OSError."""
    os.link(plain, folder / plain.name)
    for side in sides_of(plain):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(side, folder / side.name)


def link_sealed(sealed: Path, folder: Path) -> None:
    """Raises OSError."""
    make_folder(folder)
    kept = folder / sealed.name
    if kept.exists():
        return
    try:
        os.link(sealed, kept)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = folder / being_sealed(sealed.name.removesuffix(ENDS))
        shutil.copyfile(sealed, aside)
        aside.chmod(0o600)
        with aside.open("rb") as copied:
            os.fsync(copied.fileno())
        aside.rename(kept)
    sync_folder(folder)
