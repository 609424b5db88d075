"""The pages: templates, the language of a page, and what every page knows of who looks at it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.responses import HTMLResponse

from callcore.access.rights import NOBODY, Right
from callcore.web import texts
from callcore.web.assets import Assets
from callcore.web.gate import person_of
from callcore.web.problems import Kind
from callcore.web.texts import Language

LANGUAGE_COOKIE: Final = "callcore-lang"
YEAR_S: Final = 31_536_000

DESK: Final = "/desk"
"""For who is an agent."""

NAV: Final = (
    ("/", "nav.board", Right.READ_LIVE),
    (DESK, "nav.desk", Right.READ_AGENTS),
    ("/emergency", "nav.emergency", Right.EMERGENCY),
    ("/blocked", "nav.blocked", Right.BLOCK_CALLERS),
    ("/announcements", "nav.announcements", Right.READ_LIVE),
    ("/figures", "nav.figures", Right.READ_CALLS),
    ("/calls", "nav.calls", Right.READ_CALLS),
    ("/recordings", "nav.recordings", Right.READ_CALLS),
    ("/erasures", "nav.erasures", Right.READ_CALLS),
    ("/users", "nav.users", Right.MANAGE_USERS),
    ("/audit", "nav.audit", Right.READ_TRAIL),
    ("/account", "nav.account", Right.OWN_ACCOUNT),
)
"""Where one can go: address, text, and the right that opens it."""


class Paper:
    def __init__(self) -> None:
        self.assets = Assets()
        folder = files("callcore.web").joinpath("pages")
        sources = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}
        self._environment = Environment(
            loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._texts = {language: texts.texts(language) for language in texts.LANGUAGES}

    def show(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page in the reader's language."""
        asked = request.query_params.get("lang")
        language = language_of(request)
        person, session = person_of(request), request.state.session
        path = request.url.path
        page = self._environment.get_template(template).render(
            lang=language,
            t=self._texts[language],
            languages=_in_each_language(request),
            given=request.state.form or {},
            done=request.query_params.get("done"),
            asset=self.assets.url,
            person=person,
            csrf="" if session is None else session.csrf,
            nav=[
                (where, name, where == path)
                for where, name, right in NAV
                if person.may(right) and (where != DESK or person.agent is not None)
            ],
            path=path,
            **values,
        )
        response = HTMLResponse(
            page, status, headers={"content-language": language, "vary": "accept-language, cookie"}
        )
        if asked == language:
            response.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=YEAR_S,
                httponly=True,
                samesite="lax",
                secure=request.url.scheme == "https",
            )
        return response

    def problem(self, request: Request, kind: Kind, why: str | None = None) -> HTMLResponse:
        """What went wrong, for people. `why`: if it is known better than in general, in both languages."""
        place = texts.LANGUAGES.index(language_of(request))
        return self.show(
            request,
            "message.html",
            kind.status,
            title=kind.title.split(" / ")[place],
            detail=(why or kind.detail).split(" / ")[place],
        )


def _in_each_language(request: Request) -> list[tuple[Language, str]]:
    """Where the same page stands in each language. None for what answers a form of who has signed in: it has no address
    of its own."""
    if request.method == "POST" and person_of(request) is not NOBODY:
        return []
    asked = [
        (name, value) for name, value in request.query_params.multi_items() if name not in ("lang", "done")
    ]
    return [(code, f"{request.url.path}?{urlencode([*asked, ('lang', code)])}") for code in texts.LANGUAGES]


def language_of(request: Request) -> Language:
    """What was asked for, now or before, else what the browser prefers."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return texts.choose(asked, request.headers.get("accept-language"))
