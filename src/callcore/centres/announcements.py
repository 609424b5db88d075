"""What a centre says: the announcements of its file, and the prompts that its callers and phones hear besides.

For each kind and language the centre's own text counts; where it has none, the text common to all centres
(`ivr_prompts/<language>/<kind>.txt`). A language whose audio is missing may have a substitute: then callers hear the
other language, piece by piece until the own one is there, and `check` warns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from callcore.centres.problems import Problem
from callcore.centres.sheet import Table
from callcore.domain.centre import PHRASE_MOST_S, Announcement, Comfort
from callcore.domain.ids import CentreId
from callcore.prompts import faults, shelf, spoken

OPTIONAL_KINDS = (*shelf.CALLERS_KINDS, *shelf.OWN_KINDS)
"""A centre may have words of its own for them. What callers hear (but `overflow`, which is for centres with a rule that
announces) every centre says by the common text where it has none."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a centre says."""

    announcements: tuple[Announcement, ...]
    phrases: tuple[tuple[str, str], ...] = ()
    """Languages whose numbers, times and dates callers hear in another one: (language, its substitute)."""


def read_substitutes(head: Table, languages: tuple[str, ...]) -> dict[str, str]:
    """`substitutes = { tl = "en" }`: what callers hear where a language has no audio of its own."""
    table = head.table("substitutes", required=False)
    found = {}
    for language in languages:
        if not table.given(language):
            continue
        other = table.text(language, "en")
        if other and (other not in shelf.LANGUAGES or other == language or other in table):
            table.wrong(
                language,
                f"「{other}」は「{language}」の代わりになりません",
                f'"{other}" can\'t be a substitute for "{language}"',
                f'代わりのいらない別の言語を書いてください。例: substitutes = {{ {language} = "en" }}',
                f'name another language that needs none itself, e.g. substitutes = {{ {language} = "en" }}',
            )
        else:
            found[language] = other
    table.close()
    return found


def read_announcements(
    top: Table,
    centre: CentreId,
    languages: tuple[str, ...],
    substitutes: dict[str, str],
    sounds: Path | None,
    wanted: tuple[str, ...],
    subjects: tuple[str, ...] = (),
) -> Told:
    """`wanted`: the kinds that the centre must have; `subjects`: those that it must have in its first language, which
    departments hear. Without `sounds` a common text is empty; nothing is missing."""
    found = []
    replaced: dict[str, list[str]] = {}
    common = () if sounds is None else shelf.kinds(sounds)
    wanted = (*wanted, *(kind for kind in common if kind != "overflow"))
    for kind in dict.fromkeys((*wanted, *subjects, *OPTIONAL_KINDS)):
        if kind not in (*wanted, *subjects) and kind not in top:
            top.given(kind)
            continue
        table = top.table(kind, required=False)
        texts = {
            language: table.text(language, "…").strip() for language in languages if table.given(language)
        }
        for other in set(substitutes.values()):
            if other not in languages and table.given(other):
                texts[other] = table.text(other, "…").strip()
        for n, language in enumerate(languages):
            if kind in (*shelf.OWN_KINDS, *subjects) and kind not in wanted and n and language not in texts:
                continue
            told = _one(table, kind, language, centre, texts, substitutes, sounds)
            if told is not None:
                found.append(told)
                if (
                    sounds is not None
                    and language in substitutes
                    and _language(told) == substitutes[language]
                ):
                    replaced.setdefault(language, []).append(kind)
        table.close()
    top.close()
    if sounds is None:
        return Told(tuple(found))
    # Without a text for callers of all centres this is a folder that speaks by the centres' own words alone.
    instead = _phrases(top, languages, substitutes, sounds) if common else ()
    for language, _ in instead:
        replaced.setdefault(language, []).append(shelf.SPOKEN)
    for language, kinds in replaced.items():
        _warn(top, language, substitutes[language], kinds)
    return Told(tuple(found), instead)


def _one(
    table: Table,
    kind: str,
    language: str,
    centre: CentreId,
    texts: dict[str, str],
    substitutes: dict[str, str],
    sounds: Path | None,
) -> Announcement | None:
    """What callers of this language hear; None with the fault noted."""
    own = _candidate(kind, language, centre, texts, sounds)
    if sounds is None:
        return own or Announcement(kind, language, "", f"{language}/{kind}")
    other = substitutes.get(language)
    if own is not None:
        fault = shelf.fault(sounds, own.sound, own.text)
        if fault is None:
            return _with_audio(own, sounds)
        if other is None or fault != "missing":
            table.wrong(
                language, *faults.said(fault, sounds, own.sound), *faults.mend(fault, sounds, own.sound)
            )
            return own
    instead = None if other is None else _candidate(kind, other, centre, texts, sounds)
    if instead is None:
        _no_text(table, kind, language, other)
        return None
    fault = shelf.fault(sounds, instead.sound, instead.text)
    if fault is not None:
        table.wrong(
            language, *faults.said(fault, sounds, instead.sound), *faults.mend(fault, sounds, instead.sound)
        )
    told = Announcement(kind, language, instead.text, instead.sound)
    return told if fault is not None else _with_audio(told, sounds)


def _candidate(
    kind: str, language: str, centre: CentreId, texts: dict[str, str], sounds: Path | None
) -> Announcement | None:
    if language in texts:
        return Announcement(kind, language, texts[language], shelf.sound(centre, language, kind))
    name = f"{language}/{kind}"
    common = None if sounds is None else shelf.text(sounds, name)
    return None if common is None else Announcement(kind, language, common, name)


def _with_audio(told: Announcement, sounds: Path) -> Announcement:
    made = shelf.made_of(sounds, told.sound)
    assert made is not None  # else it had a fault
    return Announcement(told.kind, told.language, told.text, told.sound, shelf.audio_id(made))


def _language(told: Announcement) -> str:
    """Of the sound: `oita/en/closed` or `en/closed`."""
    return told.sound.split("/")[-2]


def _no_text(table: Table, kind: str, language: str, other: str | None) -> None:
    shown = f'{language} = "{"お電話ありがとうございます。" if language == "ja" else "…"}"'
    named = f"「{language}」" if other is None else f"「{language}」も代わりの「{other}」も"
    named_en = f'"{language}"' if other is None else f'"{language}" and its substitute "{other}"'
    table.wrong(
        language,
        f"案内「{kind}」の{named}がありません",
        f"the announcement {kind} has no text in {named_en}",
        f"例: {shown}",
        f"e.g. {shown}",
    )


def _phrases(
    top: Table, languages: tuple[str, ...], substitutes: dict[str, str], sounds: Path
) -> tuple[tuple[str, str], ...]:
    """Which languages have numbers, times and dates of another one, as a whole: each has an order of its own."""
    instead = []
    for language in languages:
        lacking = absent(sounds, language)
        other = substitutes.get(language)
        if lacking and other is not None and not absent(sounds, other):
            instead.append((language, other))
        elif lacking:
            _missing(top, language, lacking, sounds)
    return tuple(instead)


def absent(sounds: Path, language: str) -> list[tuple[str, shelf.Fault]]:
    """The numbers, times and dates of a language that can't be played, and why."""
    found = []
    for phrase, text in spoken.vocabulary(language).items():
        name = f"{language}/{shelf.SPOKEN}/{phrase}"
        fault = shelf.fault(sounds, name, text)
        if fault is not None:
            found.append((name, fault))
    return found


def _missing(top: Table, language: str, lacking: list[tuple[str, shelf.Fault]], sounds: Path) -> None:
    name, fault = lacking[0]
    ja, en = faults.said(fault, sounds, name)
    more = len(lacking) - 1
    top.sheet.wrong(
        top.at(),
        f"言語「{language}」: {ja}" + (f"(ほか {more} 件)" if more else ""),
        f'language "{language}": {en}' + (f" (and {more} more)" if more else ""),
        *faults.mend(fault, sounds, name),
    )


def _warn(top: Table, language: str, other: str, kinds: list[str]) -> None:
    listed = ", ".join(kinds)
    top.sheet.warn(
        ("centre", "substitutes", language),
        f"言語「{language}」は、次の案内を「{other}」の音声で流します: {listed}",
        f'callers of the language "{language}" hear "{other}" for: {listed}',
        f"録音を callcore prompts use で入れ、callcore apply で切り替えます"
        f"(名前は callcore prompts list --language {language})",
        f"bring recordings in with callcore prompts use (names: callcore prompts list --language {language}); "
        "each takes its place with callcore apply",
    )


def check_phrases(
    top: Table, told: Told, languages: tuple[str, ...], comforts: Iterable[Comfort], sounds: Path
) -> None:
    """Notes what is said to who waits and is too long: an agent may be kept for its end."""
    kinds = {kind for comfort in comforts for kind in comfort.say}
    for each in told.announcements:
        if each.kind in kinds:
            where = top.at("announcements", each.kind, each.language)
            _check_phrase(top, where, each.kind, each.language, each.sound, sounds)
    heads = {"place-": any(each.place for each in comforts), "wait-": any(each.wait for each in comforts)}
    instead = dict(told.phrases)
    for language in languages:
        spoken_as = instead.get(language, language)
        for name in spoken.vocabulary(spoken_as) if spoken_as in shelf.LANGUAGES else ():
            if any(name.startswith(head) for head, said in heads.items() if said):
                sound = f"{spoken_as}/{shelf.SPOKEN}/{name}"
                _check_phrase(top, top.at("centre", "languages"), name, language, sound, sounds)


def _check_phrase(
    top: Table, where: tuple[str | int, ...], name: str, language: str, sound: str, sounds: Path
) -> None:
    made = shelf.made_of(sounds, sound)
    if made is not None and made.duration_s > PHRASE_MOST_S:
        top.sheet.wrong(
            where,
            f"待ち中の案内「{name}」({language})が {made.duration_s:.1f} 秒あります",
            f"the phrase {name} ({language}) for who waits is {made.duration_s:.1f} s long",
            f"{PHRASE_MOST_S} 秒以内にするか、文を2つに分けてください",
            f"make it {PHRASE_MOST_S} s at most, or two of it",
        )


def of_phones(sounds: Path, languages: Iterable[str]) -> list[Problem]:
    """What is wrong with the prompts of the desk phones, in the languages that their centres speak first."""
    problems = []
    for language in sorted(languages):
        for kind in shelf.COMMON_KINDS:
            name = shelf.sound(shelf.COMMON, language, kind)
            fault = shelf.fault(sounds, name, shelf.text(sounds, name))
            if fault is not None:
                words = (*faults.said(fault, sounds, name), *faults.mend(fault, sounds, name))
                problems.append(Problem(shelf.ulaw_of(sounds, name), None, *words))
    return problems
