"""Recordings: what the dialplan wrote, measured and filed."""

from callcore.recordings.measure import Measured, measure, voice_s

__all__ = ["Measured", "measure", "voice_s"]
