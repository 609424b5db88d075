"""`callcore hours` and `callcore emergency`: what people type, and what they are shown."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from callcore.centres.month import (
    WIDTH,
    NotUnderstood,
    answer,
    instant_of,
    month_json,
    month_of,
    page,
    sentence,
)
from callcore.centres.problems import Language
from callcore.centres.read import read
from callcore.domain.centre import Centre, Configuration
from callcore.domain.emergency import Emergency
from callcore.domain.ids import SECOND, Instant
from callcore.runtime.commands import CommandFailed, ask_once
from callcore.settings import Settings

__all__ = ["NotUnderstood", "emergency_line", "show_at", "show_month", "until_of"]


def show_month(
    settings: Settings, centre: str, month: str | None, *, as_json: bool, language: Language
) -> None:
    """Print a month of a centre's hours. Raises NotUnderstood, CentreFileErrors."""
    if month is None:
        first = _centre(read(settings.centres), centre).calendar.local_date(_now()).replace(day=1)
    else:
        first = month_of(month)
    configuration = read(settings.centres, today=first)  # the holidays of the years around that month
    found = _centre(configuration, centre)
    if as_json:
        print(json.dumps(month_json(found, first), ensure_ascii=False))
        return
    made = found.calendar.local_date(_now())
    Console(width=WIDTH + 2, highlight=False).print(page(configuration, found, first, made, language))


def show_at(settings: Settings, centre: str, at: str, *, as_json: bool, language: Language) -> None:
    """Print the answer for one instant. Raises NotUnderstood, CentreFileErrors.

    An emergency closure counts if the engine runs; `emergency_known` says whether it does.
    """
    zone = _centre(read(settings.centres), centre).time_zone
    when = instant_of(at, zone, _now())
    year = datetime.fromtimestamp(when // SECOND, UTC).date()
    found = _centre(read(settings.centres, today=year), centre)
    rows = _emergencies(settings)
    row = next((row for row in rows or () if row["centre"] == found.id), None)
    told = answer(found, None if row is None else _emergency(row), when)
    if as_json:
        print(json.dumps({**told, "emergency_known": rows is not None}, ensure_ascii=False))
    else:
        print(sentence(told, language))


def until_of(settings: Settings, centre: str, text: str) -> float:
    """Seconds since the epoch of what a person typed as an end. Raises NotUnderstood, CentreFileErrors."""
    return instant_of(text, _centre(read(settings.centres), centre).time_zone, _now()) / SECOND


def emergency_line(row: Mapping[str, Any]) -> str:
    """One emergency closure, for people; times by this machine's clock, with their offset."""
    since, until = (
        datetime.fromtimestamp(row[key], UTC).astimezone().isoformat(timespec="minutes")
        for key in ("since", "until")
    )
    return f"{row['centre']}  {since} – {until}  {row['reason']}  ({row['by']})"


def _centre(configuration: Configuration, name: str) -> Centre:
    for centre in configuration.centres:
        if centre.id == name:
            return centre
    known = ", ".join(centre.id for centre in configuration.centres)
    raise NotUnderstood(
        f"センター {name} はありません。次のいずれかです / there is no centre {name}; one of: {known}"
    )


def _emergencies(settings: Settings) -> list[dict[str, Any]] | None:
    """Of the running engine; None: it does not run."""
    try:
        found: list[dict[str, Any]] = asyncio.run(ask_once(settings.engine_socket, "emergency_list"))
    except CommandFailed:
        return None
    return found


def _emergency(row: Mapping[str, Any]) -> Emergency:
    since, until = (Instant(round(row[key] * SECOND)) for key in ("since", "until"))
    return Emergency(since, until, row["reason"], row["by"])


def _now() -> Instant:
    return Instant(round(time.time() * SECOND))
