"""What the centre files become, and what must never get into Asterisk's configuration."""

from __future__ import annotations

import re
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcore.domain.centre import (
    Announcement,
    Cause,
    Centre,
    Configuration,
    Hold,
    Number,
    Overflow,
    Phone,
    Queue,
)
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import CentreId, NodeId, PhoneId, QueueId
from callcore.domain.stages import Treatment
from callcore.pbx import pieces
from callcore.pbx.render import EVENTS, UNMADE_EVENTS, PbxSettings, RenderError, render, write
from callcore.prompts import sound
from tests.support.centre import small_centre

EVIL = (
    "x\nexten => 1,1,System(id)",
    "x\r\n[callcore]",
    "x;y",
    "x${SHELL(id)}",
    "x]y",
    "x\x00",
    "x,y",
    "x&y",
    "x|y",
    "x#include y",
    "x\u2028y",
    "大分",
    "x ",
    " x",
    "",
    "-=>",
)


def settings(folder: Path = Path("/opt/callcore"), configuration: Configuration | None = None) -> PbxSettings:
    centres = (configuration or small_centre()).centres
    return PbxSettings(
        node=NodeId("node1"),
        etc_dir=folder / "etc",
        run_dir=folder / "run",
        log_dir=folder / "log",
        lib_dir=folder / "lib",
        spool_dir=folder / "spool",
        recordings_dir=folder / "recordings",
        modules_dir=Path("/usr/lib/asterisk/modules"),
        data_dir=folder / "data",
        prompts_dir=folder / "prompts",
        kept_dir=folder / "played",
        music_dir=folder / "music",
        ami_port=5038,
        ami_secret="ami-secret-ami-secret",
        sip_port=5060,
        rtp_first=10000,
        rtp_last=20000,
        phone_secrets={phone.id: f"secret-of-{phone.id}-xxxx" for c in centres for phone in c.phones},
        trunk_hosts=("127.0.0.11", "127.0.0.12"),
        sip_host="127.0.0.1",
    )


def text(files: dict[str, bytes], name: str) -> str:
    return files[name].decode()


def section(files: dict[str, bytes], name: str, title: str) -> str:
    """The lines below `[title]`, with all sections of that title together."""
    parts = re.split(r"^\[", text(files, name), flags=re.MULTILINE)
    return "".join(part for part in parts if part.startswith(f"{title}]"))


def test_an_overflow_announcement_is_asked_for_only_where_a_rule_plays_it() -> None:
    configuration = small_centre()
    oita, beppu = configuration.centres
    rule = Overflow(Cause.WAITING, Treatment.ANNOUNCE, 3)
    ruled = replace(oita, queues=(replace(oita.queues[0], overflow=(rule,)),))
    with pytest.raises(RenderError, match="overflow"):
        render(Configuration("t", (ruled, beppu)), settings())
    spoken = replace(
        ruled, announcements=(*oita.announcements, Announcement("overflow", "ja", "…", "oita/ja/overflow"))
    )
    files = render(Configuration("t", (spoken, beppu)), settings())
    sounds = [line for line in text(files, "extensions.conf").splitlines() if "_overflow =" in line]
    assert sounds == ["CALLCORE_SOUND_oita_overflow = callcore/oita/ja/overflow"]
    busy = replace(rule, treatment=Treatment.BUSY)
    render(
        Configuration("t", (replace(oita, queues=(replace(oita.queues[0], overflow=(busy,)),)), beppu)),
        settings(),
    )


def test_rendering_twice_gives_the_same_bytes_whatever_the_order_of_the_centres() -> None:
    configuration = small_centre()
    turned = replace(configuration, centres=tuple(reversed(configuration.centres)))
    first = render(configuration, settings())
    assert first == render(configuration, settings())
    assert first == render(turned, replace(settings(), trunk_hosts=("127.0.0.12", "127.0.0.11")))


def test_a_number_leads_to_its_queue_and_whatever_else_is_asked_for_is_counted_and_refused() -> None:
    arriving = section(render(small_centre(), settings()), "extensions.conf", "callcore-in")
    assert re.findall(r"exten => ([^,]+),", arriving) == [
        "0977211111",
        "0975105151",
        "_[0-9A-Za-z*#+_].",
    ]
    assert "exten => _[0-9A-Za-z*#+_].,1,Goto(callcore-not-ours,s,1)\n" in arriving
    assert "Set(__CALLCORE_QUEUE=oita-general)" in arriving


def test_weekly_hours_become_seconds_of_the_local_day() -> None:
    day = (Window(30_600, 43_200), Window(46_800, 64_800))
    files = render(small_centre((day, *((),) * 6)), settings())
    assert "CALLCORE_WEEKLY_oita_1 = 30600-43200,46800-64800\n" in text(files, "extensions.conf")
    assert "CALLCORE_WEEKLY_oita_7 = closed\n" in text(files, "extensions.conf")
    assert "CALLCORE_ZONE_oita = JST-9\n" in text(files, "extensions.conf")


def test_the_announcement_for_too_many_callers_is_played_where_a_rule_asks_for_it() -> None:
    oita, beppu = small_centre().centres
    rule = Overflow(Cause.WAITING, Treatment.ANNOUNCE, 8)
    full = replace(oita, queues=(replace(oita.queues[0], overflow=(rule,)),))
    with pytest.raises(RenderError, match="overflow"):
        render(Configuration("v", (full, beppu)), settings())
    told = Announcement("overflow", "ja", "混雑", "oita/ja/overflow")
    files = render(
        Configuration("v", (replace(full, announcements=(*full.announcements, told)), beppu)), settings()
    )
    assert "CALLCORE_SOUND_oita_overflow = callcore/oita/ja/overflow\n" in text(files, "extensions.conf")
    assert "CALLCORE_SOUND_beppu_overflow" not in text(files, "extensions.conf")


def test_each_language_has_its_announcements_and_phrases_by_name_and_the_first_one_without() -> None:
    oita, beppu = small_centre().centres
    english = (
        Announcement("closed", "en", "We are closed.", "oita/en/closed", "0123456789abcdef"),
        Announcement("closed", "tl", "We are closed.", "oita/en/closed", "0123456789abcdef"),
        Announcement("emergency", "en", "We had to close.", "en/emergency"),
    )
    speaks = replace(
        oita,
        languages=(*oita.languages, "en", "tl"),
        announcements=(*oita.announcements, *english),
        phrases=(("tl", "en"),),
    )
    lines = text(render(Configuration("v", (speaks, beppu)), settings()), "extensions.conf").splitlines()
    told = dict(line.split(" = ", 1) for line in lines if line.startswith(("CALLCORE_SO", "CALLCORE_SP")))
    closed, emergency = "CALLCORE_SOUND_oita_closed", "CALLCORE_SOUND_oita_emergency"
    assert told[closed] == told[f"{closed}_ja"] == "callcore/oita/ja/closed"
    assert told[f"{closed}_en"] == told[f"{closed}_tl"] == "callcore-kept/0123456789abcdef"
    # Who has no words of his own in an emergency hears that the centre is closed.
    assert told[emergency] == told[f"{emergency}_ja"] == told[closed]
    assert told[f"{emergency}_en"] == "callcore/en/emergency"
    assert told[f"{emergency}_tl"] == told[f"{closed}_tl"]
    spoken = "CALLCORE_SPOKEN_oita"
    assert told[spoken] == told[f"{spoken}_ja"] == "callcore/ja/spoken"
    assert told[f"{spoken}_en"] == told[f"{spoken}_tl"] == "callcore/en/spoken"


def test_who_is_held_hears_pieces_of_the_music_with_the_phrase_of_his_language_between_them() -> None:
    found = small_centre()
    oita = replace(
        found.centres[0],
        languages=("ja", "en", "ko"),
        announcements=(
            *found.centres[0].announcements,
            Announcement("on_hold", "ja", "お待ちください。", "ja/on_hold", "0123456789abcdef"),
            Announcement("on_hold", "en", "Please wait.", "oita/en/on_hold"),
        ),
        hold=Hold(phrase_every_s=100),
    )

    def classes(centre: Centre) -> dict[str, list[str]]:
        files = render(replace(found, centres=(centre,)), settings())
        return {
            language: section(files, "musiconhold.conf", f"callcore-hold-oita-{language}").splitlines()[1:]
            for language in centre.languages
        }

    pieces, sounds = "/opt/callcore/lib/pieces/100", "/opt/callcore/lib/sounds"
    plain = ["mode = files", "directory = /opt/callcore/music", "sort = alpha"]
    told = classes(oita)
    assert told["ja"][:5] == [
        "mode = playlist",
        f"entry = {pieces}/000",
        f"entry = {sounds}/callcore-kept/0123456789abcdef",
        f"entry = {pieces}/001",
        f"entry = {sounds}/callcore-kept/0123456789abcdef",
    ]
    assert told["en"][2] == f"entry = {sounds}/callcore/oita/en/on_hold"
    assert [line for line in told["ko"] if line] == plain, "no such phrase: the music alone"
    alone = classes(replace(oita, hold=Hold(phrase_every_s=0)))
    assert [[line for line in lines if line] for lines in alone.values()] == [plain] * 3


def test_the_pieces_follow_one_another_through_all_of_the_music_and_begin_anew_at_its_end(
    tmp_path: Path,
) -> None:
    samples = np.arange(8000 * 90, dtype="<i2")  # 90 s, in two files
    for name, part in (("a", samples[: 8000 * 50]), ("b", samples[8000 * 50 :])):
        (tmp_path / f"{name}.wav").write_bytes(sound.wav_of(part.tobytes()))
    (tmp_path / "c.wav").write_bytes(b"no sound")
    pieces.cut(tmp_path, tmp_path / "cut", 60)
    found = []
    for path in pieces.names(tmp_path / "cut", 60):
        with wave.open(str(path.with_suffix(".wav")), "rb") as file:
            assert file.getnframes() == 8000 * 60
            found.append(file.readframes(file.getnframes()))
    assert b"".join(found) == (samples.tobytes() * 3)[: 240 * 8000 * 2]
    assert (pieces.count(30), pieces.count(300)) == (8, 1)
    with pytest.raises(pieces.NoMusic):
        pieces.cut(tmp_path / "nothing", tmp_path / "cut", 60)


def test_a_zone_with_summer_time_keeps_its_name() -> None:
    oita, beppu = small_centre().centres
    abroad = replace(oita, calendar=Calendar("Europe/Paris", ((),) * 7))
    files = render(Configuration("v", (abroad, beppu)), settings())
    assert "CALLCORE_ZONE_oita = Europe/Paris\n" in text(files, "extensions.conf")


def test_the_heartbeat_is_declared_nowhere() -> None:
    for name, content in render(small_centre(), settings()).items():
        assert not re.search(rb"^\s*CALLCORE_(HEARTBEAT|RUN)\s*=", content, re.MULTILINE), name


def test_the_trunk_says_nothing_about_us_and_each_phone_has_one_place() -> None:
    files = render(small_centre(), settings())
    common = section(files, "pjsip.conf", "callcore-endpoint")
    for line in ("send_connected_line = no", "send_pai = no", "send_rpid = no", "trust_id_outbound = no"):
        assert line in common
    assert "match = 127.0.0.11\nmatch = 127.0.0.12\n" in section(files, "pjsip.conf", "trunk-identify")
    phone = section(files, "pjsip.conf", "oita-p1")
    assert "password = secret-of-oita-p1-xxxx" in phone
    assert "subscribe_context = callcore-lamps-oita-p1" in phone
    assert "max_contacts = 1" in section(files, "pjsip.conf", "callcore-aor")


def test_without_a_trunk_nobody_is_taken_for_one() -> None:
    files = render(small_centre(), replace(settings(), trunk_hosts=()))
    assert "type = identify" not in text(files, "pjsip.conf")


@pytest.mark.parametrize(
    ("version", "by_name"),
    [
        ("22.10.1", True),
        ("22.0.0", True),
        ("21.5.0", True),
        ("21.4.9", False),
        ("20.10.0", True),
        ("20.6.0", False),
    ],
)
def test_filters_are_written_in_a_form_that_this_asterisk_knows(version: str, by_name: bool) -> None:
    manager = text(render(small_centre(), replace(settings(), asterisk_version=version)), "manager.conf")
    assert ("eventfilter(action(include),name(Newchannel)) =" in manager) is by_name
    assert ("eventfilter = ^Event: Newchannel[[:cntrl:]]" in manager) is not by_name
    assert ("\ndisabledevents = Newexten,VarSet," in manager) is by_name


def test_no_event_that_is_asked_for_is_kept_from_being_made() -> None:
    assert not {*EVENTS, "DeviceStateChange", "DTMFEnd"} & set(UNMADE_EVENTS)


@pytest.mark.parametrize("evil", EVIL)
def test_no_name_from_a_centre_file_can_write_configuration(evil: str) -> None:
    oita, beppu = small_centre().centres
    changed = (
        replace(oita, id=CentreId(evil)),
        replace(oita, numbers=(Number(evil, QueueId("oita-general")),)),
        replace(oita, numbers=(Number("0975105151", QueueId(evil)),)),
        replace(oita, queues=(Queue(QueueId(evil), "x"),)),
        replace(oita, phones=(Phone(PhoneId(evil), "1", "sip"),)),
        replace(oita, languages=(evil,)),
        replace(oita, calendar=replace(oita.calendar, zone=evil)),
        replace(oita, announcements=tuple(replace(a, sound=evil) for a in oita.announcements)),
    )
    for centre in changed:
        configuration = Configuration("v", (centre, beppu))
        with pytest.raises(RenderError):
            render(configuration, settings(configuration=configuration))


@pytest.mark.parametrize("evil", EVIL)
def test_no_secret_or_address_can_write_configuration(evil: str) -> None:
    for change in (
        {"node": evil},
        {"ami_secret": evil},
        {"phone_secrets": dict.fromkeys(settings().phone_secrets, evil)},
        {"trunk_hosts": (evil,)},
        {"asterisk_version": evil},
        {"sip_host": evil},
    ):
        with pytest.raises(ValueError):  # noqa: PT011  RenderError, and ipaddress' own ValueError
            render(small_centre(), replace(settings(), **change))


@pytest.mark.parametrize("evil", ["x\ny", "x;y", "x${y}", "x,y", "x&y", "x|y", "大分", "x "])
@pytest.mark.parametrize("folder", ["etc_dir", "recordings_dir", "music_dir", "prompts_dir", "modules_dir"])
def test_no_folder_can_write_configuration(evil: str, folder: str) -> None:
    changed: dict[str, Any] = {folder: Path(f"/opt/{evil}")}
    with pytest.raises(RenderError):
        render(small_centre(), replace(settings(), **changed))


def test_names_of_people_and_texts_stay_out_of_every_file() -> None:
    oita, beppu = small_centre().centres
    named = replace(
        oita,
        name="x\n[evil]",
        name_en="x;${y}",
        display="大分",
        agents=tuple(replace(a, name="\n[evil]") for a in oita.agents),
        phones=tuple(replace(p, seat="\n[evil]", model="\n[evil]", mac="\n[evil]") for p in oita.phones),
        queues=tuple(replace(q, name="\n[evil]") for q in oita.queues),
        announcements=tuple(
            Announcement(a.kind, a.language, "\n[evil]", a.sound) for a in oita.announcements
        ),
    )
    plain = Configuration("v", (replace(oita, display="大分"), beppu))
    assert render(Configuration("v", (named, beppu)), settings()) == render(plain, settings())
    # Without a name for displays the centre's own is shown, and nothing in it means anything to Asterisk.
    shown = render(Configuration("v", (replace(named, display=None), beppu)), settings())["extensions.conf"]
    assert b"CALLCORE_NAME_oita = xevil\n" in shown
    assert b"[evil]" not in shown


@pytest.mark.parametrize("name", ["general", "trunk", "global", "system", "callcore-udp", "default"])
def test_a_reserved_name_is_refused(name: str) -> None:
    oita, _ = small_centre().centres
    centre = replace(oita, phones=(Phone(PhoneId(name), "1", "sip"),))
    configuration = Configuration("v", (centre,))
    with pytest.raises(RenderError, match="予約"):
        render(configuration, settings(configuration=configuration))


def test_the_same_number_in_two_centres_is_refused() -> None:
    oita, beppu = small_centre().centres
    twice = replace(beppu, numbers=(*beppu.numbers, Number("0975105151", QueueId("beppu-general"))))
    with pytest.raises(RenderError, match="0975105151"):
        render(Configuration("v", (oita, twice)), settings())


def test_a_missing_announcement_or_secret_is_named() -> None:
    oita, _ = small_centre().centres
    silent = replace(oita, announcements=tuple(a for a in oita.announcements if a.kind != "closed"))
    with pytest.raises(RenderError, match="closed"):
        render(Configuration("v", (silent,)), settings())
    with pytest.raises(RenderError, match="beppu-p1"):
        render(small_centre(), replace(settings(), phone_secrets={}))


def test_ami_beyond_loopback_and_a_socket_path_that_is_too_long_are_refused() -> None:
    with pytest.raises(RenderError, match="loopback"):
        render(small_centre(), replace(settings(), ami_host="192.0.2.1"))
    with pytest.raises(RenderError, match="CALLCORE_HOME"):
        render(small_centre(), replace(settings(), run_dir=Path("/" + "x" * 100)))
    with pytest.raises(RenderError, match="absolute"):
        render(small_centre(), replace(settings(), lib_dir=Path("lib")))


def test_files_are_the_owners_only_and_a_refused_rendering_changes_none(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    files = write(small_centre(), chosen)
    found = {path.name: path for path in chosen.etc_dir.iterdir()}
    assert found.pop("callcore.version").read_text() == small_centre().version
    assert set(found) == set(files)
    for path in found.values():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == files[path.name]
    for folder in (chosen.etc_dir, chosen.run_dir, chosen.log_dir, chosen.recordings_dir):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (chosen.lib_dir / "sounds/callcore").readlink() == chosen.prompts_dir
    assert (chosen.log_dir / "cel-custom").is_dir()
    with pytest.raises(RenderError):
        write(small_centre(), replace(chosen, ami_secret="short"))
    assert (chosen.etc_dir / "manager.conf").read_bytes() == files["manager.conf"]
    # Again over the old ones, with prompts that have moved.
    moved = replace(chosen, prompts_dir=tmp_path / "elsewhere")
    assert write(small_centre(), moved) == files
    assert (moved.lib_dir / "sounds/callcore").readlink() == moved.prompts_dir


def test_nothing_wider_than_a_page_and_no_template_sign_is_left_over() -> None:
    for name, content in render(small_centre(), settings()).items():
        assert b"{{" not in content, name
        assert b"{%" not in content, name
