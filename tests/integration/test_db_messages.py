"""The rows of messages: as folded at once, in pieces, or twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from callcore.db import Database, Projection, Queries
from callcore.db.tables import calls, facts_noted, recordings
from callcore.db.tables import messages as table
from callcore.domain import inputs as i
from callcore.domain.centre import Callbacks, Messages
from callcore.domain.ids import AgentId, CallId, CentreId, Instant
from callcore.domain.message import MessageState
from callcore.domain.stages import CallbackEnd, Outcome, Said
from tests.support.days import TestFrame, seal
from tests.unit import test_callbacks as callbacks
from tests.unit import test_messages as messages
from tests.unit import test_tasks as tasks


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def test_what_is_wrong_with_a_message_stands_in_the_lists(database: Database) -> None:
    made = messages.desk()
    for n, (name, voice, clipped) in enumerate((("mute", 0.0, 0.0), ("loud", 3.0, 2.0), ("good", 3.0, 0.0))):
        messages.comes(made, 40 * n, name)
        messages.says(made, 40 * n + 5, name, Said.BEGAN)
        messages.says(made, 40 * n + 15, name, Said.KEPT)
        messages.gone(made, 40 * n + 20, name, by_caller=False)
        messages.measured(made, 40 * n + 23, name, voice=voice, clipped=clipped)
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    await Projection(database, seal).apply(frames)
    async with database.reading() as connection:
        for each in (table, recordings):
            told = await connection.execute(select(each.c.call, each.c.problem))
            assert {(row.call, row.problem) for row in told} == {
                ("mute", "silent"),
                ("loud", "clipped"),
                ("good", None),
            }, each.name


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
    messages.comes(made, 140, "kept")
    messages.says(made, 145, "kept", Said.BEGAN)
    messages.gone(made, 150, "kept")
    messages.measured(made, 153, "kept", voice=0.0)
    made.tell(
        i.TaskAsked(
            at=made.at(160),
            call=CallId("kept"),
            subject="再発行の日程",
            department=None,
            agent=AgentId("1001"),
            due_at=made.at(9000),
            by="user:sup",
        )
    )
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
        "kept": MessageState.TAKEN,
    }
    kept = rows["kept"]
    assert (kept["due_at"], kept["agent"], kept["closed_at"]) == (made.at(9000), "1001", None)
    assert kept["subject"] is not None and "再発行" not in str(dict(kept))
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
        CallId("kept"): (Outcome.ABANDONED, False),
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


async def rows_of(database: Database) -> dict[str, dict[str, Any]]:
    async with database.reading() as connection:
        return {row["call"]: dict(row) for row in (await connection.execute(select(table))).mappings()}


@pytest.mark.parametrize("batch", [1, 3, 1000])
async def test_a_task_without_a_call_has_a_row_and_loses_what_is_personal_when_it_leaves_the_list(
    database: Database, batch: int
) -> None:
    made = tasks.desk()
    tasks.opened(made, 10, agent=AgentId("1001"))
    tasks.opened(made, 11, "task-2", about=tasks.OLD, number=None, note=None)
    tasks.closed(made, 20)
    whole = len(made.facts)
    messages.taken(made, 30 + 30 * messages.DAY, "task-2", "1002")
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    sink = Projection(database, seal)
    for first in range(0, whole, batch):
        await sink.apply(frames[first : min(whole, first + batch)])
    rows = await rows_of(database)
    one, two = rows["task-1"], rows["task-2"]
    assert (one["state"], one["agent"], one["closed_by"]) == (MessageState.DONE, "1001", "user:sup")
    assert (one["about"], two["about"]) == (None, tasks.OLD)
    assert (one["left_at"], one["department"]) == (made.at(10), "demo-shimin")
    assert one["number_sealed"] == b"1116435790" and one["number_fingerprint"] and one["number_period"]
    assert all(one[name] is not None for name in ("subject", "note", "result"))
    assert (two["number_sealed"], two["note"]) == (None, None) and two["subject"] is not None
    assert "再発行" not in str(rows) and "0975346111" not in str(rows)
    for first in range(whole, len(frames), batch):
        await sink.apply(frames[first : first + batch])
    await sink.apply(frames)  # once more: nothing comes of it
    rows = await rows_of(database)
    assert {rows["task-1"][name] for name in PERSONAL} == {None}
    assert (rows["task-1"]["state"], rows["task-1"]["closed_at"]) == (MessageState.DONE, made.at(20))
    assert (rows["task-2"]["state"], rows["task-2"]["agent"]) == (MessageState.TAKEN, "1002")
    assert rows["task-2"]["subject"] is not None
    async with database.reading() as connection:
        assert (await connection.execute(select(calls.c.id))).all() == []
        noted = await connection.execute(select(facts_noted).where(facts_noted.c.kind == "CallUnknown"))
        assert noted.all() == []


PERSONAL = ("number_sealed", "number_fingerprint", "number_period", "subject", "note", "result")


@pytest.mark.parametrize("before", ["the task", "what becomes of it"])
async def test_a_task_whose_call_was_deleted_goes_on_and_blocks_nothing(
    database: Database, before: str
) -> None:
    made = tasks.desk()
    messages.comes(made, 0)
    messages.gone(made, 10)
    ended = len(made.facts)
    made.tell(
        i.TaskAsked(
            at=made.at(20),
            call=CallId("m"),
            subject="再発行の日程",
            note="午前中に",
            department=None,
            agent=None,
            due_at=None,
            by="user:sup",
        )
    )
    kept = len(made.facts)
    messages.taken(made, 30)
    messages.closed(made, 40)
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    sink = Projection(database, seal)
    await sink.apply(frames[: ended if before == "the task" else kept])
    async with database.writing() as connection:
        await connection.execute(calls.delete())
    await sink.apply(frames)
    assert await sink.position() == (1, len(frames))
    row = (await rows_of(database))["m"]
    assert (row["state"], row["agent"], row["about"]) == (MessageState.DONE, "1001", "m")
    assert None not in (row["subject"], row["note"], row["result"])
    tasks.opened(made, 41 + 30 * messages.DAY)
    more = [TestFrame(2, n, fact.at, (fact,)) for n, fact in enumerate(made.facts[len(frames) :], 1)]
    await sink.apply(more)
    rows = await rows_of(database)
    assert {rows["m"][name] for name in PERSONAL} == {None}
    assert rows["task-1"]["state"] is MessageState.OPEN
