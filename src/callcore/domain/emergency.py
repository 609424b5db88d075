"""Emergency closure (臨時休止): a state of the floor that a person begins and that ends by itself.

Rules
- It goes before every rule of the calendar. Who comes meanwhile hears its announcement, also out of hours; the
  outcome is *emergency_closed* inside the calendar's hours and *closed* outside them (definitions: the first that
  fits counts).
- Who waits when it begins is sent away with the announcement and ends as *overflow_no_agent*; what rings is taken
  back; talks go on.
- It always has an end (`until`), which is a deadline of the floor. Beginning again while it lasts gives it another
  end and reason.
- It is pushed to Asterisk with its end, so that the dialplan alone plays the announcement, and opens again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from callcore.domain.hours import Calendar, Reason, Verdict
from callcore.domain.ids import SECOND, CentreId, Instant, seconds

LONGEST_S = 31 * 86_400
"""Seconds that an emergency closure may last at a time. Whoever needs longer writes it into the centre file."""

PUSH_SETTLES_S = 5.0
"""Seconds around its beginning and its end within which the dialplan may still go by what was pushed before. A push
takes milliseconds; 5 s is the heartbeat's bound, after which nobody decides here anyway."""

NOT_ANY = "none"
"""What is pushed where there is no emergency."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """The latest one of a centre. `by`: who began it, in words."""

    since: Instant
    until: Instant
    reason: str
    by: str
    ended: Instant | None = None

    def on(self, at: Instant) -> bool:
        return self.since <= at < self.until and (self.ended is None or at < self.ended)

    def near_a_change(self, at: Instant) -> bool:
        """Whether the dialplan may rightly have decided by what was before, or is after, this instant."""
        edges = [edge for edge in (self.since, self.until, self.ended) if edge is not None]
        return any(abs(at - edge) <= seconds(PUSH_SETTLES_S) for edge in edges)

    @property
    def words(self) -> Reason:
        return Reason(f"臨時休止: {self.reason}", f"emergency closure: {self.reason}")


def default_until(calendar: Calendar, at: Instant) -> Instant:
    """The end where nobody gave one, as by a phone's key: the local midnight that comes next."""
    zone = ZoneInfo(calendar.zone)
    tomorrow = calendar.local_date(at) + timedelta(days=1)
    return Instant(
        round(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp()) * SECOND
    )


def decide(calendar: Calendar, emergency: Emergency | None, at: Instant) -> Verdict:
    """The whole answer for one instant: the calendar's, unless there is an emergency."""
    if emergency is None or not emergency.on(at):
        return calendar.decide(at)
    after = calendar.decide(emergency.until)
    words = emergency.words
    return Verdict(False, words.ja, emergency.until if after.open else after.changes_at, words.en)


def pushed(emergencies: Mapping[CentreId, Emergency], centre: CentreId) -> str:
    """What the dialplan reads of a centre: `from-until` in epoch seconds UTC, or `none`."""
    found = emergencies.get(centre)
    if found is None or found.ended is not None:
        return NOT_ANY
    return f"{found.since // SECOND}-{-(-found.until // SECOND)}"
