"""A whole installation for one test: real Asterisk, real engine (and sidecar), real SIP phones; gone afterwards.

Everything lies below one short temporary folder and on loopback addresses that no other test uses.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from argon2 import PasswordHasher

from callcore.centres import load
from callcore.db import migrate
from callcore.demo.centre import NUMBER, DemoCentre
from callcore.demo.phone import CallIncoming, PhoneCall, PhoneError, SimPhone
from callcore.demo.sounds import Source, Tone
from callcore.domain import facts as f
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, PhoneId
from callcore.domain.measures import Books, Figures, figures, imbalance
from callcore.domain.phones import Policy
from callcore.domain.stages import Device
from callcore.files import write_whole
from callcore.installation import asterisk_process, pbx_settings, phone_ids, recording_of, recordings_of
from callcore.journal import Codec, KeyStore, Mark, Seq, read_all, read_mark
from callcore.pbx.process import AsteriskToolchain
from callcore.pbx.render import CDR_FIELDS, CDR_FILE, CEL_FIELDS, CEL_FILE, write
from callcore.prompts import shelf
from callcore.runtime.commands import CommandClient, CommandFailed
from callcore.settings import Settings, load_secrets, owner_only
from tests.support import ahead, audio, sip
from tests.support.asterisk import SIP_PORT, free_port

PROJECT = Path(__file__).resolve().parents[2]
F = TypeVar("F", bound=f.Fact)
PIN = "271828"
DEADLINE_S = 40.0
JUDGED_S = 5.0
"""Within a second of its registration a phone is judged; more on a loaded machine."""


def toolchain_path() -> Path:
    home = Path(os.environ.get("CALLCORE_HOME", PROJECT / "var"))
    return Path(os.environ.get("CALLCORE_TOOLCHAIN", home / "toolchain.json"))


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S, what: str = "") -> None:
    """Await a condition under a deadline; it is looked at every 50 ms, or less often where a look is long (at sound):
    others need the processor, too."""
    end = time.monotonic() + deadline_s
    while True:
        looked = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        await asyncio.sleep(max(0.05, now - looked))


@dataclass(frozen=True, slots=True)
class CdrRow:
    """One row of Asterisk's own call records. Times are epoch seconds UTC; `answered` is None if nobody did."""

    call: str
    channel: str
    phone_channel: str
    disposition: str
    started: float
    answered: float | None
    ended: float


class OpenKeys:
    """The keys that are open just now: the journal is read again and again, and a codec is dear to build."""

    store: KeyStore

    def unseal(self, call: CallId, centre: CentreId, at: Instant, sealed: bytes) -> tuple[str, str] | None:
        return self.store.unseal(call, centre, at, sealed)


class Station:
    def __init__(
        self,
        home: Path,
        centre: DemoCentre,
        net: str,
        stack: AsyncExitStack,
        pbx: dict[str, object],
        *,
        prompts: Callable[[Path], Path] | None = None,
        pins: bool = True,
    ) -> None:
        """`prompts` makes another prompts folder below the one it is given; `pins` sets every agent's."""
        self.centre = centre
        self.net = net
        self.stack = stack
        (home / "centres").mkdir()
        (home / "centres" / "demo.toml").write_text(centre.toml(), encoding="utf-8")
        self.settings = Settings(
            home=home,
            centres=home / "centres",
            **({"prompts": prompts(home)} if prompts is not None else {}),  # type: ignore[arg-type]
            node="test1",
            ami_port=free_port("127.0.0.1"),
            sip_host=f"{net}.1",
            sip_port=SIP_PORT,
            web_port=free_port("127.0.0.1"),
            rtp_first=20000,
            rtp_last=20999,
            trunk_hosts=f"{net}.128/25",
            trunk_out=f"{net}.200:{SIP_PORT}",
            recordings_plain_s=60,
            log_level=os.environ.get("CALLCORE_TEST_LOG", "info"),
        )
        self.configuration = load(self.settings.centres, self.settings.prompts)
        self.secrets = load_secrets(self.settings, phone_ids(self.configuration))
        self.toolchain = AsteriskToolchain.load(toolchain_path())
        found = json.loads(toolchain_path().read_text())["baresip"]
        self._baresip = (tuple(found["argv"]), Path(found["modules_dir"]))
        self.pbx = replace(pbx_settings(self.settings, self.secrets, self.toolchain), **pbx)  # type: ignore[arg-type]
        write(self.configuration, self.pbx)
        self.asterisk = asterisk_process(self.pbx, self.toolchain)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env_more: dict[str, str] = {}
        """What a process that is started from now on finds in its environment besides."""
        self.reads_anew()
        self._keys = OpenKeys()
        self._codec = Codec(f.KINDS, {}, cast("KeyStore", self._keys))
        owner_only(self.settings.run)
        owner_only(self.settings.journal)
        owner_only(self.settings.keys)
        if pins:
            known = {centre.agent(n): _quickly_hashed() for n in range(1, centre.agents + 1)}
            write_whole(home / "pins.json", json.dumps(known).encode())
        self.ears = home / "heard"
        self.ears.mkdir()

    # -- processes --------------------------------------------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        s = self.settings
        fields = {
            k.upper(): str(getattr(s, k)) for k in type(s).model_fields if getattr(s, k) not in ("", None)
        }
        return {
            **os.environ,
            "CALLCORE_TOOLCHAIN": str(toolchain_path()),
            **{f"CALLCORE_{k}": v for k, v in fields.items()},
            "PYTHONPATH": str(PROJECT / "src"),
            **self.env_more,
        }

    def start(self, name: str, *, own_session: bool = False) -> subprocess.Popen[bytes]:
        """Start `engine` or `sidecar` as the process it is in real life; there it has a session of its own, too."""
        if name == "sidecar" and not (database := self.settings.home / "callcore.db").exists():
            shutil.copyfile(_new_tables(), database)
        with (self.settings.home / f"{name}.log").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "callcore", name],
                env=self.env,
                stdout=out,
                stderr=out,
                start_new_session=own_session,
            )
        if name == "engine":
            ahead.first(process.pid)
        self.processes[name] = process
        return process

    async def start_engine(self) -> None:
        self.start("engine")
        client = CommandClient(self.settings.engine_socket)
        end = (
            time.monotonic() + 3 * DEADLINE_S
        )  # no bound of the product's: other tests take the cores meanwhile
        while True:
            with contextlib.suppress(CommandFailed):
                status = await client.ask("status")
                if status["linked"] and status["beat_age_s"] is not None:
                    break
            if time.monotonic() > end or self.processes["engine"].poll() is not None:
                raise AssertionError(f"engine did not come up:\n{self.log('engine')}")
            await asyncio.sleep(0.02)
        await client.close()

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    async def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.terminate()
        return await asyncio.to_thread(process.wait, 15)

    def log(self, name: str) -> str:
        path = self.settings.home / f"{name}.log"
        return path.read_text("utf-8", "replace")[-6000:] if path.exists() else ""

    async def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        await self.asterisk.stop()

    # -- people -----------------------------------------------------------------------------------------------

    def _sim(self, name: str, address: str, source: Source, **more: object) -> SimPhone:
        argv, modules = self._baresip
        return SimPhone(
            argv=argv,
            modules=modules,
            name=name,
            address=address,
            source=source,
            recordings=self.ears,
            **more,  # type: ignore[arg-type]
        )

    async def desk(self, n: int, *, auto_answer_s: float | None = None, hz: int | None = None) -> SimPhone:
        """The n-th desk phone, registered; it speaks a tone of its own."""
        source = Tone(hz or 400 + 40 * n)
        phone = self._sim(f"desk{n}", f"{self.net}.{20 + n}", source, auto_answer_s=auto_answer_s)
        await self.stack.enter_async_context(phone)
        name = self.centre.phone(n)
        await phone.register(name, self.secrets.phones[name], f"{self.net}.1:{self.settings.sip_port}")  # type: ignore[index]
        if "engine" in self.processes:
            with contextlib.suppress(AssertionError):  # an engine that hangs judges nobody
                await until(lambda: self.judged(PhoneId(name)), JUDGED_S)
        return phone

    async def carrier(self) -> sip.Agent:
        """The carrier's end of calls that desk phones make."""
        host, _, port = self.settings.trunk_out.partition(":")
        agent = sip.sip_agent(host, "carrier", (f"{self.net}.1", self.settings.sip_port), port=int(port))
        return await self.stack.enter_async_context(agent)

    def judged(self, phone: PhoneId) -> bool:
        """Whether the engine has found out what registered: before that it can call nobody."""
        state = self.floor().registered.get(phone)
        return state is not None and state.policy is not Policy.ABSENT

    async def caller(self, n: int = 1, *, hz: int = 1000, number: str | None = None) -> SimPhone:
        """A citizen behind the trunk."""
        phone = self._sim(f"caller{n}", f"{self.net}.{130 + n}", Tone(hz))
        await self.stack.enter_async_context(phone)
        await phone.use_number(number or f"03{n:08}", f"{self.net}.1:{self.settings.sip_port}")
        return phone

    async def sign_in(self, phone: SimPhone, agent: int, pin: str = PIN) -> None:
        """Key the feature code, the number and the PIN on the phone, and hear it out."""
        call = await self._keyed_in(phone, agent, pin)
        await call.wait_closed(20)

    async def _keyed_in(self, phone: SimPhone, agent: int, pin: str) -> PhoneCall:
        call = await phone.dial(f"*11{self.centre.agent(agent)}")
        await call.wait_established(5)
        await asyncio.sleep(
            0.3
        )  # a person waits for the voice; the first digits of a faster one are kept too
        await call.dtmf(f"{pin}#")
        return call

    async def staff(self, *agents: int) -> list[SimPhone]:
        """Desk phones on which these agents have signed in, in this order, and stand idle. They hang up without hearing
        out that they are signed in, four seconds that `sign_in` takes."""
        phones = [await self.desk(n) for n in agents]
        for phone, n in zip(phones, agents, strict=True):
            call = await self._keyed_in(phone, n, PIN)
            await self.fact(f.AgentSignedIn, lambda x, n=n: x.agent == self.centre.agent(n))  # type: ignore[misc]
            await hears_for(
                call, 0.5
            )  # by now it speaks: nobody is hung up on in the middle of being answered
            await call.hang_up()
            await call.wait_closed(10)
        for n in agents:
            await self.device(n, Device.FREE)
        return phones

    async def device(self, n: int, wanted: Device, within: float = DEADLINE_S) -> None:
        """Await that the floor sees the n-th phone so."""
        name = PhoneId(self.centre.phone(n))
        await until(lambda: self.floor().phones.get(name) is wanted, within, f"{name} {wanted.value}")

    async def available(self, n: int, within: float = DEADLINE_S) -> None:
        """Await that the n-th agent could be given a call."""
        name = AgentId(self.centre.agent(n))

        def may() -> bool:
            floor = self.floor()
            return floor.available(floor.agents[name])

        await until(may, within, f"agent {name} available")

    async def sign_out(self, phone: SimPhone) -> None:
        call = await phone.dial("*12")
        await call.wait_closed(20)

    async def dial_in(self, caller: SimPhone, number: str = NUMBER) -> PhoneCall:
        return await caller.dial(number)

    # -- what is written down ---------------------------------------------------------------------------------

    def reads_anew(self) -> None:
        """From the beginning: also when another journal lies there now."""
        self._facts: list[f.Fact] = []
        self._read_to: Seq | None = None
        self._mark: Mark | None = None
        self._floor, self._on_floor = Floor(), 0
        self._books, self._in_books = Books(), 0

    def facts(self) -> list[f.Fact]:
        """Every synced fact of the journal; what was read once is kept."""
        mark = read_mark(self.settings.journal)
        if mark != self._mark:
            with KeyStore.open(self.settings.journal, self.settings.keys) as keys:
                self._keys.store = keys
                for frame in read_all(self.settings.journal, self._codec, self._read_to):
                    self._facts.extend(frame.facts)  # type: ignore[arg-type]
                    self._read_to = frame.seq
            self._mark = mark
        return list(self._facts)

    def told(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts() if isinstance(fact, kind)]

    async def fact(
        self, kind: type[F], where: Callable[[F], bool] = lambda _: True, within: float = DEADLINE_S
    ) -> F:
        """The first fact of a kind that fits, awaited."""
        found: list[F] = []

        def look() -> bool:
            found[:] = [x for x in self.told(kind) if where(x)]
            return bool(found)

        try:
            await until(look, within, f"{kind.__name__}")
        except AssertionError as error:
            raise AssertionError(
                f"{error}; facts: {[type(x).__name__ for x in self.facts()]}\n{self.log('engine')}"
            ) from None
        return found[0]

    def floor(self) -> Floor:
        """What was folded once is kept: who waits for something asks twenty times a second."""
        facts = self.facts()
        for fact in facts[self._on_floor :]:
            self._floor = evolve(self._floor, fact)
        self._on_floor = len(facts)
        return self._floor

    def books(self) -> Books:
        """As `floor`."""
        facts = self.facts()
        for fact in facts[self._in_books :]:
            self._books = self._books.after(fact)
        self._in_books = len(facts)
        return self._books

    def figures(self) -> Figures:
        found = figures(
            self.books().records.values(),
            at=Instant(round(time.time() * 1e6)),
            service_level_s=self.centre.service_level_s,
        )
        assert imbalance(found) is None
        return found

    def outcomes(self) -> list[str]:
        return [x.outcome.value for x in self.told(f.CallEnded)]

    async def ended(self, count: int, within: float = DEADLINE_S) -> list[f.CallEnded]:
        await until(lambda: len(self.told(f.CallEnded)) >= count, within, f"{count} calls ended")
        return self.told(f.CallEnded)

    def call_ids(self) -> list[CallId]:
        """All calls in the order of their arrival."""
        return [x.call for x in self.told(f.CallArrived)]

    def cdr(self) -> list[CdrRow]:
        return [
            CdrRow(
                row["uniqueid"],
                row["channel"],
                row["dstchannel"],
                row["disposition"],
                float(row["start"]),
                float(row["answer"]) if row["answer"] else None,
                float(row["end"]),
            )
            for row in _rows(self.pbx.log_dir / CDR_FILE, CDR_FIELDS)
        ]

    async def recording(self, name: str) -> Path:
        """A recording's sound, once Asterisk has closed it (only then its header tells the length): the file itself
        while it lies plain, else a copy of what is sealed."""
        plain = recording_of(self.settings, name)
        await until(lambda: not self._writes(plain), what=f"{plain.name} is closed")
        if plain.exists():
            return plain
        copy = self.settings.home / "opened" / plain.name
        copy.parent.mkdir(exist_ok=True)
        with recordings_of(self.settings).open(name) as sound:
            copy.write_bytes(sound.read())
        return copy

    def _writes(self, path: Path) -> bool:
        """Whether Asterisk has it open."""
        if self.asterisk.pid is None:
            return False
        for each in Path(f"/proc/{self.asterisk.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if each.readlink() == path:
                    return True
        return False

    def prompt(self, kind: str, centre: str = "demo") -> audio.Samples:
        """A prompt as it is shipped; `centre` may be `common`."""
        return audio.read(self._ulaw(kind, centre))

    def ulaw(self, kind: str, centre: str = "demo") -> bytes:
        """The same as Asterisk has it."""
        return self._ulaw(kind, centre).read_bytes()

    def _ulaw(self, kind: str, centre: str) -> Path:
        return shelf.ulaw_of(self.settings.prompts, shelf.sound(centre, "ja", kind))

    def books_agree(self) -> None:
        """Each answered call in the journal has its like in Asterisk's own records, and the other way round."""
        rows = [row for row in self.cdr() if "PJSIP/trunk" in row.channel]
        answered = {x.call: x for x in self.told(f.CallAnswered)}
        joined, parted = (
            {
                name: [float(row["eventtime"]) for row in rows]
                for name, rows in groupby(
                    sorted(self.cel(kind), key=lambda row: row["uniqueid"]), lambda row: row["uniqueid"]
                )
            }
            for kind in ("BRIDGE_ENTER", "BRIDGE_EXIT")
        )
        hung_up = {row["uniqueid"]: float(row["eventtime"]) for row in self.cel("HANGUP")}
        assert set(answered) == set(joined) & set(self.call_ids())
        for call, record in self.books().records.items():
            mine = [row for row in rows if row.call == call]
            assert record.ended_at is not None, "a call is still open"
            assert abs(min(row.started for row in mine) - record.arrived_at / 1e6) < 1
            last = max(row.ended for row in mine)
            off = record.ended_at / 1e6 - last
            # Who is put through while the other phone still rings has no row of the time after the agent has left.
            alone = off > 0 and abs(last - max(parted.get(call, [0.0]))) < 1
            assert abs(off) < 1 or alone, (call, record.outcome, off, mine)
            assert abs(record.ended_at / 1e6 - hung_up[call]) < 1, (call, record.outcome, hung_up[call])
            dialled = {row.phone_channel for row in mine if row.disposition == "ANSWERED"}
            if call in answered:
                phone = answered[call].phone
                assert any(channel.startswith(f"PJSIP/{phone}-") for channel in dialled), (phone, mine)
                assert abs((record.answered_at or 0) / 1e6 - min(joined[call])) < 1
                together = sum(parted[call]) - sum(joined[call])
                assert abs((record.talk + record.away) / 1e6 - together) < 1, (record, together)
        assert {row.call for row in rows} >= set(self.call_ids()), (
            "a consult that a caller took over has one, too"
        )

    def cel(self, kind: str | None = None) -> list[dict[str, str]]:
        """Asterisk's channel events (of one kind), in order; the fields are `CEL_FIELDS`."""
        rows = _rows(self.pbx.log_dir / CEL_FILE, CEL_FIELDS)
        return [row for row in rows if kind in (None, row["eventenum"])]


def _rows(path: Path, fields: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [dict(zip(fields, row, strict=True)) for row in csv.reader(file)]


def rings(phone: SimPhone) -> int:
    """How often a phone has rung."""
    return sum(isinstance(event, CallIncoming) for event in phone.events)


def heard(call: PhoneCall) -> audio.Samples:
    """What the party has heard in this call so far; a second behind while the call lasts."""
    with contextlib.suppress(PhoneError):
        return audio.read(call.recording.path)
    return audio.silence(0)


def words(call: PhoneCall) -> audio.Samples:
    """What the party has heard, without the pauses in which nothing came: a busy machine stutters."""
    sound = heard(call)
    kept, at = [], 0
    for start, length in call.recording.pauses:
        kept.append(sound[at : round(start * audio.RATE)])
        at = round((start + length) * audio.RATE)
    return np.concatenate([*kept, sound[at:]])


async def hears_for(call: PhoneCall, seconds: float, within: float = 30.0) -> None:
    """Await that the party has heard (sound or silence) so much more than now."""
    wanted = len(heard(call)) + seconds * audio.RATE
    await until(lambda: len(heard(call)) >= wanted, within, f"{seconds} s more heard by {call.phone.name}")


def share_of_music(part: audio.Samples) -> float:
    """How much what was heard is like some place in the hold music: 1.0 for the music, about 0.1 for others.

    The middle of all whole seconds counts, so that one stutter of a busy machine does no harm.
    """
    loop = audio.read(PROJECT / "ivr_prompts" / "music" / "default.wav")
    loop = np.concatenate([loop, loop[: audio.RATE]])
    seconds = part[: len(part) // audio.RATE * audio.RATE].reshape(-1, audio.RATE)
    return float(np.median([audio.find(second, loop).score if second.any() else 0.0 for second in seconds]))


async def hears_now(call: PhoneCall, judge: Callable[[audio.Samples], bool], seconds: float = 2.0) -> None:
    """Await that a judgement holds for the latest seconds that the party heard."""

    def latest() -> bool:
        sound = heard(call)
        wanted = round(seconds * audio.RATE)
        return len(sound) >= wanted and judge(sound[-wanted:])

    await until(latest, 20, f"what {call.phone.name} hears")


def music(sound: audio.Samples) -> bool:
    return share_of_music(sound) > 0.98


def voice_of(hz: float) -> Callable[[audio.Samples], bool]:
    """Judges whether all that is heard is this party's tone."""
    return lambda sound: bool(audio.tone_over_time(sound, hz).min() > 0.99)


@cache
def _quickly_hashed() -> str:
    """Of `PIN`. How much a hash costs stands in it."""
    return PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PIN)


@cache
def _new_tables() -> Path:
    """A database as the sidecar makes it; that it does so is tried by the demo and by test_db_migrations."""
    folder = Path(tempfile.mkdtemp(prefix="cc-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = folder / "callcore.db"
    with ThreadPoolExecutor(1) as pool:  # a loop of its own: there may be one that runs
        pool.submit(asyncio.run, migrate.upgrade(f"sqlite+aiosqlite:///{made}")).result()
    return made


def sealed_soon(made: Station) -> None:
    """To be its `prepare`: recordings are sealed as soon as may be. They lie plain for longer elsewhere, to be read."""
    made.env_more["CALLCORE_RECORDINGS_PLAIN_S"] = "5"


@asynccontextmanager
async def station(
    centre: DemoCentre | None = None,
    *,
    engine: bool = True,
    sidecar: bool = False,
    prompts: Callable[[Path], Path] | None = None,
    pins: bool = True,
    prepare: Callable[[Station], None] | None = None,
    **pbx: object,
) -> AsyncIterator[Station]:
    """A running installation; phones and callers made through it are stopped with it.

    `prepare` may look at or change what is on the disk before Asterisk reads it; `pbx` replaces fields of its
    PbxSettings.
    """
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    net = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}"
    try:
        async with AsyncExitStack() as stack:
            made = Station(folder, centre or DemoCentre(), net, stack, pbx, prompts=prompts, pins=pins)
            stack.push_async_callback(made.close)
            if prepare is not None:
                prepare(made)
            await made.asterisk.start()
            if engine:
                await made.start_engine()
            if sidecar:
                made.start("sidecar")
            yield made
    finally:
        if not os.environ.get("CALLCORE_TEST_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
