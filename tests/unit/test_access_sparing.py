"""Which of many equal events is a line of the audit trail."""

from callcore.access.sparing import EVERY_S, KINDS_MOST, Sparing


def test_the_first_has_a_line_and_the_next_one_tells_how_many_there_were() -> None:
    now = [0.0]
    sparing = Sparing(lambda: now[0])
    assert sparing.due("demo-p1", "mac") == 1
    assert [sparing.due("demo-p1", "mac") for _ in range(500)] == [0] * 500
    assert sparing.due("demo-p1", "maker") == 1, "another reason is another kind"
    now[0] += EVERY_S
    assert sparing.due("demo-p1", "mac") == 501
    now[0] += EVERY_S
    assert sparing.due("demo-p1", "mac") == 1


def test_whoever_comes_under_ever_new_names_takes_no_memory() -> None:
    sparing = Sparing(lambda: 0.0)
    assert all(sparing.due(str(n)) == 1 for n in range(3 * KINDS_MOST))
    assert sparing.due(str(3 * KINDS_MOST - 1)) == 0, "the newest are kept"
    assert sparing.due("0") == 1
