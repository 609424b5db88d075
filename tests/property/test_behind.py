"""What stands behind a figure adds up to it, whatever the day was like."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain.behind import NAMES, behind, value_of
from callcore.domain.ids import SECOND
from callcore.domain.measures import Ratio, endings, figures
from callcore.web.formulas import FORMULAS
from tests.support.days import VERBS, a_day

DAYS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 9)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(choices=DAYS, later_s=st.integers(0, 90))
def test_the_calls_behind_each_count_and_both_parts_of_each_ratio_are_as_many_as_it_says(
    choices: list[tuple[str, int]], later_s: int
) -> None:
    day = a_day(choices)
    records, at = list(day.books.records.values()), type(day.floor.at)(day.floor.at + later_s * SECOND)
    told = figures(records, at=at, service_level_s=20)
    ended = endings(records, told)
    for name in NAMES:
        found = behind(records, name, at=at, service_level_s=20)
        match value_of(name, told, ended):
            case Ratio(part=part, whole=whole):
                assert (sum(b.part for b in found), len(found)) == (part, whole), name
            case int(count):
                assert len(found) == count, name
            case length:
                assert bool(found) == (length is not None), name


def test_every_figure_has_its_words_and_its_formula_in_both_languages() -> None:
    assert set(NAMES) <= set(FORMULAS)
    assert all(all(each) for each in FORMULAS.values())
