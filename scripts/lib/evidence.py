"""Turns the figures of one soak run into a page under docs/evidence/.

Reads ``figures.jsonl`` (one JSON object for each trial: ``trial``, ``figures``) and pytest's ``report.xml``.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path


def commit_of(folder: Path) -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def asterisk_version() -> str:
    path = Path(os.environ.get("CALLCORE_TOOLCHAIN") or Path(os.environ["CALLCORE_HOME"]) / "toolchain.json")
    asterisk = json.loads(path.read_text("utf-8"))["asterisk"]
    return f"{asterisk['version']} ({asterisk['source']})"


def page(run: Path, issue: str, seed: str, commit: str, now: datetime) -> str:
    """The page in Markdown; `now` in UTC."""
    lines = [
        f"# {issue}: {now:%Y-%m-%d}",
        "",
        "| what | value |",
        "| --- | --- |",
        f"| seed | {seed} |",
        f"| callcore | {commit} |",
        f"| Asterisk | {asterisk_version()} |",
        f"| Python | {platform.python_version()} |",
        f"| machine | {os.cpu_count()} cores, {platform.machine()} |",
        f"| date (UTC) | {now:%Y-%m-%d %H:%M} |",
        "",
        "| test | result | seconds |",
        "| --- | --- | --- |",
    ]
    # Written by our own pytest a moment ago, so there is nothing hostile in it.
    for case in ET.parse(run / "report.xml").getroot().iter("testcase"):  # noqa: S314
        result = "failed" if case.find("failure") is not None or case.find("error") is not None else "passed"
        lines.append(f"| {case.get('name')} | {result} | {float(case.get('time', '0')):.1f} |")
    figures = run / "figures.jsonl"
    for line in figures.read_text("utf-8").splitlines() if figures.exists() else []:
        trial = json.loads(line)
        lines += ["", f"## {trial['trial']}", "", "| figure | value |", "| --- | --- |"]
        lines += [f"| {name} | {value} |" for name, value in trial["figures"].items()]
    return "\n".join(lines) + "\n"


def main(run: Path, issue: str, seed: str, folder: Path) -> None:
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{issue}-{now:%Y-%m-%d}.md"
    # A second run of the same day is further evidence, not a correction.
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{issue}-{now:%Y-%m-%d}-{number}.md"
    path.write_text(page(run, issue, seed, commit_of(folder), now), "utf-8")
    print(f"{path}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
