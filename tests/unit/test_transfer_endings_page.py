"""Whoever looks up how a transfer ends finds what the tests have lived through."""

from __future__ import annotations

import re

from callcore.settings import PROJECT
from tests.e2e.test_transfer_endings import ALONE, ENDINGS, cells


def _rows() -> list[list[str]]:
    page = (PROJECT / "docs" / "transfers.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_of_endings_has_each_ending_as_it_was_lived_through() -> None:
    rows = {row[0].partition(" / ")[2]: tuple(row[1:]) for row in _rows() if len(row) == 6}
    rows.pop("what happens")
    assert rows == {ending.what: cells(ending) for ending in (*ENDINGS, *ALONE)}


def test_the_page_of_endings_names_tests_that_are_there() -> None:
    named = {name for row in _rows() for name in re.findall(r"`(test_\w+)`", row[-1])}
    source = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in source] == []
