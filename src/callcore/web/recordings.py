"""Routes about recordings: found by whatever is known of them, shown, and heard by who may and says what for.

Rules
- What is known of a recording is for who may read single calls of its centre; the number masked, and only for who may
  read personal values: they alone may look for one.
- Sound is given for a grant: made for one person, one recording and a stated purpose, written into the audit trail
  before it is given out, and over after a while. Every request for a piece of the sound belongs to that one line.
- With each piece it is asked again whether the person may hear recordings of that centre.
- Grants are kept in memory: after a restart the purpose is stated again.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Annotated, Any, Final

import structlog
from fastapi import FastAPI, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from callcore.access.rights import ALL_CENTRES, Person, Right, needs
from callcore.access.trail import Line, Result, Trail, TrailUnwritable, Wanted
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, AgentId, CentreId, Instant
from callcore.domain.recording import (
    Direction,
    KeptBy,
    PausedBy,
    Place,
    RecordingKind,
    RecordingMark,
    Through,
)
from callcore.domain.retention import KeepOrder
from callcore.domain.stages import PauseEnd, ResultKind
from callcore.runtime.detail import NumbersClosed
from callcore.runtime.recordings import (
    Audio,
    ExportAsked,
    Recording,
    RecordingCursor,
    RecordingPage,
    RecordingReader,
    RecordingSearch,
    Unassigned,
    Unopened,
)
from callcore.web import models as m
from callcore.web import problems
from callcore.web.acts import PROBLEMS
from callcore.web.gate import Gate, address_of, person_of

log = structlog.get_logger(__name__)

PATH: Final = "/api/v1/recordings"
PAGE_MOST: Final = 200
LISTEN_S: Final = 900
"""A grant to listen lasts for so long and as long as the sound itself."""
DOWNLOAD_S: Final = 300
GRANTS_MOST: Final = 10_000
PURPOSE_MOST: Final = 200
FILE_GONE: Final = (
    "音声のファイルがありません。いま消去されたのでなければ、管理者に伝えてください"
    "(callcore recordings verify が名指しします)。 / "
    "its file is not there. Unless it was erased just now, tell your administrator: "
    "callcore recordings verify names what is missing"
)
"""What is said of a recording that should be there."""
PIECE: Final = 1 << 18
"""Bytes that are read at once."""
ACCESSES_MOST: Final = 2000
"""Lines of one recording that are shown, the newest."""
LISTENED, DOWNLOADED = "recording_listen", "recording_download"
ACTIONS: Final = {Right.LISTEN: LISTENED, Right.DOWNLOAD: DOWNLOADED}

_WORD, _NAME, _TEXT = r"^[0-9a-z_-]+$", r"^[A-Za-z0-9._:-]+$", r"^[^\x00-\x1f]+$"
RecordingPath = Annotated[str, Path(max_length=160, pattern=_NAME, examples=["node1-1795136400.9"])]


class SearchIn(BaseModel):
    """All that is given must hold. Times with their offset."""

    model_config = ConfigDict(extra="forbid")

    centre: str | None = Field(None, max_length=40, pattern=_WORD)
    first: AwareDatetime | None = Field(None, description="began then or later")
    before: AwareDatetime | None = Field(None, description="began before then")
    ended_from: AwareDatetime | None = Field(
        None, description="ended then or later; began within the day before"
    )
    ended_before: AwareDatetime | None = Field(None, description="ended before then")
    call: str | None = Field(None, max_length=150, pattern=_NAME)
    recording: str | None = Field(None, max_length=160, pattern=_NAME, description="its name")
    kind: RecordingKind | None = None
    queue: str | None = Field(None, max_length=60, pattern=_WORD)
    agent: str | None = Field(
        None, max_length=20, pattern=r"^[0-9A-Za-z-]+$", description="anybody who spoke"
    )
    language: str | None = Field(None, max_length=20, pattern=r"^[A-Za-z-]+$", description="chosen in a menu")
    direction: Direction | None = None
    result: str | None = Field(None, max_length=60, pattern=_TEXT, description="as the agent keyed it")
    result_kind: ResultKind | None = None
    department: str | None = Field(None, max_length=20, pattern=r"^[0-9A-Za-z_-]+$")
    through: Through | None = None
    mark: RecordingMark | None = None
    problem: str | None = Field(
        None, max_length=20, pattern=r"^[a-z_-]+$", description="among all that is wrong with it"
    )
    segments_least: int | None = Field(
        None, ge=1, le=1000, description="of a call with so many recordings: talk, consults, message"
    )
    paused: bool | None = None
    paused_by: PausedBy | None = Field(None, description="a pause was asked for so; page: or by API")
    pause_ended: PauseEnd | None = Field(None, description="a pause ended for this")
    pauses_least: int | None = Field(None, ge=1, le=1000)
    format: str | None = Field(None, max_length=10, pattern=r"^[0-9a-z]+$")
    channels: int | None = Field(None, ge=1, le=2)
    seconds_least: float | None = Field(None, ge=0, le=1e9, allow_inf_nan=False)
    seconds_most: float | None = Field(None, ge=0, le=1e9, allow_inf_nan=False)
    size_least: int | None = Field(None, ge=0, le=1 << 53)
    size_most: int | None = Field(None, ge=0, le=1 << 53)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    place: Place | None = None
    key_period: str | None = Field(None, pattern=r"^[0-9]{4}-[0-9]{2}$")
    kept_before: AwareDatetime | None = Field(
        None, description="to be kept, by rule or order, until an instant before then"
    )
    kept_from: AwareDatetime | None = Field(
        None, description="to be kept, by rule or order, until then or later; none without an end"
    )
    legal_hold: bool | None = None
    listener: str | None = Field(
        None,
        max_length=100,
        pattern=_TEXT,
        description="who listened or downloaded; with the right to the trail",
    )
    after: str | None = Field(
        None, max_length=180, pattern=r"^[0-9]{1,17}~[A-Za-z0-9._:-]+$", description="as a page gave it"
    )
    limit: int = Field(50, ge=1, le=PAGE_MOST)


class NumberSearchIn(SearchIn):
    """The same, and a number, which is better not in an address."""

    number: str | None = Field(None, pattern=r"^\+?[0-9]{3,20}$", examples=["09012345678"])


class PauseOut(BaseModel):
    first: m.Moment
    before: m.Moment | None
    reason: str = Field(examples=["asked"])
    agent: AgentId | None = Field(description="whose talk it was", examples=["1001"])
    by: str | None = Field(description="who did it in the agent's stead; null: the agent", examples=[None])
    gap: bool = Field(description="that time is not in the recording; else it is silence")
    ended: PauseEnd | None = Field(description="why it went on; null: the call was over, or not known")


class RecordingOut(BaseModel):
    """What is known of one file of sound."""

    recording: str = Field(description="its name", examples=["node1-1795136400.9"])
    kind: RecordingKind
    call: str = Field(description="whose talk it is; of a consult, the call that it was about")
    side: str | None = Field(description="the call that is no arrival, if it is one's")
    segments: int = Field(description="recordings of `call`, this one among them")
    centre: str
    queue: str | None
    language: str | None = Field(description="chosen in a menu; null: none was")
    direction: Direction
    number: str | None = Field(
        description="but for its first digits; null: withheld, erased, or not to be seen"
    )
    agents: list[str]
    began_at: m.Moment
    ended_at: m.Moment | None
    format: str
    channels: int = Field(
        description="1: everybody together; 2: left the citizen (of a consult who was asked), right the agent's side"
    )
    size: int = Field(description="bytes")
    seconds: float
    sha256: str | None
    problem: str | None = Field(description="the gravest of `findings`; null: nothing is wrong with it")
    findings: list[str] = Field(
        description="all that is wrong with it, the gravest first", examples=[["short", "clipped"]]
    )
    result: str | None
    result_kind: ResultKind | None
    department: str | None
    through: Through | None = Field(description="how the caller stayed with that department; null: did not")
    marks: list[RecordingMark]
    pauses: list[PauseOut]
    place: Place
    key_period: str | None
    kept_by: KeptBy | None = Field(description="null: it is not there (any more)")
    keep_until: m.Moment | None = Field(
        description="by the centre's rule and the orders as they are now; null: until told, held, or not there"
    )
    legal_hold: bool
    erased_at: m.Moment | None
    erased_why: str | None


class PageOut(BaseModel):
    """The newest first."""

    recordings: list[RecordingOut]
    after: str | None = Field(description="give this as `after` for the older ones; null: there are none")


class AccessOut(BaseModel):
    """One grant of its sound."""

    at: str = Field(description="UTC", examples=["2026-11-28T01:02:03.456Z"])
    who: str = Field(examples=["user:sato"])
    what: str = Field(examples=[LISTENED])
    origin: str
    purpose: str | None


class OrderOut(BaseModel):
    """An order by which it is kept longer."""

    order: str = Field(examples=["keep-20261120"])
    until: m.Moment | None = Field(description="null: a legal hold, until it is taken back")
    reason: str
    by: str = Field(examples=["user:sato"])
    at: m.Moment


class WholeOut(BaseModel):
    recording: RecordingOut
    others: list[RecordingOut] = Field(description="of the same call, in order")
    orders: list[OrderOut] = Field(description="that hold now, the oldest first")
    accesses: list[AccessOut] | None = Field(description="the newest first; null: not for you")


class PurposeIn(BaseModel):
    purpose: str = Field(
        min_length=1,
        max_length=PURPOSE_MOST,
        pattern=r"^[^\x00-\x1f]*[^\s\x00-\x1f][^\x00-\x1f]*$",
        examples=["苦情の確認"],
    )


class GrantOut(BaseModel):
    """`url`: of the sound, for who asked, until then. It takes ranges of bytes."""

    url: str
    expires_at: m.Moment


@dataclass(frozen=True, slots=True)
class Grant:
    """`over`: seconds since the epoch. `right`: the one that it was made by, over its `centre`. `asked`: of an archive
    of many, whose `recording` is empty."""

    who: str
    recording: str
    centre: CentreId
    right: Right
    over: float
    asked: ExportAsked | None = None


class Grants:
    """Those that are not over, by their secret. A clock that is set meanwhile makes none last longer or shorter."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[Grant, float]] = {}
        """Each with when it is over (monotonic)."""

    def give(self, grant: Grant) -> str:
        now = monotonic()
        if len(self._given) >= GRANTS_MOST:
            self._given = {key: each for key, each in self._given.items() if each[1] > now}
        secret = secrets.token_urlsafe(32)
        self._given[secret] = grant, now + grant.over - time.time()
        return secret

    def of(self, secret: str, who: str, recording: str) -> Grant | None:
        """The grant, if it is this person's, for this recording, and not over."""
        grant, over = self._given.get(secret, (None, 0.0))
        if grant is None or (grant.who, grant.recording) != (who, recording) or over <= monotonic():
            return None
        return grant


@dataclass(frozen=True, slots=True)
class Given:
    """What became of a wish to hear: the address of the sound, or `kind`: why not, with `detail` if it is known
    better."""

    url: str = ""
    over: float = 0.0
    kind: problems.Kind | None = None
    detail: str | None = None


class NotAllowed(Exception):
    """Something that this person may not look for; the text names it."""


class Archive:
    """What page and API share."""

    def __init__(self, gate: Gate, recordings: RecordingReader) -> None:
        self.gate = gate
        self.reader = recordings
        self._grants = Grants()

    async def find(self, person: Person, asked: SearchIn) -> RecordingPage:
        """Of the centres that the person may see. Raises OSError, NotAllowed."""
        number = asked.number if isinstance(asked, NumberSearchIn) else None
        if number is not None and not person.may(Right.READ_PERSONAL, _centre(asked)):
            raise NotAllowed("number")
        names = None
        if asked.listener is not None:
            if not person.may(Right.READ_TRAIL, _centre(asked)):
                raise NotAllowed("listener")
            names = await asyncio.to_thread(
                heard_by, self.gate.trail, asked.listener, lambda line: _may_see(person, line)
            )
        right = Right.READ_PERSONAL if number is not None else Right.READ_CALLS
        wanted = RecordingSearch(
            centres=centres_among(person, asked.centre, right),
            first=m.instant_or_none(asked.first),
            before=m.instant_or_none(asked.before),
            ended_from=m.instant_or_none(asked.ended_from),
            ended_before=m.instant_or_none(asked.ended_before),
            name=asked.recording,
            names=names,
            number=number,
            kept_before=m.instant_or_none(asked.kept_before),
            kept_from=m.instant_or_none(asked.kept_from),
            **{name: getattr(asked, name) for name in _AS_THEY_ARE},
        )
        return await self.reader.find(wanted, _cursor(asked.after), asked.limit)

    async def unassigned(self, person: Person) -> tuple[Unassigned, ...] | None:
        """Of no known centre, for who sees all of them; None: they cannot be read now."""
        if centres_among(person, None, Right.READ_CALLS) is not None:
            return ()
        try:
            return await self.reader.unassigned()
        except OSError:
            return None

    async def one(self, person: Person, name: str) -> tuple[Recording, ...]:
        """It and the others of its call, of centres that the person may see; (): none. Raises OSError."""
        found = await self.reader.one(name)
        return tuple(each for each in found if person.may(Right.READ_CALLS, each.centre))

    async def accesses(self, person: Person, recording: Recording) -> list[Line] | None:
        """The newest first; None: not for this person."""
        if not person.may(Right.READ_TRAIL, recording.centre):
            return None
        return await asyncio.to_thread(
            self.gate.trail.newest,
            Wanted(on=recording.name, result=Result.DONE),
            ACCESSES_MOST,
            None,
            lambda line: line.action in ACTIONS.values(),
        )

    async def give(self, request: Request, recording: Recording, right: Right, purpose: str) -> Given:
        """A grant for who asks, who has the right. Its line is on the disk before."""
        if recording.place is Place.GONE:
            return Given(kind=problems.NO_SOUND)
        person = person_of(request)
        try:
            self.gate.trail.add(
                person,
                ACTIONS[right],
                on=recording.name,
                centre=recording.centre,
                origin=address_of(request),
                result=Result.DONE,
                why=purpose.strip(),
            )
        except TrailUnwritable:
            return Given(kind=problems.TRAIL_UNWRITABLE)
        lasts = DOWNLOAD_S if right is Right.DOWNLOAD else LISTEN_S + recording.seconds
        grant = Grant(person.id, recording.name, recording.centre, right, time.time() + lasts)
        return Given(f"{PATH}/{recording.name}/audio?grant={self._grants.give(grant)}", grant.over)

    async def shut(self, name: str, *, kept: bool) -> str | None:
        """Why nobody can play it (`kept`: download it) until somebody sees to it, of which the log tells; None: the
        begin of its sound can be read."""
        try:
            sound = await self.reader.audio(name, kept=kept)
            await begin_of(sound, 0, sound.size)
        except (OSError, Unopened) as error:
            not_read(name, error)
            if isinstance(error, Unopened):
                return str(error)
            return FILE_GONE if isinstance(error, FileNotFoundError) else problems.NO_STORE.detail
        sound.close()
        return None

    def grant(self, person: Person, secret: str, name: str) -> Grant | None:
        return self._grants.of(secret, person.id, name)


_SOUND: dict[str, Any] = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("audio/wav", "audio/ogg")
}
_AS_THEY_ARE = (
    *(
        "call",
        "kind",
        "queue",
        "agent",
        "language",
        "direction",
        "result",
        "result_kind",
        "department",
        "through",
    ),
    *(
        "mark",
        "problem",
        "segments_least",
        "paused",
        "paused_by",
        "pause_ended",
        "pauses_least",
        "format",
        "channels",
        "seconds_least",
        "seconds_most",
        "size_least",
        "size_most",
        "sha256",
    ),
    *("place", "key_period", "legal_hold"),
)


def heard_by(trail: Trail, who: str, visible: Callable[[Line], bool]) -> set[str]:
    """The names of all recordings that somebody listened to or downloaded, by the lines that may be seen."""
    lines = trail.lines(
        Wanted(who=who, result=Result.DONE),
        visible=lambda line: line.action in ACTIONS.values() and visible(line),
    )
    return {line.on for line in lines if line.on is not None}


def _centre(asked: SearchIn) -> CentreId | None:
    return None if asked.centre is None else CentreId(asked.centre)


async def centres_of(reader: RecordingReader, person: Person, right: Right) -> list[Centre]:
    """Those over which the right reaches, those that left among them."""
    known = await reader.centres()
    return sorted((c for c in known if person.may(right, c.id)), key=lambda c: c.id)


def centres_among(person: Person, asked: str | None, right: Right) -> tuple[CentreId, ...] | None:
    """Those to look in; None: all. `asked`: the one alone."""
    if asked is not None:
        return person.among(right, [CentreId(asked)])
    if person.may_everywhere(right) or person.sees(CentreId(ALL_CENTRES)):
        return None
    return tuple(CentreId(centre) for centre in sorted(person.centres))


def right_to_mark(mark: RecordingMark, on: bool) -> Right:
    """Without 悪質・脅迫 a recording is kept no longer than others: who takes it away must be allowed to erase."""
    return Right.ERASE if mark is RecordingMark.ABUSE and not on else Right.SUPERVISE


def mark_choices(person: Person, recording: Recording) -> list[tuple[str, bool]]:
    """What this person may do to its marks: (mark, whether to set it)."""
    wanted = [(mark, mark not in recording.marks) for mark in RecordingMark]
    return [(mark.value, on) for mark, on in wanted if person.may(right_to_mark(mark, on), recording.centre)]


def _may_see(person: Person, line: Line) -> bool:
    return line.centre is not None and person.may(Right.READ_TRAIL, CentreId(line.centre))


def _cursor(text: str | None) -> RecordingCursor | None:
    if text is None:
        return None
    at, _, name = text.partition("~")
    return Instant(int(at)), name


def cursor_text(after: RecordingCursor | None) -> str | None:
    return None if after is None else f"{after[0]}~{after[1]}"


def recording_out(of: Recording, person: Person) -> RecordingOut:
    same = {name: getattr(of, name) for name in RecordingOut.model_fields if hasattr(of, name)}
    personal = person.may(Right.READ_PERSONAL, of.centre)
    return RecordingOut.model_validate(
        same
        | {
            "recording": of.name,
            "number": of.other.masked() if of.other is not None and personal else None,
            "agents": list(of.agents),
            "findings": list(of.findings),
            "began_at": m.moment(of.began_at),
            "ended_at": m.moment_or_none(of.ended_at),
            "keep_until": m.moment_or_none(of.keep_until),
            "erased_at": m.moment_or_none(of.erased_at),
            "pauses": [
                {
                    "first": m.moment(p.first),
                    "before": m.moment_or_none(p.before),
                    "reason": p.reason,
                    "agent": p.agent,
                    "by": p.by,
                    "gap": p.gap,
                    "ended": p.ended,
                }
                for p in of.pauses
            ],
        }
    )


def order_out(of: KeepOrder) -> OrderOut:
    return OrderOut(
        order=of.id, until=m.moment_or_none(of.until), reason=of.reason, by=of.by, at=m.moment(of.at)
    )


def typed_number(text: str) -> str:
    """A number as people type it: full width, and with whatever stands between its digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", text) if not c.isspace() and c not in _BETWEEN)


def filled(form: Mapping[str, str], fields: Collection[str]) -> dict[str, str]:
    """What was written into them."""
    return {name: text for name in fields if (text := form.get(name, "").strip())}


def has_number(asked: Mapping[str, str]) -> bool:
    """Whether somebody's number is among what was written, be it in a field of something else."""
    return "number" in asked or any(_NUMBER.fullmatch(typed_number(text)) for text in asked.values())


_BETWEEN: Final = "-‐‑‒–—―−ー()"
_NUMBER: Final = re.compile(r"\+?[0-9]{9,}")
"""Ids of calls are no mere digits, and days are shorter."""


def access_out(line: Line) -> AccessOut:
    return AccessOut(at=line.at, who=line.who, what=line.action, origin=line.origin, purpose=line.why)


NUMBERS_SHUT: Final = problems.documented("a key cannot be read by which numbers are found")


def add_recordings(app: FastAPI, archive: Archive) -> None:
    async def found(request: Request, asked: SearchIn) -> Response:
        person = person_of(request)
        try:
            page = await archive.find(person, asked)
        except NotAllowed as error:
            return archive.gate.denied(request, person, on=str(error))
        except NumbersClosed as error:
            return problems.respond(problems.NUMBERS_SHUT, request.url.path, detail=str(error))
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        out = PageOut(
            recordings=[recording_out(each, person) for each in page.recordings],
            after=cursor_text(page.after),
        )
        return Response(out.model_dump_json(), media_type="application/json")

    lacking: dict[int | str, dict[str, Any]] = {
        503: problems.documented("the database cannot be asked; calls go on")
    }

    @app.get(
        PATH,
        tags=["recordings"],
        summary="録音の検索 / Find recordings",
        response_model=PageOut,
        responses={422: PROBLEMS[422], **lacking},
    )
    @needs(Right.READ_CALLS)
    async def find(request: Request, asked: Annotated[SearchIn, Query()]) -> Response:
        """By anything that is known of them, the newest first."""
        return await found(request, asked)

    @app.post(
        PATH + "/search",
        tags=["recordings"],
        summary="番号などによる録音の検索 / Find recordings, by number too",
        response_model=PageOut,
        responses={422: PROBLEMS[422], 500: NUMBERS_SHUT, **lacking},
    )
    @needs(Right.READ_CALLS)
    async def find_number(request: Request, asked: NumberSearchIn) -> Response:
        """The same with a number, for who may read personal values."""
        return await found(request, asked)

    @app.get(
        PATH + "/{recording}",
        tags=["recordings"],
        summary="録音の詳細 / What is known of a recording",
        response_model=WholeOut,
        responses={404: PROBLEMS[404], 422: PROBLEMS[422], **lacking},
    )
    @needs(Right.READ_CALLS)
    async def one(request: Request, recording: RecordingPath) -> Response:
        """With the other recordings of the same call, the orders that keep it longer, and who heard it."""
        person = person_of(request)
        try:
            all_of = await archive.one(person, recording)
            if not all_of or all_of[0].name != recording:
                return problems.respond(problems.NOT_FOUND, request.url.path)
            orders = await archive.reader.orders(all_of[0])
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        lines = await archive.accesses(person, all_of[0])
        out = WholeOut(
            recording=recording_out(all_of[0], person),
            others=[recording_out(each, person) for each in all_of[1:]],
            orders=[order_out(each) for each in orders],
            accesses=None if lines is None else [access_out(line) for line in lines],
        )
        return Response(out.model_dump_json(), media_type="application/json")

    async def given(request: Request, name: str, right: Right, purpose: str) -> Response:
        person = person_of(request)
        try:
            all_of = await archive.one(person, name)
        except OSError:
            return problems.respond(problems.NO_STORE, request.url.path)
        here = bool(all_of) and all_of[0].name == name
        if not person.may(right, all_of[0].centre if here else CentreId("")):
            return archive.gate.denied(request, person, on=name)
        if not here:
            return problems.respond(problems.NOT_FOUND, request.url.path)
        grant = await archive.give(request, all_of[0], right, purpose)
        if grant.kind is not None:
            return problems.respond(grant.kind, request.url.path)
        out = GrantOut(url=grant.url, expires_at=m.moment(Instant(round(grant.over * SECOND))))
        return Response(out.model_dump_json(), media_type="application/json")

    granting: dict[int | str, dict[str, Any]] = {
        404: PROBLEMS[404],
        410: problems.documented("there is no sound, or not any more"),
        422: PROBLEMS[422],
        503: problems.documented("the database cannot be asked, or the audit trail cannot be written"),
    }

    @app.post(
        PATH + "/{recording}/listen",
        tags=["recordings"],
        summary="録音を聞く / Listen to a recording",
        response_model=GrantOut,
        responses=granting,
    )
    @needs(Right.LISTEN)
    async def listen(request: Request, recording: RecordingPath, body: PurposeIn) -> Response:
        """For a purpose, which the audit trail gets: the address of the sound, for a while."""
        return await given(request, recording, Right.LISTEN, body.purpose)

    @app.post(
        PATH + "/{recording}/download",
        tags=["recordings"],
        summary="録音を保存する / Download a recording",
        response_model=GrantOut,
        responses=granting,
    )
    @needs(Right.DOWNLOAD)
    async def download(request: Request, recording: RecordingPath, body: PurposeIn) -> Response:
        """The same for a file of one's own."""
        return await given(request, recording, Right.DOWNLOAD, body.purpose)

    @app.get(
        PATH + "/{recording}/audio",
        tags=["recordings"],
        summary="録音の音声 / The sound of a recording",
        response_class=Response,
        responses={
            200: {
                "description": "all of it",
                "content": _SOUND,
            },
            206: {
                "description": "the range asked for",
                "content": _SOUND,
            },
            410: problems.documented("the grant is over, or there is no sound"),
            416: problems.documented("beyond the end"),
            422: PROBLEMS[422],
            500: problems.documented("the sound cannot be opened: its key is missing, or it was altered"),
            503: problems.documented("the sound cannot be read now"),
        },
    )
    @needs(Right.LISTEN)
    async def audio(
        request: Request,
        recording: RecordingPath,
        grant: Annotated[
            str, Query(pattern=r"^[A-Za-z0-9_-]{43}$", description="as `listen` or `download` gave it")
        ],
    ) -> Response:
        """Whole, or one range of bytes (RFC 9110, 14). To listen to, µ-law and G.722 come as 16 bit WAV, and a WAV
        file that Asterisk never closed with its true length; a download is the file as it is kept."""
        person, path = person_of(request), request.url.path
        held = archive.grant(person, grant, recording)
        if held is None or not person.may(held.right, held.centre):
            return problems.respond(problems.GRANT_OVER, path)
        try:
            sound = await archive.reader.audio(recording, kept=held.right is Right.DOWNLOAD)
            wanted = byte_range(_range_of(request), sound.size)
            if wanted is None:
                sound.close()
                beyond = {"content-range": f"bytes */{sound.size}"}
                return problems.respond(problems.RANGE, path, headers=beyond)
            first, before, partial = wanted
            begin = await begin_of(sound, first, before)
        except FileNotFoundError as error:
            not_read(recording, error)
            return problems.respond(problems.NO_SOUND, path, detail=FILE_GONE)
        except OSError as error:
            not_read(recording, error)
            return problems.respond(problems.NO_STORE, path)
        except Unopened as error:
            not_read(recording, error)
            return problems.respond(problems.SOUND_SHUT, path, detail=str(error))
        headers = {"accept-ranges": "bytes", "content-length": str(before - first)}
        if partial:
            headers["content-range"] = f"bytes {first}-{before - 1}/{sound.size}"
        if held.right is Right.DOWNLOAD:
            headers["content-disposition"] = f'attachment; filename="{recording}.{sound.ending}"'
        return Sounding(recording, sound, begin, first, before, 206 if partial else 200, headers)


class Sounding(StreamingResponse):
    """The bytes of a sound in [first, before), of which the first ones are `begin`; closes it, also when nobody takes
    them."""

    def __init__(
        self,
        name: str,
        sound: Audio,
        begin: bytes,
        first: int,
        before: int,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(self._pieces(begin, first, before), status, headers, media_type=sound.media_type)
        self._name, self._sound = name, sound

    def _pieces(self, begin: bytes, first: int, before: int) -> Iterator[bytes]:
        yield begin
        try:
            yield from pieces(self._sound, first + len(begin), before)
        except (OSError, Unopened) as error:
            not_read(self._name, error)
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._sound.close()


async def begin_of(sound: Audio, first: int, before: int) -> bytes:
    """Its first piece in [first, before): whether it can be read. Raises OSError, Unopened; then it is closed."""
    try:
        return await asyncio.to_thread(sound.read_at, first, min(PIECE, before - first))
    except BaseException:
        sound.close()
        raise


def not_read(name: str, error: OSError | Unopened) -> None:
    log.error("録音を読めません / a recording cannot be read", recording=name, why=str(error))


def pieces(sound: Audio, first: int, before: int) -> Iterator[bytes]:
    """What is there of the bytes in [first, before)."""
    while first < before and (piece := sound.read_at(first, min(PIECE, before - first))):
        first += len(piece)
        yield piece


def _range_of(request: Request) -> str | None:
    """What is asked for; nothing where it holds for a version of the sound alone, of which we name none."""
    return None if "if-range" in request.headers else request.headers.get("range")


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def byte_range(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """[first, before) of the bytes to send, and whether they are the range that was asked for (206, also if it holds
    all): all of them where no range is asked for, or several, or none that can be read. None: nothing of the sound is
    in it."""
    found = None if header is None else _RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return 0, size, False
    if not found[1]:
        least = int(found[2])
        return (max(0, size - least), size, True) if least and size else None
    first = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return 0, size, False
    return (first, min(last + 1, size), True) if first < size else None
