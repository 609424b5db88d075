"""What a running installation's API showed, asked for again later by the commands of another process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from tests.support.people import machine
from tests.support.station import Station, station, until

TOKYO = ZoneInfo("Asia/Tokyo")


def asked(s: Station, *words: str) -> str:
    argv = [sys.executable, "-m", "callcore", *words]
    done = subprocess.run(argv, env=s.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


IN_NO_JOURNAL = {"stale_s": None, "beside": {"health": [], "months": {}}}


async def watch(s: Station, shown: dict[tuple[str, str], bytes], stop: asyncio.Event) -> None:
    """A board that asks the API again and again, and keeps what it was told."""
    async with httpx.AsyncClient() as client:
        while not stop.is_set():
            try:
                url = f"http://127.0.0.1:{s.settings.web_port}/api/v1/live"
                body = (await client.get(url, headers=dict(machine(s.settings.home)))).content
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                continue
            told = json.loads(body)
            if told["centres"]:
                shown[(told["seq"], told["at"])] = body
            await asyncio.sleep(0.1)


async def replayed(s: Station, seq: str, at: str) -> dict[str, object]:
    local = datetime.fromisoformat(at).astimezone(TOKYO)
    words = ("--day", f"{local:%Y-%m-%d}", "--until", f"{local:%H:%M:%S.%f}", "--seq", seq, "--json")
    return json.loads(await asyncio.to_thread(asked, s, "replay", *words))  # type: ignore[no-any-return]


async def test_what_the_board_showed_is_shown_again_while_everything_runs_and_after_it_stopped() -> None:
    async with station(DemoCentre(agents=1, acw_s=1), sidecar=True) as s:
        shown: dict[tuple[str, str], bytes] = {}
        stop = asyncio.Event()
        board = asyncio.create_task(watch(s, shown, stop))
        await until(lambda: bool(shown), 60, "the board shows something")

        def pictures_seen() -> int:
            return len({seq for seq, _ in shown})

        async def the_board_changes(before: int) -> int:
            await until(lambda: pictures_seen() > before, 20, "the board changes")
            return pictures_seen()

        (desk,) = await s.staff(1)
        seen = await the_board_changes(1)
        caller, second = await s.caller(1), await s.caller(2)
        call = await s.dial_in(caller)
        ringing = await desk.incoming(30)
        seen = await the_board_changes(seen)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        seen = await the_board_changes(seen)
        impatient = await s.dial_in(second)
        await s.fact(f.VisitBegan, lambda x: x.visit.endswith("/1") and x.call == s.call_ids()[-1])
        seen = await the_board_changes(seen)
        await impatient.hang_up()
        await s.ended(1)
        seen = await the_board_changes(seen)
        await call.hang_up()
        await s.ended(2)
        await s.fact(f.WrapUpEnded)
        await the_board_changes(seen)
        last = len(s.facts())
        stop.set()
        await board
        pictures = sorted(shown, key=lambda key: key[1])
        chosen = pictures[:: max(1, len(pictures) // 5)] + pictures[-1:]
        for seq, at in chosen[:2]:
            assert await replayed(s, seq, at) == json.loads(shown[(seq, at)]) | IN_NO_JOURNAL
        report = await asyncio.to_thread(asked, s, "report", "day", "--centre", "demo", "--csv")
        await s.close()
        for seq, at in chosen:
            assert await replayed(s, seq, at) == json.loads(shown[(seq, at)]) | IN_NO_JOURNAL
        assert len(s.facts()) >= last
        row = dict(zip(*(line.split(",") for line in report.splitlines()[:2]), strict=True))
        assert row["着信件数 arrivals"] == "2" and row["応答件数 answered"] == "1"
        assert row["応答前切電件数 hangups_before_answer"] == "1"
        record = s.books().records[s.call_ids()[0]]
        assert abs(float(row["処理時間 分子(秒) aht_part_s"]) - record.talk / 1e6 - 1) < 0.2
