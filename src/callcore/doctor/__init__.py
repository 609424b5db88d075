"""`callcore doctor`: what the running system rests on, looked at once, judged, and how to mend it."""

from callcore.doctor.judging import Finding, Level, Seen, judge, status
from callcore.doctor.looking import look

__all__ = ["Finding", "Level", "Seen", "judge", "look", "status"]
