"""What may be erased, and what an order keeps: decided by the engine, whoever asks."""

from __future__ import annotations

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.erasing import may_erase
from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.recording import RecordingKind
from callcore.domain.retention import Item, Sound
from callcore.erasure import parted
from tests.support.floors import Desk
from tests.unit import test_messages as messages
from tests.unit import test_tasks as tasks
from tests.unit.test_unwelcome import desk as unwelcome
from tests.unit.test_unwelcome import list_caller

DEMO = CentreId("demo")


def over(s: float = 20) -> Desk:
    """A caller was served, and the recording measured."""
    d = Desk().begin()
    d.sign_in(0, 1)
    d.wait(1)
    d.pick_up(5)
    d.hang_up(s)
    d.tell(
        i.RecordingMeasured(
            at=d.at(s + 2), call=CallId("c1"), file="c1.wav", size=9, seconds=1.0, sha256="ab", problem=None
        )
    )
    return d


def keep(d: Desk, s: float, *calls: str, until: float | None = None, name: str = "keep-1") -> None:
    d.tell(
        i.KeepAsked(
            at=d.at(s),
            order=name,
            centre=DEMO,
            calls=tuple(CallId(each) for each in calls),
            until=None if until is None else d.at(until),
            reason="訴訟",
            by="user:sato",
        )
    )


def erase(
    d: Desk, s: float, call: str = "c1", about: str | None = None, *, personal: bool = True
) -> str | None:
    """Why it was refused; None: it was done."""
    done = d.tell(
        i.EraseAsked(
            at=d.at(s),
            call=CallId(call),
            about=CallId(about or call),
            centre=DEMO,
            recordings=(call,),
            personal=personal,
            erasure="erase-1",
            reason="満了",
            by="user:sato",
        )
    )
    return done.disregarded


def test_what_is_erased_is_told_once_the_call_is_over_and_its_key_is_destroyed() -> None:
    d = over()
    assert d.floor.caller_of(CallId("c1")) is not None
    assert erase(d, 30) is None
    (gone,) = d.told(f.CallErased)
    assert isinstance(gone, f.CallErased)
    assert (gone.recordings, gone.personal, gone.by) == (("c1",), True, "user:sato")
    assert e.DestroyKey(CallId("c1")) in d.effects
    assert d.floor.caller_of(CallId("c1")) is None, "the number leaves the floor"
    assert erase(d, 31) is None, "once more, as after a crash"
    assert d.effects.count(e.DestroyKey(CallId("c1"))) == 2


def test_sound_alone_is_erased_without_the_number() -> None:
    d = over()
    assert erase(d, 30, personal=False) is None
    assert e.DestroyKey(CallId("c1")) not in d.effects
    assert d.floor.caller_of(CallId("c1")) is not None


def test_a_call_that_goes_on_is_not_erased_nor_one_whose_recording_is_not_measured() -> None:
    d = Desk().begin()
    d.sign_in(0, 1)
    d.wait(1)
    d.pick_up(5)
    assert "going on" in str(erase(d, 6))
    assert "going on" in str(erase(d, 6, "consult", "c1")), "nor what was said about it"
    d.hang_up(20)
    assert "not measured" in str(erase(d, 21))
    assert d.told(f.CallErased) == []


def test_a_message_that_somebody_has_to_deal_with_keeps_the_number_and_not_the_sound() -> None:
    d = over()
    d.tell(
        i.TaskAsked(
            at=d.at(25),
            call=CallId("c1"),
            subject="住所の変更",
            department=None,
            agent=None,
            due_at=None,
            by="x",
        )
    )
    assert "dealt with" in str(erase(d, 30))
    assert erase(d, 30, personal=False) is None


def test_the_sound_of_a_message_that_somebody_has_to_deal_with_is_the_message_and_is_kept_with_it() -> None:
    d, m = messages.desk(), CallId("m")
    messages.left(d, 10)

    def refused(*recordings: str, personal: bool = False) -> str | None:
        return may_erase(d.floor, m, m, recordings=recordings, personal=personal, at=d.at(100))

    assert "dealt with" in str(refused("m", "m.message"))
    assert refused("m", "m~2") is None and refused() is None, "other sound of the call is not the message"
    assert refused(personal=True) == refused("m.message")
    messages.taken(d, 40)
    assert "dealt with" in str(refused("m.message")), "nor while somebody has it"
    messages.closed(d, 50)
    assert refused("m.message", personal=True) is None


@pytest.mark.parametrize("until", [None, 600.0])
def test_what_an_order_keeps_nobody_erases_until_it_is_taken_back(until: float | None) -> None:
    d = over()
    keep(d, 25, "c1", until=until)
    for call, about in (("c1", None), ("consult", "c1")):
        assert "keep-1" in str(erase(d, 30, call, about))
    assert erase(d, 30, "c2") is None, "another call is not meant"
    d.tell(i.KeepReleaseAsked(at=d.at(40), order="keep-1", centre=CentreId("other"), reason="x", by="x"))
    assert d.floor.keeping, "not by another centre"
    d.tell(i.KeepReleaseAsked(at=d.at(41), order="keep-1", centre=DEMO, reason="終結", by="user:sato"))
    assert erase(d, 42) is None


def test_an_order_that_comes_while_the_sound_is_being_erased_keeps_the_number() -> None:
    d = over()
    keep(d, 25, "c1")
    assert erase(d, 30) is not None
    assert erase(d, 31, personal=False) is None, "that the sound is gone is told all the same"
    assert e.DestroyKey(CallId("c1")) not in d.effects and d.floor.caller_of(CallId("c1")) is not None


def test_an_extension_ends_by_itself() -> None:
    d = over()
    keep(d, 25, "c1", until=100)
    assert erase(d, 99) is not None
    assert erase(d, 100) is None
    assert not d.floor.keeping, "it has nothing left to keep"


@pytest.mark.parametrize(
    ("calls", "until", "name"),
    [
        ((), None, "keep-2"),
        (("c1",), 10.0, "keep-2"),
        (("c1",), None, "keep-1"),
        (("x",) * 1001, None, "keep-2"),
    ],
)
def test_an_order_that_says_nothing_is_refused(
    calls: tuple[str, ...], until: float | None, name: str
) -> None:
    d = over()
    keep(d, 25, "c9")
    told = len(d.facts)
    keep(d, 26, *calls, until=until, name=name)
    assert len(d.facts) == told


def test_an_open_task_is_not_erased_and_one_that_was_dealt_with_leaves_nothing_of_a_person_on_the_floor() -> (
    None
):
    d = tasks.desk()
    tasks.opened(d, 10)
    assert "dealt with" in str(erase(d, 20, tasks.T))
    tasks.closed(d, 30)
    assert erase(d, 40, tasks.T) is None
    assert e.DestroyKey(tasks.T) in d.effects
    task = d.floor.messages[tasks.T]
    personal = (task.caller, task.subject, task.note, task.result)
    assert [each.text for each in personal if each is not None] == [None] * 4
    assert erase(d, 41, tasks.T) is None, "once more, as after a crash"


@pytest.mark.parametrize("named", [tasks.T, tasks.OLD])
def test_a_task_that_an_order_keeps_stays_on_the_list_with_its_key_until_the_order_is_over(
    named: str,
) -> None:
    d = tasks.desk()
    tasks.opened(d, 10, about=tasks.OLD)
    tasks.closed(d, 20)
    keep(d, 30, named)
    late = 60.0 + 30 * messages.DAY
    tasks.opened(d, late, "task-2")
    assert "keep-1" in str(erase(d, late + 1, tasks.T, tasks.OLD))
    assert tasks.T in d.floor.messages and e.DestroyKey(tasks.T) not in d.effects
    d.tell(i.KeepReleaseAsked(at=d.at(late + 2), order="keep-1", centre=DEMO, reason="終結", by="x"))
    tasks.opened(d, late + 3, "task-3")
    assert tasks.T not in d.floor.messages and e.DestroyKey(tasks.T) in d.effects


def test_without_a_word_about_it_a_reported_call_is_left_and_so_is_the_task_about_it() -> None:
    sound = Sound("c1", RecordingKind.CALL, True, Instant(1))
    items = [
        Item(CallId("c1"), CallId("c1"), Instant(1), (sound,), personal=True),
        Item(CallId("task-1"), CallId("c1"), Instant(2), personal=True, task=True),
        Item(CallId("task-2"), CallId("c2"), Instant(3), personal=True, task=True),
    ]
    units, left = parted(items, reported=False)
    assert [(unit.call, unit.task) for unit in units] == [("task-2", True)]
    assert [each.call for each in left] == ["c1", "task-1"]
    units, left = parted(items, reported=True)
    assert ([unit.call for unit in units], left) == (["c1", "task-1", "task-2"], [])


def test_an_answer_that_waited_and_an_entry_of_the_list_go_too() -> None:
    d = over()
    d.tell(i.AnswerAsked(at=d.at(25), call=CallId("c1"), text="回答です", by="user:sato"))
    (answer,) = d.floor.answers.values()
    assert erase(d, 30) is None
    assert not d.floor.answers and e.DestroyKey(answer.text.call) in d.effects
    listed = unwelcome()
    list_caller(listed, 1)
    assert erase(listed, 2, "blocked-1") is None
    assert not listed.floor.blocked and e.DestroyKey(CallId("blocked-1")) in listed.effects
    assert listed.effects.count(e.PushBlocked()) == 2
