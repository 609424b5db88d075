"""What is pushed ahead into Asterisk, so that the dialplan alone does right for weeks: the opening hours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import AmiError
from callcore.domain.centre import Configuration
from callcore.domain.hours import policy
from callcore.domain.ids import SECOND, Instant

log = structlog.get_logger(__name__)

DAYS = 40
"""Days of opening hours pushed ahead; at least 31 are promised, and they are pushed again each day."""
RETRY_S = 5.0
LOOK_EVERY_S = 60.0
"""Between two looks whether the day, the link or the configuration is another one."""
TIMEOUT_S = 2.0
FAMILY = "callcore-hours"


class Ahead:
    """`generation` is the link's when it is up and reconciled, else None."""

    def __init__(
        self,
        link: Link,
        configuration: Configuration,
        *,
        generation: Callable[[], int | None],
        now: Callable[[], Instant],
    ) -> None:
        self._link = link
        self._configuration = configuration
        self._generation = generation
        self._now = now
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

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now = self._now()
            wanted = (self._generation(), datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%d"))
            if wanted[0] is not None and wanted != self._pushed:
                try:
                    if await self._push():
                        self._pushed = wanted
                    log.info("opening hours pushed", days=DAYS)
                except AmiError as error:
                    log.warning("opening hours not pushed", why=str(error))
            await asyncio.sleep(RETRY_S if wanted != self._pushed else LOOK_EVERY_S)

    async def _push(self) -> bool:
        """Push all days; whether the configuration is still the one that was pushed. Raises `AmiError`."""
        async with self._pushing:
            configuration, now = self._configuration, self._now()
            for centre in configuration.centres:
                zone = ZoneInfo(centre.time_zone)
                first = datetime.fromtimestamp(now / SECOND, zone).date() - timedelta(days=1)
                for day, windows in policy(centre.calendar, first, DAYS):
                    fields = {
                        "Action": "DBPut",
                        "Family": FAMILY,
                        "Key": f"{centre.id}/{day}",
                        "Val": windows,
                    }
                    await self._link.call(fields, timeout=TIMEOUT_S)
            return configuration is self._configuration
