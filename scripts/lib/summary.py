"""Adds up the reports of several pytest runs into the last line that scripts/test prints."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def main(folder: Path) -> None:
    counts: Counter[str] = Counter()
    seconds = 0.0
    for report in sorted(folder.glob("*.xml")):
        # Written by our own pytest a moment ago, so there is nothing hostile in it.
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314
            for name in ("tests", "failures", "errors", "skipped"):
                counts[name] += int(suite.get(name, "0"))
            seconds += float(suite.get("time", "0"))
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    print(
        f"callcore: {passed} passed, {counts['failures']} failed, {counts['errors']} errors, "
        f"{counts['skipped']} skipped in {seconds:.0f} s"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
