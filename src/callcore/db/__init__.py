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
from callcore.db.projections import Frame, Projection, Seal
from callcore.db.queries import CallDetail, CallRow, Page, Queries

__all__ = [
    "CallDetail",
    "CallRow",
    "Database",
    "DatabaseAway",
    "Frame",
    "Page",
    "Projection",
    "Queries",
    "Seal",
    "UnknownDatabase",
    "migrate",
]
