"""Calls that are no arrivals and are counted apart: what desk phones call, and what rings a 連絡用番号.

Rules
- Such a call is never on the floor's `calls`, and its id never stands in a queue's, an offer's or an arrival's figure.
- Connected: the channel that began it was in a bridge with the other side. A busy tone or an announcement is none.
- It ends once, as one outcome (`SideOutcome`): by the dialplan's word when nobody was reached, else with its channel.
- Who was called may go on with somebody else: the phone's transfer key passes on the citizen of a call out, too. That
  is no call here and counts nowhere. The recording goes on, unless it is to end with the agent, and ends with that
  channel.
- The recording of a call out, or to a department, that is no consult may be paused by who made it, as a talk's
  (`pausing`).
- Who dials out while idle or in after-call work does nothing else meanwhile, and gets after-call work as the centre
  says. A call that the list refused, or one made beside a talk, does not change what the agent does.
- outgoing = connected + busy + no_answer + refused + failed (+ open) (definitions, "call"). Calls to departments of
  the directory are counted apart from these, by the same sum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from callcore.domain import facts as f
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    DepartmentId,
    Instant,
    NodeId,
    PhoneId,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Party, SideKind, SideOutcome
from callcore.domain.tape import Tape
from callcore.domain.transitions import Table


class SideStage(Enum):
    """Where such a call is."""

    DIALLING = "dialling"
    CONNECTED = "connected"
    ENDED = "ended"


SIDE: Table[SideStage] = {
    None: {"SideCallBegan": SideStage.DIALLING},
    SideStage.DIALLING: {
        "SideLegBegan": SideStage.DIALLING,
        "SideHangupAsked": SideStage.DIALLING,
        "SideCallConnected": SideStage.CONNECTED,
        "SideCallEnded": SideStage.ENDED,
    },
    SideStage.CONNECTED: {
        "SideLegBegan": SideStage.CONNECTED,
        "SideLegEnded": SideStage.CONNECTED,
        "SideHangupAsked": SideStage.CONNECTED,
        "SideCallEnded": SideStage.ENDED,
    },
}


@dataclass(frozen=True, slots=True)
class SideCall:
    """One that is open."""

    id: CallId
    """The unique id of the channel that began it."""
    node: NodeId
    centre: CentreId
    kind: SideKind
    other: Personal
    phone: PhoneId | None
    agent: AgentId | None
    began_at: Instant
    stage: SideStage = SideStage.DIALLING
    legs: tuple[tuple[ChannelId, PhoneId | None], ...] = ()
    """Channels that were called for it and are there; the phone of each, None: the carrier."""
    received: int | None = None
    """Microseconds of sound that came from those that are gone since it was connected; None: nothing was told."""
    unsure: bool = False
    """It may hold some of before."""
    connected_at: Instant | None = None
    asked_to_end: ChannelId | None = None
    """The channel whose far end put down first."""
    why: str = ""
    """As in `SideCallBegan`."""
    beside: CallId | None = None
    """As in `SideCallBegan`."""
    unrecorded_since: Instant | None = None
    """Its recording is paused; this and the next as in `Call`."""
    unrecorded_until: Instant | None = None
    unrecorded_gap: bool = False
    paused: int = 0
    tape: Tape = Tape()

    @property
    def channel(self) -> ChannelId:
        return ChannelId(self.id)

    @property
    def channel_name(self) -> str:
        """Asterisk takes a unique id for a name."""
        return self.id

    @property
    def may_pause(self) -> bool:
        """Its recording may be paused now."""
        out = self.kind in (SideKind.OUTGOING, SideKind.DEPARTMENT) and self.beside is None
        return out and self.stage is SideStage.CONNECTED

    @property
    def unrecorded_due(self) -> Instant | None:
        """When its recording is to go on, if it is paused."""
        return self.unrecorded_until

    @property
    def talking_with(self) -> AgentId | None:
        """Whose talk it is."""
        return self.agent

    @property
    def talk_since(self) -> Instant | None:
        return self.connected_at

    @property
    def department(self) -> DepartmentId | None:
        """Of the centre's directory, that is called by its short number."""
        return DepartmentId(self.why) if self.kind is SideKind.DEPARTMENT and self.why else None

    def put_down_by(self) -> Party:
        """Whose receiver was put down first. A phone's is the agent's, the carrier's the other side's."""
        if self.asked_to_end is None:
            return Party.SYSTEM
        ours = self.kind is not SideKind.CONTACT
        if self.asked_to_end == self.channel:
            return Party.AGENT if ours else Party.CALLER
        return Party.CALLED if ours else Party.AGENT


@dataclass(frozen=True, slots=True)
class Answer:
    """What a citizen is to be told who was not reached, until `until`."""

    call: CallId
    centre: CentreId
    number: Personal
    text: Personal
    at: Instant
    until: Instant


LEAVES_S = 1
"""Seconds after such a call within which its other channel goes, too: some ms were seen. One that is there for longer
is with somebody else: a department after a consult, whose sound is not this call's alone, or the citizen of a call out.
"""
ANSWER_MOST = 200
"""Characters of an answer (the specification of agents' phones)."""


@dataclass(frozen=True, slots=True)
class SideRecord:
    """One such call as the figures see it. Instants UTC; None: not (yet), or not known."""

    call: CallId
    centre: CentreId
    kind: SideKind
    number: str
    """The centre's own: shown to who was called, or called."""
    why: str
    phone: PhoneId | None
    agent: AgentId | None
    began_at: Instant
    connected_at: Instant | None = None
    ended_at: Instant | None = None
    outcome: SideOutcome | None = None
    reason: str | None = None
    hung_up_by: Party | None = None
    reconstructed: bool = False
    not_carried: str | None = None
    """110, 118 or 119, if the phone had to say where else to call."""
    beside: CallId | None = None
    """The call about which it was a consult; None: it was none."""
    put_through: bool = False
    """The caller of that call was put through to it."""

    @property
    def talk(self) -> int | None:
        """Microseconds together; None while it goes on, 0 if never."""
        if self.connected_at is None:
            return 0
        return None if self.ended_at is None else max(0, self.ended_at - self.connected_at)


def record(known: SideRecord | None, fact: f.Fact) -> SideRecord | None:
    """The record after one fact of that call."""
    match fact:
        case f.SideCallBegan():
            return SideRecord(
                call=fact.call,
                centre=fact.centre,
                kind=fact.kind,
                number=fact.number,
                why=fact.why,
                phone=fact.phone,
                agent=fact.agent,
                began_at=fact.at,
                reconstructed=fact.reconstructed,
                beside=fact.beside,
            )
        case f.SideCallConnected() if known is not None:
            return replace(
                known,
                connected_at=fact.at,
                phone=fact.phone or known.phone,
                agent=fact.agent or known.agent,
                reconstructed=known.reconstructed or fact.reconstructed,
            )
        case f.EmergencyNotCarried() if known is not None:
            return replace(known, not_carried=fact.digits)
        case f.SideCallEnded() if known is not None:
            return replace(
                known,
                ended_at=fact.at,
                outcome=fact.outcome,
                reason=fact.reason,
                hung_up_by=fact.hung_up_by,
                reconstructed=known.reconstructed or fact.reconstructed,
            )
    return known


def by_cause(cause: int) -> SideOutcome:
    """Why nobody was reached, by Q.850's cause: 17 user busy, 21 call rejected, 18 and 19 no answer, and 0, 16 and 31
    where the time to ring was over. All others are the network's."""
    if cause in (0, 16, 18, 19, 31):
        return SideOutcome.NO_ANSWER
    return {17: SideOutcome.BUSY, 21: SideOutcome.REFUSED}.get(cause, SideOutcome.FAILED)


FORWARDED = "forward"
"""Why a call to a 連絡用番号 is recorded though no phone of ours answered: it is passed on to where people talk.
Any other that is passed on is a FAX."""

OUTGOING = frozenset({SideKind.OUTGOING, SideKind.EMERGENCY})
CONTACT = frozenset({SideKind.CONTACT})
DEPARTMENTS = frozenset({SideKind.DEPARTMENT})


@dataclass(frozen=True, slots=True)
class SideFigures:
    """Counts of calls of one kind, emergency calls among the outgoing ones. `made` is the sum of all the others."""

    made: int
    connected: int
    busy: int
    no_answer: int
    refused: int
    failed: int
    open: int
    talk_s: float
    """Seconds together, of those that are over."""


def figures(records: Iterable[SideRecord], kinds: Collection[SideKind]) -> SideFigures:
    """Of calls of these kinds: `OUTGOING`, `CONTACT` or `DEPARTMENTS`."""
    ends = dict.fromkeys(SideOutcome, 0)
    made = opened = talk = 0
    for one in records:
        if one.kind not in kinds:
            continue
        made += 1
        talk += one.talk or 0
        if one.outcome is None:
            opened += 1
        else:
            ends[one.outcome] += 1
    return SideFigures(
        made=made,
        connected=ends[SideOutcome.CONNECTED],
        busy=ends[SideOutcome.BUSY],
        no_answer=ends[SideOutcome.NO_ANSWER],
        refused=ends[SideOutcome.REFUSED],
        failed=ends[SideOutcome.FAILED],
        open=opened,
        talk_s=talk / SECOND,
    )
