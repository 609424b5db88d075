"""The instruments of the demo and of the end-to-end tests: can simulated phones and ears be believed?

Everything runs over a real Asterisk, with no callcore in it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from callcore.demo.phone import CallEstablished, Exited, NotInTime, PhoneGone
from callcore.demo.sounds import Sound, Tone
from tests.support import audio, load
from tests.support.phones import MUSIC_HZ, PASSWORD, Addresses, Phones, PlainAsterisk, until

AGENT_HZ, CALLER_HZ = 440, 1000
PROMPT = audio.speech_like(1, 2.5)


@pytest.fixture(scope="module")
def addresses() -> Iterator[Addresses]:
    block = Addresses()
    yield block
    block.release()


@pytest.fixture(scope="module")
def asterisk(addresses: Addresses) -> Iterator[PlainAsterisk]:
    with PlainAsterisk(addresses, prompt=PROMPT) as running:
        yield running


@pytest.fixture
async def phones(asterisk: PlainAsterisk, addresses: Addresses, tmp_path: Path) -> AsyncIterator[Phones]:
    async with Phones(addresses, tmp_path) as made:
        yield made
    await until(lambda: asterisk.channels() == 0, 10, "every channel gone after the test")


def heard_s(path: Path, hz: float) -> float:
    """How long this tone was heard, in seconds."""
    return sum(stretch.length for stretch in audio.hears(audio.read(path), hz))


async def hears_now(path: Path, hz: float, seconds: float = 0.5) -> None:
    """Wait until the recording ends with this tone."""

    def at_its_end() -> bool:
        wanted = round(seconds * audio.RATE)
        samples = audio.read(path)[-wanted:]
        return len(samples) == wanted and bool((audio.tone_over_time(samples, hz) > 0.5).all())

    await until(at_its_end, 10, f"{hz} Hz at the end of {path.name}")


async def test_two_parties_hear_each_other_and_nobody_else(phones: Phones) -> None:
    agent = await phones.desk_phone("p1", says=Tone(AGENT_HZ))
    citizen = await phones.caller("0901111222", display="大分 花子", says=Tone(CALLER_HZ))
    call = await citizen.dial("p1")
    ringing = await agent.incoming(5)
    assert ringing.peer_uri.startswith("sip:0901111222@")
    assert ringing.peer_name == "大分 花子"
    await ringing.answer()
    await call.wait_established(5)
    await hears_now((await call.wait_sound(5)).path, AGENT_HZ, 1.0)
    await call.hang_up()
    await ringing.wait_closed(5)
    assert heard_s(call.recording.path, AGENT_HZ) >= 1
    assert heard_s(call.recording.path, CALLER_HZ) == 0
    assert heard_s(ringing.recording.path, CALLER_HZ) >= 1
    assert heard_s(ringing.recording.path, AGENT_HZ) == 0


@pytest.mark.alone
async def test_a_steady_tone_arrives_without_a_gap_or_a_click(phones: Phones) -> None:
    agent = await phones.desk_phone("p1", says=Tone(AGENT_HZ), auto_answer_s=0)
    citizen = await phones.caller("0901111222")
    call = await citizen.dial("p1")
    await call.wait_established(5)
    await agent.incoming(1)
    await hears_now((await call.wait_sound(5)).path, AGENT_HZ, 2.0)
    await call.hang_up()
    await call.wait_closed(5)
    recording = audio.read(call.recording.path)
    first = audio.hears(recording, AGENT_HZ)[0]
    assert audio.gaps(recording, 0.02, start=first.start + 0.1) == []
    assert audio.clicks(recording[round((first.start + 0.1) * audio.RATE) :]) == []


@pytest.mark.few
async def test_a_prompt_is_told_from_another_one(phones: Phones) -> None:
    citizen = await phones.caller("0901111222")
    call = await citizen.dial("900")
    await call.wait_closed(10)
    recording = audio.read(call.recording.path)
    match = audio.find(PROMPT, recording)
    assert match.score > 0.99
    assert audio.find(audio.speech_like(2, 2.5), recording).score < 0.3


async def test_a_caller_who_speaks_from_a_file_is_heard_word_for_word(phones: Phones, tmp_path: Path) -> None:
    words = audio.speech_like(7, 2.0)
    file = audio.write(tmp_path / "words.wav", words)
    agent = await phones.desk_phone("p2", auto_answer_s=0)
    citizen = await phones.caller("0901111222", says=Sound(file, repeat=True))
    call = await citizen.dial("p2")
    at_agent = await agent.incoming(5)
    await call.wait_established(5)
    path = (await at_agent.wait_sound(5)).path
    await until(lambda: len(audio.read(path)) > 5 * audio.RATE, 15, "five seconds at the agent's end")
    await call.hang_up()
    await at_agent.wait_closed(5)
    assert audio.find(words, audio.read(path)).score > 0.99


async def test_digits_arrive_as_keyed(phones: Phones, asterisk: PlainAsterisk) -> None:
    asterisk.cli("database del trial digits")
    phone = await phones.desk_phone("p3")
    call = await phone.dial("800")
    await call.wait_established(5)
    await call.dtmf("110*75")
    await until(lambda: asterisk.stored("digits") == "110*75", 5, "the digits as keyed")
    await call.hang_up()


async def test_a_caller_on_hold_hears_music_until_the_agent_is_back(phones: Phones) -> None:
    agent = await phones.desk_phone("p1", says=Tone(AGENT_HZ), auto_answer_s=0)
    citizen = await phones.caller("0901111222", says=Tone(CALLER_HZ))
    call = await citizen.dial("p1")
    at_agent = await agent.incoming(5)
    await call.wait_established(5)
    path = (await call.wait_sound(5)).path
    await hears_now(path, AGENT_HZ)
    await at_agent.hold()
    await hears_now(path, MUSIC_HZ)
    await at_agent.resume()
    await hears_now(path, AGENT_HZ)
    await at_agent.hang_up()
    await call.wait_closed(5)


async def test_a_phone_that_refuses_is_busy_and_one_in_a_call_takes_no_second(phones: Phones) -> None:
    agent = await phones.desk_phone("p1")
    citizen, other = await phones.caller("0901111222"), await phones.caller("0903333444")
    refused = await citizen.dial("p1")
    await (await agent.incoming(5)).reject()
    assert (await refused.wait_closed(5)).status == 486
    talk = await citizen.dial("p1")
    await (await agent.incoming(5)).answer()
    await talk.wait_established(5)
    second = await other.dial("p1")
    assert (await second.wait_closed(5)).status == 486
    with pytest.raises(NotInTime):
        await agent.incoming(0)
    await talk.hang_up()


async def test_a_phone_that_nobody_answers_stops_ringing(phones: Phones) -> None:
    agent = await phones.desk_phone("p1")
    citizen = await phones.caller("0901111222")
    call = await citizen.dial("p1")
    ringing = await agent.incoming(5)
    await call.wait_ringing(5)
    closed = await ringing.wait_closed(10)
    assert ringing.rang_at is not None
    assert closed.at - ringing.rang_at == pytest.approx(5_000_000, abs=500_000)
    await call.wait_closed(5)
    with pytest.raises(NotInTime, match="CallClosed"):
        await call.wait_established(5)


async def test_a_caller_who_gives_up_while_it_rings_stops_the_ringing(phones: Phones) -> None:
    agent = await phones.desk_phone("p1", auto_answer_s=3)
    citizen = await phones.caller("0901111222")
    call = await citizen.dial("p1")
    ringing = await agent.incoming(5)
    await call.hang_up()
    await ringing.wait_closed(5)
    assert not any(isinstance(event, CallEstablished) for event in agent.events)


async def test_a_phone_that_loses_power_leaves_no_process_and_no_folder(
    phones: Phones, asterisk: PlainAsterisk
) -> None:
    agent = await phones.desk_phone("p4", auto_answer_s=0)
    citizen = await phones.caller("0901111222")
    call = await citizen.dial("p4")
    at_agent = await agent.incoming(5)
    await at_agent.wait_established(5)
    await agent.kill()
    assert (await agent.wait_for(Exited, within=5)).status == -signal.SIGKILL
    with pytest.raises(PhoneGone):
        await at_agent.hang_up()
    pid, folder = citizen.pid, citizen.folder
    await call.hang_up()
    await citizen.stop()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_load_of_calls_is_counted_call_by_call(asterisk: PlainAsterisk, addresses: Addresses) -> None:
    desk, trunk, server = addresses.next(), addresses.caller(90), addresses.asterisk
    users = {f"p{n}": PASSWORD for n in range(5, 8)}
    assert (await load.register_agents(users, server=server, address=desk, port=5060)).failed == 0
    async with load.agents(server=server, address=desk, port=5060, ring_s=0.1, talk_s=0.3) as desks:
        seen = await load.run_callers(40, 40, number="p5", server=server, address=trunk, stay_s=20)
        answered = await desks.close()
    assert (seen.calls, seen.successes, seen.ended_by_far_end, seen.failures) == (40, 40, 40, {})
    assert (answered.calls, answered.answered, answered.ended_here) == (40, 40, 40)
    assert 0.1 <= seen.answer_quantile(0.5) < 0.5
    assert seen.complaints == ""


async def test_a_load_of_impatient_and_refused_callers_is_counted_apart(
    asterisk: PlainAsterisk, addresses: Addresses
) -> None:
    desk, trunk, server = addresses.next(), addresses.caller(91), addresses.asterisk
    registered = await load.register_agents({"p8": PASSWORD}, server=server, address=desk, port=5060)
    assert registered.failed == 0
    async with load.agents(server=server, address=desk, port=5060, ring_s=4) as desks:
        impatient = await load.run_callers(10, 20, number="p8", server=server, address=trunk, patience_s=0.5)
        stopped = await desks.close()
    refused = await load.run_callers(10, 20, number="999", server=server, address=trunk)
    assert (impatient.successes, impatient.given_up, impatient.answered) == (10, 10, 0)
    assert (stopped.successes, stopped.given_up) == (10, 10)
    assert (refused.successes, refused.refused) == (10, 10)


async def test_ten_phones_sign_on_and_off(phones: Phones, asterisk: PlainAsterisk) -> None:
    made = await asyncio.gather(*(phones.desk_phone(f"p{n}") for n in range(1, 11)))
    await until(lambda: asterisk.registered() == 10, 5, "ten registrations")
    await asyncio.gather(*(phone.unregister() for phone in made))
    await until(lambda: asterisk.registered() == 0, 5, "no registration")
