"""Only the desk phones of the inventory take and make calls, whoever else has their passwords."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import PhoneId
from callcore.domain.phones import Policy
from callcore.domain.stages import Device
from callcore.phones.simulated.maker import AGENT
from callcore.runtime.commands import CommandClient
from tests.support.load import register_agents
from tests.support.sip import Agent, Habit, sip_agent
from tests.support.station import Station, station, until

MAC = "00:00:5e:00:53:01"
VERDICT_S = 1.0
"""Seconds from the REGISTER's success to the verdict."""
DESK_PHONE = "Yealink SIP-T46U 108.86.0.20 00005e005301"


@dataclass(frozen=True, slots=True)
class OneDeskPhone(DemoCentre):
    """The first seat has a desk phone of a maker; the others are simulated."""

    def toml(self) -> str:
        line = f'maker = "yealink"\nmodel = "SIP-T46U"\nmac = "{MAC}"\ntransport = "udp"'
        networks = '[[networks]]\nid = "here"\naddresses = ["127.0.0.0/8"]\n\n'
        told = DemoCentre.toml(self).replace('maker = "simulated"\nmodel = "baresip"', line, 1)
        first, last = told.split("[[phones]]", 1)
        return f"{first}{networks}[[phones]]{last}"


@asynccontextmanager
async def agent(s: Station, last: int, phone: int, user_agent: str) -> AsyncIterator[Agent]:
    """A SIP agent with that phone's password, at an address of its own."""
    name = s.centre.phone(phone)
    pbx = (s.settings.sip_host, s.settings.sip_port)
    async with sip_agent(f"{s.net}.{last}", name, pbx, s.secrets.phones[PhoneId(name)]) as found:
        found.user_agent = user_agent
        yield found


async def status(s: Station) -> dict[str, dict[str, int]]:
    client = CommandClient(s.settings.engine_socket)
    told: dict[str, dict[str, int]] = await client.ask("status")
    await client.close()
    return told


async def lamp(s: Station) -> str:
    """The state of the lamp `policy` of the centre."""
    told = await s.asterisk.command("database show CustomDevstate/callcore-policy-demo")
    return told.partition(": ")[2].split()[0] if ": " in told else told


async def cannot_call(phone: Agent, number: str) -> None:
    call = await phone.call(number)
    await call.until("403")


async def test_a_desk_phone_is_served_within_a_second_and_a_stolen_password_cannot_push_it_out() -> None:
    async with station(OneDeskPhone(agents=3)) as s:
        first, second = s.centre.phone(1), s.centre.phone(2)
        async with (
            agent(s, 61, 1, DESK_PHONE) as real,
            agent(s, 62, 2, AGENT) as colleague,
            agent(s, 63, 1, "MicroSIP/3.21.3") as thief,
            agent(s, 64, 1, DESK_PHONE) as forger,
        ):
            colleague.habit = Habit.ANSWER
            await colleague.register()
            await real.register()
            registered = time.time()
            matched = await s.fact(f.PhoneMatched, lambda x: x.phone == first)
            assert matched.at / 1e6 - registered < VERDICT_S
            assert (matched.user_agent, matched.address) == (DESK_PHONE, f"{s.net}.61")
            await s.device(1, Device.FREE)
            await s.device(2, Device.FREE)
            call = await real.call(second)
            await call.until("up")
            call.hang_up()

            for other in (thief, forger):
                with pytest.raises(AssertionError, match="403"):
                    await other.register()
                await cannot_call(other, second)
                await cannot_call(other, "*12")
            await until(lambda: len(s.told(f.PhoneAttemptRefused)) == 6, what="six attempts are told")
            assert [x.reason for x in s.told(f.PhoneAttemptRefused)] == [
                Policy.CONTACTS,
                Policy.UNREGISTERED,
                Policy.UNREGISTERED,
            ] * 2
            assert {x.address for x in s.told(f.PhoneAttemptRefused)} == {f"{s.net}.63", f"{s.net}.64"}
            assert (await status(s))["policy_rejections"]["unregistered"] == 4
            assert s.floor().registered[PhoneId(first)].policy is Policy.MATCHED
            assert await lamp(s) == "INUSE"
            await s.device(2, Device.FREE)
            call = await real.call(second)
            await call.until("up")
            call.hang_up()

            # And without callcore.
            s.kill("engine")
            await cannot_call(forger, second)
            call = await real.call(second)
            await call.until("up")
            call.hang_up()


STRANGERS = (
    ("MicroSIP/3.21.3", Policy.MAKER),
    ("", Policy.MAKER),
    ("Yealink SIP-T54W 96.86.0.20 00005e005301", Policy.MODEL),
    ("Yealink SIP-T46U 108.86.0.20 00005e005399", Policy.MAC),
    ("Yealink SIP-T46U 108.86.0.20", Policy.MAC),
)


async def test_what_is_not_the_phone_of_the_inventory_neither_makes_nor_takes_a_call() -> None:
    async with station(OneDeskPhone(agents=2)) as s:
        first, second = s.centre.phone(1), s.centre.phone(2)
        async with (
            agent(s, 61, 1, "") as soft,
            agent(s, 62, 2, AGENT) as colleague,
        ):
            await colleague.register()
            await s.device(2, Device.FREE)
            for n, (user_agent, reason) in enumerate(STRANGERS, 1):
                soft.user_agent = user_agent
                await soft.register()
                registered = time.time()
                await until(lambda n=n: len(s.told(f.PhoneRefused)) == n, what=user_agent)  # type: ignore[misc]
                refused = s.told(f.PhoneRefused)[-1]
                assert refused.at / 1e6 - registered < VERDICT_S
                assert (refused.phone, refused.reason, refused.address) == (first, reason, f"{s.net}.61")
                assert refused.user_agent == user_agent
                await cannot_call(soft, second)
                await cannot_call(soft, "*11")
                call = await colleague.call(first)
                await call.until("480", "403", "503")
                assert not any(c.incoming for c in soft.calls), "the softphone rang"
                assert s.floor().phones[PhoneId(first)] is Device.UNREACHABLE
                await soft.register(expires=0)
                await until(lambda n=n: len(s.told(f.PhoneLeft)) == n, what="the contact has gone")  # type: ignore[misc]
            told = (await status(s))["policy_rejections"]
            assert (told["maker"], told["model"], told["mac"]) == (2, 1, 2)
            assert told["unregistered"] == 2 * len(STRANGERS)


async def test_sipp_and_baresip_with_the_right_password_get_no_call_not_even_from_the_safety_net() -> None:
    async with station(OneDeskPhone(agents=2, longest_wait_s=30)) as s:
        first = PhoneId(s.centre.phone(1))
        # An agent signed in at the desk phone; it is carried off, and something else registers in its place.
        async with agent(s, 61, 1, DESK_PHONE) as real:
            await real.register()
            await s.device(1, Device.FREE)
            call = await real.call(f"*11{s.centre.agent(1)}")
            await call.until("up")
            await call.hears(1.0)
            call.press("271828#")
            await call.until("bye")
            await s.fact(f.AgentSignedIn)
            await s.available(1)
            await real.register(expires=0)
        await s.fact(f.PhoneLeft)
        s.kill("engine")
        server = f"{s.settings.sip_host}:{s.settings.sip_port}"
        soft = await s.desk(1)  # baresip, which calls itself what it is
        caller = await s.caller()
        call = await s.dial_in(caller)
        await until(lambda: "callcore-net" in str(s.cel()), 30, "the caller is in the safety net")
        refused_call = await soft.dial(s.centre.phone(2))
        assert (await refused_call.wait_closed(10)).status == 403
        await s.start_engine()
        await s.fact(f.PhoneRefused, lambda x: x.phone == first and x.reason is Policy.MAKER)
        assert not [e for e in soft.events if type(e).__name__ == "CallIncoming"], "baresip rang"
        await call.hang_up()
        await soft.unregister()
        await until(lambda: s.floor().registered[first].policy is Policy.ABSENT)

        done = await register_agents(
            {first: s.secrets.phones[first]}, server=server, address=f"{s.net}.70", port=5070
        )
        assert not done.failed
        await s.fact(f.PhoneRefused, lambda x: x.address == f"{s.net}.70")
