"""One real evening in four books, and faults put into them.

`tests/unit/books` holds what a real Asterisk 22 and callcore wrote of five calls (2026-11-21, Asia/Tokyo): one given
up while the phone rang, one closed, one given up in the notice, one answered, held and ended by the agent, and one
that the safety net's agent answered while the engine was dead. Numbers and names are the simulated phones' own.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from callcore.ami import cel
from callcore.audit import Cel, Reconciliation, Span, compare, fold, read_cdr, shelf
from callcore.domain import facts as f
from callcore.domain.board import day_of
from callcore.domain.findings import Finding
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    NodeId,
    PhoneId,
    QueueId,
    VisitId,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome, Party, SideKind, SideOutcome
from tests.support.floors import NUMBER, centre

FOLDER = Path(__file__).resolve().parents[1] / "unit" / "books"
RANG, CLOSED, SHORT, HELD, NET = (
    f"test1-{n}" for n in ("1795211667.4", "1795213029.0", "1795213038.4", "1795213040.6", "1795213051.10")
)
DAY = date(2026, 11, 21)
LONG_AFTER = Instant(1_795_220_000 * SECOND)
RATE = 8000


def span_of(name: str = "demo", numbers: dict[str, CentreId] | None = None) -> Span:
    window = day_of(centre(), DAY)
    whose = {NUMBER: CentreId("demo")} if numbers is None else numbers
    return Span(CentreId(name), window.date, window.first, window.before, "Asia/Tokyo", whose)


@dataclass(frozen=True, slots=True)
class Frame:
    at: Instant
    facts: tuple[f.Fact, ...]


def frames(text: str, name: str = "demo") -> Iterator[Frame]:
    """The lines of `journal.txt` as frames of one fact each. A fact that was reconstructed was written much later."""
    for line in text.splitlines():
        at, call, kind, *more = line.split()
        told = dict(each.split("=", 1) for each in more)
        fact = _fact(Instant(int(at)), CallId(call), kind, told, name)
        yield Frame(Instant(fact.at + 6 * SECOND) if fact.reconstructed else fact.at, (fact,))


def _fact(at: Instant, call: CallId, kind: str, told: dict[str, str], name: str) -> f.Fact:
    of: dict[str, Any] = {"at": at, "call": call, "reconstructed": "reconstructed" in told}
    agent = AgentId(told["agent"]) if "agent" in told else None
    queue = QueueId(f"{name}-general")
    match kind:
        case "CallArrived":
            caller = Personal(call, CentreId(name), at, None)
            return f.CallArrived(
                **of,
                node=NodeId("test1"),
                channel_name="PJSIP/trunk-1",
                centre=CentreId(name),
                number=NUMBER,
                queue=queue,
                caller=caller,
            )
        case "CallAdmitted":
            return f.CallAdmitted(**of, reason="")
        case "CallRefused":
            return f.CallRefused(**of, outcome=Outcome(told["outcome"]), reason="")
        case "VisitBegan":
            return f.VisitBegan(**of, visit=VisitId(f"{call}/1"), queue=queue, priority=5, since=at)
        case "CallAnswered":
            phone = PhoneId(told["phone"])
            return f.CallAnswered(**of, agent=agent, phone=phone, offer=None, by_net=told["by_net"] == "True")
        case "CallHeld":
            return f.CallHeld(**of, agent=agent)
        case "CallResumed":
            return f.CallResumed(**of, agent=agent)
        case "CallMarkedImprecise":
            return f.CallMarkedImprecise(**of)
        case "TalkEnded":
            return f.TalkEnded(**of, agent=agent, wrap_up_until=None)
        case "CallTransferred":
            side = CallId(told["side"]) if "side" in told else None
            return f.CallTransferred(
                **of, agent=agent, department=None, channel=ChannelId("d"), blind="side" in told, side=side
            )
        case "RecordingStopped":
            return f.RecordingStopped(**of, since=at)
        case "RecordingPaused":
            return f.RecordingPaused(**of, agent=agent, until=at, gap="gap" in told)
        case "RecordingResumed":
            return f.RecordingResumed(**of)
        case "SideCallBegan":
            other = Personal(call, CentreId(name), at, None)
            return f.SideCallBegan(
                **of,
                node=NodeId("test1"),
                centre=CentreId(name),
                kind=SideKind(told.get("kind", "department")),
                phone=PhoneId(told["phone"]) if "phone" in told else PhoneId("demo-p1"),
                agent=None,
                number=NUMBER,
                other=other,
                why="",
                beside=CallId(told["beside"]) if "beside" in told else None,
            )
        case "SideCallConnected":
            return f.SideCallConnected(**of, phone=None, agent=None)
        case "SideCallEnded":
            how, by = SideOutcome(told["outcome"]), Party(told.get("hung_up_by", "agent"))
            return f.SideCallEnded(**of, outcome=how, hung_up_by=by, reason="")
        case "CallEnded":
            outcome, by = Outcome(told["outcome"]), Party(told["hung_up_by"])
            return f.CallEnded(**of, outcome=outcome, hung_up_by=by, reason="")
        case "RecordingFiled" | "MessageFiled":
            size, seconds = int(told["size"]), float(told["seconds"])
            findings = tuple(Finding(each) for each in told.get("findings", "").split(",") if each)
            if kind == "MessageFiled":
                file = f"{call}.message.wav"
                return f.MessageFiled(
                    **of, file=file, size=size, seconds=seconds, sha256=None, findings=findings
                )
            return f.RecordingFiled(
                **of,
                file=f"{call}.wav",
                size=size,
                seconds=seconds,
                sha256=None,
                problem=told.get("problem"),
                findings=findings,
                sent=float(told["sent"]) if "sent" in told else None,
            )
    raise AssertionError(kind)


@dataclass
class Books:
    """The four books of the evening in a folder of the test's own; each may be changed before they are compared."""

    folder: Path
    journal: str = field(default_factory=(FOLDER / "journal.txt").read_text)
    cdr: str = field(default_factory=(FOLDER / "cdr.csv").read_text)
    cel: str = field(default_factory=(FOLDER / "cel.csv").read_text)

    def __post_init__(self) -> None:
        self.recordings = self.folder / "recordings"
        self.recordings.mkdir(parents=True)
        for call, seconds in ((RANG, 0.0), (SHORT, 0.0), (HELD, 4.08), (NET, 2.12)):
            self.record(call, seconds)

    def record(self, name: str, seconds: float) -> Path:
        path = self.recordings / f"{name}.wav"
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE)
            sound.writeframes(bytes(2 * round(seconds * RATE)))
        return path

    # -- faults ---------------------------------------------------------------------------------------------------

    def drop(self, book: str, *words: str) -> None:
        """Take out the lines of a book that hold all of these words."""
        self._lines(book, words, lambda line: None)

    def put(self, book: str, old: str, new: str, *words: str) -> None:
        """Write something else in the lines that hold all of these words."""
        self._lines(book, (*words, old), lambda line: line.replace(old, new))

    def shift(self, book: str, column: int, seconds: float, *words: str) -> None:
        """Move an instant of the lines that hold all of these words. The journal's is in column 0."""

        def moved(line: str) -> str:
            sign = " " if book == "journal" else ","
            columns = line.split(sign)
            bare = columns[column].strip('"')
            if book == "journal":
                columns[column] = str(int(bare) + round(seconds * SECOND))
            else:
                columns[column] = f'"{float(bare) + seconds:.6f}"'
            return sign.join(columns)

        self._lines(book, words, moved)

    def _lines(self, book: str, words: tuple[str, ...], change: Any) -> None:
        before = getattr(self, book).splitlines(keepends=True)
        after = [change(line) if all(word in line for word in words) else line for line in before]
        assert after != before, f"no line of {book} holds {words}"
        setattr(self, book, "".join(line for line in after if line is not None))

    # -- what is found --------------------------------------------------------------------------------------------

    def compare(
        self,
        *,
        at: Instant = LONG_AFTER,
        span: Span | None = None,
        began: Instant | None = None,
        stepped: tuple[Instant, int] | None = None,
    ) -> Reconciliation:
        span = span or span_of()
        path = self.folder / "callcore.csv"
        path.write_text(self.cdr, encoding="utf-8")
        cdr = read_cdr([path], span)
        lines = list(cel.parse(self.cel.splitlines()))
        traces = {trace.call: trace for trace in cel.traces(lines)}
        told = Cel(traces, lines[0].at if lines else None)
        written = list(frames(self.journal))
        if stepped is not None:
            step = f.ClockStepped(at=stepped[0], by=stepped[1])
            written.append(Frame(step.at, (step,)))
        journal = fold(written, span, began=began)
        return compare(span, journal, cdr, told, shelf(self.recordings, span), at=at)

    def faults(self, **how: Any) -> set[tuple[str, str, str]]:
        """(call, kind, other book) of what nothing explains."""
        return {(d.call, d.kind.value, d.source.value) for d in self.compare(**how).faults}

    def explained(self, **how: Any) -> set[tuple[str, str, str]]:
        """(call, kind, cause) of what is explained."""
        return {
            (d.call, d.kind.value, d.cause.value)
            for d in self.compare(**how).explained
            if d.cause is not None
        }
