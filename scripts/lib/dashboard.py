"""Makes `deploy/grafana/callcore.json` from the table below: python scripts/lib/dashboard.py

Expressions look only at metrics of docs/metrics.md; `$centre` is what the reader has chosen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "callcore.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDE, HIGH = 24, 7
"""Grafana's grid has 24 columns; a row of panels is so many units high."""
OF = '{centre=~"$centre"}'


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    """(expression, legend)"""
    kind: str = "timeseries"
    width: int = 8
    thresholds: tuple[tuple[float, str], ...] = ()
    """(from which value on, colour) beside green."""


PANELS = (
    Panel(
        "応答率 本日 / Answer ratio today",
        "percentunit",
        ((f"callcore_today_answer_ratio{OF}", "{{centre}}"),),
        "stat",
        6,
    ),
    Panel(
        "応答率 今月 / Answer ratio this month",
        "percentunit",
        ((f"callcore_month_answer_ratio{OF}", "{{centre}}"),),
        "stat",
        6,
    ),
    Panel(
        "待ち / Waiting",
        "short",
        ((f"sum by (centre) (callcore_waiting_calls{OF})", "{{centre}}"),),
        "stat",
        4,
    ),
    Panel(
        "最長待ち / Longest wait",
        "s",
        ((f"callcore_longest_wait_seconds{OF}", "{{centre}}"),),
        "stat",
        4,
        ((60, "yellow"), (180, "red")),
    ),
    Panel(
        "警報 / Alarms",
        "short",
        (('count(ALERTS{alertname=~"Callcore.*",alertstate="firing"}) or vector(0)', ""),),
        "stat",
        4,
        ((1, "red"),),
    ),
    Panel(
        "応答率と目標 / Answer ratio and target",
        "percentunit",
        (
            (f"callcore_today_answer_ratio{OF}", "{{centre}} 本日 / today"),
            (f"callcore_month_answer_ratio{OF}", "{{centre}} 今月 / month"),
            (f"callcore_answer_target_ratio{OF}", "{{centre}} 目標 / target"),
        ),
    ),
    Panel(
        "SL・放棄呼率 / Service level, abandon ratio",
        "percentunit",
        (
            (f"callcore_today_service_level_ratio{OF}", "{{centre}} SL"),
            (f"callcore_today_abandon_ratio{OF}", "{{centre}} 放棄呼率 / abandoned"),
        ),
    ),
    Panel(
        "応答までの待ち / Wait of answered calls",
        "s",
        (
            (f"callcore_today_wait_mean_seconds{OF}", "{{centre}} ASA"),
            (f"callcore_today_wait_p90_seconds{OF}", "{{centre}} P90"),
        ),
    ),
    Panel("待ち / Waiting", "short", ((f"callcore_waiting_calls{OF}", "{{centre}} {{queue}}"),)),
    Panel("最長待ち / Longest wait", "s", ((f"callcore_longest_wait_seconds{OF}", "{{centre}}"),)),
    Panel(
        "オペレーターの状態 / Agents by state",
        "short",
        (
            (f"sum by (state) (callcore_agents{OF})", "{{state}}"),
            (f"sum(callcore_agents_staffed{OF})", "配置 / staffed"),
        ),
    ),
    Panel(
        "入電の内訳 本日 / Today's calls by outcome",
        "short",
        ((f"sum by (outcome) (callcore_today_calls{OF})", "{{outcome}}"),),
        width=12,
    ),
    Panel(
        "通話の段階 / Calls by stage",
        "short",
        ((f"sum by (stage) (callcore_open_calls{OF})", "{{stage}}"),),
        width=12,
    ),
    Panel("電話機 / Desk phones", "short", ((f"sum by (state) (callcore_phones{OF})", "{{state}}"),)),
    Panel(
        "端末ポリシー違反・断った SIP 要求 / Refused phones and requests",
        "short",
        (
            (
                "sum by (reason) (increase(callcore_device_policy_rejections_total[1h]))",
                "電話機 / phone: {{reason}}",
            ),
            ("sum by (reason) (increase(callcore_sip_requests_refused_total[1h]))", "SIP: {{reason}}"),
        ),
    ),
    Panel(
        "回線・Asterisk・エンジン / Trunk, Asterisk, engine (1: up)",
        "short",
        (
            ("callcore_engine_trunk_reachable", "回線 / trunk"),
            ("callcore_asterisk_linked", "Asterisk"),
            ("callcore_engine_silence_seconds == bool 0", "エンジン / engine"),
        ),
    ),
    Panel(
        "AMI の遅れ / AMI lag",
        "s",
        (
            ("callcore_engine_event_lag_seconds", "最新 / last"),
            ("callcore_engine_event_lag_largest_seconds", "最大 / largest"),
            ("callcore_engine_loop_lag_seconds", "エンジン内 / within the engine"),
            ("callcore_sidecar_loop_lag_seconds", "サイドカー内 / within the sidecar"),
        ),
    ),
    Panel(
        "ジャーナル / Journal",
        "s",
        (
            ("callcore_engine_journal_unsynced_seconds", "未同期 / not synced"),
            ("callcore_engine_journal_stuck_seconds", "書込不能 / stuck"),
        ),
    ),
    Panel(
        "データベースへの取り込み / Database lag",
        "s",
        (
            ("callcore_sidecar_drain_behind_seconds", "遅れ / behind"),
            ("callcore_sidecar_database_away_seconds", "不通 / away"),
        ),
    ),
    Panel(
        "録音 / Recordings",
        "short",
        (
            ("callcore_sidecar_recordings_unfiled", "未確認 / not filed yet"),
            (
                'sum by (result) (increase(callcore_recordings_total{result!="ok"}[1d]))',
                "問題 24 時間 / faulty in 24 h: {{result}}",
            ),
        ),
    ),
    Panel(
        "ディスクの空き / Disk free",
        "bytes",
        (
            ("callcore_sidecar_journal_free_bytes", "ジャーナル / journal"),
            ("callcore_sidecar_recordings_free_bytes", "録音 / recordings"),
            ("callcore_sidecar_store_free_bytes", "録音の保管先 / store of recordings"),
            ("callcore_sidecar_keys_free_bytes", "鍵 / keys"),
            ("callcore_sidecar_database_free_bytes", "SQLite"),
        ),
    ),
    Panel(
        "照合の不一致 / Differences of the last reconciliation",
        "short",
        ((f"callcore_reconciliation_differences{OF}", "{{centre}}"),),
    ),
    Panel(
        "鳴っている警報 / Alarms that ring",
        "short",
        (('ALERTS{alertname=~"Callcore.*",alertstate="firing"}', "{{alertname}} {{centre}}"),),
        width=24,
    ),
)


NOTHING = {"type": "special", "options": {"match": "null+nan", "result": {"text": "–"}}}
"""What has no value (no call yet, no trunk) is no number."""


def panel(number: int, of: Panel, x: int, y: int) -> dict[str, Any]:
    steps = [{"color": "green", "value": None}, *({"color": c, "value": v} for v, c in of.thresholds)]
    return {
        "id": number,
        "type": of.kind,
        "title": of.title,
        "datasource": SOURCE,
        "gridPos": {"h": HIGH, "w": of.width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": of.unit,
                "min": 0,
                "mappings": [NOTHING],
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": of.kind == "stat",
            }
            for n, (expression, legend) in enumerate(of.queries)
        ],
    }


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    x = y = 0
    for number, of in enumerate(PANELS, 1):
        if x + of.width > WIDE:
            x, y = 0, y + HIGH
        panels.append(panel(number, of, x, y))
        x += of.width
    return {
        "uid": "callcore",
        "title": "callcore",
        "tags": ["callcore"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-12h", "to": "now"},
        "annotations": {"list": []},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "データ源 / data source",
                    "type": "datasource",
                    "query": "prometheus",
                },
                {
                    "name": "centre",
                    "label": "センター / centre",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": "label_values(callcore_centre_open, centre)",
                    "includeAll": True,
                    "multi": True,
                    "allValue": ".*",
                    "refresh": 2,
                    "sort": 1,
                },
            ]
        },
        "panels": panels,
    }


def text() -> str:
    return json.dumps(dashboard(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
