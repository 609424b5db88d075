"""Pauses, readiness and longer after-call work, by the phone's keys and by the supervisor's command."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from typing import Any

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import PhoneCall, PhoneError, SimPhone
from callcore.domain import facts as f
from callcore.domain.agent import NO_ANSWER_PAUSE
from callcore.domain.ids import AgentId, CallId
from callcore.domain.stages import OfferStage, Outcome, Presence, Stage
from callcore.runtime.commands import CommandClient
from tests.e2e.test_agents_sign_in import hears_prompt
from tests.support.prompts import brief_welcome
from tests.support.station import Station, rings, station, until

AGENT = AgentId("1001")


async def key(s: Station, phone: SimPhone, code: str, answer: str) -> None:
    """Dial a code and hear its answer."""
    call = await phone.dial(code)
    await call.wait_closed(20)
    hears_prompt(s, call, answer)


async def member(s: Station) -> str:
    """The first agent's line in the safety net's queue."""
    shown = await s.asterisk.command("queue show demo-general")
    return next((line for line in shown.splitlines() if f"PJSIP/{s.centre.phone(1)}" in line), "")


async def shows(s: Station, paused: bool) -> None:
    """Await that the safety net has the first agent so."""

    async def look() -> None:
        while ("(paused" in await member(s)) is not paused or not await member(s):
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), 10)


async def command(s: Station, *words: str) -> tuple[int, str]:
    """`callcore agent …` as a supervisor runs it: its status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callcore",
        "agent",
        *words,
        env=s.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_an_agent_pauses_and_comes_back_by_the_phones_keys_and_the_net_follows() -> None:
    async with station(DemoCentre(agents=1, acw_s=120), prompts=brief_welcome) as s:
        desk = await s.desk(1)
        await key(s, desk, "*15", "refused")  # nobody sits there yet
        await s.sign_in(desk, 1)
        await s.available(1)
        await shows(s, False)
        await key(s, desk, "*14", "not-possible")
        await key(s, desk, "*15", "paused")
        assert [(x.agent, x.reason, x.by) for x in s.told(f.AgentPaused)] == [(AGENT, "離席", None)]
        await shows(s, True)

        call = await s.dial_in(await s.caller())
        await s.fact(f.VisitBegan)
        assert rings(desk) == 0
        await key(s, desk, "*13", "ready")
        await shows(s, False)
        ringing = await desk.incoming(20)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        await call.hang_up()
        ended = await s.fact(f.TalkEnded)
        await ringing.wait_closed(10)  # a phone of the demo hears nothing in a call beside that one

        await key(s, desk, "*14", "extended")
        [longer] = s.told(f.WrapUpExtended)
        assert ended.wrap_up_until is not None
        assert longer.until - ended.wrap_up_until == 60_000_000
        await key(s, desk, "*13", "ready")
        [over] = s.told(f.WrapUpEnded)
        assert over.early
        await s.available(1)


async def test_who_misses_three_calls_in_a_row_is_paused_until_the_key_is_pressed() -> None:
    async with station(DemoCentre(agents=1, ring_s=5, rest_s=0), prompts=brief_welcome) as s:
        [desk] = await s.staff(1)
        call = await s.dial_in(await s.caller())
        for _ in range(3):
            missed = await desk.incoming(20)
            await missed.wait_closed(10)
        paused = await s.fact(f.AgentPaused)
        assert (paused.agent, paused.reason, paused.by) == (AGENT, NO_ANSWER_PAUSE, "callcore")
        assert rings(desk) == 3
        assert [x.result for x in s.told(f.OfferFailed)] == [OfferStage.NO_ANSWER] * 3
        await shows(s, True)
        assert len(s.told(f.VisitBegan)) == 1, "the caller kept the place"

        await key(s, desk, "*13", "ready")
        ringing = await desk.incoming(20)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        await call.hang_up()


async def test_a_supervisor_pauses_a_ringing_agent_by_command_and_the_next_one_rings() -> None:
    # It rings for longer than a busy machine needs for the command.
    async with station(DemoCentre(agents=2, ring_s=40), prompts=brief_welcome) as s:
        first, second = await s.staff(1, 2)
        status, said = await command(s, "list")
        assert (status, said.count("受付中 / ready")) == (0, 2)
        call = await s.dial_in(await s.caller())
        ringing = await first.incoming(20)
        status, said = await command(s, "pause", AGENT, "--reason", "研修")
        assert (status, "離席にしました" in said) == (0, True), said
        await ringing.wait_closed(5)
        other = await second.incoming(10)
        await other.answer()
        await s.fact(f.CallAnswered, lambda x: x.agent == "1002")
        [failed] = s.told(f.OfferFailed)
        assert (failed.agent, failed.result, failed.rest_until) == (AGENT, OfferStage.WITHDRAWN, None)
        assert s.floor().agents[AGENT].misses == 0

        status, said = await command(s, "sign-out", "1002")
        assert (status, "cannot be signed out" in said) == (1, True), said
        status, said = await command(s, "sign-out", AGENT)
        assert status == 0, said
        await until(lambda: s.floor().agents[AGENT].presence is Presence.SIGNED_OUT)
        await call.hang_up()


async def test_a_pause_in_the_instant_of_the_answer_leaves_the_caller_talking_or_in_the_same_place() -> None:
    async with station(DemoCentre(agents=1, acw_s=0), prompts=brief_welcome) as s:
        [desk] = await s.staff(1)
        caller = await s.caller()
        client = CommandClient(s.settings.engine_socket)
        became: Counter[str] = Counter()
        call = await s.dial_in(caller)
        for n in range(5):
            ringing = await desk.incoming(20)
            await until(lambda n=n: len(s.told(f.OfferRang)) == n + 1)  # type: ignore[misc]
            name = s.told(f.OfferRang)[-1].call

            async def answer(leg: PhoneCall = ringing) -> None:
                with contextlib.suppress(PhoneError):  # taken back before
                    await leg.answer()

            async def pause(after: float = 0.001 * n) -> Any:
                await asyncio.sleep(after)
                return await client.ask("agent_pause", agent=AGENT, reason="会議")

            _, paused = await asyncio.gather(answer(), pause())
            assert paused["done"], paused
            await until(lambda n=n: len(s.told(f.AgentPaused)) == n + 1)  # type: ignore[misc]

            def settled(name: CallId = name, leg: PhoneCall = ringing) -> str:
                floor = s.floor()
                stage = floor.calls[name].stage
                if stage is Stage.WAITING and leg.closed is not None:
                    return "waiting"
                return "talking" if stage is Stage.TALKING and leg.closed is None else ""

            await until(lambda: settled() != "", what="the race is over")
            if settled() == "talking":
                with contextlib.suppress(AssertionError):  # cut off after all
                    await until(lambda: settled() != "talking", 1)
                await until(lambda: settled() != "")
            became[settled()] += 1
            assert call.closed is None
            assert len(s.told(f.OfferMade)) == n + 1, "paused: nothing is offered"
            if settled() == "talking":
                await ringing.hang_up()
                await call.wait_closed(10)
                await s.ended(became["talking"])
                call = await s.dial_in(caller)
                await s.fact(f.VisitBegan, lambda x, k=name: x.call != k and x.call == s.call_ids()[-1])  # type: ignore[misc]
            assert (await client.ask("agent_ready", agent=AGENT))["done"]
        await client.close()
        await call.hang_up()
        await s.ended(became["talking"] + 1)

        assert became.total() == 5, became
        assert {x.outcome for x in s.told(f.CallEnded)[:-1]} <= {Outcome.COMPLETED}
        assert s.floor().agents[AGENT].misses == 0
        s.figures()
