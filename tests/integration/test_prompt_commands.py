"""What an operator enters about prompts, and what is answered."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callcore.cli import app
from callcore.demo.centre import TEXTS, DemoCentre
from callcore.prompts import shelf
from tests.support.prompts import put_prompt, shipped_prompts

RUN = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of the demo's centre, which speaks English too by its Japanese audio."""
    source = DemoCentre(agents=1).toml()
    source = source.replace('languages = ["ja"]', 'languages = ["ja", "en"]\nsubstitutes = { en = "ja" }')
    shelf.put(tmp_path / "centres" / "demo.toml", source.encode())
    shipped_prompts(tmp_path, "demo")
    for name in ("centres", "prompts"):
        monkeypatch.setenv(f"CALLCORE_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path / "home"))
    return tmp_path


def asked(*words: str) -> tuple[int, str]:
    """Status, and what was said."""
    result = RUN.invoke(app, list(words), terminal_width=500)
    return result.exit_code, result.output


def test_a_check_warns_of_a_substitute_and_stops_for_a_missing_prompt(home: Path) -> None:
    status, said = asked("check", "--language", "en")
    assert status == 0
    assert 'callers of the language "en" hear "ja" for: recording_notice, greeting, closed, apology' in said
    assert "no problem: demo" in said
    shelf.ulaw_of(home / "prompts", "demo/ja/closed").unlink()
    status, said = asked("check", "--language", "en")
    assert status == 1
    assert "demo/ja/closed.ulaw is missing → make it: callcore prompts build" in said


def test_the_list_names_every_prompt_with_its_state(home: Path) -> None:
    status, said = asked("prompts", "list")
    assert status == 0
    assert f"LUFS  {TEXTS['closed']}" in said
    assert "demo/ja/closed  仮の音声 / placeholder" in said
    assert "common/ja/ask-pin  仮の音声 / placeholder" in said
    assert asked("prompts", "list", "--language", "th") == (0, "")
    # What is to be recorded for a language with a substitute has its own name and text.
    file = home / "centres" / "demo.toml"
    shelf.put(
        file,
        file.read_bytes().replace(b"[announcements.greeting]", b'[announcements.greeting]\nen = "Hello."'),
    )
    assert "demo/en/greeting  代用 / substitute  –  Hello.\n" in asked("prompts", "list")[1]


def test_a_recording_is_brought_in_listened_to_and_approved_by_a_command_each(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")  # a machine without loudspeakers
    put_prompt(home / "prompts", "demo/ja/greeting", TEXTS["greeting"])
    spoken, heard = home / "spoken.flac", home / "heard.wav"
    tone = ["-f", "lavfi", "-i", "sine=frequency=600:duration=1", "-y", str(spoken)]
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", *tone], check=True)
    status, said = asked("prompts", "use", "demo/ja/greeting", str(spoken))
    assert (status, said.split()[:3]) == (0, ["demo/ja/greeting:", "1.3", "s"])
    assert asked("prompts", "export", "demo/ja/greeting", str(heard))[0] == 0
    assert heard.stat().st_size == pytest.approx(44 + 1.3 * 16000, rel=0.05)
    assert asked("prompts", "play", "demo/ja/greeting") == (0, "")
    assert asked("prompts", "approve", "demo/ja/greeting", "--by", "担当")[0] == 0
    approved = r"^demo/ja/greeting  承認済み / approved  1\.3 s  -21\.[01] LUFS  担当 2"
    assert re.search(approved, asked("prompts", "list")[1], re.MULTILINE)
    for words in (
        ("use", "demo/ja/nothing", str(spoken)),
        ("use", "demo/ja/greeting", str(home / "nowhere.wav")),
        ("export", "demo/ja/nothing", str(heard)),
        ("play", "demo/ja/nothing"),
        ("approve", "demo/ja/nothing", "--by", "担当"),
    ):
        assert asked("prompts", *words)[0] == 1, words
    trail = asked("audit", "list")[1]
    for action in ("prompt_recorded", "prompt_approved"):
        lines = [line for line in trail.splitlines() if action in line]
        assert any("demo/ja/greeting" in line for line in lines), trail


def test_a_history_of_nothing_is_answered_with_what_is_wrong(home: Path) -> None:
    status, said = asked("prompts", "history", "demo", "closed")
    assert status == 1
    assert "demo" in said
