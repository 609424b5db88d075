"""What is known of a desk phone beside its device state: whether what registers is the phone of the inventory.

Refusal is the default: a phone is served only while its present contact was found to match. Who finds it is
`callcore.phones.policy`; here are the words, and what the floor keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from callcore.domain.ids import Instant


class Policy(Enum):
    """How a phone's present contact stands to its line of the inventory."""

    ABSENT = "absent"
    """Nothing is registered."""
    UNANSWERED = "unanswered"
    """It has not answered Asterisk's OPTIONS yet. A refusal once Asterisk has given up waiting."""
    MATCHED = "matched"
    MAKER = "maker"
    """The User-Agent is not that maker's. Likewise the two below."""
    MODEL = "model"
    MAC = "mac"
    ADDRESS = "address"
    """It comes from outside the site's networks."""
    TRANSPORT = "transport"
    """It came over UDP or TCP where the inventory wants TLS."""
    CERTIFICATE = "certificate"
    """It showed no certificate of its maker where its model has one."""
    CONTACTS = "contacts"
    """More than one contact; or a second one that was turned away while the first was there."""
    UNREGISTERED = "unregistered"
    """A call from where no contact of this phone was found to match. Of attempts only."""
    EMERGENCY = "emergency"
    """110, 118 or 119 from there: it went out. Of attempts only."""


REFUSALS = frozenset(Policy) - {Policy.ABSENT, Policy.MATCHED}
"""What counts as a violation when it is told."""


@dataclass(frozen=True, slots=True)
class PhoneState:
    """What the floor keeps of a phone's registration."""

    policy: Policy
    since: Instant
    user_agent: str
    address: str
    contact: str = ""
    """The seal of this contact with this User-Agent."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One violation, for counts."""

    centre: str
    at: Instant
    reason: Policy


WORDS: dict[Policy, tuple[str, str]] = {
    Policy.ABSENT: ("未登録", "not registered"),
    Policy.UNANSWERED: ("OPTIONS に応答なし", "does not answer OPTIONS"),
    Policy.MATCHED: ("台帳と一致", "matches the inventory"),
    Policy.MAKER: ("メーカーが台帳と違う", "another maker than in the inventory"),
    Policy.MODEL: ("機種が台帳と違う", "another model than in the inventory"),
    Policy.MAC: (
        "MAC アドレスが台帳と違うか名乗らない",
        "another MAC address than in the inventory, or none told",
    ),
    Policy.ADDRESS: ("拠点のネットワークの外", "outside the site's networks"),
    Policy.TRANSPORT: ("TLS でない", "not over TLS"),
    Policy.CERTIFICATE: ("メーカーの証明書なし", "no certificate of its maker"),
    Policy.CONTACTS: ("同じ電話機が二つ以上", "more than one contact of this phone"),
    Policy.UNREGISTERED: ("一致した登録のない所からの発信", "a call from where nothing was found to match"),
    Policy.EMERGENCY: (
        "一致した登録のない所からの 110・118・119(発信は通した)",
        "110, 118 or 119 from where nothing was found to match; it went out",
    ),
}
"""Japanese and English."""
