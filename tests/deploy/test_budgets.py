"""Times and sizes agree: manifests, Compose, the broker's configuration, and what the code has as defaults."""

import math
import re
from typing import Any

import pytest
import yaml

from common.settings.types import parse_duration
from consumer.prefetch import SHORT_PREFETCH
from consumer.settings import ConsumerSettings
from tests.deploy.kustomize import BASE, COMPONENTS, K8S, PRODUCTION, containers, render, workloads
from tests.processes import ROOT

UNITS = {"Mi": 2**20, "Gi": 2**30, "MiB": 2**20, "m": 2**20, "g": 2**30}


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def _compose() -> dict[str, Any]:
    # As if no variable were set where it runs.
    text = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    return dict(yaml.safe_load(text)["services"])


def _budgets() -> dict[str, tuple[str, dict[str, str], float]]:
    """Where, which service, its variables, and after how many seconds it is killed."""
    found = {}
    for where, folder in {"development": K8S, "production": PRODUCTION}.items():
        for service in ("producer", "consumer"):
            pod = workloads(render(folder))[service]["spec"]
            env = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
            found[f"{where} {service}"] = service, env, float(pod["terminationGracePeriodSeconds"])
    for service in ("producer", "consumer"):
        entry = _compose()[service]
        found[f"compose {service}"] = service, entry["environment"], parse_duration(entry["stop_grace_period"])
    return found


BUDGETS = _budgets()


@pytest.mark.parametrize("where", BUDGETS)
def test_a_service_leaves_by_itself_before_it_is_killed(where: str) -> None:
    service, env, killed = BUDGETS[where]
    grace = parse_duration(env["SHUTDOWN_GRACE"])
    assert grace + 5 <= killed
    if service == "consumer":
        handler = parse_duration(env["CONSUMER_HANDLER_TIMEOUT"])
        assert handler < grace, "a handler within its time would be cut, and its message handled twice"
        assert handler + grace < killed
        assert handler <= ConsumerSettings.model_fields["consumer_handler_timeout"].default


def test_the_same_times_stand_in_compose_and_in_the_manifests() -> None:
    for service in ("producer", "consumer"):
        found = {
            (env["SHUTDOWN_GRACE"], env.get("CONSUMER_HANDLER_TIMEOUT"), killed)
            for name, env, killed in BUDGETS.values()
            if name == service
        }
        assert len(found) == 1, found


def test_the_broker_stops_publishers_before_its_memory_ends() -> None:
    config = (BASE / "rabbitmq" / "rabbitmq.conf").read_text()
    watermark = _bytes(re.search(r"^vm_memory_high_watermark.absolute = (\w+)$", config, re.MULTILINE)[1])  # type: ignore[index]
    (container,) = workloads(render(K8S))["rabbitmq"]["spec"]["containers"]
    limit = _bytes(container["resources"]["limits"]["memory"])
    assert limit == _bytes(container["resources"]["requests"]["memory"])
    assert limit == _bytes(_compose()["rabbitmq"]["mem_limit"])
    assert watermark <= 0.6 * limit


def test_both_places_give_the_services_the_same_memory() -> None:
    for service in ("producer", "consumer"):
        for container in containers(workloads(render(K8S))[service]):
            assert _bytes(container["resources"]["limits"]["memory"]) == _bytes(_compose()[service]["mem_limit"])


def test_the_wait_of_a_broker_node_that_stops_fits_twice_into_its_time() -> None:
    pod = workloads(render(PRODUCTION))["rabbitmq"]["spec"]
    command = " ".join(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"])
    assert sum(int(seconds) for seconds in re.findall(r"-t (\d+)", command)) < pod["terminationGracePeriodSeconds"]


HANDLERS = {0.001: (1, 0.3), 0.1: (7, 29), 1.0: (10, 286), 60.0: (10, 17143)}
"""Seconds of a handler: consumers for BACKLOG messages by its own `value`, and the wait in seconds by the default's."""
BACKLOG, MAY_WAIT = 2000, 30


def _autoscaler() -> tuple[float, int, int]:
    """`value`, and the fewest and most consumers."""
    scaled = next(yaml.safe_load_all((COMPONENTS / "autoscaling" / "scaling.yaml").read_text()))["spec"]
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["mode"] == "QueueLength"
    return float(trigger["metadata"]["value"]), scaled["minReplicaCount"], scaled["maxReplicaCount"]


def _replicas(messages: int, value: float, fewest: int, most: int, now: int = 1) -> int:
    """What the HorizontalPodAutoscaler makes of KEDA's metric, an external one with an average value, of `now` pods."""
    if abs(messages / (value * now) - 1) <= 0.1:  # --horizontal-pod-autoscaler-tolerance
        return now
    return min(max(math.ceil(messages / value), fewest), most)


@pytest.mark.parametrize("seconds", HANDLERS)
def test_the_autoscaler_keeps_the_wait_that_its_value_says(seconds: float) -> None:
    """With the value of the formula, as long as there are consumers to add; with the default for handlers of 100 ms."""
    default, fewest, most = _autoscaler()
    consumers, waits = HANDLERS[seconds]
    value = max(1.0, MAY_WAIT / seconds)
    assert _replicas(BACKLOG, value, fewest, most) == consumers
    readme = (COMPONENTS / "autoscaling" / "README.md").read_text()
    handler = f"{seconds:.0f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    assert f"| {handler} | {value:.0f} | {consumers}" in readme
    assert seconds * BACKLOG / _replicas(BACKLOG, default, fewest, most) == pytest.approx(waits, rel=0.05)
    for now in range(1, most + 1):
        for messages in range(1, int(value * most), max(1, int(value * most) // 200)):
            wait = seconds * math.ceil(messages / _replicas(messages, value, fewest, most, now))
            assert wait <= max(1.1 * MAY_WAIT + seconds, seconds), (now, messages)


def test_the_autoscaler_s_default_suits_handlers_of_a_tenth_of_a_second() -> None:
    """And it is no less than one such consumer holds ahead, or a second one would get none."""
    value, *_ = _autoscaler()
    assert value == MAY_WAIT / 0.1
    assert value >= SHORT_PREFETCH
