"""Messages that callers leave: what the core makes of them, without Asterisk."""

from __future__ import annotations

import struct
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.access.rights import Person, Reach, Right
from callcore.ami import cel
from callcore.centres import CentreFileErrors, read
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Messages, Outgoing
from callcore.domain.findings import WORDS, Finding
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, PhoneId
from callcore.domain.measures import endings
from callcore.domain.message import MessageState
from callcore.domain.stages import Choice, Outcome, Party, Said, Stage
from callcore.recordings import voices
from callcore.runtime.messagedesk import dialled, line, row, visible
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration

PROJECT = Path(__file__).parents[2]
DAY = 86_400
NIGHT = Calendar(
    "Asia/Tokyo", ((Window(8 * 3600 + 1800, 12 * 3600), Window(13 * 3600, 18 * 3600)),) * 5 + ((),) * 2
)


def desk(**more: object) -> Desk:
    """A centre in which a message is to be dealt with within an hour of its opening time."""
    return Desk().begin(configuration(replace(centre(2), messages=Messages(due_s=3600), **more)))  # type: ignore[arg-type]


def comes(
    made: Desk, s: float, name: str = "m", *, open: bool = True, caller: str | None = "0312345678"
) -> None:
    made.tell(
        i.ChannelArrived(
            at=made.at(s),
            node=NODE,
            channel=ChannelId(name),
            name=f"PJSIP/trunk-{name}",
            number=NUMBER,
            caller=caller,
        )
    )
    made.tell(i.AdmissionDecided(at=made.at(s), call=CallId(name), open=open, source="pushed"))
    made.tell(i.MenuKeyed(at=made.at(s), call=CallId(name), menu="demo-m", key="2", choice=Choice.MESSAGE))


def says(made: Desk, s: float, name: str, said: Said) -> None:
    made.tell(i.MessageTold(at=made.at(s), call=CallId(name), said=said))


def gone(made: Desk, s: float, name: str = "m", *, by_caller: bool = True) -> Outcome:
    if by_caller:
        made.tell(i.HangupRequested(at=made.at(s), channel=ChannelId(name)))
    made.tell(i.ChannelGone(at=made.at(s), channel=ChannelId(name), cause=16))
    return next(fact.outcome for fact in made.told(f.CallEnded) if fact.call == name)


def measured(
    made: Desk,
    s: float,
    name: str = "m",
    voice: float = 3.0,
    problem: str | None = None,
    clipped: float = 0.0,
) -> None:
    made.tell(
        i.MessageMeasured(
            at=made.at(s),
            call=CallId(name),
            file=f"{name}.message.wav",
            size=64_044,
            seconds=4.0,
            voice_s=voice,
            sha256="ab",
            problem=problem,
            clipped_s=clipped,
        )
    )


def taken(made: Desk, s: float, name: str = "m", agent: str = "1001") -> None:
    made.tell(i.MessageTakeAsked(at=made.at(s), call=CallId(name), agent=AgentId(agent), by="user:sup"))


def closed(made: Desk, s: float, name: str = "m", *, done: bool = True, result: str = "折り返し済み") -> None:
    made.tell(i.MessageCloseAsked(at=made.at(s), call=CallId(name), done=done, result=result, by="user:sup"))


def left(made: Desk, s: float, name: str = "m") -> None:
    """A whole message, thanked for and measured."""
    comes(made, s, name)
    says(made, s + 5, name, Said.BEGAN)
    says(made, s + 15, name, Said.KEPT)
    gone(made, s + 20, name, by_caller=False)
    measured(made, s + 23, name)


def test_a_message_is_a_task_with_a_deadline_and_the_call_has_its_own_outcome() -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    assert not made.floor.messages
    says(made, 15, "m", Said.KEPT)
    assert gone(made, 20, by_caller=False) is Outcome.MESSAGE_LEFT
    message = made.floor.messages[CallId("m")]
    assert (message.state, message.agent, message.seconds) == (MessageState.OPEN, None, None)
    assert message.caller.text == "0312345678"
    assert message.due_at == made.at(15) + 3600 * SECOND
    assert not message.overdue(message.due_at)
    assert message.overdue(Instant(message.due_at + 1))
    measured(made, 23)
    message = made.floor.messages[CallId("m")]
    assert (message.filed, message.file, message.seconds) == (True, "m.message.wav", 4.0)
    of = made.figures(made.at(60))
    assert (of.offered, of.other_unanswered, of.hangups_before_answer) == (1, 1, 0)
    assert endings(made.books.records.values(), of).messages == 1


def test_out_of_hours_the_call_stays_closed_and_is_marked() -> None:
    made = desk()
    comes(made, 0, open=False)
    says(made, 5, "m", Said.BEGAN)
    says(made, 15, "m", Said.KEPT)
    assert gone(made, 17) is Outcome.CLOSED
    assert CallId("m") in made.floor.messages
    assert made.books.records[CallId("m")].message
    assert endings(made.books.records.values(), made.figures(made.at(60))).messages == 1


def test_who_puts_down_while_speaking_has_left_a_message_too() -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    assert gone(made, 12) is Outcome.MESSAGE_LEFT
    measured(made, 15)
    assert made.floor.messages[CallId("m")].open


@pytest.mark.parametrize(("open", "outcome"), [(True, Outcome.ABANDONED), (False, Outcome.CLOSED)])
def test_who_put_down_without_a_word_has_left_none_and_the_figures_say_so(
    open: bool, outcome: Outcome
) -> None:
    made = desk()
    comes(made, 0, open=open)
    says(made, 5, "m", Said.BEGAN)
    gone(made, 12)
    measured(made, 15, voice=0.1)
    assert not made.floor.messages
    record = made.books.records[CallId("m")]
    assert (record.outcome, record.message, record.hung_up_by) == (outcome, False, Party.CALLER)
    assert made.figures(made.at(60)).hangups_before_answer == open
    measured(made, 16)
    assert made.told(f.MessageFiled) == []


def test_who_puts_down_with_the_tone_has_said_nothing() -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    assert gone(made, 5.5) is Outcome.ABANDONED
    assert not made.floor.messages


def test_who_was_thanked_gets_a_task_whatever_the_file_holds() -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    says(made, 15, "m", Said.KEPT)
    gone(made, 20)
    measured(made, 90, voice=0.0, problem="missing")
    message = made.floor.messages[CallId("m")]
    assert (message.open, message.problem) == (True, "missing")


@pytest.mark.parametrize(
    ("voice", "problem", "clipped", "findings"),
    [
        (3.0, None, 0.9, ()),
        (3.0, None, 1.0, (Finding.CLIPPED,)),
        (30.0, None, 1.4, ()),
        (0.5, None, 0.0, ()),
        (0.4, None, 0.0, (Finding.SILENT,)),
        (0.0, "empty", 0.0, (Finding.EMPTY,)),
        (0.0, "missing", 0.0, (Finding.MISSING,)),
        (0.0, "unreadable", 0.0, (Finding.UNREADABLE,)),
    ],
)
def test_what_is_wrong_with_a_message_is_named(
    voice: float, problem: str | None, clipped: float, findings: tuple[Finding, ...]
) -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    says(made, 15, "m", Said.KEPT)
    gone(made, 20)
    measured(made, 90, voice=voice, problem=problem, clipped=clipped)
    (filed,) = made.told(f.MessageFiled)
    assert (filed.findings, filed.problem) == (findings, problem)
    shown = made.floor.messages[CallId("m")].problem
    assert shown == (findings[0].value if findings else None)


@pytest.mark.parametrize(
    ("voice", "problem", "findings"),
    [
        (3.0, None, (Finding.SHORT,)),
        (0.4, None, (Finding.SHORT, Finding.SILENT)),
        (0.0, "missing", (Finding.MISSING, Finding.SHORT)),
    ],
)
def test_a_message_whose_end_could_not_be_recorded_is_a_task_that_says_so(
    voice: float, problem: str | None, findings: tuple[Finding, ...]
) -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    says(made, 15, "m", Said.CUT)
    assert gone(made, 20) is Outcome.MESSAGE_LEFT
    measured(made, 90, voice=voice, problem=problem)
    (filed,) = made.told(f.MessageFiled)
    assert (filed.findings, filed.problem) == (findings, problem)
    message = made.floor.messages[CallId("m")]
    assert message.problem == findings[0].value
    assert WORDS[findings[0]] in line(row(made.floor, message, made.at(100), person()))
    assert made.books.records[CallId("m")].message


def test_a_file_that_is_missing_is_no_proof_that_nothing_was_said() -> None:
    made = desk()
    comes(made, 0)
    says(made, 5, "m", Said.BEGAN)
    gone(made, 15)
    measured(made, 90, voice=0.0, problem="missing")
    assert made.floor.messages[CallId("m")].problem == "missing"


def test_who_said_nothing_goes_on_to_an_agent() -> None:
    made = desk()
    made.sign_in(1, 1)
    comes(made, 10)
    says(made, 15, "m", Said.BEGAN)
    says(made, 20, "m", Said.EMPTY)
    made.tell(i.CallerHeld(at=made.at(25), call=CallId("m")))
    assert len(made.told(f.OfferMade)) == 1
    assert not made.floor.messages
    assert gone(made, 30) is Outcome.ABANDONED


def test_who_spoke_after_the_tone_and_then_unseen_had_an_agent_leaves_no_message() -> None:
    made = desk()
    made.sign_in(1, 1)
    comes(made, 10)
    says(made, 15, "m", Said.BEGAN)
    made.tell(i.LinkDropped(at=made.at(16), node=NODE))
    both = [
        i.ChannelSeen(
            id=ChannelId(name),
            name=f"PJSIP/x-{name}",
            context="callcore-net",
            application="Dial",
            bridge="b",
            call=CallId("m"),
            offer=None,
            phone=phone,
            number=None,
            caller=None,
            created=made.at(10),
            entered=None,
        )
        for name, phone in (("m", None), ("leg", PhoneId("demo-p1")))
    ]
    made.snapshot(30, *both)
    assert made.floor.calls[CallId("m")].stage is Stage.TALKING
    gone(made, 40)
    assert not made.told(f.MessageLeft) and not made.floor.messages
    assert [fact.outcome for fact in made.told(f.CallEnded)] == [Outcome.COMPLETED]


def test_what_is_told_twice_or_of_nobody_changes_nothing() -> None:
    made = desk()
    says(made, 1, "nobody", Said.BEGAN)
    comes(made, 2)
    says(made, 3, "m", Said.KEPT)  # without a beginning
    assert made.told(f.MessageLeft) == []
    says(made, 5, "m", Said.BEGAN)
    for _ in range(2):
        says(made, 15, "m", Said.KEPT)
    gone(made, 20)
    says(made, 21, "m", Said.KEPT)
    assert len(made.told(f.MessageLeft)) == 1
    for _ in range(2):
        measured(made, 23)
    assert len(made.told(f.MessageFiled)) == 1


def test_a_message_is_taken_given_on_dealt_with_and_taken_up_again() -> None:
    made = desk()
    left(made, 0)
    taken(made, 100)
    taken(made, 101)  # by the same agent once more
    taken(made, 110, agent="1002")
    assert made.floor.messages[CallId("m")].agent == "1002"
    for wrong in ("", " ", "あ" * 201):
        closed(made, 115, result=wrong)
    closed(made, 120)
    message = made.floor.messages[CallId("m")]
    assert message.state is MessageState.DONE
    assert message.result is not None and message.result.text == "折り返し済み"
    closed(made, 121)
    assert [type(x).__name__ for x in made.facts[-3:]] == ["MessageTaken", "MessageTaken", "MessageDone"]
    taken(made, 130)
    assert made.floor.messages[CallId("m")].result is None
    closed(made, 140, done=False, result="つながらない")
    assert made.floor.messages[CallId("m")].state is MessageState.UNDONE


def test_nobody_takes_it_who_is_not_of_the_centre_and_nobody_what_is_not_there() -> None:
    made = desk()
    left(made, 0)
    before = len(made.facts)
    taken(made, 50, agent="9999")
    taken(made, 50, "nothing")
    closed(made, 51, "nothing")
    assert len(made.facts) == before


def test_one_that_was_dealt_with_leaves_the_list_after_its_days_and_an_open_one_stays() -> None:
    made = desk()
    left(made, 0)
    left(made, 100, "n")
    closed(made, 200)
    left(made, 200 + 30 * DAY - 50, "o")
    assert CallId("m") in made.floor.messages
    left(made, 200 + 30 * DAY, "p")
    assert sorted(made.floor.messages) == ["n", "o", "p"]
    assert [x.call for x in made.told(f.MessageDropped)] == ["m"]


@pytest.mark.parametrize(
    ("at", "hours", "due"),
    [
        ("2026-11-24T10:00", 1, "2026-11-24T11:00"),
        ("2026-11-24T11:30", 1, "2026-11-24T13:30"),  # over the lunch break
        ("2026-11-24T17:30", 1, "2026-11-25T09:00"),  # over the night
        ("2026-11-24T22:00", 4, "2026-11-25T13:30"),
        ("2026-11-27T17:00", 2, "2026-11-30T09:30"),  # over the weekend
        ("2026-11-24T10:00", 2, "2026-11-24T12:00"),  # to the second of the closing
    ],
)
def test_a_deadline_counts_opening_hours_only(at: str, hours: int, due: str) -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    def instant(text: str) -> Instant:
        moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Tokyo"))
        return Instant(round(moment.timestamp()) * SECOND)

    assert NIGHT.after_open(instant(at), hours * 3600) == instant(due)


def test_a_centre_that_never_opens_has_no_deadline_but_now() -> None:
    never = Calendar("Asia/Tokyo", ((),) * 7)
    assert never.after_open(Instant(0), 60) is None
    made = desk(calendar=never)
    comes(made, 0, open=False)
    says(made, 5, "m", Said.BEGAN)
    says(made, 15, "m", Said.KEPT)
    assert made.floor.messages[CallId("m")].due_at == made.at(15)


@pytest.mark.parametrize("kept", [Said.KEPT, Said.CUT])
def test_a_message_left_while_nobody_watched_is_read_from_cel(kept: Said) -> None:
    def told(kind: str, at: float, user: str = "", extra: str = "") -> cel.Line:
        said = f'{{"extra":"{extra}"}}' if extra else ""
        when = Instant(made.at(at))
        return cel.Line(
            kind, user, when, "m", "m", "PJSIP/trunk-m", "callcore-in", NUMBER, "0312345678", said
        )

    made = desk()
    made.tell(i.LinkDropped(at=made.at(1), node=NODE))
    (trace,) = cel.traces(
        [
            told("CHAN_START", 10),
            told("USER_DEFINED", 10, "callcore-closed", "pushed"),
            told("USER_DEFINED", 12, "callcore-menu", "demo-m~2~message~~"),
            told("USER_DEFINED", 15, "callcore-message", "began"),
            told("USER_DEFINED", 25, "callcore-message", kept.value),
            told("CHAN_END", 30),
        ]
    )
    assert [each.said for each in trace.messages] == [Said.BEGAN, kept]
    made.tell(
        i.Snapshot(
            at=made.at(60), node=NODE, first=True, channels=(), devices=(), members=(), traces=(trace,)
        )
    )
    message = made.floor.messages[CallId("m")]
    assert message.left_at == made.at(25)
    assert message.due_at == made.at(25) + 3600 * SECOND
    (fact,) = made.told(f.MessageLeft)
    assert fact.reconstructed and fact.cut == (kept is Said.CUT)
    assert made.told(f.CallEnded)[0].outcome is Outcome.CLOSED


# -- who sees what ----------------------------------------------------------------------------------------------


def person(*, agent: str | None = None, personal: bool = True) -> Person:
    if agent is not None:
        return Person("user:ope", "", {Right.READ_AGENTS: Reach.OWN}, frozenset({"demo"}), AgentId(agent))
    rights = {Right.READ_AGENTS: Reach.CENTRES, **({Right.READ_PERSONAL: Reach.CENTRES} if personal else {})}
    return Person("user:sup", "", rights, frozenset({"demo"}))


def test_the_list_is_in_the_order_of_the_deadlines_and_an_operator_sees_the_open_and_the_own() -> None:
    made = desk()
    left(made, 100, "b")
    left(made, 0, "a")
    for n, name in enumerate(("c", "d", "e")):
        left(made, 200 + 30 * n, name)
    taken(made, 300, "d", "1002")
    taken(made, 301, "c", "1001")
    closed(made, 302, "e")
    floor = made.floor
    assert [m.call for m in visible(floor, person())] == ["a", "b", "c", "d", "e"]
    assert [m.call for m in visible(floor, person(agent="1001"))] == ["a", "b", "c"]
    stranger = Person("user:x", "", {Right.READ_AGENTS: Reach.CENTRES}, frozenset({"elsewhere"}))
    assert visible(floor, stranger) == []


def test_the_number_is_masked_and_only_for_who_may_and_for_who_deals_with_it() -> None:
    made = desk()
    left(made, 0)
    taken(made, 100)
    message, now = made.floor.messages[CallId("m")], made.at(200)
    shown = [row(made.floor, message, now, who)["number"] for who in (person(), person(agent="1001"))]
    assert shown == ["*******678", "*******678"]
    assert row(made.floor, message, now, person(personal=False))["number"] is None
    assert "*******678" in line(row(made.floor, message, now, person()))


@pytest.mark.parametrize(
    ("caller", "number"),
    [
        ("0312345678", "00312345678"),
        ("+81312345678", "00312345678"),
        ("+15551234", "001015551234"),
        (None, None),
    ],
)
def test_the_caller_is_dialled_as_the_centre_dials(caller: str | None, number: str | None) -> None:
    made = desk(outgoing=Outgoing(NUMBER, prefix="0"))
    comes(made, 0, caller=caller)
    says(made, 5, "m", Said.BEGAN)
    says(made, 15, "m", Said.KEPT)
    assert dialled(made.floor, made.floor.messages[CallId("m")]) == number


# -- sound and settings -----------------------------------------------------------------------------------------


def test_what_is_louder_than_silence_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "m.wav"
    for loud, expected in ((8000, 0.5), (100, 0.0)):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(struct.pack("<12000h", *([0] * 4000 + [loud, -loud] * 2000 + [0] * 4000)))
        assert voices(lambda: path.open("rb")).voice_s == (expected,)
    assert voices((tmp_path / "nothing.wav").open).voice_s == ()
    path.write_bytes(b"RIFF")
    assert voices(lambda: path.open("rb")).voice_s == ()


def test_the_shipped_centre_takes_messages_out_of_hours() -> None:
    oita = next(each for each in read(PROJECT / "centres").centres if each.id == "oita")
    assert oita.messages == Messages(120, 5, 14_400, 30)
    menus = [each.id for each in oita.menus if any(key.choice is Choice.MESSAGE for key in each.keys)]
    assert menus == ["oita-full", "oita-lost-card"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("longest_s = 120", "longest_s = 5", '"longest_s" must be 10 to 600'),
        ("silence_s = 5", "silence_s = 1", '"silence_s" must be 2 to 30'),
        ("message = true", "message = false", '"message" can\'t be false'),
        ("message = true", "message = true\nend = true", "exactly one thing (this one to 2)"),
        ("keep_days = 30", "keepdays = 30", "keep_days"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    source = (PROJECT / "centres" / "oita.toml").read_text(encoding="utf-8")
    assert old in source
    (tmp_path / "oita.toml").write_text(source.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CentreFileErrors) as raised:
        read(tmp_path)
    assert said in "\n".join(raised.value.texts("en"))
