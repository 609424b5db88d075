"""The look at the safety net's order finds a caller who was passed over, and blames nobody else."""

from __future__ import annotations

from tests.support.full_house import passed_in_net


def row(kind: str, at: float, channel: str, call: str | None = None, mark: str = "") -> dict[str, str]:
    return {
        "eventenum": kind,
        "userdeftype": mark,
        "eventtime": f"{at:.6f}",
        "uniqueid": channel,
        "linkedid": call or channel,
    }


def mark(at: float, call: str, name: str) -> dict[str, str]:
    return row("USER_DEFINED", at, call, mark=f"callcore-{name}")


def rings(at: float, call: str) -> dict[str, str]:
    return row("CHAN_START", at, f"leg-{at}", call)


BOTH_IN = [
    mark(10, "early", "held"),
    mark(20, "late", "held"),
    mark(30, "early", "net"),
    mark(30.1, "late", "net"),
]


def test_who_came_later_and_is_rung_for_first_is_named() -> None:
    assert passed_in_net([*BOTH_IN, rings(33, "late"), rings(40, "early")]) == [
        "late before early at 33.0, who was in the net for 3.00 s, left 7.00 s later: rung"
    ]


def test_the_order_of_coming_is_no_violation() -> None:
    assert passed_in_net([*BOTH_IN, rings(33, "early"), rings(40, "late")]) == []


def test_two_who_are_due_may_be_rung_in_either_order_within_the_nets_own_second() -> None:
    assert passed_in_net([*BOTH_IN, rings(33, "late"), rings(34, "early")]) == []


def test_who_looks_last_in_a_second_may_lose_a_look_or_two_but_not_the_place() -> None:
    """Seen at a fall of 250 callers: two looks in a row found all phones taken by callers of the next seconds."""
    crowd = [mark(11 + n, f"c{n}", "held") for n in range(4)] + [mark(30.1, f"c{n}", "net") for n in range(4)]
    rung = [rings(31.5, "c0"), rings(31.6, "c1"), rings(32.5, "c2"), rings(32.6, "c3"), rings(33.7, "early")]
    assert passed_in_net([*BOTH_IN[:1], mark(30, "early", "net"), *crowd, *rung]) == []


def test_a_ring_from_far_behind_is_out_of_order_however_soon_the_others_follow() -> None:
    before = [mark(10 + n, f"c{n}", "held") for n in range(6)] + [
        mark(30 + n / 10, f"c{n}", "net") for n in range(6)
    ]
    late = [mark(25, "late", "held"), mark(30.7, "late", "net")]
    followed = [rings(34.2 + n, f"c{n}") for n in range(4)]
    [found] = passed_in_net(
        [*before, *late, rings(33, "late"), *followed, rings(37.8, "c4"), rings(37.9, "c5")]
    )
    assert found == "late at 33.0 before 6 others, while 1 phones were rung"


def test_who_was_taken_back_or_has_hung_up_was_not_passed_over() -> None:
    assert passed_in_net([*BOTH_IN, mark(32, "early", "held"), rings(33, "late")]) == []
    assert passed_in_net([*BOTH_IN, row("HANGUP", 32, "early"), rings(33, "late")]) == []


def test_two_who_are_rung_in_one_instant_may_stand_in_cel_in_either_order() -> None:
    """As a run of twenty kills wrote it: the later caller's row first, 39 µs after the earlier one's ring."""
    assert passed_in_net([*BOTH_IN, rings(36.164503, "late"), rings(36.164464, "early")]) == []
