"""An agent asks the city: departments by their short numbers, live, in a talk, and while callcore is dead."""

from __future__ import annotations

import json

import numpy as np

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain import sides
from callcore.domain.ids import AgentId
from callcore.domain.stages import Device, Party, SideKind, SideOutcome, Work
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore, edit
from tests.support import audio
from tests.support.people import read_page
from tests.support.sip import Call, comes_true, decoded, loudness, tone
from tests.support.station import Station, station, until

AGENT = AgentId("1001")
CITIZENS, HALL = "0970000111", "2340"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOLD_TONE_HZ = 1400
DIRECTORY = f"""
[outgoing]
number = "{NUMBER}"
ring_s = 10
acw_s = 2

[[departments]]
id = "shimin"
short = "11"
name = "市民課"
number = "{CITIZENS}"
languages = ["ja", "en"]
about = "住所の変更"

[[departments]]
id = "kita"
short = "21"
name = "窓口係"
office = "北支所"
number = "0970000121"
substitute = "joho"

[departments.hours.weekly]
{chr(10).join(f'{day} = ["00:00:00-00:00:01"]' for day in DAYS)}

[[departments]]
id = "joho"
short = "12"
name = "情報課"
number = "{HALL}"

[[departments]]
id = "minami"
short = "22"
name = "窓口係"
office = "南支所"
number = "0970000122"

[departments.hours.weekly]
{chr(10).join(f'{day} = ["00:00:00-00:00:01"]' for day in DAYS)}
"""


def said(s: Station, call: Call, prompt: str) -> bool:
    sound = np.concatenate([decoded(bytes(call.heard)), audio.silence(3)])
    return audio.find(s.prompt(prompt, "common"), sound).score > 0.98


def work(s: Station) -> Work:
    return s.floor().agents[AGENT].work


def shown(s: Station) -> dict[str, tuple[bool, bool]]:
    """By API: each department's code, open, busy. Nothing while the sidecar is not up yet."""
    try:
        status, text = read_page(s.settings, "/api/v1/centres/demo/departments", 30)
    except OSError:
        return {}
    if status == 503:  # it has not read the journal yet
        return {}
    assert status == 200, text
    found = json.loads(text)["departments"]
    return {each["code"]: (each["open"], each["busy"] is not None) for each in found}


async def test_an_agent_asks_departments_that_answer_are_busy_or_closed_while_callcore_lives_and_while_it_is_dead() -> (
    None
):
    async with station(DemoCentre(agents=1, more=DIRECTORY), sidecar=True) as s:
        desk = await phone(s)
        carrier = await s.carrier()
        lamp, closed = await desk.watch("*511"), await desk.watch("*521")
        await lamp.shows("off")
        await closed.shows("flashing")
        await signs_in(desk)
        await s.device(1, Device.FREE)

        # Answered: the lamp burns for all colleagues, and the API names who asks.
        call = await desk.call("*511", tone(600))
        leg = await carrier.rings()
        assert leg.invite is not None and f"sip:{NUMBER}@" in leg.invite.get("from")
        begun = await s.fact(f.SideCallBegan)
        assert (begun.kind, begun.why, begun.agent) == (SideKind.DEPARTMENT, "demo-shimin", AGENT)
        assert begun.other.text == CITIZENS
        await lamp.shows("steady")
        await until(lambda: shown(s).get("*511") == (True, True), what="busy by API")
        assert shown(s)["*521"] == (False, False)
        leg.sound = tone(800)
        leg.answer()
        await s.fact(f.SideCallConnected)
        assert work(s) is Work.CALLING_OUT
        await leg.hears(1)
        leg.hang_up()
        await call.until("bye")
        ended = await s.fact(f.SideCallEnded)
        assert (ended.outcome, ended.hung_up_by) == (SideOutcome.CONNECTED, Party.CALLED)
        await lamp.shows("off")
        filed = await s.fact(f.RecordingFiled, within=60)
        assert (filed.call, filed.problem) == (begun.call, None)
        await until(lambda: work(s) is Work.IDLE, what="after-call work is over")

        # Busy: spoken after.
        call = await desk.call("*511", tone(600))
        leg = await carrier.rings(2)
        assert leg.invite is not None
        carrier.respond(leg.invite, 486, "Busy Here", leg.local)
        leg.end("486")
        await call.until("bye")
        assert said(s, call, "department-busy")
        await s.fact(f.SideCallEnded, lambda x: x.outcome is SideOutcome.BUSY)

        # Closed, with nobody to stand in, and closed with a substitute.
        call = await desk.call("*522", tone(600))
        await call.until("bye")
        assert said(s, call, "department-closed")
        refused = await s.fact(f.SideCallEnded, lambda x: x.outcome is SideOutcome.REFUSED)
        assert refused.agent is None
        call = await desk.call("*521", tone(600))
        leg = await carrier.rings(3)
        assert leg.invite is not None and f"sip:{HALL}@" in leg.invite.start
        assert said(s, call, "department-substitute")
        instead = await s.fact(f.SideCallBegan, lambda x: x.why == "demo-joho")
        call.hang_up()
        await leg.until("cancelled")
        await s.fact(f.SideCallEnded, lambda x: x.call == instead.call)

        # callcore is dead: the same, and afterwards it knows of both calls.
        await s.device(1, Device.FREE)
        s.kill("engine")
        call = await desk.call("*522", tone(600))
        await call.until("bye")
        assert said(s, call, "department-closed")
        call = await desk.call("*511", tone(600))
        leg = await carrier.rings(4)
        leg.answer()
        await call.until("up")
        await leg.hears(1)
        call.hang_up()
        await leg.until("bye")
        await s.start_engine()
        unseen = await s.fact(f.SideCallBegan, lambda x: x.reconstructed and x.why == "demo-shimin")
        assert (unseen.kind, unseen.other.text) == (SideKind.DEPARTMENT, CITIZENS)
        over = await s.fact(f.SideCallEnded, lambda x: x.call == unseen.call)
        assert (over.outcome, over.hung_up_by) == (SideOutcome.CONNECTED, Party.AGENT)
        shut = await s.fact(f.SideCallBegan, lambda x: x.reconstructed and x.why == "demo-minami")
        await s.fact(f.SideCallEnded, lambda x: x.call == shut.call and x.outcome is SideOutcome.REFUSED)
        await lamp.shows("off")
        await closed.shows("flashing")

        books = s.books().sides.values()
        made = sides.figures(books, sides.DEPARTMENTS)
        assert (made.made, made.connected, made.busy, made.no_answer, made.refused, made.open) == (
            6,
            2,
            1,
            1,
            2,
            0,
        )
        assert sides.figures(books, sides.OUTGOING).made == 0
        assert s.figures().arrived == 0


async def test_a_consult_in_a_talk_leaves_the_citizen_on_hold_and_the_talk_as_it_was() -> None:
    async with station(DemoCentre(agents=1, more=f"[hold]\nwarn_after_s = 3\n{DIRECTORY}")) as s:
        desk = await phone(s)
        carrier = await s.carrier()
        await signs_in(desk)
        await s.device(1, Device.FREE)
        caller = await s.caller()
        citizen = await s.dial_in(caller)
        talk = await desk.rings()
        talk.sound = tone(600)
        talk.answer()
        answered = await s.fact(f.CallAnswered)
        await talk.hold()
        consult = await desk.call("*511", tone(600))
        leg = await carrier.rings()
        leg.answer()
        connected = await s.fact(f.SideCallConnected)
        side = s.floor().sides[connected.call]
        assert (side.department, side.phone, side.agent) == ("demo-shimin", "demo-p1", None)
        assert work(s) is Work.TALKING
        await s.fact(f.HoldOverran)
        await comes_true(
            lambda: loudness(bytes(consult.heard[-800:]), HOLD_TONE_HZ) > 0.9, "the tone of a long hold"
        )
        consult.hang_up()
        await leg.until("bye")
        await s.fact(f.SideCallEnded, lambda x: x.call == connected.call)
        assert s.floor().calls[answered.call].talking_with == AGENT
        assert work(s) is Work.TALKING
        await citizen.hang_up()
        await talk.until("bye")


async def test_a_department_that_is_added_or_closed_by_apply_is_so_at_once_for_who_dials_it() -> None:
    head, _, directory = DIRECTORY.partition("[[departments]]")
    async with station(DemoCentre(agents=1, more=head)) as s:
        desk = await phone(s)
        carrier = await s.carrier()
        call = await desk.call("*511", tone(600))
        await call.until("bye")
        assert said(s, call, "no-such-department")
        edit(s, head, f"{head}[[departments]]{directory}")
        status, told = await callcore(s, "plan")
        assert "部署 shimin: 追加 市民課" in told and "部署 joho" in told, told
        status, told = await callcore(s, "apply", "--yes")
        assert status == 0, told
        lamp = await desk.watch("*512")
        await lamp.shows("off")
        call = await desk.call("*521", tone(600))
        leg = await carrier.rings()
        assert leg.invite is not None and f"sip:{HALL}@" in leg.invite.start
        await lamp.shows("steady")
        call.hang_up()
        await leg.until("cancelled")
        await lamp.shows("off")
        # A day of the week that closes today's department, and its substitute with it.
        week = "\n".join(f"{day} = []" for day in DAYS)
        open_week = '[departments.hours]\nholidays = "open"\n\n[departments.hours.weekly]\n'
        once = f'{DAYS[0]} = ["00:00:00-00:00:01"]'
        edit(
            s,
            f'number = "{HALL}"\n',
            f'number = "{HALL}"\n\n{open_week}{week.replace(f"{DAYS[0]} = []", once)}\n',
        )
        status, told = await callcore(s, "apply", "--yes")
        assert status == 0, told
        await lamp.shows("flashing")
        call = await desk.call("*521", tone(600))
        await call.until("bye")
        assert said(s, call, "department-closed")
