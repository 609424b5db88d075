"""The demo's own centre file: open around now, with phones and agents as many as wanted.

It is a centre file like any other, read and checked by the same reader; only its hours are made for the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callcore.domain.centre import Announcement

CENTRE = "demo"
NUMBER = "0975105151"
"""The number of the specification that the first centre was built after; dialled in tests and the demo only."""

TEXTS = {
    "recording_notice": "この通話は、録音しています。",
    "greeting": "お電話ありがとうございます。デモ用コールセンターです。",
    "closed": "お電話ありがとうございます。デモ用コールセンターの本日の受付は、終了しました。"
    "受付時間になりましたら、おかけ直しください。",
    "apology": "申し訳ございません。ただいまおつなぎすることができません。しばらくたってから、おかけ直しください。",
}
"""The audio of these is shipped below `ivr_prompts/demo/ja`."""

ANNOUNCEMENTS = tuple(Announcement(kind, "ja", text, f"{CENTRE}/ja/{kind}") for kind, text in TEXTS.items())

ALWAYS = ("00:00-24:00",)


@dataclass(frozen=True, slots=True)
class DemoCentre:
    """What varies. `windows` are the opening hours of each date (ISO) in Asia/Tokyo; lengths in seconds."""

    agents: int = 6
    ring_s: int = 15
    acw_s: int = 30
    rest_s: int = 20
    longest_wait_s: int = 1800
    weekly: Sequence[str] = ALWAYS
    days: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Dates with hours of their own; without windows: closed."""
    service_level_s: int = 20
    short_abandon_s: int = 5
    may_close: tuple[int, ...] = ()
    """Agents, from 1, who may switch the emergency closure from their phones."""
    menu: str = ""
    """Where calls begin; the menu itself stands in `more`."""
    closed_menu: str = ""
    """Likewise out of hours."""
    more: str = ""
    """Further tables of the centre file, e.g. `[staff]`."""

    def phone(self, n: int) -> str:
        """The id of the n-th phone, from 1."""
        return f"{CENTRE}-p{n}"

    def agent(self, n: int) -> str:
        """The number of the n-th agent, from 1."""
        return str(1000 + n)

    def toml(self) -> str:
        """The centre file."""
        hours = ", ".join(f'"{w}"' for w in self.weekly)
        days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        parts = [
            f"""\
[centre]
id = "{CENTRE}"
name = "デモ用コールセンター"
name_en = "Demo call centre"
time_zone = "Asia/Tokyo"
languages = ["ja"]
{f'closed_menu = "{self.closed_menu}"' if self.closed_menu else ""}

[targets]
answer_ratio = 0.90
service_level_s = {self.service_level_s}
short_abandon_s = {self.short_abandon_s}

[hours]
holidays = "open"

[hours.weekly]""",
            *(f"{day} = [{hours}]" for day in days),
        ]
        for date, windows in self.days:
            listed = ", ".join(f'"{w}"' for w in windows)
            parts.append(f'\n[[hours.days]]\ndate = "{date}"\nwindows = [{listed}]\nreason = "デモ"')
        parts.append(f"""
[[numbers]]
digits = "{NUMBER}"
queue = "general"
{f'menu = "{self.menu}"' if self.menu else ""}

[[queues]]
id = "general"
name = "総合案内"
ring_s = {self.ring_s}
acw_s = {self.acw_s}
rest_no_answer_s = {self.rest_s}
rest_reject_s = {self.rest_s}
rest_busy_s = {min(self.rest_s, 5)}
rest_unreachable_s = {min(self.rest_s, 10)}
longest_wait_s = {self.longest_wait_s}
priority = 5""")
        seats = range(1, self.agents + 1)
        parts.extend(
            f'\n[[phones]]\nid = "p{n}"\nseat = "A-{n}"\nmaker = "simulated"\nmodel = "baresip"'
            for n in seats
        )
        parts.extend(
            f'\n[[agents]]\nid = "{self.agent(n)}"\nname = "オペレーター{n:02}"\nqueues = ["general"]'
            + ("\nemergency = true" if n in self.may_close else "")
            for n in seats
        )
        parts.extend(f'\n[announcements.{kind}]\nja = "{text}"' for kind, text in TEXTS.items())
        return "\n".join([*parts, self.more]) + "\n"
