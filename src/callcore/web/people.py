"""Signing in and out, one's own account, users, machine tokens and the audit trail, as pages.

Each change is written into the audit trail; when the trail cannot be written, nothing is changed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import pyotp
import segno
from fastapi import FastAPI, Path, Request
from starlette.responses import RedirectResponse, Response

from callcore.access.accounts import AccountError, SignedIn, SignInFailed
from callcore.access.people import Session, User
from callcore.access.rights import ALL_CENTRES, NOBODY, Right, Role, Scope, needs
from callcore.access.trail import Line, Result, TrailUnwritable, Wanted
from callcore.domain.ids import CentreId
from callcore.runtime.ports import LiveSource
from callcore.web import problems, texts
from callcore.web.gate import (
    Gate,
    address_of,
    cookie_name,
    form_of,
    own_path,
    person_of,
    refusal,
)
from callcore.web.paper import Paper, language_of

HASHES_AT_ONCE = 2
"""Passwords that are hashed at the same time: each takes a core and 64 MB for a tenth of a second."""
LINES_A_PAGE = 100
LINES_PRINTED = 2000
UserPath = Annotated[str, Path(max_length=32)]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A secret link or token, to be shown once."""

    what: str
    of: str
    value: str


class Desk:
    """The pages about people."""

    def __init__(self, app: FastAPI, live: LiveSource, gate: Gate, paper: Paper) -> None:
        self._live = live
        self._gate = gate
        self._accounts = gate.accounts
        self._paper = paper
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        for path, methods, endpoint in (
            ("/sign-in", ("GET", "HEAD"), self.sign_in_page),
            ("/sign-in", ("POST",), self.sign_in),
            ("/sign-in/code", ("GET", "HEAD"), self.code_page),
            ("/sign-in/code", ("POST",), self.code),
            ("/sign-out", ("POST",), self.sign_out),
            ("/welcome/{secret}", ("GET", "HEAD"), self.welcome_page),
            ("/welcome/{secret}", ("POST",), self.welcome),
            ("/account", ("GET", "HEAD"), self.account_page),
            ("/account/password", ("POST",), self.change_password),
            ("/account/second-factor", ("POST",), self.set_totp),
            ("/account/second-factor/remove", ("POST",), self.remove_totp),
            ("/account/sessions/{session}/end", ("POST",), self.end_own_session),
            ("/users", ("GET", "HEAD"), self.users_page),
            ("/users", ("POST",), self.add_user),
            ("/users/{user}", ("GET", "HEAD"), self.user_page),
            ("/users/{user}", ("POST",), self.change_user),
            ("/users/{user}/{act}", ("POST",), self.act_on_user),
            ("/tokens", ("POST",), self.add_token),
            ("/tokens/{token}/revoke", ("POST",), self.revoke_token),
            ("/audit", ("GET", "HEAD"), self.audit_page),
        ):
            app.add_api_route(
                path, endpoint, methods=list(methods), include_in_schema=False, response_class=Response
            )

    # -- what every change does -------------------------------------------------------------------------------

    def _told(
        self,
        request: Request,
        action: str,
        *,
        who: str | None = None,
        on: str | None = None,
        result: Result = Result.DONE,
        why: str | None = None,
    ) -> None:
        self._gate.trail.add(
            who or person_of(request).id,
            action,
            on=on,
            origin=address_of(request),
            result=result,
            why=why or None,
        )

    async def _hashed(self, work: Callable[[], Any]) -> Any:
        """Something that hashes a password, beside the loop."""
        async with self._hashing:
            return await asyncio.to_thread(work)

    async def _guarded(
        self,
        request: Request,
        change: Callable[[], Awaitable[Response]],
        again: Callable[[int, str], Response],
    ) -> Response:
        """Make a change. `again` shows the form once more, with a status and why."""
        try:
            self._gate.trail.check()
            return await change()
        except AccountError as error:
            return again(422, error.ja if language_of(request) == "ja" else error.en)
        except TrailUnwritable:
            return self._paper.problem(request, problems.TRAIL_UNWRITABLE)

    # -- signing in -------------------------------------------------------------------------------------------

    @needs(Right.ANYONE)
    async def sign_in_page(self, request: Request) -> Response:
        if person_of(request) is not NOBODY:
            return RedirectResponse("/", 303)
        wanted = own_path(request.query_params.get("next"))
        return self._paper.show(request, "sign_in.html", next=wanted, user="", error=None)

    @needs(Right.ANYONE)
    async def sign_in(self, request: Request) -> Response:
        form = await form_of(request)
        name, wanted = form.get("user", "").strip().lower(), own_path(form.get("next"))

        def again(status: int, why: str) -> Response:
            return self._paper.show(request, "sign_in.html", status, next=wanted, user=name[:32], error=why)

        async def change() -> Response:
            if (wait := self._gate.sign_in_wait(request)) is not None:
                response = self._paper.problem(request, problems.TOO_OFTEN)
                response.headers["retry-after"] = str(max(1, round(wait + 0.5)))
                return response
            try:
                done: SignedIn = await self._hashed(
                    lambda: self._accounts.sign_in(
                        name, form.get("password", ""), address_of(request), _browser(request)
                    )
                )
            except SignInFailed as error:
                self._told(
                    request,
                    "sign_in",
                    who=NOBODY.id,
                    on=error.user,
                    result=Result.FAILED,
                    why=error.why,
                )
                return again(401, error.ja if language_of(request) == "ja" else error.en)
            if done.session.waits_for_code:
                where = "/sign-in/code" + (f"?next={quote(wanted, safe='/')}" if wanted != "/" else "")
                return self._with_cookie(request, RedirectResponse(where, 303), done.cookie)
            return self._signed_in(request, done, wanted)

        return await self._guarded(request, change, again)

    def _signed_in(self, request: Request, done: SignedIn, wanted: str) -> Response:
        self._told(request, "sign_in", who=done.user.person.id, on=done.user.id)
        where = "/account" if self._accounts.wants_second_factor(done.user) else wanted
        return self._with_cookie(request, RedirectResponse(where, 303), done.cookie)

    @needs(Right.ANYONE)
    async def code_page(self, request: Request) -> Response:
        if request.state.session is None or not request.state.session.waits_for_code:
            return RedirectResponse("/sign-in", 303)
        wanted = own_path(request.query_params.get("next"))
        return self._paper.show(request, "code.html", next=wanted, error=None)

    @needs(Right.ANYONE)
    async def code(self, request: Request) -> Response:
        session: Session | None = request.state.session
        if session is None or not session.waits_for_code:
            return RedirectResponse("/sign-in", 303)
        form = await form_of(request)
        wanted = own_path(form.get("next"))

        def again(status: int, why: str) -> Response:
            return self._paper.show(request, "code.html", status, next=wanted, error=why)

        async def change() -> Response:
            try:
                done = self._accounts.second_factor(
                    session, form.get("code", ""), address_of(request), _browser(request)
                )
            except SignInFailed as error:
                self._told(
                    request, "sign_in", who=NOBODY.id, on=error.user, result=Result.FAILED, why=error.why
                )
                return again(401, error.ja if language_of(request) == "ja" else error.en)
            return self._signed_in(request, done, wanted)

        return await self._guarded(request, change, again)

    @needs(Right.OWN_ACCOUNT)
    async def sign_out(self, request: Request) -> Response:
        session: Session | None = request.state.session
        if session is not None:
            self._accounts.end_session(session.id)
            self._told(request, "sign_out", on=session.user)
        response = _done("/sign-in", "sign_out")
        response.delete_cookie(cookie_name(request), path="/", secure=request.url.scheme == "https")
        return response

    def _with_cookie(self, request: Request, response: Response, cookie: str) -> Response:
        response.set_cookie(
            cookie_name(request),
            cookie,
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    # -- one-time links ---------------------------------------------------------------------------------------

    @needs(Right.ANYONE)
    async def welcome_page(self, request: Request, secret: str) -> Response:
        return self._welcome(request, secret, 200, None)

    def _welcome(self, request: Request, secret: str, status: int, error: str | None) -> Response:
        link = self._accounts.link(secret)
        if link is None:
            return self._paper.show(request, "welcome.html", 404, link=None, error=error, name="", display="")
        return self._paper.show(
            request, "welcome.html", status, link=link, error=error, name=link.user or "", display=""
        )

    @needs(Right.ANYONE)
    async def welcome(self, request: Request, secret: str) -> Response:
        form = await form_of(request)
        password, name = form.get("password", ""), form.get("user", "").strip().lower()

        async def change() -> Response:
            if (wait := self._gate.sign_in_wait(request)) is not None:
                response = self._paper.problem(request, problems.TOO_OFTEN)
                response.headers["retry-after"] = str(max(1, round(wait + 0.5)))
                return response
            if password != form.get("again", ""):
                raise AccountError("二つのパスワードが違います。", "The two passwords are not the same.")
            user: User = await self._hashed(
                lambda: self._accounts.use_link(secret, password, name=name, display=form.get("display", ""))
            )
            self._told(request, "link_used", who=user.person.id, on=user.id)
            return _done("/sign-in", "link_used")

        return await self._guarded(
            request, change, lambda status, why: self._welcome(request, secret, status, why)
        )

    # -- one's own account ------------------------------------------------------------------------------------

    @needs(Right.OWN_ACCOUNT)
    async def account_page(self, request: Request) -> Response:
        return self._account(request, 200, None)

    def _account(
        self, request: Request, status: int, error: str | None, secret: str | None = None
    ) -> Response:
        user: User | None = request.state.user
        if user is None:  # a machine has no account
            return refusal(request)
        user = self._accounts.user(user.id) or user
        secret = secret or pyotp.random_base32()
        picture = segno.make(self._accounts.totp_uri(user.id, secret), error="m")
        return self._paper.show(
            request,
            "account.html",
            status,
            user=user,
            role=user.role.value,
            error=error,
            must=self._accounts.wants_second_factor(user),
            secret=secret,
            picture=picture.svg_inline(scale=5, border=4, light="#fff", svgclass="qr", omitsize=False),
            sessions=self._accounts.sessions_of(user.id),
            own=request.state.session.id,
            when=_when,
        )

    @needs(Right.OWN_ACCOUNT)
    async def change_password(self, request: Request) -> Response:
        form, user, session = await form_of(request), request.state.user, request.state.session
        if user is None:
            return refusal(request)

        async def change() -> Response:
            if form.get("password", "") != form.get("again", ""):
                raise AccountError("二つのパスワードが違います。", "The two passwords are not the same.")
            try:
                await self._hashed(
                    lambda: self._accounts.change_password(
                        user.id, form.get("old", ""), form.get("password", ""), keeping=session.id
                    )
                )
            except SignInFailed as error:
                self._told(request, "password_changed", on=user.id, result=Result.FAILED, why=error.why)
                raise
            self._told(request, "password_changed", on=user.id)
            return _done("/account", "password_changed")

        return await self._guarded(request, change, lambda s, why: self._account(request, s, why))

    @needs(Right.OWN_ACCOUNT)
    async def set_totp(self, request: Request) -> Response:
        form, user = await form_of(request), request.state.user
        secret = form.get("secret", "")
        if user is None or not re.fullmatch(r"[A-Z2-7]{32}", secret):
            return refusal(request)

        async def change() -> Response:
            self._accounts.totp_set(user.id, secret, form.get("code", ""))
            self._told(request, "second_factor_set", on=user.id)
            return _done("/account", "second_factor_set")

        return await self._guarded(request, change, lambda s, why: self._account(request, s, why, secret))

    @needs(Right.OWN_ACCOUNT)
    async def remove_totp(self, request: Request) -> Response:
        form, user = await form_of(request), request.state.user
        if user is None:
            return refusal(request)

        async def change() -> Response:
            try:
                await self._hashed(lambda: self._accounts.totp_remove(user.id, form.get("password", "")))
            except SignInFailed as error:
                self._told(request, "second_factor_removed", on=user.id, result=Result.FAILED, why=error.why)
                raise
            self._told(request, "second_factor_removed", on=user.id)
            return _done("/account", "second_factor_removed")

        return await self._guarded(request, change, lambda s, why: self._account(request, s, why))

    @needs(Right.OWN_ACCOUNT)
    async def end_own_session(self, request: Request, session: str) -> Response:
        user = request.state.user
        if user is None or all(one.id != session for one in self._accounts.sessions_of(user.id)):
            return refusal(request)

        async def change() -> Response:
            self._accounts.end_session(session)
            self._told(request, "session_ended", on=user.id)
            return _done("/account", "session_ended")

        return await self._guarded(request, change, lambda s, why: self._account(request, s, why))

    # -- users ------------------------------------------------------------------------------------------------

    def _known_centres(self, request: Request) -> list[tuple[str, str]]:
        """Each centre's id and its name in the reader's language."""
        japanese = language_of(request) == "ja"
        centres = self._live.view().floor.centres.values()
        return sorted((centre.id, centre.name if japanese else centre.name_en) for centre in centres)

    @needs(Right.MANAGE_USERS)
    async def users_page(self, request: Request) -> Response:
        return self._users(request, 200, None)

    def _users(
        self, request: Request, status: int, error: str | None, shown: Shown | None = None
    ) -> Response:
        return self._paper.show(
            request,
            "users.html",
            status,
            users=self._accounts.users(),
            tokens=self._accounts.tokens(),
            roles=[role.value for role in Role],
            scopes=[scope.value for scope in Scope],
            centres=self._known_centres(request),
            every=ALL_CENTRES,
            locked=lambda user: user.locked_until > self._accounts.now(),
            error=error,
            shown=shown,
            when=_when,
        )

    @needs(Right.MANAGE_USERS)
    async def add_user(self, request: Request) -> Response:
        form = await form_of(request)

        async def change() -> Response:
            name = form.get("user", "").strip().lower()
            secret = self._accounts.add(
                name,
                form.get("display", ""),
                _role(form.get("role", "")),
                self._centres(request, form.get("centres", "")),
                form.get("agent", "").strip() or None,
                person_of(request).id,
            )
            self._told(request, "user_added", on=name, why=_granted(form))
            return self._users(request, 201, None, Shown("link", name, _link(request, secret)))

        return await self._guarded(request, change, lambda s, why: self._users(request, s, why))

    def _centres(self, request: Request, given: str) -> list[str]:
        """The centres of a form; one that does not exist is refused."""
        asked = [part for part in given.split(",") if part]
        known = {name for name, _ in self._known_centres(request)} | {ALL_CENTRES}
        for centre in asked:
            if centre not in known:
                raise AccountError(
                    f"センター {centre[:40]} はありません。", f"There is no centre {centre[:40]}."
                )
        return asked

    @needs(Right.MANAGE_USERS)
    async def user_page(self, request: Request, user: UserPath) -> Response:
        return self._user(request, user, 200, None)

    def _user(
        self, request: Request, name: str, status: int, error: str | None, shown: Shown | None = None
    ) -> Response:
        user = self._accounts.user(name)
        if user is None:
            return self._paper.problem(request, problems.NOT_FOUND)
        return self._paper.show(
            request,
            "user.html",
            status,
            user=user,
            roles=[role.value for role in Role],
            centres=self._known_centres(request),
            every=ALL_CENTRES,
            locked=user.locked_until > self._accounts.now(),
            sessions=self._accounts.sessions_of(name),
            error=error,
            shown=shown,
            when=_when,
        )

    @needs(Right.MANAGE_USERS)
    async def change_user(self, request: Request, user: UserPath) -> Response:
        form = await form_of(request)

        async def change() -> Response:
            self._accounts.change(
                user,
                display=form.get("display", ""),
                role=_role(form.get("role", "")),
                centres=self._centres(request, form.get("centres", "")),
                agent=form.get("agent", "").strip() or None,
            )
            self._told(request, "user_changed", on=user, why=_granted(form))
            return _done(f"/users/{quote(user, safe='')}", "user_changed")

        return await self._guarded(request, change, lambda s, why: self._user(request, user, s, why))

    @needs(Right.MANAGE_USERS)
    async def act_on_user(self, request: Request, user: UserPath, act: str) -> Response:
        form = await form_of(request)
        if act not in ("disable", "enable", "reset", "unlock", "sign-out"):
            return self._paper.problem(request, problems.NOT_FOUND)

        async def change() -> Response:
            why = " ".join(form.get("why", "").split())
            if act in ("disable", "reset") and not why:
                raise AccountError("理由を書いてください。", "Write the reason.")
            shown = None
            accounts = self._accounts
            if act == "reset":
                shown = Shown("link", user, _link(request, accounts.reset(user, person_of(request).id)))
            elif act == "sign-out":
                accounts.end_sessions(user)
            else:
                {"disable": accounts.disable, "enable": accounts.enable, "unlock": accounts.unlock}[act](user)
            self._told(request, _ACTIONS[act], on=user, why=why)
            if shown is not None:
                return self._user(request, user, 200, None, shown)
            return _done(f"/users/{quote(user, safe='')}", _ACTIONS[act])

        return await self._guarded(request, change, lambda s, why: self._user(request, user, s, why))

    # -- machine tokens ---------------------------------------------------------------------------------------

    @needs(Right.MANAGE_USERS)
    async def add_token(self, request: Request) -> Response:
        form = await form_of(request)

        async def change() -> Response:
            name = form.get("token", "").strip().lower()
            scopes = [scope for scope in Scope if scope.value in form.get("scopes", "").split(",")]
            days = form.get("days", "").strip()
            if days and not (days.isascii() and days.isdigit() and 1 <= int(days) <= 3650):
                raise AccountError("日数は1〜3650です。", "Days: 1 to 3650.")
            shown = self._accounts.add_token(
                name,
                scopes,
                self._centres(request, form.get("centres", "")),
                person_of(request).id,
                int(days) if days else None,
            )
            self._told(request, "token_added", on=name, why=_granted(form))
            return self._users(request, 201, None, Shown("token", name, shown))

        return await self._guarded(request, change, lambda s, why: self._users(request, s, why))

    @needs(Right.MANAGE_USERS)
    async def revoke_token(self, request: Request, token: UserPath) -> Response:
        async def change() -> Response:
            self._accounts.revoke_token(token)
            self._told(request, "token_revoked", on=token)
            return _done("/users", "token_revoked")

        return await self._guarded(request, change, lambda s, why: self._users(request, s, why))

    # -- the audit trail --------------------------------------------------------------------------------------

    @needs(Right.READ_TRAIL)
    async def audit_page(self, request: Request) -> Response:
        asked, person = request.query_params, person_of(request)
        floor = self._live.view().floor
        own = person.among(Right.READ_TRAIL, sorted(floor.centres))
        # Days are those of the centres, and lines are shown in the same zone.
        zone = floor.centres[own[0]].time_zone if own else "UTC"
        wanted = self._in_words(request, wanted_of(asked, ZoneInfo(zone)))
        printing = asked.get("print") == "1"
        before = asked.get("before", "")
        lines = await asyncio.to_thread(
            visible_lines,
            self._gate,
            person,
            wanted,
            LINES_PRINTED if printing else LINES_A_PAGE,
            int(before) if before.isascii() and before.isdigit() and len(before) < 15 else None,
        )
        kept = {k: v for k, v in asked.items() if k in _SEARCH and v}
        older = None
        if not printing and len(lines) == LINES_A_PAGE:
            older = "/audit?" + urlencode({**kept, "before": lines[-1].n})
        return self._paper.show(
            request,
            "audit.html",
            lines=lines,
            asked={name: asked.get(name, "") for name in _SEARCH},
            results=[result.value for result in Result],
            centres=[(id_, name) for id_, name in self._known_centres(request) if id_ in own],
            zone=zone,
            older=older,
            most=LINES_PRINTED,
            printing=printing,
            to_print="/audit?" + urlencode({**kept, "print": "1"}),
        )

    def _in_words(self, request: Request, wanted: Wanted) -> Wanted:
        """The same search, which also finds what the page tells in other words than the trail."""
        if wanted.text is None:
            return wanted
        text = wanted.text.lower()
        raw = (
            key.partition(".")[2]
            for key, told in texts.texts(language_of(request)).items()
            if key.startswith(("action.", "who.", "why.")) and text in told.lower()
        )
        return replace(wanted, meant=frozenset(raw))


_SEARCH = ("text", "who", "centre", "result", "first", "last")
_ACTIONS = {
    "disable": "user_disabled",
    "enable": "user_enabled",
    "reset": "user_reset",
    "unlock": "user_unlocked",
    "sign-out": "user_signed_out",
}


def _done(where: str, what: str) -> Response:
    """To a page that says so."""
    return RedirectResponse(f"{where}?done={what}", 303)


def wanted_of(asked: Any, zone: tzinfo = UTC) -> Wanted:
    """A search from a query; what is not one of the words that can be looked for is left out. `zone`: of the days."""
    results = {result.value: result for result in Result}
    first, last = _day(asked.get("first"), zone), _day(asked.get("last"), zone)
    return Wanted(
        who=asked.get("who") or None,
        centre=asked.get("centre") or None,
        result=results.get(asked.get("result") or ""),
        text=asked.get("text") or None,
        first=None if first is None else first[0],
        last=None if last is None else last[1],
    )


def _day(text: str | None, zone: tzinfo) -> tuple[str, str] | None:
    """The first and the last second of a day, in UTC; None: it is not one."""
    if text is None or not _DATE.fullmatch(text):
        return None
    try:
        begins = datetime.fromisoformat(text)
        ends = begins + timedelta(days=1, seconds=-1)
        first, last = (moment.replace(tzinfo=zone).astimezone(UTC) for moment in (begins, ends))
    except (ValueError, OverflowError):
        return None
    return f"{first:%Y-%m-%dT%H:%M:%S}", f"{last:%Y-%m-%dT%H:%M:%S}"


def visible_lines(gate: Gate, person: Any, wanted: Wanted, most: int, before: int | None) -> list[Line]:
    """Lines that fit and that the person may see, the newest first."""
    return gate.trail.newest(
        wanted,
        most,
        before,
        lambda line: (
            person.may_everywhere(Right.READ_TRAIL)
            or (line.centre is not None and person.may(Right.READ_TRAIL, CentreId(line.centre)))
        ),
    )


def _role(given: str) -> Role:
    for role in Role:
        if role.value == given:
            return role
    raise AccountError("役割を選んでください。", "Choose a role.")


def _granted(form: dict[str, str]) -> str:
    """What was given, for the trail."""
    parts = (form.get("role", ""), form.get("scopes", ""), form.get("centres", ""), form.get("agent", ""))
    return " ".join(part for part in parts if part)


def _link(request: Request, secret: str) -> str:
    return f"{request.url.scheme}://{request.headers['host']}/welcome/{secret}"


def _browser(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _when(second: int) -> str:
    """For people, in UTC and said so; pages put it into the reader's own zone."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
