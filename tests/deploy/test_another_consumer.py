"""A second consumer beside the first, as its README shows it."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.amqp.topology import Topology
from common.settings.types import RETRY_DELAYS
from deploy.credentials import facts
from tests.deploy.kustomize import (
    COMPONENTS,
    DEVELOPMENT,
    JOBS,
    K8S,
    PRODUCTION,
    Object,
    job,
    layer,
    of_kind,
    render,
    workloads,
)

README = COMPONENTS / "another-consumer" / "README.md"
NAME = "app.kubernetes.io/name"


def another(folder: Path, below: Path, namespace: str = "mq-pair", **more: Any) -> Path:
    """An overlay over `below` with the README's folder in it; `more` is that folder's."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    content = yaml.safe_load(text) | more
    layer(folder, below, namespace=namespace)
    outer = yaml.safe_load((folder / "kustomization.yaml").read_text())
    outer["resources"].append("invoices")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(outer))
    (folder / "invoices").mkdir()
    root = os.path.relpath(K8S, folder / "invoices")
    inner = yaml.safe_load(yaml.safe_dump(content).replace("../../..", root))
    (folder / "invoices" / "kustomization.yaml").write_text(yaml.safe_dump(inner))
    return folder


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Over production, which has all that must include it."""
    return render(another(tmp_path_factory.mktemp("another"), PRODUCTION))


def selected(objects: list[Object], selector: dict[str, Any]) -> list[str]:
    """The names of the workloads whose pods a selector of labels chooses."""
    wanted = [(key, [value]) for key, value in selector.get("matchLabels", {}).items()]
    wanted += [(each["key"], each["values"]) for each in selector.get("matchExpressions", [])]
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in of_kind(objects, "Deployment", "StatefulSet")
    }
    return sorted(name for name, labels in pods.items() if all(labels.get(key) in values for key, values in wanted))


def test_each_deployment_and_budget_selects_the_pods_of_one_consumer(objects: list[Object]) -> None:
    for each in of_kind(objects, "Deployment"):
        assert selected(objects, each["spec"]["selector"]) == [each["metadata"]["name"]]
    budgets = [selected(objects, each["spec"]["selector"]) for each in of_kind(objects, "PodDisruptionBudget")]
    assert sorted(budgets) == [["consumer"], ["consumer-invoices"], ["producer"], ["rabbitmq"]]


def test_policies_and_scraping_include_it(objects: list[Object]) -> None:
    services = ["consumer", "consumer-invoices", "producer"]
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "NetworkPolicy")}
    assert selected(objects, policies["services"]["podSelector"]) == services
    assert selected(objects, policies["rabbitmq"]["ingress"][0]["from"][0]["podSelector"]) == services
    monitors = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "PodMonitor")}
    assert selected(objects, monitors["services"]["selector"]) == services


def test_it_is_as_the_first_but_for_its_name_image_and_settings(objects: list[Object]) -> None:
    """Its init container waits for the broker with the same settings."""
    first, second = (workloads(objects)[name]["spec"] for name in ("consumer", "consumer-invoices"))
    configs = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    for kind in ("initContainers", "containers"):
        ours, theirs = first[kind][0], second[kind][0]
        assert theirs["image"] == "shop-consumer:1"
        shared, own = theirs["envFrom"]
        assert shared in ours["envFrom"]
        assert configs[own["configMapRef"]["name"]] == {"MQ_CH": "invoices", "CONSUMER_HANDLER": "invoicing:handle"}
        assert ours | {"image": "", "envFrom": ""} == theirs | {"image": "", "envFrom": ""}
    same = first.keys() - {"containers", "initContainers", "serviceAccountName"}
    assert {key: first[key] for key in same} == {key: second[key] for key in same}
    assert second["serviceAccountName"] in {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}


def test_two_more_have_nothing_in_common(tmp_path: Path) -> None:
    folder = another(tmp_path / "overlay", DEVELOPMENT)
    text = (folder / "invoices" / "kustomization.yaml").read_text()
    (folder / "letters").mkdir()
    (folder / "letters" / "kustomization.yaml").write_text(text.replace("-invoices", "-letters"))
    outer = yaml.safe_load((folder / "kustomization.yaml").read_text())
    outer["resources"].append("letters")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(outer))
    objects = render(folder)
    for each in of_kind(objects, "Deployment"):
        assert selected(objects, each["spec"]["selector"]) == [each["metadata"]["name"]]
    assert {"consumer", "consumer-invoices", "consumer-letters"} <= workloads(objects).keys()


@pytest.mark.parametrize("name", [each.parent.name for each in JOBS.glob("*/job.yaml")])
def test_a_job_runs_as_the_first_consumer_and_applies_no_other(name: str, tmp_path: Path) -> None:
    below = another(tmp_path / "overlay", DEVELOPMENT)
    objects, alone = render(job(tmp_path / "job", name, below)), render(JOBS / name)
    assert workloads(objects) == workloads(alone)
    assert not of_kind(objects, "Deployment", "PodDisruptionBudget")


def test_the_broker_of_production_knows_its_queues(tmp_path: Path, objects: list[Object]) -> None:
    """`make rotate` would else take rights away that were given by hand, and messages would wait."""
    assert facts(objects) == (
        "mq-pair",
        [Topology("greetings", RETRY_DELAYS), Topology("invoices", RETRY_DELAYS)],
        False,
    )
    config = {"name": "consumer-config", "literals": ["MQ_CH=invoices", "CONSUMER_RETRY_DELAYS=1s,2m"]}
    changed = render(another(tmp_path, PRODUCTION, configMapGenerator=[config]))
    assert facts(changed)[1] == [Topology("greetings", RETRY_DELAYS), Topology("invoices", (1.0, 120.0))]
