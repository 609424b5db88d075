"""What is registered as a phone, held against its line of the inventory.

Rules, in this order; the first that does not hold is the reason:
1. one contact, no more;
2. over TLS where the line says so;
3. from an address in the line's networks;
4. a User-Agent of the line's maker;
5. of its model;
6. with its MAC address;
7. through the port that requires a certificate, where the model has one (unless its line waives it);
8. it answers Asterisk's OPTIONS.

What is found is sealed: the seal names the contact and its User-Agent, stands in AstDB, and the dialplan makes it anew
from what is registered at the moment of a call (`dialplans/phones.conf`). So a verdict ends with its contact, and
holds without callcore.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from callcore.domain.centre import Phone
from callcore.domain.phones import Policy
from callcore.phones.maker import Named
from callcore.phones.makers import MAKERS

_URI = re.compile(r"sips?:(?:[^@;>]*@)?(?P<host>\[[^\]]*\]|[^:;>]+)(?::(?P<port>\d+))?(?P<more>.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact as Asterisk has it."""

    id: str
    uri: str
    user_agent: str
    answers: bool | None
    """To OPTIONS; None: not known yet."""

    @property
    def address(self) -> IPv4Address | None:
        """Whence it registered: `rewrite_contact` puts the packet's own source into the URI."""
        found = _URI.fullmatch(self.uri)
        try:
            return IPv4Address(found["host"]) if found else None
        except ValueError:
            return None

    @property
    def source(self) -> str:
        """Address and port that it registered from, as `192.0.2.7/5060`."""
        found = _URI.fullmatch(self.uri)
        return f"{found['host']}/{found['port'] or 5060}" if found else ""

    @property
    def over_tls(self) -> bool:
        found = _URI.fullmatch(self.uri)
        return self.uri.startswith("sips:") or (
            found is not None and "transport=tls" in found["more"].lower().split(";")
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    policy: Policy
    contact: Contact | None = None

    @property
    def shown(self) -> tuple[str, str]:
        """User-Agent and address for people: cut, and without signs that are no print."""
        if self.contact is None:
            return "", ""
        return printable(self.contact.user_agent), str(self.contact.address or "")


def printable(text: str, most: int = 120) -> str:
    """Text from the wire for people: cut, and what is no print is a full stop."""
    return "".join(sign if sign.isprintable() else "." for sign in text[:most])


def judge(line: Phone, contacts: Sequence[Contact], *, certificate_seen: bool | None = None) -> Verdict:
    """`certificate_seen`: whether the registration came through the port that requires one; None: it is not known any
    more, and the contact is one that matched."""
    if not contacts:
        return Verdict(Policy.ABSENT)
    contact = contacts[0]
    if len(contacts) > 1:
        return Verdict(Policy.CONTACTS, contact)
    if line.transport == "tls" and not contact.over_tls:
        return Verdict(Policy.TRANSPORT, contact)
    address = contact.address
    if address is None or not any(address in IPv4Network(network) for network in line.networks):
        return Verdict(Policy.ADDRESS, contact)
    wrong = _named(line, contact)
    if wrong is not None:
        return Verdict(wrong, contact)
    if certificate_seen is False and line.certificate:
        return Verdict(Policy.CERTIFICATE, contact)
    return Verdict(Policy.MATCHED if contact.answers else Policy.UNANSWERED, contact)


def _named(line: Phone, contact: Contact) -> Policy | None:
    """What is wrong with how the phone names itself."""
    maker = MAKERS.get(line.maker)
    address = contact.address
    if maker is None or (maker.only_on is not None and (address is None or not maker.only_on(address))):
        return Policy.MAKER
    if maker.agent is None:
        begins = line.user_agent
        return None if begins and contact.user_agent.startswith(begins) else Policy.MAKER
    named = maker.named(contact.user_agent)
    if named is None:
        return Policy.MAKER
    return _of_line(line, named) if maker.models else None


def _of_line(line: Phone, named: Named) -> Policy | None:
    if named.model != line.model:
        return Policy.MODEL
    return None if line.mac is not None and named.mac == line.mac else Policy.MAC


def seal(contact: Contact) -> str:
    """What stands in AstDB for a contact that matches; `phones.conf` makes it in the same way."""
    return hashlib.sha1(f"{contact.id}|{contact.user_agent}".encode(), usedforsecurity=False).hexdigest()


def firmware(line: Phone, user_agent: str) -> str | None:
    """The firmware that a phone says it has."""
    maker = MAKERS.get(line.maker)
    named = maker.named(user_agent) if maker is not None else None
    return named.firmware if named is not None else None
