"""Telephone numbers in bytes: in how many ways one may be written, and where it stands.

A number is looked for as text, as UTF-16 of either order, and as the hexadecimal of its text, with or without the
country's code, also inside a longer row of digits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

LEAST = 6
"""Digits of a number that is looked for: shorter ones stand by chance in any file."""
OVERLAP = 256
"""Bytes that two blocks have in common when a file is read block by block: longer than any way to write a number."""

_TEXT = re.compile(rb"[0-9]{%d,}" % LEAST)
_DIGITS = bytes(sign if 48 <= sign <= 57 else 32 for sign in range(256))
"""Turns every byte but digits into a space: cutting at these is ten times as fast as an expression."""


@dataclass(frozen=True, slots=True)
class Markers:
    """What is looked for, digits alone: each number with its country's code and without, as text and as the
    hexadecimal of that text, which has no letters."""

    digits: frozenset[bytes]
    lengths: tuple[int, ...]

    @staticmethod
    def of(numbers: Collection[str]) -> Markers:
        plain = {way.encode() for number in numbers for way in ways(number)}
        found = plain | {each.hex().encode() for each in plain}
        return Markers(frozenset(found), tuple(sorted({len(each) for each in found})))

    def inside(self, run: bytes) -> Iterator[tuple[int, int]]:
        """Where they stand in a row of digits: (begin, length)."""
        for length in self.lengths:
            for begin in range(len(run) - length + 1):
                if run[begin : begin + length] in self.digits:
                    yield begin, length

    def in_text(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where they stand as plain text: (begin, length) in bytes."""
        for match in _TEXT.finditer(data):
            for begin, length in self.inside(match[0]):
                yield match.start() + begin, length

    def count(self, data: bytes) -> int:
        """How often they stand there, in any way of writing. The same digits may count once for each length."""
        if not self.digits:
            return 0
        runs = data.replace(b"\0", b"").translate(_DIGITS).split()
        return sum(1 for run in runs if len(run) >= LEAST for _ in self.inside(run))


def ways(number: str) -> set[str]:
    """A number as networks write it; what is too short to be told from chance is left out."""
    digits = "".join(sign for sign in number if sign in "0123456789")
    found = {digits}
    if number.startswith("+81") or (digits.startswith("81") and len(digits) > 10):
        found.add(f"0{digits[2:]}")
    elif digits.startswith("0"):
        found.add(f"81{digits[1:]}")
    return {each for each in found if len(each) >= LEAST}
