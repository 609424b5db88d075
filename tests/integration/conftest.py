import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.support.browser import browser
from tests.support.postgres import database_url, empty_url, own_postgres, postgres

__all__ = ["browser", "database_url", "empty_url", "own_postgres", "postgres"]


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The sidecar's own loop where a module asks for it by `LOOP = "uvloop"`, the library's elsewhere."""
    if getattr(getattr(item, "module", None), "LOOP", None) == "uvloop":
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
