"""The named states of calls, offers, agents and devices, and the outcomes a call can end in.

Values are the words of the definitions; they stand in the journal, the database, the API and on the board alike.
"""

from __future__ import annotations

from enum import Enum

SAME_INSTANT_S = 1.0
"""Seconds within which two who put down count as having done so at once: which of them Asterisk heard of first is
chance. It was some ms on a loaded machine; nobody decides anything on account of the other in less than a second."""


class Stage(Enum):
    """Where a call is."""

    ARRIVED = "arrived"
    """The arriving channel exists; the dialplan decides by the pushed opening hours."""
    ANNOUNCED = "announced"
    """Hears a notice, the greeting, or the announcement that refuses it."""
    WAITING = "waiting"
    OFFERED = "offered"
    """One agent's phone is asked to ring for it."""
    TALKING = "talking"
    PARTED = "parted"
    """The talk is over and the caller's channel is still up: on the way to a department or back to the line, or to its
    end."""
    TRANSFERRED = "transferred"
    """Talks with a department of the city; no agent is there any more."""
    ENDED = "ended"


class Outcome(Enum):
    """What a call ended as; exactly one each."""

    CLOSED = "closed"
    EMERGENCY_CLOSED = "emergency_closed"
    BLOCKED = "blocked"
    IVR_ONLY = "ivr_only"
    ABANDONED = "abandoned"
    ABANDONED_SHORT = "abandoned_short"
    OVERFLOW_FULL = "overflow_full"
    OVERFLOW_WAIT = "overflow_wait"
    OVERFLOW_NO_AGENT = "overflow_no_agent"
    OVERFLOW_KEY = "overflow_key"
    CALLBACK_REQUESTED = "callback_requested"
    MESSAGE_LEFT = "message_left"
    FAILED = "failed"
    COMPLETED = "completed"
    TRANSFERRED_ATTENDED = "transferred_attended"
    TRANSFERRED_BLIND = "transferred_blind"
    LOST_ON_HOLD = "lost_on_hold"
    CUT_OFF = "cut_off"


NOT_OFFERED = frozenset({Outcome.CLOSED, Outcome.EMERGENCY_CLOSED, Outcome.BLOCKED, Outcome.IVR_ONLY})
"""Arrived, but never due an agent. Every other outcome is an offered call's."""

ANSWERED = frozenset(
    {
        Outcome.COMPLETED,
        Outcome.TRANSFERRED_ATTENDED,
        Outcome.TRANSFERRED_BLIND,
        Outcome.LOST_ON_HOLD,
        Outcome.CUT_OFF,
    }
)


class Party(Enum):
    """Who ended something."""

    CALLER = "caller"
    AGENT = "agent"
    CALLED = "called"
    """The far end of a call that a desk phone made, or of one that was put through, or forwarded out of a menu."""
    SYSTEM = "system"
    UNKNOWN = "unknown"


class SideKind(Enum):
    """A call that is no arrival, and is counted apart."""

    OUTGOING = "outgoing"
    """From a desk phone to somebody outside."""
    EMERGENCY = "emergency"
    """From a desk phone to 110, 118 or 119."""
    CONTACT = "contact"
    """To a number that the centre file marks as 連絡用番号."""
    DEPARTMENT = "department"
    """From a desk phone to a department of the centre's directory; `why` of such a call is the department's id. Beside
    a talk it is a consult (相談)."""
    COLLEAGUE = "colleague"
    """From a desk phone, beside a talk, to another of the same centre (二次対応)."""


class SideOutcome(Enum):
    """What a call that is counted apart ended as (definitions, "call")."""

    CONNECTED = "connected"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    """Nobody took it, or the caller put down before."""
    REFUSED = "refused"
    """The centre's list does not allow the number, or the far end did not want the call."""
    FAILED = "failed"
    """It could not be put through: no such number, no line, a fault of the carrier's or ours."""


class OfferStage(Enum):
    MADE = "made"
    RINGING = "ringing"
    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    CALLER_GONE = "caller_gone"
    WITHDRAWN = "withdrawn"


OPEN_OFFER = frozenset({OfferStage.MADE, OfferStage.RINGING})

OWN_DOING = frozenset({OfferStage.NO_ANSWER, OfferStage.REJECTED})
"""How an agent misses an offer. A busy or unreachable phone may not be the person's doing."""


class Treatment(Enum):
    """What becomes of a caller who overflows."""

    QUEUE = "queue"
    """Moves to another queue: another visit of the same call."""
    AGENTS = "agents"
    """Another queue's agents, of another centre perhaps, may serve the caller as well."""
    ANNOUNCE = "announce"
    """Hears an announcement, then the end."""
    BUSY = "busy"
    """Hears the busy tone, then the end."""
    MENU = "menu"
    """Is led into a menu, with the place kept, and comes back unless something else is chosen."""


class Choice(Enum):
    """What a key of a menu does, or that none did."""

    MENU = "menu"
    """On to another menu."""
    LANGUAGE = "language"
    """On in another language."""
    QUEUE = "queue"
    """To an agent of this queue."""
    SAY = "say_back"
    """Information by voice, and back."""
    FORWARD = "forward"
    """To an outside number."""
    WAIT = "wait"
    """Back to the waiting line, in the same place; only in a menu for callers who wait."""
    END = "end"
    MESSAGE = "message"
    """Leaves a message after the tone."""
    CALLBACK = "callback"
    """Asks to be called back when the turn has come."""
    WRONG = "wrong_key"
    NONE = "no_key"
    UNREACHED = "unreached"
    """The outside number was not reached; on as if nothing had been keyed."""


SERVED = frozenset({Choice.SAY, Choice.FORWARD, Choice.END})
"""What needs no agent: who ends there is *ivr_only*."""


class CallbackEnd(Enum):
    """What became of a caller who asked to be called back."""

    REACHED = "reached"
    """On the day of the request, by the centre's clock."""
    REACHED_LATER = "reached_later"
    GIVEN_UP = "given_up"
    """Nobody answered in all the attempts."""
    CANCELLED = "cancelled"
    """The caller rang in first, or somebody took it off the list."""


class Said(Enum):
    """What Asterisk tells of a caller who leaves a message, by the dialplan's word."""

    BEGAN = "began"
    """The tone was heard; what is said from now on is kept."""
    KEPT = "kept"
    """The caller is thanked for it."""
    CUT = "cut"
    """Likewise, and told that its end could not be recorded."""
    EMPTY = "empty"
    """Nothing was said, or nothing could be recorded, and the caller is told so."""


class Presence(Enum):
    """What the person wants."""

    SIGNED_OUT = "signed_out"
    READY = "ready"
    PAUSED = "paused"
    """Signed in and absent, with a reason (離席)."""


class Work(Enum):
    """What we gave the agent to do."""

    IDLE = "idle"
    RESERVED = "reserved"
    RINGING = "ringing"
    TALKING = "talking"
    CALLING_OUT = "calling_out"
    """In a call of the agent's own making; no offer meanwhile."""
    WRAPPING_UP = "wrapping_up"


class Device(Enum):
    """What Asterisk says of a phone."""

    FREE = "free"
    BUSY = "busy"
    UNREACHABLE = "unreachable"


class SecondSignIn(Enum):
    """What becomes of a sign-in of somebody who is signed in on another phone."""

    MOVES = "moves"
    """The first one ends."""
    REFUSED = "refused"


class ResultKind(Enum):
    """What the result of a call counts as (definitions: complaints, bookings, escalated)."""

    DONE = "done"
    TRANSFER = "transfer"
    """取り次ぎ: escalated."""
    CALLBACK = "callback"
    """折り返し: escalated."""
    COMPLAINT = "complaint"
    BOOKING = "booking"
    OTHER = "other"


ESCALATED = frozenset({ResultKind.TRANSFER, ResultKind.CALLBACK})


class TalkKey(Enum):
    """What an agent keys inside a talk."""

    HELP = "help"
    """手上げ: asks the supervisor for help; once more: not needed any more."""
    ABUSE = "abuse"
    """悪質・脅迫通報."""
    RELAY = "relay"
    """電話リレー; once more: it was none."""
    RECORDING = "recording"
    """録音一時停止; once more: goes on."""


class PauseAs(Enum):
    """What a centre lets an agent's pause make of a recording."""

    SILENCE = "silence"
    """Of the pause's length."""
    GAP = "gap"
    """The pause takes no time in it."""
    NO = "no"
    """Nobody pauses."""


class PauseEnd(Enum):
    """Why a recording went on after a pause."""

    ASKED = "asked"
    """By key or page."""
    TIME = "time"
    """It was as long as the centre lets it be."""
    TALK_ENDED = "talk_ended"
    """The agent who had paused it was no longer with the caller."""
    REPORTED = "reported"
    """The call was reported (悪質・脅迫)."""
    FOUND = "found"
    """The dialplan had it go on while nobody watched."""


class WatchMode(Enum):
    """What a supervisor's phone does at the talk of an agent."""

    LISTEN = "listen"
    """聴取: hears both, and is heard by neither."""
    WHISPER = "whisper"
    """ささやき: heard by the agent alone."""
    BARGE = "barge"
    """割込: heard by both."""
    TAKE = "take"
    """引継: takes the agent's place."""


class Mark(Enum):
    """What a call is marked as, for good."""

    ABUSE = "abuse"
    """悪質・脅迫: its recording is not to be deleted."""
    RELAY = "relay"
    """電話リレー: no limits of time."""
