"""Every query of the dashboard and of the alerts, asked of a real Prometheus that watched the pair in trouble."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.compose import Project
from tests.deploy.monitoring import EXPRESSIONS, RUNBOOKS, filled
from tests.deploy.watched import Watched
from tests.processes import until

pytestmark = [pytest.mark.docker, pytest.mark.promtool, pytest.mark.slow]

STEP = 2.0  # seconds
EXPECTED = {
    "MqPairMessagesParked",
    "MqPairRetriesGrow",
    "MqPairTargetDown",
    "MqPairNotReady",
    "MqPairBlocked",
    "MqPairBrokerAlarm",
}


@pytest.fixture(scope="module")
def watched(compose: Project, prometheus_programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """After its troubles; all still runs."""
    pair = Watched(compose, prometheus_programs, tmp_path_factory.mktemp("watched"))
    pair.start()
    pair.play(STEP)
    yield pair
    compose("--profile=*", "down", "--timeout=5")
    compose.files = []


def _parts(expression: str) -> list[str]:
    """What it compares and combines, each by itself: `a > 1 or b == 2` is a, b."""
    bare = re.sub(r"\s*(?:[=!]=|[<>]=?)\s*[\d.]+", "", expression)
    return re.split(r"\b(?:and|or|unless)\b(?: on \([\w, ]+\))?", bare)


def test_parts_have_no_threshold_and_no_condition() -> None:
    assert _parts('sum by (a) (x{b="1"}) > 0.1\n unless on (a, c) y == 1 or vector(0)') == [
        'sum by (a) (x{b="1"})\n ',
        " y ",
        " vector(0)",
    ]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_query_has_data(watched: Watched, name: str) -> None:
    for part in _parts(filled(EXPRESSIONS[name], "compose")):
        values = [float(series["value"][1]) for series in watched.prometheus.query(part)]
        assert values, part
        assert all(value == value for value in values), f"{part}: NaN"  # noqa: PLR0124


def test_alerts_came_with_their_troubles_and_no_others(watched: Watched) -> None:
    well, ranges = watched.phases[0], watched.prometheus.ranges
    assert ranges("ALERTS", well.start, well.end, 1) == []
    assert {each["metric"]["alertname"] for each in ranges("ALERTS", well.start, time.time(), 1)} == EXPECTED


def test_brokers_and_consumers_numbers_agree(watched: Watched) -> None:
    """What the consumer says that it parked is in the dead-letter queue."""
    value = watched.prometheus.value
    parked = value('sum(consumer_settled_total{outcome="parked"})')
    assert parked
    dead = 'sum(rabbitmq_detailed_queue_messages_ready{queue="watched.dead"})'
    until(lambda: value(dead) == parked, f"{parked} in the dead-letter queue")


def test_prometheus_takes_the_whole_configuration(compose: Project, watched: Watched) -> None:
    compose("exec", "prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    assert len(watched.prometheus.query("count by (job) (up == 1)")) == 4


@pytest.mark.usefixtures("watched")
def test_the_operators_commands_for_queues_work(compose: Project) -> None:
    """Those of docs/operating.md, in their order."""
    (block,) = re.findall(r"```console\n((?:\$ rabbitmqctl --vhost .*\n)+)```", RUNBOOKS.read_text())
    commands = [line.removeprefix("$ ").replace("greetings", "watched") for line in block.splitlines()]
    said = compose("exec", "rabbitmq", "sh", "-c", " && ".join(commands).replace("retry.5s", "retry.1s"))
    assert "watched.dead" in said
    assert "Queue was successfully deleted" in said


def test_with_the_profile_two_more_services_run_hardened_and_all_that_they_mount_is_there(compose: Project) -> None:
    plain = json.loads(compose("config", "--format=json"))["services"]
    services = json.loads(compose("--profile=monitoring", "config", "--format=json"))["services"]
    assert services.keys() - plain.keys() == {"prometheus", "grafana"}
    for name in ("prometheus", "grafana"):
        service = services[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["user"].split(":")[0] != "0", name
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}, name
        for volume in (each for each in service["volumes"] if each["type"] == "bind"):
            assert Path(volume["source"]).exists(), volume
            assert volume["read_only"], volume
