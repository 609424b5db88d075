"""Routes about single calls: looked for by time, number, agent and outcome, one in detail, and its journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from callcore.access.rights import Person, Right, needs
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant
from callcore.domain.measures import Record
from callcore.domain.stages import Outcome, Party, ResultKind
from callcore.runtime.detail import (
    CallCursor,
    CallDetail,
    CallFound,
    CallPage,
    CallReader,
    CallSearch,
    NumbersClosed,
)
from callcore.runtime.ports import LiveSource
from callcore.web import models as m
from callcore.web import problems, show, way
from callcore.web.acts import CallPath
from callcore.web.gate import Gate, person_of
from callcore.web.recordings import NUMBERS_SHUT, NotAllowed, centres_among

PATH: Final = "/api/v1/calls"
PAGE_MOST: Final = 500


class CallSearchIn(BaseModel):
    """All that is given must hold. Times with their offset."""

    model_config = ConfigDict(extra="forbid")

    centre: str | None = Field(None, max_length=40, pattern=r"^[0-9a-z_-]+$")
    first: AwareDatetime | None = Field(None, description="arrived then or later")
    before: AwareDatetime | None = Field(None, description="arrived before then")
    agent: str | None = Field(
        None, max_length=20, pattern=r"^[0-9A-Za-z-]+$", description="anybody who talked"
    )
    outcome: Outcome | None = None
    open: bool | None = Field(None, description="true: not ended yet; false: ended")
    after: str | None = Field(
        None, max_length=180, pattern=r"^[0-9]{1,17}~[A-Za-z0-9._:-]+$", description="as a page gave it"
    )
    limit: int = Field(50, ge=1, le=PAGE_MOST)


class NumberCallSearchIn(CallSearchIn):
    """The same, and a number, which is better not in an address."""

    number: str | None = Field(None, pattern=r"^\+?[0-9]{3,20}$", examples=["09012345678"])


class CallLineOut(BaseModel):
    """One call of a list. Lengths in seconds."""

    call: str = Field(examples=["node1-1795136400.9"])
    centre: str
    queue: str
    dialled: str
    number: str | None = Field(description="masked; null: withheld, erased, or not to be seen")
    arrived_at: m.Moment
    answered_at: m.Moment | None
    ended_at: m.Moment | None
    outcome: Outcome | None = Field(description="null while the call is open")
    hung_up_by: Party | None
    agent: str | None
    waited_s: float | None = Field(description="null: no queue was entered")
    talk_s: float
    hold_s: float | None = Field(description="null: not known, for part of the call was not witnessed")
    result: str | None = Field(description="as the agent keyed it")
    result_kind: ResultKind | None
    reconstructed: bool
    imprecise: bool
    test: bool


class CallsOut(BaseModel):
    """The newest first."""

    calls: list[CallLineOut]
    after: str | None = Field(description="give this as `after` for the older ones; null: there are none")


class FactOut(BaseModel):
    """One fact of the journal. Its fields are those of its kind; what is personal is masked, or null."""

    seq: str = Field(description="run.number of its frame", examples=["3.1207"])
    at: m.Moment
    kind: str = Field(examples=["OfferMade"])
    fields: dict[str, Any]


class JournalOut(BaseModel):
    """From the arrival to an hour after the end, in the order of the journal."""

    call: str
    facts: list[FactOut]


@dataclass(frozen=True, slots=True)
class Calls:
    """What page and API share."""

    gate: Gate
    live: LiveSource
    reader: CallReader

    async def find(self, person: Person, asked: CallSearchIn) -> CallPage:
        """Of the centres that the person may see. Raises OSError, NotAllowed."""
        number = asked.number if isinstance(asked, NumberCallSearchIn) else None
        if number is not None and not person.may(Right.READ_PERSONAL, _centre(asked)):
            raise NotAllowed("number")
        right = Right.READ_PERSONAL if number is not None else Right.READ_CALLS
        wanted = CallSearch(
            centres=centres_among(person, asked.centre, right),
            first=m.instant_or_none(asked.first),
            before=m.instant_or_none(asked.before),
            number=number,
            agent=None if asked.agent is None else AgentId(asked.agent),
            outcomes=None if asked.outcome is None else (asked.outcome,),
            open=asked.open,
        )
        return await self.reader.find(wanted, _cursor(asked.after), asked.limit)

    async def one(self, person: Person, call: str) -> CallDetail | None:
        """None: no such call, or none of this person's. Raises OSError."""
        detail = await self.reader.call(CallId(call))
        if detail is None or not person.may(Right.READ_CALLS, detail.record.centre):
            return None
        return detail


def add_calls(app: FastAPI, calls: Calls) -> None:
    not_one: dict[int | str, dict[str, Any]] = {
        404: problems.documented("no such call, or none of yours"),
        422: problems.documented("not a call's id"),
        503: problems.documented("the database or the journal cannot be read; calls go on"),
    }
    not_found: dict[int | str, dict[str, Any]] = {
        422: problems.documented("a search that does not fit"),
        503: not_one[503],
    }

    async def found(request: Request, asked: CallSearchIn) -> Response:
        person = person_of(request)
        try:
            page = await calls.find(person, asked)
        except NotAllowed as what:
            return calls.gate.denied(request, person, on=str(what))
        except NumbersClosed as error:
            return problems.respond(problems.NUMBERS_SHUT, request.url.path, detail=str(error))
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        out = CallsOut(
            calls=[found_out(each, person, calls.live.now()) for each in page.calls],
            after=cursor_text(page.after),
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @app.get(
        PATH, tags=["calls"], summary="入電を探す / Find calls", response_model=CallsOut, responses=not_found
    )
    @needs(Right.READ_CALLS)
    async def find(request: Request, asked: Annotated[CallSearchIn, Query()]) -> Response:
        """Stored calls of the centres that one may see, by arrival, agent and outcome; open ones too."""
        return await found(request, asked)

    @app.post(
        f"{PATH}/search",
        tags=["calls"],
        summary="入電を番号でも探す / Find calls, by number too",
        response_model=CallsOut,
        responses={**not_found, 500: NUMBERS_SHUT},
    )
    @needs(Right.READ_CALLS)
    async def search(request: Request, asked: NumberCallSearchIn) -> Response:
        """As by GET; a number needs the right to personal values."""
        return await found(request, asked)

    @app.get(
        f"{PATH}/{{call}}",
        tags=["calls"],
        summary="入電の詳細 / One call in detail",
        response_model=m.CallOut,
        responses=not_one,
    )
    @needs(Right.READ_CALLS)
    async def one_call(request: Request, call: CallPath) -> Response:
        """One stored call: its outcome, its visits, its offers with reasons, its recordings."""
        person = person_of(request)
        try:
            detail = await calls.one(person, call)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        if detail is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        out = show.call_out(
            detail, calls.live.now(), personal=person.may(Right.READ_PERSONAL, detail.record.centre)
        )
        return Response(out.model_dump_json(), media_type="application/json")

    @app.get(
        f"{PATH}/{{call}}/journal",
        tags=["calls"],
        summary="入電のジャーナル / The journal of one call",
        response_model=JournalOut,
        responses=not_one,
    )
    @needs(Right.READ_CALLS)
    async def journal(request: Request, call: CallPath) -> Response:
        """Every fact that names the call, until an hour after its end."""
        person = person_of(request)
        try:
            detail = await calls.one(person, call)
            if detail is None:
                return problems.respond(problems.NOT_FOUND, request.url.path)
            told = await calls.reader.journal(detail.record)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        lines = way.lines(told, personal=person.may(Right.READ_PERSONAL, detail.record.centre))
        out = JournalOut(
            call=call,
            facts=[
                FactOut(
                    seq=line.seq,
                    at=m.moment(line.at),
                    kind=line.kind,
                    fields=line.plain,
                )
                for line in lines
            ],
        )
        return Response(out.model_dump_json(), media_type="application/json")


def found_out(found: CallFound, person: Person, at: Instant) -> CallLineOut:
    personal = person.may(Right.READ_PERSONAL, found.record.centre)
    return record_out(
        found.record, at, found.caller.masked() if found.caller is not None and personal else None
    )


def record_out(record: Record, at: Instant, number: str | None) -> CallLineOut:
    """`number`: as it may be seen."""
    waited = record.waited(at)
    return CallLineOut(
        call=record.call,
        centre=record.centre,
        queue=record.queue,
        dialled=record.number,
        number=number,
        arrived_at=m.moment(record.arrived_at),
        answered_at=m.moment_or_none(record.answered_at),
        ended_at=m.moment_or_none(record.ended_at),
        outcome=record.outcome,
        hung_up_by=record.hung_up_by,
        agent=record.agent,
        waited_s=None if waited is None else waited / SECOND,
        talk_s=record.talk / SECOND,
        hold_s=None if record.held is None else record.held / SECOND,
        result=record.result,
        result_kind=record.result_kind,
        reconstructed=record.reconstructed,
        imprecise=record.imprecise,
        test=record.test,
    )


def _centre(asked: CallSearchIn) -> CentreId | None:
    return None if asked.centre is None else CentreId(asked.centre)


def _cursor(text: str | None) -> CallCursor | None:
    if text is None:
        return None
    at, _, call = text.partition("~")
    return Instant(min(int(at), m.LATEST)), CallId(call)


def cursor_text(cursor: CallCursor | None) -> str | None:
    return None if cursor is None else f"{cursor[0]}~{cursor[1]}"
