"""How late events are: measured on the whole way, with a clock that the test turns."""

from __future__ import annotations

import asyncio

import pytest

from callcore.ami import ActionFailed, Canary, Event, Link, LinkUp, Settings
from callcore.domain.ids import Micros
from tests.contract.fake_ami import DEADLINE, Action, FakeAmi, event, until


class Watch:
    """A monotonic clock in microseconds, and a sleep that ends after one turn of the loop."""

    def __init__(self) -> None:
        self.micros = 0
        self.slept: list[float] = []

    def monotonic(self) -> Micros:
        return Micros(self.micros)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


def echo(action: Action) -> bytes:
    """Asterisk's answer to a UserEvent action: the response, then the event with the headers it was given."""
    own = [line for line in action.lines if not line.startswith(("Action:", "UserEvent:"))]
    return action.success("Message: Event Sent") + event(
        "UserEvent", f"UserEvent: {action.get('UserEvent')}", *own
    )


def settings(server: FakeAmi) -> Settings:
    return Settings("127.0.0.1", server.port, "callcore", "right", ping_interval=30.0)


async def next_user_event(link: Link) -> Event:
    while not isinstance(item := await asyncio.wait_for(link.next_event(), DEADLINE), Event):
        assert isinstance(item, LinkUp)
    return item


async def test_the_lag_is_that_of_the_whole_way_to_the_worker() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        server.answer("UserEvent", echo)
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep, bound=0.5)
        for micros in (400, 900_000, 600):
            await canary.beat()
            watch.micros += micros
            assert canary.seen(await next_user_event(link))
        lag = canary.lag()
        assert (lag.last, lag.median, lag.largest, lag.count) == (600, 600, 900_000, 3)
        assert not lag.late


async def test_a_link_that_delivers_no_event_is_late_and_not_silent() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep, bound=0.5)
        await canary.beat()
        watch.micros += 500_000
        assert not canary.lag().late
        watch.micros += 1
        assert canary.lag().late
        assert canary.lag().waiting == 500_001
        canary.anew()
        assert not canary.lag().late


async def test_a_late_event_marks_the_times_as_imprecise_until_one_is_in_time_again() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        server.answer("UserEvent", echo)
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep, bound=0.5)
        seen = []
        for micros in (2_000_000, 1000):
            await canary.beat()
            watch.micros += micros
            canary.seen(await next_user_event(link))
            seen.append(canary.lag().late)
        assert seen == [True, False]


async def test_a_canary_of_another_run_measures_nothing_and_other_user_events_are_left_alone() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep)
        server.send(event("UserEvent", "UserEvent: CallcoreCanary", "Canary: foreign-1"))
        server.send(event("UserEvent", "UserEvent: CallcoreHeld", "Call: n-1.1"))
        assert canary.seen(await next_user_event(link))
        assert not canary.seen(await next_user_event(link))
        assert canary.lag().count == 0


async def test_it_beats_once_a_second_and_survives_a_link_that_is_away() -> None:
    watch = Watch()
    async with FakeAmi() as server:
        link = Link(settings(server))
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep)
        task = asyncio.create_task(canary.run())
        await until(lambda: len(watch.slept) >= 3, "three beats")
        task.cancel()
        await asyncio.wait({task})
        assert watch.slept[:3] == [1.0, 1.0, 1.0]
        assert canary.lag().waiting is None


async def test_a_missing_right_to_send_user_events_is_not_taken_for_a_slow_link() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        server.answer("UserEvent", lambda a: a.error("Permission denied"))
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep)
        with pytest.raises(ActionFailed, match="Permission denied"):
            await canary.beat()
        assert canary.lag().waiting is None


async def test_who_asks_is_told_when_all_events_of_before_have_come() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        server.answer("UserEvent", echo)
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep)
        await canary.beat()
        watch.micros += 1000
        waiting = asyncio.create_task(canary.overtaken())
        canary.seen(await next_user_event(link))
        await asyncio.sleep(0)
        assert not waiting.done(), "that one was sent before the question: events between them may still come"
        watch.micros += 1000
        await canary.beat()
        canary.seen(await next_user_event(link))
        await asyncio.wait_for(waiting, DEADLINE)


async def test_what_was_on_its_way_over_a_lost_link_is_missed_and_not_late() -> None:
    watch = Watch()
    async with FakeAmi() as server, Link(settings(server)) as link:
        server.answer("UserEvent", echo)
        await link.wait_up(DEADLINE)
        canary = Canary(link, monotonic=watch.monotonic, sleep=watch.sleep, bound=0.5)
        await canary.beat()
        watch.micros += 2_000_000
        canary.seen(await next_user_event(link))
        assert canary.lag().late
        canary.anew()
        assert not canary.lag().late
        assert canary.lag().largest == 2_000_000, "the figures look back all the same"
