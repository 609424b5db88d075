"""Which of its files an Asterisk has read, by digest.

Asterisk outlives its supervisor, and files may be rendered anew under it: what stands in its folder need not be what
it runs. So a start notes what it read, and so does each reloading.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

NOTE: Final = "asterisk.loaded"
"""In the run folder, beside the pid file."""
TRANSPORT: Final = "pjsip.conf [callcore-udp]"
"""The one part of pjsip.conf that is not read again while Asterisk runs: it listens where it listens."""
_PHONES: Final = "pjsip.conf"


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Each file's digest, and the transport's by itself."""
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if _PHONES in files:
        section = files[_PHONES].partition(b"[callcore-udp]")[2].partition(b"\n[")[0]
        found[TRANSPORT] = hashlib.sha256(section).hexdigest()
    return found


def of_folder(etc_dir: Path) -> dict[str, str]:
    """The digests of what stands in Asterisk's folder now."""
    return digests({path.name: path.read_bytes() for path in etc_dir.glob("*.conf")})


def note(run_dir: Path, found: Mapping[str, str]) -> None:
    """Keep what Asterisk has read."""
    aside = run_dir / f".{NOTE}.new"
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(dict(found), file)
    aside.replace(run_dir / NOTE)


def noted(run_dir: Path) -> dict[str, str] | None:
    """What Asterisk has read; None: nobody noted it."""
    try:
        found = json.loads((run_dir / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else None


def stale(run_dir: Path, files: Mapping[str, bytes], *, unknown: Iterable[str]) -> list[str]:
    """The files that Asterisk would have to read again to run on these; `unknown` when nobody noted what it runs."""
    runs = noted(run_dir)
    if runs is None:
        return [name for name in files if name in unknown]
    wanted = digests(files)
    return [name for name in wanted if runs.get(name) != wanted[name]]
