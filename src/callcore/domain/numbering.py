"""Which numbers a desk phone may call: the one table that the dialplan is rendered from.

Rules
- A number that no line allows is refused. What is not known (184, 186, 020, short numbers, half-dialled ones) is so.
- Premium and international numbers are refused unless the centre names those kinds, or the very number. An entry that
  only begins more generally does not open them: in Asterisk the narrower pattern counts, and theirs are narrower.
- The numbers of the centre's own departments are allowed without standing on its list.
- 110, 118 and 119 are not on this list: they are never refused.

Source of the kinds: Japan's numbering plan (総務省 電気通信番号計画, 令和元年総務省告示第6号). Patterns are
Asterisk's: X is a digit, […] one of these, `.` one more digit or any number of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from callcore.domain.centre import Destination, Outgoing

PATTERNS: dict[Destination, tuple[str, ...]] = {
    Destination.LANDLINE: ("0[1-9][1-9]XXXXXXX",),
    Destination.MOBILE: ("060XXXXXXXX", "070XXXXXXXX", "080XXXXXXXX", "090XXXXXXXX"),
    Destination.IP_PHONE: ("050XXXXXXXX",),
    Destination.FREE: ("0120XXXXXX", "0800XXXXXXX"),
    # 0120 to 0990 lie inside the landlines' pattern; 0170 and 0171 are recorded messages, 0180 mass calling, 0190
    # value-added services, 0570 shared-cost numbers, 0910 premium, 0990 information services billed to the caller.
    Destination.PREMIUM: (
        "017[01]XXXXXX",
        "0180XXXXXX",
        "0190XXXXXX",
        "0570XXXXXX",
        "0910XXXXXX",
        "0990XXXXXX",
    ),
    Destination.INTERNATIONAL: ("010.", "00[0-9]."),
}

CLOSED_PREFIXES = ("0170", "0171", "0180", "0190", "0570", "0910", "0990", "010", "00")
"""What begins so, and no longer, can only be opened by its kind."""


@dataclass(frozen=True, slots=True)
class Line:
    """One pattern and what becomes of it. `pattern` without the underscore; exact digits where `exact`."""

    pattern: str
    exact: bool
    why: str
    """The kind's word, or `listed`."""
    allowed: bool


def lines(outgoing: Outgoing | None, departments: Iterable[str] = ()) -> Iterator[Line]:
    """The patterns of one centre, each once; in Asterisk the narrowest that fits counts.

    `departments`: the numbers of its directory.
    """
    seen: set[tuple[str, bool]] = set()
    for digits in departments:
        if (digits, False) not in seen:
            seen.add((digits, False))
            yield Line(digits, True, "listed", True)
    if outgoing is None:
        return
    for listed in outgoing.listed:
        pattern = f"{listed.digits}." if listed.begins else listed.digits
        if (pattern, listed.begins) not in seen:
            seen.add((pattern, listed.begins))
            yield Line(pattern, not listed.begins, "listed", True)
    for kind, patterns in PATTERNS.items():
        for pattern in patterns:
            if (pattern, True) not in seen:
                yield Line(pattern, False, kind.value, kind in outgoing.kinds)


def national(number: str) -> str:
    """A caller's number as it is dialled inside Japan: +81 becomes 0, any other country 010 and its code."""
    if not number.startswith("+"):
        return number
    return f"0{number[3:]}" if number.startswith("+81") else f"010{number[1:]}"
