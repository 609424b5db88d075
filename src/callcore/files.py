"""Files that must survive the host: whole or not at all, and their owner's alone."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Makes creations, renames and removals in a folder survive the host."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """An owner-only folder (0700), durable, with whichever of its parents are missing likewise."""
    if folder.is_dir():
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        return
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Puts a whole owner-only file (0600) in another's place: at each instant one of both is there."""
    aside = path.with_name(path.name + ".new")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    aside.rename(path)
    sync_folder(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """Writes all of `data`; OSError when the disk takes no more."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
