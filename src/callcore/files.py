"""Files that must survive the host: whole or not at all, and their owner's alone."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

FREE_LEAST = 10**9
"""Bytes free: the bound of the alarm CallcoreDiskFull."""


def needs_free(folder: Path, size: int) -> None:
    """Raises OSError (ENOSPC): its disk has fewer bytes free than that."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"空きは {free / 1e9:.1f} GB、{size / 1e9:.1f} GB 必要。容量を空けてください / "
            f"{free / 1e9:.1f} GB free, {size / 1e9:.1f} GB needed: make room",
            str(folder),
        )


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


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Alone among all processes of this installation, by this file, which is made if need be. Raises OSError."""
    make_folder(file.parent)
    fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


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


def append_line(path: Path, line: bytes) -> int:
    """Adds a line (its end is added here) to an owner-only file, on the disk before this returns, or not at all.

    A last line without its end was never confirmed to anybody, and is cut off first. Gives the file's new size.
    OSError: the disk takes no more, and nothing of the line is left.
    """
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        size = _whole_lines(fd)
        try:
            os.ftruncate(fd, size)
            os.lseek(fd, size, os.SEEK_SET)
            write_all(fd, line + b"\n")
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)
    if new:
        sync_folder(path.parent)
    return size + len(line) + 1


def cut_torn_line(path: Path, behind: int) -> None:
    """Cuts off a last line without its end, if it begins at this byte or later: it was never confirmed to anybody."""
    fd = os.open(path, os.O_RDWR)
    try:
        size = _whole_lines(fd)
        if behind <= size < os.fstat(fd).st_size:
            os.ftruncate(fd, size)
            os.fsync(fd)
    finally:
        os.close(fd)


def _whole_lines(fd: int) -> int:
    """Bytes up to the end of the last whole line."""
    end = os.fstat(fd).st_size
    while end:
        begin = max(0, end - (1 << 16))
        found = os.pread(fd, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


Stamp = tuple[int, int]


def stamp(file: BinaryIO) -> Stamp:
    """By what it shows that an open file was written to: its size in bytes, and when that was last done."""
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def shred(path: Path) -> None:
    """Overwrites before unlinking: no promise on a flash disk, and costs nothing. What is not there is left alone."""
    try:
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink()
    sync_folder(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """Writes all of `data`; OSError when the disk takes no more."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
