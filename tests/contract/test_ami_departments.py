"""What Asterisk is told of departments: their hours weeks ahead, and their lamps when the clock turns."""

from __future__ import annotations

from dataclasses import replace

from callcore.ami import Link
from callcore.ami.ahead import DAYS, Ahead
from callcore.ami.lamps import Lamps
from callcore.domain.ids import DepartmentId, Instant
from tests.contract.fake_ami import DEADLINE, FakeAmi
from tests.contract.test_ami_canary import settings
from tests.support.floors import Desk
from tests.unit.test_departments import ALL, at, call, desk


def set_since(server: FakeAmi, n: int) -> list[tuple[str, str]]:
    """(department, state) of the departments' lamps among the actions from the n-th on."""
    front = "DEVICE_STATE(Custom:callcore-dept-demo-"
    return [
        (each.get("Variable").removeprefix(front).rstrip(")"), each.get("Value"))
        for each in server.actions[n:]
        if each.name == "Setvar" and each.get("Variable").startswith(front)
    ]


async def test_a_lamp_turns_at_the_instant_of_closing_and_with_a_call_and_nothing_is_said_twice() -> None:
    made: Desk = desk()
    clock = at("2026-11-24T11:59:59")
    async with FakeAmi() as server, Link(settings(server)) as link:
        await link.wait_up(DEADLINE)
        lamps = Lamps(link, floor=lambda: made.floor, generation=lambda: 1, now=lambda: clock)
        await lamps.look()
        assert set_since(server, 0) == [("shimin", "NOT_INUSE"), ("kita", "NOT_INUSE"), ("oku", "RINGING")]
        n = len(server.actions)
        await lamps.look()
        assert len(server.actions) == n, "nothing differs"
        clock = at("2026-11-24T12:00")
        await lamps.look()
        assert set_since(server, n) == [("kita", "RINGING")]
        n = len(server.actions)
        call(made, 10, "demo-shimin")
        await lamps.look()
        assert set_since(server, n) == [("shimin", "INUSE")]
        n = len(server.actions)
        clock = at("2026-11-24T13:00")
        await lamps.look()
        assert set_since(server, n) == [("kita", "NOT_INUSE")]


async def test_each_departments_hours_are_pushed_beside_the_centres_and_another_configurations_at_once() -> (
    None
):
    made = desk()
    [centre] = made.floor.centres.values()
    configuration = made.floor.configuration
    assert configuration is not None
    async with FakeAmi() as server, Link(settings(server)) as link:
        await link.wait_up(DEADLINE)
        ahead = Ahead(
            link,
            configuration,
            generation=lambda: 1,
            emergencies=dict,
            blocked=dict,
            salt="0" * 16,
            now=lambda: Instant(at("2026-11-24T10:00")),
        )

        def pushed() -> dict[str, str]:
            return {
                each.get("Key"): each.get("Val")
                for each in server.received("DBPut")
                if each.get("Family") == "callcore-hours"
            }

        assert await ahead.renew(configuration)
        assert len(pushed()) == DAYS * (1 + len(ALL))
        lunch = pushed()["dept~demo-kita/20261124"].split(",")
        assert len(lunch) == 2 and lunch[0].endswith(f"-{at('2026-11-24T12:00') // 1_000_000}")
        assert pushed()["dept~demo-shimin/20261123"] == "closed~holiday"
        fewer = replace(centre, departments=(replace(ALL[0], id=DepartmentId("demo-neu")),))
        assert await ahead.renew(replace(configuration, centres=(fewer,)))
        assert "dept~demo-neu/20261124" in pushed()
