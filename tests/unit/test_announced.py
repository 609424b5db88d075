"""What the page of announcements is told: what waits to be applied, what was said before, and the sound of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callcore.announced import Announced
from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.centre import Announcement, Configuration
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.prompts import shelf
from callcore.settings import Settings
from callcore.web.announcements import changes
from tests.support.days import TestFrame
from tests.support.floors import centre
from tests.support.prompts import SILENCE, put_prompt
from tests.support.tapes import journaled

DEMO = CentreId("demo")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, centres=tmp_path / "centres", prompts=tmp_path / "prompts")
    shelf.put(made.centres / "demo.toml", DemoCentre(agents=1).toml().encode())
    return made


def test_a_text_that_was_changed_is_shown_before_it_is_applied_and_so_is_whether_it_has_audio(
    settings: Settings,
) -> None:
    desk = Announced(settings)
    for told in desk.written(DEMO) or ():
        put_prompt(settings.prompts, told.sound, told.text, SILENCE * (3 + len(told.kind)))
    now = desk.written(DEMO) or ()
    assert now and all(told.audio for told in now)
    assert changes(now, desk.written(DEMO) or (), "ja") == []
    file = settings.centres / "demo.toml"
    source = file.read_text(encoding="utf-8")
    closed = next(told for told in now if told.kind == "closed")
    file.write_text(source.replace(closed.text, "本日は終了しました。"), encoding="utf-8")
    [changed] = changes(now, desk.written(DEMO) or (), "ja")
    assert (changed.now, changed.then) == (closed, replace(closed, text="本日は終了しました。", audio=""))
    put_prompt(settings.prompts, closed.sound, "本日は終了しました。", SILENCE * 2)
    [changed] = changes(now, desk.written(DEMO) or (), "ja")
    assert changed.then is not None
    heard = desk.wav(changed.then.audio)
    assert heard is not None and heard.startswith(b"RIFF"), "built, and not kept yet"
    assert desk.wav(closed.audio) is None, "never applied, so not kept"
    shelf.put(settings.kept_prompts / f"{closed.audio}.ulaw", SILENCE)
    assert desk.wav(closed.audio) is not None
    assert desk.wav("../../etc/passwd") is None
    file.write_text(source + "\n[nonsense]\n", encoding="utf-8")
    assert desk.written(DEMO) is None


def test_what_comes_goes_or_is_heard_in_another_language_meanwhile() -> None:
    def told(kind: str, language: str = "tl", of: str = "tl", audio: str = "a") -> Announcement:
        return Announcement(kind, language, f"{kind} {of}", f"demo/{of}/{kind}", audio)

    now = [told("greeting", of="en"), told("closed"), told("closed", "ja", "ja")]
    waits = replace(told("greeting"), audio="")
    assert [(c.kind, c.now, c.then) for c in changes(now, [waits, told("menu")], "tl")] == [
        ("closed", now[1], None),
        ("menu", None, told("menu")),
    ], "the substitute goes on until there is audio"
    assert [c.kind for c in changes(now, [told("greeting"), now[1]], "tl")] == ["greeting"]


def test_the_history_is_read_from_the_journal(settings: Settings) -> None:
    def configured(n: int, text: str) -> TestFrame:
        said = (Announcement("closed", "ja", text, "demo/ja/closed", str(n) * 16),)
        found = Configuration(str(n), (replace(centre(1), announcements=said),))
        at = Instant(1_795_000_000 * SECOND + n * SECOND)
        return TestFrame(1, n, at, (f.Configured(at=at, configuration=found), f.ClockStepped(at=at, by=1)))

    frames = [configured(1, "旧"), configured(2, "新")]
    journaled(frames, settings.home)
    found = Announced(settings).history(DEMO, "closed")
    assert [(told.text, since, until) for told, since, until in found] == [
        ("旧", frames[0].at, frames[1].at),
        ("新", frames[1].at, None),
    ]
    assert Announced(settings).history(DEMO, "nothing") == []
    assert Announced(Settings(home=settings.home / "elsewhere")).history(DEMO, "closed") == []
