"""How far recordings had come at what time, seen by their files while Asterisk writes them.

A recording's time is that of its sound: while neither side sends anything, it stands still. So how much of it stood
there at an instant cannot be told from the talk's times alone; how its file grew tells it. Asterisk 22.10.1 writes
32 KiB at once (2.048 s of 8 kHz), and the rest when it closes the file.

Between two looks at which a file had grown, it came to its new size. From there on, and back from there, a recording
goes on by no more than the time that passes.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from callcore.domain.ids import SECOND, Instant

GROWTH_EVERY_S = 0.25
"""Of these seconds, at most, what may be kept is cut instead of what may not."""
WRITTEN_WITHIN_S = 0.1
"""So long after it came Asterisk mixes sound and writes it (`bench/gaps.py`)."""


@dataclass(frozen=True, slots=True)
class Grown:
    """It came to `size` bytes after `before` (None: not known) and not after `at`."""

    before: Instant | None
    at: Instant
    size: int


def least_s(seen: Iterable[Grown], at: Instant, seconds: Callable[[int], float]) -> float:
    """Of how many seconds at least the recording was by then. `seconds`: of a file of so many bytes."""
    least = 0.0
    for each in seen:
        least = max(least, seconds(each.size) - max(0, each.at - at) / SECOND)
        if each.at >= at:
            break
    return least


def most_s(seen: Iterable[Grown], at: Instant, seconds: Callable[[int], float]) -> float:
    """Of how many seconds at most it was by then; inf: not known."""
    most = float("inf")
    for each in seen:
        if each.before is None:
            continue
        passed = max(0, at - each.before) / SECOND
        most = min(most, seconds(each.size) + passed) if each.before > at else seconds(each.size) + passed
        if each.before >= at:
            break
    return most + WRITTEN_WITHIN_S


class Growth:
    """Of the recordings in a folder, as long as they lie there. Without look from then on nothing is known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked: Instant | None = None
        self._seen: dict[str, array[int]] = {}
        """By name: when it was looked at before (-1: not known) and now, and its size; one after the other."""

    def look(self, now: Callable[[], Instant]) -> None:
        """Raises OSError."""
        begun = now()
        sizes: dict[str, int] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".wav"):
                    try:
                        sizes[entry.name] = entry.stat().st_size
                    except FileNotFoundError:
                        continue
        done = now()
        for gone in self._seen.keys() - sizes.keys():
            del self._seen[gone]
        for name, size in sizes.items():
            seen = self._seen.setdefault(name, array("q"))
            if not seen or size > seen[-1]:  # what was cut is smaller
                seen.extend((-1 if self._looked is None else self._looked, done, size))
        self._looked = begun

    def forget(self) -> None:
        self._looked = None
        self._seen.clear()

    def of(self, recording: Path) -> list[Grown]:
        """How it grew, from its beginning on."""
        seen = tuple(self._seen.get(recording.name, ()))  # another thread may be adding to it
        threes = zip(seen[0::3], seen[1::3], seen[2::3], strict=False)
        return [
            Grown(None if before < 0 else Instant(before), Instant(at), size) for before, at, size in threes
        ]
