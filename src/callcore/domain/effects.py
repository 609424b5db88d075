"""What we want done: imperative, carried out at most once, the result comes back as an input.

None of them may be repeated blindly. After a restart the snapshot shows which were carried out.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import AgentId, CallId, Instant, OfferId, PhoneId, QueueId
from callcore.domain.inputs import Timer


@dataclass(frozen=True, slots=True)
class Effect:
    pass


@dataclass(frozen=True, slots=True)
class OfferCall(Effect):
    """Redirect the waiting caller into `Dial` of the phone, but only out of the blocking wait."""

    offer: OfferId
    call: CallId
    channel_name: str
    phone: PhoneId
    ring_s: int


@dataclass(frozen=True, slots=True)
class ReclaimCaller(Effect):
    """Take a caller back from the safety net into the waiting line, unless a member's phone already rings."""

    call: CallId
    channel_name: str


@dataclass(frozen=True, slots=True)
class AddMember(Effect):
    """Mirror an agent's presence into the safety net."""

    queue: QueueId
    phone: PhoneId
    agent: AgentId


@dataclass(frozen=True, slots=True)
class RemoveMember(Effect):
    queue: QueueId
    phone: PhoneId


@dataclass(frozen=True, slots=True)
class Look(Effect):
    """Take a snapshot now, for events were late or a state is beyond its bound."""


@dataclass(frozen=True, slots=True)
class Reply(Effect):
    """Tell the phone that keyed a feature code what became of it; `word` is a common prompt's name."""

    channel_name: str
    word: str


@dataclass(frozen=True, slots=True)
class SetTimer(Effect):
    timer: Timer
    at: Instant
