"""Who may do what: one table.

Rules
- Every route and every command names one `Right`. Who has it, and how far it reaches, stands in `ROLES` and `SCOPES`
  and nowhere else.
- A right reaches over one's own things (`OWN`), over one's own centres (`CENTRES`), or over everything (`ALL`).
  A person's centres are listed; nothing of another centre is seen or moved.
- Four kinds of person: a user with a role, a machine token with scopes, the account of the operating system that runs a
  command on this machine (it can read every file here, so the table gives it everything and the audit trail its
  name), and callcore's own sidecar. What nobody is given, nobody has.
- The sidecar asks this table before it asks the engine, and the engine asks it again.

The reaches of the roles, read across:

    right              operator   supervisor  viewer (city)  administrator
    document           all        all         all            all         and every token
    own account        own        own         own            own
    live board         –          centres     centres        all
    single calls       –          centres     centres        all
    agents' states     own        centres     –              all
    personal values    –          centres     –              all         numbers but for three digits, agents' names
    act on agents      own        centres     –              all         pause, ready, sign out
    emergency          –          centres     –              all
    block callers      –          centres     –              all         the list of unwelcome callers
    watch              –          centres     –              all         listen to talks, whisper, barge in, take over
    supervise          –          centres     –              all         move callers, skills, help, thresholds, marks
    listen             –          centres     –              all         to recordings
    download           –          centres     –              all         recordings
    erase              –          –           –              all         and order to keep longer
    audit trail        –          centres     –              all
    configuration      –          –           –              all
    operation          –          –           –              all         metrics, readiness in detail
    users              –          –           –              all
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from callcore.domain.ids import AgentId, CentreId


class Right(Enum):
    ANYONE = "anyone"
    """Not even signed in."""
    READ_DOCUMENT = "read_document"
    """What there is to ask for, and who one is."""
    OWN_ACCOUNT = "own_account"
    READ_LIVE = "read_live"
    READ_CALLS = "read_calls"
    READ_AGENTS = "read_agents"
    READ_PERSONAL = "read_personal"
    """Numbers but for their last three digits, and agents' names. Without it neither is shown."""
    ACT_AGENTS = "act_agents"
    EMERGENCY = "emergency"
    BLOCK_CALLERS = "block_callers"
    """Put callers on a centre's list of unwelcome ones, and take them off."""
    WATCH = "watch"
    """Be at an agent's talk, by the own desk phone: listen, whisper, barge in, take over."""
    SUPERVISE = "supervise"
    """Move waiting callers, set agents' skills, answer those who ask for help, set the board's thresholds; mark
    recordings."""
    LISTEN = "listen"
    """To recordings, with a stated purpose. What is known of them goes with single calls."""
    DOWNLOAD = "download"
    """Recordings, with a stated purpose."""
    ERASE = "erase"
    """What is kept of calls; and order that it is kept longer."""
    READ_TRAIL = "read_trail"
    CONFIGURE = "configure"
    READ_OPERATION = "read_operation"
    MANAGE_USERS = "manage_users"
    OPERATE = "operate"
    """Start, stop and migrate: only on the machine itself."""
    SERVICE = "service"
    """Between callcore's own processes."""


class Role(Enum):
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"


class Scope(Enum):
    """Of a machine token."""

    METRICS = "read_metrics"
    LIVE = "read_live"
    ACT = "act"


class Reach(Enum):
    OWN = "own"
    CENTRES = "centres"
    ALL = "all"


_OWN, _CENTRES, _ALL = Reach.OWN, Reach.CENTRES, Reach.ALL

ROLES: Final[Mapping[Role, Mapping[Right, Reach]]] = {
    Role.OPERATOR: {
        Right.READ_DOCUMENT: _ALL,
        Right.OWN_ACCOUNT: _OWN,
        Right.READ_AGENTS: _OWN,
        Right.ACT_AGENTS: _OWN,
    },
    Role.SUPERVISOR: {
        Right.READ_DOCUMENT: _ALL,
        Right.OWN_ACCOUNT: _OWN,
        Right.READ_LIVE: _CENTRES,
        Right.READ_CALLS: _CENTRES,
        Right.READ_AGENTS: _CENTRES,
        Right.READ_PERSONAL: _CENTRES,
        Right.ACT_AGENTS: _CENTRES,
        Right.EMERGENCY: _CENTRES,
        Right.BLOCK_CALLERS: _CENTRES,
        Right.WATCH: _CENTRES,
        Right.SUPERVISE: _CENTRES,
        Right.LISTEN: _CENTRES,
        Right.DOWNLOAD: _CENTRES,
        Right.READ_TRAIL: _CENTRES,
    },
    Role.VIEWER: {
        Right.READ_DOCUMENT: _ALL,
        Right.OWN_ACCOUNT: _OWN,
        Right.READ_LIVE: _CENTRES,
        Right.READ_CALLS: _CENTRES,
    },
    Role.ADMINISTRATOR: {
        Right.READ_DOCUMENT: _ALL,
        Right.OWN_ACCOUNT: _OWN,
        Right.READ_LIVE: _ALL,
        Right.READ_CALLS: _ALL,
        Right.READ_AGENTS: _ALL,
        Right.READ_PERSONAL: _ALL,
        Right.ACT_AGENTS: _ALL,
        Right.EMERGENCY: _ALL,
        Right.BLOCK_CALLERS: _ALL,
        Right.WATCH: _ALL,
        Right.SUPERVISE: _ALL,
        Right.LISTEN: _ALL,
        Right.DOWNLOAD: _ALL,
        Right.ERASE: _ALL,
        Right.READ_TRAIL: _ALL,
        Right.CONFIGURE: _ALL,
        Right.READ_OPERATION: _ALL,
        Right.MANAGE_USERS: _ALL,
    },
}

SCOPES: Final[Mapping[Scope, Mapping[Right, Reach]]] = {
    Scope.METRICS: {Right.READ_DOCUMENT: _ALL, Right.READ_OPERATION: _ALL},
    Scope.LIVE: {
        Right.READ_DOCUMENT: _ALL,
        Right.READ_LIVE: _CENTRES,
        Right.READ_CALLS: _CENTRES,
        Right.READ_AGENTS: _CENTRES,
        Right.READ_PERSONAL: _CENTRES,
    },
    Scope.ACT: {
        Right.READ_DOCUMENT: _ALL,
        Right.ACT_AGENTS: _CENTRES,
        Right.EMERGENCY: _CENTRES,
        Right.BLOCK_CALLERS: _CENTRES,
        Right.SUPERVISE: _CENTRES,
    },
}
"""What one scope gives. Figures of operation name no centre's callers, and reach over all of them."""

SYSTEM: Final[Mapping[Right, Reach]] = {
    right: _ALL for right in Right if right not in (Right.OWN_ACCOUNT, Right.SERVICE)
}
"""The account that runs `callcore` on this machine."""

SIDECAR: Final[Mapping[Right, Reach]] = {
    Right.SERVICE: _ALL,
    Right.READ_OPERATION: _ALL,
    Right.ERASE: _ALL,
}

E = TypeVar("E", bound=Callable[..., Any])


def needs(right: Right) -> Callable[[E], E]:
    """What a route's endpoint, or a command of the shell, asks for: the name of its right stands on the function."""

    def name(function: E) -> E:
        function.right = right  # type: ignore[attr-defined]
        return function

    return name


ALL_CENTRES: Final = "*"
"""Stands where a list of centres would: every one, those of tomorrow included."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks. `id` is the cause that facts and the audit trail name, e.g. `user:sato`."""

    id: str
    name: str
    rights: Mapping[Right, Reach]
    centres: frozenset[str] = frozenset()
    """Or `ALL_CENTRES` alone."""
    agent: AgentId | None = None
    role: Role | None = None

    def may(self, right: Right, centre: CentreId | None = None, agent: AgentId | None = None) -> bool:
        """Whether the right is there, over this centre and this agent. Without either: anywhere at all."""
        if right is Right.ANYONE:
            return True
        reach = self.rights.get(right)
        if reach is None:
            return False
        if reach is Reach.ALL or right is Right.OWN_ACCOUNT:
            return True
        if reach is Reach.OWN:
            return self.agent is not None and ((agent is None and centre is None) or agent == self.agent)
        return centre is None or self.sees(centre)

    def may_everywhere(self, right: Right) -> bool:
        """Whether the right reaches over every centre, as what touches them all must ask."""
        return self.rights.get(right) is Reach.ALL

    def sees(self, centre: CentreId) -> bool:
        return ALL_CENTRES in self.centres or centre in self.centres

    def among(self, right: Right, centres: Collection[CentreId]) -> tuple[CentreId, ...]:
        """Those of `centres` over which the right reaches; none for a right over one's own things alone."""
        return tuple(c for c in centres if self.rights.get(right) is not Reach.OWN and self.may(right, c))


NOBODY: Final = Person("anonymous", "", {})
"""Who has not signed in."""
SIDECAR_PERSON: Final = Person("service:sidecar", "callcore", SIDECAR, frozenset({ALL_CENTRES}))


def system_person(account: str) -> Person:
    """The account of this machine under which a command runs."""
    return Person(f"system:{account}", account, SYSTEM, frozenset({ALL_CENTRES}))


def of_scopes(scopes: Collection[Scope]) -> Mapping[Right, Reach]:
    return {right: reach for scope in Scope if scope in scopes for right, reach in SCOPES[scope].items()}
