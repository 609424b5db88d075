"""`callcore doctor`: for each fault that is planted, the operator reads which it is and how to mend it."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

import callcore.doctor.looking as looking
from callcore import console, doctor, sipcert
from callcore.cli import app
from callcore.doctor import Level, Seen, judge, look, status
from callcore.doctor.judging import CHECKS, FREE_WARN
from callcore.domain.centre import Configuration, Recordings
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.domain.recording import SoundFormat
from callcore.files import FREE_LEAST
from callcore.pbx.render import MODULES
from callcore.settings import PROJECT, Settings
from tests.support.asterisk import free_port
from tests.support.floors import centre
from tests.support.store import House

NOW = 1_795_402_800.0
GOOD = Seen(
    now=NOW,
    wanted_version="22.10.1",
    version="22.10.1",
    modules=frozenset(MODULES),
    cel_status="CEL Logging: Enabled",
    cel_at=NOW - 100,
    last_call_at=NOW - 100.5,
    engine={"at": NOW * 1e6, "linked": True, "gauges": {"engine_trunk_reachable": 1.0}},
    sidecar=True,
    phones=({"phone": "oita-p1", "seat": "A-1", "policy": "matched"},),
    synchronised=True,
    free={"recordings": FREE_WARN},
    certificates={"web": NOW + 15 * 86400},
    tables=("0009", "0009"),
)


def told(**gauges: float) -> Mapping[str, Any]:
    assert GOOD.engine is not None
    return {**GOOD.engine, "gauges": gauges}


def with_phone(policy: str) -> Seen:
    return replace(GOOD, phones=({"phone": "oita-p1", "seat": "A-1", "policy": policy},))


FAULTS: dict[str, tuple[str, Level, Seen]] = {
    "a stopped database": ("database", Level.FAIL, replace(GOOD, database="no answer")),
    "old tables": ("database", Level.FAIL, replace(GOOD, tables=("0008", "0009"))),
    "a module that is missing": (
        "modules",
        Level.FAIL,
        replace(GOOD, modules=frozenset(MODULES) - {"app_mixmonitor"}),
    ),
    "another Asterisk": ("asterisk", Level.WARN, replace(GOOD, version="20.5.0")),
    "an Asterisk that loses voices": ("asterisk", Level.FAIL, replace(GOOD, late_frames=True)),
    "no Asterisk": ("asterisk", Level.FAIL, replace(GOOD, wanted_version=None)),
    "Asterisk that died": ("running", Level.FAIL, replace(GOOD, version=None)),
    "an engine that is silent": ("running", Level.FAIL, replace(GOOD, engine=None)),
    "a sidecar that is away": ("running", Level.FAIL, replace(GOOD, sidecar=False)),
    "a link that is cut": ("running", Level.FAIL, replace(GOOD, engine={**told(), "linked": False})),
    "a disk that fills": ("disk", Level.WARN, replace(GOOD, free={"recordings": FREE_WARN - 1})),
    "a full disk": ("disk", Level.FAIL, replace(GOOD, free={"recordings": FREE_LEAST - 1})),
    "a disk that is gone": ("disk", Level.FAIL, replace(GOOD, free={"recordings": None})),
    "an expired certificate": ("certificates", Level.FAIL, replace(GOOD, certificates={"web": NOW})),
    "one that ends soon": ("certificates", Level.WARN, replace(GOOD, certificates={"web": NOW + 14 * 86400})),
    "one that cannot be used": ("certificates", Level.FAIL, replace(GOOD, certificates={"web": "no key"})),
    "CEL that does not grow": ("cel", Level.FAIL, replace(GOOD, cel_at=NOW - 161)),
    "CEL that is not there": ("cel", Level.FAIL, replace(GOOD, cel_at=None)),
    "CEL that is switched off": ("cel", Level.FAIL, replace(GOOD, cel_status="CEL Logging: Disabled")),
    "a port that is taken": ("ports", Level.FAIL, replace(GOOD, ports_taken=("SIP 127.0.0.1:5060",))),
    "a clock of its own": ("clock", Level.WARN, replace(GOOD, synchronised=False)),
    "a clock that was stepped": ("clock", Level.WARN, replace(GOOD, engine=told(engine_clock_steps=1.0))),
    "two clocks": ("clock", Level.WARN, replace(GOOD, now=NOW + 3, certificates={})),
    "a wrong centre file": ("centres", Level.FAIL, replace(GOOD, centre_problems=("oita.toml:3",))),
    "a prompt that is missing": ("prompts", Level.FAIL, replace(GOOD, prompts=("oita/ja/closed",))),
    "a phone without power": ("phones", Level.WARN, with_phone("absent")),
    "a phone of somebody's own": ("phones", Level.FAIL, with_phone("maker")),
    "a carrier that is away": ("trunk", Level.FAIL, replace(GOOD, engine=told(engine_trunk_reachable=0.0))),
    "no carrier at all": ("trunk", Level.WARN, replace(GOOD, trunk_in=False)),
    "a journal that cannot be written": (
        "journal",
        Level.FAIL,
        replace(GOOD, engine=told(engine_journal_stuck_seconds=3.0)),
    ),
    "late events": ("journal", Level.WARN, replace(GOOD, engine=told(engine_events_late=1.0))),
    "a key of recordings that is lost": (
        "recordings",
        Level.FAIL,
        replace(GOOD, recordings=("鍵がありません / a key is missing",)),
    ),
    "a chain of recordings that a clock put ahead": (
        "recordings",
        Level.WARN,
        replace(GOOD, ahead={"oita": "2027-01-03"}),
    ),
    "a line of a chain that somebody edited": (
        "recordings",
        Level.FAIL,
        replace(GOOD, untimed=("oita/2026-11-20/chain.jsonl:2",)),
    ),
    "recordings of a centre that is in no file": (
        "recordings",
        Level.WARN,
        replace(GOOD, departed=("demo",)),
    ),
    "a format of recordings that nothing makes": (
        "recordings",
        Level.WARN,
        replace(GOOD, lacking_ffmpeg=("oita (opus)",)),
    ),
    "secrets that others read": ("secrets", Level.FAIL, replace(GOOD, readable=("secrets.json",))),
}


def test_a_sound_installation_is_well_in_every_check() -> None:
    found = judge(GOOD)
    assert [each.check for each in found] == list(CHECKS)
    assert {each.level for each in found} == {Level.OK}
    assert status(found) == 0


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_planted_fault_is_named_alone_with_the_way_to_mend_it(fault: str) -> None:
    check, level, seen = FAULTS[fault]
    found = judge(seen)
    (bad,) = [each for each in found if each.level is not Level.OK]
    assert (bad.check, bad.level) == (check, level)
    assert " / " in bad.what or check in ("ports", "certificates")
    assert bad.mend is not None and " / " in bad.mend
    assert status(found) == {Level.WARN: 1, Level.FAIL: 2}[level]


def test_every_check_has_a_planted_fault() -> None:
    assert {check for check, _, _ in FAULTS.values()} == set(CHECKS)


def test_what_stands_still_is_a_warning_and_its_tables_may_be_old() -> None:
    still = replace(GOOD, version=None, engine=None, sidecar=False, phones=None, tables=(None, "0009"))
    assert {(e.check, e.level) for e in judge(still) if e.level is not Level.OK} == {
        ("running", Level.WARN),
        ("database", Level.WARN),
    }


# -- looking ---------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tmp_path.chmod(0o700)
    free: Callable[[], int] = lambda: free_port("127.0.0.1")  # noqa: E731
    return Settings(
        home=tmp_path,
        sip_host="127.0.0.1",
        ami_port=free(),
        sip_tls_port=free(),
        web_port=free(),
        sip_port=free(),
    )


async def test_an_installation_that_stands_still_is_looked_at_and_left_as_it_is(settings: Settings) -> None:
    before = sorted(settings.home.rglob("*"))
    seen = await look(settings)
    assert sorted(settings.home.rglob("*")) == before
    assert not seen.up and seen.database is None and seen.tables[0] is None
    assert seen.centre_problems == () and seen.prompts == () and seen.readable == ()
    assert all(free and free > 0 for free in seen.free.values())
    checks = {each.check for each in judge(seen) if each.level is Level.FAIL}
    assert checks <= {"asterisk", "disk"}, "no toolchain in this home; a machine of tests may be nearly full"


def test_a_centre_whose_format_needs_the_missing_ffmpeg_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    oita, ageo, sogo = (
        replace(centre(), id=CentreId(name), recordings=Recordings(format=form))
        for name, form in (
            ("oita", SoundFormat.OPUS),
            ("ageo", SoundFormat.ULAW),
            ("sogo", SoundFormat.G722),
        )
    )
    site = Configuration("1", (oita, ageo, sogo))
    assert looking.lacking_ffmpeg(site) == () == looking.lacking_ffmpeg(None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert looking.lacking_ffmpeg(site) == ("oita (opus)", "sogo (g722)")


@pytest.mark.parametrize(("days", "told"), [(0, False), (3, True)])
async def test_a_chain_whose_newest_day_is_yet_to_come_is_named(
    settings: Settings, days: int, told: bool
) -> None:
    house = House(settings.home)
    at = datetime.now(ZoneInfo("Asia/Tokyo")) + timedelta(days=days)
    house.world.at = Instant(round(at.timestamp() * SECOND))
    house.keep("node1-1795143500.7", centre="oita")
    seen = await look(settings)
    assert seen.ahead == ({"oita": at.date().isoformat()} if told else {})
    (settings.recordings_keys / "heads" / "oita.json").write_text("rubbish")
    assert (await look(settings)).ahead == {}


async def test_a_line_of_a_chain_whose_time_cannot_be_read_is_named(settings: Settings) -> None:
    house = House(settings.home)
    house.keep("c1", centre="oita")
    house.keep("c2", centre="ageo")
    assert (await look(settings)).untimed == ()
    edited = house.edit("oita", "yesterday")
    assert (await look(settings)).untimed == tuple(edited)
    (verified,) = {fault for fault, name in house.named() if name in {e.partition("/")[2] for e in edited}}
    assert verified == "line_altered"
    chain = house.store / "oita" / "2026-11-20" / "chain.jsonl"
    chain.write_bytes(chain.read_bytes()[:-20])
    assert (await look(settings)).untimed == tuple(edited[:-1]), "one that is being written is none"


async def test_recordings_of_a_centre_that_is_in_no_file_are_named(settings: Settings) -> None:
    house = House(settings.home)
    house.keep("c1", centre="oita")
    assert [*(await look(settings)).departed] == []
    house.keep("c2", centre="demo")
    assert [*(await look(settings)).departed] == ["demo"]
    (house.store / "demo" / "2026-11-20" / "chain.jsonl").unlink()
    assert [*(await look(settings)).departed] == [], "nothing lies there that the chain tells of"


async def test_a_taken_port_a_stopped_database_and_open_secrets_are_seen(settings: Settings) -> None:
    (settings.home / "secrets.json").write_text("{}")
    (settings.home / "secrets.json").chmod(0o644)
    away = settings.model_copy(
        update={"database_url": f"sqlite+aiosqlite:///{settings.home}/gone/callcore.db"}
    )
    with socket.socket() as web, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip:
        web.bind(("127.0.0.1", settings.web_port))
        sip.bind(("127.0.0.1", settings.sip_port))
        seen = await look(away)
    assert [f"_{name}_PORT" in " ".join(seen.ports_taken) for name in ("SIP", "WEB")] == [True, True]
    assert len(seen.ports_taken) == 2
    assert seen.database is not None
    assert seen.readable == (str(settings.home / "secrets.json"),)


def test_the_phones_certificate_is_looked_at(settings: Settings) -> None:
    sipcert.ensure(settings.tls, ("pbx.example",), now=datetime.now(UTC) - timedelta(days=731))
    ends = looking.certificates(settings)
    assert set(ends) == {"tls/ca.pem", "tls/server.pem"}
    server = ends["tls/server.pem"]
    assert isinstance(server, float) and server < datetime.now(UTC).timestamp()
    (settings.tls / sipcert.SERVER).write_text("rubbish")
    assert isinstance(looking.certificates(settings)["tls/server.pem"], str)


def test_the_newest_of_the_rotated_cel_files_counts(tmp_path: Path) -> None:
    file = tmp_path / "callcore.csv"
    assert looking.newest(file) is None
    for name, at in (("callcore.csv", 100), ("callcore.csv.1", 200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    assert looking.newest(file) == 200


def test_a_full_disk_and_one_that_is_gone_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking.shutil, "disk_usage", lambda folder: SimpleNamespace(free=17))
    assert looking.free(tmp_path / "not" / "there") == 17

    def gone(folder: Path) -> None:
        raise OSError("stale handle")

    monkeypatch.setattr(looking.shutil, "disk_usage", gone)
    assert looking.free(tmp_path) is None


def test_what_asterisk_lists_is_read() -> None:
    listed = (
        "Module                         Description        Use Count  Status      Support Level\n"
        "app_dial.so                    Dialing            0          Running              core\n"
        "app_queue.so                   Queue              0          Not Running          core\n"
        "2 modules loaded\n"
    )
    assert looking.running(listed) == {"app_dial"}
    assert looking.running(None) is None
    assert looking.version_in("Asterisk 22.10.1~dfsg built by x @ y") == "22.10.1"
    assert looking.version_in("Asterisk certified/20.7-cert1 built") == "20.7"
    assert looking.version_in(None) is None


@pytest.mark.parametrize("page", ["operations.ja.md", "operations.en.md"])
def test_an_operator_finds_what_each_check_means(page: str) -> None:
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    (section,) = re.findall(r"(?s)\n### (?:診断|The doctor)\n(.*?)\n## ", text)
    named = [n for row in re.findall(r"(?m)^\| (`.*?) \|", section) for n in re.findall(r"`(\w+)`", row)]
    assert named == list(CHECKS)


def test_the_command_says_in_both_languages_what_to_do_and_ends_with_the_worst(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 300)
    monkeypatch.setattr(
        doctor, "look", lambda _: _seen(replace(GOOD, version=None, engine=None, sidecar=False))
    )
    shown: Any = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert "warn  running       callcore は止まっています / callcore stands still" in shown.output
    assert "→ systemctl start callcore" in shown.output
    told: Any = CliRunner().invoke(app, ["doctor", "--json"])
    assert told.exit_code == 1
    first = json.loads(told.output)[0]
    assert (first["check"], first["level"]) == ("running", "warn")
    monkeypatch.setenv("CALLCORE_HOMME", "/x")
    wrong: Any = CliRunner().invoke(app, ["doctor"])
    assert wrong.exit_code == 2


async def _seen(seen: Seen) -> Seen:
    return seen
