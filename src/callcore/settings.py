"""Settings, folders and secrets. Every option is an environment variable `CALLCORE_…` or a line of `callcore.env`.

Secrets are generated at the first run, owner-only, and never have a default.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from callcore.domain.ids import NodeId, PhoneId

PROJECT = Path(__file__).resolve().parents[2]

SOCKET_PATH_MOST = 80
"""Bytes of a folder that may hold Unix sockets: `sun_path` has 108 with the file's name and its end (unix(7))."""


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
    def recordings(self) -> Path:
        return self.home / "recordings"

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
