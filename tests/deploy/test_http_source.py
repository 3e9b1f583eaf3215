"""The component `http-source`: who reaches the producer's port, and that it stops in order."""

from typing import Any

import pytest

from common.settings.types import parse_duration
from producer.http.server import SPARE_CONNECTIONS
from producer.settings import ProducerSettings, check_hosts
from tests.deploy.kustomize import DEVELOPMENT, PRODUCTION, Object, layer, of_kind, render, workloads
from tests.deploy.test_budgets import _bytes

DEFAULTS: dict[str, Any] = {name: field.default for name, field in ProducerSettings.model_fields.items()}
PORT = DEFAULTS["producer_http_port"]


@pytest.fixture(params=[DEVELOPMENT, PRODUCTION], ids=["development", "production"])
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    folder = tmp_path_factory.getbasetemp() / "http-source" / request.param.name
    return render(folder if folder.exists() else layer(folder, request.param, ("http-source",)))


@pytest.fixture
def container(objects: list[Object]) -> Object:
    """The producer's."""
    (found,) = workloads(objects)["producer"]["spec"]["containers"]
    return dict(found)


def test_the_producer_takes_requests_on_the_port_that_the_service_sends_them_to(
    objects: list[Object], container: Object
) -> None:
    assert {"name": "PRODUCER_SOURCE", "value": "http"} in container["env"]
    assert {"name": "SHUTDOWN_GRACE", "value": "20s"} in container["env"], "the base's are kept"
    assert {port["containerPort"] for port in container["ports"]} == {8080, PORT}
    (service,) = (each for each in of_kind(objects, "Service") if each["metadata"]["name"] == "producer")
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": PORT}]
    assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_only_labelled_pods_reach_it(objects: list[Object]) -> None:
    """Whether or not all else is closed; and Prometheus keeps its way to the metrics."""
    name = {"app.kubernetes.io/name": "producer"}
    policies = [each["spec"] for each in of_kind(objects, "NetworkPolicy")]
    (own,) = (each for each in policies if each["podSelector"] == {"matchLabels": name})
    publishers, metrics = own["ingress"]
    assert own["policyTypes"] == ["Ingress"]
    assert publishers["ports"] == [{"protocol": "TCP", "port": PORT}]
    (peer,) = publishers["from"]
    assert peer == {"namespaceSelector": {}, "podSelector": {"matchLabels": {"mq-pair/publisher": "true"}}}
    assert metrics["ports"] == [{"protocol": "TCP", "port": 8080}]
    others = [rule for each in policies if each is not own for rule in each.get("ingress", [])]
    assert all({"protocol": "TCP", "port": PORT} not in rule.get("ports", [{}]) for rule in others)


def test_it_takes_the_names_of_its_service_and_of_a_port_forward(objects: list[Object], container: Object) -> None:
    """From the namespace that it is in, whatever an overlay calls that."""
    variables = {each["name"]: each for each in container["env"]}
    assert variables["POD_NAMESPACE"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    order = list(variables)
    assert order.index("POD_NAMESPACE") < order.index("PRODUCER_HTTP_HOSTS"), "it is put in only where it is known"
    hosts = variables["PRODUCER_HTTP_HOSTS"]["value"]
    (service,) = (each for each in of_kind(objects, "Service") if each["metadata"]["name"] == "producer")
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert check_hosts(hosts.replace("$(POD_NAMESPACE)", namespace)).split(",") == [
        "localhost",
        name,
        *(f"{name}.{namespace}{behind}" for behind in ("", ".svc", ".svc.cluster.local")),
    ]
    assert {*DEFAULTS["producer_http_hosts"].split(",")} <= {*hosts.split(",")}


def test_it_has_time_to_close(objects: list[Object], container: Object) -> None:
    """The pause until no node sends it anything counts, too."""
    *_, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    grace = next(each["value"] for each in container["env"] if each["name"] == "SHUTDOWN_GRACE")
    killed = workloads(objects)["producer"]["spec"]["terminationGracePeriodSeconds"]
    assert int(pause) + parse_duration(grace) + 5 <= killed
    assert DEFAULTS["producer_http_timeout"] < parse_duration(grace)


def test_its_memory_holds_the_bodies_of_all_connections(container: Object) -> None:
    """One for each connection, and those of requests that were answered without all their confirms."""
    bodies = 2 * DEFAULTS["producer_http_requests"] + SPARE_CONNECTIONS
    rest = 100 * 2**20
    assert bodies * DEFAULTS["producer_http_max_body"] + rest <= _bytes(container["resources"]["limits"]["memory"])
