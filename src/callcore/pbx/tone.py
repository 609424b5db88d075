"""Two sounds that nobody speaks, as files: the tone that warns an agent in a consult of a caller on hold (PlayTones is
silent on a Local channel), and the silence at the beginning of a talk (callcore-offer, dialplans/callcore.conf)."""

from __future__ import annotations

from array import array
from math import pi, sin
from pathlib import Path
from sys import byteorder
from typing import Final

from callcore.prompts import shelf

NAME: Final = "callcore-tone"
SILENCE: Final = "callcore-silence"
"""Both below Asterisk's sounds folder."""
_HZ: Final = 1400
"""Off the beeps that phones make themselves, and what the telephone carries well."""
_BEEPS, _ON_S, _OFF_S, _LEVEL = 3, 0.2, 0.1, 0.2
_SILENCE_S: Final = 0.12
"""After 0.08 s without a packet of one side MixMonitor no longer keeps back what it has of the other."""


def write(sounds: Path) -> None:
    beep = [_LEVEL * sin(2 * pi * _HZ * n / shelf.RATE) for n in range(round(_ON_S * shelf.RATE))]
    samples = array("h", (round(s * 32767) for s in (beep + [0.0] * round(_OFF_S * shelf.RATE)) * _BEEPS))
    if byteorder == "big":
        samples.byteswap()
    shelf.put(sounds / f"{NAME}.sln", samples.tobytes())
    shelf.put(sounds / f"{SILENCE}.sln", bytes(2 * round(_SILENCE_S * shelf.RATE)))
