"""A PostgreSQL of the tests' own: its own folder, its own socket, no network, ended by its process id.

PostgreSQL refuses to run as root; started by root it runs as the user that its package made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callcore.db import migrate

START_S = 30.0
STOP_S = 30.0


class Postgres:
    """One server. `stop` and `start` again keep its data; `remove` ends it for good."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[4]))
        assert found, "PostgreSQL がありません: apt-get install postgresql / install the package postgresql"
        self._bin = found[-1].parent
        self._as: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="callcore-pg-"))
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)  # the socket is for the tests' user, who may be another
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        made = self._run(
            "initdb", "-D", self._data, "-U", "callcore", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        assert made.returncode == 0, made.stderr.decode()

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(self._bin / program), *arguments]
        clean = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command, cwd=self.folder, env=clean, capture_output=True, timeout=60, check=False, **self._as
        )

    def start(self) -> None:
        """Returns when it takes connections."""
        assert self._process is None
        settings = ("listen_addresses=", "fsync=off", "max_connections=40", "shared_buffers=16MB")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(self._bin / "postgres"), "-D", self._data, "-k", str(self.folder)),
                    *(part for setting in settings for part in ("-c", setting)),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as,
            )
        until = time.monotonic() + START_S
        while self._run("pg_isready", "-q", "-h", str(self.folder)).returncode != 0:
            said = (self.folder / "log").read_text()
            assert self._process.poll() is None and time.monotonic() < until, said
            time.sleep(0.05)

    def stop(self) -> None:
        """Fast shutdown: whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            finally:
                self._process.kill()
                self._process = None

    def freeze(self) -> None:
        """The server and all it serves with stand still: connections stay open and say nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what: signal.Signals) -> None:
        assert self._process is not None
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in (self._process.pid, *map(int, task.read_text().split())):
            os.kill(pid, what)

    def new_database(self, name: str = "") -> str:
        """The URL of an empty database."""
        self._databases += 1
        name = name or f"test{self._databases}"
        made = self._run("createdb", "-h", str(self.folder), "-U", "callcore", name)
        assert made.returncode == 0, made.stderr.decode()
        return f"postgresql://callcore@/{name}?host={self.folder}"

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests that only use it."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that the test may stop."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/callcore.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def database_url(empty_url: str) -> str:
    """A database with today's tables, of each kind."""
    await migrate.upgrade(empty_url)
    return empty_url
