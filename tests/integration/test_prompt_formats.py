"""Prompts on a real Asterisk: each phone gets the bytes that were shipped, in its own codec."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.prompts import shelf
from tests.support.asterisk import manager, running_asterisk
from tests.support.centre import make_sounds, small_centre
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
