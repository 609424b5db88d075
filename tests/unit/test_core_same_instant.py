"""All hang up in the same instant: whoever Asterisk hears of first, the figures are the same."""

from __future__ import annotations

from itertools import permutations

import pytest

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.by_department import by_department
from callcore.domain.ids import ChannelId
from callcore.domain.stages import Outcome, SideOutcome, Stage
from tests.unit.test_core_transfer import CITY, Moves

FAR, OWN = ChannelId("k1-far"), ChannelId("k1")
MS = 0.003
"""Between two of them."""


@pytest.fixture
def m() -> Moves:
    return Moves().begin()


def consult(m: Moves) -> None:
    m.hold(10)
    m.answers(20, m.ask(12))


def puts_down(m: Moves, s: float, who: str) -> None:
    """As Asterisk tells it; with the department's leg the agent's own leg to it is gone, and the other way round."""
    at = m.d.at(s)
    if who == "citizen":
        m.caller_puts_down(s)
    elif who == "held line":
        m.tell(
            i.HangupRequested(at=at, channel=m.leg),
            i.BridgeLeft(at=at, bridge=m.bridge, channel=m.leg),
            i.ChannelGone(at=at, channel=m.leg, cause=16),
        )
    else:
        both = (FAR, OWN) if who == "department" else (OWN, FAR)
        m.tell(i.HangupRequested(at=at, channel=both[0]))
        for channel in both:
            m.tell(i.BridgeLeft(at=at, bridge="with-k1", channel=channel))
            m.tell(i.ChannelGone(at=at, channel=channel, cause=16))


def figures(m: Moves) -> tuple[Outcome | None, dict[AskEnd, int], int]:
    made = by_department(m.d.books.records.values(), m.d.books.asks)
    assert m.d.floor.problems() == []
    return m.outcome, m.asked(), made[CITY.id].lost_on_hold


LOST = (Outcome.LOST_ON_HOLD, {AskEnd.LOST_ON_HOLD: 1}, 1)


@pytest.mark.parametrize("line", [False, True], ids=["not yet on the line", "on the line"])
@pytest.mark.parametrize(
    "order",
    list(permutations(("citizen", "held line", "consult line", "department"))),
    ids=", ".join,
)
def test_all_who_hang_up_in_the_same_instant_of_a_consult_are_counted_the_same_in_every_order(
    m: Moves, order: tuple[str, ...], line: bool
) -> None:
    consult(m)
    s = 25.0
    for who in order:
        puts_down(m, s, who)
        if line and who == "held line" and m.d.floor.calls and m.call.stage is Stage.PARTED:
            m.back(s)  # Asterisk was so quick as to lead the caller to the line in between
        s += MS
    assert figures(m) == LOST


@pytest.mark.parametrize("result", [SideOutcome.BUSY, SideOutcome.NO_ANSWER, SideOutcome.REFUSED])
@pytest.mark.parametrize("first", ["citizen", "department"])
def test_a_citizen_who_hangs_up_as_the_department_is_told_to_be_busy_was_lost_with_it_in_both_orders(
    m: Moves, result: SideOutcome, first: str
) -> None:
    m.hold(10)
    m.ask(12)
    if first == "citizen":
        m.caller_puts_down(25)
    m.tell(i.SideReturned(at=m.d.at(25 + MS), call=OWN, outcome=result))
    m.tell(i.ChannelGone(at=m.d.at(25 + MS), channel=FAR, cause=17))
    if first != "citizen":
        m.caller_puts_down(25 + 2 * MS)
    assert figures(m) == LOST


@pytest.mark.parametrize("first", ["citizen", "held line"])
@pytest.mark.parametrize("line", [False, True], ids=["not yet on the line", "on the line"])
def test_who_puts_down_on_hold_as_the_agent_does_is_lost_on_hold_in_both_orders(
    m: Moves, first: str, line: bool
) -> None:
    m.hold(10)
    puts_down(m, 12, first)
    if first != "citizen":
        if line:
            m.back(12)
        puts_down(m, 12 + MS, "citizen")
    assert m.outcome is Outcome.LOST_ON_HOLD


@pytest.mark.parametrize(("after_s", "end"), [(0.99, AskEnd.LOST_ON_HOLD), (1.01, AskEnd.CAME_BACK)])
def test_within_a_second_is_the_same_instant(m: Moves, after_s: float, end: AskEnd) -> None:
    consult(m)
    puts_down(m, 25, "department")
    m.caller_puts_down(25 + after_s)
    assert (m.outcome, m.asked()) == (Outcome.LOST_ON_HOLD, {end: 1})


@pytest.mark.parametrize(("after_s", "outcome"), [(0.99, Outcome.LOST_ON_HOLD), (1.01, Outcome.CUT_OFF)])
def test_who_is_back_on_the_line_for_more_than_a_second_was_cut_off(
    m: Moves, after_s: float, outcome: Outcome
) -> None:
    m.hold(10)
    puts_down(m, 12, "held line")
    m.back(12)
    m.caller_puts_down(12 + after_s)
    assert m.outcome is outcome


def test_two_departments_asked_one_after_the_other_and_the_last_is_the_one_with_which_the_citizen_was_lost(
    m: Moves,
) -> None:
    m.hold(10)
    m.answers(20, m.ask(12))
    puts_down(m, 24.5, "department")
    m.ask(24.9, "k2")
    m.caller_puts_down(25)
    m.tell(i.ChannelGone(at=m.d.at(25), channel=ChannelId("k2"), cause=16))
    assert m.asked() == {AskEnd.CAME_BACK: 1, AskEnd.LOST_ON_HOLD: 1}
    assert len(m.d.told(f.CallEnded)) == 1
