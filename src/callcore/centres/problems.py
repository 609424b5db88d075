"""What is wrong with a centre file, for the person who mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Language = Literal["ja", "en"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `line` counts from 1; None when it is the whole file or folder."""

    file: Path
    line: int | None
    what_ja: str
    what_en: str
    instead_ja: str
    instead_en: str

    def text(self, language: Language) -> str:
        """`file:line: what is wrong → what to write instead`, on one line."""
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        if language == "ja":
            return _one_line(f"{place}: {self.what_ja} → {self.instead_ja}")
        return _one_line(f"{place}: {self.what_en} → {self.instead_en}")


def _one_line(text: str) -> str:
    """The text with signs that are no print, a wrong value's line ends for one, shown by their number."""
    return "".join(sign if sign.isprintable() or sign == "\u3000" else f"\\u{ord(sign):04x}" for sign in text)


class CentreFileErrors(Exception):
    """The centre files can't be used as they are; nothing may start on them. `problems` is never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{len(self.problems)} problem(s) in the centre files")

    def texts(self, language: Language) -> list[str]:
        return [problem.text(language) for problem in self.problems]

    def __str__(self) -> str:
        return "\n".join(
            text for problem in self.problems for text in (problem.text("ja"), problem.text("en"))
        )
