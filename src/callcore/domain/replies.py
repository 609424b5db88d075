"""What a phone that keyed something hears: the name of a common prompt."""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain.turn import Turn


def reply(turn: Turn, channel: str | None, word: str) -> None:
    if channel is not None:
        turn.want(e.Reply(channel, word))


def refuse(turn: Turn, channel: str | None, word: str, why: str) -> None:
    turn.disregard(why)
    reply(turn, channel, word)
