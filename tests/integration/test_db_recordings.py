"""The rows of recordings: as folded at once, in pieces, or twice, and from what an older version had stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields

import pytest
from sqlalchemy import text

from callcore.db import Database, Projection, Queries, Search, migrate
from callcore.domain import facts as f
from callcore.domain.centre import Recordings
from callcore.domain.ids import CallId, NodeId, PhoneId
from callcore.domain.personal import Personal
from callcore.domain.recording import ASKED, Direction, Place, RecordingKind, RecordingMark, Through
from callcore.domain.stages import Mark, PauseAs, PauseEnd, ResultKind, SideKind
from callcore.runtime.detail import CallDetail, MarkDetail
from callcore.runtime.recordings import RecordingSearch
from tests.support.days import TestFrame, seal
from tests.support.floors import NUMBER, Desk
from tests.support.recorded import CALL, DEMO, FIRST, SECOND_ONE, a_talk, filed, sealed
from tests.unit import test_messages as messages
from tests.unit.test_calls_out_paused import O10, OWN, connected, paused
from tests.unit.test_core_sides import end


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def drain(database: Database, facts: list[f.Fact], batch: int) -> None:
    frames = [TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(facts, 1)]
    sink = Projection(database, seal)
    for first in range(0, len(frames), batch):
        await sink.apply(frames[first : first + batch])
    await sink.apply(frames)  # once more: nothing comes of it


@pytest.mark.parametrize("batch", [1, 5, 1000])
async def test_what_is_known_of_a_call_stands_with_each_of_its_files_also_what_is_keyed_later(
    database: Database, batch: int
) -> None:
    made = Desk()
    await drain(database, a_talk(made), batch)
    search = Search(database)
    call, side = await search.of_call("c1")
    at = made.at
    assert (call["name"], call["kind"], call["side"], call["direction"]) == (
        *("c1", RecordingKind.CALL, None),
        Direction.IN,
    )
    assert (call["began_at"], call["ended_at"], call["seconds"]) == (at(10), at(90), 100.0)
    assert (call["language"], call["queue"], call["agents"]) == ("en", "demo-general", (FIRST, SECOND_ONE))
    assert (call["department"], call["through"]) == ("12", Through.BLIND)
    assert call["paused"] and call["pauses"] == [
        {"first": at(20), "before": at(25), "reason": ASKED}
        | {"agent": FIRST, "by": None, "gap": False, "ended": PauseEnd.ASKED.value},
        {"first": at(50), "before": at(90), "reason": ASKED}
        | {"agent": SECOND_ONE, "by": "user:sato", "gap": True},
    ]
    assert (call["format"], call["channels"], call["place"], call["legal_hold"], call["keep_until"]) == (
        *("wav", 1, Place.SPOOL, False),
        None,
    )
    assert (side["name"], side["kind"], side["call"], side["side"]) == (
        "s1",
        RecordingKind.CONSULT,
        "c1",
        "s1",
    )
    assert (side["began_at"], side["agents"], side["department"]) == (at(33), (FIRST,), "11")
    assert (side["problem"], side["findings"]) == ("short", ["short", "clipped"])
    assert (call["problem"], call["findings"]) == (None, [])
    assert (call["segments"], side["segments"]) == (2, 2)
    for row in (call, side):
        assert (row["result"], row["result_kind"]) == ("苦情", ResultKind.COMPLAINT)
        assert (row["abuse"], row["relay"]) == (True, False)
        assert row["other"].sealed is not None
        assert "09012345678" not in str(row) and "0975000011" not in str(row)
    by_agent = await search.find(RecordingSearch(agent=FIRST), (), None, 10, {})
    assert [row["name"] for row in by_agent] == ["s1", "c1"]
    caller, called = call["other"].fingerprint, side["other"].fingerprint
    for numbers, names in (
        ([caller], ["s1", "c1"]),
        ([called], ["s1"]),
        ([caller, called], ["s1", "c1"]),
        ([], []),
    ):
        found = await search.find(RecordingSearch(number="x"), numbers, None, 10, {})
        assert [row["name"] for row in found] == names


@pytest.mark.parametrize("batch", [1, 1000])
async def test_where_a_kept_recording_lies_and_what_its_file_is_there_stands_in_its_row(
    database: Database, batch: int
) -> None:
    made = Desk()
    told = [
        sealed(made.at(123), format="opus", channels=2, size=30_000, sha256="ef", captured_size=1_600_044),
        sealed(made.at(124), "nobody-1.2", 3, call=None, kind=None, folder="_unassigned"),
        sealed(made.at(125), "stranger-1.2", 4),
    ]
    facts = [f.RecordingKept(**{each.name: getattr(one, each.name) for each in fields(one)}) for one in told]
    await drain(database, [*a_talk(made), *facts], batch)
    search = Search(database)
    [row] = await search.find(RecordingSearch(place=Place.STORE), (), None, 10, {})
    assert row["channels"] == 2
    assert (row["name"], row["file"], row["format"], row["size"], row["sha256"]) == (
        *("c1", "c1.opus", "opus"),
        *(30_000, "ef"),
    )
    assert (row["folder"], row["key_period"], row["kept_at"]) == (
        *("demo/2026-11-20", "2026-11"),
        made.at(123),
    )
    assert (row["captured_size"], row["captured_sha256"]) == (1_600_044, "ab")
    assert (row["stored_size"], row["stored_sha256"]) == (160_400, "cd")
    assert row["seconds"] == 100.0 and row["abuse"]
    for digest in ("ab", "ef", "cd"):
        assert [one["name"] for one in await search.find(RecordingSearch(sha256=digest), (), None, 1, {})]
    [spool] = await search.find(RecordingSearch(place=Place.SPOOL), (), None, 10, {})
    assert (spool["name"], spool["folder"], spool["stored_size"]) == ("s1", None, None)


@pytest.mark.parametrize("batch", [1, 1000])
async def test_the_pauses_of_a_call_out_stand_with_its_recording(database: Database, batch: int) -> None:
    made = connected(Recordings(PauseAs.GAP, 60))
    paused(made, 20)
    paused(made, 30)  # and goes on
    paused(made, 40)
    end(made, 45, O10, OWN)
    await drain(database, [*made.facts, filed(made, 47, O10)], batch)
    [row] = await Search(database).find(RecordingSearch(paused=True), (), None, 10, {})
    assert (row["name"], row["kind"], row["ended_at"]) == ("o10", RecordingKind.OUTGOING, made.at(45))
    told = {"reason": ASKED, "agent": FIRST, "by": None, "gap": True}
    assert row["pauses"] == [
        {"first": made.at(20), "before": made.at(30), "ended": PauseEnd.ASKED.value} | told,
        {"first": made.at(40), "before": made.at(45)} | told,
    ]


async def test_a_call_tells_who_marked_it_by_key_and_who_afterwards(database: Database) -> None:
    made = Desk()
    at = made.at
    keyed = {"call": CALL, "agent": FIRST}
    more: list[f.Fact] = [
        f.ResultKeyed(at=at(100), result="完了", kind=ResultKind.DONE, **keyed),  # type: ignore[arg-type]
        f.ResultKeyed(at=at(101), result="予約", kind=ResultKind.BOOKING, **keyed),  # type: ignore[arg-type]
        f.CallMarked(at=at(102), mark=Mark.RELAY, by="user:ope", **keyed),  # type: ignore[arg-type]
    ]
    for s, mark, on in ((200, RecordingMark.COMPLAINT, True), (300, RecordingMark.ABUSE, False)):
        more.append(f.RecordingMarked(at=at(s), call=CALL, centre=DEMO, mark=mark, on=on, by="user:sup"))
    await drain(database, [*a_talk(made), *more], 1000)
    found = await Queries(database).call(CALL)
    assert found is not None
    assert found.marks == (
        MarkDetail(at(95), RecordingMark.COMPLAINT, True, True, FIRST),
        MarkDetail(at(96), RecordingMark.ABUSE, True, True, FIRST),
        MarkDetail(at(100), RecordingMark.COMPLAINT, False, True, FIRST),
        MarkDetail(at(102), RecordingMark.RELAY, True, True, "user:ope"),
        MarkDetail(at(200), RecordingMark.COMPLAINT, True, False, "user:sup"),
        MarkDetail(at(300), RecordingMark.ABUSE, False, False, "user:sup"),
    )
    shown = CallDetail(found.call.record, None, (), (), (), None, marks=found.marks)
    assert shown.marked == (RecordingMark.COMPLAINT, RecordingMark.RELAY)
    rows = await Search(database).of_call("c1")
    marked = [[mark for mark in RecordingMark if row[mark.value]] for row in rows]
    assert marked == [[*shown.marked]] * len(rows), "as its recordings say"


async def test_a_file_that_is_missing_lies_nowhere_and_one_filed_again_has_one_row(
    database: Database,
) -> None:
    made = Desk()
    facts = a_talk(made)
    again = [filed(made, 97, CALL, size=0, seconds=0.0, sha256=None, problem="missing")]
    await drain(database, [*facts, *again], 4)
    call, _ = await Search(database).of_call("c1")
    assert (call["place"], call["problem"], call["abuse"], call["agents"]) == (
        *(Place.GONE, "missing", True),
        (FIRST, SECOND_ONE),
    )


async def test_a_recording_that_stopped_with_the_agent_is_kept_from_the_end_of_its_call_on(
    database: Database,
) -> None:
    """Over midnight the call's day is the later one."""
    made = Desk()
    facts = a_talk(made)
    ended = next(n for n, fact in enumerate(facts) if isinstance(fact, f.CallEnded))
    facts.insert(ended, f.RecordingStopped(at=made.at(62), call=CALL, since=made.at(60)))
    await drain(database, facts, 5)
    call, side = await Search(database).of_call("c1")
    assert (call["ended_at"], call["over_at"]) == (made.at(60), made.at(90))
    assert (side["ended_at"], side["over_at"]) == (made.at(41), made.at(41)), (
        "a consult has an end of its own"
    )


async def test_a_message_is_a_recording_of_its_call_without_an_agent(database: Database) -> None:
    made = messages.desk()
    messages.left(made, 0, "m")
    await drain(database, list(made.facts), 3)
    [row] = await Search(database).find(RecordingSearch(kind=RecordingKind.MESSAGE), (), None, 10, {})
    assert (row["name"], row["call"], row["agents"], row["file"]) == ("m.message", "m", (), "m.message.wav")
    assert (row["ended_at"] - row["began_at"]) == 4_000_000
    assert not row["paused"]


async def test_recordings_of_before_there_was_a_search_are_found_after_the_upgrade(empty_url: str) -> None:
    await migrate.upgrade(empty_url, "0009")
    database = Database(empty_url)
    true, false = ("1", "0") if database.is_sqlite else ("true", "false")
    at = "'2026-11-20T01:00:00.000000Z'"
    async with database.writing() as connection:
        for statement in (
            "INSERT INTO calls (id, node, centre, queue, number, arrived_at, answered_at, ended_at, by_net, talk_us, "
            "hold_us, visits, offers, reconstructed, agent, outcome, abuse) VALUES ('c1', 'node1', 'demo', 'q', '1', "
            f"{at}, {at}, {at}, {false}, 1, 0, 1, 1, {false}, '1001', 'transferred_blind', {true})",
            "INSERT INTO recordings (call, file, size, seconds, sha256, problem, filed_at) VALUES "
            f"('c1', 'c1.wav', 44, 1.5, 'ab', NULL, {at})",
            "INSERT INTO messages (call, centre, queue, left_at, due_at, state, file, size, seconds, reconstructed) "
            f"VALUES ('c1', 'demo', 'q', {at}, {at}, 'open', 'c1.message.wav', 44, 2.5, {false})",
            "INSERT INTO side_calls (id, centre, kind, number, why, agent, began_at, reconstructed, beside, recording, "
            "recording_size, recording_seconds) VALUES "
            f"('s1', 'demo', 'department', '1', '11', '1002', {at}, {false}, 'c1', 's1.wav', 44, 3.5)",
        ):
            await connection.execute(text(statement))
    await migrate.upgrade(empty_url)
    rows = await Search(database).of_call("c1")
    assert {
        (r["name"], r["kind"].value, r["agents"], r["through"], r["abuse"], r["seconds"]) for r in rows
    } == {
        ("c1", "call", ("1001",), Through.BLIND, True, 1.5),
        ("c1.message", "message", (), Through.BLIND, True, 2.5),
        ("s1", "consult", ("1002",), None, True, 3.5),
    }
    await migrate.downgrade(empty_url, "0009")
    async with database.reading() as connection:
        kept = (await connection.execute(text("SELECT call, file, seconds FROM recordings"))).all()
    assert [tuple(row) for row in kept] == [("c1", "c1.wav", 1.5)]
    await database.close()


@pytest.mark.parametrize("batch", [1, 1000])
async def test_a_mark_set_or_taken_away_afterwards_stands_with_all_files_whatever_is_keyed_or_filed_later(
    database: Database, batch: int
) -> None:
    made = Desk()
    told = a_talk(made)

    def marked(s: float, mark: RecordingMark, on: bool, call: CallId = CALL) -> f.RecordingMarked:
        return f.RecordingMarked(at=made.at(s), call=call, centre=DEMO, mark=mark, on=on, by="user:sato")

    keyed = [fact for fact in told if isinstance(fact, f.ResultKeyed | f.CallMarked)]
    alone = CallId("out1")
    out = [
        f.SideCallBegan(
            at=made.at(100),
            call=alone,
            node=NodeId("node1"),
            centre=DEMO,
            kind=SideKind.OUTGOING,
            number=NUMBER,
            other=Personal(alone, DEMO, made.at(100), None),
            phone=PhoneId("p1"),
            agent=FIRST,
            why="",
        ),
        filed(made, 101, alone),
    ]
    await drain(
        database,
        [
            *(fact for fact in told if fact not in keyed),
            marked(94, RecordingMark.RELAY, True),
            marked(94.5, RecordingMark.COMPLAINT, False),
            *keyed,
            marked(97, RecordingMark.ABUSE, False),
            filed(made, 98, CALL),
            *out,
            marked(102, RecordingMark.COMPLAINT, True, alone),
            marked(103, RecordingMark.ABUSE, True, alone),
            marked(104, RecordingMark.ABUSE, False, alone),
        ],
        batch,
    )
    search = Search(database)

    async def found(mark: RecordingMark) -> list[str]:
        return [row["name"] for row in await search.find(RecordingSearch(mark=mark), (), None, 10, {})]

    assert await found(RecordingMark.RELAY) == ["s1", "c1"]
    assert await found(RecordingMark.COMPLAINT) == ["out1"]
    assert await found(RecordingMark.ABUSE) == []
    [row] = await search.of_call("out1")
    assert (row["complaint"], row["abuse"], row["relay"], row["result"]) == (True, False, False, None)
    assert [row["result"] for row in await search.of_call("c1")] == ["苦情", "苦情"]
