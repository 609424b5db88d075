"""Recordings of years, made up and put into the tables as fast as the database takes them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Table

from callcore.db import Database
from callcore.db import tables as t
from callcore.domain.centre import Retention
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, QueueId
from callcore.domain.recording import ASKED, Direction, Place, RecordingKind, Through
from callcore.domain.retention import Rule
from callcore.domain.stages import PauseEnd, ResultKind

FIRST = Instant(1_700_000_000 * SECOND)
"""14 November 2023, 22:13:20 UTC."""
YEARS_S = 3 * 365 * 86_400
LONGER_S = YEARS_S + 200 * 86_400
"""After their begin, for recordings that an order keeps longer."""
CENTRES = ("oita", "ageo", "beppu", "sogo", "izunokuni")
SHARES = (50, 25, 15, 9, 1)
_THREE_YEARS = Retention(36, 36, 36, 36, 36, 0, 36)
RULES = {
    CentreId(name): Rule(retention, zone)
    for name, retention, zone in (
        ("oita", replace(_THREE_YEARS, message=1, reported=48), "Asia/Tokyo"),
        ("ageo", replace(_THREE_YEARS, message=0, reported=24), "Asia/Tokyo"),
        ("beppu", _THREE_YEARS, "Asia/Tokyo"),
        ("sogo", replace(_THREE_YEARS, call=30), "Europe/Berlin"),
        ("izunokuni", replace(_THREE_YEARS, call=0), "Asia/Tokyo"),
    )
}
"""By which centres keep them."""
CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Kept:
    """One row and what is beside it."""

    row: dict[str, Any]
    agents: tuple[AgentId, ...]
    print: str | None
    """The fingerprint of its number."""


def made_up(n: int, seed: int = 1, often: int = 1) -> Iterator[Kept]:
    """`n` recordings in the order of their begin. What is rare is `often` times as frequent as it would be."""
    chance = random.Random(seed)
    for k in range(n):
        began = Instant(FIRST + (YEARS_S * SECOND // n) * k + chance.randrange(SECOND))
        [centre] = chance.choices(CENTRES, SHARES)
        [kind] = chance.choices(tuple(RecordingKind), (85, 4, 8, 1, 2))
        out = kind in (RecordingKind.CONSULT, RecordingKind.OUTGOING)
        arrival = kind in (RecordingKind.CALL, RecordingKind.MESSAGE)
        name = f"node1-{began // SECOND}.{k}" + (".message" if kind is RecordingKind.MESSAGE else "")
        seconds = round(chance.expovariate(1 / 240), 2)
        [result] = chance.choices((None, "案内済み", "取り次ぎ", "苦情", "予約"), (30, 50, 15, 1, 4))
        through = chance.choice((Through.ATTENDED, Through.BLIND)) if result == "取り次ぎ" else None
        missing = chance.random() < 0.0005 * often
        found = ["missing"] if missing else ["short", "clipped"] if k % 500 == 11 else []
        paused = chance.random() < 0.01
        pauses = _pauses(began, k) if paused else []
        agents = chance.sample(range(40), 2 if chance.random() < 0.03 else 1)
        yield Kept(
            {
                "name": name,
                "file": f"{name}.wav",
                "kind": kind,
                "call": CallId(f"node1-{began // SECOND}.{k}"),
                "side": None if arrival else CallId(f"node1-{began // SECOND}.{k}"),
                "segments": 3 if k % 400 == 0 else 2 if k % 20 == 0 else 1,
                "centre": CentreId(centre),
                "queue": QueueId(f"{centre}-{chance.choice(('general', 'general', 'general', 'foreign'))}"),
                "language": chance.choices((None, "ja", "en", "zh", "vi"), (60, 30, 6, 3.9, 0.1))[0],
                "direction": Direction.OUT if out else Direction.IN,
                "began_at": began,
                "ended_at": Instant(began + round(seconds * SECOND)),
                "format": "wav",
                "channels": 2 if k % 50 == 7 else 1,
                "size": 0 if missing else 44 + round(16_000 * seconds),
                "seconds": 0.0 if missing else seconds,
                "sha256": None if missing else sha256(name.encode()).hexdigest(),
                "problem": found[0] if found else None,
                "findings": found,
                "result": result,
                "result_kind": _RESULTS.get(result),
                "department": None if through is None else f"d{chance.randrange(80)}",
                "through": through,
                "complaint": result == "苦情",
                "abuse": chance.random() < 0.0005 * often,
                "relay": chance.random() < 0.001 * often,
                "paused": paused,
                "pauses": pauses,
                "place": Place.GONE if missing else Place.STORE if k < n - n // 1000 else Place.SPOOL,
                "key_period": None,
                "keep_until": Instant(began + LONGER_S * SECOND) if k % 97 == 13 else None,
                "legal_hold": chance.random() < 0.0002 * often,
                "erased_at": None,
                "erased_why": None,
                "filed_at": Instant(began + 2 * 3600 * SECOND),
                "over_at": Instant(began + round(seconds * SECOND)),
            },
            tuple(AgentId(f"{CENTRES.index(centre) + 1}{agent:03}") for agent in sorted(agents)),
            None if chance.random() < 0.05 else f"{chance.randrange(max(1, n // 3)):064x}",
        )


def _pauses(began: Instant, k: int) -> list[dict[str, Any]]:
    """One, or three; of each fourth recording as an earlier version wrote them, with less."""
    one: dict[str, Any] = {"first": began + SECOND, "before": began + 9 * SECOND, "reason": ASKED}
    if k % 4:
        ended = (*(each.value for each in PauseEnd), None)[k % 6]
        one |= {"agent": "1001", "by": None if k % 3 else "user:sato", "gap": False, "ended": ended}
    return [one] if k % 5 else [one, one | {"by": "token:crm"}, one]


_RESULTS = {
    "案内済み": ResultKind.DONE,
    "取り次ぎ": ResultKind.TRANSFER,
    "苦情": ResultKind.COMPLAINT,
    "予約": ResultKind.BOOKING,
}


async def fill(database: Database, kept: Iterator[Kept]) -> int:
    """Put them in, with the calls that they are of. Gives how many."""
    n = 0
    while batch := [one for one, _ in zip(kept, range(CHUNK), strict=False)]:
        n += len(batch)
        await put(database, t.calls, [_call(one) for one in batch if one.row["side"] is None])
        await put(
            database, t.callers, [_caller(one) for one in batch if one.row["side"] is None and one.print]
        )
        await put(database, t.recordings, [one.row for one in batch])
        await put(
            database,
            t.recording_agents,
            [
                {"recording": one.row["name"], "agent": agent, "began_at": one.row["began_at"]}
                for one in batch
                for agent in one.agents
            ],
        )
    return n


def _call(one: Kept) -> dict[str, Any]:
    return {
        "id": one.row["call"],
        "node": "node1",
        "centre": one.row["centre"],
        "queue": one.row["queue"],
        "number": "0975000000",
        "arrived_at": one.row["began_at"],
        "by_net": False,
        "talk_us": 0,
        "hold_us": 0,
        "visits": 1,
        "offers": 1,
        "reconstructed": False,
    }


def _caller(one: Kept) -> dict[str, Any]:
    return {
        "call": one.row["call"],
        "centre": one.row["centre"],
        "at": one.row["began_at"],
        "period": "2026-11",
        "fingerprint": one.print,
        "sealed": bytes(60),
    }


async def put(database: Database, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """As the driver takes them, past SQLAlchemy's own loop: COPY, and a statement for many rows."""
    if not rows:
        return
    dialect = database.engine.dialect
    names = list(rows[0])
    bound = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    told = [
        tuple(row[name] if make is None else make(row[name]) for name, make in zip(names, bound, strict=True))
        for row in rows
    ]
    async with database.writing() as connection:
        if database.is_sqlite:
            places = ", ".join("?" * len(names))
            columns = ", ".join(f'"{name}"' for name in names)
            await connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({places})", told)
        else:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.copy_records_to_table(table.name, records=told, columns=names)
