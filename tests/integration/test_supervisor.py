"""One command for everything: what an operator sees when it starts, when it is stopped and when it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from callcore import supervisor
from callcore.demo.centre import DemoCentre
from callcore.journal import read_mark
from callcore.journal.spool import segment_name
from callcore.runtime.process import FINAL_STATUS, SUPERSEDED_STATUS
from tests.support.asterisk import free_port
from tests.support.certificates import Made, make
from tests.support.people import machine
from tests.support.station import PROJECT, toolchain_path

DEADLINE_S = 90.0


class Everything:
    """`callcore run`, or another command, of an installation of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "centres").mkdir()
        (home / "centres" / "demo.toml").write_text(DemoCentre(agents=1).toml(), encoding="utf-8")
        self.host = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}.1"
        self.web = free_port("127.0.0.1")
        self.sip = free_port(self.host, socket.SOCK_DGRAM)
        self.env = {
            **os.environ,
            "PYTHONPATH": str(PROJECT / "src"),
            "CALLCORE_HOME": str(home),
            "CALLCORE_CENTRES": str(home / "centres"),
            "CALLCORE_TOOLCHAIN": str(toolchain_path()),
            "CALLCORE_WEB_PORT": str(self.web),
            "CALLCORE_AMI_PORT": str(free_port("127.0.0.1")),
            "CALLCORE_SIP_HOST": self.host,
            "CALLCORE_SIP_PORT": str(self.sip),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, command: str = "run") -> subprocess.Popen[bytes]:
        with (self.home / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "callcore", command], env=self.env, stdout=out, stderr=out
            )
        self.started.append(self.process)
        return self.process

    def well(self, part: str) -> bool:
        """By the health check of the container of that part."""
        argv = [sys.executable, "-m", "callcore.healthy", part]
        return subprocess.run(argv, env=self.env, timeout=DEADLINE_S, check=False).returncode == 0

    def said(self) -> str:
        return (self.home / "out").read_text("utf-8", "replace")

    def ready(self) -> bool:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.web}/readyz", headers=dict(machine(self.home))
        )
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def asterisk(self) -> int | None:
        """The process id of this installation's Asterisk, if it lives."""
        try:
            pid = int((self.home / "run" / "asterisk.pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def child(self, name: str) -> int:
        """The process id of the supervisor's child of that name."""
        assert self.process is not None
        pid = self.process.pid
        for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{each}/cmdline").read_bytes().rstrip(b"\0").endswith(b"\0" + name.encode()):
                return int(each)
        raise AssertionError(f"no {name}\n{self.said()}")

    def end(self) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()
        left = self.asterisk()
        if left is not None:
            os.kill(left, signal.SIGKILL)


def until(condition: Callable[[], object], of: Everything, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s\n{of.said()}"
        time.sleep(0.05)


@pytest.fixture
def everything() -> Iterator[Everything]:
    home = Path(tempfile.mkdtemp(prefix="cc-"))
    made = Everything(home)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(home, ignore_errors=True)


def test_one_command_starts_all_and_ctrl_c_stops_all_of_it(everything: Everything) -> None:
    address = everything.home / "systemd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(DEADLINE_S)
        everything.env |= {"NOTIFY_SOCKET": str(address)}
        process = everything.start()
        assert systemd.recv(100) == b"READY=1"
        pid = everything.asterisk()
        assert pid is not None, "it is up by then"
        until(everything.ready, everything)
        for each in (pid, everything.child("engine")):
            assert b"NOTIFY_SOCKET" not in Path(f"/proc/{each}/environ").read_bytes()
        assert f"http://127.0.0.1:{everything.web}/" in everything.said()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert systemd.recv(100) == b"STOPPING=1"
    assert everything.asterisk() is None
    assert "停止しました / stopped" in everything.said()
    assert oct((everything.home / "secrets.json").stat().st_mode & 0o777) == "0o600"


def test_asterisk_and_callcore_beside_it_stop_and_start_each_by_itself(everything: Everything) -> None:
    alone = everything.start("asterisk")
    until(lambda: everything.well("asterisk"), everything)
    pid = everything.asterisk()
    assert pid is not None and not everything.well("page")
    serve = everything.start("serve")
    until(everything.ready, everything)
    assert everything.well("page")
    assert everything.start("asterisk").wait(60) == 78, "one is enough"
    serve.send_signal(signal.SIGINT)
    assert serve.wait(60) == 0, everything.said()
    assert everything.asterisk() == pid, "and its calls with it"
    serve = everything.start("serve")
    until(everything.ready, everything)
    alone.send_signal(signal.SIGINT)
    assert alone.wait(60) == 0, everything.said()
    assert everything.asterisk() is None and not everything.well("asterisk")


def test_a_killed_supervisor_leaves_the_calls_alone_and_the_next_one_takes_asterisk_over(
    everything: Everything,
) -> None:
    first = everything.start()
    until(everything.ready, everything)
    asterisk = everything.asterisk()
    first.kill()
    first.wait()
    until(lambda: not everything.ready(), everything)
    assert everything.asterisk() == asterisk
    second = everything.start()
    until(everything.ready, everything)
    assert everything.asterisk() == asterisk
    second.send_signal(signal.SIGINT)
    assert second.wait(60) == 0
    assert everything.asterisk() is None


def test_a_damaged_journal_leaves_asterisk_and_its_safety_net_and_the_engine_comes_back_with_the_file(
    everything: Everything,
) -> None:
    first = everything.start()
    until(everything.ready, everything)
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 0
    mark = read_mark(everything.home / "journal")
    assert mark is not None
    segment = everything.home / "journal" / segment_name(mark.run, mark.part)
    whole = segment.read_bytes()
    segment.write_bytes(b"no header at all" + whole[16:])
    second = everything.start()
    until(lambda: everything.said().count("The journal is damaged") > 1, everything)
    asterisk = everything.asterisk()
    assert second.poll() is None and asterisk is not None and everything.well("asterisk")
    segment.write_bytes(whole)
    until(everything.ready, everything)
    assert everything.asterisk() == asterisk


def ending_with(file: Path, *statuses: int) -> supervisor.Child:
    """A child of which each life ends at once with the next status; after the last one it stays. `file` has one letter
    for each start."""
    script = (
        f"import sys, time; f = open({str(file)!r}, 'a'); f.write('x'); f.flush()\n"
        f"n, ends = f.tell(), {statuses!r}\n"
        "sys.exit(ends[n - 1]) if n <= len(ends) else time.sleep(600)"
    )
    return supervisor.Child("engine", (sys.executable, "-c", script), dict(os.environ))


async def test_what_needs_a_person_long_after_the_first_start_ends_nothing_else_and_is_tried_until_it_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The damaged file was put back as another user's: it cannot be read until somebody gives it away."""
    monkeypatch.setattr(supervisor, "STEADY_S", 0.5)
    file = tmp_path / "starts"
    one = ending_with(file, 1, 1, FINAL_STATUS, FINAL_STATUS)
    with capture_logs() as lines:
        running = asyncio.create_task(one.keep())
        async with asyncio.timeout(60):
            while not running.done() and not (file.exists() and len(file.read_text()) == 5):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0)
    assert not running.done() and one.pid is not None and one.restarts == 4
    told = [line for line in lines if line["log_level"] == "critical"]
    assert len(told) == 2 and all("cannot start" in line["why"] for line in told)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await one.stop() == []


async def test_a_superseded_process_that_ran_ends_nothing_else_and_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another engine has taken over: calls go on, and no run number is given out in vain."""
    monkeypatch.setattr(supervisor, "STEADY_S", 0.0)
    one = ending_with(tmp_path / "starts", SUPERSEDED_STATUS)
    with capture_logs() as lines:
        running = asyncio.create_task(one.keep())
        async with asyncio.timeout(60):
            while not lines:
                await asyncio.sleep(0.02)
    assert not running.done() and (tmp_path / "starts").read_text() == "x" and one.pid is None
    assert lines[0]["log_level"] == "critical" and "cannot start" in lines[0]["why"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("status", [FINAL_STATUS, SUPERSEDED_STATUS])
async def test_what_needs_a_person_at_the_first_start_ends_everything(status: int, tmp_path: Path) -> None:
    with pytest.raises(supervisor.NeedsAPerson):
        await asyncio.wait_for(ending_with(tmp_path / "starts", status).keep(), 60)


def test_an_asterisk_that_died_and_finds_its_port_taken_is_tried_again_until_it_is_free(
    everything: Everything,
) -> None:
    started = everything.start()
    until(everything.ready, everything)
    before = everything.asterisk()
    assert before is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        os.kill(before, signal.SIGKILL)

        def taken() -> bool:
            with contextlib.suppress(OSError):
                taker.bind((everything.host, everything.sip))
                return True
            return False

        until(taken, everything)
        until(lambda: everything.said().count("Asterisk does not start") > 1, everything)
    until(lambda: everything.asterisk() not in (None, before) and everything.ready(), everything)
    assert started.poll() is None, everything.said()


def test_a_second_start_by_mistake_is_refused_and_the_calls_of_the_first_go_on(
    everything: Everything,
) -> None:
    first = everything.start()
    until(everything.ready, everything)
    asterisk = everything.asterisk()
    second = everything.start()
    assert second.wait(60) == 78
    everything.process = first
    assert f"PID {first.pid}" in everything.said()
    assert first.poll() is None
    assert everything.asterisk() == asterisk
    assert everything.ready()


def test_an_operator_whose_sip_port_is_taken_is_told_which_and_what_to_do(everything: Everything) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((everything.host, everything.sip))
        assert everything.start().wait(60) == 78
    assert f"SIP {everything.host}:{everything.sip}" in everything.said()
    assert "CALLCORE_SIP_PORT" in everything.said()


def test_an_operator_whose_web_port_is_taken_is_told_and_nothing_runs_on(everything: Everything) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", everything.web))
        other.listen()
        assert everything.start().wait(60) == 78
    assert str(everything.web) in everything.said()
    assert everything.asterisk() is None


def test_nothing_starts_on_a_wrong_centre_file(everything: Everything) -> None:
    file = everything.home / "centres" / "demo.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("ring_s", "rng_s"), encoding="utf-8")
    assert everything.start().wait(60) == 1
    assert "demo.toml" in everything.said()
    assert "ring_s" in everything.said()
    assert everything.asterisk() is None


def test_an_operator_who_would_send_passwords_unencrypted_is_told_the_ways_out(
    everything: Everything,
) -> None:
    everything.env |= {"CALLCORE_WEB_HOST": "192.0.2.1"}
    assert everything.start().wait(60) == 1
    for way in ("CALLCORE_WEB_TLS_CERTIFICATE", "CALLCORE_WEB_PROXIES", "CALLCORE_WEB_PLAIN"):
        assert way in everything.said()
    assert everything.asterisk() is None


def with_certificate(everything: Everything, **given: Any) -> Made:
    made = make(everything.home / "tls", **given)
    everything.env |= {
        "CALLCORE_WEB_TLS_CERTIFICATE": str(made.certificate),
        "CALLCORE_WEB_TLS_KEY": str(made.key),
    }
    return made


def test_an_operator_whose_key_others_can_read_is_told_and_nothing_starts(everything: Everything) -> None:
    with_certificate(everything, mode=0o644)
    assert everything.start().wait(60) == 78
    assert "chmod 600" in everything.said()
    assert everything.asterisk() is None


def test_a_page_without_its_certificate_costs_no_call_and_comes_back_with_it(everything: Everything) -> None:
    made = with_certificate(everything, ends=timedelta(hours=-1))

    def ready() -> bool:
        context = ssl._create_unverified_context()
        asked = urllib.request.Request(
            f"https://127.0.0.1:{everything.web}/readyz", headers=dict(machine(everything.home))
        )
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(asked, timeout=2, context=context) as answer,
        ):
            return bool(answer.status == 200)
        return False

    everything.start()
    until(ready, everything)
    assert "ran out" in everything.said()
    assert f"https://127.0.0.1:{everything.web}/" in everything.said()
    asterisk, engine = everything.asterisk(), everything.child("engine")
    made.key.unlink()
    os.kill(everything.child("sidecar"), signal.SIGKILL)
    until(lambda: "no page without its certificate" in everything.said(), everything)
    assert (everything.asterisk(), everything.child("engine")) == (asterisk, engine)
    make(made.key.parent)
    until(ready, everything)
    assert (everything.asterisk(), everything.child("engine")) == (asterisk, engine)
