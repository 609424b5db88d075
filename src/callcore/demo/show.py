"""The working day played on a whole installation of its own: real Asterisk, engine, sidecar and page; baresip as desk
phones and as callers. No clock is shifted and no row is invented; what stands in the summary is read back from the
journal, the database and Asterisk's own CDR, and held against one another call by call.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from callcore.centres import CentreFileErrors, load
from callcore.console import invite_first_administrator
from callcore.db import Database, Queries
from callcore.demo.centre import CENTRE, NUMBER, DemoCentre
from callcore.demo.day import RING_S, Plan, Visitor, visitors
from callcore.demo.phone import PhoneCall, PhoneError, SimPhone
from callcore.demo.sounds import Tone
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, PhoneId
from callcore.domain.measures import Books, Record, figures, imbalance
from callcore.installation import asterisk_process, pbx_settings, phone_ids
from callcore.journal import Codec, KeyStore, read_all
from callcore.log import configure
from callcore.pbx.process import AsteriskToolchain, PbxError
from callcore.pbx.render import CDR_FIELDS, CDR_FILE, write
from callcore.pins import PinFile
from callcore.prompts import shelf
from callcore.runtime.commands import CommandClient, CommandFailed
from callcore.runtime.process import run_process
from callcore.settings import Settings, load_secrets, owner_only
from callcore.supervisor import NeedsAPerson, alone, child, supervise

ZONE = ZoneInfo("Asia/Tokyo")
SERVER_UP_S = 20.0
CALLERS_MOST = 24
"""Telephones kept ready for callers; a caller beyond them has to wait for one, which is counted."""
PROGRESS_EVERY_S = 10.0
DRAINED_S = 30.0
MATCHED_WITHIN_S = 15.0
"""Seconds; a verdict takes one on an idle machine."""
LONGEST_CALL_S = 3600.0

Say = Callable[[str], None]


@dataclass(slots=True)
class _Talk:
    """What the two simulated sides of a call must know of each other: a person would hear it."""

    visitor: Visitor
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Show:
    def __init__(self, plan: Plan, say: Say, base: Settings) -> None:
        self.plan = plan
        self.say = say
        self.summary: Summary | None = None
        """Once the day is over."""
        # Loopback addresses of its own, so that two demos on different ports do not meet.
        self._net = f"127.{64 + base.sip_port % 128}"
        home = base.home / "demo"
        shutil.rmtree(home, ignore_errors=True)
        owner_only(home)
        (home / "centres").mkdir()
        # Asterisk and the processes need some seconds to come up and the agents some to sign in.
        self.opens = datetime.now(ZONE).replace(microsecond=0) + timedelta(seconds=12 + 3 * plan.agents)
        self.closes = self.opens + timedelta(seconds=plan.open_s)
        self.centre = DemoCentre(
            agents=plan.agents,
            acw_s=plan.acw_s,
            rest_s=max(2, round(20 / plan.speed)),
            weekly=("08:30-18:00",),
            days=_days(self.opens - timedelta(seconds=30), self.closes),
        )
        (home / "centres" / "demo.toml").write_text(self.centre.toml(), encoding="utf-8")
        self.settings = base.model_copy(
            update={
                "home": home,
                "centres": home / "centres",
                "node": "demo",
                "database_url": "",
                "ami_port": base.ami_port + 1,
                "sip_host": f"{self._net}.0.1",
                "trunk_hosts": f"{self._net}.2.0/24",
            }
        )
        self.configuration = load(self.settings.centres, self.settings.prompts)
        self.secrets = load_secrets(self.settings, phone_ids(self.configuration))
        self.toolchain = AsteriskToolchain.load(base.toolchain_file)
        self.pbx = pbx_settings(self.settings, self.secrets, self.toolchain)
        found = json.loads(base.toolchain_file.read_text(encoding="utf-8"))["baresip"]
        self._baresip = (tuple(found["argv"]), Path(found["modules_dir"]))
        self._talks: dict[str, _Talk] = {}
        self._free: asyncio.Queue[SimPhone] = asyncio.Queue()
        self._callers = 0
        self._waited_for_phone = 0
        self._stack = AsyncExitStack()
        self._begun: float = 0.0

    def environment(self) -> dict[str, str]:
        """The settings as environment of the processes that are started from here."""
        s = self.settings
        fields = {k: str(getattr(s, k)) for k in type(s).model_fields if getattr(s, k) not in ("", None)}
        return {f"CALLCORE_{k.upper()}": v for k, v in fields.items()}

    def prepare(self) -> None:
        write(self.configuration, self.pbx)
        pins = PinFile(self.settings.home / "pins.json")
        self._pins = {n: pins.generate(AgentId(self.centre.agent(n))) for n in range(1, self.plan.agents + 1)}

    # -- people -----------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """The whole day, then the summary."""
        async with self._stack:
            await self._engine_up()
            desks = [await self._desk(n) for n in range(1, self.plan.agents + 1)]
            self.say(
                f"{len(desks)} 台の電話機で受付開始。{self.opens:%H:%M:%S}〜{self.closes:%H:%M:%S} 営業 / "
                f"{len(desks)} phones signed in; open {self.opens:%H:%M:%S} to {self.closes:%H:%M:%S}"
            )
            day = visitors(self.plan)
            progress = asyncio.create_task(self._progress(len(day)), name="progress")
            try:
                async with asyncio.TaskGroup() as people:
                    for desk in desks:
                        people.create_task(self._agent(desk), name=desk.name)
                    callers = people.create_task(self._arrivals(day), name="callers")
                    await callers
                    raise _DayOver
            except* _DayOver:
                pass
            finally:
                progress.cancel()
            await self._settled(len(day))
        summary = self.summary = await summarise(self)
        self.say(summary.text())
        (self.settings.home / "summary.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(asdict(summary)), indent=1)
        )

    async def _engine_up(self) -> None:
        client = CommandClient(self.settings.engine_socket)
        end = time.monotonic() + SERVER_UP_S
        while True:
            with contextlib.suppress(CommandFailed):
                if (await client.ask("status"))["beat_age_s"] is not None:
                    break
            if time.monotonic() > end:
                raise TimeoutError(
                    f"エンジンが起動しません。{self.settings.home} の記録を確認してください / "
                    "the engine did not come up; look at its log"
                )
            await asyncio.sleep(0.1)
        await client.close()

    def _phone(self, name: str, address: str, hz: int) -> SimPhone:
        argv, modules = self._baresip
        return SimPhone(
            argv=argv,
            modules=modules,
            name=name,
            address=address,
            source=Tone(hz),
            longest_call_s=LONGEST_CALL_S,
        )

    async def _desk(self, n: int) -> SimPhone:
        """A desk phone with an agent who signs in by key and PIN."""
        phone = self._phone(f"desk{n}", f"{self._net}.1.{n}", 400 + 40 * n)
        await self._stack.enter_async_context(phone)
        name = self.centre.phone(n)
        await phone.register(name, self.secrets.phones[PhoneId(name)], self._server())
        await self._matched(name)
        call = await phone.dial(f"*11{self.centre.agent(n)}")
        await call.wait_established(5)
        await asyncio.sleep(0.5)
        await call.dtmf(f"{self._pins[n]}#")
        await call.wait_closed(20)
        if not any(isinstance(x, f.AgentSignedIn) and x.phone == name for x in self.facts()):
            raise PhoneError(f"{name}: 受付を開始できませんでした / could not sign in")
        return phone

    async def _matched(self, phone: str) -> None:
        """Until what registered was found to be the phone of the inventory: before that it can call nobody."""
        deadline = time.monotonic() + MATCHED_WITHIN_S
        while not any(isinstance(x, f.PhoneMatched) and x.phone == phone for x in self.facts()):
            if time.monotonic() > deadline:
                raise PhoneError(
                    f"{phone}: 台帳の電話機と認められませんでした / not found to match the inventory"
                )
            await asyncio.sleep(0.1)

    def _server(self) -> str:
        return f"{self.settings.sip_host}:{self.settings.sip_port}"

    async def _agent(self, phone: SimPhone) -> None:
        """Answers, talks, hangs up or is hung up on; for ever."""
        wait = _spread(RING_S)
        while True:
            with contextlib.suppress(PhoneError):
                call = await phone.incoming(LONGEST_CALL_S)
                await asyncio.sleep(next(wait))
                if call.closed is not None:
                    continue
                await call.answer()
                await call.wait_established(5)
                await self._converse(call)

    async def _converse(self, call: PhoneCall) -> None:
        talk = self._talks.get(_number(call.peer_uri))
        if talk is None:
            await call.wait_closed(LONGEST_CALL_S)
            return
        talk.answered.set()
        if not talk.visitor.ends_talk:
            await asyncio.sleep(talk.visitor.talk_s)
            if call.closed is None:
                await call.hang_up()
        await call.wait_closed(LONGEST_CALL_S)

    async def _arrivals(self, day: Sequence[Visitor]) -> None:
        start = time.monotonic() + (self.opens - datetime.now(ZONE)).total_seconds()
        self._begun = start
        async with asyncio.TaskGroup() as callers:
            for visitor in day:
                await asyncio.sleep(max(0.0, start + visitor.at - time.monotonic()))
                callers.create_task(self._caller(visitor), name=visitor.number)

    async def _telephone(self) -> SimPhone:
        if self._free.empty() and self._callers < CALLERS_MOST:
            self._callers += 1
            phone = self._phone(f"caller{self._callers}", f"{self._net}.2.{self._callers}", 1000)
            await self._stack.enter_async_context(phone)
            return phone
        self._waited_for_phone += self._free.empty()
        return await self._free.get()

    async def _caller(self, visitor: Visitor) -> None:
        phone = await self._telephone()
        talk = self._talks[visitor.number] = _Talk(visitor)
        try:
            await phone.use_number(visitor.number, self._server())
            call = await phone.dial(NUMBER)
            with contextlib.suppress(PhoneError):
                await self._endure(call, talk)
            if call.closed is None:
                with contextlib.suppress(PhoneError):
                    await call.hang_up()
                    await call.wait_closed(10)
        finally:
            del self._talks[visitor.number]
            self._free.put_nowait(phone)

    async def _endure(self, call: PhoneCall, talk: _Talk) -> None:
        """Until the caller has talked, or has had enough."""
        visitor = talk.visitor
        # Announcements and ringing are not divided by the speed, so nobody's patience ends before they can be over.
        patience = self._announcements_s + RING_S[1] + visitor.patience_s
        if visitor.hasty_s is not None:
            patience = visitor.hasty_s
        over = asyncio.create_task(call.wait_closed(LONGEST_CALL_S))
        answered = asyncio.create_task(talk.answered.wait())
        try:
            await asyncio.wait({over, answered}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if answered.done() and not over.done():
                limit = visitor.talk_s if visitor.ends_talk else LONGEST_CALL_S
                await asyncio.wait({over}, timeout=limit)
        finally:
            for task in (over, answered):
                task.cancel()
            await asyncio.gather(over, answered, return_exceptions=True)

    @property
    def _announcements_s(self) -> float:
        total = 0.0
        for kind in ("recording_notice", "greeting"):
            file = shelf.ulaw_of(self.settings.prompts, shelf.sound(CENTRE, "ja", kind))
            total += file.stat().st_size / shelf.RATE
        return total

    # -- what is shown ----------------------------------------------------------------------------------------

    async def _progress(self, expected: int) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            now = figures(self.records(), at=_now(), service_level_s=self.centre.service_level_s)
            ratio = now.answer_ratio.value
            shown = "–" if ratio is None else f"{ratio:.1%}"
            self.say(
                f"[{datetime.now(ZONE):%H:%M:%S}] {now.arrived}/{expected}  "
                f"応答 answered {now.answered}  放棄 abandoned {now.abandoned + now.abandoned_short}  "
                f"時間外 closed {now.closed}  待ち waiting {now.waiting}  通話 talking {now.talking}  応答率 {shown}"
            )

    def facts(self) -> list[f.Fact]:
        with KeyStore.open(self.settings.journal, self.settings.keys) as keys:
            codec = Codec(f.KINDS, {}, keys)
            return [x for frame in read_all(self.settings.journal, codec) for x in frame.facts]  # type: ignore[misc]

    def records(self) -> list[Record]:
        books = Books()
        for fact in self.facts():
            books = books.after(fact)
        return list(books.records.values())

    async def _settled(self, expected: int) -> None:
        """Until every call has ended, every recording is filed and the database has caught up."""
        end = time.monotonic() + DRAINED_S
        while time.monotonic() < end:
            facts = self.facts()
            ended = sum(isinstance(x, f.CallEnded) for x in facts)
            answered = {x.call for x in facts if isinstance(x, f.CallAnswered)}
            filed = {x.call for x in facts if isinstance(x, f.RecordingFiled)}
            if ended >= expected and answered <= filed and await self._drained():
                return
            await asyncio.sleep(0.5)
        self.say("期限内に揃いませんでした / not everything was settled in time")

    async def _drained(self) -> bool:
        mine = {r.call for r in self.records() if r.outcome is not None}
        return mine <= {r.call for r in await self.stored() if r.outcome is not None}

    async def stored(self) -> list[Record]:
        database = Database(self.settings.database)
        try:
            return await Queries(database).records(CentreId(CENTRE), Instant(0), Instant(_now() + 1))
        finally:
            await database.close()

    def cdr(self) -> list[dict[str, str]]:
        path = self.pbx.log_dir / CDR_FILE
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [dict(zip(CDR_FIELDS, row, strict=True)) for row in csv.reader(file)]

    @property
    def waited_for_phone(self) -> int:
        return self._waited_for_phone


class _DayOver(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Summary:
    arrived: int
    offered: int
    answered: int
    abandoned: int
    abandoned_short: int
    closed: int
    failed: int
    answer_ratio: float | None
    service_level: float | None
    mean_wait_s: float | None
    longest_wait_s: float | None
    recordings: int
    books: str | None
    """What does not add up; None: balanced."""
    differences: tuple[str, ...]
    """Between journal, database and CDR; each names its call."""
    waited_for_a_telephone: int
    seconds: float
    seed: int
    speed: float

    @property
    def agrees(self) -> bool:
        return self.books is None and not self.differences

    def text(self) -> str:
        def percent(value: float | None) -> str:
            return "–" if value is None else f"{value:.1%}"

        def length(value: float | None) -> str:
            return "–" if value is None else f"{value:.1f} s"

        lines = [
            "",
            "一日のまとめ / the day's summary",
            f"  着信 arrived          {self.arrived}",
            f"  対象 offered          {self.offered}",
            f"  応答 answered         {self.answered}",
            f"  放棄 abandoned        {self.abandoned}  (短時間 short {self.abandoned_short})",
            f"  時間外 closed         {self.closed}",
            f"  障害 failed           {self.failed}",
            f"  応答率 answer ratio   {percent(self.answer_ratio)}",
            f"  SL                    {percent(self.service_level)}",
            f"  平均待ち mean wait    {length(self.mean_wait_s)}   最長 longest {length(self.longest_wait_s)}",
            f"  録音 recordings       {self.recordings}",
            f"  帳簿 books            {self.books or '一致 / balanced'}",
            "  照合 journal = database = CDR: "
            + ("一致 / agree, call by call" if not self.differences else f"不一致 {len(self.differences)}"),
            *(f"    {line}" for line in self.differences),
        ]
        return "\n".join(lines)


async def summarise(show: Show) -> Summary:
    """The day as journal, database and CDR have it."""
    facts = show.facts()
    records = show.records()
    of = figures(records, at=_now(), service_level_s=show.centre.service_level_s)
    return Summary(
        arrived=of.arrived,
        offered=of.offered,
        answered=of.answered,
        abandoned=of.abandoned,
        abandoned_short=of.abandoned_short,
        closed=of.closed,
        failed=of.failed,
        answer_ratio=of.answer_ratio.value,
        service_level=of.service_level.value,
        mean_wait_s=of.wait_mean_s,
        longest_wait_s=of.wait_max_s,
        recordings=sum(isinstance(x, f.RecordingFiled) and x.problem is None for x in facts),
        books=imbalance(of),
        differences=tuple(differences(records, await show.stored(), show.cdr())),
        waited_for_a_telephone=show.waited_for_phone,
        seconds=round(time.monotonic() - show._begun, 1),
        seed=show.plan.seed,
        speed=show.plan.speed,
    )


def differences(journal: list[Record], stored: list[Record], cdr: list[dict[str, str]]) -> list[str]:
    """Where the three do not agree, each with its call's id. Ends agree within 1 s (CDR is written by Asterisk)."""
    found: list[str] = []
    rows = {record.call: record for record in stored}
    for record in journal:
        row = rows.pop(record.call, None)
        if row != record:
            found.append(f"{record.call}: journal ≠ database")
    found += [f"{call}: only in the database" for call in rows]
    legs: dict[str, list[dict[str, str]]] = {}
    for line in cdr:
        legs.setdefault(line["linkedid"], []).append(line)
    for record in journal:
        mine = legs.get(record.call, [])
        talks = [
            x
            for x in mine
            if x["dstchannel"] and x["lastapp"] in ("Dial", "Queue") and x["disposition"] == "ANSWERED"
        ]
        if not mine:
            found.append(f"{record.call}: no CDR")
            continue
        if (record.answered_at is not None) != bool(talks):
            found.append(f"{record.call}: answered {record.answered_at is not None}, CDR says {bool(talks)}")
        end = max(float(x["end"]) for x in mine if x["end"])
        if record.ended_at is None or abs(end - record.ended_at / SECOND) > 1.0:
            found.append(f"{record.call}: ends do not agree within 1 s")
    arrivals = {
        x["linkedid"]
        for x in cdr
        if x["uniqueid"] == x["linkedid"] and x["channel"].startswith("PJSIP/trunk-")
    }
    known: set[CallId] = {record.call for record in journal}
    found += [f"{call}: only in the CDR" for call in sorted(arrivals - known)]
    return found


def _number(uri: str) -> str:
    return uri.removeprefix("sip:").partition("@")[0]


def _now() -> Instant:
    return Instant(time.time_ns() // 1000)


def _spread(bounds: tuple[float, float]) -> Iterator[float]:
    """Ring times between the bounds, again and again."""
    low, high = bounds
    step = 0
    while True:
        yield low + (high - low) * (step * 0.618 % 1.0)
        step += 1


def _days(opens: datetime, closes: datetime) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Opening windows by local date; a day played across midnight has two."""
    first, last = f"{opens:%H:%M:%S}", f"{closes:%H:%M:%S}"
    if opens.date() == closes.date():
        return ((f"{opens:%Y-%m-%d}", (f"{first}-{last}",)),)
    return ((f"{opens:%Y-%m-%d}", (f"{first}-24:00",)), (f"{closes:%Y-%m-%d}", (f"00:00-{last}",)))


def play(plan: Plan, base: Settings, say: Say) -> int:
    """The demo as a command: everything is started, the day played, the summary shown, everything stopped.

    The status is 1 too where the books do not balance, or journal, database and CDR do not agree.
    """
    if "CALLCORE_LOG_LEVEL" not in os.environ:
        base = base.model_copy(update={"log_level": "warning"})  # the progress is what people want to read
    configure(base.log_level, "demo", base.node)
    owner_only(base.home)

    async def body(stop: asyncio.Event) -> int:
        with alone(base.home, "demo.lock"):
            show = Show(plan, say, base)
            show.prepare()
            os.environ.update(show.environment())
            page = f"{show.settings.web_url}/"
            found = f"Asterisk {show.toolchain.version} ({show.toolchain.source})"
            say(f"{found}   画面 / page {page}   Ctrl-C で停止 / stops")
            invite_first_administrator(show.settings, say)
            late = await supervise(
                [child("engine"), child("sidecar")],
                lambda: asterisk_process(show.pbx, show.toolchain),
                stop,
                say=say,
                started=show.play,
            )
            wrong = show.summary is not None and not show.summary.agrees
            return late or int(wrong)

    return run_process(body, fast=False, final=(NeedsAPerson, PbxError, CentreFileErrors))
