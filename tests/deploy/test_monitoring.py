"""Alerts and dashboard: in their readers' form, PromQL over metrics that exist, and a runbook for each alert."""

import json
import re
import subprocess
import sys
from functools import cache
from typing import Any, get_type_hints

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tests.deploy.kustomize import PRODUCTION, load, of_kind, render
from tests.deploy.monitoring import ALERTS, DASHBOARD, EXPRESSIONS, PANELS, PROMETHEUS, RULES, RUNBOOKS, filled
from tests.processes import ROOT

# What Prometheus and the broker's own page have; test_queries asks a real one.
OTHERS = {
    "up",
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_detailed_queue_messages",
    "rabbitmq_detailed_queue_messages_ready",
    "rabbitmq_disk_space_available_bytes",
    "rabbitmq_disk_space_available_limit_bytes",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_resident_memory_limit_bytes",
}


PAGE = """
from common.observe.metrics import PublisherMetrics
import consumer.metrics, prometheus_client
PublisherMetrics("producer")
PublisherMetrics("consumer_retry")
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
    parsed = promql_parser.parse(filled(EXPRESSIONS[name], "mq-pair")).prettify()
    series = set(re.findall(r"\b(?:up|(?:mq|producer|consumer|rabbitmq)_\w+)\b", parsed))
    assert series
    assert series <= _ours() | OTHERS


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS.relative_to(ROOT)}#{name.lower()}"
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = re.search(r"by \(([\w, ]+)\)", rule["expr"])
    assert not kept or used <= set(kept[1].split(", "))


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    _, *sections = re.split(r"^### (?=MqPair)", RUNBOOKS.read_text().partition("\n## Runbooks")[2], flags=re.MULTILINE)
    assert [section.split()[0] for section in sections] == list(ALERTS)
    for section in sections:
        assert re.findall(r"^\*(\w+)\*:", section, re.MULTILINE) == ["Means", "Look", "Do"], section[:40]


def _misfits(value: Any, path: str = "dashboard") -> list[str]:
    """Fields whose values are not of the types that Grafana's classes give them."""
    if isinstance(value, list):
        return [line for i, each in enumerate(value) for line in _misfits(each, f"{path}[{i}]")]
    if not type(value).__module__.startswith("grafana_foundation_sdk.models") or not hasattr(value, "__dict__"):
        return []
    found = []
    for name, hint in get_type_hints(type(value)).items():
        inner = getattr(value, name)
        try:
            TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(inner)
        except ValidationError as error:
            found.append(f"{path}.{name}: {error}")
        found += _misfits(inner, f"{path}.{name}")
    return found


def _unknown(given: Any, kept: Any, path: str = "dashboard") -> list[str]:
    """Fields that Grafana's classes dropped."""
    if isinstance(given, dict):
        lost = [f"{path}.{key}" for key in given.keys() - kept.keys()]
        return lost + [line for key in given.keys() & kept for line in _unknown(given[key], kept[key], f"{path}.{key}")]
    if isinstance(given, list):
        pairs = zip(given, kept, strict=True)
        return [line for i, (one, other) in enumerate(pairs) for line in _unknown(one, other, f"{path}[{i}]")]
    return [] if given == kept else [f"{path}: {given!r} became {kept!r}"]


def test_the_dashboard_has_only_fields_of_grafanas_schema_and_of_its_types() -> None:
    """By the classes that Grafana generates from its schema and publishes."""
    register_default_plugins()
    model = Dashboard.from_json(DASHBOARD)
    assert _misfits(model) == []
    assert _unknown(DASHBOARD, json.loads(JSONEncoder().encode(model))) == []


def test_no_panel_covers_another_and_each_has_its_own_number() -> None:
    places = [
        (x, y)
        for each in (panel["gridPos"] for panel in PANELS)
        for x in range(each["x"], each["x"] + each["w"])
        for y in range(each["y"], each["y"] + each["h"])
    ]
    assert len(set(places)) == len(places)
    assert {x for x, _ in places} == set(range(24))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_kubernetes_gets_the_same_files_as_compose() -> None:
    objects = render(PRODUCTION)
    (rule,) = of_kind(objects, "PrometheusRule")
    assert rule["spec"] == RULES
    (dashboard,) = (each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == "mq-pair-dashboard")
    assert json.loads(dashboard["data"]["dashboard.json"]) == DASHBOARD


def test_compose_and_kubernetes_scrape_the_same_with_the_same_labels() -> None:
    """The rules and the dashboard are for both."""
    jobs = load(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    compose = {(job["job_name"], job.get("metrics_path", "/metrics"), str(job.get("params"))) for job in jobs}
    kubernetes = set()
    for monitor in of_kind(render(PRODUCTION), "PodMonitor"):
        selector = monitor["spec"]["selector"]
        expressions = selector.get("matchExpressions", [{"values": list(selector.get("matchLabels", {}).values())}])
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            replaced = {each["targetLabel"]: each["replacement"] for each in endpoint["relabelings"]}
            assert replaced["part_of"] == "mq-pair"
            names = [replaced["job"]] if "job" in replaced else expressions[0]["values"]
            kubernetes |= {(name, endpoint["path"], str(endpoint.get("params"))) for name in names}
    assert compose == kubernetes
    for job in jobs:
        assert {"target_label": "part_of", "replacement": "mq-pair"} in job["relabel_configs"]
