"""Alembic's door: `callcore.db.migrate` comes in with a connection, the alembic command line with `-x url=…`."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection

from callcore.db.database import Database
from callcore.db.migrate import configure


def run(connection: Connection) -> None:
    configure(context, connection)
    with context.begin_transaction():
        context.run_migrations()


async def connect() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit(
            "-x url=sqlite:////path/callcore.db を付けてください / add -x url=sqlite:////path/callcore.db"
        )
    database = Database(url, deadline_s=600.0, for_migration=True)
    try:
        async with database.writing() as connection:
            await connection.run_sync(run)
    finally:
        await database.close()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(connect())
