"""What happens wholly or partly while no engine lives, and how a hung, a second and a superseded engine behave."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time

import numpy as np

from callcore.db import migrate
from callcore.demo.centre import DemoCentre
from callcore.demo.phone import PhoneCall, SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.stages import Outcome, Party, Work
from callcore.runtime.process import SUPERSEDED_STATUS
from tests.chaos import rig
from tests.support import audio
from tests.support.prompts import brief_welcome
from tests.support.station import Station, station, until, words

SILENCE_S = 0.5
"""Sound that comes late on a busy machine is heard as a pause of this length at most."""


async def test_talk_goes_on_and_ends_while_the_engine_is_dead_and_its_recording_is_filed() -> None:
    async with station(DemoCentre(agents=1, acw_s=2), prompts=brief_welcome) as s:
        await migrate.upgrade(s.settings.database)
        s.start("sidecar")
        (desk,) = await rig.staff(s, 1)
        caller = await rig.arrive(s, 1)
        talk = await rig.take(desk)
        await s.fact(f.CallAnswered)
        await rig.both_hear(caller.line, talk, 1)
        s.kill("engine")
        killed = time.time()
        await until(lambda: time.time() > killed + rig.STALE_S + 2, 20)
        await rig.both_hear(caller.line, talk, 1)
        await caller.line.hang_up()
        await talk.wait_closed(5)
        assert rig.longest_silence(caller.line, rig.desk_hz(1)) <= SILENCE_S, "nobody noticed"
        assert rig.longest_silence(talk, rig.CALLER_HZ) <= SILENCE_S
        await rig.gone(s, caller.id)
        into, out = rig.talked(s, caller.id)
        await until(lambda: time.time() > out + s.centre.acw_s + 0.5, 10)  # ACW ends unseen too

        await s.start_engine()
        await rig.settled(s, [caller.id])
        filed = await s.fact(f.RecordingFiled)
        rig.accounts(s, {caller.id: Outcome.COMPLETED}, idle=[1])
        found = rig.record(s, caller.id)
        assert found.answered_at is not None
        assert abs(found.answered_at / SECOND - into) < 0.1
        assert abs(found.talk / SECOND - (out - into)) < 0.1
        assert (found.hung_up_by, found.reconstructed) == (Party.CALLER, True)
        (ended,) = s.told(f.TalkEnded)
        assert ended.reconstructed
        assert ended.wrap_up_until is None, "how long the after-call work took is not known"
        assert s.told(f.WrapUpEnded) == []
        assert s.told(f.CallHeld) == [], "a hold is not made up"
        assert (filed.call, filed.problem) == (caller.id, None)
        assert abs(filed.seconds - (out - into)) < 1.5


async def test_calls_that_nobody_watched_stand_in_the_books_as_they_were() -> None:
    """Served by the net, given up in the net, and refused as closed, all between two lives of the engine."""
    async with station(DemoCentre(agents=1, acw_s=1, short_abandon_s=0), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        s.kill("engine")
        served = await rig.arrive(s, 1)
        talk = await rig.take(desk, 30)
        await rig.both_hear(served.line, talk, 1)
        patient = await rig.arrive(s, 2)
        await rig.marked(s, patient.id, "callcore-net")
        await patient.line.hang_up()
        await rig.gone(s, patient.id)
        await talk.hang_up()
        await rig.gone(s, served.id)
        day = time.strftime("%Y%m%d", time.gmtime(time.time() + 9 * 3600))  # in Asia/Tokyo
        await rig.console(s, f"database put callcore-hours demo/{day} closed")
        late = await rig.arrive(s, 3)
        await rig.marked(s, late.id, "callcore-closed")
        await late.line.hang_up()
        await rig.gone(s, late.id)
        into, out = rig.talked(s, served.id)

        await s.start_engine()
        await rig.settled(s, [served.id, patient.id, late.id])
        await rig.available(s, 1)
        rig.accounts(
            s,
            {served.id: Outcome.COMPLETED, patient.id: Outcome.ABANDONED, late.id: Outcome.CLOSED},
            idle=[1],
        )
        assert all(rig.record(s, c.id).reconstructed for c in (served, patient, late))
        assert rig.hung_up(s) == {
            served.id: Party.AGENT,
            patient.id: Party.CALLER,
            late.id: Party.CALLER,
        }
        answered = rig.answer(s, served.id)
        assert (answered.by_net, answered.agent) == (True, s.centre.agent(1))
        assert abs(answered.at / SECOND - into) < 0.1
        assert abs(rig.record(s, served.id).talk / SECOND - (out - into)) < 0.1
        visits = [(x.call, x.notice, x.reconstructed) for x in s.told(f.VisitBegan)]
        assert visits == [(served.id, "ja", True), (patient.id, "ja", True)], (
            "that the notice was said is known all the same"
        )
        differed = await s.fact(f.AdmissionDiffered)
        assert (differed.call, differed.told_open) == (late.id, False), "somebody must look at that"


async def test_hung_engine_loses_its_callers_to_the_net_and_takes_them_back_when_it_goes_on() -> None:
    """Meanwhile nobody signs in or out: the feature codes say that it is not possible."""
    async with station(DemoCentre(agents=2, acw_s=2), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        other = await s.desk(2)
        first, second, third, fourth = await rig.queue_up(s, 1, 2, 3, 4)
        talk = await rig.take(desk)
        pid = s.processes["engine"].pid
        await rig.stopped(pid)
        try:
            hung = time.time()
            for waiting in (second, third, fourth):
                await rig.marked(s, waiting.id, "callcore-net", rig.NET_WITHIN_S)
            fell = [float(row[2]) for row in rig.cel(s) if row[1] == "callcore-net"]
            assert max(fell) - hung < rig.STALE_S + 2.5, "the heartbeat's bound, and a busy machine"
            await talk.hang_up()
            talk = await rig.take(desk)
            await rig.both_hear(second.line, talk, 1)
            for code in (f"*11{s.centre.agent(2)}", "*12"):
                asked = await other.dial(code)
                await asked.wait_closed(20)
                refusal = s.prompt("not-possible", "common")
                assert audio.find(refusal, np.concatenate([words(asked), audio.silence(3)])).score > 0.9
            await until(lambda: time.time() > hung + 8, 10)
        finally:
            os.kill(pid, signal.SIGCONT)
        await rig.works(s, 1, Work.TALKING)
        for waiting in (third, fourth):
            await rig.taken_back(s, waiting.id)
        back = [c for c in rig.marks(s, "callcore-held") if c in (third.id, fourth.id)][2:]
        assert back == [third.id, fourth.id], "taken back in the order of waiting"
        await second.line.hang_up()
        for waiting in (third, fourth):
            talk = await rig.take(desk)
            await rig.both_hear(waiting.line, talk, 1)
            await waiting.line.hang_up()
        calls = [first.id, second.id, third.id, fourth.id]
        await rig.settled(s, calls)
        await rig.available(s, 1)
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1])
        assert [rig.record(s, c).by_net for c in calls] == [False, True, False, False]
        assert [x.agent for x in s.told(f.AgentSignedIn)] == [s.centre.agent(1)]
        assert s.told(f.AgentSignedOut) == []


async def test_second_engine_does_not_start_and_says_who_holds_the_journal() -> None:
    async with station() as s:
        first = s.processes["engine"]
        second = s.start("engine")
        assert await asyncio.to_thread(second.wait, 15) != 0
        said = s.log("engine")
        assert f"PID {first.pid}" in said
        assert "別の callcore" in said or "in use by another callcore" in said
        s.processes["engine"] = first
        assert first.poll() is None
        await rig.beats(s)
        assert len(s.told(f.RunStarted)) == 1, "the second gave out no run"


async def beaten_by_another(s: Station) -> None:
    await rig.manager(
        s,
        {"Action": "Setvar", "Variable": "CALLCORE_RUN", "Value": "99"},
        {"Action": "Setvar", "Variable": "CALLCORE_HEARTBEAT", "Value": str(int(time.time()))},
    )


async def superseded(s: Station, engine: subprocess.Popen[bytes]) -> int | None:
    """What it ends with while another goes on beating, as one does: a beat of its own may be under way at first."""
    end = time.monotonic() + 40
    while engine.poll() is None and time.monotonic() < end:
        await beaten_by_another(s)
        await asyncio.sleep(0.5)
    return engine.poll()


async def test_superseded_engine_stops_deciding_and_does_not_begin_again() -> None:
    """Another engine's higher run number stands in Asterisk. The calls go on by the dialplan's own means."""
    async with station(DemoCentre(agents=1, acw_s=1), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        first, second = await rig.queue_up(s, 1, 2)
        talk = await rig.take(desk)
        await s.fact(f.CallAnswered)
        engine = s.processes.pop("engine")
        assert await superseded(s, engine) == SUPERSEDED_STATUS
        assert "another engine has taken over" in s.log("engine")
        facts = len(s.facts())
        offers = len(s.told(f.OfferMade))
        await talk.hang_up()

        again = s.start("engine")  # while the second caller waits and the agent is free
        assert await asyncio.to_thread(again.wait, 40) == SUPERSEDED_STATUS
        del s.processes["engine"]
        assert len(s.told(f.OfferMade)) == offers, "it gave nobody to anybody"
        assert [type(x) for x in s.facts()[facts:]] == [f.RunStarted]
        assert (await rig.console(s, "dialplan show globals")).count("CALLCORE_RUN=99") == 1
        talk = await rig.take(desk, 20)  # by the net
        await rig.both_hear(second.line, talk, 1)
        assert second.id in rig.marks(s, "callcore-net")
        await talk.hang_up()
        await first.line.hang_up()


async def test_engine_that_stood_still_while_another_took_over_moves_nobody_when_it_goes_on() -> None:
    """Its agent's after-call work is over meanwhile and a caller waits: it would give them to each other at once."""
    async with station(DemoCentre(agents=1, acw_s=6), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        first, second = await rig.queue_up(s, 1, 2)
        talk = await rig.take(desk)
        await s.fact(f.CallAnswered)
        await talk.hang_up()
        await rig.works(s, 1, Work.WRAPPING_UP)
        engine = s.processes["engine"]
        await rig.stopped(engine.pid)
        try:
            until_then = time.monotonic() + s.centre.acw_s + 2
            while time.monotonic() < until_then:
                await beaten_by_another(s)
                await asyncio.sleep(0.5)
        finally:
            os.kill(engine.pid, signal.SIGCONT)
        assert await superseded(s, engine) == SUPERSEDED_STATUS
        del s.processes["engine"]
        legs = [row for row in rig.cel(s) if row[0] == "CHAN_START" and row[5].startswith("PJSIP/demo-p1-")]
        assert len(legs) == 2, "signing in, and the first caller: the phone has not rung since"
        assert rig.marks(s, "callcore-held").count(second.id) == 1, (
            "the caller stands where the other put him"
        )
        await first.line.hang_up()
        await second.line.hang_up()


async def test_asterisk_itself_dies_and_comes_back() -> None:
    """Open calls are lost and told as such; signed-in agents get calls again, and the net knows them."""
    async with station(DemoCentre(agents=1, acw_s=1), prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        talking, waiting = await rig.queue_up(s, 1, 2)
        talk = await rig.take(desk)
        await rig.both_hear(talking.line, talk, 1)
        pid = s.asterisk.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        died = time.time()
        await s.asterisk.wait()
        for line in (talking.line, waiting.line, talk):
            await line.hang_up()  # people put down; nobody answers their BYE
        await desk.unregister()
        await s.fact(f.LinkLost)
        s.asterisk = type(s.asterisk)(s.toolchain, s.pbx.etc_dir, s.pbx.run_dir, s.pbx.log_dir)
        await s.asterisk.start()
        await rig.relinked(s, 2)
        name = s.centre.phone(1)
        await desk.register(name, s.secrets.phones[name], f"{s.net}.1:{s.settings.sip_port}")  # type: ignore[index]
        lost = {x.call: x for x in await s.ended(2)}
        assert {c: x.outcome for c, x in lost.items()} == {
            talking.id: Outcome.CUT_OFF,
            waiting.id: Outcome.FAILED,
        }
        for ended in lost.values():
            assert (ended.reconstructed, ended.hung_up_by) == (True, Party.UNKNOWN)
            assert died - 1.5 < ended.at / SECOND < died + 0.5, "ended when Asterisk did"
        await rig.available(s, 1)
        assert f"PJSIP/{name}" in await rig.console(s, "queue show demo-general")
        again = await rig.arrive(s, 3)
        talk = await rig.take(desk)
        await rig.both_hear(again.line, talk, 1)
        await again.line.hang_up()
        await s.ended(3)
        s.figures()
        assert s.floor().problems() == []
        assert rig.record(s, again.id).outcome is Outcome.COMPLETED


async def test_asterisk_restarted_by_an_operator_ends_calls_as_faults_and_agents_are_back_by_themselves() -> (
    None
):
    """Nobody does anything at the desks: who was signed in is, and gets the next caller; the net knows it too."""
    async with station(DemoCentre(agents=2, acw_s=1)) as s:
        engine = s.processes["engine"]
        desks = await rig.staff(s, 1, 2)
        talking = await rig.arrive(s, 1)
        talk = await _first_to_ring(desks)
        await rig.both_hear(talking.line, talk, desks.index(talk.phone) + 1)
        waiting = await rig.arrive(s, 2)
        await _first_to_ring([d for d in desks if d is not talk.phone], answer=False)
        await s.fact(f.OfferRang, lambda x: x.call == waiting.id)
        stopped = time.time()
        await s.asterisk.stop()
        await s.fact(f.LinkLost)
        for line in (talking.line, waiting.line):
            await line.hang_up()
        s.asterisk = type(s.asterisk)(s.toolchain, s.pbx.etc_dir, s.pbx.run_dir, s.pbx.log_dir)
        await s.asterisk.start()
        await rig.relinked(s, 2)
        await rig.beats(s)
        lost = {x.call: x for x in await s.ended(2)}
        assert {c: x.outcome for c, x in lost.items()} == {
            talking.id: Outcome.CUT_OFF,
            waiting.id: Outcome.FAILED,
        }
        for ended in lost.values():
            assert ended.hung_up_by in (Party.SYSTEM, Party.UNKNOWN), "neither caller nor agent did it"
            assert stopped - 1 < ended.at / SECOND < stopped + 3
        for n in (1, 2):
            await rig.available(s, n, 40)
            assert f"PJSIP/{s.centre.phone(n)}" in await rig.console(s, "queue show demo-general")
        assert len(s.told(f.AgentSignedIn)) == 2, "nobody signed in anew"
        again = await rig.dial_again(s, talking.phone)
        talk = await _first_to_ring(desks)
        await rig.both_hear(again.line, talk, desks.index(talk.phone) + 1)
        await again.line.hang_up()
        await s.ended(3)
        s.figures()
        assert s.floor().problems() == []
        assert engine.poll() is None


async def _first_to_ring(desks: list[SimPhone], *, answer: bool = True) -> PhoneCall:
    """Whichever of these phones rings first, picked up."""
    rings = [asyncio.create_task(desk.incoming(30)) for desk in desks]
    done, _ = await asyncio.wait(rings, return_when=asyncio.FIRST_COMPLETED)
    for task in rings:
        task.cancel()
    rung = done.pop().result()
    if answer:
        await rung.answer()
        await rung.wait_established(5)
    return rung
