"""An agent on three axes: what the person wants, what we gave them to do, and what Asterisk says of the phone.

Rules
- Available = READY and IDLE and the phone FREE, not resting and not at somebody else's talk. Fitting = available,
  serving the queue, with the skills needed, within the centres' shares.
- A pause is the person's own absence and goes beside the work: who pauses in a talk goes on talking.
- Offers missed in a row (rung out or rejected) are counted; an answer, a sign-in or the end of a pause forgets them.
- RESERVED begins with the offer and RINGING with the phone's own ringing; both end with the offer.
- After-call work is ours to end: no offer while WRAPPING_UP.
- Who dials out is CALLING_OUT, also out of after-call work (a call-back is made there), and wraps up after it.
- Wrong PINs in a row lock an agent out for a time, also while signed in elsewhere; the right one forgets them.
- Who lets the phone ring out, or rejects, goes to the end of the idle order; a busy or unreachable phone does not
  cost the place, for that may not be the person's doing.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    OfferId,
    PhoneId,
    QueueId,
)
from callcore.domain.stages import Presence, Work
from callcore.domain.transitions import Table

WORK: Table[Work] = {
    Work.IDLE: {
        "OfferMade": Work.RESERVED,
        "CallAnswered": Work.TALKING,
        "SideCallBegan": Work.CALLING_OUT,
    },
    Work.RESERVED: {"OfferRang": Work.RINGING, "OfferFailed": Work.IDLE, "CallAnswered": Work.TALKING},
    Work.RINGING: {"OfferFailed": Work.IDLE, "CallAnswered": Work.TALKING},
    Work.TALKING: {"TalkEnded": Work.WRAPPING_UP},
    Work.CALLING_OUT: {"SideCallEnded": Work.WRAPPING_UP},
    Work.WRAPPING_UP: {
        "WrapUpEnded": Work.IDLE,
        "WrapUpExtended": Work.WRAPPING_UP,
        "CallAnswered": Work.TALKING,
        "SideCallBegan": Work.CALLING_OUT,
    },
}
"""`CallAnswered` out of IDLE and WRAPPING_UP is the safety net's doing, which rings whom it likes."""

BREAKS = frozenset({"休憩", "昼休み"})
"""Pauses whose time is not staffed (definitions, "staffed"). All other pauses are work elsewhere or duty."""

NO_ANSWER_PAUSE = "呼出不応答"
"""The reason of the pause that too many missed offers in a row are answered with."""


@dataclass(frozen=True, slots=True)
class AgentState:
    id: AgentId
    name: str
    centre: CentreId
    """The agent's own; as a guest (兼務) an agent serves queues of others too."""
    queues: tuple[QueueId, ...]
    seat: PhoneId | None
    """The phone the agent is fixed to, if any."""
    skills: tuple[tuple[str, int], ...] = ()
    rank: int = 0
    """The place in the files."""
    presence: Presence = Presence.SIGNED_OUT
    work: Work = Work.IDLE
    phone: PhoneId | None = None
    offer: OfferId | None = None
    call: CallId | None = None
    signed_in_at: Instant | None = None
    state_since: Instant | None = None
    idle_since: Instant | None = None
    wrap_up_until: Instant | None = None
    rest_until: Instant | None = None
    pause: str | None = None
    """The reason, while paused."""
    paused_at: Instant | None = None
    misses: int = 0
    """Offers missed in a row."""
    answered: int = 0
    """Talks since the sign-in."""
    at_work_for: CentreId | None = None
    """Whose caller is being rung for, talked with or wrapped up."""
    last_queue: QueueId | None = None
    """Of the call in hand, or wrapped up: its rules for after-call work hold."""
    talk_ended_at: Instant | None = None
    """Where the after-call work of now began."""
    side: CallId | None = None
    """The call of the agent's own making that is in hand, or wrapped up."""
    pause_longest_s: int | None = None
    """The limit of the pause of now, in seconds."""
    pause_overran: bool = False
    wrong_pins: int = 0
    """In a row, for this agent's number."""
    locked_until: Instant | None = None
    """No PIN counts before, not even the right one."""
    last_call: CallId | None = None
    """The call in hand, or wrapped up: a result that is keyed is its result."""
    result: str | None = None
    """What was keyed as its result."""
    relayed: bool = False
    """It was a relay-service call: after-call work does not end by itself."""
    skills_by_hand: bool = False
    """They are not those of the files, until the agent signs out."""
    watch: ChannelId | None = None
    """The phone is at somebody else's talk (`watch.py`)."""

    def level(self, skill: str) -> int | None:
        """1 (best) to 9; None: does not have it."""
        return next((level for name, level in self.skills if name == skill), None)

    def locked(self, at: Instant) -> bool:
        return self.locked_until is not None and at < self.locked_until

    @property
    def pause_due(self) -> Instant | None:
        """When the pause becomes longer than it may; None: never, or it has, or it has not begun: that is where the
        work ends."""
        if self.pause_longest_s is None or self.paused_at is None or self.pause_overran:
            return None
        if self.work is not Work.IDLE:
            return None
        since = max(self.paused_at, self.state_since or self.paused_at)
        return Instant(since + self.pause_longest_s * SECOND)

    @property
    def on_duty(self) -> bool:
        """Signed in and not paused."""
        return self.presence is Presence.READY
