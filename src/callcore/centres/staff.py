"""`[staff]`, `[[pauses]]` and `[[results]]` of a centre file: what agents may do at their phones; `[[staffing]]`:
how many seats there are to be.

A digit or a name that stands in the file takes the place of the one that every centre has; the others stay.
"""

from __future__ import annotations

from datetime import date

from callcore.centres.sheet import Once, Table
from callcore.domain.centre import StaffingLevel
from callcore.domain.staff import CallResult, PauseReason, Staff
from callcore.domain.stages import ResultKind, SecondSignIn

PAUSE_LONGEST = 20
"""Characters of a reason, and of a result: they are columns of reports."""


def read_staff(top: Table) -> tuple[Staff, int]:
    """The rules, and how many offers an agent may miss in a row."""
    staff = top.table("staff", required=False)
    misses = staff.integer("pause_after_misses", 3, 0, 99)
    plain = Staff()
    second = staff.choice("second_sign_in", tuple(each.value for each in SecondSignIn), "moves")
    begins = staff.choice("sign_in", ("ready", "paused"), "ready")
    wrong_pins = staff.integer("wrong_pins", plain.wrong_pins, 1, 99)
    lock_s = staff.integer("lock_s", plain.lock_s, 1, 86_400)
    lamp_waiting = staff.integer("lamp_waiting", plain.lamp_waiting, 1, 999)
    staff.close()
    return (
        Staff(
            pauses=_pauses(top.tables("pauses"), plain.pauses),
            results=_results(top.tables("results"), plain.results),
            second_sign_in=SecondSignIn(second),
            begins_paused=begins == "paused",
            wrong_pins=wrong_pins,
            lock_s=lock_s,
            lamp_waiting=lamp_waiting,
        ),
        misses,
    )


def read_staffing(tables: list[Table], phones: int, today: date) -> tuple[StaffingLevel, ...]:
    """`[[staffing]]`: 体制. Warns of a level, in force or to come on the local date `today`, that has more seats than
    there are `phones`."""
    names, days = Once("体制", "the staffing level"), Once("最初の日", "the first day")
    found = []
    for table in tables:
        name = _name(table, "体制1")
        names.claim(table, "name", name)
        seats = table.required_integer("seats", 100, 1, 999)
        first = table.day("first")
        days.claim(table, "first", first)
        found.append(StaffingLevel(name, seats, first))
        table.close()
    for table, level in zip(tables, found, strict=True):
        over = any(level.first < other.first <= today.isoformat() for other in found)
        if level.seats > phones and not over:
            table.sheet.warn(
                table.at("seats"),
                f"「{level.name}」は {level.seats} 席ですが、電話機は {phones} 台です",
                f'"{level.name}" has {level.seats} seats, and there are {phones} phones',
                f"{level.first} までに [[phones]] と [[agents]] を足してください",
                f"add [[phones]] and [[agents]] by {level.first}",
            )
    return tuple(sorted(found, key=lambda level: level.first))


def _pauses(tables: list[Table], plain: tuple[PauseReason, ...]) -> tuple[PauseReason, ...]:
    keys, names = Once("数字", "the digit"), Once("理由", "the reason")
    found = []
    for table in tables:
        key = table.required_integer("key", 7, 0, 9)
        keys.claim(table, "key", str(key))
        name = _name(table, "窓口応援")
        names.claim(table, "name", name)
        at_once = table.optional_integer("at_once", 2, 1, 999)
        longest_s = table.optional_integer("longest_s", 900, 1, 86_400)
        found.append(PauseReason(key, name, at_once, longest_s))
        table.close()
    taken = {each.key for each in found} | {each.name for each in found}
    left = [each for each in plain if each.key not in taken and each.name not in taken]
    return tuple(sorted([*found, *left], key=lambda each: each.key))


def _results(tables: list[Table], plain: tuple[CallResult, ...]) -> tuple[CallResult, ...]:
    keys, names = Once("数字", "the digit"), Once("結果", "the result")
    found = []
    for table in tables:
        key = table.required_integer("key", 6, 0, 9)
        keys.claim(table, "key", str(key))
        name = _name(table, "資料送付")
        names.claim(table, "name", name)
        kind = table.choice("counts_as", tuple(each.value for each in ResultKind), "other")
        found.append(CallResult(key, name, ResultKind(kind)))
        table.close()
    taken = {each.key for each in found} | {each.name for each in found}
    left = [each for each in plain if each.key not in taken and each.name not in taken]
    return tuple(sorted([*found, *left], key=lambda each: each.key))


def _name(table: Table, example: str) -> str:
    name = table.text("name", example)
    if len(name) > PAUSE_LONGEST:
        table.wrong(
            "name",
            f"「{name}」は長すぎます。{PAUSE_LONGEST} 文字以内です",
            f'"{name}" is too long: at most {PAUSE_LONGEST} characters',
            f'例: name = "{example}"',
            f'e.g. name = "{example}"',
        )
    return name
