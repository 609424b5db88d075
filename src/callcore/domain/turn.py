"""One step in the making, and the decisions that several inputs share.

`Turn` collects the facts that were told so far, the floor with them folded in, and the effects that are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping

from callcore.domain import comfort, estimate, overflow, routing, shown
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.admission import outcome_at_end, reason_of_end
from callcore.domain.agent import NO_ANSWER_PAUSE, AgentState
from callcore.domain.blocked import PUSH_SETTLES_S, plain
from callcore.domain.blocked import found as unwelcome
from callcore.domain.call import Call, Leg
from callcore.domain.callback import SAFE_S, Callback, CallbackState
from callcore.domain.centre import (
    OUTCOMES,
    OUTGOING_ACW_S,
    PHRASE_MOST_S,
    Callbacks,
    Centre,
    Configuration,
    Display,
    Number,
    Overflow,
    RecordAfter,
    Unwelcome,
)
from callcore.domain.evolve import AGAIN_S, evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    OfferId,
    PhoneId,
    QueueId,
    VisitId,
    after,
    seconds,
)
from callcore.domain.message import LEAST_S
from callcore.domain.numbering import national
from callcore.domain.personal import Personal
from callcore.domain.sides import Answer, SideCall
from callcore.domain.stages import (
    OWN_DOING,
    Choice,
    Device,
    OfferStage,
    Outcome,
    Party,
    PauseEnd,
    Presence,
    SideKind,
    SideOutcome,
    Stage,
    Treatment,
    Work,
)

CLOCK_TICK = 10_000
"""Microseconds by which the second in a channel's unique id may lag its first event's stamp: the coarse clock of
Linux ticks every 1 to 10 ms (time(2), CONFIG_HZ)."""
SERVED = frozenset({Outcome.COMPLETED, Outcome.TRANSFERRED_ATTENDED, Outcome.TRANSFERRED_BLIND})
"""The caller was talked with to the end, so that nothing waits to be told."""
LAST_PRIORITY = 9
"""Of a caller whose queue was taken out of the files meanwhile: there is nobody to be served before."""
STEP_SETTLES_S = 2
"""Seconds after a step of the clock within which the rings that Asterisk ended for it are told. They come at once."""
RELAY_ACW_S = 86_400
"""After-call work of a relay-service call has no end of its own; a phone that everybody left is free after a day."""
PHRASE_GRACE_S = 3
"""Seconds beyond the longest phrase within which the caller's way back is told; then it is taken for granted."""
KNOWN_KEY = "known"
"""The dialplan's word for the key that was not asked for, because the language was remembered."""
OVERFLOW_AGAIN_S = 1
"""Seconds after which an overflow that was not carried out is tried again."""
RECORD_AGAIN_S = 2
"""Seconds after which a recording that is not known to go on is tried to be switched on again."""


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
        self._watch_pause(getattr(fact, "agent", None))

    def _watch_pause(self, name: AgentId | None) -> None:
        """A pause that has a limit begins with whatever fact ends the agent's work."""
        agent = self.floor.agents.get(name) if name is not None else None
        due = None if agent is None else agent.pause_due
        if due is not None and name is not None:
            self.want(e.SetTimer(i.Timer(i.TimerKind.PAUSE, name), max(due, self.at)))

    def want(self, effect: e.Effect) -> None:
        self.effects.append(effect)

    def disregard(self, why: str) -> None:
        self.disregarded = why

    # -- the small decisions that several inputs share --------------------------------------------------------

    def call(self, name: CallId) -> Call | None:
        return self.floor.calls.get(name)

    def begin_visit(
        self,
        call: Call,
        at: Instant,
        *,
        queue: QueueId | None = None,
        reasons: tuple[str, ...] = (),
        entered: Instant | None = None,
        by: str | None = None,
        notice: str | None = None,
        reconstructed: bool = False,
    ) -> None:
        """The caller stands on the waiting line (again), or moves to another queue (`by`: the person's doing). Who is
        to be called back is that no more: the call takes over the place."""
        for back in _kept_for(self.floor, call.centre, call.caller.text):
            cancel_callback(self, back, at, by_call=call.id, reconstructed=reconstructed)
        call = self.floor.calls[call.id]
        if reconstructed:
            self.recorded_again(call)
        name = queue or self.queue_now(call)
        spec = self.floor.queues.get(name)
        priority = LAST_PRIORITY if spec is None else spec.priority
        if call.priority is not None:
            priority = call.priority
            reasons += (call.priority_reason,) if call.priority_reason is not None else ()
        since = call.entered_at or entered or at
        if call.kept is not None:
            priority, since = min((priority, since), call.kept)
            reasons += (KEPT,)
        place = (priority, since, call.id)
        wait = None if reconstructed else estimate.wait_s(self.floor, name, place, self.language_needed(call))
        self.tell(
            f.VisitBegan(
                at=at,
                call=call.id,
                visit=VisitId(f"{call.id}/{call.visits + 1}"),
                queue=name,
                priority=priority,
                since=since,
                position=None if reconstructed else self.floor.ahead(name, place) + 1,
                estimate_s=None if wait is None else round(wait, 1),
                reasons=reasons,
                language=self.language_needed(call),
                by=by,
                notice=notice,
                reconstructed=reconstructed,
            )
        )
        if name != call.queue:
            self.want(e.MoveCaller(call.id, call.channel_name, name))
        self.watch_wait(call.id)

    def language_needed(self, call: Call) -> str | None:
        """What the agent must speak by skill: a language that was chosen, but for the centre's first one, which
        everybody speaks."""
        centre = self.floor.centres.get(call.centre)
        first = centre.languages[0] if centre is not None else None
        return call.language if call.language != first else None

    def queue_now(self, call: Call) -> QueueId:
        """The call's queue, or the one of its number if that was taken out of the files; if both were, its own."""
        found = self.floor.number(call.number) if call.queue not in self.floor.queues else None
        return call.queue if found is None else found[1].queue

    def house(self, call: Call, at: Instant) -> None:
        """A caller who waits where no queue is any more goes on in the number's."""
        name = self.queue_now(call)
        if call.stage is Stage.WAITING and call.given_up_as is None and name != call.queue:
            self.move(
                call, at, name, ("待ち行列が設定からなくなった / the queue was taken out of the files",)
            )

    def watch_wait(self, name: CallId) -> None:
        """Arm the timer for what time alone next changes about this caller's wait."""
        due = self.floor.wait_due(self.floor.calls[name], self.at)
        if due is not None:
            self.want(e.SetTimer(i.Timer(i.TimerKind.WAIT, name), max(due, self.at)))

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
        if open_offer.withdrawn and result is not OfferStage.CALLER_GONE:
            result, reason = OfferStage.WITHDRAWN, "取り下げ / withdrawn"
        stepped = self.floor.stepped_at
        if result in OWN_DOING and stepped is not None and 0 <= at - stepped <= STEP_SETTLES_S * SECOND:
            # Asterisk ends every ring when its clock is set ahead: nobody missed anything.
            result, reason = (
                OfferStage.WITHDRAWN,
                "時計の変更で呼出が終わった / the ring ended with a step of the clock",
            )
        queue = self.floor.queues.get(self.queue_now(call))
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
        if result in OWN_DOING:
            self._missed(self.floor.agents[open_offer.agent], at)
        if self.floor.calls[call.id].stage is Stage.WAITING:
            self.house(self.floor.calls[call.id], at)
            self.watch_wait(call.id)  # a limit may have passed while the phone rang

    def _missed(self, agent: AgentState, at: Instant) -> None:
        """Who misses too many offers in a row is not there, whatever the phone says."""
        centre = self.floor.centres.get(agent.centre)
        bound = centre.pause_after_misses if centre is not None else 0
        if bound and agent.misses >= bound and agent.presence is Presence.READY:
            pause(self, agent, at, NO_ANSWER_PAUSE, "callcore")

    def fail_round(
        self,
        call: Call,
        at: Instant,
        result: OfferStage,
        reason: str,
        *,
        rest_s: int = 0,
        reconstructed: bool = False,
    ) -> None:
        """Close every offer of the call that is open."""
        for offer in call.ringing:
            self.fail_offer(offer, at, result, reason, rest_s=rest_s, reconstructed=reconstructed)

    def end_talk(self, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
        """Agent and caller parted: after-call work begins."""
        until = None
        agent = call.talking_with
        if agent is not None:
            queue = self.floor.queues.get(call.queue)
            acw = queue.acw_s if queue is not None else 0
            if acw and call.relay:
                acw = RELAY_ACW_S
            until = after(at, seconds(acw)) if acw else None
            if until is not None and reconstructed and until <= self.at:
                until = None  # over meanwhile: how long it really took is not known, and is not made up
        self.tell(
            f.TalkEnded(at=at, call=call.id, agent=agent, wrap_up_until=until, reconstructed=reconstructed)
        )
        self.record_on(call, PauseEnd.TALK_ENDED)
        if until is not None and agent is not None:
            self.want(e.SetTimer(i.Timer(i.TimerKind.WRAP_UP, agent), until))
        for watch in self.floor.watches.values():
            if watch.call == call.id and self.floor.channels.get(watch.id) != call.id:
                self.want(e.HangUp(watch.id))  # who has not picked up yet would come too late

    def record_on(self, call: Call | SideCall, why: PauseEnd) -> None:
        """A paused recording is to go on. Until it is told that it does, it is tried again (`pausing.timer`)."""
        if call.unrecorded_since is not None:
            self.want(e.SwitchRecording(call.id, call.channel_name, False, why=why))
            again = after(self.at, seconds(RECORD_AGAIN_S))
            self.want(e.SetTimer(i.Timer(i.TimerKind.RECORDING, call.id), again))

    def recorded_again(self, call: Call) -> None:
        """The dialplan, which a caller who left an agent unseen came to, had a paused recording go on."""
        if call.unrecorded_since is not None and call.parted_at is not None:
            at = max(call.parted_at, call.unrecorded_since)
            self.tell(f.RecordingResumed(at=at, call=call.id, why=PauseEnd.TALK_ENDED))

    def end_watch(self, watch: ChannelId, at: Instant, reason: str) -> None:
        """A supervisor's phone is at somebody else's talk no more."""
        known = self.floor.watches[watch]
        self.tell(f.WatchEnded(at=at, watch=watch, call=known.call, watcher=known.watcher, reason=reason))

    def answer(self, call: Call, at: Instant, leg: Leg, *, reconstructed: bool = False) -> None:
        """Caller and phone are in one bridge. Whatever offer is open elsewhere is closed first."""
        if leg.channel in self.floor.watches:
            self.end_watch(leg.channel, at, "引き継いだ / took over")
        offer = leg.offer if leg.offer in call.ringing else None
        for other in call.ringing:
            if other != offer:
                self.fail_offer(other, at, OfferStage.WITHDRAWN, "別の電話機が応答 / another phone answered")
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
                by_net=offer is None and leg.side is None,
                escalated=leg.side is not None,
                channel=None if call.leg(leg.channel) is None else leg.channel,
                reconstructed=reconstructed,
            )
        )
        if leg.side is not None and not reconstructed:
            # Whom the first phone held: joined by callcore-join, no resuming is told of it.
            self.want(e.MarkHeld(call.id, call.channel_name, False))

    def _free_for_net(self, name: AgentId, at: Instant) -> AgentId | None:
        """An agent whom the safety net rang may be reserved by us for another caller; that offer is withdrawn."""
        agent = self.floor.agents.get(name)
        if agent is None or agent.work in (Work.TALKING, Work.CALLING_OUT):
            return None
        if agent.offer is not None:
            self.fail_offer(
                agent.offer, at, OfferStage.WITHDRAWN, "非常時分配が先に応答 / the safety net was first"
            )
        return name

    def records_to_the_end(self, call: Call) -> bool:
        """What caller and department say to one another is kept, by the rule of the centre."""
        centre = self.floor.centres.get(call.centre)
        return centre is None or centre.transfers.record_after is RecordAfter.END

    def stop_recording(self, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
        """Nothing is kept of the caller's talk with the department, until `at` or later, unless the rule lets it."""
        transfer = call.transfer
        if call.stage is not Stage.TRANSFERRED or transfer is None or transfer.unrecorded:
            return
        if not self.records_to_the_end(call):
            self.tell(
                f.RecordingStopped(at=at, call=call.id, since=transfer.since, reconstructed=reconstructed)
            )

    def end_transfer(self, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
        """Caller and department are no longer together, and the caller is still there."""
        self.stop_recording(call, at, reconstructed=reconstructed)
        self.tell(f.TransferEnded(at=at, call=call.id, reconstructed=reconstructed))

    def end_call(
        self,
        call: Call,
        at: Instant,
        by: Party,
        *,
        received: int | None = None,
        reconstructed: bool = False,
    ) -> None:
        """The arriving channel is gone: close what is open, then the call, in one outcome. `received`: of the fact."""
        self.fail_round(
            call,
            at,
            OfferStage.CALLER_GONE,
            "入電者が先に切断 / the caller had gone",
            reconstructed=reconstructed,
        )
        if self.floor.calls[call.id].stage is Stage.TALKING:
            self.end_talk(self.floor.calls[call.id], at, reconstructed=reconstructed)
        self.stop_recording(self.floor.calls[call.id], at, reconstructed=reconstructed)
        ending = self.floor.calls[call.id]
        centre = self.floor.centres.get(call.centre)
        short_s = centre.short_abandon_s if centre is not None else 0
        outcome = outcome_at_end(ending, at, by, short_s)
        # Who spoke after the tone and had an agent afterwards, unseen, has said it.
        spoke, still = ending.speaks_since, ending.stage in (Stage.ANNOUNCED, Stage.WAITING)
        if spoke is not None and still and at >= after(spoke, seconds(LEAST_S)):
            self.leave_message(ending, at, otherwise=outcome, reconstructed=reconstructed)
            ending = self.floor.calls[call.id]
            outcome = outcome_at_end(ending, at, by, short_s)
        if ending.stage is Stage.ARRIVED and centre is not None:
            # Gone before the dialplan's decision was told: the calendar says whether it was due an agent.
            outcome = _due_as(self.floor, centre, ending.arrived_at) or outcome
        if ending.abuse:
            self.want(e.ProtectRecording(call.id))  # once more: there may have been no file yet
        self.tell(
            f.CallEnded(
                at=at,
                call=call.id,
                outcome=outcome,
                hung_up_by=by,
                reason=reason_of_end(ending, outcome, by),
                received=received,
                reconstructed=reconstructed,
            )
        )
        if call.id in self.floor.answers and outcome in SERVED:
            drop_answer(self, call.id, at, "その入電で応対した / served in that call")

    def leave_message(
        self,
        call: Call,
        at: Instant,
        *,
        otherwise: Outcome | None = None,
        cut: bool = False,
        reconstructed: bool = False,
    ) -> None:
        """What the caller said is a task from now on, unless this call has one. `otherwise`, `cut` as in the fact."""
        if call.id in self.floor.messages:
            return
        self.tell(
            f.MessageLeft(
                at=at,
                call=call.id,
                centre=call.centre,
                queue=self.queue_now(call),
                language=call.language,
                due_at=self.due_at(call.centre, at),
                otherwise=otherwise,
                cut=cut,
                reconstructed=reconstructed,
            )
        )

    def due_at(self, name: CentreId, at: Instant) -> Instant:
        """Until when somebody of the centre is to deal with what a caller leaves now."""
        centre = self.floor.centres.get(name)
        due = centre.calendar.after_open(at, centre.messages.due_s) if centre is not None else None
        return at if due is None else due

    def ask_back(self, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
        """The caller keeps the place in the line and is called back."""
        # Two calls of one number at once: it is called back once, in the better place.
        for other in _kept_for(self.floor, call.centre, call.caller.text):
            if other.id != call.id:
                cancel_callback(self, other, at, by_call=call.id, reconstructed=reconstructed)
        call = self.floor.calls[call.id]
        visit = call.visit
        queue = self.queue_now(call) if visit is None else visit.queue
        spec = self.floor.queues.get(queue)
        own = call.priority or (LAST_PRIORITY if spec is None else spec.priority), at
        place = own if visit is None else (visit.priority, visit.since)
        priority, since = place if call.kept is None else min(place, call.kept)
        self.tell(
            f.CallbackAsked(
                at=at,
                call=call.id,
                centre=call.centre,
                queue=queue,
                priority=priority,
                since=since,
                language=self.language_needed(call),
                reconstructed=reconstructed,
            )
        )

    def watch_callback(self, name: CallId) -> None:
        """Arm the timer for when a call-back may be tried again."""
        back = self.floor.callbacks.get(name)
        if back is not None and back.not_before is not None:
            self.want(e.SetTimer(i.Timer(i.TimerKind.CALLBACK, name), max(back.not_before, self.at)))

    def _call_back(self, match: routing.Recall) -> None:
        """It is this caller's turn: write the attempt down, and have the agent's phone rung."""
        back, agent = match.back, match.agent
        at = max(self.at, self.floor.at)
        centre = self.floor.centres[back.centre]
        assert agent.phone is not None
        assert back.number is not None
        outgoing = centre.outgoing
        ours = outgoing.number if outgoing is not None else min(each.digits for each in centre.numbers)
        # No unique id of Asterisk's own has a 0 in front behind the dot.
        side = CallId(f"{back.node}-{at // SECOND}.0{self.floor.callbacks_tried + 1}")
        queue = self.floor.queues[back.queue]
        why = routing.recall_reasons(match, queue, at)
        self.tell(f.CallbackTried(at=at, call=back.id, side=side, agent=agent.id, reasons=why))
        side_begins(
            self,
            i.SideCallTold(
                at=at,
                node=back.node,
                call=side,
                centre=back.centre,
                kind=SideKind.OUTGOING,
                phone=agent.phone,
                number=ours,
                other=back.number,
                why="callback",
            ),
        )
        language, attempt = back.language or centre.languages[0], back.attempts + 1
        listed = unwelcome(self.floor.blocked.values(), centre.id, back.number, at) is not None
        home = self.floor.centres.get(agent.centre)
        phones = home.phones if home is not None else ()
        roman = any(each.id == agent.phone and each.display is Display.ROMAN for each in phones)
        note = _callback_note(self.floor, centre, back, attempt, at)[roman]
        waited_s = max(0, at - back.since) // SECOND
        number = national(back.number)
        self.want(
            e.CallBack(
                side,
                agent.phone,
                number,
                queue.ring_s,
                centre=centre.id,
                language=language,
                attempt=attempt,
                shown=shown.citizen(centre, language, number, waited_s, note, listed=listed, roman=roman),
                listed=listed,
            )
        )

    def match(self) -> None:
        """Offer every waiting caller for whom somebody fits; then let overflow whoever must; until neither is left."""
        if not self.floor.linked:
            return
        for call, announcement, why in overflow.shut(self.floor, max(self.at, self.floor.at)):
            self._end_wait(call, Outcome.OVERFLOW_NO_AGENT, Treatment.ANNOUNCE, why, announcement)
        while True:
            now = max(self.at, self.floor.at)
            backs = self.floor.callbacks_due(now) if self.floor.free else []
            for match in routing.in_order(self.floor, backs):
                if isinstance(match, routing.Match):
                    self._offer(match)
                else:
                    self._call_back(match)
            hit = overflow.found(self.floor, max(self.at, self.floor.at))
            if hit is None:
                return
            self.overflow(*hit)

    def _offer(self, match: routing.Match) -> None:
        """Let the phones ring, all in one round."""
        call = match.call
        assert call.visit is not None
        queue = self.floor.queues[call.visit.queue]
        at = max(self.at, self.floor.at)
        cut = call.aside is not None and queue.comfort is not None and queue.comfort.cut
        if cut:
            self.rejoin(call, at, "呼出のために案内を切る / the phrase is cut off for an offer")
        words = [routing.reasons(self.floor, match, agent, at) for agent in match.agents]
        first = self.floor.offers_made + 1
        together = OfferId(f"{self.floor.run}.{first}")
        phones: list[PhoneId] = []
        for n, agent in enumerate(match.agents):
            assert agent.phone is not None
            phones.append(agent.phone)
            offer = OfferId(f"{self.floor.run}.{first + n}")
            self.tell(
                f.OfferMade(
                    at=at,
                    offer=offer,
                    call=call.id,
                    visit=call.visit.id,
                    agent=agent.id,
                    phone=agent.phone,
                    ring_s=queue.ring_s,
                    reasons=words[n],
                    round=together,
                )
            )
            self.want(e.SetTimer(i.Timer(i.TimerKind.OFFER, offer), self.floor.offers[offer].overdue_at))
        if self.floor.calls[call.id].aside is None:  # else at the phrase's end
            self.want(e.OfferCall(together, call.id, call.channel_name, tuple(phones), queue.ring_s, cut))

    def overflow(self, call: Call, rule: Overflow, why: str) -> None:
        """Apply one rule to one caller."""
        assert call.visit is not None
        at = max(self.at, self.floor.at)
        if rule.treatment is Treatment.QUEUE and rule.target is not None:
            self.move(call, at, rule.target, (why,))
        elif rule.treatment is Treatment.AGENTS and rule.target is not None:
            self.tell(
                f.AgentsAdded(at=at, call=call.id, visit=call.visit.id, agents_of=rule.target, reasons=(why,))
            )
        elif rule.treatment is Treatment.MENU and rule.menu is not None:
            place, wait = comfort.standing(self.floor, call.visit.queue, call)
            said = (place,) if wait is None else (place, wait)
            number = call.asides + 1
            self.tell(
                f.OverflowMenuBegan(
                    at=at,
                    call=call.id,
                    visit=call.visit.id,
                    number=number,
                    menu=rule.menu,
                    outcome=OUTCOMES[rule.cause],
                    said=said,
                    reasons=(why,),
                )
            )
            self.want(e.LeadAside(call.id, call.channel_name, number, said, rule.menu))
        else:
            self._end_wait(call, OUTCOMES[rule.cause], rule.treatment, why)

    def _end_wait(
        self, call: Call, outcome: Outcome, treatment: Treatment, why: str, announcement: str = "overflow"
    ) -> None:
        """The caller is sent to what ends the wait, out of a phrase if one is being said."""
        at = max(self.at, self.floor.at)
        cut = call.aside is not None
        if cut:
            self.rejoin(call, at, "待ちの終わりで案内を切る / the phrase is cut off, the wait ends")
        self.tell(f.OverflowBegan(at=at, call=call.id, outcome=outcome, treatment=treatment, reasons=(why,)))
        self.want(e.EndWait(call.id, call.channel_name, outcome, treatment, announcement, cut))

    def comfort(self, call: Call, at: Instant) -> None:
        """Say the phrase that is due to a caller who stands on the waiting line."""
        queue = self.floor.queues.get(call.visit.queue) if call.visit is not None else None
        due = self.floor.comfort_due(queue, call) if queue is not None else None
        if call.visit is None or queue is None or queue.comfort is None or due is None or due > at:
            return
        if not self.floor.linked or not call.may_be_offered or call.aside is not None:
            return
        said, last = comfort.phrase(self.floor, queue.id, queue.comfort, call)
        number = call.asides + 1
        self.tell(
            f.ComfortBegan(
                at=at,
                call=call.id,
                visit=call.visit.id,
                number=number,
                said=said,
                last=last,
                until=after(at, seconds(PHRASE_MOST_S + PHRASE_GRACE_S)),
            )
        )
        self.want(e.LeadAside(call.id, call.channel_name, number, (said,)))

    def rejoin(
        self, call: Call, at: Instant, reason: str, *, done: bool = True, reconstructed: bool = False
    ) -> None:
        """The caller is on the waiting line again. Whoever was reserved during a phrase rings now."""
        assert call.aside is not None
        self.tell(
            f.LineRejoined(
                at=at,
                call=call.id,
                number=call.aside.number,
                reason=reason,
                done=done,
                reconstructed=reconstructed,
            )
        )
        call = self.floor.calls[call.id]
        offers = [self.floor.offers[name] for name in call.ringing]
        for offer in offers:
            self.want(e.SetTimer(i.Timer(i.TimerKind.OFFER, offer.id), max(offer.overdue_at, self.at)))
        if call.offer is not None:
            queue = self.floor.queues.get(self.queue_now(call))
            ring_s = round((offers[0].rings_until - at) / SECOND) if queue is None else queue.ring_s
            phones = tuple(offer.phone for offer in offers)
            self.want(e.OfferCall(call.offer, call.id, call.channel_name, phones, ring_s))
        else:
            self.house(call, at)
        self.watch_wait(call.id)

    def move(
        self, call: Call, at: Instant, queue: QueueId, reasons: tuple[str, ...], by: str | None = None
    ) -> None:
        """The caller waits in another queue from now on; the channel is told, for the safety net."""
        self.begin_visit(call, at, queue=queue, reasons=reasons, by=by)

    def undo_overflow(self, call: Call, at: Instant, reason: str, *, reconstructed: bool = False) -> None:
        """The caller is where he was: back in the line, and asked again a second later."""
        again = after(at, seconds(OVERFLOW_AGAIN_S))
        self.tell(
            f.OverflowUndone(
                at=at, call=call.id, reason=reason, not_before=again, reconstructed=reconstructed
            )
        )
        self.watch_wait(call.id)

    def waited(self, call: Call, at: Instant) -> None:
        """Time has brought this caller to a rung of the ladder, or to a limit."""
        aside = call.aside
        if aside is not None and self.floor.linked and aside.until is not None and aside.until <= at:
            self.rejoin(call, at, "戻ったという知らせがない / the way back was never told")
            self.tell(f.Healed(at=at, what=f"phrase {aside.number} of call {call.id}: no end was told"))
            call = self.floor.calls[call.id]
        visit = call.visit
        queue = self.floor.queues.get(visit.queue) if visit is not None else None
        if visit is None or queue is None:
            return
        rung = visit.rung
        while rung < len(queue.ladder) and at >= visit.entered_at + queue.ladder[rung].after_s * SECOND:
            rung += 1
        if rung > visit.rung:
            step = queue.ladder[rung - 1]
            self.tell(
                f.NeedsRelaxed(
                    at=at,
                    call=call.id,
                    visit=visit.id,
                    rung=rung,
                    reason=f"待ち {step.after_s} 秒で条件緩和 / waited {step.after_s} s: the needs are relaxed",
                )
            )
            self.match()  # nobody is sent away for whom somebody is free on this rung
        call = self.floor.calls[call.id]
        here = call.visit is not None and call.visit.id == visit.id  # not moved by the matching
        hit = overflow.first_rule(self.floor, queue, call, at) if here else None
        if hit is not None and self.floor.linked:
            self.overflow(*hit)
        self.comfort(self.floor.calls[call.id], at)
        self.watch_wait(call.id)


def configure(turn: Turn, configuration: Configuration, at: Instant, by: str | None = None) -> None:
    """New centre files on a floor that is at work: nobody is dropped."""
    turn.tell(f.Configured(at=at, configuration=configuration, by=by))
    for timer, due in turn.floor.closings(at):
        turn.want(e.SetTimer(timer, due))
    for call in sorted(turn.floor.calls.values(), key=lambda c: (c.arrived_at, c.id)):
        turn.house(call, at)
        turn.watch_wait(call.id)
    sign_out_strangers(turn, at)


def sign_out_strangers(turn: Turn, at: Instant) -> None:
    """Who is in the files no more, or sits at a phone that is not, is signed out as soon as nothing is in hand."""
    files = turn.floor.centres.values()
    listed = {spec.id for centre in files for spec in centre.agents}
    for phone, name in sorted(turn.floor.seated.items()):
        here = name in listed and phone in turn.floor.phone_centre
        if not here and turn.floor.agents[name].work is Work.IDLE:
            sign_out(turn, turn.floor.agents[name], at, "設定からなくなった / taken out of the files")


def arrive(turn: Turn, told: i.ChannelArrived, *, reconstructed: bool = False) -> Call | None:
    """A new call, unless it is known, over, or for no number of ours."""
    name = CallId(told.channel)
    if name in turn.floor.calls or name in turn.floor.ended or name in turn.floor.sides:
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
    priority, why = _priority(number, told.listed)
    entry = unwelcome(turn.floor.blocked.values(), centre.id, told.caller, told.at)
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
            priority=priority,
            priority_reason=why,
            test=told.test,
            again=told.again,
            answer=told.answer,
            listed=None if entry is None else entry.id,
            reconstructed=reconstructed,
        )
    )
    _show_note(turn, centre, told)
    for back in _kept_for(turn.floor, centre.id, told.caller):
        let_go(turn, back, told.at, reconstructed=reconstructed)
    if turn.floor.lagging:
        turn.tell(f.CallMarkedImprecise(at=told.at, call=name))
    return turn.floor.calls[name]


def _show_note(turn: Turn, centre: Centre, told: i.ChannelArrived) -> None:
    """What the phone of whoever is offered this caller shows besides: that an answer waits, and that he calls again."""
    answer = turn.floor.answers.get(told.answer) if told.answer is not None else None
    note, roman = _note(centre, answer, again=told.again)
    if note:
        turn.want(e.ShowNote(CallId(told.channel), told.name, note, roman))


def _note(centre: Centre, answer: Answer | None, *, again: bool) -> tuple[str, str]:
    """In Japanese, and romanised."""
    words, roman = [], []
    if answer is not None:
        day = centre.calendar.local_date(answer.at)
        words.append(f"回答あり{day.month}/{day.day}")
        roman.append(f"answer {day.month}/{day.day}")
    if again:
        words.append("再入電")
        roman.append("again")
    return " ".join(words), " ".join(roman)


def _callback_note(
    floor: Floor, centre: Centre, back: Callback, attempt: int, at: Instant
) -> tuple[str, str]:
    """That it is a call-back, and what a phone shows besides of who calls; in Japanese, and romanised."""

    def same(other: Personal) -> bool:
        assert back.number is not None
        return (
            other.centre == centre.id
            and other.text is not None
            and national(other.text) == national(back.number)
        )

    answers = (each for each in floor.answers.values() if each.until > at and same(each.number))
    day_ago = at - AGAIN_S * SECOND
    again = any(name != back.id and one.at >= day_ago and same(one) for name, one in floor.recent.items())
    note, roman = _note(centre, max(answers, key=lambda each: each.at, default=None), again=again)
    first = attempt == 1
    return (
        f"折り返し{'' if first else f'{attempt}回目'} {note}".strip(),
        f"call-back{'' if first else f' {attempt}'} {roman}".strip(),
    )


def _kept_for(floor: Floor, centre: CentreId, caller: str | None) -> list[Callback]:
    """The call-backs that this caller asked for."""
    if caller is None:
        return []
    number = national(caller)
    return [
        back
        for back in floor.callbacks.values()
        if back.centre == centre and back.number is not None and national(back.number) == number
    ]


KEPT = "折り返し待ちの順番を引き継いだ / takes over the place that was kept for a call-back"


def cancel_callback(
    turn: Turn,
    back: Callback,
    at: Instant,
    *,
    by_call: CallId | None = None,
    by: str | None = None,
    reconstructed: bool = False,
) -> None:
    """Nobody is called back any more. A phone that rings for it is let go; a call that goes on is left alone."""
    let_go(turn, back, at, reconstructed=reconstructed)
    turn.tell(f.CallbackCancelled(at=at, call=back.id, by_call=by_call, by=by, reconstructed=reconstructed))


def let_go(turn: Turn, back: Callback, at: Instant, *, reconstructed: bool = False) -> None:
    """A phone that rings for this call-back rings no more, and the citizen is not called; the place stays."""
    side = turn.floor.sides.get(back.side) if back.side is not None else None
    if back.state is CallbackState.RINGING and side is not None:
        turn.want(e.HangUp(side.channel))  # also if it is picked up just now
        side_ends(turn, side, at, SideOutcome.NO_ANSWER, Party.SYSTEM, reconstructed=reconstructed)


def callback_dialled(turn: Turn, side: CallId, at: Instant, *, reconstructed: bool = False) -> None:
    """The agent has picked up: the citizen is being called."""
    back = turn.floor.callback_of(side)
    if back is not None and back.state is CallbackState.RINGING:
        turn.tell(f.CallbackDialled(at=at, call=back.id, reconstructed=reconstructed))


def callback_reached(turn: Turn, side: SideCall, at: Instant, *, reconstructed: bool = False) -> None:
    """Citizen and agent are together, if this call is a call-back."""
    callback_dialled(turn, side.id, at, reconstructed=reconstructed)
    back = turn.floor.callback_of(side.id)
    centre = turn.floor.centres.get(side.centre)
    if back is not None:
        same = centre is not None and centre.calendar.local_date(at) == centre.calendar.local_date(
            back.asked_at
        )
        turn.tell(
            f.CallbackReached(
                at=at, call=back.id, agent=side.agent, same_day=same, reconstructed=reconstructed
            )
        )


def _callback_over(
    turn: Turn, side: SideCall, at: Instant, outcome: SideOutcome, *, reconstructed: bool
) -> None:
    """An attempt has ended without an answer: another one, or none any more."""
    back = turn.floor.callback_of(side.id)
    if back is None:
        return
    centre, queue = turn.floor.centres.get(back.centre), turn.floor.queues.get(back.queue)
    rules = centre.callbacks if centre is not None else Callbacks()
    if back.state is CallbackState.RINGING:
        rest = queue.rest_no_answer_s if queue is not None else 0
        until = after(at, seconds(max(rest, SAFE_S if reconstructed else 1)))
        turn.tell(f.CallbackMissed(at=at, call=back.id, not_before=until, reconstructed=reconstructed))
    elif back.attempts >= rules.attempts:
        turn.tell(
            f.CallbackGivenUp(
                at=at,
                call=back.id,
                outcome=outcome,
                centre=back.centre,
                queue=back.queue,
                language=back.language,
                due_at=None if back.id in turn.floor.messages else turn.due_at(back.centre, at),
                reconstructed=reconstructed,
            )
        )
    else:
        again = centre.calendar.after_open(at, rules.distance_s) if centre is not None else None
        again = again or after(at, seconds(rules.distance_s))
        if reconstructed:
            again = max(again, after(turn.at, seconds(SAFE_S)))
        turn.tell(
            f.CallbackFailed(
                at=at, call=back.id, outcome=outcome, not_before=again, reconstructed=reconstructed
            )
        )
    turn.watch_callback(back.id)


def drop_answers(turn: Turn, at: Instant, *, reached: SideCall | None = None) -> None:
    """Let go of answers that are too old, and of those for a number that was `reached`."""
    for name, answer in sorted(turn.floor.answers.items()):
        if answer.until <= at:
            drop_answer(turn, name, at, "保存期間が過ぎた / kept long enough")
        elif (
            reached is not None
            and answer.centre == reached.centre
            and answer.number.text is not None
            and answer.number.text == reached.other.text
        ):
            drop_answer(turn, name, at, "発信がつながった / a call reached it")


def answer_key(call: CallId, at: Instant) -> CallId:
    """What an answer's text is sealed under: a name of its own, so that it is destroyed alone."""
    return CallId(f"{call}/answer/{at}")


def drop_answer(turn: Turn, call: CallId, at: Instant, reason: str, by: str | None = None) -> None:
    """The answer is kept no longer, and its text can be read by nobody from now on."""
    sealed = turn.floor.answers[call].text.call
    turn.tell(f.AnswerDropped(at=at, call=call, reason=reason, by=by))
    if sealed != call:  # one that was written before answers had keys of their own
        turn.want(e.DestroyKey(sealed))


def _priority(number: Number, listed: tuple[int, str] | None) -> tuple[int | None, str | None]:
    """What the list of callers, or else the number that was dialled, says; and why."""
    if listed is not None:
        priority, reason = listed
        return priority, f"優先リスト: {reason} / on the list of callers: {reason}"
    if number.priority is not None:
        return number.priority, f"着信番号の優先度 / priority of the number {number.digits}"
    return None, None


def _due_as(floor: Floor, centre: Centre, at: Instant) -> Outcome | None:
    """What a call is refused as that arrives at this instant; None: it is due an agent. The first that fits counts."""
    if not centre.calendar.judge(at)[0]:
        return Outcome.CLOSED
    emergency = floor.emergencies.get(centre.id)
    return Outcome.EMERGENCY_CLOSED if emergency is not None and emergency.on(at) else None


def admit(
    turn: Turn,
    call: Call,
    at: Instant,
    told_open: bool,
    source: str,
    *,
    emergency: bool = False,
    blocked: bool = False,
    reconstructed: bool = False,
) -> None:
    """Write down what the dialplan decided, and whether the calendar agrees for the instant of arrival.

    `emergency`: it decided so because of an emergency closure; `blocked`: it was open, and the centre's rule about this
    caller refused (`source`: `listed`, `withheld` or `outsider`). Whether the list agrees is written down as well."""
    centre = turn.floor.centres.get(call.centre)
    known = turn.floor.emergencies.get(call.centre)
    told = f"({source})"
    told_as = None if told_open else Outcome.EMERGENCY_CLOSED if emergency else Outcome.CLOSED
    if blocked:
        told_as = Outcome.BLOCKED
    if centre is None:
        judged: tuple[Outcome | None, ...] = (told_as,)
        words = "センター設定なし / no such centre now"
    else:
        # Asterisk names a channel by a clock that may be one tick behind the stamp of its first event.
        ticked = Instant(call.arrived_at - CLOCK_TICK)
        judged = tuple(_due_as(turn.floor, centre, each) for each in (call.arrived_at, ticked))
        if known is not None and known.near_a_change(call.arrived_at) and Outcome.CLOSED not in judged:
            judged = (None, Outcome.EMERGENCY_CLOSED)  # what was pushed may be a moment behind
        why = centre.calendar.judge(call.arrived_at)[1]
        if known is not None and (emergency or known.on(call.arrived_at)):
            why = known.words
        words = f"{why.ja} / {why.en}"
    due = None if blocked else told_as
    if told_as is None:
        turn.tell(f.CallAdmitted(at=at, call=call.id, reason=f"{words} {told}", reconstructed=reconstructed))
    else:
        turn.tell(
            f.CallRefused(
                at=at,
                call=call.id,
                outcome=told_as,
                reason=f"{_REFUSED_BY.get(source, _REFUSED_BY[None]) if blocked else words} {told}",
                reconstructed=reconstructed,
            )
        )
    if due not in judged:
        turn.tell(
            f.AdmissionDiffered(
                at=at,
                call=call.id,
                told_open=due is None,
                calendar=words,
                reconstructed=reconstructed,
            )
        )
    against = None
    if centre is not None and due is None and source != "snapshot":  # which does not tell who pressed 9
        refused_by = source if blocked else None
        against = _against_the_list(turn.floor, centre, call, refused_by, reconstructed=reconstructed)
    if against is not None:
        turn.tell(
            f.AdmissionDiffered(
                at=at,
                call=call.id,
                told_open=not blocked,
                calendar=against,
                reconstructed=reconstructed,
            )
        )


_REFUSED_BY: Mapping[str | None, str] = {
    "listed": "迷惑電話の一覧にある発信者 / the caller is on the list of unwelcome callers",
    "withheld": "非通知 / the number is withheld",
    "outsider": "この番号を利用できる発信者ではない / the caller is none of those who may call this number",
    None: "発信者による拒否 / refused by the rule about this caller",
}


def _against_the_list(
    floor: Floor, centre: Centre, call: Call, refused_by: str | None, *, reconstructed: bool
) -> str | None:
    """Why what the dialplan did with this caller is not what the centre's rules and list say; None: it is.

    `refused_by`: `listed`, `withheld`, `outsider`, another word where CEL told it; None: it let the caller in. Whether
    a number is withheld, or there is none at a payphone, the dialplan alone can tell. What is found afterwards
    (`reconstructed`) may have been refused by an entry that has ended since.
    """
    announces = centre.blocked is Unwelcome.ANNOUNCE
    rules = {
        "listed": announces,
        "withheld": centre.withheld is Unwelcome.ANNOUNCE,
        "outsider": bool(centre.only_from),
    }
    if refused_by is not None and not rules.get(refused_by, any(rules.values())):
        return "センターの規則では拒否しない / the centre's rule does not refuse this caller"
    of_few = not centre.only_from or plain(call.caller.text) in centre.only_from
    if refused_by == "outsider" and of_few and not reconstructed:
        return "利用できる発信者を拒否した / refused, but the caller may call this number"
    if refused_by is None and not of_few and not reconstructed:
        return "利用できない発信者を通した / let in, but the caller may not call this number"
    changed_at = floor.lists_changed.get(centre.id)
    if changed_at is not None and abs(call.arrived_at - changed_at) <= seconds(PUSH_SETTLES_S):
        return None
    ticks = (call.arrived_at, Instant(call.arrived_at - CLOCK_TICK))
    entries = [unwelcome(floor.blocked.values(), centre.id, call.caller.text, each) for each in ticks]
    if refused_by == "listed" and not any(entries) and not reconstructed:
        return "一覧にない発信者を拒否した / refused, but the caller is not on the list"
    if refused_by is None and announces and all(entries):
        return "一覧にある発信者を通した / let in, but the caller is on the list"
    return None


_CHOICES = {
    Choice.MENU: ("メニュー", "menu"),
    Choice.LANGUAGE: ("言語", "language"),
    Choice.QUEUE: ("待ち行列", "queue"),
    Choice.SAY: ("案内", "announcement"),
    Choice.FORWARD: ("転送", "forward"),
    Choice.WAIT: ("待ちに戻る", "back to the waiting line"),
    Choice.END: ("終了", "end"),
    Choice.MESSAGE: ("伝言", "message"),
    Choice.CALLBACK: ("折り返し", "call-back"),
    Choice.WRONG: ("無効なキー", "wrong key"),
    Choice.NONE: ("キーなし", "no key"),
    Choice.UNREACHED: ("転送先につながらない", "outside number not reached"),
}


def menu_answered(turn: Turn, call: Call, told: i.MenuKeyed, *, reconstructed: bool = False) -> None:
    """One step of the way through the menus. A queue that is not this centre's is none."""
    queue = QueueId(told.to) if told.choice is Choice.QUEUE else None
    if queue is not None and turn.floor.queue_centre.get(queue) != call.centre:
        queue = None
    ja, en = _CHOICES[told.choice]
    to = " ".join(part for part in (told.to, told.language or "") if part)
    key = "覚えていた言語 / remembered" if told.key == KNOWN_KEY else told.key or "–"
    centre = turn.floor.centres.get(call.centre)
    days = centre.remember_language_days if centre is not None else 0
    # What nobody witnessed does not tell whether the number was withheld.
    chosen = told.language is not None and told.key != KNOWN_KEY
    remembered = days > 0 and chosen and not told.withheld and not reconstructed
    remembered = remembered and call.caller.text is not None and call.stage is Stage.ANNOUNCED
    turn.tell(
        f.MenuAnswered(
            at=told.at,
            call=call.id,
            menu=told.menu,
            key=told.key,
            choice=told.choice,
            to=told.to,
            queue=queue,
            language=told.language,
            reason=f"{told.menu} [{key}] {ja} {to}".rstrip() + f" / {told.menu} [{key}] {en} {to}".rstrip(),
            remember_until=after(told.at, seconds(days * 86_400)) if remembered else None,
            reconstructed=reconstructed,
        )
    )


def forwarded(turn: Turn, call: Call, told: i.CallerForwarded, *, reconstructed: bool = False) -> None:
    """The outside number that the caller chose has answered."""
    turn.tell(
        f.CallForwarded(
            at=told.at,
            call=call.id,
            channel=told.channel,
            recorded=told.recorded,
            notice=told.notice,
            reconstructed=reconstructed,
        )
    )


def give_up(
    turn: Turn,
    call: Call,
    at: Instant,
    outcome: Outcome = Outcome.FAILED,
    *,
    reconstructed: bool = False,
) -> None:
    """The wait is over, and the caller is told so. What the call ends as stands now, also when the caller puts down
    during it: *failed* after the safety net (definitions), else the outcome of the overflow's cause."""
    failed = outcome is Outcome.FAILED
    turn.tell(
        f.CallGivenUp(
            at=at,
            call=call.id,
            outcome=outcome,
            reason="非常時分配の制限時間が過ぎた / the safety net's time was over"
            if failed
            else "あふれの案内 / the overflow treatment began",
            reconstructed=reconstructed,
        )
    )


def side_begins(
    turn: Turn, told: i.SideCallTold, *, over: bool = False, reconstructed: bool = False
) -> SideCall | None:
    """A call that is no arrival; None if it is known, over, or of no centre of ours. `over`: it is told when it has
    ended already, and what the agent does now is left alone."""
    calls = turn.floor.calls, turn.floor.ended
    known = turn.floor.sides, *calls
    if any(told.call in each for each in known) or told.centre not in turn.floor.centres:
        turn.disregard("既知の通話か、センターがない / this call is known, or of no centre here")
        return None
    name = turn.floor.seated.get(told.phone) if told.phone is not None else None
    agent = turn.floor.agents[name] if name is not None else None
    holds = agent is not None and agent.work is not Work.TALKING and agent.side not in turn.floor.sides
    holds = holds and not told.refused and not over
    if agent is not None and holds and agent.offer is not None:
        # The phone is in use: whoever was to ring there is offered to somebody else.
        for leg in turn.floor.calls[turn.floor.offers[agent.offer].call].legs:
            if leg.offer == agent.offer:
                turn.want(e.WithdrawOffer(agent.offer, leg.channel))
        turn.fail_offer(agent.offer, told.at, OfferStage.BUSY, "発信を始めた / the agent began a call")
    turn.tell(
        f.SideCallBegan(
            at=told.at,
            call=told.call,
            node=told.node,
            centre=told.centre,
            kind=told.kind,
            number=told.number,
            other=Personal(told.call, told.centre, told.at, told.other),
            phone=told.phone,
            agent=name,
            why=told.why,
            holds_agent=holds,
            beside=told.beside if any(told.beside in each for each in calls) else None,
            reconstructed=reconstructed,
        )
    )
    side = turn.floor.sides[told.call]
    if told.refused:
        side_ends(
            turn,
            side,
            told.at,
            SideOutcome.REFUSED,
            Party.SYSTEM,
            reason="受付時間外の部署 / the department is closed"
            if told.kind is SideKind.DEPARTMENT
            else f"発信先の一覧にない ({told.why}) / not on the centre's list of destinations",
            reconstructed=reconstructed,
        )
        return None
    return side


SIDE_WORDS = {
    SideOutcome.CONNECTED: "通話した / connected",
    SideOutcome.BUSY: "話し中 / busy",
    SideOutcome.NO_ANSWER: "応答なし / no answer",
    SideOutcome.REFUSED: "拒否された / refused",
    SideOutcome.FAILED: "つながらない / could not be put through",
}


def side_ends(
    turn: Turn,
    side: SideCall,
    at: Instant,
    outcome: SideOutcome,
    by: Party,
    *,
    reason: str | None = None,
    sound: tuple[int | None, int | None] = (None, None),
    reconstructed: bool = False,
) -> None:
    """The call is over. Who made it wraps up as the centre says; an emergency call that reached nobody is an alarm.
    `sound`: `received` and `before` of the fact."""
    outcome = SideOutcome.CONNECTED if side.connected_at is not None else outcome
    reason = reason or SIDE_WORDS[outcome]
    back = turn.floor.callback_of(side.id)
    unmade = back is not None and back.state is CallbackState.RINGING
    centre = turn.floor.centres.get(side.centre)
    outgoing = centre.outgoing if centre is not None else None
    until = None
    if side.agent is not None and not unmade:
        acw_s = OUTGOING_ACW_S if outgoing is None else outgoing.acw_s
        until = after(at, seconds(acw_s)) if acw_s else None
        if until is not None and reconstructed and until <= turn.at:
            until = None  # over meanwhile; how long it really took is not made up
    digits = side.other.text
    if side.kind is SideKind.EMERGENCY and outcome is not SideOutcome.CONNECTED and by is not Party.AGENT:
        turn.tell(
            f.EmergencyNotCarried(
                at=at,
                call=side.id,
                centre=side.centre,
                phone=side.phone,
                digits=digits or "",
                reason=reason,
                reconstructed=reconstructed,
            )
        )
        turn.want(e.Alarm(f"{digits} に発信できなかった / {digits} was not reached", side.centre, side.phone))
    if side.unrecorded_since is not None:
        for leg, _ in side.legs:  # with somebody else, maybe, and then the recording goes on
            turn.want(e.SwitchRecording(side.id, leg, False, why=PauseEnd.TALK_ENDED))
    turn.tell(
        f.SideCallEnded(
            at=at,
            call=side.id,
            outcome=outcome,
            hung_up_by=by,
            reason=reason,
            agent=side.agent,
            wrap_up_until=until,
            received=sound[0],
            before=sound[1],
            reconstructed=reconstructed,
        )
    )
    if until is not None and side.agent is not None:
        turn.want(e.SetTimer(i.Timer(i.TimerKind.WRAP_UP, side.agent), until))
    _callback_over(turn, side, at, outcome, reconstructed=reconstructed)
    if side.kind is SideKind.OUTGOING and outcome is SideOutcome.CONNECTED:
        drop_answers(turn, at, reached=side)


def device_is(turn: Turn, phone: PhoneId, device: Device, at: Instant) -> None:
    known = turn.floor.phones.get(phone)
    if known is None:
        turn.disregard("センターの電話機ではない / no phone of a centre file")
    elif known is device:
        turn.disregard("状態は同じ / no change")
    else:
        turn.tell(f.DeviceChanged(at=at, phone=phone, device=device))


def sign_in(
    turn: Turn,
    agent: AgentState,
    phone: PhoneId,
    at: Instant,
    away: str | None = None,
    by: str | None = None,
) -> None:
    """`away`: the shift begins with a pause of that reason, so that no call slips in."""
    turn.tell(f.AgentSignedIn(at=at, agent=agent.id, phone=phone, by=by))
    if away is not None:
        turn.tell(f.AgentPaused(at=at, agent=agent.id, reason=away, by="callcore"))
    for queue in agent.queues:
        turn.want(e.AddMember(queue, phone, agent.id, paused=away is not None))


def sign_out(turn: Turn, agent: AgentState, at: Instant, reason: str, by: str | None = None) -> None:
    assert agent.phone is not None
    turn.tell(f.AgentSignedOut(at=at, agent=agent.id, reason=reason, by=by))
    for queue in agent.queues:
        turn.want(e.RemoveMember(queue, agent.phone))


def pause(
    turn: Turn, agent: AgentState, at: Instant, reason: str, by: str | None, longest_s: int | None = None
) -> None:
    """The agent is away. What rings at that phone is taken back; a talk goes on."""
    assert agent.phone is not None
    turn.tell(f.AgentPaused(at=at, agent=agent.id, reason=reason, by=by, longest_s=longest_s))
    for queue in agent.queues:
        turn.want(e.PauseMember(queue, agent.phone, True))
    if agent.offer is not None:
        withdraw(turn, agent.offer, at, "離席 / the agent paused")


def resume(turn: Turn, agent: AgentState, at: Instant, by: str | None) -> None:
    assert agent.phone is not None
    turn.tell(f.AgentResumed(at=at, agent=agent.id, by=by))
    for queue in agent.queues:
        turn.want(e.PauseMember(queue, agent.phone, False))


def withdraw(turn: Turn, name: OfferId, at: Instant, reason: str) -> None:
    """Take back one ringing: its leg is hung up, now or as soon as it is there. An answer that is quicker counts."""
    offer = turn.floor.offers[name]
    if offer.withdrawn:
        return
    if turn.floor.calls[offer.call].aside is not None:
        turn.fail_offer(name, at, OfferStage.WITHDRAWN, reason)  # it waits for a phrase's end: nothing rings
        return
    turn.tell(f.WithdrawalAsked(at=at, offer=name, call=offer.call, reason=reason))
    for leg in turn.floor.calls[offer.call].legs:
        if leg.offer == name:
            turn.want(e.WithdrawOffer(name, leg.channel))
