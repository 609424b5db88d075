"""Call-backs: who is called back when, how often, and never twice; what the core makes of it, without Asterisk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcore.ami import cel
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.callback import SAFE_S, Callback, CallbackState
from callcore.domain.centre import Callbacks, Guest, Messages, Number, Outgoing
from callcore.domain.evolve import evolve
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, PhoneId, QueueId
from callcore.domain.measures import endings
from callcore.domain.message import Message, MessageState
from callcore.domain.stages import CallbackEnd, Choice, Device, Outcome, SideKind, SideOutcome, Work
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration

CITIZEN = "0312345678"
M = CallId("m")


def desk(agents: int = 2, **more: object) -> Desk:
    rules = {"callbacks": Callbacks(2, 600), "outgoing": Outgoing(NUMBER, acw_s=5), **more}
    return Desk().begin(configuration(replace(centre(agents), **rules)))  # type: ignore[arg-type]


def asks(made: Desk, s: float, name: str = "m", caller: str | None = CITIZEN) -> None:
    """A caller who asks for it in a menu, and puts down."""
    comes(made, s, name, caller)
    made.tell(i.MenuKeyed(at=made.at(s), call=CallId(name), menu="demo-m", key="1", choice=Choice.CALLBACK))
    made.tell(i.CallbackTold(at=made.at(s + 1), call=CallId(name)))
    gone(made, s + 2, name)


def comes(made: Desk, s: float, name: str, caller: str | None = CITIZEN, number: str = NUMBER) -> None:
    made.tell(
        i.ChannelArrived(
            at=made.at(s),
            node=NODE,
            channel=ChannelId(name),
            name=f"PJSIP/trunk-{name}",
            number=number,
            caller=caller,
        )
    )
    made.tell(i.AdmissionDecided(at=made.at(s), call=CallId(name), open=True, source="pushed"))


def waits(made: Desk, s: float, name: str, caller: str) -> None:
    comes(made, s, name, caller)
    made.tell(i.CallerHeld(at=made.at(s), call=CallId(name)))


def gone(made: Desk, s: float, name: str) -> None:
    made.tell(i.HangupRequested(at=made.at(s), channel=ChannelId(name)))
    made.tell(i.ChannelGone(at=made.at(s), channel=ChannelId(name), cause=16))


def back(made: Desk, name: CallId = M) -> Callback:
    return made.floor.callbacks[name]


def rung(made: Desk) -> list[e.CallBack]:
    """Every time that an agent's phone was to be rung for a call-back."""
    return [effect for effect in made.effects if isinstance(effect, e.CallBack)]


def picked_up(made: Desk, s: float) -> CallId:
    """The agent answers, and the citizen is being called."""
    effect = rung(made)[-1]
    made.tell(
        i.SideCallTold(
            at=made.at(s),
            node=NODE,
            call=effect.side,
            centre=made.floor.sides[effect.side].centre,
            kind=SideKind.OUTGOING,
            phone=effect.phone,
            number=NUMBER,
            other=effect.number,
            why="callback",
        )
    )
    return effect.side


def ends(made: Desk, s: float, side: CallId, outcome: SideOutcome | None = None) -> None:
    if outcome is not None:
        made.tell(i.SideReturned(at=made.at(s), call=side, outcome=outcome))
    made.tell(i.ChannelGone(at=made.at(s), channel=ChannelId(side), cause=16))


def talk(made: Desk, s: float, side: CallId) -> None:
    leg = ChannelId(f"{side}-carrier")
    made.tell(i.SideDialBegan(at=made.at(s), call=side, channel=leg, phone=None))
    for channel in (leg, ChannelId(side)):
        made.tell(i.BridgeEntered(at=made.at(s), bridge="b", channel=channel))


def killed(made: Desk, s: float) -> None:
    """The engine was killed, and starts again."""
    known = made.floor.configuration
    assert known is not None
    made.tell(i.RunBegins(at=made.at(s), run=made.floor.run + 1, software="test", configuration=known))


def until(made: Desk, s: float) -> None:
    """Time goes on: whatever timer of the call-backs is due is told."""
    for name in sorted(made.floor.callbacks):
        made.tell(i.TimerFired(at=made.at(s), timer=i.Timer(i.TimerKind.CALLBACK, name)))


def test_the_place_is_kept_and_when_the_turn_has_come_an_agent_rings_first_and_then_the_citizen() -> None:
    made = desk()
    asks(made, 0)
    assert made.outcomes() == {"m": "callback_requested"}
    assert back(made).state is CallbackState.WAITING
    assert rung(made) == []
    made.sign_in(10, 1)
    (effect,) = rung(made)
    assert (effect.phone, effect.number, effect.language, effect.attempt) == ("demo-p1", CITIZEN, "ja", 1)
    assert effect.shown == f"折り返し 試験センター 日本語 {CITIZEN} 待ち9秒"
    assert made.floor.agents[AgentId("1001")].work is Work.CALLING_OUT
    assert back(made).attempts == 0
    side = picked_up(made, 15)
    assert (back(made).state, back(made).attempts) == (CallbackState.DIALLING, 1)
    talk(made, 20, side)
    assert M not in made.floor.callbacks
    assert [x.same_day for x in made.told(f.CallbackReached)] == [True]
    ends(made, 60, side)
    record = made.books.records[M]
    assert (record.outcome, record.callback) == (Outcome.CALLBACK_REQUESTED, CallbackEnd.REACHED)
    told = endings(made.books.records.values(), made.figures(made.at(70)))
    assert (told.callbacks[CallbackEnd.REACHED], told.answer_ratio_with_callbacks.part) == (1, 1)
    assert made.figures(made.at(70)).answered == 0
    assert made.books.sides[side].outcome is SideOutcome.CONNECTED
    assert len(rung(made)) == 1


def test_who_has_waited_longer_goes_first_on_the_telephone_or_not() -> None:
    made = desk(3)
    waits(made, 0, "before", "0311111111")
    asks(made, 10)
    waits(made, 20, "after", "0322222222")
    assert made.floor.callbacks[M].since < made.floor.calls[CallId("after")].entered_at  # type: ignore[operator]
    made.sign_in(30, 1)
    assert [x.call for x in made.told(f.OfferMade)] == ["before"]
    made.sign_in(31, 2)
    assert [x.call for x in made.told(f.CallbackTried)] == ["m"]
    made.sign_in(32, 3)
    assert [x.call for x in made.told(f.OfferMade)] == ["before", "after"]


def test_who_asks_in_the_queue_keeps_the_place_that_he_had() -> None:
    made = desk()
    waits(made, 0, "m", CITIZEN)
    waits(made, 5, "other", "0322222222")
    made.tell(i.CallbackTold(at=made.at(30), call=M))
    gone(made, 31, "m")
    assert back(made).since == made.at(0)
    made.sign_in(40, 1)
    assert len(rung(made)) == 1 and made.told(f.OfferMade) == []


def test_a_citizen_who_is_not_reached_is_called_again_after_the_distance_and_then_given_up() -> None:
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    side = picked_up(made, 12)
    ends(made, 20, side, SideOutcome.BUSY)
    assert back(made).not_before == made.at(620)
    made.tell(i.TimerFired(at=made.at(25), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    until(made, 619)
    assert len(rung(made)) == 1
    until(made, 620)
    assert len(rung(made)) == 2
    assert rung(made)[0].side != rung(made)[1].side
    assert (rung(made)[1].attempt, rung(made)[1].shown.split()[0]) == (2, "折り返し2回目")
    ends(made, 660, picked_up(made, 630), SideOutcome.NO_ANSWER)
    assert M not in made.floor.callbacks
    assert [x.outcome for x in made.told(f.CallbackGivenUp)] == [SideOutcome.NO_ANSWER]
    assert made.books.records[M].callback is CallbackEnd.GIVEN_UP
    assert not made.books.records[M].message, "no message was left"
    until(made, 5000)
    assert len(rung(made)) == 2


def test_an_agent_who_does_not_pick_up_costs_the_citizen_no_attempt_and_the_agent_no_after_call_work() -> (
    None
):
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    ends(made, 25, rung(made)[0].side)
    assert (back(made).attempts, back(made).state) == (0, CallbackState.WAITING)
    assert made.floor.agents[AgentId("1001")].work is Work.IDLE
    assert back(made).not_before == made.at(45)
    assert len(rung(made)) == 1
    until(made, 45)
    assert len(rung(made)) == 2


def test_what_asterisk_refuses_is_tried_again_a_little_later() -> None:
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    made.tell(i.CallbackNotPlaced(at=made.at(10.1), side=rung(made)[0].side))
    assert len(rung(made)) == 1
    assert (back(made).attempts, back(made).state) == (0, CallbackState.WAITING)


def test_who_rings_in_first_takes_over_the_place_and_is_not_called() -> None:
    made = desk()
    asks(made, 0)
    waits(made, 60, "other", "0322222222")
    comes(made, 100, "again", "+81312345678")
    assert M in made.floor.callbacks
    made.tell(i.CallerHeld(at=made.at(110), call=CallId("again")))
    assert M not in made.floor.callbacks
    assert made.told(f.CallbackCancelled)[0].by_call == "again"
    visit = made.told(f.VisitBegan)[-1]
    assert (visit.since, visit.position) == (made.at(1), 1)
    made.sign_in(120, 1)
    assert [x.call for x in made.told(f.OfferMade)] == ["again"]
    assert rung(made) == []


def test_who_rings_in_while_an_agents_phone_rings_for_him_is_not_called_either() -> None:
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    side = rung(made)[0].side
    comes(made, 12, "again")
    assert e.HangUp(ChannelId(side)) in made.effects
    ends(made, 12.5, side)
    assert made.floor.agents[AgentId("1001")].work is Work.IDLE
    until(made, 1000)
    assert len(rung(made)) == 1
    made.tell(i.CallerHeld(at=made.at(1001), call=CallId("again")))
    assert M not in made.floor.callbacks
    assert [x.call for x in made.told(f.OfferMade)] == ["again"]


@pytest.mark.parametrize("refused", [False, True])
def test_who_rings_in_and_is_refused_or_puts_down_before_the_line_is_called_back_as_promised(
    refused: bool,
) -> None:
    """`refused`: it is past closing; called back the next morning. Else in the greeting."""
    day = Calendar("Asia/Tokyo", ((Window(8 * 3600, 12 * 3600 + 600),),) * 7)  # it is noon
    made = desk(calendar=day)
    asks(made, 0)
    at = 3600 if refused else 100
    made.tell(
        i.ChannelArrived(
            at=made.at(at),
            node=NODE,
            channel=ChannelId("again"),
            name="PJSIP/trunk-again",
            number=NUMBER,
            caller=CITIZEN,
        )
    )
    made.tell(i.AdmissionDecided(at=made.at(at), call=CallId("again"), open=not refused, source="pushed"))
    gone(made, at + 2, "again")
    assert not made.told(f.CallbackCancelled)
    made.sign_in(at + 10, 1)
    assert len(rung(made)) == (0 if refused else 1)
    made.tell(i.DeviceReported(at=made.at(20 * 3600 + 1), phone=PhoneId("demo-p1"), device=Device.FREE))
    assert len(rung(made)) == 1, "at 8:00 the next day"


def test_a_call_back_whose_queue_is_taken_out_of_the_files_goes_on_in_the_one_of_the_number_that_was_dialled() -> (
    None
):
    made = desk()
    asks(made, 0)
    known = made.floor.configuration
    assert known is not None
    (old,) = known.centres
    name = QueueId("demo-new")
    new = replace(
        old,
        queues=tuple(replace(queue, id=name) for queue in old.queues),
        numbers=tuple(replace(number, queue=name) for number in old.numbers),
        agents=tuple(replace(agent, queues=(name,)) for agent in old.agents),
    )
    changed = replace(known, version="new", centres=(new,))
    made.tell(i.ConfigurationChanged(at=made.at(10), configuration=changed, by="test"))
    assert back(made).queue == name
    made.sign_in(20, 1)
    assert len(rung(made)) == 1


def test_nobody_is_called_while_his_number_is_in_a_call_with_us() -> None:
    made = desk(2)
    asks(made, 0)
    made.sign_in(5, 1)
    picked_up(made, 6)
    asks(made, 8, "n", CITIZEN)  # rings in from a second telephone of the same number, and asks again
    assert M not in made.floor.callbacks and CallId("n") in made.floor.callbacks
    made.sign_in(20, 2)
    assert len(rung(made)) == 1, "the first attempt still rings at the citizen's"
    ends(made, 30, rung(made)[0].side, SideOutcome.NO_ANSWER)
    assert len(rung(made)) == 2


@pytest.mark.parametrize("caller", [None, CITIZEN])
def test_a_number_that_is_withheld_or_a_call_that_is_refused_is_not_called_back(caller: str | None) -> None:
    made = desk()
    comes(made, 0, "m", caller)
    if caller is not None:
        made.tell(i.CallbackTold(at=made.at(1), call=CallId("nobody")))
        gone(made, 5, "m")
        made.tell(i.CallbackTold(at=made.at(6), call=M))
    else:
        made.tell(i.CallbackTold(at=made.at(1), call=M))
    assert not made.floor.callbacks


def test_nobody_is_called_out_of_hours_and_the_place_is_kept_over_the_night() -> None:
    day = Calendar("Asia/Tokyo", ((Window(8 * 3600, 12 * 3600 + 60),),) * 7)  # it is noon
    made = desk(calendar=day)
    asks(made, 0)
    made.sign_in(100, 1)
    assert rung(made) == []
    until(made, 20 * 3600 - 1)
    assert rung(made) == []
    until(made, 20 * 3600)
    assert len(rung(made)) == 1
    talk(made, 20 * 3600 + 20, picked_up(made, 20 * 3600 + 10))
    assert [x.same_day for x in made.told(f.CallbackReached)] == [False]


def test_after_a_crash_an_attempt_that_nobody_saw_is_looked_up_and_not_repeated_at_once() -> None:
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    side = rung(made)[0].side
    killed(made, 20)
    made.tell(i.Snapshot(at=made.at(21), node=NODE, first=True, channels=(), devices=(), members=()))
    assert side not in made.floor.sides
    missed = made.told(f.CallbackMissed)[0]
    assert missed.reconstructed and back(made).not_before == missed.at + SAFE_S * SECOND
    assert len(rung(made)) == 1
    until(made, 22)
    assert len(rung(made)) == 1


def test_after_a_crash_a_citizen_who_was_called_counts_as_called() -> None:
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    side = rung(made)[0].side
    killed(made, 40)
    trace = i.SideTraced(
        call=side,
        centre=made.floor.centres[made.floor.phone_centre[rung(made)[0].phone]].id,
        kind=SideKind.OUTGOING,
        phone=rung(made)[0].phone,
        number=NUMBER,
        other=CITIZEN,
        why="callback",
        began=made.at(15),
        connected=made.at(20),
        with_phone=None,
        outcome=SideOutcome.CONNECTED,
        ended=made.at(35),
        hung_up_by=made.floor.sides[side].put_down_by(),
    )
    made.tell(
        i.Snapshot(at=made.at(41), node=NODE, first=True, channels=(), devices=(), members=(), sides=(trace,))
    )
    assert M not in made.floor.callbacks
    assert made.told(f.CallbackReached)[0].reconstructed
    made.device(50, 1, Device.FREE)
    assert len(rung(made)) == 1


def test_somebody_takes_it_off_the_list() -> None:
    made = desk()
    asks(made, 0)
    made.tell(i.CallbackDropAsked(at=made.at(5), call=M, by="user:sup"))
    made.tell(i.CallbackDropAsked(at=made.at(6), call=M, by="user:sup"))
    assert [x.by for x in made.told(f.CallbackCancelled)] == ["user:sup"]
    made.sign_in(10, 1)
    assert rung(made) == []


def test_two_calls_of_one_number_at_once_are_one_call_back_in_the_better_place() -> None:
    """An office behind one main number: both callers ask before either has put down."""
    made = desk(2)
    for s, name, caller in ((0, "m", CITIZEN), (10, "n", "+81312345678")):
        comes(made, s, name, caller)
        keyed = i.MenuKeyed(at=made.at(s), call=CallId(name), menu="demo-m", key="1", choice=Choice.CALLBACK)
        made.tell(keyed)
    for s, name in ((20, "m"), (21, "n")):
        made.tell(i.CallbackTold(at=made.at(s), call=CallId(name)))
    for s, name in ((30, "m"), (31, "n")):
        gone(made, s, name)
    [kept] = made.floor.callbacks.values()
    assert (kept.id, kept.since) == ("n", made.at(20)), "the place of who asked first"
    assert [x.call for x in made.told(f.CallbackCancelled)] == ["m"]
    made.sign_in(40, 1)
    made.sign_in(40, 2)
    assert len(rung(made)) == 1, "one phone rings, not two"


def test_a_number_is_called_back_once_at_a_time_however_it_is_written() -> None:
    made = desk(1)
    asks(made, 0, caller="+81312345678")
    made.tell(
        i.SideCallTold(
            at=made.at(20),
            node=NODE,
            call=CallId("side"),
            centre=made.floor.configuration.centres[0].id,  # type: ignore[union-attr]
            kind=SideKind.OUTGOING,
            phone=None,
            number=NUMBER,
            other=CITIZEN,
            why="landline",
        )
    )
    made.sign_in(30, 1)
    assert rung(made) == [], "the number is in a call with us"
    ends(made, 60, CallId("side"), SideOutcome.BUSY)
    until(made, 61)
    assert len(rung(made)) == 1


def test_an_emergency_closure_takes_the_phone_back_before_the_citizen_is_called() -> None:
    made = desk(1)
    asks(made, 0)
    made.sign_in(10, 1)
    assert back(made).state is CallbackState.RINGING
    made.tell(i.EmergencyAsked(at=made.at(15), centre=back(made).centre, reason="地震", by="user:sato"))
    assert back(made).state is CallbackState.WAITING, "the place stays"
    assert [x for x in made.effects if isinstance(x, e.HangUp)]
    until(made, 120)
    assert len(rung(made)) == 1, "and nobody is called while it lasts"


def given_up(made: Desk) -> Message:
    asks(made, 0)
    made.sign_in(10, 1)
    ends(made, 20, picked_up(made, 12), SideOutcome.NO_ANSWER)
    return made.floor.messages[M]


def test_who_is_given_up_is_a_task_with_a_deadline_that_an_agent_takes_and_ends() -> None:
    made = desk(callbacks=Callbacks(1, 600), messages=Messages(due_s=3600))
    task = given_up(made)
    assert (task.callback, task.state, task.due_at) == (True, MessageState.OPEN, made.at(20 + 3600))
    assert (task.queue, task.caller.text) == ("demo-general", CITIZEN)
    assert task.filed, "there is no sound to be looked for"
    made.tell(i.MessageTakeAsked(at=made.at(30), call=M, agent=AgentId("1001"), by="user:sup"))
    assert made.floor.messages[M].agent == "1001"
    made.tell(i.MessageCloseAsked(at=made.at(40), call=M, done=True, result="電話できた", by="user:sup"))
    assert made.floor.messages[M].state is MessageState.DONE


def test_what_was_given_up_before_it_became_a_task_stays_none() -> None:
    made = desk()
    asks(made, 0)
    made.sign_in(10, 1)
    picked_up(made, 12)
    old = f.CallbackGivenUp(at=made.at(20), call=M, outcome=SideOutcome.BUSY)
    assert not evolve(made.floor, old).messages


def test_a_phone_that_is_picked_up_when_the_centre_has_closed_costs_no_attempt_and_the_place_is_kept() -> (
    None
):
    """The dialplan calls nobody then, and the phone's channel ends."""
    day = Calendar("Asia/Tokyo", ((Window(8 * 3600, 12 * 3600 + 60),),) * 7)  # it is noon
    made = desk(calendar=day)
    asks(made, 0)
    made.sign_in(50, 1)
    assert len(rung(made)) == 1
    ends(made, 75, rung(made)[0].side)
    assert (back(made).attempts, back(made).state) == (0, CallbackState.WAITING)
    until(made, 20 * 3600 - 1)
    assert len(rung(made)) == 1
    until(made, 20 * 3600)
    assert len(rung(made)) == 2


def test_the_agent_sees_what_is_known_of_the_citizen_as_of_one_who_calls() -> None:
    made = desk()
    comes(made, 0, "earlier")
    gone(made, 5, "earlier")
    asks(made, 100)
    made.tell(
        i.BlockAsked(
            at=made.at(110),
            entry=CallId("entry"),
            centre=back(made).centre,
            number=CITIZEN,
            reason="脅迫",
            until=made.at(9000),
            by="user:sup",
        )
    )
    made.sign_in(101 + 900, 1)
    (effect,) = rung(made)
    assert effect.listed
    assert effect.shown == f"要注意 折り返し 再入電 試験センター 日本語 {CITIZEN} 待ち15分"


def test_a_lent_agent_calls_back_for_the_centre_that_the_citizen_called() -> None:
    there, queue = centre(1), QueueId("kawa-general")
    kawa = replace(
        there,
        id=CentreId("kawa"),
        name="川市",
        numbers=(Number("0977211111", queue),),
        queues=(replace(there.queues[0], id=queue),),
        agents=(),
        phones=(),
        guests=(Guest(AgentId("1001"), (queue,)),),
    )
    made = Desk().begin(configuration(centre(1), kawa))
    comes(made, 0, "m", number="0977211111")
    made.tell(i.CallbackTold(at=made.at(1), call=M))
    gone(made, 2, "m")
    made.sign_in(10, 1)
    (effect,) = rung(made)
    assert (effect.phone, effect.centre) == ("demo-p1", "kawa")
    assert effect.shown.startswith("折り返し 川市 ")
    assert (made.floor.sides[effect.side].centre, made.told(f.SideCallBegan)[0].number) == (
        "kawa",
        "0977211111",
    )


def test_who_rang_in_and_asks_again_before_he_waits_has_the_kept_place_whole() -> None:
    made = desk()
    waits(made, 0, "m", CITIZEN)
    made.tell(i.CallbackTold(at=made.at(30), call=M))
    gone(made, 31, "m")
    asks(made, 100, "n")
    kept = back(made, CallId("n"))
    assert (kept.priority, kept.since) == (made.told(f.CallbackAsked)[0].priority, made.at(0))


def test_a_call_back_asked_for_while_nobody_watched_is_read_from_cel() -> None:
    def told(kind: str, at: float, user: str = "", extra: str = "") -> cel.Line:
        said = f'{{"extra":"{extra}"}}' if extra else ""
        return cel.Line(
            kind, user, made.at(at), "m", "m", "PJSIP/trunk-m", "callcore-in", NUMBER, CITIZEN, said
        )

    made = desk()
    made.tell(i.LinkDropped(at=made.at(1), node=NODE))
    (trace,) = cel.traces(
        [
            told("CHAN_START", 10),
            told("USER_DEFINED", 10, "callcore-open", "pushed"),
            told("USER_DEFINED", 12, "callcore-menu", "demo-m~1~callback~~"),
            told("USER_DEFINED", 20, "callcore-callback"),
            told("CHAN_END", 25),
        ]
    )
    made.snapshot(60, traces=(trace,))
    (asked,) = made.told(f.CallbackAsked)
    assert (asked.call, asked.at, asked.reconstructed) == ("m", made.at(20), True)
    assert made.told(f.CallEnded)[0].outcome is Outcome.CALLBACK_REQUESTED
    made.sign_in(70, 1)
    assert [each.call for each in made.told(f.CallbackTried)] == ["m"]
