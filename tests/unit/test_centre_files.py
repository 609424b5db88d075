"""Whoever writes a centre file: a good file is understood, a wrong one is shown its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcore import centres
from callcore.centres.lines import Lines
from callcore.domain.centre import Cause, Guest, ListedCaller, Order, Overflow, Rung
from callcore.domain.hours import SpecialDay, Window, YearlyRange
from callcore.domain.ids import AgentId
from callcore.domain.stages import Treatment
from callcore.prompts import shelf, spoken
from tests.support.prompts import put_prompt

PROJECT = Path(__file__).parents[2]
TODAY = date(2026, 11, 20)

GOOD = """\
[centre]
id = "mori"
name = "森市コールセンター"
name_en = "Mori City Call Centre"

[hours.weekly]
monday = ["08:30-12:00", "13:00-18:00:30"]
saturday = ["22:00-24:00"]

[[hours.yearly]]
first = "12-29"
last = "01-03"
reason = "年末年始"

[[hours.days]]
date = 2026-12-29
windows = ["09:00-12:00"]
reason = "年末開庁"

[[numbers]]
digits = "0975105151"
queue = "general"

[[queues]]
id = "general"
name = "総合案内"
ring_s = 20

[[networks]]
id = "honcho"
addresses = ["192.0.2.0/24"]

[[phones]]
id = "p1"
seat = "A-1"
maker = "panasonic"
model = "KX-HDV230"
mac = "00:00:5e:00:53:01"

[[agents]]
id = "1001"
name = "オペレーター01"
phone = "p1"

[announcements]
recording_notice.ja = "録音しています。"
greeting.ja = "お電話ありがとうございます。"
closed.ja = "受付時間外です。"
apology.ja = "申し訳ございません。"
"""

TEXTS = {
    "recording_notice": "録音しています。",
    "greeting": "お電話ありがとうございます。",
    "closed": "受付時間外です。",
    "apology": "申し訳ございません。",
}


@dataclass
class Desk:
    """A folder of centre files and a folder of prompts, as an operator has them."""

    folder: Path
    sounds: Path

    def write(self, source: str | bytes, name: str = "mori.toml") -> Path:
        file = self.folder / name
        file.write_bytes(source if isinstance(source, bytes) else source.encode())
        return file

    def prompt(self, sound: str, text: str) -> None:
        put_prompt(self.sounds, sound, text)

    def problems(self) -> list[centres.Problem]:
        with pytest.raises(centres.CentreFileErrors) as caught:
            centres.load(self.folder, self.sounds, today=TODAY)
        return list(caught.value.problems)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "centres", tmp_path / "sounds")
    made.folder.mkdir()
    for kind in shelf.COMMON_KINDS:
        made.prompt(f"common/ja/{kind}", "何か。")
    for kind, text in TEXTS.items():
        made.prompt(f"mori/ja/{kind}", text)
    return made


def test_the_shipped_oita_file_is_right_and_says_what_the_contract_says() -> None:
    configuration = centres.load(PROJECT / "centres", PROJECT / "ivr_prompts", today=TODAY)
    (oita,) = (centre for centre in configuration.centres if centre.id == "oita")
    assert [number.digits for number in oita.numbers] == ["0975105151"]
    assert (oita.target_answer_ratio, oita.service_level_s, oita.time_zone) == (0.90, 20, "Asia/Tokyo")
    assert [len(windows) for windows in oita.calendar.weekly] == [1, 1, 1, 1, 1, 0, 0]
    assert oita.calendar.weekly[0] == (Window(8 * 3600 + 1800, 18 * 3600),)
    assert oita.calendar.yearly == (YearlyRange((12, 29), (1, 3), "年末年始"),)
    assert ("2026-09-22", "国民の休日") in oita.calendar.holidays
    assert (len(oita.agents), len(oita.phones)) == (6, 8)


def test_a_good_file_becomes_a_configuration_with_ids_that_are_unique_everywhere(desk: Desk) -> None:
    desk.write(GOOD)
    (mori,) = centres.load(desk.folder, desk.sounds, today=TODAY).centres
    assert (mori.queues[0].id, mori.queues[0].ring_s, mori.queues[0].acw_s) == ("mori-general", 20, 30)
    assert mori.numbers[0].queue == "mori-general"
    assert mori.phones[0].id == "mori-p1"
    assert (mori.agents[0].id, mori.agents[0].phone) == ("1001", "mori-p1")
    assert mori.agents[0].queues == ("mori-general",)
    assert mori.calendar.weekly[0] == (Window(30600, 43200), Window(46800, 64830))
    assert mori.calendar.weekly[5] == (Window(79200, 86400),)
    assert mori.calendar.special == (SpecialDay("2026-12-29", (Window(32400, 43200),), "年末開庁"),)
    assert [a.sound for a in mori.announcements] == [f"mori/ja/{kind}" for kind in centres.KINDS]
    assert {day[:4] for day, _ in mori.calendar.holidays} == {"2025", "2026", "2027", "2028"}


def test_loading_twice_gives_the_same_and_a_change_of_meaning_gives_another_version(desk: Desk) -> None:
    desk.write(GOOD)
    first = centres.load(desk.folder, desk.sounds, today=TODAY)
    assert centres.load(desk.folder, desk.sounds, today=TODAY) == first
    desk.write("# 注記\n" + GOOD)
    assert centres.load(desk.folder, desk.sounds, today=TODAY) == first
    desk.write(GOOD.replace("ring_s = 20", "ring_s = 21"))
    assert centres.load(desk.folder, desk.sounds, today=TODAY).version != first.version


def test_a_centre_that_opens_on_holidays_has_none_in_its_calendar(desk: Desk) -> None:
    desk.write(GOOD.replace("[hours.weekly]", '[hours]\nholidays = "open"\n[hours.weekly]'))
    assert centres.load(desk.folder, desk.sounds, today=TODAY).centres[0].calendar.holidays == ()


WRONG = {
    "an unknown option": ("ring_s = 20", "rings_s = 20", "rings_s", "「ring_s」ではありませんか"),
    "an unknown table": ("[[agents]]", "[[agent]]", "agent", "「agents」ではありませんか"),
    "an unknown day": ('monday = ["08:30-12', 'mondays = ["08:30-12', "mondays", "「monday」"),
    "a number without quotes": (
        'digits = "0975105151"',
        "digits = 975105151",
        "文字列",
        'digits = "0975105151"',
    ),
    "a number with hyphens": ('"0975105151"', '"097-510-5151"', "半角数字", 'digits = "0975105151"'),
    "a number in full width": ('"0975105151"', '"\uff10975105151"', "半角数字", "digits"),
    "a truth for a number": ("ring_s = 20", "ring_s = true", "整数", "ring_s = 15"),
    "seconds below nothing": ("ring_s = 20", "ring_s = -1", "5 から 120", "ring_s = 15"),
    "a ratio in per cent": ("[hours.weekly]", "[targets]\nanswer_ratio = 90\n[hours.weekly]", "90", "0.9"),
    "no number at all": ("[hours.weekly]", "[targets]\nanswer_ratio = nan\n[hours.weekly]", "nan", "0.9"),
    "25 o'clock": ('["22:00-24:00"]', '["22:00-25:00"]', "ありえない時刻", "00:00 から 24:00"),
    "minute 60": ('["22:00-24:00"]', '["22:60-23:00"]', "ありえない時刻", "00:00 から 24:00"),
    "closing before opening": ('["22:00-24:00"]', '["22:00-02:00"]', "より後になっていません", "00:00-02:00"),
    "a window of no length": ('["22:00-24:00"]', '["22:00-22:00"]', "より後になっていません", "後の時刻"),
    "hours in another form": ('["22:00-24:00"]', '["22時~24時"]', "読めません", "HH:MM-HH:MM"),
    "windows that overlap": ('"13:00-18:00:30"', '"11:59-18:00"', "重なっています", "ひとつにまとめて"),
    "a day that never comes": ('"12-29"', '"02-30"', "月日はありません", "MM-DD"),
    "a date that never comes": ("date = 2026-12-29", 'date = "2026-02-30"', "日付", "2026-10-04"),
    "a zone that is not": (
        'name_en = "M',
        'time_zone = "Asia/Tokio"\nname_en = "M',
        "Asia/Tokio",
        "「Asia/Tokyo」ではありませんか",
    ),
    "a language not spoken": ('name_en = "M', 'languages = ["ja", "jp"]\nname_en = "M', "jp", "使えるもの"),
    "an id with blanks": ('id = "mori"', 'id = "Mori City"', "Mori City", 'id = "oita"'),
    "an id with a path": ('id = "p1"\nseat', 'id = "../p1"\nseat', "../p1", 'id = "p1"'),
    "an id of callcore's own": ('id = "mori"', 'id = "common"', "callcore が使う名前", "別の ID"),
    "an agent number in letters": ('id = "1001"', 'id = "yama"', "半角数字", 'id = "1001"'),
    "a name over two lines": ('name = "オペレーター01"', 'name = "オペ\\nレーター"', "制御文字", "1行で"),
    "a phone that is not here": ('phone = "p1"', 'phone = "p2"', "電話機はこのファイルにありません", "p1"),
    "a queue that is not here": (
        'queue = "general"',
        'queue = "genral"',
        "このファイルにありません",
        "「general」",
    ),
    "a MAC in another form": ("00:00:5e:00:53:01", "00-00-5E-00-53-01", "MAC", "小文字"),
    "a maker that callcore does not know": ('"panasonic"', '"softphone"', "maker", "yealink"),
    "a model of another maker": ('"KX-HDV230"', '"SIP-T46U"', "panasonic の機種", "KX-HDV"),
    "a network that is none": ('"192.0.2.0/24"', '"192.0.2.7/24"', "ネットワーク", "10.20.30.0/24"),
    "an extension that might be an outside number": (
        'seat = "A-1"',
        'seat = "A-1"\nextension = "110"',
        "内線",
        "201",
    ),
    "a User-Agent that callcore knows better": (
        'seat = "A-1"',
        'seat = "A-1"\nuser_agent = "x"',
        "User-Agent",
        "消して",
    ),
    "keys that send digits, of a phone that has no file of keys": (
        'maker = "panasonic"\nmodel = "KX-HDV230"',
        'maker = "yealink"\nmodel = "SIP-T46U"\ndigit_keys = true',
        "yealink SIP-T46U では使いません",
        "消して",
    ),
    "a certificate shown over UDP": (
        'maker = "panasonic"\nmodel = "KX-HDV230"',
        'maker = "yealink"\nmodel = "SIP-T46U"\ntransport = "udp"',
        "証明書",
        "certificate = false",
    ),
    "a certificate of a model that bears none": (
        'seat = "A-1"',
        'seat = "A-1"\ncertificate = true',
        "証明書を持っていません",
        "消して",
    ),
    "a network that is not in the file": (
        'seat = "A-1"',
        'seat = "A-1"\nnetwork = "honchou"',
        "[[networks]]",
        "honcho",
    ),
    "a changed announcement": (
        'closed.ja = "受付時間外',
        'closed.ja = "本日の受付時間外',
        "別の文",
        "callcore prompts build",
    ),
}


PERIOD = """\
[hours]
holidays = "sunday"
closing = "at_once"

[[hours.periods]]
first = 2027-02-01
last = 2027-02-07
reason = "短い期間"
windows = ["08:30-20:00"]

[[hours.periods]]
first = 2027-01-01
last = 2027-03-31
reason = "長い期間"
[hours.periods.weekly]
monday = ["09:00-12:00"]

[[hours.yearly]]
first = "06-01"
last = "06-30"
reason = "納付月"
windows = ["08:30-19:00"]

[hours.weekly]
sunday = ["10:00-12:00"]
"""
SEASONS = GOOD.replace("[hours.weekly]\n", PERIOD)
"""`GOOD` with periods, a range of each year with hours, and holidays like Sundays."""


def test_periods_yearly_hours_and_holidays_like_sundays_are_understood(desk: Desk) -> None:
    desk.write(SEASONS)
    calendar = centres.read(desk.folder, today=TODAY).centres[0].calendar
    short, long = calendar.periods
    assert (short.first, short.last, short.reason) == ("2027-02-01", "2027-02-07", "短い期間")
    assert short.weekly == ((Window(30600, 72000),),) * 7
    assert long.weekly == ((Window(32400, 43200),), *((),) * 6)
    assert calendar.yearly[0] == YearlyRange((6, 1), (6, 30), "納付月", ((Window(30600, 68400),),) * 7)
    assert calendar.yearly[1] == YearlyRange((12, 29), (1, 3), "年末年始")
    assert calendar.holiday_windows == (Window(36000, 43200),) and calendar.close_at_once
    desk.write(GOOD)
    plain = centres.read(desk.folder, today=TODAY).centres[0].calendar
    assert (plain.holiday_windows, plain.periods, plain.close_at_once) == ((), (), False)


FRAME = """\
[hours.frame]
monday = ["08:00-20:00"]
tuesday = ["08:00-20:00"]
wednesday = ["08:00-20:00"]
thursday = ["08:00-20:00"]
friday = ["08:00-20:00"]
sunday = ["09:00-17:00"]

[hours.weekly]
"""


def framed(more: str, holidays: str = "sunday") -> str:
    """`GOOD` with a frame in which Saturdays are closed."""
    hours = f'[hours]\nholidays = "{holidays}"\n\n{more}\n{FRAME}sunday = ["09:00-17:00"]\n'
    return GOOD.replace('saturday = ["22:00-24:00"]\n', "").replace("[hours.weekly]\n", hours)


@pytest.mark.parametrize(
    ("more", "when", "frame"),
    [
        ('[[hours.days]]\ndate = 2026-10-05\nreason = "r"\nwindows = ["08:00-20:00"]', None, None),
        (
            '[[hours.days]]\ndate = 2026-10-05\nreason = "r"\nwindows = ["08:00-20:30"]',
            "2026-10-05: 08:00-20:30",
            "08:00-20:00",
        ),
        (
            '[[hours.days]]\ndate = 2026-10-12\nreason = "r"\nwindows = ["09:00-18:00"]',  # a holiday
            "2026-10-12: 09:00-18:00",
            "09:00-17:00",
        ),
        (
            '[[hours.days]]\ndate = 2026-10-03\nreason = "r"\nwindows = ["09:00-10:00"]',
            "2026-10-03: 09:00-10:00",
            "closed",
        ),
        # Monday to Friday, a holiday among them
        (
            '[[hours.periods]]\nfirst = 2026-10-05\nlast = 2026-10-09\nreason = "r"\nwindows = ["08:00-20:00"]',
            None,
            None,
        ),
        (
            '[[hours.periods]]\nfirst = 2026-10-05\nlast = 2026-10-11\nreason = "r"\nwindows = ["09:00-17:00"]',
            "saturday: 09:00-17:00",
            "closed",
        ),
        (
            '[[hours.periods]]\nfirst = 2026-10-05\nlast = 2026-12-31\nreason = "r"\n'
            'weekly = { friday = ["07:00-12:00"] }',
            "friday: 07:00-12:00",
            "08:00-20:00",
        ),
        (
            '[[hours.yearly]]\nfirst = "01-04"\nlast = "03-31"\nreason = "r"\nweekly = { sunday = ["09:00-17:30"] }',
            "sunday: 09:00-17:30",
            "09:00-17:00",
        ),
    ],
)
def test_what_opens_outside_the_contracts_frame_is_refused(
    desk: Desk, more: str, when: str | None, frame: str | None
) -> None:
    desk.write(framed(more))
    if when is None:
        centres.read(desk.folder, today=TODAY)
        return
    with pytest.raises(centres.CentreFileErrors) as raised:
        centres.read(desk.folder, today=TODAY)
    (told,) = raised.value.texts("en")
    assert f"{when} is outside the contract's frame ({frame})" in told
    assert "契約の枠" in raised.value.texts("ja")[0]


def test_the_week_itself_must_lie_in_the_frame_and_on_a_closed_holiday_there_is_none(desk: Desk) -> None:
    narrow = framed("").replace("08:00-20:00", "08:30-17:00")
    desk.write(narrow)
    with pytest.raises(centres.CentreFileErrors, match="monday: 13:00-18:00:30 is outside"):
        centres.read(desk.folder, today=TODAY)
    holiday = '[[hours.days]]\ndate = 2026-10-12\nreason = "r"\nwindows = ["09:00-10:00"]'
    desk.write(framed(holiday, "closed"))
    with pytest.raises(centres.CentreFileErrors, match="2026-10-12: 09:00-10:00 is outside"):
        centres.read(desk.folder, today=TODAY)


def test_a_holiday_that_opens_inside_a_closing_is_pointed_out(desk: Desk) -> None:
    days = '[[hours.days]]\ndate = 2027-01-01\nreason = "元日"\n'

    def warned(text: str) -> list[str]:
        desk.write(text)
        return [each.what_en for each in centres.look(desk.folder, desk.sounds, today=TODAY)[1]]

    told = warned(framed(""))
    assert told == ['2027-01-01 (元日) lies in "年末年始" and opens with the hours of a public holiday']
    assert warned(framed("", "closed")) == []
    assert warned(framed(days))[0].startswith("2028-01-01")


def test_staffing_levels_are_in_order_and_the_phones_that_they_lack_are_told(desk: Desk) -> None:
    def level(name: str, seats: int, first: str) -> str:
        return f'\n[[staffing]]\nname = "{name}"\nseats = {seats}\nfirst = {first}\n'

    desk.write(GOOD + level("体制2", 9, "2027-01-01") + level("体制1", 1, "2026-04-01"))
    found, warnings = centres.look(desk.folder, desk.sounds, today=TODAY)
    assert [each.name for each in found.centres[0].staffing] == ["体制1", "体制2"]
    assert [each.what_en for each in warnings] == ['"体制2" has 9 seats, and there are 1 phones']
    over = centres.look(desk.folder, desk.sounds, today=date(2030, 1, 1))[1]
    assert len(over) == 1, "what is over needs no phones"
    desk.write(GOOD + level("体制1", 9, "2026-04-01") + level("体制1", 0, "2026-04-01"))
    with pytest.raises(centres.CentreFileErrors) as raised:
        centres.read(desk.folder, today=TODAY)
    assert len(raised.value.texts("en")) == 3, "the name, the day and the seats"


SEASONS_WRONG = {
    "a rule that is not": (
        'holidays = "sunday"',
        'holidays = "sundays"',
        "「sundays」は使えません",
        '"sunday"',
    ),
    "an ending that is not": ('closing = "at_once"', 'closing = "now"', "「now」は使えません", '"at_once"'),
    "an end before the beginning": (
        "last = 2027-02-07",
        "last = 2027-01-31",
        "より前です",
        "[[hours.yearly]]",
    ),
    "a period without an end": ("last = 2027-02-07\n", "", "「last」がありません", "last = "),
    "both kinds of hours": (
        'windows = ["08:30-20:00"]\n',
        'windows = ["08:30-20:00"]\nweekly = { monday = ["09:00-10:00"] }\n',
        "「windows」(毎日同じ)と「weekly」",
        "片方",
    ),
    "a period that no day comes to": (
        "first = 2027-02-01\nlast = 2027-02-07",
        "first = 2026-12-01\nlast = 2027-04-30",
        "この期間が使われる日はありません",
        "短い期間を先に",
    ),
    "an unknown day in a period": (
        'monday = ["09:00-12:00"]',
        'mondey = ["09:00-12:00"]',
        "mondey",
        "monday",
    ),
    "hours that overlap": (
        'windows = ["08:30-19:00"]',
        'windows = ["08:30-19:00", "18:00-20:00"]',
        "重なっています",
        "ひとつに",
    ),
}


@pytest.mark.parametrize(("old", "new", "what", "instead"), SEASONS_WRONG.values(), ids=SEASONS_WRONG.keys())
def test_a_wrong_period_is_shown_with_its_line_and_what_to_write(
    desk: Desk, old: str, new: str, what: str, instead: str
) -> None:
    assert SEASONS.count(old) >= 1
    file = desk.write(SEASONS.replace(old, new, 1))
    with pytest.raises(centres.CentreFileErrors) as caught:
        centres.read(desk.folder, today=TODAY)
    problem = next(p for p in caught.value.problems if what in p.what_ja)
    assert problem.file == file and problem.line is not None and problem.line > 1
    assert instead in problem.instead_ja and problem.what_en and problem.instead_en


def test_an_announcement_for_emergencies_may_be_left_out_and_is_checked_when_it_is_there(desk: Desk) -> None:
    desk.write(GOOD)
    assert centres.load(desk.folder, desk.sounds, today=TODAY)
    desk.write(GOOD + 'emergency.ja = "臨時休止中です。"\n')
    assert [p.what_en.split("/")[-1] for p in desk.problems()] == ["emergency.ulaw is missing"]
    desk.prompt("mori/ja/emergency", "臨時休止中です。")
    (mori,) = centres.load(desk.folder, desk.sounds, today=TODAY).centres
    assert mori.announcements[-1].kind == "emergency"


@pytest.mark.parametrize(("old", "new", "what", "instead"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_entry_is_shown_with_its_line_and_what_to_write(
    desk: Desk, old: str, new: str, what: str, instead: str
) -> None:
    source = GOOD.replace(old, new, 1)
    file = desk.write(source)
    problem = next(p for p in desk.problems() if what in p.what_ja)
    changed = source[: source.index(new)].count("\n") + 1
    assert problem.file == file
    assert problem.line is not None
    assert changed <= problem.line <= changed + new.count("\n")
    assert instead in problem.instead_ja
    assert problem.what_en
    assert problem.instead_en
    assert problem.text("ja").startswith(f"{file}:{problem.line}: ")
    assert problem.text("en").startswith(f"{file}:{problem.line}: ")


OTHER = """\
[centre]
id = "kawa"
name = "川市コールセンター"
name_en = "Kawa City Call Centre"

[hours.weekly]
monday = ["08:30-18:00"]

[[numbers]]
digits = "0975105152"
queue = "general"

[[queues]]
id = "general"
name = "総合案内"

[[agents]]
id = "2001"
name = "オペレーター21"

[sharing]
lends_to = ["mori"]

[announcements]
recording_notice.ja = "録音しています。"
greeting.ja = "お電話ありがとうございます。"
closed.ja = "受付時間外です。"
apology.ja = "申し訳ございません。"
"""
"""A neighbour that lends its agents to `mori`."""

WHOLE = (
    GOOD.replace('"Mori City Call Centre"\n', '"Mori City Call Centre"\nlines = 4\n')
    .replace(
        "ring_s = 20\n",
        """\
ring_s = 20
needs = { en = 1 }
order = "random"
ring_at_once = 2
seed = 7
acw_extend_s = 90
acw_most_s = 900
handling_s = 240
patience_s = 120

[[queues.ladder]]
after_s = 30
level = 2

[[queues.ladder]]
after_s = 60
agents_of = ["second"]

[[queues.overflow]]
no_agent = true
then = "queue"
queue = "second"

[[queues.overflow]]
estimated_wait_s = 300
then = "agents"
agents_of = "kawa/general"

[[queues.overflow]]
per_agent = 1.5
then = "announce"

[[queues]]
id = "second"
name = "二次受付"

[[queues.overflow]]
lines = true
then = "busy"
""",
    )
    .replace('phone = "p1"\n', 'phone = "p1"\nskills = { en = 2, ja = 1 }\n')
    .replace('queue = "general"\n', 'queue = "general"\npriority = 2\n')
    .replace(
        "[announcements]\n",
        """\
[targets]
test_numbers = ["0970000099"]

[staff]
pause_after_misses = 5

[sharing]
keep = 1
guests_most = 2

[[guests]]
agent = "2001"
queues = ["second"]

[[callers]]
number = "+81312345678"
priority = 1
reason = "市役所本庁"

[announcements]
overflow.ja = "混み合っております。"
""",
    )
)
"""`GOOD` with every option of routing, beside the neighbour."""


def test_skills_ladders_overflow_and_sharing_are_understood(desk: Desk) -> None:
    desk.write(WHOLE)
    desk.write(OTHER, "kawa.toml")
    kawa, mori = centres.read(desk.folder, today=TODAY).centres
    general, second = mori.queues
    assert (general.needs, general.order, general.ring_at_once, general.seed) == (
        (("en", 1),),
        Order.RANDOM,
        2,
        7,
    )
    assert (general.acw_extend_s, general.acw_most_s, general.handling_s, general.patience_s) == (
        90,
        900,
        240,
        120,
    )
    assert general.ladder == (Rung(30, 2), Rung(60, None, (second.id,)))
    assert general.overflow == (
        Overflow(Cause.NO_AGENT, Treatment.QUEUE, 0, second.id),
        Overflow(Cause.ESTIMATED_WAIT, Treatment.AGENTS, 300, kawa.queues[0].id),
        Overflow(Cause.PER_AGENT, Treatment.ANNOUNCE, 1.5),
    )
    assert second.overflow == (Overflow(Cause.LINES, Treatment.BUSY),)
    assert mori.agents[0].skills == (("en", 2), ("ja", 1))
    assert (mori.numbers[0].priority, mori.lines, mori.pause_after_misses) == (2, 4, 5)
    assert (mori.keep, mori.guests_most, kawa.lends_to) == (1, 2, ("mori",))
    assert mori.guests == (Guest(AgentId("2001"), (second.id,)),)
    assert mori.test_numbers == ("0970000099",)
    assert mori.callers == (ListedCaller("+81312345678", 1, "市役所本庁"),)
    assert [a.kind for a in mori.announcements] == [*centres.KINDS, centres.OVERFLOW_KIND]


def test_the_order_in_which_skills_are_written_makes_no_other_version(desk: Desk) -> None:
    desk.write(OTHER, "kawa.toml")
    desk.write(WHOLE)
    first = centres.read(desk.folder, today=TODAY)
    desk.write(WHOLE.replace("{ en = 2, ja = 1 }", "{ ja = 1, en = 2 }"))
    assert centres.read(desk.folder, today=TODAY).version == first.version
    desk.write(WHOLE.replace('order = "random"', 'order = "linear"'))
    assert centres.read(desk.folder, today=TODAY).version != first.version


def test_after_call_work_longer_than_the_usual_most_needs_no_other_line(desk: Desk) -> None:
    desk.write(GOOD.replace("ring_s = 20", "ring_s = 20\nacw_s = 900"))
    assert centres.read(desk.folder, today=TODAY).centres[0].queues[0].acw_most_s == 900


RULES_WRONG = {
    "a skill in capitals": ("{ en = 2, ja = 1 }", "{ EN = 2 }", "スキル「EN」は使えません", "skills"),
    "a level that is not": ("{ en = 2, ja = 1 }", "{ en = 0 }", "1(最良)から 9", "skills"),
    "a level in words": ("{ en = 2, ja = 1 }", '{ en = "2" }', "1(最良)から 9", "skills"),
    "a truth for a level": ("{ en = 2, ja = 1 }", "{ en = true }", "1(最良)から 9", "skills"),
    "skills in a row": ("{ en = 2, ja = 1 }", '["en"]', "表でなければ", "skills"),
    "a skill nobody has": ("needs = { en = 1 }", "needs = { zh = 1 }", "必要なスキル(zh = 2)", "ladder"),
    "a level nobody has": ("en = 2, ja = 1", "en = 3, ja = 1", "必要なスキル(en = 2)", "skills"),
    "an order that is not": ('"random"', '"fastest"', "「fastest」は使えません", "longest_idle"),
    "eleven phones at once": ("ring_at_once = 2", "ring_at_once = 11", "1 から 10", "ring_at_once"),
    "less than the work itself": ("acw_most_s = 900", "acw_most_s = 20", "より短く", "30 以上"),
    "rungs out of order": ("after_s = 60", "after_s = 30", "より後でなければ", "短い順"),
    "a rung after the end": ("after_s = 60", "after_s = 1801", "「longest_wait_s」(1800)より後", "1800"),
    "a rung that eases nothing": (
        "level = 2",
        "level = 2\n[[queues.ladder]]\nafter_s = 40\nlevel = 2",
        "何も緩みません",
        "消して",
    ),
    "a rung of nothing": ("\nlevel = 2", "", "何も変わりません", "level = 2"),
    "a rung of the queue itself": ('["second"]\n\n', '["general"]\n\n', "この待ち行列自身", "ほかの"),
    "a rung of no queue": ('["second"]\n\n', '["secnd"]\n\n', "このファイルにありません", "「second」"),
    "a rung twice": (
        '["second"]\n\n',
        '["second"]\n[[queues.ladder]]\nafter_s = 90\nagents_of = ["second"]\n\n',
        "すでに応対できる",
        "ほかの",
    ),
    "a word over two lines": ('then = "busy"', 'then = "\\nbusy"', "使えません", '"busy"'),
    "no condition": ("no_agent = true\n", "", "条件は1つの規則に1つだけ", "waiting、per_agent"),
    "two conditions": ("no_agent = true\n", "no_agent = true\nwaiting = 3\n", "(今は 2 つ)", "waiting"),
    "a condition denied": ("no_agent = true\n", "no_agent = false\n", "false は書けません", "= true"),
    "a condition in words": ("no_agent = true\n", 'no_agent = "yes"\n', "true か false", "= true"),
    "a ratio below nothing": ("per_agent = 1.5", "per_agent = -1", "0 から 999", "1.5"),
    "no treatment": ('then = "busy"\n', "", "「then」がありません", "announce"),
    "a treatment that is not": ('then = "busy"', 'then = "beep"', "「beep」は使えません", '"busy"'),
    "a move to nowhere": (
        'queue = "second"\n\n[[queues.over',
        "\n[[queues.over",
        "「queue」が必要",
        "second",
    ),
    "a move to itself": (
        'queue = "second"\n\n[[queues.over',
        'queue = "general"\n\n[[queues.over',
        "自身です",
        "ほかの",
    ),
    "a move to no queue": (
        'queue = "second"\n\n[[queues.over',
        'queue = "secnd"\n\n[[queues.over',
        "ありません",
        "「second」",
    ),
    "a move to another centre": (
        'queue = "second"\n\n[[queues.over',
        'queue = "kawa/general"\n\n[[queues.over',
        "移せません",
        "agents_of",
    ),
    "a target without its treatment": (
        'then = "busy"',
        'then = "busy"\nqueue = "general"',
        'then = "queue" のときだけ',
        "消して",
    ),
    "agents of no centre": ('"kawa/general"', '"kawaa/general"', "センターはありません", "「kawa/general」"),
    "agents of no queue there": (
        '"kawa/general"',
        '"kawa/genral"',
        "待ち行列はありません",
        "「kawa/general」",
    ),
    "lines that are not counted": ("lines = 4\n", "", "回線数が書かれていません", "lines = 23"),
    "a rule after the end": (
        "estimated_wait_s = 300",
        "longest_wait_s = 1801",
        "当てはまることがありません",
        "1800",
    ),
    "a rule that is hidden": (
        'lines = true\nthen = "busy"',
        'waiting = 3\nthen = "busy"\n\n[[queues.overflow]]\nwaiting = 5\nthen = "busy"',
        "1 番目の規則が先",
        "前に移す",
    ),
    "a rule after all": (
        'lines = true\nthen = "busy"',
        'waiting = 0\nthen = "busy"\n\n[[queues.overflow]]\nlines = true\nthen = "busy"',
        "1 番目の規則が先",
        "前に移す",
    ),
    "nobody after too many": (
        'lines = true\nthen = "busy"',
        'per_agent = 2\nthen = "busy"\n\n[[queues.overflow]]\nno_agent = true\nthen = "busy"',
        "1 番目の規則が先",
        "前に移す",
    ),
    "help asked twice": (
        'agents_of = "kawa/general"\n',
        'agents_of = "kawa/general"\n\n[[queues.overflow]]\nestimated_wait_s = 400\n'
        'then = "agents"\nagents_of = "kawa/general"\n',
        "2 番目の規則が先",
        "前に移す",
    ),
    "a circle": (
        'lines = true\nthen = "busy"',
        'waiting = 3\nthen = "queue"\nqueue = "general"',
        "元に戻ります",
        "ほかの扱い",
    ),
    "a guest of nowhere": ('agent = "2001"', 'agent = "2002"', "どのファイルにもいません", "「2001」"),
    "a guest at home": ('agent = "2001"', 'agent = "1001"', "このセンターの人", "2001"),
    "a guest for no queue": ('queues = ["second"]', "queues = []", "受け持つ待ち行列がありません", "general"),
    "a guest for a queue elsewhere": (
        'queues = ["second"]',
        'queues = ["third"]',
        "このファイルにありません",
        "second",
    ),
    "lent to nobody": (
        "keep = 1\n",
        'keep = 1\nlends_to = ["kowa"]\n',
        "ほかのセンターはありません",
        "「kawa」",
    ),
    "lent to itself": ("keep = 1\n", 'keep = 1\nlends_to = ["mori"]\n', "ほかのセンターはありません", "kawa"),
    "a caller in words": ('"+81312345678"', '"市役所"', "発信番号は半角数字", "0312345678"),
    "a caller of no priority": ("priority = 1\nreason", "reason", "「priority」がありません", "priority = 1"),
    "an option of another table": ("keep = 1", "keeps = 1", "「keeps」という項目", "「keep」"),
    "misses below nothing": ("pause_after_misses = 5", "pause_after_misses = -1", "0 から 99", "3"),
}


@pytest.mark.parametrize(("old", "new", "what", "instead"), RULES_WRONG.values(), ids=RULES_WRONG.keys())
def test_a_wrong_rule_is_shown_with_its_line_and_what_to_write(
    desk: Desk, old: str, new: str, what: str, instead: str
) -> None:
    assert WHOLE.count(old) >= 1
    file = desk.write(WHOLE.replace(old, new, 1))
    desk.write(OTHER, "kawa.toml")
    with pytest.raises(centres.CentreFileErrors) as caught:
        centres.read(desk.folder, today=TODAY)
    problem = next(p for p in caught.value.problems if what in p.what_ja)
    assert problem.file == file
    assert problem.line is not None and problem.line > 1
    assert instead in problem.instead_ja
    assert problem.what_en
    assert problem.instead_en


def test_a_centre_that_does_not_lend_is_not_borrowed_from(desk: Desk) -> None:
    file = desk.write(WHOLE)
    desk.write(OTHER.replace('lends_to = ["mori"]', "lends_to = []"), "kawa.toml")
    (problem,) = (p for p in desk.problems() if "貸していません" in p.what_ja)
    assert problem.file == file
    assert problem.line == WHOLE[: WHOLE.index('agents_of = "kawa')].count("\n") + 1
    assert 'lends_to = ["mori"]' in problem.instead_en


def test_a_queue_that_only_guests_serve_is_served(desk: Desk) -> None:
    desk.write(OTHER, "kawa.toml")
    served = GOOD.replace('phone = "p1"', "queues = []") + '\n[[guests]]\nagent = "2001"\n'
    desk.write(served)
    _, mori = centres.read(desk.folder, today=TODAY).centres
    assert mori.guests[0].queues == ("mori-general",)


def test_a_name_in_a_file_that_cannot_be_read_is_not_called_wrong(desk: Desk) -> None:
    desk.write(WHOLE)
    desk.write("[centre\n", "kawa.toml")
    with pytest.raises(centres.CentreFileErrors) as caught:
        centres.read(desk.folder, today=TODAY)
    assert [problem.file.name for problem in caught.value.problems] == ["kawa.toml"]


def test_the_announcement_for_too_many_callers_is_made_and_checked_like_the_others(desk: Desk) -> None:
    desk.write(WHOLE)
    desk.write(OTHER, "kawa.toml")
    for kind in centres.KINDS:
        desk.prompt(f"kawa/ja/{kind}", TEXTS[kind])
    assert [p.what_en.split("/")[-1] for p in desk.problems()] == ["overflow.ulaw is missing"]
    desk.prompt("mori/ja/overflow", "混み合っております。")
    assert centres.load(desk.folder, desk.sounds, today=TODAY)
    desk.write(WHOLE.replace('overflow.ja = "混み合っております。"\n', "", 1))
    [problem] = desk.problems()
    assert problem.what_ja == "案内「overflow」の「ja」がありません"
    assert problem.instead_ja == '例: ja = "お電話ありがとうございます。"'


MISSING = {
    "a table": ("[[numbers]]", "numbers", 1),
    "a key": ('digits = "0975105151"\n', "digits", 20),
    "an announcement": ('closed.ja = "受付時間外です。"\n', "closed」の「ja", 45),
    "a name": ('name = "総合案内"\n', "name", 24),
}


@pytest.mark.parametrize(("cut", "what", "line"), MISSING.values(), ids=MISSING.keys())
def test_what_is_missing_is_shown_at_the_table_it_belongs_in(
    desk: Desk, cut: str, what: str, line: int
) -> None:
    source = GOOD.replace(cut, "", 1)
    if cut == "[[numbers]]":
        source = source.replace('digits = "0975105151"\nqueue = "general"\n', "")
    desk.write(source)
    assert any(f"「{what}」がありません" in p.what_ja and p.line == line for p in desk.problems())


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file(desk: Desk) -> None:
    desk.write(
        GOOD.replace("ring_s = 20", "ring_s = 0").replace('"p1"\n[a', '"p9"\n[a').replace("24:00", "25:00")
    )
    lines = [problem.line for problem in desk.problems()]
    assert lines == sorted(line for line in lines if line is not None)
    assert len(lines) == 2


def test_two_files_that_claim_the_same_things_are_told_which_came_first(desk: Desk) -> None:
    desk.write(GOOD, "a.toml")
    desk.write(GOOD, "b.toml")
    found = desk.problems()
    assert {problem.file.name for problem in found} == {"b.toml"}
    for thing, line in (
        ("コールセンター ID", 2),
        ("着信番号", 21),
        ("待ち行列 ID", 25),
        ("電話機 ID", 34),
        ("番号「1001」", 41),
    ):
        (problem,) = (p for p in found if thing in p.what_ja)
        assert problem.line == line
        assert f"a.toml の {line} 行目" in problem.what_ja


def test_ids_that_meet_only_once_the_centre_is_put_in_front_are_refused(desk: Desk) -> None:
    desk.write(GOOD, "a.toml")
    other = (
        GOOD.replace('id = "mori"', 'id = "mori-x"')
        .replace("0975105151", "0975105152")
        .replace("1001", "1002")
    )
    desk.write(other.replace("general", "y").replace('"p1"', '"q1"'), "b.toml")
    desk.write(
        GOOD.replace('"mori"', '"mo"')
        .replace("0975105151", "0975105153")
        .replace("1001", "1003")
        .replace("general", "z")
        .replace('"p1"', '"q2"'),
        "c.toml",
    )
    desk.write(GOOD.replace("general", "x-y"), "a.toml")
    assert any("待ち行列 ID「mori-x-y」" in problem.what_ja for problem in desk.problems())


def test_an_agent_or_number_given_twice_in_one_file_is_refused(desk: Desk) -> None:
    agent = '\n[[agents]]\nid = "1001"\nname = "オペレーター02"\n'
    desk.write(GOOD + agent + '\n[[numbers]]\ndigits = "0975105151"\nqueue = "general"\n')
    assert [p.what_ja.split("」")[0] for p in desk.problems()] == [
        "オペレーター番号「1001",
        "着信番号「0975105151",
    ]


def test_a_queue_that_nobody_serves_is_refused(desk: Desk) -> None:
    desk.write(
        GOOD
        + '\n[[queues]]\nid = "late"\nname = "夜間"\n\n[[agents]]\nid = "1002"\nname = "二"\nqueues = []\n'
    )
    assert centres.load(desk.folder, desk.sounds, today=TODAY)
    desk.write(GOOD.replace('phone = "p1"', "queues = []"))
    assert any("受け持つオペレーターがいません" in problem.what_ja for problem in desk.problems())


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        (b"[centre]\nid = \n", 2, "TOML"),
        (b'[centre]\nid = "a"\nid = "b"\n', 3, "TOML"),
        (b"[centre]\nid = [\n", 2, "TOML"),
        (b"\xef\xbb\xbf" + GOOD.encode(), 1, "BOM"),
        (GOOD.encode("utf-16"), 1, "BOM"),
        (GOOD.encode("cp932"), 3, "UTF-8"),
        (b"", 1, "「centre」がありません"),
    ],
)
def test_a_file_that_is_no_toml_is_shown_where_it_breaks(
    desk: Desk, source: bytes, line: int, what: str
) -> None:
    desk.write(source)
    problem = desk.problems()[0]
    assert problem.line == line
    assert what in problem.what_ja


def test_a_folder_that_is_missing_or_empty_is_said_so(desk: Desk) -> None:
    assert "ひとつもありません" in desk.problems()[0].what_ja
    desk.folder.rmdir()
    assert "フォルダがありません" in desk.problems()[0].what_ja


def test_a_folder_in_the_place_of_a_file_is_said_so(desk: Desk) -> None:
    (desk.folder / "mori.toml").mkdir()
    assert "ファイルを読めません" in desk.problems()[0].what_ja


def test_a_prompt_that_is_missing_or_of_another_hand_is_shown(desk: Desk) -> None:
    desk.write(GOOD)
    shelf.ulaw_of(desk.sounds, "mori/ja/closed").unlink()
    shelf.text_of(desk.sounds, "common/ja/paused").unlink()
    shelf.ulaw_of(desk.sounds, "mori/ja/apology").write_bytes(b"somebody put it there")
    shelf.ulaw_of(desk.sounds, "common/ja/refused").write_bytes(b"")
    said = [problem.what_en for problem in desk.problems()]
    assert [text.split("/")[-1] for text in said] == [
        "closed.ulaw is missing",
        "apology.ulaw was not made by callcore",
        "paused.txt is missing",
        "refused.ulaw is missing",
    ]
    assert all("callcore prompts build" in problem.instead_ja for problem in desk.problems())
    assert centres.read(desk.folder, today=TODAY).centres


EN = {
    "recording_notice": "This call is recorded.",
    "greeting": "Thank you for calling.",
    "closed": "We are closed.",
    "apology": "We are sorry.",
}


def speak(desk: Desk, *languages: str) -> None:
    """Numbers, times and dates are there."""
    for language in languages:
        for name, text in spoken.vocabulary(language).items():
            desk.prompt(f"{language}/spoken/{name}", text)


def with_languages(*languages: str, substitutes: str = "") -> str:
    listed = ", ".join(f'"{each}"' for each in languages)
    return GOOD.replace('id = "mori"', f'id = "mori"\nlanguages = [{listed}]{substitutes}', 1)


def test_a_language_switched_on_needs_a_text_or_a_common_one_and_its_audio(desk: Desk) -> None:
    file = desk.write(with_languages("ja", "en"))
    said = [(problem.line is not None, problem.what_en) for problem in desk.problems()]
    assert said == [(True, f'the announcement {kind} has no text in "en"') for kind in EN]
    desk.write(with_languages("ja", "en") + "".join(f'{kind}.en = "{text}"\n' for kind, text in EN.items()))
    problems = desk.problems()
    assert [p.what_en.split("/", 1)[-1].split("mori")[-1] for p in problems] == [
        f"/en/{kind}.ulaw is missing" for kind in EN
    ]
    assert {p.file for p in problems} == {file}
    assert all("callcore prompts build" in p.instead_en for p in problems)
    for kind, text in EN.items():
        desk.prompt(f"mori/en/{kind}", text)
    (mori,) = centres.load(desk.folder, desk.sounds, today=TODAY).centres
    assert {a.kind: a.text for a in mori.announcements if a.language == "en"} == EN
    assert all(a.audio for a in mori.announcements)


def test_what_only_agents_hear_is_needed_in_the_language_that_the_centre_speaks_first(desk: Desk) -> None:
    texts = "".join(f'{kind}.en = "{text}"\n' for kind, text in EN.items())
    for kind, text in EN.items():
        desk.prompt(f"mori/en/{kind}", text)
    for kind in ("whisper", "no_emergency_call"):
        desk.write(with_languages("ja", "en") + texts + f'{kind}.en = "Mori."\n')
        said = [problem.what_en for problem in desk.problems()]
        assert [text.split("mori")[-1] for text in said] == [
            f'the announcement {kind} has no text in "ja"',
            f"/en/{kind}.ulaw is missing",
        ]
        desk.prompt(f"mori/ja/{kind}", "森です。")
        desk.write(with_languages("ja", "en") + texts + f'{kind}.ja = "森です。"\n')
        (mori,) = centres.load(desk.folder, desk.sounds, today=TODAY).centres
        assert [a.language for a in mori.announcements if a.kind == kind] == ["ja"]


def test_what_is_common_to_all_centres_is_asked_for_in_each_language_of_a_centre(desk: Desk) -> None:
    for kind, text in {**EN, "please_wait": "Please wait."}.items():
        desk.prompt(f"en/{kind}", text)
    desk.write(with_languages("ja", "en"))
    missing = [p.what_en for p in desk.problems()]
    assert [text.split("sounds/")[-1] for text in missing] == [
        'the announcement please_wait has no text in "ja"',
        "ja/spoken/place-1.ulaw is missing (and 160 more)",
        "en/spoken/place-1.ulaw is missing (and 185 more)",
    ]
    speak(desk, "ja", "en")
    desk.prompt("ja/please_wait", "お待ちください。")
    (mori,) = centres.load(desk.folder, desk.sounds, today=TODAY).centres
    told = {(a.kind, a.language): a.sound for a in mori.announcements}
    assert told["closed", "ja"] == "mori/ja/closed"
    assert told["closed", "en"] == "en/closed"
    assert told["please_wait", "en"] == "en/please_wait"
    assert mori.phrases == ()
    shelf.ulaw_of(desk.sounds, "en/spoken/place-2").unlink()
    [problem] = desk.problems()
    assert problem.what_en.endswith("en/spoken/place-2.ulaw is missing")
    desk.prompt("en/spoken/place-2", "You are third.")
    [problem] = desk.problems()
    assert problem.what_en.endswith("en/spoken/place-2.ulaw was made from another text")


def test_a_substitute_is_played_and_said_until_the_own_audio_is_there(desk: Desk) -> None:
    for kind, text in EN.items():
        desk.prompt(f"en/{kind}", text)
        desk.prompt(f"ja/{kind}", TEXTS[kind])
    desk.prompt("en/please_wait", "Please wait.")
    desk.prompt("ja/please_wait", "お待ちください。")
    speak(desk, "ja", "en")
    shelf.put(shelf.text_of(desk.sounds, "tl/greeting"), b"Salamat po.\n")
    source = with_languages("ja", "tl", substitutes='\nsubstitutes = { tl = "en" }')
    file = desk.write(source)
    configuration, [warning] = centres.look(desk.folder, desk.sounds, today=TODAY)
    told = {a.kind: a for a in configuration.centres[0].announcements if a.language == "tl"}
    assert {kind: (each.text, each.sound) for kind, each in told.items()} == {
        kind: (text, f"en/{kind}") for kind, text in {**EN, "please_wait": "Please wait."}.items()
    }
    assert configuration.centres[0].phrases == (("tl", "en"),)
    assert (warning.file, warning.line) == (file, source[: source.index("substitutes")].count("\n") + 1)
    assert warning.what_en == (
        'callers of the language "tl" hear "en" for: recording_notice, greeting, closed, apology, please_wait, spoken'
    )
    assert centres.check(desk.folder, desk.sounds, "en", today=TODAY) == []
    desk.prompt("tl/greeting", "Salamat po.")
    configuration, [warning] = centres.look(desk.folder, desk.sounds, today=TODAY)
    told = {a.kind: a for a in configuration.centres[0].announcements if a.language == "tl"}
    assert (told["greeting"].text, told["greeting"].sound) == ("Salamat po.", "tl/greeting")
    assert "greeting" not in warning.what_en
    desk.prompt("tl/greeting", "Something else.")
    shelf.put(shelf.text_of(desk.sounds, "tl/greeting"), b"Salamat po.\n")
    assert any("another text" in problem.what_en for problem in desk.problems())


@pytest.mark.parametrize("other", ["tl", "xx"])
def test_a_substitute_must_be_another_language(desk: Desk, other: str) -> None:
    desk.write(with_languages("ja", "tl", substitutes=f'\nsubstitutes = {{ tl = "{other}" }}'))
    assert any("can't be a substitute" in problem.what_en for problem in desk.problems())


def test_check_gives_lines_to_print_in_either_language(desk: Desk) -> None:
    file = desk.write(GOOD.replace("ring_s = 20", "ring_s = 1000"))
    line = GOOD[: GOOD.index("ring_s")].count("\n") + 1
    assert centres.check(desk.folder, desk.sounds, "ja", today=TODAY) == [
        f"{file}:{line}: 「ring_s」は 5 から 120 までです(今は 1000) → 例: ring_s = 15"
    ]
    assert centres.check(desk.folder, desk.sounds, "en", today=TODAY) == [
        f'{file}:{line}: "ring_s" must be 5 to 120 (it is 1000) → e.g. ring_s = 15'
    ]
    desk.write(GOOD)
    assert centres.check(desk.folder, desk.sounds, "ja", today=TODAY) == []


def test_lines_are_found_past_strings_and_comments_that_look_like_structure() -> None:
    lines = Lines(
        '# [no] = 1\n"a b" = """\n[x]\n\\"""y = 2\n"""\n'
        "l = '''\n[[q]]''' # z = 1\n"
        'm = [ # one\n  "]", # two\n  { k = "}", n = [1,\n 2] },\n]\n'
        "[t.u] # c\nv.w = 1\n[[r]]\n[[r.s]]\n[[r]]\n[[r.s]]\nend = 1979-05-27 07:32:00\n"
    )
    assert {
        path: lines.of(path) for path in [("a b",), ("l",), ("m",), ("m", 0), ("m", 1, "k"), ("m", 1, "n", 1)]
    } == {("a b",): 2, ("l",): 6, ("m",): 8, ("m", 0): 9, ("m", 1, "k"): 10, ("m", 1, "n", 1): 11}
    assert lines.of(("t", "u", "v", "w")) == 14
    assert lines.of(("r", 0, "s", 0)) == 16
    assert lines.of(("r", 1, "s", 0, "end")) == 19
    assert lines.of(("r", 1, "gone")) == 17
    assert lines.of(("nowhere",)) == 1


SCRAPS = st.sampled_from(
    [
        "",
        '"',
        "'",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "=",
        ".",
        ",",
        "#",
        "\n",
        '"""',
        "\\",
        "\r\n",
        "0",
        "-1",
        "nan",
        "1e999",
        "true",
        "[]",
        "{}",
        "[1]",
        '{a = "b"}',
        "07:30:00",
        "2026-01-01",
        "id",
        "centre",
        "\x00",
        "\u3000",
        "\u202e",
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 30), SCRAPS), min_size=1, max_size=3)
)
def test_no_mistake_of_typing_makes_the_check_itself_fall_over(
    desk: Desk, cuts: list[tuple[int, int, str]]
) -> None:
    source = WHOLE
    for place, length, scrap in cuts:
        source = source[:place] + scrap + source[place + length :]
    desk.write(source)
    for line in centres.check(desk.folder, desk.sounds, "ja", today=TODAY):
        assert re.search(r"(:\d+|\.ulaw): .+ → .+", line)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_of_a_wrong_kind_makes_the_check_itself_fall_over(desk: Desk, data: st.DataObject) -> None:
    keys = re.findall(r"(?m)^[\w.]+ = .*$", WHOLE)
    source = WHOLE
    for line in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True)):
        value = data.draw(
            st.sampled_from(
                [
                    "0",
                    "-1",
                    "1.5",
                    "nan",
                    "true",
                    "[]",
                    "[[]]",
                    "{}",
                    '""',
                    '["", 1]',
                    "07:30:00",
                    "2026-01-01",
                    "2026-01-01T00:00:00Z",
                    '"\\u0007"',
                    "[{a = 1}]",
                    '"../x"',
                ]
            )
        )
        source = source.replace(line, f"{line.split(' = ')[0]} = {value}")
    desk.write(source)
    for line in centres.check(desk.folder, desk.sounds, "en", today=TODAY):
        assert re.search(r"(:\d+|\.ulaw): .+ → .+", line)
