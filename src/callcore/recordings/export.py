"""Recordings handed over: one ZIP archive with their sound, what is known of them, and the proof that both are whole.

    README.txt                 what it is, and how to check it
    audio/<begin>_<name>.…     the sound as it was kept, .wav or .opus; names sort by the centre's local begin
    chain/<centre>/…           the signed chain (`chain`) of the days on which they were kept
    index.csv, index.json      what is known of each recording, those without sound too
    SHA256SUMS                 of all files above, as `sha256sum -c` takes it
    SHA256SUMS.sig             Ed25519 over its bytes, by the key that signs the chain

Rules
- A ZIP, stored and not compressed: any desktop opens it, a file in it is read without the rest, and what was cut off at
  its end does not open at all. It is made in one go, front to back, so that it can be sent as it is made: no sound
  ever lies in clear on this machine for it.
- A recording is read whole and held against its line in the chain before its first byte is given out. One that cannot
  be is left out, and the index says why; of faults (not of erased ones) whoever asked is told.
- A day whose chain cannot be read costs the sound that was kept on it: nothing else proves it. `unread` of index.json
  names it, and whoever asked is told.
- An erasure may come while it is made. What is gone when its turn comes is erased, whatever its row says; what was
  opened before is given out whole, and the index says that it was erased meanwhile. So it is asked of the chain last.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from callcore.cells import defused
from callcore.domain.ids import SECOND, Instant
from callcore.domain.recording import UNASSIGNED, Place
from callcore.domain.retention import WORDS, Why
from callcore.recordings.chain import CHAIN, ROOT, Erased, Kept, days_of, kept_line, line_of, raw_lines
from callcore.recordings.errors import Altered, KeyDestroyed, RecordingError
from callcore.recordings.formats import ending
from callcore.recordings.library import Recordings
from callcore.recordings.signing import Signer
from callcore.recordings.vault import ENDS, Unsealed
from callcore.runtime.recordings import ExportAsked, Recording

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
AUDIO, CHAINS = "audio", "chain"
FIRST_LINE = "# callcore recordings export 1"
"""Of SHA256SUMS, so that the signature is one of an export and of nothing else. `sha256sum` passes it over."""
PIECE = 1 << 18
YEARS = 1980, 2107
"""Of the times that a ZIP can tell; a recording of a clock that was never set has another."""
BOM = "\ufeff"


class Lacking(Enum):
    """Why a recording of an export has no sound in it."""

    NEVER = "never"
    ERASED = "erased"
    NOT_KEPT = "not_kept"
    UNREADABLE = "unreadable"


LACKING: dict[Lacking, tuple[str, str]] = {
    Lacking.NEVER: ("音が録れていない", "there never was sound"),
    Lacking.ERASED: ("消去済み", "erased"),
    Lacking.NOT_KEPT: (
        "保管先にない(通話中・保存前、または行方不明)",
        "not in the store: not kept yet, or missing",
    ),
    Lacking.UNREADABLE: ("読めない", "cannot be read"),
}
FAULTS = frozenset({Lacking.NOT_KEPT, Lacking.UNREADABLE})


@dataclass(frozen=True, slots=True)
class Without:
    """A recording that is in the index alone. `detail`: what could not be read."""

    name: str
    why: Lacking
    detail: str = ""

    def __str__(self) -> str:
        ja, en = LACKING[self.why]
        return f"{self.name}: {ja} / {en}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True)
class _Found:
    """One whose sound was read and is what the chain tells of. `sound` is open: no erasure takes it away."""

    path: Path
    line: Kept
    sound: Unsealed


@dataclass(slots=True)
class Export:
    """One archive, made once: `pieces` are its bytes; then the rest tells what became of it."""

    recordings: Recordings
    signer: Signer = field(repr=False)
    asked: ExportAsked
    rows: Sequence[Recording]
    """In any order."""
    at: Instant
    heard: Callable[[Recording], None]
    """Told before the first byte of each one's sound is given out; what it raises ends the archive."""
    without: list[Without] = field(default_factory=list)
    files: int = 0
    """With sound."""
    unread: list[str] = field(default_factory=list)
    """Chains, and folders of a centre, that could not be read, as they stand in the store."""
    _sums: list[str] = field(default_factory=list, repr=False)
    _days: dict[str, set[str]] = field(default_factory=dict, repr=False)

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def faults(self) -> list[Without]:
        return [each for each in self.without if each.why in FAULTS]

    @property
    def lacks(self) -> list[str]:
        """In words, what should be in it and is not."""
        ja, en = LACKING[Lacking.UNREADABLE]
        return [*map(str, self.faults), *(f"{each}: {ja} / {en}" for each in self.unread)]

    def pieces(self) -> Iterator[bytes]:
        """Raises OSError, and what `heard` does."""
        zone = ZoneInfo(self.asked.zone)
        rows = sorted(self.rows, key=lambda row: (row.began_at, row.name))
        newest = {centre: max(self._days_of(centre), default="") for centre in self._centres}
        lines = self._lines(rows, zone)
        out = _Out()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            yield from self._put(archive, out, "README.txt", self.at, [README.encode()])
            shown: list[tuple[Recording, str, Kept | Without]] = []
            for row in rows:
                found = self._found(row, lines)
                if isinstance(found, Without):
                    shown.append((row, "", found))
                    continue
                with found.sound:
                    began = datetime.fromtimestamp(row.began_at / SECOND, zone)
                    file = f"{AUDIO}/{began:%Y-%m-%dT%H%M%S}_{row.name}.{ending(found.line.form)}"
                    self._days.setdefault(found.path.parent.parent.name, set()).add(found.path.parent.name)
                    self.heard(row)
                    yield from self._put(archive, out, file, row.began_at, _parts(found.sound))
                self.files += 1
                shown.append((row, file, found.line))
            lacking = any(_not_kept(found) for _, _, found in shown)
            since = dict.fromkeys(newest, _first_day(rows, zone)) if lacking else newest
            index = self._index(shown, since, zone)
            for name, content in self._chains():
                yield from self._put(archive, out, f"{CHAINS}/{name}", self.at, [content])
            yield from self._put(archive, out, "index.csv", self.at, [_csv(index)])
            yield from self._put(archive, out, "index.json", self.at, [self._json(index, zone)])
            sums = "\n".join((FIRST_LINE, f"# key {self.signer.id}", *self._sums, "")).encode()
            yield from self._put(archive, out, SUMS, self.at, [sums])
            signature = bytes.fromhex(self.signer.sign(sums))
            yield from self._put(archive, out, SIGNATURE, self.at, [signature])
        yield out.taken()

    def _index(
        self, shown: Sequence[tuple[Recording, str, Kept | Without]], since: dict[str, str], zone: ZoneInfo
    ) -> list[dict[str, Any]]:
        """`since`: from which day on each centre's chain is asked for what was erased."""
        erased = {
            line.name
            for centre, first in since.items()
            for day in self._days_of(centre)
            if day >= first
            for line in map(line_of, self._raw(centre, day))
            if isinstance(line, Erased)
        }
        index = []
        for row, file, found in shown:
            told = found
            if _not_kept(found) and row.name in erased:
                told = Without(row.name, Lacking.ERASED)
            if isinstance(told, Without):
                self.without.append(told)
            index.append(_told(row, zone, file, told, erased=row.name in erased, numbers=self.asked.numbers))
        return index

    # -- its files --------------------------------------------------------------------------------------------------

    def _put(
        self,
        archive: zipfile.ZipFile,
        out: _Out,
        name: str,
        at: Instant,
        parts: Iterator[bytes] | list[bytes],
    ) -> Iterator[bytes]:
        local = datetime.fromtimestamp(at / SECOND, ZoneInfo(self.asked.zone))
        told = local.timetuple()[:6] if YEARS[0] <= local.year <= YEARS[1] else (YEARS[0], 1, 1, 0, 0, 0)
        info = zipfile.ZipInfo(name, told)
        info.external_attr = 0o600 << 16
        info.create_system = 3  # so that the rights above are read as such
        digest = hashlib.sha256()
        with archive.open(info, "w") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
                if len(out) >= PIECE:
                    yield out.taken()
        self._sums.append(f"{digest.hexdigest()}  {name}")
        yield out.taken()

    def _found(self, row: Recording, lines: dict[str, tuple[Path, Kept]]) -> _Found | Without:
        """Its sound, opened; else why there is none, as far as it shows by now."""
        if row.erased_at is not None:
            return Without(row.name, Lacking.ERASED)
        try:
            there = lines.get(row.name) or self._elsewhere(row.name)
        except OSError as error:
            return Without(row.name, Lacking.UNREADABLE, str(error))
        if there is None:
            gone = row.problem is not None and row.place is Place.GONE
            return Without(row.name, Lacking.NEVER if gone else Lacking.NOT_KEPT)
        path, line = there
        try:
            return _Found(path, line, self._opened(path, line))
        except KeyDestroyed:
            return Without(row.name, Lacking.ERASED)
        except FileNotFoundError:
            return Without(row.name, Lacking.NOT_KEPT, str(path))
        except (RecordingError, OSError) as error:
            return Without(row.name, Lacking.UNREADABLE, str(error))

    def _opened(self, path: Path, line: Kept) -> Unsealed:
        """Read whole, and found to be what the chain tells of. Raises FileNotFoundError, OSError, RecordingError."""
        sound = self.recordings.unsealed(path)
        try:
            if sound.check() != line.sound:
                raise Altered(path, 0)
        except BaseException:
            sound.close()
            raise
        return sound

    @property
    def _centres(self) -> tuple[str, ...]:
        """In whose store they may lie."""
        return (self.asked.centre, UNASSIGNED)

    def _days_of(self, centre: str) -> list[str]:
        try:
            return days_of(self.recordings.store, centre)
        except OSError:
            self._not_read(centre)
            return []

    def _raw(self, centre: str, day: str) -> list[bytes]:
        try:
            return raw_lines(self.recordings.store / centre / day)
        except OSError:
            self._not_read(f"{centre}/{day}/{CHAIN}")
            return []

    def _not_read(self, name: str) -> None:
        if name not in self.unread:
            self.unread.append(name)

    def _lines(self, rows: Sequence[Recording], zone: ZoneInfo) -> dict[str, tuple[Path, Kept]]:
        """What the chain tells of them, from the day of the earliest one on."""
        found: dict[str, tuple[Path, Kept]] = {}
        if not rows:
            return found
        names = {row.name for row in rows}
        since = _first_day(rows, zone)
        for centre in self._centres:
            for day in self._days_of(centre):
                if day < since or len(found) == len(names):
                    continue
                folder = self.recordings.store / centre / day
                for raw in self._raw(centre, day):
                    line = line_of(raw)
                    if isinstance(line, Kept) and line.name in names:
                        found[line.name] = (folder / (line.name + ENDS), line)
        return found

    def _elsewhere(self, name: str) -> tuple[Path, Kept] | None:
        """One that was kept on a day before it began: by a clock that was set back."""
        path = self.recordings.find(name)
        if path is None:
            return None
        centre, day = path.parent.parent.name, path.parent.name
        try:
            line = kept_line(self.recordings.store, centre, day, name)
        except OSError:
            self._not_read(f"{centre}/{day}/{CHAIN}")
            raise
        return None if line is None else (path, line)

    def _chains(self) -> Iterator[tuple[str, bytes]]:
        """The days from the first to the last that tell of one of them. A root is read before its lines, which may
        grow meanwhile; that of the last day stands for the newest. A root, or a whole day, that is not there or cannot
        be read is left out, which `verify` names: the sound is proven by the lines."""
        store = self.recordings.store
        for centre, days in sorted(self._days.items()):
            root = b""
            for day in self._days_of(centre):
                if not min(days) <= day <= max(days):
                    continue
                of_day = b""
                with suppress(OSError):
                    of_day = (store / centre / day / ROOT).read_bytes()
                lines = self._raw(centre, day)
                if lines and of_day:
                    root = of_day
                    yield f"{centre}/{day}/{ROOT}", root
                if lines:
                    yield f"{centre}/{day}/{CHAIN}", b"\n".join((*lines, b""))
            if root:
                yield f"{centre}/{ROOT}", root

    def _json(self, index: list[dict[str, Any]], zone: ZoneInfo) -> bytes:
        whole = {
            "format": FIRST_LINE.removeprefix("# "),
            "made_at": _local(self.at, zone),
            "made_by": self.asked.by,
            "purpose": self.asked.purpose,
            "centre": self.asked.centre,
            "time_zone": self.asked.zone,
            "first": self.asked.first,
            "last": self.asked.last,
            "calls": list(self.asked.calls),
            "with_sound": self.files,
            "unread": self.unread,
            "recordings": index,
        }
        return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def _parts(sound: Unsealed) -> Iterator[bytes]:
    """From the begin. Raises OSError: also if somebody has changed the file since it was checked."""
    sound.seek(0)
    try:
        while part := sound.read(PIECE):
            yield part
    except RecordingError as error:
        raise OSError(str(error)) from error


def _not_kept(found: Kept | Without) -> bool:
    return isinstance(found, Without) and found.why is Lacking.NOT_KEPT


def _first_day(rows: Sequence[Recording], zone: ZoneInfo) -> str:
    """The local day (ISO) of the earliest one, which is the first."""
    return datetime.fromtimestamp(rows[0].began_at / SECOND, zone).date().isoformat()


class _Out(io.RawIOBase):
    """Where the archive is written to, to be taken on from there. It cannot be gone back in."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held


# -- the index --------------------------------------------------------------------------------------------------------

_COLUMNS: dict[str, str] = {
    "recording": "録音",
    "file": "ファイル",
    "sha256": "音の SHA-256",
    "size": "バイト",
    "format": "形式",
    "channels": "チャンネル",
    "seconds": "秒",
    "kind": "種類",
    "call": "通話 ID",
    "centre": "センター",
    "queue": "待ち行列",
    "language": "言語",
    "direction": "向き",
    "number": "電話番号(下3桁)",
    "agents": "オペレーター",
    "began_at": "開始",
    "ended_at": "終了",
    "result": "結果",
    "result_kind": "結果の種類",
    "department": "部署",
    "through": "取り次ぎ",
    "marks": "目印",
    "pauses": "一時停止",
    "problem": "異常",
    "kept_on": "保存した日(鎖)",
    "kept_by": "保存の理由",
    "keep_until": "保存期限",
    "without_sound": "音がない理由",
    "erased_meanwhile": "書き出し中に消去",
}


def _told(
    row: Recording, zone: ZoneInfo, file: str, told: Kept | Without, *, erased: bool, numbers: bool
) -> dict[str, Any]:
    """A row of the index. Times are the centre's local ones, with their offset."""
    line = None if isinstance(told, Without) else told
    return {
        "recording": row.name,
        "file": file or None,
        "sha256": None if line is None else line.sound.sha256,
        "size": None if line is None else line.sound.size,
        "format": None if line is None else line.form,
        "channels": None if line is None else line.channels,
        "seconds": row.seconds,
        "kind": row.kind.value,
        "call": row.call,
        "centre": row.centre,
        "queue": row.queue,
        "language": row.language,
        "direction": row.direction.value,
        "number": row.other.masked() if row.other is not None and numbers else None,
        "agents": list(row.agents),
        "began_at": _local(row.began_at, zone),
        "ended_at": None if row.ended_at is None else _local(row.ended_at, zone),
        "result": row.result,
        "result_kind": None if row.result_kind is None else row.result_kind.value,
        "department": row.department,
        "through": None if row.through is None else row.through.value,
        "marks": [mark.value for mark in row.marks],
        "pauses": [
            {
                "first": _local(each.first, zone),
                "before": None if each.before is None else _local(each.before, zone),
                "reason": each.reason,
            }
            for each in row.pauses
        ],
        "problem": row.problem,
        "kept_on": None if line is None else line.day,
        "kept_by": None if row.kept_by is None else row.kept_by.value,
        "keep_until": None if row.keep_until is None else _local(row.keep_until, zone),
        "without_sound": told.why.value if isinstance(told, Without) else None,
        "erased_meanwhile": line is not None and erased,
    }


def _csv(index: list[dict[str, Any]]) -> bytes:
    """As an office's Excel opens it: UTF-8 with BOM, CRLF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(f"{ja} {name}" for name, ja in _COLUMNS.items())
    for row in index:
        writer.writerow(_cell(name, row[name]) for name in _COLUMNS)
    return (BOM + out.getvalue()).encode()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "pauses":
        return "; ".join(f"{p['first']}–{p['before'] or ''} {p['reason']}" for p in value)
    if isinstance(value, bool):
        return "yes" if value else ""
    if name == "kept_by":
        return " ".join((WORDS[Why(value)].partition(" / ")[0], value))
    if name == "without_sound":
        return " ".join((LACKING[Lacking(value)][0], value))
    return defused("; ".join(value) if isinstance(value, list) else str(value))


def _local(at: Instant, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / SECOND, zone).isoformat(timespec="milliseconds")


README = """\
callcore 録音の引き渡し / Recordings handed over

audio/        録音 (WAV・Opus)。名前の先頭は通話の開始日時(現地) / the sound; names begin with the local begin
index.csv     一覧(Excel で開けます)。index.json は同じ内容 / the list, for Excel; index.json: the same
chain/        録音を保存した日の署名つきの記録 / the signed record of the days on which they were kept
SHA256SUMS    全ファイルのハッシュ。SHA256SUMS.sig はその署名 / hashes of all files, and their signature

確かめ方(契約の始めに渡された公開鍵 signing.pub で) / How to check, with the public key handed over at the beginning:

    callcore recordings verify --public-key signing.pub --export FILE.zip

callcore がなければ(展開したフォルダで) / without callcore, in the extracted folder:

    openssl pkeyutl -verify -pubin -inkey signing.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
    sha256sum -c SHA256SUMS

このファイルは暗号化されていません。暗号化した媒体で運び、用が済んだら消してください。
This archive is not encrypted: carry it on an encrypted medium, and delete it when it has served its purpose.
"""
