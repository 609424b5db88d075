"""The certificate under which page and API are served, and its renewal without a restart.

- Certificate and key are read once, checked as one pair, and given to OpenSSL from memory: what is served is what was
  checked, whatever happens to the files meanwhile.
- Files that cannot be used stop a start by a person, with what to do. A certificate that has run out does not: the
  telephones come back after a power failure all the same, and page, log and gauge say it.
- Renewed files are looked for once a minute. They are taken in where the new pair is sound; otherwise the old one is
  served on, and log and gauge say why. New connections get the new certificate, open ones keep theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 60.0
"""Between two looks for renewed files."""
RETRY_S = 5.0
"""Between two tries while there is no usable pair at all."""
SOON_S = 14 * 86400.0
"""What renews itself does so at least two weeks before the end; later somebody should be told."""

Now = Callable[[], datetime]
"""An aware time."""


class CertificateFault(Exception):
    """Why a pair cannot be used, in Japanese and English, with what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain with its key, sound but for its period. Times are UTC."""

    pem: bytes
    names: tuple[str, ...]
    begins: datetime
    ends: datetime

    def __repr__(self) -> str:
        return f"Pair(names={self.names!r}, ends={self.ends:%Y-%m-%d})"

    def names_it(self, name: str) -> bool:
        """Whether a browser that opened `name` (as in a Host header, without port) takes this certificate for it."""
        plain = name.strip("[]")
        wild = "*." + plain.partition(".")[2]
        return any(each in (plain, wild) for each in self.names)


def read_pair(certificate: Path, key: Path) -> Pair:
    """The two PEM files as a pair; the same file may hold both. Raises CertificateFault."""
    chain_bytes, key_bytes = _bytes(certificate, "CERTIFICATE"), _bytes(key, "KEY", secret=True)
    try:
        leaf = x509.load_pem_x509_certificates(chain_bytes)[0]
        public = leaf.public_key()
        names = _names(leaf)
    except ValueError as error:
        raise CertificateFault(
            f"{certificate}: 証明書として読めません({error})。サーバー証明書、中間証明書の順に PEM で入れてください / "
            f"{certificate}: not a certificate ({error}). Give PEM: the server's own, then the intermediate ones"
        ) from None
    try:
        secret = load_pem_private_key(key_bytes, None)
    except TypeError:
        raise CertificateFault(
            f"{key}: 鍵にパスフレーズが付いています。openssl pkey で外し、モード 0600 で置いてください / "
            f"{key}: the key has a passphrase. Take it off with openssl pkey, and keep the file at mode 0600"
        ) from None
    except ValueError:
        raise CertificateFault(
            f"{key}: 秘密鍵として読めません。PEM 形式の鍵を指定してください / "
            f"{key}: not a private key. Give one in PEM"
        ) from None
    if _spki(secret.public_key()) != _spki(public):
        raise CertificateFault(
            f"{key}: 証明書 {certificate} の鍵ではありません。同じ発行でできた 2 つのファイルを指定してください / "
            f"{key}: not the key of the certificate {certificate}. Give the two files of one and the same issue"
        )
    return Pair(
        chain_bytes.rstrip() + b"\n" + key_bytes, names, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )


def check_period(pair: Pair, now: datetime) -> None:
    """Raises CertificateFault outside the certificate's period. `now` is aware."""
    if now < pair.begins:
        raise CertificateFault(
            f"証明書は {pair.begins:%Y-%m-%d %H:%M} UTC からのもので、まだ使えません。マシンの時計を確かめてください / "
            f"the certificate is not valid before {pair.begins:%Y-%m-%d %H:%M} UTC. Look at this machine's clock"
        )
    if now >= pair.ends:
        raise CertificateFault(
            f"証明書は {pair.ends:%Y-%m-%d %H:%M} UTC で期限切れです。更新してください / "
            f"the certificate ran out at {pair.ends:%Y-%m-%d %H:%M} UTC. Renew it"
        )


def check(certificate: Path, key: Path, now: datetime) -> str | None:
    """What a person should know before a start: None, or why its period is not now. Raises CertificateFault.

    Only what somebody has just set wrongly is a reason not to start. A certificate runs out by itself, maybe on a night
    on which the power fails; the telephones must come back all the same.
    """
    pair = read_pair(certificate, key)
    _load(_new_context(), pair)
    try:
        check_period(pair, now)
    except CertificateFault as fault:
        return str(fault)
    return None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Certificate:
    """The pair that is served now. Raises CertificateFault at first where there is none; its period may be over."""

    def __init__(self, certificate: Path, key: Path, *, now: Now = _utc_now) -> None:
        self._files = certificate, key
        self._now = now
        self._stamp = self._stamps()
        self.context = _new_context()
        self.pair = read_pair(certificate, key)
        _load(self.context, self.pair)
        self._fault: str | None = None
        self._tell_period()

    def gauges(self) -> Mapping[str, float]:
        return {
            "sidecar_certificate_seconds_left": (self.pair.ends - self._now()).total_seconds(),
            "sidecar_certificate_renewal_refused": float(self._fault is not None),
        }

    def unnamed(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those under which a browser would not take this certificate."""
        return tuple(name for name in names if not self.pair.names_it(name))

    def look(self) -> bool:
        """Take renewed files in; whether there were any. A pair that cannot be used leaves the old one in place."""
        stamp = self._stamps()
        if stamp is not None and stamp == self._stamp:
            return False
        try:
            pair = read_pair(*self._files)
            check_period(pair, self._now())
            _load(_new_context(), pair)
        except CertificateFault as fault:
            self._stamp = None  # again at the next look: files are often replaced one after the other
            if str(fault) != self._fault:
                log.error(
                    "更新された証明書を使えません / a renewed certificate cannot be used", why=str(fault)
                )
            self._fault = str(fault)
            return False
        self._stamp = stamp
        self._fault = None
        if pair.pem == self.pair.pem:
            return False
        _load(self.context, pair)
        self.pair = pair
        log.info(
            "証明書を更新しました / certificate renewed", until=f"{pair.ends:%Y-%m-%d}", names=pair.names
        )
        return True

    async def keep(self, every_s: float = LOOK_EVERY_S) -> None:
        """Look for renewals until cancelled."""
        told_on = self._now().date()
        while True:
            await asyncio.sleep(every_s)
            self.look()
            if self._now().date() != told_on:
                told_on = self._now().date()
                self._tell_period()

    def _tell_period(self) -> None:
        left = (self.pair.ends - self._now()).total_seconds()
        try:
            check_period(self.pair, self._now())
        except CertificateFault as fault:
            log.error("証明書の期間外です / outside the certificate's period", why=str(fault))
        else:
            if left < SOON_S:
                log.warning(
                    "証明書の期限が近づいています / renew the certificate", days_left=int(left // 86400)
                )

    def _stamps(self) -> tuple[tuple[int, int, int], ...] | None:
        """What tells one version of the two files from another; links are followed. None: cannot be told."""
        try:
            stats = [file.stat() for file in self._files]
        except OSError:
            return None
        return tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)


async def until_usable(
    certificate: Path, key: Path, stop: asyncio.Event, *, now: Now = _utc_now, every_s: float = RETRY_S
) -> Certificate | None:
    """The certificate, as soon as its files can be used; None when `stop` comes first.

    Without them there is no page, but the process has other work: what waits here costs no call and no figure.
    """
    told = ""
    while not stop.is_set():
        try:
            return Certificate(certificate, key, now=now)
        except CertificateFault as fault:
            if str(fault) != told:
                log.error(
                    "証明書を使えるまで画面を出せません / no page without its certificate", why=str(fault)
                )
            told = str(fault)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
    return None


def _new_context() -> ssl.SSLContext:
    """TLS 1.2 or later, HTTP/1.1, the ciphers of Python's own choice (all with forward secrecy)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """OpenSSL takes files only; one in memory cannot change between the check and this."""
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(pair.pem)
        file.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        except ssl.SSLError as error:
            raise CertificateFault(
                f"証明書と鍵を OpenSSL が受け付けません({error.reason})。"
                "RSA 2048 ビット以上か ECDSA で作り直してください / "
                f"OpenSSL does not take certificate and key ({error.reason}). Have them made anew: RSA of 2048 bits or "
                "more, or ECDSA"
            ) from None


def _bytes(file: Path, what: str, *, secret: bool = False) -> bytes:
    setting = f"CALLCORE_WEB_TLS_{what}"
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise CertificateFault(
                f"{file}: ファイルではありません。{setting} に PEM ファイルを指定してください / "
                f"{file}: not a file. Name a PEM file in {setting}"
            )
        if secret and mode & 0o027:
            raise CertificateFault(
                f"{file}: 鍵をほかの利用者が読めます。chmod 600(グループで読むなら 640)とし、"
                "漏れた恐れがあれば作り直してください / "
                f"{file}: others can read the key. chmod 600 it (640 where a group must read it), and have a new one "
                "made if it may be known"
            )
        return file.read_bytes()
    except FileNotFoundError:
        raise CertificateFault(
            f"{file}: ありません。{setting} を確かめてください / {file}: not there. Look at {setting}"
        ) from None
    except OSError as error:
        raise CertificateFault(
            f"{file}: callcore の利用者が読めません({error.strerror})。所有者とモードを確かめてください / "
            f"{file}: callcore's user cannot read it ({error.strerror}). Look at its owner and mode"
        ) from None


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The names that it is for, lower case. A certificate without any has no name in a browser's eyes (RFC 9525)."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    named = found.get_values_for_type(x509.DNSName)
    return tuple(name.lower() for name in (*named, *map(str, found.get_values_for_type(x509.IPAddress))))


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
