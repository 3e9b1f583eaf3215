"""Broker: RabbitMQ in a container on loopback, and the few questions the harness asks it."""

import contextlib
import secrets
import subprocess
import time
from collections.abc import Iterator
from typing import Final, Self

import pika
from pika.exceptions import AMQPError

from benchmarks.environment import UnpreparedError
from common.amqp.errors import explain
from local.ports import free_ports

IMAGE: Final = "rabbitmq:4-management"
_START: Final = 90.0
_SETTLE: Final = 10.0
_BEGIN_LOG: Final = "ra_log_wal:force_roll_over(ra_log_wal), ra_log_segment_writer:await(ra_log_segment_writer)."


class Broker:
    """One AMQP URL, asked over a connection of the harness's own, which ends with the context."""

    def __init__(self, url: str, container: str | None = None) -> None:
        """`container` is the name of the one it runs in, if it is ours. Raises UnpreparedError when it is not there."""
        self.url, self._container = url, container
        try:
            self._connection = pika.BlockingConnection(pika.URLParameters(url))
        except (AMQPError, OSError) as error:
            raise UnpreparedError(f"there is no broker to measure with: {explain(error).text}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AMQPError):  # it may have ended before
            self._connection.close()

    @property
    def version(self) -> str:
        """Product and version, as the broker says it."""
        properties = self._connection._impl.server_properties  # type: ignore[attr-defined]
        return f"{properties['product']} {properties['version']}"

    def begin_log(self) -> None:
        """Let all that comes be in a new write-ahead log; that of a broker which is not ours stays as it is.

        At half a million entries RabbitMQ begins one by itself and moves what its queues hold from memory into files.
        Meanwhile a message that is consumed costs it 17 us instead of 13, and whom that met was chance.
        """
        if self._container:
            _docker("exec", self._container, "rabbitmqctl", "--silent", "eval", _BEGIN_LOG)

    def declare(self, queue: str) -> None:
        """A durable quorum queue."""
        with self._channel() as channel:
            channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})

    def delete(self, *queues: str) -> None:
        """Also when they are not there. On a connection of its own: the other may be broken off midway."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            for queue in queues:
                channel.queue_delete(queue)

    def state(self, queue: str) -> tuple[int, int]:
        """How many messages are ready, and how many consumers there are; (0, 0) for a queue not there yet."""
        with contextlib.suppress(pika.exceptions.ChannelClosedByBroker), self._channel() as channel:
            answer = channel.queue_declare(queue, passive=True).method
            return answer.message_count, answer.consumer_count
        return 0, 0

    def holds(self, queue: str, count: int) -> bool:
        """Whether the queue comes to hold exactly `count` messages, none of them delivered."""
        deadline = time.monotonic() + _SETTLE
        while self.state(queue)[0] != count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.state(queue)[0] == count

    @contextlib.contextmanager
    def _channel(self) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
        self._connection.process_data_events()
        channel = self._connection.channel()
        yield channel
        channel.close()


@contextlib.contextmanager
def container() -> Iterator[Broker]:
    """A broker that lives as long as the context: without plugins, listening on loopback only.

    It is on the host's own network, since forwarding a port would cost CPU of its own.
    """
    name = f"benchmark-{secrets.token_hex(4)}"
    port, distribution, epmd = free_ports(3)
    settings = {
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_ENABLED_PLUGINS_FILE": "/dev/null",
    }
    environment = [part for key, value in settings.items() for part in ("--env", f"{key}={value}")]
    try:
        _docker("run", "--detach", "--name", name, "--network", "host", *environment, IMAGE)
        with _reached(f"amqp://guest:guest@127.0.0.1:{port}/%2f", name) as broker:
            yield broker
    finally:
        _docker("rm", "--force", "--volumes", name)


def _reached(url: str, container: str) -> Broker:
    deadline = time.monotonic() + _START
    while True:
        try:
            return Broker(url, container)
        except UnpreparedError as error:
            if time.monotonic() > deadline:
                raise UnpreparedError(f"the broker did not answer within {_START:.0f} s") from error
            if not _docker("inspect", "--format", "{{.State.Running}}", container).endswith("true"):
                raise UnpreparedError(f"the broker ended: {_docker('logs', '--tail', '5', container)}") from error
            time.sleep(0.25)


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
        )
    except FileNotFoundError:
        raise UnpreparedError("the benchmark starts its broker with Docker; without it, name one with --url") from None
    except subprocess.CalledProcessError as error:
        raise UnpreparedError(f"docker {arguments[0]}: {error.stdout.strip()}") from None
    return done.stdout.strip()
