"""The wall clock is set: what is told, and what the time is afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from callcore.domain.ids import SECOND, Instant, Micros
from callcore.runtime.clockwatch import OLD_STAMPS_S, STEP_S, ClockWatch

NOON = 1_795_402_800 * SECOND
HOUR = 3600 * SECOND


@dataclass
class Clock:
    """Two clocks that a test turns: both together, or the wall's alone."""

    passed: int = 0
    set_by: int = 0
    told: list[int] = field(default_factory=list)

    def wall(self) -> Instant:
        return Instant(NOON + self.passed + self.set_by)

    def monotonic(self) -> Micros:
        return Micros(self.passed)

    def watch(self) -> ClockWatch:
        return ClockWatch(self, self.told.append)


def test_a_step_either_way_is_told_once_with_its_length() -> None:
    clock = Clock()
    watch = clock.watch()
    for step in (HOUR, -HOUR, -HOUR):
        clock.passed += SECOND
        clock.set_by += step
        for _ in range(3):
            watch.look()
    assert clock.told == [HOUR, -HOUR, -HOUR]
    assert watch.steps == 3


def test_time_that_passes_and_a_clock_that_is_slewed_are_no_steps() -> None:
    clock = Clock()
    watch = clock.watch()
    for _ in range(10_000):
        clock.passed += SECOND // 5
        clock.set_by += 100  # 500 µs a second, the most that NTP slews
        watch.look()
    clock.passed += 600 * SECOND  # the process stood still, the clock did not step
    watch.look()
    clock.set_by += round(STEP_S * SECOND)
    watch.look()
    assert clock.told == []


def test_what_was_stamped_just_before_a_step_is_put_onto_the_new_clock_and_nothing_else() -> None:
    for step in (HOUR, -HOUR):
        clock = Clock()
        watch = clock.watch()
        before = clock.wall()
        assert watch.corrected(before, clock.wall()) == before
        clock.passed += SECOND
        clock.set_by = step
        watch.look()
        after = clock.wall()
        assert watch.corrected(before, after) == before + step
        assert watch.corrected(after, after) == after
        clock.passed += round((OLD_STAMPS_S + 1) * SECOND)
        assert watch.corrected(before, clock.wall()) == before, "too late to belong to that step"
