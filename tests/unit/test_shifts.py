"""What an agent did, by hand: whose time it was, in which half hour, and what nobody can know."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    Micros,
    PhoneId,
    QueueId,
)
from callcore.domain.measures import Books, Ratio
from callcore.domain.shifts import (
    Doing,
    Roster,
    Span,
    Staffing,
    Stretch,
    handling,
    per_hour,
    staffing,
    together,
    wrap_ups,
)
from callcore.domain.stages import Device, Party
from tests.support.floors import MONDAY_NOON, NODE, NUMBER, Desk, centre, configuration
from tests.support.tapes import Taped, two_centres

DEMO, OTHER = CentreId("demo"), CentreId("other")


def a_desk(agents: int = 1) -> Taped:
    desk = Taped()
    desk.begin(configuration(centre(agents)))
    return desk


def roster(desk: Taped) -> tuple[Roster, Books]:
    floor, made, books = Floor(), Roster(), Books()
    for frame in desk.frames:
        for fact in frame.facts:
            after = evolve(floor, fact)
            made.after(floor, fact, after)
            floor, books = after, books.after(fact)
        made.settle(floor, frame.at)
    assert floor == desk.floor
    return made, books


def lived(desk: Taped, until: float, agent: int = 1) -> list[tuple[str, float, float]]:
    """What an agent did, from when to when, in seconds from noon."""
    found = [s for s in roster(desk)[0].stretches(desk.at(until)) if s.agent == str(1000 + agent)]
    return [
        (s.doing.value, (s.first - MONDAY_NOON) / SECOND, (s.before - MONDAY_NOON) / SECOND)
        for s in sorted(found, key=lambda s: s.first)
    ]


def timer(desk: Desk, s: float, agent: int = 1) -> None:
    told = i.Timer(i.TimerKind.WRAP_UP, AgentId(str(1000 + agent)))
    desk.tell(i.TimerFired(at=desk.at(s), timer=told))


def test_an_agents_day_is_ready_ringing_talk_and_after_call_work_without_a_gap() -> None:
    desk = a_desk()
    desk.sign_in(10, 1)
    desk.wait(100)
    leg = desk.ring(101)
    desk.join(107, "c1", leg)
    desk.hang_up(207)
    timer(desk, 237)
    desk.tell(i.SignOutAsked(at=desk.at(300), phone=PhoneId("demo-p1"), channel="x"))
    assert lived(desk, 999) == [
        ("ready", 10, 100),
        ("ringing", 100, 107),
        ("talking", 107, 207),
        ("acw", 207, 237),
        ("ready", 237, 300),
    ]


def test_an_agent_on_a_private_call_or_behind_a_dead_phone_is_neither_ready_nor_talking() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.device(50, 1, Device.BUSY)
    desk.device(80, 1, Device.UNREACHABLE)
    desk.device(90, 1, Device.FREE)
    assert lived(desk, 100) == [
        ("ready", 0, 50),
        ("busy", 50, 80),
        ("unreachable", 80, 90),
        ("ready", 90, 100),
    ]


def test_the_handling_of_a_call_is_its_talk_and_the_after_call_work_that_it_made() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    made, books = roster(desk)
    assert handling(books.records.values(), {}, made).unfinished == 1
    desk.hang_up(112)
    made, books = roster(desk)
    told = handling(books.records.values(), wrap_ups(made.stretches(desk.at(120))), made)
    assert (told.unfinished, told.time, told.mean_s) == (1, Ratio(0, 0), None), "wraps up still"
    timer(desk, 142)
    made, books = roster(desk)
    told = handling(books.records.values(), wrap_ups(made.stretches(desk.at(999))), made)
    assert (told.unfinished, told.unknown, told.time, told.mean_s) == (0, 0, Ratio(130 * SECOND, 1), 130.0)


def test_while_nobody_watched_a_talk_is_known_from_cel_and_the_rest_is_unknown() -> None:
    desk = a_desk(2)
    desk.sign_in(0, 1)
    desk.sign_in(0, 2)
    desk.wait(10)
    desk.pick_up(12)
    desk.tell(i.LinkDropped(at=desk.at(20), node=NODE))
    call = desk.floor.calls[CallId("c1")]
    trace = i.CallTraced(
        call=CallId("c1"),
        name=call.channel_name,
        number=NUMBER,
        caller=None,
        arrived=call.arrived_at,
        open=True,
        entered=call.entered_at,
        net=None,
        answered=call.answered_at,
        phone=PhoneId("demo-p1"),
        talk_ended=desk.at(60),
        ended=desk.at(60),
        hung_up_by=Party.CALLER,
    )
    desk.snapshot(300, traces=(trace,))
    first = lived(desk, 310, 1)
    assert first == [
        ("ready", 0, 10),
        ("ringing", 10, 12),
        ("talking", 12, 60),
        ("unknown", 60, 300),
        ("ready", 300, 310),
    ]
    second = lived(desk, 310, 2)
    assert second[-2:] == [("unknown", second[-2][1], 300), ("ready", 300, 310)]
    assert second[-2][1] <= 20, "from the last that was seen"
    made, books = roster(desk)
    told = handling(books.records.values(), wrap_ups(made.stretches(desk.at(310))), made)
    assert (told.unknown, told.time.whole) == (1, 0), "its after-call work is not known, and not made up"


def test_after_call_work_that_ran_out_while_nobody_watched_ends_when_it_was_to_end() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    desk.hang_up(100)
    desk.tell(i.LinkDropped(at=desk.at(110), node=NODE))
    desk.snapshot(400)
    timer(desk, 400.5)
    assert lived(desk, 410)[2:] == [
        ("talking", 12, 100),
        ("acw", 100, 130),
        ("unknown", 130, 400),
        ("acw", 400, 400.5),
        ("ready", 400.5, 410),
    ]
    assert dict(roster(desk)[1].wraps.lengths) == {"c1": 30 * SECOND}


def test_who_calls_or_is_called_in_after_call_work_has_worked_until_then_and_two_agents_work_is_added_up() -> (
    None
):
    at, call, one, other = Instant(0), CallId("c1"), AgentId("1001"), AgentId("1002")
    books = Books()

    def told(*facts: f.Fact) -> dict[str, int]:
        nonlocal books
        for fact in facts:
            books = books.after(fact)
        return {name: length // SECOND for name, length in books.wraps.lengths.items()}

    def after(s: float) -> Instant:
        return Instant(at + round(s * SECOND))

    def talk_ended(s: float, agent: AgentId, until: float | None) -> f.TalkEnded:
        end = None if until is None else after(until)
        return f.TalkEnded(at=after(s), call=call, agent=agent, wrap_up_until=end)

    assert told(talk_ended(10, one, 40), f.WrapUpExtended(at=after(20), agent=one, until=after(70))) == {}
    step = f.ClockStepped(at=after(1025), by=Micros(1000 * SECOND))
    assert told(step, f.WrapUpEnded(at=after(1060), agent=one)) == {"c1": 50}
    assert told(talk_ended(1100, other, 1130), f.AgentSignedOut(at=after(1107), agent=other, reason="x")) == {
        "c1": 57
    }
    assert told(talk_ended(1200, one, None), f.WrapUpEnded(at=after(1210), agent=one)) == {"c1": 57}


def test_an_agent_of_two_centres_is_divided_while_free_and_whole_for_the_one_that_calls() -> None:
    desk = Taped()
    desk.begin(two_centres())
    desk.sign_in(0, 1)
    at, call = desk.at(100), CallId("c1")
    desk.tell(
        i.ChannelArrived(
            at=at, node=NODE, channel=ChannelId("c1"), name="PJSIP/t", number="0975105152", caller=None
        )
    )
    desk.tell(i.AdmissionDecided(at=at, call=call, open=True, source="pushed"))
    desk.tell(i.CallerHeld(at=at, call=call))
    desk.pick_up(110)
    desk.hang_up(160)
    timer(desk, 190)
    made, _ = roster(desk)
    stretches = made.stretches(desk.at(200))
    span = (desk.at(0), desk.at(200))
    mine, theirs = (staffing(stretches, c, [span], span[1], span[0])[0] for c in (DEMO, OTHER))
    assert mine.lengths[Doing.READY] == theirs.lengths[Doing.READY] == 55 * SECOND
    assert (mine.lengths[Doing.TALKING], theirs.lengths[Doing.TALKING]) == (0, 50 * SECOND)
    assert (mine.lengths[Doing.ACW], theirs.lengths[Doing.ACW]) == (0, 30 * SECOND)
    assert mine.staffed.part + theirs.staffed.part == 200 * SECOND
    assert (mine.least, mine.most, theirs.least, theirs.most) == (0, Fraction(1, 2), Fraction(1, 2), 1)


def stretch(doing: Doing, first: float, before: float, agent: str = "1", **more: object) -> Stretch:
    return replace(
        Stretch(AgentId(agent), doing, at(first), at(before), (DEMO,)),
        **more,  # type: ignore[arg-type]
    )


def at(s: float) -> Instant:
    return Instant(MONDAY_NOON + round(s * SECOND))


def one(stretches: list[Stretch], span: Span, until: float = 9999) -> Staffing:
    return staffing(stretches, DEMO, [span], at(until), Instant(0))[0]


def test_breaks_are_not_staffed_and_every_other_pause_is() -> None:
    told = one(
        [
            stretch(Doing.READY, 0, 600, "1"),
            stretch(Doing.PAUSED, 0, 600, "2", pause="昼休み"),
            stretch(Doing.PAUSED, 0, 300, "3", pause="休憩"),
            stretch(Doing.PAUSED, 300, 600, "3", pause="研修"),
        ],
        (at(0), at(600)),
    )
    assert told.staffed == Ratio(900 * SECOND, 600 * SECOND)
    assert (told.least, told.most) == (1, 2)
    assert told.pauses == {"休憩": 300 * SECOND, "昼休み": 600 * SECOND, "研修": 300 * SECOND}
    assert told.lengths[Doing.PAUSED] == 1200 * SECOND
    assert told.signed_in == 1800 * SECOND


def test_the_fewest_and_the_most_at_once_are_those_of_times_that_lasted() -> None:
    told = one([stretch(Doing.READY, 0, 300, "1"), stretch(Doing.READY, 300, 600, "2")], (at(0), at(600)))
    assert (told.least, told.most) == (1, 1), "one leaves in the instant in which the other comes"
    late = one([stretch(Doing.READY, 60, 600)], (at(0), at(600)))
    assert (late.least, late.most) == (0, 1)


def test_a_stretch_is_cut_at_the_half_hour_to_the_microsecond() -> None:
    half = (at(0), at(1800)), (at(1800), at(3600))
    odd = Stretch(AgentId("1"), Doing.TALKING, Instant(at(1799) + 1), Instant(at(1801) + 7), (DEMO,))
    first, second = staffing([odd], DEMO, half, at(3600), Instant(0))
    assert first.lengths[Doing.TALKING] == SECOND - 1
    assert second.lengths[Doing.TALKING] == SECOND + 7


def test_of_a_half_hour_that_goes_on_only_what_has_passed_is_divided_by() -> None:
    told = one([stretch(Doing.READY, 0, 600)], (at(0), at(1800)), until=600)
    assert told.staffed == Ratio(600 * SECOND, 600 * SECOND)
    nothing = one([], (at(1800), at(3600)), until=600)
    assert (nothing.staffed.value, nothing.least, nothing.most) == (None, None, None)


def test_occupancy_leaves_out_ringing_pauses_and_what_is_not_known() -> None:
    told = one(
        [
            stretch(Doing.TALKING, 0, 200),
            stretch(Doing.ACW, 200, 230),
            stretch(Doing.READY, 230, 460),
            stretch(Doing.RINGING, 460, 470),
            stretch(Doing.PAUSED, 470, 500, pause="研修"),
            stretch(Doing.UNKNOWN, 500, 600),
            stretch(Doing.BUSY, 600, 700),
        ],
        (at(0), at(700)),
    )
    assert told.occupancy == Ratio(230 * SECOND, 460 * SECOND)
    assert told.signed_in == 700 * SECOND


def test_with_nobody_there_every_ratio_of_agents_is_shown_as_a_dash() -> None:
    none = one([], (at(0), at(1800)))
    assert (none.occupancy.value, none.staffed.value, none.least) == (None, 0.0, 0)
    assert per_hour(0, none.signed_in) is None
    assert per_hour(5, 2 * 3600 * SECOND) == 2.5


def test_a_days_staffing_is_told_of_its_opening_hours_and_its_seconds_of_all() -> None:
    halves = [(at(n * 1800), at((n + 1) * 1800)) for n in range(3)]
    parts = staffing([stretch(Doing.READY, 900, 5400)], DEMO, halves, at(5400), Instant(0))
    day = together(parts, parts[1:])
    assert day.signed_in == 4500 * SECOND
    assert day.staffed == Ratio(3600 * SECOND, 3600 * SECOND)
    assert (day.least, day.most) == (1, 1)


def test_an_agent_without_a_queue_is_his_own_centres() -> None:
    desk = Taped()
    small = centre(1)
    nowhere = replace(small, agents=(replace(small.agents[0], queues=()),))
    desk.begin(configuration(nowhere))
    desk.sign_in(0, 1)
    made, _ = roster(desk)
    assert {s.centres for s in made.stretches(desk.at(9))} == {(DEMO,)}
    assert QueueId("demo-general") in desk.floor.queues


def test_who_signs_out_in_after_call_work_has_worked_until_then() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    desk.hang_up(100)
    desk.tell(i.SignOutAsked(at=desk.at(110), phone=PhoneId("demo-p1"), channel="x"))
    assert lived(desk, 500)[-1] == ("acw", 100, 110)
    made, books = roster(desk)
    told = handling(books.records.values(), wrap_ups(made.stretches(desk.at(500))), made)
    assert told.mean_s == 98.0
