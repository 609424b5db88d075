"""The sidecar process: follows the journal with the same fold, and serves people and machines.

Composition root: the only file that knows which adapters the sidecar is made of. It may crash, be stopped or be slow,
and no caller notices; what it wants done it asks of the engine, and sees it come back as a fact.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import structlog

from callcore import audit
from callcore.access.rights import SIDECAR_PERSON
from callcore.announced import Announced
from callcore.certificate import Certificate, until_usable
from callcore.db import NEWEST, Database, DatabaseAway, Projection, Queries, UnknownDatabase
from callcore.departed import every
from callcore.domain import facts as f
from callcore.domain.centre import Centre, Configuration, RecordAfter
from callcore.domain.evolve import evolve
from callcore.domain.findings import WORDS, Finding
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.measures import Books
from callcore.domain.personal import Personal
from callcore.erasure import Erasure, Reports
from callcore.installation import accounts_of, message_of, recording_of, recordings_of, trail_of
from callcore.journal import Codec, Drain, Follower, KeyStore, checkpoint, period_of, read_mark, shape
from callcore.log import configure, present
from callcore.monthly import MonthSoFar
from callcore.nights import RETRY_S, Nights
from callcore.phonefiles import Shelf
from callcore.phones.serving import Refusal
from callcore.reconciliation import CannotReconcile, Nightly, told_of
from callcore.recorded import Recorded
from callcore.recordings import (
    GROWTH_EVERY_S,
    SETTLES_S,
    UNCUT,
    Ear,
    Growth,
    Keeper,
    Measured,
    Teller,
    Voices,
    cut,
    discard,
    filed,
    is_open,
)
from callcore.results import Results
from callcore.runtime.commands import CommandClient, CommandFailed
from callcore.runtime.looplag import LoopLag
from callcore.runtime.ports import Beside, Health, HealthCheck, Seq, View
from callcore.runtime.process import run_process
from callcore.settings import PLAIN, Settings, owner_only
from callcore.stored import Stored
from callcore.telemetry.health import engine_check, link_check, space_check, written_check
from callcore.telemetry.prometheus import Exposition
from callcore.unassigned import NO_CENTRE, is_there
from callcore.web import LOOPBACK_NAMES, CannotListen, Once, Traffic, create_app, listen, serve

log = structlog.get_logger(__name__)

FOLD_EVERY_S = 0.02
"""For so long frames are gathered for the present view; a board gets 10 views a second at most."""
ASK_EVERY_S = 1.0
"""Between two looks for the engine's signs of life."""
STALE_AFTER_S = 5.0
"""The heartbeat's own bound: an engine silent for so long no longer decides."""
CHECKPOINT_EVERY_S = 3600.0
YOUNG, MIDDLING, NEVER = 2000, 20, 1_000_000_000
"""After so many new objects, and so many looks at these, the collector looks at the young and the middling ones; at all
it does not look by itself."""
KEEP_DAYS = 2
"""Days of records kept for the live figures; the database keeps the rest."""
MEASURE_EVERY_S = 1.0
"""Between two looks for recordings that are not filed."""
RECORDING_MISSING_S = 45.0
"""Seconds after which a recording that is not there is filed as missing: within a minute all is said."""
SET_BACK_S = 10.0
"""A message that was left so long after now was left before the clock was set back: its time is that on the wall."""
NAMED = 10
"""Differences of one night that stand in the log; all of them stand in the kept result."""
LEAST_FREE_BYTES = 1 << 30
SWITCH_S = 0.0005
"""For so long one thread computes while others wait: who seals a recording waits for its turn thousands of times, and
at the interpreter's own 5 ms it took a third longer beside one that measures (`bench/spool.py`)."""
NICENESS = 15
"""On a busy machine the engine and Asterisk come first: the board and the database may be late, a caller may not."""
RESULTS_EVERY_S = 1.0
"""Who is killed within so long of a finding tells it once more."""
RECONCILE_LOOK_S = 20.0
"""Between two looks whether a day is due to be reconciled."""
RECONCILE_RETRY_S = 3600.0
"""After a night's run that could not be done: a disk or a file must be put back by somebody."""
ERASE_LOOK_S = 10.0
"""Between two looks whether something is to be erased, and at the clocks."""
LOOK_EVERY_S = 5.0
"""Between two looks at the disks, and at whether the month's earlier days are to be asked for."""
MONTH_RETRY_S = 600.0
"""After a month that could not be made for a reason that nobody foresaw."""
DATABASE_RETRY_S = 2.0
"""Seconds between tries while the database is away at the start."""


@dataclass(frozen=True, slots=True)
class World:
    """What a checkpoint of the sidecar keeps."""

    floor: Floor
    books: Books


class Live:
    """The present view, fed by the journal."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._change = asyncio.Event()
        self._offset = 0
        self._engine: Mapping[str, Any] = {}
        self._heard_at: float | None = None
        self._born_at = time.monotonic()

    def view(self) -> View:
        return self._view

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000 + self._offset)

    def stale_s(self) -> float | None:
        age = time.monotonic() - (self._heard_at if self._heard_at is not None else self._born_at)
        return age if age > STALE_AFTER_S else None

    async def changed(self, after: Seq) -> View:
        while self._view.seq <= after:
            await self._change.wait()
        return self._view

    def publish(self, view: View) -> None:
        self._view = view
        change, self._change = self._change, asyncio.Event()
        change.set()

    def engine_told(self, status: Mapping[str, Any]) -> None:
        """The engine's answer. Its heartbeat must be young for the answer to count as a sign of life."""
        self._engine = status
        self._offset = int(status["at"]) - time.time_ns() // 1000
        beat = status.get("beat_age_s")
        if beat is not None and beat < STALE_AFTER_S:
            self._heard_at = time.monotonic()

    def caught_up(self) -> bool:
        """Whether the engine lives, and the view is as far as it said last."""
        told = self._engine.get("seq")
        return told is not None and self.stale_s() is None and self._view.seq >= Seq(*told)

    def engine_gauges(self) -> Mapping[str, float]:
        return dict(self._engine.get("gauges", {}))

    def engine_counts(self) -> Mapping[str, Mapping[str, int]]:
        """What was refused since the engine's start, by reason."""
        told = self._engine
        return {
            "device_policy_rejections": told.get("policy_rejections", {}),
            "sip_requests_refused": told.get("sip_refused", {}),
        }


class Sidecar:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        for folder in (settings.journal, settings.keys, settings.checkpoints, settings.run):
            owner_only(folder)
        self._keys = KeyStore.open(settings.journal, settings.keys)
        self._codec = Codec(f.KINDS, {}, self._keys)
        self._folder = settings.checkpoints / "sidecar"
        self._live = Live(self._restore())
        present(lambda: {"seq": str(self._live.view().seq)})
        self._database = Database(settings.database)
        self._queries = Queries(self._database)
        self._tables_there = asyncio.Event()
        self._month = MonthSoFar(self._queries)
        self._health: tuple[Health, ...] = ()
        """As it was looked at last."""
        self._free: dict[str, float] = {}
        """Bytes, by the gauge's name."""
        mark = read_mark(settings.journal)
        self._results = Results(self._folder / "results.json", None if mark is None else mark.seq)
        self._drain = Drain(
            lambda after: Follower(settings.journal, self._codec, after),
            Projection(self._database, self._seal),
            away=(DatabaseAway,),
        )
        self._engine = CommandClient(settings.engine_socket, by=SIDECAR_PERSON.id)
        self._accounts = accounts_of(settings)
        self._trail = trail_of(settings)
        self._loop_lag = LoopLag()
        self._nightly = Nightly(settings)
        self._erasure = Erasure(settings, self._database, self._keys, self._engine, self._every)
        self._nights = Nights(self._erasure)
        self._recordings = recordings_of(settings)
        self._ear = Ear(self._recordings)
        self._keeper = Keeper(
            self._recordings,
            settings.protected,
            self._live,
            settings.recordings_plain_s,
            self._live.caught_up,
            self._centre_of,
            (DatabaseAway,),
        )
        self._teller = Teller(settings.store, self._live, self._kept)
        self._phones: Shelf | None = None
        """What phones fetch; None: it is carried by hand."""
        if settings.phones_url:
            self._phones = Shelf(settings, self._configuration)
        self._certificate: Certificate | None = None
        self._traffic = Traffic()
        self._reconciled = audit.newest(settings.reconciliations)
        self._uncut: set[Path] = set()
        """Recordings that were cut, and were perhaps not filed yet."""
        self._not_cut: dict[CallId, int | None] = {}
        """Calls whose recording could not be cut, and the error that was told of it last: it is tried each second."""
        self._keys_unread: int | None = None
        """Why the folders of keys could not be listed last, as it was told."""
        self._unforeseen: set[str] = set()
        """Recordings at which something went wrong that nobody foresaw, and was told."""
        self._growing: set[CallId] = set()
        """Calls whose recording was still written at the last look: who was called is with somebody else."""
        self._growth = Growth(settings.recordings)

    def _restore(self) -> View:
        kept = checkpoint.load(self._folder, shape(World)).checkpoint
        if kept is None:
            return View(Seq(0, 0), Floor(), Books())
        world = self._codec.decode_state(kept.state, World)
        return View(Seq(*kept.seq), world.floor, world.books)

    def _seal(self, value: Personal) -> tuple[bytes, str | None, str] | None:
        """A caller's number as its table keeps it; None when there is none, or its key was destroyed."""
        if value.text is None:
            return None
        sealed = self._keys.seal(value.call, value.centre, value.at, value.text, value.fingerprint)
        if sealed is None:
            return None
        fingerprint = value.fingerprint or self._keys.fingerprint(value.centre, value.at, value.text)
        return sealed, fingerprint, period_of(value.at)

    async def run(self, stop: asyncio.Event) -> None:
        settings = self._settings
        listener = listen(settings.web_host, settings.web_port, beyond=settings.web_beyond)
        checks = (
            engine_check(self._live),
            link_check(self._live),
            self._queries.health,
            space_check("recordings", owner_only(settings.recordings), LEAST_FREE_BYTES),
            space_check("store", owner_only(settings.store), LEAST_FREE_BYTES),
            written_check(
                "journal",
                lambda: self._live.engine_gauges().get("engine_journal_stuck_seconds", 0.0),
                space_check("journal", settings.journal, LEAST_FREE_BYTES),
            ),
        )
        app = create_app(
            self._live,
            health=checks,
            beside=self._beside,
            metrics=Exposition(self._live, self._gauges, self._centre_gauges, self._counts),
            accounts=self._accounts,
            trail=self._trail,
            orders=self._engine,
            calls=Stored(
                settings,
                self._queries,
                self._keys,
                lambda: tuple(self._live.view().floor.centres),
                self._live.now,
            ),
            once=Once(settings.access / "once.jsonl", time.time),
            phones=self._phones,
            told=Announced(settings),
            erasures=Reports(settings),
            recordings=Recorded(
                settings,
                self._database,
                self._keys,
                self._every,
            ),
            hosts=LOOPBACK_NAMES | settings.web_hosts,
            plain=settings.web_plain == PLAIN,
        )
        await self._look_at_disks()  # before the first scrape: their alarm looks back for hours
        web_stop = asyncio.Event()

        async def served() -> None:
            if await self._certified(web_stop):
                await serve(
                    app,
                    listener,
                    stop=web_stop,
                    started=lambda url: log.info("serving", url=url),
                    certificate=self._certificate,
                    proxies=settings.trusted_proxies,
                    traffic=self._traffic,
                )
            listener.close()

        web = asyncio.create_task(served(), name="web")
        parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "fold": self._fold,
            "results": self._keep_results,
            "drain": self._store,
            "ask": self._ask,
            "recordings": self._measure,
            "growth": self._grow,
            "keep": self._keeper.run,
            "tell": self._teller.run,
            "reconcile": self._reconcile,
            "erase": self._erase,
            "checkpoint": self._checkpoints,
            "disks": self._disks,
            "month": self._months,
            "health": partial(self._looks, checks),
            "loop_lag": self._loop_lag.run,
        }
        tasks = [asyncio.create_task(part(), name=name) for name, part in parts.items()]
        asked = asyncio.create_task(stop.wait())
        waits: list[asyncio.Task[Any]] = [*tasks, web, asked]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        web_stop.set()
        await asyncio.gather(web, return_exceptions=True)
        for task in [*tasks, asked]:
            task.cancel()
        await asyncio.gather(*tasks, asked, return_exceptions=True)
        self._save()
        await self._engine.close()
        await self._database.close()
        self._keys.close()
        for task in done:
            if task is not asked:
                raise RuntimeError(f"sidecar part {task.get_name()} ended") from task.exception()
        log.info("stopped", seq=str(self._live.view().seq))

    async def _certified(self, stop: asyncio.Event) -> bool:
        """Wait until page and API have what they are served with; False when `stop` comes first."""
        files = self._settings.web_tls_certificate, self._settings.web_tls_key
        if files[0] is None or files[1] is None:
            return True
        self._certificate = await until_usable(files[0], files[1], stop)
        if self._certificate is None:
            return False
        if unnamed := self._certificate.unnamed(self._settings.web_hosts):
            log.warning("証明書にない名前です / names that the certificate lacks", names=unnamed)
        return True

    # -- following --------------------------------------------------------------------------------------------

    async def _fold(self) -> None:
        view = self._live.view()
        follower = Follower(self._settings.journal, self._codec, view.seq if view.seq.n else None)
        pruned = view.floor.at
        try:
            while True:
                frames = await follower.batch(500, FOLD_EVERY_S)
                floor, books = view.floor, view.books
                for frame in frames:
                    for fact in frame.facts:
                        assert isinstance(fact, f.Fact)
                        floor = evolve(floor, fact)
                        books = books.after(fact)
                        if frame.seq > self._results.seq:
                            self._noted(fact)
                    self._results.seq = max(self._results.seq, frame.seq)
                if floor.at - pruned > 3600 * SECOND:
                    pruned = floor.at
                    day = datetime.fromtimestamp(pruned / SECOND, UTC) - timedelta(days=KEEP_DAYS)
                    books = books.since(Instant(round(day.timestamp()) * SECOND))
                view = View(Seq(*frames[-1].seq), floor, books)
                self._live.publish(view)
                await asyncio.sleep(0)
        finally:
            follower.close()

    def _noted(self, fact: f.Fact) -> None:
        match fact:
            case f.RecordingFiled() | f.MessageFiled():
                self._results.count(fact.findings)
                if fact.findings:
                    log.warning(
                        "録音に問題 / something is wrong with a recording",
                        call=fact.call,
                        file=fact.file,
                        findings=[WORDS[each] for each in fact.findings],
                        seconds=fact.seconds,
                        talk=fact.talk if isinstance(fact, f.RecordingFiled) else None,
                        sent=fact.sent if isinstance(fact, f.RecordingFiled) else None,
                    )

    async def _keep_results(self) -> None:
        failed = ""
        while True:
            if self._results.changed:
                try:
                    await self._results.save_aside()
                    failed = ""
                except OSError as error:
                    if str(error) != failed:
                        failed = str(error)
                        log.error(
                            "録音の件数を保存できません / the counts of recordings cannot be saved",
                            why=failed,
                        )
            await asyncio.sleep(RESULTS_EVERY_S)

    async def _store(self) -> None:
        """Bring the database to its newest form as soon as it is there, then drain the journal into it."""
        while True:
            try:
                if await self._database.revision() != NEWEST:
                    from callcore.db import migrate  # half a second of CPU, for one start in many

                    await migrate.upgrade(self._settings.database)
                self._tables_there.set()
                break
            except DatabaseAway as error:
                log.warning("database away; calls go on", why=str(error))
            await asyncio.sleep(DATABASE_RETRY_S)
        await self._drain.run()

    async def _ask(self) -> None:
        while True:
            try:
                self._live.engine_told(await self._engine.ask("status"))
            except CommandFailed as error:
                log.debug("engine silent", why=str(error))
            await asyncio.sleep(ASK_EVERY_S)

    # -- recordings -------------------------------------------------------------------------------------------

    async def _grow(self) -> None:
        """While a centre wants recordings to end with the agent: what is beyond that is found by how they grew."""
        failed = ""
        while True:
            centres = self._live.view().floor.centres.values()
            try:
                if any(each.transfers.record_after is RecordAfter.AGENT for each in centres):
                    await asyncio.to_thread(self._growth.look, self._live.now)
                else:
                    self._growth.forget()
                failed = ""
            except OSError as error:
                if str(error) != failed:
                    failed = str(error)
                    log.warning("recordings not looked at", why=failed)
            await asyncio.sleep(GROWTH_EVERY_S)

    async def _measure(self) -> None:
        """Measure the recordings of calls that have ended, and messages, and have the engine write that down."""
        self._uncut = set(self._settings.recordings.glob(f"*{UNCUT}"))
        while True:
            now = self._live.now()
            if self._live.caught_up():  # a checkpoint's floor does not know yet what was cut and not filed
                for done in [
                    each for each in self._uncut if each.stem not in self._live.view().floor.unfiled
                ]:
                    filed(done)
                    self._uncut.discard(done)
            for call, ended in self._plain_first(measured_next(self._live.view().floor)):
                if now - ended >= SETTLES_S * SECOND:
                    await self._foreseen(call, self._file(call, now - ended))
            for message in sorted(self._live.view().floor.messages.values(), key=lambda m: m.left_at):
                age = now - message.left_at
                if age < -SET_BACK_S * SECOND:
                    age = round(RECORDING_MISSING_S * SECOND)
                if not message.filed and age >= SETTLES_S * SECOND:
                    name = message_of(self._settings, message.call).stem
                    await self._foreseen(name, self._file_message(message.call, age))
            floor = self._live.view().floor
            left = [
                message_of(self._settings, each.call) for each in floor.messages.values() if not each.filed
            ]
            names = {*floor.unfiled, *(path.stem for path in left)}
            self._ear.forget_but(names)
            self._unforeseen &= names
            self._not_cut = {call: why for call, why in self._not_cut.items() if call in floor.unfiled}
            await asyncio.sleep(MEASURE_EVERY_S)

    def _plain_first(self, calls: Sequence[tuple[CallId, Instant]]) -> Iterator[tuple[CallId, Instant]]:
        """What is sealed when its turn comes is measured behind all that still lies plain: to measure it from the store
        takes twice as long, and would hold up who seals the others."""
        sealed = []
        for call, ended in calls:
            if os.path.exists(recording_of(self._settings, call)):
                yield call, ended
            else:
                sealed.append((call, ended))
        yield from sealed

    async def _foreseen(self, name: str, filing: Coroutine[Any, Any, None]) -> None:
        """What nobody foresaw at one ends neither the others nor page, metrics and the database's drain."""
        try:
            await filing
        except Exception:
            self._tell_unforeseen(name)

    def _tell_unforeseen(self, name: str) -> None:
        if name not in self._unforeseen:
            self._unforeseen.add(name)
            log.exception(
                "録音を測れません。また試します / a recording cannot be measured; it is tried again",
                name=name,
            )

    async def _heard(self, name: str) -> tuple[Measured, Voices]:
        try:
            return await asyncio.to_thread(self._ear.heard, name)
        except Exception:
            self._tell_unforeseen(name)
            return Measured(0, 0.0, None, Finding.UNREADABLE.value), Voices()

    async def _file(self, call: CallId, age: int) -> None:
        path = recording_of(self._settings, call)
        if is_open(path):
            self._growing.add(call)
            return
        if call in self._growing:  # its end is told to the engine meanwhile
            self._growing.discard(call)
            return
        tape = self._live.view().floor.tapes.get(call)
        if tape is not None and not self._ear.has_heard(path.stem):  # it was cut before that
            try:
                for unheld in (recording_of(self._settings, side) for side in tape.unheld):
                    discard(unheld)
                    unheld.unlink(missing_ok=True)
                grew = self._growth.of(path)
                if await asyncio.to_thread(cut, path, tape, self._settings.protected / path.name, grew):
                    self._uncut.add(path)
            except OSError as error:
                if self._not_cut.get(call) != error.errno:
                    self._not_cut[call] = error.errno
                    log.error(
                        "録音を切り取れません。また試し、記録はそのあとです / "
                        "a recording cannot be cut; it is tried again, and filed only then",
                        call=call,
                        why=str(error),
                    )
                return

        found, voices = await self._heard(path.stem)
        if found.problem is not None and age < RECORDING_MISSING_S * SECOND:
            return
        try:
            await self._engine.ask(
                "recording",
                call=call,
                file=path.name,
                size=found.size,
                seconds=found.seconds,
                sha256=found.sha256,
                problem=found.problem,
                voice_s=list(voices.voice_s),
                clipped_s=voices.clipped_s,
                sides=[(each.voice_s, each.sound_s) for each in voices.sides],
            )
        except CommandFailed as error:
            log.debug("recording not filed yet", call=call, why=str(error))

    async def _file_message(self, call: CallId, age: int) -> None:
        path = message_of(self._settings, call)
        found, voices = await self._heard(path.stem)
        if found.problem not in (None, "empty") and age < RECORDING_MISSING_S * SECOND:
            return
        try:
            await self._engine.ask(
                "message",
                call=call,
                file=path.name,
                size=found.size,
                seconds=found.seconds,
                voice_s=max(voices.voice_s, default=0.0),
                sha256=found.sha256,
                problem=found.problem,
                clipped_s=voices.clipped_s,
            )
        except CommandFailed as error:
            log.debug("message not filed yet", call=call, why=str(error))

    async def _centre_of(self, call: CallId) -> CentreId | None:
        """Raises DatabaseAway, also while its tables are yet to be made."""
        if not self._tables_there.is_set():
            raise DatabaseAway("表がまだない / its tables are yet to be made")
        return await self._queries.centre_of(call)

    async def _kept(self, line: Mapping[str, Any]) -> bool:
        """Have the engine write down that a recording is kept; False: it is away."""
        try:
            await self._engine.ask("recording_kept", **line)
        except CommandFailed as error:
            log.debug("a kept recording is not told yet", name=line["name"], why=str(error))
            return False
        return True

    # -- reconciliation ---------------------------------------------------------------------------------------

    async def _reconcile(self) -> None:
        """Each night the day before, against Asterisk's own books. Beside the loop: it takes seconds of reading."""
        not_before: dict[CentreId, float] = {}
        while True:
            configuration = self._configuration()
            for centre in configuration.centres:
                if time.monotonic() < not_before.get(centre.id, 0.0):
                    continue
                try:
                    for day in self._nightly.due(centre, self._live.now()):
                        result = await asyncio.to_thread(
                            self._nightly.run, configuration, centre, day, now=self._live.now()
                        )
                        told_in_log(centre, result)
                except CannotReconcile as error:
                    not_before[centre.id] = time.monotonic() + RECONCILE_RETRY_S
                    log.error("照合できません / cannot reconcile", centre=centre.id, why=str(error))
                except Exception:
                    # Page and metrics must not go down, night after night, because of a look into the books.
                    not_before[centre.id] = time.monotonic() + RECONCILE_RETRY_S
                    log.exception("照合に失敗しました / the reconciliation failed", centre=centre.id)
            self._reconciled = await asyncio.to_thread(audit.newest, self._settings.reconciliations)
            await asyncio.sleep(RECONCILE_LOOK_S)

    # -- erasing ----------------------------------------------------------------------------------------------

    async def _erase(self) -> None:
        """Go on with an erasure that was cut off; in the quiet hours, erase what the centres' rules make due."""
        await self._tables_there.wait()
        while True:
            try:
                await asyncio.to_thread(self._erasure.witness.look)
                nobodys = (NO_CENTRE,) if is_there(self._settings.store) else ()
                if (
                    self._live.caught_up()
                ):  # while the journal is read again the centres and rules are of long ago
                    await self._nights.turn((*self._configuration().centres, *nobodys), self._live.now)
            except Exception as error:  # page and metrics go on
                log.exception(
                    "消去できません。また試します / cannot erase; it is tried again", why=str(error)
                )
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(ERASE_LOOK_S)

    def _configuration(self) -> Configuration:
        """What the engine runs with."""
        return Configuration("", tuple(self._live.view().floor.centres.values()))

    def _every(self) -> list[Centre]:
        """Those centres, and those that left."""
        known = self._configuration().centres
        try:
            found = every(self._settings, known)
        except OSError as error:
            if self._keys_unread != error.errno:
                self._keys_unread = error.errno
                log.error(
                    "鍵のフォルダを読めません。ファイルにないセンターの録音は出ません / "
                    "folders of keys cannot be read: recordings of centres that are in no file are not shown",
                    why=str(error),
                )
            return [*known]
        self._keys_unread = None
        return found

    def _counts(self) -> Mapping[str, Mapping[str, int]]:
        refused = dict.fromkeys((why.value for why in Refusal), 0)
        served = {"phone_files_refused": refused if self._phones is None else dict(self._phones.refused)}
        return {**self._live.engine_counts(), **served, "recordings": dict(self._results.found)}

    def _centre_gauges(self) -> Mapping[CentreId, Mapping[str, float]]:
        month = self._month.gauges(self._live.view(), self._live.now())
        nights = {centre: told_of(kept) for centre, kept in self._reconciled.items()}
        return {centre: {**nights.get(centre, {}), **month.get(centre, {})} for centre in {**nights, **month}}

    # -- looking around ---------------------------------------------------------------------------------------

    async def _disks(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._look_at_disks()

    async def _look_at_disks(self) -> None:
        self._free = await asyncio.to_thread(free_bytes, self._settings, self._database.folder)

    async def _looks(self, checks: Sequence[HealthCheck]) -> None:
        """How each dependency is, for the boards; what asks for itself at /readyz is asked anew."""
        while True:
            self._health = tuple(await asyncio.gather(*(check() for check in checks)))
            await asyncio.sleep(LOOK_EVERY_S)

    def _beside(self) -> Beside:
        return Beside(self._month.ratios(self._live.view(), self._live.now()), self._health)

    async def _months(self) -> None:
        await self._tables_there.wait()
        while True:
            pause_s = LOOK_EVERY_S
            try:
                for centre in self._configuration().centres:
                    await self._month.look(centre, self._live.now())
            except DatabaseAway as error:
                log.debug("the month is not known yet", why=str(error))
            except Exception:  # as with the reconciliation: page and metrics go on
                log.exception("今月の応答率を計算できません / the month's answer ratio cannot be made")
                pause_s = MONTH_RETRY_S
            await asyncio.sleep(pause_s)

    # -- what web and metrics ask -----------------------------------------------------------------------------

    def _gauges(self) -> Mapping[str, float]:
        lag = self._drain.lag()
        return {
            **self._live.engine_gauges(),
            "sidecar_loop_lag_seconds": self._loop_lag.largest_s,
            "sidecar_drain_behind_frames": float(lag.frames),
            "sidecar_drain_behind_seconds": lag.seconds,
            "sidecar_database_away_seconds": lag.away_s or 0.0,
            "sidecar_database_failures": float(lag.failures),
            "sidecar_recordings_unfiled": float(len(self._live.view().floor.unfiled)),
            **self._keeper.gauges(),
            "sidecar_erasures_unfinished": float(self._nights.unfinished),
            **self._free,
            **self._traffic.gauges(),
            **(self._certificate.gauges() if self._certificate is not None else {}),
        }

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_EVERY_S)
            self._save()
            gc.collect()

    def _save(self) -> None:
        """Without one the next start reads more of the journal, and that is all."""
        view = self._live.view()
        if view.seq.n:
            with contextlib.suppress(OSError):  # they are tried again each second
                self._results.save()
            state = self._codec.encode_state(World(view.floor, view.books))
            try:
                checkpoint.save(self._folder, view.seq, state, shape(World))
            except OSError as error:
                log.error("チェックポイントを保存できません / no checkpoint can be saved", why=str(error))


def measured_next(floor: Floor) -> list[tuple[CallId, Instant]]:
    """The calls whose recording is yet to be measured, each with its end. First those of which something is to be cut:
    they cannot be sealed before; then the oldest."""
    return sorted(floor.unfiled.items(), key=lambda item: (item[0] not in floor.tapes, item[1]))


def free_bytes(settings: Settings, database: Path | None) -> dict[str, float]:
    """Bytes free, by the gauge's name; 0 where a folder cannot be used. Of keys and of SQLite's file (`database` is its
    folder) NaN where they lie on a disk that is told of already, or on a server's."""
    free: dict[str, float] = {}
    told = set()
    for name, folder in (
        ("sidecar_journal_free_bytes", settings.journal),
        ("sidecar_recordings_free_bytes", settings.recordings),
        ("sidecar_store_free_bytes", settings.store),
    ):
        try:
            free[name] = float(shutil.disk_usage(folder).free)
            told.add(folder.stat().st_dev)
        except OSError:
            free[name] = 0.0
    apart = {
        "sidecar_keys_free_bytes": [settings.keys, settings.recordings_keys],
        "sidecar_database_free_bytes": [] if database is None else [database],
    }
    for name, folders in apart.items():
        found = []
        for folder in folders:
            try:
                if folder.stat().st_dev not in told:
                    found.append(float(shutil.disk_usage(folder).free))
            except OSError as error:
                if folder != settings.recordings_keys or not isinstance(error, FileNotFoundError):
                    found.append(0.0)  # keys of recordings are made with the first recording
        free[name] = min(found, default=math.nan)
    return free


def told_in_log(centre: Centre, result: audit.Reconciliation) -> None:
    """The night's result in the log: a warning where somebody must look."""
    told = {
        "centre": centre.id,
        "day": result.day,
        "calls": result.calls,
        "differences": len(result.faults),
        "explained": len(result.explained),
    }
    if result.faults or result.gaps:
        first = [audit.line(d) for d in result.faults[:NAMED]] + [audit.gap_line(g) for g in result.gaps]
        log.warning(
            "照合で不一致。callcore reconcile で確かめてください / the books differ; see callcore reconcile",
            **told,
            first=first,
        )
    else:
        log.info("照合済 / reconciled", **told)


def settle_memory() -> None:
    """Keep the pauses of this process short.

    The day's calls are hundreds of thousands of objects that stay; the collector would go through all of them again and
    again, a quarter of a second each time in which no board is told anything. What is of no use any more is nearly
    always found while it is young; the rest once an hour, beside the checkpoint.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLING, NEVER)


def stand_back() -> None:
    """Leave the cores to engine and Asterisk when they want them.

    Niceness counts within a session only where the kernel shares the cores among sessions first (sched(7), autogroup);
    so the session is put back too where it is this process's own, as under the supervisor.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel without it
            Path("/proc/self/autogroup").write_text(str(NICENESS))


async def serve_sidecar(settings: Settings, stop: asyncio.Event) -> None:
    await Sidecar(settings).run(stop)


def main(settings: Settings) -> NoReturn:
    """The sidecar's process. Status 0: stopped as asked."""
    configure(settings.log_level, "sidecar", settings.node)
    stand_back()
    settle_memory()
    sys.setswitchinterval(SWITCH_S)
    status = run_process(
        lambda stop: serve_sidecar(settings, stop), final=(CannotListen, PermissionError, UnknownDatabase)
    )
    # Everything is closed. Who stands back would take the interpreter apart for seconds where others want the cores,
    # and be killed for it in the end.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
