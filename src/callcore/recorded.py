"""What web and shell ask about recordings: found in the database, the numbers opened, the sound from its file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import structlog

from callcore import unassigned, unlisted
from callcore.db import Database, DatabaseAway, Kept, Search
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, Instant
from callcore.domain.personal import Personal
from callcore.domain.recording import UNASSIGNED, KeptBy, Place, SoundFormat
from callcore.domain.retention import KeepOrder, Rules, kept_until, months_of, rules_of
from callcore.domain.stages import PauseEnd
from callcore.installation import recordings_of
from callcore.journal import JournalError, KeyStore
from callcore.recordings import OpenedAudio, RecordingError, played
from callcore.recordings.audio import DecodedAudio
from callcore.recordings.chain import signing
from callcore.recordings.errors import KeyDestroyed
from callcore.recordings.export import Export
from callcore.recordings.library import PLAIN_ENDS
from callcore.recordings.vault import ENDS as SEALED_ENDS
from callcore.runtime.recordings import (
    EXPORT_MOST,
    Audio,
    ExportAsked,
    Pause,
    Recording,
    RecordingCursor,
    RecordingPage,
    RecordingSearch,
    TooManyRecordings,
    Unassigned,
    Unopened,
    Unsigned,
)
from callcore.settings import Settings
from callcore.stored import prints_of

log = structlog.get_logger(__name__)

PAGE = 1000
"""Recordings that are asked for at once where all are wanted."""

_MADE = ("findings", "pauses", "other", "kept_by", "keep_until")
_SAME = [each.name for each in fields(Recording) if each.name not in _MADE]


class Recorded:
    """Keeps the port of `runtime.recordings`. `centres`: those whose keys a number may be under, and by whose rules
    recordings are kept now."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        keys: KeyStore,
        centres: Callable[[], Collection[Centre]],
    ) -> None:
        self._settings = settings
        self._recordings = recordings_of(settings)
        self._search = Search(database)
        self._kept = Kept(database)
        self._keys = keys
        self._centres = centres

    async def centres(self) -> Collection[Centre]:
        return await asyncio.to_thread(self._centres)

    async def find(self, wanted: RecordingSearch, after: RecordingCursor | None, limit: int) -> RecordingPage:
        prints = set[str]()
        rules = rules_of(await self.centres())
        if wanted.number is not None:
            prints = prints_of(self._keys, rules if wanted.centres is None else wanted.centres, wanted.number)
        try:
            rows = await self._search.find(wanted, prints, after, limit + 1, rules)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        shown = tuple(self._recording(row, rules) for row in rows[:limit])
        return RecordingPage(shown, (shown[-1].began_at, shown[-1].name) if len(rows) > limit else None)

    async def one(self, name: str) -> tuple[Recording, ...]:
        try:
            rows = await self._search.of_call(name)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        rules = rules_of(await self.centres())
        found = [self._recording(row, rules) for row in rows]
        return tuple(sorted(found, key=lambda each: each.name != name))

    async def orders(self, of: Recording) -> tuple[KeepOrder, ...]:
        now = Instant(time.time_ns() // 1000)
        try:
            found = await self._kept.orders_of(of.call, of.side)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return tuple(order for order in found if order.holds(now))

    async def unassigned(self) -> tuple[Unassigned, ...]:
        store = self._settings.store
        if not await asyncio.to_thread(unassigned.is_there, store):
            return ()
        try:
            found = await unlisted.lines(store, self._kept, UNASSIGNED)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return tuple(unassigned.there(found))

    async def audio(self, name: str, *, kept: bool) -> Audio:
        return await asyncio.to_thread(self._sound, name, kept=kept)

    async def export(self, asked: ExportAsked, heard: Callable[[Recording], None]) -> Export:
        rows: dict[str, Recording] = {}
        for wanted in _wanted(asked):
            after: RecordingCursor | None = None
            while True:
                page = await self.find(wanted, after, PAGE)
                rows |= {row.name: row for row in page.recordings}  # a call may be named twice
                if len(rows) > EXPORT_MOST:
                    raise TooManyRecordings
                after = page.after
                if after is None:
                    break
        try:
            signer = await asyncio.to_thread(signing, self._settings.store, self._settings.recordings_keys)
        except RecordingError as error:
            raise Unsigned(str(error)) from error
        except OSError as error:
            raise Unsigned(
                f"署名の鍵を読めません: {error}。ディスクと権限を確かめてください / "
                f"the signing key cannot be read: {error}; look at the disk and the rights"
            ) from error
        at = Instant(time.time_ns() // 1000)
        return Export(self._recordings, signer, asked, list(rows.values()), at, heard)

    def _sound(self, name: str, *, kept: bool) -> Audio:
        """The one place where a recording is opened to be heard: plain or sealed, protected ones too."""
        with _as_the_port_tells():
            file, form = self._file(name)
            try:
                return _Sound(OpenedAudio(file, form) if kept else played(file, form))
            except BaseException:
                file.close()
                raise

    def _file(self, name: str) -> tuple[BinaryIO, str]:
        try:
            return self._recordings.sound(name)
        except FileNotFoundError:
            for ends, opened in ((PLAIN_ENDS, _plain), (SEALED_ENDS, self._recordings.sound_in)):
                path = self._settings.protected / (name + ends)
                if path.is_file():
                    return opened(path)
            raise

    def _recording(self, row: dict[str, Any], rules: Rules) -> Recording:
        kept_by, until = _kept(row, rules)
        return Recording(
            **{name: row[name] for name in _SAME},
            kept_by=kept_by,
            keep_until=until,
            findings=tuple(row["findings"]),
            pauses=tuple(_pause(each) for each in row["pauses"]),
            other=self._opened(row["other"]),
        )

    def _opened(self, sealed: Any) -> Personal | None:
        if sealed is None:
            return None
        try:
            opened = self._keys.unseal(sealed.call, sealed.centre, sealed.at, sealed.sealed)
        except JournalError as error:
            log.warning("a number cannot be opened", call=sealed.call, why=str(error))
            opened = None
        text = None if opened is None else opened[0]
        return Personal(sealed.call, sealed.centre, sealed.at, text, sealed.fingerprint)


class _Sound:
    """Keeps the port `Audio`."""

    def __init__(self, of: OpenedAudio | DecodedAudio) -> None:
        self._of = of
        self.size, self.media_type, self.ending = of.size, of.media_type, of.ending

    def read_at(self, offset: int, count: int) -> bytes:
        with _as_the_port_tells():
            return self._of.read_at(offset, count)

    def close(self) -> None:
        self._of.close()


@contextmanager
def _as_the_port_tells() -> Iterator[None]:
    try:
        yield
    except KeyDestroyed as error:
        raise FileNotFoundError(str(error)) from error
    except RecordingError as error:
        raise Unopened(str(error)) from error


def _wanted(asked: ExportAsked) -> list[RecordingSearch]:
    """One search for all of its days, or one for each of its calls."""
    zone = ZoneInfo(asked.zone)

    def midnight(day: date | None, on: int) -> Instant | None:
        if day is None:
            return None
        begin = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=on)
        return Instant(round(begin.timestamp()) * SECOND)

    first, before = midnight(asked.first, 0), midnight(asked.last, 1)
    return [
        RecordingSearch(centres=[asked.centre], first=first, before=before, call=call)
        for call in asked.calls or (None,)
    ]


def _kept(row: dict[str, Any], rules: Rules) -> tuple[KeptBy | None, Instant | None]:
    """By what it is kept, and until when."""
    if row["place"] is Place.GONE:
        return None, None
    rule = rules.get(row["centre"])
    if rule is None:
        return KeptBy.HELD if row["legal_hold"] else KeptBy.UNTIL_TOLD, None
    return kept_until(
        row["over_at"],
        months_of(rule.retention, row["kind"], reported=row["abuse"]),
        rule.zone,
        held=row["legal_hold"],
        extended=row["keep_until"],
    )


def _pause(told: dict[str, Any]) -> Pause:
    why = told.get("ended")
    return Pause(**told | {"ended": None if why is None else PauseEnd(why)})


def _plain(path: Path) -> tuple[BinaryIO, str]:
    return path.open("rb"), SoundFormat.WAV.value
