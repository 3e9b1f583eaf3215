"""Three nodes become one cluster, also where the name of one of them resolves later than it starts."""

import json
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.deploy.kustomize import K8S
from tests.processes import output, until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

FILES = {"cluster.conf": "conf.d/30-cluster.conf", "enabled_plugins": "enabled_plugins"}
LATE = 2


class Nodes:
    """Containers with the component's own files, named as the pods are."""

    def __init__(self) -> None:
        self.name = f"formation-{uuid.uuid4().hex[:8]}"
        self.networks = (self.name, f"{self.name}-later")
        for network in self.networks:
            output(["docker", "network", "create", network])

    def start(self, number: int) -> None:
        """The late one knows its own name, and the others do not."""
        host = f"rabbitmq-{number}.rabbitmq-nodes"
        named = ["--add-host", f"{host}:127.0.0.1"] if number == LATE else ["--hostname", host, "--network-alias", host]
        env = {"USE_LONGNAME": "true", "NODENAME": f"rabbit@{host}", "ERLANG_COOKIE": self.name}
        folder = K8S / "components" / "rabbitmq-cluster"
        output(
            ["docker", "run", "--detach", "--name", f"{self.name}-{number}", "--network", self.name, *named]
            + [f"--env=RABBITMQ_{key}={value}" for key, value in env.items()]
            + [f"--volume={folder / ours}:/etc/rabbitmq/{theirs}:ro" for ours, theirs in FILES.items()]
            + ["rabbitmq:4-management"]
        )

    def connect(self) -> None:
        """Now the late one's name resolves."""
        for number in range(3):
            alias = ["--alias", f"rabbitmq-{number}.rabbitmq-nodes"]
            output(["docker", "network", "connect", *alias, self.networks[1], f"{self.name}-{number}"])

    def started(self, number: int) -> None:
        """Wait until a node is up. Not by a command inside: before the node's own start it would spoil the cookie."""
        log = ["docker", "logs", f"{self.name}-{number}"]
        until(lambda: "Server startup complete" in output(log), f"node {number} is up", 90)

    def members(self, number: int) -> int:
        """How many nodes that one knows of."""
        command = ["rabbitmqctl", "--silent", "cluster_status", "--formatter", "json"]
        return len(json.loads(output(["docker", "exec", f"{self.name}-{number}", *command]))["running_nodes"])

    def remove(self) -> None:
        """All of it."""
        containers = [f"{self.name}-{number}" for number in range(3)]
        subprocess.run(["docker", "rm", "-f", "-v", *containers], capture_output=True, timeout=60, check=False)
        subprocess.run(["docker", "network", "rm", *self.networks], capture_output=True, timeout=60, check=False)


@pytest.fixture
def nodes(docker: None) -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.remove()


def test_a_name_that_resolves_late_does_not_make_two_clusters_of_one(nodes: Nodes) -> None:
    for number in (LATE, 0, 1):
        nodes.start(number)
    nodes.started(0)
    nodes.connect()
    for number in range(3):
        nodes.started(number)
    assert [nodes.members(number) for number in range(3)] == [3, 3, 3]
