"""What an operator sees who has the books of a day held against one another, on the books of a real Asterisk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from callcore.audit import newest
from callcore.audit.compare import SETTLED_S
from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.stages import Device, Outcome
from callcore.installation import recordings_of
from callcore.pbx.render import CDR_FILE, CEL_FILE
from callcore.recordings.signing import public_keys
from callcore.recordings.verify import verify
from tests.chaos import rig
from tests.e2e.test_out_of_hours import TOKYO, open_between, past
from tests.support import audio
from tests.support.prompts import brief_welcome
from tests.support.station import Station, hears_for, sealed_soon, station, until

SETTLES_S = 30.0
"""The 10 s after a call's end in which it counts as open, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def days(self) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.out.splitlines()) if "day" in line]

    @property
    def named(self) -> set[tuple[str, str, str, str | None]]:
        """(call, kind, other book, cause) of every difference."""
        told = [line for line in map(json.loads, self.out.splitlines()) if "kind" in line]
        assert sum(d["differences"] + d["explained"] for d in self.days) == len(told)
        return {(d["call"], d["kind"], d["source"], d["cause"]) for d in told}

    def total(self, what: str) -> int:
        return sum(day[what] for day in self.days)


async def reconcile(s: Station, *more: str) -> Said:
    """`callcore reconcile` as an operator calls it, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "callcore", "reconcile", *more),
        env=s.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def settled(s: Station, calls: int) -> Said:
    """The result once every call is old enough to be compared; before that nobody need start a process to ask."""
    end = time.monotonic() + SETTLES_S
    last = max((ended.at for ended in s.told(f.CallEnded)), default=0) / SECOND
    await until(lambda: time.time() > last + SETTLED_S, SETTLES_S, "the last call is old enough")
    while True:
        said = await reconcile(s, "--json")
        if said.days and said.total("calls") == calls and said.total("open") == 0:
            return said
        assert time.monotonic() < end, said
        await asyncio.sleep(1)


def edit(path: Path, change: Callable[[str], str | None]) -> None:
    """Rewrite a file line by line; a line that becomes None is taken out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [changed for line in lines if (changed := change(line)) is not None]
    assert kept != lines, f"{path.name} is as it was"
    path.write_text("".join(kept), encoding="utf-8")


async def test_an_operator_finds_a_day_without_differences_and_then_exactly_the_three_that_were_made() -> (
    None
):
    """Closed, given up, held, and answered by the net while the engine was dead; then books are tampered with."""
    opens = int(time.time()) + 15
    centre = open_between(opens, opens + 600)
    today = f"{datetime.now(TOKYO):%Y%m%d}"

    async with station(
        DemoCentre(agents=1, acw_s=1, days=centre.days), sidecar=True, prepare=sealed_soon
    ) as s:
        caller = await s.caller(hz=rig.CALLER_HZ)
        assert time.time() < opens - 4, "the installation took longer to start than this test allows for"
        while f"callcore-hours/demo/{today}" not in await rig.console(s, "database show callcore-hours"):
            assert time.time() < opens - 3, "no hours were pushed"
            await asyncio.sleep(0.1)
        early = await rig.dial_again(s, caller)
        await hears_for(early.line, 1)
        await early.line.hang_up()
        await s.ended(1)
        (desk,) = await rig.staff(s, 1)
        await past(opens + 1, "opening")

        impatient = await rig.dial_again(s, caller)
        await hears_for(impatient.line, 1)
        await impatient.line.hang_up()
        await s.ended(2)

        held = await rig.dial_again(s, caller)
        talk = await rig.take(desk, 30)
        await s.fact(f.CallAnswered)
        await hears_for(held.line, 1)
        await talk.hold(10)
        await s.fact(f.CallHeld)
        await hears_for(held.line, 2)
        await talk.resume(10)
        await s.fact(f.CallResumed)
        await hears_for(held.line, 1)
        await talk.hang_up()
        await s.ended(3)
        await s.device(1, Device.FREE)

        unseen = await rig.dial_again(s, caller)
        s.kill("engine")  # while the greeting is heard: the phone is rung by the safety net
        await rig.marked(s, unseen.id, "callcore-net")
        await rig.take(desk, 30)
        await hears_for(unseen.line, 2)
        await unseen.line.hang_up()
        await rig.gone(s, unseen.id)
        behind = await reconcile(s, "--json")
        assert behind.status == 0, "a call that the dead engine could not see is explained"
        await s.start_engine()
        await s.ended(4)
        await until(lambda: len(s.told(f.RecordingFiled)) == 2, 30, "both recordings measured")

        said = await settled(s, 4)
        assert (said.named, said.status) == (set(), 0), said
        printed = await reconcile(s)
        assert "照合済 4件・不一致 0件 / 4 calls reconciled, 0 differences" in printed.out
        records = s.books().records
        outcomes = [records[call].outcome for call in (early.id, impatient.id, held.id, unseen.id)]
        assert outcomes == [
            Outcome.CLOSED,
            Outcome.ABANDONED_SHORT,
            Outcome.COMPLETED,
            Outcome.COMPLETED,
        ]
        assert records[unseen.id].by_net and records[unseen.id].reconstructed

        # The recordings are sealed by now, of the call that the dead engine did not see, too.
        recordings = recordings_of(s.settings)
        await until(lambda: not list(s.settings.recordings.iterdir()), 60, "every recording sealed")
        for call in (held.id, unseen.id):
            assert audio.read(await s.recording(call)).any()
        said = await settled(s, 4)
        assert (said.named, said.status) == (set(), 0), said
        public = public_keys([s.settings.recordings_keys / "signing.pub"])
        proven = verify(s.settings.store, public)
        kept = {d.centre: d.kept for d in proven.days}
        assert proven.found == [] and kept == {"demo": len(list(s.settings.store.rglob("*.ccr")))}

        log = s.pbx.log_dir
        edit(log / CDR_FILE, lambda line: None if f'"{impatient.id}"' in line else line)
        sound = recordings.find(held.id)
        assert sound is not None
        os.truncate(sound, sound.stat().st_size // 2)
        assert [(x.fault.value, x.name) for x in verify(s.settings.store, public).found] == [
            ("truncated", f"{held.id}.ccr")
        ]
        edit(log / CEL_FILE, lambda line: later(line, unseen.id))
        wanted = {
            (impatient.id, "missing_in_cdr", "cdr", None),
            (held.id, "recording_unreadable", "recording", None),
            (unseen.id, "answer_time", "cel", None),
        }
        said = await reconcile(s, "--json")
        assert (said.named, said.status) == (wanted, 1)

        # The night that was missed is made up for; nobody had called the day before.
        await until(lambda: newest(s.settings.reconciliations), 30, "yesterday reconciled")
        (night,) = newest(s.settings.reconciliations).values()
        assert (night.calls, night.differences, night.complete) == (0, 0, True)
        assert "照合済 / reconciled" in s.log("sidecar")

        # And when everything is stopped.
        for name in ("sidecar", "engine"):
            await s.stop(name)
        await s.asterisk.stop()
        printed = await reconcile(s)
        assert printed.status == 1
        for call in (impatient.id, held.id, unseen.id):
            assert call in printed.out
        assert early.id not in printed.out

        (log / CDR_FILE).unlink()
        gone = await reconcile(s)
        assert gone.status == 2
        assert "CDR の記録がありません" in gone.out and "there are no CDR records" in gone.out


def later(line: str, call: str) -> str:
    """A CEL line with the caller's entry into the bridge 5 s later than it was."""
    columns = line.split(",")
    if columns[0] == '"BRIDGE_ENTER"' and columns[3] == f'"{call}"':
        at = columns[2].strip('"')
        columns[2] = f'"{float(at) + 5:.6f}"'
    return ",".join(columns)


async def test_calls_that_went_with_a_killed_asterisk_are_named_and_explained() -> None:
    async with station(DemoCentre(agents=1, acw_s=1), sidecar=True, prompts=brief_welcome) as s:
        (desk,) = await rig.staff(s, 1)
        talking, waiting = await rig.queue_up(s, 1, 2)
        talk = await rig.take(desk)
        await s.fact(f.CallAnswered)
        await hears_for(talk, 3)
        assert s.asterisk.pid is not None
        os.kill(s.asterisk.pid, signal.SIGKILL)
        await s.asterisk.wait()
        for line in (talking.line, waiting.line, talk):
            await line.hang_up()
        await s.fact(f.LinkLost)
        s.asterisk = type(s.asterisk)(s.toolchain, s.pbx.etc_dir, s.pbx.run_dir, s.pbx.log_dir)
        await s.asterisk.start()
        await rig.relinked(s, 2)
        await s.ended(2)
        said = await settled(s, 2)
        assert said.status == 0, said
        assert {call for call, *_ in said.named} == {talking.id, waiting.id}
        assert {cause for *_, cause in said.named} == {"asterisk_died"}
