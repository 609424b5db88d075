"""Centre files: one TOML file per centre, read strictly. Nothing starts on a wrong one.

`docs/centre-file.md` names every option.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from callcore.centres.problems import CentreFileErrors, Language, Problem
from callcore.centres.read import KINDS, LANGUAGES, OVERFLOW_KIND, load, look, read

__all__ = [
    "KINDS",
    "LANGUAGES",
    "OVERFLOW_KIND",
    "CentreFileErrors",
    "Language",
    "Problem",
    "check",
    "load",
    "look",
    "read",
]


def check(folder: Path, sounds: Path, language: Language, *, today: date | None = None) -> list[str]:
    """What is wrong with the files and their prompts, one line each, ready to print; empty: all right."""
    try:
        load(folder, sounds, today=today)
    except CentreFileErrors as errors:
        return errors.texts(language)
    return []
