"""Recordings: what the dialplan wrote, measured and filed."""

from callcore.recordings.measure import Measured, measure

__all__ = ["Measured", "measure"]
