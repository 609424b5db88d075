"""Somebody sets the clock of the machine under calls: an hour ahead, or an hour back.

Asterisk and callcore live by a clock that the test sets; the phones do not, as in real life. Asterisk itself ends every
ring and every wait by the wall clock: on a step ahead they are over at once, and all who wait fall into the net.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, PhoneId
from callcore.domain.stages import Outcome, Work
from tests.chaos import rig
from tests.support.clock import Clock
from tests.support.station import Station, station, until

HOUR_S = 3600
BACK_WITHIN_S = 5.0
"""A look is taken at once and judged a second or two later; then one redirect after the other."""


@asynccontextmanager
async def own_clock(folder: Path, centre: DemoCentre) -> AsyncIterator[tuple[Station, Clock]]:
    clock = Clock(folder / "offset")
    async with AsyncExitStack() as stack:
        with clock.faked():
            s = await stack.enter_async_context(station(centre))
        yield s, clock


@pytest.mark.few
@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S], ids=["ahead", "back"])
async def test_clock_set_under_calls_that_talk_wait_and_rest_costs_none_of_them(
    tmp_path: Path, step_s: int
) -> None:
    """One agent talks; two callers wait; then the calls go on in their order, and each wait is as long as it was."""
    async with own_clock(tmp_path, DemoCentre(agents=1, acw_s=2)) as (s, clock):
        (desk,) = await rig.staff(s, 1)
        first, second, third = await rig.queue_up(s, 1, 2, 3)
        talk = await rig.take(desk)
        await rig.both_hear(first.line, talk, 1)
        await s.fact(f.CallAnswered)
        waiting = {second.id, third.id}
        began = {c: time.monotonic() for c in waiting}
        before = {c: s.floor().calls[c].visit for c in waiting}

        clock.set(step_s)
        stepped = await s.fact(f.ClockStepped)
        assert abs(stepped.by - step_s * SECOND) < SECOND / 10
        await rig.beats(s)
        set_at = time.monotonic()
        if step_s > 0:  # every wait's own limit was over at once
            for name in waiting:
                await rig.marked(s, name, "callcore-net", 5)
                await rig.taken_back(s, name, BACK_WITHIN_S)
            assert time.monotonic() - set_at < BACK_WITHIN_S + 2
        await until(lambda: all(not s.floor().calls[c].in_net for c in waiting), BACK_WITHIN_S)
        for name in waiting:
            visit, old = s.floor().calls[name].visit, before[name]
            assert visit is not None and old is not None
            assert visit.since == old.since + stepped.by, "the place in the line is the same"
        await rig.both_hear(first.line, talk, 1)
        assert first.line.closed is None

        await talk.hang_up()
        if step_s > 0:  # the phone's registration is over by the new clock: it comes back with its next one
            phone = PhoneId(s.centre.phone(1))
            await desk.register(phone, s.secrets.phones[phone], f"{s.net}.1:{s.settings.sip_port}")
        for caller in (second, third):
            talk = await rig.take(desk)
            waited = time.monotonic() - began[caller.id]
            await rig.both_hear(caller.line, talk, 1)
            await caller.line.hang_up()
            record = rig.record(s, caller.id)
            wait = record.waited(stepped.at)
            assert wait is not None
            assert -3 < wait / SECOND - waited < 10, "as long as it was, greeting to answer"
        calls = [first.id, second.id, third.id]
        await until(lambda: len(s.told(f.CallEnded)) == 3)
        await rig.available(s, 1)
        assert {x.call: x.outcome for x in s.told(f.CallEnded)} == dict.fromkeys(calls, Outcome.COMPLETED)
        assert [x.call for x in s.told(f.CallAnswered)] == calls, "in the order of waiting"
        assert not any(rig.record(s, c).by_net for c in calls)
        assert s.floor().problems() == []
        figures = s.figures()
        assert figures.wait_max_s is not None and figures.wait_max_s < 120
        talked = rig.record(s, first.id).talk / SECOND
        assert 0 < talked < 120
        told = (await rig.status(s))["gauges"]
        assert isinstance(told, dict)
        assert (told["engine_clock_steps"], told["engine_faults"]) == (1, 0)
        assert len(s.told(f.RunStarted)) == 1, "the same engine went on"
        assert s.told(f.LinkLost) == []


async def test_clock_set_back_while_a_phone_rings_and_an_agent_wraps_up_ends_both_in_time(
    tmp_path: Path,
) -> None:
    """By the wall clock Asterisk would ring for another hour, and the after-call work would last as long."""
    async with own_clock(tmp_path, DemoCentre(agents=2, acw_s=15, ring_s=8)) as (s, clock):
        one, two = await s.staff(1, 2)
        first = await rig.arrive(s, 1)
        talk = await rig.take(one)
        await s.fact(f.CallAnswered)
        second = await rig.arrive(s, 2)
        await two.incoming(20)
        await s.fact(f.OfferRang, lambda x: x.call == second.id)
        await talk.hang_up()
        await rig.works(s, 1, Work.WRAPPING_UP)
        wraps = time.monotonic()
        clock.set(-HOUR_S)
        await s.fact(f.ClockStepped)
        failed = await s.fact(f.OfferFailed, lambda x: x.call == second.id)
        assert failed.agent == s.centre.agent(2)
        # The phone of the second agent rings once more, and in vain; then the first one's after-call work is over.
        talk = await rig.take(one, 40)
        assert 10 < time.monotonic() - wraps < 40
        await rig.both_hear(second.line, talk, 1)
        await second.line.hang_up()
        await until(lambda: len(s.told(f.CallEnded)) == 2)
        assert {x.call: x.outcome for x in s.told(f.CallEnded)} == dict.fromkeys(
            [first.id, second.id], Outcome.COMPLETED
        )
        assert s.floor().problems() == []
        s.figures()


@pytest.mark.parametrize("puts_down", ["before the kill", "after it"])
async def test_clock_set_back_while_no_engine_lives_keeps_no_agent_from_the_next_call(
    tmp_path: Path, puts_down: str
) -> None:
    """By the journal's instants the after-call work would last for another hour, and so by Asterisk's own of a talk
    that ended when no engine lived: it would be known from CEL, with an end in an hour."""
    async with own_clock(tmp_path, DemoCentre(agents=1, acw_s=5)) as (s, clock):
        (desk,) = await rig.staff(s, 1)
        first = await rig.arrive(s, 1)
        talk = await rig.take(desk)
        await s.fact(f.CallAnswered)
        if puts_down == "after it":
            await rig.both_hear(first.line, talk, 1)
            s.kill("engine")
        await talk.hang_up()
        await first.line.wait_closed(10)
        if puts_down == "before the kill":
            await s.ended(1)
            await rig.works(s, 1, Work.WRAPPING_UP)
            s.kill("engine")
        clock.set(-HOUR_S)
        with clock.faked():
            await s.start_engine()
        stepped = await s.fact(f.ClockStepped)
        assert -HOUR_S * SECOND <= stepped.by < -0.9 * HOUR_S * SECOND
        await rig.available(s, 1)
        again = await rig.dial_again(s, first.phone)
        talk = await rig.take(desk)
        await rig.both_hear(again.line, talk, 1)
        await again.line.hang_up()
        await s.ended(2)
        assert {x.outcome for x in s.told(f.CallEnded)} == {Outcome.COMPLETED}
        assert [x.by_net for x in s.told(f.CallAnswered)] == [False, False], "no talk is found a second time"
        assert len(s.told(f.TalkEnded)) == 2
        now = stepped.at + 120 * SECOND
        assert all(x.at < now for x in s.facts() if x.reconstructed), "by the new clock"
        assert s.floor().problems() == []
