"""Recordings of ended calls: sealed, read again from any place, kept through any kill, and opened by nobody else."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from immutables import Map

from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.measures import Books
from callcore.domain.recording import UNASSIGNED, RecordingKind
from callcore.domain.tape import Tape
from callcore.domain.values import changed
from callcore.recordings import KeyRing, keeper, measure, verify
from callcore.recordings.chain import Chain, Erased, kept_line, roots
from callcore.recordings.errors import (
    Altered,
    KeyDestroyed,
    KeyLost,
    KeyOpen,
    NotSealed,
    RecordingError,
    SigningKeyLost,
    StillWritten,
    StoreAway,
    Truncated,
    WrongKey,
)
from callcore.recordings.exported import NoExport, verify_export
from callcore.recordings.keeper import AT_MOST_S, MARGIN_S, Pressure, Whose, due, whose
from callcore.recordings.signing import NoPublicKey, PublicKeyAway, made, signer
from callcore.recordings.soundness import unsound
from callcore.recordings.vault import AT_ONCE, CHUNK, Digest
from callcore.runtime.ports import Seq, View
from tests.support.floors import Desk
from tests.support.store import DAY_US, NOON, House, Killed, away, wav

CALL = "node1-1795143500.7"
DAY = "2026-11-20"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    return House(tmp_path)


def test_a_recording_lies_sealed_and_nothing_of_it_in_clear(house: House) -> None:
    sound = b"secret of a citizen" * 20_000
    sealed = house.keep(CALL, sound)
    assert sealed == house.store / "demo" / DAY / f"{CALL}.ccr"
    assert not list(house.spool.iterdir())
    for path in (p for p in house.home.rglob("*") if p.is_file()):
        assert b"secret" not in path.read_bytes(), path
        assert path.stat().st_mode & 0o077 == 0, path
    with house.recordings.open(CALL) as again:
        assert again.read() == sound
    assert house.named() == set()


SIZES = [
    0,
    1,
    *(size for count in (1, AT_ONCE) for size in (count * CHUNK - 1, count * CHUNK, count * CHUNK + 1)),
]


@pytest.mark.parametrize("size", [*SIZES, 3 * CHUNK + 5])
def test_any_part_of_a_recording_can_be_read_without_the_rest(house: House, size: int) -> None:
    sound = os.urandom(size) if size else b""
    path = house.record(CALL)
    path.write_bytes(sound)
    house.keeper().keep(path, Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True))
    found = house.recordings.find(CALL)
    assert found is not None
    with house.recordings.unsealed(found) as sealed:
        for begin in (0, 1, size // 2, CHUNK - 1, CHUNK, size - 1, size, size + 9):
            for count in (0, 1, 7, CHUNK, 2 * CHUNK + 3):
                if begin >= 0:
                    assert sealed.read_at(begin, count) == sound[begin : begin + count]
        assert (sealed.check(), sealed.head.size) == (Digest(size, hashlib.sha256(sound).hexdigest()), size)
    with house.recordings.open(CALL) as file:
        assert file.read() == sound
        file.seek(size // 3)
        assert file.read(10) == sound[size // 3 : size // 3 + 10]


def test_a_sealed_recording_is_measured_like_a_plain_one(house: House) -> None:
    plain = wav(house.spool / f"{CALL}.wav", 2.5)
    before = measure(lambda: house.recordings.open(CALL))
    house.keeper().keep(plain, Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True))
    assert measure(lambda: house.recordings.open(CALL)) == before
    assert (before.seconds, before.problem) == (2.5, None)
    assert measure(lambda: house.recordings.open("node1-1.1")).problem == "missing"


STEPS = ["key", "seal", "read back", "place", "line", "protect", "remove", "protect once more"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_no_recording_is_lost_and_none_told_of_twice(house: House, step: str) -> None:
    sound = os.urandom(2 * CHUNK + 100)
    plain = house.record(CALL, sound)
    house.protected.mkdir()
    os.link(plain, house.protected / plain.name)
    of = Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True)
    house.stop_at = step
    with pytest.raises(Killed):
        house.keeper().keep(plain, of)
    assert (house.protected / plain.name).exists() or (house.protected / f"{CALL}.ccr").exists()
    with house.recordings.open(CALL) as file:
        assert file.read() == sound
    house.stop_at = None
    again = house.keeper()
    again.tidy()
    if plain.exists():
        again.keep(plain, of)
    with house.recordings.open(CALL) as file:
        assert file.read() == sound
    assert not list(house.spool.iterdir()), "nothing is left in clear"
    assert [p.name for p in house.protected.iterdir()] == [f"{CALL}.ccr"]
    assert house.named() == set()
    (day,) = house.verify().days
    assert (day.kept, day.lines) == (1, 2)
    assert set(house.steps) >= set(STEPS[: STEPS.index(step) + 1])


def test_killed_between_a_line_and_its_root_the_day_is_whole_again_after_the_start(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.keep("node1-1795143400.1")

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Chain, "_keep", dies)
        with pytest.raises(Killed):
            house.keep(CALL)
    house.keeper().tidy()
    assert house.named() == set()
    plain = house.spool / f"{CALL}.wav"
    house.keeper().keep(plain, Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True))
    (day,) = house.verify().days
    assert day.kept == 2 and house.named() == set()


def test_a_file_that_is_still_written_is_left_alone(house: House) -> None:
    path = house.record(CALL)
    of = Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True)
    with path.open("ab") as writing:
        with pytest.raises(StillWritten):
            house.keeper().keep(path, of)
        writing.write(b"more")
    assert path.read_bytes().endswith(b"more")
    house.keeper().keep(path, of)
    with house.recordings.open(CALL) as file:
        assert file.read().endswith(b"more")


def test_a_second_recording_of_the_same_name_is_kept_beside_the_first(house: House) -> None:
    house.keep(CALL, b"first")
    house.keep(CALL, b"second")
    house.keep(CALL, b"second")
    with house.recordings.open(CALL) as file:
        assert file.read() == b"first"
    with house.recordings.open(f"{CALL}~2") as file:
        assert file.read() == b"second"
    assert house.recordings.find(f"{CALL}~3") is None
    assert house.named() == set()


def test_no_room_on_the_disk_costs_nothing_but_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = house.record(CALL, b"sound" * 1000)
    of = Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    one = house.keeper()
    with monkeypatch.context() as patched:
        patched.setattr(keeper, "seal", full)
        assert not one.kept(plain, of)
    assert plain.exists() and one.gauges()["sidecar_recordings_keep_failures"] == 1
    assert not [p for p in house.store.rglob("*") if p.is_file()], "and no half of it is left"
    assert one.kept(plain, of) and not plain.exists()


def test_a_store_that_is_not_mounted_gets_no_recordings_in_its_place(house: House) -> None:
    house.keep(CALL)
    house.store.rename(house.home / "elsewhere")
    plain = house.record("node1-1795143501.8")
    one = house.keeper()
    one.tidy()
    of = Whose("demo", "Asia/Tokyo", "node1-1795143501.8", RecordingKind.CALL, NOON, True)
    assert not one.kept(plain, of) and plain.exists()
    with pytest.raises(StoreAway, match=r"保管先.* / .*mounted"):
        one.keep(plain, of)
    house.store.rmdir()
    (house.home / "elsewhere").rename(house.store)
    one.keep(plain, of)
    assert house.named() == set()


# -- keys -----------------------------------------------------------------------------------------------------------


def wrapping(house: House) -> Path:
    (path,) = house.keys.glob("demo.*.key")
    return path


def opened(house: House, name: str = CALL) -> bytes:
    with house.recordings.open(name) as file:
        return file.read()


def test_a_lost_or_wrong_key_is_a_clear_error_and_no_new_one_is_made_in_its_place(house: House) -> None:
    house.keep(CALL)
    kept = wrapping(house).rename(house.home / "kept.key")
    with pytest.raises(KeyLost, match=r"鍵のバックアップから戻して.* / .*put it back"):
        opened(house)
    other = house.record("node1-1795143501.8")
    one = house.keeper()
    assert not one.kept(other, Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, NOON, True))
    assert other.exists() and not list(house.keys.glob("demo.*.key"))
    stranger = KeyRing(house.home / "other")
    stranger.new("demo", DAY, "x")
    shutil.copy(house.home / "other" / kept.with_name("demo.2026-11.1.key").name, house.keys)
    with pytest.raises(WrongKey, match="同じ日の鍵"):
        opened(house)
    kept.rename(wrapping(house))
    assert opened(house)
    wrapping(house).chmod(0o644)
    with pytest.raises(KeyOpen, match="chmod 600"):
        opened(house)


def test_each_recording_has_a_key_of_its_own_and_each_centre_and_month_one_that_opens_no_other_s(
    house: House,
) -> None:
    """The same sound four times: in nothing alike where it lies, and closed where the one key is missing alone."""
    kept: dict[str, str] = {}
    for name, centre, days in (("a", "demo", 0), ("b", "demo", 0), ("c", "other", 0), ("d", "demo", 30)):
        house.world.at = Instant(NOON + days * DAY_US)
        house.keep(name, bytes(CHUNK), centre=centre)
        kept[name] = f"{centre}.2026-{'12' if days else '11'}.1.key"
    stored = {path.stem: path.read_bytes() for path in house.store.glob("*/*/*.ccr")}
    parts = [sealed[at : at + 16] for sealed in stored.values() for at in range(1000, CHUNK, 16)]
    assert len(stored) == 4 and len(set(parts)) == len(parts), "no two blocks are alike"
    wrapped = re.findall(r'"key":"([0-9a-f]+)"', "".join(p.read_text() for p in house.keys.glob("files/*/*")))
    assert len({*wrapped}) == 4
    assert {path.name for path in house.keys.glob("*.*.key")} == {*kept.values()}
    whole = {file: (house.keys / file).read_bytes() for file in kept.values()}
    assert len({*whole.values()}) == 3
    for lost, value in whole.items():
        (house.keys / lost).unlink()
        for name, of in kept.items():
            if of == lost:
                with pytest.raises(KeyLost, match=lost):
                    opened(house, name)
            else:
                assert opened(house, name) == bytes(CHUNK)
        for another in (key for file, key in whole.items() if file != lost):
            (house.keys / lost).write_bytes(another)
            (house.keys / lost).chmod(0o600)
            for name in (name for name, of in kept.items() if of == lost):
                with pytest.raises(WrongKey):
                    opened(house, name)
        (house.keys / lost).write_bytes(value)
    assert all(opened(house, name) for name in kept)


def test_a_lost_table_of_keys_is_a_clear_error(house: House) -> None:
    house.keep(CALL)
    (house.keys / "files" / "demo" / f"{DAY}.jsonl").unlink()
    with pytest.raises(KeyLost):
        opened(house)


def test_after_a_rotation_old_recordings_open_with_the_new_key_alone(house: House) -> None:
    house.keep(CALL, b"before")
    sealed = house.recordings.find(CALL)
    assert sealed is not None
    bytes_before, old = sealed.read_bytes(), wrapping(house)
    old_key = old.read_bytes()
    (row,) = KeyRing(house.keys).rotate()
    assert (row.centre, row.month, row.version, row.recordings) == ("demo", "2026-11", 2, 1)
    assert not old.exists() and sealed.read_bytes() == bytes_before
    assert opened(house) == b"before"
    house.keep("node1-1795143501.8", b"after")
    assert opened(house, "node1-1795143501.8") == b"after"
    wrapping(house).write_bytes(old_key)
    with pytest.raises(WrongKey):
        opened(house)


def test_a_rotation_that_was_killed_is_done_by_the_next_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.keep(CALL, b"one")
    house.world.at = Instant(NOON + DAY_US)
    house.keep("node1-1795230000.1", b"two")
    rewrite, done = KeyRing._rewrite, []

    def dies(self: KeyRing, path: Path, entries: list[object]) -> None:
        if done:
            raise Killed
        done.append(path)
        rewrite(self, path, entries)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(KeyRing, "_rewrite", dies)
        with pytest.raises(Killed):
            KeyRing(house.keys).rotate()
    assert (opened(house), opened(house, "node1-1795230000.1")) == (b"one", b"two")
    (row,) = KeyRing(house.keys).rotate()
    assert (row.version, row.recordings) == (3, 2) and len(list(house.keys.glob("demo.*.key"))) == 1
    assert (opened(house), opened(house, "node1-1795230000.1")) == (b"one", b"two")


def test_a_destroyed_key_opens_nothing_not_even_an_old_copy_of_the_store(house: House) -> None:
    house.keep(CALL, b"gone")
    house.keep("node1-1795143501.8", b"stays")
    ring = KeyRing(house.keys)
    table = house.keys / "files" / "demo" / f"{DAY}.jsonl"
    key = table.read_text().split('"key":"')[1].split('"')[0]
    assert ring.destroy("demo", DAY, CALL, "2026-11-21T00:00:00+09:00")
    assert not ring.destroy("demo", DAY, CALL, "2026-11-21T00:00:00+09:00")
    with pytest.raises(KeyDestroyed, match="消去済み"):
        opened(house)
    assert opened(house, "node1-1795143501.8") == b"stays"
    for path in (p for p in house.home.rglob("*") if p.is_file()):
        assert key.encode() not in path.read_bytes()


def test_without_the_signing_key_nothing_is_signed_by_another(house: House) -> None:
    house.keep(CALL)
    (house.keys / "signing.key").unlink()
    with pytest.raises(SigningKeyLost, match=r"signing\.key"):
        signer(house.keys)


# -- damaged files --------------------------------------------------------------------------------------------------


def test_what_was_changed_cut_or_replaced_does_not_open(house: House) -> None:
    path = house.keep(CALL, os.urandom(2 * CHUNK))
    whole = path.read_bytes()
    for damaged, error in (
        (whole[:-1], Truncated),
        (whole[: CHUNK + 300], Truncated),
        (whole + b"x", Altered),
        (whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:], Altered),
        (b"RIFF" + whole[4:], NotSealed),
        (whole[:9], NotSealed),
    ):
        path.write_bytes(damaged)
        with pytest.raises(error):
            opened(house)
    head = whole.replace(b'"call":"node1', b'"call":"node2')
    path.write_bytes(head)
    with pytest.raises(Altered):
        opened(house)


def test_chunks_of_one_recording_cannot_change_places(house: House) -> None:
    path = house.keep(CALL, os.urandom(3 * CHUNK))
    whole = path.read_bytes()
    begin = len(whole) - 3 * (CHUNK + 16)
    one, two = whole[begin : begin + CHUNK + 16], whole[begin + CHUNK + 16 : begin + 2 * (CHUNK + 16)]
    path.write_bytes(whole[:begin] + two + one + whole[begin + 2 * (CHUNK + 16) :])
    with pytest.raises(Altered):
        opened(house)


# -- which, and when ------------------------------------------------------------------------------------------------


def test_a_recording_is_sealed_within_a_minute_of_its_calls_end_whatever_happens() -> None:
    def asked(age_s: float, *, measured: bool = True, known: bool = True, engine: bool = True) -> bool:
        at = Instant(round(NOON - age_s * SECOND))
        of = Whose("demo", "Asia/Tokyo", CALL, RecordingKind.CALL, at if known else None, measured)
        return due(of, at, NOON, plain_s=30, engine=engine, press=Pressure(0.0, 0.0))

    assert not asked(29) and asked(30)
    assert not asked(49, measured=False) and asked(AT_MOST_S - MARGIN_S, measured=False)
    assert asked(30, engine=False), "the dead engine cannot hold it back"
    assert not asked(59, known=False) and asked(60, known=False)
    assert not asked(3600, known=False, engine=False), "who knows which calls go on?"


def test_the_file_of_a_call_that_goes_on_is_not_touched(house: House) -> None:
    desk = Desk().begin()
    desk.arrive(1, CALL)
    goes_on = View(Seq(1, 1), desk.floor, Books())
    assert whose(CALL, goes_on) is None and whose(f"{CALL}.2", goes_on) is None
    ended = View(Seq(1, 1), Floor(ended=Map({CallId(CALL): NOON})), Books())
    tape = Tape(unheld=(CallId("node1-1.9"),))
    uncut = changed(ended.floor, unfiled=ended.floor.ended, tapes=Map({CallId(CALL): tape}))
    cut = View(Seq(1, 1), uncut, Books())
    assert whose(CALL, cut) is None and whose("node1-1.9", cut) is None
    of = whose(f"{CALL}.message", ended)
    assert of is not None and (of.call, of.of, of.centre, of.ended_at) == (
        *(CALL, RecordingKind.MESSAGE),
        *(UNASSIGNED, NOON),
    )
    part = whose(f"{CALL}.2", ended)
    assert part is not None and part.call == CALL
    assert whose("notes of somebody", ended) == Whose(UNASSIGNED, "Asia/Tokyo", None, None, None, True)


async def test_what_former_days_left_in_clear_is_sealed_at_the_start(house: House) -> None:
    house.world.centres = {CALL: "oita"}
    old = house.record(CALL, age_s=400_000)
    house.record("something else", age_s=400_000)
    young = house.record("node1-1795143590.9", age_s=5)
    house.protected.mkdir()
    alone = house.record("node1-1795000000.5", b"evidence", age_s=400_000)
    alone.rename(house.protected / alone.name)
    aside = house.store / "demo" / f".{CALL}.ccr.new"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"half")
    one = house.keeper()
    one.tidy()
    assert not aside.exists()
    house.world.away = True
    assert {await one._known(of) for path, of in one.looked() if path == old} == {None}, (
        "the database is away"
    )
    house.world.away = False
    for path, of in one.looked():
        known = await one._known(of)
        assert known is not None and one.kept(path, known)
    assert list(house.spool.iterdir()) == [young]
    assert (house.store / "oita" / DAY / f"{CALL}.ccr").exists()
    assert (house.store / UNASSIGNED / DAY / "something else.ccr").exists()
    assert [p.name for p in house.protected.iterdir()] == ["node1-1795000000.5.ccr"]
    assert one.gauges()["sidecar_recordings_plain"] == 4
    one.looked()
    assert one.gauges()["sidecar_recordings_plain"] == 1
    assert house.named() == set()


# -- the chain ------------------------------------------------------------------------------------------------------


def erase(house: House, name: str, *, file: bool = True, on: str = "2026-11-21") -> None:
    path = house.recordings.find(name)
    assert path is not None
    centre, day = path.parent.parent.name, path.parent.name
    line = kept_line(house.store, centre, day, name)
    assert line is not None
    at = f"{on}T10:00:00.000+09:00"
    entry = Erased(
        centre=centre,
        day=on,
        at=at,
        name=name,
        kept=day,
        sha256=line.stored.sha256,
        why="retention",
        by="user:sato",
    )
    Chain(house.store, house.keys, signer(house.keys)).add(entry)
    if file:
        path.unlink()


def test_an_erased_recording_is_not_missing_and_one_that_still_lies_there_is_named(house: House) -> None:
    house.keep(CALL)
    house.keep("node1-1795143501.8")
    erase(house, CALL)
    assert house.named() == set()
    assert [(d.day, d.kept, d.erased) for d in house.verify().days] == [(DAY, 2, 0), ("2026-11-21", 0, 1)]
    erase(house, "node1-1795143501.8", file=False)
    assert house.named() == {("erased_there", f"{DAY}/node1-1795143501.8.ccr")}


def test_a_name_that_is_kept_anew_on_its_day_of_erasing_is_there_until_it_is_erased_again(
    house: House, tmp_path: Path
) -> None:
    house.keep(CALL)
    first = house.recordings.open(CALL).read()
    erase(house, CALL, on=DAY)
    sealed = house.keep(CALL)
    assert house.named() == set()
    assert [(d.day, d.kept, d.erased) for d in house.verify().days] == [(DAY, 2, 1)]
    for name, sound in (("1", first), ("2", house.recordings.open(CALL).read())):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{CALL}.wav").write_bytes(sound)
        assert verify_export(folder, house.public(), house.store).found == [], "both were kept"
    whole = sealed.read_bytes()
    sealed.unlink()
    assert house.named() == {("missing", f"{DAY}/{CALL}.ccr")}
    sealed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert house.named() == {("altered", f"{DAY}/{CALL}.ccr")}
    sealed.write_bytes(whole)
    erase(house, CALL, on=DAY, file=False)
    assert house.named() == {("erased_there", f"{DAY}/{CALL}.ccr")}
    # An old line that somebody writes once more does not make it one that was kept.
    chain = sealed.parent / "chain.jsonl"
    chain.write_bytes(chain.read_bytes() + chain.read_bytes().splitlines(keepends=True)[1])
    assert ("erased_there", f"{DAY}/{CALL}.ccr") in house.named()


def test_killed_before_its_line_a_name_that_is_kept_anew_gets_one(house: House) -> None:
    house.keep(CALL)
    erase(house, CALL, on=DAY)
    plain = house.record(CALL)
    house.stop_at = "line"
    with pytest.raises(Killed):
        house.keeper().keep(plain, house.whose(CALL))
    house.stop_at = None
    house.keeper().keep(plain, house.whose(CALL))
    assert house.named() == set()
    assert [(d.kept, d.erased) for d in house.verify().days] == [(2, 1)]


def test_each_altered_truncated_added_or_missing_file_is_named(house: House) -> None:
    names = [f"node1-179514350{n}.{n}" for n in range(6)]
    paths = [house.keep(name) for name in names]
    data = paths[0].read_bytes()
    paths[0].write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    os.truncate(paths[1], 50)
    paths[2].unlink()
    three, four = paths[3].read_bytes(), paths[4].read_bytes()
    paths[3].write_bytes(four)
    paths[4].write_bytes(three)
    (paths[0].parent / "node1-1795143509.9.ccr").write_bytes(four)
    (house.store / "demo" / "notes.txt").write_text("x")
    assert house.named() == {
        ("altered", f"{DAY}/{names[0]}.ccr"),
        ("truncated", f"{DAY}/{names[1]}.ccr"),
        ("missing", f"{DAY}/{names[2]}.ccr"),
        ("altered", f"{DAY}/{names[3]}.ccr"),
        ("altered", f"{DAY}/{names[4]}.ccr"),
        ("added", f"{DAY}/node1-1795143509.9.ccr"),
        ("added", "notes.txt"),
    }


def test_a_file_that_cannot_be_read_is_named_and_all_others_are_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sick, altered, _ = paths = [house.keep(f"node1-179514350{n}.{n}") for n in range(4)]
    folder.unlink()
    folder.mkdir()
    altered.write_bytes(altered.read_bytes()[:-1] + b"?")
    away(monkeypatch, sick)
    assert house.named() == {
        ("unreadable", f"{DAY}/{folder.name}"),
        ("unreadable", f"{DAY}/{sick.name}"),
        ("altered", f"{DAY}/{altered.name}"),
    }
    verdict = house.verify()
    assert verdict.files == len(paths)
    assert {x.name: x.detail for x in verdict.found if x.fault.value == "unreadable"} == {
        folder.name: "Is a directory",
        sick.name: "Input/output error",
    }


def test_a_chain_or_root_that_cannot_be_read_is_named_and_nobody_is_accused_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = three_days(house)
    mark = roots(house.store, "demo", house.public())[second.name].root
    lost = next(third.glob("*.ccr"))
    lost.unlink()
    with monkeypatch.context() as patch:
        away(patch, second / "chain.jsonl")
        missing = ("missing", f"{third.name}/{lost.name}")
        assert house.named(known=[mark]) == {("unreadable", f"{second.name}/chain.jsonl"), missing}
        assert [day.day for day in house.verify().days] == [first.name, third.name]
    with monkeypatch.context() as patch:
        away(patch, second / "root.json", third.parent / "root.json")
        assert house.named() == {
            ("unreadable", f"{second.name}/root.json"),
            ("unreadable", "root.json"),
            missing,
        }
    with monkeypatch.context() as patch:
        away(patch, second)
        assert house.named() == {("unreadable", second.name), missing}
    house.keep(CALL, centre="oita")
    with monkeypatch.context() as patch:
        away(patch, house.store / "oita")
        assert house.named() == {("unreadable", "oita"), missing}


def test_a_centre_whose_folder_may_be_listed_but_not_entered_is_no_added_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.keep(CALL)
    shut = house.keep("node1-1795143501.8", centre="oita").parent
    is_dir = Path.is_dir

    def refused(path: Path) -> bool:
        if path == shut:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    assert house.named() == {("unreadable", "oita")}


def test_a_pipe_in_place_of_a_file_does_not_keep_who_verifies_waiting(house: House) -> None:
    path = house.keep(CALL)
    chain, root = path.with_name("chain.jsonl"), house.store / "demo" / "root.json"
    house.keep("node1-1795143501.8", centre="oita")
    for each in (path, root, chain):
        each.unlink()
        os.mkfifo(each)
        place = str(each.relative_to(house.store / "demo"))
        assert ("unreadable", place) in house.named()
    chain.unlink()
    chain.symlink_to("nowhere")
    assert house.named() == {("unreadable", f"{DAY}/chain.jsonl"), ("unreadable", "root.json")}


def test_a_day_of_which_nothing_can_be_read_does_not_accuse_the_day_after_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = list(three_days(house))
    for sick in days[:2]:
        with monkeypatch.context() as patch:
            away(patch, sick, sick / "chain.jsonl", sick / "root.json")
            assert house.named() == {
                ("unreadable", f"{sick.name}/chain.jsonl"),
                ("unreadable", f"{sick.name}/root.json"),
            }
    away(monkeypatch, days[1] / "chain.jsonl", days[1] / "root.json")
    last = days[2] / "chain.jsonl"
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[1:]))
    assert ("line_missing", f"{days[2].name}/chain.jsonl:1") in house.named(), "its own lines are looked at"


def test_what_goes_on_changing_is_named_though_it_differs_at_each_look(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.keep(CALL)
    path.write_bytes(whole := path.read_bytes()[:-1])

    def copied_on(_: float) -> None:
        path.write_bytes(path.read_bytes() + b"more and more")

    monkeypatch.setattr("callcore.recordings.verify.time.sleep", copied_on)
    assert house.named() == {("altered", f"{DAY}/{path.name}")}
    path.write_bytes(whole[:10])
    assert house.named() == {("truncated", f"{DAY}/{path.name}")}


def test_who_has_nothing_from_before_a_day_misses_what_is_gone_from_then_on(house: House) -> None:
    first, second, third = three_days(house)
    assert house.named(since=second.name) == set()
    shutil.rmtree(first)
    assert house.named(since=second.name) == set()
    chain = second / "chain.jsonl"
    lines = chain.read_bytes().splitlines(keepends=True)
    for gone in (1, 2):
        chain.write_bytes(b"".join(lines[gone:]))
        missing = ("line_missing", f"{second.name}/chain.jsonl:1")
        assert missing in house.named(since=second.name), gone
    chain.write_bytes(b"".join(lines))
    whole = house.home / "whole"
    second.rename(whole)
    assert house.named(since=second.name) == {("day_missing", f"{third.name}/chain.jsonl:1")}
    assert house.named(since=third.name) == set()
    house.keep(CALL, centre="oita")
    assert house.named(since="2026-11-23") == set(), "a centre in which nothing was kept since"
    shutil.rmtree(third)
    assert house.named(since=third.name) == {("day_missing", third.name)}


def test_of_names_with_a_dot_only_a_file_that_is_being_sealed_is_passed_over(house: House) -> None:
    house.keep(CALL)
    centre, day = house.store / "demo", house.store / "demo" / DAY
    (centre / ".node1-1795143501.8.ccr.new").write_bytes(b"half")
    (house.store / "oita").mkdir()
    (house.store / "oita" / ".node1-1795143502.9.ccr.new").write_bytes(b"half, of a centre's first one")
    assert house.named() == set()
    for added in (centre / ".x", centre / ".x.ccr", centre / ".root.json.new", day / ".y.ccr.new"):
        added.write_bytes(b"x")
    (house.store / ".z").write_bytes(b"x")
    (house.store / ".node1-1795143503.1.ccr.new").write_bytes(b"nothing is sealed here")
    (house.store / "oita" / ".x").write_bytes(b"x")
    assert house.named() == {
        ("added", ".x"),
        ("added", ".x.ccr"),
        ("added", ".root.json.new"),
        ("added", f"{DAY}/.y.ccr.new"),
        ("added", ".z"),
        ("added", ".node1-1795143503.1.ccr.new"),
        ("added", "oita"),
    }


def test_a_half_written_file_that_a_crash_left_is_named_where_nobody_removes_it(house: House) -> None:
    house.keep(CALL)
    (house.store / "oita").mkdir()
    left = [
        house.store / "demo" / ".node1-1795143501.8.ccr.new",
        house.store / "oita" / ".node1-1795143502.9.ccr.new",
    ]
    for path in left:
        path.write_bytes(b"half")
    assert house.named() == set(), "these may be being sealed"
    for age_s in (120, -120):  # also by a clock that was set back
        for path in left:
            at = time.time() - age_s
            os.utime(path, (at, at))
        assert house.named() == {("added", left[0].name), ("added", "oita")}
    house.keeper().tidy()
    assert house.named() == set()


def test_names_that_are_no_text_or_would_be_taken_for_more_lines_are_shown_by_their_bytes(
    house: House,
) -> None:
    day = house.keep(CALL).parent
    for name in (b"caf\xe9.ccr", b"x\n0 faults"):
        Path(os.fsdecode(bytes(day) + b"/" + name)).write_bytes(b"x")
    assert {str(x) for x in house.verify().found} == {
        f"demo/{DAY}/{name}: 記録のないファイル / was added: no line tells of it"
        for name in (r"caf\xe9.ccr", r"x\n0 faults")
    }


def test_a_store_on_a_disk_of_its_own_has_no_centre_called_lost_and_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.keep(CALL)
    shut = house.store / "lost+found"
    shut.mkdir()
    assert house.named() == set(), "as root sees it"
    with monkeypatch.context() as patch:
        away(patch, shut, shut / "root.json")
        assert house.named() == set(), "as everybody else does"
        assert list(unsound(house.store, house.keys)) == []
        again = house.keeper()
        again.tidy()
        again.keep(house.record("node1-1795143501.8"), house.whose("node1-1795143501.8"))
    (shut / "#12").write_bytes(b"what a check of the disk put there")
    assert house.named() == {("added", "lost+found")}


def test_a_centre_whose_whole_folder_is_gone_is_found_by_a_root_of_the_daily_figures_alone(
    house: House,
) -> None:
    house.keep(CALL)
    house.keep("node1-1795143501.8", centre="oita")
    root = roots(house.store, "oita", house.public())[DAY].root
    shutil.rmtree(house.store / "oita")
    assert house.named() == set(), "no file can tell"
    assert house.named(known=[root]) == {("root_unknown", root)}


def three_days(house: House) -> Iterator[Path]:
    for n in range(3):
        house.world.at = Instant(NOON + n * DAY_US)
        for k in range(2):
            house.keep(f"node1-17951435{n}{k}.{k}")
        yield house.store / "demo" / f"2026-11-{20 + n}"


def test_whoever_changes_the_chain_itself_is_found_out(house: House) -> None:
    first, second, third = three_days(house)
    kept = {path: path.read_bytes() for path in house.store.rglob("*") if path.is_file()}

    def put_back() -> None:
        for path, data in kept.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)

    def found() -> set[str]:
        told = {fault for fault, _ in house.named()}
        put_back()
        assert house.named() == set()
        return told

    chain = second / "chain.jsonl"
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(lines[0] + lines[1].replace(b'"call","seconds"', b'"tale","seconds"') + lines[2])
    assert found() == {"line_altered", "added"}
    chain.write_bytes(lines[0] + lines[2])
    assert found() == {"line_missing", "added"}
    chain.write_bytes(lines[0] + lines[2] + lines[1])
    assert found() == {"line_missing", "line_added"}
    chain.write_bytes(lines[0] + lines[1])
    assert found() == {"line_missing", "added"}
    chain.write_bytes(b"".join(lines) + lines[1])
    assert found() == {"line_added"}
    chain.write_bytes(b"".join(lines) + (third / "chain.jsonl").read_bytes())
    assert found() == {"line_added"}
    (second / "root.json").unlink()
    assert found() == {"root_missing"}
    (second / "root.json").write_bytes(kept[first / "root.json"])
    assert found() == {"root_altered"}
    shutil.rmtree(second)
    assert found() == {"day_missing"}
    shutil.rmtree(third)
    assert found() == {"day_missing"}
    shutil.rmtree(first)
    assert found() == {"day_missing"}


def test_what_was_cut_off_together_with_its_roots_is_found_by_the_root_of_the_daily_figures(
    house: House,
) -> None:
    _, second, third = three_days(house)
    root = roots(house.store, "demo", house.public())["2026-11-22"].root
    assert house.named(known=[root]) == set()
    shutil.rmtree(third)
    shutil.copy(second / "root.json", house.store / "demo" / "root.json")
    assert house.named() == set(), "no file can tell"
    assert house.named(known=[root]) == {("root_unknown", root)}


def test_the_writer_goes_on_after_lines_were_taken_away_and_the_gap_stays_to_be_seen(house: House) -> None:
    _, _, third = three_days(house)
    chain = third / "chain.jsonl"
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:1]))
    house.keep("node1-1795143599.9")
    told = house.named()
    assert {fault for fault, _ in told} == {"line_missing", "added"}, told


def test_a_chain_whose_head_was_lost_or_is_old_goes_on_from_its_last_own_line(house: House) -> None:
    list(three_days(house))
    head = house.keys / "heads" / "demo.json"
    old = head.read_bytes()
    house.keep("node1-1795143597.1")
    head.write_bytes(old)
    house.keep("node1-1795143598.2")
    head.unlink()
    house.keep("node1-1795143599.3")
    assert house.named() == set()


def test_a_clock_that_was_set_back_writes_on_into_the_newest_day(house: House) -> None:
    house.keep(CALL)
    house.world.at = Instant(NOON - DAY_US)
    assert house.keep("node1-1795143501.8").parent.name == DAY
    assert house.named() == set() and opened(house, "node1-1795143501.8")


def test_another_ones_key_proves_nothing(house: House) -> None:
    house.keep(CALL)
    stranger = made(house.home / "elsewhere")
    told = {x.fault.value for x in verify.verify(house.store, stranger.public).found}
    assert told == {"line_altered", "root_altered", "added"}


def test_an_export_is_proven_by_the_hash_of_its_sound(house: House) -> None:
    house.keep(CALL, b"sound of one")
    house.keep("node1-1795143501.8", b"sound of two")
    out = house.home / "export"
    (out / "2026").mkdir(parents=True)
    (out / "2026" / "renamed.wav").write_bytes(b"sound of one")
    (out / "node1-1795143501.8.wav").write_bytes(b"sound of twO")
    (out / f"{CALL}.wav").write_bytes(b"sound")
    (out / "other.wav").write_bytes(b"what is this")
    for path in house.store.rglob("*.ccr"):
        path.unlink()  # the city has the chains alone
    found = verify_export(out, house.public(), house.store).found
    assert {(x.fault.value, x.name) for x in found} == {
        ("altered", "node1-1795143501.8.wav"),
        ("truncated", f"{CALL}.wav"),
        ("added", "other.wav"),
    }


def test_every_error_says_what_to_do_in_two_languages() -> None:
    path = Path("store/x.ccr")
    for error in (
        NotSealed(path),
        Altered(path, 0),
        Truncated(path, 1, 2),
        KeyLost(path),
        WrongKey(path),
        KeyDestroyed("x"),
        KeyOpen(path),
        SigningKeyLost(path),
        NoPublicKey(path),
        PublicKeyAway(path, OSError(errno.EIO, os.strerror(errno.EIO))),
        NoExport(path),
    ):
        assert isinstance(error, RecordingError)
        ja, _, en = str(error).partition(" / ")
        assert any(ord(c) > 0x3000 for c in ja) and en.isascii()
