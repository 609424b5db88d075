"""The recording of a call out is paused as a talk's is: by key and by page, and whatever becomes of it meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from immutables import Map

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Recordings
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, PhoneId
from callcore.domain.lamps import Lamp, of_phone
from callcore.domain.stages import PauseAs, PauseEnd, SideKind, TalkKey
from callcore.runtime.ports import Seq, View
from callcore.web.show import agent_now
from tests.support.floors import NODE, Desk
from tests.unit.test_core_sides import desk, dial, end, gone, reach

O10, OWN, FAR = CallId("o10"), ChannelId("o10"), ChannelId("o10-carrier")
AGAIN = i.Timer(i.TimerKind.RECORDING, FAR)


def connected(rules: Recordings = Recordings(pause_s=60), kind: SideKind = SideKind.OUTGOING) -> Desk:  # noqa: B008
    """Agent 1 calls out, and talks from second 15 on."""
    made = desk()
    centres = {name: replace(each, recordings=rules) for name, each in made.floor.centres.items()}
    made.floor = replace(made.floor, centres=Map(centres))
    reach(made, 15, dial(made, 10, kind=kind))
    return made


def keys(made: Desk, s: float, key: TalkKey = TalkKey.RECORDING) -> list[str]:
    """By the phone; what it is told at once."""
    before = len(made.effects)
    made.tell(i.TalkKeyed(at=made.at(s), key=key, leg=OWN, channel="x"))
    return [x.word for x in made.effects[before:] if isinstance(x, e.Reply)]


def asterisk_does(made: Desk, s: float, *, done: bool = True, refused: bool = False) -> list[str]:
    """What was wished last; what the phone is told then."""
    wish = next(x for x in reversed(made.effects) if isinstance(x, e.SwitchRecording))
    before = len(made.effects)
    made.tell(
        i.RecordingSwitched(
            at=made.at(s),
            call=wish.call,
            paused=wish.paused,
            done=done,
            refused=refused,
            agent=wish.agent,
            by=wish.by,
            channel=wish.channel,
            why=wish.why,
        )
    )
    return [x.word for x in made.effects[before:] if isinstance(x, e.Reply)]


def paused(made: Desk, s: float) -> None:
    keys(made, s)
    asterisk_does(made, s)


def wishes(made: Desk) -> list[tuple[CallId, str, bool, PauseEnd | None]]:
    return [
        (x.call, x.channel_name, x.paused, x.why) for x in made.effects if isinstance(x, e.SwitchRecording)
    ]


def pauses(made: Desk) -> list[f.RecordingPaused]:
    return [x for x in made.facts if isinstance(x, f.RecordingPaused)]


def resumed(made: Desk) -> list[tuple[float, PauseEnd | None]]:
    return [((x.at - made.at(0)) / SECOND, x.why) for x in made.facts if isinstance(x, f.RecordingResumed)]


def lamp(made: Desk) -> Lamp:
    agent = made.floor.agents[AgentId("1001")]
    out = made.floor.sides.get(agent.side) if agent.side is not None else None
    return dict(of_phone(made.floor.centres[agent.centre], agent, None, out))["*34"]


def shown(made: Desk) -> bool:
    """On the board."""
    view = View(Seq(1, 1), made.floor, made.books)
    return agent_now(
        view, made.floor.centres[CentreId("demo")], AgentId("1001"), made.at(60)
    ).recording_paused


def here(made: Desk, since: float | None = None) -> i.ChannelSeen:
    """The phone's channel, as a look sees it; paused since then by what it bears."""
    return i.ChannelSeen(
        id=OWN,
        name="PJSIP/demo-p1-0000002a",
        context="callcore-dial",
        application="Dial",
        bridge="b",
        call=None,
        offer=None,
        phone=PhoneId("demo-p1"),
        number=None,
        caller=None,
        created=made.at(10),
        entered=None,
        paused=None if since is None else made.at(since),
    )


@pytest.mark.parametrize("kind", [SideKind.OUTGOING, SideKind.DEPARTMENT])
def test_the_key_pauses_the_recording_of_a_call_out_and_once_more_has_it_go_on(kind: SideKind) -> None:
    made = connected(kind=kind)
    assert keys(made, 20) == [] and lamp(made) is Lamp.OFF
    assert asterisk_does(made, 20.1) == ["recording-paused"]
    [told] = pauses(made)
    assert (told.call, told.agent, told.at, told.gap) == (O10, AgentId("1001"), made.at(20.1), False)
    assert told.until == made.at(80.1)
    assert lamp(made) is Lamp.STEADY and shown(made)
    keys(made, 30)
    assert asterisk_does(made, 30.1) == ["recording-resumed"]
    assert lamp(made) is Lamp.OFF and not shown(made)
    assert resumed(made) == [(30.1, PauseEnd.ASKED)]
    assert wishes(made) == [(O10, "o10", True, None), (O10, "o10", False, PauseEnd.ASKED)]
    end(made, 45, O10, OWN)
    assert (made.floor.expected[O10].talk, made.floor.expected[O10].paused) == (30 * SECOND, 10 * SECOND)
    assert O10 not in made.floor.tapes, "silence leaves nothing to be cut"


def test_somebody_pauses_it_in_the_agents_stead_and_its_time_ends_it() -> None:
    made = connected()
    made.tell(i.TalkKeyed(at=made.at(20), key=TalkKey.RECORDING, agent=AgentId("1001"), by="user:sato"))
    asterisk_does(made, 20)
    assert pauses(made)[0].by == "user:sato"
    timer = i.Timer(i.TimerKind.RECORDING, O10)
    assert (timer, made.at(80)) in list(made.floor.deadlines()), "a restored engine arms it"
    made.tell(i.TimerFired(at=made.at(79), timer=timer))
    assert len(wishes(made)) == 1, "not before its time"
    made.tell(i.TimerFired(at=made.at(80), timer=timer))
    asterisk_does(made, 80.1)
    assert resumed(made) == [(80.1, PauseEnd.TIME)]
    made.tell(i.TimerFired(at=made.at(82), timer=timer))
    assert len(wishes(made)) == 2


def test_a_pause_ends_with_the_call_out_and_its_gap_is_cut_where_it_lies() -> None:
    made = connected(Recordings(PauseAs.GAP, 60))
    paused(made, 20)
    keys(made, 24)
    asterisk_does(made, 24)
    paused(made, 40)
    end(made, 45, O10, OWN)
    tape = made.floor.tapes[O10]
    assert [(gap.at / SECOND, gap.length / SECOND) for gap in tape.gaps] == [(5, 4), (25, 5)]
    assert tape.kept == 30 * SECOND
    expected = made.floor.expected[O10]
    assert (expected.talk, expected.paused) == (21 * SECOND, 0), "what is cut out is not missed afterwards"
    made.tell(i.TimerFired(at=made.at(100), timer=i.Timer(i.TimerKind.RECORDING, O10)))
    # Should the phone's transfer key have left who was called with somebody else, the recording goes on there.
    assert wishes(made)[3:] == [(O10, "o10-carrier", False, PauseEnd.TALK_ENDED)]
    assert made.floor.problems() == []


def passed_on(kind: SideKind = SideKind.OUTGOING) -> Desk:
    """Paused from 20 on; at 45 the phone's transfer key leaves who was called with somebody else."""
    made = connected(kind=kind)
    paused(made, 20)
    gone(made, 45, OWN, 30)
    return made


def set_to(made: Desk) -> float | None:
    """For when the recording is to be tried again, after the last that was told."""
    found = [x.at for x in made.effects if isinstance(x, e.SetTimer) and x.timer == AGAIN]
    return (found[-1] - made.at(0)) / SECOND if found else None


def test_the_recording_of_who_was_passed_on_is_tried_to_go_on_until_it_does() -> None:
    made = passed_on()
    goes_on = (O10, "o10-carrier", False, PauseEnd.TALK_ENDED)
    assert wishes(made)[1:] == [goes_on]
    for s in (46.9, 48.9):
        asterisk_does(made, s, done=False)
        assert set_to(made) == s + 2
        made.tell(i.TimerFired(at=made.at(s + 2), timer=AGAIN))
    assert wishes(made)[1:] == [goes_on] * 3
    asterisk_does(made, 51)
    assert set_to(made) == 50.9, "it goes on"
    gone(made, 100, FAR, 85)
    made.tell(i.TimerFired(at=made.at(101), timer=AGAIN))
    assert len(wishes(made)) == 4
    assert made.floor.problems() == []


def test_it_is_not_tried_any_more_when_who_was_called_is_gone() -> None:
    made = passed_on()
    asterisk_does(made, 46.9, done=False)
    gone(made, 47, FAR, 32)
    made.tell(i.TimerFired(at=made.at(48.9), timer=AGAIN))
    assert len(wishes(made)) == 2
    made = passed_on()
    asterisk_does(made, 45.1, done=False, refused=True)
    assert set_to(made) is None, "both put down, as ever: that channel is gone, or goes this moment"


def test_a_callcore_that_died_before_it_had_it_go_on_does_so_when_it_is_back() -> None:
    made = passed_on()
    made.tell(i.LinkDropped(at=made.at(46), node=NODE))
    made.snapshot(60, replace(here(made), id=FAR, name="PJSIP/trunk-00000031", phone=None))
    assert wishes(made)[2:] == [(O10, "o10-carrier", False, PauseEnd.TALK_ENDED)]
    made.snapshot(70, replace(here(made), id=FAR, name="PJSIP/trunk-00000031", phone=None), first=False)
    assert len(wishes(made)) == 3, "what then fails is told"
    made = passed_on()
    made.tell(i.LinkDropped(at=made.at(46), node=NODE))
    made.snapshot(60)
    assert len(wishes(made)) == 2, "nobody is there any more"


def test_what_was_paused_just_when_who_was_called_was_passed_on_goes_on() -> None:
    for done in (True, False):
        made = connected()
        keys(made, 44.9)
        gone(made, 45, OWN, 30)
        assert asterisk_does(made, 45.1, done=done) == ["key-refused"]
        assert wishes(made)[1:] == [(O10, "o10-carrier", False, PauseEnd.TALK_ENDED)]
        assert pauses(made) == []


def test_a_recording_that_ended_with_the_agent_is_left_alone() -> None:
    made = passed_on(SideKind.DEPARTMENT)
    asterisk_does(made, 46.9, done=False)
    assert set_to(made) is None


def test_what_asterisk_did_after_the_end_of_the_call_changes_nothing() -> None:
    made = connected()
    keys(made, 20)
    end(made, 21, O10, OWN)
    assert asterisk_does(made, 21) == ["key-refused"]
    assert pauses(made) == []


def test_the_first_look_of_a_callcore_that_was_dead_ends_a_pause_that_nobody_wrote_down() -> None:
    made = connected()
    made.tell(i.LinkDropped(at=made.at(20), node=NODE))
    made.snapshot(21, here(made, 19))
    assert wishes(made) == [(O10, "o10", False, PauseEnd.FOUND)]


def test_a_pause_that_was_written_down_lasts_over_the_death_of_callcore_and_the_clocks_step() -> None:
    made = connected()
    paused(made, 20)
    made.tell(i.LinkDropped(at=made.at(21), node=NODE))
    made.snapshot(30, here(made, 20))
    assert len(wishes(made)) == 1
    made.snapshot(45, here(made), first=False)
    assert wishes(made)[1:] == [(O10, "o10", False, PauseEnd.FOUND)], "the word on the channel is gone"
    asterisk_does(made, 45.1)
    assert resumed(made) == [(45.1, PauseEnd.FOUND)]
    end(made, 50, O10, OWN)
    assert made.floor.expected[O10].paused == round(25.1 * SECOND)


def test_no_other_key_is_taken_and_nobody_pauses_what_is_not_to_be_paused() -> None:
    made = connected()
    for key in (TalkKey.HELP, TalkKey.ABUSE, TalkKey.RELAY):
        assert keys(made, 20, key) == ["key-refused"]
    for other in (SideKind.EMERGENCY, SideKind.CONTACT, SideKind.COLLEAGUE):
        assert keys(connected(kind=other), 20) == ["key-refused"]
    assert keys(connected(Recordings(PauseAs.NO)), 20) == ["key-refused"]
    rings = desk()
    dial(rings, 10)
    assert keys(rings, 12) == ["key-refused"], "nobody is connected yet"
    assert wishes(made) == []


def test_a_consult_has_a_recording_that_is_not_paused() -> None:
    made = desk()
    made.wait(2, "c1")
    leg = made.pick_up(5)
    made.tell(i.HoldChanged(at=made.at(8), channel=leg, held=True))
    told = i.SideCallTold(
        at=made.at(10),
        node=NODE,
        call=O10,
        centre=made.floor.calls[CallId("c1")].centre,
        kind=SideKind.DEPARTMENT,
        phone=PhoneId("demo-p1"),
        number="0970000100",
        other="0970000111",
        why="11",
        beside=CallId("c1"),
    )
    made.tell(told)
    reach(made, 15, O10)
    assert keys(made, 20) == ["key-refused"]
    assert wishes(made) == []
