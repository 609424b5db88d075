"""The keys of recordings are gone while calls go on: nobody on the phone notices, and it is said what is to be done."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import CallId
from callcore.domain.stages import Device, Outcome
from callcore.installation import recordings_of
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore
from tests.support.people import read_page
from tests.support.prompts import brief_welcome
from tests.support.sip import Agent, sip_agent, tone
from tests.support.station import Station, sealed_soon, station, until

PLAIN = "callcore_sidecar_recordings_plain_oldest_seconds"
KEYLESS = "callcore_sidecar_recordings_keyless"


async def talks(s: Station, desk: Agent, citizen: Agent, count: int) -> CallId:
    """A citizen and the agent, for two seconds, heard by both."""
    await desk.register()
    await s.available(1)
    call = await citizen.call(NUMBER, tone(400))
    leg = await desk.rings(count)
    leg.sound = tone(600)
    leg.answer()
    await call.hears(2)
    await leg.hears(2)
    leg.hang_up()
    ended = (await s.ended(count, 30))[-1]
    assert ended.outcome is Outcome.COMPLETED
    await s.device(1, Device.FREE)
    return ended.call


def gauge(s: Station, name: str) -> float:
    """-1: the sidecar is not up yet."""
    try:
        shown = read_page(s.settings, "/metrics")[1]
    except OSError:
        return -1
    return float(next(line.split()[-1] for line in shown.splitlines() if line.startswith(f"{name} ")))


async def kept(s: Station, count: int) -> None:
    await until(lambda: len(s.told(f.RecordingKept)) == count, 90, f"{count} are kept")


@pytest.mark.timeout(300)
async def test_without_their_keys_calls_go_on_the_alarm_rings_and_it_goes_on_when_they_are_back() -> None:
    async with station(
        DemoCentre(agents=1, acw_s=1), sidecar=True, prepare=sealed_soon, prompts=brief_welcome
    ) as s:
        keys, b = s.settings.recordings_keys, s.settings.home / "B"
        desk = await phone(s)
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
        )
        await signs_in(desk)
        first = await talks(s, desk, citizen, 1)
        await kept(s, 1)
        shutil.copytree(keys, b)
        shutil.rmtree(keys)
        await s.stop("sidecar")
        s.start("sidecar")

        second = await talks(s, desk, citizen, 2)
        await until(lambda: gauge(s, PLAIN) > 5, 90, "it lies plain, and the alarm will ring")
        assert gauge(s, KEYLESS) == 1
        assert (s.settings.recordings / f"{second}.wav").exists()
        assert not [path for path in keys.rglob("[!.]*") if path.is_file()], "no key was made"
        status, said = await callcore(s, "doctor")
        assert status != 0 and "signing.key" in said and first in said, said
        assert "signing.key" in s.log("sidecar") and "Traceback" not in s.log("sidecar")

        # All but the signing key is put back: then it takes an order, and goes on without a restart.
        (b / "signing.key").unlink()
        shutil.copytree(b, keys, dirs_exist_ok=True)
        status, said = await callcore(s, "recordings", "keys", "replace", "--why", "失われた")
        assert status == 0 and "public-key" in said, said
        await kept(s, 2)
        for name in (first, second):
            with recordings_of(s.settings).open(name) as sound:
                assert len(await asyncio.to_thread(sound.read)) > 16_000
        status, said = await callcore(s, "recordings", "verify")
        assert status == 0, said
        assert {path.name for path in keys.glob("signing*.pub")} > {"signing.pub"}
