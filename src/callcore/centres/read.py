"""From a folder of centre files to a `Configuration`, or to everything that is wrong with them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import jpholiday

from callcore.centres.lines import Lines
from callcore.centres.problems import CentreFileErrors, Problem
from callcore.centres.sheet import Once, Sheet, Table, nearest
from callcore.domain.centre import Agent, Announcement, Centre, Configuration, Number, Phone, Queue
from callcore.domain.hours import Calendar, SpecialDay, YearlyRange
from callcore.domain.ids import AgentId, CentreId, PhoneId, QueueId
from callcore.prompts import shelf

LANGUAGES = ("ja", "en", "zh", "ko", "es", "pt", "vi", "th", "id", "tl", "ne")
KINDS = ("recording_notice", "greeting", "closed", "apology")
"""The announcements that each centre must have in each of its languages."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RESERVED = (shelf.COMMON, shelf.MUSIC)
"""Folders beside the centres' own below the sounds folder."""

_DEFAULT = Queue(QueueId(""), "")
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MAKE = ("callcore prompts make で作り直してください", "make it again: callcore prompts make")


def read(folder: Path, *, today: date | None = None) -> Configuration:
    """Every `*.toml` of the folder, without a look at the prompts. Raises `CentreFileErrors`.

    `today` (local date; default: now in each centre's zone) picks the years of public holidays.
    """
    return _read(folder, None, today)


def load(folder: Path, sounds: Path, *, today: date | None = None) -> Configuration:
    """As `read`, and every prompt that callers and agents will hear is there below the folder `sounds`, made
    from the text that stands in the files."""
    return _read(folder, sounds, today)


class _Taken:
    """What may exist once over all the files."""

    def __init__(self) -> None:
        self.centres = Once("コールセンター ID", "the centre id")
        self.numbers = Once("着信番号", "the number")
        self.queues = Once("待ち行列 ID", "the queue id")
        self.phones = Once("電話機 ID", "the phone id")
        self.macs = Once("MAC アドレス", "the MAC address")
        self.agents = Once("オペレーター番号", "the agent number")


def _read(folder: Path, sounds: Path | None, today: date | None) -> Configuration:
    taken = _Taken()
    problems: list[Problem] = []
    centres: list[Centre] = []
    for file in _files(folder):
        opened = _open(file)
        if isinstance(opened, Problem):
            problems.append(opened)
            continue
        source, values = opened
        sheet = Sheet(file, Lines(source))
        centres.append(_centre(Table(sheet, (), values), taken, sounds, today))
        problems += sorted(sheet.problems, key=lambda problem: problem.line or 0)
    if sounds is not None:
        problems += _common_prompts(sounds, sorted({lang for centre in centres for lang in centre.languages}))
    if problems:
        raise CentreFileErrors(problems)
    ordered = tuple(sorted(centres, key=lambda centre: centre.id))
    return Configuration(_digest(ordered), ordered)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CentreFileErrors(
            [
                Problem(
                    folder,
                    None,
                    "コールセンター設定のフォルダがありません",
                    "there is no such folder of centre files",
                    "フォルダを作るか、CALLCORE_CENTRES に正しい場所を書いてください",
                    "make it, or set CALLCORE_CENTRES to the right place",
                )
            ]
        )
    files = sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
    if not files:
        raise CentreFileErrors(
            [
                Problem(
                    folder,
                    None,
                    "コールセンター設定ファイル(*.toml)がひとつもありません",
                    "there is not one centre file (*.toml) here",
                    "docs/centre-file.md の例から作ってください",
                    "make one after the example in docs/centre-file.md",
                )
            ]
        )
    return files


def _open(file: Path) -> tuple[str, dict[str, object]] | Problem:
    """The source and the values of a file, or why it can't be read."""
    try:
        data = file.read_bytes()
    except OSError as error:
        return Problem(
            file,
            None,
            f"ファイルを読めません({error.strerror})",
            f"the file can't be read ({error.strerror})",
            "ファイルの種類と権限を確かめてください",
            "check what it is and its permissions",
        )
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return Problem(
            file,
            1,
            "ファイルの先頭に BOM があります",
            "the file begins with a byte order mark (BOM)",
            "「UTF-8(BOM なし)」で保存し直してください",
            'save it again as "UTF-8 without BOM"',
        )
    try:
        source = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem(
            file,
            data.count(b"\n", 0, error.start) + 1,
            "UTF-8 として読めない文字があります(Shift_JIS などで保存されていませんか)",
            "there are bytes that are not UTF-8 (saved as Shift_JIS?)",
            "「UTF-8(BOM なし)」で保存し直してください",
            'save it again as "UTF-8 without BOM"',
        )
    try:
        return source, tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line = int(place[1]) if place else source.rstrip().count("\n") + 1
        reason = str(error).split(" (at ")[0]
        return Problem(
            file,
            line,
            f"TOML の書き方が正しくありません({reason})",
            f"this is not TOML ({reason})",
            "この行か、すぐ前の行の引用符・かっこ・等号を確かめてください",
            "check quotes, brackets and the equals sign here and on the line before",
        )


def _centre(top: Table, taken: _Taken, sounds: Path | None, today: date | None) -> Centre:
    head = top.table("centre")
    centre_id = CentreId(head.name("id", "oita"))
    if centre_id in RESERVED:
        head.wrong(
            "id",
            f"「{centre_id}」は callcore が使う名前です",
            f'"{centre_id}" is a name that callcore uses itself',
            '別の ID にしてください。例: id = "oita"',
            'choose another, e.g. id = "oita"',
        )
    taken.centres.claim(head, "id", centre_id)
    name = head.text("name", "大分市マイナンバーカードコールセンター")
    name_en = head.text("name_en", "Oita City My Number Card Call Centre")
    zone = _zone(head)
    languages = _languages(head)
    head.close()

    targets = top.table("targets", required=False)
    answer_ratio = targets.ratio("answer_ratio", 0.90)
    service_level_s = targets.integer("service_level_s", 20, 1, 3600)
    short_abandon_s = targets.integer("short_abandon_s", 5, 0, 60)
    targets.close()

    calendar = _calendar(top.table("hours"), zone, today)
    queues = _queues(top.tables("queues", required=True), centre_id, taken)
    numbers = _numbers(top.tables("numbers", required=True), centre_id, queues, taken)
    phones = _phones(top.tables("phones"), centre_id, taken)
    agents = _agents(top.tables("agents"), centre_id, queues, phones, taken)
    announcements = _announcements(top.table("announcements"), centre_id, languages, sounds)
    top.close()

    served = {queue for agent in agents for queue in agent.queues}
    for n, queue in enumerate(queues):
        if queue.id not in served:
            top.sheet.wrong(
                ("queues", n),
                f"待ち行列「{queue.name}」を受け持つオペレーターがいません",
                f'no agent serves the queue "{queue.name}"',
                "[[agents]] の queues に加えてください",
                "add it to the queues of an agent under [[agents]]",
            )
    return Centre(
        id=centre_id,
        name=name,
        name_en=name_en,
        calendar=calendar,
        numbers=numbers,
        queues=queues,
        agents=agents,
        phones=phones,
        announcements=announcements,
        languages=languages,
        target_answer_ratio=answer_ratio,
        service_level_s=service_level_s,
        short_abandon_s=short_abandon_s,
    )


def _zone(head: Table) -> str:
    zone = head.text("time_zone", "Asia/Tokyo", "Asia/Tokyo")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        head.wrong(
            "time_zone",
            f"「{zone}」という時間帯はありません",
            f'there is no time zone "{zone}"',
            *nearest(zone, available_timezones()),
        )
        return "Asia/Tokyo"
    return zone


def _languages(head: Table) -> tuple[str, ...]:
    languages = head.texts("languages", 'languages = ["ja"]', ("ja",))
    for n, language in enumerate(languages):
        if language not in LANGUAGES:
            head.sheet.wrong(
                head.at("languages", n),
                f"「{language}」という言語は使えません",
                f'"{language}" is not a language that callcore speaks',
                f"使えるもの: {', '.join(LANGUAGES)}",
                f"there are: {', '.join(LANGUAGES)}",
            )
    if not languages:
        head.wrong(
            "languages",
            "言語がひとつもありません",
            "there is not one language",
            '例: languages = ["ja"]',
            'e.g. languages = ["ja"]',
        )
    return languages


def _calendar(hours: Table, zone: str, today: date | None) -> Calendar:
    rule = hours.choice("holidays", ("closed", "open"), "closed")
    week = hours.table("weekly")
    weekly = tuple(week.windows(day) for day in WEEKDAYS)
    week.close()
    if "weekly" in hours and not any(weekly) and not week.sheet.problems:
        hours.wrong(
            "weekly",
            "営業する曜日がひとつもありません",
            "there is no day of the week on which the centre opens",
            '例: monday = ["08:30-18:00"]',
            'e.g. monday = ["08:30-18:00"]',
        )
    yearly = []
    for entry in hours.tables("yearly"):
        yearly.append(
            YearlyRange(
                entry.month_day("first", "12-29"),
                entry.month_day("last", "01-03"),
                entry.text("reason", "年末年始"),
            )
        )
        entry.close()
    once = Once("特別日", "the day")
    special = []
    for entry in hours.tables("days"):
        day = entry.day("date")
        once.claim(entry, "date", day)
        special.append(SpecialDay(day, entry.windows("windows"), entry.text("reason", "休日開庁")))
        entry.close()
    hours.close()
    year = (today or datetime.now(ZoneInfo(zone)).date()).year
    holidays = _public_holidays(year - 1, year + 2) if rule == "closed" else ()
    return Calendar(
        zone, weekly, holidays, tuple(yearly), tuple(sorted(special, key=lambda entry: entry.date))
    )


def _public_holidays(first: int, last: int) -> tuple[tuple[str, str], ...]:
    """Japan's public holidays of whole years (国民の祝日に関する法律), substitutes included, in order."""
    return tuple(
        (day.isoformat(), name)
        for year in range(first, last + 1)
        for day, name in sorted(jpholiday.year_holidays(year))
    )


def _queues(tables: list[Table], centre: CentreId, taken: _Taken) -> tuple[Queue, ...]:
    queues = []
    for table in tables:
        short = table.name("id", "general")
        full = QueueId(f"{centre}-{short}")
        taken.queues.claim(table, "id", full if short else "")
        queues.append(
            Queue(
                id=full,
                name=table.text("name", "総合案内"),
                ring_s=table.integer("ring_s", _DEFAULT.ring_s, 5, 120),
                acw_s=table.integer("acw_s", _DEFAULT.acw_s, 0, 3600),
                rest_no_answer_s=table.integer("rest_no_answer_s", _DEFAULT.rest_no_answer_s, 0, 3600),
                rest_reject_s=table.integer("rest_reject_s", _DEFAULT.rest_reject_s, 0, 3600),
                rest_busy_s=table.integer("rest_busy_s", _DEFAULT.rest_busy_s, 0, 3600),
                rest_unreachable_s=table.integer("rest_unreachable_s", _DEFAULT.rest_unreachable_s, 0, 3600),
                longest_wait_s=table.integer("longest_wait_s", _DEFAULT.longest_wait_s, 30, 14400),
                priority=table.integer("priority", _DEFAULT.priority, 1, 9),
            )
        )
        table.close()
    return tuple(queues)


def _numbers(
    tables: list[Table], centre: CentreId, queues: tuple[Queue, ...], taken: _Taken
) -> tuple[Number, ...]:
    numbers = []
    for table in tables:
        digits = table.digits("digits", "0975105151", 3, 15)
        taken.numbers.claim(table, "digits", digits)
        queue = QueueId(f"{centre}-{table.text('queue', 'general')}")
        if "queue" in table:
            _known(table, ("queue",), queue, centre, [each.id for each in queues], _QUEUE)
        numbers.append(Number(digits, queue))
        table.close()
    return tuple(numbers)


_QUEUE = ("待ち行列", "queue")
_PHONE = ("電話機", "phone")


def _known(
    table: Table,
    key: tuple[str | int, ...],
    full: str,
    centre: CentreId,
    known: list[QueueId] | list[PhoneId],
    thing: tuple[str, str],
) -> None:
    """Notes a queue or phone that this file does not have."""
    if full in known:
        return
    ja, en = thing
    short = full.removeprefix(f"{centre}-")
    table.sheet.wrong(
        table.at(*key),
        f"「{short}」という{ja}はこのファイルにありません",
        f'there is no {en} "{short}" in this file',
        *nearest(short, (each.removeprefix(f"{centre}-") for each in known)),
    )


def _phones(tables: list[Table], centre: CentreId, taken: _Taken) -> tuple[Phone, ...]:
    phones = []
    for table in tables:
        short = table.name("id", "p1")
        full = PhoneId(f"{centre}-{short}")
        taken.phones.claim(table, "id", full if short else "")
        seat = table.text("seat", "A-1")
        model = table.text("model", "KX-HDV230")
        mac = table.optional_text("mac", "00:00:5e:00:53:01")
        if mac is not None and not _MAC.fullmatch(mac):
            table.wrong(
                "mac",
                f"「{mac}」は MAC アドレスとして読めません",
                f'"{mac}" is not a MAC address',
                '小文字と「:」で書いてください。例: mac = "00:00:5e:00:53:01"',
                'write it in lower case with colons, e.g. mac = "00:00:5e:00:53:01"',
            )
        taken.macs.claim(table, "mac", mac or "")
        phones.append(Phone(full, seat, model, mac))
        table.close()
    return tuple(phones)


def _agents(
    tables: list[Table],
    centre: CentreId,
    queues: tuple[Queue, ...],
    phones: tuple[Phone, ...],
    taken: _Taken,
) -> tuple[Agent, ...]:
    every = tuple(queue.id.removeprefix(f"{centre}-") for queue in queues)
    agents = []
    for table in tables:
        number = table.digits("id", "1001", 2, 8)
        taken.agents.claim(table, "id", number)
        name = table.text("name", "オペレーター01")
        served = []
        for n, short in enumerate(table.texts("queues", 'queues = ["general"]', every)):
            served.append(QueueId(f"{centre}-{short}"))
            _known(table, ("queues", n), served[-1], centre, [queue.id for queue in queues], _QUEUE)
        seat = table.optional_text("phone", "p1")
        phone = PhoneId(f"{centre}-{seat}") if seat else None
        if phone is not None:
            _known(table, ("phone",), phone, centre, [each.id for each in phones], _PHONE)
        agents.append(Agent(AgentId(number), name, tuple(served), phone))
        table.close()
    return tuple(agents)


def _announcements(
    top: Table, centre: CentreId, languages: tuple[str, ...], sounds: Path | None
) -> tuple[Announcement, ...]:
    found = []
    for kind in KINDS:
        table = top.table(kind)
        for language in languages if kind in top else ():
            text = table.text(language, "お電話ありがとうございます。").strip()
            announcement = Announcement(kind, language, text, shelf.sound(centre, language, kind))
            found.append(announcement)
            if sounds is not None and language in table and text:
                _prompt(table, announcement, sounds)
        table.close()
    top.close()
    return tuple(found)


def _prompt(table: Table, announcement: Announcement, sounds: Path) -> None:
    fault = shelf.fault(sounds, announcement.sound, announcement.text)
    if fault is not None:
        ja, en = _prompt_fault(fault, shelf.wav_of(sounds, announcement.sound))
        table.wrong(announcement.language, ja, en, *_MAKE)


def _common_prompts(sounds: Path, languages: list[str]) -> list[Problem]:
    problems = []
    for language in languages:
        for kind in shelf.COMMON_KINDS:
            sound = shelf.sound(shelf.COMMON, language, kind)
            fault = shelf.fault(sounds, sound, None)
            if fault is not None:
                wav = shelf.wav_of(sounds, sound)
                problems.append(Problem(wav, None, *_prompt_fault(fault, wav), *_MAKE))
    return problems


def _prompt_fault(fault: shelf.Fault, wav: Path) -> tuple[str, str]:
    return {
        "missing": (f"音声 {wav} がありません", f"the prompt {wav} is missing"),
        "not_telephone_audio": (
            f"音声 {wav} が 8 kHz・モノラル・16 bit の wav ではありません",
            f"the prompt {wav} is not an 8 kHz mono 16 bit wav",
        ),
        "text_missing": (
            f"音声 {wav} のもとの文({wav.with_suffix('.txt').name})がありません",
            f"the text that the prompt {wav} was made from ({wav.with_suffix('.txt').name}) is missing",
        ),
        "text_differs": (
            f"音声 {wav} は別の文から作られています",
            f"the prompt {wav} was made from another text",
        ),
    }[fault]


def _digest(centres: tuple[Centre, ...]) -> str:
    """sha256 over what the files come to, so that comments, order of keys and file names do not count."""
    plain = json.dumps(
        [dataclasses.asdict(centre) for centre in centres],
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        default=lambda enum: enum.value,
    )
    return hashlib.sha256(plain.encode()).hexdigest()
