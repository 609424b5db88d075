"""The files behind users and sessions: read by engine, sidecar and commands, changed by one at a time.

    access/people.json     users, tokens, links
    access/sessions.json   who is signed in
    access/lock            held while one of them is changed

A change is read, made and written under the lock, aside and then renamed, so that a reader sees the file of before or
of after. Owner-only: a file that others can read is refused, since what it holds may be known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from callcore.access.people import People, Sessions
from callcore.files import locked, write_whole

T = TypeVar("T", People, Sessions)


class AccessDamaged(Exception):
    """A file of users or sessions cannot be read. Says which, and what to do."""


class Kept(Generic[T]):
    """One of the files. Reading it again costs a `stat` while nothing has changed."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        self._kind: type[T] = kind
        self._stamp: tuple[int, int, int] | None = None
        self._value: T = kind()

    def read(self) -> T:
        """What stands there; empty when there is no file. Raises AccessDamaged, PermissionError."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._value = None, self._kind()
            return self._value
        if found.st_mode & 0o077:
            raise PermissionError(
                f"{self._path}: 他の利用者が読めます。chmod 600 の後、利用者のパスワードを再設定してください / "
                "others can read it; chmod 600 it, then have the users set new passwords"
            )
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if stamp != self._stamp:
            try:
                self._value = msgspec.json.decode(self._path.read_bytes(), type=self._kind)
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                raise AccessDamaged(
                    f"{self._path} を読めません。バックアップから戻してください ({error}) / "
                    f"{self._path} cannot be read; put it back from the back-up ({error})"
                ) from None
            self._stamp = stamp
        return self._value

    def write(self, value: T) -> None:
        """Only under the lock."""
        write_whole(self._path, msgspec.json.format(msgspec.json.encode(value), indent=1))


class Store:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._people = Kept(folder / "people.json", People)
        self._sessions = Kept(folder / "sessions.json", Sessions)

    def people(self) -> People:
        return self._people.read()

    def sessions(self) -> Sessions:
        return self._sessions.read()

    def change_people(self, change: Callable[[People], People]) -> People:
        """Make a change under the lock and return what stands there then. What `change` raises, changes nothing."""
        return self._changed(self._people, change)

    def change_sessions(self, change: Callable[[Sessions], Sessions]) -> Sessions:
        return self._changed(self._sessions, change)

    def _changed(self, kept: Kept[T], change: Callable[[T], T]) -> T:
        with locked(self._folder / "lock"):
            before = kept.read()
            after = change(before)
            if after is not before:
                kept.write(after)
            return kept.read()
