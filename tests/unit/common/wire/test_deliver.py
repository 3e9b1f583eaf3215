"""The method of a delivery, held against the pika that we lock."""

from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec

from common.wire.deliver import Deliver

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXT, st.integers(0, 2**64 - 1), st.booleans(), TEXT, TEXT)
def test_what_came_has_the_fields_that_pika_reads(
    consumer_tag: str, delivery_tag: int, redelivered: bool, exchange: str, routing_key: str
) -> None:
    """Those that it has."""
    sent = spec.Basic.Deliver(consumer_tag, delivery_tag, redelivered, exchange, routing_key)
    _, came = frame.decode_frame(frame.Method(1, sent).marshal())
    assert isinstance(came, frame.Method)
    assert type(came.method) is Deliver
    assert vars(came.method) == {
        "consumer_tag": consumer_tag,
        "delivery_tag": delivery_tag,
        "redelivered": redelivered,
    }
