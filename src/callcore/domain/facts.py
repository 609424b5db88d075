"""What we hold to have happened: past tense, versioned, journaled, never changed.

`at` is the instant Asterisk gave to the event that told us (UTC, microseconds). `reconstructed` marks what nobody
witnessed: it was found in a snapshot or in Asterisk's own CEL file after a gap. The floor is the fold of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.centre import Configuration
from callcore.domain.findings import Finding
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
)
from callcore.domain.personal import Personal
from callcore.domain.phones import Policy
from callcore.domain.recording import RecordingKind, RecordingMark
from callcore.domain.stages import (
    Choice,
    Device,
    Mark,
    OfferStage,
    Outcome,
    Party,
    PauseEnd,
    ResultKind,
    SideKind,
    SideOutcome,
    Treatment,
    WatchMode,
)


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
    """`by`: the person who applied it; None: an engine that started."""

    configuration: Configuration
    by: str | None = None


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
    """The watchdog found a state that Asterisk contradicts, or one beyond its bound, and mended it."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStepped(Fact):
    """The wall clock was set by `by` microseconds (+ forward). `at` is by the new clock. Whatever is going on began
    `by` later than was written down, by the new clock, so that every length stays right."""

    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LagBegan(Fact):
    """Asterisk's events come later than the canary's bound: the times of the calls of now are imprecise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LagEnded(Fact):
    """Events come in time again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMarkedImprecise(Fact):
    """Something of this call was told late: its times are not exact."""

    call: CallId


# -- emergency closure ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyBegan(Fact):
    """A centre is closed in an emergency (臨時休止) until then; while one lasts: it has another end and reason.
    `by`: who asked, in words."""

    centre: CentreId
    until: Instant
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyEnded(Fact):
    """`by` None: its time was over."""

    centre: CentreId
    by: str | None = None


# -- callers who are listed ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerListed(Fact):
    """A caller stands on a centre's list of unwelcome callers until then; an entry that lasts: another end and reason.
    `by`: who asked, in words."""

    entry: CallId
    """Names the entry, and the key of its number; no call bears it."""
    centre: CentreId
    number: Personal
    reason: str
    until: Instant
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerUnlisted(Fact):
    """`by` None: its time was over."""

    entry: CallId
    centre: CentreId
    by: str | None = None


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
    priority: int | None = None
    """That the number or the list of callers gives to this call; None: the queue's."""
    priority_reason: str | None = None
    test: bool = False
    """From a listed test number: left out of the figures."""
    again: bool = False
    """The same number called this centre within the last 24 hours (再入電)."""
    answer: CallId | None = None
    """The call of this number on which an answer was put that waits (回答あり)."""
    listed: CallId | None = None
    """The entry of the list of unwelcome callers that holds for this one (要注意)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAdmitted(Fact):
    """Inside opening hours: the caller is due an agent; also one who was refused as *blocked* and pressed 9."""

    call: CallId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRefused(Fact):
    """The caller hears an announcement and then the end; the call will end as `outcome`, whatever the caller does; of
    *blocked*, unless the caller presses 9 (`CallAdmitted`)."""

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
class MenuAnswered(Fact):
    """The caller keyed something in a menu, or nothing in time."""

    call: CallId
    menu: str
    key: str
    """`0` to `9`, `*`, `#`; `known`: none was asked for, the language was remembered; empty: none."""
    choice: Choice
    to: str
    """The menu, the announcement's kind or the outside number."""
    queue: QueueId | None
    """Of an agent, if that was chosen."""
    language: str | None
    """That was chosen by this key."""
    reason: str
    """In words: the step of the way through the menus."""
    remember_until: Instant | None = None
    """So long the language is remembered for the caller's number; None: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForwarded(Fact):
    """The outside number that the caller chose in a menu has answered: from now to the call's end they talk. It is no
    answer of ours, and the call stays what it is (*ivr_only*, *closed*, *overflow_key*)."""

    call: CallId
    channel: ChannelId
    """Of the far end; a leg of the call from now on."""
    recorded: bool
    """As the key says."""
    notice: str | None = None
    """As in `VisitBegan`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitBegan(Fact):
    """The caller entered a queue; a visit that is open ends with it. `since` orders the wait: the first entry of this
    call into any queue."""

    call: CallId
    visit: VisitId
    queue: QueueId
    priority: int
    since: Instant
    position: int | None = None
    """1: first in the line. None: not known, for it is reconstructed."""
    estimate_s: float | None = None
    """The estimated wait in seconds from here on (EWT); None: nobody is on duty, or not known."""
    reasons: tuple[str, ...] = ()
    """Why the caller came from another queue, and why with this priority."""
    language: str | None = None
    """That the agent must speak, by skill, because the caller chose it."""
    by: str | None = None
    """The person who moved the caller to this queue; None: nobody did."""
    notice: str | None = None
    """The language in which the recording notice was said to its end right before; None: it was not, or not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerMovedUp(Fact):
    """A person let this caller go before all others of the queue; `priority`: from now on. The wait goes on as it
    was."""

    call: CallId
    visit: VisitId
    priority: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsRelaxed(Fact):
    """The caller has waited to a rung of the queue's ladder; `rung` counts from 1."""

    call: CallId
    visit: VisitId
    rung: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsAdded(Fact):
    """An overflow rule: another queue's agents may serve this caller as well."""

    call: CallId
    visit: VisitId
    agents_of: QueueId
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowBegan(Fact):
    """An overflow rule ends this wait: the caller is being sent to the treatment."""

    call: CallId
    outcome: Outcome
    treatment: Treatment
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowUndone(Fact):
    """The caller could not be sent to the treatment, and waits as before; not tried again before `not_before`."""

    call: CallId
    reason: str
    not_before: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ComfortBegan(Fact):
    """A waiting caller is told one phrase. An agent who becomes free meanwhile is reserved, and rings at its end."""

    call: CallId
    visit: VisitId
    number: int
    """Of the times that this call was led off the waiting line."""
    said: str
    """A whole phrase (`place-3`, `wait-soon`), or an announcement's kind."""
    last: bool
    """Music follows, and not another phrase."""
    until: Instant
    """By then the caller must be back on the waiting line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowMenuBegan(Fact):
    """An overflow rule: the caller is led into a menu, and is offered nobody while there. The place is kept.

    `said`: what is said in front of it, as in `ComfortBegan`."""

    call: CallId
    visit: VisitId
    number: int
    menu: str
    outcome: Outcome
    """That the call ends as if the caller puts down there."""
    said: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRejoined(Fact):
    """The caller is on the waiting line again after a phrase or a menu. `done` False: never left it."""

    call: CallId
    number: int
    reason: str
    done: bool = True


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
    """A phone's channel was called for this call, or a department's."""

    call: CallId
    channel: ChannelId
    phone: PhoneId | None
    agent: AgentId | None
    offer: OfferId | None
    side: CallId | None = None
    """The consult for which it was called, beside this call."""
    department: DepartmentId | None = None


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
    """`cause` is the Q.850 cause of the Hangup. `received`: microseconds of sound that came from it (from whom the call
    was forwarded to: since the answer); None: unknown."""

    call: CallId
    channel: ChannelId
    cause: int
    received: int | None = None


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
    escalated: bool = False
    """By a colleague whom the agent before had asked (二次対応)."""
    channel: ChannelId | None = None
    """The phone's own channel; None: not known, as when CEL tells of a talk that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(Fact):
    call: CallId
    agent: AgentId | None
    too_long_at: Instant | None = None
    """When agent and supervisor are warned, if it lasts until then; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOverran(Fact):
    """The caller is held for longer than the centre wants."""

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
class TransferBegan(Fact):
    """A department is rung for a caller whom the agent has left, without having been asked."""

    call: CallId
    agent: AgentId | None
    """Who talked last."""
    department: DepartmentId
    closed: bool = False
    """It is, with all its substitutes: nobody is rung, and the caller comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred(Fact):
    """Caller and department are in one bridge. `side`: the agent's consult before; None: there was none."""

    call: CallId
    agent: AgentId | None
    """Who talked last."""
    department: DepartmentId | None
    """None: found afterwards, and not known which."""
    channel: ChannelId
    blind: bool
    """The department was not spoken with before; also if the transfer key was pressed while it still rang."""
    side: CallId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStopped(Fact):
    """By the rule of the centre nothing is kept of the caller's talk with the department, which began at `since`. What
    was recorded between `since` and `at` is excess, and is cut out when the call is over."""

    call: CallId
    since: Instant
    reason: str = "transferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEnded(Fact):
    """The department has left, and the caller is still there."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Fact):
    """`received` as in `LegEnded`, of the caller."""

    call: CallId
    outcome: Outcome
    hung_up_by: Party
    reason: str
    received: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFiled(Fact):
    """A recording was measured. `problem` says why it could not be; None: it could. `seconds` of sound.

    `findings`: what is wrong with it, held against `talk` seconds, of which somebody sent sound for `sent` (None: not
    known)."""

    call: CallId
    file: str
    size: int
    seconds: float
    sha256: str | None
    problem: str | None = None
    findings: tuple[Finding, ...] = ()
    talk: float | None = None
    sent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingKept(Fact):
    """A recording lies sealed in the store since `kept_at`, as line `line` of its chain tells.

    It is `<store>/<folder>/<day>/<name>.ccr`. `captured_…`: the sound as Asterisk wrote it; `size`, `sha256`: as it is
    kept, in the form `format`; `stored_…`: the sealed file. `seconds` of sound, 0 where nobody can tell. `key_period`:
    the month of the key that wraps its own. `channels`: of two the left one is the citizen's."""

    name: str
    call: CallId | None
    """Whose it is, of a consult the consult; None: nobody knows."""
    kind: RecordingKind | None
    """None: nobody knows."""
    folder: str
    """The centre, or where those lie whose centre nobody knows."""
    day: str
    line: int
    format: str
    seconds: float
    captured_size: int
    captured_sha256: str
    size: int
    sha256: str
    stored_size: int
    stored_sha256: str
    key_period: str
    kept_at: Instant
    channels: int = 1


# -- messages ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageBegan(Fact):
    """The caller has heard the tone and speaks."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLeft(Fact):
    """A message is there: a task for the agents of `queue` until `due_at`. `otherwise` None: the caller was thanked;
    else put down while speaking, and the call ends as this if it turns out that nothing was said. `cut`: its end
    could not be recorded, and the caller was told so."""

    call: CallId
    centre: CentreId
    queue: QueueId
    language: str | None
    due_at: Instant
    otherwise: Outcome | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEmpty(Fact):
    """Nothing was said. Told while the call lasts, the caller hears so and goes on; found out afterwards, there is no
    message, and the call has ended as `outcome` for `reason`."""

    call: CallId
    outcome: Outcome | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFiled(Fact):
    """Its sound was measured. Fields as in `RecordingFiled`."""

    call: CallId
    file: str
    size: int
    seconds: float
    sha256: str | None
    problem: str | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKept(Fact):
    """An escalation without a call: something is still to be done about this one, until `due_at`. On the list of
    messages, as with a message. `department`: who calls back, or is to be asked. `by`: the person who kept it."""

    call: CallId
    centre: CentreId
    queue: QueueId
    language: str | None
    subject: Personal
    department: DepartmentId | None
    due_at: Instant
    by: str
    note: Personal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpened(Fact):
    """An escalation as `TaskKept`, with a name of its own (`call`): about a call that the floor does not know any more
    (`about`), or about none. `number`: whom it concerns, as far as it is known."""

    call: CallId
    about: CallId | None
    centre: CentreId
    queue: QueueId
    number: Personal
    subject: Personal
    note: Personal | None
    department: DepartmentId | None
    due_at: Instant
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTaken(Fact):
    """This agent deals with it from now on. `by`: who asked."""

    call: CallId
    agent: AgentId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDone(Fact):
    """It was dealt with. `by`: who says so."""

    call: CallId
    result: Personal
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUndone(Fact):
    """It could not be dealt with; the result says why."""

    call: CallId
    result: Personal
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDropped(Fact):
    """One that was dealt with leaves the list: it was kept long enough."""

    call: CallId


# -- call-backs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAsked(Fact):
    """The caller is to be called back, and keeps the place (`priority`, `since`) in the queue's line. Named by the
    call, in all of these."""

    call: CallId
    centre: CentreId
    queue: QueueId
    priority: int
    since: Instant
    language: str | None
    """That the agent must speak, by skill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTried(Fact):
    """It is this caller's turn: the agent's phone is to ring, and then the citizen is called. `side` is the call that
    becomes of it, counted apart like every call of an agent's; its beginning is told with this."""

    call: CallId
    side: CallId
    agent: AgentId
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDialled(Fact):
    """The agent has picked up, and the citizen is being called: from here on it is an attempt."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackMissed(Fact):
    """The agent's phone was not picked up, or could not be rung. The citizen noticed nothing."""

    call: CallId
    not_before: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFailed(Fact):
    """The citizen was called and not reached: `outcome`. Another attempt, not before then."""

    call: CallId
    outcome: SideOutcome
    not_before: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReached(Fact):
    """Citizen and agent are together. `same_day`: on the day of the request, by the centre's clock."""

    call: CallId
    agent: AgentId | None
    same_day: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackGivenUp(Fact):
    """The last attempt did not reach the citizen: somebody is to deal with it until `due_at`, as with a message.
    `queue` and `language` are the call-back's. None in facts of before there was such a task."""

    call: CallId
    outcome: SideOutcome
    centre: CentreId | None = None
    queue: QueueId | None = None
    language: str | None = None
    due_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackCancelled(Fact):
    """`by_call`: the caller rang in, and that call takes over the place. `by`: the person who asked; None: callcore."""

    call: CallId
    by_call: CallId | None = None
    by: str | None = None


# -- calls that are counted apart ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCallBegan(Fact):
    """A desk phone dialled an outside number, or a 連絡用番号 is being called: no arrival."""

    call: CallId
    node: NodeId
    centre: CentreId
    kind: SideKind
    number: str
    """The centre's own: the one that is shown, or that was called."""
    other: Personal
    """Who is called, or calls."""
    phone: PhoneId | None
    """That began it."""
    agent: AgentId | None
    """Who is signed in there."""
    why: str
    """By which kind of numbers it is allowed, or refused; `listed`: by the very number. Of a call to a department: its
    id."""
    holds_agent: bool = True
    """Whether the agent does nothing else meanwhile; not beside a talk, nor if the number is refused at once."""
    beside: CallId | None = None
    """The call whose caller the same phone holds: this is a consult about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLegBegan(Fact):
    """A channel was called for it. `phone` None: the carrier's."""

    call: CallId
    channel: ChannelId
    phone: PhoneId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLegEnded(Fact):
    """One of its legs is gone, maybe just after the call. `received`: microseconds of sound that came from it, of which
    `before` until the call was connected; None: not known."""

    call: CallId
    channel: ChannelId
    received: int
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideHangupAsked(Fact):
    """A party put the receiver down before the channel went."""

    call: CallId
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCallConnected(Fact):
    """Both sides are in one bridge. `phone`, `agent`: of ours, where the other side called."""

    call: CallId
    phone: PhoneId | None
    agent: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCallEnded(Fact):
    """`agent`: whose work it was; his or her after-call work ends by itself at `wrap_up_until`. `received` and `before`
    as in `SideLegEnded`, of the channel that began it."""

    call: CallId
    outcome: SideOutcome
    hung_up_by: Party
    reason: str
    agent: AgentId | None = None
    wrap_up_until: Instant | None = None
    received: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPrepared(Fact):
    """What was to be told by a call-back that reached nobody, or to a caller who is on hold or gone, kept for the next
    call of that number."""

    call: CallId
    """The outgoing call, or the caller's."""
    centre: CentreId
    number: Personal
    text: Personal
    until: Instant
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDropped(Fact):
    """Given, no longer needed, or too old. `by`: who asked; None: callcore itself."""

    call: CallId
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyNotCarried(Fact):
    """Somebody dialled 110, 118 or 119 (`digits`), was not connected, and heard where else to call. An alarm."""

    call: CallId
    centre: CentreId
    phone: PhoneId | None
    digits: str
    reason: str


# -- offers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMade(Fact):
    """One agent was chosen for one caller. `reasons` are words that a supervisor reads.

    `round` stands on the caller's channel: the first offer's id of those that ring at once.
    """

    offer: OfferId
    call: CallId
    visit: VisitId
    agent: AgentId
    phone: PhoneId
    ring_s: int
    reasons: tuple[str, ...]
    round: OfferId | None = None
    """None: this offer's own id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRang(Fact):
    offer: OfferId
    call: CallId
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalAsked(Fact):
    """We took an offer back; its leg is being hung up. An answer that is quicker counts."""

    offer: OfferId
    call: CallId
    reason: str


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
    """`by`: whose right stood for the PIN; None: it was keyed."""

    agent: AgentId
    phone: PhoneId
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRefused(Fact):
    """A wrong PIN was keyed for this agent; the `tries`th in a row. The PIN itself is told nowhere."""

    agent: AgentId
    phone: PhoneId
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLocked(Fact):
    """Too many wrong PINs in a row: nobody signs in as this agent before `until`."""

    agent: AgentId
    phone: PhoneId
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUnlocked(Fact):
    """`by`: the person who asked."""

    agent: AgentId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSignedOut(Fact):
    """`by`: the person who asked; None: the agent, or nobody."""

    agent: AgentId
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPaused(Fact):
    """`by`: the person who asked, e.g. `user:sato`; None: the agent."""

    agent: AgentId
    reason: str
    by: str | None = None
    longest_s: int | None = None
    """The limit of this reason, in seconds; None: as long as it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOverran(Fact):
    """The pause is longer than its reason may be."""

    agent: AgentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResumed(Fact):
    agent: AgentId
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpEnded(Fact):
    """`early`: the agent ended it, or the person `by`; else its time was over."""

    agent: AgentId
    early: bool = False
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpExtended(Fact):
    agent: AgentId
    until: Instant
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestEnded(Fact):
    agent: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChanged(Fact):
    phone: PhoneId
    device: Device


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneMatched(Fact):
    """What is registered as this phone was found to match the inventory: it may take and make calls."""

    phone: PhoneId
    centre: CentreId
    user_agent: str
    address: str
    contact: str = ""
    """The seal of this contact with this User-Agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRefused(Fact):
    """What is registered as this phone does not match the inventory (端末ポリシー違反): it gets no call and makes none.

    `user_agent` and `address` are what it said and whence, cut and without control characters.
    """

    phone: PhoneId
    centre: CentreId
    reason: Policy
    user_agent: str
    address: str
    contact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneLeft(Fact):
    """Nothing is registered as this phone any more: the verdict has ended with the contact."""

    phone: PhoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneAttemptRefused(Fact):
    """Somebody with this phone's password was turned away, and what is registered stays as it was.

    `reason`: `unregistered`, a call from elsewhere; `contacts`, a second registration; `emergency`, a call from
    elsewhere to 110, 118 or 119, which was let out all the same.
    """

    phone: PhoneId
    centre: CentreId
    reason: Policy
    address: str


# -- what agents key in and after a talk ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKeyed(Fact):
    """The result of a call, by the centre's list of that day; a later one takes its place. `by` None: the agent."""

    call: CallId
    agent: AgentId
    result: str
    kind: ResultKind
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNoted(Fact):
    """A short note about the call in hand, or wrapped up; a later one stands beside it. `by`: the person who wrote."""

    call: CallId
    agent: AgentId
    text: Personal
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpAsked(Fact):
    """手上げ. `agent` None: whoever talks, the safety net's doing. `by` None: the agent; so in all of these."""

    call: CallId
    agent: AgentId | None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpAnswered(Fact):
    """A person sees to the agent who asked for help (`by`)."""

    call: CallId
    agent: AgentId | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpEnded(Fact):
    call: CallId
    agent: AgentId | None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMarked(Fact):
    """`on` False: the mark was a mistake. A recording of a call that is marked ABUSE is not to be deleted."""

    call: CallId
    mark: Mark
    agent: AgentId | None
    on: bool = True
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPaused(Fact):
    """Asterisk writes silence from here on, at most until then. `gap`: it is to be cut out when the call is over."""

    call: CallId
    agent: AgentId | None
    until: Instant
    by: str | None = None
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResumed(Fact):
    """`early`: somebody asked; else it went on by itself. `why` None: a former version did not write it down."""

    call: CallId
    early: bool = False
    by: str | None = None
    why: PauseEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMarked(Fact):
    """All recordings of a call bear this mark now, or (`on` False) do not, whatever was keyed. No figure changes."""

    call: CallId
    centre: CentreId
    mark: RecordingMark
    on: bool
    by: str


# -- supervisors ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchBegan(Fact):
    """The phone of a supervisor (`watcher`) is rung, to be at the talk of `agent`, whose channel is `leg`. `watch`: the
    channel that this makes. No part of the call: its figures know nothing of it."""

    watch: ChannelId
    node: NodeId
    call: CallId
    agent: AgentId
    leg: ChannelId
    watcher: AgentId
    phone: PhoneId
    mode: WatchMode
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchHeard(Fact):
    """The supervisor has picked up."""

    watch: ChannelId
    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTurned(Fact):
    """From listening to whispering, and so on."""

    watch: ChannelId
    call: CallId
    mode: WatchMode
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded(Fact):
    """The supervisor is at that talk no more, or has taken it over."""

    watch: ChannelId
    call: CallId
    watcher: AgentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillsSet(Fact):
    """An agent has other skills than the files say, until the agent signs out (`by_hand`); or those of the files
    again."""

    agent: AgentId
    skills: tuple[tuple[str, int], ...]
    by_hand: bool
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdsSet(Fact):
    """From how many waiting callers, and from how many seconds of a wait on, board and lamps of a centre warn; None: as
    the files say."""

    centre: CentreId
    waiting: int | None
    wait_s: int | None
    by: str


# -- how long what is known of calls is kept -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOrdered(Fact):
    """What is kept of these calls is kept until then; `until` None: a legal hold, until it is taken back."""

    order: str
    centre: CentreId
    calls: tuple[CallId, ...]
    until: Instant | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepReleased(Fact):
    """The order does not count any more."""

    order: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallErased(Fact):
    """The keys of these recordings of a call are destroyed and their files removed; with `personal` the call's own key,
    too, and nobody reads a number or a note of it again. `erasure`: the report that it stands in."""

    call: CallId
    """Or the name of an entry of the list of unwelcome callers."""
    centre: CentreId
    recordings: tuple[str, ...]
    personal: bool
    erasure: str
    reason: str
    by: str


KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in Fact.__subclasses__()}
"""Every kind of fact by the name it bears in the journal."""
