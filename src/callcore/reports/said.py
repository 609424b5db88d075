"""What a centre's announcements said, and from when to when: read from the configurations in the journal.

The audio itself is kept under its id (`Settings.kept_prompts`), so that it can be heard years later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from callcore.domain import facts as f
from callcore.domain.centre import Announcement
from callcore.domain.ids import SECOND, Instant
from callcore.journal import JournalError
from callcore.prompts import shelf
from callcore.reports.commands import CannotTell
from callcore.reports.tape import FrameLike, Tape, facts_of
from callcore.settings import Settings

MILLISECOND = SECOND // 1000


@dataclass(frozen=True, slots=True)
class Said:
    """One announcement as it was in force. `until` None: it is now, or was when the journal ends."""

    told: Announcement
    since: Instant
    until: Instant | None

    def holds(self, at: Instant) -> bool:
        """To the millisecond, as the instants are shown: what is shown as a beginning can be asked for."""
        shown = at // MILLISECOND
        return self.since // MILLISECOND <= shown and (
            self.until is None or shown < self.until // MILLISECOND
        )


def history(frames: Iterable[FrameLike], centre: str, kind: str) -> tuple[list[Said], str | None]:
    """Every version in the order of its beginning, and the centre's time zone; None: no such centre was ever there."""
    open_: dict[str, Said] = {}
    closed: list[Said] = []
    zone = None
    for at, told in _told(frames, centre, kind):
        zone = told[1] or zone
        for language in {*open_, *told[0]}:
            before, now = open_.get(language), told[0].get(language)
            if before is not None and before.told == now:
                continue
            if before is not None:
                closed.append(replace(before, until=at))
                del open_[language]
            if now is not None:
                open_[language] = Said(now, at, None)
    return sorted([*closed, *open_.values()], key=lambda each: (each.since, each.told.language)), zone


def _told(
    frames: Iterable[FrameLike], centre: str, kind: str
) -> Iterator[tuple[Instant, tuple[dict[str, Announcement], str | None]]]:
    """When a configuration came, and what it says: language → announcement, with the centre's zone."""
    for frame in frames:
        for fact in facts_of(frame):
            if isinstance(fact, f.Configured):
                found = next((each for each in fact.configuration.centres if each.id == centre), None)
                told = () if found is None else found.announcements
                yield (
                    fact.at,
                    (
                        {each.language: each for each in told if each.kind == kind},
                        None if found is None else found.time_zone,
                    ),
                )


def said(
    settings: Settings, centre: str, kind: str, *, language: str | None, at: str | None
) -> tuple[list[Said], ZoneInfo]:
    """What the command shows. `at`: local to the centre, ISO. Raises CannotTell."""
    try:
        with Tape(settings.journal, settings.keys, f.Configured) as tape:
            found, name = history(tape.frames(), centre, kind)
    except JournalError as error:
        raise CannotTell(str(error)) from None
    if name is None:
        raise CannotTell(
            f"センター {centre} はジャーナルにありません / there is no centre {centre} in the journal"
        )
    zone = ZoneInfo(name)
    found = [each for each in found if language is None or each.told.language == language]
    if at is not None:
        instant = _instant(at, zone)
        found = [each for each in found if each.holds(instant)]
    if not found:
        raise CannotTell(
            f"案内 {kind} はこの条件ではありません / no announcement {kind} fits what was asked for"
        )
    return found, zone


def _instant(text: str, zone: ZoneInfo) -> Instant:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CannotTell(
            f"{text}: 時刻は 2026-11-20T10:00:00 のように書いてください / "
            f"{text}: write an instant like 2026-11-20T10:00:00"
        ) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return Instant(round(moment.timestamp() * SECOND))


def lines(found: list[Said], zone: ZoneInfo, kept: Path) -> Iterator[str]:
    """Two lines for each: from – to, language and audio; the text."""
    for each in found:
        audio = each.told.audio or "–"
        heard = "" if (kept / f"{audio}{shelf.ULAW}").is_file() else " (音声なし / no audio)"
        yield f"{_shown(each.since, zone)} – {_shown(each.until, zone)}  {each.told.language}  {audio}{heard}"
        yield f"    {each.told.text}"


def _shown(at: Instant | None, zone: ZoneInfo) -> str:
    if at is None:
        return "現在 / now"
    return datetime.fromtimestamp(at / SECOND, zone).isoformat(sep=" ", timespec="milliseconds")
