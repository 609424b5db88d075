"""Whoever writes a centre file by the manual: every option is there, and the example is a right file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callcore import centres

MANUAL = (Path(__file__).parents[2] / "docs" / "centre-file.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)[-1]


def test_the_example_of_the_manual_is_a_right_file(tmp_path: Path) -> None:
    (tmp_path / "mori.toml").write_text(EXAMPLE, encoding="utf-8")
    (mori,) = centres.read(tmp_path).centres
    assert mori.phones[0].mac == "00:00:5e:00:53:01"


def test_every_option_has_its_row_in_the_manual_and_its_place_in_the_example(tmp_path: Path) -> None:
    """An unknown key is answered with the options of its table: so each table is asked for its own."""
    source = re.sub(r"(?m)^(\[.*\]\n)", r"\1zzzz = 0\n", "zzzz = 0\n" + EXAMPLE)
    (tmp_path / "mori.toml").write_text(source, encoding="utf-8")
    with pytest.raises(centres.CentreFileErrors) as caught:
        centres.read(tmp_path)
    listed = [problem.instead_en.removeprefix("the options here are: ") for problem in caught.value.problems]
    options = {option for names in listed for option in names.split(", ")}
    assert len(listed) == source.count("zzzz")
    assert {"answer_ratio", "monday", "windows", "digits", "longest_wait_s", "mac"} <= options
    assert [option for option in sorted(options) if not re.search(rf"[`\[.]{option}[`\].]", MANUAL)] == []
    assert [option for option in sorted(options) if not re.search(rf"(?m)^(\[.*)?{option}\b", EXAMPLE)] == []


def test_the_defaults_in_the_manual_are_the_ones_that_hold(tmp_path: Path) -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| `(\d[\d.]*)` \|", MANUAL)
    assert len(rows) == 11
    bare = "\n".join(line for line in EXAMPLE.splitlines() if line.split(" ")[0] not in dict(rows))
    (tmp_path / "mori.toml").write_text(bare, encoding="utf-8")
    (mori,) = centres.read(tmp_path).centres
    queue = mori.queues[0]
    held = {name: getattr(queue, name) for name, _ in rows if hasattr(queue, name)}
    held |= {
        "answer_ratio": mori.target_answer_ratio,
        "service_level_s": mori.service_level_s,
        "short_abandon_s": mori.short_abandon_s,
    }
    assert held == {name: float(value) for name, value in rows}
