"""What we want done: imperative, carried out at most once, the result comes back as an input.

None of them but `MoveCaller`, `SwitchRecording`, `StopRecording`, `PushEmergencies` and `PushBlocked` may be repeated
blindly.
After a restart the snapshot shows which were carried out.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import AgentId, CallId, CentreId, ChannelId, Instant, OfferId, PhoneId, QueueId
from callcore.domain.inputs import Timer
from callcore.domain.stages import Outcome, PauseEnd, Treatment, WatchMode


@dataclass(frozen=True, slots=True)
class Effect:
    pass


@dataclass(frozen=True, slots=True)
class OfferCall(Effect):
    """Redirect the waiting caller into `Dial` of the phones, but only out of the blocking wait.

    `offer` is the round's id, which stands on the channel; the first phone to answer wins.
    """

    offer: OfferId
    call: CallId
    channel_name: str
    phones: tuple[PhoneId, ...]
    ring_s: int
    cut: bool = False
    """Out of a phrase, too."""


@dataclass(frozen=True, slots=True)
class WithdrawOffer(Effect):
    """Hang up one ringing leg. Never a Redirect of the caller: if the phone is picked up in the same instant, the
    caller is at worst back on the waiting line in the same place."""

    offer: OfferId
    channel: ChannelId


@dataclass(frozen=True, slots=True)
class EndWait(Effect):
    """Redirect the waiting caller, out of the blocking wait only, to the announcement or the busy tone that ends it.

    `announcement`: its kind, where the treatment is one."""

    call: CallId
    channel_name: str
    outcome: Outcome
    treatment: Treatment
    announcement: str = "overflow"
    cut: bool = False
    """Out of a phrase, too."""


@dataclass(frozen=True, slots=True)
class LeadAside(Effect):
    """Redirect the waiting caller, out of the blocking wait only, to a phrase, or into a menu with words in front.

    `said`: whole phrases or announcements' kinds; of a phrase exactly one."""

    call: CallId
    channel_name: str
    number: int
    said: tuple[str, ...]
    menu: str | None = None


@dataclass(frozen=True, slots=True)
class MoveCaller(Effect):
    """The caller waits in another queue now: the channel's own variable says so, for the safety net.

    May be repeated."""

    call: CallId
    channel_name: str
    queue: QueueId


@dataclass(frozen=True, slots=True)
class ReclaimCaller(Effect):
    """Take a caller back from the safety net into the waiting line, unless a member's phone already rings."""

    call: CallId
    channel_name: str


@dataclass(frozen=True, slots=True)
class DialOut(Effect):
    """Ring the phone; who picks it up calls the number, by the same rules as if it had been dialled at a phone of that
    centre, whose number is shown."""

    phone: PhoneId
    number: str
    centre: CentreId


@dataclass(frozen=True, slots=True)
class CallBack(Effect):
    """Ring the phone, on a channel named `side`; who picks it up hears who it is, and the citizen is called, if the
    centre is open then. Only a refusal comes back as an input.

    `shown`: on the phone's display. What it says is that of an arriving caller of that centre and language."""

    side: CallId
    phone: PhoneId
    number: str
    ring_s: int
    centre: CentreId
    """That the citizen called: its number is shown to the citizen."""
    language: str
    attempt: int
    """The how manieth, from 1."""
    shown: str
    listed: bool = False
    """On the list of unwelcome callers."""


@dataclass(frozen=True, slots=True)
class MarkHeld(Effect):
    """Tell a caller's channel that an agent's phone holds it, or does not any more. So a caller who is put down while
    held comes back to the line. None: not known; then another leg of that phone is taken for a consult."""

    call: CallId
    channel_name: str
    held: bool | None


@dataclass(frozen=True, slots=True)
class PutThrough(Effect):
    """Send a caller to the far end of the agent's consult (`leg`), or to ring a department (`short`)."""

    call: CallId
    channel_name: str
    leg: ChannelId | None = None
    short: str | None = None


@dataclass(frozen=True, slots=True)
class MarkTransferred(Effect):
    """Tell a caller's channel since when it is with a department."""

    call: CallId
    channel_name: str
    at: Instant


@dataclass(frozen=True, slots=True)
class WatchTalk(Effect):
    """Ring the supervisor's phone, on a channel named `watch`; who picks it up is at the talk of `leg`. Only a refusal
    comes back as an input. `shown`: on the phone's display."""

    watch: ChannelId
    phone: PhoneId
    leg: ChannelId
    mode: WatchMode
    agent: AgentId
    shown: str


@dataclass(frozen=True, slots=True)
class TurnWatch(Effect):
    """The supervisor, who is at that talk, goes on there otherwise."""

    watch: ChannelId
    mode: WatchMode


@dataclass(frozen=True, slots=True)
class HangUp(Effect):
    """End a channel, whatever it does. `put_down`: its far end has, and Asterisk has not noticed."""

    channel: ChannelId
    put_down: bool = False


@dataclass(frozen=True, slots=True)
class AddMember(Effect):
    """Mirror an agent's presence into the safety net."""

    queue: QueueId
    phone: PhoneId
    agent: AgentId
    paused: bool = False


@dataclass(frozen=True, slots=True)
class PauseMember(Effect):
    """Mirror a pause, or its end, into the safety net."""

    queue: QueueId
    phone: PhoneId
    paused: bool


@dataclass(frozen=True, slots=True)
class RemoveMember(Effect):
    queue: QueueId
    phone: PhoneId


@dataclass(frozen=True, slots=True)
class SwitchRecording(Effect):
    """Have the call's recording go on without sound (`paused`), or with it again. What came of it is an input, with
    the other fields as they are here.

    May be repeated."""

    call: CallId
    channel_name: str
    paused: bool
    agent: AgentId | None = None
    by: str | None = None
    channel: str | None = None
    why: PauseEnd | None = None
    """Of one that is to go on."""


@dataclass(frozen=True, slots=True)
class StopRecording(Effect):
    """Of a caller who was put through: end the call's own recording (`own`), until the caller comes back to the line;
    and that of a consult whose place the caller has taken, which came along (`consult`). Nothing is ended unless caller
    and department (`far`) are together still.

    May be repeated."""

    call: CallId
    channel_name: str
    far: ChannelId
    own: bool
    consult: bool


@dataclass(frozen=True, slots=True)
class DestroyKey(Effect):
    """Nobody is to read any more what was sealed under this name."""

    sealed: CallId


@dataclass(frozen=True, slots=True)
class NoteInTrail(Effect):
    """A line of the audit trail for what was done, or refused, by a phone's key."""

    action: str
    centre: CentreId
    by: str
    phone: PhoneId
    done: bool
    why: str


@dataclass(frozen=True, slots=True)
class AskPin(Effect):
    """The phone has keyed the agent's number: ask it for the PIN."""

    channel_name: str


@dataclass(frozen=True, slots=True)
class SayInTalk(Effect):
    """Play the centre's announcement of that kind over the talk, so that both sides hear it and can go on.

    `channel_name`: the caller's. `leg`: the agent's; None where callcore does not know it: then it is said by the
    caller's alone, and the recording does not have it. `language`: the caller's. Where the centre has no such words in
    it, those of its first language are said."""

    channel_name: str
    leg: ChannelId | None
    centre: CentreId
    announcement: str
    language: str


@dataclass(frozen=True, slots=True)
class WarnOfHold(Effect):
    """Let an agent hear a tone on that channel of the phone, for a caller is held too long. Nobody else hears it."""

    channel: ChannelId


@dataclass(frozen=True, slots=True)
class ProtectRecording(Effect):
    """Keep the recording of a reported call apart, so that deleting it among the others does not lose it.

    May be repeated. While the talk goes on, what is still written is kept too."""

    call: CallId


@dataclass(frozen=True, slots=True)
class PushEmergencies(Effect):
    """Bring the emergency closures, as the floor has them, into Asterisk, where the dialplan reads them.

    May be repeated, and is until it is done."""


@dataclass(frozen=True, slots=True)
class PushBlocked(Effect):
    """Bring the list of unwelcome callers, as the floor has it, into Asterisk, where the dialplan reads it.

    May be repeated, and is until it is done."""


@dataclass(frozen=True, slots=True)
class Look(Effect):
    """Take a snapshot now, for events were late or a state is beyond its bound."""


@dataclass(frozen=True, slots=True)
class ShowNote(Effect):
    """What the phones that ring for this caller show besides: Japanese, and romanised. May be repeated."""

    call: CallId
    channel_name: str
    note: str
    roman: str


@dataclass(frozen=True, slots=True)
class Alarm(Effect):
    """Something that a person must see at once. `what`: in words, without a citizen's number."""

    what: str
    centre: CentreId
    phone: PhoneId | None


@dataclass(frozen=True, slots=True)
class Reply(Effect):
    """Tell the phone that keyed a feature code what became of it; `word` is a common prompt's name."""

    channel_name: str
    word: str


@dataclass(frozen=True, slots=True)
class SetTimer(Effect):
    timer: Timer
    at: Instant
