"""The reports of what was erased (作業完了報告書), as whoever keeps them hands them to whoever shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from callcore.domain.ids import CentreId


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """One report in few words. Instants: RFC 3339. `scope`: `call`, `number`, `period`, `centre`, `retention`; or
    `damaged`: nothing more of it can be read than its id, and its centre is `UNASSIGNED`. `signed`: it is as it was
    signed by a key of this installation."""

    id: str
    centre: CentreId
    scope: str
    what: str
    reason: str
    by: str
    ordered_at: str
    done_at: str
    calls: int
    recordings: int
    tasks: int
    left: int
    complete: bool
    signed: bool


class ErasureReader(Protocol):
    """Each waits for the disk, and raises OSError."""

    def listed(self) -> Sequence[ErasureRow]:
        """The newest first."""
        ...

    def report(self, id: str) -> tuple[CentreId, bytes, bytes] | None:
        """Its centre, the signed JSON, and the page to be printed; None: there is none."""
        ...

    def style(self) -> str:
        """The style that stands in the page, for the browser to be told of it."""
        ...
