"""Values that belong to a person: a caller's number, a name, a note.

A `Personal` value travels through facts, floor and records as one thing, so that whoever writes it down (journal,
checkpoint, table) can seal it under the key of its call, and so that no log line prints it by accident. When the
call's key has been destroyed the text is None and everything else stays as it was.
"""

from __future__ import annotations

from callcore.domain.ids import CallId, CentreId, Instant


class Personal:
    """A sealed text. Not a dataclass on purpose: generic encoders must ask what to do with it.

    `text` is None when the value is not known or its key has been destroyed. `at` names the period (month) of the
    key that wraps the call's key. `fingerprint` is an HMAC that lets equal values be found without reading them;
    whoever holds the keys fills it in, the core never looks at it.
    """

    __slots__ = ("at", "call", "centre", "fingerprint", "text")

    def __init__(
        self, call: CallId, centre: CentreId, at: Instant, text: str | None, fingerprint: str | None = None
    ) -> None:
        self.call = call
        self.centre = centre
        self.at = at
        self.text = text
        self.fingerprint = fingerprint

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Personal):
            return NotImplemented
        return (self.call, self.centre, self.at, self.text) == (
            other.call,
            other.centre,
            other.at,
            other.text,
        )

    def __hash__(self) -> int:
        return hash((self.call, self.centre, self.at, self.text))

    def __repr__(self) -> str:
        return f"Personal(call={self.call!r}, text={'***' if self.text is not None else None})"

    def masked(self) -> str | None:
        """The text with all but its last three signs hidden, for lists and boards."""
        if self.text is None:
            return None
        return "*" * max(0, len(self.text) - 3) + self.text[-3:]
