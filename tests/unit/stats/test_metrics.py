"""Prometheus' text, and the dashboard that reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from openmined.stats import Database, Feed, Service
from openmined.stats._metrics import Metrics

DASHBOARD = Path(__file__).resolve().parents[3] / "docs/grafana/stats.json"
LINE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? [0-9.e+]+$')


def exposed(database: Database) -> str:
    service = Service(database, Feed(database))
    service.metrics.head = 5
    service.metrics.observe("/v1/totals", 200, 0.003)
    service.metrics.observe("/v1/totals", 404, 7.0)
    service.metrics.rpc_requests = {"eth_getLogs": 2}
    with database.reading() as connection:
        return service.metrics.text(service.gauges(connection))


def test_every_line_is_a_comment_or_a_sample(database: Database) -> None:
    for line in exposed(database).splitlines():
        assert line.startswith("# ") or LINE.match(line), line


def test_durations_are_a_histogram() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.004, 0.3, 60.0):
        metrics.observe("/x", 200, seconds)
    found = re.findall(r'bucket\{route="/x",le="([^"]+)"\} (\d+)', metrics.text({}))
    assert dict(found) == {
        "0.001": "1",
        "0.0025": "1",
        "0.005": "2",
        "0.01": "2",
        "0.025": "2",
        "0.05": "2",
        "0.1": "2",
        "0.25": "2",
        "1": "3",
        "5": "3",
        "+Inf": "4",
    }
    assert 'duration_seconds_count{route="/x"} 4' in metrics.text({})


def test_the_dashboard_asks_only_for_what_there_is(database: Database) -> None:
    names = set(re.findall(r"^# TYPE (\S+)", exposed(database), re.M))
    names |= {f"{name}_bucket" for name in names}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"openmined_\w+", target["expr"])
    }
    assert asked
    assert asked <= names
