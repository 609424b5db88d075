"""What adapters are to one another: the shapes that the composition roots join them by.

Adapters import the domain and this module, never one another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from callcore.domain.floor import Floor
from callcore.domain.ids import CentreId, Instant
from callcore.domain.measures import Books, Ratio


class Seq(NamedTuple):
    """A place in the journal: the run, and the frame within it."""

    run: int
    n: int

    def __str__(self) -> str:
        return f"{self.run}.{self.n}"


@dataclass(frozen=True, slots=True)
class View:
    """The floor and the books as they are at one place in the journal. Immutable; safe to hand to anybody."""

    seq: Seq
    floor: Floor
    books: Books


class LiveSource(Protocol):
    """Where readers get the present view. Held by the sidecar, fed by the journal."""

    def view(self) -> View: ...

    def now(self) -> Instant:
        """The present instant by the clock that stamps the facts (UTC, microseconds)."""
        ...

    def stale_s(self) -> float | None:
        """Seconds since the engine last showed a sign of life; None while it is fresh (under 5 s)."""
        ...

    async def changed(self, after: Seq) -> View:
        """The next view whose `seq` is beyond `after`."""
        ...


class Orders(Protocol):
    """Where things are asked to be done: the engine, over its command socket."""

    async def ask(self, command: str, *, by: str | None = None, **fields: Any) -> Any:
        """The engine's answer to a command of the person `by`. Raises what `runtime.commands` says."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """One dependency's state. `detail` says what to do when it is not well, in Japanese and English."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What a board shows that stands in no journal: 応答率 of the month so far of each centre of which it is known, and
    how each dependency is."""

    month: Mapping[CentreId, Ratio] = field(default_factory=dict)
    health: tuple[Health, ...] = ()


HealthCheck = Callable[[], Awaitable[Health]]
"""Answers within a second, never raises."""

Gauges = Callable[[], Mapping[str, float]]
"""Asked at scrape time: short names and their present values."""

CentreGauges = Callable[[], Mapping[CentreId, Mapping[str, float]]]
"""The same of each centre, for what is neither on the floor nor in today's books."""

ReasonCounts = Callable[[], Mapping[str, Mapping[str, int]]]
"""Asked at scrape time: counts since the engine's start, by reason."""
