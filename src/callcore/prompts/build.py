"""Makes the audio of every text that has none, or whose text or recording has changed. The rest is left alone.

What a person has spoken is never overwritten. A recording for another text than the one that stands there now, and
audio that somebody put in by hand, are left and named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from callcore.domain.centre import Announcement
from callcore.prompts import faults, music, shelf, sound, spoken, voices
from callcore.prompts.voices import PromptsUnavailable

Why = Literal["recorded_for_another_text", "put_there_by_hand", "no_voice", "text_missing"]


BATCH = 50
"""Pieces for one run of ffmpeg: what is lost when the making is broken off."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One prompt and what it is to say; `text` None: its `.txt` is missing."""

    name: str
    language: str
    text: str | None

    @property
    def phrase(self) -> bool:
        """Whether it is a part of a sentence."""
        return f"/{shelf.SPOKEN}/" in self.name

    @property
    def for_phones(self) -> bool:
        """Whether desk phones play it, which are wide-band."""
        owner, *_, kind = self.name.split("/")
        return owner == shelf.COMMON or kind in shelf.AGENTS_KINDS


@dataclass(frozen=True, slots=True)
class Built:
    made: tuple[str, ...]
    left: tuple[tuple[str, Why], ...]
    """What is not as it should be and can't be mended here."""


def wanted(sounds: Path, announcements: Iterable[Announcement]) -> Iterator[Wanted]:
    """Every prompt that there should be, each once: the centres' own, all callers', all desk phones', the phrases."""
    seen = set()
    common = set(shelf.LANGUAGES)
    for each in announcements:
        if each.sound.split("/")[0] not in common and each.sound not in seen:
            seen.add(each.sound)
            yield Wanted(each.sound, each.language, each.text)
    for language in shelf.LANGUAGES:
        folder = sounds / shelf.COMMON / language
        for kind in shelf.COMMON_KINDS if folder.is_dir() or language == "ja" else ():
            name = shelf.sound(shelf.COMMON, language, kind)
            yield Wanted(name, language, shelf.text(sounds, name))
    for language in shelf.LANGUAGES:
        texts = sorted((sounds / language).glob("*.txt"))
        for path in texts:
            name = f"{language}/{path.stem}"
            yield Wanted(name, language, shelf.text(sounds, name))
        for phrase, text in spoken.vocabulary(language).items() if texts else ():
            yield Wanted(f"{language}/{shelf.SPOKEN}/{phrase}", language, text)


def build(
    sounds: Path,
    announcements: Iterable[Announcement],
    *,
    again: bool = False,
    progress: Callable[[str, str | None], None] | None = None,
) -> Built:
    """`again` makes every voice's audio anew. `progress` is told each name and, for Japanese, how its text is read.

    Raises `PromptsUnavailable` when something that is needed is not installed.
    """
    todo: list[tuple[Wanted, Path | None]] = []
    left: list[tuple[str, Why]] = []
    for each in wanted(sounds, announcements):
        why = _task(sounds, each, again, todo)
        if why is not None:
            left.append((each.name, why))
    done = []

    def tell(every: Iterable[Wanted]) -> None:
        for each in every:
            done.append(each.name)
            if progress is not None:
                progress(each.name, voices.reading(each.text or "") if each.language == "ja" else None)

    for each, recording in todo:
        if recording is not None:
            use(sounds, each, recording)
            tell([each])
    voiced = [each for each, recording in todo if recording is None]
    for _, group in groupby(voiced, lambda each: (each.language, each.phrase, each.for_phones)):
        for batch in _batches(list(group)):
            _speak(sounds, batch)
            tell(batch)
    _tidy(sounds)
    if again or not music_of(sounds).is_file():
        make_music(sounds)
        done.append(f"{shelf.MUSIC}/default")
        if progress is not None:
            progress(done[-1], None)
    return Built(tuple(done), tuple(left))


def _task(sounds: Path, each: Wanted, again: bool, todo: list[tuple[Wanted, Path | None]]) -> Why | None:
    """Adds what is to be made; else says what stands in the way, or None: all right as it is."""
    if each.text is None:
        return "text_missing"
    held = shelf.made_of(sounds, each.name)
    fault = shelf.fault(sounds, each.name, each.text)
    recording = shelf.recording_of(sounds, each.name)
    if recording is not None:
        spoken_before = held is not None and held.recording == shelf.digest(recording.read_bytes())
        if not spoken_before or fault == "missing":
            todo.append((each, recording))
            return None
        return "recorded_for_another_text" if fault is not None else None
    if fault == "not_made_here":
        return "put_there_by_hand"
    if held is not None and held.source == "recorded" and fault != "missing":
        return "recorded_for_another_text" if fault is not None else None
    if fault is None and not again:
        return None
    if not voices.speaks(each.language):
        return "no_voice"
    todo.append((each, None))
    return None


def use(sounds: Path, each: Wanted, file: Path) -> shelf.Made:
    """Takes a recording in as the audio of a prompt and keeps it beside. Raises `PromptsUnavailable`, then all is
    as it was."""
    if each.text is None:
        raise PromptsUnavailable(
            f"{each.name}: 文がありません。先に文を書いてください / it has no text: write that first"
        )
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PromptsUnavailable(f"{file}: {error.strerror}") from None
    audio = sound.of_recording(file, margin_ms=_margin(each), wide=each.for_phones)
    before = shelf.recording_of(sounds, each.name)
    path = (sounds / each.name).with_name(
        f"{Path(each.name).name}{shelf.RECORDED}{file.suffix.lower() or '.wav'}"
    )
    if file != path:
        shelf.put(path, data)
    if before is not None and before != path:
        before.unlink()
    made = _put(sounds, each, audio, "recorded", "人の声 / a person", "–", shelf.digest(data))
    shelf.note(sounds, {each.name: made})
    return made


def approve(sounds: Path, each: Wanted, by: str, on: str) -> shelf.Made:
    """Notes who has listened to a prompt and lets it go out (`on`: ISO date). Raises `PromptsUnavailable` for one that
    must not: missing, of another text, silent, of another level, or clipped."""
    fault = shelf.fault(sounds, each.name, each.text)
    if fault is not None:
        (ja, en), (mend_ja, mend_en) = (told(fault, sounds, each.name) for told in (faults.said, faults.mend))
        raise PromptsUnavailable(f"{ja} → {mend_ja} / {en} → {mend_en}")
    made = shelf.made_of(sounds, each.name)
    assert made is not None  # else it had a fault
    if made.loudness_lufs <= sound.SILENT_LUFS:
        raise PromptsUnavailable(
            f"{each.name}: 無音です。録音し直してください / it is silent: record it again"
        )
    if abs(made.loudness_lufs - sound.TARGET_LUFS) > sound.TOLERANCE_LU:
        raise PromptsUnavailable(
            f"{each.name}: 音量が {made.loudness_lufs:.1f} LUFS です({sound.TARGET_LUFS:g} ± {sound.TOLERANCE_LU:g})。"
            f"録音し直してください / its level is {made.loudness_lufs:.1f} LUFS, not {sound.TARGET_LUFS:g} ± "
            f"{sound.TOLERANCE_LU:g}: record it again"
        )
    recording = shelf.recording_of(sounds, each.name)
    share = 0.0 if recording is None else sound.clipped(recording)
    if share > sound.CLIPPED_MOST:
        raise PromptsUnavailable(
            f"{each.name}: 録音の {share:.2%} が最大に達し、音が割れています。小さめに録音し直してください / "
            f"{share:.2%} of the recording is at full scale, so it is clipped: record it again, not so loud"
        )
    approved = replace(made, approved_by=by, approved_on=on)
    shelf.note(sounds, {each.name: approved})
    return approved


def make_music(sounds: Path) -> Path:
    """Makes the music on hold: `music/default.wav`, about half a minute that loops without a seam."""
    path = music_of(sounds)
    try:
        shelf.put(path, sound.wav_of(music.loop()))
    except ImportError as error:
        raise PromptsUnavailable(
            "音楽を作る部品(numpy)がありません。scripts/prompts で実行してください。\n"
            "What makes the music (numpy) is not installed: run scripts/prompts"
        ) from error
    return path


def music_of(sounds: Path) -> Path:
    return sounds / shelf.MUSIC / "default.wav"


def _tidy(sounds: Path) -> None:
    """Takes away what a voice has made for texts that are no more, of what is common to callers."""
    for language in shelf.LANGUAGES:
        kinds = {path.stem for path in (sounds / language).glob("*.txt")}
        for folder, names in ((language, kinds), (f"{language}/{shelf.SPOKEN}", spoken.vocabulary(language))):
            for name, made in shelf.manifest(sounds / folder).items():
                if name not in names and made.source == "voice":
                    shelf.ulaw_of(sounds, f"{folder}/{name}").unlink(missing_ok=True)
                    shelf.note(sounds, {f"{folder}/{name}": None})


def _batches(every: list[Wanted]) -> Iterator[list[Wanted]]:
    for n in range(0, len(every), BATCH):
        yield every[n : n + BATCH]


def _speak(sounds: Path, batch: list[Wanted]) -> None:
    """All of one language and one place."""
    first = batch[0]

    def say(each: Wanted) -> voices.Spoken:
        assert each.text is not None
        return voices.speak(each.language, each.text)

    if first.language == "ja":  # Mei speaks one text at a time, in this process
        said = [say(each) for each in batch]
    else:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            said = list(pool.map(say, batch))
    audio = sound.of_voices(said, margin_ms=_margin(first), wide=first.for_phones)
    made = {
        each.name: _put(sounds, each, one, "voice", voice.voice, voice.licence, None)
        for each, one, voice in zip(batch, audio, said, strict=True)
    }
    shelf.note(sounds, made)


def _margin(each: Wanted) -> int:
    return sound.PHRASE_MARGIN_MS if each.phrase else sound.MARGIN_MS


def _put(
    sounds: Path,
    each: Wanted,
    audio: sound.Audio,
    source: shelf.Source,
    voice: str,
    licence: str,
    recording: str | None,
) -> shelf.Made:
    made = shelf.Made(
        text=shelf.digest((each.text or "").strip()),
        audio=shelf.digest(audio.ulaw),
        source=source,
        voice=voice,
        licence=licence,
        duration_s=round(audio.duration_s, 3),
        loudness_lufs=round(audio.loudness_lufs, 2),
        peak_dbfs=round(audio.peak_dbfs, 2),
        recording=recording,
    )
    g722 = shelf.g722_of(sounds, each.name)
    if audio.g722 is not None:
        shelf.put(g722, audio.g722)
    else:
        g722.unlink(missing_ok=True)
    shelf.put(shelf.ulaw_of(sounds, each.name), audio.ulaw)
    return made
