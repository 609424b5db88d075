"""What a simulated party hears, written to a WAV file on the clock of the wall.

baresip's filter `sndfile` dumps each decoded packet as it arrives, which is exact but knows no pauses: where
no packet came, nothing is written. An `Ear` follows the dump while it grows and puts silence where packets
were missing, so that a position in the recording is a moment of the call. A packet that was late is no missing
one: what it delayed has come by `SETTLE_S` later, on a busy machine too, and only what is behind then is a pause.

baresip's own recording player, `aufile`, keeps the clock too, but cannot be used: when a call is put on hold,
baresip 1.1 stops the player twice within a thread's start, and the player frees itself under its thread.

When the direction of a call's audio changes (this phone holds, or is held by a re-INVITE), baresip 1.1
forgets the filter: the party hears on, but its recording ends there. A caller whom Asterisk gives music gets
no re-INVITE and is recorded throughout.
"""

from __future__ import annotations

import os
import time
import wave
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from callcore.demo.sounds import RATE
from callcore.domain.ids import SECOND, Instant

PACKET_S = 0.02
POLL_S = PACKET_S
"""The resolution of `Recording.began` and of a pause's place."""

PAUSE_S = 0.06
"""Audio that is less than this behind the clock is jitter; more is a pause, and is filled up to the clock."""

SETTLE_S = 1.0
"""How long audio is kept back, to tell a late packet from one that never came. The recording lags by as much."""

HEADER = 44
"""Bytes before the samples in libsndfile's 16 bit WAV files."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a party heard: a WAV file (8 kHz, mono, 16 bit), readable and growing while the call lasts."""

    path: Path
    began: Instant
    """When the first packet arrived, within 20 ms."""
    pauses: Sequence[tuple[float, float]] = ()
    """Where silence was put in because nothing came: position and length in seconds. Grows with the file."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    data: bytes
    at: float
    behind: int
    """Samples by which all that was heard by then, this included, is behind the clock."""


class Ear:
    """Follows the dumps of one call. `folder` is where baresip writes them, `path` the recording."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path = path
        self._out: wave.Wave_write | None = None
        self._file: FileIO | None = None
        self._dump: int | None = None
        self._began = 0.0  # when the first packet's sound began: a packet's length before it arrived
        self._heard = 0
        self._written = 0
        self._silence = 0
        self._pauses: list[tuple[float, float]] = []
        self._pending: deque[_Chunk] = deque()
        self.recording: Recording | None = None
        """`None` as long as nothing was heard."""

    def listen(self) -> None:
        """Take in what has arrived since the last time."""
        self._follow_newest()
        if self._dump is None:
            return
        now = time.time()
        data = bytearray()
        while part := os.read(self._dump, 1 << 16):
            data += part
        del data[len(data) & ~1 :]
        if data:
            self._take(bytes(data), now)
        self._settle(now - SETTLE_S)

    def close(self) -> None:
        """Take in the rest and finish the file."""
        self.listen()
        self._settle(float("inf"))
        if self._dump is not None:
            os.close(self._dump)
            self._dump = None
        if self._out is not None:
            self._out.close()
            self._out = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, data: bytes, now: float) -> None:
        count = len(data) // 2
        if self._out is None:
            self._began = now - count / RATE
            # Unbuffered, so that others can read along.
            self._file = self._path.open("wb", buffering=0)
            self._out = wave.open(self._file, "wb")  # noqa: SIM115 - open while the call lasts
            self._out.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        self._heard += count
        self._pending.append(_Chunk(data, now, round((now - self._began) * RATE) - self._heard))

    def _settle(self, before: float) -> None:
        """Write what arrived up to `before`, with silence where audio was missing and did not come later."""
        while self._pending and self._pending[0].at <= before:
            assert self._out is not None
            missing = min(chunk.behind for chunk in self._pending) - self._silence
            if missing > PAUSE_S * RATE:
                self._pauses.append(((self._written + self._silence) / RATE, missing / RATE))
                self._out.writeframes(bytes(2 * missing))
                self._silence += missing
            data = self._pending.popleft().data
            self._out.writeframes(data)
            self._written += len(data) // 2
            if self.recording is None:
                began = Instant(round((self._began + PACKET_S) * SECOND))
                self.recording = Recording(self._path, began, self._pauses)

    def _follow_newest(self) -> None:
        """Open a dump as soon as it appears and take its name away: the next may get the same (a second)."""
        for entry in os.scandir(self._folder):
            if entry.name.endswith("-dec.wav"):
                if self._dump is not None:
                    os.close(self._dump)
                self._dump = os.open(entry.path, os.O_RDONLY)
                os.lseek(self._dump, HEADER, os.SEEK_SET)
            os.unlink(entry.path)
