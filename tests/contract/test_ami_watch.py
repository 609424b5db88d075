"""The looks at all of Asterisk, asked for over a manager port."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from callcore.ami import LinkUp, watch
from callcore.ami.watch import Watch
from callcore.domain.floor import Floor
from callcore.domain.ids import Instant, NodeId
from tests.contract.fake_ami import FakeAmi
from tests.contract.test_ami_link import link_to


async def test_a_first_look_that_the_core_could_not_take_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "FIRST_AGAIN_S", 0.05)
    jobs: list[asyncio.Task[None]] = []

    def aside(job: Coroutine[Any, Any, None]) -> None:
        jobs.append(asyncio.create_task(job))

    async def alone() -> bool:
        return True

    async with FakeAmi() as server, link_to(server) as link:
        looks = Watch(
            link,
            NodeId("test1"),
            Path("/nowhere"),
            floor=Floor,
            now=lambda: Instant(0),
            tell=lambda _: None,
            aside=aside,
            contacts=lambda _, __: None,
            overtaken=lambda: asyncio.sleep(0),
            alone=alone,
            tests=lambda _, __: False,
        )
        looks.link_up(LinkUp(1, Instant(0), "11.0.0"))
        await server.wait_for("PJSIPShowContacts")
        looks.look_first_again()
        await server.wait_for("PJSIPShowContacts", 2)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
