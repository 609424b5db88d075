"""What it costs to keep one long recording in two channels: seconds of processor and wall of the keeper alone, nothing
measured or converted beside it. With `--beside` the sources of another version take turns with these, so that whatever
else the machine does falls on both alike.

    python -m bench.keeping --files 20 --minutes 10 --beside ../main/src
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog
from tests.support.store import NOON, House

from callcore.domain.recording import RecordingKind
from callcore.recordings.keeper import Whose

HERE = Path(__file__).parents[1]


def keep(planted: Path, home: Path) -> None:
    """Keeps what is planted, once for each line it is told, and tells seconds and what the sound's hash is."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for number, _ in enumerate(sys.stdin):
        house = House(home / str(number))
        shutil.copytree(planted, house.spool, dirs_exist_ok=True)
        [plain] = house.spool.glob("*.wav")
        of = Whose("oita", "Asia/Tokyo", plain.stem, RecordingKind.CALL, NOON, True, stereo=True)
        keeper = house.keeper()
        keeper.tidy()
        wall, cpu = time.monotonic(), time.process_time()
        keeper.keep(plain, of)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        found = house.recordings.find(plain.stem)
        assert found is not None
        with house.recordings.unsealed(found) as sealed:
            assert sealed.head.channels == 2
            print(wall, cpu, sealed.check().sha256, flush=True)
        shutil.rmtree(house.home)


def keeping(sources: Path, planted: Path, home: Path) -> subprocess.Popen[str]:
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join((str(sources), str(HERE)))}
    arguments = [sys.executable, "-m", "bench.keeping", "--keep", str(planted), "--in", str(home)]
    return subprocess.Popen(arguments, env=paths, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.keep is not None:
        return keep(asked.keep, asked.folder)
    from bench.spool import planted

    versions = {"these": HERE / "src"} | ({} if asked.beside is None else {"beside": asked.beside.resolve()})
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in versions}
    sounds = set()
    with tempfile.TemporaryDirectory(prefix="cc-keeping-", dir=asked.folder) as home:
        spool = Path(home) / "planted"
        spool.mkdir()
        planted(spool, 1, asked.minutes * 60)
        workers = {name: keeping(of, spool, Path(home) / name) for name, of in versions.items()}
        for number in range(asked.files + 1):
            for name in sorted(workers, reverse=number % 2 == 1):
                told, tells = workers[name].stdin, workers[name].stdout
                assert told is not None and tells is not None
                print(file=told, flush=True)
                wall, cpu, sound = tells.readline().split()
                sounds.add(sound)
                if number > 0:  # the first one warms up
                    seen[name].append((float(wall), float(cpu)))
        for worker in workers.values():
            worker.communicate()
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
