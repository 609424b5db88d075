"""Certificates of a test's own, with their keys, signed by themselves."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Made:
    """The two files, as `CALLCORE_WEB_TLS_CERTIFICATE` and `CALLCORE_WEB_TLS_KEY` name them."""

    certificate: Path
    key: Path
    serial: int

    def trusting(self) -> ssl.SSLContext:
        """What a client that trusts this certificate, and no other, connects with."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # it is its own authority
        return context


def make(
    folder: Path,
    *names: str,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=90),
    passphrase: str | None = None,
    mode: int = 0o600,
) -> Made:
    """A new pair in `folder`, put over the one that is there. `begins`, `ends`: from now."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "callcore test")])
    serial = x509.random_serial_number()
    alternatives = [_general(name) for name in names or ("127.0.0.1", "localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    lock: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        lock = BestAvailableEncryption(passphrase.encode())
    folder.mkdir(parents=True, exist_ok=True)
    made = Made(folder / "certificate.pem", folder / "key.pem", serial)
    put(made.certificate, certificate.public_bytes(Encoding.PEM), 0o644)
    put(made.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock), mode)
    return made


def put(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file as careful tools do: aside, then renamed."""
    aside = file.with_suffix(".new")
    aside.write_bytes(content)
    aside.chmod(mode)
    os.replace(aside, file)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
