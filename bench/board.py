"""What a picture of the live board costs the sidecar: from the floor to the event that boards are sent.

    PYTHONPATH=src:. python -m bench.board [--rounds 100] [--evidence docs/evidence]

Method. A floor of 150 agents who all talk and 190 callers who wait, early in a day (900 calls) and at the end of a busy
one (15,000 calls, and as many of the day before, which the sidecar keeps, too). Then, round after round, one call ends
and another one arrives and is answered, 200 ms go by, and the picture is made anew as the stream makes it: of the
floor, as JSON values, what changed since the last one, and that as text. CPU time of the thread, garbage collection
included, as the sidecar has it set.
"""

from __future__ import annotations

import time

from bench.report import Report, Row, command
from bench.step import Machine
from callcore.domain import inputs as i
from callcore.domain.ids import SECOND, Instant
from callcore.domain.measures import Books
from callcore.domain.step import Step
from callcore.runtime.ports import Seq, View
from callcore.sidecar import settle_memory
from callcore.web.show import EVERYTHING
from callcore.web.stream import Pace, Streams

AGENTS, WAITING = 150, 190
DAYS = (900, 15_000)
DAY_S = 86_400


class Day(Machine):
    """A floor with its books."""

    def __init__(self) -> None:
        self.books = Books()
        self.n = 0
        super().__init__(AGENTS, WAITING)

    def tell(self, told: i.Input, name: str | None = None) -> Step:
        done = super().tell(told, name)
        for fact in done.facts:
            self.n += 1
            self.books = self.books.after(fact)
        return done

    def lived(self, calls: int) -> None:
        for _ in range(calls):
            self.round()
        self.times.clear()


class Source:
    """The day, as the stream's live source."""

    def __init__(self, day: Day) -> None:
        self.day = day

    def view(self) -> View:
        return View(Seq(1, self.day.n), self.day.floor, self.day.books)

    def now(self) -> Instant:
        return self.day.now

    def stale_s(self) -> float | None:
        return None

    async def changed(self, after: Seq) -> View:
        raise NotImplementedError


def pictures(day: Day, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of the picture and of the change as text, and bytes of the latter."""
    streams = Streams(Source(day), Pace(min_gap_s=0.0))
    last = streams.shot(EVERYTHING)
    last.event()
    made, told, sizes = [], [], []
    for _ in range(rounds):
        day.round()
        day.tick(200)
        began = time.thread_time()
        shot = streams.shot(EVERYTHING, last)
        between = time.thread_time()
        text = shot.event(last)
        ended = time.thread_time()
        made.append(1000 * (between - began))
        told.append(1000 * (ended - between))
        sizes.append(len(text) / 1000)
        last = shot
    return made, told, sizes


def measure(rounds: int) -> Report:
    settle_memory()
    rows = []
    for calls in DAYS:
        day = Day()
        day.lived(calls)
        day.now = Instant(day.now + DAY_S * SECOND)
        day.lived(calls)
        made, told, sizes = pictures(day, rounds)
        of = f"{calls:,} calls of the day"
        rows += [
            Row.of(f"picture, {of}", made),
            Row.of(f"what changed, as text, {of}", told),
            Row.of(f"size of it, {of}", sizes, "kB"),
        ]
    return Report(
        name="board",
        title="What a picture of the live board costs",
        circumstances={
            "floor": f"{AGENTS} agents who talk, {WAITING} callers who wait",
            "between two pictures": "one call ends, one arrives, one is answered; 200 ms",
        },
        rows=rows,
        notes=("CPU time of one thread. How it is measured stands at the head of `bench/board.py`.",),
    )


if __name__ == "__main__":
    command(__doc__, measure, rounds=100)
