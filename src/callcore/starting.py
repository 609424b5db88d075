"""A start without the garbage collector: nearly all that is imported or restored stays for good, and looking through it
again and again while it grows was an eighth or more of the imports' CPU."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector rests until the end of the block, and then works whether it did before or not."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
