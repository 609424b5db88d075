"""The recordings on disk, read by their headers: how long they are, and whether they are whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from callcore.audit.span import Span, made_at
from callcore.domain.ids import SECOND
from callcore.runtime.dialplan import MESSAGE_ENDS

PCM = 1
"""Format tag of plain samples (Multimedia Programming Interface 1.0, "WAVE form data")."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One file: `size` in bytes as Asterisk wrote it, `seconds` of sound that are there, `promised` by the header.

    `readable`: it is a WAV file. Where the two lengths differ it was cut off, or never closed.
    """

    file: str
    size: int
    seconds: float
    promised: float
    readable: bool = True

    @property
    def whole(self) -> bool:
        return abs(self.seconds - self.promised) < 0.001


@dataclass(frozen=True, slots=True)
class Sealed:
    """A recording that lies encrypted: its name without ending, when it was sealed, and how it is looked at."""

    name: str
    at: int
    look: Callable[[], Sound]


def look(path: Path) -> Sound:
    """What a file's header and size say. Raises nothing that the file itself could cause."""
    return look_into(path.name, lambda: path.open("rb"))


def look_into(name: str, opened: Callable[[], BinaryIO]) -> Sound:
    """The same of a WAV file's sound; `opened` may raise OSError."""
    try:
        with opened() as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            found = _header(file)
    except OSError:
        return Sound(name, 0, 0.0, 0.0, readable=False)
    if found is None:
        return Sound(name, size, 0.0, 0.0, readable=False)
    bytes_a_second, begins, promised = found
    return Sound(name, size, (size - begins) / bytes_a_second, promised / bytes_a_second)


def _header(file: BinaryIO) -> tuple[int, int, int] | None:
    """(bytes a second, where the samples begin, how many bytes of them are promised); None: no such header."""
    riff = file.read(12)
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        return None
    bytes_a_second = 0
    while len(head := file.read(8)) == 8:
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            return (bytes_a_second, file.tell(), length) if bytes_a_second else None
        if name == b"fmt ":
            form = file.read(length + length % 2)
            if len(form) < 16:
                return None
            tag, _, _, bytes_a_second, _, _ = struct.unpack_from("<HHIIHH", form)
            if tag != PCM:
                return None
        else:
            file.seek(length + length % 2, 1)
    return None


def shelf(folder: Path, span: Span, sealed: Iterable[Sealed] = ()) -> dict[str, Sound]:
    """The recordings of calls that arrived around the span, by the name that stands before `.wav`; and files that
    bear no call's name, by when they were last written. Messages are no recordings of talks. Raises OSError when the
    folder cannot be read.
    """
    found: dict[str, Sound] = {}
    for path in sorted(folder.glob("*.wav")):
        if path.name.endswith(MESSAGE_ENDS):
            continue
        made = made_at(path.stem)
        if span.near(made if made is not None else round(path.stat().st_mtime * SECOND)):
            found[path.stem] = look(path)
    for each in sealed:  # after the folder: what is sealed meanwhile is found in one of the two
        made = made_at(each.name)
        if not f"{each.name}.wav".endswith(MESSAGE_ENDS) and span.near(made if made is not None else each.at):
            found[each.name] = each.look()
    return found
