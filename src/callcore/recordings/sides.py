"""The two sides of a recording, which Asterisk writes beside the mixed one where the centre wants two channels.

    <name>.left.sln     the citizen; of a consult, who was asked
    <name>.right.sln    whom they hear: agent, colleague, department, music on hold; of a consult, the agent

Samples of 16 bits (little-endian) without a header. The mixed one is the recording: it is measured, watched, cut, and
proven as captured. The sides are of use as long as they have its frames and, added, its samples.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from callcore.files import write_all
from callcore.pcm import SAMPLE, interleaved, mixes
from callcore.recordings.errors import RecordingError
from callcore.recordings.wavs import plain_form, plain_head

SIDE_ENDS = (".left.sln", ".right.sln")
CHUNK = 1 << 18


class NotJoined(RecordingError):
    def __init__(self, why: str) -> None:
        super().__init__(
            f"録音を2チャンネルにできません: {why}。1チャンネルのまま保存します / "
            f"a recording cannot be made two channels: {why}; it is kept as one"
        )


def sides_of(recording: Path) -> tuple[Path, Path]:
    """Where the left and the right one of a plain recording are, if it has any."""
    left, right = (recording.with_suffix(ends) for ends in SIDE_ENDS)
    return left, right


def plain_of(side: Path) -> Path:
    """The recording that it is a side of."""
    return side.with_suffix("").with_suffix(".wav")


def discard(recording: Path) -> None:
    """Remove the sides. Raises OSError."""
    for side in sides_of(recording):
        side.unlink(missing_ok=True)


def joined(recording: Path) -> BinaryIO:
    """Both sides of a plain recording as a WAV file of two channels, to be read from its begin. It has no name, and is
    gone whatever dies. Raises NotJoined, OSError."""
    with ExitStack() as opened:
        mixed = opened.enter_context(recording.open("rb"))
        form = plain_form(mixed)
        size = os.fstat(mixed.fileno()).st_size
        if form is None or form.frame != SAMPLE or form.begins + form.promised != size:
            raise NotJoined("欠けた WAV / no whole WAV file")
        sides = [opened.enter_context(_whole(side, form.promised)) for side in sides_of(recording)]
        made = tempfile.TemporaryFile(dir=recording.parent, buffering=0)  # noqa: SIM115
        with ExitStack() as unless_made:
            unless_made.enter_context(made)
            write_all(made.fileno(), plain_head(2, form.rate, 2 * form.promised))
            mixed.seek(form.begins)
            while both := mixed.read(CHUNK):
                left, right = (side.read(len(both)) for side in sides)
                if not mixes(left, right, both):
                    raise NotJoined("左右を足しても録音にならない / the sides together are not the recording")
                write_all(made.fileno(), interleaved(left, right))
            made.seek(0)
            unless_made.pop_all()
    return made


def _whole(side: Path, size: int) -> BinaryIO:
    try:
        file = side.open("rb")
    except FileNotFoundError:
        raise NotJoined(f"{side.name} がない / {side.name} is not there") from None
    there = os.fstat(file.fileno()).st_size
    if there != size:
        file.close()
        raise NotJoined(f"{side.name} の長さが違う / {side.name} has another length: {there} ≠ {size}")
    return file
