"""What a night erases: all that is due, whatever stands before it, and just what the preview said; with the reasons of
what is left. One centre's trouble is nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from msgspec.structs import replace as replace_plan
from structlog.testing import capture_logs
from typer.testing import CliRunner

from callcore import cli_erase, erasure
from callcore.cli import app
from callcore.db import Database
from callcore.demo.centre import DemoCentre
from callcore.domain.centre import Centre
from callcore.domain.hours import Window
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.recording import UNASSIGNED
from callcore.domain.retention import Why
from callcore.erasing.plan import Left
from callcore.erasing.report import of as report_of
from callcore.erasure import Erasure
from callcore.nights import RETRY_S, Nights
from callcore.recordings import signing
from callcore.settings import Settings
from tests.integration.test_db_tasks_erased import DEMO, erasing
from tests.integration.test_kept_while_erasing import searched
from tests.support.floors import Desk
from tests.unit import test_messages as messages

pytestmark = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
OPEN = "a call-back, message or task of it is still to be dealt with"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def over(made: Desk, at_s: float, *calls: str) -> None:
    """Calls that came and went, each with a number of its own, 20 s apart."""
    for n, call in enumerate(calls):
        messages.comes(made, at_s + 20 * n, call, caller=f"09753461{n:02}")
        messages.gone(made, at_s + 20 * n + 10, call)


def an_old_message(made: Desk, at_s: float, call: str) -> None:
    """Left by a caller, and nobody ever dealt with it."""
    messages.comes(made, at_s, call, caller="0312345678")
    messages.says(made, at_s + 5, call, messages.Said.BEGAN)
    messages.says(made, at_s + 15, call, messages.Said.KEPT)
    messages.gone(made, at_s + 20, call)
    messages.measured(made, at_s + 25, call)
    assert made.floor.messages[CallId(call)].open


def much_later(made: Desk) -> Instant:
    return Instant(made.at(1000) + 400 * messages.DAY * SECOND)


def calls_of(of: Erasure, report: str) -> tuple[list[str], list[Left]]:
    raw = of.shelf.file(report, "json")
    assert raw is not None
    told = report_of(raw)
    return told.calls, told.left


async def hold(of: Erasure, *calls: str) -> None:
    done = await of.engine.ask("keep_order", centre=DEMO, calls=list(calls), reason="裁判")
    assert done["done"], done


@pytest.mark.parametrize("held", [0, 3, 9])
async def test_an_open_message_and_held_calls_before_it_keep_nothing_else_from_being_erased(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 1)
    made = messages.desk()
    an_old_message(made, 0, "m")
    over(made, 100, *(f"h{n}" for n in range(held)))
    over(made, 400, "due")
    far = much_later(made)
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        if held:
            await hold(of, *(f"h{n}" for n in range(held)))
        verdicts = await of.judged(centre, far, 100)
        assert [v.item.call for v in verdicts if v.personal_due] == ["due"]
        first = await of.nightly(centre, far)
        assert first is not None and keys.kept([CallId("m"), CallId("due")]) == ["m"]
        (erased, left) = calls_of(of, first)
        assert erased == ["due"]
        assert [(each.call, OPEN in each.why) for each in left] == [("m", True)]
        with capture_logs() as logged:
            assert await of.nightly(centre, far) is None
        (said,) = [line for line in logged if line["log_level"] == "warning"]
        assert (said["centre"], said["left"], said["calls"]) == (DEMO, 1, ["m"])
        assert [OPEN in why for why in said["why"]] == [True]
        assert len(of.shelf.reports()) == 1, "what waits for somebody waits without a report each night"


async def test_all_that_is_due_goes_report_by_report_and_what_is_left_stands_in_one_of_them(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 2)
    made = messages.desk()
    due = [f"d{n}" for n in range(7)]
    over(made, 0, *due[:3])
    an_old_message(made, 200, "m")
    over(made, 300, *due[3:])
    far = much_later(made)
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        told = [calls_of(of, report) for _ in range(4) if (report := await of.nightly(centre, far))]
        assert sorted(call for erased, _ in told for call in erased) == due
        assert max(len(erased) for erased, _ in told) == 2
        assert [each.call for _, left in told for each in left] == ["m"]
        assert await of.nightly(centre, far) is None
        assert keys.kept([CallId(each) for each in (*due, "m")]) == ["m"]


async def test_very_many_that_began_at_one_instant_are_gone_through(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 1)
    made = messages.desk()
    for n in range(6):
        messages.comes(made, 0, f"d{n}", caller=f"09753461{n:02}")
    for n in range(6):
        messages.gone(made, 10, f"d{n}")
    async with erasing(made, database, tmp_path) as (of, _):
        (centre,) = of.centres()
        seen = [v.item.call for v in await of.judged(centre, much_later(made), 100)]
        assert sorted(seen) == [f"d{n}" for n in range(6)]
        for _ in range(6):
            assert await of.nightly(centre, much_later(made)) is not None
        assert await of.nightly(centre, much_later(made)) is None


# -- the preview ------------------------------------------------------------------------------------------------


def due(*more: str) -> tuple[str, str, int]:
    done = CliRunner().invoke(app, ["recordings", "due", "--centre", "demo", *more])
    return done.stdout, done.stderr, done.exit_code


@pytest.fixture
def installed(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its centre file on the disk keeps everything until told; what is applied keeps it for six months."""
    zero = "\n[retention]\n" + "".join(
        f"{kind}_months = 0\n"
        for kind in ("call", "consult", "outgoing", "contact", "message", "reported", "personal")
    )
    (tmp_path / "demo.toml").write_text(DemoCentre(agents=2).toml() + zero, encoding="utf-8")
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLCORE_DATABASE_URL", str(database.engine.url))
    monkeypatch.setenv("CALLCORE_CENTRES", str(tmp_path))
    return tmp_path


async def test_the_preview_says_by_what_is_applied_what_a_night_leaves_and_why(
    database: Database, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = messages.desk()
    an_old_message(made, 0, "m")
    over(made, 100, "h", "due")
    async with erasing(made, database, installed) as (of, _):
        (centre,) = of.centres()
        await hold(of, "h")
        in_force = await of.in_force(replace(centre, retention=replace(centre.retention, call=0)))
        assert in_force is not None and in_force.retention == centre.retention
        told, said, status = await asyncio.to_thread(due, "--on", "2036-06-01")
        assert status == 0 and said == "", said
        assert "due: 1 calls" in told and "left for now: 1" in told, told
        assert f"× 折り返し・伝言・用件の対応が済んでいない / {OPEN}" in told
        lines, _, _ = await asyncio.to_thread(due, "--on", "2036-06-01", "--json")
        rows = {row["call"]: row for row in map(json.loads, lines.splitlines())}
        assert {call: row["personal"]["why"] for call, row in rows.items()} == {
            "m": Why.LEFT.value,
            "h": Why.HELD.value,
            "due": Why.DUE.value,
        }
        assert OPEN in rows["m"]["left"] and rows["due"]["left"] is None
        monkeypatch.setattr(cli_erase, "DUE_MOST", 2)
        told, said, _ = await asyncio.to_thread(due, "--on", "2036-06-01")
        assert "the oldest 2 calls alone" in said and "due: 0 calls" in told, (told, said)
        report = await of.nightly(centre, much_later(made))
        assert report is not None and calls_of(of, report)[0] == ["due"]


async def test_a_preview_of_a_later_day_knows_that_an_extension_is_over_by_then(
    database: Database, tmp_path: Path
) -> None:
    made = messages.desk()
    over(made, 0, "longer")
    async with erasing(made, database, tmp_path) as (of, _):
        (centre,) = of.centres()
        until, far = made.at(0) // SECOND + 300 * 86_400, much_later(made)
        done = await of.engine.ask(
            "keep_order", centre=DEMO, calls=["longer"], until=until, reason="延長する"
        )
        assert done["done"], done
        assert await of.in_force(centre) == centre, "the tables have the order"
        for now, why in (
            (Instant((until - 86_400) * SECOND), Why.EXTENDED),
            (far, Why.DUE),
        ):
            (verdict,) = await of.judged(centre, now, 100)
            assert verdict.personal is not None and verdict.personal.why is why


async def test_without_an_engine_the_preview_says_that_it_goes_by_the_disk(
    database: Database, installed: Path
) -> None:
    made = messages.desk()
    over(made, 0, "due")
    async with erasing(made, database, installed):
        pass
    told, said, status = await asyncio.to_thread(due, "--on", "2036-06-01")
    assert status == 0 and "due: 0 calls" in told
    assert "centre files on the disk" in said


async def test_by_number_the_command_names_the_month_whose_key_cannot_be_read(
    database: Database, installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = messages.desk()
    over(made, 100, "due")
    async with erasing(made, database, installed) as (of, _):
        damaged = installed / "keys" / "demo.2020-01.key"
        damaged.write_bytes(b"no key")
        chosen = await cli_erase._chosen(of, None, "09-7534-6100", None, None, "demo")
        assert [item.call for item in chosen.items] == ["due"] and str(damaged) in chosen.unread[0]
        assert str(damaged) in capsys.readouterr().err


async def test_by_hand_nothing_is_chosen_of_another_centre_than_the_one_that_is_named(
    database: Database, installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = messages.desk()
    over(made, 100, "due")
    async with erasing(made, database, installed) as (of, _):

        async def chosen(*given: object) -> list[str]:
            (calls, number, first, last, centre) = given
            found = await cli_erase._chosen(of, calls, number, first, last, centre)  # type: ignore[arg-type]
            return [item.call for item in found.items]

        assert await chosen(["due"], None, None, None, None) == ["due"]
        assert await chosen(["due"], None, None, None, "demo") == ["due"]
        for centre in ("oita", ""):
            with pytest.raises(typer.Exit):
                await chosen(["due"], None, None, None, centre)
            assert "--centre" in (said := capsys.readouterr().err) and "demo" in said
        for day in ("2026-11-20", ""):
            for centre in ("demo", UNASSIGNED):
                with pytest.raises(typer.Exit):
                    await chosen(["due"], None, day, day, centre)
                assert "give --call alone" in capsys.readouterr().err
            with pytest.raises(typer.Exit):
                await chosen(None, "09-7534-6100", day, day, "demo")
            assert "no days beside it" in capsys.readouterr().err


@pytest.mark.parametrize("day", ["2026-1-5", "9999-12-31"])
async def test_by_hand_days_that_cannot_be_read_are_refused_with_what_to_write(
    database: Database, installed: Path, capsys: pytest.CaptureFixture[str], day: str
) -> None:
    async with erasing(messages.desk(), database, installed) as (of, _):
        for first, last in ((day, "2026-11-20"), ("2026-11-20", day)):
            for centre in ("demo", UNASSIGNED):
                with pytest.raises(typer.Exit):
                    await cli_erase._chosen(of, None, None, first, last, centre)
                assert "write a date like 2026-11-20" in capsys.readouterr().err
        _, said, status = await asyncio.to_thread(due, "--on", day)
        assert status == 1 and "write a date like 2026-11-20" in said


# -- several centres --------------------------------------------------------------------------------------------


def always(centre: Centre, **more: object) -> Centre:
    hours = (Window(0, 86_400),)
    return replace(centre, retention=replace(centre.retention, hours=hours), **more)  # type: ignore[arg-type]


def broken(home: Path) -> None:
    """The chain of another centre, signed by a key that is there, cannot be read."""
    signing.made(Settings(home=home).recordings_keys)
    (home / "store" / "kaput" / "2026-11-20" / "chain.jsonl").mkdir(parents=True)


@pytest.mark.parametrize(
    ("zone", "clock", "erased"),
    [
        ("Asia/Tokyo", "00:59:59", False),
        ("Asia/Tokyo", "01:00:00", True),
        ("Asia/Tokyo", "04:59:59", True),
        ("Asia/Tokyo", "05:00:00", False),
        ("Asia/Tokyo", "13:00:00", False),
        ("Europe/Lisbon", "01:00:00", True),
        ("Europe/Lisbon", "05:00:00", False),
    ],
)
async def test_nothing_is_erased_but_in_the_quiet_hours_of_its_centre(
    database: Database, tmp_path: Path, zone: str, clock: str, erased: bool
) -> None:
    """Without hours of its own: from 01:00 to 05:00 by the centre's clock."""
    made = messages.desk()
    over(made, 0, "due")
    day = datetime.fromtimestamp(much_later(made) / SECOND, ZoneInfo(zone)).date()
    at = Instant(
        round(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND
    )
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        calendar = replace(centre.calendar, zone=zone)
        await Nights(of).turn((replace(centre, calendar=calendar),), lambda: at)
        assert keys.kept([CallId("due")]) == ([] if erased else ["due"])
        assert len(of.shelf.reports()) == erased


async def test_what_goes_wrong_with_one_centre_holds_up_no_other_and_is_told_and_tried_again(
    database: Database, tmp_path: Path
) -> None:
    made = messages.desk()
    over(made, 0, "due", "later")
    broken(tmp_path)
    far, time = much_later(made), [0.0]
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        kaput, demo = always(centre, id=CentreId("kaput")), always(centre)
        nights = Nights(of, lambda: time[0])
        for said in ("kaput",), (), ("kaput",):
            with capture_logs() as logged:
                await nights.turn((kaput, demo), lambda: far)
            errors = [line for line in logged if line["log_level"] == "error"]
            assert tuple(line["centre"] for line in errors) == said
            time[0] += RETRY_S * 0.7
        assert keys.kept([CallId("due"), CallId("later")]) == []
        assert nights.unfinished == 0


async def test_an_erasure_that_cannot_be_finished_keeps_its_own_centre_from_beginning_anew_alone(
    database: Database, tmp_path: Path
) -> None:
    made = messages.desk()
    over(made, 0, "due")
    broken(tmp_path)
    far = much_later(made)
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        kaput, demo = always(centre, id=CentreId("kaput")), always(centre)
        unit = erasure.Unit(call="x", about="x", recordings=["x"], personal=False)
        plan = of.plan(kaput, "retention", "満了", [unit], reason="満了", by="service:sidecar", now=far)
        of.shelf.put(plan)
        nights = Nights(of)
        with capture_logs() as logged:
            await nights.turn((kaput, demo), lambda: far)
        errors = [line for line in logged if line["log_level"] == "error"]
        assert errors[0]["centre"] == "kaput" and len(errors) == 2, errors
        assert [each.id for each in of.shelf.unfinished()] == [plan.id] and nights.unfinished == 1
        assert keys.kept([CallId("due")]) == []


async def test_what_is_owed_of_a_damaged_table_keeps_no_night_from_going_on(
    database: Database, tmp_path: Path
) -> None:
    made = messages.desk()
    over(made, 0, "due")
    far, time = much_later(made), [0.0]
    async with erasing(made, database, tmp_path) as (of, keys):
        (centre,) = of.centres()
        unit = erasure.Unit(call="x", about="x", recordings=[], personal=True)
        plan = of.plan(centre, "retention", "満了", [unit], reason="満了", by="service:sidecar", now=far)
        of.shelf.put(replace_plan(plan, stage="owed", searched=searched()))
        keys.sync()
        table = tmp_path / "journal" / "call-keys" / "demo.2020-01"
        table.write_bytes(b"no table" * 20)
        nights = Nights(of, lambda: time[0])
        with capture_logs() as logged:
            await nights.turn((always(centre),), lambda: far)
        assert keys.kept([CallId("due")], keys.damaged()) == []
        assert plan.id in {each.id for each in of.shelf.unfinished()}
        assert nights.unfinished == 1
        assert [line["report"] for line in logged if "is owed" in line["event"]] == [plan.id]
        with capture_logs() as logged:
            await nights.turn((always(centre),), lambda: far)
            await nights.turn((always(centre),), lambda: far)
        (said,) = [line for line in logged if "is owed" in line["event"]]
        assert said["report"] != plan.id and str(table) in str(said["why"]), (
            "each is told once, with its table"
        )
        table.unlink()
        await nights.turn((always(centre),), lambda: far)
        assert of.shelf.unfinished(), "it is looked at once a minute"
        time[0] += RETRY_S
        await nights.turn((always(centre),), lambda: far)
        assert of.shelf.unfinished() == [] and nights.unfinished == 0
