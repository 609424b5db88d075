"""Where prompts stand, and whether what stands there may be played.

`<centre or "common">/<language>/<kind>.wav` below the sounds folder is what Asterisk plays; the `.txt` beside
it is the text that the audio was made from. Needs the standard library only: this is asked at every start.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Literal

RATE = 8000
"""Samples a second. Telephone audio as Asterisk's `wav` format has it: 8 kHz, one channel, 16 bit signed."""

COMMON = "common"
"""The folder of the prompts that belong to no centre."""

COMMON_KINDS = (
    "ask-agent-number",
    "ask-pin",
    "signed-in",
    "signed-out",
    "ready",
    "paused",
    "extended",
    "refused",
    "locked",
    "other-seat",
    "signed-in-elsewhere",
    "pause-full",
    "result-keyed",
    "key-refused",
    "undone",
    "help-asked",
    "abuse-marked",
    "relay-marked",
    "recording-paused",
    "recording-resumed",
    "ask-emergency",
    "emergency-on",
    "emergency-off",
    "not-possible",
    "no-such-code",
    "call-refused",
    "call-failed",
    "emergency-elsewhere",
)
"""What the desk phones' own context speaks. The `.txt` files below `common` are the source of their texts."""

MUSIC = "music"
"""The folder of the music on hold."""

Fault = Literal["missing", "not_telephone_audio", "text_missing", "text_differs"]


def sound(owner: str, language: str, kind: str) -> str:
    """Path of a prompt below the sounds folder, without ending."""
    return f"{owner}/{language}/{kind}"


def wav_of(sounds: Path, sound: str) -> Path:
    return sounds / f"{sound}.wav"


def text_of(sounds: Path, sound: str) -> Path:
    return sounds / f"{sound}.txt"


def made_from(sounds: Path, sound: str) -> str | None:
    """The text that a prompt was made from; None if there is no readable one."""
    try:
        return text_of(sounds, sound).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def fault(sounds: Path, sound: str, text: str | None) -> Fault | None:
    """What keeps a prompt from being played as `text`. `text` None: any text will do."""
    path = wav_of(sounds, sound)
    if not path.is_file():
        return "missing"
    if not is_telephone_audio(path):
        return "not_telephone_audio"
    said = made_from(sounds, sound)
    if said is None:
        return "text_missing"
    if text is not None and said != text.strip():
        return "text_differs"
    return None


def is_telephone_audio(path: Path) -> bool:
    """Whether Asterisk's `wav` format reads the file: 8 kHz, mono, 16 bit, not empty."""
    try:
        with wave.open(str(path), "rb") as audio:
            form = (audio.getframerate(), audio.getnchannels(), audio.getsampwidth())
            return form == (RATE, 1, 2) and audio.getnframes() > 0
    except (OSError, EOFError, wave.Error):
        return False
