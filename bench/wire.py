"""What really passed on the loopback interface: each media packet's moment, held against the recordings.

The kernel writes the head of each RTP packet to and from Asterisk, with its time, into a ring in memory (packet(7),
`PACKET_RX_RING`): no process has to keep up meanwhile, and the ring is read at the end. Wants root. What a packet
bears is known by its first bytes: each packet of the sound that SIPp sends is a tone of its own (`voice`).
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import re
import socket
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tests.support.sip import encoded

RATE, BLOCK = 8000, 160
PACKET_S = BLOCK / RATE
TONES = 25
"""Packets with tones of their own, in turn: what is lost in one place is counted up to half of them."""
STEP_HZ = RATE / BLOCK
LOW, HIGH = 6, 36
"""The lowest tone's multiple of 50 Hz: callers speak from 300 to 1,500 Hz, agents from 1,800 to 3,000."""

_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION, _V2 = 263, 5, 6, 10, 1
_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_FRAME, _PAGES = 128, 1 << 18
_HEAD = struct.Struct("=IIIHHII")
_KEPT = 48
"""Bytes of each packet: heads of IP, UDP and RTP without options, and 8 of the sound."""


def voice(low: int) -> bytes:
    """One round of packets, µ-law: each a tone of its own, in which nothing of the others is found."""
    turns = np.arange(BLOCK) / RATE
    return b"".join(
        encoded(0.4 * np.sin(2 * np.pi * (low + number) * STEP_HZ * turns)) for number in range(TONES)
    )


def _marks(low: int) -> dict[bytes, int]:
    sound = voice(low)
    marks = {sound[number * BLOCK :][:8]: number for number in range(TONES)}
    assert len(marks) == TONES
    return marks


@dataclass(frozen=True, slots=True)
class Flow:
    """The packets of one direction of one leg, in the order in which they passed."""

    at: NDArray[np.float64]
    """Seconds since the epoch."""
    tone: NDArray[np.int64]
    """Which packet of the round each one is; -1: no sound of SIPp's."""
    seq: NDArray[np.int64]
    """The sender's own number, counted on beyond 65,535."""

    def between(self, first: float, last: float) -> Flow:
        """What passed from and to these moments, of the sounds that SIPp plays."""
        part = (self.at >= first) & (self.at <= last) & (self.tone >= 0)
        return Flow(self.at[part], self.tone[part], self.seq[part])


@dataclass(frozen=True, slots=True)
class Wire:
    """What passed. Flows by the address at the other end and Asterisk's port."""

    to_asterisk: Mapping[tuple[str, int], Flow]
    from_asterisk: Mapping[tuple[str, int], Flow]
    ports: Mapping[tuple[str, str], int]
    """Asterisk's media port, by the caller's number and the address of the leg's other end."""
    dropped: int
    """Packets for which the ring had no room. Not 0: nothing can be concluded."""


@dataclass(slots=True)
class Tap:
    """Runs between `opened` and `read`."""

    server: str
    _ring: socket.socket
    _memory: mmap.mmap
    _frames: int
    _sip: socket.socket
    _wire: Wire | None = field(default=None)

    def read(self) -> Wire:
        """What has passed so far."""
        flows: tuple[dict[tuple[str, int], list[tuple[float, bytes, int]]], ...] = (
            defaultdict(list),
            defaultdict(list),
        )
        server = socket.inet_aton(self.server)
        for number in range(self._frames):
            at = number * _FRAME
            status, _, length, _, net, seconds, nanos = _HEAD.unpack_from(self._memory, at)
            if not status & 1:
                break
            if length < _KEPT:
                continue
            head = self._memory[at + net : at + net + _KEPT]
            source, target = struct.unpack_from("!HH", head, 20)
            sent = head[12:16] == server
            other = socket.inet_ntoa(head[16:20] if sent else head[12:16])
            (seq,) = struct.unpack_from("!H", head, 30)
            port = source if sent else target
            flows[sent][other, port].append((seconds + nanos / 1e9, head[40:48], seq))
        _, dropped = struct.unpack("=II", self._ring.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        marks = {**_marks(LOW), **_marks(HIGH)}
        into, out = ({leg: _flow(packets, marks) for leg, packets in each.items()} for each in flows)
        return Wire(into, out, dict(self._told()), dropped)

    def _told(self) -> Iterator[tuple[tuple[str, str], int]]:
        """From what Asterisk said by SIP: the caller's number, the other end's address, Asterisk's port."""
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self._sip.recv(65_535)
                text = packet[28:].decode("utf-8", "replace")
                number = re.search(r"(?mi)^From:.*sip:(\d+)@", text)
                port = re.search(r"(?m)^m=audio (\d+)", text)
                if number is not None and port is not None:
                    yield (number[1], socket.inet_ntoa(packet[16:20])), int(port[1])


def _flow(packets: list[tuple[float, bytes, int]], marks: Mapping[bytes, int]) -> Flow:
    seq = np.array([each[2] for each in packets], np.int64)
    turned = np.cumsum(np.diff(seq, prepend=seq[:1]) < -0x8000) - np.cumsum(
        np.diff(seq, prepend=seq[:1]) > 0x8000
    )
    return Flow(
        np.array([each[0] for each in packets]),
        np.array([marks.get(each[1], -1) for each in packets], np.int64),
        seq + 0x10000 * turned,
    )


@contextlib.contextmanager
def tapped(server: str, *, sip_port: int, rtp_first: int, packets: int) -> Iterator[Tap]:
    """Room for so many packets, 128 bytes each. Raises PermissionError without the right to look at packets."""
    per_block = _PAGES // _FRAME
    blocks = -(-packets // per_block)
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as ring,
        said_by(server, sip_port) as sip,
    ):
        ring.setsockopt(_SOL_PACKET, _VERSION, _V2)
        _filter(ring, _media(server, rtp_first))
        asked = struct.pack("=IIII", _PAGES, blocks, _FRAME, blocks * per_block)
        ring.setsockopt(_SOL_PACKET, _RX_RING, asked)
        with mmap.mmap(ring.fileno(), blocks * _PAGES) as memory:
            ring.bind(("lo", _ETH_P_IP))
            yield Tap(server, ring, memory, blocks * per_block, sip)


@contextlib.contextmanager
def said_by(server: str, port: int) -> Iterator[socket.socket]:
    """Each packet that leaves this UDP port, with its heads of IP and UDP; never waits. Raises PermissionError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sip:
        sip.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
        _filter(sip, _said(server, port))
        sip.setblocking(False)
        sip.bind(("lo", _ETH_P_IP))
        yield sip


# Classic BPF (Linux: Documentation/networking/filter.rst): code, jump if true, jump if false, value.
_LD_W, _LD_H, _LD_B, _JEQ, _JGE, _JSET, _RET = 0x20, 0x28, 0x30, 0x15, 0x35, 0x45, 0x06


def _media(server: str, first: int) -> list[tuple[int, int, int, int]]:
    """UDP from or to an even port of the server's, from the first one for media on."""
    (host,) = struct.unpack("!I", socket.inet_aton(server))
    return [
        (_LD_B, 0, 0, 9),
        (_JEQ, 0, 9, 17),
        (_LD_W, 0, 0, 12),
        (_JEQ, 0, 2, host),
        (_LD_H, 0, 0, 20),
        (_JGE, 3, 5, first),
        (_LD_W, 0, 0, 16),
        (_JEQ, 0, 3, host),
        (_LD_H, 0, 0, 22),
        (_JSET, 1, 0, 1),
        (_JGE, 1, 0, first),
        (_RET, 0, 0, 0),
        (_RET, 0, 0, _KEPT),
    ]


def _said(server: str, port: int) -> list[tuple[int, int, int, int]]:
    """UDP from the server's port for SIP."""
    (host,) = struct.unpack("!I", socket.inet_aton(server))
    return [
        (_LD_B, 0, 0, 9),
        (_JEQ, 0, 5, 17),
        (_LD_W, 0, 0, 12),
        (_JEQ, 0, 3, host),
        (_LD_H, 0, 0, 20),
        (_JEQ, 0, 1, port),
        (_RET, 0, 0, 0xFFFF),
        (_RET, 0, 0, 0),
    ]


def _filter(at: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    kept = ctypes.create_string_buffer(code)
    at.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(kept))
    )
