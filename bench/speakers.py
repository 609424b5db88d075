"""Speaks for SIPp's callers and agents: a packet every 20 ms, on time, as phones do that have a processor of their own.

    python -m bench.speakers SERVER SIP_PORT CALLERS AGENTS

SIPp's own player sends on a machine at rest one packet of a hundred 20 ms late, and then two together. This one sees
where Asterisk wants the sound of a call by listening to what Asterisk says by SIP (as root): a caller speaks from
Asterisk's 200 on, an agent from its ACK, until a BYE. CALLERS and AGENTS are addresses of theirs. Says `listening` when
it does, and ends by SIGTERM.

Put first by niceness, and not in the real-time class: there it kept threads of Asterisk waiting that wanted the same
core (one packet of a hundred by 27 ms and more, 130 ms at most), and each of 150 talks had gaps.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import random
import re
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from bench import wire

_NICE = -12
_REST_S = 0.001
"""Between two looks at SIP while nobody is due."""


class Speaker:
    """One side of one call."""

    def __init__(self, here: str, server: str, port: int, low: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # nobody listens
        self.socket.bind((here, 0))
        self.socket.connect((server, port))
        self.socket.setblocking(False)
        self.packets = _PACKETS[low]
        self.sent = 0
        self.seq, self.stamp, self.source = (random.getrandbits(bits) for bits in (16, 32, 32))

    def speak(self) -> None:
        n = self.sent
        head = struct.pack(
            "!BBHII",
            *(0x80, 0x80 if n == 0 else 0, (self.seq + n) & 0xFFFF),
            *((self.stamp + n * wire.BLOCK) & 0xFFFFFFFF, self.source),
        )
        self.sent = n + 1
        try:
            self.socket.send(head + self.packets[n % wire.TONES])
        except OSError:  # the other end is gone
            return


def _packets(low: int) -> list[bytes]:
    sound = wire.voice(low)
    return [sound[n * wire.BLOCK : (n + 1) * wire.BLOCK] for n in range(wire.TONES)]


_PACKETS = {low: _packets(low) for low in (wire.LOW, wire.HIGH)}


class Line:
    """What is known of the calls, by Call-ID."""

    def __init__(self, server: str, sides: dict[str, int]) -> None:
        self.server, self.sides = server, sides
        self.ports: dict[str, int] = {}
        self.speaking: dict[str, Speaker] = {}

    def hears(self, packet: bytes) -> Speaker | None:
        """Who begins to speak by this message of Asterisk's."""
        text = packet[28:].decode("utf-8", "replace")
        there = socket.inet_ntoa(packet[16:20])
        call = re.search(r"(?mi)^Call-ID: *(\S+)", text)
        if call is None or there not in self.sides:
            return None
        name, port = call[1], re.search(r"(?m)^m=audio (\d+)", text)
        if port is not None:
            self.ports[name] = int(port[1])
        inviting = re.search(r"(?mi)^CSeq: *\d+ INVITE", text) is not None
        begins = text.startswith("ACK") or (text.startswith("SIP/2.0 200") and inviting)
        if text.startswith("BYE") or (
            text.startswith("SIP/2.0 200") and re.search(r"(?mi)^CSeq: *\d+ BYE", text)
        ):
            gone = self.speaking.get(name)
            if gone is not None:
                gone.sent = -1
        if not begins or name in self.speaking or name not in self.ports:
            return None
        self.speaking[name] = Speaker(there, self.server, self.ports[name], self.sides[there])
        return self.speaking[name]


def main() -> None:
    server, sip_port, callers, agents = sys.argv[1:5]
    line = Line(
        server, {**dict.fromkeys(callers.split(","), wire.LOW), **dict.fromkeys(agents.split(","), wire.HIGH)}
    )
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    os.setsid()
    with contextlib.suppress(OSError):  # a kernel that does not share by sessions
        Path("/proc/self/autogroup").write_text(str(_NICE))
    os.nice(_NICE)
    gc.disable()
    due: list[tuple[float, int, Speaker]] = []
    count = 0
    with wire.said_by(server, int(sip_port)) as sip:
        print("listening", flush=True)
        while not ended:
            now = time.monotonic()
            while due and due[0][0] <= now:
                at, number, speaker = due[0]
                if speaker.sent < 0:
                    heapq.heappop(due)
                    speaker.socket.close()
                    continue
                speaker.speak()
                heapq.heapreplace(due, (at + wire.PACKET_S, number, speaker))
                now = time.monotonic()
            try:
                begins = line.hears(sip.recv(65_535))
            except BlockingIOError:
                rest = due[0][0] - time.monotonic() if due else _REST_S
                if rest > 0:
                    time.sleep(min(rest, _REST_S))
                continue
            if begins is not None:
                count += 1
                heapq.heappush(due, (time.monotonic(), count, begins))


if __name__ == "__main__":
    main()
