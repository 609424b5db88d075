"""Whoever is called at night: each alarm of `deploy/prometheus` rings when it should, and not just before."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from callcore.settings import PROJECT
from tests.support.exposition import labels_of
from tests.support.tools import tool

FOLDER = PROJECT / "deploy" / "prometheus"
RULES = FOLDER / "callcore.rules.yml"
EVERY_S = 15
LONG = 7000
"""Samples: longer than any time that is looked at."""
OITA = 'centre="oita"'


def steady(value: float) -> str:
    return f"{value}+0x{LONG}"


def grown(by: float, before: float = 0) -> str:
    """Has grown ten minutes after the start."""
    return f"{before}+0x40 {before + by}+0x{LONG}"


Series = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Case:
    """Values of series, steady or in promtool's notation. `below` differs from `rings` by just too little."""

    rings: Series
    below: Series
    at_s: int = 900
    labels: Mapping[str, str] = field(default_factory=dict)


def above(series: str, rings: float, below: float, **labels: str) -> Case:
    return Case({series: rings}, {series: below}, labels=labels)


def growth(series: str, rings: float = 1, below: float = 0, **labels: str) -> Case:
    return Case({series: grown(rings)}, {series: grown(below)}, labels=labels)


def in_oita(name: str, rings: float, below: float, **others: float) -> Case:
    rest: Series = {f"callcore_{other}{{{OITA}}}": value for other, value in others.items()}
    series = f"callcore_{name}{{{OITA}}}"
    return Case({**rest, series: rings}, {**rest, series: below}, 7200, {"centre": "oita"})


OPEN, ARRIVED = f"callcore_centre_open{{{OITA}}}", f"callcore_today_arrived_calls{{{OITA}}}"
ON_DUTY = 'callcore_agents_on_duty{centre="oita",queue="%s"}'
OFFLINE = 'callcore_phones{centre="oita",state="unreachable"}'
REFUSED = "callcore_sip_requests_refused_total"

CASES = {
    "CallcoreNobodySignedIn": Case(
        {OPEN: 1, ON_DUTY % "a": 0, ON_DUTY % "b": 0},
        {OPEN: 1, ON_DUTY % "a": 0, ON_DUTY % "b": 1},
        labels={"centre": "oita"},
    ),
    "CallcoreLongestWait": in_oita("longest_wait_seconds", 181, 180),
    "CallcoreAnswerRatioToday": in_oita(
        "today_answer_ratio", 0.899, 0.9, answer_target_ratio=0.9, today_answer_whole=20
    ),
    "CallcoreAnswerRatioMonthInDanger": in_oita(
        "month_answer_ratio", 0.909, 0.911, answer_target_ratio=0.9, month_answer_whole=100
    ),
    "CallcoreAnswerRatioMonthMissed": in_oita(
        "month_answer_ratio", 0.899, 0.901, answer_target_ratio=0.9, month_answer_whole=100
    ),
    "CallcoreNoCallArrives": Case(
        {OPEN: 1, ARRIVED: 40}, {OPEN: 1, ARRIVED: f"40+0x300 41+0x{LONG}"}, 7320, {"centre": "oita"}
    ),
    "CallcoreNumberUnknown": growth(f'{REFUSED}{{reason="number"}}', reason="number"),
    "CallcoreEmergencyCallNotCarried": in_oita("today_emergency_not_carried_calls", 1, 0),
    "CallcoreMessagesOverdue": in_oita("messages_overdue", 1, 0),
    "CallcorePhoneOffline": Case(
        {OFFLINE: 1, OPEN: 1}, {OFFLINE: 0, OPEN: 1}, labels={"centre": "oita", "state": "unreachable"}
    ),
    "CallcorePhoneRefused": growth('callcore_device_policy_rejections_total{reason="mac"}', reason="mac"),
    "CallcorePasswordsGuessed": growth(f'{REFUSED}{{reason="password"}}', 25, 15, reason="password"),
    "CallcoreAgentLocked": in_oita("agents_locked", 1, 0),
    "CallcoreTrunkDown": above("callcore_engine_trunk_reachable", 0, 1),
    "CallcoreDown": above('up{job="callcore"}', 0, 1, job="callcore"),
    "CallcoreEngineSilent": above("callcore_engine_silence_seconds", 5.1, 0),
    "CallcoreAsteriskUnlinked": above("callcore_asterisk_linked", 0, 1),
    "CallcoreRestarting": Case(
        {"callcore_journal_run": f"1+0x40 2 3 4+0x{LONG}"}, {"callcore_journal_run": f"1+0x40 2 3+0x{LONG}"}
    ),
    "CallcoreMetricsBlind": above("callcore_gauges_up", 0, 1),
    "CallcoreEngineFault": growth("callcore_engine_faults"),
    "CallcoreFloorBroken": above("callcore_invariants_broken", 1, 0),
    "CallcoreActionsRefused": growth("callcore_engine_effects_refused", 4, 2),
    "CallcoreStatesHealed": growth("callcore_healed_states"),
    "CallcoreEventsLate": above("callcore_engine_event_lag_seconds", 0.51, 0.5),
    "CallcoreLinkOverflows": growth("callcore_engine_link_overflows"),
    "CallcoreOffersSlow": above("callcore_engine_offer_p99_seconds", 0.011, 0.01),
    "CallcoreClockStepped": growth("callcore_engine_clock_steps"),
    "CallcoreJournalStuck": above("callcore_engine_journal_stuck_seconds", 1, 0),
    "CallcoreJournalWriteFailing": growth("callcore_engine_journal_write_failures"),
    "CallcoreJournalUnsynced": above("callcore_engine_journal_unsynced_seconds", 5.1, 5),
    "CallcoreDiskLow": above("callcore_sidecar_recordings_free_bytes", 9.9e9, 1e10),
    "CallcoreDiskFull": above("callcore_sidecar_journal_free_bytes", 0.9e9, 1e9),
    "CallcoreDiskFilling": Case(
        {"callcore_sidecar_store_free_bytes": f"9e10-1e7x{LONG}"},
        {"callcore_sidecar_store_free_bytes": f"9e10-1e4x{LONG}"},
        10_800,
    ),
    "CallcoreDatabaseAway": above("callcore_sidecar_database_away_seconds", 61, 60),
    "CallcoreDrainBehind": above("callcore_sidecar_drain_behind_seconds", 61, 60),
    "CallcoreRecordingFaulty": growth('callcore_recordings_total{result="silent"}', result="silent"),
    "CallcoreTalkWithoutMedia": growth('callcore_recordings_total{result="no_media"}', result="no_media"),
    "CallcoreRecordingPlain": above("callcore_sidecar_recordings_plain_oldest_seconds", 91, 90),
    "CallcoreRecordingKeysLost": above("callcore_sidecar_recordings_keyless", 1, 0),
    "CallcoreRecordingUnconverted": growth("callcore_sidecar_recordings_unconverted"),
    "CallcoreErasureUnfinished": above("callcore_sidecar_erasures_unfinished", 1, 0),
    "CallcoreReconciliationDiffers": in_oita("reconciliation_differences", 1, 0),
    "CallcoreReconciliationMissed": Case(
        {f"callcore_reconciliation_at_seconds{{{OITA}}}": 0},
        {f"callcore_reconciliation_at_seconds{{{OITA}}}": 120},
        93660,
        {"centre": "oita"},
    ),
    "CallcoreCertificateExpires": above("callcore_sidecar_certificate_seconds_left", 1209599, 1209600),
    "CallcoreCertificateRefused": above("callcore_sidecar_certificate_renewal_refused", 1, 0),
}

ALARMS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}


def a_test(name: str, series: Series, at_s: int, labels: Mapping[str, str] | None) -> dict[str, Any]:
    """One file of promtool's, of one rule; labels None: nothing fires."""
    more = "".join(f', {key}="{value}"' for key, value in (labels or {}).items())
    fired = {
        "labels": f'ALERTS{{alertname="{name}", alertstate="firing", severity="{severity(name)}"{more}}}',
        "value": 1,
    }
    return {
        "rule_files": [f"{name}.rules"],
        "evaluation_interval": f"{EVERY_S}s",
        "tests": [
            {
                "interval": f"{EVERY_S}s",
                "input_series": [
                    {"series": key, "values": value if isinstance(value, str) else steady(value)}
                    for key, value in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": f'ALERTS{{alertname="{name}", alertstate="firing"}}',
                        "eval_time": f"{at_s}s",
                        "exp_samples": [] if labels is None else [fired],
                    }
                ],
            }
        ],
    }


def severity(name: str) -> str:
    return str(ALARMS[name]["labels"]["severity"])


def tried(folder: Path, *tests: dict[str, Any]) -> None:
    """All in one run; each alone with its rule, for promtool evaluates every rule that it is given."""
    for name, rule in ALARMS.items():
        alone = {"groups": [{"name": "alone", "rules": [rule]}]}
        (folder / f"{name}.rules").write_text(json.dumps(alone), encoding="utf-8")
    files = [folder / f"{n}.test" for n in range(len(tests))]
    for file, told in zip(files, tests, strict=True):
        file.write_text(json.dumps(told), encoding="utf-8")
    tool("promtool", "test", "rules", *files)


def test_every_alarm_has_its_case() -> None:
    assert list(CASES) == list(ALARMS)


def test_each_alarm_rings(tmp_path: Path) -> None:
    tried(tmp_path, *(a_test(name, case.rings, case.at_s, case.labels) for name, case in CASES.items()))


def test_no_alarm_rings_just_below_its_bound(tmp_path: Path) -> None:
    tried(tmp_path, *(a_test(name, case.below, case.at_s, None) for name, case in CASES.items()))


def test_a_disk_of_the_keys_or_of_the_database_rings_too(tmp_path: Path) -> None:
    bounds = {
        "CallcoreDiskLow": {"database": (9.9e9, 1e10), "keys": (0.9e8, 1e8)},
        "CallcoreDiskFull": {"database": (0.9e9, 1e9), "keys": (0.9e7, 1e7)},
    }
    others = {f"callcore_sidecar_{name}_free_bytes": 1e12 for name in ("journal", "recordings", "store")}
    told = []
    for alarm, of in bounds.items():
        for name, (rings, below) in of.items():
            series = f"callcore_sidecar_{name}_free_bytes"
            told.append(a_test(alarm, {**others, series: rings}, 900, {}))
            told.append(a_test(alarm, {**others, series: below}, 900, None))
            told.append(a_test(alarm, {**others, series: f"NaN+0x{LONG}"}, 900, None))
    tried(tmp_path, *told)


def test_what_is_not_known_yet_rings_no_alarm(tmp_path: Path) -> None:
    unknown = {series: f"NaN+0x{LONG}" for case in CASES.values() for series in case.rings}
    tried(
        tmp_path,
        *(
            a_test(name, {series: unknown[series] for series in case.rings}, case.at_s, None)
            for name, case in CASES.items()
        ),
    )


def test_what_was_not_known_at_first_rings_its_alarm_once_it_is(tmp_path: Path) -> None:
    month = in_oita("month_answer_ratio", 0.899, 0.9, answer_target_ratio=0.9)
    series = {key: f"NaN+0x9 {value}+0x{LONG}" for key, value in month.rings.items()}
    series[f"callcore_month_answer_whole{{{OITA}}}"] = f"NaN+0x9 100+0x{LONG}"
    tried(tmp_path, a_test("CallcoreAnswerRatioMonthMissed", series, 7200, month.labels))


def test_an_alarm_that_lasts_rings_only_after_its_time(tmp_path: Path) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600}
    lasting = {
        name: int(rule["for"][:-1]) * seconds[rule["for"][-1]]
        for name, rule in ALARMS.items()
        if "for" in rule and name != "CallcoreNoCallArrives"
    }
    early = {name: wait_s - EVERY_S for name, wait_s in lasting.items() if wait_s > EVERY_S}
    assert len(early) > 10
    tried(tmp_path, *(a_test(name, CASES[name].rings, at_s, None) for name, at_s in early.items()))


def test_few_calls_a_closed_centre_and_a_quiet_one_wake_nobody(tmp_path: Path) -> None:
    few = {**CASES["CallcoreAnswerRatioToday"].rings, f"callcore_today_answer_whole{{{OITA}}}": 19}
    month = {**CASES["CallcoreAnswerRatioMonthMissed"].rings, f"callcore_month_answer_whole{{{OITA}}}": 99}
    shut = {**CASES["CallcoreNobodySignedIn"].rings, OPEN: 0}
    tried(
        tmp_path,
        a_test("CallcoreAnswerRatioToday", few, 7200, None),
        a_test("CallcoreAnswerRatioMonthMissed", month, 7200, None),
        a_test("CallcoreNobodySignedIn", shut, 900, None),
        a_test("CallcorePhoneOffline", {OFFLINE: 3, OPEN: 0}, 900, None),
        a_test("CallcoreNoCallArrives", {OPEN: 1, ARRIVED: 39}, 7320, None),
        a_test("CallcoreNoCallArrives", {OPEN: f"0+0x10 1+0x{LONG}", ARRIVED: 50}, 7200, None),
    )


def test_the_tools_own_checks_find_nothing_in_what_is_shipped() -> None:
    tool("promtool", "check", "rules", RULES)
    tool("promtool", "check", "config", "--syntax-only", FOLDER / "prometheus.yml")
    tool("amtool", "check-config", FOLDER / "alertmanager.yml")


def test_alarms_that_another_one_silences_exist() -> None:
    text = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    assert set(re.findall(r'alertname="(\w+)"', text)) <= set(ALARMS)
    assert "password:" not in text and "token" not in text, "secrets stand in files of their own"
    for begin, names in re.findall(r'alertname=~"(\w+)\(([\w|]+)\)"', text):
        assert {begin + name for name in names.split("|")} <= set(ALARMS)


@pytest.mark.parametrize("name", list(ALARMS))
def test_an_alarm_looks_at_metrics_and_labels_that_are_served(name: str) -> None:
    served = {**labels_of(), "up": {"job"}}
    expression = ALARMS[name]["expr"]
    used = set(re.findall(r"\b(?:callcore_\w+|up)\b", expression))
    assert used and used <= set(served), used - set(served)
    for metric, selector in re.findall(r"(\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*=", selector)) <= served[metric], metric
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert all(any(label.strip() in served[metric] for metric in used) for label in grouped.split(","))


@pytest.mark.parametrize(("language", "side"), [("ja", 0), ("en", 1)])
def test_who_is_called_reads_in_the_operations_page_what_to_do(language: str, side: int) -> None:
    page = (PROJECT / "docs" / f"operations.{language}.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `(Callcore\w+)` \| (.*) \| (.*) \|$", page)
    told = [
        (name, *(str(rule["annotations"][what]).split(" / ")[side] for what in ("summary", "description")))
        for name, rule in ALARMS.items()
    ]
    assert rows == told
    anchors = {
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"(?m)^#+ (.*)$", page)
    }
    for name, rule in ALARMS.items():
        file, _, anchor = str(rule["annotations"]["runbook_url"]).split(" / ")[side].partition("#")
        assert (file, anchor in anchors) == (f"docs/operations.{language}.md", True), (name, anchor)
