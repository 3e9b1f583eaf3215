"""The properties of the producer's own messages, held against the pika that we lock."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame

import common.headers  # noqa: F401 - tables as the services read them
from common.envelope import PUBLISHED_MS, Envelope, Received

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES = st.integers(0, 2**52)


@given(TEXT, TEXT, TIMES)
def test_the_bytes_are_those_that_pika_writes(content_type: str, message_id: str, published_ms: int) -> None:
    """Milliseconds after 1970-01-25 need 64 bits, and no clock stands before it."""
    published_ms += 2**31
    plain = BasicProperties(
        content_type=content_type,
        headers={PUBLISHED_MS: published_ms},
        delivery_mode=2,
        message_id=message_id,
        timestamp=published_ms // 1000,
        app_id="producer",
    )
    assert b"".join(Envelope(content_type, message_id, published_ms).encode()) == b"".join(plain.encode())


@given(TEXT, TEXT, TIMES)
def test_what_is_sent_is_what_its_attributes_say(content_type: str, message_id: str, published_ms: int) -> None:
    """Read back by pika, field for field."""
    envelope, read = Envelope(content_type, message_id, published_ms), BasicProperties()
    read.decode(b"".join(envelope.encode()))
    for name in vars(BasicProperties()):
        assert getattr(envelope, name) == getattr(read, name), name


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["content_type", "content_encoding", "correlation_id", "reply_to", "message_id"], TEXT),
        **dict.fromkeys(["expiration", "type", "user_id", "app_id", "cluster_id"], TEXT),
        **dict.fromkeys(["delivery_mode", "priority"], st.integers(1, 2)),
        "timestamp": TIMES,
        "headers": st.dictionaries(st.sampled_from([PUBLISHED_MS, "tenant"]), TIMES | TEXT),
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


@given(FIELDS, TEXT, TIMES)
def test_when_it_was_published_is_read_from_its_place_or_from_among_others(
    fields: dict[str, Any], content_type: str, published_ms: int
) -> None:
    """The same as by the header's name, of our own messages and of foreign ones."""
    came = received(BasicProperties(**fields))
    assert came.published_ms == (came.headers or {}).get(PUBLISHED_MS)
    own = received(Envelope(content_type, "name", published_ms))
    assert own.published_ms == published_ms
    assert "headers" not in vars(own), "nothing else was decoded for it"
    other = Envelope(content_type, "name", published_ms)
    fields_of_ours = {name: getattr(other, name) for name in vars(BasicProperties())}
    alike = received(BasicProperties(**fields_of_ours | {"headers": {"x" * len(PUBLISHED_MS): published_ms}}))
    assert alike.published_ms is None, "it has our fields, and another header in the header's place"
