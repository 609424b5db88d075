"""A picture of which most is kept from the last one is the picture that is made of the floor alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain.board import todays_figures
from callcore.domain.day import Days
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, Instant
from callcore.domain.measures import Books
from callcore.runtime.ports import Seq, View
from callcore.web import show
from callcore.web.changes import change
from tests.property.test_core_days import LINKS, SEEDS, a_day
from tests.support.days import VERBS
from tests.support.days import a_day as a_day_of

DAYS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 9)), max_size=40)


class Board:
    """Pictures one after another, each held against one of which nothing is kept."""

    def __init__(self, *, personal: bool) -> None:
        self.sight = show.Sight(None, personal)
        self.days = Days()
        self.rows = show.Rows()
        self.last: dict[str, object] = {}
        self.kept = 0

    def looks(self, floor: Floor, books: Books, at: Instant) -> None:
        view = View(Seq(1, 1), floor, books)
        kept = self.rows.as_json(
            show.live(view, at, None, self.sight, show.NOTHING_BESIDE, self.days, self.rows)
        )
        alone = show.live(view, at, None, self.sight)
        assert kept == alone.model_dump(mode="json")
        for each in alone.centres:
            reasons = [why.id for why in each.reasons]
            assert len(set(reasons)) == len(reasons), "one name for two reasons"
            assert {w.because for w in each.waiting} - {None} == set(reasons)
        assert (change(self.last, kept) is None) == (self.last == kept)
        for centre in floor.centres.values():
            window, told = todays_figures(books, centre, at)
            assert self.days.of(books, centre, at) == Days().of(books, centre, at)
            assert self.days.of(books, centre, at)[0] == window
            assert self.days.of(books, centre, at)[1].figures == told
        if self.last:
            before, now = (
                {id(row) for c in of["centres"] for name in ("agents", "open_calls") for row in c[name]}  # type: ignore[attr-defined]
                for of in (self.last, kept)
            )
            self.kept += len(before & now)
        self.last = kept


@settings(max_examples=25, deadline=None)
@given(choices=DAYS, personal=st.booleans())
def test_after_each_step_of_a_day(choices: list[tuple[str, int]], personal: bool) -> None:
    board = Board(personal=personal)
    floor, books = Floor(), Books()
    for frame in a_day_of(choices).frames:
        for fact in frame.facts:
            floor, books = evolve(floor, fact), books.after(fact)
        board.looks(floor, books, frame.at)
        board.looks(floor, books, Instant(frame.at + 700 * SECOND))
    assert board.kept > 0 or not choices, "nothing was kept"


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), links=LINKS, rich=st.booleans())
def test_while_links_are_lost_and_engines_killed(
    seed: int, callers: int, links: list[tuple[str, int, int]], rich: bool
) -> None:
    board = Board(personal=True)
    sim = a_day(seed, callers, links, rich=rich)
    for _ in range(60):
        sim.run(1.7)
        board.looks(sim.core.floor, sim.core.books, sim.now)
    assert board.kept > 0, "nothing was kept"
