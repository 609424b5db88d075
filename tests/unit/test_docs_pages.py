"""Whoever works by the documents: pictures, settings, commands and links are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from scripts.lib import diagrams

from callcore.audit import KINDS
from callcore.cli import app
from callcore.settings import PROJECT, Settings

PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "ivr_prompts/*.md")
    for page in PROJECT.glob(pattern)
    if "evidence" not in page.parts
)
OPERATIONS = ("operations.en.md", "operations.ja.md")
NOTHING = "–"
TLS = {"web_tls_certificate": "/certificate.pem", "web_tls_key": "/key.pem"}
WITH = {"WEB_HOST": TLS, "WEB_TLS_CERTIFICATE": TLS, "WEB_TLS_KEY": TLS}
"""What an option is never used without."""


def text(name: str) -> str:
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")


def test_a_reader_of_the_architecture_sees_the_tables_that_the_code_has() -> None:
    page = diagrams.PAGE.read_text(encoding="utf-8")
    assert page == diagrams.with_tables(page), "run scripts/diagrams"
    for name, table in diagrams.tables().items():
        assert table in page, name


def test_a_reader_of_the_picture_sees_the_call_as_the_code_plays_it() -> None:
    rows = diagrams.one_call()
    assert diagrams.PICTURE.read_text(encoding="utf-8") == diagrams.picture(rows), "run scripts/diagrams"
    facts = [
        fact.split()[0].rstrip(":") for row in rows if isinstance(row, diagrams.Decided) for fact in row.facts
    ]
    order = [
        "CallArrived",
        "CallAdmitted",
        "VisitBegan",
        "OfferMade",
        "CallAnswered",
        "TalkEnded",
        "CallEnded",
    ]
    assert [fact for fact in facts if fact in order] == order


def test_a_step_that_is_not_in_the_dialplan_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="callcore-hold has no Dial"):
        diagrams.Play().dialplan("callcore-hold", "Dial", note="")


@pytest.mark.parametrize("page", OPERATIONS)
def test_an_operator_finds_every_setting_with_its_true_default_and_an_example_that_works(page: str) -> None:
    rows = re.findall(r"(?m)^\| `CALLCORE_([A-Z_]+)` \| `([^`]+)` \| `([^`]+)` \| \S", text(page))
    assert [name.lower() for name, _, _ in rows] == list(Settings.model_fields)
    for name, shown, example in rows:
        default = Settings.model_fields[name.lower()].default
        assert default is not PydanticUndefined
        if isinstance(default, Path):
            default = default.relative_to(PROJECT)
        assert shown == (NOTHING if default in ("", None) else str(default)), name
        made = Settings(**{**WITH.get(name, {}), name.lower(): example})
        assert str(getattr(made, name.lower())) == example


@pytest.mark.parametrize("page", OPERATIONS)
def test_an_operator_finds_every_command(page: str) -> None:
    shown = set(re.findall(r"(?m)^\| `callcore ([a-z]+)", text(page)))
    have = {c.name or c.callback.__name__ for c in app.registered_commands if not c.hidden and c.callback}
    groups = {g.name for g in app.registered_groups}
    assert shown == (have | groups) - {"version"}


@pytest.mark.parametrize(("page", "language"), [("operations.ja.md", 0), ("operations.en.md", 1)])
def test_an_operator_finds_what_to_do_about_every_difference_of_a_reconciliation(
    page: str, language: int
) -> None:
    rows = [row.split("|")[1] for row in text(page).splitlines() if row.startswith("| ")]
    named = {word.strip() for row in rows for word in re.split("[、,]", row)}
    assert {words[language] for words in KINDS.values()} <= named


def test_an_operator_reads_that_emergency_numbers_cannot_be_dialled() -> None:
    for page in OPERATIONS:
        assert re.search(r"\*\*.*110.*119.*\*\*", text(page).replace("\n", " ")), page


def test_the_quick_start_has_exactly_two_commands() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(.*?)```", readme, re.DOTALL)
    assert block.split() == ["scripts/run", "scripts/test"]
    assert all((PROJECT / line).stat().st_mode & 0o111 for line in block.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_reader_who_follows_a_link_arrives(page: Path) -> None:
    written = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [t for t in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", written) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_every_decision_stands_in_the_list_of_decisions() -> None:
    folder = PROJECT / "docs" / "adr"
    pages = {page.name for page in folder.glob("[0-9]*.md")}
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(pages)
    for page in pages:
        number = int(page[:4])
        assert (folder / page).read_text(encoding="utf-8").startswith(f"# {number}. ")
