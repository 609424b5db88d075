"""Small SIP user agents on one event loop: callers at the trunk and desk phones, with sound both ways.

Enough of RFC 3261 over UDP to register, call, ring, answer, refuse, hang up or fall silent at a chosen moment, which a
finished phone does not let a test do. Everything that was sent and received is kept, so that a test can read it all.
Sound is G.711 µ-law in 20 ms packets (RFC 3551); digits are RFC 4733 events, or SIP INFO, or tones, as `Keys` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import random
import re
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import cast
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from callcore.phones.simulated.maker import AGENT

DEADLINE_S = 40.0
RATE = 8000
PACKET = 160
"""Samples of one packet: 20 ms."""
PERSON_S = 0.3
"""From an answer to the same hand's first key; 0.12 s of it the phone is not listened to (docs/adr/0075)."""
CODECS = {0: "PCMU", 9: "G722"}
"""RFC 3551 §6. G.722 is called 8000 there for historical reasons; its samples are 16,000 a second."""
EVENT_TYPE = 101
RELAY = "application/dtmf-relay"
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
"""Hz, ITU-T Q.23."""
FORWARDED = "0312345678"
"""Where a phone with the habit FORWARD sends its calls."""
_numbers = itertools.count(1)


async def comes_true(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for what nothing tells us of (a file, sound that comes in): looked at every 20 ms under a deadline."""
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s} s: {what}") from None


class Keys(Enum):
    """How a digit is sent."""

    EVENT = "rfc4733"
    INFO = "info"
    """SIP INFO with `application/dtmf-relay`."""
    TONE = "inband"
    """Two tones (ITU-T Q.23), 100 ms and 100 ms of rest."""


class Habit(Enum):
    """What a phone does with a call that comes in."""

    RING = "ring"
    ANSWER = "answer"
    BUSY = "busy"
    FORWARD = "forward"


@dataclass(slots=True)
class Message:
    """One request or response as it stood on the wire."""

    start: str
    headers: list[tuple[str, str]]
    body: str
    text: str
    at: float = field(default_factory=time.time)
    """When it came, in seconds since the epoch."""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        text = data.decode("utf-8", "replace")
        head, _, body = text.partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        headers = [(k.strip().lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
        return cls(start, headers, body, text)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def status(self) -> int:
        """The code of a response, 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self.get("cseq").split()[1] if self.status else self.start.split()[0]


class Line(asyncio.DatagramProtocol):
    """A UDP socket that hands each datagram to `taken`."""

    def __init__(self, taken: Callable[[bytes], None]) -> None:
        self.taken = taken
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.taken(data)

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])


async def _open(host: str, port: int, taken: Callable[[bytes], None]) -> Line:
    loop = asyncio.get_running_loop()
    _, line = await loop.create_datagram_endpoint(lambda: Line(taken), (host, port))
    return line


def _decode_table() -> NDArray[np.float64]:
    """µ-law byte → sample, -1 to 1 (ITU-T G.711)."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = ((mantissa.astype(np.int32) << 3) + 132 << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude) / 32768.0


_DECODED = _decode_table()


def tone(hertz: float, seconds: float = 1.0) -> bytes:
    """A tone as µ-law bytes; `hertz` a whole number makes it go on without a click when repeated each second."""
    return encoded(0.4 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE))


def encoded(wave: NDArray[np.float64]) -> bytes:
    """Samples of ±1 as the nearest µ-law bytes."""
    order = np.argsort(_DECODED)
    places = np.searchsorted(_DECODED[order], wave).clip(0, 255)
    return bytes(order[places].astype(np.uint8))


def loudness(sound: bytes, hertz: float) -> float:
    """How much of `sound`'s power lies at `hertz` ± 15: 0 none, 1 all. 0 for silence."""
    samples = _DECODED[np.frombuffer(sound, np.uint8)]
    if len(samples) < RATE // 50 or float(np.mean(samples**2)) < 1e-6:
        return 0.0
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    places = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(power[np.abs(places - hertz) < max(15, 3 * RATE / len(samples))].sum() / power.sum())


def decoded(sound: bytes) -> NDArray[np.float64]:
    """The samples of what was heard, -1 to 1."""
    return _DECODED[np.frombuffer(sound, np.uint8)]


def silent(sound: bytes) -> bool:
    samples = _DECODED[np.frombuffer(sound, np.uint8)]
    return len(samples) == 0 or float(np.mean(samples**2)) < 1e-6


@dataclass(slots=True)
class Call:
    """One dialog of one agent, with its sound."""

    agent: Agent
    ident: str
    local: str
    remote: str
    target: str
    media: Line | None = None
    sound: bytes = field(default_factory=lambda: b"\xff" * RATE)
    """Said over and over while there is a call; µ-law."""
    heard: bytearray = field(default_factory=bytearray)
    events: list[str] = field(default_factory=list)
    """The keys that were heard as RFC 4733 events, each once."""
    packets: list[tuple[float, int]] = field(default_factory=list)
    """(loop time of arrival, RTP timestamp) of each packet that was heard."""
    state: str = "new"
    """new, ringing, up, or how it ended: `bye`, `cancelled`, `hung_up`, `gone`, or the final status code."""
    invite: Message | None = None
    incoming: bool = False
    remote_media: tuple[str, int] | None = None
    cseq: int = 1
    far: str = ""
    """The other side with its tag, as soon as it is known: of a call that rings, too."""
    task: asyncio.Task[None] | None = None
    crosses: bool = False
    """A CANCEL and the 200 to its INVITE are to pass each other on the wire (RFC 3261 §9.1): who called sends the
    CANCEL once the 200 has come, and who is called answers once the CANCEL has come."""
    speaks: bool = True
    """Sends sound at all, if its agent does."""
    late_s: float = 0.0
    """Keeps its sound back for so long, once, and then sends all of it, as a network with jitter does."""
    up_at: float = 0.0
    """Loop time of the answer."""
    onward: Call | None = None
    """Another call of the same side, to which what is heard here is passed on; nothing else is said in either."""
    _digits: list[str] = field(default_factory=list)
    _cancelled: bool = False

    @property
    def over(self) -> bool:
        return self.state not in ("new", "ringing", "up")

    async def until(self, *states: str, within_s: float = DEADLINE_S) -> None:
        """Wait until the call is in one of these states."""
        try:
            async with asyncio.timeout(within_s), self.agent.news:
                while self.state not in states:
                    await self.agent.news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.agent.user}: {self.state}, not {states}") from None

    async def hears(self, seconds: float) -> bytes:
        """The next `seconds` of sound that come in."""
        start = len(self.heard)
        enough = start + int(seconds * RATE)
        await comes_true(lambda: len(self.heard) >= enough, f"{seconds} s of sound", seconds + DEADLINE_S)
        return bytes(self.heard[start:enough])

    def answer(self) -> None:
        assert self.invite is not None
        self.agent.respond(self.invite, 200, "OK", self.local, self.agent.sdp(self))
        self._talk()

    def speaks_early(self) -> None:
        """Sound before the answer: 183, as of a network that plays something itself (RFC 3960); of who called, once
        that has come."""
        if self.incoming:
            assert self.invite is not None
            self.agent.respond(self.invite, 183, "Session Progress", self.local, self.agent.sdp(self))
        self.task = asyncio.create_task(self._send())

    def hang_up(self) -> None:
        """BYE; before the answer CANCEL, or 486 where the call came in."""
        if self.state == "up":
            self.cseq += 1
            self.agent.request("BYE", self)
            self.end("hung_up")
        elif self.invite is not None and self.incoming:
            self.agent.respond(self.invite, 486, "Busy Here", self.local)
            self.end("486")
        elif self.invite is not None:
            self._cancelled = True
            self.agent.request("CANCEL", self)

    def decline(self) -> None:
        """603 to a call that rings."""
        assert self.invite is not None
        self.agent.respond(self.invite, 603, "Decline", self.local)
        self.end("603")

    def join(self, other: Call) -> None:
        """As a carrier does: each of the two hears what comes in on the other, and they end together."""
        self.onward, other.onward = other, self

    async def hold(self) -> None:
        """The hold key: a re-INVITE that only sends (RFC 3264 §8.4)."""
        await asyncio.sleep(self._before_a_key())
        await self._offer_again("sendonly")

    def _before_a_key(self) -> float:
        """Seconds until a person who has just answered can have pressed a key of the phone."""
        return max(0.0, self.up_at + PERSON_S - asyncio.get_running_loop().time()) if self.incoming else 0.0

    async def resume(self) -> None:
        await self._offer_again("sendrecv")

    async def refer(self, target: str, consult: Call | None = None) -> Message:
        """The transfer key: REFER to `target`, a number (RFC 3515); with `consult` what it replaces (RFC 3891), which
        may be ringing still. Returns the answer to the REFER; what became of it is told by NOTIFY (`referred`)."""
        uri = f"sip:{target}@{self.agent.pbx[0]}:{self.agent.pbx[1]}"
        if consult is not None:
            await consult.until(
                "ringing", "up"
            )  # before, the consult has no tag of the far side that could be named
            tags = [part.partition(";tag=")[2] for part in (consult.far, consult.local)]
            uri += "?Replaces=" + quote(f"{consult.ident};to-tag={tags[0]};from-tag={tags[1]}", safe="")
        self.cseq += 1
        self.agent.request(
            "REFER", self, f"Refer-To: <{uri}>\r\nReferred-By: {self.local.partition(';')[0]}\r\n"
        )
        return await self.agent.answer_to(self)

    @property
    def referred(self) -> list[int]:
        """The status codes that NOTIFY told of the transfer, one after the other."""
        told = [m for m in self.agent.messages if m.method == "NOTIFY" and m.get("call-id") == self.ident]
        return [int(m.body.split()[1]) for m in told if m.body.startswith("SIP/2.0")]

    async def _offer_again(self, direction: str) -> None:
        self.cseq += 1
        self.agent.request("INVITE", self, body=self.agent.sdp(self, direction))
        answer = await self.agent.answer_to(self)
        assert answer.status == 200, answer.text

    def press(self, digits: str) -> None:
        """Key digits, one after another."""
        if self.agent.keys is not Keys.INFO:
            self._digits += list(digits)
            return
        for sign in digits:
            self.cseq += 1
            self.agent.request("INFO", self, "", f"Signal={sign}\r\nDuration=100\r\n", kind=RELAY)

    @property
    def keyed(self) -> bool:
        """The last of the keys is being sent, or has been."""
        return not self._digits

    def vanish(self) -> None:
        """Lose power: no BYE, no more sound, no answer to anything."""
        self.agent.dead = True
        self.end("gone")

    def end(self, how: str) -> None:
        self.state = how
        if self.task is not None:
            self.task.cancel()
        self.agent.changed()
        if self.onward is not None and not self.onward.over:
            self.onward.hang_up()

    def take_sound(self, data: bytes) -> None:
        if self.onward is not None and self.onward.media is not None and self.onward.remote_media is not None:
            self.onward.media.transport.sendto(data, self.onward.remote_media)
        if data[1] & 127 == EVENT_TYPE and data[1] & 128:  # the marker bit: the first packet of a key
            self.events.append("0123456789*#"[data[12]])
        if data[1] & 127 == self.agent.codec:
            self.heard += data[12:]
            self.packets.append((asyncio.get_running_loop().time(), struct.unpack("!I", data[4:8])[0]))

    def _talk(self) -> None:
        if self.state != "up":
            self.state = "up"
            self.up_at = asyncio.get_running_loop().time()
            self.task = self.task or asyncio.create_task(self._send())
            self.agent.changed()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        ssrc = random.getrandbits(32)
        # RFC 3550 §5.1: both begin anywhere. An Asterisk that holds them against another source drops the sound.
        first, zero = random.getrandbits(16), random.getrandbits(32)
        event: Iterator[tuple[int, bytes]] = iter(())
        began = 0
        for n in itertools.count():
            if self.late_s:
                self.late_s = await asyncio.sleep(self.late_s, 0.0)
            stamp = n * PACKET
            following = next(event, None)
            if following is None and self._before_a_key() > 0:
                pass
            elif following is None and self._digits and self.agent.keys is Keys.TONE:
                tones = _tones(self._digits.pop(0))
                event = iter([(0, tones[at : at + PACKET]) for at in range(0, len(tones), PACKET)])
                following = next(event)
            elif following is None and self._digits:
                event, began = _digit(self._digits.pop(0)), stamp
                following = next(event)
            if following is not None and self.agent.keys is Keys.TONE:
                kind, payload, at = 0, following[1], stamp
            elif following is not None:
                kind, payload, at = EVENT_TYPE | following[0], following[1], began
            else:
                place = stamp % len(self.sound)
                kind, payload, at = 0, (self.sound * 2)[place : place + PACKET], stamp
            header = struct.pack("!BBHII", 0x80, kind, (first + n) & 0xFFFF, (zero + at) & 0xFFFFFFFF, ssrc)
            speaks = self.speaks and self.agent.speaks and self.onward is None
            if self.media is not None and self.remote_media is not None and speaks:
                self.media.transport.sendto(header + payload, self.remote_media)
            ahead = begin + (n + 1) * 0.02 - loop.time()
            if following is not None and ahead < 0:  # a key that comes in a burst is told twice by Asterisk
                begin -= ahead
                ahead = 0.02
            await asyncio.sleep(max(0.0, ahead))


def _digit(sign: str) -> Iterator[tuple[int, bytes]]:
    """The packets of one key, 100 ms long and 60 ms of rest: (marker bit, payload). RFC 4733 §2.3."""
    code = "0123456789*#".index(sign)
    for n in range(1, 6):
        yield (0x80 if n == 1 else 0), struct.pack("!BBH", code, 10, n * PACKET)
    for _ in range(3):
        yield 0, struct.pack("!BBH", code, 0x80 | 10, 5 * PACKET)


def _tones(sign: str) -> bytes:
    """One key as µ-law: its row's and its column's frequency together, then silence."""
    row, column = divmod("123A456B789C*0#D".index(sign), 4)
    at = np.arange(RATE // 10) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * at) for hertz in (ROWS[row], COLUMNS[column]))
    return encoded(0.25 * wave) + b"\xff" * (RATE // 10)


@dataclass(slots=True)
class Lamp:
    """A key's light, as the latest NOTIFY has it."""

    agent: Agent
    ident: str

    @property
    def told(self) -> list[tuple[float, str]]:
        """When (in seconds since the epoch) it was told to be `off`, `steady` or `flashing`."""
        found = []
        for message in self.agent.messages:
            if message.method == "NOTIFY" and message.get("call-id") == self.ident:
                state = re.search(r"<state[^>]*>(\w+)</state>", message.body)
                if state is not None:
                    words = {"terminated": "off", "confirmed": "steady", "early": "flashing"}
                    found.append((message.at, words[state[1]]))
        return found

    @property
    def shown(self) -> str | None:
        """What it shows now; None: nothing was told yet."""
        told = self.told
        return told[-1][1] if told else None

    async def shows(self, wanted: str, within_s: float = DEADLINE_S) -> None:
        await comes_true(
            lambda: self.shown == wanted, f"{self.agent.user}: {wanted}, not {self.shown}", within_s
        )


class Agent:
    """One user agent at one address. Made by `sip_agent`."""

    def __init__(self, host: str, user: str, pbx: tuple[str, int], password: str = "") -> None:
        self.host = host
        self.user = user
        self.pbx = pbx
        self.password = password
        self.habit = Habit.RING
        self.deaf_to: set[str] = set()
        """Methods that it leaves without an answer."""
        self.user_agent = AGENT
        """What it calls itself: a simulated phone, unless a test says otherwise."""
        self.display = ""
        """The name in `From`."""
        self.more = ""
        """Further header lines of its INVITEs."""
        self.speaks = True
        self.keys = Keys.EVENT
        """How digits are sent. Events are offered in the SDP only where they are used."""
        self.codec = 0
        """RTP payload type: the only one that is offered and heard. What is said stays µ-law."""
        self.dead = False
        self.messages: list[Message] = []
        """All that came in."""
        self.sent: list[str] = []
        self.calls: list[Call] = []
        self.news = asyncio.Condition()
        self.sip: Line
        self._jobs: set[asyncio.Task[None]] = set()
        self._closes = False

    def changed(self) -> None:
        async def tell() -> None:
            async with self.news:
                self.news.notify_all()

        job = asyncio.get_running_loop().create_task(tell())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    # ---- what a test does ----

    async def register(self, expires: int = 120) -> None:
        call = Call(
            self, f"r{next(_numbers)}@{self.host}", self._me(), f"<sip:{self.user}@{self.pbx[0]}>", ""
        )
        status = await self._transact(
            call, "REGISTER", f"sip:{self.pbx[0]}:{self.pbx[1]}", f"Expires: {expires}\r\n"
        )
        assert status.status == 200, status.text

    async def watch(self, number: str, expires: int = 3600) -> Lamp:
        """SUBSCRIBE to the lamp of that key (dialog-info, RFC 4235)."""
        uri = f"sip:{number}@{self.pbx[0]}:{self.pbx[1]}"
        call = Call(self, f"s{next(_numbers)}@{self.host}", self._me(), f"<{uri}>", uri)
        asked = f"Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: {expires}\r\n"
        digest = ""
        for _ in range(2):
            self.request("SUBSCRIBE", call, asked + digest, uri=uri)
            answer = await self.answer_to(call)
            if answer.status != 401:
                break
            digest = self._digest(answer, "SUBSCRIBE", uri)
            call.cseq += 1
        assert answer.status in (200, 202), answer.text
        return Lamp(self, call.ident)

    async def call(self, number: str, sound: bytes | None = None) -> Call:
        """Send an INVITE; the call's state tells the rest."""
        uri = f"sip:{number}@{self.pbx[0]}:{self.pbx[1]}"
        call = Call(self, f"c{next(_numbers)}@{self.host}", self._me(), f"<{uri}>", uri)
        if sound is not None:
            call.sound = sound
        call.media = await _open(self.host, 0, call.take_sound)
        self.calls.append(call)
        self._send_invite(call, self.more)
        return call

    async def rings(self, number: int = 1) -> Call:
        """The call that comes in and rings; `number` counts from the first."""
        try:
            async with asyncio.timeout(DEADLINE_S), self.news:
                while len(incoming := [c for c in self.calls if c.incoming]) < number:
                    await self.news.wait()
                return incoming[number - 1]
        except TimeoutError:
            raise AssertionError(f"{self.user} was not rung {number} times") from None

    # ---- the wire ----

    def _me(self) -> str:
        name = f'"{self.display}" ' if self.display else ""
        return f"{name}<sip:{self.user}@{self.host}>;tag={random.getrandbits(40):x}"

    def sdp(self, call: Call, direction: str = "sendrecv") -> str:
        assert call.media is not None
        events = self.keys is Keys.EVENT
        return (
            f"v=0\r\no=- 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            f"m=audio {call.media.port} RTP/AVP {self.codec}{f' {EVENT_TYPE}' if events else ''}\r\n"
            f"a=rtpmap:{self.codec} {CODECS[self.codec]}/8000\r\n"
            + (
                f"a=rtpmap:{EVENT_TYPE} telephone-event/8000\r\na=fmtp:{EVENT_TYPE} 0-16\r\n"
                if events
                else ""
            )
            + f"a=ptime:20\r\na={direction}\r\n"
        )

    def _put(self, text: str) -> None:
        if not self.dead:
            self.sent.append(text)
            self.sip.transport.sendto(text.encode(), self.pbx)

    def request(
        self,
        method: str,
        call: Call,
        more: str = "",
        body: str = "",
        uri: str = "",
        branch: str = "",
        kind: str = "application/sdp",
    ) -> None:
        branch = branch or f"z9hG4bK{random.getrandbits(48):x}"
        if method == "CANCEL":  # the same transaction as its INVITE (RFC 3261 §9.1)
            assert call.invite is not None
            branch, uri = call.invite.text.split("branch=")[1].split("\r\n")[0], f"sip:{call.target[4:]}"
        content = f"Content-Type: {kind}\r\n" if body else ""
        self._put(
            f"{method} {uri or call.target} SIP/2.0\r\nVia: SIP/2.0/UDP {self.host}:{self.sip.port};branch={branch}\r\n"
            f"Max-Forwards: 70\r\nFrom: {call.local}\r\nTo: {call.remote}\r\nCall-ID: {call.ident}\r\n"
            f"CSeq: {call.cseq} {method}\r\nContact: <sip:{self.user}@{self.host}:{self.sip.port}>\r\n"
            f"User-Agent: {self.user_agent}\r\n{more}{content}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def _send_invite(self, call: Call, more: str) -> None:
        branch = f"z9hG4bK{random.getrandbits(48):x}"
        self.request("INVITE", call, more, self.sdp(call), branch=branch)
        call.invite = Message("SIP/2.0 0", [], "", f"branch={branch}\r\n")

    async def _transact(self, call: Call, method: str, uri: str, more: str) -> Message:
        call.remote = call.local.partition(";")[0]
        digest = ""
        for _ in range(2):
            self.request(method, call, more + digest, uri=uri)
            answer = await self.answer_to(call)
            if answer.status not in (401, 407):
                break
            digest = self._digest(answer, method, uri)
            call.cseq += 1
        return answer

    async def answer_to(self, call: Call) -> Message:
        """The final response to the call's latest request."""

        def found() -> list[Message]:
            return [
                m
                for m in self.messages
                if m.status >= 200
                and m.get("call-id") == call.ident
                and m.get("cseq").startswith(f"{call.cseq} ")
            ]

        async with asyncio.timeout(DEADLINE_S), self.news:
            while not found():
                await self.news.wait()
        return found()[0]

    def _digest(self, answer: Message, method: str, uri: str) -> str:
        """RFC 2617 §3.2.2 with qop=auth."""
        asked = dict(re.findall(r'(\w+)="?([^",]*)"?', answer.get("www-authenticate")))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        first = md5(f"{self.user}:{asked['realm']}:{self.password}")
        response = md5(f"{first}:{asked['nonce']}:00000001:c0ffee:auth:{md5(f'{method}:{uri}')}")
        return (
            f'Authorization: Digest username="{self.user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", '
            f'uri="{uri}", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c0ffee"'
            + (f', opaque="{asked["opaque"]}"' if "opaque" in asked else "")
            + "\r\n"
        )

    def respond(
        self, request: Message, code: int, reason: str, to: str = "", body: str = "", contact: str = ""
    ) -> None:
        vias = "".join(f"Via: {via}\r\n" for via in request.all("via"))
        content = "Content-Type: application/sdp\r\n" if body else ""
        self._put(
            f"SIP/2.0 {code} {reason}\r\n{vias}From: {request.get('from')}\r\nTo: {to or request.get('to')}\r\n"
            f"Call-ID: {request.get('call-id')}\r\nCSeq: {request.get('cseq')}\r\n"
            f"Contact: <{contact or f'sip:{self.user}@{self.host}:{self.sip.port}'}>\r\n{content}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def taken(self, data: bytes) -> None:
        if self.dead or not data.strip():
            return
        message = Message.parse(data)
        self.messages.append(message)
        if message.status:
            self._take_response(message)
        else:
            self._take_request(message)
        self.changed()

    def _find(self, message: Message) -> Call | None:
        return next((call for call in self.calls if call.ident == message.get("call-id")), None)

    def _take_response(self, message: Message) -> None:
        call = self._find(message)
        if call is None or message.method != "INVITE":
            return
        if 100 < message.status < 200:
            call.state, call.far = "ringing", message.get("to")
            if message.body:
                call.remote_media = _media(message.body)
        elif message.status >= 200:
            if call.crosses and message.status == 200:
                self.request("CANCEL", call)
            call.remote = call.far = message.get("to")
            if message.status == 200:
                call.target = message.get("contact").strip("<>")
            self.request("ACK", call, branch=message.get("via").split("branch=")[1].split(";")[0])
            if message.status == 200:
                call.remote_media = _media(message.body)
                call._talk()
                if call.crosses or call._cancelled:  # it was too late
                    call.hang_up()
            elif message.status == 401 and call.cseq == 1:
                call.cseq += 1
                call.remote = f"<{call.target}>"
                self._send_invite(call, self._digest(message, "INVITE", call.target))
            elif call.state != "up" or message.status in (408, 481):  # else the dialog goes on as it was
                call.end("cancelled" if message.status == 487 else str(message.status))

    def _take_request(self, message: Message) -> None:
        call = self._find(message)
        if message.method == "INVITE" and call is None and not self._closes:
            job = asyncio.get_running_loop().create_task(self._incoming(message))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        elif message.method == "INVITE" and call is not None and call.state == "up":
            self.respond(message, 200, "OK", call.local, self.sdp(call))
        elif message.method == "CANCEL" and call is not None:
            if call.crosses and call.state == "ringing":
                call.answer()
            self.respond(message, 200, "OK")
            if call.invite is not None and not call.over and call.state != "up":
                self.respond(call.invite, 487, "Request Terminated", call.local)
                call.end("cancelled")
        elif message.method == "BYE" and call is not None and "BYE" not in self.deaf_to:
            self.respond(message, 200, "OK")
            call.end("bye")
        elif message.method in ("OPTIONS", "NOTIFY", "UPDATE") and message.method not in self.deaf_to:
            self.respond(message, 200, "OK")

    async def _incoming(self, message: Message) -> None:
        if self._find(message) is not None:
            return  # sent again before we had answered
        local = f"{message.get('to')};tag={random.getrandbits(40):x}"
        call = Call(
            self, message.get("call-id"), local, message.get("from"), message.get("contact").strip("<>")
        )
        call.invite = message
        call.remote_media = _media(message.body)
        self.calls.append(call)
        if self.habit is Habit.BUSY:
            self.respond(message, 486, "Busy Here", local)
            call.end("486")
        elif self.habit is Habit.FORWARD:
            self.respond(message, 302, "Moved", local, contact=f"sip:{FORWARDED}@{self.pbx[0]}:{self.pbx[1]}")
            call.end("302")
        else:
            call.media = await _open(self.host, 0, call.take_sound)
            call.state, call.incoming = "ringing", True
            self.respond(message, 180, "Ringing", local)
            if self.habit is Habit.ANSWER:
                call.answer()
        self.changed()

    async def close(self) -> None:
        self._closes = True
        while self._jobs:
            await asyncio.gather(*self._jobs)
        for call in self.calls:
            if not call.over:
                call.hang_up()
            if call.task is not None:
                call.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call.task
            if call.media is not None:
                call.media.transport.close()
        while self._jobs:
            await asyncio.gather(*self._jobs)
        self.sip.transport.close()


def _media(body: str) -> tuple[str, int] | None:
    host = re.search(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (host[1], int(port[1])) if host and port else None


@asynccontextmanager
async def sip_agent(
    host: str, user: str, pbx: tuple[str, int], password: str = "", port: int = 0
) -> AsyncIterator[Agent]:
    """A user agent for one block; its calls end with it. `port` 0: any that is free."""
    agent = Agent(host, user, pbx, password)
    agent.sip = await _open(host, port, agent.taken)
    try:
        yield agent
    finally:
        await agent.close()
