"""Properties by their bytes, held against the pika that is installed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from common.message import Message
from common.properties import MILLISECONDS, NAMES, DecodedProperties, OutgoingProperties
from common.wire.properties import _TABLE, EncodedProperties, encode_outgoing, encode_properties
from producer.checkpoint import new_name

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES = st.integers(0, 2**52)
STRINGS = st.lists(TEXT, max_size=2)  # content type and content encoding, or fewer


@given(TEXT, TIMES, STRINGS)
def test_the_bytes_of_our_own_are_those_that_pika_writes(
    message_id: str, milliseconds: int, strings: list[str]
) -> None:
    """Of every kind of them."""
    outgoing = OutgoingProperties(message_id, milliseconds, *strings)
    assert encode_outgoing(outgoing) == b"".join(outgoing.to_pika().encode())


def test_a_message_id_that_amqp_has_no_room_for_is_refused() -> None:
    """Its length is one byte."""
    assert encode_outgoing(OutgoingProperties("x" * 255, 0))
    with pytest.raises(ValueError, match="a message_id of 256 bytes"):
        encode_outgoing(OutgoingProperties("é" * 128, 0))


@pytest.mark.parametrize("value", [b"bytes", "text", {"a": "JSON"}])
def test_the_first_billion_messages_of_a_source_stay_below_what_costs_the_broker_more(value: object) -> None:
    """64 bytes; see OutgoingProperties."""
    origin = Message.of(value, f"{new_name()}-{999_999_999}").origin
    assert isinstance(origin, OutgoingProperties)
    assert len(encode_outgoing(origin)) <= 64


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


def received(properties: BasicProperties) -> EncodedProperties:
    """As they stand in a frame."""
    return EncodedProperties(b"".join(properties.encode()))


@given(FIELDS)
def test_what_came_has_the_fields_that_pika_reads(fields: dict[str, Any]) -> None:
    """Whatever is there and whatever is not; and it is another's own at each call."""
    sent, read = BasicProperties(**fields), BasicProperties()
    read.decode(b"".join(sent.encode()))
    came = received(sent)
    assert came.to_pika() == read
    assert came.to_pika() is not came.to_pika()


@given(FIELDS)
def test_the_bytes_of_any_are_those_that_pika_writes(fields: dict[str, Any]) -> None:
    """Of every field, there or not."""
    assert encode_properties(BasicProperties(**fields)) == b"".join(BasicProperties(**fields).encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [("message_id", 5), ("priority", 256), ("priority", "high"), ("timestamp", -1), ("timestamp", "now")],
)
def test_a_field_of_another_type_is_refused_with_its_name(name: str, value: Any) -> None:
    """A source of the user's may write anything there."""
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        encode_properties(BasicProperties(**{name: value}))


@given(FIELDS, st.integers(0, 80))
def test_properties_that_are_cut_off_are_read_as_far_as_they_go(fields: dict[str, Any], length: int) -> None:
    """A broker passes on none of these."""
    whole = received(BasicProperties(**fields))
    read, every = vars(EncodedProperties(whole[:length]).to_pika()), vars(whole.to_pika())
    assert {name for name in NAMES if read[name] is not None} <= {name for name in NAMES if every[name] is not None}


@given(FIELDS, FIELDS)
def test_a_change_is_the_same_by_bytes_and_by_fields(fields: dict[str, Any], changes: dict[str, Any]) -> None:
    """Fields put in and taken away, headers put in and renamed."""
    put, renamed = changes.pop("headers", {}), {"tenant": "mq-tenant"}
    changes["expiration"] = None
    by_bytes = received(BasicProperties(**fields)).changed(put, renamed, **changes).to_pika()
    assert by_bytes == DecodedProperties(BasicProperties(**fields)).changed(put, renamed, **changes).to_pika()


@given(FIELDS, TIMES, STRINGS)
def test_when_it_was_published_is_read_from_its_place_or_from_among_others(
    fields: dict[str, Any], time_ms: int, strings: list[str]
) -> None:
    """The same as by the fields' names, of our own messages and of foreign ones."""
    properties = BasicProperties(**fields)
    assert received(properties).published_ms() == DecodedProperties(properties).published_ms()
    own = OutgoingProperties("name", time_ms, *strings)
    assert EncodedProperties(encode_outgoing(own)).published_ms() == own.published_ms() == time_ms
    alike = own.to_pika()
    alike.headers = {"x" * len(MILLISECONDS): 7}
    assert received(alike).published_ms() == time_ms // 1000 * 1000, "another header stands in the place of ours"


@given(FIELDS, STRINGS)
def test_the_id_and_some_headers_are_read_from_their_places_or_from_among_others(
    fields: dict[str, Any], strings: list[str]
) -> None:
    """The same as of all that is decoded, of our own messages and of foreign ones."""
    own = OutgoingProperties("é-name", 5, *strings)
    for properties in (BasicProperties(**fields), own.to_pika()):
        names = [MILLISECONDS, "tenant", *(properties.headers or {})]
        by_bytes, by_fields = received(properties), DecodedProperties(received(properties).to_pika())
        assert by_bytes.message_id == by_fields.message_id
        assert by_bytes.chosen_headers(names) == by_fields.chosen_headers(names) == (properties.headers or {})
    assert own.chosen_headers([MILLISECONDS]) == {MILLISECONDS: 5}
    assert own.chosen_headers(["tenant"]) == EncodedProperties(encode_outgoing(own)).chosen_headers(["tenant"]) == {}


def test_an_id_that_is_no_text_is_the_same_wherever_it_stands() -> None:
    ours = EncodedProperties(encode_outgoing(OutgoingProperties("name", 5)).replace(b"name", b"\xff\xfe\xfd\xfc"))
    assert ours.message_id == ours.to_pika().message_id


def test_a_text_that_looks_like_our_header_is_none() -> None:
    """A foreign publisher may write anything into its texts."""
    text = (_TABLE + b"\0\0\0\7").decode()
    foreign = BasicProperties(
        content_type=text, headers={MILLISECONDS: 5}, delivery_mode=2, message_id="m", timestamp=60
    )
    assert received(foreign).published_ms() == 60_005


@pytest.mark.parametrize(
    ("odd", "counts"), [(0, 0), (999, 999), (1000, 0), (-1, 0), (2**31, 0), ("some", 0), (None, 0), ([1], 0)]
)
def test_only_milliseconds_of_a_second_count(odd: object, counts: int) -> None:
    """Whatever a foreign publisher wrote there, the timestamp is what it is."""
    plain = BasicProperties(delivery_mode=2, message_id="m", timestamp=60, headers={MILLISECONDS: odd})
    assert DecodedProperties(plain).published_ms() == received(plain).published_ms() == 60_000 + counts


@pytest.mark.parametrize("timestamp", [datetime.now(UTC), "now", 1.5])
def test_a_date_that_is_no_number_is_none(timestamp: Any) -> None:
    """The I/O thread asks for the age of what is handled, and would end with it."""
    assert DecodedProperties(BasicProperties(timestamp=timestamp, headers={"a": 1})).published_ms() is None
