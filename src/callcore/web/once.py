"""An action that is asked for twice under one `Idempotency-Key` is done once, and answered twice alike.

Rules
- A key is one person's, and means one request: asked again with anything else it is refused.
- It is on the disk before anything is done, and with it, afterwards, what came of it. One without that (the process was
  killed in between) is answered so: whether it was done is not known, and it is not done again.
- Kept for a day, the latest 10,000; in a file of its owner's alone. What was asked stands there as a keyed hash only.
- An answer that says that nothing was done for want of a disk is not kept: the same key may be tried again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from callcore.files import append_line, make_folder, write_whole

KEPT_S = 86_400
MOST = 10_000
HEADER = "Idempotency-Key"
PATTERN = r"^[\x21-\x7e]{1,200}$"
"""As in the OpenAPI document: visible ASCII."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file; a later one of the same key takes the place of an earlier one."""

    of: str
    """Hash of person and key."""
    asked: str
    """Hash of the request."""
    at: float
    """Seconds since the epoch."""
    done: bool = False
    """The answer is known."""
    kind: str | None = None
    """Of a problem; None: it was done."""
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that is to be done now."""

    of: str
    asked: str


class OtherRequest(Exception):
    """The key was used for something else."""


class StillOpen(Exception):
    """It is being done just now, or whether it was done is not known."""


class Once:
    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        """Nothing is written before the first key: a full disk keeps no board away."""
        self._path, self._now = path, now
        self._lines: int | None = None
        """In the file, once it was written by this process."""
        self._salt, self._known = self._read()

    def begin(self, person: str, key: str, request: Mapping[str, Any]) -> Begun | Entry:
        """What was answered before; or that it is to be done now. Raises OtherRequest, StillOpen, OSError."""
        of, asked = self._hash(person, key), self._hash(msgspec.json.encode(request, order="sorted").decode())
        known = self._known.get(of)
        if known is not None and known.at > self._now() - KEPT_S:
            if known.asked != asked:
                raise OtherRequest
            if not known.done:
                raise StillOpen
            return known
        self._keep(Entry(of, asked, self._now()))
        return Begun(of, asked)

    def end(self, begun: Begun, kind: str | None, detail: str | None) -> None:
        """Keep what came of it. What the disk does not take stays open: not known to be done."""
        self._keep(Entry(begun.of, begun.asked, self._now(), True, kind, detail))

    def drop(self, begun: Begun) -> None:
        """Nothing was done: the key may be used again."""
        self._known.pop(begun.of, None)
        self._lines = self._write()

    def _keep(self, entry: Entry) -> None:
        if self._lines is None or self._lines > 4 * MOST:
            make_folder(self._path.parent)
            self._lines = self._write()
        append_line(self._path, msgspec.json.encode(entry))
        self._known.pop(entry.of, None)
        self._known[entry.of] = entry
        self._lines += 1

    def _read(self) -> tuple[bytes, dict[str, Entry]]:
        try:
            first, *lines = self._path.read_bytes().splitlines()
            salt = bytes.fromhex(first.decode())
        except (OSError, ValueError):  # not there yet, or empty; what cannot be read cannot be written either
            return secrets.token_bytes(16), {}
        known: dict[str, Entry] = {}
        for line in lines:
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue  # a torn last line: never confirmed to anybody
            known.pop(entry.of, None)
            known[entry.of] = entry
        return salt, known

    def _write(self) -> int:
        """The file anew, without what is too old or too much; how many lines it has."""
        young = [entry for entry in self._known.values() if entry.at > self._now() - KEPT_S][-MOST:]
        self._known = {entry.of: entry for entry in young}
        lines = [self._salt.hex().encode(), *(msgspec.json.encode(entry) for entry in young)]
        write_whole(self._path, b"\n".join(lines) + b"\n")
        return len(lines)

    def _hash(self, *parts: str) -> str:
        hashed = hashlib.blake2b(key=self._salt, digest_size=20)
        for part in parts:
            hashed.update(str(len(part)).encode() + b"~" + part.encode("utf-8", "replace"))
        return hashed.hexdigest()
