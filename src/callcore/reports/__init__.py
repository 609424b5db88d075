"""The journal read again for people: a day as it stood at an instant, and a day's or a month's report.

Reads only what is synced, beside the engine or without one, and writes nothing.

- `tape`: the journal as frames, and where to stop.
- `replay`: the view that a live board had at one place of the journal; `web.show` says it as the API did.
- `report`: figures of a centre by day and half hour. Each is asked of `domain.measures` and `domain.shifts`.
- `sheet`, `screen`: the report as CSV, and both for a terminal.
"""

from callcore.reports.replay import live_again, view_at
from callcore.reports.report import Report, Row, day_report, month_report, range_report
from callcore.reports.tape import NothingThere, Stop, Tape

__all__ = [
    "NothingThere",
    "Report",
    "Row",
    "Stop",
    "Tape",
    "day_report",
    "live_again",
    "month_report",
    "range_report",
    "view_at",
]
