"""What we hold to have happened: past tense, versioned, journaled, never changed.

`at` is the instant Asterisk gave to the event that told us (UTC, microseconds). `reconstructed` marks what nobody
witnessed: it was found in a snapshot or in Asterisk's own CEL file after a gap. The floor is the fold of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.centre import Configuration
from callcore.domain.ids import (
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    NodeId,
    OfferId,
    PhoneId,
    QueueId,
    VisitId,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Device, OfferStage, Outcome, Party


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    at: Instant
    reconstructed: bool = False


# -- the engine and its link ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Fact):
    """An engine took over the floor. `software` is callcore's version."""

    run: int
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured(Fact):
    configuration: Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGained(Fact):
    """Logged in to the node, snapshot taken, floor reconciled: from here on we decide."""

    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost(Fact):
    """From here until the next `LinkGained` nobody watched."""

    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed(Fact):
    """The watchdog found a state that Asterisk contradicts, and mended it."""

    what: str


# -- calls ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArrived(Fact):
    call: CallId
    node: NodeId
    channel_name: str
    centre: CentreId
    number: str
    queue: QueueId
    caller: Personal


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAdmitted(Fact):
    """Inside opening hours: the caller is due an agent."""

    call: CallId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRefused(Fact):
    """The caller hears an announcement and then the end; the call will end as `outcome`, whatever the caller does."""

    call: CallId
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionDiffered(Fact):
    """The dialplan's decision is not the calendar's. What the caller was told stands; somebody must look."""

    call: CallId
    told_open: bool
    calendar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitBegan(Fact):
    """The caller entered a queue. `since` orders the wait: the first entry of this call into any queue."""

    call: CallId
    visit: VisitId
    queue: QueueId
    priority: int
    since: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NetEntered(Fact):
    """The caller fell into the safety net (app_queue)."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLeft(Fact):
    """The caller was taken back from the safety net."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGivenUp(Fact):
    """We have ended the wait and apologise; the call will end as `outcome`, whatever the caller does."""

    call: CallId
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegBegan(Fact):
    """A phone's channel was called for this call."""

    call: CallId
    channel: ChannelId
    phone: PhoneId | None
    agent: AgentId | None
    offer: OfferId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegJoined(Fact):
    call: CallId
    channel: ChannelId
    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegLeft(Fact):
    call: CallId
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded(Fact):
    """`cause` is the Q.850 cause of the Hangup."""

    call: CallId
    channel: ChannelId
    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupAsked(Fact):
    """A party put the receiver down: its side asked for the end before the channel went."""

    call: CallId
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered(Fact):
    """A human agent and the caller are in one bridge."""

    call: CallId
    agent: AgentId | None
    phone: PhoneId | None
    offer: OfferId | None
    by_net: bool = False
    channel: ChannelId | None = None
    """The phone's own channel; None: not known, as when CEL tells of a talk that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(Fact):
    call: CallId
    agent: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResumed(Fact):
    call: CallId
    agent: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkEnded(Fact):
    """Agent and caller are no longer together. The agent's after-call work ends by itself at `wrap_up_until`."""

    call: CallId
    agent: AgentId | None
    wrap_up_until: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Fact):
    call: CallId
    outcome: Outcome
    hung_up_by: Party
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFiled(Fact):
    """A recording was measured. `problem` says what is wrong with it; None: nothing. `seconds` of sound."""

    call: CallId
    file: str
    size: int
    seconds: float
    sha256: str | None
    problem: str | None = None


# -- offers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMade(Fact):
    """One agent was chosen for one caller. `reasons` are words that a supervisor reads."""

    offer: OfferId
    call: CallId
    visit: VisitId
    agent: AgentId
    phone: PhoneId
    ring_s: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRang(Fact):
    offer: OfferId
    call: CallId
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFailed(Fact):
    """The offer is over without an answer. The agent is passed over until `rest_until`, if given."""

    offer: OfferId
    call: CallId
    agent: AgentId
    result: OfferStage
    rest_until: Instant | None
    reason: str


# -- agents and phones ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSignedIn(Fact):
    agent: AgentId
    phone: PhoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSignedOut(Fact):
    agent: AgentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpEnded(Fact):
    agent: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class RestEnded(Fact):
    agent: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChanged(Fact):
    phone: PhoneId
    device: Device


KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in Fact.__subclasses__()}
"""Every kind of fact by the name it bears in the journal."""
