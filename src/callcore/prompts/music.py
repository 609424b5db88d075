"""Music on hold, made here so that nobody's rights are in it: slow bells over a soft pad, in G.

Everything is added up on a ring of samples, so that a note that sounds past the end goes on at the beginning
and the loop has no seam. Only what a telephone carries (300–3,400 Hz) is left in.
"""

from __future__ import annotations

from typing import Any

from callcore.prompts.shelf import RATE

BAR_S = 4.0
LEVEL_DBFS = -24.0
"""RMS against full scale: below speech, so that nobody starts when an agent answers."""
LOW_HZ, HIGH_HZ = 300.0, 3400.0

# Chords as semitones from A4 = 440 Hz; one bar each. G Em C D, G Bm C D.
_G, _E_MINOR, _C, _D, _B_MINOR = (-2, 2, 5), (-5, -2, 2), (3, -5, -2), (5, -3, 0), (2, 5, -3)
_BARS = (_G, _E_MINOR, _C, _D, _G, _B_MINOR, _C, _D)
_ARPEGGIO = (0, 1, 2, 1, 0, 2, 1, 2)
"""Which note of the chord each half second plays, an octave above the pad."""
_MELODY = (
    (4, 0.0, 14),
    (4, 2.0, 17),
    (5, 0.0, 14),
    (5, 2.0, 9),
    (6, 0.0, 10),
    (6, 2.0, 14),
    (7, 0.0, 12),
    (7, 2.0, 9),
)
"""Bar, seconds into it, semitones from A4."""


def loop() -> bytes:
    """32 seconds that may be played round and round: 8 kHz mono 16 bit samples. Needs numpy."""
    import numpy as np

    length = int(len(_BARS) * BAR_S * RATE)
    ring = np.zeros(length)
    for bar, chord in enumerate(_BARS):
        start = bar * BAR_S
        for note in chord:
            _add(ring, _pad(_hertz(note), BAR_S + 1.5), start - 0.75, 0.30)
        for step, which in enumerate(_ARPEGGIO):
            _add(ring, _bell(_hertz(chord[which] + 12), 2.5), start + step * BAR_S / 8, 0.35)
    for bar, second, note in _MELODY:
        _add(ring, _bell(_hertz(note), 3.5), bar * BAR_S + second, 0.55)
    ring = _in_band(ring)
    ring *= 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(ring**2))
    return bytes(np.rint(ring * 32767).astype("<i2").tobytes())


def _hertz(semitones: int) -> float:
    return float(440.0 * 2 ** (semitones / 12))


def _add(ring: Any, sound: Any, second: float, gain: float) -> None:
    import numpy as np

    places = (np.arange(len(sound)) + round(second * RATE)) % len(ring)
    np.add.at(ring, places, gain * sound)


def _bell(hertz: float, length_s: float) -> Any:
    """A struck tone: soft beginning, the overtones gone sooner than the ground."""
    import numpy as np

    t = np.arange(int(length_s * RATE)) / RATE
    tone = np.zeros_like(t)
    for times, gain, decay in ((1, 1.0, 1.6), (2, 0.25, 3.0), (3, 0.10, 5.0)):
        if hertz * times < HIGH_HZ:
            tone += gain * np.exp(-decay * t) * np.sin(2 * np.pi * hertz * times * t)
    return tone * np.minimum(1, t / 0.02) * np.minimum(1, (length_s - t) / 0.3)


def _pad(hertz: float, length_s: float) -> Any:
    """A tone that swells and sinks, beating slowly against itself."""
    import numpy as np

    t = np.arange(int(length_s * RATE)) / RATE
    tone = np.sin(2 * np.pi * (hertz - 0.4) * t) + np.sin(2 * np.pi * (hertz + 0.4) * t)
    return 0.5 * tone * np.sin(np.pi * t / length_s) ** 2


def _in_band(ring: Any) -> Any:
    """What lies between LOW_HZ and HIGH_HZ, edges 60 Hz wide; on the ring, so that no seam comes of it."""
    import numpy as np

    spectrum = np.fft.rfft(ring)
    hertz = np.fft.rfftfreq(len(ring), 1 / RATE)
    edge = 60.0
    rise = np.clip((hertz - LOW_HZ) / edge, 0, 1)
    fall = np.clip((HIGH_HZ - hertz) / edge, 0, 1)
    return np.fft.irfft(spectrum * np.sin(rise * np.pi / 2) * np.sin(fall * np.pi / 2), len(ring))
