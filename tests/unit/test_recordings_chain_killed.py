"""A line of the chain whose writing breaks off, at each write there is: nothing is accused, lost or told of twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from callcore import files
from callcore.domain.ids import SECOND, Instant
from callcore.erasing.sounds import Sounds, told
from callcore.recordings.chain import Chain, mark_of, raw_lines, roots
from callcore.recordings.signing import signer
from tests.support.store import DAY_US, NOON, House, Killed

FIRST, SECOND_ONE = "node1-1795143500.7", "node1-1795143501.8"
WRITES = ("open", "write", "fsync", "ftruncate")


class Breaking:
    """`os` as `callcore.files` sees it, and renaming and folders: of the writes that add a line the one of this number
    does not happen, or half."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int, error: Callable[[], BaseException]) -> None:
        self._left, self._error = at, error
        self.broke: str | None = None
        self._adds = False
        add = Chain.add

        def adding(*args: Any) -> Any:
            self._adds = True
            return add(*args)

        patched.setattr(Chain, "add", adding)
        for name in ("rename", "mkdir"):
            patched.setattr(Path, name, self._breaking(getattr(Path, name), name))
        patched.setattr(files, "os", self)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._breaking(real, name) if name in WRITES else real

    def _breaking(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def broken(*args: Any, **more: Any) -> Any:
            self._left -= self._adds
            if self._left == -1 and self.broke is None:
                self.broke = f"{name} {args[0]}"
                if name == "write":
                    os.write(args[0], bytes(args[1][: len(args[1]) // 2]))
                raise self._error()
            return real(*args, **more)

        return broken


def full() -> BaseException:
    return OSError(28, "No space left on device")


def kept(house: House) -> None:
    plain = house.spool / f"{SECOND_ONE}.wav"
    if plain.exists():
        keeper = house.keeper()
        keeper.keep(plain, house.whose(SECOND_ONE))


def erased(house: House) -> None:
    def now() -> tuple[str, str]:
        at = datetime.fromtimestamp(house.world.at / SECOND, ZoneInfo("Asia/Tokyo"))
        return at.isoformat(timespec="milliseconds"), at.date().isoformat()

    chain = Chain(house.store, house.keys, signer(house.keys))
    chain.day("demo", now()[1])  # as each erasure asks first
    Sounds(house.recordings, house.protected, chain, now).erase(
        ["demo"], FIRST, FIRST, "retention", "user:sato", {"demo": told(house.store, "demo")}
    )


# What is written; on which day after the first line of the chain.
WHAT: dict[str, tuple[Callable[[House], None], int]] = {
    "a recording, on the same day": (kept, 0),
    "a recording, first of its day": (kept, 1),
    "an erasure, on the same day": (erased, 0),
    "an erasure, first of its day": (erased, 1),
}


@pytest.mark.parametrize("later", [0, 1], ids=["tried again on that day", "tried again on the next day"])
@pytest.mark.parametrize("error", [full, Killed], ids=["disk full", "killed"])
@pytest.mark.parametrize("what", WHAT)
def test_broken_off_at_any_write_the_chain_is_whole_again_and_tells_of_each_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    error: Callable[[], BaseException],
    later: int,
) -> None:
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    monkeypatch.setattr(
        os, "fsync", lambda fd: None
    )  # the host stays up; some thousands of them take minutes
    write, day = WHAT[what]
    points = 0
    while True:
        house = House(tmp_path / str(points))
        house.keep(FIRST, b"first")
        house.world.at = Instant(NOON + day * DAY_US)
        if write is kept:
            house.record(SECOND_ONE, b"second")
        with monkeypatch.context() as patched:
            breaking = Breaking(patched, points, error)
            with contextlib.suppress(OSError, Killed):
                write(house)
        if breaking.broke is None:
            break
        house.world.at = Instant(house.world.at + later * DAY_US)
        if error is Killed:
            house.keeper().tidy()
        write(house)
        where = f"{points}: {breaking.broke}"
        verdict = house.verify()
        assert not verdict.found, f"{where}: {[*map(str, verdict.found)]}"
        chain = told(house.store, "demo")
        assert sorted(name for _, name in chain.kept) == [FIRST, *([SECOND_ONE] if write is kept else [])]
        assert len(chain.erased) == (write is erased), where
        days = verdict.days
        assert (sum(day.kept for day in days), sum(day.erased for day in days)) == (
            len(chain.kept),
            len(chain.erased),
        ), f"{where}: told of twice"
        if write is kept:
            assert not list(house.spool.iterdir()), where
            with house.recordings.open(SECOND_ONE) as sound:
                assert sound.read() == b"second"
        signed = roots(house.store, "demo", house.public())
        assert {day: root.root for day, root in signed.items()} == {
            each.day: mark_of(raw_lines(house.store / "demo" / each.day)[-1]) for each in days
        }, f"{where}: the root of a day is that of its last line"
        points += 1
    assert points > 15, "each write of it was one to break off at"
