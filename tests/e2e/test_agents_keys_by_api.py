"""The same things asked by API as by the keys of a desk phone, with the same lamps, facts and figures; and keys that
are pressed when they can't be: each says so, and nothing changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from callcore.demo.centre import CENTRE, NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import AgentId
from callcore.domain.stages import Device, Mark, Presence, SideOutcome, Work
from callcore.installation import accounts_of, trail_of
from callcore.prompts import shelf
from callcore.settings import PROJECT
from tests.e2e.test_agents_keys import dials, heard_prompts, keys_after, phone, signs_in, soon
from tests.e2e.test_people import signed_in
from tests.support import audio
from tests.support.people import first_administrator, user
from tests.support.prompts import put_prompt, shipped_prompts
from tests.support.sip import Call, decoded, sip_agent, tone
from tests.support.station import Station, station, until

AGENT = AgentId("1001")
OFFICE = "0975346111"
RULES = f"""
[recording]
pause_s = 5

[[pauses]]
key = 1
name = "休憩"

[outgoing]
number = "{NUMBER}"
kinds = ["landline"]
acw_s = 2
"""
SAID = {
    "ja": PROJECT / "ivr_prompts" / "oita" / "ja" / "emergency.ulaw",
    "en": PROJECT / "ivr_prompts" / "oita" / "en" / "lost_card.ulaw",
}
WORDS = {
    "ja": "この通話は録音しています。このままでは、お話を続けることができません。",
    "en": "This call is recorded. We can not go on like this.",
}
"""What the manifest says; the audio is Oita's, of an emergency and of a lost card."""
TONGUES = f"""
[announcements.abuse]
ja = "{WORDS["ja"]}"
en = "{WORDS["en"]}"

[[menus]]
id = "tongue"
say = "please_wait"
languages = true
timeout_s = 8

[[menus.keys]]
key = "1"
language = "ja"

[[menus.keys]]
key = "2"
language = "en"
"""
REFUSALS = ("refused", "not-possible", "no-such-code", "key-refused")
ANSWERS = (
    *REFUSALS,
    "signed-in",
    "ready",
    "paused",
    "extended",
    "signed-out",
    "emergency-on",
    "emergency-off",
    "result-keyed",
)


def with_abuse(home: Path) -> Path:
    """The shipped prompts, and words for a reported talk in two languages."""
    folder = shipped_prompts(home, "demo", "ja", "en")
    for language, text in WORDS.items():
        put_prompt(folder, f"demo/{language}/abuse", text, SAID[language].read_bytes())
    return folder


@dataclass(frozen=True, slots=True)
class TwoTongues(DemoCentre):
    """Callers choose Japanese or English; the agent speaks both."""

    def toml(self) -> str:
        told = DemoCentre.toml(self).replace('languages = ["ja"]', 'languages = ["ja", "en"]')
        return told.replace('queues = ["general"]', 'queues = ["general"]\nskills = { en = 3 }')


def spoken(s: Station, language: str) -> audio.Samples:
    return audio.read(shelf.ulaw_of(s.settings.prompts, shelf.sound("demo", language, "abuse")))


def said(s: Station, call: Call) -> set[str]:
    """The common prompts that were heard in a call."""
    return set(heard_prompts(s, call, *ANSWERS))


async def test_keys_in_the_wrong_state_are_refused_aloud_and_change_nothing_also_while_callcore_is_dead() -> (
    None
):
    async with station(DemoCentre(agents=1, may_close=(), more=RULES)) as s:
        desk = await phone(s)
        for code in ("*12", "*13", "*14", "*151", "*201", "*31", "*32", "*33", "*34", "*91", "*77", "*159"):
            before = len(s.facts())
            call = await dials(desk, code)
            heard = said(s, call)
            assert len(heard) == 1 and heard <= set(REFUSALS), (code, heard)
            await s.device(1, Device.FREE)
            new = {type(fact) for fact in s.facts()[before:]}
            assert new <= {f.DeviceChanged}, (code, new)
        await signs_in(desk)
        await s.available(1)
        for code in ("*14", "*201", "*31", "*34", "*159"):  # ready, with no call in hand
            heard = said(s, await dials(desk, code))
            assert len(heard) == 1 and heard <= set(REFUSALS), (code, heard)
            await s.device(1, Device.FREE)
        # The emergency key asks for 1 first; who may not is refused all the same.
        call = await keys_after(desk, "*90", "1")
        assert said(s, call) == {"not-possible"}
        assert s.told(f.EmergencyBegan) == []
        assert s.floor().agents[AGENT].presence is Presence.READY

        s.kill("engine")
        assert said(s, await dials(desk, "*13")) == {"refused"}, "nobody knows yet that it is dead"
        for code in ("*12", "*13", "*14", "*151", "*201", "*31", "*91"):
            call = await dials(desk, code)
            assert said(s, call) == {"not-possible"}, code
        await s.start_engine()
        assert s.floor().agents[AGENT].presence is Presence.READY
        assert s.told(f.AgentSignedOut) == []


async def test_the_api_does_what_the_keys_do_with_the_same_lamps_and_the_trail_names_the_person() -> None:
    async with station(DemoCentre(agents=2, acw_s=30, may_close=(1,), more=RULES)) as s:
        s.start("sidecar")
        accounts = accounts_of(s.settings)
        first_administrator(accounts)
        user(accounts, "sato", Role.SUPERVISOR, (CENTRE,))
        desk = await phone(s)
        lit = {name: await desk.watch(name) for name in ("*11", "*151", "*33", "*14", "*20", "*90")}
        await until(lambda: _serving(s), 40, "the sidecar serves")
        sato = await signed_in(s, "sato")

        async def does(path: str, body: dict[str, Any] | None = None, wanted: int = 200) -> None:
            answer = await sato.post(f"/api/v1/agents/{AGENT}/{path}", json=body)
            assert answer.status_code == wanted, (path, answer.text)

        # Signed in without a PIN, by right; paused and back.
        await does("sign-in", {"phone": s.centre.phone(1)})
        fact = await s.fact(f.AgentSignedIn)
        assert (fact.by, fact.phone) == ("user:sato", s.centre.phone(1))
        await lit["*11"].shows("steady")
        soon(lit["*11"], "steady", fact.at)
        await does("pause", {"reason": "休憩"})
        await lit["*151"].shows("steady")
        await does("ready")
        await lit["*151"].shows("off")
        await does("extend", wanted=409)
        await does("result", {"key": 1}, wanted=409)
        await does("talk-key", {"key": "relay"}, wanted=409)

        # A talk: marked from outside, unmarked by the key, marked again.
        await s.device(1, Device.FREE)
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0312345678", (f"{s.net}.1", s.settings.sip_port))
        )
        call = await citizen.call(NUMBER, tone(400))
        ringing = await desk.rings()
        ringing.sound = tone(600)
        ringing.answer()
        await s.fact(f.CallAnswered)
        await does("talk-key", {"key": "relay"})
        marked = await s.fact(f.CallMarked)
        assert (marked.mark, marked.on, marked.by) == (Mark.RELAY, True, "user:sato")
        await lit["*33"].shows("steady")
        soon(lit["*33"], "steady", marked.at)
        await ringing.hears(1)
        ringing.press("*33")
        await s.fact(f.CallMarked, lambda x: not x.on)
        await lit["*33"].shows("off")
        await ringing.hears(3)
        ringing.press("*33")
        await until(lambda: len(s.told(f.CallMarked)) == 3)
        assert call.events == [], "the citizen heard no key"
        call.hang_up()
        await ringing.until("bye")

        # After-call work is lengthened by the key and by API; the result is keyed by API.
        await s.fact(f.TalkEnded)
        await lit["*14"].shows("steady")
        assert said(s, await dials(desk, "*14")) == {"extended"}
        await does("extend")
        await s.fact(f.WrapUpExtended, lambda x: x.by == "user:sato")
        await does("result", {"key": 1})
        keyed = await s.fact(f.ResultKeyed)
        assert (keyed.agent, keyed.by) == (AGENT, "user:sato")
        await lit["*20"].shows("steady")
        [record] = s.books().records.values()
        assert (record.relay, record.result) == (True, keyed.result)
        await does("ready")
        await s.device(1, Device.FREE)

        # The phone is made to call out: it rings, and what was asked for is dialled when it is picked up.
        carrier = await s.carrier()
        await does("dial", {"number": OFFICE})
        own = await desk.rings(2)
        own.sound = tone(600)
        own.answer()
        leg = await carrier.rings()
        begun = await s.fact(f.SideCallBegan)
        assert (begun.agent, begun.other.text) == (AGENT, OFFICE)
        assert s.floor().agents[AGENT].work is Work.CALLING_OUT
        leg.answer()
        await leg.hears(1)
        leg.hang_up()
        over = await s.fact(f.SideCallEnded)
        assert over.outcome is SideOutcome.CONNECTED
        await does("dial", {"number": "*90"}, wanted=422)

        # Closed in an emergency by the key, opened again by API, on everybody's lamp.
        await does("ready")
        await s.device(1, Device.FREE)
        call = await keys_after(desk, "*90", "1")
        assert said(s, call) == {"emergency-on"}
        began = await s.fact(f.EmergencyBegan)
        assert began.by == f"agent:{AGENT}"
        await lit["*90"].shows("steady")
        path = f"/api/v1/centres/{CENTRE}/emergency"
        assert (await sato.get(path)).json()["on"] is True
        assert (await sato.delete(path)).status_code == 200
        await lit["*90"].shows("off")
        assert (await sato.delete(path)).status_code == 409
        assert (await sato.put(path, json={"reason": "地震"})).status_code == 200
        await lit["*90"].shows("steady")
        await _ends_on_the_page(sato)
        await lit["*90"].shows("off")
        assert (await sato.put(path, json={"reason": "地震"})).status_code == 200
        await lit["*90"].shows("steady")
        # The lit key asks whether the closure is to end, and another key than 1 leaves it.
        assert said(s, await keys_after(desk, "*90", "2")) == {"not-possible"}
        assert said(s, await keys_after(desk, "*90", "1")) == {"emergency-off"}
        await lit["*90"].shows("off")
        assert (await sato.put(path, json={"reason": "地震"})).status_code == 200
        await lit["*90"].shows("steady")
        await dials(desk, "*91")
        await s.fact(f.EmergencyEnded, lambda x: x.by == f"agent:{AGENT}")
        await lit["*90"].shows("off")
        await s.device(1, Device.FREE)

        await does("sign-out", {"why": "早退"})
        await lit["*11"].shows("off")
        await sato.aclose()
        done = [line.action for line in trail_of(s.settings).newest(Wanted(result=Result.DONE), 100)]
        assert {
            "agent_sign_in",
            "agent_pause",
            "agent_ready",
            "agent_talk_key",
            "agent_extend",
            "agent_result",
            "agent_dial",
            "agent_sign_out",
            "emergency_begin",
            "emergency_end",
        } <= set(done)


@pytest.mark.few
async def test_a_reported_talk_hears_the_centres_words_in_the_callers_language_on_both_sides_and_goes_on() -> (
    None
):
    async with station(TwoTongues(agents=1, menu="tongue", more=TONGUES), prompts=with_abuse) as s:
        desk = await phone(s)
        await signs_in(desk)
        for n, (key, language, other) in enumerate((("1", "ja", "en"), ("2", "en", "ja")), 1):
            citizen = await s.stack.enter_async_context(
                sip_agent(f"{s.net}.{130 + n}", f"031234567{n}", (f"{s.net}.1", s.settings.sip_port))
            )
            call = await citizen.call(NUMBER)  # both are silent: a tone would drown the words
            await call.until("up")
            await call.hears(1)
            call.press(key)
            ringing = await desk.rings(n)
            ringing.answer()
            await until(lambda n=n: len(s.told(f.CallAnswered)) == n, what="the talk")  # type: ignore[misc]
            answered = s.told(f.CallAnswered)[-1]
            await ringing.hears(1)
            here, there = len(ringing.heard), len(call.heard)
            ringing.press("*32")
            await s.fact(f.CallMarked, lambda x, a=answered: x.call == a.call)
            words, not_these = (spoken(s, each) for each in (language, other))
            await call.hears(len(words) / audio.RATE + 6)
            for side, sound in (("citizen", call.heard[there:]), ("agent", ringing.heard[here:])):
                heard = decoded(bytes(sound))
                assert audio.share(words, heard) >= 0.8, (side, language)
                assert audio.share(not_these, heard) <= 0.2, (side, other)
            assert call.events == []
            assert not call.over, "the talk goes on"
            call.hang_up()
            await ringing.until("bye")
            await s.ended(n)
            await dials(desk, "*13")

            # Deleted among the others, the recording is still there, whole.
            recording = await s.recording(answered.call)
            whole = recording.read_bytes()
            recording.unlink()
            assert (s.settings.protected / recording.name).read_bytes() == whole
            recording.write_bytes(whole)
        s.books_agree()


def _serving(s: Station) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{s.settings.web_port}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


async def _ends_on_the_page(sato: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while "地震" not in (await sato.get("/emergency")).text:
            await asyncio.sleep(0.2)
    form = {"centre": CENTRE, "act": "end", "csrf": sato.headers["x-csrf-token"]}
    ended = await sato.post("/emergency", data=form)
    assert (ended.status_code, ended.headers["location"]) == (303, "/emergency?done=emergency_ended")
