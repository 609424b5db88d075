"""Containers without an engine: what one does for a service of deploy/compose.yaml, by buildah, unshare and chroot.

A container has the image's files (read-only where the service says so), user, environment, entry point and stop
signal, the service's command and volumes, and mount and process namespaces of its own. The network is the test's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from callcore.settings import PROJECT

COMPOSE = PROJECT / "deploy" / "compose.yaml"
CLONE_NEWNET = 0x40000000
BUILDAH_S = 300.0
START_S = 10.0
DEVICES = ("null", "zero", "full", "random", "urandom")

_INSIDE = """
set -e
root=$1 read_only=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in {devices}; do touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do
    case $1 in
        tmpfs) mount -t tmpfs -o mode=1777 tmpfs "$root$3" ;;
        *) mount --bind "$2" "$root$3"; [ "$1" = rw ] || mount -o remount,bind,ro "$root$3" ;;
    esac
    shift 3
done
shift
[ "$read_only" = no ] || mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """A network of loopback alone for this thread and whatever it starts: every port is free there."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


def services() -> dict[str, dict[str, Any]]:
    """Those of deploy/compose.yaml."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of a service's `volumes`: a place of this machine or a volume's name, and where it is inside."""

    source: str
    target: str
    read_only: bool

    @classmethod
    def of(cls, line: str) -> Mounted:
        source, target, *how = line.split(":")
        return cls(source, target, how == ["ro"])

    @property
    def named(self) -> bool:
        return not self.source.startswith((".", "/"))

    def place(self, given: Mapping[str, Path]) -> Path:
        """On this machine; `given`: by volume's name or place inside."""
        found = given.get(self.target) or given.get(self.source)
        return found or (COMPOSE.parent / self.source).resolve()


class Store:
    """A folder of images, and what is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def buildah(self, *argv: str) -> str:
        where = ("--root", str(self.folder / "root"), "--runroot", str(self.folder / "run"))
        done = subprocess.run(
            ["buildah", "--storage-driver", "vfs", *where, *argv],
            capture_output=True,
            text=True,
            timeout=BUILDAH_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def size(self, image: str) -> int:
        """Bytes of its layers."""
        manifest = json.loads(json.loads(self.buildah("inspect", "--type", "image", image))["Manifest"])
        return sum(int(layer["size"]) for layer in manifest["layers"])

    def configuration(self, image: str) -> dict[str, Any]:
        """What the image says of itself: User, Env, Entrypoint, WorkingDir, StopSignal, Volumes."""
        told: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", image))["OCIv1"][
            "config"
        ]
        return told

    @contextlib.contextmanager
    def files(self, image: str) -> Iterator[Path]:
        """A copy of the image's files."""
        name = self.buildah("from", "--pull-never", image)
        try:
            yield Path(self.buildah("mount", name))
        finally:
            self.buildah("umount", name)
            self.buildah("rm", name)


@dataclass
class Container:
    """One service. `given`: what its volumes are, by name or place inside; `settings`: the lines of its env_file."""

    store: Store
    name: str
    root: Path
    log: Path
    given: Mapping[str, Path]
    settings: Mapping[str, str]
    service: dict[str, Any] = field(init=False)
    image: dict[str, Any] = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.service = services()[self.name]
        self.image = self.store.configuration(self.service["image"])

    @property
    def environment(self) -> dict[str, str]:
        image = dict(line.split("=", 1) for line in self.image["Env"])
        return {**image, **self.settings, **self.service.get("environment", {})}

    def _as_its_user(self, *argv: str) -> list[str]:
        user = self.image["User"]
        rights = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        who = (f"--reuid={user}", f"--regid={user}", "--init-groups")
        assert self.service["cap_drop"] == ["ALL"], "as it is done here"
        assert self.service["security_opt"] == ["no-new-privileges:true"], "as it is done here"
        return [
            *("/usr/bin/setpriv", *who, *rights),
            *("/usr/bin/env", "-i", "-C", self.image["WorkingDir"], *variables, *argv),
        ]

    def _mounts(self) -> list[str]:
        found: list[str] = []
        for each in map(Mounted.of, self.service["volumes"]):
            place = self.root / each.target.lstrip("/")
            assert place.parent.resolve().is_relative_to(self.root), (
                "no link of the image leads to the machine"
            )
            place.mkdir(parents=True, exist_ok=True)
            found += ["ro" if each.read_only else "rw", str(each.place(self.given)), each.target]
        for target in self.service.get("tmpfs", ()):
            found += ["tmpfs", "-", target]
        return found

    def start(self) -> None:
        assert self.process is None
        entry = (*self.image["Entrypoint"], *self.service["command"])
        read_only = "yes" if self.service.get("read_only") else "no"
        namespaces = ("--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--propagation", "private")
        inside = ("sh", "-c", _INSIDE.format(devices=" ".join(DEVICES)), "sh", str(self.root), read_only)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "unshare", *namespaces),
                    *(*inside, *self._mounts(), "--", *self._as_its_user(*entry)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """The one that is 1 inside."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        end = time.monotonic() + START_S
        while not (found := children.read_text().split()):
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)
        return int(found[0])

    def command(self, argv: Sequence[str], deadline_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one beside what runs, as `docker compose exec` does."""
        return subprocess.run(
            [
                *("nsenter", "--target", str(self.pid), "--mount", "--pid", "chroot", str(self.root)),
                *self._as_its_user(*argv),
            ],
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )

    def does(self, *argv: str) -> str:
        """What such a command prints; it must succeed."""
        done = self.command(argv)
        assert done.returncode == 0, (argv, done.stdout, done.stderr, self.said())
        return done.stdout.strip()

    def healthy(self) -> bool:
        """By the service's own health check."""
        kind, *argv = self.service["healthcheck"]["test"]
        assert kind == "CMD"
        return self.command(argv).returncode == 0

    def stop(self) -> int:
        """By the image's stop signal; the status. The service's grace period is the deadline."""
        assert self.process is not None
        os.kill(self.pid, signal.Signals[self.image["StopSignal"]])
        status = self.process.wait(int(self.service["stop_grace_period"].removesuffix("s")))
        self.process = None
        return status

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


@contextlib.contextmanager
def container(
    store: Store, name: str, folder: Path, given: Mapping[str, Path], settings: Mapping[str, str]
) -> Iterator[Container]:
    """Not started yet; gone afterwards, with whatever runs in it."""
    with store.files(services()[name]["image"]) as root:
        made = Container(store, name, root, folder / f"{name}.log", given, settings)
        try:
            yield made
        finally:
            made.kill()


def new_volume(files: Path, target: str, folder: Path) -> Path:
    """A named volume as an engine makes it: it begins with what the image has there, and its owner."""
    shutil.copytree(files / target.lstrip("/"), folder, symlinks=True)
    seen = (files / target.lstrip("/")).stat()
    os.chown(folder, seen.st_uid, seen.st_gid)
    return folder
