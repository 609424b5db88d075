"""オペレーター数を上回る入電: who does not go on waiting as before, and what becomes of them.

The rules stand in the centre file, in order; the first that holds for a caller counts. They are asked after every
input, for as long as a caller waits, and after matching, so that nobody overflows for whom somebody is free.

- Callers before a caller are those of the same queue who are served first and for whom no phone rings yet.
- Who came last overflows first: the rules that count callers are asked from the end of each line.
- Nobody overflows while a phrase is said to him; the rules are asked again at its end.
- A menu ends nothing by itself: who comes back has the same place, and is led there again after the rule's distance,
  if it has one; the rules behind it go on to hold.
- Moving to another queue, and asking other agents too, end nothing. A caller is never moved into a queue where he
  has waited before, so rules cannot send anybody round in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator

from callcore.domain import estimate
from callcore.domain.call import Call
from callcore.domain.centre import Cause, Overflow, Queue
from callcore.domain.floor import Floor, line_of_visit, place_of
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.routing import pools

Found = tuple[Call, Overflow, str]
"""A caller, the rule that holds, and why, in words."""


def found(floor: Floor, at: Instant) -> Found | None:
    """The last caller who overflows now by a rule about numbers, agents or lines; None: nobody.

    The last of all lines, and not of the line that happens to be looked at first: equal floors decide equally.
    """
    hits = [*_at_the_end(floor, at), *_beyond_lines(floor, at)]
    return max(hits, key=lambda hit: place_of(hit[0]), default=None)


def shut(floor: Floor, at: Instant) -> list[tuple[Call, str, str]]:
    """Who must not go on waiting because the centre is shut: the caller, the announcement's kind, and why.

    By an emergency closure, or by its hours where it closes at once. Asked before matching: nobody is offered then.
    """
    why = {
        name: said
        for name, centre in floor.centres.items()
        if (name in floor.emergencies or centre.calendar.close_at_once)
        and name in floor.present
        and (said := _shut(floor, name, at)) is not None
    }
    if not why:
        return []
    waiting = (floor.calls[CallId(place[2])] for places in floor.lines.values() for place in places)
    found = [call for call in waiting if call.centre in why and not _not_yet(call, at)]
    return [(call, *why[call.centre]) for call in sorted(found, key=place_of)]


def _not_yet(call: Call, at: Instant) -> bool:
    """Whether sending this caller away has just failed, and is not tried again before a while."""
    not_before = call.visit.not_before if call.visit is not None else None
    return not_before is not None and at < not_before


def _shut(floor: Floor, name: CentreId, at: Instant) -> tuple[str, str] | None:
    emergency = floor.emergencies.get(name)
    if emergency is not None and emergency.on(at):
        return "emergency", f"{emergency.words.ja} / {emergency.words.en}"
    centre = floor.centres.get(name)
    if centre is None or not centre.calendar.close_at_once:
        return None
    is_open, reason = centre.calendar.judge(at)
    if is_open:
        return None
    return "closed", f"受付の終了、待ちは残さない: {reason.ja} / closed at once: {reason.en}"


def _at_the_end(floor: Floor, at: Instant) -> Iterator[Found]:
    """Of each line the last caller who overflows.

    Who stands before a caller for whom no rule holds has fewer before him, so that none holds for him either; unless
    that caller was passed over for what he has been through.
    """
    for line, places in floor.lines.items():
        queue = floor.queues.get(line.queue)
        if queue is None or not queue.overflow:
            continue
        for place in reversed(places):
            call = floor.calls[CallId(place[2])]
            hit = first_rule(floor, queue, call, at)
            if hit is not None:
                yield hit
            if hit is not None or not _passed_over(queue, call, at):
                break


def _passed_over(queue: Queue, call: Call, at: Instant) -> bool:
    """Whether a rule may hold for others of the same line and not for this caller."""
    assert call.visit is not None
    return (
        _not_yet(call, at)
        or call.aside is not None
        or any(rule.target in call.been or _been_led(rule, call, at) for rule in queue.overflow)
    )


def _been_led(rule: Overflow, call: Call, at: Instant) -> bool:
    """Whether the caller was in this rule's menu, and is not led there again by now."""
    left = dict(call.visit.menus).get(rule.menu or "") if call.visit is not None else None
    return left is not None and (rule.again_s == 0 or at < left + rule.again_s * SECOND)


def _beyond_lines(floor: Floor, at: Instant) -> Iterator[Found]:
    """Waiting callers who came when the centre's lines were taken already."""
    for centre, here in floor.present.items():
        bound = floor.centres[centre].lines if centre in floor.centres else None
        for name in here[bound:] if bound is not None else ():
            call = floor.calls[name]
            queue = floor.queues.get(call.visit.queue) if call.visit is not None else None
            hit = first_rule(floor, queue, call, at) if queue is not None else None
            if hit is not None:
                yield hit


def first_rule(floor: Floor, queue: Queue, call: Call, at: Instant) -> Found | None:
    """The first of the queue's rules that holds for this caller and has not been applied."""
    visit = call.visit
    if visit is None or not call.may_be_offered or call.aside is not None or _not_yet(call, at):
        return None
    for rule in queue.overflow:
        if _been_led(rule, call, at):
            continue
        if rule.target is not None and (rule.target in visit.also or rule.target in call.been):
            continue
        why = _holds(floor, queue, rule, call, at)
        if why is not None:
            return call, rule, why
    return None


def _holds(floor: Floor, queue: Queue, rule: Overflow, call: Call, at: Instant) -> str | None:
    """Why the rule holds for this caller; None: it does not."""
    assert call.visit is not None
    match rule.cause:
        case Cause.WAITING:
            ahead = floor.ahead(queue.id, place_of(call))
            if ahead >= rule.limit:
                return f"前に {ahead} 人 (上限 {rule.limit:g}) / {ahead} callers ahead, the limit is {rule.limit:g}"
        case Cause.PER_AGENT:
            ahead, duty = floor.ahead(queue.id, place_of(call)), len(floor.on_duty.get(queue.id, ()))
            if ahead >= rule.limit * duty:
                return (
                    f"受付中 {duty} 人に対し前に {ahead} 人 (上限 {rule.limit:g} 倍) / "
                    f"{ahead} ahead for {duty} on duty, the limit is {rule.limit:g} for each"
                )
        case Cause.LINES:
            bound = floor.centres[call.centre].lines if call.centre in floor.centres else None
            here = floor.present.get(call.centre, ())
            if bound is not None and call.id in here[bound:]:
                return f"回線 {bound} 本がすべて使用中 / all {bound} lines are taken"
        case Cause.LONGEST_WAIT:
            waited = at - call.visit.entered_at
            if waited >= rule.limit * SECOND:
                return (
                    f"待ち {waited // SECOND} 秒 (上限 {rule.limit:g}) / "
                    f"waited {waited // SECOND} s, the limit is {rule.limit:g}"
                )
        case Cause.ESTIMATED_WAIT:
            wait = estimate.wait_s(floor, queue.id, place_of(call), call.visit.language)
            if wait is not None and wait >= rule.limit:
                return (
                    f"予想待ち {wait:.0f} 秒 (上限 {rule.limit:g}) / "
                    f"estimated wait {wait:.0f} s, the limit is {rule.limit:g}"
                )
        case Cause.NO_AGENT:
            also = pools(queue, line_of_visit(call.visit))
            if not estimate.able(floor, queue, also, call.visit.language):
                return "受け持てるオペレーターが受付していない / no agent who could serve is on duty"
    return None
