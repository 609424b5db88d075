"""What can be done about users, tokens, links and sessions. Who asks was judged before; this says what becomes of it.

Rules
- There is no default password and nobody's password is typed by another: who is added, or has lost it, gets a link
  that opens once and sets one. The first administrator's is printed while there is none.
- A wrong user, a wrong password, a user who is switched off, and one who is locked out all look the same from
  outside, and take the same time.
- After `TRIES` wrong passwords or codes in a row a user is locked out for half a minute, and for twice as long with
  each further one, up to a quarter of an hour. An administrator can end it.
- A code of the second factor counts once.
- A new password, a reset and switching off end the user's other sessions. What a user may do is looked up with
  each request, so a changed role or centre is in force at once.
- The last administrator who can sign in can be neither switched off nor made something else.

Times are whole seconds, UTC. What hashes a password takes about 0.1 s of a core on purpose: call it in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache

import msgspec
import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from callcore.access.people import (
    NAME_LONGEST,
    TOKEN_ID,
    USER_ID,
    Link,
    People,
    Session,
    Sessions,
    Token,
    User,
)
from callcore.access.rights import (
    ALL_CENTRES,
    SIDECAR_PERSON,
    Person,
    Role,
    Scope,
    system_person,
)
from callcore.access.store import Store

PASSWORD_SHORTEST, PASSWORD_LONGEST = 12, 200
"""Characters. Length, not signs, is what makes a password hard to guess (NIST SP 800-63B 5.1.1)."""
TRIES = 5
LOCK_S, LOCK_LONGEST_S = 30, 900
LINK_S = 72 * 3600
"""A link is good for three days: over a weekend."""
CODE_S = 30
"""A time step (RFC 6238)."""
CODE_WINDOW = 1
"""Steps by which the phone's clock may differ."""
CODE_WAIT_S = 300
"""For so long the second factor may be keyed after the password."""
SEEN_EVERY_S = 60
"""A session's last use is written down no more often."""
SESSIONS_MOST = 20
"""Of one user; with one more the oldest ends."""
ISSUER = "callcore"

_hasher = PasswordHasher()
"""What is compared with where there is no password: it costs the same time."""


class AccountError(ValueError):
    """Why not, and what to do instead, in both languages."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(f"{ja} / {en}")
        self.ja = ja
        self.en = en


class SignInFailed(AccountError):
    """The one answer to every wrong sign-in. `user`: who it was about, if there is such a one."""

    def __init__(self, user: str | None, why: str) -> None:
        super().__init__(
            "サインインできません。利用者名・パスワード・確認コードを確かめてください。"
            "続けて間違えると、しばらく受け付けません。",
            "Cannot sign in. Check user name, password and code; "
            "after several wrong tries nothing is taken for a while.",
        )
        self.user = user
        self.why = why
        """For the audit trail only."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that was begun. `cookie` is shown to the browser and kept nowhere."""

    cookie: str
    session: Session
    user: User


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Of sessions, in seconds."""

    idle_s: int = 3600
    longest_s: int = 12 * 3600
    """A working day from 8:30 to 20:00."""


class Accounts:
    """`second_factor`: the roles that may do nothing before they have set one up."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        lifetimes: Lifetimes | None = None,
        second_factor: Collection[Role] = (),
    ) -> None:
        self._store = store
        self._now = now
        self.lifetimes = lifetimes or Lifetimes()
        self._second_factor = frozenset(second_factor)

    def now(self) -> float:
        """Seconds since the epoch, by this installation's clock."""
        return self._now()

    # -- who asks ---------------------------------------------------------------------------------------------

    def person(self, cause: str) -> Person | None:
        """The person behind an id such as `user:sato`, as things are now; None: there is no such one any more."""
        kind, _, name = cause.partition(":")
        if kind == "system" and name:
            return system_person(name)
        if cause == SIDECAR_PERSON.id:
            return SIDECAR_PERSON
        people = self._store.people()
        if kind == "user" and (user := people.users.get(name)) is not None and not user.disabled:
            return user.person
        if kind == "token" and (token := people.tokens.get(name)) is not None and self._counts(token):
            return token.person
        return None

    def bearer(self, shown: str) -> Token | None:
        """The token that was shown, if it counts."""
        name, _, secret = shown.partition(".")
        token = self._store.people().tokens.get(name)
        if token is None or not hmac.compare_digest(token.secret, _digest(secret)) or not self._counts(token):
            return None
        return token

    def _counts(self, token: Token) -> bool:
        return token.until is None or self._now() < token.until

    def session(self, cookie: str) -> tuple[Session, User] | None:
        """The session of a browser and its user, if it is still good."""
        session = self._store.sessions().sessions.get(_digest(cookie))
        if session is None or not self._lives(session):
            return None
        user = self._store.people().users.get(session.user)
        if user is None or user.disabled:
            return None
        return session, user

    def _lives(self, session: Session) -> bool:
        now = self._now()
        longest = CODE_WAIT_S if session.waits_for_code else self.lifetimes.longest_s
        return now < session.since + longest and now < session.seen + self.lifetimes.idle_s

    def seen(self, session: Session) -> None:
        """The session was used: it does not fall idle."""
        now = int(self._now())
        if now - session.seen < SEEN_EVERY_S:
            return
        self._change_session(session.id, lambda kept: msgspec.structs.replace(kept, seen=now))

    def wants_second_factor(self, user: User) -> bool:
        """Whether the user must set one up before anything else."""
        return user.role in self._second_factor and user.totp is None

    # -- signing in and out -----------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str, browser: str) -> SignedIn:
        """Begin a session; it waits for the code if the user has a second factor. Raises SignInFailed."""
        user = self._store.people().users.get(name)
        right = _verified(user.password if user is not None else None, password[:PASSWORD_LONGEST])
        if user is None:
            raise SignInFailed(None, "no such user")
        # Judged once more under the lock: of many tries at once none gets past the bound.
        refused: list[str] = []

        def judge(people: People) -> People:
            refused.clear()
            found = people.users.get(name)
            if found is None or found.disabled or found.password is None:
                refused.append("switched off or without a password")
                return people
            if found.locked_until > self._now():
                refused.append("locked out")
                return people
            if not right or found.password != user.password:
                refused.append("wrong password")
                return _with_user(people, self._failed(found))
            # With a second factor the count of failures stands until the code was right too.
            if found.totp is not None or not found.failures:
                return people
            return _with_user(people, msgspec.structs.replace(found, failures=0, locked_until=0))

        self._store.change_people(judge)
        if refused:
            raise SignInFailed(user.id, refused[0])
        return self._begin(user, address, browser, waits=user.totp is not None)

    def second_factor(self, session: Session, code: str, address: str, browser: str) -> SignedIn:
        """The code for a session that waits for it; a session of a new id takes its place. Raises SignInFailed."""
        refused: list[str] = []

        def judge(people: People) -> People:
            refused.clear()
            user = people.users.get(session.user)
            if user is None or user.disabled or user.totp is None:
                refused.append("switched off")
                return people
            if user.locked_until > self._now():
                refused.append("locked out")
                return people
            step = self._step_of(user.totp, user.totp_step, code)
            if step is None:
                refused.append("wrong code")
                return _with_user(people, self._failed(user))
            return _with_user(
                people, msgspec.structs.replace(user, totp_step=step, failures=0, locked_until=0)
            )

        after = self._store.change_people(judge)
        if refused:
            raise SignInFailed(session.user, refused[0])
        self.end_session(session.id)
        return self._begin(after.users[session.user], address, browser, waits=False)

    def _failed(self, user: User) -> User:
        failures = user.failures + 1
        until = user.locked_until
        if failures >= TRIES:
            until = int(self._now()) + min(LOCK_LONGEST_S, LOCK_S << min(16, failures - TRIES))
        return msgspec.structs.replace(user, failures=failures, locked_until=until)

    def _step_of(self, secret: str, last: int, code: str) -> int | None:
        """The time step whose code this is, after the last one taken."""
        present = int(self._now()) // CODE_S
        given = "".join(code.split())
        found = None
        for step in range(present - CODE_WINDOW, present + CODE_WINDOW + 1):
            right = pyotp.TOTP(secret).generate_otp(step)
            if hmac.compare_digest(right.encode(), given.encode()) and step > last:
                found = step
        return found

    def _begin(self, user: User, address: str, browser: str, *, waits: bool) -> SignedIn:
        cookie = secrets.token_urlsafe(32)
        now = int(self._now())
        session = Session(
            id=_digest(cookie),
            user=user.id,
            since=now,
            seen=now,
            address=address,
            browser=browser[:120],
            csrf=secrets.token_urlsafe(24),
            waits_for_code=waits,
        )

        def add(kept: Sessions) -> Sessions:
            living = {key: one for key, one in kept.sessions.items() if self._lives(one)}
            mine = sorted((one for one in living.values() if one.user == user.id), key=lambda one: one.since)
            for one in mine[: max(0, len(mine) - SESSIONS_MOST + 1)]:
                del living[one.id]
            return Sessions(sessions=living | {session.id: session})

        self._store.change_sessions(add)
        return SignedIn(cookie, session, user)

    def sessions_of(self, user: str) -> list[Session]:
        """Who is signed in as this user, the newest first."""
        kept = self._store.sessions().sessions.values()
        return sorted(
            (s for s in kept if s.user == user and self._lives(s)), key=lambda s: s.since, reverse=True
        )

    def end_session(self, session: str) -> bool:
        """Whether there was such a one."""
        ended: list[str] = []

        def drop(kept: Sessions) -> Sessions:
            if session not in kept.sessions:
                return kept
            ended.append(session)
            return Sessions(sessions={k: v for k, v in kept.sessions.items() if k != session})

        self._store.change_sessions(drop)
        return bool(ended)

    def end_sessions(self, user: str, *, but: str | None = None) -> int:
        """End all sessions of a user, except one; how many there were."""
        ended: list[str] = []

        def drop(kept: Sessions) -> Sessions:
            ended[:] = [s.id for s in kept.sessions.values() if s.user == user and s.id != but]
            return Sessions(sessions={k: v for k, v in kept.sessions.items() if k not in ended})

        self._store.change_sessions(drop)
        return len(ended)

    def _change_session(self, session: str, change: Callable[[Session], Session]) -> None:
        def changed(kept: Sessions) -> Sessions:
            found = kept.sessions.get(session)
            return kept if found is None else Sessions(sessions=kept.sessions | {session: change(found)})

        self._store.change_sessions(changed)

    # -- one's own account ------------------------------------------------------------------------------------

    def change_password(self, name: str, old: str, new: str, *, keeping: str) -> None:
        """Raises AccountError. `keeping`: the session that asks; the others end."""
        user = self._user(name)
        if not _verified(user.password, old[:PASSWORD_LONGEST]):
            self._store.change_people(lambda people: _with_user(people, self._failed(people.users[name])))
            raise SignInFailed(name, "wrong present password")
        self._set_password(name, new)
        self.end_sessions(name, but=keeping)

    def _set_password(self, name: str, new: str) -> None:
        check_password(new, name)
        hashed = _hasher.hash(new)
        self._change_user(
            name, lambda user: msgspec.structs.replace(user, password=hashed, failures=0, locked_until=0)
        )

    def totp_uri(self, name: str, secret: str) -> str:
        """What a person's authenticator reads from the picture."""
        return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)

    def totp_set(self, name: str, secret: str, code: str) -> None:
        """Switch the second factor on, with a first code to show that it works. Raises AccountError."""
        step = self._step_of(secret, 0, code)
        if step is None:
            raise AccountError(
                "確認コードが違います。時計が合っているか確かめ、新しいコードを入れてください。",
                "That code is wrong. See whether the clock is right, and enter a new code.",
            )
        self._change_user(name, lambda user: msgspec.structs.replace(user, totp=secret, totp_step=step))

    def totp_remove(self, name: str, password: str) -> None:
        """Switch it off. Raises SignInFailed unless the password is right."""
        user = self._user(name)
        if not _verified(user.password, password[:PASSWORD_LONGEST]):
            self._store.change_people(lambda people: _with_user(people, self._failed(people.users[name])))
            raise SignInFailed(name, "wrong present password")
        self._change_user(name, lambda user: msgspec.structs.replace(user, totp=None, totp_step=0))

    # -- links ------------------------------------------------------------------------------------------------

    def first_link(self) -> str | None:
        """The secret of a link that makes the first administrator; None: there is one who can sign in.

        A link that was made before counts no more.
        """
        secret = secrets.token_urlsafe(32)
        made: list[str] = []

        def add(people: People) -> People:
            made.clear()
            links = {key: link for key, link in people.links.items() if link.user is not None}
            if _administrators(people):
                return people if len(links) == len(people.links) else _with(people, links=links)
            made.append(secret)
            link = Link(
                secret=_digest(secret), user=None, until=int(self._now()) + LINK_S, made_by="system:setup"
            )
            return _with(people, links=links | {link.secret: link})

        self._store.change_people(add)
        return made[0] if made else None

    def link(self, secret: str) -> Link | None:
        """The link that was opened, if it is still good."""
        found = self._store.people().links.get(_digest(secret))
        return None if found is None or found.until <= self._now() else found

    def use_link(self, secret: str, password: str, *, name: str = "", display: str = "") -> User:
        """Set the password that the link is for; a first link makes the administrator `name`. Raises AccountError."""
        link = self.link(secret)
        if link is None:
            raise _link_gone()
        user_id = link.user or check_id(name)
        check_password(password, user_id)
        hashed = _hasher.hash(password)

        def use(people: People) -> People:
            if _digest(secret) not in people.links:
                raise _link_gone()
            links = {k: v for k, v in people.links.items() if k != _digest(secret)}
            user = people.users.get(user_id)
            if link.user is None:
                if user is not None:
                    raise _taken(user_id)
                if _administrators(people):
                    raise _link_gone()
                user = User(
                    id=user_id,
                    name=check_name(display or user_id),
                    role=Role.ADMINISTRATOR,
                    centres=(ALL_CENTRES,),
                    made_at=int(self._now()),
                )
            if user is None or user.disabled:
                raise _link_gone()
            user = msgspec.structs.replace(user, password=hashed, failures=0, locked_until=0)
            return _with_user(_with(people, links=links), user)

        after = self._store.change_people(use)
        self.end_sessions(user_id)
        return after.users[user_id]

    def _new_link(self, people: People, user: str, by: str) -> tuple[People, str]:
        secret = secrets.token_urlsafe(32)
        link = Link(secret=_digest(secret), user=user, until=int(self._now()) + LINK_S, made_by=by)
        now = self._now()
        others = {k: v for k, v in people.links.items() if v.user != user and v.until > now}
        return _with(people, links=others | {link.secret: link}), secret

    # -- users ------------------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        return sorted(self._store.people().users.values(), key=lambda user: user.id)

    def user(self, name: str) -> User | None:
        return self._store.people().users.get(name)

    def _user(self, name: str) -> User:
        user = self.user(name)
        if user is None:
            raise AccountError(
                f"利用者 {name} はいません。一覧で確かめてください。",
                f"There is no user {name}; see the list.",
            )
        return user

    def add(
        self, name: str, display: str, role: Role, centres: Collection[str], agent: str | None, by: str
    ) -> str:
        """Add a user; returns the secret of the link that sets the password. Raises AccountError."""
        user = User(
            id=check_id(name),
            name=check_name(display or name),
            role=role,
            centres=_centres(role, centres),
            agent=_agent(role, agent),
            made_at=int(self._now()),
        )
        made: list[str] = []

        def add(people: People) -> People:
            if user.id in people.users:
                raise _taken(user.id)
            after, secret = self._new_link(_with_user(people, user), user.id, by)
            made[:] = [secret]
            return after

        self._store.change_people(add)
        return made[0]

    def change(
        self, name: str, *, display: str, role: Role, centres: Collection[str], agent: str | None
    ) -> User:
        """Another name, role, centres or agent. In force at the user's next request. Raises AccountError."""

        def change(user: User) -> User:
            return msgspec.structs.replace(
                user,
                name=check_name(display),
                role=role,
                centres=_centres(role, centres),
                agent=_agent(role, agent),
            )

        return self._change_user(name, change)

    def disable(self, name: str) -> None:
        """Switch a user off and end the sessions. Raises AccountError."""
        self._change_user(name, lambda user: msgspec.structs.replace(user, disabled=True))
        self.end_sessions(name)

    def enable(self, name: str) -> None:
        self._change_user(name, lambda user: msgspec.structs.replace(user, disabled=False))

    def unlock(self, name: str) -> None:
        """End a lock-out."""
        self._change_user(name, lambda user: msgspec.structs.replace(user, failures=0, locked_until=0))

    def reset(self, name: str, by: str) -> str:
        """Take password and second factor away and end the sessions; returns the secret of a new link."""
        made: list[str] = []

        def reset(people: People) -> People:
            user = people.users.get(name)
            if user is None:
                self._user(name)
                raise AssertionError
            emptied = msgspec.structs.replace(
                user, password=None, totp=None, totp_step=0, failures=0, locked_until=0
            )
            after, secret = self._new_link(_with_user(people, emptied), name, by)
            made[:] = [secret]
            return after

        self._store.change_people(reset)
        self.end_sessions(name)
        return made[0]

    def _change_user(self, name: str, change: Callable[[User], User]) -> User:
        def changed(people: People) -> People:
            user = people.users.get(name)
            if user is None:
                self._user(name)
                raise AssertionError
            after = _with_user(people, change(user))
            if _administrators(people) and not _administrators(after):
                raise AccountError(
                    "最後の管理者です。先に別の管理者を登録し、サインインできることを確かめてください。",
                    "This is the last administrator. Add another one first, who can sign in.",
                )
            return after

        return self._store.change_people(changed).users[name]

    # -- tokens -----------------------------------------------------------------------------------------------

    def tokens(self) -> list[Token]:
        return sorted(self._store.people().tokens.values(), key=lambda token: token.id)

    def add_token(
        self, name: str, scopes: Collection[Scope], centres: Collection[str], by: str, days: int | None = None
    ) -> str:
        """Add a machine token and return what it shows, once. Raises AccountError."""
        if TOKEN_ID.fullmatch(name) is None:
            raise _bad_id(name)
        if not scopes:
            raise AccountError("範囲を一つ以上選んでください。", "Choose at least one scope.")
        if Scope.METRICS in scopes and ALL_CENTRES not in centres:
            raise AccountError(
                "read_metrics は全センターの数字を含みます。センターに「*」を指定してください。",
                'read_metrics holds the figures of every centre: give "*" as centres.',
            )
        if not centres:
            raise AccountError("センターを指定してください。", "Name the centres.")
        secret = secrets.token_urlsafe(32)
        now = int(self._now())
        token = Token(
            id=name,
            scopes=tuple(scope for scope in Scope if scope in scopes),
            centres=tuple(sorted(centres)),
            secret=_digest(secret),
            made_by=by,
            made_at=now,
            until=None if days is None else now + days * 86_400,
        )

        def add(people: People) -> People:
            if name in people.tokens:
                raise _taken(name)
            return _with(people, tokens=people.tokens | {name: token})

        self._store.change_people(add)
        return f"{name}.{secret}"

    def revoke_token(self, name: str) -> None:
        """Raises AccountError when there is none of that name."""

        def drop(people: People) -> People:
            if name not in people.tokens:
                raise AccountError(f"トークン {name} はありません。", f"There is no token {name}.")
            return _with(people, tokens={k: v for k, v in people.tokens.items() if k != name})

        self._store.change_people(drop)


# -- what may be set ------------------------------------------------------------------------------------------


def check_id(name: str) -> str:
    """A user's name to sign in with. Raises AccountError."""
    if USER_ID.fullmatch(name) is None:
        raise _bad_id(name)
    return name


def check_name(text: str) -> str:
    """A person's name as it is shown. Raises AccountError."""
    name = " ".join(text.split())
    if not name or len(name) > NAME_LONGEST or not name.isprintable():
        raise AccountError(
            f"表示名は1〜{NAME_LONGEST}文字です。", f"The name to show has 1 to {NAME_LONGEST} characters."
        )
    return name


def check_password(password: str, user: str) -> None:
    """Raises AccountError."""
    if not PASSWORD_SHORTEST <= len(password) <= PASSWORD_LONGEST:
        raise AccountError(
            f"パスワードは{PASSWORD_SHORTEST}文字以上にしてください。",
            f"The password needs at least {PASSWORD_SHORTEST} characters.",
        )
    if len(set(password)) < 5 or (user and user in password.lower()):
        raise AccountError(
            "推測されやすいパスワードです。別のものにしてください。",
            "That password is too easy to guess. Take another one.",
        )


def _centres(role: Role, centres: Collection[str]) -> tuple[str, ...]:
    if role is Role.ADMINISTRATOR:
        return (ALL_CENTRES,)
    if not centres:
        raise AccountError("センターを一つ以上選んでください。", "Choose at least one centre.")
    return tuple(sorted(centres))


def _agent(role: Role, agent: str | None) -> str | None:
    if role is Role.VIEWER:
        return None
    if role is not Role.OPERATOR:
        return agent or None
    if not agent:
        raise AccountError("オペレーター番号を指定してください。", "Give the agent's number.")
    return agent


def _bad_id(name: str) -> AccountError:
    return AccountError(
        f"「{name[:40]}」は使えません。英小文字で始まり、英小文字・数字・「.」「_」「-」で32文字までです。",
        f'"{name[:40]}" can\'t be used: up to 32 of a–z, 0–9, ".", "_", "-", the first a letter.',
    )


def _taken(name: str) -> AccountError:
    return AccountError(f"{name} はもう使われています。", f"{name} is taken.")


def _link_gone() -> AccountError:
    return AccountError(
        "このリンクは使えません。期限が切れたか、使用済みです。管理者に新しいリンクを頼んでください。",
        "This link cannot be used: it has expired or was used. Ask the administrator for a new one.",
    )


def _administrators(people: People) -> list[User]:
    return [
        u
        for u in people.users.values()
        if u.role is Role.ADMINISTRATOR and not u.disabled and u.password is not None
    ]


def _with(people: People, **parts: object) -> People:
    return msgspec.structs.replace(people, **parts)


def _with_user(people: People, user: User) -> People:
    return _with(people, users=people.users | {user.id: user})


def _digest(secret: str) -> str:
    """Secrets of 256 random bits: a plain hash is enough, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_hex(16))


def _verified(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _nobody(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
