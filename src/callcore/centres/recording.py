"""`[recording]` of a centre file: what is made of a talk's recording."""

from __future__ import annotations

from callcore.centres.sheet import Table
from callcore.domain.centre import Recordings
from callcore.domain.recording import Channels, SoundFormat
from callcore.domain.stages import PauseAs


def read_recording(top: Table) -> Recordings:
    table = top.table("recording", required=False)
    plain = Recordings()
    pause = table.choice("pause", tuple(each.value for each in PauseAs), plain.pause.value)
    kept_as = table.choice("format", tuple(each.value for each in SoundFormat), plain.format.value)
    channels = table.choice("channels", tuple(each.value for each in Channels), plain.channels.value)
    if (channels, kept_as) == (Channels.STEREO.value, SoundFormat.G722.value):
        table.wrong(
            "channels",
            "G.722 は1チャンネルで、左右に分けられません",
            "G.722 has one channel, and cannot be stereo",
            'channels = "mixed" とするか、format を "wav"、"ulaw"、"opus" のどれかに',
            'write channels = "mixed", or format = "wav", "ulaw" or "opus"',
        )
    read = Recordings(
        pause=PauseAs(pause),
        pause_s=table.integer("pause_s", plain.pause_s, 5, 600),
        format=SoundFormat(kept_as),
        channels=Channels(channels),
    )
    table.close()
    return read
