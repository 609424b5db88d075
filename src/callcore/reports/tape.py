"""The journal as frames of facts, read beside the engine or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from callcore.domain import facts as f
from callcore.domain.floor import Floor
from callcore.domain.ids import Instant
from callcore.journal import Codec, KeyStore, read_all
from callcore.runtime.ports import Seq


class NothingThere(Exception):
    """What was asked for does not stand in the journal. The text is for people: Japanese / English."""


class FrameLike(Protocol):
    """What a fold needs of a frame; `journal.Frame` is one."""

    @property
    def run(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def at(self) -> Instant: ...
    @property
    def facts(self) -> tuple[object, ...]: ...


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a fold ends: with the last frame that is neither beyond `seq` nor, in its own instant, beyond `until`.

    `until` is asked with the floor, for a local time needs the centre's time zone; None: not known yet.
    """

    seq: Seq | None = None
    until: Callable[[Floor], Instant | None] | None = None

    def before(self, frame: FrameLike, floor: Floor) -> bool:
        """Whether this frame is beyond the end. `floor`: with the frame's facts, for the first brings the centres."""
        if self.seq is not None and (frame.run, frame.n) > self.seq:
            return True
        if self.until is None or not floor.centres:
            return False
        until = self.until(floor)
        return until is not None and frame.at > until


class Tape:
    """The synced frames of an installation's journal. Close it, or use it as a context.

    `only`: of each frame the facts of these kinds, which spares reading the others; none: all."""

    def __init__(self, journal: Path, keys: Path, *only: type[f.Fact]) -> None:
        self._journal = journal
        self._keys = KeyStore.open(journal, keys)
        self._codec = Codec(f.KINDS, {}, self._keys, [kind.__name__ for kind in only])

    def frames(self, after: Seq | None = None) -> Iterator[FrameLike]:
        """Oldest first. Raises JournalError as it says."""
        return read_all(self._journal, self._codec, after)

    def close(self) -> None:
        self._keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def facts_of(frame: FrameLike) -> Iterator[f.Fact]:
    for fact in frame.facts:
        assert isinstance(fact, f.Fact)
        yield fact


def later(at: Instant, frame: FrameLike) -> Instant:
    """How late it is after a frame: events may come a little out of order, but only a step of the clock goes back."""
    if any(isinstance(fact, f.ClockStepped) for fact in frame.facts):
        return frame.at
    return max(at, frame.at)
