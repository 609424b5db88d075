"""Recordings handed over by command, by API and by page: by who may, for a purpose, with a line for each."""

from __future__ import annotations

import asyncio
import errno
import html
import json
import os
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from callcore import cli_export, console
from callcore.access.rights import ROLES, Right, Role
from callcore.access.trail import Line, Wanted
from callcore.cli import app
from callcore.db import migrate
from callcore.demo.centre import DemoCentre
from callcore.domain.ids import SECOND
from callcore.installation import trail_of
from callcore.recordings.exported import verify_export
from callcore.recordings.signing import public_keys
from callcore.web import recordings as web_recordings
from tests.integration.test_web_recordings import ask
from tests.support.floors import Desk
from tests.support.people import cheap_hashes, first_administrator, user
from tests.support.recorded import CITIZEN, Stock, keep, stocked
from tests.support.web import DeskSource, Served, served

API, PAGE = "/api/v1/exports", "/exports"
TALK = {"centre": "demo", "calls": ["c1"], "purpose": "開示請求"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stock]:
    """The talk is kept; its consult is missing."""
    url = f"sqlite:///{tmp_path}/callcore.db"
    await migrate.upgrade(url)
    (tmp_path / "centres").mkdir()
    (tmp_path / "centres" / "demo.toml").write_text(DemoCentre(agents=2).toml(), encoding="utf-8")
    async with stocked(url, tmp_path) as made:
        keep(made)
        monkeypatch.setenv("CALLCORE_HOME", str(made.settings.home))
        monkeypatch.setenv("CALLCORE_DATABASE_URL", made.settings.database)
        monkeypatch.setenv("CALLCORE_CENTRES", str(tmp_path / "centres"))
        monkeypatch.setattr(console.out, "width", 200)
        yield made


@pytest.fixture
async def server(stock: Stock) -> AsyncIterator[Served]:
    async with served(DeskSource(Desk().begin()), recordings=stock.recorded) as running:
        first_administrator(running.accounts)
        user(running.accounts, "sup", Role.SUPERVISOR)
        user(running.accounts, "city", Role.VIEWER)
        user(running.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        yield running


async def export(*words: str, status: int = 0) -> str:
    given = ("recordings", "export", "--centre", "demo", *words)
    done = await asyncio.to_thread(CliRunner().invoke, app, given)
    assert done.exit_code == status, done.output
    return str(done.output)


def sound(archive: Path) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        [name] = [name for name in opened.namelist() if name.startswith("audio/")]
        return opened.read(name)


def told(lines: list[Line]) -> list[tuple[str, str | None, str | None]]:
    return [
        (line.action, line.on, line.why) for line in reversed(lines) if line.action.startswith("recording_")
    ]


async def test_an_operator_exports_a_range_that_the_city_verifies(stock: Stock, tmp_path: Path) -> None:
    began = (await stock.recorded.one("c1"))[0].began_at
    day = f"{datetime.fromtimestamp(began / SECOND, ZoneInfo('Asia/Tokyo')):%Y-%m-%d}"
    out = tmp_path / "out.zip"
    said = await export("--from", day, "--out", str(out), "--why", "開示請求", status=3)
    assert "録音 1件・音なし 1件" in said and "s1: 保管先にない" in said, "and status 3 says so"
    assert out.stat().st_mode & 0o777 == 0o600
    assert sound(out) == stock.sound
    with zipfile.ZipFile(out) as archive:
        rows = json.loads(archive.read("index.json"))["recordings"]
        assert [(r["recording"], r["without_sound"]) for r in rows] == [("c1", None), ("s1", "not_kept")]
        assert CITIZEN not in archive.read("index.json").decode()
    keys = public_keys([stock.settings.recordings_keys / "signing.pub"])
    assert verify_export(out, keys).found == []
    shell = await asyncio.to_thread(CliRunner().invoke, app, ["recordings", "verify", "--export", str(out)])
    assert shell.exit_code == 0, shell.output
    assert told(trail_of(stock.settings).newest(Wanted(), 9)) == [
        ("recording_download", "c1", "開示請求"),
        ("recording_export", f"{day}–{day}", "開示請求"),
    ]
    assert "すでにあります" in await export("--from", day, "--out", str(out), "--why", "x", status=1)


async def test_a_call_that_is_named_twice_is_in_the_archive_once(stock: Stock, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    said = await export("--call", "c1", "--call", "c1", "--out", str(out), "--why", "x", status=3)
    assert "録音 1件・音なし 1件" in said
    assert sound(out) == stock.sound
    assert verify_export(out, public_keys([stock.settings.recordings_keys / "signing.pub"])).found == []


async def test_a_chain_that_cannot_be_read_is_said_by_command_and_log(
    server: Served, stock: Stock, tmp_path: Path
) -> None:
    [chain] = stock.settings.store.glob("*/*/chain.jsonl")
    chain.unlink()
    chain.mkdir()
    out = tmp_path / "out.zip"
    said = await export("--call", "c1", "--out", str(out), "--why", "x", status=3)
    assert "c1: 読めない / cannot be read" in said and str(chain) in said
    unread = str(chain.relative_to(stock.settings.store))
    assert f"{unread}: 読めない" in said
    given = (await ask(server, "sup", API, "POST", json=TALK)).json()
    with capture_logs() as logged:
        assert (await ask(server, "sup", given["url"])).status_code == 200
    [line] = [line for line in logged if "an export lacks what should be in it" in line["event"]]
    assert [what.partition(":")[0] for what in line["first"]] == ["c1", "s1", unread]


async def test_what_cannot_be_exported_says_why_and_leaves_nothing(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.zip"
    rest = ("--out", str(out), "--why", "x")
    for words, why in (
        (("--from", "yesterday", *rest), "2026-11-20"),
        (("--from", "2026-1-5", *rest), "2026-11-20"),
        (("--from", "9999-12-31", *rest), "2026-11-20"),
        (("--from", "2026-11-20", "--to", "9999-12-31", *rest), "9000-01-01"),
        ((*rest,), "--from か --call"),
        (("--from", "2026-11-21", "--to", "2026-11-20", *rest), "is before"),
        (("--from", "1990-01-01", *rest), "no recording fits"),
        (("--call", "c1", "--out", str(out), "--why", " "), "state the purpose"),
        (("--call", "c1", "--out", str(tmp_path / "none" / "x.zip"), "--why", "x"), "none"),
    ):
        assert why in await export(*words, status=1), words
    monkeypatch.setattr(cli_export.shutil, "disk_usage", lambda _: _Free(1_500_000))
    assert "needed" in await export("--call", "c1", *rest, status=1)
    assert not list(tmp_path.glob("*.zip")) and not list(tmp_path.glob(".*.part"))


class _Free:
    def __init__(self, free: int) -> None:
        self.free = free


async def test_a_disk_that_fills_up_or_a_kill_leaves_no_half_archive_under_its_name(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.zip"
    words = ("--call", "c1", "--out", str(out), "--why", "x")
    write, written = cli_export.write_all, list[int]()

    def full(fd: int, data: bytes) -> None:
        written.append(len(data))
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(fd, data)

    with monkeypatch.context() as patched:
        patched.setattr(cli_export, "write_all", full)
        said = await export(*words, status=1)
    assert "No space left" in said and "書き出せませんでした" in said and "there is no" in said
    assert [p.name for p in tmp_path.iterdir() if "out.zip" in p.name] == []
    (tmp_path / ".out.zip.part").write_bytes(b"what a kill left")
    await export(*words, status=3)
    assert sound(out) == stock.sound and not (tmp_path / ".out.zip.part").exists()


async def test_by_api_an_archive_comes_for_a_grant_that_ends(
    server: Served, stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (await ask(server, "sup", API, "POST", json=TALK)).json()
    answer = await ask(server, "sup", given["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="recordings-demo.zip"'
    (tmp_path / "got.zip").write_bytes(answer.content)
    keys = public_keys([stock.settings.recordings_keys / "signing.pub"])
    assert verify_export(tmp_path / "got.zip", keys).found == []
    assert sound(tmp_path / "got.zip") == stock.sound
    assert told(server.trail.newest(Wanted(), 9)) == [
        ("recording_export", "c1", "開示請求"),
        ("recording_download", "c1", "開示請求"),
    ], "and the one without sound has no line"
    whole = (await ask(server, "sup", "/api/v1/recordings/c1")).json()
    assert [a["purpose"] for a in whole["accesses"]] == ["開示請求"]
    assert (await ask(server, "chief", given["url"])).status_code == 410, "it is another one's"
    at = web_recordings.monotonic()
    monkeypatch.setattr(web_recordings, "monotonic", lambda: at + web_recordings.DOWNLOAD_S + 1)
    assert (await ask(server, "sup", given["url"])).status_code == 410


async def test_by_api_nothing_is_given_to_who_may_not_or_asks_for_nothing(server: Served) -> None:
    for name in ("city", "far"):
        assert (await ask(server, name, API, "POST", json=TALK)).status_code == 403
    for more, status in (
        ({"centre": "nowhere"}, 404),
        ({"calls": ["nothing"]}, 404),
        ({"first": "1990-01-01", "last": "1990-01-02"}, 404),
        ({"calls": []}, 422),
        ({"first": "2026-11-20"}, 422),
        ({"first": "2026-11-21", "last": "2026-11-20"}, 422),
        ({"purpose": " "}, 422),
        ({"more": 1}, 422),
    ):
        answer = await ask(server, "chief", API, "POST", json=TALK | more)
        assert answer.status_code == status, (more, answer.text)
    assert told(server.trail.newest(Wanted(), 99)) == []


async def test_downloading_needs_its_own_right(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    held = (await ask(server, "sup", API, "POST", json=TALK)).json()["url"]
    saved = (await ask(server, "sup", "/api/v1/recordings/c1/download", "POST", json={"purpose": "x"})).json()
    less = {right: reach for right, reach in ROLES[Role.SUPERVISOR].items() if right is not Right.DOWNLOAD}
    monkeypatch.setitem(ROLES, Role.SUPERVISOR, less)  # type: ignore[arg-type]
    purpose: dict[str, Any] = {"json": {"purpose": "x"}}
    assert (await ask(server, "sup", "/api/v1/recordings/c1/listen", "POST", **purpose)).status_code == 200
    assert (await ask(server, "sup", "/api/v1/recordings/c1/download", "POST", **purpose)).status_code == 403
    assert (await ask(server, "sup", API, "POST", json=TALK)).status_code == 403
    assert (await ask(server, "sup", held)).status_code == 403
    assert (await ask(server, "sup", saved["url"])).status_code == 410, "asked again with each request"
    page = await ask(server, "sup", "/recordings/c1?lang=en")
    assert "Listen</button>" in page.text and "Download the file" not in page.text
    assert "/exports" not in (await ask(server, "sup", "/recordings?lang=en")).text


async def test_no_more_archives_are_sent_at_once_than_the_machine_bears(
    server: Served, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [(await ask(server, "sup", API, "POST", json=TALK)).json()["url"] for _ in range(3)]
    monkeypatch.setattr("callcore.web.exports.AT_ONCE", 0)
    refused = await ask(server, "sup", urls[0])
    assert refused.status_code == 503 and refused.headers["retry-after"] == "60"
    monkeypatch.setattr("callcore.web.exports.AT_ONCE", 1)
    for url in urls:
        assert (await ask(server, "sup", url)).status_code == 200, "each makes room for the next"


async def test_a_trail_that_cannot_be_written_gives_nothing_out(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await ask(server, "sup", API, "POST", json=TALK)).json()["url"]
    folder = server.trail._folder
    folder.rename(folder.with_name("away"))
    folder.write_text("no folder")
    assert (await ask(server, "sup", API, "POST", json=TALK)).status_code == 503
    with capture_logs() as logged, pytest.raises(httpx.RemoteProtocolError):
        await ask(server, "sup", url)
    assert [line["log_level"] for line in logged if "an export ended early" in line["event"]] == ["error"]


def _lost(key: Path) -> None:
    key.unlink()


def _open_to_all(key: Path) -> None:
    key.chmod(0o644)


def _unreadable(key: Path) -> None:
    key.unlink()
    key.mkdir(mode=0o700)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_lost, ("がありません", "put it back from the back-up of the keys")),
        (_open_to_all, ("chmod 600", "others can read it")),
        (_unreadable, ("署名の鍵を読めません", "Is a directory")),
    ],
)
async def test_an_archive_that_cannot_be_signed_says_so_names_the_key_and_what_to_do(
    server: Served, stock: Stock, tmp_path: Path, harm: Callable[[Path], None], said: tuple[str, str]
) -> None:
    url = (await ask(server, "sup", API, "POST", json=TALK)).json()["url"]
    key = stock.settings.recordings_keys / "signing.key"
    harm(key)
    with capture_logs() as logged:
        answers = [await ask(server, "sup", API, "POST", json=TALK), await ask(server, "sup", url)]
    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (500, "urn:callcore:problem:export-unsigned")
        assert all(words in problem["detail"] for words in (*said, str(key)))
        assert "retry-after" not in answer.headers
    assert [x["why"] for x in logged if x["log_level"] == "error"] == [problem["detail"]] * 2
    page = await ask(server, "sup", PAGE, "POST", data=TALK | {"calls": "c1"})
    assert page.status_code == 500 and problem["detail"] in html.unescape(page.text)
    assert 'value="開示請求"' in page.text, "and what was asked for is not lost"
    out = tmp_path / "out.zip"
    shell = await export("--call", "c1", "--out", str(out), "--why", "x", status=1)
    assert problem["detail"] in shell and not out.exists()
    assert told(server.trail.newest(Wanted(), 9))[0] == ("recording_export", "c1", "開示請求")


async def test_by_page_many_are_handed_over(server: Served, stock: Stock, tmp_path: Path) -> None:
    listed = await ask(server, "sup", "/recordings?centre=demo&lang=en")
    assert 'href="/exports?centre=demo"' in listed.text
    assert 'href="/audit?text=recording_&amp;centre=demo"' in listed.text
    assert 'value="demo" selected' in (await ask(server, "sup", "/exports?centre=demo&lang=en")).text
    wrong = await ask(server, "sup", PAGE, "POST", data={"centre": "demo", "purpose": "x"})
    assert wrong.status_code == 422 and "error" in wrong.text
    none = await ask(server, "sup", PAGE, "POST", data=TALK | {"calls": "nothing"})
    assert none.status_code == 404 and "条件に合う録音はありません" in none.text
    given = await ask(server, "sup", PAGE, "POST", data=TALK | {"calls": "c1"})
    assert given.status_code == 303
    (tmp_path / "got.zip").write_bytes((await ask(server, "sup", given.headers["location"])).content)
    assert sound(tmp_path / "got.zip") == stock.sound
    assert (await ask(server, "city", PAGE)).status_code == 403
    printed = await ask(server, "sup", "/audit?text=recording_&centre=demo&print=1&lang=en")
    assert "Downloaded a recording" in printed.text and "開示請求" in printed.text
