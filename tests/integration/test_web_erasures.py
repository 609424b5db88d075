"""The reports of erasures, as people and machines read them: signed, to be printed, and of their own centres only."""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callcore.erasing.report import checked
from callcore.erasure import Reports
from callcore.recordings.signing import public_keys
from callcore.settings import Settings
from tests.integration.test_web_access import ask, cookie_of
from tests.integration.test_web_api import a_source
from tests.support.erased import ID, a_report, kept
from tests.support.people import cheap_hashes, everybody
from tests.support.web import Served, served

OTHER = "erase-20261121020000-aaaaaa"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    cheap_hashes(monkeypatch)
    kept(tmp_path, a_report(reason="<b>求め</b> & more"))
    kept(tmp_path, a_report(OTHER, "other", found=1))
    async with served(a_source(), erasures=Reports(Settings(home=tmp_path))) as running:
        await asyncio.to_thread(everybody, running.accounts)
        yield running


async def test_a_report_is_listed_given_out_as_signed_and_printed_with_nothing_but_its_own_style(
    server: Served, tmp_path: Path
) -> None:
    admin = await asyncio.to_thread(cookie_of, server, "chief")
    listed = (await ask(server, "GET", "/api/v1/erasures", admin)).json()["erasures"]
    assert [(each["report"], each["complete"]) for each in listed] == [(OTHER, False), (ID, True)]
    assert (listed[1]["calls"], listed[1]["recordings"], listed[1]["left"]) == (2, 1, 1)
    assert listed[1]["tasks"] == 1
    raw = (await ask(server, "GET", f"/api/v1/erasures/{ID}", admin)).content
    keys = public_keys([tmp_path / "keys" / "recordings" / "signing.pub"])
    assert checked(raw, keys) is not None
    assert checked(raw.replace(b"node1-1.2", b"node1-1.9"), keys) is None
    sheet = await ask(server, "GET", f"/erasures/{ID}", admin)
    assert "作業完了報告書" in sheet.text and "task-1a2b" in sheet.text
    assert "&lt;b&gt;求め&lt;/b&gt; &amp; more" in sheet.text
    (style,) = re.findall(r"<style>(.*?)</style>", sheet.text, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in sheet.headers["content-security-policy"]
    assert "default-src 'none'" in sheet.headers["content-security-policy"]
    page = await ask(server, "GET", "/erasures?lang=ja", admin)
    assert f'href="/erasures/{ID}"' in page.text and "残りあり" in page.text


async def test_the_list_is_told_in_the_readers_language_with_names_and_by_the_clock_of_the_centre(
    server: Served,
) -> None:
    admin = await asyncio.to_thread(cookie_of, server, "chief")
    for language, centre, what in (("ja", "試験センター", "番号ひとつ"), ("en", "Test centre", "one number")):
        page = (await ask(server, "GET", f"/erasures?lang={language}", admin)).text
        body = page[page.index("<tbody") :]
        assert centre in body and what in body
        assert (" / one number" in body, "番号ひとつ / " in body) == (False, False)
        assert ">other<" in body, "of a centre that is no more"
        assert 'data-zone="Asia/Tokyo"' in page and ">2026-11-20 02:00</time>" in body
        assert "+09:00<" not in body


async def test_a_report_that_was_damaged_or_edited_is_named_and_hides_no_other(
    server: Served, tmp_path: Path
) -> None:
    admin, viewer = [await asyncio.to_thread(cookie_of, server, who) for who in ("chief", "city")]

    async def listed(who: str) -> list[tuple[str, str, bool]]:
        rows = (await ask(server, "GET", "/api/v1/erasures", who)).json()["erasures"]
        return [(each["report"], each["scope"], each["signed"]) for each in rows]

    assert await listed(admin) == [(OTHER, "number", True), (ID, "number", True)]
    edited, damaged = (tmp_path / "erasures" / f"{each}.json" for each in (ID, OTHER))
    edited.write_bytes(edited.read_bytes().replace(b'"node1-1.2"', b'"node1-1.9"'))
    whole = damaged.read_bytes()
    nested = whole.replace(b'"calls":', b'"x":' + b"[" * 200_000)
    for garbage in (whole[:200], b"", whole.replace(b'"calls":', b'"calls\xf3":'), nested):
        damaged.write_bytes(garbage)
        assert await listed(admin) == [(OTHER, "damaged", False), (ID, "number", False)]
        assert await listed(viewer) == [(ID, "number", False)]
        page = (await ask(server, "GET", "/erasures?lang=en", admin)).text
        assert OTHER in page and "put it back from the back-up" in page and "not as it was signed" in page
        for path in ("/api/v1/erasures/", "/erasures/"):
            assert (await ask(server, "GET", path + OTHER, admin)).status_code == 404
    shown = (await ask(server, "GET", "/erasures?lang=en", viewer)).text
    assert "not as it was signed" in shown and OTHER not in shown


@pytest.mark.parametrize(
    ("signed", "edited"),
    [
        (b'"done_at":"2026-11-20T02:00:09+09:00"', b'"done_at":"yesterday"'),
        (b'"done_at":"2026-11-20T02:00:09+09:00"', b'"done_at":"0001-01-01T00:00:00+14:00"'),
        (b'"scope":"number"', b'"scope":"<spoilt>"'),
        (f'"id":"{ID}"'.encode(), b'"id":"\\u0000/../"'),
        ("番号ひとつ / one number".encode(), b""),
        (b'"by":"system:callcore"', b'"by":""'),
    ],
)
async def test_whatever_an_edited_report_says_it_is_shown_as_unsigned_and_hides_no_other(
    server: Served, tmp_path: Path, signed: bytes, edited: bytes
) -> None:
    admin = await asyncio.to_thread(cookie_of, server, "chief")
    file = tmp_path / "erasures" / f"{ID}.json"
    whole = file.read_bytes()
    assert signed in whole
    file.write_bytes(whole.replace(signed, edited))
    rows = (await ask(server, "GET", "/api/v1/erasures", admin)).json()["erasures"]
    assert [each["signed"] for each in rows] == [True, False]
    for language in ("ja", "en"):
        page = await ask(server, "GET", f"/erasures?lang={language}", admin)
        assert page.status_code == 200
        assert f'href="/erasures/{OTHER}"' in page.text and page.text.count("本人の求め") == 1
        assert ("&lt;spoilt&gt;" in page.text) == (b"spoilt" in edited)
    assert (await ask(server, "GET", f"/erasures/{ID}", admin)).status_code == 200


async def test_a_disk_that_cannot_be_read_is_told_and_no_empty_list(server: Served, tmp_path: Path) -> None:
    admin = await asyncio.to_thread(cookie_of, server, "chief")
    whole = tmp_path / "erasures" / f"{ID}.json"
    whole.unlink()
    whole.mkdir()
    for path in ("/api/v1/erasures", f"/api/v1/erasures/{ID}", "/erasures", f"/erasures/{ID}"):
        answer = await ask(server, "GET", path, admin)
        assert answer.status_code == 503, path
        assert "readyz" in answer.text, path


async def test_of_another_centre_no_report_is_seen(server: Served) -> None:
    viewer = await asyncio.to_thread(cookie_of, server, "city")
    listed = (await ask(server, "GET", "/api/v1/erasures", viewer)).json()["erasures"]
    assert [each["report"] for each in listed] == [ID]
    for path in ("/api/v1/erasures/", "/erasures/"):
        assert (await ask(server, "GET", path + OTHER, viewer)).status_code == 404
        assert (await ask(server, "GET", path + ID, viewer)).status_code == 200
    operator = await asyncio.to_thread(cookie_of, server, "ope")
    assert (await ask(server, "GET", "/api/v1/erasures", operator)).status_code == 403
