"""The engine process: the AMI link, decisions, the journal, and nothing else.

Composition root: the only file that knows which adapters the engine is made of. It starts in stages (journal, floor,
link, commands) and stops in stages, each with a deadline and the names of what still runs.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from callcore import __version__
from callcore.ami import cel, names, snapshot
from callcore.ami.canary import Canary
from callcore.ami.link import Link, LinkLost, LinkUp, ListCompleted, SystemClock
from callcore.ami.link import Settings as LinkSettings
from callcore.ami.perform import Performer
from callcore.ami.translate import FeatureKeyed, KeyPressed, translate
from callcore.ami.wire import AmiError, Event
from callcore.centres import CentreFileErrors, load
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.floor import UNNOTICED_S, Floor, evolve
from callcore.domain.hours import policy
from callcore.domain.ids import SECOND, AgentId, CallId, Instant
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
from callcore.log import configure
from callcore.pbx.render import CEL_FILE
from callcore.pins import PinFile
from callcore.runtime.commands import CommandServer
from callcore.runtime.loop import Loop
from callcore.runtime.pindesk import PinDesk
from callcore.runtime.ports import Seq
from callcore.runtime.process import run_process
from callcore.settings import Settings, load_secrets, owner_only

log = structlog.get_logger(__name__)

BEAT_EVERY_S = 1.0
LOOK_EVERY_S = 10.0
"""Between two looks at all of Asterisk's channels."""
JUDGE_AFTER_S = 1.0
"""A look is judged so long after it was taken: events that were under way have come by then."""
POLICY_DAYS = 40
"""Days of opening hours pushed ahead; at least 31 are promised, and they are pushed again each day."""
POLICY_RETRY_S = 5.0
CHECKPOINT_EVERY_S = 6 * 3600.0
CEL_LOOKS, CEL_LOOK_EVERY_S = 10, 0.1
"""CEL writes milliseconds after the event; a second is far beyond that."""
STOP_STAGE_S = 3.0
HOURS_FAMILY = "callcore-hours"
NEEDS_A_PERSON = (
    CentreFileErrors,
    JournalLocked,
    JournalDamaged,
    JournalGap,
    KeyLost,
    KeyDamaged,
    PermissionError,
)
"""What keeps the engine from starting and does not mend by itself."""


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
        self._configuration = load(settings.centres, settings.prompts)
        phones = [p.id for c in self._configuration.centres for p in c.phones]
        secrets = load_secrets(settings, phones)
        for folder in (
            settings.journal,
            settings.keys,
            settings.checkpoints,
            settings.recordings,
            settings.run,
        ):
            owner_only(folder)
        self._keys = KeyStore.open(settings.journal, settings.keys, write=True)
        self._codec = Codec(f.KINDS, {}, self._keys)
        self._spool = Spool.open(settings.journal, self._codec, before_sync=self._keys.sync)
        floor, self._seq = self._restore()
        clock = SystemClock()
        self._clock = clock
        self._link = Link(
            LinkSettings("127.0.0.1", settings.ami_port, "callcore", secrets.ami, events=names.EVENTS),
            clock=clock,
        )
        self._performer = Performer(self._link, now=self._now, sleep=asyncio.sleep)
        self._loop = Loop(floor, JournalPen(self._spool), self._performer.perform, self._now)
        self._canary = Canary(self._link, monotonic=clock.monotonic, sleep=asyncio.sleep)
        self._pins = PinDesk(PinFile(settings.home / "pins.json").verify, self._loop.put, self._now)
        self._commands = CommandServer(
            settings.engine_socket, {"status": self._status, "recording": self._recording_measured}
        )
        self._generation = 0
        self._members: tuple[i.Member, ...] = ()
        self._heard_at: Instant | None = None
        """The last event's instant; the canary makes one each second."""
        self._beaten_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._side: set[asyncio.Task[None]] = set()
        self._superseded = asyncio.Event()

    def _restore(self) -> tuple[Floor, Seq]:
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
        return floor, Seq(*seq) if seq is not None else Seq(0, 0)

    def _now(self) -> Instant:
        """The node's time; ours until the node has told its own."""
        return self._link.node_now() or self._clock.wall()

    # -- life -------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, a part fails, or another engine has taken over."""
        self._loop.put(
            i.RunBegins(
                at=self._now(), run=self._spool.run, software=__version__, configuration=self._configuration
            )
        )
        await self._link.start()
        await self._commands.start()
        parts: Mapping[str, Any] = {
            "decide": self._loop.run,
            "timers": self._loop.timers.run,
            "read": self._read,
            "beat": self._beat,
            "canary": self._canary.run,
            "look": self._look,
            "policy": self._policy,
            "checkpoint": self._checkpoints,
        }
        self._tasks = [asyncio.create_task(part(), name=name) for name, part in parts.items()]
        ends = [
            asyncio.create_task(stop.wait(), name="stop"),
            asyncio.create_task(self._superseded.wait(), name="superseded"),
        ]
        waits: list[asyncio.Task[Any]] = [*self._tasks, *ends]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in done if task in self._tasks]
        for task in ends:
            task.cancel()
        await self._stop()
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
                    self._heard_at = item.at or self._heard_at
                    if not self._canary.seen(item):
                        self._event(item)
                case LinkUp():
                    self._generation = item.generation
                    self._performer.link_up()
                    self._aside(self._photograph("first", item.generation))
                case LinkLost():
                    self._canary.link_lost()
                    log.warning("link lost", why=str(item.notice))
                    # A silent link is found out seconds late, a stopped engine even later: nobody watched since
                    # the last thing that was heard.
                    self._loop.put(i.LinkDropped(at=min(item.at, self._heard_at or item.at), node=node))
                case ListCompleted():
                    await self._listed(item)

    def _event(self, event: Event) -> None:
        told = translate(event, self._settings.node_id)
        match told:
            case None:
                return
            case KeyPressed():
                self._pins.key(told.channel, told.digit)
            case FeatureKeyed():
                self._feature(told)
            case i.ChannelGone():
                self._pins.gone(told.channel)
                self._loop.put(told)
            case _:
                self._loop.put(told)

    def _feature(self, told: FeatureKeyed) -> None:
        if told.feature == "sign_out":
            self._loop.put(i.SignOutAsked(at=told.at, phone=told.phone, channel=told.channel_name))
        elif told.feature == "sign_in":
            # A phone that keyed no number is asked for the PIN of whoever is fixed to it.
            agent = told.agent or next(
                (a.id for a in self._loop.floor.agents.values() if a.seat == told.phone), None
            )
            if agent is None:
                self._aside(self._performer.perform(e.Reply(told.channel_name, "refused")))
            else:
                self._pins.begin(told.channel, told.channel_name, AgentId(agent), told.phone)

    def _aside(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    # -- looking at all of Asterisk ---------------------------------------------------------------------------

    async def _photograph(self, tag: str, generation: int) -> None:
        """Ask for the lists; they come through the inbox. A first one is asked for until it succeeds."""
        while generation == self._generation:
            try:
                await snapshot.request(self._link, f"{tag}:{generation}")
                return
            except AmiError as error:
                log.warning("no snapshot", why=str(error))
                if tag != "first":
                    return
                await asyncio.sleep(0.5)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._loop.floor.linked:
                await self._photograph("look", self._generation)

    async def _listed(self, item: ListCompleted) -> None:
        head, _, what = item.tag.partition("/")
        tag, _, generation = head.partition(":")
        if generation != str(self._generation):
            return
        now = self._now()
        if what == snapshot.DEVICES:
            for phone, device in snapshot.devices(item.events):
                self._loop.put(i.DeviceReported(at=now, phone=phone, device=device))
        elif what == snapshot.MEMBERS:
            self._members = snapshot.members(item.events)
        elif what == snapshot.CHANNELS:
            first = tag == "first"
            channels = snapshot.channels(item.events)
            seen = i.Snapshot(
                at=now,
                node=self._settings.node_id,
                first=first,
                channels=channels,
                devices=(),
                members=self._members,
                traces=await self._retrace({c.id for c in channels}) if first else (),
            )
            if first:
                self._loop.put(seen)
                self._loop.put(self._beat_once)  # who is taken back from the net must find a beat
            else:
                self._aside(self._later(seen, self._generation))

    async def _later(self, seen: i.Snapshot, generation: int) -> None:
        await asyncio.sleep(JUDGE_AFTER_S)
        if generation == self._generation and self._loop.floor.linked:
            self._loop.put(seen)

    async def _retrace(self, present: Collection[str]) -> tuple[i.CallTraced, ...]:
        """The traces, once CEL has told the end of every call whose channel is gone.

        It writes a moment after the event. An end that does not come went with Asterisk itself.
        """
        for _ in range(CEL_LOOKS):
            traces = await asyncio.to_thread(self._traces)
            told = {t.call for t in traces if t.ended is not None}
            if all(call in told or call in present for call in self._loop.floor.calls):
                break
            await asyncio.sleep(CEL_LOOK_EVERY_S)
        return traces

    def _traces(self) -> tuple[i.CallTraced, ...]:
        """What CEL tells of the calls that are open, and of those that came when nobody watched."""
        floor = self._loop.floor
        since = floor.unwitnessed_since()
        lines = cel.read_since(self._settings.asterisk / "log" / CEL_FILE, since)
        # An old open call makes old lines come along; what ended long ago is in the books already.
        new = floor.watched_until - UNNOTICED_S * SECOND
        return tuple(t for t in cel.traces(lines) if t.call in floor.calls or t.arrived >= new)

    # -- the heartbeat and what is pushed ahead ---------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            self._loop.put(self._beat_once)
            await asyncio.sleep(BEAT_EVERY_S)

    async def _beat_once(self) -> None:
        """Done by the deciding task, at its place in the inbox: a beat proves that the inbox turns."""
        if self._loop.floor.linked and not self._superseded.is_set():
            self._aside(self._send_beat())

    async def _send_beat(self) -> None:
        try:
            told = await self._link.call({"Action": "Getvar", "Variable": names.RUN}, timeout=2.0)
            other = told.get("Value") or ""
            if other.isdigit() and int(other) > self._spool.run:
                log.critical(
                    "別のエンジンが引き継いでいます。このエンジンは判断を止めます / "
                    "another engine has taken over; this one stops deciding",
                    run=self._spool.run,
                    other=other,
                )
                self._superseded.set()
                return
            await self._performer.beat(self._spool.run)
            self._beaten_at = time.monotonic()
        except AmiError as error:
            log.warning("no heartbeat", why=str(error))

    async def _policy(self) -> None:
        """Push the opening hours ahead, so that the dialplan alone decides rightly for weeks."""
        pushed: tuple[int, str] | None = None
        while True:
            now = self._now()
            today = datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%d")
            wanted = (self._generation, today + self._configuration.version)
            if self._loop.floor.linked and wanted != pushed:
                try:
                    await self._push(now)
                    pushed = wanted
                    log.info("opening hours pushed", days=POLICY_DAYS)
                except AmiError as error:
                    log.warning("opening hours not pushed", why=str(error))
            await asyncio.sleep(POLICY_RETRY_S if wanted != pushed else 60.0)

    async def _push(self, now: Instant) -> None:
        for centre in self._configuration.centres:
            zone = ZoneInfo(centre.time_zone)
            first = datetime.fromtimestamp(now / SECOND, zone).date() - timedelta(days=1)
            for day, windows in policy(centre.calendar, first, POLICY_DAYS):
                await self._performer.push(HOURS_FAMILY, f"{centre.id}/{day}", windows)

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

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
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
            "beat_age_s": None if self._beaten_at is None else round(time.monotonic() - self._beaten_at, 3),
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
                "engine_cpu_seconds": usage.ru_utime + usage.ru_stime,
            },
        }

    async def _recording_measured(self, told: Mapping[str, Any]) -> bool:
        self._loop.put(
            i.RecordingMeasured(
                at=self._now(),
                call=CallId(str(told["call"])),
                file=str(told["file"]),
                size=int(told["size"]),
                seconds=float(told["seconds"]),
                sha256=told.get("sha256"),
                problem=told.get("problem"),
            )
        )
        return True


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the engine until `stop` is set. Raises on a wrong centre file, a locked or damaged journal."""
    await Engine(settings).run(stop)


def main(settings: Settings) -> int:
    """The engine's process. 0: stopped as asked."""
    configure(settings.log_level, "engine")
    return run_process(lambda stop: serve(settings, stop), final=NEEDS_A_PERSON)
