"""Finds or fetches Asterisk (20 or later) and the SIP user agent of the demo and the tests (baresip).

Order, unless CALLCORE_ASTERISK_SOURCE names one of them:

1. ``host``: an Asterisk that is installed here and has the modules callcore needs.
2. ``distribution``: the package of the distribution's own release, where it is new enough (Ubuntu 24.04).
3. ``forky``: Debian's suite of that name, through the mirror that this machine's apt is set to.

2 and 3 install nothing: a private apt resolves and downloads, each archive is checked against the signed
index, and all are unpacked into ``CALLCORE_HOME/asterisk-tree``, whose programs are started by the tree's own
loader. Neither root nor a compiler is needed. The unpacked Asterisk is mended where it drops the media of whom a
caller is put through to (src/callcore/pbx/late_frames.py); a host's that does so is not taken. An Asterisk of the
system is never touched, only read and asked for its version. Archives and the list of what was taken stay in
``CALLCORE_CACHE``: the next clone needs no network.

The result is ``CALLCORE_HOME/toolchain.json`` (or the file CALLCORE_TOOLCHAIN names; the tree is beside it)::

    {"format": 1,
     "asterisk": {"source": "host|distribution|forky", "version": "22.10.1", "package": "1:22.10.1…" or null,
                  "argv": ["…"],         what to put before asterisk's own arguments, the program included
                  "modules_dir": "…", "data_dir": "…", "agi_dir": "…", "sounds_dir": "…", "moh_dir": "…"},
     "baresip": {"source": "distribution|forky", "version": "1.1.0", "package": "…", "argv": ["…"],
                 "modules_dir": "…", "share_dir": "…"}}

All paths are absolute. Only the standard library is used: this runs before anything can be relied on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from archives import SUITE, Apt, SetupError, collect, held, output_of, read_taken, say, unpack, write_json

FORMAT: Final = 1
LOWEST_MAJOR: Final = 20
ASTERISK_PACKAGES: Final = ("asterisk", "asterisk-modules")
SHARED_PACKAGES: Final = ("libc6", "baresip-core", "asterisk-core-sounds-en-wav", "asterisk-moh-opsound-wav")
START_SECONDS: Final = 30

# What the rendered configuration builds on; an Asterisk that lacks one of these is no Asterisk for callcore.
ASTERISK_MODULES: Final = (
    "app_dial", "app_mixmonitor", "app_playback", "app_playtones", "app_queue", "app_read", "app_stack",
    "app_userevent", "app_waitforcond", "bridge_simple", "cdr_csv", "cel_custom", "chan_pjsip", "codec_alaw",
    "codec_ulaw", "format_wav", "func_db", "func_devstate", "func_logic", "func_strings", "pbx_config",
    "res_musiconhold",
    "res_pjsip", "res_pjsip_authenticator_digest", "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_outbound_authenticator_digest", "res_pjsip_registrar", "res_pjsip_sdp_rtp",
    "res_pjsip_session", "res_rtp_asterisk",
)  # fmt: skip
# What those stand on: with autoload=no Asterisk loads nothing that is not named.
MODULE_HELPERS: Final = ("res_sorcery_", "res_pjproject", "res_timing_", "res_pjsip_pubsub", "res_cdrel")
BARESIP_MODULES: Final = ("account", "aufile", "ctrl_tcp", "g711", "menu", "sndfile", "uuid")


def _late_frames() -> Any:
    path = Path(__file__).resolve().parents[2] / "src/callcore/pbx/late_frames.py"
    spec = importlib.util.spec_from_file_location("late_frames", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LATE_FRAMES: Final = _late_frames()


@dataclass(frozen=True, slots=True)
class Asterisk:
    """An Asterisk that can be started. `argv` goes before its own arguments; every directory is absolute."""

    source: str
    version: str
    package: str | None
    argv: tuple[str, ...]
    modules_dir: str
    data_dir: str
    agi_dir: str
    sounds_dir: str
    moh_dir: str


@dataclass(frozen=True, slots=True)
class Baresip:
    """The SIP user agent that plays desk phones and callers in the demo and the tests."""

    source: str
    version: str
    package: str | None
    argv: tuple[str, ...]
    modules_dir: str
    share_dir: str


def parse_version(text: str) -> tuple[int, str] | None:
    """Major number and short version out of ``asterisk -V``; None where there is no release number."""
    match = re.search(r"Asterisk (?:certified[-/])?((\d+)\.\d+(?:\.\d+)?(?:-cert\d+)?)", text)
    return (int(match[2]), match[1]) if match else None


def asterisk_version(argv: Sequence[str]) -> tuple[int, str] | None:
    text = output_of([*argv, "-V"])
    return parse_version(text) if text else None


def find_host_asterisk(shared_data: Path | None) -> Asterisk | None:
    """The Asterisk installed on this machine, if it is new enough and complete; says why when not taken.

    `shared_data` is the tree's data folder, from which sounds and music come where the host has none.
    """
    program = shutil.which(
        "asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/asterisk/sbin"
    )
    if program is None:
        return None
    version = asterisk_version([program])
    if version is None or version[0] < LOWEST_MAJOR:
        seen = version[1] if version else "?"
        say(
            f"このマシンの Asterisk ({program}, {seen}) は使いません。{LOWEST_MAJOR} 以上が必要です。",
            f"The Asterisk of this machine ({program}, {seen}) is not taken: at least {LOWEST_MAJOR}.",
        )
        return None
    if LATE_FRAMES.drops_late_frames(Path(program)):
        say(
            f"このマシンの Asterisk ({program}) は使いません。転送の後、録音から相手の声が落ちる版です。",
            f"The Asterisk of this machine ({program}) is not taken: it drops the voice of whom a caller is put "
            "through to from the recording (docs/adr/0057-late-frames.md).",
        )
        return None
    named = host_directories()
    prefix = Path(program).parents[1]
    modules_dir = first_with(
        "chan_pjsip.so",
        named.get("astmoddir"),
        *prefix.glob("lib*/asterisk/modules"),
        *prefix.glob("lib/*-linux-gnu*/asterisk/modules"),
    )
    data_dir = first_with(
        "documentation",
        named.get("astdatadir"),
        prefix / "share/asterisk",
        Path("/var/lib/asterisk"),
        Path("/usr/share/asterisk"),
    )
    missing = [
        name for name in ASTERISK_MODULES if modules_dir is None or not (modules_dir / f"{name}.so").exists()
    ]
    if modules_dir is None or data_dir is None or missing:
        lacks = " ".join(missing) or "documentation"
        say(
            f"このマシンの Asterisk ({program}, {version[1]}) は使いません。足りないもの: {lacks}",
            f"The Asterisk of this machine ({program}, {version[1]}) is not taken. It lacks: {lacks}",
        )
        return None
    shared = shared_data or data_dir
    sounds = data_dir / "sounds"
    moh = data_dir / "moh"
    return Asterisk(
        "host",
        version[1],
        None,
        (program,),
        str(modules_dir),
        str(data_dir),
        named.get("astagidir") or str(data_dir / "agi-bin"),
        str(sounds if (sounds / "en").is_dir() else shared / "sounds"),
        str(moh if any(moh.glob("*.*")) else shared / "moh"),
    )


def host_directories() -> dict[str, str]:
    """Directories that the host's asterisk.conf names; empty where an ordinary user may not read it."""
    try:
        text = Path("/etc/asterisk/asterisk.conf").read_text("utf-8", "replace")
    except OSError:
        return {}
    return dict(re.findall(r"^\s*(ast\w+)\s*=>?\s*([^;\n]+?)\s*(?:;.*)?$", text, re.MULTILINE))


def first_with(entry: str, *folders: str | Path | None) -> Path | None:
    return next((Path(folder) for folder in folders if folder and (Path(folder) / entry).exists()), None)


def describe_tree(tree: Path) -> tuple[Asterisk | None, Baresip]:
    """How the programs of an unpacked tree are started. Raises SetupError when the tree is not whole."""
    taken = json.loads((tree / "taken.json").read_text("utf-8"))
    loader = next(iter(sorted(tree.glob("usr/lib/*/ld-linux*.so.*"))), None)
    if loader is None:
        raise SetupError(
            f"{tree} にローダーがありません。消してから、もう一度実行してください。",
            f"No loader in {tree}. Remove it, then run this again.",
        )
    # Some libraries look for their own private folder by an absolute path, which would be the host's.
    private = [
        p
        for p in (loader.parent / "pulseaudio", loader.parent / "blas", loader.parent / "lapack")
        if p.is_dir()
    ]
    start = (str(loader), "--library-path", ":".join(str(p) for p in (loader.parent, *private)))
    data = tree / "usr/share/asterisk"
    versions = {one["package"]: one["version"] for one in taken["archives"]}
    asterisk = None
    program = tree / "usr/sbin/asterisk"
    if program.exists():
        try:
            LATE_FRAMES.mend(program)
        except ValueError as error:
            raise SetupError(
                f"展開した Asterisk の不具合 (録音) を直せません ({error}): docs/adr/0057-late-frames.md",
                f"The unpacked Asterisk loses voices, and cannot be mended ({error}): docs/adr/0057-late-frames.md.",
            ) from error
        argv = (*start, str(program))
        version = asterisk_version(argv)
        if version is None or version[0] < LOWEST_MAJOR:
            raise SetupError(
                f"取り出した Asterisk が動きません: {tree}",
                f"The unpacked Asterisk does not start: {tree}",
            )
        asterisk = Asterisk(
            taken["source"],
            version[1],
            versions.get("asterisk"),
            argv,
            str(loader.parent / "asterisk/modules"),
            str(data),
            str(data / "agi-bin"),
            str(data / "sounds"),
            str(data / "moh"),
        )
    package = versions.get("baresip-core")
    modules = first_with("g711.so", tree / "usr/lib/baresip/modules", loader.parent / "baresip/modules")
    if modules is None or package is None:
        raise SetupError(f"{tree} に baresip がありません。", f"No baresip in {tree}.")
    baresip = Baresip(
        taken["source"],
        re.sub(r"^\d+:|[-+].*$", "", package),
        package,
        (*start, str(tree / "usr/bin/baresip")),
        str(modules),
        str(tree / "usr/share/baresip"),
    )
    return asterisk, baresip


def major_of(package_version: str) -> int:
    match = re.match(r"(?:\d+:)?(\d+)", package_version)
    return int(match[1]) if match else 0


def distribution_has_asterisk(work: Path) -> bool:
    """Whether the distribution's own release has an Asterisk that is new enough."""
    if any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        said = output_of(["apt-cache", "policy", "asterisk"]) or ""
        match = re.search(r"^  \S+: (\d\S*)$", said.partition("Installed:")[2], re.MULTILINE)
        return match is not None and major_of(match[1]) >= LOWEST_MAJOR
    # A fresh image has no lists, and an ordinary user cannot make any: ask with lists of our own.
    apt = Apt(work, None)
    apt.update()
    candidate = apt.candidate("asterisk")
    return candidate is not None and major_of(candidate) >= LOWEST_MAJOR


def try_asterisk(asterisk: Asterisk) -> None:
    """Starts it with a configuration of our own, without a port, and asks it for the modules callcore needs.

    Raises SetupError with the end of its log.
    """
    # The control socket's path must stay below 108 bytes, so this is not under the project.
    with tempfile.TemporaryDirectory(prefix="callcore-try-", dir="/tmp") as folder:
        base = Path(folder)
        for name in ("etc", "db", "keys", "run", "log", "spool", "cache", "lib"):
            (base / name).mkdir()
        (base / "etc/asterisk.conf").write_text(
            f"[directories]\nastetcdir => {base}/etc\nastmoddir => {asterisk.modules_dir}\n"
            f"astvarlibdir => {base}/lib\nastdbdir => {base}/db\nastkeydir => {base}/keys\n"
            f"astdatadir => {asterisk.data_dir}\n"
            f"astagidir => {asterisk.agi_dir}\nastspooldir => {base}/spool\nastrundir => {base}/run\n"
            f"astlogdir => {base}/log\nastcachedir => {base}/cache\n"
            "[options]\nentityid = 02:00:00:00:00:01\n"
        )
        (base / "etc/logger.conf").write_text("[general]\n[logfiles]\nfull => notice,warning,error\n")
        (base / "etc/pjsip.conf").write_text("[global]\ntype=global\n")
        (base / "etc/extensions.conf").write_text("[default]\n")
        (base / "etc/queues.conf").write_text("[general]\n")
        (base / "etc/cel.conf").write_text("[general]\nenable=yes\nevents=CHAN_START\n")
        (base / "etc/cel_custom.conf").write_text("[mappings]\ntry.csv => ${CSV_QUOTE(${eventtype})}\n")
        (base / "etc/cdr.conf").write_text("[general]\nenable=yes\n[csv]\nusegmtime=yes\n")
        (base / "etc/musiconhold.conf").write_text(f"[default]\nmode=files\ndirectory={asterisk.moh_dir}\n")
        # These modules and no others, so that none opens a port; their order is Asterisk's own matter.
        helpers = sorted(
            p.stem for p in Path(asterisk.modules_dir).glob("res_*.so") if p.stem.startswith(MODULE_HELPERS)
        )
        loads = "".join(f"load = {name}.so\n" for name in (*helpers, *ASTERISK_MODULES))
        (base / "etc/modules.conf").write_text(f"[modules]\nautoload=no\n{loads}")
        start = [*asterisk.argv, "-C", str(base / "etc/asterisk.conf")]
        with (base / "console").open("wb") as console:
            running = subprocess.Popen(
                [*start, "-f"], stdin=subprocess.DEVNULL, stdout=console, stderr=console, cwd=base
            )
        try:
            listed = wait_until_up(start, running)
            up = {line.split()[0].removesuffix(".so") for line in listed.splitlines() if " Running " in line}
            dead = [name for name in ASTERISK_MODULES if name not in up]
        finally:
            output_of([*start, "-rx", "core stop now"], 5)
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
        if dead:
            log = (base / "log/full").read_text("utf-8", "replace") if (base / "log/full").exists() else ""
            said = "\n".join((log or (base / "console").read_text("utf-8", "replace")).splitlines()[-8:])
            raise SetupError(
                f"Asterisk {asterisk.version} が使えません。動かないモジュール: {' '.join(dead)}\n{said}",
                f"Asterisk {asterisk.version} cannot be used. Modules that do not run: {' '.join(dead)}",
            )


def wait_until_up(start: Sequence[str], running: subprocess.Popen[bytes]) -> str:
    """The list of modules once Asterisk is up; empty when it is not within START_SECONDS."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and running.poll() is None:
        booted = output_of([*start, "-rx", "core waitfullybooted"], 10)
        if booted and "fully booted" in booted:
            return output_of([*start, "-rx", "module show"], 10) or ""
        time.sleep(0.1)
    return ""


def try_baresip(baresip: Baresip) -> None:
    """Starts it for a second on the loopback with the modules that phones and callers need."""
    with tempfile.TemporaryDirectory(prefix="callcore-try-", dir="/tmp") as folder:
        base = Path(folder)
        modules = "".join(f"module {name}.so\n" for name in BARESIP_MODULES)
        (base / "config").write_text(
            f"module_path {baresip.modules_dir}\n{modules}sip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\n"
            f"ctrl_tcp_listen 127.0.0.1:0\naudio_path {baresip.share_dir}\n"
        )
        (base / "accounts").touch()
        (base / "contacts").touch()
        said = output_of([*baresip.argv, "-f", folder, "-t", "1"], START_SECONDS) or ""
        missing = [
            name for name in BARESIP_MODULES if not (Path(baresip.modules_dir) / f"{name}.so").exists()
        ]
        if "baresip is ready" not in said or "module: " in said or missing:
            raise SetupError(
                f"baresip が動きません。{' '.join(missing)}\n{said[-400:]}", "baresip does not start."
            )


def still_good(path: Path, wanted: str) -> Asterisk | None:
    """The Asterisk an earlier run described, if everything it names is still here and answers."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        if raw["format"] != FORMAT:
            return None
        asterisk = Asterisk(**{**raw["asterisk"], "argv": tuple(raw["asterisk"]["argv"])})
        baresip = Baresip(**{**raw["baresip"], "argv": tuple(raw["baresip"]["argv"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    folders = (
        asterisk.modules_dir,
        asterisk.data_dir,
        asterisk.sounds_dir,
        asterisk.moh_dir,
        baresip.modules_dir,
    )
    if wanted not in ("auto", asterisk.source) or not all(Path(one).is_dir() for one in folders):
        return None
    version = asterisk_version(asterisk.argv)
    if version is None or version[1] != asterisk.version or not Path(baresip.argv[-1]).exists():
        return None
    if LATE_FRAMES.drops_late_frames(Path(asterisk.argv[-1])):
        return None
    return asterisk


def obtain(path: Path, cache: Path, wanted: str, refresh: bool) -> Asterisk:
    """Finds or fetches, tries, and writes the description. Raises SetupError."""
    tree = path.parent / "asterisk-tree"
    host = find_host_asterisk(None) if wanted in ("auto", "host") else None
    if host is not None:
        try:
            try_asterisk(host)
        except SetupError as error:
            say(error.ja, error.en)
            host = None
    if host is None and wanted == "host":
        raise SetupError(
            "このマシンに使える Asterisk がありません。", "This machine has no Asterisk that can be taken."
        )
    source = wanted
    if wanted not in ("distribution", SUITE):
        with tempfile.TemporaryDirectory(prefix="callcore-apt-") as folder:
            source = "distribution" if distribution_has_asterisk(Path(folder)) else SUITE
    packages = SHARED_PACKAGES if host else (*SHARED_PACKAGES, *ASTERISK_PACKAGES)
    unpacked = read_taken(tree / "taken.json")
    if (
        refresh
        or unpacked is None
        or unpacked.source != source
        or not set(packages) <= set(unpacked.packages)
    ):
        taken = collect(source, packages, cache, refresh)
        if unpacked is None or unpacked.archives != taken.archives:
            unpack(taken, cache, tree)
    in_tree, baresip = describe_tree(tree)
    if host:
        host = find_host_asterisk(tree / "usr/share/asterisk")
    asterisk = host or in_tree
    if asterisk is None:
        raise SetupError(f"{tree} に Asterisk がありません。", f"No Asterisk in {tree}.")
    if host is None:
        try_asterisk(asterisk)
    try_baresip(baresip)
    write_json(path, {"format": FORMAT, "asterisk": asdict(asterisk), "baresip": asdict(baresip)})
    return asterisk


NAMES: Final[dict[str, tuple[str, str]]] = {
    "host": ("このマシンのもの", "of this machine"),
    "distribution": (
        "ディストリビューションのパッケージ、プロジェクト内に展開",
        "the distribution's package, unpacked",
    ),
    SUITE: (f"Debian {SUITE} のパッケージ、プロジェクト内に展開", f"Debian {SUITE}'s package, unpacked"),
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="toolchain.py", description="Finds or fetches Asterisk and baresip."
    )
    parser.add_argument("--refresh", action="store_true", help="take the newest version even if one is here")
    options = parser.parse_args(arguments)
    settings = {name: os.environ.get(f"CALLCORE_{name}") for name in ("HOME", "CACHE", "TOOLCHAIN")}
    home = Path(settings["HOME"] or Path(__file__).resolve().parents[2] / "var").absolute()
    cache = Path(settings["CACHE"] or Path.home() / ".cache/callcore").absolute()
    path = Path(settings["TOOLCHAIN"] or home / "toolchain.json").absolute()
    wanted = os.environ.get("CALLCORE_ASTERISK_SOURCE", "auto")
    try:
        if wanted not in ("auto", *NAMES):
            raise SetupError(
                f"CALLCORE_ASTERISK_SOURCE={wanted} は使えません。"
                f"auto、{'、'.join(NAMES)} のどれかにしてください。",
                f"CALLCORE_ASTERISK_SOURCE={wanted} is unknown. Use auto or one of {', '.join(NAMES)}.",
            )
        os.umask(0o022)
        with held(path.parent / ".toolchain.lock"):
            asterisk = None if options.refresh else still_good(path, wanted)
            if asterisk is None:
                asterisk = obtain(path, cache, wanted, options.refresh)
    except SetupError as error:
        say(f"エラー: {error.ja}", f"Error: {error.en}")
        return 1
    except OSError as error:
        say(f"エラー: {error}", f"Error: {error}. Make room or mend permissions there, then run this again.")
        return 1
    ja, en = NAMES[asterisk.source]
    say(f"Asterisk {asterisk.version} を使います ({ja})。", f"Using Asterisk {asterisk.version} ({en}).")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
