"""Figures of large trials, kept for whoever reads the reports."""

from __future__ import annotations

import json
import os
from pathlib import Path


def evidence(trial: str, figures: dict[str, object]) -> None:
    """One JSON line for the trial, in the file that CALLCORE_EVIDENCE names, if any."""
    target = os.environ.get("CALLCORE_EVIDENCE")
    if target is not None:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"trial": trial, "figures": figures}, ensure_ascii=False) + "\n")
