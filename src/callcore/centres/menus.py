"""`[[menus]]`: what callers key before an agent, and out of hours; and whether it leads anywhere.

Each way through the menus has an end: a menu gives up after its tries, and from each menu some key leads to something
that is no menu. What is reached out of hours leads to no agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from callcore.centres.names import MENU, QUEUE, known
from callcore.centres.sheet import Once, Table, nearest
from callcore.domain.centre import (
    CALLBACK_ATTEMPTS,
    CALLBACK_DISTANCE_S,
    HOLD_PHRASE_EVERY_S,
    HOLD_WARN_AFTER_S,
    MENU_TIMEOUT_S,
    MENU_TRIES,
    MENU_TRIES_MOST,
    MESSAGE_DUE_S,
    MESSAGE_KEEP_DAYS,
    MESSAGE_LONGEST_S,
    MESSAGE_SILENCE_S,
    Callbacks,
    Hold,
    Menu,
    MenuKey,
    Messages,
    Number,
    Queue,
)
from callcore.domain.ids import CentreId, QueueId
from callcore.domain.stages import Choice

KEYS = tuple("0123456789*#")
TIMEOUT_MOST_S = 30
_KIND = re.compile(r"[a-z][a-z_]{0,31}")
MESSAGE_KINDS = (
    "message_invite",
    "message_taken",
    "message_full",
    "message_empty",
    "message_cut",
    "message_failed",
)
"""What is said around the tone."""
CALLBACK_KINDS = ("callback_confirm", "callback_taken", "callback_unavailable")
_WHERE = {"queue": Choice.QUEUE, "menu": Choice.MENU, "say": Choice.SAY, "forward": Choice.FORWARD}


@dataclass(frozen=True, slots=True)
class Menus:
    """The menus of a file, each with the table it was read from."""

    menus: tuple[Menu, ...]
    tables: tuple[Table, ...]

    def leads(self, to: Choice) -> bool:
        """Whether any key leads there."""
        return any(key.choice is to for menu in self.menus for key in menu.keys)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The announcements that they say."""
        said = [menu.say for menu in self.menus]
        said += [kind for kind in MESSAGE_KINDS if self.leads(Choice.MESSAGE)]
        said += [kind for kind in CALLBACK_KINDS if self.leads(Choice.CALLBACK)]
        said += [key.to for menu in self.menus for key in menu.keys if key.choice is Choice.SAY]
        return tuple(dict.fromkeys(kind for kind in said if kind))


def read_menus(
    tables: list[Table],
    centre: CentreId,
    languages: tuple[str, ...],
    queues: Iterable[QueueId],
    names: Iterable[str],
) -> Menus:
    """`names`: of all menus of the file, with the centre in front."""
    once = Once("メニュー", "the menu")
    menus = []
    for table in tables:
        short = table.name("id", "language")
        once.claim(table, "id", short)
        say = _kind(table, "say", "language_choice")
        choice = table.truth("languages", False)
        timeout_s = table.integer("timeout_s", MENU_TIMEOUT_S, 1, TIMEOUT_MOST_S)
        tries = table.integer("tries", MENU_TRIES, 1, MENU_TRIES_MOST)
        pressed = Once("キー", "the key")
        keys = []
        for entry in table.tables("keys", required=True):
            keys.append(_key(entry, centre, languages, queues, names, choice))
            pressed.claim(entry, "key", keys[-1].key)
            entry.close()
        table.close()
        menus.append(Menu(f"{centre}-{short}", say, tuple(keys), choice, timeout_s, tries))
    return Menus(tuple(menus), tuple(tables))


def read_messages(top: Table) -> Messages:
    """`[messages]`: what callers may leave."""
    table = top.table("messages", required=False)
    read = Messages(
        table.integer("longest_s", MESSAGE_LONGEST_S, 10, 600),
        table.integer("silence_s", MESSAGE_SILENCE_S, 2, 30),
        table.integer("due_s", MESSAGE_DUE_S, 60, 30 * 86_400),
        table.integer("keep_days", MESSAGE_KEEP_DAYS, 1, 3660),
    )
    table.close()
    return read


def read_hold(top: Table) -> Hold:
    """`[hold]`: what callers hear on hold, and when it is too long."""
    table = top.table("hold", required=False)
    found = Hold(
        phrase_every_s=table.integer("phrase_every_s", HOLD_PHRASE_EVERY_S, 0, 600),
        warn_after_s=table.integer("warn_after_s", HOLD_WARN_AFTER_S, 0, 3600),
    )
    table.close()
    return found


def read_callbacks(top: Table) -> Callbacks:
    """`[callbacks]`: how often who asked for it is tried to be called back."""
    table = top.table("callbacks", required=False)
    read = Callbacks(
        table.integer("attempts", CALLBACK_ATTEMPTS, 1, 10),
        table.integer("distance_s", CALLBACK_DISTANCE_S, 60, 86_400),
    )
    table.close()
    return read


def _kind(table: Table, key: str, example: str) -> str:
    kind = table.text(key, example)
    if kind and not _KIND.fullmatch(kind):
        table.wrong(
            key,
            f"「{kind}」は案内の種類になりません。半角の a–z と _ のみ、32文字以内です",
            f'"{kind}" can\'t be a kind of announcement: a–z and _ only, at most 32',
            f'例: {key} = "{example}"',
            f'e.g. {key} = "{example}"',
        )
        return ""
    return kind


def _key(
    table: Table,
    centre: CentreId,
    languages: tuple[str, ...],
    queues: Iterable[QueueId],
    names: Iterable[str],
    choice: bool,
) -> MenuKey:
    sign = table.choice("key", KEYS, "1", required=True)
    language = table.optional_text("language", "en")
    if language is not None and language not in languages:
        table.wrong(
            "language",
            f"「{language}」はこのセンターの言語ではありません",
            f'"{language}" is no language of this centre',
            *nearest(language, languages),
        )
        language = None
    found = []
    for key, kind in _WHERE.items():
        if table.given(key):
            found.append((kind, _target(table, key, kind, centre, queues, names)))
    if table.given("end"):
        table.only_true("end")
        found.append((Choice.END, ""))
    if table.given("wait"):
        table.only_true("wait")
        found.append((Choice.WAIT, ""))
    if table.given("message"):
        table.only_true("message")
        found.append((Choice.MESSAGE, ""))
    if table.given("callback"):
        table.only_true("callback")
        found.append((Choice.CALLBACK, ""))
    if language is not None and not found:
        return MenuKey(sign, Choice.LANGUAGE, "", language)
    if len(found) != 1:
        table.sheet.wrong(
            table.path,
            f"キーひとつに行き先はひとつです(今は {len(found)} つ)",
            f"a key leads to exactly one thing (this one to {len(found)})",
            "menu、queue、say、forward、wait、message、callback、end のどれかひとつか、language を書いてください",
            "write one of menu, queue, say, forward, wait, message, callback, end, or a language",
        )
        return MenuKey(sign, Choice.END)
    kind, to = found[0]
    record = table.truth("record", True)
    if table.given("record") and kind is not Choice.FORWARD:
        table.wrong(
            "record",
            "record は forward のキーだけに書きます",
            "record is for a key with forward only",
            "この行を消してください",
            "take this line out",
        )
    if choice and "language" not in table:
        table.wrong(
            "language",
            "言語を選ぶメニューのキーに言語がありません",
            "a key of a choice of languages has no language",
            'language = "en" のように書くか、languages = true を消してください',
            'write e.g. language = "en", or take languages = true out',
        )
    return MenuKey(sign, kind, to, language, record)


def _target(
    table: Table, key: str, kind: Choice, centre: CentreId, queues: Iterable[QueueId], names: Iterable[str]
) -> str:
    match kind:
        case Choice.QUEUE:
            full = f"{centre}-{table.text(key, 'general')}"
            known(table.sheet, table.at(key), full, centre, queues, QUEUE)
            return full
        case Choice.MENU:
            full = f"{centre}-{table.text(key, 'lost-card')}"
            known(table.sheet, table.at(key), full, centre, names, MENU)
            return full
        case Choice.SAY:
            return _kind(table, key, "information")
        case _:
            return table.digits(key, "0120950178", 3, 15)


def check_menus(
    found: Menus,
    centre: CentreId,
    numbers: tuple[Number, ...],
    closed: str | None,
    queues: tuple[Queue, ...],
) -> None:
    """Menus that nobody reaches, circles without an end, keys that lead to an agent out of hours, and keys that are not
    for who waits already, or only for them."""
    menus = {menu.id: menu for menu in found.menus}
    tables = dict(zip((menu.id for menu in found.menus), found.tables, strict=True))
    by_night = _reached(menus, [] if closed is None else [closed])
    arriving = by_night | _reached(menus, [number.menu for number in numbers if number.menu is not None])
    rules = [rule.menu for queue in queues for rule in queue.overflow]
    waiting = _reached(menus, [menu for menu in rules if menu is not None])
    reached = arriving | waiting
    for name, menu in menus.items():
        table, short = tables[name], name.removeprefix(f"{centre}-")
        if name not in reached:
            table.wrong(
                "id",
                f"メニュー「{short}」に行く道がありません",
                f'nobody reaches the menu "{short}"',
                f'[[numbers]] に menu = "{short}"、[centre] に closed_menu = "{short}"、'
                "またはほかのメニューのキーか溢れの規則から行けるようにしてください",
                f'begin there from [[numbers]] (menu = "{short}") or [centre] (closed_menu = "{short}"), or lead a key '
                "of another menu or an overflow rule to it",
            )
        ends = [
            key
            for each in _reached(menus, [name])
            for key in menus[each].keys
            if key.choice is not Choice.MENU
        ]
        if menu.keys and not ends:
            table.wrong(
                "keys",
                f"メニュー「{short}」からは、どのキーを押してもメニューを回るだけです",
                f'from the menu "{short}" every key leads round in the menus',
                "どれかのキーを、待ち行列、案内、転送、終了のどれかにつないでください",
                "lead one key of the circle to a queue, an announcement, an outside number or the end",
            )
        own = {number.digits for number in numbers}
        for n, key in enumerate(menu.keys):
            if key.choice is Choice.FORWARD and key.to in own:
                table.sheet.wrong(
                    table.at("keys", n),
                    f"転送先 {key.to} はこのセンター自身の番号です。かけた人がまたここに着きます",
                    f"{key.to} is this centre's own number: who is forwarded arrives here again",
                    "ほかの番号を書いてください",
                    "write another number",
                )
            if name in waiting and (key.choice is Choice.QUEUE or key.language is not None):
                table.sheet.wrong(
                    table.at("keys", n),
                    "待っている人のメニューでは、言語や待ち行列は選べません",
                    "who waits already can't choose a language or a queue",
                    "wait、say、forward、message、callback、menu、end のどれかを書いてください",
                    "write wait, say, forward, message, callback, menu or end",
                )
            if name in arriving and key.choice is Choice.WAIT:
                table.sheet.wrong(
                    table.at("keys", n),
                    "「wait」は、待っている人のメニュー(溢れの規則の menu)だけで使えます",
                    '"wait" is for a menu of callers who wait (an overflow rule\'s) only',
                    "queue などを書くか、このメニューに来る道を分けてください",
                    "write e.g. queue, or make a menu of its own for those",
                )
        if name in by_night:
            for n, key in enumerate(menu.keys):
                if key.choice in (Choice.QUEUE, Choice.CALLBACK):
                    table.sheet.wrong(
                        table.at("keys", n),
                        "時間外のメニューから、オペレーターにはつなげません",
                        "out of hours a key can't lead to an agent",
                        "queue や callback の代わりに say、forward、message、menu、end のどれかを書いてください",
                        "write say, forward, message, menu or end instead of queue or callback",
                    )


def _reached(menus: dict[str, Menu], start: list[str]) -> set[str]:
    found: set[str] = set()
    todo = [name for name in start if name in menus]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            keys = menus[name].keys
            todo += [key.to for key in keys if key.choice is Choice.MENU and key.to in menus]
    return found


def check_speakers(found: Menus, numbers: tuple[Number, ...], first: str, spoken: set[str]) -> None:
    """Notes a language that callers may choose in hours, when every menu goes on to an agent, and that no agent has.
    `spoken`: the agents' skills."""
    by_day = _reached(
        {menu.id: menu for menu in found.menus}, [n.menu for n in numbers if n.menu is not None]
    )
    for menu, table in zip(found.menus, found.tables, strict=True):
        for n, key in enumerate(menu.keys if menu.id in by_day else ()):
            if key.language not in (None, first, *spoken):
                table.sheet.wrong(
                    table.at("keys", n),
                    f"言語「{key.language}」を話すオペレーターがいません",
                    f'no agent speaks the language "{key.language}"',
                    f"オペレーターに skills = {{ {key.language} = 1 }} を加えるか、このキーを消してください",
                    f"give an agent skills = {{ {key.language} = 1 }}, or take this key out",
                )
