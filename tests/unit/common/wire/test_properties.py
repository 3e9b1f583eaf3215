"""The properties of the producer's own messages, held against the pika that we lock."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame

import common.wire.headers  # noqa: F401 - tables as the services read them
from common.message import Message
from common.wire.properties import _TABLE, LONG, MILLISECONDS, Envelope, Received, published_ms
from producer.checkpoint import new_name

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES = st.integers(0, 2**52)
STRINGS = st.lists(TEXT, max_size=2)  # content type and content encoding, or fewer


@given(TEXT, TIMES, STRINGS)
def test_the_bytes_are_those_that_pika_writes(message_id: str, published_ms: int, strings: list[str]) -> None:
    """Of every kind of them."""
    plain = BasicProperties(
        **dict(zip(("content_type", "content_encoding"), strings, strict=False)),
        headers={MILLISECONDS: published_ms % 1000},
        delivery_mode=2,
        message_id=message_id,
        timestamp=published_ms // 1000,
    )
    assert b"".join(Envelope(message_id, published_ms, *strings).encode()) == b"".join(plain.encode())


@given(TEXT, TIMES, STRINGS)
def test_what_is_sent_is_what_its_attributes_say(message_id: str, published_ms: int, strings: list[str]) -> None:
    """Read back by pika, field for field."""
    envelope, read = Envelope(message_id, published_ms, *strings), BasicProperties()
    read.decode(b"".join(envelope.encode()))
    for name in vars(BasicProperties()):
        assert getattr(envelope, name) == getattr(read, name), name


@pytest.mark.parametrize("value", [b"bytes", "text", {"a": "JSON"}])
def test_the_first_billion_messages_of_a_source_stay_below_what_costs_the_broker_more(value: object) -> None:
    """64 bytes; see envelope.py."""
    message = Message.of(value, f"{new_name()}-{999_999_999}")
    assert len(b"".join(message.properties.encode())) <= 64


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["content_type", "content_encoding", "correlation_id", "reply_to", "message_id"], TEXT),
        **dict.fromkeys(["expiration", "type", "user_id", "app_id", "cluster_id"], TEXT),
        **dict.fromkeys(["delivery_mode", "priority"], st.integers(1, 2)),
        "timestamp": TIMES,
        "headers": st.dictionaries(st.sampled_from([MILLISECONDS, "tenant"]), st.integers(-9, 1009) | TIMES | TEXT),
    },
)


def received(properties: BasicProperties) -> Received:
    """As pika hands them over: through a content header frame."""
    _, header = frame.decode_frame(frame.Header(1, 3, properties).marshal())
    assert isinstance(header, frame.Header)
    assert type(header.properties) is Received
    return header.properties


@given(FIELDS)
def test_what_came_has_the_fields_that_pika_reads(fields: dict[str, Any]) -> None:
    """Whatever is there and whatever is not, and asked for in any order."""
    sent, read = BasicProperties(**fields), BasicProperties()
    read.decode(b"".join(sent.encode()))
    came = received(sent)
    for name in reversed(vars(BasicProperties())):
        assert getattr(came, name) == getattr(read, name), name
    with pytest.raises(AttributeError):
        came.content_types  # noqa: B018 - no such field


@given(FIELDS, TIMES, STRINGS)
def test_when_it_was_published_is_read_from_its_place_or_from_among_others(
    fields: dict[str, Any], time_ms: int, strings: list[str]
) -> None:
    """The same as by the fields' names, of our own messages and of foreign ones."""
    properties = BasicProperties(**fields)
    assert published_ms(received(properties)) == published_ms(properties)
    own = received(Envelope("name", time_ms, *strings))
    assert published_ms(own) == time_ms
    assert "headers" not in vars(own), "nothing else was decoded for it"
    other = Envelope("name", time_ms, *strings)
    fields_of_ours = {name: getattr(other, name) for name in vars(BasicProperties())}
    alike = received(BasicProperties(**fields_of_ours | {"headers": {"x" * len(MILLISECONDS): 7}}))
    assert published_ms(alike) == time_ms // 1000 * 1000, "it has our fields, and another header in the header's place"


def test_a_text_that_looks_like_our_header_is_none() -> None:
    """A foreign publisher may write anything into its texts."""
    text = (_TABLE + b"\0\0\0\7").decode()
    foreign = BasicProperties(
        content_type=text, headers={MILLISECONDS: 5}, delivery_mode=2, message_id="m", timestamp=60
    )
    assert published_ms(received(foreign)) == 60_005


@pytest.mark.parametrize(
    ("odd", "counts"), [(0, 0), (999, 999), (1000, 0), (-1, 0), (2**31, 0), ("some", 0), (None, 0), ([1], 0)]
)
def test_only_milliseconds_of_a_second_count(odd: object, counts: int) -> None:
    """Whatever a foreign publisher wrote there, the timestamp is what it is."""
    plain = BasicProperties(delivery_mode=2, message_id="m", timestamp=60, headers={MILLISECONDS: odd})
    assert published_ms(plain) == published_ms(received(plain)) == 60_000 + counts


@pytest.mark.parametrize("length", [LONG // 2, LONG])
def test_the_date_is_read_of_long_properties_too_and_those_are_not_kept_decoded(length: int) -> None:
    """Deliveries that wait are asked for their age."""
    came = received(BasicProperties(timestamp=7, headers={"long": "x" * length, MILLISECONDS: 5}))
    assert published_ms(came) == 7005
    assert ("headers" in vars(came)) == (length < LONG)


@pytest.mark.parametrize("timestamp", [datetime.now(UTC), "now", 1.5])
def test_a_date_that_a_handler_has_changed_is_none(timestamp: Any) -> None:
    """The I/O thread asks for the age of what is handled, and would end with it."""
    changed = received(BasicProperties(timestamp=1, headers={"a": 1}))
    changed.headers, changed.timestamp = [], timestamp
    assert published_ms(changed) is None
