"""Collecting PINs from a phone's keys, and asking whether they are right.

The digits live in this object only, for as long as the phone is being asked: they become no input of the core, no
variable, no log line. `#` or eight digits end the entry; so does the caller's silence, after which the dialplan
itself refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from callcore.domain.ids import AgentId, ChannelId, Instant, PhoneId
from callcore.domain.inputs import SignInAsked

LONGEST = 8
FORGET_AFTER = 60
"""Entries beyond which the oldest is dropped: nobody keys that many PINs at once."""


@dataclass(slots=True)
class _Entry:
    agent: AgentId
    phone: PhoneId
    channel_name: str
    digits: str = ""


class PinDesk:
    def __init__(
        self,
        verify: Callable[[AgentId, str], bool],
        tell: Callable[[SignInAsked], None],
        now: Callable[[], Instant],
    ) -> None:
        """`verify` is slow on purpose and runs in a thread."""
        self._verify = verify
        self._tell = tell
        self._now = now
        self._entries: dict[ChannelId, _Entry] = {}
        self._checks: set[asyncio.Task[None]] = set()

    def begin(self, channel: ChannelId, channel_name: str, agent: AgentId, phone: PhoneId) -> None:
        while len(self._entries) >= FORGET_AFTER:
            del self._entries[next(iter(self._entries))]
        self._entries[channel] = _Entry(agent, phone, channel_name)

    def key(self, channel: ChannelId, digit: str) -> None:
        entry = self._entries.get(channel)
        if entry is None:
            return
        if digit.isdigit():
            entry.digits += digit
        if digit == "#" or len(entry.digits) >= LONGEST:
            del self._entries[channel]
            task = asyncio.create_task(self._check(entry), name="pin")
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    def gone(self, channel: ChannelId) -> None:
        self._entries.pop(channel, None)

    async def _check(self, entry: _Entry) -> None:
        verified = await asyncio.to_thread(self._verify, entry.agent, entry.digits)
        entry.digits = ""
        self._tell(
            SignInAsked(
                at=self._now(),
                agent=entry.agent,
                phone=entry.phone,
                channel=entry.channel_name,
                verified=verified,
            )
        )
