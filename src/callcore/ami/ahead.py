"""What is pushed ahead into Asterisk, so that the dialplan alone does right: the opening hours of weeks, and emergency
closures and the list of unwelcome callers with their ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import AmiError
from callcore.domain.blocked import Blocked
from callcore.domain.blocked import pushed as pushed_callers
from callcore.domain.centre import Configuration
from callcore.domain.emergency import Emergency, pushed
from callcore.domain.hours import Calendar, policy
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

DAYS = 40
"""Days of opening hours pushed ahead; at least 31 are promised, and they are pushed again each day."""
RETRY_S = 5.0
UNLINKED_LOOK_S = 0.5
"""While the link is down: after a first start callers are judged by the plain week until the hours are told."""
LOOK_EVERY_S = 60.0
"""Between two looks whether the day, the link or the configuration is another one."""
TIMEOUT_S = 2.0
FAMILY = "callcore-hours"
EMERGENCIES = "callcore-emergency"
BLOCKED = "callcore-blocked"
"""Keys are `<centre>/<hash of the number>`, values the end in epoch seconds."""
NOBODY = "nobody"
"""A key that makes sure that there is something to be told of: Asterisk calls an empty family an error."""


class Ahead:
    """`generation` is the link's when it is up and reconciled, else None; `emergencies` and `blocked` are
    those of the floor now. `salt`: the installation's own, for the callers' numbers."""

    def __init__(
        self,
        link: Link,
        configuration: Configuration,
        *,
        generation: Callable[[], int | None],
        emergencies: Callable[[], Mapping[CentreId, Emergency]],
        blocked: Callable[[], Mapping[CallId, Blocked]],
        salt: str,
        now: Callable[[], Instant],
    ) -> None:
        self._link = link
        self._configuration = configuration
        self._generation = generation
        self._emergencies = emergencies
        self._unwelcome = blocked
        self._salt = salt
        self._now = now
        self._told: tuple[int | None, dict[CentreId, str]] | None = None
        """The link's generation, and what Asterisk was told of each centre's emergency in it."""
        self._blocked: tuple[int, dict[str, str]] | None = None
        """Likewise of unwelcome callers."""
        self._look = asyncio.Event()
        self._pushed: tuple[int | None, str] | None = None
        """The link's generation and the day of the last whole push."""
        self._pushing = asyncio.Lock()

    async def renew(self, configuration: Configuration) -> bool:
        """Push another configuration's hours from now on, the first time at once; False: that will be tried again."""
        self._configuration, self._pushed = configuration, None
        try:
            await self._push()
        except AmiError as error:
            log.warning("opening hours not pushed", why=str(error))
            return False
        return True

    def look_now(self) -> None:
        """An emergency closure has begun or ended, or the list of unwelcome callers is another one."""
        self._look.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._look.clear()
            told = await self._tell_emergencies()
            told = await self._tell_blocked() and told
            now = self._now()
            wanted = (self._generation(), datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%d"))
            if wanted[0] is not None and wanted != self._pushed:
                try:
                    if await self._push():
                        self._pushed = wanted
                    log.info("opening hours pushed", days=DAYS)
                except AmiError as error:
                    log.warning("opening hours not pushed", why=str(error))
            done = told and wanted == self._pushed
            pause = LOOK_EVERY_S if done else UNLINKED_LOOK_S if wanted[0] is None else RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._look.wait()

    async def _tell_emergencies(self) -> bool:
        """Bring the emergency closures into Asterisk; False: that will be tried again."""
        found = self._emergencies()
        wanted = (self._generation(), {c.id: pushed(found, c.id) for c in self._configuration.centres})
        if wanted[0] is None or wanted == self._told:
            return wanted[0] is not None
        try:
            for centre, value in wanted[1].items():
                await self._put(EMERGENCIES, centre, value)
        except AmiError as error:
            log.warning("emergency closures not pushed", why=str(error))
            return False
        self._told = wanted
        return True

    async def _tell_blocked(self) -> bool:
        """Bring the list of unwelcome callers into Asterisk; False: that will be tried again.

        The first time of each link it is asked what stands there: entries may have ended while nobody pushed. What is
        to stay there is never away."""
        generation = self._generation()
        wanted = dict(pushed_callers(self._unwelcome().values(), self._salt))
        if generation is None or (generation, wanted) == self._blocked:
            return generation is not None
        there = self._blocked[1] if self._blocked is not None and self._blocked[0] == generation else None
        self._blocked = None
        try:
            if there is None:
                await self._put(BLOCKED, NOBODY, "0")
                asked = {"Action": "DBGetTree", "Family": BLOCKED}
                rows = await self._link.call_list(asked, timeout=TIMEOUT_S)
                there = {
                    (row.get("Key") or "").removeprefix(f"/{BLOCKED}/"): row.get("Val") or "" for row in rows
                }
            for key, until in wanted.items():
                if there.get(key) != until:
                    await self._put(BLOCKED, key, until)
            for key in there.keys() - wanted.keys():
                await self._put(BLOCKED, key, "0")  # to delete what is not there would be an error
                gone = {"Action": "DBDel", "Family": BLOCKED, "Key": key}
                await self._link.call(gone, timeout=TIMEOUT_S)
        except AmiError as error:
            log.warning("list of callers not pushed", why=str(error))
            return False
        self._blocked = (generation, wanted)
        return True

    async def _put(self, family: str, key: str, value: str) -> None:
        """Raises `AmiError`."""
        fields = {"Action": "DBPut", "Family": family, "Key": key, "Val": value}
        await self._link.call(fields, timeout=TIMEOUT_S)

    async def _push(self) -> bool:
        """Push all days; whether the configuration is still the one that was pushed. Raises `AmiError`."""
        async with self._pushing:
            configuration, now = self._configuration, self._now()
            for centre in configuration.centres:
                zone = ZoneInfo(centre.time_zone)
                first = datetime.fromtimestamp(now / SECOND, zone).date() - timedelta(days=1)
                calendars: list[tuple[str, Calendar]] = [(centre.id, centre.calendar)]
                calendars += [(dialplan.hours_of(each.id), each.calendar) for each in centre.departments]
                for whose, calendar in calendars:
                    for day, windows in policy(calendar, first, DAYS):
                        await self._put(FAMILY, f"{whose}/{day}", windows)
            return configuration is self._configuration
