"""The whole way of a call on a real Asterisk, with real SIP phones, and what each party hears."""

from __future__ import annotations

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from tests.support.station import station


async def test_caller_and_agent_talk_and_the_books_say_so() -> None:
    async with station(DemoCentre(agents=2, acw_s=2)) as s:
        desk = await s.desk(1)
        await s.sign_in(desk, 1)
        await s.fact(f.AgentSignedIn)
        caller = await s.caller()
        call = await s.dial_in(caller)
        await call.wait_established(5)
        rung = await desk.incoming(20)
        await rung.answer()
        await s.fact(f.CallAnswered)
        await call.hang_up()
        ended = await s.ended(1)
        assert s.outcomes() == ["completed"]
        assert ended[0].hung_up_by.value == "caller"
