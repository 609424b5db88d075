"""The engine is killed with `kill -9` while callers wait, a phone rings, people talk; and started again."""

from __future__ import annotations

import time

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.stages import OfferStage, Outcome, Party, Work
from tests.chaos import rig
from tests.support.prompts import brief_welcome
from tests.support.station import station


async def test_waiting_callers_are_served_in_order_by_the_safety_net_and_taken_back_in_order() -> None:
    """Four callers, one agent: a talk and three who wait. The engine dies, and comes back during the second talk."""
    async with station(DemoCentre(agents=1, acw_s=2), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        first, second, third, fourth = await rig.queue_up(s, 1, 2, 3, 4)
        talk = await rig.take(desk)
        await rig.both_hear(first.line, talk, 1)

        s.kill("engine")
        killed = time.time()
        for waiting in (second, third, fourth):
            await rig.marked(s, waiting.id, "callcore-net", rig.NET_WITHIN_S)
        assert sorted(rig.marks(s, "callcore-net")) == sorted([second.id, third.id, fourth.id])
        fell = [float(row[2]) for row in rig.cel(s) if row[1] == "callcore-net"]
        assert max(fell) - killed < rig.STALE_S + 2.5, "the heartbeat's bound, and a busy machine"
        await rig.both_hear(first.line, talk, 1)
        await talk.hang_up()  # nobody decides, and the next caller gets this agent all the same
        talk = await rig.take(desk)
        await rig.both_hear(second.line, talk, 1)

        await s.start_engine()
        await rig.relinked(s, 2)
        await rig.works(s, 1, Work.TALKING)
        adopted = rig.answer(s, second.id)
        assert (adopted.by_net, adopted.reconstructed, adopted.offer) == (True, True, None)
        assert adopted.agent == s.centre.agent(1)
        assert abs(adopted.at / SECOND - rig.talked_since(s, second.id)) < 1
        for waiting in (third, fourth):
            await rig.taken_back(s, waiting.id)
        back = [x for x in rig.marks(s, "callcore-held") if x in (third.id, fourth.id)][2:]
        assert back == [third.id, fourth.id], "taken back in the order of waiting"

        await talk.hang_up()
        for waiting in (third, fourth):
            talk = await rig.take(desk)
            await rig.both_hear(waiting.line, talk, 1)
            await waiting.line.hang_up()
        calls = [c.id for c in (first, second, third, fourth)]
        await rig.settled(s, calls)
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1])
        assert [x.call for x in s.told(f.CallAnswered)] == calls
        assert [rig.record(s, c).by_net for c in calls] == [False, True, False, False]
        assert rig.hung_up(s) == dict(
            zip(calls, (Party.AGENT, Party.AGENT, Party.CALLER, Party.CALLER), strict=True)
        )


async def test_ring_goes_on_and_is_answered_while_nobody_decides() -> None:
    async with station(DemoCentre(agents=1, acw_s=1, short_abandon_s=0), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        caller = await rig.arrive(s, 1)
        rung = await desk.incoming(20)
        offer = await s.fact(f.OfferRang)
        s.kill("engine")
        await rung.answer()
        await rig.both_hear(caller.line, rung, 1)
        await s.start_engine()
        await rig.relinked(s, 2)
        await rig.works(s, 1, Work.TALKING)
        found = rig.answer(s, caller.id)
        assert (found.offer, found.by_net, found.reconstructed) == (offer.offer, False, True)
        await rung.hang_up()

        # Once more, and this caller puts down while the phone rings and nobody decides.
        await rig.available(s, 1)
        hasty = await rig.dial_again(s, caller.phone)
        await desk.incoming(20)
        await s.fact(f.OfferRang, lambda x: x.call == hasty.id)
        s.kill("engine")
        await hasty.line.hang_up()
        await rig.gone(s, hasty.id)
        await s.start_engine()
        await rig.settled(s, [caller.id, hasty.id])
        await rig.available(s, 1)
        rig.accounts(s, {caller.id: Outcome.COMPLETED, hasty.id: Outcome.ABANDONED}, idle=[1])
        assert rig.hung_up(s) == {caller.id: Party.AGENT, hasty.id: Party.CALLER}
        (failed,) = s.told(f.OfferFailed)
        assert (failed.result, failed.reconstructed) == (OfferStage.CALLER_GONE, True)


async def test_ring_that_nobody_answers_ends_in_the_safety_net_which_rings_again() -> None:
    # It rings for longer than a busy machine needs to start the engine.
    async with station(DemoCentre(agents=1, acw_s=1, ring_s=12, rest_s=1), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        caller = await rig.arrive(s, 1)
        await desk.incoming(20)
        await s.fact(f.OfferRang)
        s.kill("engine")
        # The first ring ends by itself, the net begins another.
        rung = await desk.incoming(rig.NET_WITHIN_S + 14)
        await rig.marked(s, caller.id, "callcore-net")
        await s.start_engine()
        await rig.relinked(s, 2)
        # Its phone rings in the net: it is left there to be answered.
        assert rung.closed is None
        await rung.answer()
        await rig.both_hear(caller.line, rung, 1)
        await caller.line.hang_up()
        await rig.settled(s, [caller.id])
        await rig.available(s, 1)
        rig.accounts(s, {caller.id: Outcome.COMPLETED}, idle=[1])
        (failed,) = s.told(f.OfferFailed)
        assert failed.reconstructed
        found = rig.answer(s, caller.id)
        assert (found.by_net, found.offer, found.agent) == (True, None, s.centre.agent(1))
        assert not found.reconstructed, "this answer was witnessed"
