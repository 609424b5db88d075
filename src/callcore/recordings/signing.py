"""The key that signs chains of recordings (Ed25519, RFC 8032), and the public one that the city checks them with.

    <keys>/signing.key         PKCS #8, PEM, owner-only; made once, before the first recording is kept
    <keys>/signing.pub         SubjectPublicKeyInfo, PEM; hand it to the city when the contract begins
    <keys>/signing.<id>.pub    that of a key which is lost for good: what it signed is checked with it

A signature bears the key's id: the first 16 hex digits of the SHA-256 of the 32 bytes of the public key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from callcore.files import make_folder, write_whole
from callcore.recordings.errors import KeyOpen, RecordingError, SigningKeyLost, WrongKey

PRIVATE, PUBLIC = "signing.key", "signing.pub"
PUBLICS = "signing*.pub"

PublicKeys = Mapping[str, Ed25519PublicKey]
"""By their ids."""


class NoPublicKey(RecordingError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} は署名の公開鍵 (PEM) ではありません。callcore recordings public-key の出力を使ってください / "
            f"{path} is no public key (PEM); use what callcore recordings public-key prints"
        )


class PublicKeyAway(RecordingError):
    """Whether it is one, nobody can say."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"公開鍵 {path} を読めません。パスと権限、ディスクを確かめてください。市に渡すものは "
            f"callcore recordings public-key が出力します / the public key {path} cannot be read; see to its path, "
            f"its rights, and the disk; callcore recordings public-key prints the one for the city: {error.strerror}"
        )


@dataclass(frozen=True, slots=True)
class Signer:
    id: str
    _key: Ed25519PrivateKey = field(repr=False)

    def sign(self, data: bytes) -> str:
        return self._key.sign(data).hex()

    @property
    def public(self) -> PublicKeys:
        return {self.id: self._key.public_key()}


def signer(folder: Path) -> Signer:
    """The installation's. Raises SigningKeyLost, KeyOpen, NoPublicKey, PublicKeyAway, OSError; WrongKey: it is none, or
    not that of `PUBLIC`."""
    private, public = folder / PRIVATE, folder / PUBLIC
    if not private.exists():
        raise SigningKeyLost(private)
    if private.stat().st_mode & 0o077:
        raise KeyOpen(private)
    try:
        key = s.load_pem_private_key(private.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongKey(private) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise WrongKey(private)
    mine = {_id(key.public_key()): key.public_key()}
    if not public.exists():
        write_whole(public, _pem(key.public_key()))
    elif (shown := public_keys([public])).keys() != mine.keys():
        if not all(_former(folder, each).exists() for each in shown):
            raise WrongKey(private)
        write_whole(public, _pem(key.public_key()))  # `renewed` was cut off
    [of] = mine
    return Signer(of, key)


def made(folder: Path) -> Signer:
    """A new one, where there never was any (`chain.signing`). Raises OSError."""
    key = Ed25519PrivateKey.generate()
    make_folder(folder)
    write_whole(folder / PRIVATE, key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    return signer(folder)


def renewed(folder: Path, former: PublicKeys) -> Signer:
    """A new one in place of one that is lost for good; its public key, and those given, stay. Raises NoPublicKey,
    PublicKeyAway, OSError."""
    make_folder(folder)
    for id, key in {**installed(folder), **former}.items():
        write_whole(_former(folder, id), _pem(key))
    return made(folder)


def was_there(folder: Path) -> bool:
    """Whether anything is left of a signing key. Raises OSError."""
    return (folder / PRIVATE).exists() or any(folder.glob(PUBLICS))


def installed(folder: Path) -> PublicKeys:
    """The public keys of the installation: the present one, and those that are lost. Raises NoPublicKey,
    PublicKeyAway."""
    return public_keys(sorted(folder.glob(PUBLICS)))


def public_keys(files: Iterable[Path]) -> PublicKeys:
    """Raises NoPublicKey, PublicKeyAway."""
    found = {}
    for path in files:
        try:
            key = s.load_pem_public_key(path.read_bytes())
        except OSError as error:
            raise PublicKeyAway(path, error) from None
        except (ValueError, UnsupportedAlgorithm):
            raise NoPublicKey(path) from None
        if not isinstance(key, Ed25519PublicKey):
            raise NoPublicKey(path)
        found[_id(key)] = key
    return found


def signed_by(keys: PublicKeys, key: str, data: bytes, signature: str) -> bool:
    """Whether the key of that id, one of those given, signed the data."""
    if key not in keys:
        return False
    try:
        keys[key].verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _former(folder: Path, id: str) -> Path:
    return folder / f"signing.{id}.pub"


def _pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)


def _id(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(s.Encoding.Raw, s.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]
