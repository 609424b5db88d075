"""µ-law (ITU-T G.711) from 16 bit samples and back."""

from __future__ import annotations

import warnings
from typing import Any


def to_ulaw(samples: bytes) -> bytes:
    """One byte for each 16 bit sample (little-endian)."""
    return bytes(_audioop().lin2ulaw(samples, 2))


def from_ulaw(ulaw: bytes) -> bytes:
    """A 16 bit sample (little-endian) for each byte."""
    return bytes(_audioop().ulaw2lin(ulaw, 2))


def _audioop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated since 3.11; from 3.13 on audioop-lts is in its place
        import audioop

    return audioop
