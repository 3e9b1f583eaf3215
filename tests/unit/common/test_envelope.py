"""The envelope's bytes are those that pika would write."""

from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from common.envelope import APP_ID, PERSISTENT, PUBLISHED_MS, Envelope

TEXT = st.text(max_size=60)


@given(TEXT, TEXT, st.integers(2**31, 2**53))
def test_it_is_encoded_as_pika_encodes_the_same_properties(
    content_type: str, message_id: str, published_ms: int
) -> None:
    """So any AMQP client reads it."""
    same = BasicProperties(
        content_type=content_type,
        headers={PUBLISHED_MS: published_ms},
        delivery_mode=PERSISTENT,
        message_id=message_id,
        timestamp=published_ms // 1000,
        app_id=APP_ID,
    )
    envelope = Envelope(content_type, message_id, published_ms)
    assert b"".join(envelope.encode()) == b"".join(same.encode())
    assert [getattr(envelope, name) for name in vars(same)] == list(vars(same).values())
