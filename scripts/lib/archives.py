"""Fetches Debian packages without installing them: a private apt, a cache of archives, an unpacked tree.

The host's apt gives mirror, proxy and keys; nothing else of the system is read, and nothing of it is written.
Only the standard library is used: this runs before anything can be relied on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SUITE: Final = "forky"
# forky changes daily: within a week clones of one machine take the same versions, and mends are never older.
LIST_DAYS: Final = 7
UPDATE_TRIES: Final = 3
APT_SECONDS: Final = 900
LOCK_SECONDS: Final = 900

# Nothing in a tree reads these, and they are a third of it. Licences (copyright files) stay.
LEFT_OUT: Final = (
    "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*", "./usr/share/bug/*",
    "./usr/share/lintian/*",
    "./usr/share/doc/*/changelog*", "./usr/share/doc/*/NEWS*", "./usr/share/doc/*/README*",
    "./usr/share/doc/*/examples/*", "./usr/share/perl*", "./usr/lib/*/perl*", "./usr/lib/systemd/*",
)  # fmt: skip


class SetupError(Exception):
    """Setting up cannot go on; says in both languages why, and what to do next."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(f"{ja} / {en}")
        self.ja = ja
        self.en = en


def say(ja: str, en: str) -> None:
    print(f"{ja}\n{en}", file=sys.stderr, flush=True)


def output_of(argv: Sequence[str], seconds: float = 20) -> str | None:
    """Both streams of a short command, or None when it cannot be run, fails or takes too long."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Archive:
    """One package as the signed index names it."""

    package: str
    version: str
    file: str
    size: int
    sha256: str


class Apt:
    """apt with lists, state and archives of its own in `work`; from the host's it has mirror, proxy, keys."""

    def __init__(self, work: Path, sources: str | None) -> None:
        """`sources`: lines of a sources.list; None stands for the host's own and its preferences."""
        self.work = work
        self.archives = work / "cache/archives"
        (work / "lists/partial").mkdir(parents=True)
        (self.archives / "partial").mkdir(parents=True)
        (work / "status").touch()
        lines = [
            # Images for containers carry hooks that empty the host's archive after each run.
            "#clear APT::Update::Pre-Invoke;", "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;", "#clear DPkg::Post-Invoke;",
            "#clear DPkg::Pre-Install-Pkgs;",
            f'Dir::State "{work}";', f'Dir::State::status "{work}/status";',
            f'Dir::State::lists "{work}/lists";',
            f'Dir::Cache "{work}/cache";', f'Dir::Cache::archives "{self.archives}";',
            'APT::Install-Recommends "false";', 'APT::Sandbox::User "root";',
            'APT::Get::AllowUnauthenticated "false";',
            'Acquire::Languages "none";', 'Acquire::ForceHash "SHA256";', 'Acquire::Retries "3";',
            'Acquire::http::Timeout "60";', 'Debug::NoLocking "true";',
        ]  # fmt: skip
        if sources is not None:
            (work / "sources.list").write_text(sources)
            lines += [
                f'Dir::Etc::sourcelist "{work}/sources.list";', 'Dir::Etc::sourceparts "/dev/null";',
                'Dir::Etc::preferences "/dev/null";', 'Dir::Etc::preferencesparts "/dev/null";',
            ]  # fmt: skip
        (work / "apt.conf").write_text("\n".join(lines) + "\n")

    def run(self, *args: str) -> str:
        """Standard output. Raises SetupError with the end of what apt said."""
        try:
            done = subprocess.run(
                [args[0], "-q", "-c", str(self.work / "apt.conf"), *args[1:]], stdin=subprocess.DEVNULL,
                capture_output=True, timeout=APT_SECONDS, check=False,
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"apt を実行できません: {error}", f"apt cannot be run: {error}") from error
        if done.returncode != 0:
            said = "\n".join(done.stderr.decode("utf-8", "replace").strip().splitlines()[-6:])
            raise SetupError(
                f"apt が失敗しました。ネットワークと apt のミラーを確かめ、もう一度実行してください。\n{said}",
                "apt failed as it says above. Look at the network and apt's mirror, then run this again.",
            )
        return done.stdout.decode("utf-8", "replace")

    def update(self) -> None:
        """Fetches the signed lists; tries again on a network that stumbles."""
        for left in reversed(range(UPDATE_TRIES)):
            try:
                # Without this option apt reports a list it could not fetch as a mere warning.
                self.run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
                return
            except SetupError:
                if left == 0:
                    raise
                time.sleep(2.0 * (UPDATE_TRIES - left))

    def candidate(self, package: str) -> str | None:
        match = re.search(r"^  Candidate: (\S+)$", self.run("apt-cache", "policy", package), re.MULTILINE)
        return match[1] if match and match[1] != "(none)" else None

    def closure(self, packages: Sequence[str]) -> list[Archive]:
        """The packages and everything they need, as the signed index names it."""
        listed = self.run("apt-get", "-q", "--print-uris", "-y", "install", *packages)
        found = re.findall(r"^'[^']+' (\S+) (\d+) SHA256:([0-9a-f]{64})$", listed, re.MULTILINE)
        archives = []
        for file, size, sha256 in found:
            name, version, _ = file.split("_")
            archives.append(Archive(name, version.replace("%3a", ":"), file, int(size), sha256))
        if not archives:
            raise SetupError("apt がパッケージを挙げません。", "apt lists no packages.")
        return archives

    def download(self, packages: Sequence[str]) -> None:
        for left in reversed(range(UPDATE_TRIES)):
            try:
                self.run("apt-get", "-y", "--download-only", "install", *packages)
                return
            except SetupError:
                if left == 0:
                    raise
                time.sleep(2.0 * (UPDATE_TRIES - left))


def os_release() -> dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text("utf-8")
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def debian_sources() -> str:
    """A sources.list for forky, through the mirror of the host's own Debian release."""
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    mirror = os.environ.get("CALLCORE_DEBIAN_MIRROR")
    if mirror is None:
        codename = os_release().get("VERSION_CODENAME", "")
        rows = output_of(
            ["apt-get", "indextargets", "--format", "$(SITE)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"]
        )
        for row in (rows or "").splitlines():
            site, release, component = row.split("|")
            if os_release().get("ID") == "debian" and release == codename and component == "main":
                mirror = site
                break
    if mirror is None or not keyring.exists():
        raise SetupError(
            "Asterisk 20 以上が見つからず、Debian のミラーか署名鍵もありません。Asterisk を自分で"
            "入れるか、パッケージ debian-archive-keyring を入れて CALLCORE_DEBIAN_MIRROR にミラーを指定して"
            f"ください ({keyring})。",
            "No Asterisk of 20 or later here, and no Debian mirror or its keyring either. Install "
            f"Asterisk, or install the package debian-archive-keyring and name a mirror in "
            f"CALLCORE_DEBIAN_MIRROR ({keyring}).",
        )
    return f"deb [signed-by={keyring}] {mirror} {SUITE} main\n"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sound(path: Path, archive: Archive) -> bool:
    return path.is_file() and path.stat().st_size == archive.size and sha256_of(path) == archive.sha256


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Holds a lock file; waits LOCK_SECONDS for whoever has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise SetupError(f"{lock} が解放されません。", f"{lock} is not released.") from None
                time.sleep(0.2)
        yield


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken: from where, when (seconds since the epoch), and every archive."""

    source: str
    at: int
    packages: tuple[str, ...]
    archives: tuple[Archive, ...]


def read_taken(path: Path) -> Taken | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
        return Taken(
            raw["source"],
            int(raw["at"]),
            tuple(raw["packages"]),
            tuple(Archive(**one) for one in raw["archives"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_json(path: Path, value: object) -> None:
    """Written aside and renamed, so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
    aside.replace(path)


def collect(source: str, packages: tuple[str, ...], cache: Path, refresh: bool) -> Taken:
    """Brings every archive into the cache, each checked against the signed index, and returns what was taken.

    A list younger than LIST_DAYS whose archives are all sound is taken as it is; so is an older one when the
    mirror cannot be reached.
    """
    store = cache / "archives"
    list_file = cache / f"{source}-{os_release().get('VERSION_CODENAME', 'none')}-{os.uname().machine}.json"
    with held(cache / ".lock"):
        store.mkdir(parents=True, exist_ok=True)
        kept = read_taken(list_file)
        if kept is not None and (
            kept.packages != packages or not all(is_sound(store / one.file, one) for one in kept.archives)
        ):
            kept = None
        if kept is not None and not refresh and time.time() - kept.at < LIST_DAYS * 86400:
            return kept
        with tempfile.TemporaryDirectory(prefix="callcore-apt-") as folder:
            apt = Apt(Path(folder), debian_sources() if source == SUITE else None)
            try:
                apt.update()
            except SetupError as error:
                if kept is None:
                    raise
                say(
                    f"ミラーに届かないので、前に取ったものを使います。({error.ja})",
                    "The mirror cannot be reached: what was taken before is used.",
                )
                return kept
            archives = apt.closure(packages)
            missing = []
            for one in archives:
                if is_sound(store / one.file, one):
                    link_or_copy(store / one.file, apt.archives / one.file)
                else:
                    missing.append(one)
            if missing:
                megabytes = sum(one.size for one in missing) / 1e6
                say(
                    f"{source} から {len(missing)} 個のパッケージを取得します ({megabytes:.0f} MB)。",
                    f"Fetching {len(missing)} packages from {source} ({megabytes:.0f} MB).",
                )
                apt.download(packages)
            for one in missing:
                if not is_sound(apt.archives / one.file, one):
                    raise SetupError(
                        f"{one.file} が署名された一覧と合いません。もう一度実行してください。",
                        f"{one.file} does not match the signed index. Run this again.",
                    )
                aside = store / f".{one.file}.{os.getpid()}"
                shutil.copyfile(apt.archives / one.file, aside)
                aside.replace(store / one.file)
        taken = Taken(source, int(time.time()), packages, tuple(archives))
        write_json(list_file, asdict(taken))
        wanted = {
            one.file for other in cache.glob("*.json") if (t := read_taken(other)) for one in t.archives
        }
        for path in store.iterdir():
            if path.name not in wanted:
                path.unlink()
        return taken


def link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def unpack(taken: Taken, cache: Path, tree: Path) -> None:
    """Unpacks aside and renames, so that a tree is whole or not there."""
    for left_over in tree.parent.glob(f".{tree.name}.*"):
        shutil.rmtree(left_over, ignore_errors=True)
    aside = tree.with_name(f".{tree.name}.{os.getpid()}")
    (aside / "usr/lib").mkdir(parents=True)
    (aside / "usr/lib64").mkdir()
    # As on every system since Debian 12: older packages still ship files under these names.
    for name in ("lib", "lib64", "bin", "sbin"):
        (aside / "usr" / name).mkdir(exist_ok=True)
        (aside / name).symlink_to(f"usr/{name}")
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: unpack_one(cache / "archives" / one.file, aside), taken.archives))
        finish_tree(aside)
        write_json(aside / "taken.json", asdict(taken))
        if tree.exists():
            old = tree.with_name(f".{tree.name}.old.{os.getpid()}")
            tree.rename(old)
            aside.rename(tree)
            shutil.rmtree(old, ignore_errors=True)
        else:
            aside.rename(tree)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def unpack_one(archive: Path, tree: Path) -> None:
    tar = [
        "tar", "--extract", "--directory", str(tree), "--no-same-owner", "--no-same-permissions",
        "--keep-directory-symlink", "--no-overwrite-dir", "--wildcards",
        *(f"--exclude={path}" for path in LEFT_OUT),
    ]  # fmt: skip
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as reader:
        done = subprocess.run(tar, stdin=reader.stdout, stderr=subprocess.PIPE, check=False)
    if reader.returncode != 0 or done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-400:]
        raise SetupError(
            f"{archive.name} を取り出せません: {said}", f"{archive.name} cannot be unpacked: {said}"
        )


def finish_tree(tree: Path) -> None:
    """Does what packages leave to their installation scripts, and what a tree beside the system needs."""
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                target = path.readlink()
                if target.is_absolute() and (tree / str(target).lstrip("/")).exists():
                    path.unlink()
                    path.symlink_to(os.path.relpath(tree / str(target).lstrip("/"), path.parent))
            elif mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & 0o755)
    sounds = tree / "usr/share/asterisk/sounds"
    # Without "en" every Playback of a stock prompt fails in silence.
    spoken = sorted(path.name for path in sounds.glob("en_*") if path.is_dir())
    if spoken and not (sounds / "en").exists():
        (sounds / "en").symlink_to(spoken[0])
    for folder in ("sounds", "moh", "agi-bin"):
        (tree / "usr/share/asterisk" / folder).mkdir(parents=True, exist_ok=True)
    (tree / "var/lib/asterisk/keys").mkdir(parents=True, exist_ok=True)
