"""Users, tokens and an audit trail in the hand of a test, and an engine's ear that writes down what it is asked."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from callcore.access import accounts as rules
from callcore.access.accounts import Accounts, Lifetimes
from callcore.access.rights import ALL_CENTRES, Role, Scope
from callcore.access.store import Store
from callcore.access.trail import Trail
from callcore.settings import Settings

PASSWORD = "correct horse battery staple"

ROLES: dict[str, Role] = {
    "ope": Role.OPERATOR,
    "sup": Role.SUPERVISOR,
    "city": Role.VIEWER,
    "chief": Role.ADMINISTRATOR,
}
"""A user's name for each role."""


@dataclass
class Asked:
    """Keeps the port's contract: answers each order as it is told to, and knows who asked for what."""

    orders: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=lambda: {"done": True, "why": None})
    answers: dict[str, Any] = field(
        default_factory=lambda: {"task_keep": {"done": True, "why": None, "task": "task-1"}}
    )
    """Of single commands."""
    failure: Exception | None = None

    async def ask(self, command: str, *, by: str | None = None, **fields: Any) -> Any:
        self.orders.append((command, by, fields))
        if self.failure is not None:
            raise self.failure
        return self.answers.get(command, self.answer)


def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what a hash costs is not what is tried."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(rules, "_hasher", hasher)
    monkeypatch.setattr(rules, "_nobody", lambda: hasher.hash("nobody"))


def accounts_in(
    folder: Path, now: Callable[[], float] = time.time, second_factor: Sequence[Role] = ()
) -> Accounts:
    return Accounts(Store(folder / "access"), now, Lifetimes(), second_factor)


def trail_in(folder: Path, now: Callable[[], float] = time.time) -> Trail:
    return Trail(folder / "trail", folder / "keys", now)


def first_administrator(accounts: Accounts, name: str = "chief") -> None:
    """As somebody does who opens the link that was printed at set-up."""
    link = accounts.first_link()
    assert link is not None
    accounts.use_link(link, PASSWORD, name=name, display="管理者")


def user(
    accounts: Accounts,
    name: str,
    role: Role,
    centres: Sequence[str] = ("demo",),
    agent: str | None = None,
) -> None:
    """A user who has opened the link and set `PASSWORD`."""
    accounts.use_link(accounts.add(name, name, role, centres, agent, "user:chief"), PASSWORD)


def everybody(accounts: Accounts, centres: Sequence[str] = ("demo",), agent: str = "1001") -> None:
    """One user of each role, named as in `ROLES`."""
    first_administrator(accounts)
    for name, role in ROLES.items():
        if role is not Role.ADMINISTRATOR:
            user(accounts, name, role, centres, agent if role is Role.OPERATOR else None)


def bearer(accounts: Accounts, name: str = "test", scopes: Sequence[Scope] = tuple(Scope)) -> dict[str, str]:
    """The header of a machine that may do all that machines may."""
    shown = accounts.add_token(name, scopes, (ALL_CENTRES,), "user:chief")
    return {"authorization": f"Bearer {shown}"}


@cache
def machine(home: Path) -> Mapping[str, str]:
    """The same for an installation that is there; one token, kept for the whole run."""
    return bearer(Accounts(Store(home / "access"), time.time), f"t{time.time_ns()}")


def read_page(settings: Settings, path: str, timeout: float = 5) -> tuple[int, str]:
    """Status and text of what a running installation answers to a machine. Raises OSError while nobody answers."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{settings.web_port}{path}", headers=dict(machine(settings.home))
    )
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answered:
            return answered.status, answered.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
