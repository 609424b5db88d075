"""Opening hours: one calendar, one question (`decide`), and the same answer spread out ahead as a policy.

Precedence, first that speaks: one-off day > public holiday > yearly range > weekly hours.
A window is half open: at the instant of opening it is open, at the instant of closing it is closed.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import Instant


@dataclass(frozen=True, slots=True)
class Window:
    """Open from `opens` up to, not including, `closes`. Seconds of the local day; `closes` ≤ 86,400."""

    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class YearlyRange:
    """Closed each year from `first` to `last` (month, day), both included; may cross the new year."""

    first: tuple[int, int]
    last: tuple[int, int]
    reason: str


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """One date (ISO) with windows of its own; none: closed."""

    date: str
    windows: tuple[Window, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one instant. `changes_at` is the next instant at which `open` differs, if within a year."""

    open: bool
    reason: str
    changes_at: Instant | None


@dataclass(frozen=True, slots=True)
class Calendar:
    zone: str
    """IANA name, e.g. `Asia/Tokyo`."""
    weekly: tuple[tuple[Window, ...], ...]
    """Seven entries, Monday first."""
    holidays: tuple[tuple[str, str], ...] = ()
    """(ISO date, name) of the public holidays that close the centre, three years of them."""
    yearly: tuple[YearlyRange, ...] = ()
    special: tuple[SpecialDay, ...] = ()
