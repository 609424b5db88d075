"""Whoever asks later what the board showed gets what it showed, to the last bit; and the commands that ask."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from callcore.cli import app
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import CentreId, Instant
from callcore.domain.measures import Books
from callcore.journal import read_mark
from callcore.reports import NothingThere, Stop, Tape, live_again, view_at
from callcore.reports.tape import facts_of
from callcore.runtime.ports import Seq, View
from tests.support.days import ORDINARY, TestFrame, a_day
from tests.support.tapes import a_month, a_simulated_day, journaled
from tests.support.web import served

DEMO = CentreId("demo")


@dataclass
class Board:
    """The port of a live source over frames, one after the other, as the sidecar shows them."""

    shown: View
    clock: Instant = Instant(0)

    def view(self) -> View:
        return self.shown

    def now(self) -> Instant:
        return self.clock

    def stale_s(self) -> float | None:
        return None

    async def changed(self, after: Seq) -> View:
        raise NotImplementedError

    def take(self, frame: TestFrame) -> None:
        floor, books = self.shown.floor, self.shown.books
        for fact in facts_of(frame):
            floor, books = evolve(floor, fact), books.after(fact)
        self.shown = View(Seq(frame.run, frame.n), floor, books)


def frames_of(day: str) -> list[TestFrame]:
    if day == "ordinary":
        return a_day(ORDINARY).frames
    return a_simulated_day(5, 12, [("lost", 20, 30), ("killed", 25, 20)]).core.frames


@pytest.mark.parametrize("day", ["ordinary", "with lost links and a killed engine"])
async def test_a_day_replayed_gives_bit_for_bit_what_the_api_showed_at_every_seq(
    day: str, tmp_path: Path
) -> None:
    frames = frames_of(day)
    journaled(frames, tmp_path)
    board = Board(View(Seq(0, 0), Floor(), Books()))
    shown: list[tuple[Seq, Instant, bytes]] = []
    async with served(board) as server, httpx.AsyncClient() as client:
        for n, frame in enumerate(frames):
            board.take(frame)
            board.clock = Instant(max(board.clock, frame.at) + 123_457 * (n % 7))
            answer = await client.get(server.url + "/api/v1/live", headers=server.machine)
            shown.append((board.shown.seq, board.clock, answer.content))
    assert len({body for _, _, body in shown}) == len(shown), "each was another picture"
    with Tape(tmp_path / "journal", tmp_path / "keys") as tape:
        for seq, at, body in shown[:: max(1, len(shown) // 25)] + shown[-1:]:
            view, _ = view_at(tape.frames(), Stop(seq=seq))
            assert live_again(view, at).model_dump_json().encode() == body
            told = json.loads(body)
            milliseconds = Instant(at - at % 1000)
            assert live_again(view, milliseconds).model_dump_json().encode() == body, (
                "what was shown says all"
            )
            assert told["seq"] == str(seq)


def test_the_floor_at_an_instant_is_that_of_the_last_frame_that_was_not_later(tmp_path: Path) -> None:
    frames = frames_of("ordinary")
    middle = frames[len(frames) // 2]
    view, at = view_at(frames, Stop(until=lambda _: middle.at))
    last = max(k for k, frame in enumerate(frames) if frame.at <= middle.at)
    assert (view.seq, at) == (Seq(1, last + 1), middle.at)


def test_of_a_time_before_the_journal_and_of_an_unknown_centre_nothing_is_told() -> None:
    frames = frames_of("ordinary")
    with pytest.raises(NothingThere, match="the journal holds nothing"):
        view_at([], Stop())
    with pytest.raises(NothingThere, match=r"there is no seq 9\.9"):
        view_at(frames, Stop(seq=Seq(9, 9)))
    view, at = view_at(frames, Stop())
    with pytest.raises(NothingThere, match="there is no centre nagoya; one of: demo"):
        live_again(view, at, CentreId("nagoya"))


# -- the commands --------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    return tmp_path


def asked(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, done.output
    return done.output


def test_a_supervisor_sees_who_waited_and_what_agents_did_at_an_instant(home: Path) -> None:
    desk = a_day([("come", 0), ("pick_up", 0), ("come", 1)], agents=1)
    journaled(desk.frames, home)
    shown = asked("replay", "--day", "2026-11-23", "--until", "12:30:00")
    for words in (
        "試験センター",
        "待ち waiting",
        "通話中 talking",
        "*******678",
        "オペレーター01",
        "2026-11-23 12:30:00",
    ):
        assert words in shown, shown
    live = json.loads(asked("replay", "--day", "2026-11-23", "--until", "12:30:00.5", "--json"))
    assert live["at"] == "2026-11-23T03:30:00.500Z"
    assert [a["state"] for a in live["centres"][0]["agents"]] == ["talking"]
    since = datetime.fromisoformat(live["centres"][0]["waiting"][0]["since"])
    assert (datetime.fromisoformat(live["at"]) - since).total_seconds() > 1700
    earlier = json.loads(asked("replay", "--seq", "1.3", "--centre", "demo", "--json"))
    assert (earlier["seq"], earlier["centres"][0]["figures"]["arrived"]) == ("1.3", 0)


def test_the_days_figures_are_printed_and_are_the_same_in_the_csv(home: Path) -> None:
    day = a_day(ORDINARY)
    journaled(day.frames, home)
    shown = asked("report", "day", "--centre", "demo", "--date", "2026-11-23", "--half-hours")
    assert "12:00–12:30" in shown and "応答率" in shown and "未確定" in shown
    text = asked("report", "day", "--centre", "demo", "--csv", "--half-hours")
    assert text.startswith("\ufeff"), "Excel in Japan takes it for UTF-8"
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row["行 kind"] for row in rows].count("day") == 1
    total = rows[-1]
    figures = day.figures(day.floor.at)
    assert int(total["着信件数 arrivals"]) == figures.arrivals
    assert int(total["応答件数 answered"]) == figures.answered
    assert (int(total["応答率 分子 answer_ratio_part"]), int(total["応答率 分母 answer_ratio_whole"])) == (
        figures.answer_ratio.part,
        figures.answer_ratio.whole,
    )
    halves = [row for row in rows if row["行 kind"] == "half_hour"]
    assert sum(int(row["着信件数 arrivals"]) for row in halves) == figures.arrivals
    span = ("--from", "2026-11-23", "--to", "2026-11-23")
    assert asked("report", "range", "--centre", "demo", *span, "--csv", "--half-hours") == text
    assert "部署 department" in asked("report", "range", "--centre", "demo", *span, "--csv", "--departments")


def test_a_month_of_3500_calls_is_told_day_by_day_within_seconds(home: Path) -> None:
    journaled(a_month(3_500), home)
    text = asked("report", "month", "--centre", "demo", "--month", "2026-11", "--csv")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(rows) == 31
    assert (
        sum(int(row["着信件数 arrivals"]) for row in rows[:-1]) == int(rows[-1]["着信件数 arrivals"]) == 3480
    )
    assert rows[-1]["配置人数 staffed"] == "6"
    assert rows[-1]["受付(秒) signed_in_s"] == str(30 * 6 * 10 * 3600 + 30 * 6 * 2100)
    shown = asked("report", "month", "--centre", "demo")
    assert "11-30 (月)" in shown and "計 total" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("replay",), "give --day or --seq"),
        (("replay", "--until", "12:00", "--seq", "1.2"), "--until needs --day"),
        (("replay", "--day", "23.11."), "write a date like"),
        (("replay", "--day", "2026-11-23", "--until", "25:00"), "write a time like"),
        (("replay", "--seq", "12"), "a seq as the API shows it"),
        (("replay", "--day", "2026-11-22"), "the journal holds nothing so old"),
        (("report", "day", "--centre", "nagoya"), "there is no centre nagoya; one of: demo"),
        (("report", "day", "--centre", "demo", "--month", "2026-11"), "with day use --date"),
        (("report", "month", "--centre", "demo", "--date", "2026-11-01"), "with month --month"),
        (("report", "month", "--centre", "demo", "--month", "2026-13"), "write a month like"),
        (("report", "range", "--centre", "demo"), "range needs --from and --to"),
        (("report", "range", "--centre", "demo", "--from", "2026-11-23"), "with range --from and --to"),
        (
            ("report", "range", "--centre", "demo", "--from", "2026-11-23", "--to", "2026-11-22"),
            "no earlier than --from",
        ),
        (("report", "day", "--centre", "demo", "--departments"), "--departments goes with --csv"),
        (("report", "day", "--centre", "demo", "--date", "2026-11-22"), "the journal begins at"),
        (("report", "day", "--centre", "demo", "--date", "2026-11-24"), "the journal ends at"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_to_write_instead(
    words: tuple[str, ...], says: str, home: Path
) -> None:
    journaled(a_day(ORDINARY).frames, home)
    assert says in asked(*words, status=1)


def test_a_report_takes_nothing_from_a_running_engine(home: Path) -> None:
    """It reads up to the mark, takes no lock and writes no file."""
    journaled(a_day(ORDINARY).frames, home)
    before = sorted((p.relative_to(home), p.stat().st_mtime_ns) for p in home.rglob("*") if p.is_file())
    asked("report", "day", "--centre", "demo")
    asked("replay", "--seq", "1.5")
    after = sorted((p.relative_to(home), p.stat().st_mtime_ns) for p in home.rglob("*") if p.is_file())
    assert before == after
    assert read_mark(home / "journal") is not None
