"""A talk's recording is paused: how long, through what, and what ends it, whoever dies meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from immutables import Map

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import RecordAfter, Recordings, Transfers
from callcore.domain.ids import SECOND, CallId, ChannelId, Instant, PhoneId
from callcore.domain.stages import PauseAs, PauseEnd, TalkKey
from callcore.domain.tape import Heard, Pause, heard
from tests.support.floors import NODE
from tests.unit.test_core_recording import seen, trace
from tests.unit.test_core_transfer import CALLER, CITY, Moves

C1 = CallId("c1")


def talk(rules: Recordings = Recordings(pause_s=60), after: RecordAfter = RecordAfter.END) -> Moves:  # noqa: B008
    """A caller whom agent 1 talks with from second 3 on."""
    m = Moves().begin()
    changed = Map(
        {
            name: replace(each, recordings=rules, transfers=Transfers(record_after=after))
            for name, each in m.d.floor.centres.items()
        }
    )
    m.d.floor = replace(m.d.floor, centres=changed)
    return m


def wishes(m: Moves) -> list[tuple[bool, PauseEnd | None]]:
    return [(x.paused, x.why) for x in m.d.effects if isinstance(x, e.SwitchRecording)]


def asterisk_does(m: Moves, s: float, *, done: bool = True) -> None:
    """What was wished last."""
    wish = next(x for x in reversed(m.d.effects) if isinstance(x, e.SwitchRecording))
    m.tell(
        i.RecordingSwitched(
            at=m.d.at(s),
            call=wish.call,
            paused=wish.paused,
            done=done,
            agent=wish.agent,
            by=wish.by,
            channel=wish.channel,
            why=wish.why,
        )
    )


def keys(m: Moves, s: float, key: TalkKey = TalkKey.RECORDING) -> None:
    m.tell(i.TalkKeyed(at=m.d.at(s), key=key, leg=m.leg, channel="x"))


def paused(m: Moves, s: float) -> None:
    keys(m, s)
    asterisk_does(m, s)


def resumed(m: Moves) -> list[tuple[float, PauseEnd | None]]:
    return [
        ((x.at - m.d.at(0)) / SECOND, x.why)
        for x in m.d.told(f.RecordingResumed)
        if isinstance(x, f.RecordingResumed)
    ]


def due(m: Moves, s: float) -> None:
    """The pause's time is over."""
    timer = i.Timer(i.TimerKind.RECORDING, C1)
    m.tell(i.TimerFired(at=m.d.at(s), timer=timer))


def test_a_pause_lasts_through_hold_and_consult_and_its_time_counts_on() -> None:
    m = talk()
    paused(m, 5)
    m.hold(8)
    m.answers(12, m.ask(10))
    assert wishes(m) == [(True, None)]
    due(m, 64)
    assert wishes(m) == [(True, None)], "not before its time"
    due(m, 65)
    asterisk_does(m, 65.1)
    assert resumed(m) == [(65.1, PauseEnd.TIME)]


@pytest.mark.parametrize("after", list(RecordAfter))
def test_a_pause_ends_with_the_agent_who_puts_the_caller_through(after: RecordAfter) -> None:
    m = talk(after=after)
    paused(m, 5)
    m.hold(8)
    far = m.ask(10)
    m.answers(12, far)
    before = len(m.d.effects)
    m.passes_on(20)
    about = [x for x in m.d.effects[before:] if isinstance(x, e.SwitchRecording | e.StopRecording)]
    assert isinstance(about[0], e.SwitchRecording) and about[0].why is PauseEnd.TALK_ENDED
    assert len(about) == (2 if after is RecordAfter.AGENT else 1), (
        "and stopped behind it, by the centre's rule"
    )
    m.tell(i.RecordingSwitched(at=m.d.at(20.1), call=C1, paused=False, done=True, why=PauseEnd.TALK_ENDED))
    assert resumed(m) == [(20.1, PauseEnd.TALK_ENDED)]
    m.city_puts_down(50, far)
    m.over(50)
    assert m.d.books.records[C1].unrecorded == 15 * SECOND


def test_what_asterisk_may_have_paused_without_saying_so_is_taken_back() -> None:
    m = talk()
    keys(m, 5)
    asterisk_does(m, 7, done=False)
    assert m.d.told(f.RecordingPaused) == []
    assert wishes(m)[-1] == (False, None)


def test_a_pause_that_nobody_wrote_down_before_callcore_died_is_ended_by_the_first_look() -> None:
    m = talk()
    m.tell(i.LinkDropped(at=m.d.at(6), node=NODE))
    leg = replace(seen(m, m.leg, m.bridge), phone=m.call.legs[1].phone, call=C1)
    m.d.snapshot(7, replace(seen(m, CALLER, m.bridge), paused=m.d.at(6)), leg)
    assert wishes(m) == [(False, PauseEnd.FOUND)]


def test_a_look_leaves_a_pause_alone_that_is_being_made_and_ends_one_that_nobody_knows() -> None:
    m = talk()
    leg = replace(seen(m, m.leg, m.bridge), phone=m.call.legs[1].phone, call=C1)
    for s, wanted in ((30, []), (45, [(False, PauseEnd.FOUND)])):
        m.d.snapshot(s, replace(seen(m, CALLER, m.bridge), paused=m.d.at(29)), leg, first=False)
        assert wishes(m) == wanted, s


def test_a_recording_that_the_dialplan_had_go_on_is_found_so() -> None:
    """The caller came to another agent while nobody watched; or only the word on the channel is gone."""
    m = talk()
    paused(m, 5)
    m.tell(i.LinkDropped(at=m.d.at(6), node=NODE))
    leg = replace(seen(m, m.leg, m.bridge), phone=m.call.legs[1].phone, call=C1)
    m.d.snapshot(20, seen(m, CALLER, m.bridge), leg)
    assert wishes(m)[1:] == [(False, PauseEnd.FOUND)]
    asterisk_does(m, 20.1)
    assert resumed(m) == [(20.1, PauseEnd.FOUND)]


def lost_while_callcore_is_dead(m: Moves, then: str) -> None:
    """Paused from 5 on, nobody watches from 6 on, the phone is lost at 20; seen again at 70."""
    m.d.sign_in(4, 2)
    paused(m, 5)
    m.tell(i.LinkDropped(at=m.d.at(6), node=NODE))
    waits = replace(seen(m, CALLER, None), context="callcore-hold", application="WaitForCondition")
    lost = trace(m, talk_ended=m.d.at(20), back=m.d.at(20), held=m.d.at(20))
    first = i.TalkTraced(PhoneId("demo-p1"), m.d.at(3), m.d.at(20), m.d.at(20))
    other = {"earlier": (first,), "phone": PhoneId("demo-p2"), "talk_since": m.d.at(40), "held": m.d.at(20)}
    far = ChannelId("far")
    if then == "waits":
        m.d.snapshot(70, waits, traces=(lost,))
    elif then == "is with another agent":
        leg = replace(seen(m, ChannelId("other"), "b9"), phone=PhoneId("demo-p2"), call=C1)
        m.d.snapshot(70, seen(m, CALLER, "b9"), leg, traces=(trace(m, talk_ended=None, **other),))
    elif then == "was with another agent and is gone":
        m.d.snapshot(70, traces=(trace(m, talk_ended=m.d.at(60), ended=m.d.at(60), **other),))
    elif then == "was sent on and is gone":
        sent = {"moved": m.d.at(25), "moved_to": far, "moved_ended": m.d.at(60), "sent_to": CITY.id}
        m.d.snapshot(70, traces=(trace(m, talk_ended=m.d.at(20), ended=m.d.at(60), **sent),))
    elif then == "was sent on and is back":
        away = i.MovedTraced(m.d.at(25), m.d.at(60), far, CITY.id)
        back = {"returned": away, "back": m.d.at(60), "held": m.d.at(60)}
        m.d.snapshot(70, waits, traces=(trace(m, talk_ended=m.d.at(20), **back),))
    else:
        here = seen(m, CALLER, "b9"), seen(m, far, "b9")
        m.d.snapshot(70, *here, traces=(trace(m, talk_ended=m.d.at(20), moved=m.d.at(25), moved_to=far),))


@pytest.mark.parametrize(
    "then",
    [
        "waits",
        "is with another agent",
        "was with another agent and is gone",
        "was sent on and is gone",
        "was sent on and is back",
        "is with a department",
    ],
)
def test_a_pause_is_over_when_its_talk_was_though_callcore_was_dead_until_later(then: str) -> None:
    m = talk()
    lost_while_callcore_is_dead(m, then)
    assert resumed(m) == [(20, PauseEnd.TALK_ENDED)]
    assert m.d.books.records[C1].unrecorded == 15 * SECOND
    told = m.d.floor.expected[C1].paused if "gone" in then else m.call.paused
    assert told == 15 * SECOND
    asterisk_does(m, 70.1)  # it goes on already
    assert len(resumed(m)) == 1
    assert m.d.floor.problems() == []


def test_a_pause_that_went_along_by_the_phones_own_transfer_lasts_until_callcore_is_back() -> None:
    m = talk()
    paused(m, 5)
    m.tell(i.LinkDropped(at=m.d.at(6), node=NODE))
    far = ChannelId("far")
    here = replace(seen(m, CALLER, "b9"), paused=m.d.at(5)), seen(m, far, "b9")
    m.d.snapshot(70, *here, traces=(trace(m, talk_ended=m.d.at(20), moved=m.d.at(20), moved_to=far),))
    assert resumed(m) == []
    asterisk_does(m, 70.1)
    assert resumed(m) == [(70.1, PauseEnd.TALK_ENDED)]


def test_what_did_not_go_on_when_the_talk_ended_is_tried_again_by_each_look() -> None:
    m = talk()
    paused(m, 5)
    m.hold(8)
    far = m.ask(10)
    m.answers(12, far)
    m.passes_on(20)
    asterisk_does(m, 22, done=False)
    caller = replace(seen(m, CALLER, "with-k1"), paused=m.d.at(5))
    m.d.snapshot(40, caller, seen(m, far, "with-k1"), first=False)
    assert wishes(m)[-1] == (False, PauseEnd.TALK_ENDED) and len(wishes(m)) == 3
    asterisk_does(m, 40.1)
    assert resumed(m) == [(40.1, PauseEnd.TALK_ENDED)]


def fires(m: Moves, before: float) -> list[float]:
    """The timer, as it was set last, until `before`; each time Asterisk does not answer within 2 s. When it fired."""
    timer, found = i.Timer(i.TimerKind.RECORDING, C1), list[float]()
    while True:
        at = next(x.at for x in reversed(m.d.effects) if isinstance(x, e.SetTimer) and x.timer == timer)
        s = (at - m.d.at(0)) / SECOND
        if s >= before:
            return found
        due(m, s)
        asterisk_does(m, s + 1.9, done=False)
        found.append(s)


def test_what_did_not_go_on_for_a_report_is_tried_again_until_it_does() -> None:
    m = talk()
    paused(m, 5)
    keys(m, 10, TalkKey.ABUSE)
    asterisk_does(m, 12, done=False)
    assert fires(m, 18) == [12, 14, 16]
    assert wishes(m)[1:] == [(False, PauseEnd.REPORTED)] * 4
    due(m, 18)
    asterisk_does(m, 18.1)
    assert resumed(m) == [(18.1, PauseEnd.REPORTED)]
    before = len(wishes(m))
    due(m, 20)
    due(m, 65)
    assert len(wishes(m)) == before, "it goes on"


def test_a_reported_call_goes_on_at_once_when_callcore_is_back_that_died_before_it_had_it_go_on() -> None:
    m = talk()
    paused(m, 5)
    keys(m, 10, TalkKey.ABUSE)
    timer = i.Timer(i.TimerKind.RECORDING, C1)
    at = dict(m.d.floor.deadlines())[timer]
    assert at <= m.d.at(10), "a restored engine arms it, and it is due"
    due(m, 11)
    assert wishes(m)[2:] == [(False, PauseEnd.REPORTED)]
    asterisk_does(m, 11.1)
    assert resumed(m) == [(11.1, PauseEnd.REPORTED)]
    assert timer not in dict(m.d.floor.deadlines())


def test_what_did_not_go_on_when_the_talk_ended_is_tried_again_every_two_seconds() -> None:
    m = talk()
    paused(m, 5)
    m.hold(8)
    m.answers(12, m.ask(10))
    m.passes_on(20)
    asterisk_does(m, 21.9, done=False)
    assert fires(m, 25) == [22, 24]
    assert wishes(m)[1:] == [(False, PauseEnd.TALK_ENDED)] * 3


def test_what_its_agent_asked_in_vain_stays_paused_until_its_time() -> None:
    """The agent hears so, and relies on it."""
    m = talk()
    paused(m, 5)
    keys(m, 10)
    asterisk_does(m, 12, done=False)
    assert [x.word for x in m.d.effects if isinstance(x, e.Reply)][-1] == "key-refused"
    assert fires(m, 65) == [] and wishes(m)[1:] == [(False, PauseEnd.ASKED)]


def test_a_look_that_found_a_recording_to_go_on_leaves_its_time_alone() -> None:
    m = talk()
    paused(m, 5)
    leg = replace(seen(m, m.leg, m.bridge), phone=m.call.legs[1].phone, call=C1)
    m.d.snapshot(20, seen(m, CALLER, m.bridge), leg, first=False)
    asterisk_does(m, 21.9, done=False)
    assert fires(m, 65) == []
    assert fires(m, 68) == [65, 67]


def test_while_nobody_watches_it_is_left_to_the_first_look_when_the_pause_of_an_ended_talk_ended() -> None:
    m = talk()
    paused(m, 5)
    m.hold(8)
    m.answers(12, m.ask(10))
    m.passes_on(20)
    m.tell(i.LinkDropped(at=m.d.at(21), node=NODE))
    asterisk_does(m, 21, done=False)
    before = len(wishes(m))
    due(m, 22)
    assert len(wishes(m)) == before


def test_gaps_are_known_by_where_their_silence_lies_in_what_asterisk_wrote() -> None:
    m = talk(Recordings(PauseAs.GAP, 60), RecordAfter.AGENT)
    paused(m, 5)
    keys(m, 9)
    asterisk_does(m, 9)
    paused(m, 15)
    m.hold(16)
    far = m.ask(17)
    m.answers(18, far)
    m.passes_on(20)
    asterisk_does(m, 20.1)
    m.tell(i.RecordingStopTold(at=m.d.at(21), call=C1))
    m.city_puts_down(30, far)
    m.back(30)
    m.d.sign_in(31, 2)
    m.d.pick_up(40)
    m.leg = m.call.talking_leg or m.leg
    paused(m, 44)
    m.d.hang_up(50)
    tape = m.d.floor.tapes[C1]
    assert [(gap.at / SECOND, gap.length / SECOND) for gap in tape.gaps] == [(2, 4), (12, 5), (22, 6)]
    assert tape.kept == 27 * SECOND, "17 s with the first agent, 10 s with the second"
    assert [x.gap for x in m.d.facts if isinstance(x, f.RecordingPaused)] == [True] * 3
    expected = m.d.floor.expected[C1]
    assert expected.talk == 12 * SECOND, "what is cut out is not missed afterwards"
    assert expected.paused == SECOND // 10, "until Asterisk had done it, no talk was recorded"


def test_silence_leaves_nothing_to_be_cut() -> None:
    m = talk()
    paused(m, 5)
    m.d.hang_up(20)
    assert C1 not in m.d.floor.tapes and C1 in m.d.floor.unfiled
    assert m.d.floor.expected[C1].paused == 15 * SECOND


def s(at: float) -> Instant:
    return Instant(round(at * SECOND))


@pytest.mark.parametrize(
    ("pauses", "wanted"),
    [
        ([], (30, 0, 0)),
        ([(5, 8, False)], (30, 3, 0)),
        ([(5, 8, True)], (27, 0, 3)),
        ([(5, 8, True), (12, 14, False)], (27, 2, 3)),
        ([(18, 25, True)], (28, 0, 2)),  # it went on a little after the talk's end, and nobody talked
        ([(35, None, False)], (30, 5, 0)),  # to the end
        ([(18, 33, False)], (30, 5, 0)),  # over two talks
    ],
)
def test_what_a_recording_is_to_hold_is_the_talks_without_the_gaps(
    pauses: list[tuple[float, float | None, bool]], wanted: tuple[float, float, float]
) -> None:
    talks = [(s(0), s(20)), (s(30), s(40))]
    found = heard(
        talks, [Pause(s(first), None if before is None else s(before), gap) for first, before, gap in pauses]
    )
    assert found == Heard(*(round(each * SECOND) for each in wanted))
