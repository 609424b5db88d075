"""The pages' own files, read once at start.

Their address holds a digest of all of them, so that browsers may keep them forever.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Assets:
    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str]] = {}
        digest = hashlib.sha256()
        for entry in sorted(files("callcore.web").joinpath("static").iterdir(), key=lambda e: e.name):
            suffix = entry.name[entry.name.rfind(".") :]
            if suffix in TYPES:
                content = entry.read_bytes()
                digest.update(entry.name.encode() + b"\0" + content)
                self._files[entry.name] = (content, TYPES[suffix])
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """The address of a file; KeyError if there is none."""
        self._files[name]
        return f"/static/{self.version}/{name}"

    def get(self, version: str, name: str) -> tuple[bytes, str] | None:
        """Content and type, if the version is the one of this start."""
        return self._files.get(name) if version == self.version else None
