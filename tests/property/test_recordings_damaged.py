"""Whatever is done to a store of recordings, the file that it was done to is named, and no other one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain.ids import Instant
from callcore.recordings import verify
from callcore.recordings.chain import CHAIN
from callcore.recordings.vault import CHUNK
from tests.support.store import DAY_US, NOON, House

SIZES = (0, 10, 4000, CHUNK, CHUNK + 1)


@pytest.fixture(scope="module")
def whole() -> Iterator[House]:
    """Two days, two centres, five recordings in each."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "whole")
        for day in range(2):
            house.world.at = Instant(NOON + day * DAY_US)
            for centre in ("oita", "ageo"):
                for n, size in enumerate(SIZES):
                    house.keep(f"{centre}-17951435{day}{n}.{n}", os.urandom(size or 1), centre=centre)
        yield house


def copied(whole: House, folder: str) -> House:
    shutil.copytree(whole.home, Path(folder) / "copy")
    return House(Path(folder) / "copy")


def named(house: House) -> dict[str, str]:
    with mock.patch.object(verify, "AGAIN_S", 0.0):
        return {f"{x.centre}/{x.day}/{x.name}": x.fault.value for x in house.verify().found}


def name_of(house: House, path: Path) -> str:
    return str(path.relative_to(house.store))


DAMAGES = ("flip", "cut", "grow", "remove", "swap", "add", "move")


@settings(max_examples=40, deadline=None)
@given(data=st.data(), damage=st.sampled_from(DAMAGES))
def test_each_damaged_file_is_named_and_no_other_one(whole: House, data: st.DataObject, damage: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = copied(whole, folder)
        files = sorted(house.store.rglob("*.ccr"))
        path = data.draw(st.sampled_from(files))
        content = path.read_bytes()
        mine = name_of(house, path)
        match damage:
            case "flip":
                at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
                changed = content[at] ^ (1 << bit)
                path.write_bytes(content[:at] + bytes([changed]) + content[at + 1 :])
                expected = {mine: "altered"}
            case "cut":
                path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
                expected = {mine: "truncated"}
            case "grow":
                path.write_bytes(content + data.draw(st.binary(min_size=1, max_size=9)))
                expected = {mine: "altered"}
            case "remove":
                path.unlink()
                expected = {mine: "missing"}
            case "swap":
                other = data.draw(st.sampled_from([f for f in files if f != path]))
                theirs = other.read_bytes()
                path.write_bytes(theirs)
                other.write_bytes(content)
                expected = {
                    name_of(house, one): "truncated" if len(got) < len(was) else "altered"
                    for one, got, was in ((path, theirs, content), (other, content, theirs))
                }
            case "add":
                added = path.with_name(data.draw(st.sampled_from(["other-1.1.ccr", "x.wav", "chain2.jsonl"])))
                added.write_bytes(content)
                expected = {name_of(house, added): "added"}
            case _:
                to = data.draw(st.sampled_from([f.parent for f in files if f.parent != path.parent]))
                moved = path.rename(to / path.name)
                expected = {mine: "missing", name_of(house, moved): "added"}
        assert named(house) == expected


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_byte_of_a_chain_or_root_can_be_changed_and_no_line_left_out_or_moved(
    whole: House, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = copied(whole, folder)
        path = data.draw(
            st.sampled_from(sorted([*house.store.rglob(CHAIN), *house.store.rglob("root.json")]))
        )
        content = path.read_bytes().rstrip(b"\n")
        lines = content.split(b"\n")
        how = data.draw(
            st.sampled_from(["flip", "cut", *(["drop", "move", "twice"] if len(lines) > 1 else [])])
        )
        at = data.draw(st.integers(0, len(content) - 1))
        one, two = data.draw(st.permutations(range(len(lines))))[:2] if len(lines) > 1 else (0, 0)
        match how:
            case "flip":
                bit = data.draw(st.integers(0, 7))
                path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :] + b"\n")
            case "cut":
                path.write_bytes(content[:at])
            case "drop":
                path.write_bytes(b"\n".join(lines[:one] + lines[one + 1 :]) + b"\n")
            case "move":
                lines[one], lines[two] = lines[two], lines[one]
                path.write_bytes(b"\n".join(lines) + b"\n")
            case _:
                path.write_bytes(b"\n".join([*lines, lines[one]]) + b"\n")
        told = named(house)
        assert told, how
        centre = path.relative_to(house.store).parts[0]
        assert all(name.startswith(f"{centre}/") for name in told), told


@settings(max_examples=50, deadline=None)
@given(at=st.integers(0, CHUNK + 5), count=st.integers(0, 2 * CHUNK))
def test_a_part_read_at_random_is_that_part_of_the_whole(whole: House, at: int, count: int) -> None:
    name = "oita-1795143504.4"
    path = whole.recordings.find(name)
    assert path is not None
    with whole.recordings.open(name) as sound:
        everything = sound.read()
    with whole.recordings.unsealed(path) as sealed:
        assert sealed.read_at(at, count) == everything[at : at + count]
