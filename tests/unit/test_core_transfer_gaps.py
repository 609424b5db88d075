"""Hold, consult and transfer while nobody watched: what CEL and the first look tell, and what stays unknown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from callcore.ami.cel import Line, traces
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.ids import CallId, CentreId, ChannelId, PhoneId
from callcore.domain.stages import Outcome, Party, SideKind, Stage
from tests.support.floors import NODE, NUMBER
from tests.unit.test_core_recording import C1, moves, seen, stopped, trace
from tests.unit.test_core_transfer import CALLER, CITY, TAX, Moves


@pytest.fixture
def m() -> Moves:
    return Moves().begin()


def of_phone(
    m: Moves, channel: ChannelId, phone: str, bridge: str | None, call: CallId | None = None
) -> i.ChannelSeen:
    return replace(seen(m, channel, bridge), phone=PhoneId(phone), call=call)


def marks(m: Moves) -> list[bool | None]:
    return [x.held for x in m.d.effects if isinstance(x, e.MarkHeld)]


def gap(m: Moves, *, until: float, consult: bool = False) -> None:
    """Nobody watches from 12 on; the talk is there when somebody looks again."""
    if consult:
        m.ask(11)
    m.tell(i.LinkDropped(at=m.d.at(12), node=NODE))
    talk = seen(m, CALLER, m.bridge), of_phone(m, m.leg, "demo-p1", m.bridge, C1)
    beside = of_phone(m, ChannelId("k1"), "demo-p1", None), seen(m, ChannelId("k1-far"), None)
    m.d.snapshot(until, *talk, *(beside if consult else ()), traces=(trace(m, talk_ended=None),))


# -- hold ----------------------------------------------------------------------------------------------------


def test_a_consult_beside_says_after_a_gap_that_the_caller_is_still_held(m: Moves) -> None:
    m.hold(10)
    gap(m, until=40, consult=True)
    assert (marks(m)[-1], m.call.held_since) == (True, m.d.at(10))
    m.caller_puts_down(50)
    assert m.outcome is Outcome.LOST_ON_HOLD
    assert m.d.books.records[C1].held == 40_000_000


def test_whether_a_caller_is_still_held_after_a_gap_is_not_known_until_the_phone_says_so(m: Moves) -> None:
    m.hold(10)
    gap(m, until=40)
    assert (marks(m)[-1], m.call.held_since) == (None, None)
    [resumed] = m.d.told(f.CallResumed)
    assert (resumed.at, resumed.reconstructed) == (m.d.at(12), True)
    m.tell(i.HoldChanged(at=m.d.at(300), channel=m.leg, held=True))
    assert (marks(m)[-1], m.call.held_since) == (True, m.d.at(300))
    m.tell(i.HoldChanged(at=m.d.at(310), channel=m.leg, held=False))
    assert (marks(m)[-1], m.call.held_since) == (False, None)
    assert m.d.floor.problems() == []


def test_a_hold_that_began_unseen_is_not_thought_to_be_none(m: Moves) -> None:
    gap(m, until=40)
    assert marks(m) == [None]
    m.tell(i.HoldChanged(at=m.d.at(50), channel=m.leg, held=False))
    assert marks(m) == [None, False]


@pytest.mark.parametrize("back", [40, 700])
def test_who_was_held_before_a_gap_and_puts_down_long_after_was_not_lost_on_hold(
    m: Moves, back: float
) -> None:
    m.hold(10)
    if back < 640:
        gap(m, until=back)
        m.caller_puts_down(640)
    else:
        m.tell(i.LinkDropped(at=m.d.at(12), node=NODE))
        m.d.snapshot(back, traces=(trace(m, talk_ended=m.d.at(640), ended=m.d.at(640)),))
    assert m.outcome is Outcome.COMPLETED
    assert m.d.books.records[C1].held is None, "nobody knows how long"
    assert m.d.floor.problems() == []


def first_look(m: Moves, s: float, held: bool | None, *more: i.ChannelSeen, **told: object) -> None:
    """The talk goes on; what the phone's channel says of hold."""
    phone = replace(of_phone(m, m.leg, "demo-p1", m.bridge, C1), held=held)
    m.d.snapshot(s, seen(m, CALLER, m.bridge), phone, *more, traces=(trace(m, talk_ended=None),), **told)


def warned(m: Moves, s: float) -> bool:
    m.tell(i.TimerFired(at=m.d.at(s), timer=i.Timer(i.TimerKind.HOLD, C1)))
    return m.call.hold_overran


def test_a_caller_whom_the_phone_still_holds_after_a_gap_is_held_since_before_it(m: Moves) -> None:
    m.hold(10)
    m.tell(i.LinkDropped(at=m.d.at(12), node=NODE))
    first_look(m, 40, True)
    assert (marks(m)[-1], m.call.held_since) == (True, m.d.at(10))
    assert warned(m, 70)
    m.caller_puts_down(80)
    assert m.outcome is Outcome.LOST_ON_HOLD


def test_a_caller_whom_the_phone_took_off_hold_in_a_gap_is_not_held(m: Moves) -> None:
    m.hold(10)
    m.tell(i.LinkDropped(at=m.d.at(12), node=NODE))
    first_look(m, 40, False)
    assert (marks(m)[-1], m.call.held_since) == (False, None)
    m.caller_puts_down(41)
    assert m.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("consult", [False, True])
def test_a_hold_that_began_in_a_gap_is_seen_at_the_first_look_and_has_its_lamp_and_its_warning(
    m: Moves, consult: bool
) -> None:
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    side = replace(consulted(m, "k1", 12, None, 30), ended=None)
    far = seen(m, ChannelId("k1-far"), None), of_phone(m, ChannelId("k1"), "demo-p1", None)
    first_look(m, 40, True, *(far if consult else ()), sides=(side,) if consult else ())
    since = 12 if consult else 40
    assert (marks(m)[-1], m.call.held_since) == (True, m.d.at(since))
    [begun] = m.d.told(f.CallHeld)
    assert isinstance(begun, f.CallHeld)
    assert (begun.reconstructed, begun.too_long_at) == (True, m.d.at(since + 60))
    assert warned(m, since + 60)
    m.tell(i.HoldChanged(at=m.d.at(110), channel=m.leg, held=False))
    assert (marks(m)[-1], m.call.held_since) == (False, None)
    assert m.d.floor.problems() == []


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_asterisks_own_books_say_whether_a_talk_that_ended_in_a_gap_ended_on_hold(
    m: Moves, held: bool, before: bool
) -> None:
    if before:
        m.hold(10)
    m.tell(i.LinkDropped(at=m.d.at(12), node=NODE))
    ended = {"talk_ended": m.d.at(14), "ended": m.d.at(14), "put_down_held": held}
    m.d.snapshot(40, traces=(trace(m, **ended),))
    assert m.outcome is (Outcome.LOST_ON_HOLD if held else Outcome.COMPLETED)
    assert m.d.books.records[C1].held is None, "nobody knows how long"
    assert m.d.floor.problems() == []


def test_a_phones_word_of_hold_stands_in_cel_with_its_talk(m: Moves) -> None:
    lines = (
        (3, "BRIDGE_ENTER", "leg", "b1"),
        (3, "BRIDGE_ENTER", "c1", "b1"),
        (30, "BRIDGE_EXIT", "c1", "b1"),
        (30.1, "USER_DEFINED", "leg", "callcore-put-down"),
    )
    assert cel(m, *lines, word="held").put_down_held is True
    assert cel(m, *lines, word="talking").put_down_held is False
    again = (
        (40, "USER_DEFINED", "c1", "callcore-held"),
        (50, "BRIDGE_ENTER", "leg", "b2"),
        (50, "BRIDGE_ENTER", "c1", "b2"),
    )
    assert cel(m, *lines, *again, word="held").put_down_held is None


# -- consult and transfer ------------------------------------------------------------------------------------


def consulted(
    m: Moves,
    name: str,
    began: float,
    connected: float | None,
    ended: float,
    *,
    by: str = "demo-p1",
    why: str = CITY.id,
) -> i.SideTraced:
    """A consult beside the talk, with a department, or with the colleague at the phone `why`."""
    colleague = why.startswith("demo-p")
    return i.SideTraced(
        call=CallId(name),
        centre=CentreId("demo"),
        kind=SideKind.COLLEAGUE if colleague else SideKind.DEPARTMENT,
        phone=PhoneId(by),
        number=NUMBER,
        other=None if colleague else CITY.number,
        why=why,
        began=m.d.at(began),
        connected=None if connected is None else m.d.at(connected),
        with_phone=PhoneId(why) if colleague and connected is not None else None,
        outcome=None,
        ended=m.d.at(ended),
        hung_up_by=Party.SYSTEM,
        beside=C1,
    )


def transfers(m: Moves) -> list[tuple[str | None, bool, str | None]]:
    """(department, unasked, consult) of each."""
    return [
        (x.department, x.blind, x.side)
        for x in m.d.told(f.CallTransferred)
        if isinstance(x, f.CallTransferred)
    ]


def ends(m: Moves) -> list[tuple[str | None, AskEnd | None]]:
    return [(ask.department, ask.end) for ask in m.d.books.asks[C1]]


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((12, 20, 30), (25, None, 28), (CITY.id, False, "d1")),
        ((12, 20, 28), (29, None, 30), (TAX.id, True, "d2")),
        ((12, None, 20), (22, 25, 30), (TAX.id, False, "d2")),
    ],
    ids=["the second was silent", "the first put down", "the first was silent"],
)
def test_of_two_consults_that_nobody_saw_the_one_that_was_open_is_where_the_caller_went(
    m: Moves,
    first: tuple[float, float | None, float],
    second: tuple[float, float | None, float],
    wanted: tuple[str, bool, str],
) -> None:
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    sides = consulted(m, "d1", *first), consulted(m, "d2", *second, why=TAX.id)
    told = trace(m, moved=m.d.at(30), moved_ended=m.d.at(90), ended=m.d.at(90))
    m.d.snapshot(100, traces=(told,), sides=sides)
    assert transfers(m) == [wanted]
    assert (wanted[0], AskEnd.PUT_THROUGH) in ends(m)
    assert len(ends(m)) == 2
    assert m.d.floor.problems() == []


@pytest.mark.parametrize("moved_to", [None, ChannelId("k1-far")])
@pytest.mark.parametrize(("answered", "unasked"), [(20, False), (None, True)])
def test_whether_a_consult_that_rang_was_answered_unseen_is_told_by_cel(
    m: Moves, answered: float | None, unasked: bool, moved_to: ChannelId | None
) -> None:
    """A consult that was none is not to be recorded; one that was answered is."""
    m.ask(11)
    m.tell(i.LinkDropped(at=m.d.at(12), node=NODE))
    told = trace(m, moved=m.d.at(30), moved_to=moved_to, moved_ended=m.d.at(90), ended=m.d.at(90))
    m.d.snapshot(100, traces=(told,), sides=(consulted(m, "k1", 11, answered, 30),))
    assert transfers(m) == [(CITY.id, unasked, "k1")]
    tape = m.d.floor.tapes.get(C1)
    assert (tape is not None and CallId("k1") in tape.unheld) is unasked
    assert m.d.floor.problems() == []


# -- a colleague who takes over ------------------------------------------------------------------------------


def talks(m: Moves) -> list[tuple[str | None, bool, float]]:
    """(agent, taken over from a colleague, length in seconds) of each talk that is over."""
    answers = [x for x in m.d.told(f.CallAnswered) if isinstance(x, f.CallAnswered)]
    over = [x for x in m.d.told(f.TalkEnded) if isinstance(x, f.TalkEnded)]
    return [(a.agent, a.escalated, (b.at - a.at) / 1e6) for a, b in zip(answers, over, strict=False)]


def on_the_line(m: Moves) -> i.ChannelSeen:
    return replace(seen(m, CALLER, None), context="callcore-hold", application="WaitForCondition")


def test_a_colleague_who_took_over_and_gave_back_unseen_has_talked(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    away = i.MovedTraced(m.d.at(30), m.d.at(60), None, None)
    told = trace(m, returned=away, back=m.d.at(60), held=m.d.at(60))
    m.d.snapshot(100, on_the_line(m), traces=(told,), sides=(consulted(m, "k1", 12, 20, 30, why="demo-p2"),))
    assert talks(m) == [("1001", False, 27), ("1002", True, 30)]
    assert m.d.books.records[C1].second
    assert m.call.stage in (Stage.WAITING, Stage.OFFERED)
    assert m.d.floor.problems() == []


def test_the_end_of_a_colleagues_talk_that_was_watched_is_not_taken_for_another_talk(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.hold(10)
    far = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, far)
    m.passes_on(30)
    m.tell(i.HoldChanged(at=m.d.at(55), channel=far, held=True))
    m.city_puts_down(60, far)
    m.tell(i.LinkDropped(at=m.d.at(60), node=NODE))
    away = i.MovedTraced(m.d.at(29.999), m.d.at(60), None, None)
    told = trace(m, talk_ended=m.d.at(29.997), returned=away, back=m.d.at(60.1), held=m.d.at(60.1))
    m.d.snapshot(
        100, on_the_line(m), traces=(told,), sides=(consulted(m, "k1", 12, 20, 30.001, why="demo-p2"),)
    )
    assert talks(m) == [("1001", False, 27), ("1002", True, 30)]
    assert m.call.stage in (Stage.WAITING, Stage.OFFERED)
    assert m.d.floor.problems() == []


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("told_by", ["phone", "consult"])
def test_a_colleague_who_answered_unseen_after_the_agent_had_let_go_has_taken_over(
    m: Moves, over: bool, told_by: str
) -> None:
    """Whose line Asterisk writes under which call is not always the same."""
    m.d.sign_in(5, 2)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    end = m.d.at(90) if over else None
    if told_by == "phone":
        first = i.TalkTraced(PhoneId("demo-p1"), m.d.at(3), m.d.at(15), None)
        more = {"earlier": (first,), "talk_since": m.d.at(20), "phone": PhoneId("demo-p2"), "talk_ended": end}
    else:
        more = {"talk_ended": m.d.at(15), "moved": m.d.at(20), "moved_ended": end}
    here = () if over else (seen(m, CALLER, "b2"), of_phone(m, ChannelId("k1-far"), "demo-p2", "b2"))
    side = consulted(m, "k1", 12, None, 15, why="demo-p2")
    m.d.snapshot(100, *here, traces=(trace(m, **more, ended=end),), sides=(side,))
    assert talks(m) == [("1001", False, 12), ("1002", True, 70)][: 2 if over else 1]
    assert m.d.books.records[C1].second
    if over:
        assert m.outcome is Outcome.COMPLETED
    else:
        assert (m.call.talking_with, m.call.talking_leg) == ("1002", "k1-far")
    assert m.d.floor.problems() == []


def cel(m: Moves, *told: tuple[float, str, str, str], word: str = CITY.id) -> i.CallTraced:
    """CEL's lines of the caller's call: (second, event, channel, bridge or the dialplan's word)."""
    names = {"c1": "PJSIP/trunk-00000001", "leg": "PJSIP/demo-p1-00000002"}
    lines = [Line("CHAN_START", "", m.d.at(1), "c1", "c1", names["c1"], "callcore-in", NUMBER, "", "")]
    for s, kind, unique, what in told:
        user = what if kind == "USER_DEFINED" else ""
        extra = json.dumps({"bridge_id": what, "extra": word})
        lines.append(
            Line(kind, user, m.d.at(s), unique, "c1", names[unique], "callcore-offer", "s", "", extra)
        )
    [found] = traces(lines)
    return replace(found, number=NUMBER)


CITY_BY_A_COLLEAGUE = (
    (1, "USER_DEFINED", "c1", "callcore-open"),
    (1.1, "USER_DEFINED", "c1", "callcore-held"),
    (3, "BRIDGE_ENTER", "leg", "b1"),
    (3, "BRIDGE_ENTER", "c1", "b1"),
    (30, "BRIDGE_EXIT", "c1", "b1"),
    (30.001, "BRIDGE_ENTER", "c1", "with-k1"),
    (60, "BRIDGE_EXIT", "c1", "with-k1"),
    (60.001, "BRIDGE_ENTER", "c1", "with-k2"),
)


@pytest.mark.parametrize("then", ["talks on", "over", "came back", "talks again"])
@pytest.mark.parametrize("watched", [False, True])
def test_where_a_colleague_put_the_caller_through_to_unseen_is_told_in_its_order(
    watched: bool, then: str
) -> None:
    m = moves()
    m.d.sign_in(5, 2)
    if watched:
        m.hold(10)
        m.answers(20, m.ask(12, kind=SideKind.COLLEAGUE))
        m.passes_on(30.002)
    m.tell(i.LinkDropped(at=m.d.at(40 if watched else 8), node=NODE))
    sides = (
        consulted(m, "k1", 12, 20, 30.003, why="demo-p2"),
        consulted(m, "k2", 45, 50, 60.003, by="demo-p2"),
    )
    back = ((66, "BRIDGE_EXIT", "c1", "with-k2"), (66, "USER_DEFINED", "c1", "callcore-held"))
    more = {
        "talks on": (),
        "over": ((90, "BRIDGE_EXIT", "c1", "with-k2"), (90, "CHAN_END", "c1", "")),
        "came back": back,
        "talks again": (
            *back,
            (70, "BRIDGE_ENTER", "leg", "b3"),
            (70, "BRIDGE_ENTER", "c1", "b3"),
            (80, "BRIDGE_EXIT", "c1", "b3"),
            (80, "CHAN_END", "c1", ""),
        ),
    }
    here = {
        "talks on": (seen(m, CALLER, "with-k2"), seen(m, ChannelId("k2-far"), "with-k2")),
        "came back": (on_the_line(m),),
    }
    m.d.snapshot(100, *here.get(then, ()), traces=(cel(m, *CITY_BY_A_COLLEAGUE, *more[then]),), sides=sides)
    assert [(who, escalated, round(s)) for who, escalated, s in talks(m)][:2] == [
        ("1001", False, 27),
        ("1002", True, 30),
    ]
    assert transfers(m) == [(CITY.id, False, "k2")]
    assert ends(m) == [(CITY.id, AskEnd.PUT_THROUGH)]
    if then == "talks on":
        m.tell(i.RecordingStopTold(at=m.d.at(101), call=C1))
        m.caller_puts_down(110)
    [(since, until)] = stopped(m)
    assert (round(since), round(until)) == (60, {"talks on": 101, "over": 90}.get(then, 66))
    if then == "talks again":
        assert talks(m)[2] == ("1001", False, 10)
    elif then == "came back":
        assert m.call.stage in (Stage.WAITING, Stage.OFFERED)
    else:
        assert m.outcome is Outcome.TRANSFERRED_ATTENDED
    assert m.d.floor.problems() == []


# -- whose a consult is --------------------------------------------------------------------------------------


def test_a_consult_with_a_colleague_that_nobody_saw_is_the_agents_who_began_it(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    talk = seen(m, CALLER, m.bridge), of_phone(m, m.leg, "demo-p1", m.bridge, C1)
    beside = (
        of_phone(m, ChannelId("k1"), "demo-p1", "with-k1"),
        of_phone(m, ChannelId("k1-far"), "demo-p2", "with-k1"),
    )
    side = replace(consulted(m, "k1", 12, 20, 30, why="demo-p2"), ended=None)
    m.d.snapshot(40, *talk, *beside, traces=(trace(m, talk_ended=None),), sides=(side,))
    made, there = m.d.books.sides[CallId("k1")], m.d.floor.sides[CallId("k1")]
    assert (made.phone, made.agent, there.phone) == ("demo-p1", "1001", "demo-p1")
    assert m.d.floor.problems() == []


def test_a_consult_of_a_colleague_who_had_taken_over_is_the_colleagues(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.hold(10)
    m.answers(20, m.ask(12, kind=SideKind.COLLEAGUE))
    m.passes_on(30)
    m.tell(i.LinkDropped(at=m.d.at(40), node=NODE))
    here = seen(m, CALLER, "with-k1"), of_phone(m, ChannelId("k1-far"), "demo-p2", "with-k1")
    side = consulted(m, "k2", 45, 50, 55, by="demo-p2")
    m.d.snapshot(60, *here, traces=(trace(m, moved=m.d.at(30)),), sides=(side,))
    made = m.d.books.sides[CallId("k2")]
    assert (made.phone, made.agent) == ("demo-p2", "1002")


# -- sent to a department that is closed ---------------------------------------------------------------------


def test_who_was_sent_unseen_to_a_closed_department_and_came_back_is_counted_there(m: Moves) -> None:
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    lines = (
        (3, "BRIDGE_ENTER", "leg", "b1"),
        (3, "BRIDGE_ENTER", "c1", "b1"),
        (30, "BRIDGE_EXIT", "c1", "b1"),
        (30.1, "USER_DEFINED", "c1", "callcore-transfer-closed"),
        (30.2, "USER_DEFINED", "c1", "callcore-held"),
    )
    m.d.snapshot(40, on_the_line(m), traces=(cel(m, *lines),))
    assert ends(m) == [(CITY.id, AskEnd.CLOSED)]
    assert m.call.stage in (Stage.WAITING, Stage.OFFERED)
    assert m.d.floor.problems() == []
