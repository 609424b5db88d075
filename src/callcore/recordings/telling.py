"""What the chains tell of kept recordings, told to the engine, which writes it into the journal.

Rules
- The chain is what is so; the floor knows up to which line of each chain it was told. So whatever dies meanwhile,
  nothing is left out or told twice, and a store from before there was a journal of it is told of, too.
- A recording that is yet to be filed is waited for, with all that stands behind it: it is filed, and then kept.
- What was told and is not on the floor a moment later is told again.
- A line whose time somebody edited beyond reading is passed over, and named in the log.
- A chain that cannot be read holds up its own alone, for its lines are told in order; all others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

import structlog

from callcore.domain.floor import Floor
from callcore.domain.ids import CallId
from callcore.domain.recording import RecordingKind
from callcore.recordings import chain as c
from callcore.recordings.keeper import UNKNOWN
from callcore.runtime.ports import LiveSource

log = structlog.get_logger(__name__)

T = TypeVar("T")
LOOK_EVERY_S = 1.0
AT_ONCE = 200
"""Lines told of one chain between two looks."""


@dataclass(slots=True)
class Teller:
    store: Path
    live: LiveSource
    tell: Callable[[Mapping[str, Any]], Awaitable[bool]]
    """Hands the engine one line; False: it is away."""
    _told: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Day and byte before which all of a chain's lines are on the floor."""
    _shut: dict[str, str] = field(default_factory=dict)
    """The chains that cannot be read, and why; "": the store."""

    async def run(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(LOOK_EVERY_S)

    async def once(self) -> None:
        """Tell what is not on the floor yet."""
        floor = self.live.view().floor
        for line in await asyncio.to_thread(lambda: list(self.untold(floor))):
            if not await self.tell(told_of(line)):
                return

    def untold(self, floor: Floor) -> Iterator[c.Kept]:
        """The lines that are to be told now, of each chain that can be read."""
        for folder in self._read("", partial(c.centres_of, self.store)):
            yield from self._read(folder, partial(self._ready, floor, folder))

    def _ready(self, floor: Floor, folder: str) -> list[c.Kept]:
        """Raises OSError, ValueError."""
        ready = takewhile(lambda line: not _unfiled(floor, line), self._beyond(floor, folder))
        return list(islice(ready, AT_ONCE))

    def _read(self, folder: str, read: Callable[[], list[T]]) -> list[T]:
        """[]: it cannot be read, which the log tells once."""
        try:
            found = read()
        except (OSError, ValueError) as error:  # a line that somebody edited may have anything in it
            if self._shut.get(folder) != str(error):
                self._shut[folder] = str(error)
                log.error(
                    "録音の鎖を読めず、その先の録音がジャーナルに入りません。ディスクと権限を確かめてください "
                    "(callcore recordings verify) / "
                    "a chain of recordings cannot be read, and what it tells of does not come into the journal; look "
                    "at the disk and the rights (callcore recordings verify)",
                    centre=folder,
                    why=str(error),
                )
            return []
        self._shut.pop(folder, None)
        return found

    def _beyond(self, floor: Floor, folder: str) -> Iterator[c.Kept]:
        """Those that are not on the floor, the oldest first."""
        begun, at = self._told.get(folder) or (floor.chained.get(folder, ("", 0))[0], 0)
        all_told = True
        for day in c.days_of(self.store, folder):
            if day < begun:
                continue
            for line, end in _lines(self.store / folder / day, at if day == begun else 0):
                if isinstance(line, c.Kept) and floor.beyond(folder, line.day, line.n):
                    if c.at_of(line) is not None:
                        all_told = False
                        yield line
                        continue
                    log.error(
                        "録音の鎖に時刻を読めない行があり、この録音はジャーナルに入りません "
                        "(callcore recordings verify) / "
                        "a line of the chain of recordings has a time that cannot be read; what it tells of does not "
                        "come into the journal (callcore recordings verify)",
                        centre=folder,
                        day=day,
                        recording=line.name,
                    )
                if all_told:
                    self._told[folder] = (day, end)


def _lines(folder: Path, at: int) -> Iterator[tuple[c.Line | None, int]]:
    """The whole lines of a day's chain from this byte on, each with the byte behind it."""
    try:
        with (folder / c.CHAIN).open("rb") as file:
            file.seek(at)
            for raw in file:
                at += len(raw)
                if raw.endswith(b"\n"):
                    yield c.line_of(raw[:-1]), at
    except FileNotFoundError:
        return


def _unfiled(floor: Floor, line: c.Kept) -> bool:
    if line.call is None:
        return False
    message = floor.messages.get(CallId(line.call))
    if line.of == RecordingKind.MESSAGE.value:
        return message is not None and not message.filed
    return line.call in floor.unfiled


def told_of(line: c.Kept) -> dict[str, Any]:
    """A line in the words of the fact; its time can be read."""
    return {
        "name": line.name,
        "call": line.call,
        "kind": None if line.of == UNKNOWN else line.of,
        "folder": line.centre,
        "day": line.day,
        "line": line.n,
        "format": line.form,
        "channels": line.channels,
        "seconds": line.seconds,
        "captured_size": line.captured.size,
        "captured_sha256": line.captured.sha256,
        "size": line.sound.size,
        "sha256": line.sound.sha256,
        "stored_size": line.stored.size,
        "stored_sha256": line.stored.sha256,
        "key_period": line.period or line.day[:7],
        "kept_at": c.at_of(line),
    }
