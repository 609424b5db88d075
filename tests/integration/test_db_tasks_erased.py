"""Tasks with a name of their own are erased with their calls, by number, by time and by the rule, and counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from msgspec.structs import replace as replace_plan
from sqlalchemy import delete

from callcore import erasure
from callcore.access.rights import SIDECAR_PERSON, system_person
from callcore.db import Database, Kept, Projection
from callcore.db.projections import Frame, Seal
from callcore.db.tables import PERSONAL, calls
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Retention
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, after, seconds
from callcore.domain.message import MessageState
from callcore.domain.personal import Personal
from callcore.domain.retention import Clock, Item, judge
from callcore.erasing import report
from callcore.erasing.plan import Plan
from callcore.erasure import CannotErase, Erasure, Reports, parted, unit_due
from callcore.journal import KeyStore, period_of
from callcore.runtime.blockdesk import BlockDesk
from callcore.runtime.commands import CommandClient, CommandServer, this_account
from callcore.runtime.erasedesk import EraseDesk
from callcore.runtime.loop import Loop
from callcore.runtime.ports import Seq
from callcore.settings import Settings
from tests.integration.test_db_messages import rows_of
from tests.support.days import TestFrame, seal
from tests.support.floors import Desk
from tests.unit import test_messages as messages
from tests.unit import test_tasks as tasks
from tests.unit.test_timers_and_asking import Pen

DEMO, M = CentreId("demo"), CallId("m")
CALLER, CITIZEN = "0312345678", "0975346111"
LATE = messages.DAY + 100.0
"""Seconds after which the call is of the archive."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def a_desk() -> Desk:
    """A call; a task about it and one about none, both of another number and dealt with; an open one of the caller's
    number, about a call of which there is no row."""
    made = tasks.desk()
    messages.comes(made, 0, caller=CALLER)
    messages.gone(made, 10)
    tasks.opened(made, LATE, "task-about", about=M)
    tasks.opened(made, LATE + 1, "task-none")
    tasks.opened(made, LATE + 2, "task-open", about=tasks.OLD, number=CALLER, note=None)
    tasks.closed(made, LATE + 50, "task-about")
    tasks.closed(made, LATE + 60, "task-none")
    return made


async def folded(database: Database, made: Desk, sealer: Seal = seal) -> Projection:
    sink = Projection(database, sealer)
    await sink.apply([TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)])
    return sink


def names(items: list[Item]) -> list[str]:
    return sorted(item.call for item in items)


def print_of(number: str) -> str:
    return f"print-{crc32(number.encode()):08x}"


def erase(made: Desk, s: float, name: str) -> str | None:
    about = made.floor.messages[CallId(name)].about
    return made.tell(
        i.EraseAsked(
            at=made.at(s),
            call=CallId(name),
            about=about or CallId(name),
            centre=DEMO,
            recordings=(),
            personal=True,
            erasure="erase-1",
            reason="本人の求め",
            by="user:sato",
        )
    ).disregarded


async def test_a_call_a_number_and_days_take_their_tasks_along(database: Database) -> None:
    made = a_desk()
    await folded(database, made)
    kept = Kept(database)
    assert names(await kept.of_calls({M}, {})) == ["m", "task-about"]
    assert names(await kept.of_calls({CallId("task-none")}, {})) == ["task-none"]
    assert names(await kept.of_calls({tasks.OLD}, {})) == ["task-open"], "though the call has no row"
    assert names(await kept.of_number(DEMO, {print_of(CITIZEN)}, {})) == ["task-about", "task-none"]
    assert names(await kept.of_number(DEMO, {print_of(CALLER)}, {})) == ["m", "task-about", "task-open"]
    assert await kept.of_number(CentreId("other"), {print_of(CITIZEN)}, {}) == []
    opened = made.at(LATE)
    assert names(await kept.between(DEMO, made.at(0), opened, {})) == ["m", "task-about"], (
        "about a call of then"
    )
    assert names(await kept.between(DEMO, opened, None, {})) == ["task-about", "task-none", "task-open"]
    assert names(await kept.between(DEMO, None, None, {})) == ["m", "task-about", "task-none", "task-open"]
    assert await kept.between(CentreId("other"), None, None, {}) == []
    found = {item.call: item for item in await kept.between(DEMO, None, None, {})}
    about = found[CallId("task-about")]
    assert (about.about, about.over, about.task, about.personal) == ("m", made.at(LATE + 50), True, True)
    assert (found[CallId("task-none")].about, found[M].task) == ("task-none", False)
    both = {CallId("task-none"), CallId("task-9")}
    assert await kept.centres_of(both) == {"task-none": DEMO}


async def test_a_task_whose_call_was_deleted_by_hand_is_still_reached(database: Database) -> None:
    made = a_desk()
    await folded(database, made)
    async with database.writing() as connection:
        await connection.execute(delete(calls))
    assert names(await Kept(database).of_calls({M}, {})) == ["task-about"]
    assert names(await Kept(database).between(DEMO, None, None, {})) == [
        "task-about",
        "task-none",
        "task-open",
    ]


async def test_the_rule_lets_go_of_tasks_that_were_dealt_with_and_of_no_open_one(database: Database) -> None:
    made = a_desk()
    await folded(database, made)
    kept, rule = Kept(database), Retention()
    far = Instant(made.at(LATE) + 400 * messages.DAY * SECOND)
    items, then = await kept.over_before(DEMO, far, 100, {})
    assert then is None
    assert names(items) == ["m", "task-about", "task-none"]
    by_then, _ = await kept.over_before(DEMO, made.at(LATE + 55), 100, {})
    assert names(by_then) == ["m", "task-about"]
    units = [unit_due(v) for v in judge(items, rule, "Asia/Tokyo", Clock(far), {})]
    assert [(u.call, u.about, u.task, u.personal) for u in units if u is not None] == [
        ("m", "m", False, True),
        ("task-about", "m", True, True),
        ("task-none", "task-none", True, True),
    ]
    early = judge(items, rule, "Asia/Tokyo", Clock(made.at(LATE + 100)), {})
    assert [unit_due(v) for v in early] == [None] * 3
    never = judge(items, Retention(personal=0), "Asia/Tokyo", Clock(far), {})
    assert [unit_due(v) for v in never] == [None] * 3


async def test_an_erased_task_keeps_its_row_and_nothing_that_belongs_to_a_person(database: Database) -> None:
    made = a_desk()
    sink = await folded(database, made)
    kept, done = Kept(database), len(made.facts)
    gone = [CallId("task-about"), CallId("task-none")]
    assert await kept.rows_left(gone, []) == 2
    sealed = {value.call: bytes_ for value, bytes_ in await kept.sealed_of([M, *gone])}
    assert sealed == {M: CALLER[::-1].encode(), **dict.fromkeys(gone, CITIZEN[::-1].encode())}
    prints = {print_of(CITIZEN), print_of(CALLER)}
    assert await kept.prints_beside(prints, gone) == {print_of(CALLER)}
    assert await kept.prints_beside(prints, [M, gone[0]]) == prints, "the other tasks bear them"
    for each in gone:
        assert erase(made, LATE + 100, each) is None
    assert "dealt with" in str(erase(made, LATE + 101, "task-open"))
    more = [TestFrame(2, n, fact.at, (fact,)) for n, fact in enumerate(made.facts[done:], 1)]
    await sink.apply(more)
    await sink.apply(more)  # once more: nothing comes of it
    rows = await rows_of(database)
    for each in gone:
        assert {rows[each][name] for name in PERSONAL["messages"]} == {None}
    row = rows["task-about"]
    assert (row["state"], row["about"], row["closed_at"]) == (MessageState.DONE, "m", made.at(LATE + 50))
    assert row["closed_by"] == "user:sup" and row["department"] == "demo-shimin"
    assert rows["task-open"]["subject"] is not None and rows["task-open"]["number_sealed"] is not None
    assert await kept.rows_left(gone, []) == 0
    assert names(await kept.of_calls({M}, {})) == ["m"]


# -- the whole of it --------------------------------------------------------------------------------------------


class SecondRun(Pen):
    """What was there is told by the first one."""

    def write(self, at: Instant, facts: tuple[f.Fact, ...]) -> Seq:
        return Seq(2, super().write(at, facts).n)


@asynccontextmanager
async def erasing(made: Desk, database: Database, home: Path) -> AsyncIterator[tuple[Erasure, KeyStore]]:
    """Everything that erases, with the engine's own commands and keys (which it has in memory), and the tables that
    follow its facts. Who erases reads the keys from the disk."""
    settings, pen, over = Settings(home=home), SecondRun(), asyncio.Event()
    with KeyStore.open(settings.journal, settings.keys, write=True) as keys:

        def sealed(value: Personal) -> tuple[bytes, str | None, str] | None:
            assert value.text is not None
            done = keys.seal(value.call, value.centre, value.at, value.text)
            print_ = keys.fingerprint(value.centre, value.at, value.text)
            return None if done is None else (done, print_, period_of(value.at))

        sink = await folded(database, made, sealed)

        async def perform(effect: e.Effect) -> None:
            if isinstance(effect, e.DestroyKey):
                keys.destroy_call(effect.sealed)

        async def follow() -> None:
            while not over.is_set():
                if pen.written:
                    told = [TestFrame(2, n, fact.at, (fact,)) for n, fact in enumerate(pen.written, 1)]
                    await sink.apply(told)
                await asyncio.sleep(0.05)

        def now() -> Instant:
            return after(made.floor.at, seconds(1))

        loop = Loop(made.floor, pen, perform, now)
        by_hand = system_person(this_account().removeprefix("system:"))
        known = {each.id: each for each in (SIDECAR_PERSON, by_hand)}
        commands = {**EraseDesk(loop, now).commands, **BlockDesk(loop, now).commands}
        server = CommandServer(settings.engine_socket, commands, known.get)
        await server.start()
        engine = CommandClient(settings.engine_socket, by=SIDECAR_PERSON.id, timeout_s=20)
        deciding, following = asyncio.create_task(loop.run()), asyncio.create_task(follow())
        try:
            centres = tuple(made.floor.centres.values())
            keys.sync()
            with KeyStore.open(settings.journal, settings.keys, write=False) as read:
                yield Erasure(settings, database, read, engine, lambda: centres), keys
        finally:
            over.set()
            await following
            deciding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deciding
            await engine.close()
            await server.close()


LOG = "asterisk/log/full"


def ordered(of: Erasure, items: list[Item]) -> Plan:
    units, left = parted(items, reported=False)
    (centre,) = of.centres()
    now = Instant(1_795_000_000 * SECOND)
    return of.plan(centre, "number", "番号", units, reason="本人の求め", by="user:sato", now=now, left=left)


async def test_erasing_a_number_takes_the_keys_of_its_tasks_and_the_report_counts_them(
    database: Database, tmp_path: Path
) -> None:
    made = a_desk()
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"dialled {CITIZEN}, {CALLER} rang\n")
    async with erasing(made, database, tmp_path) as (of, keys):
        items, entries = await of.of_number(DEMO, CITIZEN)
        assert (names(items), entries) == (["task-about", "task-none"], [])
        told = await of.run(ordered(of, items))
        assert (told.calls, told.personal, sorted(told.tasks)) == ([], [], ["task-about", "task-none"])
        assert (told.rows_left, told.opens, told.left, told.complete) == (0, [], [], True)
        assert (told.searched.numbers, told.searched.overwritten) == (1, 1)
        assert log.read_text() == f"dialled {'*' * len(CITIZEN)}, {CALLER} rang\n"
        assert keys.kept([M, CallId("task-about"), CallId("task-none"), CallId("task-open")]) == [
            M,
            "task-open",
        ]
        shelf = Reports(of.settings)
        (row,) = shelf.listed()
        assert (row.calls, row.tasks, row.left) == (0, 2, 0)
        found = shelf.report(row.id)
        assert found is not None and "task-none" in found[2].decode()
        assert CITIZEN not in found[1].decode() + found[2].decode()


def lose(keys: KeyStore, name: str) -> None:
    """The key of one call or task, as a table of an older back-up lacks it."""
    (table,) = (each for each in (keys._table(*at) for at in keys.tables()) if CallId(name) in each.keys)
    del table.keys[name]
    table.ciphers.pop(name, None)
    keys._rewrite(table)


async def test_a_number_whose_key_is_lost_is_passed_over_counted_and_named(
    database: Database, tmp_path: Path
) -> None:
    made = a_desk()
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"{CALLER} rang\n")
    async with erasing(made, database, tmp_path) as (of, keys):
        items = await of.between(DEMO)
        lose(keys, M)
        told = await of.run(ordered(of, [item for item in items if item.call in (M, "task-none")]))
        assert (told.calls, told.tasks, told.opens) == (["m"], ["task-none"], [])
        assert (told.searched.numbers, told.searched.numbers_kept) == (0, 1), "another task bears that one"
        assert told.searched.numbers_closed == 1 and not told.complete
        (why,) = told.unread
        assert f" {M} " in why and " / " in why
        assert of.shelf.unfinished() == []
        assert keys.kept([M, CallId("task-none"), CallId("task-open")]) == ["task-open"]


async def test_damaged_keys_of_another_centre_hold_up_no_erasing_and_are_named(
    database: Database, tmp_path: Path
) -> None:
    made = a_desk()
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"dialled {CITIZEN}\n")
    async with erasing(made, database, tmp_path) as (of, keys):
        items, _ = await of.of_number(DEMO, CITIZEN)
        plan = ordered(of, items)
        (demo,) = of.centres()
        of.centres = lambda: (demo, replace(demo, id=CentreId("other")))
        (tmp_path / "keys" / "other.2026-10.key").write_bytes(b"no key")
        (tmp_path / "journal" / "call-keys" / "other.2026-11").write_bytes(
            b"no table, whatever it was before"
        )
        told = await of.run(plan)
        assert (sorted(told.tasks), told.opens, told.complete) == (["task-about", "task-none"], [], False)
        assert ["2026-10.key" in told.unread[0], "other.2026-11" in told.unread[1]] == [True, True]
        assert len(told.unread) == 2 and of.shelf.unfinished() == []
        assert (told.searched.numbers, told.searched.numbers_kept) == (0, 1), "the other's calls may bear it"
        assert log.read_text() == f"dialled {CITIZEN}\n"
        assert keys.kept([M, CallId("task-about"), CallId("task-open")], keys.damaged()) == [M, "task-open"]


async def test_a_damaged_key_of_its_own_centre_holds_up_no_erasing_and_is_named(
    database: Database, tmp_path: Path
) -> None:
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"dialled {CITIZEN}\n")
    async with erasing(a_desk(), database, tmp_path) as (of, keys):
        items, _ = await of.of_number(DEMO, CITIZEN)
        damaged = tmp_path / "keys" / "demo.2020-01.key"
        damaged.write_bytes(b"no key")
        told = await of.run(ordered(of, items))
        assert (sorted(told.tasks), told.opens, told.complete) == (["task-about", "task-none"], [], False)
        (why,) = told.unread
        assert str(damaged) in why and " / " in why
        assert (told.searched.numbers, told.searched.numbers_kept) == (0, 1), (
            "calls of that month may bear it"
        )
        assert of.shelf.unfinished() == [] and keys.kept([CallId("task-about")]) == []


async def test_a_number_is_found_but_for_a_month_whose_key_cannot_be_read_and_the_report_names_it(
    database: Database, tmp_path: Path
) -> None:
    async with erasing(a_desk(), database, tmp_path) as (of, _):
        damaged = tmp_path / "keys" / "demo.2020-01.key"
        damaged.write_bytes(b"no key")
        unread = list[str]()
        items, _ = await of.of_number(DEMO, CITIZEN, unread)
        assert names(items) == ["task-about", "task-none"]
        (why,) = unread
        assert str(damaged) in why and " / " in why
        plan = replace_plan(ordered(of, items), unread=["what was said of it"])
        told = await of.run(plan)
        assert told.unread[0] == "what was said of it" and not told.complete


@pytest.mark.parametrize("torn", [b"no table" * 20, None], ids=["damaged", "away"])
async def test_an_unreadable_table_of_its_own_calls_keys_holds_up_nothing_and_what_is_owed_follows_once_it_is_back(
    database: Database, tmp_path: Path, torn: bytes | None
) -> None:
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"dialled {CITIZEN}\n")
    async with erasing(a_desk(), database, tmp_path) as (of, keys):
        items, _ = await of.of_number(DEMO, CITIZEN)
        keys.sync()
        (table,) = (tmp_path / "journal" / "call-keys").glob("demo.*")
        whole = table.read_bytes()
        table.unlink()
        if torn is not None:
            table.write_bytes(torn)
        of.keys._tables.clear()  # as in a process that has not read it before
        told = await of.run(ordered(of, items))
        assert told.tasks == [] and [each.call for each in told.left] == ["task-about", "task-none"], (
            "the engine would destroy the keys, by the table that it has in memory"
        )
        assert (told.rows_left, told.opens, told.searched.numbers_closed, told.complete) == (0, [], 2, False)
        assert any(str(table) in why for why in told.unread)
        assert (table.read_bytes() if table.exists() else None) == torn, "it may be mended"
        (owed,) = of.shelf.unfinished()
        raw = (of.shelf.folder / f"{owed.id}.plan").read_text()
        assert (owed.id, owed.stage) == (told.id, "owed") and CITIZEN not in raw
        assert await of.finish() == []
        assert (await of.run(ordered(of, await of.of_calls(["task-open"])))).left, "others go on"
        table.write_bytes(whole)
        (done,) = await of.finish()
        raw_report = of.shelf.file(done, "json")
        assert raw_report is not None and done != told.id
        again = report.of(raw_report)
        assert again.complete and sorted(again.tasks) == ["task-about", "task-none"] and told.id in again.what
        assert again.left == []
        assert (again.searched.numbers, again.searched.overwritten) == (1, 1)
        assert log.read_text() == f"dialled {'*' * len(CITIZEN)}\n"
        assert keys.kept([M, CallId("task-about"), CallId("task-none"), CallId("task-open")]) == [
            M,
            "task-open",
        ]
        assert of.shelf.unfinished() == [] and await of.finish() == []


async def test_what_was_not_read_waits_also_where_the_table_is_back_before_the_erasure_goes_on(
    database: Database, tmp_path: Path
) -> None:
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"dialled {CITIZEN}\n")
    async with erasing(a_desk(), database, tmp_path) as (of, keys):
        items, _ = await of.of_number(DEMO, CITIZEN)
        (table,) = (tmp_path / "journal" / "call-keys").glob("demo.*")
        whole = table.read_bytes()
        table.write_bytes(b"no table" * 20)

        def killed(what: str) -> None:
            if what == "searched":
                raise OSError("killed")

        of.step = killed
        with pytest.raises(OSError, match="killed"):
            await of.run(ordered(of, items))
        of.step = lambda what: None
        table.write_bytes(whole)
        reports = [*await of.finish(), *await of.finish()]
        first, second = (report.of(of.shelf.file(each, "json") or b"") for each in reports)
        assert (first.tasks, first.complete) == ([], False)
        assert (sorted(second.tasks), second.complete) == (["task-about", "task-none"], True)
        assert log.read_text() == f"dialled {'*' * len(CITIZEN)}\n"
        assert keys.kept([CallId("task-about"), CallId("task-none")]) == []
        assert of.shelf.unfinished() == []


async def test_one_number_that_does_not_open_holds_up_nothing_and_is_counted_and_named(
    database: Database, tmp_path: Path
) -> None:
    async with erasing(a_desk(), database, tmp_path) as (of, keys):
        items = await of.between(DEMO)
        (table,) = (each for each in (keys._table(*at) for at in keys.tables()) if M in each.keys)
        table.keys[M] = b"not what it was before, and as long as that was: 60 bytes..."
        keys._rewrite(table)
        told = await of.run(ordered(of, [item for item in items if item.call in (M, "task-none")]))
        assert (told.calls, told.tasks, told.opens) == (["m"], ["task-none"], [])
        assert told.searched.numbers_closed == 1 and not told.complete
        (why,) = told.unread
        assert f" {M} " in why and " / " in why
        assert of.shelf.unfinished() == []
        assert keys.kept([M, CallId("task-none"), CallId("task-open")]) == ["task-open"]


async def test_an_open_task_is_left_with_the_reason_and_its_number_stays_where_it_stands(
    database: Database, tmp_path: Path
) -> None:
    made = a_desk()
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    log.write_text(f"{CALLER} rang\n")
    async with erasing(made, database, tmp_path) as (of, keys):
        items, _ = await of.of_number(DEMO, CALLER)
        told = await of.run(ordered(of, items))
        assert (told.calls, told.tasks) == (["m"], ["task-about"])
        ((name, why),) = [(each.call, each.why) for each in told.left]
        assert name == "task-open" and "still to be dealt with" in why
        assert told.complete
        assert (told.searched.numbers, told.searched.numbers_kept) == (0, 2), "other tasks bear both"
        assert log.read_text() == f"{CALLER} rang\n"
        assert keys.kept([M, CallId("task-about"), CallId("task-open")]) == ["task-open"]


async def test_the_night_erases_what_was_dealt_with_long_ago(database: Database, tmp_path: Path) -> None:
    made = a_desk()
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        far = Instant(made.at(LATE) + 400 * messages.DAY * SECOND)
        verdicts = await of.judged(centre, far, 100)
        assert [v.item.call for v in verdicts if v.personal_due] == ["m", "task-about", "task-none"]
        report = await of.nightly(centre, far)
        (row,) = Reports(of.settings).listed()
        assert (row.id, row.scope, row.calls, row.tasks) == (report, "retention", 1, 2)
        assert keys.kept([M, CallId("task-about"), CallId("task-none"), CallId("task-open")]) == ["task-open"]
        assert await of.nightly(centre, far) is None


async def test_nothing_is_planned_before_the_tables_have_what_the_engine_wrote(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In what is yet to come an order may stand, a mark, or whose number it is."""
    made = a_desk()
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        far = Instant(made.at(LATE) + 400 * messages.DAY * SECOND)
        with monkeypatch.context() as standing:

            async def nowhere(sink: Projection, frames: Sequence[Frame]) -> None:
                return None

            standing.setattr(Projection, "apply", nowhere)
            standing.setattr(erasure, "CAUGHT_UP_S", 0.5)
            for call in ("m", "task-about", "task-none"):
                done = await of.engine.ask("keep_order", centre=DEMO, calls=[call], reason="裁判")
                assert done["done"], done
            for asked in (
                lambda: of.nightly(centre, far),
                lambda: of.between(DEMO),
                lambda: of.of_calls(["m"]),
                lambda: of.of_number(DEMO, CALLER),
            ):
                with pytest.raises(CannotErase, match="has not followed"):
                    await asked()
        assert len(await of.between(DEMO)) == 4
        assert await of.nightly(centre, far) is None
        assert len(keys.kept([M, CallId("task-about"), CallId("task-none"), CallId("task-open")])) == 4
