"""What the engine wrote is there after whatever happened to it, to its host or to its disk."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.journal import (
    Codec,
    CodecError,
    Follower,
    Frame,
    JournalDamaged,
    JournalError,
    JournalLocked,
    JournalNewer,
    KeyStore,
    Spool,
    SpoolBroken,
    SpoolFull,
    read_all,
    read_mark,
)
from callcore.journal.spool import HEADER_BYTES

AT = Instant(1_795_193_503_000_000)
NEVER_S = 3600.0
"""A gathering time that no test outlives: nothing gets synced unless asked."""


@dataclass(frozen=True, slots=True)
class Happened:
    what: int
    caller: Personal | None = None
    filler: str = ""


def number(frame: Frame) -> int:
    (fact,) = frame.facts
    assert isinstance(fact, Happened)
    return fact.what


class Home:
    """One installation's folders."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.keys = folder / "keys"

    def codec(self, *, write: bool = False) -> Codec:
        return Codec({"Happened": Happened}, {}, KeyStore.open(self.journal, self.keys, write=write))

    @contextmanager
    def writing(self, *, gather_s: float = 0.001, segment_bytes: int = 1 << 20) -> Iterator[Spool]:
        with KeyStore.open(self.journal, self.keys, write=True) as keys:
            codec = Codec({"Happened": Happened}, {}, keys)
            with Spool.open(
                self.journal, codec, before_sync=keys.sync, gather_s=gather_s, segment_bytes=segment_bytes
            ) as spool:
                yield spool

    def told(self, *, to_end: bool = False) -> list[int]:
        """What a reader beside the writer gets."""
        return [number(frame) for frame in read_all(self.journal, self.codec(), to_end=to_end)]

    def segments(self) -> list[Path]:
        return sorted(self.journal.glob("*.journal"))

    def copy(self, folder: Path) -> Home:
        """The folders as a killed process or a crashed host would leave them at this instant."""
        other = Home(folder)
        shutil.copytree(self.journal, other.journal)
        shutil.copytree(self.keys, other.keys)
        return other


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def put(spool: Spool, *numbers: int, filler: str = "") -> None:
    for number in numbers:
        call = CallId(f"node1-1.{number}")
        caller = Personal(call, CentreId("oita"), AT, f"0901234{number:04d}")
        spool.append(spool.frame(Instant(AT + number), (Happened(number, caller, filler),)))


def test_frames_come_back_in_order_over_runs_and_segments(home: Home) -> None:
    with home.writing(segment_bytes=400) as spool:
        assert spool.opened.last is None
        put(spool, 1, 2, 3, 4, 5)
        assert spool.written == (1, 5)
    with home.writing() as spool:
        assert spool.opened.last == (1, 5)
        assert spool.opened.frames == 5
        assert spool.opened.cuts == ()
        put(spool, 6)
        assert spool.written == (2, 1)
    assert len(home.segments()) > 3
    frames = list(read_all(home.journal, home.codec()))
    assert [frame.seq for frame in frames] == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1)]
    assert home.told() == [1, 2, 3, 4, 5, 6]
    assert frames[5].at == AT + 6
    assert frames[5].facts[0].caller.text == "09012340006"  # type: ignore[attr-defined]
    assert [frame.seq for frame in read_all(home.journal, home.codec(), after=(1, 4))] == [(1, 5), (2, 1)]


def test_a_run_number_is_never_given_out_twice(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1)
    (home.journal / "run").unlink()
    with home.writing() as spool:
        assert spool.run == 2
    (home.journal / "run").write_text("9\n")
    with home.writing() as spool:
        assert spool.run == 10


@pytest.mark.parametrize("left", [b"", b"\0\0", b"\xff\n", b"two\n", b"-3\n", b"9999999999\n"])
def test_a_damaged_file_of_the_run_number_keeps_no_engine_from_starting(
    home: Home, left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        with home.writing() as spool:
            put(spool, number)
    (home.journal / "run").write_bytes(left)
    with home.writing() as spool:
        assert spool.run == 3
        put(spool, 3)
    assert home.told() == [1, 2, 3]
    assert (home.journal / "run").read_text() == "3\n" and str(home.journal / "run") in caplog.text


def test_a_damaged_run_number_without_any_segment_is_refused(home: Home) -> None:
    """Else a number could be given out twice, and whoever follows the journal would pass over what is written."""
    with home.writing() as spool:
        put(spool, 1)
    for path in [*home.segments(), home.journal / "synced"]:
        path.unlink()
    (home.journal / "run").write_bytes(b"")
    with pytest.raises(JournalDamaged, match="run"), home.writing():
        pass
    (home.journal / "run").write_bytes(b"1\n")
    with home.writing() as spool:
        assert spool.run == 2


def test_nothing_of_a_caller_can_be_read_in_any_file(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1, 2)
    for path in [*home.journal.rglob("*"), *home.keys.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            assert b"01234" not in path.read_bytes(), path


def test_a_second_engine_is_told_who_writes_the_journal(home: Home) -> None:
    with home.writing():
        code = (
            "import sys; from pathlib import Path; from callcore.journal import *\n"
            "codec = Codec({}, {}, KeyStore.open(Path(sys.argv[1]), Path(sys.argv[1])))\n"
            "try: Spool.open(Path(sys.argv[1]), codec)\n"
            "except JournalLocked as error: print(error.pid, error)\n"
        )
        second = subprocess.run(
            [sys.executable, "-c", code, str(home.journal)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        pid, text = second.stdout.split(" ", 1)
        assert int(pid) == os.getpid()
        assert "使用中" in text
        assert "in use by another callcore" in text
        with pytest.raises(JournalLocked):
            Spool.open(home.journal, home.codec())
    with home.writing() as spool:
        assert spool.run == 2


def test_only_the_next_frame_can_be_appended(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1)
        for wrong in (Frame(1, 1, AT, ()), Frame(1, 3, AT, ()), Frame(2, 2, AT, ())):
            with pytest.raises(ValueError, match="next frame"):
                spool.append(wrong)
        with pytest.raises(CodecError):
            spool.append(spool.frame(AT, (object(),)))
        put(spool, 2)
    assert home.told() == [1, 2]


# -- a killed process, a crashed host ------------------------------------------------------------------------


@pytest.fixture
def crashed(home: Home, tmp_path: Path) -> Home:
    """Three synced frames, then three that were written and never synced."""
    with home.writing(gather_s=NEVER_S) as spool:
        put(spool, 1, 2, 3)
        spool.flush()
        put(spool, 4, 5, 6)
        return home.copy(tmp_path / "crashed")


def synced_end(home: Home) -> int:
    mark = read_mark(home.journal)
    assert mark is not None
    return mark.offset


def frame_ends(data: bytes, start: int) -> list[int]:
    ends = [start]
    while ends[-1] < len(data):
        ends.append(ends[-1] + 8 + int.from_bytes(data[ends[-1] : ends[-1] + 4], "big"))
    return ends


def test_a_killed_process_loses_nothing_it_wrote(crashed: Home) -> None:
    assert crashed.told() == [1, 2, 3]  # others read only what is on the disk
    with crashed.writing() as spool:
        assert spool.opened.last == (1, 6)
        assert crashed.told() == [1, 2, 3, 4, 5, 6]
        put(spool, 7)
    assert crashed.told() == [1, 2, 3, 4, 5, 6, 7]


def test_a_journal_torn_at_any_byte_of_its_last_frames_opens_with_all_whole_frames(crashed: Home) -> None:
    (segment,) = crashed.segments()
    whole, mark = segment.read_bytes(), (crashed.journal / "synced").read_bytes()
    start = synced_end(crashed)
    ends = frame_ends(whole, start)
    for cut in range(start, len(whole)):
        for path in crashed.segments():
            path.unlink()
        segment.write_bytes(whole[:cut])
        (crashed.journal / "synced").write_bytes(mark)
        kept = 3 + sum(1 for end in ends[1:] if end <= cut)
        torn = cut - max(end for end in ends if end <= cut)
        with crashed.writing() as spool:
            assert spool.opened.last == (1, kept)
            assert [each.length for each in spool.opened.cuts] == ([torn] if torn else [])
            for each in spool.opened.cuts:
                assert each.aside.read_bytes() == whole[cut - torn : cut]
            put(spool, 100)
        assert crashed.told() == [*range(1, kept + 1), 100]


def test_any_byte_that_a_crash_left_wrong_behind_the_mark_costs_only_what_was_never_synced(
    crashed: Home,
) -> None:
    (segment,) = crashed.segments()
    whole, mark = segment.read_bytes(), (crashed.journal / "synced").read_bytes()
    start = synced_end(crashed)
    ends = frame_ends(whole, start)
    for place in range(start, len(whole)):
        for path in crashed.segments():
            path.unlink()
        segment.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        (crashed.journal / "synced").write_bytes(mark)
        kept = 3 + sum(1 for end in ends[1:] if end <= place)
        with crashed.writing() as spool:
            assert spool.opened.last == (1, kept)
        assert crashed.told() == list(range(1, kept + 1))


def test_any_changed_byte_of_what_was_synced_is_refused_and_nothing_is_cut(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1, 2, 3)
        codec = home.codec()
    with home.writing():
        pass  # a run in which nothing happened
    segment = home.segments()[0]
    whole = segment.read_bytes()
    for place in range(len(whole)):
        segment.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises((JournalDamaged, JournalNewer)) as error:
            list(read_all(home.journal, codec))
        assert str(segment) in str(error.value)
        assert segment.stat().st_size == len(whole)


def test_an_engine_does_not_start_on_a_damaged_or_shortened_journal(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1, 2, 3)
    segment = home.segments()[0]
    whole, mark = segment.read_bytes(), read_mark(home.journal)
    assert mark is not None
    assert mark.offset == len(whole)
    for place in range(0, len(whole)):
        segment.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(JournalError), home.writing():
            pass
        segment.write_bytes(whole[:place])
        with pytest.raises(JournalError), home.writing():
            pass
        assert segment.stat().st_size == place
    segment.write_bytes(whole[:-1])
    with pytest.raises(JournalDamaged, match=r"docs/journal\.md"), home.writing():
        pass
    segment.unlink()
    with pytest.raises(JournalDamaged, match="missing"), home.writing():
        pass
    segment.write_bytes(whole)
    with home.writing() as spool:
        assert spool.opened.last == (1, 3)


def test_the_operators_way_out_of_damage_works_as_it_is_written_down(home: Home) -> None:
    for numbers in ((1, 2, 3), (4, 5), (6,)):
        with home.writing() as spool:
            put(spool, *numbers)
    first, *later = home.segments()
    data = bytearray(first.read_bytes())
    data[-3] ^= 1  # in frame 3
    first.write_bytes(data)
    with pytest.raises(JournalDamaged) as error:
        home.told()
    assert error.value.file == first
    os.truncate(first, error.value.offset)
    for path in [*later, home.journal / "synced"]:
        path.unlink()
    with home.writing() as spool:
        assert spool.run == 4
        put(spool, 7)
        assert spool.opened.last == (1, 2)
    assert home.told() == [1, 2, 7]
    assert [number(frame) for frame in read_all(home.journal, home.codec(), after=(3, 1))] == [7]


def test_without_its_mark_a_torn_end_is_still_told_from_damage(crashed: Home) -> None:
    (segment,) = crashed.segments()
    whole = segment.read_bytes()
    ends = frame_ends(whole, HEADER_BYTES)
    (crashed.journal / "synced").write_bytes(b"\0" * 48)
    segment.write_bytes(whole[: ends[4] + 2] + b"\xff" + whole[ends[4] + 3 :])
    with pytest.raises(JournalDamaged) as error, crashed.writing():
        pass
    assert error.value.offset == ends[4]
    segment.write_bytes(whole[: ends[5] + 20])
    assert crashed.told(to_end=True) == [1, 2, 3, 4, 5]
    with crashed.writing() as spool:
        assert spool.opened.last == (1, 5)


def test_segments_behind_a_torn_one_are_put_aside(home: Home, tmp_path: Path) -> None:
    with home.writing(gather_s=NEVER_S, segment_bytes=600) as spool:
        put(spool, 1)
        spool.flush()
        put(spool, *range(2, 12))
        crashed = home.copy(tmp_path / "crashed")
    first = crashed.segments()[0]
    first.write_bytes(first.read_bytes()[:-1])
    with crashed.writing() as spool:
        assert len(spool.opened.cuts) == len(home.segments())
        kept = spool.opened.last
        assert kept is not None
        assert kept[1] >= 1
        put(spool, 50)
    assert crashed.told() == [*range(1, kept[1] + 1), 50]


def test_a_newer_format_is_not_called_damage(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1)
    segment = home.segments()[0]
    data = bytearray(segment.read_bytes())
    data[9] = 2
    segment.write_bytes(data)
    with pytest.raises(JournalNewer, match="newer callcore"), home.writing():
        pass


# -- the disk ------------------------------------------------------------------------------------------------


@contextmanager
def room(nbytes: int) -> Iterator[None]:
    """No file may grow beyond `nbytes`, like a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_takes_no_half_frame_and_writing_goes_on_when_there_is_room(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1)
        (segment,) = home.segments()
        size = segment.stat().st_size
        frame = spool.frame(AT, (Happened(2, None, "x" * 3000),))
        for short in (0, 1, 7, 8, 100):
            with room(size + short), pytest.raises(SpoolFull, match="空き容量"):
                spool.append(frame)
            assert segment.stat().st_size == size
            assert spool.written == (1, 1)
        spool.append(frame)
        put(spool, 3)
    assert home.told() == [1, 2, 3]


def test_even_where_the_half_frame_can_not_be_taken_off_at_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int, length: int) -> None:
        raise OSError(errno.EIO, "broken")

    with home.writing() as spool:
        put(spool, 1)
        (segment,) = home.segments()
        frame = spool.frame(AT, (Happened(2, None, "x" * 3000),))
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", broken)
            for _ in range(2):
                with room(segment.stat().st_size + 100), pytest.raises(SpoolBroken):
                    spool.append(frame)
        spool.append(frame)
    assert home.told() == [1, 2]


class Disk:
    """`os.fdatasync` that can be told to fail, and that counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing = False
        self.calls = 0
        self._called = threading.Condition()
        self._real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self)

    def __call__(self, fd: int) -> None:
        with self._called:
            self.calls += 1
            self._called.notify_all()
        if self.failing:
            raise OSError(errno.EIO, "broken")
        self._real(fd)


async def test_nobody_is_told_what_the_disk_refused_and_all_of_it_once_it_recovers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with home.writing() as spool:
        put(spool, 1)
        await spool.sync()
        disk.failing = True
        put(spool, 2)
        with pytest.raises(SpoolBroken, match="dmesg"):
            await spool.sync()
        assert spool.synced == (1, 1)
        assert spool.unsynced_s() > 0
        with pytest.raises(SpoolBroken):
            put(spool, 3)
        assert home.told() == [1]
        disk.failing = False
        async with asyncio.timeout(10):
            await spool.sync()
        assert spool.unsynced_s() == 0
        put(spool, 3)
    assert home.told() == [1, 2, 3]


async def test_frames_that_the_failed_sync_really_lost_are_never_called_synced(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    codec = home.codec(write=True)
    spool = Spool.open(home.journal, codec, gather_s=0.001)
    try:
        put(spool, 1)
        await spool.sync()
        disk.failing = True
        put(spool, 2)
        with pytest.raises(SpoolBroken):
            await spool.sync()
        (segment,) = home.segments()
        data = segment.read_bytes()
        segment.write_bytes(data[:-4] + b"\0\0\0\0")  # the page came back from the disk as it was before
        disk.failing = False
        with pytest.raises(SpoolBroken, match="lost by a failed sync"):
            await spool.sync()
        with pytest.raises(SpoolBroken):
            put(spool, 3)
    finally:
        with pytest.raises(JournalDamaged):
            spool.close()
    assert home.told() == [1]


async def test_an_effect_that_must_never_happen_twice_waits_for_the_disk(home: Home) -> None:
    with home.writing(gather_s=NEVER_S) as spool:
        put(spool, 1, 2)
        assert home.told() == []
        async with asyncio.timeout(10):
            await asyncio.gather(spool.sync(), spool.sync())
        assert spool.synced == (1, 2)
        assert home.told() == [1, 2]
        await spool.sync()


async def test_frames_reach_the_disk_within_50_ms_without_being_asked(home: Home) -> None:
    with home.writing(gather_s=0.02) as spool:
        put(spool, 1)
        async with asyncio.timeout(10):
            while spool.synced != (1, 1):
                assert spool.unsynced_s() < 5
                await asyncio.sleep(0.001)


def test_a_calls_key_is_on_the_disk_before_the_frame_that_uses_it(home: Home) -> None:
    order: list[str] = []
    codec = home.codec(write=True)

    def before() -> None:
        mark = read_mark(home.journal)
        order.append("-" if mark is None else str(mark.n))

    with Spool.open(home.journal, codec, before_sync=before, gather_s=NEVER_S) as spool:
        put(spool, 1)
        spool.flush()
        mark = read_mark(home.journal)
        assert mark is not None
        assert mark.n == 1
        assert order == ["-", "0"]


def test_closing_twice_is_no_fault_and_a_closed_spool_takes_nothing(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 1)
        spool.close()
        with pytest.raises(RuntimeError):
            put(spool, 2)
    assert home.told() == [1]


# -- followers -----------------------------------------------------------------------------------------------


async def take(follower: Follower, count: int) -> list[int]:
    got: list[int] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            got += [number(frame) for frame in await follower.batch()]
    return got


async def test_a_follower_sees_only_what_is_on_the_disk(home: Home) -> None:
    with home.writing(gather_s=NEVER_S) as spool:
        follower = Follower(home.journal, home.codec())
        put(spool, 1, 2)
        assert follower.ready() == []
        await spool.sync()
        put(spool, 3)
        assert await take(follower, 2) == [1, 2]
        assert follower.ready() == []
        assert follower.seq == (1, 2)
        follower.close()


async def test_a_follower_goes_on_over_segments_and_restarts_of_the_engine(
    home: Home, tmp_path: Path
) -> None:
    follower = Follower(home.journal, home.codec(), poll_s=0.001)
    assert follower.ready() == []  # the journal is not there yet
    expected = []
    for run in range(4):
        with home.writing(segment_bytes=500) as spool:
            numbers = list(range(run * 100, run * 100 + run * 7))
            put(spool, *numbers)
            expected += numbers
            assert await take(follower, len(numbers)) == numbers
    assert follower.behind() == (0, 0.0)
    resumed = Follower(home.journal, home.codec(), after=(3, 5))
    assert await take(resumed, 2 + 9 + 21 - 9 + 7) == expected[7 + 5 :]
    follower.close()
    resumed.close()


async def test_a_follower_never_saw_what_is_cut_off_at_the_next_start(home: Home, tmp_path: Path) -> None:
    with home.writing(gather_s=NEVER_S) as spool:
        put(spool, 1, 2)
        await spool.sync()
        put(spool, 3)
        crashed = home.copy(tmp_path / "crashed")
    follower = Follower(crashed.journal, crashed.codec())
    assert await take(follower, 2) == [1, 2]
    (segment,) = crashed.segments()
    segment.write_bytes(segment.read_bytes()[:-1])
    assert follower.ready() == []
    with crashed.writing() as spool:
        put(spool, 4)
        assert await take(follower, 1) == [4]
        assert follower.seq == (2, 1)
    follower.close()


async def test_a_follower_knows_how_far_it_is_behind(home: Home) -> None:
    with home.writing() as spool:
        put(spool, 0)
        await spool.sync()
        follower = Follower(home.journal, home.codec())
        follower.ready()
        put(spool, *(n * 1_000_000 for n in (1, 2, 3)))
        await spool.sync()
        assert follower.behind() == (3, 3.0)
        follower.ready(2)
        assert follower.behind() == (1, 1.0)
        follower.ready()
        assert follower.behind() == (0, 0.0)
        follower.close()


async def test_the_async_iterator_gives_each_frame_once(home: Home) -> None:
    with home.writing() as spool:
        put(spool, *range(500))
        follower = Follower(home.journal, home.codec())
        got = []
        async with asyncio.timeout(20):
            async for frame in follower:
                got.append(frame.seq[1])
                if len(got) == 500:
                    put(spool, 500)
                if len(got) == 501:
                    break
        assert got == list(range(1, 502))
        follower.close()


def test_a_missing_file_in_the_middle_is_noticed_by_whoever_reads(home: Home) -> None:
    with home.writing(segment_bytes=300) as spool:
        put(spool, *range(10))
    home.segments()[2].unlink()
    with pytest.raises(JournalError, match="lacks the frames"):
        home.told()


def test_an_engine_without_its_mark_does_not_start_over_a_missing_file(home: Home) -> None:
    with home.writing(segment_bytes=300) as spool:
        put(spool, *range(10))
    home.segments()[2].unlink()
    (home.journal / "synced").unlink()
    with pytest.raises(JournalDamaged, match="frames missing"), home.writing():
        pass


def test_frames_archived_away_before_they_were_drained_are_noticed(home: Home) -> None:
    with home.writing(segment_bytes=300) as spool:
        put(spool, *range(10))
    first, second, *_ = home.segments()
    first.unlink()
    second.unlink()
    with pytest.raises(JournalError, match="lacks the frames"):
        list(read_all(home.journal, home.codec(), after=(1, 1)))
