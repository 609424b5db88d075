"""What people and machines may have done: asked of the engine in the person's name, and written into the audit trail.

Before anything is done the trail must be writable; after it the line is on the disk before the answer goes out. The
engine judges the right once more, and the fact in the journal names the person.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from callcore.access.rights import Right, needs
from callcore.access.trail import Result, TrailUnwritable
from callcore.domain.ids import AgentId, CallId, CentreId
from callcore.domain.keyed import NOTE_MOST
from callcore.domain.sides import ANSWER_MOST
from callcore.runtime.commands import CommandDenied, CommandFailed, EngineAway
from callcore.runtime.ports import LiveSource, Orders
from callcore.web import models as m
from callcore.web import problems, show
from callcore.web.gate import Gate, address_of, person_of
from callcore.web.once import HEADER, PATTERN, Entry, Once, OtherRequest, StillOpen

_Route = TypeVar("_Route", bound=Callable[..., Any])
AgentPath = Annotated[str, Path(max_length=20, pattern=r"^[0-9A-Za-z-]+$", examples=["1001"])]
CallPath = Annotated[
    str, Path(max_length=150, pattern=r"^[A-Za-z0-9._:-]+$", examples=["node1-1795136400.9"])
]
CentrePath = Annotated[str, Path(max_length=40, pattern=r"^[0-9a-z-]+$", examples=["oita"])]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: problems.documented("it does not exist, or is none of yours"),
    409: problems.documented(
        "not possible as things are, and nothing was changed; or this Idempotency-Key is still being answered"
    ),
    422: problems.documented(
        "a name that cannot be, a body that does not fit, or an Idempotency-Key of another request"
    ),
    503: problems.documented("the engine does not answer, or the audit trail cannot be written"),
}


class WhyIn(BaseModel):
    why: str | None = Field(None, max_length=200, description="for the audit trail", examples=["早退"])


class PauseIn(BaseModel):
    reason: str = Field(
        min_length=1,
        max_length=20,
        examples=["研修"],
        description="shown on the board; one of the centre's own reasons has its limits",
    )


class SignInIn(BaseModel):
    phone: str = Field(min_length=1, max_length=40, examples=["oita-p1"], description="where the agent sits")


class ResultIn(BaseModel):
    key: int = Field(ge=0, le=9, description="the digit of the result in the centre's list", examples=[1])


class NoteIn(BaseModel):
    text: str = Field(min_length=1, max_length=NOTE_MOST, examples=["代理人からの電話"])


class TalkKeyIn(BaseModel):
    key: Literal["help", "abuse", "relay", "recording"] = Field(
        description="手上げ, 悪質・脅迫通報, 電話リレー, 録音一時停止: as *31 to *34 on the phone; again: undone"
    )


class TransferIn(BaseModel):
    department: str | None = Field(
        None,
        pattern=r"^[0-9]{2,4}$",
        description="its short number, to be rung unasked where the centre allows it; null: who is being consulted",
        examples=["11"],
    )


class DialIn(BaseModel):
    number: str = Field(
        pattern=r"^[0-9]{2,20}$", description="as it would be dialled", examples=["0975346111"]
    )


class AnswerIn(BaseModel):
    text: str = Field(min_length=1, max_length=ANSWER_MOST, examples=["交付の準備ができました"])


class Done(BaseModel):
    """It was decided and written into the journal."""

    done: bool = True


class AnswerOut(BaseModel):
    """What waits for a citizen's next call."""

    call: str
    at: m.Moment
    until: m.Moment
    number: str | None
    text: str | None = Field(description="null: its key has been destroyed")


class AnswersOut(BaseModel):
    answers: list[AnswerOut]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an order. `kind`: why not."""

    kind: problems.Kind | None = None
    detail: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)


class Acts:
    """Orders to the engine, with their right and their line in the trail."""

    def __init__(self, gate: Gate, orders: Orders, once: Once) -> None:
        self.gate = gate
        self._orders = orders
        self._once = once

    async def order(
        self,
        request: Request,
        command: str,
        *,
        on: str,
        of: CentreId | None,
        why: str | None = None,
        made: str | None = None,
        **fields: Any,
    ) -> Told:
        """Have it done. `on` and `of`: the thing and its centre, for the trail; `made`: the field of the answer that
        names the thing, where it is made only now; `fields` go with the command."""
        person, trail = person_of(request), self.gate.trail

        def told(result: Result, reason: str | None, name: str = on) -> None:
            trail.add(
                person,
                command,
                on=name,
                centre=of,
                origin=address_of(request),
                result=result,
                why=reason,
            )

        try:
            trail.check()
            try:
                answer = await self._orders.ask(command, by=person.id, **fields)
            except CommandDenied:
                told(Result.REFUSED, why)
                return Told(problems.FORBIDDEN)
            except EngineAway as error:
                told(Result.FAILED, str(error))
                return Told(problems.ENGINE_AWAY)
            except CommandFailed as error:
                told(Result.FAILED, str(error))
                return Told(problems.CONFLICT, str(error))
            if not answer["done"]:
                told(Result.FAILED, answer["why"])
                return Told(problems.CONFLICT, answer["why"])
            told(Result.DONE, why, on if made is None else answer[made])
        except TrailUnwritable:
            return Told(problems.TRAIL_UNWRITABLE)
        return Told(answer=answer)

    async def ordered(self, request: Request, command: str, **fields: Any) -> Response:
        """The answer to a machine. Takes what `order` takes. Under one `Idempotency-Key` it is done once."""
        key = request.headers.get(HEADER)
        if key is None:
            return _answer(request, await self.order(request, command, **fields))
        if re.fullmatch(PATTERN, key) is None:
            return problems.respond(problems.INVALID, request.url.path, detail=KEY_WORDS)
        asked = {"method": request.method, "path": request.url.path, "command": command, **fields}
        try:
            begun = self._once.begin(person_of(request).id, key, asked)
        except OtherRequest:
            return problems.respond(problems.KEY_REUSED, request.url.path)
        except StillOpen:
            return problems.respond(problems.KEY_OPEN, request.url.path)
        except OSError:
            return problems.respond(problems.KEY_UNWRITABLE, request.url.path)
        if isinstance(begun, Entry):
            kind = None if begun.kind is None else problems.OF_ORDERS[begun.kind]
            return _answer(request, Told(kind, begun.detail))
        told = await self.order(request, command, **fields)
        with contextlib.suppress(OSError):  # then it stays open: whether it was done is not known
            if told.kind is problems.TRAIL_UNWRITABLE:
                self._once.drop(begun)
            else:
                self._once.end(begun, None if told.kind is None else told.kind.name, told.detail)
        return _answer(request, told)

    async def look(self, request: Request, command: str, **fields: Any) -> Any:
        """What the engine answers to a question: nothing is done and nothing written. A Response says why not."""
        try:
            return await self._orders.ask(command, by=person_of(request).id, **fields)
        except CommandDenied:
            return problems.respond(problems.FORBIDDEN, request.url.path)
        except (EngineAway, CommandFailed):
            return problems.respond(problems.ENGINE_AWAY, request.url.path)


KEY_WORDS = "Idempotency-Key は空白のない ASCII 1〜200 文字です / a key is 1 to 200 visible ASCII characters"


def _answer(request: Request, told: Told) -> Response:
    if told.kind is not None:
        return problems.respond(told.kind, request.url.path, detail=told.detail)
    return Response(Done().model_dump_json(), media_type="application/json")


def add_agents(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    """Routes about single agents: what the keys of their desk phones do."""

    def known(agent: str) -> CentreId | None:
        found = live.view().floor.agents.get(AgentId(agent))
        return None if found is None else found.centre

    async def on_agent(
        request: Request, agent: str, command: str, why: str | None = None, **fields: Any
    ) -> Response:
        centre = known(agent)
        if not person_of(request).may(Right.ACT_AGENTS, centre or CentreId(""), AgentId(agent)):
            return acts.gate.denied(request, person_of(request), on=agent)
        if centre is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await acts.ordered(request, command, on=agent, of=centre, why=why, agent=agent, **fields)

    def act(path: str, summary: str) -> Callable[[_Route], _Route]:
        """The decorator of a route that does something to an agent."""
        return app.post(
            f"/api/v1/agents/{{agent}}/{path}",
            tags=["agents"],
            summary=summary,
            response_model=Done,
            responses=PROBLEMS,
        )

    @app.get(
        "/api/v1/agents/{agent}",
        tags=["agents"],
        summary="オペレーターの今 / One agent as things are",
        response_model=m.AgentOut,
        responses={404: PROBLEMS[404], 422: PROBLEMS[422]},
    )
    @needs(Right.READ_AGENTS)
    async def one_agent(request: Request, agent: AgentPath) -> Response:
        """State, phone and present caller of one agent."""
        person, centre = person_of(request), known(agent)
        if centre is None or not person.may(Right.READ_AGENTS, centre, AgentId(agent)):
            return problems.respond(problems.NOT_FOUND, request.url.path)
        view = live.view()
        out = show.agent_now(view, view.floor.centres[centre], AgentId(agent), live.now())
        return Response(out.model_dump_json(), media_type="application/json")

    @act("sign-in", "受付を開始させる / Sign an agent in")
    @needs(Right.ACT_AGENTS)
    async def sign_in(request: Request, agent: AgentPath, body: SignInIn) -> Response:
        """On that phone, as *11 does; the right of who asks stands for the PIN. A lock-out holds all the same."""
        return await on_agent(request, agent, "agent_sign_in", body.phone, phone=body.phone)

    @act("sign-out", "受付を終了させる / Sign an agent out")
    @needs(Right.ACT_AGENTS)
    async def sign_out(request: Request, agent: AgentPath, body: WhyIn | None = None) -> Response:
        """Not while a call rings or is talked."""
        why = None if body is None else body.why
        return await on_agent(request, agent, "agent_sign_out", why, reason=why)

    @act("unlock", "暗証番号の誤りによる停止を解く / End a lock-out")
    @needs(Right.ACT_AGENTS)
    async def unlock(request: Request, agent: AgentPath, body: WhyIn | None = None) -> Response:
        """The agent may sign in again after wrong PINs."""
        return await on_agent(request, agent, "agent_unlock", None if body is None else body.why)

    @act("pause", "離席にする / Pause an agent")
    @needs(Right.ACT_AGENTS)
    async def pause(request: Request, agent: AgentPath, body: PauseIn) -> Response:
        """A ringing offer is taken back; a talk goes on."""
        return await on_agent(request, agent, "agent_pause", body.reason, reason=body.reason)

    @act("ready", "受付再開 / End a pause and after-call work")
    @needs(Right.ACT_AGENTS)
    async def ready(request: Request, agent: AgentPath, body: WhyIn | None = None) -> Response:
        """The agent is ready again."""
        return await on_agent(request, agent, "agent_ready", None if body is None else body.why)

    @act("extend", "後処理を延ばす / Lengthen after-call work")
    @needs(Right.ACT_AGENTS)
    async def extend(request: Request, agent: AgentPath, body: WhyIn | None = None) -> Response:
        """By the queue's step, up to its limit, as *14 does."""
        return await on_agent(request, agent, "agent_extend", None if body is None else body.why)

    @act("result", "通話の結果を記録する / Key the result of a call")
    @needs(Right.ACT_AGENTS)
    async def result(request: Request, agent: AgentPath, body: ResultIn) -> Response:
        """Of the call in hand or wrapped up, as *20 and the digit do; a later one takes its place."""
        return await on_agent(request, agent, "agent_result", key=body.key)

    @act("note", "通話のメモを残す / Keep a note of a call")
    @needs(Right.ACT_AGENTS)
    async def note(request: Request, agent: AgentPath, body: NoteIn) -> Response:
        """Of the call in hand or wrapped up. Sealed in the journal; the audit trail does not get its words."""
        return await on_agent(request, agent, "agent_note", text=body.text)

    @act("talk-key", "通話中のキー / A key inside a talk")
    @needs(Right.ACT_AGENTS)
    async def talk_key(request: Request, agent: AgentPath, body: TalkKeyIn) -> Response:
        """The same as that key on the agent's phone. What Asterisk makes of a recording is seen on the board."""
        return await on_agent(request, agent, "agent_talk_key", body.key, key=body.key)

    @act("transfer", "取り次ぐ / Put the caller through")
    @needs(Right.ACT_AGENTS)
    async def transfer(request: Request, agent: AgentPath, body: TransferIn | None = None) -> Response:
        """To the department that the agent is speaking with beside the talk, as *35 does; or unasked to another."""
        department = None if body is None else body.department
        return await on_agent(request, agent, "agent_transfer", department, department=department)

    @act("dial", "発信させる / Have an agent's phone call out")
    @needs(Right.ACT_AGENTS)
    async def dial(request: Request, agent: AgentPath, body: DialIn) -> Response:
        """The phone rings; who picks it up calls the number, by the centre's list of destinations."""
        return await on_agent(request, agent, "agent_dial", number=body.number)


def add_answers(app: FastAPI, live: LiveSource, acts: Acts) -> None:
    """Routes about answers that wait for a citizen's next call."""

    def about(call: str) -> tuple[CentreId | None, AgentId | None]:
        """Whose call it is: of which centre, and of which agent if it is still open."""
        floor, name = live.view().floor, CallId(call)
        side, waits = floor.sides.get(name) or floor.unreached.get(name), floor.answers.get(name)
        if side is not None:
            return side.centre, side.agent
        open_call, caller = floor.calls.get(name), floor.caller_of(name)
        if caller is not None:
            return caller.centre, None if open_call is None else open_call.talking_with
        return (None if waits is None else waits.centre), None

    async def on_call(request: Request, call: str, command: str, **fields: Any) -> Response:
        centre, agent = about(call)
        if not person_of(request).may(Right.ACT_AGENTS, centre or CentreId(""), agent):
            return acts.gate.denied(request, person_of(request), on=call)
        if centre is None:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        return await acts.ordered(request, command, on=call, of=centre, call=call, **fields)

    @app.put(
        "/api/v1/calls/{call}/answer",
        tags=["calls"],
        summary="回答を準備する / Prepare an answer",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def prepare(request: Request, call: CallPath, body: AnswerIn) -> Response:
        """For an outgoing call that reached nobody, or for one that came in within the last day: the phone shows
        回答あり when that number calls again. It goes when the call is served to its end."""
        return await on_call(request, call, "answer", text=body.text)

    @app.delete(
        "/api/v1/calls/{call}/answer",
        tags=["calls"],
        summary="回答を取り下げる / Drop a prepared answer",
        response_model=Done,
        responses=PROBLEMS,
    )
    @needs(Right.ACT_AGENTS)
    async def drop(request: Request, call: CallPath) -> Response:
        """It was told, or is no longer needed."""
        return await on_call(request, call, "answer_drop")

    @app.get(
        "/api/v1/centres/{centre}/answers",
        tags=["calls"],
        summary="準備された回答 / The answers that wait",
        response_model=AnswersOut,
        responses={404: PROBLEMS[404], 422: PROBLEMS[422], 503: PROBLEMS[503]},
    )
    @needs(Right.READ_PERSONAL)
    async def answers(request: Request, centre: CentrePath) -> Response:
        """Those of one centre, the newest first, with their texts."""
        if not person_of(request).may(Right.READ_PERSONAL, CentreId(centre)):
            return acts.gate.denied(request, person_of(request), on=centre)
        if CentreId(centre) not in live.view().floor.centres:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        rows = await acts.look(request, "answers", centre=centre)
        if isinstance(rows, Response):
            return rows
        out = AnswersOut(
            answers=[
                AnswerOut(
                    call=row["call"],
                    at=m.moment(row["at"]),
                    until=m.moment(row["until"]),
                    number=row["number"],
                    text=row["text"],
                )
                for row in rows
            ]
        )
        return Response(out.model_dump_json(), media_type="application/json")
