"""The engine is killed while it writes: what it had acknowledged is there, what a reader was told stays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.journal import Codec, Follower, KeyStore, Seq, Spool, read_all

ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Wrote:
    number: int
    caller: Personal


KINDS: dict[str, type] = {"Wrote": Wrote}


def text_for(seq: Seq) -> str:
    return f"090{seq[0]:04d}{seq[1]:08d}"


def write_until_killed(folder: Path) -> None:
    """Appends as fast as it goes and says each seq on standard output after it was acknowledged."""
    keys = KeyStore.open(folder / "journal", folder / "keys", write=True)
    spool = Spool.open(
        folder / "journal",
        Codec(KINDS, {}, keys),
        before_sync=keys.sync,
        gather_s=0.002,
        segment_bytes=20_000,
    )
    number = 0
    while True:
        number += 1
        seq = (spool.run, number)
        at = Instant(1_795_193_503_000_000 + number)
        caller = Personal(CallId(f"n-{spool.run}.{number // 3}"), CentreId("oita"), at, text_for(seq))
        spool.append(spool.frame(at, (Wrote(number, caller),)))
        os.write(1, f"{seq[0]} {seq[1]}\n".encode())


async def test_nothing_acknowledged_and_nothing_told_is_lost_by_kill_9(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    codec = Codec(KINDS, {}, KeyStore.open(tmp_path / "journal", tmp_path / "keys"))
    follower = Follower(tmp_path / "journal", codec, poll_s=0.001)
    told: list[Seq] = []

    async def follow() -> None:
        async for frame in follower:
            told.append(frame.seq)  # noqa: PERF401  (seen from outside while it grows)

    following = asyncio.create_task(follow())
    acknowledged: list[Seq] = []
    for _ in range(ROUNDS):
        writer = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
            "import test_journal_killed as t; t.write_until_killed(pathlib.Path(sys.argv[1]))",
            str(tmp_path),
            str(Path(__file__).parent),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert writer.stdout is not None
            async with asyncio.timeout(60):
                for _ in range(chance.randrange(1, 1500)):
                    line = await writer.stdout.readline()
                    run, number = line.split()
                    acknowledged.append((int(run), int(number)))
        finally:
            with contextlib.suppress(ProcessLookupError):
                writer.send_signal(signal.SIGKILL)
            rest, _ = await writer.communicate()
        for line in rest.splitlines():
            run, number = line.split()
            acknowledged.append((int(run), int(number)))

    with (
        KeyStore.open(tmp_path / "journal", tmp_path / "keys", write=True) as keys,
        Spool.open(tmp_path / "journal", Codec(KINDS, {}, keys), before_sync=keys.sync) as spool,
    ):
        kept = list(read_all(tmp_path / "journal", codec))
        seqs = [frame.seq for frame in kept]
        assert spool.run == ROUNDS + 1
        assert spool.opened.last == seqs[-1]
        async with asyncio.timeout(30):
            while len(told) < len(seqs):
                assert not following.done(), following.exception()
                await asyncio.sleep(0.01)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    follower.close()

    assert len(acknowledged) >= ROUNDS
    assert set(acknowledged) <= set(seqs)
    assert told == seqs == sorted(set(seqs))
    for each in range(1, ROUNDS + 1):
        numbers = [seq[1] for seq in seqs if seq[0] == each]
        assert numbers == list(range(1, len(numbers) + 1))
    for frame in kept:
        (fact,) = frame.facts
        assert isinstance(fact, Wrote)
        assert fact.caller.text == text_for(frame.seq)
