"""What `/metrics` shows, with its labels: for alarms and dashboards, which must look at nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from callcore.telemetry.prometheus import COUNTED, COUNTERS, Exposition
from tests.support.floors import Desk
from tests.support.web import DeskSource


def series_of(exposition: Exposition) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a scrape, by its name and its labels in order."""
    text = exposition("text/plain")[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@cache
def labels_of() -> Mapping[str, frozenset[str]]:
    """The labels of every metric at the first scrape: nobody has called, and of the processes only counts are known.

    That the processes give the gauges of `HELP` is tested on a whole installation (`integration/test_operations.py`).
    """
    exposition = Exposition(
        DeskSource(Desk().begin()),
        lambda: dict.fromkeys(COUNTED, 0.0),
        dict,
        lambda: {name: {"reason": 0} for name in COUNTERS},
    )
    text = exposition("text/plain")[0].decode()
    return {
        sample.name: frozenset(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
