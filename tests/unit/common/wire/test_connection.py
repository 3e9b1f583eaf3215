"""What is quicker than pika's, held against the pika that we lock."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pika import BasicProperties, ConnectionParameters, SelectConnection, frame, spec
from pika.channel import Channel
from pika.exceptions import UnsupportedAMQPFieldException

from common.wire.connection import JOINED_AT_MOST, QuickConnection
from common.wire.content import Content
from common.wire.properties import Envelope
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


def opened(kind: type[Any], process: Loop, frame_max: int = 131_072) -> Channel:
    """Its channel 3."""
    connection = kind(ConnectionParameters(), custom_ioloop=process.loop, internal_connection_workflow=False)
    connection._body_max_length = frame_max - 8
    channel: Channel = connection._create_channel(3, lambda _: None)
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
    for properties in (BasicProperties(message_id=message_id, headers={"a": 1}), Envelope(message_id, 1, "text/plain")):
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


@pytest.mark.parametrize("length", [1, 4096 - 8, 4096 - 7, 10_000])
def test_a_broker_with_small_frames_gets_what_pika_sends(process: Loop, length: int) -> None:
    """It ends the connection over a larger one."""
    quick, plain = opened(Quick, process, 4096), opened(Plain, process, 4096)
    for channel in (quick, plain):
        channel.basic_publish("", "jobs", b"x" * length, BasicProperties(message_id="m"), mandatory=True)
    assert quick.connection.sent == plain.connection.sent


@pytest.mark.parametrize("body", [b"", b"x", b"x" * (JOINED_AT_MOST + 1)])
def test_properties_that_fit_into_no_frame_are_refused(process: Loop, body: bytes) -> None:
    """The broker would end the connection over them, each time that they are sent again."""
    fits, one_more = (BasicProperties(content_type="t" * 200, headers={"a": "x" * n}) for n in (3862, 3863))
    assert 12 + len(b"".join(fits.encode())) == 4096 - 8
    channel = opened(Quick, process, 4096)
    with pytest.raises(ValueError, match="properties of 4089 bytes are over the 4088 that fit into a frame"):
        channel.basic_publish("", "jobs", body, one_more, mandatory=True)
    assert channel.connection.sent == b""
    channel.basic_publish("", "jobs", body, fits, mandatory=True)
    assert channel.connection.sent


def read(kind: type[Any], process: Loop, slices: list[bytes]) -> tuple[list[Any], ...]:
    """What a consumer, and one who waits for confirms, hear of these bytes; and what is counted."""
    channel = opened(kind, process)
    connection: Any = channel.connection
    came: list[Any] = []
    confirmed: list[Any] = []
    channel._consumers["tag"] = lambda _, method, properties, body: came.append(
        (method.delivery_tag, method.redelivered, properties.message_id, body)
    )
    connection.callbacks.add(3, spec.Basic.Ack, lambda value: confirmed.append(value.method.delivery_tag), False)
    for each in slices:
        connection._on_data_available(each)
    return came, confirmed, [connection.frames_received, connection.bytes_received, connection._frame_buffer]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(1, 200))
def test_what_comes_is_read_as_pika_reads_it(process: Loop, bodies: list[bytes], size: int) -> None:
    """Cut at any place: deliveries, confirms, heartbeats, a frame for a channel that is not there, and a rest."""
    frames: list[frame.Frame] = [frame.Heartbeat(), frame.Body(4, b"stray")]
    for tag, body in enumerate(bodies, 1):
        frames += [
            frame.Method(3, spec.Basic.Deliver("tag", tag, tag % 2 == 0, "", "jobs")),
            frame.Header(3, 2 * len(body), BasicProperties(message_id=f"m{tag}")),
            *[frame.Body(3, body)] * (2 if body else 0),
            frame.Method(3, spec.Basic.Ack(tag)),
        ]
    data = b"".join(each.marshal() for each in frames) + frame.Heartbeat().marshal()[:3]
    slices = [data[at : at + size] for at in range(0, len(data), size)]
    quick = read(Quick, process, slices)
    assert quick == read(Plain, process, slices)
    assert quick[0] == [(tag, tag % 2 == 0, f"m{tag}", 2 * body) for tag, body in enumerate(bodies, 1)]
    assert quick[1] == list(range(1, len(bodies) + 1))


def test_a_broker_of_another_protocol_is_heard_as_pika_hears_it(process: Loop) -> None:
    """It sends the header of its own, which is no frame, and closes."""
    for kind in (Quick, Plain):
        connection = kind(ConnectionParameters(), custom_ioloop=process.loop, internal_connection_workflow=False)
        connection._on_data_available(b"AMQP\x00\x01\x00\x00")
        assert connection._frame_buffer == b""
        assert connection.bytes_received == 8


def test_a_channel_puts_its_messages_together_our_way(process: Loop) -> None:
    """Which reads the same, as above."""
    channel: Any = opened(Quick, process)
    assert type(channel._content_assembler) is Content


def test_nobody_waits_for_a_delivery_by_a_callback(process: Loop) -> None:
    """The look-up that is left out would find nothing."""
    connection: Any = opened(Quick, process).connection
    assert not connection.callbacks.pending(3, spec.Basic.Deliver)
