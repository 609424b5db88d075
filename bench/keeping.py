"""What it costs to keep one long recording in two channels: seconds of processor and wall of the keeper alone, nothing
measured or converted beside it. With `--beside` the sources of another version take turns with these, so that whatever
else the machine does falls on both alike.

    python -m bench.keeping --files 20 --minutes 10 --beside ../main/src
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog
from tests.support.store import NOON, House

from bench.spool import planted
from callcore.domain.recording import RecordingKind
from callcore.recordings.keeper import Whose

HERE = Path(__file__).parents[1]


def kept_once(minutes: float, folder: Path | None) -> None:
    """Tells wall and processor seconds of the second one that this process keeps, and the hash of its sound."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="cc-keeping-", dir=folder) as home:
        house = House(Path(home))
        keeper = house.keeper()
        keeper.tidy()
        for name in planted(house.spool, 2, minutes * 60):
            of = Whose("oita", "Asia/Tokyo", name, RecordingKind.CALL, NOON, True, stereo=True)
            wall, cpu = time.monotonic(), time.process_time()
            keeper.keep(house.spool / f"{name}.wav", of)
            wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        found = house.recordings.find(name)
        assert found is not None
        with house.recordings.unsealed(found) as sealed:
            assert sealed.head.channels == 2
            print(wall, cpu, sealed.check().sha256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.once:
        return kept_once(asked.minutes, asked.folder)
    versions = {"these": HERE / "src"} | ({} if asked.beside is None else {"beside": asked.beside.resolve()})
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in versions}
    sounds = set()
    for _ in range(asked.files):
        for name, sources in versions.items():
            done = subprocess.run(
                [sys.executable, "-m", "bench.keeping", "--once", *sys.argv[1:]],
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(sources), str(HERE)))},
                stdout=subprocess.PIPE,
                check=True,
            )
            wall, cpu, sound = done.stdout.split()
            seen[name].append((float(wall), float(cpu)))
            sounds.add(sound)
    medians = {}
    for name, each in seen.items():
        wall_s, cpu_s = medians[name] = [statistics.median(column) for column in zip(*each, strict=True)]
        print(f"{name}: CPU {cpu_s:.3f} s (least {min(c for _, c in each):.3f}), wall {wall_s:.3f} s")
    if "beside" in medians:
        wall_s, cpu_s = (one / other for one, other in zip(medians["these"], medians["beside"], strict=True))
        same = "the same" if len(sounds) == 1 else "ANOTHER"
        print(f"these / beside: CPU {cpu_s:.2f}, wall {wall_s:.2f}; the sound is {same}")
    print(f"medians of {asked.files} of {asked.minutes:g} min; load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
