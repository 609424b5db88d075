"""Recordings of ended calls: sealed in time whatever happens to the others, told of while they are not, and measured
later where there was no time before."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from immutables import Map
from structlog.testing import capture_logs

from callcore.db import DatabaseAway
from callcore.domain import facts as f
from callcore.domain.centre import Recordings as Rules
from callcore.domain.findings import WORDS, Finding
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, QueueId
from callcore.domain.measures import Books
from callcore.domain.message import Message
from callcore.domain.personal import Personal
from callcore.domain.recording import Channels, RecordingKind, SoundFormat
from callcore.domain.tape import Excess, Gap, Tape
from callcore.domain.values import changed
from callcore.journal import Codec, KeyStore, Spool, checkpoint
from callcore.recordings import Ear, Keeper, Recordings, Teller, discard, heard, keeper, voices
from callcore.recordings.chain import kept_line
from callcore.recordings.keeper import (
    AT_MOST_S,
    AT_ONCE,
    MARGIN_S,
    SPARE,
    Pressure,
    Whose,
    due,
    pressure,
    whose,
)
from callcore.recordings.measure import CLIPPED, LOUD, _frames
from callcore.recordings.verify import digest
from callcore.runtime.commands import CommandFailed
from callcore.runtime.ports import Seq, View
from callcore.settings import Settings, owner_only
from callcore.sidecar import Sidecar, free_bytes, measured_next
from tests.support import audio
from tests.support.floors import Desk, centre
from tests.support.store import NOON, House
from tests.unit.test_recordings_stereo import OF, talk

CALL, OTHER = "node1-1795143501.7", "node1-1795143501.8"
OLD, OLDER = "node1-1795000000.5", "node1-1795000000.6"
A_DAY = 86_400.0


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(keeper, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(keeper, "AGAIN_S", 0.05)
    return House(tmp_path)


def over(house: House, *calls: str, age_s: float = 31, measured: bool = True, **more: Any) -> None:
    """Calls of the demo centre that ended so long ago."""
    desk = Desk().begin()
    for number, call in enumerate(calls):
        desk.arrive(1 + number, call)
    house.world.books = desk.books
    ended = Map({CallId(call): Instant(house.world.at - round(age_s * SECOND)) for call in calls})
    house.world.floor = changed(Floor(linked=True), ended=ended, unfiled=Map() if measured else ended, **more)


async def while_it_runs(keeper: Keeper, until: Callable[[], bool]) -> None:
    """Raises what ended it."""
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(10):
            while not until():
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def told(keeper: Keeper) -> tuple[float, float]:
    """How many lie plain, and for how many seconds the oldest does."""
    keeper.looked()
    gauges = keeper.gauges()
    return gauges["sidecar_recordings_plain"], gauges["sidecar_recordings_plain_oldest_seconds"]


# -- a database that is away ------------------------------------------------------------------------------------------


async def test_an_old_file_and_a_database_away_end_nothing_and_hold_back_no_other(house: House) -> None:
    house.world.away = True
    house.world.centres = {OLD: "oita"}
    old, unknown = house.record(OLD, age_s=A_DAY), house.record("node1-1795000000.6", age_s=A_DAY)
    over(house, CALL)
    new = house.record(CALL, age_s=31)
    one = house.keeper()
    await while_it_runs(one, lambda: not new.exists())
    assert old.exists() and unknown.exists() and one.failures == 0
    house.world.away = False
    await while_it_runs(one, lambda: not old.exists() and not unknown.exists())
    path = house.recordings.find(OLD)
    assert path is not None and path.parent.parent.name == "oita"


async def test_what_nobody_foresaw_at_one_recording_ends_neither_the_keeper_nor_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(house, CALL, OTHER)
    bad, good = house.record(CALL, age_s=40), house.record(OTHER, age_s=31)
    real = Keeper.keep

    def keep(self: Keeper, plain: Path, of: object) -> None:
        if plain == bad:
            raise KeyError("nobody foresaw it")
        real(self, plain, of)  # type: ignore[arg-type]

    monkeypatch.setattr(Keeper, "keep", keep)
    one = house.keeper()
    await while_it_runs(one, lambda: not good.exists())
    assert bad.exists() and one.failures >= 1


async def test_what_nobody_foresaw_at_a_look_ends_not_the_keeper(house: House) -> None:
    async def broken(call: CallId) -> CentreId | None:
        raise ZeroDivisionError

    plain = house.record(OLD, age_s=A_DAY)
    one = house.keeper()
    one.centre_of = broken
    await while_it_runs(one, lambda: one.failures >= 2)
    assert plain.exists()


async def test_what_nobody_foresaw_at_one_holds_up_no_other_and_nothing_is_kept_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One takes long (ffmpeg), of the next one the centre cannot be asked, and behind that are others."""

    async def broken(call: CallId) -> CentreId | None:
        if call == OLD:
            raise ZeroDivisionError
        return CentreId("demo")

    begun: list[str] = []
    keep = Keeper.keep

    def slowly(self: Keeper, plain: Path, of: Whose) -> None:
        begun.append(plain.stem)
        time.sleep(3 if plain.stem == CALL else 0)  # longer than an error takes to be told
        keep(self, plain, of)

    monkeypatch.setattr(Keeper, "keep", slowly)
    over(house, CALL)
    plains = [house.record(CALL, age_s=31), house.record(OLD, age_s=A_DAY), house.record(OLDER, age_s=900)]
    one = house.keeper()
    one.centre_of = broken
    await while_it_runs(one, lambda: not plains[0].exists() and not plains[2].exists())
    assert plains[1].exists() and one.failures >= 1
    assert sorted(begun) == sorted([CALL, OLDER])


async def test_while_the_signing_key_is_lost_what_lies_plain_is_told(house: House) -> None:
    house.keep(OTHER)
    (house.keys / "signing.key").unlink()
    over(house, CALL, age_s=500)
    house.record(CALL, age_s=500)
    one = house.keeper()
    await while_it_runs(one, lambda: one.failures >= 1)
    assert one.gauges()["sidecar_recordings_plain_oldest_seconds"] == 500


async def test_the_sidecar_asks_no_table_that_is_not_made_yet(tmp_path: Path) -> None:
    one = sidecar(tmp_path)
    with pytest.raises(DatabaseAway):
        await one._centre_of(CallId(OLD))
    assert DatabaseAway in one._keeper.away
    one._tables_there.set()
    with pytest.raises(Exception, match="no such table") as wrong:
        await one._centre_of(CallId(OLD))
    assert not isinstance(wrong.value, DatabaseAway), "so it must not be asked before"
    await one._database.close()


def sidecar(home: Path) -> Sidecar:
    return Sidecar(Settings(home=home, centres=home, node="node1"))


@dataclass
class Finds:
    """A journal with two calls that are over, and the engine's word of what is wrong with their recordings."""

    settings: Settings
    journal: Spool
    calls: tuple[CallId, ...]
    now: Instant

    def write(self, call: CallId, finding: Finding, at: float) -> None:
        """`at`: seconds from now."""
        filed = f.RecordingFiled(
            at=Instant(self.now + round(at * SECOND)),
            call=call,
            file=f"{call}.wav",
            size=9,
            seconds=30.0,
            sha256=None,
            findings=(finding,),
        )
        self.journal.append(self.journal.frame(filed.at, (filed,)))
        self.journal.flush()


@pytest.fixture
def finds(tmp_path: Path) -> Iterator[Finds]:
    settings = Settings(home=tmp_path, centres=tmp_path, node="node1")
    day = Desk().begin()
    day.sign_in(1, 1)
    day.sign_in(2, 2)
    for n, name in enumerate(("c1", "c2")):
        day.arrive(60 * n + 10, name)
        day.wait(60 * n + 11, name)
        day.ring(60 * n + 12, name)
        day.pick_up(60 * n + 13, name)
        day.hang_up(60 * n + 30, name)
    with KeyStore.open(owner_only(settings.journal), owner_only(settings.keys), write=True) as keys:
        journal = Spool.open(settings.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
        for fact in day.facts:
            journal.append(journal.frame(fact.at, (fact,)))
        journal.flush()
        yield Finds(settings, journal, tuple(day.floor.unfiled), Instant(time.time_ns() // 1000))
        journal.close()


async def folded(one: Sidecar, unfiled: int) -> tuple[dict[str, int], list[list[str]]]:
    """What is counted once so many are left to be filed, and what the log said of it. Then it is killed."""
    with capture_logs() as lines:
        running = [asyncio.create_task(part()) for part in (one._fold, one._keep_results)]
        async with asyncio.timeout(10):
            while len(one._live.view().floor.unfiled) != unfiled or not one._live.view().seq.n:
                await asyncio.sleep(0.02)
            while one._results.changed:
                await asyncio.sleep(0.02)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    found = one._counts()["recordings"]
    return {name: n for name, n in found.items() if n}, [
        each["findings"] for each in lines if "findings" in each
    ]


async def test_what_is_found_is_counted_by_a_clock_that_was_set_back_and_what_was_found_before_is_not(
    finds: Finds,
) -> None:
    before, after = finds.calls
    finds.write(before, Finding.SHORT, -1)
    one = sidecar(finds.settings.home)
    finds.write(after, Finding.SILENT, -9 * 3600)
    assert await folded(one, 0) == ({"silent": 1}, [[WORDS[Finding.SILENT]]])


async def test_what_the_engine_wrote_when_the_sidecar_was_killed_is_counted_and_told_after_its_start(
    finds: Finds,
) -> None:
    first, second = finds.calls
    one = sidecar(finds.settings.home)
    finds.write(first, Finding.SHORT, 0)
    assert await folded(one, 1) == ({"short": 1}, [[WORDS[Finding.SHORT]]])
    finds.write(second, Finding.SHORT, 1)
    again = sidecar(finds.settings.home)
    assert again._counts()["recordings"]["short"] == 1, "else nobody sees that it rises"
    assert await folded(again, 0) == ({"short": 2}, [[WORDS[Finding.SHORT]]]), "and none twice"
    assert await folded(sidecar(finds.settings.home), 0) == ({"short": 2}, [])


async def test_a_sidecar_killed_before_it_found_anything_tells_what_the_engine_wrote_meanwhile(
    finds: Finds,
) -> None:
    one = sidecar(finds.settings.home)
    assert await folded(one, 2) == ({}, [])
    finds.write(finds.calls[0], Finding.SHORT, 0)
    assert await folded(sidecar(finds.settings.home), 1) == ({"short": 1}, [[WORDS[Finding.SHORT]]])


async def test_where_the_journal_was_put_back_its_next_findings_are_counted(finds: Finds) -> None:
    one = sidecar(finds.settings.home)
    one._results.seq = (99, 1)
    one._results.save()
    again = sidecar(finds.settings.home)
    finds.write(finds.calls[0], Finding.SHORT, 0)
    assert await folded(again, 1) == ({"short": 1}, [[WORDS[Finding.SHORT]]])


@pytest.mark.parametrize("what", [b"", b"{", b'{"seq":1,"found":{}}', b'{"seq":[1,1],"found":{"of late":3}}'])
async def test_counts_that_cannot_be_read_begin_anew(finds: Finds, what: bytes) -> None:
    one = sidecar(finds.settings.home)
    one._results.save()
    one._results.file.write_bytes(what)
    again = sidecar(finds.settings.home)
    finds.write(finds.calls[0], Finding.SHORT, 0)
    assert await folded(again, 1) == ({"short": 1}, [[WORDS[Finding.SHORT]]])


def test_a_full_disk_costs_a_checkpoint_and_not_the_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sidecar(tmp_path)
    one._live.publish(House(tmp_path).world.view())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    one._save()


async def test_a_chain_line_with_a_broken_time_does_not_end_who_tells_of_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.recordings.telling.LOOK_EVERY_S", 0.01)
    path = house.keep(CALL)
    chain = path.parent / "chain.jsonl"
    line = kept_line(house.store, "demo", path.parent.name, CALL)
    assert line is not None
    chain.write_bytes(chain.read_bytes().replace(line.at.encode(), b"never"))

    async def tell(_line: object) -> bool:
        return True

    running = asyncio.create_task(Teller(house.store, house.world, tell).run())
    await asyncio.sleep(0.1)
    assert not running.done(), running
    running.cancel()


# -- told while it lies plain -----------------------------------------------------------------------------------------


def test_what_cannot_be_cut_is_told_of_from_its_call_s_end_on(house: House) -> None:
    tape = Tape(5 * SECOND, (Excess(3 * SECOND, 2 * SECOND),), unheld=(CallId(OTHER),))
    over(house, CALL, age_s=100, measured=False, tapes=Map({CallId(CALL): tape}))
    house.record(CALL, age_s=100), house.record(OTHER, age_s=200)
    one = house.keeper()
    assert one.looked() == [] and told(one) == (2, 100)


def test_a_consult_that_was_none_is_not_told_of_while_its_call_goes_on(house: House) -> None:
    desk = Desk().begin()
    desk.arrive(1, CALL)
    call = replace(desk.floor.calls[CallId(CALL)], tape=Tape(unheld=(CallId(OTHER),)))
    house.world.floor = changed(desk.floor, calls=Map({call.id: call}), linked=True)
    house.record(CALL), house.record(OTHER, age_s=100)
    assert told(house.keeper()) == (0, 0)


@pytest.mark.parametrize("gone", ["engine", "link"])
def test_while_nobody_says_which_calls_go_on_what_nobody_writes_is_told_of(house: House, gone: str) -> None:
    desk = Desk().begin()
    for number, call in enumerate((CALL, OTHER)):
        desk.arrive(1 + number, call)
    house.world.floor = changed(desk.floor, linked=True)
    house.record(CALL, age_s=300)
    going_on = house.record(OTHER, age_s=300)
    one = house.keeper()
    assert told(one) == (0, 0), "it may have been stopped before its call's end"
    if gone == "engine":
        house.world.engine = False
    else:
        house.world.floor = changed(house.world.floor, linked=False)
    with going_on.open("ab"):
        assert told(one) == (1, 0), "from then on"
        house.world.at = Instant(house.world.at + 91 * SECOND)
        assert told(one) == (1, 91)
    house.world.engine, house.world.floor = True, changed(house.world.floor, linked=True)
    assert told(one) == (0, 0)


def test_a_call_that_began_while_the_engine_is_dead_is_told_of_only_once_nobody_writes_it(
    house: House,
) -> None:
    house.world.engine = False
    path = house.record(CALL, age_s=100)
    one = house.keeper()
    with path.open("ab"):
        assert told(one) == (0, 0)
    assert told(one) == (1, 100)
    assert one.looked() == [], "and it is not sealed: it may be written again"


# -- in time ----------------------------------------------------------------------------------------------------------


def test_the_more_lie_plain_the_sooner_they_are_due() -> None:
    def asked(age_s: float, press: Pressure, *, measured: bool = True) -> bool:
        at = Instant(NOON - round(age_s * SECOND))
        return due(
            replace(OF, ended_at=at, measured=measured), at, NOON, plain_s=30, engine=True, press=press
        )

    few = pressure([(OF, 1_000_000)])
    assert 0 < few.seal_s < 0.5 and few.convert_s == 0
    assert asked(30, few) and not asked(29, few)
    assert asked(50, few, measured=False) and not asked(49, few, measured=False)
    assert AT_MOST_S - MARGIN_S == 50
    opus = pressure([(replace(OF, form=SoundFormat.OPUS), 10_000_000)] * 4)
    assert opus.convert_s > 30
    assert asked(10, opus) and not asked(40, opus, measured=False)
    unmeasured = replace(OF, form=SoundFormat.OPUS, measured=False)
    assert pressure([(unmeasured, 10_000_000)] * 4) == replace(opus, convert_s=0)
    many = pressure([(OF, 10_000_000)] * 150)
    for measured in (True, False):
        assert asked(2, many, measured=measured) and not asked(1.9, many, measured=measured)


def test_at_the_latest_it_is_due_so_early_that_it_is_sealed_within_the_minute(house: House) -> None:
    over(house, CALL, age_s=AT_MOST_S - MARGIN_S - 1, measured=False)
    house.record(CALL)
    one = house.keeper()
    assert one.looked() == []
    house.world.at = Instant(house.world.at + 2 * SECOND)
    assert [path.stem for path, _ in one.looked()] == [CALL]


def test_without_time_left_it_is_sealed_as_it_is_in_both_channels_and_counted(house: House) -> None:
    plain = talk(house, 1)
    one = house.keeper()
    house.world.at = Instant(NOON + 56 * SECOND)
    one.keep(plain, replace(OF, form=SoundFormat.OPUS))
    line = kept_line(house.store, "oita", "2026-11-20", CALL)
    assert line is not None and (line.form, line.channels) == ("wav", 2)
    assert one.gauges()["sidecar_recordings_unconverted"] == 1 and "convert" not in house.steps


def test_an_ffmpeg_that_is_slow_is_ended_when_the_time_is_over_and_is_not_held_for_hung(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = house.home / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    one = house.keeper()
    house.world.at = Instant(NOON + 54 * SECOND)
    for number in (1, 2):
        name = f"node1-1795143501.{number}"
        one.keep(talk(house, 1, name), replace(OF, call=name, form=SoundFormat.OPUS))
        assert house.recordings.find(name) is not None
    assert house.steps.count("convert") == 2 and one.unconverted == 2


@pytest.mark.parametrize("plain_s", [5, 30, 60])
@pytest.mark.parametrize("form", [SoundFormat.OPUS, SoundFormat.G722])
def test_whatever_the_setting_there_is_time_to_convert_one(
    house: House, plain_s: float, form: SoundFormat
) -> None:
    stereo = Channels.STEREO if form is SoundFormat.OPUS else Channels.MIXED
    demo = replace(centre(), recordings=Rules(format=form, channels=stereo))
    over(house, CALL, age_s=0, centres=Map({demo.id: demo}))
    talk(house, 1)
    one = house.keeper()
    one.plain_s = plain_s
    for _ in range(AT_MOST_S):
        house.world.at = Instant(house.world.at + SECOND)
        if found := one.looked():
            break
    ((path, of),) = found
    assert one.kept(path, of)
    line = kept_line(house.store, "demo", "2026-11-20", CALL)
    assert line is not None and line.form == form.value
    assert (house.world.at - NOON) / SECOND <= min(plain_s, AT_MOST_S - MARGIN_S)


def test_of_a_call_out_that_is_still_written_long_after_it_lies_plain_of_right_and_is_kept_once_it_is_closed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was called talks on with somebody else."""
    over(house, CALL, age_s=300)
    known = whose(CALL, house.world.view())
    assert known is not None
    out = replace(known, of=RecordingKind.OUTGOING)
    monkeypatch.setattr(keeper, "whose", lambda name, view: out)
    plain = house.record(CALL, age_s=300)
    one = house.keeper()
    with plain.open("ab"):
        assert told(one)[0] == 0 and one.looked() == []
    assert told(one)[0] == 1
    [(path, of)] = one.looked()
    assert path == plain and one.kept(path, of)


def test_of_an_arrival_that_is_still_written_long_after_it_lies_plain_and_is_told(house: House) -> None:
    """Its recording ends with its call: Asterisk does not let go of the file."""
    over(house, CALL, age_s=300)
    plain = house.record(CALL, age_s=300)
    one = house.keeper()
    with plain.open("ab"):
        assert told(one)[0] == 1


# -- measured later ---------------------------------------------------------------------------------------------------


def test_what_was_not_measured_in_time_keeps_both_channels_and_is_measured_from_the_store(
    house: House,
) -> None:
    plain = talk(house, 6)
    before = heard(house.recordings, CALL)
    captured = digest(plain)
    assert (before[0].size, before[0].sha256) == (captured.size, captured.sha256)
    one = house.keeper()
    one.keep(plain, replace(OF, form=SoundFormat.OPUS, measured=False))
    assert not plain.exists()
    line = kept_line(house.store, "oita", "2026-11-20", CALL)
    assert line is not None and (line.channels, line.form, line.captured) == (2, "wav", captured)
    assert one.gauges()["sidecar_recordings_unconverted"] == 1, "its centre wants Opus"
    assert heard(house.recordings, CALL) == before
    assert len(before[1].voice_s) == 1 and before[1].voice_s[0] > 1


def test_a_mixed_one_that_was_not_measured_in_time_is_measured_from_the_store(house: House) -> None:
    plain = talk(house, 2)
    discard(plain)
    before = heard(house.recordings, CALL)
    one = house.keeper()
    one.keep(plain, replace(OF, stereo=False, measured=False))
    assert heard(house.recordings, CALL) == before
    assert one.gauges()["sidecar_recordings_unconverted"] == 0, "it is what its centre wants"
    assert heard(house.recordings, OTHER)[0].problem == "missing"


async def test_the_sidecar_files_a_recording_that_was_sealed_before(tmp_path: Path) -> None:
    one = sidecar(tmp_path)
    house = House(tmp_path)
    plain = talk(house, 2)
    captured = digest(plain)
    house.keeper().keep(plain, replace(OF, measured=False))
    asked: list[dict[str, Any]] = []

    async def ask(command: str, **said: Any) -> dict[str, Any]:
        asked.append({"command": command, **said})
        return {}

    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    await one._file(CallId(CALL), 100 * SECOND)
    (said,) = asked
    assert (said["command"], said["size"], said["sha256"]) == ("recording", captured.size, captured.sha256)
    assert (said["problem"], said["seconds"], len(said["voice_s"])) == (None, 2.0, 1)


async def test_while_nobody_writes_down_what_was_found_each_file_is_measured_once_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is dead, and all that are not filed come up each second."""
    monkeypatch.setattr("callcore.sidecar.MEASURE_EVERY_S", 0.001)
    one, house = sidecar(tmp_path), House(tmp_path)
    plain = talk(house, 2)
    spoken = house.record(f"{OTHER}.message", plain.read_bytes())
    ended = Instant(one._live.now() - 20 * SECOND)
    nobody = Personal(CallId(OTHER), CentreId("demo"), ended, None)
    left = Message(CallId(OTHER), CentreId("demo"), QueueId("q"), None, nobody, ended, ended)
    floor = changed(Floor(), unfiled=Map({CallId(CALL): ended}), messages=Map({left.call: left}))
    one._live.publish(View(Seq(1, 1), floor, Books()))
    looks, read = 0, set[str]()
    there, asked = False, dict[str, dict[str, Any]]()
    opens = Recordings.open

    def opened(self: Recordings, name: str) -> BinaryIO:
        read.add(name)
        return opens(self, name)

    async def ask(command: str, **said: Any) -> dict[str, Any]:
        nonlocal looks
        looks += command == "message"  # the last one of each look
        if not there:
            raise CommandFailed("nobody answers")
        asked[command] = said
        return {}

    async def looked(times: int) -> set[str]:
        """What was read at so many looks."""
        nonlocal looks
        read.clear()
        looks = 0
        async with asyncio.timeout(20):
            while looks < times:
                await asyncio.sleep(0.001)
        return set(read)

    monkeypatch.setattr(Recordings, "open", opened)
    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    running = asyncio.create_task(one._measure())
    assert await looked(2) == {CALL, spoken.stem}
    assert await looked(5) == set()
    with plain.open("ab") as file:
        file.write(bytes(16_000))
    assert await looked(2) == {CALL}, "it is another one now"
    assert await looked(5) == set()
    captured = digest(plain)
    house.keeper().keep(plain, replace(OF, stereo=False, measured=False))
    assert await looked(2) == {CALL}
    assert await looked(5) == set()
    there = True
    assert await looked(3) == set()
    one._live.publish(View(Seq(1, 2), changed(floor, unfiled=Map(), messages=Map()), Books()))
    async with asyncio.timeout(20):
        while one._ear._heard:
            await asyncio.sleep(0.001)
    running.cancel()
    assert (asked["recording"]["size"], asked["recording"]["sha256"]) == (captured.size, captured.sha256)
    assert asked["message"]["sha256"] == digest(spoken).sha256


async def test_a_message_is_measured_also_where_the_clock_was_set_back_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.sidecar.MEASURE_EVERY_S", 0.001)
    one, house = sidecar(tmp_path), House(tmp_path)
    there, missing, new = (CallId(f"node1-1795143501.{number}") for number in (1, 2, 3))
    for call in (there, new):
        talk(house, 1, f"{call}.message")
    now = one._live.now()
    left = {there: now + 9 * 3600 * SECOND, missing: now + 60 * SECOND, new: now + 9 * SECOND}
    messages = {
        call: Message(
            call,
            CentreId("demo"),
            QueueId("q"),
            None,
            Personal(call, CentreId("demo"), now, None),
            Instant(at),
            Instant(at),
        )
        for call, at in left.items()
    }
    one._live.publish(View(Seq(1, 1), changed(Floor(), messages=Map(messages)), Books()))
    asked: dict[CallId, str | None] = {}

    async def ask(_command: str, **told: Any) -> dict[str, Any]:
        asked[told["call"]] = told["problem"]
        return {}

    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    running = asyncio.create_task(one._measure())
    async with asyncio.timeout(20):
        while {there, missing} - asked.keys():
            await asyncio.sleep(0.001)
    running.cancel()
    assert asked == {there: None, missing: "missing"}, "and what has just ended is yet to be closed"


@pytest.mark.parametrize("what", ["a disk that does not say what is there", "something nobody foresaw"])
async def test_what_goes_wrong_at_one_recording_ends_neither_the_others_nor_page_and_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("callcore.sidecar.MEASURE_EVERY_S", 0.001)
    one, house = sidecar(tmp_path), House(tmp_path)
    bad, good = CallId(OTHER), CallId(CALL)
    plain = talk(house, 1, bad)
    talk(house, 1, good)
    said = house.record(f"{bad}.message", plain.read_bytes())
    ended = Instant(one._live.now() - 50 * SECOND)
    nobody = Personal(bad, CentreId("demo"), ended, None)
    left = Message(bad, CentreId("demo"), QueueId("q"), None, nobody, ended, ended)
    unfiled = Map({bad: Instant(ended - 1), good: ended})
    one._live.publish(View(Seq(1, 1), changed(Floor(), unfiled=unfiled, messages=Map({bad: left})), Books()))
    asked: list[str] = []
    problems: dict[str, str | None] = {}

    async def ask(_command: str, **told: Any) -> dict[str, Any]:
        asked.append(told["file"])
        problems[told["file"]] = told["problem"]
        return {}

    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    stat, heard = os.stat, Ear.heard

    def broken(path: Any, *how: Any, **more: Any) -> os.stat_result:
        if str(path) in (str(plain), str(said)):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return stat(path, *how, **more)

    def unforeseen(self: Ear, name: str) -> Any:
        if name.startswith(bad):
            raise ZeroDivisionError
        return heard(self, name)

    with monkeypatch.context() as patched, capture_logs() as lines:
        if what == "something nobody foresaw":
            patched.setattr(Ear, "heard", unforeseen)
        else:
            patched.setattr(os, "stat", broken)
        running = asyncio.create_task(one._measure())
        async with asyncio.timeout(20):
            while asked.count(f"{good}.wav") < 3:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    unforeseen_there = what == "something nobody foresaw"
    found = "unreadable" if unforeseen_there else None
    assert problems == {plain.name: found, said.name: found, f"{good}.wav": None}
    told = [each["name"] for each in lines if each["log_level"] == "error"]
    assert told == ([bad, said.stem] if unforeseen_there else []), "one for each, and once"


async def test_what_cannot_be_cut_is_told_in_the_log_once_and_not_each_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.sidecar.MEASURE_EVERY_S", 0.001)
    one, house = sidecar(tmp_path), House(tmp_path)
    calls = (CallId(CALL), CallId(OTHER))
    for call in calls:
        talk(house, 2, call)
    ended = Map({call: Instant(one._live.now() - 20 * SECOND) for call in calls})
    tape = Tape(SECOND, (Excess(SECOND, SECOND),))
    rules = changed(Floor(), unfiled=ended, tapes=Map(dict.fromkeys(calls, tape)))
    one._live.publish(View(Seq(1, 1), rules, Books()))
    free, looks = 0, 0

    def usage(_folder: Path) -> SimpleNamespace:
        nonlocal looks
        looks += 1
        return SimpleNamespace(free=free + looks)

    async def ask(_command: str, **said: Any) -> dict[str, Any]:
        asked.append(said["call"])
        raise CommandFailed("nobody answers")

    async def logged(done: Callable[[], bool]) -> list[Any]:
        with capture_logs() as lines:
            running = asyncio.create_task(one._measure())
            async with asyncio.timeout(20):
                while not done():
                    await asyncio.sleep(0.001)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return sorted(line["call"] for line in lines if line["log_level"] == "error")

    asked: list[CallId] = []
    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert await logged(lambda: looks > 6) == [*calls], "of each"
    looks = 0
    assert await logged(lambda: looks > 6) == []
    free = 10**12
    assert await logged(lambda: len(asked) > 6) == []
    for call in calls:
        assert heard(house.recordings, call)[0].seconds == pytest.approx(1, abs=0.1)


async def test_what_is_to_be_cut_and_is_no_sound_is_told_in_the_log_once_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.sidecar.MEASURE_EVERY_S", 0.001)
    one, house = sidecar(tmp_path), House(tmp_path)
    house.record(CALL, b"no sound at all" * 10)
    ended = Instant(one._live.now() - 50 * SECOND)
    tapes = Map({CallId(CALL): Tape(SECOND, (Excess(SECOND, SECOND),))})
    one._live.publish(
        View(Seq(1, 1), changed(Floor(), unfiled=Map({CallId(CALL): ended}), tapes=tapes), Books())
    )
    asked = 0

    async def ask(_command: str, **_said: Any) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        raise CommandFailed("nobody answers")

    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    with capture_logs() as lines:
        running = asyncio.create_task(one._measure())
        async with asyncio.timeout(20):
            while asked < 4:
                await asyncio.sleep(0.001)
        running.cancel()
    assert len([line for line in lines if line["log_level"] == "error"]) == 1


def test_what_is_to_be_cut_is_measured_first_for_it_cannot_be_sealed_before() -> None:
    first, second, third = (CallId(f"node1-1795143501.{number}") for number in (1, 2, 3))
    ended = Map({first: NOON, second: Instant(NOON + 1), third: Instant(NOON + 2)})
    floor = changed(Floor(), unfiled=ended, tapes=Map({third: Tape(gaps=(Gap(0, SECOND),))}))
    assert [call for call, _ in measured_next(floor)] == [third, first, second]


async def test_what_still_lies_plain_is_measured_before_what_was_sealed_meanwhile(tmp_path: Path) -> None:
    one, house = sidecar(tmp_path), House(tmp_path)
    first, second, third = calls = [CallId(f"node1-1795143501.{number}") for number in (1, 2, 3)]
    plains = {call: talk(house, 1, call) for call in calls}

    def seal(call: CallId) -> None:
        house.keeper().keep(plains[call], replace(OF, call=call, measured=False))

    over_since = Instant(one._live.now() - 20 * SECOND)
    floor = changed(Floor(), unfiled=Map({call: Instant(over_since + n) for n, call in enumerate(calls)}))
    asked: list[CallId] = []

    async def ask(_command: str, **said: Any) -> dict[str, Any]:
        nonlocal floor
        if not asked:
            seal(third)
        asked.append(said["call"])
        floor = changed(floor, unfiled=floor.unfiled.delete(said["call"]))
        one._live.publish(View(Seq(1, 1 + len(asked)), floor, Books()))
        return {}

    seal(first)
    one._engine = SimpleNamespace(ask=ask)  # type: ignore[assignment]
    one._live.publish(View(Seq(1, 1), floor, Books()))
    running = asyncio.create_task(one._measure())
    async with asyncio.timeout(20):
        while len(asked) < len(calls):
            await asyncio.sleep(0.01)
    running.cancel()
    assert asked == [second, first, third]


def test_frames_are_told_apart_as_by_a_look_at_each_sample() -> None:
    from array import array
    from random import Random

    random = Random(7)
    step = 160
    for level in (0, 1, 250, 256, 257, 300, 400, 600, 5000, 32_767):
        for _ in range(60):
            share = random.random()
            samples = array(
                "h", (random.randint(-level, level) if random.random() < share else 0 for _ in range(step))
            )
            if level == 256:
                samples = array("h", (random.choice((-256, 256)) for _ in range(step)))
                samples[0] += random.choice((-1, 0, 1))
            loud = sum(map(abs, samples)) > LOUD * step
            clipped = sum(abs(each) >= CLIPPED for each in samples) >= 8
            assert _frames(samples, step) == (loud, clipped), samples


def test_two_channels_are_told_together_as_the_mixed_one_is(tmp_path: Path) -> None:
    left, right = audio.speech_like(1, 3), audio.speech_like(2, 3)
    house = House(tmp_path)
    plain = talk(house, 3)
    assert len(left) == len(right)
    from callcore.recordings.sides import joined

    with joined(plain) as both:
        data = both.read()
    stereo = tmp_path / "stereo.wav"
    stereo.write_bytes(data)
    assert voices(lambda: stereo.open("rb"), added=True) == voices(lambda: plain.open("rb"))
    assert len(voices(lambda: stereo.open("rb")).voice_s) == 2


# -- disks ------------------------------------------------------------------------------------------------------------


def test_the_disks_of_keys_and_database_are_told_of_where_they_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, centres=tmp_path, node="node1")
    for folder in (settings.journal, settings.recordings, settings.store, settings.keys):
        folder.mkdir(parents=True)
    database = tmp_path / "db"
    database.mkdir()
    own = free_bytes(settings, database)
    assert own["sidecar_journal_free_bytes"] > 0 and own["sidecar_store_free_bytes"] > 0
    assert math.isnan(own["sidecar_keys_free_bytes"]) and math.isnan(own["sidecar_database_free_bytes"])
    shm = Path("/dev/shm")
    assert shm.stat().st_dev != tmp_path.stat().st_dev
    apart = settings.model_copy(update={"recordings_keys_folder": shm})
    found = free_bytes(apart, shm)
    assert found["sidecar_keys_free_bytes"] == pytest.approx(shutil.disk_usage(shm).free, rel=0.2)
    assert found["sidecar_database_free_bytes"] > 0
    blocked = settings.model_copy(update={"recordings_keys_folder": shm / ("x" * 300)})
    assert free_bytes(blocked, None)["sidecar_keys_free_bytes"] == 0, "what cannot be looked at is told, too"
    gone = free_bytes(settings.model_copy(update={"recordings_keys_folder": shm / "none"}), tmp_path / "none")
    assert math.isnan(gone["sidecar_keys_free_bytes"]), "no key was made yet"
    assert gone["sidecar_database_free_bytes"] == 0
    assert math.isnan(free_bytes(settings, None)["sidecar_database_free_bytes"]), "a server has its own"


@pytest.mark.parametrize("stereo", [False, True])
def test_what_would_fill_the_disk_is_not_begun_for_the_talks_that_go_on_need_what_is_left(
    house: House, monkeypatch: pytest.MonkeyPatch, stereo: bool
) -> None:
    plain = talk(house, 2)
    of = replace(OF, stereo=stereo)
    wanted = plain.stat().st_size * (2 if stereo else 1) * AT_ONCE + SPARE
    one = house.keeper()
    with monkeypatch.context() as filled, capture_logs() as lines:
        filled.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=wanted - 1))
        assert not one.kept(plain, of)
    assert "seal" not in house.steps and plain.exists() and one.failures == 1
    assert not [each for each in house.store.rglob("*") if each.suffix == ".ccr"]
    assert any("容量を空けてください / " in line.get("why", "") for line in lines)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=wanted))
    assert one.kept(plain, of) and house.recordings.find(CALL) is not None


def test_what_the_spool_has_no_room_to_convert_is_kept_as_it_is_where_the_store_has_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = talk(house, 2)
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda folder: SimpleNamespace(free=10 if Path(folder).is_relative_to(house.spool) else 10**12),
    )
    one = house.keeper()
    assert one.kept(plain, replace(OF, form=SoundFormat.OPUS))
    line = kept_line(house.store, "oita", "2026-11-20", CALL)
    assert line is not None and (line.form, line.channels) == ("wav", 2) and one.unconverted == 1
    assert "convert" not in house.steps


def test_what_cannot_be_kept_is_told_in_the_log_at_growing_intervals_and_anew_for_another_reason(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = house.record(CALL)
    over(house, CALL)
    one = house.keeper()
    why: list[Exception] = [OSError(28, "No space left on device")]

    def fail(*_: object) -> None:
        raise why[0]

    def tried(times: int) -> int:
        with capture_logs() as lines:
            for _ in range(times):
                one._waiting.clear()
                [(path, of)] = one.looked()
                assert not one.kept(path, of)
        return len([line for line in lines if line["log_level"] == "error"])

    with monkeypatch.context() as full:
        full.setattr(Keeper, "keep", fail)
        assert [tried(n) for n in (1, 1, 2, 4, 100)] == [1, 1, 1, 1, 3], "the 1st, 2nd, 4th, 8th, 16th …"
        assert one.failures == 108
        why[0] = OSError(5, "Input/output error")
        assert tried(1) == 1
        why[0] = OSError(28, "No space left on device")
        assert tried(1) == 1
    assert one._failed
    plain.rename(house.home / "elsewhere")
    assert one.looked() == [] and not one._failed


async def test_the_sidecar_knows_where_sqlite_s_file_lies(tmp_path: Path) -> None:
    one = sidecar(tmp_path)
    await one._look_at_disks()
    assert one._database.folder == tmp_path
    assert math.isnan(one._gauges()["sidecar_database_free_bytes"])
    server = Settings(
        home=tmp_path, centres=tmp_path, node="node1", database_url="postgresql://u@127.0.0.1/x"
    )
    assert Sidecar(server)._database.folder is None


def test_a_centre_that_wants_two_channels_has_them_also_unmeasured(house: House) -> None:
    demo = replace(centre(), recordings=Rules(format=SoundFormat.ULAW, channels=Channels.STEREO))
    over(house, CALL, age_s=55, measured=False, centres=Map({demo.id: demo}))
    plain = talk(house, 1)
    one = house.keeper()
    ((path, of),) = one.looked()
    assert path == plain and of.stereo and not of.measured
    assert one.kept(path, of)
    line = kept_line(house.store, "demo", "2026-11-20", CALL)
    assert line is not None and (line.channels, line.form) == (2, "wav")
    assert one.unconverted == 1
