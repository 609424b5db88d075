"""Callers on a centre's list, and those who withhold their number: who stands there, what the call ends as, and
whether the dialplan did as the list says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.blocked import Blocked, found, hashed, plain, pushed, spellings
from callcore.domain.centre import Centre, Unwelcome
from callcore.domain.evolve import evolve
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, Instant
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome, Party
from callcore.domain.transitions import IllegalTransition
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration
from tests.unit.test_core_gaps import caller as channel

DEMO = CentreId("demo")
CALLER = "0312345678"
DAY = 86_400


def desk(blocked: Unwelcome = Unwelcome.ANNOUNCE, withheld: Unwelcome = Unwelcome.SERVE) -> Desk:
    made: Centre = replace(centre(1), blocked=blocked, withheld=withheld)
    return Desk().begin(configuration(made))


def list_caller(
    d: Desk, s: float, *, number: str = CALLER, until: float = 3600, name: str = "blocked-1"
) -> None:
    d.tell(
        i.BlockAsked(
            at=d.at(s),
            entry=CallId(name),
            centre=DEMO,
            number=number,
            reason="暴言を繰り返す",
            until=d.at(until),
            by="user:sato",
        )
    )


def take_off(d: Desk, s: float, name: str = "blocked-1", centre_of: CentreId = DEMO) -> None:
    d.tell(i.UnblockAsked(at=d.at(s), entry=CallId(name), centre=centre_of, by="user:sato"))


def differed(d: Desk) -> list[tuple[bool, str]]:
    return [(x.told_open, x.calendar) for x in d.facts if isinstance(x, f.AdmissionDiffered)]


# -- numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0312345678", "0312345678"),
        ("+81312345678", "0312345678"),
        ("03-1234-5678", "0312345678"),
        ("+1 555 0100", "15550100"),
        ("110", "110"),
        ("11", None),
        ("1" * 21, None),
        ("anonymous", None),
        ("", None),
        (None, None),
    ],
)
def test_a_number_is_compared_by_its_digits_however_it_is_written(told: str | None, kept: str | None) -> None:
    assert plain(told) == kept


def test_what_is_pushed_names_no_number_and_bears_the_end_of_each_entry() -> None:
    def entry(name: str, number: str | None, until: int) -> Blocked:
        at = Instant(0)
        return Blocked(
            CallId(name), DEMO, Personal(CallId(name), DEMO, at, number), "r", at, Instant(until), "x"
        )

    told = pushed([entry("a", CALLER, 600 * SECOND), entry("b", None, 700 * SECOND)], "salt")
    assert told == {f"demo/{hashed('salt', DEMO, CALLER)}": "600"}, "a number whose key is gone is not there"
    assert CALLER not in str(told)
    assert (
        hashed("other", DEMO, CALLER) != hashed("salt", DEMO, CALLER) != hashed("salt", CentreId("x"), CALLER)
    )


# -- the list ------------------------------------------------------------------------------------------------


def test_a_caller_is_listed_until_the_end_and_the_list_is_pushed_each_time() -> None:
    d = desk()
    list_caller(d, 1, until=600.25)
    (listed,) = d.told(f.CallerListed)
    assert isinstance(listed, f.CallerListed)
    assert (listed.reason, listed.by, listed.number.text) == ("暴言を繰り返す", "user:sato", CALLER)
    assert listed.until == d.at(601), "a whole second, for the dialplan knows no smaller ones"
    timer = i.Timer(i.TimerKind.BLOCKED, "blocked-1")
    assert e.SetTimer(timer, d.at(601)) in d.effects
    assert d.effects.count(e.PushBlocked()) == 1
    assert (timer, d.at(601)) in list(d.floor.deadlines()), "armed again after a restart"
    d.tell(i.TimerFired(at=d.at(600.5), timer=timer))
    assert d.told(f.CallerUnlisted) == [], "not yet"
    d.tell(i.TimerFired(at=d.at(601), timer=timer))
    (over,) = d.told(f.CallerUnlisted)
    assert isinstance(over, f.CallerUnlisted) and over.by is None
    assert not d.floor.blocked
    assert d.effects.count(e.PushBlocked()) == 2


def test_a_number_that_is_listed_again_keeps_its_entry_and_gets_another_end() -> None:
    d = desk()
    list_caller(d, 1, until=600)
    list_caller(d, 2, number="+81 3 1234 5678", until=900, name="blocked-2")
    (entry,) = d.floor.blocked.values()
    assert (entry.id, entry.since, entry.until) == ("blocked-1", d.at(1), d.at(900))
    d.tell(i.TimerFired(at=d.at(600), timer=i.Timer(i.TimerKind.BLOCKED, "blocked-1")))
    assert d.floor.blocked, "the first end counts no more"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda d: list_caller(d, 1, number="anonymous"),
        lambda d: list_caller(d, 1, until=1),
        lambda d: list_caller(d, 1, until=366 * DAY),
        lambda d: d.tell(
            i.BlockAsked(
                at=d.at(1),
                entry=CallId("b"),
                centre=CentreId("x"),
                number=CALLER,
                reason="r",
                until=d.at(9),
                by="x",
            )
        ),
        lambda d: take_off(d, 1),
    ],
)
def test_what_cannot_be_listed_or_taken_off_is_refused_with_a_reason(wrong: Callable[[Desk], None]) -> None:
    d = desk()
    wrong(d)
    assert not d.floor.blocked
    assert d.told(f.CallerListed) == d.told(f.CallerUnlisted) == []
    assert d.last is not None and d.last.disregarded


def test_an_entry_is_taken_off_by_its_own_centre_only_and_by_whom_is_noted() -> None:
    d = desk()
    list_caller(d, 1)
    take_off(d, 2, centre_of=CentreId("x"))
    assert d.floor.blocked
    take_off(d, 3)
    (over,) = d.told(f.CallerUnlisted)
    assert isinstance(over, f.CallerUnlisted) and over.by == "user:sato"
    assert not d.floor.blocked


def test_an_entry_whose_timer_was_lost_ends_with_the_next_look() -> None:
    d = desk()
    list_caller(d, 1, until=20)
    d.snapshot(60, first=False)
    assert not d.floor.blocked


def test_a_stepped_clock_moves_the_beginning_of_an_entry_and_not_its_end() -> None:
    d = desk()
    list_caller(d, 1, until=600)
    fact = f.ClockStepped(at=d.at(5), by=-3 * SECOND)
    (entry,) = evolve(d.floor, fact).blocked.values()
    assert (entry.since, entry.until) == (d.at(-2), d.at(600))


# -- the call ------------------------------------------------------------------------------------------------


def test_a_listed_caller_who_puts_down_or_hears_all_of_it_ends_as_blocked() -> None:
    d = desk()
    list_caller(d, 1)
    d.arrive(10, blocked="listed")
    assert d.floor.calls[CallId("c1")].listed == "blocked-1"
    d.hang_up(12)
    d.arrive(20, "c2", blocked="listed")
    d.tell(i.ChannelGone(at=d.at(40), channel=ChannelId("c2"), cause=16))
    assert d.outcomes() == {"c1": "blocked", "c2": "blocked"}
    (refused, _) = d.told(f.CallRefused)
    assert isinstance(refused, f.CallRefused) and "一覧" in refused.reason
    figures = d.figures(d.at(50))
    assert (figures.arrived, figures.blocked, figures.offered, figures.arrivals) == (2, 2, 0, 0)
    assert differed(d) == []


def test_a_listed_caller_who_presses_9_is_due_an_agent_like_others() -> None:
    d = desk()
    list_caller(d, 1)
    d.sign_in(2, 1)
    d.arrive(10, blocked="listed")
    d.tell(i.CallerInsisted(at=d.at(12), call=CallId("c1")))
    d.tell(i.CallerHeld(at=d.at(20), call=CallId("c1")))
    d.pick_up(25)
    d.hang_up(60)
    assert d.outcomes() == {"c1": "completed"}
    figures = d.figures(d.at(90))
    assert (figures.blocked, figures.offered, figures.answered) == (0, 1, 1)
    assert differed(d) == []


def test_a_caller_who_presses_9_and_puts_down_before_an_agent_is_abandoned() -> None:
    d = desk()
    list_caller(d, 1)
    d.arrive(10, blocked="listed")
    d.tell(i.CallerInsisted(at=d.at(12), call=CallId("c1")))
    d.hang_up(18)
    assert d.outcomes() == {"c1": "abandoned"}


@pytest.mark.parametrize("kind", [i.CallerHeld, i.CallerInNet])
def test_a_9_that_was_not_told_is_seen_where_the_caller_stands(
    kind: type[i.CallerHeld | i.CallerInNet],
) -> None:
    d = desk()
    d.arrive(10, blocked="withheld", caller=None)
    d.tell(kind(at=d.at(15), call=CallId("c1")))
    assert len(d.told(f.CallAdmitted)) == 1
    assert d.floor.calls[CallId("c1")].visit is not None


def test_a_9_of_a_caller_who_was_not_refused_so_changes_nothing() -> None:
    d = desk()
    d.arrive(10, "c1")
    d.tell(i.CallerInsisted(at=d.at(11), call=CallId("c1")))
    assert len(d.told(f.CallAdmitted)) == 1
    d.tell(i.CallerInsisted(at=d.at(11), call=CallId("nobody")))
    assert len(d.told(f.CallAdmitted)) == 1


def test_a_call_is_admitted_once_and_after_a_refusal_only_if_that_was_of_the_caller() -> None:
    d = desk()
    d.arrive(10, "c1")
    d.arrive(11, "c2", blocked="withheld", caller=None)
    again = [f.CallAdmitted(at=d.at(12), call=CallId(name), reason="r") for name in ("c1", "c2")]
    with pytest.raises(IllegalTransition):
        evolve(d.floor, again[0])
    let_in = evolve(d.floor, again[1])
    assert let_in.calls[CallId("c2")].refused_as is None
    with pytest.raises(IllegalTransition):
        evolve(let_in, again[1])


# -- does the dialplan do as the list says? --------------------------------------------------------------------


def test_a_caller_who_was_refused_though_on_no_list_is_noticed() -> None:
    d = desk()
    d.arrive(10, blocked="listed")
    ((told_open, words),) = differed(d)
    assert not told_open and "not on the list" in words


def test_a_caller_who_was_let_in_though_listed_is_noticed() -> None:
    d = desk()
    list_caller(d, 1)
    d.arrive(10)
    ((told_open, words),) = differed(d)
    assert told_open and "on the list" in words


def test_a_listed_caller_is_let_in_where_the_centre_serves_everybody() -> None:
    d = desk(Unwelcome.SERVE)
    list_caller(d, 1)
    d.arrive(10)
    assert differed(d) == []
    assert d.floor.calls[CallId("c1")].listed == "blocked-1"
    d.arrive(11, "c2", blocked="listed")
    assert len(differed(d)) == 1


def test_whether_a_number_is_withheld_the_dialplan_alone_tells() -> None:
    d = desk(withheld=Unwelcome.ANNOUNCE)
    d.arrive(10, "c1", blocked="withheld", caller=None)
    d.arrive(11, "c2", blocked="withheld")  # a number that the network knows and the caller does not show
    d.arrive(12, "c3", caller=None)  # a payphone
    assert differed(d) == []
    other = desk()
    other.arrive(10, blocked="withheld", caller=None)
    assert len(differed(other)) == 1, "that centre serves them"


def test_a_line_for_few_refuses_others_and_whoever_was_judged_wrongly_is_noticed() -> None:
    d = Desk().begin(configuration(replace(centre(1), only_from=("0500000178",))))
    d.arrive(10, "c1", caller="+81500000178")
    d.arrive(11, "c2", blocked="outsider")
    d.arrive(12, "c3", blocked="outsider", caller=None)
    assert differed(d) == []
    d.hang_up(13, "c2")
    d.tell(i.ChannelGone(at=d.at(14), channel=ChannelId("c3"), cause=16))
    assert d.outcomes() == {"c2": "blocked", "c3": "blocked"}
    d.arrive(20, "c4")
    d.arrive(21, "c5", blocked="outsider", caller="0500000178")
    assert [open_ for open_, _ in differed(d)] == [True, False]
    other = desk()
    other.arrive(10, blocked="outsider")
    assert len(differed(other)) == 1, "that centre serves everybody"


@pytest.mark.parametrize("blocked", [None, "listed"])
def test_just_around_a_change_of_the_list_either_is_right(blocked: str | None) -> None:
    d = desk()
    list_caller(d, 10)
    d.arrive(10.1, "c1", blocked=blocked)
    take_off(d, 100)
    d.arrive(100.1, "c2", blocked=blocked)
    list_caller(d, 200, until=210)
    d.tell(i.TimerFired(at=d.at(210), timer=i.Timer(i.TimerKind.BLOCKED, "blocked-1")))
    d.arrive(210.001, "c3", blocked=blocked)
    assert differed(d) == []


def test_in_the_tick_around_the_end_either_is_right() -> None:
    """Asterisk's second may be one tick behind: an entry that has just ended still holds there."""
    d = desk()
    list_caller(d, 1, until=100)
    d.arrive(100.004, "c1", blocked="listed")
    d.arrive(100.004, "c2")
    assert differed(d) == []


def test_a_caller_refused_in_hours_by_the_dialplan_though_the_calendar_is_shut_is_noticed() -> None:
    d = Desk().begin(configuration(replace(centre(1, open_all_day=False), blocked=Unwelcome.ANNOUNCE)))
    night = 12 * 3600
    list_caller(d, 1, until=DAY)
    d.arrive(night, blocked="listed")
    ((told_open, _),) = differed(d)
    assert told_open


# -- found afterwards ----------------------------------------------------------------------------------------


def traced(d: Desk, s: float, **more: object) -> i.CallTraced:
    told = i.CallTraced(
        call=CallId("c1"),
        number=NUMBER,
        caller=CALLER,
        name="PJSIP/trunk-c1",
        arrived=d.at(s),
        open=False,
        entered=None,
        net=None,
        answered=None,
        phone=None,
        talk_ended=None,
        ended=None,
        hung_up_by=Party.CALLER,
        blocked=True,
    )
    return replace(told, **more)  # type: ignore[arg-type]


def away(d: Desk, s: float) -> None:
    d.tell(i.LinkDropped(at=d.at(s), node=NODE))


def test_a_refused_caller_who_came_and_went_unseen_is_blocked_and_nothing_differs() -> None:
    d = desk()
    list_caller(d, 1, until=30)
    away(d, 20)
    d.tell(i.TimerFired(at=d.at(30), timer=i.Timer(i.TimerKind.BLOCKED, "blocked-1")))
    d.snapshot(60, traces=(traced(d, 25, ended=d.at(35)),))
    assert d.outcomes() == {"c1": "blocked"}
    assert differed(d) == []


def test_who_called_unseen_before_being_listed_was_rightly_let_in() -> None:
    d = desk()
    away(d, 20)
    list_caller(d, 50)
    d.snapshot(60, traces=(traced(d, 25, open=True, blocked=False, ended=d.at(35)),))
    assert differed(d) == []


def test_a_9_pressed_while_nobody_watched_is_told_by_cel_before_the_menus() -> None:
    d = desk()
    list_caller(d, 1)
    away(d, 20)
    trace = traced(d, 25, insisted=d.at(30), entered=d.at(40), ended=d.at(50))
    d.snapshot(60, traces=(trace,))
    told = [type(x).__name__ for x in d.facts if getattr(x, "call", None) == "c1"]
    assert told[:4] == ["CallArrived", "CallRefused", "CallAdmitted", "VisitBegan"]
    assert d.outcomes() == {"c1": "abandoned"}
    assert differed(d) == []


def seen(d: Desk, s: float, context: str) -> i.ChannelSeen:
    return replace(channel(d, s, context), caller=CALLER)


def test_a_caller_in_the_announcement_when_the_link_comes_back_may_still_press_9() -> None:
    d = desk()
    list_caller(d, 1)
    away(d, 20)
    d.snapshot(30, seen(d, 25, "callcore-caller"), traces=(traced(d, 25),))
    assert d.floor.calls[CallId("c1")].refused_as is Outcome.BLOCKED
    d.tell(i.CallerInsisted(at=d.at(32), call=CallId("c1")))
    d.tell(i.CallerHeld(at=d.at(40), call=CallId("c1")))
    d.hang_up(50)
    assert d.outcomes() == {"c1": "abandoned"}
    assert differed(d) == []


@pytest.mark.parametrize("trace", [True, False])
def test_a_caller_refused_before_the_link_was_cut_and_found_waiting_has_pressed_9(trace: bool) -> None:
    d = desk()
    list_caller(d, 1)
    d.arrive(10, blocked="listed")
    away(d, 12)
    told = (traced(d, 10, insisted=d.at(13), entered=d.at(20)),) if trace else ()
    d.snapshot(30, seen(d, 10, "callcore-hold"), traces=told)
    assert d.floor.calls[CallId("c1")].visit is not None
    assert len(d.told(f.CallAdmitted)) == 1
    d.hang_up(40)
    assert d.outcomes() == {"c1": "abandoned"}
    assert differed(d) == []


def test_a_caller_found_waiting_without_a_trace_is_not_taken_for_one_wrongly_let_in() -> None:
    d = desk()
    list_caller(d, 1)
    away(d, 12)
    d.snapshot(60, seen(d, 20, "callcore-hold"))
    assert d.floor.calls[CallId("c1")].visit is not None
    assert differed(d) == []


def test_the_entry_of_a_number_is_found_for_an_instant() -> None:
    d = desk()
    list_caller(d, 10, until=20)
    entries = list(d.floor.blocked.values())
    held = [found(entries, DEMO, CALLER, d.at(s)) is not None for s in (9.9, 10, 19.9, 20)]
    assert held == [False, True, True, False]
    assert found(entries, CentreId("x"), CALLER) is None
    assert found(entries, DEMO, None) is None


@pytest.mark.parametrize("given", ["09012345678", "+819012345678", "090-1234-5678"])
def test_a_number_is_spelled_with_and_without_the_code_of_the_country(given: str) -> None:
    assert spellings(given) == {given, "09012345678", "+819012345678"} | (
        {"+8190-1234-5678"} if "-" in given else set()
    )
    assert spellings("+15550100") == {"+15550100", "15550100"} and spellings("184") == {"184"}
