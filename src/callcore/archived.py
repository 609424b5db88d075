"""What the shell asks about a call of the archive: its centre and the caller's number, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcore.domain.ids import CallId, CentreId

if TYPE_CHECKING:
    from callcore.settings import Settings


async def of_call(settings: Settings, call: str) -> tuple[CentreId, str | None] | None:
    """The number is None when it was withheld, or its key destroyed; all None: no such call. Raises OSError when the
    database or the keys cannot be read."""
    from callcore.db import Database, DatabaseAway, Queries
    from callcore.journal import JournalError, KeyStore

    database = Database(settings.database)
    try:
        found = await Queries(database).call(CallId(call))
        if found is None:
            return None
        centre, caller = found.call.record.centre, found.caller
        if caller is None:
            return centre, None
        with KeyStore.open(settings.journal, settings.keys) as keys:
            opened = keys.unseal(CallId(call), caller.centre, caller.at, caller.sealed)
        return centre, None if opened is None else opened[0]
    except (DatabaseAway, JournalError) as error:
        raise OSError(str(error)) from error
    finally:
        await database.close()
