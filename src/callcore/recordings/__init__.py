"""Recordings: what the dialplan wrote, measured and filed."""

from callcore.recordings.measure import Measured, measure
from callcore.recordings.protect import protect

__all__ = ["Measured", "measure", "protect"]
