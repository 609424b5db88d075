"""What the month still bears, each agent's share, and the curve of the day."""

from __future__ import annotations

import pytest

from callcore.domain.board import agent_word, agents_of, attention
from callcore.domain.day import Days, may_lose, must_answer
from callcore.domain.ids import AgentId, CallId, CentreId
from callcore.domain.measures import Ratio
from tests.integration.test_browser_wall import a_morning

DEMO = CentreId("demo")


@pytest.mark.parametrize(
    ("part", "whole", "target", "lose", "answer"),
    [
        (0, 0, 0.9, 0, 0),
        (9, 10, 0.9, 0, 0),
        (1860, 2000, 0.9, 66, 0),
        (89, 100, 0.9, -2, 10),
        (0, 1, 0.9, -1, 9),
        (1, 2, 1.0, -1, None),
        (2, 2, 1.0, 0, 0),
    ],
)
def test_so_many_losses_in_a_row_keep_the_target_and_one_more_does_not(
    part: int, whole: int, target: float, lose: int, answer: int | None
) -> None:
    ratio = Ratio(part, whole)
    assert (may_lose(ratio, target), must_answer(ratio, target)) == (lose, answer)
    if whole and lose >= 0:
        assert part / (whole + lose) >= target > part / (whole + lose + 1)
    if answer:
        assert (part + answer) / (whole + answer) >= target > (part + answer - 1) / (whole + answer - 1)


def test_the_curve_and_the_shares_of_a_morning_are_those_of_its_calls() -> None:
    desk = a_morning().desk
    demo = desk.floor.centres[DEMO]
    days = Days()
    _, first = days.of(desk.books, demo, desk.floor.at)
    assert (first.curve.arrivals[24], first.curve.answers[24], sum(first.curve.arrivals)) == (4, 2, 4)
    desk.hang_up(700, "c4")
    _, now = days.of(desk.books, demo, desk.floor.at)
    assert now == Days().of(desk.books, demo, desk.floor.at)[1], "what is kept is right"
    assert {a: (s.answered, s.over, s.talk) for a, s in now.shares.items()} == {
        "1001": (1, 1, 60_000_000),
        "1002": (1, 0, 0),
    }


def test_who_holds_a_caller_stands_above_who_does_not() -> None:
    floor = a_morning().desk.floor
    ranks = {a.id: attention(floor, a, agent_word(floor, a, DEMO)) for a in agents_of(floor, DEMO)}
    assert floor.calls[CallId("c2")].held_since is not None
    assert ranks == {AgentId("1001"): 0, AgentId("1002"): 1, AgentId("1003"): 0}
