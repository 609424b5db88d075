"""Facts into rows: the drain's sink.

Rules
- All frames of a batch and the new position are one transaction: they are there together or not at all.
- A frame at or below the position is passed over, so a batch may come twice, or from further back.
- A batch is folded in memory first and then written table by table, so that the statements are few however many
  facts there are, and a row that is begun and ended within one batch is written once.
- A call's row is what `measures.record` makes of the facts, loaded, folded and stored; nothing is reckoned here.
- A fact of a call whose arrival is not in the tables (the journal was begun again, or the row is past its
  retention) makes no row; it is written down in `facts_noted` as `CallUnknown`.
- A task needs no call: it has its row whether its call is in the tables or not, and what becomes of it is written
  there. One of its own loses what is personal when it leaves the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields
from enum import Enum
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Update, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callcore.db import tables as t
from callcore.db.database import Database
from callcore.db.erasing import fold_erasing
from callcore.db.recordings import fold_recordings
from callcore.db.rows import record_of, row_of
from callcore.db.sides import fold_sides
from callcore.domain import facts as f
from callcore.domain.findings import worst
from callcore.domain.ids import CallId, Instant, OfferId
from callcore.domain.measures import Record, moved, record
from callcore.domain.message import MessageState
from callcore.domain.personal import Personal
from callcore.domain.stages import OfferStage
from callcore.runtime.ports import Seq

_Row = dict[str, Any]
"""Values by column."""

Seal = Callable[[Personal], tuple[bytes, str | None, str] | None]
"""A personal value to what its table keeps: sealed bytes, fingerprint, period. None: its key has been destroyed."""


class Frame(Protocol):
    """The facts of one step, as the journal gives them."""

    @property
    def run(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def facts(self) -> Sequence[object]: ...


class Projection:
    """Keeps the tables in step with the journal. One at a time; a second one waits, and finds its frames there."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def position(self) -> Seq | None:
        """The last frame that is in; None: nothing yet. Raises `DatabaseAway`."""
        async with self._database.reading() as connection:
            return await read_position(connection)

    async def apply(self, frames: Sequence[Frame]) -> None:
        """All frames beyond the position, and the new position, in one transaction. Raises `DatabaseAway`.

        What `seal` raises rises before anything is written.
        """
        callers = [row for frame in frames for fact in frame.facts for row in self._sealed(fact)]
        written = {
            (fact.call, name): made
            for frame in frames
            for fact in frame.facts
            if isinstance(fact, f.TaskKept | f.TaskOpened | f.MessageDone | f.MessageUndone)
            for name in _WRITTEN
            if isinstance(value := getattr(fact, name, None), Personal)
            and value.text is not None
            and (made := self._seal(value)) is not None
        }
        others = {
            fact.call: made
            for frame in frames
            for fact in frame.facts
            if isinstance(fact, f.SideCallBegan)
            and fact.other.text is not None
            and (made := self._seal(fact.other)) is not None
        }
        async with self._database.writing() as connection:
            position = await read_position(connection, lock=True)
            fresh = _beyond(position, frames)
            if not fresh:
                return
            told = [
                (frame.run, frame.n, k, fact)
                for frame in fresh
                for k, fact in enumerate(frame.facts)
                if isinstance(fact, f.Fact)
            ]
            facts = [fact for *_, fact in told]
            known, new = await _fold_calls(connection, facts)
            apart = await fold_sides(connection, facts, others)
            arrived = {fact.call for *_, fact in told if isinstance(fact, f.CallArrived)}
            if fit := [row for row in callers if row["call"] in arrived]:
                await connection.execute(insert(t.callers), fit)
            tasks = await _tasks(connection, facts, known)
            batch = _Batch(connection, known, new, apart, tasks, written)
            for run, n, k, fact in told:
                await batch.take({"run": run, "n": n, "k": k}, fact)
            await batch.write()
            await fold_recordings(connection, facts, known.keys())
            await fold_erasing(connection, facts)
            await _move(connection, position, Seq(fresh[-1].run, fresh[-1].n))

    def _sealed(self, fact: object) -> Iterable[dict[str, Any]]:
        """The caller's row of an arrival. Made outside the transaction: its keys lie elsewhere."""
        if not isinstance(fact, f.CallArrived) or fact.caller.text is None:
            return
        made = self._seal(fact.caller)
        if made is not None:
            sealed, fingerprint, period = made
            yield {
                "call": fact.call,
                "centre": fact.centre,
                "at": fact.caller.at,
                "period": period,
                "fingerprint": fingerprint,
                "sealed": sealed,
            }


async def read_position(connection: AsyncConnection, *, lock: bool = False) -> Seq | None:
    """`lock`: nobody else moves it until the end of this transaction (SQLite's writers are alone anyway)."""
    asked = select(t.drain_position.c.run, t.drain_position.c.n)
    found = (await connection.execute(asked.with_for_update() if lock else asked)).one_or_none()
    return None if found is None else Seq(found.run, found.n)


async def _move(connection: AsyncConnection, before: Seq | None, to: Seq) -> None:
    if before is None:
        await connection.execute(insert(t.drain_position), {"id": 1, "run": to.run, "n": to.n})
    else:
        await connection.execute(update(t.drain_position).values(run=to.run, n=to.n))


def _beyond(position: Seq | None, frames: Sequence[Frame]) -> list[Frame]:
    """The frames that are not in yet, each once."""
    fresh: list[Frame] = []
    for frame in frames:
        seq = Seq(frame.run, frame.n)
        if position is None or seq > position:
            fresh.append(frame)
            position = seq
    return fresh


async def _fold_calls(
    connection: AsyncConnection, facts: list[f.Fact]
) -> tuple[dict[CallId, Record], Set[CallId]]:
    """Folds the facts into the calls' rows. Gives the records of all calls that the facts name, and which are new."""
    named = {call for fact in facts if (call := getattr(fact, "call", None)) is not None}
    wanted: ColumnElement[bool] = t.calls.c.id.in_(named)
    if any(isinstance(fact, f.ClockStepped) for fact in facts):
        wanted = wanted | t.calls.c.outcome.is_(None)
    found = (await connection.execute(select(t.calls).where(wanted))).mappings()
    before = {CallId(row["id"]): record_of(row) for row in found}
    after, more = dict(before), dict[CallId, dict[str, str]]()
    for fact in facts:
        if isinstance(fact, f.ClockStepped):
            after |= {call: moved(r, fact.by) for call, r in after.items() if r.outcome is None}
        call = getattr(fact, "call", None)
        if call is None:
            continue
        folded = record(after.get(call), fact)
        if folded is None:
            continue
        after[call] = folded
        match fact:
            case f.CallArrived():
                more[call] = {"node": fact.node}
            case f.CallAdmitted() | f.CallRefused():
                more.setdefault(call, {})["admission"] = fact.reason
    new = after.keys() - before.keys()
    if new:
        rows = [{"admission": None} | row_of(r) | more[c] for c, r in after.items() if c in new]
        await connection.execute(insert(t.calls), rows)
    changes: dict[str, _Row] = {}
    for call, folded in after.items():
        told = more.get(call, {})
        if call not in new and (folded != before[call] or told):
            changes[call] = {name: value for name, value in row_of(folded).items() if name != "id"} | told
    await _change(connection, update(t.calls).where(t.calls.c.id == bindparam("of")), changes)
    return after, new


async def _tasks(
    connection: AsyncConnection, facts: list[f.Fact], known: Mapping[CallId, Record]
) -> Set[CallId]:
    """The tasks that the facts name and no call has a row of the name of: from before, or kept in this batch."""
    named = {fact.call for fact in facts if isinstance(fact, _OF_TASKS)} - known.keys()
    kept = {fact.call for fact in facts if isinstance(fact, f.TaskKept | f.TaskOpened)} & named
    if not named - kept:
        return kept
    found = await connection.execute(select(t.messages.c.call).where(t.messages.c.call.in_(named)))
    return kept | {CallId(row.call) for row in found}


async def _change(connection: AsyncConnection, these: Update, changes: Mapping[str, _Row]) -> None:
    """Set what is to change. `these` chooses the rows by the parameter `of`, which takes the keys of `changes`."""
    alike: dict[tuple[str, ...], list[_Row]] = {}
    for of, values in changes.items():
        alike.setdefault(tuple(sorted(values)), []).append({"of": of} | values)
    for rows in alike.values():
        await connection.execute(these, rows)


_NOTED = (
    f.RunStarted,
    f.LinkGained,
    f.LinkLost,
    f.LagBegan,
    f.LagEnded,
    f.ClockStepped,
    f.Healed,
    f.AdmissionDiffered,
    f.NeedsRelaxed,
    f.AgentsAdded,
    f.OverflowBegan,
    f.OverflowUndone,
    f.OverflowMenuBegan,
    f.CallGivenUp,
    f.MenuAnswered,
    f.CallForwarded,
    f.AgentPaused,
    f.AgentResumed,
    f.EmergencyNotCarried,
    f.CallerListed,
    f.CallerUnlisted,
    f.PauseOverran,
    f.HoldOverran,
    f.PinRefused,
    f.AgentLocked,
    f.AgentUnlocked,
    f.ResultKeyed,
    f.HelpAsked,
    f.HelpEnded,
    f.HelpAnswered,
    f.CallerMovedUp,
    f.WatchBegan,
    f.WatchHeard,
    f.WatchTurned,
    f.WatchEnded,
    f.SkillsSet,
    f.ThresholdsSet,
    f.CallMarked,
    f.RecordingMarked,
    f.RecordingPaused,
    f.RecordingResumed,
    f.RecordingStopped,
    f.CallbackAsked,
    f.CallbackTried,
    f.CallbackDialled,
    f.CallbackMissed,
    f.CallbackFailed,
    f.CallbackReached,
    f.CallbackGivenUp,
    f.CallbackCancelled,
    f.KeepOrdered,
    f.KeepReleased,
    f.CallErased,
)
_NO_MESSAGE = dict.fromkeys(
    (
        "agent",
        "taken_at",
        "closed_at",
        "closed_by",
        "result",
        "file",
        "size",
        "seconds",
        "sha256",
        "problem",
        "subject",
        "department",
        "note",
        "about",
        "number_period",
        "number_fingerprint",
        "number_sealed",
    )
)
"""The columns of a message that nothing was told of yet."""
_WRITTEN = ("number", "subject", "note", "result")
"""What people wrote of messages: fields of facts."""
_OF_TASKS = f.TaskKept | f.TaskOpened | f.MessageTaken | f.MessageDone | f.MessageUndone | f.MessageDropped
"""What is told of a task, whose call may be in no table."""
_UNTOLD = {"at", "call"}
"""Fields that have columns of their own."""


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


class _Batch:
    """The rows beside the calls' own that the facts of one batch make and change."""

    def __init__(
        self,
        connection: AsyncConnection,
        known: Mapping[CallId, Record],
        new: Set[CallId],
        apart: Set[CallId],
        tasks: Set[CallId],
        written: Mapping[tuple[CallId, str], tuple[bytes, str | None, str]],
    ) -> None:
        """`known`: the calls that have a row; `new`: those of them that have no visit in the table yet; `apart`: the
        calls that are no arrivals, whose rows are made already; `tasks`: those whose call has none; `written`: what
        people wrote of messages, by the field of the fact, sealed."""
        self._connection = connection
        self._known = known
        self._apart = apart
        self._tasks = tasks
        self._written = written
        self._begin(new)

    def _begin(self, new: Set[CallId] = frozenset()) -> None:
        self._new = new
        self._visits: list[_Row] = []
        """Begun in this batch; `_open` has those of them that have not ended."""
        self._open: dict[CallId, _Row] = {}
        self._visit_changes: dict[str, _Row] = {}
        """Of visits that were open before, by call."""
        self._offers: dict[OfferId, _Row] = {}
        self._offer_changes: dict[str, _Row] = {}
        self._messages: dict[CallId, _Row] = {}
        self._message_changes: dict[str, _Row] = {}
        self._notes: list[_Row] = []

    async def write(self) -> None:
        """What was gathered. What changes goes first: it is about rows that were there before those that are new."""
        await _change(self._connection, _open_visit, self._visit_changes)
        await _change(self._connection, _offer, self._offer_changes)
        await _change(self._connection, _message, self._message_changes)
        for table, rows in (
            (t.visits, self._visits),
            (t.offers, list(self._offers.values())),
            (t.messages, list(self._messages.values())),
            (t.facts_noted, self._notes),
        ):
            if rows:
                await self._connection.execute(insert(table), rows)
        self._begin()

    async def take(self, place: dict[str, int], fact: f.Fact) -> None:
        """The rows that one fact makes or changes; `place` is that of the fact in the journal."""
        if isinstance(fact, _NOTED):
            told = {each.name: getattr(fact, each.name) for each in fields(fact) if each.name not in _UNTOLD}
            plain = {name: _plain(value) for name, value in told.items() if not isinstance(value, Personal)}
            self._note(place, fact, type(fact).__name__, plain)
            if isinstance(fact, f.ClockStepped):
                await self.write()
                await _step_clock(self._connection, fact.by)
            if not isinstance(fact, f.CallbackGivenUp):
                return
        call = getattr(fact, "call", None)
        if call in self._apart:
            return
        of_task = isinstance(fact, _OF_TASKS) and call in self._tasks
        if call is not None and call not in self._known and not of_task:
            self._note(place, fact, "CallUnknown", {"fact": type(fact).__name__})
            return
        match fact:
            case f.Configured():
                self._note(place, fact, "Configured", {"version": fact.configuration.version})
            case f.VisitBegan():
                self._end_visit(fact.call, fact.at, "requeued")
                self._open[fact.call] = {
                    "id": fact.visit,
                    "call": fact.call,
                    "centre": self._known[fact.call].centre,
                    "queue": fact.queue,
                    "priority": fact.priority,
                    "entered_at": fact.at,
                    "since": fact.since,
                    "in_net": False,
                    "ended_at": None,
                    "outcome": None,
                    "reconstructed": fact.reconstructed,
                    "position": fact.position,
                    "estimate_s": fact.estimate_s,
                    "reasons": list(fact.reasons),
                }
                self._visits.append(self._open[fact.call])
            case f.NetEntered():
                self._change_visit(fact.call, in_net=True)
            case f.OfferMade():
                self._offers[fact.offer] = {
                    "id": fact.offer,
                    "call": fact.call,
                    "visit": fact.visit,
                    "agent": fact.agent,
                    "phone": fact.phone,
                    "ring_s": fact.ring_s,
                    "reasons": list(fact.reasons),
                    "made_at": fact.at,
                    "rang_at": None,
                    "ended_at": None,
                    "result": OfferStage.MADE,
                    "rest_until": None,
                    "reason": None,
                    "reconstructed": fact.reconstructed,
                }
            case f.OfferRang():
                self._change_offer(fact.offer, rang_at=fact.at, result=OfferStage.RINGING)
            case f.OfferFailed():
                self._change_offer(
                    fact.offer,
                    ended_at=fact.at,
                    result=fact.result,
                    rest_until=fact.rest_until,
                    reason=fact.reason,
                    **({"reconstructed": True} if fact.reconstructed else {}),
                )
            case f.CallAnswered():
                self._end_visit(fact.call, fact.at, "answered")
                if fact.offer is not None:
                    self._change_offer(fact.offer, ended_at=fact.at, result=OfferStage.ANSWERED)
            case f.CallEnded():
                self._end_visit(fact.call, fact.at, fact.outcome.value)
            case f.MessageLeft() | f.CallbackGivenUp() if fact.due_at is not None:
                self._messages[fact.call] = _NO_MESSAGE | {
                    "call": fact.call,
                    "centre": fact.centre,
                    "queue": fact.queue,
                    "language": fact.language,
                    "left_at": fact.at,
                    "due_at": fact.due_at,
                    "state": MessageState.OPEN,
                    "reconstructed": fact.reconstructed,
                }
            case f.TaskKept():
                # Of a message that turned out to be none there may be a row.
                self._message_changes.pop(fact.call, None)
                await self._connection.execute(delete(t.messages).where(t.messages.c.call == fact.call))
                self._messages[fact.call] = _NO_MESSAGE | {
                    "call": fact.call,
                    "centre": fact.centre,
                    "queue": fact.queue,
                    "language": fact.language,
                    "left_at": fact.at,
                    "due_at": fact.due_at,
                    "state": MessageState.OPEN,
                    "subject": self._sealed(fact.call, "subject"),
                    "note": self._sealed(fact.call, "note"),
                    "department": fact.department,
                    "about": fact.call,
                    "reconstructed": fact.reconstructed,
                }
            case f.TaskOpened():
                sealed, fingerprint, period = self._written.get((fact.call, "number"), (None, None, None))
                self._messages[fact.call] = _NO_MESSAGE | {
                    "call": fact.call,
                    "centre": fact.centre,
                    "queue": fact.queue,
                    "language": None,
                    "left_at": fact.at,
                    "due_at": fact.due_at,
                    "state": MessageState.OPEN,
                    "subject": self._sealed(fact.call, "subject"),
                    "note": self._sealed(fact.call, "note"),
                    "department": fact.department,
                    "about": fact.about,
                    "number_period": period,
                    "number_fingerprint": fingerprint,
                    "number_sealed": sealed,
                    "reconstructed": fact.reconstructed,
                }
            case f.MessageDropped() if fact.call in self._tasks:
                self._change_message(fact.call, **dict.fromkeys(t.PERSONAL["messages"]))
            case f.MessageEmpty() if fact.outcome is not None:
                self._change_message(fact.call, state=MessageState.EMPTY, closed_at=fact.at)
            case f.MessageFiled():
                self._change_message(
                    fact.call,
                    file=fact.file,
                    size=fact.size,
                    seconds=fact.seconds,
                    sha256=fact.sha256,
                    problem=worst(fact.findings, fact.problem),
                )
            case f.MessageTaken():
                self._change_message(
                    fact.call,
                    state=MessageState.TAKEN,
                    agent=fact.agent,
                    taken_at=fact.at,
                    closed_at=None,
                    closed_by=None,
                    result=None,
                )
            case f.MessageDone() | f.MessageUndone():
                done = isinstance(fact, f.MessageDone)
                self._change_message(
                    fact.call,
                    state=MessageState.DONE if done else MessageState.UNDONE,
                    closed_at=fact.at,
                    closed_by=fact.by,
                    result=self._sealed(fact.call, "result"),
                )
            case f.AgentSignedIn():
                row = place | {"agent": fact.agent, "phone": fact.phone, "signed_in_at": fact.at}
                await self._connection.execute(insert(t.agent_sessions), row)
            case f.AgentSignedOut():
                out = {"signed_out_at": fact.at, "reason": fact.reason}
                await self._connection.execute(_session, {"who": fact.agent} | out)

    def _note(self, place: dict[str, int], fact: f.Fact, kind: str, detail: _Row) -> None:
        row = place | {"at": fact.at, "kind": kind, "call": getattr(fact, "call", None), "detail": detail}
        self._notes.append(row)

    def _sealed(self, name: CallId, field: str) -> bytes | None:
        made = self._written.get((name, field))
        return None if made is None else made[0]

    def _change_message(self, call: CallId, **values: Any) -> None:
        row = self._messages.get(call)
        (self._message_changes.setdefault(call, {}) if row is None else row).update(values)

    def _change_offer(self, offer: OfferId, **values: Any) -> None:
        row = self._offers.get(offer)
        (self._offer_changes.setdefault(offer, {}) if row is None else row).update(values)

    def _change_visit(self, call: CallId, **values: Any) -> None:
        """Of the call's open visit, if it has one: a new one, or one that was there before and was not ended here."""
        row = self._open.get(call)
        if row is None:
            if call in self._new:
                return
            row = self._visit_changes.setdefault(call, {})
            if "ended_at" in row:
                return
        row.update(values)

    def _end_visit(self, call: CallId, at: Instant, outcome: str) -> None:
        self._change_visit(call, ended_at=at, outcome=outcome)
        self._open.pop(call, None)


_open_visit = update(t.visits).where(t.visits.c.call == bindparam("of"), t.visits.c.ended_at.is_(None))
_message = update(t.messages).where(t.messages.c.call == bindparam("of"))
_offer = update(t.offers).where(t.offers.c.id == bindparam("of"))
_session = update(t.agent_sessions).where(
    t.agent_sessions.c.agent == bindparam("who"), t.agent_sessions.c.signed_out_at.is_(None)
)


async def _step_clock(connection: AsyncConnection, by: int) -> None:
    """Put what is going on onto the new clock, as `measures.moved` does with the calls themselves."""
    for table, end, begun in (
        (t.visits, t.visits.c.ended_at, ("entered_at", "since")),
        (t.offers, t.offers.c.ended_at, ("made_at", "rang_at")),
        (t.agent_sessions, t.agent_sessions.c.signed_out_at, ("signed_in_at",)),
    ):
        key = list(table.primary_key)
        rows = (await connection.execute(select(table).where(end.is_(None)))).mappings().all()
        for row in rows:
            moved = {name: Instant(row[name] + by) for name in begun if row[name] is not None}
            this = [column == row[column.name] for column in key]
            await connection.execute(update(table).where(*this).values(moved))
