"""Who is served first, and who is rung: skills, the ladder, priorities and the orders of agents."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from callcore.domain import facts as f
from callcore.domain.centre import ListedCaller, Number, Order, Rung
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import QueueId
from callcore.domain.stages import OfferStage
from tests.support.acd import Acd, crew, opened, person, queue, site


def reasons(d: Acd, n: int = -1) -> str:
    made = d.told(f.OfferMade)[n]
    assert isinstance(made, f.OfferMade)
    return " | ".join(made.reasons)


# -- skills and the ladder -----------------------------------------------------------------------------------


def english(**more: Any) -> Acd:
    staff = (person(1, en=4), person(2, en=2), person(3, en=1, zh=5), person(4))
    return opened(site(queue(needs=(("en", 1),), **more), staff=staff))


def test_a_caller_who_needs_english_is_put_through_to_who_has_it_and_to_nobody_else() -> None:
    d = english()
    d.comes(0, 1, 2, 4)
    d.calls(1)
    assert d.offered() == []
    d.comes(5, 3)
    assert d.offered() == [("c1", 3)]
    assert "英語 level 1" in reasons(d)


def test_the_best_level_is_rung_before_the_longest_idle() -> None:
    d = opened(site(queue(needs=(("en", 9),)), staff=(person(1, en=3), person(2, en=1), person(3, en=2))))
    d.comes(0, 1)
    d.comes(1, 3)
    d.comes(2, 2)
    for n in (1, 2, 3):
        d.calls(10 + n, f"c{n}")
    assert d.offered() == [("c1", 2), ("c2", 3), ("c3", 1)]


def test_of_two_needs_the_weaker_one_counts() -> None:
    needs = (("en", 9), ("zh", 9))
    d = opened(
        site(queue(needs=needs), staff=(person(1, en=1, zh=5), person(2, en=3, zh=3), person(3, en=1)))
    )
    d.comes(0, 1, 2, 3)
    d.calls(1, "c1")
    d.calls(1, "c2")
    d.calls(1, "c3")
    assert d.offered() == [("c1", 2), ("c2", 1)], "who has one of the two serves neither"


def test_the_ladder_lets_a_weaker_agent_serve_after_thirty_seconds_and_not_a_moment_before() -> None:
    d = english(ladder=(Rung(30, level=2), Rung(60, level=5)))
    d.comes(0, 1, 2)
    d.calls(1)
    d.until(30.999)
    assert d.offered() == []
    d.until(31)
    assert d.offered() == [("c1", 2)]
    assert "1 段目" in reasons(d)
    d.answers(32, 2)
    d.calls(40, "c2")
    d.goes(50)
    d.until(69.999)
    assert d.offered() == [("c1", 2)], "each caller's own wait counts"
    d.until(70)
    assert d.offered() == [("c1", 2), ("c2", 2)]


def test_after_a_minute_the_agents_of_another_queue_are_asked_behind_the_queues_own() -> None:
    d = opened(
        site(
            queue(ladder=(Rung(60, agents_of=(QueueId("demo-b"),)),)),
            queue("b"),
            staff=(person(1), person(2, "b")),
        )
    )
    d.comes(0, 2)
    d.calls(1)
    d.until(60)
    assert d.offered() == []
    d.until(61)
    assert d.offered() == [("c1", 2)]
    assert "ほかの待ち行列の応援" in reasons(d)
    d.comes(62, 1)
    d.calls(63, "c2")
    assert d.offered()[-1] == ("c2", 1)


def test_the_needs_are_relaxed_while_a_phone_rings_and_hold_from_the_next_offer_on() -> None:
    d = english(ladder=(Rung(30, level=4),), ring_s=10)
    d.comes(0, 1, 3)
    d.calls(25)
    assert d.rung() == [3]
    d.rings(54, 3)
    d.until(55)
    relaxed = d.told(f.NeedsRelaxed)
    assert len(relaxed) == 1
    assert d.rung() == [3], "what rings goes on ringing"
    d.ends(56, 3, OfferStage.BUSY)
    assert d.rung() == [1]


def test_the_ladder_begins_anew_with_each_visit() -> None:
    d = opened(
        site(
            queue(ladder=(Rung(10, level=9),), needs=(("en", 1),)),
            staff=(person(1, en=1), person(2, en=9)),
        )
    )
    d.comes(0, 1)
    d.calls(0)
    leg = d.answers(1, 1)
    d.comes(2, 2)
    d.until(40)
    d.drops_off(40, leg, 1)
    assert d.offered() == [("c1", 1)], "level 9 is not accepted yet, and the phone of agent 1 is gone"
    d.until(50)
    assert d.offered() == [("c1", 1), ("c1", 2)]


# -- priority --------------------------------------------------------------------------------------------------


def test_priority_goes_before_waiting_and_waiting_decides_among_equals() -> None:
    d = opened(site(queue("a", priority=5), queue("b", priority=2), staff=crew(4, "a b")))
    d.calls(1, "c1")
    d.calls(2, "c2", number="demo-1")
    d.calls(3, "c3")
    d.calls(4, "c4", number="demo-1")
    for n in (1, 2, 3, 4):
        d.comes(10 + n, n)
    assert [call for call, _ in d.offered()] == ["c2", "c4", "c1", "c3"]


def test_the_list_of_callers_goes_before_the_number_and_the_number_before_the_queue() -> None:
    plain = site(queue(priority=7), staff=crew(3))
    d = opened(
        replace(
            plain,
            numbers=(*plain.numbers, Number("demo-hot", QueueId("demo-q"), priority=3)),
            callers=(ListedCaller("0312345678", 1, "前回切断"),),
        )
    )
    d.calls(1, "c1")
    d.calls(2, "c2", number="demo-hot")
    d.calls(3, "c3", caller="0312345678")
    assert [d.call_now(c).visit.priority for c in ("c1", "c2", "c3")] == [7, 3, 1]  # type: ignore[union-attr]
    began = d.told(f.VisitBegan)[-1]
    assert isinstance(began, f.VisitBegan)
    assert any("前回切断" in reason for reason in began.reasons)
    assert began.position == 1
    d.comes(10, 1, 2, 3)
    assert [call for call, _ in d.offered()] == ["c3", "c2", "c1"]


def test_a_withheld_number_is_on_no_list() -> None:
    d = opened(site(queue(), staff=crew(1), callers=(ListedCaller("", 1, "x"),)))
    d.calls(1, caller=None)
    assert d.call_now().priority is None


def test_a_caller_who_lost_the_talk_is_before_those_who_came_later_but_not_before_a_higher_priority() -> None:
    d = opened(site(queue("a", priority=5), queue("b", priority=2), staff=crew(3, "a b")))
    d.comes(0, 1)
    d.calls(1, "c1")
    leg = d.answers(2, 1)
    d.calls(5, "c2")
    d.calls(6, "c3", number="demo-1")
    d.drops_off(30, leg, 1)
    d.comes(31, 2, 3)
    assert d.offered()[1:] == [("c3", 2), ("c1", 3)]


# -- orders of agents ------------------------------------------------------------------------------------------


def test_linear_order_is_that_of_the_file_whoever_is_idle_longest() -> None:
    d = opened(site(queue(order=Order.LINEAR), staff=(person(5), person(2), person(9))))
    for s, n in ((0, 9), (1, 2), (2, 5)):
        d.comes(s, n)
    for n in (1, 2, 3):
        d.calls(10, f"c{n}")
    assert [agent for _, agent in d.offered()] == [5, 2, 9]
    assert "名簿順 1 番目" in reasons(d, 0)


def test_who_has_answered_fewest_calls_is_rung_first_and_begins_at_nought_after_signing_in_again() -> None:
    d = opened(site(queue(order=Order.FEWEST_CALLS), staff=crew(2)))
    d.comes(0, 1)
    for n in (1, 2):
        d.calls(10 * n, f"c{n}")
        d.answers(10 * n + 1, 1, f"c{n}")
        d.goes(10 * n + 5, f"c{n}")
    d.comes(30, 2)
    d.calls(31, "c3")
    assert d.offered()[-1] == ("c3", 2)
    d.goes(32, "c3")
    d.leaves(33, 1)
    d.comes(34, 1)
    d.calls(35, "c4")
    assert d.offered()[-1] == ("c4", 1), "both have none, and the lower number counts"


def drawn(seed: int) -> list[tuple[str, int]]:
    d = opened(site(queue(order=Order.RANDOM, seed=seed), staff=crew(5)))
    d.comes(0, 1, 2, 3, 4, 5)
    for n in range(12):
        d.calls(10 * n + 1, f"c{n}")
        d.goes(10 * n + 5, f"c{n}")
    return d.offered()


def test_a_drawn_order_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert len({agent for _, agent in drawn(7)}) > 2, "it is a draw, not always the same"


def test_a_caller_whose_first_draw_rang_out_is_drawn_for_anew() -> None:
    d = opened(site(queue(order=Order.RANDOM, seed=1, rest_busy_s=0), staff=crew(6)))
    d.comes(0, 1, 2, 3, 4, 5, 6)
    d.calls(1)
    seen = set()
    for _ in range(12):
        [agent] = d.rung()
        seen.add(agent)
        d.rings(2, agent)
        d.ends(2, agent, OfferStage.BUSY)
    assert len(seen) > 3


def test_a_drawn_order_is_replayed_from_the_journal() -> None:
    d = opened(site(queue(order=Order.RANDOM, seed=3), staff=crew(5)))
    d.comes(0, 1, 2, 3, 4, 5)
    d.calls(1, "c1")
    folded = Floor()
    for fact in d.facts:
        folded = evolve(folded, fact)
    again = Acd()
    again.floor, again.armed = folded, dict(d.armed)
    for desk in (d, again):
        desk.calls(5, "c2")
    assert d.offered()[-1] == again.offered()[-1]


def test_two_runs_of_one_day_decide_alike_in_two_processes() -> None:
    """Sets and maps of text come in another order in each process, unless told otherwise."""
    day = (
        "from tests.support.sim import Sim\n"
        "s = Sim(11, agents=6, hasty=True, rich=True)\n"
        "s.engine_starts()\n"
        "s.run(5)\n"
        "for n in range(1, 7):\n"
        "    s.keys_in(n)\n"
        "for n in range(60):\n"
        "    s.run(2)\n"
        "    s.comes(20 + n)\n"
        "s.run(60)\n"
        "import hashlib\n"
        "print(hashlib.sha256(repr(s.core.facts).encode()).hexdigest(), len(s.core.facts))\n"
    )
    root = Path(__file__).parents[2]
    told = [
        subprocess.run(
            [sys.executable, "-c", day],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root / 'src'}:{root}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    ]
    assert told[0] == told[1]
