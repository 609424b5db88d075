"""One step in the making, and the decisions that several inputs share.

`Turn` collects the facts that were told so far, the floor with them folded in, and the effects that are wanted.
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain import routing
from callcore.domain.admission import outcome_at_end, reason_of_end
from callcore.domain.agent import AgentState
from callcore.domain.call import Call, Leg
from callcore.domain.floor import Floor, evolve
from callcore.domain.ids import (
    AgentId,
    CallId,
    ChannelId,
    Instant,
    OfferId,
    PhoneId,
    VisitId,
    after,
    seconds,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Device, OfferStage, Outcome, Party, Stage, Work

CLOCK_TICK = 10_000
"""Microseconds by which the second in a channel's unique id may lag its first event's stamp: the coarse clock of
Linux ticks every 1 to 10 ms (time(2), CONFIG_HZ)."""
LAST_PRIORITY = 9
"""Of a caller whose queue was taken out of the files meanwhile: there is nobody to be served before."""


class Turn:
    """One step in the making: facts told so far, the floor with them folded in, and what is wanted."""

    def __init__(self, floor: Floor, at: Instant) -> None:
        self.floor = floor
        self.at = at
        self.facts: list[f.Fact] = []
        self.effects: list[e.Effect] = []
        self.disregarded: str | None = None

    def tell(self, fact: f.Fact) -> None:
        self.floor = evolve(self.floor, fact)
        self.facts.append(fact)

    def want(self, effect: e.Effect) -> None:
        self.effects.append(effect)

    def disregard(self, why: str) -> None:
        self.disregarded = why

    # -- the small decisions that several inputs share --------------------------------------------------------

    def call(self, name: CallId) -> Call | None:
        return self.floor.calls.get(name)

    def begin_visit(
        self, call: Call, at: Instant, *, entered: Instant | None = None, reconstructed: bool = False
    ) -> None:
        """The caller stands on the waiting line (again)."""
        queue = self.floor.queues.get(call.queue)
        self.tell(
            f.VisitBegan(
                at=at,
                call=call.id,
                visit=VisitId(f"{call.id}/{call.visits + 1}"),
                queue=call.queue,
                priority=LAST_PRIORITY if queue is None else queue.priority,
                since=call.entered_at or entered or at,
                reconstructed=reconstructed,
            )
        )

    def fail_offer(
        self,
        offer: OfferId,
        at: Instant,
        result: OfferStage,
        reason: str,
        *,
        rest_s: int = 0,
        reconstructed: bool = False,
    ) -> None:
        """Close an open offer without an answer and let the agent rest as the queue says, or for `rest_s`."""
        open_offer = self.floor.offers[offer]
        call = self.floor.calls[open_offer.call]
        queue = self.floor.queues.get(call.visit.queue) if call.visit is not None else None
        rest = rest_s
        if queue is not None:
            rest = {
                OfferStage.NO_ANSWER: queue.rest_no_answer_s,
                OfferStage.REJECTED: queue.rest_reject_s,
                OfferStage.BUSY: queue.rest_busy_s,
                OfferStage.UNREACHABLE: queue.rest_unreachable_s,
            }.get(result, rest_s)
        until = after(at, seconds(rest)) if rest else None
        self.tell(
            f.OfferFailed(
                at=at,
                offer=offer,
                call=call.id,
                agent=open_offer.agent,
                result=result,
                rest_until=until,
                reason=reason,
                reconstructed=reconstructed,
            )
        )
        if until is not None:
            self.want(e.SetTimer(i.Timer(i.TimerKind.REST, open_offer.agent), until))

    def end_talk(self, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
        """Agent and caller parted: after-call work begins."""
        until = None
        agent = call.talking_with
        if agent is not None:
            queue = self.floor.queues.get(call.queue)
            acw = queue.acw_s if queue is not None else 0
            until = after(at, seconds(acw)) if acw else None
            if until is not None and reconstructed and until <= self.at:
                until = None  # over meanwhile: how long it really took is not known, and is not made up
        self.tell(
            f.TalkEnded(at=at, call=call.id, agent=agent, wrap_up_until=until, reconstructed=reconstructed)
        )
        if until is not None and agent is not None:
            self.want(e.SetTimer(i.Timer(i.TimerKind.WRAP_UP, agent), until))

    def answer(self, call: Call, at: Instant, leg: Leg, *, reconstructed: bool = False) -> None:
        """Caller and phone are in one bridge. Whatever offer is open elsewhere is closed first."""
        offer = leg.offer if leg.offer is not None and call.offer == leg.offer else None
        if call.offer is not None and offer is None:
            self.fail_offer(call.offer, at, OfferStage.WITHDRAWN, "別の電話機が応答 / another phone answered")
            call = self.floor.calls[call.id]
        agent = leg.agent
        if offer is not None:
            agent = self.floor.offers[offer].agent
        if agent is not None and offer is None:
            agent = self._free_for_net(agent, at)
        self.tell(
            f.CallAnswered(
                at=at,
                call=call.id,
                agent=agent,
                phone=leg.phone,
                offer=offer,
                by_net=offer is None,
                channel=None if call.leg(leg.channel) is None else leg.channel,
                reconstructed=reconstructed,
            )
        )

    def _free_for_net(self, name: AgentId, at: Instant) -> AgentId | None:
        """An agent whom the safety net rang may be reserved by us for another caller; that offer is withdrawn."""
        agent = self.floor.agents.get(name)
        if agent is None or agent.work is Work.TALKING:
            return None
        if agent.offer is not None:
            self.fail_offer(
                agent.offer, at, OfferStage.WITHDRAWN, "非常時分配が先に応答 / the safety net was first"
            )
        return name

    def end_call(self, call: Call, at: Instant, by: Party, *, reconstructed: bool = False) -> None:
        """The arriving channel is gone: close what is open, then the call, in one outcome."""
        if call.offer is not None:
            self.fail_offer(
                call.offer,
                at,
                OfferStage.CALLER_GONE,
                "入電者が先に切断 / the caller had gone",
                reconstructed=reconstructed,
            )
        if self.floor.calls[call.id].stage is Stage.TALKING:
            self.end_talk(self.floor.calls[call.id], at, reconstructed=reconstructed)
        ending = self.floor.calls[call.id]
        centre = self.floor.centres.get(call.centre)
        outcome = outcome_at_end(ending, at, by, centre.short_abandon_s if centre is not None else 0)
        if ending.stage is Stage.ARRIVED and centre is not None:
            # Gone before the dialplan's decision was told: the calendar says whether it was due an agent.
            outcome = outcome if centre.calendar.judge(ending.arrived_at)[0] else Outcome.CLOSED
        self.tell(
            f.CallEnded(
                at=at,
                call=call.id,
                outcome=outcome,
                hung_up_by=by,
                reason=reason_of_end(call, outcome, by),
                reconstructed=reconstructed,
            )
        )

    def match(self) -> None:
        """Offer every waiting caller for whom somebody fits, and arm the offers' bounds."""
        if not self.floor.linked:
            return
        for call, agent in routing.pairs(self.floor):
            self._offer(call, agent)

    def _offer(self, call: Call, agent: AgentState) -> None:
        assert call.visit is not None and agent.phone is not None
        queue = self.floor.queues[call.visit.queue]
        at = max(self.at, self.floor.at)
        offer = OfferId(f"{self.floor.run}.{self.floor.offers_made + 1}")
        self.tell(
            f.OfferMade(
                at=at,
                offer=offer,
                call=call.id,
                visit=call.visit.id,
                agent=agent.id,
                phone=agent.phone,
                ring_s=queue.ring_s,
                reasons=routing.reasons(self.floor, call, agent, at),
            )
        )
        self.want(e.OfferCall(offer, call.id, call.channel_name, agent.phone, queue.ring_s))
        self.want(e.SetTimer(i.Timer(i.TimerKind.OFFER, offer), self.floor.offers[offer].overdue_at))


def arrive(turn: Turn, told: i.ChannelArrived, *, reconstructed: bool = False) -> Call | None:
    """A new call, unless it is known, over, or for no number of ours."""
    name = CallId(told.channel)
    if name in turn.floor.calls or name in turn.floor.ended:
        turn.disregard("既知の着信 / this call is known")
        return None
    if told.channel in turn.floor.channels:
        turn.disregard("別の呼の電話機 / a phone's channel of another call")
        return None
    found = turn.floor.number(told.number)
    if found is None:
        turn.disregard(f"番号 {told.number} は登録なし / number {told.number} is in no centre file")
        return None
    centre, number = found
    turn.tell(
        f.CallArrived(
            at=told.at,
            call=name,
            node=told.node,
            channel_name=told.name,
            centre=centre.id,
            number=number.digits,
            queue=number.queue,
            caller=Personal(name, centre.id, told.at, told.caller),
            reconstructed=reconstructed,
        )
    )
    return turn.floor.calls[name]


def admit(
    turn: Turn, call: Call, at: Instant, told_open: bool, source: str, *, reconstructed: bool = False
) -> None:
    """Write down what the dialplan decided, and whether the calendar agrees for the instant of arrival."""
    centre = turn.floor.centres.get(call.centre)
    told = f"({source})"
    if centre is None:
        judged: tuple[bool, ...] = (told_open,)
        words = "センター設定なし / no such centre now"
    else:
        was_open, why = centre.calendar.judge(call.arrived_at)
        # Asterisk names a channel by a clock that may be one tick behind the stamp of its first event.
        ticked, _ = centre.calendar.judge(Instant(call.arrived_at - CLOCK_TICK))
        judged = (was_open, ticked)
        words = f"{why.ja} / {why.en}"
    if told_open:
        turn.tell(f.CallAdmitted(at=at, call=call.id, reason=f"{words} {told}", reconstructed=reconstructed))
    else:
        turn.tell(
            f.CallRefused(
                at=at,
                call=call.id,
                outcome=Outcome.CLOSED,
                reason=f"{words} {told}",
                reconstructed=reconstructed,
            )
        )
    if told_open not in judged:
        turn.tell(
            f.AdmissionDiffered(
                at=at, call=call.id, told_open=told_open, calendar=words, reconstructed=reconstructed
            )
        )


def give_up(turn: Turn, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
    """The safety net's time is over. Who ends here is *failed* (definitions), also when putting down during it."""
    turn.tell(
        f.CallGivenUp(
            at=at,
            call=call.id,
            outcome=Outcome.FAILED,
            reason="非常時分配の制限時間が過ぎた / the safety net's time was over",
            reconstructed=reconstructed,
        )
    )


def joined(turn: Turn, name: CallId, channel: ChannelId, at: Instant) -> None:
    """If this channel has come to where the caller and a phone are now, and no talk is on, this is the answer."""
    call = turn.floor.calls[name]
    if call.bridge is None or call.stage is Stage.TALKING or call.refused_as is not None:
        return
    for leg in call.legs[1:]:
        if leg.bridge == call.bridge and channel in (call.channel, leg.channel):
            turn.answer(call, at, leg)
            return


def device_is(turn: Turn, phone: PhoneId, device: Device, at: Instant) -> None:
    known = turn.floor.phones.get(phone)
    if known is None:
        turn.disregard("センターの電話機ではない / no phone of a centre file")
    elif known is device:
        turn.disregard("状態は同じ / no change")
    else:
        turn.tell(f.DeviceChanged(at=at, phone=phone, device=device))


def sign_out(turn: Turn, agent: AgentState, at: Instant, reason: str) -> None:
    assert agent.phone is not None
    turn.tell(f.AgentSignedOut(at=at, agent=agent.id, reason=reason))
    for queue in agent.queues:
        turn.want(e.RemoveMember(queue, agent.phone))
