"""Unwelcome callers with the engine at work and with the engine dead: what they hear, how their calls end, and what an
agent's phone shows."""

from __future__ import annotations

import time
from typing import Any

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import CallIncoming, PhoneCall, SimPhone
from callcore.domain import facts as f
from callcore.domain.stages import Outcome
from callcore.prompts import shelf
from callcore.runtime.commands import CommandClient, this_account
from tests.support import audio
from tests.support.station import Station, hears_for, hears_now, music, station, until, words

RULES = """
[unwelcome]
blocked = "announce"
withheld = "announce"
"""
LISTED, OTHER = "09011112222", "09033334444"


async def asked(s: Station, command: str, **fields: Any) -> Any:
    client = CommandClient(s.settings.engine_socket)
    try:
        return await client.ask(command, **fields)
    finally:
        await client.close()


async def list_caller(s: Station, until_at: float, number: str = LISTED) -> str:
    """The entry's name; Asterisk has it."""
    answer = await asked(
        s, "blocked_add", centre="demo", number=number, reason="暴言を繰り返す", until=until_at
    )
    assert answer["done"], answer
    await pushed(s, str(-int(-until_at // 1)))
    return str(answer["entry"])


async def pushed(s: Station, value: str | None) -> None:
    """Await that Asterisk's own memory has an entry with that end; None: it has none."""
    end = time.monotonic() + 15
    while True:
        told = await s.asterisk.command("database show callcore-blocked")
        there = f": {value}" in told if value is not None else "callcore-blocked/demo/" not in told
        if there:
            return
        assert time.monotonic() < end, told


def refusal(s: Station, kind: str = "blocked") -> audio.Samples:
    return audio.read(shelf.ulaw_of(s.settings.prompts, f"ja/{kind}"))


def hears_it(s: Station, call: PhoneCall, kind: str = "blocked") -> bool:
    said, sound = refusal(s, kind), words(call)
    return len(sound) >= len(said) and bool(audio.find(said, sound).score >= 0.99)


def shown(phone: SimPhone) -> list[str | None]:
    """What each call that rang here showed, in order; these phones show no Japanese."""
    return [event.peer_name for event in phone.events if isinstance(event, CallIncoming)]


async def test_a_listed_caller_is_refused_by_voice_or_presses_9_and_an_agent_is_warned() -> None:
    async with station(DemoCentre(agents=1, acw_s=1, more=RULES)) as s:
        (desk,) = await s.staff(1)
        caller, other = await s.caller(1, number=LISTED), await s.caller(2, number=OTHER)
        entry = await list_caller(s, time.time() + 600)
        refused = await s.dial_in(caller)
        await refused.wait_closed(60)
        await s.ended(1)
        assert s.outcomes() == ["blocked"]
        assert hears_it(s, refused)
        assert s.told(f.OfferMade) == [] and s.told(f.VisitBegan) == []

        insists = await s.dial_in(caller)
        await hears_for(insists, 2)
        await insists.dtmf("9")
        ringing = await desk.incoming(40)
        await ringing.answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 1)
        await insists.hang_up()
        await s.ended(2)
        await s.available(1)
        assert audio.find(s.prompt("greeting"), words(insists)).score >= 0.99

        nobody = await s.dial_in(other)
        ringing = await desk.incoming(40)
        await ringing.answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 2)
        await nobody.hang_up()
        await s.ended(3)
        assert s.outcomes() == ["blocked", "completed", "completed"]
        first, second = shown(desk)[-2:]
        assert first is not None and first.startswith("CAUTION ")
        assert second is not None and "CAUTION" not in second

        await s.available(1)
        assert (await asked(s, "blocked_remove", centre="demo", entry=entry))["done"]
        await pushed(s, None)
        free = await s.dial_in(caller)
        ringing = await desk.incoming(40)
        assert "CAUTION" not in str(shown(desk)[-1])
        await free.hang_up()
        await s.ended(4)
        figures = s.figures()
        assert (figures.arrived, figures.blocked, figures.offered, figures.answered) == (4, 1, 3, 2)
        assert s.told(f.AdmissionDiffered) == []
        (listed,) = s.told(f.CallerListed)
        assert (listed.by, listed.reason) == (this_account(), "暴言を繰り返す")
        assert [call.listed for call in s.told(f.CallArrived)] == [entry, entry, None, None]
        s.books_agree()


async def test_the_engine_is_dead_and_a_listed_caller_is_refused_presses_9_and_the_entry_ends_all_the_same() -> (
    None
):
    async with station(DemoCentre(agents=1, acw_s=1, more=RULES)) as s:
        (desk,) = await s.staff(1)
        caller = await s.caller(1, number=LISTED)
        until_at = int(time.time()) + 90
        await list_caller(s, until_at)
        s.kill("engine")
        refused = await s.dial_in(caller)
        await refused.wait_closed(60)
        assert hears_it(s, refused)
        insists = await s.dial_in(caller)
        await hears_for(insists, 1)
        await insists.dtmf("9")
        ringing = await desk.incoming(60)
        assert str(shown(desk)[-1]).startswith("CAUTION ")
        await ringing.answer()
        await hears_for(insists, 1)
        await insists.hang_up()
        await until(lambda: time.time() > until_at + 0.5, 100, "the end of the entry")
        served = await s.dial_in(caller)
        await hears_now(served, music)
        assert audio.find(s.prompt("greeting"), words(served)).score >= 0.99
        assert not hears_it(s, served)
        await served.hang_up()
        await s.start_engine()
        await s.ended(3)
        assert s.outcomes() == ["blocked", "completed", "abandoned"]
        assert all(x.reconstructed for x in s.told(f.CallEnded))
        over = await s.fact(f.CallerUnlisted)
        assert over.by is None
        await pushed(s, None)
        assert s.told(f.AdmissionDiffered) == []
        s.books_agree()


async def test_who_withholds_the_number_is_told_how_to_show_it_and_9_leads_to_an_agent() -> None:
    async with station(DemoCentre(agents=1, acw_s=1, more=RULES)) as s:
        (desk,) = await s.staff(1)
        caller = await s.caller(1, number="anonymous")
        silent = await s.dial_in(caller)
        await silent.wait_closed(60)
        await s.ended(1)
        assert hears_it(s, silent, "withheld")
        insists = await s.dial_in(caller)
        await hears_for(insists, 1)
        await insists.dtmf("9")
        ringing = await desk.incoming(40)
        assert " withheld " in str(shown(desk)[-1])
        await ringing.answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 1)
        await insists.hang_up()
        await s.ended(2)
        assert s.outcomes() == [Outcome.BLOCKED.value, Outcome.COMPLETED.value]
        assert s.told(f.AdmissionDiffered) == []
        s.books_agree()
