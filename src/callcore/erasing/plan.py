"""What was begun to be erased, on the disk before anything is: whoever comes after a crash finishes it.

    <erasures>/<id>.plan     what is being erased; gone once its report is there, and nothing is owed
    <erasures>/<id>.json     the report, signed; <id>.html the same to be printed
    <erasures>/.lock         one erasure at a time, by whatever process

A plan names calls and recordings, and no number: numbers are read again from under their keys while these are there.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from callcore.erasing.search import Place
from callcore.files import make_folder, sync_folder, write_whole

AGAIN, OWED = "again", "owed"
ID = re.compile(r"erase-[0-9]{14}-[0-9a-f]{6}")


class Busy(Exception):
    """Another process is erasing."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One call, or (`task`) one task with a name of its own. `about`: the call that orders name. `personal`: the key of
    its number and notes goes, too."""

    call: str
    about: str
    recordings: list[str]
    personal: bool
    task: bool = False


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What was not erased, and why."""

    call: str
    why: str


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to clear text, and what a look at all of it found afterwards."""

    at: str
    numbers: int
    """That were looked for."""
    numbers_kept: int
    """Not looked for: the same citizen has other calls that are still kept."""
    overwritten_files: int
    overwritten: int
    overwritten_copies: int
    """In back-ups."""
    places: list[Place]
    numbers_closed: int = 0
    """Not looked for: the key of their call is lost, so that nobody can read them."""
    unread: list[str] = []
    """What could not be looked into for it, each with why."""

    @property
    def found(self) -> int:
        return sum(sum(place.found.values()) for place in self.places)

    @property
    def files_unread(self) -> int:
        """How many files could not be looked into, archives apart."""
        return sum(len(place.unread) for place in self.places)

    @property
    def whole(self) -> bool:
        """Whether every place, and every file but archives, could be looked into."""
        return not self.files_unread and all(place.there for place in self.places)


class Plan(msgspec.Struct, kw_only=True):
    """`scope`: `call`, `number`, `period`, `centre` or `retention`, `what` in words (of a number: no number). `stage`:
    `planned`, then `searched`: clear text is overwritten, keys are next. `owed`: its report is there, but keys of it
    may lie in tables that could not be read; it holds up nothing. Once they can be, it is gone on with under another
    id, from `again` where numbers are to be searched for: nothing is left out any more.
    """

    id: str
    centre: str
    zone: str
    scope: str
    what: str
    reason: str
    by: str
    ordered_at: str
    units: list[Unit]
    entries: list[str] = []
    """Of the list of unwelcome callers."""
    left: list[Left] = []
    reported: bool = True
    """Of one by hand: recordings of calls that were reported go, too."""
    unread: list[str] = []
    """What could not be looked into when it was planned, each with why."""
    stage: str = "planned"
    resumed: int = 0
    searched: Searched | None = None
    later: list[str] = []
    """Calls and tasks of which a number could not be read yet: their key and their rows wait until it can be."""


class Shelf:
    """The folder of plans and reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises Busy."""
        make_folder(self.folder)
        fd = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy from None
            yield
        finally:
            os.close(fd)

    def put(self, plan: Plan) -> None:
        make_folder(self.folder)
        write_whole(self._plan(plan.id), msgspec.json.format(msgspec.json.encode(plan), indent=1))

    def unfinished(self) -> list[Plan]:
        """The oldest first."""
        return [
            msgspec.json.decode(path.read_bytes(), type=Plan) for path in sorted(self.folder.glob("*.plan"))
        ]

    def finish(self, id: str, report: bytes, page: str, owed: Plan | None = None) -> None:
        """Page, then report; the plan goes last, or stays as what is owed."""
        write_whole(self.folder / f"{id}.html", page.encode())
        write_whole(self.folder / f"{id}.json", report)
        if owed is None:
            self.drop(id)
        else:
            self.put(owed)

    def drop(self, id: str) -> None:
        self._plan(id).unlink(missing_ok=True)
        sync_folder(self.folder)

    def reports(self) -> list[str]:
        """Their ids, the newest first."""
        found = (path.stem for path in self.folder.glob("erase-*.json"))
        return sorted((each for each in found if ID.fullmatch(each)), reverse=True)

    def file(self, id: str, ends: str) -> bytes | None:
        """A report as it was kept; None: there is none."""
        if ID.fullmatch(id) is None:
            return None
        try:
            return (self.folder / f"{id}.{ends}").read_bytes()
        except FileNotFoundError:
            return None

    def _plan(self, id: str) -> Path:
        return self.folder / f"{id}.plan"
