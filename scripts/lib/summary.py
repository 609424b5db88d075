"""Adds up the reports of several pytest runs into the last line that scripts/test prints.

What failed beside other tests and passed when it was tried again by itself (`NAME-again.xml`) counts as passed, and is
named."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

AGAIN = "-again.xml"


def _results(report: Path) -> tuple[dict[tuple[str, str], str], float]:
    """What became of each test, and the seconds it took in all."""
    found: dict[tuple[str, str], str] = {}
    seconds = 0.0
    # Written by our own pytest a moment ago, so there is nothing hostile in it.
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314
        seconds += float(suite.get("time", "0"))
        for case in suite.iter("testcase"):
            marks = {child.tag for child in case}
            word = next((each for each in ("failure", "error", "skipped") if each in marks), "passed")
            found[(case.get("classname", ""), case.get("name", ""))] = word
    return found, seconds


def main(folder: Path) -> None:
    told: dict[tuple[str, str], str] = {}
    only_alone, seconds = [], 0.0
    for report in sorted(folder.glob("*.xml"), key=lambda path: path.name.endswith(AGAIN)):
        found, took = _results(report)
        if report.name.endswith(AGAIN):
            only_alone += [test for test, word in found.items() if word == "passed"]
        told |= found
        seconds += took
    for place, name in only_alone:
        print(f"callcore: failed beside other tests, passed by itself: {place}::{name}")
    counts = Counter(told.values())
    print(
        f"callcore: {counts['passed']} passed, {counts['failure']} failed, {counts['error']} errors, "
        f"{counts['skipped']} skipped in {seconds:.0f} s"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
