"""What desk phones call outside and show, and the numbers for the city (連絡用番号), read from a centre file."""

from __future__ import annotations

import re

from callcore.centres.names import PHONE, Taken, known
from callcore.centres.sheet import Once, Table
from callcore.domain.centre import (
    EMERGENCY,
    OUTGOING_ACW_S,
    Contact,
    Destination,
    Listed,
    Number,
    Outgoing,
    Phone,
)
from callcore.domain.ids import CentreId, PhoneId
from callcore.domain.numbering import CLOSED_PREFIXES

_SHOWN = re.compile(r"[\w 　・ー（）.-]{1,40}")
_ROMAN = re.compile(r"[A-Za-z0-9 .-]{1,40}")
KINDS = tuple(kind.value for kind in Destination)


def read_outgoing(top: Table, numbers: tuple[Number, ...]) -> Outgoing | None:
    """`[outgoing]`; None: the file has none, and nothing but 110, 118 and 119 is even tried."""
    if not top.given("outgoing"):
        return None
    table = top.table("outgoing")
    first = numbers[0].digits if numbers else ""
    number = table.digits("number", first or "0975105151", 3, 15) if table.given("number") else first
    if number and number not in [each.digits for each in numbers]:
        table.wrong(
            "number",
            f"「{number}」はこのセンターの着信番号([[numbers]])にありません",
            f'"{number}" is not one of this centre\'s [[numbers]]',
            f'例: number = "{first}"',
            f'e.g. number = "{first}"',
        )
    emergency = _words(table, "emergency", EMERGENCY)
    kinds = _words(table, "kinds", KINDS)
    prefix = table.digits("prefix", "9", 1, 3) if table.given("prefix") else ""
    ring_s = table.integer("ring_s", 60, 10, 300)
    acw_s = table.integer("acw_s", OUTGOING_ACW_S, 0, 3600)
    answers_kept_days = table.integer("answers_kept_days", 14, 1, 366)
    listed = _listed(table.tables("destinations"))
    table.close()
    return Outgoing(
        number,
        emergency,
        tuple(Destination(kind) for kind in kinds),
        listed,
        prefix,
        ring_s,
        acw_s,
        answers_kept_days,
    )


def _words(table: Table, key: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """An array of a few words that there are."""
    shown = ", ".join(f'"{option}"' for option in options)
    given = table.texts(key, f"{key} = [{shown}]", ())
    for n, word in enumerate(given):
        if word not in options:
            table.sheet.wrong(
                table.at(key, n),
                f"「{key}」に「{word}」は使えません",
                f'"{key}" can\'t hold "{word}"',
                f"{shown} から選んでください",
                f"choose among {shown}",
            )
    return tuple(word for word in given if word in options)


def _listed(tables: list[Table]) -> tuple[Listed, ...]:
    once = Once("発信先", "the destination")
    found = []
    for table in tables:
        name = table.text("name", "市役所 代表")
        begins = table.given("begins")
        if begins and table.given("number"):
            table.wrong(
                "begins",
                "「number」と「begins」の両方はつけられません",
                'there can\'t be both "number" and "begins"',
                "番号そのものは number、この数字で始まるものすべては begins です",
                "number is the very number, begins is all that begin so",
            )
        key = "begins" if begins else "number"
        digits = table.digits(key, "097" if begins else "0975346111", 1 if begins else 3, 20)
        once.claim(table, key, digits)
        if digits in EMERGENCY:
            table.wrong(
                key,
                "110・118・119 はここに書けません",
                "110, 118 and 119 can't stand here",
                'emergency = ["110", "118", "119"] と書いてください',
                'write emergency = ["110", "118", "119"]',
            )
        if begins and digits in CLOSED_PREFIXES:
            table.wrong(
                key,
                f"「{digits}」で始まる番号は有料か国際です。まとめて許すことはここではできません",
                f'what begins with "{digits}" is premium or international and can\'t be opened here',
                'kinds に "premium" か "international" を書くか、番号そのものを number で書いてください',
                'write "premium" or "international" among kinds, or the very number',
            )
        found.append(Listed(name, digits, begins))
        table.close()
    return tuple(found)


def read_contacts(
    tables: list[Table], centre: CentreId, phones: tuple[Phone, ...], taken: Taken
) -> tuple[Contact, ...]:
    """`[[contacts]]`: each rings phones of this file, or is passed on."""
    found = []
    for table in tables:
        digits = table.digits("digits", "0975105160", 3, 15)
        taken.numbers.claim(table, "digits", digits)
        name = table.text("name", "市役所との連絡用")
        short = table.texts("phones", 'phones = ["p1"]', ())
        for n, each in enumerate(short):
            full = f"{centre}-{each}"
            known(table.sheet, table.at("phones", n), full, centre, [phone.id for phone in phones], PHONE)
        forward = table.digits("forward", "0975105999", 3, 15) if table.given("forward") else None
        if bool(short) == (forward is not None):
            table.wrong(
                "phones",
                "「phones」か「forward」のどちらかひとつが要ります",
                'one of "phones" and "forward" is needed, and not both',
                '例: phones = ["p1"]',
                'e.g. phones = ["p1"]',
            )
        record = table.truth("record", False)
        if table.given("record") and forward is None:
            table.wrong(
                "record",
                "record は forward といっしょに書きます。電話機で受けた通話は、いつも録音します",
                "record goes with forward; what is said on phones is recorded in any case",
                "この行を消してください",
                "take this line out",
            )
        elif forward is not None and not table.given("record"):
            table.sheet.warn(
                table.at("forward"),
                f"{digits} から転送する通話は録音されません",
                f"calls of {digits} are passed on and not recorded",
                "FAX なら record = false、人が話す番号なら record = true と書いてください",
                "write record = false for a FAX, record = true for a number where people talk",
            )
        phones_rung = tuple(PhoneId(f"{centre}-{each}") for each in short)
        found.append(Contact(digits, name, phones_rung, forward, record))
        table.close()
    return tuple(found)


def read_display(head: Table, key: str, example: str, *, roman: bool = False) -> str | None:
    """The centre's name on a phone's display; None: not given."""
    text = head.optional_text(key, example)
    if text and not (_ROMAN if roman else _SHOWN).fullmatch(text):
        head.wrong(
            key,
            f"「{text}」は表示できません。{'半角英数字と空白' if roman else '文字と数字と空白'}で40字までです",
            f'"{text}" can\'t be shown: {"a–z, " if roman else "letters, "}digits and spaces, at most 40',
            f'例: {key} = "{example}"',
            f'e.g. {key} = "{example}"',
        )
    return text
