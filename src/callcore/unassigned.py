"""Recordings of which nobody knows the centre (`_unassigned`): kept and erased by the months that hold without a rule.

They are unlisted (`unlisted`). Their months count from when they were kept, for nobody knows when their calls ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from callcore.domain.centre import Centre
from callcore.domain.hours import Calendar
from callcore.domain.recording import UNASSIGNED
from callcore.recordings.chain import Kept, at_of
from callcore.recordings.keeper import ZONE
from callcore.runtime.recordings import Unassigned
from callcore.unlisted import kind_of

NO_CENTRE = Centre(
    id=UNASSIGNED,
    name="センター不明",
    name_en="Centre not known",
    calendar=Calendar(ZONE, ((),) * 7),
    numbers=(),
    queues=(),
    agents=(),
    phones=(),
    announcements=(),
)
"""Stands for the centre: its months and quiet hours are those of a centre file without `[retention]`."""


def is_there(store: Path) -> bool:
    return (store / UNASSIGNED).is_dir()


def there(lines: Iterable[Kept]) -> list[Unassigned]:
    """What is kept there, the newest first, and last what nobody can tell of when. `lines` as of `unlisted.lines`."""
    found = [Unassigned(line.name, kind_of(line), line.seconds, at_of(line)) for line in lines]
    return sorted(found, key=lambda each: (each.kept_at or 0, each.name), reverse=True)
