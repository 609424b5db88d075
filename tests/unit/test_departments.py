"""The directory of departments: written, searched, shown on keys and lamps, and counted, without Asterisk."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcore import centres
from callcore.ami.cel import Line, sides
from callcore.domain import directory
from callcore.domain import facts as f
from callcore.domain import sides as s
from callcore.domain.centre import Department, Outgoing
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, DepartmentId, Instant
from callcore.domain.lamps import Lamp
from callcore.domain.numbering import lines
from callcore.domain.stages import Party, SideKind, SideOutcome, Work
from callcore.phones.keys import all_codes, keys_for
from callcore.phones.makers import MAKERS
from callcore.runtime import dialplan
from tests.support.floors import NUMBER, Desk, centre, configuration
from tests.unit.test_centre_files_manual import EXAMPLE, mori
from tests.unit.test_centre_files_outgoing import problems
from tests.unit.test_core_sides import agent_of, dial, end, reach

ZONE = "Asia/Tokyo"
DAY = (Window(8 * 3600 + 1800, 17 * 3600 + 900),)
LUNCH = (Window(8 * 3600 + 1800, 12 * 3600), Window(13 * 3600, 17 * 3600 + 900))


def week(windows: tuple[Window, ...]) -> Calendar:
    return Calendar(ZONE, (windows,) * 5 + ((), ()), (("2026-11-23", "勤労感謝の日"),))


CITIZENS = Department(
    DepartmentId("demo-shimin"),
    "11",
    "市民課",
    "0970000020",
    week(DAY),
    kana="しみんか",
    roman="Citizens",
    languages=("ja", "en"),
    about="カードの受け取り、住所の変更",
)
BRANCH = Department(
    DepartmentId("demo-kita"),
    "21",
    "窓口係",
    "2101",
    week(LUNCH),
    office="北支所",
    substitute=DepartmentId("demo-shimin"),
)
FURTHER = replace(
    BRANCH, id=DepartmentId("demo-oku"), short="22", calendar=week(()), substitute=DepartmentId("demo-kita")
)
ALL = (CITIZENS, BRANCH, FURTHER)


def at(text: str) -> Instant:
    return Instant(int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp()) * SECOND)


def desk() -> Desk:
    made = Desk().begin(
        configuration(replace(centre(2), outgoing=Outgoing(NUMBER, acw_s=20), departments=ALL))
    )
    made.sign_in(1, 1)
    return made


def call(made: Desk, second: float, why: str, *, refused: bool = False) -> CallId:
    return dial(made, second, kind=SideKind.DEPARTMENT, other="2101", refused=refused, why=why)


# -- the file ------------------------------------------------------------------------------------------------


def test_the_example_names_departments_with_their_hours_and_their_substitutes(tmp_path: Path) -> None:
    head, branch = mori(tmp_path).departments
    assert (head.id, head.short, head.office, head.languages) == ("mori-shimin", "11", "本庁", ("ja", "en"))
    assert head.calendar == mori(tmp_path).calendar, "without hours of its own it has the centre's"
    assert (branch.number, branch.substitute, branch.languages) == ("2101", "mori-shimin", ("ja",))
    assert branch.calendar.weekly[0] == LUNCH
    # The holidays of the centre's own file hold here too.
    assert branch.calendar.holidays == mori(tmp_path).calendar.holidays


@pytest.mark.parametrize(
    ("instead", "by", "said"),
    [
        ('short = "21"', 'short = "11"', 'the short number "11" is already in use'),
        ('short = "21"', 'short = "2"', "2 to 4 digits"),
        ('short = "21"', 'short = "119"', '"119" is an emergency number'),
        ('short = "21"', 'short = "201"', '"201" is the extension of a phone'),
        ('id = "kita"', 'id = "shimin"', 'the department id "mori-shimin" is already in use'),
        ('number = "2101"', 'number = "119"', "110, 118 and 119 can't stand here"),
        ('substitute = "shimin"', 'substitute = "shimn"', 'did you mean "shimin"?'),
        ('substitute = "shimin"', 'substitute = "kita"', "form a circle (kita → kita)"),
        (
            'about = "カードの受け取り、住所の変更"',
            'about = "x"\nsubstitute = "kita"',
            "form a circle (shimin → kita → shimin)",
        ),
        ('languages = ["ja", "en"]\nabout', 'languages = ["xx"]\nabout', '"xx" is not a language'),
        ('languages = ["ja", "en"]\nabout', "languages = []\nabout", "there is not one language"),
        ('name_kana = "しみんか"', 'name_kana = "市民課"', "kana, at most 80"),
        ('name_roman = "Citizens"', 'name_roman = "市民課"', "name_roman holds"),
        ('name = "窓口係"', f'name = "{"窓" * 41}"', "at most 40"),
        ('name = "窓口係"', "", '"name" is missing'),
        ('office = "北支所"', 'offise = "北支所"', 'did you mean "office"?'),
        (
            '[departments.hours]\nholidays = "closed"',
            '[departments.hours]\nclosing = "at_once"',
            "can't stand in a department's hours",
        ),
    ],
)
def test_a_slip_is_named_with_what_to_write(tmp_path: Path, instead: str, by: str, said: str) -> None:
    assert instead in EXAMPLE
    found = problems(tmp_path, EXAMPLE.replace(instead, by, 1))
    assert any(said in each for each in found), found
    assert len([each for each in found if "circle" in each]) == ("circle" in said)


def test_the_shipped_oita_file_has_departments_of_the_head_office_and_of_branches() -> None:
    folder = Path(__file__).parents[2] / "centres"
    [oita] = [c for c in centres.read(folder, today=date(2026, 11, 28)).centres if c.id == "oita"]
    assert {each.office for each in oita.departments} == {"本庁", "鶴崎支所", "稙田支所"}
    for each in oita.departments:
        assert re.fullmatch(r"09700001\d\d", each.number), "an example's number is nobody's"
        assert each.about and each.kana and each.calendar.holidays
        assert not each.calendar.judge(at("2026-11-23T10:00"))[0]


# -- searched ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "language", "found"),
    [
        (None, None, ["11", "21", "22"]),
        ("", None, ["11", "21", "22"]),
        ("市民", None, ["11"]),
        ("シミンカ", None, ["11"]),
        ("ｼﾐﾝ", None, ["11"]),
        ("citiZENS", None, ["11"]),
        ("住所　カード", None, ["11"]),
        ("住所 窓口", None, []),
        ("北支所", None, ["21", "22"]),
        ("２１", None, ["21", "22"]),
        ("097000", None, ["11"]),
        (None, "en", ["11"]),
        (None, "ko", []),
    ],
)
def test_a_department_is_found_by_what_people_remember_of_it(
    asked: str | None, language: str | None, found: list[str]
) -> None:
    assert [each.short for each in ALL if directory.fits(each, asked, language)] == found


def test_what_is_closed_is_shown_with_who_is_called_instead() -> None:
    made = desk()
    there = made.floor.centres[CentreId("demo")]

    def shown(text: str) -> list[tuple[bool, str | None]]:
        listed = directory.listings(made.floor, there, at(text))
        return [(x.verdict.open, None if x.instead is None else x.instead.short) for x in listed]

    assert shown("2026-11-24T11:59:59") == [(True, None), (True, None), (False, "21")]
    # In the branch's lunch break the substitute's substitute is called.
    assert shown("2026-11-24T12:00") == [(True, None), (False, "11"), (False, "11")]
    assert shown("2026-11-24T17:15") == [(False, None), (False, None), (False, None)]
    assert shown("2026-11-23T10:00") == [(False, None), (False, None), (False, None)], "a holiday"


# -- a call to one ---------------------------------------------------------------------------------------------


def test_a_call_to_a_department_keeps_it_busy_is_counted_apart_and_brings_after_call_work() -> None:
    made = desk()
    asked = call(made, 10, "demo-kita")
    [begun] = made.told(f.SideCallBegan)
    assert (begun.kind, begun.why) == (SideKind.DEPARTMENT, "demo-kita")
    assert agent_of(made) is Work.CALLING_OUT
    assert made.floor.sides[asked].department == "demo-kita"
    assert set(directory.busy(made.floor)) == {"demo-kita"}
    reach(made, 15, asked)
    end(made, 45, asked, made.floor.sides[asked].channel)
    assert agent_of(made) is Work.WRAPPING_UP
    assert not directory.busy(made.floor)
    records = made.books.sides.values()
    apart = s.figures(records, s.DEPARTMENTS)
    assert (apart.made, apart.connected, apart.talk_s) == (1, 1, 30.0)
    assert s.figures(records, s.OUTGOING).made == 0
    assert not made.floor.unreached, "no answer is owed to a department"


def test_a_consult_beside_a_talk_leaves_the_agent_in_the_talk_and_is_known_by_its_department() -> None:
    made = desk()
    made.wait(5, "c1")
    made.pick_up(8)
    consult = call(made, 20, "demo-shimin")
    assert agent_of(made) is Work.TALKING
    side = made.floor.sides[consult]
    assert (side.department, side.phone, side.agent) == ("demo-shimin", "demo-p1", None)
    reach(made, 25, consult)
    end(made, 40, consult, side.channel)
    assert agent_of(made) is Work.TALKING
    [ended] = made.told(f.SideCallEnded)
    assert (ended.outcome, ended.hung_up_by) == (SideOutcome.CONNECTED, Party.AGENT)


def test_a_closed_department_is_a_refused_call_that_takes_nothing_from_the_agent() -> None:
    made = desk()
    call(made, 10, "demo-kita", refused=True)
    [ended] = made.told(f.SideCallEnded)
    assert (ended.outcome, ended.reason) == (
        SideOutcome.REFUSED,
        "受付時間外の部署 / the department is closed",
    )
    assert made.floor.agents[AgentId("1001")].work is Work.IDLE
    assert not directory.busy(made.floor)


def test_a_call_that_nobody_watched_is_read_from_cel_with_its_department() -> None:
    def line(kind: str, user: str, extra: str, exten: str) -> Line:
        return Line(
            kind,
            user,
            at("2026-11-24T10:00"),
            "n-1.1",
            "n-1.1",
            "PJSIP/demo-p1-00000001",
            "x",
            exten,
            "",
            extra,
        )

    told = '{"extra":"%s"}'
    begun = line("USER_DEFINED", "callcore-side", told % f"department~demo~{NUMBER}~demo-kita", "2101")
    [dialled] = sides([begun, line("CHAN_END", "", "", "2101")])
    assert (dialled.kind, dialled.why, dialled.other, dialled.phone) == (
        SideKind.DEPARTMENT,
        "demo-kita",
        "2101",
        "demo-p1",
    )
    [closed] = sides([begun, line("USER_DEFINED", "callcore-side-ended", told % "DENIED~0", "2101")])
    assert closed.refused and closed.outcome is SideOutcome.REFUSED


# -- shown on phones -------------------------------------------------------------------------------------------


def test_a_lamp_is_off_while_open_and_free_steady_in_a_call_and_flashes_while_closed() -> None:
    made = desk()

    def burning(text: str) -> dict[str, Lamp]:
        is_open, _ = directory.opened(made.floor, at(text))
        return {str(name): lamp for name, lamp in directory.lamps(is_open, directory.busy(made.floor))}

    assert burning("2026-11-24T10:00") == {
        "demo-shimin": Lamp.OFF,
        "demo-kita": Lamp.OFF,
        "demo-oku": Lamp.FLASHING,
    }
    call(made, 10, "demo-kita")
    assert burning("2026-11-24T10:00")["demo-kita"] is Lamp.STEADY
    assert burning("2026-11-24T12:30")["demo-kita"] is Lamp.FLASHING
    # Looked at again when the first of them changes.
    assert directory.opened(made.floor, at("2026-11-24T10:00"))[1] == at("2026-11-24T12:00")
    assert directory.opened(made.floor, at("2026-11-24T12:00"))[1] == at("2026-11-24T13:00")


def test_each_department_has_a_key_with_a_lamp_after_the_colleagues() -> None:
    there = replace(centre(2), departments=ALL)
    phone = there.phones[0]
    model = replace(next(iter(MAKERS["yealink"].models.values())), keys=99)
    keys = keys_for(there, phone, model, "ja")
    codes = [key.code for key in keys]
    colleague = next(n for n, key in enumerate(keys) if key.code == there.phones[1].id)
    assert codes[colleague + 1 : colleague + 4] == ["*511", "*521", "*522"]
    [key] = [key for key in keys if key.code == "*511"]
    assert (key.label, key.short, key.lamp, key.digits) == ("市民課", "Citizens", True, False)
    assert next(key for key in keys if key.code == "*521").short == "21"
    assert {"*511", "*521", "*522"} <= {key.code for key in all_codes(there)}
    assert dialplan.lamp(dialplan.DEPARTMENT, CITIZENS.id) == "Custom:callcore-dept-demo-shimin"


# -- dialled as a number ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("outgoing", [None, Outgoing(NUMBER)])
def test_a_departments_number_may_be_dialled_whatever_the_list_says(outgoing: Outgoing | None) -> None:
    numbers = [each.number for each in ALL]
    allowed = [line for line in lines(outgoing, numbers) if line.allowed]
    assert [(line.pattern, line.exact, line.why) for line in allowed] == [
        ("0970000020", True, "listed"),
        ("2101", True, "listed"),
    ]
