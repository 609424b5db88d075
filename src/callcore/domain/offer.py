"""An offer: one attempt to ring one agent for one caller.

Rules
- Its id stands on the caller's channel while it is open; what another offer's id says is disregarded.
- Several offers of one round may ring at once; the round's id, the first offer's, stands on the channel then.
- It is closed once: by an answer, or by one `OfferFailed`.
- One that we take back ends as withdrawn whatever the phone's leg says, unless the phone was answered first.
- Ring time is `Dial`'s own limit. `overdue_at` only bounds our ignorance of the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import AgentId, CallId, Instant, OfferId, PhoneId, VisitId
from callcore.domain.stages import OfferStage
from callcore.domain.transitions import Table

OFFER: Table[OfferStage] = {
    None: {"OfferMade": OfferStage.MADE},
    OfferStage.MADE: {
        "OfferRang": OfferStage.RINGING,
        "WithdrawalAsked": OfferStage.MADE,
        "CallAnswered": OfferStage.ANSWERED,
    },
    OfferStage.RINGING: {"WithdrawalAsked": OfferStage.RINGING, "CallAnswered": OfferStage.ANSWERED},
}
"""`OfferFailed` ends an open offer in the stage that it names; it is legal in MADE and RINGING."""


@dataclass(frozen=True, slots=True)
class Offer:
    id: OfferId
    call: CallId
    visit: VisitId
    agent: AgentId
    phone: PhoneId
    made_at: Instant
    rings_until: Instant
    """Who has not answered by then has not answered."""
    overdue_at: Instant
    """Its end should have been told by then."""
    stage: OfferStage
    round: OfferId
    reasons: tuple[str, ...] = ()
    withdrawn: bool = False
    """We took it back and have not been told its end yet."""
