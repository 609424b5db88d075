"""Many long recordings whose calls ended at once (the trunk or Asterisk was lost): how long they lie plain, and what
they are kept as. The sidecar's own parts that measure and seal, on files planted in a spool; the engine's answer is
played. No Asterisk.

    python -m bench.spool --files 60 --minutes 10 --format opus --channels stereo
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
import wave
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from immutables import Map
from tests.support import audio
from tests.support.floors import Desk, centre

from bench.report import Row
from callcore.domain.centre import Recordings as Rules
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.measures import Books
from callcore.domain.recording import Channels, SoundFormat
from callcore.domain.values import changed
from callcore.recordings.chain import Kept, line_of, raw_lines
from callcore.recordings.sides import sides_of
from callcore.runtime.ports import Seq, View
from callcore.settings import Settings
from callcore.sidecar import SWITCH_S, Sidecar

LOOK_EVERY_S = 0.5


def planted(spool: Path, count: int, seconds: float) -> list[CallId]:
    """As Asterisk leaves them: a mixed one and both sides of each. The sound is the same in all of them."""
    left, right = (
        (each * 32767).astype("<i2")
        for each in (audio.speech_like(7, seconds, level=0.4), audio.speech_like(8, seconds, level=0.4))
    )
    names = [CallId(f"node1-1795143501.{number}") for number in range(count)]
    for name in names:
        path = spool / f"{name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, audio.RATE, 0, "NONE", ""))
            file.writeframes((left + right).astype("<i2").tobytes())
        for side, sound in zip(sides_of(path), (left, right), strict=True):
            side.write_bytes(sound.tobytes())
    os.sync()
    return names


class Trial:
    def __init__(self, home: Path, count: int, seconds: float, rules: Rules) -> None:
        self.sidecar = Sidecar(Settings(home=home, centres=home, node="node1"))
        self.spool, self.store = home / "recordings", home / "store"
        self.spool.mkdir(mode=0o700, exist_ok=True)
        self.names = planted(self.spool, count, seconds)
        desk = Desk().begin()
        for name in self.names:
            desk.arrive(1, name)
        self.began = time.monotonic()
        ended = self.sidecar._live.now()
        demo = replace(centre(), recordings=rules)
        records = {
            name: replace(record, arrived_at=Instant(ended - round(seconds) * SECOND), ended_at=ended)
            for name, record in desk.books.records.items()
        }
        all_ended = Map(dict.fromkeys(self.names, ended))
        self.floor = changed(Floor(centres=Map({demo.id: demo})), ended=all_ended, unfiled=all_ended)
        self.books = changed(Books(), records=Map(records))
        self.measured: dict[str, float] = {}
        self.publish()
        self.sidecar._engine.ask = self.ask  # type: ignore[method-assign,assignment]

    def publish(self) -> None:
        self.sidecar._live.publish(View(Seq(1, 1 + len(self.measured)), self.floor, self.books))

    async def ask(self, command: str, **told: Any) -> dict[str, Any]:
        """Stands for the engine: what was measured is filed."""
        assert command == "recording", command
        assert told["problem"] is None, told
        self.measured[told["call"]] = time.monotonic() - self.began
        self.floor = changed(self.floor, unfiled=self.floor.unfiled.delete(told["call"]))
        self.publish()
        return {}

    async def run(self, at_most_s: float) -> dict[str, float]:
        """Until all are measured and sealed, or so long; after how many seconds each was no longer plain."""
        sealed: dict[str, float] = {}
        self.shown = 0.0
        tasks = [asyncio.create_task(each) for each in (self.sidecar._measure(), self.sidecar._keeper.run())]
        while (now := time.monotonic() - self.began) < at_most_s:
            there = {entry.name for entry in os.scandir(self.spool)}
            for name in self.names:
                if f"{name}.wav" not in there:
                    sealed.setdefault(name, now)
            self.shown = max(
                self.shown, self.sidecar._keeper.gauges()["sidecar_recordings_plain_oldest_seconds"]
            )
            if len(sealed) == len(self.measured) == len(self.names) or any(task.done() for task in tasks):
                break
            await asyncio.sleep(LOOK_EVERY_S)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended
        return sealed

    def kept(self) -> list[Kept]:
        lines = [line_of(raw) for day in self.store.glob("*/*") if day.is_dir() for raw in raw_lines(day)]
        return [line for line in lines if isinstance(line, Kept)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--format", type=SoundFormat, default=SoundFormat.OPUS)
    parser.add_argument("--channels", type=Channels, default=Channels.STEREO)
    parser.add_argument("--at-most-s", type=float, default=180)
    parser.add_argument("--in", dest="folder", type=Path)
    asked = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    home = Path(tempfile.mkdtemp(prefix="cc-spool-", dir=asked.folder))
    try:
        rules = Rules(format=asked.format, channels=asked.channels)
        trial = Trial(home, asked.files, asked.minutes * 60, rules)
        cpu_before = time.process_time()
        sealed = asyncio.run(trial.run(asked.at_most_s))
        cpu_s = time.process_time() - cpu_before
        kept = trial.kept()
        forms = Counter(f"{line.form}, {line.channels} ch" for line in kept)
        unmeasured = sum(trial.measured.get(name, float("inf")) > at for name, at in sealed.items())
        rows = [
            Row.of(what, list(of.values()), "s")
            for what, of in (("end of call until sealed", sealed), ("… until measured", trial.measured))
            if of
        ]
        for row in rows:
            print(row)
        gauges = trial.sidecar._keeper.gauges()
        print(f"sealed {len(sealed)} of {asked.files}, measured {len(trial.measured)}")
        print(f"sealed before they were measured: {unmeasured}; kept as {dict(forms)}")
        print(f"not converted, as told: {gauges['sidecar_recordings_unconverted']:g}")
        print(f"CPU of this process: {cpu_s:.1f} s; load of the machine: {os.getloadavg()[0]:.1f}")
        print(f"oldest plain, as told by the gauge at most: {trial.shown:.1f} s")
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
