"""Whoever runs callcore by the example unit: systemd reads it, and it lets the service do little else than its work."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from callcore.pbx.process import START_DEADLINE_S, STOP_DEADLINE_S
from callcore.runtime.process import FINAL_STATUS
from callcore.settings import PROJECT
from callcore.supervisor import STOP_S
from tests.support.tools import tool

UNIT = PROJECT / "deploy" / "callcore.service"
EXPOSURE = 20
"""Tenths: systemd calls 2.0 and less "OK". It is 1.7; the rest is network, and what its interpreter may ask for."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it would be with the project in its place."""
    place, program = str(PROJECT), sys.executable
    text = UNIT.read_text(encoding="utf-8").replace("/opt/callcore/.venv/bin/callcore", program)
    made = tmp_path / UNIT.name
    made.write_text(text.replace("/opt/callcore", place), encoding="utf-8")
    return made


def test_systemd_reads_the_unit_without_a_complaint(unit: Path) -> None:
    assert shutil.which("systemd-analyze"), "scripts/test installs it"
    tool("systemd-analyze", "verify", "--man=no", unit)


def test_the_service_may_do_little_else_than_its_work(unit: Path) -> None:
    tool("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)


def test_a_weaker_unit_would_be_found(unit: Path) -> None:
    unit.write_text(re.sub(r"(?m)^(Protect|Restrict|SystemCall).*\n", "", unit.read_text()))
    with pytest.raises(AssertionError):
        tool("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)


def test_its_times_and_statuses_are_the_supervisors_own() -> None:
    has = dict(re.findall(r"(?m)^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8")))
    assert (has["Type"], has["KillMode"], has["KillSignal"]) == ("notify", "process", "SIGINT")
    assert int(has["RestartPreventExitStatus"]) == FINAL_STATUS
    assert int(has["TimeoutStartSec"]) > START_DEADLINE_S
    assert int(has["TimeoutStopSec"]) > 2 * STOP_S + 3 * STOP_DEADLINE_S
