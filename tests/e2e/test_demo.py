"""The demo's day, played fast: whoever has no phones sees a whole day that adds up."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.asterisk import free_port
from tests.support.station import PROJECT, toolchain_path


@pytest.mark.few
def test_a_demo_day_is_played_to_its_end_and_journal_database_and_cdr_agree_call_by_call() -> None:
    home = Path(tempfile.mkdtemp(prefix="cc-"))
    try:
        env = {
            **os.environ,
            "PYTHONPATH": str(PROJECT / "src"),
            "CALLCORE_HOME": str(home),
            "CALLCORE_TOOLCHAIN": str(toolchain_path()),
            "CALLCORE_WEB_PORT": str(free_port("127.0.0.1")),
            "CALLCORE_AMI_PORT": str(free_port("127.0.0.1") - random.randrange(1, 9)),
            "CALLCORE_SIP_PORT": str(free_port("127.0.0.1", socket.SOCK_DGRAM)),
        }
        argv = [
            sys.executable,
            "-m",
            "callcore",
            "run",
            "--demo",
            "--speed",
            "700",
            "--calls",
            "10",
            "--agents",
            "2",
        ]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=170, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        summary = json.loads((home / "demo" / "summary.json").read_text())
        assert summary["arrived"] == 11, done.stdout
        assert summary["answered"] >= 3, done.stdout
        assert summary["closed"] == 1, done.stdout
        assert summary["recordings"] == summary["answered"]
        assert summary["books"] is None
        assert summary["differences"] == []
        assert "一日のまとめ / the day's summary" in done.stdout
    finally:
        if not os.environ.get("CALLCORE_TEST_KEEP"):
            shutil.rmtree(home, ignore_errors=True)
