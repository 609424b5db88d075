"""What callcore knows of a maker's phones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from callcore.domain.centre import Phone
from callcore.domain.ids import PhoneId


@dataclass(frozen=True, slots=True)
class Model:
    """One model's capabilities, as its maker publishes them."""

    name: str
    """As in the centre file, and as the phone names itself."""
    keys: int = 0
    """Programmable keys with a lamp."""
    label_most: int = 0
    """Characters of a key's label that the display has room for; 0: keys with paper labels."""
    certificate: bool = False
    """It bears a device certificate of its maker, unique to the phone."""
    sends_digits: bool = False
    """A key can send digits inside a call, beside whoever is on the line."""
    family: str = ""
    """What the maker's common file is named by."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a User-Agent says of its phone. None: it does not say."""

    model: str | None
    firmware: str | None
    mac: str | None
    """Lower case with colons."""


@dataclass(frozen=True, slots=True)
class Key:
    """One programmable key."""

    code: str
    """What it dials; a lamp is watched at the same name."""
    label: str
    short: str
    """The label where there is room for few characters; half-width where the display has no Japanese."""
    lamp: bool
    digits: bool = False
    """Sends the code as digits of the call that one is in; opens no call, and has no lamp."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a phone's file is made from."""

    phone: Phone
    model: Model
    user: PhoneId
    secret: str = field(repr=False)
    registrar: str
    """Host name or address."""
    port: int
    display: str
    """What the phone shows of itself: the seat."""
    keys: tuple[Key, ...]
    language: str
    """`ja` or `en`."""
    utc_offset_min: int
    """Of the centre's time zone: minutes east of UTC."""
    ntp: str
    expires_s: int
    hold_tone_s: int
    """Seconds of hold after which the phone itself is to sound a tone; 0: never."""
    url: str
    """Where the phone fetches its file, without the file's name; "" where it is not served."""
    ca_url: str
    """Where the phone fetches the certificate that it trusts; "" as above."""


class Unprintable(ValueError):
    """A value that the maker's format cannot hold. Says which, in Japanese and English."""


@dataclass(frozen=True, slots=True)
class Maker:
    id: str
    name: str
    models: Mapping[str, Model]
    """Empty: whatever model the centre file names."""
    agent: re.Pattern[str] | None
    """The whole User-Agent, with groups `model`, `firmware`, `mac`; None: the inventory's line says how it begins."""
    file_name: Callable[[str], str] | None = None
    """A phone's own file's name from its MAC (12 digits, lower case); None: this maker's phones are set up by hand."""
    render: Callable[[Sheet], bytes] | None = None
    """The phone's own file, or the page to print. Raises Unprintable."""
    japanese: bool = False
    """Its phones show a caller's name in Japanese; of others it is not known, and they are given a romanised one."""
    resync: str | None = "check-sync"
    """The `Event` of the NOTIFY at which the phone fetches its file."""
    only_on: Callable[[IPv4Address], bool] | None = None
    """Whether such a phone may register from there at all; None: from everywhere that its line allows."""

    def model(self, name: str) -> Model:
        return self.models.get(name) or Model(name)

    def named(self, user_agent: str) -> Named | None:
        """What the User-Agent says; None: it is not one of this maker's."""
        if self.agent is None:
            return None
        found = self.agent.fullmatch(user_agent)
        if found is None:
            return None
        told = found.groupdict()
        return Named(told.get("model"), told.get("firmware"), mac_of(told.get("mac")))


def mac_of(text: str | None) -> str | None:
    """A MAC address however it is written, lower case with colons; None: it is none."""
    digits = re.sub(r"[^0-9a-f]", "", (text or "").lower())
    return ":".join(re.findall("..", digits)) if len(digits) == 12 else None


def bare(mac: str) -> str:
    """The twelve digits of a MAC address, lower case."""
    return mac.replace(":", "")
