"""A phone asks for its file over HTTPS: what it is told, and what becomes of its token. Pure; the web mounts it.

- A phone gets its own file and no other: by a token of one use together with its MAC (in the file's name) and its
  network; or by a certificate of its maker that names the MAC, where the front that ends TLS has checked one.
- Every other answer is the same empty 404, whatever was right about the request, so that guessing tells nothing. Why is
  for the log and for a count.
- A token is used up by the next: each file that is served bears a new one, and the old one dies as soon as the new one
  is used. (It lives until then, for a phone may lose its power before it has kept the file.) Only digests are kept.
- Nothing is served in clear text.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import IPv4Address, IPv4Network

from callcore.domain.centre import Configuration
from callcore.domain.ids import SECOND, Instant, PhoneId
from callcore.phones.maker import Unprintable
from callcore.phones.policy import printable
from callcore.phones.provision import Named, phones

FIRST_VALID_S = 24 * 3600
"""For how long the token that a person puts into a new phone is good."""
CA_FILE = "ca.pem"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}", re.ASCII)


class Refusal(Enum):
    """Why a request got nothing."""

    CLEAR_TEXT = "clear_text"
    FILE = "file"
    """No phone has a file of that name: a guessed MAC, or one of the maker's common files."""
    TOKEN = "token"  # noqa: S105  the word, not one
    NETWORK = "network"
    NOT_MADE = "not_made"
    """The inventory holds something that the maker's format cannot: our own fault."""


WORDS: dict[Refusal, tuple[str, str]] = {
    Refusal.CLEAR_TEXT: ("HTTPS ではない", "not over HTTPS"),
    Refusal.FILE: ("その名前のファイルを持つ電話機はない", "no phone has a file of that name"),
    Refusal.TOKEN: ("トークンがない、違う、または使用済み", "no token, a wrong one, or one that was used up"),
    Refusal.NETWORK: ("電話機のネットワークの外", "outside the phone's network"),
    Refusal.NOT_MADE: ("設定ファイルを作れない", "the file cannot be made"),
}
"""Japanese and English."""


@dataclass(frozen=True, slots=True)
class Request:
    at: Instant
    token: str
    file: str
    address: str
    https: bool
    user_agent: str = ""
    certificate_mac: str | None = None
    """The MAC that a checked certificate of the maker names, lower case with colons."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/octet-stream"
    phone: PhoneId | None = None
    refusal: Refusal | None = None
    note: Mapping[str, str] = field(default_factory=dict)
    """For the log: file, address and User-Agent, cut."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one phone, as digests."""

    current: str = ""
    until: Instant | None = None
    """End of the first token's time; later ones have none."""
    following: str = ""
    """The one in the file that was served last."""
    firmware: str = ""
    """As the phone called it when it fetched its file last; "" while it has not said."""


Store = Mapping[PhoneId, Tokens]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def begun(store: Store, phone: PhoneId, token: str, now: Instant) -> Store:
    """The store with a first token for this phone; whatever it had is void."""
    fresh = Tokens(digest(token), Instant(now + FIRST_VALID_S * SECOND))
    return {**store, phone: replace(fresh, firmware=store.get(phone, fresh).firmware)}


def serve(
    request: Request,
    store: Store,
    configuration: Configuration,
    *,
    fresh: Callable[[], str],
    make: Callable[[Named, str], bytes | None],
) -> tuple[Response, Store]:
    """The answer, and the store after it. `fresh` makes a token, `make` a phone's file that bears the given one."""
    note = {
        "file": printable(request.file, 64),
        "address": printable(request.address, 45),
        "user_agent": printable(request.user_agent),
    }

    def nothing(why: Refusal, phone: PhoneId | None = None) -> tuple[Response, Store]:
        return Response(404, phone=phone, refusal=why, note=note), store

    if not request.https:
        return nothing(Refusal.CLEAR_TEXT)
    named = next((each for each in phones(configuration) if each.file == request.file), None)
    if named is None:
        return nothing(Refusal.FILE)
    name = named.phone.id
    known = store.get(name, Tokens())
    by_certificate = (
        request.certificate_mac is not None
        and request.certificate_mac == named.phone.mac
        and named.maker.model(named.phone.model).certificate
    )
    used = None if by_certificate else _used(known, request)
    if not by_certificate and used is None:
        return nothing(Refusal.TOKEN, name)
    if not _inside(request.address, named.phone.networks):
        return nothing(Refusal.NETWORK, name)
    token = fresh()
    try:
        body = make(named, token)
    except Unprintable:
        body = None
    if body is None:
        return nothing(Refusal.NOT_MADE, name)
    kept = known if used is None or used == known.current else Tokens(current=used)
    says = named.maker.named(request.user_agent)
    firmware = (says.firmware if says is not None else None) or known.firmware
    after = {**store, name: replace(kept, following=digest(token), firmware=firmware)}
    return Response(200, body, "text/plain; charset=utf-8", name, None, note), after


def _used(known: Tokens, request: Request) -> str | None:
    """The digest of the token that was shown, if it is good."""
    if _TOKEN.fullmatch(request.token) is None:
        return None
    shown = digest(request.token)
    fits_current = hmac.compare_digest(shown, known.current)
    fits_following = hmac.compare_digest(shown, known.following)
    if fits_following:
        return shown
    return shown if fits_current and (known.until is None or request.at < known.until) else None


def _inside(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = IPv4Address(address)
    except ValueError:
        return False
    return any(found in IPv4Network(network) for network in networks)
