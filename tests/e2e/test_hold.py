"""A caller held by the agent's own phone, and what the carrier is told on the way."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.settings import PROJECT
from tests.support import audio
from tests.support.prompts import brief_welcome
from tests.support.station import Station, hears_for, hears_now, music, station, until, voice_of

AGENT_HZ = 440
IDENTITY = re.compile(
    r"^(P-Asserted-Identity|P-Preferred-Identity|Remote-Party-ID|Diversion|History-Info):", re.I | re.M
)
"""Headers whose only use is to say who else is in a call."""


@dataclass(frozen=True, slots=True)
class Packet:
    source: IPv4Address
    target: IPv4Address
    text: str


def sip_messages(pcap: Path) -> Iterator[Packet]:
    """Every message that Asterisk's own SIP logger wrote to a pcap file (Ethernet, IPv4, UDP)."""
    data = pcap.read_bytes()
    at = 24  # the file's header
    while at + 16 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        ip = frame[14:]
        header = (ip[0] & 15) * 4
        assert ip[9] == socket.IPPROTO_UDP
        source, target = IPv4Address(ip[12:16]), IPv4Address(ip[16:20])
        yield Packet(source, target, ip[header + 8 :].decode("utf-8", "replace"))


def inner_words(s: Station) -> list[str]:
    """What the carrier must not learn: agents, phones, seats, queue and department."""
    words = []
    for centre in s.configuration.centres:
        words += [centre.id, centre.name, centre.name_en]
        words += [word for agent in centre.agents for word in (agent.id, agent.name)]
        words += [word for phone in centre.phones for word in (phone.id, phone.seat)]
        words += [word for queue in centre.queues for word in (queue.id, queue.name)]
    # Asterisk strips a number of its punctuation before it shows it: demo-p1 becomes demop1.
    return [*words, *(word.replace("-", "") for word in words if "-" in word)]


def told(words: list[str], text: str) -> list[str]:
    return [w for w in words if re.search(rf"(?<![0-9A-Za-z]){re.escape(w)}(?![0-9A-Za-z])", text)]


async def test_hold_gives_music_resume_gives_the_agent_back_and_the_carrier_learns_no_name_or_number() -> (
    None
):
    hold = "[hold]\nphrase_every_s = 3\nwarn_after_s = 3\n"
    async with station(DemoCentre(agents=1, acw_s=1, more=hold), prompts=brief_welcome) as s:
        pcap = s.settings.home / "sip.pcap"
        for more in (f"pcap {pcap}", "verbose off", "on"):
            await s.asterisk.command(f"pjsip set logger {more}")
        (desk,) = await s.staff(1)
        caller = await s.caller()
        call = await s.dial_in(caller)
        ringing = await desk.incoming(30)
        await hears_for(call, 1)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        await hears_now(call, voice_of(AGENT_HZ), 1)

        await ringing.hold(10)
        held = await s.fact(f.CallHeld)
        await hears_now(call, music)
        phrase = audio.read(PROJECT / "ivr_prompts/ja/on_hold.ulaw")[: 3 * audio.RATE]
        await hears_now(call, lambda sound: audio.find(phrase, sound).score > 0.9, 5)
        warned = await s.fact(f.HoldOverran)
        assert 2.9e6 < warned.at - held.at < 5e6
        await until_lamp(s, "demo-p1", "Ringing")

        await ringing.resume(10)
        await s.fact(f.CallResumed)
        await until_lamp(s, "demo-p1", "Idle")
        await hears_now(call, voice_of(AGENT_HZ))
        assert call.closed is None

        await ringing.hang_up()
        await call.wait_closed(10)
        await s.ended(1)

        # And once more, this time the caller gives up while on hold.
        call = await s.dial_in(caller)
        ringing = await desk.incoming(30)
        await ringing.answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 2)
        await hears_now(
            call, voice_of(AGENT_HZ), 1
        )  # no hand is quicker; sooner Asterisk does not see it (ADR 75)
        await ringing.hold(10)
        await until(lambda: len(s.told(f.CallHeld)) == 2)
        await hears_for(call, 2)
        await call.hang_up()
        await ringing.wait_closed(10)
        await s.ended(2)
        assert s.outcomes() == ["completed", "lost_on_hold"]
        first, second = sorted(s.books().records.values(), key=lambda record: record.arrived_at)
        held = s.told(f.CallResumed)[0].at - s.told(f.CallHeld)[0].at
        assert first.hold == held and first.hold < first.talk
        assert 1e6 < second.hold <= second.talk
        s.books_agree()
        await s.available(1)

        await s.asterisk.command("pjsip set logger off")
        nothing_inner_reached_the_trunk(s, list(sip_messages(pcap)))


async def until_lamp(s: Station, phone: str, state: str) -> None:
    """The lamp `hold` as Asterisk tells the phone."""

    async def shown() -> bool:
        hints = await s.asterisk.command("core show hints")
        return any(
            f"hold@callcore-lamps-{phone}" in line.replace(" ", "") and f"State:{state}" in line
            for line in hints.splitlines()
        )

    async with asyncio.timeout(10):
        while not await shown():
            await asyncio.sleep(0.1)


def nothing_inner_reached_the_trunk(s: Station, messages: list[Packet]) -> None:
    words = inner_words(s)
    trunk = [m for m in messages if int(str(m.target).rsplit(".", 1)[1]) >= 128]
    methods = {m.text.split(" ", 1)[0] for m in trunk}
    answers = [m.text.split("\r\n", 1)[0] for m in trunk if m.text.startswith("SIP/2.0")]
    # It is the whole way of both calls: accepted, and ended once by us and once by the caller.
    assert "BYE" in methods
    assert sum("200" in answer for answer in answers) >= 3
    for message in trunk:
        assert told(words, message.text) == [], message.text
        assert not IDENTITY.search(message.text), message.text
    # The same reading finds them where they are meant to be.
    phones = [m for m in messages if m not in trunk]
    assert any(told(words, m.text) for m in phones)
    assert told(words, "Contact: <sip:demo-p1@127.0.0.1>") and told(words, '"オペレーター01" <sip:1001@x>')
