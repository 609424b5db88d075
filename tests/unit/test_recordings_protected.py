"""Recordings of reported calls stay when the others are deleted."""

from __future__ import annotations

from pathlib import Path

from callcore.domain.recording import RecordingKind
from callcore.recordings import protect
from callcore.recordings.keeper import Whose
from tests.support.store import NOON, House


def test_a_protected_recording_stays_when_it_is_deleted_among_the_others_and_has_what_was_written_since(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    recordings, folder = house.recordings, house.protected
    recording = house.spool / "demo-1.2.wav"
    assert not protect(recordings, "demo-1.2", folder), "no file yet"
    with recording.open("wb") as file:
        file.write(b"begun")
        file.flush()
        assert protect(recordings, "demo-1.2", folder) and protect(recordings, "demo-1.2", folder)
        file.write(b" and ended")
    recording.unlink()
    assert (folder / recording.name).read_bytes() == b"begun and ended"
    assert folder.stat().st_mode & 0o077 == 0
    assert protect(recordings, "demo-1.2", folder), "deleted among the others, and still here"


def test_a_recording_that_cannot_be_protected_is_told_and_harms_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    recording = house.record("demo-1.2", b"sound")
    house.protected.write_bytes(b"a file where the folder should be")
    assert not protect(house.recordings, "demo-1.2", house.protected)
    assert recording.read_bytes() == b"sound"


def test_a_recording_that_is_sealed_already_is_protected_sealed(tmp_path: Path) -> None:
    house = House(tmp_path)
    sealed = house.keep("demo-1.2", b"sound")
    assert protect(house.recordings, "demo-1.2", house.protected)
    assert protect(house.recordings, "demo-1.2", house.protected)
    (kept,) = house.protected.iterdir()
    sealed.unlink()
    with house.recordings.opened(kept) as again:
        assert again.read() == b"sound"


def test_a_recording_reported_while_it_is_sealed_stays_protected_and_leaves_nothing_in_clear(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    keeper = house.keeper()

    def reported(what: str) -> None:
        if what == "remove":
            assert protect(house.recordings, "demo-1.2", house.protected)

    keeper.step = reported
    keeper.keep(
        house.record("demo-1.2"), Whose("demo", "Asia/Tokyo", "demo-1.2", RecordingKind.CALL, NOON, True)
    )
    assert [path.name for path in house.protected.iterdir()] == ["demo-1.2.ccr"]
