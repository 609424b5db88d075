"""From which frame on recordings' findings are counted after a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.domain.findings import Finding
from callcore.results import Results

SILENT = next(iter(Finding))


def kept(folder: Path, seq: tuple[int, int]) -> Path:
    """The file of one that counted a faulty recording and a good one, up to there."""
    results = Results(folder / "results.json", (1, 0))
    results.count([SILENT])
    results.count([])
    results.seq = seq
    results.save()
    return results.file


@pytest.mark.parametrize("end", [(3, 700), (3, 0), None])
def test_a_mark_that_the_host_took_along_has_nothing_counted_twice(
    end: tuple[int, int] | None, tmp_path: Path
) -> None:
    """It is written without being forced to the disk; the counts are forced."""
    results = Results(kept(tmp_path, (3, 900)), end)
    assert results.seq == (3, 900) and not results.changed
    assert (results.found["ok"], results.found[SILENT.value]) == (1, 1)


def test_a_journal_that_was_put_back_from_an_earlier_run_is_counted_on_from_its_end(tmp_path: Path) -> None:
    results = Results(kept(tmp_path, (3, 900)), (2, 1500))
    assert results.seq == (2, 1500) and results.changed
    assert (results.found["ok"], results.found[SILENT.value]) == (1, 1), "what was counted does not fall"


def test_what_was_written_since_is_counted(tmp_path: Path) -> None:
    assert Results(kept(tmp_path, (3, 900)), (4, 20)).seq == (3, 900)


def test_where_nothing_is_kept_it_is_counted_from_the_journals_end_and_all_where_that_is_not_known(
    tmp_path: Path,
) -> None:
    """A new installation has no mark yet: its first findings must be told."""
    assert Results(tmp_path / "results.json", (3, 900)).seq == (3, 900)
    assert Results(tmp_path / "results.json", None).seq == (0, 0)
