"""How many recordings and messages were filed, by what was found with them: counted by the journal's order.

Kept with the place in the journal up to which they were counted, so that a sidecar that dies counts none twice and
leaves none out, and nobody who looks at how the numbers rise sees them fall.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import structlog

from callcore import files
from callcore.domain.findings import Finding

log = structlog.get_logger(__name__)

OK = "ok"


class _Kept(msgspec.Struct, frozen=True):
    seq: tuple[int, int]
    found: dict[str, int]


class Results:
    def __init__(self, file: Path, end: tuple[int, int] | None) -> None:
        """`end`: the journal's by its mark; None where that cannot be read.

        Counted on from what was kept. From `end` where an earlier run ends the journal, for it was put back: within a
        run a mark that is behind is what a crash of the host left, as it is not forced to the disk, and what was kept
        is. Where nothing was kept, from `end`; without it all that is read: an old finding is told again rather than
        the first ones of a new installation, which has no mark yet, never.
        """
        self.file = file
        self.found = dict.fromkeys((OK, *(each.value for each in Finding)), 0)
        """One with several findings counts at each."""
        self.seq = end or (0, 0)
        """The last frame that was counted. Not an instant: a clock may be set back."""
        self._kept: Mapping[str, int] | None = None
        """As they are kept; None: they are not."""
        self._writing = threading.Lock()
        kept = _read(file)
        if kept is not None:
            self.found |= {name: count for name, count in kept.found.items() if name in self.found}
            self.seq = end if end is not None and end[0] < kept.seq[0] else kept.seq
            self._kept = dict(self.found) if self.seq == kept.seq else None

    @property
    def changed(self) -> bool:
        """Whether they are other than what is kept."""
        return self.found != self._kept

    def count(self, findings: Iterable[Finding]) -> None:
        for result in [each.value for each in findings] or [OK]:
            self.found[result] += 1

    def save(self) -> None:
        """Raises OSError: then what was counted since is counted again after the next start."""
        self._write(_Kept(self.seq, dict(self.found)))

    async def save_aside(self) -> None:
        """The same, beside the loop that counts."""
        await asyncio.to_thread(self._write, _Kept(self.seq, dict(self.found)))

    def _write(self, kept: _Kept) -> None:
        with self._writing:
            files.make_folder(self.file.parent)
            files.write_whole(self.file, msgspec.json.encode(kept))
            self._kept = kept.found


def _read(file: Path) -> _Kept | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning(
            "録音の件数を読めません。数え直します / the counts of recordings cannot be read, and begin anew",
            file=str(file),
            why=str(error),
        )
        return None
