"""A message as it was delivered."""

from pika import BasicProperties

from common.message import Message
from consumer.delivery import as_it_came
from tests.unit.common.wire.test_properties import received


def test_what_was_changed_is_as_it_came() -> None:
    """What was changed stays so for whoever has it."""
    properties = received(BasicProperties(message_id="mine", headers={"a": 1}))
    message = Message(b"x", properties=properties)
    message.properties.headers, message.properties.message_id = None, "other"
    came = as_it_came(message)
    assert (came.body, came.message_id, came.headers) == (b"x", "mine", {"a": 1})
    assert message.message_id == "other"


def test_a_message_that_was_never_delivered_is_itself() -> None:
    """As those of tests are."""
    message = Message(b"x")
    assert as_it_came(message) is message
