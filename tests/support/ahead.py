"""How long a process waited for this machine; and with `CALLCORE_TEST_AHEAD` set (as root) its other work stands back
while a run is measured.

`1`: Linux shares the cores among sessions before it looks at niceness (autogroup, sched(7)); so the session of this
process and that of Asterisk are put first, alike.

`realtime`: besides, Asterisk, the engine and SIPp, all alike, run in the real-time class (SCHED_RR, lowest priority):
else a foreign process that has just been given a core may keep it for some milliseconds. The sidecar stands back, as it
does under the supervisor. Not for runs in which the cores are full: the class takes turns of a tenth of a second, and
Asterisk with 250 callers in the safety net did not answer a Ping for 4 s then.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

AHEAD = "CALLCORE_TEST_AHEAD"
REALTIME = "realtime"


def asked() -> bool:
    return os.environ.get(AHEAD) in ("1", REALTIME)


def session(pid: int) -> None:
    """Put the session of this process first."""
    if asked():
        Path(f"/proc/{pid}/autogroup").write_text("-15")


def first(pid: int | None) -> None:
    """Put this process, with all its threads and those to come, before what is in no real-time class."""
    if os.environ.get(AHEAD) != REALTIME or pid is None:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


def sessions_below() -> None:
    """The same for every session that this process's children have begun, as a browser does."""
    parents: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = (int(fields[1]), int(fields[3]))
    for pid, (above, leader) in parents.items():
        while above > 1 and above != os.getpid():
            above, _ = parents.get(above, (0, 0))  # noqa: PLW2901
        if above == os.getpid() and leader == pid:
            with contextlib.suppress(OSError):
                session(pid)


def kept_waiting_s(pid: int) -> float:
    """Seconds for which a process could have run and the machine was busy with others (second field of schedstat)."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[1]) for each in threads) / 1e9
