"""Whoever runs callcore in containers: the image is built, started as deploy/compose.yaml says, and takes a call.

Everything is real but Docker's engine (tests/support/containers.py); PostgreSQL, Prometheus and Alertmanager are this
machine's, started as the compose file starts theirs. `CALLCORE_TEST_IMAGE` names a folder in which scripts/image has
built already (--storage); without it the image is built here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.runtime.commands import CommandClient
from callcore.settings import PROJECT
from tests.support.consults import put_down, talking
from tests.support.containers import (
    Container,
    Mounted,
    Store,
    container,
    new_volume,
    own_network,
    services,
)
from tests.support.evidence import evidence, progress
from tests.support.postgres import Postgres
from tests.support.sip import Agent, Call, sip_agent, tone

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

PBX = ("127.0.0.1", 15060)
PAGE, PROMETHEUS = "http://127.0.0.1:8730", "http://127.0.0.1:9090"
ALERTMANAGER = "http://127.0.0.1:9093"
CENTRE = DemoCentre(agents=2, acw_s=1)
SETTINGS = {"CALLCORE_SIP_HOST": PBX[0], "CALLCORE_TRUNK_HOSTS": "127.0.0.128/25"}
"""What an operator writes into /etc/callcore.env; simulated phones are served at loopback alone."""
BUILD_S, UP_S, SCRAPED_S = 1800, 120.0, 60.0
NOBODY = 65534
"""As whom the image of Prometheus runs."""
KEPT_OF_THE_MACHINE = (
    "etc",
    "root",
    "mnt",
    "tmp",
    "var",
    "opt/callcore/toolchain",
    "opt/callcore/.venv/pyvenv.cfg",
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path: sockets are below it."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """This machine's, with the database of the service of that name."""
    server = Postgres()
    try:
        server.start()
        server.new_database("callcore")
        yield server
    finally:
        server.remove()


def built(place: Path) -> tuple[Store, float | None]:
    """The image, and how many seconds that took; None: it was there."""
    ready = os.environ.get("CALLCORE_TEST_IMAGE")
    if ready is not None:
        return Store(Path(ready)), None
    begun = time.monotonic()
    done = subprocess.run(
        ["nice", PROJECT / "scripts" / "image", "--storage", place / "images"],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Store(place / "images"), time.monotonic() - begun


def servers_of_this_machine() -> set[str]:
    """Hosts that packages come from here: no business of the image's."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=True
    ).stdout
    pip = " ".join(value for name, value in os.environ.items() if name.startswith("PIP_"))
    files = [Path(os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"))]
    told = " ".join((listed, pip, *(file.read_text() for file in files if file.exists())))
    return set(re.findall(r"https?://([^/\s:]+)", told))


def nothing_of_this_machine(files: Path) -> None:
    hosts = [host.encode() for host in servers_of_this_machine()]
    found = []
    for name in KEPT_OF_THE_MACHINE:
        place = files / name
        for file in place.rglob("*") if place.is_dir() else (place,):
            if file.is_file() and not file.is_symlink():
                text = file.read_bytes()
                found += [(str(file), host) for host in hosts if host in text]
    assert found == []
    assert not list((files / "mnt").iterdir()), "what was lent to the build"
    assert not list((files / "var/lib/callcore").iterdir()), "no state, no secret"
    assert not (files / "opt/callcore/.git").exists() and not (files / "opt/callcore/tests").exists()


def asked(url: str, token: str = "") -> Any:
    """What a page answers, as JSON. Raises OSError."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return json.loads(answer.read())


def measured(query: str) -> float | None:
    """The newest value that Prometheus has for a query with one result."""
    with contextlib.suppress(OSError):
        found = asked(f"{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode({'query': query})}")["data"][
            "result"
        ]
        return float(found[0]["value"][1]) if found else None
    return None


@contextlib.contextmanager
def machines_own(place: Path, name: str, program: str, secret: tuple[str, str]) -> Iterator[None]:
    """This machine's program, started as the service of that name: its command, its files, its user. `secret`: the
    place of a file inside, and what stands in it."""
    service = services()[name]
    hidden = place / f"{name}.secret"
    hidden.write_text(secret[1])
    os.chown(hidden, NOBODY, NOBODY)
    hidden.chmod(0o400)
    kept = place / f"{name}.kept"
    kept.mkdir()
    os.chown(kept, NOBODY, NOBODY)
    given = {secret[0]: hidden}
    folder = Path(f"/etc/{name}")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    lines = [f"mount -t tmpfs tmpfs {folder}"]
    argv = service["command"]
    for each in (Mounted.of(line) for line in service["volumes"]):
        if each.named:
            argv = [part.replace(f"={each.target}", f"={kept}") for part in argv]
        else:
            lines += [f"touch '{each.target}'", f"mount --bind '{each.place(given)}' '{each.target}'"]
    who = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    with (place / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"),
                *("sh", "-c", "\n".join(["set -e", *lines, f'exec {who} {program} "$@"']), "sh", *argv),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if made:
            folder.rmdir()


def alarms_are_sent() -> bool:
    """Prometheus has found the Alertmanager, which knows whom to call."""
    with contextlib.suppress(OSError):
        active = asked(f"{PROMETHEUS}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        called = {each["name"] for each in asked(f"{ALERTMANAGER}/api/v2/receivers")}
        return bool(active) and called == {"operators", "on-duty"}
    return False


@dataclass
class House:
    """The two containers of the image, and what they share."""

    asterisk: Container
    callcore: Container
    state: Path
    postgres: Postgres

    async def tells(self, command: str, where: Callable[[Mapping[str, Any]], bool]) -> None:
        """Await that the engine answers a row that fits."""
        client = CommandClient(self.state / "run" / "engine.sock")
        try:
            async with asyncio.timeout(UP_S):
                while not any(map(where, rows := await client.ask(command))):
                    assert rows
                    await asyncio.sleep(0.2)
        finally:
            await client.close()

    def calls(self) -> list[str]:
        """The outcomes that stand in PostgreSQL, in order."""
        asked = "select coalesce(outcome, '-') from calls order by arrived_at"
        done = self.postgres._run(
            "psql", "-h", str(self.postgres.folder), "-U", "callcore", "-At", "-c", asked
        )
        return done.stdout.decode().split() if done.returncode == 0 else []


@asynccontextmanager
async def house(place: Path, store: Store, postgres: Postgres) -> AsyncIterator[House]:
    (place / "centres").mkdir()
    (place / "centres" / "demo.toml").write_text(CENTRE.toml(), encoding="utf-8")
    with store.files("callcore") as files:
        nothing_of_this_machine(files)
        state = new_volume(files, "/var/lib/callcore", place / "state")
    given = {"state": state, "socket": postgres.folder, "/opt/callcore/centres": place / "centres"}
    async with AsyncExitStack() as stack:
        made = [
            stack.enter_context(container(store, name, place, given, SETTINGS))
            for name in ("asterisk", "callcore")
        ]
        yield House(made[0], made[1], state, postgres)


async def comes_up(c: Container) -> float:
    """Start it; seconds until its own health check is content."""
    begun = time.monotonic()
    c.start()

    def well() -> bool:
        assert c.process is not None and c.process.poll() is None, c.said()
        return c.healthy()

    await holds_for(well, UP_S, f"{c.name} is not healthy")
    return round(time.monotonic() - begun, 1)


async def signed_in(h: House, stack: AsyncExitStack, n: int) -> Agent:
    """A desk phone with what the operator is told to enter, and an agent with the PIN that the operator set."""
    phone, agent = CENTRE.phone(n), CENTRE.agent(n)
    password = h.callcore.does("callcore", "phone", phone).split()[-1]
    pin = h.callcore.does("callcore", "pin", agent, "--random").split()[-1]
    desk = await stack.enter_async_context(sip_agent(f"127.0.0.{20 + n}", phone, PBX, password))
    await desk.register()
    await h.tells("phones", lambda row: row["phone"] == phone and row["policy"] == "matched")
    call = await desk.call(f"*11{agent}", tone(600))
    await call.until("up")
    await call.hears(0.3)
    call.press(f"{pin}#")
    await call.until("bye", within_s=60)
    await h.tells("agents", lambda row: row["agent"] == agent and row["presence"] == "ready")
    return desk


async def answered(desk: Agent, caller: Agent, number: int) -> tuple[Call, Call]:
    """A call in which both hear each other."""
    citizen = await caller.call(NUMBER, tone(1000))
    leg = await desk.rings(number)
    leg.sound = tone(600 + 100 * number)
    leg.answer()
    await talking(citizen, leg)
    return citizen, leg


async def holds_for(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """`until`, for what takes a moment to look at."""
    end = time.monotonic() + within_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, what
        await asyncio.sleep(0.5)


async def reconciled(h: House, calls: int) -> None:
    """Journal, CDR, CEL and recordings agree. A call that has just ended is not looked at, so this takes a while."""
    end = time.monotonic() + 90
    while True:
        done = await asyncio.to_thread(h.callcore.command, ("callcore", "reconcile"))
        if done.returncode == 0 and f"{calls} calls reconciled, 0 differences" in done.stdout:
            return
        assert time.monotonic() < end, done.stdout + done.stderr
        await asyncio.sleep(0.5)


async def test_the_image_is_built_and_started_and_takes_calls_and_stops_with_nothing_lost(
    place: Path, postgres: Postgres
) -> None:
    store, build_s = built(place)
    progress("the image is built")
    async with AsyncExitStack() as stack:
        stack.enter_context(own_network())
        h = await stack.enter_async_context(house(place, store, postgres))
        asterisk_s = await comes_up(h.asterisk)
        callcore_s = await comes_up(h.callcore)
        token = h.callcore.does("callcore", "tokens", "add", "prometheus", "--scope", "read_metrics")
        stack.enter_context(
            machines_own(place, "prometheus", "prometheus", ("/etc/prometheus/callcore.token", token))
        )
        stack.enter_context(
            machines_own(
                place, "alertmanager", "prometheus-alertmanager", ("/etc/alertmanager/smtp.password", "-")
            )
        )
        assert asked(f"{PAGE}/healthz")["status"] == "alive"
        desk = await signed_in(h, stack, 1)
        caller = await stack.enter_async_context(sip_agent("127.0.0.130", "0312345678", PBX, port=5060))

        citizen, leg = await answered(desk, caller, 1)
        put_down(citizen)
        await holds_for(lambda: h.calls() == ["completed"], 60, "the call is in PostgreSQL")
        await holds_for(
            lambda: measured('callcore_today_calls{centre="demo",outcome="answered"}') == 1,
            SCRAPED_S,
            "Prometheus has the call",
        )
        assert measured('up{job="callcore"}') == 1
        rules = asked(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
        assert sum(len(group["rules"]) for group in rules) > 30
        await holds_for(alarms_are_sent, SCRAPED_S, "Prometheus has found the Alertmanager")

        # Callcore's container is replaced under a talk: the talk goes on.
        citizen, leg = await answered(desk, caller, 2)
        begun = time.monotonic()
        assert await asyncio.to_thread(h.callcore.stop) == 0, h.callcore.said()
        stop_s = round(time.monotonic() - begun, 1)
        await talking(citizen, leg)
        again_s = await comes_up(h.callcore)
        await talking(citizen, leg)
        await citizen.hears(2)
        put_down(citizen)
        await holds_for(lambda: h.calls() == ["completed", "completed"], 60, "both calls are in PostgreSQL")
        await reconciled(h, 2)
        assert h.callcore.stop() == 0, h.callcore.said()
        assert "Traceback" not in h.callcore.said() + h.asterisk.said()
        begun = time.monotonic()
        assert h.asterisk.stop() == 0, h.asterisk.said()
        asterisk_stop_s = round(time.monotonic() - begun, 1)
    evidence(
        "the image, built and started without Docker's engine",
        {
            "image, MB": round(store.size("callcore") / 1e6),
            "build, s": None if build_s is None else round(build_s),
            "asterisk until healthy, s": asterisk_s,
            "callcore until healthy, s": callcore_s,
            "callcore again under a talk, s": again_s,
            "stop of callcore, s": stop_s,
            "stop of asterisk, s": asterisk_stop_s,
            "calls": 2,
            "lost": 0,
        },
    )
