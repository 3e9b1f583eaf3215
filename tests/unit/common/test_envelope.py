"""The properties of the producer's own messages, held against the pika that we lock."""

from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from common.envelope import PUBLISHED_MS, Envelope

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
