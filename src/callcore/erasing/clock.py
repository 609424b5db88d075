"""What is known against the clock: a note of both clocks, looked at each minute and kept on the disk.

    <erasures>/clock.json    the last look, and every step that was seen

So a clock that is set, whether callcore runs or the machine was off meanwhile, makes nothing due before its time.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import structlog

from callcore.domain.ids import Instant
from callcore.domain.retention import Look, Steps, stepped
from callcore.files import make_folder, write_whole

log = structlog.get_logger(__name__)

BOOT = Path("/proc/sys/kernel/random/boot_id")


class Witnessed(msgspec.Struct, frozen=True):
    """`since`: the first look; what was before, the journal's own facts tell."""

    since: int
    at: int
    up: int
    boot: str
    steps: list[tuple[int, int]]


class Witness:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock.json"

    def look(self, now: Look | None = None) -> Witnessed:
        """Look at both clocks, and write down what differs from the last look. Raises OSError.

        A file that cannot be read is put aside, and this look is the first one: what was before it, the journal's own
        facts tell.
        """
        now = now or looked()
        try:
            known = self.read()
        except msgspec.MsgspecError as error:
            aside = self._path.with_suffix(".damaged")
            self._path.replace(aside)
            log.error(
                "時計の記録が壊れています / the note of the clock is damaged",
                aside=str(aside),
                why=str(error),
            )
            known = None
        if known is None:
            seen = Witnessed(now.at, now.at, now.up, now.boot, [])
        else:
            by = stepped(Look(Instant(known.at), known.up, known.boot), now)
            steps = [*known.steps, (now.at, by)] if by else known.steps
            seen = Witnessed(known.since, now.at, now.up, now.boot, steps)
        make_folder(self._path.parent)
        write_whole(self._path, msgspec.json.encode(seen))
        return seen

    def read(self) -> Witnessed | None:
        """None: nobody looked yet. Raises OSError; msgspec.MsgspecError where somebody has changed the file."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Witnessed)
        except FileNotFoundError:
            return None


def steps_of(seen: Witnessed | None) -> Steps:
    return () if seen is None else tuple((Instant(at), by) for at, by in seen.steps)


def looked() -> Look:
    return Look(
        Instant(time.time_ns() // 1000),
        time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000,
        BOOT.read_text().strip(),
    )
