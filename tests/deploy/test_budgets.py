"""Times and sizes agree: manifests, Compose, the broker's configuration, and what the code has as defaults."""

import re
from typing import Any

import pytest
import yaml

from common.settings.types import parse_duration
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


def test_the_autoscaler_adds_a_consumer_for_what_one_may_hold() -> None:
    scaling = (COMPONENTS / "autoscaling" / "scaling.yaml").read_text()
    (value,) = re.findall(r'value: "(\d+)"', scaling)
    assert int(value) == ConsumerSettings.model_fields["consumer_prefetch"].default
