"""What a citizen left in an installation is gone once it was erased, from every place, whatever died meanwhile.

What is held by order stays."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from callcore.access.rights import SIDECAR_PERSON
from callcore.db import Database, DatabaseAway
from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, Instant
from callcore.erasing.clock import Witness, looked
from callcore.erasing.plan import Shelf
from callcore.erasing.report import checked
from callcore.erasing.sounds import told
from callcore.erasure import Erasure
from callcore.installation import recordings_of
from callcore.journal import Codec, KeyStore, read_all
from callcore.recordings import KeyRing, Recordings
from callcore.recordings.chain import centres_of
from callcore.recordings.errors import KeyDestroyed, RecordingError
from callcore.recordings.signing import public_keys
from callcore.recordings.verify import verify
from callcore.runtime.commands import CommandClient
from tests.support.evidence import evidence
from tests.support.planted import Marker, left, opening, plant, plant_second_files, plant_stranger
from tests.support.postgres import Postgres
from tests.support.station import Station, station, until

KILLED_AT = ("overwrite", "file", "engine", "report")
DAY_US = 86_400 * SECOND
APART = ("heard",)
"""What the citizens' own telephones heard."""


async def command(s: Station, *argv: str, die_at: str | None = None, status: int = 0) -> str:
    """A command of the shell, by a process of its own."""
    head = ["-m", "callcore"] if die_at is None else ["-m", "tests.support.erase_child", die_at]
    env = {**s.env, "PYTHONPATH": f"{s.env['PYTHONPATH']}{os.pathsep}{Path(__file__).parents[2]}"}
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, *head, *argv], env=env, capture_output=True, text=True, check=False
    )
    assert run.returncode == status, (argv, run.returncode, run.stdout, run.stderr, s.log("sidecar"))
    return run.stdout


async def rows(s: Station, statement: str, **values: object) -> list[tuple[object, ...]]:
    database = Database(s.settings.database, deadline_s=30)
    try:
        async with database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]
    finally:
        await database.close()


async def in_store(s: Station) -> int:
    try:
        return int(str((await rows(s, "SELECT count(*) FROM recordings WHERE place = 'store'"))[0][0]))
    except (DatabaseAway, DBAPIError):  # no tables yet
        return 0


async def stored(s: Station, more_than: int, within: float) -> None:
    async with asyncio.timeout(within):
        while await in_store(s) <= more_than:
            await asyncio.sleep(0.2)


def spooled(s: Station) -> bool:
    """Whether any sound lies plain: a second file of its name would take its place."""
    return any(s.settings.recordings.glob("*.wav"))


def kept_in_all(s: Station) -> list[str]:
    """The recordings of which the chains tell."""
    store = s.settings.store
    return [name for centre in centres_of(store) for _, name in told(store, centre).kept]


def back_up(s: Station, folder: Path) -> None:
    """As docs/operations says: journal, store and Asterisk's files at one place, the keys at another."""
    settings = s.settings
    for part in (settings.journal, settings.store):
        shutil.copytree(part, folder / "A" / part.name)
    shutil.copytree(settings.asterisk / "log", folder / "A" / "asterisk-log")
    shutil.copytree(settings.keys, folder / "B" / "keys")
    if settings.database_url:
        return
    with (
        sqlite3.connect(settings.home / "callcore.db") as base,
        sqlite3.connect(folder / "A" / "callcore.db") as copy,
    ):
        base.backup(copy)


def reports(s: Station) -> list[dict[str, object]]:
    shelf = Shelf(s.settings.erasures)
    return [json.loads(shelf.file(each, "json") or b"") for each in shelf.reports()]


def opened(journal: Path, keys_folder: Path) -> dict[str, str | None]:
    """The callers' numbers by call, as a journal and these keys give them."""
    with KeyStore.open(journal, keys_folder) as keys:
        frames = read_all(journal, Codec(f.KINDS, {}, keys))
        told = [fact for frame in frames for fact in frame.facts if isinstance(fact, f.CallArrived)]
    return {fact.call: fact.caller.text for fact in told}


async def a_real_call(s: Station, number: str, within: float) -> Marker:
    """A citizen who is served, whose recording was sealed: the last of all that lay there, within so many seconds."""
    (desk,) = await s.staff(1)
    before = await in_store(s)
    caller = await s.caller(1, number=number, hz=1300)
    call = await s.dial_in(caller)
    ringing = await desk.incoming(15)
    await ringing.answer()
    name = s.call_ids()[-1]
    plain = s.settings.recordings / f"{name}.wav"
    await until(lambda: plain.exists() and plain.stat().st_size > 48_000, 20, "three seconds of talk")
    data = plain.read_bytes()
    await call.hang_up()
    await s.fact(f.CallEnded, lambda x: x.call == name)
    await stored(s, before, within)
    return Marker(name, number, "架空 花子", data[40_000:40_048])


async def night(s: Station, days_ahead: int) -> str | None:
    """What the sidecar does in a quiet hour, so many days from now; the report's id."""
    database, engine = (
        Database(s.settings.database),
        CommandClient(s.settings.engine_socket, by=SIDECAR_PERSON.id),
    )
    centres = s.configuration.centres
    settings = s.settings.model_copy(update={"backups": s.env_more["CALLCORE_BACKUPS"]})
    try:
        with KeyStore.open(s.settings.journal, s.settings.keys) as keys:
            erasure = Erasure(settings, database, keys, engine, lambda: centres, patience_s=60)
            at = Instant(time.time_ns() // 1000 + days_ahead * DAY_US)
            return await erasure.nightly(centres[0], at)
    finally:
        await engine.close()
        await database.close()


async def trial(count: int, tape: Path, server: Postgres | None = None) -> None:
    markers: list[Marker] = []
    strangers: list[Marker] = []
    roots = [] if server is None else [server.folder]

    def prepare(s: Station) -> None:
        if server is not None:
            s.settings = s.settings.model_copy(update={"database_url": server.new_database()})
        markers.extend(plant(s, count))
        strangers.append(plant_stranger(s))
        backups = s.settings.home / "backups"
        backups.mkdir()
        s.env_more |= {"CALLCORE_BACKUPS": str(backups), "CALLCORE_RECORDINGS_PLAIN_S": "5"}

    async with station(DemoCentre(agents=1, acw_s=1), sidecar=True, prepare=prepare) as s:
        await stored(s, count - 1, 60 + count / 5)
        await until(lambda: not spooled(s), 60 + count / 5, "what no row tells of to be sealed, too")
        markers = plant_second_files(s, markers)
        markers.append(await a_real_call(s, "0398765432", 60 + count / 5))
        home, backups = s.settings.home, s.settings.home / "backups"
        recorded = len(markers) + sum(len(marker.more) for marker in markers) + len(strangers)
        await until(lambda: len(kept_in_all(s)) == recorded, 60 + count / 5, "all sound to be sealed")
        assert len(await rows(s, "SELECT 1 FROM recordings")) == count + 1, "no row tells of the rest"
        back_up(s, backups)
        elsewhere = tape / "tape"
        shutil.copytree(backups, elsewhere)
        found = left([home], markers, APART)
        assert {m.number for m in markers} <= {line.split(": ")[1] for line in found}, "all were planted"
        places = {line.split(str(home))[1].split(": ")[0] for line in found}
        assert {"/asterisk/log/messages", "/asterisk/log/cel-custom/callcore.csv.1.gz"} <= places
        heard = b"".join(opening(home).values())
        assert all(voice in heard for m in (*markers, *strangers) for voice in (m.voice, *m.more)), (
            "so was sound"
        )
        sealed = await rows(s, "SELECT call, sealed, fingerprint FROM callers")
        if server is not None:
            await outside(s, "ANALYZE")  # as autovacuum does, whenever it finds the time

        held, by_number, *rest = markers
        await command(s, "recordings", "hold", "--call", held.call, "--reason", "訴訟のため")
        said = await command(
            s, "erase", "--centre", "demo", "--number", by_number.number, "--reason", "本人の求め", "--yes"
        )
        assert by_number.call in said
        (one,) = reports(s)
        assert one["scope"] == "number" and one["personal"] == [by_number.call]
        assert by_number.number not in json.dumps(one)

        for step, marker in zip(KILLED_AT, rest[: len(KILLED_AT)], strict=True):
            await command(
                s, "erase", "--call", marker.call, "--reason", "契約による", "--yes", die_at=step, status=-9
            )
        day = datetime.fromtimestamp(s.told(f.CallArrived)[0].at / SECOND, ZoneInfo("Asia/Tokyo")).date()
        today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
        said = await command(
            s,
            *("erase", "--centre", "demo", "--first", str(day), "--last", str(today)),
            *("--reason", "契約の終わり", "--yes"),
        )
        assert held.call in said and "訴訟のため" in said, "what is held is named"
        await command(s, "erase", "--centre", "_unassigned", "--reason", "契約の終わり", "--yes")

        done = reports(s)
        gone = markers[1:]
        everybody = {call for each in done for call in each["personal"]}  # type: ignore[attr-defined]
        assert everybody == {m.call for m in (*gone, *strangers)}
        assert sum(int(str(each["resumed"])) for each in done) >= len(KILLED_AT)
        keys = public_keys([s.settings.recordings_keys / "signing.pub"])
        shelf = Shelf(s.settings.erasures)
        assert not shelf.unfinished()
        for each in shelf.reports():
            raw = shelf.file(each, "json")
            assert raw is not None and (kept := checked(raw, keys)) is not None and kept.complete, raw
            assert checked(raw.replace(b'"rows_left":0', b'"rows_left":1'), keys) is None

        assert left([home, *roots], [*gone, *strangers], APART) == []
        of_held = [held.voice, *held.more]
        still = opening(home)
        assert {path.stem for path in still} == {held.call, f"{held.call}~2"}, "nor from the back-up"
        assert len(still) == 2 * len(of_held) and all(any(v in d for d in still.values()) for v in of_held)
        if server is None:
            files = [path for path in home.glob("callcore.db*") if not path.name.endswith("-shm")]
        else:
            await emptied(s)
            files = [path for path in (server.folder / "data" / "base").rglob("*") if path.is_file()]
        bytes_of = [path.read_bytes() for path in files]
        assert any(str(held.call).encode() in data for data in bytes_of), "the right files"
        for call, value, print_ in sealed:
            if call != held.call:
                assert all(bytes(value) not in data and str(print_).encode() not in data for data in bytes_of)  # type: ignore[arg-type]

        assert await rows(s, "SELECT call FROM callers") == [(held.call,)]
        asked = "SELECT place, erased_at, erased_why FROM recordings WHERE name = :name"
        (state,) = await rows(s, asked, name=rest[0].call)
        assert state[0] == "gone" and state[1] and state[2] == "契約による"
        assert len(await rows(s, "SELECT id FROM calls")) == len(markers), "the calls themselves stay"
        recordings = recordings_of(s.settings)
        with recordings.open(held.call) as sound:
            assert held.voice in sound.read()
        verdict = verify(s.settings.store, keys)
        assert verdict.found == [] and sum(each.erased for each in verdict.days) == recorded - len(of_held)

        now = opened(s.settings.journal, s.settings.keys)
        assert now.pop(held.call) == held.number and set(now.values()) == {None}
        for place in ("A/journal", "B/keys"):
            assert (backups / place).is_dir()
        again = opened(backups / "A" / "journal", backups / "B" / "keys")
        assert again.pop(held.call) == held.number and set(again.values()) == {None}, "nor from the back-up"
        # A tape that nobody reached: it opens nothing by the keys of today, and everything by its own old ones.
        tape = Recordings(home / "none", elsewhere / "A" / "store", recordings.ring)
        with pytest.raises(KeyDestroyed):
            tape.open(gone[0].call)
        old = Recordings(
            home / "none", elsewhere / "A" / "store", KeyRing(elsewhere / "B" / "keys" / "recordings")
        )
        with old.open(gone[0].call) as sound:
            assert gone[0].voice in sound.read(), "which is why older copies of the keys are to be deleted"
        wrong = Recordings(home / "none", elsewhere / "A" / "store", KeyRing(elsewhere / "none"))
        with pytest.raises(RecordingError, match="鍵"):
            wrong.open(gone[0].call)

        await held_no_longer(s, held, [home, *roots], today)
        assert opening(home) == {}
        kind = "SQLite" if server is None else "PostgreSQL"
        evidence(
            f"markers erased, {kind}",
            {"markers": len(markers), "recordings": recorded, "reports": len(reports(s)), "found": 0},
        )


async def emptied(s: Station) -> None:
    """As docs/operations says for PostgreSQL: old versions of rows leave the tables' files."""
    await outside(s, "VACUUM FULL callers, side_calls, messages", "CHECKPOINT")


async def outside(s: Station, *statements: str) -> None:
    """Of a transaction, as VACUUM has to be."""
    database = Database(s.settings.database, deadline_s=30)
    try:
        async with database.engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                await plain.execute(text(statement))
    finally:
        await database.close()


async def held_no_longer(s: Station, held: Marker, roots: list[Path], today: date) -> None:
    """By a clock that was set ahead nothing goes, by a right one it does."""
    (order,) = s.floor().keeping
    await command(s, "recordings", "release", order, "--centre", "demo", "--reason", "終結")
    async with asyncio.timeout(60):
        while await rows(s, "SELECT 1 FROM keep_orders"):
            await asyncio.sleep(0.2)
    ahead = str(today.replace(year=today.year + 1, day=min(today.day, 28)))
    assert held.call in await command(s, "recordings", "due", "--centre", "demo", "--on", ahead)
    assert held.call not in await command(s, "recordings", "due", "--centre", "demo")
    s.processes["sidecar"].send_signal(signal.SIGSTOP)
    witness, now = Witness(s.settings.erasures), looked()
    witness.look(now)
    witness.look(replace(now, at=Instant(now.at + 400 * DAY_US)))
    assert await night(s, 400) is None
    witness.look(now)
    s.processes["sidecar"].send_signal(signal.SIGCONT)
    done = await night(s, 400)
    (last,) = [each for each in reports(s) if each["id"] == done]
    assert (last["scope"], last["by"], last["personal"]) == ("retention", SIDECAR_PERSON.id, [held.call])
    assert left(roots, [held], APART) == []


@pytest.mark.few
@pytest.mark.timeout(600)  # a command of the shell for each step, by processes that start beside other tests
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_markers_of_citizens_are_nowhere_after_erasures_that_were_killed_at_steps(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    server = None if kind == "sqlite" else request.getfixturevalue("own_postgres")
    await trial(2 + len(KILLED_AT) + 1, tmp_path, server)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_thousand_markers_are_nowhere_afterwards(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    server = None if kind == "sqlite" else request.getfixturevalue("own_postgres")
    await trial(1000, tmp_path, server)
