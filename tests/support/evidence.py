"""Figures of large trials, kept for whoever reads the reports, and how far a long one has come."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path


def evidence(trial: str, figures: dict[str, object]) -> None:
    """One JSON line for the trial, in the file that CALLCORE_EVIDENCE names, if any."""
    target = os.environ.get("CALLCORE_EVIDENCE")
    if target is not None:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"trial": trial, "figures": figures}, ensure_ascii=False) + "\n")


def progress(line: str) -> None:
    """One line with the time (UTC) in `progress.log` beside that file, for whoever watches a run of hours."""
    target = os.environ.get("CALLCORE_EVIDENCE")
    if target is not None:
        with Path(target).with_name("progress.log").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
