"""Effects carried out over AMI, each once. What was surely not done comes back as an input; what may have been done
is left to the events and the next snapshot, never repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import ActionFailed, ActionTimeout, Event, LinkDown, WireError
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.ids import Instant, OfferId
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

ACTION_TIMEOUT_S = 2.0
"""Seconds; the largest round trip seen under load was 9 ms."""

HOLD_WAIT_S = 0.5
"""Seconds within which a caller who was told to be on the waiting line must be inside its blocking application.
In 17,400 calls the first look was always enough or the second, 1 ms later."""

LOOK_EVERY_S = 0.005


class _NotPlaced(Exception):
    """A redirect that was surely not done."""

    def __init__(self, why: str, *, caller_gone: bool = False) -> None:
        super().__init__(why)
        self.caller_gone = caller_gone


class Performer:
    """Carries out one effect at a time per call of `perform`; many may run beside each other."""

    def __init__(
        self,
        link: Link,
        *,
        beating: asyncio.Event,
        now: Callable[[], Instant],
        sleep: Callable[[float], Awaitable[None]],
        redirecting: Callable[[OfferId], None] = lambda _offer: None,
    ) -> None:
        """`beating` is set while this link has been told a heartbeat; `redirecting` hears of each offer as it goes."""
        self._link = link
        self._now = now
        self._sleep = sleep
        self._beating = beating
        self._redirecting = redirecting
        self._reclaiming = asyncio.Lock()
        self.refused = 0
        """Effects that Asterisk refused, since the start."""

    async def perform(self, effect: e.Effect) -> i.Input | None:
        """Do it; the input to be fed back, if the doing itself tells one. Raises nothing of the link's."""
        try:
            match effect:
                case e.OfferCall():
                    return await self._offer(effect)
                case e.ReclaimCaller():
                    await self._reclaim(effect)
                case e.AddMember():
                    await self._add(effect)
                case e.RemoveMember():
                    await self._call(
                        Action="QueueRemove", Queue=effect.queue, Interface=f"PJSIP/{effect.phone}"
                    )
                case e.Reply():
                    await self._call(
                        Action="Setvar",
                        Channel=effect.channel_name,
                        Variable=dialplan.REPLY,
                        Value=effect.word,
                    )
        except (ActionFailed, ActionTimeout, LinkDown, WireError) as error:
            self.refused += 1
            log.warning("effect not carried out", effect=type(effect).__name__, why=str(error))
        return None

    async def _call(self, **fields: str) -> None:
        await self._link.call(fields, timeout=ACTION_TIMEOUT_S)

    async def _status(self, channel_name: str) -> Event | None:
        """The channel as it is, or None when it does not exist."""
        try:
            rows = await self._link.call_list(
                {"Action": "Status", "Channel": channel_name, "AllVariables": "false"},
                timeout=ACTION_TIMEOUT_S,
            )
        except ActionFailed:
            return None
        return next((row for row in rows if row.name == "Status"), None)

    async def _waiting(self, channel_name: str) -> Event | None:
        """The channel once it is inside the blocking wait, or as it is after `HOLD_WAIT_S`; None: it is gone."""
        status = await self._status(channel_name)
        deadline = self._now() + round(HOLD_WAIT_S * 1_000_000)
        while status is not None and status.get("Application") != dialplan.WAITING_APPLICATION:
            if self._now() >= deadline:
                break
            await self._sleep(LOOK_EVERY_S)
            status = await self._status(channel_name)
        return status

    async def _offer(self, effect: e.OfferCall) -> i.Input | None:
        try:
            await self._place(effect)
        except _NotPlaced as why:
            return i.OfferNotPlaced(
                at=self._now(),
                call=effect.call,
                offer=effect.offer,
                reason=str(why),
                caller_gone=why.caller_gone,
            )
        return None

    async def _place(self, effect: e.OfferCall) -> None:
        """Redirect the caller out of the blocking wait. Why not, when it was surely not done."""
        try:
            status = await self._waiting(effect.channel_name)
            if status is None:
                raise _NotPlaced("入電者のチャネルがない / the caller's channel is gone", caller_gone=True)
            if status.get("Application") != dialplan.WAITING_APPLICATION:
                raise _NotPlaced(f"待ち行列にいない ({status.get('Application')}) / not on the waiting line")
        except (ActionTimeout, LinkDown) as error:
            raise _NotPlaced(f"Asterisk に確認できない / cannot ask Asterisk: {error}") from None
        self._redirecting(effect.offer)
        try:
            await self._call(
                Action="Redirect",
                Channel=effect.channel_name,
                Context=dialplan.OFFER,
                Exten=dialplan.offer_extension(effect.offer, effect.phones[0], effect.ring_s),
                Priority="1",
            )
        except (ActionFailed, WireError) as error:
            raise _NotPlaced(f"転送できない / Asterisk refused the redirect: {error}") from None
        except LinkDown as error:
            if not error.sent:
                raise _NotPlaced(f"Asterisk に接続していない / no link: {error}") from None
            log.warning("redirect without an answer", offer=effect.offer)
        except ActionTimeout:
            log.warning("redirect without an answer", offer=effect.offer)

    async def _reclaim(self, effect: e.ReclaimCaller) -> None:
        try:
            # Without a fresh beat the waiting line would let the caller fall into the net again at once.
            await asyncio.wait_for(self._beating.wait(), ACTION_TIMEOUT_S)
        except TimeoutError:
            log.warning("caller left in the safety net: no heartbeat", call=effect.call)
            return
        async with self._reclaiming:  # one after the other, so that they stand in the line as they did before
            status = await self._status(effect.channel_name)
            # Only out of the queue's own waiting; whoever hears the apology or talks is left alone.
            if status is None or status.get("Application") != "Queue" or status.get("BridgeID") is not None:
                return
            await self._call(
                Action="Redirect", Channel=effect.channel_name, Context=dialplan.HOLD, Exten="s", Priority="1"
            )
            await self._waiting(effect.channel_name)

    async def _add(self, effect: e.AddMember) -> None:
        try:
            await self._call(
                Action="QueueAdd",
                Queue=effect.queue,
                Interface=f"PJSIP/{effect.phone}",
                MemberName=effect.agent,
                StateInterface=f"PJSIP/{effect.phone}",
                Paused="false",
            )
        except ActionFailed as error:
            if "already" not in str(error).lower():
                raise
