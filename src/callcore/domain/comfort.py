"""Comfort while waiting: what a caller is told between the music, and when.

A round is a few phrases one behind the other: the place in the line, the estimated wait, and one of the queue's
announcements, in turn. Each is said by itself, so that an offer waits for the end of one phrase at most. While the
estimate is not known nothing is promised: the place alone is told.
"""

from __future__ import annotations

from callcore.domain import estimate, phrases
from callcore.domain.call import Call
from callcore.domain.centre import Comfort
from callcore.domain.floor import Floor, place_of
from callcore.domain.ids import QueueId


def standing(floor: Floor, queue: QueueId, call: Call) -> tuple[str, str | None]:
    """The phrases for the caller's place, and for the estimated wait if that is known."""
    place = place_of(call)
    language = call.visit.language if call.visit is not None else None
    wait = estimate.wait_s(floor, queue, place, language)
    return phrases.place(floor.ahead(queue, place) + 1), None if wait is None else phrases.wait(wait)


def phrase(floor: Floor, queue: QueueId, comfort: Comfort, call: Call) -> tuple[str, bool]:
    """What is said next, and whether that ends the round."""
    place, wait = standing(floor, queue, call)
    said = [place] if comfort.place or (comfort.wait and wait is None) else []
    if comfort.wait and wait is not None:
        said.append(wait)
    if comfort.say:
        said.append(comfort.say[call.comfort_round % len(comfort.say)])
    # The estimate may have become unknown since the round began, and then there is less of it.
    return said[min(call.comfort_step, len(said) - 1)], call.comfort_step + 1 >= len(said)
