"""Centre files, secrets, ports and folders → every file that Asterisk reads.

Pure and repeatable: the same input gives the same bytes. The templates are in `asterisk/`, the static dialplan in
`dialplans/`. None of these formats has an escape that holds in every place (`;` begins a comment, `${` a
substitution, a comma the next argument, a line end the next option), so nothing is escaped: whatever goes into a
template passes `_plain`, and a value with any other sign stops the rendering with its name.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from importlib import resources
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH

from callcore.domain import directory, lamps, numbering, shown
from callcore.domain.centre import (
    EMERGENCY,
    TONGUES,
    Announcement,
    Centre,
    Configuration,
    Department,
    Display,
    Menu,
    Outgoing,
    Queue,
)
from callcore.domain.hours import Window
from callcore.domain.ids import NodeId, PhoneId
from callcore.domain.recording import Channels
from callcore.domain.sides import FORWARDED
from callcore.domain.stages import Choice, SideKind, TalkKey, Treatment
from callcore.pbx import pieces, tone
from callcore.phones.simulated.maker import SIMULATED
from callcore.prompts import shelf
from callcore.runtime import dialplan
from callcore.templates import environment

MODULES: Final = (
    "bridge_simple",
    "bridge_softmix",
    "app_celgenuserevent",
    "app_channelredirect",
    "app_chanspy",
    "app_dial",
    "app_exec",
    "app_mixmonitor",
    "app_playback",
    "app_playtones",
    "app_queue",
    "app_read",
    "app_record",
    "app_stack",
    "app_userevent",
    "app_waitforcond",
    "cdr_custom",
    "cel_custom",
    "chan_pjsip",
    "codec_a_mu",
    "codec_alaw",
    "codec_resample",
    "codec_ulaw",
    "format_pcm",
    "format_sln",
    "format_wav",
    "func_callerid",
    "func_cdr",
    "func_channel",
    "func_cut",
    "func_db",
    "func_devstate",
    "func_env",
    "func_logic",
    "func_pjsip_aor",
    "func_pjsip_contact",
    "func_sha1",
    "func_strings",
    "pbx_config",
    "res_manager_devicestate",
    "res_musiconhold",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_authenticator_digest",
    "res_pjsip_caller_id",
    "res_pjsip_dtmf_info",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_nat",
    "res_pjsip_pubsub",
    "res_pjsip_registrar",
    "res_pjsip_rfc3326",
    "res_pjsip_sdp_rtp",
    "res_pjsip_refer",
    "res_pjsip_session",
    "res_rtp_asterisk",
    "res_sorcery_astdb",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_timing_timerfd",
)
"""Without one of these there is no whole way of a call."""

OPTIONAL_MODULES: Final = (
    "app_broadcast",
    "app_verbose",
    "bridge_builtin_interval_features",
    "func_global",
    "func_hangupcause",
    "func_module",
    "res_pjsip_acl",
    "res_pjsip_dialog_info_body_generator",
    "res_pjsip_exten_state",
    "res_pjsip_logger",
    "res_pjsip_notify",
    "res_pjsip_outbound_publish",
    "res_pjsip_pidf_body_generator",
)
"""Lamps and instruments, that who barges in is recorded, and that both sides of a recording are in step: without them
calls go on. (res_pjsip_exten_state takes symbols from outbound_publish.)"""

EVENTS: Final = (*dialplan.CALL_EVENTS, *dialplan.PHONE_EVENTS, "FullyBooted", "Shutdown")
"""The AMI events that callcore gets; beside them DeviceStateChange of phones and DTMFEnd while a PIN is keyed."""

UNMADE_EVENTS: Final = (
    "Newexten",
    "VarSet",
    "Newstate",
    "NewCallerid",
    "NewConnectedLine",
    "DialState",
    "BridgeCreate",
    "BridgeDestroy",
    "MusicOnHoldStart",
    "MusicOnHoldStop",
    "MixMonitorStart",
    "MixMonitorStop",
    "SoftHangupRequest",
    "DTMFBegin",
    "RTCPSent",
    "RTCPReceived",
    "QueueMemberStatus",
)
"""The AMI events that every call makes and nobody asks for. A filter only keeps them from being sent: with a client
logged in each is put together first, one for every step of the dialplan, a seventh of Asterisk's work for a call."""

CEL_FIELDS: Final = (
    "eventenum",
    "userdeftype",
    "eventtime",
    "uniqueid",
    "linkedid",
    "channel",
    "context",
    "exten",
    "app",
    "peer",
    "caller",
    "extra",
)
"""Columns of `cel-custom/callcore.csv`. `eventtime` is `<epoch seconds>.<6 digits>`; `extra` is JSON or text."""

_CEL_SOURCES: Final = (
    "${eventenum}",
    "${userdeftype}",
    "${eventtime}",
    "${CHANNEL(uniqueid)}",
    "${CHANNEL(linkedid)}",
    "${CHANNEL(channame)}",
    "${CHANNEL(context)}",
    "${CHANNEL(exten)}",
    "${CHANNEL(appname)}",
    "${BRIDGEPEER}",
    "${CALLERID(num)}",
    "${eventextra}",
)

CDR_FIELDS: Final = (
    "uniqueid",
    "linkedid",
    "sequence",
    "src",
    "dst",
    "dcontext",
    "channel",
    "dstchannel",
    "lastapp",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
)
"""Columns of `cdr-custom/callcore.csv`. The three times are epoch seconds with 6 digits, empty if there was none."""

CEL_FILE: Final = Path("cel-custom/callcore.csv")
CDR_FILE: Final = Path("cdr-custom/callcore.csv")
"""Below the log folder."""

SOUND_KINDS: Final = ("recording_notice", "greeting", "closed", "apology")
DISPLAY_MOST: Final = 40
"""Characters of a centre's name on a display; the rest of the line is the caller's."""
REFUSAL_KINDS: Final = ("blocked", "withheld", "outsider")
OVERFLOW_SOUND: Final = "overflow"
"""What a caller hears whose wait is ended by an overflow rule; needed by a centre that has such a rule only."""

_KEYS: Final = (*((digit, digit) for digit in "0123456789"), ("star", "*"), ("hash", "#"))
"""The keys of a phone, with the names that Asterisk's features have here."""

CLOSED_SOUND: Final = "closed"
EMERGENCY_SOUND: Final = "emergency"
"""What a caller hears in an emergency closure; where a centre has none, the announcement `closed`."""

_TEMPLATES: Final = (
    "asterisk.conf",
    "cdr.conf",
    "cdr_custom.conf",
    "cel.conf",
    "cel_custom.conf",
    "dsp.conf",
    "extensions.conf",
    "features.conf",
    "http.conf",
    "indications.conf",
    "logger.conf",
    "manager.conf",
    "modules.conf",
    "musiconhold.conf",
    "pjproject.conf",
    "pjsip.conf",
    "queues.conf",
    "rtp.conf",
)
_STATIC: Final = (
    "callcore.conf",
    "colleagues.conf",
    "departments.conf",
    "keys.conf",
    "menu.conf",
    "message.conf",
    "phones.conf",
    "transfer.conf",
    "watch.conf",
)
_EMPTY: Final = ("acl.conf", "ccss.conf", "pjsip_notify.conf", "queuerules.conf", "stasis.conf", "udptl.conf")
"""Asterisk looks for these and logs an error if they are not there; its own defaults are right."""

KEPT_SOUNDS: Final = "callcore-kept"
"""Below Asterisk's sounds folder: `kept_dir`."""

MUSIC_PIECES: Final = "pieces"
"""Below `lib_dir`: the music on hold, cut."""

VERSION_FILE: Final = "callcore.version"
"""Beside Asterisk's files: the version of the configuration that they were rendered from."""

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
"""Of renameat2(2)."""

_SOCKET_LIMIT: Final = 107
"""Bytes of a Unix socket's path: `sun_path` has 108 with its end (unix(7))."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@+~-][A-Za-z0-9_./:@+~ -]*")
_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_ID_LONG: Final = re.compile(r"[a-z][a-z0-9-]{1,79}")
_TARGET: Final = re.compile(r"[a-z0-9_-]{0,80}")
_NODE: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
_DIGITS: Final = re.compile(r"\+?[0-9]{1,20}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_SOUND: Final = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_NO_DISPLAY: Final = re.compile(r"[^\w 　・ー（）.-]")
"""What a display's text must not hold: in some place of Asterisk's files it would mean something."""
_KIND: Final = re.compile(r"[a-z][a-z_]{0,31}")
_AUDIO: Final = re.compile(r"[0-9a-f]{16}")
_RESERVED: Final = frozenset({"general", "global", "system", "trunk", "trunk-identify", "globals", "default"})


class RenderError(ValueError):
    """A value that Asterisk's configuration cannot hold. Says which, in Japanese and English."""


@dataclass(frozen=True, slots=True)
class PbxSettings:
    """What one Asterisk needs beside the centre files. Folders are absolute."""

    node: NodeId
    """`systemname`: the front part of every unique id. Lower-case letters and digits."""
    etc_dir: Path
    run_dir: Path
    """Holds the control socket, so its path has to be short (107 bytes with `/asterisk.ctl`)."""
    log_dir: Path
    lib_dir: Path
    """AstDB, sounds, keys."""
    spool_dir: Path
    recordings_dir: Path
    modules_dir: Path
    data_dir: Path
    """Asterisk's own data (`documentation/`, `sounds/`)."""
    prompts_dir: Path
    """`ivr_prompts/`; seen by Asterisk as `sounds/callcore`."""
    kept_dir: Path
    """What was ever played of the announcements, each piece under its audio id; `sounds/callcore-kept`."""
    music_dir: Path
    """Hold music, 8 kHz mono wav."""
    ami_port: int
    ami_secret: str
    sip_port: int
    rtp_first: int
    rtp_last: int
    phone_secrets: Mapping[PhoneId, str]
    """SIP passwords, one for each phone of the centre files."""
    callers_salt: str = "0" * 16
    """Of the hashes by which unwelcome callers stand in AstDB; each installation has its own."""
    trunk_hosts: tuple[str, ...] = ()
    trunk_out: str = ""
    """`address` or `address:port` that calls to outside numbers are sent to; empty: there is none."""
    """Addresses or networks that the carrier's calls come from."""
    trunk_dtmf: str = "rfc4733"
    """PJSIP's `dtmf_mode`: `rfc4733`, `info`, `inband`, `auto`."""
    trunk_shows_caller: bool = False
    """Whether the carrier lets a call to a department show the number of the citizen who is put through."""
    ami_host: str = "127.0.0.1"
    sip_host: str = "0.0.0.0"  # noqa: S104  a desk phone must reach it; the demo and the tests give a loopback address
    asterisk_version: str = "22.0.0"
    phone_rtp_timeout_s: int = 30
    """A phone in a talk that sends nothing for so long is held for gone. Phones must not suppress silence."""
    qualify_s: int = 30
    """How often each phone is asked whether it is there."""
    tls_port: int = 0
    """SIP over TLS for desk phones; 0: there is none."""
    tls_certificate_port: int = 0
    """The same for models with a certificate of their maker, which has to be shown; 0: nobody asks for it."""
    tls_dir: Path | None = None
    """Holds `server.pem` and `server.key`; needed by the two ports."""
    client_cas: Path | None = None
    """The makers' CAs, PEM."""
    project_dir: Path = field(default_factory=lambda: Path(__file__).resolve().parents[3])
    """Where `asterisk/` and `dialplans/` are."""


@dataclass(frozen=True, slots=True)
class _SoundView:
    name: str
    """What stands behind `CALLCORE_SOUND_<centre>_`: `<kind>`, or `<kind>_<language>`."""
    path: str
    """Below Asterisk's own sounds folder."""


@dataclass(frozen=True, slots=True)
class _OutView:
    extension: str
    why: str
    to: str
    number: str


@dataclass(frozen=True, slots=True)
class _ContactView:
    digits: str
    centre: str
    language: str
    where: str
    why: str
    """`forward`: passed on, and recorded; else `contact`."""


@dataclass(frozen=True, slots=True)
class _HoldView:
    language: str
    entries: tuple[str, ...]
    """What is played in turn, by absolute path without ending; empty: the music alone."""


@dataclass(frozen=True, slots=True)
class _CentreView:
    id: str
    zone: str
    weekly: tuple[str, ...]
    sounds: tuple[_SoundView, ...]
    phrases: tuple[_SoundView, ...]
    """The folders of numbers, times and dates, behind `CALLCORE_SPOKEN_`: `<centre>`, `<centre>_<language>`."""
    display: str
    display_roman: str
    shown: str
    outgoing_ring_s: int
    emergency: tuple[str, ...]
    emergencies: tuple[tuple[str, str], ...]
    """(extension, number): with and without the prefix, for nobody thinks of it then."""
    out_lines: tuple[_OutView, ...]
    lamps: tuple[tuple[str, str], ...]
    departments: tuple[_DepartmentView, ...]
    blocked: str
    withheld: str
    blind: str
    back_s: int
    record_consult: str
    record_after: str
    stereo: str
    supervisors: _Dialplan
    """Phones, with commas between them."""
    only_from: _Dialplan
    refusals: tuple[tuple[str, str], ...]
    """(`blocked`, `withheld` or `outsider`, the languages in which it is said one after the other)."""
    menus: tuple[_MenuView, ...]
    closed_menu: _Dialplan
    """Empty, and not left out, where there is none: a global that is left out keeps its value over a reload."""
    messages: str
    """Seconds of the longest message, and of the silence that ends one: longest~silence."""
    holds: tuple[_HoldView, ...]


@dataclass(frozen=True, slots=True)
class _DepartmentView:
    id: str
    short: str
    number: str
    instead: str
    """Its substitute, or empty."""
    whose: str
    """Under which its hours stand: `dept~<id>`."""
    zone: str
    weekly: tuple[str, ...]
    ours: str
    """`yes`: its number is a centre's of this installation, which knows callers by it: it is not shown another."""


@dataclass(frozen=True, slots=True)
class _MenuView:
    id: str
    spec: str
    said: tuple[tuple[str, str], ...]
    """(language, sounds)."""
    keys: tuple[tuple[str, str], ...]
    """(key, what~to~language)."""
    spoken: tuple[tuple[str, str], ...]
    """Of a choice of languages: (language, what~to~language)."""


@dataclass(frozen=True, slots=True)
class _NumberView:
    digits: str
    centre: str
    queue: str
    language: str
    menu: str


@dataclass(frozen=True, slots=True)
class _QueueView:
    id: str
    centre: str
    ring_s: int
    acw_s: int
    longest_wait_s: int
    lamp: str
    subject: _Dialplan
    """The sound that a department hears; empty: none."""


@dataclass(frozen=True, slots=True)
class _PhoneView:
    id: str
    centre: str
    language: str
    secret: str
    roman: bool
    extension: str
    transport: str
    """Empty: the one that the phone came by."""
    lamps: tuple[tuple[str, str], ...]
    """Code and device state."""


def render(configuration: Configuration, settings: PbxSettings) -> dict[str, bytes]:
    """File name in `etc_dir` → content. Raises RenderError for a value that must not stand in a configuration."""
    _check_settings(settings)
    centres = sorted(configuration.centres, key=lambda centre: centre.id)
    _check_unique(centres)
    _check_phones(centres, settings)
    ours = {number.digits for centre in centres for number in centre.numbers}
    context = {
        "pbx": settings,
        "entity": _entity(settings.node),
        "modules": MODULES,
        "optional_modules": OPTIONAL_MODULES,
        "events": EVENTS,
        "unmade_events": _Dialplan(",".join(UNMADE_EVENTS)),
        "advanced_filters": _filters_by_name(settings.asterisk_version),
        "trunk_hosts": tuple(sorted(settings.trunk_hosts)),
        "centres": [_centre_view(centre, settings, ours) for centre in centres],
        "numbers": _number_views(centres),
        "contacts": _contact_views(centres),
        "tongues": [(language, _shown(name)) for language, name in TONGUES.items()],
        "carrier": _carrier(settings.trunk_out),
        "queues": _queue_views(centres),
        "phones": _phone_views(centres, settings),
        "keys": [(name, _Dialplan(key)) for name, key in _KEYS],
        "connect": _Dialplan(dialplan.CONNECT_CODE),
        "pause": _Dialplan(dialplan.TALK_CODES[TalkKey.RECORDING]),
        "talk_keys": [(code, key.value) for key, code in dialplan.TALK_CODES.items()],
        "cel_fields": _Dialplan(",".join(f"${{CSV_QUOTE({source})}}" for source in _CEL_SOURCES)),
        "cdr_fields": _Dialplan(",".join(f"${{CSV_QUOTE(${{CDR({_cdr_source(f)})}})}}" for f in CDR_FIELDS)),
    }
    templates = environment(settings.project_dir / "asterisk", _plain)
    files = {name: templates.get_template(f"{name}.j2").render(context).encode() for name in _TEMPLATES}
    files |= dict.fromkeys(_EMPTY, b"; Rendered by callcore: empty on purpose.\n")
    for name in _STATIC:
        files[name] = (settings.project_dir / "dialplans" / name).read_bytes()
    return files


def write(configuration: Configuration, settings: PbxSettings) -> dict[str, bytes]:
    """Render, make Asterisk's folders and put the files there, each by rename and readable by the owner only.

    Nothing is written if the rendering fails. Returns what `render` returned.
    """
    files = render(configuration, settings)
    _make_folders(settings)
    _keep_sounds(configuration, settings)
    _cut_music(configuration, settings)
    for name, content in (*files.items(), (VERSION_FILE, configuration.version.encode())):
        target = settings.etc_dir / name
        aside = settings.etc_dir / f".{name}.new"
        aside.unlink(missing_ok=True)
        _put(aside, content)
        aside.replace(target)
    return files


def stage(configuration: Configuration, files: Mapping[str, bytes], settings: PbxSettings) -> Path:
    """Put rendered files into a folder beside `etc_dir`, all of them on the disk before this returns."""
    _make_folders(settings)
    _keep_sounds(configuration, settings)
    _cut_music(configuration, settings)
    folder = settings.etc_dir.with_name(f"{settings.etc_dir.name}.new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, content in (*files.items(), (VERSION_FILE, configuration.version.encode())):
        _put(folder / name, content)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return folder


def exchange(one: Path, other: Path) -> None:
    """Two folders of one file system take each other's place, in one instant (renameat2(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def rendered_version(etc_dir: Path) -> str | None:
    """The version of the configuration that Asterisk's files were rendered from; None: not known."""
    try:
        return (etc_dir / VERSION_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def templates(project_dir: Path) -> str:
    """A digest of what the files are rendered with, so that a software that was replaced under a running one shows."""
    digest = hashlib.sha256()
    for path in sorted(
        [*(project_dir / "asterisk").glob("*.j2"), *(project_dir / "dialplans" / name for name in _STATIC)]
    ):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _put(path: Path, content: bytes) -> None:
    """A new file for its owner only, on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class _Dialplan(str):
    """Text of our own that is meant to be dialplan code; the only thing that `_plain` lets through unread."""

    __slots__ = ()


def _plain(value: object) -> object:
    """Every `{{ … }}` of a template passes here."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, _Dialplan | int):
        return value
    text = str(value)
    if not _PLAIN.fullmatch(text) or text != text.strip():
        raise _refused("a value / 値", text, "letters, digits and _ . / : @ + ~ -")
    return text


def _refused(what: str, value: str, allowed: str) -> RenderError:
    return RenderError(
        f"{what}: {value!r} cannot stand in Asterisk's configuration; use {allowed}. / "
        f"{what}: {value!r} は Asterisk の設定に書けません。使える文字: {allowed}"
    )


def _match(pattern: re.Pattern[str], what: str, value: str) -> str:
    if not pattern.fullmatch(value):
        raise _refused(what, value, pattern.pattern)
    return value


def _check_settings(settings: PbxSettings) -> None:
    _match(_NODE, "node / ノード名", settings.node)
    _match(_SECRET, "AMI secret / AMI の秘密", settings.ami_secret)
    _match(_SECRET, "salt / ハッシュの塩", settings.callers_salt)
    if not ip_address(settings.ami_host).is_loopback:
        raise RenderError(
            f"AMI must listen on loopback only, not on {settings.ami_host}. / "
            f"AMI は {settings.ami_host} ではなくループバック (127.x) だけで待ち受けてください。"
        )
    ip_address(settings.sip_host)
    for host in settings.trunk_hosts:
        ip_network(host)
    for name in (
        "etc",
        "run",
        "log",
        "lib",
        "spool",
        "recordings",
        "modules",
        "data",
        "prompts",
        "kept",
        "music",
    ):
        path: Path = getattr(settings, f"{name}_dir")
        if not path.is_absolute():
            raise RenderError(
                f"{name}_dir must be absolute: {path} / {name}_dir は絶対パスで書いてください: {path}"
            )
        _plain(path)
    socket = len(os.fsencode(settings.run_dir / "asterisk.ctl"))
    if socket > _SOCKET_LIMIT:
        raise RenderError(
            f"run_dir is too long for a socket ({socket} > {_SOCKET_LIMIT} bytes): {settings.run_dir}; "
            f"choose a shorter CALLCORE_HOME. / run_dir がソケットには長すぎます。CALLCORE_HOME を短くしてください。"
        )
    if bool(settings.tls_certificate_port) != (settings.client_cas is not None):
        raise RenderError(
            "CALLCORE_SIP_TLS_CERTIFICATE_PORT and CALLCORE_SIP_CLIENT_CAS: set both, or neither. / "
            "CALLCORE_SIP_TLS_CERTIFICATE_PORT と CALLCORE_SIP_CLIENT_CAS は、両方を設定するか、"
            "どちらも設定しないでください。"
        )
    if not 0 < settings.rtp_first < settings.rtp_last < 65536:
        raise RenderError(f"RTP ports / RTP ポート: {settings.rtp_first}-{settings.rtp_last}")


def _check_unique(centres: Iterable[Centre]) -> None:
    """Names share one space: sections of one file, extensions of one context, variables of one table."""
    seen: set[tuple[str, str]] = set()
    for centre in centres:
        names = [("centre", str(centre.id))]
        names += [("number", number.digits) for number in centre.numbers]
        names += [("number", contact.digits) for contact in centre.contacts]
        names += [("queue", str(queue.id)) for queue in centre.queues]
        names += [("phone", str(phone.id)) for phone in centre.phones]
        names += [("extension", phone.extension) for phone in centre.phones if phone.extension is not None]
        for name in names:
            if name in seen:
                raise RenderError(
                    f"{name[0]} {name[1]!r} exists twice. / {name[0]} {name[1]!r} が重複しています。"
                )
            if name[1] in _RESERVED or name[1].startswith("callcore"):
                raise RenderError(
                    f"{name[0]} {name[1]!r} is a reserved name. / {name[0]} {name[1]!r} は予約済みの名前です。"
                )
            seen.add(name)


def _check_phones(centres: Iterable[Centre], settings: PbxSettings) -> None:
    """No simulated phone where a real one could call, and TLS where the inventory wants it."""
    for phone in (phone for centre in centres for phone in centre.phones):
        if phone.maker == SIMULATED.id and not ip_address(settings.sip_host).is_loopback:
            raise RenderError(
                f"phone {phone.id} is a simulated one, for the demo and tests: it cannot stand in an installation "
                f"whose SIP listens on {settings.sip_host}. Write the maker of the desk phone. / "
                f"電話機 {phone.id} はデモと試験用の模擬電話機です。SIP が {settings.sip_host} で待ち受ける設備では"
                "使えません。実機のメーカーを書いてください。"
            )
        if phone.maker and phone.transport == "tls" and not settings.tls_port:
            raise RenderError(
                f"phone {phone.id} registers over TLS, and CALLCORE_SIP_TLS_PORT is 0. / "
                f"電話機 {phone.id} は TLS で登録しますが、CALLCORE_SIP_TLS_PORT が 0 です。"
            )


def _centre_view(centre: Centre, settings: PbxSettings, ours: Set[str]) -> _CentreView:
    _match(_ID, "centre / センター", centre.id)
    language = _match(_LANGUAGE, "language / 言語", centre.languages[0])
    announced = any(
        rule.treatment is Treatment.ANNOUNCE for queue in centre.queues for rule in queue.overflow
    )
    outgoing = centre.outgoing
    for kind in (*SOUND_KINDS, OVERFLOW_SOUND) if announced else SOUND_KINDS:
        if not any(a.kind == kind and a.language == language for a in centre.announcements):
            raise RenderError(
                f"centre {centre.id} has no announcement {kind!r} in {language!r}. / "
                f"センター {centre.id} に {language!r} の案内 {kind!r} がありません。"
            )
    return _CentreView(
        id=centre.id,
        zone=_posix_zone(centre.calendar.zone),
        weekly=tuple(_windows(day) for day in centre.calendar.weekly),
        sounds=tuple(_sound_views(centre, language)),
        phrases=tuple(_phrase_views(centre, language)),
        display=_shown(shown.centre_name(centre, roman=False)),
        display_roman=_shown(shown.centre_name(centre, roman=True), roman=True),
        shown=_match(
            _DIGITS,
            "number / 電話番号",
            min(n.digits for n in centre.numbers) if outgoing is None else outgoing.number,
        ),
        outgoing_ring_s=60 if outgoing is None else outgoing.ring_s,
        emergency=() if outgoing is None else tuple(sorted(set(outgoing.emergency) & set(EMERGENCY))),
        emergencies=_emergencies("" if outgoing is None else outgoing.prefix),
        out_lines=tuple(_out_views(outgoing, [each.number for each in centre.departments])),
        lamps=(
            *((_Dialplan(code), dialplan.lamp(code, centre.id)) for code in (lamps.HELP, lamps.EMERGENCY)),
            *(
                (_Dialplan(directory.code(each)), dialplan.lamp(dialplan.DEPARTMENT, each.id))
                for each in centre.departments
            ),
        ),
        departments=tuple(_department_view(each, ours) for each in centre.departments),
        menus=tuple(_menu_view(centre, menu) for menu in centre.menus),
        closed_menu=_Dialplan(
            _match(_ID_LONG, "menu / メニュー", centre.closed_menu) if centre.closed_menu else ""
        ),
        messages=_Dialplan(f"{centre.messages.longest_s}~{centre.messages.silence_s}"),
        blocked=centre.blocked.value,
        withheld=centre.withheld.value,
        holds=tuple(_hold_views(centre, settings)),
        blind="yes" if centre.transfers.blind else "no",
        back_s=centre.transfers.back_s,
        record_consult="yes" if centre.transfers.record_consult else "no",
        record_after=centre.transfers.record_after.value,
        stereo="yes" if centre.recordings.channels is Channels.STEREO else "no",
        supervisors=_Dialplan(",".join(centre.transfers.supervisors)),
        only_from=_Dialplan(_few(centre.only_from)),
        refusals=tuple(_refusals(centre)),
    )


def _hold_views(centre: Centre, settings: PbxSettings) -> Iterator[_HoldView]:
    """The music of each of the centre's languages for who is on hold: a piece, the phrase, the next piece, …"""
    phrases = {told.language: told for told in centre.announcements if told.kind == shelf.ON_HOLD}
    for language in centre.languages:
        entries: list[str] = []
        if language in phrases and centre.hold.phrase_every_s:
            phrase = str(settings.lib_dir / "sounds" / _sound_path(phrases[language]))
            for piece in pieces.names(settings.lib_dir / MUSIC_PIECES, centre.hold.phrase_every_s):
                entries += (str(piece), phrase)
        yield _HoldView(_match(_LANGUAGE, "language / 言語", language), tuple(entries))


def _few(numbers: tuple[str, ...]) -> str:
    """`,<number>,<number>,`, so that a whole number is found between two commas; empty: everybody is served."""
    named = [_match(_DIGITS, "caller / 発信番号", each) for each in numbers]
    return f",{','.join(named)}," if named else ""


def _refusals(centre: Centre) -> Iterator[tuple[str, str]]:
    """In the centre's order; of several that share one sound (a substitute), the first. Empty, and not left out, where
    there are no words for it: a global that is left out keeps its value over a reload."""
    for kind in REFUSAL_KINDS:
        said = {told.language: _sound_path(told) for told in centre.announcements if told.kind == kind}
        heard: dict[str, str] = {}
        for language in centre.languages:
            if language in said:
                heard.setdefault(said[language], _match(_LANGUAGE, "language / 言語", language))
        yield kind, _Dialplan(",".join(heard.values()))


def _menu_view(centre: Centre, menu: Menu) -> _MenuView:
    name = _match(_ID_LONG, "menu / メニュー", menu.id)
    paths = {(told.kind, told.language): _sound_path(told) for told in centre.announcements}
    said = []
    for language in centre.languages:
        asked = [key.language or "" for key in menu.keys] if menu.languages else [language]
        missing = [each for each in asked if (menu.say, each) not in paths]
        if missing:
            raise RenderError(
                f"menu {name} has no announcement {menu.say!r} in {missing[0]!r}. / "
                f"メニュー {name} に {missing[0]!r} の案内 {menu.say!r} がありません。"
            )
        sounds = dict.fromkeys(paths[menu.say, each] for each in asked)  # two may have one substitute
        said.append((_match(_LANGUAGE, "language / 言語", language), _Dialplan("&".join(sounds))))
    keys = []
    for key in menu.keys:
        to = _match(_TARGET, "menu's target / 行き先", key.to)
        language = _match(_LANGUAGE, "language / 言語", key.language) if key.language else ""
        named = next(name for name, sign in _KEYS if sign == key.key)
        taped = "" if key.record or key.choice is not Choice.FORWARD else "~unrecorded"
        keys.append((named, _Dialplan(f"{key.choice.value}~{to}~{language}{taped}")))
    spoken = tuple((key.language, what[1]) for key, what in zip(menu.keys, keys, strict=True) if key.language)
    spec = f"{menu.timeout_s}~{menu.tries}~{'languages' if menu.languages else '-'}"
    return _MenuView(name, _Dialplan(spec), tuple(said), tuple(keys), spoken if menu.languages else ())


def _sound_views(centre: Centre, first: str) -> Iterator[_SoundView]:
    """The announcements of the language that the centre speaks first, then those of each language by name.

    `CALLCORE_SOUND_<centre>_<kind>_<language>` is there for every language of the centre, so a dialplan that knows a
    caller's language falls back to the name without one only for who has none. In an emergency closure a language
    without its own words for that hears the announcement `closed`.
    """
    paths = {(told.kind, told.language): _sound_path(told) for told in centre.announcements}
    for (kind, language), path in tuple(paths.items()):
        if kind == CLOSED_SOUND:
            paths.setdefault((EMERGENCY_SOUND, language), path)
    for (kind, language), path in paths.items():
        if language == first:
            yield _SoundView(_match(_KIND, "kind / 種類", kind), path)
    for (kind, language), path in paths.items():
        tongue = _match(_LANGUAGE, "language / 言語", language)
        yield _SoundView(f"{_match(_KIND, 'kind / 種類', kind)}_{tongue}", path)


def _phrase_views(centre: Centre, first: str) -> Iterator[_SoundView]:
    """Numbers, times and dates of every language of the centre, or of the one that is heard in its place."""
    instead = dict(centre.phrases)
    folders = {
        language: f"callcore/{_match(_LANGUAGE, 'language / 言語', instead.get(language, language))}/{shelf.SPOKEN}"
        for language in centre.languages
    }
    yield _SoundView(centre.id, folders[first])
    for language, folder in folders.items():
        yield _SoundView(f"{centre.id}_{_match(_LANGUAGE, 'language / 言語', language)}", folder)


def _sound_path(told: Announcement) -> str:
    """A piece of audio that is kept, so that what is built meanwhile is not heard before it is applied."""
    if told.audio:
        return f"{KEPT_SOUNDS}/{_match(_AUDIO, 'audio / 音声', told.audio)}"
    return f"callcore/{_match(_SOUND, 'sound / 音声', told.sound)}"


def _shown(text: str, *, roman: bool = False) -> _Dialplan:
    """A text for a phone's display: letters and digits of any script, and signs that no format takes for its own."""
    fits = re.fullmatch(r"[A-Za-z0-9 .-]+", text) if roman else text and not shown.NOT_SHOWN.search(text)
    if len(text) > shown.MOST or not fits:
        raise RenderError(
            f"display: {text!r} cannot be shown; letters and digits, at most {shown.MOST}. / "
            f"電話機に表示できません: {text!r}。文字と数字で {shown.MOST} 字まで"
        )
    return _Dialplan(text)


def _emergencies(prefix: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{front}{digits}", digits) for front in dict.fromkeys(("", prefix)) for digits in EMERGENCY
    )


def _department_view(department: Department, ours: Set[str]) -> _DepartmentView:
    name = _match(_ID_LONG, "department / 部署", department.id)
    instead = department.substitute
    return _DepartmentView(
        id=name,
        short=_match(_DIGITS, "short number / 短縮番号", department.short),
        number=_match(_DIGITS, "number / 電話番号", department.number),
        instead="" if instead is None else _match(_ID_LONG, "department / 部署", instead),
        whose=dialplan.hours_of(department.id),
        zone=_posix_zone(department.calendar.zone),
        weekly=tuple(_windows(day) for day in department.calendar.weekly),
        ours="yes" if department.number in ours else "no",
    )


def _out_views(outgoing: Outgoing | None, departments: Iterable[str]) -> Iterator[_OutView]:
    """One extension for each pattern. The prefix is taken off before the number goes on."""
    prefix = "" if outgoing is None else outgoing.prefix
    if prefix:
        _match(_DIGITS, "prefix / 外線番号", prefix)
    number = _Dialplan(f"${{EXTEN:{len(prefix)}}}" if prefix else "${EXTEN}")
    for line in numbering.lines(outgoing, departments):
        if re.fullmatch(r"[0-9X.\[\]-]+", line.pattern) is None:
            raise RenderError(f"number / 電話番号: {line.pattern!r}")
        to = "callcore-dial" if line.allowed else "callcore-denied"
        extension = f"{prefix}{line.pattern}"
        yield _OutView(_Dialplan(extension if line.exact else f"_{extension}"), line.why, to, number)


def _carrier(address: str) -> _Dialplan:
    """Where outside calls go: `address`, or `address:port`. Checked here, for it becomes part of a Dial string."""
    if not address:
        return _Dialplan("")
    host, _, port = address.partition(":")
    try:
        ip_address(host)
        fits = not port or 0 < int(port) < 65536
    except ValueError:
        fits = False
    if not fits:
        raise RenderError(f"outgoing trunk / 発信先の回線: {address!r}")
    return _Dialplan(address)


def _windows(day: tuple[Window, ...]) -> _Dialplan:
    """Seconds of the local day, `opens-closes[,…]`, or `closed`; the shape that the dialplan reads."""
    return _Dialplan(",".join(f"{int(w.opens)}-{int(w.closes)}" for w in day) or "closed")


def _number_views(centres: Iterable[Centre]) -> list[_NumberView]:
    return [
        _NumberView(
            digits=_match(_DIGITS, "number / 電話番号", number.digits),
            centre=centre.id,
            queue=_match(_ID, "queue / 待ち行列", number.queue),
            language=centre.languages[0],
            menu=_match(_ID_LONG, "menu / メニュー", number.menu) if number.menu else "",
        )
        for centre in centres
        for number in sorted(centre.numbers, key=lambda number: number.digits)
    ]


def _contact_views(centres: Iterable[Centre]) -> list[_ContactView]:
    views = []
    for centre in centres:
        for contact in sorted(centre.contacts, key=lambda each: each.digits):
            phones = ",".join(_match(_ID, "phone / 電話機", phone) for phone in contact.phones)
            if contact.forward is not None:
                where = f"CALLCORE_TO={_match(_DIGITS, 'number / 電話番号', contact.forward)}"
            else:
                where = f"CALLCORE_LIST={phones}"
            digits = _match(_DIGITS, "number / 電話番号", contact.digits)
            why = FORWARDED if contact.forward is not None and contact.record else SideKind.CONTACT.value
            views.append(_ContactView(digits, centre.id, centre.languages[0], _Dialplan(where), why))
    return views


def _queue_views(centres: Iterable[Centre]) -> list[_QueueView]:
    return [
        _QueueView(
            id=_match(_ID, "queue / 待ち行列", queue.id),
            centre=centre.id,
            ring_s=queue.ring_s,
            acw_s=queue.acw_s,
            longest_wait_s=queue.longest_wait_s,
            lamp=dialplan.lamp("queue", queue.id),
            subject=_Dialplan(_subject(centre, queue)),
        )
        for centre in centres
        for queue in sorted(centre.queues, key=lambda queue: queue.id)
    ]


def _subject(centre: Centre, queue: Queue) -> str:
    for told in centre.announcements:
        if told.kind == queue.subject and told.language == centre.languages[0]:
            return _sound_path(told)
    return ""


def _phone_views(centres: Iterable[Centre], settings: PbxSettings) -> list[_PhoneView]:
    views = []
    for centre in centres:
        for phone in sorted(centre.phones, key=lambda phone: phone.id):
            secret = settings.phone_secrets.get(phone.id)
            if secret is None:
                raise RenderError(
                    f"phone {phone.id} has no SIP secret. / 電話機 {phone.id} の SIP パスワードがありません。"
                )
            views.append(
                _PhoneView(
                    id=_match(_ID, "phone / 電話機", phone.id),
                    centre=centre.id,
                    language=centre.languages[0],
                    secret=_match(_SECRET, f"SIP secret of {phone.id}", secret),
                    roman=phone.display is Display.ROMAN,
                    extension=""
                    if phone.extension is None
                    else _match(_DIGITS, "extension / 内線", phone.extension),
                    transport="callcore-udp" if phone.transport == "udp" else "",
                    lamps=tuple(
                        (_Dialplan(code), dialplan.lamp(code, phone.id))
                        for code, _ in lamps.of_phone(centre, None, None)
                    ),
                )
            )
    return views


def _cdr_source(column: str) -> str:
    """`u`: unformatted, so that a time has its microseconds and no time zone."""
    return f"{column},u" if column in ("start", "answer", "end") else column


def _entity(node: str) -> str:
    """A locally administered MAC address (RFC 7042 §2.1) that is this node's own."""
    digest = hashlib.sha256(f"callcore {node}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _filters_by_name(version: str) -> bool:
    """Whether this Asterisk knows `eventfilter(name(…))`: 20.10, 21.5, 22.0 and later."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        raise RenderError(f"Asterisk version / Asterisk のバージョン: {version!r}")
    major, minor = int(found[1]), int(found[2])
    return minor >= {20: 10, 21: 5}.get(major, 0) and major >= 20


def _posix_zone(zone: str) -> str:
    """`JST-9` for `Asia/Tokyo`: the rule that holds from now on, as RFC 8536 §3.3 keeps it in the zone's footer.

    Asterisk reads a name from the host's zoneinfo and silently takes UTC where there is none; a rule needs no file.
    A zone with summer time has commas in its rule, which the dialplan would take for the next argument: there the
    name stays, and the host needs tzdata.
    """
    _match(re.compile(r"[A-Za-z_+-]+(/[A-Za-z0-9_+-]+)*"), "time zone / タイムゾーン", zone)
    for folder in TZPATH:
        if (file := Path(folder) / zone).is_file():
            data = file.read_bytes()
            break
    else:
        try:
            data = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
        except (FileNotFoundError, ModuleNotFoundError) as error:
            raise RenderError(f"unknown time zone {zone!r} / 不明なタイムゾーン {zone!r}") from error
    rule = data.rsplit(b"\n", 2)[-2].decode("ascii", "replace")
    return rule if re.fullmatch(r"[A-Z]{3,5}[+-]?[0-9]{1,2}(:[0-9]{2})?", rule) else zone


def _keep_sounds(configuration: Configuration, settings: PbxSettings) -> None:
    """What these announcements play is there before Asterisk is told of it."""
    told = (each for centre in configuration.centres for each in centre.announcements if each.audio)
    shelf.keep(settings.prompts_dir, settings.kept_dir, ((each.sound, each.audio) for each in told))


def _cut_music(configuration: Configuration, settings: PbxSettings) -> None:
    """Likewise the pieces of music between the phrases for who is on hold."""
    lengths = {
        centre.hold.phrase_every_s
        for centre in configuration.centres
        if any(told.kind == shelf.ON_HOLD for told in centre.announcements)
    }
    for every_s in sorted(lengths - {0}):
        try:
            pieces.cut(settings.music_dir, settings.lib_dir / MUSIC_PIECES, every_s)
        except pieces.NoMusic as error:
            raise RenderError(
                f"{settings.music_dir} holds no music as 8 kHz mono 16 bit wav; put some there, or write "
                f"phrase_every_s = 0 under [hold]. / {settings.music_dir} に 8 kHz モノラル 16 ビットの wav の"
                "保留音がありません。置くか、[hold] に phrase_every_s = 0 と書いてください。"
            ) from error


def _make_folders(settings: PbxSettings) -> None:
    own = (settings.etc_dir, settings.run_dir, settings.log_dir, settings.lib_dir, settings.spool_dir)
    for folder in (*own, settings.recordings_dir, settings.kept_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Without its folder cel_custom loses every record with a single line in the log.
    for folder in (settings.log_dir / "cel-custom", settings.log_dir / "cdr-custom"):
        folder.mkdir(mode=0o700, exist_ok=True)
    for folder in (settings.lib_dir / "keys", settings.lib_dir / "sounds", settings.spool_dir / "monitor"):
        folder.mkdir(mode=0o700, exist_ok=True)
    # Modules whose options are not in the documentation refuse to load.
    _link(settings.lib_dir / "documentation", settings.data_dir / "documentation")
    _link(settings.lib_dir / "sounds" / "callcore", settings.prompts_dir)
    _link(settings.lib_dir / "sounds" / KEPT_SOUNDS, settings.kept_dir)
    tone.write(settings.lib_dir / "sounds")


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    aside = link.with_name(f".{link.name}.new")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(link)
