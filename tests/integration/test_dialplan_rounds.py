"""Several phones ring for one caller, ringings are taken back and waits end: what the engine's hands do on a real
Asterisk with real SIP, and what its ears hear of it."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from callcore.ami import cel, snapshot
from callcore.ami.link import Link, LinkUp, Settings, SystemClock
from callcore.ami.perform import Performer
from callcore.ami.translate import Told, translate
from callcore.ami.wire import Event
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.centre import Announcement, Cause, Configuration, Overflow, Queue
from callcore.domain.ids import AgentId, CallId, ChannelId, Instant, NodeId, OfferId, PhoneId, QueueId
from callcore.domain.stages import OfferStage, Outcome, Treatment
from tests.support.centre import CLOSED_HZ, MUSIC_HZ, OVERFLOW_HZ, small_centre
from tests.support.evidence import evidence
from tests.support.floor import AGENT_HZ, CALLER_HZ, Floor, running_floor
from tests.support.sip import RATE, Call, Habit, comes_true, loudness, tone

T = TypeVar("T", bound=i.Input)
SECOND_QUEUE = QueueId("oita-second")
BUSY_HZ = 400
P1, P2, P3 = (PhoneId(f"oita-p{n}") for n in (1, 2, 3))


def centre() -> Configuration:
    """Two queues; whoever finds one waiting in the first is announced away."""
    configuration = small_centre()
    oita, *others = configuration.centres
    rule = Overflow(Cause.WAITING, Treatment.ANNOUNCE, 1)
    oita = replace(
        oita,
        queues=(replace(oita.queues[0], overflow=(rule,)), Queue(SECOND_QUEUE, "第二")),
        announcements=(*oita.announcements, Announcement("overflow", "ja", "overflow", "oita/ja/overflow")),
    )
    return replace(configuration, centres=(oita, *others))


@dataclass(slots=True)
class Hands:
    """The engine's adapters on a floor, without an engine: effects in, inputs out."""

    floor: Floor
    link: Link
    performer: Performer
    heard: list[Told] = field(default_factory=list)
    offers: int = 0

    def told(self, kind: type[T], call: str | None = None) -> list[T]:
        found = [x for x in self.heard if isinstance(x, kind)]
        return [x for x in found if call is None or getattr(x, "call", None) == call]

    async def hears(self, kind: type[T], call: str | None = None, count: int = 1) -> list[T]:
        await comes_true(lambda: len(self.told(kind, call)) >= count, f"{count} {kind.__name__} of {call}")
        return self.told(kind, call)

    async def caller(self) -> tuple[Call, CallId, str]:
        """A caller on the waiting line: the phone's side, the call's id and the channel's name."""
        call, channel = await self.floor.waiting_caller()
        [*_, arrived] = [x for x in self.told(i.ChannelArrived) if x.name == channel]
        return call, CallId(arrived.channel), channel

    async def ring(self, name: CallId, channel: str, *phones: PhoneId, ring_s: int = 15) -> OfferId:
        self.offers += 1
        offer = OfferId(f"1.{self.offers}")
        assert await self.performer.perform(e.OfferCall(offer, name, channel, phones, ring_s)) is None
        return offer

    async def ring_when_free(self, name: CallId, channel: str, phone: PhoneId) -> OfferId:
        """Let one phone ring, again if Asterisk has not seen yet that its last call is over."""
        while True:
            offer = await self.ring(name, channel, phone)

            def told(offer: OfferId = offer) -> tuple[bool, bool]:
                began, returned = self.told(i.DialBegan, name), self.told(i.OfferReturned, name)
                return any(x.offer == offer for x in began), any(x.offer == offer for x in returned)

            await comes_true(lambda: True in told(), f"{phone} is dialled, or is not free")
            if told()[0]:
                return offer
            await self.floor.ami.waiting(channel)

    async def legs(self, name: CallId, offer: OfferId, *phones: PhoneId) -> list[tuple[Call, ChannelId]]:
        """The ringing phones of a round: the phone's side and the leg's unique id."""
        found: list[tuple[Call, ChannelId]] = []
        for phone in phones:

            def began(phone: PhoneId = phone) -> list[i.DialBegan]:
                return [x for x in self.told(i.DialBegan, name) if (x.phone, x.offer) == (phone, offer)]

            desk = next(d for d in self.floor.desks if d.user == phone)
            await comes_true(lambda: began() != [], f"{phone} is dialled")
            await comes_true(
                lambda: any(c.incoming and c.state == "ringing" for c in desk.calls),  # noqa: B023
                f"{phone} rings",
            )
            found.append((next(c for c in desk.calls if c.state == "ringing"), began()[0].channel))
        return found

    async def read(self) -> None:
        while True:
            item = await self.link.next_event()
            if isinstance(item, Event):
                told = translate(item, NodeId("test1"))
                if told is not None:
                    self.heard.append(told)


@asynccontextmanager
async def hands(folder: Path, phones: int = 3, **changes: object) -> AsyncIterator[Hands]:
    async with running_floor(folder, centre(), phones, **changes) as floor, floor.ami.beating():
        clock = SystemClock()
        host, port = floor.pbx.ami
        link = Link(Settings(host, port, "callcore", floor.pbx.settings.ami_secret), clock=clock)

        async def entitled() -> bool:
            return True

        performer = Performer(link, entitled=entitled, now=clock.wall, sleep=asyncio.sleep)
        made = Hands(floor, link, performer)
        await link.start()
        try:
            while not isinstance(await link.next_event(), LinkUp):
                pass
            reader = asyncio.create_task(made.read())
            try:
                yield made
            finally:
                reader.cancel()
        finally:
            await link.close()


async def hears_only(call: Call, hertz: float, seconds: float = 0.4) -> None:
    """Wait until the newest `seconds` of what `call` hears are that tone and nothing else."""

    def judged() -> bool:
        part = bytes(call.heard[-int(seconds * RATE) :])
        return len(part) >= seconds * RATE and loudness(part, hertz) > 0.9

    await comes_true(judged, f"{call.agent.user} hears {hertz} Hz")


def ends(h: Hands, name: CallId, offer: OfferId) -> dict[PhoneId | None, OfferStage | None]:
    """What was told of the end of each phone's ringing in a round."""
    return {x.phone: x.result for x in h.told(i.DialEnded, name) if x.offer == offer}


async def all_idle(h: Hands) -> None:
    for desk in h.floor.desks:
        await h.floor.ami.until(
            lambda: [
                x
                for x in [
                    [
                        x
                        for x in h.floor.ami.events
                        if x["Event"] == "DeviceStateChange" and x["Device"] == f"PJSIP/{desk.user}"  # noqa: B023
                    ][-1]
                ]
                if x["State"] == "NOT_INUSE"
            ],
            f"{desk.user} is idle",
        )


async def test_several_phones_ring_one_answers_and_the_others_stop_without_a_missed_call(
    tmp_path: Path,
) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        offer = await h.ring(name, channel, P1, P2, P3)
        first, second, third = await h.legs(name, offer, P1, P2, P3)
        second[0].sound = tone(AGENT_HZ)
        second[0].answer()
        await hears_only(call, AGENT_HZ)
        await hears_only(second[0], CALLER_HZ)
        assert (first[0].state, third[0].state) == ("cancelled", "cancelled")
        for desk in (h.floor.desks[0], h.floor.desks[2]):
            [cancel] = [m for m in desk.messages if m.method == "CANCEL"]
            assert "Call completed elsewhere" in cancel.text
        await h.hears(i.DialEnded, name, 3)
        assert ends(h, name, offer) == {P1: OfferStage.CALLER_GONE, P2: None, P3: OfferStage.CALLER_GONE}

        second[0].hang_up()
        await call.until("bye")
        ended = await h.floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert (ended["Offer"], ended["Result"]) == (offer, "ANSWER")


async def test_two_phones_picked_up_in_the_same_instant_give_the_caller_to_one_of_them(
    tmp_path: Path,
) -> None:
    async with hands(tmp_path) as h:
        winners: Counter[int] = Counter()
        for _ in range(8):
            call, name, channel = await h.caller()
            offer = await h.ring(name, channel, P1, P2)
            legs = [leg for leg, _ in await h.legs(name, offer, P1, P2)]
            for n, leg in enumerate(legs):
                leg.sound = tone(AGENT_HZ + 200 * n)
                leg.answer()
            await comes_true(lambda: sorted(leg.state for leg in legs) == ["bye", "up"], "one winner")  # noqa: B023
            [winner] = [n for n, leg in enumerate(legs) if leg.state == "up"]
            await hears_only(call, AGENT_HZ + 200 * winner)
            # The loser had never been let in: two channels in the talk, and two only.
            assert sum(isinstance(x, i.BridgeEntered) for x in h.heard) == 2 * (winners.total() + 1)
            assert sorted(ends(h, name, offer).values(), key=str) == [None, OfferStage.CALLER_GONE]
            winners[winner] += 1
            legs[winner].hang_up()
            await call.until("bye")
            await all_idle(h)


async def test_only_free_phones_of_a_round_are_rung_and_the_list_of_another_round_rings_nobody(
    tmp_path: Path,
) -> None:
    async with hands(tmp_path, phones=2) as h:
        _, talking, busy_channel = await h.caller()
        offer = await h.ring(talking, busy_channel, P1)
        [(leg, _)] = await h.legs(talking, offer, P1)
        leg.answer()
        await h.hears(i.BridgeEntered, count=2)

        call, name, channel = await h.caller()
        offer = await h.ring(name, channel, P1, P2, P3, ring_s=1)
        await h.legs(name, offer, P2)
        [returned] = await h.hears(i.OfferReturned, name)
        assert (returned.offer, returned.result) == (offer, OfferStage.NO_ANSWER)
        assert ends(h, name, offer) == {P2: OfferStage.NO_ANSWER}
        assert len(h.floor.desks[0].calls) == 1

        answer = await h.floor.ami.redirect(channel, "callcore-offer", "9.9~*~15")
        assert answer["Response"] == "Success"
        await comes_true(lambda: len(h.told(i.OfferReturned, name)) == 2, "the stale round came back")
        assert h.told(i.OfferReturned, name)[1].result is OfferStage.WITHDRAWN
        await h.floor.ami.waiting(channel)
        assert len(h.told(i.DialBegan, name)) == 1

        offer = await h.ring(name, channel, P1, P3)
        await comes_true(lambda: len(h.told(i.OfferReturned, name)) == 3, "nobody was free")
        assert h.told(i.OfferReturned, name)[2].result in (OfferStage.BUSY, OfferStage.UNREACHABLE)
        await hears_only(call, MUSIC_HZ)


async def test_a_round_of_many_long_names_is_rung_whole(tmp_path: Path) -> None:
    """An extension would be cut off after 79 characters."""
    async with hands(tmp_path) as h:
        _, name, channel = await h.caller()
        absent = [PhoneId(f"oita-a-very-long-name-of-a-seat-{n}") for n in range(12)]
        offer = await h.ring(name, channel, *absent, P3)
        await h.legs(name, offer, P3)
        assert len(h.told(i.DialBegan, name)) == 1


async def test_a_refusal_leaves_the_others_ringing_and_a_winner_who_is_lost_gives_the_caller_back(
    tmp_path: Path,
) -> None:
    async with hands(tmp_path, phone_rtp_timeout_s=1) as h:
        h.floor.desks[0].habit = Habit.BUSY
        call, name, channel = await h.caller()
        offer = await h.ring(name, channel, P1, P2, P3)
        second, third = await h.legs(name, offer, P2, P3)
        await comes_true(lambda: ends(h, name, offer) == {P1: OfferStage.REJECTED}, "the refusal")
        assert (second[0].state, third[0].state) == ("ringing", "ringing")
        third[0].answer()
        await h.hears(i.BridgeEntered, count=2)
        third[0].vanish()
        ended = await h.floor.ami.event("CallcoreOfferEnded", Channel=channel)
        assert ended["Result"] == "LOST"
        await h.floor.ami.waiting(channel)
        await hears_only(call, MUSIC_HZ)


async def test_a_ringing_is_taken_back_by_its_own_leg_and_the_caller_keeps_the_place(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        entered = await h.floor.variable(channel, "CALLCORE_ENTERED")
        offer = await h.ring(name, channel, P1, P2)
        first, second = await h.legs(name, offer, P1, P2)
        assert await h.performer.perform(e.WithdrawOffer(offer, first[1])) is None
        await first[0].until("cancelled")
        await comes_true(lambda: P1 in ends(h, name, offer), "the end of the first ringing")
        assert second[0].state == "ringing"
        await h.performer.perform(e.WithdrawOffer(offer, second[1]))
        await second[0].until("cancelled")
        await h.floor.ami.waiting(channel)
        assert await h.floor.variable(channel, "CALLCORE_ENTERED") == entered
        await hears_only(call, MUSIC_HZ)
        # What the dialplan calls it then; the core knows that it was taken back.
        assert set(ends(h, name, offer).values()) == {OfferStage.NO_ANSWER}

        again = await h.ring(name, channel, P1)
        [(leg, ident)] = await h.legs(name, again, P1)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await hears_only(call, AGENT_HZ)
        await h.performer.perform(e.WithdrawOffer(again, ident))
        await call.hears(0.5)
        await hears_only(call, AGENT_HZ)
        assert h.performer.refused == 0


async def withdrawn_at_the_answer(h: Hands, tries: int, seed: int) -> Counter[str]:
    """Take a ringing back 0 to 50 ms around the phone's 200 OK, `tries` times; what became of the caller."""
    chance = random.Random(seed)
    became: Counter[str] = Counter()
    caller: tuple[Call, CallId, str] | None = None
    for _ in range(tries):
        call, name, channel = caller or await h.caller()
        entered = await h.floor.variable(channel, "CALLCORE_ENTERED")
        held = len(h.told(i.CallerHeld, name))
        joined = len(h.told(i.BridgeEntered))
        offer = await h.ring_when_free(name, channel, P1)
        [(leg, ident)] = await h.legs(name, offer, P1)
        answer_at, withdraw_at = chance.choice([(0, chance.random()), (chance.random(), 0), (0, 0)])

        async def answer(leg: Call = leg, after: float = answer_at) -> None:
            await asyncio.sleep(after * 0.05)
            if not leg.over:
                leg.answer()

        async def withdraw(
            ident: ChannelId = ident, offer: OfferId = offer, after: float = withdraw_at
        ) -> None:
            await asyncio.sleep(after * 0.05)
            await h.performer.perform(e.WithdrawOffer(offer, ident))

        jobs = [answer(), withdraw()]
        chance.shuffle(jobs)
        await asyncio.gather(*jobs)

        def settled(name: CallId = name, held: int = held, leg: Call = leg, joined: int = joined) -> str:
            if len(h.told(i.CallerHeld, name)) > held and leg.over:
                return "back, cut off" if len(h.told(i.BridgeEntered)) >= joined + 2 else "back"
            talks = leg.state == "up" and len(h.told(i.BridgeEntered)) >= joined + 2
            return "talk" if talks else ""

        await comes_true(lambda: settled() != "", "the race is over")
        await call.hears(0.04)
        how = settled()
        became[how] += 1
        assert call.state == "up", (how, answer_at, withdraw_at)
        if how == "talk":
            await call.hears(0.1)
            assert leg.state == "up"
            leg.hang_up()
            await call.until("bye")
            caller = None
        else:
            await h.floor.ami.waiting(channel)
            assert await h.floor.variable(channel, "CALLCORE_ENTERED") == entered
            caller = call, name, channel
        await all_idle(h)
    return became


async def test_a_ringing_taken_back_in_the_instant_of_the_answer_never_loses_the_caller(
    tmp_path: Path,
) -> None:
    async with hands(tmp_path, phones=1) as h:
        became = await withdrawn_at_the_answer(h, 30, 20261120)
        assert became.total() == 30
        assert became["talk"] > 0
        assert became["back"] + became["back, cut off"] > 0


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_of_many_ringings_taken_back_in_the_instant_of_the_answer_none_loses_the_caller(
    tmp_path: Path,
) -> None:
    tries = int(os.environ.get("CALLCORE_SOAK_N", "500"))
    async with hands(tmp_path, phones=1) as h:
        became = await withdrawn_at_the_answer(h, tries, int(os.environ.get("CALLCORE_SEED", "314159")))
        evidence("A withdrawal crossing the answer", {"tries": tries, **dict(became), "callers lost": 0})


async def test_a_wait_is_ended_with_the_centres_announcement(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        await hears_only(call, MUSIC_HZ)
        ended = e.EndWait(name, channel, Outcome.OVERFLOW_FULL, Treatment.ANNOUNCE)
        assert await h.performer.perform(ended) is None
        await hears_only(call, OVERFLOW_HZ)
        await call.until("bye")
        [told] = await h.hears(i.CallerOverflowed, name)
        assert told.outcome is Outcome.OVERFLOW_FULL
        [gone] = await h.hears(i.ChannelGone)
        assert gone.channel == ChannelId(name)

        def traced() -> list[i.CallTraced]:
            lines = cel.read_since(h.floor.pbx.settings.log_dir / "cel-custom/callcore.csv", Instant(0))
            return [trace for trace in cel.traces(lines) if trace.ended is not None]

        await comes_true(lambda: traced() != [], "CEL tells the end")
        [trace] = traced()
        assert trace.overflow is not None
        assert trace.overflow[1] is Outcome.OVERFLOW_FULL
        assert abs(trace.overflow[0] - told.at) < 100_000


async def test_a_wait_is_ended_with_the_announcement_of_its_reason(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        ended = e.EndWait(name, channel, Outcome.OVERFLOW_NO_AGENT, Treatment.ANNOUNCE, "closed")
        assert await h.performer.perform(ended) is None
        await hears_only(call, CLOSED_HZ)
        await call.until("bye")
        [told] = await h.hears(i.CallerOverflowed, name)
        assert told.outcome is Outcome.OVERFLOW_NO_AGENT


async def test_a_wait_is_ended_with_the_busy_tone_for_ten_seconds(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        ended = e.EndWait(name, channel, Outcome.OVERFLOW_NO_AGENT, Treatment.BUSY)
        assert await h.performer.perform(ended) is None
        await hears_only(call, BUSY_HZ)
        tones = await call.hears(4)
        parts = [loudness(tones[n : n + 400], BUSY_HZ) > 0.8 for n in range(0, len(tones) - 400, 400)]
        assert 0.4 < sum(parts) / len(parts) < 0.6, "half a second on, half a second off"
        await call.until("bye")
        [told] = await h.hears(i.CallerOverflowed, name)
        assert told.outcome is Outcome.OVERFLOW_NO_AGENT
        [gone] = await h.hears(i.ChannelGone)
        assert gone.cause == 17
        assert 9.5 < (gone.at - told.at) / 1e6 < 11


async def test_a_wait_that_is_over_already_cannot_be_ended_and_it_is_said(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        offer = await h.ring(name, channel, P1)
        [(leg, _)] = await h.legs(name, offer, P1)
        leg.answer()
        await h.hears(i.BridgeEntered, count=2)
        ended = e.EndWait(name, channel, Outcome.OVERFLOW_WAIT, Treatment.BUSY)
        told = await h.performer.perform(ended)
        assert isinstance(told, i.WaitNotEnded)
        assert (told.call, told.caller_gone) == (name, False)
        assert (call.state, leg.state) == ("up", "up")
        call.hang_up()
        await h.hears(i.ChannelGone, count=2)
        told = await h.performer.perform(ended)
        assert isinstance(told, i.WaitNotEnded)
        assert told.caller_gone


async def test_a_caller_who_was_moved_is_in_the_other_queue_when_callcore_dies(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        call, name, channel = await h.caller()
        await h.performer.perform(e.MoveCaller(name, channel, SECOND_QUEUE))
        await h.performer.perform(e.AddMember(SECOND_QUEUE, P2, AgentId("102")))
        offer = await h.ring(name, channel, P1)
        [(leg, ident)] = await h.legs(name, offer, P1)
        await h.performer.perform(e.WithdrawOffer(offer, ident))
        await leg.until("cancelled")
        await h.floor.ami.waiting(channel)
        assert h.performer.refused == 0
        await h.floor.ami.action("Setvar", Variable="CALLCORE_HEARTBEAT", Value="0")
        net = await h.floor.ami.event("CallcoreNet", Channel=channel)
        assert f"CALLCORE_QUEUE={SECOND_QUEUE}" in net["ChanVariable"]
        rung = await h.floor.desks[1].rings()
        rung.sound = tone(AGENT_HZ)
        rung.answer()
        await hears_only(call, AGENT_HZ)


async def members(h: Hands) -> dict[tuple[QueueId, PhoneId], bool]:
    rows = await h.link.call_list({"Action": "QueueStatus"}, timeout=5)
    return {(m.queue, m.phone): m.paused for m in snapshot.members(rows)}


async def test_a_pause_stands_in_the_net_and_the_snapshot_reads_it(tmp_path: Path) -> None:
    async with hands(tmp_path) as h:
        general = QueueId("oita-general")
        await h.performer.perform(e.AddMember(general, P1, AgentId("101"), paused=True))
        await h.performer.perform(e.AddMember(general, P2, AgentId("102")))
        assert await members(h) == {(general, P1): True, (general, P2): False}
        await h.performer.perform(e.PauseMember(general, P1, False))
        await h.performer.perform(e.AddMember(general, P2, AgentId("102"), paused=True))  # there already
        assert await members(h) == {(general, P1): False, (general, P2): True}
        await h.performer.perform(e.RemoveMember(general, P1))
        assert await members(h) == {(general, P2): True}
        assert h.performer.refused == 0
