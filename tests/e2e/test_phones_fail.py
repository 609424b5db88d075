"""What becomes of the caller when an agent's phone refuses, is in use, or is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import PhoneId
from callcore.domain.stages import Device, OfferStage, Party
from tests.support import audio
from tests.support.prompts import brief_welcome
from tests.support.sip import Agent, sip_agent
from tests.support.station import Station, heard, hears_for, hears_now, music, rings, station, until, voice_of


@asynccontextmanager
async def in_place_of(s: Station, seat: SimPhone, n: int) -> AsyncIterator[Agent]:
    """A phone of the test's own at the n-th agent's seat, registered."""
    await seat.unregister()
    await s.device(n, Device.UNREACHABLE)
    name = PhoneId(s.centre.phone(n))
    pbx = (s.settings.sip_host, s.settings.sip_port)
    async with sip_agent(f"{s.net}.99", name, pbx, s.secrets.phones[name]) as phone:
        await phone.register()
        await s.available(n)
        yield phone


async def test_an_agent_refuses_by_busy_and_another_by_decline_and_the_next_one_gets_the_caller() -> None:
    async with station(DemoCentre(agents=3, rest_s=60, acw_s=1), prompts=brief_welcome) as s:
        first, second, third = await s.staff(1, 2, 3)
        # The second agent's seat gets a phone that can decline (603), which the simulated ones cannot.
        async with in_place_of(s, second, 2) as declining:
            call = await s.dial_in(await s.caller())
            await (await first.incoming(30)).reject()
            rung = await declining.rings()
            assert rung.invite is not None
            declining.respond(rung.invite, 603, "Decline", rung.local)
            rung.end("603")
            ringing = await third.incoming(15)
            await ringing.answer()
            await s.fact(f.CallAnswered)
            await hears_for(call, 1)
            await ringing.hang_up()
            await call.wait_closed(10)
        await s.ended(1)
        failed = s.told(f.OfferFailed)
        assert [x.result for x in failed] == [OfferStage.REJECTED] * 2
        assert [x.agent for x in failed] == [s.centre.agent(1), s.centre.agent(2)]
        assert all(x.rest_until is not None and x.rest_until - x.at == 60e6 for x in failed)
        assert (rings(first), rings(third)) == (1, 1)
        assert s.outcomes() == ["completed"]
        s.books_agree()


async def test_an_agent_who_puts_down_in_the_first_moment_of_a_talk_is_free_a_second_later() -> None:
    """Asterisk plays the phone 0.12 s of silence then (ADR 75) and forgets a BYE that comes meanwhile if no packet
    follows it: caller and phone would be together until the phone is found silent, 30 s later."""
    async with station(DemoCentre(agents=1, acw_s=1), prompts=brief_welcome) as s:
        (seat,) = await s.staff(1)
        async with in_place_of(s, seat, 1) as phone:
            caller = await s.caller()
            for n in range(1, 4):
                call = await s.dial_in(caller)
                rung = await phone.rings(n)
                rung.answer()
                await until(lambda n=n: len(s.told(f.CallAnswered)) == n)  # type: ignore[misc]
                rung.hang_up()
                await call.wait_closed(5)
                await s.ended(n)
                await s.available(1)
        assert s.outcomes() == ["completed"] * 3
        assert {x.hung_up_by for x in s.told(f.CallEnded)} == {Party.AGENT}
        assert len(s.told(f.VisitBegan)) == 3, "nobody came back to the line"
        s.books_agree()


async def test_a_phone_that_is_gone_dies_ringing_or_dies_talking_loses_no_caller() -> None:
    async with station(
        DemoCentre(agents=3, ring_s=5, rest_s=60, acw_s=60), phone_rtp_timeout_s=3, prompts=brief_welcome
    ) as s:
        unplugged, dies_ringing, dies_talking = await s.staff(1, 2, 3)
        await unplugged.unregister()
        await s.device(1, Device.UNREACHABLE)
        call = await s.dial_in(await s.caller())

        await dies_ringing.incoming(30)
        await dies_ringing.kill()
        failed = await s.fact(f.OfferFailed, within=60)
        assert (failed.agent, failed.result) == (s.centre.agent(2), OfferStage.NO_ANSWER)

        ringing = await dies_talking.incoming(15)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        await hears_for(call, 2)
        await dies_talking.kill()
        await s.fact(f.TalkEnded, within=30)
        await hears_now(call, music)
        assert call.closed is None

        name = s.centre.phone(1)
        server = f"{s.settings.sip_host}:{s.settings.sip_port}"
        await unplugged.register(name, s.secrets.phones[name], server)  # type: ignore[index]
        ringing = await unplugged.incoming(20)
        await ringing.answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 2)
        await hears_now(call, voice_of(440), 1)
        await ringing.hang_up()
        await call.wait_closed(10)
        await s.ended(1)
        assert [x.agent for x in s.told(f.CallAnswered)] == [s.centre.agent(3), s.centre.agent(1)]
        assert s.outcomes() == ["completed"]
        assert s.figures().answered == 1


async def test_an_agent_on_an_internal_call_is_not_offered_and_who_is_busy_is_busy_for_colleagues() -> None:
    async with station(DemoCentre(agents=4, acw_s=1), prompts=brief_welcome) as s:
        first, second = await s.staff(1, 2)
        third, fourth = await s.desk(3), await s.desk(4)
        internal = await first.dial(s.centre.phone(3))
        colleague = await third.incoming(15)
        await colleague.answer()
        await internal.wait_established(10)
        await hears_for(internal, 1)
        await hears_for(colleague, 1)
        assert audio.hears(heard(internal), 520, share=0.9) and audio.hears(heard(colleague), 440, share=0.9)
        await s.device(1, Device.BUSY)

        call = await s.dial_in(await s.caller())
        ringing = await second.incoming(30)
        # Its phone rings for a caller: busy for colleagues already now.
        assert (await (await fourth.dial(s.centre.phone(2))).wait_closed(10)).status == 486
        await ringing.answer()
        await s.fact(f.CallAnswered)
        assert (await (await fourth.dial(s.centre.phone(2))).wait_closed(10)).status == 486
        assert (await (await fourth.dial(s.centre.phone(1))).wait_closed(10)).status == 486
        await hears_for(call, 1)
        assert ringing.closed is None and colleague.closed is None
        await call.hang_up()
        await s.ended(1)
        assert (rings(first), rings(second)) == (0, 1)
        assert [x.agent for x in s.told(f.OfferMade)] == [s.centre.agent(2)]

        await internal.hang_up()
        await colleague.wait_closed(5)
        await s.available(1)
        assert len(s.call_ids()) == 1, "an internal call was counted as an arrival"
        s.books_agree()
