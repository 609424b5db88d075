"""Prompts: what callers and agents hear from the machine, one text and one piece of audio each.

The texts of a centre stand in its file; those of all centres in `common/<language>/<kind>.txt`. `make` turns
them into audio; to have people speak instead, put their recording (8 kHz, mono, 16 bit) in the wav's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from callcore.domain.centre import Announcement
from callcore.prompts import music, shelf
from callcore.prompts.speech import PromptsUnavailable, reading, say, write_text, write_wav

__all__ = ["PromptsUnavailable", "make", "make_music", "music_of", "reading"]


def make(
    sounds: Path,
    announcements: Iterable[Announcement],
    *,
    again: bool = False,
    progress: Callable[[Path, str | None], None] | None = None,
) -> list[Path]:
    """Makes each prompt that is missing or was made from another text, and says which (their wavs).

    Prompts that are in order are left alone, recordings of people with them; `again` makes every one anew. A
    common prompt's text is its own `.txt`, so after editing that, delete its wav and make.
    `progress` is told each wav and how its text is read in katakana (None for music), for a person to check.
    Raises `PromptsUnavailable`.
    """
    announced = list(announcements)
    wanted = [(each.sound, each.language, each.text) for each in announced]
    for language in sorted({each.language for each in announced} | {"ja"}):
        for kind in shelf.COMMON_KINDS:
            sound = shelf.sound(shelf.COMMON, language, kind)
            wanted.append((sound, language, _common_text(sounds, sound)))
    made = []
    for sound, language, text in wanted:
        if again or shelf.fault(sounds, sound, text) is not None:
            made.append(_make_one(sounds, sound, language, text))
            if progress is not None:
                progress(made[-1], reading(text))
    wav = music_of(sounds)
    if again or not shelf.is_telephone_audio(wav):
        made.append(make_music(sounds))
        if progress is not None:
            progress(wav, None)
    return made


def make_music(sounds: Path) -> Path:
    """Makes the music on hold: `music/default.wav`, about half a minute that loops without a seam."""
    path = music_of(sounds)
    try:
        write_wav(path, music.loop())
    except ImportError as error:
        raise PromptsUnavailable(
            "音楽を作る部品(numpy)がありません。pip install -e '.[prompts]' を実行してください。\n"
            "What makes the music (numpy) is not installed: run pip install -e '.[prompts]'"
        ) from error
    return path


def music_of(sounds: Path) -> Path:
    return sounds / shelf.MUSIC / "default.wav"


def _make_one(sounds: Path, sound: str, language: str, text: str) -> Path:
    if language != "ja":
        raise PromptsUnavailable(
            f"{sound}: 日本語以外の音声はまだ作れません。録音した wav と、その文の .txt を置いてください。\n"
            f"{sound}: only Japanese can be made yet; put a recorded wav and its .txt there"
        )
    path = shelf.wav_of(sounds, sound)
    samples = say(text)
    # The text last: until it stands there, a check sees that the audio is of another text.
    write_wav(path, samples)
    write_text(shelf.text_of(sounds, sound), text)
    return path


def _common_text(sounds: Path, sound: str) -> str:
    text = shelf.made_from(sounds, sound)
    if text is None:
        path = shelf.text_of(sounds, sound)
        raise PromptsUnavailable(
            f"{path} がありません。話す文を1行で書いてください。\n"
            f"{path} is missing: write there what is to be said"
        )
    return text
