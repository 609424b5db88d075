"""Checkers of other projects: promtool, amtool, systemd-analyze."""

from __future__ import annotations

import shutil
import subprocess


def tool(name: str, *argv: object) -> None:
    """Run a checker that must find nothing."""
    found = shutil.which(name)
    assert found, f"{name}: scripts/test installs it"
    done = subprocess.run([found, *map(str, argv)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
