"""Exact and simulated figures for people (a table) and for programs (JSON). No figure is computed here.

JSON keys are stable and name their unit (`_s` seconds, `_per_hour`, `_hours`, `_erlangs`); ratios are 0 to 1; null: not
known. The same plan gives the same text, byte for byte.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.box import SIMPLE
from rich.table import Table

from callcore.staffing.erlang import Erlang
from callcore.staffing.trial import Estimate, Plan, Trial

ROWS = (
    ("answer_ratio", "応答率", "answer ratio"),
    ("service_level", "サービスレベル", "service level"),
    ("abandon_ratio", "放棄呼率", "abandon ratio"),
    ("delayed_ratio", "すぐに応答されない率", "delayed ratio"),
    ("wait_mean_s", "平均応答速度", "ASA"),
    ("wait_median_s", "待ち時間の中央値 (応答)", "median wait, answered"),
    ("wait_p90_s", "待ち時間の 90 % 点 (応答)", "P90 wait, answered"),
    ("wait_mean_all_s", "平均待ち時間 (全員)", "mean wait, everybody"),
    ("occupancy", "占有率", "occupancy"),
)
"""Every figure that both the formulas and the simulation give: key, and its name in Japanese and English."""

KEYS = tuple(key for key, _, _ in ROWS)


def erlang_json(a: Erlang | None, b: Erlang, c: Erlang | None) -> str:
    """The three models of one question; null: not asked (A without a patience), or without end (C)."""
    question = {
        "arrivals_per_hour": b.arrivals_per_hour,
        "aht_s": b.aht_s,
        "patience_s": a.patience_s if a is not None else None,
        "seats": b.seats,
        "load_erlangs": b.load_erlangs,
        "service_level_s": b.service_level_s,
    }
    return _json({"question": question, "erlang_a": _exact(a), "erlang_c": _exact(c), "erlang_b": _exact(b)})


def trial_json(plan: Plan, trial: Trial) -> str:
    """The plan, what was simulated with standard errors and 95 % half widths, and the exact figures beside it."""
    of = trial.figures
    estimates: dict[str, Estimate] = {key: getattr(trial, key) for key in KEYS}
    return _json(
        {
            "plan": {
                "arrivals_per_hour": plan.mean_per_hour,
                "arrivals_per_hour_by_half_hour": list(plan.per_hour) if len(plan.per_hour) > 1 else None,
                "aht_s": plan.aht_s,
                "handling": plan.handling,
                "handling_variation": plan.handling_variation if plan.handling == "lognormal" else None,
                "acw_share": plan.acw_share,
                "answer_s": plan.answer_s,
                "patience_s": plan.patience_s,
                "seats": plan.seats,
                "load_erlangs": plan.load_erlangs,
                "hours": plan.hours,
                "warm_up_hours": trial.warm_up_hours,
                "seed": plan.seed,
                "service_level_s": plan.service_level_s,
            },
            "calls": {
                "offered": of.offered,
                "answered": of.answered,
                "abandoned": of.abandoned,
                "abandoned_short": of.abandoned_short,
                "overflow": of.overflow,
                "failed": of.failed,
                "in_time": of.service_level.part,
                "with_warm_up_and_run_out": trial.calls,
            },
            "simulated": {key: e.value for key, e in estimates.items()} | {"wait_max_s": of.wait_max_s},
            "standard_error": {key: e.standard_error for key, e in estimates.items()},
            "half_width_95": {key: e.half_width for key, e in estimates.items()},
            "batches": trial.batches,
            "core_inputs": trial.inputs,
            "exact": _exact(plan.exact()),
        }
    )


def erlang_table(a: Erlang | None, b: Erlang, c: Erlang | None) -> Table:
    """The models side by side."""
    models = [m for m in (a, c, b) if m is not None]
    words = {
        "A": f"Erlang A\n我慢 / patience {_number(a.patience_s) if a is not None else ''} s",
        "C": "Erlang C\n全員が待つ / all wait",
        "B": "Erlang B\n待たない / nobody waits",
    }
    table = _table(
        f"{_number(b.arrivals_per_hour)} 件/時 × {_number(b.aht_s)} 秒 = {b.load_erlangs:.4g} アーラン、{b.seats} 席 / "
        f"{_number(b.arrivals_per_hour)} calls/h × {_number(b.aht_s)} s = {b.load_erlangs:.4g} erlangs, {b.seats} seats"
    )
    for model in models:
        table.add_column(words[model.model], justify="right")
    for key, ja, en in ROWS:
        table.add_row(_name(key, ja, en, b.service_level_s), *(_shown(key, getattr(m, key)) for m in models))
    return table


def trial_table(plan: Plan, trial: Trial) -> Table:
    """What was simulated, how sure it is, and the exact figures beside it."""
    exact = plan.exact()
    of = trial.figures
    rate = _number(plan.mean_per_hour)
    table = _table(
        f"{rate} 件/時 × {_number(plan.aht_s)} 秒 = {plan.load_erlangs:.4g} アーラン、{plan.seats} 席、"
        f"{_number(plan.hours)} 時間、{of.offered:,} 件 / {rate} calls/h × {_number(plan.aht_s)} s = "
        f"{plan.load_erlangs:.4g} erlangs, {plan.seats} seats, {_number(plan.hours)} h, {of.offered:,} calls"
    )
    table.add_column("シミュレーション\nsimulated", justify="right")
    table.add_column("95 % 区間\n95 % interval", justify="right")
    if exact is not None:
        table.add_column(f"計算値 / exact\nErlang {exact.model}", justify="right")
    for key, ja, en in ROWS:
        found: Estimate = getattr(trial, key)
        sure = "–" if found.half_width is None else f"± {_shown(key, found.half_width)}"
        cells = [_name(key, ja, en, plan.service_level_s), _shown(key, found.value), sure]
        if exact is not None:
            cells.append(_shown(key, getattr(exact, key)))
        table.add_row(*cells)
    longest = ["最長の待ち (応答)\nlongest wait, answered", _shown("wait_max_s", of.wait_max_s), "–"]
    table.add_row(*longest, *(["–"] if exact is not None else []))
    return table


def _exact(of: Erlang | None) -> dict[str, object] | None:
    if of is None:
        return None
    every = asdict(of)
    return {"model": of.model, **{key: every[key] for key in KEYS}, "waiting_mean": of.waiting_mean}


def _json(what: dict[str, object]) -> str:
    return json.dumps(what, ensure_ascii=False, indent=2)


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.add_column("指標\nfigure", no_wrap=True)
    return table


def _name(key: str, ja: str, en: str, service_level_s: float) -> str:
    within = f" ({_number(service_level_s)} s)" if key == "service_level" else ""
    return f"{ja}{within}\n{en}"


def _shown(key: str, value: float | None) -> str:
    """Ratios in per cent, for people; lengths in seconds."""
    if value is None:
        return "–"
    return f"{value:.2f} s" if key.endswith("_s") else f"{100 * value:.2f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}"
