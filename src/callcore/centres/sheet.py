"""One centre file as a form to be read: every answer is asked for by name; what nobody asked for is wrong.

A wrong answer is noted and reading goes on with the default, so that one look at the messages mends the file.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

from callcore.centres.lines import Lines, Path
from callcore.centres.problems import Problem
from callcore.domain.hours import DAY_S, Window

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_SPAN = re.compile(r"(\d\d):(\d\d)(?::(\d\d))?-(\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
_MONTH_DAY = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
_NOT_IN_TEXT = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control and format signs, lone surrogates, line and paragraph ends."""
_KINDS = {
    str: ("文字列", "text in quotes"),
    bool: ("true か false", "true or false"),
    int: ("整数", "a whole number"),
    float: ("数", "a number"),
    list: ("配列 […]", "an array […]"),
    dict: ("表", "a table"),
}


class Sheet:
    """A file, where its lines are, and what has been found wrong in it."""

    def __init__(self, file: FilePath, lines: Lines) -> None:
        self.file = file
        self.lines = lines
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        """What may stay as it is, but somebody should know."""

    def wrong(self, path: Path, ja: str, en: str, instead_ja: str, instead_en: str) -> None:
        self.problems.append(Problem(self.file, self.lines.of(path), ja, en, instead_ja, instead_en))

    def warn(self, path: Path, ja: str, en: str, instead_ja: str, instead_en: str) -> None:
        self.warnings.append(Problem(self.file, self.lines.of(path), ja, en, instead_ja, instead_en))


class Table:
    """One table of a sheet. Each method reads one key, notes what is wrong, gives a value to go on with."""

    def __init__(self, sheet: Sheet, path: Path, values: dict[str, Any]) -> None:
        self.sheet = sheet
        self.path = path
        self._values = values
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def at(self, *key: str | int) -> Path:
        return (*self.path, *key)

    def wrong(self, key: str, ja: str, en: str, instead_ja: str, instead_en: str) -> None:
        self.sheet.wrong(self.at(key), ja, en, instead_ja, instead_en)

    def given(self, key: str) -> bool:
        """Whether an option is there that may be left out. Either way it is one that this table has."""
        self._asked.append(key)
        return key in self._values

    def close(self) -> None:
        """Every key that nobody asked for is unknown. Called once all have been read."""
        asked = list(dict.fromkeys(self._asked))
        for key in self._values:
            if key in asked:
                continue
            near = difflib.get_close_matches(key, asked, 1)
            known = ", ".join(asked)
            self.wrong(
                key,
                f"「{key}」という項目はありません",
                f'there is no option "{key}"',
                f"「{near[0]}」ではありませんか" if near else f"使える項目: {known}",
                f'did you mean "{near[0]}"?' if near else f"the options here are: {known}",
            )

    def _get(self, key: str, kind: type, example: str, required: bool) -> Any:
        """The value if it is there and of the kind, else None with the fault noted."""
        self._asked.append(key)
        if key not in self._values:
            if required:
                self.wrong(
                    key, f"「{key}」がありません", f'"{key}" is missing', f"例: {example}", f"e.g. {example}"
                )
            return None
        return self._of_kind(key, self._values[key], kind, example)

    def _of_kind(self, key: str, value: Any, kind: type, example: str) -> Any:
        fits = isinstance(value, (int, float) if kind is float else kind)
        if fits and not (isinstance(value, bool) and kind is not bool):
            return value
        ja, en = _KINDS[kind]
        self.wrong(
            key,
            f"「{key}」は{ja}でなければなりません",
            f'"{key}" must be {en}',
            f"例: {example}",
            f"e.g. {example}",
        )
        return None

    def text(self, key: str, example: str, default: str | None = None) -> str:
        """A text on one line, not empty. Required unless it has a default."""
        shown = f'{key} = "{example}"'
        value = self._get(key, str, shown, default is None)
        if value is None:
            return default or ""
        if not value.strip() or any(unicodedata.category(sign) in _NOT_IN_TEXT for sign in value):
            self.wrong(
                key,
                f"「{key}」が空か、改行などの制御文字を含んでいます",
                f'"{key}" is empty or holds line ends or other control characters',
                f"1行で書いてください。例: {shown}",
                f"write it on one line, e.g. {shown}",
            )
        return str(value)

    def optional_text(self, key: str, example: str) -> str | None:
        return self.text(key, example) if self.given(key) else None

    def name(self, key: str, example: str) -> str:
        """An id: lower-case letters, digits and hyphens, fit for a channel name and a file name."""
        value = self.text(key, example)
        if value and not _ID.fullmatch(value):
            self.wrong(
                key,
                f"「{value}」は使えません。{key} は半角の a–z、0–9、- のみ、32文字以内です",
                f'"{value}" can\'t be used: {key} may hold a–z, 0–9 and - only, at most 32',
                f'例: {key} = "{example}"',
                f'e.g. {key} = "{example}"',
            )
        return value

    def digits(self, key: str, example: str, least: int, most: int) -> str:
        """ASCII digits in quotes (so that a leading 0 stays)."""
        value = self.text(key, example)
        if value and not (value.isascii() and value.isdigit() and least <= len(value) <= most):
            self.wrong(
                key,
                f"「{value}」は使えません。{key} は半角数字 {least}～{most} 桁です",
                f'"{value}" can\'t be used: {key} is {least} to {most} digits, nothing else',
                f'例: {key} = "{example}"',
                f'e.g. {key} = "{example}"',
            )
        return value

    def choice(self, key: str, options: tuple[str, ...], default: str, *, required: bool = False) -> str:
        """One of a few words; what is missing or wrong is the default."""
        value = self.text(key, default, None if required else default)
        if value and value not in options:
            shown = ", ".join(f'"{option}"' for option in options)
            self.wrong(
                key,
                f"「{key}」に「{value}」は使えません",
                f'"{key}" can\'t be "{value}"',
                f"{shown} のどれかにしてください",
                f"choose one of {shown}",
            )
        return value if value in options else default

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        value = self._get(key, int, f"{key} = {default}", False)
        if value is None:
            return default
        self._in_range(key, value, default, least, most)
        return int(value)

    def optional_integer(self, key: str, example: int, least: int, most: int) -> int | None:
        return self.integer(key, example, least, most) if self.given(key) else None

    def required_integer(self, key: str, example: int, least: int, most: int) -> int:
        value = self._get(key, int, f"{key} = {example}", True)
        if value is None:
            return example
        self._in_range(key, value, example, least, most)
        return int(value)

    def number(self, key: str, example: float, least: int, most: int) -> float:
        """Whole or not."""
        value = self._get(key, float, f"{key} = {example}", True)
        if value is None:
            return example
        self._in_range(key, value, example, least, most)
        return float(value)

    def truth(self, key: str, default: bool) -> bool:
        value = self._get(key, bool, f"{key} = {str(default).lower()}", False)
        return default if value is None else bool(value)

    def only_true(self, key: str) -> None:
        """What can only be said or left out."""
        value = self._get(key, bool, f"{key} = true", True)
        if value is False:
            self.wrong(
                key,
                f"「{key}」に false は書けません",
                f'"{key}" can\'t be false',
                f"{key} = true と書くか、行を消してください",
                f"write {key} = true, or take it out",
            )

    def levels(self, key: str, example: str) -> tuple[tuple[str, int], ...]:
        """A table of skills and their levels, 1 best to 9, in the order of their names; empty if absent."""
        found = []
        for name, level in (self._get(key, dict, example, False) or {}).items():
            if not _ID.fullmatch(name):
                self.sheet.wrong(
                    self.at(key, name),
                    f"スキル「{name}」は使えません。半角の a–z、0–9、- のみ、32文字以内です",
                    f'"{name}" can\'t be a skill: a–z, 0–9 and - only, at most 32',
                    f"例: {example}",
                    f"e.g. {example}",
                )
            elif type(level) is not int or not 1 <= level <= 9:
                self.sheet.wrong(
                    self.at(key, name),
                    f"スキル「{name}」のレベルは 1(最良)から 9 までの整数です(今は {level})",
                    f'the level of the skill "{name}" must be 1 (best) to 9 (it is {level})',
                    f"例: {example}",
                    f"e.g. {example}",
                )
            else:
                found.append((name, level))
        return tuple(sorted(found))

    def ratio(self, key: str, default: float) -> float:
        """0 to 1."""
        value = self._get(key, float, f"{key} = {default}", False)
        if value is None:
            return default
        self._in_range(key, value, default, 0, 1)
        return float(value)

    def _in_range(self, key: str, value: float, default: float, least: int, most: int) -> None:
        if not least <= value <= most:  # also catches nan
            self.wrong(
                key,
                f"「{key}」は {least} から {most} までです(今は {value})",
                f'"{key}" must be {least} to {most} (it is {value})',
                f"例: {key} = {default}",
                f"e.g. {key} = {default}",
            )

    def texts(self, key: str, example: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """An array of texts, none twice."""
        values = self._get(key, list, example, False)
        if values is None:
            return default
        for n, value in enumerate(values):
            if not isinstance(value, str) or not value:
                self.sheet.wrong(
                    self.at(key, n),
                    f"「{key}」には文字列だけを並べます",
                    f'"{key}" holds texts only',
                    f"例: {example}",
                    f"e.g. {example}",
                )
            elif value in values[:n]:
                self.sheet.wrong(
                    self.at(key, n),
                    f"「{key}」に「{value}」が二度あります",
                    f'"{key}" has "{value}" twice',
                    "片方を消してください",
                    "take one of them out",
                )
        return tuple(value for value in values if isinstance(value, str) and value)

    def table(self, key: str, required: bool = True) -> Table:
        header = ".".join(str(part) for part in (*self.path, key) if isinstance(part, str))
        values = self._get(key, dict, f"[{header}]", required)
        return Table(self.sheet, self.at(key), values or {})

    def tables(self, key: str, required: bool = False) -> list[Table]:
        """The `[[…]]` entries of an array of tables; at least one if required."""
        header = ".".join(str(part) for part in (*self.path, key) if isinstance(part, str))
        values = self._get(key, list, f"[[{header}]]", required)
        found = []
        for n, value in enumerate(values or []):
            if isinstance(value, dict):
                found.append(Table(self.sheet, self.at(key, n), value))
            else:
                self.sheet.wrong(
                    self.at(key, n),
                    f"「{key}」は表の並びでなければなりません",
                    f'"{key}" must be a row of tables',
                    f"[[{header}]] と書いてください",
                    f"write [[{header}]]",
                )
        if required and values == []:
            self.wrong(
                key,
                f"「{key}」がひとつもありません",
                f'there is not one of "{key}"',
                f"[[{header}]] を加えてください",
                f"add [[{header}]]",
            )
        return found

    def day(self, key: str) -> str:
        """A date, as TOML's own or in quotes; ISO."""
        self._asked.append(key)
        value = self._values.get(key)
        if type(value) is date:
            return value.isoformat()
        try:
            if isinstance(value, str) and len(value) == 10:
                return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
        self.wrong(
            key,
            f"「{key}」は日付でなければなりません" if key in self else f"「{key}」がありません",
            f'"{key}" must be a date' if key in self else f'"{key}" is missing',
            f"例: {key} = 2026-10-04",
            f"e.g. {key} = 2026-10-04",
        )
        return ""

    def month_day(self, key: str, example: str) -> tuple[int, int]:
        """`MM-DD`, every year; 29 February is one."""
        value = self.text(key, example)
        found = _MONTH_DAY.fullmatch(value)
        if found:
            month, day = int(found[1]), int(found[2])
            try:
                date(2028, month, day)  # a leap year
            except ValueError:
                pass
            else:
                return month, day
        if value:
            self.wrong(
                key,
                f"「{value}」という月日はありません",
                f'there is no month and day "{value}"',
                f'"MM-DD" の形で書いてください。例: {key} = "{example}"',
                f'write "MM-DD", e.g. {key} = "{example}"',
            )
        return 1, 1

    def windows(self, key: str) -> tuple[Window, ...]:
        """An array of `"HH:MM-HH:MM"` (seconds may follow), in the day's order; empty or absent: closed."""
        example = f'{key} = ["08:30-18:00"]'
        found: list[tuple[Window, int]] = []
        for n, value in enumerate(self._get(key, list, example, False) or []):
            window = self._window(self.at(key, n), value, example)
            if window is not None:
                found.append((window, n))
        found.sort(key=lambda pair: pair[0].opens)
        for (one, _), (other, n) in pairwise(found):
            if other.opens < one.closes:
                self.sheet.wrong(
                    self.at(key, n),
                    f"「{key}」の時間帯が重なっています({clock(other.opens)} は {clock(one.closes)} の前)",
                    f'two windows of "{key}" overlap ({clock(other.opens)} is before {clock(one.closes)})',
                    "重ならないように分けるか、ひとつにまとめてください",
                    "keep them apart, or write them as one",
                )
        return tuple(window for window, _ in found)

    def _window(self, path: Path, value: object, example: str) -> Window | None:
        parts = _SPAN.fullmatch(value) if isinstance(value, str) else None
        if parts is None:
            self.sheet.wrong(
                path,
                f"「{value}」は時間帯として読めません",
                f'"{value}" can\'t be read as opening hours',
                f'"HH:MM-HH:MM" の形(2桁ずつ、半角)で書いてください。例: {example}',
                f'write "HH:MM-HH:MM" with two digits each, e.g. {example}',
            )
            return None
        numbers = [int(part or 0) for part in parts.groups()]
        opens, closes = (3600 * h + 60 * m + s for h, m, s in (numbers[:3], numbers[3:]))
        if (
            numbers[1] > 59
            or numbers[2] > 59
            or numbers[4] > 59
            or numbers[5] > 59
            or max(opens, closes) > DAY_S
        ):
            self.sheet.wrong(
                path,
                f"「{value}」に、ありえない時刻があります",
                f'"{value}" holds a time that does not exist',
                "00:00 から 24:00 までの時刻で書いてください",
                "write times from 00:00 to 24:00",
            )
            return None
        if closes <= opens:
            self.sheet.wrong(
                path,
                f"「{value}」は、終わりが始まりより後になっていません",
                f'"{value}" does not end after it begins',
                "終わりを後の時刻にしてください。日をまたぐときは「22:00-24:00」と翌日の「00:00-02:00」に分けます",
                'write a later end; over midnight write "22:00-24:00" and, on the next day, "00:00-02:00"',
            )
            return None
        return Window(opens, closes)


class Once:
    """Things of which there may be one in all the files together."""

    def __init__(self, ja: str, en: str) -> None:
        self._ja = ja
        self._en = en
        self._first: dict[str, tuple[FilePath, int]] = {}

    def claim(self, table: Table, key: str, name: str) -> None:
        """Notes the name as taken; a name that is taken already is wrong."""
        if not name:
            return
        sheet, path = table.sheet, table.at(key)
        if name in self._first:
            file, line = self._first[name]
            sheet.wrong(
                path,
                f"{self._ja}「{name}」は {file.name} の {line} 行目ですでに使われています",
                f'{self._en} "{name}" is already in use in {file.name}, line {line}',
                "ほかと重ならないものにするか、片方を消してください",
                "choose another, or take one of the two out",
            )
        else:
            self._first[name] = (sheet.file, sheet.lines.of(path))


def nearest(name: str, known: Iterable[str]) -> tuple[str, str]:
    """What to write instead of a name that is not there (Japanese, English)."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"「{near[0]}」ではありませんか", f'did you mean "{near[0]}"?'
    listed = ", ".join(names[:12]) or "–"
    return f"使えるもの: {listed}", f"there are: {listed}"


def shown(windows: Iterable[Window]) -> str:
    """As they are written."""
    return ", ".join(f"{clock(each.opens)}-{clock(each.closes)}" for each in windows)


def clock(second: int) -> str:
    hours, rest = divmod(second, 3600)
    return f"{hours:02}:{rest // 60:02}" + (f":{rest % 60:02}" if rest % 60 else "")
