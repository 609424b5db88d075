"""What chaos tests have in common: people on phones, ways to break things, and the look at everything afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callcore.demo.phone import PhoneCall, PhoneError, SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, AgentId, CallId
from callcore.domain.measures import Record
from callcore.domain.stages import Outcome, Party, Work
from callcore.pbx.render import CDR_FIELDS, CDR_FILE
from callcore.runtime.commands import CommandClient, CommandFailed
from tests.support import audio
from tests.support.proxy import Proxy
from tests.support.station import Station, until

STALE_S = 5.0
"""The heartbeat's bound: silent for longer, and the waiting callers fall into the safety net."""
NET_WITHIN_S = STALE_S + 7.0
"""The bound, a beat before it, the look twice a second, and a busy machine."""
CALLER_HZ = 1000


def desk_hz(n: int) -> int:
    return 400 + 40 * n


# -- people ---------------------------------------------------------------------------------------------------


async def staff(s: Station, *numbers: int) -> list[SimPhone]:
    """Desk phones whose agents are signed in and stand idle."""

    async def one(n: int) -> SimPhone:
        phone = await s.desk(n)
        await s.sign_in(phone, n)
        return phone

    phones = list(await asyncio.gather(*(one(n) for n in numbers)))
    for n in numbers:
        await available(s, n)
    return phones


async def available(s: Station, n: int, within: float = 20.0) -> None:
    name = AgentId(s.centre.agent(n))

    def may() -> bool:
        floor = s.floor()
        return floor.available(floor.agents[name])

    await until(may, within, f"agent {name} available\n{s.log('engine')[-1500:]}")


async def works(s: Station, n: int, work: Work, within: float = 15.0) -> None:
    """Await that the floor holds the n-th agent to be at this work."""
    name = AgentId(s.centre.agent(n))
    await until(lambda: s.floor().agents[name].work is work, within, f"agent {name} {work.value}")


@dataclass(slots=True)
class Caller:
    """A citizen on the line."""

    phone: SimPhone
    line: PhoneCall
    id: CallId


async def arrive(s: Station, n: int) -> Caller:
    """The n-th citizen dials; returns when Asterisk has the call, whether callcore lives or not."""
    phone = await s.caller(n, hz=CALLER_HZ)
    return await dial_again(s, phone)


async def dial_again(s: Station, phone: SimPhone) -> Caller:
    before = set(cel_calls(s))
    line = await s.dial_in(phone)
    await line.wait_established(10)
    await until(lambda: set(cel_calls(s)) - before, 10, "the call in CEL")
    (new,) = set(cel_calls(s)) - before
    return Caller(phone, line, CallId(new))


async def queue_up(s: Station, *numbers: int) -> list[Caller]:
    """Citizens who wait, in this order; a second apart, which is how finely the safety net tells them apart."""
    found: list[Caller] = []
    for phone in await asyncio.gather(*(s.caller(n, hz=CALLER_HZ) for n in numbers)):
        found.append(await dial_again(s, phone))
        await asyncio.sleep(1.1)
    for caller in found:
        await marked(s, caller.id, "callcore-held")
    return found


async def take(phone: SimPhone, within: float = 20.0) -> PhoneCall:
    """The phone rings and is answered."""
    rung = await phone.incoming(within)
    await rung.answer()
    await rung.wait_established(5)
    return rung


# -- what is heard --------------------------------------------------------------------------------------------


def heard(line: PhoneCall) -> audio.Samples:
    return audio.read(line.recording.path)


def _now_hears(line: PhoneCall, hz: int) -> bool:
    try:
        tail = heard(line)[-audio.RATE :]
    except (PhoneError, ValueError, EOFError):
        return False
    return len(tail) == audio.RATE and float(np.mean(audio.tone_over_time(tail, hz) >= 0.3)) >= 0.7


async def both_hear(caller: PhoneCall, desk: PhoneCall, n: int, within: float = 15.0) -> None:
    """Caller and the n-th agent hear each other's tones in the last second."""
    await until(lambda: _now_hears(caller, desk_hz(n)), within, f"the caller hears agent {n}")
    await until(lambda: _now_hears(desk, CALLER_HZ), within, f"agent {n} hears the caller")


def longest_silence(line: PhoneCall, hz: int) -> float:
    """Seconds: the longest stretch without the tone between its first and its last sound."""
    there = np.flatnonzero(audio.tone_over_time(heard(line), hz) >= 0.3)
    assert len(there), "the tone was never heard"
    return float(np.max(np.diff(there), initial=1) - 1) * audio.WINDOW_S


# -- what Asterisk wrote by itself ----------------------------------------------------------------------------


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def cel(s: Station) -> list[list[str]]:
    return [row for row in _rows(s.pbx.log_dir / "cel-custom" / "callcore.csv") if len(row) >= 12]


def cel_calls(s: Station) -> list[str]:
    """Calls in the order of their arrival."""
    return [row[3] for row in cel(s) if row[0] == "CHAN_START" and row[6] == "callcore-in"]


def marks(s: Station, mark: str) -> list[str]:
    """The calls that passed a mark of the dialplan, in that order."""
    return [row[3] for row in cel(s) if row[0] == "USER_DEFINED" and row[1] == mark]


async def marked(s: Station, call: str, mark: str, within: float = 20.0) -> None:
    await until(lambda: call in marks(s, mark), within, f"{call} {mark}")


async def taken_back(s: Station, call: str, within: float = 25.0) -> None:
    """The caller stands on the waiting line for the second time."""
    await until(lambda: marks(s, "callcore-held").count(call) == 2, within, f"{call} taken back")


async def gone(s: Station, call: str, within: float = 20.0) -> None:
    """The call's channel has ended."""
    await until(
        lambda: any(row[0] == "CHAN_END" and row[3] == call for row in cel(s)), within, f"{call} ended"
    )


def cdr(s: Station) -> dict[str, tuple[float, float]]:
    """Call → start and end in epoch seconds, over all its rows."""
    found: dict[str, tuple[float, float]] = {}
    for row in _rows(s.pbx.log_dir / CDR_FILE):
        told = dict(zip(CDR_FIELDS, row, strict=True))
        if not told["channel"].startswith("PJSIP/trunk-"):
            continue
        start, end = float(told["start"]), float(told["end"])
        known = found.get(told["uniqueid"], (start, end))
        found[told["uniqueid"]] = (min(known[0], start), max(known[1], end))
    return found


def talked(s: Station, call: str) -> tuple[float, float]:
    """When a call's own channel entered and left its last bridge, in epoch seconds."""
    into = [float(row[2]) for row in cel(s) if row[0] == "BRIDGE_ENTER" and row[3] == call]
    out = [float(row[2]) for row in cel(s) if row[0] == "BRIDGE_EXIT" and row[3] == call]
    return into[-1], out[-1]


# -- what callcore wrote --------------------------------------------------------------------------------------


def record(s: Station, call: str) -> Record:
    return s.books().records[CallId(call)]


def answer(s: Station, call: str) -> f.CallAnswered:
    (found,) = [x for x in s.told(f.CallAnswered) if x.call == call]
    return found


async def relinked(s: Station, runs: int, within: float = 20.0) -> None:
    """The floor was reconciled after so many logins."""
    await until(
        lambda: len(s.told(f.LinkGained)) >= runs, within, f"{runs} logins\n{s.log('engine')[-2000:]}"
    )


async def settled(s: Station, calls: Iterable[str], within: float = 30.0) -> None:
    """All of these calls are over, in the books and in Asterisk's own."""
    wanted = set(calls)
    await until(
        lambda: wanted <= {x.call for x in s.told(f.CallEnded)},
        within,
        f"calls {sorted(wanted - {x.call for x in s.told(f.CallEnded)})} over\n{s.log('engine')[-2000:]}",
    )
    await until(lambda: wanted <= set(cdr(s)), within, "all calls in Asterisk's CDR")


def accounts(s: Station, expected: dict[str, Outcome], *, idle: Iterable[int] = ()) -> None:
    """The end of every chaos test: each call once and as expected, books balanced, Asterisk agreeing.

    `idle`: agents who must be free of any call.
    """
    arrived, ended = s.told(f.CallArrived), s.told(f.CallEnded)
    assert sorted(x.call for x in arrived) == sorted(expected), "each call arrives once in the books"
    assert {x.call: x.outcome for x in ended} == {CallId(c): o for c, o in expected.items()}
    assert len(ended) == len(expected), "each call ends once"
    s.figures()  # asserts that they balance
    floor = s.floor()
    assert floor.problems() == []
    assert not floor.calls
    own = cdr(s)
    assert set(own) == set(expected), "callcore and Asterisk know the same calls"
    for name, found in s.books().records.items():
        began, over = own[name]
        assert found.ended_at is not None
        assert abs(found.arrived_at / SECOND - began) < 1, (name, "arrival")
        assert abs(found.ended_at / SECOND - over) < 1, (name, "end", found.ended_at / SECOND - over)
    for n in idle:
        agent = floor.agents[AgentId(s.centre.agent(n))]
        assert agent.work in (Work.IDLE, Work.WRAPPING_UP), agent
    assert _no_double_rings(s.facts()) == []


def _no_double_rings(facts: Iterable[f.Fact]) -> list[str]:
    """Offers made to an agent or for a caller who had one open."""
    open_by: dict[str, tuple[AgentId, CallId]] = {}
    found: list[str] = []
    for fact in facts:
        if isinstance(fact, f.OfferMade):
            if any(fact.agent == agent or fact.call == call for agent, call in open_by.values()):
                found.append(f"{fact.offer} for {fact.call} to {fact.agent}")
            open_by[fact.offer] = (fact.agent, fact.call)
        elif isinstance(fact, f.OfferFailed | f.CallAnswered) and fact.offer is not None:
            open_by.pop(fact.offer, None)
    return found


def hung_up(s: Station) -> dict[str, Party]:
    return {x.call: x.hung_up_by for x in s.told(f.CallEnded)}


# -- breaking things ------------------------------------------------------------------------------------------


async def stopped(pid: int) -> None:
    """SIGSTOP, and wait until the kernel says that it stands still."""
    os.kill(pid, signal.SIGSTOP)
    stat = Path(f"/proc/{pid}/stat")
    await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 5, "process stopped")


async def status(s: Station) -> dict[str, object]:
    """The engine's signs of life. Raises CommandFailed."""
    client = CommandClient(s.settings.engine_socket)
    try:
        found: dict[str, object] = await client.ask("status")
        return found
    finally:
        await client.close()


async def beats(s: Station, within: float = 15.0) -> None:
    """The engine sends its heartbeat."""

    async def young() -> bool:
        with contextlib.suppress(CommandFailed):
            age = (await status(s))["beat_age_s"]
            return isinstance(age, float) and age < 2.5
        return False

    end = asyncio.get_running_loop().time() + within
    while not await young():
        assert asyncio.get_running_loop().time() < end, f"no heartbeat\n{s.log('engine')[-2000:]}"
        await asyncio.sleep(0.1)


async def console(s: Station, line: str) -> str:
    return await s.asterisk.command(line)


@asynccontextmanager
async def through_proxy(s: Station) -> AsyncIterator[Proxy]:
    """The station's engine, not yet started, will reach Asterisk through this."""
    proxy = Proxy(s.settings.ami_port)
    await proxy.start()
    s.settings = s.settings.model_copy(update={"ami_port": proxy.port})
    try:
        yield proxy
    finally:
        await proxy.close()


async def manager(s: Station, *actions: dict[str, str]) -> None:
    """Send AMI actions over a connection of our own and wait for each one's success."""
    port = s.pbx.ami_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    login = {"Action": "Login", "Username": "callcore", "Secret": s.secrets.ami, "Events": "off"}
    try:
        for action in (login, *actions):
            writer.write("".join(f"{k}: {v}\r\n" for k, v in action.items()).encode() + b"\r\n")
            answered = b""
            while b"Response: " not in answered:
                answered = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert b"Response: Success" in answered, answered
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def talked_since(s: Station, call: str) -> float:
    """When a call's own channel entered its last bridge, in epoch seconds."""
    return [float(row[2]) for row in cel(s) if row[0] == "BRIDGE_ENTER" and row[3] == call][-1]
