"""The database: calls, their visits, offers and recordings, drained from the journal and read by reports.

One setting, a URL: `sqlite:///var/callcore.db` or `postgresql://user:password@host/name`.

    await migrate.upgrade(url)
    database = Database(url)
    sink = Projection(database, seal)        # position(), apply(frames)
    queries = Queries(database)
    ...
    await database.close()

`DatabaseAway` means: nothing can be read or written now; try again later.
"""

from callcore.db import migrate
from callcore.db.database import Database, DatabaseAway, UnknownDatabase
from callcore.db.erasing import Kept
from callcore.db.projections import Frame, Projection, Seal
from callcore.db.queries import CallDetail, CallerRow, CallRow, Page, Queries, SegmentRow, VisitRow
from callcore.db.search import Search

__all__ = [
    "CallDetail",
    "CallRow",
    "CallerRow",
    "Database",
    "DatabaseAway",
    "Frame",
    "Kept",
    "Page",
    "Projection",
    "Queries",
    "Seal",
    "Search",
    "SegmentRow",
    "UnknownDatabase",
    "VisitRow",
    "migrate",
]
