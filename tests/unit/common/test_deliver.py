"""The method of a delivery, held against the pika that we lock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec

from common.deliver import Deliver

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FIELDS = ("consumer_tag", "delivery_tag", "redelivered", "exchange", "routing_key")


@given(TEXT, st.integers(0, 2**64 - 1), st.booleans(), TEXT, TEXT)
def test_what_came_has_the_fields_that_pika_reads(
    consumer_tag: str, delivery_tag: int, redelivered: bool, exchange: str, routing_key: str
) -> None:
    """Whichever is asked for first."""
    sent = spec.Basic.Deliver(consumer_tag, delivery_tag, redelivered, exchange, routing_key)
    for first in FIELDS:
        _, came = frame.decode_frame(frame.Method(1, sent).marshal())
        assert isinstance(came, frame.Method)
        assert type(came.method) is Deliver
        assert getattr(came.method, first) == getattr(sent, first)
        assert [getattr(came.method, each) for each in FIELDS] == [getattr(sent, each) for each in FIELDS]


def test_what_it_has_not_it_does_not_make_up() -> None:
    """Some of its users ask a frame for attributes that it may have."""
    came = Deliver().decode(b"".join(spec.Basic.Deliver("tag", 1, False, "", "jobs").encode()))
    with pytest.raises(AttributeError, match="immediate"):
        _ = came.immediate
