"""Journal, CDR, CEL and recordings of one centre's day held against one another, call by call.

Rules
- The journal is one side of every difference, for the figures come from it. The other side is named.
- Two instants are one when they lie no further apart than `WITHIN_S`; a recording may miss `SLACK_S` and `SLACK_SHARE`
  of what it is to hold: the talks, and the time with departments as far as the rule of the centre lets it.
- CDR cannot say when an agent answered (its `answer` is the notice's): who answered, and when each talk and the call
  ended, are its part; the beginning of a talk is CEL's.
- Of a call that is no arrival (calls out, 連絡用番号, consults) the recording alone is compared, and it is not counted.
- Of a message it is told again what was found wrong when it was measured.
- A call that is not over, or was over too short a while ago for every book to have it, is counted as open.
- What is wrong for a known reason is still named, with that reason, and counted apart (`Cause`).
- A book that does not reach back to a call is not compared for it: that is a `Gap`, and never "no difference".
- One fault is told once for each book that shows it: where a call stands in a book as not answered, its times there
  are not told too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from callcore.audit.account import Account, Journal, Side
from callcore.audit.cdr import Cdr, CdrRow
from callcore.audit.sounds import Sound
from callcore.audit.span import Span, made_at
from callcore.domain import facts as f
from callcore.domain.findings import Finding
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, PhoneId
from callcore.domain.inputs import CallTraced
from callcore.domain.stages import NOT_OFFERED, Outcome, Party

WITHIN_S = 1.0
"""The contract's tolerance between journal and CDR."""
SETTLED_S = 10.0
"""Seconds after a call's end within which each book has it: the journal is synced after 50 ms, CDR and CEL have been
seen to lag by milliseconds, a recording is closed within 2 s."""
SLACK_S = 2.0
SLACK_SHARE = 0.02
"""Of a talk of 8.112 s the recording held 8.100 s, of 4.058 s 4.080 s; on a machine with ten times too much to do it
was up to a second off. A phone opens its microphone up to half a second after the answer, and lost packets are no fault
of the recording."""


class Source(Enum):
    CDR = "cdr"
    CEL = "cel"
    RECORDING = "recording"


class Kind(Enum):
    """What is not the same."""

    MISSING_IN_JOURNAL = "missing_in_journal"
    MISSING_IN_CDR = "missing_in_cdr"
    MISSING_IN_CEL = "missing_in_cel"
    OPEN_IN_JOURNAL = "open_in_journal"
    ARRIVAL_TIME = "arrival_time"
    END_TIME = "end_time"
    ANSWERED = "answered"
    ANSWER_TIME = "answer_time"
    TALKS = "talks"
    TALK_END_TIME = "talk_end_time"
    TALK_LENGTH = "talk_length"
    PHONE = "phone"
    OUTCOME = "outcome"
    RECORDING_MISSING = "recording_missing"
    RECORDING_UNREADABLE = "recording_unreadable"
    RECORDING_CUT = "recording_cut"
    RECORDING_CHANGED = "recording_changed"
    RECORDING_EMPTY = "recording_empty"
    RECORDING_SHORT = "recording_short"
    RECORDING_LONG = "recording_long"
    RECORDING_SILENT = "recording_silent"
    RECORDING_ONE_SIDED = "recording_one_sided"
    RECORDING_CLIPPED = "recording_clipped"
    RECORDING_NO_MEDIA = "recording_no_media"
    RECORDING_UNANSWERED = "recording_unanswered"
    RECORDING_ORPHAN = "recording_orphan"


class Cause(Enum):
    """Why a difference is no fault of the books."""

    ASTERISK_DIED = "asterisk_died"
    """The call went with Asterisk: it had no time to write its rows, or to close the recording."""
    JOURNAL_ENDED = "journal_ended"
    """It happened after the last that the journal has: the engine was not running, and tells of it when it starts."""
    UNWATCHED = "unwatched"
    """Nobody watched; the journal has the instant at which it was found out, and says so."""
    IMPRECISE = "imprecise"
    """Asterisk's events came late; the journal says that this call's times are not exact."""
    CLOCK_STEPPED = "clock_stepped"
    """The wall clock was set during the call, by as much."""
    ERASED = "erased"
    """Its recording was erased, as the chain of recordings tells."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`journal` and `other` in words that need no language; None: nothing stands there. `cause`: it is explained."""

    call: str
    """The call's id; for a recording that bears none, the file's name."""
    kind: Kind
    source: Source
    journal: str | None
    other: str | None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A book that begins (`begins`; None: it is empty or gone) after these calls were over."""

    source: Source
    begins: str | None
    calls: tuple[CallId, ...]


@dataclass(frozen=True, slots=True)
class Cel:
    """What CEL tells of the calls around a span. `begins`: its very first line that is kept; None: there is none."""

    traces: Mapping[CallId, CallTraced] = field(default_factory=dict)
    begins: Instant | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`calls` were held against all books; those in a gap were not. `open` are not over, or not yet settled; `before`
    arrived before the journal began. `at`: when this was found (UTC)."""

    centre: CentreId
    day: str
    at: Instant
    calls: int
    open: int
    before: int
    differences: tuple[Difference, ...]
    """All of them, in the order of the calls' arrival; who counts faults asks `faults`."""
    gaps: tuple[Gap, ...]

    @property
    def faults(self) -> tuple[Difference, ...]:
        return tuple(d for d in self.differences if d.cause is None)

    @property
    def explained(self) -> tuple[Difference, ...]:
        return tuple(d for d in self.differences if d.cause is not None)

    @property
    def unsettled(self) -> bool:
        """Whether another look some hours later may tell more."""
        return self.open > 0 or any(d.cause is Cause.JOURNAL_ENDED for d in self.differences)


def compare(
    span: Span,
    journal: Journal,
    cdr: Cdr,
    cel: Cel,
    sounds: Mapping[str, Sound],
    *,
    at: Instant,
    erased: Collection[str] = (),
) -> Reconciliation:
    """Every difference of the span's calls. `at`: the present instant, by the clock that stamps the books. `erased`:
    recordings that were."""
    work = _Work(span, journal, cdr, cel, sounds, at, erased)
    for account in journal.accounts.values():
        if account.record.centre == span.centre and span.holds(account.record.arrived_at):
            work.known(account)
    for side in journal.sides.values():
        if side.centre == span.centre and span.holds(side.began_at):
            work.side(side)
    work.strangers()
    work.orphans()
    return work.done()


class _Work:
    def __init__(
        self,
        span: Span,
        journal: Journal,
        cdr: Cdr,
        cel: Cel,
        sounds: Mapping[str, Sound],
        at: Instant,
        erased: Collection[str],
    ) -> None:
        self._erased = erased
        self._span, self._journal, self._cdr, self._cel = span, journal, cdr, cel
        self._sounds, self._at = sounds, at
        self._found: list[tuple[Instant, Difference]] = []
        self._gaps: dict[Source, list[CallId]] = defaultdict(list)
        self._calls = self._open = self._before = 0

    def done(self) -> Reconciliation:
        begins = {Source.CDR: self._cdr.begins, Source.CEL: self._cel.begins}
        gaps = []
        for source, calls in self._gaps.items():
            first = begins[source]
            gaps.append(Gap(source, None if first is None else self._span.clock(first), tuple(calls)))
        ordered = sorted(self._found, key=lambda pair: (pair[0], pair[1].call))
        return Reconciliation(
            centre=self._span.centre,
            day=self._span.day,
            at=self._at,
            calls=self._calls - len({call for calls in self._gaps.values() for call in calls}),
            open=self._open,
            before=self._before,
            differences=tuple(difference for _, difference in ordered),
            gaps=tuple(gaps),
        )

    # -- calls that the journal has -------------------------------------------------------------------------------

    def known(self, account: Account) -> None:
        record = account.record
        trace = self._cel.traces.get(record.call)
        if record.ended_at is None:
            self._unended(account, trace)
            return
        if not self._settled(record.ended_at):
            self._open += 1
            return
        self._calls += 1
        _Call(self, account, trace).compare()

    def side(self, side: Side) -> None:
        if side.ended_at is None or not self._settled(side.ended_at):
            self._open += 1
            return
        if side.call in self._journal.unheld or (side.connected_at is not None and not side.to_be_recorded):
            return

        def told(kind: Kind, journal: str | None, other: str | None, cause: Cause | None) -> None:
            cause = Cause.ASTERISK_DIED if side.lost and cause is None else cause
            difference = Difference(side.call, kind, Source.RECORDING, journal, other, cause)
            self._found.append((side.began_at, difference))

        self.recording(
            side.call,
            None if side.connected_at is None else side.recorded,
            side.filed,
            told,
            stepped=any(side.began_at <= at <= side.ended_at for at, _ in self._journal.steps),
            unseen=side.reconstructed,
        )

    def recording(
        self,
        call: CallId,
        lasts: int | None,
        filed: f.RecordingFiled | None,
        told: Callable[[Kind, str | None, str | None, Cause | None], None],
        *,
        stepped: bool,
        unseen: bool,
    ) -> None:
        """What is wrong with a call's recording. `lasts`: microseconds that it is to have; None: nobody talked.
        `stepped`: the clock was set during the call; `unseen`: nobody witnessed a talk's beginning or end."""
        together, talk = _seconds(lasts or 0), (lasts or 0) / SECOND
        sound = self._sounds.get(call)
        slack = SLACK_S + talk * SLACK_SHARE
        watched = set() if filed is None else {each for each in filed.findings if each in _WATCHED}
        # It was known what was sent: then that was held against the recording, to the second.
        judged = filed is not None and filed.sent is not None and not (stepped or unseen)
        there = None if sound is None else f"{sound.seconds:.1f} s"
        if sound is None:
            never = judged and filed is not None and filed.problem is not None
            if lasts is not None and not (never and Finding.NO_MEDIA in watched):
                cause = Cause.ERASED if call in self._erased else None
                told(Kind.RECORDING_MISSING, together, None, cause)
                return
        elif not sound.readable:
            told(Kind.RECORDING_UNREADABLE, together, f"{sound.size} bytes", None)
        elif not sound.whole:
            told(Kind.RECORDING_CUT, together, f"{there} of {sound.promised:.1f} s", None)
        elif filed is not None and filed.problem is None and filed.size != sound.size:
            told(Kind.RECORDING_CHANGED, f"{filed.size} bytes", f"{sound.size} bytes", None)
        elif lasts is None:
            if sound.seconds > slack:
                told(Kind.RECORDING_UNANSWERED, together, there, None)
        elif abs(sound.seconds - talk) > slack:
            cause = Cause.CLOCK_STEPPED if stepped else Cause.UNWATCHED if unseen else None
            kind = Kind.RECORDING_LONG if sound.seconds > talk else Kind.RECORDING_SHORT
            kind = Kind.RECORDING_EMPTY if sound.seconds == 0 else kind
            if kind is Kind.RECORDING_LONG or not judged:
                told(kind, together, there, cause)
                watched = watched - {Finding.SHORT, Finding.LONG, Finding.EMPTY}
        for finding in sorted(watched, key=lambda each: each.value):
            other = finding.value if there is None else f"{there}, {finding.value}"
            told(_WATCHED[finding], together, other, None)

    def _unended(self, account: Account, trace: CallTraced | None) -> None:
        ended = None if trace is None else trace.ended
        if ended is None or not self._settled(ended):
            self._open += 1
            return
        self._calls += 1
        cause = Cause.JOURNAL_ENDED if self._beyond(ended) else None
        self.tell(account, Kind.OPEN_IN_JOURNAL, Source.CEL, None, self._span.clock(ended), cause)

    def _settled(self, ended: Instant) -> bool:
        return ended <= self._at - SETTLED_S * SECOND

    def _beyond(self, at: Instant) -> bool:
        """Whether the journal ends before an instant."""
        return self._journal.last is None or at > self._journal.last

    # -- calls and files that it does not have --------------------------------------------------------------------

    def strangers(self) -> None:
        known = self._journal.accounts.keys() | self._journal.sides.keys()
        for call in sorted((self._cdr.rows.keys() | self._cel.traces.keys()) - known):
            trace, rows = self._cel.traces.get(call), self._cdr.rows.get(call, ())
            arrived = trace.arrived if trace is not None else min(row.started for row in rows)
            whose = None if trace is None else self._span.numbers.get(trace.number)
            if not self._span.holds(arrived) or whose not in (None, self._span.centre):
                continue
            if not self._settled(arrived):
                self._open += 1
                continue
            if self._journal.began is not None and arrived < self._journal.began:
                self._before += 1
                continue
            self._calls += 1
            source = Source.CEL if trace is not None else Source.CDR
            cause = Cause.JOURNAL_ENDED if self._beyond(arrived) else None
            told = self._span.clock(arrived)
            self._found.append(
                (arrived, Difference(call, Kind.MISSING_IN_JOURNAL, source, None, told, cause))
            )

    def orphans(self) -> None:
        """Recordings of no call at all. One whose call another book has was told there already."""
        for name, sound in self._sounds.items():
            made = made_at(name)
            call = CallId(name)
            unheld = call in self._journal.unheld and sound.seconds > SLACK_S
            if call in self._journal.sides and not unheld:
                continue
            told_already = (
                call in self._journal.accounts or call in self._cdr.rows or call in self._cel.traces
            )
            if told_already and not unheld:
                continue
            if made is not None and not (self._span.holds(made) and self._settled(made)):
                continue
            told = f"{sound.file}, {sound.seconds:.1f} s"
            kind = Kind.RECORDING_UNANSWERED if unheld else Kind.RECORDING_ORPHAN
            difference = Difference(name, kind, Source.RECORDING, None, told)
            self._found.append((made or self._span.before, difference))

    # -- what the comparison of one call asks ---------------------------------------------------------------------

    @property
    def cdr(self) -> Cdr:
        return self._cdr

    @property
    def cel(self) -> Cel:
        return self._cel

    def clock(self, at: Instant | None) -> str | None:
        return None if at is None else self._span.clock(at)

    def stepped(self, account: Account, off: int | None = None) -> bool:
        """Whether the clock was set during a call; `off`: by as much, in either direction."""
        ended = account.record.ended_at or self._at
        return any(
            account.record.arrived_at <= at <= ended
            and (off is None or abs(abs(off) - abs(by)) <= WITHIN_S * SECOND)
            for at, by in self._journal.steps
        )

    def gap(self, source: Source, call: CallId) -> None:
        self._gaps[source].append(call)

    def tell(
        self,
        account: Account,
        kind: Kind,
        source: Source,
        journal: str | None,
        other: str | None,
        cause: Cause | None = None,
    ) -> None:
        record = account.record
        difference = Difference(record.call, kind, source, journal, other, cause)
        self._found.append((record.arrived_at, difference))


class _Call:
    """One ended call of the journal against the three others."""

    def __init__(self, work: _Work, account: Account, trace: CallTraced | None) -> None:
        self._work, self._account, self._trace = work, account, trace
        self._rows = work.cdr.rows.get(account.record.call, ())
        # Three books agree that nobody told of the end: the journal found it out, CEL and CDR have none.
        ended = account.record.ended_at
        assert ended is not None
        self._ended: Instant = ended
        unfinished = not self._rows or max(row.ended for row in self._rows) < ended - WITHIN_S * SECOND
        died = account.end_reconstructed and trace is not None and trace.ended is None and unfinished
        self._died = Cause.ASTERISK_DIED if died else None

    def compare(self) -> None:
        self._against_cdr()
        self._against_cel()
        self._against_recording()

    def _tell(
        self, kind: Kind, source: Source, journal: object, other: object, cause: Cause | None = None
    ) -> None:
        self._work.tell(
            self._account,
            kind,
            source,
            _words(journal),
            _words(other),
            self._died if cause is None else cause,
        )

    def _times(
        self,
        kind: Kind,
        source: Source,
        journal: Instant | None,
        other: Instant | None,
        *,
        unwatched: bool = False,
    ) -> bool:
        """Whether two instants are one; told if not. `unwatched`: nobody witnessed the journal's own."""
        if journal is not None and other is not None and abs(journal - other) <= WITHIN_S * SECOND:
            return True
        if journal is None and other is None:
            return True
        cause = None
        if journal is not None and other is not None and self._work.stepped(self._account, other - journal):
            cause = Cause.CLOCK_STEPPED
        elif unwatched and journal is not None and other is not None and journal > other:
            cause = Cause.UNWATCHED  # what is found out afterwards is found out later than it was
        elif self._account.record.imprecise and journal is not None and other is not None and journal > other:
            cause = Cause.IMPRECISE
        self._tell(kind, source, self._work.clock(journal), self._work.clock(other), cause)
        return False

    # -- CDR ------------------------------------------------------------------------------------------------------

    def _against_cdr(self) -> None:
        record, talks, rows = self._account.record, self._account.talks, self._rows
        if not rows:
            begins = self._work.cdr.begins
            if begins is None or self._ended < begins - WITHIN_S * SECOND:
                self._work.gap(Source.CDR, record.call)
            else:
                self._tell(Kind.MISSING_IN_CDR, Source.CDR, record.outcome and record.outcome.value, None)
            return
        theirs = [row for row in rows if row.phone is not None and row.answered]
        if len(theirs) > len(talks):
            theirs = [row for row in theirs if self._together(row)]
        if bool(talks) != bool(theirs):
            self._tell(Kind.ANSWERED, Source.CDR, bool(talks), bool(theirs))
            return
        if record.transferred_at is not None or record.second:
            pass  # one row for the caller's whole way, or none of its own: CDR does not know who was put through when
        elif len(talks) != len(theirs):
            self._tell(Kind.TALKS, Source.CDR, len(talks), len(theirs))
        else:
            for talk, row in zip(talks, theirs, strict=True):
                self._phones(Source.CDR, talk.phone, row.phone)
                self._times(
                    Kind.TALK_END_TIME, Source.CDR, talk.until, row.ended, unwatched=talk.reconstructed
                )
        first, last = min(row.started for row in rows), max(row.ended for row in rows)
        self._times(Kind.ARRIVAL_TIME, Source.CDR, record.arrived_at, first, unwatched=record.reconstructed)
        if not self._rang_on(last):
            self._times(
                Kind.END_TIME, Source.CDR, self._ended, last, unwatched=self._account.end_reconstructed
            )

    def _together(self, row: CdrRow) -> bool:
        """Whether CEL tells that the caller was with somebody in a row's time. A phone that answered and had put down
        before the caller was joined with it (0.6 ms were seen) stands in CDR as answered."""
        trace = self._trace
        if trace is None:
            return True
        talks = [(talk.since, talk.ended) for talk in trace.earlier]
        talks += [] if trace.talk_since is None else [(trace.talk_since, trace.talk_ended or row.ended)]
        return any(since <= row.ended and row.started <= ended for since, ended in talks)

    def _rang_on(self, last: Instant) -> bool:
        """Whether CEL tells that the call went on after the last talk though CDR has no row of that time: so it is for
        a caller who was put through while the other end still rang."""
        trace = self._trace
        if trace is None or trace.talk_ended is None or trace.back is not None or trace.ended is None:
            return False
        cut = abs(last - trace.talk_ended) <= WITHIN_S * SECOND
        return cut and last < self._ended and abs(trace.ended - self._ended) <= WITHIN_S * SECOND

    def _phones(self, source: Source, ours: PhoneId | None, theirs: PhoneId | None) -> None:
        if ours is not None and theirs is not None and ours != theirs:
            self._tell(Kind.PHONE, source, ours, theirs)

    # -- CEL ------------------------------------------------------------------------------------------------------

    def _against_cel(self) -> None:
        record, talks, trace = self._account.record, self._account.talks, self._trace
        if trace is None:
            begins = self._work.cel.begins
            if begins is None or record.arrived_at < begins - WITHIN_S * SECOND:
                self._work.gap(Source.CEL, record.call)
            else:
                self._tell(Kind.MISSING_IN_CEL, Source.CEL, record.outcome and record.outcome.value, None)
            return
        self._times(
            Kind.ARRIVAL_TIME, Source.CEL, record.arrived_at, trace.arrived, unwatched=record.reconstructed
        )
        if bool(talks) != (trace.answered is not None):
            self._tell(Kind.ANSWERED, Source.CEL, bool(talks), trace.answered is not None)
        elif talks:
            self._talk(trace)
        self._times(
            Kind.END_TIME, Source.CEL, self._ended, trace.ended, unwatched=self._account.end_reconstructed
        )
        self._outcome(trace)

    def _talk(self, trace: CallTraced) -> None:
        first, last = self._account.talks[0], self._account.talks[-1]
        # A colleague who takes over stands in CEL under the agent's consult: this call's lines do not tell who it is.
        taken_over = self._account.record.second and trace.moved is not None
        ended = trace.moved_ended if taken_over else trace.talk_ended
        if taken_over and trace.passed and self._account.record.transferred_at is not None:
            ended = trace.passed[-1].ended
        if not taken_over:
            self._phones(Source.CEL, last.phone, trace.phone)
        same = self._times(
            Kind.ANSWER_TIME, Source.CEL, first.since, trace.answered, unwatched=first.reconstructed
        )
        same &= self._times(Kind.TALK_END_TIME, Source.CEL, last.until, ended, unwatched=last.reconstructed)
        if same and first is last and trace.answered is not None and trace.talk_ended is not None:
            ours, theirs = self._account.record.talk, trace.talk_ended - trace.answered
            if abs(ours - theirs) > WITHIN_S * SECOND:
                cause = Cause.UNWATCHED if last.reconstructed else None
                self._tell(Kind.TALK_LENGTH, Source.CEL, _seconds(ours), _seconds(theirs), cause)

    def _outcome(self, trace: CallTraced) -> None:
        """Whether what the call is counted as can be what CEL tells of it. Who was answered is asked elsewhere."""
        outcome = self._account.record.outcome
        assert outcome is not None
        theirs: str | None = None
        opened = trace.open if trace.insisted is None else True  # refused, and let in by the caller's 9
        if opened is False and outcome not in NOT_OFFERED:
            theirs = "closed"
        elif opened is True and outcome in (Outcome.CLOSED, Outcome.BLOCKED):
            theirs = "open"
        elif opened is True and not self._account.talks and trace.answered is None:
            by = trace.hung_up_by
            if by is Party.CALLER and outcome is Outcome.FAILED and trace.apology is None:
                theirs = "ended by caller"
            elif by is Party.SYSTEM and outcome in (Outcome.ABANDONED, Outcome.ABANDONED_SHORT):
                theirs = "ended by system"
        if theirs is not None:
            self._tell(Kind.OUTCOME, Source.CEL, outcome.value, theirs)

    # -- the recording --------------------------------------------------------------------------------------------

    def _against_recording(self) -> None:
        account = self._account
        self._work.recording(
            account.record.call,
            account.recorded if account.to_be_recorded else None,
            account.filed,
            lambda kind, journal, other, cause: self._tell(kind, Source.RECORDING, journal, other, cause),
            stepped=self._work.stepped(account),
            unseen=any(one.reconstructed for one in (*account.talks, account.forward) if one is not None),
        )
        if account.spoken is not None:
            file, lasts = account.spoken.file, account.spoken.seconds
            for finding in sorted(account.spoken.findings, key=lambda each: each.value):
                told = f"{file}, {lasts:.1f} s, {finding.value}"
                self._tell(_SPOKEN[finding], Source.RECORDING, None, told)


_WATCHED = {
    Finding.SHORT: Kind.RECORDING_SHORT,
    Finding.LONG: Kind.RECORDING_LONG,
    Finding.EMPTY: Kind.RECORDING_EMPTY,
    Finding.SILENT: Kind.RECORDING_SILENT,
    Finding.SILENT_CALLER: Kind.RECORDING_ONE_SIDED,
    Finding.SILENT_AGENT: Kind.RECORDING_ONE_SIDED,
    Finding.CLIPPED: Kind.RECORDING_CLIPPED,
    Finding.NO_MEDIA: Kind.RECORDING_NO_MEDIA,
}
"""What was found at the call's end, and the file does not tell by itself."""
_SPOKEN = _WATCHED | {
    Finding.MISSING: Kind.RECORDING_MISSING,
    Finding.UNREADABLE: Kind.RECORDING_UNREADABLE,
}
"""The same of a message, whose file is not looked at."""


def _seconds(micros: int) -> str:
    return f"{micros / SECOND:.1f} s"


def _words(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
