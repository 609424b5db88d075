"""The rows of calls that are no arrivals: as folded at once, in pieces, or twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from callcore.db import Database, Projection, Queries
from callcore.db.sides import COLUMNS, side_of
from callcore.db.tables import calls, facts_noted, side_calls
from callcore.domain import inputs as i
from callcore.domain.ids import CallId, ChannelId
from callcore.domain.recording import RecordingKind
from callcore.domain.stages import SideKind, SideOutcome
from tests.support.days import TestFrame, seal
from tests.unit.test_core_recording import asked, moves
from tests.unit.test_core_sides import OFFICE, desk, dial, end, reach


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.mark.parametrize("batch", [1, 1000])
async def test_a_call_that_an_agent_made_has_a_row_with_its_recording_and_is_no_arrival(
    database: Database, batch: int
) -> None:
    made = desk()
    call = dial(made, 10)
    reach(made, 15, call)
    end(made, 45, call, by=ChannelId(call))
    made.tell(
        i.RecordingMeasured(
            at=made.at(50),
            call=call,
            file=f"{call}.wav",
            size=480_044,
            seconds=30.0,
            sha256="ab",
            problem=None,
        )
    )
    emergency = dial(made, 70, kind=SideKind.EMERGENCY, other="119")
    made.tell(i.SideReturned(at=made.at(71), call=emergency, outcome=SideOutcome.FAILED))
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
    sink = Projection(database, seal)
    for first in range(0, len(frames), batch):
        await sink.apply(frames[first : first + batch])
    await sink.apply(frames)  # once more: nothing comes of it
    async with database.reading() as connection:
        rows = (await connection.execute(select(*COLUMNS))).mappings().all()
        assert {CallId(row["id"]): side_of(row) for row in rows} == dict(made.books.sides)
        kept = (await connection.execute(select(side_calls).where(side_calls.c.id == call))).mappings().one()
        assert (kept["recording"], kept["recording_seconds"]) == (f"{call}.wav", 30.0)
        assert kept["other_sealed"] is not None
        assert OFFICE not in str(dict(kept))
        assert (await connection.execute(select(calls))).all() == []
        noted = [row.kind for row in await connection.execute(select(facts_noted))]
    assert "EmergencyNotCarried" in noted
    assert "CallUnknown" not in noted


async def test_all_recordings_of_a_call_are_found_by_its_id_in_the_order_in_which_they_began(
    database: Database,
) -> None:
    m = moves()
    far = asked(m)
    m.tell(i.RecordingStopTold(at=m.d.at(30.1), call=CallId("c1")))
    m.city_puts_down(90, far)
    m.over(90)
    for call, seconds in (("c1", 27.0), ("k1", 10.0)):
        m.tell(
            i.RecordingMeasured(
                at=m.d.at(95),
                call=CallId(call),
                file=f"{call}.wav",
                size=9,
                seconds=seconds,
                sha256=call,
                problem=None,
            )
        )
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(m.d.facts, 1)]
    await Projection(database, seal).apply(frames)
    found = await Queries(database).call(CallId("c1"))
    assert found is not None
    talk, consult = found.segments
    assert (talk.kind, talk.call, talk.file, talk.seconds) == (RecordingKind.CALL, "c1", "c1.wav", 27.0)
    assert (talk.began_at, talk.ended_at) == (m.d.at(3), m.d.at(30)), "until the agent left"
    assert (consult.kind, consult.call, consult.file) == (RecordingKind.CONSULT, "k1", "k1.wav")
    assert (consult.began_at, consult.ended_at) == (m.d.at(20), m.d.at(30))
    assert [note.kind for note in found.notes if note.kind == "RecordingStopped"] == ["RecordingStopped"]
