"""What is known of each file of sound, into its table.

Rules
- A row is made when the file is measured, from what the tables hold of its call by then; facts about the call that come
  later (a result, a mark, its end) change the rows of all its files.
- A mark that was set or taken away afterwards stands before what was keyed, whenever that is told.
- Agents are written down as they answer, so that one who was taken over from is not lost.
- A file that is filed once more, as by a journal that was begun again, gets its row anew.
- Each row tells how many there are of its call, whichever of them is filed last.
- Its months count from the end of its call, also where the recording stopped before that.
- A file is filed before it is told that it is kept: that changes its row. One that was never filed, of a call that
  nobody knows, has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callcore.db import tables as t
from callcore.db.rows import RECORD_COLUMNS, record_of
from callcore.db.sides import COLUMNS as SIDE_COLUMNS
from callcore.db.sides import side_of
from callcore.domain import facts as f
from callcore.domain.findings import worst
from callcore.domain.ids import SECOND, AgentId, CallId, Instant
from callcore.domain.measures import Record
from callcore.domain.recording import (
    ASKED,
    Direction,
    Place,
    RecordingKind,
    RecordingMark,
    Through,
    kind_of_side,
)
from callcore.domain.sides import SideRecord
from callcore.domain.stages import Outcome, ResultKind, SideKind

_THROUGH = {Outcome.TRANSFERRED_ATTENDED: Through.ATTENDED, Outcome.TRANSFERRED_BLIND: Through.BLIND}
_LATER = f.ResultKeyed | f.CallMarked | f.RecordingMarked | f.CallTransferred | f.CallEnded
"""What is told of a call after files of it may be there."""


async def fold_recordings(
    connection: AsyncConnection, facts: Sequence[f.Fact], known: Collection[CallId]
) -> None:
    """To be called when everything else of the batch is in the tables. `known`: the calls that have a row."""
    answered = {
        (fact.call, fact.agent): fact.at
        for fact in reversed(facts)
        if isinstance(fact, f.CallAnswered) and fact.agent is not None and fact.call in known
    }
    files = {fact.file: fact for fact in facts if isinstance(fact, f.RecordingFiled | f.MessageFiled)}
    later = {fact.call for fact in facts if isinstance(fact, _LATER)}
    rows = await _rows(connection, files.values()) if files else []
    marks = await _afterwards(connection, {row["call"] for row in rows} | later)
    rows = [row | marks.get(row["call"], {}) for row in rows]
    begun = {row["name"]: row["began_at"] for row in rows}
    served = {(row["name"], row.pop("agent")): begun[row["name"]] for row in rows}
    await _serve(connection, answered | {pair: at for pair, at in served.items() if pair[1] is not None})
    if rows:
        await connection.execute(delete(t.recordings).where(t.recordings.c.name.in_(begun)))
        await connection.execute(insert(t.recordings), rows)
        these = update(t.recording_agents).where(t.recording_agents.c.recording == bindparam("of"))
        await connection.execute(these, [{"of": name, "began_at": at} for name, at in begun.items()])
        await _count(connection, {row["call"] for row in rows})
    kept = [_kept(fact) for fact in facts if isinstance(fact, f.RecordingKept)]
    if kept:
        these = update(t.recordings).where(t.recordings.c.name == bindparam("of"))
        await connection.execute(these.where(t.recordings.c.erased_at.is_(None)), kept)
    calls = await _calls(connection, later)
    if calls:
        these = update(t.recordings).where(t.recordings.c.call == bindparam("of"))
        told = [{"of": call} | _marked(one) | marks.get(call, {}) for call, one in calls.items()]
        await connection.execute(these, told)
        these = these.where(t.recordings.c.side.is_(None))
        await connection.execute(these, [{"of": call} | _moved_on(one) for call, one in calls.items()])
    for call in (later & marks.keys()) - calls.keys():  # no arrivals
        await connection.execute(
            update(t.recordings).where(t.recordings.c.call == call).values(**marks[call])
        )


async def reported_among(connection: AsyncConnection, calls: Collection[CallId]) -> set[CallId]:
    """Those of these calls of which somebody told 悪質・脅迫, when they went on or afterwards."""
    known, marks = await _calls(connection, calls), await _afterwards(connection, calls)
    told = {call for call, record in known.items() if record.abuse}
    for call, set_to in marks.items():
        if RecordingMark.ABUSE.value in set_to:
            told = told | {call} if set_to[RecordingMark.ABUSE.value] else told - {call}
    return told


async def _afterwards(
    connection: AsyncConnection, calls: Collection[CallId]
) -> dict[CallId, dict[str, bool]]:
    """The marks that somebody set or took away, by call: columns of its recordings."""
    marks: dict[CallId, dict[str, bool]] = {}
    if calls:
        n = t.facts_noted.c
        asked = select(n.call, n.detail).where(n.call.in_(calls), n.kind == f.RecordingMarked.__name__)
        for note in await connection.execute(asked.order_by(n.run, n.n, n.k)):
            marks.setdefault(CallId(note.call), {})[note.detail["mark"]] = note.detail["on"]
    return marks


async def _serve(connection: AsyncConnection, served: Mapping[tuple[str, AgentId], Instant]) -> None:
    """Write down which agent speaks in which recording, once each."""
    if not served:
        return
    a = t.recording_agents.c
    asked = select(a.recording, a.agent).where(a.recording.in_({name for name, _ in served}))
    known = {(row.recording, row.agent) for row in await connection.execute(asked)}
    fresh = [
        {"recording": name, "agent": agent, "began_at": at}
        for (name, agent), at in served.items()
        if (name, agent) not in known
    ]
    if fresh:
        await connection.execute(insert(t.recording_agents), fresh)


async def _count(connection: AsyncConnection, calls: Collection[CallId]) -> None:
    """Tell each recording of these calls how many there are of its call."""
    r, other = t.recordings.c, t.recordings.alias()
    many = select(func.count()).select_from(other).where(other.c.call == bindparam("of")).scalar_subquery()
    these = update(t.recordings).where(r.call == bindparam("of")).values(segments=many)
    await connection.execute(these, [{"of": call} for call in calls])


async def _rows(
    connection: AsyncConnection, files: Collection[f.RecordingFiled | f.MessageFiled]
) -> list[dict[str, Any]]:
    """Their rows, with the agent whose call it was."""
    named = {file.call for file in files}
    s = t.side_calls.c
    sides = {
        CallId(row["id"]): side_of(row)
        for row in await _found(connection, select(*SIDE_COLUMNS).where(s.id.in_(named)))
    }
    beside = {side.beside for side in sides.values() if side.beside is not None}
    calls = await _calls(connection, named | beside)
    notes: dict[str, list[Any]] = {}
    n = t.facts_noted.c
    told = (f.MenuAnswered, f.CallForwarded, f.RecordingPaused, f.RecordingResumed, f.RecordingStopped)
    kinds = [kind.__name__ for kind in told]
    asked = select(n.call, n.kind, n.at, n.detail).where(n.call.in_(named), n.kind.in_(kinds))
    for note in await connection.execute(asked.order_by(n.run, n.n, n.k)):
        notes.setdefault(note.call, []).append(note)
    rows = []
    for file in files:
        side, call = sides.get(file.call), calls.get(file.call)
        if side is not None:
            about = None if side.beside is None else calls.get(side.beside)
            over = {"over_at": side.ended_at or file.at}
            rows.append(_sound(file) | _of_side(side, about, notes.get(file.call, [])) | over)
        elif call is not None:
            spoken = isinstance(file, f.MessageFiled)
            rows.append(_sound(file) | _of_caller(file, call, notes.get(file.call, []), spoken))
    return rows


async def _found(connection: AsyncConnection, asked: Any) -> Iterable[Mapping[Any, Any]]:
    return (await connection.execute(asked)).mappings()


async def _calls(connection: AsyncConnection, named: Collection[CallId]) -> dict[CallId, Record]:
    if not named:
        return {}
    asked = select(*RECORD_COLUMNS).where(t.calls.c.id.in_(named))
    return {one.call: one for one in map(record_of, await _found(connection, asked))}


def _sound(file: f.RecordingFiled | f.MessageFiled) -> dict[str, Any]:
    path = PurePath(file.file)
    return {
        "name": path.stem,
        "file": file.file,
        "format": path.suffix.removeprefix("."),
        "size": file.size,
        "seconds": file.seconds,
        "sha256": file.sha256,
        "problem": worst(file.findings, file.problem),
        "findings": [each.value for each in file.findings] or ([file.problem] if file.problem else []),
        "place": Place.GONE if file.problem == "missing" else Place.SPOOL,
        "filed_at": file.at,
    }


def _kept(fact: f.RecordingKept) -> dict[str, Any]:
    """What becomes of the row of a recording, chosen by `of`, once it lies in the store."""
    return {
        "of": fact.name,
        "file": f"{fact.name}.{fact.format}",
        "format": fact.format,
        "channels": fact.channels,
        "size": fact.size,
        "sha256": fact.sha256,
        "place": Place.STORE,
        "key_period": fact.key_period,
        "folder": f"{fact.folder}/{fact.day}",
        "kept_at": fact.kept_at,
        "captured_size": fact.captured_size,
        "captured_sha256": fact.captured_sha256,
        "stored_size": fact.stored_size,
        "stored_sha256": fact.stored_sha256,
    }


def _marked(record: Record | None) -> dict[str, Any]:
    """What every file of a call tells of it."""
    return {
        "result": None if record is None else record.result,
        "result_kind": None if record is None else record.result_kind,
        "complaint": record is not None and record.result_kind is ResultKind.COMPLAINT,
        "abuse": record is not None and record.abuse,
        "relay": record is not None and record.relay,
    }


def _moved_on(record: Record) -> dict[str, Any]:
    return {
        "department": record.department,
        "through": None if record.outcome is None else _THROUGH.get(record.outcome),
    }


def _of_caller(
    file: f.RecordingFiled | f.MessageFiled, record: Record, notes: Sequence[Any], spoken: bool
) -> dict[str, Any]:
    """Of a caller's talk, with whom the call was forwarded to as well, or (`spoken`) of what the caller left after the
    tone."""
    language = None
    stopped: Instant | None = None
    forwarded: Instant | None = None
    for note in notes:
        if note.kind == f.MenuAnswered.__name__:
            language = note.detail["language"] or language
        elif note.kind == f.CallForwarded.__name__:
            forwarded = note.at
        elif note.kind == f.RecordingStopped.__name__:
            stopped = Instant(note.detail["since"])
    began = record.answered_at or forwarded or record.arrived_at
    with_city = record.outcome in (Outcome.TRANSFERRED_ATTENDED, Outcome.TRANSFERRED_BLIND)
    ended = stopped if stopped is not None and with_city else record.ended_at
    if spoken:
        ended = record.ended_at or file.at
        began = Instant(ended - round(file.seconds * SECOND))
    return {
        **_marked(record),
        **_moved_on(record),
        "kind": RecordingKind.MESSAGE if spoken else RecordingKind.CALL,
        "call": record.call,
        "side": None,
        "centre": record.centre,
        "queue": record.queue,
        "language": language,
        "direction": Direction.IN,
        "began_at": began,
        "ended_at": ended,
        "over_at": record.ended_at or file.at,
        **_pauses(() if spoken else notes, record.ended_at),
        "agent": None if spoken else record.agent,
    }


def _pauses(notes: Iterable[Any], ended_at: Instant | None) -> dict[str, Any]:
    """What is told of a recording's pauses; one that nothing ended lasts to the end of the call."""
    pauses: list[dict[str, Any]] = []
    for note in notes:
        if note.kind == f.RecordingPaused.__name__:
            pauses.append(
                {"first": note.at, "before": ended_at, "reason": ASKED}
                | {key: note.detail.get(key) for key in ("agent", "by")}
                | {"gap": bool(note.detail.get("gap"))}
            )
        elif note.kind == f.RecordingResumed.__name__ and pauses:
            pauses[-1] |= {"before": note.at, "ended": note.detail.get("why")}
    return {"paused": bool(pauses), "pauses": pauses}


def _of_side(side: SideRecord, about: Record | None, notes: Sequence[Any]) -> dict[str, Any]:
    """Of a call that is no arrival; `about`: the call beside which it was made."""
    return {
        **_marked(about),
        **_pauses(notes, side.ended_at),
        "department": side.why if side.kind is SideKind.DEPARTMENT and side.why else None,
        "through": None,
        "kind": kind_of_side(side.kind, consult=side.beside is not None),
        "call": side.beside or side.call,
        "side": side.call,
        "centre": side.centre,
        "queue": None if about is None else about.queue,
        "language": None,
        "direction": Direction.IN if side.kind is SideKind.CONTACT else Direction.OUT,
        "began_at": side.connected_at or side.began_at,
        "ended_at": side.ended_at,
        "agent": side.agent,
    }
