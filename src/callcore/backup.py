"""A back-up in two halves, taken while calls go on, and put back as a pair.

    A/  what happened: journal, database, recordings, trail, reports, logs. Opens no recording and no value of the
        journal by itself: what lies plain in the spool is sealed when it is copied.
    B/  what opens it, and what lets people in: keys, passwords, users, centre files. Never beside A.

Rules
- What changes meanwhile is made whole by the order: whatever says how far something goes is copied before it, and what
  opens it after it. So the database comes before the journal, from which it is filled up again; where the trail ends,
  before the trail; the journal's mark before its frames; keys last. Of the store, all chains and what they tell of are
  taken stock of while nobody adds to them.
- A half that is not finished is called `….part`. Both halves bear the same id, and only such a pair is put back, into
  an installation that has nothing of its own yet.
- What is made again at a start is left out: checkpoints, sockets, locks, Asterisk's configuration.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from callcore.db import copying
from callcore.erasing.search import recording_in
from callcore.files import make_folder, write_whole
from callcore.journal import read_mark
from callcore.journal.keys import CALL_KEYS
from callcore.recordings import KeyRing
from callcore.recordings.chain import CHAIN, LOST_FOUND, ROOT, held
from callcore.recordings.copied import COPIED, copy_opened, copy_sealed
from callcore.recordings.errors import KeyDestroyed, RecordingError
from callcore.recordings.vault import ENDS
from callcore.settings import Settings

ABOUT = "backup.json"
PART = ".part"
JOURNAL, DATABASE, RECORDINGS, STORE = "journal", "database", "recordings", "store"
PROTECTED = "protected"
KEYS, RECORDING_KEYS, SPOOL_KEYS, CENTRES = "keys", "recording-keys", "spool-keys", "centres"
ASTDB = "astdb.sqlite3"
MARK, TRAIL_END, CHAIN_ENDS = "synced", "trail.head", "heads"


class BackupError(Exception):
    """Not done. The text is for people: Japanese / English, with what to do next."""


class About(msgspec.Struct, frozen=True):
    """What both halves say. `at`: RFC 3339, UTC. `seq`: the journal is whole up to here, as the board shows it."""

    id: str
    at: str
    seq: str | None


def _told(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Folders of the half A but journal, store, and those in which recordings lie plain."""
    yield "trail", settings.trail
    yield "erasures", settings.erasures
    yield "reconciliations", settings.reconciliations
    yield "played", settings.kept_prompts
    yield "asterisk-log", settings.asterisk / "log"


def _plain(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Folders of the half A in which recordings lie plain, for a minute or longer."""
    yield RECORDINGS, settings.recordings
    yield PROTECTED, settings.protected


def _secret(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Folders and files of the half B but the keys."""
    yield "access", settings.access
    yield "tls", settings.tls
    for name in ("secrets.json", "pins.json"):
        yield name, settings.home / name
    yield "phone-tokens.json", settings.phone_tokens


def back_up(settings: Settings, a: Path, b: Path) -> About:
    """Raises BackupError, CopyFailed, RecordingError, OSError; then what there is of it is called `….part`."""
    halves = [half.with_name(half.name + PART) for half in (a, b)]
    for half in (a, b, *halves):
        if half.exists():
            raise BackupError(
                f"{half} はすでにあります。別の名前にするか、消してください / "
                f"{half} is there already: give another name, or delete it"
            )
    for half in halves:
        make_folder(half)
    told, secret = halves
    make_folder(told / DATABASE)
    copying.save(settings.database, told / DATABASE)
    for name, place in _plain(settings):  # what is sealed meanwhile is here or in the store
        _copy_plain(place, told / name, KeyRing(secret / SPOOL_KEYS))
    _copy_store(settings, told / STORE, secret / RECORDING_KEYS)
    _copy(settings.keys / TRAIL_END, secret / KEYS / TRAIL_END)
    for name, place in _told(settings):
        _copy(place, told / name)
    astdb = settings.asterisk / "lib" / ASTDB
    if astdb.exists():
        copying.copy_sqlite(astdb, told / ASTDB)
    seq = _copy_journal(settings.journal, told / JOURNAL)
    _copy(settings.keys, secret / KEYS, without={settings.keys / TRAIL_END, settings.recordings_keys})
    _copy(
        settings.recordings_keys,
        secret / RECORDING_KEYS,
        without={settings.recordings_keys / CHAIN_ENDS},
    )
    for name, place in _secret(settings):
        _copy(place, secret / name)
    _copy(settings.centres, secret / CENTRES)
    about = About(secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="milliseconds"), seq)
    for half, whole in zip(halves, (a, b), strict=True):
        write_whole(half / ABOUT, msgspec.json.encode(about))
        os.sync()
        half.rename(whole)
    return about


def put_back(settings: Settings, a: Path, b: Path) -> tuple[About, list[str]]:
    """Into an installation that has no journal, keys, users or database yet. Gives what was put back, and what is left
    to do, in words. Raises BackupError, CopyFailed, OSError."""
    about = _about(a)
    if about != _about(b):
        raise BackupError(
            f"{a} と {b} は同じバックアップではありません / {a} and {b} are not halves of one back-up"
        )
    places = [settings.journal, settings.keys, settings.recordings_keys, settings.store]
    places += [place for _, place in (*_plain(settings), *_told(settings), *_secret(settings))]
    for place in places:
        if place.is_file() or (place.is_dir() and _inside(place)):
            raise BackupError(
                f"{place} がすでにあります。空の CALLCORE_HOME に戻してください / "
                f"{place} is there already: put it back into an empty CALLCORE_HOME"
            )
    left: list[str] = []
    for name, place in _plain(settings):
        left += _put_back_plain(a / name, place, KeyRing(b / SPOOL_KEYS))
    for name, place in ((STORE, settings.store), *_told(settings)):
        _copy(a / name, place)
    _copy(a / ASTDB, settings.asterisk / "lib" / ASTDB)
    _copy(b / KEYS, settings.keys)
    _copy(b / RECORDING_KEYS, settings.recordings_keys)
    for name, place in _secret(settings):
        _copy(b / name, place)
    left += _centre_files(b / CENTRES, settings.centres)
    if not copying.load(settings.database, a / DATABASE):
        left.append(
            "データベースは起動後にジャーナルから作り直します / the database is filled from the journal after the start"
        )
    _copy(a / JOURNAL, settings.journal)  # last: with a journal it is an installation
    os.sync()
    return about, left


def _about(half: Path) -> About:
    try:
        return msgspec.json.decode((half / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError):
        raise BackupError(
            f"{half} は完了したバックアップではありません / {half} is no finished back-up"
        ) from None


def _centre_files(kept: Path, wanted: Path) -> list[str]:
    if not wanted.is_dir() or not any(wanted.glob("*.toml")):
        _copy(kept, wanted)
        return []
    files = {path.name: path.read_bytes() for path in kept.glob("*.toml")}
    if files == {path.name: path.read_bytes() for path in wanted.glob("*.toml")}:
        return []
    return [
        f"{wanted} のセンターファイルがバックアップと違います。{kept} と比べてください / "
        f"the centre files in {wanted} are not those of the back-up: compare them with {kept}"
    ]


def _copy_plain(source: Path, target: Path, ring: KeyRing) -> None:
    """What lies plain there is sealed; what is sealed already is copied."""
    if not source.is_dir():
        return
    make_folder(target)
    day = datetime.now(UTC).date().isoformat()
    for path in _inside(source):
        if path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_dir():
            _copy_plain(path, target / path.name, ring)
        elif path.name.endswith(ENDS):
            _copy(path, target / path.name)
        elif path.is_file():
            copy_sealed(path, target, ring, name=recording_in(path.name) or path.name, day=day)


def _put_back_plain(copies: Path, target: Path, ring: KeyRing) -> list[str]:
    """Gives those that cannot be opened, in words. What was erased since is left out."""
    left = []
    sealed = set(copies.rglob(f"*{COPIED}"))
    _copy(copies, target, without=sealed)
    for path in sorted(sealed):
        try:
            copy_opened(path, target / path.parent.relative_to(copies), ring)
        except KeyDestroyed:
            continue
        except RecordingError as error:
            left.append(str(error))
    return left


def _copy_store(settings: Settings, target: Path, keys: Path) -> None:
    store = settings.store
    if not store.is_dir():
        return
    with held(settings.recordings_keys):
        _copy(settings.recordings_keys / CHAIN_ENDS, keys / CHAIN_ENDS)
        files = sorted(path for path in store.rglob("*") if path.is_file())
        for path in files:
            if path.name in (CHAIN, ROOT):
                _copy(path, target / path.relative_to(store))
    for path in files:
        if path.name not in (CHAIN, ROOT):
            _copy(path, target / path.relative_to(store))


def _copy_journal(journal: Path, target: Path) -> str | None:
    make_folder(target)
    mark = read_mark(journal) if journal.is_dir() else None
    if mark is None:
        return None
    write_whole(target / MARK, mark.pack())
    _copy(journal, target, without={journal / MARK, journal / "lock", journal / "cut", journal / CALL_KEYS})
    _copy(journal / CALL_KEYS, target / CALL_KEYS)
    return f"{mark.run}.{mark.n}"


def _inside(folder: Path) -> list[Path]:
    """Without what every disk of its own has at its root, into which only root may look."""
    return sorted(path for path in folder.iterdir() if path.name != LOST_FOUND)


def _copy(source: Path, target: Path, *, without: Collection[Path] = ()) -> None:
    """A file, or a folder with all that is in it, owner-only. What vanishes meanwhile is passed over."""
    if source in without or source.is_symlink() or source.name.startswith("."):
        return
    if source.is_dir():
        make_folder(target)
        for each in _inside(source):
            _copy(each, target / each.name, without=without)
    elif source.is_file():
        make_folder(target.parent)
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError:
            return
        shutil.copystat(source, target)
        target.chmod(0o600)
