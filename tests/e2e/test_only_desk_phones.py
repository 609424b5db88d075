"""Only the desk phones of the inventory take and make calls, whoever else has their passwords."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from callcore.access.trail import Result, Trail, Wanted
from callcore.domain import facts as f
from callcore.domain.ids import PhoneId
from callcore.domain.phones import Policy
from callcore.domain.stages import Device
from callcore.phones.simulated.maker import AGENT
from callcore.runtime.commands import CommandClient, CommandFailed
from tests.e2e.test_live_configuration import callcore, edit
from tests.support.certificates import make
from tests.support.desk_phones import DESK_PHONE, FETCHES_AS, MAC, OneDeskPhone
from tests.support.linphone import linphone
from tests.support.load import register_agents, stolen_call
from tests.support.sip import Agent, Habit, sip_agent
from tests.support.station import Station, station, until

VERDICT_S = 1.0
"""Seconds from the REGISTER's success to the verdict."""


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
            agent(s, 61, 1, "MicroSIP/3.21.3") as neighbour,  # behind the same NAT: the same address
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
            await cannot_call(neighbour, second)
            await until(lambda: len(s.told(f.PhoneAttemptRefused)) == 7, what="that is told too")
            assert (await status(s))["policy_rejections"]["unregistered"] == 5
            assert s.floor().registered[PhoneId(first)].policy is Policy.MATCHED
            assert await lamp(s) == "INUSE"
            await s.device(2, Device.FREE)
            call = await real.call(second)
            await call.until("up")
            call.hang_up()

            lines = Trail(s.settings.trail, s.settings.keys, time.time).newest(
                Wanted(action="phone_policy"), 20
            )
            assert {(x.who, x.on, x.centre, x.origin, x.result) for x in lines} == {
                ("anonymous", first, "demo", f"{s.net}.{n}", Result.REFUSED) for n in (61, 63, 64)
            }
            assert {(x.why or "").split(" ")[0] for x in lines} == {"contacts", "unregistered"}

            # And without callcore. 110, 118 and 119 go out all the same (here: nobody takes them).
            s.kill("engine")
            await cannot_call(forger, second)
            call = await real.call(second)
            await call.until("up")
            call.hang_up()
            emergency = await forger.call("119")
            await emergency.until("up")
            emergency.hang_up()


async def test_an_emergency_call_from_what_is_no_phone_of_the_inventory_is_told_and_the_carriers_too() -> (
    None
):
    async with station(OneDeskPhone(agents=2)) as s:
        first = s.centre.phone(1)
        async with agent(s, 63, 1, "MicroSIP/3.21.3") as soft:
            call = await soft.call("119")  # no [outgoing]: it is said where else to call
            await call.until("up")
            told = await s.fact(f.PhoneAttemptRefused)
            assert (told.phone, told.reason, told.address) == (first, Policy.EMERGENCY, f"{s.net}.63")
            assert (await s.fact(f.EmergencyNotCarried)).digits == "119"
            call.hang_up()
            assert (await status(s))["policy_rejections"]["emergency"] == 1
        # The carrier asks for a number that is none of ours.
        caller = await s.caller()
        assert (await (await s.dial_in(caller, "0975999999")).wait_closed(10)).status == 404
        await until_counted(s, "number", 1)
        assert not s.told(f.CallArrived)


async def until_counted(s: Station, reason: str, times: int) -> None:
    """Until so many SIP requests were turned away for that reason."""
    async with asyncio.timeout(5):
        while (await status(s))["sip_refused"][reason] < times:
            await asyncio.sleep(0.05)


def by_tls(s: Station) -> None:
    """Page, API and phones' files over TLS."""
    made = make(s.settings.home, "127.0.0.1")
    s.env_more = {
        "CALLCORE_WEB_TLS_CERTIFICATE": str(made.certificate),
        "CALLCORE_WEB_TLS_KEY": str(made.key),
        "CALLCORE_PHONES_URL": f"https://127.0.0.1:{s.settings.web_port}/phones",
        "COLUMNS": "250",
    }


async def fetched(s: Station, url: str) -> tuple[int, str]:
    """What is served at one of the URLs that a phone is given, once the sidecar is up."""
    context = ssl.create_default_context(cafile=s.env_more["CALLCORE_WEB_TLS_CERTIFICATE"])
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    async with asyncio.timeout(60), httpx.AsyncClient(verify=context, timeout=30) as client:
        while True:
            try:
                answer = await client.get(url, headers={"user-agent": FETCHES_AS})
            except httpx.ConnectError:
                await asyncio.sleep(0.2)
                continue
            return answer.status_code, answer.text


async def test_a_phone_fetches_its_file_and_again_after_a_change_once_it_is_idle_and_the_list_shows_it() -> (
    None
):
    async with station(OneDeskPhone(agents=2), sidecar=True, prepare=by_tls) as s:
        first, second = s.centre.phone(1), s.centre.phone(2)
        client = CommandClient(s.settings.engine_socket)
        async with agent(s, 61, 1, DESK_PHONE) as real, agent(s, 62, 2, AGENT) as colleague:
            colleague.habit = Habit.ANSWER
            await colleague.register()
            await real.register()
            await s.fact(f.PhoneMatched, lambda x: x.phone == first)
            await s.device(1, Device.FREE)
            await s.device(2, Device.FREE)

            one, other = await client.ask("phones")
            assert (one["phone"], one["seat"], one["maker"], one["model"]) == (
                first,
                "A-1",
                "yealink",
                "SIP-T46U",
            )
            assert (one["policy"], one["firmware"], one["address"]) == ("matched", None, f"{s.net}.61")
            assert abs(one["seen_at"] / 1e6 - time.time()) < 60
            assert (other["phone"], other["maker"], other["policy"]) == (second, "simulated", "matched")

            code, url = await callcore(s, "phones", "token", first)
            assert code == 0, url
            code, file = await fetched(s, url.strip())
            while (
                code == 404
            ):  # the sidecar, just begun, has not read who is in the inventory; no token is used up
                await asyncio.sleep(0.2)
                code, file = await fetched(s, url.strip())
            assert code == 200 and s.secrets.phones[PhoneId(first)] in file
            following = re.search(r"https://\S+/phones/[\w-]+/", file)
            assert following is not None
            assert (await fetched(s, f"{s.env_more['CALLCORE_PHONES_URL']}/{MAC.replace(':', '')}.cfg"))[
                0
            ] == 404

            code, said = await callcore(s, "phones")
            assert code == 0, said
            row = next(line for line in said.splitlines() if first in line)
            for shown in ("A-1", "yealink SIP-T46U", "108.86.0.20", "台帳と一致", f"{s.net}.61"):
                assert shown in row, row

            def fetches() -> int:
                return sum(m.method == "NOTIFY" and m.get("event") == "check-sync" for m in real.messages)

            assert await client.ask("phone_sync", phone=first) == "now"
            await until(lambda: fetches() == 1, what="it is told")
            call = await real.call(second)
            await call.until("up")
            await s.device(1, Device.BUSY)
            assert await client.ask("phone_sync", phone=first) == "when_idle"
            await asyncio.sleep(1.0)
            assert fetches() == 1, "not in a call"
            call.hang_up()
            await until(lambda: fetches() == 2, what="it is told after the call")
            assert await client.ask("phone_sync", phone=second) == "by_hand"

            edit(s, 'seat = "A-2"', 'seat = "Z-2"')
            code, said = await callcore(s, "apply", "--yes")
            assert code == 0, said
            await until(lambda: fetches() == 3, 10, "a colleague's key has changed")
            code, anew = await fetched(s, f"{following[0]}{MAC.replace(':', '')}.cfg")
            assert code == 200 and "Z-2" in anew and "Z-2" not in file
            assert (await fetched(s, url.strip()))[0] == 404, "the first token is used up"
            with pytest.raises(CommandFailed, match="台帳にない"):
                await client.ask("phone_sync", phone="demo-p9")
        await client.close()


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

        stolen = {"server": server, "address": f"{s.net}.70", "port": 5070}
        done = await register_agents({first: s.secrets.phones[first]}, user_agent="SIPp", **stolen)  # type: ignore[arg-type]
        assert not done.failed
        refused = await s.fact(f.PhoneRefused, lambda x: x.address == f"{s.net}.70")
        assert (refused.user_agent, refused.reason) == ("SIPp", Policy.MAKER)
        before = len(s.told(f.PhoneAttemptRefused))
        second = s.centre.phone(2)
        done = await stolen_call(first, s.secrets.phones[first], second, **stolen)  # type: ignore[arg-type]
        assert not done.failed, "403, and nothing else"
        await until(lambda: len(s.told(f.PhoneAttemptRefused)) == before + 1, what="the call is told")
        async with agent(s, 62, 2, AGENT) as colleague:
            await colleague.register()
            await s.device(2, Device.FREE)
            called = await colleague.call(first)  # nobody listens at SIPp's port, and nothing is sent there
            await called.until("480", "403", "503")


async def test_a_softphone_of_somebody_elses_with_the_right_password_neither_makes_nor_takes_a_call() -> None:
    async with station(OneDeskPhone(agents=2)) as s:
        first, second = PhoneId(s.centre.phone(1)), s.centre.phone(2)
        server = (s.settings.sip_host, s.settings.sip_port)
        folder = s.settings.home / "linphone"
        async with agent(s, 62, 2, AGENT) as colleague:
            colleague.habit = Habit.ANSWER
            await colleague.register()
            await s.device(2, Device.FREE)
            # First with callcore, then without. It takes each refusal for a wrong password, and calls no more.
            for alive in (True, False):
                if not alive:
                    s.kill("engine")
                async with linphone(folder, first, s.secrets.phones[first], server, f"{s.net}.75") as soft:
                    if alive:
                        refused = await s.fact(f.PhoneRefused, lambda x: x.phone == first)
                        assert (refused.reason, refused.address) == (Policy.MAKER, f"{s.net}.75")
                        assert refused.user_agent.startswith("Linphonec/")
                    else:
                        await asyncio.sleep(2)  # its REGISTER
                    await soft.tell(f"call sip:{second}@{server[0]}:{server[1]}")
                    await soft.says(f"Call 1 with sip:{second}@{server[0]}:{server[1]} error.")
                    if alive:
                        attempt = await s.fact(f.PhoneAttemptRefused)
                        assert (attempt.phone, attempt.address) == (first, f"{s.net}.75")
                    call = await colleague.call(first)
                    await call.until("480", "403", "503")
                    assert not any(call.incoming for call in colleague.calls), "a colleague was rung"
                    assert "incoming call" not in soft.said, "it rang"
