"""What each agent did, and for which centre: a fold over facts into stretches of time, and sums of those.

Rules
- A shift runs from signing in to signing out. It is cut into stretches without gap or overlap, so that their sum is
  exactly the time signed in. Lengths are whole microseconds; nothing is rounded before people read it.
- What the agent does is the board's own word, as the centre sees it that the agent works for. Resting counts as ready,
  reserved as ringing.
- Ringing, talk and after-call work belong to the call's centre. All else is divided among the centres that the agent
  is ready for (兼務); the parts are whole microseconds and their sum is the stretch, so that no sum over centres ever
  exceeds the persons present.
- While nobody watched, only what is known is told: a talk as CEL tells it, a pause, after-call work up to its own end.
  The rest is `unknown`: neither ready nor after-call work is made up. The agent stays signed in all the while.
- A pause begins where the work ends: who pauses in a talk talks, and wraps up, first.
- A fact about the past (found in CEL after a gap) replaces what was held to be from its instant on.
- Source of all formulas: definitions, "Numbers" (AHT, occupancy, staffed, CPH).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction

from callcore.domain import facts as f
from callcore.domain.agent import BREAKS, AgentState
from callcore.domain.board import AgentWord, agent_word
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant
from callcore.domain.measures import Ratio, Record

Span = tuple[Instant, Instant]
"""[first, before)."""


class Doing(Enum):
    """What a signed-in agent does."""

    READY = "ready"
    """Free for a caller; resting after a failed offer included."""
    RINGING = "ringing"
    TALKING = "talking"
    ACW = "acw"
    OUTGOING = "outgoing"
    """In a call of the agent's own making, or in the after-call work of one. No part of talk, AHT or occupancy."""
    PAUSED = "paused"
    BUSY = "busy"
    """On the phone with somebody who is no caller of ours."""
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    """Signed in, and nobody watched."""


_BY_WORD = {
    AgentWord.READY: Doing.READY,
    AgentWord.RESTING: Doing.READY,
    AgentWord.RESERVED: Doing.RINGING,
    AgentWord.RINGING: Doing.RINGING,
    AgentWord.TALKING: Doing.TALKING,
    AgentWord.CALLING_OUT: Doing.OUTGOING,
    AgentWord.ACW: Doing.ACW,
    AgentWord.PAUSED: Doing.PAUSED,
    AgentWord.BUSY: Doing.BUSY,
    AgentWord.UNREACHABLE: Doing.UNREACHABLE,
}

_FOR_A_CALL = frozenset({Doing.RINGING, Doing.TALKING, Doing.ACW, Doing.OUTGOING})
_KNOWN_UNWATCHED = frozenset({Doing.TALKING, Doing.ACW, Doing.PAUSED, Doing.OUTGOING})


@dataclass(frozen=True, slots=True)
class Stretch:
    """One agent doing one thing in [first, before), for these centres (one, or all that share the agent)."""

    agent: AgentId
    doing: Doing
    first: Instant
    before: Instant
    centres: tuple[CentreId, ...]
    call: CallId | None = None
    """Of ringing, talk and after-call work, where known."""
    pause: str | None = None
    """The reason, of a pause."""

    @property
    def staffed(self) -> bool:
        return self.pause not in BREAKS


@dataclass(frozen=True, slots=True)
class _Mark:
    """From `at` on, until the next mark."""

    at: Instant
    doing: Doing
    centres: tuple[CentreId, ...]
    call: CallId | None
    pause: str | None
    until: Instant | None = None
    """When after-call work ends by itself."""

    def same(self, other: _Mark) -> bool:
        return (self.doing, self.centres, self.call, self.pause) == (
            other.doing,
            other.centres,
            other.call,
            other.pause,
        )


@dataclass(slots=True)
class Roster:
    """The stretches of all agents, fed with each fact and the floors before and after it, in the journal's order."""

    _open: dict[AgentId, list[_Mark]] = field(default_factory=dict)
    """The marks of each shift that goes on; never empty, their instants rise."""
    _over: list[Stretch] = field(default_factory=list)
    _wraps_up: dict[AgentId, CallId] = field(default_factory=dict)
    """The call that an agent's after-call work, if any, belongs to."""
    _unsettled: set[AgentId] = field(default_factory=set)
    """Who is `unknown` though we watch again: until the end of the frame that told so."""
    _no_acw: set[CallId] = field(default_factory=set)

    def after(self, before: Floor, fact: f.Fact, after: Floor) -> None:
        """One fact, which made the floor `after` out of `before`."""
        if isinstance(fact, f.TalkEnded):
            self._talk_ended(fact)
        if isinstance(fact, f.ClockStepped):
            self._clock_stepped(fact.by)
        blind = before.linked and not after.linked
        at = after.blind_since if blind and after.blind_since is not None else fact.at
        watched = before.linked
        for name in self._concerned(before, fact, after):
            agent = after.agents.get(name)
            mark = None if agent is None else self._mark(after, agent, at)
            if mark is None:
                self._sign_out(name, at, watched)
            elif name not in self._open:
                self._open[name] = [mark]
            elif name not in self._unsettled or mark.doing in _FOR_A_CALL:
                self._unsettled.discard(name)
                self._change(name, mark, watched)
        if isinstance(fact, f.TalkEnded) and fact.agent is not None and fact.reconstructed:
            self._acw_of_the_past(fact, fact.agent)

    def settle(self, floor: Floor, at: Instant) -> None:
        """The frame is over: whoever we watch again is what the floor says, from `at` on."""
        if not self._unsettled or not floor.linked:
            return
        for name in self._unsettled:
            agent = floor.agents.get(name)
            mark = None if agent is None else self._mark(floor, agent, at)
            if mark is not None and name in self._open:
                self._change(name, mark, True)
        self._unsettled.clear()

    def stretches(self, at: Instant) -> list[Stretch]:
        """All that is known, shifts that go on cut at `at`; in no special order."""
        found = list(self._over)
        for agent, marks in self._open.items():
            found.extend(_cut(agent, marks, at))
        return found

    def forget(self, before: Instant) -> None:
        """Lets go of what was over by then."""
        self._over = [stretch for stretch in self._over if stretch.before > before]

    @property
    def wrapping_up(self) -> frozenset[CallId]:
        """Calls whose after-call work goes on."""
        last = (marks[-1] for marks in self._open.values())
        return frozenset(m.call for m in last if m.doing is Doing.ACW and m.call is not None)

    @property
    def acw_unknown(self) -> frozenset[CallId]:
        """Calls of whose after-call work nobody knows how long it took."""
        return frozenset(self._no_acw)

    # -- one fact ---------------------------------------------------------------------------------------------

    def _concerned(self, before: Floor, fact: f.Fact, after: Floor) -> Iterable[AgentId]:
        """Whose state the fact may have changed: everybody, unless it names agent, offer, phone or call."""
        found: set[AgentId | None] = set()
        named = False
        if (agent := getattr(fact, "agent", None)) is not None:
            named = True
            found.add(agent)
        if (offer := getattr(fact, "offer", None)) is not None:
            named = True
            found.update(o.agent for floor in (before, after) if (o := floor.offers.get(offer)) is not None)
        if (phone := getattr(fact, "phone", None)) is not None:
            named = True
            found.update(floor.seated.get(phone) for floor in (before, after))
        if (call := getattr(fact, "call", None)) is not None:
            named = True
            found.update(
                c.talking_with for floor in (before, after) if (c := floor.calls.get(call)) is not None
            )
        if not named:
            return sorted({*after.agents, *self._open})
        return [name for name in found if name is not None]

    def _talk_ended(self, fact: f.TalkEnded) -> None:
        if fact.agent is not None:
            self._wraps_up[fact.agent] = fact.call
        if fact.agent is None or (fact.reconstructed and fact.wrap_up_until is None):
            self._no_acw.add(fact.call)

    def _clock_stepped(self, by: int) -> None:
        """What goes on began `by` later, by the new clock; what is over stays where the old clock had it."""
        for name, marks in self._open.items():
            last = marks[-1]
            self._over.extend(_cut(name, marks, last.at))
            marks[:] = [replace(last, at=Instant(last.at + by))]

    def _acw_of_the_past(self, fact: f.TalkEnded, agent: AgentId) -> None:
        """A talk that ended while nobody watched, and its after-call work with it: what came then is not known."""
        if fact.wrap_up_until is not None or agent not in self._open:
            return
        last = self._open[agent][-1]
        if last.doing is not Doing.TALKING:
            self._change(agent, replace(last, at=fact.at, doing=Doing.UNKNOWN, call=None, pause=None), True)
            self._unsettled.add(agent)

    def _mark(self, floor: Floor, agent: AgentState, at: Instant) -> _Mark | None:
        """What the floor says of an agent; None: signed out."""
        word = agent_word(floor, agent, agent.at_work_for or agent.centre)
        if word is AgentWord.SIGNED_OUT:
            return None
        doing = _BY_WORD[word]
        if doing is Doing.ACW and agent.side is not None:
            doing = Doing.OUTGOING
        if not floor.linked and doing not in _KNOWN_UNWATCHED:
            doing = Doing.UNKNOWN
        one = agent.at_work_for if doing in _FOR_A_CALL else None
        return _Mark(
            at,
            doing,
            _shared(floor, agent) if one is None else (one,),
            self._call(floor, agent, doing),
            agent.pause if doing is Doing.PAUSED else None,
            agent.wrap_up_until if doing is Doing.ACW else None,
        )

    def _call(self, floor: Floor, agent: AgentState, doing: Doing) -> CallId | None:
        match doing:
            case Doing.TALKING:
                return agent.call
            case Doing.RINGING:
                offer = None if agent.offer is None else floor.offers.get(agent.offer)
                return None if offer is None else offer.call
            case Doing.ACW:
                return self._wraps_up.get(agent.id)
        return None

    def _change(self, name: AgentId, mark: _Mark, watched: bool) -> None:
        marks = self._open[name]
        last = marks[-1]
        if not watched and last.doing is Doing.ACW and last.until is not None and last.until < mark.at:
            # The end that we had set passed by while nobody watched: what the agent did since is not known.
            unknown = replace(last, at=max(last.at, last.until), doing=Doing.UNKNOWN, call=None, until=None)
            _put(marks, unknown)
        _put(marks, mark)

    def _sign_out(self, name: AgentId, at: Instant, watched: bool) -> None:
        marks = self._open.get(name)
        if marks is None:
            return
        self._change(name, replace(marks[-1], at=at, doing=Doing.UNKNOWN, call=None, pause=None), watched)
        self._over.extend(_cut(name, marks, max(at, marks[0].at)))
        del self._open[name]
        self._wraps_up.pop(name, None)
        self._unsettled.discard(name)


def _put(marks: list[_Mark], mark: _Mark) -> None:
    """From `mark.at` on it is so, whatever was held of that time before; never before the shift began."""
    if marks[-1].same(mark):  # nothing new, but perhaps a longer after-call work
        marks[-1] = replace(marks[-1], until=mark.until)
        return
    mark = replace(mark, at=max(mark.at, marks[0].at))
    while len(marks) > 1 and marks[-1].at >= mark.at:
        marks.pop()
    if marks[-1].at == mark.at:
        marks.pop()
    if marks and marks[-1].same(mark):
        marks[-1] = replace(marks[-1], until=mark.until)
    else:
        marks.append(mark)


def _cut(agent: AgentId, marks: Sequence[_Mark], at: Instant) -> Iterator[Stretch]:
    for n, mark in enumerate(marks):
        before = Instant(min(at, marks[n + 1].at)) if n + 1 < len(marks) else at
        if mark.at < before:
            yield Stretch(agent, mark.doing, mark.at, before, mark.centres, mark.call, mark.pause)


def _shared(floor: Floor, agent: AgentState) -> tuple[CentreId, ...]:
    """The centres whose queues the agent serves; one without queues belongs to the own centre."""
    found = {floor.queue_centre[queue] for queue in agent.queues if queue in floor.queue_centre}
    return tuple(sorted(found)) or (agent.centre,)


# -- sums of stretches ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Staffing:
    """What the agents of one centre did in some time. Lengths in whole microseconds of one person."""

    span: Span
    lengths: Mapping[Doing, int]
    """Every doing is there; their sum is the time signed in."""
    pauses: Mapping[str, int]
    """Each pause reason by itself."""
    staffed: Ratio
    """配置人数: time signed in without breaks ÷ the length of the time, as far as it is told; 2.5: so many persons."""
    least: Fraction | None
    """Fewest persons staffed at once; None: no time passed. An agent shared by two centres counts as 1/2 for each."""
    most: Fraction | None

    @property
    def signed_in(self) -> int:
        return sum(self.lengths.values())

    @property
    def occupancy(self) -> Ratio:
        """占有率: (talk + ACW) ÷ (talk + ACW + ready)."""
        busy = self.lengths[Doing.TALKING] + self.lengths[Doing.ACW]
        return Ratio(busy, busy + self.lengths[Doing.READY])


def staffing(
    stretches: Iterable[Stretch],
    centre: CentreId,
    spans: Sequence[Span],
    at: Instant,
    since: Instant,
) -> list[Staffing]:
    """One centre's staffing in each of these spans (in order, not overlapping), as far as told: in [since, at)."""
    starts = [first for first, _ in spans]
    cut: list[list[tuple[Stretch, Instant, Instant]]] = [[] for _ in spans]
    for stretch in stretches:
        if centre not in stretch.centres:
            continue
        for n in range(max(0, bisect_right(starts, stretch.first) - 1), len(spans)):
            if spans[n][0] >= stretch.before:
                break
            first, before = max(stretch.first, spans[n][0]), min(stretch.before, spans[n][1], at)
            if first < before:
                cut[n].append((stretch, Instant(first), Instant(before)))
    return [_staffing(pieces, centre, span, since, at) for pieces, span in zip(cut, spans, strict=True)]


def _staffing(
    pieces: Sequence[tuple[Stretch, Instant, Instant]],
    centre: CentreId,
    span: Span,
    since: Instant,
    at: Instant,
) -> Staffing:
    lengths = dict.fromkeys(Doing, 0)
    pauses: dict[str, int] = {}
    staffed = 0
    steps: dict[Instant, Fraction] = {}
    for stretch, first, before in pieces:
        mine = _part(before - first, stretch.centres, centre)
        lengths[stretch.doing] += mine
        if stretch.pause is not None:
            pauses[stretch.pause] = pauses.get(stretch.pause, 0) + mine
        if stretch.staffed:
            staffed += mine
            share = Fraction(1, len(stretch.centres))
            steps[first] = steps.get(first, Fraction(0)) + share
            steps[before] = steps.get(before, Fraction(0)) - share
    begin, end = Instant(max(span[0], since)), Instant(min(span[1], at))
    counts = list(_counts(steps, begin, end))
    return Staffing(
        span=span,
        lengths=lengths,
        pauses=dict(sorted(pauses.items())),
        staffed=Ratio(staffed, max(0, end - begin)),
        least=min(counts, default=None),
        most=max(counts, default=None),
    )


def _part(length: int, centres: Sequence[CentreId], centre: CentreId) -> int:
    """One centre's part of a length: the whole is given out to the microsecond, the first centres get what is over."""
    each, over = divmod(length, len(centres))
    return each + (centres.index(centre) < over)


def _counts(steps: Mapping[Instant, Fraction], first: Instant, end: Instant) -> Iterator[Fraction]:
    """How many are there at once, for every time of some length in [first, end)."""
    count, since = Fraction(0), first
    for at in sorted(steps):
        if at > since:
            yield count
            since = at
        count += steps[at]
    if end > since:
        yield count


def together(parts: Sequence[Staffing], of: Sequence[Staffing]) -> Staffing:
    """Several spans as one. `of`: those of them in which the centre is open, or all; staffed is told of these alone,
    for a day's own length would count the night."""
    pauses: dict[str, int] = {}
    for part in parts:
        for reason, length in part.pauses.items():
            pauses[reason] = pauses.get(reason, 0) + length
    return Staffing(
        span=(parts[0].span[0], parts[-1].span[1]),
        lengths={doing: sum(part.lengths[doing] for part in parts) for doing in Doing},
        pauses=dict(sorted(pauses.items())),
        staffed=Ratio(sum(o.staffed.part for o in of), sum(o.staffed.whole for o in of)),
        least=min((o.least for o in of if o.least is not None), default=None),
        most=max((o.most for o in of if o.most is not None), default=None),
    )


@dataclass(frozen=True, slots=True)
class Handling:
    """AHT's parts, of calls. Lengths in whole microseconds."""

    time: Ratio
    """(talk + ACW) ÷ answered calls whose handling is over and known."""
    unfinished: int
    """Answered calls that are talked, or wrapped up, now."""
    unknown: int
    """Answered calls whose after-call work nobody watched."""

    @property
    def mean_s(self) -> float | None:
        """平均処理時間 in seconds; None with no such call."""
        mean = self.time.value
        return None if mean is None else mean / SECOND


def wrap_ups(stretches: Iterable[Stretch]) -> dict[CallId, int]:
    """The after-call work of each call, in microseconds."""
    found: dict[CallId, int] = {}
    for one in stretches:
        if one.doing is Doing.ACW and one.call is not None:
            found[one.call] = found.get(one.call, 0) + one.before - one.first
    return found


def handling(records: Iterable[Record], acw: Mapping[CallId, int], roster: Roster) -> Handling:
    """AHT of these calls. One counts for it once its talk and its after-call work are over."""
    unknown_acw, wrapping_up = roster.acw_unknown, roster.wrapping_up
    length = handled = unfinished = unknown = 0
    for record in records:
        if record.answered_at is None or record.test:
            continue
        if record.outcome is None or record.talk_since is not None or record.call in wrapping_up:
            unfinished += 1
        elif record.call in unknown_acw:
            unknown += 1
        else:
            handled += 1
            length += record.talk + acw.get(record.call, 0)
    return Handling(Ratio(length, handled), unfinished, unknown)


def per_hour(answered: int, signed_in: int) -> float | None:
    """CPH: answered calls ÷ hours signed in (`signed_in` in microseconds); None when nobody was."""
    return None if signed_in == 0 else answered * 3600 * SECOND / signed_in
