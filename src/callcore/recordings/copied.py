"""What lies plain in the spool, copied sealed and opened again: no copy of it lies anywhere in clear.

Each copy has a key of its own (`keys`), under the recording's name, so that erasing reaches it as it does the store's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO, cast

from callcore.domain.recording import UNASSIGNED
from callcore.files import make_folder
from callcore.recordings.keys import KeyRing
from callcore.recordings.vault import Head, Unsealed, new_nonce, read_head, seal

COPIED = ".sealed"
"""Behind the name of the file that it is a copy of."""
READ = 1 << 20


class _Begin:
    """The first bytes of a file that may go on growing."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, count: int) -> bytes:
        part = self._file.read(min(count, self._left))
        self._left -= len(part)
        return part


def copy_sealed(plain: Path, folder: Path, ring: KeyRing, *, name: str, day: str) -> None:
    """As far as it has been written by now. `name`: of the recording; `day` (ISO): under which its key stands. What is
    gone meanwhile is passed over. Raises StillWritten: it was cut off meanwhile; RecordingError, OSError."""
    try:
        sound = plain.open("rb")
    except FileNotFoundError:
        return
    with sound:
        stat = os.fstat(sound.fileno())
        file, key = ring.new(UNASSIGNED, day, name)
        head = Head(
            name=name,
            form=plain.suffix.removeprefix("."),
            call=None,
            centre=UNASSIGNED,
            day=day,
            file=file,
            nonce=new_nonce(),
            size=stat.st_size,
        )
        make_folder(folder)
        target = folder / (plain.name + COPIED)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as out:
            seal(cast("BinaryIO", _Begin(sound, stat.st_size)), head, key, out)
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def copy_opened(copy: Path, folder: Path, ring: KeyRing) -> None:
    """Raises KeyDestroyed: it was erased; RecordingError, OSError: then nothing of it is there."""
    target = folder / copy.name.removesuffix(COPIED)
    with copy.open("rb") as file:
        head, bound = read_head(file, copy)
        key = ring.key(head.centre, head.day, head.file, head.name)
        sealed = Unsealed(copy, file, head, bound, key)
        make_folder(folder)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as out:
                for at in range(0, head.size, READ):
                    out.write(sealed.read_at(at, READ))
        except BaseException:
            target.unlink()
            raise
    shutil.copystat(copy, target)
    target.chmod(0o600)
