"""What is quicker than pika's, held against the pika that we lock."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pika import BasicProperties, ConnectionParameters, SelectConnection, frame, spec
from pika.channel import Channel
from pika.exceptions import UnsupportedAMQPFieldException

from common.envelope import Envelope
from common.quick_connection import JOINED_AT_MOST, QuickConnection
from tests.unit.conftest import Loop

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


class Unconnected:
    """Keeps what would be sent."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.sent = b""
        super().__init__(*arguments, **more)

    def _adapter_connect_stream(self) -> None:
        """To nobody."""

    def _adapter_emit_data(self, data: bytes) -> None:
        self.sent += data


class Quick(Unconnected, QuickConnection):
    """Ours."""


class Plain(Unconnected, SelectConnection):
    """pika's."""


def opened(kind: type[Any], process: Loop) -> Channel:
    """Its channel 3."""
    connection = kind(ConnectionParameters(), custom_ioloop=process.loop, internal_connection_workflow=False)
    connection._body_max_length = 131_064
    channel = Channel(connection, 3, lambda _: None)
    channel._set_state(channel.OPEN)
    channel._add_callbacks()
    connection._channels[3] = channel
    return channel


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, st.binary(max_size=300), TEXT, st.booleans())
@example("jobs", b"x" * JOINED_AT_MOST, "m", True)
@example("jobs", b"x" * (JOINED_AT_MOST + 1), "m", True)
@example("jobs", b"x" * 300_000, "m", True)
def test_the_bytes_of_a_message_are_those_that_pika_writes(
    process: Loop, queue: str, body: bytes, message_id: str, mandatory: bool
) -> None:
    """Of any size, with our own properties and with others; and it counts the same."""
    quick, plain = opened(Quick, process), opened(Plain, process)
    for properties in (BasicProperties(message_id=message_id, headers={"a": 1}), Envelope("text/plain", message_id, 1)):
        for channel in (quick, plain):
            channel.basic_publish("", queue, body, properties, mandatory)
    for what in ("sent", "bytes_sent", "frames_sent"):
        assert getattr(quick.connection, what) == getattr(plain.connection, what)


def test_what_cannot_be_encoded_leaves_nothing_behind(process: Loop) -> None:
    """Half a message would end the connection."""
    channel = opened(Quick, process)
    with pytest.raises(UnsupportedAMQPFieldException):
        channel.basic_publish("", "jobs", b"x", BasicProperties(headers={"set": {1}}), mandatory=True)  # type: ignore[dict-item]
    assert channel.connection.sent == b""


def test_a_delivery_reaches_its_consumer_and_nobody_waits_for_it_by_a_callback(process: Loop) -> None:
    """What is left out, pika would have looked for in vain."""
    channel = opened(Quick, process)
    connection: Any = channel.connection
    assert not connection.callbacks.pending(3, spec.Basic.Deliver)
    came: list[bytes] = []
    channel._consumers["tag"] = lambda _channel, _method, _properties, body: came.append(body)
    frames = [
        frame.Method(3, spec.Basic.Deliver("tag", 1, False, "", "jobs")),
        frame.Header(3, 5, BasicProperties()),
        frame.Body(3, b"hel"),
        frame.Body(3, b"lo"),
    ]
    for each in frames:
        connection._process_frame(each)
    assert came == [b"hello"]
    assert connection.frames_received == len(frames)


def test_everything_else_goes_pikas_way(process: Loop) -> None:
    """A confirm is called back; a frame for a channel that is not there is ignored, as by pika."""
    channel = opened(Quick, process)
    connection: Any = channel.connection
    called: list[object] = []
    connection.callbacks.add(3, spec.Basic.Ack, called.append, one_shot=False)
    ack = frame.Method(3, spec.Basic.Ack(1))
    connection._process_frame(ack)
    connection._process_frame(frame.Body(4, b"stray"))
    connection._process_frame(frame.Heartbeat())
    assert called == [ack]
    assert connection.frames_received == 3
