"""Every kustomization renders, alone and with the others, to objects that a Kubernetes takes."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.deploy.kustomize import (
    BASE,
    COMPONENTS,
    DEVELOPMENT,
    JOBS,
    K8S,
    PRODUCTION,
    Object,
    containers,
    layer,
    of_kind,
    render,
    workloads,
)
from tests.deploy.restricted import violations
from tests.deploy.shapes import differences

# Each takes the broker of another's place.
BROKERS = {"rabbitmq-cluster", "cluster-operator", "external-rabbitmq"}
ALL = sorted(str(path.parent.relative_to(COMPONENTS)) for path in COMPONENTS.rglob("kustomization.yaml"))
OLDEST_IN_BASE = {"v1", "apps/v1"}


def _together(*names: str) -> bool:
    return not ({"tls", "tls/cert-manager"} & set(names) and {"cluster-operator", "external-rabbitmq"} & set(names))


def _sets() -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Our own kustomizations, each component over development, and all that go together."""
    found: dict[str, tuple[Path, tuple[str, ...]]] = {"root": (K8S, ()), "production": (PRODUCTION, ())}
    found |= {f"job {path.parent.name}": (path.parent, ()) for path in JOBS.glob("*/job.yaml")}
    found |= {name: (DEVELOPMENT, (name,)) for name in ALL}
    for broker in sorted(BROKERS):
        others = tuple(name for name in ALL if name not in BROKERS and _together(name, broker))
        found[f"all with {broker}"] = DEVELOPMENT, (broker, *others)
    found["production with external-rabbitmq"] = PRODUCTION, ("external-rabbitmq",)
    found["more than production"] = PRODUCTION, ("autoscaling", "tls", "tls/cert-manager")
    return found


SETS = _sets()


@pytest.fixture(params=SETS)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """What one set renders to; rendered once."""
    below, components = SETS[request.param]
    if not components:
        return render(below)
    folder = tmp_path_factory.getbasetemp() / "sets" / request.param.replace("/", "_")
    return render(folder if folder.exists() else layer(folder, below, components))


def _custom(each: Object) -> bool:
    group = each["apiVersion"].partition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def test_a_kubernetes_of_1_29_and_the_newest_take_every_object(objects: list[Object]) -> None:
    for each in objects:
        for version in () if _custom(each) else ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(each, version, strict=True)


def test_custom_resources_have_only_fields_that_their_definitions_have(objects: list[Object]) -> None:
    for each in filter(_custom, objects):
        assert differences(each) == [], f"{each['kind']} {each['metadata']['name']}"


def test_every_pod_meets_the_restricted_standard(objects: list[Object]) -> None:
    for name, template in workloads(objects).items():
        assert violations(template) == [], name


def test_the_namespace_enforces_the_restricted_standard(objects: list[Object]) -> None:
    (namespace,) = of_kind(objects, "Namespace")
    labels = namespace["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_every_container_says_what_it_needs_and_its_image_by_tag(objects: list[Object]) -> None:
    for name, template in workloads(objects).items():
        for container in containers(template):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), name
            assert "memory" in resources["limits"], name
            tag = container["image"].partition(":")[2]
            assert tag not in {"", "latest"}, container["image"]


def test_every_object_is_in_the_namespace_and_has_the_label_of_the_whole(objects: list[Object]) -> None:
    """`make undeploy` deletes by it."""
    for each in objects:
        if each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == "mq-pair", each["metadata"]
            assert each["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == "mq-pair", each["metadata"]


def test_what_a_consumer_autoscaler_sets_is_set_by_nothing_else(objects: list[Object]) -> None:
    for scaler in of_kind(objects, "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        (deployment,) = (each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == target)
        assert "replicas" not in deployment["spec"]
        queue = next(each["data"]["MQ_CH"] for each in of_kind(objects, "ConfigMap") if "MQ_CH" in each["data"])
        assert scaler["spec"]["triggers"][0]["metadata"]["queueName"] == queue


def test_the_operators_broker_is_of_the_version_that_the_configuration_is_for(objects: list[Object]) -> None:
    """An older one does not start with a key that it does not know. Its nodes are three, as the queues' copies are."""
    (container,) = containers(workloads(render(BASE))["rabbitmq"])
    for cluster in of_kind(objects, "RabbitmqCluster"):
        assert cluster["spec"]["image"] == container["image"]
        config = cluster["spec"]["rabbitmq"]["additionalConfig"]
        assert f"reconciliation.target_group_size = {cluster['spec']['replicas']}\n" in config


def test_what_is_laid_over_the_operators_pods_is_valid_and_meets_the_restricted_standard(objects: list[Object]) -> None:
    ours = {"a service account's token is mounted", "Services are put into the environment"}
    for cluster in of_kind(objects, "RabbitmqCluster"):
        spec = cluster["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rabbitmq"}, "spec": spec}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        # What the operator sets itself, in all versions.
        spec = spec | {"securityContext": {"runAsUser": 999, **spec["securityContext"]}}
        found = {each.partition(": ")[2] or each for each in violations({"spec": spec})}
        assert found - ours <= {"its root can be written to"}


def test_the_base_and_what_the_root_applies_need_no_kubernetes_newer_than_1_20() -> None:
    assert {each["apiVersion"] for each in render(K8S)} == OLDEST_IN_BASE
    assert {each["apiVersion"] for each in render(BASE)} == OLDEST_IN_BASE


def test_production_holds_no_secret_and_the_least_two_of_each() -> None:
    objects = render(PRODUCTION)
    assert of_kind(objects, "Secret") == []
    replicas: dict[str, Any] = {
        each["metadata"]["name"]: each["spec"].get("replicas") for each in of_kind(objects, "Deployment", "StatefulSet")
    }
    assert replicas == {"producer": 2, "consumer": 2, "rabbitmq": 3}
    assert "amqp://" not in yaml.safe_dump_all(objects)


def test_with_a_broker_elsewhere_nothing_is_left_of_ours(tmp_path: Path) -> None:
    """The services keep theirs, and the Secrets that they read are those that somebody made."""
    objects = render(layer(tmp_path / "elsewhere", PRODUCTION, ("external-rabbitmq",)))
    assert [each["metadata"]["name"] for each in objects if re.match("rabbitmq", each["metadata"]["name"])] == []
    assert {"producer", "consumer"} == workloads(objects).keys()
    for template in workloads(objects).values():
        assert all("rabbitmq-service" not in str(container.get("env")) for container in containers(template))
    selectors = [each["spec"]["selector"] for each in of_kind(objects, "PodDisruptionBudget", "PodMonitor")]
    assert selectors
    assert "rabbitmq" not in str(selectors)


def test_a_drain_waits_for_no_service_that_is_not_ready_and_for_every_broker() -> None:
    """While the broker is away no service is ready, and a drain may be what mends it."""
    policies = {
        each["metadata"]["name"]: each["spec"].get("unhealthyPodEvictionPolicy")
        for each in of_kind(render(PRODUCTION), "PodDisruptionBudget")
    }
    assert policies == {"producer": "AlwaysAllow", "consumer": "AlwaysAllow", "rabbitmq": None}


REFUSING = {"network-policies", "http-source"}
KEDA = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}


@pytest.mark.parametrize("name", [name for name in ALL if name not in REFUSING])
@pytest.mark.parametrize("below", [BASE, DEVELOPMENT], ids=["base", "development"])
def test_a_component_that_is_not_about_policies_refuses_no_traffic(below: Path, name: str, tmp_path: Path) -> None:
    """A policy that selects a pod shuts out all that no policy names, and the others may not be there."""
    assert of_kind(render(layer(tmp_path / "one", below, (name,))), "NetworkPolicy") == []


@pytest.mark.parametrize(
    ("component", "name", "direction", "rule"),
    [
        (
            "external-rabbitmq",
            "services",
            "egress",
            {"ports": [{"protocol": "TCP", "port": 5672}, {"protocol": "TCP", "port": 5671}]},
        ),
        ("autoscaling", "rabbitmq", "ingress", {"from": [KEDA], "ports": [{"protocol": "TCP", "port": 15672}]}),
    ],
)
def test_where_there_are_policies_a_component_has_its_rule(
    component: str, name: str, direction: str, rule: Object, tmp_path: Path
) -> None:
    """The broker elsewhere is reached, and KEDA reaches ours."""
    policies = of_kind(render(layer(tmp_path / "one", PRODUCTION, (component,))), "NetworkPolicy")
    (policy,) = [each for each in policies if each["metadata"]["name"] == name]
    assert rule in policy["spec"][direction]


def test_every_component_has_a_readme_that_the_list_of_them_names() -> None:
    listed = (COMPONENTS / "README.md").read_text()
    for folder in (path.parent for path in COMPONENTS.glob("*/kustomization.yaml")):
        assert (folder / "README.md").read_text().startswith("# ")
        assert f"`{folder.name}`" in listed
