"""Erasing put together: what is kept (database), what opens it (keys), where it lies, and the engine that is asked.

Composition root beside `sidecar.py` and `cli_erase.py`, which both use it. Nothing is planned before the tables have
all that the engine has written: in rows that are yet to come may stand an order, a mark, or whose number it is. The
order, each on the disk before the next:

1. the plan; 2. what may not be erased is left out (the engine says: held, going on, still to be dealt with); 3. clear
text in Asterisk's files and its copies is overwritten, and every place is searched, while the numbers can still be
read; 4. keys, chain and files of the recordings, each but for an order or a mark that came meanwhile; 5. the engine
destroys the calls' keys and writes the facts, then the copies follow; 6. the tables have followed; 7. whatever should
not open is tried; 8. the report; the plan goes.

Killed anywhere, the plan is found by the next one who looks, and it goes on; each step may be done twice.

Tables of keys that cannot be read hold up nothing: all the rest is done, and the report names them. Where keys of the
plan itself may lie in one, the plan stays behind its report as owed, and is gone on with, to a report of its own, once
they can be read.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import time as clock
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog

from callcore import __version__, unlisted
from callcore.access.trail import Result, Trail
from callcore.db import Database, Kept, Queries
from callcore.db.erasing import BEGIN
from callcore.departed import kept_of, stand_in
from callcore.domain.blocked import spellings
from callcore.domain.centre import Centre, Retention
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.recording import UNASSIGNED
from callcore.domain.retention import (
    WORDS,
    Clock,
    Item,
    KeepOrder,
    Sound,
    Unlisted,
    Verdict,
    Why,
    at_least_until,
    by_call,
    judge,
    left_for_now,
)
from callcore.erasing import books, copies, report
from callcore.erasing.clock import Witness, steps_of
from callcore.erasing.markers import Markers
from callcore.erasing.plan import AGAIN, OWED, Busy, Left, Plan, Searched, Shelf, Unit
from callcore.erasing.search import AWAY, away, named, search
from callcore.erasing.sounds import Closed, Gone, Sounds, Told, doubtful, is_of, plain_in, told
from callcore.files import make_folder
from callcore.installation import recordings_of, trail_of
from callcore.journal import CallKeyLost, JournalError, KeyLost, KeyStore, period_of
from callcore.journal.keys import Unread
from callcore.recordings import RecordingError
from callcore.recordings.chain import Chain, at_of, signing
from callcore.recordings.chain import Kept as Line
from callcore.recordings.signing import installed
from callcore.runtime.commands import CommandClient, CommandFailed
from callcore.runtime.erasures import ErasureRow
from callcore.runtime.ports import Seq
from callcore.settings import Settings

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Calls of one nightly erasure; each has a report of its own."""
FOLLOWS_S = 300.0
"""Seconds within which the tables follow what the engine wrote, also where the sidecar hardly runs; else it is gone on
with later."""
CAUGHT_UP_S = 30.0
"""Seconds within which they have what it wrote before, or nothing is planned."""
LOOK_EVERY_S = 0.2
NAMED = 20
"""Calls that a line of the log names."""
DAMAGED = (
    "壊れているか読めないため、このコピーの中は確かめられません。新しいバックアップを取り、このコピーを削除してください"
    " / damaged or not to be read, so this copy cannot be looked into; take a new back-up and delete this copy"
)
LATER = (
    "番号の鍵が読めないため、番号は残しています。鍵が戻れば続きを行います / "
    "the key of its number cannot be read, so the number is kept; it is gone on with once the key is back"
)
DESTROYED = (
    "番号の鍵が、読む前に破棄されました。番号は探していません / "
    "the key of its number was destroyed before it was read; the number was not looked for"
)
RULE = "service:sidecar"
"""Who erases by the rule."""


class CannotErase(Exception):
    """It was not begun, or not finished and will be gone on with. The text says why, in Japanese and English."""


@dataclass(slots=True)
class _Looking:
    """One look through what a centre keeps: all that is judged by, and the calls that were seen."""

    centre: Centre
    before: Instant
    beside: Unlisted
    orders: Mapping[CallId, Collection[KeepOrder]]
    time: Clock
    plain: Collection[str]
    seen: set[CallId] = field(default_factory=set)


@dataclass(slots=True)
class _Walk:
    """The nights' way through what a centre keeps: from where it goes on, and what was left on it, with why."""

    first: Instant = BEGIN
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Closed:
    """The tables of keys that could not be read when it was begun, and why: of recordings, by centre and day, its own
    and nobody's; of calls, by centre and month, all centres'."""

    sounds: Closed
    calls: dict[tuple[CentreId, str], Unread]

    def told(self) -> list[str]:
        days = (why for each in self.sounds.values() for why in each.values())
        return [str(why) for why in (*days, *self.calls.values())]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """`lost`: of each that could not be read, why; `later`: the calls and tasks of those that may be, once a file of
    keys is put back or can be read again."""

    numbers: set[str]
    lost: list[str]
    later: set[CallId]


@dataclass(slots=True)
class Erasure:
    """`engine` is asked; `centres`: all that there are (`departed.every`). `step` is told before each one."""

    settings: Settings
    database: Database
    keys: KeyStore
    engine: CommandClient
    centres: Callable[[], Iterable[Centre]]
    patience_s: float = 0.0
    """Seconds to wait for another process that is erasing."""
    step: Callable[[str], None] = lambda what: None
    _kept: Kept = field(init=False)
    _walks: dict[CentreId, _Walk] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._kept = Kept(self.database)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.settings.erasures)

    @property
    def witness(self) -> Witness:
        return Witness(self.settings.erasures)

    # -- what is kept, and what is due ----------------------------------------------------------------------------

    async def judged(self, centre: Centre, now: Instant, limit: int, *, engine: bool = True) -> list[Verdict]:
        """What is kept of the oldest calls of which something may be due, and why: what is due is what a night erases.
        `now` may lie ahead, for a preview. Without `engine`, what it would leave for now is told as due. Raises
        CannotErase, DatabaseAway, OSError."""
        look, found = await self._looking(centre, now), list[Verdict]()
        first: Instant | None = BEGIN
        while look is not None and first is not None and len(found) < limit:
            page, first = await self._page(look, first, min(limit, AT_ONCE))
            for verdict in page:
                unit = unit_due(verdict) if engine else None
                why = None if unit is None else await self._why_not(centre.id, unit, look.plain, at=now)
                found.append(verdict if why is None else left_for_now(verdict, why))
        return found[:limit]

    async def _looking(self, centre: Centre, now: Instant) -> _Looking | None:
        """None: no rule makes anything due."""
        before = at_least_until(now, centre.retention, centre.time_zone)
        if before is None:
            return None
        beside = await self._unlisted(centre.id, lambda line: (at := at_of(line)) is None or at < before)
        self._loud(centre.id, beside)
        orders = by_call(await self._kept.orders(centre.id))
        plain = await asyncio.to_thread(plain_in, self.settings.recordings)
        return _Looking(centre, before, beside, orders, await self.time(now), plain)

    async def _page(self, look: _Looking, first: Instant, limit: int) -> tuple[list[Verdict], Instant | None]:
        """Those that were not seen in this look, and the `first` of the next page; None: there is none."""
        of = look.centre
        items, then = await self._kept.over_before(of.id, look.before, limit, look.beside, first)
        new = [item for item in items if item.call not in look.seen]
        look.seen.update(item.call for item in new)
        return judge(new, of.retention, of.time_zone, look.time, look.orders), then

    async def in_force(self, centre: Centre) -> Centre | None:
        """A centre with the rule by which the engine has it kept and erased: of one that it does not have, until told;
        None: nothing was ever kept of it. Waits until the tables have what the engine wrote. Raises
        CannotErase, DatabaseAway, OSError."""
        await self._followed(centre.id)
        if centre.id == UNASSIGNED:
            return centre
        rule = (await self._ask("erase_rule", centre=centre.id))["rule"]
        if rule is None:
            there = await asyncio.to_thread(kept_of, self.settings)
            return stand_in(centre.id) if centre.id in there else None
        retention = msgspec.convert(rule["retention"], Retention)
        return replace(centre, retention=retention, calendar=replace(centre.calendar, zone=rule["zone"]))

    def centre(self, name: CentreId) -> Centre:
        """As it is, or what stands for one that left."""
        return next((each for each in self.centres() if each.id == name), None) or stand_in(name)

    async def time(self, now: Instant) -> Clock:
        """With what is known against the clock. Raises DatabaseAway, OSError."""
        seen = await asyncio.to_thread(self.witness.read)
        earlier = await self._kept.steps(now if seen is None else Instant(seen.since))
        return Clock(now, (*earlier, *steps_of(seen)))

    async def of_number(
        self, centre: CentreId, number: str, unread: list[str] | None = None
    ) -> tuple[list[Item], list[str]]:
        """All calls and tasks of a number, and the entries of the list of unwelcome callers that hold it. `unread` is
        told of months whose key cannot be read: what is of theirs is not found. Raises CannotErase, DatabaseAway,
        CommandFailed."""
        closed = list[Unread]()
        prints = {
            each for way in spellings(number) for each in self.keys.fingerprints(centre, way, closed).values()
        }
        if unread is not None:
            unread += dict.fromkeys(map(str, closed))
        await self._followed(centre)
        listed = await self.engine.ask("erase_entries", centre=centre, number=number)
        return await self._kept.of_number(centre, prints, await self._unlisted(centre)), list(listed)

    async def of_calls(self, calls: Collection[str]) -> list[Item]:
        """Raises CannotErase, DatabaseAway, OSError, as `between` and `unassigned`."""
        named = {CallId(each) for each in calls}
        beside: dict[CallId, Collection[Sound]] = {}
        for centre in {await self.centre_of(each) for each in named}:
            if centre is not None:
                await self._followed(centre)
                beside |= await self._unlisted(centre)
        return await self._kept.of_calls(named, beside)

    async def between(
        self, centre: CentreId, first: Instant | None = None, before: Instant | None = None
    ) -> list[Item]:
        await self._followed(centre)
        return await self._kept.between(centre, first, before, await self._unlisted(centre))

    async def unassigned(self) -> list[Item]:
        """All recordings of which nobody knows the centre."""
        return await self.between(UNASSIGNED)

    async def centre_of(self, call: str) -> CentreId | None:
        """Of a call or task, by its row, or else by sound of it that is unlisted. Raises DatabaseAway, OSError."""
        known = await self._kept.centres_of({CallId(call)})
        if CallId(call) in known:
            return known[CallId(call)]
        for centre in self.centres():
            if call in await self._unlisted(centre.id):
                return centre.id
        return None

    async def _unlisted(self, centre: str, wanted: unlisted.Wanted = unlisted.every) -> Unlisted:
        """Of a centre, those wanted. Raises DatabaseAway, OSError."""
        found = await unlisted.lines(self.settings.store, self._kept, CentreId(centre), wanted)
        return unlisted.by_call(found, self.settings.protected)

    def _loud(self, centre: CentreId, beside: Unlisted) -> None:
        """Sound of which nothing tells when it was over, for its line in the chain was edited."""
        if names := [sound.name for each in beside.values() for sound in each if sound.over is None]:
            log.error(
                "録音の鎖に時刻を読めない行があります。ほかに時刻の分からない録音は、指示があるまで消去しません "
                "(callcore doctor) / lines of the chain of recordings have times that cannot be read; a recording of "
                "which nothing else tells when it was is kept until told (callcore doctor)",
                centre=centre,
                recordings=names,
            )

    def plan(
        self,
        centre: Centre,
        scope: str,
        what: str,
        units: list[Unit],
        *,
        reason: str,
        by: str,
        now: Instant,
        entries: Collection[str] = (),
        left: Collection[Left] = (),
        reported: bool = True,
        unread: Collection[str] = (),
    ) -> Plan:
        here = datetime.fromtimestamp(now / SECOND, ZoneInfo(centre.time_zone))
        return Plan(
            id=_new_id(here),
            centre=centre.id,
            zone=centre.time_zone,
            scope=scope,
            what=what,
            reason=reason,
            by=by,
            ordered_at=here.isoformat(timespec="seconds"),
            units=units,
            entries=[*entries],
            left=[*left],
            reported=reported,
            unread=[*unread],
        )

    # -- the night's own ------------------------------------------------------------------------------------------

    def quiet(self, centre: Centre, now: Instant) -> bool:
        """Whether it is one of the hours in which a centre's recordings are erased by the rule."""
        here = datetime.fromtimestamp(now / SECOND, ZoneInfo(centre.time_zone))
        second = (here.hour * 60 + here.minute) * 60 + here.second
        return any(window.opens <= second < window.closes for window in centre.retention.hours)

    async def nightly(self, centre: Centre, now: Instant) -> str | None:
        """Erase what the rule makes due of a centre, up to `AT_ONCE` calls; the report's id. It goes on from where the
        one before stopped. None: it came to the end, and nothing more was due; the next begins with the oldest. Raises
        CannotErase, DatabaseAway, OSError, Busy."""
        await self._followed(centre.id)
        look = await self._looking(centre, now)
        walk = self._walks.setdefault(centre.id, _Walk())
        owed = {call for plan in self.shelf.unfinished() for call in plan.later}
        units: list[Unit] = []
        left: dict[str, str] = {}
        first, then = walk.first, None
        while look is not None:
            page, then = await self._page(look, first, AT_ONCE)
            for unit in filter(None, map(unit_due, page)):
                if unit.call in owed:
                    unit = msgspec.structs.replace(unit, personal=False)  # noqa: PLW2901
                    if not unit.recordings:
                        continue
                if len(units) == AT_ONCE:
                    then = first  # the rest of this page once more
                    break
                why = await self._why_not(centre.id, unit, look.plain)
                if why is None:
                    units.append(unit)
                else:
                    left[unit.call] = why
            if then is None or len(units) == AT_ONCE:
                break
            first = then
        if not units:
            del self._walks[centre.id]
            if left := walk.left | left:
                log.warning(
                    "満了しても今は消去しないものがあります / what is over is left for now",
                    centre=centre.id,
                    left=len(left),
                    why=dict(Counter(left.values())),
                    calls=[*left][:NAMED],
                )
            return None
        plan = self.plan(
            centre,
            "retention",
            "保存期間の満了 / the retention period is over",
            units,
            reason="保存期間の満了 / the retention period is over",
            by=RULE,
            now=now,
            left=[Left(call=call, why=why) for call, why in left.items() if call not in walk.left],
        )
        done = await self.run(plan)
        walk.left |= left
        walk.first = BEGIN if then is None else then
        return done.id

    # -- doing it -------------------------------------------------------------------------------------------------

    async def run(self, plan: Plan) -> report.Report:
        """Erase. Raises CannotErase, DatabaseAway, JournalError, RecordingError, OSError, Busy: then nothing was begun,
        or it is gone on with by `finish`."""
        async with self._alone() as shelf:
            await asyncio.to_thread(shelf.put, plan)
            return await self._go_on(plan)

    async def finish(self) -> list[str]:
        """Go on with what was cut off, and with what is owed once its tables can be read, each for itself; the reports'
        ids. Raises as `run`, for the first that could not be finished, once all were tried."""
        done, failed = list[str](), list[Exception]()
        looked: dict[str, tuple[dict[str, Told], _Closed]] = {}
        if self.shelf.unfinished():
            async with self._alone() as shelf:
                for plan in shelf.unfinished():
                    try:
                        going = await self._taken_up(shelf, plan, looked)
                        if going is not None:
                            done.append((await self._go_on(going)).id)
                    except Exception as error:
                        failed.append(error)
                        log.error(
                            "消去を終えられません / an erasure cannot be finished",
                            report=plan.id,
                            centre=plan.centre,
                            why=str(error),
                        )
        if failed:
            raise failed[0]
        return done

    async def _taken_up(
        self, shelf: Shelf, plan: Plan, looked: dict[str, tuple[dict[str, Told], _Closed]]
    ) -> Plan | None:
        """The plan to go on with, on the disk; None: what is owed is waited for. `looked`: by centre, for many plans
        of one."""
        if plan.stage != OWED:
            plan.resumed += 1
            await asyncio.to_thread(shelf.put, plan)
            return plan
        if plan.centre not in looked:
            chains = await asyncio.to_thread(self._chains, plan)
            looked[plan.centre] = chains, await asyncio.to_thread(self._closed, plan)
        chains, closed = looked[plan.centre]
        if await asyncio.to_thread(self._owes, plan, chains, closed):
            return None
        if (await self._numbers(plan.later, closed)).later:
            return None
        fresh = msgspec.structs.replace(
            plan,
            id=_new_id(_here(plan.zone)),
            what=f"{plan.what} ({plan.id} の続き / going on with it)",
            stage=AGAIN if plan.later else "searched",
            resumed=0,
        )
        await asyncio.to_thread(shelf.put, fresh)
        await asyncio.to_thread(shelf.drop, plan.id)
        return fresh

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Shelf]:
        """Raises Busy, once the patience is over."""
        until, shelf = clock.monotonic() + self.patience_s, self.shelf
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(shelf.alone())
                    break
                except Busy:
                    if clock.monotonic() >= until:
                        raise
                await asyncio.sleep(LOOK_EVERY_S)
            yield shelf

    async def _go_on(self, plan: Plan) -> report.Report:
        self.step("planned")
        closed = await asyncio.to_thread(self._closed, plan)
        sounds = self._sounds(plan, closed)
        if plan.stage in ("planned", AGAIN):
            if plan.stage == "planned":
                await self._leave_out(plan)
            await self._overwrite(plan, closed)
            plan.stage = "searched"
            await asyncio.to_thread(self.shelf.put, plan)
        self.step("searched")
        chains = await asyncio.to_thread(self._chains, plan)
        gone = await self._erase_sounds(plan, sounds, chains)
        for unit in plan.units:
            self.step("engine")
            await self._told_engine(plan, unit)
        for entry in plan.entries:
            await self._engine(plan, call=entry, about=entry, recordings=[], personal=True)
        copied = await asyncio.to_thread(self._erase_copies, plan)
        self.step("tables")
        await self._follow(plan, closed)
        made = await self._report(plan, gone, copied, closed)
        owes = bool(plan.later) or self._owes(plan, chains, closed)
        raw = report.signed(made, signing(self.settings.store, self.settings.recordings_keys))
        self.step("report")
        sheet = report.page(report.of(raw), hashlib.sha256(raw).hexdigest())
        await asyncio.to_thread(self._told, plan, raw)
        owed = msgspec.structs.replace(plan, stage=OWED) if owes else None
        await asyncio.to_thread(self.shelf.finish, plan.id, raw, sheet, owed)
        log.info(
            "erased",
            report=plan.id,
            centre=plan.centre,
            calls=len(made.calls),
            tasks=len(made.tasks),
            recordings=len(gone),
            complete=made.complete,
        )
        if not made.complete:
            log.warning(
                "消去のあとに残ったもの、または確かめられなかったものがあります。報告書の対処に従ってください / "
                "something was left by an erasure, or could not be looked into; do what its report says",
                report=plan.id,
                centre=plan.centre,
            )
        return made

    async def _leave_out(self, plan: Plan) -> None:
        """Units that may not be erased now, each with the reason."""
        units = []
        plain = await asyncio.to_thread(plain_in, self.settings.recordings)
        for unit in plan.units:
            why = await self._why_not(plan.centre, unit, plain)
            if why is None:
                units.append(unit)
            else:
                plan.left.append(Left(call=unit.call, why=why))
        plan.units = units

    async def _why_not(
        self, centre: str, unit: Unit, plain: Collection[str], at: Instant | None = None
    ) -> str | None:
        """Why it may not be erased now, or by the orders as of `at`; None: it may."""
        answer = await self._ask(
            "erase_ask",
            call=unit.call,
            about=unit.about,
            centre=centre,
            recordings=unit.recordings,
            personal=unit.personal,
            at=None if at is None else at / SECOND,
        )
        why: str | None = answer["why"]
        if why is None and any(name in unit.recordings or is_of(name, unit.call) for name in plain):
            return "録音がまだ暗号化されていない / its recording is not sealed yet"
        return why

    async def _overwrite(self, plan: Plan, tables: _Closed) -> None:
        calls = [CallId(unit.call) for unit in plan.units if unit.personal]
        found = await self._numbers(calls, tables, plan.later)
        numbers, plan.later = found.numbers, sorted(found.later)
        closed, centres = list[Unread](), [*self.centres()]
        prints = {
            print_: text
            for text in {*numbers}
            for centre in centres
            for print_ in self.keys.fingerprints(centre.id, text, closed).values()
        }
        beside = {prints[each] for each in await self._kept.prints_beside(prints.keys(), calls)}
        if closed:  # whether calls of that month bear them nobody can tell
            beside = {*numbers}
        self.step("overwrite")
        searched = await asyncio.to_thread(
            self._overwritten, plan, set(calls), numbers - beside, numbers & beside
        )
        plan.searched = msgspec.structs.replace(
            searched,
            numbers_closed=len(found.lost),
            unread=[*dict.fromkeys((*searched.unread, *found.lost, *map(str, closed)))],
        )

    async def _numbers(
        self, calls: Collection[str], tables: _Closed, waited: Collection[str] = ()
    ) -> _Numbers:
        """Those that are sealed under the keys of these. `waited`: those whose number could not be read before."""
        found = _Numbers(set(), [], set())
        for value, sealed in await self._kept.sealed_of([CallId(call) for call in calls]):
            try:
                opened = self.keys.unseal(value.call, value.centre, value.at, sealed)
            except (JournalError, OSError) as error:
                found.lost.append(str(error))
                lost = isinstance(error, KeyLost | OSError) and not isinstance(error, CallKeyLost)
                if lost or (value.centre, period_of(value.at)) in tables.calls:
                    found.later.add(value.call)
                continue
            if opened is None and value.call in waited:
                found.lost.append(f"{value.call}: {DESTROYED}")
            if opened is not None and opened[0]:
                found.numbers.add(opened[0])
        return found

    def _overwritten(self, plan: Plan, calls: set[CallId], gone: set[str], beside: set[str]) -> Searched:
        log_folder = self.settings.asterisk / "log"
        markers, rows = Markers.of(gone), Markers.of(gone | beside)
        done = books.Erased()
        if log_folder.is_dir():
            done = books.overwrite(log_folder, calls, markers, rows=rows)
        folders, left = self.settings.backup_folders, dict[str, None]()

        def failed(path: Path, error: OSError) -> None:
            left[copies.unchanged(path, error)] = None

        copied = copies.clear(folders, calls, markers, rows=rows, failed=failed)
        return Searched(
            at=_shown(plan.zone),
            numbers=len(gone),
            numbers_kept=len(beside),
            overwritten_files=done.files + copied.files,
            overwritten=done.values,
            overwritten_copies=copied.values,
            places=search(self.settings.places, markers, folders),
            unread=[*left],
        )

    def _sounds(self, plan: Plan, closed: _Closed) -> Sounds:
        recordings = recordings_of(self.settings)
        folder = recordings.ring.folder
        make_folder(recordings.store)
        chain = Chain(recordings.store, folder, signing(recordings.store, folder))
        chain.day(plan.centre, _here(plan.zone).date().isoformat())  # StoreAway, before anything is begun

        def at() -> tuple[str, str]:
            now = _here(plan.zone)
            return now.isoformat(timespec="milliseconds"), now.date().isoformat()

        return Sounds(recordings, self.settings.protected, chain, at, self.step, closed.sounds)

    async def _erase_sounds(self, plan: Plan, sounds: Sounds, chains: dict[str, Told]) -> list[Gone]:
        """Each is looked at once more right before, but for one that a crash left half erased."""
        names = {name for unit in plan.units for name in unit.recordings}
        beside = await self._unlisted(plan.centre, lambda line: line.name in names)
        why, gone = f"{plan.reason} ({plan.id})", []
        for unit in [*plan.units]:
            for name in unit.recordings:
                whole = await asyncio.to_thread(sounds.opens, chains, name)
                kept = await self._kept_since(plan, unit, name, beside) if whole else None
                if kept is None:
                    gone.append(
                        await asyncio.to_thread(
                            sounds.erase, [*chains], unit.call, name, why, plan.by, chains
                        )
                    )
                else:
                    await self._spare(plan, unit.call, name, kept)
        return gone

    def _closed(self, plan: Plan) -> _Closed:
        ring = recordings_of(self.settings).ring
        return _Closed({each: ring.damaged(each) for each in _stores(plan)}, self.keys.damaged())

    def _owes(self, plan: Plan, chains: dict[str, Told], closed: _Closed) -> bool:
        """Whether keys of the plan may lie in tables that cannot be read."""
        _, names = _of(plan)
        personal = any(unit.personal for unit in plan.units) or plan.entries
        if personal and any(centre == plan.centre for centre, _ in closed.calls):
            return True
        ring = recordings_of(self.settings).ring
        return any(
            doubtful(ring, closed.sounds, of, name, chain) for of, chain in chains.items() for name in names
        )

    def _chains(self, plan: Plan) -> dict[str, Told]:
        return {each: told(self.settings.store, each) for each in _stores(plan)}

    async def _kept_since(self, plan: Plan, unit: Unit, name: str, beside: Unlisted) -> str | None:
        """Why a recording is kept after all, for an order or a mark came since the plan was made; None: it is not."""
        answer = await self._ask(
            "erase_ask",
            call=unit.call,
            about=unit.about,
            centre=plan.centre,
            recordings=[name],
            personal=unit.personal,
        )
        if answer["why"] is not None:
            return str(answer["why"])
        found = await self._kept.of_calls({CallId(unit.call)}, beside)
        items = [item for item in found if item.call == unit.call]
        if plan.scope != "retention":
            _, left = parted(items, reported=plan.reported)
            return left[0].why if left else None
        if plan.centre == UNASSIGNED:
            return None
        centre = self.centre(CentreId(plan.centre))
        at = _instant(plan.ordered_at)
        orders = by_call(await self._kept.orders(centre.id))
        for verdict in judge(items, centre.retention, centre.time_zone, await self.time(at), orders):
            for sound, judged in verdict.sounds:
                if sound.name == name and judged.why is not Why.DUE:
                    return WORDS[judged.why]
        return None

    async def _spare(self, plan: Plan, call: str, name: str, why: str) -> None:
        """Leave a recording, and what belongs to a person with it."""
        units = []
        for unit in plan.units:
            if unit.call == call:
                recordings = [each for each in unit.recordings if each != name]
                unit = msgspec.structs.replace(unit, recordings=recordings, personal=False)  # noqa: PLW2901
            if unit.recordings or unit.personal:
                units.append(unit)
        plan.units = units
        if Left(call=call, why=why) not in plan.left:
            plan.left.append(Left(call=call, why=why))
        await asyncio.to_thread(self.shelf.put, plan)

    def _erase_copies(self, plan: Plan) -> copies.Copies:
        done = copies.destroy(
            self.settings.backup_folders,
            _stores(plan),
            _of(plan)[0],
            [name for unit in plan.units for name in unit.recordings],
            _shown(plan.zone),
            self.step,
        )
        assert plan.searched is not None
        return msgspec.structs.replace(done, overwritten=plan.searched.overwritten_copies)

    async def _told_engine(self, plan: Plan, unit: Unit) -> None:
        """An order that came while the erasure was going on finds no sound any more, and keeps the number."""
        fields = {"call": unit.call, "about": unit.about, "recordings": unit.recordings}
        personal = _personal(plan, unit)
        if not personal and not unit.recordings:
            return
        answer = await self._ask_erase(plan, **fields, personal=personal)
        if not answer["done"] and personal:
            plan.left.append(Left(call=unit.call, why=answer["why"]))
            without = msgspec.structs.replace(unit, personal=False)
            plan.units = [without if each is unit else each for each in plan.units]
            await asyncio.to_thread(self.shelf.put, plan)
            if unit.recordings:
                answer = await self._ask_erase(plan, **fields, personal=False)
        if not answer["done"] and unit.recordings:
            raise CannotErase(f"{plan.id}: {unit.call}: {answer['why']}")

    async def _ask_erase(self, plan: Plan, **unit: Any) -> dict[str, Any]:
        return await self._ask(
            "erase",
            centre=plan.centre,
            erasure=plan.id,
            reason=plan.reason,
            by_order_of=plan.by,
            **unit,
        )

    async def _engine(self, plan: Plan, **unit: Any) -> None:
        answer = await self._ask_erase(plan, **unit)
        if not answer["done"]:
            raise CannotErase(f"{plan.id}: {unit['call']}: {answer['why']}")

    async def _followed(self, centre: str) -> None:
        """Wait until the tables have what the engine has written until now. Raises CannotErase, DatabaseAway."""
        written = Seq(*(await self._ask("erase_from", centre=centre))["seq"])
        until, queries = clock.monotonic() + CAUGHT_UP_S, Queries(self.database)
        while (at := await queries.position()) is None or at < written:
            if clock.monotonic() > until:
                raise CannotErase(
                    "データベースがまだジャーナルに追いついていないため、消去するものを決められません。"
                    "追いついてからもう一度 (callcore doctor) / the database has not followed the journal yet, so what "
                    "is to be erased cannot be told; try again when it has (callcore doctor)"
                )
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, command: str, **fields: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await self.engine.ask(command, **fields)
        except CommandFailed as error:
            raise CannotErase(
                f"エンジンに頼めないため、消去を終えていません。動いているときに続きを行います: {error} / "
                f"the engine cannot be asked, so the erasure is not finished; it goes on once it is there: {error}"
            ) from error
        return answer

    async def _follow(self, plan: Plan, closed: _Closed) -> None:
        """Wait until keys are gone and the tables have what the engine wrote."""
        calls, names = _of(plan)
        about = {unit.call: unit.about for unit in plan.units}
        until = clock.monotonic() + FOLLOWS_S
        while (left := self.keys.kept(calls, closed.calls)) or await self._kept.rows_left(calls, names):
            if clock.monotonic() > until:
                raise CannotErase(
                    f"{plan.id}: データベースがまだ追いついていません。続きは自動で行います / "
                    "the database has not followed yet; it is gone on with by itself"
                )
            for call in left:  # the engine was killed between its fact and the key
                await self._engine(plan, call=call, about=about.get(call, call), recordings=[], personal=True)
            await asyncio.sleep(LOOK_EVERY_S)
        await self._kept.settle()

    async def _report(
        self, plan: Plan, gone: list[Gone], copied: copies.Copies, closed: _Closed
    ) -> report.Report:
        assert plan.searched is not None
        calls, names = _of(plan)
        centre = next((each for each in self.centres() if each.id == plan.centre), None)
        return report.Report(
            id=plan.id,
            centre=plan.centre,
            name=plan.centre if centre is None else centre.name,
            scope=plan.scope,
            what=plan.what,
            reason=plan.reason,
            by=plan.by,
            ordered_at=plan.ordered_at,
            done_at=_shown(plan.zone),
            installation=f"{self.settings.node}@{socket.gethostname()}",
            software=__version__,
            calls=[unit.call for unit in plan.units if not unit.task],
            personal=[unit.call for unit in plan.units if _personal(plan, unit) and not unit.task],
            tasks=[unit.call for unit in plan.units if _personal(plan, unit) and unit.task],
            entries=len(plan.entries),
            recordings=gone,
            left=[*plan.left, *(Left(call=call, why=LATER) for call in plan.later)],
            resumed=plan.resumed,
            searched=plan.searched,
            copies=copied,
            rows_left=await self._kept.rows_left(calls, names),
            opens=[*await asyncio.to_thread(self._opens, plan, closed), *await self._missed(plan)],
            unread=[*dict.fromkeys((*plan.unread, *plan.searched.unread, *copied.unchanged, *closed.told()))],
        )

    async def _missed(self, plan: Plan) -> list[str]:
        """Of an erasure by hand: sound in the store that nobody planned to erase, and that should be gone. By the rule
        the other sound of a call may have longer."""
        if plan.scope == "retention":
            return []
        calls, left = {unit.call for unit in plan.units}, {each.call for each in plan.left}
        ordered = _instant(plan.ordered_at)

        def planned(line: Line) -> bool:
            call = line.call or line.name
            at = at_of(line)
            before = plan.scope == "centre" and (at is None or at <= ordered)
            return call not in left and (call in calls or before)

        found = await unlisted.of_centre(self.settings.store, self._kept, CentreId(plan.centre), planned)
        return [f"{line.name}: 録音 / recording" for line in found]

    def _opens(self, plan: Plan, closed: _Closed) -> list[str]:
        """What should be gone and is not: files and keys of recordings, keys of calls, in back-ups too; and what of the
        back-ups cannot be looked into."""
        ring = recordings_of(self.settings).ring
        calls, names = _of(plan)
        found = [f"{path}: ファイル / file" for path in named(self.settings.places, names)]
        opening = set[str]().union(*(ring.names(of, days) for of, days in closed.sounds.items()))
        found += [f"{name}: 鍵 / key" for name in names if name in opening]
        found += [f"{call}: 鍵 / key" for call in self.keys.kept(calls, closed.calls)]
        copied = copies.opening(self.settings.backup_folders, _stores(plan), calls, names)
        found += [f"{where}: {name}: 鍵 / key" for where, name in copied.keys]
        found += [f"{path}: {DAMAGED}" for path in copied.closed]
        return found + [f"{folder}: {AWAY}" for folder in away(self.settings.backup_folders)]

    def _told(self, plan: Plan, raw: bytes) -> None:
        trail: Trail = trail_of(self.settings)
        trail.add(
            plan.by,
            "erased",
            on=plan.id,
            centre=CentreId(plan.centre),
            origin="erasure",
            result=Result.DONE,
            why=f"{plan.reason} ({len(plan.units)} calls and tasks, sha256 {hashlib.sha256(raw).hexdigest()})",
        )


class Reports:
    """Keeps the port of `runtime.erasures`."""

    def __init__(self, settings: Settings) -> None:
        self._shelf = Shelf(settings.erasures)
        self._keys = settings.recordings_keys

    def listed(self) -> list[ErasureRow]:
        try:
            keys = installed(self._keys)
        except RecordingError:
            keys = {}
        found = []
        for each in self._shelf.reports():
            raw = self._shelf.file(each, "json")
            if raw is not None:
                told = _read(each, raw)
                signed = report.checked(raw, keys) is not None
                found.append(_damaged(each) if told is None else _row(told, signed=signed))
        return found

    def report(self, id: str) -> tuple[CentreId, bytes, bytes] | None:
        raw, page = self._shelf.file(id, "json"), self._shelf.file(id, "html")
        told = None if raw is None else _read(id, raw)
        return None if raw is None or page is None or told is None else (CentreId(told.centre), raw, page)

    def style(self) -> str:
        return report.STYLE


def _read(id: str, raw: bytes) -> report.Report | None:
    """None: it is damaged, and the log has it."""
    try:
        return report.of(raw)
    except report.DAMAGED as error:
        log.error(
            "消去の報告書が壊れています。バックアップから戻してください / "
            "the report of an erasure is damaged; put it back from the back-up",
            report=id,
            why=str(error),
        )
        return None


def _damaged(id: str) -> ErasureRow:
    return ErasureRow(id, UNASSIGNED, "damaged", "", "", "", "", "", 0, 0, 0, 0, complete=False, signed=False)


def _row(told: report.Report, *, signed: bool) -> ErasureRow:
    return ErasureRow(
        told.id,
        CentreId(told.centre),
        told.scope,
        told.what,
        told.reason,
        told.by,
        told.ordered_at,
        told.done_at,
        len(told.calls),
        len(told.recordings),
        len(told.tasks),
        len(told.left),
        told.complete,
        signed,
    )


def unit_of(item: Item) -> Unit:
    """All that is kept of a call."""
    return Unit(
        call=item.call,
        about=item.about,
        recordings=[sound.name for sound in item.sounds],
        personal=True,
        task=item.task,
    )


def parted(items: Collection[Item], *, reported: bool) -> tuple[list[Unit], list[Left]]:
    """What is to be erased by hand, and what is left: without `reported`, reported calls and the tasks about them."""
    kept = (
        set() if reported else {item.call for item in items if any(sound.reported for sound in item.sounds)}
    )
    units: list[Unit] = []
    left: list[Left] = []
    for item in items:
        if item.call in kept or (item.task and item.about in kept):
            left.append(left_of(item))
        else:
            units.append(unit_of(item))
    return units, left


def unit_due(verdict: Verdict) -> Unit | None:
    """What is due of a call; None: nothing."""
    item, due = verdict.item, verdict.due
    if not due and not verdict.personal_due:
        return None
    return Unit(
        call=item.call,
        about=item.about,
        recordings=[sound.name for sound in due],
        personal=verdict.personal_due,
        task=item.task,
    )


def left_of(item: Item) -> Left:
    return Left(
        call=item.call, why="悪質・脅迫の通報 (--reported で消去) / it was reported; --reported erases it"
    )


def _of(plan: Plan) -> tuple[list[CallId], list[str]]:
    """The names whose keys go now, and the recordings."""
    calls = [CallId(unit.call) for unit in plan.units if _personal(plan, unit)]
    return [*calls, *map(CallId, plan.entries)], [name for unit in plan.units for name in unit.recordings]


def _personal(plan: Plan, unit: Unit) -> bool:
    """Whether key and rows go now: not before its number was read, and looked for."""
    return unit.personal and unit.call not in plan.later


def _stores(plan: Plan) -> list[str]:
    """The centres in whose store, and under whose keys, a recording may be."""
    return list(dict.fromkeys((plan.centre, UNASSIGNED)))


def _new_id(here: datetime) -> str:
    return f"erase-{here.strftime('%Y%m%d%H%M%S')}-{secrets.token_hex(3)}"


def _instant(shown: str) -> Instant:
    return Instant(round(datetime.fromisoformat(shown).timestamp()) * SECOND)


def _here(zone: str) -> datetime:
    return datetime.now(ZoneInfo(zone))


def _shown(zone: str) -> str:
    return _here(zone).isoformat(timespec="seconds")


def midnight(day: str, zone: str, days: int = 0) -> Instant:
    """The begin of a local day (ISO), or of one so many days later. Raises ValueError."""
    at = datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), ZoneInfo(zone))
    return Instant(round(at.timestamp()) * SECOND)
