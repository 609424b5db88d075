"""Asterisk's call records, one row for each party pair, as `asterisk/cdr_custom.conf.j2` writes them.

What a row tells (seen on Asterisk 22, sources of the tables in the tests):
- The rows of a call lie one behind the other: the first begins when the channel was made, the last ends with it.
- A phone that was rung stands in `dstchannel`. `ANSWERED` beside it means that it answered; the row then ends when
  the talk did.
- `answer` is when Asterisk itself took the call for the notice or the closed announcement, before any agent. When
  the talk began stands in CEL only.
- Rows are written when they end. A killed Asterisk writes none for the calls that go with it.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callcore.audit.span import Span, made_at
from callcore.domain.ids import SECOND, CallId, Instant, PhoneId
from callcore.runtime import dialplan

COLUMNS = 15


@dataclass(frozen=True, slots=True)
class CdrRow:
    """One row of an arriving channel. `phone`: the one that was rung, if any; `answered`: it answered."""

    call: CallId
    phone: PhoneId | None
    answered: bool
    started: Instant
    ended: Instant


@dataclass(frozen=True, slots=True)
class Cdr:
    """The rows around a span, by call, in the order of their ends. `begins`: the end of the very first row that is
    kept, of whatever call; None: no row at all."""

    rows: Mapping[CallId, tuple[CdrRow, ...]] = field(default_factory=dict)
    begins: Instant | None = None


def read_cdr(files: Iterable[Path], span: Span) -> Cdr:
    """All rows of calls that arrived around the span. `files`: the oldest first; one may end in `.gz`.

    A row that stands in two of them (a copy was kept) counts once. Raises OSError for a file that cannot be read.
    """
    found: dict[CallId, dict[tuple[str, ...], CdrRow]] = {}
    begins: Instant | None = None
    for path in files:
        for columns in _columns(path):
            row = _row(columns)
            if row is None:
                continue
            begins = row.ended if begins is None else min(begins, row.ended)
            made = made_at(row.call)
            if columns[0] == columns[1] and _arrived(columns[6]) and made is not None and span.near(made):
                found.setdefault(row.call, {})[columns] = row
    return Cdr(
        {call: tuple(sorted(rows.values(), key=lambda row: row.ended)) for call, rows in found.items()},
        begins,
    )


def _columns(path: Path) -> Iterator[tuple[str, ...]]:
    """Whole rows; a torn or foreign one is passed over."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.reader(file):
            if len(row) == COLUMNS:
                yield tuple(row)


def _row(columns: tuple[str, ...]) -> CdrRow | None:
    try:
        started, ended = (_instant(columns[n]) for n in (9, 11))
    except ValueError:
        return None
    return CdrRow(
        call=CallId(columns[1]),
        phone=dialplan.phone_of(columns[7]) if columns[7] else None,
        answered=columns[14] == "ANSWERED",
        started=started,
        ended=ended,
    )


def _instant(text: str) -> Instant:
    """Microseconds since the epoch from decimal seconds, unrounded. Raises ValueError."""
    whole, _, rest = text.partition(".")
    return Instant(int(whole) * SECOND + int(rest.ljust(6, "0") if rest else 0))


def _arrived(channel: str) -> bool:
    return channel.startswith(f"PJSIP/{dialplan.TRUNK}-")
