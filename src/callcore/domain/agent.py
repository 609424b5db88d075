"""An agent on three axes: what the person wants, what we gave them to do, and what Asterisk says of the phone.

Rules
- Available = READY and IDLE and the phone FREE and not resting. Fitting = available and serving the queue.
- RESERVED begins with the offer and RINGING with the phone's own ringing; both end with the offer.
- After-call work is ours to end: no offer while WRAPPING_UP.
- Who lets the phone ring out, or rejects, goes to the end of the idle order; a busy or unreachable phone does not
  cost the place, for that may not be the person's doing.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import AgentId, CallId, CentreId, Instant, OfferId, PhoneId, QueueId
from callcore.domain.stages import Presence, Work
from callcore.domain.transitions import Table

WORK: Table[Work] = {
    Work.IDLE: {"OfferMade": Work.RESERVED, "CallAnswered": Work.TALKING},
    Work.RESERVED: {"OfferRang": Work.RINGING, "OfferFailed": Work.IDLE, "CallAnswered": Work.TALKING},
    Work.RINGING: {"OfferFailed": Work.IDLE, "CallAnswered": Work.TALKING},
    Work.TALKING: {"TalkEnded": Work.WRAPPING_UP},
    Work.WRAPPING_UP: {"WrapUpEnded": Work.IDLE, "CallAnswered": Work.TALKING},
}
"""`CallAnswered` out of IDLE and WRAPPING_UP is the safety net's doing, which rings whom it likes."""


@dataclass(frozen=True, slots=True)
class AgentState:
    id: AgentId
    name: str
    centre: CentreId
    queues: tuple[QueueId, ...]
    seat: PhoneId | None
    """The phone the agent is fixed to, if any."""
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
