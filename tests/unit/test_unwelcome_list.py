"""The list of unwelcome callers as it is asked for, read from the centre file, rendered and told by Asterisk."""

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

from callcore import cli, console
from callcore.access.rights import Person, Reach, Right
from callcore.ami import cel
from callcore.ami.translate import translate
from callcore.ami.wire import Event, parse
from callcore.centres import CentreFileErrors, load, read
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.blocked import hashed
from callcore.domain.centre import Announcement, Configuration, Unwelcome
from callcore.domain.ids import CallId, CentreId, Instant, NodeId, after, seconds
from callcore.pbx.render import RenderError, render
from callcore.runtime.blockdesk import BlockDesk
from callcore.runtime.commands import Refused
from callcore.runtime.loop import Loop
from callcore.settings import load_secrets, read_settings
from tests.support.centre import small_centre
from tests.support.people import accounts_in, first_administrator
from tests.unit.test_hours_page import PROJECT
from tests.unit.test_render import settings, text
from tests.unit.test_timers_and_asking import BY, Pen, staffed

OITA = (PROJECT / "centres" / "oita.toml").read_text(encoding="utf-8")
WANTED = {"centre": "demo", "number": "090-1234-5678", "reason": " 暴言を \n 繰り返す "}


# -- asked of the engine -------------------------------------------------------------------------------------


@asynccontextmanager
async def deciding() -> AsyncIterator[tuple[BlockDesk, Loop, Pen, list[e.Effect]]]:
    floor, pen = staffed(), Pen()
    done: list[e.Effect] = []

    async def perform(effect: e.Effect) -> None:
        done.append(effect)

    loop = Loop(floor, pen, perform, lambda: after(floor.at, seconds(1)))
    task = asyncio.create_task(loop.run())
    try:
        yield BlockDesk(loop, lambda: after(floor.at, seconds(1))), loop, pen, done
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ask(desk: BlockDesk, command: str, person: Person = BY, **told: Any) -> Any:
    return await desk.commands[command].handler(told, person)


async def test_a_caller_is_listed_seen_masked_and_taken_off_and_each_is_written_with_who_asked() -> None:
    async with deciding() as (desk, loop, pen, _):
        until = loop.floor.at / 1e6 + 3600
        added = await ask(desk, "blocked_add", **WANTED, until=until)
        assert added["done"] and added["why"] is None
        (row,) = await ask(desk, "blocked_list", centre="demo")
        assert (row["entry"], row["number"], row["reason"], row["by"]) == (
            added["entry"],
            "********678",
            "暴言を 繰り返す",
            BY.id,
        )
        assert await ask(desk, "blocked_list", centre="elsewhere") == []
        blind = Person("token:x", "x", {Right.BLOCK_CALLERS: (Reach.ALL, ())})
        (row,) = await ask(desk, "blocked_list", blind, centre="demo")
        assert row["number"] is None
        again = await ask(desk, "blocked_add", **WANTED, until=until + 60)
        assert again["entry"] == added["entry"]
        for entry, centre, whether in (
            (added["entry"], "elsewhere", False),
            ("blocked-x", "demo", False),
            (added["entry"], "demo", True),
            (added["entry"], "demo", False),
        ):
            gone = await ask(desk, "blocked_remove", centre=centre, entry=entry)
            assert gone["done"] is whether
            assert (gone["why"] is None) is whether
        assert await ask(desk, "blocked_list", centre="demo") == []
        listed, relisted, unlisted = pen.written
        assert isinstance(listed, f.CallerListed) and isinstance(relisted, f.CallerListed)
        assert (listed.number.text, listed.by, listed.reason) == ("09012345678", BY.id, "暴言を 繰り返す")
        assert isinstance(unlisted, f.CallerUnlisted) and unlisted.by == BY.id


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"number": "anonymous"}, "3 to 20 digits"),
        ({"number": None}, "3 to 20 digits"),
        ({"reason": " "}, "1 to 100 characters"),
        ({"reason": "あ" * 101}, "1 to 100 characters"),
        ({"reason": "a\x07b"}, "1 to 100 characters"),
        ({"until": "tomorrow"}, "seconds since the epoch"),
        ({"until": True}, "seconds since the epoch"),
        ({"until": None}, "seconds since the epoch"),
        ({"until": -1}, "seconds since the epoch"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_what_to_say_instead(
    wrong: dict[str, Any], said: str
) -> None:
    async with deciding() as (desk, loop, pen, _):
        told = {**WANTED, "until": loop.floor.at / 1e6 + 60, **wrong}
        with pytest.raises(Refused, match=said):
            await ask(desk, "blocked_add", **told)
        assert pen.written == []


async def test_an_end_that_is_past_or_too_far_and_a_centre_that_is_none_are_not_done() -> None:
    async with deciding() as (desk, loop, pen, _):
        now = loop.floor.at / 1e6
        for more in (
            {"until": now - 1},
            {"until": now + 366 * 86_400},
            {"until": now + 60, "centre": "nowhere"},
        ):
            answer = await ask(desk, "blocked_add", **(WANTED | more))
            assert answer["done"] is False and answer["entry"] is None and " / " in answer["why"]
        assert pen.written == []


# -- the command line ----------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLCORE_CENTRES", str(PROJECT / "centres"))
    first_administrator(accounts_in(tmp_path))
    return tmp_path


def run(*words: str, status: int = 0) -> str:
    done: Ran = CliRunner().invoke(cli.app, list(words))
    assert done.exit_code == status, done.output
    return done.output


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, dict[str, Any]]]:
    asked: list[tuple[str, dict[str, Any]]] = []

    def engine(command: str, **fields: Any) -> Any:
        asked.append((command, fields))
        return answer

    monkeypatch.setattr(cli, "_engine", engine)
    return asked


ADD = ("blocked", "add", "oita", "09012345678", "--reason", "暴言", "--until")


def test_listing_and_taking_off_leave_lines_with_entry_reason_and_end_and_no_number(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, {"done": True, "why": None, "entry": "blocked-3f9c"})
    assert "blocked-3f9c" in run(*ADD, "2030-01-01T00:00")
    ((command, fields),) = asked
    assert command == "blocked_add"
    assert (fields["number"], fields["reason"], fields["until"]) == ("09012345678", "暴言", 1893423600)
    run("blocked", "remove", "oita", "blocked-3f9c")
    removed, added = run("audit", "list").splitlines()[:2]
    assert "blocked_remove" in removed and "blocked-3f9c" in removed
    assert "blocked_add" in added and "blocked-3f9c" in added and "暴言" in added
    assert "until then" in added
    assert "09012345678" not in removed + added


def test_what_the_engine_does_not_do_ends_with_its_reason_and_a_line_that_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, {"done": False, "why": "その登録はない / there is no such entry", "entry": None})
    assert "no such entry" in run("blocked", "remove", "oita", "blocked-x", status=1)
    assert "no such entry" in run(*ADD, "2h", status=1)
    assert run("audit", "list").count("失敗") + run("audit", "list").count("failed") >= 2


def test_without_an_engine_or_with_a_wrong_end_nothing_is_listed(home: Path) -> None:
    assert "the engine cannot be reached" in run(*ADD, "30d", status=1)
    assert "is no time" in run(*ADD, "soon", status=1)
    assert "there is no centre nowhere" in run(
        "blocked", "add", "nowhere", "09012345678", "--reason", "x", "--until", "2h", status=1
    )


def test_the_list_is_shown_with_its_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "entry": "blocked-3f9c",
        "number": "********678",
        "reason": "暴言",
        "since": 1,
        "until": 1893423600,
        "by": "user:sato",
    }
    answering(monkeypatch, [row, {**row, "entry": "blocked-2", "number": None}])
    first, second = run("blocked", "list", "oita").splitlines()
    assert all(word in first for word in ("blocked-3f9c", "********678", "暴言", "user:sato", "まで / until"))
    assert "–" in second
    answering(monkeypatch, [])
    assert "there is none" in run("blocked", "list", "oita")


# -- the centre file -----------------------------------------------------------------------------------------


def problems(folder: Path, table: str) -> str:
    (folder / "oita.toml").write_text(f"{OITA}\n{table}", encoding="utf-8")
    try:
        read(folder)
    except CentreFileErrors as errors:
        return "\n".join([*errors.texts("en"), *errors.texts("ja")])
    return ""


@pytest.mark.parametrize(
    ("table", "english"),
    [
        ('[unwelcome]\nblocked = "announce"\nwithheld = "announce"\n', ""),
        ("[unwelcome]\n", ""),
        ('[unwelcome]\nblocked = "refuse"\n', '"blocked" can\'t be "refuse"'),
        ('[unwelcome]\nwithheld = ""\n', '"withheld" is empty'),
        ("[unwelcome]\nblocked = true\n", '"blocked"'),
        ('[unwelcome]\nblocket = "announce"\n', '"blocket"'),
        ('[unwelcome]\nonly_from = "0312345678"\n', '"only_from"'),
        ('[unwelcome]\nonly_from = ["sogo"]\n', '"sogo" can\'t be read as a telephone number'),
        ('[[unwelcome]]\nblocked = "announce"\n', "unwelcome"),
    ],
)
def test_a_wrong_rule_about_callers_is_shown_with_its_line(tmp_path: Path, table: str, english: str) -> None:
    said = problems(tmp_path, table)
    assert english in said
    assert bool(said) is bool(english)


def test_a_centre_that_says_nothing_serves_everybody_and_needs_no_words() -> None:
    for centre in (each for each in read(PROJECT / "centres").centres if each.id != "portal"):
        assert centre.only_from == ()
        assert (centre.blocked, centre.withheld) == (Unwelcome.SERVE, Unwelcome.SERVE)
        assert not {"blocked", "withheld"} & {each.kind for each in centre.announcements}


def test_a_centre_that_announces_has_the_common_words_in_each_of_its_languages(tmp_path: Path) -> None:
    assert problems(tmp_path, '[unwelcome]\nblocked = "announce"\n') == ""
    (centre,) = read(tmp_path).centres
    told = {each.language: each.sound for each in centre.announcements if each.kind == "blocked"}
    assert told == {language: f"{language}/blocked" for language in centre.languages}
    assert "withheld" not in {each.kind for each in centre.announcements}


def test_a_line_for_few_needs_words_of_its_own_for_everybody_else(tmp_path: Path) -> None:
    (tmp_path / "oita.toml").write_text(
        OITA + '[unwelcome]\nonly_from = ["+81312345678"]\n', encoding="utf-8"
    )
    with pytest.raises(CentreFileErrors, match="the announcement outsider has no text"):
        load(tmp_path, PROJECT / "ivr_prompts")
    assert read(tmp_path).centres[0].only_from == ("0312345678",)


def test_filipino_has_the_english_words_until_it_is_recorded(tmp_path: Path) -> None:
    sogo = (PROJECT / "centres" / "sogo.toml").read_text(encoding="utf-8")
    rules = '[unwelcome]\nblocked = "announce"\nwithheld = "announce"\n'
    (tmp_path / "sogo.toml").write_text(f"{sogo}\n{rules}", encoding="utf-8")
    (centre,) = load(tmp_path, PROJECT / "ivr_prompts").centres
    for kind in ("blocked", "withheld"):
        told = {each.language: each.sound for each in centre.announcements if each.kind == kind}
        assert set(told) == set(centre.languages)
        assert told["tl"] == f"en/{kind}" and told["ne"] == f"ne/{kind}"


# -- rendered, and told by Asterisk ---------------------------------------------------------------------------


def announcing() -> Configuration:
    configuration = small_centre()
    oita, beppu = configuration.centres
    words = Announcement("blocked", "ja", "…", "ja/blocked")
    oita = replace(oita, only_from=("0312345678", "110"))
    oita = replace(oita, blocked=Unwelcome.ANNOUNCE, announcements=(*oita.announcements, words))
    return replace(configuration, centres=(oita, beppu))


def test_the_rules_the_salt_and_the_words_are_rendered() -> None:
    lines = text(render(announcing(), settings()), "extensions.conf").splitlines()
    for wanted in (
        "CALLCORE_BLOCKED_oita = announce",
        "CALLCORE_WITHHELD_oita = serve",
        "CALLCORE_ONLYFROM_oita = ,0312345678,110,",
        "CALLCORE_ONLYFROM_beppu = ",  # a global that is left out keeps its value over a reload
        "CALLCORE_BLOCKED_beppu = serve",
        "CALLCORE_SOUND_oita_blocked_ja = callcore/ja/blocked",
        f"CALLCORE_SALT = {'0' * 16}",
    ):
        assert wanted in lines, wanted


@pytest.mark.parametrize("salt", ["", "short", "a" * 15 + ")", "a" * 15 + "~"])
def test_a_salt_that_could_break_the_dialplan_is_not_rendered(salt: str) -> None:
    with pytest.raises(RenderError, match="salt"):
        render(small_centre(), replace(settings(), callers_salt=salt))


def test_an_installation_from_before_gets_a_salt_of_its_own_once(home: Path) -> None:
    made = load_secrets(read_settings(), ())
    path = next(p for p in home.rglob("*") if p.is_file() and made.ami.encode() in p.read_bytes())
    old = path.read_text().replace(f'"callers": "{made.callers}"', '"callers": ""')
    path.write_text(old)
    again = load_secrets(read_settings(), ())
    assert again.callers and again.callers != made.callers
    assert (again.ami, again.session) == (made.ami, made.session)
    assert load_secrets(read_settings(), ()).callers == again.callers
    assert again.callers not in repr(again)
    assert hashed(again.callers, CentreId("oita"), "09012345678") != hashed(
        made.callers, CentreId("oita"), "09012345678"
    )


def event(**fields: str) -> Event:
    told = {"Event": "UserEvent", "Timestamp": "1795402800.000000", **fields}
    made = parse("".join(f"{name}: {value}\r\n" for name, value in told.items()).encode())
    assert isinstance(made, Event)
    return made


def test_asterisk_tells_who_was_refused_and_who_pressed_9() -> None:
    node = NodeId("node1")
    decided = translate(
        event(UserEvent="CallcoreAdmitted", Call="c1", Decision="blocked", Source="listed"), node
    )
    assert isinstance(decided, i.AdmissionDecided)
    assert (decided.open, decided.blocked, decided.emergency, decided.source) == (
        False,
        True,
        False,
        "listed",
    )
    insisted = translate(event(UserEvent="CallcoreInsisted", Call="c1"), node)
    assert isinstance(insisted, i.CallerInsisted) and insisted.call == "c1"
    assert translate(event(UserEvent="CallcoreInsisted"), node) is None


def test_cel_tells_a_refusal_and_the_9_behind_it() -> None:
    def line(kind: str, at: int, user: str = "", extra: str = "") -> cel.Line:
        trunk, number = "PJSIP/trunk-1", "0975105151"
        return cel.Line(kind, user, Instant(at), "m", "m", trunk, "callcore-in", number, "", extra)

    def traced(*more: cel.Line) -> i.CallTraced:
        refused = line("USER_DEFINED", 2, "callcore-blocked", '{"extra":"listed"}')
        (trace,) = cel.traces([line("CHAN_START", 1), refused, *more, line("CHAN_END", 9)])
        return trace

    refused = traced()
    assert (refused.call, refused.open, refused.blocked, refused.insisted) == (CallId("m"), False, True, None)
    let_in = traced(line("USER_DEFINED", 4, "callcore-insisted"))
    assert let_in.insisted == 4
