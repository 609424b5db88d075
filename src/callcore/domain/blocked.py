"""Callers whom a centre has listed (迷惑電話, いつまでも繰り返す電話): who stands on the list, until when, and why.

Rules
- An entry always has an end (`until`), at most a year ahead, and ends by itself. Listing a number again while it stands
  gives its entry another end and reason.
- What becomes of a listed caller is the centre's rule (`Centre.blocked`): the announcement *blocked*, in which 9 leads
  to a person, or service as for everybody, with a mark for the agent. Out of hours and in an emergency closure a
  listed caller hears what everybody hears.
- The list is pushed to Asterisk with its ends, so that the dialplan alone holds to it. There a number stands as a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.personal import Personal

LONGEST_DAYS = 365
"""Days that an entry may last at a time."""
REASON_LONGEST = 100
"""Characters of a reason."""
DIGITS_LEAST, DIGITS_MOST = 3, 20
"""Digits of a number."""
PUSH_SETTLES_S = 5.0
"""Seconds around a change of a list within which the dialplan may rightly have gone by the other one; as for emergency
closures."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """One entry of the list. `until` is a whole second, so that the dialplan, which knows no smaller ones, and callcore
    agree. `by`: who listed it last, in words."""

    id: CallId
    """Under which the key store keeps the number's key; no call bears it."""
    centre: CentreId
    number: Personal
    """As `plain` gives it."""
    reason: str
    since: Instant
    until: Instant
    by: str

    def on(self, at: Instant) -> bool:
        return self.since <= at < self.until


def plain(number: str | None) -> str | None:
    """A number as it is compared: digits alone, Japan's country code (+81) as the 0 that it stands for. None: there is
    none, or it is no number."""
    kept = "".join(sign for sign in number or "" if sign in "+0123456789")
    digits = f"0{kept[3:]}" if kept.startswith("+81") else kept.replace("+", "")
    return digits if DIGITS_LEAST <= len(digits) <= DIGITS_MOST else None


def spellings(number: str) -> set[str]:
    """As this number may have been shown by a carrier and be written down: as it is given, and with and without Japan's
    country code."""
    ways = {number, plain(number) or number}
    return ways | {f"+81{way[1:]}" for way in ways if way.startswith("0")}


def found(
    blocked: Iterable[Blocked], centre: CentreId, number: str | None, at: Instant | None = None
) -> Blocked | None:
    """The entry of a number. `at`: only if it holds then."""
    wanted = plain(number)
    for entry in blocked if wanted is not None else ():
        if entry.centre == centre and entry.number.text == wanted and (at is None or entry.on(at)):
            return entry
    return None


def hashed(salt: str, centre: CentreId, number: str) -> str:
    """What stands for a number in AstDB; the dialplan makes the same: SHA1(<salt>~<centre>~<number>), in hex."""
    return hashlib.sha1(f"{salt}~{centre}~{number}".encode(), usedforsecurity=False).hexdigest()


def noted(reason: str, until: datetime) -> str:
    """Why a caller is listed and until when, for the audit trail; the number stands in none of its lines."""
    return f"{reason} ({until.isoformat(timespec='minutes')} まで / until then)"


def pushed(blocked: Iterable[Blocked], salt: str) -> Mapping[str, str]:
    """What the dialplan reads: `<centre>/<hash>` → the end in epoch seconds UTC. A number whose key has been destroyed
    is not there."""
    told: dict[str, str] = {}
    for entry in blocked:
        number = entry.number.text
        if number is not None:
            told[f"{entry.centre}/{hashed(salt, entry.centre, number)}"] = str(entry.until // SECOND)
    return told
