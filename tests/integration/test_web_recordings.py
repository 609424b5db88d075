"""Recordings by API: found, shown and heard, each by who may, and each hearing with its line in the trail."""

from __future__ import annotations

import asyncio
import html
import io
import json
import os
import re
import shutil
import wave
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from callcore import console
from callcore.access import rights
from callcore.access.rights import Reach, Right, Role, system_person
from callcore.access.trail import Line, Result, Wanted
from callcore.cli import app
from callcore.demo.centre import DemoCentre
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CallId, CentreId
from callcore.domain.recording import UNASSIGNED, RecordingKind, SoundFormat
from callcore.installation import recordings_of, trail_of
from callcore.recordings.keeper import Whose
from callcore.recordings.vault import read_head
from callcore.web import archive, recordings
from tests.support.days import TestFrame
from tests.support.floors import Desk
from tests.support.people import PASSWORD, cheap_hashes, first_administrator, user
from tests.support.recorded import CITIZEN, SECONDS, Stock, keep, sealed, stocked
from tests.support.store import House
from tests.support.web import DeskSource, Served, served

ALL = "/api/v1/recordings"
ONE = ALL + "/c1"
PURPOSE = {"purpose": "苦情の確認"}
on_sqlite = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
"""What is the same whatever the database is."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def stock(database_url: str, tmp_path: Path) -> AsyncIterator[Stock]:
    async with stocked(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def server(stock: Stock) -> AsyncIterator[Served]:
    async with served(DeskSource(Desk().begin()), recordings=stock.recorded) as running:
        first_administrator(running.accounts)
        user(running.accounts, "sup", Role.SUPERVISOR)
        user(running.accounts, "other", Role.SUPERVISOR)
        user(running.accounts, "city", Role.VIEWER)
        user(running.accounts, "far", Role.SUPERVISOR, ("elsewhere",))
        user(running.accounts, "ope", Role.OPERATOR, agent="1001")
        yield running


async def ask(
    server: Served,
    name: str,
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> httpx.Response:
    begun = await asyncio.to_thread(server.accounts.sign_in, name, PASSWORD, "127.0.0.1", "test")
    own = {"cookie": f"callcore-session={begun.cookie}", "x-csrf-token": begun.session.csrf}
    async with httpx.AsyncClient() as client:
        return await client.request(method, server.url + path, headers={**own, **(headers or {})}, **more)


async def by_page(server: Served, act: str) -> httpx.Response:
    """What the page comes to on which somebody has stated a purpose."""
    form = {"act": act, "purpose": "x"}
    answer = await ask(server, "sup", "/recordings/c1?lang=en", "POST", data=form)
    if not answer.is_redirect:
        return answer
    return await ask(server, "sup", answer.headers["location"] + "&lang=en")


def lines(server: Served) -> list[Line]:
    return [line for line in server.trail.newest(Wanted(), 100) if line.action.startswith("recording_")]


async def test_recordings_are_found_by_what_is_known_and_shown_by_who_may_see_what(server: Served) -> None:
    page = (await ask(server, "sup", ALL)).json()
    assert [r["recording"] for r in page["recordings"]] == ["s1", "c1"]
    assert page["after"] is None
    call = page["recordings"][1]
    assert (call["number"], call["agents"], call["marks"]) == (
        *("*" * 8 + CITIZEN[-3:], ["1001", "1002"]),
        ["complaint", "abuse"],
    )
    assert [(p["reason"], p["agent"], p["by"], p["gap"], p["ended"]) for p in call["pauses"]] == [
        ("asked", "1001", None, False, "asked"),
        ("asked", "1002", "user:sato", True, None),
    ]
    for query, found in (
        ("agent=1002", ["c1"]),
        ("kind=consult", ["s1"]),
        ("mark=abuse&centre=demo&department=12", ["c1"]),
        ("language=en&paused=true&result_kind=complaint", ["c1"]),
        ("first=2000-01-01T00:00:00Z&before=2001-01-01T00:00:00Z", []),
        ("centre=elsewhere", []),
        ("call=c1&seconds_least=50", ["c1"]),
        ("paused_by=key", ["c1"]),
        ("paused_by=page&pause_ended=asked&pauses_least=2", ["c1"]),
        ("pause_ended=time", []),
        ("pauses_least=3", []),
        ("segments_least=2", ["s1", "c1"]),
        ("segments_least=2&kind=call", ["c1"]),
        ("segments_least=3", []),
        ("problem=short", ["s1"]),
        ("problem=clipped", ["s1"]),
        ("problem=silent", []),
        ("ended_from=2000-01-01T00:00:00Z", ["s1", "c1"]),
        ("ended_before=2000-01-01T00:00:00Z", []),
        ("kept_from=2020-01-01T00:00:00Z", []),
        ("sha256=" + "0" * 64, []),
    ):
        answer = await ask(server, "sup", f"{ALL}?{query}")
        assert [r["recording"] for r in answer.json()["recordings"]] == found, query
    first = (await ask(server, "chief", f"{ALL}?limit=1")).json()
    second = (await ask(server, "chief", f"{ALL}?limit=1&after={first['after']}")).json()
    assert [r["recording"] for r in first["recordings"] + second["recordings"]] == ["s1", "c1"]
    city = (await ask(server, "city", f"{ALL}?call=c1")).json()["recordings"]
    assert [r["number"] for r in city] == [None, None]
    assert (await ask(server, "far", ALL)).json()["recordings"] == []
    assert (await ask(server, "ope", ALL)).status_code == 403
    for wrong in ("kind=x", "first=2026-01-01", "sha256=zz", "nothing=1", "result=%00", "after=1"):
        assert (await ask(server, "sup", f"{ALL}?{wrong}")).status_code == 422, wrong


async def test_a_number_is_looked_for_in_a_body_by_who_may_read_personal_values(server: Served) -> None:
    async def found(name: str, number: str) -> Any:
        answer = await ask(server, name, ALL + "/search", "POST", json={"number": number})
        return (
            answer.status_code if answer.is_error else [r["recording"] for r in answer.json()["recordings"]]
        )

    assert await found("sup", CITIZEN) == ["s1", "c1"], "and the consult about it"
    assert await found("sup", f"+81{CITIZEN[1:]}") == ["s1", "c1"], "as another carrier shows it"
    assert await found("sup", "0975000011") == ["s1"]
    assert await found("sup", "09000000000") == []
    assert await found("far", CITIZEN) == []
    assert await found("city", CITIZEN) == 403
    assert (await ask(server, "sup", f"{ALL}?number={CITIZEN}")).status_code == 422


@on_sqlite
async def test_while_a_months_key_is_damaged_a_search_by_number_names_it_and_every_other_goes_on(
    stock: Stock,
) -> None:
    (stock.settings.keys / "demo.2020-01.key").write_bytes(b"damaged")
    body = {"number": CITIZEN}
    async with served(DeskSource(Desk().begin()), recordings=stock.recorded, calls=stock.stored) as server:
        first_administrator(server.accounts)
        for path in ("/api/v1/recordings", "/api/v1/calls"):
            answer = await ask(server, "chief", f"{path}/search", "POST", json=body)
            told = answer.json()
            assert (answer.status_code, told["type"].rpartition(":")[2]) == (500, "numbers-unsearchable")
            assert "demo.2020-01.key" in told["detail"] and "back-up" in told["detail"]
            assert (await ask(server, "chief", path)).status_code == 200
        for path in ("/recordings", "/calls"):
            page = await ask(server, "chief", f"{path}?lang=en", "POST", data=body)
            assert page.status_code == 500 and "demo.2020-01.key" in page.text, path
            assert "back-up" in page.text and "バックアップ" not in page.text, path


@on_sqlite
async def test_one_is_shown_with_the_others_of_its_call_and_who_heard_it(server: Served) -> None:
    await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)
    await ask(server, "chief", ONE + "/download", "POST", json={"purpose": "開示請求"})
    whole = (await ask(server, "sup", ONE)).json()
    assert whole["recording"]["recording"] == "c1"
    assert [r["recording"] for r in whole["others"]] == ["s1"]
    assert [(a["who"], a["what"], a["purpose"]) for a in whole["accesses"]] == [
        ("user:chief", "recording_download", "開示請求"),
        ("user:sup", "recording_listen", "苦情の確認"),
    ]
    assert (await ask(server, "city", ONE)).json()["accesses"] is None
    assert (await ask(server, "far", ONE)).status_code == 404
    assert (await ask(server, "sup", ALL + "/nothing")).status_code == 404
    for who, heard in (("sup", ["c1"]), ("user:chief", ["c1"]), ("nobody", [])):
        answer = await ask(server, "sup", f"{ALL}?listener={who}")
        assert [r["recording"] for r in answer.json()["recordings"]] == heard
    assert (await ask(server, "city", f"{ALL}?listener=sup")).status_code == 403


async def test_until_when_each_is_kept_is_shown_and_found_by_rule_and_by_order(
    server: Served, stock: Stock
) -> None:
    """Both are of a reported call that was over on 23 November 2026 in Japan."""

    async def kept() -> dict[str, tuple[str | None, str | None]]:
        page = (await ask(server, "sup", ALL)).json()
        return {each["recording"]: (each["kept_by"], each["keep_until"]) for each in page["recordings"]}

    async def found(query: str) -> list[str]:
        page = (await ask(server, "sup", f"{ALL}?{query}")).json()
        return [each["recording"] for each in page["recordings"]]

    async def page(path: str) -> str:
        return (await ask(server, "sup", path)).text

    async def orders(name: str) -> Any:
        return (await ask(server, "sup", f"{ALL}/{name}")).json()["orders"]

    async def told(n: int, fact: f.Fact) -> None:
        await stock.sink.apply([TestFrame(1, 5000 + n, fact.at, (fact,))])

    assert await kept() == dict.fromkeys(("s1", "c1"), ("until_told", None))
    assert await orders("c1") == [] and "保全・延長の指示" not in await page("/recordings/c1")
    assert await found("kept_from=2000-01-01T00:00:00Z") == []
    assert "指示があるまで" in await page("/recordings/c1") and "until told" in await page(
        "/recordings?lang=en"
    )

    # Another rule counts at once.
    rules = replace(stock.centres[0].retention, reported=12)
    stock.centres[0] = replace(stock.centres[0], retention=rules)
    end = "2027-11-23T15:00:00.000Z"
    assert await kept() == dict.fromkeys(("s1", "c1"), ("rule", end))
    assert (await ask(server, "sup", ONE)).json()["recording"]["keep_until"] == end
    for query, names in (
        (f"kept_before={end}", []),
        ("kept_before=2027-11-23T15:00:00.001Z", ["s1", "c1"]),
        ("kept_before=2027-11-23T15:00:00.001Z&kind=consult", ["s1"]),
        ("kept_before=2027-11-23T15:00:00.001Z&agent=1002", ["c1"]),
        (f"kept_from={end}", ["s1", "c1"]),
        ("kept_from=2027-11-23T15:00:00.001Z", []),
        ("kept_before=9999-12-31T00:00:00Z&kept_from=0001-01-02T00:00:00Z", ["s1", "c1"]),
    ):
        assert await found(query) == names, query
    for path in ("/recordings/c1", "/recordings", "/recordings?kept_from=2027-11-24&kept_before=2027-11-25"):
        shown = await page(path)
        assert "2027-11-24 00:00" in shown and "保存期間中" in shown, path
    assert "/recordings/c1" not in await page("/recordings?kept_from=2027-11-25")

    at, months = stock.core.at(300), 86_400 * 400
    order = f.KeepOrdered(
        at=at,
        order="keep-1",
        centre=CentreId("demo"),
        calls=(CallId("c1"),),
        until=stock.core.at(months),
        reason="訴訟",
        by="user:chief",
    )
    await told(1, order)
    later = (await kept())["c1"]
    assert later[0] == "extended" and later[1] is not None and later[1] > end
    assert await found("kept_from=2027-11-23T15:00:00.001Z") == ["s1", "c1"], "the consult is of that call"
    assert await found("kept_before=2027-11-23T15:00:00.001Z") == []
    shown = await page("/recordings/c1?lang=en")
    assert "kept longer by order" in shown and "Orders to keep it" in shown and "訴訟" in shown
    until = datetime.fromtimestamp(stock.core.at(months) / SECOND, ZoneInfo("Asia/Tokyo"))
    assert until.strftime("%Y-%m-%d %H:%M") in shown, "by the centre's clock"
    assert [(o["order"], o["reason"], o["by"]) for o in await orders("c1")] == [
        ("keep-1", "訴訟", "user:chief")
    ]
    assert await orders("s1") == await orders("c1"), "the consult is of that call"
    await told(2, replace(order, order="keep-2", until=None))
    assert (await kept())["c1"] == ("held", None)
    assert await found("kept_from=2000-01-01T00:00:00Z") == []
    shown = await page("/recordings/c1")
    assert "保全の指示" in shown and "解くまで(保全)" in shown
    assert [(o["order"], o["until"] is None) for o in await orders("c1")] == [
        ("keep-1", False),
        ("keep-2", True),
    ]
    await told(3, f.KeepReleased(at=at, order="keep-2", by="user:chief", reason="終了"))
    await told(
        4,
        f.CallErased(
            at=at,
            call=CallId("c1"),
            centre=CentreId("demo"),
            recordings=("c1",),
            personal=True,
            erasure="x",
            reason="保存期間の満了 / the retention period is over",
            by="service:sidecar",
        ),
    )
    assert (await kept())["c1"] == (None, None)
    row = (await ask(server, "chief", ONE)).json()["recording"]
    assert (row["place"], row["number"], row["legal_hold"], row["result"]) == ("gone", None, False, "苦情")
    assert row["erased_at"] == "2026-11-23T03:05:00.000Z" and row["erased_why"].startswith("保存期間の満了")
    assert (await ask(server, "chief", ONE + "/listen", "POST", json=PURPOSE)).status_code == 410
    gone = await page("/recordings/c1?lang=ja")
    assert "保存期間の満了" in gone and "the retention period is over" not in gone
    assert await found("kept_from=2000-01-01T00:00:00Z") == ["s1"]


@on_sqlite
async def test_who_listened_to_very_many_is_found_by_the_first_of_them_too(
    server: Served, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One export is up to 100,000 lines of who makes it."""
    await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)
    monkeypatch.setattr("callcore.access.trail.os.fsync", lambda _: None)
    for n in range(recordings.ACCESSES_MOST + 500):
        server.trail.add(
            "user:sup",
            recordings.DOWNLOADED,
            on=f"node1-{n}.1",
            centre="demo",
            origin="test",
            result=Result.DONE,
            why="開示請求",
        )
    found = (await ask(server, "chief", f"{ALL}?listener=sup")).json()["recordings"]
    assert [each["recording"] for each in found] == ["c1"]


@on_sqlite
async def test_sound_comes_whole_or_in_ranges_for_a_purpose_that_is_one_line_of_the_trail(
    server: Served, stock: Stock
) -> None:
    given = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()
    url, size = given["url"], len(stock.sound)
    whole = await ask(server, "sup", url)
    assert (whole.status_code, whole.content) == (200, stock.sound)
    assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "audio/wav")
    assert whole.headers["cache-control"] == "no-store"
    assert "content-disposition" not in whole.headers
    part = await ask(server, "sup", url, headers={"range": "bytes=44-1043"})
    assert (part.status_code, part.content) == (206, stock.sound[44:1044])
    assert part.headers["content-range"] == f"bytes 44-1043/{size}"
    last = await ask(server, "sup", url, headers={"range": "bytes=-10"})
    assert (last.status_code, last.content) == (206, stock.sound[-10:])
    for all_of_it in ("bytes=0-", f"bytes=0-{size - 1}"):
        answer = await ask(server, "sup", url, headers={"range": all_of_it})
        assert (answer.status_code, answer.content) == (206, stock.sound), "as players expect it that ask so"
        assert answer.headers["content-range"] == f"bytes 0-{size - 1}/{size}"
    of_old = await ask(server, "sup", url, headers={"range": "bytes=0-9", "if-range": '"old"'})
    assert (of_old.status_code, len(of_old.content)) == (200, size)
    beyond = await ask(server, "sup", url, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    [line] = lines(server)
    assert (line.who, line.action, line.on, line.centre, line.result, line.why, line.origin) == (
        *("user:sup", "recording_listen", "c1", "demo"),
        *(Result.DONE, "苦情の確認", "127.0.0.1"),
    )


@on_sqlite
@pytest.mark.parametrize(
    ("form", "heard_as", "saved_as", "rate"),
    [
        (SoundFormat.ULAW, "audio/wav", "c1.wav", 8000),
        (SoundFormat.G722, "audio/wav", "c1.wav", 16_000),
        (SoundFormat.OPUS, "audio/ogg", "c1.opus", None),
    ],
)
async def test_a_converted_recording_is_heard_by_any_browser_and_saved_as_it_is_kept(
    server: Served, stock: Stock, form: SoundFormat, heard_as: str, saved_as: str, rate: int | None
) -> None:
    keep(stock, form=form)
    with recordings_of(stock.settings).open("c1") as file:
        kept = file.read()
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    whole = await ask(server, "sup", url)
    size = int(whole.headers["content-length"])
    assert (whole.status_code, whole.headers["content-type"], len(whole.content)) == (200, heard_as, size)
    if rate is None:
        assert whole.content == kept
    else:
        with wave.open(io.BytesIO(whole.content)) as sound:
            assert (sound.getframerate(), sound.getnframes()) == (rate, rate * SECONDS)
    for first, last in ((0, 43), (size // 2 + 1, size * 3 // 4), (size - 5, size - 1)):
        part = await ask(server, "sup", url, headers={"range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, whole.content[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    taken = (await ask(server, "sup", ONE + "/download", "POST", json=PURPOSE)).json()["url"]
    saved = await ask(server, "sup", taken)
    assert (saved.status_code, saved.content) == (200, kept)
    assert saved.headers["content-disposition"] == f'attachment; filename="{saved_as}"'


@on_sqlite
async def test_a_grant_is_one_person_s_for_one_recording_and_ends(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    assert (await ask(server, "other", url)).status_code == 410
    assert (await ask(server, "city", url)).status_code == 403
    assert (await ask(server, "sup", url.replace("/c1/", "/s1/"))).status_code == 410
    assert (await ask(server, "sup", url[:-1] + ("A" if url[-1] != "A" else "B"))).status_code == 410
    assert (await ask(server, "sup", ONE + "/audio")).status_code == 422
    saved = (await ask(server, "sup", ONE + "/download", "POST", json=PURPOSE)).json()["url"]
    answer = await ask(server, "sup", saved)
    assert answer.headers["content-disposition"] == 'attachment; filename="c1.wav"'
    at = recordings.monotonic()
    an_hour_ago = recordings.time.time() - 3600
    monkeypatch.setattr(
        recordings.time, "time", lambda: an_hour_ago
    )  # a clock that is set back is no more time
    monkeypatch.setattr(recordings, "monotonic", lambda: at + recordings.DOWNLOAD_S + 1)
    assert (await ask(server, "sup", url)).status_code == 200
    assert (await ask(server, "sup", saved)).status_code == 410
    monkeypatch.setattr(recordings, "monotonic", lambda: at + recordings.LISTEN_S + 101)
    assert (await ask(server, "sup", url)).status_code == 410


@on_sqlite
async def test_a_grant_plays_no_longer_once_its_centre_was_taken_from_who_holds_it(server: Served) -> None:
    def moved(*centres: str) -> None:
        server.accounts.change("sup", display="sup", role=Role.SUPERVISOR, centres=centres, agent=None)

    listen, download = [
        (await ask(server, "sup", f"{ONE}/{act}", "POST", json=PURPOSE)).json()["url"]
        for act in ("listen", "download")
    ]
    moved("demo", "elsewhere")
    for url in (listen, download):
        assert (await ask(server, "sup", url)).status_code == 200
    moved("elsewhere")
    for url in (listen, download):
        assert (await ask(server, "sup", url)).status_code == 410
    moved("demo")
    assert (await ask(server, "sup", listen)).status_code == 200, "it is not over before its time"


@on_sqlite
async def test_who_may_not_listen_gets_nothing_and_a_line_and_without_a_trail_nobody_does(
    server: Served,
) -> None:
    for name in ("city", "ope", "far"):
        for act in ("listen", "download"):
            assert (await ask(server, name, f"{ONE}/{act}", "POST", json=PURPOSE)).status_code == 403
    assert (await ask(server, "far", ALL + "/nothing/listen", "POST", json=PURPOSE)).status_code == 403
    assert (await ask(server, "chief", ALL + "/nothing/listen", "POST", json=PURPOSE)).status_code == 404
    refused = server.trail.newest(Wanted(result=Result.REFUSED), 100)
    assert [line.who for line in reversed(refused)] == [
        *("user:city", "user:city", "user:ope", "user:ope", "user:far", "user:far", "user:far")
    ]
    for wrong in ({}, {"purpose": ""}, {"purpose": " "}, {"purpose": "x" * 201}, {"purpose": "a\nb"}):
        assert (await ask(server, "sup", ONE + "/listen", "POST", json=wrong)).status_code == 422, wrong
    assert lines(server) == []
    server.trail._folder.rename(server.trail._folder.with_name("away"))
    server.trail._folder.write_text("no folder")
    assert (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).status_code == 503


@on_sqlite
async def test_what_has_no_sound_is_said_to_have_none(server: Served, stock: Stock) -> None:
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    (stock.settings.recordings / "c1.wav").unlink()
    assert (await ask(server, "sup", url)).status_code == 410
    stock.settings.protected.mkdir()
    (stock.settings.protected / "c1.wav").write_bytes(stock.sound)
    assert (await ask(server, "sup", url)).content == stock.sound


@on_sqlite
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("key", ("鍵がありません", "a key of recordings is missing")),
        ("sound", ("書き換えられています", "was altered")),
        ("size", ("途中で切れています", "is cut off")),
        ("player", ("保存できます", "it can still be downloaded")),
    ],
)
async def test_a_recording_that_cannot_be_opened_is_told_as_that_with_what_to_do(
    server: Served, stock: Stock, monkeypatch: pytest.MonkeyPatch, harm: str, said: tuple[str, str]
) -> None:
    path = keep(stock, form=SoundFormat.G722)
    if harm == "key":
        shutil.rmtree(stock.settings.recordings_keys)
    elif harm == "sound":
        whole = path.read_bytes()
        path.write_bytes(whole[:-40] + bytes(20) + whole[-20:])
    elif harm == "size":
        os.truncate(path, path.stat().st_size - 1)
    else:
        monkeypatch.setattr("callcore.recordings.audio.shutil.which", lambda program: None)
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    with capture_logs() as logged:
        answer = await ask(server, "sup", url)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "urn:callcore:problem:sound-unopened")
    assert all(words in problem["detail"] for words in said), problem["detail"]
    assert "retry-after" not in answer.headers
    assert [(x["log_level"], x["recording"], x["why"]) for x in logged] == [
        ("error", "c1", problem["detail"])
    ]
    taken = (await ask(server, "sup", ONE + "/download", "POST", json=PURPOSE)).json()["url"]
    assert (await ask(server, "sup", taken)).status_code == (200 if harm == "player" else 500)
    shown = await ask(server, "sup", f"/recordings/c1?{url.partition('?')[2]}")
    ja, en = problem["detail"].split(" / ")
    assert ja in html.unescape(shown.text) and en not in html.unescape(shown.text)
    assert "<audio" not in shown.text
    assert 'value="download"' in shown.text
    saved = await by_page(server, "download")
    if harm == "player":
        assert (saved.status_code, saved.headers["content-type"]) == (200, "audio/wav")
    else:
        assert saved.status_code == 500 and en in html.unescape(saved.text) and ja not in saved.text
        assert 'value="download"' in saved.text, "the page, not a line for machines"


@on_sqlite
async def test_a_recording_whose_file_is_gone_or_cannot_be_reached_is_told_as_that_by_page_and_api(
    server: Served, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep(stock)
    with monkeypatch.context() as patch:

        def away(self: Any, name: str) -> None:
            raise PermissionError(13, "Permission denied")

        patch.setattr("callcore.recorded.Recorded._file", away)
        for act in ("listen", "download"):
            shown = await by_page(server, act)
            assert "Look at /readyz" in shown.text and "<audio" not in shown.text, act
    path.unlink()
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    with capture_logs() as logged:
        problem = (await ask(server, "sup", url)).json()
    assert problem["type"] == "urn:callcore:problem:no-sound"
    assert [(x["log_level"], x["recording"]) for x in logged] == [("error", "c1")]
    for words in ("ファイルがありません", "callcore recordings verify", "its file is not there"):
        assert words in problem["detail"], "nobody is told that it was erased"
    for act in ("listen", "download"):
        shown = await by_page(server, act)
        assert "its file is not there" in shown.text and "ファイルがありません" not in shown.text, act
        assert "<audio" not in shown.text


@on_sqlite
async def test_a_page_whose_time_to_listen_is_over_says_so_and_what_to_do(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    page = f"/recordings/c1?lang=en&{url.partition('?')[2]}"
    assert "The time to listen is over" not in (await ask(server, "sup", page)).text
    assert "The time to listen is over" in (await ask(server, "other", page)).text, "it is somebody else's"
    assert "The time to listen is over" not in (await ask(server, "city", page)).text, (
        "who may not listen at all"
    )
    now = recordings.monotonic
    monkeypatch.setattr(recordings, "monotonic", lambda: now() + recordings.LISTEN_S + 200)
    shown = (await ask(server, "sup", page)).text
    assert "The time to listen is over" in shown and "<audio" not in shown


@on_sqlite
async def test_a_list_of_who_listened_that_is_not_all_of_it_says_so_on_page_and_paper(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (recordings, archive):
        monkeypatch.setattr(module, "ACCESSES_MOST", 2)
    for n in range(3):
        shown = (await ask(server, "sup", "/recordings/c1?lang=en")).text
        assert ("newest 2 lines alone" in shown) is (n == 2), n
        await ask(server, "sup", ONE + "/listen", "POST", json={"purpose": f"purpose {n}"})
    for path in ("/recordings/c1?lang=en", "/recordings/c1?lang=en&print=1"):
        shown = (await ask(server, "sup", path)).text
        assert "newest 2 lines alone" in shown and "/audit?text=c1" in shown, path
        assert [f"purpose {n}" in shown for n in range(3)] == [False, True, True]


@on_sqlite
async def test_a_page_of_a_search_leads_to_the_older_ones_with_a_number_and_without(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ROWS", 1)
    for number in ("", CITIZEN):
        fields, found = {"number": number, "centre": "demo"}, []
        while True:
            answer = await ask(server, "sup", "/recordings", "POST", data=fields)
            assert answer.status_code == (200 if number else 303)
            shown = answer if number else await ask(server, "sup", answer.headers["location"])
            assert number or "number" not in answer.headers["location"]
            found += re.findall(r'href="/recordings/(c1|s1)"', shown.text)
            after = re.search(r'name="after" value="([^"]+)"', shown.text)
            if after is None:
                break
            hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown.text)
            fields = {**dict(hidden), "after": after[1]}
            del fields["csrf"]
            assert fields.get("centre") == "demo" and fields.get("number", "") == number
        assert found == ["s1", "c1"], number


@on_sqlite
async def test_a_number_is_found_as_people_type_it(server: Served) -> None:
    """Full width, as Japanese is typed, and with whatever stands between."""
    for typed in ("０９０－１２３４－５６７８", "090ー1234ー5678", "(090) 1234‐5678", "+81 90 1234 5678"):
        shown = await ask(server, "sup", "/recordings", "POST", data={"number": typed, "agent": "１００２"})
        assert (shown.status_code, '"/recordings/c1"' in shown.text) == (200, True), typed
        assert typed in html.unescape(shown.text), "as it was typed"


@on_sqlite
async def test_a_number_typed_into_another_field_stands_in_no_address_either(stock: Stock) -> None:
    pages = {
        "/recordings": ("agent", "call", "queue", "result", "recording", "listener"),
        "/calls": ("agent",),
    }
    numbers = (CITIZEN, "０９０－１２３４－５６７８", "+81 90 1234 5678", "312345678")
    async with served(DeskSource(Desk().begin()), recordings=stock.recorded, calls=stock.stored) as server:
        first_administrator(server.accounts)
        for page, fields in pages.items():
            for field in fields:
                for typed in numbers if field == "agent" else numbers[:1]:
                    answer = await ask(server, "chief", page, "POST", data={"centre": "demo", field: typed})
                    assert answer.status_code in (200, 422) and "location" not in answer.headers, (
                        page,
                        field,
                    )
                    assert typed in answer.text, "as it was typed"
        for page, typed in (
            ("/recordings", {"call": "node1-1795143500.7", "first": "2026-11-23", "sha256": "0a" * 32}),
            (
                "/recordings",
                {"recording": "node1-1795143500.7", "agent": "１００２", "key_period": "2026-11"},
            ),
            ("/calls", {"agent": "1002", "first": "2026-11-23T09:00"}),
        ):
            answer = await ask(server, "chief", page, "POST", data=typed)
            assert answer.status_code == 303, typed
            assert httpx.URL(answer.headers["location"]).params == httpx.QueryParams(typed)


@on_sqlite
async def test_a_recording_whose_key_was_destroyed_has_no_sound(server: Served, stock: Stock) -> None:
    keep(stock)
    url = (await ask(server, "sup", ONE + "/listen", "POST", json=PURPOSE)).json()["url"]
    recordings = recordings_of(stock.settings)
    found = recordings.find("c1")
    assert found is not None
    with found.open("rb") as file:
        head = read_head(file, found)[0]
    recordings.ring.destroy(head.centre, head.day, head.name, "2026-11-21T00:00:00Z")
    assert (await ask(server, "sup", url)).json()["type"] == "urn:callcore:problem:no-sound"


async def test_marks_are_set_and_taken_away_afterwards_and_found_by_at_once(
    server: Served, stock: Stock
) -> None:
    server.orders.ask = stock.marks  # type: ignore[method-assign]

    async def marks(who: str, headers: dict[str, str] | None = None, name: str = "c1", **body: Any) -> int:
        path = f"{ALL}/{name}/marks"
        return (await ask(server, who, path, "POST", headers, json=body)).status_code

    async def found(mark: str) -> list[str]:
        page = (await ask(server, "sup", f"{ALL}?mark={mark}")).json()
        return [each["recording"] for each in page["recordings"]]

    assert await marks("sup", mark="relay", on=True) == 200
    assert await found("relay") == ["s1", "c1"], "of the call, so of all its recordings"
    key = {"idempotency-key": "one"}
    assert await marks("sup", key, mark="complaint", on=False, why="取り違え") == 200
    assert await marks("sup", key, mark="complaint", on=False, why="取り違え") == 200
    assert await marks("sup", key, mark="complaint", on=True) == 422, "that key is of another request"
    assert await found("complaint") == []
    assert (await ask(server, "sup", ONE)).json()["recording"]["marks"] == ["abuse", "relay"]
    assert await marks("sup", mark="abuse", on=False, why="誤操作") == 403, "who may not erase"
    assert await marks("chief", mark="abuse", on=False) == 422, "without a reason"
    assert await found("abuse") == ["s1", "c1"]
    assert await marks("chief", mark="abuse", on=False, why="誤操作") == 200
    assert await found("abuse") == []
    assert await marks("sup", mark="abuse") == 200
    assert await found("abuse") == ["s1", "c1"]
    for who, wanted in (("city", 403), ("ope", 403), ("far", 403)):
        assert await marks(who, mark="relay", on=False) == wanted, who
    assert await marks("chief", name="nothing", mark="relay") == 404
    assert await marks("far", name="nothing", mark="relay") == 403
    for wrong in ({}, {"mark": "x"}, {"mark": "relay", "why": " "}, {"mark": "relay", "why": "x" * 201}):
        assert await marks("sup", **wrong) == 422, wrong
    done = [line for line in lines(server) if line.result is Result.DONE]
    assert [(line.who, line.action, line.on, line.centre, line.why) for line in reversed(done)] == [
        ("user:sup", "recording_mark", "c1", "demo", "+relay"),
        ("user:sup", "recording_mark", "c1", "demo", "-complaint: 取り違え"),
        ("user:chief", "recording_unreport", "c1", "demo", "-abuse: 誤操作"),
        ("user:sup", "recording_mark", "c1", "demo", "+abuse"),
    ]
    assert [fact.by for fact in stock.core.told(f.RecordingMarked)] == [
        *("user:sup", "user:sup", "user:chief", "user:sup")
    ]
    protected = [x.call for x in stock.core.effects if isinstance(x, e.ProtectRecording)]
    assert protected == ["c1"], "and kept apart, as when it is reported by key"


@on_sqlite
async def test_the_page_finds_by_times_of_the_centre_by_any_finding_and_by_how_many_the_call_has(
    server: Served,
) -> None:
    """The talk is of 12:00:10 to 12:01:30 in Japan, the consult of 12:00:33 to 12:00:41."""
    day = "2026-11-23"
    for query, found in (
        (f"first={day}&first_time=12:00", {"s1", "c1"}),
        (f"first={day}&first_time=12:01", set()),
        (f"last={day}&last_time=12:00", set()),
        (f"last={day}&last_time=12:01", {"s1", "c1"}),
        (f"ended_from={day}T12:01", {"c1"}),
        (f"ended_before={day}T12:01", {"s1"}),
        ("problem=clipped", {"s1"}),
        ("segments_least=2&kind=call", {"c1"}),
        ("segments_least=3", set()),
    ):
        page = (await ask(server, "sup", f"/recordings?{query}")).text
        assert {each for each in ("s1", "c1") if f'"/recordings/{each}"' in page} == found, query
    shown = (await ask(server, "sup", "/recordings/s1")).text
    assert "短い" in shown and "音割れ" in shown
    for wrong in ("first_time=12:00", f"last={day}&last_time=x", "ended_from=yesterday"):
        answer = await ask(server, "sup", f"/recordings?{wrong}")
        assert answer.status_code == 422, wrong
        assert "条件に合う録音はありません" not in answer.text, "nobody has looked"


@on_sqlite
async def test_all_that_can_be_asked_for_has_a_field_of_the_page_and_all_that_is_known_is_shown(
    server: Served, stock: Stock
) -> None:
    page = (await ask(server, "sup", "/recordings?lang=en")).text
    for name in {*recordings.NumberSearchIn.model_fields, "last"} - {"before", "after", "limit"}:
        assert f'<label for="{name}">' in page, name
        assert re.search(f'<(input|select) id="{name}" name="{name}"', page), name
    kept = sealed(stock.core.at(300), sha256="5e" * 32)
    fact = f.RecordingKept(**{each.name: getattr(kept, each.name) for each in fields(kept)})
    await stock.sink.apply([TestFrame(1, 6000, fact.at, (fact,))])
    told = (await ask(server, "sup", ONE)).json()["recording"]
    one = html.unescape((await ask(server, "sup", "/recordings/c1?lang=en")).text)
    shown = {
        *("c1", "Caller", "<dd>In</dd>", "Test centre", "demo-general", "1001, 1002", "English", "1:40"),
        *(told["number"], "苦情", "Complaint", "Blind", "Abuse or threat", "wav", "1, everybody together"),
        *(
            f"{told['size']:,}",
            told["sha256"],
            "Encrypted store",
            "2026-11",
            "until told",
            "2026-11-23 12:00",
        ),
        *("Asked for", "user:sato", "Cut out", "Silence", "Consult"),
    }
    assert {words for words in shown if words not in one} == set()


@on_sqlite
async def test_recordings_of_no_known_centre_are_a_line_of_the_page_for_who_sees_all_centres(
    server: Served, stock: Stock
) -> None:
    async def page(who: str, query: str = "") -> str:
        return (await ask(server, who, f"/recordings?lang=en{query}")).text

    assert "no known centre" not in await page("chief")
    house, names = House(stock.settings.home), ("notes", "c1", "node1-1700000000.7.message")
    for name in names:  # of "c1" a row is there: its call was known after all
        kind = RecordingKind.MESSAGE if name.endswith("message") else None
        whose = Whose(UNASSIGNED, "Asia/Tokyo", None, kind, None, True)
        house.keeper().keep(house.record(name), whose)
    shown = await page("chief")
    assert "Recordings of no known centre: 2" in shown and "_unassigned" in shown
    assert "notes" in shown and "node1-1700000000.7.message" in shown
    assert "no known centre" not in await page("chief", "&kind=call"), (
        "what is searched for is not among them"
    )
    for who in ("sup", "city", "far"):
        assert "no known centre" not in await page(who), who
    day = next((stock.settings.store / UNASSIGNED).glob("*/chain.jsonl"))
    day.unlink()
    day.mkdir()
    assert "cannot be told now" in await page("chief")


@on_sqlite
async def test_recordings_are_found_from_the_shell(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo.toml").write_text(DemoCentre(agents=2).toml(), encoding="utf-8")
    monkeypatch.setenv("CALLCORE_HOME", str(stock.settings.home))
    monkeypatch.setenv("CALLCORE_DATABASE_URL", stock.settings.database)
    monkeypatch.setenv("CALLCORE_CENTRES", str(tmp_path))
    monkeypatch.setattr(console.out, "width", 260)

    async def find(*words: str, status: int = 0) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["recordings", "find", *words])
        assert done.exit_code == status, done.output
        return str(done.output)

    damaged = stock.settings.keys / "demo.2020-01.key"
    damaged.write_bytes(b"damaged")
    assert damaged.name in (await find("--number", "090-1234-5678", status=1)).replace("\n", "")
    damaged.unlink()
    _, told = json.loads(await find("--number", "090-1234-5678", "--json"))["recordings"]
    assert (told["recording"], told["number"], told["marks"]) == ("c1", "********678", ["complaint", "abuse"])
    table = await find("--agent", "1001", "--centre", "demo")
    assert all(word in table for word in ("s1", "c1", "consult", "苦情", "********678", "abuse"))
    assert "保存期限" in table and "指示があるまで" in table
    assert "c1" not in await find("--first", "1990-01-01", "--last", "1990-01-02")
    for words, found in (
        ("--direction in --result-kind complaint --place spool --format wav", {"c1"}),
        ("--recording s1 --not-paused --seconds-least 1 --size-least 44", {"s1"}),
        ("--paused-by key --pause-ended asked --pauses-least 2", {"c1"}),
        ("--segments-least 2 --problem clipped", {"s1"}),
        ("--segments-least 3", set()),
        ("--problem silent", set()),
        ("--first 2000-01-01T09:00 --ended-from 2000-01-01 --kind call", {"c1"}),
        ("--last 2000-01-01T09:00", set()),
        ("--ended-before 2000-01-01T09:30", set()),
        ("--size-most 43", set()),
        ("--seconds-most 0.5", set()),
        ("--key-period 2020-01", set()),
        ("--kept-from 2000-01-01 --kept-before 2001-01-01", set()),
        ("--held", set()),
        ("--queue nowhere", set()),
        ("--listener user:sup", set()),
    ):
        told = json.loads(await find(*words.split(), "--json"))
        assert {each["recording"] for each in told["recordings"]} == found, words
    trail_of(stock.settings).add(
        system_person("test"),
        recordings.LISTENED,
        on="c1",
        centre="demo",
        origin="test",
        result=Result.DONE,
        why="確認",
    )
    told = json.loads(await find("--listener", "system:test", "--json"))
    assert [each["recording"] for each in told["recordings"]] == ["c1"]
    assert "2026-11-20" in await find("--first", "yesterday", status=1)
    assert "there is no centre file of demmo" in await find("--centre", "demmo")
    assert "no centre file" not in await find("--centre", "demo", "--first", "2026-11-20")
    assert "番号は数字で" in await find("--number", "x", status=1)
    monkeypatch.setattr(rights, "SYSTEM", {Right.READ_CALLS: Reach.ALL})
    assert "read_trail" in await find("--listener", "system:test", status=2)
    assert "read_personal" in await find("--number", CITIZEN, "--centre", "demo", status=2)
