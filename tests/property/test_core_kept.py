"""What is written down is what happened: facts and floors through the journal's codec and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.centres import read
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import AgentId, CallId, CentreId, ChannelId, DepartmentId, Instant, PhoneId
from callcore.domain.measures import Books
from callcore.domain.phones import Policy
from callcore.domain.recording import RecordingMark
from callcore.domain.staff import PauseReason, Staff
from callcore.domain.stages import Choice, Device, Said, SideKind, SideOutcome, TalkKey, WatchMode
from callcore.journal import Codec, Frame, KeyStore
from tests.property.garbage import Source
from tests.property.test_core_days import LINKS, SEEDS, a_day
from tests.property.test_core_garbage import DRAWS, at_work
from tests.support.acd import crew, opened, queue, site
from tests.support.floors import NODE, NUMBER
from tests.support.recorded import sealed
from tests.support.sim import Sim
from tests.support.watched import Watched
from tests.unit import test_callbacks as callbacks
from tests.unit import test_core_sides as sides
from tests.unit import test_messages as messages
from tests.unit import test_supervising as supervising
from tests.unit import test_tasks as tasks
from tests.unit.test_core_recording import moves


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Codec]:
    home = tmp_path_factory.mktemp("kept")
    with KeyStore.open(home / "journal", home / "keys", write=True) as keys:
        yield Codec(f.KINDS, {}, keys)


def kept(codec: Codec, facts: list[f.Fact], n: int = 1) -> list[f.Fact]:
    frame = codec.decode(codec.encode(Frame(1, n, facts[0].at, tuple(facts))))
    assert (frame.run, frame.n, frame.at) == (1, n, facts[0].at)
    found = [fact for fact in frame.facts if isinstance(fact, f.Fact)]
    assert len(found) == len(facts)
    return found


def fold(facts: list[f.Fact], start: Floor | None = None) -> Floor:
    floor = start or Floor()
    for fact in facts:
        floor = evolve(floor, fact)
    return floor


def recorded(desk: Watched) -> Watched:
    """Every recording is measured."""
    for call in sorted(desk.floor.unfiled):
        desk.tell(
            i.RecordingMeasured(
                at=desk.floor.at,
                call=call,
                file=f"{call}.wav",
                size=44,
                seconds=0.0,
                sha256="ab",
                problem="空",
            )
        )
    desk.tell(sealed(desk.floor.at))
    return desk


def test_every_kind_of_fact_comes_back_from_the_journal_as_it_was(codec: Codec) -> None:
    seen: set[str] = set()
    for seed in range(12):
        links = [("lost", 8, 20), ("killed", 20, 15)] if seed % 2 else []
        sim = a_day(seed, 20, links, rich=seed % 3 > 0)
        sim.run(200)
        facts = recorded(sim.core).facts
        assert kept(codec, facts) == facts
        seen.update(type(fact).__name__ for fact in facts)
    nobody = Sim(99)
    nobody.engine_starts()
    nobody.run(1)
    nobody.comes(500, open=True)
    nobody.run(20)
    nobody.tell(i.EventsLate(at=nobody.now, late=True))
    nobody.tell(i.EventsLate(at=nobody.now, late=False))
    nobody.tell(i.ClockJumped(at=nobody.now, by=1))
    nobody.link_lost()
    nobody.run(150)  # beyond the safety net's limit
    nobody.link_up()
    nobody.run(5)
    facts = recorded(nobody.core).facts
    assert kept(codec, facts) == facts
    seen.update(type(fact).__name__ for fact in facts)
    slow = Watched().begin()
    slow.sign_in(0, 1)
    slow.wait(1)
    slow.pick_up(2)
    slow.hang_up(3)
    slow.tell(i.WrapUpExtendAsked(at=slow.at(4), phone=PhoneId("demo-p1")))
    slow.tell(i.EmergencyAsked(at=slow.at(5), centre=CentreId("demo"), reason="地震", by="係長"))
    slow.tell(i.EmergencyEndAsked(at=slow.at(6), centre=CentreId("demo"), by="係長"))
    phone = PhoneId("demo-p1")
    for n, policy in enumerate((Policy.MATCHED, Policy.MAC, Policy.ABSENT), 7):
        slow.tell(
            i.PhoneJudged(at=slow.at(n), phone=phone, policy=policy, user_agent="x", address="192.0.2.7")
        )
    slow.tell(i.PhoneTurnedAway(at=slow.at(10), phone=phone, reason=Policy.EMERGENCY, address="192.0.2.8"))
    entry, demo, until = CallId("blocked-1"), CentreId("demo"), slow.at(600)
    asked = i.BlockAsked(
        at=slow.at(7), entry=entry, centre=demo, number="0312345678", reason="暴言", until=until, by="係長"
    )
    slow.tell(asked)
    slow.tell(i.UnblockAsked(at=slow.at(8), entry=entry, centre=demo, by="係長"))
    gone = CallId("gone")
    for order, end in (("keep-1", None), ("keep-2", until)):
        slow.tell(
            i.KeepAsked(
                at=slow.at(8), order=order, centre=demo, calls=(gone,), until=end, reason="訴訟", by="係長"
            )
        )
        slow.tell(i.KeepReleaseAsked(at=slow.at(8), order=order, centre=demo, reason="終結", by="係長"))
    for mark, on in product(RecordingMark, (True, False)):
        slow.tell(i.MarkAsked(at=slow.at(8), call=gone, centre=demo, mark=mark, on=on, by="係長"))
    slow.tell(
        i.EraseAsked(
            at=slow.at(8),
            call=gone,
            about=gone,
            centre=demo,
            recordings=("gone",),
            personal=True,
            erasure="erase-1",
            reason="満了",
            by="係長",
        )
    )
    assert kept(codec, slow.facts) == slow.facts
    seen.update(type(fact).__name__ for fact in slow.facts)
    apart = side_calls()
    assert kept(codec, apart) == apart
    seen.update(type(fact).__name__ for fact in apart)
    slow.tell(
        i.ChannelArrived(
            at=slow.at(7), node=NODE, channel=ChannelId("m"), name="x", number=NUMBER, caller=None
        )
    )
    slow.tell(i.AdmissionDecided(at=slow.at(7), call=CallId("m"), open=True, source="pushed"))
    slow.tell(
        i.MenuKeyed(
            at=slow.at(8), call=CallId("m"), menu="demo-l", key="2", choice=Choice.LANGUAGE, language="en"
        )
    )
    assert kept(codec, slow.facts) == slow.facts
    seen.update(type(fact).__name__ for fact in slow.facts)
    out = i.CallerForwarded(
        at=slow.at(8), call=CallId("m"), channel=ChannelId("o"), recorded=True, notice="en"
    )
    slow.tell(out)
    slow.tell(i.CallerHeld(at=slow.at(9), call=CallId("m")))
    slow.tell(i.EmergencyAsked(at=slow.at(10), centre=CentreId("demo"), reason="地震", by="係長"))
    slow.tell(i.WaitNotEnded(at=slow.at(11), call=CallId("m"), reason="not there"))
    assert kept(codec, slow.facts) == slow.facts
    seen.update(type(fact).__name__ for fact in slow.facts)
    asked = callbacks_asked()
    assert kept(codec, asked) == asked
    seen.update(type(fact).__name__ for fact in asked)
    left = messages_left()
    assert kept(codec, left) == left
    seen.update(type(fact).__name__ for fact in left)
    keyed = keys_pressed()
    assert kept(codec, keyed) == keyed
    seen.update(type(fact).__name__ for fact in keyed)
    seen_to = supervised()
    assert kept(codec, seen_to) == seen_to
    seen.update(type(fact).__name__ for fact in seen_to)
    assert seen == set(f.KINDS)


def supervised() -> list[f.Fact]:
    """What is told of a supervisor's hand: a watch that turns, and what is set for the day."""
    desk = supervising.listening()
    supervising.asks(desk, 7, WatchMode.WHISPER)
    agent, demo = supervising.AGENT, CentreId("demo")
    desk.tell(i.TalkKeyed(at=desk.at(7.5), key=TalkKey.HELP, leg=supervising.only(desk).leg, channel="x"))
    desk.tell(i.HelpAnswerAsked(at=desk.at(8), agent=agent, by="user:sup"))
    desk.tell(i.SkillsAsked(at=desk.at(8), agent=agent, skills=(), by="user:sup"))
    desk.tell(i.ThresholdsAsked(at=desk.at(8), centre=demo, waiting=3, wait_s=60, by="user:sup"))
    desk.tell(i.ChannelGone(at=desk.at(9), channel=supervising.only(desk).id, cause=16))
    line = supervising.two_queues()
    for n in (1, 2):
        line.wait(n, f"c{n}")
    supervising.up(line, 3, "c2")
    return [*desk.facts, *line.facts]


def side_calls() -> list[f.Fact]:
    """What is told of calls that are no arrivals: one that is answered, one that is not and keeps an answer, an
    emergency call that the carrier does not take, and two to departments, of which one is closed."""
    made = sides.desk()
    first = sides.dial(made, 10)
    sides.reach(made, 15, first)
    sides.end(made, 30, first, ChannelId(first), 15, 14)
    second = sides.dial(made, 100)
    made.tell(i.SideReturned(at=made.at(110), call=second, outcome=SideOutcome.NO_ANSWER))
    made.tell(i.ChannelGone(at=made.at(110), channel=ChannelId(second), cause=16))
    made.device(111, 1, Device.FREE)
    made.tell(i.AnswerAsked(at=made.at(112), call=second, text="受付済みです"))
    made.tell(i.AnswerDropAsked(at=made.at(113), call=second, reason="済み"))
    third = sides.dial(made, 200, kind=SideKind.EMERGENCY, other="119")
    made.tell(i.SideReturned(at=made.at(201), call=third, outcome=SideOutcome.FAILED))
    for n, refused in enumerate((False, True)):
        sides.dial(made, 300 + n, kind=SideKind.DEPARTMENT, other="2340", why="demo-shimin", refused=refused)
    transferred = moves()
    transferred.tell(
        i.BridgeLeft(at=transferred.d.at(10), bridge=transferred.bridge, channel=ChannelId("c1")),
        i.TransferTold(at=transferred.d.at(10), call=CallId("c1"), department=DepartmentId("demo-shimin")),
        i.DialBegan(
            at=transferred.d.at(10), call=CallId("c1"), channel=ChannelId("d"), phone=None, offer=None
        ),
        i.BridgeEntered(at=transferred.d.at(11), bridge="city", channel=ChannelId("d")),
        i.BridgeEntered(at=transferred.d.at(11), bridge="city", channel=ChannelId("c1")),
    )
    transferred.tell(
        i.TaskAsked(
            at=transferred.d.at(12),
            call=CallId("c1"),
            subject="件名",
            department="11",
            agent=None,
            due_at=None,
            by="user:sup",
        )
    )
    transferred.city_puts_down(20, ChannelId("d"), "city")
    transferred.over(20)
    return [*made.facts, *transferred.d.facts]


def messages_left() -> list[f.Fact]:
    """What is told of messages: one that is dealt with and forgotten, one that could not be, and one that was none; and
    of a task about no call, which is dealt with and forgotten."""
    made = messages.desk()
    for n in range(3):
        messages.comes(made, 10 * n, f"c{n}")
        messages.says(made, 10 * n + 1, f"c{n}", Said.BEGAN)
        messages.says(made, 10 * n + 5, f"c{n}", (Said.KEPT, Said.KEPT, Said.EMPTY)[n])
        messages.gone(made, 10 * n + 6, f"c{n}")
    for n in range(2):
        messages.measured(made, 40, f"c{n}")
        messages.taken(made, 41, f"c{n}")
        messages.closed(made, 42 + n, f"c{n}", done=n == 0)
    tasks.opened(made, 45, department=None)
    tasks.closed(made, 46)
    messages.taken(made, 50 + 31 * 86_400, "c1")
    return list(made.facts)


def callbacks_asked() -> list[f.Fact]:
    """What is told of call-backs: one that nobody picks up for and that is not reached twice, one that is reached, and
    one whose caller rings in first."""
    made = callbacks.desk()
    callbacks.asks(made, 0)
    made.sign_in(10, 1)
    callbacks.ends(made, 25, callbacks.rung(made)[-1].side)
    for s in (50, 700):
        callbacks.until(made, s)
        callbacks.ends(made, s + 20, callbacks.picked_up(made, s + 5), SideOutcome.BUSY)
        made.tell(i.TimerFired(at=made.at(s + 30), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    callbacks.asks(made, 800, "n")
    callbacks.talk(made, 815, callbacks.picked_up(made, 810))
    callbacks.asks(made, 820, "o", "0399999999")
    callbacks.waits(made, 830, "p", "0399999999")
    return list(made.facts)


def keys_pressed() -> list[f.Fact]:
    """What is told of an agent at the keys: wrong PINs, a pause that is too long, and a talk with every key in it."""
    rules = replace(Staff(), wrong_pins=1, pauses=(PauseReason(1, "休憩", None, 5),))
    made = opened(replace(site(queue(acw_s=20), staff=crew(1)), staff=rules))
    phone = PhoneId("demo-p1")
    made.tell(i.SignInAsked(at=made.at(0), agent=AgentId("1001"), phone=phone, channel="x", verified=False))
    made.tell(i.UnlockAsked(at=made.at(1), agent=AgentId("1001"), by="user:sato"))
    made.comes(2, 1)
    made.tell(i.PauseAsked(at=made.at(3), reason="休憩", key=1, phone=phone, channel="x"))
    made.until(10)
    made.ready(11, 1)
    made.calls(12, "c1")
    leg = made.answers(12, 1, "c1")
    for key in (TalkKey.HELP, TalkKey.HELP, TalkKey.RELAY, TalkKey.RECORDING):
        made.tell(i.TalkKeyed(at=made.at(13), key=key, leg=leg, channel="x"))
    for paused in (True, False):
        made.tell(
            i.RecordingSwitched(
                at=made.at(14),
                call=CallId("c1"),
                paused=paused,
                done=True,
                agent=AgentId("1001"),
                channel="x",
            )
        )
    made.tell(i.HoldChanged(at=made.at(15), channel=leg, held=True))
    made.until(80)
    made.goes(81)
    made.tell(i.ResultAsked(at=made.at(82), key=1, phone=phone, channel="x"))
    made.tell(i.NoteAsked(at=made.at(83), agent=AgentId("1001"), text="代理人", by="user:ope"))
    return list(made.facts)


def test_a_whole_centre_comes_back_from_the_journal_as_it_was(codec: Codec) -> None:
    found = read(Path(__file__).parents[2] / "centres")
    fact = f.Configured(at=Instant(1), configuration=found)
    (back,) = kept(codec, [fact])
    assert back == fact
    assert fold([back]) == fold([fact])
    assert found.centres, "the shipped centres"


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, links=LINKS, cut=st.floats(0, 1))
def test_folding_from_a_checkpoint_is_folding_from_the_start(
    codec: Codec, seed: int, links: list[tuple[str, int, int]], cut: float
) -> None:
    sim = a_day(seed, 10, links)
    sim.run(150)
    facts = kept(codec, sim.core.facts)
    at = round(cut * len(facts))
    state = codec.encode_state(fold(facts[:at]))
    assert fold(facts[at:], codec.decode_state(state, Floor)) == sim.core.floor
    books = Books()
    for fact in facts:
        books = books.after(fact)
    assert books == sim.core.books


@settings(max_examples=25, deadline=None)
@given(draws=DRAWS, cut=st.floats(0, 1))
def test_a_checkpoint_of_a_floor_in_disorder_is_as_good_as_its_facts(
    codec: Codec, draws: list[tuple[int, int, int, int, int]], cut: float
) -> None:
    desk = at_work()
    source = Source(desk.floor.at)
    for draw in draws:
        desk.tell(source.input(desk.floor, draw))
    facts = kept(codec, desk.facts)
    at = round(cut * len(facts))
    state = codec.encode_state(fold(facts[:at]))
    assert fold(facts[at:], codec.decode_state(state, Floor)) == desk.floor
