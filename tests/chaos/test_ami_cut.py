"""The link between engine and Asterisk is cut, or goes silent, under calls in every state."""

from __future__ import annotations

import time

import pytest

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.stages import Outcome, Party, Work
from tests.chaos import rig
from tests.support.prompts import brief_welcome
from tests.support.station import station, until

FOUND_WITHIN_S = 4.0
"""A ping each second and 3 s for its answer."""


@pytest.mark.parametrize("silent", [False, True], ids=["reset", "half-open"])
async def test_link_lost_while_callers_wait_ring_and_talk_costs_no_call(silent: bool) -> None:
    """Two agents: one talks, one rings, and a third caller comes while the link is away."""
    async with (
        station(DemoCentre(agents=2, acw_s=2), engine=False, prompts=brief_welcome) as s,
        rig.through_proxy(s) as proxy,
    ):
        await s.start_engine()
        one, two = await rig.staff(s, 1, 2)
        first, second = await rig.queue_up(s, 1, 2)
        rung = [await one.incoming(20), await two.incoming(20)]
        await s.fact(f.OfferRang, lambda x: x.call == second.id)
        # Who of the two got the first caller is the longest idle; what follows is the same either way.
        offered = {x.call: x for x in s.told(f.OfferMade)}
        desk = {s.centre.phone(1): (1, rung[0]), s.centre.phone(2): (2, rung[1])}
        n1, talk1 = desk[offered[first.id].phone]
        n2, talk2 = desk[offered[second.id].phone]
        await talk1.answer()
        await rig.both_hear(first.line, talk1, n1)
        await s.fact(f.CallAnswered)

        proxy.open = False
        cut = time.time()
        if silent:
            proxy.half_open()
        else:
            proxy.cut()
        await talk2.answer()  # the ring is answered, the talk ends and somebody calls: all unwatched
        await rig.both_hear(second.line, talk2, n2)
        await talk1.hang_up()
        await rig.gone(s, first.id)
        third = await rig.arrive(s, 3)
        lost = await s.fact(f.LinkLost)
        noticed = time.time() - cut
        assert not silent or noticed > 1
        assert lost.at / SECOND < cut + 1.5, "nobody watched since the last that was heard"
        first_out = rig.talked(s, first.id)[1]
        proxy.open = True
        await rig.relinked(s, 2)
        await rig.works(s, n2, Work.TALKING)

        answered = rig.answer(s, second.id)
        assert (answered.offer, answered.reconstructed) == (offered[second.id].offer, True)
        await rig.both_hear(second.line, talk2, n2)
        await s.ended(1)
        over = rig.record(s, first.id)
        assert (over.outcome, over.hung_up_by, over.reconstructed) == (
            Outcome.COMPLETED,
            Party.AGENT,
            True,
        )
        assert over.ended_at is not None
        assert abs(over.ended_at / SECOND - first_out) < 0.5

        # The third caller stands in the line, or fell into the net and is back; the free agent gets the call.
        free = one if n1 == 1 else two
        talk3 = await rig.take(free)
        await rig.both_hear(third.line, talk3, n1)
        await talk2.hang_up()
        await third.line.hang_up()
        calls = [first.id, second.id, third.id]
        await rig.settled(s, calls)
        await rig.available(s, n1)
        await rig.available(s, n2)
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1, 2])
        assert rig.hung_up(s) == {first.id: Party.AGENT, second.id: Party.AGENT, third.id: Party.CALLER}


async def test_silent_link_is_found_out_within_seconds() -> None:
    async with station(engine=False) as s, rig.through_proxy(s) as proxy:
        await s.start_engine()
        began = time.monotonic()
        proxy.half_open()
        await until(lambda: s.told(f.LinkLost), 15, "the loss is noticed")
        assert time.monotonic() - began < FOUND_WITHIN_S + 1, "and a busy machine"
        await rig.relinked(s, 2)
        await rig.beats(s)
