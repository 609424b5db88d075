"""Recordings are marked, or a mark is taken away, by page or API, after the call.

What was keyed in the talk stays what the figures count; a mark of a recording says how it is found and how long it is
kept. The floor holds nothing of it: the call may be of months ago, and whoever asks names its centre.
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.recording import RecordingMark
from callcore.domain.turn import Turn


def mark(turn: Turn, told: i.MarkAsked) -> None:
    if told.centre not in turn.floor.centres:
        turn.disregard(f"センター {told.centre} はない / there is no centre {told.centre}")
        return
    turn.tell(
        f.RecordingMarked(
            at=told.at, call=told.call, centre=told.centre, mark=told.mark, on=told.on, by=told.by
        )
    )
    if told.mark is RecordingMark.ABUSE and told.on:
        turn.want(e.ProtectRecording(told.call))
