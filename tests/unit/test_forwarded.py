"""A caller whom a menu forwards to an outside number: recorded and judged as a talk, and no answer in any figure."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.ami import cel
from callcore.ami.translate import translate
from callcore.ami.wire import Event, parse
from callcore.audit.account import fold
from callcore.audit.span import Span
from callcore.centres.diagram import drawn
from callcore.centres.lines import Lines
from callcore.centres.names import Taken
from callcore.centres.outgoing import read_contacts
from callcore.centres.sheet import Sheet, Table
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.findings import Finding, Heard, judge
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, Instant
from callcore.domain.stages import Choice, Outcome, Party, SideKind
from tests.contract.fake_ami import event as fake_event
from tests.support.days import TestFrame
from tests.support.floors import NODE, NUMBER, Desk
from tests.unit.test_centre_files_manual import EXAMPLE, mori
from tests.unit.test_centre_files_outgoing import problems
from tests.unit.test_comfort import full
from tests.unit.test_comfort import keyed as keyed_waiting
from tests.unit.test_core_sides import desk, end, reach
from tests.unit.test_menus import in_menu, key

M, OUT = CallId("m"), ChannelId("out")


def chosen(open: bool = True) -> Desk:
    """Chose an outside number after 10 s."""
    made = in_menu(open)
    key(made, 10, Choice.FORWARD, "0120950178")
    return made


def answers(made: Desk, s: float, call: CallId = M, *, recorded: bool = True) -> None:
    told = i.CallerForwarded(at=made.at(s), call=call, channel=OUT, recorded=recorded, notice="ja")
    made.tell(told)
    for channel in (OUT, ChannelId(call)):
        made.tell(i.BridgeEntered(at=made.at(s + 0.01), bridge="b", channel=channel))


def gone(
    made: Desk, s: float, channel: ChannelId, received: float | None, before: float | None = None
) -> None:
    sent, had = (None if each is None else round(each * SECOND) for each in (received, before))
    made.tell(i.ChannelGone(at=made.at(s), channel=channel, cause=16, received=sent, before=had))


def over(
    made: Desk, s: float, *, caller: float | None = None, far: float | None = None, before: float = 0
) -> None:
    """The far end's leg goes first, whoever puts down."""
    for channel in (OUT, ChannelId(M)):
        made.tell(i.BridgeLeft(at=made.at(s), bridge="b", channel=channel))
    gone(made, s, OUT, far, before)
    gone(made, s + 0.01, ChannelId(M), caller)


def found(made: Desk, seconds: float, call: CallId = M) -> set[Finding]:
    return set(judge(Heard(seconds, (seconds / 2,)), made.floor.expected[call]))


@pytest.mark.parametrize(("open", "outcome"), [(True, Outcome.IVR_ONLY), (False, Outcome.CLOSED)])
def test_the_talk_is_recorded_from_the_answer_to_the_end_and_the_call_is_no_answer(
    open: bool, outcome: Outcome
) -> None:
    made = chosen(open)
    answers(made, 20)
    assert made.told(f.CallForwarded)[0].notice == "ja"
    over(made, 50, caller=50, far=40, before=10)
    [ended] = made.told(f.CallEnded)
    assert ended.outcome is outcome and "talking with the outside number" in ended.reason
    expected = made.floor.expected[M]
    assert (expected.talk, expected.far, expected.sent) == (30 * SECOND,) * 3
    assert M in made.floor.unfiled
    assert found(made, 30) == set() and found(made, 28) == {Finding.SHORT}
    record = made.books.records[M]
    assert (record.answered_at, record.talk, record.away, record.agent) == (None, 0, 0, None)
    figures = made.figures(made.at(60))
    assert (figures.answered, figures.offered) == (0, 0)


def test_what_the_network_played_while_it_rang_is_no_part_of_the_talk() -> None:
    made = chosen()
    answers(made, 30)
    over(made, 60, caller=30, far=20, before=20)
    assert made.floor.expected[M].far == 0
    assert found(made, 0.5) == {Finding.NO_MEDIA, Finding.SILENT_AGENT}


def test_of_a_far_end_whose_time_before_the_answer_is_not_told_nothing_is_known() -> None:
    made = chosen()
    answers(made, 30)
    gone(made, 60, OUT, 20, None)
    gone(made, 60, ChannelId(M), 30)
    assert made.floor.expected[M].far is None
    assert found(made, 10) == set(), "the caller may have sent nothing in the talk"


@pytest.mark.parametrize(
    ("late", "before", "far", "wrong"),
    [(0.02, 0, 0, {Finding.SILENT_AGENT}), (0.02, None, None, set()), (2, 0, None, set())],
    ids=["just after", "of unknown time", "too late"],
)
def test_the_far_end_may_be_gone_just_after_the_call(
    late: float, before: float | None, far: int | None, wrong: set[Finding]
) -> None:
    made = chosen()
    answers(made, 20)
    gone(made, 50, ChannelId(M), 50)
    for _ in range(2):
        gone(made, 50 + late, OUT, 0, before)
    assert made.floor.expected[M].far == far
    assert found(made, 30) == wrong
    assert OUT not in made.floor.channels


def test_a_talk_that_others_record_is_not_expected_to_be() -> None:
    made = chosen()
    answers(made, 20, recorded=False)
    over(made, 50, caller=50, far=30)
    assert M not in made.floor.unfiled and M not in made.floor.expected


def test_who_is_not_reached_has_no_recording_and_goes_on() -> None:
    made = chosen()
    key(made, 20, Choice.UNREACHED, "0120950178")
    made.tell(i.CallerHeld(at=made.at(25), call=M, notice="ja"))
    assert made.told(f.VisitBegan)[0].notice == "ja"
    gone(made, 60, ChannelId(M), 60)
    assert not made.floor.unfiled and not made.told(f.CallForwarded)


def test_who_is_no_caller_in_a_menu_is_not_forwarded() -> None:
    made = in_menu()
    made.tell(i.CallerHeld(at=made.at(5), call=M))
    answers(made, 20)
    assert made.told(f.CallForwarded) == []
    answers(made, 20, CallId("nobody"))
    assert made.told(f.CallForwarded) == []


def test_who_waits_is_forwarded_out_of_the_menu_for_who_is_beyond_and_the_wait_ended_by_key() -> None:
    d = full()
    d.until(12)
    keyed_waiting(d, 15, Choice.FORWARD, to="0120950178")
    told = i.CallerForwarded(at=d.at(20), call=CallId("c2"), channel=OUT, recorded=True)
    d.tell(told)
    d.tell(told)
    assert len(d.told(f.CallForwarded)) == 1, "told twice"
    gone(d, 50, OUT, 30, 0)
    gone(d, 50, ChannelId("c2"), 39)
    [ended] = [x for x in d.facts if isinstance(x, f.CallEnded) and x.call == "c2"]
    assert ended.outcome is Outcome.OVERFLOW_KEY
    assert d.floor.expected[CallId("c2")].talk == 30 * SECOND
    assert d.books.records[CallId("c2")].answered_at is None


FAR, CALLER, NOBODY = (OUT, Party.CALLED), (ChannelId(M), Party.CALLER), (None, Party.SYSTEM)


@pytest.mark.parametrize("first", [FAR, CALLER, NOBODY], ids=["the far end", "the caller", "nobody"])
@pytest.mark.parametrize(("open", "outcome"), [(True, Outcome.IVR_ONLY), (False, Outcome.CLOSED)])
def test_who_put_down_first_is_told_and_changes_no_outcome(
    first: tuple[ChannelId | None, Party], open: bool, outcome: Outcome
) -> None:
    channel, party = first
    made = chosen(open)
    answers(made, 20)
    if channel is not None:
        for each in (channel, OUT, ChannelId(M)):  # the others are told of as well, too late
            made.tell(i.HangupRequested(at=made.at(50), channel=each))
    over(made, 50, caller=50, far=30)
    [ended] = made.told(f.CallEnded)
    assert (ended.hung_up_by, ended.outcome) == (party, outcome)
    assert len(made.told(f.HangupAsked)) == (channel is not None)
    assert made.floor.expected[M].talk == 30 * SECOND


@pytest.mark.parametrize(
    ("channel", "party"), [(OUT, Party.CALLED), (ChannelId("c2"), Party.CALLER), (None, Party.SYSTEM)]
)
def test_who_put_down_first_is_told_of_who_was_forwarded_out_of_the_line(
    channel: ChannelId | None, party: Party
) -> None:
    d = full()
    d.until(12)
    keyed_waiting(d, 15, Choice.FORWARD, to="0120950178")
    d.tell(i.CallerForwarded(at=d.at(20), call=CallId("c2"), channel=OUT, recorded=True))
    if channel is not None:
        d.tell(i.HangupRequested(at=d.at(50), channel=channel))
    gone(d, 50, OUT, 30, 0)
    gone(d, 50, ChannelId("c2"), 39)
    [ended] = [x for x in d.facts if isinstance(x, f.CallEnded) and x.call == "c2"]
    assert (ended.hung_up_by, ended.outcome) == (party, Outcome.OVERFLOW_KEY)


def test_who_did_not_take_the_call_ends_nothing_by_putting_down() -> None:
    made = chosen()
    assert made.tell(i.HangupRequested(at=made.at(15), channel=OUT)).disregarded
    key(made, 20, Choice.UNREACHED, "0120950178")
    gone(made, 60, ChannelId(M), 60)
    assert made.told(f.CallEnded)[0].hung_up_by is Party.SYSTEM


def test_a_step_of_the_clock_changes_no_length() -> None:
    made = chosen()
    answers(made, 20)
    made.tell(i.ClockJumped(at=made.at(3625), by=3600 * SECOND))
    over(made, 3650, caller=50, far=30)
    assert made.floor.expected[M].talk == 30 * SECOND


# -- while nobody watched --------------------------------------------------------------------------------------------


def line(kind: str, unique: str, at: Instant, user: str = "", extra: str = "") -> cel.Line:
    channel = "PJSIP/trunk-00000001" if unique == M else "PJSIP/trunk-00000002"
    return cel.Line(kind, user, at, unique, M, channel, "callcore-in", NUMBER, "", extra)


def traced(made: Desk, *, ended: bool, taped: str = "yes~ja", source: str | None = None) -> i.CallTraced:
    """`source`: whose far end put down, by Asterisk's word in CEL."""
    lines = [
        line("CHAN_START", M, made.at(0)),
        line("USER_DEFINED", M, made.at(0), "callcore-open", '{"extra":"pushed"}'),
        line("USER_DEFINED", M, made.at(10), "callcore-menu", '{"extra":"demo-m~1~forward~0120950178~"}'),
        line("USER_DEFINED", OUT, made.at(20), "callcore-forwarded", f'{{"extra":"{taped}"}}'),
        line("BRIDGE_ENTER", OUT, made.at(20), extra='{"bridge_id":"b"}'),
        line("BRIDGE_ENTER", M, made.at(20), extra='{"bridge_id":"b"}'),
    ]
    if ended:
        for each in (OUT, M):
            if source is not None:
                lines.append(line("HANGUP", each, made.at(50), extra=f'{{"hangupsource":"{source}"}}'))
            lines.append(line("CHAN_END", each, made.at(50)))
    (trace,) = cel.traces(lines)
    return trace


def test_cel_tells_that_the_outside_number_answered_and_whether_that_is_recorded() -> None:
    made = Desk()
    trace = traced(made, ended=True)
    assert trace.forwarded == i.CallerForwarded(
        at=made.at(20), call=M, channel=OUT, recorded=True, notice="ja"
    )
    assert (trace.forward_ended, trace.answered) == (made.at(50), None)
    other = traced(made, ended=False, taped="no~").forwarded
    assert other is not None and (other.recorded, other.notice) == (False, None)


@pytest.mark.parametrize(
    ("seen", "until"), [("nothing", 5), ("the arrival", 5), ("the key", 11), ("the answer", 21)]
)
def test_a_talk_of_which_nobody_saw_the_end_is_recorded_and_judged_by_its_length(
    seen: str, until: int
) -> None:
    made = Desk().begin() if seen == "nothing" else in_menu()
    if seen in ("the key", "the answer"):
        key(made, 10, Choice.FORWARD, "0120950178")
    if seen == "the answer":
        answers(made, 20)
    made.tell(i.LinkDropped(at=made.at(until), node=NODE))
    made.snapshot(60, traces=(traced(made, ended=True),))
    [told] = made.told(f.CallForwarded)
    assert told.reconstructed is (seen != "the answer")
    [ended] = made.told(f.CallEnded)
    assert ended.outcome is Outcome.IVR_ONLY and ended.hung_up_by is Party.UNKNOWN
    expected = made.floor.expected[M]
    assert (expected.talk, expected.caller, expected.far) == (30 * SECOND, None, None)
    assert found(made, 28) == set() and found(made, 20) == {Finding.SHORT}


@pytest.mark.parametrize(
    ("source", "party"),
    [
        ("PJSIP/trunk-00000002", Party.CALLED),
        ("PJSIP/trunk-00000001", Party.CALLER),
        ("dialplan/builtin", Party.SYSTEM),
        ("", Party.UNKNOWN),
    ],
)
@pytest.mark.parametrize("until", [11, 21], ids=["before the answer", "in the talk"])
def test_who_put_down_first_while_nobody_watched_is_read_from_cel(
    source: str, party: Party, until: int
) -> None:
    """Of a call on a real Asterisk: the source of both hang-ups is the channel whose far end put down."""
    made = chosen()
    if until == 21:
        answers(made, 20)
    made.tell(i.LinkDropped(at=made.at(until), node=NODE))
    made.snapshot(60, traces=(traced(made, ended=True, source=source),))
    [ended] = made.told(f.CallEnded)
    assert (ended.hung_up_by, ended.outcome) == (party, Outcome.IVR_ONLY)


def test_a_talk_whose_answer_nobody_saw_and_that_goes_on_is_judged_by_its_packets() -> None:
    made = chosen()
    made.tell(i.LinkDropped(at=made.at(11), node=NODE))
    trace = replace(traced(made, ended=False), last=made.at(20))
    caller = i.ChannelSeen(
        id=ChannelId(M),
        name="PJSIP/trunk-m",
        context="callcore-menu",
        application="Dial",
        bridge="b",
        call=M,
        offer=None,
        phone=None,
        number=NUMBER,
        caller=None,
        created=made.at(0),
        entered=None,
    )
    far = replace(
        caller, id=OUT, name="PJSIP/trunk-2", call=None, context="callcore-in", application="AppDial"
    )
    made.snapshot(30, caller, far, traces=(trace,))
    assert made.told(f.CallForwarded)[0].at == made.at(20)
    gone(made, 50, OUT, 31, 1)
    gone(made, 50, ChannelId(M), 50)
    expected = made.floor.expected[M]
    assert (expected.talk, expected.caller, expected.far) == (30 * SECOND, 50 * SECOND, 30 * SECOND)


# -- by the books ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [True, False])
def test_the_nightly_comparison_expects_the_talk_where_it_is_to_be_recorded(recorded: bool) -> None:
    made = chosen()
    answers(made, 20, recorded=recorded)
    over(made, 50, caller=50, far=30)
    frame = TestFrame(1, 1, made.at(60), tuple(made.facts))
    account = fold(
        [frame], Span(CentreId("demo"), "2026-11-23", made.at(0), made.at(100), "Asia/Tokyo")
    ).accounts[M]
    assert account.talks == () and account.to_be_recorded is recorded
    assert account.recorded == (30 * SECOND if recorded else 0)


def test_what_the_dialplan_tells_is_read() -> None:
    told = fake_event(
        "UserEvent",
        "Timestamp: 1795143600.000001",
        "UserEvent: CallcoreForwarded",
        "Uniqueid: out",
        "Call: m",
        "Recorded: yes",
        "Notice: en",
    )
    event = parse(told)
    assert isinstance(event, Event) and event.at is not None
    assert translate(event, NODE) == i.CallerForwarded(
        at=event.at, call=M, channel=OUT, recorded=True, notice="en"
    )


# -- 連絡用番号 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("why", "recorded"), [("forward", True), ("contact", False)])
def test_a_contact_number_that_is_passed_on_to_a_person_is_recorded_and_a_fax_is_not(
    why: str, recorded: bool
) -> None:
    made = desk()
    name = CallId("s")
    made.tell(
        i.SideCallTold(
            at=made.at(10),
            node=NODE,
            call=name,
            centre=CentreId("demo"),
            kind=SideKind.CONTACT,
            phone=None,
            number="0970000010",
            other="0312345678",
            why=why,
        )
    )
    reach(made, 15, name)
    end(made, 45, name, ChannelId(name), own=30, far=20)
    assert (name in made.floor.unfiled) is recorded
    if recorded:
        expected = made.floor.expected[name]
        assert (expected.caller, expected.far, expected.sent) == (30 * SECOND, 20 * SECOND, 30 * SECOND)
        assert found(made, 28.9, name) == {Finding.SHORT}
    frame = TestFrame(1, 1, made.at(60), tuple(made.facts))
    side = fold([frame], Span(CentreId("demo"), "2026-11-23", made.at(0), made.at(100), "Asia/Tokyo")).sides[
        name
    ]
    assert side.to_be_recorded is recorded


@pytest.mark.parametrize(
    ("word", "warned", "recorded"),
    [("record = false", False, False), ("record = true", False, True), ("", True, False)],
)
def test_a_contact_number_that_is_passed_on_without_a_word_about_its_recording_is_warned_of(
    word: str, warned: bool, recorded: bool
) -> None:
    source = f'[[contacts]]\ndigits = "0970000010"\nname = "x"\nforward = "0970000011"\n{word}\n'
    sheet = Sheet(Path("mori.toml"), Lines(source))
    tables = Table(sheet, (), tomllib.loads(source)).tables("contacts")
    [contact] = read_contacts(tables, CentreId("mori"), (), Taken())
    assert contact.record is recorded and sheet.problems == []
    assert ["passed on and not recorded" in each.what_en for each in sheet.warnings] == [True] * warned


@pytest.mark.parametrize(
    ("instead", "by", "said"),
    [
        ('phones = ["p1"]', 'phones = ["p1"]\nrecord = true', "record goes with forward"),
        ("wait = true", "wait = true\nrecord = false", "record is for a key with forward only"),
    ],
)
def test_whether_it_is_recorded_is_said_where_a_call_is_passed_on_and_nowhere_else(
    tmp_path: Path, instead: str, by: str, said: str
) -> None:
    assert instead in EXAMPLE
    assert any(said in each for each in problems(tmp_path, EXAMPLE.replace(instead, by, 1)))


def test_a_key_says_that_it_is_not_recorded_and_the_dialplan_and_the_chart_say_so_too(tmp_path: Path) -> None:
    sheet = mori(
        tmp_path, EXAMPLE.replace('forward = "0970000012"', 'forward = "0970000012"\nrecord = false', 1)
    )
    keys = [key for each in sheet.menus for key in each.keys if key.choice is Choice.FORWARD]
    assert [key.record for key in keys] == [True, False]
    shown = drawn(Configuration("x", (sheet,)))
    assert "転送 / forward 0970000012 録音しない / not recorded" in shown
    assert 'forward 0120950178"' in shown
