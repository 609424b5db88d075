"""Asterisk's own CEL file, read for what happened while nobody watched.

One line per channel event, as rendered in `cel_custom.conf`. What stands here was written by Asterisk whether
callcore lived or not; what does not stand here (hold, but for how a talk ended, after-call work, keys) stays unknown.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from callcore.ami.translate import OVERFLOWS, SAID, caller_number, menu_keyed, side_kind, side_outcome
from callcore.ami.wire import parse_instant
from callcore.domain.admission import NORMAL_CLEARING
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, DepartmentId, Instant, PhoneId
from callcore.domain.inputs import (
    CallerForwarded,
    CallTraced,
    MenuKeyed,
    MessageTold,
    MovedTraced,
    SideTraced,
    TalkTraced,
    TransferTold,
)
from callcore.domain.stages import Choice, Outcome, Party, SideKind, SideOutcome
from callcore.runtime import dialplan

BLOCK = 1 << 20
"""Bytes read at a time while looking backwards for the first line that matters."""

ADMISSIONS = ("callcore-open", "callcore-closed", "callcore-emergency", "callcore-blocked")
"""What the dialplan writes down of its decision about an arrival."""

MARGIN_S = 5
"""Seconds by which lines may stand out of order in the file; CEL has one queue, events lag by milliseconds."""


@dataclass(frozen=True, slots=True)
class Line:
    kind: str
    user: str
    at: Instant
    unique: str
    linked: str
    channel: str
    context: str
    exten: str
    caller: str
    extra: str


def read_since(path: Path, since: Instant) -> list[Line]:
    """The lines from `since` on, oldest first. A missing file is an empty one: nothing was written yet."""
    return list(lines_since(path, since))


def lines_since(path: Path, since: Instant) -> Iterator[Line]:
    """The same, one after the other: for who folds a file that is larger than what should be held at once."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    start = size
    with path.open("rb") as file:
        while start > 0:
            start = max(0, start - BLOCK)
            file.seek(start)
            head = file.readline() if start else b""
            first = next(parse([file.readline().decode("utf-8", "replace")]), None)
            start += len(head)
            if first is not None and first.at < since - MARGIN_S * SECOND:
                break
            start -= len(head)
        file.seek(start)
        if start:
            file.readline()  # a block's beginning is seldom a line's
        for line in parse(raw.decode("utf-8", "replace") for raw in file):
            if line.at >= since - MARGIN_S * SECOND:
                yield line


def on_the_clock(lines: list[Line], now: Instant, stepped_at: Instant, by: int) -> list[Line]:
    """The same lines by the clock of `now`, which was last set at `stepped_at` by `by` microseconds.

    Which were written before is told by the file's order: a clock that was set back stamps what comes after with less
    than what came before. A step that nobody watched was at some time before `stepped_at`, and `by` is what the journal
    knew; so no line is later than now.
    """
    old, least = 0, now
    for n in range(len(lines) - 1, -1, -1):
        at = lines[n].at
        if at > least + SECOND or (by > 0 and at < stepped_at - by // 2):
            old = n + 1
            break
        least = min(least, at)
    moved = [replace(line, at=Instant(min(line.at + by, now))) for line in lines[:old]]
    return [*moved, *lines[old:]]


def parse(lines: Iterable[str]) -> Iterator[Line]:
    """Well-formed lines; a torn or foreign one is passed over."""
    for row in csv.reader(lines):
        if len(row) < 12:
            continue
        kind, user, at, unique, linked, channel, context, exten, _app, _peer, caller, extra = row[:12]
        instant = parse_instant(at)
        if instant is not None and unique:
            yield Line(kind, user, instant, unique, linked, channel, context, exten, caller, extra)


@dataclass(slots=True)
class _Move:
    since: Instant
    bridge: str
    sent_to: DepartmentId | None
    channel: ChannelId | None = None
    ended: Instant | None = None

    def over(self, at: Instant) -> MovedTraced:
        """It was over at `at` at the latest."""
        return MovedTraced(self.since, self.ended or at, self.channel, self.sent_to)


@dataclass(slots=True)
class _Trace:
    arrival: Line
    open: bool | None = None
    entered: Instant | None = None
    net: Instant | None = None
    held: Instant | None = None
    notice: str | None = None
    inside: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Unique id → (bridge, channel's name) of the channels of this call that are in a bridge."""
    answered: Instant | None = None
    phone: PhoneId | None = None
    earlier: list[TalkTraced] = field(default_factory=list)
    talk_since: Instant | None = None
    talk_ended: Instant | None = None
    back: Instant | None = None
    returned: MovedTraced | None = None
    ended: Instant | None = None
    first_out: str | None = None
    put_down: ChannelId | None = None
    put_down_held: bool | None = None
    hung_up_by: Party = Party.UNKNOWN
    apology: Instant | None = None
    overflow: tuple[Instant, Outcome] | None = None
    emergency: bool = False
    menus: list[MenuKeyed] = field(default_factory=list)
    messages: list[MessageTold] = field(default_factory=list)
    callback: Instant | None = None
    forwarded: bool = False
    """To an outside number, chosen in a menu: no agent is in that bridge."""
    forward: CallerForwarded | None = None
    """It has answered."""
    forward_ended: Instant | None = None
    blocked: bool = False
    insisted: Instant | None = None
    moves: list[_Move] = field(default_factory=list)
    """To whom the caller was put through after the last talk, and has not come back from."""
    passed: tuple[MovedTraced, ...] = ()
    """Before `returned`."""
    sent_to: DepartmentId | None = None
    """Rung for the caller unasked, and nobody has answered yet."""
    shut: tuple[TransferTold, ...] = ()
    """As in `CallTraced`."""
    last: Instant = Instant(0)


def traces(lines: Iterable[Line]) -> tuple[CallTraced, ...]:
    """One trace per call whose arrival stands among the lines, in the order of arrival."""
    found: dict[str, _Trace] = {}
    for line in lines:
        # The carrier's leg of a call that a phone made begins in this context too, in the phone's name.
        if line.kind == "CHAN_START" and line.context == dialplan.ARRIVALS and line.unique == line.linked:
            found[line.unique] = _Trace(line, last=line.at)
        elif line.user in (SIDE, NOT_OURS) and line.unique in found:
            del found[line.unique]  # a 連絡用番号, or a number that nobody has, is no arrival
        elif line.linked in found:
            _fold(found[line.linked], line)
    return tuple(_traced(CallId(name), trace) for name, trace in found.items())


SIDE, SIDE_ENDED, NOT_OURS = "callcore-side", "callcore-side-ended", "callcore-not-ours"


@dataclass(slots=True)
class _Side:
    """A call that is no arrival, by the line that says so."""

    begun: Line
    kind: SideKind
    centre: CentreId
    number: str
    why: str
    beside: CallId | None = None
    refused: bool = False
    connected: Instant | None = None
    with_phone: PhoneId | None = None
    outcome: SideOutcome | None = None
    over: Instant | None = None
    """When the dialplan said that nobody was reached."""
    ended: Instant | None = None
    source: str = ""
    """The channel's name whose far end put down first."""


def sides(lines: Iterable[Line]) -> tuple[SideTraced, ...]:
    """One trace per call that is no arrival and whose beginning stands among the lines, in that order."""
    found: dict[str, _Side] = {}
    for line in lines:
        mine = found.get(line.linked)
        if line.user == SIDE and line.unique not in found:
            kind, centre, number, why, beside, *_ = (*_extra(line, "extra").split("~"), "", "", "", "", "")
            known = side_kind(kind)
            if known is not None and centre:
                found[line.unique] = _Side(
                    line, known, CentreId(centre), number, why, CallId(beside) if beside else None
                )
        elif mine is not None:
            _fold_side(mine, line)
    return tuple(_side_traced(side) for side in found.values())


def _fold_side(side: _Side, line: Line) -> None:
    mine = line.unique == side.begun.unique
    match line.kind:
        case "USER_DEFINED" if mine and line.user == SIDE_ENDED:
            result, _, cause = _extra(line, "extra").partition("~")
            side.outcome, side.refused = side_outcome(result, cause), result == "DENIED"
            side.over = None if side.outcome is SideOutcome.CONNECTED else line.at
        case "BRIDGE_ENTER" if mine:
            side.connected = side.connected or line.at
        case "BRIDGE_ENTER":
            side.with_phone = dialplan.phone_of(line.channel) or side.with_phone
        case "HANGUP" if mine:
            side.source = _extra(line, "hangupsource")
        case "CHAN_END" if mine:
            side.ended = line.at


def _side_traced(side: _Side) -> SideTraced:
    begun, contact = side.begun, side.kind is SideKind.CONTACT
    by = Party.UNKNOWN
    if side.source == begun.channel:
        by = Party.CALLER if contact else Party.AGENT
    elif side.source.startswith("PJSIP/"):
        by = Party.AGENT if contact else Party.CALLED
    elif side.source.startswith("dialplan/"):
        by = Party.SYSTEM
    return SideTraced(
        call=CallId(begun.unique),
        centre=side.centre,
        kind=side.kind,
        phone=None if contact else dialplan.phone_of(begun.channel),
        number=side.number,
        other=caller_number(begun.caller if contact else begun.exten),
        why=side.why,
        began=begun.at,
        connected=side.connected,
        with_phone=side.with_phone if contact or side.kind is SideKind.COLLEAGUE else None,
        outcome=side.outcome,
        ended=side.over or side.ended,
        hung_up_by=by if side.over is None or side.connected else Party.SYSTEM,
        refused=side.refused,
        beside=side.beside,
    )


def _fold(trace: _Trace, line: Line) -> None:
    mine = line.unique == trace.arrival.unique
    trace.last = max(trace.last, line.at)
    if line.kind in ("CHAN_END", "HANGUP") and not mine:
        trace.inside.pop(line.unique, None)
        if trace.forward is not None and trace.forward.channel == line.unique:
            trace.forward_ended = trace.forward_ended or line.at
    match line.kind:
        case "USER_DEFINED" if mine and line.user in ADMISSIONS:
            trace.open = line.user == "callcore-open"
            trace.emergency = line.user == "callcore-emergency"
            trace.blocked = line.user == "callcore-blocked"
        case "USER_DEFINED" if mine and line.user == "callcore-transfer":
            trace.sent_to = DepartmentId(_extra(line, "extra"))
        case "USER_DEFINED" if mine and line.user == "callcore-transfer-closed":
            to = DepartmentId(_extra(line, "extra"))
            told = TransferTold(at=line.at, call=CallId(line.unique), department=to, closed=True)
            trace.shut = (*trace.shut, told)
        case "USER_DEFINED" if mine and line.user == "callcore-insisted":
            trace.insisted = line.at
        case "USER_DEFINED" if mine and line.user in ("callcore-held", "callcore-net"):
            if line.user == "callcore-net":
                trace.net = line.at
            else:
                trace.held = line.at
                if trace.entered is None:
                    trace.notice = _extra(line, "extra") or None
            trace.entered = trace.entered or line.at
            if trace.talk_ended is not None:
                trace.back = trace.back or line.at
                if trace.moves:
                    *passed, trace.returned = [move.over(line.at) for move in trace.moves]
                    trace.passed = tuple(passed)
                trace.moves, trace.sent_to = [], None
        case "USER_DEFINED" if line.user == "callcore-put-down" and not mine:
            if trace.phone is not None and dialplan.phone_of(line.channel) == trace.phone:
                trace.put_down_held = _extra(line, "extra") == "held"
        case "USER_DEFINED" if mine and line.user == "callcore-apology":
            trace.apology = line.at
        case "USER_DEFINED" if mine and line.user == "callcore-overflow":
            outcome = OVERFLOWS.get(_extra(line, "extra"))
            trace.overflow = trace.overflow if outcome is None else (line.at, outcome)
        case "USER_DEFINED" if mine and line.user == "callcore-menu":
            menu, key, chose, *_ = (*_extra(line, "extra").split("~", 2), "", "")
            keyed = menu_keyed(line.at, line.unique, menu, key, chose)
            if keyed is not None:
                trace.menus.append(keyed)
                trace.forwarded = keyed.choice is Choice.FORWARD
        case "USER_DEFINED" if not mine and line.user == "callcore-forwarded":
            taped, _, notice = _extra(line, "extra").partition("~")
            trace.forward = CallerForwarded(
                at=line.at,
                call=CallId(line.linked),
                channel=ChannelId(line.unique),
                recorded=taped == "yes",
                notice=notice or None,
            )
        case "USER_DEFINED" if mine and line.user == "callcore-callback":
            trace.callback = line.at
        case "USER_DEFINED" if mine and line.user == "callcore-message":
            said = SAID.get(_extra(line, "extra"))
            if said is not None:
                trace.messages.append(MessageTold(at=line.at, call=CallId(line.unique), said=said))
        case "BRIDGE_ENTER" | "BRIDGE_EXIT" if trace.forwarded:
            pass
        case "BRIDGE_ENTER":
            trace.inside[line.unique] = (_extra(line, "bridge_id"), line.channel)
            _answered(trace, line)
        case "BRIDGE_EXIT":
            if trace.answered is not None and trace.first_out is None:
                trace.first_out = line.unique
                trace.talk_ended = line.at
            elif trace.moves and _extra(line, "bridge_id") == trace.moves[-1].bridge:
                trace.moves[-1].ended = trace.moves[-1].ended or line.at
            trace.inside.pop(line.unique, None)
        case "HANGUP" if not mine and trace.talk_ended is not None and _put_down(trace, line):
            trace.put_down = ChannelId(line.unique)
        case "HANGUP" if mine:
            trace.hung_up_by = _who(trace, line)
        case "CHAN_END" if mine:
            trace.ended = line.at


def _answered(trace: _Trace, line: Line) -> None:
    own = trace.inside.get(trace.arrival.unique)
    if own is None:
        return
    others = [(u, at) for u, at in trace.inside.items() if u != trace.arrival.unique and at[0] == own[0]]
    if trace.talk_ended is not None and all(dialplan.phone_of(at[1]) is None for _, at in others):
        # With nobody of ours: put through. A department that an agent had asked came into that bridge under the name of
        # the agent's call, so it may not be seen here.
        if not trace.moves or trace.moves[-1].bridge != own[0]:
            if trace.moves:
                trace.moves[-1].ended = trace.moves[-1].ended or line.at
            trace.moves.append(_Move(line.at, own[0], trace.sent_to))
            trace.sent_to = None
        if others:
            trace.moves[-1].channel = ChannelId(others[0][0])
        return
    for _, (_, channel) in others:
        trace.answered = trace.answered or line.at
        if trace.talk_since is not None and trace.talk_ended is not None:
            trace.earlier.append(
                TalkTraced(
                    trace.phone,
                    trace.talk_since,
                    trace.talk_ended,
                    trace.back,
                    trace.returned,
                    trace.passed,
                    trace.shut,
                )
            )
        if trace.talk_since is None or trace.talk_ended is not None:
            trace.talk_since = line.at
        trace.phone = dialplan.phone_of(channel)
        trace.first_out = trace.talk_ended = trace.back = trace.returned = trace.put_down = None
        trace.put_down_held = None
        trace.passed = trace.shut = ()


def _extra(line: Line, key: str) -> str:
    """One entry of the line's own JSON; empty when there is none."""
    try:
        told = msgspec.json.decode(line.extra)
    except msgspec.DecodeError:
        return ""
    return str(told.get(key, "")) if isinstance(told, dict) else ""


def _put_down(trace: _Trace, line: Line) -> bool:
    """Whether the agent of the last talk put down: by the same words as in the dialplan, its channel is the source of
    the hang-up, with a normal end."""
    own = dialplan.phone_of(line.channel) == trace.phone and _extra(line, "hangupsource") == line.channel
    return own and _extra(line, "hangupcause") == str(NORMAL_CLEARING)


def _who(trace: _Trace, line: Line) -> Party:
    """Who put down, by Asterisk's own `hangupsource`: the channel's name whose far end asked for it."""
    source = _extra(line, "hangupsource")
    if source == trace.arrival.channel:
        return Party.CALLER
    if dialplan.phone_of(source) is not None:
        return Party.AGENT
    if (trace.moves or trace.forward is not None) and source.startswith("PJSIP/"):
        return Party.CALLED
    return Party.SYSTEM if source.startswith("dialplan/") else Party.UNKNOWN


def _traced(call: CallId, trace: _Trace) -> CallTraced:
    arrival = trace.arrival
    moved = trace.moves[-1] if trace.moves else None
    return CallTraced(
        call=call,
        number=arrival.exten,
        caller=caller_number(arrival.caller),
        name=arrival.channel,
        arrived=arrival.at,
        open=trace.open,
        entered=trace.entered,
        net=trace.net,
        answered=trace.answered,
        phone=trace.phone,
        talk_ended=trace.talk_ended,
        ended=trace.ended,
        hung_up_by=trace.hung_up_by,
        talk_since=trace.talk_since,
        earlier=tuple(trace.earlier),
        back=trace.back,
        returned=trace.returned,
        put_down=trace.put_down,
        put_down_held=trace.put_down_held,
        apology=trace.apology,
        overflow=trace.overflow,
        emergency=trace.emergency,
        menus=tuple(trace.menus),
        forwarded=trace.forward,
        forward_ended=trace.forward_ended,
        held=trace.held,
        notice=trace.notice,
        messages=tuple(trace.messages),
        callback=trace.callback,
        blocked=trace.blocked,
        insisted=trace.insisted,
        passed=(*trace.passed, *(move.over(trace.last) for move in trace.moves[:-1])),
        moved=None if moved is None else moved.since,
        moved_to=None if moved is None else moved.channel,
        moved_ended=None if moved is None else moved.ended,
        sent_to=trace.sent_to if moved is None else moved.sent_to,
        shut=trace.shut,
        last=trace.last,
    )
