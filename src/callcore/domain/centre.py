"""What a centre file says, once it is read and found right.

Frozen values only. `callcore.centres` makes them from TOML; the journal keeps them, so that a day can be folded
years later under the rules that it was lived under.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.hours import Calendar
from callcore.domain.ids import AgentId, CentreId, PhoneId, QueueId


@dataclass(frozen=True, slots=True)
class Number:
    """A number that callers dial (DID). `digits` is what arrives in the request URI."""

    digits: str
    queue: QueueId


@dataclass(frozen=True, slots=True)
class Queue:
    """Callers of one centre and one need. All lengths in whole seconds."""

    id: QueueId
    name: str
    ring_s: int = 15
    """How long one agent's phone rings: `Dial`'s own limit."""
    acw_s: int = 30
    """After-call work: from the end of the talk until the agent is free again."""
    rest_no_answer_s: int = 20
    """How long an agent whose phone rang out is passed over. Likewise the three below."""
    rest_reject_s: int = 20
    rest_busy_s: int = 5
    rest_unreachable_s: int = 10
    longest_wait_s: int = 1800
    """Bound of one wait; 30 s later the waiting application itself lets go."""
    priority: int = 5
    """1 (first) to 9 (last)."""


@dataclass(frozen=True, slots=True)
class Agent:
    id: AgentId
    name: str
    queues: tuple[QueueId, ...]
    phone: PhoneId | None = None
    """The seat the agent is fixed to; None: any phone of the centre."""


@dataclass(frozen=True, slots=True)
class Phone:
    id: PhoneId
    seat: str
    model: str
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """One text of a centre in one language, and the name of the sound that was made from it."""

    kind: str
    """`recording_notice`, `greeting`, `closed`, `apology`."""
    language: str
    text: str
    sound: str
    """Path below the sounds folder without ending, e.g. `oita/ja/closed`."""


@dataclass(frozen=True, slots=True)
class Centre:
    """One contract. Ratios are 0 to 1, lengths in seconds."""

    id: CentreId
    name: str
    name_en: str
    calendar: Calendar
    numbers: tuple[Number, ...]
    queues: tuple[Queue, ...]
    agents: tuple[Agent, ...]
    phones: tuple[Phone, ...]
    announcements: tuple[Announcement, ...]
    languages: tuple[str, ...] = ("ja",)
    target_answer_ratio: float = 0.90
    service_level_s: int = 20
    short_abandon_s: int = 5

    @property
    def time_zone(self) -> str:
        return self.calendar.zone


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every centre of the installation. `version` is a digest of the files it was read from."""

    version: str
    centres: tuple[Centre, ...]
