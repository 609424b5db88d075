"""What a recording holds beyond the rule of its centre is cut out of it, and whoever dies meanwhile loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, Instant
from callcore.domain.tape import Excess, Gap, Tape
from callcore.files import FREE_LEAST
from callcore.recordings import Ear, KeyRing, Recordings, cut, filed, measure, protect
from callcore.recordings.growth import Grown, Growth
from callcore.recordings.sides import sides_of
from callcore.sidecar import Sidecar
from tests.support.sip import encoded, loudness
from tests.support.store import unclosed

RATE = 8000
AGENT, CITY = 600, 1000


def sound(*parts: tuple[int, float]) -> bytes:
    """Tones one after the other: (Hz, seconds)."""
    found = [
        np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE) * 12_000 for hz, seconds in parts
    ]
    return np.concatenate(found).astype("<i2").tobytes()


def record(path: Path, *parts: tuple[int, float]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound(*parts))
    return path


def heard(path: Path) -> tuple[float, float, float]:
    """(seconds, of them of the agent's tone, of the city's)."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768.0
    found = []
    for hz in (AGENT, CITY):
        parts = [encoded(samples[at : at + 800]) for at in range(0, len(samples) - 799, 800)]
        found.append(0.1 * sum(loudness(part, hz) > 0.2 for part in parts))
    return len(samples) / RATE, round(found[0], 1), round(found[1], 1)


def tape(kept: float, *excess: tuple[float, float]) -> Tape:
    pieces = tuple(Excess(round(after * SECOND), round(length * SECOND)) for after, length in excess)
    return Tape(round(kept * SECOND), pieces)


@pytest.mark.parametrize(
    ("parts", "rule", "left"),
    [
        ("the end", tape(3, (3, 4)), (3.0, 3.0, 0.0)),
        ("shorter than it should be", tape(3.3, (3.3, 4)), (3.0, 3.0, 0.0)),
        ("longer than it should be", tape(2.8, (2.8, 3.9)), (2.8, 2.8, 0.0)),
        ("a moment is none", tape(6.9, (3, 0.1)), (7.0, 3.0, 4.0)),
        ("the middle", tape(5, (3, 4)), (5.0, 5.0, 0.0)),
        ("found late, for Asterisk had died", tape(3, (3, 400)), (3.0, 3.0, 0.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_beyond_the_rule_is_cut_out_and_no_more(
    tmp_path: Path, parts: str, rule: Tape, left: tuple[float, float, float]
) -> None:
    after = [(AGENT, 2.0)] if parts == "the middle" else []
    path = record(tmp_path / "demo-1.2.wav", (AGENT, 3.0), (CITY, 4.0), *after)
    assert cut(path, rule, tmp_path / "protected" / path.name) is (parts != "a moment is none")
    assert heard(path) == pytest.approx(left, abs=0.11)
    assert measure(lambda: path.open("rb")).problem is None


def grown(*at_each: float) -> list[Grown]:
    """A file of 8 kHz that was looked at four times a second: at which second it had come to each next 32 KiB."""
    return [
        Grown(seconds_in(at - 0.25), seconds_in(at), 44 + 32_768 * n) for n, at in enumerate(at_each, start=1)
    ]


def seconds_in(day: float) -> Instant:
    return Instant(round((1_000 + day) * SECOND))


def between(kept: float, after: float, since: float, until: float) -> Tape:
    """A talk of `kept` seconds, and after so many of these what is not to be kept."""
    piece = Excess(
        round(after * SECOND), round((until - since) * SECOND), seconds_in(since), seconds_in(until)
    )
    return Tape(round(kept * SECOND), (piece,))


@pytest.mark.parametrize(
    ("lost", "parts", "rule", "seen", "left"),
    [
        # A talk of 9 s, of which 6 s from the third on had no sound, then 4 s with the department.
        ("before it", ((AGENT, 3.0), (CITY, 4.0)), between(9, 9, 9, 13), (2.1, 10.1, 12.2), 3.0),
        # 9 s of talk, then 10 s with the department, of which 6 s from its third on had no sound.
        (
            "within it",
            ((AGENT, 9.0), (CITY, 4.0)),
            between(9, 9, 9, 19),
            (2.1, 4.1, 6.2, 8.2, 10.3, 18.3),
            9.0,
        ),
        # From its second on: within the 2 s that are written at once it is not known on which side of the join.
        (
            "beside the join",
            ((AGENT, 9.0), (CITY, 4.0)),
            between(9, 9, 9, 19),
            (2.1, 4.1, 6.2, 8.2, 16.3),
            8.2,
        ),
        # Within the drift, too: 1.5 s of the department were lost, and none of the talk.
        (
            "a little",
            ((AGENT, 9.0), (CITY, 4.0)),
            between(9, 9, 9, 14.5),
            (2.1, 4.1, 6.2, 8.2, 10.3, 13.9),
            9.0,
        ),
        # 6 s of 9 lost, then 4 s with the department, and 5 s with the agent again, who came 10 s later.
        (
            "before one in the middle",
            ((AGENT, 3.0), (CITY, 4.0), (AGENT, 5.0)),
            between(14, 9, 9, 13),
            (2.1, 10.1, 12.2, 24.3, 26.3),
            8.0,
        ),
        # Of 5 s with the agent afterwards 4 were lost.
        (
            "after one in the middle",
            ((AGENT, 9.0), (CITY, 4.0), (AGENT, 1.0)),
            between(14, 9, 9, 13),
            (2.1, 4.1, 6.2, 8.2, 10.3, 12.3),
            10.0,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_where_sound_was_lost_is_told_by_how_the_file_grew(
    tmp_path: Path,
    lost: str,
    parts: tuple[tuple[int, float], ...],
    rule: Tape,
    seen: tuple[float, ...],
    left: float,
) -> None:
    """Nothing of the department stays, and of the talk goes no more than between two looks."""
    path = record(tmp_path / "demo-1.2.wav", *parts)
    assert cut(path, rule, tmp_path / "none", grown(*seen)), lost
    _, agent, city = heard(path)
    assert city == 0 and left - 0.7 <= agent <= left, lost


@pytest.mark.parametrize(
    ("parts", "rule", "seen", "left"),
    [
        # Asterisk died four seconds into the department; that it was over was known minutes later.
        (((AGENT, 3.0), (CITY, 4.0)), between(3, 3, 3, 403), 403.0, 3.0),
        # Of 18 s with the department six had no sound, after 12 with the agent.
        (((AGENT, 12.0), (CITY, 12.0)), between(12, 12, 12, 30), 32.0, 12.0),
        # The same with the agent for 6 s more behind it: these go, for nothing tells where the department's end is.
        (((AGENT, 12.0), (CITY, 12.0), (AGENT, 6.0)), between(18, 12, 12, 30), 40.0, 12.0),
    ],
)
def test_a_file_that_was_seen_only_afterwards_tells_nothing_of_where_sound_was_lost(
    tmp_path: Path, parts: tuple[tuple[int, float], ...], rule: Tape, seen: float, left: float
) -> None:
    """As after a start of the sidecar, which looks at once at what lies there. The talk before it stays whole."""
    path = record(tmp_path / "demo-1.2.wav", *parts)
    assert cut(path, rule, tmp_path / "none", [Grown(None, seconds_in(seen), path.stat().st_size)])
    length, agent, city = heard(path)
    assert city == 0 and agent == pytest.approx(left, abs=0.11), length


def test_of_one_that_lost_sound_and_that_nobody_saw_grow_a_short_end_is_cut(tmp_path: Path) -> None:
    path = record(tmp_path / "demo-1.2.wav", (AGENT, 5.0), (CITY, 1.5))
    assert cut(path, tape(9, (9, 1.5)), tmp_path / "none")
    assert heard(path) == pytest.approx((5.0, 5.0, 0.0), abs=0.11)


def test_a_file_is_seen_to_grow_until_it_goes_and_what_is_cut_is_no_growth(tmp_path: Path) -> None:
    clock = iter(range(1_000_000))
    growth = Growth(tmp_path)

    def now() -> Instant:
        return Instant(next(clock))

    path = tmp_path / "demo-1.2.wav"
    (tmp_path / "old.wav").write_bytes(bytes(44))
    growth.look(now)
    path.write_bytes(bytes(44))
    growth.look(now)
    growth.look(now)
    path.write_bytes(bytes(100))
    growth.look(now)
    path.write_bytes(bytes(60))
    growth.look(now)
    assert growth.of(path) == [Grown(Instant(0), Instant(3), 44), Grown(Instant(4), Instant(7), 100)]
    assert growth.of(tmp_path / "old.wav") == [Grown(None, Instant(1), 44)]
    assert growth.of(tmp_path / "other.wav") == []
    path.unlink()
    growth.look(now)
    assert growth.of(path) == []
    growth.forget()
    assert growth.of(tmp_path / "old.wav") == []


def test_two_pieces_are_cut_and_the_talks_between_stay(tmp_path: Path) -> None:
    path = record(
        tmp_path / "demo-1.2.wav", (AGENT, 2.0), (CITY, 3.0), (AGENT, 1.0), (CITY, 2.0), (AGENT, 1.5)
    )
    assert cut(path, tape(4.5, (2, 3), (3, 2)), tmp_path / "none")
    assert heard(path) == pytest.approx((4.5, 4.5, 0.0), abs=0.11)


def test_who_dies_while_cutting_begins_again_from_what_asterisk_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path / "demo-1.2.wav", (AGENT, 3.0), (CITY, 4.0), (AGENT, 2.0))
    rule = tape(5, (3, 4))
    before = path.read_bytes()
    with monkeypatch.context() as dying:
        dying.setattr(os, "fsync", _no_room)
        with pytest.raises(OSError, match="no room"):
            cut(path, rule, tmp_path / "none")
    assert path.read_bytes() == before, "not replaced before the new one is whole"
    assert not path.with_suffix(".cut").exists(), "nor does it keep the disk full"
    assert cut(path, rule, tmp_path / "none")
    once = path.read_bytes()
    assert cut(path, rule, tmp_path / "none"), "cut and not yet filed: the same again"
    assert path.read_bytes() == once
    assert path.stat().st_mode & 0o077 == 0
    filed(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def _no_room(_file: int) -> None:
    raise OSError("no room")


@pytest.mark.parametrize("full", ["while it is written", "while its link is moved"])
@pytest.mark.parametrize("sides", [False, True])
def test_what_a_full_disk_does_not_take_leaves_it_as_full_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str, sides: bool
) -> None:
    """Each second it is tried anew, and the talks that go on record into what is left."""
    path, folder = tmp_path / "spool" / "demo-1.2.wav", tmp_path / "protected"
    path.parent.mkdir()
    record(path, (AGENT, 3.0), (CITY, 4.0))
    if sides:
        for side in sides_of(path):
            side.write_bytes(sound((AGENT, 7.0)))
    known = Recordings(path.parent, tmp_path / "store", KeyRing(tmp_path / "keys"))
    assert protect(known, "demo-1.2", folder)
    before = sorted(each.name for each in tmp_path.rglob("demo*"))
    with monkeypatch.context() as filled:
        if full == "while it is written":
            filled.setattr(os, "fsync", _no_room)
        else:
            filled.setattr(Path, "replace", lambda _new, _file: _no_room(0))
        with pytest.raises(OSError, match="no room"):
            cut(path, tape(3, (3, 4)), folder / path.name)
    left = [each.name for each in tmp_path.rglob("demo*") if each.suffix != ".uncut"]
    assert sorted(left) == before
    assert path.with_suffix(".uncut").samefile(path), "takes no room"
    assert cut(path, tape(3, (3, 4)), folder / path.name)
    assert (folder / path.name).samefile(path) and heard(path) == pytest.approx((3.0, 3.0, 0.0), abs=0.11)


def test_a_disk_that_is_nearly_full_is_left_to_the_talks_that_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path / "demo-1.2.wav", (AGENT, 3.0), (CITY, 4.0))
    before, wanted = path.read_bytes(), 44 + 3 * 2 * RATE + FREE_LEAST
    with monkeypatch.context() as filled:
        filled.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=wanted - 1))
        with pytest.raises(OSError, match=r"空き.* / 1\.0 GB free, 1\.0 GB needed") as told:
            cut(path, tape(3, (3, 4)), tmp_path / "none")
        assert told.value.errno == errno.ENOSPC
        assert path.read_bytes() == before and not path.with_suffix(".cut").exists()
        filled.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=wanted))
        assert cut(path, tape(3, (3, 4)), tmp_path / "none")
    assert heard(path) == pytest.approx((3.0, 3.0, 0.0), abs=0.11)


def test_the_link_of_a_reported_calls_recording_is_cut_too(tmp_path: Path) -> None:
    recordings, folder = tmp_path / "recordings", tmp_path / "protected"
    recordings.mkdir()
    path = record(recordings / "demo-1.2.wav", (AGENT, 3.0), (CITY, 4.0))
    known = Recordings(recordings, tmp_path / "store", KeyRing(tmp_path / "keys"))
    assert protect(known, "demo-1.2", folder)
    assert cut(path, tape(3, (3, 4)), folder / path.name)
    filed(path)
    assert (folder / path.name).samefile(path)
    assert heard(path)[2] == 0 and [each.name for each in folder.iterdir()] == [path.name]


def test_what_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.2.wav"
    assert not cut(path, tape(3, (3, 4)), tmp_path / "none")
    path.write_bytes(b"no sound")
    assert not cut(path, tape(3, (3, 4)), tmp_path / "none")
    assert path.read_bytes() == b"no sound"


def test_one_that_asterisk_had_no_time_to_close_is_cut_and_closed(tmp_path: Path) -> None:
    path = unclosed(record(tmp_path / "demo-1.2.wav", (AGENT, 3.0), (CITY, 4.0)))
    assert measure(lambda: path.open("rb")).seconds == 7.0
    assert cut(path, tape(3, (3, 4)), tmp_path / "none")
    assert heard(path) == pytest.approx((3.0, 3.0, 0.0), abs=0.11)


SILENT = 0


@pytest.mark.parametrize(
    ("parts", "gaps", "length", "agent"),
    [
        ("where it ought to be", [(3, 2)], 6.0, 6.0),
        ("a little later, for the sound drifted", [(2.2, 2)], 6.0, 6.0),
        ("longer than it was told: so much stays", [(3, 1.4)], 6.6, 6.0),
        ("two of them", [(3, 2), (7, 1)], 6.0, 6.0),
        ("too short to be one", [(3, 0.3)], 6.3, 6.0),
        ("none, for Asterisk had not paused", [(3, 2)], 6.0, 6.0),
    ],
)
def test_of_a_pause_nothing_but_its_silence_is_cut_out(
    tmp_path: Path, parts: str, gaps: list[tuple[float, float]], length: float, agent: float
) -> None:
    middle = 0.3 if parts.startswith("too short") else 2.0
    sounds = [(AGENT, 3.0), (SILENT, middle), (AGENT, 3.0)]
    if parts.startswith("two"):
        sounds = [(AGENT, 3.0), (SILENT, 2.0), (AGENT, 2.0), (SILENT, 1.0), (AGENT, 1.0)]
    if parts.startswith("none"):
        sounds = [(AGENT, 6.0)]
    path = record(tmp_path / "demo-1.2.wav", *sounds)
    rule = Tape(
        round(sum(seconds for _, seconds in sounds) * SECOND),
        gaps=tuple(Gap(round(at * SECOND), round(long * SECOND)) for at, long in gaps),
    )
    done = cut(path, rule, tmp_path / "none")
    assert done is not parts.startswith(("none", "too short"))
    assert heard(path) == pytest.approx((length, agent, 0.0), abs=0.15)


@pytest.mark.parametrize(
    ("between", "gaps"),
    [
        ([(SILENT, 40.0), (AGENT, 5.0), (SILENT, 5.0)], [(300, 40), (345, 5)]),
        ([(SILENT, 5.0), (AGENT, 5.0), (SILENT, 40.0)], [(300, 5), (310, 40)]),
        ([(SILENT, 5.0), (AGENT, 5.0), (SILENT, 5.0)], [(300, 5), (310, 5)]),
        ([(SILENT, 45.0), (AGENT, 5.0)], [(300, 40), (340, 5)]),
    ],
    ids=["the long one first", "the short one first", "both alike", "one behind the other"],
)
def test_of_pauses_close_together_each_one_s_own_silence_is_cut_out(
    tmp_path: Path, between: list[tuple[int, float]], gaps: list[tuple[float, float]]
) -> None:
    """In ten minutes the sound may have drifted by so much that either silence could be either pause's."""
    path = record(tmp_path / "demo-1.2.wav", (AGENT, 300.0), *between, (AGENT, 250.0))
    whole = 550 + sum(seconds for _, seconds in between)
    rule = Tape(
        round(whole * SECOND), gaps=tuple(Gap(round(at * SECOND), round(long * SECOND)) for at, long in gaps)
    )
    assert cut(path, rule, tmp_path / "none")
    with wave.open(str(path), "rb") as file:
        left = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert len(left) == 555 * RATE
    assert left.reshape(-1, 800).any(axis=1).all(), "so it is the talk that stays, and all of it"


def test_a_gap_and_what_is_beyond_the_rule_are_cut_out_of_one_recording(tmp_path: Path) -> None:
    path = record(tmp_path / "demo-1.2.wav", (AGENT, 2.0), (SILENT, 2.0), (AGENT, 1.0), (CITY, 4.0))
    rule = Tape(5 * SECOND, (Excess(5 * SECOND, 4 * SECOND),), gaps=(Gap(2 * SECOND, 2 * SECOND),))
    assert cut(path, rule, tmp_path / "none")
    assert heard(path) == pytest.approx((3.0, 3.0, 0.0), abs=0.11)
    assert measure(lambda: path.open("rb")).problem is None


@pytest.mark.parametrize("caught_up", [False, True])
async def test_what_was_cut_and_not_filed_when_the_sidecar_was_killed_is_not_cut_again(
    tmp_path: Path, caught_up: bool
) -> None:
    """It starts with a checkpoint of up to an hour ago, in which the call still goes on."""
    path = record(tmp_path / "c1.wav", (AGENT, 20), (CITY, 10), (AGENT, 10))
    tape = Tape(kept=30 * SECOND, excess=(Excess(20 * SECOND, 10 * SECOND),))
    assert cut(path, tape, tmp_path / "protected" / path.name)
    live = SimpleNamespace(
        view=lambda: SimpleNamespace(floor=Floor()), now=lambda: Instant(0), caught_up=lambda: caught_up
    )
    sidecar: Any = SimpleNamespace(
        _settings=SimpleNamespace(recordings=tmp_path),
        _live=live,
        _uncut=set(),
        _plain_first=lambda calls: calls,
        _not_cut={},
        _unforeseen=set(),
        _ear=Ear(Recordings(tmp_path, tmp_path / "store", KeyRing(tmp_path / "keys"))),
    )
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(Sidecar._measure(sidecar), 0.2)
    assert path.with_suffix(".uncut").exists() is not caught_up
    if not caught_up:
        assert cut(path, tape, tmp_path / "protected" / path.name)
        with wave.open(str(path)) as file:
            assert file.getnframes() == 30 * RATE
