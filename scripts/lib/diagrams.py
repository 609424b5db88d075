"""Draws the documents' pictures from the code itself, so that they cannot say something else.

- The state diagrams of `docs/architecture.md` are the tables of `callcore.domain`, as Mermaid.
- `docs/pictures/way-of-a-call.svg` is one call played through the code: AMI events as Asterisk writes them go through
  `ami.translate`, the inputs through the core, the effects through `ami.perform`; the dialplan's steps are read from
  `dialplans/callcore.conf`. Only the SIP side, which no code of ours sends, is written here by hand.

`scripts/diagrams` writes them; a test fails when what is committed is not what this gives.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final

from callcore.ami.perform import Performer
from callcore.ami.translate import translate
from callcore.ami.wire import Event, parse
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import WORK
from callcore.domain.call import CALL
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, Instant, NodeId, PhoneId
from callcore.domain.offer import OFFER
from callcore.domain.stages import OPEN_OFFER, OfferStage
from callcore.domain.step import step
from callcore.domain.transitions import mermaid
from callcore.runtime import dialplan

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "architecture.md"
PICTURE: Final = ROOT / "docs" / "pictures" / "way-of-a-call.svg"

# -- state diagrams ------------------------------------------------------------------------------------------


def tables() -> dict[str, str]:
    """The Mermaid text of each table, by the name that its markers in the page bear."""
    ends = [s for s in OfferStage if s not in OPEN_OFFER and s is not OfferStage.ANSWERED]
    failed = "\n".join(f"    {s.value} --> ended: OfferFailed" for s in OfferStage if s in OPEN_OFFER)
    words = ", ".join(s.value for s in ends)
    return {
        "call": mermaid(CALL),
        "offer": f'{mermaid(OFFER)}\n    state "{words}" as ended\n{failed}',
        "work": mermaid(WORK),
    }


def with_tables(page: str) -> str:
    """The page with each marked place filled anew. Raises ValueError when a marker is missing."""
    for name, text in tables().items():
        begin, end = f"<!-- table {name}: made by scripts/diagrams -->", "<!-- end -->"
        pattern = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end), re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"{begin} … {end} must stand in the page once")
        block = f"{begin}\n```mermaid\n{text}\n```\n{end}"
        page = pattern.sub(lambda _, block=block: block, page)  # type: ignore[misc]
    return page


# -- one call, played -----------------------------------------------------------------------------------------

NODE: Final = NodeId("node1")
BEGIN: Final = Instant(1_795_482_000 * SECOND)
"""2026-11-24 10:00 Asia/Tokyo, a Tuesday without a holiday. The picture shows no clock."""
CALLER, PHONE, ASTERISK, ENGINE = "caller", "phone", "asterisk", "engine"


@dataclass(frozen=True)
class Arrow:
    source: str
    target: str
    text: str
    kind: str
    """sip, media, ami (event), action, or command."""


@dataclass(frozen=True)
class Steps:
    """What the dialplan does in one context."""

    context: str
    text: str
    note: str


@dataclass(frozen=True)
class Decided:
    """What the core made of an input: facts, and effects that are no AMI action (timers)."""

    facts: tuple[str, ...]
    timers: tuple[str, ...]


Row = Arrow | Steps | Decided


class _Wire:
    """Stands where the link is: keeps the actions that the performer sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def call(self, fields: dict[str, Any], **_: float) -> None:
        self.sent.append(fields)

    async def call_list(self, fields: dict[str, Any], **_: float) -> list[Event]:
        self.sent.append(fields)
        return [_event("Status", Application=dialplan.WAITING_APPLICATION)]


def _event(name: str, at: Instant = BEGIN, variables: Sequence[str] = (), **headers: str) -> Event:
    lines = [f"Event: {name}", f"Timestamp: {at // SECOND}.{at % SECOND:06}"]
    lines += [f"ChanVariable: {variable}" for variable in variables]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    made = parse("\r\n".join(lines).encode())
    assert isinstance(made, Event)
    return made


@dataclass
class Play:
    """One call of the shipped centre through translate, step and perform."""

    floor: Floor = field(default_factory=Floor)
    rows: list[Row] = field(default_factory=list)
    clock: Instant = BEGIN
    wire: _Wire = field(default_factory=_Wire)

    def tell(self, told: i.Input, *, drawn: bool = True) -> None:
        done = step(self.floor, told)
        self.floor = done.floor
        timers = tuple(f"{w.timer.kind.value}" for w in done.effects if isinstance(w, e.SetTimer))
        if drawn:
            self.rows.append(Decided(tuple(_said(fact) for fact in done.facts), timers))
        for effect in done.effects:
            if not isinstance(effect, e.SetTimer):
                self._perform(effect, drawn=drawn)

    def _perform(self, effect: e.Effect, *, drawn: bool) -> None:
        async def yes() -> bool:
            return True

        async def nothing(_: float) -> None: ...

        before = len(self.wire.sent)
        wire: Any = self.wire
        performer = Performer(wire, entitled=yes, now=lambda: self.clock, sleep=nothing)
        asyncio.run(performer.perform(effect))
        for sent in self.wire.sent[before:] if drawn else []:
            target = f" → {sent['Context']}, {sent['Exten']}" if "Exten" in sent else ""
            self.rows.append(Arrow(ENGINE, ASTERISK, f"{sent['Action']}{target}", "action"))

    def event(self, name: str, label: str = "", after_s: float = 0.02, **headers: Any) -> None:
        """An AMI event, as Asterisk writes it."""
        self.clock = Instant(self.clock + round(after_s * SECOND))
        told = translate(_event(name, self.clock, **headers), NODE)
        assert isinstance(told, i.Input), f"{name} gives no input"
        self.rows.append(Arrow(ASTERISK, ENGINE, " ".join(filter(None, (name, label))), "ami"))
        self.tell(told)

    def sip(self, source: str, target: str, text: str, kind: str = "sip") -> None:
        self.rows.append(Arrow(source, target, text, kind))

    def dialplan(self, context: str, *wanted: str, note: str) -> None:
        """Applications of a context, in the order of the dialplan. Raises ValueError when they do not stand so."""
        have = applications(context)
        place = 0
        for one in wanted:
            try:
                place = have.index(one, place) + 1
            except ValueError:
                raise ValueError(f"{context} has no {one} after step {place}: {have}") from None
        self.rows.append(Steps(context, " · ".join(wanted), note))


def applications(context: str) -> list[str]:
    """The applications of one context in the order in which they stand, those inside ExecIf and GotoIf left out."""
    text = "".join(
        (ROOT / "dialplans" / name).read_text(encoding="utf-8") for name in ("callcore.conf", "menu.conf")
    )
    if context == dialplan.ARRIVALS:
        text = (ROOT / "asterisk" / "extensions.conf.j2").read_text(encoding="utf-8")
    match = re.search(rf"(?ms)^\[{re.escape(context)}\]\n(.*?)(?=^\[|\Z)", text)
    if match is None:
        raise ValueError(f"no context {context}")
    lines = re.findall(r"(?m)^(?:exten =>[^,]*,1,|\s*same => n(?:\([a-z]+\))?,)(\w+)\(", match[1])
    return lines


def _said(fact: f.Fact) -> str:
    extra = ""
    match fact:
        case f.CallArrived():
            extra = f" {fact.number}, {fact.centre}"
        case f.VisitBegan():
            extra = f" {fact.queue}"
        case f.OfferMade():
            extra = f" {fact.offer}: agent {fact.agent}, {fact.phone}, {fact.ring_s} s"
        case f.CallAnswered():
            extra = f" by {fact.agent}"
        case f.CallEnded():
            extra = f": {fact.outcome.value}, by {fact.hung_up_by.value}"
        case f.HangupAsked():
            extra = " (caller)"
        case f.LegJoined() | f.LegLeft() | f.LegBegan() | f.LegEnded():
            extra = " (caller)" if str(fact.channel) == fact.call else " (phone)"
    return type(fact).__name__ + extra


def one_call() -> list[Row]:
    """The way of a call that an agent answers and the caller ends."""
    from callcore.centres import read
    from callcore.domain.stages import Device

    config = read(ROOT / "centres")
    (centre,) = (c for c in config.centres if c.id == "oita")
    number, phone, agent = centre.numbers[0].digits, centre.phones[0].id, centre.agents[0].id
    play = Play()
    play.tell(i.RunBegins(at=BEGIN, run=1, software="", configuration=config), drawn=False)
    seen = i.Snapshot(at=BEGIN, node=NODE, first=True, channels=(), devices=(), members=())
    play.tell(seen, drawn=False)
    signed = i.SignInAsked(at=BEGIN, agent=AgentId(agent), phone=PhoneId(phone), channel="-", verified=True)
    play.tell(signed, drawn=False)
    play.tell(i.DeviceReported(at=BEGIN, phone=PhoneId(phone), device=Device.FREE), drawn=False)

    call, leg = f"{NODE}-1795482001.4", f"{NODE}-1795482012.5"
    channel, peer = f"PJSIP/{dialplan.TRUNK}-00000004", f"PJSIP/{phone}-00000005"
    mine = [f"{dialplan.CALL}={call}"]
    play.sip(CALLER, ASTERISK, f"INVITE {number}")
    play.event(
        "Newchannel", Context=dialplan.ARRIVALS, Uniqueid=call, Channel=channel, Exten=number,
        CallerIDNum="0312345678", after_s=1,
    )  # fmt: skip
    play.dialplan("callcore-in", "Set", "Goto", note="names call, centre, queue")
    play.dialplan("callcore-admit", "Set", "GotoIf", "UserEvent", note="open? by the hours pushed to AstDB")
    play.event(
        "UserEvent", "CallcoreAdmitted: open, pushed", UserEvent="CallcoreAdmitted", Call=call,
        Decision="open", Source="pushed",
    )  # fmt: skip
    play.dialplan("callcore-admit", "Answer", "Goto", note="a menu first, if the number has one")
    play.sip(ASTERISK, CALLER, "200 OK")
    play.dialplan("callcore-welcome", "MixMonitor", "Playback", note="recording begins before anybody waits")
    play.sip(ASTERISK, CALLER, "notice, greeting", "media")
    play.dialplan(
        "callcore-hold", "UserEvent", "StartMusicOnHold", "WaitForCondition",
        note="until redirected, or the heartbeat stops",
    )  # fmt: skip
    play.event("UserEvent", "CallcoreHeld", after_s=11, UserEvent="CallcoreHeld", Call=call)
    play.sip(ASTERISK, CALLER, "music on hold", "media")
    offer = play.floor.calls[CallId(call)].offer
    play.dialplan("callcore-offer", "Set", "GotoIf", "Dial", note="only if the phone is NOT_INUSE")
    play.sip(ASTERISK, PHONE, "INVITE")
    variables = [*mine, f"{dialplan.CHANNEL_OFFER}={offer}"]
    dial: dict[str, Any] = {
        "Context": dialplan.OFFER,
        "DestUniqueid": leg,
        "DestChannel": peer,
        "variables": variables,
    }
    play.event("DialBegin", **dial)
    play.sip(PHONE, ASTERISK, "180 Ringing, then 200 OK")
    play.event("DialEnd", "ANSWER", after_s=4, DialStatus="ANSWER", **dial)
    bridge: dict[str, Any] = {"BridgeUniqueid": "b1"}
    play.event("BridgeEnter", "(phone)", Uniqueid=leg, **bridge)
    play.event("BridgeEnter", "(caller)", Uniqueid=call, **bridge)
    play.sip(CALLER, PHONE, "talk, recorded", "media")
    play.sip(CALLER, ASTERISK, "BYE")
    play.event("HangupRequest", "(caller)", after_s=90, Uniqueid=call)
    play.event("BridgeLeave", "(caller)", Uniqueid=call, **bridge)
    play.event("BridgeLeave", "(phone)", Uniqueid=leg, **bridge)
    play.sip(ASTERISK, PHONE, "BYE")
    play.event("Hangup", "(phone)", Uniqueid=leg, Cause="16")
    play.event("Hangup", "(caller)", Uniqueid=call, Cause="16")
    play.rows.append(Arrow("sidecar", ENGINE, "command recording", "command"))
    measured = i.RecordingMeasured(
        at=play.clock, call=CallId(call), file="", size=1, seconds=1.0, sha256=None, problem=None
    )
    play.tell(measured)
    due = play.floor.agents[AgentId(agent)].wrap_up_until
    assert due is not None
    play.rows.append(Arrow(ENGINE, ENGINE, "timer wrap_up", "timer"))
    play.tell(i.TimerFired(at=due, timer=i.Timer(i.TimerKind.WRAP_UP, agent)))
    return play.rows


# -- drawing ----------------------------------------------------------------------------------------------------

WIDTH: Final = 1240
LANES: Final = {CALLER: 90, PHONE: 270, ASTERISK: 500, ENGINE: 830, "sidecar": 1180}
TITLES: Final = {
    CALLER: ("発信者", "caller"),
    PHONE: ("電話機", "agent's phone"),
    ASTERISK: ("Asterisk", "dialplan"),
    ENGINE: ("エンジン", "engine: facts, journal"),
    "sidecar": ("サイドカー", "sidecar"),
}
COLOURS: Final = {
    "sip": "#1f4e8c",
    "media": "#2e7d32",
    "ami": "#555555",
    "action": "#b3261e",
    "command": "#6a3fa0",
    "timer": "#6a3fa0",
}
TOP: Final = 74
LINE: Final = 17


def picture(rows: Sequence[Row]) -> str:
    """The call as an SVG sequence diagram."""
    parts: list[str] = []
    y = TOP + 26
    for before, row in zip((None, *rows), rows, strict=False):
        if isinstance(before, Arrow) and before.kind in ("command", "timer"):
            y += 18  # these end on the engine's own side, where the facts stand
        drawn, height = _drawn(row, y)
        parts += drawn
        y += height
    height = y + 58
    lanes = []
    for lane, x in LANES.items():
        ja, en = TITLES[lane]
        lanes.append(f'<line class="lane" x1="{x}" y1="{TOP}" x2="{x}" y2="{height - 48}"/>')
        lanes.append(f'<rect class="head" x="{x - 78 if lane != "sidecar" else x - 52}" y="34" '
                     f'width="{156 if lane != "sidecar" else 104}" height="40" rx="6"/>')  # fmt: skip
        lanes.append(
            f'<text class="title" x="{x}" y="51">{ja}</text><text class="sub" x="{x}" y="67">{en}</text>'
        )
    legend = [("sip", "SIP"), ("media", "音声 / sound"), ("ami", "AMI event"), ("action", "AMI action"),
              ("command", "命令・タイマー / command, timer")]  # fmt: skip
    x = 24
    for kind, text in legend:
        lanes.append(f'<line x1="{x}" y1="{height - 20}" x2="{x + 30}" y2="{height - 20}" '
                     f'stroke="{COLOURS[kind]}" stroke-width="2"/>')  # fmt: skip
        lanes.append(f'<text class="left" x="{x + 36}" y="{height - 16}">{text}</text>')
        x += 150 if kind != "command" else 0
    lanes.append(f'<rect class="fact" x="{x + 250}" y="{height - 29}" width="18" height="16" rx="3"/>')
    lanes.append(
        f'<text class="left" x="{x + 274}" y="{height - 16}">事実(ジャーナルへ) / facts, written first</text>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-labelledby="t">',
            '<title id="t">1 件の入電の流れ / The way of one call</title>',
            "<!-- made by scripts/diagrams -->",
            "<style>text{font:12.5px 'Noto Sans CJK JP','Noto Sans JP',sans-serif;fill:#1b1b1b;text-anchor:middle}"
            ".left{text-anchor:start}.title{font-weight:700;font-size:14px}.sub{fill:#555;font-size:11px}"
            ".name{font-weight:700;font-size:14px;text-anchor:start}.lane{stroke:#b5b5b5;stroke-dasharray:3 4}"
            ".head{fill:#f3f4f6;stroke:#b5b5b5}.steps{fill:#fff4d6;stroke:#d9b44a}"
            ".fact{fill:#e3eefc;stroke:#7aa5dc}.grey{fill:#777}.context{font-weight:700;font-size:11px}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            '<text class="name" x="20" y="22">1 件の入電の流れ / The way of one call</text>',
            *lanes,
            *parts,
            "</svg>",
            "",
        ]
    )


def _drawn(row: Row, y: int) -> tuple[list[str], int]:
    match row:
        case Arrow():
            return _arrow(row, y)
        case Steps():
            x = LANES[ASTERISK]
            width = 30 + round(7.2 * max(len(row.text), len(row.note)))
            return [
                f'<rect class="steps" x="{x - width // 2}" y="{y + 6}" width="{width}" height="52" rx="4"/>',
                f'<text class="context" x="{x}" y="{y + 21}">[{row.context}]</text>',
                f'<text x="{x}" y="{y + 36}">{escape(row.text)}</text>',
                f'<text class="sub" x="{x}" y="{y + 51}">{escape(row.note)}</text>',
            ], 66
        case Decided():
            return _decided(row, y)
    raise TypeError(row)


def _arrow(row: Arrow, y: int) -> tuple[list[str], int]:
    colour = COLOURS[row.kind]
    x1, x2 = LANES[row.source], LANES[row.target]
    if x1 == x2:
        return [f'<text class="left" x="{x1 + 14}" y="{y + 13}" '
                f'style="fill:{colour}">{escape(row.text)}</text>'], 18  # fmt: skip
    way = 1 if x2 > x1 else -1
    dash = ' stroke-dasharray="7 4"' if row.kind == "media" else ""
    tip = y + 20
    heads = [f'<path d="M{x2 - way * 9},{tip - 5} L{x2},{tip} L{x2 - way * 9},{tip + 5} Z" fill="{colour}"/>']
    if row.kind == "media" and {row.source, row.target} == {CALLER, PHONE}:
        heads.append(
            f'<path d="M{x1 + way * 9},{tip - 5} L{x1},{tip} L{x1 + way * 9},{tip + 5} Z" fill="{colour}"/>'
        )
        x1, x2 = sorted((x1, x2))
    middle = (x1 + x2) // 2
    if {row.source, row.target} == {CALLER, ASTERISK}:
        middle = (LANES[CALLER] + LANES[PHONE]) // 2  # clear of the phone's own line
    return [
        f'<line x1="{x1}" y1="{tip}" x2="{x2}" y2="{tip}" stroke="{colour}" stroke-width="1.6"{dash}/>',
        *heads,
        f'<text x="{middle}" y="{tip - 6}" style="fill:{colour}">{escape(row.text)}</text>',
    ], 30


def _decided(row: Decided, y: int) -> tuple[list[str], int]:
    x = LANES[ENGINE] + 14
    lines = list(row.facts)
    if not lines:
        return [f'<text class="left grey" x="{x}" y="{y + 2}" style="fill:#777">— (nothing new)</text>'], 10
    height = LINE * len(lines) + 8
    width = max(150, round(7.3 * max(len(line) for line in lines)) + 16)
    top = y - 14
    drawn = [f'<rect class="fact" x="{x}" y="{top}" width="{width}" height="{height}" rx="4"/>']
    drawn += [
        f'<text class="left" x="{x + 8}" y="{top + 17 + LINE * n}">{escape(line)}</text>'
        for n, line in enumerate(lines)
    ]
    for n, timer in enumerate(row.timers):
        drawn.append(f'<text class="left" x="{x + width + 8}" y="{top + 17 + LINE * n}" '
                     f'style="fill:{COLOURS["timer"]}">timer: {timer}</text>')  # fmt: skip
    return drawn, height - 4


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(page), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(one_call()), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}\n{PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
