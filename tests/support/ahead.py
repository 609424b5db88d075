"""With `CALLCORE_TEST_AHEAD=1` (as root): this machine's other work stands back while a run is measured.

Linux shares the cores among sessions before it looks at niceness (autogroup, sched(7)); so the session of this process
and that of Asterisk are put first, alike. A phone rings within milliseconds, and a foreign process that has just been
given a core may keep it for some: so Asterisk, the engine and the load generator, all alike, run in the real-time class
(SCHED_RR, lowest priority), which goes before. The sidecar does not: it stands back, as it does under the supervisor.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

AHEAD = "CALLCORE_TEST_AHEAD"


def asked() -> bool:
    return os.environ.get(AHEAD) == "1"


def session(pid: int) -> None:
    """Put the session of this process first."""
    if asked():
        Path(f"/proc/{pid}/autogroup").write_text("-15")


def first(pid: int | None) -> None:
    """Put this process, with all its threads and those to come, before what is in no real-time class."""
    if not asked() or pid is None:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))
