"""What the web asks about announcements: what the files on disk say, what was said before, and the audio."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

from callcore.centres import CentreFileErrors, read
from callcore.domain import facts as f
from callcore.domain.centre import Announcement
from callcore.domain.ids import CentreId, Instant
from callcore.journal import JournalError
from callcore.prompts import shelf, sound
from callcore.reports.said import history
from callcore.reports.tape import Tape
from callcore.settings import Settings

TURN_S = 10.0
"""How long one reading of the journal waits for another."""
_AUDIO = re.compile(r"[0-9a-f]{16}")


class Announced:
    """Keeps the port of `web.announcements`. Everything waits for the disk."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reading = threading.Lock()

    def written(self, centre: CentreId) -> Sequence[Announcement] | None:
        """What the files on disk say in each language, with the audio that was made of it (empty: there is none).
        None: the files cannot be read as they are."""
        try:
            found = read(self._settings.centres).centres
        except CentreFileErrors:
            return None
        told = []
        for each in (a for c in found if c.id == centre for a in c.announcements):
            text = each.text or shelf.text(self._settings.prompts, each.sound)
            fault = shelf.fault(self._settings.prompts, each.sound, text)
            made = shelf.made_of(self._settings.prompts, each.sound)
            if text is None:
                continue
            audio = shelf.audio_id(made) if fault is None and made is not None else ""
            told.append(Announcement(each.kind, each.language, text, each.sound, audio))
        return told

    def history(self, centre: CentreId, kind: str) -> list[tuple[Announcement, Instant, Instant | None]]:
        """Each version, from when to when (None: it is in force), the oldest first. The journal is read once at a time.
        Raises OSError, also when it is being read for somebody else for long."""
        if not self._reading.acquire(timeout=TURN_S):
            raise OSError("the journal is being read for somebody else")
        try:
            try:
                with Tape(self._settings.journal, self._settings.keys, f.Configured) as tape:
                    found, _ = history(tape.frames(), centre, kind)
            except JournalError as error:
                raise OSError(str(error)) from error
        finally:
            self._reading.release()
        return [(each.told, each.since, each.until) for each in found]

    def wav(self, audio: str) -> bytes | None:
        """A piece by its id: kept, or built and not yet applied. None: there is none. Raises OSError."""
        if not _AUDIO.fullmatch(audio):
            return None
        kept = self._settings.kept_prompts / f"{audio}{shelf.ULAW}"
        if kept.is_file():
            return sound.wav(kept.read_bytes())
        for path in self._settings.prompts.rglob(shelf.MANIFEST):
            for name, made in shelf.manifest(path.parent).items():
                if shelf.audio_id(made) == audio:
                    return sound.wav((path.parent / f"{name}{shelf.ULAW}").read_bytes())
        return None
