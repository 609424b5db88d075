"""Recordings of which nobody knows the centre: kept for the months that hold without a rule, then erased."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callcore.cli import app
from callcore.db import Database
from callcore.demo.centre import DemoCentre
from callcore.domain.ids import Instant
from callcore.domain.recording import UNASSIGNED, RecordingKind
from callcore.domain.retention import Item, Verdict, Why
from callcore.erasing.plan import Plan
from callcore.erasure import Erasure, Reports, parted
from callcore.recordings.keeper import Whose
from callcore.unassigned import NO_CENTRE, is_there
from tests.integration.test_db_tasks_erased import a_desk, erasing
from tests.support.store import DAY_US, NOON, House

pytestmark = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
STRANGER = "node1-1700000000.7"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def kept(house: House, name: str, of: RecordingKind | None = None, call: str | None = None) -> None:
    whose = Whose(UNASSIGNED, "Asia/Tokyo", call, of, None, True)
    house.keeper().keep(house.record(name), whose)


def a_house(home: Path) -> House:
    """Something of nobody's, a stranger's talk with a message, a reported one, and one of a centre."""
    house = House(home)
    kept(house, "notes of somebody")
    kept(house, STRANGER, RecordingKind.CALL, STRANGER)
    kept(house, f"{STRANGER}.message", RecordingKind.MESSAGE, STRANGER)
    house.protected.mkdir()
    (house.protected / "node1-1700000001.8.wav").touch()
    kept(house, "node1-1700000001.8", call="node1-1700000001.8")
    house.world.at = Instant(NOON + 90 * DAY_US)
    kept(house, "younger")
    house.keep("c1")
    return house


def days(n: int) -> Instant:
    return Instant(NOON + n * DAY_US)


def due(verdicts: list[Verdict]) -> list[str]:
    return sorted(sound.name for v in verdicts for sound in v.due)


async def test_the_night_erases_them_after_six_months_and_reported_ones_never(
    database: Database, tmp_path: Path
) -> None:
    house = a_house(tmp_path)
    old = ["node1-1700000000.7", "node1-1700000000.7.message", "notes of somebody"]
    async with erasing(a_desk(), database, tmp_path) as (of, _):
        assert is_there(of.settings.store)
        assert due(await of.judged(NO_CENTRE, days(170), 100)) == []
        verdicts = await of.judged(NO_CENTRE, days(190), 100)
        assert due(verdicts) == old
        left = [j.why for v in verdicts for _, j in v.sounds if j.why is not Why.DUE]
        assert left == [Why.UNTIL_TOLD], "the younger one is not looked at yet"
        report = await of.nightly(NO_CENTRE, days(190))
        (row,) = Reports(of.settings).listed()
        assert (row.id, row.centre, row.recordings, row.complete) == (report, UNASSIGNED, 3, True)
        assert await of.nightly(NO_CENTRE, days(190)) is None
    assert house.named() == set(), "the chain tells of it"
    for name in old:
        assert house.recordings.find(name) is None
    for name in ("node1-1700000001.8", "younger", "c1"):
        assert house.recordings.find(name) is not None


async def test_they_are_erased_by_hand_and_held_by_order(database: Database, tmp_path: Path) -> None:
    house = a_house(tmp_path)
    async with erasing(a_desk(), database, tmp_path) as (of, _):
        held = {"centre": UNASSIGNED, "calls": [STRANGER], "until": None, "reason": "訴訟"}
        assert (await of.engine.ask("keep_order", **held))["done"]
        told = await of.run(by_hand(of, await of.unassigned()))
        assert [left.call for left in told.left] == ["node1-1700000001.8", STRANGER]
        assert sorted(each.name for each in told.recordings) == ["notes of somebody", "younger"]
        assert told.complete
    assert house.recordings.find(STRANGER) is not None


async def test_the_preview_names_them(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_house(tmp_path)
    async with erasing(a_desk(), database, tmp_path):  # the keys are made
        pass
    (tmp_path / "demo.toml").write_text(DemoCentre(agents=2).toml(), encoding="utf-8")
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLCORE_DATABASE_URL", str(database.engine.url))
    monkeypatch.setenv("CALLCORE_CENTRES", str(tmp_path))
    for centre in ((), ("--centre", UNASSIGNED)):
        words = ["recordings", "due", "--on", "2027-06-01", "--json", *centre]
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert done.exit_code == 0, done.output
        told = [json.loads(line) for line in done.stdout.splitlines()]
        named = [r["recording"] for one in told for r in one["recordings"] if one["centre"] == UNASSIGNED]
        assert sorted(named)[:2] == [STRANGER, f"{STRANGER}.message"], centre


def by_hand(of: Erasure, items: list[Item]) -> Plan:
    units, left = parted(items, reported=False)
    return of.plan(
        NO_CENTRE, "centre", NO_CENTRE.name, units, reason="整理", by="user:sato", now=NOON, left=left
    )
