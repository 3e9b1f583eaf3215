"""One try at a connection, at loopback ports where no broker is."""

import socket
import sys

import pytest
from pika.channel import Channel

from common.amqp.connection import connection_parameters
from common.amqp.errors import BrokerError, Kind
from common.amqp.plain import PlainConnection
from common.amqp.session import Session, connection_class
from common.settings.broker_url import BrokerUrl
from common.settings.shared import Settings
from tests.unit.conftest import Loop
from tests.unit.origins import FENCE


class Owner:
    """Implements `SessionOwner`: writes down what it hears."""

    def __init__(self) -> None:
        self.lost: list[BrokerError] = []

    def on_channel(self, channel: Channel) -> None:
        """Not without a broker."""
        raise AssertionError(f"{channel} of no broker")

    def on_blocked(self, blocked: bool) -> None:
        """Not without a broker."""
        raise AssertionError(f"blocked {blocked} by no broker")

    def on_lost(self, broker_error: BrokerError) -> None:
        """Write it down."""
        self.lost.append(broker_error)


@pytest.fixture(params=["direct", "pika"] if FENCE else ["pika"])
def wire(request: pytest.FixtureRequest) -> str:
    """Each way of reading and writing."""
    return str(request.param)


def link(process: Loop, owner: Owner, port: int, wire: str, timeout: str = "200ms") -> Session:
    settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "mq_connect_timeout": timeout})
    url = BrokerUrl("127.0.0.1", port, "/", "guest", "guest", tls=False)
    return Session(owner, connection_parameters(url, settings, "test"), process, 0.2, wire)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_refused_try_is_told_once(process: Loop, wire: str) -> None:
    """And never again, whatever pika still has to say."""
    owner = Owner()
    made = link(process, owner, closed_port(), wire)
    process.turn(lambda: owner.lost, "the broker_error")
    made.close()
    later: list[int] = []
    process.call_later(0.1, lambda: later.append(1))
    process.turn(lambda: later, "a moment")
    assert [broker_error.kind for broker_error in owner.lost] == [Kind.TCP]


def test_somebody_who_never_answers_ends_the_try_in_time(process: Loop, wire: str) -> None:
    """A port may accept connections long before its broker speaks."""
    owner = Owner()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link(process, owner, silent.getsockname()[1], wire)
        process.turn(lambda: owner.lost, "the broker_error")
    assert [broker_error.kind for broker_error in owner.lost] == [Kind.HANDSHAKE]


def test_somebody_who_hangs_up_is_not_amqp(process: Loop, wire: str) -> None:
    """As a load balancer without its broker does."""
    owner = Owner()
    with socket.create_server(("127.0.0.1", 0)) as server:
        link(process, owner, server.getsockname()[1], wire, "5s")
        hung_up: list[bool] = []

        def hang_up() -> None:
            server.accept()[0].close()
            hung_up.append(True)

        process.call_later(0.05, hang_up)
        process.turn(lambda: owner.lost, "the broker_error")
    assert [broker_error.kind for broker_error in owner.lost] == [Kind.HANDSHAKE]


def test_nothing_is_heard_of_a_link_that_was_dropped(process: Loop, wire: str) -> None:
    """Its last callbacks may come late."""
    owner = Owner()
    made = link(process, owner, closed_port(), wire)
    made.drop()
    later: list[int] = []
    process.call_later(0.2, lambda: later.append(1))
    process.turn(lambda: later, "a moment")
    assert owner.lost == []


def test_by_mq_wire_pika_a_connection_is_plain_pikas() -> None:
    """With nothing of the fence."""
    assert connection_class("pika") is PlainConnection
    assert (connection_class("direct") is PlainConnection) != FENCE


def test_without_the_fence_a_connection_is_plain_pikas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package can be deleted."""
    monkeypatch.setitem(sys.modules, "common.wire.connection", None)  # type: ignore[arg-type]  # as if it were not there
    assert connection_class("direct") is PlainConnection
