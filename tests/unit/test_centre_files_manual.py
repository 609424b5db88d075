"""Whoever writes a centre file by the manual: every option is there, and the example is a right file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from callcore import centres
from callcore.centres.queues import COMFORT_EVERY_S
from callcore.domain.centre import (
    MENU_TIMEOUT_S,
    MENU_TRIES,
    Callbacks,
    Centre,
    Hold,
    Messages,
    Outgoing,
    RecordAfter,
    Recordings,
    Retention,
    Transfers,
)
from callcore.domain.recording import Channels, SoundFormat
from tests.unit.test_holidays import cabinet

MANUAL = (Path(__file__).parents[2] / "docs" / "centre-file.md").read_text(encoding="utf-8")
EXAMPLE, NEIGHBOUR = re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)


def mori(folder: Path, source: str = EXAMPLE) -> Centre:
    """The example's centre, read beside its neighbour."""
    (folder / "mori.toml").write_text(source, encoding="utf-8")
    (folder / "kawa.toml").write_text(NEIGHBOUR, encoding="utf-8")
    (folder / "syukujitsu.csv").write_bytes(cabinet(2026, 2027).encode("cp932"))
    kawa, found = centres.read(folder).centres
    assert kawa.keep == 1
    return found


def test_the_example_of_the_manual_is_a_right_file(tmp_path: Path) -> None:
    found = mori(tmp_path)
    assert found.phones[0].mac == "00:00:5e:00:53:01"
    assert found.queues[0].overflow[1].target == "kawa-general"


def test_every_option_has_its_row_in_the_manual_and_its_place_in_the_example(tmp_path: Path) -> None:
    """An unknown key is answered with the options of its table: so each table is asked for its own."""
    source = re.sub(r"(?m)^(\[.*\]\n)", r"\1zzzz = 0\n", "zzzz = 0\n" + EXAMPLE)
    with pytest.raises(centres.CentreFileErrors) as caught:
        mori(tmp_path, source)
    listed = [problem.instead_en.removeprefix("the options here are: ") for problem in caught.value.problems]
    options = {option for names in listed for option in names.split(", ")}
    assert len(listed) == source.count("zzzz")
    assert {"answer_ratio", "monday", "windows", "digits", "longest_wait_s", "mac", "keep", "then"} <= options
    assert [option for option in sorted(options) if not re.search(rf"[`\[.]{option}[`\].]", MANUAL)] == []
    assert [option for option in sorted(options) if not re.search(rf"(?m)^(\[.*)?{option}\b", EXAMPLE)] == []


def test_the_defaults_in_the_manual_are_the_ones_that_hold(tmp_path: Path) -> None:
    pattern = r"(?m)^\| `(\w+)` \| `(\d[\d.]*)` \|"
    # The section on outgoing calls has a `ring_s` and an `acw_s` of its own.
    apart = MANUAL[MANUAL.index("## `[outgoing]`") : MANUAL.index("## `[[contacts]]`")]
    for name, value in re.findall(pattern, apart):
        assert getattr(Outgoing(""), name) == float(value), name
    messages = MANUAL[MANUAL.index("## `[messages]`") : MANUAL.index("## `[[queues]]`")]
    for name, value in re.findall(pattern, messages):
        of = next(each for each in (Messages(), Callbacks(), Hold()) if hasattr(each, name))
        assert getattr(of, name) == int(value), name
    kept = MANUAL[MANUAL.index("## `[retention]`") : MANUAL.index("## `[[departments]]`")]
    for name, value in re.findall(pattern, kept):
        assert getattr(Retention(), name.removesuffix("_months")) == int(value), name
    menus = MANUAL[MANUAL.index("## `[[menus]]`") : MANUAL.index("## `[messages]`")]
    own = {"timeout_s": MENU_TIMEOUT_S, "tries": MENU_TRIES}
    assert {name: int(value) for name, value in re.findall(pattern, menus)} == own
    rows = re.findall(
        pattern, MANUAL.replace(apart, "").replace(menus, "").replace(messages, "").replace(kept, "")
    )
    assert len(rows) == 27
    queue = mori(tmp_path).queues[1]  # which is given nothing but its id and name
    centres_own = {name for name, _ in rows if not hasattr(queue, name)}
    found = mori(tmp_path, re.sub(rf"(?m)^({'|'.join(centres_own)}) = .*\n", "", EXAMPLE))
    held = {name: getattr(queue, name) for name, _ in rows if hasattr(queue, name)}
    held |= {
        "answer_ratio": found.target_answer_ratio,
        "service_level_s": found.service_level_s,
        "short_abandon_s": found.short_abandon_s,
        "pause_after_misses": found.pause_after_misses,
        "keep": found.keep,
        "wrong_pins": found.staff.wrong_pins,
        "lock_s": found.staff.lock_s,
        "pause_s": found.recordings.pause_s,
        "back_s": found.transfers.back_s,
        "lamp_waiting": found.staff.lamp_waiting,
        "remember_language_days": found.remember_language_days,
        "every_s": COMFORT_EVERY_S,
        "again_s": found.queues[0].overflow[2].again_s,
    }
    assert held == {name: float(value) for name, value in rows}


def test_the_rule_of_recording_through_a_transfer_is_read_and_has_two_words(tmp_path: Path) -> None:
    example = mori(tmp_path).transfers
    assert replace(example, supervisors=()) == Transfers()
    other = EXAMPLE.replace("record_consult = true", "record_consult = false")
    found = mori(tmp_path, other.replace('record_after = "end"', 'record_after = "agent"'))
    assert found.transfers == replace(example, record_consult=False, record_after=RecordAfter.AGENT)
    with pytest.raises(centres.CentreFileErrors) as caught:
        mori(tmp_path, EXAMPLE.replace('record_after = "end"', 'record_after = "never"'))
    [problem] = caught.value.problems
    assert "never" in problem.text("en") and '"end", "agent"' in problem.text("en")


def test_the_rule_of_what_recordings_are_kept_in_is_read_and_g722_has_one_channel(tmp_path: Path) -> None:
    assert mori(tmp_path).recordings == Recordings()
    two = EXAMPLE.replace('channels = "mixed"', 'channels = "stereo"')
    for form in (SoundFormat.WAV, SoundFormat.ULAW, SoundFormat.OPUS):
        found = mori(tmp_path, two.replace('format = "wav"', f'format = "{form.value}"'))
        assert found.recordings == Recordings(format=form, channels=Channels.STEREO)
    with pytest.raises(centres.CentreFileErrors) as caught:
        mori(tmp_path, two.replace('format = "wav"', 'format = "g722"'))
    [problem] = caught.value.problems
    assert problem.line == two[: two.index('channels = "stereo"')].count("\n") + 1
    assert "G.722 has one channel" in problem.text("en") and 'channels = "mixed"' in problem.text("ja")
