"""A process that drains the ordinary day and stops for good inside a transaction, so that it can be killed there.

Arguments: the database's URL, and how many frames to drain before the batch that is never finished.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from sqlalchemy import event

from callcore.db import Database, Projection
from tests.support.days import ORDINARY, a_day, seal


async def main(url: str, whole: int) -> None:
    frames = a_day(ORDINARY).frames
    database = Database(url)
    sink = Projection(database, seal)
    await sink.apply(frames[:whole])

    def stop(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("UPDATE drain_position"):
            print("about to move the position", flush=True)
            signal.pause()

    event.listen(database.engine.sync_engine, "before_cursor_execute", stop)
    await sink.apply(frames[whole:])


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
