"""What every answer passes: nothing that a person wrote becomes a header, and a body is handed on once and whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callcore.web import problems
from callcore.web.guard import Guard


def scope(
    *headers: tuple[bytes, bytes], client: tuple[str, int] | None = ("127.0.0.1", 9), **more: Any
) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "scheme": "http",
        "client": client,
        "headers": [(b"host", b"127.0.0.1"), *headers],
        **more,
    }


async def through(app: ASGIApp, of: Scope, *chunks: bytes, **given: Any) -> tuple[int, Headers, bytes]:
    left: list[Message] = [
        {"type": "http.request", "body": c, "more_body": n < len(chunks) - 1} for n, c in enumerate(chunks)
    ] or [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(dict(message))

    await Guard(app, **given)(of, receive, send)
    body = b"".join(m.get("body", b"") for m in sent[1:])
    return sent[0]["status"], Headers(raw=sent[0]["headers"]), body


def answering(headers: Sequence[tuple[bytes, bytes]]) -> ASGIApp:
    async def app(of: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


@pytest.mark.parametrize("evil", [b"a\r\nSet-Cookie: x=y", b"a\nb", b"a\rb", b"a\0b"])
async def test_what_a_person_wrote_never_becomes_a_header(evil: bytes) -> None:
    for headers in ([(b"location", evil)], [(evil, b"a")]):
        status, got, body = await through(answering(headers), scope())
        assert status == 500
        assert "set-cookie" not in got and "location" not in got
        assert json.loads(body)["type"] == "urn:callcore:problem:internal-error"
        assert got["x-content-type-options"] == "nosniff"


async def test_a_page_may_send_forms_to_ourselves_and_run_nothing_inline() -> None:
    _, headers, _ = await through(answering([]), scope())
    policy = headers["content-security-policy"]
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "strict-transport-security" not in headers
    _, headers, _ = await through(answering([]), scope(scheme="https"))
    assert headers["strict-transport-security"].startswith("max-age=")


async def test_who_asks_for_the_body_gets_it_once_and_whole_and_then_the_end() -> None:
    seen: list[Any] = []

    async def app(of: Scope, receive: Receive, send: Send) -> None:
        seen.append(await Request(of, receive).body())
        seen.append((await receive())["type"])
        await Response("ok")(of, receive, send)

    status, _, _ = await through(app, scope((b"transfer-encoding", b"chunked")), b"a", b"", b"b")
    assert (status, seen) == (200, [b"ab", "http.disconnect"])


@pytest.mark.parametrize(
    ("client", "scheme", "plain", "status"),
    [
        (("127.8.8.8", 1), "http", False, 200),
        (("::1", 1), "http", False, 200),
        (("192.0.2.9", 1), "http", False, 403),
        (("2001:db8::9", 1), "http", False, 403),
        (("garbage", 0), "http", False, 403),
        (None, "http", False, 403),
        (("192.0.2.9", 1), "https", False, 200),
        (("192.0.2.9", 1), "http", True, 200),
    ],
)
async def test_other_machines_are_answered_encrypted_only(
    client: tuple[str, int] | None, scheme: str, plain: bool, status: int
) -> None:
    of = scope(client=client, scheme=scheme)
    assert (await through(answering([]), of, plain=plain))[0] == status


def test_every_refusal_says_in_both_languages_what_to_do() -> None:
    kinds = [value for value in vars(problems).values() if isinstance(value, problems.Kind)]
    assert len(kinds) > 15
    for kind in kinds:
        assert kind.title.count(" / ") == 1 and kind.detail.count(" / ") == 1, kind.name
        assert 400 <= kind.status < 600


def test_a_forged_form_is_refused_in_the_words_of_any_other_refusal() -> None:
    assert problems.body_of(problems.CSRF, "/x") == problems.body_of(problems.FORBIDDEN, "/x")


def test_half_a_character_in_a_persons_words_does_not_break_the_answer() -> None:
    body = problems.body_of(problems.INVALID, "/x", detail="body.\ud800: Extra inputs")
    assert json.loads(body)["detail"] == "body.?: Extra inputs"


def test_who_tries_too_often_is_told_how_long_to_wait_and_never_too_short() -> None:
    for wait_s, told in ((0.0, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (59.5, "60")):
        answer = problems.too_often("/x", wait_s)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, told)


def test_who_is_not_signed_in_is_told_by_which_scheme_a_machine_signs_in() -> None:
    assert problems.respond(problems.UNAUTHENTICATED, "/x").headers["www-authenticate"] == "Bearer"
