"""Recordings: what the dialplan wrote, measured and filed."""

from callcore.recordings.measure import Measured, measure, voice_s
from callcore.recordings.protect import protect

__all__ = ["Measured", "measure", "protect", "voice_s"]
