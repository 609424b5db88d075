"""What the start of a process does not do: it is in the way of who waits for it after a crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNTED = """
import gc, runpy, sys
looks = []
gc.callbacks.append(lambda phase, told: looks.append(told["generation"]) if phase == "start" else None)
sys.argv = ["callcore", "version"]
try:
    runpy.run_module("callcore", run_name="__main__")
except SystemExit as end:
    assert not end.code
assert gc.isenabled()
assert len(looks) < 20, len(looks)
"""


def python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_collector_rests_while_a_process_is_imported() -> None:
    python(COUNTED)


@pytest.mark.parametrize(
    ("process", "left_out"),
    [
        ("sidecar", {"alembic", "mako"}),
    ],
)
def test_a_process_starts_without_what_it_needs_rarely(process: str, left_out: set[str]) -> None:
    python(f"import callcore.{process}, sys; found = {left_out} & set(sys.modules); assert not found, found")
