"""An Asterisk with its AMI, a carrier and some desk phones, and a caller brought into the waiting line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from callcore.domain.centre import Configuration
from callcore.phones.policy import Contact, seal
from callcore.runtime import dialplan
from tests.support.asterisk import ManagerClient, RunningAsterisk, manager, running_asterisk
from tests.support.centre import NUMBER, make_sounds
from tests.support.sip import Agent, Call, sip_agent, tone

CALLER_HZ, AGENT_HZ = 400, 600


@dataclass(slots=True)
class Floor:
    pbx: RunningAsterisk
    ami: ManagerClient
    trunk: Agent
    desks: list[Agent]
    """`oita-p1`, `oita-p2`, …, registered and idle."""

    async def caller(self, number: str = NUMBER) -> tuple[Call, str]:
        """A new caller, and the name of the arriving channel."""
        seen = len(self.ami.events)
        call = await self.trunk.call(number, tone(CALLER_HZ))
        event = await self.ami.event("Newchannel", after=seen, Context="callcore-in")
        return call, event["Channel"]

    async def waiting_caller(self) -> tuple[Call, str]:
        """A caller whom `Status` shows in the waiting line. callcore's heart has to beat."""
        call, channel = await self.caller()
        await self.ami.event("CallcoreHeld", Channel=channel)
        await self.ami.waiting(channel)
        return call, channel

    async def offer(self, channel: str, offer: str, phone: str, ring_s: int = 15) -> None:
        answer = await self.ami.redirect(channel, "callcore-offer", f"{offer}~{phone}~{ring_s}")
        assert answer["Response"] == "Success", answer

    async def variable(self, channel: str, name: str) -> str:
        rows = await self.ami.action("Status", Channel=channel, Variables=name)
        [pair] = [row["Variable"] for row in rows if "Variable" in row]
        return pair.partition("=")[2]

    async def talk(self, desk: int = 1, offer: str = "1.1") -> tuple[Call, str, Call]:
        """A caller and desk number `desk` in one bridge: the caller's call, channel, and the phone's call."""
        call, channel = await self.waiting_caller()
        phone = self.desks[desk - 1]
        before = sum(c.incoming for c in phone.calls)
        await self.offer(channel, offer, phone.user)
        leg = await phone.rings(before + 1)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await self.ami.event("BridgeEnter", Channel=channel)
        return call, channel, leg


async def seal_phone(ami: ManagerClient, phone: str) -> None:
    """What callcore does when it has found that this phone's contact matches: else it may not call or be called."""

    async def get(variable: str) -> str:
        return (await ami.action("Getvar", Variable=variable))[0].get("Value", "")

    contact = await get(f"PJSIP_AOR({phone},contact)")
    agent = await get(f"PJSIP_CONTACT({contact},user_agent)")
    value = seal(Contact(contact, "", agent, True))
    answer = await ami.action("DBPut", Family=dialplan.POLICY, Key=phone, Val=value)
    assert answer[0]["Response"] == "Success", answer


@asynccontextmanager
async def running_floor(
    folder: Path, configuration: Configuration, phones: int = 2, **changes: object
) -> AsyncIterator[Floor]:
    prompts, music = make_sounds(folder)
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(running_asterisk(configuration, prompts, music, **changes))
        ami = await stack.enter_async_context(manager(pbx))
        port = int(pbx.settings.trunk_out.partition(":")[2] or 0)
        trunk = await stack.enter_async_context(sip_agent(pbx.trunk_host, "09012345678", pbx.sip, port=port))
        secrets = dict(pbx.settings.phone_secrets)
        desks: list[Agent] = []
        for name in sorted(name for name in secrets if name.startswith("oita-"))[:phones]:
            address = pbx.address(20 + len(desks))
            desk = await stack.enter_async_context(sip_agent(address, name, pbx.sip, secrets[name]))
            await desk.register()
            await ami.event("DeviceStateChange", Device=f"PJSIP/{name}", State="NOT_INUSE")
            await seal_phone(ami, name)
            desks.append(desk)
        yield Floor(pbx, ami, trunk, desks)
