"""Keys of personal values, so that erasing a value means destroying a key.

    keys/<centre>.<period>.key           kept apart: the centre's two keys of one month
                                         (one wraps the calls' keys, one makes fingerprints)
    journal/call-keys/<centre>.<period>  beside the journal: each call's own key, wrapped

The period is the month (UTC) of `Personal.at`, e.g. `2026-11`; a call that lives over the end of a month has
one key in each. Files are owner-only. The engine is the only writer; readers look at the files again
whenever one has grown or was replaced. A call's key is written before the frame that uses it, and `sync`
makes it durable before that frame counts as synced.

Destroyed is not lost. Destroying leaves a mark (the call's id without a key; for a period a file that says
so), so that a value reads as None and no new key is ever made in its place. A key that is missing without
such a mark is an error that says which file to put back.
"""

from __future__ import annotations

import fcntl
import hmac
import logging
import os
import re
import threading
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callcore import files
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.journal import framing
from callcore.journal.errors import CallKeyLost, JournalError, JournalLocked, KeyDamaged, KeyLost

log = logging.getLogger(__name__)

CALL_KEYS = "call-keys"
CALL_MAGIC = b"CCKEYS\x00\x01"
CALL_HEAD_BYTES = len(CALL_MAGIC) + 8
CENTRE_MAGIC = b"CCCENT\x00\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
"""Random nonces of 96 bits (NIST SP 800-38D 8.2.2): a key of one call seals a few dozen values, far below
2^32.
"""
TABLES_KEPT = 64
CIPHERS_KEPT = 2048

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PERIOD = re.compile(r"\d{4}-\d{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_entry_encoder = msgspec.msgpack.Encoder()
_entry_decoder = msgspec.msgpack.Decoder(tuple[str, bytes | None])
_sealed_encoder = msgspec.msgpack.Encoder()
_sealed_decoder = msgspec.msgpack.Decoder(tuple[str, bytes])

Unread = JournalError | OSError
"""Why keys cannot be read."""
PERIOD_GONE = "*"
"""Stands where a call's id would: the whole period was destroyed."""


def period_of(at: Instant) -> str:
    """The month of an instant, UTC: `2026-11`."""
    moment = _EPOCH + timedelta(microseconds=at)
    return f"{moment.year:04d}-{moment.month:02d}"


@dataclass(frozen=True, slots=True, repr=False)
class _CentreKeys:
    wrap: AESGCM
    prints: bytes


@dataclass(slots=True, repr=False)
class _Table:
    """What is known of one centre and period. `stamp`: the file as it was when it was last read."""

    centre: CentreId
    period: str
    path: Path
    keys: dict[str, bytes | None] = field(default_factory=dict)
    ciphers: dict[str, AESGCM] = field(default_factory=dict)
    own: _CentreKeys | None = None
    gone: bool = False
    stamp: tuple[int, int, int] | None = None
    id: bytes = b""
    """Random, in the file's head: another one means that the file was rewritten."""
    end: int = 0
    """Up to where the file has been read."""
    fd: int | None = None
    dirty: bool = False
    doubtful: bool = False
    """A sync failed: the kernel may hold as clean what never reached the disk, so the file is written anew.
    """


class KeyStore:
    """All keys of one installation. Open one writer (the engine) and as many readers as needed.

    The writer's methods may be called from one thread, `sync` from another.
    """

    def __init__(self, journal: Path, keys: Path, *, write: bool) -> None:
        self._calls = journal / CALL_KEYS
        self._keys = keys
        self._write = write
        self._tables: dict[tuple[CentreId, str], _Table] = {}
        self._guard = threading.RLock()
        self._lock_fd: int | None = None
        self._month = (0, 0, "")

    @classmethod
    def open(cls, journal: Path, keys: Path, *, write: bool = False) -> Self:
        """`journal`: the journal's folder; `keys`: the folder kept apart.

        JournalLocked: another process already writes these keys. Readers take no lock and create nothing.
        """
        store = cls(journal, keys, write=write)
        if write:
            files.make_folder(store._calls)
            files.make_folder(keys)
            lock = os.open(store._calls / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise JournalLocked(store._calls, framing.pid_in(journal / "lock")) from None
            store._lock_fd = lock
            store._finish_destroying()
        return store

    def close(self) -> None:
        """Makes everything durable and lets go of the files."""
        with self._guard:
            if self._write and self._lock_fd is not None:
                self.sync()
            for table in self._tables.values():
                self._close_table(table)
            self._tables.clear()
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- sealing ---------------------------------------------------------------------------------------------

    def seal(
        self, call: CallId, centre: CentreId, at: Instant, text: str, fingerprint: str | None = None
    ) -> bytes | None:
        """The text and its fingerprint (hex; made here if not given) under the call's key, each time other
        bytes.

        None when the call's key or its period has been destroyed: the value is not written any more.
        """
        table = self._table(centre, self._period(at))
        cipher = self._cipher(table, call, create=True)
        if cipher is None:
            return None
        own = self._own(table)
        print_ = (
            bytes.fromhex(fingerprint) if fingerprint else hmac.digest(own.prints, text.encode(), "sha256")
        )
        nonce = os.urandom(NONCE_BYTES)
        plain = _sealed_encoder.encode((text, print_))
        return nonce + cipher.encrypt(nonce, plain, _bound(call, centre, at))

    def unseal(self, call: CallId, centre: CentreId, at: Instant, sealed: bytes) -> tuple[str, str] | None:
        """The text and its fingerprint; None when the key was destroyed.

        KeyLost: the key is missing and nobody destroyed it (CallKeyLost: it alone). KeyDamaged: it does not
        open the bytes.
        """
        table = self._table(centre, self._period(at))
        cipher = self._cipher(table, call, create=False)
        if cipher is None:
            return None
        try:
            plain = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(call, centre, at))
            text, print_ = _sealed_decoder.decode(plain)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise KeyDamaged(
                f"通話 {call} の個人情報を復号できません。{table.path} または記録が変わっています。"
                f"バックアップから戻してください。 / A personal value of call {call} does not open: "
                f"{table.path} or the record was changed. Put it back from the back-up."
            ) from None
        return text, print_.hex()

    # -- fingerprints ----------------------------------------------------------------------------------------

    def fingerprint(self, centre: CentreId, at: Instant, text: str) -> str | None:
        """HMAC-SHA256 (hex) of a text under the centre's key of that month; None when the month was
        destroyed.
        """
        table = self._table(centre, self._period(at))
        if table.gone:
            return None
        return hmac.digest(self._own(table).prints, text.encode(), "sha256").hex()

    def fingerprints(
        self, centre: CentreId, text: str, unread: list[Unread] | None = None
    ) -> Mapping[str, str]:
        """The same under every month still kept, by month: to find a text without knowing when it was
        written. Months whose keys cannot be read are told to `unread`; without it they raise KeyDamaged, OSError.
        The calls' keys are not needed for it.
        """
        found = {}
        data = text.encode()
        for path in sorted(self._keys.glob(f"{_plain(centre)}.*.key")):
            period = path.name.removesuffix(".key").rpartition(".")[2]
            try:
                own = self._own_of(centre, period)
                if own is not None:
                    found[period] = hmac.digest(own.prints, data, "sha256").hex()
            except (JournalError, OSError) as error:
                if unread is None:
                    raise
                unread.append(error)
        return found

    def _own_of(self, centre: CentreId, period: str) -> _CentreKeys | None:
        """A centre's two keys of a month, also where its calls' keys cannot be read; None: it was destroyed."""
        try:
            table = self._table(centre, period)
        except (JournalError, OSError):
            return self._centre_keys(self._centre_path(centre, period))
        return None if table.gone else self._own(table)

    # -- destroying ------------------------------------------------------------------------------------------

    def destroy_call(self, call: CallId) -> bool:
        """Makes every personal value of a call unreadable for ever, in journal and checkpoints alike.

        False: no key of this call is kept (never made, or gone with its period). A table that cannot be read raises
        KeyDamaged or OSError once all others were gone through.
        """
        self._must_write()
        found, failed = False, None
        with self._guard:
            for each in self._known():
                try:
                    found |= self.destroy_in(*each, call)
                except (JournalError, OSError) as error:
                    failed = error
        if failed is not None:
            raise failed
        return found

    def destroy_in(self, centre: CentreId, period: str, call: CallId) -> bool:
        """The same in one table alone. KeyDamaged: it cannot be read."""
        self._must_write()
        with self._guard:
            table = self._table(centre, period)
            if table.keys.get(call) is None:
                return False
            table.keys[call] = None
            table.ciphers.pop(call, None)
            self._rewrite(table)
        return True

    def destroy_period(self, centre: CentreId, period: str) -> None:
        """Makes every personal value of a centre and month unreadable for ever."""
        self._must_write()
        with self._guard:
            table = self._table(centre, period)
            table.gone = True
            table.keys.clear()
            table.ciphers.clear()
            table.own = None
            self._rewrite(table)
            files.shred(self._centre_path(centre, period))

    def damaged(self) -> dict[tuple[CentreId, str], Unread]:
        """The centres and months whose calls' keys cannot be read, and why."""
        found = dict[tuple[CentreId, str], Unread]()
        with self._guard:
            for each in self.tables():
                try:
                    self._table(*each)
                except (JournalError, OSError) as error:
                    found[each] = error
        return found

    def kept(self, calls: Collection[CallId], but: Container[tuple[CentreId, str]] = ()) -> list[CallId]:
        """Those of the calls of which a key is there, but for these centres and months."""
        with self._guard:
            tables = [each for each in self._known() if each not in but]
            found = {call for each in tables for call in self.kept_in(*each, calls)}
        return [call for call in calls if call in found]

    def kept_in(self, centre: CentreId, period: str, calls: Collection[CallId]) -> list[CallId]:
        """The same of one table alone. KeyDamaged: it cannot be read."""
        with self._guard:
            table = self._table(centre, period)
            return [call for call in calls if table.keys.get(call) is not None]

    def tables(self) -> list[tuple[CentreId, str]]:
        """Centre and period of each table of calls' keys."""
        return _tables_in(self._calls)

    def _known(self) -> list[tuple[CentreId, str]]:
        """Those, and what was read before somebody took its file away: it may be put back, and what is written of it
        is the whole file."""
        return sorted({*self.tables(), *(of for of, table in self._tables.items() if table.keys)})

    # -- durability ------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Makes every call key written so far survive the host. OSError as the disk says; the next call
        tries again.
        """
        with self._guard:
            for table in self._tables.values():
                if table.doubtful:
                    self._rewrite(table)
            dirty = [
                (table, os.dup(table.fd))
                for table in self._tables.values()
                if table.dirty and table.fd is not None
            ]
            for table, _ in dirty:
                table.dirty = False
        try:
            for _, fd in dirty:
                os.fdatasync(fd)
        except OSError:
            with self._guard:
                for table, _ in dirty:
                    table.dirty = table.doubtful = True
            raise
        finally:
            for _, fd in dirty:
                os.close(fd)

    # -- within ----------------------------------------------------------------------------------------------

    def _must_write(self) -> None:
        if not self._write:
            raise RuntimeError("this key store was opened for reading")

    def _period(self, at: Instant) -> str:
        low, high, period = self._month
        if low <= at < high:
            return period
        moment = _EPOCH + timedelta(microseconds=at)
        first = datetime(moment.year, moment.month, 1, tzinfo=UTC)
        following = (first + timedelta(days=32)).replace(day=1)
        period = period_of(at)
        self._month = (
            (first - _EPOCH) // timedelta(microseconds=1),
            (following - _EPOCH) // timedelta(microseconds=1),
            period,
        )
        return period

    def table_path(self, centre: CentreId, period: str) -> Path:
        return self._calls / f"{_plain(centre)}.{period}"

    def _centre_path(self, centre: CentreId, period: str) -> Path:
        return self._keys / f"{_plain(centre)}.{period}.key"

    def _table(self, centre: CentreId, period: str) -> _Table:
        table = self._tables.get((centre, period))
        if table is None:
            if not _PERIOD.fullmatch(period):
                raise ValueError(f"a period is YYYY-MM, not {period!r}")
            table = _Table(centre, period, self.table_path(centre, period))
            with self._guard:
                self._make_room()
                self._load(table)
                self._tables[centre, period] = table
        elif not self._write and _stamp(table.path) != table.stamp:
            self._load(table)
        return table

    def _make_room(self) -> None:
        for key, table in list(self._tables.items()):
            if len(self._tables) < TABLES_KEPT:
                return
            if not table.dirty:
                self._close_table(table)
                del self._tables[key]

    def _close_table(self, table: _Table) -> None:
        if table.fd is not None:
            os.close(table.fd)
            table.fd = None

    def _load(self, table: _Table) -> None:
        """Reads the file anew. The writer cuts off a torn end; a reader leaves it: it may be just being
        written.
        """
        stamp, table.stamp = _stamp(table.path), None  # one that cannot be read is tried again
        if stamp is None:
            return
        with table.path.open("rb") as file:
            head = file.read(CALL_HEAD_BYTES)
            if len(head) < CALL_HEAD_BYTES or not head.startswith(CALL_MAGIC):
                raise self._damaged(table.path, 0)
            if head != table.id:
                table.keys, table.ciphers, table.gone, table.own = {}, {}, False, None
                table.id, table.end = head, CALL_HEAD_BYTES
            start = table.end
            file.seek(start)
            data = file.read()
        for got in framing.records(data, 0, start):
            if isinstance(got, framing.Flaw):
                if framing.good_record_behind(data, got.offset - start):
                    raise self._damaged(table.path, got.offset)
                if self._write:
                    self._cut(table.path, data[got.offset - start :], got.offset)
                break
            table.end, payload = start + got[0], got[1]
            call, wrapped = _entry_decoder.decode(payload)
            if call == PERIOD_GONE:
                table.gone = True
            else:
                table.keys[call] = wrapped
        table.stamp = stamp

    def _cut(self, path: Path, tail: bytes, offset: int) -> None:
        """Takes a torn end off; what it held was in no synced frame. The bytes are kept aside for who wants
        to look.
        """
        files.write_whole(path.with_name(f".cut-{path.name}-{offset}"), tail)
        with path.open("r+b") as file:
            file.truncate(offset)
            os.fsync(file.fileno())

    def _cipher(self, table: _Table, call: CallId, *, create: bool) -> AESGCM | None:
        cipher = table.ciphers.get(call)
        if cipher is not None:
            return cipher
        if table.gone:
            return None
        if call in table.keys:
            wrapped = table.keys[call]
            if wrapped is None:
                return None
            key = self._unwrap(table, call, wrapped)
        elif create and self._write:
            key = self._new_call_key(table, call)
        else:
            raise (CallKeyLost if table.path.exists() else KeyLost)(
                f"通話 {call} の鍵が {table.path} にありません (破棄の記録もありません)。"
                f"バックアップから戻してください。 / "
                f"The key of call {call} is not in {table.path}, and nobody destroyed it. "
                f"Put the file back from the back-up."
            )
        cipher = AESGCM(key)
        if len(table.ciphers) >= CIPHERS_KEPT:
            table.ciphers.clear()
        table.ciphers[call] = cipher
        return cipher

    def _unwrap(self, table: _Table, call: CallId, wrapped: bytes) -> bytes:
        own = self._own(table)
        try:
            return own.wrap.decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _wrapped_for(call, table.centre, table.period)
            )
        except InvalidTag:
            path = self._centre_path(table.centre, table.period)
            raise KeyDamaged(
                f"通話 {call} の鍵を {path} で開けません。"
                f"{path} と {table.path} が同じバックアップのものか確認してください。 / "
                f"The key of call {call} does not open under {path}. "
                f"Check that {path} and {table.path} belong together, from the same back-up."
            ) from None

    def _new_call_key(self, table: _Table, call: CallId) -> bytes:
        own = self._own(table)
        key = os.urandom(KEY_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        wrapped = nonce + own.wrap.encrypt(nonce, key, _wrapped_for(call, table.centre, table.period))
        record = framing.pack(_entry_encoder.encode((call, wrapped)))
        with self._guard:
            if table.fd is None:
                if table.doubtful or not table.path.exists():
                    self._rewrite(table)
                table.fd = os.open(table.path, os.O_WRONLY | os.O_APPEND)
            good = os.fstat(table.fd).st_size
            try:
                files.write_all(table.fd, record)
            except OSError:
                self._take_back(table, good)
                raise
            table.dirty = True
            table.keys[call] = wrapped
        return key

    def _take_back(self, table: _Table, good: int) -> None:
        """Takes off what a failed write left; where even that fails, the file is written anew."""
        assert table.fd is not None
        try:
            os.ftruncate(table.fd, good)
        except OSError:
            table.doubtful = True
            self._close_table(table)

    def _own(self, table: _Table) -> _CentreKeys:
        """The centre's two keys of the month; made on first need by the writer, never anew once calls lean
        on them.
        """
        if table.own is not None:
            return table.own
        path = self._centre_path(table.centre, table.period)
        if not path.exists():
            if not self._write or table.keys or table.gone:
                raise KeyLost(
                    f"鍵ファイル {path} がありません。バックアップから戻してください。 / "
                    f"The key file {path} is missing. Put it back from the back-up."
                )
            files.write_whole(
                path, framing.pack(CENTRE_MAGIC + os.urandom(KEY_BYTES) + os.urandom(KEY_BYTES))
            )
        table.own = self._centre_keys(path)
        return table.own

    def _centre_keys(self, path: Path) -> _CentreKeys:
        got = framing.unpack(path.read_bytes(), 0)
        if not isinstance(got, tuple) or len(got[0]) != len(CENTRE_MAGIC) + 2 * KEY_BYTES:
            raise self._damaged(path, 0)
        keys = got[0].removeprefix(CENTRE_MAGIC)
        return _CentreKeys(AESGCM(keys[:KEY_BYTES]), keys[KEY_BYTES:])

    def _rewrite(self, table: _Table) -> None:
        entries: list[tuple[str, bytes | None]] = (
            [(PERIOD_GONE, None)] if table.gone else list(table.keys.items())
        )
        table.id = CALL_MAGIC + os.urandom(CALL_HEAD_BYTES - len(CALL_MAGIC))
        parts = [table.id, *(framing.pack(_entry_encoder.encode(entry)) for entry in entries)]
        self._close_table(table)
        files.write_whole(table.path, b"".join(parts))
        table.dirty = table.doubtful = False

    def _finish_destroying(self) -> None:
        """A crash between marking a period destroyed and removing its key file is made good at the next
        start. A damaged one stops no start: who needs it is told then.
        """
        for path in list(self._keys.glob("*.key")):
            centre, _, period = path.name.removesuffix(".key").rpartition(".")
            calls = self._calls / f"{centre}.{period}"
            try:
                if not calls.exists() or calls.stat().st_size > 64:
                    continue  # the mark alone is a file of some 20 bytes
                if self._table(CentreId(centre), period).gone:
                    files.shred(path)
            except (JournalError, OSError) as error:
                log.error("keys: %s", error)

    @staticmethod
    def _damaged(path: Path, offset: int) -> KeyDamaged:
        return KeyDamaged(
            f"鍵ファイル {path} の {offset} バイト目が壊れています。バックアップから戻してください。 / "
            f"The key file {path} is damaged at byte {offset}. Put it back from the back-up."
        )


def centres_in(journal: Path) -> set[CentreId]:
    """Those of which there is a table of calls' keys. Raises OSError."""
    try:
        return {centre for centre, _ in _tables_in(journal / CALL_KEYS)}
    except FileNotFoundError:
        return set()


def _tables_in(folder: Path) -> list[tuple[CentreId, str]]:
    found = []
    for path in sorted(folder.iterdir()):
        centre, _, period = path.name.rpartition(".")
        if _PLAIN_NAME.fullmatch(centre) and _PERIOD.fullmatch(period):
            found.append((CentreId(centre), period))
    return found


def _plain(centre: CentreId) -> str:
    if not _PLAIN_NAME.fullmatch(centre):
        raise ValueError(f"a centre's id must be letters, digits, - and _ to name a file, not {centre!r}")
    return centre


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _bound(call: CallId, centre: CentreId, at: Instant) -> bytes:
    """What a sealed value is tied to, so that it can't be moved to another call."""
    return f"value\0{centre}\0{call}\0{at}".encode()


def _wrapped_for(call: CallId, centre: CentreId, period: str) -> bytes:
    return f"key\0{centre}\0{period}\0{call}".encode()
