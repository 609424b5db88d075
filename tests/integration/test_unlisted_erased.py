"""Sound in the store that no row of the database tells of is found, held, kept and erased with its call."""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete
from structlog.testing import capture_logs

from callcore.db import Database
from callcore.db.tables import calls as calls_table
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Centre, Retention
from callcore.domain.ids import CallId, Instant
from callcore.domain.recording import UNASSIGNED, RecordingKind
from callcore.domain.retention import Item, Why
from callcore.erasing import report
from callcore.erasing.plan import Plan, Unit
from callcore.erasure import Erasure, Reports, parted, unit_due, unit_of
from callcore.recordings import KeyRing, Recordings
from callcore.recordings.errors import KeyDestroyed
from callcore.recordings.keeper import Whose
from callcore.recordings.signing import installed
from callcore.recordings.verify import verify
from callcore.unassigned import NO_CENTRE
from tests.integration.test_db_tasks_erased import DEMO, erasing
from tests.integration.test_kept_while_erasing import CALLS, marked, searched, three_talks
from tests.support.floors import Desk
from tests.support.store import DAY_US, House, wav
from tests.unit import test_messages as messages

TALK, SPOKE, LEFT, STRANGER = CallId("c1"), CallId("m"), CallId("u"), CallId("node1-1700000000.7")
CITIZEN = "0975346111"
SILENT, SECOND_ONE, ALONE, ELSEWHERE = ("m.message", "c1~2", "u", "m.later")
UNLISTED = [SECOND_ONE, SILENT, ELSEWHERE, ALONE]
"""A message in which nothing was said, a second file of one name, the sound of a caller whom nobody answered, and one
that was kept while nobody knew the centre of its call."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def keep(
    house: House,
    name: str,
    call: CallId | None,
    of: RecordingKind | None,
    centre: str = DEMO,
    sound: bytes = b"",
) -> None:
    whose = Whose(centre, "Asia/Tokyo", call, of, house.world.at, True)
    house.keeper().keep(house.record(name, sound), whose)


def a_centre(home: Path) -> tuple[Desk, House]:
    """A talk; one who put down without a word after the tone; one who hung up in the line; and something of nobody."""
    made, house = messages.desk(), House(home)
    made.sign_in(1, 1)
    made.wait(10, TALK)
    made.pick_up(12, TALK)
    made.hang_up(18, TALK)
    made.tell(
        i.RecordingMeasured(
            at=made.at(19), call=TALK, file="c1.wav", size=96_044, seconds=6.0, sha256="ab", problem=None
        )
    )
    messages.comes(made, 20, SPOKE, caller=CITIZEN)
    messages.says(made, 25, SPOKE, messages.Said.BEGAN)
    messages.gone(made, 32, SPOKE)
    messages.measured(made, 35, SPOKE, voice=0.1)
    made.wait(40, LEFT)
    made.hang_up(50, LEFT)
    assert [fact.call for fact in made.told(f.RecordingFiled)] == [TALK] and not made.told(f.MessageFiled)
    house.world.at = made.at(60)
    keep(house, TALK, TALK, RecordingKind.CALL)
    keep(house, SILENT, SPOKE, RecordingKind.MESSAGE, sound=wav(home / "quiet.wav", 2).read_bytes())
    keep(house, TALK, TALK, RecordingKind.CALL, sound=wav(home / "other.wav", 1).read_bytes())
    keep(house, ALONE, LEFT, RecordingKind.CALL)
    keep(house, ELSEWHERE, SPOKE, None, UNASSIGNED)
    keep(house, STRANGER, STRANGER, None, UNASSIGNED)
    return made, house


@asynccontextmanager
async def working(database: Database, home: Path) -> AsyncIterator[tuple[Erasure, Desk, House]]:
    made, house = a_centre(home)
    async with erasing(made, database, home) as (of, _):
        yield of, made, house


def demo(of: Erasure) -> Centre:
    (centre,) = of.centres()
    return centre


def by_hand(of: Erasure, scope: str, items: list[Item], now: Instant, *, reported: bool = False) -> Plan:
    units, left = parted(items, reported=reported)
    return of.plan(
        *(demo(of), scope, scope, units),
        reason="本人の求め",
        by="user:sato",
        now=now,
        left=left,
        reported=reported,
    )


def heard(house: House, ring: KeyRing | None = None) -> list[str]:
    """The recordings of the store that these keys (the present ones) open."""
    with_keys = Recordings(house.spool, house.store, ring or KeyRing(house.keys))
    found = []
    for path in with_keys.sealed(""):
        try:
            with with_keys.opened(path) as sound:
                found.append(path.stem if sound.read() else "")
        except KeyDestroyed:
            continue
    return sorted(found)


def sounds(items: list[Item]) -> dict[str, list[str]]:
    return {item.call: sorted(sound.name for sound in item.sounds) for item in items}


ALL_SOUNDS = {TALK: [TALK, SECOND_ONE], SPOKE: [ELSEWHERE, SILENT], LEFT: [ALONE]}


async def test_erasing_a_centre_reaches_the_sound_that_no_row_tells_of(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        assert heard(house) == sorted([TALK, *UNLISTED, STRANGER])
        told = await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))
        assert sorted(each.name for each in told.recordings) == sorted([TALK, *UNLISTED])
        assert (told.complete, told.left) == (True, [])
        assert heard(house) == [STRANGER], "of another, or of nobody"
        assert house.named() == set(), "the chain tells of each"
        assert await of.between(DEMO) == []


@pytest.mark.parametrize("scope", ["call", "number", "period"])
async def test_a_call_a_number_and_days_take_it_along(database: Database, tmp_path: Path, scope: str) -> None:
    async with working(database, tmp_path) as (of, made, house):
        if scope == "call":
            items = await of.of_calls([SPOKE, TALK])
        elif scope == "number":
            items, _ = await of.of_number(DEMO, CITIZEN)
        else:
            items = await of.between(DEMO, made.at(5), made.at(35))
        of_both = {SPOKE: ALL_SOUNDS[SPOKE], TALK: ALL_SOUNDS[TALK]}
        assert sounds(items) == (of_both if scope != "number" else {SPOKE: ALL_SOUNDS[SPOKE]})
        told = await of.run(by_hand(of, scope, items, made.at(100)))
        assert told.complete
        left = sorted([ALONE, STRANGER, *([] if scope != "number" else ALL_SOUNDS[TALK])])
        assert heard(house) == left


async def test_the_rule_of_its_kind_and_the_end_of_its_call_say_when_it_is_due(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        centre = demo(of)
        assert await of.judged(centre, Instant(made.at(60) + 100 * DAY_US), 100) == []
        (early,) = {
            judged.why
            for verdict in await of.judged(centre, Instant(made.at(60) + 175 * DAY_US), 100)
            for _, judged in verdict.sounds
        }
        assert early is Why.RULE
        far = Instant(made.at(60) + 190 * DAY_US)
        verdicts = await of.judged(centre, far, 100)
        assert {v.item.call: sorted(s.name for s in v.due) for v in verdicts} == ALL_SOUNDS
        kinds = {sound.name: (sound.kind, sound.over) for v in verdicts for sound in v.due}
        assert kinds[SILENT] == (RecordingKind.MESSAGE, made.at(32))
        assert kinds[SECOND_ONE] == (RecordingKind.CALL, made.at(18))
        assert await of.judged(centre, far, 1) != [], "the oldest first, however few are asked for"
        report_id = await of.nightly(centre, far)
        assert report_id is not None
        assert heard(house) == [STRANGER]
        assert await of.nightly(centre, far) is None
        (left,) = await of.judged(NO_CENTRE, far, 100)
        assert sounds([left.item]) == {STRANGER: [STRANGER]}


async def test_an_open_message_keeps_its_sound_though_the_months_of_persons_are_longer(
    database: Database, tmp_path: Path
) -> None:
    """Somebody still has to act on it; the preview says so as the night does."""
    made = messages.desk(retention=Retention(message=3, personal=24))
    messages.left(made, 10, "open")
    messages.left(made, 40, "done")
    messages.closed(made, 70, "done")
    house = House(tmp_path)
    house.world.at = made.at(60)
    for call in ("open", "done"):
        name = f"{call}.message"
        sound = wav(tmp_path / f"{call}.wav", 1).read_bytes()
        keep(house, name, CallId(call), RecordingKind.MESSAGE, sound=sound)
    async with erasing(made, database, tmp_path) as (of, _):
        far = Instant(made.at(60) + 100 * DAY_US)
        verdicts = {v.item.call: v for v in await of.judged(demo(of), far, 100)}
        assert {call: [sound.name for sound in v.due] for call, v in verdicts.items()} == {
            "open": [],
            "done": ["done.message"],
        }
        left = verdicts[CallId("open")]
        assert "still to be dealt with" in str(left.left) and verdicts[CallId("done")].left is None
        assert [judged.why for _, judged in left.sounds] == [Why.LEFT]
        assert left.personal is not None and left.personal.why is Why.RULE
        report_id = await of.nightly(demo(of), far)
        shown = Reports(of.settings).report(str(report_id))
        assert shown is not None
        told = report.of(shown[1])
        assert [each.name for each in told.recordings] == ["done.message"]
        assert [(each.call, each.why) for each in told.left] == [("open", left.left)]
        assert heard(house) == ["open.message"]
        with capture_logs() as logs:
            assert await of.nightly(demo(of), far) is None
        (named,) = [each for each in logs if "left for now" in each["event"]]
        assert named["why"] == {left.left: 1} and named["calls"] == ["open"]


async def test_a_message_that_is_opened_again_while_it_is_being_erased_keeps_its_sound(
    database: Database, tmp_path: Path
) -> None:
    made = messages.desk(retention=Retention(message=3, personal=24))
    messages.left(made, 10)
    house = House(tmp_path)
    house.world.at = made.at(60)
    keep(house, SILENT, SPOKE, RecordingKind.MESSAGE, sound=wav(tmp_path / "m.wav", 1).read_bytes())
    async with erasing(made, database, tmp_path) as (of, _):
        unit = Unit(call=SPOKE, about=SPOKE, recordings=[SILENT], personal=False)
        now = Instant(made.at(60) + 100 * DAY_US)
        plan = of.plan(demo(of), "retention", "満了", [unit], reason="満了", by="user:sato", now=now)
        plan.stage, plan.searched = "searched", searched()
        told = await of.run(plan)
        assert (told.recordings, [each.call for each in told.left]) == ([], [SPOKE])
        assert heard(house) == [SILENT]


async def test_an_order_and_a_report_of_its_call_keep_it(database: Database, tmp_path: Path) -> None:
    async with working(database, tmp_path) as (of, made, house):
        held = {"centre": DEMO, "calls": [SPOKE], "until": None, "reason": "訴訟"}
        assert (await of.engine.ask("keep_order", **held))["done"]
        await marked(database, made, LEFT)
        verdicts = await of.judged(demo(of), Instant(made.at(60) + 190 * DAY_US), 100)
        why = {v.item.call: {judged.why for _, judged in v.sounds} for v in verdicts}
        assert (why[TALK], why[LEFT]) == ({Why.DUE}, {Why.UNTIL_TOLD})
        told = await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))
        assert sorted(each.call for each in told.left) == [SPOKE, LEFT]
        assert told.complete, "what is left is named, and nothing else is there"
        assert heard(house) == sorted([SILENT, ELSEWHERE, ALONE, STRANGER])


async def test_a_mark_that_comes_meanwhile_keeps_it(database: Database, tmp_path: Path) -> None:
    async with working(database, tmp_path) as (of, made, house):
        plan = by_hand(of, "call", await of.of_calls([LEFT]), made.at(100))
        await marked(database, made, LEFT)
        told = await of.run(plan)
        assert [each.call for each in told.left] == [LEFT]
        assert ALONE in heard(house)


async def test_the_check_afterwards_finds_what_the_plan_left_out(database: Database, tmp_path: Path) -> None:
    async with working(database, tmp_path) as (of, made, house):
        items = [Item(item.call, item.about, item.over, (), item.personal) for item in await of.between(DEMO)]
        for scope in ("call", "centre"):
            plan = by_hand(of, scope, items, Instant(made.at(100)))
            told = await of.run(plan)
            assert not told.complete
            assert {line.split(":")[0] for line in told.opens} == {TALK, *UNLISTED}
        assert set(heard(house)) >= set(UNLISTED)


async def test_sound_that_still_lies_in_clear_is_waited_for(database: Database, tmp_path: Path) -> None:
    async with working(database, tmp_path) as (of, made, house):
        house.record(f"{LEFT}.message")
        told = await of.run(by_hand(of, "call", await of.of_calls([LEFT]), made.at(100)))
        ((call, why),) = [(each.call, each.why) for each in told.left]
        assert call == LEFT and "not sealed yet" in why
        assert ALONE in heard(house)


async def test_what_belongs_to_a_person_stays_as_long_as_such_a_sound_does(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, _):
        await marked(database, made, SPOKE)
        verdicts = await of.judged(demo(of), Instant(made.at(60) + 190 * DAY_US), 100)
        (spoke,) = [v for v in verdicts if v.item.call == SPOKE]
        assert spoke.personal is not None and spoke.personal.why is Why.SOUND
        assert unit_due(spoke) is None


async def test_sound_of_a_call_whose_row_is_gone_is_reached_by_centre_days_and_call(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        async with database.writing() as connection:
            await connection.execute(delete(calls_table))
        assert sounds(await of.between(DEMO))[LEFT] == [ALONE]
        kept = made.at(60)
        assert sounds(await of.between(DEMO, kept, Instant(kept + 1)))[LEFT] == [ALONE]
        assert LEFT not in sounds(await of.between(DEMO, Instant(kept + 1)))
        assert await of.centre_of(LEFT) == DEMO
        told = await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))
        assert told.complete
        assert ALONE not in heard(house) and TALK not in heard(house)


async def test_the_list_of_no_centre_and_its_erasing_tell_of_the_same(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, _, _):
        assert sounds(await of.unassigned()) == {STRANGER: [STRANGER]}, "the other one's call is known"


async def test_a_name_that_is_kept_anew_on_the_day_of_its_erasing_is_found_again(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, _, house):
        house.world.at = Instant(time.time_ns() // 1000)
        for _ in range(2):
            keep(house, f"{LEFT}.again", LEFT, None)
            told = await of.run(by_hand(of, "call", await of.of_calls([LEFT]), house.world.at))
            assert f"{LEFT}.again" in {each.name for each in told.recordings}
            assert told.complete and f"{LEFT}.again" not in heard(house)
        assert house.named() == set()


async def test_lines_whose_time_cannot_be_read_stop_no_erasing_by_the_rule_but_of_what_nothing_else_tells(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        edited = {line.partition("/")[2] for centre in (DEMO, UNASSIGNED) for line in house.edit(centre, "x")}
        centre, far = demo(of), Instant(made.at(60) + 190 * DAY_US)
        verdicts = await of.judged(centre, far, 100)
        assert {v.item.call: sorted(s.name for s in v.due) for v in verdicts} == ALL_SOUNDS, "by their calls"
        with capture_logs() as logged:
            assert await of.nightly(centre, far) is not None
            assert await of.nightly(NO_CENTRE, far) is None
        loud = [each["recordings"] for each in logged if "callcore doctor" in each["event"]]
        assert loud == [[SILENT, ELSEWHERE, SECOND_ONE, ALONE], [STRANGER]]
        assert heard(house) == [STRANGER], "nobody can tell how long"
        assert {name for fault, name in house.named() if fault == "line_altered"} == edited
        ((item,), now) = (await of.unassigned(), made.at(100))
        assert (item.call, item.over) == (STRANGER, None)
        plan = of.plan(NO_CENTRE, "centre", "centre", [unit_of(item)], reason="整理", by="user:sato", now=now)
        assert (await of.run(plan)).complete
        assert heard(house) == []


async def test_by_hand_a_line_whose_time_cannot_be_read_is_found_by_call_and_centre_and_in_no_days(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        async with database.writing() as connection:
            await connection.execute(delete(calls_table))
        house.edit(DEMO, "x")
        assert LEFT not in sounds(await of.between(DEMO, Instant(0), Instant(made.at(60) + DAY_US)))
        assert sounds(await of.of_calls([LEFT]))[LEFT] == [ALONE]
        items = await of.between(DEMO)
        assert sounds(items)[LEFT] == [ALONE]
        without = [item for item in items if item.call != LEFT]
        told = await of.run(by_hand(of, "centre", without, made.at(100)))
        assert not told.complete and {line.split(":")[0] for line in told.opens} == {ALONE}
        assert (await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))).complete
        assert heard(house) == [STRANGER]


# -- keys that cannot be read ---------------------------------------------------------------------------------------


async def test_a_damaged_table_of_nobodys_keys_holds_up_no_centre_and_is_named(
    database: Database, tmp_path: Path
) -> None:
    made, house = three_talks(tmp_path)
    keep(house, STRANGER, STRANGER, None, UNASSIGNED)
    (table,) = (house.keys / "files" / UNASSIGNED).iterdir()
    whole = table.read_bytes()
    table.write_bytes(whole + b"no line\n")
    async with erasing(made, database, tmp_path) as (of, _):
        told = await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))
        assert (len(told.recordings), told.opens, told.complete) == (3, [], False)
        (why,) = told.unread
        assert str(table) in why and " / " in why
        page = of.shelf.file(told.id, "html")
        assert (
            page is not None and str(table) in page.decode() and "could not be looked into" in page.decode()
        )
        assert of.shelf.unfinished() == [] and table.read_bytes() == whole + b"no line\n"
        table.write_bytes(whole)
        assert heard(house) == [STRANGER]


@pytest.mark.parametrize("centre", [DEMO, UNASSIGNED])
async def test_a_damaged_table_in_which_the_key_itself_should_be_holds_up_nothing_and_is_owed_until_it_is_back(
    database: Database, tmp_path: Path, centre: str
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        (table,) = (house.keys / "files" / centre).iterdir()
        whole = table.read_bytes()
        table.write_bytes(whole + b"no line\n")
        told = await of.run(by_hand(of, "call", await of.of_calls([SPOKE]), made.at(100)))
        assert sorted(gone.name for gone in told.recordings) == [ELSEWHERE, SILENT]
        assert (told.rows_left, told.opens, told.complete) == (0, [], False)
        assert [str(table) in why for why in told.unread] == [True]
        assert house.recordings.find(ELSEWHERE) is None and house.recordings.find(SILENT) is None
        assert verify(house.store, installed(house.keys)).found == []
        assert table.read_bytes() == whole + b"no line\n", "keys of what is kept are in it"
        other, name = (UNASSIGNED, ELSEWHERE) if centre == DEMO else (DEMO, SILENT)
        assert not KeyRing(house.keys).has(other, name)
        ((owed, stage),) = [(plan.id, plan.stage) for plan in of.shelf.unfinished()]
        assert (owed, stage) == (told.id, "owed")
        assert await of.finish() == [] and [plan.id for plan in of.shelf.unfinished()] == [owed]
        table.write_bytes(whole)
        assert KeyRing(house.keys).has(centre, ELSEWHERE if centre == UNASSIGNED else SILENT)
        (done,) = await of.finish()
        raw = of.shelf.file(done, "json")
        assert raw is not None
        again = report.of(raw)
        assert again.complete and told.id in again.what and len(again.recordings) == 2
        assert [gone.line for gone in again.recordings] == [gone.line for gone in told.recordings]
        assert of.shelf.unfinished() == []
        assert not any(
            KeyRing(house.keys).has(of_, name) for of_ in (DEMO, UNASSIGNED) for name in UNLISTED[1:3]
        )
        assert heard(house) == sorted([TALK, SECOND_ONE, ALONE, STRANGER])


@pytest.mark.parametrize("dies_at", ["planned", "key", "file", "engine", "copies", "tables", "report"])
async def test_what_is_owed_is_finished_whatever_step_dies(
    database: Database, tmp_path: Path, dies_at: str
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        (table,) = (house.keys / "files" / DEMO).iterdir()
        whole = table.read_bytes()
        table.write_bytes(whole + b"no line\n")
        backup = tmp_path / "backups"
        shutil.copytree(house.store, backup / "A" / "store")
        of.settings = of.settings.model_copy(update={"backups": str(backup)})
        for call in (SPOKE, LEFT):
            await of.run(by_hand(of, "call", await of.of_calls([call]), made.at(100)))
        assert [plan.stage for plan in of.shelf.unfinished()] == ["owed", "owed"]
        table.write_bytes(whole)
        died = list[str]()

        def step(what: str) -> None:
            if what == dies_at and len(died) < 2:
                died.append(what)
                raise RuntimeError(what)

        of.step = step
        with pytest.raises(RuntimeError, match=dies_at):
            await of.finish()
        assert len(of.shelf.unfinished()) == 2
        told = [report.of(raw) for done in await of.finish() if (raw := of.shelf.file(done, "json"))]
        assert [(each.complete, each.resumed) for each in told] == [(True, 1)] * 2
        assert of.shelf.unfinished() == [] and len(of.shelf.reports()) == 4
        assert heard(house) == sorted([TALK, SECOND_ONE, STRANGER])
        assert not KeyRing(house.keys).names(DEMO) & {SILENT, ALONE}
        assert verify(house.store, installed(house.keys)).found == []


async def test_another_call_of_nobodys_damaged_table_owes_nothing(database: Database, tmp_path: Path) -> None:
    async with working(database, tmp_path) as (of, made, house):
        (table,) = (house.keys / "files" / UNASSIGNED).iterdir()
        table.write_bytes(table.read_bytes() + b"no line\n")
        assert (await of.run(by_hand(of, "call", await of.of_calls([LEFT]), made.at(100)))).unread
        assert of.shelf.unfinished() == []


async def test_a_mark_that_comes_meanwhile_keeps_what_lies_under_a_damaged_table(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (of, made, house):
        (table,) = (house.keys / "files" / DEMO).iterdir()
        whole = table.read_bytes()
        plan = by_hand(of, "call", await of.of_calls([LEFT]), made.at(100))
        await marked(database, made, LEFT)
        table.write_bytes(whole + b"no line\n")
        told = await of.run(plan)
        assert ([each.call for each in told.left], told.recordings) == ([LEFT], [])
        table.write_bytes(whole)
        assert ALONE in heard(house) and of.shelf.unfinished() == []


# -- back-ups ------------------------------------------------------------------------------------------------------


async def test_keys_of_no_centre_go_from_back_ups_too(database: Database, tmp_path: Path) -> None:
    backup = tmp_path / "backups"
    async with working(database, tmp_path / "home") as (of, made, house):
        shutil.copytree(house.keys, backup / "B" / "keys")
        of.settings = of.settings.model_copy(update={"backups": str(backup)})
        old = KeyRing(backup / "B" / "keys")
        store = shutil.copytree(house.store, tmp_path / "tape")
        told = await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))
        assert told.complete and told.copies.recording_keys == 1 + len(UNLISTED)
        with pytest.raises(KeyDestroyed):
            Recordings(house.spool, store, old).open(ELSEWHERE)
        with Recordings(house.spool, store, old).open(STRANGER) as sound:
            assert sound.read(), "nobody told it to go"


async def test_a_recording_that_has_a_row_and_lies_among_those_of_no_centre_goes_from_back_ups(
    database: Database, tmp_path: Path
) -> None:
    made, house = three_talks(tmp_path / "home", UNASSIGNED)
    backup = tmp_path / "backups"
    async with erasing(made, database, tmp_path / "home") as (of, _):
        shutil.copytree(house.keys, backup / "keys")
        of.settings = of.settings.model_copy(update={"backups": str(backup)})
        told = await of.run(by_hand(of, "centre", await of.between(DEMO), made.at(100)))
        assert told.complete and (len(told.recordings), told.copies.recording_keys) == (3, 3)
        assert not any(KeyRing(backup / "keys").has(UNASSIGNED, call) for call in CALLS)


async def test_a_key_that_stayed_in_a_back_up_is_named(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = tmp_path / "backups"
    async with working(database, tmp_path / "home") as (of, made, house):
        shutil.copytree(house.keys, backup / "B" / "keys")
        shutil.copytree(of.settings.journal, backup / "A" / "journal")
        of.settings = of.settings.model_copy(update={"backups": str(backup)})
        monkeypatch.setattr(
            "callcore.erasing.copies.destroy", lambda *_: report.Copies(folders=[str(backup)])
        )
        told = await of.run(by_hand(of, "call", await of.of_calls([SPOKE]), made.at(100)))
        assert not told.complete
        named = {line.split(": ")[1] for line in told.opens}
        assert named == {SILENT, ELSEWHERE, SPOKE} and all(str(backup) in line for line in told.opens)


async def test_a_damaged_copy_of_keys_holds_up_no_erasure_and_the_report_says_that_it_was_not_looked_into(
    database: Database, tmp_path: Path
) -> None:
    backup = tmp_path / "backups"
    async with working(database, tmp_path / "home") as (of, made, house):
        shutil.copytree(house.keys, backup / "B" / "keys")
        shutil.copytree(of.settings.journal, backup / "A" / "journal")
        torn = [*backup.glob("A/journal/call-keys/demo.*"), *backup.glob(f"B/keys/files/{DEMO}/*.jsonl")]
        assert len(torn) == 2
        torn[0].write_bytes(b"")
        torn[1].write_bytes(b"\0" * 99 + b"\n")
        of.settings = of.settings.model_copy(update={"backups": str(backup)})
        told = await of.run(by_hand(of, "call", await of.of_calls([SPOKE]), made.at(100)))
        assert not of.shelf.unfinished()
        assert not told.complete and told.rows_left == 0 and told.copies.recording_keys == 1, "that of nobody"
        assert [line.split(": ")[0] for line in told.opens] == [str(path) for path in torn]
        assert all("確かめられません" in line and "cannot be looked into" in line for line in told.opens)
        page = of.shelf.file(told.id, "html")
        assert page is not None and all(str(path) in page.decode() for path in torn)


async def test_a_back_up_that_cannot_be_written_holds_up_no_erasure_and_is_named_with_what_to_do(
    database: Database, tmp_path: Path
) -> None:
    backup = tmp_path / "backups"
    async with working(database, tmp_path / "home") as (of, made, house):
        shutil.copytree(house.keys, backup / "B" / "keys")
        (backup / "B" / "keys" / ".lock").unlink()
        (backup / "B" / "keys" / ".lock").mkdir()
        log = backup / "A" / "asterisk-log"
        (log / "cel-custom").mkdir(parents=True)
        (log / "full.gz").write_bytes(gzip.compress(f"{CITIZEN} rang".encode()))
        (log / "full.gz.new").mkdir()
        of.settings = of.settings.model_copy(update={"backups": str(backup)})
        told = await of.run(by_hand(of, "call", await of.of_calls([SPOKE]), made.at(100)))
        assert of.shelf.unfinished() == [] and not told.complete and told.rows_left == 0
        named = {line.split(": ")[0] for line in told.unread}
        assert named == {str(log / "full.gz"), *map(str, (backup / "B" / "keys" / "files").rglob("*.jsonl"))}
        assert all("take a new back-up" in line for line in told.unread)
        assert {line.split(": ")[1] for line in told.opens} == {SILENT, ELSEWHERE}, "the check found them"
        assert told.searched.found == 1
        page = of.shelf.file(told.id, "html")
        assert page is not None and all(path in page.decode() for path in named)


@pytest.mark.parametrize("empty", [False, True])
async def test_a_folder_of_back_ups_that_is_not_there_is_named_with_what_to_do(
    database: Database, tmp_path: Path, empty: bool
) -> None:
    """Or is an empty mount point: a back-up leaves something."""
    there, away = tmp_path / "a", tmp_path / "b"
    there.mkdir()
    (there / "backup.json").write_text("{}")
    if empty:
        away.mkdir()
    async with working(database, tmp_path / "home") as (of, made, _):
        of.settings = of.settings.model_copy(update={"backups": f"{there},{away}"})
        told = await of.run(by_hand(of, "call", await of.of_calls([SPOKE]), made.at(100)))
        assert not of.shelf.unfinished() and not told.complete and told.rows_left == 0
        (line,) = told.opens
        assert line.startswith(f"{away}: ") and "取り付け" in line and "mount it" in line
        assert [place.place for place in told.searched.places if not place.there] == [f"backup {away}"]
