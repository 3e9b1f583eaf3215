"""A RabbitMQ that can be frozen, alarmed and robbed of its users: in a container, or this machine's own."""

import os
import secrets
import signal
import urllib.parse
from abc import ABC, abstractmethod

from testcontainers.core.docker_client import DockerClient

from tests.brokers import Broker
from tests.container import Container
from tests.node import Node
from tests.system import manage

ADDRESS = "127.0.0.1"
# The leader's process of a quorum queue; suspended, it takes publishes in and answers none of them.
LEADER = """
{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)),
sys:{verb}(amqqueue:get_pid(Q), 15000).
"""


class Rabbit(Broker, ABC):
    """A single node. Its users are real ones, made over its management page: each `rabbitmqctl` starts an Erlang VM."""

    @abstractmethod
    def freeze(self) -> None:
        """SIGSTOP: its connections stay, and nobody answers."""

    @abstractmethod
    def thaw(self) -> None:
        """SIGCONT."""

    def ports(self) -> list[int]:
        """Where it listens."""
        return [self.port]

    def leader(self, queue: str, verb: str) -> None:
        """`suspend` or `resume` the leader of a quorum queue."""
        self.rabbitmqctl("eval", LEADER.format(queue=queue, verb=verb))

    def add_user(self, name: str, password: str) -> None:
        """A user who may do everything in /."""
        manage.set_user(self, name, password)
        self.permit(name)

    def permit(self, name: str, write: str = ".*") -> None:
        """Set what the user may write; the rest is allowed."""
        manage.permit(self, name, write=write)

    def expel(self, name: str) -> None:
        """Close the user's connections: permissions of open channels are cached."""
        self.rabbitmqctl("close_all_user_connections", name, "expelled by the test")


class ContainerRabbit(Container, Rabbit):
    """RabbitMQ 4.3."""

    def __init__(self) -> None:
        super().__init__("rabbitmq:4.3-management")

    def freeze(self) -> None:
        """SIGSTOP to all processes in it."""
        self._all("STOP")

    def thaw(self) -> None:
        """SIGCONT to all processes in it."""
        self._all("CONT")

    def _all(self, name: str) -> None:
        # -1: every process of the container but this shell and the first, which only waits for the others.
        self._container.get_wrapped_container().exec_run(["sh", "-c", f"kill -{name} -1"], user="root")


class Cable:
    """One more network of a container's, to be pulled out: packets then vanish, and nobody is told. Linux only."""

    def __init__(self, rabbit: "ContainerRabbit") -> None:
        self._container = rabbit._container.get_wrapped_container()
        self._network = DockerClient().client.networks.create(f"chaos-{secrets.token_hex(4)}")

    def plug(self) -> str:
        """Connect it; the address it has now."""
        self._network.connect(self._container)
        self._container.reload()
        return str(self._container.attrs["NetworkSettings"]["Networks"][self._network.name]["IPAddress"])

    def pull(self) -> None:
        """Disconnect it."""
        self._network.disconnect(self._container, force=True)

    def remove(self) -> None:
        """Leave nothing behind; it is plugged."""
        self.pull()
        self._network.remove()


class NodeRabbit(Node, Rabbit):
    """What is installed here."""

    def freeze(self) -> None:
        """SIGSTOP to the Erlang VM."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to the Erlang VM."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._server
        os.kill(self._server.pid, number)


BROKERS: dict[str, type[ContainerRabbit | NodeRabbit]] = {"container": ContainerRabbit, "debian": NodeRabbit}


def url(user: str, password: str, ports: list[int], host: str = ADDRESS) -> str:
    """MQ_URL for brokers on these ports."""
    name, secret = urllib.parse.quote(user, safe=""), urllib.parse.quote(password, safe="")
    return ",".join(f"amqp://{name}:{secret}@{host}:{port}/" for port in ports)
