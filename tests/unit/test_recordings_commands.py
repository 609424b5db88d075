"""`callcore recordings`, as an operator and as the city use it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from callcore import console
from callcore.access.trail import Wanted
from callcore.cli import app
from callcore.domain.recording import UNASSIGNED
from callcore.installation import trail_of
from callcore.recordings.chain import roots
from callcore.reports.commands import _proofs
from callcore.reports.report import Proof, day_report, month_report
from callcore.reports.screen import report_tables
from callcore.reports.sheet import PROOF_COLUMNS, csv_of
from callcore.settings import Settings, SettingsError, read_settings
from tests.support.store import NOON, House
from tests.unit.test_recordings_export import exported, row
from tests.unit.test_report import DEMO, a_month, rows

NAMES = ["node1-1795143500.7", "node1-1795143501.8"]
DAY = "2026-11-20"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    made = House(tmp_path)
    for name in NAMES:
        made.keep(name, name.encode())
    return made


def run(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["recordings", *words])
    assert done.exit_code == status, done.output
    return done.output


def test_an_operator_verifies_and_sees_each_day_with_its_root(house: House) -> None:
    root = roots(house.store, "demo", house.public())[DAY].root
    said = run("verify")
    assert f"demo {DAY}: 保存 2件・消去 0件 / 2 kept, 0 erased; 根 root {root}" in said
    assert "2 ファイルを確かめました。異常 0件 / 2 files verified, 0 faults" in said
    assert run("verify", "--root", root)
    assert "a root of the daily figures is not in the chain" in run("verify", "--root", "0" * 64, status=1)


def test_the_city_verifies_a_copy_with_nothing_but_the_public_key(
    house: House, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = tmp_path_factory.mktemp("city")
    (city / "key.pem").write_text(run("public-key"))
    shutil.copytree(house.store, city / "copy")
    shutil.rmtree(house.home)
    monkeypatch.setenv("CALLCORE_HOME", "/nowhere")
    told = ("verify", "--store", str(city / "copy"), "--public-key", str(city / "key.pem"), "--json")
    lines = [json.loads(line) for line in run(*told).splitlines()]
    assert lines[-1] == {"kind": "whole", "files": 2, "faults": 0}
    (city / "copy" / "demo" / DAY / f"{NAMES[0]}.ccr").unlink()
    (city / "copy" / "demo" / DAY / f"{NAMES[1]}.ccr").write_bytes(b"x")
    faults = {
        x["name"]: x["fault"] for x in map(json.loads, run(*told, status=1).splitlines()) if "fault" in x
    }
    assert faults == {f"{NAMES[0]}.ccr": "missing", f"{NAMES[1]}.ccr": "truncated"}
    (city / "out").mkdir()
    (city / "out" / "one.wav").write_bytes(NAMES[0].encode())
    assert json.loads(run(*told, "--export", str(city / "out")).splitlines()[-1])["files"] == 1
    (city / "key.pem").write_text("no key")
    assert "公開鍵" in run(*told, status=2)


def test_a_name_that_is_no_text_is_named_in_text_and_json_and_in_an_export(house: House) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    (house.store / "demo" / DAY / name).write_bytes(b"x")
    assert r"caf\xe9.wav: 記録のない" in run("verify", status=1)
    assert r'"name":"caf\\xe9.wav"' in run("verify", "--json", status=1)
    (house.home / "out").mkdir()
    (house.home / "out" / name).write_bytes(b"x")
    told = ("verify", "--store", str(house.store), "--export", str(house.home / "out"))
    assert r"caf\xe9.wav: 記録のない" in run(*told, status=1)


def test_the_folder_of_one_centre_is_no_store_and_nobody_is_accused_for_it(house: House) -> None:
    assert "--store" in run("verify", "--store", str(house.store / "demo"), status=2)


def one_file(house: House, sound: bytes, name: str = "one.wav") -> tuple[str, ...]:
    (house.home / name).write_bytes(sound)
    return ("verify", "--export", str(house.home / name))


def test_one_file_of_sound_is_looked_at_as_a_folder_of_it_is(house: House) -> None:
    store = ("--store", str(house.store))
    for sound, name, fault in (
        (NAMES[0].encode(), "one.wav", None),
        (NAMES[0].encode(), f"{NAMES[0]}.wav", None),
        (NAMES[0].encode()[:9], f"{NAMES[0]}.wav", "truncated"),
        (b"", f"{NAMES[0]}.wav", "truncated"),
        (NAMES[1].encode(), f"{NAMES[0]}.wav", "altered"),
        (b"another one", "one.wav", "added"),
    ):
        told = one_file(house, sound, name)
        lines = [json.loads(x) for x in run(*told, *store, "--json", status=int(bool(fault))).splitlines()]
        found = [(x["fault"], x["name"]) for x in lines if x["kind"] == "fault"]
        assert found == ([(fault, name)] if fault else []) and lines[-1]["files"] == 1


def test_what_is_neither_archive_nor_folder_proves_nothing_without_a_store(house: House) -> None:
    told = one_file(house, NAMES[0].encode())
    said = run(*told, status=2)
    assert "one.wav" in said and "neither ZIP nor folder" in said and "--store" in said
    for begin in (b"PK\x03\x04 and no end", b""):
        assert "cut off" in run(*one_file(house, begin, "out.zip"), status=1)
    assert "cut off" in run(*one_file(house, b"PK\x03\x04", "out.zip"), "--store", str(house.store), status=1)
    said = run("verify", "--export", str(house.home / "no.zip"), status=2)
    assert "no.zip" in said and "読めません" in said


def test_that_nothing_was_looked_at_is_not_told_as_no_fault(house: House) -> None:
    assert "no day from 2030-01-01 on" in run("verify", "--since", "2030-01-01", status=2)
    assert run("verify", "--since", DAY)
    (empty := house.home / "out").mkdir()
    told = ("verify", "--store", str(house.store), "--export", str(empty))
    assert "holds no file" in run(*told, status=2)
    (empty / "one.wav").write_bytes(b"what is this")
    run(*told, status=1)
    assert "no day from 2030-01-01 on" in run(*told, "--since", "2030-01-01", status=2)
    house.keep("node1-1795143502.9", centre="oita")
    assert run("verify", "--since", DAY), "and of several centres one may have had nothing since"


def test_an_export_of_recordings_that_all_lack_their_sound_is_nothing_wrong(house: House) -> None:
    made = exported(house, house.home / "out.zip", [row("node1-1795143590.1", NOON)])
    assert (made.files, len(made.without)) == (0, 1)
    told = ("verify", "--export", str(house.home / "out.zip"))
    assert "3 ファイルを確かめました。異常 0件" in run(*told)
    assert "異常 0件" in run(*told, "--store", str(house.store))


def test_a_root_is_taken_as_people_copy_it_and_must_be_a_whole_one(house: House) -> None:
    root = roots(house.store, "demo", house.public())[DAY].root
    assert run("verify", "--root", f" {root.upper()}\n")
    for short in (root[:12], f"{root[:4]}…", root + "0", "x" * 64, ""):
        assert "64" in run("verify", "--root", root, "--root", short, status=2)


def test_a_public_key_that_cannot_be_read_is_not_called_a_wrong_one(house: House) -> None:
    for path, why in (
        (house.home / "no.pub", "No such file or directory"),
        (house.home, "Is a directory"),
    ):
        said = run("verify", "--public-key", str(path), status=2)
        assert str(path) in said and why in said and "読めません" in said and "cannot be read" in said
        assert "is no public key" not in said


@pytest.mark.parametrize("day", ["2026-1-5", "5.1.2026", "9000-01-02", "9999-12-31", ""])
def test_no_day_that_a_person_types_ends_a_command_without_a_word_of_what_to_write(
    house: House, day: str
) -> None:
    for status, words in (
        (2, ("verify", "--since", day)),
        (1, ("extend", "--until", day, "--call", "c1", "--reason", "x")),
        (1, ("find", "--first", day)),
        (1, ("find", "--last", day)),
    ):
        said = run(*words, status=status)
        assert "2026-11-20" in said and " / write a date like" in said, words


def test_what_cannot_be_verified_says_why(house: House) -> None:
    shutil.rmtree(house.store)
    house.store.mkdir()
    assert "--store" in run("verify", status=2)
    for since in ("20.11.2026", "2026-11-2"):
        assert "2026-11-20" in run("verify", "--since", since, status=2)
    (house.keys / "signing.pub").unlink()
    assert "public-key" in run("verify", status=2) and "public-key" in run("public-key", status=1)


def test_keys_are_listed_and_rotated_with_a_line_in_the_trail(house: House) -> None:
    listed = run("keys", "list")
    assert "demo 2026-11 v1: 録音 2件" in listed and str(house.keys) in listed
    assert "demo 2026-11: v2" in run("keys", "rotate", "--why", "年次更新")
    assert "v2: 録音 2件" in run("keys", "list")
    with house.recordings.open(NAMES[0]) as sound:
        assert sound.read() == NAMES[0].encode()
    trail = CliRunner().invoke(app, ["audit", "list"]).output
    assert "recordings_keys_rotated" in trail and "年次更新" in trail
    (house.keys / "demo.2026-11.2.key").write_text("{}")
    assert "put it back" in run("keys", "rotate", "--why", "x", status=1)


def in_trail(action: str) -> list[tuple[str | None, str]]:
    """What it was about and how it went, the newest first."""
    lines = trail_of(read_settings()).newest(Wanted(), 9)
    return [(line.on, line.result.value) for line in lines if line.action == action]


@pytest.mark.parametrize(
    "asked", [("--centre", "demmo"), ("--month", "2026-1"), ("--month", "november"), ("--month", "2026-10")]
)
def test_a_rotation_that_finds_no_key_says_so_and_the_trail_does_not_call_it_done(
    house: House, asked: tuple[str, str]
) -> None:
    said = run("keys", "rotate", "--why", "x", *asked, status=1)
    assert "no key of that centre and month" in said and "keys list" in said and "2026-11" in said
    assert in_trail("recordings_keys_rotated") == [(asked[1], "failed")]
    assert "demo 2026-11 v1: 録音 2件" in run("keys", "list")


def test_keys_are_listed_without_a_table_that_cannot_be_read_and_it_is_named(house: House) -> None:
    (table,) = (house.keys / "files" / "demo").iterdir()
    table.write_bytes(b"no line\n")
    listed = run("keys", "list", status=1)
    assert "demo 2026-11 v1: 録音 0件" in listed and str(table) in listed and "not counted" in listed


def test_a_rotation_says_which_months_it_could_not_change(house: House) -> None:
    (house.keys / "demo.2026-11.1.key").unlink()
    assert "demo.2026-11.1.key" in run("keys", "rotate", "--why", "x", status=1)
    run("keys", "replace", "--why", "火災で失われた")
    house.keep("node1-1795143502.9")
    for version in (102, 103):
        said = run("keys", "rotate", "--why", "年次更新", status=1)
        assert f"demo 2026-11: v{version}、録音 1件" in said
        assert "demo 2026-11: 替えられない" in said and "demo.2026-11.1.key" in said


def test_a_signing_key_that_is_lost_for_good_is_replaced_by_order_and_verify_takes_both(
    house: House, tmp_path: Path
) -> None:
    assert "nothing to replace" in run("keys", "replace", "--why", "x", status=1)
    city = tmp_path / "city.pub"
    city.write_text(run("public-key"))
    for name in ("signing.key", "signing.pub"):
        (house.keys / name).unlink()
    assert "--former" in run("keys", "replace", "--why", "x", status=1)
    assert "公開鍵" in run("keys", "replace", "--why", "x", "--former", str(house.keys / "no.pub"), status=1)
    said = run("keys", "replace", "--why", "火災で失われた", "--former", str(city))
    assert "public-key" in said and " / " in said
    house.keep("node1-1795143502.9")
    run("verify")
    new = tmp_path / "new.pub"
    new.write_text(run("public-key"))
    told = ("verify", "--store", str(house.store), "--public-key", str(city))
    run(*told, status=1)
    run(*told, "--public-key", str(new))
    trail = CliRunner().invoke(app, ["audit", "list"]).output
    assert "recordings_keys_replaced" in trail and "火災で失われた" in trail


def test_the_daily_figures_bear_the_root_of_the_day(house: House) -> None:
    frames = a_month(30, days=2)
    made = month_report(frames, DEMO, None)
    first, second = (day.row.date for day in made.days[:2])
    proven = replace(made, proofs={first: Proof("ab" * 32, 12, 3), second: Proof(None, 0, 0, "cd" * 32)})
    lines = rows(csv_of(proven, half_hours=True))
    told = [[line[name] for name in PROOF_COLUMNS] for line in lines if line["行 kind"] == "day"]
    assert told[0] == ["12", "3", "ab" * 32, ""] and told[1] == ["", "", "", "cd" * 32]
    assert set(map(tuple, told[2:])) <= {("", "", "", "")}
    assert all(not line[PROOF_COLUMNS[2]] for line in lines if line["行 kind"] != "day")
    head = str(next(iter(report_tables(proven, half_hours=False))))
    assert f"{first} 録音 保存 12件・消去 3件" in head and "ab" * 32 in head
    assert f"{second} 録音" not in head and "cd" * 32 in head
    assert "根" not in str(next(iter(report_tables(day_report(frames, DEMO, first), half_hours=False))))


def test_that_the_end_of_what_no_centre_is_known_of_was_cut_off_is_told_by_the_daily_figures(
    house: House,
) -> None:
    house.keep("node1-1795143502.9", centre=UNASSIGNED)
    day = date.fromisoformat(DAY)
    made = SimpleNamespace(
        centre=SimpleNamespace(id="demo"), days=[SimpleNamespace(row=SimpleNamespace(date=day))]
    )
    proofs = _proofs(Settings(home=house.home), made)  # type: ignore[arg-type]
    own, nobodys = (roots(house.store, each, house.public())[DAY].root for each in ("demo", UNASSIGNED))
    assert proofs == {day: Proof(own, 2, 0, nobodys)}
    run("verify", "--root", nobodys)
    shutil.rmtree(house.store / UNASSIGNED)
    run("verify", "--root", own)
    assert "a root of the daily figures is not in the chain" in run("verify", "--root", nobodys, status=1)


def test_keys_inside_the_store_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALLCORE_RECORDINGS_STORE", str(tmp_path))
    monkeypatch.setenv("CALLCORE_RECORDINGS_KEYS_FOLDER", str(tmp_path / "keys"))
    with pytest.raises(SettingsError, match="must lie outside"):
        read_settings()
