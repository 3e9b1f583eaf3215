"""Consumers with a mistake in their settings, and what a person must get to see of it."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.deploy.cluster import Cluster
from tests.deploy.kustomize import Object

PASSWORD = "not-the-right-one"
SECRETS = {"no-key": "empty", "no-secret": "absent"}  # in the place of the consumer's


def _set(name: str, value: str) -> Callable[[Object], None]:
    return lambda container: container["env"].append({"name": name, "value": value})


def _url(url: str) -> Callable[[Object], None]:
    return lambda container: container["env"].extend(
        [{"name": "MQ_URL_FILE", "value": ""}, {"name": "MQ_URL", "value": url}]
    )


# The mistake, what the pod's container state must match, and what the init container's log must name.
MISTAKES: dict[str, tuple[Callable[[Object], None], str, tuple[str, ...]]] = {
    "password": (
        _url(f"amqp://pair:{PASSWORD}@rabbitmq-service:5672/pair"),
        "exit 14",
        ("password", "pair"),
    ),
    "vhost": (_url("amqp://pair:development@rabbitmq-service:5672/pear"), "exit 15", ("pear",)),
    "host": (_url("amqp://pair:development@rabbit-service:5672/pair"), "exit 10", ("rabbit-service",)),
    "port": (_url("amqp://pair:development@rabbitmq-service:5673/pair"), "exit 1[13]", ("5673",)),
    "queue": (_set("MQ_CH", "a\nb"), "exit 2", ("MQ_CH", "U+000A")),
    "queue-absent": (_set("MQ_TOPOLOGY", "assert"), "exit 17", ("nowhere",)),
    "no-key": (lambda _: None, "exit 2", ("MQ_URL_FILE", "No such file")),
    "no-secret": (lambda _: None, "exit 2", ("MQ_URL_FILE", "No such file")),
    "no-image": (
        lambda container: container.update(image="registry.invalid/absent:1"),
        "ImagePull",
        ("registry.invalid",),
    ),
}


def make(cluster: Cluster) -> None:
    """Start one pod for each mistake, after the consumer that is there."""
    # As kustomize made it, without what only the test adds.
    template = cluster.get("deployment", "consumer")["spec"]["template"]
    items = [_pod(template, name, mistake) for name, (mistake, _, _) in MISTAKES.items()]
    cluster("create", "secret", "generic", "empty")
    cluster("create", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _pod(template: Object, name: str, mistake: Callable[[Object], None]) -> Object:
    template = deepcopy(template)
    container = template["spec"]["initContainers"][0]
    container["env"] += [{"name": "PREFLIGHT_TIMEOUT", "value": "15s"}, {"name": "MQ_CONNECT_TIMEOUT", "value": "2s"}]
    if name == "queue-absent":
        container["env"] += [{"name": "MQ_CH", "value": "nowhere"}]
    mistake(container)
    if name in SECRETS:
        (volume,) = (each for each in template["spec"]["volumes"] if each["name"] == "mq-url")
        volume["secret"]["secretName"] = SECRETS[name]
    # Once is enough to see, and the machine has other work.
    spec = template["spec"] | {"restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def state(cluster: Cluster, name: str) -> tuple[str, str]:
    """What the pod's init container is in (`exit 14`, or why it waits), and what Kubernetes says of it."""
    statuses = cluster.get("pod", name)["status"].get("initContainerStatuses", [{}])
    status: dict[str, Any] = statuses[0]
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state:
            return f"exit {state['terminated']['exitCode']}", ""
    waiting = status.get("state", {}).get("waiting", {})
    return waiting.get("reason", ""), waiting.get("message", "")
