"""Whoever runs callcore: what a whole installation tells of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from math import isnan

import pytest
from prometheus_client.parser import text_string_to_metric_families

from callcore.demo.centre import NUMBER
from callcore.domain import facts as f
from callcore.pbx.render import CEL_FILE
from callcore.telemetry.prometheus import HELP
from tests.support.people import read_page
from tests.support.station import Station, station

LATER = (
    *("reconciliation_", "month_answer_ratio", "engine_offer_", "sidecar_certificate_"),
    *("sidecar_keys_free_bytes", "sidecar_database_free_bytes"),
)
"""Known after a night, a call, an offer; with TLS; where keys and database have disks of their own
(`test_recordings_in_time`). Until then NaN."""


def metrics(s: Station) -> dict[str, float]:
    """All samples by name, whatever their labels; the last one counts."""
    text = read_page(s.settings, "/metrics")[1]
    return {x.name: x.value for family in text_string_to_metric_families(text) for x in family.samples}


@pytest.mark.timeout(90)
async def test_a_whole_installation_tells_every_metric_and_the_doctor_finds_what_is_wrong_with_it() -> None:
    async with station(engine=False, sidecar=True, qualify_s=1) as s:
        await s.carrier()
        await s.start_engine()
        names = {f"callcore_{name}" for name in HELP if not name.startswith(LATER)}

        async def told() -> dict[str, float]:
            with contextlib.suppress(OSError):  # not up yet
                return await asyncio.to_thread(metrics, s)
            return {}

        shown: dict[str, float] = {}
        async with asyncio.timeout(40):
            while not names <= {name for name, value in shown.items() if not isnan(value)}:
                shown = await told()
                await asyncio.sleep(0.5)
        assert shown["callcore_engine_trunk_reachable"] == 1
        assert shown["callcore_sidecar_journal_free_bytes"] > 0
        assert shown["callcore_month_answer_whole"] == 0
        assert {f"callcore_{name}" for name in HELP} <= set(shown), "all are there, known or not"

        assert "process failed" not in s.log("sidecar"), (
            "nor does a part of it ask for tables before they are made"
        )
        caller = await s.caller()
        call = await caller.dial(NUMBER)
        await call.wait_established(10)
        await call.hang_up()
        await s.fact(f.CallEnded)
        for process in ("engine", "sidecar"):
            whole = (s.settings.home / f"{process}.log").read_text(encoding="utf-8")
            lines = [json.loads(line) for line in whole.splitlines()]
            assert lines and "0300000001" not in whole
            assert all({"node", "process", "seq", "call", "agent"} <= set(line) for line in lines)
        cel = s.settings.asterisk / "log" / CEL_FILE

        async def doctor() -> dict[str, str]:
            """The worst level of each check, told by the command in the same environment."""
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "callcore",
                "doctor",
                "--json",
                env=s.env,
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await asyncio.wait_for(process.communicate(), 30)
            found = json.loads(out)
            levels = ["ok", "warn", "fail"]
            worst: dict[str, str] = {}
            for each in found:
                known = worst.get(each["check"], "ok")
                worst[each["check"]] = max(known, each["level"], key=levels.index)
            assert process.returncode == max(map(levels.index, worst.values())), found
            return worst

        seen = await doctor()
        sound = set(seen) - {"clock", "disk", "phones"}  # of the machine; and no phone is there
        assert {check: seen[check] for check in sound} == dict.fromkeys(sound, "ok")
        assert seen["phones"] == "warn"
        os.utime(cel, (0, 0))
        assert (await doctor())["cel"] == "fail"
        s.kill("sidecar")
        seen = await doctor()
        assert (seen["running"], seen["ports"]) == ("fail", "ok")
        s.kill("engine")
        await s.asterisk.stop()
        seen = await doctor()
        assert (seen["running"], seen["ports"], seen["modules"]) == ("warn", "ok", "ok")
