"""The results of past days, kept as files: `<day>.<centre>.jsonl`, a JSON line for the day, one for each difference."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from callcore.audit.compare import Reconciliation
from callcore.audit.told import json_lines
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.files import write_whole

KEEP_DAYS = 400
"""A year and the month in which somebody asks about it."""

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})\.([A-Za-z0-9_-]+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Kept:
    """The first line of a file: one day's counts. `complete`: no book had a gap."""

    centre: CentreId
    day: str
    at: Instant
    calls: int
    differences: int
    explained: int
    unsettled: bool
    complete: bool


def keep(folder: Path, result: Reconciliation) -> Path:
    """Write one result in the place of an older one of that day; at each instant one of both is there."""
    path = folder / f"{result.day}.{result.centre}.jsonl"
    write_whole(path, "".join(f"{each}\n" for each in json_lines(result)).encode())
    return path


def kept(folder: Path, centre: CentreId, day: str) -> Kept | None:
    """What is kept of a day; None: nothing, or nothing that can be read."""
    return _read(folder / f"{day}.{centre}.jsonl")


def newest(folder: Path) -> dict[CentreId, Kept]:
    """The last day that is kept of each centre."""
    found: dict[CentreId, Path] = {}
    for path in sorted(folder.glob("*.jsonl")):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found[CentreId(match[2])] = path
    read = {centre: _read(path) for centre, path in found.items()}
    return {centre: one for centre, one in read.items() if one is not None}


def prune(folder: Path, today: date) -> int:
    """Delete the results of days more than `KEEP_DAYS` ago; how many."""
    oldest = (today - timedelta(days=KEEP_DAYS)).isoformat()
    gone = 0
    for path in folder.glob("*.jsonl"):
        match = _NAME.fullmatch(path.name)
        if match is not None and match[1] < oldest:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _read(path: Path) -> Kept | None:
    try:
        with path.open(encoding="utf-8") as file:
            told = json.loads(file.readline())
        return Kept(
            centre=CentreId(told["centre"]),
            day=told["day"],
            at=Instant(round(datetime.fromisoformat(told["at"]).timestamp() * SECOND)),
            calls=int(told["calls"]),
            differences=int(told["differences"]),
            explained=int(told["explained"]),
            unsettled=bool(told["unsettled"]),
            complete=not told["gaps"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
