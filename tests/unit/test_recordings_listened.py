"""Who listened to a recording is listed whole, whatever the clock said when it was made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from callcore.access.rights import system_person
from callcore.access.trail import Result
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.web.recordings import LISTENED, Archive
from tests.support.people import trail_in

NOW_S = 1_795_143_600


async def test_who_listened_to_what_was_recorded_while_the_clock_was_ahead_is_listed(tmp_path: Path) -> None:
    trail = trail_in(tmp_path, lambda: NOW_S)
    for name in ("node1-1.1", "node1-1.12"):
        trail.add(
            "user:sato", LISTENED, on=name, centre="demo", origin="::1", result=Result.DONE, why="苦情の確認"
        )
    gate: Any = SimpleNamespace(trail=trail)
    recording: Any = SimpleNamespace(
        name="node1-1.1", centre=CentreId("demo"), began_at=Instant((NOW_S + 86_400) * SECOND)
    )
    listed = await Archive(gate, None).accesses(system_person("x"), recording)  # type: ignore[arg-type]
    assert listed is not None and [(line.who, line.on) for line in listed] == [("user:sato", "node1-1.1")]
