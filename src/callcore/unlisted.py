"""Sound that lies in the store, told of by its chain, and that no row of the database tells of.

A message in which nothing was said, the empty file of who hung up in the line, a second file of one name (`~2`), the
sound of a call that nobody answered, and all of which nobody knows the centre. No list shows it, but it is kept as long
as anything else, and erased with its call.

Rules
- Unlisted is what the chain has as kept and not as erased, and the database does not have (`Kept.listed`).
- It was over with its call, where a row tells of that; else when its line was written. A line whose time somebody
  edited beyond reading leaves its sound without one (`Sound.over`), and stops nothing else.
- Whose it is says the call in its line. One in `_unassigned` whose call became known is of that call's centre.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from callcore.db import Kept as Rows
from callcore.domain.ids import CallId, CentreId
from callcore.domain.recording import UNASSIGNED, RecordingKind
from callcore.domain.retention import Sound, Unlisted
from callcore.erasing.sounds import told
from callcore.recordings.chain import Kept, at_of
from callcore.recordings.vault import ENDS

_KINDS = {each.value for each in RecordingKind}


Wanted = Callable[[Kept], bool]


def every(line: Kept) -> bool:
    return True


async def of_centre(store: Path, rows: Rows, centre: CentreId, wanted: Wanted = every) -> list[Kept]:
    """The lines of all sound that is there of a centre, of those wanted. Raises DatabaseAway, OSError."""
    nobodys = await asyncio.to_thread(_there, store, UNASSIGNED, wanted)
    of = await rows.centres_of({CallId(line.call) for line in nobodys if line.call is not None})
    if centre == UNASSIGNED:
        return [line for line in nobodys if line.call not in of]
    own = await asyncio.to_thread(_there, store, centre, wanted)
    return own + [line for line in nobodys if line.call is not None and of.get(CallId(line.call)) == centre]


async def lines(store: Path, rows: Rows, centre: CentreId, wanted: Wanted = every) -> list[Kept]:
    """As `of_centre`, of unlisted sound alone."""
    found = await of_centre(store, rows, centre, wanted)
    listed = await rows.listed({line.name for line in found})
    return [line for line in found if line.name not in listed]


def by_call(of: Iterable[Kept], protected: Path) -> Unlisted:
    """As whoever judges wants it. Of no known kind: as a call's. `protected`: where those of reported calls lie."""
    found: dict[CallId, list[Sound]] = {}
    for line in of:
        reported = line.protected or (protected / (line.name + ENDS)).exists()
        kind = kind_of(line) or RecordingKind.CALL
        found.setdefault(CallId(line.call or line.name), []).append(
            Sound(line.name, kind, reported, at_of(line))
        )
    return found


def kind_of(line: Kept) -> RecordingKind | None:
    """None: nobody knows."""
    return RecordingKind(line.of) if line.of in _KINDS else None


def _there(store: Path, centre: str, wanted: Wanted) -> list[Kept]:
    return [line for line in told(store, centre).there() if wanted(line)]
