"""Prompts on a real Asterisk: each phone gets the bytes that were shipped, in its own codec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import Configuration
from callcore.domain.ids import PhoneId
from callcore.prompts import shelf, spoken
from tests.support.asterisk import manager, running_asterisk
from tests.support.centre import make_sounds, small_centre
from tests.support.floor import seal_phone
from tests.support.prompts import SHIPPED
from tests.support.sip import sip_agent

FRAME = 160
"""Bytes of 20 ms, in G.711 and in G.722 alike."""


@pytest.mark.parametrize(("codec", "name", "ending"), [(0, "ulaw", shelf.ULAW), (9, "g722", shelf.G722)])
async def test_a_desk_phone_hears_a_prompt_byte_for_byte_without_transcoding(
    tmp_path: Path, codec: int, name: str, ending: str
) -> None:
    _, music = make_sounds(tmp_path)
    async with running_asterisk(small_centre(), SHIPPED, music) as pbx, manager(pbx) as ami:
        if name == "g722":  # as an installation with wide-band phones would have it
            path = pbx.settings.etc_dir / "pjsip.conf"
            told = path.read_text(encoding="utf-8")
            assert "allow = ulaw,alaw\n" in told
            path.write_text(told.replace("allow = ulaw,alaw\n", "allow = g722,ulaw,alaw\n"), encoding="utf-8")
            await ami.action("Reload", Module="res_pjsip")
        secret = dict(pbx.settings.phone_secrets)
        user = sorted(each for each in secret if each.startswith("oita-"))[0]
        async with sip_agent(pbx.address(20), user, pbx.sip, secret[user]) as desk:
            desk.codec = codec
            await desk.register()
            await seal_phone(ami, user)
            call = await desk.call("*99")
            await call.until("up")
            await call.hears(0.5)
            rows = await ami.action("Status")
            [channel] = [row for row in rows if row.get("Channel", "").startswith(f"PJSIP/{user}")]
            assert (channel["Application"], channel["Writeformat"]) == ("Playback", name)
            assert channel["Writetrans"] in ("", "Null"), channel
            await call.until("bye")
            shipped = (SHIPPED / f"common/ja/no-such-code{ending}").read_bytes()
            whole = shipped[: len(shipped) // FRAME * FRAME]
            assert whole in bytes(call.heard)


SAYS = """
[callcore-phones](+)
exten => 7777,1,Answer()
 same => n,Playback(${CALLCORE_SPOKEN_oita_tl}/place-3&${CALLCORE_SPOKEN_oita_tl}/wait-12)
 same => n,Playback(${CALLCORE_SPOKEN_oita}/place-20&${CALLCORE_SPOKEN_oita}/wait-more)
 same => n,Hangup()
"""
"""How a menu says a place and a wait: in English for Filipino callers, then in the language spoken first."""


async def test_a_place_and_a_wait_are_said_from_the_dialplan_in_the_callers_language_or_its_substitute(
    tmp_path: Path,
) -> None:
    _, music = make_sounds(tmp_path)
    oita, beppu = small_centre().centres
    speaks = replace(oita, languages=("ja", "tl"), phrases=(("tl", "en"),))
    async with (
        running_asterisk(Configuration("v", (speaks, beppu)), SHIPPED, music) as pbx,
        manager(pbx) as ami,
    ):
        path = pbx.settings.etc_dir / "callcore.conf"
        path.write_text(path.read_text(encoding="utf-8") + SAYS, encoding="utf-8")
        await ami.action("Reload", Module="pbx_config")
        secret = dict(pbx.settings.phone_secrets)
        async with sip_agent(pbx.address(20), "oita-p1", pbx.sip, secret[PhoneId("oita-p1")]) as desk:
            await desk.register()
            await seal_phone(ami, "oita-p1")
            call = await desk.call("7777")
            await call.until("up")
            for _ in range(2):  # together longer than a single wait may be
                await call.hears(5)
            await call.until("bye")
            heard, at = bytes(call.heard), 0
            said = [*spoken.place("en", 3), *spoken.wait("en", 720)]
            names = [f"en/spoken/{phrase.name}" for phrase in said]
            said = [*spoken.place("ja", 20), *spoken.wait("ja", 1801)]
            names += [f"ja/spoken/{phrase.name}" for phrase in said]
            assert [name.split("/")[2] for name in names] == ["place-3", "wait-12", "place-20", "wait-more"]
            for name in names:
                shipped = shelf.ulaw_of(SHIPPED, name).read_bytes()
                found = heard.find(shipped[: len(shipped) // FRAME * FRAME], at)
                assert found >= 0, name
                at = found + len(shipped) // FRAME * FRAME
