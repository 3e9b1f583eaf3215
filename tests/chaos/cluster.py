"""Three RabbitMQ nodes in containers, any of which may be killed and started again."""

import contextlib
import secrets
import time
from typing import Any, Self

from local import Failure
from local.ports import free_ports, speaks_amqp

IMAGE = "rabbitmq:4.3-management"
NODES = 3
START = 180.0  # seconds; three Erlang nodes on a busy machine
# Cookie and configuration are written before anything of Erlang's runs, by the user that the image starts as.
COMMAND = """umask 077
echo {cookie} > /var/lib/rabbitmq/.erlang.cookie
umask 022
printf '%b' '{config}' > /etc/rabbitmq/conf.d/30-cluster.conf
echo '[rabbitmq_peer_discovery_k8s].' > /etc/rabbitmq/enabled_plugins
exec docker-entrypoint.sh rabbitmq-server"""


class Cluster:
    """Nodes are numbered from 0. Not thread-safe."""

    def __init__(self) -> None:
        from testcontainers.core.docker_client import DockerClient

        self._docker = DockerClient().client
        self._name = f"chaos-{secrets.token_hex(4)}"
        self._ports = free_ports(NODES)
        self._containers: list[Any] = []
        self._network: Any = None

    def ports(self) -> list[int]:
        """Where its nodes listen."""
        return self._ports

    def rabbitmqctl(self, *args: str) -> str:
        """What `rabbitmqctl -s args` prints on the first node that runs."""
        for container in self._containers:
            container.reload()
            if container.status == "running":
                code, output = container.exec_run(["rabbitmqctl", "-s", *args])
                if code:
                    raise Failure(f"rabbitmqctl {args[0]}: {output.decode(errors='replace').strip()}")
                return str(output.decode())
        raise Failure("no node runs")

    def add_user(self, name: str, password: str) -> None:
        """A user who may do everything in /."""
        self.rabbitmqctl("add_user", name, password)
        self.rabbitmqctl("set_permissions", "-p", "/", name, ".*", ".*", ".*")

    def leader(self, queue: str) -> int:
        """The node that leads a quorum queue."""
        for line in self.rabbitmqctl("list_queues", "name", "leader").splitlines():
            name, _, node = line.partition("\t")
            if name == queue:
                return int(node.rpartition("-")[2])
        raise Failure(f"no queue {queue}")

    def kill(self, *numbers: int) -> None:
        """End nodes by SIGKILL."""
        for number in numbers:
            self._containers[number].kill()

    def start(self, *numbers: int) -> None:
        """Start nodes on their old data, and wait until they speak AMQP."""
        for number in numbers:
            self._containers[number].start()
        self._wait(*numbers)

    def _wait(self, *numbers: int) -> None:
        deadline = time.monotonic() + START
        while not all(speaks_amqp(self._ports[number]) for number in numbers):
            if time.monotonic() > deadline:
                raise Failure(f"the cluster's nodes {numbers} did not start within {START:.0f} s")
            time.sleep(0.2)

    def _create(self, number: int) -> Any:
        # As in deploy/k8s: node 0 forms the cluster, whoever starts first.
        config = ["cluster_formation.peer_discovery_backend = k8s"]
        # In the official image guest may come from the node itself only, which a port of Docker's is not.
        config += ["loopback_users.guest = false", "vm_memory_high_watermark.absolute = 1GB", ""]
        command = COMMAND.format(cookie=self._name, config="\\n".join(config))
        return self._docker.containers.create(
            IMAGE,
            entrypoint=["sh", "-c", command],
            command=[],
            name=f"{self._name}-{number}",
            hostname=f"node-{number}",
            network=self._network.name,
            networking_config={self._network.name: self._docker.api.create_endpoint_config(aliases=[f"node-{number}"])},
            ports={"5672/tcp": ("127.0.0.1", self._ports[number])},
        )

    def __enter__(self) -> Self:
        try:
            self._network = self._docker.networks.create(self._name)
            for number in range(NODES):
                self._containers.append(self._create(number))
            self.start(*range(NODES))
            self.rabbitmqctl("await_online_nodes", str(NODES))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._docker.close)
            if self._network:
                stack.callback(self._network.remove)
            for container in self._containers:
                stack.callback(container.remove, force=True, v=True)
