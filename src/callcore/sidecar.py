"""The sidecar process: follows the journal with the same fold, and serves people and machines.

Composition root: the only file that knows which adapters the sidecar is made of. It may crash, be stopped or be slow,
and no caller notices; what it wants done it asks of the engine, and sees it come back as a fact.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from callcore import audit
from callcore.access.rights import SIDECAR_PERSON
from callcore.announced import Announced
from callcore.certificate import Certificate, until_usable
from callcore.db import CallDetail as StoredDetail
from callcore.db import Database, DatabaseAway, Projection, Queries, UnknownDatabase, migrate
from callcore.domain import facts as f
from callcore.domain.centre import Centre, Configuration
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.measures import Books
from callcore.domain.personal import Personal
from callcore.installation import accounts_of, message_of, recording_of, trail_of
from callcore.journal import Codec, Drain, Follower, KeyStore, checkpoint, period_of, shape
from callcore.log import configure
from callcore.phonefiles import Shelf
from callcore.reconciliation import CannotReconcile, Nightly, told_of
from callcore.recordings import measure, voice_s
from callcore.runtime.commands import CommandClient, CommandFailed
from callcore.runtime.detail import CallDetail, NoteDetail, OfferDetail, RecordingDetail, VisitDetail
from callcore.runtime.ports import Seq, View
from callcore.runtime.process import run_process
from callcore.settings import PLAIN, Settings, owner_only
from callcore.telemetry.health import engine_check, link_check, space_check, written_check
from callcore.telemetry.prometheus import Exposition
from callcore.web import LOOPBACK_NAMES, CannotListen, Traffic, create_app, listen, serve

log = structlog.get_logger(__name__)

FOLD_EVERY_S = 0.05
"""For so long frames are gathered for the present view; a board gets 5 views a second at most."""
ASK_EVERY_S = 1.0
"""Between two looks for the engine's signs of life."""
STALE_AFTER_S = 5.0
"""The heartbeat's own bound: an engine silent for so long no longer decides."""
CHECKPOINT_EVERY_S = 3600.0
KEEP_DAYS = 2
"""Days of records kept for the live figures; the database keeps the rest."""
RECORDING_SETTLES_S = 2.0
"""Seconds after a call's end within which Asterisk has closed its recording."""
RECORDING_MISSING_S = 60.0
"""Seconds after which a recording that is not there is filed as missing."""
NAMED = 10
"""Differences of one night that stand in the log; all of them stand in the kept result."""
LEAST_FREE_BYTES = 1 << 30
NICENESS = 15
"""On a busy machine the engine and Asterisk come first: the board and the database may be late, a caller may not."""
RECONCILE_LOOK_S = 20.0
"""Between two looks whether a day is due to be reconciled."""
RECONCILE_RETRY_S = 3600.0
"""After a night's run that could not be done: a disk or a file must be put back by somebody."""
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
        self._database = Database(settings.database)
        self._queries = Queries(self._database)
        self._drain = Drain(
            lambda after: Follower(settings.journal, self._codec, after),
            Projection(self._database, self._seal),
            away=(DatabaseAway,),
        )
        self._engine = CommandClient(settings.engine_socket, by=SIDECAR_PERSON.id)
        self._accounts = accounts_of(settings)
        self._trail = trail_of(settings)
        self._nightly = Nightly(settings)
        self._phones: Shelf | None = None
        """What phones fetch; None: it is carried by hand."""
        if settings.phones_url:
            self._phones = Shelf(settings, self._configuration)
        self._certificate: Certificate | None = None
        self._traffic = Traffic()
        self._reconciled = audit.newest(settings.reconciliations)

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
        app = create_app(
            self._live,
            health=(
                engine_check(self._live),
                link_check(self._live),
                self._queries.health,
                space_check("recordings", owner_only(settings.recordings), LEAST_FREE_BYTES),
                written_check(
                    "journal",
                    lambda: self._live.engine_gauges().get("engine_journal_stuck_seconds", 0.0),
                    space_check("journal", settings.journal, LEAST_FREE_BYTES),
                ),
            ),
            metrics=Exposition(self._live, self._gauges, self._reconciled_gauges, self._counts),
            accounts=self._accounts,
            trail=self._trail,
            orders=self._engine,
            calls=self,
            phones=self._phones,
            told=Announced(settings),
            hosts=LOOPBACK_NAMES | settings.web_hosts,
            plain=settings.web_plain == PLAIN,
        )
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
        parts = {
            "fold": self._fold,
            "drain": self._store,
            "ask": self._ask,
            "recordings": self._recordings,
            "reconcile": self._reconcile,
            "checkpoint": self._checkpoints,
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
                if floor.at - pruned > 3600 * SECOND:
                    pruned = floor.at
                    day = datetime.fromtimestamp(pruned / SECOND, UTC) - timedelta(days=KEEP_DAYS)
                    books = books.since(Instant(round(day.timestamp()) * SECOND))
                view = View(Seq(*frames[-1].seq), floor, books)
                self._live.publish(view)
                await asyncio.sleep(0)
        finally:
            follower.close()

    async def _store(self) -> None:
        """Bring the database to its newest form as soon as it is there, then drain the journal into it."""
        while True:
            try:
                await migrate.upgrade(self._settings.database)
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

    async def _recordings(self) -> None:
        """Measure the recordings of calls that have ended, and messages, and have the engine write that down."""
        while True:
            now = self._live.now()
            for call, ended in sorted(self._live.view().floor.unfiled.items(), key=lambda item: item[1]):
                if now - ended >= RECORDING_SETTLES_S * SECOND:
                    await self._file(call, now - ended)
            for message in sorted(self._live.view().floor.messages.values(), key=lambda m: m.left_at):
                if not message.filed and now - message.left_at >= RECORDING_SETTLES_S * SECOND:
                    await self._file_message(message.call, now - message.left_at)
            await asyncio.sleep(1.0)

    async def _file(self, call: CallId, age: int) -> None:
        path = recording_of(self._settings, call)
        found = await asyncio.to_thread(measure, path)
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
            )
        except CommandFailed as error:
            log.debug("recording not filed yet", call=call, why=str(error))

    async def _file_message(self, call: CallId, age: int) -> None:
        path = message_of(self._settings, call)
        found, voice = await asyncio.to_thread(lambda: (measure(path), voice_s(path)))
        if found.problem not in (None, "empty") and age < RECORDING_MISSING_S * SECOND:
            return
        try:
            await self._engine.ask(
                "message",
                call=call,
                file=path.name,
                size=found.size,
                seconds=found.seconds,
                voice_s=voice,
                sha256=found.sha256,
                problem=found.problem,
            )
        except CommandFailed as error:
            log.debug("message not filed yet", call=call, why=str(error))

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

    def _configuration(self) -> Configuration:
        """What the engine runs with."""
        return Configuration("", tuple(self._live.view().floor.centres.values()))

    def _counts(self) -> Mapping[str, Mapping[str, int]]:
        served = {} if self._phones is None else {"phone_files_refused": dict(self._phones.refused)}
        return {**self._live.engine_counts(), **served}

    def _reconciled_gauges(self) -> Mapping[CentreId, Mapping[str, float]]:
        return {centre: told_of(kept) for centre, kept in self._reconciled.items()}

    # -- what web and metrics ask -----------------------------------------------------------------------------

    async def call(self, call: CallId) -> CallDetail | None:
        """One call's stored detail. Raises OSError when the database cannot be asked."""
        try:
            stored = await self._queries.call(call)
        except DatabaseAway as error:
            raise OSError(str(error)) from error
        return None if stored is None else self._detail(stored)

    def _detail(self, of: StoredDetail) -> CallDetail:
        record = of.call.record
        caller: Personal | None = None
        if of.caller is not None:
            opened = self._keys.unseal(record.call, of.caller.centre, of.caller.at, of.caller.sealed)
            text = None if opened is None else opened[0]
            caller = Personal(record.call, of.caller.centre, of.caller.at, text, of.caller.fingerprint)
        recording = of.recording
        return CallDetail(
            record=record,
            caller=caller,
            visits=tuple(
                VisitDetail(
                    v.id,
                    v.queue,
                    v.entered_at,
                    v.priority,
                    v.position,
                    v.estimate_s,
                    v.reasons,
                    v.ended_at,
                    v.outcome,
                )
                for v in of.visits
            ),
            notes=tuple(NoteDetail(n.at, n.kind, n.reasons) for n in of.notes),
            offers=tuple(
                OfferDetail(
                    o.id,
                    o.visit,
                    o.agent,
                    o.phone,
                    o.made_at,
                    o.ended_at,
                    o.result.value,
                    o.reasons,
                    o.reason,
                )
                for o in of.offers
            ),
            recording=None
            if recording is None
            else RecordingDetail(recording.size, recording.seconds, recording.sha256, recording.problem),
        )

    def _gauges(self) -> Mapping[str, float]:
        lag = self._drain.lag()
        return {
            **self._live.engine_gauges(),
            "sidecar_drain_behind_frames": float(lag.frames),
            "sidecar_drain_behind_seconds": lag.seconds,
            "sidecar_database_away_seconds": lag.away_s or 0.0,
            "sidecar_database_failures": float(lag.failures),
            "sidecar_recordings_unfiled": float(len(self._live.view().floor.unfiled)),
            **self._traffic.gauges(),
            **(self._certificate.gauges() if self._certificate is not None else {}),
        }

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_EVERY_S)
            self._save()

    def _save(self) -> None:
        view = self._live.view()
        if view.seq.n:
            state = self._codec.encode_state(World(view.floor, view.books))
            checkpoint.save(self._folder, view.seq, state, shape(World))


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


def main(settings: Settings) -> int:
    """The sidecar's process. 0: stopped as asked."""
    configure(settings.log_level, "sidecar")
    stand_back()
    return run_process(
        lambda stop: serve_sidecar(settings, stop), final=(CannotListen, PermissionError, UnknownDatabase)
    )
