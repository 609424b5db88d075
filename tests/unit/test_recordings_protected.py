"""Recordings of reported calls stay when the others are deleted."""

from __future__ import annotations

from pathlib import Path

from callcore.recordings import protect


def test_a_protected_recording_stays_when_it_is_deleted_among_the_others_and_has_what_was_written_since(
    tmp_path: Path,
) -> None:
    recordings, folder = tmp_path / "recordings", tmp_path / "protected"
    recordings.mkdir()
    recording = recordings / "demo-1.2.wav"
    assert not protect(recording, folder), "no file yet"
    with recording.open("wb") as file:
        file.write(b"begun")
        file.flush()
        assert protect(recording, folder) and protect(recording, folder)
        file.write(b" and ended")
    recording.unlink()
    assert (folder / recording.name).read_bytes() == b"begun and ended"
    assert folder.stat().st_mode & 0o077 == 0
    assert protect(recording, folder), "deleted among the others, and still here"


def test_a_recording_that_cannot_be_protected_is_told_and_harms_nothing(tmp_path: Path) -> None:
    recording = tmp_path / "demo-1.2.wav"
    recording.write_bytes(b"sound")
    blocked = tmp_path / "protected"
    blocked.write_bytes(b"a file where the folder should be")
    assert not protect(recording, blocked)
    assert recording.read_bytes() == b"sound"
