"""The languages that callers chose, pushed ahead into Asterisk, so that the next call of the same number is not asked
again, callcore alive or dead.

Rules
- No number stands in AstDB: a caller is known there by the SHA-1 of a secret, the centre and the number. Telephone
  numbers are few enough to try them all, so without the secret the hash would be the number.
- The secret is made anew with each login and each day, and stands in the memory of this process and of Asterisk only (a
  global variable, declared nowhere). With a new one all is forgotten in AstDB and pushed again; whoever calls meanwhile
  is asked, as is everybody after a restart of Asterisk while callcore is dead.
- What is remembered is the floor's (`Floor.tongues`), sealed in the journal like all that is personal.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import ActionFailed, AmiError
from callcore.domain.blocked import hashed, plain
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
"""Between two looks whether somebody has chosen a language."""
TIMEOUT_S = 2.0


class Tongues:
    """`generation` is the link's when it is up and reconciled, else None."""

    def __init__(
        self,
        link: Link,
        *,
        floor: Callable[[], Floor],
        generation: Callable[[], int | None],
        now: Callable[[], Instant],
    ) -> None:
        self._link = link
        self._floor = floor
        self._generation = generation
        self._now = now
        self._secret = ""
        self._for: tuple[int, str, str] | None = None
        """The link's generation, the configuration and the day that the secret was made for."""
        self._told: set[CallId] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._push()
            except AmiError as error:
                self._for = None
                log.warning("remembered languages not pushed", why=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _push(self) -> None:
        """Raises `AmiError`."""
        floor, generation, now = self._floor(), self._generation(), self._now()
        if generation is None or floor.configuration is None:
            return
        day = datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%d")
        wanted = (generation, floor.configuration.version, day)
        if wanted != self._for:
            await self._anew()
            self._for = wanted
        new = [name for name in floor.tongues if name not in self._told]
        for name in sorted(new, key=lambda name: (floor.tongues[name].caller.at, name)):
            known = floor.tongues[name]
            centre = floor.centres.get(known.caller.centre)
            number = plain(known.caller.text)
            self._told.add(name)
            if centre is None or not centre.remember_language_days or number is None or known.until <= now:
                continue
            await self._call(
                Action="DBPut",
                Family=dialplan.LANGUAGES,
                Key=f"{centre.id}/{hashed(self._secret, centre.id, number)}",
                Val=f"{known.language}~{known.until // SECOND}",
            )

    async def _anew(self) -> None:
        self._secret, self._told = secrets.token_hex(16), set()
        try:
            await self._call(Action="DBDelTree", Family=dialplan.LANGUAGES)
        except ActionFailed:
            log.debug("no language was remembered")
        await self._call(Action="Setvar", Variable=dialplan.SECRET, Value=self._secret)

    async def _call(self, **fields: str) -> None:
        await self._link.call(fields, timeout=TIMEOUT_S)
