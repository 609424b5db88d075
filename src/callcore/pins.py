"""PINs: kept as argon2 hashes in a file of their own, outside the centre files.

A PIN is 4 to 8 digits. It appears in no log, journal, CEL, variable or event of ours; only its hash is written.
"""

from __future__ import annotations

import re
import secrets
from functools import cache
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from callcore.domain.ids import AgentId
from callcore.files import write_whole

PIN = re.compile(r"[0-9]{4,8}")

_hasher = PasswordHasher()


class PinError(ValueError):
    """Not a PIN that may be set. Says what to key instead."""


class PinFile:
    """The hashes of one installation. Reading sees what another process has written since."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}

    def set(self, agent: AgentId, pin: str) -> None:
        """Set or reset an agent's PIN. Raises PinError."""
        if PIN.fullmatch(pin) is None:
            raise PinError("暗証番号は数字 4〜8 桁です / a PIN has 4 to 8 digits")
        if len(set(pin)) == 1 or pin in "0123456789 9876543210":
            raise PinError(
                "推測されやすい番号です。別の番号にしてください / that PIN is too easy to guess; take another"
            )
        hashes = self._read()
        hashes[agent] = _hasher.hash(pin)
        write_whole(self._path, msgspec.json.encode(hashes))

    def generate(self, agent: AgentId) -> str:
        """Set a random PIN of 6 digits and return it, for the one time it is shown."""
        while True:
            pin = f"{secrets.randbelow(1_000_000):06}"
            try:
                self.set(agent, pin)
            except PinError:
                continue
            return pin

    def verify(self, agent: AgentId, pin: str) -> bool:
        """Whether this is the agent's PIN. Takes about 0.1 s of a core on purpose: call it in a thread."""
        stored = self._read().get(agent)
        try:
            # An unknown agent costs the same time as a wrong PIN.
            return _hasher.verify(stored or _nobody(), pin) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_hex(8))
