"""A supervisor at the talks of others, by the own desk phone, with everything real but the people."""

from __future__ import annotations

import time
from typing import Any

import pytest

from callcore.access.accounts import Accounts
from callcore.access.rights import Role
from callcore.access.store import Store
from callcore.domain import facts as f
from callcore.domain.ids import AgentId
from callcore.domain.stages import Device, Outcome, WatchMode, Work
from callcore.runtime.commands import CommandClient
from tests.chaos.rig import console
from tests.e2e.test_reconciliation import settled
from tests.support.consults import (
    CITY,
    House,
    Talk,
    apart,
    hears,
    hears_music,
    house,
    pitch,
    put_down,
    recorded,
    talking,
)
from tests.support.people import PASSWORD
from tests.support.sip import Call, loudness, tone
from tests.support.station import until

pytestmark = pytest.mark.timeout(300)

AGENT, SUPERVISOR = AgentId("1001"), AgentId("1002")
FIRST, SECOND = 1, 2


class Office:
    """An agent at the first phone, and a supervisor who is signed in, and away, at the second."""

    def __init__(self, h: House) -> None:
        self.h = h
        accounts = Accounts(Store(h.s.settings.home / "access"), time.time)
        accounts.use_link(accounts.add("sup", "係長", Role.SUPERVISOR, ("demo",), SUPERVISOR, "x"), PASSWORD)

    async def asks(self, command: str, **fields: Any) -> str | None:
        """None: done; else why not."""
        engine = CommandClient(self.h.s.settings.engine_socket, by="user:sup")
        try:
            told = await engine.ask(command, **fields)
        finally:
            await engine.close()
        return None if told["done"] else told["why"]

    async def at_desk(self) -> Call:
        """The supervisor's phone rings, and is picked up."""
        call = await self.h.rung(self.h.desks[1])
        call.sound = tone(self.h.hz())
        before = len(self.h.s.told(f.WatchHeard))
        call.answer()
        await until(lambda: len(self.h.s.told(f.WatchHeard)) > before, what="the supervisor is at the talk")
        return call

    async def watch(self, how: WatchMode) -> Call:
        assert await self.asks("watch", agent=AGENT, how=how.value) is None
        return await self.at_desk()

    async def away(self) -> None:
        assert await self.asks("agent_pause", agent=SUPERVISOR, reason="監督") is None

    async def free(self) -> None:
        await until(lambda: not self.h.s.floor().watches, what="nobody is at a talk of others")
        await self.h.s.device(SECOND, Device.FREE)


def sounds(*there: Call, but: tuple[Call, ...] = ()) -> Any:
    """Each of these is heard, and none of those."""
    return lambda sound: (
        all(loudness(sound, pitch(call)) > 0.1 for call in there)
        and all(loudness(sound, pitch(call)) < 0.02 for call in but)
    )


async def all_hear(talk: Talk, sup: Call, mode: WatchMode) -> None:
    agent, citizen = talk.leg, talk.citizen
    await hears(sup, sounds(agent, citizen, but=(sup,)), f"both, {mode}")
    to_agent = (citizen,) if mode is WatchMode.LISTEN else (citizen, sup)
    await hears(agent, sounds(*to_agent, but=() if len(to_agent) > 1 else (sup,)), f"agent, {mode}")
    to_citizen = (agent, sup) if mode is WatchMode.BARGE else (agent,)
    await hears(citizen, sounds(*to_citizen, but=() if len(to_citizen) > 1 else (sup,)), f"citizen, {mode}")


async def is_at_a_talk(office: Office) -> None:
    """Listens, whispers, barges in; gets no caller meanwhile; and callcore is killed while the supervisor listens."""
    h = office.h
    assert await office.asks("watch", agent=AGENT, how="listen") is not None
    talk = await h.talk()
    sup = await office.watch(WatchMode.LISTEN)
    await all_hear(talk, sup, WatchMode.LISTEN)
    said = {}
    for mode in (WatchMode.WHISPER, WatchMode.BARGE, WatchMode.LISTEN):
        if mode is not WatchMode.LISTEN:
            sup.sound = tone(
                h.hz()
            )  # another one: what was whispered, and what the citizen heard, are told apart
        assert await office.asks("watch", agent=AGENT, how=mode.value) is None
        await all_hear(talk, sup, mode)
        await talk.citizen.hears(1)
        said[mode] = pitch(sup)
    assert await office.asks("agent_ready", agent=SUPERVISOR) is None
    second = await h.dials()
    await until(lambda: len(h.s.floor().lines) == 1, what="a caller waits, for the supervisor is at a talk")
    assert await office.asks("watch_stop") is None
    await sup.until("bye")
    other = await h.taken(second)
    assert other.agent == SUPERVISOR
    put_down(other.citizen)
    await office.free()
    await office.away()
    third = await office.watch(WatchMode.LISTEN)
    h.s.kill("engine")
    await hears(third, sounds(talk.leg, talk.citizen), "both, without callcore")
    put_down(talk.citizen)
    await third.until("bye")
    await h.s.start_engine()
    assert await talk.outcome() is Outcome.COMPLETED
    await office.free()
    await h.no_channel()
    record = h.s.books().records[talk.id]
    assert (record.agent, record.second, record.by_net, record.transferred_at) == (AGENT, False, False, None)
    path, whispered, barged = await h.s.recording(talk.id), said[WatchMode.WHISPER], said[WatchMode.BARGE]
    pitches = [pitch(talk.citizen), pitch(talk.leg), whispered, barged, pitch(third)]
    one, other_side, unheard, heard_too, listened = recorded(path, *pitches)
    assert min(one, other_side) > 3, "citizen and agent"
    assert unheard == listened == 0, "not what the citizen did not hear"
    assert heard_too >= 1, "who barged in"
    left, right, unheard_there, third_voice, listened_there = apart(path, *pitches)
    assert left[0] > 3 and left[1] == 0, "the citizen on the left"
    assert right[1] > 3 and right[0] == 0, "the agent on the right"
    assert third_voice[1] >= 1 and third_voice[0] == 0, "who barged in, too"
    assert unheard_there == listened_there == (0, 0)


async def barges_in(office: Office) -> None:
    """Where Asterisk lacks what records it; puts down, and the talk goes on; comes again, through a hold; and callcore
    is killed meanwhile."""
    h = office.h
    await h.s.available(FIRST)
    talk = await h.talk()
    await console(h.s, "module unload app_broadcast.so")
    unrecorded = await office.watch(WatchMode.BARGE)
    await all_hear(talk, unrecorded, WatchMode.BARGE)
    put_down(unrecorded)
    await office.free()
    await console(h.s, "module load app_broadcast.so")
    first = await office.watch(WatchMode.BARGE)
    await all_hear(talk, first, WatchMode.BARGE)
    put_down(first)
    await talking(talk.citizen, talk.leg)
    await office.free()
    again = await office.watch(WatchMode.BARGE)
    await all_hear(talk, again, WatchMode.BARGE)
    await talk.leg.hold()
    await hears_music(talk.citizen)
    await talk.leg.resume()
    await all_hear(talk, again, WatchMode.BARGE)
    before = pitch(again)
    h.s.kill("engine")
    again.sound = tone(h.hz())
    await all_hear(talk, again, WatchMode.BARGE)
    await talk.citizen.hears(1)
    put_down(talk.citizen)
    await again.until("bye")
    await h.s.start_engine()
    assert await talk.outcome() is Outcome.COMPLETED
    await office.free()
    await h.no_channel()
    voices = [pitch(first), before, pitch(again)]
    path = await h.s.recording(talk.id)
    assert min(recorded(path, *voices)) > 0.3 and recorded(path, pitch(unrecorded)) == [0]
    for left, right in apart(path, *voices):
        assert left == 0 and right > 0.3, "all that the citizen heard, on the right"


async def barges_in_and_falls_silent(office: Office) -> None:
    """By a phone that sends nothing any more: the end of the talk is its end, too."""
    h = office.h
    await h.s.available(FIRST)
    talk = await h.talk()
    sup = await office.watch(WatchMode.BARGE)
    await all_hear(talk, sup, WatchMode.BARGE)
    sup.speaks = False
    await talking(talk.citizen, talk.leg)
    put_down(talk.citizen)
    await sup.until("bye")
    assert await talk.outcome() is Outcome.COMPLETED
    await office.free()


async def takes_over(office: Office) -> None:
    """At once, and after having listened."""
    h = office.h
    for first in (WatchMode.TAKE, WatchMode.LISTEN):
        await h.s.available(FIRST)
        talk = await h.talk()
        sup = await office.watch(first)
        if first is not WatchMode.TAKE:
            await all_hear(talk, sup, first)
            assert await office.asks("watch", agent=AGENT, how="take") is None
        await talking(talk.citizen, sup)
        await talk.leg.until("bye")
        floor = h.s.floor()
        assert floor.calls[talk.id].talking_with == SUPERVISOR and not floor.watches
        assert floor.agents[AGENT].work in (Work.WRAPPING_UP, Work.IDLE)
        await sup.hears(2)
        put_down(sup)
        await talk.citizen.until("bye")
        assert await talk.outcome() is Outcome.COMPLETED
        answered = [x for x in h.s.told(f.CallAnswered) if x.call == talk.id]
        ended = [x for x in h.s.told(f.TalkEnded) if x.call == talk.id]
        assert [x.agent for x in answered] == [x.agent for x in ended] == [AGENT, SUPERVISOR]
        assert [x.by_net for x in answered] == [False, False]
        assert h.s.books().records[talk.id].second, "二次対応"
        assert min(await talk.recorded(talk.citizen, talk.leg, sup)) > 0.5, (
            "one recording, through the take-over"
        )
        await office.free()


async def moves_callers(office: Office) -> None:
    """Who came second is served first, and each is one arrival."""
    h = office.h
    await h.s.available(FIRST)
    assert await office.asks("agent_pause", agent=AGENT, reason="監督") is None
    before = len(h.s.call_ids())
    waiting = []
    for n in (1, 2):
        waiting.append(await h.dials())
        await until(lambda n=n: len(h.s.told(f.CallArrived)) == before + n, what="arrived")  # type: ignore[misc]
        name = h.s.call_ids()[-1]
        await h.s.fact(f.VisitBegan, lambda x, name=name: x.call == name)  # type: ignore[misc]
    first, second = h.s.call_ids()[before:]
    assert await office.asks("caller_up", call=first) is not None, "is first already"
    assert await office.asks("caller_up", call=second) is None
    assert await office.asks("agent_ready", agent=AGENT) is None
    for name, citizen in ((second, waiting[1]), (first, waiting[0])):
        talk = await h.taken(citizen)
        assert talk.id == name
        put_down(talk.citizen)
    assert len(h.s.call_ids()) == before + 2


async def test_a_supervisor_at_the_own_desk_phone_and_the_figures_and_recordings_are_right() -> None:
    async with house(more=CITY + '\n[recording]\nchannels = "stereo"\n') as h:
        office = Office(h)
        await office.away()
        await is_at_a_talk(office)
        await barges_in(office)
        await barges_in_and_falls_silent(office)
        await takes_over(office)
        await moves_callers(office)
        await until(lambda: not h.s.floor().calls, what="all calls are over")
        h.s.books_agree()
        assert (await settled(h.s, 8)).total("differences") == 0
