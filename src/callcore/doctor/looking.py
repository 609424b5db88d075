"""One look at an installation, whether it runs or stands still. Changes nothing; each question has a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cryptography import x509

from callcore import sipcert
from callcore.centres import CentreFileErrors, load
from callcore.certificate import CertificateFault, read_pair
from callcore.db import Database, DatabaseAway, Queries, UnknownDatabase
from callcore.db.migrate import current, latest
from callcore.departed import kept_of
from callcore.doctor.judging import Seen
from callcore.domain.centre import Configuration
from callcore.domain.ids import SECOND
from callcore.erasing.sounds import told
from callcore.healthy import page_answers
from callcore.installation import ports_of
from callcore.pbx.late_frames import drops_late_frames
from callcore.pbx.process import AsteriskProcess, AsteriskToolchain, PbxError, Port
from callcore.pbx.render import CEL_FILE
from callcore.prompts import desk
from callcore.prompts.desk import State
from callcore.recordings.chain import ahead, untimed
from callcore.recordings.formats import BY_FFMPEG, FFMPEG
from callcore.recordings.keeper import ZONE
from callcore.recordings.soundness import unsound
from callcore.runtime.commands import CommandFailed, ask_once
from callcore.runtime.detail import CallSearch
from callcore.settings import Settings

ANSWER_S = 5.0
NEWEST = 50
"""Calls among which the newest that has ended is looked for."""
NOT_SYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2)."""


async def look(settings: Settings) -> Seen:
    configuration, problems = _centres(settings)
    toolchain: AsteriskToolchain | None = None
    with contextlib.suppress(PbxError):
        toolchain = AsteriskToolchain.load(settings.toolchain_file)
    version = modules = cel_status = None
    if toolchain is not None:
        log_dir = settings.asterisk / "log"
        process = AsteriskProcess(toolchain, settings.asterisk / "etc", settings.run, log_dir)
        version = version_in(await _told(process, "core show version"))
        if version is None:
            modules = frozenset(file.stem for file in toolchain.modules_dir.glob("*.so"))
        else:
            modules = running(await _told(process, "module show"))
            cel_status = await _told(process, "cel show status")
    engine, rows = await _asked(settings, "status"), await _asked(settings, "phones")
    sidecar = await asyncio.to_thread(page_answers, settings)
    database, tables, last_call_at = await _database(settings)
    return Seen(
        now=time.time(),
        centre_problems=problems,
        wanted_version=None if toolchain is None else toolchain.version,
        version=version,
        late_frames=toolchain is not None and _late_frames(toolchain),
        modules=modules,
        cel_status=cel_status,
        cel_at=newest(settings.asterisk / "log" / CEL_FILE),
        last_call_at=last_call_at,
        engine=engine,
        sidecar=sidecar,
        phones=rows,
        synchronised=synchronised(),
        free={str(folder): free(folder) for folder in (settings.journal, settings.recordings)},
        ports_taken=tuple(_taken(settings, asterisk=version is not None, sidecar=sidecar)),
        certificates=certificates(settings),
        database=database,
        tables=tables,
        prompts=_prompts(settings, configuration),
        readable=readable(settings),
        recordings=tuple(unsound(settings.store, settings.recordings_keys)),
        ahead=ahead(settings.recordings_keys, datetime.now(ZoneInfo(ZONE)).date().isoformat()),
        departed=_departed(settings, configuration),
        untimed=tuple(untimed(settings.store)),
        lacking_ffmpeg=lacking_ffmpeg(configuration),
        trunk_in=bool(settings.trunks),
    )


def _late_frames(toolchain: AsteriskToolchain) -> bool:
    with contextlib.suppress(OSError):  # that there is none is said by its version
        return drops_late_frames(Path(toolchain.argv[-1]))
    return False


def _centres(settings: Settings) -> tuple[Configuration | None, Sequence[str]]:
    try:
        return load(settings.centres, settings.prompts), ()
    except CentreFileErrors as errors:
        return None, errors.texts("ja")


def _departed(settings: Settings, configuration: Configuration | None) -> Sequence[str]:
    found = list[str]()
    if configuration is not None:
        with contextlib.suppress(OSError):  # what cannot be read is said by others
            left = kept_of(settings) - {centre.id for centre in configuration.centres}
            found += (centre for centre in sorted(left) if told(settings.store, centre).there())
    return found


async def _told(process: AsteriskProcess, line: str) -> str | None:
    try:
        return await process.command(line, ANSWER_S)
    except PbxError:
        return None


def version_in(text: str | None) -> str | None:
    found = re.match(r"Asterisk (?:certified/)?(\d+(?:\.\d+)*)", text or "")
    return None if found is None else found[1]


def running(text: str | None) -> frozenset[str] | None:
    """Names without `.so` of the modules that are loaded and run."""
    if text is None:
        return None
    lines = (line.split() for line in text.splitlines() if "Not Running" not in line)
    return frozenset(words[0].removesuffix(".so") for words in lines if words and words[0].endswith(".so"))


async def _asked(settings: Settings, command: str) -> Any:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await ask_once(settings.engine_socket, command)
    except (CommandFailed, TimeoutError):
        return None


async def _database(settings: Settings) -> tuple[str | None, tuple[str | None, str | None], float | None]:
    """Why it cannot be used; revisions of tables and code; the end of the newest call."""
    if not settings.database_url and not (settings.home / "callcore.db").exists():
        return None, (None, latest()), None
    try:
        database = Database(settings.database)
    except UnknownDatabase as error:
        return str(error), (None, None), None
    try:
        tables = await current(settings.database), latest()
        if tables[0] is None:
            return None, tables, None
        page = await Queries(database).calls(CallSearch(), limit=NEWEST)
    except (DatabaseAway, OSError) as error:
        return str(error), (None, None), None
    finally:
        await database.close()
    ended = [row.record.ended_at for row, _ in page.calls if row.record.ended_at is not None]
    return None, tables, max(ended) / SECOND if ended else None


def newest(file: Path) -> float | None:
    """When the file, or what logrotate left beside it, was last written."""
    return max((each.stat().st_mtime for each in file.parent.glob(f"{file.name}*")), default=None)


def synchronised() -> bool | None:
    """Whether the kernel holds its clock for synchronised (adjtimex(2)); None: it may not be asked."""
    timex = ctypes.create_string_buffer(512)  # struct timex is 208 bytes; all zero asks and sets nothing
    state: int = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    return None if state < 0 else state != NOT_SYNCHRONISED


def free(folder: Path) -> int | None:
    """Bytes; of a folder that is not there yet, those of the one above."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _taken(settings: Settings, *, asterisk: bool, sidecar: bool) -> Iterator[str]:
    """Of the ports of whatever does not answer, those that somebody listens at."""
    wanted = [] if asterisk else list(ports_of(settings))
    if not sidecar:
        wanted.append(Port("WEB", settings.web_host, settings.web_port, udp=False))
    for port in wanted:
        try:
            port.must_be_free()
        except PbxError as error:
            yield str(error)


def certificates(settings: Settings) -> dict[str, float | str]:
    """When those of page and phones end, or why one cannot be used. None that is not made yet."""
    found: dict[str, float | str] = {}
    if settings.web_tls_certificate is not None and settings.web_tls_key is not None:
        try:
            found["web"] = read_pair(settings.web_tls_certificate, settings.web_tls_key).ends.timestamp()
        except CertificateFault as fault:
            found["web"] = str(fault)
    for name in (sipcert.CA, sipcert.SERVER):
        file = settings.tls / name
        with contextlib.suppress(FileNotFoundError):
            try:
                ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
                found[f"tls/{name}"] = ends.timestamp()
            except (ValueError, PermissionError) as error:
                found[f"tls/{name}"] = f"読めません ({error}) / it cannot be read"
    return found


def _prompts(settings: Settings, configuration: Configuration | None) -> Sequence[str]:
    """What cannot be played of what the centres play, in their languages."""
    told = (
        [each for centre in configuration.centres for each in centre.announcements] if configuration else []
    )
    used = {each.language for each in told}
    items = (each for each in desk.items(settings.prompts, told) if each.wanted.language in used)
    return tuple(each.wanted.name for each in items if each.state in (State.MISSING, State.WRONG))


def lacking_ffmpeg(configuration: Configuration | None) -> tuple[str, ...]:
    if configuration is None or shutil.which(FFMPEG) is not None:
        return ()
    formats = {centre.id: centre.recordings.format for centre in configuration.centres}
    return tuple(f"{centre} ({form.value})" for centre, form in formats.items() if form in BY_FFMPEG)


def readable(settings: Settings) -> tuple[str, ...]:
    """What holds secrets or personal values and is open to others."""
    home = settings.home
    inside = (home / "secrets.json", home / "pins.json", settings.keys, settings.tls, settings.recordings)
    return tuple(str(p) for p in (home, *inside) if p.exists() and p.stat().st_mode & 0o077)
