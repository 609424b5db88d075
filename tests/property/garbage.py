"""Inputs that nobody would send: every kind, with ids that are mostly on the floor and mostly in the wrong place.

An input is built from a few whole numbers and the floor it will meet, so that hypothesis can shrink a failure and a
long trial can draw the same from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from callcore.domain import inputs as i
from callcore.domain.call import Call
from callcore.domain.centre import Agent, Configuration, Guest, Number, Phone, Queue, RecordAfter, Transfers
from callcore.domain.floor import Floor
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    DepartmentId,
    Instant,
    NodeId,
    OfferId,
    PhoneId,
    QueueId,
)
from callcore.domain.phones import Policy
from callcore.domain.recording import RecordingKind, RecordingMark
from callcore.domain.stages import (
    Choice,
    Device,
    OfferStage,
    Outcome,
    Party,
    PauseEnd,
    Said,
    SideKind,
    SideOutcome,
    Stage,
    TalkKey,
    WatchMode,
)
from tests.support.floors import NUMBER, centre, configuration, rich

T = TypeVar("T")

Draw = tuple[int, int, int, int, int]
"""(kind, first, second, third, step of time). Any whole numbers of 0 or more."""

NODES = (NodeId("node1"), NodeId("node1"), NodeId("node1"), NodeId("node2"))
STEPS_S = (0.0, 0.0, 0.001, 0.001, 0.5, 1.0, 5.0, 20.0, 60.0, -0.001, -1.0, -30.0)
CONTEXTS = (
    "callcore-hold",
    "callcore-hold",
    "callcore-net",
    "callcore-offer",
    "callcore-overflow",
    "callcore-comfort",
    "callcore-menu",
    "callcore-admit",
    "callcore-phones",
)
CAUSES = (16, 16, 0, 38, 17)

_TO_THE_AGENT = Transfers(record_after=RecordAfter.AGENT)
_SMALLER = Configuration("smaller", (centre(1, acw_s=0),))
_NEIGHBOUR = replace(
    centre(1),
    id=CentreId("other"),
    numbers=(Number("0970000000", QueueId("other-general")),),
    queues=(Queue(QueueId("other-general"), "隣", acw_s=5),),
    agents=(Agent(AgentId("2001"), "隣の人", (QueueId("other-general"),)),),
    phones=(Phone(PhoneId("other-p1"), "B-1", "generic"),),
    guests=(Guest(AgentId("1002"), (QueueId("other-general"),)), Guest(AgentId("1003"), ())),
    guests_most=1,
)
CONFIGURATIONS = (
    configuration(centre(3)),
    Configuration("rich", (rich(4),)),
    Configuration("two", (replace(rich(4), keep=2, transfers=_TO_THE_AGENT), _NEIGHBOUR)),
    Configuration("at once", (replace(rich(4), calendar=replace(rich(4).calendar, close_at_once=True)),)),
    _SMALLER,
    Configuration("none", ()),
)


def _pick(from_: Sequence[T], n: int) -> T:
    return from_[n % len(from_)]


class Source:
    """Makes inputs for one floor. `fresh` new calls are known to nobody at any time."""

    def __init__(self, start: Instant, fresh: int = 4) -> None:
        self.at = start
        self._fresh = fresh
        self._run = 1
        self._rules: tuple[Callable[[Floor, int, int, int], i.Input], ...] = (
            *(self._natural,) * 25,
            *(self._arrived,) * 5,
            *(self._admitted,) * 2,
            self._insisted,
            *(self._listed,) * 2,
            *(self._held,) * 5,
            *(self._back,) * 3,
            self._not_led,
            *(self._menu,) * 3,
            *(self._message,) * 3,
            *(self._message_work,) * 2,
            self._task,
            *(self._callback,) * 4,
            self._in_net,
            self._apologised,
            *(self._dial_began,) * 4,
            *(self._dial_ended,) * 2,
            self._returned,
            self._not_placed,
            *(self._overflowed,) * 2,
            self._not_ended,
            *(self._paused,) * 2,
            *(self._watch,) * 3,
            *(self._taken_over,) * 2,
            *(self._supervised,) * 3,
            *(self._ready,) * 2,
            self._extended,
            *(self._talk_key,) * 2,
            self._recording,
            self._stop_told,
            self._result,
            self._note,
            self._unlock,
            self._out,
            self._reconfigured,
            self._emergency,
            self._clock,
            self._late,
            *(self._bridge_entered,) * 6,
            *(self._bridge_left,) * 2,
            *(self._hold,) * 2,
            self._hangup_requested,
            *(self._moves,) * 2,
            self._asks_to_move,
            *(self._gone,) * 3,
            *(self._device,) * 3,
            *(self._judged,) * 2,
            self._turned_away,
            *(self._timer,) * 3,
            *(self._sign_in,) * 3,
            self._sign_out,
            self._dial,
            *(self._side_begins,) * 3,
            *(self._side_dialled,) * 2,
            *(self._side_goes,) * 3,
            self._side_returned,
            self._answer,
            self._measured,
            self._sealed,
            *(self._kept_longer,) * 2,
            *(self._erased,) * 3,
            self._marked,
            self._snapshot,
            self._dropped,
            self._run_begins,
        )

    def input(self, floor: Floor, draw: Draw) -> i.Input:
        kind, a, b, c, step = draw
        self.at = Instant(self.at + round(_pick(STEPS_S, step) * SECOND))
        return _pick(self._rules, kind)(floor, a, b, c)

    # -- ids: mostly of the floor ----------------------------------------------------------------------------

    def _calls(self, floor: Floor) -> list[CallId]:
        ended = sorted(floor.ended)[-2:]
        n = len(floor.ended) + len(floor.calls)
        return [*sorted(floor.calls), *ended, *(CallId(f"c{n + k:05}") for k in range(self._fresh))]

    def _call(self, floor: Floor, n: int) -> CallId:
        return _pick(self._calls(floor), n)

    def _open_call(self, floor: Floor, n: int) -> CallId:
        return _pick(sorted(floor.calls) or self._calls(floor), n)

    def _channel(self, floor: Floor, n: int) -> ChannelId:
        return _pick(
            [*sorted(floor.channels), *map(ChannelId, self._calls(floor)[-2:]), ChannelId("nobody")], n
        )

    def _leg(self, n: int) -> ChannelId:
        return ChannelId(f"leg{n % 40}")

    def _offer(self, floor: Floor, n: int) -> OfferId:
        known = [*sorted(floor.offers)] * 3
        return _pick([*known, OfferId(f"{floor.run}.{floor.offers_made}"), OfferId("0.1")], n)

    def _phone(self, floor: Floor, n: int) -> PhoneId:
        return _pick([*sorted(floor.phones)] * 3 + [PhoneId("demo-p1"), PhoneId("nowhere-p1")], n)

    def _agent(self, floor: Floor, n: int) -> AgentId:
        return _pick([*sorted(floor.agents)] * 3 + [AgentId("1001"), AgentId("9999")], n)

    # -- inputs ----------------------------------------------------------------------------------------------

    def _natural(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """What could well come next for some call, so that what does not fit meets every state."""
        if not floor.linked and b % 4 == 0:
            return self._snapshot(floor, a, b, 3 * c)
        if not floor.calls:
            return self._arrived(floor, a, b, c)
        call = floor.calls[self._open_call(floor, a)]
        match call.stage:
            case Stage.ARRIVED:
                return i.AdmissionDecided(at=self.at, call=call.id, open=True, source="pushed")
            case Stage.ANNOUNCED if call.refused_as is Outcome.BLOCKED and c % 2:
                return i.CallerInsisted(at=self.at, call=call.id)
            case Stage.ANNOUNCED if call.refused_as is None:
                return i.CallerHeld(at=self.at, call=call.id)
            case Stage.WAITING if c % 2:
                return self._sign_in(floor, a, b, 1)
            case Stage.WAITING:
                return i.DeviceReported(at=self.at, phone=self._phone(floor, b), device=Device.FREE)
            case Stage.OFFERED:
                offer = floor.offers[_pick(call.ringing, b)]
                ringing = next((leg for leg in call.legs[1:] if leg.offer == offer.id), None)
                if ringing is None:
                    return i.DialBegan(
                        at=self.at, call=call.id, channel=self._leg(c), phone=offer.phone, offer=offer.round
                    )
                channel = call.channel if ringing.bridge is not None else ringing.channel
                return i.BridgeEntered(at=self.at, bridge=f"b-{offer.id}", channel=channel)
            case Stage.TALKING if call.talking_leg is not None and c % 5:
                party = call.talking_leg if b % 3 else call.channel
                return _pick(
                    (
                        i.HoldChanged(at=self.at, channel=call.talking_leg, held=call.held_since is None),
                        i.HangupRequested(at=self.at, channel=party),
                        i.BridgeLeft(at=self.at, bridge=call.bridge or "b", channel=party),
                        i.ChannelGone(at=self.at, channel=party, cause=_pick(CAUSES, b)),
                    ),
                    c,
                )
            case Stage.TALKING if b % 3:
                return self._consult(floor, call, b)
            case Stage.PARTED | Stage.TRANSFERRED if c % 3 and len(call.legs) > 1:
                far = call.legs[-1]
                channel = call.channel if far.bridge is not None else far.channel
                if call.stage is Stage.TRANSFERRED:
                    return i.BridgeLeft(at=self.at, bridge=call.bridge or "b", channel=channel)
                return i.BridgeEntered(at=self.at, bridge=far.bridge or f"far-{far.channel}", channel=channel)
            case Stage.PARTED if c % 2:
                return i.CallerHeld(at=self.at, call=call.id)
            case Stage.PARTED if call.moving_to is not None:
                return i.DialBegan(at=self.at, call=call.id, channel=self._leg(c), phone=None, offer=None)
            case Stage.PARTED if b % 2:
                return self._moves(floor, self._calls(floor).index(call.id), b, c)
        return i.ChannelGone(at=self.at, channel=call.channel, cause=16)

    def _consult(self, floor: Floor, call: Call, n: int) -> i.Input:
        """The next step of what an agent asks about a held caller."""
        side = next((each for each in floor.sides.values() if each.beside == call.id), None)
        if side is not None and not side.legs:
            return i.SideDialBegan(at=self.at, call=side.id, channel=self._leg(n), phone=None)
        if side is not None:
            far = side.legs[0][0]
            known = call.leg(far)
            joined = known is not None and known.bridge is not None
            channel = call.channel if joined and n % 5 == 1 else side.channel if joined else far
            return i.BridgeEntered(at=self.at, bridge=f"far-{far}", channel=channel)
        agent = floor.agents.get(call.talking_with) if call.talking_with is not None else None
        return i.SideCallTold(
            at=self.at,
            node=call.node,
            call=CallId(f"k{len(floor.ended) + len(floor.sides):05}"),
            centre=call.centre,
            kind=SideKind.DEPARTMENT,
            phone=None if agent is None else agent.phone,
            number=NUMBER,
            other="0970000111",
            why="demo-shimin",
            beside=call.id,
        )

    def _arrived(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        fresh = self._calls(floor)[-self._fresh :]
        channel = ChannelId(_pick(fresh, a)) if c % 4 else self._channel(floor, a)
        return i.ChannelArrived(
            at=self.at,
            node=_pick(NODES, b),
            channel=channel,
            name=f"PJSIP/trunk-{channel}",
            number=_pick(sorted(floor.numbers) or [NUMBER], b) if b % 8 else "0000",
            caller="0312345678" if c % 3 else None,
        )

    def _admitted(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        return i.AdmissionDecided(
            at=self.at,
            call=self._open_call(floor, a),
            open=b % 4 != 0,
            source=_pick(("pushed", "listed", "withheld", "outsider"), c),
            emergency=b % 8 == 0,
            blocked=b % 8 == 4 or b % 16 == 0,
        )

    def _insisted(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        """Mostly of callers who were not refused, or were so for another reason."""
        return i.CallerInsisted(at=self.at, call=self._open_call(floor, a) if b % 4 else self._call(floor, a))

    def _listed(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """The numbers that call, in several spellings, and what is none; for a while, for ever, or until yesterday."""
        centre = _pick([*sorted(floor.centres), CentreId("nowhere")], a)
        entries = [*sorted(floor.blocked), CallId("blocked-0")]
        if b % 3 == 0:
            return i.UnblockAsked(at=self.at, entry=_pick(entries, c), centre=centre, by="係長")
        return i.BlockAsked(
            at=self.at,
            entry=CallId(f"blocked-{c % 5}"),
            centre=centre,
            number=_pick(("0312345678", "+81312345678", "03-1234-5679", "x", ""), b),
            reason="暴言",
            until=Instant(self.at + _pick((-1, 0, 10, 600, 400 * 86_400), c) * SECOND + c % 3),
            by="係長",
        )

    def _held(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        return i.CallerHeld(at=self.at, call=self._open_call(floor, a) if b % 8 else self._call(floor, a))

    def _aside(self, floor: Floor, a: int, b: int) -> tuple[CallId, int]:
        """A call, mostly one that was led aside, and mostly by its number."""
        led = sorted(c.id for c in floor.calls.values() if c.aside is not None)
        call = _pick(led, a) if led and b % 8 else self._open_call(floor, a)
        known = floor.calls.get(call)
        return call, b % 3 if known is None or known.aside is None or b % 7 == 0 else known.aside.number

    def _back(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        call, number = self._aside(floor, a, b)
        return i.CallerHeld(at=self.at, call=call, aside=number)

    def _not_led(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        call, number = self._aside(floor, a, b)
        return i.AsideNotBegun(at=self.at, call=call, number=number, reason="x", caller_gone=c % 4 == 0)

    def _menu(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Any key, to queues of any centre, and in languages that few or none speak."""
        choice = _pick(list(Choice), b)
        to = _pick([*sorted(floor.queues), "nowhere"], c) if choice is Choice.QUEUE else ""
        language = _pick((None, "en", "xx"), c)
        call = self._open_call(floor, a)
        if a % 5 == 0:
            leg = ChannelId(f"out-{b % 3}")
            return i.CallerForwarded(at=self.at, call=call, channel=leg, recorded=c % 3 > 0, notice=language)
        return i.MenuKeyed(at=self.at, call=call, menu="m", key="1", choice=choice, to=to, language=language)

    def _message(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Told of any call at any time, and measured as loud, silent or missing."""
        if b % 3:
            return i.MessageTold(at=self.at, call=self._open_call(floor, a), said=_pick(list(Said), c))
        call = _pick([*sorted(floor.messages), *self._calls(floor)], a)
        return i.MessageMeasured(
            at=self.at,
            call=call,
            file=f"{call}.message.wav",
            size=44,
            seconds=c % 3,
            voice_s=c % 2,
            sha256=None,
            problem=_pick((None, "empty", "missing"), c),
            clipped_s=c % 2,
        )

    def _callback(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Asked for by any call at any time; an agent's phone that rings for one, and what becomes of it."""
        tried = [back for back in floor.callbacks.values() if back.side is not None]
        if tried and b % 3:
            back = _pick(sorted(tried, key=lambda each: each.id), a)
            assert back.side is not None
            side = floor.sides.get(back.side)
            return _pick(
                (
                    i.CallbackNotPlaced(at=self.at, side=back.side),
                    i.SideReturned(at=self.at, call=back.side, outcome=_pick(list(SideOutcome), c)),
                    i.BridgeEntered(at=self.at, bridge="cb", channel=ChannelId(back.side)),
                    i.ChannelGone(at=self.at, channel=ChannelId(back.side), cause=16),
                    i.SideCallTold(
                        at=self.at,
                        node=back.node,
                        call=back.side,
                        centre=back.centre,
                        kind=SideKind.OUTGOING,
                        phone=None if side is None else side.phone,
                        number=NUMBER,
                        other="0312345678",
                        why="callback",
                    ),
                    i.CallbackDropAsked(at=self.at, call=back.id, by="係長"),
                ),
                c,
            )
        if c % 5 == 0:
            call = _pick([*sorted(floor.callbacks), *self._calls(floor)], a)
            return i.CallbackDropAsked(at=self.at, call=call, by="係長")
        return i.CallbackTold(at=self.at, call=self._open_call(floor, a))

    def _message_work(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        call = _pick([*sorted(floor.messages), *self._calls(floor)], a)
        if b % 2:
            return i.MessageTakeAsked(at=self.at, call=call, agent=self._agent(floor, c), by="係長")
        text = _pick(("折り返し済み", "", "あ" * 201), b)
        return i.MessageCloseAsked(at=self.at, call=call, done=c % 2 == 0, result=text, by="係長")

    def _task(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        call = _pick([*sorted(floor.recent), *self._calls(floor)], a)
        note = _pick((None, "午前中に", "あ" * 501), c)
        if b % 2:
            return i.TaskOpenAsked(
                at=self.at,
                task=CallId(f"task-{a % 4}"),
                about=_pick((None, call, CallId("older")), c),
                centre=_pick([*sorted(floor.centres), CentreId("nowhere")], a),
                number=_pick((None, "0312345678", "x"), b),
                subject=_pick(("カードの再発行", ""), b // 2),
                note=note,
                department=_pick((None, "11", "99"), a),
                agent=_pick((None, self._agent(floor, c)), a),
                due_at=None,
                by="係長",
            )
        return i.TaskAsked(
            at=self.at,
            call=call,
            note=note,
            subject=_pick(("カードの再発行", "", "あ" * 101), b),
            department=_pick((None, "11", "99"), c),
            agent=_pick((None, self._agent(floor, c)), a),
            due_at=None,
            by="係長",
        )

    def _in_net(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.CallerInNet(at=self.at, call=self._open_call(floor, a))

    def _apologised(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.CallerApologised(at=self.at, call=self._open_call(floor, a))

    def _dial_began(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        offer = self._offer(floor, a)
        known = floor.offers.get(offer)
        if known is not None and b % 4:  # as it should be
            return i.DialBegan(
                at=self.at, call=known.call, channel=self._leg(c), phone=known.phone, offer=known.round
            )
        return i.DialBegan(
            at=self.at,
            call=self._call(floor, b),
            channel=self._leg(c) if c % 5 else self._channel(floor, c),
            phone=self._phone(floor, b) if a % 5 else None,
            offer=offer if a % 2 else None,
        )

    def _dial_ended(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        return i.DialEnded(
            at=self.at,
            call=self._call(floor, b),
            channel=self._channel(floor, b),
            offer=self._offer(floor, a) if c % 4 else None,
            result=_pick([None, *OfferStage], c),
        )

    def _returned(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        return i.OfferReturned(
            at=self.at,
            call=self._call(floor, b),
            offer=self._offer(floor, a),
            result=_pick([None, *OfferStage], c),
        )

    def _not_placed(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.OfferNotPlaced(
            at=self.at, call=self._call(floor, a), offer=self._offer(floor, a), reason="not in hold"
        )

    def _bridge_entered(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Into the other party's bridge mostly."""
        channel = self._channel(floor, a)
        call = floor.call_of(channel)
        others = [leg.bridge for leg in call.legs if leg.bridge is not None] if call is not None else []
        bridge = _pick(others, b) if others and c % 4 else f"b{b % 3}"
        return i.BridgeEntered(at=self.at, bridge=bridge, channel=channel)

    def _emergency(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        centre = _pick([*sorted(floor.centres), CentreId("nowhere")], a)
        if b % 2:
            return i.EmergencyEndAsked(at=self.at, centre=centre, by="係長")
        until = None if c % 4 == 0 else Instant(self.at + (c % 7 - 1) * 10 * SECOND)
        return i.EmergencyAsked(at=self.at, centre=centre, reason="地震", by="係長", until=until)

    def _bridge_left(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        channel = self._channel(floor, a)
        call = floor.call_of(channel)
        leg = call.leg(channel) if call is not None else None
        bridge = leg.bridge if leg is not None and leg.bridge is not None and b % 4 else f"b{b % 3}"
        return i.BridgeLeft(at=self.at, bridge=bridge, channel=channel)

    def _overflowed(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        leaving = [c.id for c in floor.calls.values() if c.leaving_as is not None]
        call = _pick(sorted(leaving) or self._calls(floor), a)
        known = floor.calls.get(call)
        outcome = _pick(list(Outcome), b)
        if known is not None and known.leaving_as is not None and b % 4:
            outcome = known.leaving_as
        return i.CallerOverflowed(at=self.at, call=call, outcome=outcome)

    def _not_ended(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        call = self._open_call(floor, a)
        return i.WaitNotEnded(at=self.at, call=call, reason="not in hold", caller_gone=b % 5 == 0)

    def _paused(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        phone, agent = (self._phone(floor, a), None) if b % 3 else (None, self._agent(floor, a))
        reason = _pick(("休憩", "研修"), c)
        key = None if c % 3 else b % 10
        return i.PauseAsked(
            at=self.at, reason=reason, key=key, phone=phone, agent=agent, channel="x" if c % 2 else None
        )

    def _talk_key(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        leg = self._channel(floor, a) if b % 2 else None
        call = floor.calls.get(self._open_call(floor, a))
        if call is not None and c % 4:
            leg = call.talking_leg
        if floor.sides and a % 3 == 0:
            leg = ChannelId(self._side(floor, b))
        return i.TalkKeyed(
            at=self.at, key=_pick(list(TalkKey), c), leg=leg, phone=self._phone(floor, b), channel="x"
        )

    def _recording(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        out = sorted(side.id for side in floor.sides.values() if side.may_pause)
        call = _pick(out, a) if out and c % 3 else self._open_call(floor, a)
        talk = floor.calls.get(call) or floor.sides.get(call)
        return i.RecordingSwitched(
            at=self.at,
            call=call,
            agent=None if talk is None else talk.talking_with,
            paused=b % 2 == 0,
            done=c % 4 != 0,
            refused=c % 8 == 0,
            why=_pick([None, *PauseEnd], c),
        )

    def _stop_told(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.RecordingStopTold(at=self.at, call=self._open_call(floor, a))

    def _result(self, floor: Floor, a: int, b: int, _c: int) -> i.Input:
        return i.ResultAsked(at=self.at, key=b % 10, phone=self._phone(floor, a), channel="x")

    def _note(self, floor: Floor, a: int, b: int, _c: int) -> i.Input:
        return i.NoteAsked(at=self.at, agent=self._agent(floor, a), text="x" * (b % 300), by="user:sato")

    def _unlock(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.UnlockAsked(at=self.at, agent=self._agent(floor, a), by="user:sato")

    def _ready(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        phone, agent = (self._phone(floor, a), None) if b % 3 else (None, self._agent(floor, a))
        return i.ReadyAsked(at=self.at, phone=phone, agent=agent, channel="x" if c % 2 else None)

    def _extended(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.WrapUpExtendAsked(at=self.at, phone=self._phone(floor, a))

    def _out(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.AgentOutAsked(at=self.at, agent=self._agent(floor, a), by="上長 / supervisor")

    def _reconfigured(self, _f: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.ConfigurationChanged(at=self.at, configuration=_pick(CONFIGURATIONS, a))

    def _clock(self, _f: Floor, a: int, _b: int, _c: int) -> i.Input:
        by = _pick((600, -600, 3600, -3600, 1, -1), a) * SECOND
        self.at = Instant(self.at + by)
        return i.ClockJumped(at=self.at, by=by)

    def _late(self, _f: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.EventsLate(at=self.at, late=a % 2 == 0)

    def _hold(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        return i.HoldChanged(at=self.at, channel=self._channel(floor, a), held=b % 2 == 0)

    def _hangup_requested(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.HangupRequested(at=self.at, channel=self._channel(floor, a))

    def _gone(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        apart = [
            *floor.sides,
            *(leg for side in floor.sides.values() for leg, _ in side.legs),
            *floor.leaving,
        ]
        known = apart and c % 4 == 0
        return i.ChannelGone(
            at=self.at,
            channel=ChannelId(_pick(sorted(apart), a)) if known else self._channel(floor, a),
            cause=_pick(CAUSES, b),
            received=None if b % 3 == 0 else b * 20_000,
            before=None if c % 3 == 0 else a * 20_000,
        )

    def _device(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        device = _pick((Device.FREE, Device.FREE, Device.FREE, Device.BUSY, Device.UNREACHABLE), b)
        return i.DeviceReported(at=self.at, phone=self._phone(floor, a), device=device)

    def _judged(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        return i.PhoneJudged(
            at=self.at,
            phone=self._phone(floor, a),
            policy=_pick((Policy.MATCHED, Policy.ABSENT, *Policy), b),
            user_agent=_pick(("Yealink SIP-T46U", ""), c),
            address="192.0.2.7",
            contact=_pick(("a1", "b2", ""), c),
        )

    def _turned_away(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        reason = _pick((Policy.UNREGISTERED, Policy.CONTACTS, Policy.EMERGENCY), b)
        return i.PhoneTurnedAway(at=self.at, phone=self._phone(floor, a), reason=reason, address="192.0.2.8")

    def _timer(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        due = sorted(floor.deadlines(), key=lambda d: (d[1], d[0].kind.value, d[0].subject))
        if due and c % 4:
            timer, at = _pick(due, a)
            if c % 2:  # in time, as timers are; else as it comes
                self.at = max(self.at, at)
            return i.TimerFired(at=self.at, timer=timer)
        subject: str = self._agent(floor, a) if b % 2 else self._offer(floor, a)
        return i.TimerFired(at=self.at, timer=i.Timer(_pick(list(i.TimerKind), b), subject))

    def _sign_in(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        return i.SignInAsked(
            at=self.at,
            agent=self._agent(floor, a),
            phone=self._phone(floor, b),
            channel="PJSIP/x",
            verified=c % 5 != 0,
        )

    def _dial(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.DialAsked(at=self.at, agent=self._agent(floor, a), number="0975346111", by="user:x")

    def _watch(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        known = _pick([*sorted(floor.watches), ChannelId("w1")], b)
        if c % 4 == 0:
            return i.WatchTold(at=self.at, watch=known)
        if c % 4 == 1:
            gone = i.ChannelGone(at=self.at, channel=known, cause=16)
            return _pick((gone, i.WatchNotPlaced(at=self.at, watch=known)), a)
        watcher = _pick((None, self._agent(floor, a), self._agent(floor, a)), b)
        if c % 12 == 2:
            return i.WatchStopAsked(at=self.at, watcher=watcher, by="user:x")
        talking = [agent.id for agent in floor.agents.values() if agent.call is not None]
        agent = _pick(sorted(talking) or [self._agent(floor, b)], b)
        return i.WatchAsked(
            at=self.at, agent=agent, watcher=watcher, mode=_pick(list(WatchMode), c // 4), by="user:x"
        )

    def _taken_over(self, floor: Floor, a: int, b: int, _c: int) -> i.Input:
        """The channels of a take-over come together."""
        legs = [leg for leg in sorted(floor.watches) if leg in floor.channels]
        if not legs:
            return self._watch(floor, a, b, 2)
        leg = _pick(legs, a)
        channel = _pick((leg, ChannelId(floor.channels[leg])), b)
        return i.BridgeEntered(at=self.at, bridge=f"b-{leg}", channel=channel)

    def _supervised(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        call, agent = self._open_call(floor, a), self._agent(floor, a)
        return _pick(
            (
                i.CallerUpAsked(at=self.at, call=call, by="user:x"),
                i.CallerQueueAsked(
                    at=self.at,
                    call=call,
                    queue=_pick([*sorted(floor.queues), QueueId("none")], b),
                    by="user:x",
                ),
                i.SkillsAsked(
                    at=self.at,
                    agent=agent,
                    skills=_pick((None, (), (("en", 1),), (("en", 3), ("ja", 9)), (("x", 0),)), b),
                    by="user:x",
                ),
                i.HelpAnswerAsked(at=self.at, agent=agent, by="user:x"),
                i.ThresholdsAsked(
                    at=self.at,
                    centre=_pick([*sorted(floor.centres), CentreId("none")], a),
                    waiting=_pick((None, 0, 1, 5), b),
                    wait_s=_pick((None, 30, 9999), c),
                    by="user:x",
                ),
            ),
            c,
        )

    def _sign_out(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.SignOutAsked(at=self.at, phone=self._phone(floor, a), channel="PJSIP/x")

    def _side(self, floor: Floor, n: int) -> CallId:
        """Of a call that is no arrival, mostly; now and then of one that is, or of nobody."""
        return _pick([*sorted(floor.sides), *sorted(floor.unreached)[-2:], *self._calls(floor)[:2]], n)

    def _side_begins(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        fresh = CallId(f"o{len(floor.ended) + len(floor.sides) + c % 3:05}")
        kind = _pick(list(SideKind), b)
        return i.SideCallTold(
            at=self.at,
            node=_pick(NODES, a),
            call=fresh if c % 6 else self._side(floor, c),
            centre=_pick([*sorted(floor.centres), CentreId("nobody")], a),
            kind=kind,
            phone=None if kind is SideKind.CONTACT else self._phone(floor, a),
            number=NUMBER,
            other=_pick(("0975346111", "119", None), c),
            why="landline",
            refused=b % 7 == 0,
            beside=self._call(floor, c) if b % 2 else None,
        )

    def _moves(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        department = _pick((DepartmentId("demo-shimin"), DepartmentId("x")), b)
        return i.TransferTold(at=self.at, call=self._call(floor, a), department=department, closed=b % 5 == 0)

    def _asks_to_move(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        return i.TransferAsked(
            at=self.at, agent=self._agent(floor, a), short=_pick((None, "11", "99"), b), by="x"
        )

    def _side_dialled(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        phone = self._phone(floor, b) if c % 2 else None
        return i.SideDialBegan(at=self.at, call=self._side(floor, a), channel=self._leg(c), phone=phone)

    def _side_goes(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """One of its channels joins, asks for the end, or goes."""
        known = floor.sides.get(self._side(floor, a))
        channels = (
            [self._channel(floor, a)] if known is None else [known.channel, *(leg for leg, _ in known.legs)]
        )
        channel = _pick(channels, b)
        match c % 4:
            case 0 | 1:
                return i.BridgeEntered(at=self.at, bridge=f"s{b % 3}", channel=channel)
            case 2:
                return i.HangupRequested(at=self.at, channel=channel)
        return i.ChannelGone(at=self.at, channel=channel, cause=16)

    def _side_returned(self, floor: Floor, a: int, b: int, _: int) -> i.Input:
        return i.SideReturned(at=self.at, call=self._side(floor, a), outcome=_pick(list(SideOutcome), b))

    def _answer(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        if b % 3 == 0:
            call = _pick([*sorted(floor.answers), self._side(floor, a)], a)
            return i.AnswerDropAsked(at=self.at, call=call, reason="given")
        text = _pick(("窓口で承ります。", "", "あ" * 201), c)
        return i.AnswerAsked(at=self.at, call=self._side(floor, a), text=text)

    def _measured(self, floor: Floor, a: int, _b: int, _c: int) -> i.Input:
        call = _pick([*sorted(floor.unfiled), *self._calls(floor)], a)
        return i.RecordingMeasured(
            at=self.at, call=call, file=f"{call}.wav", size=44, seconds=0.0, sha256=None, problem="empty"
        )

    def _erasable(self, floor: Floor, n: int) -> CallId:
        """Any name that may be erased: of calls, tasks, what waits to be said, and listed callers."""
        named = (floor.recent, floor.messages, floor.answers, floor.blocked, floor.sides, floor.unfiled)
        return _pick([*(name for each in named for name in sorted(each)), *self._calls(floor)], n)

    def _kept_longer(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Orders for anything, twice, of another centre, over before they begin, or for nothing; and taken back."""
        centre = _pick([*sorted(floor.centres)] * 3 + [CentreId("nowhere")], a)
        order = _pick([*sorted(floor.keeping), f"keep-{a % 4}"], c)
        if b % 3 == 0:
            return i.KeepReleaseAsked(at=self.at, order=order, centre=centre, reason="終結", by="係長")
        return i.KeepAsked(
            at=self.at,
            order=order,
            centre=centre,
            calls=tuple(self._erasable(floor, a + n) for n in range(c % 3)),
            until=_pick((None, Instant(self.at - 1), Instant(self.at + 20 * SECOND)), b),
            reason="訴訟",
            by="係長",
        )

    def _erased(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Of calls that go on, are kept or unknown, too, and once more."""
        call = self._erasable(floor, a)
        return i.EraseAsked(
            at=self.at,
            call=call,
            about=call if c % 3 else self._erasable(floor, b),
            centre=_pick([*sorted(floor.centres)] * 3 + [CentreId("nowhere")], b),
            recordings=(str(call),) * (c % 2),
            personal=b % 4 != 0,
            erasure="erase-1",
            reason="満了",
            by="係長",
        )

    def _marked(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Of calls of any time, twice, of a centre that is none, and taken away where it never was."""
        return i.MarkAsked(
            at=self.at,
            call=self._erasable(floor, a),
            centre=_pick([*sorted(floor.centres)] * 3 + [CentreId("nowhere")], b),
            mark=_pick([*RecordingMark], c),
            on=b % 2 == 0,
            by="係長",
        )

    def _sealed(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """A line of a chain, told again, or one behind it; of a call that is known or not."""
        folder = _pick(("demo", "_unassigned", *sorted(floor.chained)), a)
        day, line = floor.chained.get(folder, ("2026-11-20", 1))
        call = _pick([None, *self._calls(floor)], b)
        return i.RecordingSealed(
            at=self.at,
            name=f"{call}",
            call=call,
            kind=_pick([None, *RecordingKind], c),
            folder=folder,
            day=day,
            line=line + c % 3 - 1,
            format="wav",
            seconds=0.0,
            captured_size=44,
            captured_sha256="ab",
            size=44,
            sha256="ab",
            stored_size=99,
            stored_sha256="cd",
            key_period="2026-11",
            kept_at=self.at,
        )

    def _dropped(self, _f: Floor, a: int, _b: int, _c: int) -> i.Input:
        return i.LinkDropped(at=self.at, node=_pick(NODES, a))

    def _run_begins(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        run = floor.run + 1 if a % 4 else max(1, floor.run - 1)
        chosen = _pick(CONFIGURATIONS, b) if c % 2 else CONFIGURATIONS[0]
        return i.RunBegins(at=self.at, run=run, software="test", configuration=chosen)

    def _snapshot(self, floor: Floor, a: int, b: int, c: int) -> i.Input:
        """Some of what is there, some of what is not, at places that do not fit."""
        seen: list[i.ChannelSeen] = []
        calls = self._calls(floor)
        for n, call in enumerate(calls):
            mix = a * 31 + b * 17 + c * 7 + n * 13
            if mix % 3 == 0:
                continue
            bridge = f"b{mix % 3}" if mix % 4 == 0 else None
            seen.append(self._seen(ChannelId(call), call, bridge, None, mix))
            if mix % 5 < 2:
                known = floor.calls.get(call)
                legs = [leg.channel for leg in known.legs[1:]] if known is not None else []
                leg = _pick(legs, mix) if legs and mix % 2 else self._channel(floor, mix)
                seen.append(self._seen(leg, call, bridge, self._phone(floor, mix), mix // 2))
        traces = tuple(self._trace(call, floor, a + n) for n, call in enumerate(calls) if (b + n) % 3 == 0)
        return i.Snapshot(
            at=self.at,
            node=_pick(NODES, a),
            first=c % 3 != 0,
            channels=tuple(seen),
            devices=tuple((p, _pick(list(Device), a + n)) for n, p in enumerate(sorted(floor.phones))),
            members=(i.Member(QueueId("demo-general"), self._phone(floor, c), a % 3 == 0),),
            traces=traces if c % 2 else (),
            sides=tuple(self._side_trace(floor, a + n) for n in range(b % 3)),
        )

    def _side_trace(self, floor: Floor, n: int) -> i.SideTraced:
        kind = _pick(list(SideKind), n)
        call = self._side(floor, n) if n % 3 else CallId(f"o{len(floor.ended) + n % 4:05}")
        return i.SideTraced(
            call=call,
            centre=_pick([*sorted(floor.centres), CentreId("nobody")], n),
            kind=kind,
            phone=None if kind is SideKind.CONTACT else self._phone(floor, n),
            number=NUMBER,
            other="0975346111",
            why="landline",
            began=Instant(self.at - 50 * SECOND),
            connected=Instant(self.at - 40 * SECOND) if n % 2 else None,
            with_phone=self._phone(floor, n) if kind is SideKind.CONTACT else None,
            outcome=_pick([None, *SideOutcome], n),
            ended=Instant(self.at - (n % 30) * SECOND) if n % 4 else None,
            hung_up_by=_pick(list(Party), n),
            refused=n % 9 == 0,
            beside=self._call(floor, n) if n % 5 < 2 else None,
        )

    def _seen(
        self, channel: ChannelId, call: CallId, bridge: str | None, phone: PhoneId | None, n: int
    ) -> i.ChannelSeen:
        context = _pick(CONTEXTS, n)
        waits = {"callcore-hold": "WaitForCondition", "callcore-net": "Queue"}.get(context, "Dial")
        return i.ChannelSeen(
            id=channel,
            name=f"PJSIP/x-{channel}",
            context=context,
            application=waits if n % 6 else "Playback",
            bridge=bridge,
            call=call if n % 9 else None,
            offer=None,
            phone=phone,
            number=NUMBER if n % 7 else None,
            caller=None,
            created=Instant(self.at - (n % 40) * SECOND),
            entered=Instant(self.at - (n % 20) * SECOND) if n % 2 else None,
            held=(None, True, False)[n % 3],
            linked=None if n % 4 else ChannelId(call) if call is not None else channel,
        )

    def _keyed(self, call: CallId, n: int) -> i.MenuKeyed:
        at = Instant(self.at - n % 20 * SECOND)
        return i.MenuKeyed(at=at, call=call, menu="m", key="1", choice=_pick(list(Choice), n))

    def _trace(self, call: CallId, floor: Floor, n: int) -> i.CallTraced:
        def some(k: int) -> Instant | None:
            return Instant(self.at - (n * k % 30) * SECOND) if (n + k) % 3 else None

        return i.CallTraced(
            call=call,
            number=NUMBER if n % 8 else "0000",
            caller=None,
            name=f"PJSIP/x-{call}",
            arrived=Instant(self.at - 40 * SECOND),
            open=_pick((True, True, False, None), n),
            entered=some(1),
            net=some(3) if n % 2 else None,
            answered=some(2),
            phone=self._phone(floor, n) if n % 4 else None,
            talk_ended=some(4),
            ended=some(5),
            hung_up_by=_pick(list(Party), n),
            overflow=(self.at, Outcome.OVERFLOW_FULL) if n % 5 == 1 else None,
            held=some(6),
            menus=(self._keyed(call, n),) if n % 3 == 0 else (),
            forwarded=i.CallerForwarded(
                at=Instant(self.at - n % 20 * SECOND), call=call, channel=self._leg(n), recorded=n % 2 == 0
            )
            if n % 6 == 3
            else None,
            forward_ended=some(3),
            blocked=n % 4 == 2,
            insisted=some(6) if n % 8 == 2 else None,
            moved=some(5) if n % 6 == 1 else None,
            moved_to=self._leg(n) if n % 4 == 1 else None,
            moved_ended=some(7) if n % 3 == 1 else None,
            back=some(8) if n % 5 == 2 else None,
            returned=i.MovedTraced(since, some(9) or self.at, self._leg(n), None)
            if n % 5 == 2 and (since := some(7)) is not None
            else None,
            passed=(i.MovedTraced(before, some(6) or self.at, None, None),)
            if n % 7 == 1 and (before := some(4)) is not None
            else (),
            last=Instant(self.at - n % 10 * SECOND),
        )
