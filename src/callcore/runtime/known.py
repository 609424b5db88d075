"""Who calls again, and for whom an answer waits: equality of numbers by their fingerprints.

Whoever holds the keys makes the fingerprints (an HMAC under the centre's key of the month); this compares them. Nothing
here is written down: the floor has the callers of the last day and the answers, sealed like all that is personal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from callcore.domain.evolve import AGAIN_S
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant

Fingerprint = Callable[[CentreId, Instant, str], str | None]
"""Of a number, under the centre's key of the month of an instant; None: that key has been destroyed."""


@dataclass(slots=True)
class KnownCallers:
    fingerprint: Fingerprint
    _latest: dict[str, Instant] = field(default_factory=dict)
    """When a fingerprint was last seen."""
    _most: int = 256

    def remember(self, floor: Floor) -> None:
        """Take over the callers whom a restored floor has."""
        for caller in floor.recent.values():
            if caller.text is not None:
                self._note(caller.centre, caller.at, caller.text)

    def arrived(
        self, floor: Floor, number: str, caller: str | None, at: Instant
    ) -> tuple[bool, CallId | None]:
        """Whether this caller calls again within a day, and the outgoing call whose answer waits, if one does."""
        found = floor.number(number)
        if found is None or caller is None:
            return False, None
        centre = found[0].id
        since = Instant(at - AGAIN_S * SECOND)
        prints = {self.fingerprint(centre, month, caller) for month in (at, since)} - {None}
        again = any(self._latest.get(each or "", Instant(0)) >= since for each in prints)
        self._note(centre, at, caller)
        waiting = [
            answer
            for answer in floor.answers.values()
            if answer.centre == centre
            and answer.until > at
            and answer.number.text is not None
            and self.fingerprint(centre, answer.number.at, answer.number.text)
            == self.fingerprint(centre, answer.number.at, caller)
        ]
        newest = max(waiting, key=lambda answer: answer.at, default=None)
        return again, None if newest is None else newest.call

    def _note(self, centre: CentreId, at: Instant, caller: str) -> None:
        made = self.fingerprint(centre, at, caller)
        if made is None:
            return
        self._latest[made] = max(at, self._latest.get(made, at))
        if len(self._latest) > self._most:
            since = at - AGAIN_S * SECOND
            self._latest = {each: seen for each, seen in self._latest.items() if seen >= since}
            self._most = max(256, 2 * len(self._latest))
