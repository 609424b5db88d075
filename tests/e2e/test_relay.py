"""電話リレーサービス, 手話リンク: an operator calls for somebody who signs or writes. Long silences are normal, nobody
keys anything in a menu, and nothing may cut the call."""

from __future__ import annotations

import asyncio

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.stages import Mark
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_menus import DAY
from tests.support.sip import sip_agent, tone
from tests.support.station import station

QUIET_S = 5
"""After so long without a packet a desk phone is held for lost; a caller never is."""


async def test_a_relay_call_keys_nothing_is_silent_for_long_and_is_never_cut() -> None:
    centre = DemoCentre(agents=1, acw_s=30, menu="subject", more=DAY)
    async with station(centre, phone_rtp_timeout_s=QUIET_S) as s:
        desk = await phone(s)
        await signs_in(desk)
        relay = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "05012345678", (f"{s.net}.1", s.settings.sip_port))
        )
        call = await relay.call(NUMBER, tone(400))
        await s.fact(f.VisitBegan, within=40)  # 2 × 8 s in the menu, then the line: nobody had to key
        ringing = await desk.rings()
        ringing.sound = tone(600)
        ringing.answer()
        answered = await s.fact(f.CallAnswered)
        await ringing.hears(1)
        ringing.press("*33")
        marked = await s.fact(f.CallMarked)
        assert (marked.call, marked.mark) == (answered.call, Mark.RELAY)
        relay.speaks = False  # the sound stops altogether while they sign
        await asyncio.sleep(2 * QUIET_S)
        assert call.state == ringing.state == "up"
        relay.speaks = True
        await ringing.hears(1)
        call.hang_up()
        await ringing.until("bye")
        await s.ended(1)
        assert s.outcomes() == ["completed"]
        [record] = s.books().records.values()
        assert record.relay
