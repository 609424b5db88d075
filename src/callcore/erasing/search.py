"""The look for what must be gone: every byte of every file of the places, packed ones unpacked.

Of a sealed recording only the head is read: what follows is a cipher of sound. Archives of many files (`.tar`, `.zip`)
are not opened: they are named, so that somebody looks after them.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import subprocess
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, cast

import msgspec

from callcore.erasing.markers import OVERLAP, Markers
from callcore.recordings import UNCUT
from callcore.recordings.chain import LOST_FOUND
from callcore.recordings.copied import COPIED
from callcore.recordings.library import PLAIN_ENDS
from callcore.recordings.sides import SIDE_ENDS
from callcore.recordings.vault import ENDS, HEAD_MOST, SEALING

BLOCK = 1 << 20
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What unpacking raises of a file that is damaged or cut off, and reading of one that cannot be read."""
DATABASE = re.compile(r"\.(db|sqlite3?)(-(wal|shm|journal))?$")
"""Files of SQLite, which this process may have open."""
CUT_ENDS = (".left.cut", ".right.cut", ".cut")
"""Of a recording that is being cut, and of its sides."""
Failed = Callable[[Path, OSError], None]
"""Told of what the disk does not give or take."""
ARCHIVES = frozenset({".tar", ".tgz", ".zip", ".zst", ".7z", ".age", ".gpg", ".enc"})


AWAY = (
    "フォルダがないか、空か、読めないため、確かめていません。取り付けて(マウントして)新しいバックアップを取り、この消去より前の"
    "ものを削除してください / missing, empty or not to be read, so it was not looked at; mount it, take a new back-up "
    "there, and delete those from before this erasure"
)
"""Of a folder of back-ups: what is said of it, and what to do."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked through below one folder. `found`: how often, by file; `closed`: files that cannot be looked
    into (archives, damaged or unreadable ones); `there`: whether the folder itself could be."""

    place: str
    files: int
    bytes: int
    found: dict[str, int]
    closed: list[str]
    there: bool = True

    @property
    def unread(self) -> list[str]:
        """Of those closed, the ones that should have been looked into: all but archives."""
        return [each for each in self.closed if PurePath(each).suffix not in ARCHIVES]


def search(
    places: Collection[tuple[str, Path]], markers: Markers, backups: Collection[Path] = ()
) -> list[Place]:
    """A file below two of the places counts in the first one. `backups`: those of which nothing can be looked at while
    they are empty."""
    seen: set[tuple[int, int]] = set()
    empty = {*away(backups)}
    return [_looked(name, root, markers, seen, there=root not in empty) for name, root in places]


def away(backups: Collection[Path]) -> list[Path]:
    """Those of which nothing can be looked at: missing or empty, as of a disk that is not mounted (a back-up leaves
    something), or not to be read."""
    return [folder for folder in backups if not os.access(folder, os.R_OK) or _empty(folder)]


def _empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except NotADirectoryError:
        return False
    except OSError:
        return True


def named(places: Collection[tuple[str, Path]], recordings: Collection[str]) -> list[str]:
    """The files of these recordings that are left anywhere, as far as the folders can be looked into."""
    wanted = {*recordings}
    files = (path for _, root in places for path in _files(root, lambda *_: None))
    return [str(path) for path in files if recording_in(path.name) in wanted]


def below(root: Path, failed: Failed) -> list[Path]:
    """Every folder and file below, by name; links are not followed. Nothing is below a file. `failed`: folders that
    cannot be listed, but for the one that is root's alone on each disk."""

    def told(error: OSError) -> None:
        folder = Path(error.filename)
        if isinstance(error, NotADirectoryError) and folder == root:
            return
        if not isinstance(error, FileNotFoundError) and folder.name != LOST_FOUND:
            failed(folder, error)

    walk = os.walk(root, onerror=told)
    return sorted(Path(folder, name) for folder, folders, files in walk for name in (*folders, *files))


def _looked(name: str, root: Path, markers: Markers, seen: set[tuple[int, int]], *, there: bool) -> Place:
    files = size = 0
    found: dict[str, int] = {}
    closed: list[str] = []

    def shown(path: Path) -> str:
        return path.relative_to(root).as_posix() if path != root else path.name

    for path in _files(root, lambda path, _: closed.append(shown(path))):
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if path.suffix in ARCHIVES:
                closed.append(shown(path))
                continue
            count, read = _counted(path, markers)
        except DAMAGED:
            if not _gone(path):  # since it was listed
                closed.append(shown(path))
            continue
        files, size = files + 1, size + read
        if count:
            found[shown(path)] = count
    there = there and os.access(root, os.R_OK)
    return Place(place=name, files=files, bytes=size, found=found, closed=closed, there=there)


def _files(root: Path, failed: Failed) -> Iterator[Path]:
    if os.path.isfile(root):
        yield root
        return
    for path in below(root, failed):
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
        except FileNotFoundError:
            continue
        except OSError as error:
            failed(path, error)


def _gone(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def recording_in(name: str) -> str:
    """The recording that a file of this name is of, whatever stands behind it; "": none."""
    name = name.removesuffix(COPIED)
    for ends in (ENDS, PLAIN_ENDS, *SIDE_ENDS, UNCUT, *CUT_ENDS, f"{PLAIN_ENDS}.new", SEALING):
        if name.endswith(ends):
            return name.removesuffix(ends).removeprefix(".")
    return ""


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    if DATABASE.search(path.name):
        return _read_apart(path)
    match path.suffix:
        case ".gz":
            return cast("BinaryIO", gzip.open(path, "rb"))
        case ".bz2":
            return cast("BinaryIO", bz2.open(path, "rb"))
        case ".xz":
            return cast("BinaryIO", lzma.open(path, "rb"))
        case _:
            return path.open("rb")


@contextmanager
def _read_apart(path: Path) -> Iterator[BinaryIO]:
    """By a process of its own: who closes a file gives up every lock that the same process has on it (fcntl(2)), and
    SQLite's locks are such. Without them the next one who closes the database takes its log away from under it."""
    command = ["cat", "--", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        assert reader.stdout is not None
        yield cast("BinaryIO", reader.stdout)
    if reader.returncode:
        raise OSError(f"{path} を読めません / {path} cannot be read")


def _counted(path: Path, markers: Markers) -> tuple[int, int]:
    with _opened(path) as file:
        if path.suffix == ENDS:
            head = file.read(HEAD_MOST)
            return markers.count(head), len(head)
        count = size = 0
        kept = b""
        while block := file.read(BLOCK):
            size += len(block)
            # What stands within the overlap was counted with the block before.
            count += markers.count(kept + block) - markers.count(kept)
            kept = block[-OVERLAP:]
        return count, size
