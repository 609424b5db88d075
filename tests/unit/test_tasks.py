"""Tasks of their own: about a call that is long over, or about none; what the core makes of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ran
from typer.testing import CliRunner

from callcore import archived, cli, console
from callcore.access.rights import Person, Reach, Right
from callcore.access.trail import Wanted
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Messages, Outgoing
from callcore.domain.evolve import evolve
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, after, seconds
from callcore.domain.message import MessageState
from callcore.domain.transitions import IllegalTransition
from callcore.runtime.commands import Refused
from callcore.runtime.loop import Loop
from callcore.runtime.messagedesk import MessageDesk, dialled, line, row, visible
from callcore.settings import Settings
from tests.support.floors import NUMBER, Desk, centre, configuration
from tests.support.people import accounts_in, first_administrator, trail_in
from tests.unit import test_messages as messages
from tests.unit.test_core_transfer import CITY
from tests.unit.test_hours_page import PROJECT
from tests.unit.test_timers_and_asking import BY, Pen

T = CallId("task-1")
OLD = CallId("node1-1700000000.1")


def desk() -> Desk:
    rules = {
        "messages": Messages(due_s=3600),
        "departments": (CITY,),
        "outgoing": Outgoing(NUMBER, prefix="0"),
    }
    return Desk().begin(configuration(replace(centre(2), **rules)))  # type: ignore[arg-type]


def opened(made: Desk, s: float, name: str = T, **more: object) -> None:
    wish = i.TaskOpenAsked(
        at=made.at(s),
        task=CallId(name),
        about=None,
        centre=CentreId("demo"),
        number="0975-34-6111".replace("-", ""),
        subject="再発行の日程",
        note="午前中に",
        department="11",
        agent=None,
        due_at=None,
        by="user:sup",
    )
    made.tell(replace(wish, **more))  # type: ignore[arg-type]


def closed(made: Desk, s: float, name: str = T) -> None:
    messages.closed(made, s, name, result="済")


def test_a_task_about_no_call_has_subject_note_number_and_deadline_and_no_figure_counts_it() -> None:
    made = desk()
    before = made.figures(made.at(20))
    opened(made, 10)
    task = made.floor.messages[T]
    assert (task.state, task.about, task.own, task.department) == (MessageState.OPEN, None, True, CITY.id)
    written = [task.caller, task.subject, task.note]
    assert [each.text for each in written if each] == ["0975346111", "再発行の日程", "午前中に"]
    assert {(each.call, each.at) for each in written if each} == {(T, made.at(10))}, "a key of its own"
    assert task.due_at == made.at(10) + 3600 * SECOND
    assert dialled(made.floor, task) == "00975346111"
    assert made.figures(made.at(20)) == before
    assert not made.books.records


def test_it_is_taken_given_back_to_another_done_and_taken_up_again() -> None:
    made = desk()
    opened(made, 10, agent=AgentId("1001"), due_at=made.at(99))
    assert (made.floor.messages[T].agent, made.floor.messages[T].due_at) == ("1001", made.at(99))
    messages.taken(made, 20, T, "1002")
    messages.closed(made, 30, T, done=False, result="つながらない")
    assert made.floor.messages[T].state is MessageState.UNDONE
    messages.taken(made, 40, T, "1001")
    closed(made, 50)
    task = made.floor.messages[T]
    assert (task.state, task.agent) == (MessageState.DONE, "1001")
    assert task.result is not None and (task.result.call, task.result.at) == (T, made.at(10))


def test_one_that_was_dealt_with_leaves_the_list_after_its_days_and_its_key_is_destroyed() -> None:
    made = desk()
    opened(made, 10)
    messages.left(made, 20, "m")
    closed(made, 60)
    messages.closed(made, 60, "m")
    opened(made, 61 + 30 * messages.DAY, "task-2")
    assert sorted(made.floor.messages) == ["task-2"]
    assert [x for x in made.effects if isinstance(x, e.DestroyKey)] == [e.DestroyKey(T)]


def test_a_call_of_the_archive_has_one_task_and_one_of_the_last_day_is_kept_by_its_own_name() -> None:
    made = desk()
    opened(made, 10, about=OLD)
    assert made.floor.messages[T].about == OLD
    opened(made, 11, "task-2", about=OLD)
    messages.comes(made, 20)
    opened(made, 21, "task-3", about=CallId("m"))  # it goes on
    messages.gone(made, 30)
    opened(made, 31)  # the name is taken
    assert sorted(made.floor.messages) == [T]
    kept = i.TaskAsked(
        at=made.at(40),
        call=CallId("m"),
        subject="件",
        note="メモ",
        department=None,
        agent=None,
        due_at=None,
        by="x",
    )
    made.tell(kept)
    task = made.floor.messages[CallId("m")]
    assert (task.own, task.about, task.note and task.note.text) == (False, "m", "メモ")
    opened(made, 50, "task-4", about=CallId("m"))
    assert sorted(made.floor.messages) == ["m", T]


def test_after_a_day_a_call_is_no_call_of_the_last_day_however_few_have_come_since() -> None:
    made = desk()
    messages.comes(made, 0)
    messages.gone(made, 10)
    late = messages.DAY + 1.0
    made.tell(
        i.TaskAsked(
            at=made.at(late), call=CallId("m"), subject="件", department=None, agent=None, due_at=None, by="x"
        )
    )
    assert CallId("m") in made.floor.recent and not made.floor.messages
    opened(made, late, about=CallId("m"))
    assert made.floor.messages[T].about == "m"
    assert not made.books.records[CallId("m")].task


@pytest.mark.parametrize(
    "wrong",
    [
        {"centre": CentreId("nowhere")},
        {"subject": " "},
        {"subject": "あ" * 101},
        {"note": "あ" * 501},
        {"number": "x"},
        {"number": "1"},
        {"department": "99"},
        {"agent": AgentId("9999")},
    ],
)
def test_what_cannot_be_kept_is_said_and_changes_nothing(wrong: dict[str, object]) -> None:
    made = desk()
    before = len(made.facts)
    opened(made, 10, **wrong)
    assert len(made.facts) == before
    assert made.last is not None and " / " in (made.last.disregarded or "")


def test_a_name_is_used_once_and_a_key_that_is_gone_takes_nothing_else_with_it() -> None:
    made = desk()
    opened(made, 10)
    (fact,) = made.told(f.TaskOpened)
    with pytest.raises(IllegalTransition):
        evolve(made.floor, fact)
    gone = {name: replace_text(getattr(fact, name)) for name in ("number", "subject", "note")}
    floor = evolve(desk().floor, replace(fact, **gone))  # type: ignore[arg-type]
    task = floor.messages[T]
    assert (task.open, task.caller.masked(), dialled(floor, task)) == (True, None, None)


def replace_text(value: Any) -> Any:
    return type(value)(value.call, value.centre, value.at, None)


def test_lists_show_it_masked_to_who_may_and_an_operator_sees_the_open_and_the_own() -> None:
    made = desk()
    opened(made, 10, about=OLD)
    task, now = made.floor.messages[T], made.at(20)
    shown = row(made.floor, task, now, messages.person())
    assert (shown["number"], shown["about"], shown["note"], shown["task"]) == (
        *("*******111", OLD),
        *("午前中に", True),
    )
    assert all(word in line(shown) for word in (T, OLD, "*******111", "再発行の日程", "午前中に"))
    blind = row(made.floor, task, now, messages.person(personal=False))
    assert (blind["number"], blind["subject"], blind["note"]) == (None, None, None)
    assert [m.call for m in visible(made.floor, messages.person(agent="1001"))] == [T]
    messages.taken(made, 30, T, "1002")
    assert visible(made.floor, messages.person(agent="1001")) == []


# -- asked of the engine ----------------------------------------------------------------------------------------


@asynccontextmanager
async def deciding() -> AsyncIterator[tuple[MessageDesk, Loop, Pen]]:
    made = desk()
    messages.comes(made, 1)
    messages.gone(made, 5)
    floor, pen = made.floor, Pen()

    async def perform(effect: e.Effect) -> None:
        return None

    loop = Loop(floor, pen, perform, lambda: after(floor.at, seconds(1)))
    task = asyncio.create_task(loop.run())
    try:
        yield MessageDesk(loop, lambda: after(floor.at, seconds(1))), loop, pen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ask(of: MessageDesk, person: Person = BY, **told: Any) -> Any:
    return await of.commands["task_keep"].handler({"subject": "再発行", **told}, person)


async def test_the_engine_names_the_task_and_keeps_one_of_the_last_day_by_its_call() -> None:
    async with deciding() as (of, loop, _):
        told = await ask(of, centre="demo", number="097-534-6111", note="一行目\n二行目")
        assert told["done"] and told["task"].startswith("task-")
        task = loop.floor.messages[CallId(told["task"])]
        assert (task.caller.text, task.note and task.note.text) == ("0975346111", "一行目\n二行目")
        old = await ask(of, call=OLD, centre="demo", number=None)
        assert loop.floor.messages[CallId(old["task"])].about == OLD
        recent = await ask(of, call="m", centre="demo", number="0312345678")
        assert recent == {"done": True, "why": None, "task": "m"}
        assert (await ask(of, call="unknown"))["done"] is False


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"subject": "一\n二"}, "件名"),
        ({"subject": ""}, "件名"),
        ({"note": "あ" * 501}, "メモ"),
        ({"note": "a\x07"}, "note"),
    ],
)
async def test_what_nobody_can_write_is_refused(wrong: dict[str, str], said: str) -> None:
    async with deciding() as (of, _, pen):
        with pytest.raises(Refused, match=said):
            await ask(of, centre="demo", **wrong)
        assert pen.written == []


async def test_the_right_is_over_the_centre_that_is_named_and_over_the_call_s_own_where_it_is_known() -> None:
    async with deciding() as (of, *_):
        about = of.commands["task_keep"].about
        assert about({"centre": "demo"}) == ("demo", None)
        assert about({"call": OLD, "centre": "demo", "agent": "1001"}) == ("demo", "1001")
        assert about({"call": "m", "centre": "elsewhere"}) == ("demo", None)
        assert about({"call": "unknown"}) == ("", None)
        far = Person("user:far", "", {Right.ACT_AGENTS: Reach.CENTRES}, frozenset({"elsewhere"}))
        assert not far.may(Right.ACT_AGENTS, *about({"centre": "demo"}))


# -- the command line -------------------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the engine is asked; the archive knows one call."""
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLCORE_CENTRES", str(PROJECT / "centres"))
    first_administrator(accounts_in(tmp_path))
    seen: list[tuple[str, dict[str, Any]]] = []

    def engine(command: str, **fields: Any) -> Any:
        seen.append((command, fields))
        known = fields["centre"] is not None
        return {"done": known, "why": None if known else "応対した入電ではない", "task": "task-1"}

    async def of_call(_: Settings, call: str) -> tuple[CentreId, str | None] | None:
        if call == "away":
            raise OSError("the database is away")
        return (CentreId("oita"), "0975346111") if call == OLD else None

    monkeypatch.setattr(cli, "_engine", engine)
    monkeypatch.setattr(archived, "of_call", of_call)
    return seen


def run(*words: str, status: int = 0) -> str:
    done: Ran = CliRunner().invoke(cli.app, ["messages", "add", "--subject", "再発行の日程", *words])
    assert done.exit_code == status, done.output
    return done.output


def test_a_task_is_kept_from_the_shell_about_an_old_call_and_about_none(
    asked: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    assert "task-1: 残しました / kept" in run(OLD)
    run("--centre", "oita", "--number", "0312345678", "--note", "午前中に", "--agent", "1001")
    assert [(fields["call"], fields["centre"], fields["number"]) for _, fields in asked] == [
        (OLD, "oita", "0975346111"),
        (None, "oita", "0312345678"),
    ]
    told = trail_in(tmp_path).newest(Wanted(action="task_keep"), 10)
    assert [(each.on, each.centre) for each in told] == [("task-1", "oita"), (OLD, "oita")]
    assert all(word not in str(told) for word in ("再発行", "午前中", "0312345678", "0975346111"))


def test_what_is_not_kept_from_the_shell_says_why_and_what_to_give(
    asked: list[tuple[str, dict[str, Any]]],
) -> None:
    for words in ((), (OLD, "--centre", "oita"), (OLD, "--number", "0312345678")):
        assert "--centre" in run(*words, status=1)
    assert asked == []
    assert "応対した入電ではない" in run("unknown", status=1)
    assert "older calls cannot be looked up: the database is away" in run("away", status=1)
