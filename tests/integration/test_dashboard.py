"""Whoever opens the Grafana dashboard: it loads, and each panel asks for what is served."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from scripts.lib import dashboard

from tests.support.exposition import labels_of
from tests.support.tools import tool

SOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}
SCHEMA = {
    "type": "object",
    "required": [
        "uid",
        "title",
        "schemaVersion",
        "version",
        "timezone",
        "time",
        "refresh",
        "templating",
        "panels",
    ],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "title": {"type": "string", "minLength": 1},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "version": {"type": "integer"},
        "time": {"type": "object", "required": ["from", "to"]},
        "refresh": {"type": "string", "pattern": "^[0-9]+[smh]$"},
        "templating": {
            "type": "object",
            "required": ["list"],
            "properties": {
                "list": {
                    "items": {"required": ["name", "type", "query"], "properties": {"datasource": SOURCE}}
                }
            },
        },
        "panels": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    "id",
                    "type",
                    "title",
                    "datasource",
                    "gridPos",
                    "fieldConfig",
                    "options",
                    "targets",
                ],
                "properties": {
                    "id": {"type": "integer", "minimum": 1},
                    "type": {"enum": ["timeseries", "stat"]},
                    "title": {"type": "string", "pattern": " / "},
                    "datasource": SOURCE,
                    "gridPos": {
                        "required": ["h", "w", "x", "y"],
                        "additionalProperties": {"type": "integer", "minimum": 0},
                        "properties": {"w": {"type": "integer", "maximum": 24}},
                    },
                    "fieldConfig": {
                        "required": ["defaults", "overrides"],
                        "properties": {"defaults": {"required": ["unit"]}},
                    },
                    "targets": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "required": ["refId", "expr", "datasource", "legendFormat"],
                            "properties": {
                                "refId": {"type": "string", "pattern": "^[A-Z]$"},
                                "expr": {"type": "string", "minLength": 1},
                                "datasource": SOURCE,
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What Grafana's own schema (kind dashboard, versions 36 and on) wants of the fields that are used here."""


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboard.PAGE.read_text(encoding="utf-8"))
    return found


def test_the_shipped_file_is_the_tables_own() -> None:
    assert dashboard.PAGE.read_text(encoding="utf-8") == dashboard.text(), "python scripts/lib/dashboard.py"


def test_grafana_can_load_it(shipped: dict[str, Any]) -> None:
    jsonschema_rs.Draft202012Validator(SCHEMA).validate(shipped)
    panels = shipped["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    variables = {variable["name"] for variable in shipped["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(shipped))) <= variables


def test_each_panel_asks_for_metrics_and_labels_that_are_served(
    shipped: dict[str, Any], tmp_path: Path
) -> None:
    served = labels_of()
    expressions = [target["expr"] for panel in shipped["panels"] for target in panel["targets"]]
    for expression in expressions:
        used = set(re.findall(r"\bcallcore_\w+", expression))
        assert used <= set(served), used - set(served)
        assert used or "ALERTS" in expression
        for metric, selector in re.findall(r"(callcore_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)\s*=", selector)) <= served[metric], metric
        for grouped in re.findall(r"\bby \((\w+)\)", expression):
            assert all(grouped in served[metric] for metric in used), expression
    rules = [
        {"record": f"panel:{n}", "expr": expression.replace("$centre", "oita")}
        for n, expression in enumerate(expressions)
    ]
    file = tmp_path / "panels.rules"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    tool("promtool", "check", "rules", file)
