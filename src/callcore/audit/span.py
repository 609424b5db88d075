"""Which calls one reconciliation is about: those of one centre that arrived on one local day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from callcore.domain.ids import SECOND, CentreId, Instant

MARGIN_S = 3600
"""Seconds around the day in which sources are read too, so that no source cuts a call off that another one holds.
Far beyond the milliseconds between two stamps of one arrival, and beyond any step of a clock that NTP would make."""

_CALL_ID = re.compile(r"(?:.*-)?(\d+)\.\d+")


@dataclass(frozen=True, slots=True)
class Span:
    """[first, before): `day` (ISO) by the wall clock of the centre's `zone` (IANA name)."""

    centre: CentreId
    day: str
    first: Instant
    before: Instant
    zone: str
    numbers: Mapping[str, CentreId] = field(default_factory=dict)
    """Whose a dialled number is, for calls that the journal does not know."""

    def holds(self, at: Instant) -> bool:
        return self.first <= at < self.before

    def near(self, at: int) -> bool:
        """Whether an instant lies in the day or within the margin around it."""
        return self.first - MARGIN_S * SECOND <= at < self.before + MARGIN_S * SECOND

    def clock(self, at: Instant) -> str:
        """An instant by the centre's wall clock, to the millisecond, with its offset."""
        return datetime.fromtimestamp(at / SECOND, ZoneInfo(self.zone)).isoformat(timespec="milliseconds")


def made_at(name: str) -> Instant | None:
    """The second that stands in a unique id (`node1-1795193503.12`): when Asterisk made that channel."""
    match = _CALL_ID.fullmatch(name)
    return None if match is None else Instant(int(match[1]) * SECOND)
