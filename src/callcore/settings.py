"""Settings, folders and secrets. Every option is an environment variable `CALLCORE_…`.

A name that no option has, and a value that an option cannot have, stop the start with a suggestion.

Secrets are generated at the first run, owner-only, and never have a default.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from callcore.access.rights import Role
from callcore.domain.ids import NodeId, PhoneId
from callcore.files import write_whole

PROJECT = Path(__file__).resolve().parents[2]

SOCKET_PATH_MOST = 80
"""Bytes of a folder that may hold Unix sockets: `sun_path` has 108 with the file's name and its end (unix(7))."""


PLAIN = "passwords-travel-unencrypted"
"""What `CALLCORE_WEB_PLAIN` must say, so that nobody says it without having read it."""

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

OTHER_NAMES = frozenset(
    {
        "ASTERISK_SOURCE",
        "CACHE",
        "CALL_JOBS",
        "DEBIAN_MIRROR",
        "EVIDENCE",
        "PYTHON",
        "SEED",
        "SOAK_N",
        "TRY_INSIDE",
    }
)
"""What set-up, tests and soak read; beside these all `TEST_…` and `RACE_…`."""


class SettingsError(ValueError):
    """An environment that cannot be used. Says which variable, and what to write instead."""


class Settings(BaseSettings):
    """What one installation is. Ports are TCP or UDP port numbers, lengths of time seconds."""

    model_config = SettingsConfigDict(env_prefix="CALLCORE_", extra="ignore", frozen=True)

    home: Path = PROJECT / "var"
    """All state: journal, keys, recordings, database, Asterisk's own folders."""
    centres: Path = PROJECT / "centres"
    """The folder of the centre files."""
    prompts: Path = PROJECT / "ivr_prompts"
    node: str = "node1"
    """Asterisk's `systemname`."""
    database_url: str = ""
    """SQLAlchemy URL, e.g. `postgresql+asyncpg://user:password@host/callcore`; empty: SQLite below `home`."""
    web_host: str = "127.0.0.1"
    """The address that page and API are served on; beyond loopback over TLS only, see `web_plain`."""
    web_port: int = Field(default=8730, ge=1, le=65535)
    web_names: str = ""
    """Names and addresses under which it may be opened, beside loopback's and `web_host`'s, with commas between."""
    web_tls_certificate: Path | None = None
    """PEM: the certificate and those between it and the authority. None: no TLS of its own."""
    web_tls_key: Path | None = None
    """PEM, without a passphrase, not to be read by others."""
    web_proxies: str = ""
    """Addresses or networks of proxies whose word about their clients is believed, with commas between."""
    web_plain: str = ""
    """`passwords-travel-unencrypted`: beyond loopback without TLS too."""
    ami_port: int = Field(default=15038, ge=1, le=65535)
    sip_host: str = "0.0.0.0"  # noqa: S104  desk phones must reach it
    sip_port: int = Field(default=15060, ge=1, le=65535)
    sip_tls_port: int = Field(default=15061, ge=0, le=65535)
    """Where desk phones register over TLS; 0: nowhere."""
    sip_tls_certificate_port: int = Field(default=0, ge=0, le=65535)
    """The same for models that have a certificate of their maker and must show it; 0: nobody is asked for one."""
    sip_client_cas: Path | None = None
    """The CAs of the phones' makers, PEM; needed by `sip_tls_certificate_port`."""
    sip_name: str = ""
    """By what name or address phones reach this machine: in their files and in the certificate; empty: `sip_host`."""
    phones_url: str = ""
    """Under what URL the phones fetch their files, e.g. `https://pbx.example/phones`; empty: carried by hand."""
    phones_ntp: str = ""
    """The time server that phones are given; empty: the maker's own."""
    rtp_first: int = Field(default=20000, ge=1024, le=65535)
    rtp_last: int = Field(default=20999, ge=1024, le=65535)
    trunk_hosts: str = ""
    """Addresses or networks that the carrier's calls come from, with commas between."""
    trunk_out: str = ""
    """`address` or `address:port` of the carrier that desk phones' calls to the outside go to; empty: none go out."""
    trunk_shows_caller: bool = False
    trunk_dtmf: Literal["rfc4733", "info", "inband", "auto"] = "rfc4733"
    """How the carrier sends what callers key: RFC 4733 events, SIP INFO, tones, or whichever of the first and the last
    the call offers."""
    toolchain: Path | None = None
    """The description of Asterisk and baresip that set-up wrote; None: `toolchain.json` in `home`."""
    log_level: str = "info"
    session_idle_minutes: int = Field(default=60, ge=5, le=1440)
    """A browser that asks for nothing for so long must sign in again. An open board asks all the time."""
    session_hours: int = Field(default=12, ge=1, le=168)
    """After so long everybody must sign in again."""
    second_factor: str = ""
    """Roles that may do nothing before they have set up a second factor, with commas between."""
    recordings_store: Path | None = None
    """The folder of sealed recordings; None: `store` in `home`."""
    recordings_keys_folder: Path | None = None
    """The folder of their keys, which must lie outside the store; None: `keys/recordings` in `home`."""
    recordings_plain_s: int = Field(default=30, ge=5, le=60)
    """So long after its call's end a recording lies unencrypted, for what still reads it."""
    backups: str = ""
    """Folders of back-ups that this machine reaches, with commas between: what is erased is erased there, too."""
    reconcile_at: str = "02:30"
    """When the day before is reconciled, hh:mm by each centre's own clock."""

    @field_validator(
        "home",
        "centres",
        "prompts",
        "toolchain",
        "sip_client_cas",
        "web_tls_certificate",
        "web_tls_key",
        "recordings_store",
        "recordings_keys_folder",
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("node")
    @classmethod
    def _a_node(cls, value: str) -> str:
        if re.fullmatch(r"[a-z][a-z0-9]{0,15}", value) is None:
            raise ValueError("英小文字で始まる英数字 16 字まで / up to 16 lower-case letters and digits")
        return value

    @field_validator("log_level")
    @classmethod
    def _a_level(cls, value: str) -> str:
        if value.lower() not in LOG_LEVELS:
            raise ValueError(f"次のいずれか / one of: {', '.join(LOG_LEVELS)}")
        return value.lower()

    @field_validator("second_factor")
    @classmethod
    def _roles(cls, value: str) -> str:
        known = [role.value for role in Role]
        for part in filter(None, (part.strip() for part in value.split(","))):
            if part not in known:
                shown = ", ".join(known)
                raise ValueError(f"{part}: 役割は次のいずれか / a role is one of: {shown}")
        return value

    @field_validator("reconcile_at")
    @classmethod
    def _a_time_of_day(cls, value: str) -> str:
        if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value) is None:
            raise ValueError("時刻を hh:mm で。例 02:30 / a time of day as hh:mm, e.g. 02:30")
        return value

    @field_validator("backups")
    @classmethod
    def _folders(cls, value: str) -> str:
        for part in _parts(value):
            if not Path(part).is_absolute():
                raise ValueError(f"{part}: 絶対パスで書いてください / write an absolute path")
        return value

    @field_validator("phones_url")
    @classmethod
    def _over_https(cls, value: str) -> str:
        if value and re.fullmatch(r"https://[A-Za-z0-9.:/_-]{1,200}", value) is None:
            raise ValueError(
                "https:// で始まる URL。平文では配りません / a URL with https://: nothing is served in clear text"
            )
        return value

    @field_validator("sip_name", "phones_ntp")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9.-]{0,253}", value) is None:
            raise ValueError("ホスト名か IPv4 アドレス / a host name or an IPv4 address")
        return value

    @field_validator("trunk_hosts", "web_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in _parts(value):
            try:
                ip_network(part)
            except ValueError:
                raise ValueError(
                    f"{part}: IP アドレスかネットワークを書いてください。例 192.0.2.10,198.51.100.0/28 / "
                    f"{part}: write addresses or networks, e.g. 192.0.2.10,198.51.100.0/28"
                ) from None
        return value

    @field_validator("trunk_out")
    @classmethod
    def _one_address(cls, value: str) -> str:
        host, sign, port = value.strip().partition(":")
        if not value.strip():
            return ""
        try:
            ip_address(host)
            if sign and not 0 < int(port) < 65536:
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{value}: IP アドレス (とポート) をひとつ書いてください。例 192.0.2.10:5060 / "
                f"{value}: write one address, and its port if it is not 5060, e.g. 192.0.2.10:5060"
            ) from None
        return value.strip()

    @field_validator("web_proxies")
    @classmethod
    def _not_everybody(cls, value: str) -> str:
        if any(ip_network(part).prefixlen == 0 for part in _parts(value)):
            raise ValueError(
                "すべてのアドレスを信頼することはできません。プロキシのアドレスだけを書いてください / "
                "not everybody can be believed; write the proxies' own addresses"
            )
        return value

    @field_validator("web_host")
    @classmethod
    def _an_address(cls, value: str) -> str:
        try:
            _address(value)
        except ValueError:
            raise ValueError(
                "このマシンの IP アドレスを書いてください。例 127.0.0.1、すべてなら 0.0.0.0。"
                "名前は CALLCORE_WEB_NAMES に / "
                "write an address of this machine, e.g. 127.0.0.1, or 0.0.0.0 for all; names go to CALLCORE_WEB_NAMES"
            ) from None
        return value

    @field_validator("web_names")
    @classmethod
    def _names(cls, value: str) -> str:
        for part in _parts(value):
            if not _is_name(part):
                raise ValueError(
                    f"{part}: ブラウザーに入れる名前か IP アドレスだけを書いてください"
                    "(http:// もポート番号も * もなし)。例 callcore.city.example,192.0.2.10 / "
                    f"{part}: write names or addresses as they stand in the browser, without scheme, port or *, "
                    "e.g. callcore.city.example,192.0.2.10"
                )
        return value

    @field_validator("web_plain")
    @classmethod
    def _in_so_many_words(cls, value: str) -> str:
        if value not in ("", PLAIN):
            raise ValueError(
                f"空か {PLAIN} のどちらか。後者では、パスワードが暗号化されずに流れます / "
                f"empty, or {PLAIN}; with it, passwords travel unencrypted"
            )
        return value

    @model_validator(mode="after")
    def _rtp_in_order(self) -> Self:
        if self.rtp_first >= self.rtp_last:
            raise ValueError(
                "CALLCORE_RTP_FIRST は CALLCORE_RTP_LAST より小さく / "
                "CALLCORE_RTP_FIRST must be less than CALLCORE_RTP_LAST"
            )
        return self

    @model_validator(mode="after")
    def _keys_outside_the_store(self) -> Self:
        if self.recordings_keys.is_relative_to(self.store):
            raise ValueError(
                "CALLCORE_RECORDINGS_KEYS_FOLDER は CALLCORE_RECORDINGS_STORE の外に置いてください / "
                "CALLCORE_RECORDINGS_KEYS_FOLDER must lie outside CALLCORE_RECORDINGS_STORE"
            )
        return self

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if (self.web_tls_certificate is None) != (self.web_tls_key is None):
            raise ValueError(
                "CALLCORE_WEB_TLS_CERTIFICATE と CALLCORE_WEB_TLS_KEY は両方とも指定するか、両方とも空に / "
                "CALLCORE_WEB_TLS_CERTIFICATE and CALLCORE_WEB_TLS_KEY must both be given, or neither"
            )
        return self

    @model_validator(mode="after")
    def _encrypted_beyond_loopback(self) -> Self:
        if not (_address(self.web_host).is_loopback or self.web_beyond):
            raise ValueError(
                f"CALLCORE_WEB_HOST={self.web_host} は、暗号化なしでほかのマシンに開くことになります。次のどれかに: "
                "CALLCORE_WEB_TLS_CERTIFICATE と CALLCORE_WEB_TLS_KEY を指定する。"
                "127.0.0.1 に戻し、TLS を担うプロキシを同じマシンに置いて CALLCORE_WEB_PROXIES に書く。"
                f"暗号化されなくてよいなら CALLCORE_WEB_PLAIN={PLAIN} と書く / "
                f"CALLCORE_WEB_HOST={self.web_host} would open it to other machines unencrypted. Do one of these: "
                "give CALLCORE_WEB_TLS_CERTIFICATE and CALLCORE_WEB_TLS_KEY; "
                "go back to 127.0.0.1, with a proxy on this machine that speaks TLS, listed in CALLCORE_WEB_PROXIES; "
                f"or, if it need not be encrypted, write CALLCORE_WEB_PLAIN={PLAIN}"
            )
        if _address(self.web_host).is_unspecified and not _parts(self.web_names):
            raise ValueError(
                f"CALLCORE_WEB_HOST={self.web_host} には、開くときの名前を CALLCORE_WEB_NAMES に書いてください / "
                f"CALLCORE_WEB_HOST={self.web_host} needs the names or addresses under which it is opened, in "
                "CALLCORE_WEB_NAMES"
            )
        return self

    @property
    def web_beyond(self) -> bool:
        """Whether the web may be served beyond loopback."""
        return self.web_tls_certificate is not None or self.web_plain == PLAIN

    @property
    def web_hosts(self) -> frozenset[str]:
        """What may stand in the Host header beside loopback's names: as browsers write it, without port."""
        named = {_as_host(part) for part in _parts(self.web_names)}
        if not _address(self.web_host).is_unspecified:
            named.add(_as_host(str(_address(self.web_host))))
        if self.phones_url:
            named.add(urlsplit(self.phones_url).hostname or "")
        return frozenset(named)

    @property
    def web_url(self) -> str:
        """Where people find the page, beyond loopback by the first name. Without a slash at the end."""
        beyond = not _address(self.web_host).is_loopback
        shown = next(iter(_parts(self.web_names)), self.web_host) if beyond else self.web_host
        scheme = "http" if self.web_tls_certificate is None else "https"
        return f"{scheme}://{_as_host(shown)}:{self.web_port}"

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        return _parts(self.web_proxies)

    @property
    def trunks(self) -> tuple[str, ...]:
        return _parts(self.trunk_hosts)

    @property
    def second_factor_roles(self) -> tuple[Role, ...]:
        return tuple(Role(part.strip()) for part in self.second_factor.split(",") if part.strip())

    @property
    def node_id(self) -> NodeId:
        return NodeId(self.node)

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.home / 'callcore.db'}"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def access(self) -> Path:
        """Users, tokens and sessions."""
        return self.home / "access"

    @property
    def trail(self) -> Path:
        return self.home / "trail"

    @property
    def checkpoints(self) -> Path:
        return self.home / "checkpoints"

    @property
    def kept_prompts(self) -> Path:
        """What was ever played of the announcements, for Asterisk and for `callcore prompts history`."""
        return self.home / "played"

    @property
    def recordings(self) -> Path:
        """Where Asterisk writes them; sealed ones are in `store`."""
        return self.home / "recordings"

    @property
    def store(self) -> Path:
        """Recordings, sealed."""
        return self.recordings_store or self.home / "store"

    @property
    def recordings_keys(self) -> Path:
        """The keys that open and that sign them."""
        return self.recordings_keys_folder or self.keys / "recordings"

    @property
    def protected(self) -> Path:
        """A second link to each recording of a call that was reported (悪質・脅迫)."""
        return self.home / "protected"

    @property
    def erasures(self) -> Path:
        """Reports of what was erased, and what is being erased."""
        return self.home / "erasures"

    @property
    def backup_folders(self) -> tuple[Path, ...]:
        return tuple(Path(part) for part in _parts(self.backups))

    @property
    def places(self) -> tuple[tuple[str, Path], ...]:
        """Every folder in which something of a call may lie, by name: those that are there, and all of back-ups."""
        named = [
            ("home", self.home),
            ("store", self.store),
            ("keys", self.recordings_keys),
            ("run", self.run),
        ]
        there = [(name, folder) for name, folder in named if folder.exists()]
        return (*there, *((f"backup {folder}", folder) for folder in self.backup_folders))

    @property
    def reconciliations(self) -> Path:
        return self.home / "reconciliations"

    @property
    def asterisk(self) -> Path:
        return self.home / "asterisk"

    @property
    def tls(self) -> Path:
        """The certificate that desk phones see, its CA, and their keys."""
        return self.home / "tls"

    @property
    def phone_tokens(self) -> Path:
        """Digests of the tokens by which phones fetch their files."""
        return self.home / "phone-tokens.json"

    @property
    def phones_reach(self) -> str:
        """By what name or address desk phones reach this machine."""
        return self.sip_name or self.sip_host

    @property
    def toolchain_file(self) -> Path:
        return self.toolchain or self.home / "toolchain.json"

    @property
    def run(self) -> Path:
        """A folder short enough to hold sockets."""
        wanted = self.home / "run"
        if len(str(wanted).encode()) <= SOCKET_PATH_MOST:
            return wanted
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"callcore-{os.getuid()}-{digest}"

    @property
    def engine_socket(self) -> Path:
        return self.run / "engine.sock"


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _address(host: str) -> IPv4Address | IPv6Address:
    """Raises ValueError."""
    return ip_address("127.0.0.1" if host == "localhost" else host)


def _is_name(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        label = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
        return re.fullmatch(rf"{label}(\.{label})*", text.lower(), re.ASCII) is not None and len(text) <= 253
    return True


def _as_host(name: str) -> str:
    """A name or address as it stands in a Host header."""
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return name.lower()
    return f"[{address.compressed}]" if address.version == 6 else str(address)


def read_settings() -> Settings:
    """The settings of this process's environment. Raises SettingsError."""
    names = [name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        name = variable.removeprefix("CALLCORE_")
        if name == variable or name in names or name in OTHER_NAMES or name.startswith(("TEST_", "RACE_")):
            continue
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"CALLCORE_{near[0]}" if near else "docs/operations"
        raise SettingsError(
            f"{variable} という設定はありません。{hint} を確認してください / "
            f"there is no setting {variable}; see {hint}"
        )
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for one in error.errors():
            where = "CALLCORE_" + str(one["loc"][0]).upper() if one["loc"] else "CALLCORE"
            given = f" ({one['input']})" if one["loc"] else ""
            lines.append(f"{where}{given}: {one['msg'].removeprefix('Value error, ')}")
        raise SettingsError(
            "設定に誤りがあります。docs/operations.ja.md を確認してください / "
            "a setting is wrong; see docs/operations.en.md\n" + "\n".join(lines)
        ) from None


class Secrets(msgspec.Struct, frozen=True):
    """Generated, never typed. `phones` holds the SIP password of each phone."""

    ami: str
    session: str
    phones: dict[PhoneId, str]
    callers: str = ""
    """Salt of the hashes by which the list of unwelcome callers stands in Asterisk."""

    def __repr__(self) -> str:
        return "Secrets(***)"


def _new_secret() -> str:
    return secrets.token_urlsafe(24)


def load_secrets(settings: Settings, phones: Iterable[PhoneId]) -> Secrets:
    """The installation's secrets, generated where missing: at the first run all, later those of new phones.

    Raises PermissionError when the file can be read by others: then it may be known already.
    """
    path = settings.home / "secrets.json"
    owner_only(settings.home)
    known: Secrets | None = None
    if path.exists():
        if path.stat().st_mode & 0o077:
            raise PermissionError(
                f"{path}: 他の利用者が読めます。chmod 600 の後、漏れた恐れがあれば消して作り直してください / "
                "others can read it; chmod 600 it, and delete it to have new ones made if it may be known"
            )
        known = msgspec.json.decode(path.read_bytes(), type=Secrets)
    mine = dict(known.phones) if known is not None else {}
    missing = [phone for phone in phones if phone not in mine]
    if known is not None and known.callers and not missing:
        return known
    mine |= {phone: _new_secret() for phone in missing}
    made = Secrets(
        ami=known.ami if known is not None else _new_secret(),
        session=known.session if known is not None else _new_secret(),
        phones=mine,
        callers=known.callers if known is not None and known.callers else _new_secret(),
    )
    write_whole(path, msgspec.json.format(msgspec.json.encode(made), indent=1))
    return made


def owner_only(folder: Path) -> Path:
    """The folder, made if need be, for its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
