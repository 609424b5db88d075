"""Centre files with menus for tests, on both sides of the door and for who waits, and words for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from callcore.demo.centre import CENTRE, TEXTS, DemoCentre
from callcore.prompts import shelf
from tests.support.prompts import SHIPPED, brief_welcome, put_prompt
from tests.support.sip import RATE, tone

FULL, CHOICE = "満員です。", {"ja": "日本語は1です。", "en": "For English, press 2."}
"""What the manifest says; the audio is other prompts' of the shipped ones."""
NATIONAL = "0120950178"
"""Where forwarded calls go."""


def menu(
    name: str, say: str, keys: dict[str, str], *, timeout_s: int = 2, tries: int = 2, languages: bool = False
) -> str:
    """A table `[[menus]]`. `keys`: what stands below each, lines of the centre file."""
    head = f'[[menus]]\nid = "{name}"\nsay = "{say}"\ntimeout_s = {timeout_s}\ntries = {tries}\n'
    head += "languages = true\n" if languages else ""
    return head + "".join(f'[[menus.keys]]\nkey = "{key}"\n{what}\n' for key, what in keys.items())


def says(kind: str, *spoken: str) -> str:
    """A table `[announcements.…]` for `full` or `language_choice`."""
    texts = CHOICE if kind == "language_choice" else dict.fromkeys(CHOICE, FULL)
    return f"[announcements.{kind}]\n" + "".join(f'{each} = "{texts[each]}"\n' for each in spoken)


def languages(name: str, leads: str = "", *, timeout_s: int = 2, tries: int = 2) -> str:
    """A choice of Japanese (1) and English (2). `leads`: the menu behind it; empty: an agent."""
    behind = f'\nmenu = "{leads}"' if leads else ""
    keys = {key: f'language = "{each}"{behind}' for key, each in (("1", "ja"), ("2", "en"))}
    return menu(name, "language_choice", keys, timeout_s=timeout_s, tries=tries, languages=True)


def full(*, timeout_s: int = 4, tries: int = 3) -> str:
    """The menu `full` for who is beyond the agents; information is `wrong_key`."""
    keys = {
        "1": "wait = true",
        "2": 'say = "wrong_key"',
        "3": f'forward = "{NATIONAL}"',
        "5": "callback = true",
        "6": "message = true",
        "9": "end = true",
    }
    return menu("full", "full", keys, timeout_s=timeout_s, tries=tries)


BEYOND = '[[queues.overflow]]\nwaiting = 1\nthen = "menu"\nmenu = "full"\n'
"""Who finds somebody waiting is led into the menu `full`."""


def comfort(first: int = 2, *, cut: bool = False) -> str:
    """The place is told after so many seconds, and each half minute."""
    return (
        f"[queues.comfort]\nevery_s = 30\nfirst_s = {first}\nplace = true\nwait = false\n"
        f"cut = {str(cut).lower()}\n"
    )


@dataclass(frozen=True, slots=True)
class Waits(DemoCentre):
    """With `rules` in its queue's table, and perhaps two languages, which every agent speaks."""

    rules: str = ""
    two: bool = False
    remember_days: int = 30

    def toml(self) -> str:
        told = DemoCentre.toml(self)
        first, last = told.split("[[phones]]", 1)
        if self.two:
            first = first.replace(
                'languages = ["ja"]',
                f'languages = ["ja", "en"]\nremember_language_days = {self.remember_days}',
            )
            last = last.replace('queues = ["general"]', 'queues = ["general"]\nskills = { en = 1 }')
        return f"{first}{self.rules}\n[[phones]]{last}"


def prompts(home: Path) -> Path:
    """What is shipped in these languages, after a brief welcome, and words for these menus."""
    folder = brief_welcome(home, *CHOICE)
    for language, text in CHOICE.items():
        sound = (SHIPPED / "ja" / "no_key.ulaw").read_bytes()
        put_prompt(folder, f"{CENTRE}/{language}/full", FULL, sound)
        sound = (SHIPPED / language / "wrong_key.ulaw").read_bytes()
        put_prompt(folder, f"{CENTRE}/{language}/language_choice", text, sound)
    return folder


def brief_prompts(home: Path) -> Path:
    """The same, but each announcement is over after a second."""
    folder = prompts(home)
    second = tone(300)
    assert len(second) == RATE
    for language, choice in CHOICE.items():
        for kind in shelf.CALLERS_KINDS:
            name = f"{language}/{kind}"
            put_prompt(folder, name, shelf.text(folder, name) or "", second)
        put_prompt(folder, f"{CENTRE}/{language}/full", FULL, second)
        put_prompt(folder, f"{CENTRE}/{language}/language_choice", choice, second)
    for kind, text in TEXTS.items():
        put_prompt(folder, f"{CENTRE}/ja/{kind}", text, second)
    return folder
