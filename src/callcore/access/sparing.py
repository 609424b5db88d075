"""Which of many equal events gets a line of the audit trail: whoever knocks a thousand times fills no disk.

The first of its kind at once, then one in `EVERY_S` at most; each line tells how many it stands for. All of them are
in the log and in the counters, one by one.
"""

from __future__ import annotations

from collections.abc import Callable

EVERY_S = 60.0
KINDS_MOST = 1000
"""Beyond that many different ones the oldest are forgotten, and begin anew."""


class Sparing:
    """`now`: seconds of a clock that is never set back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}
        """By kind: when its last line was, and how many came since."""

    def due(self, *kind: str) -> int:
        """How many events of this kind a line is to tell now, this one included; 0: no line."""
        last, left_out = self._told.get(kind, (None, 0))
        if last is not None and self._now() - last < EVERY_S:
            self._told[kind] = (last, left_out + 1)
            return 0
        self._told.pop(kind, None)
        while len(self._told) >= KINDS_MOST:
            del self._told[next(iter(self._told))]
        self._told[kind] = (self._now(), 0)
        return left_out + 1
