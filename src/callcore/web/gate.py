"""The gate before every route: who asks, how often, from a page of ours or not, and with what right.

Rules
- A route names its right (`@needs`). One without is refused as the application is made, so nothing is open by mistake.
- Who asks is told by a machine token (`Authorization: Bearer …`) or by the cookie of a session; a wrong token is
  nobody, whatever cookie comes along. Without either, only what is for anyone is open.
- What changes something and comes with a cookie must come from a page of ours: the browser's own word for it
  (`Sec-Fetch-Site`, or `Origin`), and the session's own token in the form or the header.
- Pages send who has not signed in to the sign-in page and back; the API answers 401. Who may not, gets a 403 that says
  nothing more, and a line in the audit trail.
- The gate is passed before the body or a parameter is looked at.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import Request
from fastapi.routing import APIRoute
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.responses import RedirectResponse, Response

from callcore.access.accounts import Accounts
from callcore.access.people import Session, User
from callcore.access.rights import NOBODY, Person, Reach, Right
from callcore.access.trail import Result, Trail, TrailUnwritable
from callcore.web import problems

COOKIE: Final = "callcore-session"
"""Over TLS with the prefix `__Host-`, which binds it to this name and to TLS (RFC 6265bis 4.1.3.2)."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
FIELDS_MOST = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one address or one person may ask, per minute."""

    requests: int = 1200
    """20 a second: a page with its files, and a board that comes back after a break, are far below."""
    sign_ins: int = 20
    """From one address, right or wrong: an office behind one address signs in of a morning, a guesser does not stop."""


class GuardedRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        right = getattr(self.endpoint, "right", None)
        if not isinstance(right, Right):
            raise TypeError(f"{self.path} names no right")
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            gate: Gate = request.app.state.gate
            refused = await gate.enter(request, right)
            if refused is None and asks_for_one(request) and not request.app.state.journal_read():
                refused = problems.not_read(request.url.path)
            return refused if refused is not None else await handler(request)

        return guarded


class Gate:
    def __init__(self, accounts: Accounts, trail: Trail, limits: Limits) -> None:
        self.accounts = accounts
        self.trail = trail
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(limits.requests)
        self._sign_ins = RateLimitItemPerMinute(limits.sign_ins)
        self.turned_away = 0
        """Requests beyond the limits."""

    async def enter(self, request: Request, right: Right) -> Response | None:
        """What to answer instead; None: come in. Who asks stands in the request's state from here on."""
        person, session, user = self._who(request)
        request.state.person, request.state.session, request.state.user = person, session, user
        request.state.form = None
        path = request.url.path
        whose = person.id if person is not NOBODY else address_of(request)
        if (wait := self._wait(self._requests, "requests", whose)) is not None:
            return problems.too_often(path, wait)
        if request.method not in SAFE and "authorization" not in request.headers:
            if not from_a_page_of_ours(request):
                return await self._turned_back(request, person, session)
            if session is not None and not await self._brings_token(request, session):
                return await self._turned_back(request, person, session)
        if person.may(right):
            if session is not None:
                self.accounts.seen(session)
            return None
        if person is NOBODY:
            if is_api(path):
                return problems.respond(problems.UNAUTHENTICATED, path)
            return RedirectResponse(sign_in_path(request), 303)
        return self.denied(request, person)

    def sign_in_wait(self, request: Request) -> float | None:
        """Seconds until this address may try to sign in again; None: now, and this is one try."""
        return self._wait(self._sign_ins, "sign-in", address_of(request))

    def _wait(self, item: RateLimitItem, *key: str) -> float | None:
        if self._limiter.hit(item, *key):
            return None
        self.turned_away += 1
        return max(0.0, self._limiter.get_window_stats(item, *key).reset_time - time.time())

    def denied(self, request: Request, person: Person, on: str | None = None) -> Response:
        """The 403 that says nothing more, and its line in the trail."""
        path = request.url.path
        try:
            self.trail.add(
                person,
                f"{request.method} {path}"[:200],
                on=on,
                origin=address_of(request),
                result=Result.REFUSED,
            )
        except TrailUnwritable:
            return problems.respond(problems.TRAIL_UNWRITABLE, path)
        return refusal(request)

    async def _turned_back(self, request: Request, person: Person, session: Session | None) -> Response:
        if person is NOBODY and session is None:
            return refusal(request)
        return self.denied(request, person)

    async def _brings_token(self, request: Request, session: Session) -> bool:
        shown = request.headers.get(CSRF_HEADER) or (await form_of(request)).get(CSRF_FIELD, "")
        return equal(shown, session.csrf)

    def _who(self, request: Request) -> tuple[Person, Session | None, User | None]:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            kind, _, shown = authorization.partition(" ")
            token = self.accounts.bearer(shown.strip()) if kind.lower() == "bearer" else None
            return (NOBODY if token is None else token.person), None, None
        found = self.accounts.session(request.cookies.get(cookie_name(request), ""))
        if found is None:
            return NOBODY, None, None
        session, user = found
        if session.waits_for_code:
            return NOBODY, session, user
        person = user.person
        if self.accounts.wants_second_factor(user):
            person = Person(
                person.id,
                person.name,
                {Right.OWN_ACCOUNT: Reach.OWN},
                person.centres,
                person.agent,
                person.role,
            )
        return person, session, user

    def still(self, request: Request, right: Right) -> bool:
        """Whether who came in may stay: asked again and again while a stream is open."""
        person, session, _ = self._who(request)
        if session is not None and person is not NOBODY:
            self.accounts.seen(session)
        return person.id == request.state.person.id and person.may(right)


def person_of(request: Request) -> Person:
    """Who asks."""
    person: Person = request.state.person
    return person


def address_of(request: Request) -> str:
    return request.client.host if request.client is not None else "-"


def cookie_name(request: Request) -> str:
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def is_api(path: str) -> bool:
    """Whether a machine asks: it gets problem documents, never a page."""
    return path.startswith("/api/") or path in ("/metrics", "/healthz", "/readyz")


def asks_for_one(request: Request) -> bool:
    """Whether a machine names a centre, a call or the like: of such nothing is known before the journal is read."""
    return bool(request.path_params) and is_api(request.url.path)


def refusal(request: Request) -> Response:
    path = request.url.path
    if is_api(path) or "text/html" not in request.headers.get("accept", ""):
        return problems.respond(problems.FORBIDDEN, path)
    page: Response = request.app.state.page_of_problem(request, problems.FORBIDDEN)
    return page


def sign_in_path(request: Request) -> str:
    """Where to sign in, and come back to what was asked for."""
    if request.method not in SAFE or request.url.path == "/":
        return "/sign-in"
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(wanted, safe='/')}"


def own_path(wanted: str | None) -> str:
    """Where to go after signing in: a path of ours, never somewhere else."""
    if (
        not wanted
        or not wanted.startswith("/")
        or wanted.startswith(("//", "/\\"))
        or not wanted.isprintable()
    ):
        return "/"
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else "/"


def from_a_page_of_ours(request: Request) -> bool:
    """By what the browser says of where a request comes from; it lets no page of another site change that."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True  # not a browser of this decade: the token of the session decides
    return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each once (the last one counts); {} when there is none. Lists are joined by commas."""
    if request.state.form is None:
        fields: dict[str, str] = {}
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            text = (await request.body()).decode("utf-8", "replace")
            try:
                pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MOST)
            except ValueError:
                pairs = []
            for name, value in pairs:
                fields[name] = f"{fields[name]},{value}" if name in fields else value
        request.state.form = fields
    form: dict[str, str] = request.state.form
    return form


def equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
