"""What a measurement found, as a table for people and as JSON for machines, with the circumstances it was found in."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """The spread of one measured time. All in `unit`."""

    what: str
    count: int
    median: float
    p99: float
    longest: float
    unit: str = "ms"

    @classmethod
    def of(cls, what: str, values: Sequence[float], unit: str = "ms") -> Row:
        """By nearest rank. Raises `ValueError` without a value."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError(f"nothing was measured: {what}")

        def rank(share: float) -> float:
            return round(ordered[max(0, ceil(share * len(ordered)) - 1)], 3)

        return cls(what, len(ordered), rank(0.5), rank(0.99), round(ordered[-1], 3), unit)


@dataclass(frozen=True, slots=True)
class Report:
    name: str
    title: str
    circumstances: Mapping[str, str]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    def table(self) -> str:
        """Markdown."""
        facts = {**machine(), **self.circumstances}
        lines = [f"# {self.title}", "", "| what | value |", "| --- | --- |"]
        lines += [f"| {name} | {value} |" for name, value in facts.items()]
        lines += ["", "| measured | n | median | p99 | longest |", "| --- | ---: | ---: | ---: | ---: |"]
        lines += [
            f"| {row.what} | {row.count} | {row.median:g} {row.unit} | {row.p99:g} {row.unit} | "
            f"{row.longest:g} {row.unit} |"
            for row in self.rows
        ]
        lines += [line for note in self.notes for line in ("", note)]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> Path:
        """A page and a JSON file of the same name below `folder`; an earlier run of the same day is kept."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{self.name}-{datetime.now(UTC):%Y-%m-%d}"
        number = 1
        while (page := folder / f"{stem}{'' if number == 1 else f'-{number}'}.md").exists():
            number += 1
        page.write_text(self.table(), encoding="utf-8")
        told = {**machine(), **self.circumstances, "rows": [asdict(row) for row in self.rows]}
        page.with_suffix(".json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
        return page


def machine() -> dict[str, str]:
    """On what it was measured."""
    describe = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(describe, cwd=PROJECT, capture_output=True, text=True, check=False)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "callcore": done.stdout.strip() or "unknown",
        "Python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "niceness": str(os.nice(0)),
        "load average at the end (1, 5, 15 min)": load,
        "date (UTC)": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    }


def command(about: str | None, measure: Callable[[int], Report], *, rounds: int) -> None:
    """The command line of a measurement in rounds: prints its table, and writes the page and the JSON file if asked."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--evidence", type=Path, help="folder for the page and the JSON file")
    asked = parser.parse_args()
    report = measure(asked.rounds)
    print(report.table())
    if asked.evidence is not None:
        print(report.write(asked.evidence))
