"""Everything is lost and put back by the page's own commands: reports, recordings and the board are what they were."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from callcore.demo.centre import CENTRE, DemoCentre
from callcore.demo.phone import SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import CentreId
from callcore.domain.stages import Device
from callcore.installation import asterisk_process
from callcore.journal import read_mark
from callcore.pbx.render import write
from callcore.reports import Report, Tape, day_report
from callcore.runtime.commands import CommandClient
from callcore.runtime.ports import Seq
from callcore.settings import PROJECT
from tests.e2e.test_live_configuration import callcore
from tests.support.people import machine, read_page
from tests.support.station import Station, hears_for, sealed_soon, station, until

TAKEN = "2026-11-29"
PAGE = PROJECT / "docs" / "operations.en.md"


def commands() -> tuple[list[str], list[str]]:
    """What the page says to enter: to take a back-up, and to put it back. Both pages say the same."""
    found = []
    for page, title in ((PAGE, "Back-up"), (PAGE.with_name("operations.ja.md"), "バックアップ")):
        text = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        found.append([block.splitlines() for block in re.findall(r"```sh\n(.*?)\n```", text, re.DOTALL)])
    assert found[0] == found[1]
    [take, back] = found[0]
    return take, back


TAKE, BACK = commands()


@dataclass
class Installation:
    """A station, where its back-ups lie, and what it says of itself."""

    s: Station
    places: Path
    desk: SimPhone = field(init=False)

    async def enter(self, lines: list[str], named: str = TAKEN) -> None:
        """Lines of the page, with the places of this test."""
        for line in lines:
            words = line.replace("/backup/", f"{self.places}/").replace(TAKEN, named).split()
            assert words.pop(0) == "callcore"
            status, said = await callcore(self.s, *words)
            assert status == 0, (line, said)

    async def reports(self) -> Mapping[str, list[str]]:
        """Of the day and the month, the floor as it was, and every recording; needs no process."""
        today = f"{datetime.now(ZoneInfo('Asia/Tokyo')):%Y-%m-%d}"
        day = ("report", "day", "--centre", CENTRE, "--date", today)
        month = ("report", "month", "--centre", CENTRE, "--month", today[:7])
        wanted = [
            day,
            (*day, "--half-hours"),
            (*day, "--csv"),
            (*day, "--csv", "--queues"),
            (*month, "--csv"),
            ("replay", "--day", today, "--json"),
            ("recordings", "verify", "--json"),
            ("recordings", "find", "--centre", CENTRE, "--json"),
        ]
        found: dict[str, list[str]] = {}
        for one, other in zip(wanted[::2], wanted[1::2], strict=True):
            told = await asyncio.gather(callcore(self.s, *one), callcore(self.s, *other))
            assert [status for status, _ in told] == [0, 0], told
            for words, (_, said) in zip((one, other), told, strict=True):
                found[" ".join(words)] = said.splitlines()
        return found

    async def served(self, ended: int) -> Mapping[str, Any]:
        """What the running sidecar says of figures and calls, once it has read everything."""

        calls = f"/api/v1/calls?centre={CENTRE}&limit=100"

        def look() -> bool:
            try:
                figures = self._live()["figures"]
                stored = json.loads(read_page(self.s.settings, calls)[1]).get("calls", [])
            except (OSError, ValueError):  # it has not read the journal yet
                return False
            of_each = {
                (figures["arrived"], figures["open"]),
                (len(stored), sum(not x["ended_at"] for x in stored)),
            }
            return of_each == {(ended, 0)}

        await until(look, 60, "the sidecar has read everything, and stored it")
        page = f"/api/v1/centres/{CENTRE}/figures/day"
        day = json.loads(read_page(self.s.settings, page)[1])
        live = self._live()
        return {
            "board": {name: n for name, n in live["figures"].items() if name != "at"},
            "curve": live["curve"],
            "figures": [
                {name: value for name, value in each.items() if name not in ("at", "seq")}
                for each in day["figures"]
            ],
            "calls": json.loads(read_page(self.s.settings, calls)[1]),
        }

    def _live(self) -> dict[str, Any]:
        [centre] = json.loads(read_page(self.s.settings, "/api/v1/live")[1])["centres"]
        return dict(centre)

    async def destroy(self) -> None:
        """Processes, Asterisk, and every file of the home."""
        for name in list(self.s.processes):
            self.s.kill(name)
        await self.s.asterisk.stop()
        machine.cache_clear()  # type: ignore[attr-defined]
        shutil.rmtree(self.s.settings.home)
        self.s.settings.home.mkdir(mode=0o700)
        self.s.ears.mkdir()
        await emptied(self.s.settings.database)

    async def begin_again(self, *, engine: bool = True) -> None:
        write(self.s.configuration, self.s.pbx)  # the supervisor's part at each start
        self.s.asterisk = asterisk_process(self.s.pbx, self.s.toolchain)
        await self.s.asterisk.start()
        self.s.reads_anew()
        if engine:
            await self.s.start_engine()
        self.s.start("sidecar")


async def a_morning(s: Station, desk: SimPhone) -> None:
    """Two are answered and recorded, one gives up."""
    caller = await s.caller()
    for n in (1, 2):
        await s.available(1)
        call = await s.dial_in(caller)
        leg = await desk.incoming(30)
        await leg.answer()
        await hears_for(call, 1 + n)
        await call.hang_up()
        await s.ended(n)
    await callcore(s, "agent", "pause", "1001", "--reason", "研修")
    call = await s.dial_in(caller)
    await s.fact(f.VisitBegan, lambda x: x.call == s.call_ids()[-1] and len(s.call_ids()) == 3)
    await call.hang_up()
    await s.ended(3)
    await until(lambda: len(s.told(f.RecordingFiled)) == 2, 60, "the recordings are filed")
    await until(lambda: not list(s.settings.recordings.iterdir()), 60, "the recordings are sealed")


async def something_goes_on(s: Station) -> None:
    """Facts as fast as the engine takes them, until cancelled."""
    engine = CommandClient(s.settings.engine_socket)
    try:
        while True:
            await engine.ask("agent_ready", agent="1001")
            await engine.ask("agent_pause", agent="1001", reason="研修")
    finally:
        await engine.close()


def report_at(s: Station, seq: Seq) -> Report:
    with Tape(s.settings.journal, s.settings.keys) as tape:
        frames = [frame for frame in tape.frames() if (frame.run, frame.n) <= seq]
    return day_report(frames, CentreId(CENTRE), None)


def mark_of(journal: Path) -> Seq:
    mark = read_mark(journal)
    assert mark is not None
    return Seq(*mark.seq)


def same(again: Mapping[str, list[str]], before: Mapping[str, list[str]]) -> None:
    for words, lines in before.items():
        assert [pair for pair in zip_longest(lines, again[words]) if pair[0] != pair[1]] == [], words


async def emptied(url: str) -> None:
    """The database as on a new machine."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        for end in ("", "-wal", "-shm"):
            Path(f"{where.database}{end}").unlink(missing_ok=True)
        return
    connection = await asyncpg.connect(
        user=where.username, database=where.database, host=str(where.query["host"])
    )
    await connection.execute("drop schema public cascade; create schema public")
    await connection.close()


async def the_day_before(it: Installation) -> tuple[Mapping[str, Any], Mapping[str, list[str]]]:
    """Calls, and what the installation says of them; the back-up is taken."""
    for place in ("a", "b"):
        (it.places / place).mkdir(parents=True)
    it.s.start("sidecar")
    [it.desk] = await it.s.staff(1)
    await a_morning(it.s, it.desk)
    await it.s.stop("engine")  # a report names the seq that it was made at
    served = await it.served(3)
    assert len(served["calls"]["calls"]) == 3
    before = mark_of(it.s.settings.journal)
    reports = await it.reports()
    await it.enter(TAKE)
    assert mark_of(it.s.settings.journal) == before
    return served, reports


async def taken_under_calls(it: Installation) -> None:
    """Somebody talks, the journal grows. What is put back is the journal of then, and the call gets its end."""
    s = it.s
    await s.start_engine()
    await s.device(1, Device.FREE)
    await callcore(s, "agent", "ready", "1001")
    citizen = await s.dial_in(await s.caller(2))
    await (await it.desk.incoming(30)).answer()
    await until(lambda: len(s.told(f.CallAnswered)) == 3, what="the third is answered")
    going_on = asyncio.create_task(something_goes_on(s))
    await it.enter(TAKE, "busy")
    going_on.cancel()
    await asyncio.gather(going_on, return_exceptions=True)
    kept = mark_of(it.places / "a" / "busy" / "journal")
    assert kept < mark_of(s.settings.journal), "the journal went on"
    expected = report_at(s, kept)
    await it.destroy()
    await it.enter(BACK, "busy")
    assert mark_of(s.settings.journal) == kept
    assert report_at(s, kept) == expected
    await it.begin_again()
    await until(lambda: len(s.told(f.CallEnded)) == 4, 60, "the call that went on is closed")
    again = await it.served(4)
    assert again["board"]["answered"] == 3
    await citizen.hang_up()


@pytest.mark.timeout(400)
async def test_all_is_lost_and_comes_back_with_the_same_figures(empty_url: str, tmp_path: Path) -> None:
    async with station(DemoCentre(agents=2, acw_s=1), prepare=sealed_soon) as s:
        s.settings = s.settings.model_copy(update={"database_url": empty_url})
        it = Installation(s, tmp_path / "backup")
        served, reports = await the_day_before(it)
        if empty_url.startswith("sqlite"):
            await taken_under_calls(it)
        await it.destroy()
        await it.enter(BACK)
        same(await it.reports(), reports)
        await it.begin_again(engine=False)
        assert await it.served(3) == served


@pytest.mark.timeout(400)
async def test_without_a_copy_of_the_database_it_is_made_from_the_journal(tmp_path: Path) -> None:
    async with station(DemoCentre(agents=1, acw_s=1), prepare=sealed_soon) as s:
        it = Installation(s, tmp_path / "backup")
        served, reports = await the_day_before(it)
        await it.destroy()
        for copy in (it.places / "a" / TAKEN / "database").iterdir():
            copy.unlink()
        await it.enter(BACK)
        await it.begin_again(engine=False)
        assert await it.served(3) == served
        same(await it.reports(), reports)
