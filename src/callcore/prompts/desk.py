"""What a person does with prompts: look at all of them, hear one, bring a recording in, approve."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from callcore.domain.centre import Announcement
from callcore.prompts import build, shelf, sound
from callcore.prompts.build import Wanted
from callcore.prompts.voices import PromptsUnavailable


class State(Enum):
    MISSING = "missing"
    WRONG = "wrong"
    """Of another text, or put there by hand."""
    SUBSTITUTE = "substitute"
    PLACEHOLDER = "placeholder"
    RECORDED = "recorded"
    APPROVED = "approved"


WORDS = {
    State.MISSING: "なし / missing",
    State.WRONG: "不一致 / wrong",
    State.SUBSTITUTE: "代用 / substitute",
    State.PLACEHOLDER: "仮の音声 / placeholder",
    State.RECORDED: "録音 / recorded",
    State.APPROVED: "承認済み / approved",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt as it stands."""

    wanted: Wanted
    state: State
    made: shelf.Made | None

    def line(self) -> str:
        """Name, state, length in s, loudness in LUFS, who approved, text."""
        made = self.made
        figures = "–" if made is None else f"{made.duration_s:.1f} s  {made.loudness_lufs:.1f} LUFS"
        by = "" if made is None or made.approved_by is None else f"  {made.approved_by} {made.approved_on}"
        return f"{self.wanted.name}  {WORDS[self.state]}  {figures}{by}  {self.wanted.text or '–'}"


def items(sounds: Path, told: Sequence[Announcement]) -> list[Item]:
    """Every prompt. A language with a substitute in any centre has substitutes, where it has no audio."""
    substituted = {each.language for each in told if each.sound.split("/")[-2] != each.language}
    return [_item(sounds, each, substituted) for each in build.wanted(sounds, told)]


def _item(sounds: Path, wanted: Wanted, substituted: set[str]) -> Item:
    fault = shelf.fault(sounds, wanted.name, wanted.text)
    made = shelf.made_of(sounds, wanted.name)
    if fault is not None:
        away = fault in ("missing", "text_missing")
        state = State.SUBSTITUTE if wanted.language in substituted else State.MISSING
        return Item(wanted, state if away else State.WRONG, None if away else made)
    assert made is not None
    if made.approved_by is not None:
        return Item(wanted, State.APPROVED, made)
    return Item(wanted, State.RECORDED if made.source == "recorded" else State.PLACEHOLDER, made)


def listed(every: Iterable[Item], *, phrases: bool) -> Iterator[str]:
    """A line each; numbers, times and dates by count unless asked for."""
    counted: dict[tuple[str, State], int] = {}
    for item in every:
        if item.wanted.phrase and not phrases:
            key = (item.wanted.language, item.state)
            counted[key] = counted.get(key, 0) + 1
        else:
            yield item.line()
    for (language, state), count in counted.items():
        yield f"{language}/{shelf.SPOKEN}/…  {WORDS[state]}  {count}"


def found(sounds: Path, told: Sequence[Announcement], name: str) -> Wanted:
    """Raises `PromptsUnavailable` for a name that no prompt has."""
    for each in build.wanted(sounds, told):
        if each.name == name:
            return each
    raise PromptsUnavailable(
        f"音声 {name} はありません。名前は callcore prompts list --all に出ます / "
        f"there is no prompt {name}: callcore prompts list --all shows the names"
    )


PLAYERS = (("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"), ("aplay", "-q"), ("paplay",))
"""What a workstation plays a wav with: the first that is installed."""


def play(sounds: Path, kept: Path, name: str) -> None:
    """Plays a prompt, or a piece of the history, on this machine. Raises `PromptsUnavailable`."""
    player = next((each for each in PLAYERS if shutil.which(each[0])), None)
    if player is None:
        raise PromptsUnavailable(
            "音声を鳴らすプログラム(ffplay など)がありません。callcore prompts export で wav に書き出してください / "
            "there is nothing to play it with (ffplay or the like): write a wav with callcore prompts export"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompt.wav"
        export(sounds, kept, name, file)
        done = subprocess.run([*player, str(file)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PromptsUnavailable(
            "鳴らせませんでした。callcore prompts export で書き出してください / it could not be played: write a wav "
            f"with callcore prompts export ({player[0]}: {done.stderr.strip()})"
        )


def export(sounds: Path, kept: Path, name: str, file: Path) -> None:
    """Writes a prompt, or a piece of the history by its audio id, as a wav. Raises `PromptsUnavailable`."""
    path = shelf.ulaw_of(sounds, name)
    if not path.is_file():
        path = kept / f"{Path(name).name}{shelf.ULAW}"
    try:
        data = path.read_bytes()
    except OSError:
        raise PromptsUnavailable(
            f"音声 {name} がありません。callcore prompts build で作るか、callcore prompts history の音声の番号を"
            f"書いてください / there is no audio {name}: make it with callcore prompts build, or name a piece that "
            "callcore prompts history shows"
        ) from None
    try:
        shelf.put(file, sound.wav(data))
    except OSError as error:
        raise PromptsUnavailable(f"{file}: {error.strerror}") from None
