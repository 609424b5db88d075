"""16 bit samples (little-endian), by the standard library's audioop."""

from __future__ import annotations

import warnings
from array import array
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
    """Both as one sound of two channels. Raises ValueError: they are not of one length."""
    # As samples of twice the width, those of the right have their own bytes behind two others: the left's place.
    both = array("h", audioop().lin2lin(right, SAMPLE, 2 * SAMPLE))
    both[::2] = array("h", left)
    return both.tobytes()


def mixed(both: bytes) -> bytes:
    """Left and right of a sound of two channels, added."""
    samples = array("h", both)
    return bytes(audioop().add(samples[::2], samples[1::2], SAMPLE))


def mixes(one: bytes, other: bytes, both: bytes) -> bool:
    """Whether `both` are the two added, sample by sample. Where that is out of range, Asterisk ends at -32767."""
    if not len(one) == len(other) == len(both):
        return False
    ops = audioop()
    added = ops.add(one, other, SAMPLE)
    if added == both:  # as nearly always: it costs a third
        return True
    off = ops.add(added, ops.mul(both, SAMPLE, -1), SAMPLE)
    return bool(ops.max(off, SAMPLE) <= 1)
