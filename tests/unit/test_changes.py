"""What a board is sent of a change, put onto what it had, is what is there now."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from callcore.web.changes import change

NAMES = st.sampled_from(["a", "b", "c", "d"])
PLAIN = st.none() | st.booleans() | st.integers(2, 5) | st.text("xy", max_size=2)


def _row(value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda name, more: {"call": name, "of": more}, NAMES, value)


VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.dictionaries(st.sampled_from(["to", "in", "rows", "k"]), inner, max_size=3)
        | st.lists(inner, max_size=3)
        | st.lists(_row(inner), max_size=4)
        | st.lists(_row(inner), max_size=4, unique_by=lambda row: row["call"])
    ),
    max_leaves=12,
)


def applied(old: Any, told: dict[str, Any]) -> Any:
    """As `live.js` does it."""
    if "to" in told:
        return told["to"]
    if "rows" in told:
        rows = {row[told["by"]]: row for row in old}
        names = told.get("order", list(rows))
        for name, each in told["rows"].items():
            rows[name] = applied(rows.get(name), each)
        return [rows[name] for name in names]
    now = {key: value for key, value in old.items() if key not in told.get("gone", [])}
    return now | {key: applied(old.get(key), each) for key, each in told["in"].items()}


@given(VALUES, VALUES)
def test_a_change_makes_of_what_was_what_is(old: Any, new: Any) -> None:
    told = change(old, new)
    if told is None:
        assert old == new
    else:
        assert applied(old, json.loads(json.dumps(told))) == new


def test_only_what_is_different_is_told() -> None:
    old = {
        "at": 1,
        "agents": [{"agent": "1", "state": "free"}, {"agent": "2", "state": "free"}],
        "same": {"x": [1]},
    }
    new = {
        "at": 2,
        "agents": [{"agent": "1", "state": "free"}, {"agent": "2", "state": "acw"}],
        "same": {"x": [1]},
    }
    rows = {"2": {"in": {"state": {"to": "acw"}}}}
    assert change(old, new) == {"in": {"at": {"to": 2}, "agents": {"by": "agent", "rows": rows}}}


def test_rows_that_come_go_and_move_are_told_by_name() -> None:
    old = [{"call": "c1", "n": 1}, {"call": "c2", "n": 2}, {"call": "c3", "n": 3}]
    new = [{"call": "c3", "n": 1}, {"call": "c2", "n": 2}, {"call": "c4", "n": 3}]
    assert change(old, new) == {
        "by": "call",
        "rows": {"c3": {"in": {"n": {"to": 1}}}, "c4": {"to": {"call": "c4", "n": 3}}},
        "order": ["c3", "c2", "c4"],
    }


def test_a_key_that_is_gone_is_another_thing_than_one_without_a_value() -> None:
    assert change({"a": 1, "b": 1}, {"a": None}) == {"in": {"a": {"to": None}}, "gone": ["b"]}
