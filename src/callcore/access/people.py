"""Users, machine tokens, one-time links and sessions, as they are kept.

Instants are whole seconds since the epoch, UTC. What a person or machine must show (password, link, token, session) is
kept as a hash only; the secret of a second factor has to be kept itself, so the file is its owner's alone.
"""

from __future__ import annotations

import re

import msgspec

from callcore.access.rights import ALL_CENTRES, ROLES, Person, Role, Scope, of_scopes
from callcore.domain.ids import AgentId

USER_ID = re.compile(r"[a-z][a-z0-9._-]{0,31}")
TOKEN_ID = USER_ID
NAME_LONGEST = 60


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with a role. Without a password nobody can sign in: the link that was given out sets it."""

    id: str
    name: str
    role: Role
    centres: tuple[str, ...] = ()
    agent: str | None = None
    """The agent's number of an operator."""
    password: str | None = None
    """argon2id, with its parameters."""
    totp: str | None = None
    """The shared secret in base32 (RFC 6238)."""
    totp_step: int = 0
    """The last time step that was taken: a code counts once."""
    disabled: bool = False
    failures: int = 0
    """Wrong passwords and codes in a row."""
    locked_until: int = 0
    made_at: int = 0

    @property
    def person(self) -> Person:
        return Person(
            f"user:{self.id}",
            self.name,
            ROLES[self.role],
            frozenset(self.centres),
            None if self.agent is None else AgentId(self.agent),
            self.role,
        )


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """For machines: sent as `Authorization: Bearer …`."""

    id: str
    scopes: tuple[Scope, ...]
    centres: tuple[str, ...] = (ALL_CENTRES,)
    secret: str
    """SHA-256 of what was shown once."""
    made_by: str
    made_at: int
    until: int | None = None
    """The first second at which it no longer counts; None: until it is revoked."""

    @property
    def person(self) -> Person:
        return Person(f"token:{self.id}", self.id, of_scopes(self.scopes), frozenset(self.centres))


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Opens once, and sets a password. `user` None: makes the first administrator."""

    secret: str
    user: str | None
    until: int
    made_by: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser that has signed in. `id` is the SHA-256 of the cookie's value."""

    id: str
    user: str
    since: int
    seen: int
    address: str
    browser: str
    csrf: str
    """What a form of this session must bring along."""
    waits_for_code: bool = False
    """The password was right, the second factor has not come yet: nothing else may be done."""


class People(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    users: dict[str, User] = {}
    tokens: dict[str, Token] = {}
    links: dict[str, Link] = {}
    """By the SHA-256 of the link's secret."""


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    sessions: dict[str, Session] = {}
