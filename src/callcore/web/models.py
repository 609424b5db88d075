"""The API's words: what `/api/v1` answers. Examples: `examples.py`.

Instants are RFC 3339 in UTC with milliseconds. Lengths are seconds. Ratios are 0 to 1 with their two parts; with
nothing to divide by, `value` is null. A caller's number is masked but for its last three digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, Field, PlainSerializer

from callcore.access.trail import Line
from callcore.domain.board import AgentWord
from callcore.domain.ids import Instant
from callcore.domain.message import MessageState
from callcore.domain.phones import Policy
from callcore.domain.recording import RecordingKind, RecordingMark
from callcore.domain.stages import Device, OfferStage, Outcome, Party, Stage, WatchMode


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("時間帯がない / without a time zone")
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


Moment = Annotated[datetime, AfterValidator(_utc), PlainSerializer(_text, return_type=str, when_used="json")]


def moment(at: Instant) -> datetime:
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)


LATEST = Instant(250_000_000_000 * 1_000_000)
"""The year 9892: beyond what a database takes, nothing is looked for."""


def instant_or_none(moment: datetime | None) -> Instant | None:
    """Of a search, so never before 1970 nor beyond `LATEST`."""
    if moment is None:
        return None
    return Instant(min(max(0, round(moment.timestamp() * 1_000_000)), LATEST))


def text(at: Instant) -> str:
    """As the API writes it."""
    return _text(moment(at))


def moment_or_none(at: Instant | None) -> datetime | None:
    return None if at is None else moment(at)


class Words(BaseModel):
    """One text in both languages."""

    ja: str
    en: str


class RatioOut(BaseModel):
    value: float | None = Field(description="part ÷ whole, 0–1; null: nothing to divide by, shown as “–”")
    part: int
    whole: int


class WindowOut(BaseModel):
    """The calls that arrived in [first, before)."""

    date: str = Field(description="the centre's local day, ISO", examples=["2026-11-20"])
    time_zone: str = Field(examples=["Asia/Tokyo"])
    first: Moment
    before: Moment


class FiguresOut(BaseModel):
    """Today's figures; the words and formulas are those of the definitions. Lengths in seconds."""

    at: Moment
    arrived: int = Field(description="every call: refused + IVR only + offered + undecided")
    closed: int = Field(description="時間外")
    emergency_closed: int
    blocked: int
    ivr_only: int
    offered: int = Field(description="due an agent: answered, lost, or still waiting")
    answered: int = Field(description="応答件数, talking now included")
    abandoned: int
    abandoned_short: int = Field(description="ended within the centre's short bound; counted apart")
    overflow: int
    other_unanswered: int
    failed: int
    waiting: int = Field(description="in an announcement, in a queue, or ringing")
    undecided: int = Field(description="arrived, the dialplan has not said yet whether it is open")
    talking: int
    hangups_before_answer: int = Field(description="応答前切電件数")
    arrivals: int = Field(description="着信件数: offered + ivr_only")
    answer_ratio: RatioOut = Field(description="応答率: answered ÷ offered, callers who still wait included")
    service_level: RatioOut
    service_level_s: int
    abandon_ratio: RatioOut
    wait_mean_s: float | None
    wait_median_s: float | None
    wait_p90_s: float | None
    wait_max_s: float | None
    longest_waiting_s: float | None = Field(description="of those who wait now")
    held: int = Field(description="of the answered calls that ended, those that were on hold (保留)")
    hold_median_s: float | None = Field(description="how long these were on hold, each in sum")
    hold_p90_s: float | None
    hold_max_s: float | None
    reconstructed: int = Field(description="of these calls, how many were not witnessed in full")
    imprecise: int = Field(description="of these calls, how many were told late: their times are not exact")
    open: int = Field(description="calls that have not ended; until it is 0 the day is not final")
    tests: int = Field(description="calls from listed test numbers: left out of every other figure")


class WaitingOut(BaseModel):
    """A caller without an agent."""

    call: str
    queue: str
    queue_name: str
    stage: Stage = Field(description="announced, waiting or offered")
    position: int | None = Field(description="1 is first in the queue; null before the queue is entered")
    since: Moment | None = Field(description="first entry into a queue; the wait is `at` less this")
    number: str | None = Field(description="masked; null: withheld, or no longer known")
    offered_to: str | None = Field(description="the agent whose phone rings")
    in_net: bool = Field(description="in the safety net: distributed by Asterisk itself")
    priority: int | None = Field(
        description="1 (first) to 9, and below 1 for who was moved up; null before the queue is entered"
    )
    rung: int = Field(description="how many rungs of the queue's ladder hold already")
    language: str | None = Field(description="that the caller chose; null: none was", examples=["en"])
    again: bool = Field(description="the same number called within the last 24 hours (再入電)")
    estimate_s: int | None = Field(
        description="estimated wait from now on; null: nobody is on duty, or not in a queue yet"
    )
    because: str | None = Field(
        description="`id` of the centre's reason why nobody serves this caller now; null while a phone rings"
    )


class ReasonOut(BaseModel):
    """Why nobody serves some of the waiting callers, said once for all of them."""

    id: str = Field(examples=["general:ja:0"])
    ja: str
    en: str


class WatchOut(BaseModel):
    """A supervisor's phone at the talk of an agent."""

    watcher: str = Field(description="agent's number of the supervisor")
    name: str
    how: WatchMode
    since: Moment
    heard: bool = Field(description="false: the phone still rings")


class CallerOut(BaseModel):
    call: str
    number: str | None
    on_hold: bool
    held_since: Moment | None = Field(description="null: not on hold")
    hold_overran: bool = Field(description="on hold for longer than the centre wants")
    help: bool = Field(description="the agent asks for help (手上げ)")
    help_by: str | None = Field(description="who sees to it; null: nobody yet")
    watched_by: list[WatchOut] = Field(description="supervisors who are at this talk")
    abuse: bool = Field(description="reported (悪質・脅迫)")
    relay: bool = Field(description="a relay-service call (電話リレー)")
    answer: str | None = Field(
        description="what is to be told to this caller (回答あり); null: nothing, or not to be seen"
    )
    recording_paused: bool


class ShareOut(BaseModel):
    """What one agent did today."""

    answered: int = Field(description="calls in which this agent was the last to talk with the caller")
    talk_mean_s: float | None = Field(description="of those whose talk is over; null: none")


class AgentOut(BaseModel):
    agent: str
    name: str
    phone: str | None
    seat: str | None
    state: AgentWord
    since: Moment | None = Field(description="null: not known")
    until: Moment | None = Field(description="end of after-call work or of a rest")
    device: Device | None
    pause: str | None = Field(description="the reason, while paused, also beside a talk", examples=["休憩"])
    pause_overran: bool = Field(description="the pause is longer than its reason may be")
    locked_until: Moment | None = Field(description="locked out for wrong PINs until then; null: not")
    result: str | None = Field(description="the result keyed for the call in hand, or wrapped up")
    misses: int = Field(description="offers missed in a row")
    attention: int = Field(
        description="how much the agent needs somebody's look, 0 to 6: 6 help asked for, 5 on hold too long or abuse "
        "reported, 4 phone unreachable, 3 pause too long or after missed offers, 2 missed an offer, 1 on hold"
    )
    today: ShareOut
    skills: dict[str, int] = Field(description="language or topic: level, 1 (best) to 9")
    skills_by_hand: bool = Field(description="they are not those of the files, until the agent signs out")
    watching: str | None = Field(description="at whose talk the phone is, as a supervisor's; null: nobody's")
    guest: bool = Field(description="of another centre (兼務)")
    why: list[str] = Field(description="why this agent was chosen for the call that rings")
    caller: CallerOut | None = Field(description="with whom, while ringing or talking")
    recording_paused: bool = Field(description="of the talk, or of the call out")


class OpenCallOut(BaseModel):
    call: str
    stage: Stage
    number: str | None
    dialled: str
    queue: str
    arrived_at: Moment
    answered_at: Moment | None
    agent: str | None
    on_hold: bool
    held_since: Moment | None = Field(description="null: not on hold")
    hold_overran: bool = Field(description="on hold for longer than the centre wants")
    in_net: bool


class HoursOut(BaseModel):
    open: bool
    reason: Words
    changes_at: Moment | None
    emergency_until: Moment | None = Field(description="end of the emergency closure that lasts; null: none")


class SideFiguresOut(BaseModel):
    """Calls that are no arrivals, today. `made` is the sum of all the others but `talk_s`."""

    made: int
    connected: int
    busy: int
    no_answer: int
    refused: int
    failed: int
    open: int
    talk_s: float = Field(description="seconds together, of those that are over")


class EmergencyOut(BaseModel):
    """A call to 110, 118 or 119 that reached nobody: the phone said where else to call."""

    call: str
    digits: str = Field(examples=["119"])
    at: Moment
    phone: str | None
    seat: str | None


class PhoneRefusedOut(BaseModel):
    """What is registered as this phone is no phone of the inventory, and gets no call."""

    phone: str = Field(examples=["oita-p1"])
    seat: str
    reason: Policy
    words: Words
    since: Moment


class MessageOut(BaseModel):
    """What a caller left, a call-back that was given up, or an escalation, and somebody is to deal with."""

    call: str = Field(
        description="its name: that of its call, or `task-…` of a task that has none of the last day"
    )
    centre: str
    queue: str
    language: str | None = Field(description="that the caller chose; null: none was")
    left_at: Moment
    due_at: Moment
    overdue: bool
    state: MessageState
    since: Moment = Field(description="of the state")
    agent: str | None = Field(description="who has taken it")
    number: str | None = Field(
        description="the caller's but for its first digits; null: not known, or not to be seen"
    )
    result: str | None = Field(description="what became of it; null: nothing yet, or not to be seen")
    file: str | None = Field(description="below the recordings' folder; null: not measured yet")
    seconds: float | None
    problem: str | None = Field(description="what is wrong with the file; null: nothing")
    callback: bool = Field(description="a call-back that was given up: there is no sound")
    task: bool = Field(description="an escalation that an agent has kept: there is no sound either")
    subject: str | None = Field(description="of an escalation; null: none, or not to be seen")
    department: str | None = Field(description="of an escalation: who calls back, or is to be asked")
    note: str | None = Field(
        description="of an escalation: what else was written; null: nothing, or not to be seen"
    )
    about: str | None = Field(description="the call that it is about; null: it is about none")


class MessagesOut(BaseModel):
    open: int = Field(description="that nobody has dealt with, taken ones included")
    overdue: int = Field(description="of these, those past their deadline")
    next: list[MessageOut] = Field(description="the open ones of the nearest deadlines, at most 20")


class CallbackOut(BaseModel):
    """Somebody who is to be called back, and keeps the place in the line."""

    call: str
    queue: str
    since: Moment = Field(description="what the place in the line goes by")
    priority: int
    state: Literal["waiting", "ringing", "dialling"]
    attempts: int = Field(description="how often the citizen was called in vain")
    not_before: Moment | None = Field(description="of the next attempt; null: as soon as it is the turn")
    number: str | None = Field(description="but for its first digits; null: not to be seen")


class CurveOut(BaseModel):
    """Of each half hour of the day: the calls that arrived in it, and how many of these were answered."""

    first: Moment = Field(description="where the first one begins")
    step_s: int = Field(examples=[1800])
    arrivals: list[int] = Field(description="着信件数")
    answers: list[int] = Field(description="応答件数")


class MonthOut(BaseModel):
    """応答率 of the centre's month so far, callers who still wait included."""

    answer_ratio: RatioOut
    may_lose: int = Field(
        description="so many calls more may be lost in a row and the target is kept; below 0: it is missed"
    )
    must_answer: int | None = Field(
        description="so many calls must be answered in a row to reach it; 0: reached; null: it cannot be"
    )


class HealthBriefOut(BaseModel):
    name: str = Field(examples=["database"])
    ok: bool


class BesideOut(BaseModel):
    """What stands in no journal; empty where the floor is shown again later."""

    health: list[HealthBriefOut] = Field(description="each dependency; /readyz says what to do")
    months: dict[str, MonthOut] = Field(description="by centre; those whose earlier days are known")


class NamedOut(BaseModel):
    id: str
    name: str


class ThresholdsOut(BaseModel):
    """From where on board and lamps warn."""

    waiting: int = Field(description="waiting callers")
    wait_s: int = Field(description="seconds of a wait")
    by_hand: bool = Field(description="set by a supervisor; false: as the centre file says")


class CentreOut(BaseModel):
    id: str
    name: str
    name_en: str
    target_answer_ratio: float
    thresholds: ThresholdsOut
    queues: list[NamedOut] = Field(description="a waiting caller can be moved to each of them")
    skills: list[str] = Field(description="what an agent can have: languages and topics")
    pauses: list[str] = Field(description="the centre's own reasons for a pause")
    hours: HoursOut
    window: WindowOut
    figures: FiguresOut
    agents_by_state: dict[AgentWord, int]
    staffed: int = Field(description="配置人数 now: signed in and not in 休憩 or 昼休み")
    curve: CurveOut
    reasons: list[ReasonOut] = Field(description="of `because` of those who wait")
    waiting: list[WaitingOut]
    agents: list[AgentOut]
    open_calls: list[OpenCallOut]
    outgoing: SideFiguresOut = Field(description="calls that desk phones made, emergency calls included")
    contact: SideFiguresOut = Field(description="calls to 連絡用番号")
    departments: SideFiguresOut = Field(description="calls to the city's departments by their short numbers")
    emergencies_not_carried: list[EmergencyOut] = Field(description="today's; show them until the day ends")
    policy_rejections: int = Field(
        description="端末ポリシー違反 of today: registrations and calls refused as no phone of the inventory"
    )
    phones_refused: list[PhoneRefusedOut] = Field(description="now")
    messages: MessagesOut
    callbacks: list[CallbackOut] = Field(
        description="who is to be called back, as they stand in the line; at most 50"
    )


class Live(BaseModel):
    """The floor as it is at `seq`."""

    seq: str = Field(description="run.number of the journal's frame", examples=["3.1207"])
    at: Moment = Field(description="the server's clock when this was made")
    stale_s: float | None = Field(
        description="seconds since the engine last showed a sign of life; null: fresh. If not null, show it"
    )
    linked: bool = Field(description="whether the engine is logged in to Asterisk and decides")
    beside: BesideOut
    centres: list[CentreOut]


class HealthOut(BaseModel):
    name: str = Field(examples=["engine"])
    ok: bool
    detail: str = Field(description="日本語 / English")


class Ready(BaseModel):
    ready: bool
    checks: list[HealthOut]


class Alive(BaseModel):
    status: Literal["alive"] = "alive"
    version: str = Field(examples=["0.1.0"])


class Problem(BaseModel):
    """RFC 9457. `title` and `detail` are Japanese / English."""

    type: str = Field(examples=["urn:callcore:problem:not-found"])
    title: str = Field(examples=["見つかりません / Not found"])
    status: int = Field(examples=[404])
    detail: str
    instance: str = Field(description="the path that was asked for")


class VisitOut(BaseModel):
    visit: str
    queue: str
    entered_at: Moment
    priority: int
    position: int | None = Field(description="in the line at the entry; null: not known")
    estimate_s: float | None = Field(description="the wait estimated then; null: nobody was on duty")
    reasons: list[str] = Field(description="why this queue and this priority, Japanese / English")
    ended_at: Moment | None
    outcome: str | None = Field(description="answered, requeued, or the call's outcome; null while it lasts")


class NoteOut(BaseModel):
    """Something that was decided about the call beside offers."""

    at: Moment
    what: str = Field(examples=["OverflowBegan", "NeedsRelaxed", "AdmissionDiffered"])
    reasons: list[str] = Field(description="Japanese / English")


class MarkOut(BaseModel):
    """A mark (苦情, 悪質・脅迫, 電話リレー) that was set or taken away."""

    at: Moment
    mark: RecordingMark
    on: bool = Field(description="false: taken away")
    keyed: bool = Field(description="by key or result; false: afterwards, which stands before what was keyed")
    by: str | None = Field(description="the person, or the agent", examples=["user:sato"])


class OfferOut(BaseModel):
    offer: str
    visit: str
    agent: str
    phone: str
    made_at: Moment
    ended_at: Moment | None
    result: OfferStage
    reasons: list[str] = Field(description="why this agent was chosen, Japanese / English")
    ended_because: str | None


class RecordingOut(BaseModel):
    size: int = Field(description="bytes")
    seconds: float
    sha256: str | None
    problem: str | None = Field(description="null: nothing is wrong with it")


class SegmentOut(BaseModel):
    """One file of what was said in a call."""

    kind: RecordingKind = Field(
        description="call: the caller with agents and, by the centre's rule, with a department; "
        "consult: an agent and whom they asked, beside the held caller; message: after the tone"
    )
    call: str = Field(description="whose recording it is; a consult has an id of its own")
    file: str = Field(description="below the recordings' folder", examples=["node1-1795136400.9.wav"])
    began_at: Moment | None = Field(description="null: not known")
    ended_at: Moment | None = Field(description="null: not known, or it goes on")
    size: int = Field(description="bytes")
    seconds: float
    sha256: str | None
    problem: str | None = Field(description="null: nothing is wrong with it")


class CallOut(BaseModel):
    """One call from its arrival to its end. Lengths in seconds."""

    call: str
    centre: str
    queue: str
    dialled: str
    number: str | None
    arrived_at: Moment
    entered_at: Moment | None
    answered_at: Moment | None
    ended_at: Moment | None
    outcome: Outcome | None = Field(description="null while the call is open")
    reason: str | None
    hung_up_by: Party | None
    agent: str | None
    by_net: bool
    waited_s: float | None
    talk_s: float
    hold_s: float | None = Field(description="null: not known, for part of the call was not witnessed")
    reconstructed: bool
    imprecise: bool = Field(description="told late: the times are not exact")
    test: bool = Field(description="from a listed test number: in no figure")
    visits: list[VisitOut]
    offers: list[OfferOut]
    notes: list[NoteOut]
    marks: list[MarkOut] = Field(description="in the order in which they were set or taken away")
    recording: RecordingOut | None = Field(description="of the talk alone; `recordings` has all of them")
    recordings: list[SegmentOut] = Field(description="all of the call, in the order in which they began")


class MeOut(BaseModel):
    """Who asks."""

    id: str = Field(examples=["user:sato"])
    name: str
    role: str | None = Field(description="null: a machine token", examples=["supervisor"])
    centres: list[str] = Field(description='"*": every centre', examples=[["oita"]])
    agent: str | None
    rights: dict[str, str] = Field(description="right: how far it reaches (own, centres, all)")


class LineOut(BaseModel):
    """A line of the audit trail."""

    n: int
    at: str = Field(description="UTC", examples=["2026-11-28T01:02:03.456Z"])
    who: str = Field(examples=["user:sato"])
    action: str = Field(examples=["agent_pause"])
    on: str | None
    centre: str | None
    origin: str = Field(description="the address it came from, or cli")
    result: Literal["done", "refused", "failed"]
    why: str | None
    mark: str = Field(description="HMAC-SHA-256 over the line and the mark of the one before")


class TrailOut(BaseModel):
    lines: list[LineOut]
    before: int | None = Field(description="give this as `before` for the older ones; null: there are none")


def trail_out(lines: Sequence[Line], limit: int) -> bytes:
    """The answer of `/api/v1/audit`."""
    older = lines[-1].n if len(lines) == limit else None
    return msgspec.json.encode({"lines": lines, "before": older})
