"""Prompts for tests: any audio as the speech of any text, with its place in the manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

from callcore.demo.centre import CENTRE, TEXTS
from callcore.prompts import shelf

SHIPPED = Path(__file__).resolve().parents[2] / "ivr_prompts"
SILENCE = b"\xff" * 800
"""A tenth of a second."""


def put_prompt(sounds: Path, name: str, text: str, ulaw: bytes = SILENCE) -> None:
    """As `callcore prompts build` would leave it. Of a common prompt the `.txt` is written too."""
    shelf.put(shelf.ulaw_of(sounds, name), ulaw)
    if name.startswith(f"{shelf.COMMON}/") or name.split("/", maxsplit=1)[0] in shelf.LANGUAGES:
        shelf.put(shelf.text_of(sounds, name), f"{text}\n".encode())
    made = shelf.Made(
        text=shelf.digest(text),
        audio=shelf.digest(ulaw),
        source="voice",
        voice="test",
        licence="-",
        duration_s=len(ulaw) / shelf.RATE,
        loudness_lufs=-70.0,
        peak_dbfs=-70.0,
    )
    shelf.note(sounds, {name: made})


def shipped_prompts(home: Path, *owners: str) -> Path:
    """A prompts folder of one's own with what is shipped for these owners; without texts for all callers."""
    folder = home / "prompts"
    for owner in (*owners, shelf.COMMON, shelf.MUSIC):
        shutil.copytree(SHIPPED / owner, folder / owner)
    return folder


def brief_welcome(home: Path, *languages: str) -> Path:
    """As shipped, but the demo centre's notice and greeting are over at once: where what follows is tried, each caller
    would wait six seconds for it. Without `languages` only Japanese is there."""
    folder = shipped_prompts(home, CENTRE, *(languages or ("ja",)))
    for kind in ("recording_notice", "greeting"):
        put_prompt(folder, f"{CENTRE}/ja/{kind}", TEXTS[kind])
    return folder
