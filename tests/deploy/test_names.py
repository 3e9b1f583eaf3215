"""Names agree: between the manifests, with Compose, and with what the code knows."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.amqp.topology import Topology
from common.doctor.settings import PreflightSettings
from common.settings.broker_url import parse_urls
from common.settings.shared import Settings
from consumer.settings import ConsumerSettings
from deploy.credentials import contents
from producer.settings import ProducerSettings
from tests.deploy.kustomize import (
    BASE,
    DEVELOPMENT,
    K8S,
    PRODUCTION,
    Object,
    containers,
    layer,
    of_kind,
    render,
    workloads,
)
from tests.processes import ROOT
from tests.readme.documents import example

SERVICES: dict[str, type[Settings]] = {"producer": ProducerSettings, "consumer": ConsumerSettings}
EVERYTHING = (
    "rabbitmq-cluster",
    "network-policies",
    "disruption-budgets",
    "monitoring",
    "autoscaling",
    "tls",
    "http-source",
)


@pytest.fixture(params=["development", "production", "everything"])
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    if request.param == "everything":
        folder = tmp_path_factory.getbasetemp() / "everything"
        return render(folder if folder.exists() else layer(folder, DEVELOPMENT, EVERYTHING))
    return render({"development": DEVELOPMENT, "production": PRODUCTION}[request.param])


def _names(objects: list[Object], kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in of_kind(objects, kind)}


def _selected(objects: list[Object], selector: Object) -> list[Object]:
    """The pod templates that a selector finds."""
    found = []
    for template in workloads(objects).values():
        labels = template["metadata"]["labels"]
        rules = selector.get("matchExpressions", [])
        assert all(rule["operator"] == "In" for rule in rules)
        if selector.get("matchLabels", {}).items() <= labels.items() and all(
            labels.get(rule["key"]) in rule["values"] for rule in rules
        ):
            found.append(template)
    return found


def _ports(template: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for each in containers(template) for port in each.get("ports", [])}


def test_every_selector_finds_pods(objects: list[Object]) -> None:
    for each in of_kind(objects, "Deployment", "StatefulSet", "PodDisruptionBudget", "PodMonitor"):
        assert _selected(objects, each["spec"]["selector"]), each["metadata"]["name"]
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            for peer in rule.get("from", []) + rule.get("to", []):
                others = "podSelector" not in peer or "namespaceSelector" in peer
                assert others or _selected(objects, peer["podSelector"])
        assert _selected(objects, policy["spec"]["podSelector"])


def test_services_and_monitors_name_ports_that_the_pods_open(objects: list[Object]) -> None:
    for service in of_kind(objects, "Service"):
        (template,) = _selected(objects, {"matchLabels": service["spec"]["selector"]})
        for port in service["spec"]["ports"]:
            if "targetPort" in port:
                assert port["targetPort"] in _ports(template).values()
    for monitor in of_kind(objects, "PodMonitor"):
        for template in _selected(objects, monitor["spec"]["selector"]):
            ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
            assert ports
            assert ports <= _ports(template).keys()


def test_probes_ask_for_pages_and_ports_that_are_there(objects: list[Object]) -> None:
    for template in workloads(objects).values():
        for container in containers(template):
            for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(name, {})
                way = probe.get("httpGet") or probe.get("tcpSocket")
                assert not way or way["port"] in _ports(template)
                wanted = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}[name]
                assert "httpGet" not in probe or probe["httpGet"]["path"] == wanted
    (broker,) = _selected(objects, {"matchLabels": {"app.kubernetes.io/name": "rabbitmq"}})
    assert "livenessProbe" not in broker["spec"]["containers"][0], "it would kill a broker that recovers"


def test_what_a_pod_takes_from_elsewhere_is_there(objects: list[Object]) -> None:
    """The objects by their names, and in them the keys: of mounts, and of paths in commands, variables and files."""
    maps = {name: {**each["data"]} for name, each in _names(objects, "ConfigMap").items()}
    secrets: dict[str, dict[str, str]] = contents("any", Topology("any"), tls=False)
    secrets |= {"rabbitmq-tls": dict.fromkeys(("tls.crt", "tls.key", "ca.crt"), "")}
    secrets |= {name: each["data"] for name, each in _names(objects, "Secret").items()}
    for template in workloads(objects).values():
        spec = template["spec"]
        assert spec["serviceAccountName"] in _names(objects, "ServiceAccount")
        held = {volume["name"]: _held(volume, maps, secrets) for volume in spec["volumes"] if "emptyDir" not in volume}
        # A configuration may name files too.
        text = "\n".join([yaml.safe_dump(template), *(value for each in held.values() for value in each.values())])
        for container in containers(template):
            for mount in (each for each in container.get("volumeMounts", []) if each["name"] in held):
                keys = held[mount["name"]].keys()
                assert mount.get("subPath") in {None, *keys}, mount
                named = re.findall(rf"(?<![\w/]){mount['mountPath']}/([\w.-]+)", text)
                assert "subPath" in mount or ({*named} and {*named} <= keys), mount
            for each in container.get("envFrom", []):
                assert "configMapRef" not in each or "MQ_CH" in maps[each["configMapRef"]["name"]]
                assert "secretRef" not in each, "a secret is a file"


def _held(volume: Object, maps: dict[str, dict[str, str]], secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """The volume's files."""
    ((kind, source),) = ((kind, source) for kind, source in volume.items() if kind != "name")
    found = maps[source["name"]] if kind == "configMap" else secrets[source["secretName"]]
    items = source.get("items", [{"key": key, "path": key} for key in found])
    return {item["path"]: found[item["key"]] for item in items}


def test_every_variable_is_one_that_the_program_knows(objects: list[Object]) -> None:
    for service, settings in SERVICES.items():
        pod = workloads(objects)[service]["spec"]
        known = {field.upper() for field in settings.model_fields}
        early = {field.upper() for field in PreflightSettings.model_fields}
        # The name of the namespace is there for what stands behind it.
        assert {each["name"] for each in pod["containers"][0]["env"]} - {"POD_NAMESPACE"} <= known
        first = {each["name"]: each["value"] for each in pod["initContainers"][0]["env"]}
        assert first.keys() <= early
        assert first.get("PREFLIGHT_FOR", PreflightSettings.model_fields["preflight_for"].default) == service
        sources = {each["configMapRef"]["name"] for each in pod["containers"][0]["envFrom"] if "configMapRef" in each}
        for name in sources:
            assert _names(objects, "ConfigMap")[name]["data"].keys() <= known & early
        assert pod["containers"][0]["envFrom"] == pod["initContainers"][0]["envFrom"]


@pytest.mark.parametrize("service", SERVICES)
def test_compose_hands_on_every_variable_but_those_of_files_and_ports(service: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    known = {field.upper() for field in SERVICES[service].model_fields}
    own = {
        "MQ_URL",
        "MQ_TLS_CA_FILE",
        "MQ_TLS_CERT_FILE",
        "MQ_TLS_KEY_FILE",
        "HTTP_HOST",
        "HTTP_PORT",
        "PRODUCER_HTTP_PORT",
        "PRODUCER_HTTP_TOKEN_FILE",
    }
    assert compose["services"][service]["environment"].keys() == known - own


def test_the_password_of_development_is_the_one_that_its_broker_knows() -> None:
    """In Compose and on Kubernetes alike."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    (name, default) = re.findall(r"\$\{(\w+):-(.*)\}", compose["secrets"]["mq-url"]["file"])[0]
    assert name == "MQ_URL_SECRET"
    files = yaml.safe_load((DEVELOPMENT / "kustomization.yaml").read_text())["secretGenerator"][0]["files"]
    assert [(DEVELOPMENT / each.removeprefix("MQ_URL=")).resolve() for each in files] == [(ROOT / default).resolve()]
    url = parse_urls((ROOT / default).read_text())[0]
    users = json.loads((DEVELOPMENT / "definitions.json").read_text())["users"]
    salted = base64.b64decode(users[0]["password_hash"])
    assert users[0]["name"] == url.username
    assert hashlib.sha256(salted[:4] + url.password.encode()).digest() == salted[4:]
    (service,) = (
        each for each in of_kind(render(DEVELOPMENT), "Service") if each["metadata"]["name"] == "rabbitmq-service"
    )
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("amqp", 5672), ("gui", 15672)]


def test_the_nodes_of_a_cluster_find_the_first_by_their_own_names() -> None:
    """Its discovery puts 0 in the place of the number."""
    objects = render(PRODUCTION)
    broker = _names(objects, "StatefulSet")["rabbitmq"]
    env = {each["name"]: each.get("value") for each in broker["spec"]["template"]["spec"]["containers"][0]["env"]}
    service = broker["spec"]["serviceName"]
    assert env["RABBITMQ_NODENAME"] == f"rabbit@$(POD_NAME).{service}"
    assert service in _names(objects, "Service")
    (config,) = (each for each in of_kind(objects, "ConfigMap") if "cluster.conf" in each["data"])
    assert f"target_cluster_size_hint = {broker['spec']['replicas']}\n" in config["data"]["cluster.conf"]


def test_the_figures_of_the_readme_are_those_beside_the_limits() -> None:
    """Where somebody measures anew, both are changed."""
    table = (K8S / "README.md").read_text().partition("## What it takes")[2]
    manifests = {name: BASE / name / "deployment.yaml" for name in SERVICES} | {
        "rabbitmq": BASE / "rabbitmq" / "stateful-set.yaml"
    }
    for name, path in manifests.items():
        (measured,) = re.findall(r"# Measured: (.*) at 1,000 messages", path.read_text())
        assert set(re.findall(r"\d+ MiB", measured)) <= {*re.findall(r"\d+ MiB", table)}, name
        limit = workloads(render(BASE))[name]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        assert limit.replace("Mi", " MiB").replace("Gi", " GiB") in table


def test_no_password_is_in_the_environment_of_a_container(objects: list[Object]) -> None:
    """What a handler starts inherits it, and whoever may read the process's status sees it."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name in SERVICES:
        pod = workloads(objects)[name]
        for container in containers(pod):
            assert "secretKeyRef" not in str(container["env"])
            assert [source for source in container["envFrom"] if "secretRef" in source] == []
            (path,) = (each["value"] for each in container["env"] if each["name"] == "MQ_URL_FILE")
            (mount,) = (each for each in container["volumeMounts"] if path.startswith(f"{each['mountPath']}/"))
            assert mount["readOnly"]
            (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == mount["name"])
            assert volume["secret"]["defaultMode"] == 0o440
        environment = compose["services"][name]["environment"]
        assert "MQ_URL" not in environment
        assert environment["MQ_URL_FILE"] == "/run/secrets/mq-url"
        assert compose["services"][name]["secrets"] == ["mq-url"]


@pytest.mark.parametrize("service", SERVICES)
def test_mq_url_from_a_secret_in_the_environment_is_possible_as_the_readme_says(service: str, tmp_path: Path) -> None:
    """An empty MQ_URL_FILE counts as none, in both containers of the pod."""
    patch = example(K8S / "README.md", "MQ_URL", "yaml").replace("consumer", service)
    for template in [workloads(render(layer(tmp_path / "own", DEVELOPMENT, patches=yaml.safe_load(patch))))[service]]:
        for container in containers(template):
            env = {each["name"]: each for each in container["env"]}
            assert env["MQ_URL_FILE"].get("value", "") == ""
            assert env["MQ_URL"]["valueFrom"]["secretKeyRef"]["name"].startswith(f"{service}-mq")
            assert env["MQ_URL"]["valueFrom"]["secretKeyRef"]["key"] == "MQ_URL"


def test_one_node_listens_for_no_peer_and_three_share_a_random_cookie(tmp_path: Path) -> None:
    """Without either, whoever reaches the port mapper and knows the cookie's clock runs code in the broker."""
    (alone,) = containers(workloads(render(DEVELOPMENT))["rabbitmq"])
    env = {each["name"]: each.get("value", "") for each in alone["env"]}
    assert env["ERL_EPMD_ADDRESS"] == "127.0.0.1"
    loopback = "inet_dist_use_interface {127,0,0,1}"
    assert all(loopback in env[f"RABBITMQ_{name}_ERL_ARGS"] for name in ("SERVER_ADDITIONAL", "CTL"))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["rabbitmq"]["environment"]
    assert compose.items() <= env.items()
    pod = workloads(render(PRODUCTION))["rabbitmq"]["spec"]
    assert not pod.get("hostAliases")
    assert "127" not in str([container.get("env") for container in containers({"spec": pod})])
    (cookie,) = (each["secret"]["secretName"] for each in pod["volumes"] if each["name"] == "cookie")
    first, second = (contents("any", Topology("any"), tls=False)[cookie]["cookie"] for _ in range(2))
    assert first != second
    assert len(first) >= 32
    assert cookie not in _names(render(PRODUCTION), "Secret"), "never in git"
