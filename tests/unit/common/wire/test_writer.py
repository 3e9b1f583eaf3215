"""The frames of a message are those that pika writes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pika import BasicProperties
from pika.exceptions import UnsupportedAMQPFieldException

from common.message import Message
from common.wire.properties import EncodedProperties
from common.wire.writer import message_frames
from tests.unit.common.wire.connections import Plain, opened
from tests.unit.conftest import Loop

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def frames(message: Message, queue: str = "jobs", longest: int = 131_064, exchange: str = "") -> bytes:
    return b"".join(message_frames(3, queue, message, longest, exchange))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, st.binary(max_size=300), TEXT)
@example("jobs", b"x" * 131_064, "m")
@example("jobs", b"x" * 131_065, "m")
@example("jobs", b"x" * 300_000, "m")
def test_the_bytes_of_a_message_are_those_that_pika_writes(
    process: Loop, queue: str, body: bytes, message_id: str
) -> None:
    """Of any size, with our own properties, with others, and with some that came."""
    made = BasicProperties(message_id=message_id, headers={"a": 1})
    came = EncodedProperties(b"".join(made.encode()))
    for message in (
        Message(body, properties=made),
        Message.of(body, message_id),
        Message.with_origin(body, came),
    ):
        channel: Any = opened(Plain, process)
        channel.basic_publish("", queue, body, message.properties, mandatory=True)
        assert frames(message, queue) == channel.connection.sent


def test_a_message_goes_to_its_exchange(process: Loop) -> None:
    channel: Any = opened(Plain, process)
    message = Message(b"x", message_id="m")
    channel.basic_publish("events", "a.b", message.body, message.properties, mandatory=True)
    assert frames(message, "a.b", exchange="events") == channel.connection.sent


def test_what_cannot_be_encoded_leaves_nothing_behind() -> None:
    """Half a message would end the connection."""
    with pytest.raises(UnsupportedAMQPFieldException):
        frames(Message(b"x", headers={"set": {1}}))


@pytest.mark.parametrize("length", [0, 1, 4096 - 8, 4096 - 7, 2 * (4096 - 8), 10_000])
def test_a_broker_with_small_frames_gets_what_pika_sends(process: Loop, length: int) -> None:
    """It ends the connection over a larger one."""
    channel: Any = opened(Plain, process, frame_max=4096)
    message = Message(b"x" * length, message_id="m")
    channel.basic_publish("", "jobs", message.body, message.properties, mandatory=True)
    assert frames(message, longest=4088) == channel.connection.sent


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 20_000])
def test_properties_that_fit_into_no_frame_are_refused(body: bytes) -> None:
    """The broker would end the connection over them, each time that they are sent again."""
    fits, one_more = (BasicProperties(content_type="t" * 200, headers={"a": "x" * n}) for n in (3862, 3863))
    assert 12 + len(b"".join(fits.encode())) == 4096 - 8
    with pytest.raises(ValueError, match="properties of 4089 bytes are over the 4088 that fit into a frame"):
        frames(Message(body, properties=one_more), longest=4088)
    assert frames(Message(body, properties=fits), longest=4088)
