"""Alerts and dashboard are PromQL, and ask for metrics and labels that exist."""

import json
import re
import subprocess
import sys
from functools import cache
from typing import Any

import promql_parser
import pytest

from tests.deploy.kustomize import COMPONENTS, load

FOLDER = COMPONENTS / "monitoring"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for rule in load(FOLDER / "alerts.yaml")["spec"]["groups"][0]["rules"]
}
PANELS: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
# What Prometheus and the broker's own page have.
OTHERS = {
    "up",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_alarms_free_disk_space_watermark",
}


EXPRESSIONS = {name: rule["expr"] for name, rule in ALERTS.items()} | {
    f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}
PAGE = """
from common.metrics import PublisherMetrics
import consumer.metrics, prometheus_client
PublisherMetrics("producer")
print(prometheus_client.generate_latest().decode())
"""
SUFFIXES = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


@cache
def _ours() -> set[str]:
    """The names of all series of both services; from a process of its own, since a metric can be made only once."""
    done = subprocess.run([sys.executable, "-c", PAGE], capture_output=True, text=True, timeout=60, check=True)
    types = re.findall(r"^# TYPE (\w+) (\w+)$", done.stdout, re.MULTILINE)
    return {name + suffix for name, kind in types for suffix in SUFFIXES[kind]}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_is_promql_over_series_that_exist(name: str) -> None:
    expression = EXPRESSIONS[name].replace("$__rate_interval", "5m").replace("$namespace", "mq-pair")
    parsed = promql_parser.parse(expression).prettify()
    series = set(re.findall(r"\b(?:up|(?:mq|producer|consumer|rabbitmq)_\w+)\b", parsed))
    assert series
    assert series <= _ours() | OTHERS


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_and_what_to_look_at(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description"}
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = re.search(r"by \(([\w, ]+)\)", rule["expr"])
    assert not kept or used <= set(kept[1].split(", "))
