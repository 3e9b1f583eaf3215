"""Messages sent and received with plain pika and with `common.wire`, with equal results."""

from typing import Any

import pytest
from pika import BasicProperties, ConnectionParameters, frame, spec

from common.amqp.session import connection_class
from common.message import Message
from tests.unit.conftest import Loop
from tests.unit.peer import Peer


@pytest.fixture(params=["direct", "pika"])
def kind(request: pytest.FixtureRequest) -> Any:
    """The connection class of each MQ_WIRE."""
    return connection_class(request.param)


@pytest.fixture
def channel(process: Loop, peer: Peer, kind: Any) -> Any:
    """Of a connection to a peer that confirms whatever it gets."""
    opened: list[Any] = []
    closed: list[object] = []
    parameters = ConnectionParameters("127.0.0.1", peer.port)
    connection = kind(
        parameters,
        process.loop,
        lambda made: made.channel(on_open_callback=opened.append),
        lambda *why: closed.append(why),
    )
    process.turn(lambda: opened, "a channel")
    yield opened[0]
    connection.close()
    process.turn(lambda: closed, "the end")


def test_published_messages_arrive_and_are_confirmed_in_their_order(process: Loop, peer: Peer, channel: Any) -> None:
    confirmed: list[Any] = []
    channel.confirm_delivery(lambda value: confirmed.append(value.method.delivery_tag))
    for body in (b"one", b"two"):
        channel.connection.publish(channel, "jobs", Message.of(body, "m"))
    process.turn(lambda: confirmed == [1, 2], "two confirms")
    assert peer.visits[0].published == [b"one", b"two"]


@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_deliveries_come_in_their_order_with_their_properties(
    process: Loop, peer: Peer, channel: Any, size: int
) -> None:
    """Without a body, with a short body, and with a body of several frames."""
    came: list[Any] = []
    channel.connection.consume(channel, "jobs", "000001", lambda _, some: came.extend(some))
    properties = BasicProperties(message_id="m", headers={"tenant": "a"})
    for tag in (1, 2, 3):
        body = b"x" * (size if tag == 2 else 5)
        peer.visits[0].say(spec.Basic.Deliver("000001", tag, tag == 3, "", "jobs"))
        peer.visits[0].send(frame.Header(1, len(body), properties))
        for at in range(0, len(body), 100_000):
            peer.visits[0].send(frame.Body(1, body[at : at + 100_000]))
    process.turn(lambda: len(came) == 3, "three deliveries")
    assert [(tag, len(body), again) for tag, _, body, again in came] == [(1, 5, False), (2, size, False), (3, 5, True)]
    for _, origin, *_ in came:
        assert origin.to_pika() == properties
        assert len(origin) > 0
        assert origin.to_pika() is not origin.to_pika()
