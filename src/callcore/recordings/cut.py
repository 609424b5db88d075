"""What a recording holds beyond the rule of its centre, and pauses that are to take no time, cut out when the call is
over.

Where a piece lies is counted from the beginning and from the end of the file; where it lost sound between, how it grew
tells what was lost before the piece and what after (`growth`).

Of a pause nothing but silence is cut: where its silence lies, the sound says. So nothing of a talk is lost, however far
the recording has drifted.

The recording as Asterisk wrote it stands beside as `<call>.uncut` until the cut one is filed: while the two are one
file, it is not cut; when they are not, it is, and is not cut again. A second link to it (`protect`) is moved to the cut
one.

The two sides of a recording (`sides`) are cut at the same frames, and before it: whoever dies between them goes on with
what is not cut yet. Sides that are of another length are of no use, and are removed.

What cannot be written leaves nothing aside, and where the disk would be full behind it, nothing is begun: the talks
that go on need what is left of it more.
"""

from __future__ import annotations

import contextlib
import os
import re
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import structlog

from callcore.domain.ids import SECOND
from callcore.domain.tape import Tape
from callcore.files import FREE_LEAST, needs_free
from callcore.pcm import SAMPLE
from callcore.recordings.growth import Grown, least_s, most_s
from callcore.recordings.sides import sides_of
from callcore.recordings.wavs import HEADER, plain_form

log = structlog.get_logger(__name__)

LEAST_S = 0.5
"""An excess that is shorter is none: so long Asterisk may take to stop."""
DRIFT_S, DRIFT_SHARE = 2.0, 0.02
"""By so much a recording may be shorter or longer than what it recorded (as in `audit.compare`)."""
CHUNK = 1 << 16
UNCUT, NEW = ".uncut", ".cut"


def pieces(
    tape: Tape, length: float, grew: Sequence[Grown] = (), seconds: Callable[[int], float] = float
) -> list[tuple[float, float]]:
    """From where to where, in seconds, to cut out of a recording of that length. `grew`: how its file did; `seconds`:
    of a file of so many bytes.

    A recording that drifted is cut by its beginning and by its end, whichever takes more, but no more than by how its
    file grew. One that is off by more, and whose file nobody saw before the piece, has lost something, nobody knows
    where: it is cut by its beginning, and of a last piece that is short, by its end.
    """
    whole = (tape.kept + sum(each.length for each in tape.excess)) / SECOND
    off = length - whole
    drifted = abs(off) <= DRIFT_S + whole * DRIFT_SHARE
    found: list[tuple[float, float]] = []
    before = 0
    for each in tape.excess:
        begin, end = (each.after + before) / SECOND, (each.after + before + each.length) / SECOND
        last = each.after >= tape.kept
        if last:
            end = max(end, length)
        before += each.length
        if each.length < LEAST_S * SECOND:
            continue
        least = None
        if each.since is not None and grew and grew[0].at <= each.since:
            least = least_s(grew, each.since, seconds)
        most = float("inf") if each.until is None or last else most_s(grew, each.until, seconds)
        short = last and each.length <= DRIFT_S * SECOND
        first = begin + min(0.0, off) if drifted or short or least is not None else begin
        if least is not None:
            first = min(max(first, least), begin)
        after = end + max(0.0, off) if drifted or most < float("inf") else end
        after = max(min(after, most), end + min(0.0, off))
        found.append((max(0.0, first), min(length, after)))
    return [(begin, end) for begin, end in found if begin < end]


def cut(recording: Path, tape: Tape, protected: Path, grew: Sequence[Grown] = ()) -> bool:
    """Cut it, unless it is cut already. `protected`: where a second link to it may be. `grew`: how its file did.
    False: there was nothing, or it is no sound. Raises OSError: it could not be cut, and is as it was."""
    uncut = recording.with_suffix(UNCUT)
    try:
        if uncut.exists() and not recording.samefile(uncut):
            return True  # it is cut, and not filed yet
        with recording.open("rb") as whole:
            form = plain_form(whole)
        if form is None:
            log.error("recording not cut by the centre's rule: it is no sound", file=recording.name)
            return False
        channels, rate, size = form.channels, form.rate, form.frame
        # by the file, not by the header: in one that Asterisk had no time to close that tells no length
        frames = (recording.stat().st_size - HEADER) // size
        with recording.open("rb") as whole:
            gaps = list(_silences(whole, tape, frames, rate, size))
        by_rule = pieces(tape, frames / rate, grew, lambda bytes_: max(0, bytes_ - HEADER) / size / rate)
        out = sorted([*by_rule, *gaps])
        if not out:
            return False
        if not uncut.exists():
            os.link(recording, uncut)
        kept = list(_kept(frames, rate, out))
        if channels == 1:
            closed = form.promised == frames * size
            _cut_sides(recording, protected, frames, kept, closed=closed)
        left = sum(end - begin for begin, end in kept) * size
        with uncut.open("rb") as before, _aside(recording, protected, HEADER + left) as after:
            with wave.open(after, "wb") as target:
                target.setnchannels(channels)
                target.setsampwidth(size // channels)
                target.setframerate(rate)
                for part in _parts(before, HEADER, size, kept):
                    target.writeframes(part)
            _put(after, recording, protected)
    except FileNotFoundError:
        return False
    log.info("recording cut by the centre's rule", file=recording.name, seconds=[list(each) for each in out])
    return True


def _cut_sides(
    recording: Path, protected: Path, frames: int, kept: list[tuple[int, int]], *, closed: bool
) -> None:
    left = sum(end - begin for begin, end in kept) * SAMPLE
    for side, link in zip(sides_of(recording), sides_of(protected), strict=True):
        try:
            size = side.stat().st_size
        except FileNotFoundError:
            continue
        if size == left:
            continue  # it is cut
        if size < frames * SAMPLE or (closed and size > frames * SAMPLE):
            log.error("a recording's side has another length, and is removed", file=side.name, size=size)
            side.unlink()
            link.unlink(missing_ok=True)
            continue
        with side.open("rb") as before, _aside(side, link, left) as after:
            after.writelines(_parts(before, 0, SAMPLE, kept))
            _put(after, side, link)


@contextlib.contextmanager
def _aside(file: Path, protected: Path, size: int) -> Iterator[BinaryIO]:
    """An empty file to take its place, and that of its second link, when it is written. `size`: how many bytes it will
    be. Raises OSError, also if the disk had less than `FREE_LEAST` free then; nothing of it is left."""
    new, link = file.with_suffix(NEW), protected.with_suffix(NEW)
    new.unlink(missing_ok=True)
    needs_free(file.parent, size + FREE_LEAST)
    try:
        new.touch(mode=0o600)
        with new.open("wb") as written:
            yield written
    except OSError:
        for each in (new, link):
            each.unlink(missing_ok=True)
        raise


def _parts(whole: BinaryIO, header: int, size: int, kept: list[tuple[int, int]]) -> Iterator[bytes]:
    for begin, end in kept:
        whole.seek(header + begin * size)
        for at in range(begin, end, CHUNK):
            yield whole.read(min(CHUNK, end - at) * size)


def _put(written: BinaryIO, file: Path, protected: Path) -> None:
    """In the place of the one that was cut, and of its second link."""
    new = file.with_suffix(NEW)
    written.flush()
    os.fsync(written.fileno())
    if protected.exists():
        link = protected.with_suffix(NEW)
        link.unlink(missing_ok=True)
        os.link(new, link)
        link.replace(protected)
    new.replace(file)


def _silences(
    sound: BinaryIO, tape: Tape, frames: int, rate: int, size: int
) -> Iterator[tuple[float, float]]:
    """From where to where, in seconds, the silence of each pause lies that is to be cut out: the longest one around
    where the pause ought to be, and no more of it than the pause was long. The longest pause comes first, and what is
    its own is no other one's."""
    drift_s = DRIFT_S + DRIFT_SHARE * frames / rate
    quiet = re.compile(b"\\0{%d,}" % (round(LEAST_S * rate) * size))
    given: list[tuple[int, int]] = []
    for gap in sorted(tape.gaps, key=lambda gap: -gap.length):
        length = gap.length / SECOND
        first = max(0, round((gap.at / SECOND - drift_s) * rate))
        last = min(frames, round((gap.at / SECOND + length + drift_s) * rate))
        sound.seek(HEADER + first * size)
        data = bytearray(sound.read(max(0, last - first) * size))
        for begins, ends in given:
            since, until = max(begins, first), min(ends, last)
            if since < until:
                data[(since - first) * size : (until - first) * size] = b"\1" * ((until - since) * size)
        found = quiet.finditer(data)
        longest = max(((each.end() - each.start(), each.start()) for each in found), default=None)
        if longest is not None:
            begin = first - longest[1] // -size
            end = begin + min(longest[0] // size, round(length * rate))
            given.append((begin, end))
            yield begin / rate, end / rate


def _kept(frames: int, rate: int, out: list[tuple[float, float]]) -> Iterator[tuple[int, int]]:
    """From which frame to which one stays."""
    at = 0
    for begin, end in out:
        yield at, max(at, round(begin * rate))
        at = max(at, min(frames, round(end * rate)))
    yield at, frames


def filed(recording: Path) -> None:
    """It is written down as it is now: the uncut one is not needed any more."""
    with contextlib.suppress(OSError):
        recording.with_suffix(UNCUT).unlink(missing_ok=True)
