"""The names that callcore and its dialplan share. The other half stands in `dialplans/callcore.conf`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from callcore.domain.ids import DepartmentId, PhoneId
from callcore.domain.recording import OF_MESSAGE
from callcore.domain.stages import TalkKey

ARRIVALS = "callcore-in"
HOLD = "callcore-hold"
OFFER = "callcore-offer"
NET = "callcore-net"
PHONES_DIAL = "callcore-phones"
"""What desk phones dial."""
ALOUD, OVER, OVER_WHOM, OVER_LEG = "callcore-aloud", "callcore-over", "CALLCORE_OVER", "CALLCORE_LEG"
"""An announcement in a talk: who speaks it, who lays it over the talk, over which caller's, by which agent's leg."""
TONE, WHISPER = "callcore-tone", "callcore-whisper"
"""A tone for one phone alone: who sounds it, and who lays it on the channel that is named by its unique id."""
WATCH = "callcore-watch"
"""Where a supervisor's phone is at the talk of the leg that `OVER_WHOM` names by its unique id. The extension: how."""
OVERFLOW = "callcore-overflow"
COMFORT, OVERFLOW_MENU = "callcore-comfort", "callcore-overflow-menu"
"""Where waiting callers are led aside, and from where they come back by themselves."""
MENU = "callcore-menu"
PIN = "callcore-pin"
CALLBACK = "callcore-callback"
"""Where an agent who has picked up for a call-back is put through to the citizen."""
SITE, LANGUAGE, ATTEMPT, LISTED = (
    "CALLCORE_SITE",
    "CALLCORE_LANGUAGE",
    "CALLCORE_ATTEMPT",
    "CALLCORE_LISTED",
)
"""The centre whose number the citizen sees; and of a call-back, what the agent hears."""
MESSAGE_ENDS = f"{OF_MESSAGE}.wav"
"""What stands behind a call's id in the name of its message's file."""
TRANSFER, JOIN, MOVED = "callcore-transfer", "callcore-join", "CALLCORE_MOVED"
"""Where a caller is sent to ring a department, or to be in one bridge with it; and since when they are."""
TAPE, CONSULT_TAPE, TAPE_STOPPED = "CALLCORE_TAPE", "CALLCORE_MIX", "CALLCORE_STOPPED"
"""Which MixMonitor records a call, and which a consult; and since when (microseconds since the epoch) the call's own is
stopped: the dialplan begins it again before the next talk."""
TAPE_PAUSED = "CALLCORE_PAUSED"
"""Since when (microseconds since the epoch) the call's recording is paused: the dialplan has it go on when the caller
leaves the agent."""
TAPE_AT = "CALLCORE_MIXED"
"""On whose channel (its unique id) the recording of a call out lies, if not on the one that began it."""
ON_HOLD = "CALLCORE_ONHOLD"
"""`yes` on the channel of a caller whom an agent's phone holds; `unsure`, if callcore cannot know."""
HELD: Final[Mapping[bool | None, str]] = {True: "yes", False: "", None: "unsure"}
SIDES = ("callcore-dial", "callcore-contact", "callcore-internal", "callcore-supervisors")
"""Where calls that are no arrivals are dialled."""

WAITING_APPLICATION = "WaitForCondition"
"""The one blocking application of the waiting line; only out of it may a caller be redirected."""

SAYING_APPLICATION = "Playback"
"""What says a phrase to a waiting caller; blocking, too."""

CALL, CHANNEL_OFFER, NUMBER, ENTERED, SINCE, REPLY = (
    "CALLCORE_CALL",
    "CALLCORE_OFFER",
    "CALLCORE_NUMBER",
    "CALLCORE_ENTERED",
    "CALLCORE_SINCE",
    "CALLCORE_REPLY",
)
STEP = "CALLCORE_STEP"
"""Set on a phone's channel when it is to be asked for the PIN."""
QUEUE, PHONES, NOTE = "CALLCORE_QUEUE", "CALLCORE_PHONES", "CALLCORE_NOTE"
LANGUAGES, SECRET = "callcore-language", "CALLCORE_SECRET"
"""AstDB's family of remembered languages, and the global variable without which nobody is known there."""
SAID = "CALLCORE_SAID"
"""What is said in front of a menu to who is led there from the waiting line."""
BEFORE = "CALLCORE_BEFORE"
"""How many packets of sound a channel had received when a call that is counted apart was connected."""
HEARTBEAT, RUN = "CALLCORE_HEARTBEAT", "CALLCORE_RUN"

TRUNK = "trunk"
"""The endpoint that calls come from; no phone bears this name."""

TALK_CODES = {
    TalkKey.HELP: "31",
    TalkKey.ABUSE: "32",
    TalkKey.RELAY: "33",
    TalkKey.RECORDING: "34",
}
"""What an agent keys inside a talk behind `*`. The same codes may be dialled, as on a phone whose lit keys can't send
digits during a call."""

CONNECT_CODE = "35"
"""What an agent keys behind `*` in a consult, to put the held caller through."""

CALL_EVENTS = (
    "Newchannel",
    "Hangup",
    "HangupRequest",
    "DialBegin",
    "DialEnd",
    "BridgeEnter",
    "BridgeLeave",
    "Hold",
    "Unhold",
    "UserEvent",
)
"""The AMI events that callcore decides by. Asterisk lets these pass, and beside them `DeviceStateChange` of phones,
`DTMFEnd` while a PIN is keyed, and what tells of its own start and end."""


PHONE_EVENTS = (
    "ContactStatus",
    "SuccessfulAuth",
    "InvalidAccountID",
    "ChallengeResponseFailed",
    "InvalidPassword",
    "FailedACL",
)
"""The AMI events that tell who registers, and who was turned away at the door. All but the first are of the class
`security`; `SuccessfulAuth` comes with every REGISTER, also one that changes nothing but the User-Agent."""

POLICY = "callcore-policy"
"""AstDB's family of seals, and the front of the lamps' names."""


def lamp(what: str, of: str) -> str:
    """The device state that a lamp hangs on: of a code on a phone, of a queue, of a centre."""
    return f"Custom:callcore-{what.removeprefix('*')}-{of}"


DEPARTMENT = "dept"


def hours_of(department: DepartmentId) -> str:
    """Under which name a department's hours stand in Asterisk; a centre's stand under its id, which has no `~`."""
    return f"{DEPARTMENT}~{department}"


def phone_of(device_or_channel: str) -> PhoneId | None:
    """The phone behind `PJSIP/oita-p1` or `PJSIP/oita-p1-0000002a`; None for anything else."""
    technology, sign, rest = device_or_channel.partition("/")
    if technology != "PJSIP" or not sign:
        return None
    front, dash, tail = rest.rpartition("-")
    is_channel = bool(dash) and len(tail) == 8 and all(c in "0123456789abcdef" for c in tail)
    name = front if is_channel else rest
    return PhoneId(name) if name and name != TRUNK else None


def offer_extension(offer: str, phones: Sequence[str], ring_s: int) -> str:
    """The extension of `callcore-offer` that carries out one round. Of several phones the list stands on the channel
    (`phone_list`), for an extension holds 79 characters."""
    return f"{offer}~{phones[0] if len(phones) == 1 else '*'}~{ring_s}"


def phone_list(offer: str, phones: Sequence[str]) -> str:
    """What `CALLCORE_PHONES` says: whom this round rings, and that it is this round's."""
    return f"{offer}~{','.join(phones)}"


def overflow_extension(outcome: str, said: str) -> str:
    """The extension of `callcore-overflow` that ends a wait. `said`: an announcement's kind, or `busy`."""
    return f"{outcome}~{said}"


def comfort_extension(number: int, said: str) -> str:
    """The extension of `callcore-comfort` that says one phrase."""
    return f"{number}~{said}"


def menu_extension(number: int, menu: str) -> str:
    """The extension of `callcore-overflow-menu` that leads into a menu."""
    return f"{number}~{menu}"


def said_first(number: int, said: Sequence[str]) -> str:
    """What `CALLCORE_SAID` says: at most two phrases in front of the menu, and that they are for this time."""
    return "~".join((str(number), *said))
