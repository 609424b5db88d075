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

from callcore.centres import announcements, between
from callcore.centres.between import Page
from callcore.centres.departments import read_departments, read_transfers
from callcore.centres.hours import read_hours
from callcore.centres.inventory import read_networks, read_phones
from callcore.centres.lines import Lines
from callcore.centres.menus import (
    check_menus,
    check_speakers,
    read_callbacks,
    read_hold,
    read_menus,
    read_messages,
)
from callcore.centres.names import MENU, PHONE, QUEUE, Taken, known
from callcore.centres.outgoing import read_contacts, read_display, read_outgoing
from callcore.centres.problems import CentreFileErrors, Problem
from callcore.centres.queues import Reach, read_queues
from callcore.centres.recording import read_recording
from callcore.centres.retention import read_retention
from callcore.centres.sheet import Once, Sheet, Table, nearest
from callcore.centres.staff import read_staff, read_staffing
from callcore.domain.blocked import plain
from callcore.domain.centre import (
    TONGUES,
    Agent,
    Centre,
    Configuration,
    ListedCaller,
    Number,
    Phone,
    Queue,
    Unwelcome,
)
from callcore.domain.ids import AgentId, CentreId, PhoneId, QueueId
from callcore.domain.stages import Treatment
from callcore.prompts import shelf

LANGUAGES = tuple(TONGUES)
KINDS = ("recording_notice", "greeting", "closed", "apology")
"""The announcements that each centre must have in each of its languages, its own or the common one."""
OVERFLOW_KIND = "overflow"
"""One more, for a centre with a rule that announces."""
BLOCKED_KIND, WITHHELD_KIND, OUTSIDER_KIND = "blocked", "withheld", "outsider"
"""Likewise for a centre that refuses listed callers, those who withhold their number, and all but a few numbers."""
RESERVED = (shelf.COMMON, shelf.MUSIC, *LANGUAGES)
"""Folders beside the centres' own below the sounds folder."""

_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_CALLER = re.compile(r"\+?[0-9]{3,20}", re.ASCII)


def read(folder: Path, *, today: date | None = None) -> Configuration:
    """Every `*.toml` of the folder, without a look at the prompts. Raises `CentreFileErrors`.

    `today` (local date; default: now in each centre's zone) picks the years of public holidays.
    """
    return _read(folder, None, today)[0]


def load(folder: Path, sounds: Path, *, today: date | None = None) -> Configuration:
    """As `read`, and every prompt that callers and agents will hear is there below the folder `sounds`, made
    from the text that stands in the files."""
    return _read(folder, sounds, today)[0]


def look(folder: Path, sounds: Path, *, today: date | None = None) -> tuple[Configuration, list[Problem]]:
    """As `load`, with what a person should know although nothing is wrong."""
    return _read(folder, sounds, today)


def _read(folder: Path, sounds: Path | None, today: date | None) -> tuple[Configuration, list[Problem]]:
    taken = Taken()
    problems: list[Problem] = []
    pages: list[Page] = []
    for file in _files(folder):
        opened = _open(file)
        if isinstance(opened, Problem):
            problems.append(opened)
            continue
        source, values = opened
        pages.append(_centre(Table(Sheet(file, Lines(source)), (), values), taken, sounds, today))
    if not problems:  # else a name may stand in a file that could not be read
        between.check(pages)
    centres = [page.centre for page in pages]
    problems = sorted(
        [*problems, *(problem for page in pages for problem in page.sheet.problems)],
        key=lambda problem: (str(problem.file), problem.line or 0),
    )
    if sounds is not None:
        problems += announcements.of_phones(sounds, {centre.languages[0] for centre in centres})
    if problems:
        raise CentreFileErrors(problems)
    ordered = tuple(sorted(centres, key=lambda centre: centre.id))
    warnings = [problem for page in pages for problem in page.sheet.warnings]
    return Configuration(_digest(ordered), ordered), warnings


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


def _centre(top: Table, taken: Taken, sounds: Path | None, today: date | None) -> Page:
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
    substitutes = announcements.read_substitutes(head, languages)
    lines = head.optional_integer("lines", 23, 1, 9999)
    display = read_display(head, "display", "大分市")
    display_roman = read_display(head, "display_roman", "Oita", roman=True)
    menu_tables = top.tables("menus")
    menu_names = [f"{centre_id}-{table.name('id', 'language')}" for table in menu_tables]
    closed_menu = _menu(head, "closed_menu", centre_id, menu_names)
    remember = head.integer("remember_language_days", 0, 0, 366)
    head.close()

    targets = top.table("targets", required=False)
    answer_ratio = targets.ratio("answer_ratio", 0.90)
    service_level_s = targets.integer("service_level_s", 20, 1, 3600)
    short_abandon_s = targets.integer("short_abandon_s", 5, 0, 60)
    test_numbers = _test_numbers(targets)
    targets.close()

    calendar = read_hours(top.table("hours"), zone, today)
    staff, pause_after_misses = read_staff(top)
    reaches: list[Reach] = []
    queues = read_queues(top.tables("queues", required=True), centre_id, lines, taken, reaches, menu_names)
    numbers = _numbers(top.tables("numbers", required=True), centre_id, queues, taken, menu_names)
    menus = read_menus(menu_tables, centre_id, languages, [queue.id for queue in queues], menu_names)
    check_menus(menus, centre_id, numbers, closed_menu, queues)
    messages, callbacks, hold = read_messages(top), read_callbacks(top), read_hold(top)
    retention = read_retention(top)
    networks = read_networks(top.tables("networks"))
    phones = read_phones(top.tables("phones"), centre_id, networks, taken)
    agents = _agents(top.tables("agents"), centre_id, queues, phones, taken)
    check_speakers(
        menus, numbers, languages[0] if languages else "ja", {s for a in agents for s, _ in a.skills}
    )
    outgoing = read_outgoing(top, numbers)
    transfers = read_transfers(top, centre_id, phones)
    recordings = read_recording(top)
    contacts = read_contacts(top.tables("contacts"), centre_id, phones, taken)
    departments = read_departments(top.tables("departments"), centre_id, calendar, phones, taken, today)
    blocked, withheld, only_from = _unwelcome(top.table("unwelcome", required=False))
    announces = any(rule.treatment is Treatment.ANNOUNCE for queue in queues for rule in queue.overflow)
    comforts = [queue.comfort for queue in queues if queue.comfort is not None]
    wanted: tuple[str, ...] = (*KINDS, OVERFLOW_KIND) if announces else KINDS
    wanted += (BLOCKED_KIND,) if blocked is Unwelcome.ANNOUNCE else ()
    wanted += (WITHHELD_KIND,) if withheld is Unwelcome.ANNOUNCE else ()
    wanted += (OUTSIDER_KIND,) if only_from else ()
    wanted += menus.kinds + tuple(dict.fromkeys(kind for comfort in comforts for kind in comfort.say))
    subjects = tuple(dict.fromkeys(queue.subject for queue in queues if queue.subject is not None))
    told = announcements.read_announcements(
        top.table("announcements", required=False),
        centre_id,
        languages,
        substitutes,
        sounds,
        wanted,
        subjects,
    )
    if sounds is not None:
        announcements.check_phrases(top, told, languages, comforts, sounds)
    local = today or datetime.now(ZoneInfo(zone)).date()
    staffing = read_staffing(top.tables("staffing"), len(phones), local)
    sharing = between.read_sharing(top, centre_id, queues)
    callers = _callers(top.tables("callers"))
    top.close()
    centre = Centre(
        id=centre_id,
        name=name,
        name_en=name_en,
        calendar=calendar,
        numbers=numbers,
        queues=queues,
        agents=agents,
        phones=phones,
        announcements=told.announcements,
        phrases=told.phrases,
        languages=languages,
        target_answer_ratio=answer_ratio,
        service_level_s=service_level_s,
        short_abandon_s=short_abandon_s,
        lines=lines,
        pause_after_misses=pause_after_misses,
        guests=sharing.guests,
        guests_most=sharing.guests_most,
        keep=sharing.keep,
        lends_to=sharing.lends_to,
        callers=callers,
        blocked=blocked,
        withheld=withheld,
        only_from=only_from,
        staff=staff,
        test_numbers=test_numbers,
        outgoing=outgoing,
        contacts=contacts,
        departments=departments,
        display=display,
        display_roman=display_roman,
        menus=menus.menus,
        closed_menu=closed_menu,
        remember_language_days=remember,
        messages=messages,
        transfers=transfers,
        recordings=recordings,
        retention=retention,
        callbacks=callbacks,
        hold=hold,
        staffing=staffing,
    )
    return Page(top.sheet, centre, tuple(reaches))


def _unwelcome(table: Table) -> tuple[Unwelcome, Unwelcome, tuple[str, ...]]:
    """What becomes of listed callers, and of those who withhold their number; and the only numbers that are served."""
    rules = tuple(each.value for each in Unwelcome)
    blocked, withheld = (
        Unwelcome(table.choice(key, rules, Unwelcome.SERVE.value)) for key in ("blocked", "withheld")
    )
    served = []
    for n, written in enumerate(table.texts("only_from", 'only_from = ["0500000178"]', ())):
        number = plain(written) if _CALLER.fullmatch(written) else None
        if number is None:
            table.sheet.wrong(
                table.at("only_from", n),
                f"「{written}」は電話番号として読めません",
                f'"{written}" can\'t be read as a telephone number',
                '半角数字 3～20 桁、先頭に + も使えます。例: only_from = ["0500000178"]',
                '3 to 20 digits, + may stand first, e.g. only_from = ["0500000178"]',
            )
        else:
            served.append(number)
    table.close()
    return blocked, withheld, tuple(dict.fromkeys(served))


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


def _numbers(
    tables: list[Table], centre: CentreId, queues: tuple[Queue, ...], taken: Taken, menus: list[str]
) -> tuple[Number, ...]:
    numbers = []
    for table in tables:
        digits = table.digits("digits", "0975105151", 3, 15)
        taken.numbers.claim(table, "digits", digits)
        queue = QueueId(f"{centre}-{table.text('queue', 'general')}")
        if "queue" in table:
            known(table.sheet, table.at("queue"), queue, centre, [each.id for each in queues], QUEUE)
        menu = _menu(table, "menu", centre, menus)
        numbers.append(Number(digits, queue, table.optional_integer("priority", 1, 1, 9), menu))
        table.close()
    return tuple(numbers)


def _menu(table: Table, key: str, centre: CentreId, menus: list[str]) -> str | None:
    """Where calls begin; None: no menu."""
    short = table.optional_text(key, "language")
    full = f"{centre}-{short}"
    if short is None or not known(table.sheet, table.at(key), full, centre, menus, MENU):
        return None
    return full


def _agents(
    tables: list[Table],
    centre: CentreId,
    queues: tuple[Queue, ...],
    phones: tuple[Phone, ...],
    taken: Taken,
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
            known(
                table.sheet, table.at("queues", n), served[-1], centre, [queue.id for queue in queues], QUEUE
            )
        seat = table.optional_text("phone", "p1")
        phone = PhoneId(f"{centre}-{seat}") if seat else None
        if phone is not None:
            known(table.sheet, table.at("phone"), phone, centre, [each.id for each in phones], PHONE)
        skills = table.levels("skills", "skills = { en = 2 }")
        emergency = table.given("emergency")
        if emergency:
            table.only_true("emergency")
        agents.append(Agent(AgentId(number), name, tuple(served), phone, skills, emergency))
        table.close()
    return tuple(agents)


def _test_numbers(targets: Table) -> tuple[str, ...]:
    """Callers whose calls are left out of the figures."""
    found = targets.texts("test_numbers", 'test_numbers = ["0970000099"]', ())
    for number in found:
        if not _CALLER.fullmatch(number):
            targets.wrong(
                "test_numbers",
                f"「{number}」は使えません。発信番号は半角数字 3～20 桁(先頭に + も可)です",
                f"\"{number}\" can't be used: a caller's number is 3 to 20 digits, + may stand first",
                '届くとおりに書いてください。例: test_numbers = ["0970000099"]',
                'write them as they arrive, e.g. test_numbers = ["0970000099"]',
            )
    return tuple(dict.fromkeys(found))


def _callers(tables: list[Table]) -> tuple[ListedCaller, ...]:
    once = Once("発信番号", "the caller's number")
    callers = []
    for table in tables:
        number = table.text("number", "0312345678")
        if number and not _CALLER.fullmatch(number):
            table.wrong(
                "number",
                f"「{number}」は使えません。発信番号は半角数字 3～20 桁(先頭に + も可)です",
                f"\"{number}\" can't be used: a caller's number is 3 to 20 digits, + may stand first",
                '届くとおりに書いてください。例: number = "0312345678"',
                'write it as it arrives, e.g. number = "0312345678"',
            )
        once.claim(table, "number", number)
        callers.append(
            ListedCaller(number, table.required_integer("priority", 1, 1, 9), table.text("reason", "市役所"))
        )
        table.close()
    return tuple(callers)


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
