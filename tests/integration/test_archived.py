"""What the shell learns about a call of the archive, with real keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.archived import of_call
from callcore.domain.ids import CallId, CentreId
from callcore.settings import Settings
from tests.support.recorded import CITIZEN, stocked


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
async def test_an_old_call_tells_its_centre_and_its_number_as_long_as_the_key_is_kept(
    database_url: str, tmp_path: Path
) -> None:
    async with stocked(database_url, tmp_path) as stock:
        assert await of_call(stock.settings, "c1") == ("demo", CITIZEN)
        assert await of_call(stock.settings, "nothing") is None
        stock.recorded._keys.destroy_call(CallId("c1"))
        assert await of_call(stock.settings, "c1") == (CentreId("demo"), None)
    away = Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path}/nowhere/callcore.db")
    with pytest.raises(OSError, match="database"):
        await of_call(away, "c1")
