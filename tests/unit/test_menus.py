"""Menus: read and refused where they lead nowhere; rendered and drawn; and what a call comes to by its keys."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from callcore.ami import cel
from callcore.ami.translate import menu_keyed
from callcore.centres import CentreFileErrors, load, read
from callcore.centres.diagram import drawn
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration, Unwelcome
from callcore.domain.ids import CallId, ChannelId, Instant
from callcore.domain.stages import Choice, Outcome
from callcore.pbx.render import render
from callcore.prompts import shelf
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration
from tests.unit.test_render import settings, text

PROJECT = Path(__file__).parents[2]
OITA = (PROJECT / "centres" / "oita.toml").read_text(encoding="utf-8")


def problems(folder: Path, *changes: tuple[str, str]) -> str:
    """What `check` says in both languages of oita's file with these changes."""
    source = OITA
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new, 1)
    (folder / "oita.toml").write_text(source, encoding="utf-8")
    try:
        read(folder)
    except CentreFileErrors as errors:
        return "\n".join([*errors.texts("en"), *errors.texts("ja")])
    return ""


LOST = '[[menus.keys]]\nkey = "1"\nforward = "0120950178"\n'
LEAVE = '\n[[menus.keys]]\nkey = "2"\nmessage = true\n'


@pytest.mark.parametrize(
    ("old", "new", "english", "japanese"),
    [
        (LOST, LOST.replace('"0120950178"', '"0975105151"'), "own number", "自身の番号"),
        ('menu = "lost-card"', 'menu = "lost"', 'no menu "lost"', "メニュー"),
        (LOST, LOST.replace("forward", "queue"), 'no queue "0120950178"', "待ち行列"),
        (LOST, LOST + LOST, "the key", "キー「1」"),
        (LOST, LOST.replace('"1"', '"A"'), '"key" can\'t be "A"', "使えません"),
        (LOST, LOST + "end = true\n", "exactly one thing (this one to 2)", "行き先はひとつ"),
        (LOST, '[[menus.keys]]\nkey = "1"\n', "exactly one thing (this one to 0)", "行き先はひとつ"),
        (
            LOST + LEAVE,
            '[[menus.keys]]\nkey = "1"\nmenu = "lost-card"\n',
            "leads round in the menus",
            "回るだけ",
        ),
        (LOST, '[[menus.keys]]\nkey = "1"\nqueue = "general"\n', "out of hours a key can't lead", "時間外の"),
        (
            'closed_menu = "night-language"',
            "",
            'nobody reaches the menu "night-language"',
            "行く道がありません",
        ),
        (
            'key = "2"\nlanguage = "en"',
            'key = "2"\nlanguage = "fr"',
            '"fr" is no language',
            "言語ではありません",
        ),
        ("tries = 3", "tries = 4", '"tries" must be 1 to 3', "1 から 3"),
        ("skills = { en = 1, zh = 1 }", "skills = { en = 1 }", "", ""),
        ('say = "lost_card"', 'say = "Lost-Card"', "can't be a kind of announcement", "案内の種類"),
        ('menu = "language"', 'menu = "speech"', 'no menu "speech"', "メニュー"),
        ('menu = "full"', 'menu = "fully"', 'no menu "fully"', "メニュー"),
        ('then = "menu"\nmenu = "full"', 'then = "menu"', 'asks for "menu"', "必要です"),
        ('then = "announce"', 'then = "announce"\nagain_s = 5', '"again_s" goes with', "のときだけ"),
        (
            LOST,
            '[[menus.keys]]\nkey = "1"\nwait = true\n',
            "for a menu of callers who wait",
            "待っている人の",
        ),
        ("wait = true", 'queue = "general"', "who waits already can't choose", "待っている人の"),
        ("wait = true", 'language = "en"', "who waits already can't choose", "待っている人の"),
        (
            'say = ["have_ready", "hours_info"]',
            "place = false\nwait = false",
            "nothing is said to who waits",
            "言うことがひとつもありません",
        ),
        ('say = ["have_ready", "hours_info"]', 'say = ["Ready"]', "can't be a kind of", "案内の種類"),
        ("every_s = 60", "every_s = 5", '"every_s" must be 10 to 3600', "10 から 3600"),
    ],
)
def test_a_menu_that_leads_nowhere_is_refused_in_both_languages(
    tmp_path: Path, old: str, new: str, english: str, japanese: str
) -> None:
    said = problems(tmp_path, (old, new))
    assert english in said
    assert japanese in said
    assert bool(said) is bool(english)


def test_a_language_that_no_agent_speaks_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "oita.toml").write_text(OITA.replace(", zh = 1", "").replace("zh = 1", "en = 1"), "utf-8")
    with pytest.raises(CentreFileErrors) as raised:
        read(tmp_path)
    assert 'no agent speaks the language "zh"' in "\n".join(raised.value.texts("en"))


def test_a_key_that_is_not_to_be_recorded_is_rendered_so(tmp_path: Path) -> None:
    source = OITA.replace('forward = "0970000110"', 'forward = "0970000110"\nrecord = false', 1)
    (tmp_path / "oita.toml").write_text(source, encoding="utf-8")
    found = read(tmp_path)
    files = render(found, replace(settings(configuration=found), tls_port=5061))
    lines = text(files, "extensions.conf").splitlines()
    assert "CALLCORE_MENUKEY_oita-city_7 = forward~0970000110~~unrecorded" in lines
    assert "CALLCORE_MENUKEY_oita-city_8 = forward~0970000121~" in lines


def test_the_shipped_menus_are_rendered_with_their_keys_and_sounds() -> None:
    found = read(PROJECT / "centres")
    files = render(found, replace(settings(configuration=found), tls_port=5061))
    lines = text(files, "extensions.conf").splitlines()
    assert "CALLCORE_MENU_oita-language = 4~3~languages" in lines
    assert "CALLCORE_MENUKEY_oita-language_2 = menu~oita-city~en" in lines
    assert "CALLCORE_MENU_oita-city = 3~3~-" in lines
    assert "CALLCORE_MENUKEY_oita-city_7 = forward~0970000110~" in lines
    assert "CALLCORE_MENUKEY_oita-night-language_4 = menu~oita-lost-card~ko" in lines
    assert "CALLCORE_MENUKEY_sogo-language_star = language~~ne" in lines
    assert "CALLCORE_CLOSEDMENU_oita = oita-night-language" in lines
    said = next(line for line in lines if line.startswith("CALLCORE_MENUSAY_oita-language_ja = "))
    assert said.partition(" = ")[2].split("&") == [
        f"callcore/oita/{language}/language_choice" for language in ("ja", "en", "zh", "ko")
    ]
    assert "CALLCORE_MENU_portal-full = 5~3~-" in lines


def test_the_menus_are_drawn_with_every_way_that_a_caller_can_take() -> None:
    found = read(PROJECT / "centres")
    refusing = [
        replace(each, blocked=Unwelcome.ANNOUNCE) if each.id == "oita" else each for each in found.centres
    ]
    chart = drawn(replace(found, centres=tuple(refusing)))
    assert chart.startswith("flowchart TD\n")
    for line in (
        'n0975105151["0975105151"] --> oita-language',
        'n0975105151 -.->|"一覧の番号 / listed"| n0975105151-blocked(["案内 / announcement blocked"])',
        'n0975105151-blocked -->|"9"| oita-language',
        'oita-closed["時間外・臨時休止 / closed, emergency"] --> oita-night-language',
        'oita-language -->|"2 en"| oita-city',
        'oita-night-language -->|"3 zh"| oita-lost-card',
        'oita-lost-card-0(["転送 / forward 0120950178"])',
        'oita-lost-card-0 -.->|"つながらない / not reached"| oita-told',
        'oita-lost-card-1 -.->|"無言 / nothing said"| oita-told',
        'oita-lost-card -.->|"3 × 5 s"| oita-told',
        'oita-agent -.-> oita-rule-0["総合案内: waiting ≥ 16"]',
        'oita-rule-0 --> oita-rule-0-to(["案内して終了 / announcement, then the end"])',
        "oita-rule-1 --> oita-full",
        "n0500000179-outsider --> portal-over",
        'oita-full -->|"1"| oita-line',
        'oita-full-1 -->|"1"| oita-over',
        'oita-full-1 -.->|"ほか / anything else"| oita-full',
        "oita-full-3 --> oita-full",
        'oita-full -.->|"3 × 5 s"| oita-line',
    ):
        assert f"    {line}\n" in chart, line
    assert 'ageo-agent -.-> ageo-rule-0["総合案内: no_agent"]\n    ageo-rule-0 --> ageo-full\n' in chart


def test_each_rendered_key_and_overflow_rule_is_drawn() -> None:
    found = read(PROJECT / "centres")
    chart = drawn(found)
    lines = text(
        render(found, replace(settings(configuration=found), tls_port=5061)), "extensions.conf"
    ).splitlines()
    keys = [line for line in lines if line.startswith("CALLCORE_MENUKEY_")]
    assert len(keys) == sum(len(menu.keys) for each in found.centres for menu in each.menus) > 40
    for line in keys:
        name, _, chosen = line.removeprefix("CALLCORE_MENUKEY_").partition(" = ")
        menu, _, key = name.rpartition("_")
        label = {"star": "＊", "hash": "＃"}.get(key, key)
        language = chosen.split("~")[2]
        assert f'{menu} -->|"{label} {language}"|' in chart or f'{menu} -->|"{label}"|' in chart, line
    for each in found.centres:
        if each.menus:
            drawn_rules = chart.count(f"{each.id}-agent -.-> {each.id}-rule-")
            assert drawn_rules == sum(len(queue.overflow) for queue in each.queues)


@pytest.mark.parametrize("mode", ["rfc4733", "info", "inband", "auto"])
def test_the_carriers_way_of_sending_keys_is_the_trunks_only(mode: str) -> None:

    from tests.support.centre import small_centre

    pjsip = text(render(small_centre(), replace(settings(), trunk_dtmf=mode)), "pjsip.conf")
    trunk = pjsip[pjsip.index("[trunk](callcore-endpoint)") :]
    assert f"dtmf_mode = {mode}\n" in trunk[: trunk.index("\n[")]
    assert pjsip.count("dtmf_mode = ") == 2


@cache
def shipped() -> Configuration:
    return read(PROJECT / "centres")


@pytest.mark.parametrize("seed", range(300))
def test_random_keys_always_come_to_an_end(seed: int) -> None:
    """The rendered menus, walked as the dialplan walks them: every way ends within the bound of all questions."""
    chance = random.Random(seed)
    site = chance.choice(shipped().centres)
    menus = {menu.id: menu for menu in site.menus}
    starts = [
        *((number.menu, "agent") for number in site.numbers),
        (site.closed_menu, "announcement"),
        *((rule.menu, "line") for queue in site.queues for rule in queue.overflow),
    ]
    name, goes_on = chance.choice([(menu, end) for menu, end in starts if menu is not None])
    end, misses = "", 0
    for _ in range(30):
        menu = menus[name]
        key = next((each for each in menu.keys if each.key == chance.choice("0123456789*# ")), None)
        if key is None:
            misses += 1
            if misses >= menu.tries:
                end = goes_on
                break
        elif key.choice is Choice.MENU:
            name, misses = key.to, 0
        elif key.choice is not Choice.SAY:
            end = key.choice.value
            break
    assert end


# -- what a call comes to ------------------------------------------------------------------------------------


def in_menu(open: bool = True) -> Desk:
    desk = Desk().begin(configuration(centre(2)))
    desk.tell(
        i.ChannelArrived(
            at=desk.at(0), node=NODE, channel=ChannelId("m"), name="PJSIP/trunk-m", number=NUMBER, caller=None
        )
    )
    desk.tell(i.AdmissionDecided(at=desk.at(0), call=CallId("m"), open=open, source="pushed"))
    return desk


def key(desk: Desk, s: float, choice: Choice, to: str = "", language: str | None = None) -> None:
    desk.tell(
        i.MenuKeyed(
            at=desk.at(s), call=CallId("m"), menu="demo-m", key="1", choice=choice, to=to, language=language
        )
    )


def goes(desk: Desk, s: float, *, by_caller: bool = True) -> Outcome:
    if by_caller:
        desk.tell(i.HangupRequested(at=desk.at(s), channel=ChannelId("m")))
    desk.tell(i.ChannelGone(at=desk.at(s), channel=ChannelId("m"), cause=16))
    (ended,) = desk.told(f.CallEnded)
    return ended.outcome


@pytest.mark.parametrize("choice", [Choice.SAY, Choice.FORWARD, Choice.END])
@pytest.mark.parametrize("by_caller", [True, False])
def test_who_chose_what_needs_no_agent_and_ended_there_is_ivr_only(choice: Choice, by_caller: bool) -> None:
    desk = in_menu()
    key(desk, 10, choice)
    assert goes(desk, 20, by_caller=by_caller) is Outcome.IVR_ONLY


@pytest.mark.parametrize(
    "choice", [Choice.MENU, Choice.LANGUAGE, Choice.NONE, Choice.WRONG, Choice.UNREACHED]
)
def test_who_puts_down_in_a_menu_before_that_was_due_an_agent(choice: Choice) -> None:
    desk = in_menu()
    key(desk, 10, choice)
    assert goes(desk, 20) is Outcome.ABANDONED


def test_who_puts_down_at_once_in_a_menu_is_a_short_abandon() -> None:
    assert goes(in_menu(), 3) is Outcome.ABANDONED_SHORT


def test_who_heard_information_and_then_asked_for_an_agent_is_due_one() -> None:
    desk = in_menu()
    key(desk, 10, Choice.SAY, "hours")
    key(desk, 20, Choice.NONE)
    desk.tell(i.CallerHeld(at=desk.at(30), call=CallId("m")))
    assert goes(desk, 40) is Outcome.ABANDONED


def test_out_of_hours_a_call_stays_closed_whatever_was_keyed() -> None:
    desk = in_menu(open=False)
    key(desk, 10, Choice.FORWARD, "0120950178")
    assert goes(desk, 90) is Outcome.CLOSED


def test_a_chosen_language_is_a_need_and_the_first_language_is_none() -> None:
    for language, wanted in (("en", "en"), ("ja", None)):
        desk = in_menu()
        desk.sign_in(1, 1)
        key(desk, 10, Choice.LANGUAGE, language=language)
        desk.tell(i.CallerHeld(at=desk.at(20), call=CallId("m")))
        assert desk.told(f.VisitBegan)[0].language == wanted
        assert len(desk.told(f.OfferMade)) == (1 if wanted is None else 0)  # nobody here speaks English


def test_a_queue_of_another_centre_is_not_believed() -> None:
    desk = in_menu()
    key(desk, 10, Choice.QUEUE, "elsewhere-general")
    assert desk.told(f.MenuAnswered)[0].queue is None


def test_a_key_after_the_menu_is_disregarded() -> None:
    desk = in_menu()
    desk.tell(i.CallerHeld(at=desk.at(5), call=CallId("m")))
    key(desk, 10, Choice.SAY)
    assert desk.told(f.MenuAnswered) == []


def test_what_the_dialplan_tells_is_read_and_nonsense_is_not() -> None:
    told = menu_keyed(Instant(1), "m", "oita-language", "star", "language~~en")
    assert told is not None
    assert (told.key, told.choice, told.language) == ("*", Choice.LANGUAGE, "en")
    assert menu_keyed(Instant(1), "m", "oita-language", "1", "dance~~") is None
    assert menu_keyed(Instant(1), "m", None, "1", "end~~") is None


def test_cel_tells_the_way_through_the_menus_and_a_forward_is_no_answer() -> None:
    def line(
        kind: str, unique: str, at: int, user: str = "", extra: str = "", channel: str = "PJSIP/trunk-1"
    ) -> cel.Line:
        return cel.Line(kind, user, Instant(at), unique, "m", channel, "callcore-in", "0975105151", "", extra)

    (trace,) = cel.traces(
        [
            line("CHAN_START", "m", 1),
            line("USER_DEFINED", "m", 2, "callcore-open", '{"extra":"pushed"}'),
            line("USER_DEFINED", "m", 3, "callcore-menu", '{"extra":"oita-m~1~forward~0120950178~"}'),
            line("BRIDGE_ENTER", "x", 4, extra='{"bridge_id":"b"}', channel="PJSIP/trunk-2"),
            line("BRIDGE_ENTER", "m", 4, extra='{"bridge_id":"b"}'),
            line("BRIDGE_EXIT", "m", 9, extra='{"bridge_id":"b"}'),
            line("CHAN_END", "m", 10),
        ]
    )
    assert [each.choice for each in trace.menus] == [Choice.FORWARD]
    assert trace.answered is None


# -- a language that is remembered -------------------------------------------------------------------------------


def chooses(d: Desk, s: float, call: str, language: str | None, *, key: str = "2", **more: object) -> None:
    told = i.ChannelArrived(
        at=d.at(s), node=NODE, channel=ChannelId(call), name="x", number=NUMBER, caller="0312345678"
    )
    d.tell(replace(told, **{k: v for k, v in more.items() if k == "caller"}))  # type: ignore[arg-type]
    d.tell(i.AdmissionDecided(at=d.at(s), call=CallId(call), open=True, source="pushed"))
    keyed = i.MenuKeyed(
        at=d.at(s), call=CallId(call), menu="demo-l", key=key, choice=Choice.LANGUAGE, language=language
    )
    d.tell(replace(keyed, **{k: v for k, v in more.items() if k == "withheld"}))  # type: ignore[arg-type]


def remembering(days: int = 30) -> Desk:
    made = replace(centre(1), languages=("ja", "en"), remember_language_days=days)
    return Desk().begin(configuration(made))


def test_a_chosen_language_is_remembered_for_the_centres_days() -> None:
    d = remembering()
    chooses(d, 10, "c1", "en")
    [known] = d.floor.tongues.values()
    assert (known.language, known.caller.text) == ("en", "0312345678")
    assert known.until == d.at(10 + 30 * 86_400)


@pytest.mark.parametrize(
    ("days", "more"),
    [(0, {}), (30, {"caller": None}), (30, {"withheld": True}), (30, {"key": "known"})],
    ids=["not wanted", "no number", "withheld", "was known"],
)
def test_a_language_is_not_remembered(days: int, more: dict[str, object]) -> None:
    d = remembering(days)
    chooses(d, 10, "c1", "en", **more)  # type: ignore[arg-type]
    assert not d.floor.tongues
    assert d.floor.calls[CallId("c1")].language == "en", "it holds for this call all the same"


def test_the_step_of_a_remembered_language_is_told_in_words() -> None:
    d = remembering()
    chooses(d, 10, "c1", "en", key="known")
    [fact] = d.told(f.MenuAnswered)
    assert isinstance(fact, f.MenuAnswered) and "remembered" in fact.reason


def test_languages_whose_time_is_over_are_let_go() -> None:
    d = remembering(1)
    for n in range(256):
        chooses(d, 10, f"c{n}", "en")
    chooses(d, 10 + 86_400, "late", "en")
    assert list(d.floor.tongues) == ["late"]


def test_a_phrase_for_who_waits_that_is_too_long_is_refused(tmp_path: Path) -> None:
    sounds = tmp_path / "prompts"
    for owner in ("oita", *shelf.LANGUAGES, shelf.COMMON):
        (sounds / owner).parent.mkdir(exist_ok=True)
        (sounds / owner).symlink_to(PROJECT / "ivr_prompts" / owner)
    (tmp_path / "oita.toml").write_text(
        OITA.replace('say = ["have_ready", "hours_info"]', 'say = ["have_ready", "hours_info", "closed"]'),
        "utf-8",
    )
    with pytest.raises(CentreFileErrors) as raised:
        load(tmp_path, sounds)
    said = raised.value.texts("en")
    assert len(said) == 4 and "the phrase closed (ja) for who waits is" in said[0]
    (tmp_path / "oita.toml").write_text(OITA, "utf-8")
    assert load(tmp_path, sounds).centres[0].queues[0].comfort is not None
    (sounds / "ko").unlink()
    shutil.copytree(PROJECT / "ivr_prompts" / "ko", sounds / "ko")
    manifest = sounds / "ko" / "spoken" / "manifest.json"
    text, made = manifest.read_text("utf-8"), shelf.made_of(sounds, "ko/spoken/place-3")
    assert made is not None
    lines = [
        line.replace(f'"duration_s": {made.duration_s}', '"duration_s": 10.7')
        if '"place-3"' in line
        else line
        for line in text.splitlines()
    ]
    manifest.write_text("\n".join(lines), "utf-8")
    with pytest.raises(CentreFileErrors) as raised:
        load(tmp_path, sounds)
    assert "the phrase place-3 (ko) for who waits is 10.7 s long" in raised.value.texts("en")[0]
