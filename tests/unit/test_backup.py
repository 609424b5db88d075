"""Whoever puts a back-up back has an installation that opens, whatever was written while it was taken."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callcore.access.accounts import Accounts
from callcore.access.store import Store
from callcore.access.trail import Result
from callcore.backup import ABOUT, BackupError, back_up, put_back
from callcore.cli import app
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, NodeId, QueueId
from callcore.domain.personal import Personal
from callcore.erasing import copies
from callcore.installation import trail_of
from callcore.journal import Codec, KeyStore, Spool, read_all
from callcore.recordings import KeyRing
from callcore.recordings.chain import CHAIN, ROOT
from callcore.settings import Settings
from tests.support.people import first_administrator
from tests.support.store import House, away

CENTRE = CentreId("demo")
AT = Instant(1_795_143_600 * SECOND)


@dataclass
class Busy:
    """An installation in which something is written whenever `goes_on` is called: a call with its number, a recording,
    a line of the trail, a row."""

    home: Path

    def __post_init__(self) -> None:
        self.house = House(self.home)
        self.settings = Settings(home=self.home, centres=self.home.parent / "centres")
        self.settings.centres.mkdir(exist_ok=True)
        (self.settings.centres / "demo.toml").write_text("# a centre\n", encoding="utf-8")
        first_administrator(Accounts(Store(self.settings.access), time.time))
        self.keys = KeyStore.open(self.settings.journal, self.settings.keys, write=True)
        self.codec = Codec(f.KINDS, {}, self.keys)
        self.spool = Spool.open(
            self.settings.journal, self.codec, before_sync=self.keys.sync, segment_bytes=4000
        )
        self.trail = trail_of(self.settings)
        self.database = sqlite3.connect(self.home / "callcore.db")
        self.database.execute("pragma journal_mode = wal")
        self.database.execute("create table calls (n integer)")
        self.calls = 0

    def goes_on(self) -> None:
        self.calls += 1
        call = CallId(f"node1-1.{self.calls}")
        fact = f.CallArrived(
            at=AT,
            call=call,
            node=NodeId("node1"),
            channel_name="PJSIP/trunk-1",
            centre=CENTRE,
            number="0975105151",
            queue=QueueId("demo-general"),
            caller=Personal(call, CENTRE, AT, f"0900000{self.calls:04}"),
        )
        self.spool.append(self.spool.frame(AT, (fact,)))
        self.spool.flush()
        self.house.keep(f"rec-{self.calls}")
        self.trail.add(
            "user:chief", "something", on=call, centre=CENTRE, origin="cli", result=Result.DONE, why=None
        )
        self.database.execute("insert into calls values (?)", (self.calls,))
        self.database.commit()

    def close(self) -> None:
        self.spool.close()
        self.keys.close()
        self.database.close()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    made = Busy(tmp_path / "home")
    try:
        for _ in range(8):
            made.goes_on()
        yield made
    finally:
        made.close()


def numbers(settings: Settings) -> list[str]:
    """Of every call in the journal, opened with its key."""
    with KeyStore.open(settings.journal, settings.keys) as keys:
        frames = list(read_all(settings.journal, Codec(f.KINDS, {}, keys)))
    return [
        fact.caller.text or "" for frame in frames for fact in frame.facts if isinstance(fact, f.CallArrived)
    ]


def between_all_files(monkeypatch: pytest.MonkeyPatch, busy: Busy) -> None:
    """Before and after each file that is copied, something is written, by another process as it were: with the chain's
    lock held by whoever copies, that has to wait."""
    copy = shutil.copyfile

    def slowly(source: Path, target: Path) -> Path:
        if source.name not in (CHAIN, ROOT) and source.parent.name != "heads":
            busy.goes_on()
        copy(source, target)
        if source.name not in (CHAIN, ROOT) and source.parent.name != "heads":
            busy.goes_on()
        return target

    monkeypatch.setattr("callcore.backup.shutil.copyfile", slowly)


def test_what_is_written_while_it_is_taken_makes_no_back_up_unreadable(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    between_all_files(monkeypatch, busy)
    told = back_up(busy.settings, tmp_path / "a", tmp_path / "b")
    monkeypatch.undo()
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    assert busy.calls > 40, "nothing went on meanwhile"

    fresh = Settings(home=tmp_path / "fresh", centres=tmp_path / "other-centres")
    fresh.home.mkdir()
    about, left = put_back(fresh, tmp_path / "a", tmp_path / "b")
    assert (about, left) == (told, [])
    mark = int((told.seq or "").split(".")[1])
    assert numbers(fresh)[: mark + 1] == [f"0900000{n:04}" for n in range(1, mark + 1)]
    with sqlite3.connect(fresh.home / "callcore.db") as database:
        [(rows,)] = database.execute("select count(*) from calls").fetchall()
    database.close()
    assert 8 <= rows <= mark, "the database is not ahead of the journal"
    house = House(fresh.home)
    assert house.verify().found == []
    kept = sorted(house.store.rglob("*.ccr"))
    assert len(kept) >= 8
    for each in kept:
        with house.recordings.open(each.stem) as sound:
            assert len(sound.read()) == 3000
    assert trail_of(fresh).verify().faults == ()
    assert (fresh.centres / "demo.toml").exists()
    assert Accounts(Store(fresh.access), time.time).user("chief") is not None
    for path in (tmp_path / "a", tmp_path / "b", fresh.home):
        loose = [p for p in path.rglob("*") if p.is_file() and p.stat().st_mode & 0o077]
        assert loose == [], "others can read it"

    # A run of the engine begins behind what was put back.
    with KeyStore.open(fresh.journal, fresh.keys, write=True) as keys:
        spool = Spool.open(fresh.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
        spool.append(spool.frame(AT, (f.RunStarted(at=AT, run=spool.run, software="test"),)))
        spool.flush()
        spool.close()
    assert len(numbers(fresh)) >= mark


def test_place_a_alone_opens_nothing(busy: Busy, tmp_path: Path) -> None:
    back_up(busy.settings, tmp_path / "a", tmp_path / "b")
    names = {path.name for path in (tmp_path / "a").rglob("*")}
    for secret in ("trail.key", "trail.head", "people.json", "secrets.json", "signing.key", "heads"):
        assert secret not in names
    assert not any(name.endswith(".key") for name in names)
    everything = b"".join(p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert b"09000000001" not in everything


SAID = b"what a citizen said"
TALKS = {
    "recordings": (
        "node1-1795143500.7.wav",
        "node1-1795143500.7.left.sln",
        "node1-1795143500.7.uncut",
        "node1-1795143500.8.message.wav",
    ),
    "protected": ("node1-1795143500.7.wav",),
    "recordings/by-hand": ("node1-1795143500.9.wav",),
}


def talks(busy: Busy) -> None:
    """Calls that go on, one of them reported."""
    for folder, names in TALKS.items():
        (busy.home / folder).mkdir(exist_ok=True, mode=0o700)
        for name in names:
            path = busy.home / folder / name
            path.write_bytes(SAID * 100_000)
            os.utime(path, (1_795_143_510, 1_795_143_510))


def clear(*folders: Path) -> list[Path]:
    """Where what was said can be read."""
    return [p for each in folders for p in each.rglob("*") if p.is_file() and SAID in p.read_bytes()]


def test_talks_that_go_on_lie_in_clear_in_neither_half_and_are_put_back(busy: Busy, tmp_path: Path) -> None:
    talks(busy)
    a, b = tmp_path / "a", tmp_path / "b"
    back_up(busy.settings, a, b)
    assert clear(a, b) == []
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    fresh.home.mkdir()
    _, left = put_back(fresh, a, b)
    assert left == []
    for folder, names in TALKS.items():
        there = [fresh.home / folder / name for name in names]
        assert [path.read_bytes() == SAID * 100_000 for path in there] == [True] * len(names)
        assert {path.stat().st_mtime for path in there} == {1_795_143_510}, "when they were last written"
        assert {path.stat().st_mode & 0o777 for path in there} == {0o600}
    assert not any(p.name.endswith(".sealed") for p in fresh.home.rglob("*"))
    assert House(fresh.home).verify().found == []


def test_a_talk_that_is_recorded_meanwhile_is_taken_as_far_as_it_had_come(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks(busy)
    growing = busy.home / "recordings" / TALKS["recordings"][0]
    gone = busy.home / "recordings" / TALKS["recordings"][3]
    new = KeyRing.new

    def meanwhile(ring: KeyRing, centre: str, day: str, name: str) -> tuple[str, bytes]:
        with growing.open("ab") as file:
            file.write(SAID)
        gone.unlink(missing_ok=True)
        return new(ring, centre, day, name)

    monkeypatch.setattr(KeyRing, "new", meanwhile)
    back_up(busy.settings, tmp_path / "a", tmp_path / "b")
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    fresh.home.mkdir()
    put_back(fresh, tmp_path / "a", tmp_path / "b")
    taken = (fresh.home / "recordings" / growing.name).read_bytes()
    assert growing.read_bytes().startswith(taken) and len(taken) >= len(SAID) * 100_000
    assert not (fresh.home / "recordings" / gone.name).exists()


def test_a_talk_that_is_erased_afterwards_comes_back_from_no_half(busy: Busy, tmp_path: Path) -> None:
    """Of the half A nobody reached the copy elsewhere."""
    talks(busy)
    a, b = tmp_path / "a", tmp_path / "b"
    back_up(busy.settings, a, b)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(a, elsewhere)
    name = "node1-1795143500.7"
    assert {found for _, found in copies.opening([a, b], ["demo", "_unassigned"], [], [name]).keys} == {name}
    done = copies.destroy([a, b], ["demo", "_unassigned"], [], [name], "2026-11-30T12:00:00+09:00")
    assert (done.recording_keys, done.files) == (1, 4)
    assert copies.opening([a, b], ["demo", "_unassigned"], [], [name]) == copies.Opening([], [])
    assert [p.name for p in a.rglob(f"{name}*")] == []
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    fresh.home.mkdir()
    _, left = put_back(fresh, elsewhere, b)
    assert left == []
    assert {p.name for p in clear(fresh.home)} == {
        f"node1-1795143500.{n}" for n in ("8.message.wav", "9.wav")
    }


def test_a_talk_that_cannot_be_opened_is_named_and_the_rest_is_put_back(busy: Busy, tmp_path: Path) -> None:
    talks(busy)
    a, b = tmp_path / "a", tmp_path / "b"
    back_up(busy.settings, a, b)
    [damaged] = (a / "recordings").glob("*.8.message.wav*")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    fresh.home.mkdir()
    _, left = put_back(fresh, a, b)
    assert len(left) == 1 and damaged.name in left[0] and " / " in left[0]
    assert len(clear(fresh.home)) == 5 and numbers(fresh)


def test_a_back_up_of_an_earlier_version_is_put_back(busy: Busy, tmp_path: Path) -> None:
    """In it talks lie plain."""
    talks(busy)
    a, b = tmp_path / "a", tmp_path / "b"
    back_up(busy.settings, a, b)
    shutil.rmtree(b / "spool-keys")
    for folder in ("recordings", "protected"):
        shutil.rmtree(a / folder)
        shutil.copytree(busy.home / folder, a / folder)
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    fresh.home.mkdir()
    _, left = put_back(fresh, a, b)
    assert left == [] and len(clear(fresh.home)) == 6


def test_who_takes_a_back_up_without_all_keys_is_told_to_delete_no_older_one(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCORE_HOME", str(busy.home))
    monkeypatch.setenv("CALLCORE_CENTRES", str(busy.settings.centres))

    def taken(name: str, status: int) -> str:
        said = CliRunner().invoke(app, ["backup", str(tmp_path / "A" / name), str(tmp_path / "B" / name)])
        assert said.exit_code == status, said.output
        assert (tmp_path / "A" / name / ABOUT).exists()
        return said.output

    assert "delete no older" not in taken("1", 0)
    shutil.rmtree(busy.house.keys / "files")
    said = taken("2", 3)
    assert "8 recordings" in said and "delete no older" in said


def test_only_a_finished_pair_is_put_back_and_only_where_nothing_is(busy: Busy, tmp_path: Path) -> None:
    a, b, other = tmp_path / "a", tmp_path / "b", tmp_path / "other"
    back_up(busy.settings, a, b)
    with pytest.raises(BackupError, match="already"):
        back_up(busy.settings, a, tmp_path / "b2")
    back_up(busy.settings, tmp_path / "a2", other)
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    fresh.home.mkdir()
    with pytest.raises(BackupError, match="not halves of one"):
        put_back(fresh, a, other)
    with pytest.raises(BackupError, match="no finished"):
        put_back(fresh, a, tmp_path / "nothing")
    with pytest.raises(BackupError, match="empty CALLCORE_HOME"):
        put_back(busy.settings, a, b)
    assert list(fresh.home.iterdir()) == [], "nothing was begun"
    (busy.settings.centres / "demo.toml").write_text("# another\n", encoding="utf-8")
    _, left = put_back(fresh, a, b)
    assert len(left) == 1 and "compare" in left[0]


def test_places_on_disks_of_their_own_are_backed_up_and_put_back(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has at its root a folder that only root may look into."""
    fresh = Settings(home=tmp_path / "fresh", centres=busy.settings.centres)
    for place in (
        busy.settings.recordings_keys,
        *(p for s in (busy.settings, fresh) for p in (s.store, s.recordings)),
    ):
        (place / "lost+found").mkdir(parents=True)
        away(monkeypatch, place / "lost+found")
    back_up(busy.settings, tmp_path / "a", tmp_path / "b")
    assert put_back(fresh, tmp_path / "a", tmp_path / "b")[1] == []
    assert len(list(fresh.store.glob("demo/*/*.ccr"))) == busy.calls
    assert not list((tmp_path / "a").rglob("lost+found")) and not list((tmp_path / "b").rglob("lost+found"))


def test_a_back_up_that_could_not_be_finished_does_not_look_like_one(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("callcore.backup.shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        back_up(busy.settings, tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    assert not (tmp_path / f"a.part/{ABOUT}").exists()
