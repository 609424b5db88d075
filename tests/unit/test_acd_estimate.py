"""How long a caller will wait, against figures by hand, Erlang's formula, and queues that are played through."""

from __future__ import annotations

import random
from dataclasses import replace
from math import factorial

import pytest

from callcore.domain import estimate
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.floor import Pace
from callcore.domain.ids import CallId, ChannelId, QueueId
from callcore.domain.stages import Choice
from tests.support.acd import Acd, crew, opened, person, queue, site
from tests.support.floors import NODE

Q = QueueId("demo-q")
LAST = (99, 2**62, "")
"""Behind everybody."""


def floor(agents: int, waiting: int, *, handling: int = 300, patience: int = 120) -> Acd:
    """So many agents, all in talks, and so many callers who wait."""
    d = opened(site(queue(handling_s=handling, patience_s=patience), staff=crew(max(agents, 1))))
    for n in range(agents):
        d.comes(0, n + 1)
        d.calls(0, f"t{n}")
        d.answers(0, n + 1, f"t{n}")
    for n in range(waiting):
        d.calls(1, f"c{n}")
    return d


def wait(d: Acd, name: QueueId = Q) -> float:
    found = estimate.wait_s(d.floor, name, LAST)
    assert found is not None
    return found


def test_the_estimate_by_hand_for_three_agents_and_two_callers_ahead() -> None:
    # 3 agents of 300 s: one is free every 100 s; each caller ahead leaves after 120 s on average.
    rate, leaves = 3 / 300, 1 / 120
    by_hand = 1 / rate + 1 / (rate + leaves) + 1 / (rate + 2 * leaves)
    assert wait(floor(3, 2)) == pytest.approx(by_hand, rel=1e-3)
    assert by_hand == pytest.approx(192.0, abs=0.1)


def test_without_impatience_the_estimate_is_the_place_times_the_time_between_two_free_agents() -> None:
    assert wait(floor(4, 7, handling=240, patience=10**9)) == pytest.approx(8 * 60, rel=1e-3)


def test_a_caller_for_whom_somebody_is_free_waits_for_nothing_and_without_agents_nothing_is_known() -> None:
    d = floor(2, 0)
    assert wait(d) > 0
    d.goes(5, "t0")
    assert wait(d) == 0.0
    assert estimate.wait_s(floor(0, 3).floor, Q, LAST) is None


def erlang_c(n: int, load: float) -> float:
    """The share of callers who wait (Erlang 1917)."""
    top = load**n / factorial(n) * n / (n - load)
    return top / (sum(load**k / factorial(k) for k in range(n)) + top)


@pytest.mark.parametrize(("n", "load"), [(2, 1.5), (5, 4.0), (10, 8.0)])
def test_the_mean_of_the_estimates_over_all_states_is_erlangs_mean_wait(n: int, load: float) -> None:
    """Poisson arrivals see time averages: Σ P(k wait) × estimate(k) = C(n, a) × h ÷ (n − a)."""
    h = 180
    none = erlang_c(n, load) * (1 - load / n)  # nobody waits and all are at work
    mean = 0.0
    d = floor(n, 0, handling=h, patience=10**9)
    for k in range(60):
        mean += none * (load / n) ** k * wait(d)
        d.calls(1, f"c{k}")
    left = none * (load / n) ** 60 / (1 - load / n)
    assert mean == pytest.approx(erlang_c(n, load) * h / (n - load), rel=0.02 + 3 * left)


@pytest.mark.parametrize(
    ("n", "ahead", "h", "patience"), [(1, 3, 300, 120), (5, 10, 200, 60), (12, 30, 360, 180)]
)
def test_the_estimate_is_the_mean_of_ten_thousand_queues_played_through(
    n: int, ahead: int, h: int, patience: int
) -> None:
    chance = random.Random(5)
    total = 0.0
    for _ in range(10_000):
        for left in range(ahead, -1, -1):
            total += chance.expovariate(n / h + left / patience)
    assert wait(floor(n, ahead, handling=h, patience=patience)) == pytest.approx(total / 10_000, rel=0.03)


def test_agents_who_serve_another_queue_too_are_shared_with_those_who_wait_there() -> None:
    d = opened(
        site(
            queue("a", handling_s=300, patience_s=10**9),
            queue("b", handling_s=300, patience_s=10**9),
            staff=(person(1, "a b"), person(2, "b")),
        )
    )
    for n in (1, 2):
        d.comes(0, n)
    for n in (1, 2):
        d.calls(0, f"t{n}", number="demo-1")
        d.answers(0, n, f"t{n}")
    for n in range(4):
        d.calls(1, f"c{n}", number="demo-1")
    assert wait(d, QueueId("demo-a")) == pytest.approx(300 * (4 * 0.5 + 1), rel=1e-3)


def test_who_cannot_speak_english_does_not_shorten_the_wait_for_it() -> None:
    d = opened(
        site(queue(needs=(("en", 3),), handling_s=300), staff=(person(1, en=2), person(2), person(3, en=4)))
    )
    d.comes(0, 2, 3)
    assert estimate.wait_s(d.floor, Q, LAST) is None
    d.comes(0, 1)
    d.calls(0, "t")
    d.answers(0, 1, "t")
    assert wait(d) == pytest.approx(300, rel=1e-3)


def test_a_pause_lengthens_the_wait_and_a_caller_who_gives_up_shortens_it() -> None:
    d = floor(4, 5)
    long = wait(d)
    d.goes(20, "c4")
    shorter = wait(d)
    assert shorter < long
    d.pauses(21, 1)
    assert wait(d) > long


def test_position_and_estimate_are_told_at_the_entry() -> None:
    d = floor(2, 2)
    d.calls(3, "c9")
    began = d.told(f.VisitBegan)[-1]
    assert isinstance(began, f.VisitBegan)
    rate, leaves = 2 / 300, 1 / 120
    assert began.position == 3
    assert began.estimate_s == pytest.approx(sum(1 / (rate + j * leaves) for j in range(3)), abs=0.6)


# -- the pace it goes by -------------------------------------------------------------------------------------


def test_the_pace_follows_the_queues_own_calls() -> None:
    d = floor(1, 0, handling=300)
    queue_now = d.floor.queues[Q]
    for n in range(100):
        s = 1000 + 100 * n
        d.calls(s, f"x{n}") if n else d.goes(s, "t0")
        if n:
            d.answers(s, 1, f"x{n}")
            d.goes(s + 60, f"x{n}")
    assert estimate.handling_s(queue_now, d.floor.pace[Q]) < 150


def test_patience_is_the_time_waited_by_all_divided_by_those_who_gave_up() -> None:
    d = floor(1, 0, patience=100)
    d.calls(1, "a")
    d.calls(1, "b")
    d.goes(51, "a")
    d.goes(51, "t0")
    d.answers(51, 1, "b")
    pace = d.floor.pace[Q]
    assert (round(pace.left, 3), round(pace.waited, 1)) == (round(0.98, 3), 99.0)


def test_what_nobody_watched_does_not_count_for_the_pace() -> None:
    d = floor(1, 1)
    before = d.floor.pace.get(Q, Pace())
    d.tell(i.LinkDropped(at=d.at(2), node=NODE))
    d.snapshot(500)
    assert set(d.outcomes()) == {"t0", "c0"}
    assert d.floor.pace.get(Q, Pace()) == before


def test_a_talk_whose_beginning_nobody_watched_does_not_count_as_a_short_one() -> None:
    d = opened(site(queue(), staff=crew(1)))
    d.comes(0, 1)
    d.calls(1)
    d.rings(2, 1)
    leg = d.leg(1)
    d.tell(i.LinkDropped(at=d.at(3), node=NODE))
    base = i.ChannelSeen(
        ChannelId("c1"), "PJSIP/trunk-c1", "callcore-offer", "Dial", "b", CallId("c1"), None, None, None, None,
        d.at(1), d.at(1),
    )  # fmt: skip
    phone = i.ChannelSeen(
        leg,
        "PJSIP/demo-p1",
        "callcore-phones",
        None,
        "b",
        CallId("c1"),
        None,
        d.phone(1),
        None,
        None,
        d.at(2),
        None,
    )
    d.snapshot(400, base, phone)
    before = d.floor.pace.get(Q, Pace())
    d.goes(401)
    assert d.floor.pace.get(Q, Pace()) == before


def test_who_chose_a_language_waits_for_those_who_speak_it_and_the_others_share_them() -> None:
    """Three agents in talks, of whom one speaks English; two Japanese callers, then two English ones."""
    centre = replace(
        site(queue(handling_s=300, patience_s=10**9), staff=(person(1, en=3), person(2), person(3))),
        languages=("ja", "en"),
    )
    d = opened(centre)
    for n in range(1, 4):
        d.comes(0, n)
        d.calls(0, f"t{n}")
        d.answers(0, n, f"t{n}")
    for n in range(2):
        d.calls(1, f"ja{n}")
    for n in range(2):
        d.calls(2, f"en{n}", waits=False)
        d.tell(
            i.MenuKeyed(
                at=d.at(2),
                call=CallId(f"en{n}"),
                menu="m",
                key="2",
                choice=Choice.LANGUAGE,
                to="",
                language="en",
            )
        )
        d.held(2, f"en{n}")
    # English: one agent, two English callers before, and a third of each Japanese one.
    english = estimate.wait_s(d.floor, Q, LAST, "en")
    assert english == pytest.approx(300 * (2 + 2 / 3 + 1), rel=1e-3)
    # Japanese: three agents, everybody before.
    assert wait(d) == pytest.approx(100 * (2 + 2 + 1), rel=1e-3)
    assert [x.estimate_s for x in d.told(f.VisitBegan)][-2:] == [
        pytest.approx(300 * (2 / 3 + 1), rel=1e-3),
        pytest.approx(300 * (1 + 2 / 3 + 1), rel=1e-3),
    ]
