"""What is known of a recording beside its sound: one for each file, named by the file without its ending."""

from __future__ import annotations

from enum import Enum

from callcore.domain.ids import CentreId
from callcore.domain.stages import SideKind


class RecordingKind(Enum):
    CALL = "call"
    """Of a caller with agents and, where the centre wants it so, with a department, in one file."""
    CONSULT = "consult"
    """What an agent said to whom he or she asked beside a held caller."""
    OUTGOING = "outgoing"
    CONTACT = "contact"
    """Of a call to a 連絡用番号."""
    MESSAGE = "message"


OF_MESSAGE = ".message"
"""What stands behind a call's id in the name of its message's sound."""


class Direction(Enum):
    IN = "in"
    OUT = "out"


class Place(Enum):
    """Where the sound lies."""

    SPOOL = "spool"
    """Where Asterisk wrote it."""
    STORE = "store"
    GONE = "gone"
    """There never was one, or it was erased."""


class SoundFormat(Enum):
    """In what a centre's recordings are kept. Asterisk writes `WAV` in any case."""

    WAV = "wav"
    """16 bit samples."""
    ULAW = "ulaw"
    """G.711 µ-law in a WAV file: half of it."""
    G722 = "g722"
    """In a WAV file: half of it, too."""
    OPUS = "opus"
    """In Ogg: about a fifth."""


class Channels(Enum):
    """In how many channels a centre's recordings are kept."""

    MIXED = "mixed"
    """One, of everybody."""
    STEREO = "stereo"
    """Two. Left: the citizen; of a consult, who was asked. Right: the agent, and whoever else they hear."""


class Through(Enum):
    """How the caller went on to a department for good."""

    ATTENDED = "attended"
    BLIND = "blind"


class RecordingMark(Enum):
    COMPLAINT = "complaint"
    """苦情, by the result that the agent keyed, or set afterwards."""
    ABUSE = "abuse"
    RELAY = "relay"


UNASSIGNED = CentreId("_unassigned")
"""Stands where a centre would, for recordings of which nobody knows the centre."""

ASKED = "asked"
"""Why a recording was paused: somebody asked for it, by key or page."""


class KeptBy(Enum):
    """By what a recording that is there is kept."""

    RULE = "rule"
    """The centre's months."""
    UNTIL_TOLD = "until_told"
    """The centre's rule, without an end."""
    EXTENDED = "extended"
    """An order to keep it longer than the rule does."""
    HELD = "held"
    """A legal hold."""


class PausedBy(Enum):
    """How a pause was asked for."""

    KEY = "key"
    """By the agent's phone."""
    PAGE = "page"
    """By page or API: it is known by whom."""


def kind_of_side(kind: SideKind, *, consult: bool) -> RecordingKind:
    """Of a call that is no arrival; `consult`: it was made beside a talk."""
    if consult:
        return RecordingKind.CONSULT
    return RecordingKind.CONTACT if kind is SideKind.CONTACT else RecordingKind.OUTGOING
