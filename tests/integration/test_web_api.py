"""The API over the real server: what it answers, to whom, and how it says no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from callcore.access.rights import Scope
from callcore.domain.centre import Guest
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, OfferId, PhoneId, QueueId, VisitId
from callcore.domain.recording import RecordingKind
from callcore.erasure import Reports
from callcore.runtime.detail import (
    CallDetail,
    NoteDetail,
    OfferDetail,
    RecordingDetail,
    SegmentDetail,
    VisitDetail,
)
from callcore.runtime.ports import Health
from callcore.settings import Settings
from callcore.telemetry import engine_check, link_check, space_check
from callcore.web import CannotListen, listen
from callcore.web import models as m
from tests.support.floors import Desk, centre, configuration
from tests.support.recorded import Empty
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, Served, served

NOON = "2026-11-23T03:00"
"""Of the desk, in UTC."""


def at(s: float) -> Instant:
    return Desk().at(s)


def stay(name: str, queue: str, entered: float, ended: float | None, outcome: str | None) -> VisitDetail:
    over = None if ended is None else at(ended)
    return VisitDetail(VisitId(name), QueueId(queue), at(entered), 3, 2, 30.5, ("優先リスト",), over, outcome)


STAYS = (
    (
        "c1",
        (
            stay("c1/1", "demo-general", 1, 4, "requeued"),
            stay("c1/2", "demo-english", 4, 6, "answered"),
        ),
    ),
    ("c2", (stay("c2/1", "demo-general", 9, None, None),)),
)


def a_source() -> DeskSource:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    source = DeskSource(desk)
    source.turn()
    return source


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served(a_source()) as running:
        yield running


async def get(server: Served, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(server.url + path, headers={**server.machine, **headers})


async def raw(server: Served, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_floor_is_told_with_its_seq_window_and_time(server: Served) -> None:
    answer = await get(server, "/api/v1/live")
    live = m.Live.model_validate(answer.json())
    assert (answer.status_code, live.seq, live.stale_s, live.linked) == (200, "1.2", None, True)
    assert live.centres[0].waiting[0].number == "*******678"
    assert answer.headers["cache-control"] == "no-store"


async def test_alive_is_alive_whatever_else_is_broken(server: Served) -> None:
    assert (await get(server, "/healthz")).json()["status"] == "alive"


async def test_an_operator_sees_which_dependency_is_not_well_and_what_to_do(tmp_path: Any) -> None:
    source = a_source()
    checks = [engine_check(source), link_check(source), space_check("journal", tmp_path, 1)]
    async with served(source, health=checks) as server:
        good = await get(server, "/readyz")
        assert (good.status_code, good.json()["ready"]) == (200, True)
        source.stale = 12.0
        bad = await get(server, "/readyz")
    assert bad.status_code == 503
    told = {check["name"]: check for check in bad.json()["checks"]}
    assert [told[name]["ok"] for name in ("engine", "asterisk", "journal")] == [False, True, True]
    assert "12 秒" in told["engine"]["detail"]
    assert "12 s" in told["engine"]["detail"]


async def test_a_folder_that_is_gone_or_full_is_told(tmp_path: Any) -> None:
    gone = await space_check("recordings", tmp_path / "none", 1)()
    full = await space_check("recordings", tmp_path, 2**62)()
    assert (gone.ok, full.ok) == (False, False)


async def test_a_check_that_hangs_does_not_hang_the_answer() -> None:
    async def database() -> Health:
        await asyncio.Event().wait()
        raise AssertionError

    async with served(a_source(), health=[database]) as server:
        answer = await get(server, "/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"][0]["name"] == "database"


async def test_a_page_of_somebody_else_whose_name_points_here_gets_nothing(server: Served) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""):
        answer = await get(server, "/api/v1/live", host=host)
        assert answer.status_code == 421, host
        assert answer.headers["content-type"] == "application/problem+json"
    for host in ("127.0.0.1", f"localhost:{server.port}", "LOCALHOST", "[::1]:80"):
        assert (await get(server, "/api/v1/live", host=host)).status_code == 200, host


async def test_two_hosts_in_one_request_are_not_believed(server: Served) -> None:
    answer = await raw(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
    assert answer.split()[1] in (b"421", b"400")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/live/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/static/000000000000/board.js", 404),
        ("GET", "/static/%00/%00", 404),
        ("GET", "/static/..%2f..%2f/etc", 404),
        ("GET", "/%ff%fe", 404),
        ("POST", "/api/v1/live", 405),
        ("DELETE", "/", 405),
        ("PUT", "/metrics", 405),
        ("TRACE", "/api/v1/live/stream", 405),
    ],
)
async def test_a_wrong_request_is_a_problem_in_both_languages(
    server: Served, method: str, path: str, status: int
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, server.url + path)
    problem = m.Problem.model_validate(answer.json())
    assert (answer.status_code, problem.status) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert " / " in problem.title
    assert " / " in problem.detail
    if status == 405:
        assert "GET" in answer.headers["allow"]


async def test_a_method_that_does_not_exist_is_turned_away_and_the_server_goes_on(server: Served) -> None:
    answer = await raw(server, b"BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert answer.split()[1] == b"400"
    assert (await get(server, "/healthz")).status_code == 200


async def test_every_answer_carries_the_security_headers(server: Served) -> None:
    for path in ("/", "/nowhere", "/api/v1/live", "/metrics", "/healthz"):
        headers = (await get(server, path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_a_fault_of_ours_is_a_problem_too_and_tells_nothing_of_the_inside() -> None:
    class Broken(DeskSource):
        def view(self) -> Any:
            raise RuntimeError("secret inside")

    async with served(Broken(Desk().begin())) as server:
        answer = await get(server, "/api/v1/live")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:callcore:problem:internal-error"
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_one_call_is_told_with_its_offers_and_their_reasons() -> None:
    source = a_source()
    source.desk.pick_up(5, "c1")
    source.desk.hang_up(65, "c1")
    source.turn()
    name = CallId("c1")
    at = source.desk.at
    detail = CallDetail(
        record=source.desk.books.records[name],
        caller=None,
        visits=(
            VisitDetail(
                VisitId("c1/1"),
                QueueId("demo-general"),
                at(2),
                5,
                1,
                30.5,
                ("優先リスト",),
                at(5),
                "answered",
            ),
        ),
        notes=(NoteDetail(at(3), "NeedsRelaxed", ("待ち 1 秒で条件緩和",)),),
        offers=(
            OfferDetail(
                OfferId("1.1"),
                VisitId("c1/1"),
                AgentId("1001"),
                PhoneId("demo-p1"),
                at(2),
                at(5),
                "answered",
                ("最長待機 1 秒 / longest idle 1 s",),
                None,
            ),
        ),
        recording=RecordingDetail(960_044, 60.0, "0" * 64, None),
        recordings=(
            SegmentDetail(RecordingKind.CALL, name, "c1.wav", at(5), at(65), 960_044, 60.0, "0" * 64, None),
            SegmentDetail(
                RecordingKind.CONSULT, CallId("k1"), "k1.wav", at(20), None, 0, 0.0, None, "missing"
            ),
        ),
    )
    shelf = Shelf(detail)
    async with served(source, calls=shelf) as server:
        found = m.CallOut.model_validate((await get(server, "/api/v1/calls/c1")).json())
        missing = await get(server, "/api/v1/calls/c2")
        wrong = await get(server, "/api/v1/calls/%3Cscript%3E")
        shelf.away = True
        away = await get(server, "/api/v1/calls/c1")
    assert found.offers[0].reasons == ["最長待機 1 秒 / longest idle 1 s"]
    assert found.visits[0].reasons == ["優先リスト"]
    assert [(note.what, note.reasons) for note in found.notes] == [("NeedsRelaxed", ["待ち 1 秒で条件緩和"])]
    assert (found.waited_s, found.talk_s, found.outcome and found.outcome.value) == (3.0, 60.0, "completed")
    assert (missing.status_code, wrong.status_code, away.status_code) == (404, 422, 503)
    assert all(a.headers["content-type"] == "application/problem+json" for a in (missing, wrong, away))


async def test_without_a_store_there_is_no_door_to_single_calls(server: Served) -> None:
    assert (await get(server, "/api/v1/calls/c1")).status_code == 404


async def test_the_documentation_names_every_door_with_models_and_examples(tmp_path: Path) -> None:
    erasures = Reports(Settings(home=tmp_path))
    async with served(a_source(), calls=Shelf(), recordings=Empty(), erasures=erasures) as server:
        document = (await get(server, "/api/v1/openapi.json")).json()
    assert set(document["paths"]) == {
        "/healthz",
        "/readyz",
        "/api/v1/live",
        "/api/v1/live/stream",
        "/api/v1/calls",
        "/api/v1/calls/search",
        "/api/v1/calls/{call}",
        "/api/v1/calls/{call}/journal",
        "/api/v1/visits",
        "/api/v1/me",
        "/api/v1/audit",
        "/api/v1/agents",
        "/api/v1/agents/{agent}",
        "/api/v1/agents/{agent}/pause",
        "/api/v1/agents/{agent}/ready",
        "/api/v1/agents/{agent}/sign-out",
        "/api/v1/agents/{agent}/sign-in",
        "/api/v1/agents/{agent}/unlock",
        "/api/v1/agents/{agent}/extend",
        "/api/v1/agents/{agent}/result",
        "/api/v1/agents/{agent}/note",
        "/api/v1/agents/{agent}/talk-key",
        "/api/v1/agents/{agent}/transfer",
        "/api/v1/agents/{agent}/dial",
        "/api/v1/agents/{agent}/watch",
        "/api/v1/agents/{agent}/skills",
        "/api/v1/agents/{agent}/help",
        "/api/v1/me/watch",
        "/api/v1/calls/{call}/up",
        "/api/v1/calls/{call}/queue",
        "/api/v1/centres/{centre}/thresholds",
        "/api/v1/calls/{call}/answer",
        "/api/v1/centres/{centre}/answers",
        "/api/v1/centres/{centre}/messages",
        "/api/v1/centres/{centre}/callbacks",
        "/api/v1/callbacks/{call}/drop",
        "/api/v1/calls/{call}/task",
        "/api/v1/centres/{centre}/tasks",
        "/api/v1/messages/{call}/take",
        "/api/v1/messages/{call}/done",
        "/api/v1/messages/{call}/dial",
        "/api/v1/exports",
        "/api/v1/exports/file",
        "/api/v1/recordings",
        "/api/v1/recordings/search",
        "/api/v1/recordings/{recording}",
        "/api/v1/recordings/{recording}/listen",
        "/api/v1/recordings/{recording}/marks",
        "/api/v1/recordings/{recording}/download",
        "/api/v1/recordings/{recording}/audio",
        "/api/v1/erasures",
        "/api/v1/erasures/{report}",
        "/api/v1/centres/{centre}/blocked",
        "/api/v1/centres/{centre}/blocked/{entry}",
        "/api/v1/centres",
        "/api/v1/centres/{centre}/departments",
        "/api/v1/centres/{centre}/figures/departments",
        "/api/v1/centres/{centre}/figures/day",
        "/api/v1/centres/{centre}/figures/day/{figure}",
        "/api/v1/centres/{centre}/figures/day/{figure}/csv",
        "/api/v1/centres/{centre}/emergency",
    }
    assert "Problem" in document["components"]["schemas"]


async def test_centres_and_their_queues_are_listed_with_the_lines_of_now_to_who_may_see_them() -> None:
    other = replace(centre(0), id=CentreId("other"), numbers=(), queues=(), phones=())
    desk = Desk().begin(configuration(centre(2), other))
    desk.sign_in(1, 1)
    for n in range(3):
        desk.wait(10 + n, f"c{n}")
    async with served(DeskSource(desk)) as server:
        told = (await get(server, "/api/v1/centres")).json()
        assert [each["id"] for each in told["centres"]] == ["demo", "other"]
        [queue] = told["centres"][0]["queues"]
        assert (queue["id"], queue["waiting"], queue["on_duty"]) == ("demo-general", 3, 1)
        assert queue["estimate_s"] > 0
        assert told["centres"][0]["open"] and told["centres"][0]["time_zone"] == "Asia/Tokyo"
        shown = server.accounts.add_token("small", (Scope.LIVE,), ("other",), "user:chief")
        told = (await get(server, "/api/v1/centres", authorization=f"Bearer {shown}")).json()
        assert [each["id"] for each in told["centres"]] == ["other"]


async def test_agents_are_listed_as_the_board_has_them_to_who_may_see_their_centre() -> None:
    other = replace(centre(0), id=CentreId("other"), numbers=(), queues=(), phones=())
    desk = Desk().begin(configuration(centre(2), other))
    desk.sign_in(1, 1)
    desk.wait(10, "c1")
    async with served(DeskSource(desk)) as server:
        told = (await get(server, "/api/v1/agents")).json()
        live = (await get(server, "/api/v1/live")).json()
        assert (told["seq"], told["at"]) == (live["seq"], live["at"])
        assert [each["agent"] for each in told["agents"]] == ["1001", "1002"]
        assert told["agents"] == [row | {"centre": "demo"} for row in live["centres"][0]["agents"]]
        assert told["agents"][0]["caller"]["number"] == "*******678"
        assert (await get(server, "/api/v1/agents?centre=demo")).json() == told
        for none in ("other", "nowhere"):
            assert (await get(server, f"/api/v1/agents?centre={none}")).json()["agents"] == []
        wrong = [await get(server, f"/api/v1/agents?{query}") for query in ("centre=%3C", "center=demo")]
        assert [answer.status_code for answer in wrong] == [422, 422]
        shown = server.accounts.add_token("small", (Scope.LIVE,), ("other",), "user:chief")
        for query in ("", "?centre=demo"):
            small = await get(server, f"/api/v1/agents{query}", authorization=f"Bearer {shown}")
            assert small.json()["agents"] == []


async def test_a_guest_stands_in_the_list_of_each_centre_on_whose_board_the_row_is() -> None:
    host = replace(
        centre(0),
        id=CentreId("other"),
        numbers=(),
        phones=(),
        queues=(replace(centre(0).queues[0], id=QueueId("other-general")),),
        guests=(Guest(AgentId("1001"), (QueueId("other-general"),)),),
    )
    desk = Desk().begin(configuration(centre(1), host))
    desk.sign_in(1, 1)
    async with served(DeskSource(desk)) as server:
        rows = (await get(server, "/api/v1/agents")).json()["agents"]
    assert [(row["centre"], row["agent"], row["guest"]) for row in rows] == [
        ("demo", "1001", False),
        ("other", "1001", True),
    ]


async def test_stays_in_queues_are_found_page_by_page_by_all_that_is_known_of_them() -> None:
    other = replace(centre(0), id=CentreId("other"), numbers=(), queues=(), phones=())
    desk = Desk().begin(configuration(centre(2), other))
    desk.wait(1, "c1")
    desk.wait(2, "c2")
    shelf = Shelf(
        *(CallDetail(desk.books.records[CallId(c)], None, visits, (), (), None) for c, visits in STAYS)
    )
    async with served(DeskSource(desk), calls=shelf) as server:

        async def found(query: str) -> list[str]:
            answer = await get(server, f"/api/v1/visits?{query}")
            assert answer.status_code == 200, (query, answer.text)
            return [each["visit"] for each in answer.json()["visits"]]

        first = (await get(server, "/api/v1/visits?limit=2")).json()
        second = (await get(server, f"/api/v1/visits?limit=2&after={quote(first['after'])}")).json()
        assert [each["visit"] for each in first["visits"] + second["visits"]] == ["c2/1", "c1/2", "c1/1"]
        assert second["after"] is None
        assert first["visits"][1] == {
            "call": "c1",
            "centre": "demo",
            "visit": "c1/2",
            "queue": "demo-english",
            "entered_at": f"{NOON}:04.000Z",
            "priority": 3,
            "position": 2,
            "estimate_s": 30.5,
            "reasons": ["優先リスト"],
            "ended_at": f"{NOON}:06.000Z",
            "outcome": "answered",
        }
        for query, visits in (
            ("centre=demo", ["c2/1", "c1/2", "c1/1"]),
            ("centre=other", []),
            ("queue=demo-english", ["c1/2"]),
            ("call=c1", ["c1/2", "c1/1"]),
            ("outcome=requeued", ["c1/1"]),
            ("outcome=answered", ["c1/2"]),
            ("outcome=abandoned", []),
            (f"first={NOON}:04Z", ["c2/1", "c1/2"]),
            (f"before={NOON}:04.001Z&after={at(4)}~c1/2", ["c1/1"]),
        ):
            assert await found(query) == visits, query
        for query in ("outcome=nonsense", "limit=501", "after=x", "first=2026-11-20", "number=0312345678"):
            assert (await get(server, f"/api/v1/visits?{query}")).status_code == 422, query
        shown = server.accounts.add_token("small", (Scope.LIVE,), ("other",), "user:chief")
        for query in ("", "?centre=demo", "?call=c1"):
            small = await get(server, f"/api/v1/visits{query}", authorization=f"Bearer {shown}")
            assert small.json() == {"visits": [], "after": None}
        shelf.away = True
        for path in ("/api/v1/visits", "/api/v1/calls"):
            away = await get(server, path)
            assert (away.status_code, away.headers["retry-after"]) == (503, "5")
            assert away.headers["content-type"] == "application/problem+json"


async def test_the_page_comes_in_the_language_asked_for_and_its_files_are_kept_by_the_browser(
    server: Served,
) -> None:
    english = await get(server, "/sign-in?lang=en", **{"accept-language": "ja", "authorization": ""})
    japanese = await get(server, "/sign-in", authorization="")
    assert '<html lang="en">' in english.text
    assert "サインイン" in japanese.text
    assert "://" not in japanese.text, "nothing may come from elsewhere"
    script = japanese.text.split('type="module" src="')[1].split('"')[0]
    answer = await get(server, script)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("host", ["example.org", "", "127.0.0.1:80"])
def test_what_is_listened_on_is_an_address(host: str) -> None:
    with pytest.raises(CannotListen, match=r"127\.0\.0\.1.* / .*not an address"):
        listen(host, 0)


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with listen("localhost", 0) as first, pytest.raises(CannotListen, match=r"別のポート.* / .*another port"):
        listen("127.0.0.1", first.getsockname()[1])
