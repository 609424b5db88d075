"""16 bit samples (little-endian), by the standard library's audioop."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

SAMPLE = 2
"""Bytes of one."""


@cache
def audioop() -> Any:
    """The module. Warnings are set aside for all threads meanwhile, so it is found once, while there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated since 3.11; from 3.13 on audioop-lts is in its place
        import audioop as module

    return module


audioop()


def interleaved(left: bytes, right: bytes) -> bytes:
    """Both as one sound of two channels."""
    ops = audioop()
    return bytes(ops.add(ops.tostereo(left, SAMPLE, 1, 0), ops.tostereo(right, SAMPLE, 0, 1), SAMPLE))


def mixed(both: bytes) -> bytes:
    """Left and right of a sound of two channels, added."""
    ops = audioop()
    return bytes(ops.add(ops.tomono(both, SAMPLE, 1, 0), ops.tomono(both, SAMPLE, 0, 1), SAMPLE))


def mixes(one: bytes, other: bytes, both: bytes) -> bool:
    """Whether `both` are the two added, sample by sample. Where that is out of range, Asterisk ends at -32767."""
    if not len(one) == len(other) == len(both):
        return False
    ops = audioop()
    off = ops.add(ops.add(one, other, SAMPLE), ops.mul(both, SAMPLE, -1), SAMPLE)
    return bool(ops.max(off, SAMPLE) <= 1)
