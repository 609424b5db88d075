"""The database: calls, their visits, offers and recordings, drained from the journal and read by reports.

One setting, a URL: `sqlite:///var/callcore.db` or `postgresql://user:password@host/name`.

    database = Database(url)
    if await database.revision() != NEWEST:
        await migrate.upgrade(url)           # from callcore.db import migrate: it takes long to import
    sink = Projection(database, seal)        # position(), apply(frames)
    queries = Queries(database)
    ...
    await database.close()

`DatabaseAway` means: nothing can be read or written now; try again later.
"""

from callcore.db.database import Database, DatabaseAway, UnknownDatabase
from callcore.db.erasing import Kept
from callcore.db.projections import Frame, Projection, Seal
from callcore.db.queries import CallDetail, CallerRow, CallRow, Page, Queries, SegmentRow, VisitRow
from callcore.db.search import Search
from callcore.db.tables import NEWEST

__all__ = [
    "NEWEST",
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
]
