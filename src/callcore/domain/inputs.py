"""What we are told: by Asterisk, by a timer, by a person. May be late, doubled, reordered or wrong.

Adapters translate; `step` decides what to believe.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from callcore.domain.centre import Configuration
from callcore.domain.findings import Side
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
)
from callcore.domain.phones import Policy
from callcore.domain.recording import RecordingKind, RecordingMark
from callcore.domain.stages import (
    Choice,
    Device,
    OfferStage,
    Outcome,
    Party,
    PauseEnd,
    Said,
    SideKind,
    SideOutcome,
    TalkKey,
    WatchMode,
)


class TimerKind(Enum):
    WRAP_UP = "wrap_up"
    REST = "rest"
    OFFER = "offer"
    """No end of an offer was told within its bound."""
    WAIT = "wait"
    """A caller's wait comes to a rung of the ladder, to a limit, to the next look at the estimate, or to a phrase."""
    PAUSE = "pause"
    """An agent's pause becomes longer than its reason may be."""
    RECORDING = "recording"
    """The recording of a talk goes on by itself."""
    EMERGENCY = "emergency"
    """A centre's emergency closure ends by itself."""
    BLOCKED = "blocked"
    """An entry of the list of unwelcome callers ends by itself."""
    ANSWER = "answer"
    """A prepared answer has been kept long enough."""
    CLOSING = "closing"
    """A centre that closes at once opens or closes by its calendar."""
    CALLBACK = "callback"
    """A call-back may be tried (again)."""
    HOLD = "hold"
    """A caller is held for too long."""
    PUT_DOWN = "put_down"
    """Who put down has been in the talk for so long since that Asterisk has lost it."""


@dataclass(frozen=True, slots=True)
class Timer:
    kind: TimerKind
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegins(Input):
    run: int
    software: str
    configuration: Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDropped(Input):
    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelArrived(Input):
    """A channel from the trunk, at a number. `caller` is None when the number is withheld (非通知).

    `listed`: the priority that the list of callers gives, and why; `test`: a listed test number. Whoever knows the
    centre files looks both up.
    """

    node: NodeId
    channel: ChannelId
    name: str
    number: str
    caller: str | None
    listed: tuple[int, str] | None = None
    test: bool = False
    again: bool = False
    """Whoever holds the keys found this number among the callers of the last 24 hours."""
    answer: CallId | None = None
    """Likewise among the answers that wait for a caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionDecided(Input):
    """What the dialplan decided by the policy pushed to it (`source`: `pushed` or `weekly`)."""

    call: CallId
    open: bool
    source: str
    emergency: bool = False
    """Not open because of an emergency closure, which was pushed like the hours."""
    blocked: bool = False
    """Open, but refused by the centre's rule about this caller. `source`: `listed` or `withheld`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerInsisted(Input):
    """A caller who hears that he is refused has pressed 9."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuKeyed(Input):
    """The caller keyed something in a menu, or nothing in time. Fields as in the fact `MenuAnswered`."""

    call: CallId
    menu: str
    key: str
    choice: Choice
    to: str = ""
    language: str | None = None
    withheld: bool = False
    """The caller's number is not to be shown: nothing is remembered by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerForwarded(Input):
    """The outside number that the caller chose has answered. Fields as in the fact `CallForwarded`."""

    call: CallId
    channel: ChannelId
    recorded: bool
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTold(Input):
    """What became of a caller who leaves a message."""

    call: CallId
    said: Said


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTold(Input):
    """The caller has confirmed to be called back at the number that is shown."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackNotPlaced(Input):
    """Asterisk refused to ring the agent's phone for a call-back; `side` as in the fact `CallbackTried`."""

    side: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDropAsked(Input):
    """Somebody takes a call-back off the list."""

    call: CallId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMeasured(Input):
    """Fields as in `RecordingMeasured`; `voice_s`: seconds of it that are louder than silence."""

    call: CallId
    file: str
    size: int
    seconds: float
    voice_s: float
    sha256: str | None
    problem: str | None
    clipped_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAsked(Input):
    """An escalation is to be kept about a call of the last day. `subject`: 1 to 100 characters; `department`: its short
    number; `agent`: who is to deal with it; `due_at` None: as with a message; `note`: 1 to 500 characters."""

    call: CallId
    subject: str
    department: str | None
    agent: AgentId | None
    due_at: Instant | None
    by: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpenAsked(Input):
    """The same about a call that is known from the archive (`about`), or about none, of this centre. `task`: the name
    it is to have; `number`: the citizen's, 2 to 18 digits, perhaps behind a +."""

    task: CallId
    about: CallId | None
    centre: CentreId
    number: str | None
    subject: str
    note: str | None
    department: str | None
    agent: AgentId | None
    due_at: Instant | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTakeAsked(Input):
    """This agent is to deal with a message."""

    call: CallId
    agent: AgentId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCloseAsked(Input):
    """A message was dealt with, or could not be (`done` False). `result`: 1 to 200 characters."""

    call: CallId
    done: bool
    result: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerHeld(Input):
    """The caller came to the waiting line. `aside`: back from there, by its number. `notice`: the language in which the
    recording notice and the greeting were said right before, to their end."""

    call: CallId
    aside: int | None = None
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerInNet(Input):
    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerApologised(Input):
    """The safety net had nobody for the caller in time; the apology begins, then the end."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerOverflowed(Input):
    """The announcement or the busy tone that ends an overflowing caller's wait begins."""

    call: CallId
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitNotEnded(Input):
    """The redirect that was to end a wait was not done."""

    call: CallId
    reason: str
    caller_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideNotBegun(Input):
    """The redirect that was to lead a caller to a phrase or into a menu was not done."""

    call: CallId
    number: int
    reason: str
    caller_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DialBegan(Input):
    """A phone is being called for a call. `offer` is the round's id, None in the safety net."""

    call: CallId
    channel: ChannelId
    phone: PhoneId | None
    offer: OfferId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnded(Input):
    """`result` is None when the phone answered. `offer` is the round's id, as it stands on the channel."""

    call: CallId
    channel: ChannelId
    offer: OfferId | None
    result: OfferStage | None
    phone: PhoneId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReturned(Input):
    """The dialplan came back from a round of offers, perhaps without having dialled."""

    call: CallId
    offer: OfferId
    result: OfferStage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferNotPlaced(Input):
    """The redirect that was to carry out a round of offers was not done."""

    call: CallId
    offer: OfferId
    reason: str
    caller_gone: bool = False
    """Asterisk has no such channel any more; its Hangup is on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCallTold(Input):
    """A call that is no arrival begins: a phone dialled out, or a 連絡用番号 is being called.

    `refused`: the centre's list does not allow the number, and the phone says so.
    """

    node: NodeId
    call: CallId
    centre: CentreId
    kind: SideKind
    phone: PhoneId | None
    number: str
    other: str | None
    why: str
    refused: bool = False
    beside: CallId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTold(Input):
    """The dialplan rings a department for a caller whom nobody else is with. `closed`: it would, but that department is
    closed with all its substitutes."""

    call: CallId
    department: DepartmentId
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SideDialBegan(Input):
    """A channel is being called for such a call; `phone` None: the carrier's."""

    call: CallId
    channel: ChannelId
    phone: PhoneId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideReturned(Input):
    """The dialplan came back from dialling; `outcome` CONNECTED: somebody answered."""

    call: CallId
    outcome: SideOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAsked(Input):
    """An answer is put on an outgoing call that reached nobody, or on a call that came in within the last day. `text`:
    1 to 200 characters."""

    call: CallId
    text: str
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDropAsked(Input):
    call: CallId
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeEntered(Input):
    bridge: str
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLeft(Input):
    bridge: str
    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChanged(Input):
    """A phone put its other side on hold, or took it back."""

    channel: ChannelId
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupRequested(Input):
    """The far end of this channel asked for its end (BYE or CANCEL)."""

    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGone(Input):
    """Hangup; `cause` is Q.850's. `received`: microseconds of sound that came from its far end, of which `before`
    until a call that is counted apart was connected; None: not told."""

    channel: ChannelId
    cause: int
    received: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReported(Input):
    phone: PhoneId
    device: Device


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneJudged(Input):
    """How what is registered as a phone stands to the inventory. Told anew whenever it is another one."""

    phone: PhoneId
    policy: Policy
    user_agent: str = ""
    address: str = ""
    contact: str = ""
    """What tells this contact with this User-Agent from every other: its seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneTurnedAway(Input):
    """Asterisk refused a call or a second registration to somebody who has this phone's password; or let it out, for
    it was an emergency call."""

    phone: PhoneId
    reason: Policy
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Input):
    timer: Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAsked(Input):
    """An agent keyed number and PIN on a phone. `verified`: it is that agent's PIN, which itself never comes here.

    `by`: the person whose right stands for the PIN; then there is no channel."""

    agent: AgentId
    phone: PhoneId
    channel: str | None
    verified: bool
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialAsked(Input):
    """Somebody has the agent's phone ring, and then call a number, as if it had been dialled there; `centre`: at a
    phone of that centre, whose number is shown. None: the phone's own."""

    agent: AgentId
    number: str
    by: str
    centre: CentreId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutAsked(Input):
    phone: PhoneId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOutAsked(Input):
    """Somebody else ends an agent's duty. `by`: the person; `reason`: in words, None: none was given."""

    agent: AgentId
    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAsked(Input):
    """An agent leaves (離席), or is set to pause. A ringing offer is withdrawn; a talk goes on.

    `phone`: the desk phone that keyed it, whoever sits there; else `agent` is given. `channel`: to be replied to.
    """

    reason: str
    agent: AgentId | None = None
    phone: PhoneId | None = None
    by: str | None = None
    channel: str | None = None
    key: int | None = None
    """The reason by its digit in the centre's list, instead of by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAsked(Input):
    """The end of a pause and of after-call work: the agent is ready. Fields as in `PauseAsked`."""

    agent: AgentId | None = None
    phone: PhoneId | None = None
    by: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpExtendAsked(Input):
    """The agent needs more time after the call. Fields as in `PauseAsked`."""

    agent: AgentId | None = None
    phone: PhoneId | None = None
    channel: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockAsked(Input):
    """Somebody lets an agent, who was locked out for wrong PINs, sign in again."""

    agent: AgentId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultAsked(Input):
    """The result of the call in hand, or wrapped up, by its digit. Other fields as in `PauseAsked`."""

    key: int
    agent: AgentId | None = None
    phone: PhoneId | None = None
    by: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAsked(Input):
    """A short note about the agent's call in hand, or wrapped up."""

    agent: AgentId
    text: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkKeyed(Input):
    """A key of an agent inside a talk. `leg`: keyed on this channel of the talk; else fields as in `PauseAsked`."""

    key: TalkKey
    leg: ChannelId | None = None
    agent: AgentId | None = None
    phone: PhoneId | None = None
    by: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAsked(Input):
    """Put the agent's caller through: to whom the agent speaks with beside the talk (`short` None), or unasked to the
    department of that short number."""

    agent: AgentId
    short: str | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchAsked(Input):
    """A supervisor, who is signed in as `watcher`, wants to be at the talk of an agent, or to go on there otherwise.
    `watcher` None: whoever asks has no agent's number."""

    agent: AgentId
    watcher: AgentId | None
    mode: WatchMode
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStopAsked(Input):
    """The supervisor wants to be there no more."""

    watcher: AgentId | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTold(Input):
    """The supervisor's phone has picked up: it is at the talk now, or waits to take it over."""

    watch: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchNotPlaced(Input):
    """Asterisk refused to ring the supervisor's phone."""

    watch: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerUpAsked(Input):
    """Let a waiting caller go before all others of the queue."""

    call: CallId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerQueueAsked(Input):
    """Let a waiting caller wait in another queue of the centre."""

    call: CallId
    queue: QueueId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillsAsked(Input):
    """Give an agent other skills until the sign-out; None: those of the files again."""

    agent: AgentId
    skills: tuple[tuple[str, int], ...] | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpAnswerAsked(Input):
    """Somebody sees to the agent who asked for help."""

    agent: AgentId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdsAsked(Input):
    """Fields as in the fact `ThresholdsSet`."""

    centre: CentreId
    waiting: int | None
    wait_s: int | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyKeyed(Input):
    """緊急案内切替: whoever is signed in at this phone begins the centre's emergency closure (`on`), or ends it."""

    phone: PhoneId
    channel: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSwitched(Input):
    """Asterisk was asked to pause a recording (`paused`) or to go on. `done` False: it is not known to have done it;
    `refused`: it said that it has not, as of a channel that is gone. `channel` as above."""

    call: CallId
    paused: bool
    done: bool
    refused: bool = False
    agent: AgentId | None = None
    by: str | None = None
    channel: str | None = None
    why: PauseEnd | None = None
    """Of one that goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStopTold(Input):
    """Asterisk has stopped the caller's recording (`at`)."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyAsked(Input):
    """Close a centre in an emergency until then, or give the emergency that lasts another end and reason.

    `until` None: the next local midnight. `by`: who, in words.
    """

    centre: CentreId
    reason: str
    by: str
    until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyEndAsked(Input):
    """End a centre's emergency closure before its time."""

    centre: CentreId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAsked(Input):
    """Put a caller on a centre's list of unwelcome callers until then, or give the entry another end and reason.

    `entry`: how a new one is to be named. `by`: who, in words.
    """

    entry: CallId
    centre: CentreId
    number: str
    reason: str
    until: Instant
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblockAsked(Input):
    """Take an entry off that list before its time."""

    entry: CallId
    centre: CentreId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAsked(Input):
    """Keep what is kept of these calls until then; `until` None: a legal hold. `order`: how it is to be named."""

    order: str
    centre: CentreId
    calls: tuple[CallId, ...]
    until: Instant | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkAsked(Input):
    """Mark the recordings of a call, or (`on` False) take a mark away, when the call may be long over."""

    call: CallId
    centre: CentreId
    mark: RecordingMark
    on: bool
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepReleaseAsked(Input):
    """Take an order back."""

    order: str
    centre: CentreId
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseAsked(Input):
    """Recordings of a call are erased; with `personal` the key of what belongs to a person is to be destroyed, too.

    `about`: the call that orders name, where it is another.
    """

    call: CallId
    about: CallId
    centre: CentreId
    recordings: tuple[str, ...]
    personal: bool
    erasure: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationChanged(Input):
    """The centre files were read again and found right; applied to the running floor. `by`: the person."""

    configuration: Configuration
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped(Input):
    """The wall clock was set by `by` microseconds (+ forward); `at` is by the new clock."""

    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLate(Input):
    """Asterisk's events take longer than the canary's bound (`late`), or are in time again."""

    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMeasured(Input):
    """`voice_s`, `clipped_s` and `sides` as in `findings.Heard`."""

    call: CallId
    file: str
    size: int
    seconds: float
    sha256: str | None
    problem: str | None
    voice_s: tuple[float, ...] = ()
    clipped_s: float = 0.0
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSealed(Input):
    """A line of a chain tells that a recording is kept. Fields as in `RecordingKept`."""

    name: str
    call: CallId | None
    kind: RecordingKind | None
    folder: str
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


@dataclass(frozen=True, slots=True)
class ChannelSeen:
    """One channel of a snapshot. `call` is the call it belongs to, by the variable it bears."""

    id: ChannelId
    name: str
    context: str
    application: str | None
    bridge: str | None
    call: CallId | None
    offer: OfferId | None
    phone: PhoneId | None
    number: str | None
    caller: str | None
    created: Instant
    entered: Instant | None
    """When the caller came to the waiting line for the first time, as the channel bears it."""
    test: bool = False
    """The caller's is a listed test number."""
    held: bool | None = None
    """Of a phone's: it holds whom it talks with; None: not asked, or not known."""
    linked: ChannelId | None = None
    """The channel that began all this: of a leg that rings, the one that calls it."""
    paused: Instant | None = None
    """Since when its recording is paused, as the channel bears it."""


@dataclass(frozen=True, slots=True)
class MovedTraced:
    """A caller who was put through and came back: in one bridge with somebody outside (`channel`, None: not seen there)
    from `since` to `ended`. `sent_to`: the department that was rung for the caller unasked."""

    since: Instant
    ended: Instant
    channel: ChannelId | None
    sent_to: DepartmentId | None


@dataclass(frozen=True, slots=True)
class TalkTraced:
    """A whole talk that CEL tells. `back`: since when the caller stood on the waiting line again; None: did not."""

    phone: PhoneId | None
    since: Instant
    ended: Instant
    back: Instant | None
    moved: MovedTraced | None = None
    """In between; the last, if a colleague to whom the caller was put through has put through again."""
    passed: tuple[MovedTraced, ...] = ()
    """Before `moved`, oldest first."""
    shut: tuple[TransferTold, ...] = ()
    """Departments, closed, that the caller was sent to after it."""


@dataclass(frozen=True, slots=True)
class CallTraced:
    """What Asterisk's CEL file tells of one call; None is *unknown*."""

    call: CallId
    number: str
    caller: str | None
    name: str
    arrived: Instant
    open: bool | None
    entered: Instant | None
    net: Instant | None
    """When it fell into the safety net, the last time."""
    answered: Instant | None
    phone: PhoneId | None
    talk_ended: Instant | None
    ended: Instant | None
    hung_up_by: Party
    talk_since: Instant | None = None
    """When the last talk began (with `phone`); `answered` is the first one's beginning."""
    earlier: tuple[TalkTraced, ...] = ()
    """The talks before the last one, oldest first."""
    back: Instant | None = None
    """Since when the caller stood on the waiting line, or in the net, after the talk had ended."""
    returned: MovedTraced | None = None
    """After the last talk, and before `back`."""
    put_down: ChannelId | None = None
    """The phone's channel of the last talk, if the agent ended that by putting down."""
    put_down_held: bool | None = None
    """The phone of the last talk held the caller to its end."""
    apology: Instant | None = None
    """When the safety net gave the caller up."""
    overflow: tuple[Instant, Outcome] | None = None
    """When the treatment of an overflow began, and what the call ends as."""
    emergency: bool = False
    """It was not open because of an emergency closure."""
    menus: tuple[MenuKeyed, ...] = ()
    """The way through the menus, in order."""
    forwarded: CallerForwarded | None = None
    """Out of them."""
    forward_ended: Instant | None = None
    held: Instant | None = None
    """When the caller last came to the waiting line."""
    notice: str | None = None
    """The language in which the recording notice was said before `entered`, as in `CallerHeld`."""
    callback: Instant | None = None
    """When the caller confirmed to be called back."""
    messages: tuple[MessageTold, ...] = ()
    """What was told of a message, in order."""
    blocked: bool = False
    """It was refused by the centre's rule about this caller."""
    insisted: Instant | None = None
    """When the caller pressed 9 all the same."""
    passed: tuple[MovedTraced, ...] = ()
    """With whom the caller was after the last talk, before `returned` or `moved`, oldest first: colleagues who put
    through again."""
    moved: Instant | None = None
    """When the caller, after the last talk, was in one bridge with somebody outside: a department."""
    moved_to: ChannelId | None = None
    moved_ended: Instant | None = None
    sent_to: DepartmentId | None = None
    """The department that was rung for the caller unasked."""
    shut: tuple[TransferTold, ...] = ()
    """Departments, closed, that the caller was sent to after the last talk."""
    last: Instant | None = None
    """Of the last line about it. A call without an end whose channel is gone went with Asterisk, not before this."""
    test: bool = False
    """The caller's is a listed test number."""


@dataclass(frozen=True, slots=True)
class SideTraced:
    """What CEL tells of a call that is no arrival; None is *unknown*."""

    call: CallId
    centre: CentreId
    kind: SideKind
    phone: PhoneId | None
    number: str
    other: str | None
    why: str
    began: Instant
    connected: Instant | None
    with_phone: PhoneId | None
    outcome: SideOutcome | None
    """By the dialplan's word; None: its channel went first."""
    ended: Instant | None
    hung_up_by: Party
    refused: bool = False
    beside: CallId | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """An agent in the safety net's queue."""

    queue: QueueId
    phone: PhoneId
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Input):
    """What Asterisk holds at one instant. `first`: taken after a login, when events may have been missed."""

    node: NodeId
    first: bool
    channels: tuple[ChannelSeen, ...]
    devices: tuple[tuple[PhoneId, Device], ...]
    members: tuple[Member, ...]
    traces: tuple[CallTraced, ...] = ()
    sides: tuple[SideTraced, ...] = ()
