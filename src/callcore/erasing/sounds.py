"""Recordings made unreadable and removed: key, line in the chain, file, each on the disk before the next.

A table of keys that cannot be read holds up nothing: its keys are passed over, files and lines go their way, and the
table stays as it is, for there may be keys in it of what is kept. Whoever erases names it, and comes again.

Killed between any two of them, the next try goes on where it stood: a key that is gone is gone, a line that stands is
not written again, a file that is not there is not missed. Until then `callcore recordings verify` says that an erased
file is still there (`erased_there`), never that one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from callcore.files import shred, sync_folder
from callcore.recordings import UNCUT
from callcore.recordings.chain import Chain, Erased, Kept, days_of, line_of, raw_lines
from callcore.recordings.keys import KeyRing, Unread
from callcore.recordings.library import PLAIN_ENDS, Recordings
from callcore.recordings.sides import SIDE_ENDS
from callcore.recordings.vault import ENDS


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """One recording that was erased. `kept`: the day whose chain tells that it was kept, `line` the number of the line
    that tells of its erasure; None: it was never in the store."""

    name: str
    call: str
    size: int | None
    sha256: str | None
    sound: str | None
    """SHA-256 of the sound as it was kept."""
    kept: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the chain of a centre tells: what was kept, by name and day, and what was erased, with the line's number."""

    kept: dict[tuple[str, str], Kept]
    erased: dict[tuple[str, str], int]

    def of(self, name: str) -> list[tuple[str, Kept]]:
        """The days on which a recording of this name was kept."""
        return [(day, line) for (day, each), line in self.kept.items() if each == name]

    def there(self) -> list[Kept]:
        """What was kept and not erased, in the order of keeping."""
        return [line for (day, _), line in self.kept.items() if not self.has_erased(day, line)]

    def has_erased(self, day: str, line: Kept) -> bool:
        """Whether it was erased after this line: a name may be kept anew."""
        return self.erased.get((day, line.name), 0) > line.n


Closed = Mapping[str, Mapping[str, Unread]]
"""By centre, the days whose tables of keys cannot be read, and why."""


def told(store: Path, centre: str) -> Told:
    """Read from all days of the chain: 27,000 lines took 0.3 s. Raises OSError."""
    found = Told({}, {})
    for day in days_of(store, centre):
        for raw in raw_lines(store / centre / day):
            line = line_of(raw)
            if isinstance(line, Kept):
                found.kept[day, line.name] = line
            elif isinstance(line, Erased):
                found.erased[line.kept, line.name] = line.n
    return found


def is_of(name: str, call: str) -> bool:
    """Whether a recording of this name is one of the call: `<call>`, `<call>.message`, `<call>~2`."""
    return name == call or name.startswith((f"{call}.", f"{call}~"))


def plain_in(spool: Path) -> set[str]:
    """The names whose sound still lies in clear: it is sealed within a minute, and erased then."""
    return {path.stem for ends in (PLAIN_ENDS, UNCUT) for path in spool.glob(f"[!.]*{ends}")}


def doubtful(ring: KeyRing, closed: Closed, centre: str, name: str, chain: Told) -> bool:
    """Whether a key of a recording may lie in a table that cannot be read."""
    unread = closed.get(centre)
    if not unread:
        return False
    return any(each in unread for day, _ in chain.of(name) for each in ring.days_of(centre, day))


@dataclass(slots=True)
class Sounds:
    """`at`: the instant (RFC 3339, the centre's offset) and its day, as each line gets them."""

    recordings: Recordings
    protected: Path
    chain: Chain
    at: Callable[[], tuple[str, str]]
    step: Callable[[str], None] = lambda what: None
    closed: Closed = field(default_factory=dict)

    def opens(self, chains: dict[str, Told], name: str) -> bool:
        """Whether nothing of it was erased yet: a key of it is there, or may be in a table that cannot be read. One
        whose erasure the chain tells of is erased, also where its key came back with a table."""
        return any(self._whole(centre, name, chain) for centre, chain in chains.items())

    def _whole(self, centre: str, name: str, chain: Told) -> bool:
        kept = chain.of(name)
        if kept and all(chain.has_erased(day, line) for day, line in kept):
            return False
        there = self.recordings.ring.has(centre, name, self.closed.get(centre, {}))
        return there or self._doubtful(centre, name, chain)

    def _doubtful(self, centre: str, name: str, chain: Told) -> bool:
        return doubtful(self.recordings.ring, self.closed, centre, name, chain)

    def erase(
        self, centres: Collection[str], call: str, name: str, why: str, by: str, chains: dict[str, Told]
    ) -> Gone:
        """`centres`: in whose store it may lie. `chains` is kept in step. Raises RecordingError, OSError."""
        gone = Gone(name=name, call=call, size=None, sha256=None, sound=None, kept=None, line=None)
        for centre in centres:
            for day, line in chains[centre].of(name):
                gone = self._one(centre, day, line, gone, why, by, chains[centre])
            self._destroy(centre, name)
        for side in SIDE_ENDS:  # of a recording that somebody took away
            shred(self.recordings.spool / (name + side))
        for ends in (PLAIN_ENDS, *SIDE_ENDS, ENDS):
            path = self.protected / (name + ends)
            if path.exists():
                self.step("protected")
                shred(path)
        return gone

    def _destroy(self, centre: str, name: str) -> None:
        """Every key of that name: one that a crash left unused, too."""
        closed = self.closed.get(centre, {})
        for day in self.recordings.ring.days(centre):
            if day not in closed:
                self.recordings.ring.destroy(centre, day, name, self.at()[0])

    def _one(self, centre: str, day: str, kept: Kept, gone: Gone, why: str, by: str, chain: Told) -> Gone:
        self.step("key")
        self._destroy(centre, kept.name)
        self.step("line")
        if not chain.has_erased(day, kept):
            at, today = self.at()
            root = self.chain.add(
                Erased(
                    centre=centre,
                    day=today,
                    at=at,
                    name=kept.name,
                    kept=day,
                    sha256=kept.stored.sha256,
                    why=why,
                    by=by,
                )
            )
            chain.erased[day, kept.name] = root.n
        self.step("file")
        path = self.recordings.store / centre / day / (kept.name + ENDS)
        if path.exists():
            if doubtful(
                self.recordings.ring, self.closed, centre, kept.name, chain
            ):  # its key may come back with the table
                shred(path)
            else:
                path.unlink()
                sync_folder(path.parent)
        return Gone(
            name=gone.name,
            call=gone.call,
            size=kept.sound.size,
            sha256=kept.stored.sha256,
            sound=kept.sound.sha256,
            kept=day,
            line=chain.erased[day, kept.name],
        )
