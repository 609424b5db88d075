"""Signing in and out on a desk phone, and where the PIN must not stand."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import PhoneCall, SimPhone
from callcore.domain import facts as f
from callcore.domain.stages import Presence
from tests.support import audio
from tests.support.asterisk import ManagerClient
from tests.support.station import PIN, Station, rings, station, until, words

WRONG = "31415926"


async def keyed(s: Station, phone: SimPhone, pin: str) -> PhoneCall:
    """The whole sign-in call of agent 1 on a phone."""
    await s.sign_in(phone, 1, pin)
    assert phone.call is not None
    return phone.call


def hears_prompt(s: Station, call: PhoneCall, wanted: str) -> None:
    sound = np.concatenate([words(call), audio.silence(3)])
    for name in ("signed-in", "signed-out", "refused", "not-possible", "ready", "paused", "extended"):
        score = audio.find(s.prompt(name, "common"), sound).score
        assert score > 0.99 if name == wanted else score < 0.5, (name, score)


def every_event(s: Station) -> None:
    """Have Asterisk make the events, too, that are not made because nobody asks for them."""
    path = s.pbx.etc_dir / "manager.conf"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^disabledevents = .*\n", "", text), encoding="utf-8")


@asynccontextmanager
async def watcher(s: Station) -> AsyncIterator[ManagerClient]:
    """A second AMI user who sees every event there is, unfiltered: what an eavesdropper on AMI would have."""
    with (s.pbx.etc_dir / "manager.conf").open("a", encoding="utf-8") as file:
        file.write("\n[watcher]\nsecret = seen\nread = all\nwrite = all\npermit = 127.0.0.0/255.0.0.0\n")
    await s.asterisk.command("manager reload")
    reader, writer = await asyncio.open_connection("127.0.0.1", s.settings.ami_port)
    await reader.readline()
    client = ManagerClient(reader, writer)
    task = asyncio.create_task(client._read())
    try:
        answer = await client.action("Login", Username="watcher", Secret="seen")
        assert answer[0]["Response"] == "Success", answer
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.close()


async def test_a_wrong_pin_is_refused_aloud_the_right_one_signs_in_and_neither_is_written_anywhere() -> None:
    async with station(DemoCentre(agents=1), prepare=every_event) as s, watcher(s) as seen:
        await s.asterisk.command("core set verbose 5")
        await s.asterisk.command("core set debug 5")
        desk = await s.desk(1)
        hears_prompt(s, await keyed(s, desk, WRONG), "refused")
        assert s.told(f.AgentSignedIn) == []
        assert [(x.agent, x.tries) for x in s.told(f.PinRefused)] == [(s.centre.agent(1), 1)]
        hears_prompt(s, await keyed(s, desk, PIN), "signed-in")
        await s.fact(f.AgentSignedIn, lambda x: x.phone == s.centre.phone(1))
        await s.available(1)

        # Who forgets the # between the two keys the PIN behind the number: that is nobody's number.
        joined = f"{s.centre.agent(1)}{PIN}"
        call = await desk.dial("*11")
        await call.wait_established(5)
        await call.dtmf(f"{joined}#")
        await call.wait_closed(30)
        hears_prompt(s, call, "refused")

        # The watcher was not blind: it saw the call's variables and the keys themselves, one by one.
        names = {event.get("Event") for event in seen.events}
        assert {"VarSet", "Newexten", "DTMFEnd", "UserEvent"} <= names
        others = [e for e in seen.events if e.get("Event") not in ("DTMFBegin", "DTMFEnd")]
        for pin in (PIN, WRONG, joined):
            alone = re.compile(rf"(?<!\d){pin}(?!\d)")
            assert not [event for event in others if any(alone.search(text) for text in event.values())]
            for file in (path for path in s.settings.home.rglob("*") if path.is_file()):
                if s.ears in file.parents:
                    continue
                text = file.read_bytes().decode("latin-1")
                assert not alone.search(text), f"the PIN stands in {file.name}"
        for file in (*s.pbx.log_dir.rglob("*"), s.settings.home / "engine.log"):
            if file.is_file():
                assert "DTMF" not in file.read_text("utf-8", "replace"), (
                    f"{file.name} has the keys one by one"
                )


async def test_signing_in_on_another_phone_ends_the_first_and_signing_out_is_confirmed_aloud() -> None:
    async with station(DemoCentre(agents=2)) as s:
        first = (await s.staff(1))[0]
        second = await s.desk(2)
        hears_prompt(s, await keyed(s, second, PIN), "signed-in")
        assert [x.phone for x in s.told(f.AgentSignedIn)] == [s.centre.phone(1), s.centre.phone(2)]
        assert len(s.told(f.AgentSignedOut)) == 1
        await s.available(1)

        call = await s.dial_in(await s.caller())
        ringing = await second.incoming(30)
        assert rings(first) == 0
        await call.hang_up()
        await ringing.wait_closed(5)
        await s.available(1)

        await s.sign_out(first)
        assert first.call is not None and second.call is not None
        hears_prompt(s, first.call, "not-possible")
        await s.sign_out(second)
        hears_prompt(s, second.call, "signed-out")
        await until(lambda: len(s.told(f.AgentSignedOut)) == 2)
        agents = s.floor().agents.values()
        assert [agent.presence for agent in agents] == [Presence.SIGNED_OUT] * 2
        members = await s.asterisk.command("queue show demo-general")
        assert "No Members" in members
