"""Effects carried out over AMI, each once. What was surely not done comes back as an input; what may have been done
is left to the events and the next snapshot, never repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import ActionFailed, ActionTimeout, Event, LinkDown, WireError
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.admission import NORMAL_CLEARING
from callcore.domain.ids import SECOND, CallId, ChannelId, Instant, Micros, OfferId
from callcore.domain.stages import Treatment
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

ACTION_TIMEOUT_S = 2.0
"""Seconds; the largest round trip seen under load was 9 ms."""

HOLD_WAIT_S = 2.0
"""Seconds within which a caller who was told to be on the waiting line must be inside its blocking application.
In 17,400 calls the first look was always enough or the second, 1 ms later; a machine that is out of breath needs more,
and a moment's patience spares the caller an offer withdrawn."""

LOOK_EVERY_S = 0.005

DIAL_RINGS_S = 30
"""Seconds that a phone rings for its agent to pick up, before it calls the number that was asked for elsewhere."""

CHANNEL_UP = "6"
"""`ChannelState` of a channel that was answered."""
ANSWERED_ELSEWHERE = "26"
"""Q.850: the phone's CANCEL says so, and the phone lists no missed call."""


class _NotPlaced(Exception):
    """A redirect that was surely not done."""

    def __init__(self, why: str, *, caller_gone: bool = False) -> None:
        super().__init__(why)
        self.caller_gone = caller_gone


def _may_leave(status: Event, *, cut: bool) -> bool:
    """Whether the channel is inside the blocking wait; or, if that may be cut off, a phrase."""
    application = status.get("Application")
    if application == dialplan.WAITING_APPLICATION:
        return True
    return cut and application == dialplan.SAYING_APPLICATION and status.get("Context") == dialplan.COMFORT


class Performer:
    """Carries out one effect at a time per call of `perform`; many may run beside each other."""

    def __init__(
        self,
        link: Link,
        *,
        entitled: Callable[[], Awaitable[bool]],
        now: Callable[[], Instant],
        sleep: Callable[[float], Awaitable[None]],
        redirecting: Callable[[OfferId], None] = lambda _offer: None,
        protect: Callable[[CallId], object] = lambda _call: None,
    ) -> None:
        """`entitled` says whether this engine may move callers now; `redirecting` hears of each offer as it goes;
        `protect` keeps a recording, beside the loop."""
        self._link = link
        self._now = now
        self._sleep = sleep
        self._entitled = entitled
        self._redirecting = redirecting
        self._protect = protect
        self._reclaiming = asyncio.Lock()
        self._switching = asyncio.Lock()
        self.refused = 0
        """Effects that Asterisk refused, since the start."""

    async def perform(self, effect: e.Effect) -> i.Input | None:
        """Do it; the input to be fed back, if the doing itself tells one. Raises nothing of the link's."""
        try:
            match effect:
                case e.OfferCall():
                    return await self._offer(effect)
                case e.WithdrawOffer():
                    await self._withdraw(effect)
                case e.EndWait():
                    return await self._end_wait(effect)
                case e.LeadAside():
                    return await self._lead_aside(effect)
                case e.MarkHeld():
                    await self._set(effect.channel_name, dialplan.ON_HOLD, dialplan.HELD[effect.held])
                case e.PutThrough():
                    await self._put_through(effect)
                case e.MarkTransferred():
                    await self._set(effect.channel_name, dialplan.MOVED, str(effect.at // SECOND))
                case e.MoveCaller():
                    await self._set(effect.channel_name, f"__{dialplan.QUEUE}", effect.queue)
                case e.ReclaimCaller():
                    await self._reclaim(effect)
                case e.AddMember():
                    await self._add(effect)
                case e.PauseMember():
                    await self._pause(effect)
                case e.RemoveMember():
                    await self._call(
                        Action="QueueRemove", Queue=effect.queue, Interface=f"PJSIP/{effect.phone}"
                    )
                case e.ShowNote():
                    note = f"{effect.note}~{effect.roman}"
                    await self._set(effect.channel_name, f"__{dialplan.NOTE}", note)
                case e.Alarm():
                    log.error("alarm", what=effect.what, centre=effect.centre, phone=effect.phone)
                case e.DialOut():
                    await self._call(
                        Action="Originate",
                        Channel=f"PJSIP/{effect.phone}",
                        Context=dialplan.PHONES_DIAL,
                        Exten=effect.number,
                        Priority="1",
                        Timeout=str(DIAL_RINGS_S * 1000),
                        CallerID=f"<{effect.number}>",
                        Variable=f"{dialplan.SITE}={effect.centre}",
                        Async="true",
                    )
                case e.CallBack():
                    return await self._call_back(effect)
                case e.WatchTalk():
                    return await self._watch(effect)
                case e.TurnWatch():
                    await self._call(
                        Action="Redirect",
                        Channel=effect.watch,
                        Context=dialplan.WATCH,
                        Exten=effect.mode.value,
                        Priority="1",
                    )
                case e.HangUp():
                    cause = str(NORMAL_CLEARING) if effect.put_down else ANSWERED_ELSEWHERE
                    await self._hang_up(effect.channel, cause)
                case e.SayInTalk():
                    await self._call(
                        Action="Originate",
                        Channel=f"Local/{effect.centre}~{effect.announcement}~{effect.language}@{dialplan.ALOUD}/n",
                        Context=dialplan.OVER,
                        Exten="s",
                        Priority="1",
                        Variable=[
                            f"{dialplan.OVER_WHOM}={effect.channel_name}",
                            f"{dialplan.OVER_LEG}={effect.leg or ''}",
                        ],
                        Async="true",
                    )
                case e.WarnOfHold():
                    await self._call(
                        Action="Originate",
                        Channel=f"Local/s@{dialplan.TONE}/n",
                        Context=dialplan.WHISPER,
                        Exten="s",
                        Priority="1",
                        Variable=f"{dialplan.OVER_WHOM}={effect.channel}",
                        Async="true",
                    )
                case e.ProtectRecording():
                    await asyncio.to_thread(self._protect, effect.call)
                case e.SwitchRecording():
                    return await self._switch_recording(effect)
                case e.StopRecording():
                    return await self._stop_recording(effect)
                case e.AskPin():
                    await self._set(effect.channel_name, dialplan.STEP, "pin")
                case e.Reply():
                    await self._set(effect.channel_name, dialplan.REPLY, effect.word)
        except (ActionFailed, ActionTimeout, LinkDown, WireError) as error:
            self.refused += 1
            log.warning("effect not carried out", effect=type(effect).__name__, why=str(error))
        return None

    async def _call(self, **fields: str | list[str]) -> None:
        await self._link.call(fields, timeout=ACTION_TIMEOUT_S)

    async def _set(self, channel_name: str, variable: str, value: str) -> None:
        """Set a variable of a channel; one with two underscores is inherited by its legs."""
        await self._call(Action="Setvar", Channel=channel_name, Variable=variable, Value=value)

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

    async def _waiting(self, channel_name: str, *, cut: bool = False) -> Event | None:
        """The channel once it is inside the blocking wait (`cut`: or a phrase), or as it is after `HOLD_WAIT_S`; None:
        it is gone."""
        status = await self._status(channel_name)
        deadline = time.monotonic() + HOLD_WAIT_S
        while status is not None and not _may_leave(status, cut=cut):
            if time.monotonic() >= deadline:
                break
            await self._sleep(LOOK_EVERY_S)
            status = await self._status(channel_name)
        return status

    async def _offer(self, effect: e.OfferCall) -> i.Input | None:
        several = len(effect.phones) > 1
        try:
            await self._redirect(
                effect.channel_name,
                dialplan.OFFER,
                dialplan.offer_extension(effect.offer, effect.phones, effect.ring_s),
                first=(dialplan.PHONES, dialplan.phone_list(effect.offer, effect.phones))
                if several
                else None,
                offer=effect.offer,
                cut=effect.cut,
            )
        except _NotPlaced as why:
            return i.OfferNotPlaced(
                at=self._now(),
                call=effect.call,
                offer=effect.offer,
                reason=str(why),
                caller_gone=why.caller_gone,
            )
        return None

    async def _end_wait(self, effect: e.EndWait) -> i.Input | None:
        announced = effect.treatment is Treatment.ANNOUNCE
        said = effect.announcement if announced else effect.treatment.value
        try:
            await self._redirect(
                effect.channel_name,
                dialplan.OVERFLOW,
                dialplan.overflow_extension(effect.outcome.value, said),
                cut=effect.cut,
            )
        except _NotPlaced as why:
            return i.WaitNotEnded(
                at=self._now(), call=effect.call, reason=str(why), caller_gone=why.caller_gone
            )
        return None

    async def _lead_aside(self, effect: e.LeadAside) -> i.Input | None:
        """To a phrase; or into a menu, and then what is said in front of it stands on the channel first."""
        number = effect.number
        try:
            if effect.menu is None:
                extension = dialplan.comfort_extension(number, *effect.said)
                await self._redirect(effect.channel_name, dialplan.COMFORT, extension)
            else:
                await self._redirect(
                    effect.channel_name,
                    dialplan.OVERFLOW_MENU,
                    dialplan.menu_extension(number, effect.menu),
                    first=(dialplan.SAID, dialplan.said_first(number, effect.said)),
                )
        except _NotPlaced as why:
            return i.AsideNotBegun(
                at=self._now(),
                call=effect.call,
                number=number,
                reason=str(why),
                caller_gone=why.caller_gone,
            )
        return None

    async def _redirect(
        self,
        channel_name: str,
        context: str,
        extension: str,
        *,
        first: tuple[str, str] | None = None,
        offer: OfferId | None = None,
        cut: bool = False,
    ) -> None:
        """Redirect the caller out of the blocking wait. Raises `_NotPlaced` when it was surely not done.

        `first`: the variable that must stand on the channel before. `offer`: what it is done for, if for an offer.
        `cut`: out of a phrase too, which is a blocking application like the wait."""
        if not await self._entitled():
            raise _NotPlaced("心拍が届いていない / no heartbeat of ours has reached Asterisk")
        try:
            status = await self._waiting(channel_name, cut=cut)
            if status is None:
                raise _NotPlaced("入電者のチャネルがない / the caller's channel is gone", caller_gone=True)
            if not _may_leave(status, cut=cut):
                raise _NotPlaced(f"待ち行列にいない ({status.get('Application')}) / not on the waiting line")
            if first is not None:
                await self._set(channel_name, *first)
        except (ActionTimeout, LinkDown, ActionFailed, WireError) as error:
            raise _NotPlaced(f"Asterisk に確認できない / cannot ask Asterisk: {error}") from None
        if offer is not None:
            self._redirecting(offer)
        try:
            await self._call(
                Action="Redirect", Channel=channel_name, Context=context, Exten=extension, Priority="1"
            )
        except (ActionFailed, WireError) as error:
            raise _NotPlaced(f"転送できない / Asterisk refused the redirect: {error}") from None
        except LinkDown as error:
            if not error.sent:
                raise _NotPlaced(f"Asterisk に接続していない / no link: {error}") from None
            log.warning("redirect without an answer", context=context, extension=extension)
        except ActionTimeout:
            log.warning("redirect without an answer", context=context, extension=extension)

    async def _withdraw(self, effect: e.WithdrawOffer) -> None:
        """Hang up the leg if it still rings: an answer that was quicker counts. Asterisk takes a unique id for a name.

        An answer that comes between the look and the hang-up is cut off; the dialplan then puts the caller back."""
        status = await self._status(effect.channel)
        if status is None or status.get("ChannelState") == CHANNEL_UP:
            return
        await self._hang_up(effect.channel)

    async def _hang_up(self, channel: str, cause: str = ANSWERED_ELSEWHERE) -> None:
        """`cause` is Q.850's."""
        try:
            await self._call(Action="Hangup", Channel=channel, Cause=cause)
        except ActionFailed:
            log.debug("the leg was gone already", channel=channel)

    async def _call_back(self, effect: e.CallBack) -> i.Input | None:
        """Have the phone rung. Only a plain refusal is told: what came of no answer is seen on Asterisk."""
        try:
            await self._call(
                Action="Originate",
                Channel=f"PJSIP/{effect.phone}",
                ChannelId=effect.side,
                Context=dialplan.CALLBACK,
                Exten=effect.number,
                Priority="1",
                Timeout=str(effect.ring_s * 1000),
                CallerID=f"<{effect.number}>",
                Variable=[
                    "CONNECTEDLINE(name-charset,i)=utf8",
                    f"CONNECTEDLINE(name,i)={effect.shown}",
                    f"{dialplan.SITE}={effect.centre}",
                    f"{dialplan.LANGUAGE}={effect.language}",
                    f"{dialplan.ATTEMPT}={effect.attempt}",
                    f"{dialplan.LISTED}={'yes' if effect.listed else ''}",
                ],
                Async="true",
            )
        except ActionFailed as error:
            self.refused += 1
            log.warning("call-back not placed", side=effect.side, why=str(error))
            return i.CallbackNotPlaced(at=self._now(), side=effect.side)
        return None

    async def _watch(self, effect: e.WatchTalk) -> i.Input | None:
        """Have the supervisor's phone rung. Only a plain refusal is told, as of a call-back."""
        try:
            await self._call(
                Action="Originate",
                Channel=f"PJSIP/{effect.phone}",
                ChannelId=effect.watch,
                Context=dialplan.WATCH,
                Exten=effect.mode.value,
                Priority="1",
                Timeout=str(DIAL_RINGS_S * 1000),
                CallerID=f"<{effect.agent}>",
                Variable=[
                    "CONNECTEDLINE(name-charset,i)=utf8",
                    f"CONNECTEDLINE(name,i)={effect.shown}",
                    f"{dialplan.OVER_WHOM}={effect.leg}",
                ],
                Async="true",
            )
        except ActionFailed as error:
            self.refused += 1
            log.warning("supervisor's phone not rung", watch=effect.watch, why=str(error))
            return i.WatchNotPlaced(at=self._now(), watch=effect.watch)
        return None

    async def _reclaim(self, effect: e.ReclaimCaller) -> None:
        if not await self._entitled():
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

    async def _put_through(self, effect: e.PutThrough) -> None:
        """Out of the talk, which is a blocking place: the dialplan sees to it that the caller gets to a good end."""
        if effect.leg is not None:
            far = await self._status(effect.leg)
            name = far.get("Channel") if far is not None else None
            if name is None:
                return
            context, extension = dialplan.JOIN, name.removeprefix("PJSIP/")
        else:
            context, extension = dialplan.TRANSFER, f"*5{effect.short}"
        await self._call(
            Action="Redirect", Channel=effect.channel_name, Context=context, Exten=extension, Priority="1"
        )

    async def _switch_recording(self, effect: e.SwitchRecording) -> i.Input:
        """A muted recording goes on with silence, so that its length stays that of the talk. The channel is told before
        that it is, and afterwards that it is not any more: the dialplan, and whoever looks, end a pause that nobody
        knows of. One after the other, for the last word counts."""
        at, done, refused = self._now(), False, False
        try:
            async with self._switching:
                if effect.paused:
                    await self._set(effect.channel_name, dialplan.TAPE_PAUSED, str(self._now()))
                lies_at = await self._variable(effect.channel_name, dialplan.TAPE_AT)
                await self._call(
                    Action="MixMonitorMute",
                    Channel=lies_at or effect.channel_name,
                    Direction="both",
                    State="1" if effect.paused else "0",
                )
                at, done = self._now(), True
                if not effect.paused:
                    await self._set(effect.channel_name, dialplan.TAPE_PAUSED, "")
        except (ActionFailed, ActionTimeout, LinkDown, WireError) as error:
            # A word that stays on the channel of one that goes on is taken off after the next look.
            refused = not done and isinstance(error, ActionFailed)
            log.warning("recording not switched" if not done else "still called paused", why=str(error))
        return i.RecordingSwitched(
            at=at,
            call=effect.call,
            paused=effect.paused,
            done=done,
            refused=refused,
            agent=effect.agent,
            by=effect.by,
            channel=effect.channel,
            why=effect.why,
        )

    async def _stop_recording(self, effect: e.StopRecording) -> i.Input | None:
        """The dialplan is told first: stopped and not told, the next talk would not be recorded. And before it is told
        the MixMonitor is looked up, for once told it may begin another one, which is to go on. What was looked up is
        that of caller and department if they are together afterwards, and the dialplan gives its name to no later one
        of the call: however late a step comes, no other talk's is stopped. None: it is not known to be stopped."""
        tape = await self._variable(effect.channel_name, dialplan.TAPE) if effect.own else None
        consult = await self._variable(effect.channel_name, dialplan.CONSULT_TAPE) if effect.consult else None
        before = await self._variable(effect.channel_name, dialplan.TAPE_STOPPED)
        if not await self._together(effect.channel_name, effect.far):
            return None
        await self._stop_tape(effect.channel_name, consult)
        if not effect.own:
            return None
        await self._set(effect.channel_name, dialplan.TAPE_STOPPED, str(self._now()))
        if await self._stop_tape(effect.channel_name, tape):
            return i.RecordingStopTold(at=self._now(), call=effect.call)
        await self._set(effect.channel_name, dialplan.TAPE_STOPPED, before or "")
        if before is None or not before.isdigit():
            log.warning("recording not stopped", call=effect.call)
            return None
        return i.RecordingStopTold(at=Instant(int(before)), call=effect.call)

    async def _together(self, channel_name: str, other: ChannelId) -> bool:
        rows = [await self._status(channel_name), await self._status(other)]
        here, there = (None if row is None else row.get("BridgeID") for row in rows)
        return bool(here) and here == there

    async def _stop_tape(self, channel_name: str, tape: str | None) -> bool:
        """Whether this MixMonitor of the channel went on until now."""
        if tape is None:
            return False
        try:
            await self._call(Action="StopMixMonitor", Channel=channel_name, MixMonitorID=tape)
        except ActionFailed:
            return False
        return True

    async def _variable(self, channel_name: str, variable: str) -> str | None:
        reply = await self._link.call(
            {"Action": "Getvar", "Channel": channel_name, "Variable": variable}, timeout=ACTION_TIMEOUT_S
        )
        return reply.get("Value") or None

    async def shift_entries(self, channel_names: Collection[str], by: Micros) -> None:
        """The clock was stepped: put the callers' entries, which stand on their channels, onto the new clock.

        The order of waiting and the limits of the wait hang on them. Raises nothing of the link's.
        """
        whole = round(by / SECOND)
        for name in channel_names:
            try:
                for variable in (dialplan.ENTERED, dialplan.SINCE):
                    reply = await self._link.call(
                        {"Action": "Getvar", "Channel": name, "Variable": variable}, timeout=ACTION_TIMEOUT_S
                    )
                    told = reply.get("Value") or ""
                    if told.isdigit():
                        value = str(int(told) + whole)
                        await self._call(Action="Setvar", Channel=name, Variable=f"__{variable}", Value=value)
            except ActionFailed:
                continue  # the caller has gone
            except (ActionTimeout, LinkDown, WireError) as error:
                log.warning("entries not put onto the new clock", why=str(error))
                return

    async def _add(self, effect: e.AddMember) -> None:
        try:
            await self._call(
                Action="QueueAdd",
                Queue=effect.queue,
                Interface=f"PJSIP/{effect.phone}",
                MemberName=effect.agent,
                StateInterface=f"PJSIP/{effect.phone}",
                Paused="true" if effect.paused else "false",
            )
        except ActionFailed as error:
            if "already" not in str(error).lower():
                raise
            await self._pause(e.PauseMember(effect.queue, effect.phone, effect.paused))

    async def _pause(self, effect: e.PauseMember) -> None:
        await self._call(
            Action="QueuePause",
            Queue=effect.queue,
            Interface=f"PJSIP/{effect.phone}",
            Paused="true" if effect.paused else "false",
        )
