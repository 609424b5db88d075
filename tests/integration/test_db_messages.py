"""The rows of messages: as folded at once, in pieces, or twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from callcore.db import Database, Projection, Queries
from callcore.db.tables import messages as table
from callcore.domain.centre import Callbacks, Messages
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.message import MessageState
from callcore.domain.stages import CallbackEnd, Outcome, Said
from tests.support.days import TestFrame, seal
from tests.unit import test_callbacks as callbacks
from tests.unit import test_messages as messages


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.mark.parametrize("batch", [1, 4, 1000])
async def test_a_message_has_a_row_with_its_state_and_its_sound_and_what_became_of_it_is_sealed(
    database: Database, batch: int
) -> None:
    made = messages.desk()
    messages.left(made, 0, "done")
    messages.left(made, 40, "again")
    messages.comes(made, 80, "none")
    messages.says(made, 85, "none", Said.BEGAN)
    messages.gone(made, 90, "none")
    messages.measured(made, 93, "none", voice=0.0)
    messages.taken(made, 100, "done")
    messages.closed(made, 110, "done", result="住所を確認した")
    messages.closed(made, 120, "again", done=False, result="つながらない")
    messages.taken(made, 130, "again", "1002")
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    sink = Projection(database, seal)
    for first in range(0, len(frames), batch):
        await sink.apply(frames[first : first + batch])
    await sink.apply(frames)  # once more: nothing comes of it
    async with database.reading() as connection:
        rows = {row["call"]: row for row in (await connection.execute(select(table))).mappings()}
    assert {call: row["state"] for call, row in rows.items()} == {
        "done": MessageState.DONE,
        "again": MessageState.TAKEN,
        "none": MessageState.EMPTY,
    }
    done = rows["done"]
    assert (done["left_at"], done["due_at"]) == (made.at(15), made.at(15 + 3600))
    assert (done["file"], done["size"], done["seconds"]) == ("done.message.wav", 64_044, 4.0)
    assert (done["agent"], done["closed_by"], done["closed_at"]) == ("1001", "user:sup", made.at(110))
    assert done["result"] is not None and "住所" not in str(dict(done))
    again = rows["again"]
    assert (again["agent"], again["closed_at"], again["result"]) == ("1002", None, None)
    records = await Queries(database).records(CentreId("demo"), Instant(0), Instant(made.at(1000)))
    assert {r.call: r for r in records} == dict(made.books.records)
    assert {r.call: (r.outcome, r.message) for r in records} == {
        CallId("done"): (Outcome.MESSAGE_LEFT, True),
        CallId("again"): (Outcome.MESSAGE_LEFT, True),
        CallId("none"): (Outcome.ABANDONED, False),
    }


async def test_a_call_back_that_was_given_up_has_a_row_as_a_task_without_sound(database: Database) -> None:
    made = callbacks.desk(callbacks=Callbacks(1, 600), messages=Messages(due_s=3600))
    task = callbacks.given_up(made)
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    await Projection(database, seal).apply(frames)
    async with database.reading() as connection:
        [row] = (await connection.execute(select(table))).mappings()
    assert (row["call"], row["state"], row["due_at"]) == (task.call, MessageState.OPEN, task.due_at)
    assert (row["centre"], row["queue"], row["file"]) == (task.centre, task.queue, None)
    [record] = await Queries(database).records(CentreId("demo"), Instant(0), Instant(made.at(1000)))
    assert (record.message, record.callback) == (False, CallbackEnd.GIVEN_UP)
