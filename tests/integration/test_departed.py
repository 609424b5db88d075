"""What is kept of a centre that is in no file any more is kept until told: previewed, held, handed over, erased."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from typer.testing import CliRunner, Result

from callcore import console, sidecar
from callcore.access.rights import SIDECAR_PERSON, Role
from callcore.cli import app
from callcore.db import Database, migrate
from callcore.demo.centre import DemoCentre
from callcore.domain import inputs as i
from callcore.domain.centre import Centre
from callcore.domain.floor import Floor
from callcore.domain.ids import CentreId, Instant
from callcore.domain.measures import Books
from callcore.erasure import Erasure, Reports
from callcore.journal import KeyStore
from callcore.nights import Nights
from callcore.runtime.commands import Refused
from callcore.runtime.erasedesk import EraseDesk
from callcore.runtime.loop import Loop
from callcore.runtime.ports import Seq, View
from callcore.settings import Settings
from callcore.sidecar import Sidecar
from tests.integration.test_db_tasks_erased import DEMO, erasing
from tests.integration.test_kept_while_erasing import CALLS, heard, three_talks
from tests.integration.test_web_recordings import ask
from tests.support.floors import Desk, centre, configuration
from tests.support.people import cheap_hashes, first_administrator, user
from tests.support.recorded import Stock, keep, stocked
from tests.support.store import DAY_US, House
from tests.support.web import DeskSource, served

pytestmark = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> Path:
    """Where the commands look; the one centre file is of another centre."""
    folder = tmp_path / "centres"
    folder.mkdir()
    (folder / "other.toml").write_text(DemoCentre(agents=2).toml().replace("demo", "other"), encoding="utf-8")
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLCORE_DATABASE_URL", str(database.engine.url))
    monkeypatch.setenv("CALLCORE_CENTRES", str(folder))
    monkeypatch.setattr(console.out, "width", 200)
    return tmp_path


@asynccontextmanager
async def left(database: Database, home: Path) -> AsyncIterator[tuple[Erasure, KeyStore, House, Desk]]:
    """Three talks of a centre, which was then taken out of the files."""
    made, house = three_talks(home)
    without = replace(configuration(), version="without", centres=())
    made.tell(i.ConfigurationChanged(at=made.at(100), configuration=without))
    async with erasing(made, database, home) as (of, keys):
        yield of, keys, house, made


async def run(*words: str, status: int = 0) -> Result:
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == status, done.output
    return done


def far(made: Desk, days: int = 400) -> Instant:
    return Instant(made.at(0) + days * DAY_US)


async def test_the_preview_names_it_with_all_others_and_alone(database: Database, installed: Path) -> None:
    async with left(database, installed):
        for words in ((), ("--centre", "demo")):
            done = await run("recordings", "due", "--on", "2036-01-01", *words)
            assert "demo: 適用中のセンターにない" in done.stderr and "demo" in done.stdout, words
            assert "due: 0 calls" in done.stdout, "until told"
        found = json.loads((await run("recordings", "find", "--centre", "demo", "--json")).stdout)
        kept = {(r["kept_by"], r["keep_until"]) for r in found["recordings"]}
        assert kept == {("until_told", None)}
        assert "demo, other" in (await run("recordings", "due", "--centre", "dem", status=1)).output
    assert "demo" in (await run("recordings", "due", "--centre", "demo")).stdout, "without the engine, too"


@pytest.mark.parametrize("words", [("--call", "c1"), ("--first", "2026-11-23", "--last", "2026-11-23")])
async def test_its_calls_are_held_and_extended_and_let_go(
    database: Database, installed: Path, words: tuple[str, ...]
) -> None:
    which = words if words[0] == "--call" else ("--centre", "demo", *words)
    async with left(database, installed) as (_, keys, house, _):
        until = ("--until", "2099-12-31")
        await run("recordings", "extend", *which, *until, "--reason", "契約")
        held = await run("recordings", "hold", *which, "--reason", "訴訟")
        for scope in ((), ("--centre", "demo")):
            orders = (await run("recordings", "orders", *scope)).stdout
            assert "訴訟" in orders and "2099-12-31 まで" in orders
        kept = CALLS[:1] if words[0] == "--call" else CALLS
        erased = await run("erase", "--centre", "demo", "--reason", "整理", "--yes")
        assert f"{len(kept)} left" in erased.stdout and heard(house) == kept == keys.kept(CALLS)
        order = held.stdout.partition(":")[0]
        await run("recordings", "release", order, "--centre", "demo", "--reason", "終わり")
        assert "訴訟" not in (await run("recordings", "orders")).stdout


@pytest.mark.parametrize("words", [("--call", "c2"), ("--centre", "demo"), ("--number", "0312345678")])
async def test_it_is_erased_by_hand(database: Database, installed: Path, words: tuple[str, ...]) -> None:
    which = words if words[0] != "--number" else ("--centre", "demo", *words)
    async with left(database, installed) as (of, keys, house, _):
        await run("erase", *which, "--reason", "契約の終わり", "--yes")
        (row,) = Reports(of.settings).listed()
        assert (row.centre, row.complete, row.signed) == (DEMO, True, True)
        gone = CALLS[1:2] if words[0] == "--call" else CALLS
        assert heard(house) == keys.kept(CALLS) == [call for call in CALLS if call not in gone]
    assert house.named() == set(), "the chain tells of it"


async def test_no_night_erases_it(
    database: Database, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its own file said may have been longer than what holds without a rule."""
    turns: list[list[Centre]] = []

    async def turn(self: Nights, centres: Iterable[Centre], now: object) -> None:
        turns.append([*centres])
        raise asyncio.CancelledError

    monkeypatch.setattr(Nights, "turn", turn)
    monkeypatch.setattr(sidecar, "ERASE_LOOK_S", 0.01)
    async with left(database, installed) as (of, keys, house, made):
        one = Sidecar(Settings())
        one._tables_there.set()
        # While the journal is read again it is still among the centres, with a rule of long ago.
        one._live.publish(View(Seq(1, 1), Desk().begin(configuration()).floor, Books()))
        one._live.engine_told({"at": time.time_ns() // 1000, "seq": (1, 2), "beat_age_s": 0})
        erasing_on = asyncio.create_task(one._erase())
        await asyncio.sleep(0.5)
        assert turns == [] and not erasing_on.done()
        one._live.publish(View(Seq(1, 2), made.floor, Books()))
        with pytest.raises(asyncio.CancelledError):
            await erasing_on
        await one._database.close()
        assert turns == [[]]
        assert await of.nightly(of.centre(DEMO), far(made)) is None, "nor would one"
        assert heard(house) == keys.kept(CALLS) == CALLS


async def test_an_engine_that_has_no_centres_yet_tells_no_rule(empty_url: str) -> None:
    desk = EraseDesk(cast("Loop", SimpleNamespace(floor=Floor())), lambda: Instant(0))
    with pytest.raises(Refused, match="starting"):
        await desk._rule({"centre": "demo"}, SIDECAR_PERSON)


# -- handing over, and the pages --------------------------------------------------------------------------------


@pytest.fixture
async def stock(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stock]:
    url = f"sqlite:///{tmp_path}/callcore.db"
    await migrate.upgrade(url)
    async with stocked(url, tmp_path) as made:
        keep(made)
        monkeypatch.setenv("CALLCORE_HOME", str(made.settings.home))
        monkeypatch.setenv("CALLCORE_DATABASE_URL", url)
        yield made


async def test_its_recordings_are_exported_by_command(stock: Stock, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out.zip"), "--why", "開示請求")
    done = await run("recordings", "export", "--centre", "demo", "--call", "c1", *out, status=3)
    assert "録音 1件・音なし 1件" in done.stdout, "as with every centre: the consult's is missing"


async def test_its_recordings_are_exported_and_shown_by_page(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    other = replace(centre(), id=CentreId("other"))
    one = Sidecar(Settings())
    stock.centres[:] = one._every()
    await one._database.close()
    source = DeskSource(Desk().begin(configuration(other)))
    async with served(source, recordings=stock.recorded) as server:
        first_administrator(server.accounts)
        user(server.accounts, "sup", Role.SUPERVISOR)
        talk = {"centre": "demo", "calls": ["c1"], "purpose": "開示請求"}
        given = await ask(server, "sup", "/api/v1/exports", "POST", json=talk)
        assert given.status_code == 200, given.text
        assert (await ask(server, "sup", given.json()["url"])).status_code == 200
        assert '<option value="demo">' in (await ask(server, "sup", "/exports")).text
        listed = (await ask(server, "sup", "/recordings?centre=demo&lang=en")).text
        assert '<option value="demo" selected>' in listed and "Asia/Tokyo" in listed
        shown = await ask(server, "sup", "/recordings/c1?lang=en")
        assert shown.status_code == 200 and "Asia/Tokyo" in shown.text and "UTC" not in shown.text
