"""From the journal on the disk into the database, as the sidecar joins the two: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from callcore.db import Database, DatabaseAway, Projection, Queries, migrate
from callcore.domain.facts import KINDS
from callcore.domain.ids import CallId
from callcore.domain.personal import Personal
from callcore.journal import Codec, Drain, Follower, Frame, KeyStore, Spool, period_of
from tests.support.days import ORDINARY, a_day, books
from tests.support.postgres import Postgres


class Sink:
    """The projection, as the journal's drain asks for it."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    async def position(self) -> tuple[int, int] | None:
        seq = await self._projection.position()
        return None if seq is None else (seq.run, seq.n)

    async def apply(self, frames: Sequence[Frame]) -> None:
        await self._projection.apply(frames)


def sealer(keys: KeyStore) -> Callable[[Personal], tuple[bytes, str | None, str] | None]:
    def seal(value: Personal) -> tuple[bytes, str | None, str] | None:
        assert value.text is not None
        sealed = keys.seal(value.call, value.centre, value.at, value.text, value.fingerprint)
        return None if sealed is None else (sealed, value.fingerprint, period_of(value.at))

    return seal


async def test_what_the_engine_wrote_is_in_the_tables_though_the_database_was_away_meanwhile(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    url = own_postgres.new_database()
    await migrate.upgrade(url)
    journal, kept = tmp_path / "journal", tmp_path / "keys"
    day = a_day(ORDINARY)
    with KeyStore.open(journal, kept, write=True) as keys, KeyStore.open(journal, kept) as reading:
        codec = Codec(KINDS, {}, keys)
        spool = Spool.open(journal, codec, before_sync=keys.sync)
        database = Database(url)
        drain = Drain(
            lambda after: Follower(journal, Codec(KINDS, {}, reading), after),
            Sink(Projection(database, sealer(reading))),
            away=(DatabaseAway,),
            longest_pause_s=0.3,
        )
        task = asyncio.create_task(drain.run())
        try:
            for n, frame in enumerate(day.frames):
                written = spool.append(spool.frame(frame.at, frame.facts))
                await spool.sync()
                if n == 30:
                    await until(lambda: drain.lag().position is not None)
                    own_postgres.stop()
            await until(lambda: drain.lag().away_s is not None)
            own_postgres.start()
            await until(lambda: drain.lag().position == written)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            spool.close()
        queries = Queries(database)
        for name, record in books(day.frames).records.items():
            found = await queries.call(name)
            assert found is not None and found.call.record == record
        found = await queries.call(CallId("node1-1.1"))
        assert found is not None and found.caller is not None
        opened = reading.unseal(
            CallId("node1-1.1"), found.caller.centre, found.caller.at, found.caller.sealed
        )
        assert opened is not None and opened == ("0312345678", found.caller.fingerprint)
        await database.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)
