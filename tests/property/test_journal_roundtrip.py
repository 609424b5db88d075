"""Whatever a fact holds, it comes back as it was: through codec, spool, restarts and torn ends."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from callcore.domain.ids import AgentId, CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.journal import Codec, Frame, KeyStore, Spool, read_all, read_mark
from callcore.journal.spool import segment_name


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    who: AgentId | None
    caller: Personal
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    text: str
    whole: int
    real: float
    flag: bool | None
    colour: Colour
    words: tuple[str, ...]
    pair: tuple[int, str] | None
    inner: tuple[Inner, ...]
    tally: Map[str, Inner]
    nested: Map[tuple[str, int], Map[AgentId, int]]


@dataclass(frozen=True, slots=True)
class Small:
    n: int


KINDS: dict[str, type] = {"Everything": Everything, "Small": Small}

instants = st.integers(min_value=0, max_value=4_102_444_800_000_000).map(Instant)  # up to the year 2100
texts = st.text(max_size=20)
whole = st.integers(min_value=-(2**63), max_value=2**63 - 1)
personals = st.builds(
    Personal,
    st.from_regex(r"node[12]-[0-9]{1,4}\.[0-9]", fullmatch=True).map(CallId),
    st.sampled_from(["oita", "beppu"]).map(CentreId),
    instants,
    st.none() | texts,
)
inners = st.builds(Inner, st.none() | texts.map(AgentId), personals, instants)
everything = st.builds(
    Everything,
    text=texts,
    whole=whole,
    real=st.floats(allow_nan=False),
    flag=st.none() | st.booleans(),
    colour=st.sampled_from(Colour),
    words=st.lists(texts, max_size=3).map(tuple),
    pair=st.none() | st.tuples(whole, texts),
    inner=st.lists(inners, max_size=2).map(tuple),
    tally=st.dictionaries(texts, inners, max_size=2).map(Map),
    nested=st.dictionaries(
        st.tuples(texts, whole), st.dictionaries(texts.map(AgentId), whole, max_size=2).map(Map), max_size=2
    ).map(Map),
)
steps = st.lists(
    st.tuples(instants, st.lists(everything | st.builds(Small, whole), max_size=3).map(tuple)), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(st.lists(everything, max_size=3).map(tuple), instants)
def test_any_frame_and_any_state_comes_back_equal(facts: tuple[Everything, ...], at: Instant) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with KeyStore.open(home / "journal", home / "keys", write=True) as keys:
            codec = Codec(KINDS, {}, keys)
            frame = Frame(7, 8, at, facts)
            assert codec.decode(codec.encode(frame)) == frame
            for fact in facts:
                assert codec.decode_state(codec.encode_state(fact), Everything) == fact


@settings(max_examples=30, deadline=None)
@given(st.lists(steps, min_size=1, max_size=3), st.integers(min_value=100, max_value=2000), st.data())
def test_any_history_cut_anywhere_is_a_beginning_of_itself(
    runs: list[list[tuple[Instant, tuple[object, ...]]]], segment_bytes: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        journal = home / "journal"
        written: list[Frame] = []
        with KeyStore.open(journal, home / "keys", write=True) as keys:
            codec = Codec(KINDS, {}, keys)
            for run in runs:
                with Spool.open(journal, codec, segment_bytes=segment_bytes, gather_s=3600) as spool:
                    for at, facts in run:
                        frame = spool.frame(at, facts)
                        spool.append(frame)
                        written.append(frame)
                    unsynced = read_mark(journal)
            assert list(read_all(journal, codec)) == written
            after = data.draw(st.sampled_from([None, *(frame.seq for frame in written)]))
            assert list(read_all(journal, codec, after)) == [
                frame for frame in written if after is None or frame.seq > after
            ]

            assert unsynced is not None  # as a crash of the last run would have left the mark
            (journal / "synced").write_bytes(unsynced.pack())
            last = sorted(journal.glob("*.journal"))[-1]
            marked = last.name == segment_name(unsynced.run, unsynced.part)
            cut = data.draw(st.integers(unsynced.offset if marked else 0, last.stat().st_size))
            with last.open("r+b") as file:
                file.truncate(cut)
            with Spool.open(journal, codec, gather_s=3600) as spool:
                kept = list(read_all(journal, codec))
                assert kept == written[: len(kept)]
                assert spool.opened.frames == len(kept)
                assert [frame for frame in written if frame.run < len(runs)] == [
                    frame for frame in kept if frame.run < len(runs)
                ]
