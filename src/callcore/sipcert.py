"""The certificate that desk phones see when they register over TLS, and the installation's own CA that signed it.

Both are made at set-up, owner-only, below `tls/` of the installation's folder. Phones are given the CA's certificate
with their file, so they give their password's digest to nobody else. The server's certificate is made anew at a start
when its name has changed or its end is near; the CA stays, for it stands in every phone.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from callcore.settings import owner_only

CA_DAYS = 3650
SERVER_DAYS = 730
RENEW_DAYS = 60
"""Days before its end at which a start makes the server's certificate anew."""
EARLY = timedelta(days=1)
"""By how much a certificate begins before it was made: a phone without the time says 1970 or is some minutes off."""

CA, CA_KEY, SERVER, SERVER_KEY = "ca.pem", "ca.key", "server.pem", "server.key"


def ensure(folder: Path, names: tuple[str, ...], *, now: datetime | None = None) -> None:
    """What is missing is made; `names` are host names and addresses that phones call. `now` is aware."""
    at = now or datetime.now(UTC)
    owner_only(folder)
    ca = _ca(folder, at)
    if not _good(folder / SERVER, names, at) or not (folder / SERVER_KEY).exists():
        _server(folder, ca, names, at)


def _ca(folder: Path, at: datetime) -> x509.Certificate:
    if (folder / CA).exists() and (folder / CA_KEY).exists():
        return x509.load_pem_x509_certificate((folder / CA).read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "callcore desk phones")])
    made = (
        _begun(name, name, key.public_key(), at, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / CA_KEY, _pem(key))
    _write(folder / CA, made.public_bytes(Encoding.PEM))
    return made


def _server(folder: Path, ca: x509.Certificate, names: tuple[str, ...], at: datetime) -> None:
    signer = load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    made = (
        _begun(subject, ca.subject, key.public_key(), at, SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    _write(folder / SERVER_KEY, _pem(key))
    _write(folder / SERVER, made.public_bytes(Encoding.PEM))


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - EARLY)
        .not_valid_after(at + timedelta(days=days))
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _good(file: Path, names: tuple[str, ...], at: datetime) -> bool:
    if not file.exists():
        return False
    found = x509.load_pem_x509_certificate(file.read_bytes())
    told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(told) == {_name(name) for name in names} and found.not_valid_after_utc > at + timedelta(
        days=RENEW_DAYS
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes) -> None:
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(file)
