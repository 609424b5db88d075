"""`[recording]` of a centre file: what is made of a talk's recording."""

from __future__ import annotations

from callcore.centres.sheet import Table
from callcore.domain.centre import Recordings
from callcore.domain.recording import SoundFormat
from callcore.domain.stages import PauseAs


def read_recording(top: Table) -> Recordings:
    table = top.table("recording", required=False)
    plain = Recordings()
    pause = table.choice("pause", tuple(each.value for each in PauseAs), plain.pause.value)
    kept_as = table.choice("format", tuple(each.value for each in SoundFormat), plain.format.value)
    read = Recordings(PauseAs(pause), table.integer("pause_s", plain.pause_s, 5, 600), SoundFormat(kept_as))
    table.close()
    return read
