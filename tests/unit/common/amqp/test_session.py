"""One try at a connection, at loopback ports where no broker is."""

import socket

from pika.channel import Channel

from common.amqp.connection import connection_parameters
from common.amqp.errors import Kind, Refusal
from common.amqp.session import Link
from common.settings.broker_url import BrokerUrl
from common.settings.shared import Settings
from tests.unit.conftest import Loop


class Owner:
    """Implements `LinkOwner`: writes down what it hears."""

    def __init__(self) -> None:
        self.lost: list[Refusal] = []

    def on_channel(self, channel: Channel) -> None:
        """Not without a broker."""
        raise AssertionError(f"{channel} of no broker")

    def on_blocked(self, blocked: bool) -> None:
        """Not without a broker."""
        raise AssertionError(f"blocked {blocked} by no broker")

    def on_lost(self, refusal: Refusal) -> None:
        """Write it down."""
        self.lost.append(refusal)


def link(process: Loop, owner: Owner, port: int, timeout: str = "200ms") -> Link:
    settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "mq_connect_timeout": timeout})
    url = BrokerUrl("127.0.0.1", port, "/", "guest", "guest", tls=False)
    return Link(owner, connection_parameters(url, settings, "test"), process, 0.2)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_refused_try_is_told_once(process: Loop) -> None:
    """And never again, whatever pika still has to say."""
    owner = Owner()
    made = link(process, owner, closed_port())
    process.turn(lambda: owner.lost, "the refusal")
    made.close()
    later: list[int] = []
    process.call_later(0.1, lambda: later.append(1))
    process.turn(lambda: later, "a moment")
    assert [refusal.kind for refusal in owner.lost] == [Kind.TCP]


def test_somebody_who_never_answers_ends_the_try_in_time(process: Loop) -> None:
    """A port may accept connections long before its broker speaks."""
    owner = Owner()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link(process, owner, silent.getsockname()[1])
        process.turn(lambda: owner.lost, "the refusal")
    assert [refusal.kind for refusal in owner.lost] == [Kind.HANDSHAKE]


def test_somebody_who_hangs_up_is_not_amqp(process: Loop) -> None:
    """As a load balancer without its broker does."""
    owner = Owner()
    with socket.create_server(("127.0.0.1", 0)) as server:
        link(process, owner, server.getsockname()[1], "5s")
        hung_up: list[bool] = []

        def hang_up() -> None:
            server.accept()[0].close()
            hung_up.append(True)

        process.call_later(0.05, hang_up)
        process.turn(lambda: owner.lost, "the refusal")
    assert [refusal.kind for refusal in owner.lost] == [Kind.HANDSHAKE]


def test_nothing_is_heard_of_a_link_that_was_dropped(process: Loop) -> None:
    """Its last callbacks may come late."""
    owner = Owner()
    made = link(process, owner, closed_port())
    made.drop()
    later: list[int] = []
    process.call_later(0.2, lambda: later.append(1))
    process.turn(lambda: later, "a moment")
    assert owner.lost == []
