"""Where prompts stand, and whether what stands there may be played.

A prompt's name is its path below the prompts folder without ending:

    <centre>/<language>/<kind>      an announcement of one centre; its text stands in the centre file
    <language>/<kind>               what callers of all centres hear; its text is the `.txt` of that name
    <language>/spoken/<phrase>      numbers, times, dates; the text comes from `spoken`
    common/<language>/<kind>        what the desk phones' keys answer; its text is the `.txt` of that name

Beside each other stand `<name>.ulaw` (G.711, what Asterisk plays), for some `<name>.g722`, and where a person was
recorded `<name>.recorded.<wav …>`, from which the others were made. `manifest.json` of each folder says what each was
made from. Needs the standard library only: this is asked at every start.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

RATE: Final = 8000
"""Samples a second of the telephone, one byte each in `.ulaw`."""

ULAW: Final = ".ulaw"
G722: Final = ".g722"

COMMON: Final = "common"
"""The folder of the desk phones' prompts."""

ON_HOLD: Final = "on_hold"
"""The announcement that is spoken between the music to who is on hold."""
LANGUAGES: Final = ("ja", "en", "zh", "ko", "es", "pt", "vi", "th", "id", "tl", "ne")

COMMON_KINDS: Final = (
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
    "ask-result",
    "ask-emergency",
    "ask-emergency-end",
    "emergency-on",
    "emergency-off",
    "not-possible",
    "no-such-code",
    "no-such-department",
    "department-closed",
    "department-substitute",
    "department-busy",
    "department-no-answer",
    "no-supervisor",
    "call-refused",
    "call-failed",
    "callback-call",
    "callback-attempt",
    "callback-caution",
    "callback-number",
    "callback-closed",
    "emergency-elsewhere",
    *(f"language-{each}" for each in LANGUAGES),
)
"""What the desk phones' own context speaks. The `.txt` files below `common` are the source of their texts."""

CALLERS_KINDS: Final = (
    "recording_notice",
    "greeting",
    "closed",
    "apology",
    "overflow",
    "emergency",
    "closed_holiday",
    "closed_year_end",
    "closed_day",
    "closed_changed",
    "blocked",
    "withheld",
    "please_wait",
    ON_HOLD,
    "wrong_key",
    "no_key",
    "callback_offer",
    "callback_confirm",
    "callback_unavailable",
    "callback_taken",
    "message_offer",
    "message_invite",
    "message_full",
    "message_empty",
    "message_taken",
    "message_cut",
    "message_failed",
)
"""What callers hear: each has a text common to all centres, and a centre may have its own."""

AGENTS_KINDS: Final = ("whisper", "no_emergency_call", "put_through")
"""What is said at the other end if the centre has words for it: to an agent before a caller is put through, and when
110, 118 or 119 was dialled in vain; to a department before a caller is put through unasked."""

OWN_KINDS: Final = (*AGENTS_KINDS, "abuse")
"""What is said only where a centre has words of its own for it, in the languages in which it has them. `abuse`: over a
talk that was reported (悪質・脅迫), to both sides."""

MUSIC: Final = "music"
"""The folder of the music on hold."""

SPOKEN: Final = "spoken"
"""The folder, below a language's own, of numbers, times and dates."""

MANIFEST: Final = "manifest.json"
RECORDED: Final = ".recorded"
"""Stands before the ending of a recording: Asterisk never takes such a file for a prompt."""

Fault = Literal["missing", "not_made_here", "text_missing", "text_differs"]
Source = Literal["voice", "recorded"]


@dataclass(frozen=True, slots=True)
class Made:
    """What the manifest keeps of one prompt. Hashes are sha256 in hex."""

    text: str
    """Of the text that was spoken, without blanks at its ends."""
    audio: str
    """Of the `.ulaw`."""
    source: Source
    voice: str
    licence: str
    duration_s: float
    loudness_lufs: float
    peak_dbfs: float
    recording: str | None = None
    """Of the file that a person spoke."""
    approved_by: str | None = None
    approved_on: str | None = None
    """ISO date, local to the person who approved."""


def sound(owner: str, language: str, kind: str) -> str:
    """Name of a centre's announcement, or with `COMMON` of a desk phones' prompt."""
    return f"{owner}/{language}/{kind}"


def ulaw_of(sounds: Path, sound: str) -> Path:
    return sounds / f"{sound}{ULAW}"


def g722_of(sounds: Path, sound: str) -> Path:
    return sounds / f"{sound}{G722}"


def text_of(sounds: Path, sound: str) -> Path:
    return sounds / f"{sound}.txt"


def recording_of(sounds: Path, sound: str) -> Path | None:
    """The recording that a person made of a prompt, whatever its format; None: there is none."""
    path = sounds / sound
    found = sorted(path.parent.glob(f"{path.name}{RECORDED}.*"))
    return found[0] if found else None


def text(sounds: Path, sound: str) -> str | None:
    """What stands in a prompt's `.txt`; None if there is no readable one."""
    try:
        return text_of(sounds, sound).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def kinds(sounds: Path) -> tuple[str, ...]:
    """What has a common text in any language."""
    there = {path.stem for each in LANGUAGES for path in (sounds / each).glob("*.txt")}
    return tuple(kind for kind in CALLERS_KINDS if kind in there)


def digest(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def fault(sounds: Path, sound: str, text: str | None) -> Fault | None:
    """What keeps a prompt from being played as `text`. `text` None: there is none, which is a fault too."""
    path = ulaw_of(sounds, sound)
    if text is None:
        return "text_missing"
    audio = _audio(path)
    if audio is None:
        return "missing"
    made = made_of(sounds, sound)
    if made is None or made.audio != audio:
        return "not_made_here"
    if made.text != digest(text.strip()):
        return "text_differs"
    return None


def _audio(path: Path) -> str | None:
    """The hash of an audio file; None if there is none or nothing in it."""
    try:
        held = path.stat()
    except OSError:
        return None
    return _hashed(str(path), held.st_ino, held.st_mtime_ns) if held.st_size else None


@lru_cache(maxsize=16384)
def _hashed(path: str, _file: int, _changed: int) -> str | None:
    """A plan and an apply look at thousands of files that nobody has touched."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return None


# -- the manifest --------------------------------------------------------------------------------------------


def made_of(sounds: Path, sound: str) -> Made | None:
    path = sounds / sound
    return manifest(path.parent).get(path.name)


def manifest(folder: Path) -> Mapping[str, Made]:
    """What stands in a folder's manifest, by the last part of each name; empty if there is none that can be read."""
    path = folder / MANIFEST
    try:
        held = path.stat()
    except OSError:
        return {}
    return _manifest(str(path), held.st_ino, held.st_mtime_ns)


@lru_cache(maxsize=256)
def _manifest(path: str, _file: int, _changed: int) -> Mapping[str, Made]:
    known = {each.name for each in fields(Made)}
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            name: Made(**{key: value for key, value in made.items() if key in known})
            for name, made in told.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def note(sounds: Path, made: Mapping[str, Made | None]) -> None:
    """Writes prompts into the manifests of their folders; None takes one out."""
    folders: dict[Path, dict[str, Made]] = {}
    for name, each in made.items():
        path = sounds / name
        entries = folders.setdefault(path.parent, dict(manifest(path.parent)))
        if each is None:
            entries.pop(path.name, None)
        else:
            entries[path.name] = each
    for folder, entries in folders.items():
        told = {name: _plain(entries[name]) for name in sorted(entries)}
        lines = (
            f" {json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in told.items()
        )
        put(folder / MANIFEST, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def _plain(made: Made) -> dict[str, Any]:
    return {key: value for key, value in asdict(made).items() if value is not None}


def put(path: Path, content: bytes) -> None:
    """Puts a file in its place whole or not at all: written aside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


# -- what is kept of what was played -------------------------------------------------------------------------


def audio_id(made: Made) -> str:
    """By what a centre's configuration, Asterisk and the history name one piece of audio."""
    return made.audio[:16]


def keep(sounds: Path, kept: Path, played: Iterable[tuple[str, str]]) -> None:
    """Copies each (name, audio id) into `kept` as `<audio id>.<format>`, where Asterisk plays it from.

    There it stays for ever, so a text that is changed or built anew changes nothing until it is applied, and what
    was played years ago can be heard. What is kept already is not touched. Raises OSError, also for a piece that was
    built anew since it was read.
    """
    for name, audio in played:
        target = kept / f"{audio}{ULAW}"
        if target.exists():
            continue
        data = ulaw_of(sounds, name).read_bytes()
        if not digest(data).startswith(audio):
            raise OSError(
                f"{name}: 音声が作り直されました。もう一度実行してください / it was built anew: do it again"
            )
        wide = g722_of(sounds, name)
        if wide.is_file():
            put(kept / f"{audio}{G722}", wide.read_bytes())
        put(target, data)
