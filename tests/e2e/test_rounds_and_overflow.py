"""Several phones for one caller, callers beyond the agents, and another queue, in the whole installation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import AgentId
from callcore.domain.stages import OfferStage, Outcome
from tests.support import audio
from tests.support.prompts import brief_welcome, put_prompt
from tests.support.station import PROJECT, hears_for, hears_now, station, until, voice_of, words

SAID = PROJECT / "ivr_prompts" / "oita" / "ja" / "overflow.ulaw"
TEXT = "申し訳ございません。ただいま、電話が混み合っております。"
"""What the manifest says; the audio is Oita's."""

MINE = """
[announcements.overflow]
ja = "{text}"

[[queues]]
id = "second"
name = "第二"
ring_s = 15
acw_s = 1
"""


@dataclass(frozen=True, slots=True)
class Busy(DemoCentre):
    """With a second queue, whose agent is the last one; `rules` go into the first queue's table."""

    rules: str = ""

    def toml(self) -> str:
        told = DemoCentre.toml(self)
        first, last = told.split("[[phones]]", 1)
        last = last.replace(
            f'オペレーター{self.agents:02}"\nqueues = ["general"]', '第二"\nqueues = ["second"]'
        )
        return f"{first}{self.rules}\n{MINE.format(text=TEXT)}\n[[phones]]{last}"


def with_overflow(home: Path) -> Path:
    """The shipped prompts after a brief welcome, and one for callers beyond the agents."""
    folder = brief_welcome(home)
    put_prompt(folder, "demo/ja/overflow", TEXT, SAID.read_bytes())
    return folder


async def test_of_two_agents_who_pick_up_together_one_has_the_call_and_the_other_is_free_at_once() -> None:
    centre = Busy(agents=3, rules="ring_at_once = 2")
    async with station(centre, prompts=with_overflow) as s:
        phones = await s.staff(1, 2)
        call = await s.dial_in(await s.caller())
        legs = await asyncio.gather(*(phone.incoming(20) for phone in phones))
        await until(lambda: len(s.told(f.OfferMade)) == 2)
        made = s.told(f.OfferMade)
        assert [x.round for x in made] == [made[0].offer] * 2
        results = await asyncio.gather(*(leg.answer() for leg in legs), return_exceptions=True)
        answered = await s.fact(f.CallAnswered)
        winner = 0 if answered.agent == centre.agent(1) else 1
        await hears_now(call, voice_of(400 + 40 * (winner + 1)))
        await hears_now(legs[winner], voice_of(1000))
        await legs[1 - winner].wait_closed(5)
        assert not isinstance(results[winner], BaseException)

        await s.available(2 - winner)
        [lost] = s.told(f.OfferFailed)
        assert (lost.agent, lost.result, lost.rest_until) == (
            centre.agent(2 - winner),
            OfferStage.WITHDRAWN,
            None,
        )
        assert [agent.misses for agent in s.floor().agents.values()] == [0, 0, 0]
        await legs[winner].hang_up()
        await call.wait_closed(5)
        [ended] = await s.ended(1)
        assert ended.outcome is Outcome.COMPLETED
        s.books_agree()


async def test_a_caller_beyond_the_agents_hears_the_announcement_with_callcore_killed_too_and_counts_as_overflown() -> (
    None
):
    rules = '[[queues.overflow]]\nwaiting = 1\nthen = "announce"'
    async with station(Busy(agents=2, rules=rules), prompts=with_overflow) as s:
        first = await s.dial_in(await s.caller(1))
        await s.fact(f.VisitBegan)
        second = await s.dial_in(await s.caller(2))
        began = await s.fact(f.OverflowBegan)
        assert began.call == s.call_ids()[1]
        await second.wait_closed(40)
        [ended] = await s.ended(1)
        assert (ended.call, ended.outcome) == (began.call, Outcome.OVERFLOW_FULL)
        sound = np.concatenate([words(second), audio.silence(3)])
        said = audio.read(SAID)
        assert audio.find(said, sound).score > 0.99
        assert audio.find(s.prompt("apology"), sound).score < 0.5
        assert first.closed is None
        assert s.figures().offered == 2
        third = await s.dial_in(await s.caller(3))
        await until(lambda: len(s.told(f.OverflowBegan)) == 2)
        await hears_for(third, 1)
        s.kill("engine")
        await third.wait_closed(40)
        assert audio.find(said, np.concatenate([words(third), audio.silence(3)])).score > 0.99
        await s.start_engine()
        ends = await s.ended(2)
        assert [x.outcome for x in ends] == [Outcome.OVERFLOW_FULL] * 2


async def test_a_caller_with_nobody_on_duty_moves_to_the_other_queue_and_its_agent_answers() -> None:
    rules = '[[queues.overflow]]\nno_agent = true\nthen = "queue"\nqueue = "second"'
    centre = Busy(agents=2, rules=rules)
    async with station(centre, prompts=with_overflow) as s:
        [desk] = await s.staff(2)
        call = await s.dial_in(await s.caller())
        ringing = await desk.incoming(20)
        await ringing.answer()
        answered = await s.fact(f.CallAnswered)
        assert answered.agent == AgentId(centre.agent(2))
        assert [x.queue for x in s.told(f.VisitBegan)] == ["demo-general", "demo-second"]
        await call.hang_up()


async def test_a_caller_who_was_moved_is_answered_from_the_other_queue_while_callcore_is_dead() -> None:
    rules = '[[queues.overflow]]\nno_agent = true\nthen = "queue"\nqueue = "second"'
    async with station(Busy(agents=2, rules=rules), prompts=with_overflow) as s:
        [desk] = await s.staff(2)
        talking = await s.dial_in(await s.caller(1))
        await (await desk.incoming(20)).answer()
        first = (await s.fact(f.CallAnswered)).call
        waiting = await s.dial_in(await s.caller(2))
        await s.fact(f.VisitBegan, lambda x: x.call != first and x.queue == "demo-second")
        s.kill("engine")
        await talking.hang_up()
        ringing = await desk.incoming(25)
        await ringing.answer()
        await hears_now(waiting, voice_of(480))
