"""An order or a mark that comes while an erasure has its plan already keeps what is not yet erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callcore.db import Database, Projection
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.ids import CallId, Instant
from callcore.domain.recording import RecordingMark
from callcore.erasing.plan import Plan
from callcore.erasure import Erasure, parted, unit_due
from tests.integration.test_db_tasks_erased import DEMO, erasing
from tests.support.days import TestFrame, seal
from tests.support.erased import searched
from tests.support.floors import Desk
from tests.support.store import DAY_US, House

pytestmark = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
CALLS = [CallId("c1"), CallId("c2"), CallId("c3")]
RULE = "保存期間の満了 / the retention period is over"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def three_talks(home: Path, centre: str = DEMO) -> tuple[Desk, House]:
    made, house = Desk().begin(), House(home)
    for n, call in enumerate(CALLS, 1):
        made.sign_in(n, n)
        made.wait(10 * n, call)
        made.pick_up(10 * n + 2, call)
        made.hang_up(10 * n + 8, call)
        made.tell(
            i.RecordingMeasured(
                at=made.at(10 * n + 9),
                call=call,
                file=f"{call}.wav",
                size=96_044,
                seconds=6.0,
                sha256="ab",
                problem=None,
            )
        )
        house.keep(call, centre=centre)
    return made, house


async def marked(database: Database, made: Desk, call: CallId) -> None:
    told = f.RecordingMarked(
        at=made.at(90), call=call, centre=DEMO, mark=RecordingMark.ABUSE, on=True, by="user:sup"
    )
    await Projection(database, seal).apply([TestFrame(1, 10_000, told.at, (told,))])


async def held(of: Erasure, call: CallId) -> None:
    told = await of.engine.ask("keep_order", centre=DEMO, calls=[call], until=None, reason="訴訟")
    assert told["done"], told


async def of_the_night(of: Erasure, made: Desk) -> Plan:
    (centre,) = of.centres()
    far = Instant(made.at(0) + 400 * DAY_US)
    units = [unit_due(verdict) for verdict in await of.judged(centre, far, 100)]
    plan = of.plan(
        centre,
        "retention",
        RULE,
        [unit for unit in units if unit],
        reason=RULE,
        by="service:sidecar",
        now=far,
    )
    assert [unit.call for unit in plan.units] == CALLS
    return plan


def heard(house: House) -> list[CallId]:
    """Those whose sound can still be had."""
    ring = house.recordings.ring
    return [call for call in CALLS if house.recordings.find(call) is not None and ring.has(DEMO, call)]


async def test_the_nightly_erasure_looks_again_right_before_each_recording(
    database: Database, tmp_path: Path
) -> None:
    made, house = three_talks(tmp_path)
    async with erasing(made, database, tmp_path) as (of, keys):
        plan = await of_the_night(of, made)
        await marked(database, made, CALLS[0])
        await held(of, CALLS[1])
        told = await of.run(plan)
        assert {(each.call, each.why.split(" / ")[-1].split(":")[0]) for each in told.left} == {
            ("c1", "until told"),
            ("c2", "it is kept by order"),
        }
        assert [each.name for each in told.recordings] == told.calls == told.personal == ["c3"]
        assert told.complete
        assert keys.kept(CALLS) == CALLS[:2], "and the number is kept with it"
    assert heard(house) == CALLS[:2]
    assert house.named() == set()


async def test_what_a_crash_left_half_erased_is_finished_and_the_rest_looked_at_again(
    database: Database, tmp_path: Path
) -> None:
    made, house = three_talks(tmp_path)
    async with erasing(made, database, tmp_path) as (of, _):
        plan = await of_the_night(of, made)
        plan.stage, plan.searched = "searched", searched()
        of.shelf.put(plan)
        ring = house.recordings.ring
        for day in ring.days(DEMO):
            ring.destroy(DEMO, day, CALLS[0], "2026-12-25T02:00:00+09:00")
        for call in CALLS[:2]:
            await held(of, call)
        await marked(database, made, CALLS[0])
        await of.finish()
        assert heard(house) == [CALLS[1]]
        assert house.named() == set(), "the chain tells of the one that was half erased, too"


@pytest.mark.parametrize("reported", [False, True])
async def test_by_hand_a_mark_keeps_what_is_erased_without_the_reported_ones(
    database: Database, tmp_path: Path, reported: bool
) -> None:
    made, house = three_talks(tmp_path)
    async with erasing(made, database, tmp_path) as (of, _):
        (centre,) = of.centres()
        units, left = parted(await of.of_calls(CALLS), reported=reported)
        plan = of.plan(
            centre,
            "call",
            "c1",
            units,
            reason="本人の求め",
            by="user:sato",
            now=made.at(100),
            left=left,
            reported=reported,
        )
        await marked(database, made, CALLS[0])
        told = await of.run(plan)
        assert [each.call for each in told.left] == ([] if reported else ["c1"])
    assert heard(house) == ([] if reported else CALLS[:1])
