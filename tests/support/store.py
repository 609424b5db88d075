"""A store of kept recordings in a folder of the test's own, filled by the real keeper."""

from __future__ import annotations

import errno
import os
import re
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from callcore.db import DatabaseAway
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.measures import Books
from callcore.domain.recording import RecordingKind
from callcore.recordings import Keeper, KeyRing, Recordings
from callcore.recordings.keeper import Whose
from callcore.recordings.signing import PublicKeys, public_keys
from callcore.recordings.verify import Verdict, verify
from callcore.runtime.ports import Seq, View

NOON = Instant(1_795_143_600 * SECOND)
"""2026-11-20 12:00 in Japan."""
DAY_US = 86_400 * SECOND


@dataclass
class World:
    """What the keeper sees: a view and a clock that the test sets."""

    at: Instant = NOON
    floor: Floor = field(default_factory=Floor)
    books: Books = field(default_factory=Books)
    engine: bool = True
    centres: dict[str, str] = field(default_factory=dict)
    away: bool = False

    def view(self) -> View:
        return View(Seq(1, 1), self.floor, self.books)

    def now(self) -> Instant:
        return self.at

    def stale_s(self) -> float | None:
        return None

    async def changed(self, after: Seq) -> View:
        raise AssertionError("nobody waits here")

    async def centre_of(self, call: CallId) -> CentreId | None:
        if self.away:
            raise DatabaseAway("away")
        centre = self.centres.get(call)
        return None if centre is None else CentreId(centre)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class House:
    """Spool, store, keys, protected recordings."""

    home: Path
    world: World = field(default_factory=World)
    stop_at: str | None = None
    steps: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.spool.mkdir(parents=True, exist_ok=True)

    @property
    def spool(self) -> Path:
        return self.home / "recordings"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def keys(self) -> Path:
        return self.home / "keys" / "recordings"

    @property
    def protected(self) -> Path:
        return self.home / "protected"

    @property
    def recordings(self) -> Recordings:
        return Recordings(self.spool, self.store, KeyRing(self.keys))

    def keeper(self) -> Keeper:
        """A process that has just been started."""
        world = self.world
        return Keeper(
            self.recordings,
            self.protected,
            world,
            30,
            lambda: world.engine,
            world.centre_of,
            (DatabaseAway,),
            self._step,
        )

    def _step(self, what: str) -> None:
        self.steps.append(what)
        if what == self.stop_at:
            raise Killed(what)

    def record(self, name: str, sound: bytes = b"", *, age_s: float = 0) -> Path:
        """A plain file as Asterisk leaves it; its last byte is so old by the world's clock."""
        path = self.spool / f"{name}.wav"
        path.write_bytes(sound or os.urandom(3000))
        at = self.world.at / SECOND - age_s
        os.utime(path, (at, at))
        return path

    def whose(self, name: str, centre: str = "demo") -> Whose:
        """Of a call that has just ended."""
        return Whose(centre, "Asia/Tokyo", name, RecordingKind.CALL, self.world.at, True)

    def keep(self, name: str, sound: bytes = b"", *, centre: str = "demo") -> Path:
        """Recorded and kept; the sealed file."""
        self.keeper().keep(self.record(name, sound), self.whose(name, centre))
        found = self.recordings.find(name)
        assert found is not None
        return found

    def edit(self, centre: str, at: str) -> list[str]:
        """Somebody writes another time into all lines of a centre's chain; the lines, as `verify` names them."""
        edited = []
        for path in sorted((self.store / centre).glob("*/chain.jsonl")):
            whole, lines = path.read_text(), path.read_text().count("\n")
            path.write_text(re.sub(r'"at":"[^"]*"', f'"at":"{at}"', whole))
            edited += [f"{path.relative_to(self.store)}:{row}" for row in range(1, lines + 1)]
        return edited

    def public(self) -> PublicKeys:
        return public_keys([self.keys / "signing.pub"])

    def verify(self, **how: object) -> Verdict:
        return verify(self.store, self.public(), **how)  # type: ignore[arg-type]

    def named(self, **how: object) -> set[tuple[str, str]]:
        """(fault, day/name) of all that is wrong."""
        return {(x.fault.value, "/".join(filter(None, (x.day, x.name)))) for x in self.verify(**how).found}


def wav(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(os.urandom(2 * round(seconds * 8000)))
    return path


def unclosed(path: Path, promised: int = 0) -> Path:
    """As an Asterisk that was killed leaves it: the header promises so many bytes of sound."""
    with path.open("r+b") as sound:
        for place, told in ((4, promised and 36 + promised), (40, promised)):
            sound.seek(place)
            sound.write(told.to_bytes(4, "little"))
    return path


def away(monkeypatch: pytest.MonkeyPatch, *sick: Path) -> None:
    """These places of the disk cannot be read."""

    def failing(of: Callable[..., Any]) -> Callable[..., Any]:
        def read(path: Path, *how: Any, **more: Any) -> Any:
            if path in sick:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return of(path, *how, **more)

        return read

    monkeypatch.setattr(Path, "open", failing(Path.open))
    monkeypatch.setattr(Path, "iterdir", failing(Path.iterdir))
