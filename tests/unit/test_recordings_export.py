"""Recordings handed over in one archive, and what the city finds when it checks one."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import wave
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.domain.recording import Direction, KeptBy, Place, RecordingKind
from callcore.erasing.sounds import Sounds
from callcore.erasing.sounds import told as told_by
from callcore.recordings.chain import CHAIN, Chain, roots
from callcore.recordings.export import Export, Lacking
from callcore.recordings.exported import verify_export
from callcore.recordings.keeper import Whose
from callcore.recordings.signing import made, signer
from callcore.recordings.verify import NothingToVerify
from callcore.runtime.recordings import ExportAsked, Pause, Recording
from tests.support.store import DAY_US, NOON, House, away, wav

OITA = CentreId("oita")
NAMES = ["node1-1795143500.7", "node1-1795143501.8", "node1-1795229901.9"]


def row(name: str, began: Instant, **more: object) -> Recording:
    whole: dict[str, object] = {
        "name": name,
        "kind": RecordingKind.CALL,
        "call": CallId(name),
        "side": None,
        "segments": 1,
        "centre": OITA,
        "queue": None,
        "language": "ja",
        "direction": Direction.IN,
        "agents": (AgentId("1001"),),
        "began_at": began,
        "ended_at": Instant(began + 90 * SECOND),
        "format": "wav",
        "channels": 1,
        "size": 100,
        "seconds": 90.0,
        "sha256": None,
        "problem": None,
        "findings": (),
        "result": "苦情",
        "result_kind": None,
        "department": None,
        "through": None,
        "complaint": False,
        "abuse": True,
        "relay": False,
        "pauses": (Pause(Instant(began + SECOND), Instant(began + 3 * SECOND), "asked"),),
        "place": Place.STORE,
        "key_period": None,
        "kept_by": KeptBy.UNTIL_TOLD,
        "keep_until": None,
        "legal_hold": False,
        "erased_at": None,
        "erased_why": None,
        "filed_at": began,
        "other": Personal(CallId(name), OITA, began, "09012345678"),
    }
    return Recording(**(whole | more))  # type: ignore[arg-type]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Three recordings of four seconds on two days, and one of another centre."""
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    made = House(tmp_path / "home")
    for name in NAMES:
        if name == NAMES[2]:
            made.world.at = Instant(NOON + DAY_US)
        keep(made, name)
    keep(made, "node1-1795229999.3", "ageo")
    return made


def keep(house: House, name: str, centre: str = "oita") -> bytes:
    plain = wav(house.spool / f"{name}.wav", 4)
    sound = plain.read_bytes()
    house.keeper().keep(plain, Whose(centre, "Asia/Tokyo", name, RecordingKind.CALL, house.world.at, True))
    return sound


def rows() -> list[Recording]:
    return [
        row(NAMES[2], Instant(NOON + DAY_US)),
        row(NAMES[0], NOON, kept_by=KeptBy.RULE, keep_until=Instant(NOON + 181 * DAY_US)),
        row(NAMES[1], Instant(NOON + SECOND)),
    ]


def erase(house: House, name: str) -> None:
    """As an erasure does it; the database has not followed."""
    chain = Chain(house.store, house.keys, signer(house.keys))
    sounds = Sounds(
        *(house.recordings, house.protected, chain),
        lambda: ("2026-11-22T09:00:00.000+09:00", "2026-11-22"),
    )
    sounds.erase(["oita"], name, name, "retention", "user:sato", {"oita": told_by(house.store, "oita")})


def exported(
    house: House,
    to: Path,
    told: list[Recording] | None = None,
    meanwhile: Callable[[str], None] = lambda name: None,
    **more: object,
) -> Export:
    """`meanwhile`: what happens when a recording's turn has come, before its first byte."""
    heard: list[str] = []

    def hear(one: Recording) -> None:
        heard.append(one.name)
        meanwhile(one.name)

    asked = ExportAsked(
        centre=OITA,
        zone="Asia/Tokyo",
        first=date(2026, 11, 20),
        last=date(2026, 11, 21),
        by="user:sato",
        purpose="開示請求",
        numbers=bool(more.pop("numbers", True)),
    )
    made = Export(
        house.recordings,
        signer(house.keys),
        asked,
        rows() if told is None else told,
        house.world.at,
        hear,
    )
    to.write_bytes(b"".join(made.pieces()))
    assert len(heard) == made.files, "each is told of before it is given out"
    return made


def faults(house: House, export: Path, **how: object) -> set[tuple[str, str]]:
    found = verify_export(export, house.public(), **how).found  # type: ignore[arg-type]
    return {(x.fault.value, "/".join(filter(None, (x.day, x.name)))) for x in found}


AUDIO = [
    f"audio/{begin}_{name}.wav"
    for begin, name in zip(
        ("2026-11-20T120000", "2026-11-20T120001", "2026-11-21T120000"), NAMES, strict=True
    )
]


def test_an_archive_holds_the_sound_the_index_the_hashes_and_the_proof(house: House, tmp_path: Path) -> None:
    made = exported(house, tmp_path / "out.zip")
    assert (made.files, made.without) == (3, [])
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "README.txt",
            "SHA256SUMS",
            "SHA256SUMS.sig",
            *AUDIO,
            "chain/oita/2026-11-20/chain.jsonl",
            "chain/oita/2026-11-20/root.json",
            "chain/oita/2026-11-21/chain.jsonl",
            "chain/oita/2026-11-21/root.json",
            "chain/oita/root.json",
            "index.csv",
            "index.json",
        ]
        with wave.open(io.BytesIO(archive.read(AUDIO[0]))) as sound:
            assert (sound.getframerate(), sound.getnframes()) == (8000, 32_000)
        text = archive.read("index.csv")
        assert text.startswith(b"\xef\xbb\xbf") and text.endswith(b"\r\n"), "as Excel reads Japanese"
        lines = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
        assert [line["ファイル file"] for line in lines] == AUDIO, "names sort as the talks began"
        first = lines[0]
        assert first["開始 began_at"] == "2026-11-20T12:00:00.000+09:00"
        assert first["電話番号(下3桁) number"] == "********678"
        assert first["一時停止 pauses"].endswith("asked") and first["目印 marks"] == "abuse"
        assert [(line["保存の理由 kept_by"], line["保存期限 keep_until"]) for line in lines] == [
            ("保存期間中 rule", "2027-05-20T12:00:00.000+09:00"),
            ("指示があるまで until_told", ""),
            ("指示があるまで until_told", ""),
        ]
        told = json.loads(archive.read("index.json"))
        assert [(one["kept_by"], one["keep_until"]) for one in told["recordings"][:2]] == [
            ("rule", "2027-05-20T12:00:00.000+09:00"),
            ("until_told", None),
        ]
        assert (told["purpose"], told["made_by"], told["with_sound"]) == ("開示請求", "user:sato", 3)
        one = told["recordings"][0]
        assert one["sha256"] == hashlib.sha256(archive.read(one["file"])).hexdigest()
        assert "09012345678" not in str(told)
    exported(house, tmp_path / "masked.zip", numbers=False)
    with zipfile.ZipFile(tmp_path / "masked.zip") as archive:
        lines = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode("utf-8-sig"))))
        assert {line["電話番号(下3桁) number"] for line in lines} == {""}
        told = json.loads(archive.read("index.json"))
        assert "***678" not in str(told)


def test_no_word_of_the_index_is_a_formula_where_an_office_opens_it(house: House, tmp_path: Path) -> None:
    result = '=HYPERLINK("http://x","見る")'
    exported(house, tmp_path / "out.zip", [row(NAMES[0], NOON, result=result)])
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        [line] = csv.DictReader(io.StringIO(archive.read("index.csv").decode("utf-8-sig")))
        [told] = json.loads(archive.read("index.json"))["recordings"]
    assert (line["結果 result"], told["result"]) == (f"'{result}", result)


def test_the_city_verifies_an_archive_and_its_folder_with_the_public_key_alone(
    house: House, tmp_path: Path
) -> None:
    out = tmp_path / "out.zip"
    exported(house, out)
    keys, root = house.public(), roots(house.store, "oita", house.public())["2026-11-21"].root
    public = shutil.copy(house.keys / "signing.pub", tmp_path / "signing.pub")
    store = house.store.rename(tmp_path / "elsewhere")
    shutil.rmtree(house.home)
    verdict = verify_export(out, keys, known=[root])
    assert (verdict.found, verdict.files) == ([], 11)
    assert [(day.day, day.kept) for day in verdict.days] == [("2026-11-20", 2), ("2026-11-21", 1)]
    assert {x.fault.value for x in verify_export(out, keys, known=["0" * 64]).found} == {"root_unknown"}
    assert verify_export(out, keys, store).found == [], "and by the chains of the whole store"
    folder = tmp_path / "folder"
    with zipfile.ZipFile(out) as archive:
        archive.extractall(folder)
    assert verify_export(folder, keys).found == []
    for words in (
        f"openssl pkeyutl -verify -pubin -inkey {public} -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig",
        "sha256sum --strict -c SHA256SUMS",
    ):
        done = subprocess.run(words.split(), cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    stranger = made(tmp_path / "stranger").public
    assert {"list_altered", "line_altered"} <= {x.fault.value for x in verify_export(out, stranger).found}


def flipped(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])


def two_seconds_cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:8044] + data[8044 + 2 * 16_000 :])


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a bit of the sound": (flipped, AUDIO[0], "altered"),
    "two seconds of the sound": (two_seconds_cut, AUDIO[1], "truncated"),
    "its end": (lambda path: os.truncate(path, 5000), AUDIO[2], "truncated"),
    "the whole file": (Path.unlink, AUDIO[1], "missing"),
    "the sound of another call": (
        lambda path: shutil.copy(path.parent / AUDIO[0][6:], path),
        AUDIO[1],
        "altered",
    ),
    "a word of the index": (flipped, "index.csv", "altered"),
    "the index": (Path.unlink, "index.json", "missing"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_was_done_to_a_file_of_an_export_is_named_and_no_other_one(
    house: House, tmp_path: Path, what: str
) -> None:
    damage, name, fault = DAMAGES[what]
    exported(house, tmp_path / "out.zip")
    folder = tmp_path / "folder"
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(folder)
    damage(folder / name)
    assert faults(house, folder) == {(fault, name)}
    (folder / "audio" / "more.wav").write_bytes(b"x")
    assert faults(house, folder) == {(fault, name), ("added", "audio/more.wav")}
    with zipfile.ZipFile(tmp_path / "again.zip", "w") as again:  # packed anew by whoever did it
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            again.write(path, str(path.relative_to(folder)))
    assert faults(house, tmp_path / "again.zip") == {(fault, name), ("added", "audio/more.wav")}


def without_line(row: int) -> Callable[[Path], object]:
    def plant(chain: Path) -> None:
        lines = chain.read_bytes().splitlines(keepends=True)
        del lines[row]
        chain.write_bytes(b"".join(lines))

    return plant


FIRST, LAST = "chain/oita/2026-11-20", "chain/oita/2026-11-21"
CHAINED: dict[str, tuple[Callable[[Path], object], str, set[tuple[str, str]]]] = {
    "a root is removed": (
        Path.unlink,
        f"{FIRST}/root.json",
        {("missing", f"{FIRST}/root.json"), ("root_missing", "2026-11-20/root.json")},
    ),
    "the first line is removed": (
        without_line(0),
        f"{FIRST}/{CHAIN}",
        {("altered", f"{FIRST}/{CHAIN}"), ("line_missing", f"2026-11-20/{CHAIN}:1")},
    ),
    "a line is removed": (
        without_line(1),
        f"{FIRST}/{CHAIN}",
        {
            ("altered", f"{FIRST}/{CHAIN}"),
            ("line_missing", f"2026-11-20/{CHAIN}:2"),
            ("added", AUDIO[0]),
        },
    ),
    "it is cut at its end": (
        without_line(1),
        f"{LAST}/{CHAIN}",
        {
            ("altered", f"{LAST}/{CHAIN}"),
            ("line_missing", f"2026-11-21/{CHAIN}"),
            ("day_missing", "2026-11-21"),
            ("added", AUDIO[2]),
        },
    ),
}


@pytest.mark.parametrize("what", CHAINED)
def test_what_was_done_to_the_chain_of_an_export_is_named(house: House, tmp_path: Path, what: str) -> None:
    damage, name, named = CHAINED[what]
    folder = unpacked(house, tmp_path)
    damage(folder / name)
    assert faults(house, folder) == named
    (folder / "SHA256SUMS").unlink()  # and the chain tells alone, as far as it goes
    told = {each for each in named if not each[1].startswith("chain/")}
    assert faults(house, folder) == told | {("list_missing", "SHA256SUMS")}


def test_who_takes_the_list_away_or_writes_another_does_not_get_by(house: House, tmp_path: Path) -> None:
    exported(house, tmp_path / "out.zip")
    folder = tmp_path / "folder"
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(folder)
    flipped(folder / AUDIO[0])
    told = (folder / "SHA256SUMS").read_text()
    digest = hashlib.sha256((folder / AUDIO[0]).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(told.replace(told.split(f"  {AUDIO[0]}")[0][-64:], digest))
    assert faults(house, folder) == {("list_altered", "SHA256SUMS"), ("altered", AUDIO[0])}
    (folder / "SHA256SUMS").unlink()
    assert faults(house, folder) == {("list_missing", "SHA256SUMS"), ("altered", AUDIO[0])}
    (folder / "SHA256SUMS.sig").unlink()
    chain = folder / "chain" / "oita" / "2026-11-20" / CHAIN
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:-1]))
    assert {fault for fault, _ in faults(house, folder)} == {
        "list_missing",
        "line_missing",
        "altered",
        "added",
    }
    with pytest.raises(NothingToVerify):
        verify_export(folder / "audio", house.public())
    assert faults(house, folder / "audio", store=house.store) == {("altered", Path(AUDIO[0]).name)}


def unpacked(house: House, tmp_path: Path) -> Path:
    exported(house, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "folder")
    return tmp_path / "folder"


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAY_CHAIN = "chain/oita/2026-11-20/chain.jsonl"


@pytest.mark.parametrize("plant", [a_folder, a_link_to_nothing, a_pipe, None])
@pytest.mark.parametrize("name", [AUDIO[1], "index.csv", "SHA256SUMS", "SHA256SUMS.sig", DAY_CHAIN])
def test_what_cannot_be_read_in_an_export_is_named_and_all_the_rest_is_looked_at(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, plant: Callable[[Path], None]
) -> None:
    folder = unpacked(house, tmp_path)
    flipped(folder / AUDIO[0])
    (folder / AUDIO[2]).unlink()
    if plant is None:
        away(monkeypatch, folder / name)
    else:
        plant(folder / name)
    rest = {("altered", AUDIO[0])}
    if not name.startswith("SHA256SUMS"):
        rest.add(("missing", AUDIO[2]))  # the list alone tells of it
    assert faults(house, folder) == {("unreadable", name), *rest}


def test_a_folder_of_an_export_that_cannot_be_read_is_named_and_all_the_rest_is_looked_at(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpacked(house, tmp_path)
    flipped(folder / AUDIO[0])
    (folder / "lost+found").mkdir()  # a medium of its own has one
    for name in ("chain", "chain/oita", "chain/oita/2026-11-20"):
        lines = [f"{name}{each}" for each in ("/chain.jsonl", "/root.json") if name.count("/") == 2]
        with monkeypatch.context() as patch:
            away(patch, folder / "lost+found", folder / name, *(folder / each for each in lines))
            told = {("unreadable", name), *(("unreadable", each) for each in lines)}
            assert faults(house, folder) == {("altered", AUDIO[0]), *told}, name
    with monkeypatch.context() as patch:
        away(patch, folder / "audio", *(folder / each for each in AUDIO))
        told = {("unreadable", each) for each in ("audio", *AUDIO)}
        assert faults(house, folder) == told
    with monkeypatch.context() as patch:
        away(patch, folder)
        with pytest.raises(OSError, match="Input/output error"):
            faults(house, folder)


def test_an_archive_on_a_disk_that_fails_is_looked_at_as_far_as_it_can_be_read(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(house, tmp_path / "out.zip")
    read = zipfile.ZipExtFile.read
    for sick, more in ((AUDIO[1], set()), (DAY_CHAIN, set()), ("SHA256SUMS.sig", set())):

        def failing(self: zipfile.ZipExtFile, n: int | None = -1, *, name: str = sick) -> bytes:
            if self.name == name:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(self, n)

        with monkeypatch.context() as patch:
            patch.setattr(zipfile.ZipExtFile, "read", failing)
            assert faults(house, tmp_path / "out.zip") == {("unreadable", sick), *more}


def test_the_sound_of_one_call_under_the_name_of_another_is_named_also_without_a_list(
    house: House, tmp_path: Path
) -> None:
    folder = unpacked(house, tmp_path)
    one, two = (folder / each for each in AUDIO[:2])
    sounds = one.read_bytes(), two.read_bytes()
    two.write_bytes(sounds[0])
    one.write_bytes(sounds[1])
    named = {("altered", Path(each).name) for each in AUDIO[:2]}
    assert faults(house, folder / "audio", store=house.store) == named
    (folder / "SHA256SUMS").unlink()
    told = {("altered", each) for each in AUDIO[:2]}
    assert faults(house, folder) == {("list_missing", "SHA256SUMS"), *told}
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / f"{NAMES[0]}.wav").write_bytes(sounds[1])
    (loose / "renamed by the city.wav").write_bytes(sounds[0])
    assert faults(house, loose, store=house.store) == {("altered", f"{NAMES[0]}.wav")}


def test_a_store_without_chains_proves_no_export(house: House, tmp_path: Path) -> None:
    exported(house, tmp_path / "out.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToVerify):
        verify_export(tmp_path / "out.zip", house.public(), tmp_path / "empty")


def test_an_archive_that_was_cut_off_is_named_and_so_is_a_file_that_is_in_it_twice(
    house: House, tmp_path: Path
) -> None:
    out = tmp_path / "out.zip"
    exported(house, out)
    whole = out.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        out.write_bytes(whole[:size])
        assert faults(house, out) == {("truncated", "out.zip")}, size
    out.write_bytes(whole)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr(AUDIO[0], archive.read(AUDIO[0]))
    assert faults(house, out) == {("added", AUDIO[0])}


def test_no_byte_of_what_an_archive_says_of_its_files_ends_the_verifying(
    house: House, tmp_path: Path
) -> None:
    """Python's own reader answers some of them by other errors than that it is no archive."""
    out = tmp_path / "out.zip"
    exported(house, out)
    whole = out.read_bytes()
    with zipfile.ZipFile(out) as archive:
        entry = archive.start_dir
    no_archive, no_list = {("altered", "out.zip")}, {("list_missing", "SHA256SUMS")}
    for changed, told in (
        ({6: 84}, no_archive),  # made for a version to come
        ({28: 0, 32: 10}, no_archive),  # a name of no bytes, and a remark
        ({9: 8, 46: 0xFF}, no_archive),  # a name that is no text
        ({10: 14}, {("altered", "README.txt")}),  # packed in another way
        ({29: 4}, no_list | {("list_missing", "SHA256SUMS.sig")}),  # a name as long as all the rest
    ):
        data = bytearray(whole)
        for at, value in changed.items():
            data[entry + at] = value
        out.write_bytes(data)
        assert faults(house, out) == told, changed


def test_what_has_no_sound_is_in_the_index_with_the_reason_and_the_rest_is_there(
    house: House, tmp_path: Path
) -> None:
    house.keep(erased := "node1-1795143502.1", centre="oita")
    house.recordings.ring.destroy("oita", "2026-11-21", erased, "2026-11-22T00:00:00+09:00")
    broken = house.recordings.find(NAMES[1])
    assert broken is not None
    flipped(broken)
    told = [
        *rows(),
        row(erased, NOON),
        row("node1-1.1", NOON, problem="missing", place=Place.GONE),
        row("node1-1.2", NOON, erased_at=NOON),
        row("node1-1.3", NOON, place=Place.SPOOL),
    ]
    made = exported(house, tmp_path / "out.zip", told)
    assert {(x.name, x.why) for x in made.without} == {
        (NAMES[1], Lacking.UNREADABLE),
        (erased, Lacking.ERASED),
        ("node1-1.1", Lacking.NEVER),
        ("node1-1.2", Lacking.ERASED),
        ("node1-1.3", Lacking.NOT_KEPT),
    }
    assert {x.name for x in made.faults} == {NAMES[1], "node1-1.3"}, "who asked is told of faults alone"
    assert "書き換えられて" in str(made.faults)
    assert faults(house, tmp_path / "out.zip") == set()
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        index = json.loads(archive.read("index.json"))["recordings"]
    assert {x["recording"]: x["without_sound"] for x in index if x["file"] is None} == {
        x.name: x.why.value for x in made.without
    }


def indexed(archive: Path) -> dict[str, tuple[str | None, bool]]:
    """Of each recording why it has no sound, and whether it was erased while its sound was given out."""
    with zipfile.ZipFile(archive) as opened:
        index = json.loads(opened.read("index.json"))["recordings"]
        lines = list(csv.DictReader(io.StringIO(opened.read("index.csv").decode("utf-8-sig"))))
    assert [line["書き出し中に消去 erased_meanwhile"] for line in lines] == [
        "yes" if x["erased_meanwhile"] else "" for x in index
    ]
    return {x["recording"]: (x["without_sound"], x["erased_meanwhile"]) for x in index}


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_recording_erased_before_its_turn_is_erased_whatever_the_database_knows_yet(
    house: House, tmp_path: Path, gone: int
) -> None:
    if gone == 0:  # before the archive was begun
        erase(house, NAMES[gone])

    def meanwhile(name: str) -> None:
        if gone and name == NAMES[gone - 1]:
            erase(house, NAMES[gone])

    made = exported(house, tmp_path / "out.zip", meanwhile=meanwhile)
    assert [(x.name, x.why) for x in made.without] == [(NAMES[gone], Lacking.ERASED)]
    assert made.faults == [], "nothing that somebody must look after"
    told = dict.fromkeys(NAMES, (None, False)) | {NAMES[gone]: ("erased", False)}
    assert indexed(tmp_path / "out.zip") == told
    assert faults(house, tmp_path / "out.zip") == set()


@pytest.mark.parametrize("when", ["read, before its first byte", "given out"])
def test_one_that_is_erased_after_its_turn_is_whole_and_the_index_says_that_it_was_erased_meanwhile(
    house: House, tmp_path: Path, when: str
) -> None:
    at = NAMES[1] if when == "given out" else NAMES[0]

    def meanwhile(name: str) -> None:
        if name == at:
            erase(house, NAMES[0])

    made = exported(house, tmp_path / "out.zip", meanwhile=meanwhile)
    assert (made.files, made.without) == (3, [])
    told = dict.fromkeys(NAMES, (None, False)) | {NAMES[0]: (None, True)}
    assert indexed(tmp_path / "out.zip") == told
    assert faults(house, tmp_path / "out.zip") == set()


def test_one_that_was_kept_and_erased_since_the_archive_was_begun_is_erased(
    house: House, tmp_path: Path
) -> None:
    late = "node1-1795143600.5"

    def meanwhile(name: str) -> None:
        if name == NAMES[0]:
            keep(house, late)
            erase(house, late)

    late_row = row(late, Instant(NOON + DAY_US + SECOND), place=Place.SPOOL)
    made = exported(house, tmp_path / "out.zip", [*rows(), late_row], meanwhile)
    assert [(x.name, x.why) for x in made.without] == [(late, Lacking.ERASED)]


def test_one_whose_file_somebody_took_away_stays_missing_though_others_were_erased(
    house: House, tmp_path: Path
) -> None:
    erase(house, NAMES[0])
    there = house.recordings.find(NAMES[1])
    assert there is not None
    there.unlink()
    made = exported(house, tmp_path / "out.zip")
    assert [(x.name, x.why) for x in made.faults] == [(NAMES[1], Lacking.NOT_KEPT)]


def test_a_file_that_is_changed_after_it_was_checked_ends_the_archive_with_an_error_for_the_log(
    house: House, tmp_path: Path
) -> None:
    there = house.keep(long := "node1-1795229950.2", os.urandom(200_000), centre="oita")
    with pytest.raises(OSError, match="書き換えられて"):
        exported(house, tmp_path / "out.zip", [row(long, NOON)], lambda name: flipped(there))


@pytest.mark.parametrize("days", [(1,), (0, 1)], ids=["the last one", "all"])
def test_a_day_without_a_root_costs_no_sound_and_is_named_by_who_verifies_it(
    house: House, tmp_path: Path, days: tuple[int, ...]
) -> None:
    told = [f"2026-11-{20 + day}" for day in days]
    for day in told:
        (house.store / OITA / day / "root.json").unlink()
    made = exported(house, tmp_path / "out.zip")
    assert (made.files, made.without) == (3, [])
    newest = {("root_missing", "root.json")} if len(days) == 2 else set()
    assert faults(house, tmp_path / "out.zip") == newest | {
        ("root_missing", f"{day}/root.json") for day in told
    }


def test_a_day_whose_chain_cannot_be_read_costs_its_own_sound_and_the_archive_says_what_lacks(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick = house.store / OITA / "2026-11-20" / CHAIN
    with monkeypatch.context() as patch:
        away(patch, sick)
        made = exported(house, tmp_path / "out.zip")
    assert made.files == 1
    assert {(x.name, x.why) for x in made.without} == {(name, Lacking.UNREADABLE) for name in NAMES[:2]}
    assert all(str(sick) in x.detail for x in made.without), "and which file it is for"
    assert made.faults == made.without
    assert made.unread == ["oita/2026-11-20/chain.jsonl"]
    told = dict.fromkeys(NAMES[:2], ("unreadable", False)) | {NAMES[2]: (None, False)}
    assert indexed(tmp_path / "out.zip") == told
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert json.loads(archive.read("index.json"))["unread"] == made.unread
    assert faults(house, tmp_path / "out.zip") == set(), "of what is in it nothing lacks"


def test_a_day_in_between_whose_chain_cannot_be_read_is_told_and_named_by_who_verifies(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.world.at = Instant(NOON + 2 * DAY_US)
    keep(house, late := "node1-1795316400.4")
    told = [row(NAMES[0], NOON), row(late, house.world.at), row("node1-1.3", NOON, place=Place.SPOOL)]
    away(monkeypatch, house.store / OITA / "2026-11-21" / CHAIN)
    made = exported(house, tmp_path / "out.zip", told)
    assert (made.files, [x.why for x in made.without]) == (2, [Lacking.NOT_KEPT])
    assert made.unread == ["oita/2026-11-21/chain.jsonl"]
    assert faults(house, tmp_path / "out.zip") == {("day_missing", "2026-11-22/chain.jsonl:1")}


def test_another_centres_folder_that_cannot_be_read_costs_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away(monkeypatch, house.store / "ageo")
    made = exported(house, tmp_path / "out.zip", [*rows(), row("node1-1.3", NOON, place=Place.SPOOL)])
    assert (made.files, [x.name for x in made.faults]) == (3, ["node1-1.3"])
    assert faults(house, tmp_path / "out.zip") == set()


@pytest.mark.parametrize("began", [0, 4_400_000_000 * SECOND])
def test_a_recording_of_a_clock_that_was_never_set_does_not_keep_the_others_back(
    house: House, tmp_path: Path, began: int
) -> None:
    """A ZIP tells times from 1980 to 2107 alone."""
    made = exported(house, tmp_path / "out.zip", [*rows()[:2], row(NAMES[1], Instant(began))])
    assert (made.files, made.without) == (3, [])
    assert faults(house, tmp_path / "out.zip") == set()


def test_a_recording_that_a_clock_set_back_filed_under_an_earlier_day_is_found(
    house: House, tmp_path: Path
) -> None:
    began = Instant(NOON + 5 * DAY_US)
    made = exported(house, tmp_path / "out.zip", [row(NAMES[0], began), row(NAMES[2], began)])
    assert (made.files, made.without) == (2, [])
    assert faults(house, tmp_path / "out.zip") == set()


def test_where_the_trail_cannot_be_written_the_archive_is_none(house: House, tmp_path: Path) -> None:
    def refused(one: Recording) -> None:
        if one.name == NAMES[1]:
            raise OSError("no trail")

    asked = ExportAsked(
        centre=OITA, zone="Asia/Tokyo", first=None, last=None, by="user:x", purpose="x", numbers=False
    )
    made = Export(house.recordings, signer(house.keys), asked, rows(), NOON, refused)
    out, taken = tmp_path / "out.zip", list[bytes]()
    with pytest.raises(OSError, match="no trail"):
        taken.extend(made.pieces())
    out.write_bytes(b"".join(taken))
    assert faults(house, out) == {("truncated", "out.zip")}
