"""What `callcore replay` and `callcore report` do; the command line itself only reads the options."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, time
from typing import Literal

from rich.console import Console, RenderableType
from rich.measure import Measurement

from callcore.domain.floor import Floor
from callcore.domain.ids import CentreId, Instant
from callcore.domain.recording import UNASSIGNED
from callcore.journal import JournalError
from callcore.recordings import RecordingError
from callcore.recordings.chain import roots
from callcore.recordings.signing import installed
from callcore.reports.replay import live_again, local_instant, view_at, zone_of
from callcore.reports.report import Proof, Report, day_report, month_report, range_report
from callcore.reports.screen import floor_tables, report_tables
from callcore.reports.sheet import csv_of, departments_csv_of, queues_csv_of
from callcore.reports.tape import NothingThere, Stop, Tape
from callcore.runtime.ports import Seq
from callcore.settings import Settings
from callcore.web import models as m

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")
_MONTH = re.compile(r"(\d{4})-(\d{2})")

UNBOUND = 10_000
"""Columns: no table is as wide."""


class CannotTell(Exception):
    """The question cannot be answered. The text is for people: Japanese / English, with what to do next."""


def a_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CannotTell(
            f"{text}: 日付は 2026-11-20 のように書いてください / {text}: write a date like 2026-11-20"
        ) from None


def a_month(text: str) -> date:
    found = _MONTH.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= 12:
        raise CannotTell(f"{text}: 月は 2026-11 のように書いてください / {text}: write a month like 2026-11")
    return date(int(found[1]), int(found[2]), 1)


def a_time(text: str) -> time:
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        return time(int(found[1]), int(found[2]), int(found[3] or 0), int((found[4] or "0").ljust(6, "0")))
    except ValueError:
        raise CannotTell(
            f"{text}: 時刻は 14:05:30 のように書いてください / {text}: write a time like 14:05:30"
        ) from None


def a_seq(text: str) -> Seq:
    run, dot, n = text.partition(".")
    if not (dot and run.isascii() and run.isdigit() and n.isascii() and n.isdigit()):
        raise CannotTell(
            f"{text}: seq は API や画面の値 (例 3.1207) を書いてください / "
            f"{text}: write a seq as the API shows it, e.g. 3.1207"
        )
    return Seq(int(run), int(n))


def replayed(
    settings: Settings, *, day: str | None, until: str | None, seq: str | None, centre: str | None
) -> m.Live:
    """The floor as it was: at `until`, else when the last thing of the day happened; with `seq`, at that place of
    the journal. Raises CannotTell."""
    if day is None and seq is None:
        raise CannotTell("--day か --seq を指定してください / give --day or --seq")
    if until is not None and day is None:
        raise CannotTell("--until には --day も要ります / --until needs --day as well")
    name = None if centre is None else CentreId(centre)
    wanted = None if day is None else a_date(day)
    at_time = None if until is None else a_time(until)
    place = None if seq is None else a_seq(seq)

    def instant(floor: Floor) -> Instant | None:
        if wanted is None or (name is not None and name not in floor.centres):
            return None
        return local_instant(wanted, at_time, zone_of(floor, name))

    try:
        with Tape(settings.journal, settings.keys) as tape:
            view, told = view_at(tape.frames(), Stop(place, None if place is not None else instant))
        at = told
        if wanted is not None:
            zone = zone_of(view.floor, name)
            if at_time is not None or local_instant(wanted, time(), zone) > told:
                at = local_instant(wanted, at_time, zone)
        return live_again(view, at, name)
    except (NothingThere, JournalError) as error:
        raise CannotTell(str(error)) from None


def reported(
    settings: Settings,
    kind: Literal["day", "month", "range"],
    *,
    centre: str,
    day: str | None,
    month: str | None,
    first: str | None = None,
    last: str | None = None,
    csv: bool,
    half_hours: bool,
    queues: bool = False,
    departments: bool = False,
    out: Console,
) -> None:
    """Print a report. `queues`: as CSV, visits by queue instead of calls by time; `departments`: figures by department.
    Raises CannotTell."""
    for asked, name in ((queues, "--queues"), (departments, "--departments")):
        if asked and not csv:
            raise CannotTell(
                f"{name} は --csv と使います(表にはいつも出ます) / {name} goes with --csv; the table always has them"
            )
    if queues and departments:
        raise CannotTell("--queues か --departments の一方だけ / either --queues or --departments")
    given = {"day": day is not None, "month": month is not None, "range": None not in (first, last)}
    if any(there for other, there in given.items() if other != kind) or (first is None) != (last is None):
        raise CannotTell(
            "day には --date、month には --month、range には --from と --to を使ってください / "
            "with day use --date, with month --month, with range --from and --to"
        )
    name = CentreId(centre)
    try:
        with Tape(settings.journal, settings.keys) as tape:
            if kind == "day":
                made = day_report(tape.frames(), name, None if day is None else a_date(day))
            elif kind == "month":
                made = month_report(tape.frames(), name, None if month is None else a_month(month))
            else:
                made = range_report(tape.frames(), name, *_a_range(first, last))
    except (NothingThere, JournalError) as error:
        raise CannotTell(str(error)) from None
    made = replace(made, proofs=_proofs(settings, made))
    if csv:
        text = csv_of(made, half_hours=half_hours)
        if queues:
            text = queues_csv_of(made)
        elif departments:
            text = departments_csv_of(made, half_hours=half_hours)
        out.file.write(text)
        out.file.flush()
        return
    show(out, report_tables(made, half_hours=half_hours))


DAYS_MOST = 366
"""Of a range: a year."""


def _a_range(first: str | None, last: str | None) -> tuple[date, date]:
    if first is None or last is None:
        raise CannotTell("range には --from と --to が要ります / range needs --from and --to")
    days = a_date(first), a_date(last)
    if not 0 <= (days[1] - days[0]).days < DAYS_MOST:
        raise CannotTell(
            f"--to は --from 以後の {DAYS_MOST} 日以内にしてください / "
            f"--to must be no earlier than --from, and both within {DAYS_MOST} days"
        )
    return days


def _proofs(settings: Settings, made: Report) -> dict[date, Proof]:
    """What is signed of the recordings of the report's days; a root that does not fit is none."""
    try:
        keys = installed(settings.recordings_keys)
        own, nobodys = (roots(settings.store, each, keys) for each in (made.centre.id, UNASSIGNED))
    except RecordingError as error:
        raise CannotTell(str(error)) from None
    told = {}
    for day in (day.row.date for day in made.days):
        root, other = own.get(day.isoformat()), nobodys.get(day.isoformat())
        of_nobody = None if other is None else other.root
        if root is not None:
            told[day] = Proof(root.root, root.kept, root.erased, of_nobody)
        elif of_nobody is not None:
            told[day] = Proof(None, 0, 0, of_nobody)
    return told


def show(out: Console, parts: Iterable[RenderableType]) -> None:
    """Each as wide as it is: a narrow terminal breaks lines, but no figure is cut off."""
    for part in parts:
        free = out.options.update(max_width=UNBOUND)
        out.width = max(out.width, Measurement.get(out, free, part).maximum)
        out.print(part)


def replay_shown(out: Console, live: m.Live) -> None:
    show(out, floor_tables(live))
