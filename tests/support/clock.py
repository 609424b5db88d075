"""A wall clock that a test can set, for Asterisk and callcore only: libfaketime, with the monotonic clock left alone.

Debian's `libfaketime`; who is started while `faked` is open sees the clock that `Clock.set` moves, at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARY = "faketime/libfaketimeMT.so.1"


class Clock:
    """The machine's clock with an offset that can be changed under running processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, offset_s: int) -> None:
        """From now on the clock is so many seconds ahead of the machine's (behind: negative)."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}\n")
        fresh.replace(self._file)

    @contextmanager
    def faked(self) -> Iterator[None]:
        """Processes that are started meanwhile live by this clock."""
        (library,) = Path("/usr/lib").glob(f"*/{LIBRARY}")
        ours = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name)
                else:
                    os.environ[name] = value
