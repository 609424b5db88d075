"""Speaks for SIPp's callers and agents: a packet every 20 ms, on time, as phones do that have a processor of their own.

    python -m bench.speakers SERVER SIP_PORT CALLERS AGENTS

SIPp's own player sends on a machine at rest one packet of a hundred 20 ms late, and then two together. This one sees
where Asterisk wants the sound of a call by listening to what Asterisk says by SIP (as root): a caller speaks from
Asterisk's 200 on, an agent from its ACK, until a BYE. CALLERS and AGENTS are addresses of theirs. Says `listening` when
it does, and ends by SIGTERM.

Every 4 ms the packets then due leave by one call of the kernel's for each address (sendmmsg(2)), 60 of 300 talkers. It
runs in the real-time class, which it may for it is done in half a millisecond: with a call and some lines of Python for
each packet it took most of a core, so that in that class it kept threads of Asterisk waiting, and out of it fell
behind, by 88 ms on a machine at rest, by seconds on a slower one. Every millisecond was more often than it need be:
half of what it used of a core was Python then.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import random
import re
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from bench import wire

_SLOTS = 5
_SLOT_S = wire.PACKET_S / _SLOTS
_MOST = 64
"""Talkers of one address in one slot."""
_PACKET = np.dtype(
    [
        *(("version", "u1"), ("kind", "u1"), ("seq", ">u2"), ("stamp", ">u4"), ("source", ">u4")),
        ("sound", "u1", (wire.BLOCK,)),
    ]
)
_MESSAGE = np.dtype(
    [
        *(("name", "u8"), ("name_len", "u8"), ("parts", "u8"), ("parts_len", "u8"), ("control", "u8")),
        *(("control_len", "u8"), ("flags", "u8"), ("sent", "u8")),
    ]
)
"""`struct mmsghdr` of a machine of 64 bits (recvmsg(2), sendmmsg(2))."""
_libc = ctypes.CDLL(None, use_errno=True)


def _sounds(low: int) -> np.ndarray:
    return np.frombuffer(wire.voice(low), "u1").reshape(wire.TONES, wire.BLOCK)


class Slot:
    """Those of one address who speak at the same moment of each 20 ms."""

    def __init__(self, at: socket.socket, low: int) -> None:
        self.socket, self.sounds = at, _sounds(low)
        self.calls: list[str] = []
        self.sent = np.zeros(_MOST, np.int64)
        self.packets = np.zeros(_MOST, _PACKET)
        self.names = np.zeros((_MOST, 16), "u1")
        self.parts = np.zeros((_MOST, 2), "u8")
        self.messages = np.zeros(_MOST, _MESSAGE)
        places = np.arange(_MOST, dtype="u8")
        self.parts[:, 0] = self.packets.ctypes.data + places * _PACKET.itemsize
        self.parts[:, 1] = _PACKET.itemsize
        self.messages["name"] = self.names.ctypes.data + places * 16
        self.messages["name_len"] = 16
        self.messages["parts"] = self.parts.ctypes.data + places * 16
        self.messages["parts_len"] = 1

    def add(self, call: str, server: str, port: int) -> None:
        n = len(self.calls)
        self.calls.append(call)
        self.names[n] = np.frombuffer(
            struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(server) + bytes(8),
            "u1",
        )
        self.sent[n] = 0
        self.packets[n] = (
            *(0x80, 0x80, random.getrandbits(16), random.getrandbits(32), random.getrandbits(32)),
            self.sounds[0],
        )

    def drop(self, call: str) -> None:
        n, last = self.calls.index(call), len(self.calls) - 1
        self.calls[n] = self.calls[last]
        self.calls.pop()
        for each in (self.sent, self.packets, self.names):
            each[n] = each[last]

    def speak(self) -> None:
        n = len(self.calls)
        if not n:
            return
        done = 0
        while done < n:
            sent = _libc.sendmmsg(
                self.socket.fileno(),
                ctypes.c_void_p(self.messages.ctypes.data + done * _MESSAGE.itemsize),
                n - done,
                0,
            )
            done += max(1, sent)  # the other end of the first one is gone
        packets = self.packets[:n]
        self.sent[:n] += 1
        packets["kind"] = 0
        packets["seq"] += 1
        packets["stamp"] += wire.BLOCK
        packets["sound"] = self.sounds[self.sent[:n] % wire.TONES]


@dataclass(slots=True)
class Line:
    """What is known of the calls, by Call-ID."""

    server: str
    slots: dict[str, list[Slot]]
    """By address, in the order of their moments."""
    ports: dict[str, int] = field(default_factory=dict)
    speaking: dict[str, Slot] = field(default_factory=dict)

    def hears(self, packet: bytes, turn: int) -> None:
        """Who begins to speak, or ends, by this message of Asterisk's; slot `turn` is the next one."""
        text = packet[28:].decode("utf-8", "replace")
        there = socket.inet_ntoa(packet[16:20])
        call = re.search(r"(?mi)^Call-ID: *(\S+)", text)
        if call is None or there not in self.slots:
            return
        name, port = call[1], re.search(r"(?m)^m=audio (\d+)", text)
        if port is not None:
            self.ports[name] = int(port[1])
        answer = re.search(r"(?mi)^CSeq: *\d+ (\w+)", text) if text.startswith("SIP/2.0 200") else None
        asked = answer[1] if answer is not None else ""
        if (text.startswith("BYE") or asked == "BYE") and name in self.speaking:
            slot = self.speaking[name]
            if name in slot.calls:
                slot.drop(name)
        if (text.startswith("ACK") or asked == "INVITE") and name not in self.speaking and name in self.ports:
            slots = self.slots[there]
            slot = next(
                each for n in range(_SLOTS) if len((each := slots[(turn + n) % _SLOTS]).calls) < _MOST
            )
            slot.add(name, self.server, self.ports[name])
            self.speaking[name] = slot


def _talkers(addresses: str, low: int) -> dict[str, list[Slot]]:
    found = {}
    for address in addresses.split(","):
        at = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        at.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # nobody listens
        at.bind((address, 0))
        found[address] = [Slot(at, low) for _ in range(_SLOTS)]
    return found


def main() -> None:
    server, sip_port, callers, agents = sys.argv[1:5]
    line = Line(server, {**_talkers(callers, wire.LOW), **_talkers(agents, wire.HIGH)})
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.disable()
    with wire.said_by(server, int(sip_port)) as sip:
        print("listening", flush=True)
        turn, due = 0, time.monotonic()
        while not ended:
            rest = due - time.monotonic()
            if rest > 0:
                time.sleep(rest)
            for slots in line.slots.values():
                slots[turn].speak()
            turn, due = (turn + 1) % _SLOTS, due + _SLOT_S
            with contextlib.suppress(BlockingIOError):
                while True:
                    line.hears(sip.recv(65_535), turn)


if __name__ == "__main__":
    main()
