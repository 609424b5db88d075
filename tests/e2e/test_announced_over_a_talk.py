"""What is said over a talk by an agent's key (`*32`) is heard by both, and is in the recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.domain import facts as f
from callcore.domain.stages import Mark, Outcome
from tests.chaos.rig import console
from tests.e2e.test_reconciliation import settled
from tests.support.consults import (
    CITY,
    House,
    Talk,
    apart,
    briefly,
    hears,
    house,
    put_down,
    recorded,
    talking,
)
from tests.support.prompts import put_prompt
from tests.support.sip import loudness, tone
from tests.support.station import until

pytestmark = pytest.mark.timeout(300)

SAID_HZ, SAID = 530, "この通話は録音しています。"
MORE = f'{CITY}\n[recording]\nchannels = "stereo"\n\n[announcements.abuse]\nja = "{SAID}"\n'


def prompts(home: Path) -> Path:
    folder = briefly(home)
    put_prompt(folder, "demo/ja/abuse", SAID, tone(SAID_HZ, 2))
    return folder


async def reported(h: House, *, hold: bool = False) -> Talk:
    """The agent keys `*32`; both hear the words, and then each other as before. `hold`: holds before they begin."""
    await h.s.available(1)
    talk = await h.talk()
    talk.leg.press("*32")
    await h.s.fact(f.CallMarked, lambda x: x.call == talk.id and x.mark is Mark.ABUSE)
    if hold:
        await talk.hold()
    await hears(talk.citizen, lambda sound: loudness(sound, SAID_HZ) > 0.1, "the words")
    if hold:
        await talk.leg.resume()
    else:
        await hears(talk.leg, lambda sound: loudness(sound, SAID_HZ) > 0.05, "the words, too")
    await talking(talk.citizen, talk.leg)
    put_down(talk.citizen)
    assert await talk.outcome() is Outcome.COMPLETED
    return talk


async def test_what_is_said_over_a_talk_by_the_agents_key_is_heard_by_both_and_recorded() -> None:
    """Seen on Asterisk 22.10.1: by `ChanSpy` with `B`, 0 s of it in the recording; by `Broadcast` on the agent's leg,
    all of it, on the right. Where Asterisk has no `Broadcast`, and to a caller who is held just then, by `ChanSpy`."""
    async with house(agents=1, more=MORE, prompts=prompts) as h:
        talk = await reported(h)
        path = await h.s.recording(talk.id)
        assert recorded(path, SAID_HZ)[0] >= 1.6, "of two seconds"
        [(left, right)] = apart(path, SAID_HZ)
        assert left == 0 and right >= 1.6

        held = await reported(h, hold=True)
        assert recorded(await h.s.recording(held.id), SAID_HZ) == [0]

        await console(h.s, "module unload app_broadcast.so")
        unrecorded = await reported(h)
        assert recorded(await h.s.recording(unrecorded.id), SAID_HZ) == [0]
        await h.no_channel()
        await until(lambda: not h.s.floor().calls, what="all calls are over")
        assert (await settled(h.s, 3)).total("differences") == 0
