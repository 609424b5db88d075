"""What is kept is told to the journal: each recording once, in order, whoever was away meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from immutables import Map
from structlog.testing import capture_logs

from callcore.domain.evolve import evolve
from callcore.domain.facts import RecordingKept
from callcore.domain.floor import Floor
from callcore.domain.ids import CallId, Instant
from callcore.domain.recording import RecordingKind
from callcore.domain.step import step
from callcore.domain.transitions import IllegalTransition
from callcore.domain.values import changed
from callcore.recordings import Teller, measure, telling
from callcore.recordings.chain import Began, Chain, Erased, at_of, kept_line
from callcore.recordings.keeper import Whose
from callcore.recordings.signing import signer
from callcore.recordings.verify import digest
from callcore.runtime.recordingdesk import sealed
from tests.support.store import DAY_US, NOON, House, wav

FIRST, OTHER, THIRD = "node1-1795143500.7", "node1-1795143501.8", "node1-1795143502.9"


class Engine:
    """Takes what it is told and folds it, unless it is away, or dies before it has written it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.here, self.writes = True, True
        self.heard: list[str] = []
        self.facts: list[RecordingKept] = []

    async def tell(self, line: Mapping[str, Any]) -> bool:
        if not self.here:
            return False
        self.heard.append(str(line["name"]))
        if self.writes:
            world = self.house.world
            done = step(world.floor, sealed(json.loads(json.dumps(line)), world.at))
            world.floor = done.floor
            self.facts += [fact for fact in done.facts if isinstance(fact, RecordingKept)]
        return True

    def teller(self) -> Teller:
        """That of a sidecar that has just been started."""
        return Teller(self.house.store, self.house.world, self.tell)

    @property
    def names(self) -> list[str]:
        return [fact.name for fact in self.facts]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(House(tmp_path))


async def test_what_the_fact_says_of_a_kept_recording_is_what_lies_on_the_disk(engine: Engine) -> None:
    house = engine.house
    plain = wav(house.spool / f"{FIRST}.wav", 2.5)
    captured = digest(plain)
    house.keeper().keep(plain, Whose("demo", "Asia/Tokyo", FIRST, RecordingKind.CONSULT, NOON, True))
    await engine.teller().once()
    [fact] = engine.facts
    file = house.store / fact.folder / fact.day / f"{fact.name}.ccr"
    assert (fact.stored_size, fact.stored_sha256) == (digest(file).size, digest(file).sha256)
    assert (fact.captured_size, fact.captured_sha256) == (captured.size, captured.sha256)
    found = measure(lambda: house.recordings.open(FIRST))
    assert (fact.size, fact.sha256, fact.seconds) == (found.size, found.sha256, 2.5)
    assert (fact.call, fact.kind, fact.format) == (FIRST, RecordingKind.CONSULT, "wav")
    assert (fact.at, fact.kept_at, fact.key_period) == (NOON, NOON, "2026-11")
    [row] = house.recordings.ring.rows()
    assert row.month == fact.key_period
    line = kept_line(house.store, fact.folder, fact.day, fact.name)
    assert line is not None and line.n == fact.line


async def test_each_recording_is_told_once_in_the_order_in_which_it_was_kept(engine: Engine) -> None:
    house = engine.house
    house.keep(FIRST)
    house.keep(THIRD, centre="oita")
    teller = engine.teller()
    await teller.once()
    await teller.once()
    house.keep(OTHER)
    await teller.once()
    await engine.teller().once()
    assert engine.names == engine.heard == [FIRST, THIRD, OTHER]
    assert dict(house.world.floor.chained) == {"demo": ("2026-11-20", 3), "oita": ("2026-11-20", 2)}


async def test_an_engine_that_was_away_or_died_before_it_wrote_hears_it_again(engine: Engine) -> None:
    house, teller = engine.house, engine.teller()
    house.keep(FIRST)
    house.keep(OTHER)
    engine.here = False
    await teller.once()
    assert engine.heard == []
    engine.here, engine.writes = True, False
    await teller.once()
    assert engine.heard == [FIRST, OTHER]
    engine.writes = True
    await teller.once()
    assert engine.names == [FIRST, OTHER]
    again = Engine(house)  # told twice because the view was behind: the second time changes nothing
    for line in ([FIRST, OTHER], [FIRST]):
        for name in line:
            found = kept_line(house.store, "demo", "2026-11-20", name)
            assert found is not None
            await again.tell(telling.told_of(found))
    assert again.names == []


async def test_days_and_erasures_between_are_passed_over_and_old_days_are_not_read_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, teller = engine.house, engine.teller()
    house.keep(FIRST)
    await teller.once()
    erased = Erased(
        centre="demo", day="2026-11-20", at="x", name=FIRST, kept="2026-11-20", sha256="", why="x", by="x"
    )
    Chain(house.store, house.keys, signer(house.keys)).add(erased)
    house.world.at = Instant(NOON + DAY_US)
    house.keep(OTHER)
    await teller.once()
    assert engine.names == [FIRST, OTHER]
    read: list[tuple[str, int]] = []
    lines = telling._lines

    def seen(folder: Path, at: int) -> Any:
        read.append((folder.name, at))
        return lines(folder, at)

    monkeypatch.setattr(telling, "_lines", seen)
    await teller.once()
    await teller.once()
    size = (house.store / "demo" / "2026-11-21" / "chain.jsonl").stat().st_size
    assert read[-1] == ("2026-11-21", size), "only what is new is read"


async def test_a_recording_that_is_yet_to_be_filed_is_waited_for_by_its_own_chain_alone(
    engine: Engine,
) -> None:
    house, teller = engine.house, engine.teller()
    house.keep(FIRST)
    house.keep(OTHER)
    house.keep(THIRD, centre="oita")
    house.world.floor = changed(Floor(), unfiled=Map({CallId(FIRST): NOON}))
    await teller.once()
    assert engine.names == [THIRD]
    house.world.floor = changed(house.world.floor, unfiled=Map())
    await teller.once()
    assert engine.names == [THIRD, FIRST, OTHER]


async def test_a_line_that_is_half_written_is_told_when_it_is_whole(engine: Engine) -> None:
    house, teller = engine.house, engine.teller()
    house.keep(FIRST)
    chain = house.store / "demo" / "2026-11-20" / "chain.jsonl"
    whole = chain.read_bytes()
    chain.write_bytes(whole[:-40])
    await teller.once()
    assert engine.names == []
    chain.write_bytes(whole)
    await teller.once()
    assert engine.names == [FIRST]


async def test_a_line_that_somebody_edited_stops_the_telling_of_no_other(engine: Engine) -> None:
    house, teller = engine.house, engine.teller()
    house.keep(FIRST)
    house.edit("demo", "x")
    house.keep(THIRD, centre="oita")
    with capture_logs() as logged:
        await teller.once()
        house.keep(OTHER)
        await teller.once()
    assert engine.names == [THIRD, OTHER]
    assert [each["recording"] for each in logged if "into the journal" in each["event"]] == [FIRST], "once"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-11-20T12:00:00.250+09:00", True),
        ("x", False),
        ("2026-11-20T12:00:00", False),  # of no zone
        ("0001-01-01T00:00:00+09:00", False),  # of which no months can be reckoned
        ("9999-12-31T23:59:59-12:00", False),
    ],
)
def test_the_time_of_a_line_is_read_or_nobody_can_tell_it(text: str, read: bool) -> None:
    line = Began(centre="demo", day="2026-11-20", at=text, after=None)
    assert at_of(line) == (NOON + 250_000 if read else None)


async def test_a_store_begun_anew_is_told_of_by_the_later_day(engine: Engine, tmp_path: Path) -> None:
    engine.house.world.floor = changed(Floor(), chained=Map({"demo": ("2026-11-19", 4000)}))
    engine.house.keep(FIRST)
    await engine.teller().once()
    assert engine.names == [FIRST]


async def test_without_a_store_there_is_nothing_to_tell(engine: Engine) -> None:
    await engine.teller().once()
    assert engine.heard == []


async def test_a_line_told_twice_is_refused_by_the_fold(engine: Engine) -> None:
    engine.house.keep(FIRST)
    await engine.teller().once()
    with pytest.raises(IllegalTransition, match="told of already"):
        evolve(engine.house.world.floor, engine.facts[0])


async def test_a_chain_that_cannot_be_read_holds_up_its_own_alone_and_is_named_once(engine: Engine) -> None:
    house, teller = engine.house, engine.teller()
    house.keep(FIRST)
    house.keep(THIRD, centre="oita")
    chain = house.store / "demo" / "2026-11-20" / "chain.jsonl"
    whole = chain.read_bytes()
    chain.unlink()
    chain.mkdir()
    with capture_logs() as said:
        for _ in range(3):
            await teller.once()
    assert engine.names == [THIRD]
    assert [(line["centre"], "demo" in line["why"]) for line in said] == [("demo", True)]
    chain.rmdir()
    chain.write_bytes(whole)
    await teller.once()
    assert engine.names == [THIRD, FIRST]
