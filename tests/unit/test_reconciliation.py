"""A day's books held against one another: each fault that is put into one of them is found, with its call's name."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from callcore.audit import (
    CAUSES,
    KINDS,
    Cause,
    Kind,
    Reconciliation,
    Source,
    headline,
    json_lines,
    keep,
    kept,
    line,
    look,
    newest,
    prune,
    read_cdr,
    text,
)
from callcore.audit.cdr import COLUMNS
from callcore.audit.keep import KEEP_DAYS
from callcore.cli import app
from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.journal import Codec, KeyStore, Spool, began, read_since
from callcore.pbx.render import CDR_FIELDS, CDR_FILE, CEL_FILE
from callcore.reconciliation import Nightly, reconcile
from callcore.settings import Settings
from callcore.sidecar import told_in_log
from tests.support.books import (
    CLOSED,
    DAY,
    FOLDER,
    HELD,
    LONG_AFTER,
    NET,
    RANG,
    SHORT,
    Books,
    frames,
    span_of,
)
from tests.support.floors import NUMBER, centre, configuration

DIAL = '"Dial"'


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


def test_a_day_whose_books_agree_has_no_difference_and_every_call_was_looked_at(books: Books) -> None:
    found = books.compare()
    assert found.differences == () and found.gaps == ()
    assert (found.calls, found.open, found.before, found.unsettled) == (5, 0, 0, False)
    assert headline([found]) == "照合済 5件・不一致 0件 / 5 calls reconciled, 0 differences"
    assert list(text(found)) == []


def damage(path: Path) -> None:
    path.write_bytes(b"RIFF\0\0\0\0nothing that is sound")


def unfiled(books: Books, call: str, seconds: float) -> None:
    """The recording of a call whose measurement was never filed."""
    books.drop("journal", call, "RecordingFiled")
    books.record(call, seconds)


def found(books: Books, finding: str) -> None:
    """What was found of a recording at its call's end."""
    books.put("journal", "RecordingFiled ", f"RecordingFiled findings={finding} ", HELD)


def cut(books: Books, call: str) -> None:
    path = books.recordings / f"{call}.wav"
    os.truncate(path, path.stat().st_size // 2)


def two_talks(books: Books) -> None:
    """The CDR has the talk in two pieces, as if the caller had been taken away and given back."""
    row = next(row for row in books.cdr.splitlines() if HELD in row and DIAL in row)
    first = row.replace('"3"', '"9"').replace("1795213051.061646", "1795213048.000000")
    books.cdr = books.cdr.replace(row, f"{first}\n{row}")


def longer_talk(books: Books) -> None:
    """Both ends within a second, and the length is not."""
    books.shift("journal", 0, -0.9, HELD, "CallAnswered")
    books.shift("journal", 0, 0.9, HELD, "TalkEnded")


def only_in_cdr(books: Books) -> None:
    books.drop("journal", SHORT)
    books.drop("cel", SHORT)


def unanswered(books: Books) -> None:
    books.drop("journal", HELD, "CallAnswered")
    books.drop("journal", HELD, "RecordingFiled")


FAULTS: list[tuple[str, Callable[[Books], object], set[tuple[str, str, str]]]] = [
    ("call not in the journal", lambda b: b.drop("journal", SHORT), {(SHORT, "missing_in_journal", "cel")}),
    (
        "call in the CDR alone",
        only_in_cdr,
        {(SHORT, "missing_in_journal", "cdr")},
    ),
    ("row taken out", lambda b: b.drop("cdr", SHORT), {(SHORT, "missing_in_cdr", "cdr")}),
    ("CEL taken out", lambda b: b.drop("cel", SHORT), {(SHORT, "missing_in_cel", "cel")}),
    (
        "end never written",
        lambda b: b.drop("journal", SHORT, "CallEnded"),
        {(SHORT, "open_in_journal", "cel")},
    ),
    ("arrival in the CDR", lambda b: b.shift("cdr", 9, -3, SHORT), {(SHORT, "arrival_time", "cdr")}),
    (
        "arrival in the CEL",
        lambda b: b.shift("cel", 2, 3, f'"{SHORT}"', "CHAN_START"),
        {(SHORT, "arrival_time", "cel")},
    ),
    ("end in the CDR", lambda b: b.shift("cdr", 11, 3, RANG), {(RANG, "end_time", "cdr")}),
    ("end in the CEL", lambda b: b.drop("cel", f'"{CLOSED}"', "CHAN_END"), {(CLOSED, "end_time", "cel")}),
    ("talk's row taken out", lambda b: b.drop("cdr", HELD, DIAL), {(HELD, "answered", "cdr")}),
    ("row says no answer", lambda b: b.put("cdr", "ANSWERED", "NO ANSWER", NET), {(NET, "answered", "cdr")}),
    ("bridge taken out", lambda b: b.drop("cel", HELD, "BRIDGE"), {(HELD, "answered", "cel")}),
    (
        "answer without a talk",
        unanswered,
        {(HELD, "answered", "cdr"), (HELD, "answered", "cel"), (HELD, "recording_unanswered", "recording")},
    ),
    (
        "answer at another time",
        lambda b: b.shift("cel", 2, -1.2, f'"{HELD}","{HELD}"', "BRIDGE_ENTER"),
        {(HELD, "answer_time", "cel")},
    ),
    ("talk in two pieces", two_talks, {(HELD, "talks", "cdr")}),
    ("talk ends earlier", lambda b: b.shift("cdr", 11, -3, HELD, DIAL), {(HELD, "talk_end_time", "cdr")}),
    (
        "talk is longer",
        longer_talk,
        {(HELD, "talk_length", "cel")},
    ),
    ("another phone", lambda b: b.put("cdr", "demo-p1-", "demo-p2-", HELD), {(HELD, "phone", "cdr")}),
    (
        "another phone in CEL",
        lambda b: b.put("cel", "PJSIP/demo-p1-", "PJSIP/demo-p2-", NET),
        {(NET, "phone", "cel")},
    ),
    (
        "given up, counted as failed",
        lambda b: b.put("journal", "abandoned_short hung_up_by=caller", "failed hung_up_by=system", SHORT),
        {(SHORT, "outcome", "cel")},
    ),
    (
        "closed, counted as given up",
        lambda b: b.put("journal", "outcome=closed hung", "outcome=abandoned hung", CLOSED),
        {(CLOSED, "outcome", "cel")},
    ),
    (
        "given up, counted as closed",
        lambda b: b.put("journal", "outcome=abandoned hung", "outcome=closed hung", RANG),
        {(RANG, "outcome", "cel")},
    ),
    (
        "recording gone",
        lambda b: (b.recordings / f"{HELD}.wav").unlink(),
        {(HELD, "recording_missing", "recording")},
    ),
    (
        "recording damaged",
        lambda b: damage(b.recordings / f"{HELD}.wav"),
        {(HELD, "recording_unreadable", "recording")},
    ),
    ("recording cut off", lambda b: cut(b, HELD), {(HELD, "recording_cut", "recording")}),
    (
        "recording edited",
        lambda b: b.record(HELD, 4.0),
        {(HELD, "recording_changed", "recording")},
    ),
    ("no sound", lambda b: unfiled(b, HELD, 0), {(HELD, "recording_empty", "recording")}),
    ("half the talk", lambda b: unfiled(b, HELD, 1.5), {(HELD, "recording_short", "recording")}),
    ("more than the talk", lambda b: unfiled(b, HELD, 6.5), {(HELD, "recording_long", "recording")}),
    ("short by more than a second", lambda b: found(b, "short"), {(HELD, "recording_short", "recording")}),
    ("longer by more than a second", lambda b: found(b, "long"), {(HELD, "recording_long", "recording")}),
    ("nobody heard", lambda b: found(b, "silent"), {(HELD, "recording_silent", "recording")}),
    ("caller not heard", lambda b: found(b, "silent_caller"), {(HELD, "recording_one_sided", "recording")}),
    ("agent not heard", lambda b: found(b, "silent_agent"), {(HELD, "recording_one_sided", "recording")}),
    (
        "clipped, and nothing sent for a time",
        lambda b: found(b, "clipped,no_media"),
        {(HELD, "recording_clipped", "recording"), (HELD, "recording_no_media", "recording")},
    ),
    (
        "talk with nobody",
        lambda b: b.record(RANG, 30),
        {(RANG, "recording_unanswered", "recording")},
    ),
    (
        "nobody's recording",
        lambda b: b.record("test1-1795213045.99", 30),
        {("test1-1795213045.99", "recording_orphan", "recording")},
    ),
]


@pytest.mark.parametrize(("made", "wanted"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_an_operator_is_told_of_each_fault_with_its_call_and_of_nothing_else(
    books: Books, made: Callable[[Books], object], wanted: set[tuple[str, str, str]]
) -> None:
    made(books)
    assert books.faults() == wanted
    assert books.explained() == set()
    told = "\n".join(text(books.compare()))
    for call, kind, _ in wanted:
        ja, en = KINDS[Kind(kind)]
        assert call in told and ja in told and en in told


def test_every_kind_of_difference_has_been_made_once_and_has_words() -> None:
    assert {kind for *_, wanted in FAULTS for _, kind, _ in wanted} == {kind.value for kind in Kind}
    assert set(KINDS) == set(Kind) and set(CAUSES) == set(Cause)


def test_who_was_refused_and_pressed_9_is_no_difference_and_who_did_not_is_one(books: Books) -> None:
    books.put("cel", "callcore-open", "callcore-blocked", f'"{SHORT}"')
    assert {(d.call, d.kind) for d in books.compare().differences} == {(SHORT, Kind.OUTCOME)}
    [row] = [row for row in books.cel.splitlines() if SHORT in row and "callcore-blocked" in row]
    books.cel = books.cel.replace(row, f"{row}\n{row.replace('callcore-blocked', 'callcore-insisted')}")
    assert books.compare().differences == ()


def test_half_a_second_between_the_books_is_no_difference_and_more_than_one_is(books: Books) -> None:
    books.shift("cdr", 11, 0.99, RANG)
    assert books.faults() == set()
    books.shift("cdr", 11, 0.02, RANG)
    assert books.faults() == {(RANG, "end_time", "cdr")}


def test_an_operator_reads_both_values_by_the_centres_clock(books: Books) -> None:
    books.shift("cdr", 11, 3, RANG)
    (told,) = text(books.compare())
    assert told == (
        f"{RANG}  終了時刻が違う: ジャーナル 2026-11-21T06:54:34.323+09:00・CDR 2026-11-21T06:54:37.322+09:00 / "
        "end differs: journal 2026-11-21T06:54:34.323+09:00, CDR 2026-11-21T06:54:37.322+09:00"
    )


def put_through(books: Books, *stopped: str) -> None:
    """The agent left the caller with a department 3 s before the end."""
    at = 1795213048061774
    books.drop("journal", HELD, "CallHeld")
    books.drop("journal", HELD, "CallResumed")
    books.drop("journal", HELD, "RecordingFiled")
    over = f"{at} {HELD} TalkEnded agent=1001\n{at} {HELD} CallTransferred agent=1001\n"
    books.put("journal", f"1795213051061774 {HELD} TalkEnded agent=1001\n", over + "".join(stopped))


@pytest.mark.parametrize("outcome", ["lost_on_hold", "completed"])
def test_of_who_was_put_through_to_a_ringing_phone_and_put_down_cel_tells_the_end(
    books: Books, outcome: str
) -> None:
    """As Asterisk writes it: the caller's last row ends when the agent leaves."""
    if outcome != "completed":
        books.put("journal", "CallEnded outcome=completed", f"CallEnded outcome={outcome}", HELD)
    books.shift("journal", 0, 3, HELD, "CallEnded")
    ends = {(HELD, "end_time", "cdr"), (HELD, "end_time", "cel")}
    assert books.faults() >= ends, "no book tells of the three seconds"
    books.shift("cel", 2, 3, HELD, "END", "trunk")
    assert not books.faults() & ends
    books.put("cel", '"LINKEDID_END"', _held_again(), HELD)
    assert books.faults() & ends == {(HELD, "end_time", "cdr")}, "on the waiting line a caller has rows again"


def test_a_row_that_goes_on_beyond_the_end_of_a_call_is_a_difference(books: Books) -> None:
    books.shift("journal", 0, -3, HELD, "CallEnded")
    books.shift("cel", 2, -3, HELD, "END", "trunk")
    assert (HELD, "end_time", "cdr") in books.faults()


def _held_again() -> str:
    """CEL's line of a caller who came back to the waiting line, before its last line."""
    line = next(
        line
        for line in (FOLDER / "cel.csv").read_text().splitlines()
        if HELD in line and "callcore-held" in line
    )
    return line.replace("1795213046.983597", "1795213052.000000") + '\n"LINKEDID_END"'


def test_a_phone_that_answered_and_put_down_before_the_caller_was_with_it_is_no_talk(books: Books) -> None:
    """As Asterisk writes it: the phone entered the bridge and left it after 0.6 ms, the caller never did."""
    row = next(row for row in books.cdr.splitlines() if HELD in row and DIAL in row)
    gone = row.replace("demo-p1", "demo-p2").replace("1795213051.061646", "1795213046.500000")
    books.cdr = books.cdr.replace(row, f"{gone}\n{row.replace('1795213040.310541', '1795213046.500000')}")
    assert books.faults() == set()
    books.cdr = books.cdr.replace("1795213046.500000", "1795213048.500000")
    assert books.faults() == {(HELD, "talks", "cdr")}, "then the caller was with somebody"


@pytest.mark.parametrize(
    ("stopped", "seconds", "wanted"),
    [
        (False, 4.06, set()),
        (False, 1.06, {Kind.RECORDING_SHORT}),
        (True, 1.06, set()),
        (True, 4.06, {Kind.RECORDING_LONG}),
    ],
)
def test_a_recording_holds_the_department_or_not_as_the_rule_says_and_the_other_is_a_difference(
    books: Books, stopped: bool, seconds: float, wanted: set[Kind]
) -> None:
    put_through(books, *([f"1795213048061774 {HELD} RecordingStopped\n"] if stopped else []))
    books.record(HELD, seconds)
    assert {d.kind for d in books.compare().differences if d.source is Source.RECORDING} == wanted


@pytest.mark.parametrize(
    ("gap", "seconds", "wanted"),
    [
        (False, 4.06, set()),
        (False, 1.06, {Kind.RECORDING_SHORT}),
        (True, 1.06, set()),
        (True, 4.06, {Kind.RECORDING_LONG}),
    ],
)
def test_a_pause_is_in_the_recording_or_not_as_the_rule_says_and_the_other_is_a_difference(
    books: Books, gap: bool, seconds: float, wanted: set[Kind]
) -> None:
    """Paused for 3 s, by the last of its agent's talk; that it went on is told a little later."""
    books.drop("journal", HELD, "RecordingFiled")
    over = f"1795213051061774 {HELD} TalkEnded agent=1001\n"
    paused = f"1795213048061774 {HELD} RecordingPaused agent=1001{' gap=yes' if gap else ''}\n"
    books.put("journal", over, f"{paused}{over}1795213051091774 {HELD} RecordingResumed\n")
    books.record(HELD, seconds)
    assert {d.kind for d in books.compare().differences if d.source is Source.RECORDING} == wanted


def test_a_recording_of_a_consult_that_was_none_is_a_difference(books: Books) -> None:
    side = "test1-1795213045.9"
    put_through(books)
    books.record(HELD, 4.06)
    books.put("journal", "CallTransferred agent=1001", f"CallTransferred agent=1001 side={side}")
    books.journal += f"1795213045000000 {side} SideCallBegan\n"
    books.record(side, 0.0)
    assert not [d for d in books.compare().differences if d.source is Source.RECORDING]
    books.record(side, 3.0)
    assert {(d.call, d.kind) for d in books.compare().differences if d.source is Source.RECORDING} == {
        (side, Kind.RECORDING_UNANSWERED)
    }


OUT = "test1-1795213045.9"
"""A call out of 4 s."""
SIZE = 44 + 2 * 8000 * 4


def called_out(books: Books, filed: str | None = f"size={SIZE} seconds=4.0 sent=4.0", more: str = "") -> None:
    """`filed`: what was measured; None: nothing yet. `more`: of its beginning."""
    books.journal += f"1795213045000000 {OUT} SideCallBegan kind=outgoing {more}\n"
    books.journal += f"1795213046000000 {OUT} SideCallConnected\n"
    books.journal += f"1795213050000000 {OUT} SideCallEnded outcome=connected\n"
    if filed is not None:
        books.journal += f"1795213053000000 {OUT} RecordingFiled {filed}\n"


def of_sounds(books: Books) -> set[tuple[str, Kind]]:
    assert books.compare().calls == 5, "a call that is no arrival is not counted"
    return {(d.call, d.kind) for d in books.compare().faults}


def test_the_recording_of_a_call_out_is_held_against_the_books(books: Books) -> None:
    called_out(books)
    assert of_sounds(books) == {(OUT, Kind.RECORDING_MISSING)}
    books.record(OUT, 4.0)
    assert of_sounds(books) == set()
    books.record(OUT, 3.0)
    assert of_sounds(books) == {(OUT, Kind.RECORDING_CHANGED)}
    books.record(OUT, 4.0)
    cut(books, OUT)
    assert of_sounds(books) == {(OUT, Kind.RECORDING_CUT)}
    damage(books.recordings / f"{OUT}.wav")
    assert of_sounds(books) == {(OUT, Kind.RECORDING_UNREADABLE)}


@pytest.mark.parametrize(
    ("findings", "kind"),
    [
        ("short", Kind.RECORDING_SHORT),
        ("long", Kind.RECORDING_LONG),
        ("silent", Kind.RECORDING_SILENT),
        ("silent_caller", Kind.RECORDING_ONE_SIDED),
        ("silent_agent", Kind.RECORDING_ONE_SIDED),
        ("clipped", Kind.RECORDING_CLIPPED),
        ("no_media", Kind.RECORDING_NO_MEDIA),
    ],
)
def test_what_was_found_at_the_end_of_a_call_out_is_a_line(books: Books, findings: str, kind: Kind) -> None:
    called_out(books, f"size={SIZE} seconds=4.0 sent=4.0 findings={findings}")
    books.record(OUT, 4.0)
    assert of_sounds(books) == {(OUT, kind)}
    assert OUT in "\n".join(text(books.compare())) and KINDS[kind][0] in "\n".join(text(books.compare()))


@pytest.mark.parametrize(
    ("finding", "kind"),
    [
        ("missing", Kind.RECORDING_MISSING),
        ("unreadable", Kind.RECORDING_UNREADABLE),
        ("empty", Kind.RECORDING_EMPTY),
        ("silent", Kind.RECORDING_SILENT),
        ("clipped", Kind.RECORDING_CLIPPED),
    ],
)
def test_what_was_found_of_a_message_is_a_line_of_its_call(books: Books, finding: str, kind: Kind) -> None:
    books.journal += f"1795213053000000 {CLOSED} MessageFiled size={SIZE} seconds=4.0\n"
    assert of_sounds(books) == set()
    books.put("journal", "MessageFiled ", f"MessageFiled findings={finding} ")
    (told,) = books.compare().faults
    assert (told.call, told.kind) == (CLOSED, kind)
    assert told.other == f"{CLOSED}.message.wav, 4.0 s, {finding}"


def test_a_call_out_that_nobody_measured_is_held_against_its_talk(books: Books) -> None:
    called_out(books, None)
    for seconds, kinds in (
        (1.5, {Kind.RECORDING_SHORT}),
        (6.5, {Kind.RECORDING_LONG}),
        (0, {Kind.RECORDING_EMPTY}),
    ):
        books.record(OUT, seconds)
        assert of_sounds(books) == {(OUT, kind) for kind in kinds}


def test_where_nobody_sent_anything_nothing_is_missing_of_a_recording(books: Books) -> None:
    """Of an arriving call as well: that it was so is a line of its own."""
    books.put("journal", "RecordingFiled", "RecordingFiled sent=0.0 problem=empty findings=no_media", HELD)
    called_out(books, "size=44 seconds=0 sent=0.0 problem=empty findings=no_media")
    for call in (OUT, HELD):
        books.record(call, 0)
    assert of_sounds(books) == {(call, Kind.RECORDING_NO_MEDIA) for call in (OUT, HELD)}
    (books.recordings / f"{OUT}.wav").unlink()
    assert of_sounds(books) == {(call, Kind.RECORDING_NO_MEDIA) for call in (OUT, HELD)}


def test_of_a_call_out_a_pause_is_silence_or_cut_out(books: Books) -> None:
    for gap, seconds in ((" gap=yes", 1.0), ("", 4.0)):
        made = Books(books.folder / f"{seconds}")
        called_out(made, None)
        made.journal += f"1795213046500000 {OUT} RecordingPaused agent=1001{gap}\n"
        made.journal += f"1795213049500000 {OUT} RecordingResumed\n"
        made.record(OUT, seconds)
        assert of_sounds(made) == set()
        made.record(OUT, 5.0 - seconds)
        assert of_sounds(made) == {(OUT, Kind.RECORDING_LONG if gap else Kind.RECORDING_SHORT)}


def test_what_was_not_to_be_recorded_or_is_not_over_is_no_difference(books: Books) -> None:
    called_out(books, None, f"beside={HELD}")  # the centre may want no consult recorded
    assert of_sounds(books) == set()
    alone = Books(books.folder / "open")
    alone.journal += f"1795213045000000 {OUT} SideCallBegan kind=outgoing\n"
    assert alone.compare().open == 1 and alone.compare().unsettled and of_sounds(alone) == set()
    alone.journal += f"1795213046000000 {OUT} SideCallEnded outcome=busy\n"
    assert alone.compare().open == 0 and of_sounds(alone) == set()
    alone.record(OUT, 5)
    assert of_sounds(alone) == {(OUT, Kind.RECORDING_UNANSWERED)}


def test_a_call_out_that_went_with_asterisk_is_named_and_explained(books: Books) -> None:
    called_out(books, None)
    books.put("journal", "outcome=connected", "outcome=connected hung_up_by=unknown reconstructed=yes", OUT)
    assert (OUT, "recording_missing", "asterisk_died") in books.explained()


# -- what is explained ---------------------------------------------------------------------------------------------


def test_a_call_that_went_with_a_killed_asterisk_is_named_and_explained(books: Books) -> None:
    books.drop("cdr", NET)
    for kind in ("BRIDGE_EXIT", "HANGUP", "CHAN_END", "LINKEDID_END"):
        books.drop("cel", NET, kind)
    cut(books, NET)
    books.put("journal", "completed hung_up_by=caller", "cut_off hung_up_by=unknown", NET)
    assert books.faults() == set()
    assert books.explained() == {
        (NET, "missing_in_cdr", "asterisk_died"),
        (NET, "talk_end_time", "asterisk_died"),
        (NET, "end_time", "asterisk_died"),
        (NET, "recording_cut", "asterisk_died"),
    }


def test_a_call_without_a_row_is_not_explained_while_cel_tells_its_end(books: Books) -> None:
    books.drop("cdr", NET)
    assert books.faults() == {(NET, "missing_in_cdr", "cdr")}


def test_calls_after_the_engine_stopped_are_explained_and_looked_at_again(books: Books) -> None:
    lines = books.journal.splitlines(keepends=True)
    stopped = next(n for n, each in enumerate(lines) if HELD in each and "CallAnswered" in each)
    books.journal = "".join(lines[: stopped + 1])
    found = books.compare()
    assert found.faults == () and found.unsettled
    assert books.explained() == {
        (HELD, "open_in_journal", "journal_ended"),
        (NET, "missing_in_journal", "journal_ended"),
    }


def test_an_answer_that_was_found_out_afterwards_is_explained_and_an_earlier_one_is_not(books: Books) -> None:
    books.shift("journal", 0, 1.5, NET, "CallAnswered")
    books.drop("journal", NET, "RecordingFiled")
    assert (NET, "answer_time", "unwatched") in books.explained()
    assert books.faults() == set()
    books.shift("journal", 0, -3.5, NET, "CallAnswered")
    assert (NET, "answer_time", "cel") in books.faults()


def test_a_clock_that_was_set_during_a_call_explains_what_is_off_by_as_much(books: Books) -> None:
    for kind in ("TalkEnded", "CallEnded"):
        books.shift("journal", 0, -60, HELD, kind)
    books.drop("journal", HELD, "RecordingFiled")
    assert (HELD, "end_time", "cdr") in books.faults()
    during = Instant(1_795_213_041 * SECOND)
    books.shift("journal", 0, 63, HELD, "CallEnded")
    books.shift("journal", 0, 63, HELD, "TalkEnded")
    assert books.explained(stepped=(during, 3 * SECOND)) == {
        (HELD, "end_time", "clock_stepped"),
        (HELD, "talk_end_time", "clock_stepped"),
        (HELD, "recording_short", "clock_stepped"),
    }
    assert books.faults(stepped=(during, 3 * SECOND)) == set()
    assert (HELD, "end_time", "cdr") in books.faults(stepped=(during, 30 * SECOND))


def test_times_of_a_call_whose_events_came_late_are_explained_where_the_journal_is_late(
    books: Books,
) -> None:
    books.shift("journal", 0, 1.5, HELD, "CallEnded")
    assert books.faults() == {(HELD, "end_time", "cdr"), (HELD, "end_time", "cel")}
    books.journal += f"1795213051063400 {HELD} CallMarkedImprecise\n"
    assert books.faults() == set()
    assert books.explained() == {(HELD, "end_time", "imprecise")}


# -- what is not compared ------------------------------------------------------------------------------------------


def test_calls_that_are_not_over_or_only_just_are_counted_apart(books: Books) -> None:
    just_over = Instant(1_795_213_060 * SECOND)
    found = books.compare(at=just_over)
    assert (found.calls, found.open, found.differences) == (3, 2, ())
    assert found.unsettled
    assert any("未了 2件" in told for told in text(found))


def test_a_talking_caller_is_open_and_no_difference(books: Books) -> None:
    for kind in ("TalkEnded", "CallEnded", "RecordingFiled"):
        books.drop("journal", NET, kind)
    books.drop("cdr", NET)
    for kind in ("BRIDGE_EXIT", "HANGUP", "CHAN_END", "LINKEDID_END"):
        books.drop("cel", NET, kind)
    found = books.compare()
    assert (found.calls, found.open, found.differences) == (4, 1, ())


def test_calls_from_before_the_journal_began_are_told_and_no_difference(books: Books) -> None:
    books.drop("journal", RANG)
    found = books.compare(began=Instant(1_795_213_000 * SECOND))
    assert (found.calls, found.before, found.differences) == (4, 1, ())
    assert any("ジャーナルの始まる前の 1件" in told for told in text(found))


def test_a_missing_or_late_book_is_a_gap_with_its_calls_and_never_all_fine(books: Books) -> None:
    whole = books.cdr, books.cel
    books.cdr = ""
    found = books.compare()
    (gap,) = found.gaps
    assert (gap.source, gap.begins, set(gap.calls)) == (Source.CDR, None, {RANG, CLOSED, SHORT, HELD, NET})
    assert (found.calls, found.differences) == (0, ())
    assert "there are no CDR records" in "".join(text(found))

    books.cdr = whole[0]
    books.drop("cdr", RANG)
    (gap,) = books.compare().gaps
    assert (gap.source, gap.calls) == (Source.CDR, (RANG,))
    assert gap.begins == "2026-11-21T07:17:11.433+09:00"

    books.cdr = whole[0]
    books.drop("cel", RANG)
    found = books.compare()
    (gap,) = found.gaps
    assert (gap.source, gap.calls, found.calls) == (Source.CEL, (RANG,), 4)
    assert RANG in "".join(text(found))


def test_a_centre_is_told_of_its_own_calls_only(books: Books) -> None:
    other = span_of("other")
    assert books.compare(span=other).calls == 0
    books.drop("journal", SHORT)
    assert books.compare(span=other).differences == ()
    # A number of no centre file: nobody knows whose it is, so everybody is told.
    nobodys = span_of("other", numbers={})
    assert [d.call for d in books.compare(span=nobodys).differences] == [SHORT]


def test_the_day_before_and_the_day_after_are_other_days(books: Books) -> None:
    span = span_of()
    day = 86_400 * SECOND
    for earlier in (-day, day):
        moved = type(span)(
            span.centre,
            "",
            Instant(span.first + earlier),
            Instant(span.before + earlier),
            span.zone,
            span.numbers,
        )
        assert books.compare(span=moved).calls == 0


# -- files ---------------------------------------------------------------------------------------------------------


def test_the_reader_of_the_cdr_knows_the_columns_that_are_rendered() -> None:
    assert len(CDR_FIELDS) == COLUMNS
    read = {
        0: "uniqueid",
        1: "linkedid",
        6: "channel",
        7: "dstchannel",
        9: "start",
        11: "end",
        14: "disposition",
    }
    assert {n: CDR_FIELDS[n] for n in read} == read


TWO_RANG = """\
"test1-1795213744.2","test1-1795213744.2","1","0300000001","1.1~demo-p1~6","callcore-offer","PJSIP/trunk-00000001","PJSIP/demo-p1-00000002","Dial","1795213744.859655","1795213744.863029","1795213751.339392","6","6","NO ANSWER"
"test1-1795213744.2","test1-1795213744.2","4","0300000001","1.1~demo-p1~6","callcore-offer","PJSIP/trunk-00000001","PJSIP/demo-p2-00000003","Dial","1795213751.326257","1795213751.326257","1795213754.415870","3","3","ANSWERED"
"test1-1795213744.2","test1-1795213744.2","5","0300000001","1.1~demo-p1~6","callcore-offer","PJSIP/trunk-00000001","","Hangup","1795213754.416120","1795213754.416120","1795213754.417209","0","0","ANSWERED"
"""  # noqa: E501
"""What Asterisk 22 wrote of a call for which two phones rang at once; the second was answered."""


def test_of_two_phones_that_ring_at_once_the_one_that_was_answered_counts(tmp_path: Path) -> None:
    (tmp_path / "cdr.csv").write_text(TWO_RANG + '"torn","ro')
    found = read_cdr([tmp_path / "cdr.csv"], span_of())
    ((call, rows),) = found.rows.items()
    assert call == "test1-1795213744.2" and len(rows) == 3
    assert [row.phone for row in rows if row.answered and row.phone] == ["demo-p2"]


def test_a_recording_that_asterisk_never_closed_has_sound_that_its_header_does_not_promise(
    books: Books,
) -> None:
    path = books.record("x", 2)
    header = bytearray(path.read_bytes())
    header[40:44] = bytes(4)
    path.write_bytes(header)
    found = look(path)
    assert (found.seconds, found.promised, found.whole, found.readable) == (2.0, 0.0, False, True)
    assert not look(books.recordings / "not there.wav").readable


def result(day: str, *, calls: int = 5, opened: int = 0) -> Reconciliation:
    return Reconciliation(CentreId("demo"), day, LONG_AFTER, calls, opened, 0, (), ())


def test_a_machine_reads_one_line_for_the_day_and_one_for_each_difference(books: Books) -> None:
    books.drop("cdr", SHORT)
    day, one = map(json.loads, json_lines(books.compare()))
    assert (day["centre"], day["day"], day["calls"], day["differences"]) == ("demo", "2026-11-21", 5, 1)
    assert datetime.fromisoformat(day["at"]).timestamp() * SECOND == LONG_AFTER
    assert (one["call"], one["kind"], one["journal"], one["other"]) == (
        SHORT,
        "missing_in_cdr",
        "abandoned_short",
        None,
    )


def test_results_are_kept_by_day_and_centre_and_the_oldest_go(tmp_path: Path) -> None:
    for n, day in enumerate(("2025-10-16", "2025-10-17", "2026-11-20")):
        keep(tmp_path, result(day, calls=n))
    assert kept(tmp_path, CentreId("demo"), "2026-11-20") == newest(tmp_path)[CentreId("demo")]
    assert newest(tmp_path)[CentreId("demo")].calls == 2
    assert kept(tmp_path, CentreId("demo"), "2026-11-19") is None
    assert prune(tmp_path, date(2026, 11, 21)) == 1
    assert (date(2026, 11, 21) - date(2025, 10, 17)).days == KEEP_DAYS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2025-10-17.demo.jsonl", "2026-11-20.demo.jsonl"]
    assert all(p.stat().st_mode & 0o077 == 0 for p in tmp_path.iterdir())
    (tmp_path / "2026-11-20.demo.jsonl").write_text("{torn")
    assert newest(tmp_path) == {}


# -- the whole, over a journal on the disk -------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, books: Books) -> Settings:
    """An installation that stands still, with the evening's books in it."""
    (tmp_path / "centres").mkdir()
    (tmp_path / "centres" / "demo.toml").write_text(DemoCentre().toml(), encoding="utf-8")
    settings = Settings(home=tmp_path, centres=tmp_path / "centres")
    with KeyStore.open(settings.journal, settings.keys, write=True) as keys:
        spool = Spool.open(
            settings.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync, segment_bytes=400
        )
        for frame in frames(books.journal):
            spool.append(spool.frame(frame.at, frame.facts))
        spool.close()
    log = settings.asterisk / "log"
    for name, content in ((CDR_FILE, books.cdr), (CEL_FILE, books.cel)):
        (log / name).parent.mkdir(parents=True)
        (log / name).write_text(content, encoding="utf-8")
    return settings


def test_an_installation_that_stands_still_is_reconciled_from_its_files(home: Settings) -> None:
    found = reconcile(home, configuration(), centre(), DAY, at=LONG_AFTER)
    assert (found.calls, found.differences, found.gaps) == (5, (), ())


def test_files_that_logrotate_moved_aside_are_read_too(home: Settings) -> None:
    for name in (CDR_FILE, CEL_FILE):
        path = home.asterisk / "log" / name
        lines = path.read_text().splitlines(keepends=True)
        half = next(n for n, each in enumerate(lines) if SHORT in each)
        with gzip.open(path.with_name(f"{path.name}.2.gz"), "wt") as file:
            file.writelines(lines[:half])
        path.with_name(f"{path.name}-20261121").write_text("".join(lines[half:]))
        path.with_name(f"{path.name}.orig").write_text("a copy that somebody made")
        path.unlink()
        os.utime(path.with_name(f"{path.name}.2.gz"), (1, 1))
    found = reconcile(home, configuration(), centre(), DAY, at=LONG_AFTER)
    assert (found.calls, found.differences, found.gaps) == (5, (), ())


def test_a_later_day_is_read_from_its_own_segment_on(home: Settings) -> None:
    with KeyStore.open(home.journal, home.keys) as keys:
        codec = Codec(f.KINDS, {}, keys)
        every = list(read_since(home.journal, codec, Instant(0)))
        assert len(every) == 26 and began(home.journal) == every[0].at
        since = every[20].at
        later = list(read_since(home.journal, codec, since))
    assert later[0].at <= since and later[-1] == every[-1]
    assert 6 <= len(later) < 20


def run(home: Settings, monkeypatch: pytest.MonkeyPatch, *more: str) -> tuple[int, str]:
    monkeypatch.setenv("CALLCORE_HOME", str(home.home))
    monkeypatch.setenv("CALLCORE_CENTRES", str(home.centres))
    done = CliRunner().invoke(app, ["reconcile", *more])
    return done.exit_code, done.output


def test_the_command_says_by_its_status_what_it_found(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ("--day", "2026-11-21")
    status, said = run(home, monkeypatch, *day)
    assert status == 0 and said.endswith("照合済 5件・不一致 0件 / 5 calls reconciled, 0 differences\n")
    (home.recordings / f"{HELD}.wav").unlink()
    status, said = run(home, monkeypatch, *day, "--centre", "demo")
    assert status == 1 and said.count(HELD) == 1 and "照合済 5件・不一致 1件" in said
    status, said = run(home, monkeypatch, *day, "--json")
    assert status == 1 and [json.loads(each).get("call") for each in said.splitlines()] == [None, HELD]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--day", "yesterday"), "2026-11-20"),
        (("--day", "2999-01-01"), "has not come yet"),
        (("--centre", "nowhere"), "one of: demo"),
    ],
)
def test_what_cannot_be_reconciled_says_why(
    home: Settings, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], words: str
) -> None:
    status, said = run(home, monkeypatch, *more)
    assert status == 2 and words in said


def test_books_that_are_not_there_are_an_error_and_not_all_fine(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ("--day", "2026-11-21")
    recordings = home.recordings.rename(home.home / "elsewhere")
    status, said = run(home, monkeypatch, *day)
    assert status == 2 and "recordings" in said
    recordings.rename(home.recordings)
    (home.asterisk / "log" / CDR_FILE).unlink()
    status, said = run(home, monkeypatch, *day)
    assert status == 2 and "CDR の記録がありません" in said
    home.journal.rename(home.home / "away")
    status, said = run(home, monkeypatch, *day)
    assert status == 2 and "journal" in said
    home.journal.mkdir()
    status, said = run(home, monkeypatch, *day)
    assert status == 2 and "is empty" in said


# -- the night -----------------------------------------------------------------------------------------------------


def tokyo(text: str) -> Instant:
    return Instant(round(datetime.fromisoformat(f"{text}+09:00").timestamp() * SECOND))


def test_each_night_at_half_past_two_the_day_before_is_reconciled_once(home: Settings) -> None:
    night = Nightly(home)
    assert night.due(centre(), tokyo("2026-11-22T02:29:59")) == (date(2026, 11, 20),)
    assert night.due(centre(), tokyo("2026-11-22T02:30:00")) == (DAY,)
    now = tokyo("2026-11-22T02:30:05")
    done = night.run(configuration(), centre(), DAY, now=now)
    assert (done.calls, done.faults) == (5, ())
    assert newest(night.folder)[CentreId("demo")].calls == 5
    for later in ("2026-11-22T02:30:06", "2026-11-22T23:59", "2026-11-23T02:29"):
        assert night.due(centre(), tokyo(later)) == ()
    assert night.due(centre(), tokyo("2026-11-23T02:30")) == (date(2026, 11, 22),)


def test_a_result_kept_by_hand_before_the_night_does_not_stand_for_it(home: Settings) -> None:
    night = Nightly(home)
    night.run(configuration(), centre(), DAY, now=tokyo("2026-11-22T01:00"))
    assert night.due(centre(), tokyo("2026-11-22T02:30")) == (DAY,)


def test_a_day_with_open_calls_is_done_once_more_the_night_after(home: Settings) -> None:
    night = Nightly(home)
    night.folder.mkdir()
    keep(night.folder, result("2026-11-21", calls=4, opened=1))
    assert night.due(centre(), tokyo("2026-11-23T02:30")) == (DAY, date(2026, 11, 22))


def test_a_night_with_differences_is_a_warning_in_both_languages_that_names_the_calls(books: Books) -> None:
    with capture_logs() as logged:
        told_in_log(centre(), books.compare())
    assert [(each["log_level"], each["calls"]) for each in logged] == [("info", 5)]
    books.drop("cdr", SHORT)
    with capture_logs() as logged:
        told_in_log(centre(), books.compare())
    (warned,) = logged
    assert (warned["log_level"], warned["centre"], warned["differences"]) == ("warning", "demo", 1)
    assert "不一致" in warned["event"] and "the books differ" in warned["event"]
    assert SHORT in warned["first"][0]


def test_a_wrong_time_of_the_night_is_refused() -> None:
    with pytest.raises(ValueError, match="hh:mm"):
        Settings(reconcile_at="2:30")


def test_a_line_about_one_difference_bears_its_explanation(books: Books) -> None:
    books.shift("journal", 0, 1.5, NET, "CallAnswered")
    (one,) = [d for d in books.compare().explained if d.kind is Kind.ANSWER_TIME]
    assert line(one).endswith(
        "(見ていない間の出来事。復元と記録済み / nobody watched; marked as reconstructed)"
    )
    assert NUMBER not in line(one)
