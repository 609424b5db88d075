"""Hold and transfer by API: what a program is told of today is what the day's report tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.domain.ids import CentreId
from callcore.reports import day_report
from tests.support.people import PASSWORD, first_administrator, user
from tests.support.tapes import Taped
from tests.support.web import DeskSource, Served, served
from tests.unit.test_core_transfer import CITY, TAX, Moves

PATH = "/api/v1/centres/demo/figures/departments"


@pytest.fixture
def moves() -> Moves:
    """On hold for 22 s; the tax office did not help, and the citizens' section took the caller over."""
    m = Moves(d=Taped()).begin()
    m.hold(8)
    tax = m.ask(10, "k1", to=TAX)
    m.answers(14, tax)
    m.city_puts_down(16, tax, "with-k1")
    m.answers(24, m.ask(18, "k2", to=CITY), "k2")
    m.passes_on(30, "k2")
    m.caller_puts_down(90)
    return m


@pytest.fixture
async def server(moves: Moves) -> AsyncIterator[Served]:
    source = DeskSource(moves.d)
    source.clock = moves.d.at(3600)
    async with served(source) as running:
        first_administrator(running.accounts)
        user(running.accounts, "city", Role.VIEWER)
        user(running.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        yield running


async def test_todays_transfers_and_hold_are_told_by_department_and_half_hour_as_the_report_does(
    server: Served, moves: Moves
) -> None:
    async with httpx.AsyncClient() as client:
        body = (await client.get(server.url + PATH, headers=server.machine)).json()
    [half] = body["half_hours"]
    assert (half["first"], half["before"]) == ("2026-11-23T03:00:00.000Z", "2026-11-23T03:30:00.000Z")
    same = {"first", "before"}
    assert {k: v for k, v in half.items() if k not in same} == {
        k: v for k, v in body["day"].items() if k not in same
    }
    assert half["transfer_ratio"] == {"value": 1.0, "part": 1, "whole": 1}
    assert (half["held"], half["hold_max_s"], half["lost_on_hold"]) == (1, 22.0, 0)
    assert isinstance(moves.d, Taped)
    row = day_report(moves.d.frames, CentreId("demo"), None).total
    assert [each["department"] for each in half["departments"]] == [CITY.id, TAX.id]
    for each in half["departments"]:
        of = row.by_department[each["department"]]
        assert each.pop("name") == {CITY.id: CITY.name, TAX.id: TAX.name}[each.pop("department")]
        assert each.pop("ends") == {end.value: n for end, n in of.ends.items()}
        assert each == {name: getattr(of, name) for name in each}
    city, tax = (row.by_department[name] for name in (CITY.id, TAX.id))
    assert (city.transferred_attended, city.answer_max_s) == (1, 6.0)
    assert (tax.transferred_attended, tax.asked, tax.answer_max_s) == (0, 1, 4.0)


async def test_only_who_may_see_the_centre_sees_its_figures(server: Served) -> None:
    async def status(name: str, path: str = PATH) -> int:
        begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
        headers: dict[str, Any] = {"cookie": f"callcore-session={begun.cookie}"}
        async with httpx.AsyncClient() as client:
            return (await client.get(server.url + path, headers=headers)).status_code

    assert await status("city") == 200
    assert await status("far") == 403
    assert await status("chief", PATH.replace("demo", "nowhere")) == 404
