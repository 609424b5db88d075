"""Agents of one centre who serve another one (兼務), and what each centre keeps for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from callcore.domain import facts as f
from callcore.domain.centre import Centre, Guest
from callcore.domain.ids import AgentId, CentreId, QueueId
from tests.support.acd import Acd, opened, person, queue, rule, site

OTHER = QueueId("other-q")


def home(agents: int, **more: Any) -> Centre:
    return site(queue(), staff=tuple(person(n + 1) for n in range(agents)), **more)


def away(*guests: int, **more: Any) -> Centre:
    """A centre with one agent of its own (51), who is not there, and these guests."""
    return site(
        queue("other-q"),
        staff=(person(51, "q", home="other"),),
        name="other",
        guests=tuple(Guest(AgentId(str(1000 + n)), (OTHER,)) for n in guests),
        **more,
    )


def two(*there: int, **more: Any) -> Acd:
    d = opened(home(4, **more), away(1, 2, 3, 4))
    d.comes(0, *there)
    return d


def test_a_guest_is_rung_for_the_other_centres_caller_and_the_reason_says_so() -> None:
    d = two(1)
    d.calls(1, number="other-0")
    assert d.rung() == [1]
    made = d.told(f.OfferMade)[0]
    assert isinstance(made, f.OfferMade)
    assert any("兼務" in reason for reason in made.reasons)


def test_one_order_over_two_centres_who_has_waited_longest_is_served_first_wherever_he_called() -> None:
    d = two()
    d.calls(1, "c1", number="other-0")
    d.calls(2, "c2")
    d.calls(3, "c3", number="other-0")
    for s, n in ((10, 1), (11, 2), (12, 3)):
        d.comes(s, n)
    assert d.offered() == [("c1", 1), ("c2", 2), ("c3", 3)]


def test_a_centre_that_keeps_two_lends_nobody_while_only_two_are_on_duty() -> None:
    d = two(1, 2, keep=2)
    d.calls(1, "c1", number="other-0")
    assert d.offered() == []
    d.calls(2, "c2")
    assert d.offered() == [("c2", 1)]
    d.comes(3, 3)
    assert d.offered()[1:] == [("c1", 2)], "three on duty, one may go"


def test_a_kept_agent_who_comes_back_from_a_loan_lets_the_next_one_go() -> None:
    d = two(1, 2, 3, keep=2)
    d.calls(1, "c1", number="other-0")
    d.calls(1, "c2", number="other-0")
    assert d.offered() == [("c1", 1)]
    d.answers(2, 1, "c1")
    d.goes(30, "c1")
    assert d.offered() == [("c1", 1), ("c2", 2)]


def test_a_loan_is_over_when_the_agent_pauses_in_the_talk_for_he_is_not_one_of_those_on_duty() -> None:
    d = two(1, 2, 3, keep=1)
    d.calls(1, "c1", number="other-0")
    d.answers(2, 1, "c1")
    d.pauses(3, 1)
    d.calls(4, "c2", number="other-0")
    assert d.rung("c2") == [2], "two are on duty, one of them at home is enough"
    d.ready(5, 1)
    d.calls(6, "c3", number="other-0")
    assert d.call_now("c3").ringing == (), "three on duty, two are lent"


def test_no_more_guests_work_for_a_centre_than_it_takes_whoever_is_free() -> None:
    d = opened(home(4), away(1, 2, 3, 4, guests_most=2))
    d.comes(0, 1, 2, 3, 4)
    for n in (1, 2, 3):
        d.calls(n, f"c{n}", number="other-0")
    assert d.offered() == [("c1", 1), ("c2", 2)]
    d.goes(5, "c1")
    assert d.offered()[2:] == [("c3", 1)], "a caller who put down costs nobody the place"


def test_ringing_several_at_once_keeps_to_the_shares_as_well() -> None:
    there = away(1, 2, 3, 4, guests_most=2)
    there = replace(there, queues=(replace(there.queues[0], ring_at_once=4),))
    d = opened(home(4), there)
    d.comes(0, 1, 2, 3, 4)
    d.calls(1, number="other-0")
    assert d.rung() == [1, 2]


def test_after_call_work_for_another_centre_still_counts_as_a_loan() -> None:
    there = away(1, 2)
    there = replace(there, queues=(replace(there.queues[0], acw_s=20),))
    d = opened(home(2, keep=1), there)
    d.comes(0, 1, 2)
    d.calls(1, "c1", number="other-0")
    d.answers(2, 1)
    d.goes(10)
    d.calls(11, "c2", number="other-0")
    assert d.offered() == [("c1", 1)]
    d.until(29)
    assert d.offered() == [("c1", 1)]
    d.until(30)
    assert d.offered() == [("c1", 1), ("c2", 2)], "agent 1 is home again at the back of the order"


def test_a_centre_without_anybody_asks_another_centres_agents_and_the_call_stays_its_own() -> None:
    there = site(
        queue("other-q", overflow=(rule("no_agent", "agents", target="demo-q"),)), name="other"
    )  # fmt: skip
    d = opened(home(2, keep=1, lends_to=(CentreId("other"),)), there)
    d.comes(0, 1, 2)
    d.calls(1, "c1", number="other-0")
    d.calls(2, "c2", number="other-0")
    assert d.offered() == [("c1", 1)], "the lender keeps one"
    d.answers(3, 1)
    d.goes(9)
    assert d.books.records[d.call_now("c2").id].centre == "other"
    assert [r.centre for r in d.books.records.values()] == ["other", "other"]


def test_a_guest_whose_own_centre_is_taken_out_of_the_files_ends_the_talk_and_is_gone() -> None:
    d = two(1)
    d.calls(1, "c1", number="other-0")
    d.answers(2, 1)
    d.configured(5, replace(away(), guests=()))
    d.goes(20)
    assert d.outcomes() == {"c1": "completed"}
    d.calls(21, "c2", number="other-0")
    assert d.offered() == [("c1", 1)]
    assert dict(d.floor.guests) == {}
    assert dict(d.floor.own_duty) == {} or d.agent(1).phone is not None


def test_an_agent_who_is_named_as_a_guest_twice_is_one_agent() -> None:
    there = away()
    twice = (Guest(AgentId("1001"), (OTHER,)), Guest(AgentId("1001"), (OTHER,)))
    d = opened(home(1), replace(there, guests=twice))
    d.comes(0, 1)
    d.calls(1, number="other-0")
    d.answers(2, 1)
    d.goes(9)
    d.leaves(12, 1)
    assert dict(d.floor.on_duty) == {}
