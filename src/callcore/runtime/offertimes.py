"""How long an offer takes inside callcore: from "an agent is free and a caller waits" to the redirect.

Three lengths, of which each holds the one before:

- `decided`: from the same instant as `inside` until the offer is decided, written in the journal and begun.
- `inside`: from the instant at which the bytes of the event that made the offer possible were read (of a timer: at
  which it was due) until the redirect is handed to the link. It does not see bytes that lie in the socket while the
  process is busy.
- `whole`: from the `Timestamp` that Asterisk gave that event until the same end. It sees that as well, and Asterisk's
  own delay with it.

Between decided and redirected lies the look at the channel, which is a round trip to Asterisk.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log

from callcore.domain.ids import Instant, Micros, OfferId

FIRST_BOUND = 50
"""Microseconds: nothing that takes a round trip to Asterisk is shorter."""
GROWTH = 1.05
"""From one bound to the next: a quantile that is read from the counts is at most 5 % too long."""
BOUNDS = 300
"""The last one is beyond 100 s."""
WINDOW = 1000
"""Offers over which the present quantiles are taken."""


def monotonic() -> Micros:
    return Micros(time.monotonic_ns() // 1000)


def rank(ordered: Sequence[int], share: float) -> int:
    """The quantile by nearest rank of what is in order and not empty."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Seconds within which this share of what was counted lies (the bound that it did not exceed); None: nothing."""
    whole = sum(counts)
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if whole and seen >= share * whole:
            return FIRST_BOUND * GROWTH**place / 1e6
    return None


@dataclass(slots=True)
class Spread:
    """One length of time: counted by bounds since the start, and the last ones as they were."""

    counts: list[int] = field(default_factory=lambda: [0] * BOUNDS)
    last: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, micros: int) -> None:
        place = 0 if micros <= FIRST_BOUND else ceil(log(micros / FIRST_BOUND, GROWTH))
        self.counts[min(place, BOUNDS - 1)] += 1
        self.last.append(micros)


class OfferTimes:
    """Told by the deciding task when it wants an offer, and by whoever carries it out when the redirect goes."""

    def __init__(self, now: Callable[[], Instant], clock: Callable[[], Micros] = monotonic) -> None:
        """`now` is the node's time, `clock` the monotonic one that `since` is of."""
        self.decided = Spread()
        self.inside = Spread()
        self.whole = Spread()
        self._now = now
        self._clock = clock
        self._wanted: dict[OfferId, tuple[Micros, Instant]] = {}

    def wanted(self, offer: OfferId, since: Micros, at: Instant) -> None:
        """An offer is wanted, because of what was read at `since` and stamped `at`."""
        self._wanted[offer] = (since, at)

    def begun(self, offer: OfferId) -> None:
        """It stands in the journal, and its doing begins."""
        found = self._wanted.get(offer)
        if found is not None:
            self.decided.add(max(0, self._clock() - found[0]))

    def sent(self, offer: OfferId) -> None:
        """Its redirect goes to Asterisk now."""
        found = self._wanted.pop(offer, None)
        if found is not None:
            since, at = found
            inside = max(0, self._clock() - since)
            self.inside.add(inside)
            # A timer that fires late bears the instant at which it fired.
            self.whole.add(max(inside, self._now() - at))

    def over(self, offer: OfferId) -> None:
        """It was carried out or not; nothing more will be told of it."""
        self._wanted.pop(offer, None)

    def counts(self) -> Mapping[str, Sequence[int]]:
        """Since the start, by bounds: for `quantile` of the difference between two instants."""
        return {"decided": self.decided.counts, "inside": self.inside.counts, "whole": self.whole.counts}

    def gauges(self) -> Mapping[str, float]:
        """The last offers, in seconds; nothing before the first."""
        if not self.inside.last:
            return {}
        inside, whole = sorted(self.inside.last), sorted(self.whole.last)
        return {
            "engine_offer_median_seconds": rank(inside, 0.5) / 1e6,
            "engine_offer_p99_seconds": rank(inside, 0.99) / 1e6,
            "engine_offer_largest_seconds": inside[-1] / 1e6,
            "engine_offer_whole_p99_seconds": rank(whole, 0.99) / 1e6,
            "engine_offer_decided_p99_seconds": rank(sorted(self.decided.last), 0.99) / 1e6
            if self.decided.last
            else 0.0,
        }
