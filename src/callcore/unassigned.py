"""Recordings of which nobody knows the centre (`_unassigned`): kept and erased by the months that hold without a rule.

They have no row in the database; the chain in the store tells of them. Their months count from when they were kept,
for nobody knows when their calls ended.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from callcore.domain.centre import Centre
from callcore.domain.hours import Calendar
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.recording import UNASSIGNED, RecordingKind
from callcore.domain.retention import Item, Sound
from callcore.erasing.sounds import Told, told
from callcore.recordings.chain import Kept
from callcore.recordings.keeper import ZONE
from callcore.recordings.vault import ENDS
from callcore.runtime.recordings import Unassigned

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


def there(chain: Told, known: Collection[str]) -> list[Unassigned]:
    """What is kept there, the newest first. `known` as of `items`."""
    found = [
        Unassigned(name, _kind(line), line.seconds, _at(line))
        for (day, name), line in chain.kept.items()
        if (day, name) not in chain.erased and name not in known
    ]
    return sorted(found, key=lambda each: (each.kept_at, each.name), reverse=True)


def items(store: Path, protected: Path, known: Collection[str]) -> list[Item]:
    """What is kept there, by call where the name tells one, the oldest first. `known`: names that have a row, whose
    centre was found after all and whose rule counts. Raises OSError."""
    chain = told(store, UNASSIGNED)
    sounds: dict[CallId, list[Sound]] = {}
    for (day, name), line in chain.kept.items():
        if (day, name) in chain.erased or name in known:
            continue
        reported = line.protected or (protected / (name + ENDS)).exists()
        over, kind = _at(line), _kind(line) or RecordingKind.CALL
        sounds.setdefault(CallId(line.call or name), []).append(Sound(name, kind, reported, over))
    found = [Item(call, call, max(each.over for each in of), tuple(of)) for call, of in sounds.items()]
    return sorted(found, key=lambda item: (item.over, item.call))


def _at(line: Kept) -> Instant:
    return Instant(round(datetime.fromisoformat(line.at).timestamp() * SECOND))


def _kind(line: Kept) -> RecordingKind | None:
    return RecordingKind(line.of) if line.of in _KINDS else None


_KINDS = {each.value for each in RecordingKind}
