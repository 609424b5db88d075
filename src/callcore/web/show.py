"""From the floor and the books to what the API says. No figure is made here: each is asked of the domain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from callcore.access.rights import Person, Right
from callcore.domain import sides
from callcore.domain.agent import AgentState
from callcore.domain.board import (
    HALF_HOUR,
    AgentWord,
    Waiting,
    Window,
    agent_word,
    agents_by_word,
    agents_of,
    attention,
    staffed,
    today,
    waiting_callers,
    word_since,
)
from callcore.domain.call import Call
from callcore.domain.callback import Callback
from callcore.domain.centre import Centre
from callcore.domain.day import Days, Share, may_lose, must_answer, shares
from callcore.domain.emergency import decide
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CentreId, Instant, PhoneId
from callcore.domain.measures import Figures, Ratio
from callcore.domain.message import Message
from callcore.domain.phones import REFUSALS, WORDS
from callcore.domain.sides import SideRecord
from callcore.domain.stages import OfferStage, SideKind
from callcore.domain.supervising import skills_of
from callcore.runtime.callbackdesk import in_line
from callcore.runtime.detail import CallDetail, VisitDetail
from callcore.runtime.messagedesk import in_order
from callcore.runtime.ports import Beside, View
from callcore.web import models as m


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody may see: of which centres (None: all), and whether what is personal."""

    centres: frozenset[CentreId] | None = None
    personal: bool = True


EVERYTHING = Sight()


def sight_of(person: Person, right: Right, floor: Floor) -> Sight:
    """What this right lets a person see of the floor."""
    return Sight(frozenset(person.among(right, list(floor.centres))), person.may(Right.READ_PERSONAL))


NOTHING_BESIDE = Beside()


R = TypeVar("R", bound=BaseModel)

ROWS = ("waiting", "agents", "open_calls")
"""Of a centre, the lists that have many rows."""


def _in_order(of: BaseModel, values: dict[str, Any]) -> dict[str, Any]:
    """As the model itself would be written."""
    return {name: values[name] for name in type(of).model_fields}


class Rows:
    """The rows of agents and calls that a picture was made of. One that rests on the same as in the last picture is not
    made again, for of hundreds of rows few change."""

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[tuple[object, ...], BaseModel]] = {}
        self._now: dict[Hashable, tuple[tuple[object, ...], BaseModel]] = {}
        self._told: dict[int, tuple[BaseModel, dict[str, Any]]] = {}

    def begin(self) -> None:
        """A new picture; what the last but one had is forgotten."""
        self._last, self._now = self._now, {}

    def row(self, name: Hashable, rests_on: tuple[object, ...], make: Callable[[], R]) -> R:
        """The row of this name. `rests_on`: all that `make` looks at; equal parts make equal rows."""
        known = self._last.get(name)
        if known is None or known[0] != rests_on:
            known = rests_on, make()
        self._now[name] = known
        return cast("R", known[1])

    def as_json(self, picture: m.Live) -> dict[str, Any]:
        """The picture as JSON values; a row that was in the last one is the same object in both."""
        told: dict[int, tuple[BaseModel, dict[str, Any]]] = {}

        def row(of: BaseModel) -> dict[str, Any]:
            known = self._told.get(id(of)) or (of, of.model_dump(mode="json"))
            told[id(of)] = known
            return known[1]

        def centre(of: m.CentreOut) -> dict[str, Any]:
            rows = {name: [row(each) for each in getattr(of, name)] for name in ROWS}
            return _in_order(of, of.model_dump(mode="json", exclude=set(ROWS)) | rows)

        centres = [centre(each) for each in picture.centres]
        self._told = told
        return _in_order(picture, picture.model_dump(mode="json", exclude={"centres"}) | {"centres": centres})


def live(
    view: View,
    at: Instant,
    stale_s: float | None,
    sight: Sight = EVERYTHING,
    beside: Beside = NOTHING_BESIDE,
    days: Days | None = None,
    rows: Rows | None = None,
) -> m.Live:
    """Everything a live board needs at one place in the journal, as it stands at `at`.

    Judged at the millisecond that is shown, so that `seq` and `at` alone give the same figures again. `beside`: what
    no journal holds; `days` and `rows`: of the last picture for the same sight, which make this one cheaper.
    """
    days, rows = days or Days(), rows or Rows()
    rows.begin()
    at = Instant(at - at % 1000)
    centres = sorted(
        (c for c in view.floor.centres.values() if sight.centres is None or c.id in sight.centres),
        key=lambda centre: centre.id,
    )
    return m.Live(
        seq=str(view.seq),
        at=m.moment(at),
        stale_s=None if stale_s is None else round(stale_s, 1),
        linked=view.floor.linked,
        beside=_beside(beside, centres),
        centres=[_centre(view, centre, at, sight.personal, days, rows) for centre in centres],
    )


def _beside(beside: Beside, centres: Sequence[Centre]) -> m.BesideOut:
    return m.BesideOut(
        health=[m.HealthBriefOut(name=each.name, ok=each.ok) for each in beside.health],
        months={
            centre.id: m.MonthOut(
                answer_ratio=ratio_out(ratio),
                may_lose=may_lose(ratio, centre.target_answer_ratio),
                must_answer=must_answer(ratio, centre.target_answer_ratio),
            )
            for centre in centres
            if (ratio := beside.month.get(centre.id)) is not None
        },
    )


def _centre(view: View, centre: Centre, at: Instant, personal: bool, days: Days, rows: Rows) -> m.CentreOut:
    floor = view.floor
    window, day = days.of(view.books, centre, at)
    apart = view.books.sides_of(centre.id, window.first, window.before)
    closure = floor.emergencies.get(centre.id)
    verdict = decide(centre.calendar, closure, at)
    seats = _seats(centre)
    waiting = waiting_callers(floor, centre.id)
    calls = sorted(
        (c for c in floor.calls.values() if c.centre == centre.id), key=lambda c: (c.arrived_at, c.id)
    )
    return m.CentreOut(
        id=centre.id,
        name=centre.name,
        name_en=centre.name_en,
        target_answer_ratio=centre.target_answer_ratio,
        thresholds=m.ThresholdsOut(
            waiting=floor.warns(centre)[0],
            wait_s=floor.warns(centre)[1],
            by_hand=centre.id in floor.thresholds,
        ),
        queues=[m.NamedOut(id=queue.id, name=queue.name) for queue in centre.queues],
        skills=sorted(skills_of(centre)),
        pauses=[reason.name for reason in centre.staff.pauses],
        hours=m.HoursOut(
            open=verdict.open,
            reason=m.Words(ja=verdict.reason, en=verdict.reason_en),
            changes_at=m.moment_or_none(verdict.changes_at),
            emergency_until=None if closure is None or not closure.on(at) else m.moment(closure.until),
        ),
        window=window_out(window, centre),
        figures=figures_out(day.figures),
        agents_by_state=agents_by_word(floor, centre.id),
        staffed=staffed(floor, centre.id),
        curve=m.CurveOut(
            first=m.moment(window.first),
            step_s=HALF_HOUR // SECOND,
            arrivals=list(day.curve.arrivals),
            answers=list(day.curve.answers),
        ),
        reasons=[
            m.ReasonOut(id=why.id, ja=why.ja, en=why.en)
            for why in sorted({one.because for one in waiting if one.because is not None})
        ],
        waiting=_waiting(floor, waiting, personal, rows),
        agents=[
            _agent(floor, centre, a, seats, personal, day.shares.get(a.id), rows)
            for a in agents_of(floor, centre.id)
        ],
        open_calls=[rows.row(("open", c.id), (c, personal), partial(_open_call, c, personal)) for c in calls],
        outgoing=_sides(apart, sides.OUTGOING),
        contact=_sides(apart, sides.CONTACT),
        departments=_sides(apart, sides.DEPARTMENTS),
        emergencies_not_carried=[
            m.EmergencyOut(
                call=one.call,
                digits=one.not_carried,
                at=m.moment(one.began_at),
                phone=one.phone,
                seat=None if one.phone is None else seats.get(one.phone),
            )
            for one in sorted(apart, key=lambda one: (one.began_at, one.call))
            if one.not_carried is not None
        ],
        policy_rejections=view.books.refused(centre.id, window.first, window.before),
        phones_refused=[
            m.PhoneRefusedOut(
                phone=phone.id,
                seat=phone.seat,
                reason=state.policy,
                words=m.Words(ja=WORDS[state.policy][0], en=WORDS[state.policy][1]),
                since=m.moment(state.since),
            )
            for phone in centre.phones
            if (state := floor.registered.get(phone.id)) is not None and state.policy in REFUSALS
        ],
        messages=_messages(floor, centre, at, personal),
        callbacks=[callback_out(one, personal) for one in in_line(floor, centre.id)[:CALLBACKS_MOST]],
    )


CALLBACKS_MOST = 50
"""On the board; the list by itself has all."""


def callback_out(back: Callback, personal: bool) -> m.CallbackOut:
    return m.CallbackOut.model_validate(
        {
            "call": back.id,
            "queue": back.queue,
            "since": m.moment(back.since),
            "priority": back.priority,
            "state": back.state.value,
            "attempts": back.attempts,
            "not_before": m.moment_or_none(back.not_before),
            "number": back.caller.masked() if personal else None,
        }
    )


MESSAGES_MOST = 20
"""On the board; the list by itself has all."""


def _messages(floor: Floor, centre: Centre, at: Instant, personal: bool) -> m.MessagesOut:
    waiting = in_order(one for one in floor.messages.values() if one.centre == centre.id and one.open)
    return m.MessagesOut(
        open=len(waiting),
        overdue=sum(one.overdue(at) for one in waiting),
        next=[message_out(one, at, personal) for one in waiting[:MESSAGES_MOST]],
    )


def message_out(message: Message, at: Instant, personal: bool) -> m.MessageOut:
    return m.MessageOut(
        call=message.call,
        centre=message.centre,
        queue=message.queue,
        language=message.language,
        left_at=m.moment(message.left_at),
        due_at=m.moment(message.due_at),
        overdue=message.overdue(at),
        state=message.state,
        since=m.moment(message.state_since),
        agent=message.agent,
        number=message.caller.masked() if personal else None,
        result=message.result.text if message.result is not None and personal else None,
        file=message.file,
        seconds=message.seconds,
        problem=message.problem,
        callback=message.callback,
        task=message.subject is not None,
        subject=message.subject.text if message.subject is not None and personal else None,
        department=message.department,
        note=message.note.text if message.note is not None and personal else None,
        about=message.about,
    )


def _sides(records: Sequence[SideRecord], kinds: Collection[SideKind]) -> m.SideFiguresOut:
    told = sides.figures(records, kinds)
    return m.SideFiguresOut(**{each.name: getattr(told, each.name) for each in fields(told)})


def window_out(window: Window, centre: Centre) -> m.WindowOut:
    return m.WindowOut(
        date=window.date,
        time_zone=centre.time_zone,
        first=m.moment(window.first),
        before=m.moment(window.before),
    )


def ratio_out(ratio: Ratio) -> m.RatioOut:
    return m.RatioOut(value=ratio.value, part=ratio.part, whole=ratio.whole)


def figures_out(of: Figures) -> m.FiguresOut:
    values = {f.name: getattr(of, f.name) for f in fields(of)}
    shown = {name: ratio_out(value) if isinstance(value, Ratio) else value for name, value in values.items()}
    return m.FiguresOut.model_validate(shown | {"at": m.moment(of.at)})


def _number(call: Call, personal: bool) -> str | None:
    return call.caller.masked() if personal else None


def _waiting(floor: Floor, waiting: Sequence[Waiting], personal: bool, rows: Rows) -> list[m.WaitingOut]:
    found = []
    for one in waiting:
        ringing = [floor.offers[name].agent for name in one.call.ringing]
        queue = floor.queues.get(one.queue)
        name = one.queue if queue is None else queue.name
        estimate_s = None if one.estimate_s is None else round(one.estimate_s)
        because = None if one.because is None else one.because.id
        offered_to = ringing[0] if ringing else None

        def make(
            one: Waiting = one,
            name: str = name,
            estimate_s: int | None = estimate_s,
            because: str | None = because,
            offered_to: AgentId | None = offered_to,
        ) -> m.WaitingOut:
            call = one.call
            return m.WaitingOut(
                call=call.id,
                queue=one.queue,
                queue_name=name,
                stage=call.stage,
                position=one.position,
                since=m.moment_or_none(one.since),
                number=_number(call, personal),
                offered_to=offered_to,
                in_net=call.in_net,
                language=call.language,
                again=call.again,
                priority=None if call.visit is None else call.visit.priority,
                rung=0 if call.visit is None else call.visit.rung,
                estimate_s=estimate_s,
                because=because,
            )

        rests_on = (one.call, one.position, one.since, name, estimate_s, because, offered_to, personal)
        found.append(rows.row(("waiting", one.call.id), rests_on, make))
    return found


def _answer(floor: Floor, call: Call) -> str | None:
    waits = floor.answers.get(call.answer) if call.answer is not None else None
    return None if waits is None else waits.text.text


def agent_now(view: View, centre: Centre, agent: AgentId, at: Instant) -> m.AgentOut:
    """One agent of a centre, who must be there."""
    window = today(centre, at)
    done = shares(view.books.of(centre.id, window.first, window.before)).get(agent)
    return _agent(view.floor, centre, view.floor.agents[agent], _seats(centre), True, done, Rows())


def agents_now(view: View, centre: Centre, at: Instant, *, personal: bool) -> list[m.AgentOut]:
    """A centre's own agents and its guests, as the board has them."""
    window, seats, rows = today(centre, at), _seats(centre), Rows()
    done = shares(view.books.of(centre.id, window.first, window.before))
    return [
        _agent(view.floor, centre, each, seats, personal, done.get(each.id), rows)
        for each in agents_of(view.floor, centre.id)
    ]


def _seats(centre: Centre) -> dict[PhoneId, str]:
    return {phone.id: phone.seat for phone in centre.phones}


def _agent(
    floor: Floor,
    centre: Centre,
    agent: AgentState,
    seats: dict[PhoneId, str],
    personal: bool,
    done: Share | None,
    rows: Rows,
) -> m.AgentOut:
    """One agent's row. All that it rests on is looked up here; then it is made, or is that of the last picture."""
    word = agent_word(floor, agent, centre.id)
    offer = floor.offers.get(agent.offer) if agent.offer is not None else None
    name = agent.call if offer is None else offer.call
    call = None if name is None else floor.calls.get(name)
    if call is not None and call.centre != centre.id:
        call = offer = None  # another centre's caller is not to be seen here
    out = floor.sides.get(agent.side) if agent.side is not None else None
    if out is not None and out.centre != centre.id:
        out = None
    since = word_since(floor, word, agent)
    device = None if agent.phone is None else floor.phones.get(agent.phone)
    seat = None if agent.phone is None else seats.get(agent.phone)
    locked = agent.locked(floor.at)
    rank = attention(floor, agent, word)
    watched = None if agent.watch is None else floor.watches[agent.watch].agent
    watchers = [] if call is None or not floor.watches else _watchers(floor, call, personal)
    answer = None if call is None or not personal else _answer(floor, call)
    guest = agent.centre != centre.id

    def make() -> m.AgentOut:
        # After a relay call it ends when the agent says so; the floor's end, a day away, only frees a phone that was
        # left.
        wrap_up_until = None if agent.relayed else agent.wrap_up_until
        until = wrap_up_until if word is AgentWord.ACW else agent.rest_until
        return m.AgentOut(
            agent=agent.id,
            name=agent.name if personal else agent.id,
            phone=agent.phone,
            seat=seat,
            state=word,
            since=m.moment_or_none(since),
            until=m.moment_or_none(until if word in (AgentWord.ACW, AgentWord.RESTING) else None),
            device=device,
            pause=agent.pause,
            pause_overran=agent.pause_overran,
            locked_until=m.moment_or_none(agent.locked_until if locked else None),
            result=None if agent.last_call is None else agent.result,
            misses=agent.misses,
            attention=rank,
            today=m.ShareOut(answered=0, talk_mean_s=None)
            if done is None
            else m.ShareOut(
                answered=done.answered, talk_mean_s=None if done.over == 0 else done.talk / done.over / SECOND
            ),
            skills=dict(agent.skills),
            skills_by_hand=agent.skills_by_hand,
            watching=watched,
            guest=guest,
            why=[] if offer is None else list(offer.reasons),
            caller=None
            if call is None
            else m.CallerOut(
                call=call.id,
                number=_number(call, personal),
                on_hold=call.held_since is not None,
                held_since=m.moment_or_none(call.held_since),
                hold_overran=call.hold_overran,
                help=call.help_since is not None,
                help_by=call.help_by,
                watched_by=watchers,
                abuse=call.abuse,
                relay=call.relay,
                answer=answer,
                recording_paused=call.unrecorded_since is not None,
            ),
            recording_paused=any(
                each is not None and each.unrecorded_since is not None for each in (call, out)
            ),
        )

    looked_at = (word, since, device, seat, locked, rank, watched, watchers, answer, guest, personal, done)
    return rows.row(("agent", centre.id, agent.id), (agent, offer, call, out, *looked_at), make)


def _watchers(floor: Floor, call: Call, personal: bool) -> list[m.WatchOut]:
    return [
        m.WatchOut(
            watcher=watch.watcher,
            name=who.name if personal and (who := floor.agents.get(watch.watcher)) else watch.watcher,
            how=watch.mode,
            since=m.moment(watch.began_at),
            heard=watch.heard,
        )
        for watch in sorted(floor.watches.values(), key=lambda each: each.id)
        if watch.call == call.id
    ]


def _open_call(call: Call, personal: bool) -> m.OpenCallOut:
    return m.OpenCallOut(
        call=call.id,
        stage=call.stage,
        number=_number(call, personal),
        dialled=call.number,
        queue=call.queue,
        arrived_at=m.moment(call.arrived_at),
        answered_at=m.moment_or_none(call.answered_at),
        agent=call.talking_with,
        on_hold=call.held_since is not None,
        held_since=m.moment_or_none(call.held_since),
        hold_overran=call.hold_overran,
        in_net=call.in_net,
    )


def visit_out(of: VisitDetail) -> m.VisitOut:
    return m.VisitOut(
        visit=of.visit,
        queue=of.queue,
        entered_at=m.moment(of.entered_at),
        priority=of.priority,
        position=of.position,
        estimate_s=of.estimate_s,
        reasons=list(of.reasons),
        ended_at=m.moment_or_none(of.ended_at),
        outcome=of.outcome,
    )


def call_out(detail: CallDetail, at: Instant, *, personal: bool = True) -> m.CallOut:
    record = detail.record
    waited = record.waited(at)
    return m.CallOut(
        call=record.call,
        centre=record.centre,
        queue=record.queue,
        dialled=record.number,
        number=detail.caller.masked() if detail.caller is not None and personal else None,
        arrived_at=m.moment(record.arrived_at),
        entered_at=m.moment_or_none(record.entered_at),
        answered_at=m.moment_or_none(record.answered_at),
        ended_at=m.moment_or_none(record.ended_at),
        outcome=record.outcome,
        reason=record.reason,
        hung_up_by=record.hung_up_by,
        agent=record.agent,
        by_net=record.by_net,
        waited_s=None if waited is None else waited / SECOND,
        talk_s=record.talk / SECOND,
        hold_s=None if record.held is None else record.held / SECOND,
        reconstructed=record.reconstructed,
        imprecise=record.imprecise,
        test=record.test,
        visits=[visit_out(each) for each in detail.visits],
        notes=[m.NoteOut(at=m.moment(n.at), what=n.what, reasons=list(n.reasons)) for n in detail.notes],
        marks=[
            m.MarkOut(at=m.moment(each.at), mark=each.mark, on=each.on, keyed=each.keyed, by=each.by)
            for each in detail.marks
        ],
        offers=[
            m.OfferOut(
                offer=o.offer,
                visit=o.visit,
                agent=o.agent,
                phone=o.phone,
                made_at=m.moment(o.made_at),
                ended_at=m.moment_or_none(o.ended_at),
                result=OfferStage(o.result),
                reasons=list(o.reasons),
                ended_because=o.ended_because,
            )
            for o in detail.offers
        ],
        recording=None
        if detail.recording is None
        else m.RecordingOut(
            size=detail.recording.size,
            seconds=detail.recording.seconds,
            sha256=detail.recording.sha256,
            problem=detail.recording.problem,
        ),
        recordings=[
            m.SegmentOut(
                kind=one.kind,
                call=one.call,
                file=one.file,
                began_at=m.moment_or_none(one.began_at),
                ended_at=m.moment_or_none(one.ended_at),
                size=one.size,
                seconds=one.seconds,
                sha256=one.sha256,
                problem=one.problem,
            )
            for one in detail.recordings
        ],
    )
