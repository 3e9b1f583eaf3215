"""Make the Secrets of an overlay: random passwords, RabbitMQ users for each service, and the queues."""

import argparse
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from common.amqp.topology import Topology
from common.settings.types import RETRY_DELAYS, parse_delays
from deploy.definitions import VHOST, definitions, users

Object = dict[str, Any]
TIMEOUT = 300.0
PRODUCTION = Path(__file__).parent / "k8s" / "overlays" / "production"


def contents(namespace: str, *topologies: Topology, tls: bool) -> dict[str, dict[str, str]]:
    """The new Secrets' data, by the Secret's name."""
    passwords = {user.name: secrets.token_urlsafe(32) for user in users(*topologies)}
    broker = "rabbitmq-service:5671" if tls else "rabbitmq-service:5672"
    scheme = "amqps" if tls else "amqp"

    def url(user: str) -> str:
        return f"{scheme}://{user}:{passwords[user]}@{broker}/{VHOST}"

    page = f"rabbitmq-service.{namespace}:15672/{VHOST}"
    return {
        "producer-mq": {"MQ_URL": url("producer")},
        "consumer-mq": {"MQ_URL": url("consumer")},
        "autoscaler-mq": {"host": f"http://autoscaler:{passwords['autoscaler']}@{page}"},
        "operator-mq": {"username": "operator", "password": passwords["operator"], "MQ_URL": url("operator")},
        "rabbitmq-definitions": {"definitions.json": json.dumps(definitions(passwords, *topologies))},
        "rabbitmq-cookie": {"cookie": secrets.token_hex(32)},
    }


def deployments(objects: list[Object], *components: str) -> list[Object]:
    """Those of the services that are `components`, the first consumer's before that of another one."""
    found = [each for each in objects if each["kind"] == "Deployment"]
    label = "app.kubernetes.io/component"
    ours = [each for each in found if each["spec"]["template"]["metadata"]["labels"].get(label) in components]
    return sorted(ours, key=lambda each: each["metadata"]["name"] not in components)


def topology(deployment: Object, configs: dict[str, dict[str, str]]) -> Topology:
    """Of a consumer's settings; `configs` are the ConfigMaps' data by name."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    config: dict[str, Any] = {}
    for each in container.get("envFrom", []):
        config |= configs.get(each.get("configMapRef", {}).get("name"), {})
    config |= {each["name"]: each.get("value") for each in container.get("env", [])}
    delays = config.get("CONSUMER_RETRY_DELAYS")
    return Topology(config["MQ_CH"], parse_delays(delays) if delays else RETRY_DELAYS)


def facts(objects: list[Object]) -> tuple[str, list[Topology], bool]:
    """Namespace, each consumer's topology and whether TLS is on, as rendered; exits when the broker is elsewhere."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    if ("Service", "rabbitmq-service") not in found:
        sys.exit(
            "the overlay's broker is elsewhere, so its users are made there: components/external-rabbitmq/README.md"
        )
    configs = {name: each.get("data", {}) for (kind, name), each in found.items() if kind == "ConfigMap"}
    ports = {port["name"] for port in found["Service", "rabbitmq-service"]["spec"]["ports"]}
    namespace = next(each["metadata"]["name"] for each in objects if each["kind"] == "Namespace")
    return namespace, [topology(each, configs) for each in deployments(objects, "consumer")], "amqps" in ports


def kubectl(*args: str, text: str | None = None) -> str:
    """Its standard output; exits with its own words when it fails."""
    try:
        done = subprocess.run(  # noqa: S603
            ["kubectl", *args],  # noqa: S607
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        sys.exit("kubectl is not installed")
    except subprocess.TimeoutExpired:
        sys.exit(f"kubectl {args[0]} did not end within {TIMEOUT:.0f} s")
    if done.returncode:
        sys.exit(done.stderr.strip() or f"kubectl {' '.join(args)} failed")
    return done.stdout


def manifest(namespace: str, data: dict[str, dict[str, str]]) -> str:
    """The Secrets as one document for kubectl."""
    labels = {"app.kubernetes.io/part-of": "mq-pair"}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "stringData": values,
        }
        for name, values in data.items()
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def known_secrets(there: tuple[str, ...], data: dict[str, dict[str, str]]) -> list[str]:
    """Those of the names in `data` that the cluster has."""
    found = kubectl(*there, "get", "secret", *data, "--ignore-not-found", "-o", "name")
    return [line.removeprefix("secret/") for line in found.split()]


def create(context: str, namespace: Object, data: dict[str, dict[str, str]]) -> None:
    """Make the Secrets on a cluster that has none of them yet; exits when it has."""
    name = namespace["metadata"]["name"]
    there = ("--context", context, "--namespace", name)
    if known := known_secrets(there, data):
        sys.exit(f"{', '.join(known)} exist already in {name}; --rotate makes new passwords for a running cluster")
    kubectl("--context", context, "apply", "-f", "-", text=json.dumps(namespace))
    # Not `apply`: it would keep a copy of the passwords in an annotation.
    kubectl(*there, "create", "-f", "-", text=manifest(name, data))


def rotate(context: str, namespace: Object, data: dict[str, dict[str, str]], overlay: str, services: list[str]) -> None:
    """Replace the Secrets while messages flow, apply the overlay, restart `services`; exits when one was not there."""
    name = namespace["metadata"]["name"]
    there = ("--context", context, "--namespace", name)
    # Before anything is changed: the broker would know passwords that nobody has.
    if missing := sorted(data.keys() - known_secrets(there, data)):
        sys.exit(f"{', '.join(missing)} not in {name}: only what `make secrets` made for this overlay can be made anew")
    # Or a cluster that lacks a kind of the overlay's would leave it at half: new passwords, and pods with the old ones.
    kubectl("--context", context, "apply", "--dry-run=server", "-k", overlay)
    # Replacing it would need all nodes to stop at once.
    del data["rabbitmq-cookie"]
    # The broker first: connections that are open stay open, and new pods find their password valid.
    # By the Service, whatever the pod is called: the Cluster Operator has names of its own.
    import_command = (
        "exec",
        "-i",
        "service/rabbitmq-service",
        "-c",
        "rabbitmq",
        "--",
        "rabbitmqctl",
        "import_definitions",
    )
    kubectl(*there, *import_command, text=data["rabbitmq-definitions"]["definitions.json"])
    kubectl(*there, "replace", "-f", "-", text=manifest(name, data))
    # The rights are those for the overlay's queues: pods that still had another could not go on.
    kubectl("--context", context, "apply", "-k", overlay)
    kubectl(*there, "rollout", "restart", *services)
    for service in services:
        kubectl(*there, "rollout", "status", service, f"--timeout={TIMEOUT - 10:.0f}s")


def main() -> None:
    """Make the Secrets, or make them anew."""
    parser = argparse.ArgumentParser("deploy.credentials", description=__doc__, allow_abbrev=False)
    parser.add_argument("--context", required=True, help="the kubectl context of the cluster")
    parser.add_argument("--overlay", default=str(PRODUCTION), help="the kustomization that will be applied")
    parser.add_argument("--rotate", action="store_true", help="new passwords, then apply, while messages flow")
    options = parser.parse_args()
    objects = [each for each in yaml.safe_load_all(kubectl("kustomize", options.overlay)) if each]
    name, topologies, tls = facts(objects)
    data = contents(name, *topologies, tls=tls)
    namespace = next(each for each in objects if each["kind"] == "Namespace")
    if options.rotate:
        ours = deployments(objects, "producer", "consumer")
        services = [f"deployment/{each['metadata']['name']}" for each in ours]
        rotate(options.context, namespace, data, options.overlay, services)
    else:
        create(options.context, namespace, data)
    sys.stdout.write(f"{name} on {options.context}: new passwords in {', '.join(data)}\n")


if __name__ == "__main__":
    main()
