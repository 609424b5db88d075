"""Citizens who are held, or on their way to a department, when callcore is killed, Asterisk is restarted, or the
agent's phone loses its power: each has one ending, and it is the right one."""

from __future__ import annotations

import asyncio

import pytest

from callcore.domain import facts as f
from callcore.domain.stages import Outcome, Stage
from tests.chaos import rig
from tests.e2e.test_reconciliation import settled
from tests.support.consults import (
    CITY,
    Consult,
    House,
    Talk,
    hears_music,
    hears_ringing,
    house,
    number,
    put_down,
    talking,
)
from tests.support.sip import tone

pytestmark = pytest.mark.few

LONG = CITY.replace("ring_s = 10", "ring_s = 60").replace("back_s = 3", "back_s = 8")
"""A department rings through a restart of callcore; and a loaded machine may need seconds until one that puts down at
once has done so."""
BACK_S = 8.2
"""Longer than the centre's `back_s`."""


class Steps:
    """Six citizens, each at another step."""

    def __init__(self, talks: list[Talk]) -> None:
        self.held, self.rung, self.asked, self.joined, self.parted, self.back = talks
        self.consults: dict[Talk, Consult] = {}

    async def go(self) -> None:
        async def asks(t: Talk, *, answered: bool) -> None:
            self.consults[t] = await t.consult(answered=answered)

        await self.held.hold()
        await asyncio.gather(
            *(asks(t, answered=False) for t in (self.rung, self.parted)),
            *(asks(t, answered=True) for t in (self.asked, self.joined, self.back)),
        )
        await self.joined.put_through(self.consults[self.joined])
        ringing = self.consults[self.parted]
        assert (await self.parted.leg.refer("*511", ringing.asked)).status == 202
        await hears_ringing(self.parted.citizen)
        put_down(self.parted.leg, ringing.asked)
        await asyncio.sleep(BACK_S)

    async def sent_back(self) -> None:
        """The last one's department puts down as soon as the citizen is there."""
        await self.back.put_through(self.consults[self.back])
        await self.back.at(Stage.TRANSFERRED)
        self.far(self.back).far.hang_up()

    def far(self, t: Talk) -> Consult:
        return self.consults[t]


async def six(h: House) -> Steps:
    steps = Steps(list(await asyncio.gather(*(h.talk() for _ in range(6)))))
    await steps.go()
    return steps


async def outcomes(*talks: Talk) -> list[Outcome]:
    return [await t.outcome() for t in talks]


async def test_callcore_is_killed_at_each_step_and_started_again_and_each_citizen_comes_to_the_right_end() -> (
    None
):
    async with house(8, more=LONG) as h:
        s = h.s
        steps = await six(h)
        # One more citizen is held by a phone that loses its power then.
        dies = await h.talk()
        await dies.hold()
        await dies.desk.register(expires=30)
        dies.desk.dead = True

        # Killed, and started again at once; what goes on then is told as ever.
        await steps.sent_back()
        s.kill("engine")
        await s.start_engine()
        await rig.relinked(s, 2)
        again = await h.taken(steps.back.citizen)
        put_down(again.leg)
        await steps.held.leg.resume()
        await talking(steps.held.citizen, steps.held.leg)
        put_down(steps.held.leg)
        consult = steps.far(steps.rung)
        consult.far.answer()
        await talking(consult.asked, consult.far)
        await steps.rung.put_through(consult)
        await steps.asked.put_through(steps.far(steps.asked))
        steps.far(steps.parted).far.answer()
        await talking(steps.parted.citizen, steps.far(steps.parted).far)
        await asyncio.sleep(BACK_S)
        for t in (steps.rung, steps.asked, steps.joined):
            steps.far(t).far.hang_up()
        put_down(steps.parted.citizen)
        assert await outcomes(steps.back, steps.held) == [Outcome.COMPLETED] * 2
        assert await outcomes(steps.rung, steps.asked, steps.joined) == [Outcome.TRANSFERRED_ATTENDED] * 3
        assert await outcomes(steps.parted) == [Outcome.TRANSFERRED_BLIND]

        # The dead phone's registration has run out.
        await hears_music(dies.citizen)
        await s.fact(f.PhoneLeft, lambda x: x.phone == dies.desk.user, within=60)
        again = await h.taken(dies.citizen)
        put_down(again.leg)
        assert await outcomes(dies) == [Outcome.COMPLETED]
        await h.all_free()
        s.books_agree()


async def test_everything_ends_while_callcore_is_dead_and_the_books_know_it_afterwards() -> None:
    async with house(7, more=LONG) as h:
        s = h.s
        steps = await six(h)
        await steps.sent_back()
        s.kill("engine")
        put_down(steps.held.citizen)
        put_down(steps.far(steps.asked).asked)
        await steps.asked.leg.resume()
        await talking(steps.asked.citizen, steps.asked.leg)
        steps.far(steps.joined).far.hang_up()
        steps.far(steps.parted).far.hang_up()  # busy
        put_down(steps.rung.leg)
        for t in (steps.parted, steps.rung, steps.back):
            await hears_music(t.citizen)
        for t in (steps.parted, steps.rung, steps.back):
            leg = await h.rung(*h.desks, of=number(t.citizen))
            leg.sound = tone(h.hz())
            leg.answer()
            await talking(t.citizen, leg)
            leg.hang_up()
            await t.citizen.until("bye")
        put_down(steps.far(steps.rung).asked, steps.asked.leg)
        await steps.asked.citizen.until("bye")
        await h.no_channel()
        await s.start_engine()
        await rig.relinked(s, 2)
        assert await outcomes(steps.held) == [Outcome.LOST_ON_HOLD]
        assert await outcomes(steps.joined) == [Outcome.TRANSFERRED_ATTENDED]
        assert await outcomes(steps.asked, steps.parted, steps.rung, steps.back) == [Outcome.COMPLETED] * 4
        await h.all_free()
        s.books_agree()
        said = await settled(s, len(s.call_ids()))
        assert said.total("differences") == 0, said


async def test_asterisk_restarts_and_who_was_held_consulted_about_or_put_through_is_cut_off() -> None:
    async with house(4, more=LONG) as h:
        s = h.s
        held, asked, joined = await asyncio.gather(h.talk(), h.talk(), h.talk())
        await held.hold()
        await asked.consult("*512")
        await joined.put_through(await joined.consult())
        await joined.at(Stage.TRANSFERRED)
        await s.asterisk.stop()
        await s.fact(f.LinkLost)
        put_down(*(call for each in (h.people, h.city, *h.desks) for call in each.calls))
        s.asterisk = type(s.asterisk)(s.toolchain, s.pbx.etc_dir, s.pbx.run_dir, s.pbx.log_dir)
        await s.asterisk.start()
        await rig.relinked(s, 2)
        await asyncio.gather(*(desk.register() for desk in h.desks))
        assert await outcomes(held, asked, joined) == [Outcome.CUT_OFF] * 3
        await h.all_free()
        again = await h.talk()
        put_down(again.leg)
        assert await outcomes(again) == [Outcome.COMPLETED]
        assert len(h.asks()) == 2 and all(one.end is not None for one in h.asks())
        assert s.floor().problems() == [] and h.faults() == []
