"""Agents call out: live, with callcore killed in the middle, and a whole call while it was away."""

from __future__ import annotations

import re

import pytest

from callcore.demo.centre import NUMBER as OURS
from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain import sides
from callcore.domain.ids import AgentId, PhoneId
from callcore.domain.stages import Device, Party, SideKind, SideOutcome, Work
from callcore.runtime.commands import CommandClient, CommandFailed
from tests.support.consults import apart
from tests.support.people import read_page
from tests.support.sip import sip_agent, tone
from tests.support.station import PIN, Station, hears_for, station, until

OFFICE = "0975346111"
OUTGOING = f"""
[outgoing]
number = "{OURS}"
emergency = ["110", "118", "119"]
kinds = ["landline"]
acw_s = 2

[[contacts]]
digits = "0975105160"
name = "連絡用"
phones = ["p2"]

[recording]
channels = "stereo"
"""


def work(s: Station) -> Work:
    return s.floor().agents[AgentId(s.centre.agent(1))].work


async def test_an_agent_calls_an_office_and_callcore_dies_and_comes_back_in_the_next_call() -> None:
    async with station(DemoCentre(agents=2, more=OUTGOING), sidecar=True) as s:
        (desk,) = await s.staff(1)
        carrier = await s.carrier()

        call = await desk.dial(OFFICE)
        leg = await carrier.rings()
        begun = await s.fact(f.SideCallBegan)
        assert (begun.kind, begun.agent, begun.number) == (SideKind.OUTGOING, s.centre.agent(1), OURS)
        assert begun.other.text == OFFICE
        assert work(s) is Work.CALLING_OUT
        leg.sound = tone(600)
        leg.answer()
        connected = await s.fact(f.SideCallConnected)
        await leg.hears(2)
        leg.hang_up()
        await call.wait_closed(10)
        ended = await s.fact(f.SideCallEnded)
        assert (ended.outcome, ended.hung_up_by) == (SideOutcome.CONNECTED, Party.CALLED)
        assert ended.at - connected.at > 1_500_000
        assert ended.wrap_up_until == ended.at + 2_000_000
        filed = await s.fact(f.RecordingFiled, within=60)
        assert (filed.call, filed.problem) == (begun.call, None)
        assert filed.seconds > 1
        await until(lambda: work(s) is Work.IDLE, what="after-call work is over")

        # A number that the list does not allow, and an emergency call that the carrier cannot take.
        await (await desk.dial("09012345678")).wait_closed(20)
        refused = await s.fact(f.SideCallEnded, lambda x: x.outcome is SideOutcome.REFUSED)
        assert refused.agent is None
        await s.device(1, Device.FREE)
        emergency = await desk.dial("119")
        leg = await carrier.rings(2)
        assert leg.invite is not None
        carrier.respond(leg.invite, 503, "Service Unavailable", leg.local)
        leg.end("503")
        alarm = await s.fact(f.EmergencyNotCarried)
        assert (alarm.digits, alarm.phone) == ("119", s.centre.phone(1))
        await emergency.wait_closed(30)
        assert '"alarm"' in s.log("engine")
        for sample in (
            'callcore_today_emergency_not_carried_calls{centre="demo"} 1.0',
            'callcore_today_outgoing_calls{centre="demo",outcome="connected"} 1.0',
        ):
            await until(lambda sample=sample: sample in _metrics(s), what=sample)  # type: ignore[misc]

        # The city calls the contact number: it rings the phone of the person, though nobody is signed in there.
        person = await s.desk(2)
        await s.device(2, Device.FREE)
        city = await (await s.caller()).dial("0975105160")
        ringing = await person.incoming(20)
        await ringing.answer()
        contact = await s.fact(f.SideCallConnected, lambda x: x.phone == s.centre.phone(2))
        await hears_for(city, 2)
        await city.hang_up()
        await s.fact(f.SideCallEnded, lambda x: x.call == contact.call)
        theirs, ours = apart(await s.recording(contact.call), 1000, 480)
        assert theirs[0] >= 1 and theirs[1] == 0, "who called on the left"
        assert ours[1] >= 1 and ours[0] == 0, "the person on the right"

        # callcore dies in a call, another one is made and ended while it is away.
        await s.device(1, Device.FREE)
        await desk.dial(OFFICE)
        leg = await carrier.rings(3)
        leg.answer()
        third = await s.fact(f.SideCallConnected, lambda x: x.call not in (begun.call, contact.call))
        s.kill("engine")
        leg.hang_up()
        assert desk.call is not None
        await desk.call.wait_closed(10)
        fourth = await desk.dial(OFFICE)
        leg = await carrier.rings(4)
        leg.answer()
        await fourth.wait_established(10)
        await fourth.hang_up()
        await leg.until("bye")
        await s.start_engine()
        over = await s.fact(f.SideCallEnded, lambda x: x.call == third.call)
        assert (over.outcome, over.hung_up_by, over.reconstructed) == (
            SideOutcome.CONNECTED,
            Party.CALLED,
            True,
        )
        unseen = await s.fact(f.SideCallBegan, lambda x: x.reconstructed)
        assert (unseen.other.text, unseen.phone) == (OFFICE, s.centre.phone(1))
        told = await s.fact(f.SideCallEnded, lambda x: x.call == unseen.call)
        assert (told.outcome, told.hung_up_by) == (SideOutcome.CONNECTED, Party.AGENT)
        await until(lambda: work(s) is Work.IDLE, what="idle")

        made = sides.figures(s.books().sides.values(), sides.OUTGOING)
        assert (made.made, made.connected, made.refused, made.failed, made.open) == (5, 3, 1, 1, 0)
        assert sides.figures(s.books().sides.values(), sides.CONTACT).connected == 1
        assert s.figures().arrived == 0
        assert not s.told(f.CallArrived)


async def test_who_was_not_reached_and_calls_again_is_shown_to_the_agent_with_the_date_of_the_answer() -> (
    None
):
    async with station(DemoCentre(agents=2, more=OUTGOING)) as s:
        carrier = await s.carrier()
        desk = await s.stack.enter_async_context(
            sip_agent(
                f"{s.net}.40",
                s.centre.phone(1),
                (f"{s.net}.1", s.settings.sip_port),
                s.secrets.phones[PhoneId(s.centre.phone(1))],
            )
        )
        await desk.register()
        await s.device(1, Device.FREE)
        call = await desk.call(OFFICE)
        leg = await carrier.rings()
        assert leg.invite is not None
        carrier.respond(leg.invite, 480, "Temporarily Unavailable", leg.local)
        leg.end("480")
        ended = await s.fact(f.SideCallEnded)
        assert ended.outcome is SideOutcome.NO_ANSWER
        client = CommandClient(s.settings.engine_socket)
        with pytest.raises(CommandFailed, match="200"):
            await client.ask("answer", call=ended.call, text="あ" * 201)
        secret = "住民票の写しは、郵送でも請求できます。"
        assert (await client.ask("answer", call=ended.call, text=secret))["done"]
        [kept] = await client.ask("answers", centre="demo")
        assert (kept["text"], kept["number"]) == (secret, "*******111")
        await client.close()
        for file in s.settings.journal.rglob("*"):
            if file.is_file():
                assert secret.encode() not in file.read_bytes(), "the answer stands in the journal"
                assert OFFICE.encode() not in file.read_bytes()

        signing = await desk.call(f"*11{s.centre.agent(1)}")
        await signing.until("up")
        await signing.hears(0.5)
        signing.press(f"{PIN}#")
        await s.fact(f.AgentSignedIn)
        await signing.until("bye")
        carrier.user = OFFICE
        first = await carrier.call(OURS)
        ringing = await desk.rings()
        assert ringing.invite is not None
        # `generic` phones show no Japanese unless the file says so.
        assert re.match(
            r'"answer \d+/\d+ demo ja 0975346111 \d+s" <sip:0975346111@', ringing.invite.get("from")
        )
        first.hang_up()
        await ringing.until("cancelled")
        await s.ended(1)
        s.kill("engine")
        await s.start_engine()
        await s.available(1)
        again = await carrier.call(OURS)
        ringing = await desk.rings(2)
        assert ringing.invite is not None
        assert " again demo ja " in ringing.invite.get("from")
        assert [x.again for x in s.told(f.CallArrived)] == [False, True]
        again.hang_up()
        await ringing.until("cancelled")
        assert call.over


def _metrics(s: Station) -> str:
    return read_page(s.settings, "/metrics")[1]
