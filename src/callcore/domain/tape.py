"""What a call's recording may hold, by the rule of its centre.

Rules
- It holds talks, and what caller and department say to one another: to the end, or not (`Transfers.record_after`).
- Where it is to end with the agent, Asterisk is asked to stop it when caller and department are together. What it held
  of them until it stopped is excess, which is cut out when the call is over.
- A pause is silence of its length, or (`Recordings.pause`) that silence is cut out when the call is over.
- A consult that a caller was passed on out of while it rang was none: what its own recording holds is excess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callcore.domain.ids import CallId, Instant


@dataclass(frozen=True, slots=True)
class Excess:
    """A piece of `length` that follows on `after` of what may be kept. Microseconds of sound, that it would have if
    none were lost: it was recorded from `since` until `until`."""

    after: int
    length: int
    since: Instant | None = None
    until: Instant | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause's silence of `length`, `at` from the beginning of what Asterisk wrote, that is to be cut out.
    Microseconds of sound."""

    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Tape:
    """A recording while it is written. `kept`: microseconds of it that may be kept, the silence of pauses too;
    `unheld`: consults that were none. `seen`: nothing of it is put together afterwards, nor was the clock set."""

    kept: int = 0
    excess: tuple[Excess, ...] = ()
    unheld: tuple[CallId, ...] = ()
    gaps: tuple[Gap, ...] = ()
    seen: bool = True

    @property
    def whole(self) -> bool:
        """Nothing is to be cut out of it, and how long it is to be is known."""
        return self.seen and not (self.excess or self.unheld or self.gaps)

    @property
    def written(self) -> int:
        """Microseconds that Asterisk wrote."""
        return self.kept + sum(each.length for each in self.excess)

    @property
    def gone(self) -> int:
        """Microseconds of pauses that are cut out."""
        return sum(each.length for each in self.gaps)


@dataclass(frozen=True, slots=True)
class Pause:
    """Of a recording; `before` None: it is not over. `gap`: it takes no time in the recording."""

    first: Instant
    before: Instant | None
    gap: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """Microseconds: `length` that a recording is to have, `silent` of these for a pause, and `gone`, which the talks
    had and it has not."""

    length: int
    silent: int
    gone: int


def heard(talks: Iterable[tuple[Instant, Instant]], pauses: Sequence[Pause]) -> Heard:
    """What is to be in the recording of these talks, which do not overlap, nor do the pauses. A pause counts while it
    is within a talk."""
    whole, silent, gone = 0, 0, 0
    for since, until in talks:
        whole += max(0, until - since)
        for pause in pauses:
            before = until if pause.before is None else min(until, pause.before)
            length = max(0, before - max(since, pause.first))
            if pause.gap:
                gone += length
            else:
                silent += length
    return Heard(whole - gone, silent, gone)
