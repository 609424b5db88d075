"""Whoever searches the log: every line is JSON and tells where it comes from, and no personal value is in any."""

from __future__ import annotations

import json
import subprocess
import sys

SPEAKS = """
import asyncio, logging, threading
import structlog
from callcore import log
from callcore.domain.floor import Floor
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.runtime.loop import Loop

log.configure("info", "engine", "node7")
ours = structlog.get_logger("callcore.x")
ours.info("before anything is known")
log.present(lambda: {"seq": "3.14"})
ours.warning("about a call", call="c1", agent="1001")
ours.debug("not told")
number = Personal(CallId("c1"), CentreId("demo"), Instant(0), "0312345678", None)
ours.warning("a caller", number=number, all=f"{number} {number!r}")
try:
    raise OSError("no room")
except OSError:
    ours.exception("of ours")
    logging.getLogger("library").exception("of a %s", "library")
thread = threading.Thread(target=lambda: logging.getLogger("callcore.web").warning("from a thread"))
thread.start()
thread.join()
loop = Loop(Floor(), None, None, lambda: Instant(0))
asyncio.run(loop._decide(object(), 0))
"""


def spoken() -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKS], capture_output=True, text=True, check=True, timeout=30
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_tells_process_node_seq_call_and_agent_and_no_number() -> None:
    lines = spoken()
    for line in lines:
        assert {"event", "level", "timestamp", "process", "node", "seq", "call", "agent"} <= set(line), line
        assert (line["process"], line["node"]) == ("engine", "node7")
        assert "0312345678" not in json.dumps(line)
    told = {str(line["event"]): line for line in lines}
    assert told["before anything is known"]["seq"] is None
    assert all(line["seq"] == "3.14" for line in lines[1:])
    assert (told["about a call"]["call"], told["about a call"]["agent"]) == ("c1", "1001")
    assert "not told" not in told
    for name in ("of ours", "of a library"):
        assert (told[name]["level"], "OSError: no room" in str(told[name]["exception"])) == ("error", True)
    assert told["from a thread"]["level"] == "warning"
    assert "the core could not take an input" in told
