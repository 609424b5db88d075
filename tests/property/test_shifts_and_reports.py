"""Sums that must hold whatever a day was like: of seconds, of half hours, of centres, and against the live board."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from callcore.domain import facts as f
from callcore.domain.asks import AskEnd
from callcore.domain.board import HALF_HOUR, todays_figures
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import AgentId, CentreId, Instant
from callcore.domain.measures import imbalance
from callcore.domain.shifts import Doing, Roster, Stretch, staffing, wrap_ups
from callcore.domain.stages import Outcome
from callcore.reports.report import Ledger, Report, Row, day_report
from tests.property.test_core_garbage import DRAWS, Draw, at_work, tell
from tests.support.days import VERBS, TestFrame, a_day
from tests.support.floors import MONDAY_NOON
from tests.support.tapes import Taped, a_simulated_day

DEMO = CentreId("demo")
SEEDS = st.integers(0, 10**9)
LINKS = st.lists(
    st.tuples(st.sampled_from(["lost", "killed"]), st.integers(1, 40), st.integers(5, 60)), max_size=3
)
CHOICES = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 10**6)), max_size=40)


def ledger(frames: Iterable[TestFrame]) -> Ledger:
    made = Ledger()
    for frame in frames:
        made.take(frame)
    return made


def of_day(frames: list[TestFrame]) -> Report:
    return day_report(frames, DEMO, None)


# -- shifts --------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), links=LINKS)
def test_an_agents_stretches_fill_the_time_signed_in_without_gap_or_overlap(
    seed: int, callers: int, links: list[tuple[str, int, int]]
) -> None:
    frames = a_simulated_day(seed, callers, links).core.frames
    made = ledger(frames)
    signed: dict[AgentId, list[tuple[Instant, Instant]]] = defaultdict(list)
    since: dict[AgentId, Instant] = {}
    for frame in frames:
        for fact in frame.facts:
            if isinstance(fact, f.AgentSignedIn):
                since[fact.agent] = fact.at
            elif isinstance(fact, f.AgentSignedOut):
                signed[fact.agent].append((since.pop(fact.agent), fact.at))
    for agent, first in since.items():
        signed[agent].append((first, made.at))
    lived: dict[AgentId, list[Stretch]] = defaultdict(list)
    for stretch in made.roster.stretches(made.at):
        assert stretch.first < stretch.before
        lived[stretch.agent].append(stretch)
    for agent, shifts in signed.items():
        mine = sorted(lived.pop(agent, []), key=lambda s: s.first)
        joined: list[tuple[Instant, Instant]] = []
        for s in mine:
            if joined and joined[-1][1] == s.first:
                joined[-1] = (joined[-1][0], s.before)
            else:
                joined.append((s.first, s.before))
        wanted: list[tuple[Instant, Instant]] = []
        for a, b in shifts:
            if wanted and wanted[-1][1] == a:
                wanted[-1] = (wanted[-1][0], b)
            elif a < b:
                wanted.append((a, b))
        assert joined == wanted
    assert not lived


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), links=LINKS)
def test_the_talk_of_an_agent_is_the_talk_of_the_call(
    seed: int, callers: int, links: list[tuple[str, int, int]]
) -> None:
    made = ledger(a_simulated_day(seed, callers, links).core.frames)
    talked: dict[str | None, int] = defaultdict(int)
    for s in made.roster.stretches(made.at):
        if s.doing is Doing.TALKING:
            talked[s.call] += s.before - s.first
    for record in made.books.records.values():
        if record.agent is not None and record.outcome is not None and record.offers:
            assert talked[record.call] == record.talk, record


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14))
def test_the_after_call_work_that_metrics_tell_is_the_agents_own(seed: int, callers: int) -> None:
    made = ledger(a_simulated_day(seed, callers, []).core.frames)
    busy = made.roster.wrapping_up
    of_agents = wrap_ups(made.roster.stretches(made.at))
    told = made.books.wraps
    assert {one.call for one in told.going.values()} == busy
    assert {k: n for k, n in told.lengths.items() if k not in busy and n} == {
        k: n for k, n in of_agents.items() if k not in busy
    }


class EverybodyLookedAt(Roster):
    """Looks at every agent after every fact."""

    def _concerned(self, before: Floor, fact: f.Fact, after: Floor) -> Iterable[AgentId]:
        return sorted({*after.agents, *before.agents})


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), links=LINKS)
def test_no_change_of_an_agent_is_overlooked(
    seed: int, callers: int, links: list[tuple[str, int, int]]
) -> None:
    frames = a_simulated_day(seed, callers, links).core.frames
    quick, slow, floor = Roster(), EverybodyLookedAt(), Floor()
    for frame in frames:
        for fact in frame.facts:
            after = evolve(floor, fact)
            quick.after(floor, fact, after)
            slow.after(floor, fact, after)
            floor = after
        quick.settle(floor, frame.at)
        slow.settle(floor, frame.at)
    end = frames[-1].at
    assert sorted(quick.stretches(end), key=by_place) == sorted(slow.stretches(end), key=by_place)


def by_place(stretch: Stretch) -> tuple[str, int]:
    return stretch.agent, stretch.first


# -- divided among centres and half hours --------------------------------------------------------------------

CENTRES = tuple(CentreId(name) for name in ("a", "b", "c"))
PIECES = st.lists(
    st.tuples(
        st.integers(0, 4),  # agent
        st.integers(1, 9_000_000_000),  # length, in microseconds
        st.sets(st.sampled_from(CENTRES), min_size=1),
        st.sampled_from(list(Doing)),
        st.sampled_from(["休憩", "昼休み", "研修"]),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(pieces=PIECES, gap=st.integers(0, 10**9))
def test_over_all_half_hours_and_centres_no_microsecond_is_lost_and_no_person_is_counted_twice(
    pieces: list[tuple[int, int, set[CentreId], Doing, str]], gap: int
) -> None:
    at = dict.fromkeys(range(5), MONDAY_NOON)
    stretches: list[Stretch] = []
    for agent, length, centres, doing, reason in pieces:
        first = at[agent]
        at[agent] = Instant(first + length + gap)
        pause = reason if doing is Doing.PAUSED else None
        stretches.append(
            Stretch(
                AgentId(str(agent)),
                doing,
                first,
                Instant(first + length),
                tuple(sorted(centres)),
                None,
                pause,
            )
        )
    end = max(at.values())
    spans = [(Instant(a), Instant(a + HALF_HOUR)) for a in range(MONDAY_NOON, end + HALF_HOUR, HALF_HOUR)]
    told = {c: staffing(stretches, c, spans, end, MONDAY_NOON) for c in CENTRES}
    assert sum(s.signed_in for c in CENTRES for s in told[c]) == sum(s.before - s.first for s in stretches)
    staffed = sum(s.before - s.first for s in stretches if s.staffed)
    assert sum(s.staffed.part for c in CENTRES for s in told[c]) == staffed
    for n in range(len(spans)):
        mine = [told[c][n] for c in CENTRES]
        for s in mine:
            assert sum(s.pauses.values()) == s.lengths[Doing.PAUSED]
            if s.least is None or s.most is None:
                continue
            assert 0 <= s.least <= s.most <= 5
            shares = [stretch for stretch in stretches if len(stretch.centres) > 1]
            if not shares:
                assert s.least * s.staffed.whole <= s.staffed.part <= s.most * s.staffed.whole
        assert sum(s.staffed.part for s in mine) <= 5 * max(s.staffed.whole for s in mine)
        assert sum(s.most or 0 for s in mine) <= 5 * len(CENTRES)


# -- reports -------------------------------------------------------------------------------------------------

COUNTS = (
    "arrived",
    "closed",
    "offered",
    "answered",
    "abandoned",
    "abandoned_short",
    "overflow",
    "failed",
    "waiting",
    "talking",
    "hangups_before_answer",
    "arrivals",
    "reconstructed",
    "open",
)


ASKS = (
    "transferred_attended",
    "transferred_blind",
    "lost_on_hold",
    "asked",
    "unasked",
    "open",
    "answered",
)


def _departments_add_up(row: Row) -> None:
    """Of one row: to all together, to what became of each, and to the contract's own figures."""
    each, whole = row.by_department.values(), row.asks
    for name in ASKS:
        assert sum(getattr(one, name) for one in each) == getattr(whole, name), name
    for end in AskEnd:
        assert sum(one.ends[end] for one in each) == whole.ends[end]
    for one in (*each, whole):
        assert one.asked + one.unasked == sum(one.ends.values()) + one.open
    for department, one in row.by_department.items():
        assert department is None or one.lost_on_hold == one.ends[AskEnd.LOST_ON_HOLD]
    ends = row.endings.by_outcome
    assert whole.lost_on_hold == ends[Outcome.LOST_ON_HOLD]
    assert whole.transferred_attended + whole.transferred_blind == row.endings.transfer_ratio.part
    assert whole.transferred_blind == ends[Outcome.TRANSFERRED_BLIND]


def adds_up(made: Report) -> None:
    for day in made.days:
        halves = day.half_hours
        for row in (*halves, day.row, made.total):
            assert imbalance(row.figures) is None
            assert sum(row.endings.by_outcome.values()) == row.figures.arrived - row.figures.open
            assert (
                row.handling.time.whole + row.handling.unfinished + row.handling.unknown
                <= row.figures.arrived
            )
        for name in COUNTS:
            assert sum(getattr(h.figures, name) for h in halves) == getattr(day.row.figures, name), name
        for name in ("part", "whole"):
            for ratio in ("answer_ratio", "service_level", "abandon_ratio"):
                parts = [getattr(getattr(h.figures, ratio), name) for h in halves]
                assert sum(parts) == getattr(getattr(day.row.figures, ratio), name)
            assert sum(getattr(h.handling.time, name) for h in halves) == getattr(day.row.handling.time, name)
        for row in (*halves, day.row, made.total):
            _departments_add_up(row)
        for name in ASKS:
            assert sum(getattr(h.asks, name) for h in halves) == getattr(day.row.asks, name), name
        for end in AskEnd:
            assert sum(h.asks.ends[end] for h in halves) == day.row.asks.ends[end]
        for doing in Doing:
            assert sum(h.staffing.lengths[doing] for h in halves) == day.row.staffing.lengths[doing]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 14), links=LINKS)
def test_half_hours_add_up_to_the_day_and_the_day_is_what_the_live_board_showed(
    seed: int, callers: int, links: list[tuple[str, int, int]]
) -> None:
    frames = a_simulated_day(seed, callers, links).core.frames
    for end in (len(frames) // 3, len(frames) * 2 // 3, len(frames)):
        told = frames[: max(end, 1)]
        made = of_day(told)
        adds_up(made)
        kept = ledger(told)
        window, live = todays_figures(kept.books, kept.floor.centres[DEMO], made.at)
        assert (window.first, window.before) == made.span
        assert made.total.figures == live


@settings(max_examples=20, deadline=None)
@given(choices=CHOICES)
def test_a_day_of_holds_lost_legs_and_the_safety_net_adds_up_too(choices: list[tuple[str, int]]) -> None:
    adds_up(of_day(a_day(choices).frames))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, callers=st.integers(1, 12), links=LINKS)
def test_over_midnight_a_call_is_the_day_of_its_arrival_and_an_agents_seconds_are_both_days(
    seed: int, callers: int, links: list[tuple[str, int, int]]
) -> None:
    sim = a_simulated_day(seed, callers, links, s=600, begin_s=12 * 3600 - 100)
    frames = sim.core.frames
    kept = ledger(frames)
    first = kept.floor.centres[DEMO].calendar.local_date(frames[0].at)
    whole = day_report(frames, DEMO, first)
    assume(kept.at >= whole.span[1])  # else nothing was told of the second day
    days = [whole, day_report(frames, DEMO, first + timedelta(days=1))]
    for made in days:
        adds_up(made)
    records = kept.books.records.values()
    assert [made.total.figures.arrived for made in days] == [
        sum(r.arrived_at < days[0].span[1] for r in records),
        sum(r.arrived_at >= days[0].span[1] for r in records),
    ]
    signed_in = sum(s.before - s.first for s in kept.roster.stretches(kept.at))
    assert sum(made.total.staffing.signed_in for made in days) == signed_in
    if days[0].final:
        alone = [frame for frame in frames if frame.at <= days[0].at]
        assert day_report(alone, DEMO, first) == days[0], "what came later does not change it"


@settings(max_examples=20, deadline=None)
@given(draws=DRAWS, which=st.integers(0, 2))
def test_whatever_nonsense_is_told_books_and_seconds_still_add_up(draws: list[Draw], which: int) -> None:
    """Doubled, late, reordered and missing inputs of every kind, steps of the clock included."""
    desk = at_work(which, Taped())
    tell(desk, draws)
    assert isinstance(desk, Taped)
    kept = ledger(desk.frames)
    assert kept.floor == desk.floor
    for stretch in kept.roster.stretches(kept.at):
        assert stretch.first < stretch.before
        assert stretch.centres
        assert (stretch.pause is not None) == (stretch.doing is Doing.PAUSED)
    for centre in kept.floor.centres:
        adds_up(day_report(desk.frames, centre, None))
