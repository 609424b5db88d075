"""The music on hold cut into pieces, between which a comfort phrase is spoken.

Nothing in AMI plays into a bridge, so what a held caller hears is a music class of its own: piece, phrase, piece,
phrase, … Each piece is as long as the time between two phrases. Standard library only.
"""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Final

from callcore.prompts import shelf

WHOLE_S: Final = 240
"""How much of the music is in the pieces of one length, if these are not longer themselves; 16 kB a second."""

_FORM: Final = (1, 2, shelf.RATE)
"""Channels, bytes of a sample, samples a second: what Asterisk plays from a `.wav`."""


class NoMusic(ValueError):
    """There is no music that could be cut."""


def count(every_s: int) -> int:
    """How many pieces there are of that length."""
    return max(1, WHOLE_S // every_s)


def names(folder: Path, every_s: int) -> tuple[Path, ...]:
    """Where they stand, in the order of playing, without ending."""
    return tuple(folder / str(every_s) / f"{n:03}" for n in range(count(every_s)))


def cut(music: Path, folder: Path, every_s: int) -> None:
    """Cuts the files of `music`, one behind the other and again from the beginning. Raises `NoMusic`, OSError."""
    samples = b"".join(_samples(path) for path in sorted(music.glob("*.wav")))
    length = every_s * shelf.RATE * 2
    if not samples:
        raise NoMusic(music)
    places = names(folder, every_s)
    samples *= -(-length * len(places) // len(samples))
    for n, place in enumerate(places):
        whole = io.BytesIO()
        with wave.open(whole, "wb") as file:
            file.setparams((*_FORM, 0, "NONE", "not compressed"))
            file.writeframes(samples[n * length : (n + 1) * length])
        shelf.put(place.with_suffix(".wav"), whole.getvalue())


def _samples(path: Path) -> bytes:
    """None of a file that Asterisk could not play."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getparams()[:3] == _FORM:
                return file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        pass
    return b""
