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


def test_who_was_taken_back_or_has_hung_up_was_not_passed_over() -> None:
    assert passed_in_net([*BOTH_IN, mark(32, "early", "held"), rings(33, "late")]) == []
    assert passed_in_net([*BOTH_IN, row("HANGUP", 32, "early"), rings(33, "late")]) == []
