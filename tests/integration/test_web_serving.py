"""Page and API as other machines reach them: TLS and its renewal, proxies, names, and peers who mean no good.

Each is played against the real server over real sockets, on the event loop that the sidecar runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from callcore.certificate import Certificate
from callcore.web import LOOPBACK_NAMES, Bounds, CannotListen, Traffic, guard, listen
from callcore.web import models as m
from tests.support.certificates import make
from tests.support.floors import Desk
from tests.support.station import until
from tests.support.web import DeskSource, Served, served

LOOP = "uvloop"
QUICK = Bounds(head_s=0.4, linger_s=0.2, flush_s=0.3, connections=8)
SHORT_S = 5.0


def a_source() -> DeskSource:
    desk = Desk().begin()
    desk.wait(2, "c1")
    return DeskSource(desk)


@contextlib.asynccontextmanager
async def quick(**given: Any) -> AsyncIterator[tuple[Served, Traffic]]:
    traffic = Traffic()
    async with served(a_source(), bounds=QUICK, traffic=traffic, **given) as server:
        yield server, traffic


class Wire:
    """A client that sends exactly the bytes it is told, from an address of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(
        cls, server: Served, *, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> Wire:
        return cls(
            *await asyncio.open_connection(
                "127.0.0.1",
                server.port,
                local_addr=(source, 0),
                ssl=tls,
                server_hostname="localhost" if tls else None,
            )
        )

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), SHORT_S)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One answer with a length."""
        lines = (await self.head()).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        body = await asyncio.wait_for(
            self.reader.readexactly(int(headers.get("content-length", "0"))), SHORT_S
        )
        return int(lines[0].split()[1]), headers, body

    async def rest(self) -> bytes:
        """What comes until the server ends the connection; it must."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), SHORT_S)
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def wire(server: Served, **given: Any) -> AsyncIterator[Wire]:
    one = await Wire.open(server, **given)
    try:
        yield one
    finally:
        await one.close()


def get(path: str = "/healthz", host: str = "127.0.0.1", **headers: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode("latin-1")


async def asked(server: Served, data: bytes, **given: Any) -> tuple[int, dict[str, str], bytes]:
    async with wire(server, **given) as one:
        await one.say(data)
        return await one.answer()


def is_problem(status: int, answer: tuple[int, dict[str, str], bytes]) -> None:
    got, headers, body = answer
    assert got == status, body
    assert headers["content-type"] == "application/problem+json"
    problem = m.Problem.model_validate(json.loads(body))
    assert problem.status == status
    assert " / " in problem.title and " / " in problem.detail


async def still_served(server: Served) -> None:
    assert (await asked(server, get()))[0] == 200


# -- TLS ------------------------------------------------------------------------------------------------------


async def test_a_browser_comes_by_tls_and_is_told_to_stay_with_it(tmp_path: Path) -> None:
    made = make(tmp_path)
    async with served(a_source(), certificate=Certificate(made.certificate, made.key)) as server:
        assert server.url.startswith("https://")
        async with httpx.AsyncClient(verify=made.trusting()) as client:
            answer = await client.get(f"{server.url}/healthz")
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_tls_older_than_1_2_is_not_spoken(tmp_path: Path) -> None:
    made = make(tmp_path)
    async with served(a_source(), certificate=Certificate(made.certificate, made.key)) as server:
        for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            context = made.trusting()
            context.minimum_version = context.maximum_version = version
            assert ((await asked(server, get(), tls=context))[0] == 200) is good
        old = made.trusting()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asked(server, get(), tls=old)


async def test_a_renewed_certificate_is_shown_to_new_connections_and_open_ones_go_on(tmp_path: Path) -> None:
    old = make(tmp_path)
    old_trust = old.trusting()
    certificate = Certificate(old.certificate, old.key)
    async with served(a_source(), certificate=certificate) as server, wire(server, tls=old_trust) as open_one:
        await open_one.say(get())
        assert (await open_one.answer())[0] == 200
        new = make(tmp_path)
        assert certificate.look()
        async with wire(server, tls=new.trusting()) as fresh:
            await fresh.say(get())
            assert (await fresh.answer())[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await Wire.open(server, tls=old_trust)
        await open_one.say(get())
        assert (await open_one.answer())[0] == 200


async def test_who_speaks_plain_http_to_a_tls_port_gets_nothing_and_the_others_are_served(
    tmp_path: Path,
) -> None:
    made = make(tmp_path)
    async with served(a_source(), certificate=Certificate(made.certificate, made.key)) as server:
        async with wire(server) as one:
            await one.say(get())
            assert b"HTTP" not in await one.rest()
        assert (await asked(server, get(), tls=made.trusting()))[0] == 200


async def test_who_never_finishes_the_tls_handshake_is_let_go(tmp_path: Path) -> None:
    made = make(tmp_path)
    async with quick(certificate=Certificate(made.certificate, made.key)) as (server, _), wire(server) as one:
        await one.say(b"\x16\x03\x01")
        assert b"HTTP" not in await one.rest()


async def test_a_board_over_tls_does_not_hold_the_end_up(tmp_path: Path) -> None:
    made = make(tmp_path)
    async with (
        served(a_source(), certificate=Certificate(made.certificate, made.key)) as server,
        wire(server, tls=made.trusting()) as board,
    ):
        await board.say(get("/api/v1/live/stream", **server.machine))
        assert b"200" in await board.head()
        async with asyncio.timeout(4):
            await asyncio.gather(server.stop(), board.rest())


def test_nobody_listens_beyond_this_machine_without_having_said_why() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(CannotListen, match=r"TLS.* / .*TLS"):
            listen(host, 0)
    with listen("0.0.0.0", 0, beyond=True) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


# -- proxies --------------------------------------------------------------------------------------------------

AFAR = "203.0.113.9"
PROXY = "127.0.0.9"


async def test_what_a_listed_proxy_says_of_its_client_is_believed() -> None:
    async with served(a_source(), proxies=(PROXY,)) as server:
        by_tls = await asked(server, get(X_Forwarded_For=AFAR, X_Forwarded_Proto="https"), source=PROXY)
        assert by_tls[0] == 200
        assert "strict-transport-security" in by_tls[1]
        for proto in ({}, {"X_Forwarded_Proto": "http"}, {"X_Forwarded_Proto": "https, http"}):
            plain = await asked(server, get(X_Forwarded_For=AFAR, **proto), source=PROXY)
            is_problem(403, plain)
            assert b"X-Forwarded-Proto" in plain[2]


async def test_what_anybody_else_says_is_as_if_it_had_not_been_said() -> None:
    async with served(a_source(), proxies=(PROXY,)) as server:
        for source in ("127.0.0.1", "127.0.0.10"):
            status, headers, _ = await asked(
                server,
                get(X_Forwarded_For=AFAR, X_Forwarded_Proto="https", Forwarded=f"for={AFAR};proto=https"),
                source=source,
            )
            assert (status, "strict-transport-security" in headers) == (200, False)
    async with served(a_source()) as server:
        status, headers, _ = await asked(server, get(X_Forwarded_Proto="https"))
        assert (status, "strict-transport-security" in headers) == (200, False)


@pytest.mark.parametrize(
    "given", [f"127.0.0.1, {AFAR}", f"{PROXY}, {AFAR}", f"{AFAR}:1234", "unknown", "::ffff:7f00:1"]
)
async def test_who_pretends_before_a_proxy_to_be_this_machine_is_not_believed(given: str) -> None:
    async with served(a_source(), proxies=(PROXY,)) as server:
        is_problem(403, await asked(server, get(X_Forwarded_For=given), source=PROXY))


async def test_a_proxys_other_headers_move_nothing() -> None:
    async with served(a_source(), proxies=(PROXY,)) as server:
        is_problem(
            421, await asked(server, get(host="evil.example", X_Forwarded_Host="127.0.0.1"), source=PROXY)
        )
        is_problem(404, await asked(server, get("/nowhere", X_Original_URL="/healthz"), source=PROXY))


async def test_who_said_that_it_may_be_unencrypted_is_answered_from_afar() -> None:
    async with served(a_source(), proxies=(PROXY,), plain=True) as server:
        assert (await asked(server, get(X_Forwarded_For=AFAR), source=PROXY))[0] == 200


# -- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "",
        " ",
        "callcore.example.evil.example",
        "evil.example#callcore.example",
        "callcore.example@evil.example",
        "evil.example:80@callcore.example",
        "callcore.example:80:90",
        "callcore.example:evil",
        "callcore.example/",
        "callcore.example.",
        "callcore.example,evil.example",
        "[::1]evil.example",
        "[::1",
        "127.1",
        "0.0.0.0",
        "2130706433",
        "ｃallcore.example",
    ],
)
async def test_only_its_own_names_are_served_and_the_answer_says_which(host: str) -> None:
    async with served(a_source(), hosts=LOOPBACK_NAMES | {"callcore.example"}) as server:
        answer = await asked(server, get(host=host.encode().decode("latin-1")))
        is_problem(421, answer)
        assert b"callcore.example" in answer[2] and b"CALLCORE_WEB_NAMES" in answer[2]


async def test_its_own_names_are_served_however_they_are_written() -> None:
    async with served(a_source(), hosts=LOOPBACK_NAMES | {"callcore.example"}) as server:
        for host in ("callcore.example", "Callcore.Example:443", "[::1]:8730", "localhost"):
            assert (await asked(server, get(host=host)))[0] == 200, host


async def test_a_whole_address_in_the_request_line_does_not_replace_the_host() -> None:
    async with served(a_source()) as server:
        is_problem(421, await asked(server, get("http://127.0.0.1/healthz", host="evil.example")))


# -- paths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../settings.py",
        "/static/../healthz",
        "/static/%2e%2e/%2e%2e/settings.py",
        "/static/v/..%2f..%2fsettings.py",
        "/static/v/%2e%2e%5c%2e%2e%5csettings.py",
        "/static/v/board.js%00.css",
        "/static/%00/%00",
        "/static//etc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/%c0%ae%c0%ae/etc",
        "/api/v1/live/..",
        "/api/v1/live%2f",
        "/api/v1/%6cive%00",
        "/;/healthz",
        "/healthz%20",
        "/healthz%0d%0aSet-Cookie:%20a=b",
    ],
)
async def test_a_tricky_path_leads_nowhere(path: str) -> None:
    async with served(a_source()) as server:
        answer = await asked(server, get(path))
        is_problem(404, answer)
        assert "set-cookie" not in answer[1]


@pytest.mark.parametrize("path", ["*", "healthz", "/he\x00althz", "/héalthz", "http://", ""])
async def test_an_address_that_is_none_is_a_problem_and_the_server_goes_on(path: str) -> None:
    async with served(a_source()) as server:
        async with wire(server) as one:
            await one.say(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode("latin-1"))
            assert int((await one.head()).split()[1]) in (400, 404)
        await still_served(server)


# -- bodies ---------------------------------------------------------------------------------------------------


def post(body: bytes, *headers: str, path: str = "/api/v1/live", length: int | None = None) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    size = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {size}\r\n\r\n"
    return head.encode() + body


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
    return b"POST /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body


async def test_a_body_up_to_the_bound_is_taken_and_one_beyond_it_is_a_problem() -> None:
    async with served(a_source()) as server:
        for good in (post(b"x" * guard.BODY_MOST), chunked(b"x" * 60_000, b"x" * 5_536)):
            assert (await asked(server, good))[0] == 405
        for bad in (post(b"x" * (guard.BODY_MOST + 1)), chunked(b"x" * 60_000, b"x" * 5_537)):
            is_problem(413, await asked(server, bad))
        is_problem(413, await asked(server, post(b"", length=10**18)))


async def test_after_a_body_that_was_too_large_the_same_connection_is_served_on() -> None:
    async with served(a_source()) as server, wire(server) as one:
        await one.say(post(b"x" * 300_000))
        is_problem(413, await one.answer())
        await one.say(get())
        assert (await one.answer())[0] == 200


async def test_a_body_that_stops_half_way_is_a_problem_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_WITHIN_S", 0.3)
    async with quick() as (server, _), wire(server) as one:
        await one.say(post(b"x" * 10, length=1000))
        is_problem(408, await one.answer())
        await one.rest()


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"a": "\xff"}', 400),
        ("application/json", '{"a": "あ"}'.encode("shift_jis"), 400),
        ("application/problem+json", b"\xc3\x28", 400),
        ("application/x-www-form-urlencoded", b"name=%ff%fe", 400),
        ("application/x-www-form-urlencoded", b"name=\xed\xa0\x80", 400),
        ("text/plain", b"\x80", 400),
        ("application/json; charset=shift_jis", b"{}", 415),
        ("APPLICATION/JSON; Charset=UTF-16", b"{}", 415),
        ("application/json; charset=utf-8", b"{}", 405),
        ("application/x-www-form-urlencoded", b"name=%e3%81%82", 405),
        ("application/octet-stream", b"\xff\x00", 405),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_a_problem(
    content_type: str, body: bytes, status: int
) -> None:
    async with served(a_source()) as server:
        is_problem(status, await asked(server, post(body, f"Content-Type: {content_type}")))


async def test_a_compressed_body_is_not_unpacked() -> None:
    async with served(a_source()) as server:
        is_problem(415, await asked(server, post(b"\x1f\x8b", "Content-Encoding: gzip")))


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\nEvil: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"hello\r\n\r\n",
    ],
)
async def test_what_two_parsers_could_read_differently_is_refused(request_: bytes) -> None:
    async with quick() as (server, _):
        async with wire(server) as one:
            await one.say(request_)
            is_problem(400, await one.answer())
            assert await one.rest() == b""
        await still_served(server)


# -- slow, large, many ----------------------------------------------------------------------------------------


async def test_a_head_that_drips_in_is_a_problem_in_time_however_often_it_drips() -> None:
    async with quick() as (server, traffic), wire(server) as one:
        answer = asyncio.create_task(one.answer())
        with contextlib.suppress(ConnectionError):
            for byte in get(X_Long="a" * 200):
                if answer.done():
                    break
                await one.say(bytes([byte]))
                await asyncio.sleep(0.02)
        is_problem(408, await answer)
        assert await one.rest() == b""
        assert traffic.slow == 1


async def test_who_connects_and_says_nothing_is_let_go() -> None:
    async with quick() as (server, traffic), wire(server) as one:
        assert await one.rest() == b""
        assert traffic.slow == 1
        await until(lambda: traffic.open == 0)


async def test_the_rest_of_a_body_that_nobody_wants_cannot_keep_a_connection() -> None:
    async with quick() as (server, _), wire(server) as one:
        await one.say(post(b"x", length=10**9))
        is_problem(413, await one.answer())

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await one.say(b"x")
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await one.rest() == b""
        dripping.cancel()


async def test_a_quiet_connection_is_kept_between_two_requests() -> None:
    async with quick() as (server, _), wire(server) as one:
        for _ in range(2):
            await one.say(get())
            assert (await one.answer())[0] == 200
            await asyncio.sleep(2 * QUICK.head_s)


async def test_a_board_is_not_taken_for_slow() -> None:
    async with quick() as (server, traffic), wire(server) as board:
        await board.say(get("/api/v1/live/stream", **server.machine))
        await board.head()
        ended = asyncio.create_task(board.reader.read(-1))
        _, pending = await asyncio.wait({ended}, timeout=3 * QUICK.head_s)
        assert pending and traffic.slow == 0
        ended.cancel()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get(X_Long="a" * 17_000), 431),
        (get(**{f"X_{n}": "a" * 100 for n in range(200)}), 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000, 431),
        (get("/" + "a" * 9_000), 414),
        (b"GET /" + b"a" * 20_000, 414),
        (get(X_Long="a" * 15_000), 200),
        (get("/healthz?" + "a" * 7_000), 200),
    ],
)
async def test_a_head_has_a_largest_size(data: bytes, status: int) -> None:
    async with quick() as (server, _):
        answer = await asked(server, data)
        assert answer[0] == status
        if status != 200:
            is_problem(status, answer)
        await still_served(server)


async def test_a_head_that_grows_in_small_pieces_is_refused_too() -> None:
    async with quick() as (server, _), wire(server) as one:
        await one.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                await one.say(b"a" * 1000)
                await asyncio.sleep(0.001)
        is_problem(431, await one.answer())


async def test_requests_that_are_sent_ahead_are_answered_in_their_order() -> None:
    async with quick() as (server, _), wire(server) as one:
        await one.say(get() + get("/nowhere") + post(b"x" * 20_000) + get())
        assert [(await one.answer())[0] for _ in range(4)] == [200, 404, 405, 200]


async def test_who_fills_all_places_and_says_nothing_keeps_nobody_out() -> None:
    async with quick() as (server, traffic):
        holders = [await Wire.open(server) for _ in range(QUICK.connections)]
        await until(lambda: traffic.open == QUICK.connections)
        await still_served(server)
        assert traffic.crowded_out >= 1
        assert await holders[0].rest() == b""
        for each in holders:
            await each.close()


async def test_where_all_places_are_really_used_a_new_one_is_turned_away_and_the_boards_go_on() -> None:
    async with quick() as (server, traffic):
        boards = [await Wire.open(server) for _ in range(QUICK.connections)]
        for board in boards:
            await board.say(get("/api/v1/live/stream", **server.machine))
            assert b"200" in await board.head()
        async with wire(server) as late:
            assert await late.rest() == b""
        assert traffic.crowded_out == 1
        await boards[0].close()
        await until(lambda: traffic.open == QUICK.connections - 1)
        await still_served(server)
        for board in boards[1:]:
            await board.close()


async def test_who_does_not_take_the_answer_is_let_go() -> None:
    source = a_source()
    traffic = Traffic()
    for n in range(3, 400):
        source.desk.arrive(n, f"c{n}", caller="0900000" + str(n))
    source.turn()
    async with served(source, bounds=QUICK, traffic=traffic) as server:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", server.port))
            with contextlib.suppress(BlockingIOError, ConnectionError):
                await loop.sock_sendall(deaf, get("/api/v1/live", **server.machine) * 60)
            await until(lambda: traffic.open == 1)
            await until(lambda: traffic.open == 0)


async def test_an_upgrade_is_not_taken_and_the_request_is_answered() -> None:
    async with quick() as (server, _), wire(server) as one:
        await one.say(get(Connection="Upgrade, HTTP2-Settings", Upgrade="h2c"))
        assert (await one.answer())[0] == 200
        assert await one.rest() == b""
