"""What a simulated party hears, written to a WAV file on the clock of the wall.

baresip's filter `sndfile` dumps each decoded packet as it arrives, which is exact but knows no pauses: where
no packet came, nothing is written. An `Ear` follows the dump while it grows and puts silence where packets
were missing, so that a position in the recording is a moment of the call.

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

HEADER = 44
"""Bytes before the samples in libsndfile's 16 bit WAV files."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a party heard: a WAV file (8 kHz, mono, 16 bit), readable and growing while the call lasts."""

    path: Path
    began: Instant
    """When the first packet arrived, within 20 ms."""


class Ear:
    """Follows the dumps of one call. `folder` is where baresip writes them, `path` the recording."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path = path
        self._file: FileIO | None = None
        self._out: wave.Wave_write | None = None
        self._dump: int | None = None
        self._began = 0.0  # when the first packet's sound began: a packet's length before it arrived
        self._samples = 0
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
            self._write(bytes(data), now)

    def close(self) -> None:
        """Take in the rest and finish the file."""
        self.listen()
        if self._dump is not None:
            os.close(self._dump)
            self._dump = None
        if self._out is not None:
            self._out.close()
            self._out = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: bytes, now: float) -> None:
        count = len(data) // 2
        if self._out is None:
            self._began = now - count / RATE
            # Unbuffered, so that others can read along.
            self._file = self._path.open("wb", buffering=0)
            self._out = wave.open(self._file, "wb")  # noqa: SIM115 - open while the call lasts
            self._out.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
            self.recording = Recording(self._path, Instant(round((self._began + PACKET_S) * SECOND)))
        behind = round((now - self._began) * RATE) - self._samples - count
        if behind > PAUSE_S * RATE:
            self._out.writeframes(bytes(2 * behind))
            self._samples += behind
        self._out.writeframes(data)
        self._samples += count

    def _follow_newest(self) -> None:
        """Open a dump as soon as it appears and take its name away: the next may get the same (a second)."""
        for entry in os.scandir(self._folder):
            if entry.name.endswith("-dec.wav"):
                if self._dump is not None:
                    os.close(self._dump)
                self._dump = os.open(entry.path, os.O_RDONLY)
                os.lseek(self._dump, HEADER, os.SEEK_SET)
            os.unlink(entry.path)
