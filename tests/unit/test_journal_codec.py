"""What is written of a call can be read years later; a person's values only while their key is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from immutables import Map

from callcore.domain.centre import Centre, Configuration, Number, Queue
from callcore.domain.hours import Calendar, Window, YearlyRange
from callcore.domain.ids import AgentId, CallId, CentreId, Instant, QueueId
from callcore.domain.personal import Personal
from callcore.journal import Codec, CodecError, Frame, KeyStore, shape

AT = Instant(1_795_193_503_123_456)  # 2026-11-20 UTC
OITA = CentreId("oita")
CALL = CallId("node1-1795193503.12")
NUMBER = "09012345678"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    at: Instant
    call: CallId
    caller: Personal
    note: Personal | None = None
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    agent: AgentId | None
    score: float
    colour: Colour
    reasons: tuple[str, ...]
    pairs: tuple[tuple[int, str], ...]
    tally: Map[AgentId, int]
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Configured:
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Stay:
    call: CallId
    caller: Personal
    colour: Colour | None


@dataclass(frozen=True, slots=True)
class Whole:
    seq: tuple[int, int]
    stays: Map[CallId, Stay]
    by_agent: Map[tuple[str, int], frozenset[CallId]]
    configuration: Configuration | None = None


KINDS: dict[str, type] = {"Arrived": Arrived, "Chosen": Chosen, "Configured": Configured}

CONFIGURATION = Configuration(
    "abc",
    (
        Centre(
            OITA,
            "大分市マイナンバーカードコールセンター",
            "Oita",
            Calendar(
                "Asia/Tokyo",
                ((Window(30_600, 64_800),),) * 5 + ((), ()),
                (("2026-09-22", "国民の休日"),),
                (YearlyRange((12, 29), (1, 3), "年末年始"),),
            ),
            (Number("0975105151", QueueId("oita-general")),),
            (Queue(QueueId("oita-general"), "一般"),),
            (),
            (),
            (),
        ),
    ),
)


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    with KeyStore.open(tmp_path / "journal", tmp_path / "keys", write=True) as store:
        yield store


@pytest.fixture
def codec(keys: KeyStore) -> Codec:
    return Codec(KINDS, {}, keys)


def arrived(text: str | None = NUMBER) -> Arrived:
    return Arrived(at=AT, call=CALL, caller=Personal(CALL, OITA, AT, text))


def test_facts_of_every_form_come_back_equal(codec: Codec) -> None:
    chosen = Chosen(
        AgentId("101"),
        0.5,
        Colour.BLUE,
        ("長く待った",),
        ((1, "a"),),
        Map({AgentId("101"): 3}),
        frozenset("xy"),
    )
    frame = Frame(3, 17, AT, (arrived(), chosen, Configured(CONFIGURATION)))
    again = codec.decode(codec.encode(frame))
    assert again == frame
    assert again.seq == (3, 17)


def test_a_callers_number_cannot_be_read_in_the_bytes_and_looks_different_each_time(codec: Codec) -> None:
    frame = Frame(1, 1, AT, (arrived(),))
    first, second = codec.encode(frame), codec.encode(frame)
    print_ = codec.decode(first).facts[0].caller.fingerprint  # type: ignore[attr-defined]
    for data in (first, second):
        assert NUMBER.encode() not in data
        assert NUMBER[-6:].encode() not in data
        assert print_.encode() not in data
        assert bytes.fromhex(print_) not in data
    assert first != second
    assert codec.decode(first) == codec.decode(second) == frame


def test_the_same_caller_is_found_again_by_fingerprint(codec: Codec, keys: KeyStore) -> None:
    other = CallId("node1-1795193999.1")
    facts = (arrived(), Arrived(at=AT, call=other, caller=Personal(other, OITA, AT, NUMBER)))
    one, two = codec.decode(codec.encode(Frame(1, 1, AT, facts))).facts
    assert isinstance(one, Arrived)
    assert isinstance(two, Arrived)
    assert one.caller.fingerprint == two.caller.fingerprint == keys.fingerprint(OITA, AT, NUMBER)
    assert keys.fingerprints(OITA, NUMBER) == {"2026-11": one.caller.fingerprint}


def test_an_unknown_number_stays_unknown(codec: Codec) -> None:
    frame = Frame(1, 1, AT, (arrived(None),))
    assert codec.decode(codec.encode(frame)) == frame


def test_erasing_a_call_takes_the_text_and_nothing_else(codec: Codec, keys: KeyStore) -> None:
    other = Personal(CallId("other.1"), OITA, AT, "0112223333")
    facts = (arrived(), Arrived(at=AT, call=CALL, caller=other, note=arrived().caller, rebuilt=True))
    payload = codec.encode(Frame(1, 1, AT, facts))
    assert keys.destroy_call(CALL)
    erased = Personal(CALL, OITA, AT, None)
    assert codec.decode(payload).facts == (
        Arrived(at=AT, call=CALL, caller=erased),
        Arrived(at=AT, call=CALL, caller=other, note=erased, rebuilt=True),
    )


def test_a_value_still_in_memory_is_not_written_again_after_erasing(codec: Codec, keys: KeyStore) -> None:
    codec.encode(Frame(1, 1, AT, (arrived(),)))
    keys.destroy_call(CALL)
    late = codec.decode(codec.encode(Frame(1, 2, AT, (arrived(),)))).facts[0]
    assert late == arrived(None)


def test_a_kind_nobody_knows_any_more_names_file_seq_and_the_way_out(codec: Codec, keys: KeyStore) -> None:
    payload = codec.encode(Frame(4, 9, AT, (arrived(),)))
    with pytest.raises(CodecError) as error:
        Codec({"Chosen": Chosen}, {}, keys).decode(payload, "/j/0000000004-000001.journal:60")
    for word in ("0000000004-000001.journal:60", "(4, 9)", "Arrived v1", "読めません", "Start the callcore"):
        assert word in str(error.value)


@dataclass(frozen=True, slots=True)
class OldRested:
    agent: AgentId
    minutes: int
    caller: Personal


@dataclass(frozen=True, slots=True)
class RestedNow:
    who: AgentId
    seconds: int
    caller: Personal


def test_an_old_version_is_lifted_step_by_step_and_a_newer_one_is_refused(keys: KeyStore) -> None:
    def v1(old: dict[str, Any]) -> dict[str, Any]:
        return {"who": old["agent"], "minutes": old["minutes"], "caller": old["caller"]}

    def v2(old: dict[str, Any]) -> dict[str, Any]:
        return {"who": old["who"], "seconds": old["minutes"] * 60, "caller": old["caller"]}

    old_codec = Codec({"Rested": OldRested}, {}, keys)
    payload = old_codec.encode(Frame(1, 1, AT, (OldRested(AgentId("7"), 2, arrived().caller),)))
    new_codec = Codec({"Rested": RestedNow}, {("Rested", 1): v1, ("Rested", 2): v2}, keys)
    lifted = new_codec.decode(payload)
    assert lifted.facts == (RestedNow(AgentId("7"), 120, arrived().caller),)
    with pytest.raises(CodecError, match="Rested v3"):
        old_codec.decode(new_codec.encode(lifted))
    with pytest.raises(CodecError, match="Rested v1"):
        Codec({"Rested": RestedNow}, {("Rested", 2): v2}, keys).decode(payload)


def test_what_could_not_be_read_back_is_not_written(codec: Codec) -> None:
    wrong = Chosen("101", "much", Colour.RED, (), (), Map())  # type: ignore[arg-type]
    with pytest.raises(CodecError):
        codec.encode(Frame(1, 1, AT, (wrong,)))
    with pytest.raises(CodecError, match="KINDS"):
        codec.encode(Frame(1, 1, AT, (Stay(CALL, arrived().caller, None),)))


@dataclass(frozen=True, slots=True)
class HoldsAnything:
    what: object


@dataclass(frozen=True, slots=True)
class HoldsEither:
    what: Stay | Chosen


@dataclass(frozen=True, slots=True)
class HoldsBareMap:
    what: Map  # type: ignore[type-arg]


@pytest.mark.parametrize("kind", [HoldsAnything, HoldsEither, HoldsBareMap])
def test_a_fact_that_can_not_be_kept_is_refused_at_the_start_not_in_the_middle_of_a_day(
    keys: KeyStore, kind: type
) -> None:
    with pytest.raises(CodecError, match="can't stand in the journal"):
        Codec({"Odd": kind}, {}, keys)


def test_a_whole_floor_comes_back_equal_and_sealed(codec: Codec, keys: KeyStore) -> None:
    floor = Whole(
        (3, 4),
        Map({CALL: Stay(CALL, arrived().caller, Colour.RED)}),
        Map({("101", 1): frozenset({CALL})}),
        CONFIGURATION,
    )
    data = codec.encode_state(floor)
    assert NUMBER[-6:].encode() not in data
    assert codec.decode_state(data, Whole) == floor
    keys.destroy_period(OITA, "2026-11")
    without = codec.decode_state(data, Whole)
    assert without.stays[CALL] == Stay(CALL, Personal(CALL, OITA, AT, None), Colour.RED)
    assert without.by_agent == floor.by_agent
    with pytest.raises(CodecError, match="Stay"):
        codec.decode_state(data, Stay)


def test_a_types_shape_changes_with_anything_inside_it() -> None:
    assert shape(Whole) == shape(Whole)
    assert len({shape(kind) for kind in (Whole, Stay, Arrived, Chosen, OldRested, RestedNow)}) == 6
