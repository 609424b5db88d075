"""What the sidecar has found out about recordings, over the command socket; the engine writes it down.

`recording` (one was measured) · `recording_kept` (one lies in the store, as a line of its chain tells).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callcore.access.rights import Person, Right
from callcore.domain import inputs as i
from callcore.domain.findings import Side
from callcore.domain.ids import CallId, Instant
from callcore.domain.recording import RecordingKind
from callcore.runtime.commands import Command
from callcore.runtime.loop import Loop


class RecordingDesk:
    def __init__(self, loop: Loop, now: Callable[[], Instant]) -> None:
        self._loop = loop
        self._now = now

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "recording": Command(Right.SERVICE, self._measured),
            "recording_kept": Command(Right.SERVICE, self._kept),
        }

    async def _measured(self, told: Mapping[str, Any], _: Person) -> bool:
        self._loop.put(
            i.RecordingMeasured(
                at=self._now(),
                call=CallId(str(told["call"])),
                file=str(told["file"]),
                size=int(told["size"]),
                seconds=float(told["seconds"]),
                sha256=told.get("sha256"),
                problem=told.get("problem"),
                voice_s=tuple(float(each) for each in told.get("voice_s", ())),
                clipped_s=float(told.get("clipped_s", 0.0)),
                sides=tuple(Side(float(voice), float(sound)) for voice, sound in told.get("sides") or ()),
            )
        )
        return True

    async def _kept(self, told: Mapping[str, Any], _: Person) -> bool:
        self._loop.put(sealed(told, self._now()))
        return True


def sealed(told: Mapping[str, Any], now: Instant) -> i.RecordingSealed:
    """The line as `callcore.recordings.telling` tells it."""
    call, kind = told.get("call"), told.get("kind")
    return i.RecordingSealed(
        at=now,
        name=str(told["name"]),
        call=None if call is None else CallId(str(call)),
        kind=None if kind is None else RecordingKind(kind),
        folder=str(told["folder"]),
        day=str(told["day"]),
        line=int(told["line"]),
        format=str(told["format"]),
        channels=int(told["channels"]),
        seconds=float(told["seconds"]),
        captured_size=int(told["captured_size"]),
        captured_sha256=str(told["captured_sha256"]),
        size=int(told["size"]),
        sha256=str(told["sha256"]),
        stored_size=int(told["stored_size"]),
        stored_sha256=str(told["stored_sha256"]),
        key_period=str(told["key_period"]),
        kept_at=Instant(int(told["kept_at"])),
    )
