"""A bad checkpoint costs time at a start, never the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.journal import checkpoint


def test_the_newest_checkpoint_is_loaded_and_only_a_few_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert checkpoint.load(folder, "v1").checkpoint is None
    for n in range(1, 10):
        checkpoint.save(folder, (1, n), b"state %d" % n, "v1", keep=3)
    checkpoint.save(folder, (2, 1), b"newest", "v1", keep=3)
    loaded = checkpoint.load(folder, "v1")
    assert loaded.checkpoint is not None
    assert (loaded.checkpoint.seq, loaded.checkpoint.state) == ((2, 1), b"newest")
    assert loaded.passed_over == ()
    assert len(list(folder.iterdir())) == 3
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_a_checkpoint_newer_than_the_journals_end_is_not_used(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, (1, 5), b"five", "v1")
    checkpoint.save(tmp_path, (1, 9), b"nine", "v1")
    loaded = checkpoint.load(tmp_path, "v1", up_to=(1, 8))
    assert loaded.checkpoint is not None
    assert loaded.checkpoint.state == b"five"
    assert "newer than the journal" in loaded.passed_over[0].why


def test_a_checkpoint_of_another_version_is_passed_over(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, (1, 5), b"five", "v1")
    loaded = checkpoint.load(tmp_path, "v2")
    assert loaded.checkpoint is None
    assert "another version (v1)" in loaded.passed_over[0].why


def test_a_checkpoint_with_any_byte_changed_or_missing_is_passed_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.save(tmp_path, (1, 5), b"five", "v1")
    path = checkpoint.save(tmp_path, (1, 6), b"the whole state", "v1")
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bad in (whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :], whole[:place]):
            path.write_bytes(bad)
            loaded = checkpoint.load(tmp_path, "v1")
            assert loaded.checkpoint is not None
            assert loaded.checkpoint.state == b"five"
            assert [each.path for each in loaded.passed_over] == [path]
    assert "passed over" in caplog.text


def test_a_checkpoint_that_the_disk_does_not_give_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, (1, 5), b"five", "v1")
    bad = checkpoint.save(tmp_path, (1, 6), b"six", "v1")
    reads = Path.read_bytes

    def broken(self: Path) -> bytes:
        if self == bad:
            raise OSError(5, "Input/output error")
        return reads(self)

    monkeypatch.setattr(Path, "read_bytes", broken)
    loaded = checkpoint.load(tmp_path, "v1")
    assert loaded.checkpoint is not None and loaded.checkpoint.state == b"five"
    assert [each.path for each in loaded.passed_over] == [bad]


def test_a_checkpoint_under_another_name_is_not_believed(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, (1, 6), b"state", "v1")
    path.rename(tmp_path / path.name.replace("6.", "7."))
    assert checkpoint.load(tmp_path, "v1").checkpoint is None
