"""Reports of erasures in a folder of the test's own, as the product writes them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from callcore.erasing import report
from callcore.erasing.copies import Copies
from callcore.erasing.plan import Left, Plan, Searched, Shelf
from callcore.erasing.search import Place
from callcore.erasing.sounds import Gone
from callcore.recordings.chain import signing

ID = "erase-20261120020000-1a2b3c"


def searched(found: int = 0) -> Searched:
    place = Place(
        place="home", files=9, bytes=900, found={"x.csv": found} if found else {}, closed=["old.tar"]
    )
    return Searched(
        at="2026-11-20T02:00:05+09:00",
        numbers=1,
        numbers_kept=0,
        overwritten_files=2,
        overwritten=5,
        overwritten_copies=0,
        places=[place],
    )


def a_report(
    id: str = ID, centre: str = "demo", *, reason: str = "本人の求め", found: int = 0
) -> report.Report:
    return report.Report(
        id=id,
        centre=centre,
        name="試験センター",
        scope="number",
        what="番号ひとつ / one number",
        reason=reason,
        by="system:callcore",
        ordered_at="2026-11-20T02:00:00+09:00",
        done_at="2026-11-20T02:00:09+09:00",
        installation="node1@pbx",
        software="0",
        calls=["node1-1.1", "node1-1.2"],
        personal=["node1-1.1", "node1-1.2"],
        tasks=["task-1a2b"],
        entries=0,
        recordings=[
            Gone(
                name="node1-1.1",
                call="node1-1.1",
                size=960_044,
                sha256="a" * 64,
                sound="b" * 64,
                kept="2026-05-20",
                line=7,
            )
        ],
        left=[Left(call="node1-1.3", why="保全の指示がある / it is kept by order: keep-1 (訴訟)")],
        resumed=1,
        searched=searched(found),
        copies=Copies(folders=["/backup"], call_keys=2),
        rows_left=0,
        opens=[],
    )


def kept(folder: Path, told: report.Report) -> Shelf:
    """The shelf, with one more report on it."""
    shelf = Shelf(folder / "erasures")
    raw = report.signed(told, signing(folder / "store", folder / "keys" / "recordings"))
    shelf.put(
        Plan(
            id=told.id,
            centre=told.centre,
            zone="Asia/Tokyo",
            scope=told.scope,
            what=told.what,
            reason=told.reason,
            by=told.by,
            ordered_at=told.ordered_at,
            units=[],
        )
    )
    shelf.finish(told.id, raw, report.page(report.of(raw), hashlib.sha256(raw).hexdigest()))
    return shelf
