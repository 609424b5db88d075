"""Keys that recordings in the store need and that are not there; and how it goes on where they are lost for good.

Rules
- Whether a key was there before, the chains in the store tell. Where they tell of recordings, no key is made in place
  of one that is missing, whichever it is: the signing key, that of centre and month, the table of a day. What was
  made in its place would hide the loss, and be overwritten when the lost one is put back.
- What is lost for good is replaced by order (`replace`), beside what may still turn up.
- Erased is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from callcore.recordings.chain import (
    ROOT,
    Kept,
    centres_of,
    checked_root,
    days_of,
    erased_of,
    line_of,
    raw_lines,
    root_of,
)
from callcore.recordings.errors import KeyLost, NothingLost, NotItsKey, WrongKey
from callcore.recordings.keys import PLAIN, KeyRing
from callcore.recordings.signing import PRIVATE, PublicKeys, Signer, installed, renewed, signer

SHOWN = 3
"""So many names are said."""


@dataclass(frozen=True, slots=True)
class Keyless:
    """Recordings of a centre, kept in one month and not erased, whose keys are missing: the oldest first. `files`: what
    is to be put back."""

    centre: str
    month: str
    names: tuple[str, ...]
    files: tuple[Path, ...]

    def __str__(self) -> str:
        count = len(self.names)
        names = ", ".join(self.names[:SHOWN]) + (" …" if count > SHOWN else "")
        files = ", ".join(map(str, self.files[:SHOWN])) + (" …" if len(self.files) > SHOWN else "")
        return (
            f"{self.centre} {self.month}: {count}件の録音の鍵がありません ({names})。開けません。"
            f"鍵のバックアップから戻してください: {files}。それまで古いバックアップも消さないでください / "
            f"the keys of {count} recordings are missing, which do not open ({names}); put these back from the back-up "
            f"of the keys: {files}. Until then delete no older back-up"
        )


def keyless(
    store: Path, ring: KeyRing, unread: Callable[[OSError], None], *, thorough: bool
) -> Iterator[Keyless]:
    """By centre and month. Not `thorough`: only where a day's table or a month's key is gone as a whole, and while none
    is, no chain is read. What cannot be read is passed over (`KeyRing.faults`); of folders and chains `unread` is told.
    Raises OSError: the store itself cannot be read."""
    for centre in filter(PLAIN.fullmatch, centres_of(store)):  # what else lies there is `verify`'s to name
        months: dict[str, dict[str, Path]] = {}
        keyed: dict[str, bool] = {}
        try:
            days = days_of(store, centre)
        except OSError as error:
            unread(error)
            continue
        for day in days:
            month = day[:7]
            if month not in keyed:
                keyed[month] = ring.has_month(centre, month)
            if thorough or not keyed[month] or not ring.has_table(centre, day):
                try:
                    missing = _without_key(store, ring, centre, day)
                except OSError as error:
                    unread(error)
                    continue
                months.setdefault(month, {}).update(missing)
        for month, missing in months.items():
            if missing:
                yield Keyless(centre, month, tuple(missing), tuple(dict.fromkeys(missing.values())))


def _without_key(store: Path, ring: KeyRing, centre: str, day: str) -> dict[str, Path]:
    """With the file that is to be put back."""
    lines = (line_of(raw) for raw in raw_lines(store / centre / day))
    try:
        missing = ring.missing(centre, day, [line.name for line in lines if isinstance(line, Kept)])
    except WrongKey:
        return {}
    erased = erased_of(store, centre, day) if missing else set()
    return {name: file for name, file in missing.items() if name not in erased}


def needs(store: Path, ring: KeyRing, centre: str, day: str) -> None:
    """Before a key is made for a recording of that day. Raises KeyLost: one that should be there is not. Raises
    OSError."""
    if not ring.has_table(centre, day) and kept_on(store, centre, day):
        raise KeyLost(ring.table(centre, day))
    month = day[:7]
    if not ring.has_month(centre, month) and any(
        kept_on(store, centre, each) for each in days_of(store, centre) if each.startswith(month)
    ):
        raise KeyLost(ring.wrapping(centre, month))


def kept_on(store: Path, centre: str, day: str) -> bool:
    """Whether the chain of that day tells of a recording, erased or not. Raises OSError."""
    try:
        root = root_of((store / centre / day / ROOT).read_bytes())
    except FileNotFoundError:
        root = None
    if root is not None:
        return root.kept > 0
    return any(isinstance(line_of(raw), Kept) for raw in raw_lines(store / centre / day))


def strangers(store: Path, keys: Path) -> Iterator[NotItsKey]:
    """Centres whose newest root none of this installation's keys signed. Raises RecordingError, OSError."""
    known = installed(keys)
    yield from (NotItsKey(store / centre / ROOT) for centre in _not_signed(store, known))


def _not_signed(store: Path, keys: PublicKeys) -> Iterator[str]:
    for centre in centres_of(store):
        try:
            raw = (store / centre / ROOT).read_bytes()
        except FileNotFoundError:
            continue
        if root_of(raw) is not None and checked_root(raw, keys) is None:
            yield centre


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was made in place of what is lost: the signing key, if so, and the files of keys."""

    signer: Signer | None
    made: tuple[Path, ...]


def replace(store: Path, keys: Path, former: PublicKeys) -> Replaced:
    """Go on without what is lost for good. `former`: public keys by which the chains so far are checked, beside those
    that are there. Raises NotItsKey: none of them fits a centre's chain; RecordingError, OSError."""
    ring = KeyRing(keys)
    made: list[Path] = []
    signing = None
    if (keys / PRIVATE).exists():
        signer(keys)  # one that does not fit is no lost one
    else:
        for centre in _not_signed(store, {**installed(keys), **former}):
            raise NotItsKey(store / centre / ROOT)
        signing = renewed(keys, former)
    for centre in filter(PLAIN.fullmatch, centres_of(store)):
        kept = [day for day in days_of(store, centre) if kept_on(store, centre, day)]
        if kept:
            made += ring.replaced(centre, kept[-1])
    if signing is None and not made:
        raise NothingLost(keys)
    return Replaced(signing, tuple(made))
