"""Brings the lamps into Asterisk, as device states of the kind `Custom:`, which hints show to the phones.

The floor is looked at ten times a second, and what differs from what was set is set anew; so a burst of changes costs
no more than one. What the clock changes, as when a department closes, is set at its instant. After each login all of
them are set: Asterisk may have been restarted, or missed some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import ActionFailed, ActionTimeout, LinkDown, WireError
from callcore.domain import directory, lamps
from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.floor import Floor
from callcore.domain.ids import DepartmentId, Instant, PhoneId
from callcore.domain.lamps import Lamp
from callcore.domain.sides import SideCall
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.1
"""A fifth of the 500 ms within which a lamp shows the truth; a round trip and a NOTIFY take a few."""
AT_ONCE = 16
"""Actions under way at a time."""
ACTION_TIMEOUT_S = 2.0

STATES = {Lamp.OFF: "NOT_INUSE", Lamp.STEADY: "INUSE", Lamp.FLASHING: "RINGING"}
"""What a phone makes of these: dialog-info `terminated`, `confirmed`, `early` (RFC 4235 §3.7.1)."""


class Lamps:
    def __init__(
        self,
        link: Link,
        floor: Callable[[], Floor],
        generation: Callable[[], int | None],
        now: Callable[[], Instant],
    ) -> None:
        """`generation`: which login this is; None while nobody decides."""
        self._link = link
        self._floor = floor
        self._generation = generation
        self._now = now
        self._open: dict[DepartmentId, bool] = {}
        """Which departments are open; holds until `_open_until`."""
        self._open_until: Instant | None = None
        self._of: int | None = None
        self._shown: dict[str, Lamp] = {}
        self._seen: Floor | None = None
        self._known: dict[PhoneId, tuple[AgentState | None, Call | None, SideCall | None]] = {}
        self.behind = 0
        """Lamps that could not be set at the last look."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Set what differs."""
        generation, floor = self._generation(), self._floor()
        if generation is None:
            return
        if generation != self._of:
            self._of = generation
            self._shown.clear()
            self._forget()
        turned = self._open_until is not None and self._now() >= self._open_until
        if floor is self._seen and not turned:
            return
        if turned or self._seen is None or floor.centres is not self._seen.centres:
            self._open, self._open_until = directory.opened(floor, self._now())
            turned = True
        if self._seen is None or floor.centres is not self._seen.centres:
            self._known.clear()
        wanted = [pair for pair in self._wanted(floor, turned) if self._shown.get(pair[0]) is not pair[1]]
        self._seen = floor
        self.behind = 0
        for n in range(0, len(wanted), AT_ONCE):
            await asyncio.gather(*(self._set(name, lamp) for name, lamp in wanted[n : n + AT_ONCE]))
        if self.behind:
            self._forget()  # tried again at the next look

    def _forget(self) -> None:
        self._seen = None
        self._known.clear()

    def _wanted(self, floor: Floor, turned: bool) -> Iterator[tuple[str, Lamp]]:
        """Names and states of the lamps that may have changed since the last look. `turned`: some department may have
        opened or closed."""
        before = self._seen
        for phone, where in floor.phone_centre.items():
            name = floor.seated.get(phone)
            agent = floor.agents.get(name) if name is not None else None
            call = floor.calls.get(agent.call) if agent is not None and agent.call is not None else None
            out = floor.sides.get(agent.side) if agent is not None and agent.side is not None else None
            known = self._known.get(phone)
            if known is not None and known[0] is agent and known[1] is call and known[2] is out:
                continue
            self._known[phone] = (agent, call, out)
            for code, lamp in lamps.of_phone(floor.centres[where], agent, call, out):
                yield dialplan.lamp(code, phone), lamp
        if before is None or floor.calls is not before.calls or floor.centres is not before.centres:
            for queue, lamp in lamps.of_queues(floor):
                yield dialplan.lamp("queue", queue), lamp
            for centre, lamp in lamps.of_help(floor):
                yield dialplan.lamp(lamps.HELP, centre), lamp
        if before is None or turned or floor.sides is not before.sides or floor.calls is not before.calls:
            for department, lamp in directory.lamps(self._open, directory.busy(floor)):
                yield dialplan.lamp(dialplan.DEPARTMENT, department), lamp
        if (
            before is None
            or floor.emergencies is not before.emergencies
            or floor.centres is not before.centres
        ):
            for centre, lamp in lamps.of_emergency(floor):
                yield dialplan.lamp(lamps.EMERGENCY, centre), lamp

    async def _set(self, name: str, lamp: Lamp) -> None:
        try:
            await self._link.call(
                {"Action": "Setvar", "Variable": f"DEVICE_STATE({name})", "Value": STATES[lamp]},
                timeout=ACTION_TIMEOUT_S,
            )
            self._shown[name] = lamp
        except (ActionFailed, ActionTimeout, LinkDown, WireError) as error:
            self.behind += 1
            log.debug("a lamp was not set", lamp=name, why=str(error))
