"""Phones' files for this installation: from its settings and secrets, and the tokens that it has given out.

The tokens' digests stand in `phone-tokens.json`, owner-only. One process at a time changes them: the sidecar serves,
and `callcore phones token` is a person's; both hold the file's lock for as long as they read, decide and write.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from callcore import sipcert
from callcore.domain.centre import Configuration
from callcore.domain.ids import Instant, PhoneId
from callcore.phones.provision import Named, Reach, made
from callcore.phones.serving import CA_FILE, Refusal, Request, Response, Store, Tokens, begun, serve
from callcore.settings import Secrets, Settings, load_secrets


def new_token() -> str:
    """144 bits."""
    return secrets.token_urlsafe(18)


def reach(settings: Settings, token: str = "") -> Reach:
    """How phones reach this installation; with a token, where their files are served, too."""
    base = settings.phones_url.rstrip("/")
    served = bool(base and token)
    return Reach(
        registrar=settings.phones_reach,
        udp_port=settings.sip_port,
        tls_port=settings.sip_tls_port,
        certificate_port=settings.sip_tls_certificate_port,
        ntp=settings.phones_ntp,
        url=f"{base}/{token}/" if served else "",
        ca_url=f"{base}/{CA_FILE}" if served else "",
    )


def file_of(settings: Settings, known: Secrets, named: Named, token: str = "") -> bytes | None:
    """The phone's file; None: its maker has none. Raises Unprintable; KeyError for a phone without a secret."""
    return made(named, known.phones[named.phone.id], reach(settings, token), datetime.now(UTC))


def ca_certificate(settings: Settings) -> bytes:
    """What every phone may fetch: the certificate of the CA that signed ours. OSError where there is none."""
    return (settings.tls / sipcert.CA).read_bytes()


class Shelf:
    """What the web asks for phones: files after the configuration that runs, and how often nothing was given."""

    def __init__(self, settings: Settings, configuration: Callable[[], Configuration]) -> None:
        self._settings = settings
        self._configuration = configuration
        self._tokens = TokenFile(settings.phone_tokens)
        self.refused: Counter[str] = Counter({why.value: 0 for why in Refusal})
        """Since the start, by reason."""

    def ca(self) -> bytes:
        return ca_certificate(self._settings)

    def answer(self, request: Request) -> Response:
        """What this phone is told. Raises OSError where tokens or secrets cannot be read."""
        try:
            told = self._tokens.answer(request, self._configuration(), self._made)
        except msgspec.DecodeError as error:
            raise OSError(f"phone-tokens.json / secrets.json: {error}") from error
        if told.refusal is not None:
            self.refused[told.refusal.value] += 1
        return told

    def _made(self, named: Named, token: str) -> bytes | None:
        known = load_secrets(self._settings, ())
        return file_of(self._settings, known, named, token) if named.phone.id in known.phones else None


class TokenFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, phone: PhoneId, now: Instant) -> str:
        """A first token for this phone."""
        token = new_token()
        with self._held() as (store, keep):
            keep(begun(store, phone, token, now))
        return token

    def answer(
        self, request: Request, configuration: Configuration, make: Callable[[Named, str], bytes | None]
    ) -> Response:
        """What `serving.serve` says; the new token is on the disk before the file that bears it is given away."""
        with self._held() as (store, keep):
            response, after = serve(request, store, configuration, fresh=new_token, make=make)
            if after is not store:
                keep(after)
        return response

    def firmware(self) -> dict[PhoneId, str]:
        """What phones said when they fetched their file last. Raises OSError, msgspec.DecodeError."""
        return {phone: known.firmware for phone, known in self._read().items() if known.firmware}

    @contextmanager
    def _held(self) -> Iterator[tuple[Store, Callable[[Store], None]]]:
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read(), self._write
        finally:
            os.close(lock)

    def _read(self) -> Store:
        if not self._path.exists():
            return {}
        return msgspec.json.decode(self._path.read_bytes(), type=dict[PhoneId, Tokens])

    def _write(self, store: Store) -> None:
        aside = self._path.with_suffix(".new")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(dict(store)))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
