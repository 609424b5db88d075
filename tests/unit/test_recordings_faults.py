"""Faults planted one by one in kept recordings and their keys: each is named by the tool that should, and no other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callcore.cli import app
from callcore.domain.ids import Instant
from callcore.recordings.chain import CHAIN, ahead
from callcore.recordings.errors import RecordingError
from callcore.recordings.keeper import Whose
from callcore.recordings.soundness import unsound
from callcore.recordings.vault import CHUNK
from callcore.settings import PROJECT
from tests.support.store import DAY_US, NOON, House, away, wav

CALL, OTHER = "node1-1795143500.7", "node1-1795143501.8"
DAY = "2026-11-20"
TWO_S = 2 * 16_000


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    made = House(tmp_path)
    for name in (CALL, OTHER):
        made.keep(name, wav(tmp_path / "x.wav", 10).read_bytes())
    (tmp_path / "x.wav").unlink()
    return made


def flipped(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: CHUNK // 2] + bytes([data[CHUNK // 2] ^ 4]) + data[CHUNK // 2 + 1 :])


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:20_000] + data[20_000 + TWO_S :])


STORED: dict[str, tuple[Callable[[Path], object], str]] = {
    "the file is deleted": (Path.unlink, "missing"),
    "a bit is flipped": (flipped, "altered"),
    "two seconds are cut out": (cut, "truncated"),
    "its end is gone": (lambda path: os.truncate(path, 1000), "truncated"),
    "it is empty": (lambda path: os.truncate(path, 0), "truncated"),
    "another one lies in its place": (
        lambda path: shutil.copy(path.with_name(f"{OTHER}.ccr"), path),
        "altered",
    ),
    "two seconds are doubled": (lambda path: path.write_bytes(path.read_bytes() + bytes(TWO_S)), "altered"),
}


@pytest.mark.parametrize("what", STORED)
def test_verify_names_what_was_done_to_a_kept_recording_and_it_does_not_open(house: House, what: str) -> None:
    plant, fault = STORED[what]
    path = house.recordings.find(CALL)
    assert path is not None
    plant(path)
    said = CliRunner().invoke(app, ["recordings", "verify", "--json"])
    assert said.exit_code == 1
    [line] = [line for line in said.output.splitlines() if '"fault"' in line and '"kind":"fault"' in line]
    assert f'"fault":"{fault}"' in line and f'"name":"{CALL}.ccr"' in line, line
    if what != "another one lies in its place":
        with pytest.raises((RecordingError, FileNotFoundError)), house.recordings.open(CALL) as sound:
            sound.read()
    with house.recordings.open(OTHER) as sound:
        assert sound.read()


def without_line(row: int) -> Callable[[Path], object]:
    def plant(day: Path) -> None:
        lines = (day / CHAIN).read_bytes().splitlines(keepends=True)
        del lines[row]
        (day / CHAIN).write_bytes(b"".join(lines))

    return plant


# Plant it in the day's folder; what is named, with the line of the recordings that it leaves without proof.
CHAINED: dict[str, tuple[Callable[[Path], object], set[tuple[str, str]]]] = {
    "a file is added": (lambda day: (day / "x.ccr").write_bytes(b"x"), {("added", "x.ccr")}),
    "the day's root is removed": (lambda day: (day / "root.json").unlink(), {("root_missing", "root.json")}),
    "the newest root is removed": (
        lambda day: (day.parent / "root.json").unlink(),
        {("root_missing", "root.json")},
    ),
    "its first line is removed": (without_line(0), {("day_missing", "")}),
    "a line is removed": (without_line(1), {("line_missing", f"{CHAIN}:2"), ("added", f"{CALL}.ccr")}),
    "it is cut at its end": (
        without_line(2),
        {("line_missing", CHAIN), ("day_missing", ""), ("added", f"{OTHER}.ccr")},
    ),
    "a line is removed with its file": (
        lambda day: (without_line(1)(day), (day / f"{CALL}.ccr").unlink()),
        {("line_missing", f"{CHAIN}:2")},
    ),
    "it is cut at its end with its file": (
        lambda day: (without_line(2)(day), (day / f"{OTHER}.ccr").unlink()),
        {("line_missing", CHAIN), ("day_missing", "")},
    ),
    "the whole chain is removed": (
        lambda day: (day / CHAIN).unlink(),
        {("line_missing", CHAIN), ("day_missing", ""), ("added", f"{CALL}.ccr"), ("added", f"{OTHER}.ccr")},
    ),
    "the whole day is removed": (shutil.rmtree, {("day_missing", "")}),
}


@pytest.mark.parametrize("what", CHAINED)
def test_verify_names_what_was_done_to_the_chain_of_a_day(house: House, what: str) -> None:
    plant, named = CHAINED[what]
    plant(house.store / "demo" / DAY)
    said = CliRunner().invoke(app, ["recordings", "verify", "--json"])
    assert said.exit_code == 1, said.output
    told = [json.loads(line) for line in said.output.splitlines()]
    assert {(x["fault"], x["name"]) for x in told if x["kind"] == "fault"} == named


def test_only_a_root_of_the_daily_figures_tells_that_the_end_was_cut_off_with_all_its_roots(
    house: House,
) -> None:
    day = house.store / "demo" / DAY
    before = {path: path.read_bytes() for path in (day / CHAIN, day / "root.json", day.parent / "root.json")}
    house.keep("node1-1795143502.9")
    [root] = [each.root for each in house.verify().days]
    (day / "node1-1795143502.9.ccr").unlink()
    for path, content in before.items():
        path.write_bytes(content)
    assert house.named() == set()
    said = CliRunner().invoke(app, ["recordings", "verify", "--json", "--root", root])
    assert said.exit_code == 1 and '"fault":"root_unknown"' in said.output


def _no_table(house: House) -> None:
    (house.keys / "files" / "demo" / f"{DAY}.jsonl").write_bytes(b"rubbish\n")


def _another_key(house: House) -> None:
    other = House(house.home / "other")
    other.keep(CALL)
    shutil.copy(other.keys / "demo.2026-11.1.key", house.keys / "demo.2026-11.1.key")
    shutil.rmtree(other.home)


# Plant it; what the doctor says; whether kept recordings do not open.
KEYS: dict[str, tuple[Callable[[House], object], str, bool]] = {
    "the month's key is lost": (
        lambda house: (house.keys / "demo.2026-11.1.key").unlink(),
        "録音の鍵がありません",
        True,
    ),
    "it is another one's": (_another_key, "録音の鍵が合いません", True),
    "others can read it": (
        lambda house: (house.keys / "demo.2026-11.1.key").chmod(0o644),
        "chmod 600",
        True,
    ),
    "the table of keys is rubbish": (_no_table, "録音の鍵が合いません", True),
    "the signing key is lost": (
        lambda house: (house.keys / "signing.key").unlink(),
        "signing.key",
        False,
    ),
    "the signing key is rubbish": (
        lambda house: (house.keys / "signing.key").write_text("x"),
        "録音の鍵が合いません",
        False,
    ),
    "the store's disk is not mounted": (
        lambda house: house.store.rename(house.home / "away"),
        "保管先",
        False,
    ),
}


@pytest.mark.parametrize("what", KEYS)
def test_the_doctor_names_keys_and_store_and_the_keeper_keeps_the_plain_file(house: House, what: str) -> None:
    plant, said, closed = KEYS[what]
    assert list(unsound(house.store, house.keys)) == []
    plant(house)
    told = list(unsound(house.store, house.keys))
    assert len(told) == 1 and said in told[0] and " / " in told[0], told
    if closed:
        with pytest.raises(RecordingError), house.recordings.open(CALL) as sound:
            sound.read()
    plain = house.record("node1-1795143509.9")
    keeper = house.keeper()
    assert not keeper.kept(plain, Whose("demo", "Asia/Tokyo", plain.stem, None, house.world.at, True))
    assert keeper.gauges()["sidecar_recordings_keep_failures"] == 1
    assert plain.exists(), "and nothing is lost"


def test_the_doctor_names_a_chain_that_cannot_be_read_and_keys_that_are_missing_behind_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick = house.keep("node1-1795143503.3", centre="ageo").with_name(CHAIN)
    (house.keys / "files" / "demo" / f"{DAY}.jsonl").unlink()
    with monkeypatch.context() as patch:
        away(patch, sick)
        read, lost = unsound(house.store, house.keys)
        assert str(sick) in read and "読めません" in read and " / " in read
        assert lost.startswith("demo 2026-11: 2件の録音の鍵がありません")
        house.keeper().look_at_keys()
    with monkeypatch.context() as patch:
        away(patch, house.store / "ageo")
        assert len(list(unsound(house.store, house.keys))) == 2
    for name in ("demo", "ageo"):
        with monkeypatch.context() as patch:
            away(patch, house.store / name / "root.json")
            [told, lost] = unsound(house.store, house.keys)
            assert f"{name}/root.json" in told and "読めません" in told
    (house.keys / "signing.key").unlink()
    (house.keys / "signing.key").mkdir(mode=0o700)
    told, lost = unsound(house.store, house.keys)
    assert "signing.key" in told and "読めません" in told


def test_a_clock_that_jumps_leaves_one_chain_in_which_nothing_is_missing(house: House) -> None:
    days = []
    for n, step in enumerate((3 * DAY_US, -5 * DAY_US, DAY_US // 24)):
        house.world.at = Instant(house.world.at + step)
        days.append(house.keep(f"node1-179514360{n}.{n}").parent.name)
    assert days == ["2026-11-23"] * 3, "back, it writes on into the newest day"
    assert ahead(house.keys, "2026-11-22") == {"demo": "2026-11-23"} and not ahead(house.keys, "2026-11-23")
    [*_, today] = house.verify().days
    house.world.at = Instant(NOON + 10 * DAY_US)
    assert house.keep("node1-1795143609.9").parent.name == "2026-11-30"
    assert house.named(known=[today.root]) == set(), "so it may be handed over before the day is over"
    assert list(unsound(house.store, house.keys)) == []


CHILD = """
import sys, time
from pathlib import Path
from tests.support.store import House
from callcore.domain.recording import RecordingKind
from callcore.recordings.keeper import Whose
house = House(Path(sys.argv[1]))
keeper = house.keeper()
def step(what):
    if what == sys.argv[2]:
        print("here", flush=True)
        time.sleep(600)
keeper.step = step
of = Whose("demo", "Asia/Tokyo", "node1-1795143502.2", RecordingKind.CALL, house.world.at, True)
keeper.keep(house.spool / "node1-1795143502.2.wav", of)
"""


@pytest.mark.parametrize("step", ["seal", "read back", "place", "line", "remove"])
def test_a_keeper_killed_by_the_kernel_is_made_up_for_at_the_next_start(house: House, step: str) -> None:
    name = "node1-1795143502.2"
    sound = wav(house.spool / f"{name}.wav", 20).read_bytes()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(house.home), step],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"},
    )
    assert child.stdout is not None
    with child.stdout:
        assert any(line == b"here\n" for line in iter(child.stdout.readline, b""))
        child.send_signal(signal.SIGKILL)
    assert child.wait(60) == -signal.SIGKILL
    house.world.at = Instant(round(time.time() * 1_000_000))
    again = house.keeper()
    again.tidy()
    assert not list(house.store.glob("*/.*")), "nothing half-written stays"
    plain = house.spool / f"{name}.wav"
    if plain.exists():
        os.utime(plain, (1, 1))
        for path, of in again.looked():
            again.keep(path, of)
    assert not list(house.spool.iterdir()), "no leftover lies in clear"
    with house.recordings.open(name) as kept:
        assert kept.read() == sound
    assert {fault for fault, _ in house.named()} == set()
