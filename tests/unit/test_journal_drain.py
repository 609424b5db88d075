"""The database gets every frame once and in order, however often it goes away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from callcore.domain.ids import Instant
from callcore.journal import Codec, Drain, Follower, Frame, KeyStore, Seq, SinkAway, Spool


@dataclass(frozen=True, slots=True)
class Happened:
    what: int


class Table:
    """A sink in memory. `troubles` are met one by one: away before a batch, or just after its commit."""

    def __init__(self, *troubles: str) -> None:
        self.rows: list[Frame] = []
        self.batches: list[int] = []
        self.troubles = list(troubles)
        self.away = False
        self.asked = 0

    async def position(self) -> Seq | None:
        self.asked += 1
        if self.away:
            raise SinkAway("away")
        return self.rows[-1].seq if self.rows else None

    async def apply(self, frames: Sequence[Frame]) -> None:
        trouble = self.troubles.pop(0) if self.troubles else ""
        if self.away or trouble == "before":
            raise SinkAway("away")
        if trouble == "wrong":
            raise ValueError("a wrong row")
        assert not self.rows or self.rows[-1].seq < frames[0].seq
        self.rows += frames
        self.batches.append(len(frames))
        if trouble == "after":
            raise SinkAway("gone after the commit")


class Line:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        self.codec = Codec({"Happened": Happened}, {}, KeyStore.open(self.folder, folder / "keys"))
        self.spool = Spool.open(self.folder, self.codec, gather_s=0.001)

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.spool.append(self.spool.frame(Instant(number * 1_000_000), (Happened(number),)))
        self.spool.flush()

    def follower(self, after: Seq | None) -> Follower:
        return Follower(self.folder, self.codec, after, poll_s=0.001)

    @asynccontextmanager
    async def draining(self, table: Table) -> AsyncIterator[Drain]:
        drain = Drain(
            self.follower, table, batch_frames=200, batch_s=0.001, first_pause_s=0.001, longest_pause_s=0.01
        )
        task = asyncio.create_task(drain.run())
        try:
            yield drain
            assert not task.done(), task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture(autouse=True)
def _closed(line: Line) -> object:
    yield
    line.spool.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def numbers(table: Table) -> list[int]:
    return [fact.what for frame in table.rows for fact in frame.facts]  # type: ignore[attr-defined]


async def test_every_frame_arrives_in_batches_of_at_most_200(line: Line) -> None:
    line.put(*range(1000))
    table = Table()
    async with line.draining(table) as drain:
        await until(lambda: len(table.rows) == 1000)
        line.put(1000)
        await until(lambda: len(table.rows) == 1001)
        await until(lambda: drain.lag().position == (1, 1001))
        lag = drain.lag()
        assert (lag.frames, lag.seconds, lag.away_s, lag.failures) == (0, 0.0, None, 0)
    assert numbers(table) == list(range(1001))
    assert max(table.batches) <= 200


async def test_a_database_that_goes_away_before_or_after_its_commit_gets_each_frame_once(line: Line) -> None:
    line.put(*range(700))
    table = Table("before", "", "after", "after", "before", "before", "after")
    async with line.draining(table) as drain:
        await until(lambda: len(table.rows) == 700)
        line.put(*range(700, 1200))
        await until(lambda: len(table.rows) == 1200 and not table.troubles)
        await until(lambda: drain.lag().away_s is None or drain.lag().frames == 0)
        assert drain.lag().failures == 6
    assert numbers(table) == list(range(1200))


async def test_while_the_database_is_away_the_lag_is_shown_and_it_catches_up(line: Line) -> None:
    table = Table()
    line.put(1)
    async with line.draining(table) as drain:
        await until(lambda: len(table.rows) == 1)
        table.away = True
        line.put(*range(2, 12))
        await until(lambda: table.asked > 4)
        lag = drain.lag()
        assert lag.frames == 10
        assert lag.seconds >= 9.0
        assert lag.away_s is not None
        assert lag.failures >= 3
        table.away = False
        await until(lambda: len(table.rows) == 11)
        await until(lambda: drain.lag().away_s is None)
        assert drain.lag().frames == 0
    assert numbers(table) == list(range(1, 12))


async def test_a_drain_that_starts_anew_goes_on_where_the_table_ends(line: Line) -> None:
    table = Table()
    line.put(*range(50))
    async with line.draining(table):
        await until(lambda: len(table.rows) == 50)
    line.put(*range(50, 60))
    async with line.draining(table) as drain:
        await until(lambda: len(table.rows) == 60)
        await until(lambda: drain.lag().frames == 0)
    assert numbers(table) == list(range(60))


async def test_a_mistake_in_the_sink_is_not_taken_for_an_absence(line: Line) -> None:
    line.put(1)
    with pytest.raises(ValueError, match="a wrong row"):
        async with asyncio.timeout(20):
            await Drain(line.follower, Table("wrong"), batch_s=0.001).run()
