"""The centre files change while people call: nobody is dropped, and what is new works at once."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from callcore.centres import load
from callcore.demo.centre import NUMBER, TEXTS, DemoCentre
from callcore.demo.phone import PhoneCall, SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import AgentId
from callcore.domain.stages import OfferStage
from callcore.installation import pbx_settings, phone_ids
from callcore.pbx.render import write
from callcore.pins import PinFile
from callcore.prompts import shelf
from callcore.settings import load_secrets
from tests.e2e.test_agents_sign_in import watcher
from tests.support import audio
from tests.support.people import read_page
from tests.support.prompts import brief_welcome, put_prompt, shipped_prompts
from tests.support.station import PIN, Station, hears_for, hears_now, music, station, until, voice_of, words

SECOND = "0975105152"
MORE = f"""
[[numbers]]
digits = "{SECOND}"
queue = "second"

[[queues]]
id = "second"
name = "英語"
needs = {{ en = 1 }}

[[phones]]
id = "p3"
seat = "A-3"
maker = "simulated"
model = "baresip"

[[agents]]
id = "1003"
name = "オペレーター03"
queues = ["general", "second"]
skills = {{ en = 1 }}
"""


def file(s: Station) -> Path:
    return s.settings.centres / "demo.toml"


def edit(s: Station, old: str, new: str, more: str = "") -> None:
    source = file(s).read_text(encoding="utf-8")
    assert old in source
    file(s).write_text(source.replace(old, new, 1) + more, encoding="utf-8")


async def callcore(s: Station, *words: str) -> tuple[int, str]:
    """One command as an operator enters it: its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callcore",
        *words,
        env=s.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def waits(s: Station, caller: SimPhone, count: int, number: str = NUMBER) -> None:
    await s.dial_in(caller, number)
    await until(lambda: len(s.told(f.VisitBegan)) == count, what=f"{count} callers wait")


async def page_says(s: Station, path: str, wanted: str) -> None:
    """Await that the board's own source has this text."""

    def read() -> str:
        with contextlib.suppress(OSError):
            return read_page(s.settings, path, timeout=2)[1]
        return ""

    end = asyncio.get_running_loop().time() + 30
    while wanted not in await asyncio.to_thread(read):
        assert asyncio.get_running_loop().time() < end, f"{path} never said {wanted}"
        await asyncio.sleep(0.1)


async def test_new_agents_queues_phones_and_ring_times_come_in_while_people_talk_and_wait() -> None:
    async with (
        station(DemoCentre(agents=2, ring_s=15, rest_s=0, acw_s=0), prompts=brief_welcome) as s,
        watcher(s) as seen,
    ):
        (desk,) = await s.staff(1)
        first, second, third = [await s.caller(n, hz=900 + 100 * n) for n in (1, 2, 3)]
        talk = await s.dial_in(first)
        answered = await desk.incoming(30)
        await answered.answer()
        await s.fact(f.CallAnswered)
        await waits(s, second, 2)
        await waits(s, third, 3)
        waiting = s.call_ids()[1:]

        edit(s, "ring_s = 15", "ring_s = 6", MORE)
        status, said = await callcore(s, "plan")
        assert status == 3, said
        assert "demo 待ち行列 general: ring_s 15 → 6 [すぐに。Asterisk は queues.conf を読み直す]" in said
        assert "demo オペレーター 1003: 追加 オペレーター03 [すぐに]" in said
        status, said = await callcore(s, "apply", "--yes", "--language", "en")
        assert status == 0, said + s.log("engine")
        assert "demo queue second: added" in said
        assert (await callcore(s, "plan"))[0] == 0

        # Nobody noticed.
        assert s.told(f.CallEnded) == []
        assert len(s.told(f.LinkLost)) == 0
        await hears_now(talk, voice_of(440))
        await hears_now(answered, voice_of(1000))
        assert second.call is not None and third.call is not None
        await hears_now(second.call, music)
        assert s.told(f.NetEntered) == []
        members = await s.asterisk.command("queue show demo-general")
        assert "PJSIP/demo-p1" in members

        # The new agent at the new phone is offered who waited longest, for the new ring time.
        s.secrets = load_secrets(s.settings, ())
        PinFile(s.settings.home / "pins.json").set(AgentId("1003"), PIN)
        new = await s.desk(3)
        await s.sign_in(new, 3)
        unheard = await new.incoming(30)
        offer = await s.fact(f.OfferMade, lambda x: x.agent == "1003")
        assert (offer.call, offer.ring_s) == (waiting[0], 6)
        ended = await s.fact(f.OfferFailed, lambda x: x.offer == offer.offer)
        assert ended.result is OfferStage.NO_ANSWER
        assert 5 < (ended.at - offer.at) / 1e6 < 9
        await unheard.wait_closed(20)
        ringing = await new.incoming(30)
        await ringing.answer()
        answer = await s.fact(f.CallAnswered, lambda x: x.agent == "1003")
        assert answer.call == waiting[0]

        # The new number leads to the new queue; only who has the skill serves it.
        fourth = await s.caller(4)
        await waits(s, fourth, 4, SECOND)
        assert s.told(f.VisitBegan)[-1].queue == "demo-second"
        await ringing.hang_up()
        offer = await s.fact(f.OfferMade, lambda x: x.agent == "1003" and x.call == waiting[1])
        await hears_now(talk, voice_of(440))
        # `Module: All` would be a reload of everything; the queues' own says nothing.
        modules = [event["Module"] for event in seen.events if event.get("Event") == "Reload"]
        assert sorted(modules) == ["pbx_config.so", "res_pjsip.so"]


async def test_closing_hours_and_removals_count_at_once_and_nobody_who_waits_is_lost() -> None:
    async with station(DemoCentre(agents=1), sidecar=True, prompts=brief_welcome) as s:
        edit(s, 'queue = "general"', 'queue = "general"', MORE)
        assert (await callcore(s, "apply", "--yes"))[0] == 0
        await page_says(s, "/api/v1/live", "オペレーター03")
        early = await s.caller(1)
        await waits(s, early, 1, SECOND)

        # The queue alone goes: who waits in it moves to where the number leads now.
        without = file(s).read_text(encoding="utf-8")
        gone = without.replace('[[queues]]\nid = "second"\nname = "英語"\nneeds = { en = 1 }\n', "")
        today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
        days = "".join(
            f'\n[[hours.days]]\ndate = {today + timedelta(days=n)}\nreason = "臨時休業"\n' for n in range(2)
        )
        file(s).write_text(
            gone.replace('"second"', '"general"').replace('["general", "general"]', '["general"]') + days,
            encoding="utf-8",
        )
        status, said = await callcore(s, "apply", "--yes")
        assert status == 0, said
        moved = await s.fact(f.VisitBegan, lambda x: x.queue == "demo-general")
        assert moved.call == s.call_ids()[0]
        late = await s.caller(2)
        await s.dial_in(late)
        (refused,) = await s.ended(1)
        assert (refused.call, refused.outcome.value) == (s.call_ids()[1], "closed")
        assert early.call is not None
        await hears_now(early.call, music)


async def until_told(s: Station, day: str, hours: str) -> None:
    """Await that Asterisk has these hours of a local date."""
    end = asyncio.get_running_loop().time() + 30
    while f"Value: {hours}" not in await s.asterisk.command(f"database get callcore-hours/demo {day}"):
        assert asyncio.get_running_loop().time() < end, f"the hours of {day} were never told"
        await asyncio.sleep(0.1)


NEW, CLOSED = "本日は臨時休業です。", TEXTS["closed"]


def own_prompts(home: Path) -> Path:
    """As shipped, but being closed is said twice over: long enough for a change to come in meanwhile."""
    folder = shipped_prompts(home, "demo")
    put_prompt(folder, "demo/ja/closed", CLOSED, 2 * shelf.ulaw_of(folder, "demo/ja/closed").read_bytes())
    return folder


async def test_an_announcement_is_changed_while_callers_hear_the_old_one_and_the_history_keeps_both() -> None:
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    never = tuple((str(today + timedelta(days=n)), ()) for n in (-1, 0, 1))
    async with station(DemoCentre(agents=1, days=never), prompts=own_prompts) as s:
        # Until the day's hours have been told, a caller is judged by the plain week.
        await until_told(s, f"{today:%Y%m%d}", "closed")
        old = s.prompt("closed")
        edit(s, CLOSED, NEW)
        # As `callcore prompts build` leaves it: made, to be listened to, and not heard by callers yet.
        put_prompt(s.settings.prompts, "demo/ja/closed", NEW, s.ulaw("apology"))
        new = s.prompt("closed")
        status, said = await callcore(s, "plan")
        assert status == 3 and f"text {CLOSED} → {NEW}" in said and "extensions.conf" in said

        async def whole(call: PhoneCall) -> audio.Samples:
            await call.wait_closed(40)
            return np.concatenate([words(call), audio.silence(6)])

        listening = await s.dial_in(await s.caller(1))
        await hears_for(listening, 1)
        status, said = await callcore(s, "apply", "--yes")
        assert status == 0, said
        second = await whole(await s.dial_in(await s.caller(2)))
        first = await whole(listening)
        changed = s.told(f.Configured)[-1].at
        ended = await s.fact(f.CallEnded, lambda x: x.call == s.call_ids()[0])
        assert changed < ended.at
        assert audio.find(old, first).score > 0.99
        assert audio.find(new, second).score > 0.99
        assert audio.find(new, first).score < 0.5

        status, said = await callcore(s, "prompts", "history", "demo", "closed")
        assert status == 0, said
        times = said.splitlines()
        assert [line.strip() for line in times[1::2]] == [CLOSED, NEW]
        assert times[0].split(" – ")[1].split("  ")[0] == times[2].split(" – ")[0]
        assert "現在 / now" in times[2]
        kept = times[0].split()[-1]
        moment = times[2].split(" – ")[0].replace(" ", "T")
        status, said = await callcore(s, "prompts", "history", "demo", "closed", "--at", moment)
        assert NEW in said and CLOSED not in said
        status, said = await callcore(s, "prompts", "export", kept, str(s.settings.home / "then.wav"))
        assert status == 0, said
        assert np.array_equal(audio.read(s.settings.home / "then.wav"), old)
        status, said = await callcore(s, "prompts", "history", "kawa", "closed")
        assert status == 1 and "kawa" in said


def two_centres(home: Path) -> Path:
    """A prompts folder in which another centre speaks the demo's texts."""
    made = shipped_prompts(home, "demo")
    shutil.copytree(made / "demo", made / "kawa")
    return made


async def test_a_whole_centre_is_added_while_the_first_ones_callers_hear_their_music() -> None:
    async with station(DemoCentre(agents=1), prompts=two_centres) as s:
        early = await s.caller(1)
        await waits(s, early, 1)
        source = file(s).read_text(encoding="utf-8")
        for old, new in (('"demo"', '"kawa"'), (NUMBER, SECOND), ('"1001"', '"2001"')):
            source = source.replace(old, new)
        (s.settings.centres / "kawa.toml").write_text(source, encoding="utf-8")
        status, said = await callcore(s, "apply", "--yes")
        assert status == 0, said
        assert "kawa センター: 追加" in said
        assert "callcore-kawa" in await s.asterisk.command("moh show classes")
        late = await s.caller(2)
        await waits(s, late, 2, SECOND)
        assert s.told(f.VisitBegan)[-1].queue == "kawa-general"
        assert early.call is not None and late.call is not None
        await hears_now(early.call, music)
        await hears_now(late.call, music)
        assert s.told(f.CallEnded) == []


async def test_a_wrong_file_is_refused_and_nothing_changes_even_if_the_engine_starts_again() -> None:
    async with station(DemoCentre(agents=1), prompts=brief_welcome) as s:
        await s.staff(1)
        version = s.floor().configuration
        before = {path.name: path.read_bytes() for path in s.pbx.etc_dir.iterdir()}
        edit(s, "ring_s = 15", "rings_s = 20")
        for command in (("plan",), ("apply", "--yes")):
            status, said = await callcore(s, *command)
            assert status == 1
            assert "demo.toml" in said and "「ring_s」ではありませんか" in said
        assert {path.name: path.read_bytes() for path in s.pbx.etc_dir.iterdir()} == before
        assert s.floor().configuration == version
        s.kill("engine")
        await s.start_engine()
        caller = await s.caller()
        await s.dial_in(caller)
        offer = await s.fact(f.OfferMade)
        assert offer.ring_s == 15
        assert s.floor().configuration == version


async def test_what_cannot_change_under_calls_is_refused_with_its_name() -> None:
    async with station(DemoCentre(agents=2)) as s:
        await s.staff(2)
        source = file(s).read_text(encoding="utf-8")
        seat = '\n[[phones]]\nid = "p2"\nseat = "A-2"\nmaker = "simulated"\nmodel = "baresip"'
        edit(s, seat, "")
        status, said = await callcore(s, "apply", "--yes")
        assert status == 1
        assert "demo-p2" in said and "1002" in said
        file(s).write_text(source.replace("ring_s = 15", "ring_s = 20"), encoding="utf-8")
        env, s.env_more = s.env, {"CALLCORE_SIP_PORT": "5061"}
        status, said = await callcore(s, "plan")
        assert status == 3
        assert f"CALLCORE_SIP_PORT: {env['CALLCORE_SIP_PORT']} → 5061 [次に止めて起動したとき]" in said
        status, said = await callcore(s, "apply", "--yes")
        assert status == 1
        assert "CALLCORE_SIP_PORT" in said
        queue = (s.pbx.etc_dir / "queues.conf").read_text()
        assert "timeout = 15" in queue


async def test_an_asterisk_that_was_taken_over_with_its_old_files_is_mended_by_apply() -> None:
    async with station(DemoCentre(agents=1)) as s:
        await s.stop("engine")
        edit(s, "ring_s = 15", "ring_s = 20", MORE)
        # What a start of everything does before it finds that Asterisk runs already.
        configuration = load(s.settings.centres, s.settings.prompts)
        secrets = load_secrets(s.settings, phone_ids(configuration))
        write(configuration, pbx_settings(s.settings, secrets, s.toolchain))
        await s.start_engine()
        assert SECOND not in await s.asterisk.command("dialplan show callcore-in")
        status, said = await callcore(s, "plan", "--language", "en")
        assert status == 3
        assert "Asterisk's file extensions.conf" in said
        status, said = await callcore(s, "apply", "--yes")
        assert status == 0, said
        assert SECOND in await s.asterisk.command("dialplan show callcore-in")
        assert "demo-p3" in await s.asterisk.command("pjsip show endpoints")
        assert (await callcore(s, "plan"))[0] == 0
