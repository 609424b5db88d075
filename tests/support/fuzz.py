"""A web application asked by schemathesis with what its own OpenAPI document allows, and with what it does not.

Bounded in count and time; the same requests each time (derandomised), so that what is found once is found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
"""No 5xx, and no answer (status, type, header, body) that the document does not tell of."""

ANSWER_S = 30.0

T = TypeVar("T")


@contextlib.contextmanager
def beside(made: contextlib.AbstractAsyncContextManager[T], *, within_s: float = 20.0) -> Iterator[T]:
    """An asynchronous context in a thread and loop of its own, for clients that block."""
    entered: list[T] = []
    failed: list[BaseException] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    leave = asyncio.Event()

    async def live() -> None:
        async with made as value:
            entered.append(value)
            ready.set()
            await leave.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(live())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="beside", daemon=True)
    thread.start()
    assert ready.wait(within_s), "not there in time"
    try:
        if failed:
            raise failed[0]
        yield entered[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(leave.set)
        thread.join(within_s)
    if failed:
        raise failed[0]


def fuzz(
    document: Mapping[str, Any],
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    skip: Collection[str] = (),
    examples: int = 25,
    seconds: float = 15.0,
) -> dict[str, Counter[int]]:
    """Ask every operation of the document but those paths in `skip`; how often each answered what, by `METHOD path`.

    `headers` go with each request: a token, or a session's cookie. At most `examples` that fit the document and as
    many that do not per operation, within `seconds` in all. Raises AssertionError with the request at the first
    answer that is a 5xx or that the document does not tell of.
    """
    schema = schemathesis.openapi.from_dict(dict(document))
    operations = [
        found.ok()
        for found in schema.get_all_operations()
        if isinstance(found, Ok) and found.ok().path not in skip
    ]
    named = {o.path for o in operations} | set(skip)
    assert named == set(document["paths"]), "each path is asked, or skipped by its name"
    seen: dict[str, Counter[int]] = {}
    ends = time.monotonic() + seconds
    with requests.Session() as session:
        for left, operation in zip(range(len(operations), 0, -1), operations, strict=True):
            share = (ends - time.monotonic()) / left
            counts = seen.setdefault(f"{operation.method.upper()} {operation.path}", Counter())
            for mode, until in ((GenerationMode.POSITIVE, 0.5), (GenerationMode.NEGATIVE, 1.0)):
                if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation.definition.raw):
                    continue
                _ask(
                    operation.as_strategy(generation_mode=mode),
                    url,
                    session,
                    dict(headers or {}),
                    counts,
                    examples,
                    time.monotonic() + share * until,
                )
    return seen


class _Enough(Exception):
    """The time is over. Hypothesis would otherwise go on making what is not asked, which costs more than asking."""


def _can_be_wrong(operation: Mapping[str, Any]) -> bool:
    return bool(operation.get("parameters") or operation.get("requestBody"))


def _ask(
    cases: Any,
    url: str,
    session: requests.Session,
    headers: dict[str, str],
    counts: Counter[int],
    examples: int,
    until: float,
) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case: Case) -> None:
        if counts and time.monotonic() > until:
            raise _Enough
        response = case.call(
            base_url=url, session=session, headers=headers, timeout=ANSWER_S, allow_redirects=False
        )
        counts[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    with contextlib.suppress(_Enough):
        ask()
