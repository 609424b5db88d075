"""Whoever looks before changing: each difference has its line, and the line says the truth about Asterisk's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import (
    Agent,
    Announcement,
    Cause,
    Centre,
    Configuration,
    Department,
    Guest,
    Hold,
    ListedCaller,
    Number,
    Order,
    Overflow,
    Phone,
    Queue,
    RecordAfter,
    Recordings,
    Retention,
    Rung,
    StaffingLevel,
    Transfers,
    Unwelcome,
)
from callcore.domain.hours import Period, SpecialDay, Window, YearlyRange
from callcore.domain.ids import AgentId, CentreId, DepartmentId, PhoneId, QueueId
from callcore.domain.recording import Channels, SoundFormat
from callcore.domain.stages import Treatment
from callcore.live.changes import LIVE, Change, between
from callcore.pbx import loaded
from callcore.pbx.render import render
from tests.support.centre import small_centre
from tests.unit.test_render import settings

OLD = small_centre()
CITIZENS = Department(DepartmentId("oita-shimin"), "11", "市民課", "0970000111", OLD.centres[0].calendar)
INFORMATION = replace(CITIZENS, id=DepartmentId("oita-joho"), short="12", name="情報課")
ON_HOLD = Announcement("on_hold", "ja", "お待ちください。", "oita/ja/on_hold")
OITA = replace(
    OLD.centres[0],
    departments=(CITIZENS, INFORMATION),
    announcements=(*OLD.centres[0].announcements, ON_HOLD),
)
OLD = replace(OLD, centres=(OITA, *OLD.centres[1:]))
Edit = Callable[[Centre], Centre]


def queue(**changes: object) -> Edit:
    return lambda c: replace(c, queues=(replace(c.queues[0], **changes), *c.queues[1:]))  # type: ignore[arg-type]


def hours(**changes: object) -> Edit:
    return lambda c: replace(c, calendar=replace(c.calendar, **changes))  # type: ignore[arg-type]


def agent(**changes: object) -> Edit:
    return lambda c: replace(c, agents=(replace(c.agents[0], **changes), *c.agents[1:]))  # type: ignore[arg-type]


def phone(**changes: object) -> Edit:
    return lambda c: replace(c, phones=(replace(c.phones[0], **changes), *c.phones[1:]))  # type: ignore[arg-type]


def number(**changes: object) -> Edit:
    return lambda c: replace(c, numbers=(replace(c.numbers[0], **changes),))  # type: ignore[arg-type]


def department(**changes: object) -> Edit:
    return lambda c: replace(c, departments=(replace(c.departments[0], **changes), *c.departments[1:]))  # type: ignore[arg-type]


def announcement(**changes: object) -> Edit:
    return lambda c: replace(
        c,
        announcements=(replace(c.announcements[0], **changes), *c.announcements[1:]),  # type: ignore[arg-type]
    )


def centre(**changes: object) -> Edit:
    return lambda c: replace(c, **changes)  # type: ignore[arg-type]


HALF_DAY = (Window(30_600, 43_200),)
SECOND = Queue(QueueId("oita-second"), "二次")
EDITS: dict[str, tuple[Edit, str]] = {
    "name": (centre(name="別の名前"), "oita センター: name"),
    "name_en": (centre(name_en="Other"), "oita センター: name_en Oita → Other"),
    "lines": (centre(lines=23), "oita センター: lines – → 23"),
    "languages": (
        centre(languages=("en",), announcements=tuple(replace(a, language="en") for a in OITA.announcements)),
        "oita センター: languages ja → en",
    ),
    "answer_ratio": (centre(target_answer_ratio=0.95), "oita 目標: answer_ratio 0.9 → 0.95"),
    "service_level_s": (centre(service_level_s=30), "oita 目標: service_level_s 20 → 30"),
    "short_abandon_s": (centre(short_abandon_s=3), "oita 目標: short_abandon_s 5 → 3"),
    "pause_after_misses": (centre(pause_after_misses=0), "oita 運用: pause_after_misses 3 → 0"),
    "blocked": (centre(blocked=Unwelcome.ANNOUNCE), "oita 迷惑電話: blocked serve → announce"),
    "withheld": (centre(withheld=Unwelcome.ANNOUNCE), "oita 迷惑電話: withheld serve → announce"),
    "only_from": (centre(only_from=("0312345678",)), "oita 迷惑電話: only_from – → 0312345678"),
    "staffing": (centre(staffing=(StaffingLevel("体制1", 12, "2026-04-01"),)), "oita 体制 体制1: 追加 12"),
    "time_zone": (hours(zone="Asia/Kathmandu"), "oita センター: time_zone Asia/Tokyo → Asia/Kathmandu"),
    "monday": (
        hours(weekly=(HALF_DAY, *OITA.calendar.weekly[1:])),
        "oita 営業時間: monday 00:00-24:00 → 08:30-12:00",
    ),
    "holidays": (
        hours(holidays=(("2026-01-01", "元日"),)),
        "oita 営業時間: holidays – → 2026-01-01…2026-01-01",
    ),
    "yearly": (
        hours(yearly=(YearlyRange((12, 29), (1, 3), "年末年始"),)),
        "oita 営業時間: yearly – → 12-29…01-03 年末年始",
    ),
    "a special day": (
        hours(special=(SpecialDay("2026-10-04", HALF_DAY, "開庁"),)),
        "oita 営業時間 2026-10-04: 追加 08:30-12:00",
    ),
    "a yearly range with hours": (
        hours(yearly=(YearlyRange((1, 1), (3, 31), "繁忙期", (HALF_DAY, *((),) * 6)),)),
        "oita 営業時間: yearly – → 01-01…03-31 繁忙期 (mon 08:30-12:00)",
    ),
    "a period": (
        hours(periods=(Period("2027-02-01", "2027-02-28", "申請期限"),)),
        "oita 営業時間: periods – → 2027-02-01…2027-02-28 申請期限",
    ),
    "holiday hours": (hours(holiday_windows=HALF_DAY), "oita 営業時間: holiday hours – → 08:30-12:00"),
    "the end of the day": (hours(close_at_once=True), "oita 営業時間: closing when_served → at_once"),
    "lends_to": (centre(lends_to=(CentreId("beppu"),)), "oita 貸し借り: lends_to – → beppu"),
    "keep": (centre(keep=2), "oita 貸し借り: keep 0 → 2"),
    "guests_most": (centre(guests_most=1), "oita 貸し借り: guests_most – → 1"),
    "a guest": (
        centre(guests=(Guest(AgentId("2001"), (QueueId("oita-general"),)),)),
        "兼務 2001: 追加 general",
    ),
    "a caller": (centre(callers=(ListedCaller("0312345678", 1, "本庁"),)), "発信番号 0312345678: 追加 本庁"),
    "ring_s": (queue(ring_s=20), "oita 待ち行列 general: ring_s 15 → 20"),
    "acw_s": (queue(acw_s=20), "oita 待ち行列 general: acw_s 1 → 20"),
    "rest": (queue(rest_busy_s=1), "oita 待ち行列 general: rest_busy_s 5 → 1"),
    "longest_wait_s": (queue(longest_wait_s=900), "oita 待ち行列 general: longest_wait_s 1800 → 900"),
    "priority": (queue(priority=1), "oita 待ち行列 general: priority 5 → 1"),
    "needs": (queue(needs=(("en", 1),)), "oita 待ち行列 general: needs – → en = 1"),
    "ladder": (queue(ladder=(Rung(30, 2),)), "oita 待ち行列 general: ladder – → 30 s level 2"),
    "order": (queue(order=Order.LINEAR), "oita 待ち行列 general: order longest_idle → linear"),
    "ring_at_once": (queue(ring_at_once=2), "oita 待ち行列 general: ring_at_once 1 → 2"),
    "overflow": (
        queue(overflow=(Overflow(Cause.WAITING, Treatment.BUSY, 8),)),
        "oita 待ち行列 general: overflow – → waiting 8 busy",
    ),
    "patience_s": (queue(patience_s=60), "oita 待ち行列 general: patience_s 180 → 60"),
    "a queue": (
        lambda c: replace(c, queues=(*c.queues, SECOND)),
        "oita 待ち行列 second: 追加 二次",
    ),
    "a number": (
        lambda c: replace(c, numbers=(*c.numbers, Number("0975105152", c.queues[0].id))),
        "oita 番号 0975105152: 追加 general",
    ),
    "a number's priority": (number(priority=1), "oita 番号 0975105151: priority – → 1"),
    "an agent": (
        lambda c: replace(c, agents=(*c.agents, Agent(AgentId("109"), "担当9", (c.queues[0].id,)))),
        "oita オペレーター 109: 追加 担当9",
    ),
    "an agent's skills": (agent(skills=(("en", 1),)), "oita オペレーター 101: skills – → en = 1"),
    "an agent's queues": (agent(queues=()), "oita オペレーター 101: queues general → –"),
    "an agent's seat": (agent(phone=PhoneId("oita-p1")), "oita オペレーター 101: phone – → p1"),
    "the order of agents": (
        lambda c: replace(c, agents=c.agents[::-1]),
        "oita 運用: order 101, 102, 103 → 103, 102, 101",
    ),
    "an agent gone": (lambda c: replace(c, agents=c.agents[1:]), "oita オペレーター 101: 削除 担当1"),
    "a phone": (
        lambda c: replace(c, phones=(*c.phones, Phone(PhoneId("oita-p9"), "席9", "sip"))),
        "oita 電話機 p9: 追加 席9",
    ),
    "a phone gone": (lambda c: replace(c, phones=c.phones[:-1]), "oita 電話機 p3: 削除 席3"),
    "a seat": (phone(seat="窓"), "oita 電話機 p1: seat 席1 → 窓"),
    "a department gone": (
        lambda c: replace(c, departments=c.departments[:1]),
        "oita 部署 joho: 削除 情報課",
    ),
    "a department's short number": (department(short="13"), "oita 部署 shimin: short 11 → 13"),
    "a department's number": (department(number="2101"), "oita 部署 shimin: number 0970000111 → 2101"),
    "a department's substitute": (
        department(substitute=INFORMATION.id),
        "oita 部署 shimin: substitute – → joho",
    ),
    "a department's words": (department(about="転入"), "oita 部署 shimin: about – → 転入"),
    "a department's name": (department(name="戸籍課"), "oita 部署 shimin: name 市民課 → 戸籍課"),
    "a department's week": (
        department(calendar=replace(OITA.calendar, weekly=(HALF_DAY, *OITA.calendar.weekly[1:]))),
        "oita 部署 shimin: monday 00:00-24:00 → 08:30-12:00",
    ),
    "a department's holiday": (
        department(calendar=replace(OITA.calendar, holidays=(("2026-11-03", "文化の日"),))),
        "oita 部署 shimin: holidays as the centre's → 2026-11-03",
    ),
    "a department's day": (
        department(calendar=replace(OITA.calendar, special=(SpecialDay("2026-10-04", HALF_DAY, "開庁"),))),
        "oita 部署 shimin: days – → 2026-10-04 08:30-12:00 開庁",
    ),
    "a text": (
        announcement(text="録音します。"),
        "oita 案内 recording_notice ja: text recording_notice → 録音します。",
    ),
    "an announcement": (
        lambda c: replace(
            c,
            announcements=(*c.announcements, Announcement("overflow", "ja", "混雑", "oita/ja/overflow")),
        ),
        "oita 案内 overflow ja: 追加 混雑",
    ),
    "the phrase on hold": (
        lambda c: replace(c, announcements=(*c.announcements[:-1], replace(ON_HOLD, audio="0" * 16))),
        f"oita 案内 on_hold ja: audio – → {'0' * 16}",
    ),
    "phrase_every_s": (centre(hold=Hold(phrase_every_s=45)), "oita 保留: phrase_every_s 30 → 45"),
    "a consult's recording": (
        centre(transfers=Transfers(record_consult=False)),
        "oita 取り次ぎ: record_consult true → false",
    ),
    "the recording after a transfer": (
        centre(transfers=Transfers(record_after=RecordAfter.AGENT)),
        "oita 取り次ぎ: record_after end → agent [すぐに。",
    ),
    "blind transfers": (centre(transfers=Transfers(blind=True)), "oita 取り次ぎ: blind false → true"),
    "back_s": (centre(transfers=Transfers(back_s=9)), "oita 取り次ぎ: back_s 5 → 9"),
    "the channels of recordings": (
        centre(recordings=Recordings(channels=Channels.STEREO)),
        "oita 録音: channels mixed → stereo",
    ),
    "the format of recordings": (
        centre(recordings=Recordings(format=SoundFormat.OPUS)),
        "oita 録音: format wav → opus [すぐに]",
    ),
    "months": (centre(retention=Retention(call=12)), "oita 保存期間: call_months 6 → 12 [すぐに]"),
    "warn_after_s": (centre(hold=Hold(warn_after_s=0)), "oita 保留: warn_after_s 60 → 0"),
}


def rendered(configuration: Configuration) -> dict[str, bytes]:
    return render(configuration, settings(configuration=configuration))


@pytest.mark.parametrize(("edit", "said"), EDITS.values(), ids=EDITS.keys())
def test_a_difference_is_one_line_that_names_the_files_asterisk_will_read(edit: Edit, said: str) -> None:
    new = Configuration("new", (edit(OITA), *OLD.centres[1:]))
    changes = between(OLD, new)
    texts = [change.text("ja") for change in changes]
    assert any(text.startswith(said) or f" {said}" in text for text in texts), texts
    assert all(change.text("en") for change in changes)
    old_files, new_files = rendered(OLD), rendered(new)
    reached = {file for change in changes for file in change.files}
    assert reached == {name for name in new_files if new_files[name] != old_files[name]}
    assert between(new, new) == []


def test_a_holiday_that_comes_goes_or_moves_within_known_years_has_its_line() -> None:
    def with_holidays(*days: tuple[str, str]) -> Configuration:
        return Configuration("v", (hours(holidays=days)(OITA), *OLD.centres[1:]))

    old = with_holidays(("2026-01-01", "元日"), ("2026-07-20", "海の日"))
    moved = with_holidays(("2026-01-01", "元日"), ("2026-07-23", "海の日"))
    assert [change.text("ja") for change in between(old, moved)] == [
        "oita 営業時間 2026-07-20: holiday 海の日 → – [すぐに]",
        "oita 営業時間 2026-07-23: holiday – → 海の日 [すぐに]",
        "oita 営業時間: holidays 2026-01-01…2026-07-20 → 2026-01-01…2026-07-23 [すぐに]",
    ]
    later = with_holidays(("2026-01-01", "元日"), ("2026-07-20", "海の日"), ("2027-01-01", "元日"))
    assert len(between(old, later)) == 1, "a year that only one knows is told as a whole"


def test_a_centre_that_comes_or_goes_is_one_line() -> None:
    fewer = Configuration("new", OLD.centres[:1])
    (gone,) = between(OLD, fewer)
    assert gone.text("en").startswith("beppu centre: removed 別府")
    (came,) = between(fewer, OLD)
    assert (came.before, came.files) == (None, LIVE)
    old_files, new_files = rendered(OLD), rendered(fewer)
    assert {name for name in new_files if new_files[name] != old_files[name]} == set(LIVE)


def test_what_only_a_new_start_brings_says_so() -> None:
    change = Change("", "setting", "CALLCORE_SIP_PORT", "", "5060", "5061", at_stop=True)
    assert change.text("ja") == "環境変数 CALLCORE_SIP_PORT: 5060 → 5061 [次に止めて起動したとき]"
    assert change.text("en").endswith("[when everything is stopped and started]")
    stale = Change("", "file", "pjsip.conf", "", "", "", ("pjsip.conf",))
    assert stale.text("ja") == (
        "Asterisk の設定 pjsip.conf: 動いているものと違う [すぐに。Asterisk は pjsip.conf を読み直す]"
    )


def test_the_port_that_phones_use_is_known_not_to_change_under_a_running_asterisk(tmp_path: Path) -> None:
    files = rendered(OLD)
    loaded.note(tmp_path, loaded.digests(files))
    assert loaded.stale(tmp_path, files, unknown=LIVE) == []
    moved = render(OLD, replace(settings(configuration=OLD), sip_port=5999))
    assert loaded.stale(tmp_path, moved, unknown=LIVE) == ["pjsip.conf", loaded.TRANSPORT]
    listened = render(OLD, replace(settings(configuration=OLD), trunk_hosts=()))
    assert loaded.stale(tmp_path, listened, unknown=LIVE) == ["pjsip.conf"]


def test_an_asterisk_of_which_nobody_knows_what_it_read_reads_all_that_it_can(tmp_path: Path) -> None:
    assert sorted(loaded.stale(tmp_path, rendered(OLD), unknown=LIVE)) == sorted(LIVE)
    (tmp_path / loaded.NOTE).write_text("[", encoding="utf-8")
    assert sorted(loaded.stale(tmp_path, rendered(OLD), unknown=LIVE)) == sorted(LIVE)
