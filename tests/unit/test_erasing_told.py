"""What the commands say of what is due and of what is about to be erased: calls, recordings and tasks apart."""

from __future__ import annotations

import msgspec

from callcore import cli_erase
from callcore.cli_erase import SHOWN, _Chosen, _json, _preview, _text
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.domain.recording import RecordingKind
from callcore.domain.retention import Item, Judged, Sound, Verdict, Why, left_for_now
from callcore.erasing.plan import Left, Unit
from tests.support.floors import centre

OVER = Instant(1_795_143_501 * SECOND)
HERE = "2026-11-20 11:58"
DUE, RULE, HELD = Judged(Why.DUE), Judged(Why.RULE), Judged(Why.HELD)


def verdict(name: str, *sounds: Judged, personal: Judged | None = None, task: bool = False) -> Verdict:
    made = tuple(
        (Sound(f"{name}.{n}", RecordingKind.CALL, False, OVER), each) for n, each in enumerate(sounds)
    )
    item = Item(CallId(name), CallId("c1"), OVER, tuple(sound for sound, _ in made), True, task)
    return Verdict(item, made, personal)


def test_what_is_due_is_told_by_calls_recordings_and_tasks() -> None:
    told = _text(
        centre(),
        [
            verdict("c1", DUE, DUE, personal=DUE),
            verdict("task-about", personal=DUE, task=True),
            verdict("c2", RULE, personal=RULE),
        ],
    )
    assert told[0] == (
        "demo: 消去の対象 1通話・録音 2件・用件 1件、指示により保存 0件 / "
        "due: 1 calls, 2 recordings, 1 tasks; kept by order: 0"
    )
    assert [line for line in told if not line.startswith("    ")][1:] == [
        f"  c1 {HERE}",
        f"  task-about {HERE}",
    ]
    assert told[-1] == "    番号・メモ / number and notes: 消去 / erased"


def test_a_call_of_which_two_recordings_are_held_is_listed_once() -> None:
    told = _text(centre(), [verdict("c1", HELD, HELD), verdict("c2", DUE, HELD)])
    assert "kept by order: 3" in told[0]
    assert [line for line in told[1:] if not line.startswith("    ")] == [f"  c2 {HERE}", f"  c1 {HERE}"]


def test_what_is_over_and_left_for_now_is_told_with_the_reason_and_not_as_erased() -> None:
    why = "折り返し・伝言・用件の対応が済んでいない / still to be dealt with"
    left = left_for_now(verdict("c1", DUE, RULE, personal=DUE), why)
    assert (left.due, left.personal_due) == ((), False)
    told = _text(centre(), [left, verdict("c2", DUE)])
    assert "due: 1 calls, 1 recordings" in told[0]
    assert told[1] == "  満了しても今は残すもの 1件 / over by the rule, and left for now: 1"
    assert told[-4:] == [
        "    call c1.0: 満了、今は残す / over, left for now",
        "    call c1.1: 保存期間中 / within its months",
        "    番号・メモ / number and notes: 満了、今は残す / over, left for now",
        f"    × {why}",
    ]
    (line, _) = (msgspec.json.decode(each) for each in _json(centre(), [left, verdict("c2", DUE)]))
    assert (line["left"], [each["why"] for each in line["recordings"]]) == (why, ["left", "rule"])


def test_what_does_not_fit_is_counted() -> None:
    told = _text(centre(), [verdict(f"c{n}", DUE, HELD) for n in range(SHOWN + 3)])
    assert told[-1] == "  ほか 3通話 / and 3 more"


def test_the_json_says_what_is_a_task() -> None:
    lines = _json(centre(), [verdict("c1", DUE, personal=RULE), verdict("t1", personal=DUE, task=True)])
    call, task = (msgspec.json.decode(line) for line in lines)
    assert (call["call"], call["task"], [each["why"] for each in call["recordings"]]) == (
        "c1",
        False,
        ["due"],
    )
    assert call["personal"]["why"] == "rule"
    assert (task["call"], task["task"], task["recordings"]) == ("t1", True, [])
    assert task["personal"] == {"why": "due", "until": None, "order": None}


def test_what_is_about_to_be_erased_is_told_by_calls_recordings_and_tasks() -> None:
    call = Unit(call="c1", about="c1", recordings=["c1.0", "c1.1"], personal=True)
    task = Unit(call="t1", about="c1", recordings=[], personal=True, task=True)
    chosen = _Chosen(centre(), "number", "0312345678", [], ["b1"])
    told = _preview(chosen, [call, task], [Left(call="c9", why="保全 / held")]).splitlines()
    ja, en = cli_erase.SCOPES["number"]
    assert told == [
        f"{ja} / {en}: demo 0312345678",
        "  通話 1・録音 2・用件 1・着信拒否の登録 1 / 1 calls, 2 recordings, 1 tasks, "
        "1 entries of the list of unwelcome callers",
        "  c1 c1.0 c1.1",
        "  t1 ",
        "  × c9: 保全 / held",
    ]
