"""Which whole phrase tells a caller a place in the line, or how long it will take.

A phrase has one name in every language; its texts are `callcore.prompts`' own. What lies beyond them is rounded so that
nobody is promised too much: a place beyond 20 is "20 or more before you", a wait is rounded up to the minute, one of
more than 30 is "30 minutes or more".
"""

from __future__ import annotations

from math import ceil

PLACES = range(1, 21)
WAITS_MIN = range(1, 31)


def place(n: int) -> str:
    """The caller's place in the line, from 1. Raises ValueError below that."""
    if n < 1:
        raise ValueError(f"a place counts from 1, not {n}")
    return f"place-{n}" if n in PLACES else "place-more"


def wait(seconds: float) -> str:
    """About how long it will take. Up to half a minute: soon; then rounded up to whole minutes."""
    if seconds <= 30:
        return "wait-soon"
    minutes = ceil(seconds / 60)
    return f"wait-{minutes}" if minutes in WAITS_MIN else "wait-more"
