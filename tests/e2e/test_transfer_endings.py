"""The endings of a consult and a transfer, one citizen each: what is heard, by whom the call is answered for, what it
counts as. `docs/transfers.md` is the same table for people; a test holds the two together.

All of them happen in one house, several at a time; each is a test of its own, which says how it went there."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import AgentId
from callcore.domain.stages import Outcome, Stage, Work
from callcore.pins import PinFile
from tests.e2e.test_reconciliation import settled
from tests.support.consults import (
    CITY,
    SHUT,
    Consult,
    House,
    Talk,
    briefly,
    hears_music,
    house,
    put_down,
    sits_down,
    talking,
)
from tests.support.sip import Call, tone
from tests.support.station import PIN, Station, until

pytestmark = [pytest.mark.few, pytest.mark.asyncio(loop_scope="module")]
NEIGHBOUR = "0975105252"
"""Of another centre on the same installation, which the first one's directory has as `*590`."""
OTHER = f"""
[[departments]]
id = "kawa"
short = "90"
name = "川センター"
number = "{NEIGHBOUR}"
"""
LANES = 4
"""Endings at once."""
BACK_S = 3.2
"""Longer than the centre's `back_s`."""

Does = Callable[[Talk], Awaitable[Call | None]]
"""Leads there from a talk; returns who is with the citizen then, if it is nobody of the first talk."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One row."""

    what: str
    """As in the English column of the page."""
    does: Does
    hears: str
    """The citizen: `music`, `agent`, `far` (the department, or the colleague), `line` (music, then an agent), `end`."""
    agent: str
    """Of the first talk: `talking`, or `after-call work`."""
    outcomes: tuple[Outcome, ...] = ()
    """One of these; none: by what follows, and here the talk goes on and is completed."""
    recorded: str = "agent"
    """Whom the recording has beside the citizen."""
    consults: str = ""
    """As what the times that a department was called end (`AskEnd`)."""


DONE, LOST, ATTENDED = (
    (each,) for each in (Outcome.COMPLETED, Outcome.LOST_ON_HOLD, Outcome.TRANSFERRED_ATTENDED)
)


async def busy(t: Talk) -> None:
    consult = await t.consult(answered=False)
    consult.far.hang_up()


async def rejects(t: Talk) -> None:
    consult = await t.consult(answered=False)
    consult.far.decline()


async def silent(t: Talk) -> None:
    consult = await t.consult(answered=False)
    await consult.far.until("cancelled")


async def closed(t: Talk) -> None:
    await t.hold()
    asked = await t.desk.call("*521", tone(600))
    await asked.until("bye")


async def leaves(t: Talk) -> None:
    consult = await t.consult()
    consult.far.hang_up()
    await consult.asked.until("bye")


async def ends_it(t: Talk) -> None:
    consult = await t.consult()
    consult.asked.hang_up()
    await consult.far.until("bye")


async def cancels(t: Talk) -> None:
    consult = await t.consult(answered=False)
    consult.asked.hang_up()
    await consult.far.until("cancelled")


async def answers_as_it_is_cancelled(t: Talk) -> None:
    consult = await t.consult(answered=False)
    consult.far.crosses = True
    consult.asked.hang_up()
    await consult.far.until("bye")


async def cancels_as_it_is_answered(t: Talk) -> None:
    consult = await t.consult(answered=False)
    consult.asked.crosses = True
    consult.far.answer()
    await consult.far.until("bye")


async def drops_the_held_line(t: Talk) -> None:
    await t.hold()
    t.leg.hang_up()


async def drops_the_held_line_in_a_consult(t: Talk) -> None:
    consult = await t.consult()
    t.leg.hang_up()
    await t.at(Stage.WAITING, Stage.OFFERED)
    await talking(consult.asked, consult.far)
    put_down(consult.asked)
    await consult.far.until("bye")


async def both_at_once(t: Talk) -> None:
    put_down(t.citizen, t.leg)


async def both_at_once_the_other_way(t: Talk) -> None:
    put_down(t.leg, t.citizen)


async def both_at_once_held(t: Talk) -> None:
    await t.hold()
    put_down(t.citizen, t.leg)


async def all_at_once_in_a_consult(t: Talk) -> None:
    consult = await t.consult()
    put_down(t.citizen, consult.far, t.leg, consult.asked)


async def both_at_once_held_the_other_way(t: Talk) -> None:
    await t.hold()
    put_down(t.leg, t.citizen)


async def both_at_once_put_through(t: Talk) -> Call:
    consult = await t.consult()
    await t.put_through(consult)
    await asyncio.sleep(BACK_S)
    put_down(consult.far, t.citizen)
    return consult.far


async def asks_two_at_once(t: Talk) -> Call:
    first = await t.consult(answered=False)
    second = await t.ask("*512")
    put_down(first.asked)
    await first.far.until("cancelled")
    await t.put_through(second, "*512")
    return second.far


async def asks_two_at_once_and_takes_the_first(t: Talk) -> Call:
    first = await t.consult(answered=False)
    second = await t.ask("*512", answered=False)
    first.far.answer()
    await talking(first.asked, first.far)
    put_down(second.asked)
    await t.put_through(first)
    return first.far


async def department_passes_on(t: Talk) -> Call:
    consult = await t.consult()
    await t.put_through(consult)
    assert (await consult.far.refer("0970000112")).status >= 400
    return consult.far


async def department_holds(t: Talk) -> Call:
    consult = await t.consult()
    await t.put_through(consult)
    await consult.far.hold()
    return consult.far


async def colleague_takes_over(t: Talk) -> Call:
    n = t.n % len(t.house.desks) + 1
    consult = await t.consult(t.house.s.centre.phone(n))
    await t.put_through(consult, t.house.s.centre.phone(n))
    await until(lambda: t.house.s.floor().calls[t.id].talking_with == t.house.s.centre.agent(n))
    return consult.far


async def colleague_puts_through(t: Talk) -> Call:
    leg = await colleague_takes_over(t)
    theirs = replace(t, leg=leg, n=t.house.desks.index(leg.agent) + 1)
    consult = await theirs.consult()
    await theirs.put_through(consult)
    return consult.far


async def to_another_centre(t: Talk) -> Call:
    """The carrier takes the call to the other centre's number, and its agent answers."""
    h = t.house
    await t.hold()
    asked = await t.desk.call("*590", tone(h.hz()))
    out = await h.rung(h.city, of=f"sip:{NEIGHBOUR}@")
    assert out.invite is not None
    assert f"sip:{NUMBER}@" in out.invite.get("from"), "a centre of ours knows whom it serves by the number"
    h.city.user = NUMBER
    onward = await h.city.call(NEIGHBOUR)
    onward.join(out)
    await onward.until("up")
    out.answer()
    there = await h.rung(h.neighbour)
    there.sound = tone(h.hz())
    there.answer()
    await talking(asked, there)
    await t.put_through(Consult(asked, there), "*590")
    await t.at(Stage.TRANSFERRED)
    return there


HELD = {"hears": "music", "agent": "talking"}
BACK = {"hears": "line", "agent": "after-call work"}
OVER = {"hears": "end", "agent": "after-call work"}
THROUGH = {"hears": "far", "agent": "after-call work", "outcomes": ATTENDED, "recorded": "agent, far"}
ENDINGS = (
    Ending("the department is busy", busy, **HELD, consults="busy"),
    Ending("the department rejects the call", rejects, **HELD, consults="refused"),
    Ending("the department does not answer", silent, **HELD, consults="no_answer"),
    Ending("the department is closed", closed, **HELD, consults="closed"),
    Ending("the department hangs up in the consult", leaves, **HELD, consults="came_back"),
    Ending("the agent ends the consult", ends_it, **HELD, consults="came_back"),
    Ending("the agent cancels while it rings", cancels, **HELD, consults="no_answer"),
    Ending(
        "the department answers just as the agent cancels",
        answers_as_it_is_cancelled,
        **HELD,
        consults="no_answer",
    ),
    Ending(
        "the agent cancels just as the department's answer comes",
        cancels_as_it_is_answered,
        **HELD,
        consults="came_back",
    ),
    Ending("the agent puts the held line down", drops_the_held_line, **BACK),
    Ending(
        "the agent puts the held line down in the consult",
        drops_the_held_line_in_a_consult,
        **BACK,
        consults="came_back",
    ),
    Ending("citizen and agent hang up in the same instant", both_at_once, **OVER, outcomes=DONE),
    Ending(
        "agent and citizen hang up in the same instant", both_at_once_the_other_way, **OVER, outcomes=DONE
    ),
    Ending(
        "citizen and agent hang up in the same instant, on hold", both_at_once_held, **OVER, outcomes=LOST
    ),
    Ending(
        "agent and citizen hang up in the same instant, on hold",
        both_at_once_held_the_other_way,
        **OVER,
        outcomes=LOST,
    ),
    Ending(
        "all hang up in the same instant, in the consult",
        all_at_once_in_a_consult,
        **OVER,
        outcomes=LOST,
        consults="lost_on_hold",
    ),
    Ending(
        "department and citizen hang up in the same instant, after the transfer",
        both_at_once_put_through,
        **OVER,
        outcomes=ATTENDED,
        recorded="agent, far",
        consults="put_through",
    ),
    Ending(
        "a second department is asked while the first one rings, and takes the citizen",
        asks_two_at_once,
        **THROUGH,
        consults="no_answer put_through",
    ),
    Ending(
        "a second department is asked while the first one rings, which then takes the citizen",
        asks_two_at_once_and_takes_the_first,
        **THROUGH,
        consults="no_answer put_through",
    ),
    Ending(
        "the department passes the citizen on by its own transfer key",
        department_passes_on,
        **THROUGH,
        consults="put_through",
    ),
    Ending(
        "the department puts the citizen on hold, who hangs up",
        department_holds,
        **{**THROUGH, "hears": "music"},
        consults="put_through",
    ),
)


ALONE = (
    Ending(
        "a colleague is asked and takes over",
        colleague_takes_over,
        **{**THROUGH, "outcomes": DONE},
    ),
    Ending(
        "the colleague who took over puts the citizen through to a department",
        colleague_puts_through,
        **THROUGH,
        consults="put_through",
    ),
    Ending(
        "the citizen is put through to another centre",
        to_another_centre,
        **THROUGH,
        consults="put_through",
    ),
)
"""One after the other: the colleague has to be free."""


HEARS = {
    "music": "保留音 / hold music",
    "far": "相手 / that side",
    "line": "音楽、次のオペレーター / music, then an agent",
    "end": "–",
}
WORKS = {"talking": "通話中 / talking", "after-call work": "後処理 / after-call work"}
COUNTED = {
    "put_through": "取り次いだ / put through",
    "came_back": "戻った / came back",
    "busy": "話し中 / busy",
    "refused": "拒否 / refused",
    "no_answer": "応答なし / no answer",
    "closed": "時間外 / closed",
    "lost_on_hold": "保留中切電 / lost on hold",
}
WHOM = {"agent": "オペレーター / agent", "far": "相手 / that side"}


def cells(ending: Ending) -> tuple[str, ...]:
    """Its row in the page, but for what happens: citizen, agent, outcome, recording, what the consult counts as."""
    outcomes = [f"*{each.value}*" for each in ending.outcomes]
    return (
        HEARS[ending.hears],
        WORKS[ending.agent],
        ", ".join(outcomes) or "その後による / by what follows",
        ", ".join(WHOM[each] for each in ending.recorded.split(", ")),
        ", ".join(COUNTED[each] for each in ending.consults.split()) or "–",
    )


async def lived_through(h: House, t: Talk, ending: Ending) -> None:
    far = await ending.does(t)
    if ending.hears == "music":
        await hears_music(t.citizen)
    elif ending.hears == "far":
        assert far is not None
        await talking(t.citizen, far)
        await t.citizen.hears(2)  # what is heard last may not come to the recording any more
    if ending.agent == "talking":
        assert (t.stage, t.work) == (Stage.TALKING, Work.TALKING)
    else:
        ended = await h.s.fact(f.TalkEnded, lambda x: x.call == t.id)
        assert (ended.agent, ended.wrap_up_until is not None) == (t.agent, True)
    last = t
    if ending.hears == "line":
        last = await h.taken(t.citizen)
        assert last.id == t.id
    elif not ending.outcomes:
        await t.leg.resume()
        await talking(t.citizen, t.leg)
    if not ending.outcomes:
        put_down(last.leg)
        await t.citizen.until("bye")
    elif not t.citizen.over:
        put_down(t.citizen)
        if far is not None:
            await far.until("bye")
    assert await t.outcome() in (ending.outcomes or DONE)
    heard = await t.recorded(t.leg, *([] if far is None else [far]))
    assert [seconds > 0 for seconds in heard] == [True] * len(ending.recorded.split(", ")), heard
    citizen, *others = await t.apart(t.citizen, t.leg, *([] if far is None else [far]))
    # On the right a note of the hold music may be as high as the citizen's.
    assert citizen[1] < citizen[0] / 2, f"the citizen is on the left: {citizen}"
    assert all(left == 0 for left, _ in others) and all(right > 0 for _, right in others), others
    await until(lambda: all(one.end is not None for one in h.asks(t.id)), what="the consults are over")
    ends = sorted(one.end.value for one in h.asks(t.id) if one.end is not None)
    assert ends == ending.consults.split(), ends


def two_centres(home: Path) -> Path:
    """A second centre's file, which speaks the first one's texts."""
    folder = briefly(home)
    shutil.copytree(folder / "demo", folder / "kawa")
    source = DemoCentre(agents=1, acw_s=1).toml()
    for old, new in (('"demo"', '"kawa"'), (NUMBER, NEIGHBOUR), ('"1001"', '"2001"')):
        source = source.replace(old, new)
    (home / "centres" / "kawa.toml").write_text(source, encoding="utf-8")
    return folder


def its_pin(s: Station) -> None:
    PinFile(s.settings.home / "pins.json").set(AgentId("2001"), PIN)


@dataclass(slots=True)
class Lived:
    h: House
    went: dict[str, BaseException | None] = field(default_factory=dict)
    """How each ending went."""

    async def through(self, ending: Ending, begin: Callable[[], Awaitable[None]] | None = None) -> None:
        self.went[ending.what] = None
        try:
            if begin is not None:
                await begin()
            async with asyncio.timeout(60):
                await lived_through(self.h, await self.h.talk(), ending)
        except Exception as error:
            self.went[ending.what] = error


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived() -> AsyncIterator[Lived]:
    more = CITY + SHUT + OTHER + '\n[recording]\nchannels = "stereo"\n'
    async with house(LANES + 1, more=more, prompts=two_centres, prepare=its_pin) as h:
        found, todo = Lived(h), list(ENDINGS)

        async def lane() -> None:
            while todo:
                await found.through(todo.pop(0))

        await asyncio.gather(*(lane() for _ in range(LANES)))
        put_down(*h.people.calls, *(call for desk in h.desks for call in desk.calls))
        h.neighbour = await sits_down(h.s, "kawa-p1", "2001", host=90)
        for ending in ALONE:
            await found.through(ending, h.all_free)
            put_down(*h.people.calls, *(call for desk in h.desks for call in desk.calls))
        yield found


@pytest.mark.parametrize("ending", [*ENDINGS, *ALONE], ids=lambda ending: ending.what)
async def test_what_becomes_of_the_citizen_when(ending: Ending, lived: Lived) -> None:
    error = lived.went[ending.what]
    if error is not None:
        raise error


async def test_after_all_these_endings_nobody_is_at_work_no_channel_is_left_and_the_books_agree(
    lived: Lived,
) -> None:
    h = lived.h
    await h.all_free()
    await h.no_channel()
    ended = [fact.call for fact in h.s.told(f.CallEnded)]
    assert len(ended) == len(set(ended)) == len(h.s.call_ids())
    h.s.books_agree()
    said = await settled(h.s, len(ended))
    assert said.named == set(), said.out
