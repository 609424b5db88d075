"""Collecting an agent's number and PIN from a phone's keys."""

from __future__ import annotations

import asyncio

from callcore.domain.ids import AgentId, ChannelId, Instant, PhoneId
from callcore.domain.inputs import SignInAsked
from callcore.runtime.pindesk import PinDesk

PHONE, CHANNEL = PhoneId("demo-p1"), ChannelId("c1")
AGENTS = {"1001": AgentId("1001"), "": AgentId("1002")}
"""By number; of none: who is fixed to the phone."""


class Desk:
    def __init__(self, agents: dict[str, AgentId] = AGENTS) -> None:
        self.told: list[SignInAsked] = []
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.pins = PinDesk(
            lambda agent, pin: (agent, pin) in {("1001", "2718"), ("1002", "3141")},
            self.told.append,
            lambda: Instant(7),
            who=lambda number, phone: agents.get(number) if phone == PHONE else None,
            asks=self.asked.append,
            refuses=self.refused.append,
        )

    async def keys(self, digits: str) -> None:
        for digit in digits:
            self.pins.key(CHANNEL, digit)
        await asyncio.sleep(0.05)

    @property
    def answers(self) -> list[tuple[str, bool]]:
        return [(x.agent, x.verified) for x in self.told]


async def test_number_then_pin_in_one_go_or_with_the_prompt_between() -> None:
    for keyed in (("1001#2718#",), ("1001#", "2718#"), ("10", "01", "#27", "18#")):
        desk = Desk()
        desk.pins.begin(CHANNEL, "PJSIP/x", PHONE)
        for digits in keyed:
            await desk.keys(digits)
        assert desk.answers == [("1001", True)] and desk.asked == ["PJSIP/x"]


async def test_only_a_hash_is_who_is_fixed_to_the_phone_and_without_one_a_refusal() -> None:
    desk = Desk()
    desk.pins.begin(CHANNEL, "PJSIP/x", PHONE)
    await desk.keys("#3141#")
    assert desk.answers == [("1002", True)]
    desk = Desk({})
    desk.pins.begin(CHANNEL, "PJSIP/x", PHONE)
    await desk.keys("#3141#")
    assert desk.answers == [] and desk.refused == ["PJSIP/x"] and desk.asked == []


async def test_a_pin_keyed_where_the_number_belongs_goes_nowhere() -> None:
    for digits in ("10012718##", "2718##", "1001271828#"):
        desk = Desk()
        desk.pins.begin(CHANNEL, "PJSIP/x", PHONE)
        await desk.keys(digits)
        assert desk.asked == ["PJSIP/x"], "as if it were a number: what exists is not told"
        assert all(agent == "" and not right for agent, right in desk.answers)
        assert not any(sign in repr(desk.told) for sign in ("2718", "1001"))


async def test_a_number_behind_the_code_asks_for_the_pin_alone_and_who_hangs_up_is_forgotten() -> None:
    desk = Desk()
    desk.pins.begin(CHANNEL, "PJSIP/x", PHONE, AgentId("1001"))
    await desk.keys("2718#")
    assert desk.answers == [("1001", True)] and desk.asked == []
    desk.pins.begin(CHANNEL, "PJSIP/x", PHONE)
    desk.pins.gone(CHANNEL)
    await desk.keys("1001#2718#")
    assert len(desk.told) == 1
