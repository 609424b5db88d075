"""`[[departments]]` of a centre file: the city's departments that agents call by short numbers."""

from __future__ import annotations

import re
from datetime import date

from callcore.centres.hours import read_hours
from callcore.centres.names import PHONE, Taken, known
from callcore.centres.sheet import Once, Table
from callcore.domain.centre import (
    EMERGENCY,
    HEAD_OFFICE,
    TONGUES,
    TRANSFER_BACK_S,
    Department,
    Phone,
    RecordAfter,
    Transfers,
)
from callcore.domain.hours import Calendar
from callcore.domain.ids import CentreId, DepartmentId, PhoneId

DEPARTMENT = ("部署", "department")
NAME_LONGEST, ABOUT_LONGEST = 40, 200
_SHORT = re.compile(r"[0-9]{2,4}", re.ASCII)
_KANA = re.compile(r"[ぁ-ゖァ-ヺー・ 　]{1,80}")
_ROMAN = re.compile(r"[A-Za-z0-9 .&'-]{1,40}")


def read_departments(
    tables: list[Table],
    centre: CentreId,
    calendar: Calendar,
    phones: tuple[Phone, ...],
    taken: Taken,
    today: date | None,
) -> tuple[Department, ...]:
    """Notes on the sheet what is wrong. A department without hours of its own has the centre's (`calendar`)."""
    shorts = Once("短縮番号", "the short number")
    names = [f"{centre}-{table.name('id', 'shimin')}" for table in tables]
    extensions = {phone.extension for phone in phones}
    found = []
    for table, full in zip(tables, names, strict=True):
        taken.departments.claim(table, "id", full)
        found.append(
            Department(
                id=DepartmentId(full),
                short=_short(table, shorts, extensions),
                name=_words(table, "name", "市民課", NAME_LONGEST),
                number=_number(table),
                calendar=_hours(table, calendar, today),
                office=_words(table, "office", HEAD_OFFICE, NAME_LONGEST, HEAD_OFFICE),
                kana=_spelt(table, "name_kana", "しみんか", _KANA, "かなで80字", "kana, at most 80"),
                roman=_spelt(
                    table,
                    "name_roman",
                    "Citizens",
                    _ROMAN,
                    "半角英数字で40字",
                    "a–z, digits and spaces, at most 40",
                ),
                substitute=_substitute(table, centre, names),
                languages=_languages(table),
                about=_words(table, "about", "カードの受け取り、住所の変更", ABOUT_LONGEST, ""),
            )
        )
        table.close()
    if len(set(names)) == len(names):  # else nobody knows who is meant
        _circles(tables, found, centre)
    return tuple(found)


def read_transfers(top: Table, centre: CentreId, phones: tuple[Phone, ...]) -> Transfers:
    """`[transfers]`: how callers are put through to departments, and whom agents ask in the centre."""
    table = top.table("transfers", required=False)
    after = table.choice("record_after", tuple(each.value for each in RecordAfter), RecordAfter.END.value)
    names = [phone.id for phone in phones]
    supervisors = [f"{centre}-{name}" for name in table.texts("supervisors", 'supervisors = ["p1"]', ())]
    read = Transfers(
        blind=table.truth("blind", False),
        back_s=table.integer("back_s", TRANSFER_BACK_S, 0, 60),
        record_consult=table.truth("record_consult", True),
        record_after=RecordAfter(after),
        supervisors=tuple(
            PhoneId(full)
            for n, full in enumerate(dict.fromkeys(supervisors))
            if known(table.sheet, table.at("supervisors", n), full, centre, names, PHONE)
        ),
    )
    table.close()
    return read


def _short(table: Table, once: Once, extensions: set[str | None]) -> str:
    short = table.text("short", "21")
    if short and not _SHORT.fullmatch(short):
        table.wrong(
            "short",
            f"「{short}」は使えません。短縮番号は半角数字 2～4 桁です",
            f'"{short}" can\'t be used: a short number is 2 to 4 digits',
            '例: short = "21"',
            'e.g. short = "21"',
        )
    elif short in EMERGENCY:
        table.wrong(
            "short",
            f"「{short}」は緊急番号です",
            f'"{short}" is an emergency number',
            "110・118・119 以外の番号にしてください",
            "choose any but 110, 118 and 119",
        )
    elif short in extensions:
        table.wrong(
            "short",
            f"「{short}」はこのファイルの電話機の内線番号です",
            f'"{short}" is the extension of a phone in this file',
            "ほかの番号にしてください(取り違えを防ぐため)",
            "choose another, so that nobody mixes them up",
        )
    once.claim(table, "short", short)
    return short


def _number(table: Table) -> str:
    number = table.digits("number", "0975346111", 2, 15)
    if number in EMERGENCY:
        table.wrong(
            "number",
            "110・118・119 はここに書けません",
            "110, 118 and 119 can't stand here",
            "電話機からはそのまま 110 などとかけられます",
            "a phone dials these as they are",
        )
    return number


def _words(table: Table, key: str, example: str, most: int, default: str | None = None) -> str:
    if default is not None and not table.given(key):
        return default
    text = table.text(key, example)
    if len(text) > most:
        table.wrong(
            key,
            f"「{key}」が長すぎます。{most} 文字以内です",
            f'"{key}" is too long: at most {most} characters',
            f'例: {key} = "{example}"',
            f'e.g. {key} = "{example}"',
        )
    return text


def _spelt(table: Table, key: str, example: str, pattern: re.Pattern[str], ja: str, en: str) -> str | None:
    text = table.optional_text(key, example)
    if text and not pattern.fullmatch(text):
        table.wrong(
            key,
            f"「{text}」は使えません。{key} は{ja}までです",
            f'"{text}" can\'t be used: {key} holds {en}',
            f'例: {key} = "{example}"',
            f'e.g. {key} = "{example}"',
        )
    return text


def _hours(table: Table, calendar: Calendar, today: date | None) -> Calendar:
    if not table.given("hours"):
        return calendar
    hours = table.table("hours")
    if hours.given("closing"):
        hours.wrong(
            "closing",
            "「closing」は部署の時間には書けません",
            "\"closing\" can't stand in a department's hours",
            "この行を消してください(待っている人のための設定です)",
            "take it out: it is about callers who wait",
        )
    return read_hours(hours, calendar.zone, today, known=calendar.holidays)


def _substitute(table: Table, centre: CentreId, names: list[str]) -> DepartmentId | None:
    short = table.optional_text("substitute", "madoguchi")
    name = f"{centre}-{short}"
    if short is None or not known(table.sheet, table.at("substitute"), name, centre, names, DEPARTMENT):
        return None
    return DepartmentId(name)


def _languages(table: Table) -> tuple[str, ...]:
    example = 'languages = ["ja"]'
    languages = table.texts("languages", example, ("ja",))
    for n, language in enumerate(languages):
        if language not in TONGUES:
            table.sheet.wrong(
                table.at("languages", n),
                f"「{language}」という言語は使えません",
                f'"{language}" is not a language that callcore knows',
                f"使えるもの: {', '.join(TONGUES)}",
                f"there are: {', '.join(TONGUES)}",
            )
    if "languages" in table and not languages:
        table.wrong(
            "languages",
            "言語がひとつもありません",
            "there is not one language",
            f"例: {example}",
            f"e.g. {example}",
        )
    return languages


def _circles(tables: list[Table], departments: list[Department], centre: CentreId) -> None:
    """Whoever is the substitute of its own substitute would be called for ever. Each circle is told once, at the first
    of those in it."""
    towards = {each.id: each.substitute for each in departments}
    told: set[DepartmentId] = set()
    for table, each in zip(tables, departments, strict=True):
        way, place = [each.id], towards.get(each.id)
        while place is not None and place not in way:
            way.append(place)
            place = towards.get(place)
        if place != each.id or each.id in told:
            continue
        told |= {*way}
        shown = " → ".join(name.removeprefix(f"{centre}-") for name in (*way, each.id))
        table.wrong(
            "substitute",
            f"代わりの部署が輪になっています({shown})",
            f"the substitutes form a circle ({shown})",
            "どれかひとつの substitute を消してください",
            "take the substitute of one of them out",
        )
