"""The engine process: the AMI link, decisions, the journal, and nothing else.

Composition root: the only file that knows which adapters the engine is made of. It starts in stages (journal, floor,
link, commands) and stops in stages, each with a deadline and the names of what still runs.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import structlog

from callcore import __version__
from callcore.access.rights import NOBODY, Person, Right
from callcore.access.sparing import Sparing
from callcore.access.trail import Result, TrailUnwritable
from callcore.ami import heartbeat
from callcore.ami.ahead import Ahead
from callcore.ami.canary import Canary, is_canary
from callcore.ami.lamps import Lamps
from callcore.ami.link import Link, LinkLost, LinkUp, ListCompleted, SystemClock
from callcore.ami.link import Settings as LinkSettings
from callcore.ami.perform import Performer
from callcore.ami.phones import PhoneGuard, Violation
from callcore.ami.reload import reload
from callcore.ami.tongues import Tongues
from callcore.ami.translate import TALK_KEYS, FeatureKeyed, KeyPressed, translate
from callcore.ami.watch import Watch
from callcore.ami.wire import AmiError, Event
from callcore.centres import CentreFileErrors
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, Instant, Micros, PhoneId
from callcore.domain.phones import WORDS, PhoneState, Policy
from callcore.domain.staff import AWAY
from callcore.installation import accounts_of, phone_ids, recordings_of, trail_of
from callcore.journal import (
    Codec,
    JournalDamaged,
    JournalGap,
    JournalLocked,
    KeyDamaged,
    KeyLost,
    KeyStore,
    Spool,
    checkpoint,
    read_all,
    shape,
)
from callcore.live.apply import Configurator, in_force
from callcore.log import configure, present
from callcore.pbx.render import CEL_FILE
from callcore.phonefiles import TokenFile
from callcore.pins import PinFile
from callcore.recordings import protect
from callcore.runtime import dialplan
from callcore.runtime.answerdesk import AnswerDesk
from callcore.runtime.blockdesk import BlockDesk
from callcore.runtime.callbackdesk import CallbackDesk
from callcore.runtime.clockwatch import ClockWatch
from callcore.runtime.commands import Command, CommandServer, Refused
from callcore.runtime.emergencydesk import EmergencyDesk
from callcore.runtime.erasedesk import EraseDesk
from callcore.runtime.known import KnownCallers
from callcore.runtime.loop import Loop
from callcore.runtime.looplag import LoopLag
from callcore.runtime.markdesk import MarkDesk
from callcore.runtime.messagedesk import MessageDesk
from callcore.runtime.offertimes import OfferTimes
from callcore.runtime.pindesk import PinDesk
from callcore.runtime.ports import Seq
from callcore.runtime.process import run_process
from callcore.runtime.recordingdesk import RecordingDesk
from callcore.runtime.staffdesk import StaffDesk
from callcore.runtime.supervisordesk import SupervisorDesk
from callcore.settings import Settings, load_secrets, owner_only
from callcore.starting import uncollected

log = structlog.get_logger(__name__)

EVENTS = frozenset({*dialplan.CALL_EVENTS, *dialplan.PHONE_EVENTS, "DeviceStateChange", "DTMFEnd"})
"""What reaches the inbox; the rest is dropped unread."""
CHECKPOINT_EVERY_S = 6 * 3600.0
STOP_STAGE_S = 3.0
SWITCH_S = 0.0005
"""Seconds for which another thread may keep the interpreter while the deciding one wants it."""
LAG_LOOK_EVERY_S = 0.2
"""Between two looks whether events are late."""
SET_BACK_S = 2.0
"""Seconds by which the journal's last instant may be ahead of the clock at the start."""
HEARD_WITHIN_S = 1.5
"""Seconds. The canary makes an event each second: a link that was heard so lately was watched up to its end."""


class Superseded(Exception):
    """Another engine decides."""


NEEDS_A_PERSON = (
    CentreFileErrors,
    JournalLocked,
    PermissionError,
)
"""What keeps the engine from starting and does not mend by itself."""
NEEDS_A_FILE = (JournalDamaged, JournalGap, KeyLost, KeyDamaged)
"""What keeps it from starting until a file is put back: Asterisk serves callers meanwhile."""


def settle_memory() -> None:
    """Keep the pauses of this process short.

    What is there before the first call stays to the end: code, configuration, the restored floor. Left to the collector
    it is gone through again and again, tens of milliseconds each time in which nobody is offered a call. And the
    journal's own thread must not keep the interpreter for the usual 5 ms.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)


class JournalPen:
    """The loop's pen over the spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def write(self, at: Instant, facts: tuple[f.Fact, ...]) -> Seq:
        seq = self._spool.append(self._spool.frame(at, facts))
        return Seq(*seq)


class Engine:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        for folder in (
            settings.journal,
            settings.keys,
            settings.checkpoints,
            settings.recordings,
            settings.run,
        ):
            owner_only(folder)
        self._keys = KeyStore.open(settings.journal, settings.keys, write=True)
        self._known = KnownCallers(self._keys.fingerprint)
        self._codec = Codec(f.KINDS, {}, self._keys)
        self._spool = Spool.open(settings.journal, self._codec, before_sync=self._keys.sync)
        floor = self._restore()
        self._known.remember(floor)
        self._configuration = in_force(settings, floor.configuration)
        secrets = load_secrets(settings, phone_ids(self._configuration))
        clock = SystemClock()
        self._clock = clock
        self._link = Link(
            LinkSettings("127.0.0.1", settings.ami_port, "callcore", secrets.ami, events=EVENTS),
            clock=clock,
        )
        self._heartbeat = heartbeat.Heartbeat(self._link, self._spool.run)
        offers = OfferTimes(self._now, clock.monotonic)
        self._performer = Performer(
            self._link,
            entitled=self._heartbeat.entitled,
            now=self._now,
            sleep=asyncio.sleep,
            redirecting=offers.sent,
            protect=lambda call: protect(recordings_of(settings), call, settings.protected),
        )
        self._loop = Loop(floor, JournalPen(self._spool), self._perform, self._now, offers)
        present(lambda: {"seq": str(self._loop.seq)})
        self._loop_lag = LoopLag()
        self._clock_watch = ClockWatch(clock, self._clock_stepped)
        self._canary = Canary(self._link, monotonic=clock.monotonic, sleep=asyncio.sleep)
        self._late = False
        """What the core was told last about the events' lag."""
        self._trail = trail_of(settings)
        self._sparing = Sparing(clock.monotonic)
        self._phones = PhoneGuard(
            self._link,
            self._configuration,
            certificate_port=settings.sip_tls_certificate_port,
            served=bool(settings.phones_url),
            known=self._registered,
            now=self._now,
            tell=self._loop.put,
            aside=self._aside,
            report=self._violation,
        )
        self._watch = Watch(
            self._link,
            settings.node_id,
            settings.asterisk / "log" / CEL_FILE,
            floor=lambda: self._loop.floor,
            now=self._now,
            tell=self._watched,
            aside=self._aside,
            contacts=lambda rows, first: self._phones.listed(rows, first=first),
            overtaken=self._canary.overtaken,
            alone=self._heartbeat.alone,
            tests=self._tests,
        )
        self._ahead = Ahead(
            self._link,
            self._configuration,
            generation=lambda: self._watch.generation if self._loop.floor.linked else None,
            emergencies=lambda: self._loop.floor.emergencies,
            blocked=lambda: self._loop.floor.blocked,
            salt=secrets.callers,
            now=self._now,
        )
        self._tongues = Tongues(
            self._link,
            floor=lambda: self._loop.floor,
            generation=lambda: self._watch.generation if self._loop.floor.linked else None,
            now=self._now,
        )
        self._lamps = Lamps(
            self._link,
            floor=lambda: self._loop.floor,
            generation=lambda: self._watch.generation if self._loop.floor.linked else None,
            now=self._now,
        )
        self._pins = PinDesk(
            PinFile(settings.home / "pins.json").verify,
            self._loop.put,
            self._now,
            who=self._agent_of,
            asks=lambda name: self._aside(self._performer.perform(e.AskPin(name))),
            refuses=lambda name: self._aside(self._performer.perform(e.Reply(name, "refused"))),
        )
        self._configurator = Configurator(
            settings,
            self._loop,
            self._configuration,
            reload=lambda file: reload(self._link, file),
            renew=self._renew,
            failure=AmiError,
            now=self._now,
        )
        self._commands = CommandServer(
            settings.engine_socket,
            {
                "status": Command(Right.READ_OPERATION, self._status),
                **RecordingDesk(self._loop, self._now).commands,
                "phones": Command(Right.READ_OPERATION, self._phone_rows),
                "phone_sync": Command(Right.CONFIGURE, self._phone_sync),
                **StaffDesk(self._loop, self._now).commands,
                **SupervisorDesk(self._loop, self._now).commands,
                **EmergencyDesk(self._loop, self._now).commands,
                **AnswerDesk(self._loop, self._now).commands,
                **MessageDesk(self._loop, self._now).commands,
                **CallbackDesk(self._loop, self._now).commands,
                **BlockDesk(self._loop, self._now).commands,
                **EraseDesk(self._loop, self._now).commands,
                **MarkDesk(self._loop, self._now).commands,
                **self._configurator.commands,
            },
            accounts_of(settings).person,
        )
        self._heard_at: Instant | None = None
        """The last event's instant; the canary makes one each second."""
        self._tasks: list[asyncio.Task[None]] = []
        self._side: set[asyncio.Task[Any]] = set()

    def _restore(self) -> Floor:
        """The floor as the journal has it, from the newest good checkpoint on."""
        began = time.monotonic()
        kept = checkpoint.load(
            self._settings.checkpoints, shape(Floor), up_to=self._spool.opened.last
        ).checkpoint
        floor = self._codec.decode_state(kept.state, Floor) if kept is not None else Floor()
        seq = kept.seq if kept is not None else None
        frames = 0
        for frame in read_all(self._settings.journal, self._codec, after=seq):
            for fact in frame.facts:
                assert isinstance(fact, f.Fact)
                floor = evolve(floor, fact)
            seq = frame.seq
            frames += 1
        log.info(
            "floor restored",
            frames=frames,
            seconds=round(time.monotonic() - began, 3),
            calls=len(floor.calls),
        )
        return floor

    def _now(self) -> Instant:
        """The node's time; ours until the node has told its own. A step of the clock is told before it is used."""
        self._clock_watch.look()
        return self._link.node_now() or self._clock.wall()

    # -- life -------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, a part fails, or another engine has taken over."""
        settle_memory()
        behind = Micros(self._now() - self._loop.floor.at)
        if behind < -SET_BACK_S * SECOND:
            # Set back while nobody watched. By how much is not known; so all goes on as it stood at the end.
            log.warning("the clock was set back while no engine ran", by_s=behind / SECOND)
            self._loop.put(i.ClockJumped(at=self._now(), by=behind))
        self._loop.put(
            i.RunBegins(
                at=self._now(),
                run=self._spool.run,
                software=__version__,
                configuration=self._configuration.without_callers(),
            )
        )
        await self._link.start()
        await self._commands.start()
        parts: Mapping[str, Any] = {
            "decide": self._loop.run,
            "timers": self._loop.timers.run,
            "read": self._read,
            "beat": self._beat,
            "clock": self._clock_watch.run,
            "canary": self._canary.run,
            "lag": self._lag,
            "loop_lag": self._loop_lag.run,
            "look": self._watch.run,
            "ahead": self._ahead.run,
            "lamps": self._lamps.run,
            "tongues": self._tongues.run,
            "checkpoint": self._checkpoints,
        }
        self._tasks = [asyncio.create_task(part(), name=name) for name, part in parts.items()]
        ends = [
            asyncio.create_task(stop.wait(), name="stop"),
            asyncio.create_task(self._heartbeat.superseded.wait(), name="superseded"),
        ]
        waits: list[asyncio.Task[Any]] = [*self._tasks, *ends]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in done if task in self._tasks]
        for task in ends:
            task.cancel()
        await self._stop()
        if self._heartbeat.superseded.is_set():
            raise Superseded(
                f"別のエンジンが引き継いでいます。このエンジン (run {self._spool.run}) は判断を止めました / "
                f"another engine has taken over; this one (run {self._spool.run}) has stopped deciding"
            )
        for task in failed:
            raise RuntimeError(f"engine part {task.get_name()} ended") from task.exception()

    async def _stop(self) -> None:
        log.info("stopping")
        for task in self._tasks:
            task.cancel()
        _, late = await asyncio.wait(self._tasks, timeout=STOP_STAGE_S) if self._tasks else (set(), set())
        still = [task.get_name() for task in late] + await self._loop.drain(STOP_STAGE_S)
        if still:
            log.warning("still running at the stop", parts=still)
        await self._commands.close()
        await self._link.close()
        await self._spool.sync()
        self._save_checkpoint()
        self._spool.close()
        self._keys.close()
        log.info("stopped", seq=str(self._loop.seq))

    # -- reading ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        node = self._settings.node_id
        while True:
            await self._loop.room()
            item = await self._link.next_event()
            match item:
                case Event():
                    if item.at is not None:
                        self._heard_at = self._clock_watch.corrected(item.at, self._now())
                    if is_canary(item):
                        self._loop.put(partial(self._canary_came, item))
                    else:
                        self._event(item, self._link.taken_read_at)
                case LinkUp():
                    self._heartbeat.aged()
                    self._watch.link_up(item)
                case LinkLost():
                    self._canary.anew()
                    log.warning("link lost", why=str(item.notice))
                    self._loop.put(i.LinkDropped(at=self._watched_until(item.at), node=node))
                case ListCompleted():
                    if await self._watch.listed(item):
                        self._canary.anew()  # the first look takes its time; nothing was decided meanwhile
                        self._loop.put(self._beat_once)  # who is taken back from the net must find a beat
                        self._loop.put(self._first_look_taken)

    async def _first_look_taken(self) -> None:
        """Done by the deciding task, behind the first look: if the core could not take it, another is taken, for
        without one nothing is decided."""
        if not self._loop.floor.linked:
            self._watch.look_first_again()

    def _watched_until(self, lost: Instant) -> Instant:
        """When a link that was found lost just now was last watched.

        A silent link is found out seconds late, a stopped engine even later: nobody watched since the last thing
        that was heard. One that was cut off was watched up to the cut.
        """
        heard = self._heard_at
        return lost if heard is None or lost - heard <= HEARD_WITHIN_S * SECOND else heard

    def _tests(self, number: str, caller: str | None) -> bool:
        """Whether a call is one from a listed test number, by the files in force."""
        return self._configurator.running.tests(number, caller)

    async def _canary_came(self, event: Event) -> None:
        """Done by the deciding task: the way of an event ends where it is decided by."""
        self._canary.seen(event)

    async def _lag(self) -> None:
        """Tell the core when events begin to be late, and when they are in time again."""
        while True:
            late = self._canary.lag().late and self._loop.floor.linked
            if late is not self._late:
                self._late = late
                log.warning("events are late" if late else "events are in time again")
                self._loop.put(i.EventsLate(at=self._now(), late=late))
            await asyncio.sleep(LAG_LOOK_EVERY_S)

    def _clock_stepped(self, by: Micros) -> None:
        """The wall clock was set. The core is told before anything that is stamped by the new clock; it sets its timers
        anew, and the old ones are void."""
        now = self._link.node_now() or self._clock.wall()
        if self._heard_at is not None:
            self._heard_at = Instant(self._heard_at + by)
        self._loop.put(i.ClockJumped(at=now, by=by))
        self._heartbeat.aged()
        self._loop.put(self._beat_once)  # by the old clock's beat all callers would fall into the net
        self._aside(self._put_right(by))

    def _watched(self, told: i.Input) -> None:
        """What a look at Asterisk tells: of a phone that is not the inventory's, only that it is out of reach."""
        self._loop.put(self._phones.device(told) if isinstance(told, i.DeviceReported) else told)

    def _violation(self, what: Violation) -> None:
        """端末ポリシー違反 in the audit trail: beside the loop, for a line waits until it is on the disk."""
        if times := self._sparing.due(what.phone, what.reason.value, what.address):
            self._aside(asyncio.to_thread(self._violation_kept, what, times))

    def _violation_kept(self, what: Violation, times: int) -> None:
        ja, en = WORDS[what.reason]
        why = f"{what.reason.value} ×{times}: {ja} / {en}"
        try:
            self._trail.add(
                NOBODY,
                "phone_policy",
                on=what.phone,
                centre=what.centre,
                origin=what.address or "-",
                result=Result.DONE if what.reason is Policy.EMERGENCY else Result.REFUSED,
                why=f"{why}; User-Agent {what.user_agent}" if what.user_agent else why,
            )
        except TrailUnwritable as error:
            log.error("監査記録に書けません / not in the audit trail", phone=what.phone, why=str(error))

    def _registered(self, phone: PhoneId) -> PhoneState | None:
        return self._loop.floor.registered.get(phone)

    async def _renew(self, configuration: Configuration) -> bool:
        self._phones.renew(configuration)
        return await self._ahead.renew(configuration)

    async def _phone_rows(self, _: Mapping[str, Any], __: Person) -> list[dict[str, Any]]:
        rows = self._phones.rows()
        try:  # a phone whose file gives it a name for SIP tells its firmware only when it fetches that file
            told = TokenFile(self._settings.phone_tokens).firmware()
        except (OSError, msgspec.DecodeError) as error:
            log.warning("phone-tokens.json not read", why=str(error))
            told = {}
        return [{**row, "firmware": row["firmware"] or told.get(row["phone"])} for row in rows]

    async def _phone_sync(self, request: Mapping[str, Any], _: Person) -> str:
        try:
            return self._phones.sync(PhoneId(str(request["phone"])))
        except KeyError:
            raise Refused(
                f"{request.get('phone')}: 台帳にない電話機です。callcore phones で確かめてください / "
                f"{request.get('phone')}: no phone of the inventory; see callcore phones"
            ) from None

    async def _put_right(self, by: Micros) -> None:
        """What stands on the channels is put onto the new clock; then whoever fell into the net is taken back."""
        waiting = [c.channel_name for c in self._loop.floor.calls.values()]
        await self._performer.shift_entries(waiting, by)
        self._watch.look_now()

    def _event(self, event: Event, read_at: Micros) -> None:
        if self._phones.event(event):
            return
        told = translate(event, self._settings.node_id)
        at = self._heard_at
        if told is not None and not isinstance(told, KeyPressed) and at is not None and told.at != at:
            told = replace(told, at=at)  # stamped by the clock of before a step
        match told:
            case None:
                return
            case KeyPressed():
                self._pins.key(told.channel, told.digit)
            case FeatureKeyed():
                self._feature(told)
            case i.ChannelArrived():
                found = self._configurator.running.listed(told.number, told.caller)
                listed = None if found is None else (found.priority, found.reason)
                test = self._tests(told.number, told.caller)
                again, answer = self._known.arrived(self._loop.floor, told.number, told.caller, told.at)
                self._loop.put(replace(told, listed=listed, test=test, again=again, answer=answer), read_at)
            case i.DeviceReported():
                self._loop.put(self._phones.device(told), read_at)
            case i.ChannelGone():
                self._pins.gone(told.channel)
                self._loop.put(told, read_at)
            case _:
                self._loop.put(told, read_at)

    def _feature(self, told: FeatureKeyed) -> None:
        at, phone, channel = told.at, told.phone, told.channel_name
        if told.feature == "sign_out":
            self._loop.put(i.SignOutAsked(at=at, phone=phone, channel=channel))
        elif told.feature == "ready":
            self._loop.put(i.ReadyAsked(at=at, phone=phone, channel=channel))
        elif told.feature == "extend":
            self._loop.put(i.WrapUpExtendAsked(at=at, phone=phone, channel=channel))
        elif told.feature == "pause":
            self._loop.put(i.PauseAsked(at=at, reason=AWAY, key=told.digit, phone=phone, channel=channel))
        elif told.feature == "result" and told.digit is not None:
            self._loop.put(i.ResultAsked(at=at, key=told.digit, phone=phone, channel=channel))
        elif told.feature in ("emergency_begin", "emergency_end"):
            begins = told.feature == "emergency_begin"
            self._loop.put(i.EmergencyKeyed(at=at, phone=phone, channel=channel, on=begins))
        elif (key := TALK_KEYS.get(told.feature)) is not None:
            self._loop.put(i.TalkKeyed(at=at, key=key, phone=phone, channel=channel))
        elif told.feature == "sign_in_number":
            self._pins.begin(told.channel, told.channel_name, told.phone)
        elif told.feature == "sign_in":
            self._pins.begin(told.channel, told.channel_name, told.phone, AgentId(told.agent or ""))

    def _agent_of(self, number: str, phone: PhoneId) -> AgentId | None:
        """The agent of this number; of none: whoever is fixed to the phone."""
        agents = self._loop.floor.agents
        if number:
            return AgentId(number) if AgentId(number) in agents else None
        return next((agent.id for agent in agents.values() if agent.seat == phone), None)

    async def _perform(self, effect: e.Effect) -> i.Input | None:
        if isinstance(effect, e.Look):
            self._watch.look_now()
            return None
        if isinstance(effect, e.PushEmergencies | e.PushBlocked):
            self._ahead.look_now()
            return None
        if isinstance(effect, e.DestroyKey):
            self._keys.destroy_call(effect.sealed)
            return None
        if isinstance(effect, e.NoteInTrail):
            await asyncio.to_thread(self._note_in_trail, effect)
            return None
        return await self._performer.perform(effect)

    def _note_in_trail(self, noted: e.NoteInTrail) -> None:
        try:
            self._trail.add(
                noted.by,
                noted.action,
                on=noted.phone,
                centre=noted.centre,
                origin="phone",
                result=Result.DONE if noted.done else Result.REFUSED,
                why=noted.why,
            )
        except TrailUnwritable as error:
            log.error("監査記録に書けません / not in the audit trail", action=noted.action, why=str(error))

    def _aside(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something beside the reader and the deciding task."""
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side_ended)

    def _side_ended(self, task: asyncio.Task[Any]) -> None:
        self._side.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("work beside the engine raised", exc_info=task.exception())

    # -- the heartbeat ----------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            self._loop.put(self._beat_once)
            await asyncio.sleep(heartbeat.EVERY_S)

    async def _beat_once(self) -> None:
        """Done by the deciding task, at its place in the inbox: a beat proves that the inbox turns."""
        if self._loop.floor.linked:
            self._aside(self._heartbeat.once())

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_EVERY_S)
            await self._spool.sync()
            self._loop.put(self._checkpoint_once)

    async def _checkpoint_once(self) -> None:
        await self._spool.sync()
        self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        if self._loop.seq.n:
            state = self._codec.encode_state(self._loop.floor)
            checkpoint.save(self._settings.checkpoints, self._spool.synced, state, shape(Floor))

    # -- commands ---------------------------------------------------------------------------------------------

    async def _status(self, _: Mapping[str, Any], __: Person) -> dict[str, Any]:
        """Signs of life, for health, metrics and the board. Lengths of time in seconds."""
        gauges, lag = self._link.gauges(), self._canary.lag()
        counts = self._loop.counts
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "run": self._spool.run,
            "seq": [self._loop.seq.run, self._loop.seq.n],
            "at": self._now(),
            "linked": self._loop.floor.linked,
            "link": gauges.state.value,
            "link_error": str(gauges.last_error) if gauges.last_error is not None else None,
            "beat_age_s": self._heartbeat.age_s,
            "gauges": {
                "engine_inbox_items": self._loop.depth,
                "engine_link_inbox_items": gauges.depth,
                "engine_link_reconnects": gauges.reconnects,
                "engine_link_overflows": gauges.overflows,
                "engine_event_lag_seconds": (lag.last or 0) / SECOND,
                "engine_event_lag_largest_seconds": (lag.largest or 0) / SECOND,
                "engine_events_late": float(lag.late),
                "engine_inputs": counts.inputs,
                "engine_inputs_disregarded": counts.disregarded,
                "engine_faults": counts.faults,
                "engine_journal_write_failures": counts.unwritten,
                "engine_journal_unsynced_seconds": self._spool.unsynced_s(),
                "engine_effects_refused": self._performer.refused,
                "engine_slowest_step_seconds": counts.slowest_us / SECOND,
                "engine_timers": len(self._loop.timers),
                "engine_clock_steps": self._clock_watch.steps,
                "engine_lamps_behind": self._lamps.behind,
                "engine_journal_stuck_seconds": self._loop.stuck_s,
                "engine_loop_lag_seconds": self._loop_lag.largest_s,
                "engine_cpu_seconds": usage.ru_utime + usage.ru_stime,
                **self._phones.gauges(),
                **self._loop.offers.gauges(),
            },
            "offer_times": self._loop.offers.counts(),
            "policy_rejections": dict(self._phones.rejections),
            "sip_refused": dict(self._phones.refused),
        }


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the engine until `stop` is set. Raises on a wrong centre file, a locked or damaged journal."""
    with uncollected():
        engine = Engine(settings)
    await engine.run(stop)


def main(settings: Settings) -> int:
    """The engine's process. 0: stopped as asked."""
    configure(settings.log_level, "engine", settings.node)
    return run_process(
        lambda stop: serve(settings, stop),
        final=NEEDS_A_PERSON,
        told=NEEDS_A_FILE,
        superseded=(Superseded,),
    )
