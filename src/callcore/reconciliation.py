"""Reconciliation put together: where each book lies, how it is read, and when the night's own run is due.

Composition root beside `sidecar.py` and `cli.py`, which both use it. Everything is read as any reader reads it: the
journal up to what is synced, without its lock; Asterisk's files while Asterisk writes them.
"""

from __future__ import annotations

import gzip
import itertools
import re
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo

from callcore.ami import cel as cel_file
from callcore.audit import (
    Cel,
    Journal,
    Kept,
    Reconciliation,
    Sealed,
    Sound,
    Span,
    compare,
    fold,
    keep,
    kept,
    look_into,
    prune,
    read_cdr,
    shelf,
)
from callcore.audit.span import MARGIN_S
from callcore.domain import facts as f
from callcore.domain.board import day_of
from callcore.domain.centre import Centre, Configuration
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.domain.recording import SoundFormat
from callcore.installation import recordings_of
from callcore.journal import Codec, JournalError, KeyStore, began, read_since
from callcore.pbx.render import CDR_FILE, CEL_FILE
from callcore.recordings import RecordingError, Recordings
from callcore.recordings.chain import erased_of
from callcore.recordings.formats import NoSound, seconds_of
from callcore.recordings.library import PLAIN_ENDS
from callcore.settings import Settings, owner_only

LONGEST_CALL_S = 86_400
"""CEL is read for so long behind the day, for the ends of calls that arrived in it."""

_ROTATED = re.compile(r"[.-]\d+(\.gz)?")
"""What `logrotate` puts behind the name of a file that it has moved: `.1`, `-20261120`, `.2.gz`."""


class CannotReconcile(Exception):
    """A book cannot be read. The text says which, and what to do, in Japanese and English."""


def reconcile(
    settings: Settings, configuration: Configuration, centre: Centre, day: date, *, at: Instant
) -> Reconciliation:
    """One centre's local day. `at`: the present instant. 5,000 calls took 0.8 s of CPU.

    Raises CannotReconcile.
    """
    window = day_of(centre, day)
    numbers = {n.digits: c.id for c in configuration.centres for n in c.numbers}
    span = Span(centre.id, window.date, window.first, window.before, centre.time_zone, numbers)
    log = settings.asterisk / "log"
    try:
        return compare(
            span,
            _journal(settings, span),
            read_cdr(_with_rotated(log / CDR_FILE), span),
            _cel(_with_rotated(log / CEL_FILE), span),
            shelf(_there(settings.recordings), span, _sealed(settings, span)),
            at=at,
            erased=erased_of(settings.store, span.centre),
        )
    except JournalError as error:
        raise CannotReconcile(str(error)) from error
    except OSError as error:
        raise CannotReconcile(
            f"{error.filename} を読めません ({error.strerror})。"
            "CALLCORE_HOME と権限、ディスクの接続を確かめてください / "
            f"{error.filename} cannot be read ({error.strerror}). See to CALLCORE_HOME, its rights, and the disk"
        ) from error


def by_hand(
    settings: Settings,
    configuration: Configuration,
    *,
    day: str | None = None,
    centre: str | None = None,
    keeping: bool = False,
) -> list[Reconciliation]:
    """What `callcore reconcile` does. `day` (ISO): None is yesterday and today; `centre`: None is every one. With
    `keeping` the results of days that are over are kept as the night's own are. Raises CannotReconcile.
    """
    known = {c.id: c for c in configuration.centres}
    if centre is not None and centre not in known:
        names = ", ".join(sorted(known))
        raise CannotReconcile(
            f"センター {centre} はありません。次のいずれかです / there is no centre {centre}; one of: {names}"
        )
    try:
        asked = None if day is None else date.fromisoformat(day)
    except ValueError:
        raise CannotReconcile(
            f"{day}: 日付は 2026-11-20 のように書いてください / write the day like 2026-11-20"
        ) from None
    results = []
    for one in known.values() if centre is None else (known[CentreId(centre)],):
        now = Instant(clock.time_ns() // 1000)
        today = one.calendar.local_date(now)
        for each in (today - timedelta(days=1), today) if asked is None else (asked,):
            if each > today:
                raise CannotReconcile(f"{each} はまだ来ていません / {each} has not come yet")
            result = reconcile(settings, configuration, one, each, at=now)
            if keeping and each < today:
                keep(owner_only(settings.reconciliations), result)
            results.append(result)
    return results


def _sealed(settings: Settings, span: Span) -> Iterator[Sealed]:
    """What was sealed on the day or since; nothing is sealed before it was captured."""
    recordings = recordings_of(settings)
    if (settings.recordings_keys / "heads" / f"{span.centre}.json").exists():
        _there(settings.store / span.centre)
    since = date.fromisoformat(span.day) - timedelta(days=1)

    for path in recordings.sealed(since.isoformat()):
        at = round(path.stat().st_mtime * SECOND)
        yield Sealed(path.stem, at, partial(_looked_at, recordings, path))


def _looked_at(recordings: Recordings, path: Path) -> Sound:
    """A kept recording, beside the journal's figures of it as Asterisk wrote it."""

    def opened() -> BinaryIO:
        try:
            return recordings.opened(path)
        except RecordingError as error:
            raise OSError(str(error)) from error

    file = f"{path.stem}{PLAIN_ENDS}"
    try:
        with recordings.unsealed(path) as sealed:
            form, captured = SoundFormat(sealed.head.form), sealed.head.captured
            if captured is not None:
                seconds = seconds_of(cast("BinaryIO", sealed), form)
                return Sound(file, captured.size, seconds, seconds)
    except (OSError, ValueError, NoSound, RecordingError):
        return Sound(file, 0, 0.0, 0.0, readable=False)
    return look_into(file, opened)


def _there(folder: Path) -> Path:
    """A folder that must be there: one that is not mounted would look like one without files."""
    folder.stat()
    return folder


def _journal(settings: Settings, span: Span) -> Journal:
    since = Instant(span.first - MARGIN_S * SECOND)
    oldest = began(settings.journal)
    if oldest is None:
        raise CannotReconcile(
            f"ジャーナル {settings.journal} は空です。CALLCORE_HOME を確かめてください / "
            f"the journal {settings.journal} is empty; see to CALLCORE_HOME"
        )
    with KeyStore.open(settings.journal, settings.keys) as keys:
        codec = Codec(f.KINDS, {}, keys)
        return fold(read_since(settings.journal, codec, since), span, began=oldest)


def _with_rotated(path: Path) -> list[Path]:
    """A file that Asterisk writes and what was moved away beside it; the oldest first, and only what is there."""
    older = [
        each for each in path.parent.glob(f"{path.name}*") if _ROTATED.fullmatch(each.name[len(path.name) :])
    ]
    older.sort(key=lambda each: each.stat().st_mtime)
    return [*older, *([path] if path.exists() else [])]


def _cel(files: list[Path], span: Span) -> Cel:
    """What CEL tells of the calls around the span."""
    since = Instant(span.first - MARGIN_S * SECOND)
    until = span.before + LONGEST_CALL_S * SECOND
    lines = itertools.chain.from_iterable(_lines(path, since) for path in files)
    traces = cel_file.traces(itertools.takewhile(lambda line: line.at < until, lines))
    begins = None
    for path in files:
        first = next(_lines(path, Instant(0), whole=True), None)
        if first is not None:
            begins = first.at
            break
    return Cel({trace.call: trace for trace in traces if span.near(trace.arrived)}, begins)


def _lines(path: Path, since: Instant, *, whole: bool = False) -> Iterator[cel_file.Line]:
    if path.suffix != ".gz" and not whole:
        yield from cel_file.lines_since(path, since)
        return
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        yield from (line for line in cel_file.parse(file) if line.at >= since)


@dataclass(frozen=True, slots=True)
class Nightly:
    """The runs that nobody asks for: each centre's last day, once it is `at` (hh:mm) by that centre's clock.

    What is due is read off the files that are kept, so a night that was missed is made up for at the next start.
    """

    settings: Settings

    @property
    def folder(self) -> Path:
        return self.settings.reconciliations

    def due(self, centre: Centre, now: Instant) -> tuple[date, ...]:
        """The days to do now, the oldest first: the last one that is over, and the one before it once more if calls
        were open then."""
        hour, minute = (int(part) for part in self.settings.reconcile_at.split(":"))
        zone = ZoneInfo(centre.time_zone)
        here = datetime.fromtimestamp(now / SECOND, zone)
        today = here.date() if here.time() >= time(hour, minute) else here.date() - timedelta(days=1)
        since = datetime.combine(today, time(hour, minute), zone).timestamp() * SECOND
        last, before = today - timedelta(days=1), today - timedelta(days=2)
        done = kept(self.folder, centre.id, last.isoformat())
        if done is not None and done.at >= since:
            return ()
        earlier = kept(self.folder, centre.id, before.isoformat())
        return (before, last) if earlier is not None and earlier.unsettled else (last,)

    def run(self, configuration: Configuration, centre: Centre, day: date, *, now: Instant) -> Reconciliation:
        """Reconcile one day, keep the result, delete those that are too old. Raises CannotReconcile, OSError."""
        result = reconcile(self.settings, configuration, centre, day, at=now)
        keep(owner_only(self.folder), result)
        prune(self.folder, day)
        return result


def told_of(kept_day: Kept) -> dict[str, float]:
    """One kept day as gauges. Instants in epoch seconds UTC."""
    return {
        "reconciliation_calls": float(kept_day.calls),
        "reconciliation_differences": float(kept_day.differences),
        "reconciliation_explained": float(kept_day.explained),
        "reconciliation_complete": float(kept_day.complete),
        "reconciliation_at_seconds": kept_day.at / SECOND,
    }
