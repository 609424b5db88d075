"""A call: one arrival at a number, from the arriving channel's first event to its Hangup.

Rules
- A call is named by its arriving channel and lives exactly as long as that channel.
- `answered_at` is the instant at which caller and agent were both in one bridge, and nothing else.
- The wait runs from the first entry into a queue to the first answer or the end; coming back into a queue after a
  talk begins another visit and keeps the first place in the order.
- An offer that is open is closed by its own fact before the call ends or is answered by somebody else. Several
  phones may ring in one round; the call is offered until the last of them is closed.
- Another queue is another visit of the same call; the place among callers of equal priority goes along.
- A transfer is caller and department in one bridge, and nothing else. Until then the caller whom the agent has left is
  parted. A department's leg is known by the agent's consult (`Leg.side`), or by the dialplan's word for a blind one.
- Who chose an outside number in a menu is forwarded once that has answered, to the end of the call. Its leg is no
  agent's, so that this is no answer and no talk in any figure; it is recorded as one.
- A waiting caller may be led aside: to a phrase between the music, or into a menu. The place is kept and the wait goes
  on. During a phrase agents may be reserved, who ring at its end; whoever is in a menu is offered nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import (
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    DepartmentId,
    Instant,
    NodeId,
    OfferId,
    PhoneId,
    QueueId,
    VisitId,
    after,
    seconds,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome, Stage
from callcore.domain.tape import Tape
from callcore.domain.transitions import Table

PUT_DOWN = seconds(1)
"""So long after the agent has put down the phone's leg is still in the talk only if Asterisk has lost it."""
CALL: Table[Stage] = {
    None: {"CallArrived": Stage.ARRIVED},
    Stage.ARRIVED: {
        "CallAdmitted": Stage.ANNOUNCED,
        "CallRefused": Stage.ANNOUNCED,
        "VisitBegan": Stage.WAITING,
        "CallAnswered": Stage.TALKING,
        "CallEnded": Stage.ENDED,
    },
    Stage.ANNOUNCED: {
        "MenuAnswered": Stage.ANNOUNCED,
        "CallForwarded": Stage.ANNOUNCED,
        "MessageBegan": Stage.ANNOUNCED,
        "MessageEmpty": Stage.ANNOUNCED,
        "MessageLeft": Stage.ANNOUNCED,
        "CallbackAsked": Stage.ANNOUNCED,
        "CallAdmitted": Stage.ANNOUNCED,
        "VisitBegan": Stage.WAITING,
        "CallAnswered": Stage.TALKING,
        "CallEnded": Stage.ENDED,
    },
    Stage.WAITING: {
        "OfferMade": Stage.OFFERED,
        "VisitBegan": Stage.WAITING,
        "CallerMovedUp": Stage.WAITING,
        "NeedsRelaxed": Stage.WAITING,
        "AgentsAdded": Stage.WAITING,
        "OverflowBegan": Stage.WAITING,
        "OverflowUndone": Stage.WAITING,
        "ComfortBegan": Stage.WAITING,
        "OverflowMenuBegan": Stage.WAITING,
        "MenuAnswered": Stage.WAITING,
        "CallForwarded": Stage.WAITING,
        "LineRejoined": Stage.WAITING,
        "NetEntered": Stage.WAITING,
        "NetLeft": Stage.WAITING,
        "CallGivenUp": Stage.WAITING,
        "MessageBegan": Stage.WAITING,
        "MessageEmpty": Stage.WAITING,
        "MessageLeft": Stage.WAITING,
        "CallbackAsked": Stage.WAITING,
        "CallAnswered": Stage.TALKING,
        "CallEnded": Stage.ENDED,
    },
    Stage.OFFERED: {
        "OfferMade": Stage.OFFERED,
        "OfferRang": Stage.OFFERED,
        "WithdrawalAsked": Stage.OFFERED,
        "NeedsRelaxed": Stage.OFFERED,
        "OfferFailed": Stage.WAITING,
        "LineRejoined": Stage.OFFERED,
        "NetEntered": Stage.OFFERED,
        "CallAnswered": Stage.TALKING,
    },
    Stage.TALKING: {
        "CallHeld": Stage.TALKING,
        "HoldOverran": Stage.TALKING,
        "CallResumed": Stage.TALKING,
        "TalkEnded": Stage.PARTED,
    },
    Stage.PARTED: {
        "TransferBegan": Stage.PARTED,
        "CallTransferred": Stage.TRANSFERRED,
        "VisitBegan": Stage.WAITING,
        "CallAnswered": Stage.TALKING,
        "CallEnded": Stage.ENDED,
    },
    Stage.TRANSFERRED: {
        "RecordingStopped": Stage.TRANSFERRED,
        "TransferEnded": Stage.PARTED,
        "CallEnded": Stage.ENDED,
    },
}


@dataclass(frozen=True, slots=True)
class Leg:
    """One channel's part in a call: the caller's own, or a phone's."""

    channel: ChannelId
    phone: PhoneId | None
    agent: AgentId | None
    offer: OfferId | None
    bridge: str | None = None
    since: Instant = Instant(0)
    """When it began, as far as that was told."""
    side: CallId | None = None
    """The consult that the agent began, whose far end this is."""
    department: DepartmentId | None = None
    asked: bool = False
    """The agent has spoken with that end."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A caller who was put through to a department."""

    department: DepartmentId | None
    channel: ChannelId
    """The department's."""
    blind: bool
    """Nobody there was asked before."""
    since: Instant
    ended: bool = False
    unrecorded: bool = False
    """Its recording is stopped."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A caller who chose an outside number, which has answered."""

    channel: ChannelId
    """The far end's."""
    since: Instant
    recorded: bool
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay in one queue."""

    id: VisitId
    queue: QueueId
    priority: int
    entered_at: Instant
    since: Instant
    rung: int = 0
    """How many rungs of the queue's ladder hold already."""
    also: tuple[QueueId, ...] = ()
    """Queues whose agents were added by an overflow rule."""
    watched: bool = True
    """Its beginning was witnessed, so that its length is right."""
    language: str | None = None
    """That the caller chose, where the agent must speak it by skill."""
    not_before: Instant | None = None
    """An overflow that could not be carried out is not tried again before."""
    menus: tuple[tuple[str, Instant], ...] = ()
    """The menus that the caller was led into, and when last there."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Where a waiting caller is, off the waiting line, and is to come back from."""

    number: int
    """The how manieth time of this call; stands on the channel, which tells it on the way back."""
    since: Instant
    until: Instant | None = None
    """Of a phrase: by then it should have been told that the caller is back."""
    menu: str | None = None
    cause: Outcome | None = None
    """Of a menu: what the overflow rule's cause makes of a call that ends there."""
    outcome: Outcome | None = None
    """What a call that ends now would end as; None: as any other wait."""


@dataclass(frozen=True, slots=True)
class Call:
    id: CallId
    node: NodeId
    channel_name: str
    centre: CentreId
    number: str
    queue: QueueId
    caller: Personal
    arrived_at: Instant
    stage: Stage
    legs: tuple[Leg, ...] = ()
    """The caller's own leg first."""
    refused_as: Outcome | None = None
    given_up_as: Outcome | None = None
    """We ended the wait: what the call ends as, unless it had been answered."""
    leaving_as: Outcome | None = None
    """On the way to the treatment of an overflow, and not to be offered any more."""
    leaving_since: Instant | None = None
    answer: CallId | None = None
    """As in `CallArrived`: what is to be told to this caller."""
    again: bool = False
    """As in `CallArrived` (再入電)."""
    listed: CallId | None = None
    """The entry of the list of unwelcome callers (要注意)."""
    priority: int | None = None
    priority_reason: str | None = None
    been: tuple[QueueId, ...] = ()
    """The queues that it has waited in, this one included."""
    visit: Visit | None = None
    visits: int = 0
    in_net: bool = False
    net_changed_at: Instant | None = None
    """When the caller last fell into the safety net or was taken back."""
    offer: OfferId | None = None
    """The round of offers that is open, by the id that stands on the channel."""
    ringing: tuple[OfferId, ...] = ()
    """The open offers of that round."""
    offers: int = 0
    entered_at: Instant | None = None
    answered_at: Instant | None = None
    talking_with: AgentId | None = None
    talking_leg: ChannelId | None = None
    talk_since: Instant | None = None
    talk_watched: bool = True
    """The beginning of the last talk was witnessed, so that its length is right."""
    parted_at: Instant | None = None
    """When the last talk ended."""
    parted_from: AgentId | None = None
    """With whom."""
    given_over: bool = False
    """The agent was seen to leave the caller, and not the other way round."""
    moving_to: DepartmentId | None = None
    """The department that is rung for the caller, whom nobody else is with."""
    transfer: Transfer | None = None
    """The last one, unless the caller came back."""
    forward: Forward | None = None
    keyed_at: Instant | None = None
    """When the last key in a menu, or none in time, was told."""
    held_since: Instant | None = None
    held_leg: ChannelId | None = None
    """The phone's leg that held the caller, as far as is known; after a gap it may hold him still."""
    let_go_at: Instant | None = None
    """When the agent left a caller who was held; None: the caller was not, or was answered again."""
    hold_due: Instant | None = None
    """When it becomes too long."""
    hold_overran: bool = False
    asked_to_end: ChannelId | None = None
    """The channel whose far end put down first."""
    asked_to_end_at: Instant | None = None
    """When that was."""
    last_cause: int | None = None
    """Q.850 cause with which the last talk's phone leg ended."""
    imprecise: bool = False
    """Something of it was told late."""
    help_since: Instant | None = None
    """The agent asked for help (手上げ)."""
    help_by: str | None = None
    """Who sees to it."""
    abuse: bool = False
    relay: bool = False
    unrecorded_since: Instant | None = None
    """Its recording is paused."""
    unrecorded_until: Instant | None = None
    paused: int = 0
    """For how long it was, in microseconds, before."""
    unrecorded_gap: bool = False
    """The pause is to be cut out."""
    tape: Tape = Tape()
    far_received: int | None = None
    """Microseconds of sound that came from whom the caller talked with; None: nothing was told of it."""
    far_unseen: bool = False
    """One of them left unseen, so that this is not all."""
    language: str | None = None
    """Chosen in a menu; None: none was."""
    served: bool = False
    """Chose by key something that needs no agent, and nothing else since."""
    aside: Aside | None = None
    asides: int = 0
    """How often the caller was led aside."""
    comfort_round: int = 0
    """How many rounds of phrases were said in this visit."""
    comfort_step: int = 0
    """How many phrases of the round that is going on."""
    comfort_from: Instant | None = None
    """When the last round ended; None: there was none in this visit."""
    speaks_since: Instant | None = None
    """Leaves a message: since the tone."""
    message: bool = False
    """Has left one."""
    callback: bool = False
    """Is to be called back."""
    kept: tuple[int, Instant] | None = None
    """The place (priority, since) that was kept for a call-back, of a caller who rang in first."""

    @property
    def channel(self) -> ChannelId:
        return ChannelId(self.id)

    @property
    def caller_put_down(self) -> bool:
        """The caller's side asked for the end; the Hangup of the channel is on its way."""
        return self.asked_to_end == self.channel

    @property
    def put_down_due(self) -> Instant | None:
        """Until when the phone's leg, on which the agent has put down, has left the talk by itself."""
        if self.stage is not Stage.TALKING or self.asked_to_end is None or self.asked_to_end_at is None:
            return None
        return after(self.asked_to_end_at, PUT_DOWN) if self.asked_to_end == self.talking_leg else None

    @property
    def may_pause(self) -> bool:
        """Its recording may be paused now. Not that of a call that was reported."""
        return self.stage is Stage.TALKING and not self.abuse

    @property
    def unrecorded_due(self) -> Instant | None:
        """When its recording is to go on, if it is paused: at once, if the call was reported."""
        return self.unrecorded_since if self.abuse else self.unrecorded_until

    @property
    def in_menu(self) -> bool:
        """Led out of the waiting line into a menu."""
        return self.aside is not None and self.aside.menu is not None

    @property
    def may_be_offered(self) -> bool:
        """On the waiting line, or hearing a phrase; not in a menu or the safety net, not on the way out, not putting
        down."""
        return (
            self.stage is Stage.WAITING
            and self.visit is not None
            and not self.in_net
            and self.given_up_as is None
            and self.leaving_as is None
            and not self.in_menu
            and not self.caller_put_down
            and self.speaks_since is None
            and not self.message
            and not self.callback
        )

    @property
    def passed_on(self) -> bool:
        """Left by the agent while a department is being rung, or was asked."""
        unmet = self.transfer is None and self.stage is Stage.PARTED
        return (
            unmet
            and self.given_over
            and (self.moving_to is not None or any(leg.side is not None for leg in self.legs))
        )

    @property
    def bridge(self) -> str | None:
        return self.legs[0].bridge

    def leg(self, channel: ChannelId) -> Leg | None:
        for leg in self.legs:
            if leg.channel == channel:
                return leg
        return None
