"""µ-law (ITU-T G.711) from 16 bit samples and back."""

from __future__ import annotations

from callcore.pcm import SAMPLE, audioop


def to_ulaw(samples: bytes) -> bytes:
    """One byte for each 16 bit sample (little-endian)."""
    return bytes(audioop().lin2ulaw(samples, SAMPLE))


def from_ulaw(ulaw: bytes) -> bytes:
    """A 16 bit sample (little-endian) for each byte."""
    return bytes(audioop().ulaw2lin(ulaw, SAMPLE))
