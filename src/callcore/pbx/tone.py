"""The tone that warns an agent in a consult of a caller on hold; a file, as PlayTones is silent on a Local channel."""

from __future__ import annotations

from array import array
from math import pi, sin
from pathlib import Path
from sys import byteorder
from typing import Final

from callcore.prompts import shelf

NAME: Final = "callcore-tone"
"""Below Asterisk's sounds folder."""
_HZ: Final = 1400
"""Off the beeps that phones make themselves, and what the telephone carries well."""
_BEEPS, _ON_S, _OFF_S, _LEVEL = 3, 0.2, 0.1, 0.2


def write(sounds: Path) -> None:
    beep = [_LEVEL * sin(2 * pi * _HZ * n / shelf.RATE) for n in range(round(_ON_S * shelf.RATE))]
    samples = array("h", (round(s * 32767) for s in (beep + [0.0] * round(_OFF_S * shelf.RATE)) * _BEEPS))
    if byteorder == "big":
        samples.byteswap()
    shelf.put(sounds / f"{NAME}.sln", samples.tobytes())
