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
from ipaddress import ip_network
from pathlib import Path
from typing import Self

import msgspec
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from callcore.domain.ids import NodeId, PhoneId

PROJECT = Path(__file__).resolve().parents[2]

SOCKET_PATH_MOST = 80
"""Bytes of a folder that may hold Unix sockets: `sun_path` has 108 with the file's name and its end (unix(7))."""


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
    web_port: int = Field(default=8730, ge=1, le=65535)
    ami_port: int = Field(default=15038, ge=1, le=65535)
    sip_host: str = "0.0.0.0"  # noqa: S104  desk phones must reach it
    sip_port: int = Field(default=15060, ge=1, le=65535)
    rtp_first: int = Field(default=20000, ge=1024, le=65535)
    rtp_last: int = Field(default=20999, ge=1024, le=65535)
    trunk_hosts: str = ""
    """Addresses or networks that the carrier's calls come from, with commas between."""
    toolchain: Path | None = None
    """The description of Asterisk and baresip that set-up wrote; None: `toolchain.json` in `home`."""
    log_level: str = "info"
    reconcile_at: str = "02:30"
    """When the day before is reconciled, hh:mm by each centre's own clock."""

    @field_validator("home", "centres", "prompts", "toolchain")
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

    @field_validator("reconcile_at")
    @classmethod
    def _a_time_of_day(cls, value: str) -> str:
        if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value) is None:
            raise ValueError("時刻を hh:mm で。例 02:30 / a time of day as hh:mm, e.g. 02:30")
        return value

    @field_validator("trunk_hosts")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in filter(None, (part.strip() for part in value.split(","))):
            try:
                ip_network(part)
            except ValueError:
                raise ValueError(
                    f"{part}: IP アドレスかネットワークを書いてください。例 192.0.2.10,198.51.100.0/28 / "
                    f"{part}: write addresses or networks, e.g. 192.0.2.10,198.51.100.0/28"
                ) from None
        return value

    @model_validator(mode="after")
    def _rtp_in_order(self) -> Self:
        if self.rtp_first >= self.rtp_last:
            raise ValueError(
                "CALLCORE_RTP_FIRST は CALLCORE_RTP_LAST より小さく / "
                "CALLCORE_RTP_FIRST must be less than CALLCORE_RTP_LAST"
            )
        return self

    @property
    def trunks(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.trunk_hosts.split(",") if part.strip())

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
    def checkpoints(self) -> Path:
        return self.home / "checkpoints"

    @property
    def kept_prompts(self) -> Path:
        """What was ever played of the announcements, for Asterisk and for `callcore prompts history`."""
        return self.home / "played"

    @property
    def recordings(self) -> Path:
        return self.home / "recordings"

    @property
    def reconciliations(self) -> Path:
        return self.home / "reconciliations"

    @property
    def asterisk(self) -> Path:
        return self.home / "asterisk"

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
    if known is not None and not missing:
        return known
    mine |= {phone: _new_secret() for phone in missing}
    made = Secrets(
        ami=known.ami if known is not None else _new_secret(),
        session=known.session if known is not None else _new_secret(),
        phones=mine,
    )
    aside = path.with_suffix(".new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made), indent=1))
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    return made


def owner_only(folder: Path) -> Path:
    """The folder, made if need be, for its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
