"""The recording of a call that is counted apart, held against what its two channels received since it was connected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from immutables import Map

from callcore.audit.account import fold
from callcore.audit.span import Span
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import RecordAfter, Recordings, Transfers
from callcore.domain.findings import Expected, Finding, Heard, judge
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, PhoneId
from callcore.domain.stages import PauseAs, SideKind, Work
from callcore.journal import Codec, Frame, KeyStore
from callcore.journal.codec import PREFIX
from tests.support.floors import NODE, Desk
from tests.unit.test_calls_out_paused import connected, paused
from tests.unit.test_core_sides import agent_of, desk, dial, end, gone, reach

O10, OWN, FAR = CallId("o10"), "o10", "o10-carrier"


def talked(own: float | None, far: float | None, kind: SideKind = SideKind.OUTGOING) -> Desk:
    """A call out of 30 s, after 5 s of ringing; `own` and `far` as in `end`."""
    made = desk()
    reach(made, 15, dial(made, 10, kind=kind))
    end(made, 45, O10, ChannelId(OWN), own, far)
    return made


def found(
    made: Desk, seconds: float, voice_s: tuple[float, ...] = (10.0,), problem: str | None = None
) -> set[str]:
    """In its recording."""
    made.tell(
        i.RecordingMeasured(
            at=made.at(50),
            call=O10,
            file="o10.wav",
            size=9,
            seconds=seconds,
            sha256=None,
            problem=problem,
            voice_s=voice_s,
        )
    )
    [filed] = [fact for fact in made.facts if isinstance(fact, f.RecordingFiled)]
    assert O10 not in made.floor.expected and O10 not in made.floor.leaving.values()
    return {each.value for each in filed.findings}


@pytest.mark.parametrize(
    ("own", "far", "seconds", "wrong"),
    [
        (30, 30, 30, set()),
        (30, 30, 29, set()),
        (30, 30, 28, {"short"}),
        (30, 12, 30, set()),  # the far end is still for a part
        (30, 12, 28, {"short"}),
        (12, 30, 28, {"short"}),
        (12, 30, 30, set()),
        (12, 20, 20, {"no_media"}),
        (12, 20, 18, {"no_media", "short"}),
        (30, 0, 30, {"silent_caller"}),
        (0, 30, 30, {"silent_agent"}),
    ],
)
def test_a_call_out_is_held_against_what_either_side_sent(
    own: float, far: float, seconds: float, wrong: set[str]
) -> None:
    assert found(talked(own, far), seconds) == wrong


@pytest.mark.parametrize("late_at", [9, 12, 20, None])
def test_longer_than_the_talk_is_no_fault_where_events_came_late(late_at: int | None) -> None:
    """Before it, while it rang, and while they talked; its beginning may have been told of seconds too late."""
    made = desk()
    if late_at == 9:
        made.tell(i.EventsLate(at=made.at(9), late=True))
    call = dial(made, 10)
    if late_at == 12:
        made.tell(i.EventsLate(at=made.at(12), late=True))
    reach(made, 15, call)
    if late_at == 20:
        made.tell(i.EventsLate(at=made.at(20), late=True))
    end(made, 45, O10, ChannelId(OWN), 30, 30)
    assert found(made, 32) == (set() if late_at else {"long"})


def test_where_nobody_sent_anything_no_recording_is_missing() -> None:
    assert found(talked(0, 0), 0, (), "empty") == {"no_media"}
    assert found(talked(0, 0), 0, (), "missing") == {"no_media"}
    assert found(talked(30, 30), 0, (), "missing") == {"missing"}


def test_a_contact_number_has_its_caller_on_the_channel_that_began_it() -> None:
    def made(own: float, far: float) -> Desk:
        one = desk()
        call = CallId(OWN)
        told = i.SideCallTold(
            at=one.at(10),
            node=NODE,
            call=call,
            centre=CentreId("demo"),
            kind=SideKind.CONTACT,
            phone=None,
            number="0975105160",
            other="0975346111",
            why="contact",
        )
        one.tell(told)
        for n in (1, 2):  # two phones ring
            one.tell(
                i.SideDialBegan(
                    at=one.at(11), call=call, channel=ChannelId(f"p{n}"), phone=PhoneId(f"demo-p{n}")
                )
            )
        gone(one, 14.9, "p1", None, None)
        for channel in ("p2", OWN):
            one.tell(i.BridgeEntered(at=one.at(15), bridge="b", channel=ChannelId(channel)))
        gone(one, 45, "p2", far)
        gone(one, 45, OWN, own)
        return one

    assert found(made(30, 0), 30) == {"silent_agent"}
    assert found(made(0, 30), 30) == {"silent_caller"}
    assert found(made(30, 30), 28) == {"short"}
    assert found(made(30, 30), 30) == set()


def test_what_came_in_while_it_rang_is_no_sound_of_the_talk() -> None:
    """The network plays something; of an emergency call it is not known how much that was."""
    made = desk()
    reach(made, 15, dial(made, 10))
    gone(made, 45, FAR, 25, 5)
    gone(made, 45, OWN, 24, 4)
    assert made.floor.expected[O10].sent == 20 * SECOND
    assert found(made, 20) == {"no_media"}
    urgent = desk()
    reach(urgent, 15, dial(urgent, 10, kind=SideKind.EMERGENCY, other="119"))
    gone(urgent, 45, FAR, 25, None)
    gone(urgent, 45, OWN, 24, None)
    assert urgent.floor.expected[O10].sent == 20 * SECOND
    assert found(urgent, 19.5) == {"no_media"}


def test_the_other_channel_may_go_just_after_the_call_and_is_counted_once() -> None:
    made = desk()
    reach(made, 15, dial(made, 10))
    gone(made, 45, OWN, 12)
    assert made.floor.expected[O10].sent == 12 * SECOND
    for _ in range(2):
        gone(made, 45.01, FAR, 20)
    assert len(made.told(f.SideLegEnded)) == 1
    assert (made.floor.expected[O10].sent, made.floor.expected[O10].unsent) == (20 * SECOND, 10 * SECOND)
    assert found(made, 20) == {"no_media"}


def asks_the_department(made: Desk) -> None:
    """For c1, at 10 s."""
    told = i.SideCallTold(
        at=made.at(10),
        node=NODE,
        call=O10,
        centre=made.floor.calls[CallId("c1")].centre,
        kind=SideKind.DEPARTMENT,
        phone=PhoneId("demo-p1"),
        number="0970000100",
        other="0970000111",
        why="11",
        beside=CallId("c1"),
    )
    made.tell(told)


def test_a_department_that_goes_on_with_the_caller_tells_nothing_of_the_consult() -> None:
    made = desk()
    made.wait(2, "c1")
    leg = made.pick_up(5)
    made.tell(i.HoldChanged(at=made.at(8), channel=leg, held=True))
    asks_the_department(made)
    far = reach(made, 15, O10)
    made.tell(i.BridgeLeft(at=made.at(45), bridge=f"b-{leg}", channel=leg))
    made.tell(i.BridgeLeft(at=made.at(45), bridge=f"b-{leg}", channel=ChannelId("c1")))
    made.tell(i.BridgeEntered(at=made.at(45), bridge="b", channel=ChannelId("c1")))
    gone(made, 45, OWN, 30)
    gone(made, 45, leg, 8)
    gone(made, 49, far, 34)
    gone(made, 49, "c1", 47)
    assert made.told(f.CallTransferred) and not made.told(f.SideLegEnded)
    expected = made.floor.expected[O10]
    assert (expected.sent, expected.unsent) == (30 * SECOND, None)
    assert found(made, 28) == {"short"}


@pytest.mark.parametrize(("how", "talk", "fine"), [(PauseAs.SILENCE, 30, 30.0), (PauseAs.GAP, 20, 20.0)])
def test_a_pause_counts_as_the_rule_of_the_centre_has_it(how: PauseAs, talk: int, fine: float) -> None:
    def made(own: float, far: float) -> Desk:
        one = connected(Recordings(how, 60))
        paused(one, 20)
        paused(one, 30)
        end(one, 45, O10, ChannelId(OWN), own, far)
        return one

    assert made(30, 30).floor.expected[O10].talk == talk * SECOND
    assert found(made(30, 30), fine) == set()
    assert found(made(30, 30), fine - 2) == {"short"}
    assert found(made(30, 4), fine) == set()
    # Where nobody sent sound may be in the pause: of the rest it is not held against the recording.
    assert found(made(20, 20), fine - 10) == {"no_media"}


def test_what_nobody_saw_is_not_known_and_never_held_against_a_recording() -> None:
    """callcore was dead as the call ended, or only the beginning of the leg went unseen."""
    made = desk()
    reach(made, 15, dial(made, 10))
    made.tell(i.LinkDropped(at=made.at(20), node=NODE))
    made.snapshot(60)
    [ended] = made.told(f.SideCallEnded)
    assert isinstance(ended, f.SideCallEnded) and ended.reconstructed
    expected = made.floor.expected[O10]
    assert (expected.sent, expected.unsent) == (None, None)
    gone(made, 100, FAR, 1)
    assert made.floor.expected[O10] == expected
    unseen = desk()
    call = dial(unseen, 10)
    unseen.tell(i.BridgeEntered(at=unseen.at(15), bridge="b", channel=ChannelId(call)))
    gone(unseen, 45, FAR, 30)
    gone(unseen, 45, OWN, 12)
    assert (unseen.floor.expected[O10].sent, unseen.floor.expected[O10].unsent) == (12 * SECOND, None)
    assert found(unseen, 12) == set()


def passed_on(rule: RecordAfter = RecordAfter.END, kind: SideKind = SideKind.OUTGOING) -> Desk:
    """A call out of 30 s whose other side the phone's transfer key has left with somebody else, for 55 s more."""
    made = desk()
    transfers = Transfers(record_after=rule)
    centres = {name: replace(each, transfers=transfers) for name, each in made.floor.centres.items()}
    made.floor = replace(made.floor, centres=Map(centres))
    reach(made, 15, dial(made, 10, kind=kind))
    gone(made, 45, OWN, 30)
    gone(made, 100, FAR, 85)
    return made


def test_the_recording_of_a_citizen_whom_the_phone_passed_on_is_to_last_until_that_talks_end() -> None:
    made = passed_on()
    assert agent_of(made) is Work.WRAPPING_UP
    [ended] = made.told(f.SideCallEnded)
    assert ended.at == made.at(45), "the agent has left, and what is counted is over"
    expected = made.floor.expected[O10]
    assert (expected.talk, expected.sent) == (85 * SECOND, 85 * SECOND)
    assert made.floor.ended[O10] == made.floor.unfiled[O10] == made.at(100), "from here on it is to be sealed"
    assert found(made, 85) == set()
    assert found(passed_on(), 30) == {"short"}
    assert found(passed_on(), 87) == {"long"}


def test_who_was_passed_on_may_talk_on_for_hours_of_a_busy_day() -> None:
    """After an hour the ends of calls are forgotten."""
    made = desk()
    reach(made, 15, dial(made, 10))
    gone(made, 45, OWN, 30)
    others = {CallId(f"x{n}"): made.at(46) for n in range(300)}
    made.floor = replace(made.floor, ended=made.floor.ended.update(others))
    made.arrive(7000, "c9")
    made.hang_up(7100, "c9")
    assert not any(other in made.floor.ended for other in others), "so it was on that day"
    gone(made, 7215, FAR, 7200)
    assert made.floor.expected[O10].talk == 7200 * SECOND
    assert made.floor.ended[O10] == made.at(7215)


def test_the_night_expects_the_recording_of_who_was_passed_on_to_be_as_long() -> None:
    for made, seconds in ((passed_on(), 85), (passed_on(kind=SideKind.DEPARTMENT), 30), (talked(30, 30), 30)):
        span = Span(CentreId("demo"), "", made.at(0), made.at(600), ZoneInfo("Asia/Tokyo"), {})
        frames = [Frame(1, n, fact.at, (fact,)) for n, fact in enumerate(made.facts, 1)]
        assert fold(frames, span).sides[O10].recorded == seconds * SECOND


@pytest.mark.parametrize(
    ("rule", "kind"), [(RecordAfter.AGENT, SideKind.OUTGOING), (RecordAfter.END, SideKind.DEPARTMENT)]
)
def test_a_recording_that_ends_with_the_agent_is_to_last_no_longer(rule: RecordAfter, kind: SideKind) -> None:
    made = passed_on(rule, kind)
    assert made.floor.expected[O10].talk == 30 * SECOND
    assert made.floor.ended[O10] == made.at(45)
    assert found(made, 30) == set()


def test_a_journal_of_before_is_read_and_judged_by_the_talk_alone(tmp_path: Path) -> None:
    made = talked(30, 30)
    [ended] = made.told(f.SideCallEnded)
    with KeyStore.open(tmp_path / "journal", tmp_path / "keys", write=True) as keys:
        codec = Codec(f.KINDS, {}, keys)
        payload = codec.encode(Frame(1, 1, ended.at, (ended,)))
        # What a former version wrote had neither of the two last fields.
        kept = codec.decode(_without_the_last_two(payload))
    assert kept.facts == (replace(ended, received=None, before=None),)  # type: ignore[call-arg]
    old = Expected(30 * SECOND)
    assert judge(Heard(28.0, (10.0,)), old) == () and judge(Heard(27.0, (10.0,)), old) == (Finding.SHORT,)


def _without_the_last_two(payload: bytes) -> bytes:
    [(kind, version, fields)] = msgspec.msgpack.decode(payload[PREFIX.size :])
    del fields["received"], fields["before"]
    return payload[: PREFIX.size] + msgspec.msgpack.encode([(kind, version, fields)])


def test_a_centre_that_does_not_record_consults_expects_nothing() -> None:
    made = desk()
    centres = {
        name: replace(each, transfers=replace(each.transfers, record_consult=False))
        for name, each in made.floor.centres.items()
    }
    made.floor = replace(made.floor, centres=Map(centres))
    made.wait(2, "c1")
    made.pick_up(5)
    asks_the_department(made)
    reach(made, 15, O10)
    gone(made, 45, OWN, 30)
    assert O10 not in made.floor.expected and not made.floor.leaving
