"""Recordings: what the dialplan wrote, measured and filed; then sealed, proven, and read through one door.

- `measure`: size, length and digest of a recording, or what is wrong with it.
- `cut`: what it held beyond the centre's rule is taken out. `growth`: how far it was when. `sides`: in two channels.
- `formats`: in what it is kept. `wavs`: headers of WAV files.
- `audio`: what is played of it and taken away.
- `library`: where they lie, and the door: `Recordings.open`.
- `keeper`: from the spool into the store. `vault`: a sealed file. `keys`, `signing`: what opens it, what signs for it.
- `chain`, `verify`: what was kept and erased, and that it is so. `telling`: the same, told to the engine.
- `export`, `exported`: what is handed over, and that it is what was kept. `soundness`: keys and store, for the doctor.
- `protect`: recordings of reported calls.
"""

from callcore.recordings.audio import OpenedAudio, played
from callcore.recordings.cut import UNCUT, cut, filed
from callcore.recordings.errors import RecordingError
from callcore.recordings.growth import GROWTH_EVERY_S, Growth
from callcore.recordings.keeper import SETTLES_S, Keeper, is_open
from callcore.recordings.keys import KeyRing
from callcore.recordings.library import Recordings
from callcore.recordings.measure import PROBLEMS, Ear, Measured, Voices, heard, measure, voices
from callcore.recordings.protect import protect
from callcore.recordings.sides import discard
from callcore.recordings.telling import Teller

__all__ = [
    "GROWTH_EVERY_S",
    "PROBLEMS",
    "SETTLES_S",
    "UNCUT",
    "Ear",
    "Growth",
    "Keeper",
    "KeyRing",
    "Measured",
    "OpenedAudio",
    "RecordingError",
    "Recordings",
    "Teller",
    "Voices",
    "cut",
    "discard",
    "filed",
    "heard",
    "is_open",
    "measure",
    "played",
    "protect",
    "voices",
]
