"""The list of unwelcome callers (迷惑電話) of a centre, for machines: looked at, added to, taken from.

What becomes of listed callers is the centre file's; the list itself is the engine's.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.domain.blocked import DIGITS_LEAST, DIGITS_MOST, REASON_LONGEST, noted
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems
from callcore.web.acts import PROBLEMS, Acts, CentrePath, Done
from callcore.web.gate import person_of

PATH = "/api/v1/centres/{centre}/blocked"
EntryPath = Annotated[str, Path(max_length=40, pattern=r"^[0-9a-z-]+$", examples=["blocked-3f9c01aa52d7"])]


class BlockedIn(BaseModel):
    number: str = Field(pattern=rf"^\+?[0-9]{{{DIGITS_LEAST},{DIGITS_MOST}}}$", examples=["09012345678"])
    reason: str = Field(min_length=1, max_length=REASON_LONGEST, examples=["威圧的な電話を繰り返す"])
    until: AwareDatetime = Field(description="with its offset; at most 365 days ahead")


class BlockedOut(BaseModel):
    entry: str
    number: str | None = Field(
        description="but for its last three digits hidden; null: not for you, or erased"
    )
    reason: str
    since: m.Moment
    until: m.Moment
    by: str = Field(examples=["user:sato"])


class BlockedListOut(BaseModel):
    blocked: list[BlockedOut]


def add_blocked(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    """Routes about the list."""

    def barred(request: Request, centre: str) -> Response | None:
        """Why not; None: this person may, and the centre is there."""
        if not person_of(request).may(Right.BLOCK_CALLERS, CentreId(centre)):
            return acts.gate.denied(request, person_of(request), on=centre)
        if CentreId(centre) not in live.view().floor.centres:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return None

    @app.get(
        PATH,
        tags=["centres"],
        summary="迷惑電話の一覧 / Unwelcome callers",
        response_model=BlockedListOut,
        responses=PROBLEMS,
    )
    @needs(Right.BLOCK_CALLERS)
    async def look(request: Request, centre: CentrePath) -> Response:
        """The newest first. Numbers are shown, masked, to who may read personal values."""
        if (why := barred(request, centre)) is not None:
            return why
        told = await acts.look(request, "blocked_list", centre=centre)
        if isinstance(told, Response):
            return told
        entries = [
            BlockedOut(
                entry=row["entry"],
                number=row["number"],
                reason=row["reason"],
                since=m.moment(Instant(round(row["since"] * SECOND))),
                until=m.moment(Instant(round(row["until"] * SECOND))),
                by=row["by"],
            )
            for row in told
        ]
        return Response(BlockedListOut(blocked=entries).model_dump_json(), media_type="application/json")

    @app.post(
        PATH,
        tags=["centres"],
        summary="迷惑電話の一覧に載せる / List a caller",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.BLOCK_CALLERS)
    async def add(request: Request, centre: CentrePath, body: BlockedIn) -> Response:
        """A number that stands there already gets another end and reason."""
        if (why := barred(request, centre)) is not None:
            return why
        return await acts.ordered(
            request,
            "blocked_add",
            on=centre,
            of=CentreId(centre),
            why=noted(body.reason, body.until),
            made="entry",
            centre=centre,
            number=body.number,
            reason=body.reason,
            until=body.until.timestamp(),
        )

    @app.delete(
        PATH + "/{entry}",
        tags=["centres"],
        summary="迷惑電話の一覧から外す / Take a caller off the list",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.BLOCK_CALLERS)
    async def remove(request: Request, centre: CentrePath, entry: EntryPath) -> Response:
        """Before the entry's end; it then counts no more at once."""
        if (why := barred(request, centre)) is not None:
            return why
        return await acts.ordered(
            request, "blocked_remove", on=entry, of=CentreId(centre), centre=centre, entry=entry
        )
