"""What a supervisor does to the floor: at the talks of others, moving callers, skills, help, thresholds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Agent, Number, Phone, Queue
from callcore.domain.ids import AgentId, CallId, CentreId, ChannelId, PhoneId, QueueId
from callcore.domain.lamps import Lamp, of_help, of_phone, of_queues
from callcore.domain.measures import endings
from callcore.domain.stages import Device, Stage, TalkKey, WatchMode, Work
from callcore.domain.watch import Watch
from tests.support.floors import ENGLISH_NUMBER, NODE, Desk, centre, configuration, rich

AGENT, SUPERVISOR = AgentId("1001"), AgentId("1002")
CALL = CallId("c1")
BY = "user:sup"


def talking() -> Desk:
    """The first agent talks; the supervisor is signed in at the second phone, and there is nobody else."""
    desk = Desk().begin(configuration(centre(3)))
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    desk.pick_up(3, "c1")
    desk.sign_in(4, 2)
    return desk


def asks(desk: Desk, s: float, mode: WatchMode, *, watcher: AgentId | None = SUPERVISOR) -> str | None:
    """None: done; else why not."""
    told = i.WatchAsked(at=desk.at(s), agent=AGENT, watcher=watcher, mode=mode, by=BY)
    return desk.tell(told).disregarded


def only(desk: Desk) -> Watch:
    (watch,) = desk.floor.watches.values()
    return watch


def picked_up(desk: Desk, s: float) -> Watch:
    desk.device(s, 2, Device.BUSY)
    desk.tell(i.WatchTold(at=desk.at(s), watch=only(desk).id))
    return only(desk)


def listening() -> Desk:
    desk = talking()
    assert asks(desk, 5, WatchMode.LISTEN) is None
    picked_up(desk, 6)
    return desk


def test_the_own_phone_rings_and_nothing_of_the_call_changes() -> None:
    desk = talking()
    call, record = desk.floor.calls[CALL], desk.books.records[CALL]
    assert asks(desk, 5, WatchMode.LISTEN) is None
    (effect,) = [x for x in desk.effects if isinstance(x, e.WatchTalk)]
    assert (effect.phone, effect.leg) == (PhoneId("demo-p2"), call.talking_leg)
    picked_up(desk, 6)
    assert asks(desk, 7, WatchMode.WHISPER) is None
    assert desk.effects[-1] == e.TurnWatch(effect.watch, WatchMode.WHISPER)
    desk.tell(i.ChannelGone(at=desk.at(8), channel=effect.watch, cause=16))
    assert (desk.floor.calls[CALL], desk.books.records[CALL], desk.floor.watches.get(effect.watch)) == (
        call,
        record,
        None,
    )
    assert [type(x) for x in desk.facts[-3:]] == [f.WatchHeard, f.WatchTurned, f.WatchEnded]
    assert all(fact.by == BY for fact in desk.facts if isinstance(fact, f.WatchBegan | f.WatchTurned))


def test_whose_phone_is_at_a_talk_gets_no_caller_even_before_asterisk_says_that_it_is_busy() -> None:
    desk = talking()
    assert asks(desk, 5, WatchMode.LISTEN) is None
    desk.wait(6, "c2")
    assert desk.floor.calls[CallId("c2")].stage is Stage.WAITING
    desk.tell(i.ChannelGone(at=desk.at(9), channel=only(desk).id, cause=16))
    assert desk.floor.calls[CallId("c2")].stage is Stage.OFFERED


def test_a_phone_that_still_rings_is_let_go_when_the_talk_ends() -> None:
    desk = talking()
    asks(desk, 5, WatchMode.BARGE)
    watch = only(desk).id
    desk.hang_up(6, "c1")
    assert e.HangUp(watch) in desk.effects


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("nobody", "not in a talk"),
        ("no number", "no agent's number"),
        ("signed out", "not signed in at a desk phone"),
        ("own", "your own talk"),
        ("busy", "in use"),
        ("unreachable", "not registered"),
        ("at work", "at work yourself"),
    ],
)
def test_a_supervisor_is_told_why_it_cannot_be(mode: str, why: str) -> None:
    desk = talking()
    watcher: AgentId | None = SUPERVISOR
    match mode:
        case "nobody":
            desk.hang_up(5, "c1")
        case "no number":
            watcher = None
        case "signed out":
            watcher = AgentId("1003")
        case "own":
            watcher = AGENT
        case "busy":
            desk.device(5, 2, Device.BUSY)
        case "unreachable":
            desk.device(5, 2, Device.UNREACHABLE)
        case "at work":
            desk.wait(5, "c2")
    before = desk.floor
    assert why in (asks(desk, 6, WatchMode.LISTEN, watcher=watcher) or "")
    assert desk.floor.watches == before.watches


def test_one_phone_is_at_one_talk_and_picked_up_before_it_changes_how() -> None:
    desk = talking()
    assert asks(desk, 5, WatchMode.LISTEN) is None
    assert "pick up your phone" in (asks(desk, 6, WatchMode.BARGE) or "")
    picked_up(desk, 7)
    assert "already" in (asks(desk, 8, WatchMode.LISTEN) or "")
    desk.sign_in(9, 3)
    desk.wait(10, "c2")
    desk.pick_up(11, "c2")
    told = i.WatchAsked(
        at=desk.at(12), agent=AgentId("1003"), watcher=SUPERVISOR, mode=WatchMode.LISTEN, by=BY
    )
    assert "another talk" in (desk.tell(told).disregarded or "")
    stop = desk.tell(i.WatchStopAsked(at=desk.at(13), watcher=SUPERVISOR, by=BY))
    assert stop.effects == (e.HangUp(only(desk).id),)
    desk.tell(i.ChannelGone(at=desk.at(14), channel=only(desk).id, cause=16))
    assert desk.tell(i.WatchStopAsked(at=desk.at(15), watcher=SUPERVISOR, by=BY)).disregarded


@pytest.mark.parametrize("first", [WatchMode.TAKE, WatchMode.LISTEN])
def test_a_talk_is_taken_over_when_the_caller_is_with_the_supervisor_and_each_has_the_own_part(
    first: WatchMode,
) -> None:
    desk = talking()
    assert asks(desk, 5, first) is None
    watch = picked_up(desk, 10)
    if first is WatchMode.LISTEN:
        assert asks(desk, 10, WatchMode.TAKE) is None
    call = desk.floor.calls[CALL]
    assert e.PutThrough(CALL, call.channel_name, leg=watch.id) in desk.effects
    assert call.talking_with == AGENT, "until then the agent is not left"
    assert call.bridge is not None and call.talking_leg is not None
    for channel in (call.channel, call.talking_leg):
        desk.tell(i.BridgeLeft(at=desk.at(13), bridge=call.bridge, channel=channel))
    desk.tell(i.ChannelGone(at=desk.at(13), channel=call.talking_leg, cause=16))
    assert e.HangUp(watch.id) not in desk.effects
    desk.join(13, "c1", watch.id)
    floor = desk.floor
    assert (floor.calls[CALL].stage, floor.calls[CALL].talking_with) == (Stage.TALKING, SUPERVISOR)
    assert (floor.agents[AGENT].work, floor.agents[SUPERVISOR].work) == (Work.WRAPPING_UP, Work.TALKING)
    assert not floor.watches and floor.agents[SUPERVISOR].watch is None
    desk.hang_up(33, "c1", by=watch.id)
    record = desk.books.records[CALL]
    assert (record.talk, record.second, record.by_net) == (30_000_000, True, False)
    talks = [(x.agent, x.at) for x in desk.facts if isinstance(x, f.TalkEnded)]
    assert talks == [(AGENT, desk.at(13)), (SUPERVISOR, desk.at(33))]
    assert desk.figures(desk.at(40)).answered == 1


def test_a_supervisor_takes_over_no_talk_of_a_centre_that_the_own_phone_does_not_serve() -> None:
    small = centre(1)
    other = replace(
        centre(1),
        id=CentreId("other"),
        numbers=(Number("0970000000", QueueId("other-general")),),
        queues=(Queue(QueueId("other-general"), "隣"),),
        agents=(Agent(SUPERVISOR, "隣の人", (QueueId("other-general"),)),),
        phones=(Phone(PhoneId("demo-p2"), "B-1", "generic"),),
    )
    desk = Desk().begin(configuration(small, other))
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    desk.pick_up(3, "c1")
    desk.sign_in(4, 2)
    assert "no agent of this centre" in (asks(desk, 5, WatchMode.TAKE) or "")
    assert asks(desk, 6, WatchMode.LISTEN) is None
    picked_up(desk, 7)
    assert "no agent of this centre" in (asks(desk, 8, WatchMode.TAKE) or "")


def test_who_wants_to_take_over_a_talk_that_has_ended_is_let_go() -> None:
    desk = talking()
    asks(desk, 5, WatchMode.TAKE)
    watch = only(desk).id
    desk.hang_up(6, "c1")
    desk.effects.clear()
    desk.tell(i.WatchTold(at=desk.at(7), watch=watch))
    assert desk.effects == [e.HangUp(watch)]


def test_after_a_gap_a_supervisor_whose_channel_is_gone_is_free() -> None:
    desk = listening()
    seen = [
        i.ChannelSeen(
            id=leg.channel,
            name=f"PJSIP/x-{leg.channel}",
            context="callcore-offer",
            application="Dial",
            bridge=leg.bridge,
            call=CALL,
            offer=None,
            phone=leg.phone,
            number=None,
            caller=None,
            created=desk.at(2),
            entered=None,
        )
        for leg in desk.floor.calls[CALL].legs
    ]
    desk.tell(i.LinkDropped(at=desk.at(7), node=desk.floor.calls[CALL].node))
    desk.snapshot(9, *seen)
    assert not desk.floor.watches and desk.floor.agents[SUPERVISOR].watch is None
    assert not desk.books.records[CALL].reconstructed


def test_asterisk_that_refuses_to_ring_leaves_the_supervisor_free() -> None:
    desk = talking()
    asks(desk, 5, WatchMode.LISTEN)
    desk.tell(i.WatchNotPlaced(at=desk.at(5), watch=only(desk).id))
    assert not desk.floor.watches
    assert asks(desk, 6, WatchMode.LISTEN) is None
    assert len({x.watch for x in desk.facts if isinstance(x, f.WatchBegan)}) == 2


# -- waiting callers -----------------------------------------------------------------------------------------


def two_queues() -> Desk:
    small = centre(2)
    other = Queue(QueueId("demo-other"), "別の窓口", ring_s=15, acw_s=0, priority=3)
    return Desk().begin(configuration(replace(small, queues=(*small.queues, other))))


def up(desk: Desk, s: float, call: str) -> str | None:
    return desk.tell(i.CallerUpAsked(at=desk.at(s), call=CallId(call), by=BY)).disregarded


def over(desk: Desk, s: float, call: str, queue: str) -> str | None:
    told = i.CallerQueueAsked(at=desk.at(s), call=CallId(call), queue=QueueId(queue), by=BY)
    return desk.tell(told).disregarded


def test_a_caller_who_is_moved_up_goes_before_all_others_and_has_waited_as_long_as_before() -> None:
    desk = two_queues()
    for n in range(1, 5):
        desk.wait(n, f"c{n}")
    assert up(desk, 10, "c3") is None
    assert up(desk, 11, "c4") is None, "and who is moved up after that goes before him"
    assert "first already" in (up(desk, 12, "c4") or "")
    desk.sign_in(20, 1)
    order = []
    for s in range(20, 60, 10):
        (ringing,) = [call.id for call in desk.floor.calls.values() if call.stage is Stage.OFFERED]
        order.append(ringing)
        desk.pick_up(s + 1, ringing)
        desk.hang_up(s + 2, ringing)
        desk.tell(i.ReadyAsked(at=desk.at(s + 3), agent=AGENT))
    assert order == ["c4", "c3", "c1", "c2"]
    assert desk.books.records[CallId("c4")].waited(desk.at(99)) == 17_000_000
    assert (desk.figures(desk.at(99)).arrived, desk.figures(desk.at(99)).answered) == (4, 4)
    assert [fact.by for fact in desk.facts if isinstance(fact, f.CallerMovedUp)] == [BY, BY]
    assert endings(desk.books.records.values(), desk.figures(desk.at(99))).moved_by_hand == 2


def test_a_caller_who_is_moved_to_another_queue_is_one_arrival_and_two_visits_and_keeps_the_time_waited() -> (
    None
):
    desk = two_queues()
    desk.wait(1, "c1")
    assert over(desk, 11, "c1", "demo-other") is None
    visits = [fact for fact in desk.facts if isinstance(fact, f.VisitBegan)]
    assert [(v.queue, v.by) for v in visits] == [("demo-general", None), ("demo-other", BY)]
    assert visits[1].since == visits[0].at and visits[1].priority == 3
    assert e.MoveCaller(CALL, "PJSIP/trunk-c1", QueueId("demo-other")) in desk.effects
    record = desk.books.records[CALL]
    assert (record.queue, record.visits, record.waited(desk.at(21))) == ("demo-other", 2, 20_000_000)
    assert desk.figures(desk.at(21)).arrived == 1 and record.moved_by_hand
    assert up(desk, 22, "c1") is not None, "alone there, and so first"


def test_who_was_moved_up_goes_first_in_the_next_queue_too() -> None:
    desk = two_queues()
    desk.wait(1, "c1")
    desk.wait(2, "c2")
    assert up(desk, 3, "c2") is None
    assert over(desk, 4, "c2", "demo-other") is None
    call = desk.floor.calls[CallId("c2")]
    assert call.visit is not None and call.visit.priority == 4
    assert any("moved up" in reason for fact in desk.facts[-1:] for reason in getattr(fact, "reasons", ()))


@pytest.mark.parametrize(
    ("state", "why"),
    [("none", "not a waiting caller"), ("ringing", "rings"), ("net", "safety net"), ("gone", "about to end")],
)
def test_a_caller_who_cannot_be_moved_now_is_left_and_it_is_said_why(state: str, why: str) -> None:
    desk = two_queues()
    desk.wait(1, "c1")
    match state:
        case "none":
            desk.hang_up(2, "c1")
        case "ringing":
            desk.sign_in(2, 1)
        case "net":
            desk.tell(i.CallerInNet(at=desk.at(2), call=CALL))
        case "gone":
            desk.tell(i.HangupRequested(at=desk.at(2), channel=ChannelId("c1")))
    assert why in (up(desk, 3, "c1") or "")
    assert why in (over(desk, 3, "c1", "demo-other") or "")


def test_a_caller_stays_within_the_centre() -> None:
    desk = two_queues()
    desk.wait(1, "c1")
    assert "no queue of this centre" in (over(desk, 2, "c1", "elsewhere") or "")
    assert "in that queue already" in (over(desk, 2, "c1", "demo-general") or "")


# -- agents, and the board -----------------------------------------------------------------------------------


def skills(
    desk: Desk, s: float, *of: tuple[str, int], file: bool = False, agent: AgentId = AGENT
) -> str | None:
    told = i.SkillsAsked(at=desk.at(s), agent=agent, skills=None if file else of, by=BY)
    return desk.tell(told).disregarded


def test_other_skills_hold_at_once_and_until_the_agent_signs_out() -> None:
    desk = Desk().begin(configuration(rich(4)))
    desk.sign_in(1, 1)
    assert skills(desk, 2, ("en", 1), ("ja", 2)) is None
    agent = desk.floor.agents[AGENT]
    assert (agent.level("en"), agent.skills_by_hand) == (1, True)
    desk.tell(
        i.ConfigurationChanged(at=desk.at(3), configuration=replace(configuration(rich(4)), version="2"))
    )
    assert desk.floor.agents[AGENT].level("en") == 1, "new centre files leave them"
    assert skills(desk, 4, file=True) is None
    assert (desk.floor.agents[AGENT].skills, desk.floor.agents[AGENT].skills_by_hand) == ((), False)
    assert skills(desk, 5, ("en", 3)) is None
    desk.tell(i.AgentOutAsked(at=desk.at(6), agent=AGENT, by=BY, reason="早退"))
    assert (desk.floor.agents[AGENT].skills, desk.floor.agents[AGENT].skills_by_hand) == ((), False)
    (out,) = [fact for fact in desk.facts if isinstance(fact, f.AgentSignedOut)]
    assert (out.reason, out.by) == ("早退", BY)


def test_a_waiting_caller_gets_the_agent_who_was_given_the_language() -> None:
    desk = Desk().begin(configuration(rich(4)))
    desk.sign_in(1, 4)  # serves another queue only
    told = desk.floor.agents[AgentId("1004")]
    assert "demo-english" not in told.queues
    desk.sign_in(1, 2)
    assert skills(desk, 2, agent=AgentId("1002")) is None, "none at all"
    name = CallId("c1")
    desk.tell(
        i.ChannelArrived(
            at=desk.at(3),
            node=NODE,
            channel=ChannelId("c1"),
            name="PJSIP/trunk-c1",
            number=ENGLISH_NUMBER,
            caller="0312345678",
        )
    )
    desk.tell(i.AdmissionDecided(at=desk.at(3), call=name, open=True, source="pushed"))
    desk.tell(i.CallerHeld(at=desk.at(3), call=name))
    assert desk.floor.calls[name].stage is Stage.WAITING
    assert skills(desk, 4, ("en", 1), agent=AgentId("1002")) is None
    assert desk.floor.calls[name].stage is Stage.OFFERED


def test_skills_that_no_file_names_and_levels_that_are_none_are_refused() -> None:
    desk = Desk().begin(configuration(rich(4)))
    assert "not signed in" in (skills(desk, 1, ("en", 1)) or "")
    desk.sign_in(1, 1)
    assert "no centre file names" in (skills(desk, 2, ("xx", 1)) or "")
    assert "1 to 9" in (skills(desk, 2, ("en", 10)) or "")
    assert "twice" in (skills(desk, 2, ("en", 1), ("en", 2)) or "")
    assert "no change" in (skills(desk, 2, file=True) or "")


def test_who_asks_for_help_sees_that_somebody_comes_and_nobody_comes_twice() -> None:
    desk = talking()

    def answer(s: float, by: str) -> str | None:
        return desk.tell(i.HelpAnswerAsked(at=desk.at(s), agent=AGENT, by=by)).disregarded

    def lamps() -> tuple[Lamp, Lamp]:
        agent = desk.floor.agents[AGENT]
        own = dict(of_phone(desk.floor.centres[agent.centre], agent, desk.floor.calls[CALL]))
        return own["*31"], dict(of_help(desk.floor))["demo"]

    assert "does not ask" in (answer(5, BY) or "")
    desk.tell(i.TalkKeyed(at=desk.at(6), key=TalkKey.HELP, agent=AGENT))
    assert lamps() == (Lamp.STEADY, Lamp.FLASHING)
    assert answer(7, BY) is None
    assert desk.floor.calls[CALL].help_by == BY and lamps() == (Lamp.FLASHING, Lamp.STEADY)
    assert BY in (answer(8, "user:other") or "")
    desk.tell(i.TalkKeyed(at=desk.at(9), key=TalkKey.HELP, agent=AGENT))
    assert desk.floor.calls[CALL].help_by is None and lamps() == (Lamp.OFF, Lamp.OFF)
    desk.tell(i.TalkKeyed(at=desk.at(10), key=TalkKey.HELP, agent=AGENT))
    assert desk.floor.calls[CALL].help_by is None, "asked for anew"


def test_thresholds_move_the_warnings_and_no_figure() -> None:
    desk = two_queues()
    known = desk.floor.centres[CentreId("demo")]

    def set_to(s: float, waiting: int | None, wait_s: int | None) -> str | None:
        told = i.ThresholdsAsked(at=desk.at(s), centre=known.id, waiting=waiting, wait_s=wait_s, by=BY)
        return desk.tell(told).disregarded

    before = desk.floor.warns(known)
    assert before == (known.staff.lamp_waiting, known.service_level_s)
    desk.wait(1, "c1")
    figures = desk.figures(desk.at(30))
    assert set_to(2, 1, 60) is None
    assert desk.floor.warns(known) == (1, 60)
    assert dict(of_queues(desk.floor))["demo-general"] is Lamp.FLASHING
    assert desk.figures(desk.at(30)) == figures
    assert (
        set_to(3, 1, 60) is not None and set_to(3, 0, None) is not None and set_to(3, None, 4000) is not None
    )
    assert set_to(4, None, None) is None
    assert desk.floor.warns(known) == before
