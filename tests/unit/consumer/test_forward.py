"""What a handler forwards, as messages."""

from typing import Any

import pytest
from pika import BasicProperties

from common.message import Message
from common.properties import DecodedProperties
from consumer.forward import Forward, messages

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LIMIT = 100  # bytes


def made(*forwards: Forward, original: Message | None = None, queue: str = "jobs") -> list[Message]:
    return list(messages(forwards, original or Message(b"x", message_id="m1"), queue, LIMIT))


@pytest.mark.parametrize(
    ("value", "body", "content_type"),
    [(b"\xff", b"\xff", None), ("é", "é".encode(), "text/plain"), ({"a": 1}, b'{"a": 1}', "application/json")],
)
def test_a_value_becomes_a_persistent_dated_message_as_an_item_of_a_source_does(
    value: object, body: bytes, content_type: str | None
) -> None:
    [message] = made(Forward(value, to="out"))
    assert (message.body, message.content_type, message.properties.delivery_mode) == (body, content_type, 2)
    assert message.age is not None


def test_trace_context_goes_along_and_no_other_header() -> None:
    headers = {"traceparent": TRACE, "tracestate": "a=b", "tenant": "a", "mq-attempt": 3, "CC": ["elsewhere"]}
    [message] = made(Forward(b"x", to="out"), original=Message(b"x", headers=headers))
    assert {name: value for name, value in message.headers.items() if name != "mq-ms"} == {
        "traceparent": TRACE,
        "tracestate": "a=b",
    }


@pytest.mark.parametrize("headers", [{"mq-ms": 5}, {"traceparent": TRACE, "x-death": [{"a": 1}]}])
def test_a_forward_decodes_no_more_of_the_original_than_it_needs(headers: dict[str, Any]) -> None:
    """To decode all took most of the time of a forward."""

    class Unread(DecodedProperties):
        def to_pika(self) -> BasicProperties:
            raise AssertionError("decoded")

    properties = BasicProperties(headers=headers, message_id="m1", timestamp=1, delivery_mode=2)
    original = Message.with_origin(b"x", Unread(properties))
    [message] = made(Forward(b"x", to="out"), original=original)
    assert message.message_id == made(Forward(b"x", to="out"))[0].message_id
    assert message.headers.get("traceparent") == headers.get("traceparent")


def test_given_headers_and_properties_go_along_without_what_is_said_of_the_original() -> None:
    """So all headers of a message may be given."""
    headers = {
        "tenant": "a",
        "traceparent": "mine",
        "mq-attempt": 3,
        "mq-cc": "q",
        "x-death": [],
        "x-delivery-count": 2,
    }
    forward = Forward(b"x", to="out", headers=headers, content_type="image/png", type="Order", correlation_id="c")
    [message] = made(forward, original=Message(b"x", headers={"traceparent": TRACE}))
    assert {name: value for name, value in message.headers.items() if name != "mq-ms"} == {
        "tenant": "a",
        "traceparent": "mine",
    }
    properties = message.properties
    assert (properties.content_type, properties.type, properties.correlation_id) == ("image/png", "Order", "c")
    assert properties.delivery_mode == 2


def test_a_repetition_gives_the_same_ids_and_every_message_another() -> None:
    """By the original's id, its queue, the place, and which of those for it; whatever else is in the list."""
    to_a, to_b = Forward(b"1", to="a"), Forward(b"1", to="b")
    by_exchange = Forward(b"1", exchange="x", routing_key="a")
    ids = [message.message_id for message in made(to_a, to_b, to_a, by_exchange)]
    assert ids == [message.message_id for message in made(to_a, to_b, to_a, by_exchange)]
    assert len(set(ids)) == 4
    assert made(to_b)[0].message_id == ids[1]
    assert made(to_b, queue="other")[0].message_id != ids[1], "another consumer of the same message"
    assert made(to_b, original=Message(b"x", message_id="m2"))[0].message_id != ids[1]
    long = Message(b"x", message_id="é" * 127)
    assert len(str(made(to_b, original=long)[0].message_id).encode()) == 20


def test_equal_messages_without_an_id_forward_under_different_ids() -> None:
    """Or whoever leaves out duplicates would lose the second."""
    first, second = (made(Forward(b"1", to="a"), original=Message(b"x"))[0].message_id for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "needs a queue"),
        ({"to": "a", "exchange": "x"}, "needs a queue"),
        ({"to": "a", "routing_key": "x"}, "needs a queue"),
        ({"routing_key": "x"}, "needs a queue"),
        ({"to": "é" * 128}, "256 bytes is over AMQP's 255"),
        ({"exchange": "x", "routing_key": "k" * 256}, "256 bytes is over"),
        ({"to": "a", "headers": {"CC": ["b"]}}, "header CC would send copies elsewhere"),
        ({"to": "a", "headers": {"BCC": ["b"]}}, "header BCC would send copies elsewhere"),
    ],
)
def test_what_names_no_single_destination_is_refused_where_it_is_made(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Forward(b"x", **arguments)


def test_a_whole_message_and_a_destination_that_is_no_text_are_refused() -> None:
    """A foreign message may expire, name another user, or steer its copies."""
    with pytest.raises(TypeError, match=r"give message\.body"):
        Forward(Message(b"x"), to="a")
    with pytest.raises(TypeError, match="is a str, and not a bytes"):
        Forward(b"x", to=b"a")  # type: ignore[arg-type]


def test_a_body_over_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(ValueError, match=r"101 bytes are over MQ_MAX_BODY \(100\)"):
        made(Forward(b"x" * 101, to="out"))
    assert made(Forward(b"x" * 100, to="out"))


def test_properties_stay_within_64_bytes() -> None:
    """With more, RabbitMQ spends 15 to 30 % more CPU time on a delivery."""
    [message] = made(Forward({"a": 1}, to="out"))
    properties: BasicProperties = message.properties
    assert sum(map(len, properties.encode())) <= 64


def test_a_forward_shows_what_was_given() -> None:
    assert repr(Forward({"order": 7}, to="invoices")) == "Forward({'order': 7}, to='invoices')"
    shown = repr(Forward(b"x" * 1000, exchange="x", routing_key="k", type="t"))
    assert shown.endswith(", exchange='x', routing_key='k', type='t')")
    assert len(shown) < 260
