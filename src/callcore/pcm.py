"""16 bit samples (little-endian), by the standard library's audioop."""

from __future__ import annotations

import warnings
from typing import Any

SAMPLE = 2
"""Bytes of one."""


def audioop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated since 3.11; from 3.13 on audioop-lts is in its place
        import audioop as module

    return module


def mixes(one: bytes, other: bytes, both: bytes) -> bool:
    """Whether `both` are the two added, sample by sample. Where that is out of range, Asterisk ends at -32767."""
    if not len(one) == len(other) == len(both):
        return False
    ops = audioop()
    off = ops.add(ops.add(one, other, SAMPLE), ops.mul(both, SAMPLE, -1), SAMPLE)
    return bool(ops.max(off, SAMPLE) <= 1)
