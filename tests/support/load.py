"""Load on an Asterisk: thousands of calls from SIPp, signalling without media, or with a sound that is sent on and on.

Callers without media see `Answer()` wait up to 0.5 s for their first packet. SIPp (Debian's `sip-tester`) must be on
the path. Every process started here is ended here, by its id.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.sax.saxutils import escape

from callcore.phones.simulated.maker import AGENT
from tests.support import ahead

SCENARIOS = Path(__file__).parent / "sipp"
STOP_S = 5.0
REGISTER_ROUNDS = 3
DAY_S = 86_400.0
SOUND = "sound.ulaw"
_PLAY = f'<exec rtp_stream="{SOUND},-1,0,PCMU/8000"/>'
"""On and on, as payload 0."""
SLACK_S = 30.0
"""What a run may take over the sum of its parts before it is called stuck."""


class LoadError(Exception):
    """SIPp could not run, or did not come to an end; the text has its last lines."""


def cpu_s(pid: int) -> float:
    """CPU seconds that a living process has used: fields 14 and 15 of /proc/<pid>/stat in ticks of 10 ms (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one SIPp process saw. Times are seconds."""

    calls: int
    successes: int
    failures: Mapping[str, int]
    """Failed calls by SIPp's kind (`UnexpectedMessage`, `MaxUDPRetrans`, `TimeoutOnRecv`, …); only those not 0."""
    retransmissions: int
    answered: int
    ended_by_far_end: int
    ended_here: int
    given_up: int
    """Callers: before the answer. Agents: calls that stopped ringing before the answer."""
    refused: int
    seconds: float
    answer_s: Sequence[float] = field(repr=False, default=())
    """Callers: from INVITE to its 200, sorted (SIPp resolves 1 ms)."""
    told: Sequence[tuple[str, str]] = field(repr=False, default=())
    """Call by call: the caller's number, and what came of it. Callers: who ended it (`far`, `here`, `both` at once,
    `given-up`). Agents: `rung`, `answered`, `cancelled`, and who ended it."""
    complaints: str = field(repr=False, default="")
    """SIPp's log of what was not expected, its first 20,000 characters."""

    @property
    def failed(self) -> int:
        return self.calls - self.successes

    def answer_quantile(self, share: float) -> float:
        """The time within which this share of the answered calls was answered. Raises `ValueError` without any."""
        if not self.answer_s:
            raise ValueError("no call was answered")
        return self.answer_s[min(int(share * len(self.answer_s)), len(self.answer_s) - 1)]


async def register_agents(
    users: Mapping[str, str],
    *,
    server: str,
    address: str,
    port: int,
    rate: float = 50,
    expires_s: int = 7200,
    user_agent: str = AGENT,
) -> LoadResult:
    """Register each user (name: password) at `server` with `address:port` as contact, where `agents` must answer.

    About one registration in 300 was refused a second time, with the right password; whoever is refused is refused
    again only after three whole rounds.
    """
    for _ in range(REGISTER_ROUNDS):
        done = await _register(users, server, address, port, rate, expires_s, user_agent)
        if not done.failed:
            break
    return done


async def _register(
    users: Mapping[str, str],
    server: str,
    address: str,
    port: int,
    rate: float,
    expires_s: int,
    user_agent: str,
) -> LoadResult:
    with _Folder() as folder:
        rows = [f"{user};[authentication username={user} password={word}]" for user, word in users.items()]
        (folder / "users.csv").write_text("\n".join(["SEQUENTIAL", *rows]) + "\n")
        more = ("-inf", str(folder / "users.csv"), "-m", str(len(users)), "-r", str(rate), "-l", "50")
        values = {"EXPIRES_S": str(expires_s), "USER_AGENT": user_agent}
        run = await _Sipp.start(folder, "register", values, server, address, port, more)
        return await run.result(len(users) / rate + SLACK_S)


async def stolen_call(
    user: str, password: str, number: str, *, server: str, address: str, port: int
) -> LoadResult:
    """One call with a phone's password, under SIPp's own User-Agent: it succeeds as a trial when 403 refuses it."""
    with _Folder() as folder:
        row = f"{user};[authentication username={user} password={password}];{number}"
        (folder / "users.csv").write_text(f"SEQUENTIAL\n{row}\n")
        more = ("-inf", str(folder / "users.csv"), "-m", "1")
        run = await _Sipp.start(folder, "stolen", {}, server, address, port, more)
        return await run.result(SLACK_S)


@contextlib.asynccontextmanager
async def agents(
    *,
    server: str,
    address: str,
    port: int,
    ring_s: float = 0.2,
    talk_s: float | None = None,
    sound: bytes = b"",
) -> AsyncIterator[AgentDesk]:
    """All registered agents answer at `address:port` after `ring_s`; without `talk_s` they never hang up. `sound`:
    µ-law, sent from the answer on."""
    with _Folder() as folder:
        values = {"RING_MS": _ms(ring_s), "TALK_MS": _ms(DAY_S if talk_s is None else talk_s)}
        run = await _Sipp.start(folder, "agents", values, server, address, port, (), sound)
        try:
            yield AgentDesk(run)
        finally:
            await run.end()


class AgentDesk:
    """The agents of a running load."""

    def __init__(self, run: _Sipp) -> None:
        self._run = run

    def cpu_s(self) -> float:
        """CPU seconds of this SIPp so far."""
        return cpu_s(self._run.process.pid)

    def retransmissions(self) -> int:
        """So far, to within a second."""
        return self._run.retransmissions()

    async def close(self, within: float = 10.0) -> LoadResult:
        """Stop taking calls, let the running ones end, and count. Raises `LoadError` if some never end."""
        self._run.process.send_signal(signal.SIGUSR1)
        return await self._run.result(within)


async def run_callers(
    count: int,
    rate: float,
    *,
    number: str,
    server: str,
    address: str,
    port: int = 5060,
    caller_prefix: str = "090",
    patience_s: float = 60.0,
    stay_s: float | None = None,
    at_once: int = 1000,
    sound: bytes = b"",
) -> LoadResult:
    """`count` calls to `number` at `rate` calls a second from the trunk address `address`.

    A caller waits `patience_s` for an answer (from the last provisional response) and, once answered, stays
    `stay_s` (without: until the far end hangs up). At most `at_once` calls exist at a time; where that is reached,
    the rate falls. `sound`: µ-law, sent from the answer on.
    Raises `LoadError` if the calls do not end.
    """
    values = {
        "NUMBER": number,
        "CALLER": caller_prefix,
        "PATIENCE_MS": _ms(patience_s),
        "STAY_MS": _ms(DAY_S if stay_s is None else stay_s),
    }
    with _Folder() as folder:
        more = ("-m", str(count), "-r", str(rate), "-l", str(at_once), "-trace_rtt", "-rtt_freq", "1")
        run = await _Sipp.start(folder, "callers", values, server, address, port, more, sound)
        longest = (
            count / rate + patience_s + (600.0 if stay_s is None else stay_s * max(1.0, count / at_once))
        )
        try:
            seen = await run.result(longest + SLACK_S)
        finally:
            await run.end()
        # SIPp gives a call up when the far end's BYE comes after the stay has ended and before its own BYE is sent.
        crossed = re.findall(r"unexpected BYE for call: (\d+)-", seen.complaints)
        both = [(f"{caller_prefix}{number}", "both") for number in crossed]
        return replace(seen, told=(*seen.told, *both))


class _Sipp:
    """One SIPp process and its folder."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self._folder = folder

    @classmethod
    async def start(
        cls,
        folder: Path,
        scenario: str,
        values: Mapping[str, str],
        server: str,
        address: str,
        port: int,
        more: Sequence[str],
        sound: bytes = b"",
    ) -> _Sipp:
        sipp = shutil.which("sipp")
        if sipp is None:
            raise LoadError("sipp is missing: apt-get install sip-tester / sip-tester を入れてください")
        text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", escape(value))
        if sound:
            (folder / SOUND).write_bytes(sound)
            text = text.replace("audio 6000", "audio [rtpstream_audio_port]").replace("<!--sound-->", _PLAY)
        text = text.replace("<action><!--sound--></action>", "").replace("<!--sound-->", "")
        (folder / f"{scenario}.xml").write_text(text, encoding="utf-8")
        command = [
            *("setpriv", "--pdeathsig", "KILL", "--", sipp, server if ":" in server else f"{server}:5060"),
            *("-sf", f"{scenario}.xml", "-i", address, "-p", str(port), "-nostdin"),
            *("-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_err", "-error_file", "errors.log"),
            *("-trace_logs", "-log_file", "told.log"),
            *more,
        ]
        with (folder / "screen").open("wb") as screen:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=screen, stderr=screen, cwd=folder
            )
        ahead.first(process.pid)
        return cls(process, folder)

    async def result(self, within: float) -> LoadResult:
        """Wait for the end and read the counts. SIPp's status is 0, or 1 if some calls failed."""
        try:
            status = await asyncio.wait_for(self.process.wait(), within)
        except TimeoutError:
            await self.end()
            raise LoadError(f"sipp did not end within {within:.0f} s\n{self._last_lines()}") from None
        if status not in (0, 1):
            raise LoadError(f"sipp ended with status {status}\n{self._last_lines()}")
        return self._counts()

    def retransmissions(self) -> int:
        """By the statistics that SIPp writes each second."""
        path = self._folder / "stat.csv"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if len(lines) < 2:
            return 0
        last = dict(zip(lines[0].split(";"), lines[-1].split(";"), strict=False))
        return int(last.get("Retransmissions(C)") or 0)

    async def end(self) -> None:
        """End the process, whatever it does."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_S)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()

    def _counts(self) -> LoadResult:
        with (self._folder / "stat.csv").open(newline="", encoding="utf-8") as text:
            rows = list(csv.reader(text, delimiter=";"))
        if len(rows) < 2:
            raise LoadError(f"sipp wrote no statistics\n{self._last_lines()}")
        last = dict(zip(rows[0], rows[-1], strict=False))

        def number(column: str) -> int:
            return int(last.get(column) or 0)

        kinds = {
            name.removeprefix("Failed").removesuffix("(C)"): number(name) for name in last if _is_kind(name)
        }
        errors = self._folder / "errors.log"
        asked = number("GenericCounter6(C)")
        return LoadResult(
            calls=number("TotalCallCreated") - asked,
            successes=number("SuccessfulCall(C)") - asked,
            failures={kind: count for kind, count in kinds.items() if count},
            retransmissions=number("Retransmissions(C)"),
            answered=number("GenericCounter1(C)"),
            ended_by_far_end=number("GenericCounter2(C)"),
            ended_here=number("GenericCounter3(C)"),
            given_up=number("GenericCounter4(C)"),
            refused=number("GenericCounter5(C)"),
            seconds=_clock(last.get("ElapsedTime(C)", "")),
            answer_s=self._answer_times(),
            told=self._told(),
            complaints=_complaints(errors.read_text(errors="replace")) if errors.exists() else "",
        )

    def _answer_times(self) -> tuple[float, ...]:
        times: list[float] = []
        for path in self._folder.glob("*_rtt.csv"):
            times += [float(line.split(";")[1]) / 1000 for line in path.read_text().splitlines()[1:]]
        return tuple(sorted(times))

    def _told(self) -> tuple[tuple[str, str], ...]:
        path = self._folder / "told.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        pairs = (line.removeprefix("sip:").split() for line in lines)
        return tuple((pair[0], pair[1]) for pair in pairs if len(pair) == 2)

    def _last_lines(self) -> str:
        text = "".join(
            path.read_text(errors="replace")[-1500:]
            for path in (self._folder / "screen", self._folder / "errors.log")
            if path.exists()
        )
        return text.strip()


def _complaints(log: str) -> str:
    """The log without the time-outs that the scenarios live on."""
    entries = re.split(r"(?m)(?=\d{4}-\d\d-\d\d\t[\d:.]+\t[\d.]+: )", log)[1:]
    return "\n".join(entry.strip() for entry in entries if "jumping to label" not in entry)[:20_000]


def _is_kind(column: str) -> bool:
    return column.startswith("Failed") and column.endswith("(C)") and column != "FailedCall(C)"


def _clock(text: str) -> float:
    """SIPp's `HH:MM:SS:uuuuuu` in seconds."""
    parts = text.split(":")
    if len(parts) < 3:
        return 0.0
    hours, minutes, seconds = (int(part) for part in parts[:3])
    return hours * 3600 + minutes * 60 + seconds + (int(parts[3]) / 1e6 if len(parts) > 3 else 0.0)


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))


class _Folder:
    """A folder that goes when its work is done."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix="sipp-"))
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
