"""Where recordings lie, and the one door through which their sound is read: plain while it is new, sealed afterwards.

<spool>/<name>.wav                   as Asterisk writes it; the name is the call's id, or begins with it
<spool>/<name>.left.sln, .right.sln  its two sides, where its centre wants them (`sides`)
<store>/<centre>/<day>/<name>.ccr    sealed (`vault`), told of by that day's chain (`chain`)
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from callcore.domain.recording import SoundFormat
from callcore.recordings.chain import centres_of, days_of
from callcore.recordings.keys import KeyRing
from callcore.recordings.vault import ENDS, Digest, Unsealed, read_head

PLAIN_ENDS = ".wav"


@dataclass(frozen=True, slots=True)
class Recordings:
    spool: Path
    store: Path
    ring: KeyRing

    def open(self, name: str) -> BinaryIO:
        """The sound of a recording, to be read from any place. Raises FileNotFoundError, OSError, RecordingError."""
        return self.sound(name)[0]

    def sound(self, name: str) -> tuple[BinaryIO, str]:
        """As `open`, and its format."""
        try:
            return (self.spool / (name + PLAIN_ENDS)).open("rb"), SoundFormat.WAV.value
        except FileNotFoundError:
            path = self.find(name)
            if path is None:
                raise
        return self.sound_in(path)

    def captured(self, name: str) -> Digest | None:
        """What it was as Asterisk wrote it, where it is kept as anything else. Raises OSError, RecordingError."""
        path = None if (self.spool / (name + PLAIN_ENDS)).exists() else self.find(name)
        if path is None:
            return None
        with path.open("rb") as file:
            return read_head(file, path)[0].captured

    def opened(self, path: Path) -> BinaryIO:
        """As `open`, of a sealed file."""
        return self.sound_in(path)[0]

    def sound_in(self, path: Path) -> tuple[BinaryIO, str]:
        """As `sound`, of a sealed file."""
        sealed = self.unsealed(path)
        return cast("BinaryIO", io.BufferedReader(sealed)), sealed.head.form

    def unsealed(self, path: Path) -> Unsealed:
        """A sealed file, opened. Raises FileNotFoundError, OSError, RecordingError."""
        file = path.open("rb")
        try:
            head, bound = read_head(file, path)
            key = self.ring.key(head.centre, head.day, head.file, head.name)
            return Unsealed(path, file, head, bound, key)
        except BaseException:
            file.close()
            raise

    def path(self, name: str) -> Path | None:
        """Where it lies now, plain or sealed; None: nowhere."""
        plain = self.spool / (name + PLAIN_ENDS)
        return plain if plain.exists() else self.find(name)

    def find(self, name: str) -> Path | None:
        """The sealed file of a recording, if it is in the store."""
        for folder in self._folders():
            path = folder / (name + ENDS)
            if path.exists():
                return path
        return None

    def sealed(self, since: str) -> Iterator[Path]:
        """The sealed files of the days from `since` (ISO) on."""
        for folder in self._folders():
            if folder.name >= since:
                yield from sorted(folder.glob("[!.]*" + ENDS))

    def _folders(self) -> Iterator[Path]:
        """The newest day first."""
        centres = centres_of(self.store)
        found = [self.store / centre / day for centre in centres for day in days_of(self.store, centre)]
        yield from sorted(found, key=lambda folder: folder.name, reverse=True)
