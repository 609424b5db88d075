"""The commands about users, tokens and the audit trail, as whoever runs the machine uses them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import Result as Ran
from typer.testing import CliRunner

from callcore.cli import app
from callcore.demo.centre import DemoCentre
from callcore.runtime.commands import this_account
from callcore.settings import read_settings
from tests.support.people import PASSWORD, accounts_in, cheap_hashes, first_administrator


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap_hashes(monkeypatch)
    (tmp_path / "centres").mkdir()
    (tmp_path / "centres" / "demo.toml").write_text(DemoCentre(agents=2).toml(), encoding="utf-8")
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLCORE_CENTRES", str(tmp_path / "centres"))
    first_administrator(accounts_in(tmp_path))
    return tmp_path


def run(*words: str, status: int = 0, typed: str | None = None) -> str:
    done: Ran = CliRunner().invoke(app, list(words), input=typed, env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    return done.output


def test_a_user_is_added_by_a_link_listed_switched_off_and_on_and_reset(home: Path) -> None:
    said = run("users", "add", "sato", "--role", "supervisor", "--centre", "demo", "--name", "佐藤")
    link = re.search(r"http://127\.0\.0\.1:8730/welcome/(\S+)", said)
    assert link
    accounts = accounts_in(home)
    assert accounts.use_link(link[1], PASSWORD).name == "佐藤"
    listed = run("users", "list")
    assert all(word in listed for word in ("chief", "sato", "佐藤", "supervisor", "有効 / active"))
    run("users", "disable", "sato", "--why", "退職")
    assert "停止中" in run("users", "list")
    run("users", "enable", "sato")
    assert "welcome/" in run("users", "reset", "sato", "--why", "電話機をなくした")
    assert "パスワード未設定" in run("users", "list")
    run("users", "unlock", "sato")
    told = run("audit", "list", "--text", "sato")
    assert [line.split()[3] for line in told.splitlines()] == [
        "user_unlocked",
        "user_reset",
        "user_enabled",
        "user_disabled",
        "user_added",
    ]
    assert all(this_account() in line and " cli " in line for line in told.splitlines())
    assert "退職" in told
    assert "すべて一致" in run("audit", "verify")


def test_what_cannot_be_done_says_why_and_is_written_down_as_failed(home: Path) -> None:
    assert "最後の管理者" in run("users", "disable", "chief", "--why", "x", status=1)
    assert "nobody はいません" in run("users", "reset", "nobody", "--why", "x", status=1)
    assert "センター nara はありません" in run(
        "users", "add", "mori", "--role", "viewer", "--centre", "nara", status=1
    )
    assert "オペレーター番号" in run(
        "users", "add", "ope", "--role", "operator", "--centre", "demo", status=1
    )
    told = run("audit", "list", "--result", "failed")
    assert [line.split()[3] for line in told.splitlines()] == ["user_added", "user_reset", "user_disabled"]


def test_a_token_is_shown_once_and_revoked(home: Path) -> None:
    shown = run("tokens", "add", "prometheus", "--scope", "read_metrics", "--days", "30").strip()
    assert accounts_in(home).bearer(shown) is not None
    listed = run("tokens", "list")
    assert "prometheus" in listed
    assert shown.partition(".")[2] not in listed
    run("tokens", "revoke", "prometheus")
    assert accounts_in(home).bearer(shown) is None
    assert "ありません" in run("tokens", "revoke", "prometheus", status=1)


def test_a_trail_that_somebody_has_changed_is_told_with_the_line(home: Path) -> None:
    run("users", "add", "sato", "--role", "viewer", "--centre", "demo")
    [month] = (home / "trail").glob("*.jsonl")
    month.write_bytes(month.read_bytes().replace(b"sato", b"mori"))
    said = run("audit", "verify", status=1)
    assert f"{month.name}:1" in said
    assert "changed" in said


def test_a_pin_that_is_set_and_a_password_that_is_shown_leave_their_lines(home: Path) -> None:
    run("pin", "1001", "--stdin", typed="483920\n")
    run("phone", "demo-p1")
    told = run("audit", "list")
    assert [line.split()[3:6] for line in told.splitlines()] == [
        ["phone_password_shown", "demo-p1", "demo"],
        ["pin_set", "1001", "demo"],
    ]
    assert "483920" not in (next((home / "trail").glob("*.jsonl"))).read_text()


def test_where_the_trail_cannot_be_written_nothing_is_changed(home: Path) -> None:
    (home / "trail").write_text("a file where the folder belongs")
    run("users", "add", "sato", "--role", "viewer", "--centre", "demo", status=1)
    assert accounts_in(home).user("sato") is None
    assert read_settings().home == home
