"""From speech of any kind to telephone audio: resampled, trimmed, of one loudness, encoded.

Loudness is that of ITU-R BS.1770-4 (EBU R128), measured here over what the telephone carries: K-weighting, blocks of
400 ms with 75 % overlap, absolute gate at -70 LUFS, relative gate at -10 LU. ffmpeg's `ebur128` says the same (a test
holds the two together), but refuses phrases shorter than one block; here such a phrase is its own block.

ffmpeg resamples (soxr: pydub's own resampling leaves everything above half the new rate in, as noise) and encodes
G.722; pydub cuts and sets the gain.
"""

from __future__ import annotations

import io
import math
import subprocess
import warnings
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from callcore.g711 import from_ulaw, to_ulaw
from callcore.prompts.shelf import RATE
from callcore.prompts.voices import PromptsUnavailable, Spoken, tool

WIDE_RATE: Final = 16_000
"""Of G.722."""

TARGET_LUFS: Final = -21.0
"""About the level of a person on a telephone line; every prompt has it within `TOLERANCE_LU`."""
TOLERANCE_LU: Final = 1.0
PEAK_DBFS: Final = -1.0
"""No sample comes nearer to full scale than this: what stands out is rounded off above `KNEE_DBFS`."""
KNEE_DBFS: Final = -4.0

SILENT_LUFS: Final = -60.0
"""Nobody hears what is not louder."""
CLIPPED_MOST: Final = 0.0005
"""Share of a recording's samples at full scale beyond which it is heard to be clipped; a clean one has next to none."""

MARGIN_MS: Final = 150
"""Silence before and after a prompt."""
PHRASE_MARGIN_MS: Final = 40
"""Before and after a part of a sentence."""

_SILENT_DB: Final = 35.0
"""What is this much below the loudest frame is no speech."""
_FRAME_MS: Final = 20
_FFMPEG: Final = ("-hide_banner", "-loglevel", "error", "-nostdin")


@dataclass(frozen=True, slots=True)
class Audio:
    """What Asterisk plays, and what was measured of it (after decoding the `.ulaw`)."""

    ulaw: bytes
    g722: bytes | None
    duration_s: float
    loudness_lufs: float
    peak_dbfs: float


def of_recording(file: Path, *, margin_ms: int = MARGIN_MS, wide: bool = False) -> Audio:
    """Telephone audio of a recording in any format that ffmpeg reads. `wide`: G.722 too.

    Raises `PromptsUnavailable` when ffmpeg is missing or can't read it, or nothing is to be heard.
    """
    narrow, full = (_resampled(("-i", str(file)), None, rate) for rate in (RATE, WIDE_RATE))
    if not any(narrow):
        raise PromptsUnavailable(f"{file}: 無音です / it is silent")
    return _made(_segment(narrow, RATE), _segment(full, WIDE_RATE) if wide else None, margin_ms)


def clipped(file: Path) -> float:
    """Share of a recording's samples, of all its channels, that are at full scale. Raises `PromptsUnavailable`."""
    import numpy as np

    raw = _ffmpeg(("-i", str(file), "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"), None)
    return float(np.mean(np.abs(np.frombuffer(raw, "<i2").astype(int)) >= 32_700)) if raw else 0.0


def of_voices(said: Sequence[Spoken], *, margin_ms: int = MARGIN_MS, wide: bool = False) -> list[Audio]:
    """Telephone audio of each piece of speech. All of one rate; one run of ffmpeg does them all."""
    narrow = _together(said, RATE)
    full = _together(said, WIDE_RATE) if wide else [None] * len(said)
    return [_made(one, other, margin_ms) for one, other in zip(narrow, full, strict=True)]


def _made(narrow: Any, full: Any | None, margin_ms: int) -> Audio:
    start, end = _speech(narrow)
    speech = _cut(narrow, start, end, margin_ms)
    gain = TARGET_LUFS - loudness(_numbers(speech), RATE)
    ulaw = to_ulaw(_limited(speech, gain))
    heard = samples(ulaw)
    g722 = None
    if full is not None:
        whole = _cut(full, start, end, margin_ms)
        form = ("-f", "s16le", "-ar", str(WIDE_RATE), "-ac", "1", "-i", "pipe:0")
        g722 = _ffmpeg((*form, "-c:a", "g722", "-f", "g722", "pipe:1"), _limited(whole, gain))
    return Audio(ulaw, g722, len(ulaw) / RATE, loudness(heard, RATE), peak(heard))


def samples(ulaw: bytes) -> Any:
    """What a telephone hears of a `.ulaw`: samples (numpy), full scale 1."""
    import numpy as np

    return np.frombuffer(from_ulaw(ulaw), "<i2") / 32768


def wav(ulaw: bytes) -> bytes:
    """A `.ulaw` as a wav that any player plays."""
    return wav_of(from_ulaw(ulaw))


def wav_of(raw: bytes) -> bytes:
    """Telephone samples (16 bit, little endian) as a wav."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as audio:
        audio.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        audio.writeframes(raw)
    return whole.getvalue()


def peak(heard: Any) -> float:
    """dBFS of the largest sample."""
    return 20 * math.log10(max(float(abs(heard).max()), 1e-6))


def loudness(heard: Any, rate: int) -> float:
    """Integrated loudness in LUFS of mono samples (numpy, full scale 1)."""
    import numpy as np

    weighted = _k_weighted(np.asarray(heard, dtype=np.float64), rate)
    size, step = round(0.4 * rate), round(0.1 * rate)
    starts = range(0, max(len(weighted) - size, 0) + 1, step)
    powers = np.array([np.mean(weighted[n : n + size] ** 2) for n in starts])
    powers = powers[powers > _power(-70.0)]
    if not len(powers):
        return -70.0
    powers = powers[powers > np.mean(powers) / 10]  # -10 LU
    return float(-0.691 + 10 * np.log10(np.mean(powers)))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
"""ITU-R BS.1770-4, tables 1 and 2, for 48 kHz; here as frequency responses, so that they hold at any rate."""


def _k_weighted(heard: Any, rate: int) -> Any:
    import numpy as np

    size = 1 << (len(heard) + rate // 4).bit_length()  # room for the filter to ring out
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / rate) / 48_000)
    response = np.ones_like(turn)
    for above, below in (_SHELF, _HIGH_PASS):
        response *= _at(above, turn) / _at(below, turn)
    return np.fft.irfft(np.fft.rfft(heard, size) * response, size)[: len(heard)]


def _at(coefficients: Sequence[float], turn: Any) -> Any:
    return sum(value * turn**n for n, value in enumerate(coefficients))


def _together(said: Sequence[Spoken], rate: int) -> list[Any]:
    """Each piece as a pydub segment of this rate.

    Each begins at a whole second, after silence that is longer than the resampler's memory, so what comes of a piece
    does not depend on what stands before it.
    """
    (before,) = {each.rate for each in said}
    seconds = [len(each.data) // 2 // before + 2 for each in said]
    joined = b"".join(each.data.ljust(2 * before * n, b"\0") for each, n in zip(said, seconds, strict=True))
    whole = resampled(joined, before, rate)
    pieces, start = [], 0
    for n in seconds:
        pieces.append(_segment(whole[2 * rate * start : 2 * rate * (start + n)], rate))
        start += n
    return pieces


def resampled(raw: bytes, before: int, rate: int) -> bytes:
    """Mono 16 bit samples at another rate."""
    return _resampled(("-f", "s16le", "-ar", str(before), "-ac", "1", "-i", "pipe:0"), raw, rate)


def _resampled(given: Sequence[str], data: bytes | None, rate: int) -> bytes:
    # Between floats: from and to whole numbers soxr adds noise by the clock, and no two makings would be alike.
    chain = f"aformat=sample_fmts=fltp,aresample={rate}:resampler=soxr:precision=28:osf=fltp"
    return _ffmpeg((*given, "-ac", "1", "-af", chain, "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"), data)


def _ffmpeg(arguments: Sequence[str], data: bytes | None) -> bytes:
    done = subprocess.run(
        [tool("ffmpeg"), *_FFMPEG, *arguments], input=data, capture_output=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise PromptsUnavailable(f"ffmpeg: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _segment(raw: bytes, rate: int) -> Any:
    with warnings.catch_warnings():
        # pydub looks for ffmpeg when it is imported, and on 3.11 and 3.12 takes the audioop that will go.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment

    return AudioSegment(raw, frame_rate=rate, sample_width=2, channels=1)


def _speech(whole: Any) -> tuple[int, int]:
    """From and to, in ms, where somebody speaks."""
    from pydub.silence import detect_leading_silence

    floor = max(whole[n : n + _FRAME_MS].dBFS for n in range(0, len(whole), _FRAME_MS)) - _SILENT_DB
    step = _FRAME_MS // 4
    start = detect_leading_silence(whole, floor, step)
    return start, len(whole) - detect_leading_silence(whole.reverse(), floor, step)


def _cut(whole: Any, start: int, end: int, margin_ms: int) -> Any:
    """The speech with just so much silence around it."""
    quiet = _segment(bytes(2 * whole.frame_rate * margin_ms // 1000), whole.frame_rate)
    around = quiet + whole + quiet  # so that there is always enough before and after
    fade = min(10, margin_ms)
    return around[start : end + 2 * margin_ms].fade_in(fade).fade_out(fade)


def _numbers(segment: Any) -> Any:
    import numpy as np

    return np.frombuffer(segment.raw_data, "<i2") / 32768


def _limited(segment: Any, gain: float) -> bytes:
    """The samples with `gain` dB, a few peaks rounded off instead of the whole being too quiet."""
    import numpy as np

    knee, most = 10 ** (KNEE_DBFS / 20), 10 ** (PEAK_DBFS / 20)
    heard = _numbers(segment) * 10 ** (gain / 20)
    above = np.maximum(np.abs(heard) - knee, 0)
    rounded = np.minimum(np.abs(heard), knee) + (most - knee) * np.tanh(above / (most - knee))
    return bytes(np.rint(np.sign(heard) * rounded * 32767).astype("<i2").tobytes())
