"""A recording measured: size, length and digest, or what is wrong with it."""

from __future__ import annotations

import hashlib
import wave
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """`size` in bytes, `seconds` of sound, `sha256` in hex. `problem` is a word of `PROBLEMS`, or None."""

    size: int
    seconds: float
    sha256: str | None
    problem: str | None


PROBLEMS = {
    "missing": "録音ファイルがない / there is no file",
    "empty": "音がない / it holds no sound",
    "unreadable": "読めない / it cannot be read",
}


def measure(path: Path) -> Measured:
    """Measure one WAV file. Raises nothing that the file itself could cause."""
    try:
        size = path.stat().st_size
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return Measured(0, 0.0, None, "missing")
    except OSError:
        return Measured(0, 0.0, None, "unreadable")
    try:
        with wave.open(str(path), "rb") as sound:
            seconds = sound.getnframes() / sound.getframerate()
    except (wave.Error, EOFError, OSError, ZeroDivisionError):
        return Measured(size, 0.0, digest.hexdigest(), "unreadable")
    return Measured(size, round(seconds, 3), digest.hexdigest(), None if seconds > 0 else "empty")
