"""Collecting agents' numbers and PINs from a phone's keys, and asking whether they are right.

The digits live in this object only, for as long as the phone is being asked: they become no input of the core, no
variable, no log line; a number only once it is an agent's. `#` ends each of the two, and eight digits end a PIN; so
does the caller's silence, after which the dialplan itself refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from callcore.domain.ids import AgentId, ChannelId, Instant, PhoneId
from callcore.domain.inputs import SignInAsked

LONGEST = 8
LONGEST_NUMBER = 10
FORGET_AFTER = 60
"""Entries beyond which the oldest is dropped: nobody keys that many PINs at once."""


@dataclass(slots=True)
class _Entry:
    agent: AgentId | None
    """None: the number is being keyed."""
    phone: PhoneId
    channel_name: str
    digits: str = ""


class PinDesk:
    def __init__(
        self,
        verify: Callable[[AgentId, str], bool],
        tell: Callable[[SignInAsked], None],
        now: Callable[[], Instant],
        *,
        who: Callable[[str, PhoneId], AgentId | None],
        asks: Callable[[str], None],
        refuses: Callable[[str], None],
    ) -> None:
        """`verify` is slow on purpose and runs in a thread. `who` has this number, or none was keyed on that phone.
        `asks` for the PIN on the channel of that name, or `refuses`."""
        self._verify = verify
        self._tell = tell
        self._now = now
        self._who = who
        self._asks = asks
        self._refuses = refuses
        self._entries: dict[ChannelId, _Entry] = {}
        self._checks: set[asyncio.Task[None]] = set()

    def begin(
        self, channel: ChannelId, channel_name: str, phone: PhoneId, agent: AgentId | None = None
    ) -> None:
        """`agent`: whose PIN is asked for; None: the number comes first."""
        while len(self._entries) >= FORGET_AFTER:
            del self._entries[next(iter(self._entries))]
        self._entries[channel] = _Entry(agent, phone, channel_name)

    def key(self, channel: ChannelId, digit: str) -> None:
        entry = self._entries.get(channel)
        if entry is None:
            return
        if digit.isdigit():
            entry.digits += digit
        if entry.agent is None:
            if digit == "#" or len(entry.digits) >= LONGEST_NUMBER:
                self._number(channel, entry)
        elif digit == "#" or len(entry.digits) >= LONGEST:
            del self._entries[channel]
            task = asyncio.create_task(self._check(entry), name="pin")
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    def _number(self, channel: ChannelId, entry: _Entry) -> None:
        """A number that is nobody's is asked for its PIN like another one, and refused then."""
        if not entry.digits and self._who("", entry.phone) is None:
            del self._entries[channel]
            self._refuses(entry.channel_name)
            return
        entry.agent = self._who(entry.digits, entry.phone) or AgentId("")
        entry.digits = ""
        self._asks(entry.channel_name)

    def gone(self, channel: ChannelId) -> None:
        self._entries.pop(channel, None)

    async def _check(self, entry: _Entry) -> None:
        agent = entry.agent or AgentId("")
        verified = await asyncio.to_thread(self._verify, agent, entry.digits)
        entry.digits = ""
        self._tell(
            SignInAsked(
                at=self._now(),
                agent=agent,
                phone=entry.phone,
                channel=entry.channel_name,
                verified=verified,
            )
        )
