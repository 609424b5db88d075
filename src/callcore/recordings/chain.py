"""What was kept and what was erased: one signed line each, chained, so that nothing of it can be changed or left out.

    <store>/<centre>/<day>/<name>.ccr     the recordings that the day's chain tells of (`vault`)
    <store>/<centre>/<day>/chain.jsonl    one line each, in the order of writing
    <store>/<centre>/<day>/root.json      the day's signed root; final once the day is over
    <store>/<centre>/root.json            the same of the newest day
    <keys>/heads/<centre>.json            where the chain ends, kept apart

Rules
- The day is the local day (the centre's time zone) on which the line was written, so the root of a day that is over
  never changes. A call whose recording was kept after midnight stands in the next day; an erasure stands in the day of
  the erasure. A clock that was set back writes on into the newest day.
- A line is JSON; `prev` is the SHA-256 of the whole line before (also over days), `n` counts on from 1, `sig`, always
  last, is Ed25519 over `callcore recordings line 1`, a line feed, and the line without `,"sig":"…"`.
- A day's root is the SHA-256 of its last line. `root.json` is signed likewise, over `callcore recordings root 1`.
- The writer goes by its own head. Whoever comes next after a crash or a full disk first takes over the lines beyond it
  that it signed itself, also those of a later day, signs them as a whole, and removes what was written by half. When
  lines before are gone, it goes on all the same, and what is missing shows for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from callcore.domain.ids import SECOND, Instant
from callcore.domain.retention import NO_RULE_REACHES
from callcore.files import append_line, cut_torn_line, locked, make_folder, sync_folder, write_whole
from callcore.recordings.errors import StoreAway, WrongKey
from callcore.recordings.signing import PublicKeys, Signer, installed, made, signed_by, signer, was_there
from callcore.recordings.vault import Digest

log = structlog.get_logger(__name__)

CHAIN, ROOT = "chain.jsonl", "root.json"
START = "0" * 64
"""What stands before the first line."""
LINE_SIGNED, ROOT_SIGNED = b"callcore recordings line 1\n", b"callcore recordings root 1\n"
_SIG = re.compile(rb',"sig":"([0-9a-f]{128})"\}\Z')
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
LOST_FOUND = "lost+found"
"""At the root of a file system, where only root may look: no centre."""


class _Base(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """`at`: RFC 3339 with the centre's offset. `key`: the id of the key that signed."""

    n: int = 0
    prev: str = ""
    centre: str
    day: str
    at: str
    key: str = ""


class Began(_Base, frozen=True, kw_only=True, tag="day"):
    """The first line of a day. `after`: the day before it in the chain."""

    after: str | None


class Kept(_Base, frozen=True, kw_only=True, tag="kept"):
    """`captured`: the sound as Asterisk wrote it; `sound`: as it is kept; `stored`: the sealed file. `of`: a kind of
    recording of the domain, `unknown` where nobody knows. `seconds` of sound; 0: it cannot be told. `period`: the month
    of the key that wraps its own. `channels`: two have the citizen on the left (`sides`)."""

    name: str
    form: str
    call: str | None
    of: str
    seconds: float = 0.0
    period: str = ""
    captured: Digest
    sound: Digest
    stored: Digest
    protected: bool = False
    channels: int = 1


class Erased(_Base, frozen=True, kw_only=True, tag="erased"):
    """`kept`: the day whose chain tells that it was kept; `sha256` of the sealed file; `by`: a person's id."""

    name: str
    kept: str
    sha256: str
    why: str
    by: str


Line = Began | Kept | Erased


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """A day's chain in one figure. `first` to `n` are its lines, `before` the mark before them, `root` the last one's.
    `kept` and `erased` count its recordings."""

    centre: str
    day: str
    first: int
    n: int
    before: str
    root: str
    kept: int
    erased: int
    at: str
    key: str = ""

    @property
    def lines(self) -> int:
        return self.n - self.first + 1


class _Head(msgspec.Struct, frozen=True):
    """The newest root, and the bytes of its chain file."""

    root: Root
    size: int


_lines: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Began | Kept | Erased)


def mark_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def signed(value: Line | Root, signer: Signer, prefix: bytes) -> bytes:
    body = msgspec.json.encode(value)
    return body[:-1] + b',"sig":"' + signer.sign(prefix + body).encode() + b'"}'


def line_of(raw: bytes) -> Line | None:
    """A line without a look at its signature; None: it is none."""
    try:
        return _lines.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def checked_line(raw: bytes, keys: PublicKeys) -> Line | None:
    """A line that one of the keys signed, or None."""
    line = line_of(raw)
    return line if line is not None and _fits(raw, line.key, keys, LINE_SIGNED) else None


def checked_root(raw: bytes, keys: PublicKeys) -> Root | None:
    """A root that one of the keys signed, or None."""
    root = root_of(raw)
    return root if root is not None and _fits(raw.rstrip(b"\n"), root.key, keys, ROOT_SIGNED) else None


def root_of(raw: bytes) -> Root | None:
    """A root without a look at its signature; None: it is none."""
    try:
        return msgspec.json.decode(raw, type=Root)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _fits(raw: bytes, key: str, keys: PublicKeys, prefix: bytes) -> bool:
    found = _SIG.search(raw)
    if found is None:
        return False
    return signed_by(keys, key, prefix + raw[: found.start()] + b"}", found[1].decode())


def raw_lines(folder: Path) -> list[bytes]:
    """The lines of a day's chain; [] without one. A last one without its end comes too. Raises OSError."""
    try:
        lines = (folder / CHAIN).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return lines if lines[-1] else lines[:-1]


def at_of(line: Line) -> Instant | None:
    """When it was written. None: nobody can tell, as somebody edited it."""
    try:
        at = datetime.fromisoformat(line.at)
    except ValueError:
        return None
    if at.tzinfo is None or not 0 <= at.timestamp() * SECOND < NO_RULE_REACHES:
        return None
    return Instant(round(at.timestamp() * SECOND))


def untimed(store: Path) -> list[str]:
    """The lines of all chains whose time cannot be read, as `<centre>/<day>/chain.jsonl:<row>`. What cannot be read at
    all is passed over: `verify` names it."""
    found = []
    for centre in centres_of(store):
        for day in days_of(store, centre):
            with suppress(OSError):
                lines = map(line_of, raw_lines(store / centre / day))
                rows = (row for row, line in enumerate(lines, 1) if line is not None and at_of(line) is None)
                found += [f"{centre}/{day}/{CHAIN}:{row}" for row in rows]
    return found


def centres_of(store: Path) -> list[str]:
    """The centres, and whatever else has a folder of its own; [] while there is no store. Raises OSError."""
    try:
        return sorted(p.name for p in store.iterdir() if p.name != LOST_FOUND and p.is_dir())
    except FileNotFoundError:
        return []


def days_of(store: Path, centre: str) -> list[str]:
    """The days of a centre for which there is a folder, the oldest first."""
    try:
        return sorted(p.name for p in (store / centre).iterdir() if DAY.fullmatch(p.name) and p.is_dir())
    except FileNotFoundError:
        return []


def roots(store: Path, centre: str, keys: PublicKeys) -> dict[str, Root]:
    """The roots of a centre by day; one that is not signed by any of the keys is left out."""
    found = {}
    for day in days_of(store, centre):
        try:
            root = checked_root((store / centre / day / ROOT).read_bytes(), keys)
        except OSError:
            continue
        if root is not None and root.centre == centre and root.day == day:
            found[day] = root
    return found


def kept_line(store: Path, centre: str, day: str, name: str) -> Kept | None:
    """What the chain of a day tells of a recording that was not erased on that day since, as the file has it."""
    found = None
    for line in map(line_of, raw_lines(store / centre / day)):
        if isinstance(line, Kept) and line.name == name:
            found = line
        elif isinstance(line, Erased) and (line.kept, line.name) == (day, name):
            found = None
    return found


def erased_of(store: Path, centre: str, since: str = "") -> set[str]:
    """The names of a centre's recordings that were erased on that day (ISO) or later, as the files have it."""
    days = (day for day in days_of(store, centre) if day >= since)
    lines = (line_of(raw) for day in days for raw in raw_lines(store / centre / day))
    return {line.name for line in lines if isinstance(line, Erased)}


def ahead(keys: Path, today: str) -> dict[str, str]:
    """The centres whose chain ends on a day after this one (ISO), with that day: a clock was ahead. A head that cannot
    be read is passed over."""
    found = {}
    for path in sorted(_heads(keys).glob("*.json")):
        try:
            day = msgspec.json.decode(path.read_bytes(), type=_Head).root.day
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if day > today:
            found[path.stem] = day
    return found


def signing(store: Path, keys: Path) -> Signer:
    """The installation's signer; made where nothing was ever signed, and nowhere else. Raises SigningKeyLost, KeyOpen,
    WrongKey, OSError."""
    if not begun(store, keys):
        with held(keys):
            if not begun(store, keys):
                return made(keys)
    return signer(keys)


def begun(store: Path, keys: Path) -> bool:
    """Whether anything is left of a signing key, or of what one signed. Raises OSError."""
    return was_there(keys) or any(_heads(keys).glob("*.json")) or any(store.glob(f"*/*/{CHAIN}"))


def _heads(keys: Path) -> Path:
    return keys / "heads"


@dataclass(frozen=True, slots=True)
class Chain:
    """The writer. `keys` is the folder of the keys; any process of the installation may write, under a lock."""

    store: Path
    keys: Path
    signer: Signer = field(repr=False)

    def day(self, centre: str, today: str) -> str:
        """In which day a line of today will stand: in the newest one, if that is later. Raises StoreAway: there was a
        folder of this centre, and it is gone, like that of a disk not mounted. Raises OSError."""
        if self._head_path(centre).exists() and not (self.store / centre).is_dir():
            raise StoreAway(self.store / centre)
        with held(self.keys):
            head = self._head(centre)
        return today if head is None else max(today, head.root.day)

    def add(self, line: Kept | Erased, place: Callable[[Path], None] = lambda folder: None) -> Root:
        """Write a line, on the disk before this returns, and the root of its day, which is given back. The day is that
        of `day`, or the newest one if that is later; `place` puts into its folder what the line tells of. Raises
        OSError: then the line does not stand, or it does and is taken over by the next one."""
        with held(self.keys):
            head = self._head(line.centre)
            root = None if head is None else head.root
            day = line.day if root is None else max(line.day, root.day)
            folder = self.store / line.centre / day
            make_folder(folder)
            place(folder)
            if root is None or root.day != day:
                after = None if root is None else root.day
                root = self._write(folder, root, Began(centre=line.centre, day=day, at=line.at, after=after))
            return self._write(folder, root, msgspec.structs.replace(line, day=day))

    def settle(self) -> None:
        """After a crash: sign what was written and not yet signed as a whole. Raises OSError."""
        if not self.store.is_dir():
            return
        with held(self.keys):
            for centre in centres_of(self.store):
                self._head(centre)

    def _write(self, folder: Path, root: Root | None, line: Line) -> Root:
        n, prev = (0, START) if root is None else (root.n, root.root)
        line = msgspec.structs.replace(line, n=n + 1, prev=prev, key=self.signer.id)
        raw = signed(line, self.signer, LINE_SIGNED)
        size = append_line(folder / CHAIN, raw)
        after = _after(root, line, raw)
        self._keep(_Head(after, size))
        return after

    def _keep(self, head: _Head) -> None:
        centre = self.store / head.root.centre
        raw = signed(msgspec.structs.replace(head.root, key=self.signer.id), self.signer, ROOT_SIGNED)
        write_whole(centre / head.root.day / ROOT, raw + b"\n")
        write_whole(centre / ROOT, raw + b"\n")
        make_folder(self._head_path(head.root.centre).parent)
        write_whole(self._head_path(head.root.centre), msgspec.json.encode(head))

    # -- where it ends --------------------------------------------------------------------------------------------

    def _head_path(self, centre: str) -> Path:
        return _heads(self.keys) / f"{centre}.json"

    def _head(self, centre: str) -> _Head | None:
        """Where it ends, signed as a whole. The head is noted last, so one that fits needs nothing more."""
        path = self._head_path(centre)
        try:
            kept: _Head | None = msgspec.json.decode(path.read_bytes(), type=_Head)
        except FileNotFoundError:
            kept = None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise WrongKey(path) from None
        if kept is not None:
            chain = self.store / centre / kept.root.day / CHAIN
            begun = any(day > kept.root.day for day in days_of(self.store, centre))
            if not begun and chain.exists() and chain.stat().st_size == kept.size:
                return kept
        self._cut(centre, kept)
        head = self._followed(centre, kept)
        if head is not None and head != kept:
            self._keep(head)
        return head

    def _cut(self, centre: str, kept: _Head | None) -> None:
        """Remove what was written by half beyond the head that was noted: a last line, and a day without any."""
        for day in days_of(self.store, centre):
            if kept is not None and day < kept.root.day:
                continue
            folder, noted = self.store / centre / day, 0
            if kept is not None and day == kept.root.day:
                noted = kept.size
            chain = folder / CHAIN
            if chain.exists():
                cut_torn_line(chain, noted)
                if not noted and not chain.stat().st_size:
                    chain.unlink()
            if not noted and not any(folder.iterdir()):
                folder.rmdir()
                sync_folder(folder.parent)

    def _followed(self, centre: str, kept: _Head | None) -> _Head | None:
        """Our own lines beyond the head that was noted are taken over. What it knew and is gone stays gone."""
        root = None if kept is None else kept.root
        ours = {**installed(self.keys), **self.signer.public}
        size, met = (0, False) if kept is None else (kept.size, False)
        for day in days_of(self.store, centre):
            if root is not None and day < root.day:
                continue
            end = 0
            for raw in raw_lines(self.store / centre / day):
                end += len(raw) + 1
                if root is not None and mark_of(raw) == root.root:
                    met, size = True, end
                    continue
                line = checked_line(raw, ours)
                if line is None or (root is not None and line.prev != root.root):
                    continue
                root, size, met = _after(root, line, raw), end, True
        if root is not None and not met:
            log.error(
                "録音の記録の鎖が途切れています。callcore recordings verify で確かめてください / "
                "the chain of recordings is broken; see callcore recordings verify",
                centre=centre,
                day=root.day,
            )
        return None if root is None else _Head(root, size)


def held(keys: Path) -> AbstractContextManager[None]:
    """While this lasts nobody adds a line to a chain, or puts what it tells of into the store. Raises OSError."""
    return locked(keys / ".chain-lock")


def _after(root: Root | None, line: Line, raw: bytes) -> Root:
    """The day's root with one more line."""
    same = root is not None and root.day == line.day
    first, before, kept, erased = (
        (root.first, root.before, root.kept, root.erased)
        if same and root is not None
        else (line.n, line.prev, 0, 0)
    )
    return Root(
        centre=line.centre,
        day=line.day,
        first=first,
        n=line.n,
        before=before,
        root=mark_of(raw),
        kept=kept + isinstance(line, Kept),
        erased=erased + isinstance(line, Erased),
        at=line.at,
    )
